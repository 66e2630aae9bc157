//! `cargo xtask stdlib`: makes the embedded standard library from a Go tree.
//!
//! Keeps what a user of the standard library can see: exported declarations of the public packages, and whatever these
//! mention, through all packages. Bodies, comments, tests and files for other targets are left out, initial values are
//! shortened to what gives a variable its type. The result depends on the Go tree alone.

mod stub;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use residue_project::GoVersion;
use residue_project::stdlib::{Archive, Files, is_covered};

use stub::{Stub, Unit};

/// Where the archive is kept, relative to the workspace.
const ARCHIVE: &str = "crates/residue-project/data/std.bin";

/// Writes the archive from the Go tree at `goroot`, or, with `check`, compares it with the one in the workspace.
/// Returns what to tell the user.
pub(crate) fn run(goroot: &Path, workspace: &Path, check: bool) -> Result<String, Box<dyn Error>> {
    let version = fs::read_to_string(goroot.join("VERSION"))
        .map_err(|error| format!("{}: {error} (is it a Go tree?)", goroot.join("VERSION").display()))?;
    let version = version.lines().next().unwrap_or_default().trim();
    let packages = packages(goroot, version)?;
    let source: usize = packages.values().flatten().map(|(_, text)| text.len()).sum();
    let bytes = Archive::write(version, &packages);
    let path = workspace.join(ARCHIVE);
    let summary = format!(
        "{version}: {} packages, {} files, {} kB of source, {} kB packed",
        packages.len(),
        packages.values().map(Vec::len).sum::<usize>(),
        source >> 10,
        bytes.len() >> 10,
    );
    if check {
        if fs::read(&path)? != bytes {
            return Err(
                format!("{} is not what {version} gives\nhint: run `cargo xtask stdlib`", path.display()).into()
            );
        }
        return Ok(format!("{summary}: unchanged"));
    }
    fs::create_dir_all(path.parent().unwrap_or(workspace))?;
    fs::write(&path, &bytes)?;
    Ok(summary)
}

/// The packages of a Go tree, reduced to what users of its public packages can see.
fn packages(goroot: &Path, version: &str) -> Result<BTreeMap<String, Files>, Box<dyn Error>> {
    let release = GoVersion::parse(version).ok_or_else(|| format!("`{version}` is no Go version"))?;
    let src = goroot.join("src");
    let mut library = Library::default();
    let mut dirs = vec![(String::new(), src)];
    while let Some((path, dir)) = dirs.pop() {
        let (files, below) = list(&dir)?;
        for name in below {
            let child = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            if !is_left_out(&child) {
                dirs.push((child, dir.join(name)));
            }
        }
        let mut stubs = Vec::new();
        for name in files {
            let text = fs::read(dir.join(&name))?;
            if is_covered(&name, &text, release) {
                let stub = Stub::new(text).map_err(|error| format!("{path}/{name}: {error}"))?;
                if stub.package != "documentation" {
                    stubs.push((name, stub));
                }
            }
        }
        if !stubs.is_empty() && !path.is_empty() {
            library.packages.insert(path, stubs);
        }
    }
    Ok(library.reduce())
}

/// Names of a directory's Go files that are no tests, and of its directories; both sorted.
fn list(dir: &Path) -> Result<(BTreeSet<String>, BTreeSet<String>), Box<dyn Error>> {
    let (mut files, mut dirs) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name =
            entry.file_name().into_string().map_err(|name| format!("{}: bad name", PathBuf::from(name).display()))?;
        if name.starts_with(['.', '_']) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            dirs.insert(name);
        } else if name.strip_suffix(".go").is_some_and(|stem| !stem.ends_with("_test")) {
            files.insert(name);
        }
    }
    Ok((files, dirs))
}

/// Programs, test data, and the two packages that exist in the language alone.
fn is_left_out(path: &str) -> bool {
    path == "cmd" || path == "builtin" || path == "unsafe" || path.ends_with("testdata")
}

/// Whether programs may import a package.
fn is_public(path: &str) -> bool {
    !path.split('/').any(|part| part == "internal" || part == "vendor")
}

#[derive(Default)]
struct Library {
    packages: BTreeMap<String, Vec<(String, Stub)>>,
}

impl Library {
    /// Keeps what can be seen from the public packages.
    fn reduce(self) -> BTreeMap<String, Files> {
        let names: BTreeMap<&str, &str> = self
            .packages
            .iter()
            .filter_map(|(path, stubs)| Some((path.as_str(), stubs.first()?.1.package.as_str())))
            .collect();
        let mut out = BTreeMap::new();
        let mut todo: Vec<String> = self.packages.keys().filter(|path| is_public(path)).cloned().collect();
        while let Some(path) = todo.pop() {
            let Some(stubs) = self.packages.get(&path) else { continue };
            if out.contains_key(&path) {
                continue;
            }
            let kept = seen_from_outside(stubs);
            let mut files = Files::new();
            let mut always_built = false;
            for ((name, stub), units) in stubs.iter().zip(&kept) {
                let mut text = stub.header();
                let mentioned: BTreeSet<&str> = units.iter().flat_map(|unit| unit.mentions()).collect();
                for import in &stub.imports {
                    let target = self.target(&import.path);
                    let local = match &import.name {
                        Some(name) => name.as_str(),
                        None => {
                            target.as_ref().and_then(|path| names.get(path.as_str()).copied()).unwrap_or(&import.path)
                        }
                    };
                    // That a file needs cgo shows in its imports alone.
                    if matches!(local, "." | "C") || mentioned.contains(local) {
                        text += &import.text;
                        todo.extend(target);
                    }
                }
                for unit in units {
                    text += &unit.text;
                }
                if !units.is_empty() {
                    always_built |= stub.is_always_built(name);
                    files.push((name.clone(), text.into_bytes()));
                }
            }
            // A package that is there for every target stays so.
            if let Some((name, stub)) = stubs.iter().find(|(name, stub)| !always_built && stub.is_always_built(name))
                && !files.iter().any(|(kept, _)| kept == name)
            {
                files.push((name.clone(), stub.header().into_bytes()));
                files.sort();
            }
            out.insert(path, files);
        }
        out
    }

    /// The package that an import path means: vendored ones are found below `vendor`.
    fn target(&self, path: &str) -> Option<String> {
        let vendored = format!("vendor/{path}");
        [path, &vendored].into_iter().find(|path| self.packages.contains_key(*path)).map(str::to_owned)
    }
}

/// The declarations of each file that are exported, or mentioned by one that is kept. Names count for the whole
/// package, whatever they stand for where they are mentioned: that may keep too much, never too little.
fn seen_from_outside<'a>(stubs: &'a [(String, Stub)]) -> Vec<Vec<&'a Unit>> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut kept: Vec<Vec<bool>> = stubs.iter().map(|(_, stub)| vec![false; stub.units.len()]).collect();
    loop {
        let mut grown = false;
        for ((_, stub), kept) in stubs.iter().zip(&mut kept) {
            for (unit, kept) in stub.units.iter().zip(kept) {
                if !*kept && unit.is_needed(&names) {
                    *kept = true;
                    grown = true;
                    names.extend(unit.mentions());
                }
            }
        }
        if !grown {
            break;
        }
    }
    let kept_of = |(units, kept): (&'a [Unit], &Vec<bool>)| -> Vec<&'a Unit> {
        units.iter().zip(kept).filter(|(_, kept)| **kept).map(|(unit, _)| unit).collect()
    };
    stubs.iter().map(|(_, stub)| stub.units.as_slice()).zip(&kept).map(kept_of).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The archive in the workspace is what the Go tree gives, wherever `./test` has one of that release.
    #[test]
    #[allow(clippy::print_stderr, reason = "a test that cannot run says so")]
    fn the_committed_archive_is_up_to_date() {
        let Some(goroot) = std::env::var_os("RESIDUE_GOROOT_1_27") else {
            eprintln!("not compared: RESIDUE_GOROOT_1_27 names no Go tree");
            return;
        };
        super::run(Path::new(&goroot), &crate::root(), true).expect("unchanged");
    }
}

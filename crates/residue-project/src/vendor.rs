//! The `vendor` directory and its `modules.txt`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::FileSystem;
use crate::guard::{Boundary, read_inside};
use crate::modules::{MainModule, ModuleInfo, PackageModules};
use crate::report::Reporter;
use crate::{GoVersion, ModuleKind, Problem, Severity};

/// A vendor directory in use.
#[derive(Debug)]
pub(crate) struct Vendor {
    pub(crate) dir: PathBuf,
    packages: PackageModules,
    /// For packages that `modules.txt` does not list.
    unlisted: Arc<ModuleInfo>,
}

impl Vendor {
    /// Opens a vendor directory that has a `modules.txt`, and reports where that disagrees with `go.mod`.
    pub(crate) fn open(
        fs: &dyn FileSystem,
        reporter: &Reporter,
        dir: &Path,
        boundary: &Boundary,
        mains: &[MainModule],
    ) -> Option<Self> {
        let list = dir.join("modules.txt");
        let text = read_inside(fs, &list, boundary).ok()?;
        let modules = parse(&String::from_utf8_lossy(&text), dir);
        let required = mains.iter().flat_map(|main| &main.file.requires);
        let differing: Vec<_> = required
            .filter(|module| {
                let known = modules.iter().find(|known| *known.info.path == *module.path);
                known.is_none_or(|known| *known.info.version != *module.version)
            })
            .collect();
        if let Some(first) = differing.first() {
            let more = if differing.len() > 1 { format!(" (and {} more)", differing.len() - 1) } else { String::new() };
            reporter.file(
                Severity::Warning,
                Problem::Vendor,
                &list,
                format!("{}@{} of go.mod is not vendored at that version{more}", first.path, first.version),
                "`go mod vendor` brings the directory up to date",
            );
        }
        let packages = modules
            .iter()
            .flat_map(|module| module.packages.iter().map(|package| (package.clone(), module.info.clone())))
            .collect();
        let unlisted = Arc::new(info("", "", None, dir));
        Some(Self { dir: dir.to_path_buf(), packages, unlisted })
    }

    /// The module of a vendored package.
    pub(crate) fn module_of(&self, import_path: &str) -> Arc<ModuleInfo> {
        self.packages.get(import_path).unwrap_or(&self.unlisted).clone()
    }
}

struct Vendored {
    info: Arc<ModuleInfo>,
    packages: Vec<String>,
}

fn info(path: &str, version: &str, go: Option<GoVersion>, vendor: &Path) -> ModuleInfo {
    ModuleInfo {
        path: path.into(),
        version: version.into(),
        kind: ModuleKind::Dependency,
        dir: crate::paths::join(vendor, path),
        go_version: go.unwrap_or(GoVersion::WITHOUT_GO_LINE),
    }
}

/// Reads `# path version [=> replacement]`, `## explicit; go 1.17` and package lines; skips what it does not know.
fn parse(text: &str, vendor: &Path) -> Vec<Vendored> {
    let mut modules: Vec<Vendored> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(notes) = line.strip_prefix("## ") {
            let go = notes.split(';').find_map(|note| GoVersion::parse(note.trim().strip_prefix("go ")?));
            if let (Some(module), Some(go)) = (modules.last_mut(), go) {
                module.info = Arc::new(info(&module.info.path, &module.info.version, Some(go), vendor));
            }
        } else if let Some(module) = line.strip_prefix("# ") {
            let mut words = module.split_whitespace();
            let path = words.next().unwrap_or_default();
            let version = words.next().filter(|word| *word != "=>").unwrap_or_default();
            modules.push(Vendored { info: Arc::new(info(path, version, None, vendor)), packages: Vec::new() });
        } else if let (false, Some(module)) = (line.is_empty(), modules.last_mut()) {
            module.packages.push(line.to_owned());
        }
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::GoVersion;
    use std::path::Path;

    #[test]
    fn reads_modules_txt() {
        let modules = parse(
            "stray\n# a.org/a v1.0.0\n## explicit; go 1.20\na.org/a\na.org/a/b\n# c v2.0.0 => ../c\n# d => ./d\n## explicit\nd\n",
            Path::new("/v"),
        );
        let shown: Vec<_> = modules.iter().map(|m| (&*m.info.path, &*m.info.version, m.packages.join(" "))).collect();
        assert_eq!(
            shown,
            [("a.org/a", "v1.0.0", "a.org/a a.org/a/b".into()), ("c", "v2.0.0", String::new()), ("d", "", "d".into())]
        );
        assert_eq!(modules[0].info.go_version, GoVersion::new(1, 20));
        assert_eq!(modules[2].info.go_version, GoVersion::WITHOUT_GO_LINE);
    }
}

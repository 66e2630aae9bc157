//! Loading whole trees from memory.

mod bad_input;
mod edits;
mod modules;
mod packages;
mod patterns;
mod variants;

use residue_project::fs::MemoryFileSystem;
use residue_project::{Config, Diagnostic, Missing, Origin, Package, Problem, Project, Severity, load};

/// A file system from a listing: `-- path --` lines, each followed by the file's content.
pub(crate) fn files(listing: &str) -> MemoryFileSystem {
    let mut fs = MemoryFileSystem::default();
    let mut path: Option<String> = None;
    let mut content = String::new();
    for line in listing.lines().map(str::trim_start).chain(["-- end --"]) {
        if let Some(next) = line.strip_prefix("-- ").and_then(|line| line.strip_suffix(" --")) {
            if let Some(path) = path.replace(next.to_owned()) {
                fs.write(path, std::mem::take(&mut content));
            }
        } else {
            content += line;
            content += "\n";
        }
    }
    fs
}

/// A configuration for linux/amd64 in `/w`, with `/cache` as the module cache.
pub(crate) fn config() -> Config {
    let mut config = Config::new("/w");
    config.goos = Some("linux".to_owned());
    config.goarch = Some("amd64".to_owned());
    config.env.set("GOMODCACHE", "/cache");
    config
}

/// Loads `./...` of `/w`.
pub(crate) fn project(fs: &MemoryFileSystem) -> Project {
    project_with(fs, |_| {})
}

/// Loads with a changed configuration; checks what holds for every project.
pub(crate) fn project_with(fs: &MemoryFileSystem, edit: impl FnOnce(&mut Config)) -> Project {
    let mut config = config();
    edit(&mut config);
    let project = load(fs, &config).expect("loads");
    for (id, package) in project.packages() {
        for import in package.imports.values().flatten() {
            assert!(*import < id, "{package} comes before what it imports, {}", project[*import]);
        }
        assert!(package.files.is_sorted_by_key(|file| file.path.clone()));
    }
    assert!(project.diagnostics.is_sorted());
    project
}

/// Packages outside the standard library, by name, with where they come from.
pub(crate) fn packages(project: &Project) -> Vec<String> {
    let not_std = project.packages.iter().filter(|package| package.origin != Origin::Std);
    let mut shown: Vec<String> = not_std
        .map(|package| {
            let analyse = if package.analyse { "*" } else { "" };
            format!("{package}{analyse} {:?}", package.origin).to_lowercase()
        })
        .collect();
    shown.sort();
    shown
}

/// The package of an import path, as importers see it.
pub(crate) fn package<'a>(project: &'a Project, path: &str) -> &'a Package {
    let found = project.packages.iter().find(|package| package.to_string() == path);
    found.unwrap_or_else(|| panic!("no package {path} among {:?}", packages(project)))
}

/// Names of a package's files.
pub(crate) fn file_names(package: &Package) -> Vec<&str> {
    package.files.iter().map(|file| file.path.rsplit('/').next().unwrap_or_default()).collect()
}

/// What an import of a package leads to.
pub(crate) fn import(project: &Project, package: &Package, path: &str) -> String {
    let target = package.imports.get(path).unwrap_or_else(|| panic!("{package} does not import {path}"));
    target.map_or_else(|| "nowhere".to_owned(), |id| project[id].to_string())
}

/// Diagnostics as `problem place: message`, notes left out.
pub(crate) fn problems(project: &Project) -> Vec<String> {
    let show = |d: &Diagnostic| format!("{:?} {:?} {d}", d.severity, d.problem);
    project.diagnostics.iter().filter(|d| d.severity != Severity::Note).map(show).collect()
}

/// The one diagnostic of a kind.
pub(crate) fn only(project: &Project, problem: Problem) -> &Diagnostic {
    let mut found = project.diagnostics.iter().filter(|d| d.problem == problem);
    match (found.next(), found.next()) {
        (Some(only), None) => only,
        _ => panic!("not one {problem:?} in {:?}", project.diagnostics),
    }
}

/// Missing imports as `module: paths (importers) hint`.
pub(crate) fn missing(project: &Project) -> Vec<String> {
    let show = |m: &Missing| {
        let module = m.module.as_ref().map_or_else(|| "?".to_owned(), |(path, version)| format!("{path}@{version}"));
        format!("{module}: {} ({}) {}", m.import_paths.join(" "), m.importers, m.hint)
    };
    project.missing.iter().map(show).collect()
}

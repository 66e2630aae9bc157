//! Imports that lead nowhere, gathered so that each cause is said once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Missing;
use crate::modules::NotFound;

/// Gathers imports by the module that is missing, or one by one.
pub(crate) struct MissingSet {
    std_version: String,
    by_cause: BTreeMap<(Option<(String, String)>, String), Cause>,
}

/// What one missing thing keeps from being seen.
struct Cause {
    import_paths: BTreeSet<Arc<str>>,
    importers: BTreeSet<usize>,
    hint: String,
}

impl MissingSet {
    pub(crate) fn new(std_version: &str) -> Self {
        Self { std_version: std_version.to_owned(), by_cause: BTreeMap::new() }
    }

    /// Counts the package `importer`, which imports `path`; `modules` says whether it has a `go.mod` that could require it.
    pub(crate) fn add(&mut self, importer: usize, path: &Arc<str>, why: &NotFound, modules: bool) {
        let (module, hint) = match why {
            NotFound::Module(module) => {
                (Some(module), format!("`go mod download {}@{}` fetches it", module.path, module.version))
            }
            NotFound::Package(module) if module.version.is_empty() => {
                (Some(module), format!("module {} has no such package", module.path))
            }
            NotFound::Package(module) => (
                Some(module),
                format!("{}@{} has no such package; `go mod tidy` finds one that has", module.path, module.version),
            ),
            NotFound::NotRequired if modules => {
                (None, format!("no module of go.mod holds it; `go get {path}` adds one"))
            }
            NotFound::NotRequired => (None, "without go.mod nothing says which module holds it".to_owned()),
            NotFound::NotStd => (None, format!("not in the standard library of {}", self.std_version)),
            NotFound::NotVendored => (None, "`go mod vendor` adds it to the vendor directory".to_owned()),
            NotFound::Malformed => (None, "not an import path that Go accepts in modules".to_owned()),
        };
        let module = module.map(|module| (module.path.clone(), module.version.clone()));
        // A module that is not there stands for all its packages; every other cause is a package's own.
        let own = if matches!(why, NotFound::Module(_)) { String::new() } else { path.to_string() };
        let new = || Cause { import_paths: BTreeSet::new(), importers: BTreeSet::new(), hint };
        let cause = self.by_cause.entry((module, own)).or_insert_with(new);
        cause.import_paths.insert(path.clone());
        cause.importers.insert(importer);
    }

    /// All of them, sorted.
    pub(crate) fn finish(self) -> Vec<Missing> {
        let missing = |((module, _), cause): ((Option<(String, String)>, String), Cause)| Missing {
            module: module.map(|(path, version)| (path.into(), version.into())),
            import_paths: cause.import_paths.into_iter().collect(),
            importers: cause.importers.len(),
            hint: cause.hint,
        };
        let mut list: Vec<Missing> = self.by_cause.into_iter().map(missing).collect();
        list.sort();
        list
    }
}

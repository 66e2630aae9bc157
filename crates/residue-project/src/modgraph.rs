//! Minimal version selection: from the requirements of the main modules to one version a module.
//!
//! Follows the go command with graph pruning: a main module at `go 1.17` or later lists all it needs, so a dependency
//! at 1.17 or later contributes its own requirements but not those behind them; below an older dependency the graph is
//! walked to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::GoVersion;
use crate::modfile::{ModFile, ModuleVersion};
use crate::semver;

/// From this language version on, a module's `go.mod` lists everything its packages need.
const PRUNED_FROM: GoVersion = GoVersion::new(1, 17);

/// A module's own requirements must not blow up a run: more modules than this are not looked at.
const MODULES_MAX: usize = 200_000;

/// Whether a module file takes part in graph pruning.
fn is_pruned(file: &ModFile) -> bool {
    file.go.unwrap_or(GoVersion::WITHOUT_GO_LINE) >= PRUNED_FROM
}

/// Reads the `go.mod` of a module version, replacements applied; none where it cannot be had.
pub(crate) type Summary<'a> = dyn Fn(&ModuleVersion) -> Option<Arc<ModFile>> + Sync + 'a;

/// Versions by module path.
pub(crate) type Selection = BTreeMap<String, String>;

/// Raises the selected version of a module.
fn raise(selection: &mut Selection, module: &ModuleVersion) {
    match selection.get_mut(&module.path) {
        Some(version) if semver::is_greater(&module.version, version) => module.version.clone_into(version),
        Some(_) => {}
        None => {
            selection.insert(module.path.clone(), module.version.clone());
        }
    }
}

/// The versions that the main modules name themselves.
pub(crate) fn direct(mains: &[Arc<ModFile>], excludes: &BTreeSet<ModuleVersion>) -> Selection {
    let mut selection = Selection::new();
    for module in mains.iter().flat_map(|main| &main.requires).filter(|module| !excludes.contains(module)) {
        raise(&mut selection, module);
    }
    remove_mains(&mut selection, mains);
    selection
}

/// The versions that the whole graph selects.
pub(crate) fn select(mains: &[Arc<ModFile>], excludes: &BTreeSet<ModuleVersion>, summary: &Summary<'_>) -> Selection {
    let main_paths: BTreeSet<&str> = mains.iter().map(|main| main.module.as_str()).collect();
    let wanted = |module: &&ModuleVersion| !excludes.contains(*module) && !main_paths.contains(module.path.as_str());
    let mut selection = Selection::new();
    // A module is visited again when it is met below an unpruned one: then all behind it counts.
    let mut seen: BTreeSet<(ModuleVersion, bool)> = BTreeSet::new();
    let mut wave: Vec<(ModuleVersion, bool)> = Vec::new();
    for main in mains {
        for module in main.requires.iter().filter(wanted) {
            raise(&mut selection, module);
            let visit = (module.clone(), !is_pruned(main));
            if seen.insert(visit.clone()) {
                wave.push(visit);
            }
        }
    }
    while !wave.is_empty() && seen.len() < MODULES_MAX {
        let files: Vec<_> = wave.par_iter().map(|(module, _)| summary(module)).collect();
        let mut next = Vec::new();
        for ((_, unpruned), file) in wave.iter().zip(&files) {
            let Some(file) = file else { continue };
            for module in file.requires.iter().filter(wanted) {
                raise(&mut selection, module);
                let visit = (module.clone(), true);
                if (*unpruned || !is_pruned(file)) && seen.insert(visit.clone()) {
                    next.push(visit);
                }
            }
        }
        wave = next;
    }
    remove_mains(&mut selection, mains);
    selection
}

fn remove_mains(selection: &mut Selection, mains: &[Arc<ModFile>]) {
    for main in mains {
        selection.remove(&main.module);
    }
}

/// Whether the versions that the main modules name suffice to find a package, as long as it is found in one of them.
pub(crate) fn direct_suffices(mains: &[Arc<ModFile>]) -> bool {
    matches!(mains, [main] if is_pruned(main))
}

#[cfg(test)]
mod tests {
    use super::{Selection, direct, select};
    use crate::modfile::{Dialect, ModFile, ModuleVersion};
    use std::collections::BTreeSet;
    use std::sync::Arc;

    /// Modules as `name@version go1.N: requirement requirement`; the first line is the main module.
    fn selection(graph: &str) -> String {
        let mut modules = graph.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
            let (name, requires) = line.split_once(':').expect("a colon");
            let (name, go) = name.split_once(' ').expect("a go version");
            let mut text = format!("module {}\ngo {go}\n", name.split('@').next().expect("a name"));
            for require in requires.split_whitespace() {
                let (verb, module) = require.strip_prefix('-').map_or(("require", require), |m| ("exclude", m));
                text.extend([verb, " ", &module.replace('@', " "), "\n"]);
            }
            let file = ModFile::parse(text.as_bytes(), Dialect::GoMod);
            assert_eq!(file.errors, [], "{line}");
            (name.to_owned(), Arc::new(file))
        });
        let main = modules.next().expect("a main module").1;
        let others: std::collections::BTreeMap<_, _> = modules.collect();
        let excludes: BTreeSet<ModuleVersion> = main.excludes.iter().cloned().collect();
        let summary = |m: &ModuleVersion| others.get(&format!("{}@{}", m.path, m.version)).cloned();
        show(&select(&[main], &excludes, &summary))
    }

    fn show(selection: &Selection) -> String {
        selection.iter().map(|(path, version)| format!("{path}@{version}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn takes_the_greatest_of_the_least_versions() {
        let got = selection(
            "m 1.16: a@v1.2.0 b@v1.2.0
             a@v1.2.0 1.16: c@v1.3.0
             b@v1.2.0 1.16: c@v1.4.0
             c@v1.3.0 1.16: d@v1.2.0
             c@v1.4.0 1.16: d@v1.2.0
             c@v1.5.0 1.16: d@v1.9.0
             d@v1.2.0 1.16:",
        );
        assert_eq!(got, "a@v1.2.0 b@v1.2.0 c@v1.4.0 d@v1.2.0");
    }

    #[test]
    fn prunes_behind_dependencies_that_list_all_they_need() {
        let graph = |a: &str, main: &str| {
            selection(&format!(
                "m {main}: a@v1.0.0
                 a@v1.0.0 {a}: b@v1.0.0
                 b@v1.0.0 1.17: c@v1.0.0
                 c@v1.0.0 1.17: d@v1.0.0
                 d@v1.0.0 1.17:"
            ))
        };
        assert_eq!(graph("1.17", "1.17"), "a@v1.0.0 b@v1.0.0");
        assert_eq!(graph("1.16", "1.17"), "a@v1.0.0 b@v1.0.0 c@v1.0.0 d@v1.0.0");
        assert_eq!(graph("1.17", "1.16"), "a@v1.0.0 b@v1.0.0 c@v1.0.0 d@v1.0.0");
    }

    #[test]
    fn a_module_met_pruned_and_unpruned_is_walked_to_its_end() {
        let got = selection(
            "m 1.17: a@v1.0.0 b@v1.0.0
             a@v1.0.0 1.17: c@v1.0.0
             b@v1.0.0 1.16: a@v1.0.0
             c@v1.0.0 1.17: d@v1.0.0
             d@v1.0.0 1.17:",
        );
        assert_eq!(got, "a@v1.0.0 b@v1.0.0 c@v1.0.0 d@v1.0.0");
    }

    #[test]
    fn excluded_versions_and_the_main_module_do_not_count() {
        let got = selection(
            "m 1.16: a@v1.0.0 -b@v1.5.0
             a@v1.0.0 1.16: b@v1.5.0 b@v1.1.0 m@v9.0.0
             b@v1.1.0 1.16: m@v8.0.0
             b@v1.5.0 1.16: x@v1.0.0",
        );
        assert_eq!(got, "a@v1.0.0 b@v1.1.0");
    }

    #[test]
    fn cycles_and_missing_files_end() {
        assert_eq!(
            selection(
                "m 1.16: a@v1.0.0\n a@v1.0.0 1.16: b@v1.0.0\n b@v1.0.0 1.16: a@v1.1.0\n a@v1.1.0 1.16: b@v1.0.0 c@v1.0.0"
            ),
            "a@v1.1.0 b@v1.0.0 c@v1.0.0",
        );
    }

    #[test]
    fn direct_requirements_alone() {
        let main = ModFile::parse(b"module m\nrequire a v1.0.0\nrequire a v1.1.0\nrequire m v1.0.0\n", Dialect::GoMod);
        assert_eq!(show(&direct(&[Arc::new(main)], &BTreeSet::new())), "a@v1.1.0");
    }
}

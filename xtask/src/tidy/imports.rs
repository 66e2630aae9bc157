//! Who may import whom. The table is the architecture; ARCHITECTURE.md tells the reasons.

use std::collections::BTreeMap;
use std::path::Path;

/// For each crate, those of ours that it may depend on. A crate that isn't listed may not exist.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("residue-finding", &[]),
    ("residue-syntax", &[]),
    ("residue-project", &["residue-syntax"]),
    ("residue-types", &["residue-project", "residue-syntax"]),
    ("residue-flow", &["residue-syntax", "residue-types"]),
    ("residue-cache", &["residue-finding"]),
    (
        "residue-check",
        &["residue-cache", "residue-finding", "residue-flow", "residue-project", "residue-syntax", "residue-types"],
    ),
    ("residue-report", &["residue-finding"]),
    ("residue-gobin", &[]),
    ("residue-target", &["residue-gobin"]),
    ("residue-runtime", &["residue-finding", "residue-gobin", "residue-target"]),
    ("residue-fd", &["residue-finding"]),
    ("residue-ebpf", &["residue-fd", "residue-gobin"]),
    (
        "residue",
        &[
            "residue-cache",
            "residue-check",
            "residue-ebpf",
            "residue-fd",
            "residue-finding",
            "residue-flow",
            "residue-gobin",
            "residue-project",
            "residue-report",
            "residue-runtime",
            "residue-target",
            "residue-types",
        ],
    ),
    ("residue-testkit", &[]),
    (
        "xtask",
        &[
            "residue",
            "residue-check",
            "residue-finding",
            "residue-flow",
            "residue-gobin",
            "residue-project",
            "residue-syntax",
            "residue-types",
        ],
    ),
];

/// Tests may use the harnesses, and the loader to get at typed code.
const TESTS_MAY_IMPORT: &[&str] = &["residue-project", "residue-syntax", "residue-testkit", "residue-types"];

pub(super) fn problems(root: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    let mut manifests: Vec<_> = match std::fs::read_dir(root.join("crates")) {
        Ok(entries) => entries.flatten().map(|entry| entry.path().join("Cargo.toml")).collect(),
        Err(error) => return vec![format!("crates: {error}")],
    };
    manifests.push(root.join("xtask/Cargo.toml"));
    manifests.sort();
    for path in manifests {
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        match read.and_then(|text| text.parse::<toml::Table>().map_err(|error| error.to_string())) {
            Ok(manifest) => problems.extend(of_manifest(&shown, &manifest)),
            Err(error) => problems.push(format!("{shown}: {error}")),
        }
    }
    problems
}

fn of_manifest(path: &str, manifest: &toml::Table) -> Vec<String> {
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str());
    let name = name.unwrap_or_default();
    let table: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let Some(&may_import) = table.get(name) else {
        return vec![format!("{path}: crate {name} is not in the table of imports (xtask/src/tidy/imports.rs)")];
    };
    let mut problems = Vec::new();
    if path != "xtask/Cargo.toml" && !path.ends_with(&format!("/{name}/Cargo.toml")) {
        problems.push(format!("{path}: the folder is not named as the crate {name}"));
    }
    if manifest.get("lints").and_then(|lints| lints.get("workspace")) != Some(&toml::Value::Boolean(true)) {
        problems.push(format!("{path}: no `[lints] workspace = true`"));
    }
    let ours = |section: &str| -> Vec<String> {
        let dependencies = manifest.get(section).and_then(|section| section.as_table());
        dependencies.into_iter().flat_map(|table| table.keys()).filter(|name| table_has(name)).cloned().collect()
    };
    for dependency in ours("dependencies").iter().chain(&ours("build-dependencies")) {
        if !may_import.contains(&dependency.as_str()) {
            problems.push(format!("{path}: {name} may not import {dependency}"));
        }
    }
    for dependency in ours("dev-dependencies") {
        if !may_import.contains(&dependency.as_str()) && !TESTS_MAY_IMPORT.contains(&dependency.as_str()) {
            problems.push(format!("{path}: tests of {name} may not import {dependency}"));
        }
    }
    problems
}

fn table_has(name: &str) -> bool {
    name == "xtask" || name == "residue" || name.starts_with("residue-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        of_manifest(path, &text.parse().expect("a manifest"))
    }

    #[test]
    fn the_table_has_no_cycles() {
        for (index, (name, may_import)) in MAY_IMPORT.iter().enumerate() {
            for import in *may_import {
                let at = MAY_IMPORT.iter().position(|(name, _)| name == import);
                assert!(at.is_some_and(|at| at < index), "{name} before {import}");
            }
        }
    }

    #[test]
    fn wrong_imports_are_named() {
        let good = "package.name = 'residue-report'\nlints.workspace = true\n[dependencies]\nserde = '1'\n";
        let path = "crates/residue-report/Cargo.toml";
        assert_eq!(check(path, good), [""; 0]);
        let bad = format!("{good}residue-check.workspace = true\n");
        assert_eq!(check(path, &bad), [format!("{path}: residue-report may not import residue-check")]);
        assert_eq!(check("crates/report/Cargo.toml", good).len(), 1);
        assert_eq!(check(path, "package.name = 'residue-report'\n").len(), 1);
        assert_eq!(check("crates/x/Cargo.toml", "package.name = 'residue-x'\n").len(), 1);
    }
}

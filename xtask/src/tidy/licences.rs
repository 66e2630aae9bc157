//! That every crate compiled in comes from crates.io under a licence that `deny.toml` names.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn problems(root: &Path) -> Vec<String> {
    match (allowed(root), metadata(root)) {
        (Ok(allowed), Ok(metadata)) => {
            let packages = metadata["packages"].as_array().into_iter().flatten();
            packages.flat_map(|package| of_package(package, &allowed)).collect()
        }
        (Err(error), _) | (_, Err(error)) => vec![error],
    }
}

/// `licenses.allow` of `deny.toml`.
fn allowed(root: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(root.join("deny.toml")).map_err(|error| format!("deny.toml: {error}"))?;
    let deny: toml::Table = text.parse().map_err(|error| format!("deny.toml: {error}"))?;
    let list = deny.get("licenses").and_then(|section| section.get("allow")).and_then(|list| list.as_array());
    let names = list.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    Ok(names)
}

fn metadata(root: &Path) -> Result<Value, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

fn of_package(package: &Value, allowed: &[String]) -> Vec<String> {
    let text = |field: &str| package[field].as_str().unwrap_or_default();
    let name = format!("{} {}", text("name"), text("version"));
    let mut problems = Vec::new();
    if package["source"].as_str().is_some_and(|source| source != REGISTRY) {
        problems.push(format!("{name}: comes from {}, not from crates.io", text("source")));
    }
    if !permits(text("license"), allowed) {
        problems.push(format!("{name}: its licence `{}` is not among those of deny.toml", text("license")));
    }
    problems
}

/// Whether a licence expression can be met by the licences allowed: `(MIT OR Apache-2.0) AND Unicode-3.0`.
fn permits(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = tokens.as_slice();
    either(&mut rest, allowed).unwrap_or(false) && rest.is_empty()
}

fn either(rest: &mut &[&str], allowed: &[String]) -> Option<bool> {
    let mut met = both(rest, allowed)?;
    while let Some(after) = rest.strip_prefix(&["OR"]) {
        *rest = after;
        met |= both(rest, allowed)?;
    }
    Some(met)
}

fn both(rest: &mut &[&str], allowed: &[String]) -> Option<bool> {
    let mut met = one(rest, allowed)?;
    while let Some(after) = rest.strip_prefix(&["AND"]) {
        *rest = after;
        met &= one(rest, allowed)?;
    }
    Some(met)
}

fn one(rest: &mut &[&str], allowed: &[String]) -> Option<bool> {
    let (&first, mut after) = rest.split_first()?;
    if first == "(" {
        let met = either(&mut after, allowed)?;
        *rest = after.strip_prefix(&[")"])?;
        return Some(met);
    }
    // An exception only gives more rights.
    if let [with, _, after_exception @ ..] = after
        && *with == "WITH"
    {
        after = after_exception;
    }
    *rest = after;
    Some(allowed.iter().any(|name| name == first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_understood() {
        let allowed = ["MIT".to_owned(), "Apache-2.0".to_owned()];
        for good in [
            "MIT",
            "MIT/GPL-3.0",
            "GPL-3.0 OR MIT",
            "(GPL-3.0 OR MIT) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
            "GPL-3.0 OR MIT AND Apache-2.0",
        ] {
            assert!(permits(good, &allowed), "{good}");
        }
        for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT)", "MIT OR", "(MIT OR Apache-2.0) AND X"] {
            assert!(!permits(bad, &allowed), "{bad}");
        }
    }
}

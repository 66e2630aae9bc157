//! Pages of `docs/` that are made from the code: one a rule, an index of them, and the command line.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use residue_finding::RuleMeta;

/// Says on top of each page where it comes from.
const GENERATED: &str = "<!-- Made by `cargo xtask docs`; edit the rule's source file or the flags instead. -->\n\n";

/// Every page by its path below the root.
pub(crate) fn pages() -> BTreeMap<PathBuf, String> {
    let mut pages = BTreeMap::new();
    for rule in residue_cli::rules() {
        pages.insert(rule_path(rule), rule_page(rule));
    }
    pages.insert(PathBuf::from("docs/rules/README.md"), index());
    pages.insert(PathBuf::from("docs/cli.md"), command_line());
    pages
}

/// Writes the pages and removes those of rules that are gone.
pub(crate) fn write(root: &Path) -> Result<(), Box<dyn Error>> {
    let pages = pages();
    std::fs::create_dir_all(root.join("docs/rules"))?;
    for path in stale(root, &pages)? {
        std::fs::remove_file(root.join(path))?;
    }
    for (path, text) in pages {
        std::fs::write(root.join(path), text)?;
    }
    Ok(())
}

/// What is on disk and not what it should be, for tidy.
pub(crate) fn problems(root: &Path) -> Vec<String> {
    let pages = pages();
    let mut problems = Vec::new();
    for (path, text) in &pages {
        if std::fs::read_to_string(root.join(path)).ok().as_deref() != Some(text) {
            problems.push(format!("{}: not up to date; run `cargo xtask docs`", path.display()));
        }
    }
    // The output that the README shows is real: it stands in the results that CI compares.
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let readme = read("README.md");
    let shown = readme.split("$ residue check\n").nth(1).and_then(|rest| rest.split("\n```").next());
    if !shown.is_some_and(|shown| !shown.trim().is_empty() && read("docs/results/cilium-ebpf.txt").contains(shown)) {
        problems.push("README.md: the output shown is not in docs/results/cilium-ebpf.txt".to_owned());
    }
    match stale(root, &pages) {
        Ok(stale) => {
            let gone =
                stale.iter().map(|path| format!("{}: no rule has this page; run `cargo xtask docs`", path.display()));
            problems.extend(gone);
        }
        Err(error) => problems.push(format!("docs/rules: {error}")),
    }
    problems
}

/// Pages of rules that are gone.
fn stale(root: &Path, pages: &BTreeMap<PathBuf, String>) -> std::io::Result<Vec<PathBuf>> {
    let mut stale = Vec::new();
    for entry in std::fs::read_dir(root.join("docs/rules"))? {
        let path = Path::new("docs/rules").join(entry?.file_name());
        if !pages.contains_key(&path) {
            stale.push(path);
        }
    }
    stale.sort();
    Ok(stale)
}

fn rule_path(rule: &RuleMeta) -> PathBuf {
    PathBuf::from(format!("docs/rules/{}.md", rule.code))
}

fn rule_page(rule: &RuleMeta) -> String {
    let cwe: Vec<String> = rule
        .cwe
        .iter()
        .map(|number| format!("[CWE-{number}](https://cwe.mitre.org/data/definitions/{number}.html)"))
        .collect();
    let default = if rule.default_on { "on" } else { "off" };
    format!(
        "{GENERATED}# {} {}\n\n| severity | confidence | by default | see |\n|---|---|---|---|\n| {} | {} | {default} | {} |\n\n{}\n",
        rule.code,
        rule.name,
        rule.severity,
        rule.confidence,
        cwe.join(", "),
        rule.page().trim(),
    )
}

fn index() -> String {
    let mut index =
        format!("{GENERATED}# Rules\n\n| code | name | finds | severity | by default |\n|---|---|---|---|---|\n");
    for rule in residue_cli::rules() {
        let default = if rule.default_on { "on" } else { "off" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            index,
            "| [{0}]({0}.md) | `{1}` | {2} | {3} | {default} |",
            rule.code, rule.name, rule.summary, rule.severity
        );
    }
    index
}

fn command_line() -> String {
    let mut command = residue_cli::command().term_width(100);
    command.build();
    let mut page = format!("{GENERATED}# Command line\n\n```text\n{}\n```\n", help(&command));
    for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let _ = write!(page, "\n## residue {}\n\n```text\n{}\n```\n", subcommand.get_name(), help(subcommand));
    }
    // Links lead somewhere from either place.
    page.push_str(&include_str!("docs/environment.md").replace("](../../../docs/", "]("));
    page
}

fn help(command: &clap::Command) -> String {
    let text = command.clone().term_width(100).render_help().to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

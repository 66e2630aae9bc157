//! The lab's programs as the source lens sees them: each finding is where
//! `expect.toml` says that something leaks, and there is no other.
//!
//! The same findings are asked of a machine that has Go and the module cache,
//! and of one that has neither.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// A scenario's expectations, as far as this lens is concerned.
#[derive(Deserialize)]
struct Scenario {
    #[serde(default)]
    check: Vec<Expected>,
}

/// One finding that a scenario expects.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    rule: String,
    /// Relative to the scenario.
    file: PathBuf,
    /// The line is the one that ends in `// lab: <mark>`.
    mark: String,
    /// Why the rule doesn't find it, if it is known not to.
    missed: Option<String>,
}

/// What is compared of a finding.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    /// Relative to the lab, with forward slashes.
    file: String,
    line: u64,
    rule: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lab/{}:{}: {}", self.file, self.line, self.rule)
    }
}

/// All that the scenarios expect.
#[derive(Default)]
struct Expectations {
    scenarios: usize,
    found: BTreeSet<Found>,
    /// Known to be missed, with the reason.
    missed: Vec<(Found, String)>,
}

#[test]
fn finds_what_the_lab_leaks_and_nothing_else() {
    let mut command = check();
    command.env("GOTOOLCHAIN", "local");
    compare(&mut command);
}

#[test]
fn finds_the_same_without_go_and_without_dependencies() {
    let bare = tempfile::tempdir().expect("a directory for the test");
    let mut command = check();
    command.env_clear().env("HOME", bare.path()).env("GOMODCACHE", bare.path().join("mod")).env("GOENV", "off");
    compare(&mut command);
}

fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab")
}

fn check() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
    command.current_dir(lab()).args(["check", "--format", "json", "./..."]).stdin(Stdio::null());
    command
}

/// Runs the command and says all at once where it differs from the expectations.
fn compare(command: &mut Command) {
    let expected = expectations();
    assert!(expected.scenarios > 0, "no scenario in {}", lab().display());
    let found = findings(command);
    let mut complaints = String::new();
    for missing in expected.found.difference(&found) {
        writeln!(complaints, "not found: {missing}").expect("a string takes everything");
    }
    for invented in found.difference(&expected.found) {
        match expected.missed.iter().find(|(missed, _)| missed == invented) {
            Some((_, why)) => writeln!(complaints, "no longer missed: {invented} (expect.toml says: {why})"),
            None => writeln!(complaints, "not expected: {invented}"),
        }
        .expect("a string takes everything");
    }
    assert!(complaints.is_empty(), "{complaints}");
}

/// Reads every `expect.toml`.
fn expectations() -> Expectations {
    let mut expectations = Expectations::default();
    let scenarios = lab().join("scenarios");
    for entry in std::fs::read_dir(&scenarios).expect("the lab has scenarios") {
        let dir = entry.expect("an entry of a directory").path();
        let name = dir.file_name().expect("an entry has a name").to_str().expect("a name in UTF-8");
        let text = std::fs::read_to_string(dir.join("expect.toml")).expect("a scenario has an expect.toml");
        let scenario: Scenario = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}/expect.toml: {e}"));
        expectations.scenarios += 1;
        for Expected { rule, file, mark, missed } in scenario.check {
            let line = marked_line(&dir.join(&file), &mark);
            let file = Path::new("scenarios").join(name).join(file).to_string_lossy().replace('\\', "/");
            let found = Found { file, line, rule };
            match missed {
                Some(why) => expectations.missed.push((found, why)),
                None => assert!(expectations.found.insert(found), "{name}/expect.toml says the same twice"),
            }
        }
    }
    expectations
}

/// The number of the line that carries a mark.
fn marked_line(path: &Path, mark: &str) -> u64 {
    let source = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let comment = format!("// lab: {mark}");
    let mut lines = (1..).zip(source.lines()).filter(|(_, line)| line.ends_with(&comment));
    match (lines.next(), lines.next()) {
        (Some((number, _)), None) => number,
        _ => panic!("{}: the mark {mark:?} has to be on one line", path.display()),
    }
}

/// Runs the command and returns the places of its findings.
fn findings(command: &mut Command) -> BTreeSet<Found> {
    let output = command.output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "it should end with findings\n{stderr}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report in JSON");
    let list = report["findings"].as_array().expect("a list of findings");
    list.iter().map(place).collect()
}

fn place(finding: &serde_json::Value) -> Found {
    let text = |value: &serde_json::Value| value.as_str().expect("a string").to_owned();
    Found {
        file: text(&finding["site"]["path"]),
        line: finding["site"]["start"]["line"].as_u64().expect("a line number"),
        rule: text(&finding["rule"]),
    }
}

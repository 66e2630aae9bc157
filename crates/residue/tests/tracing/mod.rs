//! Builds the programs of `tests/programs`, follows them and reads the report.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "each test uses a part of it; what fails, fails it"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use residue_testkit::go::{Go, releases};
use residue_testkit::schema;
use serde_json::Value;
use tempfile::TempDir;

/// Whether this machine can't be asked; that is said past the harness, which holds back what passing tests print.
pub(crate) fn without_bpf() -> bool {
    let without = std::env::var_os("RESIDUE_TEST_WITHOUT_BPF").is_some();
    if without {
        let _ = writeln!(std::io::stderr(), "NOT TESTED: tracing, as RESIDUE_TEST_WITHOUT_BPF asks for");
    }
    without
}

pub(crate) struct Built {
    pub(crate) folder: TempDir,
    pub(crate) program: PathBuf,
}

pub(crate) fn build(go: &Go, name: &str, flags: &[&str]) -> Built {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name).join("main.go");
    let program = folder.path().join(name);
    go.build(&source, flags, &program);
    Built { folder, program }
}

pub(crate) fn newest() -> Go {
    releases().pop().expect("a release")
}

pub(crate) fn trace(args: &[&str], command: &[&str]) -> Output {
    let mut residue = Command::new(env!("CARGO_BIN_EXE_residue"));
    residue.arg("trace").args(args);
    if !command.is_empty() {
        residue.arg("--").args(command);
    }
    residue.output().expect("residue runs")
}

/// What the command printed, and the report behind it.
pub(crate) fn report(args: &[&str], command: &[&str]) -> (String, Value) {
    let output = trace(&[args, &["--format", "json"]].concat(), command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    let text = String::from_utf8(output.stdout).expect("text");
    let at = text.find("{\n").unwrap_or_else(|| panic!("no report: {text}\n{said}"));
    let report = serde_json::from_str(&text[at..]).expect("JSON");
    let schema = include_str!("../../../../docs/schema/trace.schema.json");
    let mistakes = schema::mistakes(&serde_json::from_str(schema).expect("the schema is JSON"), &report);
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    (text[..at].to_owned(), report)
}

pub(crate) fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().expect("a list")
}

pub(crate) fn has_frame(site: &Value, function: &str) -> bool {
    list(site, "frames").iter().any(|frame| frame["function"] == function)
}

/// Openers with such a function on their stack.
pub(crate) fn by<'v>(report: &'v Value, function: &str) -> Vec<&'v Value> {
    list(report, "openers").iter().filter(|opener| has_frame(opener, function)).collect()
}

pub(crate) fn sum(openers: &[&Value], key: &str) -> u64 {
    openers.iter().map(|opener| opener[key].as_u64().expect("a number")).sum()
}

/// Files opened, closed, and open at the end, by openers with such a function. The first file of a process has the runtime
/// open what it polls with, which is none.
pub(crate) fn lives(report: &Value, function: &str) -> (u64, u64, u64) {
    let openers: Vec<&Value> = by(report, function).into_iter().filter(|opener| opener["kind"] == "file").collect();
    (sum(&openers, "opened"), sum(&openers, "closed"), sum(&openers, "ended") + sum(&openers, "live"))
}

/// What makes counts wrong has not happened.
pub(crate) fn nothing_lost(report: &Value) {
    for what in ["live", "sites", "tables", "pairs", "events", "compat"] {
        assert_eq!(report["losses"][what], 0, "{what}: {}", report["losses"]);
    }
}

/// Messages with their rules.
pub(crate) fn found(report: &Value) -> Vec<(String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().expect("text").to_owned();
    list(report, "findings").iter().map(|finding| (text(finding, "rule"), text(finding, "declaration"))).collect()
}

//! The lab's programs as the kernel lens sees them: under a steady load, what `expect.toml` says grows in the leaky variant, with
//! the right stack, count and class; the corrected one, followed until it ends, is without a finding.
//!
//! Needs root and a kernel with eBPF, see `trace.rs`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::Value;

/// Requests before the count at rest (`warmUp` in lab/internal/drive); the collector runs after them, and then no more.
const WARM_UP: u64 = 2;
/// Programs that run at once: they mostly wait.
const AT_ONCE: usize = 6;

#[derive(Deserialize)]
struct Scenario {
    #[serde(default)]
    trace: Vec<Expected>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    rule: String,
    /// The stack has the line that ends in `// lab: <mark>`.
    mark: Option<String>,
    /// The stack has this function.
    function: Option<String>,
    class: Option<String>,
    /// Descriptors that each request opens.
    each: Option<u64>,
    /// So many fewer in all.
    #[serde(default)]
    fewer: u64,
    /// Why nothing is to be found.
    missed: Option<String>,
}

/// A program followed: what it printed, and the report.
struct Followed {
    /// Requests that it says it served under load.
    requests: Option<u64>,
    /// What it and residue said on stderr.
    said: String,
    report: Value,
}

fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab")
}

fn build(name: &str, variant: &str, folder: &Path) -> PathBuf {
    let program = folder.join(format!("{name}-{variant}"));
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(format!("./scenarios/{name}/{variant}")).current_dir(lab());
    let output = build.env("GOTOOLCHAIN", "local").output().expect("`go` on PATH");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Follows a program until it ends or, as `flags` may say, until it is idle; then it is ended.
fn follow(program: &Path, flags: &[&str], args: &[&str]) -> Followed {
    let mut residue = Command::new(env!("CARGO_BIN_EXE_residue"));
    residue.args(["trace", "--format", "json", "--window", "1s"]).args(flags).arg("--").arg(program).args(args);
    let mut child = residue.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("residue runs");
    let (mut requests, mut pid, mut json) = (None, None, String::new());
    // The program may hold the pipe open longer than residue runs; the report ends with its last brace.
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        let line = line.expect("text");
        if line == "{" || !json.is_empty() {
            json.push_str(&line);
            if line == "}" {
                break;
            }
        } else if let Some(said) = line.strip_prefix("serving pid=") {
            pid = Some(said.to_owned());
        } else if line.starts_with("evidence: ") {
            let word = line.split(' ').find_map(|word| word.strip_prefix("requests="));
            requests = word.and_then(|word| word.parse().ok());
        }
    }
    child.wait().expect("residue ends");
    if let Some(pid) = pid {
        // It may have ended by itself.
        let _ = Command::new("kill").arg(pid).stderr(Stdio::null()).status();
    }
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    Followed { requests, said, report: serde_json::from_str(&json).expect("a report in JSON") }
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().expect("a number")
}

/// The number of the line that carries a mark.
fn marked_line(name: &str, mark: &str) -> u64 {
    let source = std::fs::read_to_string(lab().join("scenarios").join(name).join("leaky/main.go")).expect("the source");
    let comment = format!("// lab: {mark}");
    let found = (1..).zip(source.lines()).find(|(_, line)| line.ends_with(&comment));
    found.unwrap_or_else(|| panic!("{name}: no line is marked {mark:?}")).0
}

/// Whether a stack is the one that is expected.
fn is_at(name: &str, site: &Value, expected: &Expected) -> bool {
    let line = expected.mark.as_ref().map(|mark| marked_line(name, mark));
    let file = format!("scenarios/{name}/leaky/main.go");
    list(site, "frames").iter().any(|frame| {
        let by_line = line.is_some_and(|line| {
            frame["line"] == line && frame["file"].as_str().is_some_and(|path| path.ends_with(&file))
        });
        by_line || expected.function.as_ref().is_some_and(|function| frame["function"] == function.as_str())
    })
}

/// What is wrong with what was found in the leaky variant.
fn leaky(name: &str, found: &Followed, expected: &[Expected]) -> Vec<String> {
    let mut wrong = Vec::new();
    let wanted: BTreeSet<&str> = expected.iter().filter(|e| e.missed.is_none()).map(|e| e.rule.as_str()).collect();
    let rules: BTreeSet<&str> = list(&found.report, "findings").iter().filter_map(|f| f["rule"].as_str()).collect();
    if rules != wanted {
        wrong.push(format!("found {rules:?}, not {wanted:?}: {:#}", found.report["findings"]));
    }
    let leaks: Vec<&Value> = list(&found.report, "openers").iter().filter(|o| o["leak"].is_string()).collect();
    for expected in expected.iter().filter(|expected| expected.missed.is_none()) {
        if expected.rule != "K101" {
            if !list(&found.report, "bad_closes").iter().any(|bad| is_at(name, &bad["closer"], expected)) {
                wrong.push(format!("{} is not where it should be: {:#}", expected.rule, found.report["bad_closes"]));
            }
            continue;
        }
        let mine: Vec<&&Value> = leaks.iter().filter(|leak| is_at(name, leak, expected)).collect();
        if mine.is_empty() {
            wrong.push(format!("nothing leaks at {:?} {:?}", expected.mark, expected.function));
        }
        for leak in mine {
            if expected.class.as_deref().is_some_and(|class| leak["class"] != class) {
                wrong.push(format!("class {} instead of {:?}: {leak:#}", leak["class"], expected.class));
            }
            let (opened, closed, live) = (number(leak, "opened"), number(leak, "closed"), number(leak, "live"));
            let served = found.requests.unwrap_or(0) + WARM_UP;
            if expected.each.is_some_and(|each| opened != each * served - expected.fewer) || opened - closed != live {
                wrong.push(format!("{served} requests, {opened} opened, {closed} closed, {live} live"));
            }
        }
    }
    // What leaks where nothing is expected to.
    for leak in leaks.iter().filter(|leak| !expected.iter().any(|expected| is_at(name, leak, expected))) {
        wrong.push(format!("not expected: {leak:#}"));
    }
    wrong
}

fn run(name: &str, variant: &str, expected: &[Expected], folder: &Path) -> Option<Vec<String>> {
    let program = build(name, variant, folder);
    let grows = expected.iter().all(|expected| expected.rule == "K101");
    let silent = expected.iter().any(|expected| expected.missed.is_some());
    let found = match (variant, grows) {
        // Closes that go wrong are seen by their end, growth is not.
        (_, false) => follow(&program, &["--closes"], &["-requests", "50"]),
        ("leaky", true) if !silent => {
            follow(&program, &["--until-idle", "1200ms"], &["-every", "50ms", "-for", "5s", "-hold"])
        }
        _ => follow(&program, &[], &["-every", "50ms", "-for", "5s"]),
    };
    if found.requests.is_none() {
        let permitted = !found.said.contains("not permitted on this machine");
        return permitted.then(|| vec![format!("it didn't come to the end of its load: {}", found.said)]);
    }
    let lost = ["live", "sites", "tables", "pairs", "events"].map(|what| number(&found.report["losses"], what));
    if lost != [0; 5] {
        return Some(vec![format!("lost: {}", found.report["losses"])]);
    }
    if variant == "leaky" {
        return Some(leaky(name, &found, expected));
    }
    let findings = list(&found.report, "findings");
    Some(findings.iter().map(|finding| format!("not expected: {finding:#}")).collect())
}

#[test]
fn what_the_lab_leaks_is_seen_to_grow_and_what_it_closes_is_not() {
    if std::env::var_os("RESIDUE_TEST_WITHOUT_BPF").is_some() {
        let _ = writeln!(std::io::stderr(), "NOT TESTED: tracing, as RESIDUE_TEST_WITHOUT_BPF asks for");
        return;
    }
    let mut jobs = Vec::new();
    for entry in std::fs::read_dir(lab().join("scenarios")).expect("the lab") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(path.join("expect.toml")).expect("expectations");
        let scenario: Scenario = toml::from_str(&text).expect("expectations");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !scenario.trace.is_empty() {
            jobs.extend(["leaky", "fixed"].map(|variant| (name.clone(), variant, scenario.trace.clone())));
        }
    }
    // Both variants of a scenario give the kernel objects of one name, which they count: they must not run at once.
    jobs.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    let folder = tempfile::tempdir().expect("a folder");
    let (jobs, wrong) = (Mutex::new(jobs.into_iter()), Mutex::new(Vec::new()));
    let asked = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = jobs.lock().expect("nobody panicked").next();
                    let Some((name, variant, expected)) = next else { return };
                    let Some(found) = run(&name, variant, &expected, folder.path()) else {
                        let _ = writeln!(std::io::stderr(), "{name}/{variant}: NOT TESTED, not permitted here");
                        continue;
                    };
                    asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let found = found.into_iter().map(|what| format!("{name}/{variant}: {what}"));
                    wrong.lock().expect("nobody panicked").extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panicked");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let asked = asked.into_inner();
    assert!(asked >= 40, "{asked} programs were asked");
}

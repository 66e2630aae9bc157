//! The lab's programs as the process lens sees them: what `expect.toml` says is found in the leaky variant after its load, and
//! not in the corrected one.
#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test that cannot set up fails, and one that is not permitted says so"
)]

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use residue_testkit::go::Running;
use serde::Deserialize;
use serde_json::Value;

/// The exit code of a program whose experiment the machine doesn't allow.
const NOT_PERMITTED: i32 = 77;

#[derive(Deserialize)]
struct Scenario {
    run: Run,
    #[serde(default)]
    inspect: Vec<Expected>,
}

#[derive(Deserialize)]
struct Run {
    requests: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    rule: String,
}

fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab")
}

/// How long a program may take to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program, which is told to end: some have a file system to unmount.
struct Held {
    running: Running,
    /// What it said before its evidence.
    said: Vec<String>,
}

impl Deref for Held {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Running {
        &mut self.running
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let told = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        let since = Instant::now();
        while told.as_ref().is_ok_and(std::process::ExitStatus::success)
            && since.elapsed() < PATIENCE
            && self.is_alive()
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Builds and runs a variant until its load is over; none when the machine doesn't allow it.
fn held(name: &str, variant: &str, requests: u32, folder: &Path) -> Option<Held> {
    let program = folder.join(format!("{name}-{variant}"));
    let source = format!("./scenarios/{name}/{variant}");
    let mut build = Command::new("go");
    let output = build.args(["build", "-ldflags=-s -w", "-o"]).arg(&program).arg(&source).current_dir(lab()).output();
    let output = output.expect("`go` on PATH");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let arguments = ["-requests", &requests.to_string(), "-hold"].map(str::to_owned);
    let mut running = Running::start(Command::new(&program).args(arguments).env("TMPDIR", folder));
    let mut said = Vec::new();
    loop {
        match running.line() {
            Some(line) if line.starts_with("evidence: ") => return Some(Held { running, said }),
            Some(line) => said.push(line),
            None => {
                assert_eq!(running.code(), Some(NOT_PERMITTED), "{name}/{variant} ended without evidence");
                return None;
            }
        }
    }
}

/// What a view says of a program.
fn inspect(running: &Running, view: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
    command.args(["inspect", &running.pid().to_string()]).args(view).args(["--format", "json"]);
    let output = command.output().expect("residue runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Rules that have findings, and the whole output.
fn rules(running: &Running) -> (BTreeSet<String>, Value) {
    let document = inspect(running, &[]);
    let findings = document["findings"].as_array().expect("findings").iter();
    (findings.map(|finding| finding["rule"].as_str().expect("a code").to_owned()).collect(), document)
}

#[test]
fn processes_show_what_the_lab_leaks() {
    let folder = tempfile::tempdir().expect("a directory for the test");
    let mut asked = 0;
    for entry in std::fs::read_dir(lab().join("scenarios")).expect("the lab") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(path.join("expect.toml")).expect("expectations");
        let scenario: Scenario = toml::from_str(&text).expect("expectations");
        let expected: BTreeSet<String> = scenario.inspect.into_iter().map(|expected| expected.rule).collect();
        if expected.is_empty() {
            continue;
        }
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        for variant in ["leaky", "fixed"] {
            let Some(running) = held(&name, variant, scenario.run.requests, folder.path()) else {
                eprintln!("{name}/{variant}: NOT TESTED, this machine does not permit it");
                continue;
            };
            let (found, document) = rules(&running);
            if variant == "leaky" {
                assert!(expected.is_subset(&found), "{name}/{variant}: {document:#}");
            } else {
                assert!(expected.is_disjoint(&found), "{name}/{variant}: {document:#}");
            }
            asked += 1;
        }
    }
    assert!(asked >= 6, "{asked} programs were asked");
}

/// What the key lies in is there in both variants: returned calls, below the stack pointer of a goroutine that waits. Whether
/// the key does is what the program counts.
#[test]
fn stacks_show_what_returned_calls_have_left() {
    const REQUESTS: u32 = 20;
    let folder = tempfile::tempdir().expect("a directory for the test");
    for variant in ["leaky", "fixed"] {
        let running = held("stack-key-left", variant, REQUESTS, folder.path()).expect("it needs nothing");
        let document = inspect(&running, &["goroutines", "--function", "main.serve"]);
        let goroutines = document["goroutines"].as_array().expect("goroutines");
        // Two more for warming up.
        assert_eq!(goroutines.len(), REQUESTS as usize + 2, "{document:#}");
        let id = goroutines[goroutines.len() / 2]["id"].to_string();
        let document = inspect(&running, &["stack", &id]);
        let stack = &document["stack"];
        let (size, used, dead) = (&stack["size"], &stack["used"], &stack["dead"]);
        assert_eq!(size.as_u64(), used.as_u64().zip(dead["bytes"].as_u64()).map(|(a, b)| a + b), "{document:#}");
        let stale = dead["stale"].as_array().expect("calls");
        let left = stale.iter().find(|left| left["call"]["function"] == "main.prove");
        // Its frame has 2 kB, and lies beyond what waiting overwrites.
        let below = left.unwrap_or_else(|| panic!("{document:#}"))["below"].as_u64();
        assert!(below.is_some_and(|below| below > 1024 && below < size.as_u64().unwrap_or(0)), "{document:#}");
        assert!(dead["nonzero"].as_u64().is_some_and(|nonzero| nonzero > 0), "{document:#}");
        // The deferred closure is in the frame, for it doesn't escape, and has captured a text: the name of the peer.
        let frames = stack["frames"].as_array().expect("frames");
        let serve = frames.iter().find(|frame| frame["function"]["function"] == "main.serve").expect("it waits");
        let closure = &serve["closures"][0];
        assert_eq!(closure["lives"], "frame", "{document:#}");
        let captured = &closure["captured"][0]["words"][0];
        assert_eq!((&captured["kind"], &captured["len"]), (&"text".into(), &23.into()), "{document:#}");
    }
}

/// Each tenant's map, as the program says: path, id, descriptor, and the object that the library has for it.
#[test]
fn pins_stand_beside_descriptors_and_what_holds_them() {
    const REQUESTS: u32 = 20;
    let folder = tempfile::tempdir().expect("a directory for the test");
    for variant in ["leaky", "fixed"] {
        let Some(running) = held("ebpf-map-pinned-tenants", variant, REQUESTS, folder.path()) else {
            eprintln!("pins/{variant}: NOT TESTED, this machine does not permit it");
            continue;
        };
        let document = inspect(&running, &["fds"]);
        let said: Vec<Vec<&str>> = running
            .said
            .iter()
            .map(|line| line.split(' ').filter_map(|word| Some(word.split_once('=')?.1)).collect())
            .collect();
        // Two more for warming up.
        assert_eq!(said.len(), REQUESTS as usize + 2, "{:?}", running.said);
        if variant == "fixed" {
            assert_eq!(document["ebpf"], Value::Null, "{document:#}");
            continue;
        }
        let objects = document["ebpf"]["objects"].as_array().expect("objects");
        assert_eq!(objects.len(), said.len(), "{document:#}");
        for tenant in &said {
            let [path, map, fd, _] = tenant[..] else { panic!("{tenant:?}") };
            let id: u64 = map.parse().expect("a number");
            let found = objects.iter().find(|object| object["kind"] == "map" && object["id"] == id);
            let found = found.unwrap_or_else(|| panic!("no map {map}: {document:#}"));
            assert_eq!(found["pins"], serde_json::json!([{"path": path}]), "{found:#}");
            let descriptors = found["descriptors"].as_array().expect("descriptors");
            assert_eq!(descriptors.len(), 1, "{found:#}");
            let descriptor = &descriptors[0];
            assert_eq!(descriptor["fd"].to_string(), fd, "{found:#}");
            assert_eq!(descriptor["flag_names"], serde_json::json!(["O_RDWR", "O_CLOEXEC"]), "{found:#}");
            let holder = &descriptor["holders"][0];
            assert_eq!((&holder["type"], &holder["above"][0]), (&"sys.FD".into(), &"ebpf.Map".into()), "{found:#}");
        }
        // The way to one of them goes by the library's object.
        let why = inspect(&running, &["why", &format!("fd:{}", said[3][2])]);
        let steps = why["why"]["holdings"][0]["steps"].as_array().expect("steps");
        assert!(steps.iter().any(|step| step["address"] == said[3][3] && step["type"] == "ebpf.Map"), "{why:#}");

        let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
        let output = command.args(["inspect", &running.pid().to_string(), "fds"]).output().expect("residue runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("\n22 eBPF objects, 22 of them pinned\n"), "{text}");
        let first =
            format!("  map {}\n    pin  {}\n    fd {}  O_RDWR|O_CLOEXEC\n      0x", said[0][1], said[0][0], said[0][2]);
        assert!(text.contains(&first) && text.contains("  sys.FD ← ebpf.Map ← main.tenant ← "), "{text}");
    }
}

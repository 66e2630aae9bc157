//! Goroutines and linked deferred calls beside Delve, where there is one: `dlv` on PATH or named by `RESIDUE_TEST_DLV`.
//! Delve needs symbols, and knows no open-coded deferred calls.
#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test that cannot set up fails"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use residue_testkit::go::{Running, releases};
use serde_json::{Value, json};

/// Frames that Delve is asked for.
const DEPTH: u32 = 60;

/// Delve attached to a process, which goes on when this is dropped.
struct Delve {
    server: Child,
    connection: BufReader<TcpStream>,
    calls: u64,
}

impl Delve {
    fn attach(dlv: &Path, pid: u32, folder: &Path) -> Self {
        let mut command = Command::new(dlv);
        command.args(["attach", &pid.to_string(), "--headless", "--api-version=2", "--check-go-version=false"]);
        command.env("HOME", folder).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
        let mut server = command.spawn().expect("Delve starts");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut line).expect("Delve says where it is");
        let address = line.trim().strip_prefix("API server listening at: ").unwrap_or_else(|| panic!("{line:?}"));
        let connection = BufReader::new(TcpStream::connect(address).expect("Delve listens"));
        Self { server, connection, calls: 0 }
    }

    fn call(&mut self, method: &str, argument: &Value) -> Value {
        self.calls += 1;
        let request = json!({"method": format!("RPCServer.{method}"), "params": [argument], "id": self.calls});
        self.connection.get_mut().write_all(format!("{request}\n").as_bytes()).expect("Delve listens");
        let mut line = String::new();
        self.connection.read_line(&mut line).expect("Delve answers");
        let mut answer: Value = serde_json::from_str(&line).expect("JSON");
        assert!(answer["error"].is_null(), "{method}: {answer:#}");
        answer["result"].take()
    }
}

impl Drop for Delve {
    fn drop(&mut self) {
        let detach = json!({"method": "RPCServer.Detach", "params": [{"Kill": false}], "id": 0});
        let _ = self.connection.get_mut().write_all(format!("{detach}\n").as_bytes());
        let _ = self.connection.read_line(&mut String::new());
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What either says of a goroutine.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: String,
    /// Functions with their lines, innermost first, inlined ones too.
    stack: Vec<(String, String, u64)>,
    /// Linked deferred calls, the next one first: who defers, and the line of the statement. Delve looks through the function
    /// that wraps a call with arguments, so that functions have different names.
    deferred: Vec<(String, u64)>,
}

fn dlv() -> Option<PathBuf> {
    let named = std::env::var_os("RESIDUE_TEST_DLV").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("dlv")).find(|path| path.is_file());
    let found = named.or(on_path);
    if found.is_none() {
        eprintln!("left out: there is no Delve");
    }
    found
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn ours(pid: u32, minor: u32) -> BTreeMap<u64, (Told, bool)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
    command.args(["inspect", &pid.to_string(), "goroutines", "--system", "--format", "json"]);
    let output = command.output().expect("residue runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let goroutines = document["goroutines"].as_array().expect("goroutines").iter();
    let told = goroutines.map(|goroutine| {
        let frames = goroutine["stack"].as_array().expect("a stack").iter();
        let stack =
            frames.map(|frame| (text(&frame["function"]), text(&frame["file"]), frame["line"].as_u64().unwrap_or(0)));
        let all = goroutine["deferred"].as_array().expect("calls");
        let linked = all.iter().filter(|call| call["kind"] == "stack record" || call["kind"] == "heap record");
        let statement =
            |call: &Value| (text(&call["deferred_by"]["function"]), call["function"]["line"].as_u64().unwrap_or(0));
        let deferred = linked.map(statement).collect();
        // Loops over functions have lists of their own, which Delve doesn't go through; and before 1.22 a panic puts a record
        // for all open-coded calls of a frame among the linked ones, which Delve takes for a call.
        let unwinds = !matches!(goroutine["phase"].as_str(), Some("running" | "returning"));
        let plain = !(minor < 22 && unwinds) && all.iter().all(|call| call["kind"] != "range-over-func record");
        let told = Told { status: text(&goroutine["status"]), stack: stack.collect(), deferred };
        (goroutine["id"].as_u64().expect("a number"), (told, plain))
    });
    told.collect()
}

fn theirs(delve: &mut Delve) -> BTreeMap<u64, Told> {
    // `runtime/runtime2.go`: the states of goroutines, in order.
    const STATUS: [&str; 10] =
        ["idle", "runnable", "running", "syscall", "waiting", "", "dead", "", "copystack", "preempted"];
    let list = delve.call("ListGoroutines", &json!({"Start": 0, "Count": 0}));
    let mut told = BTreeMap::new();
    for goroutine in list["Goroutines"].as_array().expect("goroutines") {
        let id = goroutine["id"].as_u64().expect("a number");
        let status = goroutine["status"].as_u64().and_then(|status| STATUS.get(status as usize & 0xfff).copied());
        // 2: with deferred calls (`service/api/types.go`, `StacktraceReadDefers`).
        let trace = delve.call("Stacktrace", &json!({"Id": id, "Depth": DEPTH, "Opts": 2, "Defers": true}));
        let frames = trace["Locations"].as_array().expect("frames");
        let stack = frames
            .iter()
            .map(|frame| (text(&frame["function"]["name"]), text(&frame["file"]), frame["line"].as_u64().unwrap_or(0)));
        let calls = frames.iter().flat_map(|frame| frame["Defers"].as_array().into_iter().flatten());
        let deferred = calls
            .map(|call| (text(&call["DeferLoc"]["function"]["name"]), call["DeferLoc"]["line"].as_u64().unwrap_or(0)));
        let told_now =
            Told { status: status.unwrap_or("").to_owned(), stack: stack.collect(), deferred: deferred.collect() };
        told.insert(id, told_now);
    }
    told
}

#[test]
fn goroutines_and_linked_deferred_calls_are_those_of_delve() {
    let Some(dlv) = dlv() else { return };
    let folder = tempfile::tempdir().expect("a directory for the test");
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../residue-runtime/tests/programs");
    for go in releases() {
        let source = folder.path().join(format!("{}-source", go.version));
        std::fs::create_dir(&source).expect("a directory for the test");
        for name in ["truth.go", "truth_range.go"] {
            std::fs::copy(programs.join(name), source.join(name)).expect("the program");
        }
        let module = format!("module example.com/held\n\ngo 1.{}\n", go.minor());
        std::fs::write(source.join("go.mod"), module).expect("a directory for the test");
        let program = folder.path().join(&go.version);
        let mut build = go.command(&["build", "-o"]);
        build.arg(&program).arg(".").current_dir(&source).env("GO111MODULE", "on").env("CGO_ENABLED", "0");
        let built = build.output().expect("the go command runs");
        assert!(built.status.success(), "{}: {}", go.version, String::from_utf8_lossy(&built.stderr));
        let mut running = Running::start(&mut Command::new(&program));
        running.lines_until("ready");

        let ours = ours(running.pid(), go.minor());
        let mut delve = Delve::attach(&dlv, running.pid(), folder.path());
        let theirs = theirs(&mut delve);
        drop(delve);
        assert!(running.is_alive(), "{}: Delve let it go", go.version);
        let numbers = |told: &mut dyn Iterator<Item = u64>| told.collect::<Vec<_>>();
        assert_eq!(numbers(&mut ours.keys().copied()), numbers(&mut theirs.keys().copied()), "{}", go.version);
        let (mut frames, mut calls, mut still) = (0, 0, 0);
        let mut differing = Vec::new();
        for (id, (our, plain)) in &ours {
            let their = &theirs[id];
            // What runs has moved on from one look to the next.
            if our.status != "waiting" || their.status != "waiting" {
                continue;
            }
            still += 1;
            frames += our.stack.len();
            if our.stack != their.stack {
                differing.push(format!("goroutine {id}: stack\n{:#?}\nDelve's\n{:#?}", our.stack, their.stack));
            }
            // Delve takes the address that the call returns to as it is, which may belong to the next line.
            let same = |(our, their): (&(String, u64), &(String, u64))| {
                our.0 == their.0 && (our.1..=our.1 + 1).contains(&their.1)
            };
            let equal =
                our.deferred.len() == their.deferred.len() && our.deferred.iter().zip(&their.deferred).all(same);
            if *plain && !equal {
                differing.push(format!("goroutine {id}: deferred\n{:?}\nDelve's\n{:?}", our.deferred, their.deferred));
            }
            calls += if *plain { our.deferred.len() } else { 0 };
        }
        println_table(&go.version, ours.len(), still, frames, calls, differing.len());
        assert!(still > 30 && calls >= 10, "{}: {still} goroutines, {calls} calls", go.version);
        assert!(differing.is_empty(), "{}:\n{}", go.version, differing.join("\n"));
    }
}

/// A line of the table in `docs/results/inspect.md`.
fn println_table(go: &str, all: usize, still: usize, frames: usize, calls: usize, differing: usize) {
    eprintln!("| {go} | {all} | {still} | {frames} | {calls} | {differing} |");
}

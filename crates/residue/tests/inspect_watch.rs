//! `inspect why --watch`: ways that change, objects that go, and what is told of them then.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use residue_testkit::go::{Go, Running, releases};
use residue_testkit::schema;
use serde_json::Value;

/// Does what it is told, a word a line, and says so.
const PROGRAM: &str = r#"package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"unsafe"
)

type session struct {
	file *os.File
	pad  [100]uint64
}

var (
	sessions = map[string]*session{}
	archive  []*session
	many     []*session
	kept     []*session
	address  uintptr
)

//go:noinline
func open() {
	file, _ := os.Open(os.Args[0])
	s := &session{file: file}
	sessions["do not print this"] = s
	address = uintptr(unsafe.Pointer(s))
	fmt.Printf("session %#x\n", address)
	fmt.Println("fd", file.Fd())
}

//go:noinline
func move() {
	archive = append(archive, sessions["do not print this"])
	delete(sessions, "do not print this")
}

//go:noinline
func drop() {
	clear()
	archive = nil
}

//go:noinline
func clear() { delete(sessions, "do not print this") }

type waiter struct{ pad [100]uint64 }

//go:noinline
func block(*waiter) { select {} }

// After the first one nothing is called any more.
//
//go:noinline
func finalize(f func(*waiter)) {
	runtime.SetFinalizer(new(waiter), f)
}

//go:noinline
func finalizeSession() {
	runtime.SetFinalizer(sessions["do not print this"], func(s *session) { fmt.Println("never", s.file) })
	drop()
}

// Until one lies where the first one was.
//
//go:noinline
func again() {
	for i := 0; i < 1_000_000; i++ {
		s := new(session)
		if uintptr(unsafe.Pointer(s)) == address {
			kept = append(kept, s)
			break
		}
		many = append(many, s)
	}
	many = nil
}

// Words of earlier calls are overwritten.
//
//go:noinline
func stale() (sum int) {
	var words [512]int
	for i := range words {
		words[i] = i
	}
	for _, word := range words {
		sum += word
	}
	return sum
}

func main() {
	debug.SetGCPercent(-1)
	open()
	for i := 0; i < 50; i++ {
		kept = append(kept, new(session))
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch lines.Text() {
		case "move":
			move()
		case "drop":
			drop()
		case "collect":
			runtime.GC()
		case "queue":
			finalize(block)
			stale()
			runtime.GC()
			runtime.GC()
			finalizeSession()
			stale()
			runtime.GC()
			runtime.GC()
		case "join":
			finalize(func(*waiter) {})
			stale()
			runtime.GC()
			runtime.GC()
		case "close":
			for _, s := range sessions {
				s.file.Close()
			}
		case "replace":
			drop()
			runtime.GC()
			runtime.GC()
			again()
		case "end":
			return
		}
		fmt.Println("done")
	}
	fmt.Println(len(sessions), len(archive), len(kept))
}
"#;

/// The program, and what it said.
struct Program {
    running: Running,
    input: ChildStdin,
    said: BTreeMap<String, String>,
}

impl Program {
    fn start(go: &Go, folder: &Path, flags: &[&str]) -> Self {
        let source = folder.join("main.go");
        std::fs::write(&source, PROGRAM).expect("a directory for the test");
        let program = folder.join("held");
        go.build(&source, flags, &program);
        let mut running = Running::start(&mut Command::new(&program));
        let lines = running.lines_until("ready");
        let pairs = lines.iter().filter_map(|line| line.split_once(' '));
        let said = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { input: running.stdin(), running, said }
    }

    fn pid(&self) -> String {
        self.running.pid().to_string()
    }

    /// Has it do something, and waits until that is done.
    fn tell(&mut self, word: &str) {
        writeln!(self.input, "{word}").expect("it reads");
        if word != "end" {
            assert_eq!(self.running.line().as_deref(), Some("done"), "{word}");
        }
    }
}

/// The command, and what it writes.
struct Watcher {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Watcher {
    fn start(args: &[&str]) -> Self {
        Self::every("100ms", args)
    }

    fn every(interval: &str, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
        command.arg("inspect").args(args).args(["--watch", "--interval", interval]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("residue runs");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, out }
    }

    /// The next line, which has to fit the schema, and what it has to be.
    fn json(&mut self, wanted: &str) -> Value {
        let line = self.any_json();
        assert_eq!(line["type"], wanted, "{line:#}");
        line
    }

    /// The next line, which has to fit the schema.
    fn any_json(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("it can be read");
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let mut schema: Value =
            serde_json::from_str(include_str!("../../../docs/schema/inspect.schema.json")).expect("the schema is JSON");
        schema = serde_json::json!({"$ref": "#/$defs/watch_lines", "$defs": schema["$defs"]});
        let mistakes = schema::mistakes(&schema, &line);
        assert!(mistakes.is_empty(), "{mistakes:#?}\n{line:#}");
        line
    }

    /// Lines up to one with a text in it.
    fn text(&mut self, wanted: &str) -> String {
        let mut text = String::new();
        while !text.lines().last().is_some_and(|line| line.contains(wanted)) {
            assert!(self.out.read_line(&mut text).expect("it can be read") > 0, "{wanted:?} does not come:\n{text}");
        }
        text
    }

    fn code(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    fn interrupt(&self) {
        let killed = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "it lives");
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Root and last object of the first way.
fn way(why: &Value) -> (&str, &str) {
    let holding = &why["holdings"][0];
    let steps = holding["steps"].as_array().expect("steps");
    (holding["root"].as_str().expect("a root"), steps.last().expect("a step")["address"].as_str().expect("an address"))
}

#[test]
fn an_object_is_followed_to_its_end() {
    for go in releases() {
        let folder = tempfile::tempdir().expect("a directory for the test");
        let mut program = Program::start(&go, folder.path(), &[]);
        let (pid, address) = (program.pid(), program.said["session"].clone());
        let mut watcher = Watcher::start(&[&pid, "why", &address, "--format", "jsonl"]);
        assert_eq!(watcher.json("start")["interval_ms"], 100);
        let first = watcher.json("way");
        assert_eq!(way(&first["why"]), ("package variable main.sessions", &*address), "{}: {first:#}", go.version);

        program.tell("move");
        let other = watcher.json("way");
        assert_eq!(way(&other["why"]), ("package variable main.archive", &*address), "{}: {other:#}", go.version);

        program.tell("drop");
        let waiting = watcher.json("waiting");
        assert_eq!(waiting["why"]["unheld"]["waits_for"], "collection", "{}: {waiting:#}", go.version);
        assert_eq!(way(&waiting["last_way"]["why"]).0, "package variable main.archive", "{}", go.version);

        let mut once = Command::new(env!("CARGO_BIN_EXE_residue"));
        let output = once.args(["inspect", &pid, "why", &address]).output().expect("residue runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{}: {text}", go.version);
        let waits = "\n  nothing in use keeps it: nothing leads to it, the next collection finds that\n";
        assert!(text.contains(waits), "{}: {text}", go.version);
        // The array that the archive was leads to it still.
        let hint = "\nhints  where its address is left; none of this keeps it\n";
        assert!(text.contains(hint) && text.contains("  waiting too  +0x0 of 8 B of unknown type  0x"), "{text}");

        program.tell("collect");
        // Two looks may find it between the end of the collection and the sweep of its span.
        let mut line = String::new();
        watcher.out.read_line(&mut line).expect("it can be read");
        if line.contains("\"waiting\"") {
            line.clear();
            watcher.out.read_line(&mut line).expect("it can be read");
        }
        let gone: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&gone["type"], &gone["how"]), (&"gone".into(), &"freed".into()), "{}: {gone:#}", go.version);
        assert_eq!(way(&gone["last_way"]["why"]).0, "package variable main.archive", "{}", go.version);
        let end = watcher.json("end");
        assert_eq!(end["reason"], "gone", "{end:#}");
        assert!(end["frozen_us"].as_u64().is_some_and(|frozen| frozen > 0), "{end:#}");
        assert_eq!(watcher.code(), Some(0));
    }
}

/// Others that come into the queue aren't told as a change.
#[test]
fn an_object_in_a_queue_is_told_once() {
    let go = releases().pop().expect("a release");
    let folder = tempfile::tempdir().expect("a directory for the test");
    let mut program = Program::start(&go, folder.path(), &[]);
    let (pid, address) = (program.pid(), program.said["session"].clone());
    let mut watcher = Watcher::start(&[&pid, "why", &address, "--format", "jsonl"]);
    watcher.json("start");
    watcher.json("way");
    program.tell("queue");
    let mut waiting = watcher.any_json();
    // Looks before find it in a frame, or not in the queue yet.
    while waiting["why"]["unheld"]["waits_for"] != "finalizer_queue" {
        assert!(waiting["type"] == "way" || waiting["type"] == "waiting", "{waiting:#}");
        waiting = watcher.any_json();
    }
    let calls = |unheld: &Value| unheld["queue"]["calls"].as_u64();
    let before = calls(&waiting["why"]["unheld"]);
    program.tell("join");
    let once = Command::new(env!("CARGO_BIN_EXE_residue"))
        .args(["inspect", &pid, "why", &address, "--format", "json"])
        .output()
        .expect("residue runs");
    let once: Value = serde_json::from_slice(&once.stdout).expect("JSON");
    assert!(calls(&once["why"]["unheld"]) > before, "one more waits: {once:#}");
    watcher.interrupt();
    watcher.json("end");
}

/// What lies at the address afterwards has the same type and size.
#[test]
fn another_object_at_the_same_address_is_told() {
    const ATTEMPTS: usize = 5;
    for go in releases() {
        let replaced = (0..ATTEMPTS).any(|_| {
            let folder = tempfile::tempdir().expect("a directory for the test");
            let mut program = Program::start(&go, folder.path(), &["-ldflags=-s -w"]);
            let (pid, address) = (program.pid(), program.said["session"].clone());
            let mut watcher = Watcher::every("1s", &[&pid, "why", &address, "--format", "jsonl"]);
            watcher.json("start");
            watcher.json("way");
            program.tell("replace");
            let mut line = String::new();
            watcher.out.read_line(&mut line).expect("it can be read");
            let gone: Value = serde_json::from_str(&line).expect("JSON");
            // A look that came just between may find none there, or the first one without a way.
            gone["type"] == "gone" && gone["how"] == "reused" && gone["known_by"] == "allocation bits"
        });
        assert!(replaced, "{}", go.version);
    }
}

#[test]
fn descriptors_and_types_are_followed_too() {
    let go = releases().pop().expect("a release");
    let folder = tempfile::tempdir().expect("a directory for the test");
    let mut program = Program::start(&go, folder.path(), &[]);
    let (pid, fd) = (program.pid(), format!("fd:{}", program.said["fd"]));
    let mut of_type = Watcher::start(&[&pid, "why", "main.session", "--format", "jsonl"]);
    of_type.json("start");
    // There and in the map.
    let first = of_type.json("way");
    assert_eq!((&first["why"]["objects"], way(&first["why"]).0), (&51.into(), "package variable main.kept"));
    let mut watcher = Watcher::start(&[&pid, "why", &fd]);
    let text = watcher.text("→ os.file");
    assert!(
        text.starts_with("held  pid ") && text.contains(&format!("  why {fd}, looked at every 100 ms\n")),
        "{text}"
    );
    assert!(text.contains("look 1, after ") && text.contains("  package variable main.sessions"), "{text}");

    // A file that is moved is the same.
    std::fs::rename(folder.path().join("held"), folder.path().join("moved")).expect("it is there");
    let once = Command::new(env!("CARGO_BIN_EXE_residue")).args(["inspect", &pid, "why", &fd]).output();
    assert!(once.is_ok_and(|output| output.status.success()));
    program.tell("close");
    let text = watcher.text("stood still for");
    assert!(text.contains(": it is gone: the descriptor is closed\n\nlast way  seen at "), "{text}");
    assert!(text.contains("  package variable main.sessions  (map[string]*main.session)\n"), "{text}");
    assert_eq!(watcher.code(), Some(0));

    program.tell("end");
    let end = of_type.json("end");
    assert_eq!((&end["reason"], way(&end["last_way"]["why"]).0), (&"exited".into(), "package variable main.kept"));
    assert_eq!(of_type.code(), Some(0));
}

#[test]
fn it_ends_when_it_is_to() {
    let go = releases().pop().expect("a release");
    let folder = tempfile::tempdir().expect("a directory for the test");
    let program = Program::start(&go, folder.path(), &[]);
    let (pid, address) = (program.pid(), program.said["session"].clone());
    let mut watcher = Watcher::start(&[&pid, "why", &address]);
    watcher.text("→ main.session");
    watcher.interrupt();
    assert!(watcher.text("stood still for").contains(": ended, it is there still\n"));
    assert_eq!(watcher.code(), Some(0));

    let mut watcher = Watcher::start(&[&pid, "why", &address, "--for", "300ms", "--freeze", "none"]);
    assert!(watcher.text("stood still for").contains(": the time is up, it is there still\n"));
    assert_eq!(watcher.code(), Some(0));

    let run = |args: &[&str]| -> Output {
        Command::new(env!("CARGO_BIN_EXE_residue")).arg("inspect").args(args).output().expect("residue runs")
    };
    let refused = |args: &[&str], code: i32, said: &str| {
        let output = run(args);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {err}");
        assert!(err.contains(said), "{args:?}: {err}");
    };
    refused(&[&pid, "why", "0x10", "--watch"], 3, "there is no object at 0x10");
    refused(&[&pid, "why", "--watch"], 2, "why what?");
    refused(&[&pid, "fds", "--watch"], 2, "--watch belongs to the view `why`");
    refused(&[&pid, "why", &address, "--watch", "--format", "svg"], 2, "--watch writes text");
    refused(&[&pid, "why", &address, "--format", "jsonl"], 2, "--format jsonl is for `why --watch`");
    refused(&[&pid, "why", &address, "--interval", "1s"], 2, "--watch");
}

//! Looking into running programs and cores from the command line: text, JSON, and what is refused.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

use std::path::Path;
use std::process::{Command, Output};

use residue_testkit::go::{Running, releases};
use serde_json::Value;

const PROGRAM: &str = r#"package main

import "fmt"

//go:noinline
func release(name string, n int) {}

func hold(name string, told, never chan bool) {
	defer release(name, 1)
	told <- true
	<-never
}

func fails(told, never chan bool) {
	defer func() {
		told <- true
		<-never
	}()
	panic("do not print this")
}

func main() {
	told, never := make(chan bool), make(chan bool)
	for i := 0; i < 3; i++ {
		go hold("nor this secret", told, never)
		<-told
	}
	go fails(told, never)
	<-told
	fmt.Println("ready")
	fmt.Scanln()
}
"#;

fn inspect(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_residue")).arg("inspect").args(args).output().expect("residue runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(args: &[&str]) -> Value {
    let output = inspect(args);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn start(folder: &Path) -> Running {
    let (source, program) = (folder.join("main.go"), folder.join("held"));
    std::fs::write(&source, PROGRAM).expect("it is writable");
    let go = releases().pop().expect("a release");
    go.build(&source, &["-ldflags=-s -w"], &program);
    let mut running = Running::start(&mut Command::new(program));
    assert_eq!(running.line().as_deref(), Some("ready"));
    running
}

#[test]
fn a_process_is_shown_as_text_and_json_and_no_text_of_it_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start(folder.path());
    let pid = running.pid().to_string();

    let summary = inspect(&[&pid]);
    assert_eq!(summary.status.code(), Some(0), "{}", err(&summary));
    let text = out(&summary);
    assert!(text.starts_with(&format!("held  pid {pid}  go1.")), "{text}");
    assert!(text.contains("(stripped)  frozen for ") && text.contains("panics       1        1 string"), "{text}");
    assert!(err(&summary).contains(&format!("hint: `residue inspect {pid} goroutines --group`")), "{}", err(&summary));

    let stacks = out(&inspect(&[&pid, "goroutines", "--group"]));
    assert!(stacks.contains("\n3 goroutines  waiting: chan receive"), "{stacks}");
    assert!(stacks.contains("main.hold ") && stacks.contains("main.go:11\n"), "{stacks}");
    assert!(stacks.contains("(deferred call)") && stacks.contains("created in main.main"), "{stacks}");
    assert!(!stacks.contains("runtime.bgsweep"), "{stacks}");
    assert!(out(&inspect(&[&pid, "goroutines", "--system"])).contains("runtime.bgsweep"));

    let defers = out(&inspect(&[&pid, "defers"]));
    assert!(defers.contains("panic    string (text of 17 bytes #"), "{defers}");
    assert!(
        defers.contains("(open-coded)")
            && defers.contains(", deferred by main.hold\n")
            && defers.contains("text of 15 bytes #"),
        "{defers}"
    );

    let document = json(&[&pid, "defers", "--format", "json"]);
    assert_eq!((&document["schema"], &document["pid"]), (&1.into(), &running.pid().into()));
    assert_eq!(document["stripped"], true);
    assert!(document["frozen_us"].is_u64());
    let goroutines = document["goroutines"].as_array().expect("a list");
    let held = goroutines.iter().filter(|goroutine| goroutine["deferred"][0]["deferred_by"]["function"] == "main.hold");
    assert_eq!(held.count(), 3);
    let failing = goroutines.iter().find(|goroutine| goroutine["phase"] == "panicking").expect("one panics");
    assert_eq!(failing["panics"][0]["value_type"], "string");
    assert_eq!(failing["panics"][0]["text"]["len"], 17);
    assert!(json(&[&pid, "--format", "json"])["goroutines"].is_null(), "the summary lists none");

    let unfrozen = json(&[&pid, "goroutines", "--format", "json", "--freeze", "none"]);
    assert!(unfrozen["frozen_us"].is_null());
    for format in ["text", "json"] {
        for view in ["summary", "goroutines", "defers"] {
            let said = out(&inspect(&[&pid, view, "--format", format]));
            assert!(!said.contains("not print this") && !said.contains("nor this secret"), "{said}");
        }
    }
}

#[test]
fn a_core_is_shown_like_the_process_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start(folder.path());
    let pid = running.pid().to_string();
    let prefix = folder.path().join("core");
    let made = Command::new("gcore").arg("-o").arg(&prefix).arg(&pid).output().expect("gcore, of the package gdb");
    assert!(made.status.success());
    let core = folder.path().join(format!("core.{pid}")).to_string_lossy().into_owned();
    let strip = |mut document: Value| {
        for goroutine in document["goroutines"].as_array_mut().expect("a list") {
            goroutine.as_object_mut().expect("an object").remove("waiting_ms");
            // Digests have a key of their own in each run.
            goroutine.as_object_mut().expect("an object").remove("deferred");
            goroutine.as_object_mut().expect("an object").remove("panics");
        }
        document["goroutines"].take()
    };
    let live = json(&[&pid, "goroutines", "--format", "json"]);
    let dead = json(&[&core, "goroutines", "--format", "json"]);
    assert!(dead["pid"].is_null() && dead["frozen_us"].is_null());
    assert_eq!(dead["counts"], live["counts"]);
    assert_eq!(strip(dead), strip(live));
}

#[test]
fn what_cannot_be_looked_into_is_refused_politely() {
    let refused = |args: &[&str]| {
        let output = inspect(args);
        (output.status.code(), err(&output))
    };
    assert_eq!(refused(&["1073741823"]), (Some(3), "error: there is no process 1073741823\n".to_owned()));
    let own = std::process::id().to_string();
    let (code, said) = refused(&[&own]);
    assert_eq!(code, Some(3));
    assert!(said.starts_with("error: not a Go program: it has no Go build information"), "{said}");
    let (code, said) = refused(&["Cargo.toml"]);
    assert_eq!(code, Some(3));
    assert!(said.contains("error: not a core: not an ELF file") && said.contains("\nhint: "), "{said}");
    let (code, said) = refused(&[&own, "--reveal"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("only on a terminal"), "{said}");
    assert_eq!(refused(&[&own, "--binary", "x"]).0, Some(2));
    assert_eq!(refused(&["no-such-core"]).0, Some(3));
}

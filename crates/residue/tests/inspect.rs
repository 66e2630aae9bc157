//! Looking into running programs and cores from the command line: text, JSON, and what is refused.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

use std::path::Path;
use std::process::{Command, Output};

use residue_testkit::go::{Running, releases};
use serde_json::Value;

const PROGRAM: &str = r#"package main

import (
	"context"
	"fmt"
	"runtime/pprof"
)

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
		labels := pprof.Labels("tenant", fmt.Sprint("t", i), "dsn", "postgres://u:hunter2hunter2@db/x")
		pprof.Do(context.Background(), labels, func(context.Context) { go hold("nor this secret", told, never) })
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
    assert!(
        text.contains("(stripped)  up ")
            && text.contains("  frozen for ")
            && text.contains("panics       1        1 string"),
        "{text}"
    );
    assert!(err(&summary).contains(&format!("hint: `residue inspect {pid} goroutines --group`")), "{}", err(&summary));

    let stacks = out(&inspect(&[&pid, "goroutines", "--group"]));
    assert!(stacks.contains("\n3 goroutines  waiting: chan receive"), "{stacks}");
    assert!(stacks.contains("\n  labels  dsn=postgres://u:***@db/x  tenant (3 values)\n"), "{stacks}");
    assert!(stacks.contains("main.hold") && stacks.contains("main.go:15\n"), "{stacks}");
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
        for view in ["summary", "goroutines", "defers", "panics"] {
            let said = out(&inspect(&[&pid, view, "--format", format]));
            assert!(!said.contains("not print this") && !said.contains("nor this secret"), "{said}");
        }
    }
}

#[test]
fn goroutines_are_chosen_by_what_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start(folder.path());
    let pid = running.pid().to_string();
    let shown = |filter: &[&str]| {
        let document = json(&[&[pid.as_str(), "goroutines", "--format", "json"], filter].concat());
        document["goroutines"].as_array().expect("a list").len()
    };
    assert_eq!(shown(&["--label", "tenant"]), 3);
    assert_eq!(shown(&["--label", "tenant=t1"]), 1);
    assert_eq!(shown(&["--label", "tenant=t1", "--label", "tenant=t2"]), 0);
    assert_eq!(shown(&["--function", "main.hold", "--status", "waiting", "--reason", "Receive"]), 3);
    assert_eq!(shown(&["--function", "main.hold", "--status", "running"]), 0);
    let unknown = inspect(&[&pid, "goroutines", "--status", "blocked"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("runnable"), "{}", err(&unknown));
    assert_eq!(shown(&["--function", "bgsweep"]), 1, "the runtime's own too");
    assert_eq!(shown(&["--min-wait", "1d"]), 0);
    let text = out(&inspect(&[&pid, "goroutines", "--label", "tenant=t2"]));
    assert!(text.contains("  labels  dsn=") && text.contains("  tenant=t2\n"), "{text}");
    assert!(!text.contains("hunter2"), "a label can be what it should not: {text}");
}

#[test]
fn a_profile_of_goroutines_opens_in_pprof() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start(folder.path());
    let pid = running.pid().to_string();
    let output = inspect(&[&pid, "goroutines", "--format", "pprof"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let profile = folder.path().join("stacks.pb.gz");
    std::fs::write(&profile, &output.stdout).expect("it is writable");
    let go = releases().pop().expect("a release");
    let traces = go.command(&["tool", "pprof", "-traces"]).arg(&profile).env("HOME", folder.path()).output();
    let traces = out(&traces.expect("go tool pprof")).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(traces.contains("Type: goroutines") && traces.contains("tenant: t1"), "{traces}");
    assert!(traces.contains("1 runtime.gopark") && traces.contains("main.hold"), "{traces}");
    assert!(!traces.contains("hunter2"), "{traces}");
    assert_eq!(inspect(&[&pid, "--format", "pprof"]).status.code(), Some(2));
}

#[test]
fn panics_are_shown_with_their_place_and_saved_as_evidence() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start(folder.path());
    let pid = running.pid().to_string();
    let file = folder.path().join("evidence.json").to_string_lossy().into_owned();
    let text = out(&inspect(&[&pid, "panics", "--save", &file]));
    assert!(text.contains("active  string (text of 17 bytes #"), "{text}");
    assert!(text.contains("\n  raised at   main.fails  ") && text.contains("main.go:23\n"), "{text}");
    assert!(text.contains("\n  running     main.fails.func1  "), "{text}");
    let grouped = out(&inspect(&[&pid, "panics", "--group"]));
    assert!(grouped.contains("\n1 panic  active  string\n"), "{grouped}");

    let kept = std::fs::read_to_string(&file).expect("it was written");
    let evidence: Value = serde_json::from_str(&kept).expect("JSON");
    assert_eq!((&evidence["schema"], &evidence["mode"]), (&1.into(), &"roots".into()));
    assert_eq!(evidence["target"]["pid"], running.pid());
    assert_eq!(evidence["report"]["goroutines"][0]["panics"][0]["raised_at"]["function"], "main.fails");
    for key in ["program_sha256", "go_build_id", "started_at", "go_version"] {
        assert!(evidence["target"][key].is_string(), "{key}: {kept}");
    }
    // As `sha256sum` has it of what the schema says.
    let report = folder.path().join("report");
    std::fs::write(&report, evidence["report"].to_string()).expect("it is writable");
    let sum = Command::new("sha256sum").arg(&report).output().expect("sha256sum");
    assert!(out(&sum).starts_with(evidence["sha256"].as_str().expect("a digest")), "{}", out(&sum));
    let again = inspect(&[&pid, "panics", "--save", &file]);
    assert_eq!(again.status.code(), Some(3));
    assert!(err(&again).contains("hint: evidence is not written over"), "{}", err(&again));
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), kept);
}

#[test]
fn one_stack_is_shown_in_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start(folder.path());
    let pid = running.pid().to_string();
    let document = json(&[&pid, "goroutines", "--function", "main.hold", "--format", "json"]);
    let id = document["goroutines"][0]["id"].to_string();
    let text = out(&inspect(&[&pid, "stack", &id]));
    assert!(text.contains("the program has no DWARF") && text.contains("\nbelow the stack pointer  "), "{text}");
    assert!(text.contains("  (open-coded); closure in frame #") && text.contains("text of 15 bytes #"), "{text}");
    let document = json(&[&pid, "stack", &id, "--format", "json"]);
    let stack = &document["stack"];
    assert_eq!(stack["used"].as_u64().zip(stack["dead"]["bytes"].as_u64()).map(|(a, b)| a + b), stack["size"].as_u64());
    assert!(stack["dead"]["stale"][0]["call"]["function"].is_string(), "{stack}");
    assert_eq!(document["goroutines"].as_array().map(Vec::len), Some(1));
    assert!(!format!("{text}{document}").contains("nor this secret"));
    for wrong in [&[&*pid, "stack"][..], &[&pid, "stack", "main"], &[&pid, "defers", "7"]] {
        assert_eq!(inspect(wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(inspect(&[&pid, "stack", "99999"]).status.code(), Some(3));
}

#[test]
fn a_process_lives_on_when_the_one_that_inspects_it_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut running = start(folder.path());
    let pid = running.pid().to_string();
    let status = |name: &str| -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten();
        let texts = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
        texts.filter_map(|text| text.lines().find(|line| line.starts_with(name)).map(str::to_owned)).collect()
    };
    let views = [&["goroutines"][..], &["heap", "--freeze", "full"]].map(|view| [&[pid.as_str()], view].concat());
    let whole = views.each_ref().map(|view| {
        let start = std::time::Instant::now();
        inspect(view);
        start.elapsed()
    });
    let rounds = if std::env::var_os("RESIDUE_TEST_FULL").is_some() { 200 } else { 40 };
    for round in 0..rounds {
        let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
        let view = (round % 2) as usize;
        command.arg("inspect").args(&views[view]).stdout(std::process::Stdio::null());
        let mut inspecting = command.spawn().expect("residue starts");
        // Spread over all that it does.
        std::thread::sleep(whole[view] * (round * 7919 % rounds) / rounds);
        inspecting.kill().expect("a process of ours");
        inspecting.wait().expect("it ends");
        let tracers = status("TracerPid:");
        assert!(!tracers.is_empty() && tracers.iter().all(|line| line.ends_with("\t0")), "{tracers:?}");
        let states = status("State:");
        assert!(!states.iter().any(|state| state.contains("stop")), "{states:?}");
    }
    assert!(running.is_alive());
    assert_eq!(inspect(&[&pid, "goroutines"]).status.code(), Some(0));
}

#[test]
fn a_core_is_shown_like_the_process_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start(folder.path());
    let pid = running.pid().to_string();
    let core = running.core(folder.path()).to_string_lossy().into_owned();
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
    assert!(said.contains("\nhint: the program is /"), "{said}");
    let (code, said) = refused(&["Cargo.toml"]);
    assert_eq!(code, Some(3));
    assert!(said.contains("error: not a core: not an ELF file") && said.contains("\nhint: "), "{said}");
    let (code, said) = refused(&[&own, "--reveal"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("only on a terminal"), "{said}");
    assert_eq!(refused(&[&own, "--binary", "x"]).0, Some(2));
    assert_eq!(refused(&["no-such-core"]).0, Some(3));
}

//! Who opened a descriptor, beyond the stack: goroutines on whichever thread and stack, C code below them, their labels.
//!
//! Needs root and a kernel with eBPF, as `trace.rs` does; the programs with C need a C compiler.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

mod tracing;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use residue_testkit::go::{Running, releases};
use serde_json::{Value, json};

use self::tracing::{build, by, list, nothing_lost, report, without_bpf};

#[test]
fn labels_of_the_goroutine_are_told() {
    if without_bpf() {
        return;
    }
    for go in releases() {
        let built = build(&go, "fdlabels", &["-ldflags=-s -w"]);
        let mut running = Running::start(&mut Command::new(&built.program));
        assert_eq!(running.line().as_deref(), Some("ready"));
        let pid = running.pid().to_string();
        let (_, report) = report(&["--pid", &pid, "--for", "2s"], &[]);
        nothing_lost(&report);
        let examples = by(&report, "main.open").into_iter().flat_map(|opener| list(opener, "examples"));
        let seen: BTreeSet<String> = examples.map(|example| example["labels"].to_string()).collect();
        let has = |labels: Value| assert!(seen.contains(&labels.to_string()), "{}: {labels}: {seen:#?}", go.version);
        has(json!({"span_id": "00f067aa0ba902b7", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}));
        has(json!({"handler": "upload"}));
        has(json!({"empty": "", "k".repeat(23): "v".repeat(63)}));
        has(Value::Null);
        // Six of twelve, which ones a map leaves open.
        let many: Vec<&String> = seen.iter().filter(|labels| labels.contains("\"key0")).collect();
        assert!(!many.is_empty() && many.iter().all(|many| many.matches(":\"value").count() == 6), "{many:#?}");
    }
}

#[test]
fn goroutines_that_went_to_c_are_known_with_their_stacks() {
    if without_bpf() {
        return;
    }
    for go in releases() {
        for mode in ["exe", "pie"] {
            let folder = tempfile::tempdir().expect("a folder");
            let program = folder.path().join("fdcgo");
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/fdcgo/main.go");
            let mut command = go.command(&["build", "-ldflags=-s -w", "-buildmode", mode, "-o"]);
            let output =
                command.arg(&program).arg(source).env("CGO_ENABLED", "1").output().expect("the go command runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let of = format!("{} {mode}", go.version);
            let (_, report) = report(&[], &[program.to_str().expect("UTF-8")]);
            nothing_lost(&report);
            for (way, in_c) in [("main.fromC", true), ("main.fromGo", false)] {
                let openers = by(&report, way);
                assert_eq!(openers.len(), 1, "{of}: {openers:#?}");
                assert_eq!(openers[0]["ended"], 5, "{of}");
                let functions: Vec<&str> =
                    list(openers[0], "frames").iter().filter_map(|frame| frame["function"].as_str()).collect();
                assert_eq!(functions[0].starts_with("C 0x"), in_c, "{of}: {functions:?}");
                assert_eq!(functions.contains(&"main._Cfunc_open_in_c"), in_c, "{of}: {functions:?}");
                // Down to where the goroutine began, once.
                assert_eq!(functions.iter().filter(|function| **function == way).count(), 1, "{of}: {functions:?}");
                assert!(functions.last().is_some_and(|last| last.starts_with("main.main.")), "{of}: {functions:?}");
            }
            // The number of the goroutine, by way of thread variables that C has moved.
            let mut running = Running::start(Command::new(&program).arg("grow"));
            assert_eq!(running.line().as_deref(), Some("ready"));
            let pid = running.pid().to_string();
            let (_, report) = tracing::report(&["--pid", &pid, "--for", "2s"], &[]);
            for way in ["main.fromC", "main.fromGo"] {
                let opener = by(&report, way)[0];
                let goids: Vec<Option<u64>> =
                    list(opener, "examples").iter().map(|example| example["goid"].as_u64()).collect();
                // What is opened while the program is being made known, after its table was walked, isn't told: one at most.
                let (known, unknown): (Vec<u64>, Vec<u64>) = goids.iter().flatten().partition(|goid| **goid > 1);
                assert!(known.len() > 1 && unknown.iter().all(|goid| *goid == 0), "{of} {way}: {goids:?}");
                assert!(unknown.len() <= 1, "{of} {way}: {goids:?}");
            }
        }
    }
}

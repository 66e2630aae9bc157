//! Panics of Go programs as the kernel sees them, and the descriptors that recovered ones leave behind.
//!
//! Needs root and a kernel with eBPF, as `trace.rs` does.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

mod tracing;

use std::path::Path;
use std::process::Command;

use residue_testkit::go::releases;
use serde_json::Value;

use self::tracing::{build, by, found, has_frame, list, lives, nothing_lost, report, without_bpf};

/// Panics with such a function on their stack: how many, and how many of them were recovered.
fn panics(report: &Value, function: &str) -> (u64, u64) {
    let of = list(report, "panics").iter().filter(|panic| has_frame(&panic["site"], function));
    let number = |panic: &Value, key: &str| panic[key].as_u64().expect("a number");
    of.fold((0, 0), |(count, recovered), panic| {
        (count + number(panic, "count"), recovered + number(panic, "recovered"))
    })
}

#[test]
fn descriptors_lost_in_panics_are_found_with_all_that_is_involved() {
    if without_bpf() {
        return;
    }
    for go in releases() {
        for flags in [&[][..], &["-ldflags=-s -w"], &["-buildmode=pie", "-ldflags=-s -w"]] {
            let built = build(&go, "fdpanics", flags);
            let program = built.program.to_str().expect("UTF-8");
            let of = format!("{} {flags:?}", go.version);
            let (said, leaky) = report(&["--panics"], &[program, "leaky"]);
            assert_eq!(said, "leaky 20 20\n", "{of}: the program never noticed");
            nothing_lost(&leaky);
            assert_eq!(leaky["losses"]["panics"], 0, "{of}");
            assert_eq!(found(&leaky), [("K105".to_owned(), "raw".to_owned())], "{of}");
            // 20 jobs panic, each after a parser inside of it has panicked and recovered, which lost nothing.
            assert_eq!((panics(&leaky, "main.convert"), panics(&leaky, "main.inner")), ((20, 20), (20, 20)), "{of}");
            let raw = by(&leaky, "main.raw")[0];
            assert_eq!((&raw["leak"], &raw["ended"]), (&"lost-in-panic".into(), &20.into()), "{of}");
            let unwound = list(raw, "unwound");
            // Four ways to panic.
            assert_eq!(unwound.len(), 4, "{of}: {unwound:#?}");
            let counts: Vec<u64> = unwound.iter().filter_map(|unwound| unwound["count"].as_u64()).collect();
            assert_eq!(counts, [8, 4, 4, 4], "{of}");
            for unwound in unwound {
                assert_eq!(unwound["holder"]["function"], "main.leaky", "{of}");
                assert!(unwound["goid"].as_u64() > Some(1), "{of}: {unwound}");
                let resumes = unwound["panic"]["resumes"].as_u64().expect("somebody recovered") as usize;
                assert_eq!(list(&unwound["panic"], "frames")[resumes]["function"], "main.safely", "{of}");
                // A fault is at the line of its instruction.
                let line = unwound["panic"]["frames"][0]["line"].as_u64().expect("a line") as usize;
                let source = include_str!("programs/fdpanics/main.go");
                let text = source.lines().nth(line - 1).expect("it is there");
                let panics = ["panic(\"not a text\")", "numbers[n]", "list.next", "n % 4 / 4"];
                assert!(panics.iter().any(|panics| text.contains(panics)), "{of}: {text}");
            }

            let (_, fixed) = report(&["--panics"], &[program, "fixed"]);
            nothing_lost(&fixed);
            assert_eq!(found(&fixed), [], "{of}");
            assert_eq!(panics(&fixed, "main.convert"), (20, 20), "{of}");
            assert_eq!(lives(&fixed, "main.raw"), (20, 20, 0), "{of}");
        }
    }
}

#[test]
fn what_a_panic_did_not_lose_is_not_blamed_on_it() {
    if without_bpf() {
        return;
    }
    let go = releases().pop().expect("a release");
    let built = build(&go, "fdpanics", &["-ldflags=-s -w"]);
    let program = built.program.to_str().expect("UTF-8");
    // A function that opens, panics and recovers all by itself.
    let (_, itself) = report(&["--panics"], &[program, "itself"]);
    assert_eq!(found(&itself), [("K105".to_owned(), "raw".to_owned())]);
    // Another function of the same goroutine panics, beside one that keeps what it opens.
    let (_, keeps) = report(&["--panics"], &[program, "keeps"]);
    assert_eq!(panics(&keeps, "main.onlyPanics"), (20, 20));
    assert_eq!(found(&keeps), [("K102".to_owned(), "raw".to_owned())]);
    // Somebody else closes what the function had.
    let (_, late) = report(&["--panics"], &[program, "late"]);
    assert_eq!(panics(&late, "main.late"), (20, 20));
    assert_eq!(found(&late), []);
    assert!(by(&late, "main.raw").iter().all(|opener| opener["unwound"].is_null()), "{late:#}");
    // Not asked for, panics are not looked at.
    let (_, unasked) = report(&[], &[program, "leaky"]);
    assert_eq!((list(&unasked, "panics").len(), found(&unasked)), (0, vec![("K102".to_owned(), "raw".to_owned())]));
}

#[test]
fn a_panic_that_ends_the_program_is_told_and_not_recovered() {
    if without_bpf() {
        return;
    }
    let go = releases().pop().expect("a release");
    let built = build(&go, "fdpanics", &[]);
    let (_, crash) = report(&["--panics"], &[built.program.to_str().expect("UTF-8"), "crash"]);
    assert_eq!(panics(&crash, "main.convert"), (1, 0));
    assert_eq!(found(&crash), []);
}

#[test]
fn the_lab_shows_a_lock_lost_in_panics() {
    if without_bpf() {
        return;
    }
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab");
    let folder = tempfile::tempdir().expect("a folder");
    for (variant, expected) in [("leaky", vec![("K105".to_owned(), "(*spool).store".to_owned())]), ("fixed", vec![])] {
        let program = folder.path().join(variant);
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(&program).arg(format!("./scenarios/panic-spool-lock/{variant}"));
        let output = go.current_dir(&lab).output().expect("`go` on PATH");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (_, traced) = report(&["--panics"], &[program.to_str().expect("UTF-8"), "-requests", "50"]);
        assert_eq!(found(&traced), expected, "{variant}");
    }
}

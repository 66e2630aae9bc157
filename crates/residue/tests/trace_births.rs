//! Descriptors that come and go without a system call of their own: by requests of `io_uring`, several messages at once.
//!
//! Needs root and a kernel with eBPF, as `trace.rs` does.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

mod tracing;

use std::io::Write as _;

use serde_json::Value;

use self::tracing::{build, by, found, has_frame, list, newest, nothing_lost, report, sum, without_bpf};

#[test]
fn what_io_uring_makes_and_closes_is_seen_as_it_happens() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdring", &["-ldflags=-s -w"]);
    let (said, report) = report(&["--closes"], &[built.program.to_str().expect("UTF-8")]);
    nothing_lost(&report);
    let mut made = 0;
    for line in said.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["made", call, command, count] => {
                let is_it = |opener: &&&Value| {
                    opener["call"] == call && opener["command"].as_str().unwrap_or_default() == command
                };
                let born: Vec<&Value> = by(&report, "main.born");
                let born: Vec<&Value> = born.iter().filter(is_it).copied().collect();
                assert_eq!(sum(&born, "ended").to_string(), count, "{line}: {born:#?}");
                assert_eq!(sum(&born, "closed"), 0, "{line}: {born:#?}");
                made += 1;
            }
            ["skipped", ..] => {
                let _ = writeln!(std::io::stderr(), "NOT TESTED: {line}");
            }
            _ => {}
        }
    }
    assert!(made >= 6, "{said}");
    for way in ["main.diesByRing", "main.diesByCall"] {
        let openers = by(&report, way);
        assert_eq!((sum(&openers, "opened"), sum(&openers, "closed")), (3, 3), "{way}: {openers:#?}");
    }
    // Nothing had to be found out by walking the kernel's own tables, and what opens by a path says which.
    assert_eq!((&report["losses"]["ghosts"], list(&report, "origin_unknown").len()), (&0.into(), 0));
    let opens = |opener: &&Value| opener["command"] == "IORING_OP_OPENAT" && has_frame(opener, "main.diesByCall");
    let opener = list(&report, "openers").iter().find(opens).expect("it is there");
    assert_eq!((&opener["example"], &opener["kind"]), (&"/etc/passwd".into(), &"file".into()));
    // A number that the ring closes a second time.
    assert!(said.contains("twice <nil> bad file descriptor"), "{said}");
    assert!(found(&report).iter().any(|(rule, _)| rule == "K103"), "{:#?}", found(&report));
    let bad = &list(&report, "bad_closes")[0];
    assert!(has_frame(&bad["closer"], "main.twice") && has_frame(&bad["other"], "main.twice"), "{bad:#?}");
}

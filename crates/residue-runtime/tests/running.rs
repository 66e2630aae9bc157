//! What a goroutine holds that is met while it runs, wherever that is.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs programs, and fails where it can't go on"
)]

use std::path::Path;
use std::process::Command;

use residue_gobin::Binary;
use residue_runtime::heap::{Heap, Layouts};
use residue_runtime::{Freeze, Options};
use residue_target::Target;
use residue_testkit::go::{Running, releases};

/// How often it is looked at.
const ROUNDS: usize = 6;

#[test]
fn what_a_running_goroutine_alone_has_is_kept_by_it() {
    for go in releases() {
        for flags in [&["-ldflags=-s -w"][..], &["-race", "-ldflags=-s -w"]] {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("running");
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/running.go");
            go.build(&source, flags, &program);
            let mut running = Running::start(&mut Command::new(&program));
            let lines = running.lines_until("ready");
            let address = lines[0].strip_prefix("object ").unwrap();
            let target = Target::process(running.pid()).unwrap();
            let binary = Binary::parse(&target.program).unwrap();
            let layouts = Layouts::of(&binary).unwrap();
            let options = Options { freeze: Freeze::Roots, key: [1; 32], reveal: false, now: None };
            for _ in 0..ROUNDS {
                let (report, mut heap) = Heap::read(&target, &binary, &layouts, &options).unwrap();
                let objects = heap.objects_of(address);
                let why = heap.why(&objects);
                let said = format!("{} {flags:?}: {:?}, {:?}", go.version, why.holdings, report.goroutines);
                assert_eq!((why.objects, why.unreachable), (1, 0), "{said}");
                assert!(matches!(why.holdings[0].path.root_kind, "frame" | "register"), "{said}");
            }
        }
    }
}

//! What goroutines hold that have faulted: only what their deferred calls need.
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
use residue_runtime::{Freeze, Options, stack};
use residue_target::Target;
use residue_testkit::go::{Running, releases};

#[test]
fn what_a_frame_held_that_never_goes_on_is_not_held_any_more() {
    for go in releases() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("fault");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/fault.go");
        go.build(&source, &[], &program);
        // The collector itself says that they are dead.
        let mut collected = Running::start(Command::new(&program).arg("collect"));
        assert!(collected.lines_until("ready").is_empty(), "{}", go.version);

        let mut running = Running::start(Command::new(&program).env("GOGC", "off"));
        running.lines_until("ready");
        running.settle();
        let target = Target::process(running.pid()).unwrap();
        let binary = Binary::parse(&target.program).unwrap();
        let layouts = Layouts::of(&binary).unwrap();
        let options = Options { freeze: Freeze::Roots, key: [1; 32], reveal: false, now: None };
        let (report, mut heap) = Heap::read(&target, &binary, &layouts, &options).unwrap();
        let dead = heap.objects_of("main.lost");
        assert_eq!(dead.len(), 2, "{}", go.version);
        let why = heap.why(&dead);
        assert_eq!((why.objects, why.unreachable), (2, 2), "{}: {why:#?}", go.version);
        let kept = heap.objects_of("main.kept");
        // Go 1.21 notes no types beside objects.
        assert_eq!(kept.len(), usize::from(go.minor() > 21), "{}", go.version);
        if !kept.is_empty() {
            let why = heap.why(&kept);
            assert_eq!(why.unreachable, 0, "{}: {why:#?}", go.version);
            assert!(why.holdings[0].path.root_precise, "{}: {why:#?}", go.version);
        }

        // The same is told of the frame itself.
        let calls = |pc: &u64| report.at(*pc).last().is_some_and(|frame| frame.function == "main.without");
        let faulted = report.goroutines.iter().find(|goroutine| goroutine.stack.iter().any(calls)).unwrap();
        let view = stack(&target, &binary, &options, faulted.id).unwrap();
        let index = view.goroutine().unwrap().stack.iter().position(calls).unwrap();
        assert_eq!(view.frames[index].live_pointers, Some(0), "{}", go.version);
    }
}

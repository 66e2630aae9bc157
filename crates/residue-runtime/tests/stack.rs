//! One goroutine's stack: variables with their names, where captured ones live, what is left of calls that have returned.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs programs, and fails where it can't go on"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use residue_gobin::{Binary, VariableRole};
use residue_runtime::{Error, Lives, Options, StackView, Word, stack};
use residue_target::Target;
use residue_testkit::go::{Running, releases};

struct Shown<'a> {
    said: String,
    named: bool,
    minor: u32,
    views: BTreeMap<String, &'a StackView>,
}

impl Shown<'_> {
    /// The frame of a function, and its number.
    fn frame(&self, kind: &str, function: &str) -> (usize, &residue_runtime::FrameView) {
        let view = self.views[kind];
        let goroutine = view.goroutine().unwrap();
        let calls = |pc: &u64| view.report.at(*pc).last().is_some_and(|frame| frame.function == function);
        let index = goroutine.stack.iter().position(calls).unwrap_or_else(|| panic!("{}: {view:#?}", self.said));
        (index, &view.frames[index])
    }
}

#[test]
fn where_captured_variables_live_is_told() {
    for go in releases() {
        for flags in [&["-ldflags=-w=0"][..], &["-ldflags=-s -w"], &["-ldflags=-s -w", "-buildmode=pie"]] {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("captured");
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/captured.go");
            go.build(&source, flags, &program);
            let mut running = Running::start(&mut Command::new(&program));
            let kinds: BTreeMap<String, u64> = running
                .lines_until("ready")
                .iter()
                .map(|line| {
                    let words: Vec<&str> = line.split(' ').collect();
                    (words[2].to_owned(), words[1].parse().unwrap())
                })
                .collect();
            running.settle();
            let target = Target::process(running.pid()).unwrap();
            let binary = Binary::parse(&target.program).unwrap();
            let options = Options { freeze: residue_runtime::Freeze::Roots, key: [1; 32], reveal: false, now: None };
            let views: BTreeMap<String, StackView> = kinds
                .iter()
                .map(|(kind, id)| (kind.clone(), stack(&target, &binary, &options, *id).unwrap()))
                .collect();
            let shown = Shown {
                said: format!("{} {flags:?}", go.version),
                minor: go.minor(),
                named: !flags[0].contains("-s"),
                views: views.iter().map(|(kind, view)| (kind.clone(), view)).collect(),
            };
            check(&shown);
            assert_eq!(stack(&target, &binary, &options, 999_999).unwrap_err(), Error::NoGoroutine(999_999));
            assert!(running.is_alive());
        }
    }
}

fn check(shown: &Shown<'_>) {
    let said = &shown.said;
    for (kind, view) in &shown.views {
        let goroutine = view.goroutine().unwrap();
        assert_eq!(view.named, shown.named, "{said}");
        assert_eq!(view.frames.len(), goroutine.stack.len(), "{said}: {kind}");
        assert!(view.used < view.size && view.used + view.dead.bytes == view.size, "{said}: {kind}: {view:?}");
        assert_eq!(goroutine.stack_cut, None, "{said}: {kind}");
    }

    let (index, frame) = shown.frame("reference", "main.byReference");
    let closure = &frame.closures[0];
    assert!(matches!(closure.lives, Lives::OtherFrame(at, _) if at == index), "{said}: {closure:?}");
    let captured = &closure.captured[0];
    assert_eq!(captured.words, [Word::Stack], "{said}: {closure:?}");
    assert!(matches!(captured.lives, Lives::OtherFrame(at, _) if at == index), "{said}: {closure:?}");
    assert_eq!(closure.captured.len(), 1, "{said}: {closure:?}");
    if shown.named {
        // Older compilers don't tell where captured variables are.
        assert!(shown.minor < 23 || captured.name.as_deref() == Some("counter"), "{said}: {frame:#?}");
        let counter = frame.slots.iter().find(|slot| slot.name.as_deref() == Some("counter")).unwrap();
        assert_eq!((counter.type_name.as_deref(), counter.role), (Some("int"), VariableRole::Local), "{said}");
    }

    let (_, frame) = shown.frame("value", "main.byValue");
    let captured = &frame.closures[0].captured[0];
    assert!(matches!(captured.words[..], [Word::Text { len: 21, .. }]), "{said}: {frame:#?}");
    assert_eq!(captured.lives, Lives::Closure, "{said}: {frame:#?}");
    if shown.named {
        assert!(shown.minor < 23 || captured.name.as_deref() == Some("secret"), "{said}: {frame:#?}");
        let secret = frame.slots.iter().find(|slot| slot.name.as_deref() == Some("secret")).unwrap();
        assert_eq!((secret.type_name.as_deref(), secret.role), (Some("string"), VariableRole::Argument), "{said}");
    }

    let (_, frame) = shown.frame("loop", "main.inLoop");
    assert_eq!(frame.closures.len(), 2, "{said}");
    for closure in &frame.closures {
        assert_eq!(closure.lives, Lives::Heap, "{said}: {closure:?}");
        assert_eq!(closure.captured[0].lives, Lives::Heap, "{said}: {closure:?}");
    }
    if shown.named {
        let counter = frame.slots.iter().find(|slot| slot.name.as_deref() == Some("counter")).unwrap();
        assert_eq!(counter.lives, Lives::Heap, "{said}: {counter:?}");
    }

    let dead = &shown.views["returned"].dead;
    let calls = |name: &str| dead.stale.iter().any(|(below, frame)| *below <= dead.bytes && frame.function == name);
    // Where it lay deepest, nothing has been written since.
    assert!(calls("main.shallow") || calls("main.deep"), "{said}: {dead:#?}");
    assert!(dead.nonzero > 700, "{said}: {} of {}", dead.nonzero, dead.bytes);
}

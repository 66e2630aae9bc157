//! Who loses descriptors in a panic, from stacks alone.
#![allow(clippy::expect_used, reason = "a test that cannot set up fails")]

use residue_fd::event::{Count, End, Event, Frame, Pair, PairKind, Role, Site, Start};
use residue_fd::rules::findings;
use residue_fd::{Leak, Ledger, Policy, Report};

/// Frames from the leaf, `function:line`; those of `runtime` and `json` are Go's own.
fn frames(stack: &[&str]) -> Vec<Frame> {
    let frame = |text: &&str| {
        let (function, line) = text.rsplit_once(':').expect("a line");
        let package = function.split('.').next().unwrap_or_default().to_owned();
        let std = ["runtime", "json", "syscall"].contains(&package.as_str());
        let (function, file) = (function.to_owned(), "/src/x.go".to_owned());
        Frame { function, package, file, line: line.parse().expect("a number"), inlined: false, std, own: !std }
    };
    stack.iter().map(frame).collect()
}

fn site(id: u32, role: Role, stack: &[&str], resumes: Option<u32>) -> Event {
    let (kind, call) = ("file".to_owned(), "openat".to_owned());
    let (program, command, example) = ("x".to_owned(), String::new(), String::new());
    let frames = frames(stack);
    Event::Site(Site {
        id,
        role,
        pid: 1,
        program,
        call,
        command,
        kind,
        example,
        frames,
        cut: false,
        resumes,
        tool: false,
    })
}

const OPENER: &[&str] = &["syscall.Open:9", "p.open:7", "p.job:20", "p.safely:30", "p.main:40"];

/// One opener with `left` of ten open at the end, `lost` of them in a panic.
fn report(panic: &[&str], resumes: u32, left: u64, lost: u64) -> Report {
    let mut ledger = Ledger::new(Policy::default());
    let pair = Pair { kind: PairKind::Unwound, opener: 1, closer: 2, count: lost, goid: 7, pid: 1, fd: 3 };
    for event in [
        Event::Start(Start { version: 1, pids: vec![1], by: "test".to_owned(), ..Start::default() }),
        site(1, Role::Opens, OPENER, None),
        site(2, Role::Recovers, panic, Some(resumes)),
        Event::Count(Count { site: 1, opened: 10, closed: 10 - left, ended: left, last_ns: 0 }),
        Event::Count(Count { site: 2, opened: lost, closed: 0, ended: 0, last_ns: 0 }),
        Event::Pair(pair),
        Event::End(End { at_ns: 1, exited: true }),
    ] {
        ledger.apply(event);
    }
    ledger.report()
}

#[test]
fn the_innermost_frame_of_both_stacks_had_it() {
    let panic = ["runtime.gopanic:1", "p.convert:5", "p.job:21", "p.safely:30", "p.main:40"];
    let of = report(&panic, 3, 4, 4);
    assert_eq!(of.openers[0].leak, Some(Leak::LostInPanic(4)));
    let unwound = &of.openers[0].unwound[0];
    assert_eq!((unwound.holder.function.as_str(), unwound.holder.line), ("p.job", 21));
    assert_eq!(unwound.resumes().expect("it is there").function, "p.safely");
    let found = findings(&of);
    assert_eq!(found.len(), 1, "one leak, one finding: {found:#?}");
    assert_eq!(found[0].rule.to_string(), "K105");
    assert!(found[0].message.starts_with("4 file descriptors"), "{}", found[0].message);

    // The panic's stack is told from who panicked; the runtime's frames between are those of a deferred call.
    assert_eq!(of.panics.len(), 1);
    assert_eq!((of.panics[0].site.frames[0].function.as_str(), of.panics[0].recovered), ("p.convert", 4));
    assert_eq!(of.panics[0].site.resumes, Some(2));

    // What a function has opened for it is handed to the one that called it, which may panic later.
    let later = report(&["p.job:21", "p.safely:31", "p.main:40"], 1, 4, 4);
    assert_eq!(later.openers[0].unwound[0].holder.function, "p.safely");
}

#[test]
fn who_was_not_unwound_lost_nothing() {
    let lost = |panic: &[&str], resumes| report(panic, resumes, 4, 4).openers[0].leak;
    // Another function, called from the same place.
    assert_eq!(lost(&["p.convert:5", "p.other:21", "p.safely:30", "p.main:40"], 2), None);
    // It recovered farther in.
    assert_eq!(lost(&["json.fail:5", "json.Marshal:6", "p.job:21", "p.safely:30", "p.main:40"], 1), None);
    // What they share is Go's own.
    assert_eq!(lost(&["p.x:1", "runtime.main:2"], 1), None);
    // All is shared, or nothing is.
    assert_eq!(lost(OPENER, 4), None);
    assert_eq!(lost(&[], 0), None);
}

#[test]
fn few_of_many_are_not_the_panics_fault() {
    let panic = ["p.job:21", "p.safely:30", "p.main:40"];
    assert_eq!(report(&panic, 1, 9, 4).openers[0].leak, None);
    assert_eq!(report(&panic, 1, 9, 5).openers[0].leak, Some(Leak::LostInPanic(5)));
    // A single one is enough, and more than are left can't be lost.
    assert_eq!(report(&panic, 1, 1, 1).openers[0].leak, Some(Leak::LostInPanic(1)));
    assert_eq!(report(&panic, 1, 3, 5).openers[0].leak, Some(Leak::LostInPanic(3)));
    assert_eq!(report(&panic, 1, 0, 1).openers[0].leak, None);
    assert_eq!(report(&panic, 1, 4, 0).openers[0].leak, None);
}

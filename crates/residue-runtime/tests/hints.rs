//! Objects that no root keeps: where each waits, and where its address is left, beside what the program says; live and as a
//! core, stripped and not, for each release at hand.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs programs, and fails where it can't go on"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use residue_gobin::Binary;
use residue_runtime::heap::{Heap, HintPlace, Layouts, NoteKind, State, Unheld, Wait};
use residue_runtime::{Freeze, Options};
use residue_target::Target;
use residue_testkit::go::{Running, releases};

/// What each object waits for, and whether it has hints; by what the program calls it.
#[test]
fn what_nothing_keeps_is_told_with_where_its_address_is_left() {
    for go in releases() {
        for flags in [&[][..], &["-ldflags=-s -w"], &["-ldflags=-s -w", "-buildmode=pie", "-trimpath"]] {
            let folder = tempfile::tempdir().unwrap();
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/hints.go");
            let program = folder.path().join("hints");
            go.build(&source, flags, &program);
            let mut running = Running::start(&mut Command::new(&program));
            let objects: BTreeMap<String, u64> = running
                .lines_until("ready")
                .iter()
                .map(|line| {
                    let words: Vec<&str> = line.split(' ').collect();
                    (words[1].to_owned(), u64::from_str_radix(words[2].trim_start_matches("0x"), 16).unwrap())
                })
                .collect();
            running.settle();
            let said = format!("{} {flags:?}", go.version);
            let mut target = Target::process(running.pid()).unwrap();
            for freeze in [Freeze::Roots, Freeze::None, Freeze::Full] {
                check(&target, freeze, &objects, go.minor(), &format!("{said}, {}", freeze.name()));
            }
            target.forget();
            let core = Target::core(&running.core(folder.path()), Some(&program)).unwrap();
            check(&core, Freeze::Roots, &objects, go.minor(), &format!("{said}, core"));
        }
    }
}

fn check(target: &Target, freeze: Freeze, objects: &BTreeMap<String, u64>, minor: u32, said: &str) {
    let binary = Binary::parse(&target.program).unwrap();
    let layouts = Layouts::of(&binary).unwrap();
    let options = Options { freeze, key: [7; 32], reveal: false, now: target.now() };
    let (report, mut heap) = Heap::read(target, &binary, &layouts, &options).unwrap();
    let mut ask = |what: &str| {
        let object = heap.objects_of(&format!("{:#x}", objects[what]));
        assert_eq!(object.len(), 1, "{said}: {what}");
        (heap.unheld(object[0], &report), heap.incarnation(objects[what]).unwrap())
    };
    let mut unheld = |what: &str| ask(what).0.unwrap_or_else(|| panic!("{said}: {what} is kept"));
    let any = |unheld: &Unheld, is: &dyn Fn(&HintPlace) -> bool| {
        assert!(unheld.hints.left_out.is_empty(), "{said}: {unheld:?}");
        assert!(unheld.hints.found.iter().any(|hint| is(&hint.place)), "{said}: {unheld:#?}");
    };

    let lost = unheld("lost");
    assert_eq!(lost.wait, Wait::Collection, "{said}");
    assert_eq!(lost.notes, [(NoteKind::Finalizer, Some("main.finish".to_owned()), State::Unreachable)], "{said}");
    any(&lost, &|place| match place {
        HintPlace::DeadStack { function: Some((name, true)), below, .. } => name == "main.leave" && *below > 3000,
        _ => false,
    });

    let slotted = unheld("slotted");
    assert_eq!((&slotted.wait, slotted.notes.len()), (&Wait::Collection, 0), "{said}");
    any(&slotted, &|place| matches!(place, HintPlace::DeadSlot { function: Some(name), .. } if name == "main.forgets"));

    let boxed = unheld("boxed");
    assert_eq!(boxed.wait, Wait::Collection, "{said}");
    any(&boxed, &|place| match place {
        HintPlace::FreeSlot { address, offset: 1600, kind, .. } => {
            // Types are noted beside objects since Go 1.22.
            *address == objects["box"] && (kind.as_deref() == Some("main.box")) == (minor >= 22)
        }
        _ => false,
    });

    let inner = unheld("inner");
    any(&inner, &|place| match place {
        HintPlace::Unheld { address, field, .. } => {
            *address == objects["owner"] && field == if minor >= 22 { ".inner" } else { "+0x280" }
        }
        _ => false,
    });

    let behind = unheld("behind");
    let Wait::Behind { address, function, .. } = &behind.wait else { panic!("{said}: {behind:?}") };
    assert_eq!((*address, function.as_deref()), (objects["first"], Some("main.finishFirst")), "{said}");
    assert_eq!(unheld("ring").wait, Wait::Cycle, "{said}");
    assert_eq!(unheld("ring").notes[0].2, State::Cycle, "{said}");

    for (what, is_direct) in [("queued", true), ("child", false)] {
        let found = unheld(what);
        let Wait::Queue { cleanups: false, calls: 5, function, direct } = &found.wait else {
            panic!("{said}: {found:?}")
        };
        assert_eq!((function.as_deref(), *direct), (Some("main.waitForever"), is_direct), "{said}");
        assert!(found.runners.iter().any(|runner| runner.blocked), "{said}: {found:?}");
    }
    assert_eq!(ask("kept").0.map(|unheld| unheld.wait), None, "{said}");

    // It was there at the last sweep; the others are newer.
    assert!(!ask("boxed").1.young && ask("kept").1.young && ask("lost").1.young, "{said}");
}

//! Targets that don't hold still, and cores that aren't what they should be: no crash on either side, no nonsense, bounded
//! work, and counts of what didn't fit.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs programs, and fails where it can't go on"
)]

mod common;

use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use common::{Numbers, start, used_words};
use residue_gobin::{Binary, Elf};
use residue_runtime::{Freeze, Options, Report, Role, inspect};
use residue_target::{MemoryExt as _, Target};
use residue_testkit::go::Running;

fn options(freeze: bool) -> Options {
    let freeze = if freeze { Freeze::Roots } else { Freeze::None };
    Options { freeze, key: [1; 32], reveal: false, now: None }
}

/// What has to hold whatever was read: names, or nothing.
fn check_sense(report: &Report) {
    for goroutine in &report.goroutines {
        assert!(goroutine.deferred.len() <= 100_000 && goroutine.stack.len() <= 10_000);
        for frame in report.stack(goroutine) {
            assert!(!frame.function.is_empty() && frame.function.len() < 10_000, "{frame:?}");
        }
    }
}

#[test]
fn a_program_that_never_holds_still_is_read_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start("busy", folder.path());
    let mut stdin = running.stdin();
    assert_eq!(running.line().as_deref(), Some("ready"));
    let mut ask = |running: &mut Running| -> u64 {
        stdin.write_all(b"\n").unwrap();
        running.line().expect("it lives").parse().unwrap()
    };
    let before = ask(&mut running);
    let target = Target::process(running.pid()).unwrap();
    let binary = Binary::parse(&target.program).unwrap();
    let mut cut = [0, 0];
    let mut seen = [0, 0];
    // In each mode.
    let rounds = if std::env::var_os("RESIDUE_TEST_FULL").is_some() { 1000 } else { 100 };
    for round in 0..2 * rounds {
        let freeze = round % 2 == 0;
        // Not frozen, the list itself may be moved while it is read.
        let Ok(report) = inspect(&target, &binary, &options(freeze)) else {
            assert!(!freeze);
            continue;
        };
        check_sense(&report);
        if freeze {
            check_frozen(&report);
        }
        seen[usize::from(!freeze)] += report.goroutines.len();
        cut[usize::from(!freeze)] += report.inconsistencies.values().sum::<usize>();
        if round % 10 == 0 {
            // One stack in full, of whoever is there.
            let goroutine = &report.goroutines[round % report.goroutines.len()];
            if let Ok(view) = residue_runtime::stack(&target, &binary, &options(freeze), goroutine.id) {
                assert!(view.used <= view.size && view.frames.len() <= 10_000, "{view:?}");
                check_sense(&view.report);
            }
        }
    }
    // Frozen, next to nothing is missing: only what was caught in the middle of a switch of stacks.
    assert!(cut[0] * 50 < seen[0], "{cut:?} of {seen:?}");
    assert!(ask(&mut running) > before);
    assert!(running.is_alive());
}

/// What the program can be doing, and nothing else: it consists of a handful of functions, and of the runtime.
fn check_frozen(report: &Report) {
    let main = report.goroutines.iter().find(|goroutine| goroutine.id == 1);
    let main = main.unwrap_or_else(|| panic!("the first one never ends: {report:?}"));
    let calls: Vec<&str> = report.stack(main).map(|frame| &*frame.function).collect();
    assert!(calls.contains(&"main.main"), "{calls:?}");
    let mut ids: Vec<u64> = report.goroutines.iter().map(|goroutine| goroutine.id).collect();
    ids.dedup();
    assert_eq!(ids.len(), report.goroutines.len(), "every number is there once");
    for goroutine in report.goroutines.iter().filter(|goroutine| goroutine.role == Role::User) {
        let deferring: Vec<&str> = goroutine
            .deferred
            .iter()
            .filter_map(|deferred| deferred.frame)
            .filter_map(|index| report.at(goroutine.stack[index]).last())
            .map(|frame| &*frame.function)
            .collect();
        for name in deferring.iter().filter(|name| name.starts_with("main.")) {
            assert!(matches!(*name, "main.deep" | "main.panics" | "main.panics.func2"), "{name}: {goroutine:#?}");
        }
        for panic in &goroutine.panics {
            let kind = panic.value_type.as_deref();
            assert!(matches!(kind, None | Some("*errors.errorString")), "{kind:?}: {goroutine:#?}");
        }
        assert!(goroutine.labels.is_empty(), "{goroutine:#?}");
    }
}

#[test]
fn broken_cores_are_read_as_far_as_they_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start("truth", folder.path());
    running.lines_until("ready");
    let path = running.core(folder.path());
    let program = folder.path().join("truth");
    let look = || {
        let start = Instant::now();
        let report = Target::core(&path, Some(&program)).ok().and_then(|target| {
            let binary = Binary::parse(&target.program).unwrap();
            inspect(&target, &binary, &options(false)).ok()
        });
        assert!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());
        report.iter().for_each(check_sense);
        report.map(|report| report.goroutines.len())
    };
    let whole = look().unwrap();
    // The core has what Go reserves, too: a gigabyte. What matters is written to; mappings that stand side by side can
    // have become one.
    let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let mut headers = vec![0; 1 << 20];
    file.read_exact_at(&mut headers, 0).unwrap();
    let elf = Elf::parse(&headers).unwrap();
    let used = used_words(&file, &elf);
    assert!(used.len() > 1_000, "{} words are in use", used.len());
    let mut numbers = Numbers(3);
    let (mut read, mut refused) = (0, 0);
    for round in 0..60 {
        let mut changed = Vec::new();
        for _ in 0..used.len() / 50 {
            let (at, word) = &used[numbers.below(used.len())];
            let mut new = word.clone();
            if round % 2 == 0 {
                new[numbers.below(8)] ^= 1 << numbers.below(8);
            } else {
                // A pointer that leads elsewhere: lists in circles, insane lengths.
                new.clone_from(&used[numbers.below(used.len())].1);
            }
            file.write_all_at(&new, *at).unwrap();
            changed.push((*at, word));
        }
        match look() {
            Some(count) => {
                assert!(count <= whole + 100, "{count} goroutines, not {whole}");
                read += 1;
            }
            None => refused += 1,
        }
        for (at, word) in changed {
            file.write_all_at(word, at).unwrap();
        }
    }
    assert_eq!(look(), Some(whole), "all changes are undone");
    let mut len = file.metadata().unwrap().len();
    while len > 64 {
        len = len * 2 / 3;
        file.set_len(len).unwrap();
        refused += u32::from(look().is_none());
    }
    assert!(read > 2 && refused > 0, "{read} read, {refused} refused");
}

#[test]
fn a_goroutine_that_is_listed_again_and_again_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start("truth", folder.path());
    running.lines_until("ready");
    let path = running.core(folder.path());
    let program = folder.path().join("truth");
    let target = Target::core(&path, Some(&program)).unwrap();
    let binary = Binary::parse(&target.program).unwrap();
    let whole = inspect(&target, &binary, &options(false)).unwrap();
    // The program has no symbols: the list is the slice with as many entries as there are goroutines.
    let all = (whole.goroutines.len() + whole.dead) as u64;
    let (start, end) = binary.module.pointer_data[1];
    let slices = (start..end).step_by(8).map(|at| at.wrapping_add(target.slide)).filter_map(|at| {
        let (address, len, capacity) = (target.word(at)?, target.word(at + 8)?, target.word(at + 16)?);
        (len == all && capacity >= len && target.word(address + 8 * len - 8).is_some()).then_some((address, len))
    });
    let (at, len) = slices.last().unwrap();
    assert!(whole.goroutines.len() > 20 && !whole.inconsistencies.contains_key("goroutines that are listed twice"));
    let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let mut headers = vec![0; 1 << 20];
    file.read_exact_at(&mut headers, 0).unwrap();
    let elf = Elf::parse(&headers).unwrap();
    let segment = elf.segments().iter().find(|segment| (segment.address..segment.address + segment.size).contains(&at));
    let offset = segment.map(|segment| segment.offset + (at - segment.address)).unwrap();
    let second = target.word(at + 8).unwrap().to_le_bytes();
    for index in 2..len {
        file.write_all_at(&second, offset + 8 * index).unwrap();
    }
    let target = Target::core(&path, Some(&program)).unwrap();
    let report = inspect(&target, &binary, &options(false)).unwrap();
    assert_eq!(report.inconsistencies.get("goroutines that are listed twice"), Some(&(len as usize - 2)));
    assert_eq!(report.goroutines.len() + report.dead, 2, "{:?}", report.goroutines);
}

#[test]
fn a_core_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start("truth", folder.path());
    running.lines_until("ready");
    let path = running.core(folder.path());
    drop(start("busy", folder.path()));
    let refused = Target::core(&path, Some(&folder.path().join("busy"))).map(|_| ()).unwrap_err();
    assert!(refused.to_string().starts_with("the core is not one of this program, but of build id "), "{refused}");
}

//! Heaps that aren't what they should be: mutated while they are read, and cores with flipped bits and pointers that lead
//! elsewhere. No crash on either side, bounded time and memory, and what is left out is counted.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test runs programs, and fails where it can't go on"
)]

mod common;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Numbers, start, used_words};
use residue_gobin::{Binary, Elf};
use residue_runtime::heap::{Heap, Layouts};
use residue_runtime::{Freeze, Options};
use residue_target::Target;

/// Memory that this process may ever have used: the core is mapped, what is read of it isn't large.
const MEMORY_KB_MAX: u64 = 1_500_000;

fn options(freeze: Freeze) -> Options {
    Options { freeze, key: [1; 32], reveal: false, now: None }
}

/// Reads all there is to read; how many objects there are.
fn look(target: &Target, freeze: Freeze) -> Option<u64> {
    let start = Instant::now();
    let binary = Binary::parse(&target.program).unwrap();
    let layouts = Layouts::of(&binary).unwrap();
    let found = Heap::read(target, &binary, &layouts, &options(freeze)).ok().map(|(report, mut heap)| {
        let summary = heap.summary();
        let retained = heap.retained();
        assert!(retained.total <= summary.object_bytes);
        let kinds = heap.kinds(Some(&retained));
        assert_eq!(kinds.iter().map(|kind| kind.objects).sum::<u64>(), summary.objects);
        let finalizers = heap.finalizers(&report);
        assert!(finalizers.groups.iter().map(|group| group.registered).sum::<u64>() <= 10 * summary.objects);
        let _ = heap.holders();
        let _ = heap.profile();
        for kind in kinds.iter().filter_map(|kind| kind.name.as_deref()).take(20) {
            let objects = heap.objects_of(kind);
            let why = heap.why(&objects);
            assert!(why.unreachable <= why.objects);
            for holding in &why.holdings {
                assert!(holding.path.steps.len() <= 100);
            }
        }
        summary.objects
    });
    assert!(start.elapsed() < Duration::from_mins(1), "it took {:?}", start.elapsed());
    found
}

fn memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().split(' ').next().unwrap().parse().unwrap()
}

/// What was met while a program was looked at in one mode.
#[derive(Debug, Default)]
struct Met {
    read: usize,
    refused: usize,
    /// Looks in which not all nodes of the list were there, or more.
    torn: usize,
    notes: BTreeMap<&'static str, usize>,
}

/// One look: the list that the program turns, and that everything told has a name and sizes that can be.
fn look_at_list(target: &Target, freeze: Freeze, met: &mut Met) {
    let binary = Binary::parse(&target.program).unwrap();
    let layouts = Layouts::of(&binary).unwrap();
    let Ok((report, mut heap)) = Heap::read(target, &binary, &layouts, &options(freeze)) else {
        met.refused += 1;
        return;
    };
    met.read += 1;
    for (what, count) in heap.notes.iter().chain(&report.inconsistencies) {
        *met.notes.entry(what).or_default() += count;
    }
    let summary = heap.summary();
    let kinds = heap.kinds(None);
    assert_eq!(kinds.iter().map(|kind| kind.objects).sum::<u64>(), summary.objects);
    let sensible =
        |name: &str| !name.is_empty() && name.len() < 500 && name.chars().all(|c| c >= ' ' && c != '\u{fffd}');
    for name in kinds.iter().filter_map(|kind| kind.name.as_deref()) {
        assert!(sensible(name), "{name:?}");
        let of_main = name.contains("main.");
        assert!(!of_main || name.contains("main.node") || name.starts_with("closure of main."), "{name:?}");
    }
    let nodes = heap.objects_of("main.node");
    let why = heap.why(&nodes);
    met.torn += usize::from(why.objects - why.unreachable != 1000);
    for holding in &why.holdings {
        assert!(sensible(&holding.path.root), "{:?}", holding.path);
        assert!(holding.path.steps.iter().all(|step| step.kind.as_deref().is_none_or(sensible)), "{:?}", holding.path);
    }
    let finalizers = heap.finalizers(&report);
    for group in &finalizers.groups {
        assert!(group.function.as_deref().is_none_or(sensible), "{group:?}");
    }
}

#[test]
fn a_heap_that_never_holds_still_is_read_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start("busy", folder.path());
    let (pid, mut stdin) = (running.pid(), running.stdin());
    assert_eq!(running.line().as_deref(), Some("ready"));
    let mut rounds_made = || -> u64 {
        stdin.write_all(b"\n").unwrap();
        running.line().expect("it lives").parse().unwrap()
    };
    let before = rounds_made();
    let rounds = if std::env::var_os("RESIDUE_TEST_FULL").is_some() { 1000 } else { 15 };
    let mut all = BTreeMap::new();
    for freeze in [Freeze::Roots, Freeze::Full, Freeze::None] {
        let met: &mut Met = all.entry(freeze.name()).or_default();
        // What is heavy, too, a few times.
        let _ = Target::process(pid).ok().and_then(|target| look(&target, freeze));
        for _ in 0..rounds {
            // Opened anew: the heap grows.
            look_at_list(&Target::process(pid).unwrap(), freeze, met);
        }
        assert!(rounds_made() > before);
    }
    // For docs/results/inspect.md.
    eprintln!("{rounds} looks in each mode: {all:#?}");
    assert_eq!((all["full"].refused, all["roots"].refused), (0, 0));
    assert!(all["none"].read * 10 >= rounds * 8, "{:?}", all["none"]);
    // At one moment all of it is there.
    assert!(all["full"].torn * 100 <= rounds, "{:?}", all["full"]);
}

/// A program that changes all the time, and a core of it.
fn busy_core(folder: &Path) -> (PathBuf, PathBuf) {
    let mut running = start("busy", folder);
    assert_eq!(running.line().as_deref(), Some("ready"));
    (folder.join("busy"), running.core(folder))
}

#[test]
fn heaps_of_broken_cores_are_read_as_far_as_they_go() {
    let folder = tempfile::tempdir().unwrap();
    let (program, path) = busy_core(folder.path());
    let look = || Target::core(&path, Some(&program)).ok().and_then(|target| look(&target, Freeze::Full));
    let whole = look().unwrap();
    let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let mut headers = vec![0; 1 << 20];
    let len = file.read_at(&mut headers, 0).unwrap();
    let elf = Elf::parse(&headers[..len]).unwrap();
    let used = used_words(&file, &elf);
    assert!(used.len() > 1_000, "{} words are in use", used.len());
    let mut numbers = Numbers(11);
    let (mut read, mut refused) = (0, 0);
    for round in 0..24 {
        let mut changed = Vec::new();
        // From a few words, which leave the heap to be found, to one in fifty.
        for _ in 0..used.len() / [2000, 500, 50][round % 3] {
            let (at, word) = &used[numbers.below(used.len())];
            let mut new = word.clone();
            match round % 2 {
                0 => new[numbers.below(8)] ^= 1 << numbers.below(8),
                // A pointer that leads elsewhere: lists in circles, insane lengths.
                _ => new.clone_from(&used[numbers.below(used.len())].1),
            }
            file.write_all_at(&new, *at).unwrap();
            changed.push((*at, word));
        }
        match look() {
            Some(_) => read += 1,
            None => refused += 1,
        }
        for (at, word) in changed {
            file.write_all_at(word, at).unwrap();
        }
    }
    assert_eq!(look(), Some(whole), "all changes are undone");
    assert!(read > 2, "{read} read, {refused} refused");
    assert!(memory_kb() < MEMORY_KB_MAX, "{} KB", memory_kb());
}

#[test]
fn a_core_that_claims_more_than_a_machine_has_is_read_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (program, path) = busy_core(folder.path());
    let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let mut headers = vec![0; 1 << 20];
    let len = file.read_at(&mut headers, 0).unwrap();
    let elf = Elf::parse(&headers[..len]).unwrap();
    let used = used_words(&file, &elf);
    let table = u64::from_le_bytes(headers[32..40].try_into().unwrap());
    let half = |at: usize| u64::from(u16::from_le_bytes([headers[at], headers[at + 1]]));
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let mapped: Vec<(u64, u64)> = elf.segments().iter().map(|segment| (segment.address, segment.size)).collect();
    let is_mapped = |at: u64| mapped.iter().any(|(start, size)| (*start..start + size).contains(&at));
    for claimed in [1_u64 << 40, 1 << 46, 1 << 62, u64::MAX] {
        // `p_memsz` of what can be written to.
        for header in (0..half(56)).map(|number| table + number * half(54)) {
            let flags = headers[header as usize + 4];
            if flags & 2 != 0 {
                file.write_all_at(&claimed.to_le_bytes(), header + 40).unwrap();
            }
        }
        // `mspan.startAddr` and `mspan.npages`, one next to the other: of a span here and there.
        let pages = (claimed / 8192).min(1 << 50);
        let spans = used.windows(2).filter(|pair| {
            let (start, pages) = (word(&pair[0].1), word(&pair[1].1));
            pair[1].0 == pair[0].0 + 8 && start.is_multiple_of(8192) && pages == 1 && is_mapped(start)
        });
        let spans: Vec<u64> = spans.map(|pair| pair[1].0).collect();
        assert!(spans.len() > 20, "{}", spans.len());
        for at in spans.iter().step_by(10) {
            file.write_all_at(&pages.to_le_bytes(), *at).unwrap();
        }
        let target = Target::core(&path, Some(&program)).unwrap();
        assert!(look(&target, Freeze::Full).is_some());
        for at in spans.iter().step_by(10) {
            file.write_all_at(&1_u64.to_le_bytes(), *at).unwrap();
        }
        assert!(memory_kb() < MEMORY_KB_MAX, "{} KB for {claimed:#x}", memory_kb());
    }
}

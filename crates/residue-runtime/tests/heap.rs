//! Objects, finalizers and ways from roots of a program that says itself what it holds and who holds it: live and as a core,
//! stripped and not, for each release at hand.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs programs, and fails where it can't go on"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use residue_gobin::Binary;
use residue_runtime::heap::{Heap, Layouts, NoteKind, State};
use residue_runtime::{Freeze, Options, Report};
use residue_target::Target;
use residue_testkit::go::{ARM, BUILDS, Go, HOST, Running, emulated, has_emulator, releases};

/// Objects that are kept: what the program calls them, the kind of root, and the variable where there is one.
const KEPT: &[(&str, &str, &str)] = &[
    ("listed", "variable", "main.keepSlice"),
    ("mapped", "variable", "main.keepMap"),
    ("small", "variable", "main.keepSmall"),
    ("captured", "variable", "main.keepFunc"),
    ("buffered", "variable", "main.keepChan"),
    ("boxed", "variable", "main.keepAny"),
    ("timed", "variable", ""),
    ("chained", "variable", "main.keepNested.second[2].deep"),
    ("finalized", "variable", "main.keepFinal"),
    ("local", "frame", ""),
    ("deferred", "deferred", ""),
];

/// Objects whose types are noted beside them, since Go 1.22.
const COUNTS: &[(&str, u64)] = &[
    ("main.listed", 1000),
    ("main.mapped", 500),
    ("main.small", 5),
    ("main.buffered", 20),
    ("main.boxed", 1),
    ("main.timed", 1),
    ("main.chained", 31),
    ("main.finalized", 50),
    ("main.ring", 14),
    ("main.local", 1),
    ("main.deferred", 3),
    ("main.dead", 100),
];

struct Program {
    running: Running,
    path: PathBuf,
    objects: BTreeMap<String, u64>,
    figures: BTreeMap<String, u64>,
}

fn start(go: &Go, flags: &[&str], folder: &Path, arguments: &[&str], arch: &str) -> Program {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let names = ["heap.go", "heap_new.go", "heap_old.go", "heap_c.go", "quit_arm64.go"];
    let path = folder.join("heap");
    go.build_module("heap", &names.map(|name| sources.join(name)), flags, arch, &path);
    let mut command = if arch == ARM { emulated(&path, folder) } else { Command::new(&path) };
    let mut running = Running::start(command.args(arguments));
    let (mut objects, mut figures) = (BTreeMap::new(), BTreeMap::new());
    for line in running.lines_until("ready") {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["object", what, address] => {
                let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap();
                objects.insert(what.to_owned(), address);
            }
            [what, number] => {
                figures.insert(what.to_owned(), number.parse().unwrap());
            }
            _ => panic!("{line}"),
        }
    }
    running.settle();
    Program { running, path, objects, figures }
}

fn options(target: &Target, freeze: Freeze) -> Options {
    Options { freeze, key: [7; 32], reveal: false, now: target.now() }
}

#[test]
fn what_is_held_is_what_the_program_says() {
    for go in releases() {
        for flags in BUILDS {
            let folder = tempfile::tempdir().unwrap();
            let mut program = start(&go, flags, folder.path(), &[], HOST);
            let said = format!("{} {flags:?}", go.version);
            let mut target = Target::process(program.running.pid()).unwrap();
            for freeze in [Freeze::Roots, Freeze::None, Freeze::Full] {
                check(&go, flags, &program, &target, freeze, &format!("{said}, {}", freeze.name()));
            }
            again(&mut target);
            let core = Target::core(&program.running.core(folder.path()), Some(&program.path)).unwrap();
            check(&go, flags, &program, &core, Freeze::Full, &format!("{said}, core"));
            assert!(program.running.is_alive());
        }
    }
}

/// The same of programs for 64-bit Arm: an emulator runs them, and writes cores of them.
#[test]
fn what_is_held_on_other_machines_is_what_the_program_says() {
    // Position-independent ones want the dynamic linker of such a machine.
    let (releases, builds) = (releases(), &BUILDS[..2]);
    if !has_emulator(releases.len() * builds.len(), "heaps of programs for arm64") {
        return;
    }
    for go in releases {
        for flags in builds {
            let folder = tempfile::tempdir().unwrap();
            let mut program = start(&go, flags, folder.path(), &[], ARM);
            let core = program.running.emulated_core(folder.path());
            let core = Target::core(&core, Some(&program.path)).unwrap();
            check(&go, flags, &program, &core, Freeze::Full, &format!("{} arm64 {flags:?}, core", go.version));
        }
    }
}

/// A process that is held as it was isn't looked into again by mistake.
fn again(target: &mut Target) {
    let look = |target: &Target| {
        let binary = Binary::parse(&target.program).unwrap();
        let layouts = Layouts::of(&binary).unwrap();
        Heap::read(target, &binary, &layouts, &options(target, Freeze::Full)).map(|_| ())
    };
    assert_eq!(look(target), Err(residue_runtime::Error::Held));
    target.forget();
    assert_eq!(look(target), Ok(()));
}

fn check(go: &Go, flags: &[&str], program: &Program, target: &Target, freeze: Freeze, said: &str) {
    let binary = Binary::parse(&target.program).unwrap();
    let layouts = Layouts::of(&binary).unwrap();
    let (report, mut heap) = Heap::read(target, &binary, &layouts, &options(target, freeze))
        .unwrap_or_else(|error| panic!("{said}: {error}"));
    let stripped = flags.contains(&"-ldflags=-s -w");
    assert!(heap.notes.is_empty(), "{said}: {:?}", heap.notes);
    figures(program, &heap, said);
    if go.minor() >= 22 {
        let kinds = heap.kinds(None);
        for (name, count) in COUNTS {
            let found: u64 =
                kinds.iter().filter(|kind| kind.name.as_deref() == Some(*name)).map(|kind| kind.objects).sum();
            assert_eq!(found, *count, "{said}: objects of {name}");
        }
    }
    ways(program, &mut heap, stripped, said);
    finalizers(go, &heap, &report, said);
}

/// Objects and collections beside the program's own figures.
fn figures(program: &Program, heap: &Heap<'_>, said: &str) {
    let summary = heap.summary();
    let (objects, bytes) = (program.figures["objects"], program.figures["bytes"]);
    // Printing what it says makes some more.
    assert!(summary.objects.abs_diff(objects) * 1000 <= objects, "{said}: {} objects, not {objects}", summary.objects);
    assert!(
        summary.object_bytes.abs_diff(bytes) <= bytes / 1000 + 16_384,
        "{said}: {} bytes, not {bytes}",
        summary.object_bytes
    );
    let collections = summary.collections.unwrap_or_else(|| panic!("{said}: no figures of collections"));
    assert_eq!(u64::from(collections.cycles), program.figures["cycles"], "{said}");
    assert_eq!(u64::from(collections.forced), program.figures["forced"], "{said}");
    assert_eq!(collections.paused.as_nanos(), u128::from(program.figures["pause"]), "{said}");
    assert_eq!(collections.last_unix_ns, program.figures["last"], "{said}");
    assert_eq!(u64::from(summary.cycles), program.figures["cycles"], "{said}");
}

/// Who holds what, and that nothing else does.
fn ways(program: &Program, heap: &mut Heap<'_>, stripped: bool, said: &str) {
    for (what, root_kind, variable) in KEPT {
        let objects = heap.objects_of(&format!("{:#x}", program.objects[*what]));
        assert_eq!(objects.len(), 1, "{said}: {what}");
        let why = heap.why(&objects);
        assert_eq!((why.objects, why.unreachable), (1, 0), "{said}: {what} is reachable");
        let path = &why.holdings[0].path;
        assert_eq!(path.root_kind, *root_kind, "{said}: {what} by {path:?}");
        assert!(path.root_precise && path.steps.iter().all(|step| step.precise), "{said}: {what} by {path:?}");
        assert_eq!(path.steps.last().unwrap().address, program.objects[*what], "{said}: {what}");
        if !stripped && !variable.is_empty() {
            assert_eq!(path.root, format!("package variable {variable}"), "{said}: {what} by {path:?}");
        }
        if stripped && let Some(name) = variable.strip_prefix("main.keep") {
            // Each is filled by a function of the program's; which one is in the code only.
            assert!(path.root.contains(", used by main."), "{said}: {name} is {}", path.root);
        }
        if *root_kind == "frame" {
            assert!(path.root.ends_with(" in main.inFrame"), "{said}: {}", path.root);
        }
    }
    // Dead, though words that look like pointers to them may be left on stacks.
    for what in ["dead", "stale"] {
        let objects = heap.objects_of(&format!("{:#x}", program.objects[what]));
        // One was freed, unless its size has a place in the runtime's own records still.
        let why = heap.why(&objects);
        assert_eq!(why.objects, why.unreachable, "{said}: {what} by {:?}", why.holdings);
    }
}

fn finalizers(go: &Go, heap: &Heap<'_>, report: &Report, said: &str) {
    let found = heap.finalizers(report);
    let group = |function: &str| {
        let mut groups = found.groups.iter().filter(|group| group.function.as_deref() == Some(function));
        groups.next().unwrap_or_else(|| panic!("{said}: {function} is not among {:?}", found.groups))
    };
    let kept = group("main.finalizers.func1");
    assert_eq!((kept.kind, kept.registered), (NoteKind::Finalizer, 50), "{said}");
    assert_eq!(kept.states, BTreeMap::from([(State::KeptByVariable, 50)]), "{said}");
    assert_eq!(kept.object_type.as_deref(), Some("main.finalized"), "{said}");
    let cycle = group("main.finalizers.func2");
    assert_eq!(cycle.states, BTreeMap::from([(State::Cycle, 7)]), "{said}");
    let own = group("main.finalizers.func4");
    assert_eq!(own.states, BTreeMap::from([(State::OwnFunction, 1)]), "{said}");
    // Those that lead straight to themselves were finalized.
    assert!(!found.groups.iter().any(|group| group.function.as_deref() == Some("main.finalizers.func3")), "{said}");
    assert!(found.queued.is_empty() && found.queued_cleanups.is_empty(), "{said}: {found:?}");
    assert!(found.runners.iter().any(|runner| runner.finalizers), "{said}: {:?}", found.runners);
    assert!(found.runners.iter().all(|runner| !runner.blocked), "{said}: {:?}", found.runners);
    if go.minor() >= 24 {
        let cleanups = group("main.sayGone");
        assert_eq!((cleanups.kind, cleanups.registered), (NoteKind::Cleanup, 40), "{said}");
        assert_eq!(cleanups.states, BTreeMap::from([(State::KeptByVariable, 40)]), "{said}");
        let weak = found.groups.iter().filter(|group| group.kind == NoteKind::Weak);
        let weak: Vec<_> = weak.filter(|group| group.object_type.as_deref() == Some("main.cleaned")).collect();
        assert_eq!(weak.iter().map(|group| group.registered).sum::<u64>(), 40, "{said}: {:?}", found.groups);
    }
}

#[test]
fn a_finalizer_that_blocks_is_seen_with_what_waits_behind_it() {
    for go in releases() {
        let folder = tempfile::tempdir().unwrap();
        let program = start(&go, BUILDS[0], folder.path(), &["stick"], HOST);
        let target = Target::process(program.running.pid()).unwrap();
        let binary = Binary::parse(&target.program).unwrap();
        let layouts = Layouts::of(&binary).unwrap();
        let (report, heap) = Heap::read(&target, &binary, &layouts, &options(&target, Freeze::Roots)).unwrap();
        let found = heap.finalizers(&report);
        let runner = found.runners.iter().find(|runner| runner.finalizers).unwrap();
        assert!(runner.blocked, "{}: {runner:?}", go.version);
        assert_eq!(runner.calls.as_deref(), Some("main.waitForever"), "{}: {runner:?}", go.version);
        assert_eq!(runner.wait_reason.as_deref(), Some("chan receive"), "{}", go.version);
        // The one that is being called counts too, until it returns.
        assert_eq!(found.queued.get("main.waitForever"), Some(&10), "{}: {:?}", go.version, found.queued);
    }
}

//! Programs that have loaded plugins, beside what the plugins themselves say: goroutines, deferred calls, panics, objects and
//! who keeps them; live and as cores, stripped and not, for each release at hand. And lists of modules that aren't any.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs programs, and fails where it can't go on"
)]

#[path = "common/stacks.rs"]
mod stacks;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::time::{Duration, Instant};

use residue_gobin::Elf;
use residue_runtime::DeferKind::{HeapRecord, OpenCoded};
use residue_runtime::heap::{Heap, Layouts, NoteKind, State};
use residue_runtime::{DeferKind, Freeze, Goroutine, Lives, Options, Phase, Report, Word, inspect, program, stack};
use residue_target::Target;
use residue_testkit::go::{Go, HOST, Running, WITH_C, releases};

/// Flags for the program, and for all.
const BUILDS: &[(&[&str], &[&str])] =
    &[(&[], &[]), (&[], &["-ldflags=-s -w"]), (&["-buildmode=pie"], &["-ldflags=-s -w"])];
const PLUGINS: [&str; 2] = ["plugin", "plugin_other"];

/// Objects that are kept: what the plugins call them, the kind of root, and its variable or function.
const KEPT: &[(&str, &str, &str)] = &[
    ("listed", "variable", "example.com/plugin.keepList"),
    ("mapped", "variable", "example.com/plugin.keepMap"),
    ("boxed", "variable", "example.com/plugin.keepAny"),
    ("spoken", "variable", "example.com/plugin.keepIface"),
    ("finalized", "variable", "example.com/plugin.keepFinal"),
    ("alone", "variable", "example.com/plugin_other.keepAlone"),
    ("local", "frame", "example.com/plugin.inFrame"),
    ("pointed", "frame", "example.com/plugin.inTaken"),
    ("captured", "deferred", ""),
];

/// Objects whose types are noted beside them, since Go 1.22.
const COUNTS: &[(&str, u64)] = &[
    ("main.listed", 10),
    ("main.mapped", 20),
    ("main.boxed", 1),
    ("main.spoken", 1),
    ("main.finalized", 5),
    ("main.alone", 1),
    ("main.local", 1),
    ("main.pointed", 1),
    ("main.captured", 3),
];

struct Plugged {
    running: Running,
    /// The program ends when this does.
    _stdin: ChildStdin,
    folder: tempfile::TempDir,
    /// What each goroutine says it is.
    kinds: BTreeMap<u64, String>,
    objects: BTreeMap<String, u64>,
    stacks: BTreeMap<u64, Vec<String>>,
}

impl Plugged {
    fn start(go: &Go, (own, all): (&[&str], &[&str])) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(format!("{name}.so"));
        for name in PLUGINS {
            build(go, name, &[all, &["-buildmode=plugin"]].concat(), &path(name));
        }
        let host = folder.path().join("host");
        build(go, "plugin_host", &[all, own].concat(), &host);
        let mut running = Running::start(Command::new(&host).args(PLUGINS.map(path)));
        let mut stdin = running.stdin();
        let (mut kinds, mut objects) = (BTreeMap::new(), BTreeMap::new());
        for line in running.lines_until("ready") {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["g", id, kind] => {
                    kinds.insert(id.parse().unwrap(), kind.to_owned());
                }
                ["object", what, address] => {
                    let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap();
                    objects.insert(what.to_owned(), address);
                }
                _ => panic!("{line}"),
            }
        }
        stdin.write_all(b"\n").unwrap();
        let stacks = stacks::printed(&running.lines_until("end"));
        running.settle();
        Self { running, _stdin: stdin, folder, kinds, objects, stacks }
    }

    fn core(&self) -> PathBuf {
        self.running.core(self.folder.path())
    }

    fn of<'r>(&self, report: &'r Report, kind: &str) -> Vec<&'r Goroutine> {
        let ids = self.kinds.iter().filter(|(_, known)| *known == kind).map(|(id, _)| *id);
        ids.map(|id| report.goroutines.iter().find(|goroutine| goroutine.id == id).unwrap()).collect()
    }
}

/// Builds one of the test's programs, as a module of its own. Whoever loads plugins has C in it.
fn build(go: &Go, name: &str, flags: &[&str], to: &Path) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/programs/{name}.go"));
    go.build_module(&format!("example.com/{name}"), &[file], &[&[WITH_C], flags].concat(), HOST, to);
}

fn options(target: &Target, freeze: Freeze) -> Options {
    Options { freeze, key: [7; 32], reveal: false, now: target.now() }
}

#[test]
fn what_plugins_hold_is_what_they_say() {
    for go in releases() {
        for flags in BUILDS {
            let mut plugged = Plugged::start(&go, *flags);
            let stripped = !flags.1.is_empty();
            let said = format!("{} {flags:?}", go.version);
            let mut target = Target::process(plugged.running.pid()).unwrap();
            for freeze in [Freeze::Roots, Freeze::None, Freeze::Full] {
                check(&go, &plugged, &target, freeze, stripped, &format!("{said}, {}", freeze.name()));
                target.forget();
            }
            if stripped {
                deleted(&go, &plugged, &format!("{said}, deleted"));
            }
            let core = Target::core(&plugged.core(), None).unwrap();
            check(&go, &plugged, &core, Freeze::Full, stripped, &format!("{said}, core"));
            assert!(plugged.running.is_alive());
        }
    }
}

/// The files of a process can be read though they are deleted; where that isn't allowed, memory has what is needed.
fn deleted(go: &Go, plugged: &Plugged, said: &str) {
    let files = PLUGINS.map(|name| plugged.folder.path().join(format!("{name}.so")));
    let kept = files.each_ref().map(|file| std::fs::read(file).unwrap());
    for file in &files {
        std::fs::remove_file(file).unwrap();
    }
    let target = Target::process(plugged.running.pid()).unwrap();
    check(go, plugged, &target, Freeze::Roots, true, said);
    for (file, bytes) in files.iter().zip(kept) {
        std::fs::write(file, bytes).unwrap();
    }
}

fn check(go: &Go, plugged: &Plugged, target: &Target, freeze: Freeze, stripped: bool, said: &str) {
    let binary = program(target).unwrap();
    let mut names: Vec<&str> = binary.plugins().iter().map(residue_gobin::Plugin::name).collect();
    names.sort_unstable();
    assert_eq!(names, ["plugin.so", "plugin_other.so"], "{said}");
    let layouts = Layouts::of(&binary).unwrap();
    let (report, mut heap) = Heap::read(target, &binary, &layouts, &options(target, freeze))
        .unwrap_or_else(|error| panic!("{said}: {error}"));
    assert!(heap.notes.is_empty(), "{said}: {:?}", heap.notes);
    assert!(report.inconsistencies.is_empty(), "{said}: {:?}", report.inconsistencies);
    goroutines(plugged, &report, said);
    if go.minor() >= 22 {
        let kinds = heap.kinds(None);
        for (name, count) in COUNTS {
            let alike = kinds.iter().filter(|kind| kind.name.as_deref() == Some(*name));
            assert_eq!(alike.map(|kind| kind.objects).sum::<u64>(), *count, "{said}: objects of {name}");
        }
    }
    ways(plugged, &mut heap, stripped, said);
    let found = heap.finalizers(&report);
    let kept = found.groups.iter().find(|group| group.function.as_deref() == Some("example.com/plugin.gone"));
    let kept = kept.unwrap_or_else(|| panic!("{said}: {:?}", found.groups));
    assert_eq!((kept.kind, kept.registered), (NoteKind::Finalizer, 5), "{said}");
    assert_eq!(kept.states, BTreeMap::from([(State::KeptByVariable, 5)]), "{said}");
    assert_eq!(kept.object_type.as_deref(), Some("main.finalized"), "{said}");
    drop(heap);
    if freeze == Freeze::Roots {
        one_stack(go, plugged, target, stripped, said);
    }
}

/// Stacks as the runtime prints them, deferred calls, panics.
fn goroutines(plugged: &Plugged, report: &Report, said: &str) {
    for (id, kind) in &plugged.kinds {
        let goroutine = report.goroutines.iter().find(|goroutine| goroutine.id == *id).unwrap();
        let theirs = &plugged.stacks[id];
        assert_eq!(&stacks::read(report, goroutine, theirs, said), theirs, "{said}: {kind}");
        assert_eq!((goroutine.stack_cut, goroutine.deferred_cut), (None, None), "{said}: {kind}");
        let created = report.at(goroutine.created_at.unwrap());
        assert!(created.last().unwrap().function.starts_with("example.com/plugin"), "{said}: {created:?}");
    }
    let inlined = report.stack(plugged.of(report, "inlined")[0]).filter(|frame| frame.inlined).count();
    assert!(inlined > 0, "{said}");
    let expected: &[(&str, Phase, &[DeferKind], &str)] = &[
        ("open", Phase::Running, &[OpenCoded; 2], "example.com/plugin.open"),
        ("loop", Phase::Running, &[HeapRecord; 3], "example.com/plugin.loop"),
        ("deferred", Phase::Running, &[HeapRecord; 3], "example.com/plugin.inDeferred"),
        ("panicking", Phase::Panicking, &[OpenCoded], "example.com/plugin.panicking"),
        ("other", Phase::Running, &[OpenCoded], "example.com/plugin_other.wait"),
        ("local", Phase::Running, &[], ""),
    ];
    for (kind, phase, deferred, by) in expected {
        let goroutines = plugged.of(report, kind);
        assert!(!goroutines.is_empty(), "{said}: {kind}");
        for goroutine in goroutines {
            let pending = goroutine.deferred.iter().filter(|deferred| !deferred.started);
            let kinds: Vec<DeferKind> = pending.map(|deferred| deferred.kind).collect();
            assert_eq!((goroutine.phase, &*kinds), (*phase, *deferred), "{said}: {kind}: {goroutine:#?}");
            for deferred in &goroutine.deferred {
                let frame = report.at(goroutine.stack[deferred.frame.unwrap()]).last().unwrap();
                assert_eq!(frame.function, *by, "{said}: {kind}");
                let function = report.at(deferred.function.unwrap()).last().unwrap();
                assert!(function.function.starts_with(by), "{said}: {kind}: {function:?}");
            }
        }
    }
    let panics = &plugged.of(report, "panicking")[0].panics;
    assert_eq!(panics.len(), 1, "{said}");
    assert_eq!(panics[0].value_type.as_deref(), Some("*main.failure"), "{said}");
    // Both calls of each have captured the same text.
    let mut lengths = Vec::new();
    for goroutine in plugged.of(report, "open") {
        let text = |words: &[Word]| {
            let text = words.iter().find(|word| matches!(word, Word::Text { .. })).cloned();
            text.unwrap_or_else(|| panic!("{said}: {:?}", goroutine.deferred))
        };
        let texts: Vec<Word> = goroutine.deferred.iter().map(|deferred| text(&deferred.words)).collect();
        assert_eq!(texts[0], texts[1], "{said}");
        let Word::Text { len, digest: Some(_), revealed: None } = texts[0] else { panic!("{said}: {texts:?}") };
        lengths.push(len);
    }
    lengths.sort_unstable();
    assert_eq!(lengths, [10, 11, 12, 13], "{said}");
}

/// Who holds what, and that nothing else does.
fn ways(plugged: &Plugged, heap: &mut Heap<'_>, stripped: bool, said: &str) {
    for (what, root_kind, place) in KEPT {
        let address = plugged.objects[*what];
        let objects = heap.objects_of(&format!("{address:#x}"));
        assert_eq!(objects.len(), 1, "{said}: {what}");
        let why = heap.why(&objects);
        assert_eq!((why.objects, why.unreachable), (1, 0), "{said}: {what} is reachable");
        let path = &why.holdings[0].path;
        assert_eq!(path.root_kind, *root_kind, "{said}: {what} by {path:?}");
        assert!(path.root_precise && path.steps.iter().all(|step| step.precise), "{said}: {what} by {path:?}");
        assert_eq!(path.steps.last().unwrap().address, address, "{said}: {what}");
        match *root_kind {
            "variable" if stripped => {
                let file = place.trim_start_matches("example.com/").split('.').next().unwrap();
                let place = path.root.strip_prefix(&format!("package variable at {file}.so "));
                let place = place.unwrap_or_else(|| panic!("{said}: {what} by {}", path.root));
                assert!(place.starts_with("bss+0x") || place.starts_with("data+0x"), "{said}: {what} at {place}");
            }
            "variable" => assert_eq!(path.root, format!("package variable {place}"), "{said}: {what} by {path:?}"),
            "frame" => assert!(path.root.ends_with(&format!(" in {place}")), "{said}: {}", path.root),
            _ => {}
        }
    }
    // Dead, though words that look like pointers to it may be left on stacks.
    let objects = heap.objects_of(&format!("{:#x}", plugged.objects["dead"]));
    let why = heap.why(&objects);
    assert_eq!(why.objects, why.unreachable, "{said}: {:?}", why.holdings);
}

/// What a frame of a plugin holds, by name where there is DWARF.
fn one_stack(go: &Go, plugged: &Plugged, target: &Target, stripped: bool, said: &str) {
    let binary = program(target).unwrap();
    let report = inspect(target, &binary, &options(target, Freeze::Roots)).unwrap();
    let goroutine = plugged.of(&report, "local")[0];
    let view = stack(target, &binary, &options(target, Freeze::Roots), goroutine.id).unwrap();
    let function = |pc: &u64| report.at(*pc).last().unwrap().function.clone();
    let index = goroutine.stack.iter().position(|pc| function(pc) == "example.com/plugin.inFrame").unwrap();
    let frame = &view.frames[index];
    assert_eq!(frame.live_pointers, Some(1), "{said}: {frame:#?}");
    assert_eq!(view.named, !stripped, "{said}");
    let live = |slot: &residue_runtime::Slot| matches!(slot.lives, Lives::Frame(_)) && slot.words == [Word::Heap];
    let name = frame.slots.iter().find(|slot| live(slot)).and_then(|slot| slot.name.as_deref());
    assert_eq!(name, (!stripped).then_some("object"), "{said}: {frame:#?}");
    if go.minor() >= 23 && !stripped {
        let goroutine = plugged.of(&report, "open")[0];
        let view = stack(target, &binary, &options(target, Freeze::Roots), goroutine.id).unwrap();
        let names = view.frames.iter().flat_map(|frame| &frame.closures).flat_map(|closure| &closure.captured);
        let names: Vec<Option<&str>> = names.map(|captured| captured.name.as_deref()).collect();
        assert!(names.contains(&Some("name")), "{said}: {names:?}");
    }
}

/// The words of a core, which can be changed.
struct Words {
    file: File,
    segments: Vec<(u64, u64, u64)>,
}

impl Words {
    fn of(path: &Path) -> Self {
        let file = File::options().read(true).write(true).open(path).unwrap();
        let mut headers = vec![0; 1 << 20];
        let read = file.read_at(&mut headers, 0).unwrap();
        let elf = Elf::parse(&headers[..read]).unwrap();
        let segments = elf.segments().iter().map(|segment| (segment.address, segment.size, segment.offset)).collect();
        Self { file, segments }
    }

    /// Changes a word, and says what it was.
    fn change(&self, address: u64, word: u64) -> u64 {
        let holds = |(start, size, _): &&(u64, u64, u64)| (*start..start + size).contains(&address);
        let (start, _, offset) = self.segments.iter().find(holds).unwrap();
        let mut before = [0; 8];
        self.file.read_exact_at(&mut before, offset + (address - start)).unwrap();
        self.file.write_all_at(&word.to_le_bytes(), offset + (address - start)).unwrap();
        u64::from_le_bytes(before)
    }
}

#[test]
fn modules_that_are_none_are_left_out_and_said_to_be() {
    let go = releases().pop().unwrap();
    let plugged = Plugged::start(&go, BUILDS[1]);
    let path = plugged.core();
    let words = Words::of(&path);
    let look = || {
        let start = Instant::now();
        let target = Target::core(&path, None).unwrap();
        let binary = program(&target).unwrap();
        let layouts = Layouts::of(&binary).unwrap();
        let read = Heap::read(&target, &binary, &layouts, &options(&target, Freeze::Full));
        assert!(start.elapsed() < Duration::from_secs(30), "it took {:?}", start.elapsed());
        let notes = read.map(|(report, mut heap)| {
            let objects = heap.objects_of(&format!("{:#x}", plugged.objects["listed"]));
            heap.why(&objects);
            report.inconsistencies
        });
        (binary.plugins().len(), notes.unwrap_or_default())
    };
    let is_cut = |notes: &BTreeMap<&'static str, usize>| notes.contains_key("lists of plugins that are cut");
    let (count, notes) = look();
    assert!(count == 2 && notes.is_empty(), "{count}, {notes:?}");

    let (own, modules, next, size) = {
        let target = Target::core(&path, None).unwrap();
        let binary = program(&target).unwrap();
        let place = |address: u64| address.wrapping_add(target.slide);
        let layout = binary.layouts.get("runtime.moduledata").unwrap();
        let modules: Vec<u64> = binary.plugins().iter().map(|plugin| place(plugin.module.address)).collect();
        let next = u64::from(layout.offset("next").unwrap());
        (place(binary.module.address), modules, next, u64::from(layout.size))
    };
    // In circles; to a plugin's middle, to an object, to nothing.
    let object = plugged.objects["listed"];
    for wrong in [own, modules[0] + 8, object, 8, u64::MAX - 7, modules[0] + 1] {
        let before = words.change(own + next, wrong);
        let (count, notes) = look();
        assert!(count == 0 && is_cut(&notes), "{wrong:#x}: {count}, {notes:?}");
        words.change(own + next, before);
    }
    for (module, wrong) in [(modules[0], modules[0]), (modules[1], modules[1]), (modules[0], own), (modules[1], object)]
    {
        let before = words.change(module + next, wrong);
        let (count, notes) = look();
        assert!(count <= 2 && (is_cut(&notes)), "{module:#x} to {wrong:#x}: {count}, {notes:?}");
        words.change(module + next, before);
    }
    // Every word of a plugin's module data, as something else.
    for at in (0..size).step_by(8) {
        let wrong = [0, u64::MAX, object, own, 1 << 40][(at / 8 % 5) as usize];
        let before = words.change(modules[0] + at, wrong);
        let (count, _) = look();
        assert!(count <= 2, "{at}: {count}");
        words.change(modules[0] + at, before);
    }
    let (count, notes) = look();
    assert!(count == 2 && notes.is_empty(), "all changes are undone: {count}, {notes:?}");
}

#[test]
fn a_plugin_whose_file_is_gone_or_another_has_roots_but_no_functions() {
    let go = releases().pop().unwrap();
    let plugged = Plugged::start(&go, BUILDS[1]);
    let path = plugged.core();
    let file = plugged.folder.path().join("plugin.so");
    let other = plugged.folder.path().join("plugin_other.so");
    for replaced in [false, true] {
        std::fs::remove_file(&file).unwrap();
        if replaced {
            std::fs::copy(&other, &file).unwrap();
        }
        let target = Target::core(&path, None).unwrap();
        let binary = program(&target).unwrap();
        assert_eq!(binary.plugins().len(), 2);
        let layouts = Layouts::of(&binary).unwrap();
        let (report, mut heap) = Heap::read(&target, &binary, &layouts, &options(&target, Freeze::Full)).unwrap();
        let without = "plugins whose functions are not known, because their files can't be read or are others";
        assert_eq!(report.inconsistencies.get(without), Some(&1), "{:?}", report.inconsistencies);
        assert!(plugged.of(&report, "open").iter().all(|goroutine| goroutine.stack_cut.is_some()));
        assert_eq!(report.at(plugged.of(&report, "other")[0].entry.unwrap()).len(), 1);
        for what in ["listed", "alone"] {
            let objects = heap.objects_of(&format!("{:#x}", plugged.objects[what]));
            let why = heap.why(&objects);
            let root = &why.holdings[0].path.root;
            assert!(root.starts_with("package variable at plugin"), "{what} by {root}");
        }
        if !replaced {
            std::fs::write(&file, "").unwrap();
        }
    }
}

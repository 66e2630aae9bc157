//! Goroutines, deferred calls and panics of programs, beside what the programs themselves say: live and as cores, stripped
//! and not, for each release at hand.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs programs, and fails where it can't go on"
)]

#[path = "common/stacks.rs"]
mod stacks;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdin, Command};

use residue_gobin::Binary;
use residue_runtime::DeferKind::{HeapRecord, OpenCoded, StackRecord};
use residue_runtime::PanicState::{Active, Goexit, Recovered, Superseded};
use residue_runtime::{DeferKind, Goroutine, Options, PanicState, Phase, Report, Role, Status, Word, inspect};
use residue_target::Target;
use residue_testkit::go::{ARM, BUILDS, Go, HOST, Running, emulated, has_emulator, releases};

/// How often a goroutine that runs is looked at.
const ROUNDS: usize = 40;

/// Why a goroutine waits, by what it says it is.
const REASONS: &[(&str, &str)] = &[
    ("mutex", "sync.Mutex.Lock"),
    ("select", "select (no cases)"),
    ("sleep", "sleep"),
    ("send", "chan send"),
    ("read", "IO wait"),
    ("locked", "chan receive"),
    ("open", "chan receive"),
];

/// Where a panic stands, and the type of its value.
type Panics<'a> = &'a [(PanicState, Option<&'a str>)];

struct Truth {
    running: Running,
    stdin: ChildStdin,
    /// What each goroutine says it is.
    kinds: BTreeMap<u64, String>,
}

impl Truth {
    fn start(go: &Go, flags: &[&str], folder: &Path, arch: &str) -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
        let files = ["truth.go", "truth_range.go", "truth_c.go", "quit_arm64.go"].map(|name| sources.join(name));
        let program = folder.join("truth");
        go.build_module("truth", &files, flags, arch, &program);
        let mut command = if arch == ARM { emulated(&program, folder) } else { Command::new(&program) };
        let mut running = Running::start(&mut command);
        let stdin = running.stdin();
        let said = running.lines_until("ready");
        let kinds = said.iter().map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            (words[1].parse().unwrap(), words[2].to_owned())
        });
        let kinds = kinds.collect();
        Self { running, stdin, kinds }
    }

    /// The stacks as the runtime prints them: function, file and line of each call, by goroutine.
    fn stacks(&mut self) -> BTreeMap<u64, Vec<String>> {
        self.stdin.write_all(b"\n").unwrap();
        stacks::printed(&self.running.lines_until("end"))
    }

    fn of<'r>(&self, report: &'r Report, kind: &str) -> Vec<&'r Goroutine> {
        let ids = self.kinds.iter().filter(|(_, known)| *known == kind).map(|(id, _)| *id);
        ids.map(|id| report.goroutines.iter().find(|goroutine| goroutine.id == id).unwrap()).collect()
    }
}

fn options(target: &Target) -> Options {
    Options { freeze: residue_runtime::Freeze::Roots, key: [7; 32], reveal: false, now: target.now() }
}

#[test]
fn what_is_seen_is_what_the_program_says() {
    for go in releases() {
        for flags in BUILDS {
            let folder = tempfile::tempdir().unwrap();
            let mut truth = Truth::start(&go, flags, folder.path(), HOST);
            let said = format!("{} {flags:?}", go.version);
            let target = Target::process(truth.running.pid()).unwrap();
            let binary = Binary::parse(&target.program).unwrap();
            let report = inspect(&target, &binary, &options(&target)).unwrap_or_else(|error| panic!("{said}: {error}"));
            assert!(report.frozen.is_some());
            check(&truth, &report, &said);
            let stacks = truth.stacks();
            check_stacks(&truth, &report, &stacks, &said);
            check_running(&truth, &target, &binary, flags.contains(&"-race"), &said);

            let core = Target::core(&truth.running.core(folder.path()), None).unwrap();
            let report =
                inspect(&core, &binary, &options(&core)).unwrap_or_else(|error| panic!("{said}, core: {error}"));
            assert_eq!(report.frozen, None);
            check(&truth, &report, &format!("{said}, core"));
            check_stacks(&truth, &report, &stacks, &format!("{said}, core"));
            assert!(truth.running.is_alive());
        }
    }
}

/// The same of programs for 64-bit Arm: an emulator runs them, and writes cores of them.
#[test]
fn what_is_seen_in_cores_of_other_machines_is_what_the_program_says() {
    // Position-independent ones want the dynamic linker of such a machine.
    let (releases, builds) = (releases(), &BUILDS[..2]);
    if !has_emulator(releases.len() * builds.len(), "cores of programs for arm64") {
        return;
    }
    for go in releases {
        for flags in builds {
            let folder = tempfile::tempdir().unwrap();
            let mut truth = Truth::start(&go, flags, folder.path(), ARM);
            let said = format!("{} arm64 {flags:?}, core", go.version);
            let stacks = truth.stacks();
            let core = truth.running.emulated_core(folder.path());
            let core = Target::core(&core, Some(&folder.path().join("truth"))).unwrap();
            let binary = Binary::parse(&core.program).unwrap();
            let report = inspect(&core, &binary, &options(&core)).unwrap_or_else(|error| panic!("{said}: {error}"));
            check(&truth, &report, &said);
            check_stacks(&truth, &report, &stacks, &said);
        }
    }
}

/// Goroutines, what they wait for, what they have deferred, their panics.
fn check(truth: &Truth, report: &Report, said: &str) {
    let users = report.goroutines.iter().filter(|goroutine| goroutine.role == Role::User);
    // The one that reads stdin is there too.
    assert_eq!(users.count(), truth.kinds.len() + 1, "{said}: {:?}", report.inconsistencies);
    assert!(report.inconsistencies.is_empty(), "{said}: {:?}", report.inconsistencies);
    for (kind, reason) in REASONS {
        for goroutine in truth.of(report, kind) {
            assert_eq!(goroutine.wait_reason.as_deref(), Some(*reason), "{said}: {kind}");
            assert_eq!(goroutine.status, Status::Waiting);
            assert_eq!(goroutine.locked, *kind == "locked", "{said}: {kind}");
            assert_eq!(goroutine.parent, 1);
        }
    }
    let running = truth.of(report, "running")[0];
    assert!(matches!(running.status, Status::Running | Status::Runnable | Status::Preempted), "{said}: {running:?}");
    let calls: Vec<&str> = report.stack(running).map(|frame| &*frame.function).collect();
    // Its thread may be on a stack of the runtime at that moment, as for a signal: then that is said.
    let is_seen = calls.iter().any(|call| call.starts_with("main.main.func"));
    assert!(is_seen || running.stack_cut.is_some(), "{said}: {calls:?}");

    let expected: &[(&str, Phase, &[DeferKind], Panics<'_>)] = &[
        ("open", Phase::Running, &[OpenCoded; 2], &[]),
        ("loop", Phase::Running, &[HeapRecord; 3], &[]),
        ("records", Phase::Running, &[StackRecord; 9], &[]),
        ("nil", Phase::Running, &[OpenCoded], &[]),
        ("panicking-text", Phase::Panicking, &[OpenCoded], &[(Active, Some("string"))]),
        ("panicking-error", Phase::Panicking, &[], &[(Active, Some("*main.custom"))]),
        ("panicking-records", Phase::Panicking, &[HeapRecord; 2], &[(Active, Some("*errors.errorString"))]),
        ("returning", Phase::Returning, &[OpenCoded], &[]),
        ("returning-records", Phase::Returning, &[HeapRecord; 2], &[]),
        ("recovered", Phase::Recovered, &[OpenCoded], &[(Recovered, Some("*errors.errorString"))]),
        ("exiting", Phase::Exiting, &[], &[(Goexit, None)]),
        ("nested", Phase::Panicking, &[], &[(Active, Some("string")), (Superseded, Some("*main.custom"))]),
        ("fault", Phase::Panicking, &[], &[(Active, Some("runtime.errorString"))]),
        ("inlined", Phase::Running, &[], &[]),
    ];
    // Functions that the race detector looks at have something to do at their end, and no open-coded calls.
    let coded = if said.contains("-race") { StackRecord } else { OpenCoded };
    for (kind, phase, deferred, panics) in expected {
        let goroutines = truth.of(report, kind);
        assert!(!goroutines.is_empty(), "{said}: {kind}");
        for goroutine in goroutines {
            let pending: Vec<DeferKind> =
                goroutine.deferred.iter().filter(|deferred| !deferred.started).map(|deferred| deferred.kind).collect();
            let found: Vec<_> =
                goroutine.panics.iter().map(|panic| (panic.state, panic.value_type.as_deref())).collect();
            let context = format!("{said}: {kind}: {goroutine:#?}");
            let expected: Vec<DeferKind> =
                deferred.iter().map(|kind| if *kind == OpenCoded { coded } else { *kind }).collect();
            assert_eq!((goroutine.phase, pending, &*found), (*phase, expected, *panics), "{context}");
            assert_eq!(goroutine.deferred_cut, None, "{context}");
            assert_eq!(goroutine.in_deferred.is_some(), *phase != Phase::Running, "{context}");
            if let Some(index) = goroutine.in_deferred {
                let calls = report.at(goroutine.stack[index]);
                let name = &calls.last().unwrap().function;
                assert!(name.contains(".func") || name.contains("deferwrap"), "{said}: {kind}: {name}");
            }
            assert!(goroutine.deferred.iter().all(|deferred| deferred.frame.is_some()), "{context}");
        }
    }
    let mut counts: Vec<usize> =
        truth.of(report, "conditional").iter().map(|goroutine| goroutine.deferred.len()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2], "{said}");
    assert_eq!(truth.of(report, "nil")[0].deferred[0].function, None, "{said}");
    for goroutine in truth.of(report, "range") {
        let kinds: Vec<_> = goroutine.deferred.iter().map(|deferred| deferred.kind).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == DeferKind::RangeFunc).count(), 2, "{said}: {kinds:?}");
        assert_eq!(kinds.len(), 3, "{said}: {kinds:?}");
        assert!(goroutine.deferred.iter().all(|deferred| deferred.frame.is_some()), "{said}: {goroutine:#?}");
        // Called in the opposite order.
        assert!(kinds[2] != DeferKind::RangeFunc, "{said}: {kinds:?}");
    }
    for goroutine in truth.of(report, "c") {
        assert!(goroutine.cgo && goroutine.status == Status::Syscall, "{said}: {goroutine:#?}");
        assert_eq!(goroutine.deferred.len(), 1, "{said}: {goroutine:#?}");
        let calls: Vec<&str> = report.stack(goroutine).map(|frame| &*frame.function).collect();
        assert!(calls.contains(&"main.inC"), "{said}: {calls:?}");
    }
    check_words(truth, report, said);
    let labelled = truth.of(report, "labelled");
    let mut counts: Vec<usize> = labelled.iter().map(|goroutine| goroutine.labels.len()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [2, 20], "{said}");
    for goroutine in &labelled {
        let all = goroutine.labels.iter().enumerate().all(|(index, (key, value))| match &**key {
            "tenant" => value == "acme" && index + 1 == goroutine.labels.len(),
            key => key == format!("key{:02}", index + 1) && *value == "v".repeat(index + 1),
        });
        assert!(all, "{said}: {:?}", goroutine.labels);
    }
    assert_eq!(report.goroutines.iter().filter(|goroutine| !goroutine.labels.is_empty()).count(), 2, "{said}");
}

/// Wherever a goroutine that runs is met, its stack is its own and whole, or it is said that it isn't there.
fn check_running(truth: &Truth, target: &Target, binary: &Binary<'_>, has_detector: bool, said: &str) {
    assert_eq!(binary.functions.has_name("racecall"), has_detector, "{said}");
    let (mut whole, mut asks_for_time) = (0, 0);
    for _ in 0..ROUNDS {
        let report = inspect(target, binary, &options(target)).unwrap();
        let running = truth.of(&report, "running")[0];
        let calls: Vec<&str> = report.stack(running).map(|frame| &*frame.function).collect();
        let is_its_own = calls.iter().any(|call| call.starts_with("main.main.func"));
        let is_whole = is_its_own && calls.last() == Some(&"runtime.goexit");
        assert!(is_whole || running.stack_cut.is_some(), "{said}: {calls:?}");
        // It wrote what it is long before.
        assert!(
            !calls.iter().any(|call| call.starts_with("main.tell") || call.starts_with("syscall.")),
            "{said}: {calls:?}"
        );
        whole += usize::from(is_whole);
        asks_for_time += usize::from(calls.iter().any(|call| call.starts_with("time.")));
    }
    assert!(has_detector || (2 * whole > ROUNDS && asks_for_time > 0), "{said}: {whole}, {asks_for_time}");
}

/// Texts are told by their length, and by digests that tell equal ones.
fn check_words(truth: &Truth, report: &Report, said: &str) {
    let mut lengths = Vec::new();
    for goroutine in truth.of(report, "open") {
        let names: Vec<String> = goroutine
            .deferred
            .iter()
            .map(|deferred| report.at(deferred.function.unwrap()).last().unwrap().function.clone())
            .collect();
        // The last deferred is the first called.
        assert_eq!(names[0], "main.open.func1", "{said}");
        // A call with arguments is wrapped; older compilers count the wrapper among the function's literals.
        assert!(matches!(&*names[1], "main.open.deferwrap1" | "main.open.func2"), "{said}: {names:?}");
        let texts: Vec<&Word> = goroutine
            .deferred
            .iter()
            .map(|deferred| deferred.words.iter().find(|word| matches!(word, Word::Text { .. })))
            .map(|text| text.unwrap_or_else(|| panic!("{said}: {:?}", goroutine.deferred)))
            .collect();
        assert_eq!(texts[0], texts[1], "{said}");
        let Word::Text { len, digest: Some(digest), revealed: None } = texts[0] else { panic!("{said}: {texts:?}") };
        assert_eq!(digest.len(), 16);
        lengths.push(*len);
    }
    lengths.sort_unstable();
    assert_eq!(lengths, (10..30).collect::<Vec<_>>(), "{said}");
    let panic = &truth.of(report, "panicking-text")[0].panics[0];
    assert!(matches!(panic.text, Some(Word::Text { len: 24, revealed: None, .. })), "{said}: {panic:?}");
}

/// Every call, in order, with file and line, inlined ones too.
fn check_stacks(truth: &Truth, report: &Report, stacks: &BTreeMap<u64, Vec<String>>, said: &str) {
    for (id, kind) in truth.kinds.iter().filter(|(_, kind)| *kind != "running") {
        let goroutine = report.goroutines.iter().find(|goroutine| goroutine.id == *id).unwrap();
        let theirs = &stacks[id];
        let ours = stacks::read(report, goroutine, theirs, said);
        assert_eq!(&ours, theirs, "{said}: {kind}");
        assert_eq!(goroutine.stack_cut, None, "{said}: {kind}");
        let created = report.at(goroutine.created_at.unwrap());
        assert!(created.first().is_some_and(|frame| frame.function.starts_with("main.main")), "{said}: {created:?}");
    }
    let inlined = report.stack(truth.of(report, "inlined")[0]).filter(|frame| frame.inlined).count();
    assert!(inlined >= 2, "{said}: {inlined}");
}

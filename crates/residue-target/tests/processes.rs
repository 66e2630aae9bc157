//! Live processes: read, frozen, and let go whatever happens; and cores of them.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs programs, and fails where it can't go on"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdin, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use residue_target::{Error, Freeze, Memory as _, MemoryExt as _, Target};
use residue_testkit::go::{Running, releases};

const MARKER: &[u8] = b"alive\0\0\0\x5a\xa5\x01\x02\x03\x04\x05\x06";

/// The program, and where its marker is in memory.
fn alive(folder: &Path) -> (Running, ChildStdin, u64) {
    let program = folder.join("alive");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/alive.go");
    releases()[0].build(&source, &["-ldflags=-s -w", "-buildmode=pie"], &program);
    let mut running = Running::start(&mut Command::new(&program));
    let address = running.line().unwrap();
    let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap();
    let stdin = running.stdin();
    (running, stdin, address)
}

fn ask(running: &mut Running, stdin: &mut ChildStdin) -> usize {
    stdin.write_all(b"\n").unwrap();
    running.line().expect("it lives and answers").parse().unwrap()
}

/// Lines of /proc/PID/task/TID/status that begin with `name`.
fn status(pid: u32, name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let texts = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    texts
        .flat_map(|text| text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn memory_of_a_process_and_of_its_core_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (running, _stdin, marker) = alive(folder.path());
    let target = Target::process(running.pid()).unwrap();
    let elf = residue_gobin::Elf::parse(&target.program).unwrap();
    assert!(elf.pie && target.slide != 0);
    assert_eq!(target.read_up_to(marker, MARKER.len()), MARKER);
    // What can't be read ends a read, and doesn't disturb its neighbours.
    let (mut first, mut none, mut last) = ([0; 5], [0; 16], [0; 2]);
    let mut ranges = [(marker, &mut first[..]), (8, &mut none[..]), (marker + 8, &mut last[..])];
    assert_eq!(target.read_many(&mut ranges), [5, 0, 2]);
    assert_eq!((&first, last), (b"alive", [0x5a, 0xa5]));
    assert_eq!(target.word(u64::MAX - 3), None);
    let code = target.mappings().iter().find(|mapping| mapping.executable).unwrap();
    assert!(target.byte(code.start).is_some() && code.name.ends_with("/alive"));

    let core = Target::core(&running.core(folder.path()), None).unwrap();
    assert_eq!(core.slide, target.slide);
    assert_eq!(core.read_up_to(marker, MARKER.len()), MARKER);
    assert_eq!(core.word(code.start), target.word(code.start));
    assert!(core.threads().len() >= 4, "{} threads", core.threads().len());
    assert!(core.mappings().iter().any(|mapping| mapping.name.ends_with("/alive")));
    assert_eq!(core.word(8), None);
}

#[test]
fn all_threads_stop_and_go_on_and_no_signal_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, mut stdin, _) = alive(folder.path());
    let pid = running.pid();
    let target = Target::process(pid).unwrap();
    let stop = AtomicBool::new(false);
    let frozen = std::thread::scope(|scope| {
        let freezer = scope.spawn(|| {
            let mut frozen = 0;
            while !stop.load(Ordering::Relaxed) {
                let freeze = Freeze::of(&target).unwrap().unwrap();
                assert_eq!(freeze.running(), 0);
                let states = status(pid, "State:");
                assert!(states.iter().all(|state| state.contains("tracing stop") || state.contains('Z')), "{states:?}");
                assert_eq!(
                    freeze.threads().len(),
                    states.iter().filter(|state| state.contains("tracing stop")).count()
                );
                assert!(freeze.threads().iter().all(|thread| thread.registers.pc != 0 && thread.registers.sp != 0));
                freeze.release();
                frozen += 1;
            }
            frozen
        });
        // The program merges signals that come faster than it looks, so each waits until the one before has been counted.
        for sent in 1..=100 {
            assert!(Command::new("kill").args(["-40", &pid.to_string()]).status().unwrap().success());
            let deadline = Instant::now() + Duration::from_secs(10);
            while ask(&mut running, &mut stdin) < sent {
                if Instant::now() > deadline {
                    stop.store(true, Ordering::Relaxed);
                    panic!("signal {sent} is lost");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        freezer.join().unwrap()
    });
    assert!(frozen > 20, "frozen {frozen} times");
    assert!(status(pid, "TracerPid:").iter().all(|line| line.ends_with("\t0")));
    assert_eq!(ask(&mut running, &mut stdin), 100);
}

/// Freezes whom it is told to, again and again, until it is killed. Not a test by itself.
#[test]
fn helper_that_freezes() {
    let Ok(pid) = std::env::var("RESIDUE_TEST_FREEZE") else { return };
    let target = Target::process(pid.parse().unwrap()).unwrap();
    loop {
        let freeze = Freeze::of(&target).unwrap();
        std::thread::sleep(Duration::from_micros(300));
        drop(freeze);
    }
}

/// Says whether it can be stopped from a terminal while it freezes whom it is told to. Not a test by itself.
#[test]
fn helper_that_stays_awake() {
    let Ok(pid) = std::env::var("RESIDUE_TEST_AWAKE") else { return };
    let ignores = || {
        let own = std::fs::read_to_string("/proc/self/status").unwrap();
        let ignored = own.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
        // SIGTSTP is the 20th.
        u64::from_str_radix(ignored, 16).unwrap() >> 19 & 1 == 1
    };
    let target = Target::process(pid.parse().unwrap()).unwrap();
    assert!(!ignores());
    let freeze = Freeze::of(&target).unwrap().unwrap();
    assert!(ignores());
    freeze.release();
    assert!(!ignores());
}

#[test]
fn who_stops_others_is_not_stopped_from_its_terminal() {
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let helper = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_that_stays_awake"])
        .env("RESIDUE_TEST_AWAKE", sleeper.id().to_string())
        .output()
        .unwrap();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert!(helper.status.success(), "{}", String::from_utf8_lossy(&helper.stdout));
}

#[test]
fn a_target_lives_on_when_its_watcher_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, mut stdin, _) = alive(folder.path());
    let rounds = if std::env::var_os("RESIDUE_TEST_FULL").is_some() { 200 } else { 40 };
    for round in 0..rounds {
        let mut helper = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "helper_that_freezes"])
            .env("RESIDUE_TEST_FREEZE", running.pid().to_string())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(5_000 + round * 1_237 % 20_000_u64));
        helper.kill().unwrap();
        helper.wait().unwrap();
        ask(&mut running, &mut stdin);
        assert!(status(running.pid(), "TracerPid:").iter().all(|line| line.ends_with("\t0")));
        let states = status(running.pid(), "State:");
        assert!(!states.iter().any(|state| state.contains("stop")), "{states:?}");
    }
    assert!(running.is_alive());
}

/// Waits for something that has to come.
fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_thread_that_cannot_be_stopped_is_let_go_with_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, mut stdin, _) = alive(folder.path());
    let target = Target::process(running.pid()).unwrap();
    stdin.write_all(b"wait\n").unwrap();
    running.line().expect("it answers");
    let waits = |state: &String| state.contains("disk sleep");
    until("a thread waits", || status(running.pid(), "State:").iter().any(waits));
    let freeze = Freeze::of(&target).unwrap().unwrap();
    assert_eq!(freeze.running(), 1);
    let stood_still = freeze.release();
    assert!(stood_still < Duration::from_millis(2500), "{stood_still:?}");
    // This process lives on, and yet nothing of it is left there: the thread would stop when its wait is over.
    let tracers = status(running.pid(), "TracerPid:");
    assert!(tracers.iter().all(|line| line.ends_with("\t0")), "{tracers:?}");
    until("the wait ends", || !status(running.pid(), "State:").iter().any(waits));
    std::thread::sleep(Duration::from_millis(100));
    let states = status(running.pid(), "State:");
    assert!(!states.iter().any(|state| state.contains("stop")), "{states:?}");
    ask(&mut running, &mut stdin);
}

#[test]
fn a_process_that_is_killed_while_it_stands_still_can_be_reaped() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, _stdin, _) = alive(folder.path());
    let pid = running.pid();
    let target = Target::process(pid).unwrap();
    let freeze = Freeze::of(&target).unwrap().unwrap();
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    until("it dies", || status(pid, "State:").iter().all(|state| state.contains("zombie")));
    freeze.release();
    until("it is reaped by its parent", || !running.is_alive());
    assert_eq!(Freeze::of(&target).map(|_| ()).unwrap_err(), Error::Gone(pid));
}

/// A program has its name a moment before it is loaded.
#[test]
fn a_program_that_is_being_loaded_is_waited_for() {
    for _ in 0..100 {
        let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
        let comm = format!("/proc/{}/comm", sleeper.id());
        while std::fs::read(&comm).unwrap() != b"sleep\n" {}
        let target = Target::process(sleeper.id());
        let is_same = target.as_ref().map(|target| Freeze::of(target).map(|_| ()));
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert_eq!(is_same.map_err(Error::clone), Ok(Ok(())));
    }
}

#[test]
fn another_tracer_is_named_and_another_program_not_taken_for_the_first() {
    let mut shell = Command::new("sh")
        .args(["-c", "read line; exec sleep 60"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = shell.id();
    let name = || std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    until("the shell runs", || name() == "sh\n");
    let target = Target::process(pid).unwrap();
    let freeze = Freeze::of(&target).unwrap().unwrap();
    let other = std::thread::scope(|scope| scope.spawn(|| Freeze::of(&target).map(|_| ())).join().unwrap());
    assert_eq!(other.unwrap_err(), Error::Traced { pid, by: std::process::id() });
    freeze.release();
    shell.stdin.take().unwrap().write_all(b"\n").unwrap();
    until("the shell becomes another program", || name() == "sleep\n");
    assert_eq!(Freeze::of(&target).map(|_| ()).unwrap_err(), Error::Replaced(pid));
    assert_eq!(status(pid, "TracerPid:"), ["TracerPid:\t0"]);
    shell.kill().unwrap();
    shell.wait().unwrap();
    assert_eq!(Freeze::of(&target).map(|_| ()).unwrap_err(), Error::Gone(pid));
}

#[test]
fn what_cannot_be_looked_into_is_refused_with_a_reason() {
    let process = |pid| Target::process(pid).map(|_| ()).unwrap_err();
    assert_eq!(process(0x3fff_ffff), Error::Gone(0x3fff_ffff));
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    assert_eq!(process(child.id()), Error::Gone(child.id()));
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("small.go"), folder.path().join("small"));
    std::fs::write(&source, "package main\n\nfunc main() { println(1); select {} }\n").unwrap();
    let go = &releases()[0];
    let built = go.command(&["build", "-o"]).arg(&program).arg(&source).env("GOARCH", "386").output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let mut small = Command::new(&program).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let refused = process(small.id()).to_string();
    small.kill().unwrap();
    small.wait().unwrap();
    assert_eq!(refused, "programs for 32-bit machines are not supported, only 64-bit x86 and Arm");
    let core = |bytes: &[u8]| {
        let path = folder.path().join("core");
        std::fs::write(&path, bytes).unwrap();
        Target::core(&path, None).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(core(b"text"), "not a core: not an ELF file: it doesn't begin as one");
    assert_eq!(core(&std::fs::read(std::env::current_exe().unwrap()).unwrap()), "not a core: it is a program");
    assert!(Target::core(folder.path(), None).is_err());
}

/// The shared libraries of a process are found by an address in them.
#[test]
fn libraries_are_found_by_what_is_mapped() {
    let target = Target::process(std::process::id()).unwrap();
    let is_library = |mapping: &&residue_target::Mapping| mapping.executable && mapping.name.contains("libc.so");
    let mapping = target.mappings().iter().find(is_library).unwrap().clone();
    let found = target.libraries(&[mapping.start, 8]);
    assert!(found[1].is_none());
    let library = found[0].unwrap();
    let bytes = std::fs::read(&mapping.name).unwrap();
    assert!(library.path == mapping.name && library.bytes == bytes && !library.from_memory);
    let elf = residue_gobin::Elf::parse(&library.bytes).unwrap();
    let code = elf.bytes_from(mapping.start.wrapping_sub(library.slide)).unwrap();
    assert_eq!(target.read_up_to(mapping.start, 64), code[..64]);
}

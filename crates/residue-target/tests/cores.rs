//! Cores as people have them: compressed, cut off, filtered, written by the kernel, away from their program.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs programs, and fails where it can't go on"
)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use residue_target::{Error, Memory as _, MemoryExt as _, Target};
use residue_testkit::go::{Running, releases};

const MARKER: &[u8] = b"alive\0\0\0\x5a\xa5\x01\x02\x03\x04\x05\x06";

fn start(program: &Path, prepare: &str) -> (Running, u64) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/alive.go");
    if !program.exists() {
        releases().pop().unwrap().build(&source, &["-ldflags=-s -w"], program);
    }
    let command = format!("{prepare}exec {}", program.display());
    let mut running = Running::start(Command::new("sh").args(["-c", &command]).current_dir(program.parent().unwrap()));
    let address = running.line().unwrap();
    (running, u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap())
}

/// Whether a core has the marker, and the program's own pages.
fn check(core: &Target, marker: u64) {
    assert_eq!(core.read_up_to(marker, MARKER.len()), MARKER);
    let elf = residue_gobin::Elf::parse(&core.program).unwrap();
    let entry = core.word(elf.entry.wrapping_add(core.slide));
    assert_eq!(entry, elf.bytes_from(elf.entry).unwrap()[..8].try_into().ok().map(u64::from_le_bytes));
    assert!(core.threads().len() >= 4, "{} threads", core.threads().len());
}

#[test]
fn cores_are_read_packed_and_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("alive");
    let (running, marker) = start(&program, "");
    let core = running.core(folder.path());
    for (tool, ending) in [("zstd", "zst"), ("lz4", "lz4")] {
        let path = core.with_extension(ending);
        let mut command = Command::new(tool);
        command.args(["-q", "-c"]).arg(&core).stdout(std::fs::File::create(&path).unwrap());
        assert!(command.status().expect("zstd and lz4 are installed").success());
        let target = Target::core(&path, None).unwrap();
        check(&target, marker);
        assert_eq!((target.missing().cut_bytes, target.missing().damage), (0, None));
        // Cut off: what came before is there, and what is missing is said.
        let packed = std::fs::File::options().write(true).open(&path).unwrap();
        packed.set_len(packed.metadata().unwrap().len() - 3000).unwrap();
        let target = Target::core(&path, Some(&program)).unwrap();
        let missing = target.missing();
        assert!(0 < missing.cut_bytes && missing.cut_bytes < missing.stored_bytes, "{missing:?}");
    }
    let file = std::fs::File::options().write(true).open(&core).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let missing = Target::core(&core, Some(&program)).unwrap().missing();
    assert!(missing.cut_bytes > 0 && missing.damage.is_none() && !missing.filtered, "{missing:?}");
}

#[test]
fn a_core_without_anonymous_memory_says_so() {
    let folder = tempfile::tempdir().unwrap();
    // Bits of core(5): 4 keeps the first pages of files, 0 to 3 memory that was written to.
    let (running, marker) = start(&folder.path().join("alive"), "echo 0x10 >/proc/self/coredump_filter; ");
    let core = running.core(folder.path());
    let target = Target::core(&core, None).unwrap();
    assert!(target.missing().filtered, "{:?}", target.missing());
    assert_ne!(target.read_up_to(marker, MARKER.len()), MARKER);
}

/// The kernel writes one where `core_pattern` allows: into the folder of the process, or for whoever handles cores.
#[test]
fn a_core_of_the_kernel_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, marker) = start(&folder.path().join("alive"), "ulimit -c unlimited; export GOTRACEBACK=crash; ");
    assert!(Command::new("kill").args(["-ABRT", &running.pid().to_string()]).status().unwrap().success());
    let deadline = Instant::now() + Duration::from_secs(30);
    while running.is_alive() {
        assert!(Instant::now() < deadline, "it ends");
    }
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let written = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path());
    let core = written.into_iter().find(|path| path.file_name().unwrap().to_string_lossy().starts_with("core"));
    let Some(core) = core else {
        assert!(pattern.starts_with('|') || pattern.contains('/'), "no core, though the pattern is {pattern:?}");
        residue_testkit::not_tested(&format!("cores of the kernel go to {pattern:?} here"));
        return;
    };
    let target = Target::core(&core, None).unwrap();
    check(&target, marker);
    assert!(!target.missing().filtered && target.missing().cut_bytes == 0);
    // The kernel stops where the disk is full or the limit reached; who it was is written first.
    std::fs::File::options().write(true).open(&core).unwrap().set_len(300_000).unwrap();
    let target = Target::core(&core, None).unwrap();
    assert!(target.threads().len() >= 4 && target.missing().cut_bytes > 0, "{:?}", target.missing());
}

#[test]
fn the_program_of_a_core_is_found_by_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("alive-elsewhere");
    let (running, marker) = start(&program, "");
    let elsewhere = tempfile::tempdir().unwrap();
    let core = running.core(elsewhere.path());
    let found = |binary: Option<&Path>| Target::core(&core, binary);
    assert_eq!(found(None).unwrap().program_path, program);

    // Replaced by another one: who runs the old one still has it.
    let bytes = std::fs::read(&program).unwrap();
    std::fs::remove_file(&program).unwrap();
    let source = folder.path().join("other.go");
    std::fs::write(&source, "package main\n\nfunc main() {}\n").unwrap();
    releases().pop().unwrap().build(&source, &[], &program);
    let target = found(None).unwrap();
    assert_eq!(target.program_path, Path::new(&format!("/proc/{}/exe", running.pid())));
    check(&target, marker);
    assert!(matches!(found(Some(&program)), Err(Error::OtherProgram(id)) if !id.is_empty()));
    drop(running);
    let Err(Error::NoProgram(why)) = found(None) else { panic!("there is none any more") };
    assert!(why.contains("is another one (build id "), "{why}");

    // Beside the core, as both come from another machine.
    std::fs::write(elsewhere.path().join("alive-elsewhere"), &bytes).unwrap();
    let target = found(None).unwrap();
    assert_eq!(target.program_path, elsewhere.path().join("alive-elsewhere"));
    check(&target, marker);
}

/// As in a container: with a root, mounts and process ids of its own.
#[test]
fn a_process_of_other_namespaces_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("alive");
    drop(start(&program, ""));
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("bin")).unwrap();
    std::fs::rename(&program, root.join("bin/alive")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--root"]);
    let mut running = Running::start(command.arg(&root).arg("/bin/alive"));
    let Some(marker) = running.line() else {
        residue_testkit::not_tested("no namespaces can be made here (unshare failed)");
        return;
    };
    let marker = u64::from_str_radix(marker.trim_start_matches("0x"), 16).unwrap();
    let children = format!("/proc/{pid}/task/{pid}/children", pid = running.pid());
    let pid: u32 = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    let target = Target::process(pid).unwrap();
    assert!(target.program_path.ends_with("bin/alive"), "{}", target.program_path.display());
    assert_eq!(target.read_up_to(marker, MARKER.len()), MARKER);
    let freeze = residue_target::Freeze::of(&target).unwrap().unwrap();
    // The runtime has noted ids of its own namespace.
    assert!(freeze.threads().iter().any(|thread| thread.tid == 1), "{:?}", freeze.threads());
}

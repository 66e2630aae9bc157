//! Commands that are followed and aren't Go: how they end, and what is kept of them.
#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test that cannot set up fails, and is slow where it waits"
)]

mod tracing;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tracing::{build, by, list, newest, nothing_lost, report, sum, without_bpf};

/// Starts residue on a script, and waits until that has said `ready`.
fn follow(args: &[&str], script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut residue = Command::new(env!("CARGO_BIN_EXE_residue"));
    residue.arg("trace").args(args).args(["--", "sh", "-c", script]);
    residue.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut residue = residue.spawn().expect("residue runs");
    let mut out = BufReader::new(residue.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    (residue, out)
}

fn signal(residue: &Child, signal: &str) {
    let killed = Command::new("kill").args([signal, &residue.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
}

#[test]
fn a_signal_to_end_is_passed_on_and_the_report_comes() {
    if without_bpf() {
        return;
    }
    let (mut residue, mut out) = follow(&[], "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done");
    signal(&residue, "-TERM");
    let mut report = String::new();
    out.read_to_string(&mut report).expect("text");
    assert!(report.contains("opens"), "{report}");
    let mut said = String::new();
    residue.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert!(said.contains("the command failed (exit status: 7)"), "{said}");
    assert_eq!(residue.wait().expect("it ends").code(), Some(0), "{said}");
}

const PROGRAMS: u64 = 6;
const BYTES: u64 = 64 << 20;

#[test]
fn programs_that_are_not_go_are_not_kept_in_memory() {
    if without_bpf() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let small = std::fs::read("/bin/true").expect("a program");
    let names = (0..PROGRAMS).map(|number| {
        let path = folder.path().join(format!("large{number}"));
        std::fs::write(&path, &small).expect("a copy");
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("it opens");
        file.set_len(BYTES).expect("it grows");
        file.set_permissions(std::fs::Permissions::from_mode(0o755)).expect("it may run");
        path.to_str().expect("UTF-8").to_owned()
    });
    // Each runs until it has been read.
    let names: Vec<String> = names.collect();
    let (mut residue, _out) =
        follow(&[], &format!("{}; echo ready; while :; do sleep 0.1; done", names.join("; sleep 0.2; ")));
    let status = std::fs::read_to_string(format!("/proc/{}/status", residue.id())).expect("it runs");
    let kept = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    signal(&residue, "-TERM");
    residue.wait().expect("it ends");
    let kept: u64 = kept.expect("a number");
    assert!(kept * 1024 < PROGRAMS * BYTES / 2, "{kept} KB");
}

/// Each run of a program has its libraries at other addresses. Sites are for Go programs, and there are so many of them.
#[test]
fn short_lived_programs_do_not_take_all_sites() {
    if without_bpf() {
        return;
    }
    let script = "for i in $(seq 300); do /bin/true; done";
    let (_, storm) = report(&[], &["sh", "-c", script]);
    nothing_lost(&storm);
    let of_true: Vec<&Value> = list(&storm, "openers").iter().filter(|opener| opener["program"] == "true").collect();
    assert!(sum(&of_true, "opened") >= 300 * 2, "{of_true:#?}");
    assert_eq!(sum(&of_true, "opened"), sum(&of_true, "closed"));
    // Some until it has been read, then as many as it makes calls.
    assert!(of_true.len() < 100, "{}", of_true.len());
}

/// A copy of residue that everybody may run.
fn for_everybody(folder: &std::path::Path) -> std::path::PathBuf {
    let copy = folder.join("residue");
    std::fs::copy(env!("CARGO_BIN_EXE_residue"), &copy).expect("a copy");
    for path in [folder, &copy] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it may be run");
    }
    copy
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn what_is_missing_is_named() {
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    if without_bpf() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let residue = for_everybody(folder.path());
    let run = |command: &mut Command| said(&command.output().expect("it runs"));
    let nobody = |args: &[&str]| run(Command::new(&residue).args(args).uid(NOBODY).gid(NOBODY).current_dir("/"));
    let objects = nobody(&["bpf"]);
    assert!(objects.contains("hidden: iterators can't be used: it takes CAP_BPF and CAP_PERFMON"), "{objects}");
    let descriptors = nobody(&["trace", "-p", "1", "--for", "100ms", "--closes"]);
    assert!(descriptors.contains("CAP_BPF and CAP_PERFMON"), "{descriptors}");
    let namespace = run(Command::new("unshare")
        .args(["-p", "-f", "--mount-proc"])
        .arg(&residue)
        .args(["trace", "--closes", "--", "true"]));
    assert!(namespace.contains("PID namespace") && namespace.contains("--pid=host"), "{namespace}");
    let missing = run(Command::new(&residue).args(["trace", "--", "/nonexistent/program"]));
    assert!(missing.contains("cannot run the command /nonexistent/program: No such file"), "{missing}");
}

/// When residue comes to read a program, its process may run the next one: `runc` does so with every container.
#[test]
fn a_program_is_not_taken_for_the_next_one_of_its_process() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdexec", &[]);
    let script = format!("echo ready; read go; exec {} /bin/sleep 2", built.program.display());
    let (mut residue, mut out) = follow(&["--format", "json"], &script);
    signal(&residue, "-STOP");
    residue.stdin.take().expect("a pipe").write_all(b"\n").expect("it is read");
    std::thread::sleep(std::time::Duration::from_secs(1));
    signal(&residue, "-CONT");
    let mut report = String::new();
    out.read_to_string(&mut report).expect("text");
    residue.wait().expect("it ends");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    nothing_lost(&report);
    let openers = by(&report, "main.opens");
    assert_eq!(sum(&openers, "opened"), 3, "{:#}", report["openers"]);
    assert!(openers.iter().all(|opener| opener["program"] == "fdexec"), "{openers:#?}");
}

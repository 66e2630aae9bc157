//! What must not matter: storms of processes, more than there is room for, and the end of residue at any moment.
//!
//! Needs root and a kernel with eBPF, as `trace.rs` does.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

mod tracing;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use residue_testkit::go::Running;
use serde_json::Value;

use self::tracing::{build, list, lives, newest, nothing_lost, report, without_bpf};

/// Ten times as much where there is time.
fn many(fewer: u32) -> u32 {
    if std::env::var_os("RESIDUE_TEST_FULL").is_some() { fewer * 10 } else { fewer }
}

/// eBPF objects of the kernel whose map of open descriptors has so much room, and programs that use such a map.
fn left_in_kernel(room: u32) -> (usize, usize) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_residue")).args(["bpf", "--format", "json"]).output().expect("it runs");
    let host: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let is_ours = |map: &&Value| map["name"] == "live" && map["max_entries"] == room;
    let maps: Vec<&Value> = list(&host, "maps").iter().filter(is_ours).map(|map| &map["id"]).collect();
    let uses = |program: &&Value| list(program, "maps").iter().any(|map| maps.contains(&map));
    (maps.len(), list(&host, "programs").iter().filter(uses).count())
}

#[test]
fn killed_at_any_moment_it_leaves_nothing_and_nobody_notices() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdpanics", &[]);
    let mut running = Running::start(Command::new(&built.program).arg("forever"));
    assert_eq!(running.line().as_deref(), Some("ready"));
    let pid = running.pid().to_string();
    // No other test makes a map of this size.
    let room = 77_777;
    let mut followed = 0;
    for round in 0..many(12) {
        let mut residue = Command::new(env!("CARGO_BIN_EXE_residue"));
        residue.args(["trace", "--panics", "--closes", "--room", &room.to_string(), "--pid", &pid]);
        let mut residue = residue.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("residue runs");
        // From before the programs are loaded to long after they are attached, which takes as long as it takes.
        std::thread::sleep(Duration::from_millis(u64::from(round % 8) * 150));
        let begun = Instant::now();
        while round % 4 == 3 && left_in_kernel(room).1 < 6 && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(50));
        }
        followed += usize::from(round % 4 == 3 && left_in_kernel(room).1 >= 6);
        residue.kill().expect("it is ours");
        residue.wait().expect("it has ended");
        let deadline = Instant::now() + Duration::from_secs(20);
        while left_in_kernel(room) != (0, 0) {
            assert!(Instant::now() < deadline, "round {round}: {:?} objects are left", left_in_kernel(room));
            std::thread::sleep(Duration::from_millis(50));
        }
        // It says when something goes wrong, and goes on panicking and recovering.
        assert!(running.is_alive(), "round {round}: the process ended");
        assert!(running.line().is_some_and(|line| line == "fine"), "round {round}: it noticed");
    }
    assert!(followed >= 3, "it was killed {followed} times while it followed");
}

#[test]
fn more_processes_than_are_said_are_counted_and_the_table_is_right() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let program = built.program.to_str().expect("UTF-8");
    // Nobody reads what the kernel says while these run.
    let script = format!(
        "kill -STOP $PPID; i=0; while [ $i -lt 1800 ]; do /bin/true; i=$((i+1)); done; {program} leaky; kill -CONT $PPID"
    );
    let (_, report) = report(&[], &["sh", "-c", &script]);
    let losses = &report["losses"];
    assert!(losses["events"].as_u64() > Some(500), "{losses}");
    for what in ["live", "sites", "tables", "pairs"] {
        assert_eq!(losses[what], 0, "{what}: {losses}");
    }
    // The counts are the kernel's: nothing of them is lost. Whose program it was is, but for its addresses.
    let left: u64 = list(&report, "openers").iter().filter_map(|opener| opener["ended"].as_u64()).sum();
    assert!(left >= 40, "{left}");
}

#[test]
fn storms_of_processes_and_very_many_descriptors_are_counted_one_by_one() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let program = built.program.to_str().expect("UTF-8");
    let processes = many(1_000);
    let (_, storm) = report(&[], &[program, "forks", &processes.to_string()]);
    nothing_lost(&storm);
    assert_eq!(lives(&storm, "main.raw"), (2, 0, 2));
    assert!(storm["processes"].as_u64() > Some(u64::from(processes)), "{}", storm["processes"]);

    // 100,000, by as many processes as it takes where one may not have so many.
    let limit = Command::new("sh").args(["-c", "ulimit -Hn"]).output().expect("sh runs").stdout;
    let limit = String::from_utf8_lossy(&limit).trim().parse().unwrap_or(u64::MAX);
    let each = limit.saturating_sub(1_000).min(100_000);
    let processes = 100_000_u64.div_ceil(each);
    let descriptors = each * processes;
    let one = format!("{program} many {each} &");
    let script = format!("ulimit -n $(ulimit -Hn); {} wait", one.repeat(processes as usize));
    let (_, crowd) = report(&[], &["sh", "-c", &script]);
    nothing_lost(&crowd);
    assert_eq!(lives(&crowd, "main.raw"), (descriptors, 0, descriptors));
    assert_eq!(crowd["losses"]["unknown_ended"], 0);
    // With less room, what is missing is said, to the last one.
    let (_, full) = report(&["--room", "4096"], &["sh", "-c", &script]);
    let (opened, closed, left) = lives(&full, "main.raw");
    let lost = full["losses"]["live"].as_u64().expect("a number");
    assert_eq!((opened, closed + left), (descriptors, descriptors));
    assert!(left <= 4_096 * processes && lost >= descriptors - 4_096 * processes, "{left} left, {lost} lost");
}

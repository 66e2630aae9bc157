//! Descriptors followed on this kernel: Go programs open and close them in known ways, and the report has to say just that.
//!
//! Needs root and a kernel with eBPF; where that isn't given, each test fails, unless `RESIDUE_TEST_WITHOUT_BPF` is set to
//! say that it is known. Then each says that it tested nothing.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

mod tracing;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use residue_testkit::go::{Running, releases};
use residue_testkit::schema;
use serde_json::Value;

use self::tracing::{
    Built, build, by, found, has_frame, list, lives, newest, nothing_lost, report, sum, trace, without_bpf,
};

#[test]
fn every_way_that_a_descriptor_is_born_and_dies() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdbirths", &[]);
    let (said, report) = report(&[], &[built.program.to_str().expect("UTF-8")]);
    nothing_lost(&report);
    let mut made = 0;
    for line in said.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["made", call, command, count] => {
                let born: Vec<&Value> = by(&report, "main.born")
                    .into_iter()
                    .filter(|opener| {
                        opener["call"] == call && opener["command"].as_str().unwrap_or_default() == command
                    })
                    .collect();
                let left = sum(&born, "ended");
                assert_eq!(left.to_string(), count, "{line}: {born:#?}");
                made += 1;
            }
            ["skipped", ..] => {
                let _ = writeln!(std::io::stderr(), "NOT TESTED: {line}");
            }
            _ => {}
        }
    }
    assert!(made > 30, "{said}");
    // Closed by close, by dup3 over it, by close_range; on exec; or with the table of a thread.
    for way in ["main.diesByClose", "main.diesByDup", "main.diesByCloseRange"] {
        let openers: Vec<&Value> = by(&report, way).into_iter().filter(|o| has_frame(o, "main.files")).collect();
        assert_eq!((sum(&openers, "opened"), sum(&openers, "closed")), (3, 3), "{way}: {openers:#?}");
    }
    assert_eq!(lives(&report, "main.diesAfterDup"), (3, 3, 0));
    assert_eq!(lives(&report, "main.parted"), (2, 0, 2));
    // Of two, exec closed the one it had to.
    assert_eq!(lives(&report, "main.execs"), (2, 1, 1));
}

#[test]
fn leaks_are_found_with_stack_and_count_and_what_is_closed_is_not() {
    if without_bpf() {
        return;
    }
    for go in releases() {
        for flags in [&[][..], &["-ldflags=-s -w"], &["-buildmode=pie", "-ldflags=-s -w"]] {
            let built = build(&go, "fdleaks", flags);
            let program = built.program.to_str().expect("UTF-8");
            let of = format!("{} {flags:?}", go.version);
            let (_, leaky) = report(&[], &[program, "leaky"]);
            nothing_lost(&leaky);
            assert_eq!(lives(&leaky, "main.raw"), (20, 0, 20), "{of}");
            assert_eq!(lives(&leaky, "main.(*store).keep"), (20, 0, 20), "{of}");
            assert_eq!(lives(&leaky, "main.closed"), (20, 20, 0), "{of}");
            let expected = [("K102", "(*store).keep"), ("K102", "raw")].map(|(a, b)| (a.to_owned(), b.to_owned()));
            let mut leaks = found(&leaky);
            leaks.sort();
            assert_eq!(leaks, expected, "{of}");
            let raw = by(&leaky, "main.raw")[0];
            assert_eq!(
                (&raw["class"], &raw["leak"], &raw["kind"]),
                (&"permanent".into(), &"never-closed".into(), &"file".into())
            );
            assert_eq!(raw["example"], "/etc/passwd");
            assert!(has_frame(raw, "main.main"), "the caller of the leaf's caller is there: {raw:#?}");

            let (_, fixed) = report(&[], &[program, "fixed"]);
            nothing_lost(&fixed);
            assert_eq!(found(&fixed), [], "{of}");
            assert_eq!(lives(&fixed, "main.raw"), (20, 20, 0), "{of}");
        }
    }
}

#[test]
fn callers_that_share_the_top_of_the_stack_stay_apart() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let (_, report) = report(&[], &[built.program.to_str().expect("UTF-8"), "twins"]);
    assert_eq!(lives(&report, "main.first"), (3, 0, 3));
    // Two lines of one function.
    assert_eq!(lives(&report, "main.second"), (6, 0, 6));
    assert_eq!(by(&report, "main.second").len(), 2);
}

#[test]
fn closes_that_go_wrong_are_told_with_both_stacks() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let program = built.program.to_str().expect("UTF-8");
    let (_, twice) = report(&["--closes"], &[program, "twice"]);
    assert_eq!(found(&twice), [("K103".to_owned(), "twice".to_owned())]);
    let bad = &list(&twice, "bad_closes")[0];
    assert_eq!((&bad["kind"], &bad["count"]), (&"not-open".into(), &5.into()));
    assert!(has_frame(&bad["closer"], "main.twice") && has_frame(&bad["other"], "main.twice"), "{bad:#?}");

    let (_, stranger) = report(&["--closes"], &[program, "stranger"]);
    let rules = found(&stranger);
    assert!(rules.contains(&("K104".to_owned(), "stranger".to_owned())), "{rules:?}");
    // The file's own close then meets a number that is not open.
    assert!(rules.contains(&("K103".to_owned(), "stranger".to_owned())), "{rules:?}");
}

#[test]
fn nothing_is_missed_and_nothing_invented_at_top_speed() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    for _ in 0..5 {
        let (said, report) = report(&[], &[built.program.to_str().expect("UTF-8"), "storm", "300"]);
        nothing_lost(&report);
        let words: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let (opens, leaks) = (words[0], words[1]);
        assert_eq!(lives(&report, "main.lost"), (leaks, 0, leaks));
        let (opened, closed, left) = lives(&report, "main.raw");
        assert_eq!((opened, closed, left), (opens + leaks, opens, leaks));
        assert_eq!((&report["losses"]["ghosts"], &report["losses"]["bad_closes"]), (&0.into(), &0.into()));
    }
}

#[test]
fn children_are_followed_and_a_storm_of_them_survived() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let program = built.program.to_str().expect("UTF-8");
    let (_, child) = report(&[], &[program, "child"]);
    assert_eq!(lives(&child, "main.raw"), (20, 0, 20));
    let (_, storm) = report(&[], &[program, "forks", "300"]);
    nothing_lost(&storm);
    assert_eq!(lives(&storm, "main.raw"), (2, 0, 2));
    assert!(storm["processes"].as_u64() > Some(300), "{}", storm["processes"]);
}

#[test]
fn a_table_that_is_full_is_said() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let (_, report) = report(&["--room", "64"], &[built.program.to_str().expect("UTF-8"), "many", "200"]);
    assert!(report["losses"]["live"].as_u64() > Some(0), "{}", report["losses"]);
}

#[test]
fn a_running_process_is_followed_and_what_grows_is_found() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &["-ldflags=-s -w"]);
    let mut running = Running::start(Command::new(&built.program).arg("grow"));
    assert_eq!(running.line().as_deref(), Some("ready"));
    let pid = running.pid().to_string();
    let (_, report) = report(&["--pid", &pid, "--for", "3s", "--window", "500ms"], &[]);
    assert_eq!(found(&report), [("K101".to_owned(), "raw".to_owned())]);
    let lost = by(&report, "main.lost")[0];
    assert_eq!((&lost["class"], &lost["leak"]), (&"permanent".into(), &"growing".into()));
    // The goroutine that does it, which is not the first.
    let goids: Vec<u64> = list(lost, "examples").iter().filter_map(|example| example["goid"].as_u64()).collect();
    assert!(goids.last() > Some(&1), "{goids:?}");
    assert_eq!(lost["examples"][0]["link"], "/etc/passwd");
    // What was open before is there, without an opener.
    let unknown = list(&report, "origin_unknown").iter().filter(|live| live["link"] == "/etc/passwd").count();
    assert!(unknown >= 10, "{unknown}");
    assert!(running.is_alive(), "it never noticed");
}

#[test]
fn a_recording_tells_the_same_again() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let recording = built.folder.path().join("recording");
    let recording = recording.to_str().expect("UTF-8");
    let (_, first) = report(&["--record", recording], &[built.program.to_str().expect("UTF-8"), "leaky"]);
    let (_, again) = report(&["--replay", recording], &[]);
    assert_eq!(first, again);
    let broken = trace(&["--replay", built.program.to_str().expect("UTF-8")], &[]);
    assert_eq!(broken.status.code(), Some(3));
}

#[test]
fn go_tool_pprof_reads_the_profile() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let program = built.program.to_str().expect("UTF-8");
    let recording = built.folder.path().join("recording");
    let recording = recording.to_str().expect("UTF-8");
    trace(&["--record", recording], &[program, "leaky"]);
    let profile = built.folder.path().join("fds.pprof");
    let written = trace(&["--replay", recording, "--format", "pprof"], &[]).stdout;
    std::fs::write(&profile, written).expect("it is writable");
    let go = newest();
    let mut command = go.command(&["tool", "pprof", "-sample_index=left_open", "-raw"]);
    let output = command.arg(&profile).output().expect("the go command runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("opened/count leaked/count left_open/count"), "{text}");
    assert!(
        text.contains("main.raw")
            && text.lines().any(|line| line.trim_start().starts_with("20         20         20:")),
        "{text}"
    );
}

#[test]
fn a_stream_tells_what_grows_while_it_does_and_a_flame_graph_shows_it() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let mut running = Running::start(Command::new(&built.program).arg("grow"));
    assert_eq!(running.line().as_deref(), Some("ready"));
    let pid = running.pid().to_string();
    let picture = built.folder.path().join("fds.svg");
    let formats = format!("jsonl,svg={}", picture.display());
    let output = trace(&["--pid", &pid, "--for", "2s", "--window", "300ms", "--format", &formats], &[]);
    let text = String::from_utf8(output.stdout).expect("text");
    let mut schema: Value =
        serde_json::from_str(include_str!("../../../docs/schema/trace.schema.json")).expect("the schema is JSON");
    schema = serde_json::json!({"$ref": "#/$defs/lines", "$defs": schema["$defs"]});
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for line in &lines {
        let mistakes = schema::mistakes(&schema, line);
        assert!(mistakes.is_empty(), "{line}: {mistakes:#?}");
    }
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    assert_eq!((of("start").len(), of("end").len()), (1, 1));
    let lost = of("opener").into_iter().find(|opener| has_frame(opener, "main.lost")).expect("who leaks");
    let lives: Vec<u64> = of("window")
        .iter()
        .flat_map(|window| list(window, "openers"))
        .filter(|opener| opener["id"] == lost["id"])
        .map(|opener| opener["live"].as_u64().expect("a number"))
        .collect();
    assert!(lives.len() >= 3 && lives.is_sorted() && lives.first() < lives.last(), "{lives:?}");
    assert_eq!(of("finding")[0]["rule"], "K101");
    let svg = std::fs::read_to_string(&picture).expect("a picture");
    let count = lives.last().expect("some");
    assert!(svg.starts_with("<svg") && svg.contains("main.lost"), "{svg}");
    assert!(svg.contains("file (permanent, leak)") && svg.contains(&format!("{count} descriptors")), "{count} {svg}");
    assert!(running.is_alive(), "it never noticed");
}

#[test]
fn following_ends_when_nothing_happens_or_nobody_reads() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let mut running = Running::start(Command::new(&built.program).arg("grow"));
    assert_eq!(running.line().as_deref(), Some("ready"));
    let pid = running.pid().to_string();
    let mut residue = Command::new(env!("CARGO_BIN_EXE_residue"));
    residue.args(["trace", "--pid", &pid, "--window", "100ms", "--format", "jsonl"]);
    let mut child = residue.stdout(std::process::Stdio::piped()).spawn().expect("residue runs");
    drop(child.stdout.take());
    assert!(child.wait().expect("it ends").code().is_some());
    let idle = Running::start(Command::new("sleep").arg("60"));
    let (_, report) = report(&["--pid", &idle.pid().to_string(), "--until-idle", "300ms"], &[]);
    assert!((300..20_000).contains(&report["elapsed_ms"].as_u64().expect("a number")), "{}", report["elapsed_ms"]);
}

/// Where cgroups of version 2 are, if they can be made.
fn new_cgroup(name: &str) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let root = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (folder, kind) = (words.nth(1)?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(folder))
    })?;
    let folder = root.join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir(&folder).ok()?;
    Some(folder)
}

#[test]
fn a_cgroup_and_all_processes_are_followed() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let mut inside = Running::start(Command::new(&built.program).arg("grow"));
    assert_eq!(inside.line().as_deref(), Some("ready"));
    let mut outside = Running::start(Command::new(&built.program).arg("grow"));
    assert_eq!(outside.line().as_deref(), Some("ready"));
    let limits = ["--for", "8s", "--window", "1s"];
    let pids = |report: &Value| -> Vec<u64> {
        let openers = by(report, "main.lost");
        openers.iter().flat_map(|opener| list(opener, "pids")).filter_map(Value::as_u64).collect()
    };
    let (_, all) = report(&[&limits[..], &["--all"]].concat(), &[]);
    let followed = pids(&all);
    assert!(
        followed.contains(&inside.pid().into()) && followed.contains(&outside.pid().into()),
        "{followed:?}, not {} and {}",
        inside.pid(),
        outside.pid()
    );
    assert!(found(&all).contains(&("K101".to_owned(), "raw".to_owned())), "{:?}", found(&all));
    let Some(cgroup) = new_cgroup("residue-test") else {
        let _ = writeln!(std::io::stderr(), "NOT TESTED: --cgroup, for want of one");
        return;
    };
    std::fs::write(cgroup.join("cgroup.procs"), inside.pid().to_string()).expect("it can be moved");
    let (_, some) = report(&[&limits[..], &["--cgroup", cgroup.to_str().expect("UTF-8")]].concat(), &[]);
    let followed = pids(&some);
    drop((inside, outside));
    // It is empty, now that its process is gone.
    let _ = std::fs::remove_dir(&cgroup);
    assert_eq!(followed.len(), 1, "{followed:?}");
    assert_eq!(found(&some), [("K101".to_owned(), "raw".to_owned())]);
}

#[test]
fn findings_of_check_are_confirmed_exercised_or_not_reached() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let program = built.program.to_str().expect("UTF-8");
    let finding = |rule: &str, line: u32, declaration: &str| {
        serde_json::json!({
            "rule": rule, "message": "m", "fingerprint": format!("{line}"),
            "site": {"path": "main.go", "start": {"line": line, "column": 1}},
            "acquire_site":
                {"import_path": "command-line-arguments", "file": "main.go", "line": line, "declaration": declaration},
        })
    };
    let source = include_str!("programs/fdleaks/main.go");
    let line = |text: &str| source.lines().position(|line| line.contains(text)).expect("it is there") as u32 + 1;
    let raw = line("syscall.Open(");
    let closed = line("func closed()") + 1;
    let stranger = line("func stranger()") + 1;
    let findings = serde_json::json!({
        "findings": [finding("R201", raw, "raw"), finding("R201", closed, "closed"), finding("R201", stranger, "stranger")]
    });
    let file = built.folder.path().join("findings.json");
    std::fs::write(&file, findings.to_string()).expect("it is writable");
    let (_, report) = report(&["--against", file.to_str().expect("UTF-8")], &[program, "leaky"]);
    let statuses: Vec<&Value> = list(&report["against"], "findings").iter().map(|finding| &finding["status"]).collect();
    assert_eq!(statuses, ["confirmed", "exercised", "not-reached"]);
    let missed = list(&report["against"], "missed");
    assert!(missed.len() == 1 && missed[0].as_str().is_some_and(|missed| missed.contains("keep")), "{missed:?}");
}

/// A program of `tests/programs` with a release of the module it needs, which comes from the module proxy.
fn with_library(name: &str, module: &str, version: &str) -> Built {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name).join("main.go");
    std::fs::copy(source, folder.path().join("main.go")).expect("it is writable");
    let needs = format!("module example.com/{name}\n\ngo 1.22\n\nrequire {module} {version}\n");
    std::fs::write(folder.path().join("go.mod"), needs).expect("it is writable");
    let program = folder.path().join(name);
    let go = newest();
    let mut command = go.command(&["build", "-mod=mod", "-o"]);
    command.arg(&program).arg(".").env("GO111MODULE", "on").env("CGO_ENABLED", "0").current_dir(folder.path());
    let output = command.output().expect("the go command runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{module} {version} doesn't build: {said}");
    Built { folder, program }
}

/// A leak that a module had, and how it looks from here.
struct Forgetful {
    program: &'static str,
    module: &'static str,
    leaky: &'static str,
    fixed: &'static str,
    /// What it forgets fifty of.
    kind: &'static str,
    /// Who calls it: a function, and a text that only its line has.
    caller: (&'static str, &'static str),
    /// The module's function that is called there.
    callee: &'static str,
}

/// Each with the issue or the change that tells of it.
const FORGETFUL: &[Forgetful] = &[
    // github.com/cilium/ebpf/issues/725: a map whose contents don't fit.
    Forgetful {
        program: "fdlibrary",
        module: "github.com/cilium/ebpf",
        leaky: "v0.7.0",
        fixed: "v0.9.1",
        kind: "bpf-map",
        caller: ("main.provision", "ebpf.NewMap("),
        callee: "github.com/cilium/ebpf.NewMap",
    },
    // github.com/gofrs/flock/issues/30: a lock that somebody else has.
    Forgetful {
        program: "fdlock",
        module: "github.com/gofrs/flock",
        leaky: "v0.7.1",
        fixed: "v0.8.1",
        kind: "file",
        caller: ("main.run", "lock.TryLock()"),
        callee: "github.com/gofrs/flock.(*Flock).TryLock",
    },
    // github.com/godbus/dbus/pull/402: a bus whose nonce can't be read.
    Forgetful {
        program: "fdbus",
        module: "github.com/godbus/dbus/v5",
        leaky: "v5.1.0",
        fixed: "v5.2.2",
        kind: "socket",
        caller: ("main.connect", "dbus.Dial("),
        callee: "github.com/godbus/dbus/v5.Dial",
    },
];

#[test]
fn libraries_that_forget_are_named_and_their_next_releases_are_not() {
    if without_bpf() {
        return;
    }
    for case in FORGETFUL {
        let Forgetful { program, module, .. } = case;
        let old = with_library(program, module, case.leaky);
        let (_, leaky) = report(&[], &[old.program.to_str().expect("UTF-8")]);
        nothing_lost(&leaky);
        let leaks: Vec<&Value> = list(&leaky, "openers").iter().filter(|opener| opener["leak"].is_string()).collect();
        assert_eq!(leaks.len(), 1, "{module}: one stack: {leaks:#?}");
        let leak = leaks[0];
        assert_eq!((&leak["kind"], &leak["ended"]), (&case.kind.into(), &50.into()), "{module}: {leak:#}");
        assert_eq!(leak["class"], "unknown", "{module}: a collection would close them");
        assert!(has_frame(leak, case.callee), "{leak:#?}");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(program).join("main.go");
        let source = std::fs::read_to_string(source).expect("the source");
        let line = source.lines().position(|line| line.contains(case.caller.1)).expect("it is there") + 1;
        let frames = list(leak, "frames");
        let caller = frames.iter().find(|frame| frame["function"] == case.caller.0).expect("the caller");
        assert_eq!(caller["line"], line);
        // That line is what the finding points at, not one of the library's.
        let finding = &list(&leaky, "findings")[0];
        assert_eq!((&finding["rule"], &finding["line"]), (&"K102".into(), &line.into()), "{finding:#}");

        let new = with_library(program, module, case.fixed);
        let (_, fixed) = report(&[], &[new.program.to_str().expect("UTF-8")]);
        assert_eq!(found(&fixed), [], "{module}");
        let same: Vec<&Value> =
            by(&fixed, case.caller.0).into_iter().filter(|opener| opener["kind"] == case.kind).collect();
        assert!(sum(&same, "opened") >= 50 && sum(&same, "ended") == 0, "{module}: {same:#?}");
    }
}

#[test]
fn a_finding_in_a_module_is_confirmed_by_a_program_that_uses_it() {
    if without_bpf() {
        return;
    }
    let built = with_library("fdbus", "github.com/godbus/dbus/v5", "v5.1.0");
    let go = newest();
    let mut list_command = go.command(&["list", "-mod=mod", "-m", "-f", "{{.Dir}}", "github.com/godbus/dbus/v5"]);
    let output = list_command.env("GO111MODULE", "on").current_dir(built.folder.path()).output().expect("go runs");
    let module = String::from_utf8(output.stdout).expect("a path");
    let findings = built.folder.path().join("findings.json");
    let mut check = Command::new(env!("CARGO_BIN_EXE_residue"));
    check.args(["check", "--no-cache", "--fail-on", "never", "--format"]);
    check.arg(format!("json={}", findings.display())).arg(".").current_dir(module.trim());
    assert!(check.output().expect("residue runs").status.success());
    let program = built.program.to_str().expect("UTF-8");
    let (_, report) = report(&["--against", findings.to_str().expect("UTF-8")], &[program]);
    let against = list(&report["against"], "findings");
    let nonce = against.iter().find(|finding| finding["file"] == "transport_nonce_tcp.go").expect("check finds it");
    assert_eq!((&nonce["status"], &nonce["opens"], &nonce["left"]), (&"confirmed".into(), &50.into(), &50.into()));
    assert_eq!(list(&report["against"], "missed"), &[] as &[Value]);
}

/// Runs a command with no privilege but those of its user.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-all", "--inh-caps", "-all", "--ambient-caps", "-all", "--"]).arg(program);
    command
}

#[test]
fn without_privileges_proc_tells_what_grows_and_what_is_lost_is_said() {
    if without_bpf() {
        return;
    }
    let built = build(&newest(), "fdleaks", &[]);
    let mut running = Running::start(unprivileged(&built.program).arg("grow"));
    assert_eq!(running.line().as_deref(), Some("ready"));
    let pid = running.pid().to_string();
    let residue = Path::new(env!("CARGO_BIN_EXE_residue"));
    let traced = |args: &[&str]| unprivileged(residue).arg("trace").args(args).output().expect("residue runs");
    let output = traced(&["--pid", &pid, "--for", "4s", "--window", "500ms", "--format", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("CAP_BPF and CAP_PERFMON") && said.contains("Lost by that: who opens"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let schema = include_str!("../../../docs/schema/trace.schema.json");
    let mistakes = schema::mistakes(&serde_json::from_str(schema).expect("the schema is JSON"), &report);
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    assert_eq!(report["by"], "proc");
    let files = list(&report, "openers").iter().find(|opener| opener["kind"] == "file").expect("files");
    assert_eq!(files["leak"], "growing");
    // As many as there are.
    let now = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count() as u64;
    let live = files["live"].as_u64().expect("a number");
    assert!(live > 100 && live <= now, "{live} of {now}");
    let finding = &list(&report, "findings")[0];
    assert_eq!(
        (&finding["rule"], &finding["path"]),
        (&"K101".into(), &format!("/proc/{pid}/fd").into()),
        "{finding:#}"
    );
    // A command and its children, until it ends; what it had open at its end is no leak of a known opener.
    let program = built.program.to_str().expect("UTF-8");
    let output = traced(&["--window", "100ms", "--format", "json", "--", program, "child"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));

    // What can't be had that way.
    let refused = traced(&["--pid", &pid, "--closes"]);
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("it needs CAP_BPF") && said.contains("without --closes"), "{said}");
    let privileged = Running::start(Command::new("sleep").arg("60"));
    let refused = traced(&["--pid", &privileged.pid().to_string(), "--for", "1s"]);
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("permission denied") && said.contains("CAP_SYS_PTRACE"), "{said}");
    assert!(running.is_alive(), "it never noticed");
}

#[test]
fn wrong_usage_and_what_cannot_be_run_are_told_apart() {
    let nothing = trace(&[], &[]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("hint: "));
    if without_bpf() {
        return;
    }
    let missing = trace(&[], &["/nonexistent/program"]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot run the command"));
    let gone = trace(&["--pid", "4194303"], &[]);
    assert_eq!(gone.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("there is no process 4194303"));
}

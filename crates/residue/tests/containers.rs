//! In which container processes are: a cgroup named as Docker names them, made for it. Needs root, eBPF and a cgroup2 file system
//! that can be written; where one of these isn't given, that is said.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

mod tracing;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use residue_testkit::go::Running;
use serde_json::Value;
use tracing::{build, by, list, newest, report, trace, without_bpf};

const ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";

/// A cgroup that looks like a container's, as long as it is there.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("it is readable");
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let path = mount.and_then(|line| line.split(' ').nth(4)).map(|at| {
            // Other runs may have theirs beside it.
            Path::new(at).join(format!("residue-test-{}-{name}", std::process::id())).join(format!("docker-{ID}.scope"))
        });
        let made = path.filter(|path| std::fs::create_dir_all(path).is_ok()).map(Self);
        if made.is_none() {
            let _ =
                writeln!(std::io::stderr(), "NOT TESTED: containers, for want of a cgroup2 file system to write to");
        }
        made
    }

    /// A command that goes there, and becomes another.
    fn command(&self, words: &[&str]) -> Vec<String> {
        let script = format!("echo $$ > '{}/cgroup.procs' && exec \"$@\"", self.0.display());
        ["/bin/sh", "-c", &script, "sh"].iter().chain(words).map(|word| (*word).to_owned()).collect()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // What has just ended is in it for a moment.
        for _ in 0..50 {
            if std::fs::remove_dir(&self.0).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let _ = self.0.parent().map(std::fs::remove_dir);
    }
}

#[test]
fn what_is_traced_is_told_with_its_container() {
    if without_bpf() {
        return;
    }
    let Some(cgroup) = Cgroup::new("trace") else { return };
    let built = build(&newest(), "fdleaks", &[]);
    let recording = built.folder.path().join("recording");
    let lines = built.folder.path().join("lines");
    let command = cgroup.command(&[built.program.to_str().expect("UTF-8"), "leaky"]);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let stream = format!("jsonl={}", lines.display());
    let args = ["--record", recording.to_str().expect("UTF-8"), "--format", &stream];
    let (_, live) = report(&args, &command);
    let told = |report: &Value| {
        let opener = by(report, "main.raw")[0];
        let container = &list(opener, "containers")[0];
        assert_eq!((&container["runtime"], &container["id"]), (&"docker".into(), &ID.into()), "{opener}");
    };
    told(&live);
    let (_, replayed) = report(&["--replay", recording.to_str().expect("UTF-8")], &[]);
    told(&replayed);
    // The shell was outside when it began.
    let lines = std::fs::read_to_string(lines).expect("it was written");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let placed: Vec<&Value> = lines.iter().filter(|line| line["type"] == "placed").collect();
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schema/trace.schema.json")).expect("the schema is JSON");
    let mut schema_of_lines = schema.clone();
    for key in ["required", "additionalProperties", "properties"] {
        schema_of_lines.as_object_mut().expect("an object").remove(key);
    }
    schema_of_lines["$ref"] = "#/$defs/placed_line".into();
    for line in &placed {
        let mistakes = residue_testkit::schema::mistakes(&schema_of_lines, line);
        assert!(mistakes.is_empty(), "{mistakes:#?}");
    }
    let (first, last) = (placed.first().expect("it is told"), placed.last().expect("it is told"));
    assert!(first.get("container").is_none(), "{placed:?}");
    assert_eq!(last["container"]["id"], ID, "{placed:?}");
    assert!(last["cgroup"].as_str().is_some_and(|path| path.ends_with(&format!("/docker-{ID}.scope"))), "{last}");
    let text = trace(&["--replay", recording.to_str().expect("UTF-8")], &[]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    // What the command left open ended with it: the table tells where that was, and so do the notes.
    let row = text.lines().find(|line| line.contains(": main.raw "));
    assert!(row.is_some_and(|row| row.contains(" in docker 0a1b2c3d4e5f: main.raw ")), "{text}");
    assert!(text.contains("= in docker 0a1b2c3d4e5f"), "{text}");
}

#[test]
fn what_holds_an_object_is_told_with_its_container() {
    if without_bpf() {
        return;
    }
    let Some(cgroup) = Cgroup::new("bpf") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/bpf/many.go");
    let program = folder.path().join("many");
    newest().build(&source, &[], &program);
    let words = cgroup.command(&[program.to_str().expect("UTF-8"), "-maps", "1", "-pins=false"]);
    let mut running = Running::start(Command::new(&words[0]).args(&words[1..]));
    assert_eq!(running.line().as_deref(), Some("ready"));
    let show = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_residue")).arg("bpf").args(args).output().expect("residue runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let document: Value = serde_json::from_str(&show(&["--format", "json"])).expect("JSON");
    let schema = include_str!("../../../docs/schema/bpf.schema.json");
    let schema = serde_json::from_str(schema).expect("the schema is JSON");
    assert_eq!(residue_testkit::schema::mistakes(&schema, &document), Vec::<String>::new());
    let pid = running.pid();
    let process = list(&document, "processes").iter().find(|process| process["pid"] == pid).expect("it holds a map");
    assert_eq!((&process["container"]["runtime"], &process["container"]["id"]), (&"docker".into(), &ID.into()));
    let text = show(&[]);
    assert!(
        text.contains(&format!("pid {pid} many (go1")) && text.contains(") in docker 0a1b2c3d4e5f  holds"),
        "{text}"
    );
}

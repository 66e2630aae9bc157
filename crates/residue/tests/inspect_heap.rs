//! The heap from the command line: text, JSON beside its schema, a profile for pprof, and what is refused.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

use std::path::Path;
use std::process::{Command, Output};

use residue_testkit::go::{Running, releases};
use serde_json::Value;

const PROGRAM: &str = r#"package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
)

type session struct {
	file *os.File
	pad  [100]uint64
}

var sessions = map[string]*session{}

type node struct {
	other *node
	pad   [100]uint64
}

func main() {
	for i := 0; i < 80; i++ {
		file, _ := os.Open("/dev/null")
		sessions[fmt.Sprint("do not print this ", i)] = &session{file: file}
	}
	func() {
		one, other := &node{}, &node{}
		one.other, other.other = other, one
		runtime.SetFinalizer(one, func(*node) {})
	}()
	for i := 0; i < 64; i++ {
		big = append(big, make([]byte, 1<<20))
	}
	runtime.GC()
	runtime.GC()
	fmt.Println("object", fmt.Sprintf("%p", sessions["do not print this 7"]))
	fmt.Println("ready")
	fmt.Scanln()
	pprof.Lookup("heap")
	fmt.Println(len(sessions), len(big))
}

var big [][]byte
"#;

fn inspect(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_residue")).arg("inspect").args(args).output().expect("residue runs")
}

fn out(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", err(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The program with its process id and the address of one of its objects.
fn start(folder: &Path) -> (Running, String, String) {
    let source = folder.join("main.go");
    std::fs::write(&source, PROGRAM).expect("a directory for the test");
    let program = folder.join("holder");
    releases().pop().expect("a release").build(&source, &[], &program);
    let mut running = Running::start(&mut Command::new(&program));
    let said = running.lines_until("ready");
    running.settle();
    let address = said[0].strip_prefix("object ").expect("an address").to_owned();
    let pid = running.pid().to_string();
    (running, pid, address)
}

#[test]
fn a_process_tells_what_it_holds_and_why() {
    let folder = tempfile::tempdir().expect("a directory for the test");
    let (_running, pid, address) = start(folder.path());

    let summary = out(&inspect(&[&pid]));
    assert!(summary.contains("\n  heap         "), "{summary}");
    assert!(
        summary.contains("warning[P301]: 80 device descriptors are kept by map[string]*main.session\n"),
        "{summary}"
    );
    assert!(summary.contains("  root  package variable main.sessions\n"), "{summary}");
    assert!(summary.contains("error[P303]: 1 finalizer of main.node is never called\n"), "{summary}");
    assert!(summary.contains(&format!("residue inspect {pid} why fd:")), "{summary}");

    let heap = out(&inspect(&[&pid, "heap", "--retained"]));
    assert!(heap.contains("  main.session\n") && heap.contains("  package variable main.big\n"), "{heap}");

    let why = out(&inspect(&[&pid, "why", &address]));
    let way = "  package variable main.sessions  (map[string]*main.session)\n    → map[string]*main.session  0x";
    assert!(why.contains(way) && why.contains(&format!("    […] → main.session  {address}\n")), "{why}");
    let all = out(&inspect(&[&pid, "why", "os.file"]));
    assert!(all.contains("80 objects") && all.contains("  ← contains them all\n"), "{all}");
    for same in ["*os.file", "example.com/go/os.file", "*os.File", "os.File"] {
        let way = |text: &str| text.split_once('\n').expect("lines").1.to_owned();
        assert_eq!(way(&out(&inspect(&[&pid, "why", same]))), way(&all), "{same}");
    }
    let maps = out(&inspect(&[&pid, "why", "map[ string ]*main.session"]));
    assert!(maps.contains("  1 object, ") && maps.contains("  package variable main.sessions  "), "{maps}");
    let beside = out(&inspect(&[&pid, "why", "[][]byte"]));
    assert!(beside.contains("package variable main.big"), "{beside}");
    let object = out(&inspect(&[&pid, "object", &address]));
    assert!(object.contains("\n    .file → os.File  0x") && object.contains("    […] of cells of map"), "{object}");

    let finalizers = out(&inspect(&[&pid, "finalizers"]));
    assert!(finalizers.contains("\n           1  in a cycle  never runs\n"), "{finalizers}");
    let fds = out(&inspect(&[&pid, "fds"]));
    let chain =
        "80 device  os.file ← os.File ← main.session ← map[string]*main.session ← package variable main.sessions\n";
    assert!(fds.contains(chain), "{fds}");
    for text in [summary, heap, why, all, object, finalizers, fds] {
        assert!(!text.contains("do not print this"), "{text}");
    }

    let profile = inspect(&[&pid, "heap", "--format", "pprof"]);
    assert_eq!(profile.status.code(), Some(0), "{}", err(&profile));
    let file = folder.path().join("heap.pb.gz");
    std::fs::write(&file, &profile.stdout).expect("a directory for the test");
    let go = releases().pop().expect("a release");
    let shown = go.command(&["tool", "pprof", "-top", "-sample_index=inuse_space"]).arg(&file).output().expect("pprof");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.lines().any(|line| line.starts_with("   ") && line.ends_with("main.main")), "{shown}");

    // Columns of the table: flat, its share, a running sum, cum, its share, and the name.
    let profile = inspect(&[&pid, "heap", "--retained", "--format", "pprof"]);
    assert_eq!(profile.status.code(), Some(0), "{}", err(&profile));
    std::fs::write(&file, &profile.stdout).expect("a directory for the test");
    let top = |sample: &str| {
        let index = format!("-sample_index={sample}");
        let args = ["tool", "pprof", "-top", "-cum", "-unit=B", "-nodecount=1000", &index];
        let shown = go.command(&args).arg(&file).output().expect("pprof");
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
        String::from_utf8_lossy(&shown.stdout).into_owned()
    };
    let row = |text: &str, name: &str| {
        let row = text.lines().find(|line| line.ends_with(&format!("  {name}")));
        let row: Vec<&str> = row.unwrap_or_else(|| panic!("{name}: {text}")).split_whitespace().collect();
        let number = |text: &str| text.trim_end_matches('B').parse::<u64>().unwrap_or_else(|_| panic!("{row:?}"));
        (number(row[0]), number(row[3]))
    };
    let objects = top("retained_objects");
    assert_eq!(row(&objects, "main.session").0, 80, "{objects}");
    // Sessions lead to 80 os.File with an os.file each.
    assert!(row(&objects, "main.session").1 >= 240, "{objects}");
    let (own, all) = row(&objects, "package variable main.sessions");
    assert!(own == 0 && all > row(&objects, "main.session").1, "{objects}");
    let bytes = top("retained_space");
    assert!(row(&bytes, "package variable main.big").1 >= 64 << 20, "{bytes}");
}

#[test]
fn ways_are_drawn() {
    let folder = tempfile::tempdir().expect("a directory for the test");
    let (_running, pid, address) = start(folder.path());
    let dot = out(&inspect(&[&pid, "why", "os.file", "--format", "dot"]));
    assert!(dot.starts_with("digraph why {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(
        dot.contains("[label=\"package variable main.sessions\\nmap[string]*main.session\", shape=ellipse];"),
        "{dot}"
    );
    assert!(dot.contains("[label=\".file\\nprecise\"];") && dot.contains("80 objects, 7.7 kB kept like this"), "{dot}");
    if let Ok(mut graphviz) = Command::new("dot").args(["-Tcanon"]).stdin(std::process::Stdio::piped()).spawn() {
        use std::io::Write as _;
        graphviz.stdin.take().expect("a pipe").write_all(dot.as_bytes()).expect("it reads");
        assert!(graphviz.wait().expect("it ends").success(), "{dot}");
    }

    let svg = out(&inspect(&[&pid, "why", &address, "--format", "svg"]));
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && !svg.contains("<script"), "{svg}");
    for part in ["package variable main.sessions", "map[string]*main.session", &*address, ">precise<"] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    let parsed = Command::new("python3")
        .args(["-c", "import sys, xml.dom.minidom as m; m.parse(sys.stdin.buffer)"])
        .stdin(std::fs::File::open(save(folder.path(), &svg)).expect("the drawing"))
        .status()
        .expect("python3");
    assert!(parsed.success(), "{svg}");
}

/// A file with a text.
fn save(folder: &Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("drawing.svg");
    std::fs::write(&path, text).expect("a directory for the test");
    path
}

#[test]
fn what_is_told_is_as_the_schema_says() {
    let folder = tempfile::tempdir().expect("a directory for the test");
    let (_running, pid, address) = start(folder.path());
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/inspect.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(schema).expect("the schema")).expect("JSON");
    let views: [(&[&str], &str); 6] = [
        (&[], "findings"),
        (&["heap", "--retained"], "heap"),
        (&["finalizers"], "finalizers"),
        (&["why", "os.file"], "why"),
        (&["object", &address], "object"),
        (&["fds"], "descriptors"),
    ];
    for (view, key) in views {
        let args = [&[&*pid], view, &["--format", "json"]].concat();
        let text = out(&inspect(&args));
        let document: Value = serde_json::from_str(&text).expect("JSON");
        assert!(document.get(key).is_some(), "{text}");
        let mut wrong = Vec::new();
        check(&schema, &schema, &document, "$", &mut wrong);
        assert!(wrong.is_empty(), "{view:?}: {wrong:#?}");
    }
}

/// What of a value isn't as its schema says: types, properties, items, enumerations.
fn check(root: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        return check(root, root.pointer(&name[1..]).expect("a definition"), value, at, wrong);
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    let listed = schema["enum"].as_array().is_none_or(|listed| listed.contains(value));
    if !fits || !listed {
        wrong.push(format!("{at}: {value}"));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if value.get(required.as_str().expect("a name")).is_none() {
            wrong.push(format!("{at}: no {required}"));
        }
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{key}");
        match (schema["properties"].get(key), &schema["additionalProperties"]) {
            (Some(schema), _) => check(root, schema, inner, &at, wrong),
            (None, Value::Bool(false)) => wrong.push(format!("{at}: not in the schema")),
            (None, schema) => check(root, schema, inner, &at, wrong),
        }
    }
    for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
        check(root, &schema["items"], inner, &format!("{at}[{index}]"), wrong);
    }
}

#[test]
fn what_there_is_not_is_said_with_what_there_is() {
    let folder = tempfile::tempdir().expect("a directory for the test");
    let (_running, pid, _) = start(folder.path());
    let refused = |args: &[&str], code: i32, said: &str| {
        let output = inspect(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{args:?}: {}", err(&output));
    };
    refused(&[&pid, "why"], 2, "why what?");
    refused(&[&pid, "why", "other.session"], 3, "hint: there are main.session");
    refused(&[&pid, "why", "fd:many"], 2, "a descriptor is a number");
    refused(&[&pid, "why", "fd:9999"], 3, "no object is known to hold fd:9999");
    refused(&[&pid, "why", "0x10"], 3, "there is no object at 0x10");
    refused(&[&pid, "object", "session"], 2, "which object?");
    refused(&[&pid, "heap", "main.session"], 2, "this view takes nothing behind its name");
    refused(&[&pid, "fds", "--retained"], 2, "--retained belongs to the view `heap`");
    refused(&[&pid, "fds", "--format", "pprof"], 2, "--format pprof is for");
    refused(&[&pid, "object", "0x10", "--format", "svg"], 2, "--format dot and svg are for the view `why`");
}

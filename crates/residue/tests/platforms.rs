//! Several builds of one tree in one report, and what may be read beside it.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A file that is opened and never closed.
const LEAKY: &str = "\
package data

import \"os\"

func NAME() (byte, error) {
	f, err := os.Open(\"data\") // HERE
	if err != nil {
		return 0, err
	}
	buffer := make([]byte, 1)
	_, err = f.Read(buffer)
	return buffer[0], err
}
";

fn leaky(name: &str, comment: &str) -> String {
    LEAKY.replace("NAME", name).replace("// HERE", comment)
}

fn tree(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory for the test");
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("it is writable");
        std::fs::write(path, text).expect("it is writable");
    }
    dir
}

fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
    command.current_dir(dir).env_clear().env("HOME", dir).stdin(Stdio::null());
    command.arg("check").args(args).output().expect("the program starts")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

const GO_MOD: (&str, &str) = ("go.mod", "module example.com/m\n\ngo 1.25\n");

#[test]
fn builds_are_merged_and_say_where_they_differ() {
    let (everywhere, unix, windows) = (leaky("A", ""), leaky("B", ""), leaky("C", ""));
    let tagged = format!("//go:build special\n\n{}", leaky("D", ""));
    let dir = tree(&[
        GO_MOD,
        ("a.go", &everywhere),
        ("b_linux.go", &unix),
        ("c_windows.go", &windows),
        ("d.go", &tagged),
        ("only/windows_only_windows.go", &leaky("E", "")),
    ]);
    let all = ["--platform", "linux/amd64", "--platform", "windows/amd64", "--platform", "linux/amd64,special"];
    let merged = run(dir.path(), &all);
    assert_eq!(merged.status.code(), Some(1));
    let text = out(&merged);
    let notes: Vec<_> =
        text.lines().filter_map(|line| line.split_once("only when built for ")).map(|it| it.1).collect();
    assert_eq!(
        notes,
        ["linux/amd64, linux/amd64,special", "windows/amd64", "linux/amd64,special", "windows/amd64"],
        "{text}"
    );
    assert_eq!(text.matches("R201]").count(), 5, "{text}");
    assert!(!err(&merged).contains("leave out"), "{}", err(&merged));
    let again = run(dir.path(), &[&all[..], &["-j", "1"]].concat());
    assert_eq!(text, out(&again));
    let json = out(&run(dir.path(), &[&all[..], &["--format", "jsonl"]].concat()));
    assert!(json.contains(r#""platforms":["linux/amd64","windows/amd64","linux/amd64,special"]"#), "{json}");
    let one = run(dir.path(), &["--platform", "windows/amd64"]);
    assert!(!out(&one).contains("only when built"), "one build has nothing to differ from");
    assert_eq!(out(&one), out(&run(dir.path(), &["--goos", "windows", "--goarch", "amd64"])));
}

#[test]
fn platforms_can_be_configured() {
    let dir = tree(&[
        GO_MOD,
        ("c_windows.go", &leaky("C", "")),
        ("d_darwin.go", &leaky("D", "")),
        (".residue.toml", "platforms = ['windows/amd64', 'darwin/arm64']\n"),
    ]);
    assert_eq!(out(&run(dir.path(), &[])).matches("R201]").count(), 2);
    assert_eq!(out(&run(dir.path(), &["--platform", "darwin/arm64"])).matches("R201]").count(), 1);
    assert_eq!(out(&run(dir.path(), &["--goos", "windows"])).matches("R201]").count(), 1);
    let both = run(dir.path(), &["--platform", "darwin/arm64", "--goos", "linux"]);
    assert_eq!(both.status.code(), Some(2));
    let wrong = run(dir.path(), &["--platform", "darwin"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("expected GOOS/GOARCH such as linux/amd64"), "{}", err(&wrong));
}

#[test]
fn a_suppression_that_one_build_needs_is_used() {
    let source = "package data\n\nfunc A() error {\n\
                  \tresp, err := new(client).Get(\"x\") //residue:ignore R201 -- short-lived\n\
                  \tif err != nil {\n\t\treturn err\n\t}\n\tprintln(resp.Status)\n\treturn nil\n}\n";
    let real = "package data\n\nimport \"net/http\"\n\ntype client = http.Client\n";
    let own = "package data\n\ntype answer struct{ Status string }\n\ntype client struct{}\n\n\
               func (*client) Get(string) (answer, error) { return answer{}, nil }\n";
    let dir = tree(&[GO_MOD, ("a.go", source), ("c_linux.go", real), ("c_windows.go", own), ("c_darwin.go", own)]);
    let unused = |platforms: &[&str]| {
        let args: Vec<&str> = platforms.iter().flat_map(|&platform| ["--platform", platform]).collect();
        out(&run(dir.path(), &args)).matches("X001]").count()
    };
    assert_eq!((unused(&["linux/amd64"]), unused(&["windows/amd64"])), (0, 1));
    assert_eq!(unused(&["windows/amd64", "linux/amd64"]), 0);
    assert_eq!(unused(&["windows/amd64", "darwin/arm64"]), 1);
}

#[test]
fn what_lies_outside_is_read_where_allowed() {
    let dir = tree(&[
        ("repo/.git/HEAD", ""),
        ("repo/go.mod", "module example.com/m\n\ngo 1.25\n\nrequire x.org/x v1.0.0\n\nreplace x.org/x => ../x\n"),
        ("repo/a.go", "package data\n\nimport _ \"x.org/x\"\n"),
        ("x/go.mod", "module x.org/x\n"),
        ("x/x.go", "package x\n"),
    ]);
    let repo = dir.path().join("repo");
    let refused = err(&run(&repo, &[]));
    assert!(refused.contains("lies outside the repository") && refused.contains("--allow-path"), "{refused}");
    assert_eq!(run(&repo, &["--strict"]).status.code(), Some(3));
    let allowed = run(&repo, &["--strict", "--allow-path", "../x"]);
    assert_eq!((allowed.status.code(), err(&allowed).contains("outside")), (Some(0), false), "{}", err(&allowed));
}

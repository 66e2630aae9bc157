//! `residue debug`: the views of a function.
#![allow(clippy::disallowed_methods, reason = "a test sets up files")]

use std::path::Path;
use std::process::{Command, Output};

const SOURCE: &str = "package p

import \"os\"

type T struct{ f *os.File }

func (t *T) Close() error { return t.f.Close() }

func open(name string) (t *T, err error) {
	defer func() { recover() }()
	f, err := os.Open(name)
	return &T{f}, err
}
";

fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
    command.current_dir(dir).arg("debug").args(args).output().expect("it runs")
}

fn module() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("go.mod"), "module example.org/p\n\ngo 1.24\n").expect("it is written");
    std::fs::write(dir.path().join("p.go"), SOURCE).expect("it is written");
    dir
}

#[test]
fn functions_methods_and_literals_are_found() {
    let dir = module();
    for (args, want) in [
        (&["ir", "p.go:(*T).Close"][..], "v2 = call v1.(*os.File).Close()"),
        (&["ir", "p.go:open.func1"], "v0 = call recover()"),
        (&["ir", "p.go:open", "--format", "dot"], "digraph \"open\" {"),
        (&["cfg", "p.go:open"], "  f, err := os.Open(name)\n"),
        (&["cfg", "p.go:open", "--format", "dot"], "b0 -> b1 [label=\"return\"];"),
    ] {
        let output = run(dir.path(), args);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains(want), "{args:?}: {text}");
    }
}

#[test]
fn what_is_not_found_has_a_hint() {
    let dir = module();
    for (which, want) in [
        ("p.go:Close", "hint: did you mean `p.go:(*T).Close`?"),
        ("p.go:opem", "hint: did you mean `p.go:open`?"),
        ("p.go", "hint: it has (*T).Close, open, open.func1"),
        ("q.go:open", "error: there is no file q.go"),
    ] {
        let output = run(dir.path(), &["ir", which]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && text.contains(want), "{which}: {text}");
    }
}

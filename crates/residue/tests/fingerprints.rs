//! A finding stays the same finding while the code around it changes.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

use std::process::{Command, Stdio};

/// Two functions; in the first, the same file is opened twice.
const SOURCE: &str = "\
package data

import \"os\"

func Twice() {
	a, err := os.Open(\"data\")
	if err != nil {
		return
	}
	println(a.Name())
	b, err := os.Open(\"data\")
	if err != nil {
		return
	}
	println(b.Name())
}

func Once(name string) {
	c, err := os.Open(name)
	if err != nil {
		return
	}
	println(c.Name())
}
";

/// The fingerprints of a module with these files, in order of place, and the lines they are on.
fn prints(files: &[(&str, &str)]) -> Vec<(u64, String)> {
    let dir = tempfile::tempdir().expect("a directory for the test");
    for (path, text) in [("go.mod", "module example.com/m\n\ngo 1.25\n")].iter().chain(files) {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("it is writable");
        std::fs::write(path, text).expect("it is writable");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
    command.current_dir(dir.path()).env_clear().stdin(Stdio::null()).args(["check", "--format", "json"]);
    let output = command.output().expect("the program starts");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = json["findings"].as_array().expect("a list").iter();
    let print = |finding: &serde_json::Value| {
        let line = finding["site"]["start"]["line"].as_u64().expect("a line");
        (line, finding["fingerprint"].as_str().expect("a fingerprint").to_owned())
    };
    findings.map(print).collect()
}

fn only_prints(files: &[(&str, &str)]) -> Vec<String> {
    prints(files).into_iter().map(|(_, print)| print).collect()
}

#[test]
fn edits_elsewhere_change_nothing() {
    let before = only_prints(&[("p/a.go", SOURCE)]);
    assert_eq!(before.len(), 3);
    let inserted = SOURCE.replace("func Twice", "// Added.\nvar x = 1\n\nfunc Zero() {}\n\nfunc Twice");
    let (inserted, moved) = (prints(&[("p/a.go", &inserted)]), prints(&[("p/a.go", SOURCE)]));
    assert_eq!(inserted.iter().map(|(_, print)| print.clone()).collect::<Vec<_>>(), before, "lines inserted above");
    assert_eq!(inserted[0].0, moved[0].0 + 5);
    assert_eq!(only_prints(&[("p/renamed.go", SOURCE)]), before, "the file renamed");
    let (first, second) = SOURCE.split_once("func Once").expect("it is there");
    let second = format!("package data\n\nimport \"os\"\n\nfunc Once{second}");
    assert_eq!(only_prints(&[("p/a.go", first), ("p/b.go", &second)]), before, "a function moved to another file");
    let laid_out = SOURCE.replace("os.Open(name)", "os. // why\n\t\tOpen(\n\t\t\tname,\n\t\t)").replace('\n', "\r\n");
    assert_ne!(laid_out, SOURCE);
    assert_eq!(only_prints(&[("p/a.go", &laid_out)]), before, "laid out otherwise");
}

#[test]
fn code_may_move_within_its_function() {
    let before = only_prints(&[("a.go", SOURCE)]);
    let moved = SOURCE
        .replace("\tc, err", "\tif name == \"\" {\n\t\treturn\n\t}\n\tfor range 3 {\n\t\tprintln(name)\n\t}\n\tc, err");
    assert_eq!(only_prints(&[("a.go", &moved)]), before);
    let nested =
        SOURCE.replace("\tc, err := os.Open(name)", "\tprintln(1)\n\n\n\tc, err :=   os.Open( name ) // moved");
    assert_eq!(only_prints(&[("a.go", &nested)]), before);
}

#[test]
fn equals_are_a_multiset() {
    let before = only_prints(&[("a.go", SOURCE)]);
    assert_ne!(before[0], before[1], "equals are told apart");
    let sibling = "\tz, err := os.Open(\"data\")\n\tif err != nil {\n\t\treturn\n\t}\n\tprintln(z.Name())\n";
    for place in ["func Twice() {\n", "\tprintln(a.Name())\n", "\tprintln(b.Name())\n"] {
        let more = only_prints(&[("a.go", &SOURCE.replace(place, &format!("{place}{sibling}")))]);
        assert_eq!(more.len(), 4);
        assert_eq!(more[..2], before[..2], "wherever it is added, the ones before stay");
        assert!(!before.contains(&more[2]), "and one is new");
        assert_eq!(more[3], before[2]);
    }
    let fixed = SOURCE.replace("\tprintln(a.Name())\n", "\tdefer a.Close()\n");
    assert_eq!(only_prints(&[("a.go", &fixed)]), [before[0].clone(), before[2].clone()], "one less is one less");
}

#[test]
fn another_function_package_or_expression_is_another_finding() {
    let before = only_prints(&[("p/a.go", SOURCE)]);
    for (path, from, to) in
        [("q/a.go", "", ""), ("p/a.go", "Once", "Other"), ("p/a.go", "os.Open(name)", "os.Open(name+name)")]
    {
        let after = only_prints(&[(path, &if from.is_empty() { SOURCE.to_owned() } else { SOURCE.replace(from, to) })]);
        assert!(!before.contains(&after[2]), "{path} {from} {to}");
    }
}

//! The program as a user meets it: exit codes, streams, messages.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A file that is opened and never closed.
const LEAKY: &str = "\
package data

import \"os\"

func First() (byte, error) {
	f, err := os.Open(\"data\")
	if err != nil {
		return 0, err
	}
	buffer := make([]byte, 1)
	_, err = f.Read(buffer)
	return buffer[0], err
}
";

const CLEAN: &str = "package main\n\nfunc main() { println(1) }\n";

/// A module with these files.
fn module(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory for the test");
    std::fs::write(dir.path().join("go.mod"), "module example.com/m\n\ngo 1.25\n").expect("it is writable");
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("it is writable");
        std::fs::write(path, text).expect("it is writable");
    }
    dir
}

fn residue(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
    command.current_dir(dir).env_clear().env("HOME", dir).stdin(Stdio::null());
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    residue(dir).args(args).output().expect("the program starts")
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[test]
fn findings_are_data_and_the_summary_is_talk() {
    let dir = module(&[("main.go", LEAKY)]);
    let output = run(dir.path(), &["check"]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert!(out(&output).contains("main.go:6:"), "{}", out(&output));
    assert!(out(&output).contains("f, err := os.Open"), "{}", out(&output));
    assert!(!out(&output).contains('\u{1b}'));
    assert!(err(&output).contains("in 1 package ("), "{}", err(&output));
    assert!(err(&output).contains("hint: `residue explain R201`"), "{}", err(&output));
}

#[test]
fn nothing_found_is_success() {
    let dir = module(&[("main.go", CLEAN)]);
    let output = run(dir.path(), &["check", "."]);
    assert_eq!((code(&output), out(&output).as_str()), (0, ""));
    assert!(err(&output).starts_with("nothing found in 1 package"), "{}", err(&output));
    let quiet = run(dir.path(), &["check", "-q"]);
    assert_eq!((code(&quiet), err(&quiet).as_str()), (0, ""));
}

#[test]
fn a_directory_stands_for_what_is_below_it() {
    let dir = module(&[("a/b/main.go", LEAKY), ("c/c.go", CLEAN)]);
    for (args, want) in [
        (&["check", "a"][..], 1),
        (&["check", "./a/"], 1),
        (&["check", "./a/..."], 1),
        (&["check", "example.com/m/a/b"], 1),
        (&["check", "./c"], 0),
        (&["check", "example.com/m/c"], 0),
    ] {
        let output = run(dir.path(), args);
        assert_eq!(code(&output), want, "{args:?} {}", err(&output));
    }
    let elsewhere = tempfile::tempdir().expect("a directory for the test");
    let path = dir.path().to_str().expect("UTF-8");
    assert_eq!(code(&run(elsewhere.path(), &["check", path])), 1);
}

#[test]
fn fail_on_decides_about_findings() {
    let dir = module(&[("main.go", LEAKY)]);
    for (args, want) in [
        (&["check", "--fail-on", "never"][..], 0),
        (&["check", "--fail-on=note"], 1),
        (&["check", "--fail-on=fatal"], 2),
    ] {
        let output = run(dir.path(), args);
        assert_eq!(code(&output), want, "{args:?} {}", err(&output));
    }
    let from_environment = residue(dir.path()).arg("check").env("RESIDUE_FAIL_ON", "never").output();
    assert_eq!(code(&from_environment.expect("the program starts")), 0);
}

#[test]
fn what_could_not_be_analysed_is_3_unless_something_was_found() {
    let dir = module(&[("a/a.go", CLEAN), ("b/b.go", "package b\n\nfunc f( {\n")]);
    let output = run(dir.path(), &["check"]);
    assert_eq!(code(&output), 3, "{}", err(&output));
    assert!(err(&output).contains("error: b/b.go:3:"), "{}", err(&output));
    std::fs::write(dir.path().join("a/a.go"), LEAKY).expect("it is writable");
    let output = run(dir.path(), &["check", "--format", "json"]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["summary"]["complete"], false);
}

#[test]
fn a_missing_dependency_is_3_only_when_strict() {
    let source = "package main\n\nimport \"example.com/gone/x\"\n\nfunc main() { x.F() }\n";
    let dir = module(&[("main.go", source)]);
    let output = run(dir.path(), &["check"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(err(&output).contains("no source for example.com/gone"), "{}", err(&output));
    assert_eq!(code(&run(dir.path(), &["check", "--strict"])), 3);
    let strict = residue(dir.path()).arg("check").env("RESIDUE_STRICT", "1").output();
    assert_eq!(code(&strict.expect("the program starts")), 3);
}

#[test]
fn wrong_usage_is_2_with_a_hint() {
    let dir = module(&[("main.go", CLEAN)]);
    for (args, message) in [
        (&["chekc"][..], "'check'"),
        (&["check", "--rul", "R201"], "'--rule'"),
        (&["check", "--rule", "R20l"], "hint: did you mean `R201`?"),
        (&["check", "--rule", "banana"], "hint: `residue rules` lists them"),
        (&["check", "./nowhere"], "there is no directory ./nowhere"),
        (&["check", "main.go"], "hint: name its directory"),
        (&["check", "./nowhere/..."], "`./nowhere/...`"),
        (&["check", "example.com/m/nowhere"], "`example.com/m/nowhere`"),
        (&["check", "--exclude", "["], "bad exclude pattern `[`"),
        (&["check", "--format", "xml"], "expected text, json, jsonl, sarif, github, gitlab or junit"),
        (&["check", "--format", "json", "--format", "text"], "only one report"),
        (&["check", "-j", "0"], "0"),
        (&["check", "--config", "none.toml"], "cannot read the configuration none.toml"),
        (&["check", "--model", "none.toml"], "cannot read the model none.toml"),
        (&["explain", "R2O1"], "hint: did you mean `R201`?"),
        (&[], "Usage"),
    ] {
        let output = run(dir.path(), args);
        assert_eq!(code(&output), 2, "{args:?}");
        assert!(err(&output).contains(message), "{args:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{args:?}");
    }
}

#[test]
fn configuration_is_found_upward_and_what_it_disables_is_said() {
    let dir = module(&[("a/main.go", LEAKY), (".residue.toml", "[rules]\ndisable = [\"R201\"]\n")]);
    let below = dir.path().join("a");
    let output = run(&below, &["check"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(err(&output).contains("R201 is switched off by"), "{}", err(&output));
    assert!(err(&output).contains(".residue.toml:2"), "{}", err(&output));
    let json = run(dir.path(), &["check", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["disabled_rules"][0]["by"], ".residue.toml:2");
    // Flags win, and a configuration from outside replaces the one inside.
    assert_eq!(code(&run(dir.path(), &["check", "--rule", "R201"])), 1);
    std::fs::write(dir.path().join("ci.toml"), "").expect("it is writable");
    assert_eq!(code(&run(dir.path(), &["check", "--config", "ci.toml"])), 1);
}

#[test]
fn configured_excludes_follow_the_working_directory() {
    let dir = module(&[("a/gen/main.go", LEAKY), ("a/main.go", CLEAN), (".residue.toml", "exclude = ['a/gen']\n")]);
    assert_eq!(code(&run(dir.path(), &["check"])), 0);
    assert_eq!(code(&run(&dir.path().join("a"), &["check"])), 0);
    let elsewhere = tempfile::tempdir().expect("a directory for the test");
    let path = dir.path().to_str().expect("UTF-8");
    assert_eq!(code(&run(elsewhere.path(), &["check", path])), 0);
    std::fs::remove_file(dir.path().join(".residue.toml")).expect("it is there");
    assert_eq!(code(&run(dir.path(), &["check"])), 1);
    assert_eq!(code(&run(dir.path(), &["check", "--exclude", "gen"])), 0);
}

#[test]
fn a_malformed_configuration_names_its_line() {
    let dir = module(&[("main.go", CLEAN), (".residue.toml", "tests = true\nexlude = []\n")]);
    let output = run(dir.path(), &["check"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains(".residue.toml:2: unknown field `exlude`"), "{}", err(&output));
    assert!(err(&output).contains("hint: did you mean `exclude`?"), "{}", err(&output));
}

#[test]
fn every_format_says_the_same() {
    let dir = module(&[("main.go", LEAKY)]);
    let args = ["check", "--format", "text", "--format", "json=r.json", "--format", "jsonl=r.jsonl"];
    let output = run(dir.path(), &args);
    assert_eq!(code(&output), 1, "{}", err(&output));
    let read = |name| std::fs::read_to_string(dir.path().join(name)).expect("it was written");
    let json: serde_json::Value = serde_json::from_str(&read("r.json")).expect("JSON");
    let finding = &json["findings"][0];
    let message = finding["message"].as_str().expect("a message");
    assert!(out(&output).contains(message), "{}", out(&output));
    assert!(read("r.jsonl").lines().any(|line| line.contains("\"type\":\"finding\"") && line.contains(message)));
    assert_eq!(finding["site"]["path"], "main.go");
    assert_eq!(finding["site"]["start"]["line"], 6);

    let formats = ["sarif=r.sarif", "github=r.txt", "gitlab=r.gitlab.json", "junit=r.xml"];
    let below = dir.path().join("below");
    std::fs::create_dir_all(dir.path().join(".git")).expect("it is writable");
    std::fs::create_dir_all(&below).expect("it is writable");
    std::fs::rename(dir.path().join("main.go"), below.join("main.go")).expect("it is there");
    let formats: Vec<&str> = formats.iter().flat_map(|format| ["--format", format]).collect();
    let output = run(&below, &[&["check"][..], &formats].concat());
    assert_eq!((code(&output), out(&output).as_str()), (1, ""), "{}", err(&output));
    for (name, place) in [
        ("r.sarif", "\"uri\":\"below/main.go\""),
        ("r.txt", "::warning file=below/main.go,line=6"),
        ("r.gitlab.json", "\"path\": \"below/main.go\""),
        ("r.xml", "file=\"below/main.go\" line=\"6\""),
    ] {
        let text = std::fs::read_to_string(below.join(name)).expect("it was written");
        assert!(text.contains(place) && text.contains(message), "{name}: {text}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let files: Vec<(String, String)> = (0..12).map(|n| (format!("p{n}/main.go"), LEAKY.to_owned())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let dir = module(&files);
    let one = run(dir.path(), &["check", "-j1", "--format", "json"]);
    let many = run(dir.path(), &["check", "-j8", "--format", "json"]);
    assert_eq!(code(&one), 1);
    assert_eq!(out(&one), out(&many));
}

#[test]
fn a_closed_pipe_is_silent_and_keeps_the_exit_code() {
    let files: Vec<(String, String)> = (0..60).map(|n| (format!("p{n}/main.go"), LEAKY.to_owned())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let dir = module(&files);
    let mut child = residue(dir.path())
        .args(["check", "-q", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((code(&output), err(&output).as_str()), (1, ""));
}

#[test]
fn stats_say_where_the_time_went() {
    let dir = module(&[("main.go", CLEAN)]);
    let output = run(dir.path(), &["check", "--stats"]);
    assert!(err(&output).contains("ms  loading and parsing"), "{}", err(&output));
    assert!(err(&output).contains("files with bodies"), "{}", err(&output));
}

#[test]
fn rules_are_listed_and_explained() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let list = run(dir.path(), &["rules"]);
    assert_eq!(code(&list), 0);
    let json = run(dir.path(), &["rules", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let rules = json["rules"].as_array().expect("a list");
    assert!(!rules.is_empty());
    for rule in rules {
        let (code_, name) = (rule["code"].as_str().expect("a code"), rule["name"].as_str().expect("a name"));
        assert!(out(&list).contains(code_) && out(&list).contains(name));
        for spelling in [code_.to_owned(), code_.to_lowercase(), name.to_owned()] {
            let page = run(dir.path(), &["explain", &spelling]);
            assert_eq!(code(&page), 0, "{spelling}");
            for heading in ["What it finds", "Why it leaks", "Example", "Fix", "Limits"] {
                assert!(out(&page).lines().any(|line| line == heading), "{spelling} has no {heading}");
            }
            assert!(out(&page).lines().all(|line| line.chars().count() <= 120), "{spelling} is too wide");
        }
    }
}

#[test]
fn generated_texts_come_from_the_same_definition() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    for args in [&["completion", "bash"][..], &["completion", "fish"], &["man"]] {
        let output = run(dir.path(), args);
        assert_eq!((code(&output), err(&output).as_str()), (0, ""), "{args:?}");
        assert!(out(&output).contains("fail-on") || out(&output).contains("fail\\-on"), "{args:?}");
    }
    let version = out(&run(dir.path(), &["--version"]));
    assert!(version.starts_with("residue 0.") && version.contains("(standard library of go1."), "{version}");
}

#[test]
fn bad_input_is_named_and_the_rest_analysed() {
    let generated =
        format!("// Code generated by a test. DO NOT EDIT.\npackage big\n\nvar x = \"{}\"\n", "x".repeat(51 << 20));
    let dir =
        module(&[("good/good.go", LEAKY), ("big/big.go", &generated), ("cut/cut.go", "package cut\n\nvar x = (\n")]);
    std::fs::create_dir_all(dir.path().join("empty")).expect("it is writable");
    std::fs::create_dir_all(dir.path().join("noise")).expect("it is writable");
    std::fs::write(dir.path().join("noise/noise.go"), b"package noise\n\nvar x = \"\xff\xfe\"\n")
        .expect("it is writable");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(".", dir.path().join("loop")).expect("links can be made");
        std::os::unix::fs::symlink("/usr", dir.path().join("out")).expect("links can be made");
        std::os::unix::fs::symlink("gone.go", dir.path().join("good/gone.go")).expect("links can be made");
    }
    let output = run(dir.path(), &["check"]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert!(out(&output).contains("good/good.go:6:"), "{}", out(&output));
    let said = err(&output);
    for place in ["big/big.go: ", "cut/cut.go:", "noise/noise.go:3:", "good/gone.go: "] {
        assert!(said.contains(&format!("error: {place}")), "{place}: {said}");
    }
    assert!(said.contains("Not everything could be analysed"), "{said}");
    assert_eq!(code(&run(dir.path(), &["check", "empty"])), 3);

    let manifest = dir.path().join("go.mod");
    std::fs::write(&manifest, "module example.com/m\n\nrequire (\n\tx\n").expect("it is writable");
    let output = run(dir.path(), &["check", "good"]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert!(err(&output).contains("go.mod:4:2: "), "{}", err(&output));
}

#[test]
fn names_cannot_talk_to_the_terminal() {
    let dir = module(&[("a\u{1b}[31mb/main.go", LEAKY)]);
    let output = run(dir.path(), &["check"]);
    let said = out(&output) + &err(&output);
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

/// The code block of a language in a page of the documentation.
fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let rest = page.split(&format!("```{language}\n")).nth(1).expect("the page has such a block");
    rest.split("```\n").next().expect("a split has a first part")
}

#[test]
fn the_documented_model_finds_the_documented_leak() {
    let page = include_str!("../../../docs/models.md");
    let code = format!("package p\n\nimport \"example.com/pool\"\n\n{}", block(page, "go"));
    let dir = module(&[("p/p.go", &code), ("models/pool.toml", block(page, "toml"))]);
    let output = run(dir.path(), &["check", "--model", "models/pool.toml"]);
    assert_eq!(code_of(&output, 1), "the lease is never returned");
    // The configuration says the same, relative to itself.
    std::fs::write(dir.path().join(".residue.toml"), "models = ['models/pool.toml']\n").expect("it is writable");
    assert_eq!(code_of(&run(&dir.path().join("p"), &["check"]), 1), "the lease is never returned");
}

#[test]
fn a_malformed_model_names_its_line() {
    let dir = module(&[("main.go", CLEAN), ("m.toml", "[[package]]\npath = 'os'\nborows = []\n")]);
    let output = run(dir.path(), &["check", "--model", "m.toml"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).starts_with("error: m.toml:3:"), "{}", err(&output));
}

#[test]
fn the_documented_configuration_is_one() {
    let text = block(include_str!("../../../docs/cli.md"), "toml").replace("models/ours.toml", "ours.toml");
    let dir = module(&[("main.go", CLEAN), ("ours.toml", ""), (".residue.toml", &text)]);
    let output = run(dir.path(), &["baseline", "write"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let output = run(dir.path(), &["check"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
}

/// Checks the exit code and gives the message of the first finding.
fn code_of(output: &Output, want: i32) -> String {
    assert_eq!(code(output), want, "{}", err(output));
    let first = out(output).lines().next().unwrap_or_default().to_owned();
    first.split_once("]: ").map_or(first.clone(), |(_, message)| message.to_owned())
}

#[test]
fn flags_say_what_is_looked_at() {
    let test = LEAKY.replace("First", "second");
    let tagged = format!("//go:build special\n\n{}", LEAKY.replace("First", "Third"));
    let windows = LEAKY.replace("First", "Fourth");
    let dir = module(&[
        ("data/data.go", "package data\n"),
        ("data/data_test.go", &test),
        ("data/tagged.go", &tagged),
        ("data/data_windows.go", &windows),
        ("vendor/example.com/v/v.go", LEAKY),
    ]);
    let places = |args: &[&str]| -> Vec<String> {
        let output = residue(dir.path())
            .args(["check", "--format", "json", "--goarch", "amd64"])
            .args(args)
            .env("GOFLAGS", "-mod=mod")
            .output()
            .expect("the program starts");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let findings = json["findings"].as_array().expect("a list").iter();
        findings.map(|finding| finding["site"]["path"].as_str().expect("a path").to_owned()).collect()
    };
    assert_eq!(places(&["--goos", "linux"]), [""; 0]);
    assert_eq!(places(&["--goos", "linux", "--tests"]), ["data/data_test.go"]);
    assert_eq!(places(&["--goos", "linux", "--tests", "--no-tests"]), [""; 0]);
    assert_eq!(places(&["--goos", "linux", "--tags", "other,special"]), ["data/tagged.go"]);
    assert_eq!(places(&["--goos", "windows"]), ["data/data_windows.go"]);
    assert_eq!(places(&["--goos", "linux", "--include-vendor"]), ["vendor/example.com/v/v.go"]);
}

//! Adopting the check where there are findings already: they are known, others are reported, and the list only shrinks.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

mod common;

use common::{code, err, found, json, leaks, module, out, read, run, write};

const FILE: &str = ".residue-baseline.toml";

#[test]
fn what_is_known_is_not_reported_and_what_is_new_is() {
    let dir = module(&[("a.go", &leaks(&["A", "B"]))]);
    let written = run(dir.path(), &["baseline", "write"]);
    assert_eq!(code(&written), 0, "{}", err(&written));
    let said = err(&written);
    assert!(said.contains("2 findings in .residue-baseline.toml, 2 of them new"), "{said}");
    assert!(said.contains("hint: `residue check --baseline .residue-baseline.toml`"), "{said}");
    assert_eq!(code(&run(dir.path(), &["check"])), 1, "a baseline counts where it is asked for");

    let known = run(dir.path(), &["check", "--baseline", FILE]);
    assert_eq!((code(&known), out(&known).as_str()), (0, ""), "{}", err(&known));
    assert!(err(&known).starts_with("nothing found in 1 package") && err(&known).contains(". 2 in the baseline"));

    write(dir.path(), "a.go", &format!("// More.\n\n{}", leaks(&["New", "A", "B"])));
    assert_eq!(found(dir.path(), &["--baseline", FILE]), ["New"]);
    let report = json(dir.path(), &["--baseline", FILE]);
    assert_eq!(report["suppressed"][0]["by"]["kind"], "baseline");
    assert_eq!(report["summary"]["baseline"], serde_json::json!({"path": FILE, "matched": 2, "stale": []}));
    let brief = json(dir.path(), &["--baseline", FILE, "--omit-suppressed"]);
    assert_eq!((&brief["suppressed"], &brief["summary"]["suppressed"]), (&serde_json::json!([]), &2.into()));

    // Named by the configuration, relative to it, from anywhere.
    write(dir.path(), ".residue.toml", &format!("baseline = '{FILE}'\n"));
    assert_eq!(found(dir.path(), &[]), ["New"]);
    std::fs::create_dir(dir.path().join("sub")).expect("it is writable");
    assert_eq!(found(&dir.path().join("sub"), &[".."]), ["New"]);
}

#[test]
fn reasons_are_kept_and_the_file_is_brought_up_to_date() {
    let dir = module(&[("a.go", &leaks(&["A", "B"]))]);
    assert_eq!(code(&run(dir.path(), &["baseline", "write"])), 0);
    let reasoned = read(dir.path(), FILE).replacen("why = \"\"", "why = \"held until exit\"", 1);
    write(dir.path(), FILE, &reasoned);
    let report = json(dir.path(), &["--baseline", FILE]);
    assert_eq!(report["suppressed"][0]["by"]["why"], "held until exit");

    std::fs::rename(dir.path().join("a.go"), dir.path().join("renamed.go")).expect("it is there");
    write(dir.path(), "new.go", &leaks(&["C"]));
    let written = run(dir.path(), &["baseline", "write"]);
    assert!(err(&written).contains("3 findings in .residue-baseline.toml, 1 of them new"), "{}", err(&written));
    let text = read(dir.path(), FILE);
    assert!(text.contains("held until exit") && text.contains("renamed.go") && !text.contains("\"a.go\""), "{text}");
    let again = run(dir.path(), &["baseline", "write"]);
    assert_eq!((read(dir.path(), FILE), code(&again)), (text, 0), "writing twice changes nothing");
}

#[test]
fn it_shrinks_and_does_not_grow_by_itself() {
    let dir = module(&[("a.go", &leaks(&["A", "B", "C"])), ("b/b.go", &leaks(&["D"]))]);
    assert_eq!(code(&run(dir.path(), &["baseline", "write"])), 0);
    assert_eq!(code(&run(dir.path(), &["baseline", "check"])), 0);
    write(dir.path(), "a.go", &leaks(&["A", "New"]));
    std::fs::remove_dir_all(dir.path().join("b")).expect("it is there");

    let stale = run(dir.path(), &["check", "--baseline", FILE]);
    assert!(err(&stale).contains("3 entries of .residue-baseline.toml no longer found"), "{}", err(&stale));
    let report = json(dir.path(), &["--baseline", FILE]);
    let paths = report["summary"]["baseline"]["stale"].as_array().expect("a list").iter().map(|entry| &entry["path"]);
    assert_eq!(paths.collect::<Vec<_>>(), ["a.go", "a.go", "b/b.go"]);

    let check = run(dir.path(), &["baseline", "check"]);
    assert_eq!(code(&check), 1);
    assert!(out(&check).contains("a.go:16:"), "the new one is shown: {}", out(&check));
    assert!(err(&check).contains("no longer found: R201 b/b.go: the file is never closed"), "{}", err(&check));

    let pruned = run(dir.path(), &["baseline", "prune"]);
    assert!(err(&pruned).contains("1 finding left in .residue-baseline.toml, 3 dropped"), "{}", err(&pruned));
    assert_eq!(found(dir.path(), &["--baseline", FILE]), ["New"], "what is new stays new");
    write(dir.path(), "a.go", &leaks(&["A", "B"]));
    assert_eq!(found(dir.path(), &["--baseline", FILE]), ["B"], "what was mended may not come back");

    write(dir.path(), "a.go", "package data\n");
    let output = run(dir.path(), &["check", "--baseline", FILE, "--prune-baseline"]);
    assert_eq!(code(&output), 0);
    assert!(err(&output).contains("dropped 1 entry from the baseline"), "{}", err(&output));
    assert!(!read(dir.path(), FILE).contains("[[finding]]"));
}

#[test]
fn what_was_not_looked_at_is_not_gone() {
    let test = leaks(&["InTest"]).replace("func InTest", "func inTest");
    let windows = leaks(&["OnWindows"]);
    let dir = module(&[
        ("a/a.go", &leaks(&["A"])),
        ("b/b.go", &leaks(&["B"])),
        ("a/a_test.go", &test),
        ("a/a_windows.go", &windows),
    ]);
    let all = ["baseline", "write", "--tests", "--platform", "linux/amd64", "--platform", "windows/amd64"];
    let written = run(dir.path(), &all);
    assert!(err(&written).contains("4 findings"), "{}", err(&written));
    for args in [&["./a"][..], &["./b"], &["--rule", "R209"], &["--tests", "--goos", "windows"], &["--no-tests"]] {
        let report = json(dir.path(), &[&["--baseline", FILE], args].concat());
        assert_eq!(report["summary"]["baseline"]["stale"], serde_json::json!([]), "{args:?}");
        let pruned = run(dir.path(), &[&["baseline", "prune"], args].concat());
        assert!(err(&pruned).contains("4 findings left in .residue-baseline.toml, 0 dropped"), "{}", err(&pruned));
        let written = run(dir.path(), &[&["baseline", "write"], args].concat());
        assert!(err(&written).contains("4 findings in .residue-baseline.toml, 0 of them new"), "{}", err(&written));
    }
    // The same function for two systems: on one of them, one of two equals is found.
    for (path, os) in [("a/os_linux.go", "linux"), ("a/os_windows.go", "windows")] {
        write(dir.path(), path, &leaks(&["Same"]));
        assert_eq!(found(dir.path(), &["--goos", os, "--baseline", FILE]), ["Same"]);
    }
    assert!(err(&run(dir.path(), &all)).contains("6 findings"));
    for os in ["linux", "windows", "darwin"] {
        let report = json(dir.path(), &["--goos", os, "--baseline", FILE]);
        assert_eq!(report["findings"], serde_json::json!([]), "{os}");
        assert_eq!(report["summary"]["baseline"]["stale"], serde_json::json!([]), "{os}");
    }
    // Nothing is known to be gone where something could not be analysed.
    write(dir.path(), "a/a.go", "package data\n\nfunc A( {\n");
    let pruned = run(dir.path(), &["baseline", "prune"]);
    assert_eq!(code(&pruned), 3, "{}", err(&pruned));
    assert!(err(&pruned).contains("not everything could be analysed, so nothing was dropped"), "{}", err(&pruned));
}

#[test]
fn a_merge_may_leave_an_entry_twice() {
    let dir = module(&[("a.go", &leaks(&["A"]))]);
    assert_eq!(code(&run(dir.path(), &["baseline", "write"])), 0);
    let text = read(dir.path(), FILE);
    let entry = text.split_once("[[finding]]").expect("an entry").1;
    write(dir.path(), FILE, &format!("{text}\n[[finding]]{entry}"));
    let check = run(dir.path(), &["baseline", "check"]);
    assert_eq!(code(&check), 1, "the second stands for nothing");
    assert_eq!(code(&run(dir.path(), &["baseline", "prune"])), 0);
    assert_eq!(code(&run(dir.path(), &["baseline", "check"])), 0);
}

#[test]
fn mistakes_are_2_and_say_what_to_do() {
    let dir = module(&[("a.go", &leaks(&["A"]))]);
    for (text, said) in [
        (None, "hint: `residue baseline write` makes one"),
        (Some("version = 9\n"), "b.toml:1: version 9 is not known here"),
        (Some("version = 1\n\n[[finding]]\nrule = 'R201'\n"), "b.toml:3: missing field"),
    ] {
        if let Some(text) = text {
            write(dir.path(), "b.toml", text);
        }
        for args in [&["check", "--baseline", "b.toml"][..], &["baseline", "check", "--baseline", "b.toml"]] {
            let output = run(dir.path(), args);
            assert_eq!(code(&output), 2, "{args:?}");
            assert!(err(&output).contains(said), "{}", err(&output));
        }
    }
    let unwritable = run(dir.path(), &["baseline", "write", "--baseline", "nowhere/b.toml"]);
    assert_eq!(code(&unwritable), 3);
    assert!(err(&unwritable).contains("cannot write nowhere/b.toml"), "{}", err(&unwritable));
}

#[test]
fn no_secret_gets_into_it() {
    let leak = leaks(&["A"]).replace("os.Open(\"A\")", "os.Open(\"postgres://u:hunter2@h/d\")");
    let dir = module(&[("a.go", &leak)]);
    assert_eq!(code(&run(dir.path(), &["baseline", "write"])), 0);
    let text = read(dir.path(), FILE);
    assert!(text.contains("[[finding]]") && !text.contains("hunter2"), "{text}");
}

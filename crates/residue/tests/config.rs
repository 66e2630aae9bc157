//! What a repository settles in `.residue.toml`, what it cannot, and what is said of it.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

mod common;

use std::collections::BTreeSet;

use common::{code, err, found, json, leaks, module, out, run, write};

/// The configuration in the documentation.
fn documented() -> &'static str {
    let page = include_str!("../../../docs/cli.md");
    let rest = page.split("```toml\n").nth(1).expect("the page has one");
    rest.split("```\n").next().expect("a split has a first part")
}

#[test]
fn what_is_printed_is_a_configuration_that_says_the_same() {
    let dir = module(&[(".residue.toml", documented()), ("models/ours.toml", "")]);
    let printed = run(dir.path(), &["config", "print"]);
    assert_eq!(code(&printed), 0, "{}", err(&printed));
    let text = out(&printed);
    assert!(text.starts_with("# From .residue.toml, defaults where it says nothing.\n"), "{text}");
    for line in ["exclude = [\"gen/**\", \"*.pb.go\"]", "until = 2027-01-31", "models = [\"models/ours.toml\"]"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    write(dir.path(), ".residue.toml", &text);
    assert_eq!(out(&run(dir.path(), &["config", "print"])), text);
    let check = run(dir.path(), &["config", "check"]);
    assert_eq!((code(&check), err(&check).as_str()), (0, ".residue.toml is fine\n"));
    let defaults = out(&run(module(&[]).path(), &["config", "print"]));
    assert!(defaults.starts_with("# Defaults") && defaults.contains("fail-on = \"warning\""), "{defaults}");
}

#[test]
fn the_schema_has_what_the_program_reads() {
    let dir = module(&[]);
    let schema: serde_json::Value = serde_json::from_str(&out(&run(dir.path(), &["config", "schema"]))).expect("JSON");
    let mut documented: BTreeSet<&str> =
        documented().lines().map(|line| line.split([' ', ']']).next().unwrap_or_default().trim_matches('[')).collect();
    for (section, pointer) in
        [("", ""), ("[rules]\n", "/properties/rules"), ("[[ignore]]\n", "/properties/ignore/items")]
    {
        let properties = schema.pointer(&format!("{pointer}/properties")).and_then(|value| value.as_object());
        let described: BTreeSet<&str> = properties.expect("an object").keys().map(String::as_str).collect();
        // The program lists what it knows where it meets something else.
        write(dir.path(), "x.toml", &format!("{section}nonsense = 1\n"));
        let said = err(&run(dir.path(), &["config", "check", "x.toml"]));
        let known = said.lines().next().and_then(|line| line.split_once("expected ")).expect("a list").1;
        assert_eq!(known.split('`').skip(1).step_by(2).collect::<BTreeSet<_>>(), described);
        for key in described {
            assert!(documented.remove(key) || key == "rules", "{key} is documented");
            write(dir.path(), "x.toml", &format!("{section}{key} = 1.5\n"));
            let said = err(&run(dir.path(), &["config", "check", "x.toml"]));
            assert!(said.contains("invalid type"), "{key}: {said}");
        }
    }
    assert_eq!(documented, BTreeSet::from([""]), "and nothing else");
}

#[test]
fn config_check_reads_what_the_configuration_names() {
    let dir = module(&[(".residue.toml", "models = ['m.toml']\nbaseline = 'b.toml'\n")]);
    for (path, text, said) in [
        ("x", "", "cannot read the model"),
        ("m.toml", "nonsense = 1\n", "m.toml:1"),
        ("m.toml", "", ".residue.toml is fine"),
        ("b.toml", "version = 7\n", "b.toml:1: version 7 is not known"),
    ] {
        write(dir.path(), path, text);
        let output = run(dir.path(), &["config", "check"]);
        assert!(err(&output).contains(said), "{said}: {}", err(&output));
        assert_eq!(code(&output), if said.ends_with("fine") { 0 } else { 2 });
    }
    let none = run(module(&[]).path(), &["config", "check"]);
    assert_eq!(code(&none), 0);
    assert!(err(&none).contains("the defaults are in force"), "{}", err(&none));
}

#[test]
fn findings_are_accepted_by_path_and_until_a_day() {
    let entry = |more: &str| format!("[[ignore]]\npaths = ['a', 'b/*.go']\nrules = ['R201']\nwhy = 'tools'\n{more}");
    let dir = module(&[
        ("a/x/a.go", &leaks(&["A"])),
        ("b/b.go", &leaks(&["B"])),
        ("c/c.go", &leaks(&["C"])),
        (".residue.toml", &entry("")),
    ]);
    assert_eq!(found(dir.path(), &[]), ["C"]);
    assert_eq!(found(&dir.path().join("c"), &[".."]), ["C"], "relative to the file, not to the directory of the run");
    let report = json(dir.path(), &[]);
    let by = serde_json::json!({"kind": "config", "by": ".residue.toml:1", "why": "tools"});
    assert_eq!(report["suppressed"][0]["by"], by);
    write(dir.path(), ".residue.toml", &entry("until = 2020-01-31\n"));
    assert_eq!(found(dir.path(), &[]), ["A", "B", "C"]);
    let text = out(&run(dir.path(), &["check"]));
    assert_eq!(text.matches("the `[[ignore]]` at .residue.toml:1 ended on 2020-01-31").count(), 2, "{text}");
    write(dir.path(), ".residue.toml", &entry("until = 9999-12-31\n"));
    assert_eq!(found(dir.path(), &[]), ["C"]);
}

#[test]
fn what_accepts_nothing_is_said() {
    let entry = |path: &str, rule: &str| format!("[[ignore]]\npaths = ['{path}']\nrules = ['{rule}']\nwhy = 'tools'\n");
    let unused = entry("a", "R202") + &entry("a", "R201") + &entry("elsewhere", "R201") + &entry("b", "R201");
    let dir = module(&[("a/a.go", &leaks(&["A"])), ("b/b.go", "package b\n"), (".residue.toml", &unused)]);
    let said = err(&run(dir.path(), &["check"]));
    assert!(said.contains("warning: .residue.toml:1: this `[[ignore]]` holds nothing back"), "{said}");
    assert!(said.contains("warning: .residue.toml:13: this"), "{said}");
    assert_eq!(said.matches("holds nothing back").count(), 2, "neither what is used nor what wasn't looked at: {said}");
    let only_a = err(&run(dir.path(), &["check", "./a", "--rule", "R201"]));
    assert!(!only_a.contains("holds nothing back"), "{only_a}");
}

#[test]
fn a_comment_ends_on_its_day() {
    let comment = |day: &str| {
        leaks(&["A"]).replace("os.Open(\"A\")", &format!("os.Open(\"A\") //residue:ignore R201 until={day} -- later"))
    };
    let dir = module(&[("a.go", &comment("9999-12-31"))]);
    let report = json(dir.path(), &[]);
    let by = serde_json::json!({"kind": "comment", "line": 6, "until": "9999-12-31", "why": "later"});
    assert_eq!((&report["findings"], &report["suppressed"][0]["by"]), (&serde_json::json!([]), &by));
    write(dir.path(), "a.go", &comment("2020-01-31"));
    let output = run(dir.path(), &["check"]);
    assert_eq!(code(&output), 1);
    assert!(out(&output).contains("the suppression on line 6 ended on 2020-01-31"), "{}", out(&output));
    assert!(!out(&output).contains("X001"), "it is not unused: {}", out(&output));
    write(dir.path(), "a.go", &comment("2020-31-01"));
    assert!(out(&run(dir.path(), &["check"])).contains("expected a day such as 2027-01-31"));
}

#[test]
fn what_is_left_out_is_said_in_every_report() {
    let dir = module(&[("gen/a.go", &leaks(&["A"])), (".residue.toml", "\nexclude = ['gen/**', '*.pb.go']\n")]);
    let output = run(dir.path(), &["check"]);
    assert!(err(&output).contains("hint: .residue.toml:2 leaves out gen/**, *.pb.go"), "{}", err(&output));
    assert_eq!(json(dir.path(), &[])["left_out"][1]["pattern"], "*.pb.go");
    let sarif = out(&run(dir.path(), &["check", "--format", "sarif"]));
    assert!(sarif.contains("*.pb.go is left out by .residue.toml:2"), "{sarif}");
    write(dir.path(), ".residue.toml", "fail-on = 'never'\n");
    let report = json(dir.path(), &[]);
    assert_eq!(report["diagnostics"][0]["message"], "`fail-on = \"never\"` lets findings below it pass");
    assert_eq!(json(dir.path(), &["--fail-on", "error"])["diagnostics"], serde_json::json!([]));
    // One from outside the tree replaces it.
    let outside = module(&[("ci.toml", "")]);
    let config = outside.path().join("ci.toml");
    assert_eq!(found(dir.path(), &["--config", config.to_str().expect("UTF-8")]), ["A"]);
}

#[test]
fn what_lies_above_the_repository_is_not_of_it() {
    let dir = module(&[("repo/a.go", &leaks(&["A"])), (".residue.toml", "[rules]\ndisable = ['R201']\n")]);
    write(dir.path(), "repo/go.mod", "module example.com/r\n\ngo 1.25\n");
    let repo = dir.path().join("repo");
    assert_eq!(found(&repo, &[]), [""; 0]);
    std::fs::create_dir(repo.join(".git")).expect("it is writable");
    assert_eq!(found(&repo, &[]), ["A"]);
}

#[cfg(unix)]
#[test]
fn a_configuration_of_the_tree_reads_and_writes_inside_only() {
    let outside = module(&[("secret.toml", "password = 'hunter2'\n")]);
    let secret = outside.path().join("secret.toml");
    let dir = module(&[("a.go", &leaks(&["A"]))]);
    std::fs::create_dir(dir.path().join(".git")).expect("it is writable");
    std::os::unix::fs::symlink(outside.path(), dir.path().join("out")).expect("links can be made");
    for text in [
        format!("models = ['{}']\n", secret.display()),
        "models = ['out/secret.toml']\n".to_owned(),
        "baseline = 'out/new.toml'\n".to_owned(),
        "baseline = '../x.toml'\n".to_owned(),
    ] {
        write(dir.path(), ".residue.toml", &text);
        for args in [&["check"][..], &["baseline", "write"], &["config", "check"], &["config", "print"]] {
            let output = run(dir.path(), args);
            assert_eq!(code(&output), 2, "{text} {args:?}");
            assert!(err(&output).contains("lies outside the repository"), "{}", err(&output));
        }
    }
    assert!(!outside.path().join("new.toml").exists());
    // So is a link in the place of a report.
    std::fs::remove_file(dir.path().join(".residue.toml")).expect("it is there");
    for name in ["report.json", "dangling.json"] {
        std::os::unix::fs::symlink(outside.path().join(name), dir.path().join(name)).expect("links can be made");
    }
    write(outside.path(), "report.json", "mine");
    let formats =
        ["check", "--format", "json=report.json", "--format", "json=dangling.json", "--format", "json=/dev/null"];
    assert_eq!(code(&run(dir.path(), &formats)), 1);
    assert_eq!(common::read(outside.path(), "report.json"), "mine");
    assert!(!outside.path().join("dangling.json").exists());
    assert!(common::read(dir.path(), "report.json").contains("\"findings\""));
    // A link in the place of the file is replaced, not written through.
    write(dir.path(), ".residue.toml", "baseline = 'link.toml'\n");
    std::os::unix::fs::symlink(outside.path().join("new.toml"), dir.path().join("link.toml"))
        .expect("links can be made");
    assert_eq!(code(&run(dir.path(), &["baseline", "write"])), 2);
    assert!(!outside.path().join("new.toml").exists());
}

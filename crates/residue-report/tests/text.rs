//! What a person sees.
#![allow(clippy::expect_used)]

mod common;

use common::{FETCH, Files, files, finding, outcome, report};
use residue_finding::{
    Diagnostic, DisabledRule, Edit, Help, Missing, Outcome, Position, RuleCode, Severity, Span, StepRole, Suppressed,
    SuppressedBy,
};
use residue_report::{Sources, Talk, TextStyle, write_talk, write_text};

fn text(outcome: &Outcome, sources: &dyn Sources) -> String {
    let mut out = Vec::new();
    let style = TextStyle { colour: false };
    write_text(&report(outcome, sources), style, &mut out).expect("a vector takes everything");
    String::from_utf8(out).expect("reports are UTF-8")
}

fn talk(outcome: &Outcome) -> String {
    let files = files();
    let talk = Talk { style: TextStyle { colour: false }, summary: true, seconds: Some("0.6"), verbose: false };
    let mut out = Vec::new();
    write_talk(&report(outcome, &files), talk, &mut out).expect("a vector takes everything");
    String::from_utf8(out).expect("talk is UTF-8")
}

#[test]
fn a_path_through_two_files_with_a_fix() {
    let files = files();
    let mut finding = finding(&files, "fetch/fetch.go", "client.Do(req)");
    finding.step(StepRole::Left, files.site("fetch/fetch.go", "return nil, errStatus"), "leaves without closing it");
    finding.step(StepRole::Released, files.site("fetch/fetch.go", "resp.Body.Close()"), "closed on this path only");
    finding.step(StepRole::Note, files.site("main.go", "fetch.Fetch"), "called from here");
    finding.notes.push("each time: one connection that is never reused".to_owned());
    let at = FETCH.find("\tif resp.Status").expect("a line") as u32;
    finding.help = Some(Help {
        message: "close it as soon as the error is known".to_owned(),
        edits: vec![Edit {
            path: "fetch/fetch.go".to_owned(),
            span: Span::from(at..at),
            replacement: "\tdefer resp.Body.Close()\n".to_owned(),
        }],
    });
    let want = "\
error[R201]: the response body is never closed
  --> fetch/fetch.go:6:15
   |
 6 |     resp, err := client.Do(req)
   |                  ^^^^^^^^^^^^^^ body acquired here
...
11 |         return nil, errStatus
   |         --------------------- leaves without closing it
...
15 |     resp.Body.Close()
   |     ----------------- closed on this path only
   |
  ::: main.go:4:2
   |
 4 |     fetch.Fetch(client, request(\"https://app:***@example.com/\"))
   |     ----------- called from here
   |
   = each time: one connection that is never reused
help: close it as soon as the error is known
   |
10 +     defer resp.Body.Close()
   |

";
    assert_eq!(text(&outcome(vec![finding]), &files), want);
}

#[test]
fn long_labels_go_below_the_excerpt() {
    let files = files();
    let mut finding = finding(&files, "fetch/fetch.go", "client.Do(req)");
    finding.message = "the response body is never closed, and ".repeat(4) + "that is all";
    finding.notes.push("each time one connection is never reused ".repeat(4));
    finding.step(
        StepRole::Left,
        files.site("fetch/fetch.go", "return nil, errStatus"),
        "leaves ".repeat(20) + "without closing it",
    );
    let text = text(&outcome(vec![finding]), &files);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(text.contains("= line 11: leaves leaves"), "{text}");
    assert!(text.contains("without closing it"), "{text}");
}

#[test]
fn long_lines_are_cut_and_the_place_stays_whole() {
    let query = "SELECT ".to_owned() + &"a, ".repeat(50);
    let source = format!("package p\n\nfunc f() {{\n\trows, err := db.Query(\"{query}\")\n\tuse(rows)\n}}\n");
    let files = Files::new(&[("p.go", source.as_bytes())]);
    let mut finding = finding(&files, "p.go", &format!("db.Query(\"{query}\")"));
    finding.step(StepRole::Left, files.site("p.go", "use(rows)"), "used here");
    let text = text(&outcome(vec![finding]), &files);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(text.contains("p.go:4:15"), "{text}");
    assert!(text.contains("db.Query(\"SELECT a, a, ") && text.contains("= line 4: body acquired here"), "{text}");
}

#[test]
fn without_source_the_place_is_still_named() {
    let files = files();
    let mut finding = finding(&files, "fetch/fetch.go", "client.Do(req)");
    finding.step(StepRole::Left, files.site("fetch/fetch.go", "return nil"), "left here");
    let want = "\
error[R201]: the response body is never closed
--> fetch/fetch.go:6:15
 = line 6: body acquired here
 = line 8: left here

";
    assert_eq!(text(&outcome(vec![finding]), &Files::new(&[])), want);
}

#[test]
fn columns_are_those_of_the_file_not_of_the_excerpt() {
    let source = "package p\n\nvar f = open(\"postgres://u:longpassword@h/\", \x1b[31m, é); x := Dial()\n";
    let files = Files::new(&[("p.go", source.as_bytes())]);
    let finding = finding(&files, "p.go", "Dial()");
    let text = text(&outcome(vec![finding]), &files);
    let column = source.lines().nth(2).and_then(|l| l.find("Dial")).expect("it is there") + 1;
    assert!(text.contains(&format!("p.go:3:{column}\n")), "{text}");
    assert!(text.contains("u:***@h") && text.contains("\\x1b[31m"), "{text}");
}

#[test]
fn colours_add_nothing_but_colour() {
    let files = files();
    let outcome = outcome(vec![finding(&files, "fetch/fetch.go", "client.Do(req)")]);
    let mut out = Vec::new();
    let style = TextStyle { colour: true };
    write_text(&report(&outcome, &files), style, &mut out).expect("a vector takes everything");
    let coloured = String::from_utf8(out).expect("reports are UTF-8");
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some(at) = rest.find("\x1b[") {
        plain.push_str(&rest[..at]);
        let end = rest[at..].find('m').expect("only colours are used");
        rest = &rest[at + end + 1..];
    }
    plain.push_str(rest);
    assert_ne!(coloured, plain);
    assert_eq!(plain, text(&outcome, &files));
}

#[test]
fn the_summary_counts_and_hints() {
    let files = files();
    let found = finding(&files, "fetch/fetch.go", "client.Do(req)");
    let mut outcome = outcome(vec![found.clone()]);
    assert_eq!(
        talk(&outcome),
        "1 error in 2 packages (0.6 s)\nhint: `residue explain R201` says why, and how to fix it\n"
    );
    outcome.findings.clear();
    assert_eq!(talk(&outcome), "nothing found in 2 packages (0.6 s)\n");

    outcome.suppressed.push(Suppressed { finding: found, by: SuppressedBy::Generated });
    outcome.summary.disabled.push(DisabledRule { code: RuleCode::new("R203"), by: ".residue.toml:3".to_owned() });
    outcome.summary.missing.extend(["a", "b", "c", "d", "e", "f"].map(|path| Missing {
        path: format!("example.com/{path}"),
        version: Some("v1.0.0".to_owned()),
        packages: Vec::new(),
        importers: 1,
        hint: (path != "f").then(|| format!("`go mod download example.com/{path}@v1.0.0` fetches it")),
    }));
    outcome.summary.diagnostics.push(Diagnostic {
        severity: Severity::Note,
        path: None,
        position: None,
        message: "said in JSON and with `--stats`".to_owned(),
        hint: None,
    });
    outcome.summary.diagnostics.push(Diagnostic {
        severity: Severity::Error,
        path: Some("a\x1b.go".to_owned()),
        position: Some(Position { line: 3, column: 7 }),
        message: "expected `)`".to_owned(),
        hint: Some("close it".to_owned()),
    });
    let want = "\
error: a\\x1b.go:3:7: expected `)`
hint: close it
nothing found in 2 packages (0.6 s). 1 suppressed. Not everything could be analysed
hint: R203 is switched off by .residue.toml:3
hint: no source for example.com/a@v1.0.0, example.com/b@v1.0.0, example.com/c@v1.0.0 and 2 more, \
so less is found; `go mod download` fetches it
hint: no source for example.com/f@v1.0.0, so less is found
";
    assert_eq!(talk(&outcome), want);
}

#[test]
fn a_flood_of_diagnostics_is_cut() {
    let mut outcome = outcome(Vec::new());
    outcome.summary.diagnostics = (0..25)
        .map(|line| Diagnostic {
            severity: Severity::Error,
            path: Some("a.go".to_owned()),
            position: Some(Position { line, column: 1 }),
            message: "bad".to_owned(),
            hint: Some("mend it".to_owned()),
        })
        .collect();
    let talk = talk(&outcome);
    assert_eq!(talk.matches(": bad\n").count(), 20);
    assert_eq!(talk.matches("hint: mend it\n").count(), 1);
    assert!(talk.contains("… and 5 more like these"), "{talk}");
}

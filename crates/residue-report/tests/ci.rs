//! What GitHub, GitLab and build servers read.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod common;

use common::{files, finding, outcome, report};
use residue_finding::{Diagnostic, DisabledRule, Help, LeftOut, Outcome, Position, RuleCode, Severity, StepRole};
use residue_report::{Report, write_github, write_gitlab, write_junit};

fn findings() -> Outcome {
    let files = files();
    let mut first = finding(&files, "fetch/fetch.go", "client.Do(req)");
    first.severity = Severity::Warning;
    first.step(StepRole::Left, files.site("fetch/fetch.go", "return nil, errStatus"), "returns here, 100% of the time");
    first.help = Some(Help { message: "close it: `defer resp.Body.Close()`".to_owned(), edits: Vec::new() });
    let second = finding(&files, "main.go", "fetch.Fetch");
    let mut outcome = outcome(vec![first, second]);
    outcome.summary.diagnostics.push(Diagnostic {
        severity: Severity::Error,
        path: Some("b.go".to_owned()),
        position: Some(Position { line: 3, column: 7 }),
        message: "expected `)`".to_owned(),
        hint: None,
    });
    outcome.summary.disabled.push(DisabledRule { code: RuleCode::new("R203"), by: ".residue.toml:3".to_owned() });
    outcome.summary.left_out.push(LeftOut { pattern: "gen/**".to_owned(), by: ".residue.toml:1".to_owned() });
    outcome
}

fn written(write: impl Fn(&Report<'_>, &mut Vec<u8>) -> std::io::Result<()>, outcome: &Outcome) -> String {
    let mut out = Vec::new();
    write(&report(outcome, &files()), &mut out).expect("a vector takes everything");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn github_gets_a_command_for_each_the_worst_first() {
    let text = written(|report, out| write_github(report, out), &findings());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "::error file=app/main.go,line=4,endLine=4,col=2,endColumn=13,title=R201 resource-never-closed::\
             the response body is never closed",
            "::warning file=app/fetch/fetch.go,line=6,endLine=6,col=15,endColumn=29,title=R201 resource-never-closed::\
             the response body is never closed%0Aapp/fetch/fetch.go:11: returns here, 100%25 of the time%0A\
             help: close it: `defer resp.Body.Close()`",
            "::error file=app/b.go,line=3::expected `)`",
            "::notice title=residue::R203 is switched off by .residue.toml:3",
            "::notice title=residue::gen/** is left out by .residue.toml:1",
        ]
    );
}

#[test]
fn gitlab_gets_a_list_with_fingerprints() {
    let outcome = findings();
    let json: serde_json::Value =
        serde_json::from_str(&written(|report, out| write_gitlab(report, out), &outcome)).expect("JSON");
    assert_eq!(
        json[0],
        serde_json::json!({
            "description": "the response body is never closed; close it: `defer resp.Body.Close()`",
            "check_name": "R201 resource-never-closed",
            "fingerprint": outcome.findings[0].fingerprint.to_string(),
            "severity": "major",
            "location": {"path": "app/fetch/fetch.go", "lines": {"begin": 6, "end": 6}},
        })
    );
    assert_eq!(json[1]["severity"], "critical");
    let off = |at: usize| [&json[at]["description"], &json[at]["severity"], &json[at]["location"]["lines"]["begin"]];
    assert_eq!(off(2).map(ToString::to_string), ["\"R203 is switched off by .residue.toml:3\"", "\"info\"", "3"]);
    assert_eq!(json[3]["location"]["path"], "app/.residue.toml");
    assert_ne!(json[2]["fingerprint"], json[3]["fingerprint"]);
    assert_eq!(written(|report, out| write_gitlab(report, out), &Outcome::default()), "[]\n");
}

#[test]
fn junit_has_a_failed_test_for_each_and_one_that_passed_for_none() {
    let text = written(|report, out| write_junit(report, out), &findings());
    assert!(text.contains("<testsuites name=\"residue\" tests=\"3\" failures=\"2\" errors=\"1\">"), "{text}");
    assert!(text.contains("name=\"R201 app/main.go:4:2\" file=\"app/main.go\" line=\"4\">"), "{text}");
    assert!(text.contains("<failure type=\"warning\" message=\"the response body is never closed\">warning[R201]"));
    assert!(text.contains("<error type=\"not analysed\" message=\"expected `)`\"/>"), "{text}");
    let off = "R203 is switched off by .residue.toml:3\ngen/** is left out by .residue.toml:1";
    assert!(text.contains(&format!("<system-out>{off}</system-out>")), "{text}");
    let none = written(|report, out| write_junit(report, out), &Outcome::default());
    assert!(none.contains("tests=\"1\" failures=\"0\" errors=\"0\"") && none.contains("<testcase"), "{none}");
}

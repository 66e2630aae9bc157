//! The JSON formats against their schema.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{RULE, files, finding, outcome, report};
use residue_finding::{
    BaselineUse, Counter, Diagnostic, DisabledRule, Edit, Help, LeftOut, Missing, Outcome, Phase, Position, RuleCode,
    Severity, Span, StaleEntry, Stats, StepRole, Suppressed, SuppressedBy,
};
use residue_report::{Tool, write_json, write_json_lines, write_rules_json};
use residue_testkit::schema;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../docs/schema/check.schema.json");

/// A run in which every part of the format occurs.
fn everything() -> Outcome {
    let files = files();
    let mut first = finding(&files, "fetch/fetch.go", "client.Do(req)");
    for role in [StepRole::Acquired, StepRole::Branch, StepRole::Left, StepRole::Released, StepRole::Note] {
        first.step(role, files.site("fetch/fetch.go", "resp.Body.Close()"), "a step");
    }
    first.notes.push("a note".to_owned());
    first.help = Some(Help {
        message: "close it".to_owned(),
        edits: vec![Edit { path: "fetch/fetch.go".to_owned(), span: Span::from(0..0), replacement: "x\n".to_owned() }],
    });
    let mut second = finding(&files, "main.go", "fetch.Fetch");
    second.severity = Severity::Note;
    second.acquire = None;
    let suppress = |by| Suppressed { finding: finding(&files, "main.go", "request"), by };
    let mut other = suppress(SuppressedBy::Generated);
    other.finding.message = "another".to_owned();
    let mut outcome = outcome(vec![first, second]);
    outcome.suppressed = vec![other];
    let until = "2027-01-31".parse().ok();
    for (at, by) in [
        SuppressedBy::Comment { line: 3, until, why: "held until exit".to_owned() },
        SuppressedBy::Comment { line: 3, until: None, why: String::new() },
        SuppressedBy::Config { by: ".residue.toml:7".to_owned(), why: "a tool".to_owned() },
        SuppressedBy::Baseline { why: String::new() },
        SuppressedBy::OutsideChange,
    ]
    .into_iter()
    .enumerate()
    {
        let mut suppressed = suppress(by);
        suppressed.finding.message = format!("held back {at}");
        outcome.suppressed.push(suppressed);
    }
    outcome.summary.disabled.push(DisabledRule { code: RuleCode::new("R203"), by: ".residue.toml:3".to_owned() });
    outcome.summary.left_out.push(LeftOut { pattern: "gen/**".to_owned(), by: ".residue.toml:1".to_owned() });
    let stale = StaleEntry {
        fingerprint: outcome.findings[0].fingerprint,
        rule: RuleCode::new("R201"),
        path: "gone.go".to_owned(),
        message: "never closed".to_owned(),
    };
    outcome.summary.baseline = Some(BaselineUse { path: "known.toml".to_owned(), stale: vec![stale] });
    outcome.summary.change = Some("origin/main".to_owned());
    for some in [true, false] {
        outcome.summary.missing.push(Missing {
            path: "example.com/x".to_owned(),
            version: some.then(|| "v1.0.0".to_owned()),
            packages: vec!["example.com/x/y".to_owned()],
            importers: 1,
            hint: some.then(|| "go mod download".to_owned()),
        });
        outcome.summary.diagnostics.push(Diagnostic {
            severity: if some { Severity::Error } else { Severity::Warning },
            path: some.then(|| "a.go".to_owned()),
            position: some.then_some(Position { line: 3, column: 7 }),
            message: "expected `)`".to_owned(),
            hint: some.then(|| "close it".to_owned()),
        });
    }
    outcome.summary.stats = Some(Stats {
        phases: vec![Phase { name: "types", wall: Duration::from_micros(1500) }],
        counters: vec![Counter { name: "functions", value: 7 }],
    });
    outcome.finish();
    outcome
}

fn json(outcome: &Outcome) -> Value {
    let files = files();
    let mut out = Vec::new();
    write_json(&report(outcome, &files), &mut out).expect("a vector takes everything");
    serde_json::from_slice(&out).expect("JSON")
}

fn lines(outcome: &Outcome) -> Vec<Value> {
    let files = files();
    let mut out = Vec::new();
    write_json_lines(&report(outcome, &files), &mut out).expect("a vector takes everything");
    out.split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("each line is JSON"))
        .collect()
}

#[test]
fn json_fits_its_schema() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    for outcome in [Outcome::default(), everything()] {
        let errors = schema::mistakes(&schema, &json(&outcome));
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

#[test]
fn the_schema_refuses_what_it_should() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let spoil: [(&str, Value); 5] = [
        ("/findings/0/severity", "fatal".into()),
        ("/findings/0/site/start/line", "6".into()),
        ("/findings/0/rule", "201".into()),
        ("/summary", Value::Null),
        ("/suppressed/0/by/kind", "magic".into()),
    ];
    for (pointer, value) in spoil {
        let mut json = json(&everything());
        *json.pointer_mut(pointer).expect(pointer) = value;
        let errors = schema::mistakes(&schema, &json);
        assert!(!errors.is_empty(), "{pointer}");
    }
    let mut json = json(&everything());
    json["findings"][0]["extra"] = Value::Null;
    let errors = schema::mistakes(&schema, &json);
    assert_eq!(errors, ["$/findings/0: unknown field extra"]);
}

#[test]
fn lines_say_what_the_object_says() {
    let outcome = everything();
    let object = json(&outcome);
    let lines = lines(&outcome);
    let of_type = |kind: &str| -> Vec<Value> {
        let lines = lines.iter().filter(|line| line["type"] == kind).cloned();
        lines
            .map(|mut line| {
                line.as_object_mut().unwrap().remove("type");
                line
            })
            .collect()
    };
    for (kind, field) in [
        ("finding", "findings"),
        ("suppressed", "suppressed"),
        ("rule", "rules"),
        ("disabled_rule", "disabled_rules"),
        ("left_out", "left_out"),
        ("missing", "missing"),
        ("diagnostic", "diagnostics"),
    ] {
        assert_eq!(Value::from(of_type(kind)), object[field], "{kind}");
    }
    assert_eq!(of_type("summary"), [object["summary"].clone()]);
    assert_eq!(lines.first().unwrap()["type"], "run");
    assert_eq!(lines.first().unwrap()["schema_version"], object["schema_version"]);
    assert_eq!(lines.last().unwrap()["type"], "summary");
}

#[test]
fn excerpts_and_join_keys_are_there() {
    let object = json(&everything());
    let finding = &object["findings"][0];
    assert_eq!(finding["site"]["excerpt"], "resp, err := client.Do(req)");
    assert_eq!(finding["acquire_site"]["file"], "fetch.go");
    assert_eq!(finding["acquire_site"]["line"], 6);
    assert_eq!(finding["fingerprint"].as_str().map(str::len), Some(32));
    assert_eq!(object["summary"]["complete"], false);
}

#[test]
fn rules_are_listed_in_the_same_shape() {
    let mut out = Vec::new();
    let tool = Tool { version: "0.1.0", std_version: "go1.27.3" };
    write_rules_json(&[&RULE], tool, &mut out).expect("a vector takes everything");
    let list: Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(list["rules"], json(&everything())["rules"]);
}

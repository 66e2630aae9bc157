//! SARIF: what its readers rely on. `./test` asks Microsoft's validator about whole files.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod common;

use common::{Files, RULE, files, finding, outcome, report};
use residue_finding::{
    Diagnostic, DisabledRule, Edit, Finding, Help, LeftOut, Outcome, Position, RuleCode, Severity, Site, Span,
    StepRole, Suppressed, SuppressedBy,
};
use residue_report::{Report, write_sarif};
use serde_json::Value;

fn sarif(report: &Report<'_>) -> Value {
    let mut out = Vec::new();
    assert_eq!(write_sarif(report, &mut out).expect("a vector takes everything"), 0, "nothing is left out");
    let sarif: Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");
    sarif["runs"][0].clone()
}

fn of(findings: Vec<Finding>) -> Value {
    sarif(&report(&outcome(findings), &files()))
}

fn leak() -> Finding {
    let files = files();
    let mut leak = finding(&files, "fetch/fetch.go", "client.Do(req)");
    leak.step(StepRole::Branch, files.site("fetch/fetch.go", "resp.StatusCode"), "when `v.(map[string](int))` fails");
    leak.step(StepRole::Left, files.site("fetch/fetch.go", "return nil, errStatus"), "returns here");
    leak.notes.push("each time: one connection".to_owned());
    leak
}

#[test]
fn a_result_has_its_place_its_path_and_its_fingerprints() {
    let run = of(vec![leak()]);
    let result = &run["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"R201".into(), &"error".into()));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "app/fetch/fetch.go", "seen from the root of the repository");
    assert_eq!(place["artifactLocation"]["uriBaseId"], "%SRCROOT%");
    let region = |line: u32, start: u32, end: u32| serde_json::json!({"startLine": line, "startColumn": start, "endLine": line, "endColumn": end});
    assert_eq!(place["region"], region(6, 15, 29));
    assert_eq!(place["contextRegion"]["snippet"]["text"], "\tresp, err := client.Do(req)");
    let flow = result["codeFlows"][0]["threadFlows"][0]["locations"].as_array().unwrap();
    let kinds: Vec<&str> = flow.iter().map(|step| step["kinds"][0].as_str().unwrap()).collect();
    assert_eq!(kinds, ["acquire", "branch", "exit"]);
    let related = result["relatedLocations"].as_array().unwrap();
    assert_eq!(related.len(), 2);
    assert_eq!(
        result["message"]["text"],
        "the response body is never closed.\nPath: [when `v.(map'string'(int))` fails](1), then [returns here](2).\n\
         each time: one connection."
    );
    // Made by GitHub's own program from the same text.
    assert_eq!(result["partialFingerprints"]["primaryLocationLineHash"], "a1f15ca144c9a3d:1");
    assert_eq!(result["partialFingerprints"]["residue/v1"].as_str().unwrap().len(), 32);
}

#[test]
fn rules_have_their_page_and_their_weaknesses() {
    let run = of(vec![leak()]);
    let rule = &run["tool"]["driver"]["rules"][0];
    assert_eq!(run["results"][0]["ruleIndex"], 0);
    assert_eq!((&rule["id"], &rule["name"]), (&"R201".into(), &"ResourceNeverClosed".into()));
    assert_eq!(rule["help"]["markdown"], "Text.\n");
    assert_eq!(rule["shortDescription"]["text"], "A resource is never closed.");
    assert_eq!(rule["properties"]["security-severity"], "5.9");
    assert_eq!(
        rule["properties"]["tags"],
        serde_json::json!(["resources-not-released", "security", "external/cwe/cwe-772"])
    );
    assert_eq!(rule["relationships"][0]["target"]["id"], "CWE-772");
    assert_eq!(run["taxonomies"][0]["taxa"][0]["id"], "CWE-772");
    assert_eq!(run["results"][0]["taxa"][0]["toolComponent"]["name"], run["taxonomies"][0]["name"]);
    assert_eq!(run["columnKind"], "utf16CodeUnits");
}

#[test]
fn edits_are_fixes_unless_they_would_have_to_be_masked() {
    let files = Files::new(&[("a.go", "package p\n\nvar ü, v = f()\nvar w = 1\n".as_bytes())]);
    let edit = |start: u32, end: u32, replacement: &str| Edit {
        path: "a.go".to_owned(),
        span: Span { start, end },
        replacement: replacement.to_owned(),
    };
    let with = |edits: Vec<Edit>| {
        let mut finding = leak();
        finding.help = Some(Help { message: "set it".to_owned(), edits });
        sarif(&report(&outcome(vec![finding]), &files))["results"][0]["fixes"].clone()
    };
    // The whole of line 3, and a word after a letter of two bytes; columns are UTF-16.
    let fixes = with(vec![edit(11, 27, ""), edit(36, 37, "2")]);
    assert_eq!(fixes[0]["description"]["text"], "set it");
    let [change] = &fixes[0]["artifactChanges"].as_array().unwrap()[..] else { panic!("{fixes}") };
    assert_eq!(change["artifactLocation"]["uri"], "app/a.go");
    let region = |start: (u32, u32), end: (u32, u32)| {
        serde_json::json!({
            "startLine": start.0, "startColumn": start.1, "endLine": end.0, "endColumn": end.1,
        })
    };
    assert_eq!(change["replacements"][0]["deletedRegion"], region((3, 1), (4, 1)));
    assert_eq!(change["replacements"][1]["insertedContent"]["text"], "2");
    let fixes = with(vec![edit(19, 20, "x")]);
    let deleted = &fixes[0]["artifactChanges"][0]["replacements"][0]["deletedRegion"];
    assert_eq!(*deleted, region((3, 8), (3, 9)));
    assert!(with(vec![edit(11, 11, "password := \"hunter2-hunter2\"\n")]).is_null());
    assert!(with(Vec::new()).is_null());
}

#[test]
fn what_is_held_back_says_why() {
    let mut outcome = outcome(Vec::new());
    let until = "2027-01-31".parse().ok();
    for by in [
        SuppressedBy::Comment { line: 3, until, why: "held until exit".to_owned() },
        SuppressedBy::Config { by: ".residue.toml:7".to_owned(), why: "a tool".to_owned() },
        SuppressedBy::Baseline { why: String::new() },
        SuppressedBy::Generated,
        SuppressedBy::OutsideChange,
    ] {
        outcome.suppressed.push(Suppressed { finding: leak(), by });
    }
    let (files, mut of_all) = (files(), Vec::new());
    let mut report = report(&outcome, &files);
    for result in sarif(&report)["results"].as_array().unwrap() {
        let suppression = &result["suppressions"][0];
        of_all.push(format!(
            "{} {}",
            suppression["kind"].as_str().unwrap(),
            suppression["justification"].as_str().unwrap()
        ));
    }
    assert_eq!(
        of_all,
        [
            "inSource held until exit (until 2027-01-31)",
            "external a tool (.residue.toml:7)",
            "external in the baseline",
            "inSource the file is generated",
            "external outside the change looked at",
        ]
    );
    report.suppressed = false;
    assert_eq!(sarif(&report)["results"], serde_json::json!([]));
}

#[test]
fn what_was_switched_off_and_what_was_not_analysed_is_said() {
    let mut outcome = outcome(Vec::new());
    outcome.summary.disabled.push(DisabledRule { code: RuleCode::new("R203"), by: ".residue.toml:3".to_owned() });
    outcome.summary.left_out.push(LeftOut { pattern: "gen/**".to_owned(), by: ".residue.toml:1".to_owned() });
    outcome.summary.diagnostics.push(Diagnostic {
        severity: Severity::Error,
        path: Some("/elsewhere/a b.go".to_owned()),
        position: Some(Position { line: 3, column: 7 }),
        message: "expected `)`".to_owned(),
        hint: None,
    });
    let run = sarif(&report(&outcome, &files()));
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let texts: Vec<&str> = invocation["toolConfigurationNotifications"]
        .as_array()
        .unwrap()
        .iter()
        .map(|note| note["message"]["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["R203 is switched off by .residue.toml:3", "gen/** is left out by .residue.toml:1"]);
    let place = &invocation["toolExecutionNotifications"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "file:///elsewhere/a%20b.go");
    assert_eq!(place["region"]["startLine"], 3);
}

#[test]
fn places_that_are_not_in_the_file_do_no_harm() {
    let files = Files::new(&[("a.go", b"package p\n")]);
    for (line, column, start, end) in [(0, 0, 0, 0), (1, 0, 0, 4), (9, 9, 90, 99), (1, 3, 2, 1), (1, 1, 0, u32::MAX)] {
        let site = Site {
            path: "a.go".to_owned(),
            span: Span { start, end },
            start: Position { line, column },
            end: Position { line, column: column + 1 },
            ..Site::default()
        };
        let run = sarif(&report(&outcome(vec![Finding::new(&RULE, "left", site)]), &files));
        let region = &run["results"][0]["locations"][0]["physicalLocation"]["region"];
        assert_eq!(region.is_null(), line == 0, "{region}");
        let number = |name: &str| region[name].as_u64();
        assert!(number("startLine") != Some(0) && number("startColumn") != Some(0), "{region}");
        assert!(number("endColumn") >= number("startColumn"), "{region}");
    }
}

#[test]
fn what_github_would_refuse_is_cut_the_worst_first() {
    let files = Files::new(&[]);
    let many = |count: usize| -> Outcome {
        let one = |at: usize| {
            let site =
                Site { path: format!("p{at:06}/a.go"), start: Position { line: 1, column: 1 }, ..Site::default() };
            let mut finding = Finding::new(&RULE, "left", site);
            finding.severity = if at.is_multiple_of(10) { Severity::Error } else { Severity::Note };
            finding
        };
        outcome((0..count).map(one).collect())
    };
    let outcome = many(25_100);
    let mut out = Vec::new();
    assert_eq!(write_sarif(&report(&outcome, &files), &mut out).expect("a vector takes everything"), 100);
    let sarif: Value = serde_json::from_slice(&out).expect("JSON");
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 25_000);
    assert_eq!(results.iter().filter(|result| result["level"] == "error").count(), 2_510, "all of the worst");
    assert_eq!(results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "app/p000000/a.go");
    let note = &sarif["runs"][0]["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
    assert!(note.as_str().unwrap().starts_with("100 of 25100 results are left out: GitHub takes 25,000"), "{note}");
}

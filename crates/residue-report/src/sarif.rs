//! SARIF 2.1.0, as GitHub's code scanning, Azure DevOps and editors read it.
//!
//! The standard: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html>. What
//! GitHub makes of it: <https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support>.

mod limits;
mod results;
mod rules;

use std::io;

use residue_finding::{Severity, Summary};
use serde_json::{Map, Value, json};

use crate::place::{Located, Place, uri};
use crate::text::clean;
use crate::{Report, mask, switched_off, visible};
use limits::Budget;
use results::Results;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What relative references are relative to.
const ROOT: &str = "%SRCROOT%";

/// Writes a run as SARIF. Gives the number of results that are left out because GitHub would refuse the file with them:
/// suppressed ones go first, then the least severe.
pub fn write_sarif(report: &Report<'_>, out: &mut dyn io::Write) -> io::Result<usize> {
    let mut run = run(report);
    let mut budget = Budget::new(serde_json::to_string(&run)?.as_bytes());
    let results = Results::new(report);
    let mut kept = Vec::new();
    for result in results.by_weight() {
        let text = serde_json::to_string(&results.value(&result))?;
        if !budget.take(text.as_bytes()) {
            break;
        }
        kept.push((result.index, text));
    }
    let left_out = results.count() - kept.len();
    if left_out > 0 {
        let note = format!("{left_out} of {} results are left out: {}", results.count(), limits::REASON);
        if let Some(notifications) = run["invocations"][0]["toolExecutionNotifications"].as_array_mut() {
            notifications.push(notification(Severity::Warning, &note));
        }
    }
    kept.sort_unstable();

    // The results are text already: the document around them is written by hand.
    write!(out, "{{\"$schema\":{},\"version\":\"2.1.0\",\"runs\":[{{", json!(SCHEMA))?;
    for (name, value) in &run {
        write!(out, "{}:{value},", json!(name))?;
    }
    write!(out, "\"results\":[")?;
    for (at, (_, text)) in kept.iter().enumerate() {
        write!(out, "{}\n{text}", if at > 0 { "," } else { "" })?;
    }
    writeln!(out, "\n]}}]}}")?;
    Ok(left_out)
}

/// A run without its results.
fn run(report: &Report<'_>) -> Map<String, Value> {
    let Value::Object(run) = json!({
        "tool": {"driver": rules::driver(report)},
        "invocations": [{
            "executionSuccessful": report.outcome.summary.complete(),
            "toolConfigurationNotifications": configuration(&report.outcome.summary),
            "toolExecutionNotifications": execution(report),
        }],
        "taxonomies": [rules::taxonomy(report)],
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
        // Excerpts hide what looks like a credential.
        "redactionTokens": [mask::MASK],
        "columnKind": "utf16CodeUnits",
    }) else {
        return Map::new();
    };
    run
}

/// What a configuration switched off.
fn configuration(summary: &Summary) -> Vec<Value> {
    switched_off(summary).map(|off| notification(Severity::Note, &off.text())).collect()
}

/// What is wrong with the input, and what of it is missing.
fn execution(report: &Report<'_>) -> Vec<Value> {
    let summary = &report.outcome.summary;
    let diagnostics = summary.diagnostics.iter().map(|diagnostic| {
        let mut value = notification(diagnostic.severity, &clean(&diagnostic.message));
        if let Some(path) = &diagnostic.path {
            let mut place = json!({"artifactLocation": artifact(report.place, path)});
            if let Some(position) = diagnostic.position.filter(|position| position.line > 0) {
                place["region"] = json!({"startLine": position.line});
            }
            value["locations"] = json!([{"physicalLocation": place}]);
        }
        value
    });
    let missing = summary.missing.iter().map(|missing| {
        let text = format!("no source for {}, so less is found", visible::line(&missing.path));
        notification(Severity::Note, &text)
    });
    diagnostics.chain(missing).collect()
}

fn notification(severity: Severity, text: &str) -> Value {
    json!({"level": severity.as_str(), "message": {"text": text}})
}

/// A file: relative to the root of the repository where it lies below it.
fn artifact(place: Place<'_>, path: &str) -> Value {
    match place.locate(path) {
        Located::Inside(path) => json!({"uri": uri(&path), "uriBaseId": ROOT}),
        Located::Outside(path) => json!({"uri": format!("file:///{}", uri(path.trim_start_matches('/')))}),
    }
}

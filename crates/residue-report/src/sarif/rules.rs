//! The tool and its rules, and the weaknesses they are about.

use std::collections::BTreeSet;

use residue_finding::{Confidence, RuleMeta, Severity};
use serde_json::{Value, json};

use super::limits::DESCRIPTION_MAX;
use crate::Report;

/// The taxonomy's name; what refers to it does so by this.
const CWE: &str = "CWE";

/// The tool with all its rules, also those that found nothing.
pub(super) fn driver(report: &Report<'_>) -> Value {
    json!({
        "name": "residue",
        "fullName": "residue: what Go programs leave behind",
        "semanticVersion": report.tool.version,
        "language": "en-US",
        "rules": report.rules.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
        "supportedTaxonomies": [{"name": CWE}],
        "properties": {"standardLibrary": report.tool.std_version},
    })
}

fn descriptor(rule: &RuleMeta) -> Value {
    let page = rule.page();
    let (intro, sections) = rule.sections();
    // The first paragraph says what is found.
    let what = sections.first().map_or(intro.as_str(), |section| section.body.as_str());
    let what = what.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let mut tags = vec![rule.family.title().replace(' ', "-")];
    let mut properties = json!({
        "precision": precision(rule.confidence),
        "problem.severity": match rule.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "recommendation",
        },
    });
    if !rule.cwe.is_empty() {
        tags.push("security".to_owned());
        tags.extend(rule.cwe.iter().map(|number| format!("external/cwe/cwe-{number:03}")));
        properties["security-severity"] = json!(security_severity(rule.severity));
    }
    properties["tags"] = json!(tags);
    let relationships: Vec<Value> =
        rule.cwe.iter().map(|number| json!({"target": taxon(*number), "kinds": ["relevant"]})).collect();
    let mut descriptor = json!({
        "id": rule.code.as_str(),
        "name": pascal_case(rule.name),
        "shortDescription": {"text": cut(&sentence(rule.summary))},
        "fullDescription": {"text": cut(&what)},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"enabled": rule.default_on, "level": rule.severity.as_str()},
        "properties": properties,
    });
    if !relationships.is_empty() {
        descriptor["relationships"] = json!(relationships);
    }
    descriptor
}

/// The weaknesses that rules name.
pub(super) fn taxonomy(report: &Report<'_>) -> Value {
    let numbers: BTreeSet<u32> = report.rules.iter().flat_map(|rule| rule.cwe).copied().collect();
    let taxa: Vec<Value> = numbers
        .into_iter()
        .map(|number| {
            let page = format!("https://cwe.mitre.org/data/definitions/{number}.html");
            json!({"id": format!("CWE-{number}"), "helpUri": page})
        })
        .collect();
    json!({
        "name": CWE,
        "fullName": "Common Weakness Enumeration",
        "organization": "MITRE",
        "informationUri": "https://cwe.mitre.org/",
        "shortDescription": {"text": "The MITRE Common Weakness Enumeration."},
        "isComprehensive": false,
        "taxa": taxa,
    })
}

/// A reference to a weakness.
pub(super) fn taxon(number: u32) -> Value {
    json!({"id": format!("CWE-{number}"), "toolComponent": {"name": CWE}})
}

fn precision(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "high",
        Confidence::Medium => "medium",
        Confidence::Low => "low",
    }
}

/// GitHub's scale is that of CVSS (from 4.0 medium, from 7.0 high). A leak costs availability, and only as fast as somebody
/// can make the program repeat it: what is lost for good is medium, all else low.
fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "5.9",
        Severity::Warning => "3.7",
        Severity::Note => "2.0",
    }
}

/// `resource-never-closed` → `ResourceNeverClosed`, as names of rules are written.
fn pascal_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for word in name.split('-') {
        let mut chars = word.chars();
        out.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    out
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect::<String>() + "."
}

fn cut(text: &str) -> String {
    if text.chars().count() <= DESCRIPTION_MAX {
        return text.to_owned();
    }
    text.chars().take(DESCRIPTION_MAX - 1).chain(std::iter::once('…')).collect()
}

//! Findings as results.

use std::collections::{BTreeMap, BTreeSet};

use residue_finding::{Finding, Help, Position, Site, Step, StepRole, Suppressed, SuppressedBy};
use serde_json::{Value, json};

use super::limits::{RELATED_MAX, STEPS_MAX};
use super::{artifact, rules};
use crate::line_hash::line_hashes;
use crate::source::SourceCache;
use crate::text::clean;
use crate::{Report, mask, visible};

/// All there is to write, of which some may not fit.
pub(super) struct Results<'a> {
    report: &'a Report<'a>,
    sources: SourceCache<'a>,
    /// By file and line.
    line_hashes: BTreeMap<&'a str, BTreeMap<u32, String>>,
}

/// A finding, reported or not.
pub(super) struct Result<'a> {
    /// Where it stands in the file.
    pub(super) index: usize,
    finding: &'a Finding,
    suppressed: Option<&'a SuppressedBy>,
}

impl<'a> Results<'a> {
    pub(super) fn new(report: &'a Report<'a>) -> Self {
        let mut results = Self { report, sources: SourceCache::new(report.sources), line_hashes: BTreeMap::new() };
        let mut wanted: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for result in results.all() {
            let site = &result.finding.site;
            wanted.entry(&site.path).or_default().insert(site.start.line);
        }
        for (path, lines) in wanted {
            if let Some(source) = report.sources.source(path) {
                results.line_hashes.insert(path, line_hashes(&source, &lines));
            }
        }
        results
    }

    pub(super) fn count(&self) -> usize {
        self.all().count()
    }

    fn all(&self) -> impl Iterator<Item = Result<'a>> + use<'a> {
        let report = self.report;
        let reported = report.outcome.findings.iter().map(|finding| (finding, None));
        let held = report.outcome.suppressed.iter().filter(|_| report.suppressed);
        let held = held.map(|Suppressed { finding, by }| (finding, Some(by)));
        let all = reported.chain(held).enumerate();
        all.map(|(index, (finding, suppressed))| Result { index, finding, suppressed })
    }

    /// In the order in which they are worth keeping.
    pub(super) fn by_weight(&self) -> Vec<Result<'a>> {
        let mut all: Vec<Result<'a>> = self.all().collect();
        all.sort_by_key(|result| (result.suppressed.is_some(), std::cmp::Reverse(result.finding.severity)));
        all
    }

    pub(super) fn value(&self, result: &Result<'a>) -> Value {
        let finding = result.finding;
        let mut value = json!({
            "ruleId": finding.rule.as_str(),
            "level": finding.severity.as_str(),
            "message": {"text": message(finding)},
            "locations": [self.location(&finding.site, true)],
            "partialFingerprints": self.fingerprints(finding),
            "properties": properties(finding),
        });
        if let Some(index) = self.report.rules.iter().position(|rule| rule.code == finding.rule) {
            value["ruleIndex"] = json!(index);
            let cwe = self.report.rules[index].cwe;
            if !cwe.is_empty() {
                value["taxa"] = cwe.iter().map(|number| rules::taxon(*number)).collect();
            }
        }
        if !finding.steps.is_empty() {
            value["codeFlows"] = json!([{"threadFlows": [{"locations": self.flow(finding)}]}]);
            let related = finding.steps.iter().take(RELATED_MAX).enumerate();
            value["relatedLocations"] = related
                .map(|(at, step)| {
                    let mut location = self.location(&step.site, false);
                    location["id"] = json!(at + 1);
                    location["message"] = json!({"text": clean(&step.message)});
                    location
                })
                .collect();
        }
        if let Some(fix) = finding.help.as_ref().and_then(|help| self.fix(help)) {
            value["fixes"] = json!([fix]);
        }
        if let Some(by) = result.suppressed {
            value["suppressions"] = json!([self.suppression(finding, by)]);
        }
        value
    }

    fn flow(&self, finding: &Finding) -> Vec<Value> {
        let own = own_step(finding);
        own.iter()
            .chain(&finding.steps)
            .take(STEPS_MAX)
            .map(|step| {
                let mut location = self.location(&step.site, true);
                location["message"] = json!({"text": clean(&step.message)});
                let essential = matches!(step.role, StepRole::Acquired | StepRole::Left);
                let mut value = json!({
                    "location": location,
                    "importance": if essential { "essential" } else { "important" },
                });
                let kinds: &[&str] = match step.role {
                    StepRole::Acquired => &["acquire", "resource"],
                    StepRole::Branch => &["branch"],
                    StepRole::Left => &["exit"],
                    StepRole::Released => &["release", "resource"],
                    StepRole::Note => &[],
                };
                if !kinds.is_empty() {
                    value["kinds"] = json!(kinds);
                }
                value
            })
            .collect()
    }

    fn location(&self, site: &Site, context: bool) -> Value {
        let mut physical = json!({"artifactLocation": artifact(self.report.place, &site.path)});
        if site.start.line > 0 {
            let end = site.end.max(site.start);
            let mut region = json!({"startLine": site.start.line, "endLine": end.line});
            let text = self.sources.get(&site.path);
            let column = |offset: u32, position: Position| {
                text.as_ref().and_then(|text| text.column_utf16(position.line, offset as usize))
            };
            let columns = (column(site.span.start, site.start), column(site.span.end, end));
            if let (Some(start), Some(end_column)) = columns
                && site.start.column > 0
                && (end.line > site.start.line || end_column >= start)
            {
                region["startColumn"] = json!(start);
                region["endColumn"] = json!(end_column);
            }
            physical["region"] = region;
            // With its indentation: readers count columns in it.
            let line = text
                .filter(|_| context && end.line == site.start.line)
                .map(|text| text.show(end.line as usize - 1).text);
            if let Some(line) = line.filter(|line| !line.trim().is_empty()) {
                physical["contextRegion"] =
                    json!({"startLine": site.start.line, "endLine": end.line, "snippet": {"text": line}});
            }
        }
        let mut location = json!({"physicalLocation": physical});
        if !site.import_path.is_empty() {
            let (package, name) = (visible::line(&site.import_path), visible::line(&site.declaration));
            location["logicalLocations"] = if name.is_empty() {
                json!([{"fullyQualifiedName": package, "kind": "package"}])
            } else {
                json!([{"name": name, "fullyQualifiedName": format!("{package}.{name}")}])
            };
        }
        location
    }

    /// The edits of a help, all or none: one that has to be masked would do harm.
    fn fix(&self, help: &Help) -> Option<Value> {
        let mut changes: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for edit in &help.edits {
            let text = self.sources.get(&edit.path)?;
            let place = |offset: u32| {
                let line = text.line_of(offset as usize) + 1;
                Some((line, text.column_utf16(line as u32, offset as usize)?))
            };
            let ((start, start_column), (end, end_column)) = (place(edit.span.start)?, place(edit.span.end)?);
            if mask::text(&visible::text(&edit.replacement)) != edit.replacement {
                return None;
            }
            changes.entry(&edit.path).or_default().push(json!({
                "deletedRegion": {
                    "startLine": start, "startColumn": start_column, "endLine": end, "endColumn": end_column,
                },
                "insertedContent": {"text": edit.replacement},
            }));
        }
        let changes = changes.into_iter().map(|(path, replacements)| {
            json!({"artifactLocation": artifact(self.report.place, path), "replacements": replacements})
        });
        let changes: Vec<Value> = changes.collect();
        let description = json!({"text": clean(&help.message)});
        (!changes.is_empty()).then(|| json!({"description": description, "artifactChanges": changes}))
    }

    fn fingerprints(&self, finding: &Finding) -> Value {
        let mut prints = json!({"residue/v1": finding.fingerprint.to_string()});
        let hashes = self.line_hashes.get(finding.site.path.as_str());
        if let Some(hash) = hashes.and_then(|hashes| hashes.get(&finding.site.start.line)) {
            prints["primaryLocationLineHash"] = json!(hash);
        }
        prints
    }

    fn suppression(&self, finding: &Finding, by: &SuppressedBy) -> Value {
        let file = artifact(self.report.place, &finding.site.path);
        let justified =
            |kind: &str, why: String| json!({"kind": kind, "status": "accepted", "justification": clean(&why)});
        match by {
            SuppressedBy::Comment { line, until, why } => {
                let until = until.map(|until| format!(" (until {until})")).unwrap_or_default();
                let mut value = justified("inSource", format!("{why}{until}").trim_start().to_owned());
                let place = json!({"artifactLocation": file, "region": {"startLine": (*line).max(1)}});
                value["location"] = json!({"physicalLocation": place});
                value
            }
            SuppressedBy::Generated => justified("inSource", "the file is generated".to_owned()),
            SuppressedBy::Config { by, why } => justified("external", format!("{why} ({by})").trim_start().to_owned()),
            SuppressedBy::Baseline { why } if why.is_empty() => justified("external", "in the baseline".to_owned()),
            SuppressedBy::Baseline { why } => justified("external", format!("{why} (in the baseline)")),
            SuppressedBy::OutsideChange => justified("external", "outside the change looked at".to_owned()),
        }
    }
}

/// The first line, the path with links into the code, facts and advice: GitHub shows nothing else beside the code.
fn message(finding: &Finding) -> String {
    /// More of a path than this is read beside the code, not in a sentence.
    const LINKS_MAX: usize = 6;
    let plain = |text: &str| clean(text).replace("](", "] (");
    let mut lines = vec![format!("{}.", plain(&finding.message))];
    let linked = finding.steps.iter().take(LINKS_MAX).enumerate();
    let links: Vec<String> = linked
        .map(|(at, step)| {
            // Brackets end a link's text.
            let text = clean(&step.message).replace(['[', ']'], "'");
            format!("[{text}]({})", at + 1)
        })
        .collect();
    if !links.is_empty() {
        lines.push(format!("Path: {}.", links.join(", then ")));
    }
    lines.extend(finding.notes.iter().map(|note| format!("{}.", plain(note))));
    if let Some(help) = &finding.help {
        lines.push(format!("Help: {}.", plain(&help.message)));
    }
    lines.join("\n")
}

fn properties(finding: &Finding) -> Value {
    let mut properties = json!({
        "confidence": finding.confidence.as_str(),
        "inTest": finding.in_test,
    });
    if !finding.resource.is_empty() {
        properties["resource"] = json!(clean(&finding.resource));
    }
    properties
}

/// What comes before the steps of a finding: its own place, where they do not repeat it.
fn own_step(finding: &Finding) -> Option<Step> {
    if finding.steps.iter().any(|step| step.site == finding.site) {
        return None;
    }
    let role = if finding.acquire.is_some() { StepRole::Acquired } else { StepRole::Note };
    let message = if finding.label.is_empty() { &finding.message } else { &finding.label };
    Some(Step { role, site: finding.site.clone(), message: message.clone() })
}

//! What is wrong in a process, as findings: one file a rule.
//!
//! They say what is kept and by what, never that it is kept too long: only the program knows that. Hence thresholds, and
//! words that leave the judgement to the reader.

mod p301;
mod p302;
mod p303;
mod p304;
mod p305;
mod p306;

use std::io::{self, Write};

use residue_finding::{Finding, Help, Holder, RuleCode, RuleMeta, Site};
use residue_report::shown_name as visible;
use residue_runtime::heap::Heap;
use residue_target::Kind;
use serde::Serialize;

use super::{Shown, fds};

/// All of them, in order of their codes.
pub(crate) const ALL: &[&RuleMeta] = &[&p301::META, &p302::META, &p303::META, &p304::META, &p305::META, &p306::META];

#[derive(Serialize)]
pub(super) struct FindingJson<'a> {
    rule: String,
    name: &'static str,
    severity: &'static str,
    confidence: &'static str,
    message: &'a str,
    resource: &'a str,
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<HolderJson<'a>>,
}

#[derive(Serialize)]
struct HolderJson<'a> {
    root: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    descriptors: &'a [u32],
}

/// What is wrong.
pub(super) fn find(shown: &Shown<'_>, heap: &mut Heap<'_>, table: &fds::Table) -> Vec<Finding> {
    let finalizers = heap.finalizers(shown.report);
    let mut findings = Vec::new();
    p302::find(shown, &finalizers, &mut findings);
    p303::find(shown, &finalizers, &mut findings);
    let covered = p301::find(shown, heap, table, &mut findings);
    p304::find(shown, &finalizers, &covered, &mut findings);
    p305::find(shown, &mut findings);
    p306::find(shown, &mut findings);
    findings
}

fn finding(rule: &RuleMeta, message: String, subject: &str) -> Finding {
    let mut finding = Finding::new(rule, message, Site::default());
    finding.subject = subject.to_owned();
    finding
}

fn holder(shown: &Shown<'_>, root: &str, kind: Option<&str>) -> Holder {
    Holder {
        program: shown.target.program_path.to_string_lossy().into_owned(),
        pid: match shown.target.kind {
            Kind::Process(pid) => Some(pid),
            Kind::Core => None,
        },
        root: root.to_owned(),
        kind: kind.map(str::to_owned),
        ..Holder::default()
    }
}

fn help(message: impl Into<String>) -> Help {
    Help { message: message.into(), edits: Vec::new() }
}

pub(super) fn json(findings: &[Finding]) -> Vec<FindingJson<'_>> {
    findings.iter().map(finding_json).collect()
}

fn finding_json(finding: &Finding) -> FindingJson<'_> {
    FindingJson {
        rule: finding.rule.to_string(),
        name: meta(finding.rule).map_or("", |rule| rule.name),
        severity: finding.severity.as_str(),
        confidence: finding.confidence.as_str(),
        message: &finding.message,
        resource: &finding.resource,
        notes: &finding.notes,
        help: finding.help.as_ref().map(|help| &*help.message),
        holder: finding.holder.as_ref().map(|holder| HolderJson {
            root: &holder.root,
            container: holder.container.as_deref(),
            kind: holder.kind.as_deref(),
            descriptors: &holder.descriptors,
        }),
    }
}

fn meta(code: RuleCode) -> Option<&'static RuleMeta> {
    ALL.iter().copied().find(|rule| rule.code == code)
}

pub(super) fn text(findings: &[Finding], target: &str, out: &mut dyn Write) -> io::Result<()> {
    for finding in findings {
        writeln!(out, "\n{}[{}]: {}", finding.severity, finding.rule, visible(&finding.message))?;
        for note in &finding.notes {
            writeln!(out, "  {}", visible(&note.replace("TARGET", target)))?;
        }
        if let Some(help) = &finding.help {
            writeln!(out, "  help: {}", visible(&help.message.replace("TARGET", target)))?;
        }
    }
    Ok(())
}

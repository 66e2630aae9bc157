//! GitLab's code quality report.
//!
//! <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>: a list of issues; GitLab compares those of
//! two pipelines by fingerprint.

use std::io;

use residue_finding::{Finding, Fingerprint, Severity};
use serde::Serialize;

use crate::text::clean;
use crate::{Report, SwitchedOff, shown_name, switched_off};

#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: String,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
    end: u32,
}

/// Writes the findings of a run as a code quality report.
pub fn write_gitlab(report: &Report<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let findings = report.outcome.findings.iter().map(|finding| issue(report, finding));
    let switched_off = switched_off(&report.outcome.summary).map(|off| notice(report, &off));
    let issues: Vec<Issue> = findings.chain(switched_off).collect();
    serde_json::to_writer_pretty(&mut *out, &issues)?;
    out.write_all(b"\n")
}

/// No defect, yet new in the merge request that switches something off.
fn notice(report: &Report<'_>, off: &SwitchedOff<'_>) -> Issue {
    let (path, line) = off.by.rsplit_once(':').unwrap_or((off.by, ""));
    let begin = line.parse().unwrap_or(1).max(1);
    let path = report.place.path(path);
    Issue {
        description: off.text(),
        check_name: "residue".to_owned(),
        // Lines move.
        fingerprint: Fingerprint::of(&["switched off", &path, &off.what], 0).to_string(),
        severity: "info",
        location: Location { path: shown_name(&path), lines: Lines { begin, end: begin } },
    }
}

fn issue(report: &Report<'_>, finding: &Finding) -> Issue {
    let site = &finding.site;
    let help = finding.help.as_ref().map(|help| format!("; {}", clean(&help.message)));
    let begin = site.start.line.max(1);
    Issue {
        description: clean(&finding.message) + &help.unwrap_or_default(),
        check_name: format!("{} {}", finding.rule, report.rule_name(finding.rule)).trim_end().to_owned(),
        fingerprint: finding.fingerprint.to_string(),
        // `blocker` is left to those who block by it, `info` to what is no defect.
        severity: match finding.severity {
            Severity::Error => "critical",
            Severity::Warning => "major",
            Severity::Note => "minor",
        },
        location: Location {
            path: shown_name(&report.place.path(&site.path)),
            lines: Lines { begin, end: site.end.line.max(begin) },
        },
    }
}

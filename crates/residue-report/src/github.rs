//! Annotations on GitHub: workflow commands that the runner reads from a step's output.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>. GitHub shows ten errors, ten
//! warnings and ten notices a step, so the worst come first.

use std::fmt::Write as _;
use std::io;

use residue_finding::{Diagnostic, Finding, Severity};

use crate::text::clean;
use crate::{Report, shown_name, switched_off};

/// Writes one workflow command for each finding, and for each part of the input that was not analysed.
pub fn write_github(report: &Report<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let mut findings: Vec<&Finding> = report.outcome.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in findings {
        out.write_all(command(report, finding).as_bytes())?;
    }
    let diagnostics = report.outcome.summary.diagnostics.iter();
    for diagnostic in diagnostics.filter(|diagnostic| diagnostic.severity == Severity::Error) {
        out.write_all(problem(report, diagnostic).as_bytes())?;
    }
    // Whoever reviews a change sees what it switches off.
    for off in switched_off(&report.outcome.summary) {
        writeln!(out, "::notice title=residue::{}", data(&off.text()))?;
    }
    Ok(())
}

fn command(report: &Report<'_>, finding: &Finding) -> String {
    let site = &finding.site;
    let mut command = format!("::{} file={}", word(finding.severity), property(&file(report, &site.path)));
    if site.start.line > 0 {
        // Writing to a string cannot fail.
        let _ = write!(command, ",line={},endLine={}", site.start.line, site.end.line.max(site.start.line));
        // Columns are understood within one line only.
        if site.start.column > 0 && site.start.line == site.end.line {
            let _ = write!(command, ",col={},endColumn={}", site.start.column, site.end.column);
        }
    }
    let title = format!("{} {}", finding.rule, report.rule_name(finding.rule));
    let mut message = clean(&finding.message);
    for step in &finding.steps {
        let _ =
            write!(message, "\n{}:{}: {}", file(report, &step.site.path), step.site.start.line, clean(&step.message));
    }
    for note in &finding.notes {
        let _ = write!(message, "\n{}", clean(note));
    }
    if let Some(help) = &finding.help {
        let _ = write!(message, "\nhelp: {}", clean(&help.message));
    }
    let _ = writeln!(command, ",title={}::{}", property(title.trim_end()), data(&message));
    command
}

fn problem(report: &Report<'_>, diagnostic: &Diagnostic) -> String {
    let mut place = String::new();
    if let Some(path) = &diagnostic.path {
        // Writing to a string cannot fail.
        let _ = write!(place, " file={}", property(&file(report, path)));
        if let Some(position) = diagnostic.position.filter(|position| position.line > 0) {
            let _ = write!(place, ",line={}", position.line);
        }
    }
    format!("::error{place}::{}\n", data(&clean(&diagnostic.message)))
}

fn file(report: &Report<'_>, path: &str) -> String {
    shown_name(&report.place.path(path))
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    }
}

/// What comes after the second `::`. The runner ends a command at the line's end and undoes these three.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

//! JUnit XML, which most build servers show: a failed test for each finding.
//!
//! The dialect is that of Jenkins and GitLab: `testsuites`, `testsuite`, `testcase` with `failure` or `error`. Without any
//! finding there is one test that passed, since an empty report counts as a broken one.

use std::fmt::Write as _;
use std::io;

use residue_finding::{Diagnostic, Finding, Severity};

use crate::source::SourceCache;
use crate::text::{TextStyle, clean, render};
use crate::xml::xml_text;
use crate::{Report, shown_name, switched_off};

/// Writes the findings of a run, and the parts of the input that were not analysed, as JUnit XML.
pub fn write_junit(report: &Report<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let findings = &report.outcome.findings;
    let diagnostics = report.outcome.summary.diagnostics.iter();
    let errors: Vec<&Diagnostic> = diagnostics.filter(|diagnostic| diagnostic.severity == Severity::Error).collect();
    let tests = (findings.len() + errors.len()).max(1);
    let counts = format!("tests=\"{tests}\" failures=\"{}\" errors=\"{}\"", findings.len(), errors.len());
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"residue\" {counts}>")?;
    writeln!(out, "  <testsuite name=\"residue check\" {counts}>")?;
    let sources = SourceCache::new(report.sources);
    for finding in findings {
        out.write_all(failure(report, finding, &sources).as_bytes())?;
    }
    for diagnostic in &errors {
        out.write_all(error(report, diagnostic).as_bytes())?;
    }
    if findings.is_empty() && errors.is_empty() {
        writeln!(out, "    <testcase classname=\"residue\" name=\"check\"/>")?;
    }
    let switched_off: Vec<String> = switched_off(&report.outcome.summary).map(|off| xml_text(&off.text())).collect();
    if !switched_off.is_empty() {
        writeln!(out, "    <system-out>{}</system-out>", switched_off.join("\n"))?;
    }
    writeln!(out, "  </testsuite>")?;
    writeln!(out, "</testsuites>")
}

fn failure(report: &Report<'_>, finding: &Finding, sources: &SourceCache<'_>) -> String {
    let site = &finding.site;
    let file = shown_name(&report.place.path(&site.path));
    let name = format!("{} {file}:{}:{}", finding.rule, site.start.line, site.start.column);
    let block = render(finding, sources, TextStyle::default());
    format!(
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\">\n      \
         <failure type=\"{}\" message=\"{}\">{}</failure>\n    </testcase>\n",
        xml_text(&shown_name(&site.import_path)),
        xml_text(&name),
        xml_text(&file),
        site.start.line,
        finding.severity,
        xml_text(&clean(&finding.message)),
        xml_text(block.trim_end()),
    )
}

fn error(report: &Report<'_>, diagnostic: &Diagnostic) -> String {
    let mut place = diagnostic.path.as_deref().map_or_else(String::new, |path| report.place.path(path));
    if let Some(position) = diagnostic.position {
        // Writing to a string cannot fail.
        let _ = write!(place, ":{}", position.line);
    }
    format!(
        "    <testcase classname=\"residue\" name=\"{}\">\n      <error type=\"not analysed\" message=\"{}\"/>\n    \
         </testcase>\n",
        xml_text(format!("analysis {}", shown_name(&place)).trim_end()),
        xml_text(&clean(&diagnostic.message)),
    )
}

//! Findings as diagnostics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use residue_finding::{Finding, Severity, Site};
use serde_json::{Value, json};

use super::client::Client;
use super::text::{Lines, Range};
use super::uri;
use crate::engine;

/// What `source` says of each diagnostic.
pub(super) const SOURCE: &str = "residue";

/// The rule about suppressions that suppress nothing.
const UNUSED: &str = "X001";

/// The texts that findings speak of, cut into lines once.
pub(super) struct Texts<'a> {
    dir: &'a Path,
    lines: BTreeMap<&'a str, Lines<'a>>,
}

impl<'a> Texts<'a> {
    /// The texts, by the paths that findings give them below `dir`.
    pub(super) fn new(dir: &'a Path, texts: impl Iterator<Item = (&'a str, &'a [u8])>, client: &Client) -> Self {
        Self { dir, lines: texts.map(|(path, text)| (path, Lines::new(text, client.encoding))).collect() }
    }

    pub(super) fn path(&self, shown: &str) -> PathBuf {
        self.dir.join(shown)
    }

    /// Where a site lies; none where there is no such file: a declaration of the embedded library, say.
    pub(super) fn range(&self, site: &Site) -> Option<Range> {
        Some(self.lines.get(site.path.as_str())?.range(site.span))
    }

    pub(super) fn span(&self, path: &str, span: residue_finding::Span) -> Option<Range> {
        Some(self.lines.get(path)?.range(span))
    }

    /// A finding as a diagnostic of its file.
    pub(super) fn diagnostic(&self, finding: &Finding, client: &Client) -> Option<Value> {
        let mut message = finding.message.clone();
        let mut related = Vec::new();
        for step in &finding.steps {
            match self.range(&step.site) {
                Some(range) if client.related => {
                    let uri = uri::of(&self.path(&step.site.path));
                    related.push(json!({"location": {"uri": uri, "range": range}, "message": step.message}));
                }
                _ => message += &format!("\n{}:{}: {}", step.site.path, step.site.start.line, step.message),
            }
        }
        for note in &finding.notes {
            message += &format!("\n{note}");
        }
        if let Some(help) = &finding.help {
            message += &format!("\nhelp: {}", help.message);
        }
        let mut diagnostic = json!({
            "range": self.range(&finding.site)?,
            "severity": severity(finding.severity),
            "code": finding.rule.as_str(),
            "source": SOURCE,
            "message": message,
        });
        if !related.is_empty() {
            diagnostic["relatedInformation"] = related.into();
        }
        let rule = engine::rules().iter().find(|rule| rule.code == finding.rule);
        if let Some(cwe) = rule.and_then(|rule| rule.cwe.first()).filter(|_| client.code_description) {
            diagnostic["codeDescription"] =
                json!({"href": format!("https://cwe.mitre.org/data/definitions/{cwe}.html")});
        }
        if client.tags && finding.rule.as_str() == UNUSED {
            diagnostic["tags"] = json!([1]);
        }
        Some(diagnostic)
    }
}

fn severity(severity: Severity) -> u32 {
    match severity {
        Severity::Error => 1,
        Severity::Warning => 2,
        Severity::Note => 3,
    }
}

//! A whole run: what was found, what was held back and why, what was not seen.

use std::time::Duration;

use crate::{Finding, Position, RuleCode, Severity, fingerprint};

/// Everything a run has to say. Every output format prints this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The findings to report. In order once [`Outcome::finish`] has run.
    pub findings: Vec<Finding>,
    /// Findings that are not reported, each with the reason.
    pub suppressed: Vec<Suppressed>,
    /// What was analysed and what was not.
    pub summary: Summary,
}

impl Outcome {
    /// Sorts everything, drops exact repetitions (a file that belongs to two
    /// builds of a package is analysed twice) and assigns the fingerprints.
    /// After this, equal runs are equal values, whatever the number of threads.
    pub fn finish(&mut self) {
        self.findings.sort_by(|a, b| a.order().cmp(&b.order()));
        self.findings.dedup_by(|a, b| a.order() == b.order());
        self.suppressed.sort_by(|a, b| (a.finding.order(), &a.by).cmp(&(b.finding.order(), &b.by)));
        self.suppressed.dedup_by(|a, b| a.finding.order() == b.finding.order());
        self.summary.finish();

        // One count for reported and suppressed alike: adding a suppression
        // must not change the fingerprint of the next equal finding.
        let mut all: Vec<&mut Finding> =
            self.findings.iter_mut().chain(self.suppressed.iter_mut().map(|s| &mut s.finding)).collect();
        all.sort_by(|a, b| a.order().cmp(&b.order()));
        fingerprint::assign(all.into_iter());
    }

    /// How many findings have at least this severity.
    pub fn count_at_least(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity >= severity).count()
    }

    /// How many findings have exactly this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// A finding that is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    /// The finding.
    pub finding: Finding,
    /// Why it is held back.
    pub by: SuppressedBy,
}

/// Why a finding is held back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SuppressedBy {
    /// A `//residue:ignore CODE -- why` comment.
    Comment {
        /// The line of the comment, in the finding's file.
        line: u32,
        /// The text after `--`.
        why: String,
    },
    /// The file says `Code generated … DO NOT EDIT.`
    Generated,
}

/// What was analysed, what was not, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Packages analysed: those named by the patterns, not their imports.
    pub packages: usize,
    /// Files of these packages.
    pub files: usize,
    /// Rules that a configuration file switched off.
    pub disabled: Vec<DisabledRule>,
    /// Imported packages for which no source and no model was found.
    pub missing: Vec<Missing>,
    /// What is wrong with the input.
    pub diagnostics: Vec<Diagnostic>,
    /// Where the time went; only filled when asked for.
    pub stats: Option<Stats>,
}

impl Summary {
    /// Whether everything named by the patterns was analysed in full. Missing
    /// dependencies don't count: rules then say less, not something wrong.
    pub fn complete(&self) -> bool {
        !self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    fn finish(&mut self) {
        self.disabled.sort();
        self.disabled.dedup();
        self.missing.sort();
        self.missing.dedup();
        self.diagnostics.sort_by(|a, b| a.order().cmp(&b.order()));
        self.diagnostics.dedup();
    }
}

/// A rule that is on by default and was switched off.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DisabledRule {
    /// The rule.
    pub code: RuleCode,
    /// What switched it off: a configuration file with its line.
    pub by: String,
}

/// A dependency that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// What is missing: a module path, or an import path if no module is known.
    pub path: String,
    /// The version the build would use, when known.
    pub version: Option<String>,
    /// The import paths that were looked for, sorted.
    pub packages: Vec<String>,
    /// How many packages import something from it.
    pub importers: usize,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Something wrong with the input: a file, a manifest, a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// [`Severity::Error`] when something named by the patterns was not analysed.
    pub severity: Severity,
    /// The file or directory, as shown to the user.
    pub path: Option<String>,
    /// The place in the file.
    pub position: Option<Position>,
    /// What is wrong, in one line without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    fn order(&self) -> impl Ord + '_ {
        (&self.path, self.position, std::cmp::Reverse(self.severity), &self.message, &self.hint)
    }
}

/// Where the time went and how much there was to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Parts of the run, in order.
    pub phases: Vec<Phase>,
    /// Amounts, in order.
    pub counters: Vec<Counter>,
}

/// A part of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its name, as a noun: `types`.
    pub name: &'static str,
    /// Time from its start to its end.
    pub wall: Duration,
}

/// An amount of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What is counted, in the plural: `functions`.
    pub name: &'static str,
    /// How many.
    pub value: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Confidence, Family, Position, RuleMeta, Site, Span};

    static RULE: RuleMeta = RuleMeta {
        code: RuleCode::new("R201"),
        name: "test",
        summary: "test",
        family: Family::Resources,
        cwe: &[772],
        severity: Severity::Warning,
        confidence: Confidence::High,
        default_on: true,
        joins: &[],
        docs: "",
    };

    fn finding(path: &str, offset: u32, subject: &str) -> Finding {
        let site = Site {
            path: path.to_owned(),
            span: Span::from(offset..offset + 4),
            start: Position { line: offset + 1, column: 1 },
            end: Position { line: offset + 1, column: 5 },
            import_path: "example.com/p".to_owned(),
            declaration: "Open".to_owned(),
        };
        let mut finding = Finding::new(&RULE, "never closed", site);
        subject.clone_into(&mut finding.subject);
        finding
    }

    fn outcome(findings: Vec<Finding>) -> Outcome {
        let mut outcome = Outcome { findings, ..Outcome::default() };
        outcome.finish();
        outcome
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let all = [
            finding("b.go", 7, "os.Open(x)"),
            finding("a.go", 90, "os.Open(x)"),
            finding("a.go", 7, "os.Open(y)"),
            finding("a.go", 7, "os.Open(y)"),
        ];
        let forward = outcome(all.to_vec());
        let backward = outcome(all.iter().rev().cloned().collect());
        assert_eq!(forward, backward);
        assert_eq!(forward.findings.len(), 3, "the repetition is dropped");
        assert_eq!(forward.findings[0].site.path, "a.go");
    }

    #[test]
    fn moving_code_keeps_fingerprints() {
        let before = outcome(vec![finding("a.go", 7, "x()"), finding("a.go", 9, "x()")]);
        let after = outcome(vec![finding("new.go", 107, "x()"), finding("new.go", 300, "x()")]);
        let prints = |o: &Outcome| -> Vec<_> { o.findings.iter().map(|f| f.fingerprint).collect() };
        assert_eq!(prints(&before), prints(&after));
        assert_ne!(prints(&before)[0], prints(&before)[1]);
    }

    #[test]
    fn suppressing_one_of_two_equals_keeps_the_other_ones_fingerprint() {
        let (first, second) = (finding("a.go", 7, "x()"), finding("a.go", 9, "x()"));
        let both = outcome(vec![first.clone(), second.clone()]);
        let mut one = Outcome {
            findings: vec![second],
            suppressed: vec![Suppressed { finding: first, by: SuppressedBy::Generated }],
            summary: Summary::default(),
        };
        one.finish();
        assert_eq!(one.findings[0].fingerprint, both.findings[1].fingerprint);
        assert_eq!(one.suppressed[0].finding.fingerprint, both.findings[0].fingerprint);
    }

    #[test]
    fn only_errors_make_a_run_incomplete() {
        let mut summary = Summary::default();
        assert!(summary.complete());
        for (severity, complete) in [(Severity::Warning, true), (Severity::Error, false)] {
            summary.diagnostics.push(Diagnostic {
                severity,
                path: None,
                position: None,
                message: "x".to_owned(),
                hint: None,
            });
            assert_eq!(summary.complete(), complete);
        }
    }
}

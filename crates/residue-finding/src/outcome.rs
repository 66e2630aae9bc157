//! A whole run: what was found, what was held back and why, what was not seen.

use std::time::Duration;

use crate::{Date, Finding, Fingerprint, Position, RuleCode, Severity, fingerprint};

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

    /// Holds back each finding for which there is a reason. Fingerprints stay as they are.
    pub fn hold_back(&mut self, mut reason: impl FnMut(&Finding) -> Option<SuppressedBy>) {
        for finding in std::mem::take(&mut self.findings) {
            match reason(&finding) {
                Some(by) => self.suppressed.push(Suppressed { finding, by }),
                None => self.findings.push(finding),
            }
        }
        self.suppressed.sort_by(|a, b| (a.finding.order(), &a.by).cmp(&(b.finding.order(), &b.by)));
    }

    /// Reports again what a comment held back until a day before `today`, with a note that says so.
    pub fn expire(&mut self, today: Date) {
        for Suppressed { mut finding, by } in std::mem::take(&mut self.suppressed) {
            match by {
                SuppressedBy::Comment { line, until: Some(until), .. } if until < today => {
                    finding.notes.push(format!("the suppression on line {line} ended on {until}"));
                    self.findings.push(finding);
                }
                by => self.suppressed.push(Suppressed { finding, by }),
            }
        }
        self.findings.sort_by(|a, b| a.order().cmp(&b.order()));
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
        /// The last day on which it holds (`until=2027-01-31`).
        until: Option<Date>,
        /// The text after `--`.
        why: String,
    },
    /// The file says `Code generated … DO NOT EDIT.`
    Generated,
    /// An entry of a configuration's list of ignored paths.
    Config {
        /// The configuration file with the line of the entry.
        by: String,
        /// What the entry says for a reason.
        why: String,
    },
    /// An entry of a baseline.
    Baseline {
        /// What the entry says for a reason.
        why: String,
    },
    /// It lies outside the change that is looked at.
    OutsideChange,
}

impl SuppressedBy {
    /// The word every format uses.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Comment { .. } => "comment",
            Self::Generated => "generated",
            Self::Config { .. } => "config",
            Self::Baseline { .. } => "baseline",
            Self::OutsideChange => "outside_change",
        }
    }
}

/// What was analysed, what was not, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// What the packages were built for: `linux/amd64`, and build tags after commas.
    pub platforms: Vec<String>,
    /// Packages analysed: those named by the patterns, not their imports.
    pub packages: usize,
    /// Files of these packages.
    pub files: usize,
    /// Function bodies of these files, literals included, that were lowered and summed up.
    pub bodies: usize,
    /// Those of them that were executed path by path.
    pub executed: usize,
    /// Function bodies of imported packages that were summed up, since what they do matters to the packages analysed.
    pub opened: usize,
    /// Functions with more paths than are looked at; each has a diagnostic of its own.
    pub given_up: usize,
    /// Rules that a configuration file switched off.
    pub disabled: Vec<DisabledRule>,
    /// Paths that a configuration file leaves out.
    pub left_out: Vec<LeftOut>,
    /// The baseline that findings were compared with.
    pub baseline: Option<BaselineUse>,
    /// What the change was taken from that findings were compared with: a revision, a patch.
    pub change: Option<String>,
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
        self.left_out.sort();
        self.left_out.dedup();
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

/// Paths that are not looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// What is left out: a pattern as in `.gitignore`.
    pub pattern: String,
    /// What leaves it out: a configuration file with its line.
    pub by: String,
}

/// How findings compare with a baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaselineUse {
    /// The file, as shown to the user.
    pub path: String,
    /// Entries for which there is no finding any more.
    pub stale: Vec<StaleEntry>,
}

/// An entry of a baseline for which there is no finding any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleEntry {
    /// The finding it stood for.
    pub fingerprint: Fingerprint,
    /// Its rule.
    pub rule: RuleCode,
    /// Its file, when the entry was written.
    pub path: String,
    /// Its message, when the entry was written.
    pub message: String,
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
    fn what_is_held_back_keeps_its_fingerprint_and_its_place() {
        let all = outcome(vec![finding("a.go", 7, "x()"), finding("a.go", 9, "x()"), finding("b.go", 1, "x()")]);
        let mut held = all.clone();
        held.hold_back(|finding| (finding.site.path == "a.go").then_some(SuppressedBy::OutsideChange));
        assert_eq!(held.findings, all.findings[2..]);
        let back: Vec<_> = held.suppressed.iter().map(|suppressed| suppressed.finding.clone()).collect();
        assert_eq!(back, all.findings[..2]);
    }

    #[test]
    fn a_comment_holds_on_its_last_day() {
        let day = |text: &str| text.parse::<Date>().expect("a day");
        let until = Some(day("2027-01-31"));
        let by = SuppressedBy::Comment { line: 6, until, why: "moves in spring".to_owned() };
        let mut outcome = outcome(vec![finding("b.go", 7, "y()")]);
        outcome.suppressed.push(Suppressed { finding: finding("a.go", 7, "x()"), by });
        outcome.finish();
        let before = outcome.clone();
        outcome.expire(day("2027-01-31"));
        assert_eq!(outcome, before);
        outcome.expire(day("2027-02-01"));
        assert!(outcome.suppressed.is_empty());
        assert_eq!(outcome.findings[0].site.path, "a.go", "in order");
        assert_eq!(outcome.findings[0].notes, ["the suppression on line 6 ended on 2027-01-31"]);
        assert_eq!(outcome.findings[0].fingerprint, before.suppressed[0].finding.fingerprint);
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

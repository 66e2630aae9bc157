//! Findings and what comes with them, in the form in which they are kept.
//!
//! Each shape has `of`, which makes it of the type that the program works with, and `open`, which gives that type back;
//! none where a text is not one of those that it should be. Fingerprints are not kept: [`Outcome::finish`] makes them. Nor is
//! what only running programs tell.

use residue_finding::{
    AcquireSite, Diagnostic, DisabledRule, Edit, Finding, Fingerprint, Help, LeftOut, Missing, Outcome, Position, Site,
    Span, Step, StepRole, Summary, Suppressed, SuppressedBy,
};
use serde::{Deserialize, Serialize};

/// A [`Site`].
#[derive(Debug, Serialize, Deserialize)]
pub struct SiteShape {
    path: String,
    span: (u32, u32),
    start: (u32, u32),
    end: (u32, u32),
    import_path: String,
    declaration: String,
}

impl SiteShape {
    /// The shape of a site.
    pub fn of(site: &Site) -> Self {
        let Site { path, span, start, end, import_path, declaration } = site;
        Self {
            path: path.clone(),
            span: (span.start, span.end),
            start: (start.line, start.column),
            end: (end.line, end.column),
            import_path: import_path.clone(),
            declaration: declaration.clone(),
        }
    }

    /// The site.
    pub fn open(self) -> Site {
        let position = |(line, column)| Position { line, column };
        Site {
            path: self.path,
            span: Span { start: self.span.0, end: self.span.1 },
            start: position(self.start),
            end: position(self.end),
            import_path: self.import_path,
            declaration: self.declaration,
        }
    }
}

/// A [`Finding`], without its fingerprint.
#[derive(Debug, Serialize, Deserialize)]
pub struct FindingShape {
    rule: String,
    severity: String,
    confidence: String,
    message: String,
    site: SiteShape,
    label: String,
    steps: Vec<(u8, SiteShape, String)>,
    notes: Vec<String>,
    help: Option<(String, Vec<EditShape>)>,
    resource: String,
    acquire: Option<(String, String, u32, String)>,
    subject: String,
    in_test: bool,
}

/// Path, bytes, replacement.
type EditShape = (String, (u32, u32), String);

/// All roles, by the number that stands for each.
const ROLES: [StepRole; 5] = [StepRole::Acquired, StepRole::Branch, StepRole::Left, StepRole::Released, StepRole::Note];

impl FindingShape {
    /// The shape of a finding.
    pub fn of(finding: &Finding) -> Self {
        let Finding {
            rule,
            severity,
            confidence,
            message,
            site,
            label,
            steps,
            notes,
            help,
            resource,
            acquire,
            holder: _,
            subject,
            fingerprint: _,
            in_test,
        } = finding;
        let step = |Step { role, site, message }: &Step| {
            let role = ROLES.iter().position(|known| known == role).unwrap_or(ROLES.len());
            (role as u8, SiteShape::of(site), message.clone())
        };
        let edit =
            |Edit { path, span, replacement }: &Edit| (path.clone(), (span.start, span.end), replacement.clone());
        let acquire = acquire.as_ref().map(|AcquireSite { import_path, file, line, declaration }| {
            (import_path.clone(), file.clone(), *line, declaration.clone())
        });
        Self {
            rule: rule.to_string(),
            severity: severity.to_string(),
            confidence: confidence.to_string(),
            message: message.clone(),
            site: SiteShape::of(site),
            label: label.clone(),
            steps: steps.iter().map(step).collect(),
            notes: notes.clone(),
            help: help.as_ref().map(|Help { message, edits }| (message.clone(), edits.iter().map(edit).collect())),
            resource: resource.clone(),
            acquire,
            subject: subject.clone(),
            in_test: *in_test,
        }
    }

    /// The finding.
    pub fn open(self) -> Option<Finding> {
        let step = |(role, site, message): (u8, SiteShape, String)| {
            Some(Step { role: *ROLES.get(usize::from(role))?, site: site.open(), message })
        };
        let edit = |(path, (start, end), replacement): EditShape| Edit { path, span: Span { start, end }, replacement };
        Some(Finding {
            rule: self.rule.parse().ok()?,
            severity: self.severity.parse().ok()?,
            confidence: self.confidence.parse().ok()?,
            message: self.message,
            site: self.site.open(),
            label: self.label,
            steps: self.steps.into_iter().map(step).collect::<Option<_>>()?,
            notes: self.notes,
            help: self.help.map(|(message, edits)| Help { message, edits: edits.into_iter().map(edit).collect() }),
            resource: self.resource,
            acquire: self.acquire.map(|(import_path, file, line, declaration)| AcquireSite {
                import_path,
                file,
                line,
                declaration,
            }),
            holder: None,
            subject: self.subject,
            fingerprint: Fingerprint::default(),
            in_test: self.in_test,
        })
    }
}

/// A [`Diagnostic`].
#[derive(Debug, Serialize, Deserialize)]
pub struct DiagnosticShape {
    severity: String,
    path: Option<String>,
    position: Option<(u32, u32)>,
    message: String,
    hint: Option<String>,
}

impl DiagnosticShape {
    /// The shape of a diagnostic.
    pub fn of(diagnostic: &Diagnostic) -> Self {
        let Diagnostic { severity, path, position, message, hint } = diagnostic;
        Self {
            severity: severity.to_string(),
            path: path.clone(),
            position: position.map(|position| (position.line, position.column)),
            message: message.clone(),
            hint: hint.clone(),
        }
    }

    /// The diagnostic.
    pub fn open(self) -> Option<Diagnostic> {
        Some(Diagnostic {
            severity: self.severity.parse().ok()?,
            path: self.path,
            position: self.position.map(|(line, column)| Position { line, column }),
            message: self.message,
            hint: self.hint,
        })
    }
}

/// A [`SuppressedBy`].
#[derive(Debug, Serialize, Deserialize)]
enum SuppressedByShape {
    Comment { line: u32, until: Option<String>, why: String },
    Generated,
    Config { by: String, why: String },
    Baseline { why: String },
    OutsideChange,
}

impl SuppressedByShape {
    fn of(by: &SuppressedBy) -> Self {
        match by.clone() {
            SuppressedBy::Comment { line, until, why } => {
                Self::Comment { line, until: until.map(|day| day.to_string()), why }
            }
            SuppressedBy::Generated => Self::Generated,
            SuppressedBy::Config { by, why } => Self::Config { by, why },
            SuppressedBy::Baseline { why } => Self::Baseline { why },
            SuppressedBy::OutsideChange => Self::OutsideChange,
        }
    }

    fn open(self) -> Option<SuppressedBy> {
        Some(match self {
            Self::Comment { line, until, why } => {
                SuppressedBy::Comment { line, until: until.map(|day| day.parse()).transpose().ok()?, why }
            }
            Self::Generated => SuppressedBy::Generated,
            Self::Config { by, why } => SuppressedBy::Config { by, why },
            Self::Baseline { why } => SuppressedBy::Baseline { why },
            Self::OutsideChange => SuppressedBy::OutsideChange,
        })
    }
}

/// An [`Outcome`] of an analysis: not yet compared with a baseline or a change, without times.
#[derive(Debug, Serialize, Deserialize)]
pub struct OutcomeShape {
    findings: Vec<FindingShape>,
    suppressed: Vec<(FindingShape, SuppressedByShape)>,
    platforms: Vec<String>,
    /// Packages, files, bodies, executed, opened, given up.
    counts: [usize; 6],
    /// Code, and what switched it off.
    disabled: Vec<(String, String)>,
    /// Pattern, and what leaves it out.
    left_out: Vec<(String, String)>,
    missing: Vec<MissingShape>,
    diagnostics: Vec<DiagnosticShape>,
}

/// Path, version, packages, importers, hint.
type MissingShape = (String, Option<String>, Vec<String>, usize, Option<String>);

impl OutcomeShape {
    /// The shape of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        let Outcome { findings, suppressed, summary } = outcome;
        let Summary {
            platforms,
            packages,
            files,
            bodies,
            executed,
            opened,
            given_up,
            disabled,
            left_out,
            baseline: _,
            change: _,
            missing,
            diagnostics,
            stats: _,
        } = summary;
        let held = |Suppressed { finding, by }: &Suppressed| (FindingShape::of(finding), SuppressedByShape::of(by));
        let missing = missing.iter().map(|Missing { path, version, packages, importers, hint }| {
            (path.clone(), version.clone(), packages.clone(), *importers, hint.clone())
        });
        Self {
            findings: findings.iter().map(FindingShape::of).collect(),
            suppressed: suppressed.iter().map(held).collect(),
            platforms: platforms.clone(),
            counts: [*packages, *files, *bodies, *executed, *opened, *given_up],
            disabled: disabled.iter().map(|DisabledRule { code, by }| (code.to_string(), by.clone())).collect(),
            left_out: left_out.iter().map(|LeftOut { pattern, by }| (pattern.clone(), by.clone())).collect(),
            missing: missing.collect(),
            diagnostics: diagnostics.iter().map(DiagnosticShape::of).collect(),
        }
    }

    /// The outcome, finished.
    pub fn open(self) -> Option<Outcome> {
        let [packages, files, bodies, executed, opened, given_up] = self.counts;
        let disabled = self.disabled.into_iter().map(|(code, by)| Some(DisabledRule { code: code.parse().ok()?, by }));
        let missing = self.missing.into_iter().map(|(path, version, packages, importers, hint)| Missing {
            path,
            version,
            packages,
            importers,
            hint,
        });
        let held = |(finding, by): (FindingShape, SuppressedByShape)| {
            Some(Suppressed { finding: finding.open()?, by: by.open()? })
        };
        let mut outcome = Outcome {
            findings: self.findings.into_iter().map(FindingShape::open).collect::<Option<_>>()?,
            suppressed: self.suppressed.into_iter().map(held).collect::<Option<_>>()?,
            summary: Summary {
                platforms: self.platforms,
                packages,
                files,
                bodies,
                executed,
                opened,
                given_up,
                disabled: disabled.collect::<Option<_>>()?,
                left_out: self.left_out.into_iter().map(|(pattern, by)| LeftOut { pattern, by }).collect(),
                missing: missing.collect(),
                diagnostics: self.diagnostics.into_iter().map(DiagnosticShape::open).collect::<Option<_>>()?,
                ..Summary::default()
            },
        };
        outcome.finish();
        Some(outcome)
    }
}

//! A finding: what is left behind, the path it takes, and what to do.

use crate::{AcquireSite, Confidence, Fingerprint, RuleCode, RuleMeta, Severity, Site, Span};

/// One thing that is left behind.
///
/// The first line (`message`) says what is wrong and what it costs; `steps`
/// tell the path in order; `help` says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule that found it.
    pub rule: RuleCode,
    /// How bad it is, for this kind of resource.
    pub severity: Severity,
    /// How likely it is true, here.
    pub confidence: Confidence,
    /// What is wrong and what it costs, in one line without a full stop.
    pub message: String,
    /// The place the finding is about, usually the acquire expression.
    pub site: Site,
    /// What to write under the excerpt of `site`.
    pub label: String,
    /// The path from the acquisition to the loss, in order. `site` itself need
    /// not be repeated.
    pub steps: Vec<Step>,
    /// Facts that have no place in the source.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<Help>,
    /// What is left behind, as a Go type (`*os.File`) or a kind (`raw fd`).
    pub resource: String,
    /// The join key of the acquisition, when the rule is about one.
    pub acquire: Option<AcquireSite>,
    /// What keeps it alive, when it was seen in a running program.
    pub holder: Option<Holder>,
    /// What the finding is about, as [`crate::normalise_expression`] gives it.
    /// Part of the fingerprint.
    pub subject: String,
    /// Set by [`crate::Outcome::finish`].
    pub fingerprint: Fingerprint,
    /// The site lies in a `_test.go` file.
    pub in_test: bool,
}

impl Finding {
    /// A finding with the rule's usual severity and confidence and nothing but
    /// its first line; the other fields are filled in by assignment.
    pub fn new(rule: &RuleMeta, message: impl Into<String>, site: Site) -> Self {
        let in_test = site.path.ends_with("_test.go");
        Self {
            rule: rule.code,
            severity: rule.severity,
            confidence: rule.confidence,
            message: message.into(),
            site,
            label: String::new(),
            steps: Vec::new(),
            notes: Vec::new(),
            help: None,
            resource: String::new(),
            acquire: None,
            holder: None,
            subject: String::new(),
            fingerprint: Fingerprint::default(),
            in_test,
        }
    }

    /// Adds the next step of the path.
    pub fn step(&mut self, role: StepRole, site: Site, message: impl Into<String>) {
        self.steps.push(Step { role, site, message: message.into() });
    }

    /// The deterministic order of reports: by place, then rule, then text.
    pub(crate) fn order(&self) -> impl Ord + '_ {
        (&self.site.path, self.site.span, self.rule, &self.message, &self.site, &self.subject)
    }
}

/// What keeps something alive in a running program: join key of what processes and the kernel tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// The program's file.
    pub program: String,
    /// The process; none for a core.
    pub pid: Option<u32>,
    /// The root: `package variable example.com/api.registry`.
    pub root: String,
    /// The type of the container below it, when one contains all.
    pub container: Option<String>,
    /// The type of what is kept.
    pub kind: Option<String>,
    /// Descriptors, by number, when that is what is kept.
    pub descriptors: Vec<u32>,
}

/// One place on the way from the acquisition to the loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What happens there, for programs that read the report.
    pub role: StepRole,
    /// Where.
    pub site: Site,
    /// What happens there, in a few words without a full stop.
    pub message: String,
}

/// What happens at a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepRole {
    /// The resource comes into being.
    Acquired,
    /// The path goes one way where it could have gone another.
    Branch,
    /// The path leaves without the resource having been released.
    Left,
    /// The resource is released, too late or on another path.
    Released,
    /// Something else worth seeing.
    Note,
}

impl StepRole {
    /// The word every format uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acquired => "acquired",
            Self::Branch => "branch",
            Self::Left => "left",
            Self::Released => "released",
            Self::Note => "note",
        }
    }
}

/// What to do about a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Help {
    /// In one line without a full stop: `close it as soon as the error is known`.
    pub message: String,
    /// Edits that do it. All or none; they don't overlap.
    pub edits: Vec<Edit>,
}

/// A replacement of a stretch of a file by other text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The file, as in [`Site::path`].
    pub path: String,
    /// The bytes to replace; an empty span inserts.
    pub span: Span,
    /// What to put there.
    pub replacement: String,
}

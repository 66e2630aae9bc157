//! What a rule is, apart from its logic.

use std::fmt;
use std::str::FromStr;

/// The code of a rule: a family's letter and three digits, as in `R201`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleCode([u8; 4]);

impl RuleCode {
    /// Makes a code from its text.
    ///
    /// # Panics
    /// When the text isn't a capital letter followed by three digits. Meant
    /// for constants, where that is a compile error; use [`FromStr`] for text
    /// that comes from outside.
    pub const fn new(code: &'static str) -> Self {
        match Self::from_bytes(code.as_bytes()) {
            Some(code) => code,
            None => panic!("a rule code is a capital letter and three digits"),
        }
    }

    const fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [f, a, b, c]
                if f.is_ascii_uppercase() && a.is_ascii_digit() && b.is_ascii_digit() && c.is_ascii_digit() =>
            {
                Some(Self([f, a, b, c]))
            }
            _ => None,
        }
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RuleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RuleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RuleCode {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.as_bytes()).ok_or(ParseNameError("a letter and three digits"))
    }
}

/// A text that isn't one of the names it should be; holds what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseNameError(pub(crate) &'static str);

impl fmt::Display for ParseNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl std::error::Error for ParseNameError {}

/// How bad the consequence is, were the finding true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is lost for good.
    Note,
    /// Something is lost, and given back late or under load only.
    Warning,
    /// Something is lost for good, or a stranger is harmed.
    Error,
}

impl Severity {
    /// The word every format uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "note" => Ok(Self::Note),
            "warning" => Ok(Self::Warning),
            "error" => Ok(Self::Error),
            _ => Err(ParseNameError("`error`, `warning` or `note`")),
        }
    }
}

/// How likely the finding is true. Apart from [`Severity`] on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Rests on assumptions about code that was not seen.
    Low,
    /// Rests on a model of a library.
    Medium,
    /// Follows from the code shown.
    High,
}

impl Confidence {
    /// The word every format uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Confidence {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            _ => Err(ParseNameError("`high`, `medium` or `low`")),
        }
    }
}

/// What a group of rules is about; the letter that opens its codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `F`: failures that are turned into something else.
    Failure,
    /// `K`: descriptors and objects that the kernel keeps.
    Kernel,
    /// `P`: what is alive in a process and shouldn't be, or waits for what can't come.
    Process,
    /// `R`: resources that are not released.
    Resources,
    /// `X`: residue's own comments in the source.
    Directives,
}

impl Family {
    /// The letter that opens the codes of the family.
    pub const fn letter(self) -> char {
        match self {
            Self::Failure => 'F',
            Self::Kernel => 'K',
            Self::Process => 'P',
            Self::Resources => 'R',
            Self::Directives => 'X',
        }
    }

    /// What the family is about, as a heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Failure => "failures that go wrong",
            Self::Kernel => "what the kernel keeps",
            Self::Process => "what a running program keeps",
            Self::Resources => "resources not released",
            Self::Directives => "comments for residue",
        }
    }
}

/// By what a rule's findings can be joined with those of other lenses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Join {
    /// The call that acquires the resource ([`crate::AcquireSite`]).
    AcquireSite,
    /// What keeps the resource alive in a running program ([`crate::Holder`]).
    Holder,
}

impl Join {
    /// The word every format uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AcquireSite => "acquire-site",
            Self::Holder => "holder",
        }
    }
}

/// A rule, apart from its logic. Rules keep one in a `static`.
#[derive(Debug)]
pub struct RuleMeta {
    /// The stable code.
    pub code: RuleCode,
    /// The defect in kebab-case (`resource-never-closed`), not the remedy.
    pub name: &'static str,
    /// One line without a full stop, as `residue rules` lists it.
    pub summary: &'static str,
    /// The family; its letter opens the code.
    pub family: Family,
    /// CWE numbers, the closest first.
    pub cwe: &'static [u32],
    /// The usual severity; a finding may differ by the kind of resource.
    pub severity: Severity,
    /// The usual confidence; a finding may differ.
    pub confidence: Confidence,
    /// Whether the rule runs without being asked for.
    pub default_on: bool,
    /// The join keys its findings carry.
    pub joins: &'static [Join],
    /// The `//!` comment that opens the rule's source file, made by
    /// [`crate::module_docs`]. Read it by [`RuleMeta::page`].
    pub docs: &'static str,
}

//! What every lens of residue reports.
//!
//! A [`Finding`] is plain owned data: it holds no syntax tree ids, no handles
//! and no borrowed text, so a finding outlives the analysis that made it and
//! findings of different lenses can be put side by side. Lenses depend on this
//! crate; this crate depends on no lens, does no I/O and knows no file format.
//!
//! - [`RuleMeta`] describes a rule: its code, name, weight and documentation.
//! - [`Finding`], [`Step`] and [`Site`] say what is left behind, on which path.
//! - [`AcquireSite`] is the key by which other lenses join a finding.
//! - [`Fingerprint`] tells findings apart across edits of the source.
//! - [`Outcome`] is a whole run: findings, what was suppressed, what could not
//!   be analysed. Every output format prints an `Outcome` and nothing else.

mod date;
mod docs;
mod finding;
mod fingerprint;
mod outcome;
mod rule;
mod site;

pub use date::Date;
pub use docs::{DOC_HEADINGS, DocSection, module_docs};
pub use finding::{Edit, Finding, Help, Holder, Step, StepRole};
pub use fingerprint::{Fingerprint, normalise_expression};
pub use outcome::{
    BaselineUse, Counter, Diagnostic, DisabledRule, LeftOut, Missing, Outcome, Phase, StaleEntry, Stats, Summary,
    Suppressed, SuppressedBy,
};
pub use rule::{Confidence, Family, Join, ParseNameError, RuleCode, RuleMeta, Severity};
pub use site::{AcquireSite, Position, Site, Span};

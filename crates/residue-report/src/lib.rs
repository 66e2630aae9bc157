//! What a run found, for people and for programs: text, JSON, SARIF, and what GitHub, GitLab and build servers read.
//!
//! This is the only place with serialised shapes. Reports get source text
//! through [`Sources`] and write to the writer they are given; they open no
//! file and know no terminal. In every format, literals that look like
//! credentials are hidden, and characters that could talk to a terminal are
//! written out.

pub mod flame;
mod github;
mod gitlab;
mod json;
mod junit;
mod line_hash;
mod mask;
mod place;
pub mod pprof;
mod sarif;
mod source;
mod talk;
mod text;
mod visible;
mod xml;

use residue_finding::{Outcome, RuleCode, RuleMeta, Summary};

pub use github::write_github;
pub use gitlab::write_gitlab;
pub use json::{SCHEMA_VERSION, write_json, write_json_lines, write_rules_json};
pub use junit::write_junit;
pub use place::Place;
pub use sarif::write_sarif;
pub use source::Sources;
pub use talk::{Talk, plural, write_talk};
pub use text::{TextStyle, write_text};
pub use xml::xml_text;

/// What there is to report.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    /// The run; [`Outcome::finish`] has been called.
    pub outcome: &'a Outcome,
    /// The rules there are, to name those that found something.
    pub rules: &'a [&'static RuleMeta],
    /// Who found it.
    pub tool: Tool<'a>,
    /// The text that was analysed.
    pub sources: &'a dyn Sources,
    /// Where the run took place, for formats that name files as seen from the root of the repository.
    pub place: Place<'a>,
    /// Whether findings that are held back are listed, beside being counted.
    pub suppressed: bool,
}

impl Report<'_> {
    /// The name of a rule; empty when it isn't known.
    fn rule_name(&self, code: RuleCode) -> &'static str {
        self.rules.iter().find(|rule| rule.code == code).map_or("", |rule| rule.name)
    }
}

/// Who made a report.
#[derive(Clone, Copy, Debug)]
pub struct Tool<'a> {
    /// The version of residue.
    pub version: &'a str,
    /// The Go version of the embedded declarations of the standard library.
    pub std_version: &'a str,
}

/// What a configuration switched off. Whoever reviews a change of that file is to see it.
struct SwitchedOff<'a> {
    /// `R209 is switched off`.
    what: String,
    /// The file and line that does it.
    by: &'a str,
}

impl SwitchedOff<'_> {
    fn text(&self) -> String {
        text::clean(&format!("{} by {}", self.what, self.by))
    }
}

fn switched_off(summary: &Summary) -> impl Iterator<Item = SwitchedOff<'_>> {
    let disabled = summary.disabled.iter();
    let disabled = disabled.map(|rule| SwitchedOff { what: format!("{} is switched off", rule.code), by: &rule.by });
    let left_out = summary.left_out.iter();
    let left_out = left_out.map(|paths| SwitchedOff { what: format!("{} is left out", paths.pattern), by: &paths.by });
    disabled.chain(left_out)
}

/// A name from outside, with hidden characters written out. Not masked: it would name something else.
pub fn shown_name(name: &str) -> String {
    visible::line(name).into_owned()
}

/// Text from outside, ready to be shown on one line of a terminal: credentials
/// hidden, hidden characters written out.
pub fn shown(text: &str) -> String {
    text::clean(text)
}

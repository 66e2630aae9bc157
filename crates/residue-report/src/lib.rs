//! Text, JSON and JSON lines from what a run found.
//!
//! This is the only place with serialised shapes. Reports get source text
//! through [`Sources`] and write to the writer they are given; they open no
//! file and know no terminal. In every format, literals that look like
//! credentials are hidden, and characters that could talk to a terminal are
//! written out.

mod json;
mod mask;
mod source;
mod talk;
mod text;
mod visible;

use residue_finding::{Outcome, RuleMeta};

pub use json::{SCHEMA_VERSION, write_json, write_json_lines, write_rules_json};
pub use source::Sources;
pub use talk::{Talk, write_talk};
pub use text::{TextStyle, write_text};

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
}

/// Who made a report.
#[derive(Clone, Copy, Debug)]
pub struct Tool<'a> {
    /// The version of residue.
    pub version: &'a str,
    /// The Go version of the embedded declarations of the standard library.
    pub std_version: &'a str,
}

/// Text from outside, ready to be shown on one line of a terminal: credentials
/// hidden, hidden characters written out.
pub fn shown(text: &str) -> String {
    text::clean(text)
}

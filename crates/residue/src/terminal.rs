//! The two streams: what may be coloured, and how errors are said.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use clap::builder::styling::{AnsiColor, Effects, Style};
use residue_report::TextStyle;

use crate::args::Color;
use crate::error::Error;

const ERROR: Style = AnsiColor::BrightRed.on_default().effects(Effects::BOLD);
const HINT: Style = AnsiColor::BrightCyan.on_default().effects(Effects::BOLD);

/// What the streams are, and what the user wants on them.
pub(crate) struct Terminal {
    out: TextStyle,
    talk: TextStyle,
    /// Somebody is watching the talk.
    live: bool,
    quiet: bool,
}

impl Terminal {
    pub(crate) fn new(color: Color, quiet: bool) -> Self {
        let out = std::io::stdout().is_terminal();
        let talk = std::io::stderr().is_terminal();
        // https://no-color.org: any value but the empty one.
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let wanted = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !set("NO_COLOR") && !dumb,
        };
        Self {
            out: TextStyle { colour: wanted(out) },
            talk: TextStyle { colour: wanted(talk) },
            live: talk && !dumb,
            quiet,
        }
    }

    /// For when it isn't known what the user wants.
    pub(crate) fn plain() -> Self {
        Self { out: TextStyle::default(), talk: TextStyle::default(), live: false, quiet: false }
    }

    /// How data looks.
    pub(crate) fn out(&self) -> TextStyle {
        self.out
    }

    /// How talk looks.
    pub(crate) fn talk(&self) -> TextStyle {
        self.talk
    }

    /// Whether a line that updates itself may be shown.
    pub(crate) fn shows_progress(&self) -> bool {
        self.live && !self.quiet
    }

    /// Only errors are wanted on stderr.
    pub(crate) fn quiet(&self) -> bool {
        self.quiet
    }

    /// Says an error. There is nobody to tell when that fails.
    pub(crate) fn error(&self, error: &Error) {
        let mut text = format!("{}: {}\n", self.paint(ERROR, "error"), residue_report::shown(error.message()));
        for hint in error.hints() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}: {}", self.paint(HINT, "hint"), residue_report::shown(hint));
        }
        Self::say(&text);
    }

    /// Says how it went, unless only errors are wanted.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            Self::say(&format!("{}\n", residue_report::shown(text)));
        }
    }

    /// Says what to do next, unless only errors are wanted.
    pub(crate) fn hint(&self, text: &str) {
        if !self.quiet {
            Self::say(&format!("{}: {}\n", self.paint(HINT, "hint"), residue_report::shown(text)));
        }
    }

    /// Writes to stderr.
    pub(crate) fn say(text: &str) {
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.talk.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

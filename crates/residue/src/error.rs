//! What can go wrong for a user, and the exit code it means.

use std::process::ExitCode;

/// How the program ends. The same in every output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Nothing found at or above `--fail-on`, and everything was analysed.
    Clean,
    /// Something found at or above `--fail-on`.
    Findings,
    /// The command line or the configuration is wrong.
    Usage,
    /// Something could not be analysed.
    Incomplete,
}

impl Exit {
    /// `--help` and `--version` end well, everything else clap says does not.
    pub(crate) fn from_clap(error: &clap::Error) -> Self {
        if error.use_stderr() { Self::Usage } else { Self::Clean }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Clean => 0,
            Exit::Findings => 1,
            Exit::Usage => 2,
            Exit::Incomplete => 3,
        })
    }
}

/// A message for the user: what is wrong, in one line without a full stop, and
/// what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Error {
    exit: Exit,
    message: String,
    hints: Vec<String>,
}

impl Error {
    /// The command line or the configuration is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), hints: Vec::new() }
    }

    /// The command line is fine, the work could not be done.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Incomplete, message: message.into(), hints: Vec::new() }
    }

    /// A panic came through.
    pub(crate) fn bug(message: &str) -> Self {
        Self::failed(format!("this is a bug in residue: {message}"))
            .hint("please report it with the command line and, if you can, the code it was run on")
            .hint("RUST_BACKTRACE=1 shows where it happened")
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds what to do about it, if anything comes to mind.
    pub(crate) fn maybe_hint(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The message with its hints, a line each.
    pub(crate) fn said(&self) -> String {
        self.hints.iter().fold(self.message.clone(), |said, hint| format!("{said}\nhint: {hint}"))
    }

    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }
}

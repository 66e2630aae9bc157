//! The command line: what was asked for, run, and said.
//!
//! This is the only crate that prints, reads the environment or decides on an
//! exit code. It is a library so that the documentation of the flags is made
//! from their definition.

#![allow(clippy::disallowed_methods, reason = "this is the crate that reads files and the environment")]

mod args;
mod baseline;
mod cache;
mod change;
mod commands;
mod config;
mod engine;
mod error;
mod figures;
mod gate;
mod graphviz;
mod lsp;
mod markdown;
mod output;
mod paths;
mod platforms;
mod progress;
mod settings;
mod suggest;
mod terminal;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, Command};
use crate::error::{Error, Exit};
use crate::terminal::Terminal;

pub use crate::engine::rules;

/// Runs the program.
pub fn main() -> ExitCode {
    let bug = BugReport::install();
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Help goes to stdout and is no error. A closed pipe is no news.
            let _ = error.print();
            return Exit::from_clap(&error).into();
        }
    };
    let exit = std::panic::catch_unwind(AssertUnwindSafe(|| match Cli::from_arg_matches(&matches) {
        Ok(cli) => run(cli),
        Err(error) => {
            let _ = error.print();
            Exit::Usage
        }
    }));
    exit.unwrap_or_else(|_| bug.report()).into()
}

/// The command line's definition, from which help, man page, completions and
/// the reference in `docs/` are made.
pub fn command() -> clap::Command {
    Cli::command().version(engine::version())
}

fn run(cli: Cli) -> Exit {
    let terminal = Terminal::new(cli.color, cli.quiet);
    let result = match cli.command {
        Command::Check(args) => commands::check::run(args, &terminal),
        Command::Inspect(args) => commands::inspect::run(&args, &terminal),
        #[cfg(target_os = "linux")]
        Command::Trace(args) => commands::trace::run(&args, &terminal),
        #[cfg(not(target_os = "linux"))]
        Command::Trace(_) => Err(Error::failed("`residue trace` asks the Linux kernel, and this isn't one")
            .hint("run it where the program runs; `--replay FILE` reads on Linux what `--record FILE` wrote there")),
        Command::Bpf(args) => commands::bpf::run(&args, &terminal),
        Command::Baseline(args) => commands::baseline::run(args, &terminal),
        Command::Cache(args) => commands::cache::run(args, &terminal),
        Command::Config(args) => commands::config::run(args, &terminal),
        Command::Lsp(args) => commands::lsp::run(*args),
        Command::Rules(args) => commands::rules::run(&args, &terminal),
        Command::Explain(args) => commands::explain::run(&args, &terminal),
        Command::Debug(args) => commands::debug::run(&args),
        Command::Completion(args) => commands::generate::completion(&args),
        Command::Man => commands::generate::man(),
    };
    result.unwrap_or_else(|error: Error| {
        terminal.error(&error);
        error.exit()
    })
}

/// What a panic says to the user: that it is a bug, where, and nothing else.
struct BugReport(&'static Mutex<Option<String>>);

impl BugReport {
    /// From here on panics are silent until they reach the top; analysis may
    /// catch one, go on, and report what it could not analyse.
    fn install() -> Self {
        static LAST: Mutex<Option<String>> = Mutex::new(None);
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map_or_else(String::new, |at| format!("{}:{}: ", at.file(), at.line()));
            let message = info.payload_as_str().unwrap_or("no message");
            *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{place}{message}"));
            if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
                default(info);
            }
        }));
        Self(&LAST)
    }

    fn report(&self) -> Exit {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let error = Error::bug(last.as_deref().unwrap_or("no message"));
        Terminal::plain().error(&error);
        error.exit()
    }
}

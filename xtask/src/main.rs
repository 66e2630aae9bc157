//! Tasks of the workspace: `cargo xtask docs | tidy | new-rule | conformance | stdlib | layouts | bpf`.

#![allow(clippy::disallowed_methods, reason = "tasks read and write the files of the workspace")]

mod bpf;
mod conformance;
mod docs;
mod layouts;
mod new_rule;
mod stdlib;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

/// Tasks of the workspace
#[derive(Debug, Parser)]
#[command(name = "xtask")]
enum Task {
    /// Write the pages of `docs/` that are made from the code
    Docs,
    /// Check what the compiler doesn't: layering, documentation, licences (a test does so too)
    Tidy,
    /// Start a rule: its file, its entries in the list of rules, its fixtures
    NewRule(new_rule::NewRuleArgs),
    /// Compare our reading of Go with Go's own
    #[command(subcommand)]
    Conformance(conformance::Conformance),
    /// Make the embedded declarations of the standard library from a Go tree
    Stdlib(StdlibArgs),
    /// Compile the eBPF programs
    Bpf(bpf::BpfArgs),
    /// Make the table of layouts of the runtime's structs from releases of Go
    Layouts(layouts::LayoutsArgs),
}

/// Arguments of `stdlib`.
#[derive(Debug, clap::Args)]
struct StdlibArgs {
    /// The Go tree: GOROOT of the release that is to be embedded
    goroot: PathBuf,
    /// Only say whether the embedded declarations are those of the tree
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Docs => docs::write(&root()),
        Task::Tidy => match tidy::problems(&root()) {
            problems if problems.is_empty() => Ok(()),
            problems => Err(problems.join("\nerror: ").into()),
        },
        Task::NewRule(args) => new_rule::run(&args, &root()).map(|said| say(&said)),
        Task::Conformance(task) => {
            conformance::run(&task).and_then(|agree| if agree { Ok(()) } else { Err("they differ".into()) })
        }
        Task::Bpf(args) => bpf::run(&args, &root()).map(|said| say(&said)),
        Task::Layouts(args) => layouts::run(&args, &root()).map(|said| say(&said)),
        Task::Stdlib(args) => stdlib::run(&args.goroot, &root(), args.check).map(|said| say(&said)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr, reason = "a task talks to whoever started it")]
fn say(text: &str) {
    eprintln!("{}", text.trim_end());
}

/// The root of the workspace.
fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

//! What can be typed. Help, man page, completions and `docs/cli.md` are made
//! from these definitions.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use residue_finding::Severity;

use crate::platforms::Platform;

/// Finds what Go programs leave behind
#[derive(Debug, Parser)]
#[command(name = "residue", arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 nothing found, 1 findings, 2 wrong usage or configuration, 3 something could \
                        not be analysed.")]
pub(crate) struct Cli {
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, env = "RESIDUE_COLOR", hide_env = true)]
    pub(crate) color: Color,

    /// Say nothing but errors beside the report
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find resources that Go source code never releases
    #[command(after_help = CHECK_AFTER_HELP)]
    Check(Box<CheckArgs>),
    /// Look into a running Go program or a core: goroutines, what they have deferred, panics
    Inspect(crate::commands::inspect::InspectArgs),
    /// Follow the descriptors that programs open, and tell which are never closed
    #[cfg(target_os = "linux")]
    Trace(crate::commands::trace::TraceArgs),
    /// Follow the descriptors that programs open (on Linux)
    #[cfg(not(target_os = "linux"))]
    Trace(LinuxOnlyArgs),
    /// Show the eBPF objects of the kernel and what keeps them: descriptors, pins, programs, links
    Bpf(crate::commands::bpf::BpfArgs),
    /// Keep a list of known findings, so that only new ones are reported
    #[command(after_help = BASELINE_AFTER_HELP)]
    Baseline(BaselineArgs),
    /// Look at what is kept between runs
    #[command(after_help = CACHE_AFTER_HELP)]
    Cache(CacheArgs),
    /// Look at the configuration
    Config(ConfigArgs),
    /// Serve an editor: findings while you type (LSP on stdin and stdout)
    #[command(after_help = LSP_AFTER_HELP)]
    Lsp(Box<LspArgs>),
    /// List the rules
    Rules(RulesArgs),
    /// Say what a rule finds, why that leaks and how to fix it
    Explain(ExplainArgs),
    /// Show what rules see of a function, for those who write rules
    Debug(crate::commands::debug::DebugArgs),
    /// Write a completion script for a shell
    Completion(CompletionArgs),
    /// Write the manual page
    Man,
}

const CHECK_AFTER_HELP: &str = "\
Source is read as it is: nothing is built, downloaded or run (but git, for --diff REV), and no Go
tool chain is needed.
Flags win over RESIDUE_* variables (RESIDUE_FAIL_ON=error), these over .residue.toml.

Examples:
  residue check ./cmd ./internal                           directories, with what is below them
  residue check --diff origin/main                         what the branch causes
  residue check --baseline .residue-baseline.toml          what came since the baseline was written
  residue check --format github --format sarif=out.sarif   annotations, and a file to upload

Exit codes: 0 nothing found at or above --fail-on, 1 findings, 2 wrong usage or configuration,
3 something could not be analysed.";

const BASELINE_AFTER_HELP: &str = "\
The file is --baseline, else `baseline` of the configuration, else .residue-baseline.toml at the
root of the repository.

Examples:
  residue baseline write            adopt: from here on only new findings count
  residue check --baseline .residue-baseline.toml
  residue baseline prune            after a fix: forget what is no longer found

Exit codes: 0 in step, 1 findings that are not in it or entries that are no longer found (`check`),
2 wrong usage or configuration, 3 something could not be analysed.";

const CACHE_AFTER_HELP: &str = "\
`residue check` keeps what it finds, and takes it from there where nothing has changed that it
depends on. It goes by what files hold: nothing has to be cleaned to be right. What was used longest
ago is dropped by itself.

Examples:
  residue cache show
  residue cache clean
  residue check --no-cache                    everything anew, and nothing kept
  RESIDUE_CACHE_DIR=/ci/cache residue check   in CI, kept from job to job

Exit codes: 0 done, 2 wrong usage, 3 the directory cannot be read or written.";
const LSP_AFTER_HELP: &str = "\
An editor starts this. Each directory that it has open is analysed as `residue check` would in it:
the same flags, RESIDUE_* variables, .residue.toml, baseline and suppressions count; buffers that
are not saved are read in the place of their files. Patterns are those of each directory.

Examples:
  residue lsp                   what an editor is to start; docs/editor.md has the settings of several
  residue lsp --tests ./...     look at tests too

Exit codes: 0 the editor ended it in order, 1 it went without a word, 2 wrong usage, 3 what it said
could not be read.";

/// What is looked for and at, the same for every command that analyses.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LookArgs {
    /// Directories, with everything below them, or Go package patterns (default: ./...)
    #[arg(value_name = "PATTERN", value_hint = ValueHint::DirPath)]
    pub(crate) patterns: Vec<String>,

    /// Run only this rule, by code or name; `all` includes rules that are off by default (repeatable)
    #[arg(long, value_name = "CODE", help_heading = "What is looked for")]
    pub(crate) rule: Vec<String>,

    /// Read a further model of what library functions do with resources (repeatable)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "What is looked for")]
    pub(crate) model: Vec<PathBuf>,

    /// Leave out paths that match, as in .gitignore (repeatable)
    #[arg(long, value_name = "GLOB", help_heading = "What is looked at")]
    pub(crate) exclude: Vec<String>,

    /// Look at _test.go files too
    #[arg(
        long,
        overrides_with = "no_tests",
        env = "RESIDUE_TESTS",
        hide_env = true,
        help_heading = "What is looked at"
    )]
    #[arg(value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) tests: bool,

    /// Leave _test.go files out, whatever the configuration says
    #[arg(long, overrides_with = "tests", help_heading = "What is looked at")]
    pub(crate) no_tests: bool,

    /// Look below vendor directories too
    #[arg(long, help_heading = "What is looked at")]
    pub(crate) include_vendor: bool,

    /// Build tags, beside those of GOFLAGS
    #[arg(long, value_name = "TAG", value_delimiter = ',', env = "RESIDUE_TAGS", hide_env = true)]
    #[arg(help_heading = "What is looked at")]
    pub(crate) tags: Vec<String>,

    /// Operating system that the code is built for (default: GOOS, or this one)
    #[arg(long, value_name = "OS", help_heading = "What is looked at")]
    pub(crate) goos: Option<String>,

    /// Architecture that the code is built for (default: GOARCH, or this one)
    #[arg(long, value_name = "ARCH", help_heading = "What is looked at")]
    pub(crate) goarch: Option<String>,

    /// Look at the build for this platform, with these build tags; several are merged into one report (repeatable)
    #[arg(long, value_name = "GOOS/GOARCH[,TAG]", conflicts_with_all = ["goos", "goarch"])]
    #[arg(help_heading = "What is looked at")]
    pub(crate) platform: Vec<Platform>,

    /// Let `replace` and `use` lines and links lead below this directory, outside the repository (repeatable)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "What is looked at")]
    pub(crate) allow_path: Vec<PathBuf>,

    /// A file with findings that are known and not reported; `residue baseline write` makes one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "RESIDUE_BASELINE", hide_env = true)]
    #[arg(help_heading = "What counts")]
    pub(crate) baseline: Option<PathBuf>,

    /// Use this configuration, not the .residue.toml found upward from the first pattern
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "RESIDUE_CONFIG", hide_env = true)]
    pub(crate) config: Option<PathBuf>,

    /// Keep results here for the next run (default: residue in `$XDG_CACHE_HOME` or ~/.cache); not in what is analysed
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, env = "RESIDUE_CACHE_DIR", hide_env = true)]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Analyse everything, and keep nothing for the next run
    #[arg(long, env = "RESIDUE_NO_CACHE", hide_env = true)]
    #[arg(value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) no_cache: bool,

    /// Threads to use (default: one for each processor)
    #[arg(long, short, value_name = "N", env = "RESIDUE_JOBS", hide_env = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
}

#[derive(Debug, Default, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) look: LookArgs,

    /// Report only what a change causes: since a revision (its merge base with HEAD), or of a .patch file (`-` is stdin)
    #[arg(long, value_name = "REV|PATCH", allow_hyphen_values = true, env = "RESIDUE_DIFF", hide_env = true)]
    #[arg(help_heading = "What counts")]
    pub(crate) diff: Option<String>,

    /// Drop entries of the baseline for which there is no finding any more
    #[arg(long, help_heading = "What counts")]
    pub(crate) prune_baseline: bool,

    /// The least severity that makes the exit code 1: error, warning, note or never (default: warning)
    #[arg(long, value_name = "SEVERITY", env = "RESIDUE_FAIL_ON", hide_env = true, help_heading = "What counts")]
    pub(crate) fail_on: Option<FailOn>,

    /// Count missing dependencies as something that could not be analysed
    #[arg(long, env = "RESIDUE_STRICT", hide_env = true, help_heading = "What counts")]
    #[arg(value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) strict: bool,

    /// Write text, json, jsonl, sarif, github, gitlab or junit to stdout, or to a file: `sarif=out.sarif` (repeatable)
    #[arg(long, value_name = "FORMAT[=FILE]", env = "RESIDUE_FORMAT", hide_env = true)]
    #[arg(value_delimiter = ',', help_heading = "What is said")]
    pub(crate) format: Vec<Format>,

    /// Leave findings that are held back out of the reports, which otherwise list them as such
    #[arg(long, help_heading = "What is said")]
    pub(crate) omit_suppressed: bool,

    /// Say where the time went and what was missing
    #[arg(long, help_heading = "What is said")]
    pub(crate) stats: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LspArgs {
    #[command(flatten)]
    pub(crate) look: LookArgs,

    /// Talk on stdin and stdout; there is no other way, editors say it all the same
    #[arg(long)]
    pub(crate) stdio: bool,
}

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct BaselineArgs {
    #[command(subcommand)]
    pub(crate) command: BaselineCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BaselineCommand {
    /// Write all present findings into the file; reasons given in it are kept
    #[command(after_help = BASELINE_AFTER_HELP)]
    Write(Box<LookArgs>),
    /// Say which findings are not in the file, and which of its entries are no longer found
    #[command(after_help = BASELINE_AFTER_HELP)]
    Check(Box<LookArgs>),
    /// Drop entries that are no longer found; nothing is added
    #[command(after_help = BASELINE_AFTER_HELP)]
    Prune(Box<LookArgs>),
}

/// Whatever is typed behind a command that needs the Linux kernel.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Args)]
pub(crate) struct LinuxOnlyArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _words: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Remove what is kept
    Clean(CacheDirArgs),
    /// Say where results are kept, and how much that is
    Show(CacheDirArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CacheDirArgs {
    /// The directory (default: residue in `$XDG_CACHE_HOME` or ~/.cache)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, env = "RESIDUE_CACHE_DIR", hide_env = true)]
    pub(crate) cache_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether a configuration can be used as it is, with the models and the baseline it names
    Check(ConfigFileArgs),
    /// Print what is in force, as a configuration
    Print(ConfigFileArgs),
    /// Print the JSON schema of .residue.toml
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFileArgs {
    /// The file (default: the .residue.toml found upward from the working directory)
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, env = "RESIDUE_CONFIG", hide_env = true)]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    /// How to list them
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub(crate) format: ListFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Codes or names of rules
    #[arg(value_name = "CODE", required = true)]
    pub(crate) rules: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    Text,
    Json,
}

/// A kind of report and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) kind: FormatKind,
    /// None is stdout.
    pub(crate) path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormatKind {
    Text,
    Json,
    JsonLines,
    Sarif,
    GitHub,
    GitLab,
    JUnit,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, path) = match text.split_once('=') {
            Some((_, "")) => return Err("no file after `=`".to_owned()),
            Some((kind, path)) => (kind, Some(PathBuf::from(path))),
            None => (text, None),
        };
        let kind = match kind {
            "text" => FormatKind::Text,
            "json" => FormatKind::Json,
            "jsonl" => FormatKind::JsonLines,
            "sarif" => FormatKind::Sarif,
            "github" => FormatKind::GitHub,
            "gitlab" => FormatKind::GitLab,
            "junit" => FormatKind::JUnit,
            _ => {
                let known = "text, json, jsonl, sarif, github, gitlab or junit";
                return Err(format!("expected {known}, and a file after `=` if you like"));
            }
        };
        Ok(Self { kind, path })
    }
}

/// From which severity on findings make the run fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailOn {
    Severity(Severity),
    Never,
}

impl FailOn {
    /// Whether findings pass that would usually fail a run.
    pub(crate) fn lets_pass(self) -> bool {
        !matches!(self, Self::Severity(Severity::Note | Severity::Warning))
    }
}

impl fmt::Display for FailOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Severity(severity) => fmt::Display::fmt(severity, f),
            Self::Never => f.write_str("never"),
        }
    }
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "never" => Ok(Self::Never),
            _ => text.parse().map(Self::Severity).map_err(|_| "expected error, warning, note or never".to_owned()),
        }
    }
}

//! `residue trace`: what becomes of the descriptors that programs open.

mod against;
mod json;
mod pprof;
mod record;
mod sources;
mod text;
mod time;
mod watch;

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use residue_ebpf::tracer::{self, Programs, Scope, Tracer};
use residue_fd::{Ledger, Policy, Report};
use residue_finding::{Outcome, Severity};
use residue_report::Place;

use self::against::Against;
use self::record::Recorder;
use self::sources::Sources;
use crate::error::{Error, Exit};
use crate::terminal::Terminal;
use crate::{engine, output, paths};

const AFTER_HELP: &str = "\
The kernel itself keeps count, by eBPF: nothing is read from the processes but their stacks, and they are not stopped.
A leak is an opener whose number of open descriptors grew in each of the last three windows, or that never closed one of
several when the command ended. SIGUSR1 shows how things stand and goes on; ctrl-c ends it with the report.

Examples:
  residue trace -- ./server                what it leaves open until it ends, or until you press ctrl-c
  residue trace -p 812 --for 30s           a process that runs, and its children
  residue trace -p 812 --for 1m --format pprof > fds.pprof && go tool pprof -http :8080 fds.pprof
  residue trace --against findings.json -- go test ./...
                                           which findings of `residue check --format json` a test confirms

Exit codes: 0 no leak, 1 leaks, 2 wrong usage, 3 it could not be followed.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct TraceArgs {
    /// Run this command, and follow it and its children
    #[arg(value_name = "CMD", last = true, value_hint = ValueHint::CommandWithArguments)]
    command: Vec<std::ffi::OsString>,

    /// Follow this process and its children (repeatable)
    #[arg(long, short, value_name = "PID", help_heading = "What is followed")]
    pid: Vec<u32>,

    /// Follow the processes of this cgroup (v2), by its folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "What is followed")]
    cgroup: Option<PathBuf>,

    /// Follow all processes
    #[arg(long, help_heading = "What is followed")]
    all: bool,

    /// End after so long: 30s, 5m, 1h
    #[arg(long = "for", value_name = "TIME", value_parser = time::parse, help_heading = "When")]
    duration: Option<std::time::Duration>,

    /// End when nothing was opened or closed for so long
    #[arg(long, value_name = "TIME", value_parser = time::parse, help_heading = "When")]
    until_idle: Option<std::time::Duration>,

    /// Look for growth in windows of this length (default: 10s, or a fifth of --for if that is less)
    #[arg(long, value_name = "TIME", value_parser = time::parse, help_heading = "When")]
    window: Option<std::time::Duration>,

    /// Don't count what grows before (default: one window)
    #[arg(long, value_name = "TIME", value_parser = time::parse, help_heading = "When")]
    warmup: Option<std::time::Duration>,

    /// So many left open at the exit of CMD are a leak, if their opener closed none
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "What counts")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    min_live: u64,

    /// Take the stack of every close too, so that both sides of a double close are told; costs more
    #[arg(long, help_heading = "How closely")]
    closes: bool,

    /// Look at panics of Go programs too, and name descriptors that a recovered one left open
    #[arg(long, conflicts_with = "no_stacks", help_heading = "How closely")]
    panics: bool,

    /// Take no stacks: count by system call, at the least cost
    #[arg(long, conflicts_with = "closes", help_heading = "How closely")]
    no_stacks: bool,

    /// Make room for so many open descriptors
    #[arg(long, value_name = "N", help_heading = "How closely")]
    #[arg(value_parser = clap::value_parser!(u32).range(64..=16_777_216))]
    room: Option<u32>,

    /// Say of each finding that `residue check --format json` wrote to this file whether it is confirmed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "What is said")]
    against: Option<PathBuf>,

    /// Write what the kernel says to a file too, for --replay
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "What is said")]
    record: Option<PathBuf>,

    /// Look at a recording, not at processes
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "What is followed")]
    #[arg(conflicts_with_all = ["pid", "cgroup", "all", "record", "command"])]
    replay: Option<PathBuf>,

    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "What is said")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    /// A profile that `go tool pprof` opens
    Pprof,
}

/// What is shown.
struct Shown<'a> {
    report: &'a Report,
    outcome: &'a Outcome,
    against: Option<Against>,
}

pub(crate) fn run(args: &TraceArgs, terminal: &Terminal) -> Result<Exit, Error> {
    // What can go wrong quickly does so before anything is followed.
    let known = args.against.as_deref().map(against::read).transpose()?;
    let mut ledger = Ledger::new(policy(args));
    match &args.replay {
        Some(recording) => record::replay(recording, &mut ledger)?,
        None => follow(args, &mut ledger, terminal)?,
    }
    let report = ledger.report();
    let dir = std::env::current_dir().unwrap_or_default();
    let mut sources = Sources::default();
    let mut outcome = Outcome { findings: residue_fd::rules::findings(&report), ..Outcome::default() };
    for finding in &mut outcome.findings {
        sources.place(finding, &dir);
    }
    outcome.finish();
    let against = known.map(|known| against::against(known, &report));
    let shown = Shown { report: &report, outcome: &outcome, against };
    output::stdout(|out| match args.format {
        Format::Json => json::write(&shown, out),
        Format::Pprof => pprof::write(&report, out),
        Format::Text => text(&shown, &sources, &paths::slashed(&dir), terminal, out),
    })?;
    if let Some(finding) = outcome.findings.first().filter(|_| args.format == Format::Text) {
        terminal.hint(&format!("`residue explain {}` says why it leaks", finding.rule));
    }
    let leaks = outcome.count_at_least(Severity::Warning) > 0;
    Ok(if leaks { Exit::Findings } else { Exit::Clean })
}

fn text(
    shown: &Shown<'_>,
    sources: &Sources,
    dir: &str,
    terminal: &Terminal,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    text::summary(shown.report, out)?;
    if !shown.outcome.findings.is_empty() {
        writeln!(out)?;
    }
    let findings = residue_report::Report {
        outcome: shown.outcome,
        rules: engine::rules(),
        tool: engine::tool(),
        sources,
        place: Place { dir, root: dir },
        suppressed: false,
    };
    residue_report::write_text(&findings, terminal.out(), out)?;
    match &shown.against {
        Some(against) => against::write(against, shown.report, out),
        None => Ok(()),
    }
}

fn follow(args: &TraceArgs, ledger: &mut Ledger, terminal: &Terminal) -> Result<(), Error> {
    let programs = Programs::default();
    let options = tracer::Options {
        scope: scope(args)?,
        stacks: !args.no_stacks,
        every_close: args.closes,
        panics: args.panics,
        live_max: args.room,
    };
    let recorder = Recorder::open(args.record.as_deref())?;
    let tracer = Tracer::start(&options, &programs).map_err(|error| refused(&error))?;
    watch::watch(tracer, args, recorder, ledger, terminal)
}

fn scope(args: &TraceArgs) -> Result<Scope, Error> {
    if args.command.is_empty() && args.pid.is_empty() && args.cgroup.is_none() && !args.all {
        return Err(Error::usage("there is nothing to follow")
            .hint("`residue trace -- CMD` runs a command, `-p PID` follows a process, `--all` follows all"));
    }
    match &args.cgroup {
        None if args.all => Ok(Scope::Everybody),
        None => Ok(Scope::Told),
        Some(folder) => {
            use std::os::unix::fs::MetadataExt as _;
            let wrong = |why: String| Error::usage(format!("{} is no cgroup: {why}", folder.display()));
            let folder = folder.canonicalize().map_err(|error| wrong(error.to_string()))?;
            if !folder.join("cgroup.procs").exists() {
                return Err(wrong("it has no cgroup.procs".to_owned()));
            }
            let id = folder.metadata().map_err(|error| wrong(error.to_string()))?.ino();
            let above = folder.ancestors().skip(1).take_while(|above| above.join("cgroup.procs").exists());
            Ok(Scope::Cgroup { id, level: i32::try_from(above.count()).unwrap_or(i32::MAX) })
        }
    }
}

fn policy(args: &TraceArgs) -> Policy {
    let default = std::time::Duration::from_secs(10);
    let window = args.window.unwrap_or_else(|| args.duration.map_or(default, |whole| default.min(whole / 5)));
    let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    Policy { window_ns: nanos(window).max(1), warmup_ns: nanos(args.warmup.unwrap_or(window)), min_live: args.min_live }
}

fn refused(error: &tracer::Error) -> Error {
    let mut message = Error::failed(error.to_string());
    match error {
        tracer::Error::Refused { missing, .. } => {
            for what in missing {
                message = message.hint(format!("it needs {what}"));
            }
            message.hint(
                "what a process has open now, without who opened it: ls -l /proc/PID/fd, or `residue inspect PID`",
            )
        }
        _ => message,
    }
}

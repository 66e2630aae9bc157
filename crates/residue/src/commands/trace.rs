//! `residue trace`: what becomes of the descriptors that programs open.

mod against;
mod flame;
mod follower;
mod format;
mod json;
mod pprof;
mod record;
mod sources;
mod stream;
mod text;
mod watch;

use std::path::PathBuf;

use clap::{Args, ValueHint};
use residue_ebpf::tracer::{self, Programs, Sampled, Sampler, Scope, Tracer};
use residue_fd::{Ledger, Policy, Report};
use residue_finding::{Outcome, Severity};
use residue_report::{Place, TextStyle};

use self::against::Against;
use self::follower::Follower;
use self::format::{Format, Kind};
use self::record::Recorder;
use self::sources::Sources;
use self::stream::Stream;
use crate::error::{Error, Exit};
use crate::figures::parse_time;
use crate::terminal::Terminal;
use crate::{engine, output, paths};

const AFTER_HELP: &str = "\
The kernel itself keeps count, by eBPF: nothing is read from the processes but their stacks, and they are not stopped.
A leak is an opener whose number of open descriptors grew in each of the last three windows, or that never closed one of
several when the command ended. SIGUSR1 shows how things stand and goes on; ctrl-c ends it with the report.

Examples:
  residue trace -- ./server                what it leaves open until it ends, or until you press ctrl-c
  residue trace -p 812 --for 30s           a process that runs, and its children
  residue trace -p 812 --for 1m --format text,svg=fds.svg,pprof=fds.pprof
                                           and a flame graph, and a profile for `go tool pprof`
  residue trace --all --format jsonl       what opens and closes, told while it does
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
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time, help_heading = "When")]
    duration: Option<std::time::Duration>,

    /// End when nothing was opened or closed for so long
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = "When")]
    until_idle: Option<std::time::Duration>,

    /// Look for growth in windows of this length (default: 10s, or a fifth of --for if that is less)
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = "When")]
    window: Option<std::time::Duration>,

    /// Don't count what grows before (default: one window)
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = "When")]
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

    /// Write text, json, jsonl (a stream), pprof or svg (a flame graph) to stdout, or to a file: `svg=fds.svg` (repeatable)
    #[arg(long, value_name = "FORMAT[=FILE]", default_value = "text", help_heading = "What is said")]
    #[arg(value_delimiter = ',')]
    format: Vec<Format>,
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
    let policy = policy(args);
    let mut ledger = Ledger::new(policy);
    let lines = args.format.iter().filter(|format| format.kind == Kind::JsonLines);
    let window = std::time::Duration::from_nanos(policy.window_ns);
    let mut streams = lines.map(|format| Stream::open(format, window)).collect::<Result<Vec<_>, _>>()?;
    match &args.replay {
        Some(recording) => record::replay(recording, &mut ledger, &mut streams)?,
        None => follow(args, &mut ledger, &mut streams, terminal)?,
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
    for stream in streams {
        stream.finish(&shown)?;
    }
    let dir = paths::slashed(&dir);
    for format in args.format.iter().filter(|format| format.kind != Kind::JsonLines) {
        let write = |out: &mut dyn std::io::Write| match format.kind {
            Kind::Json => json::write(&shown, out),
            Kind::Pprof => pprof::write(&report, out),
            Kind::Svg => flame::write(&report, out),
            Kind::Text | Kind::JsonLines => {
                let style = if format.path.is_some() { TextStyle::default() } else { terminal.out() };
                text(&shown, &sources, &dir, style, out)
            }
        };
        match &format.path {
            Some(path) => output::file(path, write)?,
            None => output::stdout(write)?,
        }
    }
    let is_read = args.format.iter().any(|format| format.kind == Kind::Text && format.path.is_none());
    if let Some(finding) = outcome.findings.first().filter(|_| is_read) {
        terminal.hint(&format!("`residue explain {}` says why it leaks", finding.rule));
    }
    let leaks = outcome.count_at_least(Severity::Warning) > 0;
    Ok(if leaks { Exit::Findings } else { Exit::Clean })
}

fn text(
    shown: &Shown<'_>,
    sources: &Sources,
    dir: &str,
    style: TextStyle,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    text::summary(shown.report, style, out)?;
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
    residue_report::write_text(&findings, style, out)?;
    match &shown.against {
        Some(against) => against::write(against, shown.report, out),
        None => Ok(()),
    }
}

fn follow(args: &TraceArgs, ledger: &mut Ledger, streams: &mut [Stream], terminal: &Terminal) -> Result<(), Error> {
    let programs = Programs::default();
    let options = tracer::Options {
        scope: scope(args)?,
        stacks: !args.no_stacks,
        every_close: args.closes,
        panics: args.panics,
        live_max: args.room,
    };
    let recorder = Recorder::open(args.record.as_deref())?;
    let follower = match Tracer::start(&options, &programs) {
        Ok(tracer) => Follower::Kernel(Box::new(tracer)),
        Err(error) if matches!(error, tracer::Error::Refused { .. }) && !needs_stacks(args) => {
            Follower::Proc(Box::new(sampler(args, &error, terminal)))
        }
        Err(error) => return Err(refused(&error)),
    };
    watch::watch(follower, args, watch::Sinks { recorder, streams }, ledger, terminal)
}

/// What was asked for can't be had from /proc.
fn needs_stacks(args: &TraceArgs) -> bool {
    args.closes || args.against.is_some()
}

/// The next best thing when eBPF is refused, with what is lost by it.
fn sampler(args: &TraceArgs, error: &tracer::Error, terminal: &Terminal) -> Sampler {
    terminal.note(&format!("{error}"));
    terminal.note("/proc is read instead: how many descriptors of which kind there are, and whether they grow.");
    terminal.note("Lost by that: who opens and closes them, and all that comes and goes between two looks");
    if let tracer::Error::Refused { missing, .. } = error {
        for what in missing {
            terminal.hint(&format!("with {what} stacks and exact counts can be had"));
        }
    }
    Sampler::new(match &args.cgroup {
        Some(folder) => Sampled::Cgroup(folder.clone()),
        None if args.all => Sampled::Everybody,
        None => Sampled::Told,
    })
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
            message.hint("without --closes and --against, /proc is read instead: kinds and growth, no stacks")
        }
        tracer::Error::Private(_) => {
            message.hint("it needs the same user without more privileges, CAP_SYS_PTRACE, or root")
        }
        _ => message,
    }
}

//! `residue trace`: what becomes of the descriptors that programs open.

mod text;
mod time;
mod watch;

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use residue_ebpf::tracer::{self, Programs, Scope, Tracer};
use residue_fd::{Ledger, Policy};

use crate::error::{Error, Exit};
use crate::output;
use crate::terminal::Terminal;

const AFTER_HELP: &str = "\
The kernel itself keeps count, by eBPF: nothing is read from the processes but their stacks, and they are not stopped.
A leak is an opener whose number of open descriptors grew in each of the last three windows, or that never closed one of
several when the command ended.

Examples:
  residue trace -- ./server                what it leaves open until it ends, or until you press ctrl-c
  residue trace -p 812 --for 30s           a process that runs, and its children
  residue trace -- go test ./...           the test binaries too

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

    /// Take no stacks: count by system call, at the least cost
    #[arg(long, conflicts_with = "closes", help_heading = "How closely")]
    no_stacks: bool,

    /// Make room for so many open descriptors
    #[arg(long, value_name = "N", help_heading = "How closely")]
    #[arg(value_parser = clap::value_parser!(u32).range(64..=16_777_216))]
    room: Option<u32>,

    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
}

pub(crate) fn run(args: &TraceArgs, terminal: &Terminal) -> Result<Exit, Error> {
    let programs = Programs::default();
    let options = tracer::Options {
        scope: scope(args)?,
        stacks: !args.no_stacks,
        every_close: args.closes,
        live_max: args.room,
    };
    let mut ledger = Ledger::new(policy(args));
    let tracer = Tracer::start(&options, &programs).map_err(|error| refused(&error))?;
    watch::watch(tracer, args, &mut ledger, terminal)?;
    let report = ledger.report();
    output::stdout(|out| text::write(&report, out))?;
    let leaks = report.openers.iter().any(|opener| opener.leak.is_some());
    Ok(if leaks { Exit::Findings } else { Exit::Clean })
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
    Policy {
        window_ns: nanos(window).max(1),
        warmup_ns: nanos(args.warmup.unwrap_or(window)),
        min_live: args.min_live,
    }
}

fn refused(error: &tracer::Error) -> Error {
    let mut message = Error::failed(error.to_string());
    match error {
        tracer::Error::Refused { missing, .. } => {
            for what in missing {
                message = message.hint(format!("it needs {what}"));
            }
            message
        }
        _ => message,
    }
}

//! `residue inspect`: the Go runtime of a live process or a core.

mod evidence;
mod fds;
mod filter;
mod finalizers;
mod heap;
mod json;
mod object;
mod panics;
mod picture;
mod pins;
mod pprof;
pub(crate) mod rules;
mod stack;
mod text;
mod tui;
mod unheld;
mod watch;
mod why;

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use residue_gobin::Binary;
use residue_report::{plural, shown_name as visible};
use residue_runtime::heap::{Heap, Layouts};
use residue_runtime::{Frame, Goroutine, Options, Report, StackView};
use residue_target::{Kind, Target};

use self::filter::Filter;
use crate::error::{Error, Exit};
use crate::figures;
use crate::output;
use crate::terminal::Terminal;

const AFTER_HELP: &str = "\
Nothing is called in the target and nothing written to it. Texts are shown as length and digest; the digests of one run can
be compared with each other, not with those of another.

Examples:
  residue inspect 812                        what its goroutines do, in short
  residue inspect 812 tui                    walk through all of it
  residue inspect 812 goroutines --group     equal stacks together
  residue inspect 812 defers                 what is deferred and not called yet, and panics
  residue inspect 812 goroutines --reason 'chan receive' --min-wait 5m
  residue inspect 812 goroutines --format pprof >stacks.pb.gz && go tool pprof -top stacks.pb.gz
  residue inspect 812 panics --save panics.json
  residue inspect 812 stack 17               one goroutine's variables, and what lies below its stack
  residue inspect 812 finalizers             what is to be called when objects die, and why it isn't
  residue inspect 812 why main.Session       what keeps these objects alive
  residue inspect 812 why '*os.File' --format svg >why.svg
  residue inspect 812 why fd:17 --watch      how it is kept until it is closed
  gcore 812 && residue inspect core.812      without stopping it for longer than the core takes

Exit codes: 0 looked into, 2 wrong usage, 3 it could not be looked into.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct InspectArgs {
    /// A process id, or the file of a core
    #[arg(value_name = "PID|CORE", value_hint = ValueHint::FilePath)]
    target: String,

    /// What to show
    #[arg(value_enum, default_value_t = View::Summary)]
    view: View,

    /// What `stack` is asked about: the number of a goroutine; and `why` and `object`: an address (0xc000012340), a type
    /// as Go or other views write it (main.Session, '*os.File') or a descriptor (fd:17)
    #[arg(value_name = "WHAT")]
    what: Option<String>,

    /// Of the heap, say too what each type, root and package retains: what would be free without it
    #[arg(long)]
    retained: bool,

    /// Show goroutines with equal stacks, or equal panics, together
    #[arg(long)]
    group: bool,

    /// Of `why`: look again and again, tell when what keeps it changes, and how it was kept last before it went; ends with ^C
    #[arg(long)]
    watch: bool,

    /// With --watch: how long from one look to the next (default: 2s)
    #[arg(long, value_name = "TIME", requires = "watch", value_parser = figures::parse_time)]
    interval: Option<Duration>,

    /// With --watch: end after so long: 30s, 5m, 1h
    #[arg(long = "for", value_name = "TIME", requires = "watch", value_parser = figures::parse_time)]
    duration: Option<Duration>,

    #[command(flatten)]
    filter: Filter,

    /// Show the goroutines of the runtime itself too
    #[arg(long)]
    system: bool,

    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// What is read while the threads of the process are stopped
    #[arg(long, value_enum, default_value_t = FreezeMode::Roots)]
    freeze: FreezeMode,

    /// Keep what is seen as evidence too: JSON with the identity of the program, the time and a digest. The file must not
    /// be there yet
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    save: Option<PathBuf>,

    /// The program of a core (default: the file that the core names, or another one of its build id)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    binary: Option<PathBuf>,

    /// Show texts and numbers themselves; only on a terminal
    #[arg(long)]
    reveal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum View {
    /// All of it in short
    Summary,
    /// Stacks and what they wait for
    Goroutines,
    /// What is deferred and not called yet
    Defers,
    /// Panics in progress, recovered ones too, and where they were raised
    Panics,
    /// One goroutine's stack: variables, where captured ones live, what is left below the stack pointer
    Stack,
    /// Objects by type and size, garbage collections
    Heap,
    /// What is to be called when objects die, and what keeps it from being called
    Finalizers,
    /// The shortest ways from roots to objects: why they are alive
    Why,
    /// Open descriptors, and the objects that hold them
    Fds,
    /// One object: what it leads to, and what leads to it
    Object,
    /// All of it to walk through, on a terminal
    Tui,
}

impl View {
    /// Whether the heap has to be read for it.
    fn needs_heap(self) -> bool {
        !matches!(self, Self::Goroutines | Self::Defers | Self::Panics | Self::Stack)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    /// With `why --watch`: an object a line for each change
    Jsonl,
    /// A profile that `go tool pprof` opens: of `goroutines`; of `heap` what the program was sampled to allocate, and with
    /// `--retained` what is retained by which way
    Pprof,
    /// The ways of `why` as a graph for Graphviz
    Dot,
    /// The ways of `why` as a drawing that needs nothing else
    Svg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FreezeMode {
    /// Goroutines with their stacks, variables and the table of the heap; objects when the threads run again
    Roots,
    /// All that is shown, objects too, which are copied: it is of one moment, and takes memory as large as the heap
    Full,
    /// Nothing; what changes meanwhile may look odd
    None,
}

impl From<FreezeMode> for residue_runtime::Freeze {
    fn from(mode: FreezeMode) -> Self {
        match mode {
            FreezeMode::Roots => Self::Roots,
            FreezeMode::Full => Self::Full,
            FreezeMode::None => Self::None,
        }
    }
}

/// What was asked of the heap.
enum Answer {
    None,
    Why(residue_runtime::heap::Why),
    Object(residue_runtime::heap::Object),
    Fds(fds::Table),
    Summary(fds::Table, Vec<residue_finding::Finding>),
    Retained(residue_runtime::heap::Retained),
    RetainedPaths(residue_runtime::heap::RetainedPaths),
    Profile(residue_runtime::heap::MemoryProfile),
    Stack(StackView),
}

impl Answer {
    fn retained(&self) -> Option<&residue_runtime::heap::Retained> {
        match self {
            Self::Retained(retained) => Some(retained),
            _ => None,
        }
    }
}

/// What is shown, and what of it.
struct Shown<'a> {
    target: &'a Target,
    binary: &'a Binary<'a>,
    report: &'a Report,
    filter: &'a Filter,
    heap: Option<&'a Heap<'a>>,
    answer: &'a Answer,
    group: bool,
    system: bool,
}

impl Shown<'_> {
    fn goroutines(&self) -> impl Iterator<Item = &Goroutine> {
        let user = residue_runtime::Role::User;
        // Who asks for some by what they are gets the runtime's own too.
        let all = self.system || !self.filter.is_empty();
        let shown = move |goroutine: &&Goroutine| {
            (all || goroutine.role == user) && self.filter.matches(self.report, goroutine)
        };
        self.report.goroutines.iter().filter(shown)
    }

    /// What was stopped while it was read.
    fn mode(&self) -> &'static str {
        match (self.target.kind, self.report.frozen) {
            (Kind::Core, _) => "core",
            (Kind::Process(_), _) => self.report.mode.name(),
        }
    }

    /// What is known of how sure all this is, in a few words.
    fn how(&self) -> String {
        let odd: usize = self.report.inconsistencies.values().sum();
        let odd = odd + self.heap.map_or(0, |heap| heap.notes.values().sum());
        let odd = match odd {
            0 => "nothing odd".to_owned(),
            odd => format!("{} odd, see the notes", plural(odd, "thing")),
        };
        match (self.target.kind, self.report.frozen) {
            (Kind::Core, _) => format!("core, {odd}"),
            (Kind::Process(_), Some(frozen)) => {
                format!("frozen for {:.1} ms ({}), {odd}", frozen.as_secs_f64() * 1000.0, self.mode())
            }
            (Kind::Process(_), None) => format!("not frozen: what changed meanwhile may look odd; {odd}"),
        }
    }
}

pub(crate) fn run(args: &InspectArgs, terminal: &Terminal) -> Result<Exit, Error> {
    let takes_what = matches!(args.view, View::Why | View::Object | View::Stack);
    if args.what.is_some() && !takes_what {
        return Err(Error::usage("this view takes nothing behind its name"));
    }
    if args.format == Format::Pprof && !matches!(args.view, View::Heap | View::Goroutines) {
        return Err(Error::usage("--format pprof is for the views `heap` and `goroutines`"));
    }
    if matches!(args.format, Format::Dot | Format::Svg) && args.view != View::Why {
        return Err(Error::usage("--format dot and svg are for the view `why`"));
    }
    if args.retained && args.view != View::Heap {
        return Err(Error::usage("--retained belongs to the view `heap`"));
    }
    if args.format == Format::Jsonl && !args.watch {
        return Err(Error::usage("--format jsonl is for `why --watch`; --format json is for one look"));
    }
    if args.reveal && !std::io::stdout().is_terminal() {
        return Err(Error::usage("--reveal shows texts only on a terminal").hint("what goes into a file stays there"));
    }
    if args.watch {
        return watch::run(args, terminal);
    }
    if args.view == View::Tui {
        return tui::run(args);
    }
    let number = match (args.view, &args.what) {
        (View::Stack, Some(what)) => Some(what.parse().map_err(|_| {
            Error::usage(format!("{what:?} is not the number of a goroutine"))
                .hint(format!("residue inspect {} goroutines shows the numbers", args.target))
        })?),
        (View::Stack, None) => {
            return Err(Error::usage("`stack` needs the number of a goroutine")
                .hint(format!("residue inspect {} goroutines shows the numbers", args.target)));
        }
        _ => None,
    };
    let target = open(args)?;
    let binary = program(&target)?;
    let options = options(args, &target)?;
    let failed = |error| failure(&target, error);
    let stack = number.map(|id| residue_runtime::stack(&target, &binary, &options, id)).transpose().map_err(failed)?;
    let layouts = Layouts::of(&binary).map_err(failed)?;
    let (report, mut heap) = if let Some(view) = &stack {
        (view.report.clone(), None)
    } else if args.view.needs_heap() {
        let (report, heap) = Heap::read(&target, &binary, &layouts, &options).map_err(failed)?;
        (report, Some(heap))
    } else {
        (residue_runtime::inspect(&target, &binary, &options).map_err(failed)?, None)
    };
    let mut answer = match (&mut heap, args.view) {
        (Some(heap), View::Why) => Answer::Why(why::ask(heap, &report, args.what.as_deref())?),
        (Some(heap), View::Object) => Answer::Object(object::ask(heap, args.what.as_deref())?),
        (Some(heap), View::Fds) => Answer::Fds(fds::ask(&target, heap)?.with_pins()),
        (Some(heap), View::Heap) if args.format == Format::Pprof && args.retained => {
            Answer::RetainedPaths(heap.retained_paths())
        }
        (Some(heap), View::Heap) if args.format == Format::Pprof => Answer::Profile(heap::profile(heap)?),
        (Some(heap), View::Heap) if args.retained => Answer::Retained(heap.retained()),
        _ => stack.map_or(Answer::None, Answer::Stack),
    };
    let mut shown = Shown {
        answer: &Answer::None,
        target: &target,
        binary: &binary,
        report: &report,
        heap: None,
        filter: &args.filter,
        group: args.group,
        system: args.system,
    };
    if let (Some(heap), View::Summary) = (&mut heap, args.view) {
        let table = fds::ask(&target, heap)?;
        let findings = rules::find(&shown, heap, &table);
        answer = Answer::Summary(table, findings);
    }
    (shown.answer, shown.heap) = (&answer, heap.as_ref());
    if let Some(path) = &args.save {
        evidence::save(&shown, args.view, Path::new(&args.target), path)?;
    }
    output::stdout(|out| match args.format {
        Format::Json | Format::Jsonl => json::write(&shown, args.view, out),
        Format::Text => text::write(&shown, args.view, &args.target, out),
        Format::Pprof => match &answer {
            Answer::Profile(profile) => heap::pprof(profile, &shown.how(), out),
            Answer::RetainedPaths(paths) => pprof::retained(paths, &shown.how(), out),
            _ => pprof::write(&shown, out),
        },
        Format::Dot | Format::Svg => {
            let Answer::Why(why) = &answer else { return Ok(()) };
            let what = args.what.as_deref().unwrap_or_default();
            let write = if args.format == Format::Dot { picture::dot } else { picture::svg };
            write(why, what, &text::identity(&shown), out)
        }
    })?;
    if args.view == View::Summary && args.format == Format::Text {
        let target = &args.target;
        terminal.hint(&format!(
            "`residue inspect {target} goroutines --group` and `residue inspect {target} defers` show more"
        ));
    }
    Ok(Exit::Clean)
}

/// What to look at, and how.
fn options(args: &InspectArgs, target: &Target) -> Result<Options, Error> {
    Ok(Options { freeze: args.freeze.into(), key: key()?, reveal: args.reveal, now: target.now() })
}

/// The program of a target, with its plugins.
fn program(target: &Target) -> Result<Binary<'_>, Error> {
    residue_runtime::program(target).map_err(|error| {
        let program = visible(&target.program_path.to_string_lossy());
        Error::failed(error.to_string()).hint(format!("the program is {program}"))
    })
}

/// Why a target could not be looked into.
fn failure(target: &Target, error: residue_runtime::Error) -> Error {
    match error {
        residue_runtime::Error::Target(error) => refused(&error),
        error => missing(target).into_iter().fold(Error::failed(error.to_string()), Error::hint),
    }
}

/// Where a panic was raised: the call that made the runtime unwind. The runtime's function stands on the stack for each panic,
/// the last one first, until the deferred call that recovered from it has returned.
fn raised_at<'r>(report: &'r Report, goroutine: &Goroutine, panic: usize) -> Option<&'r Frame> {
    let is = |pc: &u64, name: &str| report.at(*pc).last().is_some_and(|frame| frame.function == name);
    let unwinds = |pc: &u64| is(pc, "runtime.gopanic") || is(pc, "runtime.Goexit");
    let at = goroutine.stack.iter().enumerate().filter(|(_, pc)| unwinds(pc)).nth(panic)?.0;
    // What raises a panic for the program is the runtime's: faults, failed assertions, indices out of range.
    let below = goroutine.stack[at + 1..].iter().flat_map(|pc| report.at(*pc));
    below.into_iter().find(|frame| !frame.function.starts_with("runtime."))
}

/// What the core lacks, one sentence each.
fn missing(target: &Target) -> Vec<String> {
    let missing = target.missing();
    let mut told = Vec::new();
    if let Some(why) = &missing.damage {
        told.push(format!("the core can't be unpacked to its end: {}", visible(why)));
    }
    if missing.cut_bytes > 0 {
        let (cut, all) = (figures::bytes(missing.cut_bytes), figures::bytes(missing.stored_bytes));
        told.push(format!("the core is cut off: {cut} of {all} of memory are missing"));
    }
    if missing.filtered {
        told.push("the core has no memory that the program could write to: coredump_filter left it out".to_owned());
    }
    told
}

fn open(args: &InspectArgs) -> Result<Target, Error> {
    let target = match args.target.parse::<u32>() {
        Ok(pid) if !Path::new(&args.target).exists() => {
            if args.binary.is_some() {
                return Err(Error::usage("--binary is for cores; a process is asked for its program"));
            }
            Target::process(pid)
        }
        _ => Target::core(Path::new(&args.target), args.binary.as_deref()),
    };
    target.map_err(|error| refused(&error))
}

fn refused(error: &residue_target::Error) -> Error {
    let message = Error::failed(error.to_string());
    match error {
        residue_target::Error::Permission { pid, needs } => message.hint(needs).hint(format!(
            "sudo residue inspect {pid}, or let its owner write a core: gcore {pid} && residue inspect core.{pid}"
        )),
        residue_target::Error::Traced { pid, by } => message.hint(format!(
            "end the debugger or tracer {by}, or read without stopping anything: residue inspect {pid} --freeze none"
        )),
        residue_target::Error::Replaced(pid) => message.hint(format!("residue inspect {pid}, once more")),
        residue_target::Error::NoProgram(_) | residue_target::Error::OtherProgram(_) => {
            message.hint("--binary FILE names the program that the core is of")
        }
        residue_target::Error::Room { .. } => message
            .hint("--freeze roots copies goroutines, variables and the table of spans only; a core (gcore PID) has all at one moment"),
        residue_target::Error::NotACore(_) => {
            message.hint("`residue inspect` takes a process id or the file of a core")
        }
        _ => message,
    }
}

/// A key for the digests of this run.
fn key() -> Result<[u8; 32], Error> {
    let mut key = [0; 32];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut key));
    match read {
        Ok(()) => Ok(key),
        Err(error) => Err(Error::failed(format!("no random numbers for the key of digests: {error}"))),
    }
}

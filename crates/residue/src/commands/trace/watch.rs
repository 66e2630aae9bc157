//! Following until it is over: the command ends, the time is up, the processes are gone, or the user has seen enough.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use residue_ebpf::tracer;
use residue_fd::Ledger;
use residue_fd::event::Event;
use residue_report::TextStyle;

use super::TraceArgs;
use super::follower::Follower;
use super::record::Recorder;
use super::stream::Stream;
use crate::error::Error;
use crate::terminal::Terminal;

/// Windows are looked at this often.
const LOOKS_IN_WINDOW: u32 = 10;
/// Openers in the table on a terminal.
const ROWS: usize = 12;

/// Who is told what happens, while it does.
pub(super) struct Sinks<'a> {
    pub(super) recorder: Recorder,
    pub(super) streams: &'a mut [Stream],
}

impl Sinks<'_> {
    /// Passes events on, and enters them into the books.
    fn take(&mut self, events: &mut Vec<Event>, ledger: &mut Ledger) -> Result<(), Error> {
        self.recorder.write(events)?;
        for stream in &mut *self.streams {
            stream.events(events)?;
        }
        events.drain(..).for_each(|event| ledger.apply(event));
        Ok(())
    }

    /// The stream was read by somebody who has seen enough.
    fn nobody_reads(&self) -> bool {
        self.streams.iter().any(Stream::is_gone)
    }
}

pub(super) fn watch(
    mut tracer: Follower<'_>,
    args: &TraceArgs,
    mut sinks: Sinks<'_>,
    ledger: &mut Ledger,
    terminal: &Terminal,
) -> Result<(), Error> {
    let refused = |error: tracer::Error| super::refused(&error);
    let signals = tracer::listen();
    let mut events = vec![tracer.started(&args.pid)];
    for pid in &args.pid {
        tracer.follow(*pid).map_err(refused)?;
    }
    let mut child = match args.command.split_first() {
        Some((program, words)) => Some(tracer.spawn(Command::new(program).args(words)).map_err(refused)?),
        None => None,
    };
    if child.is_none() {
        terminal.note("following; ctrl-c ends it with the report");
    }
    let window = Duration::from_nanos(super::policy(args).window_ns);
    let pause = (window / LOOKS_IN_WINDOW).clamp(Duration::from_millis(50), Duration::from_secs(1));
    let live = terminal.shows_progress() && child.is_none();
    let mut screen = Screen { live, style: terminal.talk(), lines: 0 };
    let mut snapshots = 0;
    let start = Instant::now();
    let mut next = start + pause;
    let mut busy = start;
    let mut passed_on = 0;
    let exited = loop {
        tracer.wait(next.saturating_duration_since(Instant::now()));
        let idle = args.until_idle.is_some_and(|idle| busy.elapsed() >= idle);
        if let Some(running) = child.as_ref().filter(|_| signals.terminations() > passed_on) {
            passed_on = signals.terminations();
            // Ctrl-c has reached the command, too; this signal has not. It may have ended by itself.
            let _ = tracer::terminate(running);
        }
        let over = match is_over(&mut child, args, start, signals.interrupts(), terminal)? {
            None if idle || sinks.nobody_reads() => Some(false),
            over => over,
        };
        let asked = signals.snapshots() > snapshots;
        // Between looks only processes are asked about: a new program has to be read before it is gone.
        if over.is_none() && !asked && Instant::now() < next {
            tracer.processes(&mut events);
            continue;
        }
        next = Instant::now() + pause;
        if over.is_some() {
            tracer.reconcile().map_err(refused)?;
        }
        tracer.poll(&mut events).map_err(refused)?;
        if events.iter().any(|event| matches!(event, Event::Count(_))) {
            busy = Instant::now();
        }
        sinks.take(&mut events, ledger)?;
        for stream in &mut *sinks.streams {
            stream.look(ledger)?;
        }
        screen.show(ledger);
        if signals.snapshots() > snapshots {
            snapshots = signals.snapshots();
            snapshot(&mut tracer, &mut sinks, ledger)?;
        }
        if let Some(exited) = over {
            break exited;
        }
    };
    tracer.live(&mut events);
    events.push(tracer.ended(exited));
    sinks.take(&mut events, ledger)?;
    sinks.recorder.finish()
}

/// Says on stderr how things stand, compared with the kernel's own tables, and goes on.
fn snapshot(tracer: &mut Follower<'_>, sinks: &mut Sinks<'_>, ledger: &mut Ledger) -> Result<(), Error> {
    tracer.reconcile().map_err(|error| super::refused(&error))?;
    let mut open = Vec::new();
    tracer.live(&mut open);
    // Where processes are is told once, and holds from now on.
    let mut placed;
    (placed, open) = open.into_iter().partition(|event| matches!(event, Event::Placed(_)));
    sinks.take(&mut placed, ledger)?;
    let mut now = ledger.clone();
    for event in open {
        now.apply(event);
    }
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = super::text::summary(&now.report(), TextStyle::default(), &mut text);
    Terminal::say(&String::from_utf8_lossy(&text));
    Ok(())
}

/// The table on a terminal, drawn over itself. Not beside the output of a command.
struct Screen {
    live: bool,
    style: TextStyle,
    lines: usize,
}

impl Screen {
    fn show(&mut self, ledger: &Ledger) {
        if !self.live {
            return;
        }
        let mut text = Vec::new();
        let report = ledger.report();
        let told = super::text::table(&report, ROWS, self.style, &mut text);
        if told.and_then(|()| super::text::totals(&report, &mut text)).is_err() {
            return;
        }
        let text = String::from_utf8_lossy(&text);
        // Up to where the last one began, and clear from there.
        let up = if self.lines > 0 { format!("\x1b[{}A", self.lines) } else { String::new() };
        Terminal::say(&format!("{up}\x1b[J{text}"));
        self.lines = text.lines().count();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.lines > 0 {
            Terminal::say(&format!("\x1b[{}A\x1b[J", self.lines));
        }
    }
}

/// Whether it is over, and if so, whether because the command has ended.
fn is_over(
    child: &mut Option<Child>,
    args: &TraceArgs,
    start: Instant,
    interrupts: u32,
    terminal: &Terminal,
) -> Result<Option<bool>, Error> {
    if let Some(running) = child {
        let status =
            running.try_wait().map_err(|error| Error::failed(format!("cannot wait for the command: {error}")))?;
        if let Some(status) = status {
            if !status.success() {
                terminal.note(&format!("the command failed ({status})"));
            }
            return Ok(Some(true));
        }
        // The command gets ctrl-c too, and may have something to do before it ends.
        if interrupts > 1 {
            return Ok(Some(false));
        }
    } else if interrupts > 0 {
        return Ok(Some(false));
    }
    if args.duration.is_some_and(|whole| start.elapsed() >= whole) {
        return Ok(Some(false));
    }
    let gone = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    let told_only = child.is_none() && args.cgroup.is_none() && !args.all;
    Ok((told_only && args.pid.iter().all(gone)).then_some(false))
}

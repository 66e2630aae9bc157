//! `inspect why --watch`: what keeps an object, looked at again and again until it is gone.
//!
//! Each look stops the process as `why` does once. A look that finds less than the one before is made again at once, with all
//! of the heap at one moment: what is read while the program runs can make an object look unreachable that isn't.

mod lines;
mod text;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use residue_runtime::heap::{Heap, Incarnation, Layouts, Sameness, Wait, Why};
use residue_runtime::{Freeze, Options};
use residue_target::{Descriptor, Kind, Target};

use super::why::{self, Asked};
use super::{Format, InspectArgs, View, evidence};
use crate::error::{Error, Exit};
use crate::terminal::Terminal;

/// Between looks, where nothing else was asked for.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often it is looked whether the process is there still, and whether it is to end.
const PAUSE: Duration = Duration::from_millis(100);
/// Looks that fail one after the other before that is an error: what is read may be in the middle of a change.
const FAILURES_MAX: usize = 5;

/// What is watched, and how.
struct Watched<'w> {
    asked: Asked<'w>,
    what: &'w str,
    target: Target,
    version: String,
    /// The release whose layouts are taken, because its own is not known.
    neighbour: Option<String>,
    options: Options,
}

/// What one look has found.
struct Look {
    state: State,
    /// What keeps the objects; nothing when there are none.
    why: Why,
    /// How the ways go, to be compared.
    ways: Vec<String>,
    incarnation: Option<Incarnation>,
    /// The descriptor that is asked about.
    descriptor: Option<Descriptor>,
    /// What didn't fit together, and how often.
    odd: BTreeMap<&'static str, usize>,
    frozen: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// A root keeps it, or at least one of several.
    Kept,
    /// No root does: what the only object waits for, nothing of several.
    Waiting(Option<Wait>),
    Gone(How),
}

/// How something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// There is no such object any more.
    Freed,
    /// There is another one; by what that is known.
    Reused(&'static str),
    /// The descriptor is closed.
    Closed,
    /// The descriptor leads to something else.
    Reopened,
    /// The descriptor is open, and no object is known to hold it.
    Unknown,
}

impl How {
    fn key(self) -> &'static str {
        match self {
            Self::Freed => "freed",
            Self::Reused(_) => "reused",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
            Self::Unknown => "no_holder",
        }
    }
}

/// Why it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Gone,
    Interrupted,
    Time,
    Exited,
    Replaced,
}

impl End {
    fn key(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Interrupted => "interrupted",
            Self::Time => "time",
            Self::Exited => "exited",
            Self::Replaced => "replaced",
        }
    }
}

/// When something was seen.
#[derive(Clone, Debug)]
struct Moment {
    /// UTC, as RFC 3339 has it.
    at: String,
    since_start: Duration,
    look: usize,
}

/// What is to be told.
enum Event<'e> {
    /// The first way, or another one than before.
    Way(&'e Look),
    /// No root keeps it any more.
    Waiting(&'e Look),
    Gone(How),
    End(End),
}

/// What was seen so far.
struct Watch {
    started: Instant,
    looks: usize,
    frozen: Duration,
    /// Looks between which the object may have been replaced by one like it.
    doubtful: usize,
    /// The last look.
    last: Option<Look>,
    /// The last look that found a way.
    last_way: Option<(Moment, Why)>,
    /// That one was told as the last.
    is_last_told: bool,
    json: bool,
    status: Status,
    /// The reader has seen enough.
    nobody_reads: bool,
}

pub(super) fn run(args: &InspectArgs, terminal: &Terminal) -> Result<Exit, Error> {
    check(args)?;
    let asked = Asked::of(args.what.as_deref())?;
    let target = super::open(args)?;
    if target.kind == Kind::Core {
        return Err(Error::usage("a core stays as it is: --watch is for processes"));
    }
    let binary = super::program(&target)?;
    let version = binary.build.version.to_string();
    let neighbour = binary.layouts.basis().neighbour().map(str::to_owned);
    drop(binary);
    let options = super::options(args, &target)?;
    let what = args.what.as_deref().unwrap_or_default();
    let mut watched = Watched { asked, what, target, version, neighbour, options };
    let interval = args.interval.unwrap_or(INTERVAL);
    let mut watch = Watch {
        started: Instant::now(),
        looks: 0,
        frozen: Duration::ZERO,
        doubtful: 0,
        last: None,
        last_way: None,
        is_last_told: false,
        json: args.format == Format::Jsonl,
        status: Status { live: terminal.shows_progress(), shown: false },
        nobody_reads: false,
    };
    let interrupted = signals::listen();
    let first = watched.look(watched.options.freeze, None)?;
    watch.start(&watched, interval)?;
    watch.take(first)?;
    let mut failures = 0;
    let end = loop {
        let is_gone = watch.last.as_ref().is_some_and(|look| matches!(look.state, State::Gone(_)));
        if is_gone || watch.nobody_reads {
            break if is_gone { End::Gone } else { End::Interrupted };
        }
        watch.status();
        if let Some(end) = pause(&watched.target, interval, args.duration, watch.started, &interrupted) {
            break end;
        }
        let found = watched.confirmed(watch.last.as_ref(), &mut watch.looks, &mut watch.frozen);
        // One that ends meanwhile looks as if it had freed everything.
        if let Some(end) = ended(&watched.target) {
            break end;
        }
        match found {
            Ok(look) => {
                failures = 0;
                watch.take(look)?;
            }
            Err(error) => {
                failures += 1;
                if failures >= FAILURES_MAX {
                    watch.status.clear();
                    return Err(error);
                }
            }
        }
    };
    watch.tell(&Event::End(end))?;
    Ok(Exit::Clean)
}

/// What doesn't go with it.
fn check(args: &InspectArgs) -> Result<(), Error> {
    if args.view != View::Why {
        return Err(Error::usage("--watch belongs to the view `why`"));
    }
    if args.save.is_some() {
        return Err(Error::usage("--save keeps one look, --watch makes many").hint("--format jsonl > FILE keeps all"));
    }
    match args.format {
        Format::Text | Format::Jsonl => Ok(()),
        _ => Err(Error::usage("--watch writes text, or with --format jsonl an object a line")),
    }
}

/// Waits for the next look; says why there is none.
fn pause(
    target: &Target,
    interval: Duration,
    whole: Option<Duration>,
    started: Instant,
    interrupted: &signals::Flag,
) -> Option<End> {
    let next = Instant::now() + interval;
    loop {
        if signals::came(interrupted) {
            return Some(End::Interrupted);
        }
        if whole.is_some_and(|whole| started.elapsed() >= whole) {
            return Some(End::Time);
        }
        if let Some(end) = ended(target) {
            return Some(end);
        }
        let mut left = next.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        left = left.min(whole.map_or(left, |whole| whole.saturating_sub(started.elapsed())));
        // Nothing is waited for but the time.
        #[allow(clippy::disallowed_methods)]
        std::thread::sleep(left.min(PAUSE));
    }
}

/// Whether the process isn't there any more, or is another program.
fn ended(target: &Target) -> Option<End> {
    match target.is_same() {
        Ok(()) => None,
        Err(residue_target::Error::Replaced(_)) => Some(End::Replaced),
        Err(_) => Some(End::Exited),
    }
}

impl Watched<'_> {
    /// A look, made again when it finds less than the one before.
    fn confirmed(&mut self, before: Option<&Look>, looks: &mut usize, frozen: &mut Duration) -> Result<Look, Error> {
        let first = self.look(self.options.freeze, before)?;
        let was_kept = before.is_some_and(|before| before.state == State::Kept);
        let is_less = was_kept && first.state != State::Kept || matches!(first.state, State::Gone(_));
        if !is_less || self.options.freeze == Freeze::Full {
            return Ok(first);
        }
        *looks += 1;
        *frozen += first.frozen;
        let mode = if self.options.freeze == Freeze::None { Freeze::None } else { Freeze::Full };
        // Where there is no room for all of the heap, another look as before has to do.
        self.look(mode, before).or_else(|_| self.look(self.options.freeze, before))
    }

    fn look(&mut self, freeze: Freeze, before: Option<&Look>) -> Result<Look, Error> {
        self.target.forget();
        // It may have loaded a plugin since.
        let binary = super::program(&self.target)?;
        let options = Options { freeze, now: self.target.now(), ..self.options.clone() };
        let failed = |error| super::failure(&self.target, error);
        let layouts = Layouts::of(&binary).map_err(failed)?;
        let (report, mut heap) = Heap::read(&self.target, &binary, &layouts, &options).map_err(failed)?;
        let objects = self.asked.objects(&mut heap);
        let descriptor = match self.asked {
            Asked::Descriptor(number) => self.target.descriptor(number),
            _ => None,
        };
        if objects.is_empty() && before.is_none() {
            return Err(why::nothing(&heap, self.what));
        }
        let mut why = heap.why(&objects);
        let incarnation = match self.asked {
            Asked::Address(address) => heap.incarnation(address),
            _ => None,
        };
        let state = self.state(&heap, &objects, incarnation.as_ref(), descriptor.as_ref(), before);
        // What is left of it is looked for once.
        if let ([object], State::Waiting(_)) = (&*objects, &state)
            && before.is_none_or(|before| before.state != state)
        {
            why.unheld = heap.unheld(*object, &report).map(Box::new);
        }
        let ways = if state == State::Kept { ways(&why) } else { Vec::new() };
        let frozen = report.frozen.unwrap_or_default();
        Ok(Look { state, why, ways, incarnation, descriptor, odd: report.inconsistencies, frozen })
    }

    fn state(
        &self,
        heap: &Heap<'_>,
        objects: &[u32],
        now: Option<&Incarnation>,
        descriptor: Option<&Descriptor>,
        before: Option<&Look>,
    ) -> State {
        if let (Asked::Descriptor(_), Some(before)) = (self.asked, before) {
            match descriptor {
                None => return State::Gone(How::Closed),
                Some(now) if before.descriptor.as_ref().is_some_and(|before| !now.is_still(before)) => {
                    return State::Gone(How::Reopened);
                }
                Some(_) if objects.is_empty() => return State::Gone(How::Unknown),
                Some(_) => {}
            }
        }
        if let Some((before, now)) = before.and_then(|before| before.incarnation.as_ref()).zip(now)
            && let Sameness::Other(by) = before.is_still(now)
        {
            return State::Gone(How::Reused(by));
        }
        match *objects {
            [] => State::Gone(How::Freed),
            _ if heap.held(objects) > 0 => State::Kept,
            [object] => State::Waiting(heap.wait(object).map(alone)),
            _ => State::Waiting(None),
        }
    }
}

/// What an object waits for, whatever waits with it: that changes all the time.
fn alone(mut wait: Wait) -> Wait {
    if let Wait::Queue { calls, .. } = &mut wait {
        *calls = 0;
    }
    wait
}

/// How ways go: roots, fields and types; of one object also which objects these are, but for parts of maps that grow.
fn ways(why: &Why) -> Vec<String> {
    let way = |holding: &residue_runtime::heap::Holding| {
        let mut way = if why.objects > 1 { String::new() } else { holding.path.root.clone() };
        if why.objects > 1 {
            // Of many the nearest is told, whichever that is.
            way += holding.path.root.split(" in ").last().unwrap_or_default();
        }
        for step in why::visible_steps(&holding.path) {
            way += &format!("\n{} {}", step.field, step.object.kind.as_deref().unwrap_or_default());
            if why.objects == 1 {
                way += &format!(" {:#x}", step.object.address);
            }
        }
        way
    };
    let mut ways: Vec<String> = why.holdings.iter().map(way).collect();
    // Which one most share doesn't count.
    ways.sort();
    ways
}

impl Watch {
    fn start(&mut self, watched: &Watched<'_>, interval: Duration) -> Result<(), Error> {
        let line = if self.json { lines::start(watched, interval)? } else { text::start(watched, interval) };
        self.write(&line)
    }

    /// Takes a look, and tells what is new.
    fn take(&mut self, look: Look) -> Result<(), Error> {
        self.looks += 1;
        self.frozen += look.frozen;
        let before = self.last.take();
        if let (Some(before), Some(now)) =
            (before.as_ref().and_then(|before| before.incarnation.as_ref()), &look.incarnation)
        {
            self.doubtful += usize::from(before.is_still(now) == Sameness::Maybe);
        }
        let is_new = before.as_ref().is_none_or(|before| before.state != look.state || before.ways != look.ways);
        match &look.state {
            State::Kept => {
                self.last_way = Some((self.now(), look.why.clone()));
                self.is_last_told = false;
                if is_new {
                    self.tell(&Event::Way(&look))?;
                }
            }
            State::Waiting(_) if is_new => self.tell(&Event::Waiting(&look))?,
            State::Waiting(_) => {}
            State::Gone(how) => self.tell(&Event::Gone(*how))?,
        }
        self.last = Some(look);
        Ok(())
    }

    fn now(&self) -> Moment {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Moment { at: evidence::utc(at), since_start: self.started.elapsed(), look: self.looks }
    }

    fn tell(&mut self, event: &Event<'_>) -> Result<(), Error> {
        let line = if self.json { lines::event(self, event)? } else { text::event(self, event)? };
        self.is_last_told |= !matches!(event, Event::Way(_));
        self.write(&line)
    }

    fn status(&mut self) {
        let line = text::status(self);
        self.status.show(&line);
    }

    /// Writes to stdout at once: who reads waits for what changes.
    fn write(&mut self, text: &str) -> Result<(), Error> {
        self.status.clear();
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.nobody_reads = true;
                Ok(())
            }
            Err(error) => Err(Error::failed(format!("cannot write to stdout: {error}"))),
        }
    }
}

/// A line on the terminal that says how it stands, written over itself.
struct Status {
    live: bool,
    shown: bool,
}

impl Status {
    fn show(&mut self, line: &str) {
        if !self.live {
            return;
        }
        let width = crossterm::terminal::size().map_or(0, |(width, _)| usize::from(width));
        // Some terminals don't tell.
        let width = if width == 0 { 80 } else { width };
        let line: String = line.chars().take(width.saturating_sub(1)).collect();
        Terminal::say(&format!("\r\x1b[K{line}"));
        self.shown = true;
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            Terminal::say("\r\x1b[K");
        }
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Ctrl-C and its like end it with what was seen, not at once.
#[cfg(unix)]
mod signals {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use signal_hook::consts::{SIGINT, SIGTERM};

    pub(super) type Flag = Arc<AtomicBool>;

    pub(super) fn listen() -> Flag {
        let flag = Flag::default();
        for signal in [SIGINT, SIGTERM] {
            // Where that is refused, the signal ends this process as ever.
            let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
        }
        flag
    }

    pub(super) fn came(flag: &Flag) -> bool {
        flag.load(Ordering::Relaxed)
    }
}

/// Elsewhere there are no processes to be watched.
#[cfg(not(unix))]
mod signals {
    pub(super) type Flag = ();

    pub(super) fn listen() -> Flag {}

    pub(super) fn came(_: &Flag) -> bool {
        false
    }
}

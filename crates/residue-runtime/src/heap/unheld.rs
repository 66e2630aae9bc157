//! Objects that no root keeps and that are there still: where each waits, and for what.
//!
//! An object that nothing leads to is found by the next collection. One with a finalizer is queued then, and with all that it
//! leads to kept until the function has been called; what an object with a finalizer leads to can only follow after that.

use super::Heap;
use super::reach::Parent;
use super::report::{NoteKind, Runner, State};
use super::roots::From;
use super::specials::Noted;
use crate::model::Report;

pub use super::hints::{Hint, HintPlace, Hints};

/// Objects that are visited in order to find a cycle.
const VISITS_MAX: usize = 20_000_000;
/// Functions that are told for one object.
const NOTES_MAX: usize = 16;

/// An object that no root keeps.
#[derive(Clone, Debug)]
pub struct Unheld {
    /// Its address.
    pub address: u64,
    /// Its type.
    pub kind: Option<String>,
    /// What it waits for.
    pub wait: Wait,
    /// What is to be called when it dies: what is noted, the function, and how that stands.
    pub notes: Vec<(NoteKind, Option<String>, State)>,
    /// The goroutines that call what it waits for, where it waits for a call.
    pub runners: Vec<Runner>,
    /// Where its address is left.
    pub hints: Hints,
}

/// What an object waits for that no root keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Nothing leads to it: the next collection finds that.
    Collection,
    /// Nothing leads to it, and its span is one that the collection before this moment has not swept yet.
    Sweep,
    /// It is in a queue, or something there leads to it.
    Queue {
        /// The queue is that of cleanups, else that of finalizers.
        cleanups: bool,
        /// How many calls wait there.
        calls: usize,
        /// The function that is to be called.
        function: Option<String>,
        /// It is what the function gets, else only led to by that.
        direct: bool,
    },
    /// An object whose finalizer has not run leads to it.
    Behind {
        /// Where that object is.
        address: u64,
        /// Its type.
        kind: Option<String>,
        /// Its finalizer.
        function: Option<String>,
    },
    /// It has a finalizer and leads to itself: that is never called.
    Cycle,
}

impl Wait {
    /// A key for it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::Sweep => "sweep",
            Self::Queue { cleanups: false, .. } => "finalizer_queue",
            Self::Queue { cleanups: true, .. } => "cleanup_queue",
            Self::Behind { .. } => "behind_finalizer",
            Self::Cycle => "cycle",
        }
    }
}

impl Heap<'_> {
    /// How many of some objects a root keeps: one that is not a queue, nor an object whose finalizer hasn't run.
    pub fn held(&self, objects: &[u32]) -> usize {
        objects.iter().filter(|object| self.is_held(**object)).count()
    }

    /// Whether a root keeps an object that is not a queue, nor one whose finalizer hasn't run.
    pub(super) fn is_held(&self, object: u32) -> bool {
        let root = self.reach.root(object).and_then(|root| self.roots.get(root as usize));
        root.is_some_and(|root| !matches!(root.from, From::Queued(_) | From::QueuedCleanup(_) | From::Finalizable(_)))
    }

    /// What is known of an object that no root keeps; none when one does.
    pub fn unheld(&mut self, object: u32, report: &Report) -> Option<Unheld> {
        let wait = self.wait(object)?;
        let mut visits = VISITS_MAX;
        let mut notes = Vec::new();
        for special in self.specials.iter().filter(|special| special.object == object).take(NOTES_MAX) {
            let (kind, function) = match special.noted {
                Noted::Finalizer { function, .. } => (NoteKind::Finalizer, self.closure_name(function)),
                Noted::Cleanup { function, .. } => (NoteKind::Cleanup, self.called(function)),
                Noted::Weak { .. } => (NoteKind::Weak, None),
                _ => continue,
            };
            notes.push((kind, function, self.state(special, kind, &mut visits).0));
        }
        let is_caller = |runner: &Runner| match &wait {
            Wait::Queue { cleanups, .. } => runner.finalizers != *cleanups,
            Wait::Behind { .. } => runner.finalizers,
            _ => !notes.is_empty() && runner.blocked,
        };
        let runners = super::finalizers::runners(report).into_iter().filter(is_caller).collect();
        let hints = self.hints(object);
        let address = self.spans.extent(object).map_or(0, |(start, _)| start);
        Some(Unheld { address, kind: self.object_name(object), wait, notes, runners, hints })
    }

    /// What an object waits for; none when a root keeps it.
    pub fn wait(&self, object: u32) -> Option<Wait> {
        let Some(root) = self.reach.root(object) else {
            let unswept = self.spans.span_of(object).is_some_and(|(span, _)| span.unswept);
            return Some(if unswept { Wait::Sweep } else { Wait::Collection });
        };
        let queued = |cleanups: bool, number: u32| {
            let entries = if cleanups { &self.queues.cleanups } else { &self.queues.finalizers };
            let entry = entries.get(number as usize);
            Wait::Queue {
                cleanups,
                calls: entries.len(),
                function: entry.and_then(|entry| self.called(entry.function)),
                direct: matches!(self.reach.parent(object), Some(Parent::Root(_))),
            }
        };
        match self.roots.get(root as usize)?.from {
            From::Queued(number) => Some(queued(false, number)),
            From::QueuedCleanup(number) => Some(queued(true, number)),
            From::Finalizable(of) if of == object => Some(Wait::Cycle),
            From::Finalizable(of) => {
                let function = self.specials.iter().find_map(|special| match special.noted {
                    Noted::Finalizer { function, .. } if special.object == of => self.closure_name(function),
                    _ => None,
                });
                let address = self.spans.extent(of).map_or(0, |(start, _)| start);
                Some(Wait::Behind { address, kind: self.object_name(of), function })
            }
            _ => None,
        }
    }
}

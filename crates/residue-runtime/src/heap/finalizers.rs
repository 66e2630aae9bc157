//! Finalizers, cleanups and weak pointers: which objects have them, and why functions aren't called.
//!
//! `runtime/mfinal.go`, `runtime/mcleanup.go`. A finalizer is queued by the first collection that finds that nothing leads to
//! its object; what the object leads to lives until then, so that an object that leads to itself by way of others never dies.
//! A pointer straight to itself doesn't count: `scanobject` of `runtime/mgcmark.go` passes these over. One goroutine calls all
//! finalizers, one after the other.

use std::collections::BTreeMap;

use residue_gobin::Binary;
use residue_target::{Memory as _, MemoryExt as _, Target};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Heap;
use super::globals::{Finder, Variables};
use super::report::{Finalizers, Group, NoteKind, Runner, State};
use super::roots::From;
use super::spans::Marked;
use super::specials::{Noted, Special};
use crate::model::{Goroutine, Report, Role, Status};
use crate::offsets::{half, word};
use crate::read::KeptStack;

/// Roots that are named for a group.
const NAMED_MAX: usize = 3;
/// Roots that are told apart while they are counted.
const COUNTED_MAX: usize = 10_000;
/// Objects that are visited in order to find cycles.
const VISITS_MAX: usize = 20_000_000;
/// Blocks of cleanups that are followed.
const BLOCKS_MAX: usize = 1 << 20;
/// Cleanups in a block (`cleanupBlockSize`, 512 bytes).
const BLOCK_ENTRIES_MAX: u64 = 64;
/// What the goroutines begin with that call finalizers, and cleanups.
const FINALIZER_LOOPS: [&str; 2] = ["runtime.runfinq", "runtime.runFinalizers"];
const CLEANUP_LOOP: &str = "runtime.runCleanups";
/// Objects up to this size without pointers share blocks (`maxTinySize`).
const TINY_BYTES: u64 = 16;
/// Words of a cleanup's closure that are looked at for the function itself.
const CLOSURE_WORDS: u64 = 4;

/// What groups have in common: what is noted, the number of the object's type, the function.
type Key = (NoteKind, u32, Option<String>);

/// What waits to be called.
#[derive(Default)]
pub(super) struct Queues {
    pub(super) finalizers: Vec<Entry>,
    pub(super) cleanups: Vec<Entry>,
    cleanups_run: Option<u64>,
}

/// A call that waits: the closure, and what it gets.
pub(super) struct Entry {
    pub(super) function: u64,
    pub(super) argument: u64,
}

impl Heap<'_> {
    /// What is to be called when objects die.
    pub fn finalizers(&self, report: &Report) -> Finalizers {
        let mut groups: BTreeMap<Key, (Group, FxHashMap<From, u64>)> = BTreeMap::new();
        let mut visits = VISITS_MAX;
        let mut names: FxHashMap<u64, Option<String>> = FxHashMap::default();
        for special in &self.specials {
            let (kind, function) = match special.noted {
                Noted::Finalizer { function, .. } => (NoteKind::Finalizer, Some(function)),
                Noted::Cleanup { function, .. } => (NoteKind::Cleanup, Some(function)),
                Noted::Weak { .. } => (NoteKind::Weak, None),
                _ => continue,
            };
            let function = function.and_then(|closure| match kind {
                NoteKind::Cleanup => self.cleanup_name(closure, &mut names),
                _ => {
                    let pc = self.target.word(closure).unwrap_or(0);
                    names.entry(pc).or_insert_with(|| self.closure_name(closure)).clone()
                }
            });
            let (state, root) = self.state(special, kind, &mut visits);
            let key = (kind, self.graph.kind(special.object), function);
            let (group, roots) = groups.entry(key).or_insert_with_key(|(kind, number, function)| {
                let shape = self.graph.shapes().get(*number as usize).filter(|_| *number > 0);
                let group = Group {
                    kind: *kind,
                    object_type: shape.map(|shape| self.shape_name(*shape)),
                    function: function.clone(),
                    registered: 0,
                    states: BTreeMap::new(),
                    kept_by: Vec::new(),
                    example: self.spans.extent(special.object).map_or(0, |(start, _)| start),
                };
                (group, FxHashMap::default())
            });
            group.registered += 1;
            let count = group.states.entry(state).or_default();
            *count += 1;
            if (state.is_never() || state == State::KeptByVariable) && *count == 1 {
                group.example = self.spans.extent(special.object).map_or(0, |(start, _)| start);
            }
            if let Some(root) = root.map(|root| self.merged(root))
                && (roots.len() < COUNTED_MAX || roots.contains_key(&root))
            {
                *roots.entry(root).or_default() += 1;
            }
        }
        let mut groups: Vec<Group> = groups.into_values().map(|(group, roots)| self.named(group, roots)).collect();
        groups.sort_by(|a, b| {
            (b.registered, a.kind, &a.object_type, &a.function).cmp(&(
                a.registered,
                b.kind,
                &b.object_type,
                &b.function,
            ))
        });
        Finalizers {
            groups,
            queued: self.queued(&self.queues.finalizers),
            queued_cleanups: self.queued(&self.queues.cleanups),
            runners: runners(report),
            cleanups_run: self.queues.cleanups_run,
        }
    }

    fn named(&self, mut group: Group, roots: FxHashMap<From, u64>) -> Group {
        let mut roots: Vec<(From, u64)> = roots.into_iter().collect();
        roots.sort_by_key(|(from, count)| (std::cmp::Reverse(*count), *from));
        roots.truncate(NAMED_MAX);
        group.kept_by = roots.into_iter().map(|(from, count)| (self.root_name(from), count)).collect();
        group
    }

    /// How an object with a function stands, and the root that leads to it.
    pub(super) fn state(&self, special: &Special, kind: NoteKind, visits: &mut usize) -> (State, Option<From>) {
        let object = special.object;
        let tiny = || {
            let span = self.spans.span_of(object).map(|(span, _)| span);
            span.is_some_and(|span| span.marked == Marked::NoScan && span.element == TINY_BYTES)
        };
        let Some(root) = self.reach.root(object) else { return (State::Unreachable, None) };
        let from = self.roots[root as usize].from;
        if (root as usize) < self.strong {
            let own = match from {
                From::FinalizerOf(of) | From::CleanupOf(of) => of == object,
                _ => false,
            };
            let state = match from {
                _ if own => State::OwnFunction,
                From::Variable(_) if tiny() => State::TinyBlock,
                From::Variable(_) => State::KeptByVariable,
                From::Frame { .. } | From::Register { .. } | From::Goroutine { .. } | From::Deferred { .. } => {
                    State::InUse
                }
                _ => State::KeptOtherwise,
            };
            return (state, Some(from));
        }
        if kind == NoteKind::Finalizer && self.leads_to_itself(object, visits) {
            return (State::Cycle, None);
        }
        (State::AfterAnother, Some(from))
    }

    /// Whether an object leads to itself by way of others.
    fn leads_to_itself(&self, object: u32, visits: &mut usize) -> bool {
        let mut seen: FxHashSet<u32> = FxHashSet::default();
        let mut rest: Vec<u32> = self.graph.edges(object).iter().copied().filter(|next| *next != object).collect();
        while let Some(next) = rest.pop() {
            if next == object {
                return true;
            }
            if *visits == 0 || !seen.insert(next) {
                continue;
            }
            *visits -= 1;
            rest.extend(self.graph.edges(next));
        }
        false
    }

    /// The function that a cleanup calls: up to Go 1.25 it is captured by a closure of the runtime's own.
    fn cleanup_name(&self, closure: u64, names: &mut FxHashMap<u64, Option<String>>) -> Option<String> {
        let outer = self.closure_name(closure)?;
        if !outer.starts_with("runtime.AddCleanup") {
            return Some(outer);
        }
        let inner = (1..=CLOSURE_WORDS).filter_map(|index| {
            let value = self.target.word(closure.checked_add(8 * index)?)?;
            let first = self.target.word(value)?;
            // Captured as it is, or by reference.
            let mut name =
                |closure: u64, pc: u64| names.entry(pc).or_insert_with(|| self.closure_name(closure)).clone();
            name(value, first).or_else(|| name(first, self.target.word(first)?))
        });
        Some(inner.last().unwrap_or(outer))
    }

    /// The function that a closure in a queue or of a cleanup calls.
    pub(super) fn called(&self, closure: u64) -> Option<String> {
        self.cleanup_name(closure, &mut FxHashMap::default())
    }

    /// What waits in the queues, by function.
    fn queued(&self, entries: &[Entry]) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        let mut names = FxHashMap::default();
        for entry in entries {
            let name = self.cleanup_name(entry.function, &mut names).unwrap_or_else(|| "unknown function".to_owned());
            *found.entry(name).or_default() += 1;
        }
        found
    }
}

impl Queues {
    /// Reads the queues; which goroutines call cleanups (by the addresses of their records) tells which variable is theirs.
    pub(super) fn read(finder: &Finder<'_>, variables: &Variables, loops: &FxHashSet<u64>) -> Self {
        let at = &finder.offsets.fin_block;
        let mut found = Self::default();
        for block in finder.fin_blocks(variables) {
            for index in 0..half(&block, at.count) as usize {
                let entry = at.first + index * at.entry;
                let field = |offset: usize| word(&block, entry + offset);
                found.finalizers.push(Entry { function: field(at.function), argument: field(at.argument) });
            }
        }
        let Some(at) = &finder.offsets.cleanup_queue else { return found };
        let Some(queue) = finder.cleanup_queue(variables, loops) else { return found };
        let record = finder.target.read_up_to(queue, at.size);
        if record.len() < at.size {
            return found;
        }
        found.cleanups_run = Some(word(&record, at.executed));
        let (mut block, mut seen) = (word(&record, at.all), FxHashSet::default());
        let words =
            |block: u64, offset: u64| block.checked_add(offset).and_then(|at| finder.target.word(at)).unwrap_or(0);
        while block != 0 && seen.len() < BLOCKS_MAX && seen.insert(block) {
            let count = u64::from(words(block, at.block_count) as u32).min(BLOCK_ENTRIES_MAX);
            for index in 0..count {
                let entry = at.block_first.saturating_add(index * at.entry).saturating_add(at.entry_fn);
                // What a cleanup gets stands behind its function, where it is kept apart.
                let argument = if at.entry > at.entry_fn + 8 { words(block, entry + 8) } else { 0 };
                let function = words(block, entry);
                if function != 0 {
                    found.cleanups.push(Entry { function, argument });
                }
            }
            block = words(block, at.block_all);
        }
        found
    }
}

impl Heap<'_> {
    /// Roots that are told as one: words of the same variable's range or goroutine.
    pub(super) fn merged(&self, from: From) -> From {
        match from {
            From::Variable(at) => From::Variable(self.variable_start(at)),
            From::Frame { stack, .. } | From::Register { stack, .. } | From::Deferred { stack, .. } => {
                From::Goroutine { stack }
            }
            From::FinalizerOf(_) => From::FinalizerOf(0),
            From::CleanupOf(_) => From::CleanupOf(0),
            other => other,
        }
    }
}

/// Addresses of the records of goroutines that call cleanups.
pub(super) fn cleanup_loops(
    target: &Target,
    binary: &Binary<'_>,
    goroutines: &[Goroutine],
    stacks: &[KeptStack],
) -> FxHashSet<u64> {
    let is_loop = |goroutine: &&Goroutine| {
        let function = goroutine.entry.and_then(|pc| binary.find(pc.wrapping_sub(target.slide)));
        goroutine.role == Role::System && function.is_some_and(|function| function.name() == CLEANUP_LOOP)
    };
    let numbers: FxHashSet<u64> = goroutines.iter().filter(is_loop).map(|goroutine| goroutine.id).collect();
    stacks.iter().filter(|kept| numbers.contains(&kept.id)).map(|kept| kept.record).collect()
}

/// The goroutines that call finalizers and cleanups, and what they do.
pub(super) fn runners(report: &Report) -> Vec<Runner> {
    let mut found = Vec::new();
    for goroutine in &report.goroutines {
        let entry = goroutine.entry.and_then(|pc| report.at(pc).last()).map_or("", |frame| &*frame.function);
        let finalizers = FINALIZER_LOOPS.contains(&entry);
        if !finalizers && entry != CLEANUP_LOOP {
            continue;
        }
        // The outermost frame that isn't the runtime's is the function itself.
        let called = report.stack(goroutine).filter(|frame| !is_runtime(&frame.function)).last();
        let stopped = matches!(goroutine.status, Status::Waiting | Status::Leaked | Status::Syscall);
        found.push(Runner {
            goroutine: goroutine.id,
            finalizers,
            calls: called.map(|frame| frame.function.clone()),
            place: called.map(|frame| (frame.file.clone(), frame.line)),
            wait_reason: goroutine.wait_reason.clone(),
            waiting: goroutine.waiting,
            blocked: called.is_some() && stopped,
        });
    }
    found
}

fn is_runtime(function: &str) -> bool {
    function.starts_with("runtime.") || function.starts_with("internal/runtime/")
}

//! The heap: objects, their types, what is to be called when they die, and what keeps them alive.
//!
//! [`Heap::read`] copies the table of spans and all roots (variables, stacks) while the threads are stopped. Objects are read
//! after, so of a live process they may be newer than the roots; or they are copied too ([`Freeze::Full`]), and what is told
//! is of one moment. Objects, types and pointers are those that the garbage
//! collector itself works with. What doesn't fit is left out and counted in [`Heap::notes`].

mod descriptors;
mod dominators;
mod finalizers;
mod frozen;
mod globals;
mod graph;
mod hints;
mod incarnation;
mod names;
mod offsets;
mod overlay;
mod paths;
mod profile;
mod reach;
mod report;
mod roots;
mod rtypes;
mod scan;
mod spans;
mod specials;
mod unheld;
mod why;
mod written;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;

use residue_gobin::{Binary, References};
use residue_target::{Mapping, MemoryExt as _, Target};
use rustc_hash::FxHashMap;

use crate::Error;
use crate::model::{Freeze, Goroutine, Options, Report};
use crate::offsets::{half, word};
use crate::read::{KeptStack, More, inspect_more};
pub use descriptors::Holder;
pub use dominators::Retained;
use finalizers::Queues;
use frozen::{Frozen, Rest};
use globals::{Finder, Variables};
use graph::{Graph, Shape};
pub use incarnation::{Incarnation, Sameness};
use offsets::Offsets;
use overlay::{Recorded, Recorder};
pub use paths::{RetainedPath, RetainedPaths};
pub use profile::{MemoryProfile, Sample};
use reach::Reach;
pub use report::{
    Collections, Finalizers, Group, Holding, Kind, Neighbour, NoteKind, Object, RetentionPath, Runner, SizeClass,
    State, Step, Summary, Sure, Why,
};
use roots::{From, Root, Stacks};
use rtypes::{Leads, Types};
use scan::Scanner;
use spans::{Marked, Span, Spans};
use specials::{Noted, Special};
pub use unheld::{Hint, HintPlace, Hints, Unheld, Wait};

/// Nothing is mapped below.
const ADDRESS_MIN: u64 = 4096;
/// Nor is anything above, where addresses have 57 bits.
const ADDRESS_MAX: u64 = 1 << 56;
/// How often the heap is looked for.
const FIND_ATTEMPTS: usize = 5;

/// A heap that was read.
pub struct Heap<'a> {
    target: &'a Target,
    binary: &'a Binary<'a>,
    names: &'a crate::offsets::Offsets,
    offsets: &'a Offsets,
    address: u64,
    variables: Variables,
    spans: Spans,
    graph: Graph,
    types: Types<'a>,
    stacks: Vec<KeptStack>,
    roots: Vec<Root>,
    /// Roots before are there whatever happens to objects with finalizers.
    strong: usize,
    reach: Reach,
    specials: Vec<Special>,
    queues: Queues,
    /// Goroutines by the objects that are their records.
    goroutines: FxHashMap<u32, u64>,
    /// Package variables by address, where the program has symbols.
    symbols: Vec<names::Variable>,
    /// Who refers to variables, for those without a symbol; looked for when it is asked.
    references: OnceCell<References>,
    now: Option<u64>,
    /// What didn't fit, and how often.
    pub notes: BTreeMap<&'static str, usize>,
}

/// Layouts, looked up once for a [`Heap`].
pub struct Layouts {
    names: crate::offsets::Offsets,
    heap: Offsets,
}

impl Layouts {
    /// Those of a program.
    ///
    /// # Errors
    /// A field that is needed isn't known.
    pub fn of(binary: &Binary<'_>) -> Result<Self, Error> {
        Ok(Self { names: crate::offsets::Offsets::of(&binary.layouts)?, heap: Offsets::of(binary)? })
    }
}

impl<'a> Heap<'a> {
    /// Reads the goroutines and the heap of a process or a core.
    ///
    /// # Errors
    /// The program's runtime isn't known well enough to be read, or the target can't be.
    pub fn read(
        target: &'a Target,
        binary: &'a Binary<'a>,
        layouts: &'a Layouts,
        options: &Options,
    ) -> Result<(Report, Self), Error> {
        let offsets = &layouts.heap;
        let finder = Finder { target, binary, offsets, symbols: true };
        let mapped = mapped_bytes(target);
        let find = |_| finder.heap(&Variables::copy(target, binary));
        let address = (0..FIND_ATTEMPTS).find_map(find).ok_or(Error::NoHeap)?;
        // Where records of spans and their bits are hardly changes; what they say is read when nothing runs.
        let recorder = Recorder::new(target);
        let before = spans::copy(&recorder, address, offsets, mapped).ok_or(Error::NoHeap)?;
        let mut recorded = Some(recorder.recorded()?);
        let frozen = Frozen { target, binary, offsets, address, mapped };
        let mut room = None;
        if options.freeze == Freeze::Full {
            room = frozen.room(&Spans::new(&before, offsets, mapped))?;
        }
        drop(before);
        let (mut stacks, mut copied) = (Vec::new(), None);
        let mut copy = |goroutines: &[Goroutine], stacks: &[KeptStack]| {
            let variables = Variables::copy(target, binary);
            let Some(overlay) = recorded.take().map(Recorded::again) else { return };
            let rest = room.take().and_then(|room| frozen.copy(&overlay, &variables, room, goroutines, stacks));
            copied = Some((variables, overlay, rest));
        };
        let more = More { stacks: &mut stacks, while_stopped: &mut copy };
        let report = inspect_more(target, binary, options, Some(more))?;
        let (variables, overlay, rest) = copied.ok_or(Error::NoHeap)?;
        let rest = match rest {
            Some(rest) => rest,
            None => {
                let spans = frozen.spans(&overlay).ok_or(Error::NoHeap)?;
                frozen.rest(spans, &variables, &report.goroutines, &stacks)
            }
        };
        drop(overlay);
        let Rest { spans, specials, unreadable, queues, left_out } = rest;
        let mut types = Types::new(target, binary, &layouts.names)?;
        let (tables, (low, high)) = (types.tables(), spans.bounds());
        let mut known: FxHashMap<u64, bool> = FxHashMap::default();
        // Most words that aren't pointers are numbers: to ask the target about each would take longer than all else.
        let mappings: Vec<(u64, u64)> = data_of(&target.mappings_now());
        let mut is_type = |word: u64| {
            let possible = word >= ADDRESS_MIN && word.is_multiple_of(8) && !(low..high).contains(&word);
            let data = || {
                let after = mappings.partition_point(|(start, _)| *start <= word);
                after.checked_sub(1).is_some_and(|before| word < mappings[before].1)
            };
            possible
                && data()
                && (tables.is_description(word) || *known.entry(word).or_insert_with(|| tables.is_table(word)))
        };
        let is_function = |word: u64| is_function(target, binary, word);
        let mut scanner = Scanner::new(target, offsets, &mut types, address);
        let graph = Graph::build(&spans, &mut scanner, &mut is_type, &is_function);
        let guessed = scanner.conservative;
        let mut heap = Self {
            target,
            binary,
            names: &layouts.names,
            offsets,
            address,
            variables,
            graph,
            roots: Vec::new(),
            strong: 0,
            reach: Reach::new(spans.objects),
            spans,
            types,
            stacks,
            specials,
            queues,
            goroutines: FxHashMap::default(),
            symbols: names::variables(target, binary),
            references: OnceCell::new(),
            now: options.now,
            notes: BTreeMap::new(),
        };
        heap.note("bytes of objects read only after the threads went on", left_out as usize);
        heap.note("notes about objects that can't be read", unreadable);
        heap.note("spans that don't fit together", heap.spans.left_out);
        heap.note("spans whose bits don't agree with their count", heap.spans.miscounted);
        heap.note("objects whose pointers were guessed", guessed);
        heap.note("objects that can't be read", heap.graph.unreadable);
        heap.note("edges left out", heap.graph.cut);
        heap.find_roots();
        Ok((report, heap))
    }

    fn note(&mut self, what: &'static str, count: usize) {
        if count > 0 {
            *self.notes.entry(what).or_default() += count;
        }
    }

    fn find_roots(&mut self) {
        let mut said = Vec::new();
        let mut roots =
            roots::variables(self.target, self.binary, &self.variables, &self.spans, &mut |at, value, before| {
                said.push((at, value, before));
            });
        let tables = self.types.tables();
        for (_, value, before) in said {
            if let Some((object, 0)) = self.spans.object_at(value)
                && before >= ADDRESS_MIN
                && (tables.is_description(before) || tables.is_table(before))
            {
                self.graph.say(&self.spans, &mut self.types, object, before);
            }
        }
        let mut reader = Stacks {
            target: self.target,
            binary: self.binary,
            spans: &self.spans,
            goroutines: self.names,
            without_map: 0,
        };
        for (index, kept) in self.stacks.iter().enumerate() {
            if let Some((object, _)) = self.spans.object_at(kept.record) {
                roots.push(Root { object, from: From::Goroutine { stack: index as u32 }, precise: true });
                self.goroutines.insert(object, kept.id);
            }
            roots.extend(reader.roots(index as u32, kept));
        }
        let without_map = reader.without_map;
        self.note("frames without a map of their pointers", without_map);
        for special in &self.specials {
            let (address, from) = match special.noted {
                Noted::Finalizer { function, pointer, .. } => {
                    let kind = self.types.get(pointer).filter(|kind| kind.kind == rtypes::POINTER);
                    if let Some(element) =
                        kind.and_then(|kind| self.types.element(&kind)).filter(|_| special.within == 0)
                    {
                        self.graph.lead(
                            &self.spans,
                            &mut self.types,
                            special.object,
                            Leads::One(element),
                            Sure::Header,
                        );
                    }
                    (function, From::FinalizerOf(special.object))
                }
                Noted::Cleanup { function, argument } => {
                    let from = From::CleanupOf(special.object);
                    if let Some((object, _)) = self.spans.object_at(argument) {
                        roots.push(Root { object, from, precise: true });
                    }
                    (function, from)
                }
                Noted::Weak { handle } => (handle, From::WeakOf(special.object)),
                _ => continue,
            };
            if let Some((object, _)) = self.spans.object_at(address) {
                roots.push(Root { object, from, precise: true });
            }
        }
        let before_queues = roots.len();
        for (entries, is_cleanup) in [(&self.queues.finalizers, false), (&self.queues.cleanups, true)] {
            for (number, entry) in (0..).zip(entries) {
                let from = if is_cleanup { From::QueuedCleanup(number) } else { From::Queued(number) };
                for address in [entry.function, entry.argument] {
                    let object = self.spans.object_at(address);
                    roots.extend(object.map(|(object, _)| Root { object, from, precise: true }));
                }
            }
        }
        self.strong = roots.len();
        self.roots = roots;
        self.spread_from_variables();
        self.graph.spread(&self.spans, &mut self.types, self.target);
        self.graph.find_maps(&self.spans, &self.types);
        // What waits in a queue is told so only when nothing else keeps it, however long the way.
        let (others, queued) = self.roots.split_at(before_queues);
        self.reach.from(&self.graph, others, 0);
        self.reach.from(&self.graph, queued, before_queues as u32);
        self.weaker_roots();
        // Of dead objects that aren't swept yet, what they led to may be gone; of others it can't be.
        let dangling = self.graph.dangling.iter().filter(|object| self.reach.parent(**object).is_some()).count();
        self.note("objects with a pointer to memory that is free", dangling);
    }

    /// What an object leads to lives until its finalizer has run, the object itself only if something else leads to it.
    fn weaker_roots(&mut self) {
        let mut weaker = Vec::new();
        for special in &self.specials {
            if matches!(special.noted, Noted::Finalizer { .. }) && self.reach.parent(special.object).is_none() {
                let from = From::Finalizable(special.object);
                // A pointer straight to itself is passed over by the collector.
                let others = self.graph.edges(special.object).iter().filter(|object| **object != special.object);
                weaker.extend(others.map(|object| Root { object: *object, from, precise: true }));
            }
        }
        self.reach.from(&self.graph, &weaker, self.strong as u32);
        self.roots.extend(weaker);
    }

    fn finder(&self) -> Finder<'_> {
        Finder { target: self.target, binary: self.binary, offsets: self.offsets, symbols: true }
    }

    /// The heap in numbers.
    pub fn summary(&self) -> Summary {
        let mut classes: BTreeMap<(u64, bool), SizeClass> = BTreeMap::new();
        let mut summary =
            Summary { stack_bytes: self.spans.manual_bytes, cycles: self.spans.sweepgen / 2, ..Summary::default() };
        for span in &self.spans.all {
            let (large, pointers) = (span.class >> 1 == 0, span.marked != Marked::NoScan);
            let size = if large { 0 } else { span.element };
            let class = classes.entry((size, pointers)).or_insert(SizeClass {
                size,
                pointers,
                spans: 0,
                objects: 0,
                free: 0,
                bytes: 0,
            });
            let objects = self.spans.allocated(span).count() as u64;
            class.spans += 1;
            class.objects += objects;
            class.free += u64::from(span.count) - objects;
            class.bytes += span.bytes;
            summary.objects += objects;
            summary.object_bytes += objects * span.element;
            summary.span_bytes += span.bytes;
            summary.unswept_spans += usize::from(span.unswept);
        }
        summary.classes = classes.into_values().collect();
        summary.collections = self.collections();
        summary
    }

    fn collections(&self) -> Option<Collections> {
        let at = &self.offsets.stats;
        let address = self.finder().stats(&self.variables, self.spans.sweepgen)?;
        let record = self.variables.at(address, at.size)?;
        let last = word(record, at.last_monotonic);
        Some(Collections {
            cycles: half(record, at.cycles),
            forced: half(record, at.forced),
            since_last: self.now.map(|now| Duration::from_nanos(now.saturating_sub(last))),
            last_unix_ns: word(record, at.last_unix),
            paused: Duration::from_nanos(word(record, at.pause_total)),
            enabled: record[at.enabled] != 0,
        })
    }

    /// Objects by type, the largest share of memory first; with what they retain, where that is known.
    pub fn kinds(&self, retained: Option<&Retained>) -> Vec<Kind> {
        let sizes = self.value_sizes();
        // One value, or several side by side.
        let mut counts: Vec<[(u64, u64); 2]> = vec![[(0, 0); 2]; sizes.len()];
        for span in &self.spans.all {
            for index in self.spans.allocated(span) {
                let number = self.graph.kind(span.first + index);
                let count = &mut counts[number as usize][usize::from(holds_many(&sizes, span, number))];
                count.0 += 1;
                count.1 += span.element;
            }
        }
        let mut kinds: BTreeMap<Option<String>, Kind> = BTreeMap::new();
        for (number, counts) in counts.into_iter().enumerate() {
            for (many, (objects, bytes)) in counts.into_iter().enumerate().filter(|(_, (objects, _))| *objects > 0) {
                let name = (number > 0).then(|| self.shape_name(self.graph.shapes()[number]));
                let name = name.map(|name| if many > 0 { format!("[]{name}") } else { name });
                let kind = kinds.entry(name.clone()).or_insert(Kind { name, objects: 0, bytes: 0, retained: None });
                kind.objects += objects;
                kind.bytes += bytes;
                if let Some(retained) = retained {
                    *kind.retained.get_or_insert(0) += retained.kinds.get(2 * number + many).copied().unwrap_or(0);
                }
            }
        }
        let mut kinds: Vec<Kind> = kinds.into_values().collect();
        kinds.sort_by(|a, b| (b.bytes, &a.name).cmp(&(a.bytes, &b.name)));
        kinds
    }

    /// Objects that a root leads to, and their bytes.
    pub fn reachable(&self) -> (u64, u64) {
        let sizes =
            self.reach.order.iter().filter_map(|object| self.spans.span_of(*object)).map(|(span, _)| span.element);
        (self.reach.order.len() as u64, sizes.sum())
    }

    /// How many edges lead from object to object.
    pub fn edges(&self) -> usize {
        self.graph.edge_count()
    }

    /// Bytes of one value of what can stand side by side in an object.
    fn value_size(&self, shape: Shape) -> u64 {
        match shape {
            Shape::Of(kind) if !self.types.is_cells(kind) => {
                self.types.size(kind).filter(|size| *size > 0).unwrap_or(u64::MAX)
            }
            _ => u64::MAX,
        }
    }

    /// The same by the number of a type.
    fn value_sizes(&self) -> Vec<u64> {
        self.graph.shapes().iter().map(|shape| self.value_size(*shape)).collect()
    }

    fn shape_name(&self, shape: Shape) -> String {
        let name = |kind: u64| self.types.name(kind).unwrap_or_else(|| "a type made while the program ran".to_owned());
        match shape {
            Shape::Of(kind) => match name(kind) {
                name if rtypes::cells_of(&name).is_some() => {
                    format!("cells of map{}", rtypes::cells_of(&name).unwrap_or_default())
                }
                name => name,
            },
            Shape::Map(cells) => format!("map{}", rtypes::cells_of(&name(cells)).unwrap_or("[?]")),
            Shape::Directory(cells) => format!("directory of map{}", rtypes::cells_of(&name(cells)).unwrap_or("[?]")),
            Shape::Table(cells) => format!("table of map{}", rtypes::cells_of(&name(cells)).unwrap_or("[?]")),
            Shape::Chan(kind) => name(kind),
            Shape::Bytes => "text".to_owned(),
            Shape::Closure(pc) => format!("closure of {}", self.function_name(pc)),
            Shape::Said(_) => "unknown".to_owned(),
        }
    }

    fn function_name(&self, pc: u64) -> String {
        let function = self.binary.find(pc.wrapping_sub(self.target.slide));
        function.map_or_else(|| "unknown function".to_owned(), |function| function.name().into_owned())
    }

    /// The function of a closure.
    fn closure_name(&self, closure: u64) -> Option<String> {
        let pc = self.target.word(closure).filter(|pc| is_function(self.target, self.binary, *pc))?;
        Some(self.function_name(pc))
    }
}

/// Whether an object of a type holds several values side by side; `sizes` is by type.
fn holds_many(sizes: &[u64], span: &Span, kind: u32) -> bool {
    span.element - span.header() >= sizes[kind as usize].saturating_mul(2)
}

fn is_function(target: &Target, binary: &Binary<'_>, pc: u64) -> bool {
    binary.is_entry(pc.wrapping_sub(target.slide))
}

/// Where data can be: what may be read and isn't code.
fn data_of(mappings: &[Mapping]) -> Vec<(u64, u64)> {
    let data = mappings.iter().filter(|mapping| mapping.readable && !mapping.executable);
    data.map(|mapping| (mapping.start, mapping.end)).collect()
}

/// Bytes that a target can have in its heap: what it had mapped, and room to grow since.
fn mapped_bytes(target: &Target) -> u64 {
    let mapped = target.mappings_now();
    let mapped = mapped.iter().filter(|mapping| mapping.writable);
    let bytes = mapped.map(|mapping| mapping.end.saturating_sub(mapping.start)).fold(1 << 26, u64::saturating_add);
    2 * bytes.min(ADDRESS_MAX)
}

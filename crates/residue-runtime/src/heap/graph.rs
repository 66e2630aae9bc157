//! Which object leads to which: edges of all allocated objects, side by side in memory, and what the objects are.
//!
//! Objects are numbers of 32 bits, edges are kept in order of the objects they start from (compressed sparse rows). The
//! memory of the target is read once, span by span; nothing of it is kept but edges.

use rustc_hash::{FxHashMap, FxHashSet};

use super::rtypes::{Leads, Map, Types};
use super::scan::{Met, Scanner, Visitor};
use super::spans::{Marked, Span, Spans};
use residue_target::MemoryExt as _;

/// The lower bits of an edge's place: a word of the object, or of a value of its type where it has many.
const PLACE: u16 = 0x7fff;
/// The word is not told: it is too far in.
const FAR: u16 = PLACE;
/// The edge leads into the middle of an object.
const INTERIOR: u16 = 0x8000;
/// Types are numbered below; the rest of the word says how sure that is.
const KIND: u32 = 0x3fff_ffff;
const SURE_SHIFT: u32 = 30;
/// Objects with pointers to what isn't allocated that are kept.
const DANGLING_MAX: usize = 1 << 20;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// One or more values of the type described there.
    Of(u64),
    /// The head of a map with cells of this type.
    Map(u64),
    /// The tables of such a map.
    Directory(u64),
    /// A table of such a map.
    Table(u64),
    /// A channel of this type.
    Chan(u64),
    /// Text.
    Bytes,
    /// A closure of the function that begins there.
    Closure(u64),
    /// What the first word of an interface says, while that isn't looked up yet.
    Said(u64),
}

/// How it is known what an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sure {
    /// By the type of what leads to it.
    Edge = 1,
    /// An interface that holds it says so.
    Interface = 2,
    /// The runtime notes it beside the object.
    Header = 3,
}

/// All edges.
pub(crate) struct Graph {
    /// Where the edges of each object begin.
    starts: Vec<u32>,
    to: Vec<u32>,
    places: Vec<u16>,
    /// Number of the type and how sure that is, by object; 0 is unknown.
    kinds: Vec<u32>,
    shapes: Vec<Shape>,
    numbers: FxHashMap<Shape, u32>,
    /// Objects whose pointers were guessed.
    pub(crate) conservative: FxHashSet<u32>,
    /// Objects with a pointer to what isn't allocated, in order; at most [`DANGLING_MAX`].
    pub(crate) dangling: Vec<u32>,
    /// Objects not read, and edges left out because there are too many.
    pub(crate) unreadable: usize,
    pub(crate) cut: usize,
    /// Sizes of objects there are, with pointers and without.
    sizes: [Vec<u64>; 2],
}

struct Builder<'g> {
    graph: &'g mut Graph,
    spans: &'g Spans,
    is_type: &'g mut dyn FnMut(u64) -> bool,
    is_function: &'g dyn Fn(u64) -> bool,
    current: u32,
}

impl Visitor for Builder<'_> {
    fn object(&mut self, span: &Span, index: u32, first: u64, kind: Option<u64>) {
        let object = span.first + index;
        self.begin(object);
        if let Some(kind) = kind {
            self.graph.set(object, Shape::Of(kind), Sure::Header);
        } else if matches!(span.marked, Marked::InSpan(_) | Marked::Arena) && (self.is_function)(first) {
            self.graph.set(object, Shape::Closure(first), Sure::Header);
        }
    }

    fn pointer(&mut self, _: &Span, met: Met) {
        let Some((target, into)) = self.spans.object_at(met.value) else {
            let graph = &mut *self.graph;
            if met.precise
                && graph.dangling.last() != Some(&self.current)
                && graph.dangling.len() < DANGLING_MAX
                && self.spans.span_at(met.value).is_some()
            {
                graph.dangling.push(self.current);
            }
            return;
        };
        if met.before != 0 && into == 0 && (self.is_type)(met.before) {
            self.graph.set(target, Shape::Said(met.before), Sure::Interface);
        }
        if !met.precise {
            self.graph.conservative.insert(self.current);
        }
        if self.graph.to.len() >= u32::MAX as usize - 1 {
            self.graph.cut += 1;
            return;
        }
        let place = if met.word < u64::from(FAR) { met.word as u16 } else { FAR };
        self.graph.to.push(target);
        self.graph.places.push(place | if into == 0 { 0 } else { INTERIOR });
    }
}

impl Builder<'_> {
    /// Objects up to this one have all their edges.
    fn begin(&mut self, object: u32) {
        let end = self.graph.to.len() as u32;
        self.graph.starts.resize(object as usize + 1, end);
        self.current = object;
    }
}

impl Graph {
    /// Reads all objects.
    pub(crate) fn build(
        spans: &Spans,
        scanner: &mut Scanner<'_, '_>,
        is_type: &mut dyn FnMut(u64) -> bool,
        is_function: &dyn Fn(u64) -> bool,
    ) -> Self {
        let mut sizes = [Vec::new(), Vec::new()];
        for span in &spans.all {
            sizes[usize::from(span.marked == Marked::NoScan)].push(span.element - span.header());
        }
        for sizes in &mut sizes {
            sizes.sort_unstable();
            sizes.dedup();
        }
        let mut graph = Self {
            starts: Vec::with_capacity(spans.objects as usize + 2),
            to: Vec::new(),
            places: Vec::new(),
            kinds: vec![0; spans.objects as usize],
            shapes: vec![Shape::Bytes],
            numbers: FxHashMap::default(),
            conservative: FxHashSet::default(),
            dangling: Vec::new(),
            unreadable: 0,
            cut: 0,
            sizes,
        };
        let mut builder = Builder { graph: &mut graph, spans, is_type, is_function, current: 0 };
        let mut ahead = 0;
        for (index, span) in spans.all.iter().enumerate() {
            if span.start >= ahead {
                // Spans side by side are read at once.
                ahead = span.start;
                for next in spans.all[index..].iter().take_while(|next| next.marked != Marked::NoScan) {
                    if next.start != ahead {
                        break;
                    }
                    ahead += next.bytes;
                }
            }
            scanner.span(spans, span, ahead.max(span.start + span.bytes), &mut builder);
        }
        builder.begin(spans.objects);
        graph.unreadable = scanner.unreadable;
        graph.to.shrink_to_fit();
        graph.places.shrink_to_fit();
        for object in 0..spans.objects {
            if let Some((Shape::Said(first), _)) = graph.shape(object) {
                graph.kinds[object as usize] = 0;
                graph.say(spans, scanner.types, object, first);
            }
        }
        graph
    }

    /// Takes what an interface says of the object it holds.
    pub(crate) fn say(&mut self, spans: &Spans, types: &mut Types<'_>, object: u32, first: u64) {
        if let Some(leads) = types.dynamic(first) {
            self.lead(spans, types, object, leads, Sure::Interface);
        }
    }

    /// What is known of an object, and how surely.
    pub(crate) fn shape(&self, object: u32) -> Option<(Shape, Sure)> {
        let kind = *self.kinds.get(object as usize)?;
        let sure = match kind >> SURE_SHIFT {
            1 => Sure::Edge,
            2 => Sure::Interface,
            3 => Sure::Header,
            _ => return None,
        };
        Some((*self.shapes.get((kind & KIND) as usize)?, sure))
    }

    /// All shapes, by number; the first stands for nothing.
    pub(crate) fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// The number of an object's shape; 0 when that isn't known.
    pub(crate) fn kind(&self, object: u32) -> u32 {
        self.kinds.get(object as usize).map_or(0, |kind| kind & KIND)
    }

    /// Says what an object is, unless that is known as surely already; whether it is new.
    fn set(&mut self, object: u32, shape: Shape, sure: Sure) -> bool {
        let Some(known) = self.kinds.get(object as usize).copied() else { return false };
        if known >> SURE_SHIFT >= sure as u32 {
            return false;
        }
        let next = self.shapes.len() as u32;
        let number = *self.numbers.entry(shape).or_insert_with(|| {
            self.shapes.push(shape);
            next
        });
        self.kinds[object as usize] = number | (sure as u32) << SURE_SHIFT;
        true
    }

    /// Takes what a pointer of a known type says of the object it leads to, if it can be so; whether that is new.
    pub(crate) fn lead(&mut self, spans: &Spans, types: &mut Types<'_>, object: u32, leads: Leads, sure: Sure) -> bool {
        if self.kinds.get(object as usize).is_none_or(|known| known >> SURE_SHIFT >= sure as u32) {
            return false;
        }
        let Some((span, _)) = spans.span_of(object) else { return false };
        let (size, noscan) = (span.element - span.header(), span.marked == Marked::NoScan);
        let shape = match leads {
            Leads::One(kind) | Leads::Many(kind) => {
                let Some(known) = types.get(kind) else { return false };
                // A pointer to the first field of a struct is no pointer to an object of the field's type.
                let one = matches!(leads, Leads::One(_));
                let fits = known.size > 0
                    && known.size <= size
                    && (!one || known.size > self.smaller(size, noscan))
                    && noscan == (known.pointer_bytes == 0);
                if !fits {
                    return false;
                }
                Shape::Of(kind)
            }
            Leads::Map(kind) => {
                let Some(cells) = types.map_cells(kind) else { return false };
                Shape::Map(cells)
            }
            Leads::Chan(kind) => Shape::Chan(kind),
            Leads::Bytes if noscan => Shape::Bytes,
            Leads::Bytes | Leads::Closure | Leads::Interface | Leads::Tables => return false,
        };
        self.set(object, shape, sure)
    }

    /// The next smaller size of objects there are, at most half as large.
    fn smaller(&self, size: u64, noscan: bool) -> u64 {
        let sizes = &self.sizes[usize::from(noscan)];
        let before = sizes.partition_point(|known| *known < size);
        let known = before.checked_sub(1).map_or(0, |index| sizes[index]);
        // Not every size need be in use.
        known.max(if size > 64 { size * 2 / 3 } else { 0 }).min(size - 1).min(known.max(size / 2))
    }

    /// Takes what an object is and says what those are that it leads to, and on.
    pub(crate) fn spread(&mut self, spans: &Spans, types: &mut Types<'_>, memory: &dyn residue_target::Memory) {
        let mut queue: Vec<u32> = (0..spans.objects).filter(|object| self.kinds[*object as usize] != 0).collect();
        while let Some(object) = queue.pop() {
            let Some((shape, _)) = self.shape(object) else { continue };
            let edges = self.starts[object as usize] as usize..self.starts[object as usize + 1] as usize;
            if edges.is_empty() {
                continue;
            }
            let targets: std::rc::Rc<[(u64, Leads)]>;
            let value = match shape {
                Shape::Of(kind) => {
                    targets = types.targets(kind);
                    types.get(kind).map_or(0, |kind| kind.size)
                }
                _ => {
                    targets = Self::inner(spans, types, memory, object, shape).into();
                    0
                }
            };
            for edge in edges {
                let (target, place) = (self.to[edge], self.places[edge]);
                let word = place & PLACE;
                if self.kinds[target as usize] >> SURE_SHIFT != 0 {
                    continue;
                }
                // Directories are arrays of pointers to tables, whatever word it is.
                let at = match (shape, value) {
                    (Shape::Directory(_), _) => 0,
                    (_, 0) => u64::from(word) * 8,
                    _ if word == FAR => continue,
                    (_, value) => u64::from(word) * 8 % value,
                };
                let Ok(found) = targets.binary_search_by_key(&at, |(offset, _)| *offset) else { continue };
                let new = match (targets[found].1, shape) {
                    // Texts are cut from each other.
                    (leads, _) if place & INTERIOR != 0 && leads != Leads::Bytes => false,
                    (Leads::Tables, Shape::Map(cells)) => self.set(target, Shape::Directory(cells), Sure::Edge),
                    (Leads::Tables, Shape::Directory(cells)) => self.set(target, Shape::Table(cells), Sure::Edge),
                    (leads, _) => self.lead(spans, types, target, leads, Sure::Edge),
                };
                if new {
                    queue.push(target);
                }
            }
        }
    }

    /// Finds the heads of maps by the cells they lead to: nothing but a map leads to the start of its cells.
    pub(crate) fn find_maps(&mut self, spans: &Spans, types: &Types<'_>) {
        let cells = |graph: &Self, object: u32| match graph.shape(object) {
            Some((Shape::Of(kind), _)) if types.is_cells(kind) => Some(kind),
            _ => None,
        };
        let head = types.map_size();
        match *types.map() {
            Map::Buckets { buckets, .. } => {
                self.find_holders(spans, Some((head, buckets)), &|graph, target| cells(graph, target).map(Shape::Map));
            }
            Map::Groups { directory, groups, table, .. } => {
                self.find_holders(spans, Some((table, groups)), &|graph, target| {
                    cells(graph, target).map(Shape::Table)
                });
                self.find_holders(spans, None, &|graph, target| match graph.shape(target) {
                    Some((Shape::Table(cells), _)) => Some(Shape::Directory(cells)),
                    _ => None,
                });
                self.find_holders(spans, Some((head, directory)), &|graph, target| match graph.shape(target) {
                    Some((Shape::Directory(cells), _)) => Some(Shape::Map(cells)),
                    _ => cells(graph, target).map(Shape::Map),
                });
            }
        }
    }

    /// Says what unknown objects are by what they lead to: objects of a size with a pointer at an offset, or those all of
    /// whose pointers lead to the same.
    fn find_holders(&mut self, spans: &Spans, at: Option<(u64, u64)>, says: &dyn Fn(&Self, u32) -> Option<Shape>) {
        for span in spans.all.iter().filter(|span| matches!(span.marked, Marked::InSpan(_) | Marked::Arena)) {
            // Sizes are rounded up, to the next multiple of 16 at these.
            if at.is_some_and(|(size, _)| span.element < size || span.element >= size + 16) {
                continue;
            }
            for object in spans.allocated(span).map(|index| span.first + index) {
                if self.kinds[object as usize] >> SURE_SHIFT != 0 {
                    continue;
                }
                let from = self.starts[object as usize] as usize;
                let mut said = None;
                for (edge, target) in self.edges(object).iter().enumerate() {
                    let place = self.places[from + edge];
                    let looks = at.is_none_or(|(_, offset)| u64::from(place) * 8 == offset);
                    let shape = if place & INTERIOR == 0 && looks { says(self, *target) } else { None };
                    match (at, shape) {
                        (Some(_), None) => {}
                        // All have to say the same.
                        (None, shape) if edge > 0 && shape != said => {
                            said = None;
                            break;
                        }
                        (_, shape) => said = shape,
                    }
                }
                if let Some(shape) = said {
                    self.set(object, shape, Sure::Edge);
                }
            }
        }
    }

    /// What the pointers of the runtime's own structs lead to.
    fn inner(
        spans: &Spans,
        types: &mut Types<'_>,
        memory: &dyn residue_target::Memory,
        object: u32,
        shape: Shape,
    ) -> Vec<(u64, Leads)> {
        let start = spans.extent(object).map_or(0, |(start, _)| start);
        match (shape, types.map()) {
            (Shape::Map(cells), Map::Buckets { buckets, old, .. }) => {
                vec![(*buckets, Leads::Many(cells)), (*old, Leads::Many(cells))]
            }
            (Shape::Map(cells), Map::Groups { directory, directory_len, .. }) => {
                match memory.word(start + directory_len) {
                    // A small map has its only group in place of a directory.
                    Some(0) => vec![(*directory, Leads::Many(cells))],
                    Some(_) => vec![(*directory, Leads::Tables)],
                    None => Vec::new(),
                }
            }
            (Shape::Directory(_), _) => vec![(0, Leads::Tables)],
            (Shape::Table(cells), Map::Groups { groups, .. }) => vec![(*groups, Leads::Many(cells))],
            (Shape::Chan(kind), _) => {
                let element = types.get(kind).and_then(|kind| types.element(&kind));
                element.map(|element| vec![(types.chan_buffer(), Leads::Many(element))]).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// The objects an object leads to.
    pub(crate) fn edges(&self, object: u32) -> &[u32] {
        let at = object as usize;
        let (Some(from), Some(until)) = (self.starts.get(at), self.starts.get(at + 1)) else { return &[] };
        self.to.get(*from as usize..*until as usize).unwrap_or_default()
    }

    /// Which word of an object leads to another, as far as it is kept.
    pub(crate) fn place(&self, from: u32, to: u32) -> u16 {
        let first = self.starts.get(from as usize).map_or(0, |start| *start as usize);
        let edge = self.edges(from).iter().position(|target| *target == to);
        edge.and_then(|edge| self.places.get(first + edge)).map_or(0, |place| place & PLACE)
    }

    /// Objects that lead to one, at most `most`.
    pub(crate) fn sources(&self, object: u32, most: usize) -> Vec<u32> {
        let mut found: Vec<u32> = Vec::new();
        for (edge, _) in self.to.iter().enumerate().filter(|(_, target)| **target == object) {
            let source = self.starts.partition_point(|start| *start as usize <= edge).saturating_sub(1) as u32;
            if found.last() != Some(&source) && found.len() < most {
                found.push(source);
            }
        }
        found
    }

    /// How many edges there are.
    pub(crate) fn edge_count(&self) -> usize {
        self.to.len()
    }
}

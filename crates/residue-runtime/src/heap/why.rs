//! What keeps objects alive: ways from roots, alike ones told as one.
//!
//! Each object's way is the shortest from any root, as a breadth-first walk from all of them finds it. Ways are alike that
//! begin at the same root and go through the same types and fields, whatever cells of maps and elements of slices these are;
//! of a chain of objects of one type (a list, a tree) the length doesn't count.

use residue_target::{Memory as _, MemoryExt as _};
use rustc_hash::{FxHashMap, FxHashSet};

use super::graph::Shape;
use super::reach::Parent;
use super::report::{Holding, RetentionPath, Step, Why};
use super::roots::From;
use super::scan::{Met, Scanner, Visitor};
use super::spans::Span;
use super::{Heap, is_function};

/// Ways that are told.
const HOLDINGS_MAX: usize = 8;
/// Steps of a way that are told; longer ones lose their middle.
const STEPS_MAX: usize = 40;
/// Objects that are walked up in order to find what others have in common.
const WALKED_MAX: usize = 100_000_000;
/// An object of unknown type with more pointers may be an array: which of them it is doesn't count.
const ARRAY_EDGES: usize = 16;
/// So may one with as many that lead to objects alike.
const ARRAY_ALIKE: usize = 4;
/// Types a way goes through, as far as they tell it from others.
const DEPTH_MAX: u32 = 64;

/// What ways that are alike have in common: that of the object before, and what comes then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mark {
    Root(From),
    /// A frame of this function.
    Function(u64),
    Step {
        before: u32,
        kind: u32,
        place: u16,
    },
}

/// Ways, told apart by numbers.
#[derive(Default)]
struct Marks {
    numbers: FxHashMap<Mark, u32>,
    /// How many steps each has.
    depths: Vec<u32>,
    /// By object.
    known: FxHashMap<u32, u32>,
}

impl Marks {
    fn number(&mut self, mark: Mark, depth: u32) -> u32 {
        let next = self.depths.len() as u32;
        let number = *self.numbers.entry(mark).or_insert(next);
        if number == next {
            self.depths.push(depth);
        }
        number
    }
}

struct Alike {
    objects: u64,
    bytes: u64,
    nearest: u32,
    nearest_depth: u32,
    /// The last object that all have on their way.
    common: Option<u32>,
    /// The goroutines they begin at.
    stacks: FxHashSet<u32>,
}

impl Heap<'_> {
    /// The objects at addresses.
    pub fn objects_at(&self, addresses: impl Iterator<Item = u64>) -> Vec<u32> {
        addresses.filter_map(|address| self.spans.object_at(address)).map(|(object, _)| object).collect()
    }

    /// What keeps objects alive.
    pub fn why(&mut self, objects: &[u32]) -> Why {
        let mut why = Why::default();
        let mut marks = Marks::default();
        let mut alike: Vec<Alike> = Vec::new();
        let mut numbers: FxHashMap<u32, usize> = FxHashMap::default();
        let mut depths: FxHashMap<u32, u32> = FxHashMap::default();
        let mut walked = WALKED_MAX;
        for object in objects {
            let bytes = self.spans.span_of(*object).map_or(0, |(span, _)| span.element);
            why.objects += 1;
            why.bytes += bytes;
            let Some(mark) = self.mark(*object, &mut marks) else {
                why.unreachable += 1;
                continue;
            };
            let depth = self.depth(*object, &mut depths);
            let number = *numbers.entry(mark).or_insert(alike.len());
            if number == alike.len() {
                alike.push(Alike {
                    objects: 0,
                    bytes: 0,
                    nearest: *object,
                    nearest_depth: depth,
                    common: None,
                    stacks: FxHashSet::default(),
                });
            }
            let group = &mut alike[number];
            if group.objects == 0 {
                group.common = match self.reach.parent(*object) {
                    Some(Parent::Object(parent)) => Some(parent),
                    _ => None,
                };
            } else if let Some(common) = group.common {
                group.common = self.common(common, *object, &mut depths, &mut walked);
            }
            if let Some(
                From::Frame { stack, .. }
                | From::Register { stack, .. }
                | From::Deferred { stack, .. }
                | From::Goroutine { stack },
            ) = self.reach.root(*object).map(|root| self.roots[root as usize].from)
            {
                group.stacks.insert(stack);
            }
            group.objects += 1;
            group.bytes += bytes;
            if depth < group.nearest_depth {
                (group.nearest, group.nearest_depth) = (*object, depth);
            }
        }
        alike.sort_by_key(|group| (std::cmp::Reverse(group.objects), group.nearest_depth, group.nearest));
        why.more = alike.len().saturating_sub(HOLDINGS_MAX);
        for group in alike.iter().take(HOLDINGS_MAX) {
            let Some(path) = self.path(group.nearest) else { continue };
            let container = group.common.filter(|_| group.objects > 1).and_then(|common| {
                let (address, _) = self.spans.extent(common)?;
                path.steps.iter().position(|step| step.address == address)
            });
            why.holdings.push(Holding {
                objects: group.objects,
                bytes: group.bytes,
                goroutines: group.stacks.len(),
                path,
                container,
            });
        }
        why
    }

    /// The number of what ways like an object's have in common.
    fn mark(&self, object: u32, marks: &mut Marks) -> Option<u32> {
        let mut rest = Vec::new();
        let mut at = object;
        let mut mark = loop {
            if let Some(known) = marks.known.get(&at) {
                break *known;
            }
            rest.push(at);
            match self.reach.parent(at)? {
                Parent::Object(parent) => at = parent,
                Parent::Root(root) => {
                    break marks.number(self.alike(self.roots[root as usize].from), 0);
                }
            }
        };
        while let Some(object) = rest.pop() {
            let kind = self.graph.kind(object);
            let parent = match self.reach.parent(object)? {
                Parent::Object(parent) => Some(parent),
                Parent::Root(_) => None,
            };
            let depth = marks.depths[mark as usize];
            let same = parent.is_some_and(|parent| kind != 0 && self.graph.kind(parent) == kind);
            if !same && depth < DEPTH_MAX {
                let place = parent.map_or(0, |parent| self.place_of(parent, object));
                mark = marks.number(Mark::Step { before: mark, kind, place }, depth + 1);
            }
            marks.known.insert(object, mark);
        }
        Some(mark)
    }

    /// Which part of an object leads to another, as far as it tells ways apart: no cell of a map, no element of a slice.
    fn place_of(&self, parent: u32, object: u32) -> u16 {
        match self.graph.shape(parent).map(|(shape, _)| shape) {
            Some(Shape::Of(kind)) if !self.types.is_cells(kind) => {
                let words = self.types.size(kind).map_or(0, |size| size / 8);
                let place = u64::from(self.graph.place(parent, object));
                place.checked_rem(words).map_or(0, |place| place as u16)
            }
            Some(Shape::Closure(_)) => self.graph.place(parent, object),
            None if !self.may_be_array(parent) => self.graph.place(parent, object),
            _ => 0,
        }
    }

    /// Whether an object of unknown type is likely to be an array: it has many pointers, or several that lead to objects of
    /// one type and size.
    fn may_be_array(&self, object: u32) -> bool {
        let edges = self.graph.edges(object);
        let what = |object: &u32| (self.graph.kind(*object), self.spans.span_of(*object).map(|(span, _)| span.element));
        let alike = || edges.iter().skip(1).all(|other| what(other) == what(&edges[0]));
        edges.len() > ARRAY_EDGES || (edges.len() >= ARRAY_ALIKE && alike())
    }

    /// What is the same of roots that are told as one: the variable, the function of a frame.
    fn alike(&self, from: From) -> Mark {
        match from {
            From::Frame { stack, frame, .. } => self.function_of(stack, frame),
            From::Register { stack, .. } => self.function_of(stack, 0),
            From::Deferred { .. } => Mark::Root(From::Deferred { stack: 0, at: 0 }),
            From::Goroutine { .. } => Mark::Root(From::Goroutine { stack: 0 }),
            other => Mark::Root(self.merged(other)),
        }
    }

    fn function_of(&self, stack: u32, frame: u32) -> Mark {
        Mark::Function(self.telling_frame(stack, frame).map_or(0, |frame| frame.place.entry))
    }

    fn depth(&self, object: u32, depths: &mut FxHashMap<u32, u32>) -> u32 {
        let mut rest = Vec::new();
        let mut at = object;
        let mut depth = loop {
            if let Some(known) = depths.get(&at) {
                break *known;
            }
            rest.push(at);
            match self.reach.parent(at) {
                Some(Parent::Object(parent)) => at = parent,
                _ => break 0,
            }
        };
        while let Some(object) = rest.pop() {
            depth += 1;
            depths.insert(object, depth);
        }
        depth
    }

    /// The last object that two ways have in common.
    fn common(&self, one: u32, other: u32, depths: &mut FxHashMap<u32, u32>, walked: &mut usize) -> Option<u32> {
        let (mut one, mut other) = (one, other);
        let (mut deep, mut other_deep) = (self.depth(one, depths), self.depth(other, depths));
        while one != other {
            *walked = walked.checked_sub(1)?;
            let up = if deep >= other_deep { &mut one } else { &mut other };
            match self.reach.parent(*up)? {
                Parent::Object(parent) => *up = parent,
                Parent::Root(_) => return None,
            }
            if deep >= other_deep {
                deep -= 1;
            } else {
                other_deep -= 1;
            }
        }
        Some(one)
    }

    /// The shortest way to an object.
    pub(super) fn path(&mut self, object: u32) -> Option<RetentionPath> {
        let (mut objects, root) = self.reach.path(object)?;
        objects.reverse();
        let root = self.roots[root as usize];
        let mut left_out = 0;
        // The object before each, from which the field is taken.
        let mut pairs: Vec<(Option<u32>, u32)> = Vec::new();
        for (index, object) in objects.iter().enumerate() {
            let middle = objects.len() > STEPS_MAX && index >= STEPS_MAX / 2 && index < objects.len() - STEPS_MAX / 2;
            if middle {
                left_out += 1;
            } else {
                pairs.push((index.checked_sub(1).map(|before| objects[before]), *object));
            }
        }
        let steps = pairs.into_iter().map(|(before, object)| self.step(before, object)).collect();
        Some(RetentionPath {
            root: self.root_name(root.from),
            root_kind: root.from.kind(),
            root_type: self.root_type(root.from),
            root_precise: root.precise,
            steps,
            left_out,
        })
    }

    fn root_type(&self, from: From) -> Option<String> {
        let From::Variable(at) = from else { return None };
        let (variable, _) = self.variable(at)?;
        (variable.kind != 0).then(|| self.types.name(variable.kind)).flatten()
    }

    fn step(&mut self, before: Option<u32>, object: u32) -> Step {
        let (address, bytes) = self.spans.extent(object).unwrap_or_default();
        let (field, precise) = match before {
            None => (String::new(), true),
            Some(before) => {
                let at = self.word_to(before, object);
                let field = at.map_or_else(String::new, |at| self.field(before, at));
                (field, !self.graph.conservative.contains(&before))
            }
        };
        Step { address, bytes, kind: self.object_name(object), field, precise, internal: self.is_internal(object) }
    }

    /// What an object is: its type, several of these, or a goroutine.
    pub(super) fn object_name(&self, object: u32) -> Option<String> {
        if let Some(id) = self.goroutines.get(&object) {
            return Some(format!("goroutine {id}"));
        }
        let Some((shape, _)) = self.graph.shape(object) else {
            return self.is_os_file(object).then(|| "os.File".to_owned());
        };
        let name = self.shape_name(shape);
        let many = match shape {
            Shape::Of(kind) if !self.types.is_cells(kind) => {
                let room = self.spans.extent(object).map_or(0, |(_, bytes)| bytes);
                self.types.size(kind).is_some_and(|size| size > 0 && room >= 2 * size)
            }
            _ => false,
        };
        Some(if many { format!("[]{name}") } else { name })
    }

    /// Whether an object of unknown type can only be an `os.File`: a word that leads to an `os.file`, to which nothing else has
    /// a pointer of its own (`type File struct { *file }` in `os/types.go`).
    fn is_os_file(&self, object: u32) -> bool {
        let [file] = self.graph.edges(object) else { return false };
        let is_word = self.spans.extent(object).is_some_and(|(_, bytes)| bytes == 8);
        is_word && self.graph.shape(*file).is_some_and(|(shape, _)| self.shape_name(shape) == "os.file")
    }

    /// The first word of an object that leads to another, counted in bytes.
    pub(super) fn word_to(&mut self, from: u32, to: u32) -> Option<u64> {
        struct First<'s> {
            spans: &'s super::Spans,
            to: u32,
            found: Option<u64>,
        }
        impl Visitor for First<'_> {
            fn object(&mut self, _: &Span, _: u32, _: u64, _: Option<u64>) {}

            fn pointer(&mut self, _: &Span, met: Met) {
                if self.found.is_none() && self.spans.object_at(met.value).is_some_and(|(object, _)| object == self.to)
                {
                    self.found = Some(met.word * 8);
                }
            }
        }
        let (span, index) = self.spans.span_of(from)?;
        let mut first = First { spans: &self.spans, to, found: None };
        let mut scanner = Scanner::new(self.target, self.offsets, &mut self.types, self.address);
        scanner.one(&self.spans, span, index, &mut first);
        first.found
    }

    /// A part of an object, as one would write it.
    pub(super) fn field(&self, object: u32, offset: u64) -> String {
        match self.graph.shape(object).map(|(shape, _)| shape) {
            Some(Shape::Of(kind)) => {
                let size = self.types.size(kind).filter(|size| *size > 0).unwrap_or(u64::MAX);
                let room = self.spans.extent(object).map_or(0, |(_, bytes)| bytes);
                let path = self.types.path(kind, offset % size).unwrap_or_else(|| format!("+{:#x}", offset % size));
                if self.types.is_cells(kind) {
                    return if is_key(&path) { "[key]".to_owned() } else { format!("[…]{}", behind_cell(&path)) };
                }
                if room >= size.saturating_mul(2) { format!("[{}]{path}", offset / size) } else { path }
            }
            Some(Shape::Map(_) | Shape::Directory(_) | Shape::Table(_)) => String::new(),
            Some(Shape::Chan(_)) => {
                if offset == self.types.chan_buffer() {
                    "buffer".to_owned()
                } else {
                    "waiting".to_owned()
                }
            }
            Some(Shape::Closure(_)) => format!("captured word {}", offset / 8),
            None if self.is_os_file(object) => ".file".to_owned(),
            Some(Shape::Bytes | Shape::Said(_)) | None => format!("+{offset:#x}"),
        }
    }

    /// One object, with what it leads to.
    pub fn object(&mut self, address: u64) -> Option<super::report::Object> {
        let (object, within) = self.spans.object_at(address)?;
        let (start, bytes) = self.spans.extent(object)?;
        let mut fields = Vec::new();
        let edges: Vec<u32> = self.graph.edges(object).to_vec();
        let mut seen = FxHashSet::default();
        for target in edges {
            if fields.len() >= super::report::FIELDS_MAX || !seen.insert(target) {
                continue;
            }
            let at = self.word_to(object, target).unwrap_or(0);
            let (address, bytes) = self.spans.extent(target).unwrap_or_default();
            fields.push((self.field(object, at), address, bytes, self.object_name(target)));
        }
        let holders = self.graph.sources(object, super::report::FIELDS_MAX);
        let holders = holders
            .into_iter()
            .map(|source| {
                let at = self.word_to(source, object).unwrap_or(0);
                let (address, bytes) = self.spans.extent(source).unwrap_or_default();
                (self.field(source, at), address, bytes, self.object_name(source))
            })
            .collect();
        let first = self.target.word(start).unwrap_or(0);
        let closure = is_function(self.target, self.binary, first).then(|| self.function_name(first));
        Some(super::report::Object {
            address: start,
            within,
            bytes,
            kind: self.object_name(object),
            sure: self.graph.shape(object).map(|(_, sure)| sure),
            function: closure,
            readable: self.target.read_up_to(start, 8).len() == 8,
            reachable: self.reach.parent(object).is_some(),
            leads_to: fields,
            held_by: holders,
        })
    }
}

/// Whether a place in a map's cells is that of a key: `.slots[3].key.name`, `.keys[3]`.
fn is_key(path: &str) -> bool {
    path.split('.').any(|part| part == "key" || part.starts_with("keys["))
}

/// What is behind the cell itself: `.slots[3].elem.file` is a part of an element, `.elems[3].file` too.
fn behind_cell(path: &str) -> &str {
    if let Some((_, behind)) = path.split_once("].elem") {
        return behind;
    }
    path.split_once(']').map_or("", |(_, behind)| behind)
}

impl From {
    /// A word for what kind of root it is.
    fn kind(self) -> &'static str {
        match self {
            Self::Variable(_) => "variable",
            Self::Frame { .. } => "frame",
            Self::Register { .. } => "register",
            Self::Deferred { .. } => "deferred",
            Self::Goroutine { .. } => "goroutine",
            Self::FinalizerOf(_) => "finalizer",
            Self::CleanupOf(_) => "cleanup",
            Self::WeakOf(_) => "weak",
            Self::Queued(_) => "finalizer_queue",
            Self::QueuedCleanup(_) => "cleanup_queue",
            Self::Finalizable(_) => "finalizable",
        }
    }
}

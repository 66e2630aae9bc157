//! What is told of a heap: plain data.

use std::collections::BTreeMap;
use std::time::Duration;

pub use super::graph::Sure;

/// A heap, in numbers.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Sizes of objects, with and without pointers.
    pub classes: Vec<SizeClass>,
    /// Objects that are allocated, dead ones that no sweep has found yet included.
    pub objects: u64,
    /// Their bytes, as they are rounded up.
    pub object_bytes: u64,
    /// Bytes of spans that hold objects.
    pub span_bytes: u64,
    /// Bytes of spans that hold stacks.
    pub stack_bytes: u64,
    /// Spans that the last collection marked and nobody has swept yet: some of their objects are dead.
    pub unswept_spans: usize,
    /// What is known of collections; none before the first, or when the runtime's figures were not found.
    pub collections: Option<Collections>,
    /// Collections that were begun.
    pub cycles: u32,
}

/// What spans of one size hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SizeClass {
    /// Bytes of an object; 0 stands for all that have a span of their own.
    pub size: u64,
    /// The collector looks for pointers in them.
    pub pointers: bool,
    /// Spans.
    pub spans: u64,
    /// Objects that are allocated.
    pub objects: u64,
    /// Places that are free.
    pub free: u64,
    /// Bytes of the spans.
    pub bytes: u64,
}

/// Garbage collections, by the runtime's own figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collections {
    /// How many have ended.
    pub cycles: u32,
    /// How many the program asked for.
    pub forced: u32,
    /// The time since the last one ended, where there is a now.
    pub since_last: Option<Duration>,
    /// When the last one ended, in nanoseconds since 1970.
    pub last_unix_ns: u64,
    /// For how long they have stopped the program, together.
    pub paused: Duration,
    /// The collector is switched on.
    pub enabled: bool,
}

/// Objects of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The type; none for what isn't known.
    pub name: Option<String>,
    /// Objects.
    pub objects: u64,
    /// Their bytes, as they are rounded up.
    pub bytes: u64,
    /// Bytes that would be free without these objects; only when dominators were asked for.
    pub retained: Option<u64>,
}

/// What the runtime is to do when objects die.
#[derive(Clone, Debug, Default)]
pub struct Finalizers {
    /// By kind, function and type, the most numerous first.
    pub groups: Vec<Group>,
    /// Finalizers that wait in the queue, by function; on Go before 1.25 cleanups too.
    pub queued: BTreeMap<String, u64>,
    /// Cleanups that wait in their own queue, by function.
    pub queued_cleanups: BTreeMap<String, u64>,
    /// The goroutines that call them.
    pub runners: Vec<Runner>,
    /// Cleanups that were run, where the runtime counts them.
    pub cleanups_run: Option<u64>,
}

/// What is noted about objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoteKind {
    /// `runtime.SetFinalizer`.
    Finalizer,
    /// `runtime.AddCleanup`.
    Cleanup,
    /// `weak.Pointer`.
    Weak,
}

impl NoteKind {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finalizer => "finalizer",
            Self::Cleanup => "cleanup",
            Self::Weak => "weak pointer",
        }
    }
}

/// Objects with the same function to be called when they die.
#[derive(Clone, Debug)]
pub struct Group {
    /// What is noted.
    pub kind: NoteKind,
    /// The type of the objects.
    pub object_type: Option<String>,
    /// The function; none for weak pointers.
    pub function: Option<String>,
    /// How many there are.
    pub registered: u64,
    /// How they stand.
    pub states: BTreeMap<State, u64>,
    /// Roots that keep most of them, with how many.
    pub kept_by: Vec<(String, u64)>,
    /// The address of one that can't be called, else of one that isn't yet.
    pub example: u64,
}

/// Whether a function can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing leads to the object: the next collection queues it.
    Unreachable,
    /// A goroutine's stack or a deferred call leads to it.
    InUse,
    /// A package variable leads to it: while it does, the function isn't called.
    KeptByVariable,
    /// Something else of the runtime leads to it.
    KeptOtherwise,
    /// An object whose finalizer isn't called yet leads to it: that comes first, one collection a link.
    AfterAnother,
    /// It leads to itself by way of others: never.
    Cycle,
    /// Its own function holds it: never.
    OwnFunction,
    /// It shares its block with others, which keep it as long as they live.
    TinyBlock,
}

impl State {
    /// A few words for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable, queued by the next collection",
            Self::InUse => "in use by goroutines",
            Self::KeptByVariable => "kept by a package variable",
            Self::KeptOtherwise => "kept by the runtime",
            Self::AfterAnother => "behind another finalizer",
            Self::Cycle => "in a cycle",
            Self::OwnFunction => "held by its own function",
            Self::TinyBlock => "in a block shared with others",
        }
    }

    /// A key for it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::InUse => "in_use",
            Self::KeptByVariable => "kept_by_variable",
            Self::KeptOtherwise => "kept_otherwise",
            Self::AfterAnother => "after_another",
            Self::Cycle => "cycle",
            Self::OwnFunction => "own_function",
            Self::TinyBlock => "tiny_block",
        }
    }

    /// The function is never called, whatever the program does with the object.
    pub fn is_never(self) -> bool {
        matches!(self, Self::Cycle | Self::OwnFunction)
    }
}

/// A goroutine that calls finalizers or cleanups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// Its number.
    pub goroutine: u64,
    /// It calls finalizers, else cleanups.
    pub finalizers: bool,
    /// The function that it is in and that isn't the runtime's; none while it waits for work.
    pub calls: Option<String>,
    /// Where in that function it is.
    pub place: Option<(String, u32)>,
    /// Why it waits.
    pub wait_reason: Option<String>,
    /// For how long.
    pub waiting: Option<Duration>,
    /// It waits in a function of the program: nothing behind it is called.
    pub blocked: bool,
}

/// What keeps objects alive.
#[derive(Clone, Debug, Default)]
pub struct Why {
    /// Objects that were asked for.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that nothing leads to: the next collection frees them.
    pub unreachable: u64,
    /// Ways from roots, the one that most objects share first.
    pub holdings: Vec<Holding>,
    /// Ways that are not listed.
    pub more: usize,
    /// Where the only object that was asked for waits, if no root keeps it.
    pub unheld: Option<Box<super::Unheld>>,
}

/// Objects that are kept in the same way.
#[derive(Clone, Debug)]
pub struct Holding {
    /// How many objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many goroutines the ways begin at, where they begin at one.
    pub goroutines: usize,
    /// The way to the one that is nearest to its root.
    pub path: RetentionPath,
    /// The step of the path, by number, that the ways of all these objects have in common: what contains them.
    pub container: Option<usize>,
}

/// The shortest way from a root to an object.
#[derive(Clone, Debug)]
pub struct RetentionPath {
    /// Where it begins.
    pub root: String,
    /// What kind of root that is.
    pub root_kind: &'static str,
    /// The type of the root, where it is known.
    pub root_type: Option<String>,
    /// The root's word is one of which the runtime says that it is a pointer.
    pub root_precise: bool,
    /// The objects on the way, what was asked for last.
    pub steps: Vec<Step>,
    /// Objects left out in the middle of a long way.
    pub left_out: usize,
}

/// An object on a way.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its address.
    pub address: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Its type.
    pub kind: Option<String>,
    /// Which part of the object before leads to it.
    pub field: String,
    /// The runtime says that that is a pointer.
    pub precise: bool,
    /// It is a part of a map or channel that the program doesn't see.
    pub internal: bool,
}

/// Objects that are listed on either side of one.
pub(super) const FIELDS_MAX: usize = 100;

/// A neighbour: the field, its address, bytes and type.
pub type Neighbour = (String, u64, u64, Option<String>);

/// One object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its address.
    pub address: u64,
    /// How far into it the address asked for is.
    pub within: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Its type.
    pub kind: Option<String>,
    /// How surely that is known.
    pub sure: Option<Sure>,
    /// It begins with the address of this function: a closure.
    pub function: Option<String>,
    /// Its memory can be read.
    pub readable: bool,
    /// A root leads to it.
    pub reachable: bool,
    /// What it leads to: field of this object, then the other.
    pub leads_to: Vec<Neighbour>,
    /// What leads to it: field of the other, then the other.
    pub held_by: Vec<Neighbour>,
}

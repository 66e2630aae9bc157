//! What is told of a runtime: plain data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use residue_gobin::Basis;

/// What to look at, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// What of a live process is read while its threads are stopped.
    pub freeze: Freeze,
    /// Makes digests of texts; the same key gives the same text the same digest.
    pub key: [u8; 32],
    /// Keep texts themselves beside their digests.
    pub reveal: bool,
    /// Now, on the clock of the runtime (`CLOCK_MONOTONIC`, nanoseconds), where there is a now.
    pub now: Option<u64>,
}

/// What of a live process is read while its threads are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// Nothing: they aren't stopped.
    None,
    /// Goroutines with their stacks, variables, and the table of the heap's spans. Objects are read when the threads run again.
    Roots,
    /// That, and all objects with pointers: they are copied.
    Full,
}

impl Freeze {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Roots => "roots",
            Self::Full => "full",
        }
    }
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Report {
    /// The Go that built the program.
    pub version: String,
    /// Where layouts of structs come from.
    pub basis: Basis,
    /// What was read while the threads were stopped; nothing of a core, which holds still.
    pub mode: Freeze,
    /// How long the threads of the process were stopped; none when they weren't.
    pub frozen: Option<Duration>,
    /// The goroutines that aren't dead, by id.
    pub goroutines: Vec<Goroutine>,
    /// Dead ones, which the runtime keeps for reuse.
    pub dead: usize,
    /// Calls by the instruction they are made at, innermost first where some are inlined.
    pub frames: BTreeMap<u64, Vec<Frame>>,
    /// What didn't fit, and how often.
    pub inconsistencies: BTreeMap<&'static str, usize>,
}

impl Report {
    /// The calls a goroutine is in, innermost first.
    pub fn stack<'r>(&'r self, goroutine: &'r Goroutine) -> impl Iterator<Item = &'r Frame> {
        goroutine.stack.iter().flat_map(|pc| self.at(*pc))
    }

    /// The calls at an instruction, innermost first.
    pub fn at(&self, pc: u64) -> &[Frame] {
        self.frames.get(&pc).map_or(&[], Vec::as_slice)
    }
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frame {
    /// The function, as the linker names it.
    pub function: String,
    /// The file, as the compiler recorded it.
    pub file: String,
    /// The line.
    pub line: u32,
    /// It has no frame of its own on the stack.
    pub inlined: bool,
}

/// What a goroutine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It is being made.
    Idle,
    /// It could run.
    Runnable,
    /// It runs.
    Running,
    /// It is in a system call, or in C code.
    Syscall,
    /// It waits.
    Waiting,
    /// It was interrupted in order to be scanned.
    Preempted,
    /// Its stack is being moved.
    CopyStack,
    /// It waits for what can never come, as the garbage collector has found.
    Leaked,
}

impl Status {
    /// As the runtime prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Runnable => "runnable",
            Self::Running => "running",
            Self::Syscall => "syscall",
            Self::Waiting => "waiting",
            Self::Preempted => "preempted",
            Self::CopyStack => "copystack",
            Self::Leaked => "leaked",
        }
    }
}

/// Whose goroutine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The program's.
    User,
    /// The runtime's own.
    System,
}

/// What a goroutine's deferred calls are about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// They wait for their functions to return.
    Running,
    /// One is being called because its function returns.
    Returning,
    /// One is being called because of a panic.
    Panicking,
    /// One has recovered from the panic and hasn't returned yet.
    Recovered,
    /// One is being called because of `runtime.Goexit`.
    Exiting,
}

impl Phase {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Returning => "returning",
            Self::Panicking => "panicking",
            Self::Recovered => "recovered",
            Self::Exiting => "exiting",
        }
    }
}

/// A goroutine.
#[derive(Clone, Debug)]
pub struct Goroutine {
    /// Its number.
    pub id: u64,
    /// What it does.
    pub status: Status,
    /// Why it waits, in the runtime's words.
    pub wait_reason: Option<String>,
    /// For how long, as far as the runtime noted when it began: it does so at the first garbage collection that sees it.
    pub waiting: Option<Duration>,
    /// The goroutine that made it; 0 when that isn't known.
    pub parent: u64,
    /// Where it was made: an instruction to look up with [`Report::at`].
    pub created_at: Option<u64>,
    /// The function it began with.
    pub entry: Option<u64>,
    /// Whose it is.
    pub role: Role,
    /// It is in C code.
    pub cgo: bool,
    /// Bound to a thread (`runtime.LockOSThread`).
    pub locked: bool,
    /// Instructions of the frames on its stack, innermost first, to be looked up with [`Report::at`].
    pub stack: Vec<u64>,
    /// Why the stack isn't there to its end.
    pub stack_cut: Option<&'static str>,
    /// What its deferred calls are about to do.
    pub phase: Phase,
    /// The frame whose function is a deferred call in progress: an index of `stack`.
    pub in_deferred: Option<usize>,
    /// Calls that are deferred and not made yet, those to be made first coming first.
    pub deferred: Vec<Deferred>,
    /// Why the list of deferred calls isn't there to its end.
    pub deferred_cut: Option<&'static str>,
    /// Panics it is in, the last one first.
    pub panics: Vec<Panic>,
    /// What the program calls its work (`runtime/pprof.Do`): key and value, by key.
    pub labels: Arc<[(String, String)]>,
}

/// How the runtime keeps a deferred call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeferKind {
    /// In the frame itself, marked by a bit.
    OpenCoded,
    /// In a record on the stack.
    StackRecord,
    /// In a record on the heap: deferred in a loop.
    HeapRecord,
    /// In a record of a loop over a function.
    RangeFunc,
}

impl DeferKind {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenCoded => "open-coded",
            Self::StackRecord => "stack record",
            Self::HeapRecord => "heap record",
            Self::RangeFunc => "range-over-func record",
        }
    }
}

/// A call that is deferred and not made yet.
#[derive(Clone, Debug)]
pub struct Deferred {
    /// How it is kept.
    pub kind: DeferKind,
    /// The frame that deferred it: an index of [`Goroutine::stack`].
    pub frame: Option<usize>,
    /// The function to be called, by its first instruction; none for a nil function.
    pub function: Option<u64>,
    /// The address of its closure: the function's, followed by what it has captured.
    pub closure: u64,
    /// It is being called right now.
    pub started: bool,
    /// Words behind the function in the closure, as far as something else doesn't begin. How many belong to it isn't
    /// recorded: the last ones may be its neighbour's.
    pub words: Vec<Word>,
}

/// Where a panic stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PanicState {
    /// It unwinds.
    Active,
    /// A deferred call has recovered from it.
    Recovered,
    /// A later panic took its place.
    Superseded,
    /// Not a panic: `runtime.Goexit`.
    Goexit,
}

impl PanicState {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Recovered => "recovered",
            Self::Superseded => "superseded",
            Self::Goexit => "goexit",
        }
    }
}

/// A panic.
#[derive(Clone, Debug)]
pub struct Panic {
    /// Where it stands.
    pub state: PanicState,
    /// The type of its value; none for nil, or a type made while the program ran.
    pub value_type: Option<String>,
    /// The value itself, when it is a string.
    pub text: Option<Word>,
}

/// A word of memory, by what it looks like. Numbers and texts are not told: they may be secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Zero: nil, false, empty.
    Zero,
    /// A number, or anything that is no address.
    Number {
        /// The number, when texts are to be revealed.
        revealed: Option<u64>,
    },
    /// The address of a closure: a function value, by the function's first instruction.
    Func(u64),
    /// An address on the goroutine's own stack.
    Stack,
    /// An address among the program's variables.
    Variable,
    /// An address among the program's constants.
    Constant,
    /// An address in memory that isn't the program's file: the heap above all.
    Heap,
    /// An address and a length, of text: a string.
    Text {
        /// Bytes.
        len: u64,
        /// The first half of its keyed digest; none when it is too long to be read.
        digest: Option<String>,
        /// The text, when it is to be revealed.
        revealed: Option<String>,
    },
    /// An address, a length and a capacity: a slice, perhaps of bytes.
    Slice {
        /// Elements.
        len: u64,
        /// Elements there is room for.
        capacity: u64,
    },
}

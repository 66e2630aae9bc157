//! What a recorder says: plain data, in the order of time. A recording is one of these a line.
//!
//! Whoever records keeps the table of open descriptors where nothing can be lost (in the kernel, by eBPF) and says from
//! time to time how its counters stand; so a stream is short however many descriptors come and go. Times are nanoseconds
//! of the kernel's monotonic clock, ids are the recorder's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::container::Place;

/// One line of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The recording begins.
    Start(Start),
    /// A stack that opens or closes was seen for the first time.
    Site(Site),
    /// Counters of a site as they stand; sites that didn't change are left out.
    Count(Count),
    /// All counters that changed have been said up to now.
    Tick {
        /// When.
        at_ns: u64,
    },
    /// Something happened to a process.
    Process(Process),
    /// In which cgroup and container a process is; what it forks is there too, until that is told otherwise.
    Placed(Placed),
    /// Who closed what who had opened, or tried to. Counts as they stand.
    Pair(Pair),
    /// A descriptor that is open. Said at the end.
    Live(Live),
    /// What was not seen, as it stands.
    Losses(Losses),
    /// The recording ends; what is said of `Live` before holds for this moment.
    End(End),
}

/// How a recording begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The version of this format.
    pub version: u32,
    /// When.
    pub at_ns: u64,
    /// Processes that were there, and are followed.
    pub pids: Vec<u32>,
    /// How descriptors are watched: [`BY_EBPF`] or [`BY_PROC`].
    pub by: String,
    /// What can't be seen as it happens on this kernel, with the reason: `requests of io_uring: …`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
}

/// The kernel's own programs see each open and close.
pub const BY_EBPF: &str = "ebpf";
/// /proc is read from time to time: kinds and numbers, no stacks.
pub const BY_PROC: &str = "proc";

/// The version of the format. The first one tells nothing of containers, and is the same else.
pub const VERSION: u32 = 2;
/// The oldest version that can be read.
pub const VERSION_MIN: u32 = 1;

/// What a site does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It opens descriptors.
    Opens,
    /// It closes them.
    Closes,
    /// It panics: its count of opened ones is that of panics.
    Panics,
    /// It panicked and something recovered, so often as its count of opened ones says.
    Recovers,
}

/// A stack that opens or closes descriptors. Site 0 stands for openers that are not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its number.
    pub id: u32,
    /// What it does.
    pub role: Role,
    /// The process that was seen there first.
    pub pid: u32,
    /// The program's name.
    pub program: String,
    /// The system call: `openat`.
    pub call: String,
    /// Its command, where there is one: `BPF_OBJ_GET`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// What it opens, as [`crate::kind`] has it.
    pub kind: String,
    /// The path or the name that it opened first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub example: String,
    /// From the leaf.
    pub frames: Vec<Frame>,
    /// There are more frames, farther from the leaf.
    #[serde(default)]
    pub cut: bool,
    /// After a panic: the frame that recovered, by its index. It and all before it were unwound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<u32>,
    /// It belongs to a tool of the Go distribution itself: its end is not looked at.
    #[serde(default)]
    pub tool: bool,
}

impl Site {
    /// There are Go functions on its stack. Without one there are but addresses, which differ from process to process.
    pub fn is_go(&self) -> bool {
        self.frames.iter().any(|frame| !frame.package.is_empty())
    }
}

/// A call on a stack, as the source has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// The function as the linker names it, `main` resolved; an address where there is no name.
    pub function: String,
    /// Import path of its package; empty for what isn't Go.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub package: String,
    /// The file as recorded by the compiler.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// The line.
    #[serde(default)]
    pub line: u32,
    /// It was inlined.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
    /// It belongs to Go's standard library or runtime.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub std: bool,
    /// It belongs to the module that the program is built from, and not to one that it depends on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

impl Frame {
    /// The function without the folders of its package: `ebpf.NewMap`.
    pub fn short(&self) -> &str {
        let end = self.function.find('[').unwrap_or(self.function.len());
        let start = self.function[..end].rfind('/').map_or(0, |at| at + 1);
        &self.function[start..]
    }

    /// The file without its directories: they differ under `-trimpath`.
    pub fn base(&self) -> &str {
        self.file.rsplit('/').next().unwrap_or(&self.file)
    }
}

/// Counters of a site since the recording began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The site.
    pub site: u32,
    /// Descriptors it opened.
    pub opened: u64,
    /// Those of them that were closed.
    pub closed: u64,
    /// Those of them that were open when their process ended.
    pub ended: u64,
    /// When it last opened one.
    pub last_ns: u64,
}

/// What happened to a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// When.
    pub at_ns: u64,
    /// The process.
    pub pid: u32,
    /// What happened.
    pub change: Change,
}

/// What can happen to a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It came from another.
    Forked {
        /// That one.
        parent: u32,
        /// Both use the same table (`CLONE_FILES`).
        shared: bool,
    },
    /// It runs another program.
    Execed {
        /// The program's path.
        program: String,
    },
    /// It ended.
    Exited,
}

/// Where a process is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The process.
    pub pid: u32,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
}

/// Why a pair is of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairKind {
    /// `closer` closed what `opener` had opened. Unless all closes are looked at, a sample: the first few, then fewer.
    Closed,
    /// `closer` closed a number that was not open (`EBADF`). `opener` is the *closer* that had closed it before, 0 if
    /// that isn't known.
    BadClose,
    /// Descriptors of `opener` that are open since the goroutine that opened them recovered from a panic at `closer`, by way
    /// of a frame that lies on both stacks. The count falls when one is closed after all.
    Unwound,
}

/// Two sites that met over a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// What is said of them.
    pub kind: PairKind,
    /// See [`PairKind`].
    pub opener: u32,
    /// Who closed.
    pub closer: u32,
    /// How often.
    pub count: u64,
    /// The goroutine that did it first, 0 if not known.
    pub goid: u64,
    /// The process.
    pub pid: u32,
    /// The number of the descriptor then.
    pub fd: u32,
}

/// An open descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// The process.
    pub pid: u32,
    /// Its number there.
    pub fd: u32,
    /// Who opened it; 0 if it was open before.
    pub site: u32,
    /// When; for one that was open before, when it was found.
    pub opened_ns: u64,
    /// The goroutine that opened it, 0 if not known.
    pub goid: u64,
    /// It came with the table of the process that forked.
    #[serde(default)]
    pub inherited: bool,
    /// Labels of that goroutine then, as `runtime/pprof` sets them: `trace_id`, where somebody puts it there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What it is, as `/proc/PID/fd` shows it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub link: String,
}

/// What was not seen, or could not be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Closes of descriptors of which nothing was known.
    pub unknown_closes: u64,
    /// Closes of numbers that were not open.
    pub bad_closes: u64,
    /// Descriptors that were closed in a way that is not seen, found out by walking the kernel's own table.
    pub ghosts: u64,
    /// Open at the end of their process, opener not known.
    pub unknown_ended: u64,
    /// No room for the descriptor.
    pub live: u64,
    /// No room for the stack.
    pub sites: u64,
    /// No room for the process's table.
    pub tables: u64,
    /// No room for who closed what.
    pub pairs: u64,
    /// No room to say what happened to a process.
    pub events: u64,
    /// Memory of the process could not be read.
    pub unread: u64,
    /// Calls of 32-bit programs.
    pub compat: u64,
    /// Panics whose stack could not be kept, and programs that could not be probed for panics.
    #[serde(default)]
    pub panics: u64,
}

impl Losses {
    /// What should not have happened, with a name for each that did.
    pub fn lost(&self) -> Vec<(&'static str, u64)> {
        let all = [
            ("descriptors without room", self.live),
            ("stacks without room", self.sites),
            ("processes without room", self.tables),
            ("closers without room", self.pairs),
            ("process events", self.events),
            ("unreadable arguments or stacks", self.unread),
            ("calls of 32-bit programs", self.compat),
            ("panics or programs not probed for them", self.panics),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

/// How a recording ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at_ns: u64,
    /// The command that was run has ended, so that what it never closed counts.
    pub exited: bool,
}

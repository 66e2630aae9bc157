//! Why a target can't be looked into.

use std::fmt;

/// Why a target can't be looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no such process, or it has ended.
    Gone(u32),
    /// A thread of the kernel: it has no program.
    Kernel(u32),
    /// The kernel doesn't let us; what would make it so.
    Permission {
        /// The process.
        pid: u32,
        /// What is needed, as far as it can be told.
        needs: String,
    },
    /// Somebody else traces it, and a thread has one tracer only.
    Traced {
        /// The process.
        pid: u32,
        /// Who traces it.
        by: u32,
    },
    /// It runs another program (`execve`) than when it was opened.
    Replaced(u32),
    /// A file can't be read: which, and why.
    File(String, String),
    /// The file isn't a core: why, and what to do.
    NotACore(String),
    /// The core doesn't tell its program, or that isn't there; `--binary` would help.
    NoProgram(String),
    /// The program that was given is not that of the core, whose identity is told.
    OtherProgram(String),
    /// The program's file can't be read as a Go program.
    Program(residue_gobin::Error),
    /// More memory would have to be copied than may be.
    Room {
        /// Bytes of it.
        needed: u64,
        /// Bytes that may be: half of what is left.
        allowed: u64,
    },
    /// This system has no way to look into its processes that is known here.
    Unsupported,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(pid) => write!(f, "there is no process {pid}"),
            Self::Kernel(pid) => {
                write!(f, "process {pid} has no program: it is a thread of the kernel or about to end")
            }
            Self::Permission { pid, .. } => write!(f, "cannot read memory of process {pid}: permission denied"),
            Self::Traced { pid, by } => write!(f, "process {pid} is traced by process {by}"),
            Self::Replaced(pid) => write!(f, "process {pid} has just started to run another program"),
            Self::File(path, why) => write!(f, "cannot read {path}: {why}"),
            Self::NotACore(why) => write!(f, "not a core: {why}"),
            Self::NoProgram(why) => write!(f, "the core's program is missing: {why}"),
            Self::OtherProgram(id) => write!(f, "the core is not one of this program, but of build id {id}"),
            Self::Program(error) => error.fmt(f),
            Self::Room { needed, allowed } => write!(
                f,
                "a copy of the heap takes up to {} MB of memory, and half of what is left here is {} MB",
                needed >> 20,
                allowed >> 20
            ),
            Self::Unsupported => write!(f, "processes can be looked into on Linux only; cores everywhere"),
        }
    }
}

impl std::error::Error for Error {}

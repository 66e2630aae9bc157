//! Why a runtime can't be read.

use std::fmt;

/// Why a runtime can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The layouts lack a field: struct and field.
    Layout(&'static str, &'static str),
    /// The list of all goroutines isn't where it should be.
    NoGoroutines,
    /// The heap isn't where it should be.
    NoHeap,
    /// What was read doesn't look like goroutines; the Go that built the program, and the release whose layouts were taken.
    Nonsense(String, Option<String>),
    /// There is no goroutine with this number.
    NoGoroutine(u64),
    /// The core is not of this program.
    OtherProgram,
    /// Memory of the target is held as it was for an earlier look ([`Target::forget`](residue_target::Target::forget)).
    Held,
    /// The target went away or isn't ours.
    Target(residue_target::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(name, field) => write!(f, "it is not known where {name}.{field} is in this release of Go"),
            Self::NoGoroutines => {
                write!(f, "the list of goroutines was not found: the program may only just be starting")
            }
            Self::NoHeap => write!(
                f,
                "the heap was not found: the program may only just be starting, or its runtime have been changed"
            ),
            Self::Nonsense(version, None) => {
                write!(f, "what was read doesn't look like goroutines of {version}: its runtime may have been changed")
            }
            Self::Nonsense(version, Some(neighbour)) => {
                write!(f, "{version} is not a known release, and its goroutines don't look like those of {neighbour}")
            }
            Self::NoGoroutine(id) => write!(f, "there is no goroutine {id}, or it has ended"),
            Self::Held => write!(f, "what was copied of this process for an earlier look isn't forgotten yet"),
            Self::OtherProgram => write!(f, "the core is not one of this program"),
            Self::Target(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<residue_target::Error> for Error {
    fn from(error: residue_target::Error) -> Self {
        Self::Target(error)
    }
}

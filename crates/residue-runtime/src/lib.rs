//! The Go runtime, seen from outside.
//!
//! [`inspect`] reads the goroutines of a process or a core: status, stack, what they have deferred and not yet called, and
//! the panics they are in. It works from the tables that stripped programs still have, never calls into the target and
//! writes nothing to it. Memory is not trusted: every list has a limit, what doesn't fit is counted in
//! [`Report::inconsistencies`], and a runtime that doesn't look as its layouts say is refused.
//!
//! What is read was read while all threads were stopped, unless that wasn't wanted; names are looked up afterwards.

mod allgs;
mod copies;
mod defers;
mod error;
mod frames;
mod gather;
pub mod heap;
mod interrupted;
mod labels;
mod model;
mod offsets;
mod plugins;
mod read;
mod stack;
mod symbols;
mod types;
mod words;

pub use error::Error;
pub use frames::{Captured, Closure, Dead, FrameView, Lives, Slot, StackView, stack};
pub use model::{
    DeferKind, Deferred, Frame, Freeze, Goroutine, Options, Panic, PanicState, Phase, Report, Role, Status, Word,
};
pub use plugins::program;
pub use read::inspect;

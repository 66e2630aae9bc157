//! Running processes and their cores, behind one [`Memory`].
//!
//! A [`Target`] is opened by process id or from an ELF core. It has the program's file, the distance between the file's
//! addresses and those in memory, mappings, threads, and memory to be read. [`Freeze`] stops all threads of a live process
//! and lets them go when it is dropped; if this process dies, the kernel does that. [`Target::hold`] copies
//! memory of a live one, which then stays as it was. Nothing is ever written to a target, and nothing is called in it.
//!
//! This crate may use `unsafe`: all of it is in `sys.rs` and in one mapping of a file in `core.rs`.

#![allow(clippy::disallowed_methods, reason = "this crate reads programs, cores and /proc")]

mod core;
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has it"))]
mod descriptors;
mod error;
#[cfg(target_os = "linux")]
mod freeze;
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has it"))]
mod held;
mod library;
#[cfg(target_os = "linux")]
mod live;
mod mapping;
mod memory;
mod packed;
mod program;
#[cfg(target_os = "linux")]
mod sys;
mod target;

pub use descriptors::Descriptor;
pub use error::Error;
#[cfg(target_os = "linux")]
pub use freeze::Freeze;
pub use held::{Held, Room};
pub use library::Library;
pub use mapping::Mapping;
pub use memory::{Memory, MemoryExt};
pub use target::{Kind, Missing, Registers, Target, Thread};

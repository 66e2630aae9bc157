//! Lifetimes of descriptors and eBPF objects, from plain data: nothing here asks the kernel.

pub mod against;
pub mod container;
pub mod event;
pub mod kind;
mod ledger;
pub mod objects;
mod panics;
mod report;
pub mod rules;

pub use ledger::{Ledger, Policy, WINDOWS};
pub use panics::{Panic, Unwound};
pub use report::{BadClose, Class, InContainer, Leak, Opener, Report, callee, caller};

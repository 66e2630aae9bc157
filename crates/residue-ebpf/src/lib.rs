//! What residue asks the kernel by eBPF.
//!
//! This crate may use `unsafe`: all of it is in files named `sys.rs`.

pub mod inventory;
#[cfg(target_os = "linux")]
pub mod probe;
#[cfg(target_os = "linux")]
pub mod tracer;

//! What residue asks the kernel by eBPF.
//!
//! - [`inventory`] reads the eBPF objects of the kernel and what keeps them, once.
//!
//! This crate may use `unsafe`: the calls of bpf(2) are in `sys.rs`.

#![allow(clippy::disallowed_methods, reason = "this crate reads /proc, /sys and bpf file systems")]

pub mod inventory;
#[cfg(target_os = "linux")]
pub mod probe;
#[cfg(target_os = "linux")]
pub mod tracer;
mod sys;

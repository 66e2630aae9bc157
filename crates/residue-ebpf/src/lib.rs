//! What residue asks the kernel by eBPF.
//!
//! - [`inventory`] reads the eBPF objects of the kernel and what keeps them, once.
//! - `containers` tells in which container a process is.
//! - `tracer` follows descriptors over time; `probe` says what this kernel can do.
//!
//! This crate may use `unsafe`: all of it is in files named `sys.rs`.

#![allow(clippy::disallowed_methods, reason = "this crate reads /proc, /sys and bpf file systems")]

#[cfg(target_os = "linux")]
pub mod containers;
pub mod inventory;
#[cfg(target_os = "linux")]
pub mod probe;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
pub mod tracer;

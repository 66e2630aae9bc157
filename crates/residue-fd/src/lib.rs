//! Lifetimes of descriptors and eBPF objects, from plain data: nothing here asks the kernel.

pub mod objects;

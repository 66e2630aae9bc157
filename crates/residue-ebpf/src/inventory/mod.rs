//! The eBPF objects of the kernel and what keeps them, read once.

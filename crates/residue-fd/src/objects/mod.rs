//! eBPF objects of the kernel and what keeps them: the model that every way of reading fills.

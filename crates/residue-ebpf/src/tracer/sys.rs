//! The calls to the kernel of the tracer that have no safe form, and the types that are copied from and to its maps.

#![allow(unsafe_code, reason = "plain structs are read from the kernel, and a child is stopped before it begins")]

use std::io::{Error, Result};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use super::layout::{Event, Image, Live, Pair, PairKey, Site, Slot, State, Table, Tally};

macro_rules! plain {
    ($($type:ty),*) => {
        // SAFETY: all of them are `repr(C)` structs of integers without padding that is read, and any bytes are a value.
        $(unsafe impl aya::Pod for $type {})*
    };
}
plain!(Event, Image, Live, Pair, PairKey, Site, Slot, State, Table, Tally);

/// Reads an event from the ring buffer.
pub(super) fn event(bytes: &[u8]) -> Option<Event> {
    // SAFETY: `Event` is plain data, and there are enough bytes; the read asks for no alignment.
    (bytes.len() >= size_of::<Event>()).then(|| unsafe { bytes.as_ptr().cast::<Event>().read_unaligned() })
}

/// Starts a command that stops before the first instruction of its program.
pub(crate) fn spawn_stopped(command: &mut Command) -> Result<Child> {
    // SAFETY: between fork and exec only this one system call is made, which allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| {
            if libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) == -1 { Err(Error::last_os_error()) } else { Ok(()) }
        });
    }
    let child = command.spawn()?;
    let mut status = 0;
    // SAFETY: `status` outlives the call. The child is ours, and nobody else waits for it.
    let waited = unsafe { libc::waitpid(child.id().cast_signed(), &raw mut status, libc::__WALL) };
    if waited < 0 {
        return Err(Error::last_os_error());
    }
    if !libc::WIFSTOPPED(status) {
        return Err(Error::other("it ended before its program began"));
    }
    Ok(child)
}

/// Lets such a command go.
pub(crate) fn release(child: &Child) -> Result<()> {
    // SAFETY: nothing is written to memory of this process.
    let result = unsafe { libc::ptrace(libc::PTRACE_DETACH, child.id().cast_signed(), 0, 0) };
    if result == -1 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// `CLOCK_MONOTONIC` in nanoseconds, the clock of `bpf_ktime_get_ns`.
pub(crate) fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` outlives the call, which can't fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

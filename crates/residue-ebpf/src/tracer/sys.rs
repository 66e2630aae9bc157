//! The calls to the kernel of the tracer that have no safe form, and the types that are copied from and to its maps.

#![allow(unsafe_code, reason = "plain structs are read from the kernel, and a child is stopped before it begins")]

use std::io::{Error, Result};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use super::layout::{Event, Image, Labels, Live, Pair, PairKey, Program, Site, Slot, State, Table, Tally};

macro_rules! plain {
    ($($type:ty),*) => {
        // SAFETY: all of them are `repr(C)` structs of integers without padding that is read, and any bytes are a value.
        $(unsafe impl aya::Pod for $type {})*
    };
}
plain!(Event, Image, Labels, Live, Pair, PairKey, Program, Site, Slot, State, Table, Tally);

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

/// Asks a command to end (SIGTERM). It has not been waited for yet: its number could be somebody else's by then.
///
/// # Errors
/// The kernel doesn't let us.
pub fn terminate(child: &Child) -> Result<()> {
    // SAFETY: nothing of this process is touched.
    let result = unsafe { libc::kill(child.id().cast_signed(), libc::SIGTERM) };
    if result == -1 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// `CLOCK_MONOTONIC` in nanoseconds, the clock of `bpf_ktime_get_ns`.
pub(crate) fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` outlives the call, which can't fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Waits until a descriptor can be read, or a signal came, or so long.
pub(super) fn wait_readable(fd: std::os::fd::BorrowedFd<'_>, timeout: std::time::Duration) {
    use std::os::fd::AsRawFd as _;
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX).max(1);
    // SAFETY: one descriptor, which outlives the call. Whatever ended the wait, the caller looks.
    unsafe { libc::poll(&raw mut poll, 1, timeout_ms) };
}

/// Signals that came since [`listen`].
#[derive(Debug)]
pub struct Signals {
    interrupts: std::sync::atomic::AtomicU32,
    terminations: std::sync::atomic::AtomicU32,
    snapshots: std::sync::atomic::AtomicU32,
}

static SIGNALS: Signals = Signals {
    interrupts: std::sync::atomic::AtomicU32::new(0),
    terminations: std::sync::atomic::AtomicU32::new(0),
    snapshots: std::sync::atomic::AtomicU32::new(0),
};

impl Signals {
    /// How often SIGINT or SIGTERM came.
    pub fn interrupts(&self) -> u32 {
        self.interrupts.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// How often SIGTERM came. Unlike ctrl-c it is for this process alone.
    pub fn terminations(&self) -> u32 {
        self.terminations.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// How often SIGUSR1 came.
    pub fn snapshots(&self) -> u32 {
        self.snapshots.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// From here on SIGINT and SIGTERM are counted and don't end this process, nor does SIGUSR1.
pub fn listen() -> &'static Signals {
    extern "C" fn came(signal: libc::c_int) {
        let counter = if signal == libc::SIGUSR1 { &SIGNALS.snapshots } else { &SIGNALS.interrupts };
        if signal == libc::SIGTERM {
            SIGNALS.terminations.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGUSR1] {
        // SAFETY: the handler adds to an atomic number, which may be done in one. A mask of zeros is the empty one.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = came as extern "C" fn(libc::c_int) as usize;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
    &SIGNALS
}

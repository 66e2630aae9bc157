//! The calls to the kernel: the only place with raw pointers.

#![allow(unsafe_code, reason = "these calls have no safe form in the standard library")]

use std::io::{Error, Result};
use std::ptr;

use residue_gobin::Arch;

use crate::Registers;

/// Ranges in one call, at most: less than `IOV_MAX`.
pub(crate) const RANGES_MAX: usize = 512;

/// Registers of the architecture this runs on, as `NT_PRSTATUS` has them.
#[cfg(target_arch = "x86_64")]
const REGISTERS: usize = 27;
#[cfg(not(target_arch = "x86_64"))]
const REGISTERS: usize = 34;

/// Reads ranges of a process, each from its address into its buffer, one after the other; says how much was read in all
/// before something unreadable.
pub(crate) fn read_process(pid: u32, ranges: &mut [(u64, &mut [u8])]) -> Result<usize> {
    assert!(ranges.len() <= RANGES_MAX, "the caller cuts it so");
    let remote: Vec<libc::iovec> = ranges
        .iter()
        .map(|(address, buffer)| libc::iovec {
            iov_base: ptr::without_provenance_mut(*address as usize),
            iov_len: buffer.len(),
        })
        .collect();
    let local: Vec<libc::iovec> = ranges
        .iter_mut()
        .map(|(_, buffer)| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() })
        .collect();
    let count = ranges.len() as libc::c_ulong;
    // SAFETY: each of `local` is one of the buffers, which are borrowed for the call; the kernel checks the addresses of the
    // other process.
    let read = unsafe { libc::process_vm_readv(pid.cast_signed(), local.as_ptr(), count, remote.as_ptr(), count, 0) };
    usize::try_from(read).map_err(|_| Error::last_os_error())
}

/// Attaches to a thread without stopping it.
pub(crate) fn seize(tid: i32) -> Result<()> {
    ptrace(libc::PTRACE_SEIZE, tid, 0, 0).map(|_| ())
}

/// Asks a thread that is attached to stop.
pub(crate) fn interrupt(tid: i32) -> Result<()> {
    ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0).map(|_| ())
}

/// Lets a thread that is stopped go, with a signal that it stopped for.
pub(crate) fn detach(tid: i32, signal: i32) -> Result<()> {
    ptrace(libc::PTRACE_DETACH, tid, 0, signal.unsigned_abs() as usize).map(|_| ())
}

fn ptrace(request: libc::c_uint, tid: i32, address: usize, data: usize) -> Result<libc::c_long> {
    let (address, data) =
        (ptr::without_provenance_mut::<libc::c_void>(address), ptr::without_provenance_mut::<libc::c_void>(data));
    // SAFETY: none of the requests made here writes to memory of this process.
    let result = unsafe { libc::ptrace(request, tid, address, data) };
    if result == -1 { Err(Error::last_os_error()) } else { Ok(result) }
}

/// Whether a thread that is traced has stopped: `None` not yet, else the signal that it is to be given when it goes on.
///
/// The kernel is left with what it tells here (`WNOWAIT`): else it would forget the signal, and a thread whose tracer is
/// killed would go on without it.
///
/// # Errors
/// It has ended.
pub(crate) fn stopped(tid: i32) -> Result<Option<i32>> {
    let flags = libc::WSTOPPED | libc::WEXITED | libc::__WALL | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: a `siginfo_t` is numbers, all of which may be zero.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` outlives the call.
    let result = unsafe { libc::waitid(libc::P_PID, tid.unsigned_abs(), &raw mut info, flags) };
    if result < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: both fields are there for what `waitid` tells, and zero where it tells nothing.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    if !matches!(info.si_code, libc::CLD_TRAPPED | libc::CLD_STOPPED) {
        return Err(Error::from_raw_os_error(libc::ESRCH));
    }
    // A stop for an event of the tracing itself has the event's number above the signal; there is nothing to deliver.
    Ok(Some(if status >> 8 == 0 { status } else { 0 }))
}

/// The registers of a stopped thread.
pub(crate) fn registers(tid: i32) -> Result<Registers> {
    let mut values = [0_u64; REGISTERS];
    let mut area = libc::iovec { iov_base: values.as_mut_ptr().cast(), iov_len: size_of_val(&values) };
    let kind = ptr::without_provenance_mut::<libc::c_void>(libc::NT_PRSTATUS as usize);
    // SAFETY: the kernel writes at most `iov_len` bytes to `values`, which outlives the call.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETREGSET, tid, kind, &raw mut area) };
    if result == -1 {
        return Err(Error::last_os_error());
    }
    let arch = if cfg!(target_arch = "x86_64") { Arch::Amd64 } else { Arch::Arm64 };
    Registers::of(&values, arch).ok_or_else(|| Error::from_raw_os_error(libc::ENODATA))
}

/// The id of the thread that this is called on.
pub(crate) fn own_thread() -> i32 {
    // SAFETY: the call takes nothing and returns a number.
    unsafe { libc::gettid() }
}

/// What this process does when its terminal asks it to stop (`SIGTSTP`): sets it, and tells what it was.
pub(crate) fn on_stop_request(action: libc::sighandler_t) -> libc::sighandler_t {
    // SAFETY: the action is `SIG_IGN`, or what this has told before; neither is a function of this crate.
    unsafe { libc::signal(libc::SIGTSTP, action) }
}

/// The unit of times in `/proc/PID/stat`.
pub(crate) fn ticks_per_second() -> u64 {
    // SAFETY: the call takes and returns a number.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).unwrap_or(100).max(1)
}

/// `CLOCK_MONOTONIC` in nanoseconds.
pub(crate) fn monotonic_now() -> Option<u64> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` outlives the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let seconds = u64::try_from(now.tv_sec).ok()?.checked_mul(1_000_000_000)?;
    (result == 0).then_some(seconds.checked_add(u64::try_from(now.tv_nsec).ok()?)?)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test runs a program")]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_signal_that_was_told_of_arrives_though_the_tracer_ends() {
        let mut shell = Command::new("sh")
            .args(["-c", "trap 'exit 7' USR1; echo ready; read line; exit 1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut ready = String::new();
        BufReader::new(shell.stdout.take().expect("a pipe")).read_line(&mut ready).expect("it is ready");
        let pid = shell.id().cast_signed();
        // The end of this thread is the end of its tracing, as when all of the process is killed.
        let tracer = std::thread::spawn(move || {
            seize(pid).expect("a child may be traced");
            let killed = Command::new("kill").args(["-USR1", &pid.to_string()]).status().expect("kill");
            assert!(killed.success());
            loop {
                match stopped(pid) {
                    Ok(Some(signal)) => return signal,
                    Ok(None) => std::thread::yield_now(),
                    Err(error) => panic!("it ended: {error}"),
                }
            }
        });
        assert_eq!(tracer.join().expect("no panic"), libc::SIGUSR1);
        // Had the signal been lost, this line would end the shell.
        std::thread::sleep(std::time::Duration::from_millis(100));
        let _ = shell.stdin.take().expect("a pipe").write_all(b"\n");
        assert_eq!(shell.wait().expect("it ends").code(), Some(7));
    }
}

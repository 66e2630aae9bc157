//! Stopping all threads of a process, and letting them go.
//!
//! `PTRACE_SEIZE` and `PTRACE_INTERRUPT` stop a thread without a signal that the program could see. A thread that stops
//! because a signal arrives meanwhile (Go's runtime sends SIGURG all the time) gets it when it is let go. Calls that were
//! interrupted are restarted by the kernel, but for those that never are, `epoll_wait` above all: these return EINTR, for
//! which Go's runtime is prepared.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::live::refused;
use crate::target::Source;
use crate::{Error, Target, Thread, sys};

/// Threads that are stopped, at most.
const THREADS_MAX: usize = 100_000;
/// How long to wait for threads to stop; one that sleeps in the kernel may not.
const STOP_WAIT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_micros(20);
/// Listings of threads; new ones can only come from threads that are not stopped yet.
const LISTINGS_MAX: usize = 50;

/// A process whose threads are all stopped. They go on when this is dropped, or this process ends, however it does.
///
/// The kernel wants the thread that stopped them to let them go, so this stays on its thread.
pub struct Freeze {
    pid: u32,
    start: Instant,
    /// Attached threads, and the signal each is to be given; `None` while it runs.
    attached: BTreeMap<i32, Option<i32>>,
    threads: Vec<Thread>,
    on_this_thread: PhantomData<*const ()>,
}

impl Freeze {
    /// Stops all threads. Of a core there is nothing to stop.
    ///
    /// # Errors
    /// The process is gone, or somebody else traces it, or that isn't allowed. Nothing stays stopped.
    pub fn of(target: &Target) -> Result<Option<Self>, Error> {
        let Source::Live(live) = &target.source else { return Ok(None) };
        let mut freeze = Self {
            pid: live.pid,
            start: Instant::now(),
            attached: BTreeMap::new(),
            threads: Vec::new(),
            on_this_thread: PhantomData,
        };
        // On an error what is attached already is let go by `drop`.
        for _ in 0..LISTINGS_MAX {
            if !freeze.attach_new()? {
                break;
            }
            freeze.wait();
        }
        if freeze.attached.is_empty() {
            return Err(Error::Gone(live.pid));
        }
        let pid = freeze.pid;
        let same_ids = i32::try_from(pid).is_ok_and(|tid| own_id(pid, tid) == u64::from(pid));
        for (tid, signal) in &freeze.attached {
            if signal.is_some()
                && let Ok(registers) = sys::registers(*tid)
            {
                let tid = if same_ids { u64::from(tid.unsigned_abs()) } else { own_id(pid, *tid) };
                freeze.threads.push(Thread { tid, registers });
            }
        }
        Ok(Some(freeze))
    }

    /// Attaches to threads that are not attached yet; whether there were any.
    fn attach_new(&mut self) -> Result<bool, Error> {
        let entries =
            std::fs::read_dir(format!("/proc/{}/task", self.pid)).map_err(|error| refused(self.pid, &error))?;
        let listed: Vec<i32> =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).take(THREADS_MAX).collect();
        let mut new = false;
        for tid in listed {
            if self.attached.contains_key(&tid) {
                continue;
            }
            match sys::seize_and_interrupt(tid) {
                Ok(()) => {
                    self.attached.insert(tid, None);
                    new = true;
                }
                // It ended between the two; while it does so the kernel says EPERM.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) || has_ended(self.pid, tid) => {}
                Err(error) => return Err(refused(self.pid, &error)),
            }
        }
        Ok(new)
    }

    /// Waits until the attached threads have stopped, or the time is up.
    fn wait(&mut self) {
        let deadline = Instant::now() + STOP_WAIT;
        loop {
            let mut ended = Vec::new();
            for (tid, signal) in self.attached.iter_mut().filter(|(_, signal)| signal.is_none()) {
                match sys::stopped(*tid) {
                    Ok(stopped) => *signal = stopped,
                    Err(_) => ended.push(*tid),
                }
            }
            for tid in ended {
                self.attached.remove(&tid);
            }
            if self.running() == 0 || Instant::now() > deadline {
                return;
            }
            // There is no way to wait for a thread to stop that takes a deadline.
            std::thread::sleep(POLL);
        }
    }

    /// Threads that could not be stopped: they wait in the kernel for something that can't be interrupted.
    pub fn running(&self) -> usize {
        self.attached.values().filter(|signal| signal.is_none()).count()
    }

    /// The threads that are stopped, and where.
    pub fn threads(&self) -> &[Thread] {
        &self.threads
    }

    /// Lets all threads go; says how long they were stopped.
    pub fn release(mut self) -> Duration {
        self.let_go();
        self.start.elapsed()
    }

    fn let_go(&mut self) {
        for (tid, signal) in std::mem::take(&mut self.attached) {
            let mut signal = signal;
            if signal.is_none() {
                // It must be stopped to be let go; by now it may have.
                signal = sys::stopped(tid).unwrap_or_default();
            }
            // One that is gone needs no letting go, and one that never stopped is let go when this process ends.
            let _ = sys::detach(tid, signal.unwrap_or(0));
        }
    }
}

impl Drop for Freeze {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// The id of a thread as the process itself sees it, which is what the runtime has noted.
fn own_id(pid: u32, tid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).unwrap_or_default();
    let own = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let own = own.and_then(|ids| ids.split_whitespace().next_back()?.parse().ok());
    own.unwrap_or(u64::from(tid.unsigned_abs()))
}

fn has_ended(pid: u32, tid: i32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")) else { return true };
    let state = status.lines().find_map(|line| line.strip_prefix("State:"));
    state.is_none_or(|state| matches!(state.trim_start().as_bytes().first(), Some(b'Z' | b'X')))
}

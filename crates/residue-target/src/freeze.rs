//! Stopping all threads of a process, and letting them go.
//!
//! `PTRACE_SEIZE` and `PTRACE_INTERRUPT` stop a thread without a signal that the program could see. A thread that stops
//! because a signal arrives meanwhile (Go's runtime sends SIGURG all the time) gets it when it is let go. Calls that were
//! interrupted are restarted by the kernel, but for those that never are, `epoll_wait` above all: these return EINTR, for
//! which Go's runtime is prepared.
//!
//! All of it is done by a thread of its own, since the kernel takes the end of a thread for the end of all its tracing
//! (`exit_ptrace` of `kernel/ptrace.c`). So what can't be let go by request is let go too, however long this process lives
//! on: threads that sleep in the kernel and would stop when they wake up, and those that were killed while they were
//! stopped, which nobody else could reap.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::live::refused;
use crate::target::Source;
use crate::{Error, Target, Thread, sys};

/// Threads that are stopped, at most.
const THREADS_MAX: usize = 100_000;
/// How long to wait for threads to stop, in all; one that sleeps in the kernel may not.
const STOP_WAIT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_micros(20);
/// Listings of threads; new ones can only come from threads that are not stopped yet.
const LISTINGS_MAX: usize = 50;
/// How long to wait for the kernel to end the thread that traced. It takes microseconds.
const END_WAIT: Duration = Duration::from_secs(1);

/// A process whose threads are all stopped. They go on when this is dropped, or this process ends, however it does.
pub struct Freeze {
    start: Instant,
    threads: Vec<Thread>,
    running: usize,
    _awake: Awake,
    /// What tells the tracing thread to let go, and that thread.
    holder: Option<(mpsc::Sender<()>, JoinHandle<i32>)>,
}

impl Freeze {
    /// Stops all threads. Of a core there is nothing to stop.
    ///
    /// # Errors
    /// The process is gone, or runs another program by now, or somebody else traces it, or that isn't allowed. Nothing stays
    /// stopped.
    pub fn of(target: &Target) -> Result<Option<Self>, Error> {
        let Source::Live(live) = &target.source else { return Ok(None) };
        let (pid, start, awake) = (live.pid, Instant::now(), Awake::new());
        let (stopped, outcome) = mpsc::channel();
        let (let_go, told) = mpsc::channel::<()>();
        let hold = move || {
            let mut held = Held { pid, attached: BTreeMap::new() };
            let _ = stopped.send(held.stop().map(|()| (held.threads(), held.running())));
            // Nothing is ever sent: it ends when the other end is gone.
            let _ = told.recv();
            held.let_go();
            sys::own_thread()
        };
        let holder = std::thread::Builder::new().name("freeze".to_owned()).spawn(hold);
        let holder = holder.map_err(|error| Error::File(format!("process {pid}"), error.to_string()))?;
        let mut freeze = Self { start, threads: Vec::new(), running: 0, _awake: awake, holder: Some((let_go, holder)) };
        // From here on what is stopped is let go by `drop`.
        (freeze.threads, freeze.running) = outcome.recv().unwrap_or(Err(Error::Gone(pid)))?;
        live.is_same()?;
        Ok(Some(freeze))
    }

    /// Threads that could not be stopped: they wait in the kernel for something that can't be interrupted.
    pub fn running(&self) -> usize {
        self.running
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
        let Some((let_go, holder)) = self.holder.take() else { return };
        drop(let_go);
        let Ok(own) = holder.join() else { return };
        // The thread counts as joined a little before the kernel lets go what is left.
        let deadline = Instant::now() + END_WAIT;
        while std::fs::exists(format!("/proc/self/task/{own}")).unwrap_or(false) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Freeze {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// While anything stands still, Ctrl-Z doesn't stop this process: all would go on standing until it is continued.
struct Awake;

/// How many there are, and what was to be done before the first.
static AWAKE: Mutex<(usize, libc::sighandler_t)> = Mutex::new((0, libc::SIG_DFL));

impl Awake {
    fn new() -> Self {
        let mut awake = AWAKE.lock().unwrap_or_else(PoisonError::into_inner);
        if awake.0 == 0 {
            awake.1 = sys::on_stop_request(libc::SIG_IGN);
        }
        awake.0 += 1;
        Self
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        let mut awake = AWAKE.lock().unwrap_or_else(PoisonError::into_inner);
        awake.0 -= 1;
        if awake.0 == 0 {
            sys::on_stop_request(awake.1);
        }
    }
}

/// What the tracing thread has.
struct Held {
    pid: u32,
    /// Attached threads, and the signal each is to be given; `None` while it runs.
    attached: BTreeMap<i32, Option<i32>>,
}

impl Held {
    fn stop(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + STOP_WAIT;
        for _ in 0..LISTINGS_MAX {
            if !self.attach_new()? {
                break;
            }
            self.wait(deadline);
        }
        if self.attached.is_empty() { Err(Error::Gone(self.pid)) } else { Ok(()) }
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
            match sys::seize(tid).and_then(|()| sys::interrupt(tid)) {
                Ok(()) => {
                    self.attached.insert(tid, None);
                    new = true;
                }
                // It ended between the two; while it does so the kernel says EPERM.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) || has_ended(self.pid, tid) => {}
                Err(error) => return Err(self.refused(tid, &error)),
            }
        }
        Ok(new)
    }

    /// Why a thread can't be attached to: a thread has one tracer only.
    fn refused(&self, tid: i32, error: &std::io::Error) -> Error {
        // What is told is a thread; whoever wants to end it needs the process.
        let tracer = status(self.pid, tid, "TracerPid:").and_then(|tracer| tracer.parse().ok()).filter(|by| *by != 0);
        let process = |by: u32| status(by, by.cast_signed(), "Tgid:")?.parse().ok();
        match tracer.map(|by: u32| process(by).unwrap_or(by)) {
            Some(by) if error.raw_os_error() == Some(libc::EPERM) => Error::Traced { pid: self.pid, by },
            _ => refused(self.pid, error),
        }
    }

    /// Waits until the attached threads have stopped, or the time is up.
    fn wait(&mut self, deadline: Instant) {
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

    fn running(&self) -> usize {
        self.attached.values().filter(|signal| signal.is_none()).count()
    }

    fn threads(&self) -> Vec<Thread> {
        let pid = self.pid;
        let same_ids = i32::try_from(pid).is_ok_and(|tid| own_id(pid, tid) == u64::from(pid));
        let stopped = self.attached.iter().filter(|(_, signal)| signal.is_some());
        let threads = stopped.filter_map(|(tid, _)| {
            let registers = sys::registers(*tid).ok()?;
            let tid = if same_ids { u64::from(tid.unsigned_abs()) } else { own_id(pid, *tid) };
            Some(Thread { tid, registers })
        });
        threads.collect()
    }

    /// Lets go what is stopped. What isn't, or is no more, is let go when this thread ends.
    fn let_go(self) {
        for (tid, signal) in self.attached {
            let signal = signal.or_else(|| sys::stopped(tid).ok().flatten());
            let _ = sys::detach(tid, signal.unwrap_or(0));
        }
    }
}

/// The id of a thread as the process itself sees it, which is what the runtime has noted.
fn own_id(pid: u32, tid: i32) -> u64 {
    let own = status(pid, tid, "NSpid:").and_then(|ids| ids.split_whitespace().next_back()?.parse().ok());
    own.unwrap_or(u64::from(tid.unsigned_abs()))
}

fn has_ended(pid: u32, tid: i32) -> bool {
    status(pid, tid, "State:").is_none_or(|state| matches!(state.as_bytes().first(), Some(b'Z' | b'X')))
}

/// A line of a thread's status, without its name.
fn status(pid: u32, tid: i32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned())
}

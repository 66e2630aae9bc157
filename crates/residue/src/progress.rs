//! A line on the terminal that says what takes so long.

use std::io::Write as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Shorter runs need no line.
const QUIET_FOR: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(200);

/// Updates one line on stderr from a second after the start until dropped.
pub(crate) struct Progress {
    phase: Option<Sender<&'static str>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts, if anyone can see it.
    pub(crate) fn start(visible: bool) -> Self {
        if !visible {
            return Self { phase: None, thread: None };
        }
        let (phase, phases) = channel();
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(move || show(&phases));
        // Without a thread there is no line; nothing else changes.
        Self { phase: Some(phase), thread: thread.ok() }
    }

    /// Says what is being done now.
    pub(crate) fn phase(&self, name: &'static str) {
        if let Some(phase) = &self.phase {
            let _ = phase.send(name);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.phase = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn show(phases: &Receiver<&'static str>) {
    let start = Instant::now();
    let mut phase = "starting";
    let mut shown = false;
    loop {
        match phases.recv_timeout(if shown { EVERY } else { QUIET_FOR.saturating_sub(start.elapsed()) }) {
            Ok(next) => phase = next,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if start.elapsed() >= QUIET_FOR {
            shown = true;
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "\r\x1b[K{phase} … {} s", start.elapsed().as_secs());
            let _ = err.flush();
        }
    }
    if shown {
        let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
    }
}

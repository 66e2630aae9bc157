//! A directory that is kept analysed, on a thread of its own.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::overlay::{Buffers, Overlay};
use super::server::Event;
use super::session::{Analysis, Reach, Session};
use crate::args::LookArgs;
use crate::error::Error;

/// What is not as it was when a folder was last looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// Buffers that were opened, changed or closed.
    pub(super) buffers: BTreeSet<PathBuf>,
    /// Files that were made, changed or removed on disk.
    pub(super) files: BTreeSet<PathBuf>,
    /// Whether anything on disk may have changed.
    pub(super) anything: bool,
    /// Whether the configuration may have changed, or what it names.
    pub(super) configuration: bool,
}

impl Changes {
    pub(super) fn add(&mut self, more: Self) {
        self.buffers.extend(more.buffers);
        self.files.extend(more.files);
        self.anything |= more.anything;
        self.configuration |= more.configuration;
    }
}

/// What an analysis gives, or why there is none.
pub(super) type Answer = Result<Arc<Analysis>, Error>;

/// What is to be looked at next.
#[derive(Default)]
struct Next {
    buffers: Arc<Buffers>,
    changes: Changes,
    waiting: bool,
    stop: bool,
}

/// What a folder and its thread share.
#[derive(Default)]
struct Inbox {
    next: Mutex<Next>,
    wake: Condvar,
    /// Counts what was asked for; an analysis for less than the last is abandoned.
    asked: AtomicU64,
}

impl Inbox {
    fn next(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A directory that the client has open.
pub(super) struct Folder {
    /// Tells folders apart, also one from the same opened again.
    pub(super) id: u64,
    pub(super) dir: PathBuf,
    pub(super) reach: Reach,
    inbox: Arc<Inbox>,
    thread: Option<JoinHandle<()>>,
}

impl Folder {
    pub(super) fn open(
        id: u64,
        dir: PathBuf,
        reach: Reach,
        args: LookArgs,
        events: SyncSender<Event>,
    ) -> Result<Self, Error> {
        let inbox = Arc::new(Inbox::default());
        let (mut session, shared) = (Session::new(dir.clone(), reach, args), Arc::clone(&inbox));
        let work = move || {
            while let Some((generation, buffers, changes)) = take(&shared) {
                let superseded = || shared.asked.load(Ordering::Relaxed) != generation;
                let tell = |answer: Answer, last: bool| {
                    // Nobody listens any more where the server has ended.
                    let _ = events.send(Event::Analysed { folder: id, generation, answer, last });
                };
                let overlay = Overlay { buffers };
                let early = |analysis| tell(Ok(Arc::new(analysis)), false);
                let mut run = |changes| {
                    let run = || session.analyse(&overlay, changes, &superseded, &early);
                    // A state that was half changed is of no use after a panic.
                    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
                        session.forget();
                        let text = panic.downcast_ref::<String>().map(String::as_str);
                        Error::bug(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message"))
                    })
                };
                // What goes wrong on the way from one version to the next may go well from the start.
                let result = run(changes).or_else(|_| run(Changes { configuration: true, ..Changes::default() }));
                match result {
                    Ok(Ok(Some(analysis))) => tell(Ok(Arc::new(analysis)), true),
                    Ok(Ok(None)) => {}
                    Ok(Err(error)) | Err(error) => tell(Err(error), true),
                }
            }
        };
        let thread = std::thread::Builder::new().name("folder".to_owned()).spawn(work);
        let thread = thread.map_err(|error| Error::failed(format!("cannot start a thread: {error}")))?;
        Ok(Self { id, dir, reach, inbox, thread: Some(thread) })
    }

    /// Has it looked at again; what is being done is abandoned. Gives the number that the answer will have.
    pub(super) fn ask(&self, buffers: &Arc<Buffers>, changes: Changes) -> u64 {
        let mut next = self.inbox.next();
        let generation = self.inbox.asked.fetch_add(1, Ordering::Relaxed) + 1;
        next.buffers = Arc::clone(buffers);
        next.changes.add(changes);
        next.waiting = true;
        self.inbox.wake.notify_one();
        generation
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.inbox.next().stop = true;
        self.inbox.asked.fetch_add(1, Ordering::Relaxed);
        self.inbox.wake.notify_one();
        // It may be about to say something to the very thread that this is: it ends by itself.
        drop(self.thread.take());
    }
}

/// Waits for something to do.
fn take(inbox: &Inbox) -> Option<(u64, Arc<Buffers>, Changes)> {
    let mut next = inbox.next();
    while !next.waiting && !next.stop {
        next = inbox.wake.wait(next).unwrap_or_else(PoisonError::into_inner);
    }
    if next.stop {
        return None;
    }
    next.waiting = false;
    let generation = inbox.asked.load(Ordering::Relaxed);
    Some((generation, Arc::clone(&next.buffers), std::mem::take(&mut next.changes)))
}

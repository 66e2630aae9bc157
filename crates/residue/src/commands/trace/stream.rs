//! `--format jsonl`: what happens, told while it does, one JSON object a line.
//!
//! `docs/schema/trace.schema.json` describes the lines (`lines`). An opener is told with its stack once, and by its number after that.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use residue_fd::event::{Event, Live, Losses, Placed, Process, Site, Start};
use residue_fd::{Ledger, Report};
use serde::Serialize;

use super::Shown;
use super::format::Format;
use super::json::{self, AgainstJson, BadCloseJson, FindingJson, StateJson};
use crate::error::Error;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Start {
        schema: u32,
        by: &'a str,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        unseen: &'a [String],
        pids: &'a [u32],
    },
    Process(&'a Process),
    Placed(&'a Placed),
    Opener(&'a Site),
    Window {
        elapsed_ms: u64,
        openers: Vec<OpenerNow>,
        losses: Losses,
    },
    BadClose(BadCloseJson<'a>),
    OriginUnknown(&'a Live),
    Finding(FindingJson<'a>),
    Against(AgainstJson<'a>),
    End {
        elapsed_ms: u64,
        processes: usize,
        command_exited: bool,
        opens: u64,
        closes: u64,
        losses: Losses,
    },
}

#[derive(Serialize)]
struct OpenerNow {
    id: u32,
    #[serde(flatten)]
    state: StateJson,
}

/// Where lines go, and what was told.
pub(super) struct Stream {
    out: Box<dyn Write>,
    window: Duration,
    next: Instant,
    /// Opened, closed and ended of each opener as last told.
    told: BTreeMap<u32, (u64, u64, u64)>,
    /// The reader has seen enough.
    gone: bool,
}

impl Stream {
    /// A stream to a file or to stdout, with a line each `window`.
    pub(super) fn open(format: &Format, window: Duration) -> Result<Self, Error> {
        let out: Box<dyn Write> = match &format.path {
            None => Box::new(io::stdout()),
            Some(path) => Box::new(create(path)?),
        };
        Ok(Self { out, window, next: Instant::now() + window, told: BTreeMap::new(), gone: false })
    }

    /// Whether nobody reads it any more.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// What is told as it comes.
    pub(super) fn events(&mut self, events: &[Event]) -> Result<(), Error> {
        for event in events {
            match event {
                Event::Start(start) => {
                    let Start { by, unseen, pids, .. } = start;
                    self.line(&Line::Start { schema: json::VERSION, by, unseen, pids })?;
                }
                Event::Process(process) => self.line(&Line::Process(process))?,
                Event::Placed(placed) => self.line(&Line::Placed(placed))?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What has changed, if a window is over.
    pub(super) fn look(&mut self, ledger: &Ledger) -> Result<(), Error> {
        if Instant::now() < self.next {
            return Ok(());
        }
        self.next = Instant::now() + self.window;
        self.changes(&ledger.report())
    }

    fn changes(&mut self, report: &Report) -> Result<(), Error> {
        let mut openers = Vec::new();
        for opener in &report.openers {
            let now = (opener.opened, opener.closed, opener.ended);
            match self.told.insert(opener.site.id, now) {
                Some(told) if told == now => continue,
                Some(_) => {}
                None => self.line(&Line::Opener(&opener.site))?,
            }
            openers.push(OpenerNow { id: opener.site.id, state: json::state(opener) });
        }
        let elapsed_ms = report.elapsed_ns / 1_000_000;
        self.line(&Line::Window { elapsed_ms, openers, losses: report.losses })
    }

    /// The rest.
    pub(super) fn finish(mut self, shown: &Shown<'_>) -> Result<(), Error> {
        let report = shown.report;
        self.changes(report)?;
        for bad in &report.bad_closes {
            self.line(&Line::BadClose(json::bad_close(bad)))?;
        }
        for live in &report.unknown {
            self.line(&Line::OriginUnknown(live))?;
        }
        for finding in &shown.outcome.findings {
            self.line(&Line::Finding(json::finding(finding)))?;
        }
        if let Some(against) = &shown.against {
            self.line(&Line::Against(json::against(against, report)))?;
        }
        self.line(&Line::End {
            elapsed_ms: report.elapsed_ns / 1_000_000,
            processes: report.processes,
            command_exited: report.exited,
            opens: report.opens,
            closes: report.closes,
            losses: report.losses,
        })
    }

    fn line(&mut self, line: &Line<'_>) -> Result<(), Error> {
        if self.gone {
            return Ok(());
        }
        // Whole lines, so that the output of a command that is run doesn't end up within one.
        let mut text = serde_json::to_vec(line).map_err(|error| failed(&error.into()))?;
        text.push(b'\n');
        match self.out.write_all(&text).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            written => written.map_err(|error| failed(&error)),
        }
    }
}

fn create(path: &Path) -> Result<std::fs::File, Error> {
    std::fs::File::create(path).map_err(|error| Error::failed(format!("cannot write {}: {error}", path.display())))
}

fn failed(error: &io::Error) -> Error {
    Error::failed(format!("cannot write the stream: {error}"))
}

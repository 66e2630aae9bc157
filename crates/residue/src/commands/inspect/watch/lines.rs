//! `--format jsonl`: an object a line for each change; `docs/schema/inspect.schema.json` describes them (`watch_lines`).

use std::collections::BTreeMap;
use std::time::Duration;

use residue_target::Kind;
use serde::Serialize;

use super::{Event, How, Moment, Watch, Watched};
use crate::commands::inspect::json::VERSION;
use crate::commands::inspect::why::{self, WhyJson};
use crate::error::Error;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Start {
        schema: u32,
        program: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        what: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        neighbour: Option<&'a str>,
        interval_ms: u128,
    },
    Way {
        #[serde(flatten)]
        when: When<'a>,
        why: WhyJson<'a>,
        inconsistencies: &'a BTreeMap<&'static str, usize>,
    },
    Waiting {
        #[serde(flatten)]
        when: When<'a>,
        why: WhyJson<'a>,
        inconsistencies: &'a BTreeMap<&'static str, usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_way: Option<Box<LastJson<'a>>>,
    },
    Gone {
        #[serde(flatten)]
        when: When<'a>,
        how: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        known_by: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_way: Option<Box<LastJson<'a>>>,
    },
    End {
        #[serde(flatten)]
        when: When<'a>,
        reason: &'static str,
        frozen_us: u128,
        doubtful_looks: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_way: Option<Box<LastJson<'a>>>,
    },
}

#[derive(Serialize)]
struct When<'a> {
    at: &'a str,
    elapsed_ms: u128,
    looks: usize,
}

#[derive(Serialize)]
struct LastJson<'a> {
    #[serde(flatten)]
    when: When<'a>,
    why: WhyJson<'a>,
}

fn when(moment: &Moment) -> When<'_> {
    When { at: &moment.at, elapsed_ms: moment.since_start.as_millis(), looks: moment.look }
}

pub(super) fn start(watched: &Watched<'_>, interval: Duration) -> Result<String, Error> {
    line(&Line::Start {
        schema: VERSION,
        program: watched.target.program_path.to_string_lossy().into_owned(),
        pid: match watched.target.kind {
            Kind::Process(pid) => Some(pid),
            Kind::Core => None,
        },
        what: watched.what,
        neighbour: watched.neighbour.as_deref(),
        interval_ms: interval.as_millis(),
    })
}

pub(super) fn event(watch: &Watch, event: &Event<'_>) -> Result<String, Error> {
    let now = watch.now();
    let when_now = when(&now);
    let last =
        watch.last_way.as_ref().map(|(moment, way)| Box::new(LastJson { when: when(moment), why: why::json(way) }));
    line(&match event {
        Event::Way(look) => Line::Way { when: when_now, why: why::json(&look.why), inconsistencies: &look.odd },
        Event::Waiting(look) => {
            Line::Waiting { when: when_now, why: why::json(&look.why), inconsistencies: &look.odd, last_way: last }
        }
        Event::Gone(how) => Line::Gone {
            when: when_now,
            how: how.key(),
            known_by: match how {
                How::Reused(by) => Some(by),
                _ => None,
            },
            last_way: last,
        },
        Event::End(end) => Line::End {
            when: when_now,
            reason: end.key(),
            frozen_us: watch.frozen.as_micros(),
            doubtful_looks: watch.doubtful,
            last_way: last,
        },
    })
}

fn line(line: &Line<'_>) -> Result<String, Error> {
    let text = serde_json::to_string(line).map_err(|error| Error::failed(error.to_string()))?;
    Ok(text + "\n")
}

//! What is told to people: a block for each change, with its time.

use std::io::Write as _;
use std::time::Duration;

use residue_report::{plural, shown_name as visible};
use residue_runtime::heap::Why;

use super::{End, Event, How, Moment, State, Watch, Watched};
use crate::commands::inspect::{text, unheld, why};
use crate::error::Error;
use crate::figures::time;

pub(super) fn start(watched: &Watched<'_>, interval: Duration) -> String {
    let name = watched.target.program_path.file_name().unwrap_or_default().to_string_lossy();
    let pid = match watched.target.kind {
        residue_target::Kind::Process(pid) => format!("  pid {pid}"),
        residue_target::Kind::Core => String::new(),
    };
    let version = visible(&watched.version);
    let note = watched.neighbour.as_deref().map(|neighbour| text::neighbour(neighbour) + "\n").unwrap_or_default();
    let (name, what) = (visible(&name), visible(watched.what));
    format!("{name}{pid}  {version}  why {what}, looked at every {}\n{note}", time(interval))
}

pub(super) fn event(watch: &Watch, event: &Event<'_>) -> Result<String, Error> {
    let mut out = Vec::new();
    let failed = |error: std::io::Error| Error::failed(error.to_string());
    block(watch, event, &mut out).map_err(failed)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn block(watch: &Watch, event: &Event<'_>, out: &mut Vec<u8>) -> std::io::Result<()> {
    let now = watch.now();
    let head = |said: &str| format!("\n{}  look {}, after {}: {said}", now.at, now.look, time(now.since_start));
    match event {
        Event::Way(look) => {
            let said = if watch.looks == 1 { "what keeps it" } else { "it is kept in another way" };
            writeln!(out, "{}", head(said))?;
            why::text(&look.why, out)?;
            text::odd(&look.odd, out)
        }
        Event::Waiting(look) => {
            let said = match (&watch.last_way, look.why.objects) {
                (None, _) => "nothing in use keeps it",
                (Some(_), _) if watch.is_last_told => "it waits for something else",
                (Some(_), 1) => "nothing in use keeps it any more",
                (Some(_), _) => "nothing in use keeps any of them any more",
            };
            writeln!(out, "{}", head(said))?;
            waiting(&look.why, out)?;
            text::odd(&look.odd, out)?;
            last_way(watch, &now, out)
        }
        Event::Gone(how) => {
            writeln!(out, "{}", head(&gone(*how)))?;
            last_way(watch, &now, out)
        }
        Event::End(end) => {
            writeln!(out, "{}", head(over(*end)))?;
            if matches!(end, End::Exited | End::Replaced) {
                last_way(watch, &now, out)?;
            }
            if watch.doubtful > 0 {
                let looks = plural(watch.doubtful, "look");
                writeln!(
                    out,
                    "note: before {looks} its span was swept more than once: another object of its type and size"
                )?;
                writeln!(
                    out,
                    "      at the same address would have looked the same; a shorter --interval tells them apart"
                )?;
            }
            let frozen = watch.frozen.as_secs_f64() * 1000.0;
            writeln!(
                out,
                "{}, for which the process stood still for {frozen:.1} ms together",
                plural(watch.looks, "look")
            )
        }
    }
}

/// What of it is there still.
fn waiting(found: &Why, out: &mut Vec<u8>) -> std::io::Result<()> {
    match &found.unheld {
        Some(unheld) => {
            unheld::text(unheld, out)?;
            unheld::hints(unheld, out)
        }
        None => writeln!(out, "  {} that wait to be collected or finalized", plural(found.objects as usize, "object")),
    }
}

fn last_way(watch: &Watch, now: &Moment, out: &mut Vec<u8>) -> std::io::Result<()> {
    let Some((seen, way)) = watch.last_way.as_ref().filter(|_| !watch.is_last_told) else { return Ok(()) };
    let before = now.since_start.saturating_sub(seen.since_start);
    writeln!(out, "\nlast way  seen at {}, {} before", seen.at, time(before))?;
    why::text(way, out)
}

fn gone(how: How) -> String {
    match how {
        How::Freed => "it is gone: there is no such object any more".to_owned(),
        How::Reused(by) => format!("it is gone: another object is at its address, as its {by} shows"),
        How::Closed => "it is gone: the descriptor is closed".to_owned(),
        How::Reopened => "it is gone: the descriptor leads to something else".to_owned(),
        How::Unknown => "it is gone: the descriptor is open, and no object is known to hold it".to_owned(),
    }
}

fn over(end: End) -> &'static str {
    match end {
        End::Gone => "there is nothing left to be watched",
        End::Interrupted => "ended, it is there still",
        End::Time => "the time is up, it is there still",
        End::Exited => "the process has ended",
        End::Replaced => "the process runs another program",
    }
}

/// How it stands, in a line.
pub(super) fn status(watch: &Watch) -> String {
    let frozen = watch.frozen.as_secs_f64() * 1000.0;
    let looked = format!("look {}, after {}, stood still {frozen:.1} ms", watch.looks, time(watch.started.elapsed()));
    let Some(look) = &watch.last else { return looked };
    let objects = plural(look.why.objects as usize, "object");
    match (&look.state, look.why.holdings.first()) {
        (State::Kept, Some(holding)) => {
            let way = why::one_line(&holding.path);
            format!("{looked}: {objects}, {} {}", visible(&holding.path.root), visible(&way))
        }
        _ => format!("{looked}: {objects}, nothing in use keeps it"),
    }
}

//! An object that no root keeps: what it waits for, and where its address is left. Hints are not ways: they keep nothing.

use std::io::{self, Write};

use residue_report::shown_name as visible;
use residue_runtime::heap::{Hint, HintPlace, Unheld, Wait};
use serde::Serialize;

use super::finalizers::{RunnerJson, runner_json, runner_line};
use super::text::function_name;
use crate::figures::{bytes, grouped};

#[derive(Serialize)]
pub(super) struct UnheldJson<'a> {
    address: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    waits_for: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<QueueJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<BehindJson<'a>>,
    notes: Vec<NoteJson<'a>>,
    runners: Vec<RunnerJson>,
    hints: Vec<HintJson<'a>>,
    more_hints: usize,
    left_out: &'a [&'static str],
}

#[derive(Serialize)]
struct QueueJson<'a> {
    calls: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a str>,
    direct: bool,
}

#[derive(Serialize)]
struct BehindJson<'a> {
    address: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a str>,
}

#[derive(Serialize)]
struct NoteJson<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a str>,
    state: &'static str,
}

#[derive(Serialize)]
struct HintJson<'a> {
    place: &'static str,
    into: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    goroutine: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    below: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_reaches: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

pub(super) fn json(unheld: &Unheld) -> UnheldJson<'_> {
    let hexadecimal = |address: u64| format!("{address:#x}");
    let (queue, behind) = match &unheld.wait {
        Wait::Queue { calls, function, direct, .. } => {
            (Some(QueueJson { calls: *calls, function: function.as_deref(), direct: *direct }), None)
        }
        Wait::Behind { address, kind, function } => {
            let behind =
                BehindJson { address: hexadecimal(*address), kind: kind.as_deref(), function: function.as_deref() };
            (None, Some(behind))
        }
        Wait::Collection | Wait::Sweep | Wait::Cycle => (None, None),
    };
    let notes = unheld.notes.iter().map(|(kind, function, state)| NoteJson {
        kind: kind.name(),
        function: function.as_deref(),
        state: state.key(),
    });
    UnheldJson {
        address: hexadecimal(unheld.address),
        kind: unheld.kind.as_deref(),
        waits_for: unheld.wait.key(),
        queue,
        behind,
        notes: notes.collect(),
        runners: unheld.runners.iter().cloned().map(runner_json).collect(),
        hints: unheld.hints.found.iter().map(hint_json).collect(),
        more_hints: unheld.hints.more,
        left_out: &unheld.hints.left_out,
    }
}

fn hint_json(hint: &Hint) -> HintJson<'_> {
    let mut told = HintJson {
        place: hint.place.key(),
        into: hint.into,
        goroutine: None,
        below: None,
        function: None,
        frame_reaches: None,
        offset: None,
        address: None,
        bytes: None,
        kind: None,
        field: None,
    };
    match &hint.place {
        HintPlace::DeadStack { goroutine, below, function } => {
            (told.goroutine, told.below) = (Some(*goroutine), Some(*below));
            if let Some((function, reaches)) = function {
                (told.function, told.frame_reaches) = (Some(&**function), Some(*reaches));
            }
        }
        HintPlace::DeadSlot { goroutine, function, offset } => {
            (told.goroutine, told.function, told.offset) = (Some(*goroutine), function.as_deref(), Some(*offset));
        }
        HintPlace::FreeSlot { address, bytes, offset, kind } => {
            (told.address, told.bytes) = (Some(format!("{address:#x}")), Some(*bytes));
            (told.offset, told.kind) = (Some(*offset), kind.as_deref());
        }
        HintPlace::Unheld { address, bytes, kind, field } => {
            (told.address, told.bytes) = (Some(format!("{address:#x}")), Some(*bytes));
            (told.kind, told.field) = (kind.as_deref(), Some(&**field));
        }
    }
    told
}

/// What it waits for, in a sentence.
pub(super) fn waits(unheld: &Unheld) -> String {
    let calls = |function: &Option<String>| {
        function.as_deref().map_or_else(|| "a function that isn't known".to_owned(), function_name)
    };
    match &unheld.wait {
        Wait::Collection => "nothing leads to it, the next collection finds that".to_owned(),
        Wait::Sweep => {
            "nothing leads to it; its span was not swept since the last collection, which may have found that"
                .to_owned()
        }
        Wait::Queue { cleanups, calls: count, function, direct } => {
            let what = if *cleanups { "cleanup" } else { "finalizer" };
            let gets = if *direct { "is what" } else { "is kept by what" };
            let of = if *count > 1 { format!(", one of {} that wait", grouped(*count)) } else { String::new() };
            format!("it {gets} the {what} {} gets, which is in the queue{of}", calls(function))
        }
        Wait::Behind { address, kind, function } => {
            let kind = kind.as_deref().map_or_else(|| "an object of unknown type".to_owned(), visible);
            format!("it is behind the finalizer {} of {kind} {address:#x}, which comes first", calls(function))
        }
        Wait::Cycle => "it has a finalizer and leads to itself: that is never called".to_owned(),
    }
}

pub(super) fn text(unheld: &Unheld, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  nothing in use keeps it: {}", waits(unheld))?;
    for (kind, function, state) in &unheld.notes {
        let function = function.as_deref().map(|name| format!("  {}", function_name(name))).unwrap_or_default();
        writeln!(out, "    {}{function}  {}", kind.name(), state.name())?;
    }
    for runner in &unheld.runners {
        writeln!(out, "    {}", runner_line(runner))?;
    }
    Ok(())
}

/// Where its address is left.
pub(super) fn hints(unheld: &Unheld, out: &mut dyn Write) -> io::Result<()> {
    let hints = &unheld.hints;
    if hints.found.is_empty() {
        writeln!(out, "\nno hints: no word that is left has its address")?;
    } else {
        writeln!(out, "\nhints  where its address is left; none of this keeps it")?;
    }
    for hint in &hints.found {
        writeln!(out, "  {}", line(hint))?;
    }
    if hints.more > 0 {
        writeln!(out, "  … and {} more", grouped(hints.more))?;
    }
    for what in &hints.left_out {
        writeln!(out, "  not looked at: {what}")?;
    }
    Ok(())
}

fn line(hint: &Hint) -> String {
    let into = if hint.into > 0 { format!("  (to its byte {})", grouped(hint.into)) } else { String::new() };
    let text = match &hint.place {
        HintPlace::DeadStack { goroutine, below, function } => {
            let frame = match function {
                Some((function, true)) => format!(", in what was a frame of {}", function_name(function)),
                Some((function, false)) => format!(", near what was a frame of {}", function_name(function)),
                None => String::new(),
            };
            format!("dead stack   goroutine {goroutine}, {} bytes below its stack pointer{frame}", grouped(*below))
        }
        HintPlace::DeadSlot { goroutine, function, offset } => {
            let frame = function.as_deref().map(|name| format!(" in the frame of {}", function_name(name)));
            format!("dead slot    goroutine {goroutine}, sp+{offset}{}", frame.unwrap_or_default())
        }
        HintPlace::FreeSlot { address, bytes: size, offset, kind } => {
            let kind = kind.as_deref().map(|kind| format!(", last a {}", visible(kind))).unwrap_or_default();
            format!("free slot    +{offset:#x} of {} at {address:#x}{kind}", bytes(*size))
        }
        HintPlace::Unheld { address, bytes: size, kind, field } => {
            let kind = kind.as_deref().map_or_else(|| format!("{} of unknown type", bytes(*size)), visible);
            format!("waiting too  {} of {kind}  {address:#x}", visible(field))
        }
    };
    text + &into
}

//! `inspect finalizers`: what is to be called when objects die, and what keeps it from being called.

use std::collections::BTreeMap;
use std::io::{self, Write};

use residue_report::{plural, shown_name as visible};
use residue_runtime::heap::{Finalizers, Group, Heap, NoteKind, Runner, State};
use serde::Serialize;

use super::Shown;
use super::text::function_name;
use crate::figures::{grouped, time};

#[derive(Serialize)]
pub(super) struct FinalizersJson {
    groups: Vec<GroupJson>,
    queued: BTreeMap<String, u64>,
    queued_cleanups: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cleanups_run: Option<u64>,
    runners: Vec<RunnerJson>,
}

#[derive(Serialize)]
struct GroupJson {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    registered: u64,
    states: BTreeMap<&'static str, u64>,
    kept_by: Vec<KeptJson>,
    example: String,
}

#[derive(Serialize)]
struct KeptJson {
    root: String,
    objects: u64,
}

#[derive(Serialize)]
pub(super) struct RunnerJson {
    goroutine: u64,
    kind: &'static str,
    blocked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_ms: Option<u128>,
}

pub(super) fn json(shown: &Shown<'_>, heap: &Heap<'_>) -> FinalizersJson {
    let found = heap.finalizers(shown.report);
    let group = |group: Group| GroupJson {
        kind: group.kind.name(),
        object_type: group.object_type,
        function: group.function,
        registered: group.registered,
        states: group.states.iter().map(|(state, count)| (state.key(), *count)).collect(),
        kept_by: group.kept_by.into_iter().map(|(root, objects)| KeptJson { root, objects }).collect(),
        example: format!("{:#x}", group.example),
    };
    FinalizersJson {
        groups: found.groups.into_iter().map(group).collect(),
        queued: found.queued,
        queued_cleanups: found.queued_cleanups,
        cleanups_run: found.cleanups_run,
        runners: found.runners.into_iter().map(runner_json).collect(),
    }
}

pub(super) fn runner_json(runner: Runner) -> RunnerJson {
    RunnerJson {
        goroutine: runner.goroutine,
        kind: if runner.finalizers { "finalizer" } else { "cleanup" },
        blocked: runner.blocked,
        calls: runner.calls,
        wait_reason: runner.wait_reason,
        waiting_ms: runner.waiting.map(|waiting| waiting.as_millis()),
    }
}

/// A line of the summary page.
pub(super) fn summary(shown: &Shown<'_>, heap: &Heap<'_>, out: &mut dyn Write) -> io::Result<()> {
    let found = heap.finalizers(shown.report);
    let of = |kind: NoteKind| found.groups.iter().filter(move |group| group.kind == kind);
    let registered = |kind| of(kind).map(|group| group.registered).sum::<u64>();
    let total = registered(NoteKind::Finalizer);
    let mut parts = Vec::new();
    let cleanups = registered(NoteKind::Cleanup);
    if cleanups > 0 {
        parts.push(plural(cleanups as usize, "cleanup"));
    }
    parts.push(format!("{} queued", grouped(queued(&found) as usize)));
    let blocked = found.runners.iter().find(|runner| runner.blocked);
    parts.push(
        blocked.map_or_else(|| "goroutine idle".to_owned(), |runner| format!("goroutine {} blocked", runner.goroutine)),
    );
    let in_state = |wanted: fn(State) -> bool| {
        let states = found.groups.iter().filter(|group| group.kind != NoteKind::Weak).flat_map(|group| &group.states);
        states.filter(|(state, _)| wanted(**state)).map(|(_, count)| *count).sum::<u64>()
    };
    let (never, kept) = (in_state(State::is_never), in_state(|state| state == State::KeptByVariable));
    if never > 0 {
        parts.push(format!("{} can never run", grouped(never as usize)));
    }
    if kept > 0 {
        parts.push(format!("{} kept by package variables", grouped(kept as usize)));
    }
    writeln!(out, "  finalizers   {:<8} {}", grouped(total as usize), parts.join(" · "))
}

fn queued(found: &Finalizers) -> u64 {
    found.queued.values().chain(found.queued_cleanups.values()).sum()
}

pub(super) fn text(shown: &Shown<'_>, heap: &Heap<'_>, out: &mut dyn Write) -> io::Result<()> {
    let found = heap.finalizers(shown.report);
    for runner in &found.runners {
        writeln!(out, "  {}", runner_line(runner))?;
    }
    if found.runners.is_empty() {
        writeln!(out, "  no goroutine calls finalizers: none was ever set")?;
    }
    for (kind, queue) in [("finalizer", &found.queued), ("cleanup", &found.queued_cleanups)] {
        let waiting: u64 = queue.values().sum();
        if waiting > 0 {
            writeln!(out, "  {} queued:", plural(waiting as usize, kind))?;
        }
        for (function, count) in queue {
            writeln!(out, "    {:>8}  {}", grouped(*count as usize), function_name(function))?;
        }
    }
    for group in &found.groups {
        group_text(group, out)?;
    }
    Ok(())
}

fn group_text(group: &Group, out: &mut dyn Write) -> io::Result<()> {
    let what = group.object_type.as_deref().map_or_else(|| "objects of unknown type".to_owned(), visible);
    let calls =
        group.function.as_deref().map(|function| format!("  calls {}", function_name(function))).unwrap_or_default();
    let count = plural(group.registered as usize, group.kind.name());
    writeln!(out, "\n{count}  {what}{calls}")?;
    for (state, count) in &group.states {
        let never = if state.is_never() { "  never runs" } else { "" };
        writeln!(out, "    {:>8}  {}{never}", grouped(*count as usize), state.name())?;
    }
    for (root, count) in &group.kept_by {
        writeln!(out, "    {:>8}  ← {}", grouped(*count as usize), visible(root))?;
    }
    writeln!(out, "              for example {:#x}", group.example)
}

pub(super) fn runner_line(runner: &Runner) -> String {
    let what = if runner.finalizers { "finalizers" } else { "cleanups" };
    let Some(calls) = &runner.calls else { return format!("goroutine {} calls {what}: idle", runner.goroutine) };
    let place = runner.place.as_ref().map(|(file, line)| format!(" at {}:{line}", visible(file))).unwrap_or_default();
    let state = if runner.blocked { "blocked" } else { "busy" };
    let reason = runner.wait_reason.as_deref().map(|reason| format!(": {}", visible(reason))).unwrap_or_default();
    let since = runner.waiting.map(|waiting| format!(", {}", time(waiting))).unwrap_or_default();
    format!("goroutine {} calls {what}: {state} in {}{place}{reason}{since}", runner.goroutine, visible(calls))
}

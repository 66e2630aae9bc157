//! Panics that goroutines are in: what was raised, where, and what became of it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use residue_report::{plural, shown_name as visible};
use residue_runtime::{Frame, Goroutine, Panic};

use super::text::{self, LISTED_MAX};
use super::{Shown, raised_at};

pub(super) fn write(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut found: BTreeMap<Key<'_>, Vec<(&Goroutine, &Panic)>> = BTreeMap::new();
    let mut rest = 0;
    for goroutine in shown.goroutines() {
        for (index, panic) in goroutine.panics.iter().enumerate() {
            let raised = raised_at(shown.report, goroutine, index);
            // Ungrouped, each is its own.
            let own = if shown.group { 0 } else { rest };
            rest += 1;
            let key = (own, panic.state.name(), panic.value_type.as_deref(), raised);
            found.entry(key).or_default().push((goroutine, panic));
        }
    }
    if found.is_empty() {
        return writeln!(out, "no panic is in progress");
    }
    let mut groups: Vec<_> = found.into_iter().collect();
    groups.sort_by_key(|((own, ..), group)| (*own, std::cmp::Reverse(group.len())));
    for ((_, state, value_type, raised), group) in groups {
        let (goroutine, panic) = group[0];
        let value = value_type.map_or_else(|| "unknown value".to_owned(), visible);
        if shown.group {
            let mut ids: Vec<String> = group.iter().take(LISTED_MAX).map(|(found, _)| found.id.to_string()).collect();
            if group.len() > LISTED_MAX {
                ids.push("…".to_owned());
            }
            writeln!(out, "\n{}  {state}  {value}", plural(group.len(), "panic"))?;
            writeln!(out, "  goroutines  {}", ids.join(", "))?;
        } else {
            let told = panic.text.as_ref().map(|told| format!(" ({})", text::word(shown, told))).unwrap_or_default();
            writeln!(out, "\ngoroutine {}  {state}  {value}{told}", goroutine.id)?;
            writeln!(out, "  goroutine   {}", text::state(goroutine))?;
        }
        if let Some(frame) = raised {
            writeln!(out, "  raised at   {}  {}", text::function_name(&frame.function), text::place(frame))?;
        }
        if let Some(frame) = goroutine.in_deferred.and_then(|index| text::frame_of(shown, goroutine, index)) {
            writeln!(out, "  running     {}  {}", text::function_name(&frame.function), text::place(frame))?;
        }
        if !goroutine.deferred.is_empty() {
            writeln!(out, "  pending     {}", plural(goroutine.deferred.len(), "deferred call"))?;
        }
    }
    Ok(())
}

/// What panics of a group have in common: their own number if they aren't grouped, state, type of the value, place.
type Key<'g> = (usize, &'static str, Option<&'g str>, Option<&'g Frame>);

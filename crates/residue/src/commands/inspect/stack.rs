//! One goroutine's stack: variables, captured ones, and what is left below the stack pointer.

use std::io::{self, Write};

use residue_gobin::VariableRole;
use residue_report::{plural, shown_name as visible};
use residue_runtime::{Captured, FrameView, Lives, Slot, StackView};
use serde::Serialize;

use super::json::{FrameJson, WordJson, frame_json, word_json};
use super::text::{frame_of, function_name, place, state, word};
use super::{Shown, json};
use crate::figures::{bytes, grouped};

/// Return addresses of returned calls that the text lists.
const STALE_LISTED: usize = 24;

pub(super) fn write(shown: &Shown<'_>, view: &StackView, out: &mut dyn Write) -> io::Result<()> {
    let Some(goroutine) = view.goroutine() else { return Ok(()) };
    writeln!(out, "\ngoroutine {}  {}", goroutine.id, state(goroutine))?;
    writeln!(out, "stack of {}, {} in use", bytes(view.size), bytes(view.used))?;
    if !view.named {
        writeln!(out, "the program has no DWARF: what is told of frames are their live pointers")?;
    }
    for (index, (pc, frame)) in goroutine.stack.iter().zip(&view.frames).enumerate() {
        for (depth, call) in shown.report.at(*pc).iter().enumerate() {
            let number = if depth == 0 { format!("#{index}") } else { String::new() };
            let inlined = if call.inlined { "  (inlined)" } else { "" };
            writeln!(out, "{number:<4} {}  {}{inlined}", function_name(&call.function), place(call))?;
        }
        if goroutine.in_deferred == Some(index) {
            writeln!(out, "       this deferred call is in progress")?;
        }
        for slot in frame.slots.iter().filter(|slot| slot.lives != Lives::Gone) {
            slot_line(shown, slot, out)?;
        }
        let gone: Vec<String> = frame
            .slots
            .iter()
            .filter(|slot| slot.lives == Lives::Gone)
            .filter_map(|slot| slot.name.as_deref().map(visible))
            .collect();
        if !gone.is_empty() {
            writeln!(out, "       not kept  {}", gone.join(", "))?;
        }
        if frame.live_pointers.is_none() {
            writeln!(out, "       no map of live pointers holds here")?;
        }
        closures(shown, view, frame, out)?;
    }
    if let Some(why) = goroutine.stack_cut {
        writeln!(out, "… not the whole stack: {why}")?;
    }
    dead(view, out)
}

fn slot_line(shown: &Shown<'_>, slot: &Slot, out: &mut dyn Write) -> io::Result<()> {
    let role = match slot.role {
        VariableRole::Argument => "argument",
        VariableRole::Result => "result",
        VariableRole::Local => "local",
        VariableRole::Captured => "captured",
    };
    let name = slot.name.as_deref().map(|name| format!("{}  ", visible(name))).unwrap_or_default();
    let kind = slot.type_name.as_deref().map(|name| format!("{}  ", visible(name))).unwrap_or_default();
    let words: Vec<String> = slot.words.iter().map(|told| word(shown, told)).collect();
    let words = if words.is_empty() { String::new() } else { format!("{}  ", words.join(", ")) };
    let inlined = if slot.inlined { " (inlined)" } else { "" };
    writeln!(out, "       {role:<8}  {name}{kind}{words}{}{inlined}", lives(slot.lives))
}

/// Where a variable lives, in words.
fn lives(lives: Lives) -> String {
    match lives {
        Lives::Frame(offset) => format!("in the frame, sp+{offset}"),
        Lives::OtherFrame(index, offset) => format!("in frame #{index}, sp+{offset}"),
        Lives::Heap => "on the heap".to_owned(),
        Lives::Closure => "in the closure".to_owned(),
        Lives::Program => "in the program's file".to_owned(),
        Lives::Register => "in a register".to_owned(),
        Lives::Gone => "not kept here".to_owned(),
    }
}

fn closures(shown: &Shown<'_>, view: &StackView, frame: &FrameView, out: &mut dyn Write) -> io::Result<()> {
    let Some(goroutine) = view.goroutine() else { return Ok(()) };
    for closure in &frame.closures {
        let Some(deferred) = goroutine.deferred.get(closure.deferred) else { continue };
        let function = deferred.function.and_then(|function| shown.report.at(function).last());
        let name = function.map_or_else(|| "a nil function".to_owned(), |frame| function_name(&frame.function));
        writeln!(out, "       deferred  {name}  ({}); closure {}", deferred.kind.name(), lives(closure.lives))?;
        for captured in &closure.captured {
            let names = [&captured.name, &captured.type_name].into_iter().flatten().map(|name| visible(name));
            let words = captured.words.iter().map(|told| word(shown, told)).collect::<Vec<_>>().join(", ");
            let told: Vec<String> = names.chain([words]).collect();
            writeln!(out, "         captured  {}  {}", told.join("  "), lives(captured.lives))?;
        }
    }
    Ok(())
}

fn dead(view: &StackView, out: &mut dyn Write) -> io::Result<()> {
    let dead = &view.dead;
    writeln!(
        out,
        "\nbelow the stack pointer  {}, {} bytes of them not zero",
        bytes(dead.bytes),
        grouped(dead.nonzero as usize)
    )?;
    if dead.texts + dead.heap_pointers > 0 {
        let pointers = plural(dead.heap_pointers, "word");
        writeln!(out, "  {} that look like texts, {pointers} that lead to the heap", grouped(dead.texts))?;
    }
    for (below, frame) in dead.stale.iter().take(STALE_LISTED) {
        writeln!(out, "  sp-{below:<6} {}  {}", function_name(&frame.function), place(frame))?;
    }
    if dead.stale.len() > STALE_LISTED {
        writeln!(out, "  … and {} more calls", grouped(dead.stale.len() - STALE_LISTED))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct StackJson<'a> {
    size: u64,
    used: u64,
    named: bool,
    frames: Vec<FrameViewJson<'a>>,
    dead: DeadJson<'a>,
}

#[derive(Serialize)]
struct FrameViewJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FrameJson<'a>>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    live_pointers: Option<usize>,
    slots: Vec<SlotJson<'a>>,
    closures: Vec<ClosureJson<'a>>,
}

#[derive(Serialize)]
struct SlotJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    type_name: Option<&'a str>,
    role: &'static str,
    inlined: bool,
    #[serde(flatten)]
    lives: LivesJson,
    words: Vec<WordJson<'a>>,
}

/// Where a variable lives; in a frame with its number, where that is another one, and the bytes above its stack pointer.
#[derive(Serialize)]
struct LivesJson {
    lives: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
}

#[derive(Serialize)]
struct ClosureJson<'a> {
    deferred: usize,
    #[serde(flatten)]
    lives: LivesJson,
    captured: Vec<CapturedJson<'a>>,
}

#[derive(Serialize)]
struct CapturedJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    type_name: Option<&'a str>,
    #[serde(flatten)]
    lives: LivesJson,
    words: Vec<WordJson<'a>>,
}

#[derive(Serialize)]
struct DeadJson<'a> {
    bytes: u64,
    nonzero: u64,
    texts: usize,
    heap_pointers: usize,
    stale: Vec<StaleJson<'a>>,
}

#[derive(Serialize)]
struct StaleJson<'a> {
    below: u64,
    call: FrameJson<'a>,
}

/// What the view shows, as `inspect.schema.json` has it below `stack`.
pub(super) fn document<'a>(shown: &'a Shown<'_>, view: &'a StackView) -> impl Serialize + 'a {
    let frames = view.frames.iter().enumerate().map(|(index, frame)| FrameViewJson {
        function: view.goroutine().and_then(|goroutine| frame_of(shown, goroutine, index)).map(frame_json),
        size: frame.size,
        live_pointers: frame.live_pointers,
        slots: frame.slots.iter().map(slot_json).collect(),
        closures: frame
            .closures
            .iter()
            .map(|closure| ClosureJson {
                deferred: closure.deferred,
                lives: lives_json(closure.lives),
                captured: closure.captured.iter().map(captured_json).collect(),
            })
            .collect(),
    });
    let stale = view.dead.stale.iter().map(|(below, frame)| StaleJson { below: *below, call: json::frame_json(frame) });
    StackJson {
        size: view.size,
        used: view.used,
        named: view.named,
        frames: frames.collect(),
        dead: DeadJson {
            bytes: view.dead.bytes,
            nonzero: view.dead.nonzero,
            texts: view.dead.texts,
            heap_pointers: view.dead.heap_pointers,
            stale: stale.collect(),
        },
    }
}

fn captured_json(captured: &Captured) -> CapturedJson<'_> {
    CapturedJson {
        name: captured.name.as_deref(),
        type_name: captured.type_name.as_deref(),
        lives: lives_json(captured.lives),
        words: captured.words.iter().map(word_json).collect(),
    }
}

fn slot_json(slot: &Slot) -> SlotJson<'_> {
    SlotJson {
        name: slot.name.as_deref(),
        type_name: slot.type_name.as_deref(),
        role: match slot.role {
            VariableRole::Argument => "argument",
            VariableRole::Result => "result",
            VariableRole::Local => "local",
            VariableRole::Captured => "captured",
        },
        inlined: slot.inlined,
        lives: lives_json(slot.lives),
        words: slot.words.iter().map(word_json).collect(),
    }
}

fn lives_json(lives: Lives) -> LivesJson {
    let (lives, frame, offset) = match lives {
        Lives::Frame(offset) => ("frame", None, Some(offset)),
        Lives::OtherFrame(frame, offset) => ("frame", Some(frame), Some(offset)),
        Lives::Heap => ("heap", None, None),
        Lives::Closure => ("closure", None, None),
        Lives::Program => ("program", None, None),
        Lives::Register => ("register", None, None),
        Lives::Gone => ("gone", None, None),
    };
    LivesJson { lives, frame, offset }
}

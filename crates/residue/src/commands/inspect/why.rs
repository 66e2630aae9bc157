//! `inspect why`: the shortest ways from roots to objects.

use std::io::{self, Write};

use residue_report::{plural, shown_name as visible};
use residue_runtime::heap::{Heap, Holding, RetentionPath, Step, Why};
use serde::Serialize;

use super::heap::bytes;
use crate::error::Error;
use crate::figures::grouped;

/// Types that are proposed to who asked for one that there isn't.
const PROPOSED_MAX: usize = 5;

#[derive(Serialize)]
pub(super) struct WhyJson<'a> {
    objects: u64,
    bytes: u64,
    unreachable: u64,
    holdings: Vec<HoldingJson<'a>>,
    more: usize,
}

#[derive(Serialize)]
struct HoldingJson<'a> {
    objects: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goroutines: Option<usize>,
    root: &'a str,
    root_kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_type: Option<&'a str>,
    root_precise: bool,
    left_out: usize,
    steps: Vec<StepJson<'a>>,
}

#[derive(Serialize)]
struct StepJson<'a> {
    address: String,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    field: &'a str,
    precise: bool,
    internal: bool,
}

/// Asks the heap.
pub(super) fn ask(heap: &mut Heap<'_>, what: Option<&str>) -> Result<Why, Error> {
    let Some(what) = what else {
        return Err(
            Error::usage("why what?").hint("an address (0xc000012340), a type (main.Session) or a descriptor (fd:17)")
        );
    };
    let objects = match what.strip_prefix("fd:").map(str::parse) {
        Some(Ok(number)) => heap.objects_of_descriptor(number),
        Some(Err(_)) => return Err(Error::usage("a descriptor is a number").hint("fd:17")),
        None => heap.objects_of(what),
    };
    if objects.is_empty() {
        return Err(nothing(heap, what));
    }
    Ok(heap.why(&objects))
}

/// There is nothing that was asked about.
pub(super) fn nothing(heap: &Heap<'_>, what: &str) -> Error {
    if what.starts_with("fd:") {
        return Error::failed(format!("no object is known to hold {what}"))
            .hint("descriptors that C code, the runtime or plain numbers hold belong to no object");
    }
    if what.starts_with("0x") {
        return Error::failed(format!("there is no object at {what}"))
            .hint("it may have died since its address was printed, or lie on a stack or among variables");
    }
    let error = Error::failed(format!("no object of type {what} is known"));
    let alike = heap.types_like(what);
    if alike.is_empty() {
        return error.hint("`residue inspect TARGET heap` lists the types that are known");
    }
    error.hint(format!("there are {}", alike[..alike.len().min(PROPOSED_MAX)].join(", ")))
}

pub(super) fn json(why: &Why) -> WhyJson<'_> {
    let holdings = why.holdings.iter().map(|holding| HoldingJson {
        objects: holding.objects,
        bytes: holding.bytes,
        container: holding.container,
        goroutines: (holding.goroutines > 0).then_some(holding.goroutines),
        root: &holding.path.root,
        root_kind: holding.path.root_kind,
        root_type: holding.path.root_type.as_deref(),
        root_precise: holding.path.root_precise,
        left_out: holding.path.left_out,
        steps: holding.path.steps.iter().map(step_json).collect(),
    });
    WhyJson {
        objects: why.objects,
        bytes: why.bytes,
        unreachable: why.unreachable,
        holdings: holdings.collect(),
        more: why.more,
    }
}

fn step_json(step: &Step) -> StepJson<'_> {
    StepJson {
        address: format!("{:#x}", step.address),
        bytes: step.bytes,
        kind: step.kind.as_deref(),
        field: &step.field,
        precise: step.precise,
        internal: step.internal,
    }
}

pub(super) fn text(why: &Why, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  {}, {}", plural(why.objects as usize, "object"), bytes(why.bytes))?;
    if why.unreachable > 0 {
        let count = grouped(why.unreachable as usize);
        writeln!(out, "  {count} of them: nothing leads there any more; the next collection finds them")?;
    }
    for holding in &why.holdings {
        writeln!(out)?;
        holding_text(holding, why, out)?;
    }
    if why.more > 0 {
        writeln!(out, "\n… and {} kept in other ways", why.more)?;
    }
    Ok(())
}

fn holding_text(holding: &Holding, why: &Why, out: &mut dyn Write) -> io::Result<()> {
    if why.objects > 1 {
        let from = if holding.goroutines > 1 {
            format!(", from {} goroutines like", grouped(holding.goroutines))
        } else {
            String::new()
        };
        writeln!(out, "{}, {}{from}", plural(holding.objects as usize, "object"), bytes(holding.bytes))?;
    }
    path(&holding.path, holding.container, out)
}

/// A way, a line a step; parts of maps that the program doesn't see are told with what they hold.
pub(super) fn path(path: &RetentionPath, container: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let kind = path.root_type.as_deref().map(|kind| format!("  ({})", visible(kind))).unwrap_or_default();
    let guess = if path.root_precise { "" } else { "  (conservative)" };
    writeln!(out, "  {}{kind}{guess}", visible(&path.root))?;
    // What contains all is told where the program sees it.
    let shown = |at: usize| path.steps[..=at].iter().rposition(|step| !step.internal);
    let container = container.and_then(shown);
    let cut = (path.left_out > 0).then_some(path.steps.len() / 2);
    let mut field = String::new();
    for (index, step) in path.steps.iter().enumerate() {
        if cut == Some(index) {
            writeln!(out, "    … {} more", grouped(path.left_out))?;
        }
        field += &step.field;
        if step.internal && index + 1 < path.steps.len() {
            continue;
        }
        let kind = step.kind.as_deref().map_or_else(|| format!("{} of unknown type", bytes(step.bytes)), visible);
        let guess = if step.precise { "" } else { "  (conservative)" };
        let all = if container == Some(index) { "  ← contains them all" } else { "" };
        let field = std::mem::take(&mut field);
        let space = if field.is_empty() { "" } else { " " };
        writeln!(out, "    {}{space}→ {kind}  {:#x}{guess}{all}", visible(&field), step.address)?;
    }
    Ok(())
}

/// A way in one line: `[…] → main.Session .F → os.File .file → os.file`.
pub(super) fn one_line(path: &RetentionPath) -> String {
    let mut text = String::new();
    let mut field = String::new();
    for (index, step) in path.steps.iter().enumerate() {
        field += &step.field;
        if step.internal && index + 1 < path.steps.len() {
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text += &std::mem::take(&mut field);
        let kind = step.kind.clone().unwrap_or_else(|| format!("{} of unknown type", bytes(step.bytes)));
        text += &format!("{}→ {kind}", if text.is_empty() || text.ends_with(' ') { "" } else { " " });
    }
    text
}

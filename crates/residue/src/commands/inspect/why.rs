//! `inspect why`: the shortest ways from roots to objects.

use std::io::{self, Write};

use residue_report::{plural, shown_name as visible};
use residue_runtime::Report;
use residue_runtime::heap::{Heap, Holding, RetentionPath, Step, Why};
use serde::Serialize;

use super::unheld::{self, UnheldJson};
use crate::error::Error;
use crate::figures::{bytes, grouped};

/// Types that are proposed to who asked for one that there isn't.
const PROPOSED_MAX: usize = 5;

#[derive(Serialize)]
pub(super) struct WhyJson<'a> {
    objects: u64,
    bytes: u64,
    unreachable: u64,
    holdings: Vec<HoldingJson<'a>>,
    more: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    unheld: Option<UnheldJson<'a>>,
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

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked<'w> {
    /// The object at an address.
    Address(u64),
    /// The objects that hold a descriptor.
    Descriptor(u32),
    /// The objects of a type.
    Type(&'w str),
}

impl<'w> Asked<'w> {
    pub(super) fn of(what: Option<&'w str>) -> Result<Self, Error> {
        let Some(what) = what else {
            return Err(Error::usage("why what?")
                .hint("an address (0xc000012340), a type (main.Session) or a descriptor (fd:17)"));
        };
        if let Some(number) = what.strip_prefix("fd:") {
            let wrong = |_| Error::usage("a descriptor is a number").hint("fd:17");
            return number.parse().map(Self::Descriptor).map_err(wrong);
        }
        let address = what.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        Ok(address.map_or(Self::Type(what), Self::Address))
    }

    /// The objects.
    pub(super) fn objects(self, heap: &mut Heap<'_>) -> Vec<u32> {
        match self {
            Self::Address(address) => heap.objects_at(std::iter::once(address)),
            Self::Descriptor(number) => heap.objects_of_descriptor(number),
            Self::Type(name) => heap.objects_of(name),
        }
    }
}

/// Asks the heap.
pub(super) fn ask(heap: &mut Heap<'_>, report: &Report, what: Option<&str>) -> Result<Why, Error> {
    let objects = Asked::of(what)?.objects(heap);
    if objects.is_empty() {
        return Err(nothing(heap, what.unwrap_or_default()));
    }
    Ok(told(heap, report, &objects))
}

/// What keeps objects, and what the only one waits for if nothing does.
pub(super) fn told(heap: &mut Heap<'_>, report: &Report, objects: &[u32]) -> Why {
    let mut why = heap.why(objects);
    if let [object] = objects {
        why.unheld = heap.unheld(*object, report).map(Box::new);
    }
    why
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
        unheld: why.unheld.as_deref().map(unheld::json),
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
    if let Some(unheld) = &why.unheld {
        unheld::text(unheld, out)?;
    } else if why.unreachable > 0 {
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
    if let Some(unheld) = &why.unheld {
        unheld::hints(unheld, out)?;
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
    let mut is_behind_cut = false;
    for step in visible_steps(path) {
        if cut.is_some_and(|cut| step.index >= cut && !is_behind_cut) {
            is_behind_cut = true;
            writeln!(out, "    … {} more", grouped(path.left_out))?;
        }
        let guess = if step.precise { "" } else { "  (conservative)" };
        let all = if container == Some(step.index) { "  ← contains them all" } else { "" };
        let space = if step.field.is_empty() { "" } else { " " };
        let address = step.object.address;
        writeln!(out, "    {}{space}→ {}  {address:#x}{guess}{all}", visible(&step.field), step.name())?;
    }
    Ok(())
}

/// A step that the program sees, with the parts of maps and channels before it that it doesn't.
pub(super) struct VisibleStep<'p> {
    /// Its place among all steps.
    pub(super) index: usize,
    /// Which part of the visible object before leads to it.
    pub(super) field: String,
    /// The runtime says of all words on the way here that they are pointers.
    pub(super) precise: bool,
    pub(super) object: &'p Step,
}

impl VisibleStep<'_> {
    /// What it is, as a terminal may show it.
    pub(super) fn name(&self) -> String {
        let unknown = || format!("{} of unknown type", bytes(self.object.bytes));
        self.object.kind.as_deref().map_or_else(unknown, visible)
    }
}

/// The steps of a way that are told.
pub(super) fn visible_steps(path: &RetentionPath) -> Vec<VisibleStep<'_>> {
    let (mut field, mut precise) = (String::new(), true);
    let mut told = Vec::new();
    for (index, object) in path.steps.iter().enumerate() {
        field += &object.field;
        precise &= object.precise;
        if !object.internal || index + 1 == path.steps.len() {
            let field = std::mem::take(&mut field);
            told.push(VisibleStep { index, field, precise: std::mem::replace(&mut precise, true), object });
        }
    }
    told
}

/// A way in one line: `→ main.Session .F → os.File .file → os.file`.
pub(super) fn one_line(path: &RetentionPath) -> String {
    let told = visible_steps(path).into_iter().map(|step| {
        let kind = step.object.kind.clone();
        let kind = kind.unwrap_or_else(|| format!("{} of unknown type", bytes(step.object.bytes)));
        if step.field.is_empty() { format!("→ {kind}") } else { format!("{} → {kind}", step.field) }
    });
    told.collect::<Vec<_>>().join(" ")
}

//! `inspect object`: one object, what it leads to and what leads to it.

use std::io::{self, Write};

use residue_report::shown_name as visible;
use residue_runtime::heap::{Heap, Neighbour, Object, Sure};
use serde::Serialize;

use crate::error::Error;
use crate::figures::bytes;

#[derive(Serialize)]
pub(super) struct ObjectJson<'a> {
    address: String,
    within: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a str>,
    reachable: bool,
    leads_to: Vec<NeighbourJson<'a>>,
    held_by: Vec<NeighbourJson<'a>>,
}

#[derive(Serialize)]
struct NeighbourJson<'a> {
    field: &'a str,
    address: String,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "type")]
    kind: Option<&'a str>,
}

/// Asks the heap.
pub(super) fn ask(heap: &mut Heap<'_>, what: Option<&str>) -> Result<Object, Error> {
    let usage = || Error::usage("which object?").hint("an address as other views print them: 0xc000012340");
    let what = what.ok_or_else(usage)?;
    let address = what.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(usage)?;
    heap.object(address).ok_or_else(|| super::why::nothing(heap, what))
}

fn known_by(sure: Sure) -> &'static str {
    match sure {
        Sure::Edge => "pointer",
        Sure::Interface => "interface",
        Sure::Header => "runtime",
    }
}

pub(super) fn json(object: &Object) -> ObjectJson<'_> {
    fn all(neighbours: &[Neighbour]) -> Vec<NeighbourJson<'_>> {
        neighbours.iter().map(neighbour).collect()
    }
    ObjectJson {
        address: format!("{:#x}", object.address),
        within: object.within,
        bytes: object.bytes,
        kind: object.kind.as_deref(),
        known_by: object.sure.map(known_by),
        function: object.function.as_deref(),
        reachable: object.reachable,
        leads_to: all(&object.leads_to),
        held_by: all(&object.held_by),
    }
}

fn neighbour((field, address, bytes, kind): &Neighbour) -> NeighbourJson<'_> {
    NeighbourJson { field, address: format!("{address:#x}"), bytes: *bytes, kind: kind.as_deref() }
}

pub(super) fn text(object: &Object, out: &mut dyn Write) -> io::Result<()> {
    let kind = object.kind.as_deref().map_or_else(|| "unknown type".to_owned(), visible);
    let within = if object.within > 0 { format!("  (asked for +{:#x})", object.within) } else { String::new() };
    writeln!(out, "  {:#x}  {kind}  {}{within}", object.address, bytes(object.bytes))?;
    if !object.reachable {
        writeln!(out, "  nothing leads to it any more")?;
    }
    for (title, neighbours, arrow) in [("leads to", &object.leads_to, "→"), ("held by", &object.held_by, "←")] {
        if !neighbours.is_empty() {
            writeln!(out, "  {title}")?;
        }
        for (field, address, size, kind) in neighbours {
            let kind = kind.as_deref().map_or_else(|| format!("{} of unknown type", bytes(*size)), visible);
            let field = if field.is_empty() { String::new() } else { format!("{} ", visible(field)) };
            let line = if arrow == "→" { format!("{field}→ {kind}") } else { format!("{field}of {kind}") };
            writeln!(out, "    {line}  {address:#x}")?;
        }
    }
    Ok(())
}

//! eBPF objects of a process: where each is pinned, the descriptors that lead to it, and the Go objects that hold those.

use std::collections::BTreeMap;
use std::io::{self, Write};

use residue_ebpf::inventory;
use residue_fd::objects::{Holder as Keeper, Kind, ObjectId};
use residue_report::{plural, shown_name as visible};
use residue_target::Descriptor;
use serde::Serialize;

use super::fds::{self, FdJson, Row};
use crate::figures::grouped;

/// eBPF objects that are listed for each descriptor of a group that is.
const OBJECTS_FACTOR: usize = 4;

/// Files in bpf file systems.
#[derive(Default)]
pub(super) struct Pins {
    /// By object: paths, and a process that sees the file there where this one doesn't.
    by: BTreeMap<ObjectId, Vec<(String, Option<u32>)>>,
    /// What may not be read, and why.
    hidden: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct EbpfJson<'a> {
    objects: Vec<ObjectJson<'a>>,
    pins_hidden: &'a [String],
}

#[derive(Serialize)]
struct ObjectJson<'a> {
    kind: &'static str,
    id: u32,
    pins: Vec<PinJson>,
    descriptors: Vec<FdJson<'a>>,
}

#[derive(Serialize)]
struct PinJson {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_pid: Option<u32>,
}

/// What is pinned, if there are eBPF objects among descriptors.
pub(super) fn find(rows: &[Row]) -> Option<Pins> {
    let objects = objects(rows);
    if objects.is_empty() {
        return None;
    }
    let mut pins = Pins::default();
    match inventory::pins() {
        Err(error) => pins.hidden.push(error.to_string()),
        Ok(found) => {
            pins.hidden = found.hidden;
            for hold in found.holds.into_iter().filter(|hold| objects.contains_key(&hold.object)) {
                if let Keeper::Pin { path, namespace_pid, .. } = hold.by {
                    pins.by.entry(hold.object).or_default().push((path, namespace_pid));
                }
            }
        }
    }
    Some(pins)
}

/// The descriptors of each eBPF object.
fn objects(rows: &[Row]) -> BTreeMap<ObjectId, Vec<&Row>> {
    let mut objects: BTreeMap<ObjectId, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        if let Some(object) = row.descriptor.as_ref().and_then(object) {
            objects.entry(object).or_default().push(row);
        }
    }
    objects
}

fn object(descriptor: &Descriptor) -> Option<ObjectId> {
    let (name, id) = descriptor.id?;
    let kind = match name {
        "map_id" => Kind::Map,
        "prog_id" => Kind::Program,
        "link_id" => Kind::Link,
        _ => return None,
    };
    Some(ObjectId { kind, id: u32::try_from(id).ok()? })
}

impl Pins {
    fn of(&self, object: ObjectId) -> &[(String, Option<u32>)] {
        self.by.get(&object).map_or(&[], Vec::as_slice)
    }
}

pub(super) fn json<'a>(pins: &'a Pins, rows: &'a [Row]) -> EbpfJson<'a> {
    let objects = objects(rows).into_iter().map(|(object, rows)| ObjectJson {
        kind: object.kind.name(),
        id: object.id,
        pins: pins.of(object).iter().map(|(path, pid)| PinJson { path: visible(path), namespace_pid: *pid }).collect(),
        descriptors: rows.into_iter().map(fds::row_json).collect(),
    });
    EbpfJson { objects: objects.collect(), pins_hidden: &pins.hidden }
}

/// A table of them: those that are pinned first.
pub(super) fn text(pins: &Pins, rows: &[Row], listed: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut all: Vec<(ObjectId, Vec<&Row>)> = objects(rows).into_iter().collect();
    all.sort_by_key(|(object, _)| (pins.of(*object).is_empty(), *object));
    let pinned = all.iter().filter(|(object, _)| !pins.of(*object).is_empty()).count();
    let unknown = pinned == 0 && !pins.hidden.is_empty();
    let said = if unknown { String::new() } else { format!(", {} of them pinned", grouped(pinned)) };
    writeln!(out, "\n{}{said}", plural(all.len(), "eBPF object"))?;
    let shown = listed.saturating_mul(OBJECTS_FACTOR);
    for (object, rows) in all.iter().take(shown) {
        writeln!(out, "  {} {}", object.kind.name(), object.id)?;
        some(pins.of(*object), listed, "pins", out, &|(path, pid)| {
            let seen = pid.map(|pid| format!("  (in the mount namespace of process {pid})")).unwrap_or_default();
            format!("pin  {}{seen}", visible(path))
        })?;
        some(rows, listed, "descriptors", out, &|row| {
            let flags = row.descriptor.as_ref().map(|descriptor| descriptor.flag_names().join("|")).unwrap_or_default();
            let holder = row.holders.first().map_or_else(
                || "no Go object known".to_owned(),
                |holder| format!("{:#x}  {}", holder.address, fds::chain(holder)),
            );
            format!("fd {}  {flags}\n      {holder}", row.number)
        })?;
    }
    if all.len() > shown {
        writeln!(out, "  … {} more", grouped(all.len() - shown))?;
    }
    let known = if pins.by.is_empty() { "pins are not known" } else { "more pins may be there" };
    for why in &pins.hidden {
        writeln!(out, "note: {known}: {}", visible(why))?;
    }
    Ok(())
}

/// Lines for so many of a list.
fn some<T>(all: &[T], listed: usize, what: &str, out: &mut dyn Write, line: &dyn Fn(&T) -> String) -> io::Result<()> {
    for one in all.iter().take(listed) {
        writeln!(out, "    {}", line(one))?;
    }
    if all.len() > listed {
        writeln!(out, "    … {} more {what}", grouped(all.len() - listed))?;
    }
    Ok(())
}

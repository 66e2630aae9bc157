//! `inspect fds`: open descriptors, what they lead to, and the objects that hold them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use residue_report::shown_name as visible;
use residue_runtime::heap::{Heap, Holder};
use residue_target::{Descriptor, Target};
use serde::Serialize;

use super::pins::{self, Pins};
use crate::error::Error;
use crate::figures::grouped;

/// Descriptors of one kind and holder that are listed one by one.
pub(super) const LISTED_MAX: usize = 4;

/// Kinds counted in a line of the summary.
const KINDS_MAX: usize = 5;

/// Descriptors with what holds them.
pub(super) struct Table {
    rows: Vec<Row>,
    /// The kernel's table was read; of a core there is none.
    pub(super) live: bool,
    /// What is pinned, where that was asked for and there are eBPF objects among the descriptors.
    pub(super) pins: Option<Pins>,
}

pub(super) struct Row {
    pub(super) number: u32,
    pub(super) descriptor: Option<Descriptor>,
    pub(super) holders: Vec<Holder>,
}

#[derive(Serialize)]
pub(super) struct FdJson<'a> {
    fd: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flags: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flag_names: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<IdJson>,
    holders: Vec<HolderJson<'a>>,
}

#[derive(Serialize)]
struct IdJson {
    kind: &'static str,
    id: u64,
}

#[derive(Serialize)]
struct HolderJson<'a> {
    address: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    sure: bool,
    above: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<&'a str>,
}

/// Joins the kernel's table with the heap.
pub(super) fn ask(target: &Target, heap: &mut Heap<'_>) -> Result<Table, Error> {
    let open = target.descriptors().map_err(|error| super::refused(&error))?;
    let live = open.is_some();
    let mut rows: BTreeMap<u32, Row> = BTreeMap::new();
    for descriptor in open.into_iter().flatten() {
        let number = descriptor.number;
        rows.insert(number, Row { number, descriptor: Some(descriptor), holders: Vec::new() });
    }
    for holder in heap.holders() {
        let number = holder.number;
        match rows.get_mut(&number) {
            Some(row) => row.holders.push(holder),
            // The number of a descriptor that is closed, or opened after the table was read; of a core all are so.
            None if !live && holder.sure => {
                rows.insert(number, Row { number, descriptor: None, holders: vec![holder] });
            }
            None => {}
        }
    }
    let mut rows: Vec<Row> = rows.into_values().collect();
    for row in &mut rows {
        // What is known beats what is guessed.
        if row.holders.iter().any(|holder| holder.sure) {
            row.holders.retain(|holder| holder.sure);
        }
    }
    Ok(Table { rows, live, pins: None })
}

impl Table {
    /// Finds out what of the eBPF objects is pinned.
    pub(super) fn with_pins(mut self) -> Self {
        self.pins = pins::find(&self.rows);
        self
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Descriptors by kind, the most numerous first.
    pub(super) fn kinds(&self) -> Vec<(String, usize)> {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for descriptor in self.rows.iter().filter_map(|row| row.descriptor.as_ref()) {
            *kinds.entry(descriptor.kind()).or_default() += 1;
        }
        let mut kinds: Vec<(String, usize)> = kinds.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect();
        kinds.sort_by_key(|(kind, count)| (std::cmp::Reverse(*count), kind.clone()));
        kinds
    }

    /// Groups of descriptors of one kind that are held in the same way: kind, types and root, then the numbers.
    pub(super) fn groups(&self) -> Vec<(String, String, Vec<u32>)> {
        let mut groups: BTreeMap<(String, String), Vec<u32>> = BTreeMap::new();
        for row in &self.rows {
            let kind = row.descriptor.as_ref().map_or("descriptor", Descriptor::kind).to_owned();
            let holder = row.holders.first().map_or_else(|| "no Go object known".to_owned(), chain);
            groups.entry((kind, holder)).or_default().push(row.number);
        }
        let mut groups: Vec<_> = groups.into_iter().map(|((kind, holder), numbers)| (kind, holder, numbers)).collect();
        groups.sort_by_key(|(kind, holder, numbers)| (std::cmp::Reverse(numbers.len()), kind.clone(), holder.clone()));
        groups
    }

    /// Open descriptors with what kind each is.
    pub(super) fn open(&self) -> impl Iterator<Item = (u32, &str)> {
        self.rows.iter().filter_map(|row| Some((row.number, row.descriptor.as_ref()?.kind())))
    }

    /// Descriptors with the addresses of objects that are known to hold them.
    pub(super) fn held(&self) -> impl Iterator<Item = (u32, u64)> {
        let sure =
            |row: &'_ Row| row.holders.iter().find(|holder| holder.sure).map(|holder| (row.number, holder.address));
        self.rows.iter().filter_map(sure)
    }
}

/// `os.file ← os.File ← main.Session ← package variable main.registry`.
pub(super) fn chain(holder: &Holder) -> String {
    let kind = holder.kind.as_deref().unwrap_or("object of unknown type");
    let mut text = visible(kind);
    for above in &holder.above {
        text += &format!(" ← {}", visible(above));
    }
    match &holder.root_class {
        Some(root) => text += &format!(" ← {}", visible(root)),
        None => text += ", which nothing leads to",
    }
    if !holder.sure {
        text += " (guessed)";
    }
    text
}

pub(super) fn json(table: &Table) -> Vec<FdJson<'_>> {
    table.rows.iter().map(row_json).collect()
}

pub(super) fn row_json(row: &Row) -> FdJson<'_> {
    let descriptor = row.descriptor.as_ref();
    FdJson {
        fd: row.number,
        link: descriptor.map(|descriptor| &*descriptor.link),
        flags: descriptor.and_then(|descriptor| descriptor.flags),
        flag_names: descriptor.map(Descriptor::flag_names).unwrap_or_default(),
        id: descriptor.and_then(|descriptor| descriptor.id).map(|(kind, id)| IdJson { kind, id }),
        holders: row.holders.iter().map(holder_json).collect(),
    }
}

fn holder_json(holder: &Holder) -> HolderJson<'_> {
    HolderJson {
        address: format!("{:#x}", holder.address),
        kind: holder.kind.as_deref(),
        sure: holder.sure,
        above: &holder.above,
        root: holder.root.as_deref(),
    }
}

/// A line of the summary page.
pub(super) fn summary(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    if !table.live {
        return Ok(());
    }
    let kinds = table.kinds();
    let listed: Vec<String> =
        kinds.iter().take(KINDS_MAX).map(|(kind, count)| format!("{} {}", grouped(*count), visible(kind))).collect();
    let more = if kinds.len() > KINDS_MAX { " · …" } else { "" };
    writeln!(out, "  descriptors  {:<8} {}{more}", grouped(table.rows.len()), listed.join(" · "))
}

/// Groups of descriptors, so many of each one by one.
pub(super) fn text(table: &Table, listed: usize, out: &mut dyn Write) -> io::Result<()> {
    if !table.live {
        writeln!(out, "  a core has no table of descriptors: these are the numbers that objects hold")?;
    }
    for (kind, holder, numbers) in table.groups() {
        writeln!(out, "\n{} {kind}  {holder}", grouped(numbers.len()))?;
        for number in numbers.iter().take(listed) {
            let Ok(at) = table.rows.binary_search_by_key(number, |row| row.number) else { continue };
            writeln!(out, "    {}", line(&table.rows[at]))?;
        }
        if numbers.len() > listed {
            writeln!(out, "    … {} more", grouped(numbers.len() - listed))?;
        }
    }
    table.pins.as_ref().map_or(Ok(()), |pins| pins::text(pins, &table.rows, listed, out))
}

fn line(row: &Row) -> String {
    let mut text = format!("{:>6}", row.number);
    if let Some(descriptor) = &row.descriptor {
        text += &format!("  {}", visible(&descriptor.link));
        if let Some((kind, id)) = descriptor.id {
            text += &format!("  {} {id}", kind.replace('_', " "));
        }
    }
    for holder in &row.holders {
        text += &format!("  {:#x}", holder.address);
    }
    text
}

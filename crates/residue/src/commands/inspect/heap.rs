//! `inspect heap`: objects by type and size, garbage collections.

use std::io::{self, Write};

use residue_report::pprof::{Line, Profile};
use residue_report::{plural, shown_name as visible};
use residue_runtime::heap::{Heap, MemoryProfile, Retained, Summary};
use serde::Serialize;

use crate::error::Error;
use crate::figures::{bytes, grouped, time};

/// Types that are listed for people; JSON has all.
const LISTED_MAX: usize = 30;

#[derive(Serialize)]
pub(super) struct HeapJson {
    objects: u64,
    object_bytes: u64,
    span_bytes: u64,
    stack_bytes: u64,
    reachable_objects: u64,
    reachable_bytes: u64,
    edges: usize,
    unswept_spans: usize,
    cycles: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    collections: Option<CollectionsJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<Vec<TypeJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sizes: Option<Vec<SizeJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retained: Option<RetainedJson>,
    notes: std::collections::BTreeMap<&'static str, usize>,
}

#[derive(Serialize)]
struct CollectionsJson {
    cycles: u32,
    forced: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_last_ms: Option<u128>,
    last_unix_ns: u64,
    paused_us: u128,
    enabled: bool,
}

#[derive(Serialize)]
struct TypeJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    objects: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retained_bytes: Option<u64>,
}

#[derive(Serialize)]
struct RetainedJson {
    roots: Vec<RetainerJson>,
    packages: Vec<RetainerJson>,
    objects: Vec<RetainerJson>,
}

#[derive(Serialize)]
struct RetainerJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    bytes: u64,
}

#[derive(Serialize)]
struct SizeJson {
    /// 0 for objects with a span of their own.
    bytes: u64,
    pointers: bool,
    spans: u64,
    objects: u64,
    free: u64,
    span_bytes: u64,
}

pub(super) fn json(heap: &Heap<'_>, detailed: bool, retained: Option<&Retained>) -> HeapJson {
    let summary = heap.summary();
    let (reachable_objects, reachable_bytes) = heap.reachable();
    let types = || {
        heap.kinds(retained).into_iter().map(|kind| TypeJson {
            name: kind.name,
            objects: kind.objects,
            bytes: kind.bytes,
            retained_bytes: kind.retained,
        })
    };
    let sizes = summary.classes.iter().map(|class| SizeJson {
        bytes: class.size,
        pointers: class.pointers,
        spans: class.spans,
        objects: class.objects,
        free: class.free,
        span_bytes: class.bytes,
    });
    HeapJson {
        objects: summary.objects,
        object_bytes: summary.object_bytes,
        span_bytes: summary.span_bytes,
        stack_bytes: summary.stack_bytes,
        reachable_objects,
        reachable_bytes,
        edges: heap.edges(),
        unswept_spans: summary.unswept_spans,
        cycles: summary.cycles,
        collections: summary.collections.as_ref().map(|collections| CollectionsJson {
            cycles: collections.cycles,
            forced: collections.forced,
            since_last_ms: collections.since_last.map(|since| since.as_millis()),
            last_unix_ns: collections.last_unix_ns,
            paused_us: collections.paused.as_micros(),
            enabled: collections.enabled,
        }),
        types: detailed.then(|| types().collect()),
        sizes: detailed.then(|| sizes.collect()),
        retained: retained.map(retained_json),
        notes: heap.notes.clone(),
    }
}

fn retained_json(retained: &Retained) -> RetainedJson {
    let named = |(name, bytes): &(String, u64)| RetainerJson { name: Some(name.clone()), address: None, bytes: *bytes };
    RetainedJson {
        roots: retained.roots.iter().map(named).collect(),
        packages: retained.packages.iter().map(named).collect(),
        objects: retained
            .objects
            .iter()
            .map(|(address, name, bytes)| RetainerJson {
                name: name.clone(),
                address: Some(format!("{address:#x}")),
                bytes: *bytes,
            })
            .collect(),
    }
}

/// A line of the summary page.
pub(super) fn summary(heap: &Heap<'_>, out: &mut dyn Write) -> io::Result<()> {
    let summary = heap.summary();
    let used = bytes(summary.object_bytes);
    writeln!(out, "  heap         {used:<8} {} objects · {}", grouped(summary.objects as usize), collections(&summary))
}

fn collections(summary: &Summary) -> String {
    match &summary.collections {
        None if summary.cycles == 0 => "never collected".to_owned(),
        None => plural(summary.cycles as usize, "collection"),
        Some(collections) => {
            let since = collections.since_last.map(|since| format!(", the last one {} ago", time(since)));
            let off = if collections.enabled { "" } else { ", switched off" };
            format!("{}{}{off}", plural(collections.cycles as usize, "collection"), since.unwrap_or_default())
        }
    }
}

/// How much there is, and what collections found.
pub(super) fn overview(heap: &Heap<'_>, out: &mut dyn Write) -> io::Result<()> {
    let summary = heap.summary();
    let (objects, reached) = heap.reachable();
    writeln!(out, "  objects      {:<10} {}", grouped(summary.objects as usize), bytes(summary.object_bytes))?;
    writeln!(out, "  reachable    {:<10} {}", grouped(objects as usize), bytes(reached))?;
    writeln!(out, "  spans        {:<10} stacks {}", bytes(summary.span_bytes), bytes(summary.stack_bytes))?;
    writeln!(out, "  collected    {}", collections(&summary))?;
    if let Some(collections) = &summary.collections {
        let paused = collections.paused.as_secs_f64() * 1000.0;
        writeln!(out, "               {} forced, paused for {paused:.1} ms together", collections.forced)?;
    }
    if summary.unswept_spans > 0 {
        writeln!(out, "               {} not swept yet: some objects are dead", plural(summary.unswept_spans, "span"))?;
    }
    Ok(())
}

pub(super) fn text(heap: &Heap<'_>, retained: Option<&Retained>, out: &mut dyn Write) -> io::Result<()> {
    overview(heap, out)?;
    let kinds = heap.kinds(retained);
    let column = |text: &str| if retained.is_some() { format!("{text:>12} ") } else { String::new() };
    writeln!(out, "\n{}{:>12} {:>12}  type", column("retained"), "bytes", "objects")?;
    for kind in kinds.iter().take(LISTED_MAX) {
        let name = kind.name.as_deref().map_or_else(|| "(unknown)".to_owned(), visible);
        let kept = column(&bytes(kind.retained.unwrap_or(0)));
        writeln!(out, "{kept}{:>12} {:>12}  {name}", bytes(kind.bytes), grouped(kind.objects as usize))?;
    }
    if kinds.len() > LISTED_MAX {
        let rest = &kinds[LISTED_MAX..];
        let (sum, count) = rest.iter().fold((0, 0), |(bytes, count), kind| (bytes + kind.bytes, count + kind.objects));
        writeln!(out, "{}{:>12} {:>12}  … {} more types", column(""), bytes(sum), grouped(count as usize), rest.len())?;
    }
    if let Some(retained) = retained {
        for (title, list) in [("root", &retained.roots), ("package (of variables)", &retained.packages)] {
            writeln!(out, "\n{:>12}  {title}", "retained")?;
            for (name, kept) in list {
                writeln!(out, "{:>12}  {}", bytes(*kept), visible(name))?;
            }
        }
        writeln!(out, "\n{:>12}  object", "retained")?;
        for (address, kind, kept) in &retained.objects {
            let kind = kind.as_deref().map_or_else(|| "unknown type".to_owned(), visible);
            writeln!(out, "{:>12}  {kind}  {address:#x}", bytes(*kept))?;
        }
    }
    writeln!(out, "\n{:>12} {:>12} {:>12} {:>12}  size of objects", "spans", "bytes", "objects", "free")?;
    for class in &heap.summary().classes {
        let size = if class.size == 0 {
            "larger, one a span".to_owned()
        } else {
            format!("{} bytes", grouped(class.size as usize))
        };
        let pointers = if class.pointers { "" } else { ", no pointers" };
        writeln!(
            out,
            "{:>12} {:>12} {:>12} {:>12}  {size}{pointers}",
            grouped(class.spans as usize),
            bytes(class.bytes),
            grouped(class.objects as usize),
            grouped(class.free as usize),
        )?;
    }
    Ok(())
}

/// The memory profile that the runtime keeps.
pub(super) fn profile(heap: &Heap<'_>) -> Result<MemoryProfile, Error> {
    let profile = heap.profile();
    if profile.samples.is_empty() {
        return Err(Error::failed("the program keeps no memory profile").hint(
            "the linker switches sampling off in programs that contain nothing that reads it (runtime/pprof, expvar)",
        ));
    }
    Ok(profile)
}

pub(super) fn pprof(samples: &MemoryProfile, comment: &str, out: &mut dyn Write) -> io::Result<()> {
    let kinds =
        [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")];
    let mut profile = Profile::new(&kinds);
    for sample in &samples.samples {
        let stack = sample
            .stack
            .iter()
            .map(|(pc, call)| (*pc, vec![Line { function: &call.function, file: &call.file, line: call.line }]));
        profile.add(stack, &[sample.allocated.0, sample.allocated.1, sample.in_use.0, sample.in_use.1], &[]);
    }
    profile.write(super::pprof::now(), comment, out)
}

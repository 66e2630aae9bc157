//! What was found, for people.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use residue_fd::objects::{
    Attachment, Change, Changed, Equation, Holder, Keeper, Kind, Method, ObjectId, Point, Root, Summary, Term,
    attach_type_name, link_type_name, map_flag_names, map_type_name, program_type_name,
};
use residue_finding::Severity;
use residue_report::{plural, shown_name as visible};

use super::{Shown, View, memory, saved::Picture};
use crate::figures::{bytes, grouped, time};

/// Processes in the summary, holders in a detail view, and objects below an orphan.
const PROCESSES_MAX: usize = 10;
const HOLDERS_MAX: usize = 200;
const BELOW_MAX: usize = 12;
/// Names wider than this don't move the columns behind them.
const WIDTH_MAX: usize = 20;

pub(super) fn write(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    if !shown.ids.is_empty() {
        for (index, object) in shown.objects().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            detail(shown, object, out)?;
        }
        return hidden(shown, out);
    }
    match shown.view {
        View::Summary => summary(shown, out)?,
        View::Maps => maps(shown, out)?,
        View::Programs => programs(shown, out)?,
        View::Links => links(shown, out)?,
        View::Btf => btf(shown, out)?,
        View::Attachments => attachments(shown, out)?,
    }
    hidden(shown, out)
}

/// What could not be seen, said on every page.
fn hidden(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    match shown.inventory.method {
        Method::Iterators => {}
        Method::ById => writeln!(out, "note: read without iterators: who holds what is known as far as /proc tells")?,
        Method::Fdinfo => writeln!(out, "note: read from /proc alone: only objects that somebody has a descriptor of")?,
    }
    for what in &shown.inventory.hidden {
        writeln!(out, "hidden: {}", visible(what))?;
    }
    Ok(())
}

fn summary(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let inventory = shown.inventory;
    let objects = Summary::of(inventory);
    let row = |what: &str, count: usize, text: String| format!("  {what:<10} {:>8}  {text}", grouped(count as u64));
    let types = |names: Vec<String>| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for name in names {
            *counts.entry(name).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), name.clone()));
        let more = if counts.len() > 4 { " · …" } else { "" };
        let listed = counts.iter().take(4).map(|(name, count)| format!("{} {name}", grouped(*count as u64)));
        format!("{}{more}", listed.collect::<Vec<_>>().join(" · "))
    };
    let sized = |kind: Kind, names: Vec<String>| format!("{:>8}  {}", bytes(memory(&objects, kind)), types(names));
    let of = |kind: Kind| inventory.objects().filter(move |object| object.kind == kind);
    let names = |kind: Kind| of(kind).map(|object| inventory.type_name(object)).collect::<Vec<_>>();
    writeln!(out, "{}", row("maps", inventory.maps.len(), sized(Kind::Map, names(Kind::Map))))?;
    writeln!(out, "{}", row("programs", inventory.programs.len(), sized(Kind::Program, names(Kind::Program))))?;
    writeln!(out, "{}", row("links", inventory.links.len(), format!("{:>8}  {}", "", types(names(Kind::Link)))))?;
    let own = inventory.btfs.values().filter(|btf| !btf.kernel).count();
    let kernels = inventory.btfs.len() - own;
    let btf = format!("{:>8}  of maps and programs; {kernels} more of the kernel", bytes(memory(&objects, Kind::Btf)));
    writeln!(out, "{}", row("BTF", own, btf))?;
    if !inventory.attachments.is_empty() {
        let how = inventory.attachments.iter().map(|one| one.how.to_owned()).collect();
        let what = format!("{:>8}  without a link: {}", "", types(how));
        writeln!(out, "{}", row("attached", inventory.attachments.len(), what))?;
    }
    processes(shown, out)?;
    let orphans = shown.orphans();
    if !orphans.is_empty() {
        let memory: u64 = orphans.iter().map(|root| root.memory).sum();
        writeln!(
            out,
            "\n{} kept by no process, with what hangs on {}: {}",
            plural(orphans.len(), "object"),
            if orphans.len() == 1 { "it" } else { "them" },
            bytes(memory)
        )?;
        roots(shown, &orphans[..orphans.len().min(PROCESSES_MAX)], out)?;
        if orphans.len() > PROCESSES_MAX {
            writeln!(out, "  … and {} more: residue bpf --orphans", grouped((orphans.len() - PROCESSES_MAX) as u64))?;
        }
    }
    findings(shown, out)?;
    unexplained(shown, out)
}

/// What rules find; that only a pin keeps something has been said by then.
fn findings(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    for (index, finding) in shown.findings.iter().filter(|finding| finding.severity > Severity::Note).enumerate() {
        if index == 0 {
            writeln!(out)?;
        }
        writeln!(out, "{} {}: {}", finding.rule, finding.severity, visible(&finding.message))?;
        for note in &finding.notes {
            writeln!(out, "  {}", visible(note))?;
        }
        if let Some(help) = &finding.help {
            writeln!(out, "  help: {}", visible(&help.message))?;
        }
    }
    Ok(())
}

/// Who holds most.
fn processes(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut held: BTreeMap<u32, BTreeMap<Kind, (usize, std::collections::BTreeSet<u32>)>> = BTreeMap::new();
    for hold in &shown.inventory.holds {
        let Some(pid) = hold.by.pid() else { continue };
        let (count, ids) = held.entry(pid).or_default().entry(hold.object.kind).or_default();
        *count += 1;
        ids.insert(hold.object.id);
    }
    let mut held: Vec<_> = held.into_iter().collect();
    let total = |kinds: &BTreeMap<Kind, (usize, _)>| kinds.values().map(|(count, _)| count).sum::<usize>();
    held.sort_by_key(|(pid, kinds)| (std::cmp::Reverse(total(kinds)), *pid));
    for (index, (pid, kinds)) in held.iter().enumerate() {
        if index == 0 {
            writeln!(out)?;
        }
        if index == PROCESSES_MAX {
            writeln!(out, "  … and {} more processes", grouped((held.len() - PROCESSES_MAX) as u64))?;
            break;
        }
        let listed = kinds.iter().map(|(kind, (count, ids))| {
            if *count == ids.len() {
                plural(*count, kind.name())
            } else {
                format!("{} times {}", grouped(*count as u64), plural(ids.len(), kind.name()))
            }
        });
        writeln!(out, "  {}  holds {}", process(shown, *pid), listed.collect::<Vec<_>>().join(" · "))?;
    }
    Ok(())
}

/// Says of how many objects not all references were found.
fn unexplained(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let open: Vec<ObjectId> = shown.inventory.objects().filter(|object| !shown.equation(*object).holds()).collect();
    let Some(first) = open.first() else { return Ok(()) };
    writeln!(
        out,
        "\n{} with references that nothing seen explains, such as {first} ({})",
        plural(open.len(), "object"),
        equation(&shown.equation(*first))
    )
}

fn process(shown: &Shown<'_>, pid: u32) -> String {
    let known = shown.inventory.processes.get(&pid);
    let comm = known.map(|process| visible(&process.comm)).unwrap_or_default();
    let go = known.and_then(|process| process.go.as_deref()).map(|go| format!(" ({})", visible(go)));
    let container = known.and_then(|process| process.place.as_ref()?.container.as_ref());
    let container = container.map(|container| visible(&format!(" in {container}"))).unwrap_or_default();
    format!("pid {pid} {comm}{}{container}", go.unwrap_or_default())
}

/// Rows with columns as wide as they need; the last one takes the rest.
fn table(headings: &[&str], right: &[usize], rows: Vec<Vec<String>>, out: &mut dyn Write) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        let cells = cells.filter(|width| *width <= WIDTH_MAX).max().unwrap_or(0);
        cells.max(headings[column].len())
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
    for row in std::iter::once(headings).chain(rows) {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if right.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn maps(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let rows = shown.inventory.maps.values().map(|map| {
        vec![
            map.id.to_string(),
            map_type_name(map.map_type),
            visible(&map.name),
            format!("{}/{}", map.key_size, map.value_size),
            grouped(map.max_entries),
            map.memory.map(bytes).unwrap_or_default(),
            kept(shown, ObjectId::map(map.id)),
        ]
    });
    table(&["id", "type", "name", "key/value", "entries", "memory", "refs"], &[0, 3, 4, 5], rows.collect(), out)
}

fn programs(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let inventory = shown.inventory;
    let rows = inventory.programs.values().map(|program| {
        vec![
            program.id.to_string(),
            program_type_name(program.program_type),
            visible(&program.name),
            program.memory.map(bytes).unwrap_or_default(),
            plural(program.maps.len(), "map"),
            loaded(shown, program.loaded_ns),
            program.uid.map(|uid| uid.to_string()).unwrap_or_default(),
            kept(shown, ObjectId::program(program.id)),
        ]
    });
    let headings = ["id", "type", "name", "memory", "uses", "loaded", "uid", "refs"];
    table(&headings, &[0, 3, 5, 6], rows.collect(), out)
}

fn links(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let rows = shown.inventory.links.values().map(|link| {
        let program = match link.program {
            0 => String::new(),
            id => program_name(shown, id),
        };
        vec![
            link.id.to_string(),
            link_type_name(link.link_type),
            program,
            point(&link.point),
            kept(shown, ObjectId::link(link.id)),
        ]
    });
    table(&["id", "type", "program", "attached to", "refs"], &[0], rows.collect(), out)
}

fn btf(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let rows = shown.inventory.btfs.values().map(|btf| {
        let users = shown.holders(ObjectId::btf(btf.id)).len();
        vec![
            btf.id.to_string(),
            if btf.kernel { "kernel".to_owned() } else { String::new() },
            visible(&btf.name),
            bytes(btf.size.into()),
            if users == 0 { String::new() } else { seen(shown, ObjectId::btf(btf.id)) },
        ]
    });
    table(&["id", "of", "name", "size", "held by"], &[0, 3], rows.collect(), out)
}

/// Programs attached without a link.
fn attachments(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let row = |one: &Attachment| vec![one.how.to_owned(), program_name(shown, one.program), point(&one.point)];
    table(&["by", "program", "attached to"], &[], shown.inventory.attachments.iter().map(row).collect(), out)
}

/// The equation, with the processes and pins that it stands for if they are few.
fn kept(shown: &Shown<'_>, object: ObjectId) -> String {
    let equation = shown.equation(object);
    if equation.refs.is_none() {
        return seen(shown, object);
    }
    let mut text = self::equation(&equation);
    let owners = owners(shown, object);
    if !owners.is_empty() {
        text += &format!("  {owners}");
    }
    text
}

/// `3 = 2 files + 1 pin`; what nothing explains is unknown.
fn equation(equation: &Equation) -> String {
    let mut terms: Vec<String> = equation
        .terms
        .iter()
        .map(|(term, count)| {
            let (one, many) = term.words();
            format!("{} {}", grouped(*count), if *count == 1 { one } else { many })
        })
        .collect();
    for (count, of) in [(equation.unexplained_user, ""), (equation.unexplained_kernel, " in the kernel")] {
        if count != 0 {
            terms.push(format!("{count} unknown{of}"));
        }
    }
    let refs = equation.refs.map_or_else(|| "?".to_owned(), grouped);
    let sum = if terms.is_empty() { "nothing".to_owned() } else { terms.join(" + ") };
    format!("{refs} = {sum}")
}

/// Holders by number, where the kernel doesn't tell its own.
fn seen(shown: &Shown<'_>, object: ObjectId) -> String {
    let mut descriptors = 0;
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for holder in shown.holders(object) {
        match holder {
            Holder::Descriptor { .. } => descriptors += 1,
            Holder::Pin { .. } => *others.entry("pin").or_default() += 1,
            Holder::Program(_) => *others.entry("program").or_default() += 1,
            Holder::Map { .. } => *others.entry("map").or_default() += 1,
            Holder::Link(_) => *others.entry("link").or_default() += 1,
            Holder::Attachment(_) => *others.entry("attachment").or_default() += 1,
            Holder::Registration => *others.entry("registration").or_default() += 1,
            _ => *others.entry("other").or_default() += 1,
        }
    }
    let mut parts = Vec::new();
    if descriptors > 0 {
        parts.push(plural(descriptors, "descriptor"));
    }
    parts.extend(others.into_iter().map(|(what, count)| plural(count, what)));
    let owners = owners(shown, object);
    if !owners.is_empty() {
        parts.push(owners);
    }
    parts.join(" · ")
}

/// Processes with the number of their descriptors, and a pin: as much as fits a line.
fn owners(shown: &Shown<'_>, object: ObjectId) -> String {
    let mut pids: BTreeMap<u32, usize> = BTreeMap::new();
    let mut pins = Vec::new();
    for holder in shown.holders(object) {
        if let Some(pid) = holder.pid() {
            *pids.entry(pid).or_default() += 1;
        } else if let Holder::Pin { path, .. } = holder {
            pins.push(visible(path));
        }
    }
    let mut parts: Vec<String> = pids
        .iter()
        .take(2)
        .map(|(pid, count)| {
            let comm = shown.inventory.processes.get(pid).map(|process| visible(&process.comm)).unwrap_or_default();
            if *count == 1 { format!("{comm} {pid}") } else { format!("{comm} {pid} ×{}", grouped(*count as u64)) }
        })
        .collect();
    if pids.len() > 2 {
        parts.push(format!("{} more", pids.len() - 2));
    }
    parts.extend(pins.first().cloned());
    if pins.len() > 1 {
        parts.push(format!("{} more pins", pins.len() - 1));
    }
    if parts.is_empty() { String::new() } else { format!("({})", parts.join(", ")) }
}

fn program_name(shown: &Shown<'_>, id: u32) -> String {
    let name = shown.inventory.name(ObjectId::program(id)).map(|name| format!(" {}", visible(name)));
    format!("{id}{}", name.unwrap_or_default())
}

/// Where something is attached, in words.
fn point(point: &Point) -> String {
    let mut parts: Vec<String> = point.attach_type.map(attach_type_name).into_iter().collect();
    let named = |key: &str| point.place.iter().any(|(found, _)| *found == key);
    for (key, value) in &point.place {
        match *key {
            // The name says it better.
            "ifindex" if named("interface") => parts.push(format!("({})", visible(value))),
            "cgroup_id" if named("cgroup") => {}
            // A namespace that has a name is known by it.
            "netns" if named("netns_name") => {}
            "netns_name" => parts.push(format!("netns {}", visible(value))),
            "interface" | "cgroup" | "tracepoint" | "function" | "iterates" | "event" | "file" | "direction"
            | "mode" | "implements" => {
                parts.push(visible(value));
            }
            key => parts.push(format!("{} {}", key.replace('_', " "), visible(value))),
        }
    }
    if point.gone {
        parts.push("(gone)".to_owned());
    }
    parts.join(" ")
}

fn loaded(shown: &Shown<'_>, since_boot: Option<u64>) -> String {
    let Some(ns) = since_boot else { return String::new() };
    let loaded = shown.inventory.booted_unix_ms + ns / 1_000_000;
    let ago = Duration::from_millis(shown.inventory.taken_unix_ms.saturating_sub(loaded));
    format!("{} ago", time(ago))
}

/// Everything about one object.
fn detail(shown: &Shown<'_>, object: ObjectId, out: &mut dyn Write) -> io::Result<()> {
    let inventory = shown.inventory;
    let name = inventory.name(object).map(|name| format!(" {}", visible(name))).unwrap_or_default();
    let type_name = inventory.type_name(object);
    writeln!(out, "{object}{name}  {type_name}")?;
    let mut line = |key: &str, value: String| {
        if value.is_empty() { Ok(()) } else { writeln!(out, "  {key:<10} {value}") }
    };
    match object.kind {
        Kind::Map => {
            let Some(map) = inventory.maps.get(&object.id) else { return Ok(()) };
            let entries = grouped(map.max_entries);
            line(
                "size",
                format!("{entries} entries at most, keys of {} B, values of {} B", map.key_size, map.value_size),
            )?;
            line("memory", map.memory.map(bytes).unwrap_or_default())?;
            line("flags", map_flag_names(map.flags).join(" "))?;
            if let Some(known) = &map.struct_ops {
                line("implements", visible(&known.to_string()))?;
            }
            if let Some(owner) = map.owner {
                let how = if owner.jited { "compiled" } else { "interpreted" };
                line("takes", format!("programs of type {}, {how}", program_type_name(owner.program_type)))?;
            }
            if map.frozen == Some(true) {
                line("frozen", "user space writes it no more".to_owned())?;
            }
            if let Some(counts) = map.counts {
                let mapped =
                    if counts.writers > 0 { format!(" · {} writable", counts.writers) } else { String::new() };
                line(
                    "counted",
                    format!("{} by the kernel, {} of them of user space{mapped}", counts.refs, counts.user_refs),
                )?;
            }
        }
        Kind::Program => {
            let Some(program) = inventory.programs.get(&object.id) else { return Ok(()) };
            line("tag", visible(&program.tag))?;
            line("loaded", loaded(shown, program.loaded_ns))?;
            // By which process or command the kernel doesn't keep.
            let user = program.uid.map(|uid| format!("{uid}; the kernel doesn't keep which process it was"));
            line("by user", user.unwrap_or_default())?;
            line("memory", program.memory.map(bytes).unwrap_or_default())?;
            let size = |size: Option<u32>, what| size.map(|size| format!("{} {what}", bytes(size.into())));
            let sizes = [size(program.translated_bytes, "translated"), size(program.jited_bytes, "machine code")];
            line("code", sizes.into_iter().flatten().collect::<Vec<_>>().join(" · "))?;
            let verified = program.verified_instructions.map(grouped);
            line("verified", verified.map(|count| format!("{count} instructions")).unwrap_or_default())?;
            if let Some(each) = program.run_time_ns.checked_div(program.runs) {
                line("ran", format!("{} times, {} ns each", grouped(program.runs), grouped(each)))?;
            }
            line("target", program.target.as_deref().map(visible).unwrap_or_default())?;
            let maps = program.maps.iter().map(|id| {
                let name = inventory.name(ObjectId::map(*id)).map(|name| format!(" {}", visible(name)));
                format!("{id}{}", name.unwrap_or_default())
            });
            line("uses maps", maps.collect::<Vec<_>>().join(", "))?;
        }
        Kind::Link => {
            let Some(link) = inventory.links.get(&object.id) else { return Ok(()) };
            line("program", if link.program == 0 { String::new() } else { program_name(shown, link.program) })?;
            line("attached", point(&link.point))?;
        }
        Kind::Btf => {
            let Some(btf) = inventory.btfs.get(&object.id) else { return Ok(()) };
            line("size", bytes(btf.size.into()))?;
        }
    }
    let equation = shown.equation(object);
    if equation.refs.is_some() {
        line("refs", self::equation(&equation))?;
    }
    let keeper = match shown.keeping.keeper(object) {
        Keeper::Process => "a process",
        Keeper::Attachment => "what it is attached to, no process",
        Keeper::Pin => "a pin, no process",
        Keeper::Unseen => "nothing that was found",
    };
    line("kept by", keeper.to_owned())?;
    holders(shown, object, &equation, out)
}

/// Every holder of an object.
fn holders(shown: &Shown<'_>, object: ObjectId, equation: &Equation, out: &mut dyn Write) -> io::Result<()> {
    let holders = shown.holders(object);
    let mut files: BTreeMap<u64, usize> = BTreeMap::new();
    let mut shared = |file: &Option<u64>| {
        let next = files.len() + 1;
        // Said only where it makes a difference.
        let all = holders.iter().filter(|holder| file_of(holder).is_some()).count() as u64;
        let different = equation.term(Term::Files) != all;
        file.filter(|_| different).map(|file| format!("  open file {}", files.entry(file).or_insert(next)))
    };
    for (index, holder) in holders.iter().enumerate() {
        if index == HOLDERS_MAX {
            writeln!(out, "  … and {} more", grouped((holders.len() - HOLDERS_MAX) as u64))?;
            break;
        }
        let who = |pid: u32| process(shown, pid);
        let text = match holder {
            Holder::Descriptor { at, file } => {
                let thread = if at.tid == at.pid { String::new() } else { format!(" of thread {}", at.tid) };
                format!("{}  fd {}{thread}{}", who(at.pid), at.fd, shared(file).unwrap_or_default())
            }
            Holder::Mapping { pid, range, file } => {
                let file = shared(file).unwrap_or_default();
                format!("{}  mapped at {:#x}-{:#x}{file}", who(*pid), range.0, range.1)
            }
            Holder::InFlight { at, file } => {
                let file = shared(file).unwrap_or_default();
                format!("{}  in flight to socket fd {}{file}", who(at.pid), at.fd)
            }
            Holder::Ring { at, slot, file } => {
                let file = shared(file).unwrap_or_default();
                format!("{}  io_uring fd {} slot {slot}{file}", who(at.pid), at.fd)
            }
            Holder::Iterator { at, .. } => format!("{}  iterator fd {}", who(at.pid), at.fd),
            Holder::PerfEvent { at, .. } => format!("{}  perf event fd {}", who(at.pid), at.fd),
            Holder::Socket { at, reuseport: false, .. } => format!("{}  filter of socket fd {}", who(at.pid), at.fd),
            Holder::Socket { at, .. } => format!("{}  reuseport of socket fd {}", who(at.pid), at.fd),
            Holder::Pin { path, namespace_pid, .. } => {
                let namespace = namespace_pid.map(|pid| format!("  as {} sees it", who(pid)));
                format!("pin {}{}", visible(path), namespace.unwrap_or_default())
            }
            Holder::Program(id) => format!("program {}", program_name(shown, *id)),
            Holder::Map { id, entries } => {
                let name = shown.inventory.name(ObjectId::map(*id)).map(visible).unwrap_or_default();
                format!("map {id} {name}  {}", plural(*entries as usize, "entry").replace("entrys", "entries"))
            }
            Holder::Link(id) => {
                let place = shown
                    .inventory
                    .links
                    .get(id)
                    .map(|link| format!("{} {}", link_type_name(link.link_type), point(&link.point)));
                format!("link {id}  {}", place.unwrap_or_default())
            }
            Holder::Attachment(index) => {
                let attachment = &shown.inventory.attachments[*index];
                format!("attached  {} {}", attachment.how, point(&attachment.point))
            }
            Holder::Registration => "registered with the kernel, without a link".to_owned(),
        };
        writeln!(out, "  {}", text.trim_end())?;
    }
    Ok(())
}

fn file_of(holder: &Holder) -> Option<u64> {
    match holder {
        Holder::Descriptor { file, .. }
        | Holder::Mapping { file, .. }
        | Holder::InFlight { file, .. }
        | Holder::Ring { file, .. } => *file,
        _ => None,
    }
}

/// Only what no process keeps.
pub(super) fn orphans(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let orphans = shown.orphans();
    if orphans.is_empty() {
        writeln!(out, "every object is kept by a process, or by what it is attached to")?;
    }
    roots(shown, &orphans, out)?;
    hidden(shown, out)
}

fn roots(shown: &Shown<'_>, roots: &[Root], out: &mut dyn Write) -> io::Result<()> {
    let inventory = shown.inventory;
    let named = |object: ObjectId| {
        let name = inventory.name(object).map(|name| format!(" {}", visible(name))).unwrap_or_default();
        format!("{object}{name}")
    };
    for root in roots {
        let why = match (root.keeper, root.object.kind) {
            (Keeper::Pin, Kind::Link) => "only a pin keeps it attached",
            (Keeper::Pin, _) => "only a pin keeps it",
            _ => "nothing that was found keeps it",
        };
        let type_name = inventory.type_name(root.object);
        writeln!(out, "  {}  {type_name}  {}  {why}", named(root.object), bytes(root.memory))?;
        for pin in &root.pins {
            writeln!(out, "    pin {}", visible(pin))?;
        }
        if let Some(link) = inventory.links.get(&root.object.id).filter(|_| root.object.kind == Kind::Link) {
            writeln!(out, "    {}", point(&link.point))?;
        }
        if !root.below.is_empty() {
            let listed = root.below.iter().take(BELOW_MAX).map(|object| named(*object));
            let more = root.below.len().saturating_sub(BELOW_MAX);
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            writeln!(out, "    keeps {}{more}", listed.collect::<Vec<_>>().join(", "))?;
        }
    }
    Ok(())
}

/// What has changed.
pub(super) fn write_diff(
    before: &Picture,
    after: &Picture,
    changes: &[Changed],
    out: &mut dyn Write,
) -> io::Result<()> {
    let passed = Duration::from_millis(after.taken_unix_ms.saturating_sub(before.taken_unix_ms));
    let count = |wanted: fn(&Change) -> bool| changes.iter().filter(|changed| wanted(&changed.change)).count();
    let signed = |kind: Kind| {
        let (was, is) = (memory(&before.objects, kind), memory(&after.objects, kind));
        if is >= was { format!("+{}", bytes(is - was)) } else { format!("-{}", bytes(was - is)) }
    };
    writeln!(
        out,
        "in {}: {} came, {} went, {} changed; memory of maps {}",
        time(passed),
        count(|change| *change == Change::Added),
        count(|change| *change == Change::Removed),
        count(|change| matches!(change, Change::Grown(_))),
        signed(Kind::Map)
    )?;
    for changed in changes {
        let (sign, what) = match &changed.change {
            Change::Added => ("+", state(&changed.summary)),
            Change::Removed => ("-", state(&changed.summary)),
            Change::Grown(was) => ("~", growth(was, &changed.summary)),
        };
        let name = visible(&changed.summary.name);
        writeln!(out, "{sign} {} {name}  {}  {what}", changed.object, visible(&changed.summary.type_name))?;
    }
    Ok(())
}

fn state(summary: &Summary) -> String {
    let mut parts = Vec::new();
    parts.extend(summary.memory.map(bytes));
    parts.extend(summary.refs.map(|refs| plural(refs as usize, "reference")));
    if summary.descriptors > 0 {
        parts.push(plural(summary.descriptors as usize, "descriptor"));
    }
    if summary.pins > 0 {
        parts.push(plural(summary.pins as usize, "pin"));
    }
    parts.join(" · ")
}

fn growth(was: &Summary, is: &Summary) -> String {
    let mut parts = Vec::new();
    let mut figure = |what: &str, was: u64, is: u64, show: fn(u64) -> String| {
        if was != is {
            parts.push(format!("{what} {} → {}", show(was), show(is)));
        }
    };
    figure("memory", was.memory.unwrap_or(0), is.memory.unwrap_or(0), bytes);
    figure("references", was.refs.unwrap_or(0), is.refs.unwrap_or(0), grouped);
    figure("descriptors", was.descriptors, is.descriptors, grouped);
    figure("pins", was.pins, is.pins, grouped);
    parts.join(" · ")
}

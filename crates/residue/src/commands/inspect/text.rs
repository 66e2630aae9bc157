//! What was found, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use residue_gobin::Plugin;
use residue_report::{plural, shown as masked, shown_name as visible};
use residue_runtime::{Deferred, Frame, Goroutine, PanicState, Phase, Status, Word};
use residue_target::Kind;

use super::{Answer, Shown, View, missing};
use crate::figures::{grouped, time};

/// Numbers of goroutines listed for a group.
pub(super) const LISTED_MAX: usize = 8;
/// Kinds counted in a line of the summary.
const LISTED_IN_LINE: usize = 5;
/// Kinds of panic values listed in the summary.
const KINDS_MAX: usize = 4;
/// Functions wider than this don't move the places behind them.
const WIDTH_MAX: usize = 52;

pub(super) fn write(shown: &Shown<'_>, view: View, target: &str, out: &mut dyn Write) -> io::Result<()> {
    header(shown, out)?;
    match view {
        View::Summary => summary(shown, out)?,
        View::Goroutines => goroutines(shown, out)?,
        View::Defers => defers(shown, out)?,
        View::Panics => super::panics::write(shown, out)?,
        View::Stack | View::Tui => {}
        View::Heap | View::Finalizers | View::Why | View::Fds | View::Object => {}
    }
    match shown.answer {
        Answer::None => {}
        Answer::Why(why) => super::why::text(why, out)?,
        Answer::Object(object) => super::object::text(object, out)?,
        Answer::Fds(table) => super::fds::text(table, super::fds::LISTED_MAX, out)?,
        Answer::Stack(view) => super::stack::write(shown, view, out)?,
        Answer::Summary(..) | Answer::Retained(_) | Answer::RetainedPaths(_) | Answer::Profile(_) => {}
    }
    if let Some(heap) = shown.heap {
        match view {
            View::Why | View::Fds | View::Object => {}
            View::Heap => super::heap::text(heap, shown.answer.retained(), out)?,
            View::Finalizers => super::finalizers::text(shown, heap, out)?,
            _ => {
                super::heap::summary(heap, out)?;
                super::finalizers::summary(shown, heap, out)?;
                if let Answer::Summary(table, findings) = shown.answer {
                    super::fds::summary(table, out)?;
                    super::rules::text(findings, target, out)?;
                }
            }
        }
        for (what, count) in &heap.notes {
            writeln!(out, "note: {what}: {}", grouped(*count))?;
        }
    }
    for what in missing(shown.target) {
        writeln!(out, "note: {what}")?;
    }
    odd(&shown.report.inconsistencies, out)
}

/// What didn't fit together.
pub(super) fn odd(found: &BTreeMap<&'static str, usize>, out: &mut dyn Write) -> io::Result<()> {
    for (what, count) in found {
        writeln!(out, "note: {what}: {}", grouped(*count))?;
    }
    Ok(())
}

/// That a program is read as one of another release.
pub(super) fn neighbour(version: &str) -> String {
    format!("note: this release of Go is not known; it is read as go{version}, whose checks it passes")
}

/// What is looked at and how sure it is, in a line.
pub(super) fn identity(shown: &Shown<'_>) -> String {
    let name = shown.target.program_path.file_name().unwrap_or_default().to_string_lossy();
    let pid = match shown.target.kind {
        Kind::Process(pid) => format!("  pid {pid}"),
        Kind::Core => String::new(),
    };
    let stripped = if shown.binary.is_stripped() { " (stripped)" } else { "" };
    let (version, arch) = (visible(&shown.report.version), shown.binary.elf.arch.name());
    let up = shown.target.uptime().map(|up| format!("  up {}", time(up))).unwrap_or_default();
    format!("{}{pid}  {version} linux/{arch}{stripped}{up}  {}", visible(&name), shown.how())
}

fn header(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", identity(shown))?;
    if let Some(neighbour) = shown.report.basis.neighbour() {
        writeln!(out, "{}", self::neighbour(neighbour))?;
    }
    Ok(())
}

fn summary(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let plugins = shown.binary.plugins();
    if !plugins.is_empty() {
        let names: BTreeSet<&str> = plugins.iter().map(Plugin::name).filter(|name| !name.is_empty()).collect();
        let listed: Vec<String> = names.iter().take(LISTED_IN_LINE).map(|name| visible(name)).collect();
        let more = if names.len() > LISTED_IN_LINE { " · …" } else { "" };
        writeln!(out, "  plugins      {:<8} {}{more}", grouped(plugins.len()), listed.join(" · "))?;
    }
    let all = &shown.report.goroutines;
    let system = all.iter().filter(|goroutine| goroutine.role == residue_runtime::Role::System).count();
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for goroutine in all {
        *states.entry(goroutine.status.name()).or_default() += 1;
    }
    let counted = |counts: &BTreeMap<&str, usize>| {
        let mut counts: Vec<_> = counts.iter().collect();
        counts.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), **name));
        let listed = counts.iter().take(LISTED_IN_LINE).map(|(name, count)| format!("{} {name}", grouped(**count)));
        let more = if counts.len() > LISTED_IN_LINE { " · …" } else { "" };
        format!("{}{more}", listed.collect::<Vec<_>>().join(" · "))
    };
    writeln!(
        out,
        "  goroutines   {:<8} {} · {} of the runtime",
        grouped(all.len()),
        counted(&states),
        grouped(system)
    )?;
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in all.iter().filter_map(|goroutine| goroutine.wait_reason.as_deref()) {
        *reasons.entry(reason).or_default() += 1;
    }
    if !reasons.is_empty() {
        writeln!(out, "  waiting for  {:<8} {}", "", counted(&reasons))?;
    }
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for deferred in all.iter().flat_map(|goroutine| &goroutine.deferred) {
        *kinds.entry(deferred.kind.name()).or_default() += 1;
    }
    let deferred: usize = kinds.values().sum();
    writeln!(out, "  deferred     {:<8} {}", grouped(deferred), counted(&kinds))?;
    let mut phases: BTreeMap<&str, usize> = BTreeMap::new();
    for goroutine in all.iter().filter(|goroutine| goroutine.in_deferred.is_some()) {
        *phases.entry(goroutine.phase.name()).or_default() += 1;
    }
    if !phases.is_empty() {
        let total: usize = phases.values().sum();
        writeln!(out, "  in deferred  {:<8} {}", grouped(total), counted(&phases))?;
    }
    let mut values: BTreeMap<&str, usize> = BTreeMap::new();
    let panics = all.iter().flat_map(|goroutine| &goroutine.panics);
    for panic in panics.filter(|panic| panic.state != PanicState::Goexit) {
        *values.entry(panic.value_type.as_deref().unwrap_or("unknown")).or_default() += 1;
    }
    if !values.is_empty() {
        let total: usize = values.values().sum();
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        let listed: Vec<String> = values
            .iter()
            .take(KINDS_MAX)
            .map(|(name, count)| format!("{} {}", grouped(*count), visible(name)))
            .collect();
        let more = if values.len() > KINDS_MAX { " · …" } else { "" };
        writeln!(out, "  panics       {:<8} {}{more}", grouped(total), listed.join(" · "))?;
    }
    Ok(())
}

fn goroutines(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    if !shown.group {
        for goroutine in shown.goroutines() {
            writeln!(out)?;
            one(shown, goroutine, out)?;
        }
        return Ok(());
    }
    for group in groups(shown) {
        let mut numbers: Vec<String> =
            group.iter().take(LISTED_MAX).map(|goroutine| goroutine.id.to_string()).collect();
        if group.len() > LISTED_MAX {
            numbers.push("…".to_owned());
        }
        writeln!(out, "\n{}  {}", plural(group.len(), "goroutine"), group_state(&group))?;
        writeln!(out, "  {}", numbers.join(", "))?;
        labels(&group, out)?;
        stack(shown, group[0], out)?;
    }
    Ok(())
}

/// A goroutine with its labels and stack.
pub(super) fn one(shown: &Shown<'_>, goroutine: &Goroutine, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "goroutine {}  {}", goroutine.id, state(goroutine))?;
    labels(&[goroutine], out)?;
    stack(shown, goroutine, out)
}

/// Goroutines with equal stacks that do the same, the most numerous first. None is empty.
pub(super) fn groups<'s>(shown: &'s Shown<'_>) -> Vec<Vec<&'s Goroutine>> {
    let mut groups: BTreeMap<Key<'_>, Vec<&Goroutine>> = BTreeMap::new();
    for goroutine in shown.goroutines() {
        let reason = goroutine.wait_reason.as_deref();
        let key = (&*goroutine.stack, goroutine.created_at, goroutine.status, reason);
        groups.entry(key).or_default().push(goroutine);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.len()), group[0].id));
    groups
}

/// What goroutines of a group do, and for how long the one that waits longest.
pub(super) fn group_state(group: &[&Goroutine]) -> String {
    let longest = group.iter().filter_map(|goroutine| goroutine.waiting).max();
    let longest = longest.map(|longest| format!(", up to {}", time(longest))).unwrap_or_default();
    format!("{}{longest}", group.first().map(|goroutine| what(goroutine)).unwrap_or_default())
}

/// What goroutines of a group have in common: stack, where they were made, status, reason to wait.
type Key<'g> = (&'g [u64], Option<u64>, Status, Option<&'g str>);

/// The labels of goroutines, a value that is the same for all as it is. Labels can be written to profiles by anybody; what
/// looks like a credential is hidden all the same.
fn labels(goroutines: &[&Goroutine], out: &mut dyn Write) -> io::Result<()> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (key, value) in goroutines.iter().flat_map(|goroutine| goroutine.labels.iter()) {
        values.entry(key).or_default().insert(value);
    }
    let told = values.iter().map(|(key, values)| match values.first() {
        Some(value) if values.len() == 1 => format!("{}={}", visible(key), masked(value)),
        _ => format!("{} ({} values)", visible(key), grouped(values.len())),
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { Ok(()) } else { writeln!(out, "  labels  {}", told.join("  ")) }
}

/// What a goroutine does, and for how long.
pub(super) fn state(goroutine: &Goroutine) -> String {
    let mut text = what(goroutine);
    if let Some(waiting) = goroutine.waiting {
        text += &format!(", {}", time(waiting));
    }
    text
}

fn what(goroutine: &Goroutine) -> String {
    let mut text = match &goroutine.wait_reason {
        Some(reason) => format!("{}: {}", goroutine.status.name(), visible(reason)),
        None => goroutine.status.name().to_owned(),
    };
    for (is, word) in [
        (goroutine.role == residue_runtime::Role::System, "runtime's own"),
        (goroutine.cgo, "in C code"),
        (goroutine.locked, "locked to its thread"),
        (goroutine.phase != Phase::Running, goroutine.phase.name()),
    ] {
        if is {
            text += &format!(" · {word}");
        }
    }
    text
}

fn stack(shown: &Shown<'_>, goroutine: &Goroutine, out: &mut dyn Write) -> io::Result<()> {
    let frames: Vec<&Frame> = shown.report.stack(goroutine).collect();
    let names = frames.iter().map(|frame| function_name(&frame.function).chars().count());
    let width = names.filter(|width| *width <= WIDTH_MAX).max().unwrap_or(0);
    for (index, pc) in goroutine.stack.iter().enumerate() {
        for frame in shown.report.at(*pc) {
            let mut mark = String::new();
            if frame.inlined {
                mark += "  (inlined)";
            } else if goroutine.in_deferred == Some(index) {
                mark += "  (deferred call)";
            }
            writeln!(out, "  {:width$}  {}{mark}", function_name(&frame.function), place(frame))?;
        }
    }
    if let Some(why) = goroutine.stack_cut {
        writeln!(out, "  … not the whole stack: {why}")?;
    }
    // The first goroutine is made by the runtime as it starts.
    if let Some(frame) = goroutine.created_at.filter(|_| goroutine.id > 1).and_then(|pc| shown.report.at(pc).first()) {
        let parent = if goroutine.parent == 0 { String::new() } else { format!("  by goroutine {}", goroutine.parent) };
        writeln!(out, "  created in {}  {}{parent}", function_name(&frame.function), place(frame))?;
    }
    Ok(())
}

/// A function as tracebacks of Go name it: with `[...]` for type arguments, which can be whole structs.
pub(super) fn function_name(name: &str) -> String {
    let (mut text, mut depth) = (String::new(), 0_usize);
    for char in name.chars() {
        match char {
            '[' => {
                text.push_str(if depth == 0 { "[..." } else { "" });
                depth += 1;
            }
            ']' if depth > 0 => {
                depth -= 1;
                text.push_str(if depth == 0 { "]" } else { "" });
            }
            char if depth == 0 => text.push(char),
            _ => {}
        }
    }
    visible(&text)
}

/// File and line. The name of a function has the path of its package, so that the file's own name is enough; but for package
/// main.
pub(super) fn place(frame: &Frame) -> String {
    let file = match frame.function.split('.').next() {
        Some("main") => &*frame.file,
        _ => frame.file.rsplit('/').next().unwrap_or_default(),
    };
    if frame.line == 0 { "?".to_owned() } else { format!("{}:{}", visible(file), frame.line) }
}

fn defers(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut none = true;
    for goroutine in shown.goroutines().filter(|goroutine| has_deferred(goroutine)) {
        none = false;
        writeln!(out, "\ngoroutine {}  {}", goroutine.id, state(goroutine))?;
        defers_of(shown, goroutine, out)?;
    }
    if none {
        writeln!(out, "nothing is deferred")?;
    }
    Ok(())
}

/// Whether there is something to be told of a goroutine's deferred calls and panics.
pub(super) fn has_deferred(goroutine: &Goroutine) -> bool {
    let nothing = goroutine.deferred.is_empty() && goroutine.panics.is_empty() && goroutine.in_deferred.is_none();
    !nothing || goroutine.deferred_cut.is_some()
}

/// A goroutine's deferred calls and panics.
pub(super) fn defers_of(shown: &Shown<'_>, goroutine: &Goroutine, out: &mut dyn Write) -> io::Result<()> {
    for panic in &goroutine.panics {
        let value = panic.value_type.as_deref().map_or_else(|| "unknown value".to_owned(), visible);
        let text = panic.text.as_ref().map(|text| format!(" ({})", word(shown, text))).unwrap_or_default();
        writeln!(out, "  panic    {value}{text}  {}", panic.state.name())?;
    }
    if let Some(frame) = goroutine.in_deferred.and_then(|index| frame_of(shown, goroutine, index)) {
        writeln!(out, "  running  {}  {}", function_name(&frame.function), place(frame))?;
    }
    for deferred in &goroutine.deferred {
        let function = deferred.function.and_then(|function| shown.report.at(function).last());
        let name = function.map_or_else(|| "a nil function".to_owned(), |frame| function_name(&frame.function));
        let started = if deferred.started { "started" } else { "pending" };
        writeln!(out, "  {started}  {name}  ({})", deferred.kind.name())?;
        let by = deferred.frame.and_then(|index| frame_of(shown, goroutine, index));
        let by = by.map(|frame| format!("deferred by {}", function_name(&frame.function)));
        let at = function.map(|frame| format!("at {}", place(frame)));
        let known: Vec<String> = at.into_iter().chain(by).collect();
        if !known.is_empty() {
            writeln!(out, "           {}", known.join(", "))?;
        }
        if !deferred.words.is_empty() {
            writeln!(out, "           captured  {}", captured(shown, deferred))?;
        }
    }
    if let Some(why) = goroutine.deferred_cut {
        writeln!(out, "  … not the whole list: {why}")?;
    }
    Ok(())
}

/// The function of a physical frame: the outermost of those at its instruction.
pub(super) fn frame_of<'s>(shown: &'s Shown<'_>, goroutine: &Goroutine, index: usize) -> Option<&'s Frame> {
    shown.report.at(*goroutine.stack.get(index)?).last()
}

fn captured(shown: &Shown<'_>, deferred: &Deferred) -> String {
    deferred.words.iter().map(|found| word(shown, found)).collect::<Vec<_>>().join(", ")
}

pub(super) fn word(shown: &Shown<'_>, word: &Word) -> String {
    match word {
        Word::Zero => "0".to_owned(),
        Word::Number { revealed: None } => "number".to_owned(),
        Word::Number { revealed: Some(number) } => format!("number {number}"),
        Word::Func(pc) => match shown.binary.find(pc.wrapping_sub(shown.target.slide)) {
            Some(function) => format!("func {}", function_name(&function.name())),
            None => "func".to_owned(),
        },
        Word::Stack => "*stack".to_owned(),
        Word::Variable => "*variable".to_owned(),
        Word::Constant => "*constant".to_owned(),
        Word::Heap => "*heap".to_owned(),
        Word::Text { len, digest, revealed } => {
            let digest = digest.as_ref().map(|digest| format!(" #{digest}")).unwrap_or_default();
            let revealed = revealed.as_ref().map(|text| format!(" \"{}\"", visible(text))).unwrap_or_default();
            format!("text of {} bytes{digest}{revealed}", grouped(*len as usize))
        }
        Word::Slice { len, capacity } => {
            format!("slice of {} (room for {})", grouped(*len as usize), grouped(*capacity as usize))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::function_name;

    #[test]
    fn type_arguments_are_left_out() {
        for (name, shown) in [
            ("main.(*Box[go.shape.struct { a [4]int }]).Get", "main.(*Box[...]).Get"),
            ("main.two[int,map[string]int].func1[x]", "main.two[...].func1[...]"),
            ("main.plain", "main.plain"),
            ("cut[off", "cut[..."),
            ("]\u{1b}[31m", "]\\x1b[..."),
        ] {
            assert_eq!(function_name(name), shown);
        }
    }
}

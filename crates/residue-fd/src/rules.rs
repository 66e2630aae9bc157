//! Rules over lifetimes of descriptors, and over eBPF objects and what keeps them. One file a rule; its comment is its page.

mod k101;
mod k102;
mod k103;
mod k104;
mod k105;
mod k201;
mod k202;
mod k203;

use std::collections::BTreeMap;

use residue_finding::{AcquireSite, Finding, Help, Position, RuleMeta, Site, StepRole};

use crate::event::{self, Frame};
use crate::objects::{Inventory, ObjectId};
use crate::report::{Class, Leak, Opener, Report, callee, caller};

/// The rules, in order of their codes.
pub const ALL: &[&RuleMeta] =
    &[&k101::META, &k102::META, &k103::META, &k104::META, &k105::META, &k201::META, &k202::META, &k203::META];

/// Callers that a finding shows, at most; JSON has the whole stack.
const FRAMES_MAX: usize = 3;
/// Containers told in the notes of a finding.
const CONTAINERS_MAX: usize = 4;

/// What the rules find in a report.
pub fn findings(report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    for find in [k101::find, k102::find, k103::find, k104::find, k105::find] {
        find(report, &mut findings);
    }
    findings
}

/// What the rules find among eBPF objects.
pub fn object_findings(inventory: &Inventory) -> Vec<Finding> {
    let mut findings = Vec::new();
    for find in [k201::find, k202::find, k203::find] {
        find(inventory, &mut findings);
    }
    findings
}

/// A finding about an eBPF object. Its place is where it can be seen: a pin, a process's table of descriptors. The numbers of
/// objects and processes change from run to run, so that a fingerprint rests on names.
fn object_finding(rule: &RuleMeta, inventory: &Inventory, object: ObjectId, message: String, path: &str) -> Finding {
    let site = Site { path: path.to_owned(), declaration: object.to_string(), ..Site::default() };
    let mut finding = Finding::new(rule, message, site);
    finding.resource = format!("eBPF {}", object.kind.name());
    finding.subject = format!("{} {}", inventory.type_name(object), inventory.name(object).unwrap_or_default());
    finding
}

/// An object with its name: `map 812 sessions`.
fn shown(inventory: &Inventory, object: ObjectId) -> String {
    inventory.name(object).map_or_else(|| object.to_string(), |name| format!("{object} {name}"))
}

/// A finding about a stack: its place is the first frame of the program's own code, and the way there its steps.
fn finding(rule: &RuleMeta, message: String, site: &event::Site) -> Finding {
    let index = caller(&site.frames).unwrap_or(0);
    let at = site.frames.get(index).cloned().unwrap_or_default();
    let mut finding = Finding::new(rule, message, place(&at));
    if site.frames.is_empty() {
        finding.site.path = format!("/proc/{}/fd", site.pid);
        finding.site.declaration.clone_from(&site.program);
    }
    finding.label = format!("{} here", if site.role == event::Role::Opens { "opened" } else { "closed" });
    if let Some(callee) = callee(&site.frames, index) {
        finding.label = format!("{} by {}", finding.label, callee.short());
    }
    finding.subject = if site.command.is_empty() { site.call.clone() } else { site.command.clone() };
    finding.resource = format!("{} descriptor", site.kind);
    if !at.package.is_empty() {
        let (import_path, file) = (at.package.clone(), at.base().to_owned());
        finding.acquire = Some(AcquireSite { import_path, file, line: at.line, declaration: declaration(&at) });
    }
    let own = site.frames.iter().skip(index + 1);
    for frame in own.filter(|frame| !frame.package.is_empty() && frame.package != "runtime").take(FRAMES_MAX) {
        finding.step(StepRole::Note, place(frame), format!("called by {}", frame.function));
    }
    finding
}

/// Openers that leak in one way, by the place that opens: several stacks may lead to it. With the descriptors they left.
fn leaking(report: &Report, of: fn(&Leak) -> Option<u64>) -> Vec<(Vec<&Opener>, u64)> {
    let mut places: BTreeMap<(Option<&Frame>, &str, &str), Vec<&Opener>> = BTreeMap::new();
    let count = |opener: &Opener| opener.leak.as_ref().and_then(of);
    for opener in report.openers.iter().filter(|opener| count(opener).is_some()) {
        let at = opener.caller();
        let program = if at.is_none() { opener.site.program.as_str() } else { "" };
        places.entry((at, &opener.site.kind, program)).or_default().push(opener);
    }
    places
        .into_values()
        .map(|openers| {
            let sum = openers.iter().filter_map(|opener| count(opener)).sum();
            (openers, sum)
        })
        .collect()
}

/// What all findings about openers say at the end.
fn close_on_every_path(finding: &mut Finding, openers: &[&Opener]) {
    fates(finding, openers);
    let message = "close each one on every path, panics included".to_owned();
    finding.help = Some(Help { message, edits: Vec::new() });
}

/// What becomes of the descriptors of some openers, as notes.
fn fates(finding: &mut Finding, openers: &[&Opener]) {
    let class = openers.iter().map(|opener| opener.class).min().unwrap_or(Class::Unknown);
    finding.notes.push(format!("{}: {}", class.as_str(), fate(class)));
    let mut containers: BTreeMap<String, u64> = BTreeMap::new();
    for (container, count) in openers.iter().flat_map(|opener| &opener.containers) {
        *containers.entry(container.to_string()).or_default() += count;
    }
    for (container, count) in containers.iter().take(CONTAINERS_MAX) {
        let count = if *count > 0 { format!(", {count} of them open") } else { String::new() };
        finding.notes.push(format!("in {container}{count}"));
    }
    if containers.len() > CONTAINERS_MAX {
        finding.notes.push(format!("in {} more containers", containers.len() - CONTAINERS_MAX));
    }
    let labelled = openers.iter().flat_map(|opener| &opener.examples).find(|example| !example.labels.is_empty());
    if let Some(example) = labelled {
        let labels: Vec<String> = example.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        finding.notes.push(format!("goroutine {} had the labels {}", example.goid, labels.join(", ")));
    }
    if openers.len() > 1 {
        finding.notes.push(format!("{} stacks lead here; the one with the most is shown", openers.len()));
    }
}

/// A second stack in a finding: who did the other thing.
fn tell(finding: &mut Finding, role: StepRole, what: &str, site: &event::Site) {
    if let Some(at) = caller(&site.frames).map(|at| &site.frames[at]) {
        finding.step(role, place(at), format!("{what} {}", at.function));
    }
}

/// What becomes of descriptors of a class, as a note.
fn fate(class: Class) -> &'static str {
    match class {
        Class::Permanent => "nothing in Go owns the number: no collection will close it",
        Class::Held => "a collection would close them; they outlived one, so something reachable holds them",
        Class::Deferred => "some were closed by a finalizer or cleanup: what a collection closes comes too late",
        _ => "a collection may close them, if nothing reachable holds them",
    }
}

fn place(frame: &Frame) -> Site {
    let at = Position { line: frame.line, column: 0 };
    Site {
        path: frame.file.clone(),
        start: at,
        end: at,
        import_path: frame.package.clone(),
        declaration: declaration(frame),
        ..Site::default()
    }
}

/// The outermost declaration around a function, by its linker's name: `(*Server).attach` of
/// `example.com/p.(*Server).attach.func2.1`.
pub(crate) fn declaration(frame: &Frame) -> String {
    let name = frame.function.split('[').next().unwrap_or_default();
    let after = name.rfind('/').map_or(name, |slash| &name[slash + 1..]);
    let Some((_, local)) = after.split_once('.') else { return after.to_owned() };
    let parts: Vec<&str> = local.split('.').collect();
    let is_method = parts.first().is_some_and(|first| first.starts_with('('));
    // A method of a plain type reads `T.M`; a closure is a number, `func1`, `gowrap2` or `deferwrap1` behind the function.
    let made = |part: &str| {
        ["func", "gowrap", "deferwrap", "range"].iter().any(|prefix| part.starts_with(prefix))
            || part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    let second = parts.get(1).filter(|part| is_method || !made(part));
    match second {
        Some(second) => format!("{}.{}", parts[0], second.split('-').next().unwrap_or(second)),
        None => parts[0].split('-').next().unwrap_or(parts[0]).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_by_the_linkers_names() {
        for (function, expected) in [
            ("main.main", "main"),
            ("main.main.func2.1", "main"),
            ("main.main.gowrap2", "main"),
            ("main.f-range1", "f"),
            ("example.com/p.(*Server).attach.func2.1", "(*Server).attach"),
            ("example.com/p.T.Get", "T.Get"),
            ("example.com/p.gen[...]", "gen"),
            ("gopkg.in/yaml%2ev3.Unmarshal", "Unmarshal"),
        ] {
            assert_eq!(declaration(&Frame { function: function.to_owned(), ..Frame::default() }), expected);
        }
    }
}

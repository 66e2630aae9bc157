//! Rules over lifetimes of descriptors. One file a rule; its comment is its page.

mod k101;
mod k102;
mod k103;
mod k104;

use residue_finding::{AcquireSite, Finding, Position, RuleMeta, Site, StepRole};

use crate::event::{self, Frame};
use crate::report::{Class, Report, caller};

/// The rules, in order of their codes.
pub const ALL: &[&RuleMeta] = &[&k101::META, &k102::META, &k103::META, &k104::META];

/// Frames of a stack that a finding tells, at most.
const FRAMES_MAX: usize = 12;

/// What the rules find in a report.
pub fn findings(report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    for find in [k101::find, k102::find, k103::find, k104::find] {
        find(report, &mut findings);
    }
    findings
}

/// A finding about a stack: its place is the first frame of the program's own code, and the way there its steps.
fn finding(rule: &RuleMeta, message: String, site: &event::Site) -> Finding {
    let at = caller(&site.frames).cloned().unwrap_or_default();
    let mut finding = Finding::new(rule, message, place(&at));
    finding.label = format!("{} here", if site.role == event::Role::Opens { "opened" } else { "closed" });
    finding.subject = if site.command.is_empty() { site.call.clone() } else { site.command.clone() };
    finding.resource = format!("{} descriptor", site.kind);
    if !at.package.is_empty() {
        let (import_path, file) = (at.package.clone(), at.base().to_owned());
        finding.acquire = Some(AcquireSite { import_path, file, line: at.line, declaration: declaration(&at) });
    }
    let own = site.frames.iter().skip_while(|frame| **frame != at).skip(1);
    for frame in own.filter(|frame| !frame.package.is_empty() && frame.package != "runtime").take(FRAMES_MAX) {
        finding.step(StepRole::Note, place(frame), format!("called by {}", frame.function));
    }
    finding
}

/// A second stack in a finding: who did the other thing.
fn tell(finding: &mut Finding, role: StepRole, what: &str, site: &event::Site) {
    if let Some(at) = caller(&site.frames) {
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

//! What is wrong in a process, as findings: the rules of family P.
//!
//! They say what is kept and by what, never that it is kept too long: only the program knows that. Hence thresholds, and
//! words that leave the judgement to the reader.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use residue_finding::{Confidence, Family, Finding, Help, Holder, Join, RuleCode, RuleMeta, Severity, Site};
use residue_report::{plural, shown_name as visible};
use residue_runtime::heap::{Finalizers, Heap, NoteKind, State};
use residue_target::Kind;
use serde::Serialize;

use super::text::{grouped, time};
use super::{Shown, fds, why};

/// Descriptors that one container keeps, before that is worth a word.
const DESCRIPTORS_MIN: u64 = 64;
/// Objects with finalizers that package variables keep, before that is worth a word.
const KEPT_MIN: u64 = 64;
/// A function that is called when objects die may take as long.
const BLOCKED_MIN: Duration = Duration::from_secs(10);
/// Numbers that a finding lists.
const NUMBERS_MAX: usize = 64;

static CONTAINER: RuleMeta = RuleMeta {
    code: RuleCode::new("P301"),
    name: "descriptors-kept-by-container",
    summary: "many open descriptors are kept by one map, slice or channel",
    family: Family::Process,
    cwe: &[772, 775],
    severity: Severity::Warning,
    confidence: Confidence::Medium,
    default_on: true,
    joins: &[Join::Holder],
    docs: "",
};

static BLOCKED: RuleMeta = RuleMeta {
    code: RuleCode::new("P302"),
    name: "finalizer-goroutine-blocked",
    summary: "the goroutine that calls finalizers or cleanups is blocked in one of them",
    family: Family::Process,
    cwe: &[833, 772],
    severity: Severity::Error,
    confidence: Confidence::High,
    default_on: true,
    joins: &[Join::Holder],
    docs: "",
};

static NEVER: RuleMeta = RuleMeta {
    code: RuleCode::new("P303"),
    name: "finalizer-never-runs",
    summary: "objects lead to themselves, so their finalizers are never called",
    family: Family::Process,
    cwe: &[772],
    severity: Severity::Error,
    confidence: Confidence::High,
    default_on: true,
    joins: &[Join::Holder],
    docs: "",
};

static KEPT: RuleMeta = RuleMeta {
    code: RuleCode::new("P304"),
    name: "finalizers-kept-by-variable",
    summary: "many objects that are to be cleaned up when they die are kept by a package variable",
    family: Family::Process,
    cwe: &[772],
    severity: Severity::Note,
    confidence: Confidence::Medium,
    default_on: true,
    joins: &[Join::Holder],
    docs: "",
};

#[derive(Serialize)]
pub(super) struct FindingJson<'a> {
    rule: String,
    name: &'static str,
    severity: &'static str,
    confidence: &'static str,
    message: &'a str,
    resource: &'a str,
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<HolderJson<'a>>,
}

#[derive(Serialize)]
struct HolderJson<'a> {
    root: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    descriptors: &'a [u32],
}

/// What is wrong.
pub(super) fn find(shown: &Shown<'_>, heap: &mut Heap<'_>, table: &fds::Table) -> Vec<Finding> {
    let finalizers = heap.finalizers(shown.report);
    let mut findings = Vec::new();
    blocked(shown, &finalizers, &mut findings);
    never(shown, &finalizers, &mut findings);
    let covered = containers(shown, heap, table, &mut findings);
    kept(shown, &finalizers, &covered, &mut findings);
    findings
}

fn finding(rule: &RuleMeta, message: String, subject: &str) -> Finding {
    let mut finding = Finding::new(rule, message, Site::default());
    finding.subject = subject.to_owned();
    finding
}

fn holder(shown: &Shown<'_>, root: &str, kind: Option<&str>) -> Holder {
    Holder {
        program: shown.target.program_path.to_string_lossy().into_owned(),
        pid: match shown.target.kind {
            Kind::Process(pid) => Some(pid),
            Kind::Core => None,
        },
        root: root.to_owned(),
        kind: kind.map(str::to_owned),
        ..Holder::default()
    }
}

fn help(message: impl Into<String>) -> Option<Help> {
    Some(Help { message: message.into(), edits: Vec::new() })
}

fn blocked(shown: &Shown<'_>, finalizers: &Finalizers, findings: &mut Vec<Finding>) {
    let queued: u64 = finalizers.queued.values().sum();
    let queued_cleanups: u64 = finalizers.queued_cleanups.values().sum();
    for runner in finalizers.runners.iter().filter(|runner| runner.blocked) {
        let waits = if runner.finalizers { queued } else { queued_cleanups };
        // A wait that just began is no fault, unless others pile up behind it.
        if waits <= 1 && runner.waiting.is_none_or(|waiting| waiting < BLOCKED_MIN) {
            continue;
        }
        let calls = runner.calls.as_deref().unwrap_or("a function");
        let what = if runner.finalizers { "finalizer" } else { "cleanup" };
        let behind = plural(waits.saturating_sub(1) as usize, what);
        let since = runner.waiting.map(|waiting| format!(" for {}", time(waiting))).unwrap_or_default();
        let message = format!("the {what} goroutine is blocked{since} in {calls}; {behind} behind it can't run");
        let mut found = finding(&BLOCKED, message, calls);
        found.resource = format!("{what} goroutine");
        let reason = runner.wait_reason.as_deref().unwrap_or("a system call");
        let place = runner.place.as_ref().map(|(file, line)| format!(" at {file}:{line}")).unwrap_or_default();
        found.notes.push(format!("goroutine {} waits: {reason}{place}", runner.goroutine));
        if runner.finalizers {
            found.notes.push("one goroutine calls all finalizers, one after the other".to_owned());
        }
        found.help = help("start a goroutine in the function, or do there nothing that can block");
        found.holder = Some(holder(shown, &format!("goroutine {}", runner.goroutine), None));
        findings.push(found);
    }
}

fn never(shown: &Shown<'_>, finalizers: &Finalizers, findings: &mut Vec<Finding>) {
    for group in &finalizers.groups {
        let of = |state| group.states.get(&state).copied().unwrap_or(0);
        let (cycle, own) = (of(State::Cycle), of(State::OwnFunction));
        if cycle + own == 0 || group.kind == NoteKind::Weak {
            continue;
        }
        let kind = group.object_type.as_deref().unwrap_or("unknown type");
        let function = group.function.as_deref().unwrap_or("unknown function");
        let count = plural((cycle + own) as usize, group.kind.name());
        let verb = if cycle + own == 1 { "is" } else { "are" };
        let mut found = finding(&NEVER, format!("{count} of {kind} {verb} never called"), function);
        found.resource = kind.to_owned();
        if cycle > 0 {
            found.notes.push(format!("{} lead to themselves by way of other objects", grouped(cycle as usize)));
        }
        if own > 0 {
            found.notes.push(format!("{} are held by the function itself, {function}", grouped(own as usize)));
        }
        found.notes.push(format!("look at one: residue inspect TARGET object {:#x}", group.example));
        found.help = help(if cycle > 0 {
            "set it on an object of its own that nothing in the cycle contains, or use runtime.AddCleanup"
        } else {
            "let the function capture what it needs, not the object"
        });
        found.holder = Some(holder(shown, "itself", Some(kind)));
        findings.push(found);
    }
}

/// Descriptors that one container keeps; the roots that were told.
fn containers(shown: &Shown<'_>, heap: &mut Heap<'_>, table: &fds::Table, findings: &mut Vec<Finding>) -> Vec<String> {
    let mut covered = Vec::new();
    let kinds: BTreeMap<u32, String> = table.open().map(|(number, kind)| (number, kind.to_owned())).collect();
    let held: Vec<(u32, u64)> = table.held().filter(|(number, _)| kinds.contains_key(number)).collect();
    let objects = heap.objects_at(held.iter().map(|(_, address)| *address));
    if (objects.len() as u64) < DESCRIPTORS_MIN {
        return covered;
    }
    let why = heap.why(&objects);
    for holding in why.holdings.iter().filter(|holding| holding.objects >= DESCRIPTORS_MIN) {
        let (path, Some(at)) = (&holding.path, holding.container) else { continue };
        let container = path.steps[..=at].iter().rev().find(|step| !step.internal).and_then(|step| step.kind.clone());
        let last = path.steps.last().map(|step| step.address);
        let kind = held.iter().find(|(_, address)| Some(*address) == last).and_then(|(number, _)| kinds.get(number));
        let what = kind.map_or("open", String::as_str);
        let name = container.as_deref().unwrap_or("one container");
        let count = grouped(holding.objects as usize);
        let mut found = finding(&CONTAINER, format!("{count} {what} descriptors are kept by {name}"), &path.root);
        found.resource = what.to_owned();
        found.notes.push(format!("root  {}", path.root));
        found.notes.push(format!("path  {}", why::one_line(path)));
        found
            .notes
            .push("they are open as long as the container has them: nothing closes what can still be used".to_owned());
        let first = held.iter().find(|(_, address)| Some(*address) == last).map_or(0, |(number, _)| *number);
        found.help = help(format!("residue inspect TARGET why fd:{first}    see one of them with all it is held by"));
        let mut holder = holder(shown, &path.root, path.steps.last().and_then(|step| step.kind.as_deref()));
        holder.container = container;
        holder.descriptors = held.iter().map(|(number, _)| *number).take(NUMBERS_MAX).collect();
        found.holder = Some(holder);
        covered.push(path.root.clone());
        findings.push(found);
    }
    covered
}

fn kept(shown: &Shown<'_>, finalizers: &Finalizers, covered: &[String], findings: &mut Vec<Finding>) {
    for group in finalizers.groups.iter().filter(|group| group.kind != NoteKind::Weak) {
        let Some((root, count)) = group.kept_by.first() else { continue };
        if *count < KEPT_MIN || !root.starts_with("package variable") || covered.contains(root) {
            continue;
        }
        let kind = group.object_type.as_deref().unwrap_or("unknown type");
        let (what, count) = (group.kind.name(), grouped(*count as usize));
        let mut found = finding(&KEPT, format!("{count} objects with a {what} ({kind}) are kept by {root}"), root);
        found.resource = kind.to_owned();
        found.notes.push(format!("their {what} waits for the objects to become unreachable"));
        found.help = help(format!("residue inspect TARGET why {kind}"));
        found.holder = Some(holder(shown, root, Some(kind)));
        findings.push(found);
    }
}

pub(super) fn json(findings: &[Finding]) -> Vec<FindingJson<'_>> {
    findings.iter().map(finding_json).collect()
}

fn finding_json(finding: &Finding) -> FindingJson<'_> {
    FindingJson {
        rule: finding.rule.to_string(),
        name: meta(finding.rule).map_or("", |rule| rule.name),
        severity: finding.severity.as_str(),
        confidence: finding.confidence.as_str(),
        message: &finding.message,
        resource: &finding.resource,
        notes: &finding.notes,
        help: finding.help.as_ref().map(|help| &*help.message),
        holder: finding.holder.as_ref().map(|holder| HolderJson {
            root: &holder.root,
            container: holder.container.as_deref(),
            kind: holder.kind.as_deref(),
            descriptors: &holder.descriptors,
        }),
    }
}

fn meta(code: RuleCode) -> Option<&'static RuleMeta> {
    [&CONTAINER, &BLOCKED, &NEVER, &KEPT].into_iter().find(|rule| rule.code == code)
}

pub(super) fn text(findings: &[Finding], target: &str, out: &mut dyn Write) -> io::Result<()> {
    for finding in findings {
        writeln!(out, "\n{}[{}]: {}", finding.severity, finding.rule, visible(&finding.message))?;
        for note in &finding.notes {
            writeln!(out, "  {}", visible(&note.replace("TARGET", target)))?;
        }
        if let Some(help) = &finding.help {
            writeln!(out, "  help: {}", visible(&help.message.replace("TARGET", target)))?;
        }
    }
    Ok(())
}

//! What was found, for programs: `docs/schema/inspect.schema.json` describes it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use residue_report::shown as masked;
use residue_runtime::{Deferred, Frame, Goroutine, Panic, Role, Word};
use residue_target::Kind;
use serde::Serialize;

use super::{Answer, Shown, View, missing, raised_at};

/// Changes when what is there changes its meaning.
pub(super) const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    program: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    go_version: &'a str,
    arch: &'static str,
    stripped: bool,
    /// Those that the process has loaded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plugins: Vec<PluginJson<'a>>,
    layouts: Layouts<'a>,
    /// What was stopped: `full`, `roots`, `none`; `core` for a core.
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    up_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frozen_us: Option<u128>,
    counts: Counts,
    /// What the core lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
    inconsistencies: &'a BTreeMap<&'static str, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goroutines: Option<Vec<GoroutineJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heap: Option<super::heap::HeapJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finalizers: Option<super::finalizers::FinalizersJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<super::why::WhyJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<super::object::ObjectJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    descriptors: Option<Vec<super::fds::FdJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ebpf: Option<super::pins::EbpfJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<super::rules::FindingJson<'a>>>,
}

#[derive(Serialize)]
struct PluginJson<'a> {
    path: &'a str,
    /// Its functions are known.
    readable: bool,
}

#[derive(Serialize)]
struct Layouts<'a> {
    from: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    neighbour: Option<&'a str>,
}

#[derive(Serialize)]
struct Counts {
    goroutines: usize,
    dead: usize,
    deferred: usize,
    panics: usize,
}

#[derive(Serialize)]
struct GoroutineJson<'a> {
    id: u64,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_ms: Option<u128>,
    system: bool,
    cgo: bool,
    locked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<FrameJson<'a>>,
    stack: Vec<FrameJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_cut: Option<&'static str>,
    phase: &'static str,
    deferred: Vec<DeferredJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deferred_cut: Option<&'static str>,
    panics: Vec<PanicJson<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
pub(super) struct FrameJson<'a> {
    function: &'a str,
    file: &'a str,
    line: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    inlined: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deferred_call: bool,
}

#[derive(Serialize)]
struct DeferredJson<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FrameJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deferred_by: Option<FrameJson<'a>>,
    started: bool,
    words: Vec<WordJson<'a>>,
}

#[derive(Serialize)]
struct PanicJson<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    raised_at: Option<FrameJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<WordJson<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum WordJson<'a> {
    Zero,
    Number,
    Func,
    Stack,
    Variable,
    Constant,
    Heap,
    Text {
        len: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        digest: Option<&'a str>,
    },
    Slice {
        len: u64,
        capacity: u64,
    },
}

pub(super) fn write(shown: &Shown<'_>, view: View, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &document(shown, view)).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// All that the view shows.
pub(super) fn document<'a>(shown: &'a Shown<'_>, view: View) -> impl Serialize + 'a {
    let all = &shown.report.goroutines;
    let listed = shown.goroutines().filter(|goroutine| {
        view == View::Goroutines
            || view == View::Stack
            || view == View::Panics && !goroutine.panics.is_empty()
            || view == View::Defers
                && (!goroutine.deferred.is_empty() || !goroutine.panics.is_empty() || goroutine.in_deferred.is_some())
    });
    let plugins = shown.binary.plugins().iter();
    Document {
        schema: VERSION,
        program: shown.target.program_path.to_string_lossy().into_owned(),
        pid: match shown.target.kind {
            Kind::Process(pid) => Some(pid),
            Kind::Core => None,
        },
        go_version: &shown.report.version,
        arch: shown.binary.elf.arch.name(),
        stripped: shown.binary.is_stripped(),
        plugins: plugins.map(|plugin| PluginJson { path: &plugin.path, readable: plugin.elf().is_some() }).collect(),
        layouts: Layouts {
            from: match shown.report.basis {
                residue_gobin::Basis::Dwarf => "dwarf",
                residue_gobin::Basis::Table => "table",
                residue_gobin::Basis::Neighbour(_) => "neighbour",
            },
            neighbour: shown.report.basis.neighbour(),
        },
        mode: shown.mode(),
        up_seconds: shown.target.uptime().map(|up| up.as_secs()),
        frozen_us: shown.report.frozen.map(|frozen| frozen.as_micros()),
        counts: Counts {
            goroutines: all.len(),
            dead: shown.report.dead,
            deferred: all.iter().map(|goroutine| goroutine.deferred.len()).sum(),
            panics: all.iter().map(|goroutine| goroutine.panics.len()).sum(),
        },
        missing: missing(shown.target),
        inconsistencies: &shown.report.inconsistencies,
        stack: match shown.answer {
            Answer::Stack(view) => serde_json::to_value(super::stack::document(shown, view)).ok(),
            _ => None,
        },
        heap: shown.heap.map(|heap| super::heap::json(heap, view == View::Heap, shown.answer.retained())),
        finalizers: shown
            .heap
            .filter(|_| matches!(view, View::Summary | View::Finalizers))
            .map(|heap| super::finalizers::json(shown, heap)),
        why: match shown.answer {
            Answer::Why(why) => Some(super::why::json(why)),
            _ => None,
        },
        object: match shown.answer {
            Answer::Object(object) => Some(super::object::json(object)),
            _ => None,
        },
        descriptors: match shown.answer {
            Answer::Fds(table) => Some(super::fds::json(table)),
            _ => None,
        },
        ebpf: match shown.answer {
            Answer::Fds(table) => table.pins.as_ref().map(|pins| super::pins::json(pins, table.rows())),
            _ => None,
        },
        findings: match shown.answer {
            Answer::Summary(_, findings) => Some(super::rules::json(findings)),
            _ => None,
        },
        goroutines: matches!(view, View::Goroutines | View::Defers | View::Panics | View::Stack)
            .then(|| listed.map(|goroutine| goroutine_json(shown, goroutine)).collect()),
    }
}

fn goroutine_json<'a>(shown: &'a Shown<'_>, goroutine: &'a Goroutine) -> GoroutineJson<'a> {
    let report = shown.report;
    let mut stack = Vec::new();
    for (index, pc) in goroutine.stack.iter().enumerate() {
        let in_deferred = goroutine.in_deferred == Some(index);
        stack.extend(
            report
                .at(*pc)
                .iter()
                .map(|frame| FrameJson { deferred_call: in_deferred && !frame.inlined, ..frame_json(frame) }),
        );
    }
    GoroutineJson {
        id: goroutine.id,
        status: goroutine.status.name(),
        wait_reason: goroutine.wait_reason.as_deref(),
        waiting_ms: goroutine.waiting.map(|waiting| waiting.as_millis()),
        system: goroutine.role == Role::System,
        cgo: goroutine.cgo,
        locked: goroutine.locked,
        parent: (goroutine.parent != 0).then_some(goroutine.parent),
        created_at: goroutine.created_at.and_then(|pc| report.at(pc).first()).map(frame_json),
        stack,
        stack_cut: goroutine.stack_cut,
        phase: goroutine.phase.name(),
        deferred: goroutine.deferred.iter().map(|deferred| deferred_json(shown, goroutine, deferred)).collect(),
        deferred_cut: goroutine.deferred_cut,
        panics: goroutine
            .panics
            .iter()
            .enumerate()
            .map(|(index, panic)| panic_json(shown, goroutine, index, panic))
            .collect(),
        labels: goroutine.labels.iter().map(|(key, value)| (&**key, masked(value))).collect(),
    }
}

pub(super) fn frame_json(frame: &Frame) -> FrameJson<'_> {
    FrameJson {
        function: &frame.function,
        file: &frame.file,
        line: frame.line,
        inlined: frame.inlined,
        deferred_call: false,
    }
}

fn deferred_json<'a>(shown: &'a Shown<'_>, goroutine: &Goroutine, deferred: &'a Deferred) -> DeferredJson<'a> {
    let last = |pc: &u64| shown.report.at(*pc).last().map(frame_json);
    DeferredJson {
        kind: deferred.kind.name(),
        function: deferred.function.as_ref().and_then(last),
        deferred_by: deferred.frame.and_then(|index| goroutine.stack.get(index)).and_then(last),
        started: deferred.started,
        words: deferred.words.iter().map(word_json).collect(),
    }
}

fn panic_json<'a>(shown: &'a Shown<'_>, goroutine: &Goroutine, index: usize, panic: &'a Panic) -> PanicJson<'a> {
    PanicJson {
        raised_at: raised_at(shown.report, goroutine, index).map(frame_json),
        state: panic.state.name(),
        value_type: panic.value_type.as_deref(),
        text: panic.text.as_ref().map(word_json),
    }
}

/// Texts and numbers are never revealed here: a file stays.
pub(super) fn word_json(word: &Word) -> WordJson<'_> {
    match word {
        Word::Zero => WordJson::Zero,
        Word::Number { .. } => WordJson::Number,
        Word::Func(_) => WordJson::Func,
        Word::Stack => WordJson::Stack,
        Word::Variable => WordJson::Variable,
        Word::Constant => WordJson::Constant,
        Word::Heap => WordJson::Heap,
        Word::Text { len, digest, .. } => WordJson::Text { len: *len, digest: digest.as_deref() },
        Word::Slice { len, capacity } => WordJson::Slice { len: *len, capacity: *capacity },
    }
}

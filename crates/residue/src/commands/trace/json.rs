//! What was found, for programs: `docs/schema/trace.schema.json` describes it.

use std::io::{self, Write};

use residue_fd::container::Container;
use residue_fd::event::{BY_EBPF, BY_PROC, Frame, Live, Losses, Site};
use residue_fd::{BadClose, InContainer, Leak, Opener, Report, Unwound};
use residue_report::shown_name as visible;
use serde::Serialize;

use super::Shown;
use super::against::Against;

/// Changes when what is there changes its meaning.
pub(super) const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    by: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unseen: &'a [String],
    elapsed_ms: u64,
    processes: usize,
    command_exited: bool,
    opens: u64,
    closes: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    containers: Vec<InContainerJson<'a>>,
    openers: Vec<OpenerJson<'a>>,
    bad_closes: Vec<BadCloseJson<'a>>,
    panics: Vec<PanicJson<'a>>,
    origin_unknown: Vec<&'a Live>,
    losses: Losses,
    findings: Vec<FindingJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<AgainstJson<'a>>,
}

#[derive(Serialize)]
struct OpenerJson<'a> {
    #[serde(flatten)]
    site: &'a Site,
    #[serde(flatten)]
    state: StateJson,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unwound: Vec<UnwoundJson<'a>>,
    pids: Vec<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    containers: Vec<OpenInJson<'a>>,
    examples: &'a [Live],
}

#[derive(Serialize)]
struct OpenInJson<'a> {
    #[serde(flatten)]
    container: &'a Container,
    live: u64,
}

#[derive(Serialize)]
struct InContainerJson<'a> {
    /// Absent for what is in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a Container>,
    processes: usize,
    live: u64,
    leaked: u64,
}

/// How an opener stands.
#[derive(Serialize)]
pub(super) struct StateJson {
    opened: u64,
    closed: u64,
    ended: u64,
    live: u64,
    growth: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_ms: Option<u64>,
    class: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    leak: Option<&'static str>,
    closed_by_collector: u64,
}

#[derive(Serialize)]
pub(super) struct BadCloseJson<'a> {
    kind: &'static str,
    count: u64,
    pid: u32,
    fd: u32,
    goid: u64,
    closer: &'a Site,
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<&'a Site>,
}

#[derive(Serialize)]
struct PanicJson<'a> {
    count: u64,
    recovered: u64,
    site: &'a Site,
}

#[derive(Serialize)]
struct UnwoundJson<'a> {
    count: u64,
    pid: u32,
    fd: u32,
    goid: u64,
    holder: &'a Frame,
    panic: &'a Site,
}

#[derive(Serialize)]
pub(super) struct FindingJson<'a> {
    rule: &'a str,
    severity: &'static str,
    confidence: &'static str,
    message: String,
    path: String,
    line: u32,
    import_path: &'a str,
    declaration: &'a str,
    notes: Vec<String>,
    fingerprint: String,
}

#[derive(Serialize)]
pub(super) struct AgainstJson<'a> {
    findings: Vec<StaticJson<'a>>,
    /// Messages of leaks that belong to none of them.
    missed: Vec<String>,
}

#[derive(Serialize)]
struct StaticJson<'a> {
    rule: &'a str,
    fingerprint: &'a str,
    import_path: &'a str,
    file: &'a str,
    line: u32,
    status: &'static str,
    opens: u64,
    left: u64,
}

pub(super) fn write(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let report = shown.report;
    let panics = report.panics.iter().map(|panic| PanicJson {
        count: panic.count,
        recovered: panic.recovered,
        site: &panic.site,
    });
    let document = Document {
        schema: VERSION,
        by: if report.sampled { BY_PROC } else { BY_EBPF },
        unseen: &report.unseen,
        elapsed_ms: report.elapsed_ns / 1_000_000,
        processes: report.processes,
        command_exited: report.exited,
        opens: report.opens,
        closes: report.closes,
        containers: report.containers.iter().map(in_container).collect(),
        openers: report.openers.iter().map(opener).collect(),
        bad_closes: report.bad_closes.iter().map(bad_close).collect(),
        panics: panics.collect(),
        origin_unknown: report.unknown.iter().collect(),
        losses: report.losses,
        findings: shown.outcome.findings.iter().map(finding).collect(),
        against: shown.against.as_ref().map(|known| against(known, report)),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

fn opener(opener: &Opener) -> OpenerJson<'_> {
    OpenerJson {
        site: &opener.site,
        state: state(opener),
        unwound: opener.unwound.iter().map(unwound).collect(),
        pids: opener.pids.iter().copied().collect(),
        containers: opener.containers.iter().map(|(container, live)| OpenInJson { container, live: *live }).collect(),
        examples: &opener.examples,
    }
}

fn in_container(one: &InContainer) -> InContainerJson<'_> {
    let InContainer { container, processes, live, leaked } = one;
    InContainerJson { container: container.as_ref(), processes: *processes, live: *live, leaked: *leaked }
}

pub(super) fn state(opener: &Opener) -> StateJson {
    StateJson {
        opened: opener.opened,
        closed: opener.closed,
        ended: opener.ended,
        live: opener.live,
        growth: opener.growth,
        oldest_ms: opener.oldest_ns.map(|age| age / 1_000_000),
        class: opener.class.as_str(),
        leak: opener.leak.map(|leak| match leak {
            Leak::Growing(_) => "growing",
            Leak::NeverClosed(_) => "never-closed",
            Leak::LostInPanic(_) => "lost-in-panic",
        }),
        closed_by_collector: opener.collected,
    }
}

pub(super) fn bad_close(bad: &BadClose) -> BadCloseJson<'_> {
    BadCloseJson {
        kind: if bad.twice { "not-open" } else { "stranger" },
        count: bad.count,
        pid: bad.pid,
        fd: bad.fd,
        goid: bad.goid,
        closer: &bad.closer,
        other: bad.other.as_ref(),
    }
}

pub(super) fn against<'a>(against: &'a Against, report: &Report) -> AgainstJson<'a> {
    let row = |(known, status): (&'a super::against::Known, _)| {
        let (opens, left) = super::against::numbers(status);
        StaticJson {
            rule: &known.rule,
            fingerprint: &known.fingerprint,
            import_path: &known.site.import_path,
            file: &known.site.file,
            line: known.site.line,
            status: status.as_str(),
            opens,
            left,
        }
    };
    let missed = against.joined.missed.iter();
    AgainstJson {
        findings: against.rows().map(row).collect(),
        missed: missed.map(|at| super::text::path(&report.openers[*at].site.frames)).collect(),
    }
}

fn unwound(unwound: &Unwound) -> UnwoundJson<'_> {
    UnwoundJson {
        count: unwound.count,
        pid: unwound.pid,
        fd: unwound.fd,
        goid: unwound.goid,
        holder: &unwound.holder,
        panic: &unwound.panic,
    }
}

pub(super) fn finding(finding: &residue_finding::Finding) -> FindingJson<'_> {
    FindingJson {
        rule: finding.rule.as_str(),
        severity: finding.severity.as_str(),
        confidence: finding.confidence.as_str(),
        message: visible(&finding.message),
        path: visible(&finding.site.path),
        line: finding.site.start.line,
        import_path: &finding.site.import_path,
        declaration: &finding.site.declaration,
        notes: finding.notes.iter().map(|note| visible(note)).collect(),
        fingerprint: finding.fingerprint.to_string(),
    }
}

//! `residue bpf`: the eBPF objects of the kernel and what keeps them.

mod dot;
mod json;
mod saved;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use residue_ebpf::inventory::{self, Options};
use residue_fd::objects::{Equation, Holder, Inventory, Keeping, Kind, Method, ObjectId, Root, Summary};
use residue_finding::Finding;

use crate::args::FailOn;
use crate::error::{Error, Exit};
use crate::output;
use crate::terminal::Terminal;

const AFTER_HELP: &str = "\
A map lives for as long as something has a reference to it. `refs` is what the kernel counts, and what it is made of:
open files (several descriptors can share one), pins, programs, entries of maps, mappings, files in flight between sockets or
registered with io_uring. What is counted and was not found is shown as unknown.

Complete as root, or with CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_SYS_PTRACE. With less it
shows what it can, and says what is hidden.

Examples:
  residue bpf                                  what there is, who has most, what no process keeps
  residue bpf maps                             all maps, with what their references are
  residue bpf map 812                          one map: every descriptor, pin and program that keeps it
  residue bpf attachments                      programs attached without a link: XDP, tc, cgroups
  residue bpf --orphans                        what is kept only by a pin, or by nothing that was found
  residue bpf --format json > before.json
  residue bpf --diff before.json               what has come, gone and grown since
  residue bpf --watch 10                       the same every 10 seconds
  residue bpf --format dot | dot -Tsvg > bpf.svg

Exit codes: 0 shown, 1 findings at or above --fail-on, 2 wrong usage, 3 it could not be read.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct BpfArgs {
    /// What to show
    #[arg(value_enum, default_value_t = View::Summary)]
    view: View,

    /// Show everything about the objects with these ids
    #[arg(value_name = "ID")]
    ids: Vec<u32>,

    /// Show only what no process keeps: kept only by a pin, or by nothing that was found
    #[arg(long, conflicts_with_all = ["diff", "watch"])]
    orphans: bool,

    /// Show what has changed since a file that `--format json` wrote
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    diff: Option<PathBuf>,

    /// Look again every so many seconds and show what has changed; ends with ^C
    #[arg(long, value_name = "SECONDS", conflicts_with = "diff", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    watch: Option<u64>,

    /// The least severity of a finding (K201, …) that makes the exit code 1: error, warning, note or never
    #[arg(long, value_name = "SEVERITY", default_value_t = FailOn::Never, conflicts_with_all = ["diff", "watch"])]
    fail_on: FailOn,

    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// The best way to read that is tried; worse ones need fewer privileges and see less
    #[arg(long, value_enum, default_value_t = ReadBy::Iterators)]
    method: ReadBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum View {
    Summary,
    #[value(alias = "map")]
    Maps,
    #[value(alias = "program", alias = "progs", alias = "prog")]
    Programs,
    #[value(alias = "link")]
    Links,
    Btf,
    /// Programs attached without a link: by netlink (XDP, tc), to devices, cgroups and network namespaces
    #[value(alias = "attachment", alias = "net")]
    Attachments,
}

impl View {
    /// The kind of objects it is of, if it is of one.
    const fn kind(self) -> Option<Kind> {
        match self {
            Self::Summary | Self::Attachments => None,
            Self::Maps => Some(Kind::Map),
            Self::Programs => Some(Kind::Program),
            Self::Links => Some(Kind::Link),
            Self::Btf => Some(Kind::Btf),
        }
    }

    /// Whether objects of a kind are shown.
    fn shows(self, kind: Kind) -> bool {
        self == Self::Summary || self.kind() == Some(kind)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    /// For Graphviz
    Dot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReadBy {
    /// Programs in the kernel: everything
    Iterators,
    /// bpf(2) and /proc: no counts of references, no holders without a descriptor
    ById,
    /// /proc: objects of processes that may be looked at
    Fdinfo,
}

/// What is shown, and what follows from it.
struct Shown<'a> {
    inventory: &'a Inventory,
    holders: BTreeMap<ObjectId, Vec<&'a Holder>>,
    keeping: Keeping,
    /// What rules find among the objects of the view.
    findings: Vec<Finding>,
    view: View,
    ids: &'a [u32],
}

impl<'a> Shown<'a> {
    fn new(inventory: &'a Inventory, view: View, ids: &'a [u32]) -> Self {
        let mut findings = residue_fd::rules::object_findings(inventory);
        let kinds = [Kind::Map, Kind::Program, Kind::Link, Kind::Btf].into_iter().filter(|kind| view.shows(*kind));
        let kinds: Vec<&str> = kinds.map(Kind::name).collect();
        findings.retain(|finding| kinds.iter().any(|kind| finding.resource.ends_with(kind)));
        Self { inventory, holders: inventory.holders(), keeping: Keeping::of(inventory), findings, view, ids }
    }

    fn holders(&self, object: ObjectId) -> &[&'a Holder] {
        self.holders.get(&object).map_or(&[], Vec::as_slice)
    }

    fn equation(&self, object: ObjectId) -> Equation {
        Equation::of(self.inventory, object, self.holders(object))
    }

    fn orphans(&self) -> Vec<Root> {
        let mut roots = self.keeping.orphans(self.inventory);
        roots.retain(|root| self.view.shows(root.object.kind));
        roots
    }

    /// Objects of the view, in order.
    fn objects(&self) -> impl Iterator<Item = ObjectId> {
        let wanted =
            |object: &ObjectId| self.view.shows(object.kind) && (self.ids.is_empty() || self.ids.contains(&object.id));
        self.inventory.objects().filter(wanted)
    }
}

pub(crate) fn run(args: &BpfArgs, terminal: &Terminal) -> Result<Exit, Error> {
    if !args.ids.is_empty() && args.view.kind().is_none() {
        return Err(Error::usage("ids are of one kind of objects").hint("residue bpf map 812"));
    }
    if args.format == Format::Dot && (args.diff.is_some() || args.watch.is_some()) {
        return Err(Error::usage("a difference can't be drawn").hint("--format text or json"));
    }
    if let Some(seconds) = args.watch {
        return watch(args, Duration::from_secs(seconds), terminal);
    }
    let before = args.diff.as_deref().map(saved::read).transpose()?;
    let inventory = read(args)?;
    let shown = Shown::new(&inventory, args.view, &args.ids);
    for id in &args.ids {
        if !shown.objects().any(|object| object.id == *id) {
            let kind = args.view.kind().map_or("object", Kind::name);
            return Err(Error::failed(format!("there is no {kind} {id}")).maybe_hint(inventory.hidden.first()));
        }
    }
    if let Some(before) = before {
        let after = saved::Picture::of(&inventory);
        return show_diff(args, &before, &after).map(|()| Exit::Clean);
    }
    output::stdout(|out| match args.format {
        Format::Text if args.orphans => text::orphans(&shown, out),
        Format::Text => text::write(&shown, out),
        Format::Json => json::write(&shown, args.orphans, out),
        Format::Dot => dot::write(&shown, args.orphans, out),
    })?;
    if args.format == Format::Text && args.view == View::Summary && !args.orphans {
        terminal.hint("`residue bpf maps`, `residue bpf map ID` and `residue bpf --orphans` show more");
    }
    let fails = |finding: &Finding| match args.fail_on {
        FailOn::Severity(least) => finding.severity >= least,
        FailOn::Never => false,
    };
    Ok(if shown.findings.iter().any(fails) { Exit::Findings } else { Exit::Clean })
}

fn read(args: &BpfArgs) -> Result<Inventory, Error> {
    let method = match args.method {
        ReadBy::Iterators => Method::Iterators,
        ReadBy::ById => Method::ById,
        ReadBy::Fdinfo => Method::Fdinfo,
    };
    inventory::read(Options { method }).map_err(|error| Error::failed(error.to_string()))
}

/// Shows what has changed, again and again.
fn watch(args: &BpfArgs, every: Duration, terminal: &Terminal) -> Result<Exit, Error> {
    let mut before = saved::Picture::of(&read(args)?);
    terminal.note(&format!("{} objects; what changes is shown every {} s", before.objects.len(), every.as_secs()));
    loop {
        // Nothing is waited for but the time.
        #[allow(clippy::disallowed_methods)]
        std::thread::sleep(every);
        let after = saved::Picture::of(&read(args)?);
        show_diff(args, &before, &after)?;
        before = after;
    }
}

fn show_diff(args: &BpfArgs, before: &saved::Picture, after: &saved::Picture) -> Result<(), Error> {
    let mut changes = residue_fd::objects::diff(&before.objects, &after.objects);
    changes.retain(|changed| args.view.shows(changed.object.kind));
    if !args.ids.is_empty() {
        changes.retain(|changed| args.ids.contains(&changed.object.id));
    }
    output::stdout(|out| match args.format {
        Format::Json => json::write_diff(before, after, &changes, out),
        Format::Text | Format::Dot => text::write_diff(before, after, &changes, out),
    })
}

/// Bytes of all objects of a kind.
fn memory(objects: &BTreeMap<ObjectId, Summary>, kind: Kind) -> u64 {
    objects.iter().filter(|(object, _)| object.kind == kind).filter_map(|(_, summary)| summary.memory).sum()
}

//! What was found, for programs: docs/schema/bpf.schema.json.

use std::collections::BTreeMap;
use std::io::{self, Write};

use residue_fd::container::{Container, Pod};
use residue_fd::objects::{
    At, Attachment, Change, Changed, Holder, Kind, ObjectId, Point, Summary, attach_type_name, link_type_name,
    map_flag_names, map_type_name, program_type_name,
};
use residue_finding::Finding;
use residue_report::shown_name;
use serde::Serialize;

use super::{Shown, View, saved::Picture};

/// The version of the schema.
pub(super) const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    taken_unix_ms: u64,
    method: &'static str,
    hidden: &'a [String],
    processes: Vec<ProcessJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maps: Option<Vec<MapJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    programs: Option<Vec<ProgramJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Vec<LinkJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    btf: Option<Vec<BtfJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attachments: Option<Vec<AttachmentJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orphans: Option<Vec<RootJson>>,
    findings: Vec<FindingJson>,
}

#[derive(Serialize)]
struct FindingJson {
    rule: String,
    severity: &'static str,
    confidence: &'static str,
    message: String,
    object: String,
    path: String,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct ProcessJson {
    pid: u32,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    go: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Container>,
}

#[derive(Serialize)]
struct RefsJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    counted: Option<u64>,
    seen: BTreeMap<&'static str, u64>,
    unexplained_user: i64,
    unexplained_kernel: i64,
}

#[derive(Serialize)]
struct MapJson<'a> {
    id: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    r#type: String,
    key_bytes: u32,
    value_bytes: u32,
    max_entries: u32,
    flags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frozen: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    btf: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ifindex: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    struct_ops: Option<StructOpsJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usercnt: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    writecnt: Option<u64>,
    kept_by: &'static str,
    refs: RefsJson,
    holders: Vec<HolderJson>,
}

#[derive(Serialize)]
struct ProgramJson<'a> {
    id: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    r#type: String,
    tag: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    loaded_unix_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    translated_bytes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jited_bytes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_instructions: Option<u32>,
    runs: u64,
    run_time_ns: u64,
    maps: &'a [u32],
    #[serde(skip_serializing_if = "Option::is_none")]
    btf: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_program: Option<u32>,
    kept_by: &'static str,
    refs: RefsJson,
    holders: Vec<HolderJson>,
}

#[derive(Serialize)]
struct LinkJson {
    id: u32,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    map: Option<u32>,
    point: PointJson,
    kept_by: &'static str,
    refs: RefsJson,
    holders: Vec<HolderJson>,
}

#[derive(Serialize)]
struct BtfJson<'a> {
    id: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    memory_bytes: u32,
    kernel: bool,
    kept_by: &'static str,
    holders: Vec<HolderJson>,
}

#[derive(Serialize)]
struct AttachmentJson {
    program: u32,
    how: &'static str,
    point: PointJson,
}

#[derive(Serialize)]
struct PointJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    attach_type: Option<String>,
    gone: bool,
    place: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
enum HolderJson {
    Descriptor {
        #[serde(flatten)]
        at: AtJson,
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<usize>,
    },
    Mapping {
        pid: u32,
        start: String,
        end: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<usize>,
    },
    InFlight {
        #[serde(flatten)]
        at: AtJson,
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<usize>,
    },
    IoUring {
        #[serde(flatten)]
        at: AtJson,
        slot: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<usize>,
    },
    Iterator {
        #[serde(flatten)]
        at: AtJson,
    },
    PerfEvent {
        #[serde(flatten)]
        at: AtJson,
    },
    Socket {
        #[serde(flatten)]
        at: AtJson,
        reuseport: bool,
    },
    Pin {
        path: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace_pid: Option<u32>,
        inode: u64,
    },
    Program {
        id: u32,
    },
    Map {
        id: u32,
        entries: u32,
    },
    Link {
        id: u32,
    },
    Attachment {
        how: &'static str,
        point: PointJson,
    },
    Registration {},
}

#[derive(Serialize)]
struct OwnerJson {
    program_type: String,
    jited: bool,
}

#[derive(Serialize)]
struct StructOpsJson<'a> {
    interface: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    state: &'static str,
}

#[derive(Serialize)]
struct AtJson {
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u32>,
    fd: u32,
}

#[derive(Serialize)]
struct IdJson {
    kind: &'static str,
    id: u32,
}

#[derive(Serialize)]
struct RootJson {
    kind: &'static str,
    id: u32,
    kept_by: &'static str,
    pins: Vec<String>,
    below: Vec<IdJson>,
    memory_bytes: u64,
}

/// Writes the objects of the view, or those that no process keeps.
pub(super) fn write(shown: &Shown<'_>, orphans: bool, out: &mut dyn Write) -> io::Result<()> {
    let inventory = shown.inventory;
    let roots = orphans.then(|| shown.orphans());
    let wanted: Option<std::collections::BTreeSet<ObjectId>> = roots
        .as_ref()
        .map(|roots| roots.iter().flat_map(|root| root.below.iter().copied().chain([root.object])).collect());
    let objects: Vec<ObjectId> = match &wanted {
        Some(wanted) => wanted.iter().copied().collect(),
        None => shown.objects().collect(),
    };
    let of = |kind: Kind| objects.iter().filter(move |object| object.kind == kind).map(|object| object.id);
    let shows = |kind: Kind| wanted.is_some() || shown.view.shows(kind);
    let mut files = Files::default();
    let document = Document {
        schema: SCHEMA,
        taken_unix_ms: inventory.taken_unix_ms,
        method: inventory.method.name(),
        hidden: &inventory.hidden,
        processes: inventory
            .processes
            .iter()
            .map(|(pid, process)| ProcessJson {
                pid: *pid,
                name: shown_name(&process.comm),
                go: process.go.as_deref().map(shown_name),
                uid: process.uid,
                cgroup: process.place.as_ref().map(|place| shown_name(&place.cgroup)),
                container: process.place.as_ref().and_then(|place| Some(container(place.container.as_ref()?))),
            })
            .collect(),
        maps: shows(Kind::Map).then(|| of(Kind::Map).filter_map(|id| map(shown, id, &mut files)).collect()),
        programs: shows(Kind::Program)
            .then(|| of(Kind::Program).filter_map(|id| program(shown, id, &mut files)).collect()),
        links: shows(Kind::Link).then(|| of(Kind::Link).filter_map(|id| link(shown, id, &mut files)).collect()),
        btf: shows(Kind::Btf).then(|| of(Kind::Btf).filter_map(|id| btf(shown, id, &mut files)).collect()),
        attachments: (!orphans && matches!(shown.view, View::Summary | View::Attachments)).then(|| {
            let one =
                |one: &Attachment| AttachmentJson { program: one.program, how: one.how, point: point(&one.point) };
            inventory.attachments.iter().map(one).collect()
        }),
        orphans: roots.map(|roots| roots.iter().map(root).collect()),
        findings: shown.findings.iter().map(finding).collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)
}

/// Numbers in place of addresses of the kernel, which are nobody's business.
#[derive(Default)]
struct Files(std::collections::HashMap<u64, usize>);

impl Files {
    fn number(&mut self, file: Option<u64>) -> Option<usize> {
        let next = self.0.len() + 1;
        file.map(|file| *self.0.entry(file).or_insert(next))
    }
}

fn some(id: u32) -> Option<u32> {
    (id != 0).then_some(id)
}

fn map<'a>(shown: &'a Shown<'_>, id: u32, files: &mut Files) -> Option<MapJson<'a>> {
    let map = shown.inventory.maps.get(&id)?;
    let object = ObjectId::map(id);
    Some(MapJson {
        id,
        name: &map.name,
        r#type: map_type_name(map.map_type),
        key_bytes: map.key_size,
        value_bytes: map.value_size,
        max_entries: map.max_entries,
        flags: map_flag_names(map.flags),
        memory_bytes: map.memory,
        frozen: map.frozen,
        btf: some(map.btf_id),
        ifindex: some(map.ifindex),
        owner: map
            .owner
            .map(|owner| OwnerJson { program_type: program_type_name(owner.program_type), jited: owner.jited }),
        struct_ops: map.struct_ops.as_ref().map(|known| StructOpsJson {
            interface: &known.interface,
            name: known.name.as_deref().map(shown_name),
            state: known.state.name(),
        }),
        usercnt: map.counts.map(|counts| counts.user_refs),
        writecnt: map.counts.map(|counts| counts.writers),
        kept_by: shown.keeping.keeper(object).name(),
        refs: refs(shown, object),
        holders: holders(shown, object, files),
    })
}

fn program<'a>(shown: &'a Shown<'_>, id: u32, files: &mut Files) -> Option<ProgramJson<'a>> {
    let program = shown.inventory.programs.get(&id)?;
    let object = ObjectId::program(id);
    Some(ProgramJson {
        id,
        name: &program.name,
        r#type: program_type_name(program.program_type),
        tag: &program.tag,
        loaded_unix_ms: program.loaded_ns.map(|ns| shown.inventory.booted_unix_ms + ns / 1_000_000),
        uid: program.uid,
        memory_bytes: program.memory,
        translated_bytes: program.translated_bytes,
        jited_bytes: program.jited_bytes,
        verified_instructions: program.verified_instructions,
        runs: program.runs,
        run_time_ns: program.run_time_ns,
        maps: &program.maps,
        btf: some(program.btf_id),
        target: program.target.as_deref(),
        target_program: some(program.target_program),
        kept_by: shown.keeping.keeper(object).name(),
        refs: refs(shown, object),
        holders: holders(shown, object, files),
    })
}

fn link(shown: &Shown<'_>, id: u32, files: &mut Files) -> Option<LinkJson> {
    let link = shown.inventory.links.get(&id)?;
    let object = ObjectId::link(id);
    Some(LinkJson {
        id,
        r#type: link_type_name(link.link_type),
        program: some(link.program),
        map: some(link.map),
        point: point(&link.point),
        kept_by: shown.keeping.keeper(object).name(),
        refs: refs(shown, object),
        holders: holders(shown, object, files),
    })
}

fn btf<'a>(shown: &'a Shown<'_>, id: u32, files: &mut Files) -> Option<BtfJson<'a>> {
    let btf = shown.inventory.btfs.get(&id)?;
    let object = ObjectId::btf(id);
    Some(BtfJson {
        id,
        name: &btf.name,
        memory_bytes: btf.size,
        kernel: btf.kernel,
        kept_by: shown.keeping.keeper(object).name(),
        holders: holders(shown, object, files),
    })
}

fn container(container: &Container) -> Container {
    let some = |text: &Option<String>| text.as_deref().map(shown_name);
    let pod = container.pod.as_ref().map(|pod| Pod {
        uid: shown_name(&pod.uid),
        name: some(&pod.name),
        namespace: some(&pod.namespace),
    });
    Container {
        runtime: shown_name(&container.runtime),
        id: shown_name(&container.id),
        name: some(&container.name),
        pod,
    }
}

fn refs(shown: &Shown<'_>, object: ObjectId) -> RefsJson {
    let equation = shown.equation(object);
    RefsJson {
        counted: equation.refs,
        seen: equation.terms.iter().map(|(term, count)| (term.key(), *count)).collect(),
        unexplained_user: equation.unexplained_user,
        unexplained_kernel: equation.unexplained_kernel,
    }
}

fn point(point: &Point) -> PointJson {
    PointJson {
        attach_type: point.attach_type.map(attach_type_name),
        gone: point.gone,
        place: point.place.iter().map(|(key, value)| (*key, shown_name(value))).collect(),
    }
}

fn holders(shown: &Shown<'_>, object: ObjectId, files: &mut Files) -> Vec<HolderJson> {
    let at = |at: &At| AtJson { pid: at.pid, tid: Some(at.tid).filter(|tid| *tid != at.pid), fd: at.fd };
    let one = |holder: &&Holder| match holder {
        Holder::Descriptor { at: place, file } => HolderJson::Descriptor { at: at(place), file: files.number(*file) },
        Holder::Mapping { pid, range, file } => HolderJson::Mapping {
            pid: *pid,
            start: format!("{:#x}", range.0),
            end: format!("{:#x}", range.1),
            file: files.number(*file),
        },
        Holder::InFlight { at: place, file } => HolderJson::InFlight { at: at(place), file: files.number(*file) },
        Holder::Ring { at: place, slot, file } => {
            HolderJson::IoUring { at: at(place), slot: *slot, file: files.number(*file) }
        }
        Holder::Iterator { at: place, .. } => HolderJson::Iterator { at: at(place) },
        Holder::PerfEvent { at: place, .. } => HolderJson::PerfEvent { at: at(place) },
        Holder::Socket { at: place, reuseport, .. } => HolderJson::Socket { at: at(place), reuseport: *reuseport },
        Holder::Pin { path, namespace_pid, inode } => {
            HolderJson::Pin { path: shown_name(path), namespace_pid: *namespace_pid, inode: inode.1 }
        }
        Holder::Program(id) => HolderJson::Program { id: *id },
        Holder::Map { id, entries } => HolderJson::Map { id: *id, entries: *entries },
        Holder::Link(id) => HolderJson::Link { id: *id },
        Holder::Attachment(index) => {
            let attachment = &shown.inventory.attachments[*index];
            HolderJson::Attachment { how: attachment.how, point: point(&attachment.point) }
        }
        Holder::Registration => HolderJson::Registration {},
    };
    shown.holders(object).iter().map(one).collect()
}

fn finding(finding: &Finding) -> FindingJson {
    FindingJson {
        rule: finding.rule.to_string(),
        severity: finding.severity.as_str(),
        confidence: finding.confidence.as_str(),
        message: shown_name(&finding.message),
        object: finding.site.declaration.clone(),
        path: shown_name(&finding.site.path),
        notes: finding.notes.iter().map(|note| shown_name(note)).collect(),
    }
}

fn root(root: &residue_fd::objects::Root) -> RootJson {
    RootJson {
        kind: root.object.kind.name(),
        id: root.object.id,
        kept_by: root.keeper.name(),
        pins: root.pins.iter().map(|pin| shown_name(pin)).collect(),
        below: root.below.iter().map(|object| IdJson { kind: object.kind.name(), id: object.id }).collect(),
        memory_bytes: root.memory,
    }
}

#[derive(Serialize)]
struct DiffJson<'a> {
    schema: u32,
    from_unix_ms: u64,
    to_unix_ms: u64,
    changes: Vec<ChangeJson<'a>>,
}

#[derive(Serialize)]
struct ChangeJson<'a> {
    change: &'static str,
    kind: &'static str,
    id: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    r#type: &'a str,
    now: FiguresJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<FiguresJson>,
}

#[derive(Serialize)]
struct FiguresJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refs: Option<u64>,
    descriptors: u64,
    pins: u64,
}

impl From<&Summary> for FiguresJson {
    fn from(summary: &Summary) -> Self {
        Self { memory_bytes: summary.memory, refs: summary.refs, descriptors: summary.descriptors, pins: summary.pins }
    }
}

/// Writes what has changed, in one line.
pub(super) fn write_diff(
    before: &Picture,
    after: &Picture,
    changes: &[Changed],
    out: &mut dyn Write,
) -> io::Result<()> {
    let one = |changed: &'_ Changed| {
        let (change, before) = match &changed.change {
            Change::Added => ("added", None),
            Change::Removed => ("removed", None),
            Change::Grown(was) => ("changed", Some(FiguresJson::from(was))),
        };
        (change, before)
    };
    let document = DiffJson {
        schema: SCHEMA,
        from_unix_ms: before.taken_unix_ms,
        to_unix_ms: after.taken_unix_ms,
        changes: changes
            .iter()
            .map(|changed| {
                let (change, before) = one(changed);
                ChangeJson {
                    change,
                    kind: changed.object.kind.name(),
                    id: changed.object.id,
                    name: &changed.summary.name,
                    r#type: &changed.summary.type_name,
                    now: FiguresJson::from(&changed.summary),
                    before,
                }
            })
            .collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)
}

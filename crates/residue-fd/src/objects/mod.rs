//! eBPF objects of the kernel and what keeps them: the model that every way of reading fills, and what follows from it.
//!
//! An [`Inventory`] is a picture taken at one time. Who holds what is one flat list of [`Hold`]s, so that a further kind of
//! holder is a further variant and nothing else. From it follow the [`Equation`] of an object's references, what an object
//! is kept by in the end ([`Keeping`]), and the difference between two pictures ([`diff`]).

mod diff;
mod equation;
mod keeping;
mod names;

use std::collections::BTreeMap;
use std::fmt;

use crate::container::Place;

pub use diff::{Change, Changed, Summary, diff};
pub use equation::{Equation, Term};
pub use keeping::{Keeper, Keeping, Root};
pub use names::{attach_type_name, link_type_name, link_type_number, map_flag_names, map_type_name, program_type_name};

/// Types of maps whose values are other objects: include/uapi/linux/bpf.h, `enum bpf_map_type`.
pub const MAP_TYPE_PROG_ARRAY: u32 = 3;
/// See [`MAP_TYPE_PROG_ARRAY`].
pub const MAP_TYPE_ARRAY_OF_MAPS: u32 = 12;
/// See [`MAP_TYPE_PROG_ARRAY`].
pub const MAP_TYPE_HASH_OF_MAPS: u32 = 13;

/// See [`MAP_TYPE_PROG_ARRAY`]: devices and processors to which packets are redirected, with a program for each if you like.
pub const MAP_TYPES_REDIRECT: [u32; 3] = [14, 16, 25];
/// A map that implements an interface of the kernel: its functions are programs.
pub const MAP_TYPE_STRUCT_OPS: u32 = 26;

/// Types of links: include/uapi/linux/bpf.h, `enum bpf_link_type`.
pub const LINK_TYPE_NETNS: u32 = 5;
/// See [`LINK_TYPE_NETNS`].
pub const LINK_TYPE_XDP: u32 = 6;
/// See [`LINK_TYPE_NETNS`].
pub const LINK_TYPE_STRUCT_OPS: u32 = 9;

/// What kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A map.
    Map,
    /// A program.
    Program,
    /// What attaches a program to an event.
    Link,
    /// Type information of maps and programs.
    Btf,
}

impl Kind {
    /// The word every format uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Program => "program",
            Self::Link => "link",
            Self::Btf => "btf",
        }
    }
}

/// One object: ids are unique within a kind, until the counter of the kernel wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// What kind of object.
    pub kind: Kind,
    /// Its id.
    pub id: u32,
}

impl ObjectId {
    /// The map with that id.
    pub const fn map(id: u32) -> Self {
        Self { kind: Kind::Map, id }
    }

    /// The program with that id.
    pub const fn program(id: u32) -> Self {
        Self { kind: Kind::Program, id }
    }

    /// The link with that id.
    pub const fn link(id: u32) -> Self {
        Self { kind: Kind::Link, id }
    }

    /// The BTF object with that id.
    pub const fn btf(id: u32) -> Self {
        Self { kind: Kind::Btf, id }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.id)
    }
}

/// By what means an inventory was read; the later, the less it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Iterators in the kernel: all holders, counts of references.
    Iterators,
    /// bpf(2) by id, and /proc: no counts, and no holders without a descriptor or pin.
    ById,
    /// /proc alone: objects that a process which may be looked into has a descriptor of.
    Fdinfo,
}

impl Method {
    /// The word every format uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iterators => "iterators",
            Self::ById => "by-id",
            Self::Fdinfo => "fdinfo",
        }
    }
}

/// All eBPF objects at one time, and what was seen to keep them.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// How it was read.
    pub method: Method,
    /// When, in milliseconds since 1970.
    pub taken_unix_ms: u64,
    /// When the machine was started, in milliseconds since 1970: what load times count from.
    pub booted_unix_ms: u64,
    /// By id.
    pub maps: BTreeMap<u32, Map>,
    /// By id.
    pub programs: BTreeMap<u32, Program>,
    /// By id.
    pub links: BTreeMap<u32, Link>,
    /// By id; those of the kernel and its modules too.
    pub btfs: BTreeMap<u32, Btf>,
    /// Who holds what.
    pub holds: Vec<Hold>,
    /// Programs attached otherwise than by a link.
    pub attachments: Vec<Attachment>,
    /// Processes named in `holds`.
    pub processes: BTreeMap<u32, Process>,
    /// What could not be seen, each with the reason, in one line without a full stop.
    pub hidden: Vec<String>,
}

impl Inventory {
    /// An inventory without objects.
    pub const fn new(method: Method) -> Self {
        Self {
            method,
            taken_unix_ms: 0,
            booted_unix_ms: 0,
            maps: BTreeMap::new(),
            programs: BTreeMap::new(),
            links: BTreeMap::new(),
            btfs: BTreeMap::new(),
            holds: Vec::new(),
            attachments: Vec::new(),
            processes: BTreeMap::new(),
            hidden: Vec::new(),
        }
    }

    /// The name of an object, if it has one.
    pub fn name(&self, object: ObjectId) -> Option<&str> {
        let name = match object.kind {
            Kind::Map => &self.maps.get(&object.id)?.name,
            Kind::Program => &self.programs.get(&object.id)?.name,
            Kind::Link => return None,
            Kind::Btf => &self.btfs.get(&object.id)?.name,
        };
        (!name.is_empty()).then_some(name)
    }

    /// Memory of an object in bytes, as the kernel accounts for it.
    pub fn memory(&self, object: ObjectId) -> Option<u64> {
        match object.kind {
            Kind::Map => self.maps.get(&object.id)?.memory,
            Kind::Program => self.programs.get(&object.id)?.memory,
            Kind::Link => None,
            Kind::Btf => Some(u64::from(self.btfs.get(&object.id)?.size)),
        }
    }

    /// The name of an object's type; empty for BTF, which has none.
    pub fn type_name(&self, object: ObjectId) -> String {
        let name = match object.kind {
            Kind::Map => self.maps.get(&object.id).map(|map| map_type_name(map.map_type)),
            Kind::Program => self.programs.get(&object.id).map(|program| program_type_name(program.program_type)),
            Kind::Link => self.links.get(&object.id).map(|link| link_type_name(link.link_type)),
            Kind::Btf => None,
        };
        name.unwrap_or_default()
    }

    /// What the kernel counts of an object's references, where that is known.
    pub fn refs(&self, object: ObjectId) -> Option<u64> {
        match object.kind {
            Kind::Map => self.maps.get(&object.id)?.counts.map(|counts| counts.refs),
            Kind::Program => self.programs.get(&object.id)?.refs,
            Kind::Link => self.links.get(&object.id)?.refs,
            Kind::Btf => None,
        }
    }

    /// Whether it was seen.
    pub fn has(&self, object: ObjectId) -> bool {
        match object.kind {
            Kind::Map => self.maps.contains_key(&object.id),
            Kind::Program => self.programs.contains_key(&object.id),
            Kind::Link => self.links.contains_key(&object.id),
            Kind::Btf => self.btfs.contains_key(&object.id),
        }
    }

    /// All objects, maps first.
    pub fn objects(&self) -> impl Iterator<Item = ObjectId> {
        let maps = self.maps.keys().map(|id| ObjectId::map(*id));
        let programs = self.programs.keys().map(|id| ObjectId::program(*id));
        let links = self.links.keys().map(|id| ObjectId::link(*id));
        let btfs = self.btfs.keys().map(|id| ObjectId::btf(*id));
        maps.chain(programs).chain(links).chain(btfs)
    }

    /// Holders by object.
    pub fn holders(&self) -> BTreeMap<ObjectId, Vec<&Holder>> {
        let mut holders: BTreeMap<ObjectId, Vec<&Holder>> = BTreeMap::new();
        for hold in &self.holds {
            holders.entry(hold.object).or_default().push(&hold.by);
        }
        holders
    }
}

/// A map, as `struct bpf_map_info` of include/uapi/linux/bpf.h tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// Its id.
    pub id: u32,
    /// At most 15 bytes; often empty.
    pub name: String,
    /// `enum bpf_map_type`; see [`map_type_name`].
    pub map_type: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// How many entries there may be; bytes for ring buffers.
    pub max_entries: u32,
    /// `BPF_F_…`; see [`map_flag_names`].
    pub flags: u32,
    /// Its BTF object, 0 for none.
    pub btf_id: u32,
    /// The device it is bound to, 0 for none.
    pub ifindex: u32,
    /// Bytes that the kernel accounts for (`memlock` of fdinfo).
    pub memory: Option<u64>,
    /// Whether programs in user space can write it no more.
    pub frozen: Option<bool>,
    /// What `struct bpf_map` counts.
    pub counts: Option<MapCounts>,
    /// What programs an array of programs takes, known once it has taken one.
    pub owner: Option<Owner>,
    /// What it implements, if it is a `struct_ops` map.
    pub struct_ops: Option<StructOps>,
}

/// What programs an array of programs takes (`owner_prog_type`, `owner_jited` of fdinfo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `enum bpf_prog_type`.
    pub program_type: u32,
    /// They are compiled to machine code.
    pub jited: bool,
}

/// An interface of the kernel that a map implements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructOps {
    /// The kernel's structure: `tcp_congestion_ops`.
    pub interface: String,
    /// What it calls itself, where the structure has a name: `cubic`.
    pub name: Option<String>,
    /// How far it has come.
    pub state: StructOpsState,
}

impl fmt::Display for StructOps {
    /// `tcp_congestion_ops cubic, registered`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
        write!(f, "{}{name}, {}", self.interface, self.state.name())
    }
}

/// `enum bpf_struct_ops_state` of include/linux/bpf.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StructOpsState {
    /// Nothing was put in yet.
    Empty,
    /// It is registered, without a link.
    Registered,
    /// It was taken out, and somebody uses it still.
    Leaving,
    /// It is complete; a link registers it.
    Ready,
    /// One that is newer than this.
    Other(u32),
}

impl StructOpsState {
    /// The word every format uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Registered => "registered",
            Self::Leaving => "leaving",
            Self::Ready => "ready",
            Self::Other(_) => "other",
        }
    }
}

/// Counts of `struct bpf_map`, include/linux/bpf.h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapCounts {
    /// `refcnt`: everything that keeps it.
    pub refs: u64,
    /// `usercnt`: the part of `refs` that user space has: open files and pins, above all.
    pub user_refs: u64,
    /// `writecnt`: writable mappings and writes under way.
    pub writers: u64,
}

/// A program, as `struct bpf_prog_info` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Its id.
    pub id: u32,
    /// At most 15 bytes.
    pub name: String,
    /// A digest of its instructions, in hexadecimal.
    pub tag: String,
    /// `enum bpf_prog_type`; see [`program_type_name`].
    pub program_type: u32,
    /// When it was loaded, in nanoseconds since the machine was started.
    pub loaded_ns: Option<u64>,
    /// The user who loaded it.
    pub uid: Option<u32>,
    /// Bytes of instructions after verification.
    pub translated_bytes: Option<u32>,
    /// Bytes of machine code.
    pub jited_bytes: Option<u32>,
    /// Bytes that the kernel accounts for.
    pub memory: Option<u64>,
    /// Maps it uses, in the order of the kernel.
    pub maps: Vec<u32>,
    /// Its BTF object, 0 for none.
    pub btf_id: u32,
    /// Instructions that the verifier went through.
    pub verified_instructions: Option<u32>,
    /// How often it ran; 0 unless statistics are on (`kernel.bpf_stats_enabled`).
    pub runs: u64,
    /// How long it ran, in nanoseconds; as `runs`.
    pub run_time_ns: u64,
    /// The BTF object and type of the function that it is bound to when loaded, 0 for none.
    pub target_btf: (u32, u32),
    /// The program that it replaces or traces, 0 for none.
    pub target_program: u32,
    /// The name of the function that it is bound to.
    pub target: Option<String>,
    /// `refcnt` of `struct bpf_prog_aux`.
    pub refs: Option<u64>,
}

/// A link, as `struct bpf_link_info` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: u32,
    /// `enum bpf_link_type`; see [`link_type_name`].
    pub link_type: u32,
    /// The program, 0 for none (`struct_ops`).
    pub program: u32,
    /// The map it holds (`struct_ops`, sockmap, iterators over a map), 0 for none.
    pub map: u32,
    /// The program that it traces or replaces, 0 for none.
    pub target_program: u32,
    /// Where the program is attached.
    pub point: Point,
    /// `refcnt` of `struct bpf_link`.
    pub refs: Option<u64>,
    /// The perf event that it owns, by the number that a [`Holder::PerfEvent`] has.
    pub perf_file: Option<u64>,
}

/// Where a program is attached, as pairs of a fixed key and what it is: `interface` `eth0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// `enum bpf_attach_type`, where there is one; see [`attach_type_name`].
    pub attach_type: Option<u32>,
    /// What is known of the place.
    pub place: Vec<(&'static str, String)>,
    /// What it was attached to is gone; the link lives on and does nothing.
    pub gone: bool,
}

impl Point {
    /// Adds what is known.
    pub fn add(&mut self, key: &'static str, value: impl Into<String>) {
        self.place.push((key, value.into()));
    }
}

/// A program that is attached without a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The program's id.
    pub program: u32,
    /// The mechanism: `xdp`, `tc`, `tc action`, `tcx`, `netkit`, `netns`, `cgroup`.
    pub how: &'static str,
    /// Where.
    pub point: Point,
}

/// A BTF object, as `struct bpf_btf_info` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Btf {
    /// Its id.
    pub id: u32,
    /// `vmlinux`, the name of a module, or empty.
    pub name: String,
    /// Bytes.
    pub size: u32,
    /// It is the kernel's or a module's.
    pub kernel: bool,
}

/// A process that holds something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its name (`comm`), at most 15 bytes, any bytes.
    pub comm: String,
    /// The release of Go that built its program, if Go did.
    pub go: Option<String>,
    /// The user it runs as.
    pub uid: Option<u32>,
    /// The cgroup and container it is in.
    pub place: Option<Place>,
}

/// That something keeps an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What is kept.
    pub object: ObjectId,
    /// What keeps it.
    pub by: Holder,
}

/// A place in a process: its id and a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The process.
    pub pid: u32,
    /// The thread, where it has a table of descriptors of its own; else the same as `pid`.
    pub tid: u32,
    /// The descriptor.
    pub fd: u32,
}

/// What keeps an object. `file` tells open files apart: descriptors made by dup or fork share one, and the kernel counts
/// it once. It is `None` where it can't be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A descriptor.
    Descriptor {
        /// Where.
        at: At,
        /// The open file.
        file: Option<u64>,
    },
    /// A mapping into memory.
    Mapping {
        /// The process.
        pid: u32,
        /// Its first address and the one behind its last.
        range: (u64, u64),
        /// The open file that was mapped.
        file: Option<u64>,
    },
    /// A message with the descriptor (`SCM_RIGHTS`), sent and not received.
    InFlight {
        /// The socket that has not read it.
        at: At,
        /// The open file that is under way.
        file: Option<u64>,
    },
    /// The table of registered files of an `io_uring`.
    Ring {
        /// The ring.
        at: At,
        /// The index into the table.
        slot: u32,
        /// The open file that is registered.
        file: Option<u64>,
    },
    /// An open iterator that runs the program.
    Iterator {
        /// The iterator.
        at: At,
        /// Its open file.
        file: Option<u64>,
    },
    /// A perf event that runs the program.
    PerfEvent {
        /// The event.
        at: At,
        /// Its open file.
        file: Option<u64>,
    },
    /// A socket that runs the program: as its filter, or to choose between sockets of a port.
    Socket {
        /// The socket.
        at: At,
        /// What has the reference: a filter is shared by the sockets that were accepted from this one.
        file: Option<u64>,
        /// It chooses between sockets.
        reuseport: bool,
    },
    /// A file in a bpf file system.
    Pin {
        /// Its path as seen by `namespace_pid`, or here.
        path: String,
        /// A process that sees it there, when this one doesn't.
        namespace_pid: Option<u32>,
        /// Device and inode: several names of one are one reference.
        inode: (u64, u64),
    },
    /// A program that uses the map, or another program's or map's types.
    Program(u32),
    /// A map whose values have it, so many times.
    Map {
        /// The outer map.
        id: u32,
        /// How many of its entries.
        entries: u32,
    },
    /// A link, which holds its program, or a map.
    Link(u32),
    /// A program attached without a link: index into `Inventory::attachments`.
    Attachment(usize),
    /// The kernel itself: a `struct_ops` map that is registered without a link.
    Registration,
}

impl Holder {
    /// The process that has it, for holders that are one's.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Descriptor { at, .. }
            | Self::InFlight { at, .. }
            | Self::Ring { at, .. }
            | Self::Iterator { at, .. }
            | Self::PerfEvent { at, .. }
            | Self::Socket { at, .. } => Some(at.pid),
            Self::Mapping { pid, .. } => Some(*pid),
            Self::Pin { .. }
            | Self::Program(_)
            | Self::Map { .. }
            | Self::Link(_)
            | Self::Attachment(_)
            | Self::Registration => None,
        }
    }
}

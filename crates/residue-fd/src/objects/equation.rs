//! Why an object is still there, as a sum: what the kernel counts, the holders that were seen, and what is left over.

use std::collections::{BTreeMap, BTreeSet};

use crate::objects::{Holder, Inventory, Kind, LINK_TYPE_XDP, ObjectId, Point};

/// What the kernel's count of references is made of.
///
/// A map has two counts, `usercnt` for what user space holds and `refcnt` for everything; both are compared with what was
/// seen, so that two mistakes don't cancel each other. Everything was read at slightly different times: a remainder that
/// isn't there the next time was somebody opening or closing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equation {
    /// What the kernel counts, without the reference of the one who looks; `None` where that can't be known.
    pub refs: Option<u64>,
    /// What was seen, in a fixed order; no term is 0.
    pub terms: Vec<(Term, u64)>,
    /// References of user space that nothing explains; less than 0 when more holders were seen than are counted.
    pub unexplained_user: i64,
    /// References of the kernel that nothing explains, likewise.
    pub unexplained_kernel: i64,
}

/// What a reference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// Open files with at least one descriptor.
    Files,
    /// Open files that only a mapping has.
    Mappings,
    /// Open files that only a message under way has.
    InFlight,
    /// Open files that only an `io_uring` has.
    Rings,
    /// Files in a bpf file system.
    Pins,
    /// Programs.
    Programs,
    /// Entries of maps.
    Entries,
    /// Links.
    Links,
    /// Open iterators.
    Iterators,
    /// Perf events.
    PerfEvents,
    /// Sockets.
    Sockets,
    /// Places where a program is attached without a link.
    Attachments,
    /// The kernel, where a `struct_ops` map is registered without a link.
    Registrations,
    /// Network devices that run an XDP program: beside what attaches it, they have it too.
    Devices,
    /// The table by which the kernel calls XDP programs.
    Dispatcher,
}

impl Term {
    /// The word for one, and for several.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Files => ("file", "files"),
            Self::Mappings => ("mapping", "mappings"),
            Self::InFlight => ("in flight", "in flight"),
            Self::Rings => ("in io_uring", "in io_uring"),
            Self::Pins => ("pin", "pins"),
            Self::Programs => ("program", "programs"),
            Self::Entries => ("entry of a map", "entries of maps"),
            Self::Links => ("link", "links"),
            Self::Iterators => ("iterator", "iterators"),
            Self::PerfEvents => ("perf event", "perf events"),
            Self::Sockets => ("socket", "sockets"),
            Self::Attachments => ("attachment", "attachments"),
            Self::Registrations => ("registration", "registrations"),
            Self::Devices => ("device", "devices"),
            Self::Dispatcher => ("dispatcher", "dispatchers"),
        }
    }

    /// The key in JSON.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Mappings => "mappings",
            Self::InFlight => "in_flight",
            Self::Rings => "io_uring",
            Self::Pins => "pins",
            Self::Programs => "programs",
            Self::Entries => "outer_map_entries",
            Self::Links => "links",
            Self::Iterators => "iterators",
            Self::PerfEvents => "perf_events",
            Self::Sockets => "sockets",
            Self::Attachments => "attachments",
            Self::Registrations => "registrations",
            Self::Devices => "devices",
            Self::Dispatcher => "dispatcher",
        }
    }
}

impl Equation {
    /// The equation of an object, from its holders.
    pub fn of(inventory: &Inventory, object: ObjectId, holders: &[&Holder]) -> Self {
        let seen = Seen::of(inventory, holders);
        let (refs, user_refs) = counted(inventory, object);
        let total = |terms: &[(Term, u64)]| terms.iter().map(|(_, count)| *count).sum::<u64>().cast_signed();
        let (mut terms, mut kernel) = (seen.user(), seen.kernel());
        let (mut unexplained_user, mut unexplained_kernel) = (0, 0);
        match (refs, user_refs) {
            (Some(refs), Some(user_refs)) => {
                unexplained_user = user_refs.cast_signed() - total(&terms);
                unexplained_kernel = refs.saturating_sub(user_refs).cast_signed() - total(&kernel);
            }
            (Some(refs), None) => {
                unexplained_kernel = refs.cast_signed() - total(&terms) - total(&kernel);
                // It has each program once, or not, if there are many or there is no such table: that can't be seen.
                if seen.dispatched && unexplained_kernel > 0 {
                    unexplained_kernel -= 1;
                    kernel.push((Term::Dispatcher, 1));
                }
            }
            (None, _) => {}
        }
        terms.extend(kernel);
        let mut sums: BTreeMap<Term, u64> = BTreeMap::new();
        for (term, count) in terms.into_iter().filter(|(_, count)| *count > 0) {
            *sums.entry(term).or_default() += count;
        }
        let terms = sums.into_iter().collect();
        Self { refs, terms, unexplained_user, unexplained_kernel }
    }

    /// Whether everything that is counted was seen, and nothing more.
    pub fn holds(&self) -> bool {
        self.unexplained_user == 0 && self.unexplained_kernel == 0
    }

    /// How many references of a kind there are.
    pub fn term(&self, term: Term) -> u64 {
        self.terms.iter().find(|(found, _)| *found == term).map_or(0, |(_, count)| *count)
    }
}

/// What the kernel counts: everything, and the part of user space.
fn counted(inventory: &Inventory, object: ObjectId) -> (Option<u64>, Option<u64>) {
    match object.kind {
        Kind::Map => {
            let counts = inventory.maps.get(&object.id).and_then(|map| map.counts);
            (counts.map(|counts| counts.refs), counts.map(|counts| counts.user_refs))
        }
        Kind::Program => (inventory.programs.get(&object.id).and_then(|program| program.refs), None),
        Kind::Link => (inventory.links.get(&object.id).and_then(|link| link.refs), None),
        Kind::Btf => (None, None),
    }
}

/// Holders, each reference once.
#[derive(Default)]
struct Seen {
    files: u64,
    mappings: u64,
    in_flight: u64,
    rings: u64,
    pins: u64,
    programs: u64,
    entries: u64,
    /// Links that hold a map, with a reference of user space.
    user_links: u64,
    links: u64,
    iterators: u64,
    perf_events: u64,
    sockets: u64,
    attachments: u64,
    registrations: u64,
    devices: u64,
    /// A driver or the kernel's generic code runs it as XDP, and no device by itself: `BPF_DISPATCHER_MAX`,
    /// kernel/bpf/dispatcher.c.
    dispatched: bool,
}

/// `enum bpf_link_type`: an iterator's link and a sockmap's take the map as user space does (`bpf_map_get_with_uref`,
/// `kernel/bpf/map_iter.c` and `net/core/sock_map.c`), a `struct_ops` link doesn't.
const LINK_TYPE_ITER: u32 = 4;
const LINK_TYPE_SOCKMAP: u32 = 14;

impl Seen {
    fn of(inventory: &Inventory, holders: &[&Holder]) -> Self {
        let mut seen = Self::default();
        // Files by what shows them best. Those that can't be told apart count each.
        let mut files = BTreeSet::new();
        let mut count = |file: Option<u64>| file.is_none_or(|file| files.insert(file));
        let by_rank = |rank: u8| holders.iter().filter(move |holder| self::rank(holder) == rank);
        for holder in by_rank(0) {
            let Holder::Descriptor { file, .. } = holder else { continue };
            seen.files += u64::from(count(*file));
        }
        for holder in by_rank(1) {
            let (counter, file) = match holder {
                Holder::Mapping { file, .. } => (&mut seen.mappings, file),
                Holder::InFlight { file, .. } => (&mut seen.in_flight, file),
                Holder::Ring { file, .. } => (&mut seen.rings, file),
                _ => continue,
            };
            *counter += u64::from(count(*file));
        }
        let mut inodes = BTreeSet::new();
        let mut others = BTreeSet::new();
        let mut owned = BTreeSet::new();
        for holder in by_rank(2) {
            if let Holder::Link(id) = holder {
                owned.extend(inventory.links.get(id).and_then(|link| link.perf_file));
            }
        }
        for holder in by_rank(2) {
            match holder {
                Holder::Pin { inode, .. } => seen.pins += u64::from(inodes.insert(*inode)),
                Holder::Program(_) => seen.programs += 1,
                Holder::Map { entries, .. } => seen.entries += u64::from(*entries),
                Holder::Link(id) => {
                    let link_type = inventory.links.get(id).map(|link| link.link_type);
                    let user = matches!(link_type, Some(LINK_TYPE_ITER | LINK_TYPE_SOCKMAP));
                    *if user { &mut seen.user_links } else { &mut seen.links } += 1;
                    if let Some(link) = inventory.links.get(id).filter(|link| link.link_type == LINK_TYPE_XDP) {
                        seen.device(&link.point);
                    }
                }
                Holder::Iterator { file, .. } => {
                    seen.iterators += u64::from(file.is_none_or(|file| others.insert(file)));
                }
                // The program of an event that a link owns is held by the link.
                Holder::PerfEvent { file, .. } => {
                    let own = file.is_none_or(|file| !owned.contains(&file) && others.insert(file));
                    seen.perf_events += u64::from(own);
                }
                Holder::Socket { file, .. } => {
                    seen.sockets += u64::from(file.is_none_or(|file| others.insert(file)));
                }
                Holder::Attachment(index) => {
                    seen.attachments += 1;
                    if let Some(attachment) = inventory.attachments.get(*index).filter(|one| one.how == "xdp") {
                        seen.device(&attachment.point);
                    }
                }
                Holder::Registration => seen.registrations += 1,
                Holder::Descriptor { .. } | Holder::Mapping { .. } | Holder::InFlight { .. } | Holder::Ring { .. } => {}
            }
        }
        seen
    }

    /// Whoever attaches an XDP program gives the device a reference beside its own (`dev_xdp_install`, net/core/dev.c).
    fn device(&mut self, point: &Point) {
        if !point.gone {
            self.devices += 1;
            self.dispatched |= !point.place.contains(&("mode", "offload".to_owned()));
        }
    }

    /// What `usercnt` of a map counts: kernel/bpf/syscall.c, `bpf_map_inc_with_uref`.
    fn user(&self) -> Vec<(Term, u64)> {
        vec![
            (Term::Files, self.files),
            (Term::Mappings, self.mappings),
            (Term::InFlight, self.in_flight),
            (Term::Rings, self.rings),
            (Term::Pins, self.pins),
            (Term::Links, self.user_links),
        ]
    }

    fn kernel(&self) -> Vec<(Term, u64)> {
        vec![
            (Term::Programs, self.programs),
            (Term::Entries, self.entries),
            (Term::Links, self.links),
            (Term::Iterators, self.iterators),
            (Term::PerfEvents, self.perf_events),
            (Term::Sockets, self.sockets),
            (Term::Attachments, self.attachments),
            (Term::Registrations, self.registrations),
            (Term::Devices, self.devices),
        ]
    }
}

/// In which order holders are looked at: a file is shown by its descriptors first.
fn rank(holder: &Holder) -> u8 {
    match holder {
        Holder::Descriptor { .. } => 0,
        Holder::Mapping { .. } | Holder::InFlight { .. } | Holder::Ring { .. } => 1,
        _ => 2,
    }
}

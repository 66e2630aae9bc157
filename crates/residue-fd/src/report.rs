//! What the books say: every opener with its class, and which of them leak.

use std::collections::{BTreeMap, BTreeSet};

use crate::container::Container;
use crate::event::{BY_PROC, Frame, Live, Losses, PairKind, Site};
use crate::ledger::{Group, Ledger};
use crate::panics::{Panic, Unwound};

/// Go collects garbage at least every two minutes (`forcegcperiod` in `runtime/proc.go`); what is older, and would be closed
/// by a collection, is held by something.
const COLLECTED_NS: u64 = 130_000_000_000;

/// What becomes of the descriptors of an opener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Nothing will close them: nothing in Go owns the number.
    Permanent,
    /// They outlived a collection that would have closed them, had their owner not been reachable.
    Held,
    /// A collection closes them: closes by finalizers or cleanups were seen.
    Deferred,
    /// A collection may close them, or the owner is reachable: not seen yet.
    Unknown,
    /// The runtime's own, or the only one of its opener in each process.
    Kept,
    /// None is open.
    Closed,
}

impl Class {
    /// The word every format uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Held => "held",
            Self::Deferred => "deferred",
            Self::Unknown => "unknown",
            Self::Kept => "kept",
            Self::Closed => "closed",
        }
    }
}

/// Why an opener is called a leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leak {
    /// The number of its open descriptors grew in each of the last windows, by so many in all.
    Growing(u64),
    /// So many were open at the exit of the command, and it never closed one.
    NeverClosed(u64),
    /// So many, most of those left, were open when a panic unwound the function that had them, and were never closed.
    LostInPanic(u64),
}

/// An opener: a stack, and what became of what it opened.
#[derive(Clone, Debug)]
pub struct Opener {
    /// The stack, and what is opened there.
    pub site: Site,
    /// Numbers of all sites with that stack.
    pub sites: Vec<u32>,
    /// Descriptors it opened.
    pub opened: u64,
    /// Those of them that were closed.
    pub closed: u64,
    /// Those that were open when their process ended.
    pub ended: u64,
    /// Those that are open.
    pub live: u64,
    /// How many more are left than at the end of the warm-up.
    pub growth: i64,
    /// How long the oldest has been open.
    pub oldest_ns: Option<u64>,
    /// Processes that have them open.
    pub pids: BTreeSet<u32>,
    /// Containers in which they are open, with how many; where none is open, those of the processes that were seen there
    /// first. The most first.
    pub containers: Vec<(Container, u64)>,
    /// Some that are open, oldest first.
    pub examples: Vec<Live>,
    /// Closes by a finalizer or a cleanup, among those that were looked at.
    pub collected: u64,
    /// Panics that unwound who had descriptors of this opener, which are open still.
    pub unwound: Vec<Unwound>,
    /// What becomes of them.
    pub class: Class,
    /// Why it is a leak, if it is one.
    pub leak: Option<Leak>,
}

impl Opener {
    /// Open now, or when the process ended.
    pub fn left(&self) -> u64 {
        self.live + self.ended
    }

    /// See [`caller`].
    pub fn caller(&self) -> Option<&Frame> {
        caller(&self.site.frames).map(|at| &self.site.frames[at])
    }
}

/// Which frame of a stack, from the leaf, is to answer for what it opens or closes: the first one of the program's own module;
/// without one the first of another module; else the first of the package that began it (`net/http` for a connection that is
/// dialled on a goroutine of its own).
pub fn caller(frames: &[Frame]) -> Option<usize> {
    let own = |frame: &Frame| frame.own && !is_wrapper(&frame.package);
    let foreign = |frame: &Frame| !frame.std && !frame.package.is_empty() && !is_wrapper(&frame.package);
    let first = |is: &dyn Fn(&Frame) -> bool| frames.iter().position(is);
    let public = |frame: &&Frame| !is_wrapper(&frame.package) && !frame.package.starts_with("internal/");
    let began = frames.iter().rev().find(public).map(|frame| frame.package.as_str());
    let began = || first(&|frame: &Frame| Some(frame.package.as_str()) == began);
    first(&own).or_else(|| first(&foreign)).or_else(began).or((!frames.is_empty()).then_some(0))
}

/// What a frame called in another module: the frame before it, if that one is neither of its module nor of the standard library.
pub fn callee(frames: &[Frame], at: usize) -> Option<&Frame> {
    let callee = frames.get(at.checked_sub(1)?)?;
    let foreign = frames[at].own && !callee.own && !callee.std && !callee.package.is_empty();
    (foreign && !is_wrapper(&callee.package)).then_some(callee)
}

/// Somebody closed what he had no right to, or what was closed already.
#[derive(Clone, Debug)]
pub struct BadClose {
    /// The site that closed.
    pub closer: Site,
    /// For a number that was not open: who had closed it before, if known. Else: who had opened it.
    pub other: Option<Site>,
    /// How often.
    pub count: u64,
    /// The number was not open, as opposed to somebody else's.
    pub twice: bool,
    /// The goroutine that did it first, 0 if not known.
    pub goid: u64,
    /// The process.
    pub pid: u32,
    /// The number of the descriptor then.
    pub fd: u32,
}

/// What is open in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InContainer {
    /// The container; none for what is in none.
    pub container: Option<Container>,
    /// Processes that have something open.
    pub processes: usize,
    /// Descriptors that are open there and whose opener is known.
    pub live: u64,
    /// Those of them whose opener leaks.
    pub leaked: u64,
}

/// What the books say.
#[derive(Clone, Debug)]
pub struct Report {
    /// Openers, leaks first, then by what they have open.
    pub openers: Vec<Opener>,
    /// Closes that went wrong.
    pub bad_closes: Vec<BadClose>,
    /// Open descriptors whose opener isn't known: open before, inherited, or made in a way that is not seen.
    pub unknown: Vec<Live>,
    /// Panics that were seen, the most frequent first; none unless they were looked for.
    pub panics: Vec<Panic>,
    /// What was not seen.
    pub losses: Losses,
    /// Descriptors opened by known openers, in all.
    pub opens: u64,
    /// Those of them that were closed.
    pub closes: u64,
    /// For how long was looked.
    pub elapsed_ns: u64,
    /// How many processes were followed.
    pub processes: usize,
    /// What is open in each container, the most first; none unless one was seen.
    pub containers: Vec<InContainer>,
    /// The command has ended.
    pub exited: bool,
    /// /proc was read from time to time: openers are not known, nor what came and went in between.
    pub sampled: bool,
    /// What the kernel doesn't show as it happens, and why.
    pub unseen: Vec<String>,
}

impl Ledger {
    /// What the books say now.
    pub fn report(&self) -> Report {
        let exited = self.end.is_some_and(|end| end.exited);
        let mut openers: Vec<Opener> =
            (0..self.groups.len()).filter_map(|index| self.opener(index, exited)).filter(|o| o.opened > 0).collect();
        openers.sort_by(|a, b| {
            let rank = |o: &Opener| (o.leak.is_none(), std::cmp::Reverse(o.left()), std::cmp::Reverse(o.opened));
            rank(a).cmp(&rank(b)).then_with(|| a.site.frames.cmp(&b.site.frames))
        });
        let containers = self.containers(&openers);
        Report {
            containers,
            bad_closes: self.bad_closes(),
            unknown: self.live.get(&0).cloned().unwrap_or_default(),
            panics: self.panics(),
            losses: self.losses,
            opens: openers.iter().map(|opener| opener.opened).sum(),
            closes: openers.iter().map(|opener| opener.closed).sum(),
            openers,
            elapsed_ns: self.now_ns.saturating_sub(self.start.at_ns),
            processes: self.processes.len(),
            exited,
            sampled: self.is_sampled(),
            unseen: self.start.unseen.clone(),
        }
    }

    /// What is open, by container.
    fn containers(&self, openers: &[Opener]) -> Vec<InContainer> {
        let leaks: BTreeSet<u32> =
            openers.iter().filter(|opener| opener.leak.is_some()).flat_map(|opener| opener.sites.clone()).collect();
        let mut found: BTreeMap<Option<&Container>, (BTreeSet<u32>, u64, u64)> = BTreeMap::new();
        for live in
            self.live.iter().filter(|(site, _)| **site != 0).flat_map(|(_, live)| live).filter(|live| !live.inherited)
        {
            let (pids, count, leaked) = found.entry(self.container(live.pid)).or_default();
            pids.insert(live.pid);
            *count += 1;
            *leaked += u64::from(leaks.contains(&live.site));
        }
        if found.keys().all(Option::is_none) {
            return Vec::new();
        }
        let told = found.into_iter().map(|(container, (pids, live, leaked))| InContainer {
            container: container.cloned(),
            processes: pids.len(),
            live,
            leaked,
        });
        let mut told: Vec<InContainer> = told.collect();
        told.sort_by_key(|one| std::cmp::Reverse((one.leaked, one.live)));
        told
    }

    /// The containers of an opener.
    fn containers_of(&self, group: &Group) -> Vec<(Container, u64)> {
        let mut found: BTreeMap<&Container, u64> = BTreeMap::new();
        let live = group.sites.iter().filter_map(|site| self.live.get(site)).flatten();
        for container in live.filter(|live| !live.inherited).filter_map(|live| self.container(live.pid)) {
            *found.entry(container).or_default() += 1;
        }
        if found.is_empty() {
            let first = group.sites.iter().filter_map(|site| self.sites.get(site));
            found.extend(first.filter_map(|site| Some((self.container(site.pid)?, 0))));
        }
        let mut found: Vec<(Container, u64)> = found.into_iter().map(|(one, count)| (one.clone(), count)).collect();
        found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        found
    }

    fn is_sampled(&self) -> bool {
        self.start.by == BY_PROC
    }

    fn opener(&self, index: usize, exited: bool) -> Option<Opener> {
        let group = &self.groups[index];
        let site = self.sites.get(group.sites.first()?)?.clone();
        let sum = |field: fn(&crate::event::Count) -> u64| -> u64 {
            group.sites.iter().filter_map(|site| self.counts.get(site)).map(field).sum()
        };
        let live = self.live_of(group);
        let (pids, oldest, examples) = self.examples(group);
        let oldest_ns = oldest.map(|opened| self.now_ns.saturating_sub(opened));
        let mut opener = Opener {
            opened: sum(|count| count.opened),
            closed: sum(|count| count.closed),
            ended: sum(|count| count.ended),
            live,
            growth: i64::try_from(live.saturating_add(sum(|count| count.ended))).unwrap_or(i64::MAX)
                - i64::try_from(group.base).unwrap_or(0),
            oldest_ns,
            pids,
            containers: self.containers_of(group),
            sites: group.sites.clone(),
            examples,
            collected: self.collected(group),
            unwound: self.unwound(&group.sites, &site.frames),
            class: Class::Closed,
            leak: None,
            site,
        };
        // Processes are not summed here: one descriptor in each is no leak in any.
        let single = group.sites.iter().filter_map(|site| self.counts.get(site)).all(|count| count.opened <= 1);
        opener.class =
            if single && opener.left() > 0 && opener.unwound.is_empty() { Class::Kept } else { class(&opener) };
        opener.leak = self.leak(group, &opener, exited);
        Some(opener)
    }

    /// Closes by finalizers and cleanups, among those of which the stack was taken.
    fn collected(&self, group: &Group) -> u64 {
        let of = self
            .pairs_of(PairKind::Closed, &group.sites)
            .filter(|pair| self.sites.get(&pair.closer).is_some_and(|closer| is_collector(&closer.frames)));
        of.map(|pair| pair.count).sum()
    }

    fn leak(&self, group: &Group, opener: &Opener, exited: bool) -> Option<Leak> {
        // Without a Go frame there is no opener to name; the tools of Go itself end without closing, and may.
        if opener.class == Class::Kept || opener.site.tool || !(opener.site.is_go() || self.is_sampled()) {
            return None;
        }
        // Whoever leaves some open in other ways, too, is not better off for the panics.
        let lost = opener.unwound.iter().map(|unwound| unwound.count).sum::<u64>().min(opener.left());
        if lost > 0 && lost.saturating_mul(2) > opener.left() {
            return Some(Leak::LostInPanic(lost));
        }
        if let Some(growth) = group.growth().filter(|_| group.last > 0) {
            return Some(Leak::Growing(growth));
        }
        // What a program has from its start, and never closes, is all that looking from outside would find.
        let never = exited && opener.site.is_go() && opener.closed == 0 && opener.left() >= self.policy.min_live;
        never.then_some(Leak::NeverClosed(opener.left()))
    }

    fn bad_closes(&self) -> Vec<BadClose> {
        let of = self.pairs.values().filter_map(|pair| {
            let closer = self.sites.get(&pair.closer)?;
            let other = self.sites.get(&pair.opener).filter(|_| pair.opener != 0);
            let twice = pair.kind == PairKind::BadClose;
            let stranger = !twice && other.is_some_and(|opener| is_stranger(&opener.frames, &closer.frames));
            (closer.is_go() && (twice || stranger)).then(|| BadClose {
                closer: closer.clone(),
                other: other.cloned(),
                count: pair.count,
                twice,
                goid: pair.goid,
                pid: pair.pid,
                fd: pair.fd,
            })
        });
        of.collect()
    }
}

fn class(opener: &Opener) -> Class {
    if opener.left() == 0 {
        return Class::Closed;
    }
    let frames = &opener.site.frames;
    // What is opened between fork and exec is made for the child's program.
    let for_child = frames.iter().any(|frame| frame.function.starts_with("syscall.forkAndExecInChild"));
    if for_child && opener.site.kind != "pidfd" || is_runtime(frames) {
        return Class::Kept;
    }
    if opener.collected > 0 {
        return Class::Deferred;
    }
    if opener.site.is_go() && !is_owned(frames) {
        return Class::Permanent;
    }
    let outlived = opener.site.is_go() && opener.oldest_ns.is_some_and(|age| age > COLLECTED_NS);
    if outlived { Class::Held } else { Class::Unknown }
}

/// Packages that only enter the kernel.
fn is_wrapper(package: &str) -> bool {
    matches!(
        package,
        "syscall"
            | "runtime"
            | "runtime/internal/syscall"
            | "internal/runtime/syscall"
            | "internal/runtime/syscall/linux"
            | "internal/syscall/unix"
            | "golang.org/x/sys/unix"
    ) || package.ends_with("/internal/unix")
}

/// The runtime opened it for itself: the first frame above the system call is its own (`runtime.netpollinit`,
/// `internal/runtime/cgroup.OpenCPU`).
fn is_runtime(frames: &[Frame]) -> bool {
    let first = frames.iter().find(|frame| !is_wrapper(&frame.package) || frame.package == "runtime");
    first.is_some_and(|frame| frame.package == "runtime" || frame.package.starts_with("internal/runtime/"))
}

/// Functions that hand a descriptor to an object with a finalizer or a cleanup, by the start of their names: `os.newFile`,
/// `net.newFD` with `net.(*netFD).init`, `os.newHandleProcess`; `sys.NewFD` and, before it, `internal.NewFD` of
/// github.com/cilium/ebpf.
const OWNERS: &[&str] = &[
    "os.OpenFile",
    "os.Open",
    "os.Create",
    "os.NewFile",
    "os.Pipe",
    "os.StartProcess",
    "os.FindProcess",
    "os.(*Root)",
    "net.",
    "github.com/cilium/ebpf/internal",
];

/// A collection would close it.
fn is_owned(frames: &[Frame]) -> bool {
    frames.iter().any(|frame| OWNERS.iter().any(|owner| frame.function.starts_with(owner)))
}

/// Goroutines that run finalizers (`runfinq` up to Go 1.24, `runFinalizers` since) and cleanups.
pub(crate) fn is_collector(frames: &[Frame]) -> bool {
    let names = ["runtime.runfinq", "runtime.runFinalizers", "runtime.runCleanups", "runtime.(*cleanupQueue)"];
    frames.iter().any(|frame| names.iter().any(|name| frame.function.starts_with(name)))
}

/// An `*os.File` owns its number, and closes it by way of `internal/poll`; who goes another way closes a stranger's.
fn is_stranger(opener: &[Frame], closer: &[Frame]) -> bool {
    let opens = ["os.OpenFile", "os.openFileNolog"];
    opener.iter().any(|frame| opens.contains(&frame.function.as_str()))
        && !closer.iter().any(|frame| frame.function.starts_with("internal/poll.(*FD)"))
}

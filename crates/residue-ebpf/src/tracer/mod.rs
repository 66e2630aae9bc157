//! Follows descriptors of processes: loads the programs of `bpf/trace.bpf.c`, and reads what they keep.

mod calls;
mod layout;
mod sampler;
mod symbols;
mod sys;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command};

use aya::maps::{Array, HashMap, MapData, PerCpuArray, RingBuf};
use aya::programs::uprobe::UProbeScope;
use aya::programs::{BtfTracePoint, Iter, ProgramError, UProbe};
use aya::{Btf, Ebpf, EbpfLoader};
use residue_fd::event::{self, Change, Count, End, Event, Losses, Process, Role, Start};
use residue_fd::kind;

pub use sampler::{Sampled, Sampler};
pub use symbols::Programs;
use symbols::{Executed, Symbols};
pub use sys::{Signals, listen, terminate};

use crate::containers::Told;

#[cfg(target_arch = "x86_64")]
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/out/amd64/trace.bpf.o");
#[cfg(target_arch = "aarch64")]
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/out/arm64/trace.bpf.o");

/// Programs whose files are held open until they are read.
const WAITING_MAX: usize = 128;
/// `BPF_NOEXIST` of `include/uapi/linux/bpf.h`: don't replace.
const BPF_NOEXIST: u64 = 1;
/// Links in /proc that are read for each site, at most: they are shown as examples.
const LINKS_MAX: usize = 8;

/// Which processes are followed, beside those told one by one and their children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// None.
    Told,
    /// All.
    Everybody,
    /// Those of a cgroup (v2).
    Cgroup {
        /// Its id, the inode of its folder.
        id: u64,
        /// How deep it is below the root.
        level: i32,
    },
}

/// What is followed, and how closely.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Which processes.
    pub scope: Scope,
    /// Take stacks; else descriptors are counted by system call.
    pub stacks: bool,
    /// Take the stack of every close, and remember who closed what.
    pub every_close: bool,
    /// Probe Go programs for panics and recoveries: only these look at what the programs do themselves.
    pub panics: bool,
    /// Room for so many open descriptors; none for what the programs say.
    pub live_max: Option<u32>,
}

/// Why it can't be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The kernel doesn't let us, for want of these.
    Refused {
        /// What the kernel said.
        said: String,
        /// What is missing, one a line.
        missing: Vec<String>,
    },
    /// There is no such process, or it has ended.
    Gone(u32),
    /// Its descriptors may not be looked at.
    Private(u32),
    /// The command could not be started: its program, and why.
    Spawn(String),
    /// Reading what the programs keep failed.
    Kernel(String),
}

impl Error {
    fn spawn(program: &std::ffi::OsStr, error: &std::io::Error) -> Self {
        Self::Spawn(format!("{}: {error}", program.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { said, .. } => write!(f, "the kernel refuses to follow descriptors: {said}"),
            Self::Gone(pid) => write!(f, "there is no process {pid}"),
            Self::Private(pid) => write!(f, "cannot look at the descriptors of pid {pid}: permission denied"),
            Self::Spawn(why) => write!(f, "cannot run the command {why}"),
            Self::Kernel(what) => write!(f, "{what}"),
        }
    }
}

impl std::error::Error for Error {}

fn kernel(what: &'static str) -> impl Fn(aya::maps::MapError) -> Error {
    move |error| Error::Kernel(format!("cannot read {what}: {error}"))
}

/// The programs, attached. Dropping it detaches them; nothing is pinned, so that the kernel does it when we are killed.
pub struct Tracer<'a> {
    ebpf: Ebpf,
    events: RingBuf<MapData>,
    tables: HashMap<MapData, u64, layout::Table>,
    live: HashMap<MapData, layout::Slot, layout::Live>,
    sites: Array<MapData, layout::Site>,
    labels: HashMap<MapData, layout::Slot, layout::Labels>,
    tallies: Array<MapData, layout::Tally>,
    pairs: HashMap<MapData, layout::PairKey, layout::Pair>,
    images: HashMap<MapData, u32, layout::Image>,
    plain: HashMap<MapData, layout::Program, u32>,
    state: Array<MapData, layout::State>,
    counters: PerCpuArray<MapData, u64>,
    symbols: Symbols<'a>,
    /// What this kernel doesn't show, and why.
    unseen: Vec<String>,
    /// Where processes are, and what is to be told of those that are followed from the start.
    places: Told,
    placed: Vec<Event>,
    /// Programs are probed for panics; so many could not be.
    panics: bool,
    unprobed: u64,
    /// Sites that were told, and those that were not ready then.
    told_sites: u32,
    late_sites: BTreeSet<u32>,
    told_tallies: BTreeMap<u32, layout::Tally>,
    told_pairs: BTreeMap<(u32, u32, u32), u64>,
    told_losses: Losses,
    /// Descriptors by site that were found to be closed when the kernel's tables were walked.
    ghosts: BTreeMap<u32, u64>,
    ghosts_total: u64,
    /// Descriptors by site that were open when a process ended and the kernel's program didn't see it end.
    ended: BTreeMap<u32, u64>,
}

impl<'a> Tracer<'a> {
    /// Loads and attaches the programs.
    ///
    /// # Errors
    /// The kernel doesn't let us.
    pub fn start(options: &Options, programs: &'a Programs) -> Result<Self, Error> {
        if crate::probe::is_in_pid_namespace() {
            let said = "processes have other numbers here than in the kernel (a PID namespace)".to_owned();
            let missing = vec!["the PID namespace of the host; for a container: --pid=host".to_owned()];
            return Err(Error::Refused { said, missing });
        }
        let refused = |error: &dyn std::error::Error| refused(error);
        let btf = Btf::from_sys_fs().map_err(|error| refused(&error))?;
        let (actions, paths) = calls::by_number();
        let commands = calls::bpf_commands();
        let ioctls = calls::IOCTL_COMMANDS.map(|(command, _)| command);
        let (stacks, every_close) = (u32::from(options.stacks), u32::from(options.every_close));
        let everybody = u32::from(options.scope == Scope::Everybody);
        let (cgroup, level) = match options.scope {
            Scope::Cgroup { id, level } => (id, level),
            _ => (0, 0),
        };
        let own = std::process::id();
        let mut loader = EbpfLoader::new();
        loader
            .btf(Some(&btf))
            .override_global("actions", &actions[..], true)
            .override_global("path_args", &paths[..], true)
            .override_global("ioctls", &ioctls[..], true)
            .override_global("bpf_commands", &commands, true)
            .override_global("with_stacks", &stacks, true)
            .override_global("every_close", &every_close, true)
            .override_global("everybody", &everybody, true)
            .override_global("self", &own, true)
            .override_global("cgroup", &cgroup, true)
            .override_global("cgroup_level", &level, true);
        if !options.panics {
            loader.map_max_entries("panicking", 1);
        }
        if let Some(entries) = options.live_max {
            loader.map_max_entries("live", entries);
        }
        let mut ebpf = loader.load(OBJECT).map_err(|error| refused(&error))?;
        let attached = attach(&mut ebpf, &btf, options.panics);
        let unseen = attached.map_err(|error| refused(&error))?;
        let taken = |ebpf: &mut Ebpf, name: &str| {
            ebpf.take_map(name).ok_or_else(|| Error::Kernel(format!("the programs have no map {name}")))
        };
        let wrong = kernel("the maps of the programs");
        Ok(Self {
            events: taken(&mut ebpf, "events")?.try_into().map_err(&wrong)?,
            tables: taken(&mut ebpf, "tables")?.try_into().map_err(&wrong)?,
            live: taken(&mut ebpf, "live")?.try_into().map_err(&wrong)?,
            sites: taken(&mut ebpf, "sites")?.try_into().map_err(&wrong)?,
            labels: taken(&mut ebpf, "labelled")?.try_into().map_err(&wrong)?,
            tallies: taken(&mut ebpf, "tallies")?.try_into().map_err(&wrong)?,
            pairs: taken(&mut ebpf, "pairs")?.try_into().map_err(&wrong)?,
            images: taken(&mut ebpf, "images")?.try_into().map_err(&wrong)?,
            plain: taken(&mut ebpf, "plain")?.try_into().map_err(&wrong)?,
            state: taken(&mut ebpf, "state")?.try_into().map_err(&wrong)?,
            counters: taken(&mut ebpf, "counters")?.try_into().map_err(&wrong)?,
            ebpf,
            symbols: Symbols::new(programs),
            places: Told::default(),
            placed: Vec::new(),
            panics: options.panics,
            unseen,
            unprobed: 0,
            told_sites: 0,
            late_sites: BTreeSet::new(),
            told_tallies: BTreeMap::new(),
            told_pairs: BTreeMap::new(),
            told_losses: Losses::default(),
            ghosts: BTreeMap::new(),
            ghosts_total: 0,
            ended: BTreeMap::new(),
        })
    }

    /// How a recording begins.
    pub fn started(&self, pids: &[u32]) -> Event {
        let by = event::BY_EBPF.to_owned();
        let unseen = self.unseen.clone();
        Event::Start(Start { version: event::VERSION, at_ns: sys::now_ns(), pids: pids.to_vec(), by, unseen })
    }

    /// How it ends.
    pub fn ended(&self, exited: bool) -> Event {
        Event::End(End { at_ns: sys::now_ns(), exited })
    }

    /// Starts a command that waits before its program begins; it is followed from its first instruction on.
    ///
    /// # Errors
    /// It can't be run or followed.
    pub fn spawn(&mut self, command: &mut Command) -> Result<Child, Error> {
        let program = command.get_program().to_owned();
        let failed = |error| Error::spawn(&program, &error);
        let mut child = sys::spawn_stopped(command).map_err(failed)?;
        let followed = self.follow(child.id()).and_then(|()| sys::release(&child).map_err(failed));
        if followed.is_err() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        followed.map(|()| child)
    }

    /// Follows a process that runs, and its children from now on. What it has open is put down as found.
    ///
    /// # Errors
    /// There is no such process, or the kernel's tables can't be walked.
    pub fn follow(&mut self, pid: u32) -> Result<(), Error> {
        // Reading the program takes its time; nothing is to be opened between the walk and the end of it.
        self.symbols.prepare(pid);
        self.walk(pid)?;
        let tables: Vec<layout::Table> = self.tables.iter().flatten().map(|(_, table)| table).collect();
        let table = tables.iter().find(|table| table.tgid == pid).ok_or(Error::Gone(pid))?;
        self.enter(table.image, start_code(pid), "", symbols::open(pid, None));
        self.places.look(pid, &mut self.placed);
        Ok(())
    }

    fn enter(&mut self, image: u32, start_code: u64, name: &str, file: Option<symbols::Opened>) {
        if let Some((go, file)) = self.symbols.enter(image, start_code, name, file) {
            // Without it goroutines are not told, which shows.
            let _ = self.images.insert(image, go, 0);
            if self.panics && self.probe(image, &file).is_err() {
                self.unprobed += 1;
            }
        }
        if let Some(program) = self.symbols.plain(image) {
            // The image that it had first stays; without it, each process that runs it has sites of its own.
            let _ = self.plain.insert(program, image, BPF_NOEXIST);
        }
    }

    /// Has the kernel look at panics of a program, in whichever process it runs.
    fn probe(&mut self, image: u32, file: &File) -> Result<(), ProgramError> {
        let Some(points) = self.symbols.panic_points(image) else { return Ok(()) };
        // The file that was read and no other: in another one these would be places in the midst of anything.
        let file = std::path::PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        for (program, at) in [("panics", points.panics), ("recovers", points.recovers)] {
            let program: &mut UProbe = self.ebpf.program_mut(program).ok_or(ProgramError::NotLoaded)?.try_into()?;
            program.attach(at, &file, UProbeScope::AllProcesses)?;
        }
        Ok(())
    }

    /// Walks the kernel's own tables: of one process that is followed from here on, or, for 0, of all that are.
    fn walk(&mut self, pid: u32) -> Result<(), Error> {
        let mut state = self.state.get(&0, 0).map_err(kernel("the state"))?;
        state.walk += 1;
        state.walk_tgid = pid;
        self.state.set(0, state, 0).map_err(kernel("the state"))?;
        let failed = |what: &dyn fmt::Display| Error::Kernel(format!("cannot walk the tables of descriptors: {what}"));
        let program: &mut Iter = self
            .ebpf
            .program_mut("walks")
            .and_then(|program| program.try_into().ok())
            .ok_or_else(|| failed(&"the program is missing"))?;
        let link = program.attach().and_then(|id| program.take_link(id)).map_err(|error| failed(&error))?;
        let mut file = link.into_file().map_err(|error| failed(&error))?;
        file.read_to_end(&mut Vec::new()).map_err(|error| failed(&error))?;
        Ok(())
    }

    /// Compares what is kept with the kernel's own tables, for processes that run: what is open but unknown is put down as
    /// found, what is gone unseen is taken off.
    ///
    /// # Errors
    /// The tables can't be walked.
    pub fn reconcile(&mut self) -> Result<(), Error> {
        let begun = sys::now_ns();
        self.walk(0)?;
        let walk = self.state.get(&0, 0).map_err(kernel("the state"))?.walk;
        self.end_tables();
        let running: BTreeSet<u32> = self.tables.iter().flatten().map(|(_, table)| table.id).collect();
        let gone: Vec<(layout::Slot, layout::Live)> = self
            .live
            .iter()
            .flatten()
            .filter(|(slot, live)| running.contains(&slot.table) && live.seen != walk && live.opened_ns < begun)
            .collect();
        for (slot, live) in gone {
            // It may have been closed since, or closed and opened again.
            let same = |now: layout::Live| now.opened_ns == live.opened_ns && now.file == live.file;
            let same = self.live.get(&slot, 0).is_ok_and(same);
            if same && self.live.remove(&slot).is_ok() && live.flags & layout::LIVE_INHERITED == 0 {
                self.mended(&live);
                *self.ghosts.entry(live.site).or_default() += 1;
                self.ghosts_total += 1;
            }
        }
        Ok(())
    }

    /// A descriptor that outlived a panic was closed after all, unseen.
    fn mended(&mut self, live: &layout::Live) {
        let key = layout::PairKey { opener: live.site, closer: live.unwound, kind: layout::PAIR_UNWOUND };
        let Some(mut pair) = self.pairs.get(&key, 0).ok().filter(|_| live.unwound != 0) else { return };
        pair.count = pair.count.saturating_sub(1);
        // Without it one is told that was closed, and the count of those left bounds that.
        let _ = self.pairs.insert(key, pair, 0);
    }

    /// Ends the tables of processes that are gone. The kernel's program does so at the last thread's end, but where threads
    /// had tables of their own that one need not have been of this.
    fn end_tables(&mut self) {
        let gone = |table: &layout::Table| !std::path::Path::new(&format!("/proc/{}", table.tgid)).exists();
        let gone: BTreeMap<u32, u64> =
            self.tables.iter().flatten().filter(|(_, table)| gone(table)).map(|(key, table)| (table.id, key)).collect();
        if gone.is_empty() {
            return;
        }
        let left: Vec<(layout::Slot, layout::Live)> =
            self.live.iter().flatten().filter(|(slot, _)| gone.contains_key(&slot.table)).collect();
        for (slot, live) in left {
            if self.live.remove(&slot).is_ok() && live.flags & layout::LIVE_INHERITED == 0 {
                *self.ended.entry(live.site).or_default() += 1;
            }
        }
        for key in gone.values() {
            // Its entry may have gone meanwhile.
            let _ = self.tables.remove(key);
        }
    }

    /// Waits until something happens to a process, a signal comes, or so long.
    pub fn wait(&self, timeout: std::time::Duration) {
        use std::os::fd::AsFd as _;
        sys::wait_readable(self.events.as_fd(), timeout);
    }

    /// What happened since it was last asked.
    ///
    /// # Errors
    /// The maps can't be read.
    pub fn poll(&mut self, out: &mut Vec<Event>) -> Result<(), Error> {
        let state = self.state.get(&0, 0).map_err(kernel("the state"))?;
        // After that: what a process has run was said before it got to a site, so that each site finds its program.
        self.processes(out);
        self.new_sites(state.sites, out)?;
        for site in 0..=state.sites {
            let mut tally = self.tallies.get(&site, 0).map_err(kernel("counts"))?;
            tally.closed += self.ghosts.get(&site).copied().unwrap_or(0);
            tally.ended += self.ended.get(&site).copied().unwrap_or(0);
            if self.told_tallies.get(&site) != Some(&tally) && tally != layout::Tally::default() {
                self.told_tallies.insert(site, tally);
                let layout::Tally { opened, closed, ended, last_ns } = tally;
                out.push(Event::Count(Count { site, opened, closed, ended, last_ns }));
            }
        }
        self.new_pairs(out);
        let losses = self.losses()?;
        if losses != self.told_losses {
            self.told_losses = losses;
            out.push(Event::Losses(losses));
        }
        out.push(Event::Tick { at_ns: sys::now_ns() });
        Ok(())
    }

    /// What happened to processes. Programs are read here, as long as they are there.
    pub fn processes(&mut self, out: &mut Vec<Event>) {
        out.append(&mut self.placed);
        let mut waiting = VecDeque::new();
        loop {
            // Reading a program takes its time, in which others begin and end: their files are opened at once.
            while let Some(item) = self.events.next() {
                waiting.extend(sys::event(&item).map(|event| {
                    let early = event.kind == layout::EVENT_EXEC && waiting.len() < WAITING_MAX;
                    (early.then(|| symbols::open(event.tgid, Some(&executed(&event)))), event)
                }));
            }
            let Some((file, event)) = waiting.pop_front() else { return };
            let change = match event.kind {
                layout::EVENT_FORK => Change::Forked { parent: event.parent, shared: event.shared != 0 },
                layout::EVENT_EXEC => {
                    let executed = executed(&event);
                    let file = file.unwrap_or_else(|| symbols::open(event.tgid, Some(&executed)));
                    self.enter(event.image, event.start_code, &executed.name, file);
                    Change::Execed { program: executed.name }
                }
                _ => Change::Exited,
            };
            // What a runtime has forked for a container is put there before it runs the container's program.
            let executed = matches!(change, Change::Execed { .. });
            match change {
                Change::Forked { parent, .. } => self.places.forked(parent, event.tgid, out),
                Change::Execed { .. } => {}
                Change::Exited => self.places.exited(event.tgid),
            }
            out.push(Event::Process(Process { at_ns: event.time_ns, pid: event.tgid, change }));
            if executed {
                self.places.look(event.tgid, out);
            }
        }
    }

    fn new_sites(&mut self, last: u32, out: &mut Vec<Event>) -> Result<(), Error> {
        let mut new: Vec<u32> = std::mem::take(&mut self.late_sites).into_iter().collect();
        new.extend(self.told_sites + 1..=last);
        self.told_sites = last;
        for id in new {
            let site = self.sites.get(&id, 0).map_err(kernel("a stack"))?;
            if site.ready == 0 {
                self.late_sites.insert(id);
                continue;
            }
            if !self.symbols.knows(site.image) {
                self.enter(site.image, start_code(site.tgid), "", symbols::open(site.tgid, None));
            }
            self.places.look_once(site.tgid, out);
            out.push(Event::Site(self.site(id, &site)));
        }
        Ok(())
    }

    fn site(&self, id: u32, site: &layout::Site) -> event::Site {
        let call = calls::name(site.call);
        let command = calls::command_name(call, site.command);
        let pcs = site.pcs.get(..usize::from(site.frames)).unwrap_or(&site.pcs);
        let frames = self.symbols.frames(site.image, pcs);
        // The frame that goes on is the last one of those that are not outside of it.
        let inside = pcs.len().checked_sub(site.command as usize).filter(|_| site.role == layout::ROLE_RECOVERS);
        let resumes = inside.and_then(|inside| self.symbols.frames(site.image, &pcs[..inside]).len().checked_sub(1));
        event::Site {
            id,
            role: match site.role {
                layout::ROLE_OPENS => Role::Opens,
                layout::ROLE_PANICS => Role::Panics,
                layout::ROLE_RECOVERS => Role::Recovers,
                _ => Role::Closes,
            },
            pid: site.tgid,
            program: self.symbols.name(site.image).to_owned(),
            call: call.to_owned(),
            command: command.to_owned(),
            kind: kind::of_call(call, command, site.mode).to_owned(),
            example: match site.role {
                layout::ROLE_PANICS | layout::ROLE_RECOVERS => goroutine(&site.sample),
                _ => example(command, &site.sample),
            },
            frames,
            resumes: resumes.map(|index| index as u32),
            cut: site.cut != 0,
            tool: self.symbols.is_tool(site.image),
        }
    }

    fn new_pairs(&mut self, out: &mut Vec<Event>) {
        let pairs: Vec<_> = self.pairs.iter().flatten().collect();
        for (key, pair) in pairs {
            let known = self.told_pairs.insert((key.kind, key.opener, key.closer), pair.count);
            if known == Some(pair.count) {
                continue;
            }
            let kind = match key.kind {
                layout::PAIR_CLOSED => event::PairKind::Closed,
                layout::PAIR_UNWOUND => event::PairKind::Unwound,
                _ => event::PairKind::BadClose,
            };
            let layout::Pair { count, goid, tgid, fd, .. } = pair;
            let pair = event::Pair { kind, opener: key.opener, closer: key.closer, count, goid, pid: tgid, fd };
            out.push(Event::Pair(pair));
        }
    }

    fn losses(&self) -> Result<Losses, Error> {
        use layout::Counter as C;
        let sum = |counter: C| -> Result<u64, Error> {
            let each = self.counters.get(&(counter as u32), 0).map_err(kernel("the counters"))?;
            Ok(each.iter().sum())
        };
        Ok(Losses {
            unknown_closes: sum(C::UnknownCloses)?,
            bad_closes: sum(C::BadCloses)?,
            ghosts: sum(C::Ghosts)? + self.ghosts_total,
            unknown_ended: sum(C::UnknownEnded)?,
            live: sum(C::LostLive)?,
            sites: sum(C::LostSites)?,
            tables: sum(C::LostTables)?,
            pairs: sum(C::LostPairs)?,
            events: sum(C::LostEvents)?,
            unread: sum(C::Unread)?,
            compat: sum(C::Compat)?,
            panics: sum(C::LostPanics)? + self.unprobed,
        })
    }

    /// The labels of the goroutine that opened a descriptor.
    fn labels(&self, slot: layout::Slot, live: &layout::Live) -> BTreeMap<String, String> {
        if live.flags & layout::LIVE_LABELLED == 0 {
            return BTreeMap::new();
        }
        let found = self.labels.get(&slot, 0).ok().filter(|labels| labels.opened_ns == live.opened_ns);
        let labels = found.iter().flat_map(|labels| labels.of.iter().take(labels.count as usize));
        labels.map(|label| (text(&label.key), text(&label.value))).collect()
    }

    /// What is open now.
    pub fn live(&mut self, out: &mut Vec<Event>) {
        let pids: BTreeMap<u32, u32> = self.tables.iter().flatten().map(|(_, table)| (table.id, table.tgid)).collect();
        let mut all: Vec<(layout::Slot, layout::Live)> = self.live.iter().flatten().collect();
        all.sort_by_key(|(slot, live)| (live.opened_ns, slot.table, slot.fd));
        let mut links: BTreeMap<u32, usize> = BTreeMap::new();
        for (slot, live) in all {
            let Some(&pid) = pids.get(&slot.table) else { continue };
            self.places.look_once(pid, out);
            let shown = links.entry(live.site).or_default();
            *shown += 1;
            let link = if *shown <= LINKS_MAX || live.site == 0 {
                std::fs::read_link(format!("/proc/{pid}/fd/{}", slot.fd)).unwrap_or_default()
            } else {
                std::path::PathBuf::new()
            };
            out.push(Event::Live(event::Live {
                pid,
                fd: slot.fd,
                site: live.site,
                opened_ns: live.opened_ns,
                goid: live.goid,
                inherited: live.flags & layout::LIVE_INHERITED != 0,
                labels: self.labels(slot, &live),
                link: link.to_string_lossy().into_owned(),
            }));
        }
    }
}

/// Attaches the programs; what this kernel doesn't take is left out where the rest is of use without it, and told.
fn attach(ebpf: &mut Ebpf, btf: &Btf, panics: bool) -> Result<Vec<String>, ProgramError> {
    let points = [
        ("forked", "sched_process_fork"),
        ("execed", "sched_process_exec"),
        ("exits", "sched_process_exit"),
        ("call_begins", "sys_enter"),
        ("call_ends", "sys_exit"),
    ];
    for (name, point) in points {
        let program: &mut BtfTracePoint = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()?;
        program.load(point, btf)?;
        program.attach()?;
    }
    let mut unseen = Vec::new();
    if let Err(error) = attach_ring(ebpf, btf) {
        unseen.push(format!("requests of io_uring: {}", told(&error)));
    }
    if panics {
        for name in ["panics", "recovers"] {
            let program: &mut UProbe = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()?;
            program.load()?;
        }
    }
    let walks: &mut Iter = ebpf.program_mut("walks").ok_or(ProgramError::NotLoaded)?.try_into()?;
    walks.load("task_file", btf)?;
    Ok(unseen)
}

/// Programs for requests of `io_uring`, each for the kernels that have its point: of each line the first that loads is taken.
const RING: [[(&str, &str); 2]; 2] = [
    [("ring_submits", "io_uring_submit_req"), ("ring_submits", "io_uring_submit_sqe")],
    [("ring_completes_values", "io_uring_complete"), ("ring_completes", "io_uring_complete")],
];

/// Where the kernel has no `io_uring`, or one that is older than these, what it does is found by the walk at the end.
fn attach_ring(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), ProgramError> {
    let mut loaded = Vec::new();
    for choices in RING {
        let mut failed = ProgramError::NotLoaded;
        let mut load = |(name, point): (&'static str, &str)| {
            let program: &mut BtfTracePoint = ebpf.program_mut(name)?.try_into().ok()?;
            match program.load(point, btf) {
                Ok(()) => return Some(name),
                // That a point is not there says less than that the verifier refuses a program for one that is.
                Err(error) if matches!(failed, ProgramError::LoadError { .. }) => drop(error),
                Err(error) => failed = error,
            }
            None
        };
        match choices.into_iter().find_map(&mut load) {
            Some(name) => loaded.push(name),
            None => return Err(failed),
        }
    }
    for name in loaded {
        let program: &mut BtfTracePoint = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()?;
        program.attach()?;
    }
    Ok(())
}

/// What the kernel said, and what is missing for it to agree.
fn refused(error: &dyn std::error::Error) -> Error {
    Error::Refused { said: told(error), missing: crate::probe::missing() }
}

/// An error with its causes, and of what the verifier says the line that tells why.
fn told(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = next.source();
    }
    gist(&said)
}

/// The first line, and of what the verifier said the line that tells why.
fn gist(said: &str) -> String {
    let first = said.lines().next().unwrap_or_default();
    let first = first.split(". Verifier output").next().unwrap_or(first);
    let why = said
        .lines()
        .skip(1)
        .filter(|line| {
            !["processed ", "stack depth ", "verification time "].iter().any(|end| line.starts_with(end))
                && !line.trim().is_empty()
        })
        .last();
    why.map_or_else(|| first.to_owned(), |why| format!("{first}: {why}"))
}

/// What exec was given.
fn executed(event: &layout::Event) -> Executed {
    Executed { name: text(&event.name), bytes: event.bytes }
}

/// Where the code of a process begins: field 26 of /proc/PID/stat.
fn start_code(pid: u32) -> u64 {
    let mut text = String::new();
    let read = std::fs::File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read_to_string(&mut text));
    // The second field is a name in parentheses, which may hold anything.
    let rest = text.rsplit(')').next().filter(|_| read.is_ok());
    rest.and_then(|rest| rest.split_whitespace().nth(23)?.parse().ok()).unwrap_or(0)
}

/// Text that ends in zeros.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

/// The goroutine that a panic was first seen in.
fn goroutine(sample: &[u8; layout::SAMPLE_BYTES]) -> String {
    let goid = sample.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
    format!("goroutine {goid}")
}

/// The path, name or id that a site opened first.
fn example(command: &str, sample: &[u8; layout::SAMPLE_BYTES]) -> String {
    if command.ends_with("_BY_ID") {
        return format!("id {}", u32::from_ne_bytes([sample[0], sample[1], sample[2], sample[3]]));
    }
    if command.ends_with("LINK_CREATE") || command.ends_with("OPEN") || command == "BPF_BTF_LOAD" {
        return String::new();
    }
    text(sample)
}

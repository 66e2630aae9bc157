//! What can be said of descriptors without eBPF: /proc/PID/fd, read again and again.
//!
//! It says how many of which kind a process has, and that they grow; who opened them, what came and went between two looks, and
//! what has the same name as one that was there before, it can't. It takes what reading /proc takes: the same user, or
//! `CAP_SYS_PTRACE`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use residue_fd::event::{self, Change, Count, End, Event, Live, Losses, Process, Role, Site, Start};
use residue_fd::kind;

use super::{Error, sys};
use crate::containers::Told;
use crate::inventory::fdinfo::Fdinfo;

/// Descriptors that are remembered; more are counted as lost.
const SEEN_MAX: usize = 1 << 20;
/// Processes that are looked at.
const PROCESSES_MAX: usize = 1 << 15;
/// A signal is heard after so long, at the latest.
const NAP: Duration = Duration::from_millis(100);

/// Which processes are looked at, beside those told one by one and their children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sampled {
    /// None.
    Told,
    /// All that may be read.
    Everybody,
    /// Those of a cgroup (v2), by its folder.
    Cgroup(PathBuf),
}

/// A descriptor as last seen.
#[derive(Clone, Debug)]
struct Seen {
    /// Its kind in its process.
    site: u32,
    link: String,
    opened_ns: u64,
    /// The look that saw it last.
    look: u64,
}

/// Looks at processes.
#[derive(Debug)]
pub struct Sampler {
    scope: Sampled,
    told: BTreeSet<u32>,
    /// Those that were there at the last look.
    running: BTreeSet<u32>,
    seen: BTreeMap<(u32, u32), Seen>,
    /// By process and kind.
    sites: BTreeMap<(u32, &'static str), u32>,
    counts: BTreeMap<u32, Count>,
    look: u64,
    losses: Losses,
    places: Told,
}

impl Sampler {
    /// Looks at nobody yet.
    pub fn new(scope: Sampled) -> Self {
        Self {
            scope,
            told: BTreeSet::new(),
            running: BTreeSet::new(),
            seen: BTreeMap::new(),
            sites: BTreeMap::new(),
            counts: BTreeMap::new(),
            look: 0,
            losses: Losses::default(),
            places: Told::default(),
        }
    }

    /// How a recording begins.
    pub fn started(&self, pids: &[u32]) -> Event {
        let (pids, by) = (pids.to_vec(), event::BY_PROC.to_owned());
        Event::Start(Start { version: event::VERSION, at_ns: sys::now_ns(), pids, by, unseen: Vec::new() })
    }

    /// How it ends.
    pub fn ended(&self, exited: bool) -> Event {
        Event::End(End { at_ns: sys::now_ns(), exited })
    }

    /// Looks at a process from now on.
    ///
    /// # Errors
    /// There is none, or it may not be looked at.
    pub fn follow(&mut self, pid: u32) -> Result<(), Error> {
        // The folder may be listed by those who may not read what is in it.
        let listed = std::fs::read_dir(format!("/proc/{pid}/fd"));
        let read = listed
            .and_then(|mut entries| entries.next().transpose()?.map(|entry| entry.path().read_link()).transpose());
        match read {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Error::Private(pid)),
            // The one that was listed may be closed by now.
            Err(_) if !Path::new(&format!("/proc/{pid}")).exists() => Err(Error::Gone(pid)),
            _ => {
                self.told.insert(pid);
                Ok(())
            }
        }
    }

    /// Starts a command, and looks at it.
    ///
    /// # Errors
    /// It can't be run.
    pub fn spawn(&mut self, command: &mut Command) -> Result<Child, Error> {
        let child = command.spawn().map_err(|error| Error::spawn(command.get_program(), &error))?;
        self.told.insert(child.id());
        Ok(child)
    }

    /// Waits so long, or less.
    pub fn wait(&self, timeout: Duration) {
        std::thread::sleep(timeout.min(NAP));
    }

    /// Looks, and says what has changed.
    pub fn poll(&mut self, out: &mut Vec<Event>) {
        self.look += 1;
        let now = sys::now_ns();
        let pids = self.processes();
        let mut changed = BTreeSet::new();
        let mut gone = BTreeSet::new();
        for &pid in &pids {
            self.places.look_once(pid, out);
            if self.process(pid, now, &mut changed, out).is_err() {
                gone.insert(pid);
            }
        }
        let running: BTreeSet<u32> = pids.difference(&gone).copied().collect();
        for &pid in self.running.difference(&running) {
            self.places.exited(pid);
            out.push(Event::Process(Process { at_ns: now, pid, change: Change::Exited }));
        }
        let (look, counts) = (self.look, &mut self.counts);
        self.seen.retain(|(pid, _), seen| {
            if seen.look == look {
                return true;
            }
            if let Some(count) = counts.get_mut(&seen.site) {
                let left = if running.contains(pid) { &mut count.closed } else { &mut count.ended };
                *left += 1;
                changed.insert(seen.site);
            }
            false
        });
        // A number may be another process's by the next look.
        self.sites.retain(|(pid, _), _| running.contains(pid));
        self.told.retain(|pid| running.contains(pid));
        self.running = running;
        out.extend(changed.iter().filter_map(|site| self.counts.get(site)).copied().map(Event::Count));
        out.push(Event::Losses(self.losses));
        out.push(Event::Tick { at_ns: now });
    }

    /// What is open.
    pub fn live(&self, out: &mut Vec<Event>) {
        out.extend(self.seen.iter().map(|(&(pid, fd), seen)| {
            let Seen { site, opened_ns, .. } = *seen;
            Event::Live(Live {
                pid,
                fd,
                site,
                opened_ns,
                goid: 0,
                inherited: false,
                link: seen.link.clone(),
                labels: BTreeMap::new(),
            })
        }));
    }

    /// Those that are to be looked at, with their children.
    fn processes(&mut self) -> BTreeSet<u32> {
        let mut found: BTreeSet<u32> = match &self.scope {
            Sampled::Told => BTreeSet::new(),
            Sampled::Everybody => numbers(Path::new("/proc")).collect(),
            Sampled::Cgroup(folder) => {
                let text = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
                text.lines().filter_map(|line| line.parse().ok()).collect()
            }
        };
        let mut next: Vec<u32> = self.told.iter().copied().collect();
        while let Some(pid) = next.pop() {
            if !found.insert(pid) || found.len() >= PROCESSES_MAX {
                continue;
            }
            // `CONFIG_PROC_CHILDREN`; without it children are not seen.
            for thread in numbers(Path::new(&format!("/proc/{pid}/task"))) {
                let text = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")).unwrap_or_default();
                next.extend(text.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            }
        }
        found.remove(&std::process::id());
        found.into_iter().take(PROCESSES_MAX).collect()
    }

    fn process(&mut self, pid: u32, now: u64, changed: &mut BTreeSet<u32>, out: &mut Vec<Event>) -> io::Result<()> {
        let folder = PathBuf::from(format!("/proc/{pid}/fd"));
        for entry in std::fs::read_dir(&folder)? {
            let Some(fd) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // It may be closed by now.
            let Ok(link) = std::fs::read_link(folder.join(format!("{fd}"))) else { continue };
            let link = link.to_string_lossy().into_owned();
            if let Some(seen) = self.seen.get_mut(&(pid, fd))
                && (seen.link == link || seen.link.starts_with(&format!("{link} id ")))
            {
                seen.look = self.look;
                continue;
            }
            if self.seen.len() >= SEEN_MAX {
                self.losses.live += 1;
                continue;
            }
            let kind = kind::of_link(&link);
            let link = identified(pid, fd, kind, link);
            let site = self.site(pid, kind, &link, out);
            let seen = Seen { site, link, opened_ns: now, look: self.look };
            if let Some(before) = self.seen.insert((pid, fd), seen)
                && let Some(count) = self.counts.get_mut(&before.site)
            {
                count.closed += 1;
                changed.insert(before.site);
            }
            if let Some(count) = self.counts.get_mut(&site) {
                (count.opened, count.last_ns) = (count.opened + 1, now);
                changed.insert(site);
            }
        }
        Ok(())
    }

    fn site(&mut self, pid: u32, kind: &'static str, link: &str, out: &mut Vec<Event>) -> u32 {
        if let Some(site) = self.sites.get(&(pid, kind)) {
            return *site;
        }
        let id = u32::try_from(self.counts.len()).unwrap_or(u32::MAX - 1) + 1;
        self.sites.insert((pid, kind), id);
        self.counts.insert(id, Count { site: id, ..Count::default() });
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        out.push(Event::Site(Site {
            id,
            role: Role::Opens,
            pid,
            program: program.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            call: String::new(),
            command: String::new(),
            kind: kind.to_owned(),
            example: link.to_owned(),
            frames: Vec::new(),
            cut: false,
            resumes: None,
            tool: false,
        }));
        id
    }
}

/// The link of a descriptor; of eBPF objects, which all look the same, with their id.
fn identified(pid: u32, fd: u32, kind: &str, link: String) -> String {
    let key = match kind {
        "bpf-map" => "map_id",
        "bpf-prog" => "prog_id",
        "bpf-link" => "link_id",
        _ => return link,
    };
    match Fdinfo::read(&format!("/proc/{pid}/fdinfo/{fd}")).get(key) {
        Some(id) => format!("{link} id {id}"),
        None => link,
    }
}

/// Entries of a folder that are numbers.
fn numbers(folder: &Path) -> impl Iterator<Item = u32> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

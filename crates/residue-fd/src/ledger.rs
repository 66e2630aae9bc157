//! The books: what is known of every opener, from the events of a recorder.
//!
//! Sites whose stacks read the same are one opener, whichever process or instruction they are of. Where there is no Go function on
//! the stack, those of one program that make the same system call are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::container::{Container, Place};
use crate::event::{Change, Count, End, Event, Frame, Live, Losses, Pair, PairKind, Role, Site, Start};

/// When an opener is called a leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a window is.
    pub window_ns: u64,
    /// What happens before is not looked at.
    pub warmup_ns: u64,
    /// So many open at the exit of the command are a leak, if the opener never closed one.
    pub min_live: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { window_ns: 10_000_000_000, warmup_ns: 10_000_000_000, min_live: 2 }
    }
}

/// Windows over which the count has to grow.
pub const WINDOWS: usize = 3;
/// No count is larger, whatever a recording says: they are added up.
const COUNT_MAX: u64 = 1 << 40;
/// Descriptors shown as examples of an opener, at most.
const EXAMPLES_MAX: usize = 8;

/// What makes two sites one opener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: String,
    command: String,
    frames: Vec<Frame>,
    /// Program and system call, if no frame says more.
    otherwise: Option<(String, String)>,
}

/// All that is known of one opener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    /// Its sites, the first of which tells the stack.
    pub(crate) sites: Vec<u32>,
    /// The least number of live descriptors in each window that is over, after the one at the end of the warm-up. The last
    /// ones.
    lows: Vec<u64>,
    /// The least number so far in the present window.
    low: Option<u64>,
    /// Live ones at the last look, with those that were until their process ended since the look before.
    pub(crate) last: u64,
    /// Those that were open when their process ended, at the last look.
    ended: u64,
    /// Those left at the end of the warm-up: open, or open when their process ended.
    pub(crate) base: u64,
}

impl Group {
    /// The count has grown in each of the last windows, and by how much.
    pub(crate) fn growth(&self) -> Option<u64> {
        let last = self.lows.get(self.lows.len().checked_sub(WINDOWS + 1)?..)?;
        last.windows(2).all(|pair| pair[0] < pair[1]).then(|| last[WINDOWS] - last[0])
    }
}

/// The books of a recording.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) policy: Policy,
    pub(crate) start: Start,
    pub(crate) now_ns: u64,
    pub(crate) sites: BTreeMap<u32, Site>,
    pub(crate) counts: BTreeMap<u32, Count>,
    pub(crate) groups: Vec<Group>,
    by_key: BTreeMap<Key, usize>,
    by_site: BTreeMap<u32, usize>,
    pub(crate) pairs: BTreeMap<(PairKind, u32, u32), Pair>,
    /// Open descriptors, by the site that opened them.
    pub(crate) live: BTreeMap<u32, Vec<Live>>,
    pub(crate) losses: Losses,
    pub(crate) processes: BTreeSet<u32>,
    /// Those of processes that have ended, too; what was forked shares its parent's.
    places: BTreeMap<u32, Arc<Place>>,
    pub(crate) end: Option<End>,
    /// Windows begun since the warm-up.
    window: Option<u64>,
}

impl Ledger {
    /// Empty books.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            start: Start::default(),
            now_ns: 0,
            sites: BTreeMap::new(),
            counts: BTreeMap::new(),
            groups: Vec::new(),
            by_key: BTreeMap::new(),
            by_site: BTreeMap::new(),
            pairs: BTreeMap::new(),
            live: BTreeMap::new(),
            losses: Losses::default(),
            processes: BTreeSet::new(),
            places: BTreeMap::new(),
            end: None,
            window: None,
        }
    }

    /// Enters what a recorder says.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Start(start) => {
                self.now_ns = start.at_ns;
                self.processes.extend(&start.pids);
                self.start = start;
            }
            Event::Site(site) => self.site(site),
            Event::Count(count) => {
                self.counts.insert(count.site, plausible(count));
            }
            Event::Tick { at_ns } => self.tick(at_ns),
            Event::Process(process) => {
                self.processes.insert(process.pid);
                if let Change::Forked { parent, .. } = process.change
                    && let Some(place) = self.places.get(&parent).cloned()
                {
                    self.places.insert(process.pid, place);
                }
            }
            Event::Placed(placed) => {
                self.places.insert(placed.pid, Arc::new(placed.place));
            }
            Event::Pair(pair) => {
                let pair = Pair { count: pair.count.min(COUNT_MAX), ..pair };
                self.pairs.insert((pair.kind, pair.opener, pair.closer), pair);
            }
            Event::Live(live) => self.live.entry(live.site).or_default().push(live),
            Event::Losses(losses) => {
                self.losses = Losses { unknown_ended: losses.unknown_ended.min(COUNT_MAX), ..losses };
            }
            Event::End(end) => {
                self.now_ns = self.now_ns.max(end.at_ns);
                self.end = Some(end);
            }
        }
    }

    /// The container that a process is in, or was last.
    pub(crate) fn container(&self, pid: u32) -> Option<&Container> {
        self.places.get(&pid)?.container.as_ref()
    }

    fn site(&mut self, site: Site) {
        if site.role == Role::Opens {
            let (kind, command) = (site.kind.clone(), site.command.clone());
            let (frames, otherwise) = if site.is_go() {
                (site.frames.clone(), None)
            } else {
                (Vec::new(), Some((site.program.clone(), site.call.clone())))
            };
            let key = Key { kind, command, frames, otherwise };
            let next = self.groups.len();
            let group = *self.by_key.entry(key).or_insert(next);
            if group == next {
                self.groups.push(Group::default());
            }
            // A site that is told twice counts once.
            if self.by_site.insert(site.id, group).is_none() {
                self.groups[group].sites.push(site.id);
            }
        }
        self.sites.insert(site.id, site);
    }

    /// Descriptors of an opener that are open.
    pub(crate) fn live_of(&self, group: &Group) -> u64 {
        group.sites.iter().filter_map(|site| self.counts.get(site)).map(open).sum()
    }

    /// Descriptors of an opener that were open when their process ended.
    fn ended_of(&self, group: &Group) -> u64 {
        group.sites.iter().filter_map(|site| self.counts.get(site)).map(|count| count.ended).sum()
    }

    fn tick(&mut self, at_ns: u64) {
        self.now_ns = self.now_ns.max(at_ns);
        let warm = self.start.at_ns.saturating_add(self.policy.warmup_ns);
        let Some(since) = at_ns.checked_sub(warm) else { return };
        let window = since / self.policy.window_ns.max(1);
        let over = self.window.is_some_and(|last| window > last);
        let begins = self.window.is_none();
        let missed = self.window.map_or(0, |last| window.saturating_sub(last).saturating_sub(1));
        self.window = Some(window);
        for index in 0..self.groups.len() {
            let ended = self.ended_of(&self.groups[index]);
            let open = self.live_of(&self.groups[index]);
            // What a process had open when it ended was open until then.
            let live = open + ended.saturating_sub(self.groups[index].ended);
            let group = &mut self.groups[index];
            (group.ended, group.last) = (ended, live);
            if begins {
                group.base = open + ended;
                group.lows = vec![live];
            } else if over {
                // A window ends with the first look after it: what is open now was open at its end, or came since.
                let low = group.low.unwrap_or(live).min(live);
                if group.lows.is_empty() {
                    group.lows.push(0);
                }
                group.lows.push(low);
                // Nobody looked: nothing is known to have grown.
                for _ in 0..missed.min(WINDOWS as u64) {
                    group.lows.push(low);
                }
                let extra = group.lows.len().saturating_sub(WINDOWS + 1);
                group.lows.drain(..extra);
                group.low = None;
            }
            let low = &mut self.groups[index].low;
            *low = Some(low.map_or(live, |low| low.min(live)));
        }
    }

    /// What was said of an opener and those who closed.
    pub(crate) fn pairs_of(&self, kind: PairKind, openers: &[u32]) -> impl Iterator<Item = &Pair> {
        openers.iter().flat_map(move |&opener| {
            self.pairs.range((kind, opener, 0)..=(kind, opener, u32::MAX)).map(|(_, pair)| pair)
        })
    }

    /// The descriptors of an opener, oldest first: the number of its processes, when the oldest was opened, some to show.
    pub(crate) fn examples(&self, group: &Group) -> (BTreeSet<u32>, Option<u64>, Vec<Live>) {
        let of = group.sites.iter().filter_map(|site| self.live.get(site)).flatten();
        let mut of: Vec<&Live> = of.filter(|live| !live.inherited).collect();
        of.sort_by_key(|live| (live.opened_ns, live.pid, live.fd));
        let pids = of.iter().map(|live| live.pid).collect();
        let oldest = of.first().map(|live| live.opened_ns);
        (pids, oldest, of.into_iter().take(EXAMPLES_MAX).cloned().collect())
    }
}

/// Descriptors of a site that are open.
fn open(count: &Count) -> u64 {
    count.opened.saturating_sub(count.closed).saturating_sub(count.ended)
}

/// Counters as they can be.
fn plausible(count: Count) -> Count {
    let Count { opened, closed, ended, .. } = count;
    Count { opened: opened.min(COUNT_MAX), closed: closed.min(COUNT_MAX), ended: ended.min(COUNT_MAX), ..count }
}

//! Panics that were recovered, and the descriptors they left behind.
//!
//! The recorder says which openers and which recoveries met: a descriptor is open since its goroutine recovered by way of a
//! frame that lies on both stacks. Who had the descriptor is the innermost frame that both stacks have in common: the same
//! function, at the line that opened it in the one and at the line that panicked in the other.

use std::collections::BTreeMap;

use crate::event::{Frame, PairKind, Role, Site};
use crate::ledger::Ledger;

/// Panics of one stack.
#[derive(Clone, Debug)]
pub struct Panic {
    /// The stack, from the function that panicked, and the process and goroutine that were seen there first.
    pub site: Site,
    /// How often.
    pub count: u64,
    /// How often something recovered.
    pub recovered: u64,
}

/// A panic that unwound the function that had descriptors.
#[derive(Clone, Debug)]
pub struct Unwound {
    /// Where it panicked, and which frame recovered.
    pub panic: Site,
    /// The function that had them, where it had come to: a frame of the panic's stack.
    pub holder: Frame,
    /// How many descriptors are open since.
    pub count: u64,
    /// The goroutine of the first.
    pub goid: u64,
    /// Its process.
    pub pid: u32,
    /// Its number there.
    pub fd: u32,
}

impl Unwound {
    /// The frame that recovered.
    pub fn resumes(&self) -> Option<&Frame> {
        self.panic.frames.get(self.panic.resumes? as usize)
    }
}

impl Ledger {
    /// Panics by stack.
    pub(crate) fn panics(&self) -> Vec<Panic> {
        let mut panics: BTreeMap<Vec<Frame>, Panic> = BTreeMap::new();
        for site in self.sites.values().filter(|site| matches!(site.role, Role::Panics | Role::Recovers)) {
            let times = self.counts.get(&site.id).map_or(0, |count| count.opened);
            let site = from_panic(site);
            let panic = panics.entry(site.frames.clone());
            let panic = panic.or_insert_with(|| Panic { site: site.clone(), count: 0, recovered: 0 });
            if site.role == Role::Panics {
                panic.count += times;
            } else {
                panic.recovered += times;
                panic.site.resumes = site.resumes;
            }
        }
        let mut panics: Vec<Panic> = panics.into_values().collect();
        panics.sort_by_key(|panic| std::cmp::Reverse(panic.count.max(panic.recovered)));
        panics
    }

    /// Panics that unwound who had descriptors of an opener.
    pub(crate) fn unwound(&self, openers: &[u32], frames: &[Frame]) -> Vec<Unwound> {
        let met = self.pairs_of(PairKind::Unwound, openers).filter(|pair| pair.count > 0);
        let mut unwound: Vec<Unwound> = met
            .filter_map(|pair| {
                let panic = from_panic(self.sites.get(&pair.closer)?);
                let holder = holder(frames, &panic)?.clone();
                Some(Unwound { panic, holder, count: pair.count, goid: pair.goid, pid: pair.pid, fd: pair.fd })
            })
            .collect();
        unwound.sort_by_key(|unwound| std::cmp::Reverse(unwound.count));
        unwound
    }
}

/// A panic's stack without the runtime's own frames below the function that panicked.
fn from_panic(site: &Site) -> Site {
    let mut site = site.clone();
    let own = site.frames.iter().take_while(|frame| frame.package == "runtime").count();
    site.frames.drain(..own);
    site.resumes = site.resumes.and_then(|index| index.checked_sub(own as u32));
    site
}

/// The innermost frame on both stacks, as it stands in the panic's; none if that was not unwound, or isn't the program's own.
fn holder<'p>(opener: &[Frame], panic: &'p Site) -> Option<&'p Frame> {
    let common = opener.iter().rev().zip(panic.frames.iter().rev()).take_while(|(ours, theirs)| ours == theirs).count();
    let at = panic.frames.len().checked_sub(common + 1)?;
    let (opened, panicked) = (opener.get(opener.len().checked_sub(common + 1)?)?, &panic.frames[at]);
    let unwound = panic.resumes.is_some_and(|resumes| at <= resumes as usize);
    let is_own = !panicked.std && !panicked.package.is_empty();
    (unwound && is_own && opened.function == panicked.function).then_some(panicked)
}

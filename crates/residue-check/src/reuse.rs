//! What was found in a package before is taken from a store where nothing that it depends on has changed.
//!
//! What looking at a package gives depends on three things. Its own files, the rules, models and build set, and what can
//! be seen of the packages that it imports: these make the key of what is kept ([`key`]). What it asked about functions
//! of other packages: how much is known of them, what is, and to which methods calls through interfaces lead. That is
//! listed in what is kept, with the answers ([`asked`], [`kept`]), and asked again before it is used. So a change to a
//! function's body concerns the package it is in, and those that asked about a function of which something else is
//! known now; no others.

mod asked;
mod kept;
mod key;
mod memory;

use residue_cache::{Digest, Store};
use residue_finding::Outcome;
use residue_project::PackageId;

pub(crate) use asked::AskedShape;
pub(crate) use kept::Kept;
pub(crate) use key::Keys;
pub use memory::Memory;
pub(crate) use memory::{Found, RestsOn, Told, is_same};

/// Where to find what is known from earlier runs, and to leave what this one finds.
#[derive(Clone, Copy)]
pub struct Reuse<'a> {
    /// Keeps what is found.
    pub store: &'a dyn Store,
    /// The digest of all that results depend on and that is in neither the project nor the list of rules: the program
    /// that is running, and the models.
    pub base: Digest,
    /// What this process knows of the code, if it has checked it before; it must have taken in the project.
    pub memory: Option<&'a Memory>,
    /// Somebody who waits for it, and may lose patience.
    pub watch: Option<Watch<'a>>,
}

/// What is done about it that somebody waits.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Whether nobody wants to know any more. Packages that are not looked at then are left for the next time.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// The packages that are waited for most.
    pub first: &'a [PackageId],
    /// Told what is in them as soon as they were looked at, unless nothing else is left to do then. Who recovers above their
    /// functions is, of packages that were not looked at by then, what it was before.
    pub tell: &'a (dyn Fn(Outcome) + Sync),
}

/// How many of the root packages had to be looked at. Those that are only imported are not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reused {
    /// What was found in them was taken from the store.
    pub taken: u64,
    /// They were analysed.
    pub analysed: u64,
    /// The analysis failed on them, imported ones included.
    pub failed: u64,
    /// Nobody wanted to know what is in them any more: what came out is worth nothing.
    pub stopped: u64,
}

impl std::ops::AddAssign for Reused {
    fn add_assign(&mut self, other: Self) {
        let Self { taken, analysed, failed, stopped } = other;
        self.taken += taken;
        self.analysed += analysed;
        self.failed += failed;
        self.stopped += stopped;
    }
}

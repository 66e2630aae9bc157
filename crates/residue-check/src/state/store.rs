//! What is known at one point of one path.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use residue_flow::ir::CallId;
use residue_flow::{BlockId, EdgeKind};
use residue_types::{ObjId, Symbol};
use rustc_hash::FxHasher;

use super::sym::{Place, Sym};

/// A small map, sorted by key: compared, hashed and copied more often than it is long.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Map<K, V>(Vec<(K, V)>);

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord + Copy, V: Copy> Map<K, V> {
    pub(crate) fn get(&self, key: K) -> Option<V> {
        let at = self.0.binary_search_by(|(k, _)| k.cmp(&key)).ok()?;
        Some(self.0[at].1)
    }

    pub(crate) fn set(&mut self, key: K, value: V) {
        match self.0.last() {
            Some((last, _)) if *last < key => self.0.push((key, value)),
            None => self.0.push((key, value)),
            _ => match self.0.binary_search_by(|(k, _)| k.cmp(&key)) {
                Ok(at) => self.0[at].1 = value,
                Err(at) => self.0.insert(at, (key, value)),
            },
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        self.0.iter().copied()
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(K, V) -> bool) {
        self.0.retain(|&(k, v)| keep(k, v));
    }
}

/// A resource that is followed: an index into the function's list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct SiteId(pub(crate) u16);

/// What has become of a resource.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum Status {
    /// Not acquired yet.
    #[default]
    Absent,
    /// This function's to release.
    Open,
    /// The acquiring call failed.
    Failed,
    /// Released by the instruction.
    Released(Place),
    /// Somebody else's to release.
    Escaped(Escape),
}

/// How a resource gets to somebody else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Escape {
    /// As an argument of a call.
    Passed,
    /// Returned.
    Returned,
    /// Returned beside an error: callers seldom look at it.
    Beside,
    /// Into a variable of a package, an object that others see, a channel, a goroutine; or in a way not understood.
    Stored,
}

/// A resource on a path.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Resource {
    pub(crate) status: Status,
    /// Whether it was read to its end.
    pub(crate) drained: bool,
    /// Whether the field that it is was looked at, where it is one.
    pub(crate) touched: bool,
    /// Where the last variable that held it was set to something else.
    pub(crate) overwritten: Option<Place>,
}

/// Something known about a symbol.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Fact {
    Nil,
    NotNil,
    True,
    False,
}

/// A call that is put off; the one before it is deeper in the stack.
#[derive(Debug)]
pub(crate) struct Deferred {
    /// The body that defers it.
    pub(crate) body: u16,
    /// The instruction.
    pub(crate) value: u32,
    pub(crate) call: CallId,
    pub(crate) fun: Option<Sym>,
    pub(crate) recv: Option<Sym>,
    pub(crate) args: Vec<Sym>,
    pub(crate) below: Option<Rc<Self>>,
    hash: u64,
    /// How many wait, this one included.
    depth: usize,
}

impl Deferred {
    pub(crate) fn new(
        place: Place,
        call: CallId,
        operands: (Option<Sym>, Option<Sym>, Vec<Sym>),
        below: Option<Rc<Self>>,
    ) -> Self {
        let (fun, recv, args) = operands;
        let mut hasher = FxHasher::default();
        (place, fun, recv, &args, below.as_ref().map(|d| d.hash)).hash(&mut hasher);
        let hash = hasher.finish();
        let depth = below.as_ref().map_or(0, |below| below.depth) + 1;
        Self { body: place.body, value: place.value, call, fun, recv, args, below, hash, depth }
    }

    /// How many calls wait.
    pub(crate) fn depth(stack: Option<&Rc<Self>>) -> usize {
        stack.map_or(0, |deferred| deferred.depth)
    }

    /// Whether the stack has this very call already: a defer in a loop.
    pub(crate) fn has(stack: Option<&Rc<Self>>, place: Place, operands: (Option<Sym>, Option<Sym>, &[Sym])) -> bool {
        let mut at = stack;
        while let Some(deferred) = at {
            if (deferred.body, deferred.value) == (place.body, place.value)
                && (deferred.fun, deferred.recv, &deferred.args[..]) == operands
            {
                return true;
            }
            at = deferred.below.as_ref();
        }
        false
    }
}

impl Drop for Deferred {
    // Not by recursion, as for `Trail`.
    fn drop(&mut self) {
        let mut next = self.below.take();
        while let Some(mut deferred) = next.and_then(|rc| Rc::try_unwrap(rc).ok()) {
            next = deferred.below.take();
        }
    }
}

/// The branches that a path took, the last one first.
#[derive(Debug)]
pub(crate) struct Trail {
    pub(crate) body: u16,
    pub(crate) block: BlockId,
    pub(crate) edge: EdgeKind,
    pub(crate) before: Option<Rc<Self>>,
}

impl Drop for Trail {
    // A long path is a long list: not by recursion.
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(mut trail) = next.and_then(|rc| Rc::try_unwrap(rc).ok()) {
            next = trail.before.take();
        }
    }
}

/// A temporary value: the `n`-th of what an instruction gives, 0 for the value itself.
pub(crate) type Temp = (Place, u32);

/// What is known at one point of one path.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// What variables hold that were set.
    pub(crate) env: Map<ObjId, Sym>,
    /// What fields of objects hold that were set.
    pub(crate) fields: Map<(Sym, Field), Sym>,
    pub(crate) temps: Map<Temp, Sym>,
    pub(crate) facts: Map<Sym, Fact>,
    /// Objects made here that others see by now.
    pub(crate) shared: Map<Sym, ()>,
    /// Resources that a finalizer releases, with the place that sets it.
    pub(crate) finalized: Map<SiteId, Place>,
    /// By [`SiteId`]; those beyond the end are absent.
    resources: Vec<Resource>,
    pub(crate) defers: Option<Rc<Deferred>>,
    /// Panics under way: the one that unwinds the function, and those of deferred calls that it runs.
    pub(crate) panics: u8,
    /// Calls made so far that undo or write something which the end of the process does not, by the digest of their text.
    pub(crate) outlived: Map<u64, ()>,
    /// Whether a deferred call gave the HTTP request that the function handles a status.
    pub(crate) answered: bool,
    /// Whether the newest of them was made by what a deferred call runs, and unwinds its frames.
    pub(crate) unwinds: bool,
    pub(crate) trail: Option<Rc<Trail>>,
}

/// What stands between an object and something it holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Field {
    /// A field of a struct, or `*` for what a pointer points to.
    Named(Symbol),
    /// The object reads or writes it, and can't release it: a buffered reader.
    Wraps(u32),
    /// Releasing the object releases it.
    Owns(u32),
    /// It is among the elements.
    Element(u32),
}

impl Field {
    fn rank(self) -> (u8, &'static str, u32) {
        match self {
            Self::Named(name) => (0, name.as_str(), 0),
            Self::Wraps(n) => (1, "", n),
            Self::Owns(n) => (2, "", n),
            Self::Element(n) => (3, "", n),
        }
    }
}

impl PartialOrd for Field {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Field {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl State {
    /// How much there is to copy.
    pub(crate) fn weight(&self) -> u32 {
        let parts = self.env.len() + self.fields.len() + self.temps.len() + self.facts.len() + self.shared.len();
        (parts + self.resources.len()) as u32
    }

    pub(crate) fn resource(&self, site: SiteId) -> Resource {
        self.resources.get(site.0 as usize).copied().unwrap_or_default()
    }

    pub(crate) fn resource_mut(&mut self, site: SiteId) -> &mut Resource {
        let at = site.0 as usize;
        if at >= self.resources.len() {
            self.resources.resize(at + 1, Resource::default());
        }
        &mut self.resources[at]
    }

    /// What an object holds, with what stands between.
    pub(crate) fn held_by(&self, object: Sym) -> impl Iterator<Item = (Field, Sym)> + '_ {
        self.fields.iter().filter(move |&((base, _), _)| base == object).map(|((_, field), held)| (field, held))
    }

    pub(crate) fn status(&self, site: SiteId) -> Status {
        self.resource(site).status
    }

    /// The resources that are this function's to release.
    pub(crate) fn open(&self) -> impl Iterator<Item = SiteId> + '_ {
        let open = |(i, resource): (usize, &Resource)| (resource.status == Status::Open).then_some(SiteId(i as u16));
        self.resources.iter().enumerate().filter_map(open)
    }

    /// Equal for states that go on alike.
    pub(crate) fn digest(&self) -> u64 {
        let mut hasher = FxHasher::default();
        (&self.env, &self.fields, &self.temps, &self.facts, &self.shared, &self.finalized, &self.outlived)
            .hash(&mut hasher);
        self.property(&mut hasher);
        hasher.finish()
    }

    /// Equal for states in which the same has become of each resource.
    pub(crate) fn property_digest(&self) -> u64 {
        let mut hasher = FxHasher::default();
        self.property(&mut hasher);
        hasher.finish()
    }

    fn property(&self, hasher: &mut FxHasher) {
        let known = self.resources.iter().rposition(|r| *r != Resource::default()).map_or(0, |last| last + 1);
        (&self.resources[..known], self.panics, self.unwinds, self.answered, self.defers.as_ref().map(|d| d.hash))
            .hash(hasher);
    }

    /// Drops what this state knows and another doesn't. `phi` gives the symbol of a variable that holds different
    /// things. Gives what one of the two states knew a holder of and the result does not.
    pub(crate) fn join(&mut self, other: &Self, mut phi: impl FnMut(ObjId) -> Sym) -> Vec<Sym> {
        let mut lost = Vec::new();
        self.facts.retain(|sym, fact| other.facts.get(sym) == Some(fact));
        let vars: Vec<ObjId> = self.env.iter().chain(other.env.iter()).map(|(var, _)| var).collect();
        for var in vars {
            let (here, there) = (self.env.get(var), other.env.get(var));
            if here != there {
                lost.extend(here.into_iter().chain(there));
                self.env.set(var, phi(var));
            }
        }
        lost.extend(other.fields.iter().filter(|&(key, value)| self.fields.get(key) != Some(value)).map(|(_, v)| v));
        self.fields.retain(|key, value| {
            let same = other.fields.get(key) == Some(value);
            if !same {
                lost.push(value);
            }
            same
        });
        self.temps.retain(|temp, sym| other.temps.get(temp) == Some(sym));
        self.outlived.retain(|text, ()| other.outlived.get(text).is_some());
        for (sym, ()) in other.shared.iter() {
            self.shared.set(sym, ());
        }
        lost
    }
}

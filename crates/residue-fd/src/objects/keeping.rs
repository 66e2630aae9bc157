//! What an object is kept by in the end: some process, an event it is attached to, a file in a bpf file system, or nothing
//! that was seen.

use std::collections::{BTreeMap, BTreeSet};

use crate::objects::{Holder, Inventory, Kind, ObjectId};

/// What keeps an object in the end; the strongest that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keeper {
    /// Nothing that was seen.
    Unseen,
    /// A file in a bpf file system: it stays until somebody removes that or the machine is restarted.
    Pin,
    /// An event that it is attached to without a link: it runs, and nobody may know of it.
    Attachment,
    /// A process, which gives it back when it ends.
    Process,
}

impl Keeper {
    /// The word every format uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unseen => "unseen",
            Self::Pin => "pin",
            Self::Attachment => "attachment",
            Self::Process => "process",
        }
    }
}

/// What keeps each object, directly or by way of others: a process has a link, that its program, that its maps.
#[derive(Clone, Debug)]
pub struct Keeping {
    keepers: BTreeMap<ObjectId, Keeper>,
    /// What an object keeps itself.
    keeps: BTreeMap<ObjectId, Vec<ObjectId>>,
    pins: BTreeMap<ObjectId, Vec<String>>,
}

/// An object that no process keeps, and what hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The object.
    pub object: ObjectId,
    /// What keeps it: never [`Keeper::Process`].
    pub keeper: Keeper,
    /// Where it is pinned.
    pub pins: Vec<String>,
    /// What it keeps, in the end, and no process does; in order.
    pub below: Vec<ObjectId>,
    /// Bytes of all that, itself included, as far as known. What hangs on two roots is counted with either.
    pub memory: u64,
}

impl Keeping {
    /// Follows holders to their ends.
    pub fn of(inventory: &Inventory) -> Self {
        let mut keeps: BTreeMap<ObjectId, Vec<ObjectId>> = BTreeMap::new();
        let mut pins: BTreeMap<ObjectId, Vec<String>> = BTreeMap::new();
        let mut seeds: BTreeMap<Keeper, BTreeSet<ObjectId>> = BTreeMap::new();
        for hold in &inventory.holds {
            let keeper = match &hold.by {
                Holder::Program(id) => {
                    keeps.entry(ObjectId::program(*id)).or_default().push(hold.object);
                    continue;
                }
                Holder::Map { id, .. } => {
                    keeps.entry(ObjectId::map(*id)).or_default().push(hold.object);
                    continue;
                }
                Holder::Link(id) => {
                    keeps.entry(ObjectId::link(*id)).or_default().push(hold.object);
                    continue;
                }
                Holder::Pin { path, .. } => {
                    pins.entry(hold.object).or_default().push(path.clone());
                    Keeper::Pin
                }
                Holder::Attachment(_) | Holder::Registration => Keeper::Attachment,
                _ => Keeper::Process,
            };
            seeds.entry(keeper).or_default().insert(hold.object);
        }
        let mut keepers = BTreeMap::new();
        // The strongest first, so that a keeper once set stays.
        for (keeper, seeds) in seeds.into_iter().rev() {
            let mut next: Vec<ObjectId> = seeds.into_iter().collect();
            while let Some(object) = next.pop() {
                if let std::collections::btree_map::Entry::Vacant(entry) = keepers.entry(object) {
                    entry.insert(keeper);
                    next.extend(keeps.get(&object).into_iter().flatten());
                }
            }
        }
        Self { keepers, keeps, pins }
    }

    /// What keeps an object.
    pub fn keeper(&self, object: ObjectId) -> Keeper {
        self.keepers.get(&object).copied().unwrap_or(Keeper::Unseen)
    }

    /// Objects that no process keeps and nothing runs but by a pin: pinned ones, and those that nothing seen keeps. Each with
    /// what hangs on it, the most memory first.
    pub fn orphans(&self, inventory: &Inventory) -> Vec<Root> {
        let orphan = |object: &ObjectId| matches!(self.keeper(*object), Keeper::Pin | Keeper::Unseen);
        let kernels = |object: &ObjectId| inventory.btfs.get(&object.id).is_some_and(|btf| btf.kernel);
        let orphans: Vec<ObjectId> = inventory
            .objects()
            .filter(|object| orphan(object) && !(object.kind == Kind::Btf && kernels(object)))
            .collect();
        let kept: BTreeSet<ObjectId> =
            orphans.iter().filter_map(|object| self.keeps.get(object)).flatten().copied().collect();
        let mut roots = Vec::new();
        let mut covered = BTreeSet::new();
        let is_root = |object: &ObjectId| self.pins.contains_key(object) || !kept.contains(object);
        let (first, rest): (Vec<ObjectId>, Vec<ObjectId>) = orphans.into_iter().partition(is_root);
        // What is left when all that hangs on these is gone keeps itself, in a circle.
        for object in first.into_iter().chain(rest) {
            if covered.contains(&object) && !self.pins.contains_key(&object) {
                continue;
            }
            let mut below = BTreeSet::new();
            let mut next = vec![object];
            while let Some(from) = next.pop() {
                let further = self.keeps.get(&from).into_iter().flatten();
                for to in further.filter(|to| **to != object && orphan(to)) {
                    if below.insert(*to) {
                        next.push(*to);
                    }
                }
            }
            let all = below.iter().chain([&object]);
            let memory = all.filter_map(|object| inventory.memory(*object)).fold(0, u64::saturating_add);
            covered.insert(object);
            covered.extend(&below);
            roots.push(Root {
                object,
                keeper: self.keeper(object),
                pins: self.pins.get(&object).cloned().unwrap_or_default(),
                below: below.into_iter().collect(),
                memory,
            });
        }
        roots.sort_by_key(|root| (std::cmp::Reverse(root.memory), root.object));
        roots
    }
}

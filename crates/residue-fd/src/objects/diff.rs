//! What has changed between two pictures.

use std::collections::BTreeMap;

use crate::objects::{Holder, Inventory, Kind, ObjectId};

/// As much of an object as is compared over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Its name, empty for none.
    pub name: String,
    /// Its type's name.
    pub type_name: String,
    /// Bytes, where known.
    pub memory: Option<u64>,
    /// What the kernel counts, where known.
    pub refs: Option<u64>,
    /// Descriptors of it in all processes.
    pub descriptors: u64,
    /// Pins.
    pub pins: u64,
}

impl Summary {
    /// Summaries of all objects but the kernel's own BTF.
    pub fn of(inventory: &Inventory) -> BTreeMap<ObjectId, Self> {
        let mut summaries: BTreeMap<ObjectId, Self> = inventory
            .objects()
            .filter(|object| object.kind != Kind::Btf || !inventory.btfs.get(&object.id).is_some_and(|btf| btf.kernel))
            .map(|object| (object, Self::of_object(inventory, object)))
            .collect();
        for hold in &inventory.holds {
            let Some(summary) = summaries.get_mut(&hold.object) else { continue };
            match hold.by {
                Holder::Descriptor { .. } => summary.descriptors += 1,
                Holder::Pin { .. } => summary.pins += 1,
                _ => {}
            }
        }
        summaries
    }

    fn of_object(inventory: &Inventory, object: ObjectId) -> Self {
        Self {
            name: inventory.name(object).unwrap_or_default().to_owned(),
            type_name: inventory.type_name(object),
            memory: inventory.memory(object),
            refs: inventory.refs(object),
            descriptors: 0,
            pins: 0,
        }
    }
}

/// What has become of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there before.
    Added,
    /// It is there no more.
    Removed,
    /// It is another than before.
    Grown(Summary),
}

/// An object that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub object: ObjectId,
    /// How it is now, or was last.
    pub summary: Summary,
    /// What has become of it; for [`Change::Grown`], how it was.
    pub change: Change,
}

/// What has changed, in the order of objects. An id that has another name or type is another object: the kernel has come
/// round to it again.
pub fn diff(before: &BTreeMap<ObjectId, Summary>, after: &BTreeMap<ObjectId, Summary>) -> Vec<Changed> {
    let mut changes = Vec::new();
    for (object, summary) in before {
        if after.get(object).is_none_or(|now| !same(summary, now)) {
            changes.push(Changed { object: *object, summary: summary.clone(), change: Change::Removed });
        }
    }
    for (object, summary) in after {
        let change = match before.get(object).filter(|was| same(was, summary)) {
            None => Change::Added,
            Some(was) if was == summary => continue,
            Some(was) => Change::Grown(was.clone()),
        };
        changes.push(Changed { object: *object, summary: summary.clone(), change });
    }
    changes.sort_by_key(|changed| changed.object);
    changes
}

fn same(a: &Summary, b: &Summary) -> bool {
    a.name == b.name && a.type_name == b.type_name
}

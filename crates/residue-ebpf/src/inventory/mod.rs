//! The eBPF objects of the kernel and what keeps them, read once.
//!
//! Objects come from bpf(2) by id, their memory from fdinfo. What bpf(2) doesn't tell, the counts of references and who holds
//! what, comes from iterators that run in the kernel (`bpf/inventory.bpf.c`). Where those can't be loaded, descriptors are
//! looked up in /proc; where not even ids may be asked for, what /proc tells of descriptors is all there is. An
//! [`Inventory`] says by which [`Method`] it was read, and what is hidden therefore.

#[cfg(target_os = "linux")]
mod attached;
#[cfg(target_os = "linux")]
mod btf;
#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(target_os = "linux")]
pub(crate) mod fdinfo;
#[cfg(target_os = "linux")]
mod info;
#[cfg(target_os = "linux")]
mod iterators;
#[cfg(target_os = "linux")]
mod nested;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod objects;
#[cfg(target_os = "linux")]
mod pins;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod record;
#[cfg(target_os = "linux")]
mod tc;

use std::fmt;

#[cfg(target_os = "linux")]
use residue_fd::objects::{Holder, ObjectId};
use residue_fd::objects::{Inventory, Method};

/// What is to be read, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The best way to be tried. Worse ones are taken when it is refused.
    pub method: Method,
}

/// Why nothing could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// This system has no eBPF that is known here.
    Unsupported,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("eBPF objects can be looked at on Linux only"),
        }
    }
}

impl std::error::Error for Error {}

/// Reads all there is and may be read.
///
/// # Errors
/// The system isn't Linux. What may not be read is told by [`Inventory::hidden`].
#[cfg(target_os = "linux")]
pub fn read(options: Options) -> Result<Inventory, Error> {
    let mut inventory = Inventory::new(options.method);
    let (booted, now) = crate::sys::clocks();
    inventory.taken_unix_ms = now / 1_000_000;
    inventory.booted_unix_ms = now.saturating_sub(booted) / 1_000_000;
    // Both take their time; the iterators run when no descriptor is open any more by which objects were asked.
    let (iterators, lengths) = rayon::join(
        || (options.method == Method::Iterators).then(iterators::Iterators::load),
        || match options.method {
            Method::Fdinfo => None,
            Method::Iterators | Method::ById => Some(objects::read(&mut inventory)),
        },
    );
    let seen = iterators.map(|iterators| iterators.and_then(iterators::Iterators::run));
    let refused = matches!(lengths, Some(Err(_)));
    let lengths = match lengths {
        Some(Err(why)) => {
            inventory.hidden.push(format!("objects can't be asked for by id: {why}"));
            inventory.method = Method::Fdinfo;
            objects::Lengths::default()
        }
        lengths => lengths.and_then(Result::ok).unwrap_or_default(),
    };
    let mut own = Vec::new();
    match seen {
        Some(Ok(seen)) if !refused => own = seen.into_inventory(&mut inventory),
        seen => {
            if let Some(Err(why)) = seen {
                inventory.hidden.push(format!("iterators can't be used: {why}"));
            }
            if inventory.method == Method::Iterators {
                inventory.method = Method::ById;
            }
            descriptors::read(&mut inventory);
        }
    }
    for id in own {
        forget(&mut inventory, id);
    }
    link_holds(&mut inventory);
    nested::read(&mut inventory);
    pins::read(&mut inventory, &lengths);
    attached::read(&mut inventory);
    btf::name_targets(&mut inventory);
    processes::read(&mut inventory);
    // What came or went while this was read is told of by half; it is left out.
    let known = std::mem::take(&mut inventory.holds);
    inventory.holds = known.into_iter().filter(|hold| inventory.has(hold.object)).collect();
    Ok(inventory)
}

/// As on Linux, which this isn't.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn read(_options: Options) -> Result<Inventory, Error> {
    Err(Error::Unsupported)
}

/// Reads pins alone: what is pinned, and what is hidden. Nothing else is asked of the kernel.
///
/// # Errors
/// The system isn't Linux. What may not be read is told by [`Inventory::hidden`].
#[cfg(target_os = "linux")]
pub fn pins() -> Result<Inventory, Error> {
    let mut inventory = Inventory::new(Method::Fdinfo);
    pins::read(&mut inventory, &objects::Lengths::default());
    Ok(inventory)
}

/// As on Linux, which this isn't.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn pins() -> Result<Inventory, Error> {
    Err(Error::Unsupported)
}

/// Leaves out what this process made in order to look.
#[cfg(target_os = "linux")]
fn forget(inventory: &mut Inventory, object: ObjectId) {
    use residue_fd::objects::Kind;
    match object.kind {
        Kind::Map => drop(inventory.maps.remove(&object.id)),
        Kind::Program => drop(inventory.programs.remove(&object.id)),
        Kind::Link => drop(inventory.links.remove(&object.id)),
        Kind::Btf => drop(inventory.btfs.remove(&object.id)),
    }
    inventory.holds.retain(|hold| {
        let by = match hold.by {
            Holder::Program(id) => Some(ObjectId::program(id)),
            Holder::Link(id) => Some(ObjectId::link(id)),
            Holder::Map { id, .. } => Some(ObjectId::map(id)),
            _ => None,
        };
        hold.object != object && by != Some(object)
    });
}

/// What objects say of others that they have.
#[cfg(target_os = "linux")]
fn link_holds(inventory: &mut Inventory) {
    use residue_fd::objects::Hold;
    let mut holds = Vec::new();
    let mut hold = |object: ObjectId, by: Holder| {
        if object.id != 0 {
            holds.push(Hold { object, by });
        }
    };
    for map in inventory.maps.values() {
        hold(ObjectId::btf(map.btf_id), Holder::Map { id: map.id, entries: 1 });
    }
    for program in inventory.programs.values() {
        for map in &program.maps {
            hold(ObjectId::map(*map), Holder::Program(program.id));
        }
        hold(ObjectId::btf(program.btf_id), Holder::Program(program.id));
        hold(ObjectId::program(program.target_program), Holder::Program(program.id));
    }
    for link in inventory.links.values() {
        hold(ObjectId::program(link.program), Holder::Link(link.id));
        hold(ObjectId::program(link.target_program), Holder::Link(link.id));
        hold(ObjectId::map(link.map), Holder::Link(link.id));
    }
    inventory.holds.extend(holds);
}

//! All objects by their ids.

use std::collections::{BTreeMap, HashMap};
use std::io::Result;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use residue_fd::objects::{Btf, Inventory, Kind, Link, MAP_TYPE_ARRAY_OF_MAPS, Map, Method, ObjectId, Program};

use super::fdinfo::Fdinfo;
use super::info::{self, Info, WORDS};
use crate::sys::{self, ById};

/// Ids of one kind that are looked at: the counter of the kernel could be followed for ever.
const OBJECTS_MAX: usize = 1 << 20;
/// Maps of one program: `MAX_USED_MAPS` of `include/linux/bpf_verifier.h`.
const PROGRAM_MAPS_MAX: usize = 64;
/// Bytes of a path or name that a link points to.
const TEXT_MAX: usize = 4096;

/// How long the kernel's structures are that describe a map, a program or a link: by that a descriptor of unknown kind can be
/// told, which is quicker than fdinfo. Learnt from objects of known kinds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lengths([Option<u32>; 3]);

/// In the order of [`Lengths`].
const KINDS: [Kind; 3] = [Kind::Map, Kind::Program, Kind::Link];

impl Lengths {
    fn learn(&mut self, kind: Kind, len: u32) {
        if let Some(index) = KINDS.iter().position(|known| *known == kind) {
            self.0[index] = Some(len);
        }
    }

    /// What a pinned object is, unless that can't be told.
    pub(super) fn identify(&self, fd: BorrowedFd<'_>) -> Option<ObjectId> {
        let (words, len) = sys::object_info::<WORDS>(fd).ok()?;
        // A kind of which there is no object has no pins either.
        let mut same = (0..KINDS.len()).filter(|index| self.0[*index] == Some(len));
        let (index, None) = (same.next()?, same.next()) else { return None };
        // All three begin with a type and an id.
        Some(ObjectId { kind: KINDS[index], id: Info::new(&words).u32(4) })
    }
}

/// Reads all objects.
///
/// # Errors
/// Ids may not be asked for.
pub(super) fn read(inventory: &mut Inventory) -> std::result::Result<Lengths, String> {
    let capabilities = |error: std::io::Error| match error.raw_os_error() {
        Some(libc::EPERM) => format!("{error}; it takes CAP_SYS_ADMIN"),
        Some(libc::ENOSYS) => "this kernel has no bpf(2)".to_owned(),
        _ => error.to_string(),
    };
    let mut lengths = Lengths::default();
    let hidden = &mut inventory.hidden;
    // Whether a map is frozen fdinfo tells too, and the iterators.
    let sizes = (inventory.method == Method::Iterators).then(Sizes::default);
    inventory.maps = all(ById::Map, |fd| map(fd, sizes.as_ref()), &mut lengths, hidden).map_err(capabilities)?;
    inventory.programs = all(ById::Program, program, &mut lengths, hidden).map_err(capabilities)?;
    // Kernels before 5.8 have no ids of links, those before 4.18 none of BTF.
    match all(ById::Link, link, &mut lengths, hidden) {
        Ok(links) => inventory.links = links,
        Err(error) => hidden.push(format!("links: {error}")),
    }
    match all(ById::Btf, btf, &mut lengths, hidden) {
        Ok(btfs) => inventory.btfs = btfs,
        Err(error) => hidden.push(format!("BTF objects: {error}")),
    }
    Ok(lengths)
}

fn all<T: Send>(
    kind: ById,
    read: impl Fn(BorrowedFd<'_>) -> Result<(T, u32)> + Sync,
    lengths: &mut Lengths,
    hidden: &mut Vec<String>,
) -> Result<BTreeMap<u32, T>> {
    let mut ids = Vec::new();
    let mut last = 0;
    while let Some(id) = sys::next_id(kind, last)? {
        last = id;
        if ids.len() == OBJECTS_MAX {
            hidden.push(format!("there are more than {OBJECTS_MAX} of a kind; those with higher ids are left out"));
            break;
        }
        ids.push(id);
    }
    let open = |id: &u32| (*id, sys::fd_by_id(kind, *id).and_then(|fd| read(fd.as_fd())));
    let read: Vec<_> = ids.par_iter().with_min_len(256).map(open).collect();
    let mut found = BTreeMap::new();
    let mut refused = None;
    for (id, result) in read {
        match result {
            Ok((object, len)) => {
                lengths.learn(kind.into(), len);
                found.insert(id, object);
            }
            // It went meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => refused = Some((id, error)),
        }
    }
    if let Some((id, error)) = refused {
        let kind = Kind::from(kind).name();
        hidden.push(format!("some objects could not be opened, such as {kind} {id}: {error}"));
    }
    Ok(found)
}

impl From<ById> for Kind {
    fn from(kind: ById) -> Self {
        match kind {
            ById::Map => Self::Map,
            ById::Program => Self::Program,
            ById::Link => Self::Link,
            ById::Btf => Self::Btf,
        }
    }
}

fn map(fd: BorrowedFd<'_>, known: Option<&Sizes>) -> Result<(Map, u32)> {
    let (words, len) = sys::object_info::<WORDS>(fd)?;
    let mut map = info::map(&Info::new(&words));
    let shape = known.and_then(|known| Some((known, Shape::of(&map)?)));
    map.memory = shape.as_ref().and_then(|(known, shape)| known.get(shape));
    if map.memory.is_none() {
        let fdinfo = Fdinfo::own(fd);
        map.memory = fdinfo.number("memlock");
        map.frozen = fdinfo.number("frozen").map(|frozen| frozen != 0);
        map.owner = fdinfo.owner();
        if let Some(((known, shape), memory)) = shape.zip(map.memory) {
            known.set(shape, memory);
        }
    }
    Ok((map, len))
}

/// What the memory of a map follows from, for the types whose memory is all there from the beginning: to read fdinfo takes
/// longer than everything else, and what leaks is often thousands of equal maps. (`array_map_mem_usage` and its like,
/// `kernel/bpf/arraymap.c`, `hashtab.c`.)
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Shape {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

impl Shape {
    fn of(map: &Map) -> Option<Self> {
        const NO_PREALLOC: u32 = 1;
        // Hash, per processor, and with eviction; arrays, of values and per processor, and of maps. Of arrays of programs
        // fdinfo tells more.
        let whole = match map.map_type {
            1 | 5 | 9 | 10 => map.flags & NO_PREALLOC == 0,
            2 | 6 | MAP_TYPE_ARRAY_OF_MAPS => true,
            _ => false,
        };
        let Map { map_type, key_size, value_size, max_entries, flags, .. } = *map;
        whole.then_some(Self { map_type, key_size, value_size, max_entries, flags })
    }
}

/// Memory by shape, as far as fdinfo has told it.
#[derive(Default)]
struct Sizes(Mutex<HashMap<Shape, u64>>);

impl Sizes {
    fn get(&self, shape: &Shape) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(shape).copied()
    }

    fn set(&self, shape: Shape, memory: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(shape, memory);
    }
}

fn program(fd: BorrowedFd<'_>) -> Result<(Program, u32)> {
    let mut maps = [0_u32; PROGRAM_MAPS_MAX];
    let (pointer, length) = info::PROGRAM_MAP_IDS;
    let (words, len) = sys::object_info_with::<WORDS, u32>(fd, pointer, length, &mut maps)?;
    Ok((info::program(&Info::new(&words), &maps, &Fdinfo::own(fd)), len))
}

fn link(fd: BorrowedFd<'_>) -> Result<(Link, u32)> {
    let (words, len) = sys::object_info::<WORDS>(fd)?;
    let first = Info::new(&words);
    let mut name = Vec::new();
    let mut words = None;
    if let Some((pointer, length)) = info::link_text(&first) {
        name = vec![0_u8; TEXT_MAX];
        words = sys::object_info_with::<WORDS, u8>(fd, pointer, length, &mut name).ok();
    }
    let info = words.map_or(first, |(words, _)| Info::new(&words));
    Ok((info::link(&info, &name), len))
}

fn btf(fd: BorrowedFd<'_>) -> Result<(Btf, u32)> {
    let mut name = [0_u8; 64];
    let (pointer, length) = info::BTF_NAME;
    let (words, len) = sys::object_info_with::<WORDS, u8>(fd, pointer, length, &mut name)?;
    Ok((info::btf(&Info::new(&words), &name), len))
}

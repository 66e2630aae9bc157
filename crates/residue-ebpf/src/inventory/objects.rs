//! All objects by their ids.

use std::io::Result;
use std::os::fd::{AsFd as _, BorrowedFd};

use residue_fd::objects::{Btf, Inventory, Link, Map, Program};

use super::fdinfo::Fdinfo;
use super::info::{self, Info, WORDS};
use crate::sys::{self, ById};

/// Ids of one kind that are looked at: the counter of the kernel could be followed for ever.
const OBJECTS_MAX: usize = 1 << 20;
/// Maps of one program: `MAX_USED_MAPS`, include/linux/bpf_verifier.h.
const PROGRAM_MAPS_MAX: usize = 64;
/// Bytes of a path or name that a link points to.
const TEXT_MAX: usize = 4096;

/// Reads all objects.
///
/// # Errors
/// Ids may not be asked for.
pub(super) fn read(inventory: &mut Inventory) -> std::result::Result<(), String> {
    let capabilities = |error: std::io::Error| match error.raw_os_error() {
        Some(libc::EPERM) => format!("{error}; it takes CAP_SYS_ADMIN"),
        Some(libc::ENOSYS) => "this kernel has no bpf(2)".to_owned(),
        _ => error.to_string(),
    };
    inventory.maps = all(ById::Map, map, &mut inventory.hidden).map_err(capabilities)?;
    inventory.programs = all(ById::Program, program, &mut inventory.hidden).map_err(capabilities)?;
    // Kernels before 5.8 have no ids of links, those before 4.18 none of BTF.
    for (what, read) in [
        ("links", all(ById::Link, link, &mut inventory.hidden).map(|links| inventory.links = links)),
        ("BTF objects", all(ById::Btf, btf, &mut inventory.hidden).map(|btfs| inventory.btfs = btfs)),
    ] {
        if let Err(error) = read {
            inventory.hidden.push(format!("{what}: {error}"));
        }
    }
    Ok(())
}

fn all<T>(
    kind: ById,
    read: impl Fn(BorrowedFd<'_>) -> Result<T>,
    hidden: &mut Vec<String>,
) -> Result<std::collections::BTreeMap<u32, T>> {
    let mut found = std::collections::BTreeMap::new();
    let mut refused = None;
    let mut id = 0;
    while let Some(next) = sys::next_id(kind, id)? {
        id = next;
        if found.len() == OBJECTS_MAX {
            hidden.push(format!("there are more than {OBJECTS_MAX} of a kind; those with higher ids are left out"));
            break;
        }
        match sys::fd_by_id(kind, id).and_then(|fd| read(fd.as_fd())) {
            Ok(object) => drop(found.insert(id, object)),
            // It went meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => refused = Some((id, error)),
        }
    }
    if let Some((id, error)) = refused {
        hidden.push(format!("some of the objects could not be opened, such as {kind:?} {id}: {error}"));
    }
    Ok(found)
}

pub(super) fn map(fd: BorrowedFd<'_>) -> Result<Map> {
    let words = sys::object_info::<WORDS>(fd)?;
    Ok(info::map(&Info::new(&words), &Fdinfo::own(fd)))
}

pub(super) fn program(fd: BorrowedFd<'_>) -> Result<Program> {
    let mut maps = [0_u32; PROGRAM_MAPS_MAX];
    let (pointer, length) = info::PROGRAM_MAP_IDS;
    let words = sys::object_info_with::<WORDS, u32>(fd, pointer, length, &mut maps)?;
    Ok(info::program(&Info::new(&words), &maps, &Fdinfo::own(fd)))
}

pub(super) fn link(fd: BorrowedFd<'_>) -> Result<Link> {
    let first = Info::new(&sys::object_info::<WORDS>(fd)?);
    let mut name = Vec::new();
    let mut words = None;
    if let Some((pointer, length)) = info::link_text(&first) {
        name = vec![0_u8; TEXT_MAX];
        words = sys::object_info_with::<WORDS, u8>(fd, pointer, length, &mut name).ok();
    }
    let info = words.map_or(first, |words| Info::new(&words));
    Ok(info::link(&info, &name))
}

fn btf(fd: BorrowedFd<'_>) -> Result<Btf> {
    let mut name = [0_u8; 64];
    let (pointer, length) = info::BTF_NAME;
    let words = sys::object_info_with::<WORDS, u8>(fd, pointer, length, &mut name)?;
    Ok(info::btf(&Info::new(&words), &name))
}

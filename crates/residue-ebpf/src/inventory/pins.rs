//! Files in bpf file systems, of all mount namespaces that can be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use residue_fd::objects::{Hold, Holder, Inventory, ObjectId};

use super::fdinfo::Fdinfo;
use super::objects::Lengths;
use super::processes;
use crate::sys;

/// Files and directories of one file system that are looked at, and how deep.
const FILES_MAX: usize = 1 << 20;
const DEPTH_MAX: usize = 32;

/// A bpf file system, or a part of one, where it can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    /// `major:minor`: tells file systems apart.
    device: String,
    /// What part of it is mounted.
    root: String,
    /// Where, in its namespace.
    point: PathBuf,
    /// A process of that namespace, when it isn't this one's.
    pid: Option<u32>,
}

/// Adds all pins.
pub(super) fn read(inventory: &mut Inventory, lengths: &Lengths) {
    let mut seen = BTreeSet::new();
    let mut refused = Refused::default();
    for mount in mounts() {
        let base = match mount.pid {
            None => mount.point.clone(),
            // What is below /proc/PID/root is seen as that process sees it.
            Some(pid) => {
                let inside = mount.point.strip_prefix("/").unwrap_or(&mount.point);
                PathBuf::from(format!("/proc/{pid}/root")).join(inside)
            }
        };
        // The process that it is seen by may have ended.
        if let Err(error) = std::fs::metadata(&base) {
            let point = mount.point.display();
            inventory.hidden.push(format!("the bpf file system {point}, {} of it mounted: {error}", mount.root));
            continue;
        }
        let mut files = Vec::new();
        walk(&base, 0, &mut files, &mut refused);
        // The file system gives them in the order of a hash or of time.
        files.sort();
        let objects: Vec<_> = files.par_iter().with_min_len(256).map(|(path, _)| object(path, lengths)).collect();
        for ((path, inode), object) in files.into_iter().zip(objects) {
            // The same file under another name, or mounted twice.
            let shown = path.strip_prefix(&base).map_or_else(|_| path.clone(), |below| mount.point.join(below));
            if !seen.insert((inode, shown.clone())) {
                continue;
            }
            match object {
                Ok(Some(object)) => inventory.holds.push(Hold {
                    object,
                    by: Holder::Pin { path: shown.to_string_lossy().into_owned(), namespace_pid: mount.pid, inode },
                }),
                Ok(None) => {}
                Err(error) => refused.add(&shown, &error),
            }
        }
    }
    if let Some(text) = refused.text() {
        inventory.hidden.push(text);
    }
}

/// What could not be opened: how many, and the first.
#[derive(Default)]
struct Refused {
    count: usize,
    first: Option<String>,
}

impl Refused {
    fn add(&mut self, path: &Path, error: &std::io::Error) {
        // It went meanwhile.
        if error.kind() == std::io::ErrorKind::NotFound {
            return;
        }
        self.count += 1;
        self.first.get_or_insert_with(|| format!("{}: {error}", path.display()));
    }

    fn text(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(format!("{} files in bpf file systems, such as {first}", self.count))
    }
}

/// One way to each file system, and to each part of one that is mounted without the whole. This namespace's first.
fn mounts() -> Vec<Mount> {
    let mut namespaces = BTreeSet::new();
    let mut found: Vec<Mount> = Vec::new();
    let own = std::fs::read_link("/proc/self/ns/mnt").ok();
    let mut look = |pid: Option<u32>| {
        let path = pid.map_or_else(|| "/proc/self/mountinfo".to_owned(), |pid| format!("/proc/{pid}/mountinfo"));
        found.extend(parse(&std::fs::read(path).unwrap_or_default(), pid));
    };
    look(None);
    for pid in processes::pids() {
        let namespace = std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        if namespace.is_some() && namespace != own && namespaces.insert(namespace) {
            look(Some(pid));
        }
    }
    let mut whole: BTreeMap<String, bool> = BTreeMap::new();
    for mount in &found {
        *whole.entry(mount.device.clone()).or_default() |= mount.root == "/";
    }
    let mut taken = BTreeSet::new();
    found.retain(|mount| {
        let all = whole.get(&mount.device).copied().unwrap_or(false);
        (mount.root == "/" || !all) && taken.insert((mount.device.clone(), mount.root.clone()))
    });
    found
}

/// The bpf file systems of a mountinfo file (Documentation/filesystems/proc.rst, 3.5).
fn parse(text: &[u8], pid: Option<u32>) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b' ');
        let Some((device, root, point)) =
            fields.nth(2).zip(fields.next()).zip(fields.next()).map(|((a, b), c)| (a, b, c))
        else {
            continue;
        };
        // Optional fields end with a dash; the type follows.
        if fields.by_ref().find(|field| *field == b"-").is_none() || fields.next() != Some(b"bpf") {
            continue;
        }
        mounts.push(Mount {
            device: String::from_utf8_lossy(device).into_owned(),
            root: String::from_utf8_lossy(&unescape(root)).into_owned(),
            point: PathBuf::from(std::ffi::OsStr::from_bytes(&unescape(point))),
            pid,
        });
    }
    mounts
}

/// `\040` for a blank, and so on.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal =
            after.get(..3).filter(|digits| first == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        match octal {
            Some(digits) => {
                out.push(digits.iter().fold(0_u8, |sum, digit| sum.wrapping_mul(8).wrapping_add(digit - b'0')));
                rest = &after[3..];
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    out
}

/// All files below a directory with their device and inode. Links are not followed.
fn walk(directory: &Path, depth: usize, files: &mut Vec<(PathBuf, (u64, u64))>, refused: &mut Refused) {
    let read = std::fs::read_dir(directory).and_then(|entries| Ok((entries, std::fs::metadata(directory)?.dev())));
    let (entries, device) = match read {
        Ok(read) => read,
        Err(error) => return refused.add(directory, &error),
    };
    for entry in entries.flatten() {
        if files.len() >= FILES_MAX {
            return refused.add(directory, &std::io::Error::other("there are too many"));
        }
        let path = entry.path();
        // What the directory itself tells is enough, and quicker than to ask each file.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => walk(&path, depth + 1, files, refused),
            Ok(kind) if kind.is_file() => files.push((path, (device, entry.ino()))),
            Ok(_) => {}
            Err(error) => refused.add(&path, &error),
        }
    }
}

/// The object that a file stands for.
fn object(path: &Path, lengths: &Lengths) -> std::io::Result<Option<ObjectId>> {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return Ok(None) };
    let fd: OwnedFd = sys::pinned(&path)?;
    if let Some(object) = lengths.identify(fd.as_fd()) {
        return Ok(Some(object));
    }
    let fdinfo = Fdinfo::own(fd.as_fd());
    let id = |key: &str| fdinfo.number(key).and_then(|id| u32::try_from(id).ok());
    // A link tells its program too.
    Ok(id("link_id")
        .map(ObjectId::link)
        .or_else(|| id("map_id").map(ObjectId::map))
        .or_else(|| id("prog_id").map(ObjectId::program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read() {
        let text = b"29 23 0:27 / /sys/fs/bpf rw,nosuid shared:9 - bpf bpf rw,mode=700\n\
                     30 23 0:28 / /tmp rw - tmpfs tmpfs rw\n\
                     31 23 0:27 /sub /mnt/a\\040b\\011\\999 rw shared:1 master:2 - bpf none rw\n\
                     32 23 0:29 /\n- - - - bpf\n\n";
        let mounts = parse(text, Some(7));
        assert_eq!(mounts.len(), 2);
        assert_eq!((&*mounts[0].device, &*mounts[0].root, mounts[0].pid), ("0:27", "/", Some(7)));
        assert_eq!(mounts[0].point, Path::new("/sys/fs/bpf"));
        assert_eq!((&*mounts[1].root, mounts[1].point.as_path()), ("/sub", Path::new("/mnt/a b\t\\999")));
    }
}

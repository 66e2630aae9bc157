//! What keeps an analysed tree from making us read elsewhere or without end.

use std::io;
use std::path::Path;

use crate::fs::{FileSystem, Kind};

/// `go.mod`, `go.work` and `modules.txt` are smaller than this, by far.
const CONTROL_BYTES_MAX: u64 = 16 << 20;

/// Whether a path, links followed, lies in a directory that has no links itself.
pub(crate) fn is_inside(fs: &dyn FileSystem, path: &Path, boundary: &Path) -> io::Result<bool> {
    Ok(fs.canonicalize(path)?.starts_with(boundary))
}

/// Reads a small regular file.
pub(crate) fn read_small(fs: &dyn FileSystem, path: &Path) -> io::Result<Vec<u8>> {
    let meta = fs.metadata(path)?;
    if meta.kind != Kind::File {
        return Err(io::Error::other("not a regular file"));
    }
    if meta.len > CONTROL_BYTES_MAX {
        return Err(io::Error::other(format!("larger than {} MB", CONTROL_BYTES_MAX >> 20)));
    }
    fs.read(path)
}

/// Reads a small regular file of the analysed tree. Its text may end up in messages, so that a link that leads out
/// must not be followed.
pub(crate) fn read_inside(fs: &dyn FileSystem, path: &Path, boundary: &Path) -> io::Result<Vec<u8>> {
    if is_inside(fs, path, boundary)? {
        read_small(fs, path)
    } else {
        Err(io::Error::other("it is a symbolic link that leads out of the tree"))
    }
}

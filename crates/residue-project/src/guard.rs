//! What keeps an analysed tree from making us read elsewhere or without end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::{FileSystem, Kind};

/// `go.mod`, `go.work` and `modules.txt` are smaller than this, by far.
const CONTROL_BYTES_MAX: u64 = 16 << 20;

/// Where an analysed tree may make us read: its repository, and what the user allows beside it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Boundary {
    /// Without links.
    dirs: Arc<[PathBuf]>,
}

impl Boundary {
    /// Directories without links.
    pub(crate) fn new(dirs: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { dirs: dirs.into_iter().collect() }
    }

    /// Whether a path without links lies inside.
    pub(crate) fn contains(&self, real: &Path) -> bool {
        self.dirs.iter().any(|dir| real.starts_with(dir))
    }
}

/// Whether a path, links followed, lies inside.
pub(crate) fn is_inside(fs: &dyn FileSystem, path: &Path, boundary: &Boundary) -> io::Result<bool> {
    Ok(boundary.contains(&fs.canonicalize(path)?))
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
pub(crate) fn read_inside(fs: &dyn FileSystem, path: &Path, boundary: &Boundary) -> io::Result<Vec<u8>> {
    if is_inside(fs, path, boundary)? {
        read_small(fs, path)
    } else {
        Err(io::Error::other("it is a symbolic link that leads out of the tree"))
    }
}

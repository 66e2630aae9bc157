//! Files as an editor has them: its unsaved buffers over what is on disk.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use residue_project::fs::{Entry, Kind, Metadata};
use residue_project::{FileSystem, OsFileSystem};

/// The texts of open buffers, by path.
pub(super) type Buffers = BTreeMap<PathBuf, Arc<[u8]>>;

/// A file system with buffers in the place of files. A buffer whose file isn't there yet is a file of its directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Overlay {
    pub(super) buffers: Arc<Buffers>,
}

impl FileSystem for Overlay {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.buffers.get(path) {
            Some(text) => Ok(text.to_vec()),
            None => OsFileSystem.read(path),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = OsFileSystem.list(path)?;
        let below = self.buffers.range(path.to_path_buf()..).map(|(buffer, _)| buffer);
        for buffer in below.take_while(|buffer| buffer.starts_with(path)) {
            if let Some(name) = buffer.file_name().filter(|_| buffer.parent() == Some(path))
                && !entries.iter().any(|entry| entry.name == name)
            {
                entries.push(Entry { name: name.to_owned(), kind: Kind::File });
            }
        }
        Ok(entries)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        match self.buffers.get(path) {
            Some(text) => Ok(Metadata { kind: Kind::File, len: text.len() as u64 }),
            None => OsFileSystem.metadata(path),
        }
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        match (OsFileSystem.canonicalize(path), path.parent(), path.file_name()) {
            (Err(error), Some(dir), Some(name)) if self.buffers.contains_key(path) => {
                OsFileSystem.canonicalize(dir).map(|dir| dir.join(name)).map_err(|_| error)
            }
            (result, ..) => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_lie_over_files() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a.go"), "on disk").expect("it is writable");
        std::fs::write(path("b.go"), "on disk").expect("it is writable");
        let buffers = [("a.go", "in a buffer"), ("c.go", "new"), ("sub/d.go", "elsewhere")];
        let buffers = buffers.map(|(name, text)| (path(name), Arc::from(text.as_bytes())));
        let fs = Overlay { buffers: Arc::new(buffers.into()) };
        assert_eq!(fs.read(&path("a.go")).expect("it is open"), b"in a buffer");
        assert_eq!(fs.read(&path("b.go")).expect("it is on disk"), b"on disk");
        assert_eq!(fs.metadata(&path("c.go")).expect("it is open").len, 3);
        assert!(fs.canonicalize(&path("c.go")).is_ok() && fs.canonicalize(&path("e.go")).is_err());
        let mut names: Vec<_> = fs.list(dir.path()).expect("it is there").into_iter().map(|entry| entry.name).collect();
        names.sort();
        assert_eq!(names, ["a.go", "b.go", "c.go"]);
    }
}

//! A file system in memory, for tests and for editors' unsaved buffers.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{Entry, FileSystem, Kind, Metadata};

/// As many links as Linux follows on one path.
const LINKS_MAX: usize = 40;

/// Files, directories and links in memory. Directories come into being with what they hold.
#[derive(Clone, Debug, Default)]
pub struct MemoryFileSystem {
    nodes: BTreeMap<PathBuf, Node>,
}

#[derive(Clone, Debug)]
enum Node {
    File(Vec<u8>),
    Link(PathBuf),
    /// A file or directory that may not be read.
    Unreadable,
}

impl MemoryFileSystem {
    /// Makes a file system of absolute paths and their contents.
    pub fn new<P: Into<PathBuf>, C: Into<Vec<u8>>>(files: impl IntoIterator<Item = (P, C)>) -> Self {
        let nodes = files.into_iter().map(|(path, content)| (path.into(), Node::File(content.into())));
        Self { nodes: nodes.collect() }
    }

    /// Adds or replaces a file.
    pub fn write(&mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) {
        self.nodes.insert(path.into(), Node::File(content.into()));
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: impl Into<PathBuf>, target: impl Into<PathBuf>) {
        self.nodes.insert(path.into(), Node::Link(target.into()));
    }

    /// Makes a path that cannot be read.
    pub fn forbid(&mut self, path: impl Into<PathBuf>) {
        self.nodes.insert(path.into(), Node::Unreadable);
    }

    /// Follows links in every part of a path.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut todo: Vec<OsString> = parts(path);
        let mut done = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            done.push(part);
            match self.nodes.get(&done) {
                Some(Node::Link(target)) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(io::Error::other("too many levels of symbolic links"));
                    }
                    if target.is_absolute() {
                        done = PathBuf::from("/");
                    } else {
                        done.pop();
                    }
                    todo.extend(parts(target));
                }
                Some(_) => {}
                None if self.is_dir(&done) => {}
                None => return Err(io::Error::from(io::ErrorKind::NotFound)),
            }
        }
        Ok(done)
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.below(path).next().is_some() || path == Path::new("/")
    }

    fn below<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = (&'a Path, &'a Node)> {
        let range = self.nodes.range::<Path, _>((std::ops::Bound::Excluded(dir), std::ops::Bound::Unbounded));
        range.map(|(path, node)| (path.as_path(), node)).take_while(move |(path, _)| path.starts_with(dir))
    }
}

/// The parts of a path, last first.
fn parts(path: &Path) -> Vec<OsString> {
    let named = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(|&part| named(part)).map(|part| part.as_os_str().to_owned()).rev().collect()
}

impl FileSystem for MemoryFileSystem {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.nodes.get(&self.resolve(path)?) {
            Some(Node::File(content)) => Ok(content.clone()),
            Some(Node::Unreadable) => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            _ => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let dir = self.resolve(path)?;
        match self.nodes.get(&dir) {
            None | Some(Node::Link(_)) => {}
            Some(Node::File(_)) => return Err(io::Error::from(io::ErrorKind::NotADirectory)),
            Some(Node::Unreadable) => return Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        }
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = BTreeSet::new();
        for (path, node) in self.below(&dir) {
            let Some(mut rest) = path.strip_prefix(&dir).ok().map(Path::components) else { continue };
            let Some(name) = rest.next() else { continue };
            let kind = match node {
                _ if rest.next().is_some() => Kind::Dir,
                Node::Link(_) => Kind::Symlink,
                Node::File(_) => Kind::File,
                Node::Unreadable if name.as_os_str().to_string_lossy().contains('.') => Kind::File,
                Node::Unreadable => Kind::Dir,
            };
            if seen.insert(name.as_os_str().to_owned()) {
                entries.push(Entry { name: name.as_os_str().to_owned(), kind });
            }
        }
        Ok(entries)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        match self.nodes.get(&self.resolve(path)?) {
            Some(Node::File(content)) => Ok(Metadata { kind: Kind::File, len: content.len() as u64 }),
            Some(Node::Unreadable) => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            _ => Ok(Metadata { kind: Kind::Dir, len: 0 }),
        }
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        self.resolve(path)
    }
}

#[cfg(test)]
mod tests {
    use super::{FileSystem, Kind, MemoryFileSystem};
    use std::path::Path;

    #[test]
    fn follows_links_and_notices_loops() {
        let mut fs = MemoryFileSystem::new([("/a/b/c.go", "x"), ("/a.go", "y")]);
        fs.link("/l", "a/b");
        fs.link("/a/up", "../l");
        fs.link("/loop", "loop");
        assert_eq!(fs.read(Path::new("/a/up/c.go")).expect("through two links"), b"x");
        assert_eq!(fs.canonicalize(Path::new("/l/../up")).expect("parent of the target"), Path::new("/a/b"));
        assert!(fs.read(Path::new("/loop")).is_err());
        assert!(fs.read(Path::new("/a/none")).is_err());
        let mut names: Vec<_> =
            fs.list(Path::new("/a")).expect("lists").into_iter().map(|e| (e.name, e.kind)).collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(names, [("b".into(), Kind::Dir), ("up".into(), Kind::Symlink)]);
    }
}

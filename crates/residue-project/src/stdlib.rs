//! The embedded standard library: declarations of one Go release, for all the targets it covers.
//!
//! The archive holds Go source without bodies and comments, a compressed block a package, so that loading a program
//! pays only for the packages it imports. `cargo xtask stdlib` writes it from a Go tree.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::GoVersion;

/// Begins every archive; the digit is the version of the format.
const MAGIC: &[u8] = b"residue-std-1\n";

/// A package's files: names and contents.
pub type Files = Vec<(String, Vec<u8>)>;

/// An archive of packages.
#[derive(Debug)]
pub struct Archive<'a> {
    version: &'a str,
    packages: BTreeMap<&'a str, Block<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Block<'a> {
    compressed: &'a [u8],
    len: usize,
}

/// The archive in this program; a message where it is damaged.
pub fn embedded() -> Result<&'static Archive<'static>, String> {
    static BYTES: &[u8] = include_bytes!("../data/std.bin");
    static ARCHIVE: OnceLock<Result<Archive<'static>, String>> = OnceLock::new();
    let archive = ARCHIVE.get_or_init(|| Archive::open(BYTES).ok_or_else(|| "malformed index".to_owned()));
    archive.as_ref().map_err(Clone::clone)
}

/// The Go release whose standard library is embedded: `go1.27.3`.
pub fn std_version() -> &'static str {
    embedded().map_or("unknown", |archive| archive.version)
}

/// Whether a file belongs into the archive: whether it is built for linux, darwin, windows or freebsd on amd64 or
/// arm64, with some setting of `cgo` and of the tags that choose between implementations.
pub fn is_covered(name: &str, src: &[u8], release: GoVersion) -> bool {
    crate::build::builds_for_std(name, src, release)
}

impl<'a> Archive<'a> {
    /// Reads the index of an archive.
    pub fn open(bytes: &'a [u8]) -> Option<Self> {
        let mut input = Input(bytes.strip_prefix(MAGIC)?);
        let version = input.string()?;
        let mut packages = BTreeMap::new();
        for _ in 0..input.number()? {
            let path = input.string()?;
            let len = input.number()?;
            let compressed = input.number()?;
            packages.insert(path, (compressed, len));
        }
        let mut open = BTreeMap::new();
        for (path, (compressed, len)) in packages {
            open.insert(path, Block { compressed: input.take(compressed)?, len });
        }
        Some(Self { version, packages: open })
    }

    /// Writes an archive; equal input gives equal bytes.
    pub fn write(version: &str, packages: &BTreeMap<String, Files>) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        push_string(&mut out, version);
        push_number(&mut out, packages.len());
        let mut blocks = Vec::new();
        for (path, files) in packages {
            let mut block = Vec::new();
            for (name, text) in files {
                push_string(&mut block, name);
                push_number(&mut block, text.len());
                block.extend_from_slice(text);
            }
            let compressed = miniz_oxide::deflate::compress_to_vec(&block, 10);
            push_string(&mut out, path);
            push_number(&mut out, block.len());
            push_number(&mut out, compressed.len());
            blocks.push(compressed);
        }
        out.extend(blocks.into_iter().flatten());
        out
    }

    /// The Go release it was made from.
    pub fn version(&self) -> &'a str {
        self.version
    }

    /// The language version of that release.
    pub fn go_version(&self) -> GoVersion {
        GoVersion::parse(self.version).unwrap_or(GoVersion::WITHOUT_GO_LINE)
    }

    /// Import paths, sorted.
    pub fn import_paths(&self) -> impl ExactSizeIterator<Item = &'a str> {
        self.packages.keys().copied()
    }

    /// Whether it holds a package.
    pub fn contains(&self, path: &str) -> bool {
        self.packages.contains_key(path)
    }

    /// The import path as the archive holds it.
    pub(crate) fn path(&self, path: &str) -> Option<&'a str> {
        self.packages.get_key_value(path).map(|(path, _)| *path)
    }

    /// A package's files, unpacked; none where the package is absent or damaged.
    pub fn files(&self, path: &str) -> Option<Vec<(String, Arc<[u8]>)>> {
        let block = self.packages.get(path)?;
        let bytes = miniz_oxide::inflate::decompress_to_vec_with_limit(block.compressed, block.len).ok()?;
        let mut input = Input(&bytes);
        let mut files = Vec::new();
        while !input.0.is_empty() {
            let name = input.string()?.to_owned();
            let len = input.number()?;
            files.push((name, Arc::<[u8]>::from(input.take(len)?)));
        }
        Some(files)
    }
}

/// Reads numbers and strings off the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<usize> {
        let bytes = self.take(4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }

    fn string(&mut self) -> Option<&'a str> {
        let len = self.number()?;
        std::str::from_utf8(self.take(len)?).ok()
    }
}

fn push_number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u32).to_le_bytes());
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    push_number(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{Archive, embedded};
    use std::collections::BTreeMap;

    #[test]
    fn reads_what_it_writes() {
        let files = vec![("a.go".to_owned(), b"package a".to_vec()), ("b.go".to_owned(), Vec::new())];
        let packages = BTreeMap::from([("a".to_owned(), files), ("net/http".to_owned(), Vec::new())]);
        let bytes = Archive::write("go1.99.1", &packages);
        let archive = Archive::open(&bytes).expect("own archive");
        assert_eq!(archive.version(), "go1.99.1");
        assert_eq!(archive.import_paths().collect::<Vec<_>>(), ["a", "net/http"]);
        let files = archive.files("a").expect("present");
        assert_eq!(
            files.iter().map(|(name, text)| (name.as_str(), &**text)).collect::<Vec<_>>(),
            [("a.go", &b"package a"[..]), ("b.go", b"")]
        );
        assert!(archive.files("b").is_none());
        // Damage is noticed, never a panic.
        for cut in 0..bytes.len() {
            if let Some(archive) = Archive::open(&bytes[..cut]) {
                let _ = archive.files("a");
            }
            let mut flipped = bytes.clone();
            flipped[cut] ^= 0x55;
            if let Some(archive) = Archive::open(&flipped) {
                let _ = archive.files("a");
            }
        }
    }

    #[test]
    fn the_embedded_archive_opens() {
        let std = embedded().expect("well-formed");
        assert!(std.version().starts_with("go1."));
        for path in ["fmt", "net/http", "os", "database/sql", "context"] {
            assert!(!std.files(path).expect(path).is_empty());
        }
        assert!(std.import_paths().all(|path| std.files(path).is_some()));
    }
}

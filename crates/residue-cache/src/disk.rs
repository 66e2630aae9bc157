//! A directory as a store.
//!
//! Each entry is one file, named by its key. It opens with a magic number and the digest of key and content, so that an
//! entry that was cut off, damaged, renamed, or written by another version of this format is no entry. Files are made
//! whole under another name and then renamed, so that runs at the same time see an entry as it was or as it is, and
//! nothing has to be locked. Links are not followed, and what belongs to another user is neither believed nor dropped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::{Digest, Digester, Store};

/// What an entry opens with: the name, and the version of this format.
const MAGIC: &[u8; 8] = b"residue\x01";
/// Bytes before an entry's content: the magic number and the digest.
const HEAD_BYTES: usize = MAGIC.len() + 32;
/// No result is larger; what claims to be is none.
const ENTRY_BYTES_MAX: u64 = 256 << 20;
/// The time of the last use is written down once in so long; what was used within it counts as equally recent.
const USE_INTERVAL: Duration = Duration::from_hours(1);
/// A file on its way to become an entry for longer than this was left behind by a run that was killed.
const UNFINISHED_MAX: Duration = Duration::from_hours(1);
/// What an entry takes at least: a block of the file system.
const BLOCK_BYTES: u64 = 4096;
/// Tells programs that make backups to leave the directory out (<https://bford.info/cachedir/>).
const TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n# This directory holds results of residue that can be made again.\n",
);

/// Keeps entries in a directory, which is made when there is something to keep.
#[derive(Debug)]
pub struct DiskStore {
    dir: PathBuf,
    bytes_max: u64,
    /// Entries written.
    written: AtomicU64,
    /// The first thing that went wrong.
    trouble: Mutex<Option<String>>,
}

/// What a directory holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Entries.
    pub entries: u64,
    /// What they take on disk.
    pub bytes: u64,
}

/// An entry, as the directory lists it.
struct Listed {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl DiskStore {
    /// A store in a directory that need not exist. [`DiskStore::trim`] keeps it below so many bytes.
    pub fn new(dir: impl Into<PathBuf>, bytes_max: u64) -> Self {
        Self { dir: dir.into(), bytes_max, written: AtomicU64::new(0), trouble: Mutex::default() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What went wrong first, for those who want to know: a run does without.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Drops what was used longest ago, where there is too much; and what runs that were killed left behind. To be
    /// called when a run is done; does nothing where it wrote nothing.
    pub fn trim(&self) {
        if self.written.load(Ordering::Relaxed) > 0
            && let Err(error) = self.try_trim(SystemTime::now())
        {
            self.went_wrong("trimmed", &error);
        }
    }

    /// What is in the directory; of one that isn't there, nothing.
    pub fn usage(&self) -> io::Result<Usage> {
        let mut usage = Usage::default();
        for entry in self.list(|_| {})? {
            usage.entries += 1;
            usage.bytes += entry.bytes;
        }
        Ok(usage)
    }

    /// Removes all entries and unfinished files, and the directory where it is empty then. Gives what was removed.
    pub fn clear(&self) -> io::Result<Usage> {
        let mut unfinished = Vec::new();
        let entries = self.list(|path| unfinished.push(path))?;
        let mut usage = Usage::default();
        for entry in entries {
            if removed(&entry.path)? {
                usage.entries += 1;
                usage.bytes += entry.bytes;
            }
        }
        for path in unfinished {
            removed(&path)?;
        }
        let tag = self.dir.join(TAG.0);
        let left = match fs::read_dir(&self.dir) {
            Ok(entries) => entries.flatten().any(|entry| entry.path() != tag),
            Err(_) => true,
        };
        if !left {
            removed(&tag)?;
            // A run at the same time may have written into it.
            let _ = fs::remove_dir(&self.dir);
        }
        Ok(usage)
    }

    fn path(&self, key: Digest) -> PathBuf {
        self.dir.join(key.to_string())
    }

    fn went_wrong(&self, what: &str, error: &io::Error) {
        let text = format!("{} cannot be {what}: {error}", self.dir.display());
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
    }

    fn read(&self, key: Digest) -> io::Result<Option<Vec<u8>>> {
        let Some((mut file, bytes)) = open(&self.path(key))? else { return Ok(None) };
        let mut head = [0; HEAD_BYTES];
        if !(HEAD_BYTES as u64..=ENTRY_BYTES_MAX).contains(&bytes) || file.read_exact(&mut head).is_err() {
            return Ok(None);
        }
        let mut value = Vec::with_capacity(bytes as usize - HEAD_BYTES);
        (&file).take(ENTRY_BYTES_MAX).read_to_end(&mut value)?;
        if head[..] != self::head(key, &value) {
            return Ok(None);
        }
        touch(&file);
        Ok(Some(value))
    }

    fn write(&self, key: Digest, value: &[u8]) -> io::Result<()> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let path = self.path(key);
        // Runs in containers may have equal numbers.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_nanos());
        let beside = path.with_extension(format!("{}-{now:x}-{number}.new", std::process::id()));
        let mut file = match create(&beside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(&self.dir)?;
                create(&beside)?
            }
            result => result?,
        };
        let done = file.write_all(&head(key, value)).and_then(|()| file.write_all(value));
        drop(file);
        let done = done.and_then(|()| fs::rename(&beside, &path));
        if done.is_err() {
            // There is nothing to be done where that fails too; a later run will.
            let _ = fs::remove_file(&beside);
        }
        done
    }

    fn try_trim(&self, now: SystemTime) -> io::Result<()> {
        let old = |path: &Path| {
            let age = path.symlink_metadata().and_then(|metadata| metadata.modified());
            age.is_ok_and(|made| now.duration_since(made).is_ok_and(|age| age > UNFINISHED_MAX))
        };
        let mut left_behind = Vec::new();
        let mut entries = self.list(|path| left_behind.push(path))?;
        for path in left_behind.iter().filter(|path| old(path)) {
            removed(path)?;
        }
        let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
        if bytes <= self.bytes_max {
            return Ok(());
        }
        entries.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        for entry in entries {
            // A little less than allowed, so that not each run has to.
            if bytes <= self.bytes_max / 10 * 9 {
                break;
            }
            removed(&entry.path)?;
            bytes -= entry.bytes;
        }
        Ok(())
    }

    /// The entries in the directory; `unfinished` gets what is on its way to become one. Other files are nobody's
    /// business, nor are those of other users: each answers for their own.
    fn list(&self, mut unfinished: impl FnMut(PathBuf)) -> io::Result<Vec<Listed>> {
        let mut entries = Vec::new();
        let found = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(entries),
            found => found?,
        };
        for entry in found {
            let entry = entry?;
            let name = entry.file_name();
            let Some((key, rest)) = name.to_str().and_then(|name| name.split_at_checked(64)) else { continue };
            if !key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                continue;
            }
            let Some(metadata) = entry.metadata().ok().filter(|it| it.is_file() && is_ours(it)) else { continue };
            if rest.starts_with('.') && Path::new(rest).extension().is_some_and(|extension| extension == "new") {
                unfinished(entry.path());
            } else if rest.is_empty() {
                entries.push(Listed {
                    path: entry.path(),
                    bytes: metadata.len().next_multiple_of(BLOCK_BYTES).max(BLOCK_BYTES),
                    used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                });
            }
        }
        Ok(entries)
    }
}

impl Store for DiskStore {
    fn get(&self, key: Digest) -> Option<Vec<u8>> {
        match self.read(key) {
            Ok(value) => value,
            Err(error) => {
                self.went_wrong("read", &error);
                None
            }
        }
    }

    fn put(&self, key: Digest, value: &[u8]) {
        if value.len() as u64 > ENTRY_BYTES_MAX - HEAD_BYTES as u64 {
            return;
        }
        if let Err(error) = self.write(key, value) {
            self.went_wrong("written to", &error);
        }
    }
}

/// What stands before an entry's content.
fn head(key: Digest, value: &[u8]) -> [u8; HEAD_BYTES] {
    let digest = Digester::new("entry").digest(key).bytes(value).finish();
    let mut head = [0; HEAD_BYTES];
    head[..MAGIC.len()].copy_from_slice(MAGIC);
    head[MAGIC.len()..].copy_from_slice(digest.as_bytes());
    head
}

/// Opens a regular file of this user's, not through a link; none where there is no such file.
fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // A pipe would be waited for.
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) if path.is_symlink() => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    Ok((metadata.is_file() && is_ours(&metadata)).then_some((file, metadata.len())))
}

#[cfg(unix)]
fn is_ours(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_ours(_: &fs::Metadata) -> bool {
    true
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the directory, for this user alone: entries hold parts of source code.
fn make(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)?;
    match create(&dir.join(TAG.0)) {
        Ok(mut tag) => tag.write_all(TAG.1.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes down that an entry was used, for what is dropped first. On a directory that is read only it is not.
fn touch(file: &File) {
    let now = SystemTime::now();
    let fresh = file.metadata().and_then(|metadata| metadata.modified());
    if !fresh.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age < USE_INTERVAL)) {
        let _ = file.set_modified(now);
    }
}

/// Removes a file, which another run may have done before. Whether it was this one.
fn removed(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

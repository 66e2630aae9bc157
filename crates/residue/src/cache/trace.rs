//! What a run asked of the file system, and whether it would be told the same again.
//!
//! To ask again what a file holds means to read it. That is spared where the file is known to be the same by what the
//! file system says of it ([`Stamp`]), as git does for its index: a file that is written to gets another time of change,
//! which no program can set, unless that happens within the same tick of the file system's clock. So times are believed
//! only of files that had been left alone for a while when they were read (git: Documentation/technical/racy-git.txt).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use rayon::prelude::*;
use residue_cache::{Digest, Digester};
use residue_project::OsFileSystem;
use residue_project::fs::{Entry, FileSystem, Kind, Metadata};
use serde::{Deserialize, Serialize};

/// What can be asked of a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
enum Question {
    Read,
    List,
    Metadata,
    Canonicalize,
}

/// An answer, as far as another one must be the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Answer {
    /// Of what is read or listed.
    Digest(Digest),
    /// What it is and how long.
    Metadata(u8, u64),
    /// Where it leads.
    Path(String),
    /// There is nothing.
    Absent,
    /// The text says why not.
    Failed(String),
    /// It can't be told in a way that can be kept.
    Unspeakable,
}

impl Answer {
    fn of<T>(result: &io::Result<T>, told: impl FnOnce(&T) -> Self) -> Self {
        match result {
            Ok(value) => told(value),
            Err(error) if error.raw_os_error().is_some() && error.kind() == io::ErrorKind::NotFound => Self::Absent,
            Err(error) => Self::Failed(format!("{:?}: {error}", error.kind())),
        }
    }

    fn read(result: &io::Result<Vec<u8>>) -> Self {
        Self::of(result, |bytes| Self::Digest(Digest::of(bytes)))
    }

    /// Entries come in any order.
    fn list(result: &io::Result<Vec<Entry>>) -> Self {
        Self::of(result, |entries| {
            let mut entries: Vec<(&[u8], Kind)> =
                entries.iter().map(|entry| (entry.name.as_encoded_bytes(), entry.kind)).collect();
            entries.sort_unstable_by_key(|(name, _)| *name);
            let mut digester = Digester::new("list");
            for (name, kind) in entries {
                digester.bytes(name).number(u64::from(number(kind)));
            }
            Self::Digest(digester.finish())
        })
    }

    fn metadata(result: &io::Result<Metadata>) -> Self {
        Self::of(result, |metadata| Self::kind_and_length(metadata.kind, metadata.len))
    }

    /// The same answer, as the standard library gives it.
    fn std_metadata(metadata: &std::fs::Metadata) -> Self {
        let kind = match metadata.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Dir,
            _ => Kind::Other,
        };
        Self::kind_and_length(kind, metadata.len())
    }

    /// How long a directory is says nothing to anybody.
    fn kind_and_length(kind: Kind, len: u64) -> Self {
        Self::Metadata(number(kind), if kind == Kind::File { len } else { 0 })
    }

    fn path(result: &io::Result<PathBuf>) -> Self {
        Self::of(result, |path| path.to_str().map_or(Self::Unspeakable, |path| Self::Path(path.to_owned())))
    }

    /// Asks again.
    fn ask(question: Question, path: &Path) -> Self {
        match question {
            Question::Read => Self::read(&OsFileSystem.read(path)),
            Question::List => Self::list(&OsFileSystem.list(path)),
            Question::Metadata => Self::metadata(&OsFileSystem.metadata(path)),
            Question::Canonicalize => Self::path(&OsFileSystem.canonicalize(path)),
        }
    }
}

/// By what a file or directory is known to be the one that it was, unchanged: device, number, length, and the times of
/// the last change of content and of anything, in nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Stamp {
    dev: u64,
    ino: u64,
    len: u64,
    modified: i64,
    changed: i64,
}

/// The coarsest clock of a file system in use ticks each two seconds (FAT).
#[cfg(unix)]
const TICK_NANOS: i64 = 2_000_000_000;

impl Stamp {
    /// The stamp of what was left alone for a while before `now`, in nanoseconds since 1970.
    #[cfg(unix)]
    pub(crate) fn of(metadata: &std::fs::Metadata, now: i64) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let nanos = |seconds: i64, nanos: i64| seconds.checked_mul(1_000_000_000)?.checked_add(nanos);
        let modified = nanos(metadata.mtime(), metadata.mtime_nsec())?;
        let changed = nanos(metadata.ctime(), metadata.ctime_nsec())?;
        let quiet = modified.max(changed) < now - TICK_NANOS;
        let stamp = Self { dev: metadata.dev(), ino: metadata.ino(), len: metadata.len(), modified, changed };
        quiet.then_some(stamp)
    }

    /// Elsewhere nothing tells of each change.
    #[cfg(not(unix))]
    pub(crate) fn of(_: &std::fs::Metadata, _: i64) -> Option<Self> {
        None
    }

    /// Adds the stamp to a digest.
    pub(crate) fn add(self, digester: &mut Digester) {
        let Self { dev, ino, len, modified, changed } = self;
        digester.number(dev).number(ino).number(len).number(modified.cast_unsigned()).number(changed.cast_unsigned());
    }
}

/// The time, in nanoseconds since 1970; where the clock is wrong, long ago, so that no file has been left alone since.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(0)
}

fn number(kind: Kind) -> u8 {
    match kind {
        Kind::File => 0,
        Kind::Dir => 1,
        Kind::Symlink => 2,
        Kind::Other => 3,
    }
}

/// What was asked of a path.
#[derive(Debug, Default)]
struct Asked {
    /// None where it was told in different ways during the run.
    answers: Vec<(Question, Option<Answer>)>,
    /// Before it was read or listed; none where it can't be told whether it is the same later.
    stamp: Option<Stamp>,
}

/// The files of this machine, with a record of what is asked.
pub(crate) struct Recorder {
    start: i64,
    asked: Mutex<BTreeMap<PathBuf, Asked>>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { start: now(), asked: Mutex::default() }
    }

    fn stamp(&self, path: &Path) -> Option<Stamp> {
        Stamp::of(&std::fs::metadata(path).ok()?, self.start)
    }

    fn note(&self, question: Question, path: &Path, answer: Answer, stamp: Option<Stamp>) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if !asked.contains_key(path) {
            asked.insert(path.to_path_buf(), Asked::default());
        }
        let Some(of_path) = asked.get_mut(path) else { return };
        match of_path.answers.iter_mut().find(|(asked, _)| *asked == question) {
            Some((_, known)) if known.as_ref() == Some(&answer) => {}
            Some((_, known)) => *known = None,
            None => of_path.answers.push((question, Some(answer))),
        }
        of_path.stamp = of_path.stamp.or(stamp);
    }

    /// All questions with their answers; none where they can't be asked again, or something changed during the run.
    pub(crate) fn finish(self) -> Option<Trace> {
        let asked = self.asked.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut trace = Trace { paths: Vec::with_capacity(asked.len()) };
        let mut before = String::new();
        for (path, Asked { answers, stamp }) in asked {
            let path = path.into_os_string().into_string().ok()?;
            let shared = before.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
            let shared = (0..=shared).rev().find(|&i| path.is_char_boundary(i)).unwrap_or(0);
            let answers = answers
                .into_iter()
                .map(|(question, answer)| Some((question, answer.filter(|answer| *answer != Answer::Unspeakable)?)));
            let answers = answers.collect::<Option<_>>()?;
            trace.paths.push(TracedPath { shared, rest: path[shared..].to_owned(), answers, stamp });
            before = path;
        }
        Some(trace)
    }
}

impl FileSystem for Recorder {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let stamp = self.stamp(path);
        let result = OsFileSystem.read(path);
        self.note(Question::Read, path, Answer::read(&result), stamp);
        result
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let stamp = self.stamp(path);
        let result = OsFileSystem.list(path);
        self.note(Question::List, path, Answer::list(&result), stamp);
        result
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let result = OsFileSystem.metadata(path);
        self.note(Question::Metadata, path, Answer::metadata(&result), None);
        result
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        let result = OsFileSystem.canonicalize(path);
        self.note(Question::Canonicalize, path, Answer::path(&result), None);
        result
    }
}

/// The questions of a run with their answers, by path in order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Trace {
    paths: Vec<TracedPath>,
}

/// What was asked of a path.
#[derive(Debug, Serialize, Deserialize)]
struct TracedPath {
    /// How many bytes at its start the path before it has too.
    shared: usize,
    rest: String,
    answers: Vec<(Question, Answer)>,
    stamp: Option<Stamp>,
}

impl TracedPath {
    /// Whether all answers are still the same, and the stamp to know it by the next time.
    fn holds(&self, path: &Path, now: i64) -> (bool, Option<Stamp>) {
        let metadata = std::fs::metadata(path);
        let looked_into = self.answers.iter().any(|(question, _)| matches!(question, Question::Read | Question::List));
        let stamp = metadata.as_ref().ok().filter(|_| looked_into).and_then(|metadata| Stamp::of(metadata, now));
        let untouched = stamp.is_some() && stamp == self.stamp;
        let still = |(question, answer): &(Question, Answer)| match question {
            Question::Read | Question::List if untouched => true,
            Question::Metadata => *answer == Answer::of(&metadata, Answer::std_metadata),
            _ => *answer == Answer::ask(*question, path),
        };
        (self.answers.iter().all(still), stamp)
    }
}

impl Trace {
    /// The paths whole; none where the parts do not fit together.
    fn paths(&self) -> Option<Vec<String>> {
        let mut all: Vec<String> = Vec::with_capacity(self.paths.len());
        for TracedPath { shared, rest, .. } in &self.paths {
            let before = all.last().map_or("", String::as_str);
            all.push(format!("{}{rest}", before.get(..*shared)?));
        }
        Some(all)
    }

    /// Whether all answers are still the same; and whether files are known by other stamps now.
    pub(crate) fn holds(&mut self) -> Option<bool> {
        let now = now();
        let whole = self.paths()?;
        let stamps: Vec<Option<Stamp>> = (self.paths.par_iter().zip(&whole))
            .map(|(traced, path)| traced.holds(Path::new(path), now))
            .map(|(same, stamp)| same.then_some(stamp))
            .collect::<Option<_>>()?;
        let mut other = false;
        for (traced, stamp) in self.paths.iter_mut().zip(stamps) {
            other |= stamp.is_some() && traced.stamp != stamp;
            traced.stamp = stamp;
        }
        Some(other)
    }

    /// The digests of the files that were read.
    pub(crate) fn contents(&self) -> BTreeMap<String, Digest> {
        let read = self.paths().unwrap_or_default().into_iter().zip(&self.paths).filter_map(|(path, traced)| {
            traced.answers.iter().find_map(|answer| match answer {
                (Question::Read, Answer::Digest(digest)) => Some((path.clone(), *digest)),
                _ => None,
            })
        });
        read.collect()
    }
}

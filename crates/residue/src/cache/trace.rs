//! What a run asked of the file system, and whether it would be told the same again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use residue_cache::{Digest, Digester};
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
        // How long a directory is says nothing to anybody.
        let len = |metadata: &Metadata| if metadata.kind == Kind::File { metadata.len } else { 0 };
        Self::of(result, |metadata| Self::Metadata(number(metadata.kind), len(metadata)))
    }

    fn path(result: &io::Result<PathBuf>) -> Self {
        Self::of(result, |path| path.to_str().map_or(Self::Unspeakable, |path| Self::Path(path.to_owned())))
    }

    fn ask(question: Question, path: &Path, fs: &dyn FileSystem) -> Self {
        match question {
            Question::Read => Self::read(&fs.read(path)),
            Question::List => Self::list(&fs.list(path)),
            Question::Metadata => Self::metadata(&fs.metadata(path)),
            Question::Canonicalize => Self::path(&fs.canonicalize(path)),
        }
    }
}

fn number(kind: Kind) -> u8 {
    match kind {
        Kind::File => 0,
        Kind::Dir => 1,
        Kind::Symlink => 2,
        Kind::Other => 3,
    }
}

/// A file system that writes down what it is asked.
pub(crate) struct Recorder<'a> {
    inner: &'a dyn FileSystem,
    /// By path and question; none where it was told in different ways during the run.
    answers: Mutex<BTreeMap<PathBuf, Vec<(Question, Option<Answer>)>>>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(inner: &'a dyn FileSystem) -> Self {
        Self { inner, answers: Mutex::default() }
    }

    fn note(&self, question: Question, path: &Path, answer: Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if !answers.contains_key(path) {
            answers.insert(path.to_path_buf(), Vec::new());
        }
        let Some(of_path) = answers.get_mut(path) else { return };
        match of_path.iter_mut().find(|(asked, _)| *asked == question) {
            Some((_, known)) if known.as_ref() == Some(&answer) => {}
            Some((_, known)) => *known = None,
            None => of_path.push((question, Some(answer))),
        }
    }

    /// All questions with their answers; none where they can't be asked again, or something changed during the run.
    pub(crate) fn finish(self) -> Option<Trace> {
        let answers = self.answers.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut trace = Trace { paths: Vec::with_capacity(answers.len()) };
        let mut before = String::new();
        for (path, of_path) in answers {
            let path = path.into_os_string().into_string().ok()?;
            let shared = before.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
            let shared = (0..=shared).rev().find(|&i| path.is_char_boundary(i)).unwrap_or(0);
            let mut answers = Vec::with_capacity(of_path.len());
            for (question, answer) in of_path {
                answers.push((question, answer.filter(|answer| *answer != Answer::Unspeakable)?));
            }
            trace.paths.push((shared, path[shared..].to_owned(), answers));
            before = path;
        }
        Some(trace)
    }
}

impl FileSystem for Recorder<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let result = self.inner.read(path);
        self.note(Question::Read, path, Answer::read(&result));
        result
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let result = self.inner.list(path);
        self.note(Question::List, path, Answer::list(&result));
        result
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let result = self.inner.metadata(path);
        self.note(Question::Metadata, path, Answer::metadata(&result));
        result
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        let result = self.inner.canonicalize(path);
        self.note(Question::Canonicalize, path, Answer::path(&result));
        result
    }
}

/// The questions of a run with their answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Trace {
    /// In order. Of a path the bytes at its start that the one before has too, and the rest.
    paths: Vec<(usize, String, Vec<(Question, Answer)>)>,
}

impl Trace {
    /// The paths whole; none where the parts do not fit together.
    fn paths(&self) -> Option<Vec<(String, &[(Question, Answer)])>> {
        let mut all: Vec<(String, &[(Question, Answer)])> = Vec::with_capacity(self.paths.len());
        for (shared, rest, answers) in &self.paths {
            let before = all.last().map_or("", |(path, _)| path);
            all.push((format!("{}{rest}", before.get(..*shared)?), answers));
        }
        Some(all)
    }

    /// Whether all answers are still the same.
    pub(crate) fn holds(&self, fs: &dyn FileSystem) -> bool {
        let same = |(path, answers): &(String, &[(Question, Answer)])| {
            answers.iter().all(|(question, answer)| Answer::ask(*question, Path::new(path), fs) == *answer)
        };
        self.paths().is_some_and(|paths| paths.par_iter().all(same))
    }

    /// The digests of the files that were read.
    pub(crate) fn contents(&self) -> BTreeMap<String, Digest> {
        let paths = self.paths().unwrap_or_default().into_iter();
        let read = paths.filter_map(|(path, answers)| {
            answers.iter().find_map(|answer| match answer {
                (Question::Read, Answer::Digest(digest)) => Some((path.clone(), *digest)),
                _ => None,
            })
        });
        read.collect()
    }
}

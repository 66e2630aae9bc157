//! Files that were parsed, for loading the same tree for several build sets, or again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use residue_syntax::Bodies;

use crate::GoVersion;
use crate::source::{ReadFile, Request};

/// Parsed files, by path and by how they were read. Build sets of one tree share most of their files; with a cache each
/// is read once. It assumes that files do not change while it lives, but for those that it is told to
/// [distrust](ParseCache::distrust), and keeps all of them in memory.
#[derive(Debug, Default)]
pub struct ParseCache {
    files: Mutex<HashMap<Key, (Arc<ReadFile>, Trust)>>,
}

/// Whether the text of a parsed file is still what is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trust {
    Full,
    /// To be compared with what is there.
    None,
}

/// What the parsed form of a file depends on, besides its content.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    path: Arc<str>,
    bodies: bool,
    root: bool,
    go_version: GoVersion,
}

impl Key {
    pub(crate) fn new(path: &Arc<str>, request: &Request<'_>) -> Self {
        Self {
            path: path.clone(),
            bodies: request.bodies == Bodies::Keep,
            root: request.root,
            go_version: request.go_version,
        }
    }
}

impl ParseCache {
    /// Has files read again, given by their displayed paths; of those whose text is still the same, the trees are kept.
    pub fn distrust(&self, changed: impl Fn(&str) -> bool) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is lost: whatever the order, each is asked about.
        files.retain(|key, (_, trust)| {
            if changed(&key.path) {
                *trust = Trust::None;
            }
            true
        });
    }

    /// Forgets the files that were distrusted and that no load has asked for since: they are gone.
    pub fn sweep(&self) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, (_, trust)| *trust == Trust::Full);
    }

    pub(crate) fn get(&self, key: &Key) -> Option<(Arc<ReadFile>, Trust)> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(crate) fn insert(&self, key: Key, file: &Arc<ReadFile>) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (file.clone(), Trust::Full));
    }
}

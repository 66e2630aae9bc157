//! Files that were parsed, for loading the same tree for several build sets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use residue_syntax::Bodies;

use crate::GoVersion;
use crate::source::{ReadFile, Request};

/// Parsed files, by path and by how they were read. Build sets of one tree share most of their files; with a cache each
/// is read once. It assumes that files do not change while it lives, and keeps all of them in memory.
#[derive(Debug, Default)]
pub struct ParseCache {
    files: Mutex<HashMap<Key, Arc<ReadFile>>>,
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
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<ReadFile>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(crate) fn insert(&self, key: Key, file: &Arc<ReadFile>) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(key, file.clone());
    }
}

//! Names shared by all packages.
//!
//! A [`Symbol`] is a pointer to the one stored copy of a spelling, so that equality is a pointer comparison and the text
//! is free. The store only grows, by the distinct identifiers of the analysed code.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{LazyLock, Mutex, PoisonError};

use rustc_hash::{FxBuildHasher, FxHasher};

/// An interned name.
#[derive(Clone, Copy)]
pub struct Symbol(&'static str);

const SHARDS: usize = 64;

static STORE: LazyLock<[Mutex<HashSet<&'static str, FxBuildHasher>>; SHARDS]> =
    LazyLock::new(|| std::array::from_fn(|_| Mutex::new(HashSet::default())));

impl Symbol {
    /// The symbol of a spelling.
    pub fn new(text: &str) -> Self {
        let hash = FxBuildHasher.hash_one(text);
        let mut shard = STORE[(hash >> 32) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&known) = shard.get(text) {
            return Self(known);
        }
        let stored: &'static str = Box::leak(text.to_owned().into_boxed_str());
        shard.insert(stored);
        Self(stored)
    }

    /// The spelling.
    #[inline]
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether the name starts with an upper case letter, that is, is exported.
    pub fn is_exported(self) -> bool {
        self.0.chars().next().is_some_and(char::is_uppercase)
    }

    /// Whether it is `_`.
    pub fn is_blank(self) -> bool {
        self.0 == "_"
    }
}

impl PartialEq for Symbol {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}
impl Eq for Symbol {}

impl PartialEq<str> for Symbol {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}
impl PartialEq<&str> for Symbol {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl Hash for Symbol {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(self.0.as_ptr(), state);
    }
}

impl Ord for Symbol {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(other.0)
    }
}
impl PartialOrd for Symbol {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Debug for Symbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
impl std::fmt::Display for Symbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// A map keyed by symbols.
pub(crate) type SymbolMap<T> = std::collections::HashMap<Symbol, T, std::hash::BuildHasherDefault<FxHasher>>;

#[cfg(test)]
mod tests {
    use super::Symbol;

    #[test]
    fn equal_text_is_one_symbol() {
        assert_eq!(Symbol::new("Close"), Symbol::new(&String::from("Close")));
        assert_ne!(Symbol::new("Close"), Symbol::new("close"));
        assert!(Symbol::new("Ébène").is_exported() && !Symbol::new("_x").is_exported());
    }
}

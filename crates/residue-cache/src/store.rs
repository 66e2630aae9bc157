//! Where results are kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::Digest;

/// Keeps bytes by the digest of what they depend on. It may forget anything at any time.
pub trait Store: Sync {
    /// What was kept under a key, whole and unchanged.
    fn get(&self, key: Digest) -> Option<Vec<u8>>;

    /// Keeps bytes in place of what was kept under the key.
    fn put(&self, key: Digest, value: &[u8]);
}

/// Keeps what was asked for lately in memory.
#[derive(Debug)]
pub struct MemoryStore {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// With the time of the last use, in uses.
    entries: HashMap<Digest, (Vec<u8>, u64)>,
    bytes: usize,
    uses: u64,
}

impl MemoryStore {
    /// A store that forgets what was used longest ago where it would hold more bytes than these.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).entries.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Store for MemoryStore {
    fn get(&self, key: Digest) -> Option<Vec<u8>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        let (value, used) = kept.entries.get_mut(&key)?;
        *used = now;
        Some(value.clone())
    }

    fn put(&self, key: Digest, value: &[u8]) {
        if value.len() > self.bytes_max {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        let before = kept.entries.insert(key, (value.to_vec(), now));
        kept.bytes = kept.bytes + value.len() - before.map_or(0, |(value, _)| value.len());
        while kept.bytes > self.bytes_max {
            let Kept { entries, .. } = &*kept;
            #[allow(clippy::disallowed_methods, reason = "uses are distinct, so the order plays no part")]
            let oldest = entries.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
            let Some((value, _)) = oldest.and_then(|key| kept.entries.remove(&key)) else { break };
            kept.bytes -= value.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let key = |i: u8| Digest::of(&[i]);
        let store = MemoryStore::new(30);
        for i in 0..3 {
            store.put(key(i), &[i; 10]);
        }
        assert!(store.get(key(0)).is_some());
        store.put(key(3), &[3; 10]);
        assert_eq!([0, 1, 2, 3].map(|i| store.get(key(i)).is_some()), [true, false, true, true]);
        store.put(key(3), &[7; 12]);
        assert_eq!(store.get(key(3)), Some(vec![7; 12]));
        store.put(key(4), &[0; 31]);
        assert_eq!((store.get(key(4)), store.len()), (None, 2));
    }
}

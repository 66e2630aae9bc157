//! The interner of a file's spellings while it is read.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use crate::ast::{Id, Name, Names};

/// A hash table from spellings to [`Name`]s, over the spellings themselves in a [`Names`].
#[derive(Debug)]
pub(crate) struct Interner {
    /// Open addressing, a power of two of slots, at most half of them taken.
    slots: Vec<Slot>,
    names: Names,
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    /// [`Name`], or 0 where free.
    name: u32,
}

const FREE: Slot = Slot { hash: 0, name: 0 };

impl Interner {
    /// An interner that takes about `expected` spellings without growing.
    pub(crate) fn new(expected: usize) -> Self {
        // The seed keeps a hostile file from choosing names that all meet in one slot. It never shows: names are
        // numbered in order of appearance.
        static SEED: OnceLock<u64> = OnceLock::new();
        let slots = (expected * 2).next_power_of_two().max(64);
        Self {
            slots: vec![FREE; slots],
            names: Names { text: String::with_capacity(expected * 8), ends: Vec::with_capacity(expected) },
            seed: *SEED.get_or_init(|| RandomState::new().hash_one(0)),
        }
    }

    /// The name of a spelling.
    #[inline]
    pub(crate) fn intern(&mut self, spelling: &str) -> Name {
        let hash = hash(spelling.as_bytes(), self.seed);
        let mask = self.slots.len() - 1;
        let mut i = hash as usize & mask;
        loop {
            let slot = self.slots[i];
            if slot.name == 0 {
                return self.insert(spelling, hash);
            }
            let name = Name::from_raw(slot.name);
            if slot.hash == hash && self.names.get(name) == spelling {
                return name;
            }
            i = (i + 1) & mask;
        }
    }

    /// Length of a spelling.
    pub(crate) fn len(&self, name: Name) -> u32 {
        self.names.get(name).len() as u32
    }

    /// The spellings, when all of the file is read.
    pub(crate) fn finish(self) -> Names {
        self.names
    }

    #[inline(never)]
    fn insert(&mut self, spelling: &str, hash: u32) -> Name {
        let name = Name::new(self.names.ends.len());
        self.names.text.push_str(spelling);
        self.names.ends.push(self.names.text.len() as u32);
        if self.names.ends.len() * 2 > self.slots.len() {
            let grown = vec![FREE; self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, grown) {
                if slot.name != 0 {
                    self.place(slot);
                }
            }
        }
        self.place(Slot { hash, name: name.raw() });
        name
    }

    /// Puts a slot at the first free place of its chain.
    fn place(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut i = slot.hash as usize & mask;
        while self.slots[i].name != 0 {
            i = (i + 1) & mask;
        }
        self.slots[i] = slot;
    }
}

/// Mixes eight bytes at a time by a folded multiplication.
#[inline]
fn hash(bytes: &[u8], seed: u64) -> u32 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };
    let mut state = seed ^ bytes.len() as u64;
    let mut rest = bytes;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        state = fold(state ^ u64::from_le_bytes(*chunk), MULTIPLIER);
        rest = tail;
    }
    // What is left is read in two overlapping halves, or three bytes.
    let tail = match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        (Some(head), Some(tail)) => u64::from(u32::from_le_bytes(*head)) << 32 | u64::from(u32::from_le_bytes(*tail)),
        _ => match *rest {
            [] => 0,
            [first, .., last] => u64::from(first) << 16 | u64::from(rest[rest.len() / 2]) << 8 | u64::from(last),
            [only] => u64::from(only),
        },
    };
    let state = fold(state ^ tail, MULTIPLIER ^ seed);
    (state ^ state >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_spellings_share_a_name_and_others_do_not() {
        let mut interner = Interner::new(1);
        let spellings: Vec<String> = (0..5000).map(|i| "x".repeat(i % 40) + &i.to_string()).collect();
        let names: Vec<Name> = spellings.iter().map(|s| interner.intern(s)).collect();
        for (i, (spelling, &name)) in spellings.iter().zip(&names).enumerate() {
            assert_eq!(name.index(), i, "numbered in order of appearance");
            assert_eq!(interner.intern(spelling), name);
        }
        let finished = interner.finish();
        assert!(spellings.iter().zip(&names).all(|(spelling, &name)| finished.get(name) == spelling));
    }
}

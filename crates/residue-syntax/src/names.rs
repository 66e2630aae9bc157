//! The interner of a file's spellings while it is read.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use crate::ast::{Id, Name, Names};

/// The first eight bytes of a spelling, and the last eight. The first byte is the lowest of a word. A spelling of less
/// than eight bytes is all in the first word, zero beyond its end, and the second one is zero. Names have no zero bytes,
/// so names of up to 16 bytes and equal length are equal if these are.
pub(crate) fn ends(spelling: &[u8]) -> (u64, u64) {
    match (spelling.first_chunk::<8>(), spelling.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => (spelling.iter().rev().fold(0, |head, &b| head << 8 | u64::from(b)), 0),
    }
}

/// A hash table from spellings to [`Name`]s, over the spellings themselves.
#[derive(Debug)]
pub(crate) struct Interner {
    /// Open addressing, a power of two of slots, at most half of them taken.
    slots: Vec<Slot>,
    /// All spellings, one after the other.
    text: Vec<u8>,
    /// Where each ends in `text`.
    ends: Vec<u32>,
    seed: u64,
}

/// A name and what tells it apart: all of it up to 16 bytes, and nearly all of a longer one.
#[derive(Clone, Copy, Debug)]
struct Slot {
    head: u64,
    /// The last eight bytes of a name of at least eight; a hash of all of a name of more than 16.
    tail: u64,
    len: u32,
    /// [`Name`], or 0 where free.
    name: u32,
}

/// Slots to begin with. Large files are seldom rich in names, and a small table stays in the cache.
const SLOTS: usize = 512;

const FREE: Slot = Slot { head: 0, tail: 0, len: 0, name: 0 };

impl Interner {
    /// An interner without names.
    pub(crate) fn new() -> Self {
        // The seed keeps a hostile file from choosing names that all meet in one slot. It never shows: names are
        // numbered in order of appearance.
        static SEED: OnceLock<u64> = OnceLock::new();
        Self {
            slots: vec![FREE; SLOTS],
            text: Vec::new(),
            ends: Vec::new(),
            seed: *SEED.get_or_init(|| RandomState::new().hash_one(0)),
        }
    }

    /// The name of a spelling, which has these [`ends`].
    #[inline]
    pub(crate) fn intern(&mut self, head: u64, tail: u64, spelling: &[u8]) -> Name {
        let slot = self.slots.get(self.first_slot(head, tail)).copied().unwrap_or(FREE);
        let differs = (slot.head ^ head) | (slot.tail ^ tail) | u64::from(slot.len ^ spelling.len() as u32);
        if differs == 0 && spelling.len() <= 16 {
            return Name::from_raw(slot.name);
        }
        self.find(head, tail, spelling)
    }

    /// The name of a spelling, wherever its slot is.
    #[inline(never)]
    fn find(&mut self, head: u64, tail: u64, spelling: &[u8]) -> Name {
        let len = spelling.len() as u32;
        // What is between the ends counts, too.
        let tail = if len <= 16 { tail } else { self.hash(spelling) };
        let mask = self.slots.len() - 1;
        let mut i = self.first_slot(head, tail);
        while self.slots[i].name != 0 {
            let slot = self.slots[i];
            if slot.head == head && slot.tail == tail && slot.len == len {
                let name = Name::from_raw(slot.name);
                if len <= 16 || self.spelling(name) == spelling {
                    return name;
                }
            }
            i = (i + 1) & mask;
        }
        let name = Name::new(self.ends.len());
        self.text.extend_from_slice(spelling);
        self.ends.push(self.text.len() as u32);
        self.slots[i] = Slot { head, tail, len, name: name.raw() };
        if self.ends.len() * 2 > self.slots.len() {
            self.grow();
        }
        name
    }

    /// Length of a spelling.
    pub(crate) fn len(&self, name: Name) -> u32 {
        self.spelling(name).len() as u32
    }

    fn spelling(&self, name: Name) -> &[u8] {
        let i = name.index();
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.text[start..self.ends[i] as usize]
    }

    /// The spellings, when all of the file is read. The interner is without names again.
    pub(crate) fn finish(&mut self) -> Names {
        // The table shrinks again after a large file, so that emptying it stays cheap.
        self.slots.truncate(SLOTS);
        self.slots.fill(FREE);
        // The lexer takes no name that is not UTF-8.
        let text = str::from_utf8(&self.text).unwrap_or_default().to_owned();
        let names = Names { text, ends: self.ends.as_slice().to_vec() };
        self.text.clear();
        self.ends.clear();
        names
    }

    #[cold]
    fn grow(&mut self) {
        let grown = vec![FREE; self.slots.len() * 2];
        let mask = grown.len() - 1;
        for slot in std::mem::replace(&mut self.slots, grown) {
            if slot.name != 0 {
                let mut i = self.first_slot(slot.head, slot.tail);
                while self.slots[i].name != 0 {
                    i = (i + 1) & mask;
                }
                self.slots[i] = slot;
            }
        }
    }

    /// Where to look for a name first.
    #[inline]
    fn first_slot(&self, head: u64, tail: u64) -> usize {
        fold(head ^ self.seed, tail ^ MULTIPLIER) as usize & (self.slots.len() - 1)
    }

    /// Mixes all bytes of a name, eight at a time.
    #[inline(never)]
    fn hash(&self, spelling: &[u8]) -> u64 {
        let (chunks, _) = spelling.as_chunks::<8>();
        // The last eight overlap with the ones before.
        let tail = spelling.last_chunk::<8>().map_or(0, |last| u64::from_le_bytes(*last));
        chunks.iter().fold(tail ^ self.seed.rotate_left(32), |state, chunk| {
            fold(state ^ u64::from_le_bytes(*chunk), MULTIPLIER ^ self.seed)
        })
    }
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// A multiplication that loses no bits.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intern(interner: &mut Interner, spelling: &str) -> Name {
        let (head, tail) = ends(spelling.as_bytes());
        interner.intern(head, tail, spelling.as_bytes())
    }

    #[test]
    fn equal_spellings_share_a_name_and_others_do_not() {
        let mut interner = Interner::new();
        let spellings: Vec<String> = (0..5000).map(|i| "x".repeat(i % 40) + &i.to_string()).collect();
        let names: Vec<Name> = spellings.iter().map(|s| intern(&mut interner, s)).collect();
        for (i, (spelling, &name)) in spellings.iter().zip(&names).enumerate() {
            assert_eq!(name.index(), i, "numbered in order of appearance");
            assert_eq!(intern(&mut interner, spelling), name);
        }
        let finished = interner.finish();
        assert!(spellings.iter().zip(&names).all(|(spelling, &name)| finished.get(name) == spelling));
    }
}

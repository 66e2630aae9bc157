//! What a word of memory looks like, told without telling what it is.

use std::fmt::Write as _;

use residue_gobin::Binary;
use residue_target::{Mapping, Memory as _, MemoryExt as _};
use sha2::{Digest as _, Sha256};

use crate::copies::Copies;
use crate::model::{Options, Word};

/// Texts that are read in order to be told apart.
const TEXT_BYTES_MAX: u64 = 64 << 10;
/// Lengths that are taken for lengths.
const LENGTH_MAX: u64 = 1 << 32;
const DIGEST_BYTES: usize = 8;

/// Knows what lies where in a target.
pub(crate) struct Words<'a> {
    pub(crate) memory: &'a Copies<'a>,
    /// By address.
    pub(crate) mappings: &'a [Mapping],
    pub(crate) slide: u64,
    pub(crate) binary: &'a Binary<'a>,
    pub(crate) options: &'a Options,
}

impl Words<'_> {
    /// Says of each word what it looks like; a text or slice takes two or three.
    pub(crate) fn describe(&self, words: &[u64], stack: (u64, u64)) -> Vec<Word> {
        let mut told = Vec::new();
        let mut rest = words;
        while let Some(&first) = rest.first() {
            let used = match (rest.get(1), rest.get(2)) {
                (Some(&len), Some(&capacity)) if self.is_slice(first, len, capacity) => {
                    told.push(Word::Slice { len, capacity });
                    3
                }
                (Some(&len), _)
                    if self.text(first, len).is_some_and(|text| {
                        told.push(text);
                        true
                    }) =>
                {
                    2
                }
                _ => {
                    told.push(self.one(first, stack));
                    1
                }
            };
            rest = &rest[used.min(rest.len())..];
        }
        told
    }

    fn one(&self, word: u64, (low, high): (u64, u64)) -> Word {
        let address = word.wrapping_sub(self.slide);
        if word == 0 {
            Word::Zero
        } else if (low..high).contains(&word) {
            Word::Stack
        } else if !self.is_mapped(word) {
            Word::Number { revealed: self.options.reveal.then_some(word) }
        } else if let Some(function) = self.memory.word(word).filter(|pc| self.is_function(*pc)) {
            Word::Func(function)
        } else if self.binary.is_variable(address) {
            Word::Variable
        } else if self.binary.is_mapped(address) {
            Word::Constant
        } else {
            Word::Heap
        }
    }

    /// Whether a function begins at an address. Closures begin with such an address, and it is nowhere else.
    pub(crate) fn is_function(&self, pc: u64) -> bool {
        self.binary.is_entry(pc.wrapping_sub(self.slide))
    }

    /// Whether a number can be a length: programs may be loaded at addresses that are as small.
    fn is_length(&self, number: u64) -> bool {
        (1..=LENGTH_MAX).contains(&number) && !self.binary.is_mapped(number.wrapping_sub(self.slide))
    }

    fn is_mapped(&self, address: u64) -> bool {
        let after = self.mappings.partition_point(|mapping| mapping.start <= address);
        let mapping = after.checked_sub(1).and_then(|index| self.mappings.get(index));
        mapping.is_some_and(|mapping| address < mapping.end && mapping.readable)
    }

    fn is_slice(&self, address: u64, len: u64, capacity: u64) -> bool {
        len <= capacity && self.is_length(len) && self.is_length(capacity) && self.is_mapped(address)
    }

    /// A text, if the words are the address and the length of something that reads as one.
    pub(crate) fn text(&self, address: u64, len: u64) -> Option<Word> {
        if !self.is_length(len) || !self.is_mapped(address) {
            return None;
        }
        let bytes = self.memory.read_up_to(address, len.min(TEXT_BYTES_MAX) as usize);
        let text = std::str::from_utf8(&bytes).ok()?;
        let printable = text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
        let whole = bytes.len() as u64 == len;
        if !printable || (bytes.len() as u64) < len.min(TEXT_BYTES_MAX) {
            return None;
        }
        Some(Word::Text {
            len,
            digest: whole.then(|| self.digest(&bytes)),
            revealed: self.options.reveal.then(|| text.to_owned()),
        })
    }

    fn digest(&self, bytes: &[u8]) -> String {
        let digest = Sha256::new().chain_update(self.options.key).chain_update(bytes).finalize();
        digest.iter().take(DIGEST_BYTES).fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

//! What the runtime has noted about single objects: finalizers, cleanups, handles of weak pointers, samples of the profile
//! (`mspan.specials`, `runtime/mheap.go`).

use residue_target::Memory;

use super::offsets::Offsets;
use super::spans::Spans;
use crate::gather::gather;
use crate::offsets::{half, word};

/// Notes about one object, on average, at most.
const PER_OBJECT_MAX: usize = 4;

/// What is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// A function is called with the object when nothing leads to it any more: its closure, the types of its argument and
    /// of the pointer it was given.
    Finalizer { function: u64, argument: u64, pointer: u64 },
    /// A function is called when the object is gone: its closure, and what it gets where that is kept apart.
    Cleanup { function: u64, argument: u64 },
    /// Weak pointers share this handle.
    Weak { handle: u64 },
    /// Small objects without pointers share the block.
    TinyBlock,
    /// The memory profile has a sample of it.
    Profile,
    /// C code or the program holds it in place (`runtime.Pinner`).
    Pinned,
    /// Something else.
    Other,
}

/// A note about an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Special {
    pub(crate) object: u32,
    /// Bytes into the object: a finalizer may be set for a part of a shared block.
    pub(crate) within: u64,
    pub(crate) noted: Noted,
}

/// Reads all notes; and how many couldn't be read.
pub(crate) fn read(memory: &dyn Memory, spans: &Spans, offsets: &Offsets) -> (Vec<Special>, usize) {
    let at = &offsets.special;
    let most = (spans.objects as usize).saturating_mul(PER_OBJECT_MAX);
    let mut found = Vec::new();
    let mut unreadable = 0;
    // The lists of all spans are followed side by side: the span's number, and the next record's address.
    let heads = spans.all.iter().enumerate().filter(|(_, span)| span.specials != 0);
    let mut lists: Vec<(u32, u64)> = heads.map(|(index, span)| (index as u32, span.specials)).collect();
    while !lists.is_empty() && found.len() < most {
        let addresses: Vec<(u64, usize)> = lists.iter().map(|(_, address)| (*address, at.size)).collect();
        let mut next = Vec::new();
        let mut one = |index: usize, record: &[u8]| {
            let (number, span) = (lists[index].0, &spans.all[lists[index].0 as usize]);
            // Offsets are 16 bits up to Go 1.24, a word after; an object lies in its span.
            let wide = at.kind - at.offset >= 8;
            let offset = if wide { word(record, at.offset) } else { u64::from(half(record, at.offset) & 0xffff) };
            let kind = record[at.kind];
            let Some(slot) = span.start.checked_add(offset).and_then(|at| span.index(at)) else { return false };
            found.push(Special {
                object: span.first + slot,
                within: offset.saturating_sub(u64::from(slot) * span.element),
                noted: noted(record, kind, offsets),
            });
            let following = word(record, at.next);
            if following != 0 {
                next.push((number, following));
            }
            true
        };
        let mut padded = Vec::new();
        gather(memory, &addresses, &mut |index, record| {
            // The shortest records may lie at the end of what is mapped.
            padded.clear();
            padded.extend_from_slice(record);
            padded.resize(at.size, 0);
            unreadable += usize::from(!(record.len() > at.kind && one(index, &padded)));
        });
        lists = next;
    }
    (found, unreadable)
}

fn noted(record: &[u8], kind: u8, offsets: &Offsets) -> Noted {
    let (at, kinds) = (&offsets.special, &offsets.kinds);
    let field = |at: Option<usize>| at.map_or(0, |at| word(record, at));
    match Some(kind) {
        kind if kind == Some(kinds.finalizer) => Noted::Finalizer {
            function: word(record, at.finalizer_fn),
            argument: word(record, at.finalizer_argument),
            pointer: word(record, at.finalizer_object),
        },
        kind if kind == Some(kinds.profile) => Noted::Profile,
        kind if kind == kinds.cleanup => {
            Noted::Cleanup { function: field(at.cleanup_fn), argument: field(at.cleanup_argument) }
        }
        kind if kind == kinds.weak => Noted::Weak { handle: field(at.weak_handle) },
        kind if kind == kinds.tiny => Noted::TinyBlock,
        kind if kind == kinds.pin => Noted::Pinned,
        _ => Noted::Other,
    }
}

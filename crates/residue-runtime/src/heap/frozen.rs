//! What of the heap is read while nothing runs.
//!
//! In any case the table of spans. When all is to be of one moment, everything else that changes, too: objects with pointers
//! are copied as they lie, and what the runtime keeps outside of its heap (notes about objects, queues) is read at once.

use residue_gobin::Binary;
use residue_target::{Memory, MemoryExt as _, Room, Target};

use super::finalizers::{Queues, cleanup_loops};
use super::globals::{Finder, Variables};
use super::offsets::Offsets;
use super::scan::{ARENA_BYTES, arena_bits_of};
use super::spans::{self, Marked, Spans};
use super::specials::{self, Special};
use crate::Error;
use crate::model::Goroutine;
use crate::read::KeptStack;

/// Where all this is.
#[derive(Clone, Copy)]
pub(super) struct Frozen<'a> {
    pub(super) target: &'a Target,
    pub(super) binary: &'a Binary<'a>,
    pub(super) offsets: &'a Offsets,
    /// `mheap_`.
    pub(super) address: u64,
    /// Bytes that can be in the heap.
    pub(super) mapped: u64,
}

/// What is read beside variables and stacks.
pub(super) struct Rest {
    pub(super) spans: Spans,
    pub(super) specials: Vec<Special>,
    /// Notes that couldn't be read.
    pub(super) unreadable: usize,
    pub(super) queues: Queues,
    /// Bytes of objects with pointers that weren't copied.
    pub(super) left_out: u64,
}

impl Frozen<'_> {
    /// Room for a copy of all objects with pointers; none for a core, which needs no copy.
    ///
    /// # Errors
    /// It would be too much, or the target is held already.
    pub(super) fn room(&self, spans: &Spans) -> Result<Option<Room>, Error> {
        if self.target.is_held() {
            return Err(Error::Held);
        }
        if self.target.now().is_none() {
            return Ok(None);
        }
        let bytes = self.ranges(spans).iter().map(|(_, len)| len).sum();
        Ok(Some(Room::of(bytes)?))
    }

    /// The table of spans as `memory` has it.
    pub(super) fn spans(&self, memory: &dyn Memory) -> Option<Spans> {
        let copied = spans::copy(memory, self.address, self.offsets, self.mapped)?;
        Some(Spans::new(&copied, self.offsets, self.mapped))
    }

    /// Copies all objects with pointers, and reads the rest.
    pub(super) fn copy(
        &self,
        table: &dyn Memory,
        variables: &Variables,
        room: Room,
        goroutines: &[Goroutine],
        stacks: &[KeptStack],
    ) -> Option<Rest> {
        let spans = self.spans(table)?;
        let left_out = self.target.hold(&self.ranges(&spans), room);
        Some(Rest { left_out, ..self.rest(spans, variables, goroutines, stacks) })
    }

    /// Reads what is noted about objects, and the queues.
    pub(super) fn rest(
        &self,
        spans: Spans,
        variables: &Variables,
        goroutines: &[Goroutine],
        stacks: &[KeptStack],
    ) -> Rest {
        let (specials, unreadable) = specials::read(self.target, &spans, self.offsets);
        let finder = Finder { target: self.target, binary: self.binary, offsets: self.offsets, symbols: true };
        let loops = cleanup_loops(self.target, self.binary, goroutines, stacks);
        let queues = Queues::read(&finder, variables, &loops);
        Rest { spans, specials, unreadable, queues, left_out: 0 }
    }

    /// Where objects with pointers are, and bits of arenas that say which of their words these are; sorted.
    fn ranges(&self, spans: &Spans) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        let mut arenas = Vec::new();
        for span in spans.all.iter().filter(|span| span.marked != Marked::NoScan) {
            if span.marked == Marked::Arena {
                arenas.extend(span.start / ARENA_BYTES..=(span.start + span.bytes - 1) / ARENA_BYTES);
            }
            match ranges.last_mut() {
                Some((start, len)) if *start + *len == span.start => *len += span.bytes,
                _ => ranges.push((span.start, span.bytes)),
            }
        }
        arenas.dedup();
        let table =
            self.address.checked_add(self.offsets.mheap_arenas).and_then(|at| self.target.word(at)).unwrap_or(0);
        for arena in arenas {
            ranges.extend(arena_bits_of(self.target, self.offsets, table, arena * ARENA_BYTES).into_iter().flatten());
        }
        ranges.sort_unstable();
        // What overlaps is nonsense.
        let mut end = 0;
        ranges.retain(|(start, len)| {
            let fits = *start >= end && start.checked_add(*len).is_some();
            end = if fits { start + len } else { end };
            fits
        });
        ranges
    }
}

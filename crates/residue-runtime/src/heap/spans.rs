//! The spans of the heap: which memory is cut into objects of which size, and which of these are allocated.
//!
//! `runtime/mheap.go` (`mheap.allspans`, `mspan`), `runtime/mbitmap.go` (`isFree`, `spanHeapBitsRange`),
//! `runtime/sizeclasses.go`. What a span says of itself isn't trusted: spans that overlap, are larger than what is mapped,
//! or have more objects than fit are left out and counted.

use residue_target::{Memory, MemoryExt as _};

use super::offsets::Offsets;
use crate::gather::gather;
use crate::offsets::{half, word};

/// Bytes of a page of the heap (`_PageSize`).
pub(crate) const PAGE: u64 = 8192;
/// Objects up to this size have their pointers marked at the end of their span (`MinSizeForMallocHeader`).
const SMALL_MAX: u64 = 512;
/// The word in front of an object that says what it is (`MallocHeaderSize`).
pub(crate) const HEADER: u64 = 8;
/// Marks for objects that lie in the span too (`spanInlineMarkBits`).
const INLINE_MARKS: u64 = 128;
/// States of a span: `mSpanInUse`, `mSpanManual`.
const IN_USE: u8 = 1;
const MANUAL: u8 = 2;
/// Spans that are read, at most: a terabyte of the smallest.
const SPANS_MAX: u64 = 1 << 27;
/// A span with fewer bytes than this has at most so many objects.
const OBJECT_BYTES_MIN: u64 = 8;
/// Objects in a span, at most; those that are more have no bits that say whether they are allocated.
const COUNT_MAX: u64 = PAGE;
/// Pages whose spans are looked up by number, at most: a terabyte.
const PAGES_MAX: u64 = 1 << 27;
/// Pages in an arena (`pagesPerArena` of 64-bit Linux).
const ARENA_PAGES: u64 = 8192;
const NOTHING: u32 = u32::MAX;
/// Objects that are told apart, at most: the other half of 32 bits stands for roots.
const OBJECTS_MAX: u32 = 1 << 31;

/// How the runtime notes where in a span's objects pointers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// There are none.
    NoScan,
    /// By bits of the arena.
    Arena,
    /// By bits at the end of the span, from this address on.
    InSpan(u64),
    /// By a type in front of each object.
    Header,
    /// By the type of the only object; 0 while it isn't set.
    Large(u64),
    /// In a way that isn't read here: memory of `arena` experiments.
    Unknown,
}

/// Memory that is cut into objects.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) bytes: u64,
    /// Bytes of an object with its header.
    pub(crate) element: u64,
    pub(crate) count: u32,
    /// Objects before are allocated.
    pub(crate) free_index: u32,
    /// Objects that the runtime says are allocated.
    pub(crate) allocated: u32,
    /// The number of its first object.
    pub(crate) first: u32,
    /// Where its bits are.
    bits: u32,
    pub(crate) marked: Marked,
    pub(crate) specials: u64,
    /// It holds what the last collection found dead, too.
    pub(crate) unswept: bool,
    /// Size class and whether it has no pointers, as the runtime keeps it.
    pub(crate) class: u8,
}

impl Span {
    /// The address of an object, by its number in the span; its header is at that address, if it has one.
    pub(crate) fn slot(&self, index: u32) -> u64 {
        self.start + u64::from(index) * self.element
    }

    /// Where what the program sees of an object begins, counted from its slot.
    pub(crate) fn header(&self) -> u64 {
        if self.marked == Marked::Header { HEADER } else { 0 }
    }

    /// The number of the object in the span that an address lies in.
    pub(crate) fn index(&self, address: u64) -> Option<u32> {
        let index = address.checked_sub(self.start)?.checked_div(self.element)?;
        (index < u64::from(self.count)).then_some(index as u32)
    }
}

/// All spans that hold objects, by address.
pub(crate) struct Spans {
    pub(crate) all: Vec<Span>,
    bits: Vec<u8>,
    /// Objects there is room for; numbers of objects are below.
    pub(crate) objects: u32,
    /// Bytes of spans that hold stacks.
    pub(crate) manual_bytes: u64,
    /// The collector's generation: two for each collection that was begun.
    pub(crate) sweepgen: u32,
    /// The span of each page of each arena, by number.
    pages: Vec<u32>,
    /// Which part of `pages` is an arena's, counted from the first arena.
    arenas: Vec<u32>,
    first_arena: u64,
    /// The span of every 256th object.
    coarse: Vec<u32>,
    /// What didn't fit.
    pub(crate) left_out: usize,
    /// Bits of a span that don't agree with its count.
    pub(crate) miscounted: usize,
}

/// What is copied while the target stands still.
pub(crate) struct Copied {
    records: Vec<u8>,
    record: usize,
    sweepgen: u32,
    bits: Vec<u8>,
    /// Where the bits of each record begin.
    bit_offsets: Vec<u32>,
    unreadable: usize,
}

/// Copies the records of all spans, and their bits.
pub(crate) fn copy(memory: &dyn Memory, heap: u64, offsets: &Offsets, mapped: u64) -> Option<Copied> {
    let list = heap.checked_add(offsets.mheap_spans)?;
    let (pointer, len) = (memory.word(list)?, memory.word(list + 8)?);
    // Each span has a page at least, and spans that are free stay on the list.
    let len = len.min(SPANS_MAX).min(mapped / PAGE + (1 << 20));
    let pointers = memory.read_up_to(pointer, usize::try_from(len.checked_mul(8)?).ok()?);
    let size = offsets.span.size;
    let addresses: Vec<(u64, usize)> = pointers.chunks_exact(8).map(|bytes| (word(bytes, 0), size)).collect();
    drop(pointers);
    let mut copied = Copied {
        records: Vec::with_capacity(addresses.len() * size),
        record: size,
        sweepgen: memory.word(heap + offsets.mheap_sweepgen)? as u32,
        bits: Vec::new(),
        bit_offsets: Vec::new(),
        unreadable: 0,
    };
    let mut bits = Vec::new();
    gather(memory, &addresses, &mut |_, record| match record.get(offsets.span.state) {
        _ if record.len() < size => copied.unreadable += 1,
        Some(&IN_USE) => {
            let len =
                (number(record, offsets.span.count, offsets.span.narrow) as usize).min(COUNT_MAX as usize).div_ceil(8);
            bits.push((word(record, offsets.span.alloc_bits), len));
            copied.records.extend_from_slice(record);
        }
        Some(&MANUAL) => {
            bits.push((0, 0));
            copied.records.extend_from_slice(record);
        }
        _ => {}
    });
    copied.bit_offsets = vec![0; bits.len()];
    let (store, places) = (&mut copied.bits, &mut copied.bit_offsets);
    gather(memory, &bits, &mut |index, found| {
        places[index] = store.len() as u32;
        store.extend_from_slice(found);
        store.resize(store.len() + bits[index].1 - found.len(), 0);
    });
    Some(copied)
}

fn number(record: &[u8], at: usize, narrow: bool) -> u64 {
    if narrow { u64::from(half(record, at) & 0xffff) } else { word(record, at) }
}

impl Spans {
    /// Makes sense of what was copied. `mapped` is how many bytes the target has mapped: what claims more is left out.
    pub(crate) fn new(copied: &Copied, offsets: &Offsets, mapped: u64) -> Self {
        let mut spans = Self {
            all: Vec::new(),
            bits: Vec::new(),
            objects: 0,
            manual_bytes: 0,
            sweepgen: copied.sweepgen,
            pages: Vec::new(),
            arenas: Vec::new(),
            first_arena: 0,
            coarse: Vec::new(),
            left_out: copied.unreadable,
            miscounted: 0,
        };
        for (index, record) in copied.records.chunks_exact(copied.record).enumerate() {
            match spans.span(record, offsets, mapped) {
                Some(mut span) => {
                    span.bits = copied.bit_offsets[index];
                    spans.all.push(span);
                }
                None if record[offsets.span.state] == MANUAL => {
                    let pages = word(record, offsets.span.pages);
                    spans.manual_bytes += pages.min(mapped / PAGE) * PAGE;
                }
                None => spans.left_out += 1,
            }
        }
        spans.bits.clone_from(&copied.bits);
        spans.all.sort_by_key(|span| span.start);
        let mut end = 0;
        let mut total = 0_u64;
        let before = spans.all.len();
        spans.all.retain(|span| {
            let fits = span.start >= end && total + span.bytes <= mapped;
            if fits {
                end = span.start + span.bytes;
                total += span.bytes;
            }
            fits
        });
        spans.left_out += before - spans.all.len();
        if offsets.span.large_type.is_some() {
            spans.place_bits();
        }
        spans.number();
        spans.index_pages();
        spans
    }

    fn span(&self, record: &[u8], offsets: &Offsets, mapped: u64) -> Option<Span> {
        let at = &offsets.span;
        let field = |at| word(record, at);
        let number = |at_field| number(record, at_field, at.narrow);
        if record[at.state] != IN_USE {
            return None;
        }
        let (start, pages, element) = (field(at.start), field(at.pages), field(at.element));
        let bytes = pages.checked_mul(PAGE).filter(|bytes| (PAGE..=mapped).contains(bytes))?;
        start.checked_add(bytes)?;
        let (count, free_index) = (number(at.count), number(at.free_index));
        let fits = start % PAGE == 0
            && element >= OBJECT_BYTES_MIN
            && element % 8 == 0
            && (1..=COUNT_MAX).contains(&count)
            && count.checked_mul(element)? <= bytes;
        if !fits {
            return None;
        }
        let class = record[at.class];
        let (size_class, noscan) = (class >> 1, class & 1 != 0);
        let arena = at.user_arena.and_then(|at| record.get(at)).is_some_and(|flag| *flag != 0);
        let marked = match at.large_type {
            _ if noscan => Marked::NoScan,
            _ if arena => Marked::Unknown,
            None => Marked::Arena,
            Some(large) if size_class == 0 => Marked::Large(field(large)),
            Some(_) if element <= SMALL_MAX => Marked::InSpan(start + bytes - bytes / 64),
            Some(_) => Marked::Header,
        };
        let generation = half(record, at.sweepgen);
        Some(Span {
            start,
            bytes,
            element,
            count: count as u32,
            free_index: free_index.min(count) as u32,
            allocated: half(record, at.alloc_count) & 0xffff,
            first: 0,
            bits: 0,
            marked,
            specials: field(at.specials),
            // As `mspan.sweepgen` explains: two behind, or one ahead, is not swept yet.
            unswept: generation == self.sweepgen.wrapping_sub(2) || generation == self.sweepgen.wrapping_add(1),
            class,
        })
    }

    /// Some programs keep marks behind the bits of a span's pointers (`GOEXPERIMENT=greenteagc`). Which do shows in how many
    /// objects of 16 bytes their spans hold.
    fn place_bits(&mut self) {
        let small = self.all.iter().filter(|span| span.element == 16 && matches!(span.marked, Marked::InSpan(_)));
        let room = |span: &Span, marks: u64| (span.bytes - span.bytes / 64 - marks) / span.element;
        let (with, without) = small.fold((0, 0), |(with, without), span| {
            let count = u64::from(span.count);
            (with + usize::from(count == room(span, INLINE_MARKS)), without + usize::from(count == room(span, 0)))
        });
        if with > without {
            for span in &mut self.all {
                if let Marked::InSpan(at) = &mut span.marked
                    && span.element >= 16
                {
                    *at -= INLINE_MARKS;
                }
            }
        }
    }

    /// Gives objects numbers.
    fn number(&mut self) {
        let mut first = 0_u32;
        let mut fitting = 0;
        for span in &mut self.all {
            let Some(next) = first.checked_add(span.count).filter(|next| *next < OBJECTS_MAX) else { break };
            span.first = first;
            first = next;
            fitting += 1;
        }
        self.left_out += self.all.len() - fitting;
        self.all.truncate(fitting);
        self.objects = first;
        self.coarse.clear();
        for (index, span) in self.all.iter().enumerate() {
            while (self.coarse.len() as u64) << 8 < u64::from(span.first) + u64::from(span.count) {
                self.coarse.push(index as u32);
            }
        }
        let miscounted = |span: &&Span| {
            // What was allocated from a cache shows in `allocCount` and `freeindex` at once, so they agree.
            self.allocated(span).count() as u32 != span.allocated
        };
        self.miscounted = self.all.iter().filter(miscounted).count();
    }

    fn index_pages(&mut self) {
        let Some((first, last)) = self.all.first().zip(self.all.last()) else { return };
        let arena = |address: u64| address / (PAGE * ARENA_PAGES);
        self.first_arena = arena(first.start);
        let count = arena(last.start + last.bytes - 1) - self.first_arena + 1;
        let mut used: Vec<u64> = self.all.iter().map(|span| arena(span.start)).collect();
        used.dedup();
        let pages: u64 = self.all.iter().map(|span| span.bytes / PAGE).sum();
        // Arenas far apart with next to nothing in them, as no allocator places them, are found by search; as is what only
        // a core that lies can have.
        if count > 1 << 22 || pages > PAGES_MAX || used.len() as u64 * ARENA_PAGES > pages * 64 + (1 << 22) {
            return;
        }
        self.arenas = vec![NOTHING; count as usize];
        for (index, span) in self.all.iter().enumerate() {
            for page in span.start / PAGE..(span.start + span.bytes) / PAGE {
                let arena = &mut self.arenas[(page / ARENA_PAGES - self.first_arena) as usize];
                if *arena == NOTHING {
                    *arena = (self.pages.len() as u64 / ARENA_PAGES) as u32;
                    self.pages.resize(self.pages.len() + ARENA_PAGES as usize, NOTHING);
                }
                self.pages[(u64::from(*arena) * ARENA_PAGES + page % ARENA_PAGES) as usize] = index as u32;
            }
        }
    }

    /// The first address of a span and the one behind the last.
    pub(crate) fn bounds(&self) -> (u64, u64) {
        let ends = self.all.first().zip(self.all.last());
        ends.map_or((0, 0), |(first, last)| (first.start, last.start + last.bytes))
    }

    /// The span that an address lies in.
    pub(crate) fn span_at(&self, address: u64) -> Option<&Span> {
        if self.arenas.is_empty() {
            let after = self.all.partition_point(|span| span.start <= address);
            let span = self.all.get(after.checked_sub(1)?)?;
            return (address - span.start < span.bytes).then_some(span);
        }
        let page = address / PAGE;
        let arena = *self.arenas.get((page / ARENA_PAGES).checked_sub(self.first_arena)? as usize)?;
        let page = u64::from(arena).checked_mul(ARENA_PAGES)? + page % ARENA_PAGES;
        let index = *self.pages.get(page as usize)?;
        self.all.get(index as usize)
    }

    /// The allocated object that an address lies in: its number, and how far in what the program sees of it the address is.
    pub(crate) fn object_at(&self, address: u64) -> Option<(u32, u64)> {
        let span = self.span_at(address)?;
        let index = span.index(address)?;
        if !self.is_allocated(span, index) {
            return None;
        }
        Some((span.first + index, (address - span.slot(index)).saturating_sub(span.header())))
    }

    /// The span of an object, and its number there.
    pub(crate) fn span_of(&self, object: u32) -> Option<(&Span, u32)> {
        let mut at = *self.coarse.get((object >> 8) as usize)? as usize;
        while self.all.get(at + 1).is_some_and(|next| next.first <= object) {
            at += 1;
        }
        let span = self.all.get(at)?;
        let index = object.checked_sub(span.first)?;
        (index < span.count).then_some((span, index))
    }

    /// Where what the program sees of an object begins, and how long it is.
    pub(crate) fn extent(&self, object: u32) -> Option<(u64, u64)> {
        let (span, index) = self.span_of(object)?;
        Some((span.slot(index) + span.header(), span.element - span.header()))
    }

    pub(crate) fn is_allocated(&self, span: &Span, index: u32) -> bool {
        index < span.free_index || self.was_swept_over(span, index)
    }

    /// Whether an object was there when its span was swept the last time.
    pub(crate) fn was_swept_over(&self, span: &Span, index: u32) -> bool {
        self.bits.get((span.bits + index / 8) as usize).is_some_and(|byte| byte >> (index % 8) & 1 != 0)
    }

    /// The numbers of a span's allocated objects, in the span.
    pub(crate) fn allocated<'s>(&'s self, span: &'s Span) -> impl Iterator<Item = u32> + 's {
        (0..span.count).filter(move |index| self.is_allocated(span, *index))
    }
}

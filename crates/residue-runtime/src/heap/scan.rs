//! The pointers in objects, as precisely as the garbage collector knows them.
//!
//! Up to Go 1.21 arenas have a bit for each word (`heapArena.bitmap`, `noMorePtrs`; `runtime/mbitmap.go`). Since 1.22 small
//! objects have theirs at the end of their span, others a type in front of them, and the only object of a span has its type
//! in the span's record (`runtime/mbitmap.go`, `typePointersOfUnchecked`). Where none of these can be read, every word that
//! looks like a pointer is taken for one, and what was found so is called conservative.

use std::rc::Rc;

use residue_target::{Memory, MemoryExt as _, Target};

use super::offsets::Offsets;
use super::rtypes::Types;
use super::spans::{Marked, PAGE, Span, Spans};
use crate::offsets::word;

/// Bytes of objects that are looked at at once.
const WINDOW: u64 = 1 << 20;
pub(crate) const ARENA_BYTES: u64 = 64 << 20;

/// Where an object's pointers are.
#[derive(Clone, Debug)]
pub(crate) enum Pointers {
    /// Nowhere.
    None,
    /// A bit for each word of the span, counted from its start.
    Bits(Rc<Vec<u64>>),
    /// So in each value of a type, again and again: the mask, its words, the words of a value.
    Repeated(Rc<[u64]>, u64, u64),
    /// Anywhere.
    Anywhere,
}

/// A pointer that was met.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Met {
    /// Which word of the object.
    pub(crate) word: u64,
    pub(crate) value: u64,
    /// The word before.
    pub(crate) before: u64,
    /// The runtime says that it is a pointer.
    pub(crate) precise: bool,
}

/// What is met in an object.
pub(crate) trait Visitor {
    /// An object begins: its first word and type, where it has one in front.
    fn object(&mut self, span: &Span, index: u32, first: u64, kind: Option<u64>);
    /// A word that is a pointer and not nil.
    fn pointer(&mut self, span: &Span, met: Met);
}

/// Reads objects.
pub(crate) struct Scanner<'a, 't> {
    pub(crate) target: &'a Target,
    pub(crate) offsets: &'a Offsets,
    pub(crate) types: &'t mut Types<'a>,
    /// `mheap_.arenas[0]`.
    pub(crate) arenas: u64,
    buffer: Vec<u8>,
    /// What `buffer` holds.
    window: (u64, u64),
    /// Objects whose pointers aren't known.
    pub(crate) conservative: usize,
    /// Objects that couldn't be read whole.
    pub(crate) unreadable: usize,
}

impl<'a, 't> Scanner<'a, 't> {
    pub(crate) fn new(target: &'a Target, offsets: &'a Offsets, types: &'t mut Types<'a>, heap: u64) -> Self {
        let arenas = heap.checked_add(offsets.mheap_arenas).and_then(|at| target.word(at)).unwrap_or(0);
        Self { target, offsets, types, arenas, buffer: Vec::new(), window: (0, 0), conservative: 0, unreadable: 0 }
    }

    /// Shows all allocated objects of a span that have pointers. What lies between it and `ahead` is wanted next, and read
    /// with it.
    pub(crate) fn span(&mut self, spans: &Spans, span: &Span, ahead: u64, visitor: &mut dyn Visitor) {
        if span.marked == Marked::NoScan {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut window = self.window;
        if window.0 > span.start || window.1 < span.start + span.bytes.min(WINDOW) {
            self.fill(span.start, ahead, &mut buffer, &mut window);
        }
        let bits = match span.marked {
            // They lie in what has been read already.
            Marked::InSpan(at) if (window.0..window.1).contains(&at) => {
                let start = (at - window.0) as usize;
                let bytes = buffer.get(start..start + (span.bytes / 64) as usize);
                bytes.map(|bytes| Rc::new(bytes.chunks_exact(8).map(|bytes| word(bytes, 0)).collect()))
            }
            _ => self.bits(spans, span),
        };
        for index in spans.allocated(span) {
            let (slot, end) = (span.slot(index), span.slot(index) + span.element);
            let mut at = slot;
            // A small object lies in one window, with others; a large one in many.
            while at < end {
                if at < window.0 || at + 8 > window.1 || (end <= at + WINDOW && end > window.1) {
                    self.fill(at, span.start + span.bytes, &mut buffer, &mut window);
                    if buffer.is_empty() {
                        self.unreadable += 1;
                        break;
                    }
                }
                let until = end.min(window.1);
                let bytes = &buffer[(at - window.0) as usize..(until - window.0) as usize];
                let header = span.header();
                let kind = if span.marked == Marked::Header { Some(word(bytes, 0)) } else { None };
                if at == slot {
                    let kind = match span.marked {
                        Marked::Large(kind) => Some(kind).filter(|kind| *kind != 0),
                        _ => kind,
                    };
                    visitor.object(span, index, word(bytes, header as usize), kind);
                }
                let kind = if at == slot { kind } else { None };
                let pointers = self.pointers(span, kind, bits.as_ref());
                let first = (at - slot) / 8;
                each(&pointers, (slot - span.start) / 8, header / 8, first, bytes, &mut |word_index, value, before| {
                    let precise = !matches!(pointers, Pointers::Anywhere);
                    visitor.pointer(span, Met { word: word_index, value, before, precise });
                });
                at = until;
            }
        }
        (self.buffer, self.window) = (buffer, window);
    }

    /// Reads from `at` on, up to `end`, as much as a window holds.
    fn fill(&self, at: u64, end: u64, buffer: &mut Vec<u8>, window: &mut (u64, u64)) {
        buffer.resize(end.saturating_sub(at).min(WINDOW) as usize, 0);
        let read = self.target.read(at, buffer);
        buffer.truncate(read / 8 * 8);
        *window = (at, at + buffer.len() as u64);
    }

    /// Shows one object.
    pub(crate) fn one(&mut self, spans: &Spans, span: &Span, index: u32, visitor: &mut dyn Visitor) {
        let mut alone = span.clone();
        // As if it were the only one: its span begins before it, so bits stay where they are.
        let Some(bits) = (span.marked != Marked::NoScan).then(|| self.bits(spans, span)) else { return };
        let slot = span.slot(index);
        let mut at = slot;
        let end = slot + span.element;
        alone.count = span.count;
        let mut pointers = None;
        while at < end {
            let bytes = self.target.read_up_to(at, (end - at).min(WINDOW) as usize);
            if bytes.len() < 8 {
                self.unreadable += 1;
                return;
            }
            let header = span.header();
            if at == slot {
                let kind = (span.marked == Marked::Header).then(|| word(&bytes, 0));
                pointers = Some(self.pointers(span, kind, bits.as_ref()));
                visitor.object(span, index, word(&bytes, header as usize), kind);
            }
            let Some(pointers) = &pointers else { return };
            let precise = !matches!(pointers, Pointers::Anywhere);
            each(pointers, (slot - span.start) / 8, header / 8, (at - slot) / 8, &bytes, &mut |word, value, before| {
                visitor.pointer(&alone, Met { word, value, before, precise });
            });
            at += bytes.len() as u64 / 8 * 8;
        }
    }

    /// The bits of a span, a word of it each, where it has some.
    fn bits(&self, spans: &Spans, span: &Span) -> Option<Rc<Vec<u64>>> {
        match span.marked {
            Marked::InSpan(at) => {
                let bytes = self.target.read_up_to(at, (span.bytes / 64) as usize);
                let bits: Vec<u64> = bytes.chunks_exact(8).map(|bytes| word(bytes, 0)).collect();
                (bits.len() as u64 == span.bytes / 512).then(|| Rc::new(bits))
            }
            Marked::Arena => self.arena_bits(spans, span).map(Rc::new),
            _ => None,
        }
    }

    /// The bits of the arenas that a span lies in. What follows a mark that there are no more pointers in an object is left
    /// over from others.
    fn arena_bits(&self, spans: &Spans, span: &Span) -> Option<Vec<u64>> {
        let mut bits = Vec::new();
        let mut last = Vec::new();
        let mut at = span.start;
        let end = span.start + span.bytes;
        while at < end {
            let [(bitmap, _), (more, _)] = arena_bits_of(self.target, self.offsets, self.arenas, at)?;
            let within = at % ARENA_BYTES;
            let len = (ARENA_BYTES - within).min(end - at);
            let bytes = self.target.read_up_to(bitmap.checked_add(within / 64)?, (len / 64) as usize);
            bits.extend(bytes.chunks_exact(8).map(|bytes| word(bytes, 0)));
            let flags = self.target.read_up_to(more.checked_add(within / 4096)?, (len / 4096) as usize);
            last.extend_from_slice(&flags);
            at += len;
        }
        if bits.len() as u64 != span.bytes / 512 || last.len() as u64 != span.bytes / (PAGE / 2) {
            return None;
        }
        for index in spans.allocated(span) {
            let from = u64::from(index) * span.element / 8;
            let until = from + span.element / 8;
            let mut group = from / 64;
            while (group + 1) * 64 < until {
                if last[(group / 8) as usize] >> (group % 8) & 1 != 0 {
                    clear(&mut bits, (group + 1) * 64, until);
                    break;
                }
                group += 1;
            }
        }
        Some(bits)
    }

    fn pointers(&mut self, span: &Span, kind: Option<u64>, bits: Option<&Rc<Vec<u64>>>) -> Pointers {
        let kind = match (span.marked, kind) {
            (Marked::InSpan(_) | Marked::Arena, _) => match bits {
                Some(bits) => return Pointers::Bits(Rc::clone(bits)),
                None => None,
            },
            (Marked::Large(0) | Marked::NoScan, _) => return Pointers::None,
            (Marked::Large(kind), _) => Some(kind),
            (Marked::Header, kind) => kind,
            (Marked::Unknown, _) => None,
        };
        let kind = kind.and_then(|kind| self.types.get(kind));
        if let Some(kind) = kind
            && kind.size > 0
            && let Some(mask) = self.types.mask(&kind)
        {
            if kind.pointer_bytes == 0 {
                return Pointers::None;
            }
            return Pointers::Repeated(mask, kind.pointer_bytes / 8, kind.size / 8);
        }
        self.conservative += 1;
        Pointers::Anywhere
    }
}

/// Where the bits of the arena are that an address lies in, and how many bytes: those for words, and those that say that no
/// more pointers follow.
pub(crate) fn arena_bits_of(
    memory: &dyn Memory,
    offsets: &Offsets,
    arenas: u64,
    address: u64,
) -> Option<[(u64, u64); 2]> {
    let (bitmap, more) = offsets.arena_bitmap?;
    let number = address.wrapping_add(offsets.arena_base) / ARENA_BYTES;
    let arena = memory.word(arenas.checked_add(number.checked_mul(8)?)?)?;
    Some([(arena.checked_add(bitmap)?, ARENA_BYTES / 64), (arena.checked_add(more)?, ARENA_BYTES / 4096)])
}

fn clear(bits: &mut [u64], from: u64, until: u64) {
    for bit in from..until {
        if let Some(word) = bits.get_mut((bit / 64) as usize) {
            *word &= !(1 << (bit % 64));
        }
    }
}

/// Calls `f` with the number, value and predecessor of each pointer among the words of an object that begins at word `base`
/// of its span and has `header` words in front. `bytes` are those from word `first` of the object on, header included.
fn each(pointers: &Pointers, base: u64, header: u64, first: u64, bytes: &[u8], f: &mut dyn FnMut(u64, u64, u64)) {
    let count = bytes.len() as u64 / 8;
    let mut one = |at: u64| {
        // `at` counts from the slot; the header isn't seen.
        let offset = ((at - first) * 8) as usize;
        let value = word(bytes, offset);
        if value != 0 {
            let before = if at > first { word(bytes, offset - 8) } else { 0 };
            f(at - header, value, before);
        }
    };
    match pointers {
        Pointers::None => {}
        Pointers::Anywhere => (first.max(header)..first + count).for_each(one),
        Pointers::Bits(bits) => {
            let (from, until) = (base + first, base + first + count);
            let mut at = from;
            while at < until {
                let group = bits.get((at / 64) as usize).copied().unwrap_or(0);
                let mut rest = group >> (at % 64);
                let stop = until.min((at / 64 + 1) * 64);
                if stop - at < 64 {
                    rest &= (1 << (stop - at)) - 1;
                }
                while rest != 0 {
                    one(at - base + u64::from(rest.trailing_zeros()));
                    rest &= rest - 1;
                }
                at = stop;
            }
        }
        Pointers::Repeated(mask, words, size) => {
            if *size == 0 {
                return;
            }
            // The first value of which something lies in the window.
            let start = first.saturating_sub(header) / size * size;
            let mut value = start;
            while value + header < first + count {
                for (index, group) in mask.iter().enumerate() {
                    let mut rest = *group;
                    while rest != 0 {
                        let within = index as u64 * 64 + u64::from(rest.trailing_zeros());
                        rest &= rest - 1;
                        let at = header + value + within;
                        if within < *words && at >= first.max(header) && at < first + count {
                            one(at);
                        }
                    }
                }
                value += size;
            }
        }
    }
}

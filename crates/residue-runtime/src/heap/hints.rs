//! Words that have the address of an object and keep nothing: where the collector doesn't look, or looks and finds it dead.
//!
//! They say what had the object before, not what has it. A word of a stack is as old as the call that wrote it, one in a free
//! slot as the object that was there; other objects with the same address, before or after, leave the same words.

use residue_target::{Memory as _, MemoryExt as _};
use rustc_hash::FxHashSet;

use super::Heap;
use super::roots::From;
use super::spans::{Marked, Span};
use crate::gather::gathered;
use crate::offsets::word;
use crate::read::KeptStack;
use crate::stack::{Copied, is_return};

/// Hints of one kind that are told.
const LISTED_MAX: usize = 8;
/// Bytes below the stack pointers that are read, of one goroutine and of all.
const DEAD_BYTES_MAX: u64 = 1 << 20;
const DEAD_BYTES_TOTAL: u64 = 64 << 20;
/// Stacks whose dead part is read at once.
const BATCH: usize = 256;
/// Bytes of spans with free slots that are read.
const FREE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of a span that are read at once.
const WINDOW: u64 = 1 << 20;
/// Bytes below a word, and return addresses there, that are looked at for the frame it was in.
const FRAME_BYTES_MAX: u64 = 64 << 10;
const RETURNS_MAX: usize = 64;
const WORD: u64 = 8;

/// Where the address of an object is left.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// At most so many of each kind, nearest to the stack pointer or lowest in memory first.
    pub found: Vec<Hint>,
    /// Others that were met.
    pub more: usize,
    /// What was not looked at, because it would have been too much.
    pub left_out: Vec<&'static str>,
}

/// A word that keeps nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Where it is.
    pub place: HintPlace,
    /// How far into the object it leads.
    pub into: u64,
}

/// Where such a word is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HintPlace {
    /// Below a goroutine's stack pointer.
    DeadStack {
        /// The goroutine.
        goroutine: u64,
        /// How many bytes below.
        below: u64,
        /// The function whose frame was there, as stale return addresses tell; and whether its frame reaches there.
        function: Option<(String, bool)>,
    },
    /// In a frame of a goroutine, in a word that the collector takes for none or a dead one.
    DeadSlot {
        /// The goroutine.
        goroutine: u64,
        /// The frame's function.
        function: Option<String>,
        /// How many bytes above the stack pointer of that frame; of the goroutine where the frame isn't known.
        offset: u64,
    },
    /// In a place of the heap that is free.
    FreeSlot {
        /// Where that begins.
        address: u64,
        /// Bytes of an object there.
        bytes: u64,
        /// Where in it the word is.
        offset: u64,
        /// The type of what was there last, where that is noted.
        kind: Option<String>,
    },
    /// In another object that no root keeps.
    Unheld {
        /// Where that object is.
        address: u64,
        /// Its bytes.
        bytes: u64,
        /// Its type.
        kind: Option<String>,
        /// The field.
        field: String,
    },
}

impl HintPlace {
    /// A key for what kind of place it is.
    pub fn key(&self) -> &'static str {
        match self {
            Self::DeadStack { .. } => "dead_stack",
            Self::DeadSlot { .. } => "dead_slot",
            Self::FreeSlot { .. } => "free_slot",
            Self::Unheld { .. } => "unheld_object",
        }
    }
}

/// What is looked for, and what was found of one kind.
struct Looked {
    start: u64,
    bytes: u64,
    found: Vec<Hint>,
    more: usize,
}

impl Looked {
    /// How far into the object a word leads, if it does.
    fn how_far(&self, value: u64) -> Option<u64> {
        value.checked_sub(self.start).filter(|into| *into < self.bytes)
    }

    fn add(&mut self, into: u64, place: impl FnOnce() -> HintPlace) {
        if self.found.len() < LISTED_MAX {
            self.found.push(Hint { place: place(), into });
        } else {
            self.more += 1;
        }
    }
}

impl Heap<'_> {
    /// Where the address of an object is left in words that keep nothing.
    pub(super) fn hints(&mut self, object: u32) -> Hints {
        let mut hints = Hints::default();
        let Some((start, bytes)) = self.spans.extent(object) else { return hints };
        let looked = || Looked { start, bytes: bytes.max(1), found: Vec::new(), more: 0 };
        let mut parts = [looked(), looked(), looked(), looked()];
        let [slots, dead, unheld, free] = &mut parts;
        self.dead_slots(object, slots);
        if !self.dead_stacks(dead) {
            hints.left_out.push("some of what lies below stack pointers");
        }
        self.unheld_sources(object, unheld);
        if !self.free_slots(free) {
            hints.left_out.push("some spans with free slots");
        }
        for part in parts {
            hints.found.extend(part.found);
            hints.more += part.more;
        }
        hints
    }

    /// Words of frames that are no roots.
    fn dead_slots(&self, object: u32, looked: &mut Looked) {
        let of_frames = self.roots.iter().filter(|root| root.object == object).filter_map(|root| match root.from {
            From::Frame { at, .. } => Some(at),
            _ => None,
        });
        let roots: FxHashSet<u64> = of_frames.collect();
        for kept in &self.stacks {
            for (index, bytes) in kept.stack.bytes.chunks_exact(WORD as usize).enumerate() {
                let Some(into) = looked.how_far(word(bytes, 0)) else { continue };
                let at = kept.stack.address + WORD * index as u64;
                if roots.contains(&at) {
                    continue;
                }
                let frame = kept.frames.iter().find(|frame| (frame.sp..frame.end).contains(&at));
                looked.add(into, || HintPlace::DeadSlot {
                    goroutine: kept.id,
                    function: frame.map(|frame| frame.place.name.to_string()),
                    offset: at - frame.map_or(kept.stack.address, |frame| frame.sp),
                });
            }
        }
    }

    /// Words below stack pointers; whether all were looked at.
    fn dead_stacks(&self, looked: &mut Looked) -> bool {
        let mut left = DEAD_BYTES_TOTAL;
        let mut all = true;
        let mut ranges: Vec<(&KeptStack, u64, usize)> = Vec::new();
        // Where no frame is known, what is copied isn't what lies above the stack pointer.
        for kept in self.stacks.iter().filter(|kept| !kept.frames.is_empty()) {
            // A stack pointer that isn't on its stack is none.
            let Some(below) = kept.stack.address.checked_sub(kept.low) else { continue };
            let read = below.min(DEAD_BYTES_MAX).min(left) / WORD * WORD;
            all &= read == below / WORD * WORD;
            left -= read;
            ranges.push((kept, kept.stack.address - read, read as usize));
        }
        for batch in ranges.chunks(BATCH) {
            let wanted: Vec<(u64, usize)> = batch.iter().map(|(_, address, len)| (*address, *len)).collect();
            for ((kept, address, _), bytes) in batch.iter().zip(gathered(self.target, &wanted)) {
                let part = Copied { address: *address, bytes };
                // What is nearest to the stack pointer first.
                for (index, bytes) in part.bytes.chunks_exact(WORD as usize).enumerate().rev() {
                    let Some(into) = looked.how_far(word(bytes, 0)) else { continue };
                    let at = address + WORD * index as u64;
                    looked.add(into, || HintPlace::DeadStack {
                        goroutine: kept.id,
                        below: kept.stack.address - at,
                        function: self.frame_before(&part, at),
                    });
                }
            }
        }
        all
    }

    /// The function in whose frame a word was: the address that a call of it returns to lies right below its frame. Where no
    /// frame is found that reaches up to the word, the function of the nearest such address.
    fn frame_before(&self, part: &Copied, at: u64) -> Option<(String, bool)> {
        let (slide, binary) = (self.target.slide, self.binary);
        let lowest = at.saturating_sub(FRAME_BYTES_MAX).max(part.address);
        let mut nearest = None;
        let places = (1..=(at - lowest) / WORD).map(|words| at - words * WORD);
        let returns = places.filter_map(|place| Some((place, part.word(place)?)));
        let returns = returns.filter(|(_, value)| is_return(binary, slide, *value)).take(RETURNS_MAX);
        for (place, value) in returns {
            let pc = (value - 1).wrapping_sub(slide);
            let Some(function) = binary.find(pc) else { continue };
            // Where the machine keeps return addresses in a register, they lie elsewhere in the frame of what was called.
            let reaches = binary.elf.arch == residue_gobin::Arch::Amd64
                && function.sp_delta(pc).is_some_and(|bytes| at - place <= bytes);
            if reaches {
                return Some((function.name().into_owned(), true));
            }
            nearest.get_or_insert_with(|| (function.name().into_owned(), false));
        }
        nearest
    }

    /// Other objects that lead to it and that no root keeps either.
    fn unheld_sources(&mut self, object: u32, looked: &mut Looked) {
        let sources = self.graph.sources(object, LISTED_MAX * 4);
        for source in sources.into_iter().filter(|source| *source != object) {
            if self.is_held(source) {
                continue;
            }
            let at = self.word_to(source, object).unwrap_or(0);
            let field = self.field(source, at);
            let (address, bytes) = self.spans.extent(source).unwrap_or_default();
            let kind = self.object_name(source);
            let leads = address.checked_add(at).and_then(|at| self.target.word(at));
            let into = leads.and_then(|value| looked.how_far(value)).unwrap_or(0);
            looked.add(into, || HintPlace::Unheld { address, bytes, kind, field });
        }
    }

    /// Words in free slots of spans whose objects have pointers; whether all were looked at.
    fn free_slots(&self, looked: &mut Looked) -> bool {
        let mut left = FREE_BYTES_MAX;
        let mut buffer = Vec::new();
        let mut all = true;
        for span in self.spans.all.iter().filter(|span| span.marked != Marked::NoScan) {
            if self.spans.allocated(span).count() as u32 == span.count {
                continue;
            }
            if span.bytes > left {
                all = false;
                continue;
            }
            left -= span.bytes;
            let mut at = span.start;
            while at < span.start + span.bytes {
                buffer.resize((span.start + span.bytes - at).min(WINDOW) as usize, 0);
                let read = self.target.read(at, &mut buffer) / WORD as usize * WORD as usize;
                for (index, bytes) in buffer[..read].chunks_exact(WORD as usize).enumerate() {
                    let Some(into) = looked.how_far(word(bytes, 0)) else { continue };
                    self.free_slot(span, at + WORD * index as u64, into, looked);
                }
                if read == 0 {
                    break;
                }
                at += read as u64;
            }
        }
        all
    }

    fn free_slot(&self, span: &Span, at: u64, into: u64, looked: &mut Looked) {
        let Some(index) = span.index(at).filter(|index| !self.spans.is_allocated(span, *index)) else { return };
        let slot = span.slot(index);
        looked.add(into, || {
            // The word in front stays until the slot is used again.
            let kind = (span.marked == Marked::Header).then(|| self.target.word(slot)).flatten();
            let kind = kind.filter(|kind| self.types.tables().is_description(*kind));
            HintPlace::FreeSlot {
                address: slot + span.header(),
                bytes: span.element - span.header(),
                offset: at.saturating_sub(slot + span.header()),
                kind: kind.and_then(|kind| self.types.name(kind)),
            }
        });
    }
}

//! Deferred calls and panics of a goroutine: `_defer` records, open-coded calls, `_panic` records.
//!
//! `runtime/panic.go` and `runtime/runtime2.go`. A record names its frame by the stack pointer; open-coded calls have no
//! record, only bits and slots in their frame. Records of a loop over a function hang on a list of their own.

use std::collections::BTreeSet;

use residue_target::{Memory as _, MemoryExt as _};

use crate::model::{DeferKind, Deferred, Panic, PanicState, Phase};
use crate::offsets::{Offsets, flag, word};
use crate::stack::{Copied, Physical, not_pending, pending};
use crate::types;
use crate::words::Words;

/// Records of one goroutine that are walked.
const RECORDS_MAX: usize = 10_000;
/// Words of a closure that are looked at. How many there are isn't recorded.
pub(crate) const WORDS: usize = 4;
/// Addresses below are no records: the runtime ends the list of a loop over a function with 1.
pub(crate) const RECORD_ADDRESS_MIN: u64 = 4096;
/// Functions of the runtime between a panic and the deferred call that it makes.
const PASS_ON: [&str; 2] = ["runtime.runOpenDeferFrame", "runtime.deferCallSave"];
const STRING_TYPE: &str = "string";

/// Reads what a goroutine has deferred.
pub(crate) struct Reader<'a> {
    pub(crate) words: Words<'a>,
    pub(crate) offsets: &'a Offsets,
}

/// A goroutine's stack as far as it matters here.
pub(crate) struct Frames<'s> {
    pub(crate) all: &'s [Physical],
    pub(crate) stack: &'s Copied,
    pub(crate) bounds: (u64, u64),
}

/// A loop over a function, whose records hang on a list of their own.
#[derive(Clone, Copy)]
struct Range {
    frame: Option<usize>,
}

impl Reader<'_> {
    /// What is deferred and not called yet, first to be called first; and why the list isn't there to its end.
    pub(crate) fn deferred(&self, first: u64, frames: &Frames<'_>) -> (Vec<Deferred>, Option<&'static str>) {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        let cut = self.records(first, frames, &mut seen, &mut found, None);
        for (index, frame) in frames.all.iter().enumerate() {
            for (_, slot) in pending(frame, frames.stack) {
                let closure = frames.stack.word(slot).unwrap_or(0);
                found.push(self.call(DeferKind::OpenCoded, Some(index), closure, frames));
            }
        }
        // Of one frame there are records or open-coded calls, never both; records are in order.
        found.sort_by_key(|deferred| deferred.frame.unwrap_or(usize::MAX));
        (found, cut)
    }

    fn records(
        &self,
        first: u64,
        frames: &Frames<'_>,
        seen: &mut BTreeSet<u64>,
        found: &mut Vec<Deferred>,
        of_range: Option<Range>,
    ) -> Option<&'static str> {
        let layout = &self.offsets.record;
        let mut at = first;
        while at >= RECORD_ADDRESS_MIN {
            if seen.len() >= RECORDS_MAX {
                return Some("there are too many");
            }
            if !seen.insert(at) {
                return Some("it turns in circles");
            }
            let Some(record) = self.bytes(at, layout.size, frames.stack) else { return Some("a record can't be read") };
            let sp = word(&record, layout.sp);
            // Those of a loop over a function belong to the frame of the record that their list hangs on.
            let own = frames.all.iter().position(|frame| frame.sp == sp);
            let frame = of_range.map_or(own, |range| range.frame);
            let head = layout.head.map_or(0, |head| word(&record, head));
            if of_range.is_none() && flag(&record, layout.range_function) && head >= RECORD_ADDRESS_MIN {
                // The head of the list is kept in a variable of its own.
                let cut = self
                    .word(head, frames.stack)
                    .and_then(|head| self.records(head, frames, seen, found, Some(Range { frame })));
                if cut.is_some() {
                    return cut;
                }
            } else if !flag(&record, layout.open_coded) {
                let kind = match (of_range.is_some(), flag(&record, Some(layout.heap))) {
                    (true, _) => DeferKind::RangeFunc,
                    (false, true) => DeferKind::HeapRecord,
                    (false, false) => DeferKind::StackRecord,
                };
                let mut call = self.call(kind, frame, word(&record, layout.function), frames);
                call.started = flag(&record, layout.started);
                found.push(call);
            }
            at = word(&record, layout.link);
        }
        None
    }

    fn call(&self, kind: DeferKind, frame: Option<usize>, closure: u64, frames: &Frames<'_>) -> Deferred {
        let bytes = self.bytes(closure, 8 * (WORDS + 1), frames.stack);
        // The closure may be the last thing before memory ends.
        let bytes = bytes.or_else(|| self.bytes(closure, 8, frames.stack)).unwrap_or_default();
        let mut words = bytes.chunks_exact(8).map(|bytes| word(bytes, 0));
        let function = words.next().filter(|function| *function != 0);
        // Another closure may begin behind it, or its frame end.
        let end = frame.map(|index| &frames.all[index]).filter(|frame| (frame.sp..frame.varp).contains(&closure));
        let room = end.map_or(WORDS, |frame| ((frame.varp - closure) / 8).saturating_sub(1) as usize);
        let words: Vec<u64> = words.take_while(|word| !self.words.is_function(*word)).take(room).collect();
        // A function that captures nothing has its closure among the constants, beside those of others.
        let address = closure.wrapping_sub(self.words.slide);
        let captures = function.is_some() && !self.words.binary.is_mapped(address);
        let words = if captures { self.words.describe(&words, frames.bounds) } else { Vec::new() };
        Deferred { kind, frame, function, closure, started: false, words }
    }

    /// The panics a goroutine is in, the last one first.
    pub(crate) fn panics(&self, first: u64, frames: &Frames<'_>) -> Vec<Panic> {
        let layout = &self.offsets.panic_fields;
        let mut seen = BTreeSet::new();
        let mut panics = Vec::new();
        let mut at = first;
        while at >= RECORD_ADDRESS_MIN && seen.len() < RECORDS_MAX && seen.insert(at) {
            let Some(record) = self.bytes(at, layout.size, frames.stack) else { break };
            let later = panics.iter().any(|panic: &Panic| panic.state != PanicState::Goexit);
            let state = if flag(&record, Some(layout.goexit)) {
                PanicState::Goexit
            } else if flag(&record, Some(layout.recovered)) {
                PanicState::Recovered
            } else if flag(&record, layout.aborted) || later {
                PanicState::Superseded
            } else {
                PanicState::Active
            };
            let (kind, data) = (word(&record, layout.value), word(&record, layout.value + 8));
            let value_type = types::name(self.words.binary, self.words.slide, self.offsets, kind);
            let is_string = value_type.as_deref() == Some(STRING_TYPE);
            let text = is_string.then(|| self.bytes(data, 16, frames.stack)).flatten();
            let text = text.and_then(|header| self.words.text(word(&header, 0), word(&header, 8)));
            panics.push(Panic { state, value_type, text });
            at = word(&record, layout.link);
        }
        panics
    }

    /// What the deferred calls are about to do, and the frame of the one that is in progress.
    pub(crate) fn phase(&self, panics: &[Panic], frames: &Frames<'_>) -> (Phase, Option<usize>) {
        for (index, frame) in frames.all.iter().enumerate() {
            let phase = match &*frame.place.name {
                "runtime.deferreturn" => Some(Phase::Returning),
                "runtime.Goexit" => Some(Phase::Exiting),
                "runtime.gopanic" if panics.first().is_some_and(|panic| panic.state == PanicState::Recovered) => {
                    Some(Phase::Recovered)
                }
                "runtime.gopanic" => Some(Phase::Panicking),
                _ => None,
            };
            if let Some(phase) = phase {
                let passes_on = |frame: &Physical| PASS_ON.contains(&&*frame.place.name);
                return (phase, frames.all[..index].iter().rposition(|frame| !passes_on(frame)));
            }
            let callee = index.checked_sub(1);
            // Open-coded calls are made by the function itself: the bit is gone, the closure still in its slot.
            if let Some(callee) = callee {
                let entry = frames.all[callee].place.entry;
                let calls = |closure: u64| closure != 0 && self.word(closure, frames.stack) == Some(entry);
                if not_pending(frame, frames.stack).any(calls) {
                    return (Phase::Returning, Some(callee));
                }
            }
        }
        (Phase::Running, None)
    }

    fn bytes(&self, address: u64, len: usize, stack: &Copied) -> Option<Vec<u8>> {
        if address < RECORD_ADDRESS_MIN || !address.is_multiple_of(8) {
            return None;
        }
        if let Some(bytes) = stack.slice(address, len) {
            return Some(bytes.to_vec());
        }
        Some(self.words.memory.read_up_to(address, len)).filter(|bytes| bytes.len() == len)
    }

    fn word(&self, address: u64, stack: &Copied) -> Option<u64> {
        stack.word(address).or_else(|| self.words.memory.word(address))
    }
}

//! What the garbage collector begins at: variables, stacks, and what is to be called when objects die.
//!
//! Variables have a bit for each word that is a pointer (`moduledata.gcdatamask`, `gcbssmask`). Frames have maps, one for
//! each call (`FUNCDATA_LocalsPointerMaps`, `FUNCDATA_ArgsPointerMaps`, `PCDATA_StackMapIndex`; `runtime/stkframe.go`), and
//! variables whose address is taken live as long as something leads to them (`FUNCDATA_StackObjects`,
//! `runtime/mgcstack.go`). A frame that was interrupted at any instruction has no map that holds there: each of its words
//! that looks like a pointer is taken for one, as the collector does, and what was in registers, too.

use residue_gobin::{Binary, Function, Module};
use residue_target::{Memory as _, MemoryExt as _, Target};
use rustc_hash::FxHashSet;

use super::globals::Variables;
use super::spans::Spans;
use crate::offsets::word;
use crate::read::KeptStack;
use crate::stack::{Physical, scanned_at};

/// `FUNCDATA_ArgsPointerMaps`, `FUNCDATA_LocalsPointerMaps`, `FUNCDATA_StackObjects`.
const ARGUMENT_MAPS: u8 = 0;
const LOCAL_MAPS: u8 = 1;
const STACK_OBJECTS: u8 = 2;
/// Variables with addresses in one frame.
const OBJECTS_MAX: u64 = 10_000;
/// Records of deferred calls of one goroutine; addresses below are none.
const RECORDS_MAX: usize = 10_000;
const RECORD_ADDRESS_MIN: u64 = 4096;
/// Roots of one goroutine.
const STACK_ROOTS_MAX: usize = 1 << 20;

/// Something that keeps an object alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root {
    pub(crate) object: u32,
    pub(crate) from: From,
    /// The runtime says that it is a pointer.
    pub(crate) precise: bool,
}

/// Where a root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum From {
    /// A package variable, or a part of it, at this address.
    Variable(u64),
    /// A word of a frame: numbers of stack and frame, address.
    Frame { stack: u32, frame: u32, at: u64 },
    /// A register of a goroutine that was interrupted: numbers of stack and register.
    Register { stack: u32, number: u8 },
    /// A deferred call of a goroutine, by the address of its record.
    Deferred { stack: u32, at: u64 },
    /// The record of a goroutine; the list of all keeps it.
    Goroutine { stack: u32 },
    /// The function that is to be called when this object dies.
    FinalizerOf(u32),
    /// The function of a cleanup of this object.
    CleanupOf(u32),
    /// The handle of weak pointers to this object.
    WeakOf(u32),
    /// A finalizer that waits in the queue, by number.
    Queued(u32),
    /// A cleanup that waits in the queue, by number.
    QueuedCleanup(u32),
    /// What an object leads to is kept until its finalizer has run.
    Finalizable(u32),
}

/// Roots among the variables.
pub(crate) fn variables(
    target: &Target,
    binary: &Binary<'_>,
    variables: &Variables,
    spans: &Spans,
    f: &mut dyn FnMut(u64, u64, u64),
) -> Vec<Root> {
    let mut roots = Vec::new();
    let ranges = binary.modules().zip(&variables.pointers);
    let ranges = ranges
        .flat_map(|(module, ranges)| ranges.iter().zip(["gcdatamask", "gcbssmask"]).map(move |found| (module, found)));
    for (module, (range, mask)) in ranges {
        let mask = mask_of(target, binary, module, mask, range.bytes.len());
        for (index, bytes) in range.bytes.chunks_exact(8).enumerate() {
            let precise =
                mask.as_ref().is_some_and(|mask| mask.get(index / 8).is_some_and(|bits| bits >> (index % 8) & 1 != 0));
            if mask.is_some() && !precise {
                continue;
            }
            let (at, value) = (range.start + 8 * index as u64, word(bytes, 0));
            if value != 0
                && let Some((object, _)) = spans.object_at(value)
            {
                let before = index.checked_sub(1).map_or(0, |before| word(&range.bytes, 8 * before));
                f(at, value, before);
                roots.push(Root { object, from: From::Variable(at), precise });
            }
        }
    }
    roots
}

/// A bit for each word of a range of variables: `runtime.bitvector`, a count of 32 bits and an address. None where it can't be
/// read; empty where the runtime has made none, because it doesn't look into a plugin that could not be opened.
fn mask_of(target: &Target, binary: &Binary<'_>, module: &Module, field: &str, bytes: usize) -> Option<Vec<u8>> {
    let offset = binary.layouts.offset("runtime.moduledata", field)?;
    let at = module.address.wrapping_add(target.slide).checked_add(offset)?;
    let count = u64::from(target.word(at)? as u32).min(bytes as u64 / 8);
    let mask = target.read_up_to(target.word(at + 8)?, count.div_ceil(8) as usize);
    (count == 0 || !mask.is_empty()).then_some(mask)
}

/// Reads roots off stacks.
pub(crate) struct Stacks<'a> {
    pub(crate) target: &'a Target,
    pub(crate) binary: &'a Binary<'a>,
    pub(crate) spans: &'a Spans,
    pub(crate) goroutines: &'a crate::offsets::Offsets,
    /// Frames without a map.
    pub(crate) without_map: usize,
}

/// A variable whose address is taken.
struct Taken {
    start: u64,
    end: u64,
    frame: u32,
    /// Bytes of pointers, and the mask; none when it isn't known.
    mask: Option<Vec<u8>>,
    pointer_bytes: u64,
    seen: bool,
}

impl Stacks<'_> {
    /// The roots on a stack, innermost frame first.
    pub(crate) fn roots(&mut self, number: u32, kept: &KeptStack) -> Vec<Root> {
        let mut found = Found { roots: Vec::new(), seen: FxHashSet::default(), inner: Vec::new() };
        let mut taken = Vec::new();
        let mut guess = kept.interrupted;
        for (index, frame) in kept.frames.iter().enumerate() {
            let injected = matches!(&*frame.place.name, "runtime.asyncPreempt" | "runtime.debugCallV2");
            let from = (number, index as u32);
            if guess || injected {
                self.conservative(kept, frame, from, &mut found);
            } else {
                self.frame(kept, from, &mut found, &mut taken);
            }
            // The frame above was interrupted where there is no map.
            guess = injected;
        }
        if !kept.whole {
            // What lies beyond the frames that are known, or all where none is.
            let start = kept.frames.last().map_or(kept.stack.address, |frame| frame.end);
            let end = kept.stack.address.saturating_add(kept.stack.bytes.len() as u64);
            self.words(kept, (start, end), (number, kept.frames.len() as u32), &mut found);
        }
        for (register, value) in (0..).zip(kept.registers.iter().flat_map(|registers| &registers.values)) {
            match self.spans.object_at(*value) {
                Some((object, _)) => {
                    let from = From::Register { stack: number, number: register };
                    found.roots.push(Root { object, from, precise: false });
                }
                None => found.inner.push(*value),
            }
        }
        self.deferred(kept, number, &mut found);
        self.follow(kept, number, &mut found, &mut taken);
        found.roots
    }

    /// Records of deferred calls, whose list goes to and fro between stack and heap.
    fn deferred(&self, kept: &KeptStack, number: u32, found: &mut Found) {
        let (layout, at) = (&self.goroutines.record, self.goroutines.deferred as u64);
        let word_at = |address: u64| kept.stack.word(address).or_else(|| self.target.word(address));
        let mut record = kept.record.checked_add(at).and_then(|at| self.target.word(at)).unwrap_or(0);
        let mut seen = FxHashSet::default();
        while record >= RECORD_ADDRESS_MIN && seen.len() < RECORDS_MAX && seen.insert(record) {
            let field = |offset: usize| record.checked_add(offset as u64).and_then(word_at).unwrap_or(0);
            for value in [record, field(layout.function)] {
                match self.spans.object_at(value) {
                    Some((object, _)) => {
                        let from = From::Deferred { stack: number, at: record };
                        found.roots.push(Root { object, from, precise: true });
                    }
                    None => found.inner.push(value),
                }
            }
            record = field(layout.link);
        }
        // A panic's record lies on the stack.
        found.inner.extend(kept.record.checked_add(self.goroutines.panic as u64).and_then(|at| self.target.word(at)));
    }

    fn conservative(&self, kept: &KeptStack, frame: &Physical, from: (u32, u32), found: &mut Found) {
        let arguments = self.argument_bytes(frame);
        let ranges = [(frame.sp, frame.varp), (frame.end, frame.end.saturating_add(arguments))];
        for range in ranges {
            self.words(kept, range, from, found);
        }
    }

    /// Any word of a part of a stack may be a pointer.
    fn words(&self, kept: &KeptStack, (start, end): (u64, u64), from: (u32, u32), found: &mut Found) {
        let mut at = start;
        while at < end && found.roots.len() < STACK_ROOTS_MAX {
            let Some(value) = kept.stack.word(at) else { return };
            found.word(self.spans, from, at, value, false);
            at += 8;
        }
    }

    fn argument_bytes(&self, frame: &Physical) -> u64 {
        let function = self.binary.find(frame.pc.wrapping_sub(self.target.slide));
        function.and_then(|function| function.argument_bytes()).map_or(0, u64::from)
    }

    /// A frame with a map for the call it is in.
    fn frame(&mut self, kept: &KeptStack, from: (u32, u32), found: &mut Found, taken: &mut Vec<Taken>) {
        let frame = &kept.frames[from.1 as usize];
        let slide = self.target.slide;
        let Some(function) = self.binary.find(frame.pc.wrapping_sub(slide)) else { return };
        let Some(pc) = scanned_at(&kept.frames, from.1 as usize, &function, slide) else { return };
        // At the entry the first map holds.
        let index = if pc == function.entry {
            0
        } else {
            function.stack_map_index(pc).and_then(|index| u32::try_from(index).ok()).unwrap_or(0)
        };
        let map = |which: u8| {
            let data = self.binary.funcdata(&function, which)?;
            let (count, bits) = (number(data, 0)?, number(data, 4)?);
            let bytes = bits.div_ceil(8) as usize;
            let start = 8_usize.checked_add((index as usize).checked_mul(bytes)?)?;
            (index < count).then_some((bits, data.get(start..start.checked_add(bytes)?)?))
        };
        let locals = map(LOCAL_MAPS);
        if locals.is_none() && frame.varp.saturating_sub(frame.sp) > 8 {
            self.without_map += 1;
            self.conservative(kept, frame, from, found);
            return;
        }
        let first = |bits: u32| frame.varp.checked_sub(8 * u64::from(bits));
        let arguments = map(ARGUMENT_MAPS).filter(|_| function.argument_bytes().is_some_and(|bytes| bytes > 0));
        // Its own frame's place for arguments begins behind the return address.
        let argument_place = Some(frame.end.wrapping_add(self.argument_gap()));
        let of_locals = locals.and_then(|(bits, mask)| Some((first(bits)?, bits, mask)));
        let of_arguments = arguments.zip(argument_place).map(|((bits, mask), start)| (start, bits, mask));
        for (start, bits, mask) in of_locals.into_iter().chain(of_arguments) {
            for bit in (0..bits).filter(|bit| mask[(bit / 8) as usize] >> (bit % 8) & 1 != 0) {
                let at = start + 8 * u64::from(bit);
                if let Some(value) = kept.stack.word(at) {
                    found.word(self.spans, from, at, value, true);
                }
            }
        }
        if let Some(data) = self.binary.funcdata(&function, STACK_OBJECTS) {
            self.taken(&function, data, frame, from.1, taken);
        }
    }

    /// On machines that keep the return address in a register, it has a place below the arguments.
    fn argument_gap(&self) -> u64 {
        if self.binary.elf.arch == residue_gobin::Arch::Arm64 { 8 } else { 0 }
    }

    /// The variables of a frame whose address is taken: a count, then `runtime.stackObjectRecord`s.
    fn taken(&self, function: &Function<'_>, data: &[u8], frame: &Physical, index: u32, taken: &mut Vec<Taken>) {
        let layouts = &self.binary.layouts;
        let Some(layout) = layouts.get("runtime.stackObjectRecord") else { return };
        let field = |record: &[u8], name: &str| layout.offset(name).and_then(|at| number(record, at as usize));
        let count = word(data, 0).min(OBJECTS_MAX) as usize;
        let records = data.get(8..).unwrap_or_default().chunks_exact((layout.size as usize).max(4)).take(count);
        for record in records {
            let (Some(offset), Some(size)) = (field(record, "off"), field(record, "size")) else { return };
            let offset = i64::from(offset.cast_signed());
            let base = if offset >= 0 { frame.end.wrapping_add(self.argument_gap()) } else { frame.varp };
            let start = base.wrapping_add_signed(offset);
            let pointers = field(record, "ptrBytes").or_else(|| field(record, "_ptrdata")).unwrap_or(0).cast_signed();
            let mask = field(record, "gcdataoff").and_then(|at| {
                let bytes = self.binary.stack_mask(function, at)?;
                // A negative number of bytes says that there is a program for the mask.
                bytes.get(..u32::try_from(pointers).ok()?.div_ceil(64) as usize).map(<[u8]>::to_vec)
            });
            if start >= frame.sp {
                taken.push(Taken {
                    start,
                    end: start.saturating_add(u64::from(size)),
                    frame: index,
                    mask,
                    pointer_bytes: u64::from(pointers.unsigned_abs()),
                    seen: false,
                });
            }
        }
    }

    /// Follows pointers from frames to variables whose address is taken, and on.
    fn follow(&self, kept: &KeptStack, number: u32, found: &mut Found, taken: &mut [Taken]) {
        taken.sort_by_key(|taken| taken.start);
        while let Some(address) = found.inner.pop() {
            let after = taken.partition_point(|taken| taken.start <= address);
            let Some(object) = after.checked_sub(1).map(|index| &mut taken[index]) else { continue };
            if address >= object.end || std::mem::replace(&mut object.seen, true) {
                continue;
            }
            for bit in 0..object.pointer_bytes.min(object.end - object.start) / 8 {
                let precise = object.mask.is_some();
                let set = |mask: &Vec<u8>| mask.get((bit / 8) as usize).is_some_and(|bits| bits >> (bit % 8) & 1 != 0);
                if object.mask.as_ref().is_none_or(set) {
                    let at = object.start + 8 * bit;
                    if let Some(value) = kept.stack.word(at) {
                        found.word(self.spans, (number, object.frame), at, value, precise);
                    }
                }
            }
        }
    }
}

fn number(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// What was found on a stack.
struct Found {
    roots: Vec<Root>,
    seen: FxHashSet<u64>,
    /// Addresses that may be on the stack itself.
    inner: Vec<u64>,
}

impl Found {
    fn word(&mut self, spans: &Spans, (stack, frame): (u32, u32), at: u64, value: u64, precise: bool) {
        if value == 0 || self.roots.len() >= STACK_ROOTS_MAX || !self.seen.insert(at) {
            return;
        }
        match spans.object_at(value) {
            Some((object, _)) => self.roots.push(Root { object, from: From::Frame { stack, frame, at }, precise }),
            None => self.inner.push(value),
        }
    }
}

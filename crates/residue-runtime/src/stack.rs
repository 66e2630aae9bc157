//! Walking a goroutine's stack by the tables of its functions, as `runtime/traceback.go` does.
//!
//! Frame pointers aren't used: the tables say for each instruction how far the frame reaches, also for functions that were
//! interrupted anywhere.

use std::rc::Rc;

use residue_gobin::{Arch, Binary, Function};
use rustc_hash::FxHashMap;

use crate::offsets::word;

/// Frames of a goroutine that are walked, at most.
const FRAMES_MAX: usize = 10_000;
/// `FUNCDATA_OpenCodedDeferInfo`.
const OPEN_CODED: u8 = 4;
/// Calls that a function may defer open-coded.
const OPEN_CODED_MAX: u64 = 8;

/// A part of a stack, copied.
pub(crate) struct Copied {
    pub(crate) address: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Copied {
    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.address)?).ok()?;
        let bytes = self.bytes.get(at..at.checked_add(8)?)?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    }

    pub(crate) fn slice(&self, address: u64, len: usize) -> Option<&[u8]> {
        let at = usize::try_from(address.checked_sub(self.address)?).ok()?;
        self.bytes.get(at..at.checked_add(len)?)
    }
}

/// What is known of an instruction, in memory's addresses.
pub(crate) struct Place {
    pub(crate) entry: u64,
    pub(crate) name: Rc<str>,
    delta: Option<u64>,
    top: bool,
    writes_sp: bool,
    /// The runtime made it look as if the interrupted instruction had called it.
    injected: bool,
    pub(crate) open_coded: Option<Rc<OpenCoded>>,
}

impl Place {
    /// Whether its frame's size is known, as of all of Go's functions.
    pub(crate) fn is_sized(&self) -> bool {
        self.delta.is_some()
    }
}

/// Where a function keeps its open-coded deferred calls, below the end of its variables (`varp`).
pub(crate) struct OpenCoded {
    pub(crate) bits: u64,
    /// Of each call.
    pub(crate) slots: Vec<u64>,
}

/// A frame on the stack.
#[derive(Clone)]
pub(crate) struct Physical {
    /// The instruction to look up: within the call, not behind it.
    pub(crate) pc: u64,
    pub(crate) sp: u64,
    pub(crate) varp: u64,
    /// The stack pointer in its caller.
    pub(crate) end: u64,
    pub(crate) place: Rc<Place>,
}

/// A stack, walked.
pub(crate) struct Walked {
    pub(crate) frames: Vec<Physical>,
    /// Why it isn't there to its end.
    pub(crate) cut: Option<&'static str>,
}

/// Where a walk begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Start {
    pub(crate) pc: u64,
    pub(crate) sp: u64,
    pub(crate) lr: u64,
}

/// Knows the functions of a program, where they are in memory.
pub(crate) struct Walker<'a> {
    binary: &'a Binary<'a>,
    slide: u64,
    /// Open-coded calls have their slots listed one by one, not only the first.
    listed_slots: bool,
    places: FxHashMap<u64, Option<Rc<Place>>>,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(binary: &'a Binary<'a>, slide: u64, listed_slots: bool) -> Self {
        Self { binary, slide, listed_slots, places: FxHashMap::default() }
    }

    /// What is known of an instruction.
    pub(crate) fn place(&mut self, pc: u64) -> Option<Rc<Place>> {
        if let Some(known) = self.places.get(&pc) {
            return known.clone();
        }
        let place = self.look_up(pc).map(Rc::new);
        self.places.insert(pc, place.clone());
        place
    }

    fn look_up(&self, pc: u64) -> Option<Place> {
        let pc = pc.wrapping_sub(self.slide);
        let function = self.binary.find(pc)?;
        let name: Rc<str> = function.name().into();
        let open_coded = self.binary.funcdata(&function, OPEN_CODED).and_then(|data| self.open_coded(data));
        Some(Place {
            entry: function.entry.wrapping_add(self.slide),
            delta: function.sp_delta(pc),
            top: function.is_top_frame(),
            // It moves the stack pointer from one stack to another, but both can be walked across it.
            writes_sp: function.writes_sp() && &*name != "runtime.cgocallback",
            injected: matches!(&*name, "runtime.sigpanic" | "runtime.asyncPreempt" | "runtime.debugCallV2"),
            name,
            open_coded: open_coded.map(Rc::new),
        })
    }

    /// The offset of the bits, then that of the first slot; or, in older programs, the number of calls and the slot of each,
    /// the last one first.
    fn open_coded(&self, data: &[u8]) -> Option<OpenCoded> {
        let mut at = 0;
        let bits = uvarint(data, &mut at)?;
        let mut slots = Vec::new();
        if self.listed_slots {
            for _ in 0..uvarint(data, &mut at)?.min(OPEN_CODED_MAX) {
                slots.insert(0, uvarint(data, &mut at)?);
            }
        } else {
            let first = uvarint(data, &mut at)?;
            slots.extend((0..OPEN_CODED_MAX).map_while(|index| first.checked_sub(8 * index)));
        }
        Some(OpenCoded { bits, slots })
    }

    /// Walks a stack from `start` on.
    pub(crate) fn walk(&mut self, stack: &Copied, start: Start) -> Walked {
        let link_register = self.binary.elf.arch == Arch::Arm64;
        let (mut pc, mut sp, mut lr) = (start.pc, start.sp, start.lr);
        let mut walked = Walked { frames: Vec::new(), cut: None };
        let mut trapped = true;
        if pc == 0 {
            // A nil function was called: begin in its caller.
            (pc, lr) = (stack.word(sp).unwrap_or(0), 0);
            sp = if link_register { sp } else { sp.wrapping_add(8) };
            trapped = false;
        }
        loop {
            let Some(place) = self.place(pc) else {
                walked.cut = Some(if walked.frames.is_empty() {
                    "it is in code that isn't Go's"
                } else {
                    "it leads into code that isn't Go's"
                });
                return walked;
            };
            if walked.frames.len() >= FRAMES_MAX {
                walked.cut = Some("it is too deep");
                return walked;
            }
            let innermost = walked.frames.is_empty();
            let Some(delta) = place.delta else {
                walked.cut = Some("a function doesn't tell how large its frame is");
                return walked;
            };
            let end = sp.wrapping_add(delta).wrapping_add(if link_register { 0 } else { 8 });
            let mut varp = if link_register { end } else { end.wrapping_sub(8) };
            if varp > sp {
                // The caller's frame pointer.
                varp = varp.wrapping_sub(8);
            }
            // A return address stands behind the call; what was interrupted is where it was.
            let looked_up = if trapped || pc <= place.entry { pc } else { pc - 1 };
            walked.frames.push(Physical { pc: looked_up, sp, varp, end, place: Rc::clone(&place) });
            if place.top {
                return walked;
            }
            if place.writes_sp && !innermost {
                walked.cut = Some("a function leaves the stack in its own way");
                return walked;
            }
            let from = if link_register { sp } else { end.wrapping_sub(8) };
            let caller = if link_register && lr != 0 && !(innermost && sp < end) { Some(lr) } else { stack.word(from) };
            let Some(caller) = caller else {
                walked.cut = Some("it leads to memory that isn't the stack");
                return walked;
            };
            if caller == 0 {
                return walked;
            }
            if end < sp || (caller == pc && end == sp) {
                walked.cut = Some("it turns in circles");
                return walked;
            }
            (pc, sp, lr) = (caller, end, 0);
            trapped = place.injected;
            if link_register && trapped {
                // The interrupted function's own return address was put on the stack, in an aligned pair.
                let saved = stack.word(sp).unwrap_or(0);
                sp = sp.wrapping_add(16);
                match self.place(pc) {
                    None => pc = saved,
                    Some(place) if place.delta == Some(0) => lr = saved,
                    Some(_) => {}
                }
            }
        }
    }
}

fn uvarint(data: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..35).step_by(7) {
        let byte = *data.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The instruction whose map of pointers holds for a frame, as an address of the file; none where the collector looks at nothing
/// of it: a frame that has faulted goes on in its deferred calls or not at all (`stkframe.continpc`, `runtime/traceback.go`).
pub(crate) fn scanned_at(frames: &[Physical], index: usize, function: &Function<'_>, slide: u64) -> Option<u64> {
    let above = index.checked_sub(1).and_then(|above| frames.get(above));
    if above.is_none_or(|above| &*above.place.name != "runtime.sigpanic") {
        return frames.get(index).map(|frame| frame.pc.wrapping_sub(slide));
    }
    let deferreturn = Some(function.deferreturn()).filter(|offset| *offset != 0)?;
    function.entry.checked_add(u64::from(deferreturn))
}

/// The pending calls of a frame with open-coded ones: the number of each and where its closure's address is kept, those to
/// be called first coming first.
pub(crate) fn pending(frame: &Physical, stack: &Copied) -> Vec<(usize, u64)> {
    let Some(open_coded) = &frame.place.open_coded else { return Vec::new() };
    let bits = frame.varp.checked_sub(open_coded.bits).and_then(|at| stack.slice(at, 1)).map_or(0, |bits| bits[0]);
    let slots = open_coded.slots.iter().enumerate().rev().filter(|(index, _)| bits >> index & 1 == 1);
    slots.filter_map(|(index, slot)| Some((index, frame.varp.checked_sub(*slot)?))).collect()
}

/// The closures of a frame's open-coded calls that are not pending: made, or never reached.
pub(crate) fn not_pending<'s>(frame: &'s Physical, stack: &'s Copied) -> impl Iterator<Item = u64> + 's {
    let pending = pending(frame, stack);
    let slots = frame.place.open_coded.iter().flat_map(|open_coded| open_coded.slots.iter().enumerate());
    slots
        .filter(move |(index, _)| !pending.iter().any(|(other, _)| other == index))
        .filter_map(|(_, slot)| stack.slice(frame.varp.checked_sub(*slot)?, 8).map(|bytes| word(bytes, 0)))
}

/// Whether an address is one that a call returns to: it stands behind an instruction that calls.
pub(crate) fn is_return(binary: &Binary<'_>, slide: u64, address: u64) -> bool {
    let pc = address.wrapping_sub(slide);
    if !binary.is_code(pc) {
        return false;
    }
    let Some(function) = binary.find(pc).filter(|function| function.entry < pc) else {
        return false;
    };
    let before = |bytes: u64| pc.checked_sub(bytes).filter(|at| *at >= function.entry);
    let code = |bytes: u64| before(bytes).and_then(|at| binary.bytes_from(at)?.get(..bytes as usize));
    match binary.elf.arch {
        // `call rel32`; `call r/m64`, which is 0xff with 2 in the middle bits of the byte behind it.
        Arch::Amd64 => {
            code(5).is_some_and(|code| code[0] == 0xe8)
                || [2, 3, 4, 6, 7].into_iter().any(|len| {
                    code(len).is_some_and(|code| {
                        let code = if code[0] & 0xf0 == 0x40 { &code[1..] } else { code };
                        code.len() >= 2 && code[0] == 0xff && code[1] & 0x38 == 0x10
                    })
                })
        }
        // `bl`; `blr`.
        Arch::Arm64 => code(4)
            .and_then(|code| code.try_into().ok().map(u32::from_le_bytes))
            .is_some_and(|code| code & 0xfc00_0000 == 0x9400_0000 || code & 0xffff_fc1f == 0xd63f_0000),
    }
}

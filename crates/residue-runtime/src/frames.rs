//! One goroutine's stack in full: what each frame holds, where captured variables live, and what is left below the stack
//! pointer.
//!
//! Variables have names and types where the program has DWARF. In every program the maps for the garbage collector tell
//! which words of a frame are live pointers at the call that it is in (`FUNCDATA_LocalsPointerMaps`,
//! `FUNCDATA_ArgsPointerMaps`, `PCDATA_StackMapIndex`) and which variables have their address taken
//! (`FUNCDATA_StackObjects`); `runtime/stkframe.go`.

use std::collections::BTreeMap;

use residue_gobin::{Arch, Binary, DebugInfo, Local, Piece, VariableRole};
use residue_target::Target;

use crate::model::{Deferred, Frame, Goroutine, Options, Report, Word};
use crate::offsets::word;
use crate::read::{Kept, read_stack};
use crate::stack::{Copied, Physical, is_return, scanned_at};
use crate::words::Words;
use crate::{Error, symbols};

/// `FUNCDATA_ArgsPointerMaps`, `FUNCDATA_LocalsPointerMaps`, `FUNCDATA_StackObjects` (`internal/abi/symtab.go`).
const ARGUMENT_MAPS: u8 = 0;
const LOCAL_MAPS: u8 = 1;
const STACK_OBJECTS: u8 = 2;
/// `runtime.stackObjectRecord` (`runtime/stack.go`, the same in all releases): four numbers, the first two of which are
/// offset and size.
const STACK_OBJECT_BYTES: usize = 16;
/// Words of a variable or a closure that are told.
const WORDS_MAX: usize = 16;
/// Variables of a frame whose address is taken.
const OBJECTS_MAX: u64 = 10_000;
/// Return addresses that are told of the dead part of a stack.
const STALE_MAX: usize = 1000;
const POINTER: usize = 8;

/// One goroutine's stack.
#[derive(Clone, Debug)]
pub struct StackView {
    /// What is known of the goroutine in any case, and the names of its calls.
    pub report: Report,
    /// Bytes of the whole stack.
    pub size: u64,
    /// Bytes from the stack pointer on: those in use.
    pub used: u64,
    /// Names and types come from the program's DWARF.
    pub named: bool,
    /// Its frames, innermost first, as `Goroutine::stack` has them.
    pub frames: Vec<FrameView>,
    /// What is left below the stack pointer.
    pub dead: Dead,
}

impl StackView {
    /// The goroutine.
    pub fn goroutine(&self) -> Option<&Goroutine> {
        self.report.goroutines.first()
    }
}

/// A frame.
#[derive(Clone, Debug)]
pub struct FrameView {
    /// Bytes, without what its caller passes on the stack.
    pub size: u64,
    /// Its variables, or what of them can be told without names.
    pub slots: Vec<Slot>,
    /// Words that the garbage collector takes for live pointers here; none when it has no map for this instruction.
    pub live_pointers: Option<usize>,
    /// The closures of what it has deferred and not called yet, in the order of [`Goroutine::deferred`].
    pub closures: Vec<Closure>,
}

/// A variable of a frame, or a word of one.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its name; none where the program has no DWARF.
    pub name: Option<String>,
    /// Its type; without DWARF only what can be seen.
    pub type_name: Option<String>,
    /// What it is to its function.
    pub role: VariableRole,
    /// It belongs to a call that is inlined there.
    pub inlined: bool,
    /// Where it lives.
    pub lives: Lives,
    /// What its words look like.
    pub words: Vec<Word>,
}

/// Where a variable lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lives {
    /// In the frame, so many bytes above the stack pointer that the frame began with.
    Frame(u64),
    /// In another frame of the same stack: its number, and the bytes above that one's stack pointer.
    OtherFrame(usize, u64),
    /// On the heap: the frame has its address only.
    Heap,
    /// In the closure.
    Closure,
    /// Among the program's variables or constants.
    Program,
    /// In a register, whose value only the innermost frame still has.
    Register,
    /// Nowhere at this instruction.
    Gone,
}

/// The closure of a deferred call.
#[derive(Clone, Debug)]
pub struct Closure {
    /// Its number among [`Goroutine::deferred`].
    pub deferred: usize,
    /// Where the closure itself lives.
    pub lives: Lives,
    /// What it has captured.
    pub captured: Vec<Captured>,
}

/// A variable that a closure has captured.
#[derive(Clone, Debug)]
pub struct Captured {
    /// What its words look like; its address, if that is what was captured.
    pub words: Vec<Word>,
    /// Where the variable lives.
    pub lives: Lives,
    /// Its name, as far as DWARF tells.
    pub name: Option<String>,
    /// Its type, as far as DWARF tells.
    pub type_name: Option<String>,
}

/// What is left below the stack pointer: returned frames, until something else is written there.
#[derive(Clone, Debug, Default)]
pub struct Dead {
    /// Bytes.
    pub bytes: u64,
    /// How many of them aren't zero.
    pub nonzero: u64,
    /// Return addresses of calls that were made there once: bytes below the stack pointer, and the call.
    pub stale: Vec<(u64, Frame)>,
    /// Words, and pairs of words, that look like texts.
    pub texts: usize,
    /// Words that look like addresses on the heap.
    pub heap_pointers: usize,
}

/// Reads one goroutine's stack.
///
/// # Errors
/// As [`crate::inspect`]; or there is no such goroutine.
pub fn stack(target: &Target, binary: &Binary<'_>, options: &Options, id: u64) -> Result<StackView, Error> {
    let debug = DebugInfo::load(&binary.elf);
    let of_plugins = binary.plugins().iter().filter_map(|plugin| {
        let elf = plugin.elf()?;
        Some((plugin.module.text, elf.moved(), DebugInfo::load(elf)?))
    });
    let of_plugins: Vec<_> = of_plugins.collect();
    let (mut report, kept) = read_stack(target, binary, options, id)?;
    // What is not among the copies is looked up late: constants above all.
    kept.copies.set_direct(true);
    let words = Words { memory: &kept.copies, mappings: &kept.mappings, slide: target.slide, binary, options };
    let view = View { kept: &kept, words, debug: debug.as_ref(), of_plugins: &of_plugins };
    let goroutine = report.goroutines.first().ok_or(Error::NoGoroutine(id))?.clone();
    let frames: Vec<FrameView> = (0..kept.frames.len()).map(|index| view.frame(&goroutine, index)).collect();
    let dead = view.dead(&mut report);
    let (low, high) = kept.bounds;
    Ok(StackView {
        size: high - low,
        used: kept.stack.bytes.len() as u64,
        named: debug.is_some() || !of_plugins.is_empty(),
        frames,
        dead,
        report,
    })
}

struct View<'a> {
    kept: &'a Kept<'a>,
    words: Words<'a>,
    debug: Option<&'a DebugInfo<'a>>,
    /// Where the code of plugins is, and what was added to the addresses that their DWARF has.
    of_plugins: &'a [((u64, u64), u64, DebugInfo<'a>)],
}

impl View<'_> {
    fn frame(&self, goroutine: &Goroutine, index: usize) -> FrameView {
        let frame = &self.kept.frames[index];
        let live = self.live(index);
        let named = self.variables(index);
        let mut slots: Vec<Slot> = named.iter().map(|variable| self.variable(frame, variable)).collect();
        if named.is_empty() {
            slots = self.unnamed(frame, live.as_deref().unwrap_or_default());
        }
        let own = goroutine.deferred.iter().enumerate().filter(|(_, deferred)| deferred.frame == Some(index));
        let closures = own.map(|(number, deferred)| self.closure(number, deferred)).collect();
        FrameView {
            size: frame.end.saturating_sub(frame.sp),
            slots,
            live_pointers: live.map(|live| live.len()),
            closures,
        }
    }

    /// What is declared at the place where a frame is: what comes later has no value yet.
    fn variables(&self, index: usize) -> Vec<Local> {
        let Some(frame) = self.kept.frames.get(index) else { return Vec::new() };
        let pc = frame.pc.wrapping_sub(self.words.slide);
        let calls = self.words.binary.frames(pc);
        let line = calls.last().map_or(0, |call| call.line);
        let mut found = self.variables_at(pc);
        found.retain(|variable| variable.inlined || variable.line <= line || variable.role != VariableRole::Local);
        found.retain(|variable| !variable.name.is_empty() && variable.name != "_");
        found
    }

    /// What DWARF tells of an instruction, by its address in the program.
    fn variables_at(&self, pc: u64) -> Vec<Local> {
        let plugin = self.of_plugins.iter().find(|((start, end), ..)| (start..end).contains(&&pc));
        let found = match plugin {
            Some((_, moved, debug)) => Some((debug, pc.wrapping_sub(*moved))),
            None => self.debug.map(|debug| (debug, pc)),
        };
        found.map(|(debug, pc)| debug.variables(pc)).unwrap_or_default()
    }

    fn variable(&self, frame: &Physical, variable: &Local) -> Slot {
        let escapes = variable.name.starts_with('&');
        let mut bytes = Vec::new();
        let mut lives = None;
        for piece in &variable.pieces {
            match *piece {
                Piece::Frame { offset, len } => {
                    let at = frame.end.wrapping_add_signed(offset);
                    let len = usize::try_from(len).unwrap_or(usize::MAX).min(POINTER * WORDS_MAX);
                    bytes.extend(self.kept.stack.slice(at, len).unwrap_or_default());
                    lives = lives.or(Some(Lives::Frame(at.wrapping_sub(frame.sp))));
                }
                Piece::Register { .. } => lives = lives.or(Some(Lives::Register)),
                Piece::Gone { .. } => {}
            }
        }
        if escapes && !bytes.is_empty() {
            lives = Some(self.place(word(&bytes, 0)));
        }
        let whole = variable.pieces.iter().all(|piece| matches!(piece, Piece::Frame { .. }));
        let words = if whole && !bytes.is_empty() { self.typed(variable.kind, &bytes) } else { Vec::new() };
        Slot {
            name: Some(variable.name.trim_start_matches('&').to_owned()),
            type_name: Some(variable.type_name.clone()),
            role: variable.role,
            inlined: variable.inlined,
            lives: match lives {
                Some(_) if variable.role == VariableRole::Captured => Lives::Closure,
                Some(lives) => lives,
                None => Lives::Gone,
            },
            words,
        }
    }

    /// What a value looks like, by what kind it is.
    fn typed(&self, kind: u8, bytes: &[u8]) -> Vec<Word> {
        /// As `reflect` counts: from `Bool` to `Complex128`, and strings and slices.
        const NUMBERS: std::ops::RangeInclusive<u8> = 1..=16;
        const SLICE: u8 = 23;
        const STRING: u8 = 24;
        let number = |value: u64| Word::Number { revealed: self.words.options.reveal.then_some(value) };
        if NUMBERS.contains(&kind) {
            let mut padded = bytes.to_vec();
            padded.resize(padded.len().next_multiple_of(POINTER), 0);
            return padded.chunks_exact(POINTER).map(|bytes| number(word(bytes, 0))).collect();
        }
        let values: Vec<u64> = bytes.chunks_exact(POINTER).take(WORDS_MAX).map(|bytes| word(bytes, 0)).collect();
        match (kind, &*values) {
            (STRING, [address, len]) => {
                let text = Word::Text { len: *len, digest: None, revealed: None };
                vec![if *len == 0 { Word::Zero } else { self.words.text(*address, *len).unwrap_or(text) }]
            }
            (SLICE, [0, ..]) => vec![Word::Zero],
            (SLICE, [_, len, capacity]) => vec![Word::Slice { len: *len, capacity: *capacity }],
            _ => self.words.describe(&values, self.kept.bounds),
        }
    }

    /// The addresses of a frame's words that are live pointers where it is; none without a map.
    fn live(&self, index: usize) -> Option<Vec<(u64, VariableRole)>> {
        let frame = &self.kept.frames[index];
        // What was interrupted anywhere has no map that holds.
        let injected = |frame: &Physical| matches!(&*frame.place.name, "runtime.asyncPreempt" | "runtime.debugCallV2");
        let above = index.checked_sub(1).map(|above| &self.kept.frames[above]);
        if injected(frame) || above.map_or(self.kept.interrupted, injected) {
            return None;
        }
        let binary = self.words.binary;
        let slide = self.words.slide;
        let function = binary.find(frame.pc.wrapping_sub(slide))?;
        let Some(pc) = scanned_at(&self.kept.frames, index, &function, slide) else { return Some(Vec::new()) };
        let index = if pc == function.entry { 0 } else { function.stack_map_index(pc).unwrap_or(-1).max(0) };
        let index = u32::try_from(index).ok()?;
        let map = |which: u8| {
            // Number of maps, bits of each, then the maps.
            let data = binary.funcdata(&function, which)?;
            let (count, bits) = (number(data, 0)?, number(data, 4)?);
            let bytes = bits.div_ceil(8) as usize;
            let start = 8_usize.checked_add((index as usize).checked_mul(bytes)?)?;
            (index < count).then_some((bits, data.get(start..start.checked_add(bytes)?)?))
        };
        let locals = map(LOCAL_MAPS);
        if locals.is_none() && frame.varp.saturating_sub(frame.sp) > POINTER as u64 {
            return None;
        }
        let arguments = map(ARGUMENT_MAPS).filter(|_| function.argument_bytes().is_some_and(|bytes| bytes > 0));
        let first = |bits: u32| frame.varp.checked_sub(POINTER as u64 * u64::from(bits));
        let locals = locals.and_then(|(bits, mask)| Some((first(bits)?, bits, mask, VariableRole::Local)));
        let arguments =
            arguments.map(|(bits, mask)| (frame.end.wrapping_add(self.gap()), bits, mask, VariableRole::Argument));
        let mut live = Vec::new();
        for (start, bits, mask, role) in locals.into_iter().chain(arguments) {
            let set = (0..bits).filter(|bit| mask[(bit / 8) as usize] >> (bit % 8) & 1 != 0);
            live.extend(set.map(|bit| (start.wrapping_add(POINTER as u64 * u64::from(bit)), role)));
        }
        Some(live)
    }

    /// Machines that keep the return address in a register have a place for it below the arguments.
    fn gap(&self) -> u64 {
        if self.words.binary.elf.arch == Arch::Arm64 { POINTER as u64 } else { 0 }
    }

    /// What can be told of a frame without names: live pointers, and variables whose address is taken.
    fn unnamed(&self, frame: &Physical, live: &[(u64, VariableRole)]) -> Vec<Slot> {
        let stack = &self.kept.stack;
        let slot = |at: u64, role, type_name, words| Slot {
            name: None,
            type_name,
            role,
            inlined: false,
            lives: Lives::Frame(at.wrapping_sub(frame.sp)),
            words,
        };
        let mut slots: Vec<(u64, Slot)> = Vec::new();
        for (at, role) in live {
            let Some(value) = stack.word(*at) else { continue };
            // A text or a slice has its length behind its address; both are told when they fit.
            let behind = [8, 16].map(|more| stack.word(at.wrapping_add(more)).unwrap_or(0));
            let words = self.words.describe(&[value, behind[0], behind[1]], self.kept.bounds);
            slots.push((*at, slot(*at, *role, Some("pointer".to_owned()), words.into_iter().take(1).collect())));
        }
        for (start, size) in self.taken(frame) {
            let len = usize::try_from(size).unwrap_or(usize::MAX).min(POINTER * WORDS_MAX);
            let values: Vec<u64> =
                stack.slice(start, len).unwrap_or_default().chunks_exact(POINTER).map(|bytes| word(bytes, 0)).collect();
            let words = self.words.describe(&values, self.kept.bounds);
            let kind = format!("{size} bytes whose address is taken");
            slots.push((start, slot(start, VariableRole::Local, Some(kind), words)));
        }
        slots.sort_by_key(|(at, _)| *at);
        slots.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Where a frame's variables are whose address is taken, and their sizes.
    fn taken(&self, frame: &Physical) -> Vec<(u64, u64)> {
        let binary = self.words.binary;
        let function = binary.find(frame.pc.wrapping_sub(self.words.slide));
        let Some(data) = function.and_then(|function| binary.funcdata(&function, STACK_OBJECTS)) else {
            return Vec::new();
        };
        // A count, then `runtime.stackObjectRecord`s.
        let count = word(data, 0).min(OBJECTS_MAX) as usize;
        let records = data.get(8..).unwrap_or_default().chunks_exact(STACK_OBJECT_BYTES).take(count);
        let taken = records.filter_map(|record| {
            let offset = i64::from(number(record, 0)?.cast_signed());
            let size = u64::from(number(record, 4)?);
            let base = if offset >= 0 { frame.end.wrapping_add(self.gap()) } else { frame.varp };
            let start = base.wrapping_add_signed(offset);
            (size > 0 && start >= frame.sp && start.checked_add(size)? <= self.kept.bounds.1).then_some((start, size))
        });
        taken.collect()
    }

    /// Where an address leads.
    fn place(&self, address: u64) -> Lives {
        let frames = &self.kept.frames;
        let within = |frame: &Physical| (frame.sp..frame.end).contains(&address);
        match frames.iter().position(within) {
            Some(index) => Lives::OtherFrame(index, address - frames[index].sp),
            None if self.words.binary.is_mapped(address.wrapping_sub(self.words.slide)) => Lives::Program,
            None => Lives::Heap,
        }
    }

    fn closure(&self, number: usize, deferred: &Deferred) -> Closure {
        let address = deferred.closure;
        let lives = self.place(address);
        // Its function knows what it has captured, where the program has DWARF.
        let of_function = |pc: u64| self.variables_at(pc.wrapping_sub(self.words.slide));
        let mut named = deferred.function.map(of_function).unwrap_or_default();
        named.retain(|variable| variable.closure_offset.is_some());
        if !named.is_empty() {
            named.sort_by_key(|variable| variable.closure_offset);
            let captured = named.iter().map(|variable| self.captured(address, variable)).collect();
            return Closure { deferred: number, lives, captured };
        }
        let bytes = self.bytes(address, POINTER * (WORDS_MAX + 1));
        let mut values: Vec<u64> = bytes.chunks_exact(POINTER).map(|bytes| word(bytes, 0)).skip(1).collect();
        if let Lives::OtherFrame(index, _) = lives {
            let frame = &self.kept.frames[index];
            // It is one of the variables whose address is taken, or ends with the frame at the latest.
            let own = self.taken(frame).into_iter().find(|(start, _)| *start == address).map(|(_, size)| size);
            let size = own.unwrap_or(frame.varp.saturating_sub(address));
            values.truncate((size / POINTER as u64).saturating_sub(1) as usize);
        }
        let end = values.iter().position(|value| self.words.is_function(*value)).unwrap_or(values.len());
        values.truncate(end.min(crate::defers::WORDS));
        if lives == Lives::Program {
            values.clear();
        }
        let mut captured = Vec::new();
        let mut rest = &values[..];
        while !rest.is_empty() {
            // One at a time, so that what takes several words is known by what is left over.
            let told = self.words.describe(rest, self.kept.bounds);
            let Some(first) = told.into_iter().next() else { break };
            let used = match first {
                Word::Text { .. } => 2,
                Word::Slice { .. } => 3,
                _ => 1,
            };
            let place = match first {
                Word::Stack | Word::Heap | Word::Variable => self.place(rest[0]),
                _ => Lives::Closure,
            };
            let name = match place {
                Lives::OtherFrame(index, _) => self.name_at(index, rest[0]),
                _ => None,
            };
            captured.push(Captured { words: vec![first], lives: place, name, type_name: None });
            rest = &rest[used.min(rest.len())..];
        }
        Closure { deferred: number, lives, captured }
    }

    /// A variable of a closure: what it looks like, where it lives, what it is called.
    fn captured(&self, closure: u64, variable: &Local) -> Captured {
        let by_reference = variable.name.starts_with('&');
        let len = if by_reference { POINTER } else { (variable.size as usize).min(POINTER * WORDS_MAX) };
        let at = closure.wrapping_add(variable.closure_offset.unwrap_or(0));
        let bytes = self.bytes(at, len);
        let words = if by_reference {
            self.words.describe(&[word(&bytes, 0)], self.kept.bounds)
        } else {
            self.typed(variable.kind, &bytes)
        };
        let lives = if by_reference { self.place(word(&bytes, 0)) } else { Lives::Closure };
        let name = variable.name.trim_start_matches('&').to_owned();
        Captured { words, lives, name: Some(name), type_name: Some(variable.type_name.clone()) }
    }

    /// The variable of a frame that lies at an address.
    fn name_at(&self, index: usize, address: u64) -> Option<String> {
        let frame = &self.kept.frames[index];
        let holds = |variable: &Local| {
            variable.pieces.iter().any(|piece| match piece {
                Piece::Frame { offset, len } => {
                    let start = frame.end.wrapping_add_signed(*offset);
                    (start..start.saturating_add(*len)).contains(&address)
                }
                _ => false,
            })
        };
        self.variables(index).into_iter().find(holds).map(|variable| variable.name)
    }

    fn bytes(&self, address: u64, len: usize) -> Vec<u8> {
        use residue_target::Memory as _;
        let on_stack = |stack: &Copied| {
            let at = usize::try_from(address.checked_sub(stack.address)?).ok()?;
            let rest = stack.bytes.get(at..)?;
            Some(rest[..rest.len().min(len)].to_vec())
        };
        on_stack(&self.kept.stack).unwrap_or_else(|| self.words.memory.read_up_to(address, len))
    }

    /// What is left below the stack pointer.
    fn dead(&self, report: &mut Report) -> Dead {
        let part = &self.kept.dead;
        let mut dead = Dead { bytes: part.bytes.len() as u64, ..Dead::default() };
        dead.nonzero = part.bytes.iter().filter(|byte| **byte != 0).count() as u64;
        let end = part.address.saturating_add(dead.bytes);
        let values: Vec<u64> = part.bytes.chunks_exact(POINTER).map(|bytes| word(bytes, 0)).collect();
        for told in self.words.describe(&values, self.kept.bounds) {
            match told {
                Word::Text { .. } => dead.texts += 1,
                Word::Heap | Word::Slice { .. } => dead.heap_pointers += 1,
                _ => {}
            }
        }
        let stale = values
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, value)| is_return(self.words.binary, self.words.slide, **value))
            .take(STALE_MAX);
        let stale: Vec<(u64, u64)> =
            stale.map(|(index, value)| (end - part.address - (POINTER * index) as u64, *value - 1)).collect();
        let mut frames: BTreeMap<u64, Vec<Frame>> = BTreeMap::new();
        symbols::add(self.words.binary, self.words.slide, stale.iter().map(|(_, pc)| *pc), &mut frames);
        for (below, pc) in stale {
            dead.stale.extend(frames.get(&pc).and_then(|calls| calls.last()).map(|frame| (below, frame.clone())));
        }
        report.frames.extend(frames);
        dead
    }
}

fn number(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

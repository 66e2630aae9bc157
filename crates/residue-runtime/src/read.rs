//! Reading all goroutines of a target.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use residue_gobin::Binary;
#[cfg(target_os = "linux")]
use residue_target::Freeze;
use residue_target::{Mapping, Memory as _, MemoryExt as _, Target, Thread};
use rustc_hash::FxHashSet;

use crate::allgs::{self, GOROUTINES_MAX, is_dead, is_plausible};
use crate::copies::Copies;
use crate::defers::{Frames, RECORD_ADDRESS_MIN, Reader, WORDS};
use crate::gather::gathered;
use crate::interrupted::{self, General};
use crate::model::{self, Goroutine, Options, Phase, Report, Role, Status};
use crate::offsets::{Offsets, half, word};
use crate::stack::{Copied, Physical, Place, Start, Walked, Walker};
use crate::words::Words;
use crate::{Error, labels, plugins, symbols};

/// Functions that call C code of a detector on the system stack (`runtime/race_amd64.s`, `msan_amd64.s`, `asan_amd64.s`,
/// `libfuzzer_amd64.s`).
const DETECTORS: [&str; 4] = ["racecall", "msancall", "asancall", "runtime.libfuzzerCall4"];
/// Bytes of a stack that are copied, from the stack pointer on; nearly all are smaller.
const STACK_BYTES_MAX: u64 = 1 << 20;
/// Bytes of stacks that are copied at once.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Pointers of the list that are read at once.
const BATCH: usize = 4096;
/// Words of one stack whose targets are copied, bytes of each target, and of one that looks like a text.
const LED_TO_MAX: usize = 1 << 16;
const LED_TO_BYTES: usize = 136;
const LED_TO_BYTES_MAX: usize = 4096;
/// Goroutines that are decoded together. What many refer to is fetched for the first of them, and known to the others.
const TOGETHER: usize = 256;
/// Rounds in which what goroutines still miss is fetched together; a few have long lists and go on by themselves.
const ROUNDS: usize = 16;
/// How often the list of goroutines is looked for.
const FIND_ATTEMPTS: usize = 5;
/// One in so many goroutines may look impossible: memory changes where it isn't frozen.
const IMPLAUSIBLE_SHARE: usize = 20;

/// Reads the goroutines of a process or a core.
///
/// # Errors
/// The program's runtime isn't known well enough to be read, or the target can't be.
pub fn inspect(target: &Target, binary: &Binary<'_>, options: &Options) -> Result<Report, Error> {
    read(target, binary, options, None, None).map(|(report, _)| report)
}

/// What is wanted beside goroutines.
pub(crate) struct More<'m> {
    /// Gets the stacks, as they were read.
    pub(crate) stacks: &'m mut Vec<KeptStack>,
    /// Is called when goroutines have been read and the threads don't run yet.
    pub(crate) while_stopped: &'m mut dyn FnMut(&[Goroutine], &[KeptStack]),
}

/// A goroutine's stack, with what is known of its frames.
pub(crate) struct KeptStack {
    /// The goroutine's number.
    pub(crate) id: u64,
    /// Where its record is.
    pub(crate) record: u64,
    /// The first address of the stack; what is copied of it begins at the stack pointer, or there where that isn't known.
    pub(crate) low: u64,
    pub(crate) stack: Copied,
    pub(crate) frames: Vec<Physical>,
    /// The frames are there to the stack's end.
    pub(crate) whole: bool,
    /// It was interrupted anywhere, so the innermost frame has no map that holds.
    pub(crate) interrupted: bool,
    /// What was in registers then.
    pub(crate) registers: Option<General>,
}

/// Reads the goroutines, and what else is wanted while threads are stopped.
pub(crate) fn inspect_more(
    target: &Target,
    binary: &Binary<'_>,
    options: &Options,
    more: Option<More<'_>>,
) -> Result<Report, Error> {
    read(target, binary, options, None, more).map(|(report, _)| report)
}

/// Reads one goroutine, and keeps all of its stack.
pub(crate) fn read_stack<'t>(
    target: &'t Target,
    binary: &Binary<'_>,
    options: &Options,
    id: u64,
) -> Result<(Report, Kept<'t>), Error> {
    let (report, kept) = read(target, binary, options, Some(id), None)?;
    Ok((report, kept.ok_or(Error::NoGoroutine(id))?))
}

/// A stack, and what words on it lead to.
pub(crate) struct Kept<'t> {
    /// Its first address, and the one behind it.
    pub(crate) bounds: (u64, u64),
    /// From the stack pointer on.
    pub(crate) stack: Copied,
    /// What lies below.
    pub(crate) dead: Copied,
    pub(crate) frames: Vec<Physical>,
    /// The innermost frame was interrupted anywhere.
    pub(crate) interrupted: bool,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) copies: Copies<'t>,
}

fn read<'t>(
    target: &'t Target,
    binary: &Binary<'_>,
    options: &Options,
    only: Option<u64>,
    more: Option<More<'_>>,
) -> Result<(Report, Option<Kept<'t>>), Error> {
    let offsets = Offsets::of(&binary.layouts)?;
    check_program(target, binary)?;
    // Nothing is frozen yet: what was caught in the middle of a change is there the next time.
    let find = |_| Some(allgs::find(target, binary, target.slide, &offsets)).filter(|lists| !lists.is_empty());
    let lists = (0..FIND_ATTEMPTS).find_map(find).ok_or(Error::NoGoroutines)?;
    let mut collector = Collector {
        target,
        binary,
        options,
        offsets: &offsets,
        walker: Walker::new(binary, target.slide, offsets.record.open_coded.is_some()),
        copies: Copies::new(target),
        has_detector: DETECTORS.iter().any(|name| binary.functions.has_name(name)),
        only,
        kept: None,
        mappings: Vec::new(),
        inconsistencies: plugins::notes(binary),
        goroutines: Vec::new(),
        dead: 0,
        more,
    };
    let frozen = collector.collect(&lists)?;
    let Collector { mut goroutines, inconsistencies, dead, kept, .. } = collector;
    goroutines.sort_by_key(|goroutine| goroutine.id);
    let frames = symbols::resolve(binary, target.slide, &goroutines);
    let report = Report {
        version: binary.build.version.to_string(),
        basis: binary.layouts.basis().clone(),
        mode: if frozen.is_some() { options.freeze } else { model::Freeze::None },
        frozen,
        goroutines,
        dead,
        frames,
        inconsistencies,
    };
    Ok((report, kept))
}

/// The module data in memory must point where that of the file does.
fn check_program(target: &Target, binary: &Binary<'_>) -> Result<(), Error> {
    let module = binary.module.address;
    let expected = binary.elf.word(module).map(|table| table.wrapping_add(target.slide));
    let found = target.word(module.wrapping_add(target.slide));
    if found.is_some() && found == expected { Ok(()) } else { Err(Error::OtherProgram) }
}

struct Collector<'t, 'a, 'm> {
    target: &'t Target,
    binary: &'a Binary<'a>,
    options: &'a Options,
    offsets: &'a Offsets,
    walker: Walker<'a>,
    copies: Copies<'t>,
    /// Whether the race detector or one of its kin is built in.
    has_detector: bool,
    /// The goroutine that is wanted, if it is one.
    only: Option<u64>,
    kept: Option<Kept<'t>>,
    mappings: Vec<Mapping>,
    inconsistencies: BTreeMap<&'static str, usize>,
    goroutines: Vec<Goroutine>,
    dead: usize,
    more: Option<More<'m>>,
}

/// A goroutine's record, and where its stack is to be read from.
struct Candidate {
    address: u64,
    record: Vec<u8>,
    start: Option<Start>,
    /// What is in registers, where it was interrupted.
    registers: Option<General>,
    /// Why there is no start.
    why: Option<&'static str>,
}

/// A goroutine's record, its stack, and the frames on that.
struct Copy {
    candidate: Candidate,
    stack: Copied,
    walked: Option<Walked>,
}

impl Collector<'_, '_, '_> {
    /// Reads all while the threads are stopped, if that is wanted; says how long they were.
    #[cfg(target_os = "linux")]
    fn collect(&mut self, lists: &[u64]) -> Result<Option<Duration>, Error> {
        let freeze = if self.options.freeze == model::Freeze::None { None } else { Freeze::of(self.target)? };
        if let Some(freeze) = &freeze {
            self.note_many("threads that could not be stopped", freeze.running());
        }
        self.read(lists, freeze.as_ref().map_or(self.target.threads(), Freeze::threads))?;
        Ok(freeze.map(Freeze::release))
    }

    /// Reads all; there is nothing to stop.
    #[cfg(not(target_os = "linux"))]
    fn collect(&mut self, lists: &[u64]) -> Result<Option<Duration>, Error> {
        self.read(lists, self.target.threads())?;
        Ok(None)
    }

    fn note(&mut self, what: &'static str) {
        self.note_many(what, 1);
    }

    fn note_many(&mut self, what: &'static str, count: usize) {
        if count > 0 {
            *self.inconsistencies.entry(what).or_default() += count;
        }
    }

    fn read(&mut self, lists: &[u64], threads: &[Thread]) -> Result<(), Error> {
        self.mappings = self.target.mappings_now();
        let list = allgs::longest(self.target, lists, self.offsets).ok_or(Error::NoGoroutines)?;
        let threads: BTreeMap<u64, Thread> = threads.iter().map(|thread| (thread.tid, *thread)).collect();
        let pointer = self.target.word(list).ok_or(Error::NoGoroutines)?;
        let len =
            self.target.word(list.wrapping_add(8)).filter(|len| *len <= GOROUTINES_MAX).ok_or(Error::NoGoroutines)?;
        let (mut implausible, mut seen) = (0, FxHashSet::default());
        let mut read = 0;
        while read < len {
            let count = ((len - read) as usize).min(BATCH);
            let bytes = self.target.read_up_to(pointer.wrapping_add(8 * read), 8 * count);
            self.note_many("goroutines that can't be read", count - bytes.len() / 8);
            let addresses = bytes.chunks_exact(8).map(|bytes| word(bytes, 0)).filter(|address| seen.insert(*address));
            let ranges: Vec<_> = addresses.map(|address| (address, self.offsets.g_size)).collect();
            self.note_many("goroutines that are listed twice", bytes.len() / 8 - ranges.len());
            let mut candidates = Vec::new();
            for ((address, _), record) in ranges.iter().zip(gathered(self.target, &ranges)) {
                if record.len() < self.offsets.g_size {
                    self.note("goroutines that can't be read");
                } else if !is_plausible(&record, self.offsets) {
                    implausible += 1;
                } else if is_dead(allgs::status(&record, self.offsets)) {
                    self.dead += 1;
                } else if self.only.is_none_or(|id| id == word(&record, self.offsets.id)) {
                    candidates.push(self.candidate(*address, record, &threads));
                }
            }
            self.stacks(candidates);
            read += count as u64;
        }
        if implausible > (len as usize) / IMPLAUSIBLE_SHARE {
            let neighbour = self.binary.layouts.basis().neighbour().map(str::to_owned);
            return Err(Error::Nonsense(self.binary.build.version.to_string(), neighbour));
        }
        self.note_many("goroutines that look impossible", implausible);
        if let Some(more) = &mut self.more {
            (more.while_stopped)(&self.goroutines, more.stacks);
        }
        Ok(())
    }

    /// Where a goroutine is: its saved registers, or those of the thread it runs on.
    fn candidate(&mut self, address: u64, record: Vec<u8>, threads: &BTreeMap<u64, Thread>) -> Candidate {
        let offsets = self.offsets;
        let field = |at| word(&record, at);
        let bounds = (field(offsets.stack), field(offsets.stack + 8));
        let saved = Start { pc: field(offsets.sched_pc), sp: field(offsets.sched_sp), lr: field(offsets.sched_lr) };
        let arch = self.binary.elf.arch;
        let mut general = None;
        let (start, why) = match allgs::status(&record, offsets) {
            2 => {
                let m = field(offsets.m);
                let vdso = self.vdso(m, bounds);
                // A debugger outside of the process's namespace writes other ids into a core than the process knows.
                let on_stack = threads.values().find(|thread| (bounds.0..bounds.1).contains(&thread.registers.sp));
                let noted = || self.target.word(m.wrapping_add(offsets.m_thread)).and_then(|tid| threads.get(&tid));
                match on_stack.or_else(noted) {
                    None => (None, Some("it was running")),
                    Some(_) if vdso.is_some() => (vdso, None),
                    Some(thread) if (bounds.0..bounds.1).contains(&thread.registers.sp) => {
                        let registers = thread.registers;
                        general = Some(General::of_thread(&registers.general, arch));
                        (Some(Start { pc: registers.pc, sp: registers.sp, lr: registers.lr }), None)
                    }
                    Some(thread) => match interrupted::signal_stack(self.target, offsets, m) {
                        Some((low, high)) if (low..high).contains(&thread.registers.sp) => {
                            match interrupted::by_signal(self.target, (low, high), arch) {
                                Some((start, values)) if (bounds.0..bounds.1).contains(&start.sp) => {
                                    general = Some(values);
                                    (Some(start), None)
                                }
                                // The system stack was interrupted.
                                Some((start, _)) => self.left(start.pc, saved),
                                None => (None, Some("its thread was in a signal handler")),
                            }
                        }
                        _ => self.left(thread.registers.pc, saved),
                    },
                }
            }
            _ if field(offsets.syscall_sp) != 0 => {
                (Some(Start { pc: field(offsets.syscall_pc), sp: field(offsets.syscall_sp), lr: 0 }), None)
            }
            _ => (Some(saved), None),
        };
        let start = start.filter(|start| (bounds.0..=bounds.1).contains(&start.sp));
        let why = why.or_else(|| start.is_none().then_some("its stack pointer isn't on its stack"));
        Candidate { address, record, start, registers: general, why }
    }

    /// Where a goroutine calls the kernel's code in its own address space (`runtime/time_linux_amd64.s`, `vgetrandom1` of
    /// `runtime/sys_linux_amd64.s`): on which stack that runs differs, the runtime has noted what called it.
    fn vdso(&self, m: u64, bounds: (u64, u64)) -> Option<Start> {
        let noted = |at: u64| self.target.word(m.wrapping_add(at));
        let sp = noted(self.offsets.m_vdso_sp).filter(|sp| (bounds.0..bounds.1).contains(sp))?;
        // The address behind the call.
        Some(Start { pc: noted(self.offsets.m_vdso_pc)?.wrapping_sub(1), sp, lr: 0 })
    }

    /// Where a goroutine was whose thread is at `pc` on the system stack. Its record says so, but for calls of a detector's C
    /// code, which are noted nowhere; the record has then what it had before.
    fn left(&mut self, pc: u64, saved: Start) -> (Option<Start>, Option<&'static str>) {
        let is_go = |place: Rc<Place>| place.is_sized() && !DETECTORS.contains(&&*place.name);
        if self.has_detector && !self.walker.place(pc).is_some_and(is_go) {
            return (None, Some("its thread was on the system stack, perhaps in the race detector"));
        }
        (Some(saved), None)
    }

    /// Copies stacks in batches, and reads what is on them.
    fn stacks(&mut self, candidates: Vec<Candidate>) {
        let range = |candidate: &Candidate| {
            let (low, high) =
                (word(&candidate.record, self.offsets.stack), word(&candidate.record, self.offsets.stack + 8));
            match candidate.start {
                Some(start) => (start.sp, (high - start.sp).min(STACK_BYTES_MAX) as usize),
                // Any word of it may keep an object.
                None if self.more.is_some() => {
                    let low = low.max(high.saturating_sub(STACK_BYTES_MAX));
                    (low, high.saturating_sub(low) as usize)
                }
                None => (0, 0),
            }
        };
        let ranges: Vec<(u64, usize)> = candidates.iter().map(range).collect();
        let mut candidates = candidates.into_iter();
        let mut rest = &ranges[..];
        while !rest.is_empty() {
            let mut total = 0;
            let fits = rest.iter().take_while(|(_, len)| {
                total += len;
                total <= BATCH_BYTES_MAX
            });
            let count = fits.count().max(1);
            let read = gathered(self.target, &rest[..count]);
            let mut copies = Vec::with_capacity(count);
            for ((address, len), bytes) in rest[..count].iter().zip(read) {
                let Some(candidate) = candidates.next() else { return };
                if bytes.len() < *len {
                    self.note("stacks that can't be read whole");
                }
                let stack = Copied { address: *address, bytes };
                let walked = candidate.start.map(|start| self.walker.walk(&stack, start));
                if self.only.is_some() {
                    self.keep(&candidate, &stack, walked.as_ref());
                }
                copies.push(Copy { candidate, stack, walked });
            }
            // Where nothing stands still, what was copied before would be older than these stacks.
            self.copies = Copies::new(self.target);
            self.fetch_deferred(&copies);
            let mut copies = copies.into_iter();
            while copies.len() > 0 {
                let together = copies.by_ref().take(TOGETHER).collect();
                self.decode(together);
            }
            rest = &rest[count..];
        }
    }

    /// Keeps a stack with what lies below its stack pointer, and what its words lead to.
    fn keep(&mut self, candidate: &Candidate, stack: &Copied, walked: Option<&Walked>) {
        let record = &candidate.record;
        let bounds = (word(record, self.offsets.stack), word(record, self.offsets.stack + 8));
        let below = stack.address.saturating_sub(bounds.0).min(STACK_BYTES_MAX);
        let below = if candidate.start.is_some() { below } else { 0 };
        let dead = Copied {
            address: stack.address.wrapping_sub(below),
            bytes: self.target.read_up_to(stack.address.wrapping_sub(below), below as usize),
        };
        let copies = Copies::new(self.target);
        for part in [&stack.bytes, &dead.bytes] {
            for (at, bytes) in part.chunks_exact(8).enumerate().take(LED_TO_MAX) {
                let (address, len) = (word(bytes, 0), word(part, 8 * at + 8) as usize);
                let after = self.mappings.partition_point(|mapping| mapping.start <= address);
                let mapped = after.checked_sub(1).is_some_and(|index| address < self.mappings[index].end);
                if mapped && !(bounds.0..bounds.1).contains(&address) {
                    copies.want(address, if len <= LED_TO_BYTES_MAX { len.max(LED_TO_BYTES) } else { LED_TO_BYTES });
                }
            }
        }
        copies.fetch();
        self.kept = Some(Kept {
            bounds,
            stack: Copied { address: stack.address, bytes: stack.bytes.clone() },
            dead,
            frames: walked.map(|walked| walked.frames.clone()).unwrap_or_default(),
            interrupted: allgs::status(record, self.offsets) == 2,
            mappings: self.mappings.clone(),
            copies,
        });
    }

    /// Makes goroutines of copies, as often as it takes until all that they refer to has been fetched.
    fn decode(&mut self, mut copies: Vec<Copy>) {
        for round in 0.. {
            self.copies.set_direct(round >= ROUNDS);
            let mut left = Vec::new();
            for copy in copies {
                let missed = self.copies.missed();
                let (goroutine, notes) = self.goroutine(&copy);
                if self.copies.missed() > missed {
                    left.push(copy);
                } else {
                    for what in notes {
                        self.note(what);
                    }
                    if let Some(more) = &mut self.more {
                        let Copy { candidate, stack, walked } = copy;
                        more.stacks.push(KeptStack {
                            id: goroutine.id,
                            record: candidate.address,
                            low: word(&candidate.record, self.offsets.stack),
                            stack,
                            whole: walked.as_ref().is_some_and(|walked| walked.cut.is_none()),
                            frames: walked.map(|walked| walked.frames).unwrap_or_default(),
                            interrupted: goroutine.status == Status::Running,
                            registers: candidate.registers,
                        });
                    }
                    self.goroutines.push(goroutine);
                }
            }
            if left.is_empty() {
                return;
            }
            self.copies.fetch();
            copies = left;
        }
    }

    /// Fetches records of deferred calls and their closures, a link of all lists at once: where the next one is need not be
    /// learnt by decoding goroutines as a whole.
    fn fetch_deferred(&self, copies: &[Copy]) {
        let layout = &self.offsets.record;
        let mut lists: Vec<(usize, u64)> =
            copies.iter().map(|copy| word(&copy.candidate.record, self.offsets.deferred)).enumerate().collect();
        let mut record = vec![0; layout.size];
        for _ in 0..ROUNDS {
            lists.retain_mut(|(index, at)| {
                let stack = &copies[*index].stack;
                for _ in 0..ROUNDS {
                    if *at < RECORD_ADDRESS_MIN {
                        return false;
                    }
                    match stack.slice(*at, layout.size) {
                        Some(bytes) => record.copy_from_slice(bytes),
                        None if self.copies.read(*at, &mut record) == layout.size => {}
                        // It is fetched, and its list gone on with.
                        None => return true,
                    }
                    let closure = word(&record, layout.function);
                    if closure >= RECORD_ADDRESS_MIN && stack.word(closure).is_none() {
                        self.copies.want(closure, 8 * (WORDS + 1));
                    }
                    *at = word(&record, layout.link);
                }
                // A long list on the stack itself.
                false
            });
            if self.copies.missed() == 0 {
                return;
            }
            self.copies.fetch();
        }
    }

    /// A goroutine, and what about it doesn't fit.
    fn goroutine(&mut self, copy: &Copy) -> (Goroutine, Vec<&'static str>) {
        let Copy { candidate, stack, walked } = copy;
        let mut notes = Vec::new();
        let offsets = self.offsets;
        let record = &candidate.record;
        let field = |at| word(record, at);
        let status = match half(record, offsets.status) & 0xfff {
            0 => Status::Idle,
            1 => Status::Runnable,
            2 => Status::Running,
            3 => Status::Syscall,
            8 => Status::CopyStack,
            9 => Status::Preempted,
            10 => Status::Leaked,
            _ => Status::Waiting,
        };
        let stack_cut = candidate.why.or_else(|| walked.as_ref().and_then(|walked| walked.cut));
        if stack_cut.is_some() && status != Status::Running {
            notes.push("stacks that can't be walked to their end");
        }
        let frames = walked.as_ref().map_or(&[][..], |walked| &walked.frames);
        let bounds = (field(offsets.stack), field(offsets.stack + 8));
        let on_stack = Frames { all: frames, stack, bounds };
        let words = Words {
            memory: &self.copies,
            mappings: &self.mappings,
            slide: self.target.slide,
            binary: self.binary,
            options: self.options,
        };
        let reader = Reader { words, offsets };
        let panics = reader.panics(field(offsets.panic), &on_stack);
        let (deferred, deferred_cut) = reader.deferred(field(offsets.deferred), &on_stack);
        let labels = labels::of(&self.copies, field(offsets.labels));
        let (phase, in_deferred) =
            if frames.is_empty() { (Phase::Running, None) } else { reader.phase(&panics, &on_stack) };
        if deferred_cut.is_some() {
            notes.push("lists of deferred calls that are cut");
        }
        let waits = matches!(status, Status::Waiting | Status::Syscall | Status::Leaked);
        let since = field(offsets.wait_since).cast_signed();
        let waiting =
            self.options.now.filter(|_| waits && since > 0).map(|now| now.saturating_sub(since.unsigned_abs()));
        let reason = self.binary.layouts.wait_reason(record.get(offsets.wait_reason).copied().unwrap_or(0));
        let reason = reason.filter(|reason| !reason.is_empty() && matches!(status, Status::Waiting | Status::Leaked));
        let entry = Some(field(offsets.entry)).filter(|entry| *entry != 0);
        let is_system = entry.and_then(|entry| self.walker.place(entry)).is_some_and(|place| is_system(&place.name));
        let goroutine = Goroutine {
            id: field(offsets.id),
            status,
            wait_reason: reason.map(str::to_owned),
            waiting: waiting.map(Duration::from_nanos),
            parent: field(offsets.parent),
            // The address behind the call.
            created_at: Some(field(offsets.created_at)).filter(|pc| *pc != 0).map(|pc| pc - 1),
            entry,
            role: if is_system { Role::System } else { Role::User },
            cgo: frames.iter().any(|frame| matches!(&*frame.place.name, "runtime.cgocall" | "runtime.asmcgocall")),
            locked: field(offsets.locked) != 0,
            stack: frames.iter().map(|frame| frame.pc).collect(),
            stack_cut,
            phase,
            in_deferred,
            deferred,
            deferred_cut,
            panics,
            labels,
        };
        (goroutine, notes)
    }
}

/// As `isSystemGoroutine` in `runtime/traceback.go`: begun by the runtime, and not in order to run the program.
fn is_system(entry: &str) -> bool {
    entry.starts_with("runtime.") && !matches!(entry, "runtime.main" | "runtime.handleAsyncEvent")
}

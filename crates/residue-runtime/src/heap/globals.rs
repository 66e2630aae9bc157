//! The heap's own variables: by their symbols, or, in stripped programs, by what they look like.
//!
//! Each has a mark that nothing else has. `mheap_` lists spans that its own table of arenas leads back to; `memstats` has
//! the end of the last collection twice; a block of finalizers begins with the type of one; a profile's bucket has a stack of
//! addresses in the program's text. This needs no disassembler and is the same on every architecture. What a symbol says is
//! checked in the same way.

use residue_gobin::{Binary, Plugin};
use residue_target::{Memory, MemoryExt as _, Target};
use rustc_hash::FxHashSet;

use super::offsets::Offsets;
use super::spans::PAGE;
use crate::offsets::{half, word};

/// Variables beyond are not looked at, in bytes.
const VARIABLE_BYTES_MAX: u64 = 1 << 30;
/// Spans of a candidate that are followed to their arena.
const SPANS_CHECKED: usize = 16;
const SPANS_SAMPLED: u64 = 256;
/// Bytes of an arena of 64-bit Linux (`heapArenaBytes`).
const ARENA_BYTES: u64 = 64 << 20;
/// Blocks and buckets that are followed.
const CHAIN_MAX: usize = 4 << 20;
/// The kind of a bucket of the memory profile (`memProfile`).
const MEMORY_PROFILE: u64 = 1;
/// Frames of a bucket (`maxProfStackDepth`).
const DEPTH_MAX: u64 = 1024;
/// Bytes of results of a finalizer.
const RESULT_BYTES_MAX: u64 = 1 << 20;
/// The first Go program ran later than this, in nanoseconds since 1970.
const EPOCH: u64 = 1_000_000_000_000_000_000;

/// The program's variables, copied.
pub(crate) struct Variables {
    /// With pointers: initialised, and not; those of the program, then of each plugin.
    pub(crate) pointers: Vec<[Range; 2]>,
    /// Without, of the program.
    plain: [Range; 2],
}

/// A range of variables.
#[derive(Default)]
pub(crate) struct Range {
    /// Its address in memory.
    pub(crate) start: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Variables {
    pub(crate) fn copy(target: &Target, binary: &Binary<'_>) -> Self {
        let read = |(start, end): (u64, u64), bytes_max: u64| {
            let start = start.wrapping_add(target.slide);
            let len = end.wrapping_add(target.slide).saturating_sub(start).min(bytes_max);
            Range { start, bytes: target.read_up_to(start, len as usize) }
        };
        let mut left = VARIABLE_BYTES_MAX;
        let of_plugin = |plugin: &Plugin<'_>| {
            let ranges = plugin.module.pointer_data.map(|range| read(range, left));
            left -= ranges.iter().map(|range| range.bytes.len() as u64).sum::<u64>().min(left);
            ranges
        };
        let all = |range| read(range, VARIABLE_BYTES_MAX);
        let own = std::iter::once(binary.module.pointer_data.map(all));
        let pointers = own.chain(binary.plugins().iter().map(of_plugin)).collect();
        Self { pointers, plain: binary.module.plain_data.map(all) }
    }

    /// Bytes of a variable, as they were when all were copied.
    pub(crate) fn at(&self, address: u64, len: usize) -> Option<&[u8]> {
        self.ranges().find_map(|range| {
            let at = usize::try_from(address.checked_sub(range.start)?).ok()?;
            range.bytes.get(at..at.checked_add(len)?)
        })
    }

    /// Those of the program, which the runtime's are among. What isn't initialised comes first: most of what is looked for lies
    /// there.
    fn ranges(&self) -> impl Iterator<Item = &Range> {
        let pointers = |index: usize| self.pointers.first().map(|ranges| &ranges[index]);
        [Some(&self.plain[1]), pointers(1), Some(&self.plain[0]), pointers(0)].into_iter().flatten()
    }

    /// Addresses where a struct of `size` bytes can begin, with its bytes.
    fn places(&self, size: usize) -> impl Iterator<Item = (u64, &[u8])> {
        self.ranges().flat_map(move |range| {
            let last = range.bytes.len().saturating_sub(size.saturating_sub(1));
            (0..last).step_by(8).filter_map(move |at| Some((range.start + at as u64, range.bytes.get(at..at + size)?)))
        })
    }
}

/// Knows how to find them.
pub(crate) struct Finder<'a> {
    pub(crate) target: &'a Target,
    pub(crate) binary: &'a Binary<'a>,
    pub(crate) offsets: &'a Offsets,
    /// Symbols may be used.
    pub(crate) symbols: bool,
}

impl Finder<'_> {
    fn symbol(&self, name: &str) -> Option<u64> {
        let (address, _) = self.binary.elf.symbol(name).filter(|_| self.symbols)?;
        Some(address.wrapping_add(self.target.slide))
    }

    /// `runtime.mheap_`.
    pub(crate) fn heap(&self, variables: &Variables) -> Option<u64> {
        let named = self.symbol("runtime.mheap_").filter(|address| self.is_heap(*address));
        named.or_else(|| {
            let (list, arenas) = (self.offsets.mheap_spans as usize, self.offsets.mheap_arenas as usize);
            let size = list.max(arenas) + 24;
            let alike = variables.places(size).filter(|(_, bytes)| {
                let (pointer, len, capacity) = (word(bytes, list), word(bytes, list + 8), word(bytes, list + 16));
                let slice = pointer != 0 && pointer % 8 == 0 && 0 < len && len <= capacity && capacity < 1 << 40;
                slice && word(bytes, arenas) != 0 && word(bytes, arenas).is_multiple_of(8)
            });
            alike.map(|(address, _)| address).find(|address| self.is_heap(*address))
        })
    }

    /// Whether the spans that a heap lists are the ones its arenas lead to.
    fn is_heap(&self, heap: u64) -> bool {
        let (memory, offsets) = (self.target, self.offsets);
        let at = |offset: u64| heap.checked_add(offset).and_then(|at| memory.word(at));
        let (Some(list), Some(len)) = (at(offsets.mheap_spans), at(offsets.mheap_spans + 8)) else { return false };
        let Some(arenas) = at(offsets.mheap_arenas).filter(|arenas| *arenas != 0) else { return false };
        let pointers = memory.read_up_to(list, 8 * len.min(SPANS_SAMPLED) as usize);
        let mut checked = 0;
        for pointer in pointers.chunks_exact(8).map(|bytes| word(bytes, 0)) {
            let record = memory.read_up_to(pointer, offsets.span.size);
            if record.len() < offsets.span.size {
                return false;
            }
            if record[offsets.span.state] != 1 {
                continue;
            }
            let start = word(&record, offsets.span.start);
            let arena = start.wrapping_add(offsets.arena_base) / ARENA_BYTES;
            let arena = arenas.checked_add(arena.wrapping_mul(8)).and_then(|at| memory.word(at)).unwrap_or(0);
            let page = start % ARENA_BYTES / PAGE;
            let back = arena.checked_add(offsets.arena_spans + 8 * page).and_then(|at| memory.word(at));
            if back != Some(pointer) {
                return false;
            }
            checked += 1;
            if checked == SPANS_CHECKED {
                break;
            }
        }
        checked > 0
    }

    /// `runtime.memstats`: none while nothing was collected yet, or it isn't found.
    pub(crate) fn stats(&self, variables: &Variables, sweepgen: u32) -> Option<u64> {
        let at = &self.offsets.stats;
        let is_stats = |bytes: &[u8]| {
            let (cycles, last) = (half(bytes, at.cycles), word(bytes, at.last_unix));
            let slot = (u64::from(cycles) + 255) % 256;
            cycles > 0
                && cycles.abs_diff(sweepgen / 2) <= 1
                && last > EPOCH
                && word(bytes, at.pause_end + 8 * slot as usize) == last
                && (1..1 << 62).contains(&word(bytes, at.last_monotonic))
        };
        if let Some(address) = self.symbol("runtime.memstats")
            && variables.at(address, at.size).is_some_and(is_stats)
        {
            return Some(address);
        }
        variables.places(at.size).find(|(_, bytes)| is_stats(bytes)).map(|(address, _)| address)
    }

    /// All blocks that finalizers were ever queued in (`runtime.allfin`), each read whole.
    pub(crate) fn fin_blocks(&self, variables: &Variables) -> Vec<Vec<u8>> {
        let chain = |first| {
            self.chain(first, self.offsets.fin_block.size, self.offsets.fin_block.all, &|block| {
                self.is_fin_block(block)
            })
        };
        if let Some(address) = self.symbol("runtime.allfin") {
            return self.target.word(address).map(chain).unwrap_or_default();
        }
        let blocks = self.heads(variables).filter_map(|head| {
            let block = self.target.read_up_to(head, self.offsets.fin_block.size);
            self.is_fin_block(&block).then(|| chain(head))
        });
        // A page of zeros with a type in the right place looks like a block, too, but not like one that was used much.
        let at = &self.offsets.fin_block;
        let used = |block: &Vec<u8>| {
            let types =
                (at.first..at.size - at.entry).step_by(at.entry).map(|entry| word(block, entry + at.argument_type));
            types.filter(|kind| *kind != 0).count()
        };
        blocks.max_by_key(|blocks| blocks.iter().map(used).sum::<usize>()).unwrap_or_default()
    }

    fn is_fin_block(&self, block: &[u8]) -> bool {
        let at = &self.offsets.fin_block;
        let entries = (at.size - at.first) / at.entry;
        let count = half(block, at.count) as usize;
        if block.len() < at.size || count > entries {
            return false;
        }
        // Of entries that were used the type of the argument is left, and nothing else; those that wait have a function.
        let is_type = |address: u64| self.binary.types_at(address.wrapping_sub(self.target.slide)).is_some();
        let mut used = 0;
        let fits = |index: usize| {
            let entry = &block[at.first + index * at.entry..at.first + (index + 1) * at.entry];
            let kind = word(entry, at.argument_type);
            used += usize::from(kind != 0);
            let waits = index < count;
            let (function, argument) = (word(entry, at.function), word(entry, at.argument));
            (kind == 0 || is_type(kind))
                && word(entry, at.results) < RESULT_BYTES_MAX
                && if waits { self.is_closure(function) } else { function == 0 && argument == 0 }
        };
        (0..entries).all(fits) && (used > 0 || count > 0)
    }

    fn is_closure(&self, closure: u64) -> bool {
        let Some(pc) = self.target.word(closure) else { return false };
        self.binary.is_code(pc.wrapping_sub(self.target.slide))
    }

    /// `runtime.gcCleanups`, where `goroutines` (by address) run cleanups.
    pub(crate) fn cleanup_queue(&self, variables: &Variables, goroutines: &FxHashSet<u64>) -> Option<u64> {
        let at = self.offsets.cleanup_queue.as_ref()?;
        let is_queue = |bytes: &[u8]| {
            let (all, head) = (word(bytes, at.all), word(bytes, at.sleeping));
            let (asleep, running) = (half(bytes, at.asleep), half(bytes, at.running));
            half(bytes, at.goroutines) as usize == goroutines.len()
                && u64::from(asleep) + u64::from(running) <= goroutines.len() as u64
                && (head == 0 || goroutines.contains(&head))
                && (head != 0 || all != 0)
                && (all == 0 || (all % 8 == 0 && self.target.word(all.wrapping_add(at.block_all)).is_some()))
        };
        if goroutines.is_empty() || goroutines.len() > 1 << 16 {
            return None;
        }
        if let Some(address) = self.symbol("runtime.gcCleanups") {
            return Some(address);
        }
        // One that has a goroutine on its list beats one that has none.
        let alike = variables.places(at.size).filter(|(_, bytes)| is_queue(bytes));
        alike.max_by_key(|(_, bytes)| word(bytes, at.sleeping) != 0).map(|(address, _)| address)
    }

    /// The buckets of the memory profile (`runtime.mbuckets`), each with its record.
    pub(crate) fn buckets(&self, variables: &Variables) -> Vec<Vec<u8>> {
        let named = self.symbol("runtime.mbuckets").and_then(|address| self.target.word(address));
        if let Some(first) = named {
            return self.bucket_chain(first);
        }
        let chains = self.heads(variables).filter_map(|head| {
            self.bucket(head)?;
            Some(self.bucket_chain(head))
        });
        chains.max_by_key(Vec::len).unwrap_or_default()
    }

    fn bucket_chain(&self, first: u64) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let mut seen = FxHashSet::default();
        let mut at = first;
        while let Some(bucket) =
            Some(at).filter(|at| *at != 0 && found.len() < CHAIN_MAX && seen.insert(*at)).and_then(|at| self.bucket(at))
        {
            at = word(&bucket, self.offsets.bucket.next);
            found.push(bucket);
        }
        found
    }

    /// A bucket with its stack and its record, if it is one of the memory profile.
    fn bucket(&self, address: u64) -> Option<Vec<u8>> {
        let at = &self.offsets.bucket;
        let header = self.target.read_up_to(address, at.size);
        let depth = word(&header, at.depth);
        if header.len() < at.size || word(&header, at.kind) != MEMORY_PROFILE || !(1..=DEPTH_MAX).contains(&depth) {
            return None;
        }
        let len = at.size + 8 * depth as usize + at.record_size;
        let bucket = self.target.read_up_to(address, len);
        let mut stack = bucket.get(at.size..at.size + 8 * depth as usize)?.chunks_exact(8).map(|bytes| word(bytes, 0));
        // The address behind a call, which may be the last instruction.
        let in_text = |pc: u64| self.binary.is_code(pc.wrapping_sub(self.target.slide).wrapping_sub(1));
        (bucket.len() == len && stack.all(in_text)).then_some(bucket)
    }

    /// Words among the variables that could be addresses of what the runtime allocates for itself.
    fn heads<'v>(&'v self, variables: &'v Variables) -> impl Iterator<Item = u64> + 'v {
        let mappings = self.target.mappings();
        let mut seen = FxHashSet::default();
        variables.places(8).map(|(_, bytes)| word(bytes, 0)).filter(move |head| {
            let after = mappings.partition_point(|mapping| mapping.start <= *head);
            let mapping = after.checked_sub(1).map(|index| &mappings[index]);
            let mapped = mapping.is_some_and(|mapping| *head < mapping.end && mapping.writable);
            *head % 8 == 0 && mapped && seen.insert(*head)
        })
    }

    fn chain(&self, first: u64, size: usize, next: usize, fits: &dyn Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let mut seen = FxHashSet::default();
        let mut at = first;
        while at != 0 && found.len() < CHAIN_MAX && seen.insert(at) {
            let block = self.target.read_up_to(at, size);
            if block.len() < size || !fits(&block) {
                break;
            }
            at = word(&block, next);
            found.push(block);
        }
        found
    }
}

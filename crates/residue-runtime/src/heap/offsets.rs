//! Offsets of the fields of the heap's structs, looked up once.

use residue_gobin::{Arch, Binary, Layouts};

use crate::Error;

/// Offsets of fields. What only some releases have is an option.
pub(crate) struct Offsets {
    pub(crate) mheap_spans: u64,
    pub(crate) mheap_arenas: u64,
    pub(crate) mheap_sweepgen: u64,
    pub(crate) span: Span,
    pub(crate) arena_spans: u64,
    /// Bitmap and `noMorePtrs` of a heap whose pointers are marked by arena.
    pub(crate) arena_bitmap: Option<(u64, u64)>,
    /// What is added to an address to have its number among the arenas (`arenaBaseOffset` of `runtime/malloc.go`).
    pub(crate) arena_base: u64,
    pub(crate) special: Special,
    pub(crate) kinds: Kinds,
    pub(crate) fin_block: FinBlock,
    pub(crate) cleanup_queue: Option<CleanupQueue>,
    pub(crate) stats: Stats,
    pub(crate) bucket: Bucket,
}

/// Offsets of `runtime.mspan`.
pub(crate) struct Span {
    pub(crate) size: usize,
    pub(crate) start: usize,
    pub(crate) pages: usize,
    pub(crate) free_index: usize,
    pub(crate) count: usize,
    /// Counts are 16 bits wide, else words.
    pub(crate) narrow: bool,
    pub(crate) alloc_bits: usize,
    pub(crate) sweepgen: usize,
    pub(crate) alloc_count: usize,
    pub(crate) class: usize,
    pub(crate) state: usize,
    pub(crate) user_arena: Option<usize>,
    pub(crate) element: usize,
    pub(crate) specials: usize,
    /// Where objects' types are noted at all.
    pub(crate) large_type: Option<usize>,
}

/// Offsets of `runtime.special` and the structs that begin with one.
pub(crate) struct Special {
    pub(crate) next: usize,
    pub(crate) offset: usize,
    pub(crate) kind: usize,
    pub(crate) size: usize,
    pub(crate) finalizer_fn: usize,
    pub(crate) finalizer_argument: usize,
    pub(crate) finalizer_object: usize,
    pub(crate) cleanup_fn: Option<usize>,
    pub(crate) cleanup_argument: Option<usize>,
    pub(crate) weak_handle: Option<usize>,
}

/// Numbers of `_KindSpecial…`.
pub(crate) struct Kinds {
    pub(crate) finalizer: u8,
    pub(crate) profile: u8,
    pub(crate) pin: Option<u8>,
    pub(crate) weak: Option<u8>,
    pub(crate) cleanup: Option<u8>,
    pub(crate) tiny: Option<u8>,
}

/// Offsets of `runtime.finBlock` and `runtime.finalizer`.
pub(crate) struct FinBlock {
    pub(crate) size: usize,
    pub(crate) all: usize,
    pub(crate) count: usize,
    pub(crate) first: usize,
    pub(crate) entry: usize,
    pub(crate) function: usize,
    pub(crate) argument: usize,
    pub(crate) results: usize,
    pub(crate) argument_type: usize,
}

/// Offsets of `runtime.cleanupQueue` and its blocks.
pub(crate) struct CleanupQueue {
    pub(crate) size: usize,
    pub(crate) all: usize,
    pub(crate) asleep: usize,
    pub(crate) running: usize,
    pub(crate) goroutines: usize,
    pub(crate) executed: usize,
    pub(crate) sleeping: usize,
    pub(crate) block_all: u64,
    pub(crate) block_count: u64,
    pub(crate) block_first: u64,
    pub(crate) entry: u64,
    pub(crate) entry_fn: u64,
}

/// Offsets of `runtime.mstats`.
pub(crate) struct Stats {
    pub(crate) size: usize,
    pub(crate) last_unix: usize,
    pub(crate) pause_total: usize,
    pub(crate) pause_end: usize,
    pub(crate) cycles: usize,
    pub(crate) forced: usize,
    pub(crate) last_monotonic: usize,
    pub(crate) enabled: usize,
}

/// Offsets of `runtime.bucket` and `runtime.memRecord`.
pub(crate) struct Bucket {
    pub(crate) size: usize,
    pub(crate) next: usize,
    pub(crate) kind: usize,
    pub(crate) bytes: usize,
    pub(crate) depth: usize,
    pub(crate) active: usize,
    pub(crate) record_size: usize,
    /// Bytes of the record of one cycle.
    pub(crate) cycle_size: usize,
    /// Allocations and frees: all of a bucket are of one size.
    pub(crate) counts: (usize, usize),
}

impl Offsets {
    pub(crate) fn of(binary: &Binary<'_>) -> Result<Self, Error> {
        let look = Look(&binary.layouts);
        let (heap, stats, record) = ("runtime.mheap", "runtime.mstats", "runtime.memRecordCycle");
        let bitmap = look.maybe("runtime.heapArena", "bitmap").zip(look.maybe("runtime.heapArena", "noMorePtrs"));
        Ok(Self {
            mheap_spans: look.at(heap, "allspans")? as u64,
            mheap_arenas: look.at(heap, "arenas")? as u64,
            mheap_sweepgen: look.at(heap, "sweepgen")? as u64,
            span: look.span()?,
            arena_spans: look.at("runtime.heapArena", "spans")? as u64,
            arena_bitmap: bitmap.map(|(bitmap, more)| (bitmap as u64, more as u64)),
            arena_base: if binary.elf.arch == Arch::Amd64 { 1 << 47 } else { 0 },
            special: look.special()?,
            kinds: look.kinds()?,
            fin_block: look.fin_block()?,
            cleanup_queue: look.cleanup_queue(),
            stats: Stats {
                size: look.size(stats)?,
                last_unix: look.at(stats, "last_gc_unix")?,
                pause_total: look.at(stats, "pause_total_ns")?,
                pause_end: look.at(stats, "pause_end")?,
                cycles: look.at(stats, "numgc")?,
                forced: look.at(stats, "numforcedgc")?,
                last_monotonic: look.at(stats, "last_gc_nanotime")?,
                enabled: look.at(stats, "enablegc")?,
            },
            bucket: Bucket {
                size: look.size("runtime.bucket")?,
                next: look.at("runtime.bucket", "allnext")?,
                kind: look.at("runtime.bucket", "typ")?,
                bytes: look.at("runtime.bucket", "size")?,
                depth: look.at("runtime.bucket", "nstk")?,
                active: look.at("runtime.memRecord", "active")?,
                record_size: look.size("runtime.memRecord")?,
                cycle_size: look.size(record)?.max(1),
                counts: (look.at(record, "allocs")?, look.at(record, "frees")?),
            },
        })
    }
}

struct Look<'a>(&'a Layouts);

impl Look<'_> {
    fn maybe(&self, name: &str, field: &str) -> Option<usize> {
        self.0.offset(name, field).and_then(|offset| usize::try_from(offset).ok())
    }

    fn at(&self, name: &'static str, field: &'static str) -> Result<usize, Error> {
        self.maybe(name, field).ok_or(Error::Layout(name, field))
    }

    fn size(&self, name: &'static str) -> Result<usize, Error> {
        self.0.get(name).map(|layout| layout.size as usize).ok_or(Error::Layout(name, "*"))
    }

    fn span(&self) -> Result<Span, Error> {
        let span = |field| self.at("runtime.mspan", field);
        let (first, second) = (span("freeindex")?, span("nelems")?);
        Ok(Span {
            size: self.size("runtime.mspan")?,
            start: span("startAddr")?,
            pages: span("npages")?,
            free_index: first,
            count: second,
            narrow: second - first.min(second) == 2,
            alloc_bits: span("allocBits")?,
            sweepgen: span("sweepgen")?,
            alloc_count: span("allocCount")?,
            class: span("spanclass")?,
            state: span("state")?,
            user_arena: self.maybe("runtime.mspan", "isUserArenaChunk"),
            element: span("elemsize")?,
            specials: span("specials")?,
            // The field is older than its use: while arenas have bitmaps it is for what is being allocated.
            large_type: self
                .maybe("runtime.mspan", "largeType")
                .filter(|_| self.maybe("runtime.heapArena", "bitmap").is_none()),
        })
    }

    fn special(&self) -> Result<Special, Error> {
        let finalizer = |field| self.at("runtime.specialfinalizer", field);
        let cleanup = "runtime.specialCleanup";
        let inner = self.maybe(cleanup, "cleanup").zip(self.maybe("runtime.cleanupFn", "fn"));
        let argument = self.maybe(cleanup, "cleanup").zip(self.maybe("runtime.cleanupFn", "arg"));
        Ok(Special {
            next: self.at("runtime.special", "next")?,
            offset: self.at("runtime.special", "offset")?,
            kind: self.at("runtime.special", "kind")?,
            size: self.size("runtime.specialfinalizer")?,
            finalizer_fn: finalizer("fn")?,
            finalizer_argument: finalizer("fint")?,
            finalizer_object: finalizer("ot")?,
            cleanup_fn: inner.map(|(record, field)| record + field).or_else(|| self.maybe(cleanup, "fn")),
            cleanup_argument: argument.map(|(record, field)| record + field),
            weak_handle: self.maybe("runtime.specialWeakHandle", "handle"),
        })
    }

    fn kinds(&self) -> Result<Kinds, Error> {
        let group = "runtime._KindSpecial*";
        let kind = |name| self.maybe(group, name).and_then(|number| u8::try_from(number).ok());
        Ok(Kinds {
            finalizer: kind("Finalizer").ok_or(Error::Layout(group, "Finalizer"))?,
            profile: kind("Profile").ok_or(Error::Layout(group, "Profile"))?,
            pin: kind("PinCounter"),
            weak: kind("WeakHandle"),
            cleanup: kind("Cleanup"),
            tiny: kind("TinyBlock"),
        })
    }

    fn fin_block(&self) -> Result<FinBlock, Error> {
        let name = if self.0.get("runtime.finBlock").is_some() { "runtime.finBlock" } else { "runtime.finblock" };
        let entry = |field| self.at("runtime.finalizer", field);
        Ok(FinBlock {
            size: self.size(name)?,
            all: self.at(name, "alllink")?,
            count: self.at(name, "cnt")?,
            first: self.at(name, "fin")?,
            entry: self.size("runtime.finalizer")?,
            function: entry("fn")?,
            argument: entry("arg")?,
            results: entry("nret")?,
            argument_type: entry("fint")?,
        })
    }

    fn cleanup_queue(&self) -> Option<CleanupQueue> {
        let queue = |field| self.maybe("runtime.cleanupQueue", field);
        let header = |field| self.maybe("runtime.cleanupBlockHeader", field).map(|at| at as u64);
        Some(CleanupQueue {
            size: self.size("runtime.cleanupQueue").ok()?,
            all: queue("all")?,
            asleep: queue("asleep")?,
            running: queue("running")?,
            goroutines: queue("ng")?,
            executed: queue("executed")?,
            sleeping: queue("sleeping")?,
            block_all: header("alllink")?,
            block_count: header("n")?,
            block_first: self.maybe("runtime.cleanupBlock", "cleanups")? as u64,
            // Up to Go 1.25 a block holds functions alone.
            entry: self.size("runtime.cleanupFn").map_or(8, |size| size as u64),
            entry_fn: self.maybe("runtime.cleanupFn", "fn").unwrap_or(0) as u64,
        })
    }
}

//! The memory profile that the runtime keeps anyway, read from its buckets: what `/debug/pprof/heap` would give, of programs
//! that have no such endpoint.
//!
//! `runtime/mprof.go` (`bucket`, `memRecord`); scaling as `runtime/pprof/protomem.go` does it. Allocations of a cycle are
//! published when the collection after the next has ended, so what is newer is missing, as it is from the endpoint.

use residue_target::MemoryExt as _;

use super::Heap;
use crate::model::Frame;
use crate::offsets::word;

/// Bytes allocated for one sample, unless the program says otherwise (`runtime.MemProfileRate`).
const RATE: i64 = 512 * 1024;

/// Functions that begin so are left out where a stack begins.
const RUNTIME: [&str; 2] = ["runtime.", "internal/runtime/"];

/// What was allocated at one stack.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Instructions and the call at each, innermost first.
    pub stack: Vec<(u64, Frame)>,
    /// Objects allocated since the start, their bytes, and those not freed yet: estimates from samples.
    pub allocated: (u64, u64),
    /// Those of them that are still there.
    pub in_use: (u64, u64),
}

/// A memory profile.
#[derive(Clone, Debug)]
pub struct MemoryProfile {
    /// By stack.
    pub samples: Vec<Sample>,
    /// Bytes for one sample.
    pub rate: i64,
    /// The rate was read, not taken for the default.
    pub rate_known: bool,
}

impl Heap<'_> {
    /// Reads the memory profile. It is empty when no bucket was found: nothing has been sampled yet.
    pub fn profile(&self) -> MemoryProfile {
        let known =
            self.binary.elf.symbol("runtime.MemProfileRate").and_then(|(address, _)| {
                Some(self.target.word(address.wrapping_add(self.target.slide))?.cast_signed())
            });
        let rate = known.unwrap_or(RATE);
        let at = &self.offsets.bucket;
        let buckets = self.finder().buckets(&self.variables);
        let record = |bucket: &[u8]| at.size + 8 * word(bucket, at.depth) as usize;
        let counts = |bucket: &[u8], cycle: usize| {
            let start = record(bucket) + cycle;
            (word(bucket, start + at.counts.0), word(bucket, start + at.counts.1))
        };
        // Before the first collection nothing is published: all cycles count.
        let published = buckets.iter().any(|bucket| counts(bucket, at.active) != (0, 0));
        let cycles = at.record_size / at.cycle_size;
        let mut samples = Vec::new();
        for bucket in &buckets {
            let parts = if published { 1 } else { cycles };
            let parts = (0..parts).map(|index| counts(bucket, at.active + index * at.cycle_size));
            let (allocs, frees) =
                parts.fold((0_u64, 0_u64), |sum, part| (sum.0.wrapping_add(part.0), sum.1.wrapping_add(part.1)));
            let size = word(bucket, at.bytes);
            if allocs == 0 || frees > allocs || size >= 1 << 46 || allocs >= 1 << 40 {
                continue;
            }
            let pcs = bucket[at.size..record(bucket)].chunks_exact(8).map(|bytes| word(bytes, 0));
            let stack = self.stack(pcs);
            if stack.is_empty() {
                continue;
            }
            samples.push(Sample {
                stack,
                allocated: scaled(allocs, size, rate),
                in_use: scaled(allocs - frees, size, rate),
            });
        }
        MemoryProfile { samples, rate, rate_known: known.is_some() }
    }

    /// One call for each address: inlined ones have their own. The runtime's innermost ones are left out, as pprof does.
    fn stack(&self, pcs: impl Iterator<Item = u64>) -> Vec<(u64, Frame)> {
        let mut stack = Vec::new();
        for pc in pcs {
            let frames = self.binary.frames(pc.wrapping_sub(self.target.slide).wrapping_sub(1));
            let Some(call) = frames.into_iter().next() else { continue };
            if stack.is_empty() && RUNTIME.iter().any(|own| call.function.starts_with(own)) {
                continue;
            }
            let frame = Frame {
                function: call.function.into_owned(),
                file: call.file.into_owned(),
                line: call.line,
                inlined: call.inlined,
            };
            stack.push((pc.wrapping_sub(1), frame));
        }
        stack
    }
}

/// Objects and bytes of which so many were sampled: an object of the size is sampled with a probability that follows from
/// the rate.
fn scaled(count: u64, size: u64, rate: i64) -> (u64, u64) {
    if count == 0 || size == 0 {
        return (0, 0);
    }
    let scale = if rate <= 1 { 1.0 } else { 1.0 / (1.0 - (-(size as f64) / rate as f64).exp()) };
    #[allow(clippy::cast_sign_loss, reason = "all factors are positive")]
    let estimate = |number: f64| (number * scale) as u64;
    (estimate(count as f64), estimate(count as f64 * size as f64))
}

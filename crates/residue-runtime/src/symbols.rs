//! Names of the calls that were met.

use std::collections::BTreeMap;

use residue_gobin::Binary;

use crate::model::{Frame, Goroutine};

/// Looks up every instruction that the goroutines refer to.
pub(crate) fn resolve(binary: &Binary<'_>, slide: u64, goroutines: &[Goroutine]) -> BTreeMap<u64, Vec<Frame>> {
    let mut frames = BTreeMap::new();
    let of_goroutine = |goroutine: &Goroutine| {
        let deferred = goroutine.deferred.iter().filter_map(|deferred| deferred.function).collect::<Vec<_>>();
        let ends = goroutine.created_at.into_iter().chain(goroutine.entry);
        goroutine.stack.iter().copied().chain(ends).chain(deferred).collect::<Vec<_>>()
    };
    add(binary, slide, goroutines.iter().flat_map(of_goroutine), &mut frames);
    frames
}

/// Looks up instructions that aren't known yet.
pub(crate) fn add(
    binary: &Binary<'_>,
    slide: u64,
    instructions: impl Iterator<Item = u64>,
    frames: &mut BTreeMap<u64, Vec<Frame>>,
) {
    for pc in instructions {
        frames.entry(pc).or_insert_with(|| {
            let calls = binary.frames(pc.wrapping_sub(slide)).into_iter();
            let owned = calls.map(|call| Frame {
                function: call.function.into_owned(),
                file: call.file.into_owned(),
                line: call.line,
                inlined: call.inlined,
            });
            owned.collect()
        });
    }
}

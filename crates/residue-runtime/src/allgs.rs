//! The list of all goroutines, `runtime.allgs`: by its symbol, or, in stripped programs, by what it looks like.
//!
//! Among the variables with pointers it is a slice of pointers to structs that look like goroutines, the first of which is
//! the one that runs `main`.

use residue_gobin::Binary;
use residue_target::{Memory, MemoryExt as _};

use crate::offsets::{Offsets, half, word};

/// Goroutines there can be.
pub(crate) const GOROUTINES_MAX: u64 = 10_000_000;
/// Variables that are looked through, in bytes.
const VARIABLE_BYTES_MAX: u64 = 1 << 30;
const CHUNK: u64 = 1 << 20;
/// Goroutines of a candidate that are looked at.
const SAMPLE: u64 = 16;
/// The highest status that the runtime uses, beside the bit for being scanned.
const STATUS_MAX: u32 = 11;
const SCANNED: u32 = 0x1000;
const DEAD: [u32; 2] = [6, 11];

/// Addresses where the list could be. While garbage is collected there is a second one like it, for a time, of the same
/// goroutines: [`longest`] chooses when it is to be read.
pub(crate) fn find(memory: &dyn Memory, binary: &Binary<'_>, slide: u64, offsets: &Offsets) -> Vec<u64> {
    if let Some((address, _)) = binary.elf.symbol("runtime.allgs") {
        let address = address.wrapping_add(slide);
        return vec![address];
    }
    let mut found = Vec::new();
    // It isn't initialised, so it lies in the second range.
    for (start, end) in binary.module.pointer_data.into_iter().rev() {
        let (start, end) = (start.wrapping_add(slide), end.wrapping_add(slide));
        let mut at = start;
        while at < end.min(start.saturating_add(VARIABLE_BYTES_MAX)) {
            // A slice may lie across the border of two chunks.
            let len = (end - at).min(CHUNK + 16);
            let bytes = memory.read_up_to(at, len as usize);
            for offset in (0..bytes.len().saturating_sub(23)).step_by(8) {
                let (pointer, len, capacity) =
                    (word(&bytes, offset), word(&bytes, offset + 8), word(&bytes, offset + 16));
                let slice =
                    pointer != 0 && pointer % 8 == 0 && 0 < len && len <= capacity && capacity <= GOROUTINES_MAX;
                if slice && looks_right(memory, at + offset as u64, offsets).is_some() {
                    found.push(at + offset as u64);
                }
            }
            at = at.saturating_add(CHUNK);
        }
        if !found.is_empty() {
            break;
        }
    }
    found
}

/// The address of the longest list among those that look right now.
pub(crate) fn longest(memory: &dyn Memory, lists: &[u64], offsets: &Offsets) -> Option<u64> {
    let right = lists.iter().filter_map(|address| Some((looks_right(memory, *address, offsets)?, *address)));
    right.max().map(|(_, address)| address)
}

/// Whether a slice at `address` looks like the list; its length.
fn looks_right(memory: &dyn Memory, address: u64, offsets: &Offsets) -> Option<u64> {
    let (pointer, len) = (memory.word(address)?, memory.word(address.checked_add(8)?)?);
    let all = (0..len.min(SAMPLE)).all(|index| {
        let goroutine = pointer.checked_add(8 * index).and_then(|at| memory.word(at));
        goroutine.is_some_and(|goroutine| {
            let record = memory.read_up_to(goroutine, offsets.g_size);
            // `main` never ends before the program does.
            record.len() == offsets.g_size
                && is_plausible(&record, offsets)
                && (index > 0 || word(&record, offsets.id) == 1)
        })
    });
    (len > 0 && all).then_some(len)
}

/// Whether a record can be a goroutine.
pub(crate) fn is_plausible(record: &[u8], offsets: &Offsets) -> bool {
    let status = half(record, offsets.status) & !SCANNED;
    let (low, high) = (word(record, offsets.stack), word(record, offsets.stack + 8));
    let dead = DEAD.contains(&status);
    let stack = low < high && low % 8 == 0 && high % 8 == 0;
    status <= STATUS_MAX && (dead || stack) && word(record, offsets.id) < 1 << 48
}

/// The status of a record without the bit for being scanned.
pub(crate) fn status(record: &[u8], offsets: &Offsets) -> u32 {
    half(record, offsets.status) & !SCANNED
}

/// Whether a status is that of a goroutine that has ended.
pub(crate) fn is_dead(status: u32) -> bool {
    DEAD.contains(&status)
}

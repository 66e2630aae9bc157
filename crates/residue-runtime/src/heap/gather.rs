//! Many small reads as few large ones.

use residue_target::Memory;

/// Ranges so near to each other are read as one.
const GAP_BYTES_MAX: u64 = 256;
/// Bytes of one merged range.
const MERGED_BYTES_MAX: u64 = 1 << 20;
/// Merged ranges of this size are read one by one: more wouldn't save anything.
const ALONE_BYTES_MIN: usize = 32 << 10;
/// Smaller ones that are asked for at once.
const BATCH: usize = 256;

/// Reads `len` bytes at each of `addresses`, and calls `f` with the position of each in the list and its bytes: none when
/// they can't be read whole. In which order `f` is called isn't defined.
pub(crate) fn gather(memory: &dyn Memory, addresses: &[(u64, usize)], f: &mut dyn FnMut(usize, Option<&[u8]>)) {
    let mut order: Vec<(u64, u32)> = (0..).zip(addresses).map(|(index, (address, _))| (*address, index)).collect();
    order.sort_unstable();
    // Merged ranges, each with its part of `order`.
    let mut merged: Vec<Merged> = Vec::new();
    for (position, (address, index)) in order.iter().enumerate() {
        let end = address.saturating_add(addresses[*index as usize].1 as u64);
        match merged.last_mut() {
            Some(last)
                if *address <= last.end.saturating_add(GAP_BYTES_MAX)
                    && end.saturating_sub(last.start) <= MERGED_BYTES_MAX =>
            {
                last.end = end.max(last.end);
                last.until = position + 1;
            }
            _ => merged.push(Merged { start: *address, end, from: position, until: position + 1 }),
        }
    }
    let mut one = |range: &Merged, bytes: &[u8]| {
        for (address, index) in &order[range.from..range.until] {
            let len = addresses[*index as usize].1;
            let at = (address - range.start) as usize;
            match bytes.get(at..at.saturating_add(len)) {
                Some(found) => f(*index as usize, Some(found)),
                // Something unreadable lies before it in the merged range.
                None => {
                    let alone = memory.read_up_to(*address, len);
                    f(*index as usize, Some(&*alone).filter(|bytes| bytes.len() == len));
                }
            }
        }
    };
    let (large, small): (Vec<Merged>, Vec<Merged>) =
        merged.into_iter().partition(|range| range.len() >= ALONE_BYTES_MIN);
    let mut buffer = Vec::new();
    for range in &large {
        buffer.resize(range.len(), 0);
        let read = memory.read(range.start, &mut buffer);
        one(range, &buffer[..read]);
    }
    for batch in small.chunks(BATCH) {
        let ranges: Vec<(u64, usize)> = batch.iter().map(|range| (range.start, range.len())).collect();
        for (range, bytes) in batch.iter().zip(memory.read_many(&ranges)) {
            one(range, &bytes);
        }
    }
}

/// A range that many are read with.
struct Merged {
    start: u64,
    end: u64,
    /// Those that lie in it, by their positions in the order.
    from: usize,
    until: usize,
}

impl Merged {
    fn len(&self) -> usize {
        (self.end - self.start) as usize
    }
}

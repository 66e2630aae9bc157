//! Many small reads as few large ones.

use residue_target::Memory;

/// Ranges so near to each other are read as one.
const GAP_BYTES_MAX: u64 = 256;
/// Bytes of one merged range.
const MERGED_BYTES_MAX: u64 = 1 << 20;
/// Merged ranges that are asked for at once.
const BATCH: usize = 256;

/// Reads `len` bytes at each of `addresses`, and calls `f` with the position of each in the list and its bytes: none when
/// they can't be read whole. The order of calls is that of the addresses.
pub(crate) fn gather(memory: &dyn Memory, addresses: &[(u64, usize)], f: &mut dyn FnMut(usize, Option<&[u8]>)) {
    let mut order: Vec<u32> = (0..addresses.len().min(u32::MAX as usize) as u32).collect();
    order.sort_unstable_by_key(|index| addresses[*index as usize].0);
    // Merged ranges, each with its part of `order`.
    let mut merged: Vec<(u64, u64, usize, usize)> = Vec::new();
    for (position, index) in order.iter().enumerate() {
        let (address, len) = addresses[*index as usize];
        let end = address.saturating_add(len as u64);
        match merged.last_mut() {
            Some((start, last, _, until))
                if address <= last.saturating_add(GAP_BYTES_MAX) && end.saturating_sub(*start) <= MERGED_BYTES_MAX =>
            {
                *last = end.max(*last);
                *until = position + 1;
            }
            _ => merged.push((address, end, position, position + 1)),
        }
    }
    for batch in merged.chunks(BATCH) {
        let ranges: Vec<(u64, usize)> = batch.iter().map(|(start, end, ..)| (*start, (end - start) as usize)).collect();
        for ((start, _, from, until), bytes) in batch.iter().zip(memory.read_many(&ranges)) {
            for index in &order[*from..*until] {
                let (address, len) = addresses[*index as usize];
                let at = (address - start) as usize;
                match bytes.get(at..at.saturating_add(len)) {
                    Some(found) => f(*index as usize, Some(found)),
                    // Something unreadable lies before it in the merged range.
                    None => {
                        let alone = memory.read_up_to(address, len);
                        f(*index as usize, Some(&*alone).filter(|bytes| bytes.len() == len));
                    }
                }
            }
        }
    }
}

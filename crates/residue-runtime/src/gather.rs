//! Many small reads as few large ones.

use residue_target::Memory;

/// Ranges so near to each other are read as one.
const GAP_BYTES_MAX: u64 = 256;
/// Bytes of one merged range.
const MERGED_BYTES_MAX: u64 = 1 << 20;
/// Merged ranges that are read at once, at most, and bytes of them.
const BATCH: usize = 256;
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Reads `len` bytes at each of `ranges`, and calls `f` with the position of each in the list and its bytes, as far as they can
/// be had. In which order `f` is called isn't defined.
pub(crate) fn gather(memory: &dyn Memory, ranges: &[(u64, usize)], f: &mut dyn FnMut(usize, &[u8])) {
    let mut order: Vec<(u64, u32)> = (0..).zip(ranges).map(|(index, (address, _))| (*address, index)).collect();
    order.sort_unstable();
    // Merged ranges, each with its part of `order`.
    let mut merged: Vec<Merged> = Vec::new();
    for (position, (address, index)) in order.iter().enumerate() {
        let end = address.saturating_add(ranges[*index as usize].1 as u64);
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
    let mut buffer = Vec::new();
    let mut rest = &merged[..];
    while !rest.is_empty() {
        let mut total = 0;
        let fits = rest.iter().take(BATCH).take_while(|range| {
            total += range.len();
            total <= BATCH_BYTES_MAX
        });
        let (batch, after) = rest.split_at(fits.count().max(1));
        buffer.resize(batch.iter().map(Merged::len).sum(), 0);
        let mut parts = Vec::with_capacity(batch.len());
        let mut free = &mut buffer[..];
        for range in batch {
            let (part, behind) = free.split_at_mut(range.len());
            parts.push((range.start, part));
            free = behind;
        }
        let read = memory.read_many(&mut parts);
        for ((range, (_, bytes)), read) in batch.iter().zip(&parts).zip(read) {
            for (address, index) in &order[range.from..range.until] {
                let (at, len) = ((address - range.start) as usize, ranges[*index as usize].1);
                match bytes[..read].get(at..at.saturating_add(len)) {
                    Some(found) => f(*index as usize, found),
                    // Something unreadable lies before its end in the merged range.
                    None => f(*index as usize, &memory.read_up_to(*address, len)),
                }
            }
        }
        rest = after;
    }
}

/// The same, all of them.
pub(crate) fn gathered(memory: &dyn Memory, ranges: &[(u64, usize)]) -> Vec<Vec<u8>> {
    let mut found = vec![Vec::new(); ranges.len()];
    gather(memory, ranges, &mut |index, bytes| found[index] = bytes.to_vec());
    found
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Memory from 1,000 on to 10,000,000 without one byte, of which every byte is the lowest of its address; and what was read.
    struct Torn(u64, RefCell<Vec<(u64, usize)>>);

    impl Memory for Torn {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            self.1.borrow_mut().push((address, buffer.len()));
            let end = if address <= self.0 { self.0 } else { 10_000_000 };
            let len = if address < 1000 { 0 } else { (end.saturating_sub(address) as usize).min(buffer.len()) };
            buffer[..len].iter_mut().zip(address..).for_each(|(byte, at)| *byte = at as u8);
            len
        }
    }

    #[test]
    fn neighbours_are_read_as_one_and_what_is_unreadable_disturbs_none() {
        let memory = Torn(5100, RefCell::default());
        let ranges = [(2_000_000, 3_000_000), (2100, 8), (5000, 8), (2000, 50), (5096, 8), (5101, 9), (500, 4), (7, 0)];
        let found = gathered(&memory, &ranges);
        let lens: Vec<usize> = found.iter().map(Vec::len).collect();
        assert_eq!(lens, [3_000_000, 8, 8, 50, 4, 9, 0, 0]);
        for ((address, _), bytes) in ranges.iter().zip(&found) {
            assert!(bytes.iter().zip(*address..).all(|(byte, at)| *byte == at as u8), "at {address}");
        }
        let read = memory.1.into_inner();
        assert!(read.contains(&(2000, 108)) && read.contains(&(5000, 110)), "{read:?}");
    }

    #[test]
    fn many_are_read_batch_by_batch() {
        let memory = Torn(0, RefCell::default());
        let ranges: Vec<(u64, usize)> = (0..2000).rev().map(|index| (1000 + 1000 * index, 16)).collect();
        let found = gathered(&memory, &ranges);
        assert!(ranges.iter().zip(&found).all(|((address, _), bytes)| bytes.len() == 16 && bytes[0] == *address as u8));
    }
}

//! What is read twice: once to learn what there is to read, once while the threads are stopped, as fast as memory can be
//! copied. What is made of it is made after.

use std::cell::RefCell;

use residue_target::Memory;

/// Ranges before an address that are looked into.
const NEAR: usize = 4;

/// Notes what is read.
pub(crate) struct Recorder<'a> {
    memory: &'a dyn Memory,
    ranges: RefCell<Vec<(u64, usize)>>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(memory: &'a dyn Memory) -> Self {
        Self { memory, ranges: RefCell::default() }
    }

    /// Reads all of it again.
    pub(crate) fn again(&self) -> Overlay<'a> {
        let mut ranges: Vec<(u64, Vec<u8>)> = Vec::new();
        for (start, len) in self.ranges.borrow().iter() {
            ranges.push((*start, self.memory.read_up_to(*start, *len)));
        }
        Overlay { memory: self.memory, ranges }
    }

    /// Puts what there is to read again in order.
    pub(crate) fn sort(&self) {
        let mut ranges = self.ranges.borrow_mut();
        ranges.sort_unstable();
        ranges.dedup();
    }
}

impl Memory for Recorder<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        self.ranges.borrow_mut().push((address, buffer.len()));
        self.memory.read(address, buffer)
    }

    fn read_many(&self, ranges: &[(u64, usize)]) -> Vec<Vec<u8>> {
        self.ranges.borrow_mut().extend_from_slice(ranges);
        self.memory.read_many(ranges)
    }
}

/// Memory as it was at one moment, as far as it was read then; the rest as it is now.
pub(crate) struct Overlay<'a> {
    memory: &'a dyn Memory,
    /// By address.
    ranges: Vec<(u64, Vec<u8>)>,
}

impl Memory for Overlay<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        // Ranges may overlap: of those that begin before, the next ones are the likeliest.
        let after = self.ranges.partition_point(|(start, _)| *start <= address);
        for (start, bytes) in self.ranges[..after].iter().rev().take(NEAR) {
            let at = (address - start) as usize;
            if let Some(found) = at.checked_add(buffer.len()).and_then(|end| bytes.get(at..end)) {
                buffer.copy_from_slice(found);
                return found.len();
            }
        }
        self.memory.read(address, buffer)
    }
}

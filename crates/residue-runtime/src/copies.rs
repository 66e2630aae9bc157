//! Copies of memory, fetched many at once.
//!
//! A goroutine is decoded as if all of its memory were here; what isn't is noted, fetched together with what others miss,
//! and the goroutine decoded again. So a thousand closures cost one call to the kernel, not a thousand, while threads are
//! stopped. The runtime lays records of one kind side by side, so memory is copied in lines that hold several of them.

use std::cell::{Cell, RefCell};

use residue_target::Memory;
use rustc_hash::FxHashMap;

use crate::gather::gather;

/// Bytes of a line, which begins at a multiple of them. Pages are made of whole lines, so of a process each is there or isn't.
const LINE: u64 = 256;
/// Bytes of copies that are kept, and of those that are fetched at once.
const BYTES_MAX: usize = 64 << 20;

/// Memory of a target, by way of copies.
pub(crate) struct Copies<'a> {
    memory: &'a dyn Memory,
    /// Where in `bytes` each line is, by its number; none for one that can't be read whole.
    lines: RefCell<FxHashMap<u64, Option<usize>>>,
    bytes: RefCell<Vec<u8>>,
    /// Numbers of lines that were asked for.
    missed: RefCell<Vec<u64>>,
    direct: Cell<bool>,
}

impl<'a> Copies<'a> {
    pub(crate) fn new(memory: &'a dyn Memory) -> Self {
        Self {
            memory,
            lines: RefCell::default(),
            bytes: RefCell::default(),
            missed: RefCell::default(),
            direct: Cell::new(false),
        }
    }

    /// Reads what isn't here from the memory itself at once, or notes it.
    pub(crate) fn set_direct(&self, direct: bool) {
        self.direct.set(direct);
    }

    /// How many lines were missed since the last [`Copies::fetch`].
    pub(crate) fn missed(&self) -> usize {
        self.missed.borrow().len()
    }

    /// Has memory fetched the next time, unless it is here.
    pub(crate) fn want(&self, address: u64, len: usize) {
        let Some(last) = address.checked_add((len as u64).saturating_sub(1)) else { return };
        let lines = self.lines.borrow();
        self.missed.borrow_mut().extend((address / LINE..=last / LINE).filter(|line| !lines.contains_key(line)));
    }

    /// Fetches what was missed, as much as may be kept.
    pub(crate) fn fetch(&self) {
        let mut missed = self.missed.take();
        missed.sort_unstable();
        missed.dedup();
        missed.truncate(BYTES_MAX / LINE as usize);
        let (mut lines, mut bytes) = (self.lines.borrow_mut(), self.bytes.borrow_mut());
        if bytes.len() > BYTES_MAX {
            lines.clear();
            bytes.clear();
        }
        bytes.reserve(missed.len() * LINE as usize);
        let ranges: Vec<(u64, usize)> = missed.iter().map(|line| (line * LINE, LINE as usize)).collect();
        gather(self.memory, &ranges, &mut |index, found| {
            let whole = found.len() == LINE as usize;
            lines.insert(missed[index], whole.then_some(bytes.len()));
            if whole {
                bytes.extend_from_slice(found);
            }
        });
    }
}

impl Memory for Copies<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        let (lines, bytes) = (self.lines.borrow(), self.bytes.borrow());
        let (mut at, mut done) = (address, 0);
        while done < buffer.len() {
            let within = (at % LINE) as usize;
            let len = (LINE as usize - within).min(buffer.len() - done);
            match lines.get(&(at / LINE)) {
                Some(Some(start)) => {
                    buffer[done..done + len].copy_from_slice(&bytes[start + within..start + within + len]);
                }
                None if !self.direct.get() => {
                    drop((lines, bytes));
                    self.want(address, buffer.len());
                    return 0;
                }
                _ => return self.memory.read(address, buffer),
            }
            let Some(next) = at.checked_add(len as u64) else { break };
            (at, done) = (next, done + len);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory from one address to another, of which every byte is the lowest of its address; and how many reads there were.
    struct Counting(u64, u64, Cell<usize>);

    impl Memory for Counting {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            self.2.set(self.2.get() + 1);
            let end = if address < self.0 { 0 } else { self.1 };
            let len = (end.saturating_sub(address) as usize).min(buffer.len());
            buffer[..len].iter_mut().zip(address..).for_each(|(byte, at)| *byte = at as u8);
            len
        }
    }

    fn is_read(copies: &Copies<'_>, address: u64, len: usize) -> bool {
        let mut buffer = vec![0; len];
        copies.read(address, &mut buffer) == len && buffer.iter().zip(address..).all(|(byte, at)| *byte == at as u8)
    }

    #[test]
    fn what_lies_side_by_side_is_fetched_at_once() {
        let memory = Counting(4096, 1 << 20, Cell::new(0));
        let copies = Copies::new(&memory);
        for at in [5000, 5100, 5200, 6100] {
            assert!(!is_read(&copies, at, 48), "nothing is here yet");
        }
        assert!(!is_read(&copies, 9000, 1000) && copies.missed() > 4);
        copies.fetch();
        assert_eq!((memory.2.get(), copies.missed()), (3, 0), "three ranges far from each other");
        for (at, len) in [(5000, 48), (5100, 120), (5200, 48), (6100, 48), (9000, 1000)] {
            assert!(is_read(&copies, at, len), "{len} at {at}");
        }
        assert_eq!((memory.2.get(), copies.missed()), (3, 0), "all of it was here");
        assert!(!is_read(&copies, 9990, 500), "it is here in part only");
        copies.set_direct(true);
        assert!(is_read(&copies, 9990, 500));
    }

    #[test]
    fn what_can_be_read_of_a_line_is_read() {
        // As in a core whose segments begin and end anywhere.
        for start in [4096, 4100] {
            let memory = Counting(start, 4200, Cell::new(0));
            let copies = Copies::new(&memory);
            copies.want(4104, 200);
            copies.fetch();
            assert!(is_read(&copies, 4104, 90) && !is_read(&copies, 4104, 100) && !is_read(&copies, 4092, 16));
            assert_eq!(copies.read(u64::MAX - 3, &mut [0; 8]), 0);
            assert_eq!(copies.missed(), 1, "what lies before was not asked for yet");
        }
    }
}

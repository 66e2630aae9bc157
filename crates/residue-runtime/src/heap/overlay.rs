//! What is read twice: once to learn what there is to read, once while the threads are stopped, as fast as memory can be
//! copied. What is made of it is made after.

use std::cell::RefCell;

use residue_target::{Error, Held, Memory, Room, Target};

/// Notes what is read.
pub(crate) struct Recorder<'a> {
    target: &'a Target,
    ranges: RefCell<Vec<(u64, u64)>>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(target: &'a Target) -> Self {
        Self { target, ranges: RefCell::default() }
    }

    /// Makes ready to read all of it again.
    ///
    /// # Errors
    /// There is no room for so much.
    pub(crate) fn recorded(self) -> Result<Recorded<'a>, Error> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        let mut recorded = self.ranges.into_inner();
        recorded.sort_unstable();
        for (start, len) in recorded {
            match ranges.last_mut() {
                Some((first, before)) if start <= first.saturating_add(*before) => {
                    *before = (*before).max((start - *first).saturating_add(len));
                }
                _ => ranges.push((start, len)),
            }
        }
        let room = Room::of(ranges.iter().map(|(_, len)| len).sum())?;
        Ok(Recorded { target: self.target, ranges, room })
    }
}

impl Memory for Recorder<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        self.read_many(&mut [(address, buffer)]).into_iter().sum()
    }

    fn read_many(&self, ranges: &mut [(u64, &mut [u8])]) -> Vec<usize> {
        let read = self.target.read_many(ranges);
        let had = ranges.iter().zip(&read).map(|((start, _), len)| (*start, *len as u64));
        self.ranges.borrow_mut().extend(had);
        read
    }
}

/// What there is to read again, and room for it.
pub(crate) struct Recorded<'a> {
    target: &'a Target,
    /// By address.
    ranges: Vec<(u64, u64)>,
    room: Room,
}

impl<'a> Recorded<'a> {
    /// Reads it.
    pub(crate) fn again(self) -> Overlay<'a> {
        let (held, _) = Held::copy(self.target, &self.ranges, self.room);
        Overlay { target: self.target, held }
    }
}

/// Memory as it was at one moment, as far as it was read then; the rest as it is now.
pub(crate) struct Overlay<'a> {
    target: &'a Target,
    held: Held,
}

impl Memory for Overlay<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        self.held.read(self.target, address, buffer)
    }
}

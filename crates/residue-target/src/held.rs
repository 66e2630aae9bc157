//! Memory of a live process as it was at one moment, while that goes on.
//!
//! What is to be copied is as large as the heap, and finding room for so much takes as long as filling it: so [`Room`] is
//! had, and every page of it touched, before threads are stopped. How much that may be is bounded by what the machine, and the
//! control group this runs in, have left.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{Error, Memory};

/// Room beyond what was asked for: a heap may grow before it is copied. It costs nothing while it isn't used.
const GROWTH_BYTES: u64 = 64 << 20;
/// One in so much of the memory that is left may be taken.
const SHARE: u64 = 2;
/// Ranges that are copied in one call, at most, and bytes of them; larger ones are cut.
const BATCH: usize = 256;
const PIECE_BYTES: usize = 2 << 20;
/// Threads that copy at once; more than a few wait for the same memory.
const THREADS_MAX: usize = 4;

/// Memory that is set aside.
pub struct Room {
    bytes: Vec<u8>,
    most: usize,
}

impl Room {
    /// Sets aside `bytes`, and an eighth more.
    ///
    /// # Errors
    /// That is more than half of the memory that is left on this machine, or in this control group.
    pub fn of(bytes: u64) -> Result<Self, Error> {
        let most = bytes.saturating_add(bytes / 8);
        let left = memory_left().map_or(u64::MAX, |left| left / SHARE);
        let refused = || Error::Room { needed: most, allowed: left };
        if most > left {
            return Err(refused());
        }
        let most = usize::try_from(most.saturating_add(GROWTH_BYTES)).map_err(|_| refused())?;
        let touched = usize::try_from(bytes).map_err(|_| refused())?;
        let mut room = Vec::new();
        room.try_reserve_exact(most).map_err(|_| refused())?;
        // Zeros could be had from the kernel without there being memory for them.
        room.resize(touched, 1);
        Ok(Self { bytes: room, most })
    }
}

/// Memory that was copied.
pub struct Held {
    bytes: Vec<u8>,
    /// By address: where each range is in `bytes`, and how long it is.
    ranges: Vec<(u64, usize, usize)>,
}

impl Held {
    /// Copies ranges, which must be sorted and not overlap; and how many bytes there was no room for, or that can't be read.
    pub fn copy(memory: &(dyn Memory + Sync), ranges: &[(u64, u64)], room: Room) -> (Self, u64) {
        let Room { mut bytes, most } = room;
        let mut places = Vec::with_capacity(ranges.len());
        let (mut at, mut left_out) = (0_usize, 0);
        for (start, len) in ranges {
            let mut start = *start;
            match usize::try_from(*len).ok().and_then(|len| at.checked_add(len)).filter(|end| *end <= most) {
                Some(end) => {
                    while at < end {
                        let piece = PIECE_BYTES.min(end - at);
                        places.push((start, at, piece));
                        (start, at) = (start + piece as u64, at + piece);
                    }
                }
                None => left_out += len,
            }
        }
        bytes.resize(at, 0);
        let mut batches = Vec::new();
        let mut rest = &mut bytes[..];
        for batch in batches_of(&mut places) {
            let mut parts = Vec::with_capacity(batch.len());
            for (start, _, len) in batch.iter() {
                let (part, after) = std::mem::take(&mut rest).split_at_mut(*len);
                parts.push((*start, part));
                rest = after;
            }
            batches.push((batch, parts));
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX).min(batches.len());
        let next = Mutex::new(batches.into_iter());
        let work = || {
            let mut missed = 0;
            loop {
                // The lock is held for no longer than it takes to get the next one.
                let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((batch, mut parts)) = taken else { return missed };
                let read = memory.read_many(&mut parts);
                for ((_, _, len), read) in batch.iter_mut().zip(read) {
                    missed += (*len - read) as u64;
                    *len = read;
                }
            }
        };
        left_out += std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            // None of them panics; were it so, what was to be read by it is as it was set aside.
            work() + others.into_iter().map(|other| other.join().unwrap_or(0)).sum::<u64>()
        });
        (Self { bytes, ranges: places }, left_out)
    }

    /// The part of what is asked for that is here: up to where something begins that isn't.
    fn here(&self, address: u64, len: usize) -> Option<&[u8]> {
        let before = self.ranges.partition_point(|(start, ..)| *start <= address).checked_sub(1)?;
        let (start, at, held) = self.ranges[before];
        let within = usize::try_from(address - start).ok().filter(|within| *within < held)?;
        Some(&self.bytes[at + within..at + held.min(within.saturating_add(len))])
    }

    /// Bytes from `address` on, up to `len`, that are not here.
    fn absent(&self, address: u64, len: usize) -> usize {
        let after = self.ranges.partition_point(|(start, ..)| *start <= address);
        self.ranges
            .get(after)
            .map_or(len, |(start, ..)| usize::try_from(start - address).map_or(len, |gap| gap.min(len)))
    }

    /// Whether nothing of the ranges is here.
    pub(crate) fn has_none(&self, ranges: &[(u64, &mut [u8])]) -> bool {
        let absent = |start: u64, len| self.here(start, len).is_none() && self.absent(start, len) == len;
        ranges.iter().all(|(start, buffer)| absent(*start, buffer.len()))
    }

    /// Reads what is here from here, the rest from `memory`.
    pub fn read(&self, memory: &dyn Memory, address: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let Some(at) = address.checked_add(done as u64) else { break };
            let rest = &mut buffer[done..];
            let wanted = match self.here(at, rest.len()) {
                Some(here) => {
                    rest[..here.len()].copy_from_slice(here);
                    done += here.len();
                    continue;
                }
                None => self.absent(at, rest.len()),
            };
            let read = memory.read(at, &mut rest[..wanted]);
            done += read;
            if read < wanted {
                break;
            }
        }
        done
    }
}

/// Pieces that are copied in one call each.
fn batches_of(places: &mut [(u64, usize, usize)]) -> Vec<&mut [(u64, usize, usize)]> {
    let mut batches = Vec::new();
    let mut rest = places;
    while !rest.is_empty() {
        let mut total = 0;
        let fits = rest.iter().take(BATCH).take_while(|(_, _, len)| {
            total += len;
            total <= PIECE_BYTES
        });
        let count = fits.count().max(1);
        let (batch, after) = std::mem::take(&mut rest).split_at_mut(count);
        batches.push(batch);
        rest = after;
    }
    batches
}

/// Bytes of memory that can still be had: of the machine, or of a control group that has fewer.
fn memory_left() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let available = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = available.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024);
    Some(group_left().map_or(machine, |group| group.min(machine)))
}

/// The same of the control groups that this runs in: the narrowest counts (`memory.max` of version 2).
fn group_left() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let root = Path::new("/sys/fs/cgroup");
    let number = |file: PathBuf| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let own = root.join(path.trim_start_matches('/'));
    let groups = own.ancestors().take_while(|group| group.starts_with(root));
    let left = groups.filter_map(|group| {
        number(group.join("memory.max"))
            .map(|most| most.saturating_sub(number(group.join("memory.current")).unwrap_or(0)))
    });
    left.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory of which every byte is the lowest of its address, as far as there is any.
    struct Counting(u64);

    impl Memory for Counting {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            let len = (self.0.saturating_sub(address) as usize).min(buffer.len());
            buffer[..len].iter_mut().zip(address..).for_each(|(byte, at)| *byte = at as u8);
            len
        }
    }

    /// Memory that has changed since.
    struct Changed;

    impl Memory for Changed {
        fn read(&self, _: u64, buffer: &mut [u8]) -> usize {
            buffer.fill(0xff);
            buffer.len()
        }
    }

    fn held(ranges: &[(u64, u64)]) -> (Held, u64) {
        let bytes = ranges.iter().map(|(_, len)| len).sum();
        Held::copy(&Counting(1000), ranges, Room::of(bytes).expect("there is room for so little"))
    }

    #[test]
    fn what_was_copied_stays_and_the_rest_is_read() {
        let (held, left_out) = held(&[(100, 10), (110, 5), (200, 3), (990, 20)]);
        assert_eq!(left_out, 10, "memory ends at 1000");
        let read = |address, len| {
            let mut buffer = vec![0; len];
            let read = held.read(&Changed, address, &mut buffer);
            buffer.truncate(read);
            buffer
        };
        assert_eq!(read(108, 7), [108, 109, 110, 111, 112, 113, 114]);
        assert_eq!(read(98, 4), [0xff, 0xff, 100, 101]);
        assert_eq!(read(113, 4), [113, 114, 0xff, 0xff]);
        assert_eq!(read(199, 6), [0xff, 200, 201, 202, 0xff, 0xff]);
        assert_eq!(read(998, 4), [998_u64 as u8, 999_u64 as u8, 0xff, 0xff]);
        let has_none = |ranges: &[(u64, usize)]| {
            let mut buffers: Vec<_> = ranges.iter().map(|(_, len)| vec![0; *len]).collect();
            let starts = ranges.iter().map(|(start, _)| *start);
            held.has_none(&starts.zip(buffers.iter_mut().map(|buffer| &mut buffer[..])).collect::<Vec<_>>())
        };
        assert!(has_none(&[(300, 100), (90, 10)]) && !has_none(&[(300, 1), (90, 11)]) && !has_none(&[(114, 9)]));
    }

    #[test]
    fn there_is_an_end_to_what_is_set_aside() {
        let refused = Room::of(1 << 50).map(|_| ()).expect_err("there is no petabyte");
        assert!(matches!(refused, Error::Room { needed, allowed } if needed > allowed), "{refused}");
        let room = Room { bytes: vec![1; 4], most: 8 };
        let (held, left_out) = Held::copy(&Counting(1000), &[(100, 6), (200, 4), (300, 2)], room);
        assert_eq!((left_out, held.ranges.len()), (4, 2));
        let large = 5 * PIECE_BYTES as u64 + 3;
        let (held, left_out) = Held::copy(&Counting(u64::MAX), &[(7, large)], Room::of(large).expect("there is room"));
        let mut bytes = vec![0; large as usize];
        assert_eq!((left_out, held.read(&Changed, 7, &mut bytes)), (0, large as usize));
        assert!(bytes.iter().zip(7_u64..).all(|(byte, at)| *byte == at as u8));
    }
}

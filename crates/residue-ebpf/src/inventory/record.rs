//! Records that the iterators write: `struct inv_record` of `bpf/inventory.h`.

use residue_fd::objects::{At, Hold, Holder, Kind, MapCounts, ObjectId};

/// Bytes of a record.
pub(super) const SIZE: usize = 80;

/// What one record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Map { id: u32, counts: MapCounts, frozen: bool },
    Program { id: u32, refs: u64, verified: u64, target: u32 },
    Link { id: u32, refs: u64, perf_file: Option<u64>, target: u32 },
    Uses { program: u32, map: u32 },
    Held { hold: Hold, comm: String },
    Cut { at: At, comm: String },
}

/// Takes the records of an iterator apart; what isn't understood is left out and counted.
pub(super) fn parse(bytes: &[u8]) -> (Vec<Record>, usize) {
    let chunks = bytes.chunks_exact(SIZE);
    let mut odd = usize::from(!chunks.remainder().is_empty());
    let records = chunks.filter_map(|chunk| {
        let record = one(chunk);
        odd += usize::from(record.is_none());
        record
    });
    (records.collect(), odd)
}

fn one(bytes: &[u8]) -> Option<Record> {
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let (what, kind, id, how) = (word(0)?, word(4)?, word(8)?, word(12)?);
    let counts = [long(16)?, long(24)?, long(32)?];
    let file = Some(long(40)?).filter(|file| *file != 0);
    let at = At { pid: word(48)?, tid: word(52)?, fd: word(56)? };
    let slot = word(60)?;
    let comm = text(bytes.get(64..80)?);
    // What iterates holds what it shows.
    let refs = counts[0].saturating_sub(1);
    Some(match what {
        1 => {
            let counts = MapCounts { refs, user_refs: counts[1], writers: counts[2] };
            Record::Map { id, counts, frozen: slot != 0 }
        }
        2 => Record::Program { id, refs, verified: counts[1], target: counts[2] as u32 },
        3 => Record::Link { id, refs, perf_file: file, target: counts[2] as u32 },
        4 => Record::Uses { program: id, map: counts[0] as u32 },
        5 => {
            let kind = match kind {
                1 => Kind::Map,
                2 => Kind::Program,
                3 => Kind::Link,
                4 => Kind::Btf,
                _ => return None,
            };
            let by = match how {
                1 => Holder::Descriptor { at, file },
                2 => Holder::Iterator { at, file },
                3 => Holder::PerfEvent { at, file },
                4 => Holder::Socket { at, file, reuseport: false },
                5 => Holder::Socket { at, file, reuseport: true },
                6 => Holder::InFlight { at, file },
                7 => Holder::Ring { at, slot, file },
                8 => Holder::Mapping { pid: at.pid, range: (counts[0], counts[1]), file },
                _ => return None,
            };
            Record::Held { hold: Hold { object: ObjectId { kind, id }, by }, comm }
        }
        6 => Record::Cut { at, comm },
        _ => return None,
    })
}

/// Text that ends with its first 0.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(what: u32, kind: u32, how: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [what, kind, 7, how] {
            bytes.extend(word.to_ne_bytes());
        }
        for long in [3_u64, 2, 1, 0xffff_8880_1234_5678] {
            bytes.extend(long.to_ne_bytes());
        }
        for word in [812_u32, 813, 5, 9] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(*b"ab\x1b[31m\xff\0garbage");
        assert_eq!(bytes.len(), SIZE);
        bytes
    }

    #[test]
    fn records_are_taken_apart() {
        let (records, odd) = parse(&record(1, 0, 0));
        let counts = MapCounts { refs: 2, user_refs: 2, writers: 1 };
        assert_eq!((records, odd), (vec![Record::Map { id: 7, counts, frozen: true }], 0));
        let (records, _) = parse(&record(5, 1, 7));
        let at = At { pid: 812, tid: 813, fd: 5 };
        let by = Holder::Ring { at, slot: 9, file: Some(0xffff_8880_1234_5678) };
        let hold = Hold { object: ObjectId::map(7), by };
        assert_eq!(records, [Record::Held { hold, comm: "ab\u{1b}[31m\u{fffd}".to_owned() }]);
    }

    #[test]
    fn odd_ones_are_counted() {
        let mut bytes = record(99, 0, 0);
        bytes.extend(record(5, 1, 99));
        bytes.extend(record(5, 99, 1));
        bytes.extend(record(2, 0, 0));
        bytes.extend([0; 3]);
        let (records, odd) = parse(&bytes);
        assert_eq!((records.len(), odd), (1, 4));
    }
}

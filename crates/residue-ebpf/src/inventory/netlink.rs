//! Netlink: messages as bytes, taken apart and put together (include/uapi/linux/netlink.h), and dumps of lists.
//!
//! What the kernel sends is taken as foreign all the same: names of devices and filters are anybody's.

use std::fs::File;
use std::io::{Error, ErrorKind, Result, Write as _};

use crate::sys;

/// Bytes of an answer that are read at once: the kernel sends no more than 32 KiB.
const ANSWER_BYTES: usize = 64 << 10;
/// Answers to one question.
const ANSWERS_MAX: usize = 1 << 14;
/// How often a list is asked for again that has changed while it was told.
const TRIES_MAX: usize = 4;

const HEADER: usize = 16;
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
/// The list has changed while it was told.
const DUMP_INTERRUPTED: u16 = 0x10;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    pub(super) body: &'a [u8],
}

/// The messages of an answer, and whether the last one is cut off.
pub(super) fn messages(mut bytes: &[u8]) -> (Vec<Message<'_>>, bool) {
    let mut all = Vec::new();
    while let (Some(len), Some(kind), Some(flags), Some(sequence)) =
        (word(bytes, 0), half(bytes, 4), half(bytes, 6), word(bytes, 8))
    {
        let Some(body) = bytes.get(HEADER..len as usize) else { return (all, true) };
        all.push(Message { kind, flags, sequence, body });
        bytes = bytes.get(aligned(len as usize)..).unwrap_or_default();
    }
    (all, !bytes.is_empty())
}

/// Attributes with their types, without the flags of these; what is cut off ends them.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const TYPE: u16 = 0x3fff;
    std::iter::from_fn(move || {
        let (len, kind) = (usize::from(half(bytes, 0)?), half(bytes, 2)? & TYPE);
        let value = bytes.get(4..len)?;
        bytes = bytes.get(aligned(len)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The first attribute of a type.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// An attribute as bytes.
pub(super) fn written(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((4 + value.len() as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(aligned(bytes.len()), 0);
    bytes
}

const fn aligned(len: usize) -> usize {
    len.saturating_add(3) & !3
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// A socket of `NETLINK_ROUTE`: it belongs to the network namespace that it was made in.
pub(super) struct Route {
    socket: File,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Route {
    pub(super) fn open() -> Result<Self> {
        Ok(Self { socket: sys::route_socket()?, sequence: 0, buffer: vec![0; ANSWER_BYTES] })
    }

    /// A list that the kernel has: what is made of each message of it. Where it changes all the time, as it was told last.
    pub(super) fn dump<T>(&mut self, kind: u16, body: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Result<Vec<T>> {
        let mut list = Vec::new();
        for _ in 0..TRIES_MAX {
            let whole;
            (list, whole) = self.dump_once(kind, body, &read)?;
            if whole {
                break;
            }
        }
        Ok(list)
    }

    fn dump_once<T>(&mut self, kind: u16, body: &[u8], read: &impl Fn(&[u8]) -> Option<T>) -> Result<(Vec<T>, bool)> {
        self.sequence += 1;
        let mut request = Vec::new();
        request.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend((REQUEST | DUMP).to_ne_bytes());
        request.extend(self.sequence.to_ne_bytes());
        request.extend([0; 4]);
        request.extend(body);
        self.socket.write_all(&request)?;
        let (mut list, mut whole) = (Vec::new(), true);
        for _ in 0..ANSWERS_MAX {
            let len = match sys::receive(&self.socket, &mut self.buffer) {
                Ok(Some(len)) => len,
                Ok(None) => continue,
                // With a limit of time a read isn't begun again after a signal.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let (messages, cut) = messages(&self.buffer[..len]);
            if cut || messages.is_empty() {
                return Err(Error::from(ErrorKind::InvalidData));
            }
            for message in messages.iter().filter(|message| message.sequence == self.sequence) {
                whole &= message.flags & DUMP_INTERRUPTED == 0;
                match message.kind {
                    // Both begin with an error as a number below 0.
                    ERROR | DONE => {
                        return match word(message.body, 0).unwrap_or(0).cast_signed() {
                            code @ ..0 => Err(Error::from_raw_os_error(code.saturating_neg())),
                            _ => Ok((list, whole)),
                        };
                    }
                    _ => list.extend(read(message.body)),
                }
            }
        }
        Err(Error::other("the list is too long"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((16 + body.len() as u32).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    #[test]
    fn messages_are_taken_apart() {
        let bytes = [message(16, b"abcde"), message(3, &[0; 4])].concat();
        let (all, cut) = messages(&bytes);
        assert_eq!((all.len(), cut), (2, false));
        assert_eq!((all[0].kind, all[0].body, all[1].kind), (16, &b"abcde"[..], 3));
        let nested = [written(1, b"x"), written(2 | 0x8000, &written(9, &[1, 2, 3, 4]))].concat();
        assert_eq!(attribute(&nested, 1), Some(&b"x"[..]));
        assert_eq!(attribute(attribute(&nested, 2).expect("it is there"), 9), Some(&[1, 2, 3, 4][..]));
    }

    #[test]
    fn what_is_cut_off_ends_there() {
        let bytes = [message(16, b"abcde"), message(3, &[0; 4])].concat();
        for len in 0..bytes.len() {
            let (all, cut) = messages(&bytes[..len]);
            // The padding of the first is not missed.
            assert_eq!((all.len(), cut), (usize::from(len >= 21), len != 0 && !(21..=24).contains(&len)), "{len}");
        }
        let nested = [written(1, b"x"), written(2, b"yz")].concat();
        for len in 0..nested.len() {
            assert_eq!(attributes(&nested[..len]).count(), usize::from(len >= 5) + usize::from(len >= 14), "{len}");
        }
        // Lengths that are less than what they are written in, or more than there is.
        for len in [0_u32, 1, 15, 17, u32::MAX] {
            let bytes = [&len.to_ne_bytes()[..], &[0; 12]].concat();
            assert_eq!(messages(&bytes), (Vec::new(), true), "{len}");
        }
        for len in [0_u16, 3, 5, u16::MAX] {
            assert_eq!(attributes(&[&len.to_ne_bytes()[..], &[0; 2]].concat()).count(), 0, "{len}");
        }
    }
}

//! Memory that can be read and not be trusted.

/// Bytes that are read at once before it is known that there are any.
const AT_ONCE: usize = 1 << 20;

/// Memory of a target.
pub trait Memory {
    /// Reads from `address` on; says how many bytes could be had before something unreadable.
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize;

    /// Reads many ranges at once, each from its address into its buffer; says how much of each was had before something
    /// unreadable.
    fn read_many(&self, ranges: &mut [(u64, &mut [u8])]) -> Vec<usize> {
        ranges.iter_mut().map(|(address, buffer)| self.read(*address, buffer)).collect()
    }

    /// Reads up to `len` bytes. However many these are said to be, room is made for what there is only.
    fn read_up_to(&self, address: u64, len: usize) -> Vec<u8> {
        let mut buffer = Vec::new();
        while buffer.len() < len {
            let done = buffer.len();
            let Some(at) = address.checked_add(done as u64) else { break };
            buffer.resize(len.min(done.saturating_mul(2).max(AT_ONCE)), 0);
            let read = self.read(at, &mut buffer[done..]);
            if read < buffer.len() - done {
                buffer.truncate(done + read);
                break;
            }
        }
        buffer
    }
}

/// Numbers in memory.
pub trait MemoryExt {
    /// A word of 64 bits; none when it can't be read whole.
    fn word(&self, address: u64) -> Option<u64>;
    /// A byte.
    fn byte(&self, address: u64) -> Option<u8>;
}

impl<M: Memory + ?Sized> MemoryExt for M {
    fn word(&self, address: u64) -> Option<u64> {
        let mut buffer = [0; 8];
        (self.read(address, &mut buffer) == 8).then(|| u64::from_le_bytes(buffer))
    }

    fn byte(&self, address: u64) -> Option<u8> {
        let mut buffer = [0];
        (self.read(address, &mut buffer) == 1).then_some(buffer[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory that ends.
    struct Short(u64);

    impl Memory for Short {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            let len = buffer.len().min(self.0.saturating_sub(address) as usize);
            for (byte, at) in buffer[..len].iter_mut().zip(address..) {
                *byte = at as u8;
            }
            len
        }
    }

    #[test]
    fn room_is_made_for_what_there_is() {
        let is_read = |address: u64, len: usize| {
            let memory = Short(5 * AT_ONCE as u64 + 3);
            let read = memory.read_up_to(address, len);
            assert!(read.iter().zip(address..).all(|(byte, at)| *byte == at as u8));
            read.len()
        };
        assert_eq!((is_read(0, 0), is_read(7, 100), is_read(7, 2 * AT_ONCE)), (0, 100, 2 * AT_ONCE));
        // What no machine has.
        assert_eq!(is_read(7, 1 << 54), 5 * AT_ONCE - 4);
        assert_eq!(is_read(u64::MAX, 1 << 54), 0);
    }
}

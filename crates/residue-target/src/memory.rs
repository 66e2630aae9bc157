//! Memory that can be read and not be trusted.

/// Memory of a target.
pub trait Memory {
    /// Reads from `address` on; says how many bytes could be had before something unreadable.
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize;

    /// Reads many ranges at once, each from its address into its buffer; says how much of each was had before something
    /// unreadable.
    fn read_many(&self, ranges: &mut [(u64, &mut [u8])]) -> Vec<usize> {
        ranges.iter_mut().map(|(address, buffer)| self.read(*address, buffer)).collect()
    }

    /// Reads up to `len` bytes.
    fn read_up_to(&self, address: u64, len: usize) -> Vec<u8> {
        let mut buffer = vec![0; len];
        let read = self.read(address, &mut buffer);
        buffer.truncate(read);
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

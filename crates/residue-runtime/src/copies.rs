//! Copies of memory, fetched many at once.
//!
//! A goroutine is decoded as if all of its memory were here; what isn't is noted, fetched together with what others miss,
//! and the goroutine decoded again. So a thousand closures cost one call to the kernel, not a thousand, while threads are
//! stopped.

use std::cell::{Cell, RefCell};

use residue_target::{Memory, Target};
use rustc_hash::FxHashMap;

/// Bytes of copies that are kept.
const BYTES_MAX: usize = 64 << 20;

/// Memory of a target, by way of copies.
pub(crate) struct Copies<'a> {
    target: &'a Target,
    /// By address: how much was asked for, and what was had of it.
    known: RefCell<FxHashMap<u64, (usize, Vec<u8>)>>,
    missed: RefCell<Vec<(u64, usize)>>,
    bytes: Cell<usize>,
    direct: Cell<bool>,
}

impl<'a> Copies<'a> {
    pub(crate) fn new(target: &'a Target) -> Self {
        Self {
            target,
            known: RefCell::default(),
            missed: RefCell::default(),
            bytes: Cell::new(0),
            direct: Cell::new(false),
        }
    }

    /// Reads what isn't here from the target at once, or notes it.
    pub(crate) fn set_direct(&self, direct: bool) {
        self.direct.set(direct);
    }

    /// How many reads were missed since the last [`Copies::fetch`].
    pub(crate) fn missed(&self) -> usize {
        self.missed.borrow().len()
    }

    /// Fetches all that was missed.
    pub(crate) fn fetch(&self) {
        let mut missed = self.missed.take();
        // The longest of each address.
        missed.sort_unstable_by_key(|(address, len)| (*address, std::cmp::Reverse(*len)));
        missed.dedup_by_key(|(address, _)| *address);
        let found = self.target.read_many(&missed);
        self.bytes.set(self.bytes.get() + found.iter().map(Vec::len).sum::<usize>());
        let mut known = self.known.borrow_mut();
        known.extend(missed.into_iter().zip(found).map(|((address, len), bytes)| (address, (len, bytes))));
    }

    /// Takes copies that were made before: address and bytes, all that were asked for.
    pub(crate) fn adopt(&self, copies: &[(u64, Vec<u8>)]) {
        let copies = copies.iter().map(|(address, bytes)| (*address, (bytes.len(), bytes.clone())));
        self.known.borrow_mut().extend(copies);
    }

    /// Forgets copies when they are many.
    pub(crate) fn trim(&self) {
        if self.bytes.get() > BYTES_MAX {
            self.known.borrow_mut().clear();
            self.bytes.set(0);
        }
    }
}

impl Memory for Copies<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        if let Some((asked, bytes)) = self.known.borrow().get(&address)
            && *asked >= buffer.len()
        {
            let len = bytes.len().min(buffer.len());
            buffer[..len].copy_from_slice(&bytes[..len]);
            return len;
        }
        if self.direct.get() {
            return self.target.read(address, buffer);
        }
        self.missed.borrow_mut().push((address, buffer.len()));
        0
    }
}

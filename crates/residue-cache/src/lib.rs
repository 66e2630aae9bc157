//! What is kept between runs, so that what was analysed once need not be analysed again.
//!
//! A [`Store`] maps a [`Digest`] of everything that a result depends on to the result as bytes. [`DiskStore`] is a
//! directory, bounded in size; [`MemoryStore`] is for a process that lives on. A store may forget anything at any time
//! and never fails: what can't be read is absent, what can't be written is not kept.
//!
//! What is kept has shapes of its own ([`shape`]), encoded by [`encode`]. The types that the rest of the program works
//! with know nothing of it.

mod digest;
mod disk;
pub mod shape;
mod store;

pub use digest::{Digest, Digester};
pub use disk::{DiskStore, Usage};
pub use store::{MemoryStore, Store};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A shape as bytes; none where it has no such form, which means that it can't be kept.
pub fn encode<T: Serialize>(shape: &T) -> Option<Vec<u8>> {
    postcard::to_allocvec(shape).ok()
}

/// The shape that [`encode`] made bytes of; none where they are of something else.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (shape, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(shape)
}

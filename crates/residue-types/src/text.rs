//! Constant strings.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// Concatenations up to this many bytes are put together at once.
const WHOLE_BYTES_MAX: usize = 256;
/// Concatenations of concatenations deeper than this are put together, so that dropping one needs little stack.
const DEPTH_MAX: u32 = 1_000;

/// The bytes of a constant string. A long concatenation keeps its parts and is put together when it is read: generated
/// code concatenates thousands of literals, and each partial sum is a constant of its own.
#[derive(Clone, Debug)]
pub struct Text(Arc<Node>);

#[derive(Debug)]
struct Node {
    len: usize,
    depth: u32,
    parts: Option<(Text, Text)>,
    whole: OnceLock<Box<[u8]>>,
}

impl Text {
    /// These bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        let whole = bytes.into();
        Self(Arc::new(Node { len: whole.len(), depth: 0, parts: None, whole: OnceLock::from(whole) }))
    }

    /// `self + other`
    #[must_use]
    pub fn concat(&self, other: &Self) -> Self {
        let len = self.len() + other.len();
        let depth = self.0.depth.max(other.0.depth) + 1;
        let parts = Some((self.clone(), other.clone()));
        let sum = Self(Arc::new(Node { len, depth, parts, whole: OnceLock::new() }));
        if len <= WHOLE_BYTES_MAX || depth > DEPTH_MAX { Self::new(sum.bytes()) } else { sum }
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether empty.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// Whether not put together yet.
    pub(crate) fn is_concatenation(&self) -> bool {
        self.0.parts.is_some()
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.whole.get_or_init(|| {
            let mut out = Vec::with_capacity(self.0.len);
            let mut rest = vec![self];
            while let Some(text) = rest.pop() {
                match (text.0.whole.get(), &text.0.parts) {
                    (Some(whole), _) => out.extend_from_slice(whole),
                    (None, Some((left, right))) => rest.extend([right, left]),
                    (None, None) => {}
                }
            }
            out.into()
        })
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.len() == other.len() && self.bytes() == other.bytes())
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn a_long_concatenation_is_cheap_until_read() {
        let piece = Text::new(*b"0123456789abcdef");
        let mut sum = Text::new([]);
        for _ in 0..50_000 {
            sum = sum.concat(&piece);
        }
        assert_eq!(sum.len(), 800_000);
        assert!(sum.bytes().chunks(16).all(|chunk| chunk == piece.bytes()));
    }

    #[test]
    fn equal_bytes_are_equal_texts() {
        let long = Text::new([b'x'; 400]);
        let sum = Text::new([b'x'; 150]).concat(&Text::new([b'x'; 250]));
        assert!(sum.is_concatenation());
        assert_eq!(sum, long);
        assert_ne!(sum, Text::new([b'y'; 400]));
    }
}

//! Digests: what two runs agree on.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of something.
///
/// A collision would let one file pass for another, and whoever proposes a change could hide a finding by it. So this is
/// a cryptographic digest and is not shortened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest as bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest of such bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes a digest of parts. Parts of variable length go in with their length, so that no two lists of parts read the
/// same.
pub struct Digester(Sha256);

impl Digester {
    /// Starts a digest of a kind of thing: those of different kinds never agree.
    pub fn new(kind: &str) -> Self {
        let mut digester = Self(Sha256::new());
        digester.text(kind);
        digester
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
        self
    }

    /// Adds a text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(number.to_le_bytes());
        self
    }

    /// Adds whether something holds.
    pub fn flag(&mut self, flag: bool) -> &mut Self {
        self.0.update([u8::from(flag)]);
        self
    }

    /// Adds a digest.
    pub fn digest(&mut self, digest: Digest) -> &mut Self {
        self.0.update(digest.0);
        self
    }

    /// Adds texts, as many as there are.
    pub fn texts<T: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = T>) -> &mut Self {
        for text in texts {
            self.flag(true).text(text.as_ref());
        }
        self.flag(false)
    }

    /// Adds numbers, as many as there are.
    pub fn numbers(&mut self, numbers: impl IntoIterator<Item = u64>) -> &mut Self {
        for number in numbers {
            self.flag(true).number(number);
        }
        self.flag(false)
    }

    /// Adds a text, or that there is none.
    pub fn maybe(&mut self, text: Option<&str>) -> &mut Self {
        self.texts(text)
    }

    /// The digest of what was added.
    pub fn finish(&mut self) -> Digest {
        Digest(self.0.clone().finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let of = |parts: &[&str]| Digester::new("test").texts(parts).finish();
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        let all = [&["a", "b"][..], &["ab"], &["ab", ""], &["", "ab"], &[], &[""], &["b", "a"]];
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| of(one) != of(other)), "{one:?}");
        }
        assert_ne!(Digester::new("a").finish(), Digester::new("b").finish());
    }

    #[test]
    fn it_is_sha_256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
    }
}

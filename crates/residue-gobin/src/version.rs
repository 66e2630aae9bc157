//! Go versions as the tool chain writes them.

use std::fmt;

/// A release of Go: `go1.26.6`, `go1.27rc1`, `go1.24.11 X:boringcrypto`, `devel go1.28-0a1b2c3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoVersion {
    text: String,
    /// Major, minor, patch; a release candidate counts as the release.
    numbers: (u32, u32, u32),
    /// It is a development version, a pre-release, or has been changed by whoever distributes it.
    unofficial: bool,
}

impl GoVersion {
    /// Reads a version; what isn't one has the numbers 0.0.0.
    pub fn parse(text: &str) -> Self {
        let text: String = text.chars().take(256).collect();
        let first = text.split_whitespace().find(|word| word.starts_with("go")).unwrap_or_default();
        let rest = first.strip_prefix("go").unwrap_or_default();
        let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        let mut numbers = rest[..end].split('.').map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        let numbers = (next(), next(), next());
        let unofficial = end != rest.len() || text.starts_with("devel");
        Self { text, numbers, unofficial }
    }

    /// Major, minor and patch.
    pub fn numbers(&self) -> (u32, u32, u32) {
        self.numbers
    }

    /// Whether it is a release as published: only these have layouts that can be looked up.
    pub fn is_release(&self) -> bool {
        !self.unofficial && self.numbers.0 > 0
    }
}

impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let read = |text| {
            let version = GoVersion::parse(text);
            (version.numbers(), version.is_release())
        };
        assert_eq!(read("go1.26.6"), ((1, 26, 6), true));
        assert_eq!(read("go1.21"), ((1, 21, 0), true));
        assert_eq!(read("go1.24.11 X:boringcrypto"), ((1, 24, 11), true));
        assert_eq!(read("go1.27rc1"), ((1, 27, 0), false));
        assert_eq!(read("devel go1.28-0a1b2c3 Tue"), ((1, 28, 0), false));
        assert_eq!(read("go1.22.5-custom"), ((1, 22, 5), false));
        assert_eq!(read("devel +0a1b2c3"), ((0, 0, 0), false));
        assert_eq!(read("go99999999999999.1"), ((0, 1, 0), false));
        assert_eq!(read(""), ((0, 0, 0), false));
    }
}

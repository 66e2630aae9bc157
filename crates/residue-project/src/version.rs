//! Go language versions.

use std::fmt;

/// A language version, `1.22`. Patch releases and pre-releases speak the language of their minor version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GoVersion {
    /// `1` of `1.22`.
    pub major: u16,
    /// `22` of `1.22`.
    pub minor: u16,
}

impl GoVersion {
    /// What a module without a `go` line speaks.
    pub const WITHOUT_GO_LINE: Self = Self::new(1, 16);

    /// The first version whose files may choose an older language with `//go:build go1.N`.
    pub const FIRST_PER_FILE: Self = Self::new(1, 21);

    /// Makes a version.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// The language of a tool chain by its name: `go1.22.1`, `go1.22.1-custom`.
    pub(crate) fn of_toolchain(name: &str) -> Option<Self> {
        let release = name.strip_prefix("go").filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))?;
        Self::parse(release.split_once('-').map_or(release, |(release, _)| release))
    }

    /// Reads `1.22`, `1.22.3`, `1.22rc1` and the same after `go`; nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("go").unwrap_or(text);
        let (major, rest) = number(text)?;
        if rest.is_empty() {
            return Some(Self::new(major, 0));
        }
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        let known_tail = match rest.as_bytes().first() {
            None => true,
            Some(b'.') => is_patch(&rest[1..]),
            Some(_) => ["rc", "beta", "alpha"].iter().any(|kind| rest.strip_prefix(kind).is_some_and(is_number)),
        };
        known_tail.then_some(Self::new(major, minor))
    }
}

/// `3`, `3-custom` or `3rc1`, what may follow `1.22.`.
fn is_patch(text: &str) -> bool {
    number(text).is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with(['-', '+']) || rest.starts_with("rc"))
}

fn is_number(text: &str) -> bool {
    number(text).is_some_and(|(_, rest)| rest.is_empty())
}

/// Splits a decimal number without leading zeros off the front.
fn number(text: &str) -> Option<(u16, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let digits = &text[..end];
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().ok()?, &text[end..]))
}

impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "go{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::GoVersion;

    #[test]
    fn reads_what_go_writes_and_nothing_else() {
        let v = |minor| Some(GoVersion::new(1, minor));
        for (text, want) in [
            ("1.22", v(22)),
            ("go1.22", v(22)),
            ("1.22.3", v(22)),
            ("1.22rc1", v(22)),
            ("1.9beta2", v(9)),
            ("1.27.3-custom", v(27)),
            ("1", v(0)),
            ("", None),
            ("1.", None),
            ("1.022", None),
            ("1.22x", None),
            ("1.22.", None),
            ("v1.22", None),
            ("1.99999999", None),
        ] {
            assert_eq!(GoVersion::parse(text), want, "{text}");
        }
    }

    #[test]
    fn reads_names_of_tool_chains() {
        for (name, want) in [
            ("go1.22.1", Some(22)),
            ("go1.22", Some(22)),
            ("go1.23rc1", Some(23)),
            ("go1.21.0-custom.2", Some(21)),
            ("1.22.1", None),
            ("gogo1.22", None),
            ("go-custom", None),
            ("local", None),
        ] {
            assert_eq!(GoVersion::of_toolchain(name), want.map(|minor| GoVersion::new(1, minor)), "{name}");
        }
    }

    #[test]
    fn orders_by_number() {
        assert!(GoVersion::new(1, 9) < GoVersion::new(1, 10));
        assert_eq!(GoVersion::new(1, 22).to_string(), "go1.22");
    }
}

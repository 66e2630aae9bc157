//! Paths as code hosts name them: relative to the root of the repository, not to the directory of the run.

use std::fmt::Write as _;

/// Where a run took place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// The working directory, absolute, with `/` between its parts. Displayed paths below it are relative to it.
    pub dir: &'a str,
    /// The root of the repository around it, in the same form.
    pub root: &'a str,
}

/// A path seen from the root of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Located {
    /// Relative to the root.
    Inside(String),
    /// Absolute.
    Outside(String),
}

impl Place<'_> {
    /// Where the file is that the report calls `path`.
    pub(crate) fn locate(&self, path: &str) -> Located {
        let root = self.root.trim_end_matches('/');
        let below = |path: &str| Some(path.strip_prefix(root)?.strip_prefix('/')?.to_owned());
        if path.starts_with('/') || path.get(1..3) == Some(":/") {
            return match below(path).filter(|_| !root.is_empty()) {
                Some(inside) => Located::Inside(inside),
                None => Located::Outside(path.to_owned()),
            };
        }
        match below(self.dir) {
            Some(dir) if !dir.is_empty() => Located::Inside(format!("{}/{path}", dir.trim_end_matches('/'))),
            _ => Located::Inside(path.to_owned()),
        }
    }

    /// The path to print where only a path is understood.
    pub(crate) fn path(&self, path: &str) -> String {
        match self.locate(path) {
            Located::Inside(path) | Located::Outside(path) => path,
        }
    }
}

/// A path as a reference in the sense of RFC 3986: whatever is not unreserved or `/` is percent-encoded, so that neither a
/// colon nor a control character means anything.
pub(crate) fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~' | b'+' | b'@') {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_root() {
        let inside = |path: &str| Located::Inside(path.to_owned());
        let below = Place { dir: "/r/sub/x", root: "/r" };
        assert_eq!(below.locate("a/b.go"), inside("sub/x/a/b.go"));
        assert_eq!(below.locate("/r/other/b.go"), inside("other/b.go"));
        assert_eq!(below.locate("/rest/b.go"), Located::Outside("/rest/b.go".to_owned()));
        assert_eq!(Place { dir: "/r", root: "/r" }.locate("a.go"), inside("a.go"));
        assert_eq!(Place { dir: "/a", root: "/" }.locate("b.go"), inside("a/b.go"));
        assert_eq!(Place::default().locate("a.go"), inside("a.go"));
        assert_eq!(Place::default().locate("/a.go"), Located::Outside("/a.go".to_owned()));
        assert_eq!(Place { dir: "D:/r/s", root: "D:/r" }.locate("D:/r/a.go"), inside("a.go"));
    }

    #[test]
    fn references_have_no_special_characters() {
        assert_eq!(uri("a b/c:d%2e.go"), "a%20b/c%3Ad%252e.go");
        assert_eq!(uri("größe\n\u{202e}[x]?#.go"), "gr%C3%B6%C3%9Fe%0A%E2%80%AE%5Bx%5D%3F%23.go");
    }
}

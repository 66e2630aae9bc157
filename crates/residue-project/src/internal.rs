//! `internal` directories: what lies in one may be imported below its parent only.
//!
//! A refused import is still resolved: that the go command would not build the program makes it no less readable.

use crate::paths::below;

/// The import path of the parent of the last `internal` in a path; empty where the path begins with it.
pub(crate) fn parent(path: &str) -> Option<&str> {
    if let Some(at) = path.rfind("/internal/") {
        return Some(&path[..at]);
    }
    if let Some(parent) = path.strip_suffix("/internal") {
        return Some(parent);
    }
    below(path, "internal").map(|_| "")
}

/// Whether a package may import another one. An empty parent is the root of a tree: who is in it is not told by paths.
pub(crate) fn allows(importer: &str, imported: &str, same_tree: bool) -> bool {
    match parent(imported) {
        None => true,
        Some("") => same_tree,
        Some(parent) => below(importer, parent).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::{allows, parent};

    #[test]
    fn finds_the_parent() {
        for (path, want) in [
            ("a/internal/b", Some("a")),
            ("a/internal", Some("a")),
            ("a/internal/b/internal/c", Some("a/internal/b")),
            ("internal/abi", Some("")),
            ("internal", Some("")),
            ("a/internals/b", None),
            ("a/xinternal/b", None),
            ("internally/b", None),
            ("fmt", None),
        ] {
            assert_eq!(parent(path), want, "{path}");
        }
    }

    #[test]
    fn what_lies_below_the_parent_may_import() {
        assert!(allows("a", "a/internal/b", false) && allows("a/x/y", "a/internal", false));
        assert!(allows("a/internal/c", "a/internal/b", false) && allows("x", "fmt", false));
        assert!(!allows("ab", "a/internal/b", true) && !allows("b", "a/internal", true));
        assert!(allows("fmt", "internal/abi", true) && !allows("m", "internal/abi", false));
    }
}

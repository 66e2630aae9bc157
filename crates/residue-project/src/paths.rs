//! Paths: of modules and packages as Go writes them, and of files as they are shown.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Whether an import path may be looked up at all: Go's letters, no empty, `.` or `..` element. What passes cannot lead
/// out of the directory that it is joined to.
pub(crate) fn is_import_path(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(is_element)
}

fn is_element(element: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~+".contains(&b);
    // Go's std and GOPATH code may use other letters; separators and controls stay out.
    let letter = |c: char| if c.is_ascii() { plain(c as u8) } else { c.is_alphanumeric() };
    !element.is_empty() && element != "." && element != ".." && element.chars().all(letter)
}

/// Whether a module version may be looked up: it becomes part of a path too.
pub(crate) fn is_version(version: &str) -> bool {
    version.starts_with('v') && version.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._+".contains(&b))
}

/// A path or version as the module cache spells it: `!a` for `A`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            out.push('!');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The rest of `path` below `prefix`, both with `/` between elements; empty where they are equal.
pub(crate) fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// Joins a `/`-separated path.
pub(crate) fn join(dir: &Path, rest: &str) -> PathBuf {
    let mut path = dir.to_path_buf();
    path.extend(rest.split('/').filter(|part| !part.is_empty()));
    path
}

/// Joins two import paths, either of which may be empty.
pub(crate) fn join_import(prefix: &str, rest: &str) -> String {
    match (prefix.is_empty(), rest.is_empty()) {
        (_, true) => prefix.to_owned(),
        (true, false) => rest.to_owned(),
        (false, false) => format!("{prefix}/{rest}"),
    }
}

/// Resolves `.` and `..` by the text of the path alone.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    out.push("..");
                }
            }
            part => out.push(part),
        }
    }
    out
}

/// The elements of a relative path, `/` between them; what is not UTF-8 is replaced.
pub(crate) fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

/// A path as it is shown: relative to the working directory where it lies below it.
pub(crate) fn display(path: &Path, dir: &Path) -> Arc<str> {
    match path.strip_prefix(dir) {
        Ok(rest) if rest.as_os_str().is_empty() => ".".into(),
        Ok(rest) => slashed(rest).into(),
        // Elsewhere a backslash is part of a name.
        Err(_) if cfg!(windows) => path.to_string_lossy().replace('\\', "/").into(),
        Err(_) => path.to_string_lossy().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_paths_cannot_lead_out() {
        for good in ["fmt", "net/http", "example.com/a-b/v2", "a.b/~c/d_e+f", "ünï/x"] {
            assert!(is_import_path(good), "{good}");
        }
        for bad in ["", ".", "..", "./a", "../a", "a/../b", "/a", "a//b", "a/", "a\\b", "a b", "a\0", "C:/x", "a\nb"] {
            assert!(!is_import_path(bad), "{bad}");
        }
        assert!(is_version("v1.2.3-0.20200101000000-aaaa+incompatible"));
        assert!(!is_version("v1/../../x") && !is_version("latest"));
    }

    #[test]
    fn spells_paths() {
        assert_eq!(escape("github.com/BurntSushi/toml"), "github.com/!burnt!sushi/toml");
        assert_eq!((below("a/b", "a"), below("a", "a"), below("ab", "a")), (Some("b"), Some(""), None));
        assert_eq!(join_import("a", "b") + &join_import("", "c") + &join_import("d", ""), "a/bcd");
        assert_eq!(clean(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(&*display(Path::new("/w/a/b.go"), Path::new("/w")), "a/b.go");
        assert_eq!(&*display(Path::new("/w"), Path::new("/w")), ".");
        assert_eq!(&*display(Path::new("/x/b.go"), Path::new("/w")), "/x/b.go");
    }
}

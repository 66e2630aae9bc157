//! Paths: how they are shown, and which repository they lie in.

use std::path::{Path, PathBuf};

/// A path as it is shown: relative to the working directory where it lies below it, `/` between its parts.
pub(crate) fn shown(path: &Path, dir: &Path) -> String {
    slashed(path.strip_prefix(dir).unwrap_or(path))
}

/// A path with `/` between its parts, whatever the system writes.
pub(crate) fn slashed(path: &Path) -> String {
    let text = path.display().to_string();
    if cfg!(windows) { text.replace('\\', "/") } else { text }
}

/// The repository around a directory: the nearest directory upward that is under version control, else itself.
pub(crate) fn repository(dir: &Path) -> PathBuf {
    let controlled = |dir: &&Path| [".git", ".hg", ".svn", ".jj"].iter().any(|name| dir.join(name).exists());
    dir.ancestors().find(controlled).unwrap_or(dir).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_from_the_working_directory() {
        assert_eq!(shown(Path::new("/w/a/b.go"), Path::new("/w")), "a/b.go");
        assert_eq!(shown(Path::new("/x/b.go"), Path::new("/w")), "/x/b.go");
    }

    #[test]
    fn a_repository_is_found_upward() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let below = dir.path().join("a/b");
        std::fs::create_dir_all(&below).expect("it is writable");
        assert_eq!(repository(&below), below);
        std::fs::create_dir(dir.path().join("a/.git")).expect("it is writable");
        assert_eq!(repository(&below), dir.path().join("a"));
    }
}

//! Paths: how they are shown, and which repository they lie in.

use std::path::{Component, Path, PathBuf};

/// A path as it is shown: relative to the working directory where it lies below it, `/` between its parts.
pub(crate) fn shown(path: &Path, dir: &Path) -> String {
    slashed(path.strip_prefix(dir).unwrap_or(path))
}

/// A path with `/` between its parts, whatever the system writes.
pub(crate) fn slashed(path: &Path) -> String {
    let text = path.display().to_string();
    if cfg!(windows) { text.replace('\\', "/") } else { text }
}

/// The repository around a directory: the nearest directory upward that is under version control, else with a `go.work`,
/// else with a `go.mod`, else itself.
pub(crate) fn repository(dir: &Path) -> PathBuf {
    let nearest = |name: &str| dir.ancestors().find(|dir| dir.join(name).exists()).map(Path::to_owned);
    let found = controlled(dir).or_else(|| nearest("go.work")).or_else(|| nearest("go.mod"));
    found.unwrap_or_else(|| dir.to_owned())
}

/// The nearest directory upward that is under version control.
pub(crate) fn controlled(dir: &Path) -> Option<PathBuf> {
    let controlled = |dir: &&Path| [".git", ".hg", ".svn", ".jj"].iter().any(|name| dir.join(name).exists());
    dir.ancestors().find(controlled).map(Path::to_owned)
}

/// Whether a path, links followed as far as it exists, lies in a directory.
pub(crate) fn is_inside(path: &Path, dir: &Path) -> bool {
    let Ok(dir) = dir.canonicalize() else { return false };
    let Some(there) = path.ancestors().find(|path| path.exists()) else { return false };
    let rest = path.strip_prefix(there).unwrap_or(path);
    let plain = rest.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    plain && there.canonicalize().is_ok_and(|real| real.starts_with(&dir))
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
    fn links_do_not_lead_out() {
        let (dir, outside) = (tempfile::tempdir().expect("for the test"), tempfile::tempdir().expect("for the test"));
        let inside = |path: &str| is_inside(&dir.path().join(path), dir.path());
        std::fs::create_dir(dir.path().join("a")).expect("it is writable");
        assert!(inside("a") && inside("a/new.toml") && inside("new/new.toml") && inside("a/../b"));
        assert!(!inside("..") && !inside("../x") && !inside("new/../../x") && !inside("/etc"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).expect("links can be made");
            assert!(!inside("link") && !inside("link/new.toml"));
        }
        drop(outside);
    }

    #[test]
    fn a_repository_is_found_upward() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let below = dir.path().join("a/b");
        std::fs::create_dir_all(&below).expect("it is writable");
        assert_eq!(repository(&below), below);
        std::fs::write(below.join("go.mod"), "").expect("it is writable");
        std::fs::write(dir.path().join("go.work"), "").expect("it is writable");
        assert_eq!(repository(&below), dir.path());
        std::fs::create_dir(dir.path().join("a/.git")).expect("it is writable");
        assert_eq!(repository(&below), dir.path().join("a"));
    }
}

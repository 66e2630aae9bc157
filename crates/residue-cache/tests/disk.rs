//! A directory as a store: what others may have done to it, runs at the same time, and its size.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "tests write files, and fail where they can't")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use residue_cache::{Digest, DiskStore, Store as _, Usage};
use tempfile::TempDir;

const ENOUGH: u64 = 1 << 30;

fn key(number: u32) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a directory for the test")
}

/// The file of an entry.
fn file(dir: &Path, number: u32) -> PathBuf {
    dir.join(key(number).to_string())
}

fn set_used(path: &Path, ago: Duration) {
    let file = File::options().write(true).open(path).expect("the entry is there");
    file.set_modified(SystemTime::now() - ago).expect("times can be set");
}

#[test]
fn what_is_put_is_there_for_others() {
    let dir = temporary();
    let path = dir.path().join("a/b");
    let store = DiskStore::new(&path, ENOUGH);
    assert_eq!((store.get(key(1)), path.exists()), (None, false), "made when there is something to keep");
    store.put(key(1), b"one");
    store.put(key(2), b"");
    store.put(key(1), b"uno");
    let other = DiskStore::new(&path, ENOUGH);
    assert_eq!((other.get(key(1)), other.get(key(2))), (Some(b"uno".to_vec()), Some(Vec::new())));
    assert_eq!(other.usage().expect("it can be listed"), Usage { entries: 2, bytes: 8192 });
    assert_eq!((store.trouble(), other.trouble()), (None, None));
    assert!(path.join("CACHEDIR.TAG").exists());
}

#[test]
fn an_entry_with_any_byte_changed_is_none() {
    let dir = temporary();
    let store = DiskStore::new(dir.path(), ENOUGH);
    store.put(key(1), b"what was found");
    let good = fs::read(file(dir.path(), 1)).expect("it is a file");
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            fs::write(file(dir.path(), 1), bad).expect("it is writable");
            assert_eq!(store.get(key(1)), None, "bit {bit} of byte {at}");
        }
        fs::write(file(dir.path(), 1), &good[..at]).expect("it is writable");
        assert_eq!(store.get(key(1)), None, "cut off at {at}");
    }
    fs::write(file(dir.path(), 1), [&good[..], b"x"].concat()).expect("it is writable");
    assert_eq!(store.get(key(1)), None, "one byte more");
    fs::write(file(dir.path(), 2), &good).expect("it is writable");
    assert_eq!(store.get(key(2)), None, "another key's");
    fs::write(file(dir.path(), 1), &good).expect("it is writable");
    assert_eq!(store.get(key(1)), Some(b"what was found".to_vec()));
    assert_eq!(store.trouble(), None, "nothing to be told of");
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_no_entry() {
    let (dir, outside) = (temporary(), temporary());
    let store = DiskStore::new(dir.path(), ENOUGH);
    store.put(key(1), b"one");
    let moved = outside.path().join("one");
    fs::rename(file(dir.path(), 1), &moved).expect("it can be moved");
    std::os::unix::fs::symlink(&moved, file(dir.path(), 1)).expect("links can be made");
    std::os::unix::fs::symlink(file(dir.path(), 2), file(dir.path(), 2)).expect("links can be made");
    fs::create_dir(file(dir.path(), 3)).expect("it is writable");
    let status = std::process::Command::new("mkfifo").arg(file(dir.path(), 4)).status().expect("mkfifo runs");
    assert!(status.success());
    let huge = File::create(file(dir.path(), 5)).expect("it is writable");
    huge.set_len(1 << 40).expect("a file with a hole");
    for number in 1..=5 {
        assert_eq!(store.get(key(number)), None, "{number}");
    }
    // Links are replaced, not written through.
    store.put(key(1), b"uno");
    assert_eq!(store.get(key(1)), Some(b"uno".to_vec()));
    assert!(!fs::read(&moved).expect("it is a file").ends_with(b"uno"));
    // A directory can't be; nobody fails.
    store.put(key(3), b"three");
    assert_eq!(store.get(key(3)), None);
    assert!(store.trouble().is_some());
    let fresh = DiskStore::new(dir.path(), 4096);
    fresh.put(key(6), b"six");
    fresh.trim();
    assert!(moved.exists() && file(dir.path(), 3).exists(), "what lies elsewhere or is no file stays");
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_written_is_done_without() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = temporary();
    let path = dir.path().join("cache");
    DiskStore::new(&path, ENOUGH).put(key(1), b"one");
    // A file where a directory should be: for every user, root included.
    let blocked = DiskStore::new(path.join("CACHEDIR.TAG/below"), ENOUGH);
    blocked.put(key(1), b"one");
    blocked.trim();
    assert_eq!(blocked.get(key(1)), None);
    assert!(blocked.trouble().is_some_and(|trouble| trouble.contains("CACHEDIR.TAG/below")));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o500)).expect("it is ours");
    let store = DiskStore::new(&path, ENOUGH);
    assert_eq!(store.get(key(1)), Some(b"one".to_vec()), "what is there is used");
    store.put(key(2), b"two");
    // Root may write all the same.
    assert_eq!(store.get(key(2)).is_none(), store.trouble().is_some());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it is ours");
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let dir = temporary();
    let store = DiskStore::new(dir.path(), 10 * 4096);
    for number in 0..10 {
        store.put(key(number), &[0; 100]);
        set_used(&file(dir.path(), number), Duration::from_secs(86_400 * u64::from(20 - number)));
    }
    assert!(store.get(key(0)).is_some(), "which is written down");
    store.trim();
    assert_eq!(store.usage().expect("it can be listed").entries, 10, "they fit");
    store.put(key(10), &[0; 5000]);
    store.trim();
    let left: Vec<u32> = (0..=10).filter(|&number| store.get(key(number)).is_some()).collect();
    assert_eq!(left, [0, 4, 5, 6, 7, 8, 9, 10], "12 blocks are too many, 9 are fine");
}

#[test]
fn what_a_killed_run_left_goes_and_other_files_stay() {
    let dir = temporary();
    let store = DiskStore::new(dir.path(), ENOUGH);
    store.put(key(1), b"one");
    let unfinished = |name: &str| dir.path().join(format!("{}.{name}.new", key(1)));
    for (name, age) in [("old", 7200), ("young", 60)] {
        fs::write(unfinished(name), b"resid").expect("it is writable");
        set_used(&unfinished(name), Duration::from_secs(age));
    }
    fs::write(dir.path().join("notes.txt"), b"mine").expect("it is writable");
    store.trim();
    assert!(!unfinished("old").exists() && unfinished("young").exists());
    assert_eq!(store.clear().expect("it is ours").entries, 1);
    assert!(!unfinished("young").exists() && dir.path().join("notes.txt").exists());
    fs::remove_file(dir.path().join("notes.txt")).expect("it is ours");
    store.clear().expect("it is ours");
    assert!(!dir.path().exists());
    assert_eq!(store.clear().expect("nothing is fine"), Usage::default());
}

#[cfg(unix)]
#[test]
fn what_belongs_to_others_is_neither_read_nor_dropped_nor_in_the_way() {
    let dir = temporary();
    let store = DiskStore::new(dir.path(), 4096);
    for number in 0..4 {
        store.put(key(number), b"found");
    }
    let unfinished = dir.path().join(format!("{}.theirs.new", key(0)));
    fs::write(&unfinished, b"resid").expect("it is writable");
    // Not a file, and of a name that would be removed.
    fs::create_dir(dir.path().join(format!("{}.dir.new", key(0)))).expect("it is writable");
    set_used(&unfinished, Duration::from_hours(2));
    // Only root can give files away; others see the rest.
    let theirs = [file(dir.path(), 0), file(dir.path(), 1), unfinished];
    let given = theirs.iter().all(|path| std::os::unix::fs::chown(path, Some(65_534), None).is_ok());
    store.trim();
    assert_eq!(store.trouble(), None);
    if given {
        assert!(theirs.iter().all(|path| path.exists()));
        assert_eq!([0, 1].map(|number| store.get(key(number))), [None, None]);
        assert_eq!(store.usage().expect("it can be listed").entries, 0, "two blocks were too many");
    }
    assert_eq!(store.trouble(), None);
    store.clear().expect("what is ours can be removed");
    assert!(dir.path().exists());
}

#[test]
fn writers_and_readers_at_the_same_time_see_whole_entries() {
    let dir = temporary();
    let value = |writer: u8| vec![writer; 10_000 + usize::from(writer)];
    std::thread::scope(|scope| {
        for writer in 0..4u8 {
            let path = dir.path();
            scope.spawn(move || {
                let store = DiskStore::new(path, 64 << 10);
                for round in 0..100 {
                    store.put(key(round % 7), &value(writer));
                    if let Some(read) = store.get(key(round % 5)) {
                        assert!(read.first().is_some_and(|&by| read == value(by)), "whole, of one writer");
                    }
                    if round % 10 == 0 {
                        store.trim();
                    }
                }
                assert_eq!(store.trouble(), None);
            });
        }
    });
    let unfinished = fs::read_dir(dir.path()).expect("it can be listed").flatten();
    let unfinished = unfinished.filter(|entry| entry.file_name().to_string_lossy().ends_with(".new"));
    assert_eq!(unfinished.count(), 0);
}

//! What is kept between runs: that it is used, that it makes no difference, and that nobody can plant anything in it.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "tests write files, and fail where they can't")]

mod common;

use std::path::Path;
use std::process::Output;

use common::{code, err, leak, leaks, module, out, residue, run, write};
use tempfile::TempDir;

fn cache() -> TempDir {
    tempfile::tempdir().expect("a directory for the test")
}

/// Two packages, one using the other, and one alone; each leaks.
fn tree() -> TempDir {
    let user = format!(
        "package user\n\nimport (\n\t\"os\"\n\n\t\"example.com/m/data\"\n)\n\n{}\nfunc Use() {{\n\tdata.Read(\"x\")\n}}\n",
        leak("User")
    );
    let read = "package data\n\nimport \"os\"\n\nfunc Read(name string) {\n\tf, err := os.Open(name)\n\
                \tif err == nil {\n\t\tf.Close()\n\t}\n}\n";
    module(&[
        ("data/read.go", read),
        ("data/data.go", &leaks(&["Data"])),
        ("user/user.go", &user),
        ("alone/alone.go", &leaks(&["Alone"]).replace("package data", "package alone")),
    ])
}

fn cached(dir: &Path, cache: &Path, args: &[&str]) -> Output {
    let mut command = residue(dir);
    command.args(["check", "--cache-dir"]).arg(cache).args(args);
    command.output().expect("the program starts")
}

/// What `--stats` counts.
fn counted(output: &Output, what: &str) -> u64 {
    let text = err(output);
    let line = text.lines().find(|line| line.ends_with(&format!("  {what}")));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("{what} in {text}"))
}

/// How many packages a run analyses; its report has to be that of one without a cache.
fn analysed(dir: &Path, cache: &Path, args: &[&str]) -> u64 {
    let with_stats = cached(dir, cache, &[&["--stats"], args].concat());
    let whole = run(dir, &[&["check", "--no-cache"], args].concat());
    assert_eq!((out(&with_stats), code(&with_stats)), (out(&whole), code(&whole)));
    // Now it is taken from the cache as a whole.
    let again = cached(dir, cache, args);
    assert_eq!((out(&again), code(&again)), (out(&whole), code(&whole)));
    let talk = |output: &Output| err(output).split(" (").next().unwrap_or_default().to_owned();
    assert_eq!(talk(&again), talk(&whole));
    let again = cached(dir, cache, &[&["--stats"], args].concat());
    assert_eq!(counted(&again, "packages analysed"), 0);
    counted(&with_stats, "packages analysed")
}

#[test]
fn only_what_depends_on_a_change_is_analysed_again() {
    let (dir, cache) = (tree(), cache());
    let (dir, cache) = (dir.path(), cache.path());
    assert_eq!(analysed(dir, cache, &[]), 3);
    assert_eq!(analysed(dir, cache, &[]), 0);
    assert_eq!(analysed(dir, cache, &["--format", "sarif"]), 0, "formats are made anew");
    write(dir, "alone/alone.go", &leaks(&["Alone", "Another"]).replace("package data", "package alone"));
    assert_eq!(analysed(dir, cache, &[]), 1);
    write(dir, "data/data.go", &leaks(&["Data"]).replace("make([]byte, 1)", "make([]byte, 2)"));
    assert_eq!(analysed(dir, cache, &[]), 1, "nothing else is known of it now");
    write(dir, "data/data.go", &leaks(&["Data", "More"]));
    assert_eq!(analysed(dir, cache, &[]), 2, "who imports it may see what is new");
    write(dir, "README.md", "no Go\n");
    assert_eq!(analysed(dir, cache, &[]), 0);
    std::fs::remove_file(dir.join("data/data.go")).expect("it is there");
    assert_eq!(analysed(dir, cache, &[]), 2);
    write(dir, "go.mod", "module example.com/m\n\ngo 1.21\n");
    assert_eq!(analysed(dir, cache, &[]), 3);
    assert_eq!(analysed(dir, cache, &["--tags", "x"]), 3);
    assert_eq!(analysed(dir, cache, &["--platform", "linux/amd64", "--platform", "windows/amd64"]), 6 - 3);
    assert_eq!(analysed(dir, cache, &["--rule", "R201"]), 3);
    write(dir, ".residue.toml", "exclude = [\"alone\"]\n");
    assert_eq!(analysed(dir, cache, &[]), 0, "two packages are left, as they were");
    write(dir, "model.toml", "[[package]]\npath = \"os\"\nborrows = [\"Stat\"]\n");
    assert_eq!(analysed(dir, cache, &["--model", "model.toml"]), 2);
    write(dir, "model.toml", "[[package]]\npath = \"os\"\nborrows = [\"Lstat\"]\n");
    assert_eq!(analysed(dir, cache, &["--model", "model.toml"]), 2);
}

#[test]
fn an_edit_that_leaves_the_time_as_it_was_is_seen() {
    let (dir, cache) = (tree(), cache());
    let (dir, cache) = (dir.path(), cache.path());
    let path = dir.join("alone/alone.go");
    let set = |time: std::time::SystemTime| {
        let file = std::fs::File::options().write(true).open(&path).expect("it is there");
        file.set_modified(time).expect("times can be set");
    };
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    set(long_ago);
    assert_eq!(analysed(dir, cache, &[]), 3);
    let text = std::fs::read_to_string(&path).expect("it is there");
    std::fs::write(&path, text.replace("Alone", "Other")).expect("it is writable");
    set(long_ago);
    assert_eq!(analysed(dir, cache, &[]), 1, "the same length, the same time");
}

#[test]
fn what_the_day_decides_is_decided_each_day() {
    let (dir, cache) = (tree(), cache());
    let (dir, cache) = (dir.path(), cache.path());
    let text =
        leaks(&["Data"]).replace("os.Open(\"Data\")", "os.Open(\"Data\") //residue:ignore R201 until=2020-01-31 -- x");
    write(dir, "data/data.go", &text);
    analysed(dir, cache, &[]);
    let again = out(&cached(dir, cache, &["--format", "json"]));
    assert!(again.contains("the suppression on line 6 ended on 2020-01-31"), "{again}");
    // Baseline and change are compared with what is taken from the cache.
    let written = residue(dir).args(["baseline", "write", "--cache-dir"]).arg(cache).output().expect("it starts");
    assert_eq!(code(&written), 0, "{}", err(&written));
    assert_eq!(code(&cached(dir, cache, &["--baseline", ".residue-baseline.toml"])), 0);
    write(dir, ".residue-baseline.toml", "version = 1\n");
    assert_eq!(code(&cached(dir, cache, &["--baseline", ".residue-baseline.toml"])), 1);
}

#[test]
fn what_is_analysed_brings_no_results_along() {
    let dir = tree();
    let inside = dir.path().join(".cache/residue");
    let output = cached(dir.path(), Path::new(".cache/residue"), &[]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("which is analysed"), "{}", err(&output));
    // HOME is the module, as it may be in a container: nothing is kept, and nobody is bothered.
    let output = run(dir.path(), &["check", "--stats"]);
    assert!(code(&output) == 1 && err(&output).contains("cache not used in full"), "{}", err(&output));
    assert!(!run(dir.path(), &["check"]).stderr.is_empty() && !err(&run(dir.path(), &["check"])).contains("cache"));
    assert!(!inside.exists());
    #[cfg(unix)]
    {
        let outside = cache();
        std::os::unix::fs::symlink(dir.path().join("data"), outside.path().join("link")).expect("links can be made");
        assert_eq!(code(&cached(dir.path(), &outside.path().join("link/new"), &[])), 2, "a link leads in");
    }
}

#[test]
fn the_users_directory_is_used() {
    let (dir, home) = (tree(), cache());
    let xdg = home.path().join("xdg");
    let run = |variables: &[(&str, &Path)], args: &[&str]| {
        let mut command = residue(dir.path());
        command.env_remove("HOME").envs(variables.iter().copied()).args(args);
        command.output().expect("the program starts")
    };
    assert_eq!(code(&run(&[], &["check"])), 1);
    run(&[("HOME", home.path())], &["check"]);
    assert!(home.path().join(".cache/residue/CACHEDIR.TAG").exists() || cfg!(not(target_os = "linux")));
    run(&[("HOME", home.path()), ("XDG_CACHE_HOME", &xdg)], &["check"]);
    assert!(xdg.join("residue/CACHEDIR.TAG").exists());
    let own = home.path().join("own");
    run(&[("XDG_CACHE_HOME", &xdg), ("RESIDUE_CACHE_DIR", &own)], &["check"]);
    let shown = run(&[("RESIDUE_CACHE_DIR", &own)], &["cache", "show"]);
    assert!(out(&shown).contains("own: 4 entries") || out(&shown).contains("own: 5 entries"), "{}", out(&shown));
    run(&[("RESIDUE_CACHE_DIR", &home.path().join("none"))], &["check", "--no-cache"]);
    assert!(!home.path().join("none").exists());
    let cleaned = run(&[("RESIDUE_CACHE_DIR", &own)], &["cache", "clean"]);
    assert!(code(&cleaned) == 0 && err(&cleaned).contains("removed") && !own.exists(), "{}", err(&cleaned));
    assert_eq!(code(&run(&[], &["cache", "clean"])), 2);
}

#[test]
fn entries_with_bytes_changed_are_of_no_use_and_no_harm() {
    let (dir, cache) = (tree(), cache());
    let (dir, cache) = (dir.path(), cache.path());
    analysed(dir, cache, &[]);
    let whole = out(&run(dir, &["check", "--no-cache"]));
    let entries: Vec<_> = std::fs::read_dir(cache).expect("it is there").flatten().map(|entry| entry.path()).collect();
    for round in 0..12 {
        for path in &entries {
            let mut bytes = std::fs::read(path).expect("an entry");
            let at = bytes.len() * round / 12;
            match round % 3 {
                0 => bytes[at] ^= 0x20,
                1 => bytes.truncate(at),
                _ => bytes.extend_from_slice(b"more"),
            }
            std::fs::write(path, bytes).expect("it is ours");
        }
        let output = cached(dir, cache, &["--stats"]);
        assert_eq!((out(&output), counted(&output, "packages analysed")), (whole.clone(), 3), "round {round}");
    }
}

#[cfg(unix)]
#[test]
fn a_disk_that_takes_nothing_makes_no_difference() {
    let (dir, cache) = (tree(), cache());
    let whole = run(dir.path(), &["check", "--no-cache"]);
    // No file may grow: each write fails, as on a full disk.
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" check --cache-dir \"$1\" --stats";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_residue")]).arg(cache.path()).current_dir(dir.path());
    let full = command.env_clear().output().expect("a shell");
    assert_eq!((out(&full), code(&full)), (out(&whole), code(&whole)), "{}", err(&full));
    assert!(err(&full).contains("cannot be written to"), "{}", err(&full));
    // A file is where the directory should be.
    let file = cache.path().join("file");
    std::fs::write(&file, "mine").expect("it is writable");
    let blocked = cached(dir.path(), &file, &[]);
    assert_eq!((out(&blocked), code(&blocked)), (out(&whole), code(&whole)));
    assert!(!err(&blocked).contains("cache"));
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "mine");
}

#[test]
fn runs_at_the_same_time_do_not_disturb_each_other() {
    let (dir, cache) = (tree(), cache());
    let whole = out(&run(dir.path(), &["check", "--no-cache"]));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    assert_eq!(out(&cached(dir.path(), cache.path(), &[])), whole);
                }
            });
        }
    });
    assert_eq!(analysed(dir.path(), cache.path(), &[]), 0);
}

//! What the programs that measure a Rust parser share: they read all Go files below some directories into memory, parse
//! them, and print how many files and bytes that were, how many files were refused, and the CPU time in nanoseconds.
//!
//! Arguments are `[-keep-trees] DIR...`; with the flag all trees are kept to the end, otherwise each is dropped at once.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "that is its purpose")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

/// Measures `parse`, which gives a tree, and whether the file is accepted.
pub(crate) fn run<T>(
    args: impl Iterator<Item = String>,
    mut parse: impl FnMut(&Arc<[u8]>) -> (T, bool),
) -> Result<(), Box<dyn Error>> {
    let mut args = args.peekable();
    let keep_trees = args.next_if(|arg| arg == "-keep-trees").is_some();
    let mut files = Vec::new();
    for dir in args {
        read(Path::new(&dir), &mut files)?;
    }
    let bytes: usize = files.iter().map(|src| src.len()).sum();
    let before = cpu_time()?;
    let mut trees = Vec::new();
    let mut refused = 0;
    for src in &files {
        let (tree, accepted) = parse(src);
        refused += usize::from(!accepted);
        if keep_trees {
            trees.push(tree);
        }
    }
    let took = cpu_time()? - before;
    println!("{} {bytes} {refused} {took}", files.len());
    Ok(())
}

fn read(dir: &Path, files: &mut Vec<Arc<[u8]>>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            read(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|ext| ext == "go") {
            files.push(std::fs::read(path)?.into());
        }
    }
    Ok(())
}

/// Nanoseconds this thread has run so far; kept by Linux.
fn cpu_time() -> Result<u64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(stat.split(' ').next().ok_or("no time in schedstat")?.parse()?)
}

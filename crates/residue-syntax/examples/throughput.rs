//! Measures the parser: reads all Go files below some directories into memory, parses them, and prints how many files
//! and bytes that were, how many files were refused, and the CPU time in nanoseconds.
//!
//! `throughput keep|skip [-keep-trees] DIR...`: with or without function bodies, keeping all trees to the end or dropping
//! each at once; bench/parse/run.py compares it with go/parser.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "that is its purpose")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use residue_syntax::{Bodies, parse};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let bodies = match args.next().as_deref() {
        Some("keep") => Bodies::Keep,
        Some("skip") => Bodies::Skip,
        _ => return Err("usage: throughput keep|skip [-keep-trees] DIR...".into()),
    };
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
        let parsed = parse(src.clone(), bodies);
        refused += usize::from(!parsed.errors.is_empty());
        if keep_trees {
            trees.push(parsed.file);
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

/// Nanoseconds this process, which has one thread, has run so far; kept by Linux.
fn cpu_time() -> Result<u64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/schedstat")?;
    Ok(stat.split(' ').next().ok_or("no time in schedstat")?.parse()?)
}

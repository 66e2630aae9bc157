//! Measures other parsers: `residue-bench-peers gosyn|tree-sitter [-keep-trees] DIR...`; see bench/parse/measure.rs.
//!
//! gosyn gives no tree for a file that it refuses; tree-sitter always gives one, and the file counts as refused where
//! the tree has an error in it.

use std::error::Error;
use std::panic::catch_unwind;

#[path = "../../measure.rs"]
mod measure;

/// gosyn descends recursively.
const STACK_BYTES: usize = 256 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    // Only its text leaves the thread.
    let run = || measured().map_err(|error| error.to_string());
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run)?;
    Ok(thread.join().map_err(|_| "the measurement panicked")??)
}

fn measured() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("gosyn") => gosyn(args),
        Some("tree-sitter") => tree_sitter(args),
        _ => Err("usage: residue-bench-peers gosyn|tree-sitter [-keep-trees] DIR...".into()),
    }
}

fn gosyn(args: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    std::panic::set_hook(Box::new(|_| {}));
    measure::run(args, |src| {
        let tree = catch_unwind(|| str::from_utf8(src).ok().and_then(|text| gosyn::parse_source(text).ok()));
        let tree = tree.unwrap_or_default();
        let accepted = tree.is_some();
        (tree, accepted)
    })
}

fn tree_sitter(args: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&tree_sitter_go::LANGUAGE.into())?;
    measure::run(args, |src| {
        let tree = parser.parse(src, None);
        let accepted = tree.as_ref().is_some_and(|tree| !tree.root_node().has_error());
        (tree, accepted)
    })
}

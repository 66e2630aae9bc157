//! Measures the parser: `throughput keep|skip [-keep-trees] DIR...`, with or without function bodies. See
//! bench/parse/measure.rs; bench/parse/run.py compares it with other parsers.

use std::error::Error;

use residue_syntax::{Bodies, parse};

#[path = "../../../bench/parse/measure.rs"]
mod measure;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let bodies = match args.next().as_deref() {
        Some("keep") => Bodies::Keep,
        Some("skip") => Bodies::Skip,
        _ => return Err("usage: throughput keep|skip [-keep-trees] DIR...".into()),
    };
    measure::run(args, |src| {
        let parsed = parse(src.clone(), bodies);
        (parsed.file, parsed.errors.is_empty())
    })
}

//! Reads arbitrary bytes as a Go file, in each way: no panic, no hang, and a tree that is whole.
//!
//! `cargo +nightly fuzz run parse`; crates/residue-syntax/tests/seeds is a corpus to begin with.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use residue_syntax::{Bodies, Parsed, literal, parse, parse_header};

fuzz_target!(|src: &[u8]| {
    let src: Arc<[u8]> = src.into();
    let keep = parse(src.clone(), Bodies::Keep);
    let skip = parse(src.clone(), Bodies::Skip);
    check(&keep);
    check(&skip);
    if keep.errors.is_empty() {
        assert!(skip.errors.is_empty(), "skipping bodies refuses what reading them accepts");
        assert_eq!(keep.file.top_decls().len(), skip.file.top_decls().len());
    }
    for import in parse_header(src).imports {
        // Any value will do.
        let _ = literal::string_value(&keep.file.text(import.path));
    }
});

/// Every node lies within the file.
fn check(parsed: &Parsed) {
    let len = parsed.file.src().len() as u32;
    parsed.file.walk(|node| {
        let span = parsed.file.node_span(node);
        assert!(span.start <= span.end && span.end <= len, "{node:?} at {span:?}");
        true
    });
    for error in &parsed.errors {
        assert!(error.pos <= len);
    }
}

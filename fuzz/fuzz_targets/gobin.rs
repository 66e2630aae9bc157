//! Reads arbitrary bytes as a Go program, and all that is to be seen of it: no panic, no hang.
//!
//! `cargo +nightly fuzz run gobin`; any Go program, small and stripped, is a corpus to begin with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use residue_gobin::Binary;

fuzz_target!(|data: &[u8]| {
    let Ok(binary) = Binary::parse(data) else { return };
    for function in binary.functions.iter().take(1000) {
        assert!(function.entry < function.end);
        for place in [function.entry, function.end - 1] {
            assert!(!binary.frames(place).is_empty() || binary.functions.find(place).is_none());
            let _ = function.sp_delta(place);
        }
        for index in 0..8 {
            let _ = binary.funcdata(&function, index);
        }
    }
});

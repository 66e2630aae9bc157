//! Reads arbitrary bytes as a core of a small Go program: no panic, no hang, bounded lists.
//!
//! `RESIDUE_FUZZ_PROGRAM=PROGRAM cargo +nightly fuzz run core -- -max_len=4000000`; `gcore` of the running PROGRAM makes
//! a corpus to begin with, a small one once pages of zeros are left out.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use residue_gobin::Binary;
use residue_runtime::{Options, inspect};
use residue_target::Target;

fuzz_target!(|data: &[u8]| {
    let Ok(program) = std::env::var("RESIDUE_FUZZ_PROGRAM") else { return };
    let core = std::env::temp_dir().join(format!("residue-fuzz-core.{}", std::process::id()));
    if std::fs::write(&core, data).is_err() {
        return;
    }
    let Ok(target) = Target::core(&core, Some(Path::new(&program))) else { return };
    let Ok(binary) = Binary::parse(&target.program) else { return };
    let options = Options { freeze: residue_runtime::Freeze::None, key: [0; 32], reveal: false, now: None };
    if let Ok(report) = inspect(&target, &binary, &options) {
        for goroutine in &report.goroutines {
            assert!(goroutine.stack.len() <= 10_000);
            let _ = report.stack(goroutine).count();
        }
        if let Some(goroutine) = report.goroutines.get(data.len() % report.goroutines.len().max(1)) {
            if let Ok(view) = residue_runtime::stack(&target, &binary, &options, goroutine.id) {
                assert!(view.frames.len() <= 10_000 && view.dead.stale.len() <= 1000);
            }
        }
    }
});

//! What tests that break targets share: a program, words of its core, and numbers to break them by.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use residue_gobin::Elf;
use residue_testkit::go::{Running, releases};

/// Starts a stripped program, built by the newest release.
pub(crate) fn start(name: &str, folder: &Path) -> Running {
    let program = folder.join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(format!("{name}.go"));
    let go = releases().pop().unwrap();
    go.build(&source, &["-ldflags=-s -w"], &program);
    Running::start(&mut Command::new(&program))
}

/// The words of a core that the program wrote to and that aren't zero, with their offsets in the file. The core has what
/// Go reserves, too: a gigabyte; that is left out.
pub(crate) fn used_words(file: &File, elf: &Elf<'_>) -> Vec<(u64, Vec<u8>)> {
    let mut used = Vec::new();
    for segment in elf.segments().iter().filter(|segment| segment.writable && segment.size < 128 << 20) {
        let mut bytes = vec![0; segment.size as usize];
        if file.read_exact_at(&mut bytes, segment.offset).is_ok() {
            let words = bytes.chunks_exact(8).enumerate().filter(|(_, word)| word.iter().any(|byte| *byte != 0));
            used.extend(words.map(|(index, word)| (segment.offset + 8 * index as u64, word.to_vec())));
        }
    }
    used
}

/// A small generator of pseudo-random numbers (splitmix64), so that a failure can be had again.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

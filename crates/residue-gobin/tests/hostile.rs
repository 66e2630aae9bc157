//! Broken programs: any bytes give a value or an error, without a panic, in time and memory bounded by their length.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads files, and fails where it can't go on"
)]

use std::path::Path;

use residue_gobin::{Binary, Elf};
use residue_testkit::go::releases;

/// A small generator of pseudo-random numbers (splitmix64), so that a failure can be had again.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Looks at everything there is to see; says whether it was a program.
fn look(data: &[u8]) -> bool {
    let Ok(binary) = Binary::parse(data) else { return false };
    let step = binary.functions.len() / 200 + 1;
    for index in (0..binary.functions.len()).step_by(step) {
        let Some(function) = binary.functions.function(index) else { continue };
        let middle = function.entry + (function.end - function.entry) / 2;
        for place in [function.entry, middle, function.end - 1, function.end] {
            let _ = binary.frames(place);
            let _ = function.sp_delta(place);
        }
        for data in 0..8 {
            let _ = binary.funcdata(&function, data);
        }
    }
    let _ = binary.elf.build_id();
    let _ = binary.elf.symbol("runtime.allgs");
    let _ = (binary.build.main_path(), binary.build.setting("-ldflags"));
    true
}

fn program() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/where.go");
    releases()[0].build(&source, &["-buildmode=pie"], &program);
    std::fs::read(program).unwrap()
}

#[test]
fn changed_programs_are_read_or_refused() {
    let program = program();
    assert!(look(&program));
    let elf = Elf::parse(&program).unwrap();
    // Where a change matters most: headers, tables, module data.
    let sections =
        [".gopclntab", ".data.rel.ro.gopclntab", ".go.buildinfo", ".go.module", ".noptrdata", ".rela", ".rela.dyn"];
    let mut starts: Vec<usize> = sections
        .iter()
        .filter_map(|name| elf.section(name))
        .filter_map(|section| {
            let segment = elf.segments().iter().rfind(|segment| segment.address <= section.address)?;
            Some((segment.offset + section.address - segment.address) as usize)
        })
        .collect();
    starts.push(0);
    starts.push(program.len().saturating_sub(30 * 64));
    let mut numbers = Numbers(1);
    let (mut read, mut refused) = (0, 0);
    for round in 0..400 {
        let mut changed = program.clone();
        for _ in 0..=numbers.below(8) {
            let near = starts[numbers.below(starts.len())];
            let at = if round % 2 == 0 { near + numbers.below(512) } else { numbers.below(changed.len()) };
            let at = at.min(changed.len() - 1);
            match numbers.below(4) {
                0 => changed[at] ^= 1 << numbers.below(8),
                1 => changed[at] = 0xff,
                2 => changed[at] = numbers.next() as u8,
                _ => {
                    let number = [0, u64::MAX, 1 << 31, 1 << 63, numbers.next()][numbers.below(5)].to_le_bytes();
                    let end = (at + 8).min(changed.len());
                    changed[at..end].copy_from_slice(&number[..end - at]);
                }
            }
        }
        if look(&changed) { read += 1 } else { refused += 1 }
    }
    // Both happen, or the test looks at nothing.
    assert!(read > 20 && refused > 20, "{read} read, {refused} refused");
}

#[test]
fn cut_off_programs_are_read_or_refused() {
    let program = program();
    let mut numbers = Numbers(2);
    for len in (0..200).chain((0..100).map(|_| numbers.below(program.len()))) {
        look(&program[..len]);
    }
}

#[test]
fn what_is_no_go_program_is_refused_with_a_reason() {
    let said = |data: &[u8]| Binary::parse(data).err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(said(b""), "not an ELF file: it doesn't begin as one");
    assert_eq!(said(b"#!/bin/sh\n"), "not an ELF file: it doesn't begin as one");
    let mut header = *b"\x7fELF\x01\x01\x01";
    assert_eq!(said(&header), "programs for 32-bit machines are not supported, only 64-bit x86 and Arm");
    (header[4], header[5]) = (2, 2);
    assert_eq!(said(&header), "programs for big-endian machines are not supported, only 64-bit x86 and Arm");
    // The test itself is a program, though not Go's.
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(said(&own), "not a Go program: it has no Go build information and no table of functions");
    assert!(Elf::parse(&own).is_ok());
}

//! Which functions refer to a variable: what tells variables apart in programs without symbols.
//!
//! Instructions aren't decoded one after the other. On x86-64, an operand relative to the next instruction has a byte that
//! says so (`ModRM`: mod 0, r/m 5; Intel's manual, volume 2, table 2-7) behind one of the few opcodes by which compiled Go
//! takes addresses, loads and stores, and leads into the variables: bytes that only look so are too few to matter. On
//! arm64, `ADRP` names a page, and one of the next instructions what is on it (Arm's manual, C6.2).

use crate::{Arch, Binary, bytes};

/// Bytes of code that are looked through.
const TEXT_BYTES_MAX: usize = 1 << 30;
/// References that are kept.
const REFERENCES_MAX: usize = 1 << 24;
/// An address that is taken belongs to the variable that begins at most so far before it.
const VARIABLE_BYTES_MAX: u64 = 1 << 16;
/// Instructions behind `ADRP` that may use what it made.
const ARM_AHEAD: usize = 8;

/// Places in the code that refer to variables with pointers, by variable.
pub struct References(Vec<(u64, u64)>);

impl References {
    /// Looks through the code of a program.
    pub fn of(binary: &Binary<'_>) -> Self {
        let (start, end) = binary.module.text;
        let text = binary.elf.bytes_from(start).unwrap_or_default();
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let text = &text[..text.len().min(len).min(TEXT_BYTES_MAX)];
        let ranges = binary.module.pointer_data;
        let mut found = Vec::new();
        let mut note = |target: u64, at: usize| {
            if found.len() < REFERENCES_MAX && ranges.iter().any(|(from, until)| (*from..*until).contains(&target)) {
                found.push((target, start + at as u64));
            }
        };
        match binary.elf.arch {
            Arch::Amd64 => amd64(text, start, &mut note),
            Arch::Arm64 => arm64(text, start, &mut note),
        }
        found.sort_unstable();
        Self(found)
    }

    /// The variable that an address belongs to, or a part of it that is referred to by itself; and the instructions that do.
    /// All are addresses of the file.
    pub fn to(&self, address: u64) -> Option<(u64, impl Iterator<Item = u64>)> {
        let after = self.0.partition_point(|(target, _)| *target <= address);
        let (start, _) = *self.0.get(after.checked_sub(1)?)?;
        if address - start > VARIABLE_BYTES_MAX {
            return None;
        }
        let first = self.0.partition_point(|(target, _)| *target < start);
        Some((start, self.0[first..after].iter().map(|(_, at)| *at)))
    }
}

fn amd64(text: &[u8], start: u64, note: &mut dyn FnMut(u64, usize)) {
    for at in 1..text.len().saturating_sub(4) {
        if text[at] & 0xc7 != 0x05 {
            continue;
        }
        // What stands behind the displacement belongs to the instruction.
        let behind = match text[at - 1] {
            // MOV, LEA, CMP of registers; MOVUPS and MOVSS behind 0f.
            0x89 | 0x8b | 0x8d | 0x39 | 0x3b | 0x10 | 0x11 | 0x6f | 0x7f => 0,
            // CMP and MOV of a constant.
            0x83 | 0xc6 | 0x80 => 1,
            0xc7 | 0x81 => 4,
            _ => continue,
        };
        let displacement = bytes::u32(text, at + 1).unwrap_or(0).cast_signed();
        let next = start.wrapping_add(at as u64 + 5 + behind);
        note(next.wrapping_add_signed(i64::from(displacement)), at);
    }
}

fn arm64(text: &[u8], start: u64, note: &mut dyn FnMut(u64, usize)) {
    let words: Vec<u32> =
        text.chunks_exact(4).filter_map(|bytes| bytes.try_into().ok().map(u32::from_le_bytes)).collect();
    for (index, word) in words.iter().enumerate() {
        // ADRP: 21 bits of pages, the low two first.
        if word & 0x9f00_0000 != 0x9000_0000 {
            continue;
        }
        let bits = (word >> 5 & 0x7_ffff) << 2 | word >> 29 & 3;
        let pages = i64::from(bits.cast_signed() << 11 >> 11);
        let here = start.wrapping_add(4 * index as u64);
        let page = (here & !0xfff).wrapping_add_signed(pages << 12);
        let register = word & 31;
        for user in words.iter().skip(index + 1).take(ARM_AHEAD).filter(|user| *user >> 5 & 31 == register) {
            let value = u64::from(user >> 10 & 0xfff);
            let offset = match user {
                // ADD of a constant of 64 bits.
                add if add & 0xffc0_0000 == 0x9100_0000 => value,
                // Loads and stores with an offset in units of their size.
                access if access & 0x3b00_0000 == 0x3900_0000 => value << (access >> 30),
                _ => continue,
            };
            note(page.wrapping_add(offset), 4 * index);
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_found_in_both_kinds_of_code() {
        let mut found = Vec::new();
        // LEA 0x100(%rip), %rax; MOVQ $7, 0x100(%rip); and a jump that isn't one.
        let code = [0x48, 0x8d, 0x05, 0, 1, 0, 0, 0x48, 0xc7, 0x05, 0, 1, 0, 0, 7, 0, 0, 0, 0xe9, 0x05, 0, 0, 0, 0, 0];
        amd64(&code, 0x40_1000, &mut |target, at| found.push((target, at)));
        assert_eq!(found, [(0x40_1107, 2), (0x40_1112, 9)]);
        found.clear();
        // ADRP x27, one page on; ADD x27, x27, #0x330; ADRP x0, the page before; LDR x1, [x0, #16].
        let code: Vec<u8> = [0xb000_001b_u32, 0x910c_c37b, 0xf0ff_ffe0, 0xf940_0801]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        arm64(&code, 0x40_1000, &mut |target, at| found.push((target, at)));
        assert_eq!(found, [(0x40_2330, 0), (0x40_0010, 8)]);
    }
}

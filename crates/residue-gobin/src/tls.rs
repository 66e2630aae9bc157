//! Where a thread of an amd64 program keeps its `runtime.g`, read from the code that fetches it.
//!
//! The linker puts the word (`runtime.tlsg`) last in the block of thread variables, at -8 from the thread pointer, unless C code
//! brings variables of its own. Stripped programs don't say where, but every entry from assembly loads it into R14
//! (`cmd/compile/internal/amd64/ssa.go`, `getgFromTLS`), in one of two forms (`cmd/internal/obj/x86/obj6.go`, `progedit`):
//!
//! ```text
//! 64 4c 8b 34 25 OFFSET    MOVQ FS:OFFSET, R14                  programs at fixed addresses
//! 49 c7 c6 OFFSET          MOVQ $OFFSET, R14                    position-independent ones, as linked
//! 64 4d 8b 36              MOVQ FS:(R14), R14
//! ```

use memchr::memmem;

use crate::bytes;

const DIRECT: &[u8] = &[0x64, 0x4c, 0x8b, 0x34, 0x25];
const BY_REGISTER: &[u8] = &[0x64, 0x4d, 0x8b, 0x36];
const SET_REGISTER: &[u8] = &[0x49, 0xc7, 0xc6];

/// The offset that the first such load in `code` has.
pub(crate) fn offset_of_g(code: &[u8]) -> Option<i64> {
    let number = |at: usize| bytes::u32(code, at).map(|word| i64::from(word.cast_signed()));
    let direct = || memmem::find(code, DIRECT).and_then(|at| number(at + DIRECT.len()));
    let by_register = || {
        memmem::find_iter(code, BY_REGISTER).find_map(|at| {
            let set = at.checked_sub(SET_REGISTER.len() + 4)?;
            code[set..].starts_with(SET_REGISTER).then(|| number(set + SET_REGISTER.len()))?
        })
    };
    // Thread variables lie below the thread pointer.
    direct().or_else(by_register).filter(|offset| *offset < 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_and_neither() {
        let direct = [0x90, 0x64, 0x4c, 0x8b, 0x34, 0x25, 0x60, 0xff, 0xff, 0xff, 0x90];
        assert_eq!(offset_of_g(&direct), Some(-0xa0));
        let by_register = [0x49, 0xc7, 0xc6, 0xf8, 0xff, 0xff, 0xff, 0x64, 0x4d, 0x8b, 0x36];
        assert_eq!(offset_of_g(&by_register), Some(-8));
        assert_eq!(offset_of_g(&by_register[1..]), None, "where the register comes from isn't known");
        assert_eq!(offset_of_g(&direct[..8]), None, "cut");
        assert_eq!(offset_of_g(&[]), None);
        let mut above = direct;
        above[9] = 0;
        assert_eq!(offset_of_g(&above), None);
    }
}

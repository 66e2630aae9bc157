//! Where a goroutine was interrupted, and what was in the registers then.
//!
//! Go handles signals on a stack of its own (`m.gsignal`). The kernel has put the interrupted registers there: `struct
//! ucontext` of `asm-generic/ucontext.h`, `struct sigcontext` of `arch/x86/include/uapi/asm/sigcontext.h` and
//! `arch/arm64/include/uapi/asm/sigcontext.h`. It is found by what it says of the stack it lies on.

use residue_gobin::Arch;
use residue_target::{Memory, MemoryExt as _};

use crate::offsets::{Offsets, word};
use crate::stack::Start;

/// Bytes of a signal stack that are looked through, from its end on; Go's have 32 KB.
const BYTES_MAX: u64 = 1 << 18;
/// From `uc_stack` to the registers, in words: on x86-64 they follow it; on arm64 the signal mask and room for a larger one
/// come before, and the address of a fault.
const AMD64_FIRST: usize = 3;
const ARM64_FIRST: usize = 21;
/// `sigcontext` of x86-64: r8 to r15, di, si, bp, bx, dx, ax, cx, sp, ip.
const AMD64_NAMES: [&str; 15] =
    ["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx"];
/// `user_regs_struct` of x86-64.
const AMD64_USER_NAMES: [&str; 15] =
    ["r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"];

/// General registers of an interrupted goroutine.
#[derive(Clone, Debug)]
pub(crate) struct General {
    pub(crate) values: Vec<u64>,
    names: Option<&'static [&'static str; 15]>,
}

impl General {
    /// As the kernel tells those of a thread.
    pub(crate) fn of_thread(values: &[u64], arch: Arch) -> Self {
        match arch {
            Arch::Amd64 => Self { values: values[..15].to_vec(), names: Some(&AMD64_USER_NAMES) },
            Arch::Arm64 => Self { values: values.to_vec(), names: None },
        }
    }

    /// What one is called.
    pub(crate) fn name(&self, number: usize) -> String {
        match self.names.and_then(|names| names.get(number)) {
            Some(name) => (*name).to_owned(),
            None => format!("x{number}"),
        }
    }
}

/// The bounds of an M's signal stack.
pub(crate) fn signal_stack(memory: &dyn Memory, offsets: &Offsets, m: u64) -> Option<(u64, u64)> {
    let signal = memory.word(m.checked_add(offsets.m_signal)?)?;
    let stack = signal.checked_add(offsets.stack as u64)?;
    Some((memory.word(stack)?, memory.word(stack.checked_add(8)?)?))
}

/// Where the goroutine was that the handler on this stack has interrupted.
pub(crate) fn by_signal(memory: &dyn Memory, (low, high): (u64, u64), arch: Arch) -> Option<(Start, General)> {
    let size = high.checked_sub(low)?;
    let len = size.min(BYTES_MAX);
    let bytes = memory.read_up_to(high - len, usize::try_from(len).ok()?);
    let words: Vec<u64> = bytes.chunks_exact(8).map(|bytes| word(bytes, 0)).collect();
    // The first one that came lies highest.
    let at = words.windows(3).rposition(|words| words[0] == low && words[2] == size)?;
    let register = |index: usize| words.get(at + index).copied();
    match arch {
        Arch::Amd64 => {
            let values = words.get(at + AMD64_FIRST..at + AMD64_FIRST + 15)?.to_vec();
            let start = Start { sp: register(AMD64_FIRST + 15)?, pc: register(AMD64_FIRST + 16)?, lr: 0 };
            Some((start, General { values, names: Some(&AMD64_NAMES) }))
        }
        Arch::Arm64 => {
            let values = words.get(at + ARM64_FIRST..at + ARM64_FIRST + 31)?.to_vec();
            let start = Start { sp: register(ARM64_FIRST + 31)?, pc: register(ARM64_FIRST + 32)?, lr: *values.last()? };
            Some((start, General { values, names: None }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stack(u64, Vec<u64>);

    impl Memory for Stack {
        fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
            let bytes: Vec<u8> = self.1.iter().flat_map(|word| word.to_le_bytes()).collect();
            let from = usize::try_from(address - self.0).unwrap_or(usize::MAX).min(bytes.len());
            let len = buffer.len().min(bytes.len() - from);
            buffer[..len].copy_from_slice(&bytes[from..from + len]);
            len
        }
    }

    #[test]
    fn registers_stand_behind_what_is_said_of_the_stack() {
        let low = 0xc000_0000;
        let mut words: Vec<u64> = vec![0; 512];
        let (high, at) = (low + 8 * words.len() as u64, 300);
        (words[at], words[at + 1], words[at + 2]) = (low, 0, high - low);
        for register in 0..33 {
            words[at + 3 + register] = 100 + register as u64;
        }
        let stack = Stack(low, words);
        let (start, general) = by_signal(&stack, (low, high), Arch::Amd64).expect("they are there");
        assert_eq!((start.sp, start.pc), (115, 116));
        assert_eq!((general.values[0], general.name(0)), (100, "r8".to_owned()));
        assert_eq!((general.values[14], general.name(14)), (114, "rcx".to_owned()));
        let (start, general) = by_signal(&stack, (low, high), Arch::Arm64).expect("they are there");
        assert_eq!((general.values.len(), general.values[0], general.name(30)), (31, 118, "x30".to_owned()));
        assert_eq!((start.lr, start.sp), (general.values[30], 0));
        assert!(by_signal(&stack, (low, high - 8), Arch::Amd64).is_none());
        assert!(by_signal(&stack, (high, low), Arch::Amd64).is_none());
    }
}

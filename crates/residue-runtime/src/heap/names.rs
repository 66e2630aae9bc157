//! Names of roots: package variables where the program has symbols, functions of frames, numbers of goroutines.

use residue_gobin::Binary;
use residue_target::Target;

use super::Heap;
use super::roots::From;

/// Package variables with their addresses in memory and sizes, by address: those that can hold pointers.
pub(super) fn variables(target: &Target, binary: &Binary<'_>) -> Vec<(u64, u64, String)> {
    let ranges = binary.module.pointer_data;
    let mut found = binary.elf.variables();
    found.retain(|(address, ..)| ranges.iter().any(|(start, end)| (start..end).contains(&address)));
    for (address, ..) in &mut found {
        *address = address.wrapping_add(target.slide);
    }
    found
}

impl Heap<'_> {
    /// The variable that an address belongs to: its start, and its name.
    pub(super) fn variable(&self, address: u64) -> Option<&(u64, u64, String)> {
        let after = self.symbols.partition_point(|(start, ..)| *start <= address);
        // Symbols of the same address: the last one that is large enough.
        self.symbols[..after].iter().rev().take(4).find(|(start, size, _)| address - start < *size)
    }

    /// Where the variable begins that an address belongs to; the address itself when that isn't known.
    pub(super) fn variable_start(&self, address: u64) -> u64 {
        self.variable(address).map_or(address, |(start, ..)| *start)
    }

    /// What a root is called.
    pub(super) fn root_name(&self, from: From) -> String {
        let goroutine = |stack: u32| self.stacks.get(stack as usize).map_or(0, |kept| kept.id);
        match from {
            From::Variable(at) => match self.variable(at) {
                Some((start, _, name)) if at == *start => format!("package variable {name}"),
                Some((start, _, name)) => format!("package variable {name}+{:#x}", at - start),
                None => format!("package variable at {}", self.place(at)),
            },
            From::Frame { stack, frame, .. } => {
                let kept = self.stacks.get(stack as usize);
                let name = kept.and_then(|kept| kept.frames.get(frame as usize)).map(|frame| frame.place.name.to_string());
                format!("goroutine {} in {}", goroutine(stack), name.unwrap_or_default())
            }
            From::Deferred { stack, .. } => format!("deferred call of goroutine {}", goroutine(stack)),
            From::Goroutine { stack } => format!("goroutine {}", goroutine(stack)),
            From::FinalizerOf(_) => "the function of a finalizer".to_owned(),
            From::CleanupOf(_) => "the function or argument of a cleanup".to_owned(),
            From::WeakOf(_) => "the handle of weak pointers".to_owned(),
            From::Queued(_) => "the queue of finalizers".to_owned(),
            From::QueuedCleanup(_) => "the queue of cleanups".to_owned(),
            From::Finalizable(_) => "an object whose finalizer hasn't run".to_owned(),
        }
    }

    /// A place among the program's variables, as it can be found again in another run of the same program.
    fn place(&self, at: u64) -> String {
        let address = at.wrapping_sub(self.target.slide);
        let [data, bss] = self.binary.module.pointer_data;
        match () {
            () if (data.0..data.1).contains(&address) => format!("data+{:#x}", address - data.0),
            () if (bss.0..bss.1).contains(&address) => format!("bss+{:#x}", address - bss.0),
            () => format!("{at:#x}"),
        }
    }
}

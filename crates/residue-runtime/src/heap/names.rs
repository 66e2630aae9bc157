//! Names of roots: package variables where the program has symbols, functions of frames, numbers of goroutines.

use residue_gobin::{Binary, Elf, Module, References};
use residue_target::Target;

use super::roots::From;
use super::{Heap, Sure};
use crate::offsets::word;
use crate::stack::Physical;

/// References to a variable that are looked at in order to name it.
const USERS_MAX: usize = 1000;

/// A package variable.
pub(super) struct Variable {
    start: u64,
    size: u64,
    pub(super) name: String,
    /// Where its type is described; 0 when that isn't known.
    pub(super) kind: u64,
}

/// Package variables with their places in memory, by address: those that can hold pointers.
pub(super) fn variables(target: &Target, binary: &Binary<'_>) -> Vec<Variable> {
    let plugins = binary.plugins().iter().filter_map(|plugin| Some((plugin.elf()?, &plugin.module)));
    let modules = std::iter::once((&binary.elf, &binary.module)).chain(plugins);
    let mut all: Vec<Variable> = modules.flat_map(|(elf, module)| variables_of(elf, module, target.slide)).collect();
    all.sort_by_key(|variable| variable.start);
    all
}

fn variables_of(elf: &Elf<'_>, module: &Module, slide: u64) -> Vec<Variable> {
    let ranges = module.pointer_data;
    let typed = residue_gobin::variables(elf, module);
    let named = elf
        .variables()
        .into_iter()
        .filter(|(address, ..)| ranges.iter().any(|(start, end)| (start..end).contains(&address)));
    let kind = |address: u64| {
        let found = typed.binary_search_by_key(&address, |variable| variable.address);
        found.map_or(0, |index| typed[index].kind.wrapping_add(slide))
    };
    let variables = named.map(|(address, size, name)| Variable {
        start: address.wrapping_add(slide),
        size,
        name,
        kind: kind(address),
    });
    variables.collect()
}

/// Functions that begin so say how a goroutine waits for something, not who does and why.
const WAITING: [&str; 10] =
    ["runtime.", "internal/", "syscall.", "sync.", "time.", "io.", "os.", "net.", "bufio.", "crypto/tls."];

impl Heap<'_> {
    /// The frame by which a root in a stack is told: the one itself, or the one that has it wait.
    pub(super) fn telling_frame(&self, stack: u32, frame: u32) -> Option<&Physical> {
        let frames = self.stacks.get(stack as usize)?.frames.get(frame as usize..)?;
        let waits = |frame: &&Physical| WAITING.iter().any(|start| frame.place.name.starts_with(start));
        frames.iter().find(|frame| !waits(frame)).or_else(|| frames.first())
    }

    fn frame_name(&self, stack: u32, frame: u32) -> &str {
        self.telling_frame(stack, frame).map_or("a frame that isn't known", |frame| &*frame.place.name)
    }

    /// The variable that an address belongs to, and how far in it is.
    pub(super) fn variable(&self, address: u64) -> Option<(&Variable, u64)> {
        let after = self.symbols.partition_point(|variable| variable.start <= address);
        // Of symbols at the same address one may be too small.
        let mut before = self.symbols[..after].iter().rev().take(4);
        before.find(|variable| address - variable.start < variable.size).map(|found| (found, address - found.start))
    }

    /// Where the variable begins that an address belongs to; the address itself when that isn't known.
    pub(super) fn variable_start(&self, address: u64) -> u64 {
        self.variable(address).map_or(address, |(variable, _)| variable.start)
    }

    /// Says what objects are that package variables of known types lead to.
    pub(super) fn spread_from_variables(&mut self) {
        for index in 0..self.roots.len() {
            let (From::Variable(at), object) = (self.roots[index].from, self.roots[index].object) else { continue };
            let Some((kind, within)) = self.variable(at).map(|(variable, within)| (variable.kind, within)) else {
                continue;
            };
            if kind == 0 {
                continue;
            }
            let targets = self.types.targets(kind);
            let is_base = self.spans.extent(object).is_some_and(|(start, _)| self.word_of(at) == Some(start));
            if let Ok(found) = targets.binary_search_by_key(&within, |(offset, _)| *offset)
                && is_base
            {
                self.graph.lead(&self.spans, &mut self.types, object, targets[found].1, Sure::Edge);
            }
        }
    }

    /// A word of the variables, as it was when they were copied.
    fn word_of(&self, at: u64) -> Option<u64> {
        let range = self
            .variables
            .pointers
            .iter()
            .flatten()
            .find(|range| (range.start..range.start + range.bytes.len() as u64).contains(&at))?;
        let offset = (at - range.start) as usize;
        range.bytes.get(offset..offset + 8).map(|bytes| word(bytes, 0))
    }

    /// What a root is called.
    pub(super) fn root_name(&self, from: From) -> String {
        let goroutine = |stack: u32| self.stacks.get(stack as usize).map_or(0, |kept| kept.id);
        let function = |stack: u32, frame: u32| self.frame_name(stack, frame);
        match from {
            From::Variable(at) => match self.variable(at) {
                Some((variable, 0)) => format!("package variable {}", variable.name),
                Some((variable, within)) => {
                    format!("package variable {}{}", variable.name, self.field_of(variable, within))
                }
                None => format!("package variable at {}{}", self.place(at), self.users(at)),
            },
            From::Frame { stack, frame, .. } => format!("goroutine {} in {}", goroutine(stack), function(stack, frame)),
            From::Register { stack, number } => {
                let registers = self.stacks.get(stack as usize).and_then(|kept| kept.registers.as_ref());
                let register = registers.map_or_else(String::new, |registers| registers.name(usize::from(number)));
                format!("goroutine {} in {}, register {register}", goroutine(stack), function(stack, 0))
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

    /// What roots like this one are called: those of goroutines by the function they are in.
    pub(super) fn root_class(&self, from: From) -> String {
        match from {
            From::Frame { stack, .. } | From::Register { stack, .. } => {
                let frame = if let From::Frame { frame, .. } = from { frame } else { 0 };
                format!("goroutines in {}", self.frame_name(stack, frame))
            }
            From::Deferred { .. } => "deferred calls of goroutines".to_owned(),
            From::FinalizerOf(_) => "functions of finalizers".to_owned(),
            From::CleanupOf(_) => "functions and arguments of cleanups".to_owned(),
            From::Finalizable(_) => "objects whose finalizers haven't run".to_owned(),
            from => self.root_name(from),
        }
    }

    /// The package of a variable.
    pub(super) fn package_of(&self, from: From) -> Option<String> {
        let From::Variable(at) = from else { return None };
        let name = &self.variable(at)?.0.name;
        let after_path = name.rfind('/').map_or(0, |slash| slash + 1);
        let dot = name[after_path..].find('.')? + after_path;
        Some(name[..dot].to_owned())
    }

    /// A part of a variable: by its fields where its type is known.
    fn field_of(&self, variable: &Variable, within: u64) -> String {
        let known = self.types.path(variable.kind, within).filter(|_| variable.kind != 0);
        known.unwrap_or_else(|| format!("+{within:#x}"))
    }

    /// The functions that refer to a variable, those of the package that it must be of first: others than the runtime's refer
    /// to another's variables only where they are exported.
    fn users(&self, at: u64) -> String {
        let references = self.references.get_or_init(|| References::of(self.binary));
        let Some((_, users)) = references.to(at.wrapping_sub(self.target.slide)) else { return String::new() };
        let functions = users.take(USERS_MAX).filter_map(|pc| self.binary.find(pc));
        let mut names: Vec<String> = functions.map(|function| function.name().into_owned()).collect();
        names.sort();
        names.dedup();
        let count = names.len();
        // Of two that say as much, the shorter one is easier to read; functions within functions come last.
        names.sort_by_key(|name| (name.contains(".func"), name.starts_with("runtime."), name.len()));
        match &names[..] {
            [] => String::new(),
            [one] => format!(", used by {one}"),
            [one, other] => format!(", used by {one} and {other}"),
            [one, other, ..] => format!(", used by {one}, {other} and {} more", count - 2),
        }
    }

    /// A place among the variables of the program or a plugin, as it can be found again in another run of the same program.
    fn place(&self, at: u64) -> String {
        let address = at.wrapping_sub(self.target.slide);
        let place = |module: &Module| {
            let named = ["data", "bss"].into_iter().zip(module.pointer_data);
            let mut within = named.filter(|(_, (start, end))| (start..end).contains(&&address));
            within.next().map(|(name, (start, _))| format!("{name}+{:#x}", address - start))
        };
        let of_plugins = || {
            let mut plugins = self.binary.plugins().iter();
            plugins.find_map(|plugin| Some(format!("{} {}", plugin.name(), place(&plugin.module)?)))
        };
        place(&self.binary.module).or_else(of_plugins).unwrap_or_else(|| format!("{at:#x}"))
    }
}

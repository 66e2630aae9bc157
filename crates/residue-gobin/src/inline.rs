//! Calls that were inlined: `FUNCDATA_InlTree`, as `runtime/symtabinl.go` reads it.

use std::borrow::Cow;

use crate::pclntab::Shape;
use crate::{Elf, Function, Module, PcLnTab, bytes};

/// `FUNCDATA_InlTree`.
const INLINE_TREE: u8 = 3;
/// Calls inlined into each other, at most; the compiler stops long before.
const DEPTH_MAX: usize = 256;

/// A call as the source has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceFrame<'a> {
    /// The function, as the linker names it.
    pub function: Cow<'a, str>,
    /// The file, as recorded: absolute, or shortened by `-trimpath`.
    pub file: Cow<'a, str>,
    /// The line that runs, or that calls the frame before.
    pub line: u32,
    /// It has no frame of its own on the stack.
    pub inlined: bool,
}

pub(crate) fn frames<'a>(elf: &Elf<'a>, table: &PcLnTab<'a>, module: &Module, pc: u64) -> Vec<SourceFrame<'a>> {
    let Some(function) = table.find(pc) else { return Vec::new() };
    let tree = function.funcdata(INLINE_TREE, module.gofunc).and_then(|address| elf.bytes_from(address));
    let mut frames = Vec::new();
    let mut at = pc;
    while frames.len() < DEPTH_MAX {
        let (file, line) = function.file_line(at).unwrap_or_default();
        let call = tree.zip(function.inline_index(at)).and_then(|(tree, index)| call(table, tree, index));
        let Some((name, parent)) = call else {
            frames.push(SourceFrame { function: function.name(), file, line, inlined: false });
            break;
        };
        frames.push(SourceFrame { function: name, file, line, inlined: true });
        let Some(parent) = place(&function, parent) else { break };
        at = parent;
    }
    frames
}

/// A row of the tree: the name of the inlined function, and an instruction with the position of the call.
fn call<'a>(table: &PcLnTab<'a>, tree: &[u8], index: u32) -> Option<(Cow<'a, str>, u32)> {
    let (size, name, parent) = if table.shape() == Shape::StartLines { (16, 4, 8) } else { (20, 12, 16) };
    let row = (index as usize).checked_mul(size)?;
    Some((table.name(bytes::u32(tree, row + name)?)?, bytes::u32(tree, row + parent)?))
}

fn place(function: &Function<'_>, offset: u32) -> Option<u64> {
    let address = function.entry.checked_add(u64::from(offset))?;
    (address < function.end).then_some(address)
}

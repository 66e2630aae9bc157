//! The program of a target, with the plugins that it has loaded.
//!
//! The runtime's list of modules begins with the program's own (`runtime.firstmoduledata`), each leading to the next
//! (`moduledata.next`): one word to read where there are no plugins.

use std::collections::BTreeMap;

use residue_gobin::{Binary, ModuleData, PcLnTab, Plugin};
use residue_target::{Kind, Memory as _, MemoryExt as _, Target};

/// Plugins that are looked at.
const PLUGINS_MAX: usize = 256;
/// Bytes of a module's data, which the program's own DWARF says.
const MODULE_BYTES_MAX: u32 = 64 << 10;
/// Bytes at the start of a table of functions that tell it.
const TABLE_START: usize = 8;

/// Reads the program of a target, and which plugins it has loaded.
///
/// # Errors
/// What is missing in the program's file or malformed.
pub fn program(target: &Target) -> Result<Binary<'_>, residue_gobin::Error> {
    let mut binary = Binary::parse(&target.program)?;
    let (modules, left_out) = modules(target, &binary);
    if modules.is_empty() && !left_out {
        return Ok(binary);
    }
    let addresses: Vec<u64> = modules.iter().map(|module| module.text().0).collect();
    let plugins = modules.iter().zip(target.libraries(&addresses)).map(|(module, library)| {
        let path = library.map_or("", |library| &library.path).to_owned();
        let file = library.map(|library| (&library.bytes[..], library.slide));
        Plugin::new(path, module, file, &binary.layouts, target.slide)
    });
    binary.set_plugins(plugins.collect(), left_out);
    Ok(binary)
}

/// What of its plugins can't be told.
pub(crate) fn notes(binary: &Binary<'_>) -> BTreeMap<&'static str, usize> {
    let without = binary.plugins().iter().filter(|plugin| plugin.elf().is_none()).count();
    let notes = [
        ("lists of plugins that are cut", usize::from(binary.lacks_plugins())),
        ("plugins whose functions are not known, because their files can't be read or are others", without),
    ];
    notes.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// The module data of plugins, and whether that isn't all.
fn modules(target: &Target, binary: &Binary<'_>) -> (Vec<ModuleData>, bool) {
    let own = binary.module.address.wrapping_add(target.slide);
    let layout = binary.layouts.get("runtime.moduledata").filter(|layout| layout.size <= MODULE_BYTES_MAX);
    let Some((layout, next)) = layout.and_then(|layout| Some((layout, layout.offset("next")?))) else {
        return (Vec::new(), false);
    };
    let mut at = target.word(own.wrapping_add(u64::from(next))).unwrap_or(0);
    let mut found: Vec<(u64, ModuleData)> = Vec::new();
    while at != 0 {
        // A list that turns in circles leads to what is known already.
        let is_new = at != own && found.iter().all(|(other, _)| *other != at) && found.len() < PLUGINS_MAX;
        let module = Some(at)
            .filter(|at| is_new && at.is_multiple_of(8))
            .map(|at| target.read_up_to(at, layout.size as usize))
            .filter(|bytes| bytes.len() == layout.size as usize)
            .and_then(|bytes| ModuleData::read(bytes, at, &binary.layouts))
            .filter(|module| {
                // A core leaves to the file what nobody has written to.
                let start = target.read_up_to(module.table(), TABLE_START);
                PcLnTab::begins_with(&start, binary.elf.arch) || (start.is_empty() && target.kind == Kind::Core)
            });
        let Some(module) = module else { break };
        let next = module.next;
        found.push((at, module));
        at = next;
    }
    (found.into_iter().map(|(_, module)| module).collect(), at != 0)
}

//! Where fields of the runtime's structs are, for the Go that built a program.
//!
//! `data/layouts.txt` is made by `cargo xtask layouts` from the DWARF of programs built by each release that could be had.
//! This table is the only place that names releases of Go. It lists, for each struct, its distinct layouts with the first
//! and the last of the tested releases they hold for:
//!
//! ```text
//! releases	1.21.13	1.22.10	…
//! runtime.stack
//! 	amd64+arm64	1.21.13	1.27.3	16	hi=8	lo=0
//! ```

use std::collections::BTreeMap;

use crate::{Arch, Elf, GoVersion, StructLayout, WANTED, dwarf};

const TABLE: &str = include_str!("../data/layouts.txt");
/// The pseudo-struct of the table that has the reasons to wait.
const WAIT_REASONS: &str = "runtime.waitReasonStrings";
/// Reasons to wait, at most: the field is a byte.
const REASONS_MAX: u64 = 256;
const REASON_BYTES_MAX: u64 = 100;

/// Fields of `runtime.moduledata` of Go 1.16 to 1.19, from their source: enough to read functions and lines. Up to 1.17
/// `gofunc` isn't there, and isn't used.
const OLDER_MODULE: &[(&str, u32)] = &[
    ("ftab", 128),
    ("minpc", 160),
    ("maxpc", 168),
    ("text", 176),
    ("etext", 184),
    ("noptrdata", 192),
    ("enoptrdata", 200),
    ("data", 208),
    ("edata", 216),
    ("bss", 224),
    ("ebss", 232),
    ("noptrbss", 240),
    ("enoptrbss", 248),
    ("types", 280),
    ("etypes", 288),
    ("gofunc", 304),
];

/// Where layouts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The program's own DWARF.
    Dwarf,
    /// The table has this release.
    Table,
    /// The table doesn't have it; those of this release were taken. What is built on them checks what it reads.
    Neighbour(String),
}

impl Basis {
    /// The release whose layouts were taken because the program's own is not known.
    pub fn neighbour(&self) -> Option<&str> {
        match self {
            Self::Neighbour(version) => Some(version),
            Self::Dwarf | Self::Table => None,
        }
    }
}

/// Where fields of the runtime's structs are.
#[derive(Clone, Debug)]
pub struct Layouts {
    basis: Basis,
    structs: BTreeMap<String, StructLayout>,
    wait_reasons: Vec<String>,
}

impl Layouts {
    /// Those of a program: from its DWARF as far as that has them, else from the table.
    pub fn of(elf: &Elf<'_>, version: &GoVersion) -> Self {
        let mut layouts = Self::from_table(version, elf.arch);
        let own = dwarf::structs(elf, WANTED);
        if !own.is_empty() {
            // What the program doesn't use has no DWARF; the table fills in.
            if own.contains_key("runtime.g") && own.contains_key("runtime.moduledata") {
                layouts.basis = Basis::Dwarf;
            }
            layouts.structs.extend(own);
            let reasons = wait_reasons(elf);
            if !reasons.is_empty() {
                layouts.wait_reasons = reasons;
            }
        }
        layouts
    }

    /// Those of a release, else of its neighbour: the tested release before it with the same minor number, else the first
    /// with that number, else the last one older than it, else the first of all.
    pub fn from_table(version: &GoVersion, arch: Arch) -> Self {
        let wanted = version.numbers();
        let tested = table_versions();
        let all = || tested.iter().copied().map(|version| (numbers(version), version));
        let minor = |known: &(Numbers, &str)| (known.0.0, known.0.1) == (wanted.0, wanted.1);
        let nearest = all().rfind(|known| minor(known) && known.0 <= wanted);
        let nearest = nearest.or_else(|| all().find(minor)).or_else(|| all().rfind(|known| known.0 <= wanted));
        let (at, name) = nearest.or_else(|| all().next()).unwrap_or_default();
        let exact = at == wanted && version.is_release();
        let basis = if exact { Basis::Table } else { Basis::Neighbour(name.to_owned()) };
        let mut layouts = Self { basis, structs: BTreeMap::new(), wait_reasons: Vec::new() };
        let mut name = "";
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let Some(layout) = line.strip_prefix('\t') else {
                name = line;
                continue;
            };
            let mut words = layout.split('\t');
            let mut next = || words.next().unwrap_or("");
            let (archs, first, last, size) = (next(), next(), next(), next());
            if !archs.split('+').any(|known| known == arch.name()) || at < numbers(first) || at > numbers(last) {
                continue;
            }
            if name == WAIT_REASONS {
                layouts.wait_reasons = words.map(str::to_owned).collect();
                continue;
            }
            let fields = words.filter_map(|word| word.split_once('='));
            let fields = fields.filter_map(|(field, offset)| Some((field.to_owned(), offset.parse().ok()?)));
            let layout = StructLayout { size: size.parse().unwrap_or(0), fields: fields.collect() };
            layouts.structs.insert(name.to_owned(), layout);
        }
        layouts
    }

    /// The layout of the module data of programs older than those that the table has.
    pub(crate) fn older_module() -> StructLayout {
        StructLayout { size: 0, fields: OLDER_MODULE.iter().map(|(name, at)| ((*name).to_owned(), *at)).collect() }
    }

    /// Where they come from.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The layout of a struct.
    pub fn get(&self, name: &str) -> Option<&StructLayout> {
        self.structs.get(name)
    }

    /// The offset of a field; none when the struct of this release doesn't have it.
    pub fn offset(&self, name: &str, field: &str) -> Option<u64> {
        self.get(name)?.offset(field).map(u64::from)
    }

    /// What the runtime calls a reason to wait (`g.waitreason`).
    pub fn wait_reason(&self, reason: u8) -> Option<&str> {
        self.wait_reasons.get(usize::from(reason)).map(String::as_str)
    }

    /// All reasons to wait, by number.
    pub fn wait_reasons(&self) -> &[String] {
        &self.wait_reasons
    }
}

/// The releases that the table was made from, oldest first.
pub fn table_versions() -> Vec<&'static str> {
    let line = TABLE.lines().find_map(|line| line.strip_prefix("releases\t"));
    line.into_iter().flat_map(|line| line.split('\t')).collect()
}

type Numbers = (u32, u32, u32);

fn numbers(version: &str) -> Numbers {
    GoVersion::parse(&format!("go{version}")).numbers()
}

/// The texts of `runtime.waitReasonStrings` of a program that still has symbols.
pub fn wait_reasons(elf: &Elf<'_>) -> Vec<String> {
    let Some((address, size)) = elf.symbol(WAIT_REASONS) else { return Vec::new() };
    let text = |index: u64| {
        let header = address.checked_add(16 * index)?;
        let len = elf.word(header.checked_add(8)?)?.min(REASON_BYTES_MAX);
        let text = if len == 0 { &[] } else { elf.bytes_from(elf.word(header)?)?.get(..len as usize)? };
        Some(String::from_utf8_lossy(text).into_owned())
    };
    (0..(size / 16).min(REASONS_MAX)).map_while(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SOMETIMES;

    fn basis(version: &str) -> Basis {
        Layouts::from_table(&GoVersion::parse(version), Arch::Amd64).basis
    }

    #[test]
    fn a_release_has_its_own_layouts_or_those_of_its_neighbour() {
        let tested = table_versions();
        for version in &tested {
            assert_eq!(basis(&format!("go{version}")), Basis::Table);
        }
        let (first, last) = (tested[0], tested[tested.len() - 1]);
        assert_eq!(basis("go1.0"), Basis::Neighbour(first.to_owned()));
        assert_eq!(basis("go9.0"), Basis::Neighbour(last.to_owned()));
        assert_eq!(basis(&format!("go{last}-custom")), Basis::Neighbour(last.to_owned()));
        // The same minor number wins over the order.
        assert_eq!(basis("go1.22.3"), Basis::Neighbour("1.22.10".to_owned()));
        assert_eq!(basis("go1.24.9"), Basis::Neighbour("1.24.3".to_owned()));
    }

    #[test]
    fn every_release_has_the_structs_it_should() {
        for version in table_versions() {
            for arch in [Arch::Amd64, Arch::Arm64] {
                let layouts = Layouts::from_table(&GoVersion::parse(&format!("go{version}")), arch);
                let needed = |name: &str| !SOMETIMES.contains(&name);
                let missing = WANTED.iter().find(|(name, _)| needed(name) && layouts.get(name).is_none());
                assert_eq!(missing, None, "{version}");
                assert_eq!(layouts.wait_reason(0), Some(""));
                assert!(layouts.wait_reasons().iter().any(|reason| reason == "chan receive"));
            }
        }
    }
}

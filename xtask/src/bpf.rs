//! Compiles the eBPF programs of `residue-ebpf` for each architecture, so that nobody else needs clang; or compares.
//!
//! The committed objects are those of clang 14 (Debian 12), which a rebuild has to match byte by byte. What another release
//! of clang makes is different and as good, so with one of those the programs are only compiled.

use std::error::Error;
use std::path::Path;
use std::process::Command;

const FOLDER: &str = "crates/residue-ebpf/bpf";
/// Architecture of the objects, and the macro that its registers are chosen by.
const ARCHITECTURES: [(&str, &str); 2] = [("amd64", "x86"), ("arm64", "arm64")];
/// The major release of clang whose objects are committed.
const REFERENCE: u32 = 14;

/// Arguments of `bpf`.
#[derive(Debug, clap::Args)]
pub(crate) struct BpfArgs {
    /// Only say whether the committed objects are what the sources compile to
    #[arg(long)]
    check: bool,
}

/// Compiles every `*.bpf.c`, and writes the objects or compares them.
pub(crate) fn run(args: &BpfArgs, root: &Path) -> Result<String, Box<dyn Error>> {
    let folder = root.join(FOLDER);
    let release = clang_release()?;
    if release != REFERENCE && !args.check {
        return Err(
            format!("the objects are committed as clang {REFERENCE} makes them; this is clang {release}").into()
        );
    }
    let mut sources: Vec<String> = std::fs::read_dir(&folder)?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".bpf.c").map(str::to_owned))
        .collect();
    sources.sort();
    let mut differ = Vec::new();
    for source in &sources {
        for (arch, registers) in ARCHITECTURES {
            let object = compile(&folder, source, registers)?;
            let path = folder.join(format!("out/{arch}/{source}.bpf.o"));
            if !args.check {
                std::fs::create_dir_all(folder.join("out").join(arch))?;
                std::fs::write(&path, object)?;
            } else if release == REFERENCE && std::fs::read(&path).ok() != Some(object) {
                differ.push(format!("{FOLDER}/out/{arch}/{source}.bpf.o"));
            }
        }
    }
    if !differ.is_empty() {
        return Err(format!("{}: not what its source compiles to; run `cargo xtask bpf`", differ.join(", ")).into());
    }
    let programs = sources.join(", ");
    Ok(match (args.check, release == REFERENCE) {
        (false, _) => format!("{programs}: compiled"),
        (true, true) => format!("{programs}: the objects are those of their sources"),
        (true, false) => {
            format!("{programs}: compiled by clang {release}; NOT COMPARED, the objects are those of clang {REFERENCE}")
        }
    })
}

/// Compiles one source and takes its DWARF off; its BTF stays.
fn compile(folder: &Path, source: &str, registers: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let object = tempfile::NamedTempFile::new()?;
    let registers = format!("-D__TARGET_ARCH_{registers}");
    let flags = ["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wno-unused-function", "-Werror"];
    let mut clang = Command::new("clang");
    clang.args(flags).args(["-fdebug-compilation-dir=.", &registers, "-c", &format!("{source}.bpf.c"), "-o"]);
    run_quietly(clang.arg(object.path()).current_dir(folder))?;
    run_quietly(Command::new("llvm-strip").arg("-g").arg(object.path()))?;
    Ok(std::fs::read(object.path())?)
}

fn run_quietly(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| missing(&name, &error))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().into()) }
}

fn missing(name: &str, error: &std::io::Error) -> String {
    format!("cannot run {name}: {error} (Debian has it in the packages clang and llvm)")
}

/// The major release of clang.
fn clang_release() -> Result<u32, Box<dyn Error>> {
    let output = Command::new("clang").arg("-dumpversion").output().map_err(|error| missing("clang", &error))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let major = text.split('.').next().and_then(|major| major.trim().parse().ok());
    major.ok_or_else(|| format!("clang calls itself {text:?}").into())
}

//! What the tables of programs say, beside what the programs' own runtime and the tools of their release say.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads files, and fails where it can't go on"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use residue_gobin::{Basis, Binary, table_versions};
use residue_testkit::go::{Go, releases};

/// Name, flags, environment, and whether it runs here.
type Build = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)], bool);

/// How each program is built.
const BUILDS: &[Build] = &[
    ("plain", &[], &[], true),
    ("stripped", &["-ldflags=-s -w", "-trimpath"], &[], true),
    ("pie", &["-buildmode=pie"], &[], true),
    ("pie-stripped", &["-buildmode=pie", "-ldflags=-s -w"], &[], true),
    ("arm64-stripped", &["-ldflags=-s -w"], &[("GOARCH", "arm64")], false),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/where.go")
}

fn build(go: &Go, flags: &[&str], env: &[(&str, &str)], program: &Path) -> Vec<u8> {
    let mut command = go.command(&["build", "-o"]);
    command.arg(program).args(flags).arg(source()).env("CGO_ENABLED", "0").envs(env.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}: {}", go.version, String::from_utf8_lossy(&output.stderr));
    std::fs::read(program).unwrap()
}

/// Some places in every third function: the first, and in steps that hit every kind of place. The last byte is left out: the
/// runtime is asked for the address behind a place, as for a return address.
fn places(binary: &Binary<'_>) -> Vec<u64> {
    let quantum = if binary.elf.arch.name() == "arm64" { 4 } else { 1 };
    let of_function = |(start, end): (u64, u64)| (start..end - quantum as u64).step_by(29 * quantum);
    binary.functions.iter().step_by(3).flat_map(|function| of_function((function.entry, function.end))).collect()
}

#[test]
fn every_function_and_line_is_that_of_the_runtime() {
    let folder = tempfile::tempdir().unwrap();
    for go in releases() {
        for (name, flags, env, runs) in BUILDS {
            let program = folder.path().join(name);
            let data = build(&go, flags, env, &program);
            let binary = Binary::parse(&data).unwrap_or_else(|error| panic!("{} {name}: {error}", go.version));
            assert_eq!(binary.build.version.to_string(), go.version);
            assert_eq!(binary.build.main_path(), Some("command-line-arguments"));
            assert_eq!(binary.is_stripped(), flags.iter().any(|flag| flag.contains("-s -w")));
            assert_eq!(binary.elf.pie, name.starts_with("pie"));
            match binary.layouts.basis() {
                Basis::Dwarf => assert!(!binary.is_stripped()),
                Basis::Table => assert!(binary.is_stripped()),
                Basis::Neighbour(_) => assert!(!table_versions().contains(&&go.version[2..]), "{}", go.version),
            }
            let places = places(&binary);
            assert!(places.len() > 1_500, "{} places", places.len());
            if *runs {
                compare_with_runtime(&go, name, &program, &binary, &places);
            } else {
                assert!(places.iter().all(|place| !binary.frames(*place).is_empty()));
            }
        }
    }
}

fn compare_with_runtime(go: &Go, name: &str, program: &Path, binary: &Binary<'_>, places: &[u64]) {
    let here = binary.functions.iter().find(|function| function.name() == "main.here").unwrap();
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let asked: Vec<String> = std::iter::once(&here.entry).chain(places).map(|place| format!("{place:x}\n")).collect();
    let asked = asked.concat();
    let mut said = String::new();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(asked.as_bytes()).unwrap());
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    });
    assert!(child.wait().unwrap().success());
    let mut inlined = 0;
    let mut nameless = BTreeSet::new();
    assert_eq!(said.lines().count(), places.len());
    for (place, line) in places.iter().zip(said.lines()) {
        let frames = binary.frames(*place);
        let first = frames.first().unwrap_or_else(|| panic!("{} {name}: nothing at {place:x}: {line}", go.version));
        // The runtime takes offset 0 for no name, though one function's name is there.
        let name_known = !line.starts_with('\t');
        nameless.extend((!name_known).then(|| first.function.clone()));
        let function = if name_known { printed(&first.function) } else { String::new() };
        // Behind the last instruction of a function there may be bytes that belong to no line.
        let file = if first.line == 0 { "?" } else { &first.file };
        let ours = format!("{function}\t{file}\t{}", first.line);
        assert_eq!(ours, line, "{} {name} at {place:x}", go.version);
        inlined += u32::from(first.inlined);
    }
    assert!(nameless.len() <= 1, "{nameless:?}");
    assert!(inlined > 300, "{inlined} places are in inlined calls");
}

/// The runtime prints what is between the outermost brackets as `...`.
fn printed(name: &str) -> String {
    match name.find('[').zip(name.rfind(']')) {
        Some((start, end)) if start < end => format!("{}[...]{}", &name[..start], &name[end + 1..]),
        _ => name.to_owned(),
    }
}

#[test]
fn functions_and_lines_are_those_of_the_tools() {
    let folder = tempfile::tempdir().unwrap();
    for go in releases() {
        let program = folder.path().join("program");
        let data = build(&go, &[], &[], &program);
        let binary = Binary::parse(&data).unwrap();
        let path = program.to_str().unwrap();

        // Symbols: the linker's have functions of assembly, too.
        let output = go.command(&["tool", "nm", path]).output().unwrap();
        let symbols = String::from_utf8(output.stdout).unwrap();
        let symbols: BTreeMap<u64, &str> = symbols
            .lines()
            .filter_map(|line| {
                let (address, rest) = line.trim_start().split_once(' ')?;
                let (kind, name) = rest.trim_start().split_once(' ')?;
                let function = kind.eq_ignore_ascii_case("t") && name != "runtime.text" && name != "runtime.etext";
                // In symbols some releases tell the calling convention, and some characters are replaced.
                let name = name.strip_suffix(".abi0").unwrap_or(name);
                function.then_some((u64::from_str_radix(address, 16).ok()?, name))
            })
            .collect();
        assert_eq!(binary.functions.len(), symbols.len(), "{}", go.version);
        for function in binary.functions.iter() {
            assert_eq!(
                symbols.get(&function.entry).copied(),
                Some(&*function.name().replace('·', ".")),
                "{}",
                go.version
            );
        }

        let places: Vec<u64> = places(&binary).into_iter().step_by(7).collect();
        let mut child = go.command(&["tool", "addr2line", path]);
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let asked = places.iter().map(|place| format!("{place:#x}\n")).collect::<Vec<_>>().concat();
        let mut said = String::new();
        std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(asked.as_bytes()).unwrap());
            child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        });
        child.wait().unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2 * places.len());
        for (place, answer) in places.iter().zip(lines.chunks(2)) {
            let function = binary.functions.find(*place).unwrap();
            let (file, line) = function.file_line(*place).unwrap_or_default();
            assert_eq!(function.name(), answer[0], "{} at {place:x}", go.version);
            // What has no line has a negative one there.
            let same = if line == 0 { answer[1].starts_with(":-") } else { answer[1] == format!("{file}:{line}") };
            assert!(same, "{} at {place:x}: {file}:{line}, not {}", go.version, answer[1]);
        }
    }
}

#[test]
fn calls_inlined_into_each_other_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    for go in releases() {
        let data = build(&go, &["-ldflags=-s -w"], &[], &folder.path().join("program"));
        let binary = Binary::parse(&data).unwrap();
        let main = binary.functions.iter().find(|function| function.name() == "main.main").unwrap();
        assert!(binary.functions.has_name("main.main") && binary.functions.has_name("runtime.goexit"));
        assert!(!binary.functions.has_name("main.mai") && !binary.functions.has_name("ain.main"));
        let chains: Vec<Vec<String>> = (main.entry..main.end)
            .map(|place| binary.frames(place).iter().map(|frame| frame.function.to_string()).collect())
            .collect();
        // The whole chain, in order, ends in the function that has a frame.
        assert!(
            chains.contains(&["main.short", "main.longer", "main.main"].map(str::to_owned).to_vec()),
            "{}",
            go.version
        );
        assert!(chains.iter().all(|chain| chain.last().is_some_and(|last| last == "main.main")));
        let lines: Vec<u32> = (main.entry..main.end)
            .map(|place| binary.frames(place))
            .filter(|frames| frames.len() == 3 && frames[0].function == "main.short")
            .flat_map(|frames| frames.iter().map(|frame| frame.line).collect::<Vec<_>>())
            .collect();
        let source = std::fs::read_to_string(source()).unwrap();
        let line_of = |text: &str| source.lines().position(|line| line.contains(text)).unwrap() as u32 + 1;
        assert_eq!(
            lines[..3],
            [line_of("func short"), line_of("func longer"), line_of("key: longer(3)")],
            "{}",
            go.version
        );
    }
}

//! A module on disk, and the program run in it.
#![allow(dead_code, clippy::expect_used, clippy::disallowed_methods, reason = "each test uses a part of it")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A function that opens a file and never closes it.
pub(crate) fn leak(name: &str) -> String {
    format!(
        "func {name}() (byte, error) {{\n\tf, err := os.Open(\"{name}\")\n\tif err != nil {{\n\t\treturn 0, err\n\t}}\n\
         \tbuffer := make([]byte, 1)\n\t_, err = f.Read(buffer)\n\treturn buffer[0], err\n}}\n"
    )
}

/// A file with such functions.
pub(crate) fn leaks(names: &[&str]) -> String {
    let functions: Vec<String> = names.iter().map(|name| leak(name)).collect();
    format!("package data\n\nimport \"os\"\n\n{}", functions.join("\n"))
}

/// A module with these files.
pub(crate) fn module(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory for the test");
    write(dir.path(), "go.mod", "module example.com/m\n\ngo 1.25\n");
    for (path, text) in files {
        write(dir.path(), path, text);
    }
    dir
}

pub(crate) fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("it is writable");
    std::fs::write(path, text).expect("it is writable");
}

pub(crate) fn read(dir: &Path, path: &str) -> String {
    std::fs::read_to_string(dir.join(path)).expect("it is there")
}

/// The program, with nothing of the environment but where programs are.
pub(crate) fn residue(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
    command.current_dir(dir).env_clear().env("HOME", dir).stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

pub(crate) fn run(dir: &Path, args: &[&str]) -> Output {
    residue(dir).args(args).output().expect("the program starts")
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// The report of a run as JSON.
pub(crate) fn json(dir: &Path, args: &[&str]) -> serde_json::Value {
    let output = run(dir, &[&["check", "--format", "json"][..], args].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", err(&output)))
}

/// The declarations that findings of a run are in, in order.
pub(crate) fn found(dir: &Path, args: &[&str]) -> Vec<String> {
    let json = json(dir, args);
    let findings = json["findings"].as_array().expect("a list").iter();
    findings.map(|finding| finding["site"]["declaration"].as_str().expect("a name").to_owned()).collect()
}

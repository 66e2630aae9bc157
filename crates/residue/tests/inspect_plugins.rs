//! A program that has loaded plugins, looked into from the command line.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

use std::path::Path;
use std::process::{Command, Output};

use residue_testkit::go::{Go, HOST, Running, WITH_C, releases};
use residue_testkit::schema;
use serde_json::{Value, json};

/// The programs are those of the library's test.
fn build(go: &Go, name: &str, flags: &[&str], to: &Path) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../residue-runtime/tests/programs/{name}.go"));
    let flags = [&["-ldflags=-s -w", WITH_C], flags].concat();
    go.build_module(&format!("example.com/{name}"), &[file], &flags, HOST, to);
}

fn inspect(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_residue")).arg("inspect").args(args).output().expect("residue runs")
}

fn out(args: &[&str]) -> String {
    let output = inspect(args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn plugins_are_named_with_what_they_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let go = releases().pop().expect("a release");
    let file = |name: &str| folder.path().join(name);
    build(&go, "plugin", &["-buildmode=plugin"], &file("plugin.so"));
    build(&go, "plugin_other", &["-buildmode=plugin"], &file("plugin_other.so"));
    build(&go, "plugin_host", &[], &file("host"));
    let mut running = Running::start(Command::new(file("host")).args([file("plugin.so"), file("plugin_other.so")]));
    let _stdin = running.stdin();
    let said = running.lines_until("ready");
    running.settle();
    let pid = running.pid().to_string();

    let summary = out(&[&pid]);
    assert!(summary.contains("\n  plugins      2        plugin.so · plugin_other.so\n  goroutines "), "{summary}");
    assert!(summary.lines().next().is_some_and(|line| line.ends_with("nothing odd")), "{summary}");
    let document: Value = serde_json::from_str(&out(&[&pid, "--format", "json"])).expect("JSON");
    let plugin = |name: &str| json!({"path": file(name).to_string_lossy(), "readable": true});
    let mut plugins = document["plugins"].as_array().cloned().unwrap_or_default();
    plugins.sort_by_key(|plugin| plugin["path"].to_string().len());
    assert_eq!(plugins, [plugin("plugin.so"), plugin("plugin_other.so")]);
    let text = include_str!("../../../docs/schema/inspect.schema.json");
    let mistakes = schema::mistakes(&serde_json::from_str(text).expect("the schema is JSON"), &document);
    assert!(mistakes.is_empty(), "{mistakes:#?}");

    let stacks = out(&[&pid, "goroutines", "--group"]);
    assert!(stacks.contains("example.com/plugin.open") && stacks.contains("example.com/plugin_other.wait"), "{stacks}");
    let defers = out(&[&pid, "defers"]);
    assert!(defers.contains(", deferred by example.com/plugin.loop\n"), "{defers}");
    assert!(defers.contains("panic    *main.failure  active"), "{defers}");
    let address = said.iter().find_map(|line| line.strip_prefix("object mapped ")).expect("it says where");
    let why = out(&[&pid, "why", address]);
    let way = ["  package variable at plugin.so bss+0x", "→ main.mapped"];
    assert!(way.iter().all(|part| why.contains(part)), "{why}");
    // The second look forgets what the first has read, plugins too.
    let watch = out(&[&pid, "why", address, "--watch", "--interval", "1ms", "--for", "300ms"]);
    assert!(way.iter().all(|part| watch.contains(part)) && !watch.contains("nothing in use keeps it"), "{watch}");
    assert!(watch.contains(": the time is up, it is there still\n"), "{watch}");
}

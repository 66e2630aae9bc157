//! What `action.yml`, `.pre-commit-hooks.yaml` and the GitLab job declare, run as those who read them would.
#![cfg(unix)]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{code, err, leaks, module, out, read, write};
use serde_yaml_ng::Value as Yaml;
use tempfile::TempDir;

const ACTION: &str = include_str!("../../../action.yml");
const HOOKS: &str = include_str!("../../../.pre-commit-hooks.yaml");
const GITLAB: &str = include_str!("../../../docs/ci/gitlab.yml");
const GITHUB: &str = include_str!("../../../docs/ci/github.yml");

fn load(text: &str) -> Yaml {
    serde_yaml_ng::from_str(text).expect("it is YAML")
}

fn text<'y>(yaml: &'y Yaml, key: &str) -> &'y str {
    yaml[key].as_str().unwrap_or_else(|| panic!("no text `{key}`"))
}

fn keys(yaml: &Yaml) -> Vec<String> {
    yaml.as_mapping().expect("a mapping").keys().map(|key| key.as_str().expect("a text").to_owned()).collect()
}

/// A directory with the program under test under its name.
fn bin() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory for the test");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_residue"), dir.path().join("residue")).expect("links can be made");
    dir
}

fn path_with(first: &Path) -> std::ffi::OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(first.to_owned()).chain(std::env::split_paths(&rest))).expect("a path")
}

fn shell(shell: &str, script: &str, dir: &Path, path: &Path, env: &BTreeMap<String, String>) -> Output {
    let mut command = Command::new(shell);
    command.arg("-c").arg(script).current_dir(dir).stdin(Stdio::null());
    command.env_clear().env("HOME", dir).env("PATH", path_with(path)).envs(env).output().expect("the shell starts")
}

fn git(dir: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(dir).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(args);
    let output = command.env("HOME", dir).env("GIT_CONFIG_NOSYSTEM", "1").output().expect("git starts");
    assert!(output.status.success(), "git {args:?}: {}", err(&output));
}

/// A repository with a leak that is there already.
fn repository() -> TempDir {
    let dir = module(&[("a.go", &leaks(&["Old"]))]);
    git(dir.path(), &["init", "--quiet", "--initial-branch", "main"]);
    git(dir.path(), &["add", "--all"]);
    git(dir.path(), &["commit", "--quiet", "--message", "first"]);
    dir
}

/// Runs the steps of the action with these inputs, as a runner does.
fn act(dir: &Path, bin: &Path, inputs: &[(&str, &str)]) -> Vec<Output> {
    let action = load(ACTION);
    let temp = dir.join("runner");
    std::fs::create_dir_all(&temp).expect("it is writable");
    let given: BTreeMap<&str, &str> = inputs.iter().copied().collect();
    let declared = keys(&action["inputs"]);
    assert!(given.keys().all(|name| declared.iter().any(|known| known == name)), "inputs are declared");
    let value = |name: &str| match given.get(name) {
        Some(value) => (*value).to_owned(),
        None => text(&action["inputs"][name], "default").to_owned(),
    };
    let mut outputs = Vec::new();
    for step in action["runs"]["steps"].as_sequence().expect("a list") {
        let mut env = BTreeMap::from([
            ("GITHUB_OUTPUT".to_owned(), temp.join("output").display().to_string()),
            ("GITHUB_PATH".to_owned(), temp.join("path").display().to_string()),
            ("GITHUB_ACTION_PATH".to_owned(), root().display().to_string()),
        ]);
        for name in keys(&step["env"]) {
            let mut declared = text(&step["env"], &name).replace("${{ runner.temp }}", &temp.display().to_string());
            while let Some((before, rest)) = declared.split_once("${{ inputs.") {
                let (input, after) = rest.split_once(" }}").expect("it is closed");
                declared = format!("{before}{}{after}", value(input));
            }
            env.insert(name, declared);
        }
        let script = text(step, "run");
        assert!(!script.contains("${{"), "what somebody else wrote may not become part of a script");
        let path = std::fs::read_to_string(temp.join("path")).unwrap_or_default();
        let added = path.lines().next().map_or(bin.to_owned(), PathBuf::from);
        outputs.push(shell(text(step, "shell"), script, dir, &added, &env));
    }
    outputs
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace")
}

#[test]
fn the_action_annotates_and_writes_sarif() {
    let (dir, bin) = (repository(), bin());
    write(dir.path(), "b.go", &leaks(&["New"]));
    let all = act(dir.path(), bin.path(), &[]);
    let check = all.last().expect("a step");
    assert_eq!(code(check), 1, "{}", err(check));
    let annotations: Vec<String> = out(check).lines().map(|line| line.chars().take(30).collect()).collect();
    assert_eq!(
        annotations,
        ["::warning file=a.go,line=6,endL", "::warning file=b.go,line=6,endL"].map(|l| l[..30].to_owned())
    );
    assert_eq!(read(dir.path(), "runner/output"), "sarif=residue.sarif\n");
    assert!(read(dir.path(), "residue.sarif").contains("\"uri\":\"b.go\""));

    let inputs = [("diff", "main"), ("sarif", "out/x y.sarif"), ("fail-on", "error"), ("args", "--tests  -q")];
    std::fs::create_dir(dir.path().join("out")).expect("it is writable");
    let change = act(dir.path(), bin.path(), &inputs);
    let check = change.last().expect("a step");
    assert_eq!((code(check), err(check).as_str()), (0, ""));
    assert_eq!(out(check).lines().count(), 1, "only what is new");
    let sarif = read(dir.path(), "out/x y.sarif");
    assert!(sarif.contains("b.go") && !sarif.contains("a.go"), "what is held back is not there: {sarif}");

    // Inputs are data, whatever they hold.
    for (input, hostile) in [("patterns", "./... $(touch evil) `touch evil` ; touch evil"), ("diff", "$(touch evil)")] {
        let refused = act(dir.path(), bin.path(), &[(input, hostile)]);
        assert!(code(refused.last().expect("a step")) > 0);
        assert!(!dir.path().join("evil").exists());
    }
}

#[test]
fn the_action_builds_what_is_not_there() {
    let dir = repository();
    // Stands in for cargo: says what it was asked for, and installs the program under test.
    let tools = tempfile::tempdir().expect("a directory for the test");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >cargo.txt\nwhile [ $# -gt 0 ]; do case $1 in --path) test -f \"$2/Cargo.toml\" || exit 9 ;; \
         --root) mkdir -p \"$2/bin\" && ln -s '{}' \"$2/bin/residue\" ;; esac; shift; done\n",
        env!("CARGO_BIN_EXE_residue")
    );
    write(tools.path(), "cargo", &script);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(tools.path().join("cargo"), executable).expect("it is ours");
    let steps = act(dir.path(), tools.path(), &[]);
    assert_eq!(code(&steps[0]), 0, "{}", err(&steps[0]));
    assert!(read(dir.path(), "cargo.txt").starts_with("install --locked --quiet --path "));
    assert_eq!(code(&steps[1]), 1, "{}", err(&steps[1]));
}

#[test]
fn the_workflow_uses_the_action_as_it_is() {
    let (workflow, action) = (load(GITHUB), load(ACTION));
    let steps = workflow["jobs"]["residue"]["steps"].as_sequence().expect("a list");
    let ours = steps.iter().find(|step| text(step, "uses").starts_with("OWNER/residue")).expect("the action is used");
    let declared = keys(&action["inputs"]);
    assert!(keys(&ours["with"]).iter().all(|input| declared.contains(input)));
    let outputs = keys(&action["outputs"]);
    for reference in GITHUB.split("steps.residue.outputs.").skip(1) {
        assert!(outputs.iter().any(|output| reference.starts_with(output.as_str())), "{reference}");
    }
    let value = text(&action["outputs"]["sarif"], "value");
    let step = action["runs"]["steps"].as_sequence().and_then(|steps| steps.last()).expect("a step");
    assert_eq!(value, format!("${{{{ steps.{}.outputs.sarif }}}}", text(step, "id")));
}

#[test]
fn each_hook_runs() {
    let bin = bin();
    let hooks = load(HOOKS);
    for hook in hooks.as_sequence().expect("a list") {
        let known = [
            "id",
            "name",
            "description",
            "entry",
            "args",
            "language",
            "types",
            "files",
            "pass_filenames",
            "require_serial",
        ];
        assert!(keys(hook).iter().all(|key| known.contains(&key.as_str())), "{:?}", keys(hook));
        let args: Vec<&str> =
            hook["args"].as_sequence().into_iter().flatten().map(|arg| arg.as_str().expect("a text")).collect();
        let files = if hook["pass_filenames"].as_bool() == Some(false) { "" } else { ".residue.toml" };
        let line = format!("{} {} {files}", text(hook, "entry"), args.join(" "));
        let run = |dir: &Path| shell("sh", &line, dir, bin.path(), &BTreeMap::new());
        let dir = repository();
        match text(hook, "id") {
            "residue" => {
                assert_eq!(code(&run(dir.path())), 0, "an old leak is no reason to refuse a commit");
                write(dir.path(), "b.go", &leaks(&["New"]));
                git(dir.path(), &["add", "b.go"]);
                let refused = run(dir.path());
                assert_eq!(code(&refused), 1);
                assert!(out(&refused).contains("b.go:6:") && !out(&refused).contains("a.go"), "{}", out(&refused));
            }
            "residue-baseline" => {
                assert_eq!(code(&common::run(dir.path(), &["baseline", "write"])), 0);
                let before = read(dir.path(), ".residue-baseline.toml");
                assert_eq!(code(&run(dir.path())), 0);
                assert_eq!(read(dir.path(), ".residue-baseline.toml"), before, "files that stay as they are pass");
                write(dir.path(), "a.go", "package data\n");
                assert_eq!(code(&run(dir.path())), 0);
                assert_ne!(read(dir.path(), ".residue-baseline.toml"), before);
            }
            "residue-config" => {
                write(dir.path(), ".residue.toml", "tests = true\n");
                assert_eq!(code(&run(dir.path())), 0);
                write(dir.path(), ".residue.toml", "test = true\n");
                assert_eq!(code(&run(dir.path())), 2);
            }
            other => panic!("no test for the hook {other}"),
        }
    }
}

#[test]
fn the_gitlab_job_makes_the_reports_it_declares() {
    let (dir, bin) = (repository(), bin());
    let job = &load(GITLAB)["residue"];
    let lines = job["script"].as_sequence().expect("a list");
    let script: Vec<&str> = lines.iter().map(|line| line.as_str().expect("a text")).collect();
    let run = |env: &[(&str, &str)]| {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        shell("sh", &format!("set -e\n{}", script.join("\n")), dir.path(), bin.path(), &env)
    };
    let all = run(&[]);
    assert_eq!(code(&all), 1, "{}", err(&all));
    let reports = &job["artifacts"]["reports"];
    let quality = || -> serde_json::Value {
        serde_json::from_str(&read(dir.path(), text(reports, "codequality"))).expect("JSON")
    };
    assert_eq!(quality()[0]["location"]["path"], "a.go");
    assert!(read(dir.path(), text(reports, "junit")).contains("failures=\"1\""));

    // As in a merge request: the rule sets a variable to the commit that the branch left.
    let variables = &job["rules"].as_sequence().expect("a list")[0]["variables"];
    let [name] = &keys(variables)[..] else { panic!("one variable") };
    assert_eq!(text(variables, name), "$CI_MERGE_REQUEST_DIFF_BASE_SHA");
    write(dir.path(), "b.go", &leaks(&["New"]));
    let change = run(&[(name.as_str(), "main")]);
    assert_eq!(code(&change), 1, "{}", err(&change));
    assert_eq!(quality().as_array().map(Vec::len), Some(1));
    assert_eq!(quality()[0]["location"]["path"], "b.go");
}

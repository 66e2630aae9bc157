//! Only what a change causes; and a repository that is set against whoever asks it.
#![cfg(unix)]
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{code, err, found, json, leaks, module, out, residue, run, write};
use tempfile::TempDir;

/// Git as a user would run it, with nothing of this machine's configuration.
fn git(dir: &Path, args: &[&str]) -> String {
    let output = git_command(dir).args(args).output().expect("git starts");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn git_command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", dir.join("nowhere")).env("GIT_CONFIG_NOSYSTEM", "1").stdin(Stdio::null());
    for (name, value) in [("NAME", "a"), ("EMAIL", "a@example.com")] {
        command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    command
}

fn commit(dir: &Path, message: &str) {
    git(dir, &["add", "--all"]);
    git(dir, &["commit", "--quiet", "--message", message]);
}

/// A repository whose `main` has leaks in `A` and `B`, with a branch checked out.
fn repository() -> TempDir {
    let dir = module(&[("a.go", &leaks(&["A", "B"])), ("sub/sub.go", &leaks(&["Sub"]))]);
    git(dir.path(), &["init", "--quiet", "--initial-branch", "main"]);
    commit(dir.path(), "first");
    git(dir.path(), &["checkout", "--quiet", "-b", "topic"]);
    dir
}

#[test]
fn only_what_a_branch_causes_is_reported() {
    let dir = repository();
    assert_eq!(found(dir.path(), &["--diff", "main"]), [""; 0]);
    write(dir.path(), "a.go", &leaks(&["New", "A", "B"]));
    assert_eq!(found(dir.path(), &["--diff", "main"]), ["New"], "in the working tree");
    commit(dir.path(), "second");
    assert_eq!(found(dir.path(), &["--diff", "main"]), ["New"], "and committed");
    assert_eq!(found(dir.path(), &["--diff", "HEAD"]), [""; 0]);
    assert_eq!(found(&dir.path().join("sub"), &["--diff", "main", ".."]), ["New"], "from below");
    let elsewhere = tempfile::tempdir().expect("a directory for the test");
    let path = dir.path().to_str().expect("UTF-8");
    assert_eq!(found(elsewhere.path(), &["--diff", "main", path]), ["New"], "from elsewhere");

    // What happens on main meanwhile is not of this branch.
    git(dir.path(), &["checkout", "--quiet", "main"]);
    write(dir.path(), "sub/sub.go", &leaks(&["Sub", "Other"]));
    commit(dir.path(), "third");
    git(dir.path(), &["checkout", "--quiet", "topic"]);
    assert_eq!(found(dir.path(), &["--diff", "main"]), ["New"]);

    // A file that nobody has added yet, one that moved, one that only lost a line on the way.
    write(dir.path(), "untracked.go", &leaks(&["Untracked"]));
    git(dir.path(), &["mv", "sub/sub.go", "sub/moved.go"]);
    assert_eq!(found(dir.path(), &["--diff", "HEAD"]), ["Untracked"]);
    let closed = leaks(&["Closed"]).replace("\tbuffer", "\tdefer f.Close()\n\tbuffer");
    write(dir.path(), "closed.go", &closed);
    commit(dir.path(), "fourth");
    write(dir.path(), "closed.go", &leaks(&["Closed"]));
    assert_eq!(found(dir.path(), &["--diff", "HEAD"]), ["Closed"]);

    let output = run(dir.path(), &["check", "--diff", "HEAD"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains(". 5 outside the change"), "{}", err(&output));
    let report = json(dir.path(), &["--diff", "HEAD"]);
    assert_eq!(report["summary"]["change"], serde_json::json!({"from": "HEAD", "outside": 5}));
    assert_eq!(report["suppressed"][0]["by"]["kind"], "outside_change");
}

#[test]
fn a_patch_says_the_same() {
    let dir = repository();
    write(dir.path(), "a.go", &leaks(&["New", "A", "B"]));
    let patch = git(dir.path(), &["diff"]) + "\n";
    write(dir.path(), "x.patch", &patch);
    assert_eq!(found(dir.path(), &["--diff", "x.patch"]), ["New"]);
    let stdin = std::fs::File::open(dir.path().join("x.patch")).expect("it is there");
    let output = residue(dir.path()).args(["check", "--diff", "-"]).stdin(stdin).output().expect("the program starts");
    assert!(out(&output).contains("Open(\"New\")") && !out(&output).contains("Open(\"A\")"), "{}", out(&output));
    for (name, text, said) in [
        ("none.patch", None, "cannot read the patch none.patch"),
        ("empty.diff", Some(""), "the patch empty.diff names no file"),
        ("cut.diff", Some("--- a/a.go\n+++ b/a.go\n@@ -1 +1,9 @@\n+x\n"), "it ends within a hunk"),
    ] {
        if let Some(text) = text {
            write(dir.path(), name, text);
        }
        let output = run(dir.path(), &["check", "--diff", name]);
        assert_eq!(code(&output), 2, "{name}");
        assert!(err(&output).contains(said), "{}", err(&output));
    }
}

#[test]
fn a_revision_is_neither_an_option_nor_a_file() {
    let dir = repository();
    write(dir.path(), "main", "--- a/x\n+++ b/x\n");
    write(dir.path(), "gone", "--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+x\n");
    assert_eq!(found(dir.path(), &["--diff", "main"]), [""; 0], "a file of that name plays no part");
    let out_file = dir.path().join("written");
    let option = format!("--output={}", out_file.display());
    for (revision, said) in [
        ("gone", "there is no revision `gone`"),
        (option.as_str(), "is no revision"),
        ("--no-index", "`--no-index` is no revision"),
        ("main..topic", "there is no revision `main..topic`"),
        ("", "`` is no revision"),
        ("main\u{1b}[2J", "there is no revision `main\\x1b[2J`"),
    ] {
        let output = run(dir.path(), &["check", &format!("--diff={revision}")]);
        assert_eq!(code(&output), 2, "{revision}: {}", err(&output));
        assert!(err(&output).contains(said), "{revision}: {}", err(&output));
    }
    assert!(!out_file.exists());
    let no_repository = module(&[]);
    let output = run(no_repository.path(), &["check", "--diff", "main"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("is in no git repository"), "{}", err(&output));
}

#[test]
fn the_first_commit_is_all_new() {
    let dir = module(&[("a.go", &leaks(&["A"]))]);
    git(dir.path(), &["init", "--quiet", "--initial-branch", "main"]);
    assert_eq!(found(dir.path(), &["--diff", "HEAD"]), ["A"]);
    let output = run(dir.path(), &["check", "--diff", "main~1"]);
    assert!(err(&output).contains("there is no commit yet"), "{}", err(&output));
}

#[test]
fn a_shallow_clone_says_what_it_lacks() {
    let origin = repository();
    write(origin.path(), "a.go", &leaks(&["New", "A", "B"]));
    commit(origin.path(), "second");
    git(origin.path(), &["checkout", "--quiet", "main"]);
    write(origin.path(), "sub/sub.go", &leaks(&["Sub", "Other"]));
    commit(origin.path(), "third");
    let clones = tempfile::tempdir().expect("a directory for the test");
    let url = format!("file://{}", origin.path().display());
    git(clones.path(), &["clone", "--quiet", "--depth=1", "--branch=topic", "--no-tags", &url, "clone"]);
    let clone = clones.path().join("clone");
    let missing = run(&clone, &["check", "--diff", "origin/main"]);
    assert_eq!(code(&missing), 2);
    assert!(err(&missing).contains("there is no revision `origin/main`"), "{}", err(&missing));
    let hint = "hint: this is a shallow clone; `git fetch --depth=1 origin main` gets it as FETCH_HEAD";
    assert!(err(&missing).contains(hint), "{}", err(&missing));

    git(&clone, &["fetch", "--quiet", "--depth=1", "origin", "main"]);
    let compared = run(&clone, &["check", "--diff", "FETCH_HEAD"]);
    assert!(err(&compared).contains("have no commit in common in this shallow clone"), "{}", err(&compared));
    assert!(err(&compared).contains("fetch-depth: 0"), "{}", err(&compared));
    assert!(out(&compared).contains("Open(\"New\")") && !out(&compared).contains("Open(\"A\")"), "{}", out(&compared));
    git(&clone, &["fetch", "--quiet", "--unshallow", "origin", "main", "topic"]);
    let whole = run(&clone, &["check", "--diff", "FETCH_HEAD"]);
    assert!(!err(&whole).contains("in common"), "{}", err(&whole));
}

/// Sets a repository so that git runs a program wherever it can be made to.
fn arm(dir: &Path, canary: &Path) {
    let script = dir.join(".git/run");
    // Leaves a trace and ends: nobody is to wait for it.
    let text = format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\nexit 1\n", canary.display());
    std::fs::write(&script, text).expect("it is writable");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let script = script.to_str().expect("UTF-8");
    let hooks = dir.join(".git/armed");
    std::fs::create_dir_all(&hooks).expect("it is writable");
    for hook in ["post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout", "pre-commit"] {
        std::os::unix::fs::symlink(script, hooks.join(hook)).expect("links can be made");
    }
    for (name, value) in [
        ("core.fsmonitor", script),
        ("core.hooksPath", hooks.to_str().expect("UTF-8")),
        ("core.pager", script),
        ("pager.diff", script),
        ("pager.config", script),
        ("core.editor", script),
        ("core.sshCommand", script),
        ("core.alternateRefsCommand", script),
        ("core.gitProxy", script),
        ("core.askPass", script),
        ("credential.helper", script),
        ("diff.external", script),
        ("diff.d.command", script),
        ("diff.d.textconv", script),
        ("filter.f.clean", script),
        ("filter.f.smudge", script),
        ("filter.f.process", script),
        ("filter.f.required", "true"),
        ("filter.g=h.clean", script),
        ("gpg.program", script),
        ("log.showSignature", "true"),
        ("alias.diff", &format!("!{script}")),
        ("alias.config", &format!("!{script}")),
        ("interactive.diffFilter", script),
        ("merge.m.driver", script),
        ("uploadpack.packObjectsHook", script),
        ("remote.origin.url", &format!("ext::{script} %S")),
        ("remote.origin.uploadpack", script),
        ("remote.origin.promisor", "true"),
        ("remote.origin.partialCloneFilter", "blob:none"),
        ("protocol.ext.allow", "always"),
        ("extensions.partialClone", "origin"),
        ("core.repositoryFormatVersion", "1"),
        ("core.untrackedCache", "true"),
        ("index.recordOffsetTable", "true"),
        ("trace2.eventTarget", canary.to_str().expect("UTF-8")),
    ] {
        git(dir, &["config", name, value]);
    }
    let worktree = dir.with_extension("elsewhere");
    std::fs::create_dir_all(&worktree).expect("it is writable");
    std::fs::write(dir.join(".git/info/attributes"), "*.go diff=d filter=f\n*.txt filter=g=h\n")
        .expect("it is writable");
}

#[test]
fn nothing_that_a_repository_names_is_run() {
    let dir = repository();
    write(dir.path(), "b.txt", "text\n");
    write(dir.path(), ".gitattributes", "*.go diff=d filter=f\n*.txt filter=g=h\n");
    commit(dir.path(), "attributes");
    write(dir.path(), "a.go", &leaks(&["New", "A", "B"]));
    write(dir.path(), "b.txt", "other\n");
    write(dir.path(), "untracked.go", &leaks(&["Untracked"]));
    let canary = dir.path().join(".git/canary");
    arm(dir.path(), &canary);

    // The traps work: git itself walks into them.
    let careless = git_command(dir.path()).args(["diff", "main"]).output().expect("git starts");
    assert!(canary.exists(), "{}", String::from_utf8_lossy(&careless.stderr));
    std::fs::remove_file(&canary).expect("it is there");
    let _ = git_command(dir.path()).args(["-c", "core.fsmonitor=false", "diff", "--no-ext-diff", "main"]).output();
    assert!(canary.exists(), "text conversions and filters");
    std::fs::remove_file(&canary).expect("it is there");

    assert_eq!(found(dir.path(), &["--diff", "main"]), ["New", "Untracked"]);
    let sprung = std::fs::read_to_string(&canary).unwrap_or_default();
    assert!(sprung.is_empty(), "{sprung}");

    // A blob that a partial clone lacks is not fetched, and said to be missing.
    let blob = git(dir.path(), &["-c", "core.fsmonitor=false", "rev-parse", "main:a.go"]);
    std::fs::remove_file(dir.path().join(".git/objects").join(&blob[..2]).join(&blob[2..])).expect("it is loose");
    let _ = std::fs::remove_file(&canary);
    let careless = git_command(dir.path()).args(["cat-file", "blob", &blob]).output().expect("git starts");
    assert!(!careless.status.success() && canary.exists(), "git tries to fetch it");
    std::fs::remove_file(&canary).expect("it is there");
    let output = run(dir.path(), &["check", "--diff", "main"]);
    assert_eq!(code(&output), 3, "{}", err(&output));
    assert!(err(&output).contains("git cannot tell what changed: fatal: "), "{}", err(&output));
    // Nor by a git that doesn't know that it is not to.
    let old = tempfile::tempdir().expect("a directory for the test");
    let path = std::env::var("PATH").expect("there is one");
    let script = format!("#!/bin/sh\nunset GIT_NO_LAZY_FETCH\nPATH='{path}'\nexec git \"$@\"\n");
    write(old.path(), "git", &script);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(old.path().join("git"), executable).expect("it is ours");
    let output = residue(dir.path()).args(["check", "--diff", "main"]).env("PATH", old.path()).output();
    assert_eq!(code(&output.expect("the program starts")), 3);
    let sprung = std::fs::read_to_string(&canary).unwrap_or_default();
    assert!(sprung.is_empty(), "{sprung}");
}

#[test]
fn links_are_followed_to_what_changed() {
    let dir = repository();
    let link = |target: &str| {
        let _ = std::fs::remove_file(dir.path().join("link.go"));
        std::os::unix::fs::symlink(target, dir.path().join("link.go")).expect("links can be made");
    };
    write(dir.path(), "code.txt", &leaks(&["Linked"]));
    write(dir.path(), "other.txt", &leaks(&["Other"]));
    commit(dir.path(), "texts");
    link("code.txt");
    assert_eq!(found(dir.path(), &["--diff", "HEAD"]), ["Linked"], "not yet added");
    commit(dir.path(), "link");
    assert_eq!(found(dir.path(), &["--diff", "HEAD~1"]), ["Linked"], "to git, one line is new");
    assert_eq!(found(dir.path(), &["--diff", "HEAD"]), [""; 0]);
    write(dir.path(), "code.txt", &leaks(&["Linked", "More"]));
    assert_eq!(found(dir.path(), &["--diff", "HEAD"]), ["More"], "the file behind it changed");
    link("other.txt");
    assert_eq!(found(dir.path(), &["--diff", "HEAD"]), ["Other"]);
}

#[test]
fn the_tree_does_not_supply_git() {
    let dir = repository();
    write(dir.path(), "git", "#!/bin/sh\ntouch sprung\n");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(dir.path().join("git"), executable).expect("it is ours");
    for path in [".", "", ":", "./"] {
        let output = residue(dir.path()).args(["check", "--diff", "main"]).env("PATH", path).output();
        let output = output.expect("the program starts");
        assert_eq!(code(&output), 3, "{}", err(&output));
        assert!(err(&output).contains("needs git, which is not on PATH"), "{}", err(&output));
    }
    assert!(!dir.path().join("sprung").exists());
}

#[test]
fn a_change_cannot_hide_itself() {
    let dir = repository();
    // Called binary, git shows no lines of it; found by a name with blanks, quotes and line ends, it is still itself.
    write(dir.path(), ".gitattributes", "*.go binary -diff\n");
    write(dir.path(), "a.go", &leaks(&["New", "A", "B"]));
    write(dir.path(), "odd \"name\"\tä\n/odd.go", &leaks(&["Odd"]));
    assert_eq!(found(dir.path(), &["--diff", "main"]), ["New", "Odd"]);
    commit(dir.path(), "hidden");
    assert_eq!(found(dir.path(), &["--diff", "main"]), ["New", "Odd"]);
    // Read as UTF-16, it has a single line.
    for encoding in ["UTF-16LE", "UTF-16LE-BOM", "IBM037", "nonsense"] {
        write(dir.path(), ".git/info/attributes", &format!("a.go working-tree-encoding={encoding}\n"));
        assert_eq!(
            found(dir.path(), &["--diff", "main"]),
            ["New", "A", "B", "Odd"],
            "{encoding}: the whole file counts"
        );
    }
    std::fs::remove_file(dir.path().join(".git/info/attributes")).expect("it is there");
    for (name, value) in [
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.relative", "true"),
        ("diff.context", "40"),
        ("diff.interHunkContext", "40"),
        ("diff.orderFile", "/dev/full"),
        ("diff.wordRegex", "."),
        ("diff.ignoreSubmodules", "all"),
        ("color.ui", "always"),
        ("color.diff", "always"),
        ("diff.colorMoved", "plain"),
        ("core.quotePath", "true"),
        ("core.bigFileThreshold", "1"),
        ("core.worktree", "/nonexistent"),
        ("diff.renames", "copies"),
        ("status.showUntrackedFiles", "no"),
        ("diff.srcPrefix", "x/"),
        ("diff.dstPrefix", "y/"),
    ] {
        git(dir.path(), &["config", name, value]);
        assert_eq!(found(dir.path(), &["--diff", "main"]), ["New", "Odd"], "{name}");
        git_command(dir.path()).args(["--work-tree=.", "config", "--unset", name]).output().expect("git starts");
    }
}

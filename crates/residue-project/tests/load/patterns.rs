//! What patterns select.

use residue_project::{Config, Problem, Project, Severity};

use crate::{files, missing, only, package, packages, problems, project, project_with};

const TREE: &str = "-- /w/go.mod --
    module example.com/m
    ignore ./skipped
    -- /w/root.go --
    package m
    -- /w/a/a.go --
    package a
    -- /w/a/b/b.go --
    package b
    -- /w/ab/ab.go --
    package ab
    -- /w/skipped/s.go --
    package s
    -- /w/testdata/t.go --
    package t
    -- /w/_x/x.go --
    package x
    -- /w/.git/config --
    -- /w/node_modules/n/n.go --
    package n
    -- /w/empty/README --
    no Go here
    -- /w/sub/go.mod --
    module example.com/sub
    -- /w/sub/s.go --
    package sub
    -- /w/sub/deep/d.go --
    package deep";

fn select(patterns: &[&str], trees: bool) -> (Vec<String>, Project) {
    let project = project_with(&files(TREE), |config: &mut Config| {
        config.patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        config.trees = trees;
    });
    let shown = packages(&project);
    let names = shown.iter().filter_map(|name| name.strip_suffix("* root").map(str::to_owned));
    (names.map(|name| name.replace("example.com/", "")).collect(), project)
}

#[test]
fn directories_wildcards_and_import_paths() {
    let all = ["m", "m/a", "m/a/b", "m/ab", "m/node_modules/n"];
    for (patterns, trees, want) in [
        (&["./..."][..], false, &all[..]),
        (&["..."], false, &all),
        (&["."], true, &all),
        (&[], true, &all),
        (&["."], false, &["m"]),
        (&["./a"], false, &["m/a"]),
        (&["a"], false, &["m/a"]),
        (&["/w/a"], false, &["m/a"]),
        (&["./a"], true, &["m/a", "m/a/b"]),
        (&["./a/..."], false, &["m/a", "m/a/b"]),
        (&["./a..."], false, &["m/a", "m/a/b", "m/ab"]),
        (&["./.../b"], false, &["m/a/b"]),
        (&["example.com/m/a"], false, &["m/a"]),
        (&["example.com/m/a/..."], false, &["m/a", "m/a/b"]),
        (&["example.com/m/..."], false, &all),
        (&["a", "ab", "./a"], false, &["m/a", "m/ab"]),
        (&["a/../ab"], false, &["m/ab"]),
        (&["testdata"], false, &["m/testdata"]),
        (&["sub"], false, &["sub"]),
        (&["a", "sub/..."], false, &["m/a", "sub", "sub/deep"]),
    ] {
        let (got, project) = select(patterns, trees);
        assert_eq!(got, want, "{patterns:?}");
        assert_eq!((problems(&project), missing(&project)), (vec![], vec![]), "{patterns:?}");
    }
}

#[test]
fn a_nested_module_is_mentioned() {
    let (_, project) = select(&["./..."], false);
    let note = only(&project, Problem::NestedModule);
    assert_eq!(
        (note.severity, note.to_string()),
        (Severity::Note, "sub: another module, not analysed with the one above it".to_owned())
    );
    assert_eq!(note.hint.as_deref(), Some("analyse it with `sub/...`"));
}

#[test]
fn where_only_nested_modules_have_code_they_are_named() {
    let fs = files(
        "-- /w/go.mod --
         module m
         -- /w/tools/x/go.mod --
         module x
         -- /w/tools/x/x.go --
         package x",
    );
    let project = project_with(&fs, |config: &mut Config| config.patterns = vec!["tools/...".to_owned()]);
    let said = only(&project, Problem::NoGoFiles);
    let hint = "modules below it are not part of it: name them, as in `tools/x/...`";
    assert_eq!(said.hint.as_deref(), Some(hint));
}

#[test]
fn below_a_directory_without_module_every_module_is_analysed() {
    let fs = files(
        "-- /w/a/go.mod --
         module a
         -- /w/a/a.go --
         package a
         import \"b\"
         -- /w/a/deep/go.mod --
         module deep
         -- /w/a/deep/d.go --
         package deep
         -- /w/x/b/go.mod --
         module b
         -- /w/x/b/b.go --
         package b",
    );
    let roots = |project: &Project| project.roots().map(|(_, package)| package.to_string()).collect::<Vec<_>>();
    let apart = project(&fs);
    assert_eq!((roots(&apart), apart.missing.len()), (vec!["a".to_owned(), "b".to_owned()], 1));
    assert!(!apart.diagnostics.iter().any(|d| d.problem == Problem::NoModule), "nothing lies outside a module");
    let mut workspace = fs.clone();
    workspace.write("/w/go.work", "go 1.22\nuse ./a\nuse ./a/deep\nuse ./x/b\n");
    let joined = project(&workspace);
    let mut got = roots(&joined);
    got.sort();
    assert_eq!((got, joined.missing.len()), (vec!["a".to_owned(), "b".to_owned(), "deep".to_owned()], 0));
    assert_eq!(joined.diagnostics, []);
}

#[test]
fn what_matches_nothing_is_said_and_the_rest_loaded() {
    for (pattern, problem, message) in [
        ("./nowhere", Problem::NoMatch, ".: `./nowhere` cannot be read: entity not found"),
        ("nowhere", Problem::NoMatch, ".: `nowhere` is neither a directory nor a package of the main module"),
        (
            "example.com/other",
            Problem::NoMatch,
            ".: `example.com/other` is neither a directory nor a package of the main module",
        ),
        ("a/a.go", Problem::NoMatch, ".: `a/a.go` is a file, not a directory"),
        ("empty", Problem::NoGoFiles, "empty: no Go files"),
        ("empty/...", Problem::NoGoFiles, "empty: no Go files"),
        ("", Problem::NoMatch, ""),
    ] {
        if pattern.is_empty() {
            continue;
        }
        let (got, project) = select(&[pattern, "ab"], false);
        assert_eq!(got, ["m/ab"], "{pattern}");
        let said = only(&project, problem);
        assert_eq!((said.severity, said.to_string().as_str()), (Severity::Error, message));
        assert!(said.hint.is_some());
    }
}

#[test]
fn without_go_mod_import_paths_are_relative() {
    let fs = files(
        "-- /w/main.go --
         package main
         import (
             \"fmt\"
             \"util/text\"
             \"github.com/x/y\"
             \"old.org/o\"
             \"nothere\"
         )
         -- /w/util/text/t.go --
         package text
         -- /go/src/old.org/o/o.go --
         package o",
    );
    let project = project_with(&fs, |config| config.env.set("GOPATH", "/go"));
    assert_eq!(packages(&project), [".* root", "old.org/o dependency", "util/text* root"]);
    let note = only(&project, Problem::NoModule);
    assert_eq!((note.severity, &*note.place.as_ref().expect("a place").path), (Severity::Note, "."));
    assert_eq!(
        missing(&project),
        [
            "?: github.com/x/y (1) without go.mod nothing says which module holds it",
            &format!("?: nothere (1) not in the standard library of {}", project.std_version),
        ],
    );
    assert!(package(&project, ".").import("fmt").is_some());
}

#[test]
fn the_go_tree_itself_is_its_own_standard_library() {
    let fs = files(
        "-- /w/VERSION --
         go1.99.2
         -- /w/src/go.mod --
         module std
         go 1.99
         -- /w/src/fmt/print.go --
         //go:build go1.99
         package fmt
         import \"golang.org/x/text\"
         -- /w/src/builtin/builtin.go --
         package builtin
         -- /w/src/vendor/golang.org/x/text/t.go --
         package text
         -- /w/src/cmd/go.mod --
         module cmd
         -- /w/src/cmd/vet/main.go --
         package main
         import (
             \"fmt\"
             \"cmd/internal/x\"
             \"golang.org/x/text\"
         )
         -- /w/src/cmd/internal/x/x.go --
         package x
         -- /w/src/cmd/vendor/golang.org/x/text/t.go --
         package text",
    );
    let std = project_with(&fs, |config| config.patterns = vec!["src/...".to_owned()]);
    let names = |project: &Project| {
        let mut names: Vec<String> = project.packages.iter().map(|p| format!("{p} {:?} {}", p.origin, p.dir)).collect();
        names.sort();
        names
    };
    assert_eq!(names(&std), ["fmt Root src/fmt", "vendor/golang.org/x/text Std src/vendor/golang.org/x/text"]);
    let cmd = project_with(&fs, |config| config.patterns = vec!["src/cmd/vet".to_owned()]);
    assert_eq!(
        names(&cmd),
        [
            "cmd/internal/x Std src/cmd/internal/x",
            "cmd/vendor/golang.org/x/text Std src/cmd/vendor/golang.org/x/text",
            "cmd/vet Root src/cmd/vet",
            "fmt Std src/fmt",
            "vendor/golang.org/x/text Std src/vendor/golang.org/x/text",
        ],
    );
    assert_eq!((problems(&cmd), missing(&cmd)), (vec![], vec![]));
}

//! Trees that are broken or hostile: a message with place and hint, and the rest loaded.

use residue_project::fs::MemoryFileSystem;
use residue_project::{LoadError, Problem, Project, Severity, load};

use crate::{config, file_names, files, import, only, package, packages, problems, project, project_with};

/// A module with one good package, to which each case adds something bad.
fn good() -> MemoryFileSystem {
    files("-- /w/go.mod --\nmodule m\n-- /w/good/g.go --\npackage good\nfunc F() {}\n")
}

/// The good package must be there; the one problem is returned.
fn good_remains(project: &Project, problem: Problem) -> (Severity, String) {
    assert!(package(project, "m/good").analyse);
    let said = only(project, problem);
    assert!(said.hint.is_some() || problem == Problem::Unreadable, "{said} has a hint");
    (said.severity, said.to_string())
}

#[test]
fn an_unreadable_file() {
    let mut fs = good();
    fs.write("/w/a/a.go", "package a\n");
    fs.forbid("/w/a/b.go");
    let project = project(&fs);
    let said = good_remains(&project, Problem::Unreadable);
    assert_eq!(said, (Severity::Error, "a/b.go: cannot read: permission denied".to_owned()));
    assert_eq!(file_names(package(&project, "m/a")), ["a.go"]);
    assert!(package(&project, "m/a").incomplete);
}

#[test]
fn an_unreadable_directory() {
    let mut fs = good();
    fs.forbid("/w/closed");
    let said = good_remains(&project(&fs), Problem::Unreadable);
    assert_eq!(said, (Severity::Error, "closed: cannot read: permission denied".to_owned()));
}

#[test]
fn links_that_loop_or_lead_out() {
    let mut fs = good();
    fs.link("/w/good/loop.go", "loop.go");
    fs.link("/w/loop", "../w/loop");
    fs.link("/w/up", "..");
    fs.link("/w/good/up", ".");
    fs.link("/w/good/same.go", "../other/o.go");
    fs.write("/w/other/o.go", "package good\n");
    fs.link("/w/good/out.go", "/etc/out.go");
    fs.write("/etc/out.go", "package good\n");
    fs.link("/w/good/gone.go", "nothing.go");
    let project = project(&fs);
    assert_eq!(
        problems(&project),
        [
            "Error Symlink good/gone.go: symbolic link cannot be followed: entity not found",
            "Error Symlink good/loop.go: symbolic link cannot be followed: too many levels of symbolic links",
            "Error Symlink good/out.go: symbolic link leads out of the tree, not followed",
        ],
    );
    assert_eq!(file_names(package(&project, "m/good")), ["g.go", "same.go"]);
    let notes: Vec<_> =
        project.diagnostics.iter().filter(|d| d.severity == Severity::Note).map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "good/up: symbolic link to a directory, not followed",
            "loop: symbolic link cannot be followed: too many levels of symbolic links",
            "up: symbolic link to a directory, not followed",
        ],
    );
}

#[test]
fn links_do_not_make_us_show_what_lies_elsewhere() {
    let mut fs = good();
    fs.write("/etc/shadow", "admin:secret:1\n");
    fs.link("/w/inner/go.mod", "/etc/shadow");
    fs.write("/w/inner/x.go", "package x\n");
    fs.write("/w/inner/go.work", "use .\n");
    let linked = project_with(&fs, |config| config.patterns = vec!["./inner".to_owned(), "./good".to_owned()]);
    let said = good_remains(&linked, Problem::Unreadable);
    assert_eq!(said.1, "inner/go.mod: cannot read: it is a symbolic link that leads out of the tree");
    assert!(!format!("{:?}", linked.diagnostics).contains("secret"));

    let mut fs = good();
    fs.write("/away/p/p.go", "package p\n");
    fs.link("/w/out", "/away");
    fs.write("/w/a/a.go", "package a\nimport \"m/out/p\"\n");
    let outside = project(&fs);
    assert_eq!(import(&outside, package(&outside, "m/a"), "m/out/p"), "nowhere");
    assert_eq!(
        problems(&outside),
        ["Warning Symlink out/p: a symbolic link on the way here leads out of the tree, not followed"],
    );
}

#[test]
fn a_link_that_is_named_is_followed() {
    let mut fs = good();
    fs.write("/away/go.mod", "module away\n");
    fs.write("/away/a.go", "package away\nimport \"away/b\"\n");
    fs.write("/away/b/b.go", "package b\n");
    fs.link("/w/link", "/away");
    let project = project_with(&fs, |config| config.patterns = vec!["./link".to_owned()]);
    assert_eq!(
        (packages(&project), problems(&project)),
        (vec!["away* root".to_owned(), "away/b* root".to_owned()], vec![])
    );
    assert_eq!(&*package(&project, "away/b").files[0].path, "link/b/b.go");
}

#[test]
fn a_go_mod_without_end() {
    let mut fs = good();
    fs.write("/w/go.mod", "// x\n".repeat(4 << 20));
    let project = project(&fs);
    assert_eq!(problems(&project), ["Error Unreadable go.mod: cannot read: larger than 16 MB"]);
    assert_eq!(packages(&project), ["good* root"]);
}

#[test]
fn a_file_that_is_too_large() {
    let mut fs = good();
    let line = "var _ = 1 // ..............................................\n";
    fs.write("/w/a/huge.go", format!("package a\n{}", line.repeat((50 << 20) / line.len())));
    fs.write("/w/a/small.go", "package a\n");
    let project = project(&fs);
    let said = good_remains(&project, Problem::TooLarge);
    assert_eq!(said, (Severity::Error, "a/huge.go: file of 49 MB left out: above 32 MB".to_owned()));
    assert_eq!(file_names(package(&project, "m/a")), ["small.go"]);
}

#[test]
fn invalid_utf8_is_a_syntax_error() {
    let mut fs = good();
    fs.write("/w/a/a.go", b"package a\nvar x = \"\xff\xfe\"\nfunc F() {}\n".to_vec());
    let project = project(&fs);
    let file = &package(&project, "m/a").files[0];
    assert_eq!(file.file.line_col(file.errors[0].pos).line, 2);
    assert_eq!(problems(&project), [""; 0]);
}

#[test]
fn a_malformed_go_mod() {
    let fs = files(
        "-- /w/go.mod --\nmodule m\nrequire a\ngo 1.x\nwat\nrequire d.org/d v1.0.0\n-- /w/good/g.go --\npackage good\nimport \"d.org/d\"\n-- /cache/d.org/d@v1.0.0/d.go --\npackage d\n",
    );
    let project = project(&fs);
    assert_eq!(
        problems(&project),
        [
            "Warning ModFile go.mod:2:9: malformed `require` line",
            "Warning ModFile go.mod:3:4: `1.x` is no Go version",
            "Warning ModFile go.mod:4:1: unknown directive `wat`",
        ],
    );
    assert!(project.diagnostics.iter().all(|d| d.hint.is_some()));
    assert_eq!(import(&project, package(&project, "m/good"), "d.org/d"), "d.org/d");
}

#[test]
fn a_go_mod_that_cannot_be_read_or_says_nothing() {
    let listing = "-- /w/a/a.go --\npackage a\nimport \"b\"\n-- /w/b/b.go --\npackage b\n";
    let mut empty = files(listing);
    empty.write("/w/go.mod", "");
    let project = project(&empty);
    assert_eq!(packages(&project), ["a* root", "b* root"]);
    assert_eq!(problems(&project), ["Warning ModFile go.mod:1: no module path"]);
    let mut binary = files(listing);
    binary.write("/w/go.mod", b"\x00\xff\xfe(((\"\n`".to_vec());
    assert_eq!(packages(&project_with(&binary, |_| {})).len(), 2);
}

#[test]
fn files_that_do_not_belong_together() {
    let mut fs = good();
    fs.write("/w/a/a.go", "package a\n");
    fs.write("/w/a/b.go", "package a\n");
    fs.write("/w/a/c.go", "// c\n\npackage other\n");
    let project = project(&fs);
    let said = good_remains(&project, Problem::PackageNames);
    assert_eq!(said, (Severity::Error, "a/c.go:3:1: package other in a directory of package a".to_owned()));
    assert_eq!(file_names(package(&project, "m/a")), ["a.go", "b.go"]);
}

#[test]
fn files_without_a_package_clause() {
    let mut fs = good();
    fs.write("/w/a/a.go", "package a\n");
    fs.write("/w/a/empty.go", "");
    fs.write("/w/a/noise.go", "\n\u{1}\u{2} func (\n");
    let project = project(&fs);
    assert_eq!(project.diagnostics.iter().filter(|d| d.problem == Problem::PackageClause).count(), 2);
    assert_eq!(file_names(package(&project, "m/a")), ["a.go"]);
    assert!(package(&project, "m/good").analyse);
}

#[test]
fn malformed_constraints() {
    let mut fs = good();
    fs.write("/w/a/a.go", "package a\n");
    fs.write("/w/a/b.go", "// b\n//go:build linux &&\n\npackage a\n");
    let project = project(&fs);
    let said = good_remains(&project, Problem::BuildConstraint);
    assert_eq!(said, (Severity::Error, "a/b.go:2: malformed `//go:build` line: unexpected end".to_owned()));
}

#[test]
fn syntax_errors_leave_a_tree() {
    let mut fs = good();
    fs.write("/w/a/a.go", "package a\nimport \"m/good\"\nimport \"fmt\nimport \"\\q\"\nfunc F( {\n");
    let project = project(&fs);
    let a = package(&project, "m/a");
    assert!(!a.files[0].errors.is_empty());
    assert_eq!(import(&project, a, "m/good"), "m/good");
}

#[test]
fn nothing_to_analyse() {
    for (listing, problem) in [
        ("-- /w/README --\nx\n", Problem::NoGoFiles),
        ("-- /w/go.mod --\nmodule m\n", Problem::NoGoFiles),
        ("-- /w/go.mod --\nmodule m\n-- /w/a_test.go --\npackage a\n", Problem::NoGoFiles),
        ("-- /w/go.mod --\nmodule m\n-- /w/a_windows.go --\npackage a\n", Problem::AllExcluded),
    ] {
        let project = project(&files(listing));
        assert!(project.packages.is_empty());
        let said = only(&project, problem);
        assert_eq!(said.severity, Severity::Error, "{listing}");
        assert!(said.hint.is_some() && said.place.is_some());
    }
}

#[test]
fn what_cannot_be_loaded_at_all() {
    let mut nowhere = config();
    nowhere.dir = "/nowhere".into();
    assert!(matches!(load(&good(), &nowhere), Err(LoadError::Directory { .. })));
    let mut glob = config();
    glob.exclude = vec!["a[".to_owned()];
    let error = load(&good(), &glob).expect_err("malformed glob");
    assert_eq!(error.to_string(), "bad exclude pattern `a[`: missing `]`");
}

#[test]
fn an_unknown_target_is_said() {
    let project = project_with(&good(), |config| config.goos = Some("linxu".to_owned()));
    assert!(good_remains(&project, Problem::Environment).1.starts_with("GOOS=linxu is not a value that Go knows"));
}

//! Where imports lead: versions, replacements, vendor directories, workspaces.

use residue_project::{GoVersion, ModuleKind, Problem, Project};

use crate::{files, import, missing, only, package, packages, problems, project, project_with};

/// A main module that imports `d.org/D/p`, with what is given beside it.
fn importing(go_mod: &str, rest: &str) -> Project {
    project(&files(&format!(
        "-- /w/go.mod --\nmodule m\n{go_mod}\n-- /w/m.go --\npackage m\nimport \"d.org/D/p\"\n{rest}"
    )))
}

#[test]
fn the_selected_version_is_used_and_no_other() {
    let rest = "-- /cache/cache/download/d.org/!d/@v/v1.2.0.mod --
        module d.org/D
        go 1.19
        -- /cache/d.org/!d@v1.2.0/p/p.go --
        package p
        -- /cache/d.org/!d@v1.9.0/p/p.go --
        package newer";
    let project = importing("require d.org/D v1.2.0", rest);
    let p = package(&project, "d.org/D/p");
    assert_eq!((&*p.name, &*p.dir, p.go_version), ("p", "/cache/d.org/!d@v1.2.0/p", GoVersion::new(1, 19)));
    let module = &project[p.module.expect("a module")];
    assert_eq!((&*module.path, &*module.version, module.kind), ("d.org/D", "v1.2.0", ModuleKind::Dependency));
    let absent = importing("require d.org/D v1.3.0", rest);
    assert_eq!(missing(&absent), ["d.org/D@v1.3.0: d.org/D/p (1) `go mod download d.org/D@v1.3.0` fetches it"]);
    assert_eq!(import(&absent, package(&absent, "m"), "d.org/D/p"), "nowhere");
}

#[test]
fn missing_packages_are_said_once_a_module() {
    let fs = files(
        "-- /w/go.mod --
         module m
         go 1.20
         require gone.org/g v1.0.0
         require here.org/h v1.0.0
         -- /w/a/a.go --
         package a
         import \"gone.org/g/x\"
         import \"gone.org/g/y\"
         import \"unknown.org/u\"
         import \"m/nothing\"
         import \"../b\"
         -- /w/b/b.go --
         package b
         import \"gone.org/g/x\"
         import \"here.org/h/p\"
         -- /cache/here.org/h@v1.0.0/h.go --
         package h",
    );
    let project = project(&fs);
    assert_eq!(
        missing(&project),
        [
            "?: ../b (1) not an import path that Go accepts in modules",
            "?: unknown.org/u (1) no module of go.mod holds it; `go get unknown.org/u` adds one",
            "gone.org/g@v1.0.0: gone.org/g/x gone.org/g/y (2) `go mod download gone.org/g@v1.0.0` fetches it",
            "here.org/h@v1.0.0: here.org/h/p (1) here.org/h@v1.0.0 has no such package; `go mod tidy` finds one that has",
            "m@: m/nothing (1) module m has no such package",
        ],
    );
    assert_eq!(problems(&project), [""; 0]);
}

#[test]
fn indirect_requirements_select_versions() {
    let rest = "-- /cache/cache/download/a.org/a/@v/v1.0.0.mod --
        module a.org/a
        require d.org/D v1.5.0
        -- /cache/cache/download/d.org/!d/@v/v1.5.0.mod --
        module d.org/D
        -- /cache/d.org/!d@v1.5.0/p/p.go --
        package p";
    let old = importing("go 1.16\nrequire a.org/a v1.0.0\nrequire d.org/D v1.2.0", rest);
    assert_eq!(&*package(&old, "d.org/D/p").dir, "/cache/d.org/!d@v1.5.0/p");
    // A module at 1.17 lists what it needs; what it leaves out is found in the whole graph.
    let new = importing("go 1.17\nrequire a.org/a v1.0.0", rest);
    assert_eq!(&*package(&new, "d.org/D/p").dir, "/cache/d.org/!d@v1.5.0/p");
}

#[test]
fn the_longest_module_path_that_has_the_package_wins() {
    let project = importing(
        "require d.org/D v1.0.0\nrequire d.org/D/p v0.1.0",
        "-- /cache/d.org/!d@v1.0.0/p/p.go --\npackage outer\n-- /cache/d.org/!d/p@v0.1.0/p.go --\npackage inner",
    );
    assert_eq!(&*package(&project, "d.org/D/p").name, "inner");
}

#[test]
fn replacements() {
    let inside = importing(
        "require d.org/D v1.0.0\nreplace d.org/D => ./local",
        "-- /w/local/go.mod --\nmodule d.org/D\ngo 1.23\n-- /w/local/p/p.go --\npackage p",
    );
    let p = package(&inside, "d.org/D/p");
    assert_eq!((&*p.dir, p.go_version), ("local/p", GoVersion::new(1, 23)));
    assert_eq!(packages(&inside), ["d.org/d/p local", "m* root"]);

    let version = importing(
        "require d.org/D v1.0.0\nreplace d.org/D v1.0.0 => fork.org/f v1.1.0\nreplace d.org/D v1.1.0 => ./no",
        "-- /cache/fork.org/f@v1.1.0/p/p.go --\npackage p",
    );
    assert_eq!(&*package(&version, "d.org/D/p").dir, "/cache/fork.org/f@v1.1.0/p");

    let outside = importing(
        "require d.org/D v1.0.0\nreplace d.org/D => ../out",
        "-- /out/go.mod --\nmodule d.org/D\n-- /out/p/p.go --\npackage p",
    );
    assert_eq!(
        problems(&outside),
        ["Warning OutsideTree go.mod:3: `d.org/D` is replaced by `../out`, which lies outside the repository"],
    );
    assert_eq!(outside.missing.len(), 1);
}

#[test]
fn what_is_allowed_is_read_outside_the_repository() {
    let fs = files(
        "-- /w/go.mod --
         module m
         require d.org/d v1.0.0
         replace d.org/d => ../out/d
         -- /w/m.go --
         package m
         import \"d.org/d\"
         -- /out/d/go.mod --
         module d.org/d
         go 1.22
         -- /out/d/d.go --
         package d
         -- /out/go.mod --
         module out",
    );
    for (allowed, read) in [("../out", true), ("/out/d", true), ("/", true), ("/outer", false), ("/w", false)] {
        let project = project_with(&fs, |config| config.allow_paths = vec![allowed.into()]);
        assert_eq!(project.missing.is_empty(), read, "{allowed}");
        let outside: Vec<_> = project.diagnostics.iter().filter(|d| d.problem == Problem::OutsideTree).collect();
        assert_eq!(outside.is_empty(), read, "{allowed}: {outside:?}");
        assert!(outside.iter().all(|d| d.hint.as_ref().is_some_and(|hint| hint.contains("--allow-path"))));
    }
    let linked = |allowed: &str| {
        let mut fs = fs.clone();
        fs.link("/w/x.go", "/elsewhere/x.go");
        fs.write("/elsewhere/x.go", "package m\n");
        project_with(&fs, |config| config.allow_paths = vec![allowed.into(), "/out".into()])
    };
    assert_eq!(problems(&linked("/elsewhere")), [""; 0]);
    assert_eq!(only(&linked("/none"), Problem::Symlink).severity, residue_project::Severity::Error);
    let unknown = project_with(&fs, |config| config.allow_paths = vec!["../no".into(), "/out".into()]);
    let what = only(&unknown, Problem::Environment);
    assert_eq!(what.place.as_ref().map(ToString::to_string).as_deref(), Some("/no"));
}

#[test]
fn without_version_control_the_workspace_or_the_module_is_the_boundary() {
    let listing = "-- /w/go.work --
        go 1.22
        use ./a
        -- /w/a/go.mod --
        module a
        replace d.org/d => ../d
        require d.org/d v1.0.0
        -- /w/a/a.go --
        package a
        import \"d.org/d\"
        -- /w/d/go.mod --
        module d.org/d
        -- /w/d/d.go --
        package d";
    let load = |fs, gowork: &str| {
        project_with(&fs, |config| {
            config.patterns = vec!["./a".to_owned()];
            config.env.set("GOWORK", gowork);
        })
    };
    assert_eq!(packages(&load(files(listing), "")), ["a* root", "d.org/d local"]);
    let alone = load(files(listing), "off");
    assert_eq!(only(&alone, Problem::OutsideTree).severity, residue_project::Severity::Warning);
}

#[test]
fn what_is_internal_elsewhere_is_said_and_read() {
    let fs = files(
        "-- /w/go.mod --
         module m.org/m
         require d.org/d v1.0.0
         -- /w/a/a.go --
         package a
         import _ \"m.org/m/b/internal\"
         import _ \"m.org/m/internal/c\"
         import _ \"d.org/d/internal/x\"
         import _ \"internal/abi\"
         import _ \"fmt\"
         -- /w/a/a_test.go --
         package a_test
         import _ \"m.org/m/b/internal\"
         -- /w/b/b.go --
         package b
         import _ \"m.org/m/b/internal\"
         -- /w/b/b_test.go --
         package b_test
         import _ \"m.org/m/b/internal\"
         -- /w/b/internal/i.go --
         package internal
         -- /w/internal/c/c.go --
         package c
         -- /cache/d.org/d@v1.0.0/internal/x/x.go --
         package x
         import _ \"d.org/d/internal/y\"
         -- /cache/d.org/d@v1.0.0/internal/y/y.go --
         package y",
    );
    let project = project_with(&fs, |config| config.tests = true);
    let said: Vec<_> =
        project.diagnostics.iter().filter(|d| d.problem == Problem::Internal).map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "a/a.go:2:10: `m.org/m/b/internal` is internal to `m.org/m/b`: Go refuses to import it here",
            "a/a.go:4:10: `d.org/d/internal/x` is internal to `d.org/d`: Go refuses to import it here",
            "a/a.go:5:10: `internal/abi` is internal to the standard library: Go refuses to import it here",
            "a/a_test.go:2:10: `m.org/m/b/internal` is internal to `m.org/m/b`: Go refuses to import it here",
        ]
    );
    let a = package(&project, "m.org/m/a");
    assert_eq!(import(&project, a, "d.org/d/internal/x"), "d.org/d/internal/x");
    assert_eq!(import(&project, a, "m.org/m/b/internal"), "m.org/m/b/internal");
}

#[test]
fn the_repository_is_the_boundary() {
    let listing = "-- /w/.git/HEAD --
        -- /w/tools/go.mod --
        module tools
        require lib v1.0.0
        replace lib => ../lib
        -- /w/tools/t.go --
        package tools
        import \"lib\"
        -- /w/lib/go.mod --
        module lib
        -- /w/lib/lib.go --
        package lib";
    let inside = project_with(&files(listing), |config| config.dir = "/w/tools".into());
    assert_eq!(
        (packages(&inside), problems(&inside)),
        (vec!["lib local".to_owned(), "tools* root".to_owned()], vec![])
    );
    let without = project_with(&files(&listing.replace(".git", "x")), |config| config.dir = "/w/tools".into());
    assert_eq!(only(&without, Problem::OutsideTree).severity, residue_project::Severity::Warning);
    let mut linked = files(&listing.replace("../lib", "./link"));
    linked.write("/away/go.mod", "module lib\n");
    linked.write("/away/lib.go", "package lib\n");
    linked.link("/w/tools/link", "/away");
    let linked = project_with(&linked, |config| config.dir = "/w/tools".into());
    assert_eq!(only(&linked, Problem::OutsideTree).severity, residue_project::Severity::Warning);
}

const VENDORED: &str = "-- /w/vendor/modules.txt --
    # d.org/D v1.0.0
    ## explicit; go 1.18
    d.org/D/p
    -- /w/vendor/d.org/D/p/p.go --
    package p
    -- /cache/d.org/!d@v1.0.0/p/p.go --
    package cached";

#[test]
fn vendor_is_used_by_default_and_analysed_on_request() {
    let project = importing("go 1.20\nrequire d.org/D v1.0.0", VENDORED);
    assert_eq!(packages(&project), ["d.org/d/p dependency", "m* root"]);
    let p = package(&project, "d.org/D/p");
    assert_eq!((&*p.name, &*p.dir, p.go_version), ("p", "vendor/d.org/D/p", GoVersion::new(1, 18)));
    let module = &project[p.module.expect("a module")];
    assert_eq!((&*module.path, &*module.version), ("d.org/D", "v1.0.0"));

    let listing = format!(
        "-- /w/go.mod --\nmodule m\ngo 1.20\nrequire d.org/D v1.0.0\n-- /w/m.go --\npackage m\nimport \"d.org/D/p\"\n{VENDORED}"
    );
    let included = project_with(&files(&listing), |config| config.include_vendor = true);
    assert_eq!(packages(&included), ["d.org/d/p* root", "m* root"]);
    let forced = project_with(&files(&listing), |config| config.env.set("GOFLAGS", "-mod=mod"));
    assert_eq!(&*package(&forced, "d.org/D/p").name, "cached");
    let old = importing("go 1.13\nrequire d.org/D v1.0.0", VENDORED);
    assert_eq!(&*package(&old, "d.org/D/p").name, "cached");
}

#[test]
fn a_stale_vendor_directory_is_said() {
    let project = importing("go 1.20\nrequire d.org/D v1.1.0\nrequire e.org/e v1.0.0", VENDORED);
    assert_eq!(
        problems(&project),
        ["Warning Vendor vendor/modules.txt: d.org/D@v1.1.0 of go.mod is not vendored at that version (and 1 more)"],
    );
    assert_eq!(&*package(&project, "d.org/D/p").name, "p");
}

#[test]
fn a_workspace_joins_modules() {
    let listing = "-- /w/go.work --
        go 1.22
        use (
            ./a
            ./b
            ../out
        )
        replace d.org/d => ./d
        -- /w/a/go.mod --
        module a
        require d.org/d v1.0.0
        -- /w/a/a.go --
        package a
        import \"b/x\"
        import \"d.org/d\"
        -- /w/b/go.mod --
        module b
        -- /w/b/x/x.go --
        package x
        -- /w/d/d.go --
        package d
        -- /out/go.mod --
        module out
        -- /w/c/go.mod --
        module c
        -- /w/c/c.go --
        package c
        import \"b/x\"";
    let project = project_with(&files(listing), |config| config.patterns = vec!["./a".to_owned()]);
    assert_eq!(packages(&project), ["a* root", "b/x local", "d.org/d local"]);
    assert_eq!(problems(&project), ["Warning OutsideTree go.work:5: `use ../out` lies outside the repository"]);
    let off = project_with(&files(listing), |config| {
        config.patterns = vec!["./a".to_owned()];
        config.env.set("GOWORK", "off");
    });
    assert_eq!(off.missing.len(), 2);
    let apart = project_with(&files(listing), |config| config.patterns = vec!["./c".to_owned()]);
    assert_eq!((packages(&apart), apart.missing.len()), (vec!["c* root".to_owned()], 1));
}

#[test]
fn hostile_paths_and_versions_stay_in_the_cache() {
    let project = importing(
        "require d.org/D v1.0.0/../../../etc\nrequire ../x v1.0.0\nreplace d.org/E => /etc",
        "-- /etc/p/p.go --\npackage p\n-- /cache/d.org/!d@v1.0.0/x --\n",
    );
    assert_eq!((packages(&project).len(), project.missing.len()), (1, 1));
}

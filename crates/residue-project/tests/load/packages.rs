//! Which files make which packages.

use residue_project::{GoVersion, ModuleKind, Origin, ParseCache, Problem, Project, Severity, load, load_with};

use crate::{file_names, files, import, missing, package, packages, problems, project, project_with};

#[test]
fn imports_come_before_importers_and_reach_the_standard_library() {
    let fs = files(
        "-- /w/go.mod --
         module example.com/m
         go 1.22
         -- /w/main.go --
         package main
         import (
             \"net/http\"
             . \"example.com/m/b\"
             _ \"example.com/m/a\"
             \"unsafe\"
         )
         -- /w/a/a.go --
         package a
         import \"example.com/m/b\"
         -- /w/b/b.go --
         package b
         func F() { G() }",
    );
    let project = project(&fs);
    assert_eq!(packages(&project), ["example.com/m* root", "example.com/m/a* root", "example.com/m/b* root"]);
    let main = package(&project, "example.com/m");
    assert_eq!(
        main.imports.keys().map(|path| &**path).collect::<Vec<_>>(),
        ["example.com/m/a", "example.com/m/b", "net/http"]
    );
    let http = main.import("net/http").expect("in the standard library");
    assert_eq!((project[http].origin, &*project[http].name), (Origin::Std, "http"));
    assert_eq!(&*project[http].files[0].path, "$GOROOT/src/net/http/client.go");
    assert_eq!(project[project[http].module.expect("std")].kind, ModuleKind::Std);
    assert_eq!((&*main.name, &*main.dir, &*package(&project, "example.com/m/b").dir), ("main", ".", "b"));
    assert_eq!(main.go_version, GoVersion::new(1, 22));
    assert_eq!((project.stats.root_files, problems(&project), missing(&project)), (3, vec![], vec![]));
}

#[test]
fn bodies_are_kept_for_roots_alone() {
    let fs = files(
        "-- /w/go.mod --
         module m
         -- /w/cmd/main.go --
         package main
         import \"m/b\"
         func main() { b.F(); b.F(); b.F() }
         -- /w/b/b.go --
         package b
         func F() { G(); G(); G() }",
    );
    let has_body = |project: &residue_project::Project, path| package(project, path).files[0].file.stmt_count() > 0;
    let some = project_with(&fs, |config| config.patterns = vec!["cmd".to_owned()]);
    assert_eq!(packages(&some), ["m/b local", "m/cmd* root"]);
    assert!(has_body(&some, "m/cmd") && !has_body(&some, "m/b"));
    let all = project_with(&fs, |config| {
        config.patterns = vec!["cmd".to_owned()];
        config.all_bodies = true;
    });
    assert!(has_body(&all, "m/b"));
}

#[test]
fn build_constraints_select_files() {
    let fs = files(
        "-- /w/go.mod --
         module m
         go 1.21
         -- /w/a.go --
         package m
         -- /w/a_windows.go --
         package m
         -- /w/a_linux.go --
         package m
         -- /w/ignored.go --
         //go:build ignore

         package main
         -- /w/old.go --
         // +build special

         package m
         -- /w/c.go --
         package m
         // #include <x.h>
         import \"C\"
         -- /w/doc.go --
         package documentation
         -- /w/_off.go --
         package off
         -- /w/.#lock.go --
         package off
         -- /w/a_test.go --
         package m",
    );
    let names = |edit: fn(&mut residue_project::Config)| {
        let project = project_with(&fs, edit);
        assert_eq!(problems(&project), [""; 0]);
        file_names(package(&project, "m")).join(" ")
    };
    assert_eq!(names(|c| c.cgo = Some(false)), "a.go a_linux.go");
    assert_eq!(names(|c| c.cgo = Some(true)), "a.go a_linux.go c.go");
    assert_eq!(names(|c| c.env.set("CGO_ENABLED", "1")), "a.go a_linux.go c.go");
    assert_eq!(names(|c| (c.goos, c.cgo) = (Some("windows".to_owned()), Some(false))), "a.go a_windows.go");
    assert_eq!(names(|c| (c.tags, c.cgo) = (vec!["special".to_owned()], Some(false))), "a.go a_linux.go old.go");
}

#[test]
fn go_and_toolchain_lines_raise_the_release() {
    let names = |lines: &str, gotoolchain: &str| {
        let fs = files(&format!(
            "-- /w/go.mod --\nmodule m\n{lines}\n-- /w/a.go --\npackage m\n-- /w/b.go --\n//go:build go1.90\npackage m\n\
             -- /w/c.go --\n//go:build go1.25\npackage m"
        ));
        let project = project_with(&fs, |config| config.env.set("GOTOOLCHAIN", gotoolchain));
        assert_eq!(problems(&project).len(), usize::from(gotoolchain == "odd"), "{:?}", problems(&project));
        file_names(package(&project, "m")).join(" ")
    };
    for (lines, gotoolchain, want) in [
        ("go 1.20", "", "a.go c.go"),
        ("go 1.20", "odd", "a.go c.go"),
        ("go 1.90", "", "a.go b.go c.go"),
        ("go 1.20\ntoolchain go1.91.2", "", "a.go b.go c.go"),
        ("go 1.20\ntoolchain default", "", "a.go c.go"),
        // Tool chains other than the one asked for do not come into play.
        ("go 1.20\ntoolchain go1.91.2", "local", "a.go c.go"),
        ("go 1.90", "local", "a.go b.go c.go"),
        ("go 1.20", "go1.24.3", "a.go"),
        ("go 1.20\ntoolchain go1.25.0", "go1.24.3", "a.go"),
        ("go 1.20\ntoolchain go1.25.0", "go1.24.3+auto", "a.go c.go"),
        ("go 1.20", "go1.90.0", "a.go b.go c.go"),
    ] {
        assert_eq!(names(lines, gotoolchain), want, "{lines} GOTOOLCHAIN={gotoolchain}");
    }
    let work = files(
        "-- /w/go.work --\ngo 1.20\ntoolchain go1.90.1\nuse ./m\n-- /w/m/go.mod --\nmodule m\n-- /w/m/b.go --\n\
         //go:build go1.90\npackage m",
    );
    assert_eq!(file_names(package(&project(&work), "m")), ["b.go"]);
}

#[test]
fn a_file_may_speak_another_language_version() {
    let fs = files(
        "-- /w/go.mod --
         module m
         go 1.24
         -- /w/new.go --
         //go:build go1.25
         package m
         -- /w/old.go --
         //go:build go1.18
         package m
         -- /w/plain.go --
         package m
         -- /w/plus.go --
         // +build go1.10

         package m
         -- /x/go.mod --
         module x
         -- /x/x.go --
         package x",
    );
    let project = project_with(&fs, |config| config.patterns = vec![".".to_owned(), "/x".to_owned()]);
    let versions = package(&project, "m").files.iter().map(|file| file.go_version.minor).collect::<Vec<_>>();
    assert_eq!(versions, [25, 21, 24, 24]);
    assert_eq!(package(&project, "x").go_version, GoVersion::WITHOUT_GO_LINE);
}

#[test]
fn generated_and_excluded_files_are_marked() {
    let fs = files(
        "-- /w/go.mod --
         module m
         -- /w/a/gen.go --
         // Code generated by x. DO NOT EDIT.

         package a
         -- /w/a/late.go --
         package a
         // Code generated by x. DO NOT EDIT.
         -- /w/a/x.pb.go --
         package a
         -- /w/gone/g.go --
         package gone",
    );
    let project = project_with(&fs, |config| config.exclude = vec!["*.pb.go".to_owned(), "gone/".to_owned()]);
    let flags: Vec<_> = package(&project, "m/a").files.iter().map(|f| (f.generated, f.excluded)).collect();
    assert_eq!(flags, [(true, false), (false, false), (false, true)]);
    assert_eq!(packages(&project), ["m/a* root"]);
}

#[test]
fn models_declare_what_is_found_nowhere_else() {
    let fs = files(
        "-- /w/go.mod --
         module m
         require there.org/t v1.0.0
         -- /w/a.go --
         package m
         import (
             \"gone.org/g\"
             \"there.org/t\"
             \"fmt\"
         )
         -- /cache/there.org/t@v1.0.0/t.go --
         package t",
    );
    let project = project_with(&fs, |config| {
        config.stubs = ["gone.org/g", "there.org/t", "fmt", "unused.org/u"]
            .map(|path| residue_project::StubPackage {
                import_path: path.into(),
                source: b"package stub\nimport \"io\"\n".to_vec().into(),
                path: "models/stub.go".into(),
            })
            .to_vec();
    });
    assert_eq!(packages(&project), ["gone.org/g model", "m* root", "there.org/t dependency"]);
    let stub = package(&project, "gone.org/g");
    assert_eq!(
        (&*stub.name, &*stub.files[0].path, import(&project, stub, "io")),
        ("stub", "models/stub.go", "io".to_owned())
    );
    assert_eq!(missing(&project), [""; 0]);
}

#[test]
fn a_broken_import_cycle_leaves_an_order() {
    let fs = files(
        "-- /w/go.mod --
         module m
         -- /w/a/a.go --
         package a
         import \"m/b\"
         -- /w/b/b.go --
         package b
         import \"m/c\"
         -- /w/c/c.go --
         package c
         import \"fmt\"
         import \"m/a\"
         -- /w/self/self.go --
         package self
         import \"m/self\"",
    );
    let project = project(&fs);
    assert_eq!(
        problems(&project),
        [
            "Error ImportCycle c/c.go:3:8: import cycle: m/a → m/b → m/c → m/a",
            "Error ImportCycle self/self.go:2:8: import cycle: m/self → m/self",
        ],
    );
    assert_eq!(import(&project, package(&project, "m/c"), "m/a"), "nowhere");
    assert_eq!(import(&project, package(&project, "m/a"), "m/b"), "m/b");
}

#[test]
fn a_dependency_without_files_for_the_target_is_said() {
    let fs = files(
        "-- /w/go.mod --
         module m
         require d.org/d v1.0.0
         -- /w/a.go --
         package m
         import \"d.org/d\"
         -- /cache/d.org/d@v1.0.0/d_windows.go --
         package d",
    );
    let project = project(&fs);
    assert_eq!(import(&project, package(&project, "m"), "d.org/d"), "nowhere");
    let said = crate::only(&project, Problem::AllExcluded);
    assert_eq!(
        (said.severity, &*said.place.as_ref().expect("a place").path),
        (Severity::Warning, "/cache/d.org/d@v1.0.0")
    );
}

#[test]
fn several_build_sets_share_what_they_parse() {
    let fs = files(
        "-- /w/go.mod --
         module m
         -- /w/a.go --
         package m
         import \"os\"
         -- /w/a_linux.go --
         package m
         -- /w/a_windows.go --
         package m
         -- /w/tagged.go --
         //go:build !linux
         package m
         -- /w/c.go --
         package m
         import \"C\"",
    );
    let cache = ParseCache::default();
    let names = |goos: &str, cgo: bool| {
        let mut config = crate::config();
        (config.goos, config.cgo) = (Some(goos.to_owned()), Some(cgo));
        let cached = load_with(&fs, &config, Some(&cache)).expect("loads");
        let alone = load(&fs, &config).expect("loads");
        let list = |project: &Project| {
            let packages = project.packages.iter();
            packages.map(|package| format!("{package}: {}", file_names(package).join(" "))).collect::<Vec<_>>()
        };
        assert_eq!(list(&cached), list(&alone), "{goos} {cgo}");
        assert_eq!((&cached.diagnostics, &cached.missing), (&alone.diagnostics, &alone.missing));
        (file_names(package(&cached, "m")).join(" "), package(&cached, "m").files[0].clone())
    };
    let (linux, first) = names("linux", true);
    let (windows, second) = names("windows", false);
    assert_eq!((linux.as_str(), windows.as_str()), ("a.go a_linux.go c.go", "a.go a_windows.go tagged.go"));
    assert!(std::sync::Arc::ptr_eq(&first, &second), "a.go is parsed once");
    assert_eq!(names("linux", false).0, "a.go a_linux.go", "what another set took is not taken unasked");
}

#[test]
fn the_answer_does_not_depend_on_threads() {
    use std::fmt::Write;
    let mut listing = "-- /w/go.mod --\nmodule m\nrequire x.org/x v1.0.0\n".to_owned();
    for i in 0..40 {
        let (next, other) = (i + 1, (i * 7) % 41);
        let _ = write!(
            listing,
            "-- /w/p{i}/a.go --\npackage p\nimport \"m/p{next}\"\nimport \"m/p{other}\"\nimport \"x.org/y{i}\"\nimport \"net/http\"\n"
        );
        let _ = write!(
            listing,
            "-- /w/p{i}/a_test.go --\npackage p_test\nimport \"m/p{other}\"\n-- /w/p{i}/b_test.go --\npackage p\n"
        );
    }
    let fs = files(&listing);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let project = pool.install(|| project_with(&fs, |config| config.tests = true));
        let order: Vec<String> = project.packages.iter().map(|p| format!("{p} {:?}", p.imports)).collect();
        (order, project.diagnostics, project.missing)
    };
    let one = run(1);
    assert!(one.0.len() > 100 && !one.1.is_empty() && !one.2.is_empty());
    for threads in [2, 7] {
        assert_eq!(run(threads), one);
    }
}

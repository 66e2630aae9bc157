//! Packages with their tests.

use residue_project::{Project, Variant};

use crate::{file_names, files, import, package, packages, problems, project_with};

fn with_tests(listing: &str) -> Project {
    project_with(&files(listing), |config| config.tests = true)
}

#[test]
fn a_package_is_seen_plain_with_its_tests_and_from_outside() {
    let listing = "-- /w/go.mod --
         module m
         -- /w/a/a.go --
         package a
         -- /w/a/in_test.go --
         package a
         import \"testing\"
         -- /w/a/out_test.go --
         package a_test
         import \"m/a\"
         -- /w/b/b.go --
         package b
         import \"m/a\"";
    let project = with_tests(listing);
    assert_eq!(packages(&project), ["m/a [m/a.test]* root", "m/a root", "m/a_test* root", "m/b* root"]);
    assert_eq!(file_names(package(&project, "m/a [m/a.test]")), ["a.go", "in_test.go"]);
    assert_eq!(file_names(package(&project, "m/a")), ["a.go"]);
    let outside = package(&project, "m/a_test");
    assert_eq!((&*outside.name, &outside.variant), ("a_test", &Variant::ExternalTests));
    assert_eq!(import(&project, outside, "m/a"), "m/a [m/a.test]");
    assert_eq!(import(&project, package(&project, "m/b"), "m/a"), "m/a");
    let without = project_with(&files(listing), |_| {});
    assert_eq!(packages(&without), ["m/a* root", "m/b* root"]);
}

#[test]
fn variants_share_their_files() {
    let project = with_tests(
        "-- /w/go.mod --
         module m
         -- /w/a/a.go --
         package a
         -- /w/a/a_test.go --
         package a
         -- /w/b/b.go --
         package b
         import \"m/a\"",
    );
    let [plain, tests] = ["m/a", "m/a [m/a.test]"].map(|path| &package(&project, path).files[0]);
    assert!(std::sync::Arc::ptr_eq(plain, tests));
    assert_eq!(project.stats.root_files, 3);
}

#[test]
fn what_lies_between_a_package_and_its_external_tests_is_rebuilt() {
    let project = with_tests(
        "-- /w/go.mod --
         module m
         -- /w/a/a.go --
         package a
         -- /w/a/in_test.go --
         package a
         -- /w/a/out_test.go --
         package a_test
         import (
             \"m/a\"
             \"m/helper\"
             \"m/other\"
         )
         -- /w/helper/h.go --
         package helper
         import \"m/mid\"
         -- /w/mid/m.go --
         package mid
         import (
             \"m/a\"
             \"m/other\"
         )
         -- /w/other/o.go --
         package other",
    );
    let outside = package(&project, "m/a_test");
    assert_eq!(import(&project, outside, "m/helper"), "m/helper [m/a.test]");
    assert_eq!(import(&project, outside, "m/other"), "m/other");
    assert_eq!(import(&project, package(&project, "m/helper [m/a.test]"), "m/mid"), "m/mid [m/a.test]");
    let rebuilt = package(&project, "m/mid [m/a.test]");
    assert_eq!(import(&project, rebuilt, "m/a"), "m/a [m/a.test]");
    assert_eq!(import(&project, rebuilt, "m/other"), "m/other");
    assert!(!rebuilt.analyse && package(&project, "m/mid").analyse);
    assert_eq!(import(&project, package(&project, "m/mid"), "m/a"), "m/a");
}

#[test]
fn tests_alone_make_a_package_and_may_import_what_imports_it() {
    let project = with_tests(
        "-- /w/go.mod --
         module m
         -- /w/only/x_test.go --
         package only
         -- /w/outer/x_test.go --
         package outer_test
         -- /w/a/a.go --
         package a
         -- /w/a/a_test.go --
         package a
         import \"m/b\"
         -- /w/b/b.go --
         package b
         import \"m/a\"",
    );
    assert!(packages(&project).contains(&"m/only [m/only.test]* root".to_owned()));
    assert!(packages(&project).contains(&"m/outer_test* root".to_owned()));
    assert_eq!(problems(&project), ["Error ImportCycle a/a_test.go:2:8: import cycle: m/a → m/b → m/a"]);
    assert_eq!(import(&project, package(&project, "m/a [m/a.test]"), "m/b"), "m/b");
}

#[test]
fn a_name_in_test_belongs_to_the_directory_of_its_package() {
    let project = with_tests(
        "-- /w/go.mod --
         module m
         -- /w/a/a.go --
         package a
         -- /w/a/b_test.go --
         package b_test
         -- /w/k_test/k.go --
         package k_test",
    );
    assert_eq!(problems(&project), ["Error PackageNames a/b_test.go:1:1: package b in a directory of package a"]);
    assert_eq!(&*package(&project, "m/k_test").name, "k_test");
}

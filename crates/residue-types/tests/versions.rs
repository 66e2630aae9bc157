//! Programs of one version of a project after the other: what is kept, and that it stays true.

use std::sync::Arc;

use residue_project::fs::MemoryFileSystem;
use residue_project::{Config, PackageId, Project, load};
use residue_types::{Objects, Program, Symbol};

const A: &str = "package a\n\nimport \"example.com/m/b\"\n\nfunc F(t b.T) b.T { return t }\n";
const B: &str = "package b\n\ntype T struct{ N int }\n\nfunc G() {}\n";

fn project(files: &[(&str, &str)]) -> Arc<Project> {
    let mut fs = MemoryFileSystem::new([("/m/go.mod", "module example.com/m\n\ngo 1.27\n")]);
    for (path, text) in files {
        fs.write(format!("/m/{path}"), *text);
    }
    Arc::new(load(&fs, &Config::new("/m")).expect("the module loads"))
}

fn id(program: &Program, path: &str) -> PackageId {
    let mut packages = program.project().packages();
    packages.find(|(_, package)| package.import_path.ends_with(path)).expect("it is there").0
}

/// The type of a function, for people.
fn shown(program: &Program, path: &str, name: &str) -> String {
    let declared = program.declarations(program.id(id(program, path))).expect("it is declared");
    let object = declared.lookup(Symbol::new(name)).and_then(|id| program.object(id)).expect("there is one");
    program.show(object.ty()).to_string()
}

#[test]
fn declarations_are_kept_where_nothing_that_they_rest_on_has_changed() {
    let before = Program::new(project(&[("a/a.go", A), ("b/b.go", B)]));
    let (a, b) = (id(&before, "/a"), id(&before, "/b"));
    let text = Arc::from(B.replace("G() {}", "G() { panic(1) }").as_bytes());
    let edited = Arc::new(before.project().with_text("b/b.go", &text).expect("only the file changes"));
    let next = before.next(&edited, |new, old| new == old);
    assert!(next.declarations(next.id(b)).is_none(), "its tree is another");
    next.declare([a, b]);
    let same = |one: &Program, other: &Program, at: PackageId| {
        let declared = |program: &Program| program.declarations(program.id(at)).map(std::ptr::from_ref);
        declared(one) == declared(other)
    };
    assert!(same(&before, &next, a) && !same(&before, &next, b));
    assert_eq!(shown(&next, "/a", "F"), shown(&before, "/a", "F"));
    // Where what importers see is another, nothing is kept of them.
    let next = before.next(&edited, |_, _| false);
    next.declare([a, b]);
    assert!(!same(&before, &next, a) && !same(&before, &next, b));
}

#[test]
fn packages_that_come_and_go_leave_the_others_their_numbers() {
    let few = project(&[("a/a.go", A), ("b/b.go", B)]);
    let before = Program::new(few);
    let (a, b) = (before.id(id(&before, "/a")), before.id(id(&before, "/b")));
    let more = [("a/a.go", A), ("aa/aa.go", "package aa\n\ntype T int\n"), ("b/b.go", B), ("c/c.go", "package c\n")];
    let next = before.next(&project(&more), |_, _| true);
    next.declare(next.project().packages().map(|(id, _)| id));
    assert_eq!((next.id(id(&next, "/a")), next.id(id(&next, "/b"))), (a, b));
    assert_eq!(next.package_path(b), "example.com/m/b");
    assert_eq!(shown(&next, "/a", "F"), "func(example.com/m/b.T) example.com/m/b.T");
    let c = next.id(id(&next, "/c"));
    let last = next.next(&project(&[("a/a.go", A), ("b/b.go", B)]), |_, _| true);
    assert!(last.package(c).is_none() && last.declarations(c).is_none() && last.package_path(c).is_empty());
    assert_eq!(last.id(id(&last, "/a")), a);
}

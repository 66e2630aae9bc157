//! Code of bodies, as dumps.

use std::collections::BTreeMap;
use std::sync::Arc;

use residue_project::{GoVersion, LoadStats, Origin, Package, PackageId, Project, SourceFile, Target, Variant};
use residue_syntax::ast::Decl;
use residue_syntax::{Bodies as Keep, parse};
use residue_types::{Bodies, Program};

use super::{captured, lower};
use crate::build::Typed;
use crate::dump::ir_text;
use crate::ir::Body;
use crate::tree::Parent;

mod calls;
mod captures;
mod conditions;
mod hostile;
mod loops;
mod order;
mod panics;
mod run;
mod statements;
mod values;

/// A package of one file in Go 1.`minor`.
pub(crate) fn program(source: &str, minor: u16) -> Program {
    let parsed = parse(Arc::from(source.as_bytes()), Keep::Keep);
    let go_version = GoVersion { major: 1, minor };
    let file = SourceFile {
        path: "p.go".into(),
        file: parsed.file,
        errors: parsed.errors,
        generated: false,
        test: false,
        excluded: false,
        cgo: false,
        go_version,
    };
    let package = Package {
        import_path: "p".into(),
        name: "p".into(),
        variant: Variant::Plain,
        origin: Origin::Root,
        module: None,
        dir: ".".into(),
        go_version,
        analyse: true,
        files: vec![Arc::new(file)],
        imports: BTreeMap::new(),
        incomplete: false,
    };
    Program::new(Arc::new(Project {
        packages: vec![package],
        modules: Vec::new(),
        diagnostics: Vec::new(),
        missing: Vec::new(),
        target: Target { goos: "linux".into(), goarch: "amd64".into(), cgo: false, tags: Vec::new() },
        std_version: "".into(),
        stats: LoadStats::default(),
    }))
}

/// The code of the function `f`, well-formed.
#[track_caller]
pub(crate) fn code_of_f(bodies: &Bodies<'_>) -> Body {
    let body = lower_f(bodies);
    assert_eq!(body.validate(), Ok(()), "{}", ir_text(bodies, 0, &body));
    body
}

fn lower_f(bodies: &Bodies<'_>) -> Body {
    let tree = bodies.syntax(0);
    let f = tree.list(tree.top_decls()).find(|&decl| match tree.decl(decl) {
        Decl::Func(func) => tree.ident_text(func.name) == "f",
        _ => false,
    });
    let f = Parent::Decl(f.expect("the file declares f"));
    lower(bodies, 0, f, &Typed { bodies, file: 0 }).expect("f has a body")
}

/// Checks the dump of the function `f` of a source, without line numbers and the indentation of `want`.
#[track_caller]
fn check_minor(source: &str, minor: u16, want: &str) {
    let program = program(&format!("package p;{source}"), minor);
    assert_eq!(program.project().packages[0].files[0].errors, [], "{source}");
    let bodies = program.bodies(PackageId(0));
    let text = ir_text(&bodies, 0, &code_of_f(&bodies));
    let got: Vec<_> =
        text.lines().map(|line| if line.starts_with('b') { line } else { line[5..].trim_end() }).collect();
    let want = want.trim_start_matches('\n');
    let indent = want.len() - want.trim_start().len();
    let want: Vec<_> = want.lines().map(|line| line.get(indent..).unwrap_or_default().trim_end()).collect();
    assert_eq!(got.join("\n").trim_end(), want.join("\n").trim_end(), "the code is\n{}", got.join("\n"));
}

#[track_caller]
fn check(source: &str, want: &str) {
    check_minor(source, 27, want);
}

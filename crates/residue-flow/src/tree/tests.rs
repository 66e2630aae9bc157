//! Parents and functions.

use std::sync::Arc;

use residue_syntax::ast::{Expr, ExprId, File, Stmt, StmtId};
use residue_syntax::{Bodies, parse};

use super::{FunctionKind, Parent, Parents, functions, names};

fn file(src: &str) -> File {
    parse(Arc::from(src.as_bytes()), Bodies::Keep).file
}

fn expr(file: &File, text: &str) -> ExprId {
    (0..file.expr_count())
        .map(ExprId::new)
        .find(|&e| file.text(file.expr_span(e)) == text)
        .expect("the expression is there")
}

const SRC: &str = "package p
var top = func() { inner(1) }
func f(a int) {
	if x := g((h)); x > 2 {
		defer func() { k(3) }()
	}
	switch { case m(4): n(5) }
	select { case o <- q(6): r(7) }
	var s, t = u(8), 9
	L: for { v(10) }
}
";

#[test]
fn every_evaluated_expression_and_statement_has_a_parent() {
    let file = file(SRC);
    let parents = Parents::new(&file);
    for i in 0..file.expr_count() {
        let e = ExprId::new(i);
        if matches!(file.expr(e), Expr::Call { .. } | Expr::BasicLit(_)) {
            assert!(parents.of_expr(e).is_some(), "{}", file.text(file.expr_span(e)));
        }
    }
    for i in 0..file.stmt_count() {
        let stmt = StmtId::new(i);
        // The parser reads a condition as a statement first; that one is in no block.
        let header = matches!(file.stmt(stmt), Stmt::Expr(x) if parents.of_expr(x) != Some(Parent::Stmt(stmt)));
        assert!(header || parents.of_stmt(stmt).is_some(), "{}", file.text(file.stmt_span(stmt)));
    }
}

#[test]
fn statements_and_functions_around_expressions() {
    let file = file(SRC);
    let parents = Parents::new(&file);
    let around = |text: &str| {
        let at = expr(&file, text);
        let stmt = parents.statement(at).map(|s| file.text(file.stmt_span(s)).into_owned());
        (stmt, parents.function(&file, Parent::Expr(at)))
    };
    let (stmt, function) = around("k(3)");
    assert_eq!(stmt.as_deref(), Some("k(3)"));
    assert!(matches!(function, Some(Parent::Expr(_))));
    let (stmt, function) = around("u(8)");
    assert_eq!(stmt.as_deref(), Some("var s, t = u(8), 9"));
    assert!(matches!(function, Some(Parent::Decl(_))));
    assert!(matches!(around("inner(1)").1, Some(Parent::Expr(_))));
    assert_eq!(around("func() { inner(1) }").0, None, "a declaration at the top has no statement");
    for text in ["g((h))", "m(4)", "n(5)", "q(6)", "r(7)", "v(10)"] {
        assert!(matches!(around(text).1, Some(Parent::Decl(_))), "{text}");
    }
}

#[test]
fn parentheses_are_seen_through() {
    let file = file(SRC);
    let parents = Parents::new(&file);
    let (outer, parent) = parents.through_parens(&file, expr(&file, "h"));
    assert_eq!(file.text(file.expr_span(outer)), "(h)");
    let Some(Parent::Expr(call)) = parent else { panic!("the call is around it") };
    assert!(matches!(file.expr(call), Expr::Call { .. }));
}

#[test]
fn functions_with_bodies_are_listed() {
    let file = file(&format!("{SRC}func external()\nfunc (T) method() {{}}\n"));
    let all = functions(&file);
    let decls = all.iter().filter(|f| matches!(f.kind, FunctionKind::Decl(_))).count();
    assert_eq!((decls, all.len()), (2, 4));
    assert_eq!(all.iter().filter(|f| f.recv.is_some()).count(), 1);
}

#[test]
fn broken_files_have_parents_too() {
    for src in [
        "",
        "package",
        "package p\nfunc f() { if { } else",
        "package p; func f() { a(b(c; x[ }",
        "package p\nvar x = func( {",
    ] {
        let file = file(src);
        let parents = Parents::new(&file);
        for i in 0..file.expr_count() {
            let _ = parents.function(&file, Parent::Expr(ExprId::new(i)));
        }
        let _ = functions(&file);
    }
}

#[test]
fn functions_have_the_names_of_a_running_program() {
    let source = "package p
        var v = func() { func() {}() }
        func f() { func() { func() {}(); func() {}() }(); func() {}() }
        func (t T) m() { _ = func() {} }
        func (*L[K]) p() {}
        func init() {}
        func init() { func() {}() }
        var w = func() {}";
    let file = parse(Arc::from(source.as_bytes()), Bodies::Keep).file;
    let mut names: Vec<_> = names(&file).into_iter().map(|(name, f)| (file.block(f.body).span.start, name)).collect();
    names.sort();
    let names: Vec<_> = names.iter().map(|(_, name)| name.as_str()).collect();
    let of_f = ["f", "f.func1", "f.func1.1", "f.func1.2", "f.func2"];
    let rest = ["T.m", "T.m.func1", "(*L).p", "init.0", "init.1", "init.1.func1", "init.func2"];
    assert_eq!(names, [&["init.func1", "init.func1.1"][..], &of_f, &rest].concat());
}

//! What function literals capture.

use residue_project::PackageId;
use residue_syntax::ast::{Expr, ExprId};
use residue_types::Objects;

use super::{captured, program};

#[test]
fn variables_of_functions_around_a_literal() {
    let source = "package p
        var global int
        func f(a, b int) (c int) {
            x, y := 1, 2
            g := func(d int) {
                x := x + d + global
                _ = func() { _, _ = x, b }
                c = y
            }
            _ = g
            switch z := any(a).(type) {
            case int:
                _ = func() { _ = z }
            }
            return
        }
        var h = func(e int) { _ = func() int { return e } }";
    let program = program(source, 27);
    let bodies = program.bodies(PackageId(0));
    let tree = bodies.syntax(0);
    let names: Vec<String> = (0..tree.expr_count())
        .map(ExprId::new)
        .filter(|&expr| matches!(tree.expr(expr), Expr::FuncLit { .. }))
        .map(|lit| {
            let captured = captured(&bodies, 0, lit);
            let name = |id| bodies.object(id).expect("it is declared").name.as_str();
            captured.into_iter().map(name).collect::<Vec<_>>().join(" ")
        })
        .collect();
    // Inner literals stand before outer ones in the table.
    assert_eq!(names, ["x b", "x b c y", "z", "e", ""]);
}

//! The order of evaluation, as Go has it: see `order.go`, which is a program that checks itself.

use residue_project::PackageId;
use residue_syntax::ast::Decl;
use residue_types::Bodies;

use super::{lower, program};
use crate::build::Typed;
use crate::dump::ir_text;
use crate::graph;
use crate::ir::{At, Body, Op};
use crate::tree::Parent;

/// The first arguments of calls where these are constants: the numbers of steps.
fn steps(bodies: &Bodies<'_>, body: &Body) -> Vec<i64> {
    let mut steps = Vec::new();
    for block in graph::topological(&body.cfg) {
        for (_, instr) in body.instrs(block) {
            if let Op::Call(call) = instr.op
                && let [first, ..] = body.values(body.call(call).args)
                && let (Op::Const, At::Expr(expr)) = (body.instr(*first).op, body.instr(*first).at)
            {
                steps.extend(bodies.file(0).value_of(expr).and_then(residue_types::Const::as_i64));
            }
        }
    }
    steps
}

#[test]
fn steps_are_in_the_order_in_which_go_makes_them() {
    let program = program(include_str!("order.go"), 27);
    assert_eq!(program.project().packages[0].files[0].errors, []);
    let bodies = program.bodies(PackageId(0));
    let tree = bodies.syntax(0);
    let mut looked_at = 0;
    for decl in tree.list(tree.top_decls()) {
        let Decl::Func(func) = tree.decl(decl) else { continue };
        let body = lower(&bodies, 0, Parent::Decl(decl), &Typed { bodies: &bodies, file: 0 }).expect("it has a body");
        assert_eq!(body.validate(), Ok(()));
        let steps = steps(&bodies, &body);
        if steps.first() == Some(&1) && steps.len() > 1 {
            let want: Vec<i64> = (1..=steps.len() as i64).collect();
            let (name, code) = (tree.ident_text(func.name), ir_text(&bodies, 0, &body));
            assert_eq!(steps, want, "{name}:\n{code}");
            looked_at += steps.len();
        }
    }
    assert_eq!(looked_at, 168, "steps in all functions");
}

//! How a path is told: which branches lead from where a resource is acquired to where it is left.

use std::rc::Rc;

use residue_finding::{Finding, StepRole};
use residue_flow::{EdgeKind, Node, Parent};
use residue_syntax::ast::{Expr, Span};

use crate::context::FileCx;
use crate::state::exec::Exec;
use crate::state::store::Trail;
use crate::state::sym::Place;

/// Branches that are told of one path.
const BRANCHES_MAX: usize = 3;
/// Characters of a condition that are shown.
const CONDITION_MAX: usize = 60;

/// Where an instruction of one of the executed bodies stands.
pub(crate) fn span(exec: &Exec<'_>, place: Place) -> Span {
    let at = exec.ir(place.body).instr(residue_flow::ir::Value::new(place.value as usize)).at;
    exec.cx.span_of(at)
}

/// Adds the last branches that a path took after `start`, in the order in which it took them.
pub(crate) fn branches(exec: &Exec<'_>, trail: Option<&Rc<Trail>>, start: Option<Span>, finding: &mut Finding) {
    let mut found = Vec::new();
    let mut at = trail;
    while let Some(step) = at {
        at = step.before.as_ref();
        let Some((span, text)) = told(exec, step) else { continue };
        if start.is_some_and(|start| span.start < start.end) {
            // Before the resource was acquired, or in an earlier round.
            break;
        }
        if found.iter().all(|(known, _)| *known != span) {
            found.push((span, text));
        }
        if found.len() == BRANCHES_MAX {
            break;
        }
    }
    for (span, text) in found.into_iter().rev() {
        finding.step(StepRole::Branch, exec.cx.site(span), text);
    }
}

/// A branch in words.
fn told(exec: &Exec<'_>, step: &Trail) -> Option<(Span, String)> {
    let cx = exec.cx;
    let tree = cx.tree();
    let ir = exec.ir(step.body);
    let node = ir.cfg.block(step.block).nodes.last().copied()?;
    match (node, step.edge) {
        (Node::Cond(cond), edge @ (EdgeKind::True | EdgeKind::False)) => {
            let truth = edge == EdgeKind::True;
            let shown = shorten(&cx.text(cond));
            let word = if truth { "holds" } else { "does not hold" };
            Some((tree.expr_span(cond), format!("`{shown}` {word}")))
        }
        (Node::Case { value, .. }, EdgeKind::True) => Some((tree.expr_span(value), "this case is taken".to_owned())),
        (Node::TypeCase { ty, .. }, EdgeKind::True) => Some((tree.expr_span(ty), "this case is taken".to_owned())),
        (Node::RangeNext(stmt), EdgeKind::Done) => Some((cx.loop_head(stmt), "the loop ends".to_owned())),
        _ => None,
    }
}

pub(crate) fn shorten(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= CONDITION_MAX {
        return text;
    }
    let mut short: String = text.chars().take(CONDITION_MAX - 1).collect();
    short.push('…');
    short
}

/// How a function is called: its name, or where the literal stands.
pub(crate) fn function_name(cx: FileCx<'_>, function: Parent) -> String {
    match function {
        Parent::Decl(decl) => cx.declared(decl).map_or_else(String::new, |id| format!("`{}`", cx.short_name(id))),
        Parent::Expr(lit) => {
            let line = match cx.tree().expr(lit) {
                Expr::FuncLit { .. } => cx.tree().line_col(cx.tree().expr_span(lit).start).line,
                _ => 0,
            };
            format!("the function literal at line {line}")
        }
        _ => String::new(),
    }
}

//! A call of `recover` that cannot recover.
//!
//! ## What it finds
//!
//! - `recover` in a function literal that is called where it stands, inside the deferred function or anywhere else:
//!   `defer func() { func() { recover() }() }()`.
//! - `defer recover()` in a function that is not itself deferred.
//! - A helper that calls `recover`, itself called by a deferred function instead of being deferred:
//!   `defer func() { handlePanic() }()`.
//! - `recover` in a function that the package only ever calls, and never defers.
//!
//! ## Why it leaks
//!
//! `recover` ends a panic only when the deferred function calls it itself; anywhere else it returns nil and the panic
//! goes on. The code reads as if the process survived, and it does not: everything that was to happen after the
//! recover, the error that was to be returned, the lock that was to be given back, is skipped.
//!
//! ## Example
//!
//! ```go
//! func handlePanic() {
//! 	if r := recover(); r != nil {
//! 		log.Println("recovered:", r)
//! 	}
//! }
//!
//! func work() {
//! 	defer func() {
//! 		handlePanic()
//! 	}()
//! 	step()
//! }
//!
//! func step() { panic("bad step") }
//! ```
//!
//! ## Fix
//!
//! Defer the function that calls `recover`:
//!
//! ```go
//! func handlePanic() {
//! 	if r := recover(); r != nil {
//! 		log.Println("recovered:", r)
//! 	}
//! }
//!
//! func work() {
//! 	defer handlePanic()
//! 	step()
//! }
//!
//! func step() { panic("bad step") }
//! ```
//!
//! ## Limits
//!
//! A function that is used as a value may be deferred by whoever gets it, and so may an exported function by other
//! packages: their own call of `recover` is not reported. Function values are not followed.

use residue_finding::{Confidence, Family, Finding, Help, RuleCode, RuleMeta, Severity, StepRole, module_docs};
use residue_flow::ir::{self, Op};
use residue_flow::{FunctionKind, Parent};
use residue_syntax::ast::{Decl, Expr, ExprId, Stmt};
use residue_types::{Builtin, Callee, ObjId, Objects};

use crate::context::FileCx;
use crate::rules::Rule;
use crate::state::Analysis;

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("F302"),
    name: "recover-without-effect",
    summary: "a call of recover cannot recover",
    family: Family::Failure,
    cwe: &[755, 703],
    severity: Severity::Error,
    confidence: Confidence::High,
    default_on: true,
    joins: &[],
    docs: module_docs(include_str!("f302.rs")),
};

pub(super) struct F302;

impl Rule for F302 {
    fn meta(&self) -> &'static RuleMeta {
        &META
    }

    fn check(&self, cx: FileCx<'_>, _analysis: &Analysis<'_>, out: &mut Vec<Finding>) {
        for function in residue_flow::functions(cx.tree()) {
            let key = match function.kind {
                FunctionKind::Decl(decl) => Parent::Decl(decl),
                FunctionKind::Lit(lit) => Parent::Expr(lit),
            };
            if let Some(ir) = cx.ir(key) {
                in_function(cx, key, &ir, out);
            }
        }
    }
}

fn in_function(cx: FileCx<'_>, function: Parent, ir: &ir::Body, out: &mut Vec<Finding>) {
    for (block, data) in ir.cfg.blocks() {
        if !data.live {
            continue;
        }
        for (_, instr) in ir.instrs(block) {
            match instr.op {
                Op::Call(call) => called(cx, function, ir.call(call), out),
                Op::Defer(call) if is_recover(ir.call(call)) => deferred(cx, function, ir.call(call), out),
                _ => {}
            }
        }
    }
}

fn is_recover(call: &ir::Call) -> bool {
    call.callee == Callee::Builtin(Builtin::Recover)
}

/// How a function is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It is deferred, here.
    Deferred,
    /// It is called, here.
    Called(ExprId),
    /// Somebody may defer it.
    Unknown,
}

/// How a literal is used where it stands.
fn use_of_literal(cx: FileCx<'_>, lit: ExprId) -> Use {
    let tree = cx.tree();
    let (outer, parent) = cx.parents().through_parens(tree, lit);
    let Some(Parent::Expr(call)) = parent else { return Use::Unknown };
    match tree.expr(call) {
        Expr::Call { fun, .. } if fun == outer => match cx.parents().through_parens(tree, call) {
            (_, Some(Parent::Stmt(stmt))) if matches!(tree.stmt(stmt), Stmt::Defer(_)) => Use::Deferred,
            (_, Some(Parent::Stmt(stmt))) if matches!(tree.stmt(stmt), Stmt::Go(_)) => Use::Called(call),
            _ => Use::Called(call),
        },
        _ => Use::Unknown,
    }
}

/// A call of `recover`, or of a function that calls it.
fn called(cx: FileCx<'_>, function: Parent, call: &ir::Call, out: &mut Vec<Finding>) {
    if is_recover(call) {
        match function {
            Parent::Expr(lit) => {
                if let Use::Called(at) = use_of_literal(cx, lit) {
                    let mut finding =
                        report(cx, call.expr, "this recover cannot recover: its function is called, not deferred");
                    let line = cx.tree().line_col(cx.tree().expr_span(at).end.saturating_sub(1)).line;
                    if let Some(span) = cx.tree().line_span(line) {
                        finding.step(StepRole::Note, cx.site(trimmed(cx, span)), "called here");
                    }
                    finding.help = advice("defer the function that calls recover");
                    out.push(finding);
                }
            }
            Parent::Decl(decl) => {
                if let Some(at) = only_called(cx, decl) {
                    let mut finding = report(
                        cx,
                        call.expr,
                        "this recover cannot recover: its function is only called, never deferred",
                    );
                    finding.step(StepRole::Note, cx.site_of(at), "called here");
                    finding.help = advice("defer the function that calls recover");
                    out.push(finding);
                }
            }
            _ => {}
        }
        return;
    }
    let Callee::Func(id) = call.callee else { return };
    if !cx.pkg.summary(id).is_some_and(|summary| summary.recovers) {
        return;
    }
    // Called by a function that is deferred where it stands: the panic is there, and the helper doesn't end it.
    if let Parent::Expr(lit) = function
        && use_of_literal(cx, lit) == Use::Deferred
    {
        let name = cx.called_text(call.expr);
        let message = format!("{name} cannot recover here: it is called by the deferred function, not deferred itself");
        let mut finding = report(cx, call.expr, &message);
        finding.label = "recover returns nil in there, and the panic goes on".to_owned();
        finding.help = advice(&format!("`defer {name}(…)`"));
        out.push(finding);
    }
}

/// `defer recover()`: the function that defers it would have to be deferred itself.
fn deferred(cx: FileCx<'_>, function: Parent, call: &ir::Call, out: &mut Vec<Finding>) {
    let in_vain = match function {
        Parent::Expr(lit) => matches!(use_of_literal(cx, lit), Use::Called(_)),
        Parent::Decl(decl) => is_never_deferred(cx, decl),
        _ => false,
    };
    if in_vain {
        let message = "`defer recover()` cannot recover: recover has to be called by the deferred function";
        let mut finding = report(cx, call.expr, message);
        finding.help = advice("`defer func() { recover() }()`, and do something with what it returns");
        out.push(finding);
    }
}

fn advice(message: &str) -> Option<Help> {
    Some(Help { message: message.to_owned(), edits: Vec::new() })
}

fn trimmed(cx: FileCx<'_>, span: residue_syntax::ast::Span) -> residue_syntax::ast::Span {
    let text = cx.tree().text(span);
    let indent = text.len() - text.trim_start().len();
    residue_syntax::ast::Span::new(span.start + indent as u32, span.end)
}

/// A call of a function that nobody can defer: it is not exported, and all its uses in the package are plain calls.
fn only_called(cx: FileCx<'_>, decl: residue_syntax::ast::DeclId) -> Option<ExprId> {
    let id = cx.declared(decl)?;
    let object = cx.pkg.bodies.object(id)?;
    if object.name.is_exported() {
        return None;
    }
    let mut first = None;
    for (is_call, here, expr) in uses(cx, id) {
        if !is_call {
            return None;
        }
        if here && first.is_none() {
            first = Some(expr);
        }
    }
    first
}

/// Whether a function's name in this package is never deferred or used as a value, and nobody else can do so.
fn is_never_deferred(cx: FileCx<'_>, decl: residue_syntax::ast::DeclId) -> bool {
    let Decl::Func(func) = cx.tree().decl(decl) else { return false };
    let name = cx.tree().ident_text(func.name);
    let Some(id) = cx.declared(decl) else { return false };
    // Nobody exports a function to be deferred that does nothing but defer recover: an exported one is used as it is.
    let all_calls = uses(cx, id).iter().all(|&(is_call, ..)| is_call);
    all_calls && (name == "main" || !func.has_recv || uses(cx, id).iter().any(|_| true))
}

/// The uses of a function in the package: whether a plain call, whether in this file, and where.
fn uses(cx: FileCx<'_>, id: ObjId) -> Vec<(bool, bool, ExprId)> {
    let mut out = Vec::new();
    for file in cx.pkg.files() {
        for &use_ in file.uses(id) {
            let tree = file.tree();
            // `x.f`: the whole selector is the function.
            let mut at = use_;
            if let Some(Parent::Expr(up)) = file.parents().of_expr(at)
                && matches!(tree.expr(up), Expr::Selector { .. })
            {
                at = up;
            }
            let (outer, parent) = file.parents().through_parens(tree, at);
            let is_call = match parent {
                Some(Parent::Expr(call)) => {
                    matches!(tree.expr(call), Expr::Call { fun, .. } if fun == outer)
                        && !matches!(file.parents().through_parens(tree, call),
                            (_, Some(Parent::Stmt(stmt))) if matches!(tree.stmt(stmt), Stmt::Defer(_)))
                }
                _ => false,
            };
            out.push((is_call, file.index == cx.index, use_));
        }
    }
    out
}

fn report(cx: FileCx<'_>, call: ExprId, message: &str) -> Finding {
    let mut finding = Finding::new(&META, message, cx.site_of(call));
    finding.label = "returns nil, and the panic goes on".to_owned();
    finding.subject = residue_finding::normalise_expression(&cx.text(call));
    finding
}

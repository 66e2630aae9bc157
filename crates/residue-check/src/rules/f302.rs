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
//! A function that is used as a value may be deferred by whoever gets it, and so may a method or an exported function by
//! other packages: their own call of `recover` is not reported, only `defer recover()` is. Function values are not
//! followed.
//!
//! It is off by default: what it looks for is so rare that it found nothing true in some 1400 modules, and what it did
//! find was meant.

use residue_finding::{Confidence, Family, Finding, Help, RuleCode, RuleMeta, Severity, StepRole, module_docs};
use residue_flow::Parent;
use residue_flow::ir::{self, Op};
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
    default_on: false,
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
            if let Some(ir) = cx.ir(function.key()) {
                in_function(cx, function.key(), &ir, out);
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
                Op::Defer(call) => deferred(cx, function, ir.call(call), out),
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
            _ => Use::Called(call),
        },
        // An argument of a function that does nothing but call it.
        Expr::Call { args, .. } => match cx.callee(call) {
            Callee::Func(id) => {
                let is_method = cx.pkg.bodies.object(id).and_then(|o| o.func()).is_some_and(|f| f.recv().is_some());
                let index = tree.list(args).position(|arg| arg == outer).map(|i| i + usize::from(is_method));
                let called = cx.pkg.summary(id).map_or(0, |summary| summary.called);
                if index.is_some_and(|i| i < 64 && called & (1 << i) != 0) { Use::Called(call) } else { Use::Unknown }
            }
            _ => Use::Unknown,
        },
        _ => Use::Unknown,
    }
}

/// Whether a function is deferred: a literal where it stands, a declared one by its name.
fn is_deferred(cx: FileCx<'_>, function: Parent) -> bool {
    match function {
        Parent::Expr(lit) => use_of_literal(cx, lit) == Use::Deferred,
        Parent::Decl(decl) => cx.declared(decl).is_some_and(|id| {
            cx.pkg.files().any(|file| file.uses(id).iter().any(|&expr| how_used(file, expr) == How::Deferred))
        }),
        _ => false,
    }
}

/// A call of `recover`, or of a function that calls it.
fn called(cx: FileCx<'_>, function: Parent, call: &ir::Call, out: &mut Vec<Finding>) {
    if is_recover(call) {
        out.extend(recover(cx, function, call));
        return;
    }
    let Callee::Func(id) = call.callee else { return };
    if !cx.pkg.summary(id).is_some_and(|summary| summary.recovers) || !is_deferred(cx, function) {
        return;
    }
    // Called by a function that is deferred: the panic is there, and the helper doesn't end it.
    let name = cx.called_text(call.expr);
    let message = format!("{name} cannot recover here: it is called by the deferred function, not deferred itself");
    let mut finding = report(cx, call.expr, &message);
    finding.label = "recover returns nil in there, and the panic goes on".to_owned();
    finding.help = Some(advice(&format!("`defer {name}(…)`")));
    out.push(finding);
}

/// A call of `recover` itself.
fn recover(cx: FileCx<'_>, function: Parent, call: &ir::Call) -> Option<Finding> {
    let (message, at) = match function {
        Parent::Expr(lit) => match use_of_literal(cx, lit) {
            Use::Called(at) => ("this recover cannot recover: its function is called, not deferred", Some(at)),
            Use::Deferred if is_one_too_late(cx, lit) => {
                ("this recover cannot recover: a deferred function defers it, and nothing can panic in between", None)
            }
            _ => return None,
        },
        Parent::Decl(decl) => {
            let uses = uses_of_private(cx, decl)?;
            // Those in deferred functions are reported where they stand.
            if uses.iter().any(|use_| use_.how != How::Called || use_.below_defer) {
                return None;
            }
            // One that nobody calls and that begins with it is there to be deferred, some day.
            if uses.is_empty() && !is_start(cx, decl) && begins_with(cx, function, call) {
                return None;
            }
            let here = uses.iter().find(|use_| use_.file == cx.index).map(|use_| use_.expr);
            ("this recover cannot recover: its function is not deferred", here)
        }
        _ => return None,
    };
    let mut finding = report(cx, call.expr, message);
    if let Some(at) = at {
        let end = cx.tree().expr_span(at).end.saturating_sub(1);
        let line = cx.tree().line_span(cx.tree().line_col(end).line);
        finding.step(
            StepRole::Note,
            cx.site(line.map_or(cx.tree().expr_span(at), |line| trimmed(cx, line))),
            "called here",
        );
    }
    finding.help = Some(advice("defer the function that calls recover"));
    Some(finding)
}

/// Whether the program calls a function: `main` or `init`.
fn is_start(cx: FileCx<'_>, decl: residue_syntax::ast::DeclId) -> bool {
    let name = match cx.tree().decl(decl) {
        Decl::Func(func) => cx.tree().ident_text(func.name),
        _ => "",
    };
    matches!(name, "main" | "init")
}

/// Whether a call is the first that a function makes, and no deferred one needs what it gives.
fn begins_with(cx: FileCx<'_>, function: Parent, call: &ir::Call) -> bool {
    let Some(ir) = cx.ir(function) else { return false };
    let first = ir.all().find_map(|instr| match instr.op {
        Op::Call(id) | Op::Go(id) | Op::Defer(id) => Some(ir.call(id).expr),
        _ => None,
    });
    first == Some(call.expr) && !ir.all().any(|instr| matches!(instr.op, Op::Defer(_)))
}

/// Whether a deferred literal does nothing but defer another: the panic that is under way is the outer one's to end.
fn is_one_too_late(cx: FileCx<'_>, lit: ExprId) -> bool {
    let Some(outer @ Parent::Expr(around)) = cx.parents().function(cx.tree(), Parent::Expr(lit)) else { return false };
    use_of_literal(cx, around) == Use::Deferred
        && cx.ir(outer).is_some_and(|ir| {
            let (mut calls, mut defers) = (0, 0);
            for instr in ir.all() {
                calls += usize::from(matches!(instr.op, Op::Call(_) | Op::Go(_)));
                defers += usize::from(matches!(instr.op, Op::Defer(_)));
            }
            calls == 0 && defers == 1
        })
}

/// `defer recover()`, and `defer f()` where `f` only makes the function that would recover.
fn deferred(cx: FileCx<'_>, function: Parent, call: &ir::Call, out: &mut Vec<Finding>) {
    if is_recover(call) {
        let in_vain = match function {
            Parent::Expr(lit) => matches!(use_of_literal(cx, lit), Use::Called(_)),
            // Who writes a function to be deferred calls recover in it.
            Parent::Decl(decl) => {
                cx.declared(decl).is_some_and(|id| uses(cx, id).iter().all(|use_| use_.how == How::Called))
            }
            _ => false,
        };
        if in_vain {
            let message = "`defer recover()` cannot recover: recover has to be called by the deferred function";
            let mut finding = report(cx, call.expr, message);
            finding.help = Some(advice("`defer func() { recover() }()`, and do something with what it returns"));
            out.push(finding);
        }
        return;
    }
    if let Callee::Func(id) = call.callee
        && matches!(cx.info().type_of(call.expr), residue_types::Type::Func(_))
        && cx.pkg.summary(id).is_some_and(|summary| summary.makes_recoverer)
    {
        let name = cx.called_text(call.expr);
        let message = format!("{name} only makes the function that would recover: what it returns is not called");
        let mut finding = report(cx, call.expr, &message);
        finding.label = "what this returns is dropped".to_owned();
        finding.help = Some(advice(&format!("`defer {name}(…)()`")));
        out.push(finding);
    }
}

fn advice(message: &str) -> Help {
    Help { message: message.to_owned(), edits: Vec::new() }
}

fn trimmed(cx: FileCx<'_>, span: residue_syntax::ast::Span) -> residue_syntax::ast::Span {
    let text = cx.tree().text(span);
    let indent = text.len() - text.trim_start().len();
    residue_syntax::ast::Span::new(span.start + indent as u32, span.end)
}

/// How a declared function is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Called,
    Deferred,
    Value,
}

/// A use of a declared function in its package.
struct UseSite {
    how: How,
    /// Whether a deferred function calls it.
    below_defer: bool,
    file: usize,
    expr: ExprId,
}

/// The uses of a function that nobody else can use: not exported, no method, which an interface could name.
fn uses_of_private(cx: FileCx<'_>, decl: residue_syntax::ast::DeclId) -> Option<Vec<UseSite>> {
    let id = cx.declared(decl)?;
    let object = cx.pkg.bodies.object(id)?;
    let is_method = object.func().is_some_and(|func| func.recv().is_some());
    let unused = || uses(cx, id);
    (!object.name.is_exported() && !is_method || object.name.as_str() == "main").then(unused)
}

/// How a name of a declared function is used where it stands.
fn how_used(cx: FileCx<'_>, name: ExprId) -> How {
    let tree = cx.tree();
    let mut at = name;
    // `x.f`: the whole selector is the function.
    if let Some(Parent::Expr(up)) = cx.parents().of_expr(at)
        && matches!(tree.expr(up), Expr::Selector { .. })
    {
        at = up;
    }
    match cx.parents().through_parens(tree, at) {
        (outer, Some(Parent::Expr(call))) if matches!(tree.expr(call), Expr::Call { fun, .. } if fun == outer) => {
            match cx.parents().through_parens(tree, call) {
                (_, Some(Parent::Stmt(stmt))) if matches!(tree.stmt(stmt), Stmt::Defer(_)) => How::Deferred,
                _ => How::Called,
            }
        }
        _ => How::Value,
    }
}

fn uses(cx: FileCx<'_>, id: ObjId) -> Vec<UseSite> {
    let mut out = Vec::new();
    for file in cx.pkg.files() {
        let tree = file.tree();
        for &expr in file.uses(id) {
            let how = how_used(file, expr);
            let around = file.parents().function(tree, Parent::Expr(expr));
            let below_defer = how == How::Called && around.is_some_and(|around| is_deferred(file, around));
            out.push(UseSite { how, below_defer, file: file.index, expr });
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

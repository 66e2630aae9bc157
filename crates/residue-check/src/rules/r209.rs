//! A cancel function that is lost on some path.
//!
//! ## What it finds
//!
//! The function that `context.WithCancel`, `WithTimeout`, `WithDeadline`, their `Cause` variants or
//! `signal.NotifyContext` return, when it is dropped with `_`, when a path leads from there to a return without using
//! it, or when its variable is set again before it was used.
//!
//! ## Why it leaks
//!
//! Until the cancel function is called, the parent context keeps the new one in its list of children. With a
//! deadline, a timer keeps it too, until then; `NotifyContext` keeps the signals registered. Goroutines that wait for
//! the context to be done wait as long. With a parent that lives as long as the process, every call adds one more for
//! good.
//!
//! ## Example
//!
//! ```go
//! func fetch(parent context.Context, cached bool) error {
//! 	ctx, cancel := context.WithTimeout(parent, time.Minute)
//! 	if cached {
//! 		return nil
//! 	}
//! 	defer cancel()
//! 	return load(ctx)
//! }
//!
//! func load(ctx context.Context) error { return ctx.Err() }
//! ```
//!
//! ## Fix
//!
//! Defer the call right after the context was made; calling it twice does no harm:
//!
//! ```go
//! func fetch(parent context.Context, cached bool) error {
//! 	ctx, cancel := context.WithTimeout(parent, time.Minute)
//! 	defer cancel()
//! 	if cached {
//! 		return nil
//! 	}
//! 	return load(ctx)
//! }
//!
//! func load(ctx context.Context) error { return ctx.Err() }
//! ```
//!
//! ## Limits
//!
//! Any use counts as keeping the function: it is not followed to the place where it is called. Functions stored in
//! fields, package variables and variables of an outer function are not followed either. A return of `main` ends the
//! process and loses nothing.

use std::collections::BTreeSet;

use residue_finding::{
    Confidence, Family, Finding, Help, Join, RuleCode, RuleMeta, Severity, StepRole, module_docs, normalise_expression,
};
use residue_flow::paths::{Step, search};
use residue_flow::walk::{self, Access};
use residue_flow::{Node, Parent, Point};
use residue_syntax::ast::{Expr, ExprId, Stmt, UnaryOp};
use residue_types::{ObjId, Objects, Type, VarKind};

use crate::assume::Assumptions;
use crate::context::{Enclosing, FileCx, Flow};
use crate::rules::Rule;
use crate::state::Analysis;
use crate::value::{Target, Targets};

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("R209"),
    name: "cancel-function-lost",
    summary: "the cancel function of a context is lost on some path",
    family: Family::Resources,
    cwe: &[772],
    severity: Severity::Warning,
    confidence: Confidence::High,
    default_on: true,
    joins: &[Join::AcquireSite],
    docs: module_docs(include_str!("r209.rs")),
};

pub(super) struct R209;

impl Rule for R209 {
    fn meta(&self) -> &'static RuleMeta {
        &META
    }

    fn check(&self, cx: FileCx<'_>, _analysis: &Analysis<'_>, out: &mut Vec<Finding>) {
        let tree = cx.tree();
        for i in 0..tree.expr_count() {
            let call = ExprId::new(i);
            if matches!(tree.expr(call), Expr::Call { .. }) && cx.roles(call).is_some_and(|roles| roles.cancels) {
                out.extend(made(cx, call));
            }
        }
    }
}

fn made(cx: FileCx<'_>, call: ExprId) -> Option<Finding> {
    let Type::Tuple(types) = cx.info().type_of(call) else { return None };
    let result = types.iter().rposition(|ty| cx.is_func(ty))?;
    let function = cx.enclosing(call)?;
    let flow = cx.flow(function.key)?;
    let start = flow.point(call)?;
    match Targets::of(cx, call, result).value {
        Target::Dropped => Some(dropped(cx, function, &flow, start, call)?),
        Target::Variable(var) => lost(cx, function, &flow, start, call, var),
        Target::Other => None,
    }
}

fn base(cx: FileCx<'_>, call: ExprId, message: String) -> Finding {
    let mut finding = Finding::new(&META, message, cx.site_of(call));
    finding.resource = "context.CancelFunc".to_owned();
    finding.acquire = Some(cx.acquire_site(call));
    finding.subject = normalise_expression(&cx.text(call));
    let keepers = match cx.tree().expr(call) {
        Expr::Call { fun, .. } => keepers(&cx.text(fun)),
        _ => keepers(""),
    };
    finding.notes.push(format!("until it is called, {keepers}"));
    finding
}

/// What keeps the context that a function makes.
fn keepers(function: &str) -> &'static str {
    match function.rsplit('.').next().unwrap_or_default().trim() {
        "WithTimeout" | "WithTimeoutCause" | "WithDeadline" | "WithDeadlineCause" => {
            "the parent context and a timer keep the new context"
        }
        "NotifyContext" => "the parent context keeps the new context, and the signals stay registered",
        _ => "the parent context keeps the new context",
    }
}

fn dropped(cx: FileCx<'_>, function: Enclosing, flow: &Flow, start: Point, call: ExprId) -> Option<Finding> {
    // What `main` drops once is given back when the process ends.
    if cx.is_main(function) && !flow.cfg.repeats(start.block) {
        return None;
    }
    // The tests of package context drop them to see what happens.
    if cx.source().test && cx.is_own(call) {
        return None;
    }
    let Expr::Call { fun, .. } = cx.tree().expr(call) else { return None };
    let name = normalise_expression(&cx.text(fun));
    let mut finding =
        base(cx, call, format!("the cancel function of {name} is dropped: the context is never given back"));
    finding.label = "dropped here".to_owned();
    finding.help = Some(Help { message: "keep it in a variable and `defer` its call".to_owned(), edits: Vec::new() });
    Some(finding)
}

fn lost(cx: FileCx<'_>, function: Enclosing, flow: &Flow, start: Point, call: ExprId, var: ObjId) -> Option<Finding> {
    let kind = cx.var_kind(var)?;
    if kind == VarKind::Package || !declared_in(cx, function, var) {
        return None;
    }
    let captures = cx.captures(var, function);
    if known_before(flow, start, &captures) {
        return None;
    }
    let uses = Uses { cx, var, captures };
    let context = match Targets::of(cx, call, 0).value {
        Target::Variable(context) => Some(context),
        _ => None,
    };
    let assume = Assumptions::new(cx, flow, start, None, Some(var));
    let process_ends = cx.is_main(function);
    let path = assume.search(&flow.cfg, |at, node| {
        let returns = cx.is_return(node);
        // A return without operands gives the named results.
        let bare =
            matches!(node, Node::Stmt(s) if matches!(cx.tree().stmt(s), Stmt::Return(values) if values.is_empty()));
        if (bare && kind == VarKind::Result) || uses.reads(flow, node) || waits_for_end(cx, node, context) {
            Step::Stop
        } else if at == start || uses.writes(flow, node) {
            Step::Hit
        } else if returns {
            if process_ends { Step::Stop } else { Step::Hit }
        } else if assume.contradicts(&flow.cfg, at, node) {
            Step::Stop
        } else {
            Step::Pass
        }
    })?;
    let node = flow.cfg.node(path.hit)?;
    // One that replaces a context nobody is the parent of gives nothing away.
    if path.hit != start && !cx.is_return(node) && has_no_parent(cx, call) {
        return None;
    }
    let name = cx.pkg.bodies.object(var)?.name.as_str();
    let returns = cx.is_return(node);
    let message = if returns {
        format!("the cancel function `{name}` is not used on every path")
    } else if path.hit == start {
        format!("the cancel function `{name}` is lost when the loop comes round")
    } else {
        format!("the cancel function `{name}` is lost where the variable is set again")
    };
    let mut finding = base(cx, call, message);
    finding.label = format!("`{name}` is made here");
    let left = if returns {
        format!("returns here without having used `{name}`")
    } else if path.hit == start {
        format!("the next round loses `{name}`")
    } else {
        format!("set again here, without the first `{name}` having been used")
    };
    finding.step(StepRole::Left, cx.site(cx.path_end(&flow.cfg, start, path.hit)?), left);
    finding.help = Some(Help {
        message: if flow.cfg.repeats(start.block) {
            format!("call `{name}()` before the round ends, on every path; calling it twice does no harm")
        } else {
            format!("`defer {name}()` right after it is made; calling it twice does no harm")
        },
        edits: Vec::new(),
    });
    Some(finding)
}

/// Whether a variable is declared inside of a function, parameters and results included.
fn declared_in(cx: FileCx<'_>, function: Enclosing, var: ObjId) -> bool {
    let tree = cx.tree();
    let Some(site) = cx.pkg.bodies.object(var).and_then(|object| object.site) else { return false };
    let pos = tree.ident(site.ident).pos;
    let within = match function.key {
        Parent::Decl(decl) => tree.decl_span(decl),
        Parent::Expr(lit) => tree.expr_span(lit),
        _ => return false,
    };
    let inside = within.start <= pos && pos < within.end;
    // Inside of a literal that the function holds, it is the literal's variable.
    inside && site.file as usize == cx.index
}

/// Whether a function literal that knows the variable exists before the cancel function is made: it may call it.
fn known_before(flow: &Flow, start: Point, captures: &BTreeSet<ExprId>) -> bool {
    let points: BTreeSet<Point> = captures.iter().filter_map(|&lit| flow.point(lit)).collect();
    if points.is_empty() {
        return false;
    }
    // From the first node on: a search starts after its point.
    let entry = Point { block: flow.cfg.entry(), index: 0 };
    points.contains(&entry)
        || search(
            &flow.cfg,
            entry,
            |at, _| {
                if at == start {
                    Step::Stop
                } else if points.contains(&at) {
                    Step::Hit
                } else {
                    Step::Pass
                }
            },
            |_, _| true,
        )
        .is_some()
            && entry != start
}

/// Whether a context is made of `context.Background()` or `context.TODO()`, without a deadline: nothing holds it.
fn has_no_parent(cx: FileCx<'_>, call: ExprId) -> bool {
    let mut args = cx.arguments(call);
    let (Some(parent), None) = (args.next(), args.next()) else { return false };
    cx.roles(parent).is_some_and(|roles| roles.root_context)
}

/// Whether a node receives from the context's `Done` channel: after that there is nothing left to cancel.
fn waits_for_end(cx: FileCx<'_>, node: Node, context: Option<ObjId>) -> bool {
    let tree = cx.tree();
    let (Node::Comm(stmt) | Node::Stmt(stmt)) = node else { return false };
    let received = match tree.stmt(stmt) {
        Stmt::Expr(x) => x,
        Stmt::Assign { rhs, .. } => match tree.list_get(rhs, 0) {
            Some(x) => x,
            None => return false,
        },
        _ => return false,
    };
    let Expr::Unary { op: UnaryOp::Recv, x } = tree.expr(walk::unparen(tree, received)) else { return false };
    let Expr::Call { fun, .. } = tree.expr(walk::unparen(tree, x)) else { return false };
    let Expr::Selector { x, sel } = tree.expr(fun) else { return false };
    tree.ident_text(sel) == "Done" && context.is_some() && cx.variable(x) == context
}

struct Uses<'a> {
    cx: FileCx<'a>,
    var: ObjId,
    captures: BTreeSet<ExprId>,
}

impl Uses<'_> {
    fn any(&self, flow: &Flow, node: Node, want: impl Fn(Access) -> bool) -> bool {
        let tree = self.cx.tree();
        let mut found = false;
        walk::evaluated(tree, &flow.cfg, node, &mut |expr, access| {
            found |= match tree.expr(expr) {
                Expr::Ident(_) => want(access) && self.cx.variable(expr) == Some(self.var),
                Expr::FuncLit { .. } => want(Access::Read) && self.captures.contains(&expr),
                _ => false,
            };
            !found
        });
        found
    }

    fn reads(&self, flow: &Flow, node: Node) -> bool {
        self.any(flow, node, |access| access != Access::Write)
    }

    fn writes(&self, flow: &Flow, node: Node) -> bool {
        self.any(flow, node, |access| access == Access::Write)
    }
}

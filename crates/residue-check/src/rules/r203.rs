//! A deferred release inside a loop.
//!
//! ## What it finds
//!
//! `defer x.Close()`, or a deferred function that closes `x`, in the body of a loop, where `x` is made anew in each
//! round and the round can come more than once. Resources known to the models are found by their type; beside them any
//! value with a `Close` method, and cancel functions of contexts.
//!
//! ## Why it leaks
//!
//! A deferred call runs when the function returns, not when the round ends. Until then every round adds one more open
//! file, response or lock on the server's side; a loop over a directory can run out of descriptors that were all done
//! with.
//!
//! ## Example
//!
//! ```go
//! func total(names []string) (int64, error) {
//! 	var sum int64
//! 	for _, name := range names {
//! 		f, err := os.Open(name)
//! 		if err != nil {
//! 			return 0, err
//! 		}
//! 		defer f.Close()
//! 		info, err := f.Stat()
//! 		if err != nil {
//! 			return 0, err
//! 		}
//! 		sum += info.Size()
//! 	}
//! 	return sum, nil
//! }
//! ```
//!
//! ## Fix
//!
//! Give each round a function of its own, so that the deferred call runs at its end:
//!
//! ```go
//! func total(names []string) (int64, error) {
//! 	var sum int64
//! 	for _, name := range names {
//! 		size, err := size(name)
//! 		if err != nil {
//! 			return 0, err
//! 		}
//! 		sum += size
//! 	}
//! 	return sum, nil
//! }
//!
//! func size(name string) (int64, error) {
//! 	f, err := os.Open(name)
//! 	if err != nil {
//! 		return 0, err
//! 	}
//! 	defer f.Close()
//! 	info, err := f.Stat()
//! 	if err != nil {
//! 		return 0, err
//! 	}
//! 	return info.Size(), nil
//! }
//! ```
//!
//! ## Limits
//!
//! Loops that are left in their first round are understood, and so are function literals called in each round. A value
//! that is also stored, appended, sent or captured is meant to outlive the round and is not reported, nor one that is
//! released in the round as well, nor one that is opened and not used. Loops over a literal list or a small constant
//! number of rounds hold a bounded number. A response body that each round reads to its end is a note: its connection is
//! taken back without the call. Contexts made in a loop of a test are not reported.

use residue_finding::{
    Confidence, Family, Finding, Help, Join, RuleCode, RuleMeta, Severity, StepRole, module_docs, normalise_expression,
};
use residue_flow::{Parent, graph, walk};
use residue_syntax::ast::{BinaryOp, Decl, Expr, ExprId, List, Span, Spec, Stmt, StmtId};
use residue_types::{Callee, ObjId, Objects, SelectionKind, Symbol, Type};

use crate::context::FileCx;
use crate::model::{Resource, ResourceId, TypeRef};
use crate::rules::Rule;
use crate::state::Analysis;
use crate::state::events::{Origin, Site};
use crate::state::store::SiteId;
use crate::value::{Fate, Mode, Move, Target, Targets, Tracker};

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("R203"),
    name: "release-deferred-in-loop",
    summary: "a release is deferred in a loop and piles up until the function returns",
    family: Family::Resources,
    cwe: &[772, 775],
    severity: Severity::Warning,
    confidence: Confidence::High,
    default_on: true,
    joins: &[Join::AcquireSite],
    docs: module_docs(include_str!("r203.rs")),
};

/// A loop with no more rounds than this holds little.
const SMALL_LOOP_ROUNDS_MAX: i64 = 64;

pub(super) struct R203;

impl Rule for R203 {
    fn meta(&self) -> &'static RuleMeta {
        &META
    }

    fn check(&self, cx: FileCx<'_>, analysis: &Analysis<'_>, out: &mut Vec<Finding>) {
        let tree = cx.tree();
        for i in 0..tree.stmt_count() {
            let stmt = StmtId::new(i);
            if let Stmt::Defer(call) = tree.stmt(stmt) {
                out.extend(deferred(cx, analysis, stmt, call));
            }
        }
    }
}

/// What a deferred call releases.
struct Released {
    /// The variable that holds it.
    var: ObjId,
    what: What,
    /// What is released, as written.
    expr: ExprId,
}

#[derive(Clone, Copy)]
enum What {
    /// A resource of a model.
    Resource(ResourceId, Mode),
    /// Something with a `Close` method.
    Closer,
    /// The context of a cancel function.
    Context,
}

fn deferred(cx: FileCx<'_>, analysis: &Analysis<'_>, stmt: StmtId, call: ExprId) -> Option<Finding> {
    let tree = cx.tree();
    let around = enclosing_loop(cx, stmt)?;
    let function = cx.parents().function(tree, Parent::Stmt(stmt))?;
    let flow = cx.flow(function)?;
    let at = flow.point(call)?;
    if !flow.cfg.repeats(at.block) || is_small(cx, around) {
        return None;
    }
    // Where no way leads to a return, the process ends first, and no deferred call ever runs.
    if !graph::leads_to(&flow.cfg, at.block, flow.cfg.exit()) {
        return None;
    }
    let released = releases(cx, call)?;
    // Tests make a context a round all the time, with a deadline that is over before the test is.
    if cx.source().test && matches!(released.what, What::Context) {
        return None;
    }
    let made = made_inside(cx, released.var, tree.stmt_span(around))?;
    if is_made_once(cx, stmt, around, released.var) {
        return None;
    }
    if matches!(released.what, What::Closer) && is_known(cx, made) {
        return None;
    }
    if !ends_with_round(cx, &released, tree.stmt_span(stmt), made) {
        return None;
    }
    let mut finding = report(cx, stmt, around, &released, made);
    if let Some(why) = mitigation(cx, analysis, &released, made) {
        finding.severity = Severity::Note;
        finding.notes.push(why.to_owned());
    }
    Some(finding)
}

/// Whether a statement in a loop is reached by the first round alone: it asks whether a variable from outside of the
/// loop is nil, as `if conn == nil`, and nothing in the loop sets that to nil.
fn is_made_once(cx: FileCx<'_>, stmt: StmtId, around: StmtId, var: ObjId) -> bool {
    let tree = cx.tree();
    let inside = tree.stmt_span(around);
    let declared = cx.pkg.bodies.object(var).and_then(|object| object.site);
    if declared.is_none_or(|site| inside.contains(tree.ident_span(site.ident))) {
        return false;
    }
    let asks = |cond: ExprId| match tree.expr(walk::unparen(tree, cond)) {
        Expr::Binary { op: BinaryOp::Eq, x, y, .. } => cx.variable(x) == Some(var) && cx.is_nil(y),
        _ => false,
    };
    let set_to_nil = |&use_: &ExprId| match cx.parents().of_expr(use_) {
        Some(Parent::Stmt(at)) if inside.contains(tree.stmt_span(at)) => match tree.stmt(at) {
            Stmt::Assign { lhs, rhs, .. } => {
                let i = tree.list(lhs).position(|target| target == use_);
                i.and_then(|i| tree.list_get(rhs, i)).is_some_and(|value| cx.is_nil(value))
            }
            _ => false,
        },
        _ => false,
    };
    let mut at = stmt;
    while let Some(Parent::Stmt(up)) = cx.parents().of_stmt(at)
        && up != around
    {
        let then = |then: residue_syntax::ast::BlockId| tree.block(then).span.contains(tree.stmt_span(stmt));
        if matches!(tree.stmt(up), Stmt::If { cond, then: block, .. } if asks(cond) && then(block)) {
            return !cx.uses(var).iter().any(set_to_nil);
        }
        at = up;
    }
    false
}

/// The innermost loop around a statement, in the same function.
fn enclosing_loop(cx: FileCx<'_>, stmt: StmtId) -> Option<StmtId> {
    let mut at = stmt;
    loop {
        match cx.parents().of_stmt(at)? {
            Parent::Stmt(up) => {
                if matches!(cx.tree().stmt(up), Stmt::For { .. } | Stmt::Range { .. }) {
                    return Some(up);
                }
                at = up;
            }
            _ => return None,
        }
    }
}

/// Whether the number of rounds is a small constant, or written out in the source.
fn is_small(cx: FileCx<'_>, stmt: StmtId) -> bool {
    let tree = cx.tree();
    match tree.stmt(stmt) {
        Stmt::Range { x, .. } => bound(cx, x).map_or_else(|| is_list(cx, x), |rounds| rounds <= SMALL_LOOP_ROUNDS_MAX),
        Stmt::For { cond: Some(cond), .. } => match tree.expr(cond) {
            Expr::Binary { op: BinaryOp::Lt | BinaryOp::Le | BinaryOp::Ne, y, .. } => {
                bound(cx, y).is_some_and(|rounds| rounds <= SMALL_LOOP_ROUNDS_MAX)
            }
            _ => false,
        },
        _ => false,
    }
}

/// The value of a constant, or of a variable that is set once, to a constant.
fn bound(cx: FileCx<'_>, expr: ExprId) -> Option<i64> {
    cx.constant_int(expr).or_else(|| cx.constant_int(cx.only_value(expr)?))
}

/// Whether an expression is a composite literal, or a variable that is only ever set to one.
fn is_list(cx: FileCx<'_>, expr: ExprId) -> bool {
    let tree = cx.tree();
    if matches!(tree.expr(walk::unparen(tree, expr)), Expr::CompositeLit { .. }) {
        return true;
    }
    let Some(var) = cx.variable(expr) else { return false };
    let object = cx.pkg.bodies.object(var).filter(|_| var.pkg == cx.pkg.bodies.package());
    let Some(site) = object.and_then(|object| object.site) else { return false };
    if site.file as usize != cx.index {
        return cx
            .package_value(site)
            .is_some_and(|(tree, value)| matches!(tree.expr(value), Expr::CompositeLit { .. }));
    }
    let is_lit = |value: Option<ExprId>| {
        value.is_some_and(|value| matches!(tree.expr(walk::unparen(tree, value)), Expr::CompositeLit { .. }))
    };
    let mut sets = 0;
    let mut lists = 0;
    for &use_ in cx.uses(var) {
        let (outer, parent) = cx.parents().through_parens(tree, use_);
        if let Some(Parent::Stmt(stmt)) = parent
            && let Stmt::Assign { lhs, rhs, .. } = tree.stmt(stmt)
            && let Some(i) = tree.list(lhs).position(|target| target == outer)
        {
            sets += 1;
            lists += usize::from(is_lit(tree.list_get(rhs, i)));
        }
    }
    // `var tests = …`, in a function or at the top of the file.
    for i in 0..tree.stmt_count() {
        if let Stmt::Decl(decl) = tree.stmt(StmtId::new(i)) {
            count_specs(cx, decl, site.ident, &is_lit, &mut sets, &mut lists);
        }
    }
    for decl in tree.list(tree.top_decls()) {
        count_specs(cx, decl, site.ident, &is_lit, &mut sets, &mut lists);
    }
    sets > 0 && sets == lists
}

fn count_specs(
    cx: FileCx<'_>,
    decl: residue_syntax::ast::DeclId,
    ident: residue_syntax::ast::IdentId,
    is_lit: &dyn Fn(Option<ExprId>) -> bool,
    sets: &mut usize,
    lists: &mut usize,
) {
    let tree = cx.tree();
    let Decl::Gen { specs, .. } = tree.decl(decl) else { return };
    for spec in tree.list(specs) {
        if let Spec::Value { names, values, .. } = tree.spec(spec)
            && let Some(i) = tree.list(names).position(|name| name == ident)
        {
            *sets += 1;
            *lists += usize::from(is_lit(tree.list_get(values, i)));
        }
    }
}

/// What a deferred call releases: itself, or in the function literal that it calls.
fn releases(cx: FileCx<'_>, call: ExprId) -> Option<Released> {
    let tree = cx.tree();
    let Expr::Call { fun, .. } = tree.expr(call) else { return None };
    let Expr::FuncLit { .. } = tree.expr(walk::unparen(tree, fun)) else { return release(cx, call) };
    let inside = tree.expr_span(fun);
    (0..tree.expr_count())
        .map(ExprId::new)
        .filter(|&expr| matches!(tree.expr(expr), Expr::Call { .. }) && inside.contains(tree.expr_span(expr)))
        .find_map(|expr| release(cx, expr))
}

/// What a call releases.
fn release(cx: FileCx<'_>, call: ExprId) -> Option<Released> {
    let tree = cx.tree();
    let Expr::Call { fun, args, .. } = tree.expr(call) else { return None };
    // `unix.Close(fd)`
    if let Some(kind) = cx.roles(call).and_then(|roles| roles.release.first()) {
        let arg = tree.list_get(args, 0)?;
        let expr = unconverted(cx, arg);
        return Some(Released { var: cx.variable(expr)?, what: What::Resource(*kind, Mode::Value), expr });
    }
    match tree.expr(walk::unparen(tree, fun)) {
        // `cancel()`
        Expr::Ident(_) => {
            let var = cx.variable(fun)?;
            is_cancel(cx, var).then_some(Released { var, what: What::Context, expr: fun })
        }
        Expr::Selector { x, sel } => {
            let name = tree.ident_text(sel);
            for (kind, resource) in cx.models().resources() {
                if !resource.release.iter().any(|release| release == name) {
                    continue;
                }
                if let Some((var, mode)) = holder(cx, x, resource) {
                    return Some(Released { var, what: What::Resource(kind, mode), expr: x });
                }
            }
            let var = cx.variable(x)?;
            let closes = name == "Close" && is_closer(cx, fun);
            closes.then_some(Released { var, what: What::Closer, expr: x })
        }
        _ => None,
    }
}

/// `x` of `T(x)`.
fn unconverted(cx: FileCx<'_>, expr: ExprId) -> ExprId {
    let tree = cx.tree();
    let mut expr = walk::unparen(tree, expr);
    while let Expr::Call { args, .. } = tree.expr(expr)
        && matches!(cx.callee(expr), Callee::Conversion(_))
        && let Some(arg) = tree.list_get(args, 0)
    {
        expr = walk::unparen(tree, arg);
    }
    expr
}

/// The variable of a resource `v`, or `v.Body`.
fn holder(cx: FileCx<'_>, expr: ExprId, resource: &Resource) -> Option<(ObjId, Mode)> {
    let tree = cx.tree();
    // `io.Closer` and its like are the types of many things.
    let own = |want: &&TypeRef| !want.package.is_empty() && want.package != "io";
    let is_it = |expr| resource.types.iter().filter(own).any(|want| cx.is_type(cx.info().type_of(expr), want));
    match &resource.field {
        Some(field) => match tree.expr(walk::unparen(tree, expr)) {
            Expr::Selector { x, sel } if tree.ident_text(sel) == field && is_it(x) => {
                Some((cx.variable(x)?, Mode::Holder))
            }
            _ => None,
        },
        None => is_it(expr).then(|| cx.variable(expr)).flatten().map(|var| (var, Mode::Value)),
    }
}

/// Whether `x.Close` is a method without parameters that returns nothing or an error.
fn is_closer(cx: FileCx<'_>, selector: ExprId) -> bool {
    let Some(selection) = cx.info().selections.get(&walk::unparen(cx.tree(), selector)) else { return false };
    let Type::Func(signature) = &selection.ty else { return false };
    let closes = match &signature.results[..] {
        [] => true,
        [one] => *one == residue_types::error_type(),
        _ => false,
    };
    selection.kind != SelectionKind::Field && signature.params.is_empty() && closes
}

/// Whether a call's function is of the standard library: those whose results hold something have a model.
fn is_known(cx: FileCx<'_>, call: ExprId) -> bool {
    let package = match cx.callee(call) {
        Callee::Func(id) => Some(id.pkg),
        Callee::Interface { recv, .. } => recv.origin().map(|id| id.pkg),
        _ => None,
    };
    let path = package.map(|id| cx.pkg.bodies.program().package_path(id));
    path.is_some_and(|path| residue_project::stdlib::embedded().is_ok_and(|std| std.contains(path)))
}

/// Whether a variable is set to the cancel function of a context.
fn is_cancel(cx: FileCx<'_>, var: ObjId) -> bool {
    let Some(object) = cx.pkg.bodies.object(var) else { return false };
    let name = object.name;
    let context = |want| cx.pkg.bodies.is_named(object.ty(), "context", want);
    name != Symbol::new("_") && (context("CancelFunc") || context("CancelCauseFunc"))
}

/// The call that a variable is set from inside of a loop.
fn made_inside(cx: FileCx<'_>, var: ObjId, within: Span) -> Option<ExprId> {
    let tree = cx.tree();
    let call_of = |values: List<ExprId>, i: usize| {
        let value = if values.len() == 1 { tree.list_get(values, 0) } else { tree.list_get(values, i) }?;
        let value = walk::unparen(tree, value);
        let made = matches!(tree.expr(value), Expr::Call { .. }) && within.contains(tree.expr_span(value));
        (made && !matches!(cx.callee(value), Callee::Conversion(_) | Callee::Builtin(_))).then_some(value)
    };
    for &use_ in cx.uses(var) {
        if let Some(Parent::Stmt(stmt)) = cx.parents().of_expr(use_)
            && let Stmt::Assign { lhs, rhs, .. } = tree.stmt(stmt)
            && let Some(i) = tree.list(lhs).position(|target| target == use_)
            && let Some(call) = call_of(rhs, i)
        {
            return Some(call);
        }
    }
    // `var f, err = …` has no expressions for its names.
    for i in 0..tree.stmt_count() {
        let Stmt::Decl(decl) = tree.stmt(StmtId::new(i)) else { continue };
        let Decl::Gen { specs, .. } = tree.decl(decl) else { continue };
        for spec in tree.list(specs) {
            if let Spec::Value { names, values, .. } = tree.spec(spec)
                && let Some(i) = tree.list(names).position(|name| cx.variable_of(name) == Some(var))
                && let Some(call) = call_of(values, i)
            {
                return Some(call);
            }
        }
    }
    None
}

/// Whether a value is done with when the round ends: it is used, and goes nowhere that outlives the round; and nothing
/// but the deferred statement releases it.
fn ends_with_round(cx: FileCx<'_>, released: &Released, deferred: Span, made: ExprId) -> bool {
    let mut vars = vec![released.var];
    if matches!(released.what, What::Context) {
        match Targets::of(cx, made, 0).value {
            Target::Variable(context) => vars.push(context),
            _ => return false,
        }
    }
    let mut used = false;
    for &var in &vars {
        let Some(home) = cx.uses(var).first().and_then(|&use_| cx.enclosing(use_)) else { return false };
        for &use_ in cx.uses(var) {
            if deferred.contains(cx.tree().expr_span(use_)) {
                continue;
            }
            // In another function literal: it can be called after the round.
            if cx.enclosing(use_) != Some(home) || !stays(cx, released, var, use_) {
                return false;
            }
            used |= !is_set(cx, use_);
        }
    }
    // What is only opened is meant to stay open.
    used
}

/// Whether one use leaves a value in its round, and unreleased.
fn stays(cx: FileCx<'_>, released: &Released, var: ObjId, use_: ExprId) -> bool {
    match released.what {
        What::Resource(kind, mode) => {
            let fate = Tracker::new(cx, kind).of_single_use(use_, mode);
            match fate {
                Fate::Kept | Fate::Moved(_, Move::Returned) => true,
                Fate::Moved(arg, Move::Argument) => !gives_holder(cx, arg),
                Fate::Released(by) => only_steps(cx, kind, by),
                Fate::Moved(_, Move::Stored) => false,
            }
        }
        What::Closer => plain_use(cx, use_) && !is_method_call(cx, use_, "Close") && !gives_holder(cx, use_),
        What::Context if var == released.var => is_set(cx, use_),
        // What a call with the context gives may need the context as long as it lives.
        What::Context => plain_use(cx, use_) && gives_no_value(cx, use_),
    }
}

/// Why what piles up is little: every round that comes round again has read its value to the end.
fn mitigation<'a>(cx: FileCx<'a>, analysis: &Analysis<'_>, released: &Released, made: ExprId) -> Option<&'a str> {
    let What::Resource(kind, _) = released.what else { return None };
    let why = cx.models().resource(kind).drained.as_deref()?;
    let of_call =
        |site: &Site| matches!(&site.origin, Origin::Call { expr, .. } | Origin::Made { expr, .. } if *expr == made);
    let mut rounds = analysis.executed.iter().filter(|executed| executed.file == cx.index).filter_map(|executed| {
        let events = &executed.exec.events;
        let site = events.sites.iter().position(of_call)?;
        Some(!events.undrained.contains(&SiteId(site as u16)))
    });
    rounds.next()?.then_some(why)
}

/// Whether what releases a resource at its end is called other than as the condition of a loop: it may not get there.
fn only_steps(cx: FileCx<'_>, kind: ResourceId, selector: ExprId) -> bool {
    let tree = cx.tree();
    let Expr::Selector { sel, .. } = tree.expr(selector) else { return false };
    let name = tree.ident_text(sel);
    if !cx.models().resource(kind).exhaust.iter().any(|exhaust| exhaust == name) {
        return false;
    }
    let Some(Parent::Expr(call)) = cx.parents().of_expr(selector) else { return false };
    match cx.parents().through_parens(tree, call) {
        (_, Some(Parent::Stmt(stmt))) => !matches!(tree.stmt(stmt), Stmt::For { .. }),
        _ => true,
    }
}

/// Whether an expression is a target of an assignment.
pub(super) fn is_set(cx: FileCx<'_>, use_: ExprId) -> bool {
    let Some(Parent::Stmt(stmt)) = cx.parents().of_expr(use_) else { return false };
    matches!(cx.tree().stmt(stmt), Stmt::Assign { lhs, .. } if cx.tree().list(lhs).any(|target| target == use_))
}

/// Whether a use is a call of the method `name`.
fn is_method_call(cx: FileCx<'_>, use_: ExprId, name: &str) -> bool {
    let tree = cx.tree();
    match cx.parents().through_parens(tree, use_) {
        (_, Some(Parent::Expr(up))) => {
            matches!(tree.expr(up), Expr::Selector { sel, .. } if tree.ident_text(sel) == name)
        }
        _ => false,
    }
}

/// Whether a call runs in a goroutine of its own.
fn is_started(cx: FileCx<'_>, call: ExprId) -> bool {
    match cx.parents().of_expr(call) {
        Some(Parent::Stmt(stmt)) => matches!(cx.tree().stmt(stmt), Stmt::Go(_)),
        _ => false,
    }
}

/// Whether a value is an argument of a call that gives something to read, write or close, which may hold the value.
fn gives_holder(cx: FileCx<'_>, arg: ExprId) -> bool {
    let tree = cx.tree();
    let (outer, parent) = cx.parents().through_parens(tree, arg);
    let Some(Parent::Expr(call)) = parent else { return false };
    if !matches!(tree.expr(call), Expr::Call { fun, .. } if fun != outer) {
        return false;
    }
    let holds = |(i, ty): (usize, &Type)| {
        let methods = ["Read", "ReadAt", "Write", "WriteAt", "Close", "Next"];
        let bodies = cx.pkg.bodies;
        methods.iter().any(|name| bodies.select(ty, Symbol::new(name), bodies.package()).is_some())
            && Targets::of(cx, call, i).value != Target::Dropped
    };
    match cx.info().type_of(call) {
        Type::Tuple(types) => types.iter().enumerate().any(holds),
        ty => holds((0, ty)),
    }
}

/// Whether a value is not an argument, or one of a call that gives nothing but an error, or whose values are dropped.
fn gives_no_value(cx: FileCx<'_>, use_: ExprId) -> bool {
    let tree = cx.tree();
    let (outer, parent) = cx.parents().through_parens(tree, use_);
    let Some(Parent::Expr(call)) = parent else { return true };
    match tree.expr(call) {
        // `go f(ctx)`
        Expr::Call { .. } if is_started(cx, call) => false,
        Expr::Call { fun, .. } if fun != outer => {
            let is_error = |ty: &Type| *ty == residue_types::error_type();
            match cx.info().type_of(call) {
                Type::Tuple(types) => types.iter().enumerate().all(|(i, ty)| {
                    is_error(ty)
                        || cx.pkg.bodies.basic(ty).is_some()
                        || Targets::of(cx, call, i).value == Target::Dropped
                }),
                ty => is_error(ty) || cx.pkg.bodies.basic(ty).is_some(),
            }
        }
        _ => true,
    }
}

/// Whether a use of something without model is a call of one of its methods, an argument, a comparison, or sets it.
fn plain_use(cx: FileCx<'_>, use_: ExprId) -> bool {
    let tree = cx.tree();
    let (outer, parent) = cx.parents().through_parens(tree, use_);
    match parent {
        Some(Parent::Expr(up)) => match tree.expr(up) {
            Expr::Selector { .. } => match cx.parents().of_expr(up) {
                Some(Parent::Expr(call)) => matches!(tree.expr(call), Expr::Call { fun, .. } if fun == up),
                _ => false,
            },
            Expr::Call { fun, .. } => {
                fun == outer || !matches!(cx.callee(up), Callee::Builtin(_) | Callee::Conversion(_))
            }
            Expr::Binary { .. } => true,
            _ => false,
        },
        Some(Parent::Stmt(stmt)) => match tree.stmt(stmt) {
            Stmt::Assign { lhs, .. } => tree.list(lhs).any(|target| target == outer),
            Stmt::Range { x, .. } => x != outer,
            Stmt::Return(_) => true,
            _ => false,
        },
        _ => false,
    }
}

fn report(cx: FileCx<'_>, stmt: StmtId, around: StmtId, released: &Released, made: ExprId) -> Finding {
    let tree = cx.tree();
    let text = normalise_expression(&cx.text(released.expr));
    let (name, subject) = match released.what {
        What::Resource(kind, _) => {
            let name = cx.models().resource(kind).name.clone();
            (name.clone(), format!("the {name}"))
        }
        What::Closer => (text.clone(), format!("`{text}`")),
        What::Context => ("context".to_owned(), String::new()),
    };
    let message = match released.what {
        What::Context => "a cancel function is deferred in a loop: the contexts of all rounds live until the function \
                          returns"
            .to_owned(),
        _ => format!(
            "the release of {subject} is deferred in a loop: each round adds one more until the function returns"
        ),
    };
    let mut finding = Finding::new(&META, message, cx.site(tree.stmt_span(stmt)));
    finding.label = "runs when the function returns, not when the round ends".to_owned();
    finding.step(StepRole::Acquired, cx.site_of(made), "made anew in each round");
    finding.step(StepRole::Branch, cx.site(cx.loop_head(around)), "this loop can come round again");
    if let What::Resource(kind, _) = released.what {
        finding.confidence = cx.models().resource(kind).confidence;
    } else if matches!(released.what, What::Closer) {
        finding.confidence = Confidence::Medium;
    }
    finding.resource = match cx.variable(released.expr).and_then(|var| cx.pkg.bodies.object(var)) {
        Some(object) if cx.pkg.bodies.basic(object.ty()).is_none() => cx.pkg.bodies.show(object.ty()).to_string(),
        _ => name,
    };
    finding.acquire = Some(cx.acquire_site(made));
    finding.subject = normalise_expression(&tree.text(tree.stmt_span(stmt)));
    finding.help = Some(Help {
        message: "move the body of the loop into a function of its own, or release it at the end of each round"
            .to_owned(),
        edits: Vec::new(),
    });
    finding
}

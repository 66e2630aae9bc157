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

use residue_finding::{
    Confidence, Family, Finding, Help, Join, RuleCode, RuleMeta, Severity, StepRole, module_docs, normalise_expression,
};
use residue_syntax::ast::{Expr, ExprId, Span};
use residue_types::{Objects, Type};

use crate::context::FileCx;
use crate::rules::{Rule, path};
use crate::state::events::Origin;
use crate::state::exec::Exec;
use crate::state::store::{SiteId, Status};
use crate::state::{Analysis, Executed};
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

    fn check(&self, cx: FileCx<'_>, analysis: &Analysis<'_>, out: &mut Vec<Finding>) {
        let tree = cx.tree();
        for i in 0..tree.expr_count() {
            let call = ExprId::new(i);
            if matches!(tree.expr(call), Expr::Call { .. }) && cx.roles(call).is_some_and(|roles| roles.cancels) {
                out.extend(dropped(cx, call));
            }
        }
        for executed in analysis.executed.iter().filter(|executed| executed.file == cx.index) {
            for (i, site) in executed.exec.events.sites.iter().enumerate() {
                if let Origin::Cancel { expr, result } = site.origin {
                    out.extend(lost(executed, SiteId(i as u16), expr, result));
                }
            }
        }
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

fn dropped(cx: FileCx<'_>, call: ExprId) -> Option<Finding> {
    let Type::Tuple(types) = cx.info().type_of(call) else { return None };
    let result = types.iter().rposition(|ty| cx.is_func(ty))?;
    if Targets::of(cx, call, result).value != Target::Dropped {
        return None;
    }
    let function = cx.enclosing(call)?;
    let flow = cx.flow(function.key)?;
    let start = flow.point(call)?;
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

/// Where a cancel function is lost.
enum Where {
    /// A return.
    Return(Span),
    /// The next round of a loop makes another.
    Round(Span),
    /// Its variable is set again.
    Replaced(Span),
}

fn lost(executed: &Executed<'_>, site: SiteId, call: ExprId, result: usize) -> Option<Finding> {
    let exec = &executed.exec;
    let cx = exec.cx;
    let function = cx.enclosing(call).filter(|function| function.key == executed.function)?;
    let Target::Variable(var) = Targets::of(cx, call, result).value else { return None };
    let at = place(exec, site, cx.is_main(function), call)?;
    let repeats = cx.loop_around(call).is_some();
    let name = cx.pkg.bodies.object(var)?.name.as_str();
    let (span, message, left) = match at {
        Where::Return(span) => (
            span,
            format!("the cancel function `{name}` is not used on every path"),
            format!("returns here without having used `{name}`"),
        ),
        Where::Round(span) => (
            span,
            format!("the cancel function `{name}` is lost when the loop comes round"),
            format!("the next round loses `{name}`"),
        ),
        Where::Replaced(span) => (
            span,
            format!("the cancel function `{name}` is lost where the variable is set again"),
            format!("set again here, without the first `{name}` having been used"),
        ),
    };
    let mut finding = base(cx, call, message);
    finding.label = format!("`{name}` is made here");
    finding.step(StepRole::Left, cx.site(span), left);
    finding.help = Some(Help {
        message: if repeats {
            format!("call `{name}()` before the round ends, on every path; calling it twice does no harm")
        } else {
            format!("`defer {name}()` right after it is made; calling it twice does no harm")
        },
        edits: Vec::new(),
    });
    Some(finding)
}

/// Where a path loses a cancel function that nobody looked at.
fn place(exec: &Exec<'_>, site: SiteId, process_ends: bool, call: ExprId) -> Option<Where> {
    let cx = exec.cx;
    if exec.events.lost.iter().any(|lost| lost.site == site) {
        let span = cx.loop_around(call).map_or(cx.tree().expr_span(call), |stmt| cx.loop_head(stmt));
        return Some(Where::Round(span));
    }
    let exits = exec.events.exits.iter().filter(|exit| !process_ends && exit.state.status(site) == Status::Open);
    if let Some(first) = exits.map(|exit| cx.span_of(exit.at)).min() {
        return Some(Where::Return(first));
    }
    let (_, again) = exec.events.replaced.iter().find(|(replaced, _)| *replaced == site)?;
    // One that replaces a context nobody is the parent of gives nothing away.
    (!has_no_parent(cx, call)).then(|| Where::Replaced(path::span(exec, *again)))
}

/// Whether a context is made of `context.Background()` or `context.TODO()`, without a deadline: nothing holds it.
fn has_no_parent(cx: FileCx<'_>, call: ExprId) -> bool {
    let mut args = cx.arguments(call);
    let (Some(parent), None) = (args.next(), args.next()) else { return false };
    cx.roles(parent).is_some_and(|roles| roles.root_context)
}

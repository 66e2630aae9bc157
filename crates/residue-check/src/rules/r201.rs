//! A resource that is never released.
//!
//! ## What it finds
//!
//! A file, connection, response body, result set, transaction, eBPF object, raw descriptor or piece of C memory that a
//! function acquires and that on no path is closed, returned, stored or passed on, neither by the function nor by a
//! function literal inside it. Results that are dropped where they are returned count too: `http.Get(url)` as a
//! statement, or `_, err := os.Open(name)`.
//!
//! Calls that only use the resource do not pass it on: its own methods, `io.Copy`, `io.ReadAll`,
//! `json.NewDecoder(resp.Body)`, `bufio.NewScanner(f)`, `fmt.Fprintf(f, …)`. Which calls those are is data; see the
//! models.
//!
//! ## Why it leaks
//!
//! Nobody is left who could close it. A descriptor stays open until the garbage collector finds its owner, which can be
//! long after the process has run out of descriptors; a raw descriptor, rows, a response body or C memory have no
//! finalizer at all: their connection is never given back to its pool, their memory never freed.
//!
//! ## Example
//!
//! ```go
//! func status(url string) (int, error) {
//! 	resp, err := http.Get(url)
//! 	if err != nil {
//! 		return 0, err
//! 	}
//! 	return resp.StatusCode, nil
//! }
//! ```
//!
//! ## Fix
//!
//! Release it as soon as the error is known:
//!
//! ```go
//! func status(url string) (int, error) {
//! 	resp, err := http.Get(url)
//! 	if err != nil {
//! 		return 0, err
//! 	}
//! 	defer resp.Body.Close()
//! 	return resp.StatusCode, nil
//! }
//! ```
//!
//! ## Limits
//!
//! One release, or one use that is not understood, silences the rule for the resource, wherever it stands: a file closed
//! on one of two paths is not reported. A function of the analysed code that is handed the resource counts as its new
//! owner; it is not looked into. So does a function literal that is returned. Rows and transactions that a cancelled context ends count as released. Any
//! `rows.Next()` counts as one that may exhaust the rows, which closes them: many leaks of `sql.Rows` are not found. A response body
//! that is read to its end and not closed is a note, and so is one that a test never looks at: it may be empty, and then
//! nothing stays open. Examples that are not run are fragments to read and not looked at. The end of `main` is the end of the process and releases everything, and so is that of a function that defers `os.Exit`. A path on which
//! the acquiring call failed does not count, nor one that fails a test. In tests, a result that is dropped is reported only
//! where the test fails if the call does: tests of failures and of fakes drop results on purpose.

use residue_finding::{
    Confidence, Family, Finding, Help, Join, RuleCode, RuleMeta, Severity, StepRole, module_docs, normalise_expression,
};
use residue_flow::paths::{Path, Step};
use residue_flow::{Parent, Stop};
use residue_syntax::ast::{Decl, Expr, ExprId, Stmt, StmtId};
use residue_types::{Objects, Type};

use crate::assume::Assumptions;
use crate::context::{Enclosing, FileCx, Flow};
use crate::model::{Resource, ResourceId};
use crate::rules::Rule;
use crate::value::{Fate, Target, Targets, Tracker};

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("R201"),
    name: "resource-never-released",
    summary: "a resource is acquired and never released",
    family: Family::Resources,
    cwe: &[772, 775, 401],
    severity: Severity::Error,
    confidence: Confidence::High,
    default_on: true,
    joins: &[Join::AcquireSite],
    docs: module_docs(include_str!("r201.rs")),
};

pub(super) struct R201;

impl Rule for R201 {
    fn meta(&self) -> &'static RuleMeta {
        &META
    }

    fn check(&self, cx: FileCx<'_>, out: &mut Vec<Finding>) {
        let tree = cx.tree();
        for i in 0..tree.expr_count() {
            let call = ExprId::new(i);
            if !matches!(tree.expr(call), Expr::Call { .. }) {
                continue;
            }
            let Some(kind) = cx.roles(call).and_then(|roles| roles.acquire) else { continue };
            for result in cx.acquired(call, cx.models().resource(kind)) {
                out.extend(acquired(cx, call, kind, result));
            }
        }
    }
}

fn acquired(cx: FileCx<'_>, call: ExprId, kind: ResourceId, result: usize) -> Option<Finding> {
    let resource = cx.models().resource(kind);
    let mut tracker = Tracker::new(cx, kind);
    if tracker.of_call(call, result) != Fate::Kept || gives_none(cx, call, resource) || is_cancelled(cx, call) {
        return None;
    }
    let function = cx.enclosing(call)?;
    if is_fragment(cx, function) || is_returned_inside(cx, call, result) {
        return None;
    }
    let flow = cx.flow(function.key)?;
    let path = leak(cx, function, &flow, call, result)?;
    Some(report(cx, &flow, call, result, resource, &tracker, &path))
}

/// Whether a constant among the arguments, or among those of the call that made an argument, says that there is none.
fn gives_none(cx: FileCx<'_>, call: ExprId, resource: &Resource) -> bool {
    let says_so = |call: ExprId| {
        cx.arguments(call).any(|arg| {
            let text = cx.info().value_of(arg).and_then(|value| value.as_str());
            text.is_some_and(|text| resource.without.iter().any(|word| word == text))
        })
    };
    !resource.without.is_empty() && (says_so(call) || cx.arguments(call).filter_map(|arg| cx.maker(arg)).any(says_so))
}

/// Whether the context that is passed on is one that this function cancels: that releases what came of it.
fn is_cancelled(cx: FileCx<'_>, call: ExprId) -> bool {
    cx.roles(call).is_some_and(|roles| roles.until_cancelled)
        && cx
            .arguments(call)
            .filter_map(|arg| cx.maker(arg))
            .any(|maker| cx.roles(maker).is_some_and(|roles| roles.cancels))
}

/// Whether a function literal that uses the variable is returned: whoever gets it may need the resource.
fn is_returned_inside(cx: FileCx<'_>, call: ExprId, result: usize) -> bool {
    let tree = cx.tree();
    let Target::Variable(var) = Targets::of(cx, call, result).value else { return false };
    let home = cx.enclosing(call);
    cx.uses(var).iter().filter_map(|&use_| cx.enclosing(use_)).any(|inside| match inside.key {
        Parent::Expr(lit) if Some(inside) != home => match cx.parents().through_parens(tree, lit) {
            (_, Some(Parent::Stmt(stmt))) => matches!(tree.stmt(stmt), Stmt::Return(_)),
            _ => false,
        },
        _ => false,
    })
}

/// Whether a function is an example that is never run, but shown in documentation: it says nothing of what it prints.
fn is_fragment(cx: FileCx<'_>, function: Enclosing) -> bool {
    let tree = cx.tree();
    let Parent::Decl(decl) = function.key else { return false };
    let Decl::Func(func) = tree.decl(decl) else { return false };
    if !cx.source().test || func.has_recv || !tree.ident_text(func.name).starts_with("Example") {
        return false;
    }
    let body = tree.block(function.body).span;
    let prints = |text: &str| {
        let text = text.trim_start_matches("//").trim_start().to_ascii_lowercase();
        text.starts_with("output:") || text.starts_with("unordered output:")
    };
    !tree.comments().iter().any(|comment| body.contains(comment.span) && prints(&tree.text(comment.span)))
}

/// Whether a function defers the end of the process, so that nothing outlives it.
fn exits(cx: FileCx<'_>, function: Enclosing) -> bool {
    let tree = cx.tree();
    (0..tree.stmt_count()).map(StmtId::new).any(|stmt| match tree.stmt(stmt) {
        Stmt::Defer(call) => {
            cx.roles(call).is_some_and(|roles| roles.no_return == Some(Stop::Exit))
                && cx.parents().function(tree, Parent::Stmt(stmt)) == Some(function.key)
        }
        _ => false,
    })
}

/// A path on which the call succeeds and the function goes on until the resource is out of reach.
fn leak(cx: FileCx<'_>, function: Enclosing, flow: &Flow, call: ExprId, result: usize) -> Option<Path> {
    let start = flow.point(call)?;
    let targets = Targets::of(cx, call, result);
    let value = match targets.value {
        Target::Variable(var) => Some(var),
        _ => None,
    };
    let assume = Assumptions::new(cx, flow, start, targets.error, value);
    // A test that keeps nothing but the error mostly wants one, and one that keeps nothing talks to a fake.
    if cx.source().test && targets.value == Target::Dropped && !assume.wants_success(&flow.cfg) {
        return None;
    }
    let process_ends = cx.is_main(function) || exits(cx, function);
    assume.search(&flow.cfg, |at, node| {
        if at == start {
            Step::Hit
        } else if cx.is_return(node) {
            if process_ends { Step::Stop } else { Step::Hit }
        } else if assume.contradicts(&flow.cfg, at, node) {
            Step::Stop
        } else {
            Step::Pass
        }
    })
}

fn report(
    cx: FileCx<'_>,
    flow: &Flow,
    call: ExprId,
    result: usize,
    resource: &Resource,
    tracker: &Tracker<'_>,
    path: &Path,
) -> Finding {
    let tree = cx.tree();
    let Resource { name, verb, .. } = resource;
    let dropped = Targets::of(cx, call, result).value == Target::Dropped;
    let message = if dropped {
        let function = match tree.expr(call) {
            Expr::Call { fun, .. } => normalise_expression(&cx.text(fun)),
            _ => "the call".to_owned(),
        };
        format!("the {name} that {function} returns is dropped: it can never be {verb}")
    } else {
        format!("the {name} is never {verb}")
    };
    let mut finding = Finding::new(&META, message, cx.site_of(call));
    finding.severity = resource.severity;
    finding.confidence = resource.confidence;
    finding.label = format!("{name} acquired here");
    // The last use tells most: from there on nobody can know of the resource.
    if let Some(&last) = tracker.kept.iter().max_by_key(|&&expr| tree.expr_span(expr)) {
        finding.step(StepRole::Note, cx.site_of(last), format!("used here, and not {verb}"));
    }
    let start = flow.point(call).unwrap_or(path.hit);
    if let Some(span) = cx.path_end(&flow.cfg, start, path.hit) {
        let left = if path.hit == start {
            "the next round loses it".to_owned()
        } else {
            format!("returns here, and it is not {verb}")
        };
        finding.step(StepRole::Left, cx.site(span), left);
    }
    match mitigation(cx, resource, tracker) {
        Some(why) => {
            finding.severity = Severity::Note;
            finding.notes.push(why.to_owned());
        }
        None => finding.notes.push(resource.cost.clone()),
    }
    finding.help =
        Some(Help { message: advice(cx, call, result, resource, flow.cfg.repeats(start.block)), edits: Vec::new() });
    finding.resource = shown(cx, call, result, resource);
    finding.acquire = Some(cx.acquire_site(call));
    finding.subject = normalise_expression(&cx.text(call));
    finding
}

/// Why the loss is a small one, or may be none.
fn mitigation<'a>(cx: FileCx<'_>, resource: &'a Resource, tracker: &Tracker<'_>) -> Option<&'a str> {
    if tracker.drained {
        resource.drained.as_deref()
    } else if cx.source().test && resource.field.is_some() && !tracker.touched {
        resource.untouched.as_deref()
    } else {
        None
    }
}

/// Whether a call gives an error beside its value.
fn gives_error(cx: FileCx<'_>, call: ExprId) -> bool {
    matches!(cx.info().type_of(call), Type::Tuple(types) if types.contains(&residue_types::error_type()))
}

/// What to do. In a loop, a deferred call would wait for the end of the function.
fn advice(cx: FileCx<'_>, call: ExprId, result: usize, resource: &Resource, repeats: bool) -> String {
    let targets = Targets::of(cx, call, result);
    let checks_error = targets.error.is_some() || !gives_error(cx, call);
    let var = match targets.value {
        Target::Variable(var) => cx.pkg.bodies.object(var).map(|object| object.name.as_str()),
        _ => None,
    };
    let Some(var) = var else {
        return format!("keep the {} in a variable and have it {}", resource.name, resource.verb);
    };
    let [release] = &resource.release[..] else { return format!("have `{var}` {} on every path", resource.verb) };
    let call = match &resource.field {
        Some(field) => format!("{var}.{field}.{release}()"),
        None => format!("{var}.{release}()"),
    };
    if repeats {
        format!("`{call}` before the round ends, on every path")
    } else {
        let when = if checks_error { "as soon as the error is known" } else { "after checking the error" };
        format!("`defer {call}` {when}")
    }
}

/// The resource as a Go type, or by its name where the type says little.
fn shown(cx: FileCx<'_>, call: ExprId, result: usize, resource: &Resource) -> String {
    let ty = match cx.info().type_of(call) {
        Type::Tuple(types) => types.get(result).cloned().unwrap_or_default(),
        ty => ty.clone(),
    };
    if cx.pkg.bodies.basic(&ty).is_some() || ty.is_unknown() {
        return resource.name.clone();
    }
    let ty = cx.pkg.bodies.show(&ty).to_string();
    match &resource.field {
        Some(field) => format!("{}.{field}", ty.trim_start_matches('*')),
        None => ty,
    }
}

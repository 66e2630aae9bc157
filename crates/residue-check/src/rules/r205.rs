//! Something is released twice, or used after its release, where that harms somebody else.
//!
//! ## What it finds
//!
//! - A raw descriptor closed twice on one path, closed by hand and again by a deferred call, or by the `os.File` that
//!   was made of it; C memory freed twice. Also their use after that.
//! - Two owners: a type whose finalizer or cleanup closes a descriptor that a method or a deferred call closes too, with
//!   nothing that makes the second close harmless: the field is not set to −1, the finalizer not taken away
//!   (`runtime.SetFinalizer(x, nil)`, `Cleanup.Stop`), no `sync.Once`.
//!
//! ## Why it leaks
//!
//! The kernel gives the lowest free number to whoever opens next. The second close of a number closes what somebody
//! else has opened in between: a connection in the middle of an answer, a data base file. It is worse than the leak that
//! it was to prevent, and a finalizer does it at a time that nobody chose.
//!
//! ## Example
//!
//! ```go
//! func size(path string) (int64, error) {
//! 	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
//! 	if err != nil {
//! 		return 0, err
//! 	}
//! 	defer syscall.Close(fd)
//! 	var st syscall.Stat_t
//! 	if err := syscall.Fstat(fd, &st); err != nil {
//! 		syscall.Close(fd)
//! 		return 0, err
//! 	}
//! 	return st.Size, nil
//! }
//! ```
//!
//! ## Fix
//!
//! One owner, one release:
//!
//! ```go
//! func size(path string) (int64, error) {
//! 	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
//! 	if err != nil {
//! 		return 0, err
//! 	}
//! 	defer syscall.Close(fd)
//! 	var st syscall.Stat_t
//! 	if err := syscall.Fstat(fd, &st); err != nil {
//! 		return 0, err
//! 	}
//! 	return st.Size, nil
//! }
//! ```
//!
//! ## Limits
//!
//! A second `Close` of an `os.File`, a connection, rows or a body is an error value and harms nobody; it is a common
//! idiom and not reported. Two owners are found where both releases are in the same package.

use residue_finding::{
    Confidence, Family, Finding, Help, Join, RuleCode, RuleMeta, Severity, StepRole, module_docs, normalise_expression,
};
use residue_syntax::ast::{Expr, ExprId};
use residue_types::{Callee, ObjId, Objects, Symbol, Type};

use crate::context::FileCx;
use crate::rules::{Rule, path, r201};
use crate::state::events::{Again, Second};
use crate::state::exec::Exec;
use crate::state::{Analysis, summary};

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("R205"),
    name: "released-twice",
    summary: "a descriptor or C memory is released twice, or used after its release",
    family: Family::Resources,
    cwe: &[1341, 675, 415, 416],
    severity: Severity::Error,
    confidence: Confidence::High,
    default_on: true,
    joins: &[Join::AcquireSite],
    docs: module_docs(include_str!("r205.rs")),
};

pub(super) struct R205;

impl Rule for R205 {
    fn meta(&self) -> &'static RuleMeta {
        &META
    }

    fn check(&self, cx: FileCx<'_>, analysis: &Analysis<'_>, out: &mut Vec<Finding>) {
        for executed in analysis.executed.iter().filter(|executed| executed.file == cx.index) {
            let exec = &executed.exec;
            let mut reported = Vec::new();
            for again in &exec.events.again {
                if !reported.contains(&again.site)
                    && let Some(finding) = twice(exec, again)
                {
                    reported.push(again.site);
                    out.push(finding);
                }
            }
        }
        let tree = cx.tree();
        for i in 0..tree.expr_count() {
            let call = ExprId::new(i);
            if matches!(tree.expr(call), Expr::Call { .. }) {
                out.extend(two_owners(cx, call));
            }
        }
    }
}

/// A second release, or a use after the first.
fn twice(exec: &Exec<'_>, again: &Again) -> Option<Finding> {
    let cx = exec.cx;
    let kind = exec.events.sites[again.site.0 as usize].kind?;
    let resource = cx.models().resource(kind);
    let harm = resource.twice.as_ref()?;
    let acquired = r201::acquired(exec, again.site);
    let second = path::span(exec, again.second);
    let verb = &resource.verb;
    let name = &resource.name;
    let (message, label, first, help) = match again.kind {
        Second::Release => (
            format!("the {name} is {verb} twice"),
            format!("{verb} again here"),
            format!("{verb} here first"),
            "leave the release to one of the two",
        ),
        Second::Use => (
            format!("the {name} is used after it was {verb}"),
            "used here".to_owned(),
            format!("{verb} here"),
            "release it after its last use",
        ),
        Second::Owner => (
            format!("the {name} has two owners: it is {verb} here, and again by what was made of it"),
            format!("{verb} here"),
            "made of it here: its `Close` or its finalizer releases it".to_owned(),
            "leave the release to the owner, or have no owner",
        ),
        Second::Finalizer => (
            format!("the {name} has two owners: this function and the finalizer both release it"),
            "the finalizer releases it".to_owned(),
            format!("{verb} here, and the finalizer stays"),
            "take the finalizer away before the release (`runtime.SetFinalizer(x, nil)`), or have none",
        ),
    };
    let mut finding = Finding::new(&META, message, cx.site(second));
    finding.label = label;
    finding.step(StepRole::Acquired, cx.site_of(acquired.call), format!("{name} acquired here"));
    finding.step(StepRole::Released, cx.site(path::span(exec, again.first)), first);
    path::branches(exec, again.trail.as_ref(), Some(cx.tree().expr_span(acquired.call)), &mut finding);
    finding.notes.push(harm.clone());
    finding.help = Some(Help { message: help.to_owned(), edits: Vec::new() });
    finding.resource = r201::shown(exec, again.site);
    finding.acquire = Some(cx.acquire_site(acquired.call));
    finding.subject = normalise_expression(&cx.tree().text(second));
    Some(finding)
}

/// `runtime.SetFinalizer(x, release)` or `runtime.AddCleanup(x, release, x.fd)`, where a method of `x` releases the same
/// and nothing makes the second release harmless.
fn two_owners(cx: FileCx<'_>, call: ExprId) -> Option<Finding> {
    let Callee::Func(id) = cx.callee(call) else { return None };
    let bodies = cx.pkg.bodies;
    if bodies.program().package_path(id.pkg) != "runtime" {
        return None;
    }
    let args: Vec<ExprId> = cx.arguments(call).collect();
    let (owner, path, how) = match (bodies.object(id)?.name.as_str(), &args[..]) {
        ("SetFinalizer", &[object, release]) => {
            let released = released_by(cx, release)?;
            (object, released.path, "finalizer")
        }
        ("AddCleanup", &[object, release, arg]) => {
            let released = released_by(cx, release)?;
            let mut path = field_path(cx, arg).or_else(|| field_with(cx, object, arg))?;
            path.extend(released.path);
            (object, path, "cleanup")
        }
        _ => return None,
    };
    let ty = cx.info().type_of(owner).strip_pointer().clone();
    let methods = bodies.object(ty.origin()?)?.methods();
    let other = methods.iter().find_map(|&(_, method)| {
        let summary = cx.pkg.summary(method)?;
        let release = summary.releases.iter().find(|r| r.param == 0 && r.path == path && r.kind.is_some())?;
        // A cleanup has a copy of the number: it does not see what the field says.
        let harmless = release.guarded || (how == "finalizer" && release.sets_field);
        if harmless { None } else { Some((method, release.kind?)) }
    });
    let (id, kind) = other?;
    let method = bodies.object(id)?;
    let what = format!("`{}`", method.name.as_str());
    // Where it is in another package is no part of what is known of that.
    let place = method.site.filter(|_| id.pkg == bodies.package()).map(|site| {
        let file = cx.pkg.file(site.file as usize);
        file.site(file.tree().ident_span(site.ident))
    });
    let resource = cx.models().resource(kind);
    let harm = resource.twice.as_ref()?;
    let field: Vec<&str> = path.iter().map(|name| name.as_str()).collect();
    let message = format!("`{}` has two owners: {what} and the {how} both release it", field.join("."));
    let mut finding = Finding::new(&META, message, cx.site_of(call));
    finding.label = format!("the {how} releases it");
    let too = format!("{what} releases it too, and leaves the {how} as it is");
    match place {
        Some(place) => finding.step(StepRole::Released, place, too),
        None => finding.notes.push(too),
    }
    finding.notes.push(harm.clone());
    finding
        .notes
        .push(format!("the {how} runs whenever the garbage collector finds the object, long after the first release"));
    let stop = if how == "cleanup" {
        "stop the cleanup in there (`Cleanup.Stop`)"
    } else {
        "take the finalizer away in there (`runtime.SetFinalizer(x, nil)`)"
    };
    finding.help = Some(Help { message: format!("{stop}, or set the field to -1 and check it"), edits: Vec::new() });
    finding.resource.clone_from(&resource.name);
    finding.confidence = Confidence::High;
    finding.subject = normalise_expression(&cx.text(call));
    Some(finding)
}

struct Released {
    path: Vec<Symbol>,
}

/// What of its first parameter a function releases.
fn released_by(cx: FileCx<'_>, function: ExprId) -> Option<Released> {
    let tree = cx.tree();
    let function = residue_flow::walk::unparen(tree, function);
    let of = |summary: &summary::Summary| {
        let release = summary.releases.iter().find(|r| r.param == 0 && r.kind.is_some())?;
        Some(Released { path: release.path.clone() })
    };
    match tree.expr(function) {
        Expr::FuncLit { .. } => of(&*cx.literal_summary(function)?),
        _ => of(&*cx.pkg.summary(declared_function(cx, function)?)?),
    }
}

/// The function that an expression names, also `(*T).Close`.
fn declared_function(cx: FileCx<'_>, function: ExprId) -> Option<ObjId> {
    let tree = cx.tree();
    let id = match tree.expr(function) {
        Expr::Ident(ident) => cx.info().object(ident)?,
        Expr::Selector { sel, .. } => match cx.info().selections.get(&function).map(|selection| &selection.kind) {
            Some(residue_types::SelectionKind::Method(id)) => *id,
            Some(_) => return None,
            None => cx.info().object(sel)?,
        },
        _ => return None,
    };
    cx.pkg.bodies.object(id)?.func().map(|_| id)
}

/// The field of an object in which its composite literal puts a variable.
fn field_with(cx: FileCx<'_>, object: ExprId, value: ExprId) -> Option<Vec<Symbol>> {
    let tree = cx.tree();
    let var = cx.variable(value)?;
    let mut made = cx.only_value(object)?;
    if let Expr::Unary { op: residue_syntax::ast::UnaryOp::Addr, x } = tree.expr(made) {
        made = residue_flow::walk::unparen(tree, x);
    }
    let Expr::CompositeLit { elts, .. } = tree.expr(made) else { return None };
    let Type::Struct(fields) = cx.pkg.bodies.underlying(cx.info().type_of(made).strip_pointer()) else { return None };
    tree.list(elts).enumerate().find_map(|(i, element)| match tree.expr(element) {
        Expr::KeyValue { key, value } if cx.variable(value) == Some(var) => match tree.expr(key) {
            Expr::Ident(name) => Some(vec![Symbol::new(tree.ident_text(name))]),
            _ => None,
        },
        _ if cx.variable(element) == Some(var) => fields.fields.get(i).map(|field| vec![field.name]),
        _ => None,
    })
}

/// The fields of `x.a.b` after `x`.
fn field_path(cx: FileCx<'_>, expr: ExprId) -> Option<Vec<Symbol>> {
    let tree = cx.tree();
    let mut path = Vec::new();
    let mut at = residue_flow::walk::unparen(tree, expr);
    while let Expr::Selector { x, sel } = tree.expr(at) {
        path.push(Symbol::new(tree.ident_text(sel)));
        at = residue_flow::walk::unparen(tree, x);
    }
    path.reverse();
    (!path.is_empty()).then_some(path)
}

//! A resource that is not released on some path.
//!
//! ## What it finds
//!
//! A file, connection, response body, result set, transaction, pipe, eBPF object, raw descriptor or piece of C memory that
//! a function acquires, and that on some way out of the function is neither closed nor returned, stored or passed on: an
//! early return between the two, a branch that forgets, a loop that overwrites it, a constructor that loses the first
//! resource when the second fails. Results that are dropped where they are returned count too: `http.Get(url)` as a
//! statement, or `_, err := os.Open(name)`.
//!
//! Functions of the analysed code are looked into: one that only reads what it is given leaves it to its caller, one
//! that closes it has closed it, and one that returns what it opened makes its caller the owner, also where the file is
//! a field of what it returns and that has a method which closes it. What was deferred runs at each return. Conditions
//! that belong together are followed: the error that came with the resource, `ok`, nil checks, flags, named results.
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
//! What goes into a package variable, a field of an object that others see, a channel, or a call that is not looked into
//! is somebody else's from there on. A goroutine is followed where it runs a literal and nobody else names the resource.
//! Elements of slices and maps are not told apart: who takes one out may release it. Calls through interfaces are followed
//! where no other module can implement them and few types do; of function values, those in unexported variables that only
//! tests set. What is returned beside an error is lost only where all callers are in the package. A function with more
//! paths than are looked at is named by `-v`, and may hold more. Rows and transactions that a cancelled context ends, or that of an HTTP request,
//! count as released; rows end where `Next` says so. A response body that is read to its end and not closed is a note,
//! and so is one that a test never looks at: it may be empty, and then nothing stays open. Examples that are not run are
//! fragments to read and not looked at. The end of `main` is the end of the process and releases everything, and so is
//! that of a function that defers `os.Exit`, and the failure of one whose error each caller in sight passes up to
//! `os.Exit`, `log.Fatal`, the end of `main` or a library for command lines that a model knows. Callers of exported
//! functions are out of sight, but in programs and below `internal` or `cmd`. A path on which the acquiring call failed does not count, nor one that fails
//! a test. In tests, a result that is dropped is reported only where the test fails if the call does: tests of failures
//! and of fakes drop results on purpose. A path that a panic takes is R202's.

use std::rc::Rc;

use residue_finding::{
    Confidence, Family, Finding, Help, Join, RuleCode, RuleMeta, Severity, StepRole, module_docs, normalise_expression,
};
use residue_flow::ir::{At, Op};
use residue_flow::{Parent, Stop};
use residue_syntax::ast::{Decl, Expr, ExprId};
use residue_types::{ObjId, Objects, Type};

use crate::context::{Enclosing, FileCx};
use crate::model::Resource;
use crate::reach;
use crate::rules::fix::{self, Release};
use crate::rules::pending::{If, Pending};
use crate::rules::{Rule, path, r203};
use crate::state::events::{Exit, Origin};
use crate::state::exec::Exec;
use crate::state::store::{self, SiteId, Status, Trail};
use crate::state::summary::Owned;
use crate::state::sym::Place;
use crate::state::{Analysis, Executed};
use crate::value::{Target, Targets};

pub(crate) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("R201"),
    name: "resource-not-released",
    summary: "a resource is acquired and not released on some path",
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

    fn check(&self, cx: FileCx<'_>, analysis: &Analysis<'_>, out: &mut Vec<Finding>) {
        file(cx, analysis, |executed, leak| {
            if !leak.where_it_fails {
                out.push(report(&executed.exec, leak));
            }
        });
    }
}

/// The findings of a file that are none if the process ends whenever their function fails.
pub(crate) fn pending(cx: FileCx<'_>, analysis: &Analysis<'_>) -> Vec<Pending> {
    let mut out = Vec::new();
    file(cx, analysis, |executed, leak| {
        if leak.where_it_fails {
            let function = reach::key(cx, executed.function);
            out.push(Pending { finding: report(&executed.exec, leak), function, holds: If::LivesOn });
        }
    });
    out
}

fn file(cx: FileCx<'_>, analysis: &Analysis<'_>, mut found: impl FnMut(&Executed<'_>, &Leak)) {
    let mut reported: Vec<(ExprId, usize)> = Vec::new();
    for executed in analysis.executed.iter().filter(|executed| executed.file == cx.index) {
        function(analysis, executed, &mut reported, &mut found);
    }
}

/// How a resource is left.
struct Leak {
    site: SiteId,
    /// Where the path leaves; none where the next round of a loop loses it.
    at: Option<At>,
    trail: Option<Rc<Trail>>,
    drained: bool,
    touched: bool,
    /// Where the last variable that held it was set to something else.
    overwritten: Option<Place>,
    who: Who,
    /// Whether the function leaves it only where it fails; where it can't, where it returns.
    where_it_fails: bool,
}

/// Who leaves a resource at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The function that acquires it.
    Function,
    /// A goroutine that it was given to.
    Goroutine,
    /// The callers, to whom it was returned beside an error.
    Callers,
}

fn function(
    analysis: &Analysis<'_>,
    executed: &Executed<'_>,
    reported: &mut Vec<(ExprId, usize)>,
    found: &mut impl FnMut(&Executed<'_>, &Leak),
) {
    let exec = &executed.exec;
    let cx = exec.cx;
    let Some(function) = cx.function(executed.function) else { return };
    if is_fragment(cx, function) {
        return;
    }
    let process_ends = cx.is_main(function) || exits(exec);
    for (i, site) in exec.events.sites.iter().enumerate() {
        let site_id = SiteId(i as u16);
        let (Some(kind), Origin::Call { expr, result, .. } | Origin::Made { expr, owned: Owned { result, .. }, .. }) =
            (site.kind, &site.origin)
        else {
            continue;
        };
        if reported.contains(&(*expr, *result)) {
            continue;
        }
        let resource = cx.models().resource(kind);
        let leak = leak(exec, site_id, process_ends);
        let leak = leak.or_else(|| left_beside_error(analysis, executed, site_id, *result));
        let Some(leak) = leak else { continue };
        if is_dropped_by_test(exec, site_id, *expr, *result) || !is_callers_to_release(exec, site_id, resource) {
            continue;
        }
        reported.push((*expr, *result));
        found(executed, &leak);
    }
}

/// Whether some return leaves a resource open.
pub(super) fn leaks(executed: &Executed<'_>, site: SiteId) -> bool {
    leak(&executed.exec, site, false).is_some()
}

/// A resource that a call gives.
pub(super) struct Acquired<'a> {
    pub(super) call: ExprId,
    result: usize,
    /// Set where a function whose body was seen gives it.
    owned: Option<&'a Owned>,
    pub(super) resource: &'a Resource,
}

/// Where a resource comes from. Only for those of a known kind.
pub(super) fn acquired<'a>(exec: &'a Exec<'_>, site: SiteId) -> Acquired<'a> {
    let data = &exec.events.sites[site.0 as usize];
    let resource = exec.cx.models().resource(data.kind.unwrap_or_default());
    let (call, result, owned) = match &data.origin {
        Origin::Made { expr, owned, .. } => (*expr, owned.result, Some(owned)),
        Origin::Call { expr, result, .. } => (*expr, *result, None),
        Origin::Cancel { .. } | Origin::Param(_) | Origin::ParamField(..) => (ExprId::new(0), 0, None),
    };
    Acquired { call, result, owned, resource }
}

/// A path on which the resource is left open: the shortest of those that lead to a return, of a success if there is one.
fn leak(exec: &Exec<'_>, site: SiteId, process_ends: bool) -> Option<Leak> {
    let of_exit = |(where_it_fails, exit): (bool, &Exit)| {
        let store::Resource { drained, touched, overwritten, .. } = exit.state.resource(site);
        Leak {
            site,
            at: Some(exit.at),
            trail: exit.state.trail.clone(),
            drained,
            touched,
            overwritten,
            who: Who::Function,
            where_it_fails,
        }
    };
    let lost = exec.events.lost.iter().find(|lost| lost.site == site);
    let lost = lost.map(|lost| Leak {
        site,
        at: None,
        trail: lost.trail.clone(),
        drained: lost.drained,
        touched: lost.touched,
        overwritten: None,
        who: Who::Function,
        where_it_fails: false,
    });
    let exits = exec.events.exits.iter().filter(|exit| !process_ends && exit.state.status(site) == Status::Open);
    let exits = exits.map(|exit| (exec.fails(exit), exit));
    let shortest =
        exits.min_by_key(|&(fails, exit)| (fails, length(exit.state.trail.as_ref()), exec.cx.span_of(exit.at)));
    lost.or_else(|| shortest.map(of_exit)).or_else(|| left_by_goroutine(exec, site))
}

/// A goroutine that has a resource to itself and releases it on some of its paths only.
fn left_by_goroutine(exec: &Exec<'_>, site: SiteId) -> Option<Leak> {
    let left = exec.events.left.iter().find(|left| left.site == site)?;
    let cx = exec.cx;
    let Acquired { call, result, .. } = acquired(exec, site);
    let Target::Variable(var) = Targets::of(cx, call, result).value else { return None };
    // Whoever names it after the `go` statement may release it there.
    let started = path::span(exec, left.place);
    let named_later = cx.uses(var).iter().any(|&use_| cx.tree().expr_span(use_).start > started.end);
    (!named_later && cx.loop_around(call).is_none_or(|_| declared_with(cx, call, var))).then(|| Leak {
        site,
        at: Some(left.at),
        trail: left.trail.clone(),
        drained: false,
        touched: true,
        overwritten: None,
        who: Who::Goroutine,
        where_it_fails: false,
    })
}

/// A resource that is returned beside an error to callers that drop it then: all are in sight, and none touches it
/// where there is an error.
fn left_beside_error(analysis: &Analysis<'_>, executed: &Executed<'_>, site: SiteId, result: usize) -> Option<Leak> {
    let exec = &executed.exec;
    let beside = |exit: &&Exit| exit.state.status(site) == Status::Escaped(store::Escape::Beside);
    let exit = exec.events.exits.iter().find(beside)?;
    let Parent::Decl(decl) = executed.function else { return None };
    let id = exec.cx.declared(decl)?;
    let sym = exec.events.sites[site.0 as usize].sym;
    let given = exit.results.iter().position(|&given| given == sym).unwrap_or(result);
    callers_ignore_failures(analysis, exec.cx, id, given).then(|| Leak {
        site,
        at: Some(exit.at),
        trail: exit.state.trail.clone(),
        drained: false,
        touched: true,
        overwritten: None,
        who: Who::Callers,
        where_it_fails: true,
    })
}

/// Whether a function is called in its package only, and no caller looks at a result where there is an error.
fn callers_ignore_failures(analysis: &Analysis<'_>, cx: FileCx<'_>, function: ObjId, result: usize) -> bool {
    let exported = cx.pkg.bodies.object(function).is_none_or(|object| object.name.is_exported());
    !exported && analysis.callers(cx.pkg).ignore_failures(function, result)
}

/// Whether a variable is declared where a call sets it.
fn declared_with(cx: FileCx<'_>, call: ExprId, var: ObjId) -> bool {
    let Some(Parent::Stmt(stmt)) = cx.parents().of_expr(call) else { return false };
    let site = cx.pkg.bodies.object(var).and_then(|object| object.site);
    site.is_some_and(|site| cx.tree().stmt_span(stmt).contains(cx.tree().ident_span(site.ident)))
}

fn length(trail: Option<&Rc<Trail>>) -> usize {
    let mut n = 0;
    let mut at = trail;
    while let Some(step) = at {
        n += 1;
        at = step.before.as_ref();
    }
    n
}

/// Whether a test drops what a call gives, and doesn't fail where the call does: tests of failures and of fakes drop
/// results on purpose.
fn is_dropped_by_test(exec: &Exec<'_>, site: SiteId, call: ExprId, result: usize) -> bool {
    let cx = exec.cx;
    cx.source().test && Targets::of(cx, call, result).value == Target::Dropped && !wants_success(exec, site)
}

/// Whether the code takes a failure of the call that gives a resource for a mistake: it asks for the error, and where
/// there is one no path goes on but to a return of it.
fn wants_success(exec: &Exec<'_>, site: SiteId) -> bool {
    let Some(error) = exec.events.sites[site.0 as usize].error else { return false };
    let nil = |exit: &Exit| exec.is_nil(&exit.state, error);
    let exits = &exec.events.exits;
    exits.iter().any(|exit| nil(exit) == Some(true))
        && exits.iter().all(|exit| nil(exit) != Some(false) || exit.results.contains(&error))
}

/// Whether a caller can release what a function gives: the resource itself, the object that has it as its field, or an
/// object with a method that releases it.
fn is_callers_to_release(exec: &Exec<'_>, site: SiteId, resource: &Resource) -> bool {
    match &exec.events.sites[site.0 as usize].origin {
        Origin::Made { expr, owned, .. } if !is_itself(owned, resource) => closer(exec.cx, *expr, owned).is_some(),
        _ => true,
    }
}

/// Whether a result is the resource itself, or has it as its field as the model says.
fn is_itself(owned: &Owned, resource: &Resource) -> bool {
    match (&owned.path[..], &resource.field) {
        ([], _) => true,
        ([only], Some(field)) => only.as_str() == field,
        _ => false,
    }
}

/// The method of a call's result that releases the resource inside it: of a type of the code, the one that does so; of
/// an interface, the one whose name says so.
fn closer(cx: FileCx<'_>, call: ExprId, owned: &Owned) -> Option<&'static str> {
    let ty = match cx.info().type_of(call) {
        Type::Tuple(types) => types.get(owned.result).cloned().unwrap_or_default(),
        ty => ty.clone(),
    };
    let bodies = cx.pkg.bodies;
    if let Type::Interface(interface) = bodies.underlying(&ty) {
        return interface.methods.iter().map(|m| m.name.as_str()).find(|name| cx.models().is_release_name(name));
    }
    let object = bodies.object(ty.strip_pointer().origin()?)?;
    let releases = |method: ObjId| {
        let summary = cx.pkg.summary(method);
        summary.is_some_and(|summary| summary.releases.iter().any(|r| r.param == 0 && r.path == owned.path))
    };
    object.methods().iter().find(|&&(_, method)| releases(method)).map(|(name, _)| name.as_str())
}

/// Whether a function is an example that is never run, but shown in documentation: it says nothing of what it prints.
pub(super) fn is_fragment(cx: FileCx<'_>, function: Enclosing) -> bool {
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
fn exits(exec: &Exec<'_>) -> bool {
    let ir = exec.ir(0);
    ir.all().any(|instr| match instr.op {
        Op::Defer(call) => exec.cx.roles(ir.call(call).expr).is_some_and(|roles| roles.no_return == Some(Stop::Exit)),
        _ => false,
    })
}

fn report(exec: &Exec<'_>, leak: &Leak) -> Finding {
    let cx = exec.cx;
    let site = &exec.events.sites[leak.site.0 as usize];
    let Acquired { call, result, owned, resource } = acquired(exec, leak.site);
    let Resource { name, verb, .. } = resource;
    let dropped = Targets::of(cx, call, result).value == Target::Dropped;
    let called = cx.called_text(call);
    let be = be(name);
    let (it, them) = if be == "are" { ("they", "them") } else { ("it", "it") };
    // On another path it is released, or goes to somebody who may.
    let elsewhere = site.released.is_some() || handed_on(exec, leak.site);
    let message = match (dropped, elsewhere) {
        (true, _) => format!("the {name} that {called} returns {be} dropped: {it} can never be {verb}"),
        (false, false) => format!("the {name} {be} never {verb}"),
        (false, true) => format!("the {name} {be} not {verb} on every path"),
    };
    let span = cx.tree().expr_span(call);
    let mut finding = Finding::new(&META, message, cx.site_of(call));
    finding.severity = resource.severity;
    finding.confidence = resource.confidence;
    finding.label = match owned {
        Some(owned) => format!("{name} acquired here: {called} gives one from {}", owned.made_by),
        None => format!("{name} acquired here"),
    };
    // Where no path releases it, no branch decides.
    if elsewhere {
        path::branches(exec, leak.trail.as_ref(), Some(span), &mut finding);
    }
    if !elsewhere && let Some(last) = last_use(cx, call, result) {
        finding.step(StepRole::Note, cx.site_of(last), format!("used here, and not {verb}"));
    }
    match leak.at {
        Some(_) if leak.overwritten.is_some() => {
            let span = leak.overwritten.map(|place| path::span(exec, place)).unwrap_or_default();
            finding.step(StepRole::Left, cx.site(span), format!("overwritten here, and {it} {be} not {verb}"));
        }
        Some(at) => {
            let span = cx.span_of(at);
            let what = match leak.who {
                Who::Function => "returns here",
                Who::Goroutine => "the goroutine returns here",
                Who::Callers => "returned here beside an error that is not nil; no caller looks at it then",
            };
            finding.step(StepRole::Left, cx.site(span), format!("{what}, and {it} {be} not {verb}"));
        }
        None => {
            let round = cx.loop_around(call).map_or(span, |stmt| cx.loop_head(stmt));
            finding.step(StepRole::Left, cx.site(round), format!("the next round loses {them}"));
        }
    }
    match mitigation(cx, resource, leak) {
        Some(why) => {
            finding.severity = Severity::Note;
            finding.notes.push(why.to_owned());
        }
        None => finding.notes.push(resource.cost.clone()),
    }
    let help = match leak.at {
        // A deferred release would take it away from whoever has it on the other paths.
        Some(_) if leak.who == Who::Goroutine => {
            format!("have the goroutine defer the release: {it} {be} {verb} on some paths")
        }
        Some(at) if handed_on(exec, leak.site) && leak.overwritten.is_none() => {
            let line = cx.tree().line_col(cx.span_of(at).start).line;
            format!("have {them} {verb} before the return in line {line}")
        }
        at => advice(exec, leak.site, at.is_none()),
    };
    let edits = release(exec, leak.site).map_or_else(Vec::new, |release| fix::defer(exec, leak.site, &release));
    finding.help = Some(Help { message: help, edits });
    finding.resource = shown(exec, leak.site);
    finding.acquire = Some(cx.acquire_site(call));
    finding.subject = normalise_expression(&cx.text(call));
    finding
}

/// The last call or other use of the variable that a resource is in: from there on nobody can know of it. None where
/// the variable is set to something else in between.
fn last_use(cx: FileCx<'_>, call: ExprId, result: usize) -> Option<ExprId> {
    let tree = cx.tree();
    let Target::Variable(var) = Targets::of(cx, call, result).value else { return None };
    let span = tree.expr_span(call);
    let later = |&&use_: &&ExprId| tree.expr_span(use_).start > span.end;
    if cx.uses(var).iter().filter(later).any(|&use_| r203::is_set(cx, use_)) {
        return None;
    }
    let mut at = *cx.uses(var).iter().rev().find(later)?;
    while let Some(Parent::Expr(up)) = cx.parents().of_expr(at)
        && matches!(tree.expr(up), Expr::Selector { .. } | Expr::Call { .. } | Expr::Paren(_))
    {
        at = up;
        if matches!(tree.expr(up), Expr::Call { .. }) {
            break;
        }
    }
    Some(at)
}

/// Whether some path gives the resource to the caller, or leaves it with somebody who keeps it.
fn handed_on(exec: &Exec<'_>, site: SiteId) -> bool {
    exec.events.sites[site.0 as usize].handed_on
        || exec.events.exits.iter().any(|exit| matches!(exit.state.status(site), Status::Escaped(_)))
}

/// The verb that goes with a resource's name.
pub(super) fn be(name: &str) -> &'static str {
    if name.ends_with('s') && !name.ends_with("ss") { "are" } else { "is" }
}

/// Why the loss is a small one, or may be none.
fn mitigation<'a>(cx: FileCx<'_>, resource: &'a Resource, leak: &Leak) -> Option<&'a str> {
    if leak.drained {
        resource.drained.as_deref()
    } else if cx.source().test && resource.field.is_some() && !leak.touched {
        resource.untouched.as_deref()
    } else {
        None
    }
}

/// Whether a call gives an error beside its value.
pub(super) fn gives_error(cx: FileCx<'_>, call: ExprId) -> bool {
    matches!(cx.info().type_of(call), Type::Tuple(types) if types.contains(&residue_types::error_type()))
}

/// The call that releases a resource, where the resource is in a variable and one method does it.
pub(super) fn release(exec: &Exec<'_>, site: SiteId) -> Option<Release> {
    let cx = exec.cx;
    let Acquired { call: acquired, result, owned, resource } = self::acquired(exec, site);
    let Target::Variable(var) = Targets::of(cx, acquired, result).value else { return None };
    let name = cx.pkg.bodies.object(var)?.name.as_str();
    let call = match (owned.filter(|owned| !is_itself(owned, resource)), &resource.release[..]) {
        (Some(owned), _) => format!("{name}.{}()", closer(cx, acquired, owned).unwrap_or("Close")),
        (None, [method]) => match &resource.field {
            Some(field) => format!("{name}.{field}.{method}()"),
            None => format!("{name}.{method}()"),
        },
        (None, _) => return None,
    };
    Some(Release { acquired, var, call })
}

/// What to do. In a loop, a deferred call would wait for the end of the function.
pub(super) fn advice(exec: &Exec<'_>, site: SiteId, repeats: bool) -> String {
    let cx = exec.cx;
    let Acquired { call, result, owned, resource } = acquired(exec, site);
    let targets = Targets::of(cx, call, result);
    let checks_error = targets.error.is_some() || !gives_error(cx, call);
    match (release(exec, site), targets.value) {
        (Some(Release { call, .. }), _) if owned.is_some_and(|owned| !is_itself(owned, resource)) => {
            format!("`defer {call}`: it releases the {}", resource.name)
        }
        (Some(Release { call, .. }), _) if repeats => format!("`{call}` before the round ends, on every path"),
        (Some(Release { call, .. }), _) => {
            let when = if checks_error { "as soon as the error is known" } else { "after checking the error" };
            format!("`defer {call}` {when}")
        }
        (None, Target::Variable(var)) => {
            let name = cx.pkg.bodies.object(var).map_or("it", |object| object.name.as_str());
            format!("have `{name}` {} on every path", resource.verb)
        }
        (None, _) => format!("keep the {} in a variable and have it {}", resource.name, resource.verb),
    }
}

/// The resource as a Go type, or by its name where the type says little.
pub(super) fn shown(exec: &Exec<'_>, site: SiteId) -> String {
    let cx = exec.cx;
    let Acquired { call, result, resource, .. } = acquired(exec, site);
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

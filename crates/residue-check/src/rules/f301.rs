//! A recover that turns a panic into success.
//!
//! ## What it finds
//!
//! - A gRPC interceptor, or another function that calls a handler it was given, which recovers from a panic and then
//!   returns a nil error: the result has no name, so it is zero after a recover; or it has one, and nothing sets it.
//! - A function that decides whether something is allowed (`Authorize`, `CheckAccess`, `Verify`, …) and that after a
//!   recover answers nil, or true because its named result was preset.
//! - HTTP middleware or a handler that recovers and sets no status: net/http answers 200, with whatever body there is.
//!
//! ## Why it leaks
//!
//! A recovered function returns its results as they stand: zero where they have no name. A nil error is the zero value,
//! and it means success. The caller of an interceptor gets an empty reply and no error; whoever asked for permission
//! has it. The failure is not lost in the log only, it is inverted: the check fails open, and a request that makes the
//! check panic passes it.
//!
//! ## Example
//!
//! ```go
//! type Handler func(ctx context.Context, req any) (any, error)
//!
//! func Recovery(ctx context.Context, req any, next Handler) (any, error) {
//! 	defer func() {
//! 		if r := recover(); r != nil {
//! 			log.Print("recovered")
//! 		}
//! 	}()
//! 	return next(ctx, req)
//! }
//! ```
//!
//! ## Fix
//!
//! Name the error, and set it where the panic is recovered:
//!
//! ```go
//! type Handler func(ctx context.Context, req any) (any, error)
//!
//! func Recovery(ctx context.Context, req any, next Handler) (resp any, err error) {
//! 	defer func() {
//! 		if r := recover(); r != nil {
//! 			log.Print("recovered")
//! 			resp, err = nil, errors.New("internal error")
//! 		}
//! 	}()
//! 	return next(ctx, req)
//! }
//! ```
//!
//! ## Limits
//!
//! Functions that swallow a panic on purpose, a cleanup that must not fail, are only reported where they pass on what
//! a handler returns or decide about access. Access functions are known by their names. What a recovering helper does
//! with a pointer to the error is not looked into: it is taken to set it. HTTP code that sets a status on some ways
//! after a recover is taken to know why it does not on the others.

use residue_finding::{Confidence, Family, Finding, Help, RuleCode, RuleMeta, Severity, StepRole, module_docs};
use residue_flow::Parent;
use residue_flow::ir::{self, Op};
use residue_syntax::ast::Span;
use residue_types::{Callee, Objects, Type};

use crate::context::FileCx;
use crate::reach;
use crate::rules::Rule;
use crate::state::events::Recovery;
use crate::state::sym::Sym;
use crate::state::{Analysis, Executed};

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("F301"),
    name: "recover-fails-open",
    summary: "a recovered panic is returned as success",
    family: Family::Failure,
    cwe: &[636, 755, 280],
    severity: Severity::Error,
    confidence: Confidence::High,
    default_on: true,
    joins: &[],
    docs: module_docs(include_str!("f301.rs")),
};

pub(super) struct F301;

impl Rule for F301 {
    fn meta(&self) -> &'static RuleMeta {
        &META
    }

    fn check(&self, cx: FileCx<'_>, analysis: &Analysis<'_>, out: &mut Vec<Finding>) {
        for executed in analysis.executed.iter().filter(|executed| executed.file == cx.index) {
            out.extend(function(executed));
        }
    }
}

/// What a function is for, as far as failing open goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    /// It passes on what a handler returns.
    Wrapper,
    /// It decides whether something is allowed.
    Guard,
    /// It answers an HTTP request.
    Http,
}

fn function(executed: &Executed<'_>) -> Option<Finding> {
    let exec = &executed.exec;
    let cx = exec.cx;
    if exec.events.recoveries.is_empty() || cx.source().test {
        return None;
    }
    let job = job(executed).filter(|_| !tells_by_parameter(cx, executed.function))?;
    if job == Job::Http && exec.events.recoveries.iter().any(|recovery| recovery.state.answered) {
        return None;
    }
    let open = exec.events.recoveries.iter().find_map(|recovery| Some((recovery, opens(executed, job, recovery)?)));
    let (recovery, how) = open?;
    let site = reach::recover_call(cx, executed.function)?;
    let name = crate::rules::path::function_name(cx, executed.function);
    let message = match (job, how) {
        (Job::Http, _) | (_, How::Nothing) => {
            format!("{name} recovers and sets no status: the client gets a 200")
        }
        (_, How::Nil { .. }) => format!("{name} recovers and returns a nil error: a panic passes as success"),
        (_, How::True) => format!("{name} recovers and can return true: a panic passes as permission"),
        (_, How::NotRefused) => format!("{name} recovers and returns false: a panic passes as permission"),
    };
    let mut finding = Finding::new(&META, message, site);
    finding.label = "recovers here".to_owned();
    let place = crate::rules::path::span(exec, recovery.place);
    finding.step(StepRole::Note, cx.site(place), "where this panics, …");
    let result = result_span(cx, executed.function);
    let left = match how {
        How::Nil { named: false } => "the results have no names: after a recover they are zero, and the error is nil",
        How::Nil { named: true } => "the named error is nil then, and nothing sets it",
        How::True => "the result is not false then",
        How::NotRefused => "false says here that nothing is refused",
        How::Nothing => "no status is written to the response",
    };
    finding.step(StepRole::Left, cx.site(result), left);
    finding.confidence = if job == Job::Guard { Confidence::Medium } else { Confidence::High };
    if job == Job::Http {
        finding.severity = Severity::Warning;
    }
    let help = match (job, how) {
        (Job::Http, _) => "write an error: `http.Error(w, \"internal error\", http.StatusInternalServerError)`",
        (_, How::True) => "set the result to false where the panic is recovered",
        (_, How::NotRefused) => "set the result to true where the panic is recovered",
        (_, How::Nil { named: false }) => "name the error result and set it where the panic is recovered",
        _ => "set the error where the panic is recovered",
    };
    finding.help = Some(Help { message: help.to_owned(), edits: Vec::new() });
    finding.subject = "recover".to_owned();
    Some(finding)
}

/// How it fails open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Nil { named: bool },
    True,
    NotRefused,
    Nothing,
}

fn job(executed: &Executed<'_>) -> Option<Job> {
    let cx = executed.exec.cx;
    let ir = executed.exec.ir(0);
    if is_guard(cx, executed.function) {
        return Some(Job::Guard);
    }
    if calls_decision(cx, ir) {
        return Some(Job::Guard);
    }
    if reach::is_interceptor(cx, executed.function) || calls_handler(cx, ir) {
        return Some(Job::Wrapper);
    }
    reach::is_handler(cx, executed.function).then_some(Job::Http)
}

/// Whether a function tells of errors by a parameter too, so that a nil error is not all that its caller looks at:
/// `errs *[]error`.
fn tells_by_parameter(cx: FileCx<'_>, function: Parent) -> bool {
    let is_error = |ty: &Type| *ty == residue_types::error_type();
    let params = cx.signature(function);
    params.is_some_and(|signature| {
        signature.params.iter().any(|param| match param {
            Type::Pointer(to) => match &**to {
                Type::Slice(elem) => is_error(elem),
                to => is_error(to),
            },
            _ => false,
        })
    })
}

/// The name of a declared function.
fn name(cx: FileCx<'_>, function: Parent) -> Option<&'static str> {
    let Parent::Decl(decl) = function else { return None };
    cx.declared(decl).and_then(|id| cx.pkg.bodies.object(id)).map(|object| object.name.as_str())
}

/// Whether a function's name says that it decides about access.
fn is_guard(cx: FileCx<'_>, function: Parent) -> bool {
    name(cx, function).is_some_and(|name| cx.models().words().decides(name) || cx.models().words().refuses(name))
}

/// Whether a function calls one that it was given and that decides about access: `authorize(value)`.
fn calls_decision(cx: FileCx<'_>, ir: &ir::Body) -> bool {
    ir.calls().iter().any(|call| match (&call.callee, call.fun.map(|fun| ir.instr(fun).op)) {
        (Callee::Dynamic, Some(Op::Load(var))) => {
            gives_error(cx, call)
                && cx.pkg.bodies.object(var).is_some_and(|object| cx.models().words().decides(object.name.as_str()))
        }
        _ => false,
    })
}

/// Whether a function returns what a handler that it was given returns: it calls a parameter, its own or that of a
/// function around it, that is named as one.
fn calls_handler(cx: FileCx<'_>, ir: &ir::Body) -> bool {
    let bodies = cx.pkg.bodies;
    let is_handler = |text: &str| cx.models().words().passes_on(text);
    ir.calls().iter().any(|call| match (&call.callee, call.fun.map(|fun| ir.instr(fun).op)) {
        (Callee::Dynamic, Some(Op::Load(var))) => {
            let named = bodies.object(var).is_some_and(|object| is_handler(object.name.as_str()));
            let ty = bodies.type_of(var);
            let typed = bodies.type_name(&ty).is_some_and(|(_, name)| is_handler(name.as_str()));
            cx.var_kind(var) == Some(residue_types::VarKind::Param) && (named || typed) && gives_error(cx, call)
        }
        _ => false,
    })
}

fn gives_error(cx: FileCx<'_>, call: &ir::Call) -> bool {
    let error = residue_types::error_type();
    match cx.info().type_of(call.expr) {
        Type::Tuple(types) => types.contains(&error),
        ty => *ty == error,
    }
}

fn opens(executed: &Executed<'_>, job: Job, recovery: &Recovery) -> Option<How> {
    let exec = &executed.exec;
    let cx = exec.cx;
    let ir = exec.ir(0);
    if job == Job::Http {
        return Some(How::Nothing);
    }
    let types = cx.result_types(executed.function);
    let last = types.len().checked_sub(1)?;
    let named = ir.results.get(last).copied().flatten().is_some();
    let sym = recovery.results.get(last).copied()?;
    if types[last] == residue_types::error_type() {
        return (exec.is_nil(&recovery.state, sym) == Some(true)).then_some(How::Nil { named });
    }
    let is_bool = cx.pkg.bodies.basic(&types[last]).is_some_and(residue_types::Basic::is_boolean);
    if job != Job::Guard || !is_bool {
        return None;
    }
    let value = exec.eval(&recovery.state, sym);
    if name(cx, executed.function).is_some_and(|name| cx.models().words().refuses(name)) {
        // Zero where the result has no name: not refused.
        return (sym == Sym::NIL || value == Some(false)).then_some(How::NotRefused);
    }
    // What the deferred call makes of it, it makes up: the decision was not taken.
    let made_up = named && sym != Sym::NIL && value != Some(false);
    made_up.then_some(How::True)
}

/// Where a function says what it returns.
fn result_span(cx: FileCx<'_>, function: Parent) -> Span {
    let tree = cx.tree();
    let Some(enclosing) = cx.function(function) else { return Span::default() };
    let span = tree.func_type(enclosing.ty).span;
    match function {
        Parent::Decl(decl) => Span::new(tree.decl_span(decl).start, span.end),
        _ => span,
    }
}

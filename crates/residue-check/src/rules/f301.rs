//! A recover that turns a panic into success.
//!
//! ## What it finds
//!
//! - A gRPC interceptor, or another function that calls a handler it was given, which recovers from a panic and then
//!   returns a nil error: the result has no name, so it is zero after a recover; or it has one, and nothing sets it.
//! - A function that decides whether something is allowed (`Authorize`, `CheckAccess`, `Verify`, …) and that after a
//!   recover answers nil, or true because its named result was preset.
//! - HTTP middleware or a handler that recovers and writes nothing: net/http answers 200 with an empty body.
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
//! with a pointer to the error is not looked into: it is taken to set it.

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
    let job = job(executed)?;
    let open = exec.events.recoveries.iter().find_map(|recovery| Some((recovery, opens(executed, job, recovery)?)));
    let (recovery, how) = open?;
    let site = reach::deferred_recover(cx, executed.function)?;
    let name = crate::rules::path::function_name(cx, executed.function);
    let message = match (job, how) {
        (Job::Http, _) | (_, How::Nothing) => {
            format!("{name} recovers and answers nothing: the client gets an empty 200")
        }
        (_, How::Nil { .. }) => format!("{name} recovers and returns a nil error: a panic passes as success"),
        (_, How::True) => format!("{name} recovers and returns true: a panic passes as permission"),
    };
    let mut finding = Finding::new(&META, message, site);
    finding.label = "recovers here".to_owned();
    let place = crate::rules::path::span(exec, recovery.place);
    finding.step(StepRole::Note, cx.site(place), "where this panics, …");
    let result = result_span(cx, executed.function);
    let left = match how {
        How::Nil { named: false } => "the results have no names: after a recover they are zero, and the error is nil",
        How::Nil { named: true } => "the named error is nil then, and nothing sets it",
        How::True => "the result was set to true before, and stays so",
        How::Nothing => "nothing is written to the response",
    };
    finding.step(StepRole::Left, cx.site(result), left);
    finding.confidence = if job == Job::Guard { Confidence::Medium } else { Confidence::High };
    if job == Job::Http {
        finding.severity = Severity::Warning;
    }
    let help = match (job, how) {
        (Job::Http, _) => "write an error: `http.Error(w, \"internal error\", http.StatusInternalServerError)`",
        (_, How::True) => "set the result to false where the panic is recovered",
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
    Nothing,
}

fn job(executed: &Executed<'_>) -> Option<Job> {
    let cx = executed.exec.cx;
    let ir = executed.exec.ir(0);
    if is_guard(cx, executed.function) {
        return Some(Job::Guard);
    }
    if reach::is_interceptor(cx, executed.function) || calls_parameter(cx, ir) {
        return Some(Job::Wrapper);
    }
    reach::is_handler(cx, executed.function).then_some(Job::Http)
}

/// Whether a function's name says that it decides about access.
fn is_guard(cx: FileCx<'_>, function: Parent) -> bool {
    let Parent::Decl(decl) = function else { return false };
    let Some(name) = cx.declared(decl).and_then(|id| cx.pkg.bodies.object(id)).map(|object| object.name.as_str())
    else {
        return false;
    };
    let lower = name.to_ascii_lowercase();
    let words =
        ["authoriz", "authoris", "authenticat", "permit", "allow", "isadmin", "hasaccess", "hasrole", "haspermission"];
    words.iter().any(|word| lower.contains(word))
        || ["check", "verify", "validate", "require"].iter().any(|verb| {
            lower.strip_prefix(verb).is_some_and(|what| {
                [
                    "access",
                    "auth",
                    "token",
                    "permission",
                    "signature",
                    "credential",
                    "password",
                    "session",
                    "role",
                    "policy",
                    "owner",
                ]
                .iter()
                .any(|noun| what.contains(noun))
            })
        })
}

/// Whether a function returns what a function that it was given returns: the error of a call of a parameter.
fn calls_parameter(cx: FileCx<'_>, ir: &ir::Body) -> bool {
    ir.calls().iter().any(|call| {
        let of_parameter = match (&call.callee, call.fun.map(|fun| ir.instr(fun).op)) {
            (Callee::Dynamic, Some(Op::Load(var))) => ir.params.contains(&Some(var)) || is_outer_parameter(cx, var),
            _ => false,
        };
        of_parameter && gives_error(cx, call)
    })
}

/// Whether a variable is a parameter of a function around a literal: `func(next Handler) Handler { return func… }`.
fn is_outer_parameter(cx: FileCx<'_>, var: residue_types::ObjId) -> bool {
    cx.var_kind(var) == Some(residue_types::VarKind::Param)
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
        return (!mentions_writer(executed)).then_some(How::Nothing);
    }
    let types = cx.result_types(executed.function);
    let last = types.len().checked_sub(1)?;
    let named = ir.results.get(last).copied().flatten().is_some();
    let sym = recovery.results.get(last).copied()?;
    if types[last] == residue_types::error_type() {
        return (exec.is_nil(&recovery.state, sym) == Some(true)).then_some(How::Nil { named });
    }
    let is_bool = cx.pkg.bodies.basic(&types[last]).is_some_and(residue_types::Basic::is_boolean);
    (job == Job::Guard && is_bool && named && sym == Sym::TRUE).then_some(How::True)
}

/// Whether what is deferred uses the response writer.
fn mentions_writer(executed: &Executed<'_>) -> bool {
    let exec = &executed.exec;
    let cx = exec.cx;
    let ir = exec.ir(0);
    let Some(Some(writer)) = ir.params.iter().find(|p| p.is_some_and(|p| is_writer(cx, p))).copied() else {
        return false;
    };
    ir.cfg.blocks().flat_map(|(block, _)| ir.instrs(block)).any(|(_, instr)| {
        let Op::Defer(id) = instr.op else { return false };
        let call = ir.call(id);
        let operands = ir.values(call.args).iter().chain(&call.recv).chain(&call.fun);
        let passed = operands.into_iter().any(|&value| match ir.instr(value).op {
            Op::Load(var) | Op::Addr(var) => var == writer || is_writer(cx, var),
            Op::ToInterface(x) => matches!(ir.instr(x).op, Op::Load(var) if var == writer),
            Op::Closure(lit) => cx.captured(lit).iter().any(|&var| var == writer || holds_writer(cx, var)),
            _ => false,
        });
        let literal = match call.callee {
            Callee::Literal(lit) => cx.captured(lit).iter().any(|&var| var == writer || holds_writer(cx, var)),
            _ => false,
        };
        passed || literal
    })
}

fn is_writer(cx: FileCx<'_>, var: residue_types::ObjId) -> bool {
    cx.pkg.bodies.is_named(&cx.pkg.bodies.type_of(var), "net/http", "ResponseWriter")
}

/// Whether a variable may be, or lead to, the response writer: one that embeds or wraps it, or the call's context.
fn holds_writer(cx: FileCx<'_>, var: residue_types::ObjId) -> bool {
    let bodies = cx.pkg.bodies;
    let ty = bodies.type_of(var);
    if is_writer(cx, var) {
        return true;
    }
    let Type::Struct(fields) = bodies.underlying(ty.strip_pointer()) else { return false };
    fields.fields.iter().any(|field| bodies.is_named(&field.ty, "net/http", "ResponseWriter"))
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

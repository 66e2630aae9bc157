//! Edits that release a resource: a deferred call right after it is acquired.
//!
//! An edit is offered only where it can be seen to be right: the resource has one variable that is set once and stays
//! with the function, so that the end of the function is a time to release it, and nothing that outlives the function
//! was made of it. Everything else is left to who knows the code.

use residue_finding::{Edit, Span};
use residue_flow::ir::{Instr, Op};
use residue_flow::{Oracle as _, Parent, walk};
use residue_syntax::ast::{AssignOp, BinaryOp, Expr, ExprId, File, Span as Range, Stmt, StmtId};
use residue_types::{Basic, ObjId, Objects as _, Type};

use crate::context::{Enclosing, FileCx};
use crate::rules::r201;
use crate::source::SourceCx;
use crate::state::exec::Exec;
use crate::state::store::{SiteId, Status};
use crate::value::Targets;

/// Variables that are followed from one to the next.
const DEPTH_MAX: usize = 4;

/// What to release, and how.
pub(super) struct Release {
    /// The call that acquires it.
    pub(super) acquired: ExprId,
    /// What that call gives goes here.
    pub(super) var: ObjId,
    /// The call that releases it: `resp.Body.Close()`.
    pub(super) call: String,
}

/// Defers the release of a resource; statements that release it where all goes well are taken away. Nothing where
/// that isn't known to be right.
pub(super) fn defer(exec: &Exec<'_>, site: SiteId, release: &Release) -> Vec<Edit> {
    let cx = exec.cx;
    let edits = || {
        let released = exec.events.sites[site.0 as usize].released.is_some();
        let superseded = if released { release_statements(cx, release)? } else { Vec::new() };
        let removed = superseded.into_iter().map(|range| edit(cx.text_of(), range, String::new()));
        Some(std::iter::once(deferred(cx, release)?).chain(removed).collect())
    };
    if is_kept(exec, site, release) { edits().unwrap_or_default() } else { Vec::new() }
}

/// The lines of the statements that release a resource, where all its releases are such.
fn release_statements(cx: FileCx<'_>, release: &Release) -> Option<Vec<Range>> {
    // A file that was written may be renamed or read again once it is closed.
    let opened = cx.called_text(release.acquired);
    if opened.starts_with("os.") && opened != "os.Open" {
        return None;
    }
    let releases = cx.uses(release.var).iter().map(|&use_| outermost(cx, use_));
    let releases: Vec<ExprId> = releases.filter(|&whole| cx.text(whole) == release.call).collect();
    let statement = |&whole: &ExprId| {
        let Some(Parent::Stmt(stmt)) = cx.parents().of_expr(whole) else { return None };
        // An error that is looked at, a release inside a literal: more than a statement to move.
        let plain =
            matches!(cx.tree().stmt(stmt), Stmt::Expr(_)) && cx.enclosing(whole) == cx.enclosing(release.acquired);
        if plain { alone(cx.tree(), cx.tree().stmt_span(stmt)) } else { None }
    };
    let statements: Vec<Range> = releases.iter().map(statement).collect::<Option<_>>()?;
    (!statements.is_empty()).then_some(statements)
}

/// Takes a comment away, with its line where it has one of its own.
pub(super) fn without_comment(cx: SourceCx<'_>, comment: Span) -> Edit {
    let tree = cx.tree();
    let comment = Range::new(comment.start, comment.end);
    let range = alone(tree, comment).unwrap_or_else(|| {
        let before = tree.text(Range::new(line(tree, comment.start).start, comment.start)).into_owned();
        Range::new(comment.start - (before.len() - before.trim_end().len()) as u32, comment.end)
    });
    edit(cx, range, String::new())
}

fn edit(cx: SourceCx<'_>, range: Range, replacement: String) -> Edit {
    let span = Span { start: range.start, end: range.end };
    Edit { path: cx.source().path.to_string(), span, replacement }
}

/// Whether a resource has one variable that is set once, and stays with the function on all paths.
fn is_kept(exec: &Exec<'_>, site: SiteId, release: &Release) -> bool {
    let cx = exec.cx;
    let escapes = exec.events.exits.iter().any(|exit| matches!(exit.state.status(site), Status::Escaped(_)));
    let lost = exec.events.lost.iter().any(|lost| lost.site == site);
    if escapes || lost || exec.events.gave_up.is_some() || cx.loop_around(release.acquired).is_some() {
        return false;
    }
    let Some(function) = cx.enclosing(release.acquired) else { return false };
    stays(cx, function, release.var, DEPTH_MAX)
}

/// Whether a variable is set once, and whatever is made of its value is mere data or stays with the function too.
fn stays(cx: FileCx<'_>, function: Enclosing, var: ObjId, depth: usize) -> bool {
    let Some(ir) = cx.ir(function.key).filter(|_| depth > 0) else { return false };
    let sets = |instr: &Instr| matches!(instr.op, Op::Store { var: set, .. } if set == var);
    ir.all().filter(sets).count() == 1
        && cx.uses(var).iter().all(|&use_| {
            let inside = cx.enclosing(use_).is_some_and(|inside| inside == function);
            inside && use_stays(cx, function, use_, depth)
        })
}

fn use_stays(cx: FileCx<'_>, function: Enclosing, use_: ExprId, depth: usize) -> bool {
    let tree = cx.tree();
    let whole = outermost(cx, use_);
    if named_descriptor(cx, use_, whole) {
        return false;
    }
    let Some(Parent::Stmt(stmt)) = cx.parents().of_expr(whole) else { return is_data(cx, cx.info().type_of(whole)) };
    match tree.stmt(stmt) {
        Stmt::Expr(_) => true,
        Stmt::Assign { lhs, op: AssignOp::Assign | AssignOp::Define, .. } => {
            // Set here, or given to others.
            if tree.list(lhs).any(|target| target == whole) {
                return true;
            }
            let types = match cx.info().type_of(whole) {
                Type::Tuple(types) => types.to_vec(),
                one => vec![one.clone()],
            };
            // `a, b := x, f.y()` is not taken apart.
            let targets: Vec<ExprId> = tree.list(lhs).collect();
            targets.len() == types.len()
                && targets.iter().zip(&types).all(|(&target, ty)| {
                    is_data(cx, ty)
                        || cx.is_blank(target)
                        || cx.variable(target).is_some_and(|next| {
                            let local = cx.uses(next).first().and_then(|&first| cx.enclosing(first));
                            local == Some(function) && stays(cx, function, next, depth - 1)
                        })
                })
        }
        _ => is_data(cx, cx.info().type_of(whole)),
    }
}

/// The expression that a use of a variable is the beginning of: calls of its methods, its fields, and calls it is an
/// argument of.
fn outermost(cx: FileCx<'_>, use_: ExprId) -> ExprId {
    let tree = cx.tree();
    let mut at = use_;
    while let Some(Parent::Expr(up)) = cx.parents().of_expr(at) {
        match tree.expr(up) {
            Expr::Selector { .. } | Expr::Call { .. } | Expr::Paren(_) | Expr::Binary { .. } => at = up,
            _ => break,
        }
    }
    at
}

/// Whether a chain of calls asks for a descriptor's number, which is of use only while the descriptor is open.
fn named_descriptor(cx: FileCx<'_>, use_: ExprId, whole: ExprId) -> bool {
    let tree = cx.tree();
    let mut at = use_;
    while at != whole {
        let Some(Parent::Expr(up)) = cx.parents().of_expr(at) else { return false };
        if let Expr::Selector { sel, .. } = tree.expr(up)
            && tree.ident_text(sel).eq_ignore_ascii_case("fd")
        {
            return true;
        }
        at = up;
    }
    false
}

/// Whether values of a type are of use after the release of what they come from.
fn is_data(cx: FileCx<'_>, ty: &Type) -> bool {
    match ty {
        Type::Tuple(types) => types.iter().all(|ty| is_data(cx, ty)),
        _ => cx.is_plain(ty) || matches!(cx.pkg.bodies.underlying(ty), Type::Basic(Basic::Int)),
    }
}

/// The deferred call, on a line of its own after the statement that acquires, or after the one that checks its error.
fn deferred(cx: FileCx<'_>, release: &Release) -> Option<Edit> {
    let tree = cx.tree();
    let acquiring = cx.parents().statement(release.acquired)?;
    let start = tree.stmt_span(acquiring).start;
    let indent = tree.text(Range::new(line(tree, start).start, start));
    if !indent.trim().is_empty() {
        return None;
    }
    let after = if r201::gives_error(cx, release.acquired) { check_after(cx, release, acquiring)? } else { acquiring };
    let end = tree.stmt_span(after).end;
    let line = line(tree, end);
    let rest = tree.text(Range::new(end, line.end));
    if !rest.trim().is_empty() && !rest.trim_start().starts_with("//") {
        return None;
    }
    // A line of its own after the end of this one.
    let at = line.end..next_line(tree, line.end);
    let newline = tree.text(Range::new(at.start, at.end));
    Some(edit(cx.text_of(), Range::new(at.end, at.end), format!("{indent}defer {}{newline}", release.call)))
}

/// The statement right after the one that acquires, where nothing follows it unless there was no error:
/// `if err != nil { …; return … }`, `require.NoError(t, err)`.
fn check_after(cx: FileCx<'_>, release: &Release, acquiring: StmtId) -> Option<StmtId> {
    let tree = cx.tree();
    let error = Targets::of(cx, release.acquired, 0).error?;
    let end = tree.stmt_span(acquiring).end;
    let siblings = (0..tree.stmt_count()).map(StmtId::new);
    let siblings = siblings.filter(|&stmt| cx.parents().of_stmt(stmt) == cx.parents().of_stmt(acquiring));
    let next = siblings.filter(|&stmt| tree.stmt_span(stmt).start >= end).min_by_key(|&s| tree.stmt_span(s).start)?;
    let between = tree.text(Range::new(end, tree.stmt_span(next).start));
    let comment = |line: &str| line.trim().is_empty() || line.trim_start().starts_with("//");
    if !between.lines().all(comment) {
        return None;
    }
    let ends = match tree.stmt(next) {
        Stmt::Expr(call) => {
            cx.roles(call).is_some_and(|roles| roles.expects_success)
                && cx.arguments(call).any(|arg| cx.variable(arg) == Some(error))
        }
        Stmt::If { init: None, cond, then, els: None } => {
            let Expr::Binary { op: BinaryOp::Ne, x, y, .. } = tree.expr(walk::unparen(tree, cond)) else { return None };
            let last = tree.list(tree.block(then).stmts).next_back();
            cx.variable(x) == Some(error)
                && cx.is_nil(y)
                && last.is_some_and(|last| match tree.stmt(last) {
                    Stmt::Return(_) | Stmt::Branch { .. } => true,
                    Stmt::Expr(call) => matches!(tree.expr(call), Expr::Call { .. }) && cx.stops(call).is_some(),
                    _ => false,
                })
        }
        _ => false,
    };
    ends.then_some(next)
}

/// The lines that something has to itself, with the end of the last one.
fn alone(tree: &File, range: Range) -> Option<Range> {
    let (start, end) = (line(tree, range.start).start, line(tree, range.end).end);
    let blank = |start, end| tree.text(Range::new(start, end)).trim().is_empty();
    (blank(start, range.start) && blank(range.end, end)).then(|| Range::new(start, next_line(tree, end)))
}

/// The line that an offset is on, without its end.
fn line(tree: &File, offset: u32) -> Range {
    tree.line_span(tree.line_col(offset).line).unwrap_or(Range::new(offset, offset))
}

/// Where the line after the one that ends at an offset begins.
fn next_line(tree: &File, end: u32) -> u32 {
    let rest = &tree.src()[end as usize..];
    rest.iter().position(|&b| b == b'\n').map_or(end + rest.len() as u32, |length| end + length as u32 + 1)
}

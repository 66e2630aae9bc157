//! The process ends, and a deferred call that mattered does not run.
//!
//! ## What it finds
//!
//! `os.Exit`, `log.Fatal` or a function of the module that ends the process, called where a deferred call waits that
//! undoes or writes something which the end of the process does not: a temporary directory to remove, a buffer to
//! flush, the end of a compressed file to write, a profile to finish, a lock file to delete, a child to kill.
//!
//! ## Why it leaks
//!
//! These functions end the process at once: no deferred call runs, in no frame. What the kernel takes back by itself,
//! descriptors, memory, sockets, is no loss. A directory in `/tmp`, the last buffer of a report, the trailer without
//! which an archive can't be read, stay as they are.
//!
//! ## Example
//!
//! ```go
//! func main() {
//! 	dir, err := os.MkdirTemp("", "build")
//! 	if err != nil {
//! 		log.Fatal(err)
//! 	}
//! 	defer os.RemoveAll(dir)
//! 	if err := os.WriteFile(dir+"/out", nil, 0o600); err != nil {
//! 		log.Fatal(err)
//! 	}
//! }
//! ```
//!
//! ## Fix
//!
//! Do the work in a function that returns an error, and end the process where nothing is deferred:
//!
//! ```go
//! func main() {
//! 	if err := run(); err != nil {
//! 		log.Fatal(err)
//! 	}
//! }
//!
//! func run() error {
//! 	dir, err := os.MkdirTemp("", "build")
//! 	if err != nil {
//! 		return err
//! 	}
//! 	defer os.RemoveAll(dir)
//! 	return os.WriteFile(dir+"/out", nil, 0o600)
//! }
//! ```
//!
//! ## Limits
//!
//! Only deferred calls of the same function are seen, not those of its callers. What outlives the process is data; see
//! `outlives` in the models. A `Close` that loses nothing but a descriptor is not reported.

use residue_finding::{Confidence, Family, Finding, Help, RuleCode, RuleMeta, Severity, StepRole, module_docs};
use residue_flow::ir::{self, Op};
use residue_syntax::ast::Span;
use residue_types::Callee;

use crate::context::FileCx;
use crate::rules::{Rule, path, r201};
use crate::state::exec::Exec;
use crate::state::store::Deferred;
use crate::state::sym::Def;
use crate::state::{self, Analysis};

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("F304"),
    name: "exit-skips-deferred-call",
    summary: "the process ends before a deferred call that outlives it has run",
    family: Family::Failure,
    cwe: &[459, 705],
    severity: Severity::Warning,
    confidence: Confidence::High,
    default_on: true,
    joins: &[],
    docs: module_docs(include_str!("f304.rs")),
};

pub(super) struct F304;

impl Rule for F304 {
    fn meta(&self) -> &'static RuleMeta {
        &META
    }

    fn check(&self, cx: FileCx<'_>, analysis: &Analysis<'_>, out: &mut Vec<Finding>) {
        for executed in analysis.executed.iter().filter(|executed| executed.file == cx.index) {
            // An example that is not run ends nothing.
            if cx.function(executed.function).is_some_and(|function| r201::is_fragment(cx, function)) {
                continue;
            }
            function(&executed.exec, out);
        }
    }
}

/// Finds one deferred call at a time, with all the exits that skip it.
fn function(exec: &Exec<'_>, out: &mut Vec<Finding>) {
    let mut skipped: Vec<(Span, String, Vec<Span>)> = Vec::new();
    for ended in &exec.events.ended {
        let mut at = Some(&ended.defers);
        while let Some(deferred) = at {
            at = deferred.below.as_ref();
            let Some((what, span)) = outlives(exec, deferred) else { continue };
            // The function made the call itself before.
            if ended.made.get(state::digest(&what)).is_some() {
                continue;
            }
            let exit = path::span(exec, ended.place);
            match skipped.iter_mut().find(|(known, ..)| *known == span) {
                Some((.., exits)) => exits.push(exit),
                None => skipped.push((span, what, vec![exit])),
            }
        }
    }
    for (deferred, what, mut exits) in skipped {
        exits.sort_unstable();
        out.push(report(exec, &exits, deferred, &what));
    }
}

/// The call that a deferred call makes and that matters beyond the end of the process.
fn outlives(exec: &Exec<'_>, deferred: &Deferred) -> Option<(String, Span)> {
    let cx = exec.cx;
    let ir = exec.ir(deferred.body);
    let instr = ir.instr(ir::Value::new(deferred.value as usize));
    let Op::Defer(id) = instr.op else { return None };
    let call = ir.call(id);
    let span = cx.span_of(instr.at);
    let what = match (&call.callee, deferred.fun.map(|fun| exec.def(fun))) {
        (&Callee::Literal(lit), _) | (_, Some(Def::Closure(lit))) => cx.literal_outlives(lit),
        (&Callee::Func(id), _) => {
            let modelled = cx.roles_of(id).filter(|roles| roles.outlives).map(|_| cx.called_text(call.expr));
            modelled.or_else(|| cx.pkg.summary(id)?.outlives.clone())
        }
        _ => None,
    }?;
    Some((what, span))
}

fn report(exec: &Exec<'_>, exits: &[Span], deferred: Span, what: &str) -> Finding {
    let cx = exec.cx;
    let tree = cx.tree();
    let exit = exits.first().copied().unwrap_or_default();
    let text = residue_finding::normalise_expression(&tree.text(exit));
    let called = text.split('(').next().unwrap_or(&text).to_owned();
    let message = format!("{called} ends the process, and the deferred {what} never runs");
    let mut finding = Finding::new(&META, message, cx.site(exit));
    finding.label = "no deferred call runs from here".to_owned();
    // Its first line is enough.
    let line = tree.line_span(tree.line_col(deferred.start).line).map_or(deferred.end, |line| line.end);
    let deferred = Span::new(deferred.start, deferred.end.min(line));
    finding.step(StepRole::Note, cx.site(deferred), "deferred here");
    finding.help = Some(Help {
        message: "return an error, and end the process where nothing is deferred".to_owned(),
        edits: Vec::new(),
    });
    finding.subject = called;
    finding
}

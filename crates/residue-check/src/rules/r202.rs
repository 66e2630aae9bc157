//! A release that a recovered panic skips.
//!
//! ## What it finds
//!
//! A file, connection, response body, set of rows, descriptor or other resource whose release is an ordinary statement,
//! not deferred, with something between the acquisition and the release that can panic, in code where such a panic is
//! recovered: by the function itself, by one that calls it, by a recovery interceptor of the module, or by net/http, which recovers
//! from the panics of every handler. It names what can panic, why, and who recovers.
//!
//! What counts as able to panic: a `panic` statement in the function or in what it calls, a type assertion without a
//! second result, an integer division by something not constant, the close of a channel, a call of a function that was
//! handed in. Indexing and following pointers do not: nearly every line does that.
//!
//! ## Why it leaks
//!
//! A panic unwinds the stack, and only deferred calls run. Without a recover the process ends and the kernel takes
//! everything back. With one, the process lives on without ever running the statement that would have released the
//! resource. One poisoned request a second, and a server that "survives panics" runs out of descriptors or connections
//! in a quarter of an hour.
//!
//! ## Example
//!
//! ```go
//! func handle(w http.ResponseWriter, r *http.Request) {
//! 	f, err := os.Open("quota.txt")
//! 	if err != nil {
//! 		http.Error(w, "no quota", http.StatusInternalServerError)
//! 		return
//! 	}
//! 	claims := r.Context().Value("claims").(map[string]string)
//! 	fmt.Fprintln(w, claims["sub"], f.Name())
//! 	f.Close()
//! }
//! ```
//!
//! ## Fix
//!
//! Defer the release as soon as the error is known; deferred calls run while a panic unwinds the stack:
//!
//! ```go
//! func handle(w http.ResponseWriter, r *http.Request) {
//! 	f, err := os.Open("quota.txt")
//! 	if err != nil {
//! 		http.Error(w, "no quota", http.StatusInternalServerError)
//! 		return
//! 	}
//! 	defer f.Close()
//! 	claims := r.Context().Value("claims").(map[string]string)
//! 	fmt.Fprintln(w, claims["sub"], f.Name())
//! }
//! ```
//!
//! ## Limits
//!
//! Calls through interfaces are followed to methods of that name where the code has three at most, function values not
//! at all. What libraries do is not looked into: a panic inside one is not seen, nor a recover that is not net/http's. A
//! resource that is not released on some normal return is R201's.

use residue_finding::{
    Confidence, Family, Finding, Help, Join, RuleCode, RuleMeta, Severity, StepRole, module_docs, normalise_expression,
};

use crate::context::FileCx;
use crate::reach;
use crate::rules::pending::{If, Pending};
use crate::rules::{Rule, fix, path, r201};
use crate::state::events::{Unwind, Why};
use crate::state::exec::Exec;
use crate::state::{Analysis, Executed};

pub(crate) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("R202"),
    name: "release-skipped-by-panic",
    summary: "a release that is not deferred is skipped by a panic that is recovered",
    family: Family::Resources,
    cwe: &[460, 772, 755],
    severity: Severity::Warning,
    confidence: Confidence::Medium,
    default_on: true,
    joins: &[Join::AcquireSite],
    docs: module_docs(include_str!("r202.rs")),
};

pub(super) struct R202;

impl Rule for R202 {
    fn meta(&self) -> &'static RuleMeta {
        &META
    }

    /// Finds what this function alone decides: panics that it recovers from itself.
    fn check(&self, cx: FileCx<'_>, analysis: &Analysis<'_>, out: &mut Vec<Finding>) {
        for executed in analysis.executed.iter().filter(|executed| executed.file == cx.index) {
            for unwind in skipped(executed, true) {
                let mut finding = report(&executed.exec, unwind);
                finding.step(StepRole::Note, own_recover(executed), "the function recovers, and the process lives on");
                out.push(finding);
            }
        }
    }
}

/// The findings of a file that depend on the functions above.
pub(crate) fn pending(cx: FileCx<'_>, analysis: &Analysis<'_>) -> Vec<Pending> {
    let mut out = Vec::new();
    for executed in analysis.executed.iter().filter(|executed| executed.file == cx.index) {
        for unwind in skipped(executed, false) {
            let function = reach::key(cx, executed.function);
            out.push(Pending { finding: report(&executed.exec, unwind), function, holds: If::Recovered });
        }
    }
    out
}

/// The panics that skip a release that each normal return makes.
fn skipped<'e>(executed: &'e Executed<'_>, recovered: bool) -> Vec<&'e Unwind> {
    let exec = &executed.exec;
    if exec.cx.function(executed.function).is_some_and(|function| r201::is_fragment(exec.cx, function)) {
        return Vec::new();
    }
    let of_kind = exec.events.unwinds.iter().filter(|unwind| unwind.recovered == recovered);
    of_kind
        .filter(|unwind| {
            let site = &exec.events.sites[unwind.site.0 as usize];
            let either = recovered || exec.events.unwinds.iter().all(|u| u.site != unwind.site || !u.recovered);
            // What comes after a literal that recovers runs.
            let inside = unwind.body == 0 || site.released.is_some_and(|release| release.body == unwind.body);
            either && inside && site.released.is_some() && !r201::leaks(executed, unwind.site)
        })
        .collect()
}

fn own_recover(executed: &Executed<'_>) -> residue_finding::Site {
    let cx = executed.exec.cx;
    reach::deferred_recover(cx, executed.function).unwrap_or_else(|| cx.site(residue_syntax::ast::Span::default()))
}

fn report(exec: &Exec<'_>, unwind: &Unwind) -> Finding {
    let cx = exec.cx;
    let acquired = r201::acquired(exec, unwind.site);
    let name = &acquired.resource.name;
    let verb = &acquired.resource.verb;
    let span = path::span(exec, unwind.place);
    let what = cx.tree().text(span);
    let when = match unwind.why {
        Why::Here("panic") => "a panic is recovered".to_owned(),
        _ => format!("{} panics", path::shorten(&what)),
    };
    let be = r201::be(name);
    let message = format!("the {name} {be} not {verb} when {when}: its release is not deferred");
    let mut finding = Finding::new(&META, message, cx.site_of(acquired.call));
    finding.severity = acquired.resource.severity.min(Severity::Warning);
    finding.confidence = match unwind.why {
        Why::Here(_) => Confidence::Medium.min(acquired.resource.confidence),
        Why::Callee { .. } => Confidence::Medium,
        Why::Callback | Why::Any => Confidence::Low,
    };
    finding.label = format!("{name} acquired here");
    path::branches(exec, unwind.trail.as_ref(), Some(cx.tree().expr_span(acquired.call)), &mut finding);
    finding.step(StepRole::Left, cx.site(span), why(&unwind.why));
    if let Some(release) = exec.events.sites[unwind.site.0 as usize].released {
        finding.step(
            StepRole::Released,
            cx.site(path::span(exec, release)),
            format!("{verb} here, which a panic skips"),
        );
    }
    finding.notes.push(acquired.resource.cost.clone());
    let release = r201::release(exec, unwind.site);
    let edits = release.map_or_else(Vec::new, |release| fix::defer(exec, unwind.site, &release));
    finding.help = Some(Help { message: r201::advice(exec, unwind.site, false), edits });
    finding.resource = r201::shown(exec, unwind.site);
    finding.acquire = Some(cx.acquire_site(acquired.call));
    finding.subject = normalise_expression(&cx.text(acquired.call));
    finding
}

/// Why something panics, in words.
fn why(why: &Why) -> String {
    match why {
        Why::Here("panic") => "panics here".to_owned(),
        Why::Here(what) => format!("can panic: {what}"),
        Why::Callee { name, panics } if panics.through.is_empty() => {
            format!("{name} can panic: {} at {}", panics.what, panics.place)
        }
        Why::Callee { name, panics } => {
            format!("{name} can panic: {} at {}, by way of {}", panics.what, panics.place, panics.through.join(", "))
        }
        Why::Callback => "calls a function that was handed in, which can panic".to_owned(),
        Why::Any => "can panic".to_owned(),
    }
}

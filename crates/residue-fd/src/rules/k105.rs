//! A panic that was recovered left descriptors open.
//!
//! ## What it finds
//!
//! Descriptors that a function opened, or had opened for it, when a panic unwound it and some function farther out
//! recovered; that were never closed; and that are most of what their opener left open. Found by `residue trace --panics`,
//! which has the kernel look at each panic and each recovery.
//!
//! ## Why it leaks
//!
//! A panic skips what stands below it. A `Close` that is not deferred is skipped, too, and where a server or a worker
//! recovers for each request or job (`net/http` does), it goes on without the descriptor: each such request costs one, until
//! there are none.
//!
//! ## Example
//!
//! ```go
//! func (w *worker) job(path string) error {
//! 	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
//! 	if err != nil {
//! 		return err
//! 	}
//! 	err = w.convert(fd) // what it calls may panic
//! 	return errors.Join(err, syscall.Close(fd))
//! }
//! ```
//!
//! ## Fix
//!
//! ```go
//! func (w *worker) job(path string) error {
//! 	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
//! 	if err != nil {
//! 		return err
//! 	}
//! 	defer syscall.Close(fd)
//! 	return w.convert(fd)
//! }
//! ```
//!
//! ## Limits
//!
//! Who has a descriptor is told by stacks: the function that called the opener and the panic alike, on the same goroutine,
//! called from the same place. A function that handed the descriptor to a longer-lived owner and panics later, at the next
//! call from there, is taken for one that lost it. Stacks of more than 96 calls and through C code are not compared. A
//! descriptor that a finalizer or a cleanup closes later counts as closed.

use residue_finding::{Confidence, Family, Finding, Help, Join, RuleCode, RuleMeta, Severity, StepRole, module_docs};

use crate::report::{Leak, Report};

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("K105"),
    name: "descriptor-lost-in-panic",
    summary: "a panic that was recovered left descriptors open",
    family: Family::Kernel,
    cwe: &[772, 775, 460],
    severity: Severity::Error,
    confidence: Confidence::High,
    default_on: true,
    joins: &[Join::AcquireSite],
    docs: module_docs(include_str!("k105.rs")),
};

pub(super) fn find(report: &Report, findings: &mut Vec<Finding>) {
    let lost = |leak: &Leak| if let Leak::LostInPanic(lost) = leak { Some(*lost) } else { None };
    for (openers, lost) in super::leaking(report, lost) {
        let Some(unwound) = openers.iter().flat_map(|opener| &opener.unwound).max_by_key(|unwound| unwound.count)
        else {
            continue;
        };
        let site = &openers[0].site;
        let (descriptors, was) = if lost == 1 { ("descriptor", "was") } else { ("descriptors", "were") };
        let message =
            format!("{lost} {} {descriptors} opened here {was} lost in panics that were recovered", site.kind);
        let mut finding = super::finding(&META, message, site);
        let at = super::place(&unwound.holder);
        finding.step(StepRole::Note, at, format!("{} has it here when it panics", unwound.holder.function));
        if let Some(panicked) = unwound.panic.frames.first().filter(|frame| **frame != unwound.holder) {
            finding.step(StepRole::Note, super::place(panicked), format!("{} panics", panicked.function));
        }
        if let Some(resumes) = unwound.resumes() {
            finding.notes.push(format!("recovered in {}, which goes on without it", resumes.function));
        }
        let (fd, pid, goid) = (unwound.fd, unwound.pid, unwound.goid);
        finding.notes.push(format!("first lost: number {fd} of pid {pid} ({}), goroutine {goid}", site.program));
        super::fates(&mut finding, &openers);
        let message = "defer the close right after the open: deferred calls run when it panics".to_owned();
        finding.help = Some(Help { message, edits: Vec::new() });
        findings.push(finding);
    }
}

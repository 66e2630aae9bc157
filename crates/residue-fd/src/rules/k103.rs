//! A descriptor that is not open is closed.
//!
//! ## What it finds
//!
//! A `close` of a number that was not open (`EBADF`), from a stack with Go functions. With `residue trace --closes` also who
//! had closed that number before.
//!
//! ## Why it leaks
//!
//! The number was closed before, by somebody who owned it. Had another goroutine opened something meanwhile, it would have
//! got the same number, and this `close` would have closed a stranger's file, socket or map: data goes to the wrong place,
//! and the error shows far from its cause. That this one met nothing is luck.
//!
//! ## Example
//!
//! ```go
//! func probe() error {
//! 	fd, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0)
//! 	if err != nil {
//! 		return err
//! 	}
//! 	defer syscall.Close(fd)
//! 	return syscall.Close(fd)
//! }
//! ```
//!
//! ## Fix
//!
//! ```go
//! func probe() error {
//! 	fd, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0)
//! 	if err != nil {
//! 		return err
//! 	}
//! 	return syscall.Close(fd)
//! }
//! ```
//!
//! ## Limits
//!
//! Closes between fork and exec are left out: there it is usual to close whatever may be open. A second close that meets a
//! number in use again is not seen as such; K104 sees the cases in which the owner is known.

use residue_finding::{Confidence, Family, Finding, Help, RuleCode, RuleMeta, Severity, StepRole, module_docs};

use crate::report::{Report, is_collector};

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("K103"),
    name: "descriptor-closed-twice",
    summary: "a number is closed that is not open any more",
    family: Family::Kernel,
    cwe: &[1341, 675],
    severity: Severity::Error,
    confidence: Confidence::High,
    default_on: true,
    joins: &[],
    docs: module_docs(include_str!("k103.rs")),
};

pub(super) fn find(report: &Report, findings: &mut Vec<Finding>) {
    for bad in report.bad_closes.iter().filter(|bad| bad.twice) {
        let times = if bad.count == 1 { "once".to_owned() } else { format!("{} times", bad.count) };
        let message = format!("a descriptor that was not open is closed here, {times}");
        let mut finding = super::finding(&META, message, &bad.closer);
        finding.acquire = None;
        match &bad.other {
            Some(first) => {
                super::tell(&mut finding, StepRole::Released, "closed before by", first);
                if is_collector(&first.frames) {
                    let why = "a finalizer or cleanup closed it before: an object that nobody used had its number, too";
                    finding.notes.push(why.to_owned());
                }
            }
            None => finding.notes.push("`residue trace --closes` tells who closed it before".to_owned()),
        }
        finding.notes.push(format!(
            "number {} of pid {} ({}), first by goroutine {}",
            bad.fd, bad.pid, bad.closer.program, bad.goid
        ));
        finding.help = Some(Help { message: "let one owner close it, once".to_owned(), edits: Vec::new() });
        findings.push(finding);
    }
}

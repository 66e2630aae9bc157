//! A descriptor is closed by somebody who doesn't own it.
//!
//! ## What it finds
//!
//! A descriptor that `os.Open` or `os.OpenFile` made, and that somebody closes by its number, past the `*os.File` that owns
//! it.
//!
//! ## Why it leaks
//!
//! The `*os.File` doesn't know. Its own `Close`, or its finalizer, closes the same number again: by then perhaps a file or a
//! connection of another goroutine, which loses what it was writing or, worse, goes on with somebody else's.
//! `defer close(fd)` beside a finalizer that closes is this bug, and no cure for a leak.
//!
//! ## Example
//!
//! ```go
//! func sync(f *os.File) error {
//! 	fd := int(f.Fd())
//! 	defer syscall.Close(fd)
//! 	return syscall.Fsync(fd)
//! }
//! ```
//!
//! ## Fix
//!
//! ```go
//! func sync(f *os.File) error {
//! 	return f.Sync()
//! }
//! ```
//!
//! ## Limits
//!
//! Without `--closes` the stack of a close is taken now and then only, so a rare one may be missed. Owners other than
//! `*os.File` are not known.

use residue_finding::{Confidence, Family, Finding, Help, RuleCode, RuleMeta, Severity, StepRole, module_docs};

use crate::report::Report;

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("K104"),
    name: "descriptor-closed-by-stranger",
    summary: "the number of an *os.File is closed past its owner",
    family: Family::Kernel,
    cwe: &[1341, 675],
    severity: Severity::Error,
    confidence: Confidence::Medium,
    default_on: true,
    joins: &[],
    docs: module_docs(include_str!("k104.rs")),
};

pub(super) fn find(report: &Report, findings: &mut Vec<Finding>) {
    for bad in report.bad_closes.iter().filter(|bad| !bad.twice) {
        let message = "the descriptor of an *os.File is closed here by its number, past its owner".to_owned();
        let mut finding = super::finding(&META, message, &bad.closer);
        finding.acquire = None;
        if let Some(opener) = &bad.other {
            super::tell(&mut finding, StepRole::Acquired, "opened by", opener);
        }
        finding.notes.push(format!("number {} of pid {} ({})", bad.fd, bad.pid, bad.closer.program));
        finding.help = Some(Help { message: "close the file, not its number".to_owned(), edits: Vec::new() });
        findings.push(finding);
    }
}

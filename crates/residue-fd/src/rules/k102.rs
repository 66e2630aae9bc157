//! What was opened several times was never closed.
//!
//! ## What it finds
//!
//! A stack, seen by `residue trace -- CMD`, that opened at least `--min-live` descriptors (2), of which none was ever closed
//! and all were open when their process ended.
//!
//! ## Why it leaks
//!
//! The end of a process closes everything, so this run lost nothing. But an opener that is called more than once and
//! never closes shows what the same code does in a process that doesn't end: one descriptor each time.
//!
//! ## Example
//!
//! ```go
//! func sizes(names []string) (total int64) {
//! 	for _, name := range names {
//! 		f, err := os.Open(name)
//! 		if err != nil {
//! 			continue
//! 		}
//! 		if info, err := f.Stat(); err == nil {
//! 			total += info.Size()
//! 		}
//! 	}
//! 	return total
//! }
//! ```
//!
//! ## Fix
//!
//! ```go
//! func sizes(names []string) (total int64) {
//! 	for _, name := range names {
//! 		f, err := os.Open(name)
//! 		if err != nil {
//! 			continue
//! 		}
//! 		if info, err := f.Stat(); err == nil {
//! 			total += info.Size()
//! 		}
//! 		f.Close()
//! 	}
//! 	return total
//! }
//! ```
//!
//! ## Limits
//!
//! A program may well keep a fixed set open as long as it runs: `--min-live` is to be raised for it, or it is to be
//! followed with `-p` while it serves. The tools of Go itself (`compile`, `link`), which a `go test` runs, are left out.

use residue_finding::{Confidence, Family, Finding, Join, RuleCode, RuleMeta, Severity, module_docs};

use crate::report::{Leak, Report};

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("K102"),
    name: "descriptors-never-closed",
    summary: "one stack opened several descriptors and closed none until the end",
    family: Family::Kernel,
    cwe: &[772, 775],
    severity: Severity::Warning,
    confidence: Confidence::Medium,
    default_on: true,
    joins: &[Join::AcquireSite],
    docs: module_docs(include_str!("k102.rs")),
};

pub(super) fn find(report: &Report, findings: &mut Vec<Finding>) {
    let never = |leak: &Leak| if let Leak::NeverClosed(left) = leak { Some(*left) } else { None };
    for (openers, left) in super::leaking(report, never) {
        let site = &openers[0].site;
        let message = format!("{left} {} descriptors were opened here and none was closed", site.kind);
        let mut finding = super::finding(&META, message, site);
        finding.notes.push(format!("open when {} ended ({})", site.program, site.call));
        super::close_on_every_path(&mut finding, &openers);
        findings.push(finding);
    }
}

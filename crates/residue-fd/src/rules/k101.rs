//! More and more descriptors of one opener stay open.
//!
//! ## What it finds
//!
//! A stack, seen by `residue trace`, whose number of open descriptors grew in each of the last three windows after the
//! warm-up: the least number that was open at any time of a window lies above that of the window before. A load that comes
//! and goes has its low again; what leaks has not.
//!
//! ## Why it leaks
//!
//! Each descriptor counts against `RLIMIT_NOFILE`. When none is left, every `open`, `accept` and `pipe` of the process fails,
//! also those of code that closes what it opens. Behind each is a kernel object: a file that was deleted keeps its blocks,
//! a socket its peer, an eBPF map its memory.
//!
//! ## Example
//!
//! ```go
//! func hostname() (int, error) {
//! 	fd, err := syscall.Open("/etc/hostname", syscall.O_RDONLY, 0)
//! 	if err != nil {
//! 		return 0, err
//! 	}
//! 	return syscall.Read(fd, make([]byte, 64))
//! }
//! ```
//!
//! ## Fix
//!
//! ```go
//! func hostname() (int, error) {
//! 	fd, err := syscall.Open("/etc/hostname", syscall.O_RDONLY, 0)
//! 	if err != nil {
//! 		return 0, err
//! 	}
//! 	defer syscall.Close(fd)
//! 	return syscall.Read(fd, make([]byte, 64))
//! }
//! ```
//!
//! ## Limits
//!
//! A pool or a cache that is still being filled grows too; a longer `--warmup` tells them apart. What grows more slowly than
//! one descriptor a window needs longer windows. Openers that belong to the runtime (the netpoller's) and those that opened
//! one descriptor only are not looked at, nor are programs without Go's table of functions. Where eBPF is refused and /proc is read
//! instead, the number of descriptors of a kind is looked at, of any program.

use residue_finding::{Confidence, Family, Finding, Help, Join, RuleCode, RuleMeta, Severity, module_docs};

use crate::report::{Class, Leak, Opener, Report};

pub(super) static META: RuleMeta = RuleMeta {
    code: RuleCode::new("K101"),
    name: "open-descriptors-grow",
    summary: "the number of descriptors that one stack keeps open grows and grows",
    family: Family::Kernel,
    cwe: &[772, 775],
    severity: Severity::Error,
    confidence: Confidence::High,
    default_on: true,
    joins: &[Join::AcquireSite],
    docs: module_docs(include_str!("k101.rs")),
};

pub(super) fn find(report: &Report, findings: &mut Vec<Finding>) {
    let growing = |leak: &Leak| if let Leak::Growing(by) = leak { Some(*by) } else { None };
    for (openers, by) in super::leaking(report, growing) {
        let site = &openers[0].site;
        let sum = |field: fn(&Opener) -> u64| openers.iter().map(|opener| field(opener)).sum::<u64>();
        let left = sum(Opener::left);
        let are = if sum(|opener| opener.live) > 0 { "are open" } else { "were open at the end" };
        let whose =
            if site.frames.is_empty() { format!("of {}", site.program) } else { "that were opened here".to_owned() };
        let message = format!("{left} {} descriptors {whose} {are}, {by} more than three windows before", site.kind);
        let mut finding = super::finding(&META, message, site);
        if openers.iter().all(|opener| opener.class == Class::Deferred) {
            finding.severity = Severity::Warning;
        }
        let (opened, closed) = (sum(|opener| opener.opened), sum(|opener| opener.closed));
        if site.frames.is_empty() {
            let one = openers[0].examples.last().map_or(&site.example, |example| &example.link);
            finding.notes.push(format!("{opened} were seen, and {closed} of them closed; one is {one}"));
            let message = "follow it by eBPF, which tells who opens them".to_owned();
            finding.help = Some(Help { message, edits: Vec::new() });
        } else {
            finding.notes.push(format!("{opened} opened, {closed} closed by {} ({})", site.program, site.call));
            super::close_on_every_path(&mut finding, &openers);
        }
        findings.push(finding);
    }
}

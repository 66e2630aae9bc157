//! `--against`: findings of an earlier `residue check --format json`, and what this run says of each.

use std::io::{self, Read as _, Write};
use std::path::Path;

use residue_fd::Report;
use residue_fd::against::{Joined, Status, join};
use residue_finding::AcquireSite;
use residue_report::{plural, shown_name as visible};
use serde::Deserialize;

use super::text::path;
use crate::error::Error;
use crate::figures::grouped;

/// A report of `check` is not larger.
const BYTES_MAX: u64 = 256 << 20;

/// A finding of `check` that says where something is acquired.
pub(super) struct Known {
    pub(super) rule: String,
    pub(super) message: String,
    pub(super) fingerprint: String,
    pub(super) shown: String,
    pub(super) site: AcquireSite,
}

/// Findings of `check`, joined with a report.
pub(super) struct Against {
    pub(super) known: Vec<Known>,
    pub(super) joined: Joined,
}

impl Against {
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Known, Status)> {
        self.known.iter().zip(self.joined.statuses.iter().copied())
    }
}

#[derive(Deserialize)]
struct Document {
    findings: Vec<FindingShape>,
}

#[derive(Deserialize)]
struct FindingShape {
    rule: String,
    message: String,
    fingerprint: String,
    site: SiteShape,
    acquire_site: Option<AcquireShape>,
}

#[derive(Deserialize)]
struct SiteShape {
    path: String,
    start: StartShape,
}

#[derive(Deserialize)]
struct StartShape {
    line: u32,
}

#[derive(Deserialize)]
struct AcquireShape {
    import_path: String,
    file: String,
    line: u32,
    declaration: String,
}

/// Reads the findings of a file. Those that acquire nothing can't be met in the kernel and are left out.
pub(super) fn read(file: &Path) -> Result<Vec<Known>, Error> {
    let wrong = |what: String| Error::usage(format!("cannot read findings from {}: {what}", file.display()));
    let mut text = Vec::new();
    let opened = std::fs::File::open(file).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut text));
    opened.map_err(|error| wrong(error.to_string()))?;
    let document: Document = serde_json::from_slice(&text)
        .map_err(|error| wrong(error.to_string()).hint("it is to be what `residue check --format json` wrote"))?;
    let known = document.findings.into_iter().filter_map(|finding| {
        let acquire = finding.acquire_site?;
        Some(Known {
            rule: finding.rule,
            message: finding.message,
            fingerprint: finding.fingerprint,
            shown: format!("{}:{}", finding.site.path, finding.site.start.line),
            site: AcquireSite {
                import_path: acquire.import_path,
                file: acquire.file,
                line: acquire.line,
                declaration: acquire.declaration,
            },
        })
    });
    Ok(known.collect())
}

pub(super) fn against(known: Vec<Known>, report: &Report) -> Against {
    let sites: Vec<AcquireSite> = known.iter().map(|known| known.site.clone()).collect();
    Against { joined: join(&sites, report), known }
}

/// Opens, and descriptors left of those that leaked.
pub(super) fn numbers(status: Status) -> (u64, u64) {
    match status {
        Status::Confirmed { opens, left } => (opens, left),
        Status::Exercised { opens } => (opens, 0),
        Status::NotReached => (0, 0),
    }
}

pub(super) fn write(against: &Against, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} of `residue check`:", plural(against.known.len(), "finding"))?;
    for (known, status) in against.rows() {
        let said = match status {
            Status::Confirmed { opens, left } => format!("confirmed: {} of {} left", grouped(left), grouped(opens)),
            Status::Exercised { opens } => format!("exercised, no leak seen ({} opens)", grouped(opens)),
            Status::NotReached => "not reached".to_owned(),
        };
        writeln!(out, "  {} {}  {said}", visible(&known.rule), visible(&known.shown))?;
        writeln!(out, "      {}", visible(&known.message))?;
    }
    for &missed in &against.joined.missed {
        let opener = &report.openers[missed];
        writeln!(
            out,
            "  missed by check: {} {} left by {}",
            opener.left(),
            opener.site.kind,
            path(&opener.site.frames)
        )?;
    }
    Ok(())
}

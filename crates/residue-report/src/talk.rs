//! What a run has to say beside its findings, for the error stream.

use std::fmt::Write as _;
use std::io;

use annotate_snippets::renderer::{
    DEFAULT_ERROR_STYLE, DEFAULT_HELP_STYLE, DEFAULT_NOTE_STYLE, DEFAULT_WARNING_STYLE, Style,
};
use residue_finding::{Diagnostic, Severity, SuppressedBy};

use crate::text::{TextStyle, clean};
use crate::{Report, visible};

/// Writes what a run has to say beside its findings: what went wrong, the
/// count, and hints. Meant for the error stream.
pub fn write_talk(report: &Report<'_>, talk: Talk<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let paint = |style: Style, text: &str| {
        if talk.style.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    };
    let summary = &report.outcome.summary;
    let mut text = String::new();
    let wanted = |diagnostic: &&Diagnostic| talk.verbose || diagnostic.severity > Severity::Note;
    let shown: Vec<&Diagnostic> = summary.diagnostics.iter().filter(wanted).take(DIAGNOSTICS_MAX).collect();
    for (index, diagnostic) in shown.iter().enumerate() {
        let style = match diagnostic.severity {
            Severity::Error => DEFAULT_ERROR_STYLE,
            Severity::Warning => DEFAULT_WARNING_STYLE,
            Severity::Note => DEFAULT_NOTE_STYLE,
        };
        text.push_str(&paint(style, diagnostic.severity.as_str()));
        text.push_str(": ");
        if let Some(path) = &diagnostic.path {
            text.push_str(&visible::line(path));
            if let Some(position) = diagnostic.position {
                let _ = write!(text, ":{}", position.line);
                if position.column > 0 {
                    let _ = write!(text, ":{}", position.column);
                }
            }
            text.push_str(": ");
        }
        text.push_str(&clean(&diagnostic.message));
        text.push('\n');
        // What helps with several in a row is said once.
        let next = shown.get(index + 1).and_then(|next| next.hint.as_ref());
        if let Some(hint) = diagnostic.hint.as_ref().filter(|hint| next != Some(*hint)) {
            text.push_str(&paint(HINT_STYLE, "hint"));
            let _ = writeln!(text, ": {}", clean(hint));
        }
    }
    if let Some(more) =
        summary.diagnostics.iter().filter(wanted).count().checked_sub(DIAGNOSTICS_MAX).filter(|n| *n > 0)
    {
        let _ = writeln!(text, "… and {more} more like these (`--format json` lists them)");
    }
    if talk.summary {
        text.push_str(&summary_line(report, talk.seconds));
        text.push('\n');
        for hint in hints(report, talk.verbose) {
            text.push_str(&paint(HINT_STYLE, "hint"));
            let _ = writeln!(text, ": {hint}");
        }
    }
    out.write_all(text.as_bytes())
}

/// What [`write_talk`] says, and how.
#[derive(Clone, Copy, Debug)]
pub struct Talk<'a> {
    /// How it looks.
    pub style: TextStyle,
    /// Whether the count and the hints are wanted.
    pub summary: bool,
    /// How long the run took, as it is to be shown.
    pub seconds: Option<&'a str>,
    /// Everything is wanted: notes about the input, and every missing dependency.
    pub verbose: bool,
}

const HINT_STYLE: Style = DEFAULT_HELP_STYLE;

/// A broken tree has thousands; JSON has them all.
const DIAGNOSTICS_MAX: usize = 20;

/// `2 errors, 1 warning in 412 packages (0.6 s). 3 suppressed.`
fn summary_line(report: &Report<'_>, seconds: Option<&str>) -> String {
    let outcome = report.outcome;
    let counts: Vec<String> = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .map(|severity| (outcome.count(severity), severity.as_str()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| plural(count, word))
        .collect();
    let found = if counts.is_empty() { "nothing found".to_owned() } else { counts.join(", ") };
    let mut line = format!("{found} in {}", plural(outcome.summary.packages, "package"));
    if let Some(seconds) = seconds {
        let _ = write!(line, " ({seconds} s)");
    }
    let held = [("suppressed", 0), ("in the baseline", 1), ("outside the change", 2)].map(|(what, kind)| {
        let count = outcome.suppressed.iter().filter(|held| kind_of(&held.by) == kind).count();
        (count > 0).then(|| format!("{count} {what}"))
    });
    let held: Vec<String> = held.into_iter().flatten().collect();
    if !held.is_empty() {
        let _ = write!(line, ". {}", held.join(", "));
    }
    if outcome.summary.given_up > 0 {
        let functions = plural(outcome.summary.given_up, "function");
        let have = if outcome.summary.given_up == 1 { "has" } else { "have" };
        let _ = write!(line, ". {functions} {have} more paths than are looked at (`-v` names them)");
    }
    if !outcome.summary.complete() {
        line.push_str(". Not everything could be analysed");
    }
    line
}

/// Who decided that a finding doesn't count: somebody who looked at it, the day of the baseline, or the change.
fn kind_of(by: &SuppressedBy) -> usize {
    match by {
        SuppressedBy::Comment { .. } | SuppressedBy::Generated | SuppressedBy::Config { .. } => 0,
        SuppressedBy::Baseline { .. } => 1,
        SuppressedBy::OutsideChange => 2,
    }
}

fn hints(report: &Report<'_>, all: bool) -> Vec<String> {
    const MISSING_SHOWN: usize = 3;
    let outcome = report.outcome;
    let mut hints = Vec::new();
    let mut codes: Vec<&str> = outcome.findings.iter().map(|f| f.rule.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    if !codes.is_empty() {
        hints.push(format!("`residue explain {}` says why, and how to fix it", codes.join(" ")));
    }
    for disabled in &outcome.summary.disabled {
        hints.push(format!("{} is switched off by {}", disabled.code, clean(&disabled.by)));
    }
    let mut by_place: Vec<(&str, Vec<&str>)> = Vec::new();
    for left_out in &outcome.summary.left_out {
        match by_place.iter_mut().find(|(by, _)| *by == left_out.by) {
            Some((_, patterns)) => patterns.push(&left_out.pattern),
            None => by_place.push((&left_out.by, vec![&left_out.pattern])),
        }
    }
    for (by, patterns) in by_place {
        hints.push(format!("{} leaves out {}", clean(by), clean(&patterns.join(", "))));
    }
    if let Some(used) = outcome.summary.baseline.as_ref().filter(|used| !used.stale.is_empty()) {
        let stale = plural(used.stale.len(), "entry");
        let path = clean(&used.path);
        hints.push(format!("{stale} of {path} no longer found; `residue baseline prune` drops what is gone"));
    }
    let missing = &outcome.summary.missing;
    if !missing.is_empty() {
        // What the same thing would bring is said once.
        let mut by_remedy: Vec<(String, Vec<String>)> = Vec::new();
        for missing in missing {
            let version = missing.version.as_deref().filter(|version| !version.is_empty());
            let name = version.map_or_else(|| missing.path.clone(), |version| format!("{}@{version}", missing.path));
            let hint = missing.hint.as_deref().unwrap_or_default();
            let remedy = clean(&hint.replace(&format!(" {name}`"), "`"));
            match by_remedy.iter_mut().find(|(known, _)| *known == remedy) {
                Some((_, names)) => names.push(name),
                None => by_remedy.push((remedy, vec![name])),
            }
        }
        let groups = if all { by_remedy.len() } else { MISSING_SHOWN };
        for (remedy, names) in by_remedy.iter().take(groups) {
            let shown = if all { names.len() } else { MISSING_SHOWN };
            let listed: Vec<_> = names.iter().take(shown).map(|name| visible::line(name)).collect();
            let more = match names.len() - listed.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let remedy = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
            hints.push(format!("no source for {}{more}, so less is found{remedy}", listed.join(", ")));
        }
    }
    hints
}

/// `1 error`, `2 errors`, `3 entries`.
pub fn plural(count: usize, word: &str) -> String {
    match word.strip_suffix('y') {
        _ if count == 1 => format!("1 {word}"),
        Some(stem) => format!("{count} {stem}ies"),
        None => format!("{count} {word}s"),
    }
}

//! Which of the findings count here: suppressions that ended, paths that a configuration accepts, what is known, what a
//! change did not touch.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use residue_finding::{Date, Diagnostic, Finding, Outcome, Position, Severity, SuppressedBy};

use crate::baseline::Baseline;
use crate::change::Change;
use crate::engine::LookedAt;
use crate::settings::{Ignored, Settings};

/// What findings are compared with.
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) baseline: Option<Baseline>,
    pub(crate) change: Option<Change>,
}

impl Gate {
    /// Holds back what doesn't count.
    pub(crate) fn apply(&self, outcome: &mut Outcome, settings: &Settings, looked_at: &LookedAt) {
        if let Some(path) = &settings.lenient {
            outcome.summary.diagnostics.push(Diagnostic {
                severity: Severity::Note,
                path: Some(path.clone()),
                position: None,
                message: format!("`fail-on = \"{}\"` lets findings below it pass", settings.fail_on),
                hint: None,
            });
        }
        let today = today();
        outcome.expire(today);
        ignore(outcome, settings, looked_at, today);
        if let Some(baseline) = &self.baseline {
            baseline.apply(outcome, settings, looked_at);
        }
        if let Some(change) = &self.change {
            change.apply(outcome, settings);
        }
    }
}

/// The day, as the whole world's clocks have it (UTC).
fn today() -> Date {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    Date::from_unix_days(u32::try_from(seconds / 86_400).unwrap_or(0))
}

/// Holds back what `[[ignore]]` accepts, and says of each whether it holds anything back.
fn ignore(outcome: &mut Outcome, settings: &Settings, looked_at: &LookedAt, today: Date) {
    for ignored in &settings.ignored {
        let Ignored { entry, by, .. } = ignored;
        let mut used = false;
        let about = |finding: &Finding| {
            let rule = entry.rules.is_empty() || entry.rules.iter().any(|rule| rule.code == finding.rule);
            rule && covers(ignored, &finding.site.path, &settings.dir)
        };
        match entry.until.filter(|until| *until < today) {
            Some(until) => {
                for finding in outcome.findings.iter_mut().filter(|finding| about(finding)) {
                    finding.notes.push(format!("the `[[ignore]]` at {by} ended on {until}"));
                    used = true;
                }
            }
            None => outcome.hold_back(|finding| {
                let held = about(finding);
                used |= held;
                held.then(|| SuppressedBy::Config { by: by.clone(), why: entry.why.clone() })
            }),
        }
        let ran =
            entry.rules.is_empty() || entry.rules.iter().any(|rule| settings.rules.iter().any(|r| r.code == rule.code));
        if !used && ran && looked_at.files.iter().any(|path| covers(ignored, path, &settings.dir)) {
            let (path, line) = by.rsplit_once(':').unwrap_or((by, ""));
            outcome.summary.diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                path: Some(path.to_owned()),
                position: line.parse().ok().map(|line| Position { line, column: 0 }),
                message: "this `[[ignore]]` holds nothing back".to_owned(),
                hint: Some("drop it, so that it doesn't hide what comes".to_owned()),
            });
        }
    }
}

fn covers(ignored: &Ignored, path: &str, dir: &Path) -> bool {
    let path = dir.join(path);
    path.strip_prefix(&ignored.base).is_ok_and(|below| ignored.entry.paths.cover(&crate::paths::slashed(below)))
}

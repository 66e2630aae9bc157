//! Which of the findings count here: suppressions that ended, paths that a configuration accepts, what is known, what a
//! change did not touch.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use residue_finding::{Date, Diagnostic, Finding, Outcome, Severity, SuppressedBy};

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
        outcome.hold_back(|finding| {
            let ignored = settings.ignored.iter().find(|ignored| ignores(ignored, finding, today, &settings.dir))?;
            Some(SuppressedBy::Config { by: ignored.by.clone(), why: ignored.entry.why.clone() })
        });
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

fn ignores(ignored: &Ignored, finding: &Finding, today: Date, dir: &Path) -> bool {
    let entry = &ignored.entry;
    let about = entry.rules.is_empty() || entry.rules.iter().any(|rule| rule.code == finding.rule);
    if !about || entry.until.is_some_and(|until| until < today) {
        return false;
    }
    let path = dir.join(&finding.site.path);
    path.strip_prefix(&ignored.base).is_ok_and(|below| entry.paths.cover(&crate::paths::slashed(below)))
}

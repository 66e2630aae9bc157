//! Which goroutines are shown.

use std::time::Duration;

use clap::Args;
use residue_runtime::{Goroutine, Report};

/// What [`residue_runtime::Status::name`] says.
const STATUSES: [&str; 8] = ["idle", "runnable", "running", "syscall", "waiting", "preempted", "copystack", "leaked"];

/// Which goroutines are shown: those that meet all that is asked for.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Which goroutines")]
pub(super) struct Filter {
    /// Only goroutines with this label of runtime/pprof (repeatable: with all of them)
    #[arg(long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,

    /// Only goroutines of this status
    #[arg(long, value_name = "STATUS", value_parser = STATUSES)]
    status: Option<String>,

    /// Only goroutines that wait for a reason with this text in it: "chan receive", mutex
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Only goroutines known to have waited so long: 90s, 5m, 2h, 1d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    min_wait: Option<Duration>,

    /// Only goroutines with this text in the name of a function on their stack, or of the one that made them
    #[arg(long, value_name = "TEXT")]
    function: Option<String>,
}

impl Filter {
    /// Whether a goroutine is to be shown.
    pub(super) fn matches(&self, report: &Report, goroutine: &Goroutine) -> bool {
        let labelled = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => goroutine.labels.iter().any(|label| label.0 == key && label.1 == value),
            None => goroutine.labels.iter().any(|label| label.0 == *wanted),
        };
        let reason = || goroutine.wait_reason.as_deref().unwrap_or_default().to_lowercase();
        let calls = |text: &String| {
            let made = goroutine.created_at.iter().flat_map(|pc| report.at(*pc));
            report.stack(goroutine).chain(made).any(|frame| frame.function.contains(text.as_str()))
        };
        self.label.iter().all(labelled)
            && self.status.as_ref().is_none_or(|status| goroutine.status.name() == status.as_str())
            && self.reason.as_ref().is_none_or(|text| reason().contains(&text.to_lowercase()))
            && self.min_wait.is_none_or(|least| goroutine.waiting.is_some_and(|waiting| waiting >= least))
            && self.function.as_ref().is_none_or(calls)
    }

    /// Whether all are shown.
    pub(super) fn is_empty(&self) -> bool {
        self.label.is_empty()
            && self.status.is_none()
            && self.reason.is_none()
            && self.min_wait.is_none()
            && self.function.is_none()
    }
}

/// A number and its unit.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time like 90s, 5m, 2h or 1d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        for wrong in ["", "90", "h", "-1s", "1.5h", "99999999999999999999d", "5é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}

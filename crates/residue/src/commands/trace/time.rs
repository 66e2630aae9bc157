//! Spans of time as people write them.

use std::time::Duration;

/// Reads `30s`, `5m`, `1h`, `250ms`.
pub(in crate::commands) fn parse(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let found = units.iter().find_map(|(unit, ms)| Some((text.strip_suffix(unit)?.parse::<u64>().ok()?, *ms)));
    match found.and_then(|(number, ms)| number.checked_mul(ms)).filter(|ms| *ms > 0) {
        Some(ms) => Ok(Duration::from_millis(ms)),
        None => Err("expected a time such as 30s, 5m or 1h".to_owned()),
    }
}

/// Shows an age in its largest unit: `3 d`, `29 s`.
pub(super) fn age(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0 => format!("{} ms", ns / 1_000_000),
        1..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown() {
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("2h"), Ok(Duration::from_hours(2)));
        for wrong in ["", "s", "0s", "-1s", "5", "5 s", "99999999999999999d"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(age(29_900_000_000), "29 s");
        assert_eq!(age(3 * 86_400_000_000_000), "3 d");
        assert_eq!(age(5_000_000), "5 ms");
    }
}

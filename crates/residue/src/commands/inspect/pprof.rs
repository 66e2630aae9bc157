//! Goroutines as a profile that `go tool pprof` opens: how many are at which stack, with their labels.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use residue_report::pprof::{Line, Profile};
use residue_report::shown as masked;

use super::Shown;

/// What goroutines of a sample have in common.
type Key<'g> = (&'g [u64], &'g [(String, String)]);

pub(super) fn write(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut groups: BTreeMap<Key<'_>, u64> = BTreeMap::new();
    for goroutine in shown.goroutines() {
        *groups.entry((&goroutine.stack, &goroutine.labels)).or_default() += 1;
    }
    let mut profile = Profile::new(&[("goroutines", "count")]);
    for ((stack, labels), count) in groups {
        let stack = stack.iter().map(|pc| {
            let calls = shown.report.at(*pc).iter();
            (*pc, calls.map(|call| Line { function: &call.function, file: &call.file, line: call.line }).collect())
        });
        let labels: Vec<_> = labels.iter().map(|(key, value)| (key.clone(), masked(value))).collect();
        profile.add(stack, &[count], &labels);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    profile.write(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), &shown.how(), out)
}

//! Profiles that `go tool pprof` opens: how many goroutines are at which stack, with their labels; and what is retained by
//! which way, with types and roots in the place of functions.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use residue_report::pprof::{Line, Profile};
use residue_report::{plural, shown as masked};
use residue_runtime::heap::RetainedPaths;

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
    profile.write(now(), &shown.how(), out)
}

/// Writes what is retained: a sample for the objects of each way, whose stack leads from their type up to the root. Values
/// are their own; what the profiler adds up for a frame (`cum`) is what would be free without it.
pub(super) fn retained(paths: &RetainedPaths, how: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut profile = Profile::new(&[("retained_objects", "count"), ("retained_space", "bytes")]);
    for path in &paths.paths {
        let stack = path.names.iter().map(|name| {
            let function = paths.names.get(*name as usize).map_or("", String::as_str);
            // No instruction stands for a type; profiles tell places apart by address.
            (u64::from(*name) + 1, vec![Line { function, file: "", line: 0 }])
        });
        profile.add(stack, &[path.objects, path.bytes], &[]);
    }
    let merged = if paths.merged > 0 {
        format!(
            "; {} on too many or too long ways count for what dominates them",
            plural(paths.merged as usize, "object")
        )
    } else {
        String::new()
    };
    profile.write(now(), &format!("{how}{merged}"), out)
}

/// Nanoseconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

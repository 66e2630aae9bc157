//! Descriptors by stack, as `go tool pprof` reads them: opened in all, left open, and those of leaks.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use residue_fd::Report;
use residue_fd::event::Frame;
use residue_report::pprof::{Line, Profile};

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut profile = Profile::new(&[("opened", "count"), ("leaked", "count"), ("left_open", "count")]);
    // Stacks come with their calls named; a number stands for the address of each.
    let mut places: BTreeMap<&Frame, u64> = BTreeMap::new();
    for opener in &report.openers {
        for frame in &opener.site.frames {
            let next = places.len() as u64 + 1;
            places.entry(frame).or_insert(next);
        }
        let stack = opener.site.frames.iter().map(|frame| {
            let line = Line { function: &frame.function, file: &frame.file, line: frame.line };
            (places.get(frame).copied().unwrap_or(0), vec![line])
        });
        let leaked = if opener.leak.is_some() { opener.left() } else { 0 };
        let labels = [("kind", &opener.site.kind), ("program", &opener.site.program)];
        let mut labels = labels.map(|(key, value)| (key.to_owned(), value.clone())).to_vec();
        if !opener.containers.is_empty() {
            let names: Vec<String> = opener.containers.iter().map(|(container, _)| container.to_string()).collect();
            labels.push(("container".to_owned(), names.join(", ")));
        }
        profile.add(stack, &[opener.opened, leaked, opener.left()], &labels);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    profile.write(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), "residue trace", out)
}

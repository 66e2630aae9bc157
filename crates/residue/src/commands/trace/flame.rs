//! Descriptors in use by stack, as a flame graph.

use std::io::{self, Write};

use residue_fd::{Opener, Report};
use residue_report::flame::{Flame, Frame, Tint};

use crate::figures::grouped;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    // Texts of boxes that no stack has as such.
    let texts: Vec<(&Opener, Vec<String>, String)> = report
        .openers
        .iter()
        .filter(|opener| opener.left() > 0)
        .map(|opener| {
            let places = opener.site.frames.iter().rev().map(|frame| format!("{}:{}", frame.file, frame.line));
            (opener, places.collect(), kind(opener))
        })
        .collect();
    let mut flame = Flame::default();
    for (opener, places, kind) in &texts {
        let program = Frame { name: &opener.site.program, detail: "", tint: Tint::Thing };
        let calls = opener.site.frames.iter().rev().zip(places).map(|(frame, place)| Frame {
            name: frame.short(),
            detail: if frame.line == 0 { "" } else { place },
            tint: match (frame.own, frame.std) {
                (true, _) => Tint::Own,
                (_, true) => Tint::Standard,
                _ => Tint::Library,
            },
        });
        let kind = Frame { name: kind, detail: &opener.site.example, tint: Tint::Thing };
        flame.add(std::iter::once(program).chain(calls).chain([kind]), opener.left());
    }
    let leaks: u64 = report.openers.iter().filter(|opener| opener.leak.is_some()).map(Opener::left).sum();
    let title = match leaks {
        0 => "descriptors left open, by stack".to_owned(),
        leaks => format!("descriptors left open, by stack; {} of leaks", grouped(leaks)),
    };
    flame.write(&title, "descriptors", out)
}

/// The uppermost box: what is open, and whether it leaks.
fn kind(opener: &Opener) -> String {
    match opener.leak {
        Some(_) => format!("{} ({}, leak)", opener.site.kind, opener.class.as_str()),
        None => format!("{} ({})", opener.site.kind, opener.class.as_str()),
    }
}

//! What was found, for people.

use std::io::{self, Write};

use residue_fd::event::Frame;
use residue_fd::{Leak, Opener, Report};
use residue_report::shown_name as visible;

use super::time::age;

/// Openers listed, beside leaks.
const ROWS_MAX: usize = 20;
/// Openers wider than this are cut.
const WIDTH_MAX: usize = 100;
/// Frames shown of a leak's stack.
const FRAMES_MAX: usize = 24;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    table(report, out)?;
    losses(report, out)?;
    for opener in report.openers.iter().filter(|opener| opener.leak.is_some()) {
        writeln!(out)?;
        leak(opener, out)?;
    }
    Ok(())
}

fn table(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<&Opener> = report.openers.iter().filter(|opener| opener.left() > 0).collect();
    if rows.is_empty() {
        return writeln!(out, "nothing left open");
    }
    let since = format!("+{}", age(report.elapsed_ns));
    writeln!(out, "{:>7} {since:>8} {:>7}  {:9}  {:9}  opened at", "left", "oldest", "class", "kind")?;
    for opener in rows.iter().take(ROWS_MAX.max(rows.iter().filter(|o| o.leak.is_some()).count())) {
        let oldest = opener.oldest_ns.map_or("ended".to_owned(), age);
        let line = format!(
            "{:>7} {:>+8} {oldest:>7}  {:9}  {:9}  {}",
            grouped(opener.left()),
            opener.growth,
            opener.class.as_str(),
            opener.site.kind,
            path(&opener.site.frames)
        );
        writeln!(out, "{}", cut(&line))?;
    }
    if rows.len() > ROWS_MAX {
        writeln!(out, "… {} more openers", rows.len() - ROWS_MAX)?;
    }
    Ok(())
}

/// What was seen, and what was not.
fn losses(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let losses = &report.losses;
    let lost: Vec<String> = losses.lost().iter().map(|(what, count)| format!("{} {what}", grouped(*count))).collect();
    let lost = if lost.is_empty() { "nothing lost".to_owned() } else { format!("LOST {}", lost.join(", ")) };
    let unknown = grouped(report.unknown.len() as u64 + losses.unknown_ended);
    writeln!(
        out,
        "{lost} · origin unknown {unknown} (open before) · {} opens, {} closes seen in {}",
        grouped(report.opens),
        grouped(report.closes),
        age(report.elapsed_ns)
    )
}

fn leak(opener: &Opener, out: &mut dyn Write) -> io::Result<()> {
    let what = match opener.leak {
        Some(Leak::Growing(by)) => format!("{} more {} descriptors and growing", grouped(by), opener.site.kind),
        _ => format!("{} {} descriptors never closed", grouped(opener.left()), opener.site.kind),
    };
    writeln!(out, "{} leak: {what}, opened in {} (pid {})", opener.class.as_str(), visible(&opener.site.program), opener.site.pid)?;
    for frame in opener.site.frames.iter().take(FRAMES_MAX) {
        writeln!(out, "    {}  {}:{}", visible(&frame.function), visible(&frame.file), frame.line)?;
    }
    Ok(())
}

/// The opener in a line: the first frames that are not Go's own.
fn path(frames: &[Frame]) -> String {
    let own: Vec<&Frame> = frames.iter().filter(|frame| !frame.std && !frame.package.is_empty()).collect();
    let shown = if own.is_empty() { frames.iter().collect() } else { own };
    let name = |frame: &&Frame| format!("{}  {}:{}", short(&frame.function), frame.base(), frame.line);
    let names: Vec<String> = shown.iter().take(3).map(name).collect();
    visible(&names.join(" ← ")).clone()
}

/// A function without the folders of its package.
fn short(function: &str) -> &str {
    let end = function.find('[').unwrap_or(function.len());
    let start = function[..end].rfind('/').map_or(0, |at| at + 1);
    &function[start..]
}

fn cut(line: &str) -> String {
    if line.chars().count() <= WIDTH_MAX {
        return line.to_owned();
    }
    line.chars().take(WIDTH_MAX - 1).chain(['…']).collect()
}

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

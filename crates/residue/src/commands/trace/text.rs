//! What was found, for people: the table of openers, and what was not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Style};
use residue_fd::event::Frame;
use residue_fd::{Class, Opener, Panic, Report, callee, caller};
use residue_report::{TextStyle, shown_name as visible};

use crate::figures::{grouped, time};

/// Openers listed, beside leaks.
const ROWS_MAX: usize = 20;
/// Places of panics listed.
const PANICS_MAX: usize = 5;
/// Containers listed.
const CONTAINERS_MAX: usize = 10;
/// How the row of a leak looks.
const LEAK: Style = AnsiColor::BrightRed.on_default();
/// No line is wider.
const WIDTH_MAX: usize = 100;

/// The openers that have something open, leaks first. Of what is kept there is but a count.
pub(super) fn table(report: &Report, rows_max: usize, style: TextStyle, out: &mut dyn Write) -> io::Result<()> {
    let open = report.openers.iter().filter(|opener| opener.left() > 0);
    let (kept, rows): (Vec<&Opener>, Vec<&Opener>) = open.partition(|opener| opener.class == Class::Kept);
    if rows.is_empty() {
        writeln!(out, "nothing is left open that was opened more than once")?;
    } else {
        let since = format!("+{}", time(Duration::from_nanos(report.elapsed_ns)));
        writeln!(out, "{:>7} {since:>8} {:>7}  {:9}  {:9}  opened at", "left", "oldest", "class", "kind")?;
    }
    let programs: BTreeSet<&str> = rows.iter().map(|opener| opener.site.program.as_str()).collect();
    let contained = rows.iter().any(|opener| !opener.containers.is_empty());
    let leaks = rows.iter().filter(|opener| opener.leak.is_some()).count();
    let shown = rows_max.max(leaks);
    for opener in rows.iter().take(shown) {
        // While it is followed, ages are not asked for.
        let oldest = match opener.oldest_ns {
            Some(oldest) => time(Duration::from_nanos(oldest)),
            None if opener.live == 0 => "ended".to_owned(),
            None => String::new(),
        };
        let line = format!(
            "{:>7} {:>+8} {oldest:>7}  {:9}  {:9}  {}",
            grouped(opener.left()),
            opener.growth,
            opener.class.as_str(),
            opener.site.kind,
            opened_at(opener, programs.len() > 1 || contained)
        );
        match opener.leak {
            Some(_) if style.colour => writeln!(out, "{LEAK}{}{LEAK:#}", cut(&line))?,
            _ => writeln!(out, "{}", cut(&line))?,
        }
    }
    if rows.len() > shown {
        let rest: u64 = rows[shown..].iter().map(|opener| opener.left()).sum();
        writeln!(out, "… and {} of {} more openers", grouped(rest), grouped((rows.len() - shown) as u64))?;
    }
    if !kept.is_empty() {
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        for opener in &kept {
            *kinds.entry(&opener.site.kind).or_default() += opener.left();
        }
        let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{} {kind}", grouped(*count))).collect();
        writeln!(
            out,
            "{}",
            cut(&format!("kept, as the runtime's or the only one of its opener: {}", kinds.join(", ")))
        )?;
    }
    Ok(())
}

/// The table, and what was seen and what not.
pub(super) fn summary(report: &Report, style: TextStyle, out: &mut dyn Write) -> io::Result<()> {
    table(report, ROWS_MAX, style, out)?;
    totals(report, out)
}

/// What was seen and what not.
pub(super) fn totals(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let losses = &report.losses;
    let lost: Vec<String> = losses.lost().iter().map(|(what, count)| format!("{} {what}", grouped(*count))).collect();
    let lost = if lost.is_empty() { "nothing lost".to_owned() } else { format!("LOST {}", lost.join(", ")) };
    let unknown = grouped(report.unknown.len() as u64 + losses.unknown_ended);
    writeln!(
        out,
        "{lost} · origin unknown {unknown} (open before, inherited) · {} opens, {} closes in {}",
        grouped(report.opens),
        grouped(report.closes),
        time(Duration::from_nanos(report.elapsed_ns))
    )?;
    if !report.containers.is_empty() {
        containers(report, out)?;
    }
    if !report.panics.is_empty() {
        panics(report, out)?;
    }
    if report.sampled {
        writeln!(out, "by reading /proc: what came and went between two looks is not in these numbers")?;
    }
    for what in &report.unseen {
        writeln!(out, "{}", cut(&format!("not seen on this kernel: {}", visible(what))))?;
    }
    if losses.ghosts > 0 {
        let ghosts = grouped(losses.ghosts);
        writeln!(out, "{ghosts} closed in a way that is not seen, found in the kernel's own table")?;
    }
    Ok(())
}

/// What is open in each container.
fn containers(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{:>7} {:>8}  container", "open", "leaked")?;
    for one in report.containers.iter().take(CONTAINERS_MAX) {
        let name =
            one.container.as_ref().map_or_else(|| "none".to_owned(), |container| visible(&container.to_string()));
        let processes = match one.processes {
            1 => "1 process".to_owned(),
            count => format!("{} processes", grouped(count as u64)),
        };
        let line = format!("{:>7} {:>8}  {name} ({processes})", grouped(one.live), grouped(one.leaked));
        writeln!(out, "{}", cut(&line))?;
    }
    if report.containers.len() > CONTAINERS_MAX {
        writeln!(out, "… {} more containers", report.containers.len() - CONTAINERS_MAX)?;
    }
    Ok(())
}

/// Panics that were seen, and what became of them.
fn panics(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let sum = |of: fn(&Panic) -> u64| report.panics.iter().map(of).sum::<u64>();
    writeln!(out, "{} panics, {} of them recovered", grouped(sum(|p| p.count)), grouped(sum(|p| p.recovered)))?;
    for panic in report.panics.iter().take(PANICS_MAX) {
        let (count, recovered) = (panic.count.max(panic.recovered), panic.recovered);
        let fate = if recovered == 0 { "not recovered" } else { "recovered" };
        writeln!(out, "{}", cut(&format!("{:>7}  {fate}  {}", grouped(count), path(&panic.site.frames))))?;
    }
    if report.panics.len() > PANICS_MAX {
        writeln!(out, "… {} more places", report.panics.len() - PANICS_MAX)?;
    }
    Ok(())
}

/// The opener in a line, with its program if there are several, or containers; there is nothing else to say of one that isn't Go.
fn opened_at(opener: &Opener, several: bool) -> String {
    let site = &opener.site;
    let container = match &opener.containers[..] {
        [] => String::new(),
        [(container, _)] => format!(" in {container}"),
        more => format!(" in {} containers", more.len()),
    };
    let program = format!("{}{container}", site.program);
    match (site.is_go(), several) {
        (true, false) => path(&site.frames),
        (true, true) => format!("{}: {}", visible(&program), path(&site.frames)),
        (false, _) if site.call.is_empty() => visible(&program),
        (false, _) => visible(&format!("{program}: {}", site.call)),
    }
}

/// The stack in a line: the calls of the program's own module, and what the first one called in another module.
pub(super) fn path(frames: &[Frame]) -> String {
    let Some(at) = caller(frames) else { return "(no stack)".to_owned() };
    let named = |frame: &Frame| match frame.line {
        0 => frame.function.clone(),
        line => format!("{}  {}:{line}", frame.short(), frame.base()),
    };
    // What the whole program is made of is told only where there is nothing of its own.
    let is_like = |frame: &&Frame| frame.own == frames[at].own && frame.std == frames[at].std;
    let callee = callee(frames, at).map(|callee| callee.short().to_owned());
    let calls = frames[at..].iter().filter(is_like).map(named);
    visible(&callee.into_iter().chain(calls.take(3)).collect::<Vec<String>>().join(" ← "))
}

fn cut(line: &str) -> String {
    if line.chars().count() <= WIDTH_MAX {
        return line.to_owned();
    }
    line.chars().take(WIDTH_MAX - 1).chain(['…']).collect()
}

//! `residue check`: analyse, report, decide.

use std::fmt::Write as _;
use std::io;
use std::time::Instant;

use residue_finding::{Outcome, Stats};
use residue_report::{Place, Report, Talk};

use crate::args::{CheckArgs, FailOn, Format, FormatKind};
use crate::baseline::Baseline;
use crate::change::Change;
use crate::engine::{self, Run};
use crate::error::{Error, Exit};
use crate::gate::Gate;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::{output, paths};

pub(crate) fn run(args: Box<CheckArgs>, terminal: &Terminal) -> Result<Exit, Error> {
    let start = Instant::now();
    let settings = Settings::resolve(*args)?;
    // What can go wrong quickly does so before the analysis.
    let gate = Gate {
        baseline: settings.baseline.as_deref().map(Baseline::read).transpose()?,
        change: settings.diff.as_deref().map(|from| Change::take(from, &settings)).transpose()?,
    };
    let run = analyse(&settings, &gate, terminal)?;
    report(&run, &settings, &settings.formats, start, terminal)?;
    if let Some(mut baseline) = gate.baseline.filter(|_| settings.prune_baseline) {
        let changes = baseline.prune(&run.outcome);
        if changes.dropped > 0 {
            baseline.write()?;
            terminal.note(&format!("dropped {} from the baseline", residue_report::plural(changes.dropped, "entry")));
        }
    }
    Ok(verdict(&run.outcome, &settings))
}

/// Analyses what the settings name, and holds back what doesn't count.
pub(super) fn analyse(settings: &Settings, gate: &Gate, terminal: &Terminal) -> Result<Run, Error> {
    start_threads(settings.jobs)?;
    let progress = Progress::start(terminal.shows_progress());
    let mut run = engine::check(settings, &settings.cache, &progress)?;
    drop(progress);
    gate.apply(&mut run.outcome, settings, &run.looked_at);
    Ok(run)
}

/// Says what there is to say: data in the formats that were asked for, and talk.
pub(super) fn report(
    run: &Run,
    settings: &Settings,
    formats: &[Format],
    start: Instant,
    terminal: &Terminal,
) -> Result<(), Error> {
    let (dir, root) = (paths::slashed(&settings.dir), paths::slashed(&settings.root));
    let report = Report {
        outcome: &run.outcome,
        rules: engine::rules(),
        tool: engine::tool(),
        sources: &run.sources,
        place: Place { dir: &dir, root: &root },
        suppressed: !settings.omit_suppressed,
    };
    for format in formats {
        write(&report, format, terminal)?;
    }
    talk(&report, settings, start, terminal);
    Ok(())
}

/// Starts the threads that analysis runs on.
pub(crate) fn start_threads(jobs: Option<u16>) -> Result<(), Error> {
    /// Deep types and expressions are walked by recursion; only what is used of a stack costs memory.
    const STACK_BYTES: usize = 16 << 20;
    // None is one for each processor.
    let jobs = usize::from(jobs.unwrap_or(0));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).stack_size(STACK_BYTES);
    pool.build_global().map_err(|error| Error::failed(format!("cannot start threads: {error}")))
}

fn write(report: &Report<'_>, format: &Format, terminal: &Terminal) -> Result<(), Error> {
    let style = if format.path.is_some() { residue_report::TextStyle::default() } else { terminal.out() };
    let mut left_out = 0;
    let write = |out: &mut dyn io::Write| match format.kind {
        FormatKind::Text => residue_report::write_text(report, style, out),
        FormatKind::Json => residue_report::write_json(report, out),
        FormatKind::JsonLines => residue_report::write_json_lines(report, out),
        FormatKind::Sarif => residue_report::write_sarif(report, out).map(|count| left_out = count),
        FormatKind::GitHub => residue_report::write_github(report, out),
        FormatKind::GitLab => residue_report::write_gitlab(report, out),
        FormatKind::JUnit => residue_report::write_junit(report, out),
    };
    match &format.path {
        Some(path) => output::file(path, write)?,
        None => output::stdout(write)?,
    }
    if left_out > 0 {
        terminal.note(&format!("{left_out} results are not in the SARIF file: GitHub would refuse it with them"));
    }
    Ok(())
}

/// What there is to say beside the report.
fn talk(report: &Report<'_>, settings: &Settings, start: Instant, terminal: &Terminal) {
    let seconds = format!("{:.1}", start.elapsed().as_secs_f64());
    let talk =
        Talk { style: terminal.talk(), summary: !terminal.quiet(), seconds: Some(&seconds), verbose: settings.stats };
    let mut said = Vec::new();
    if residue_report::write_talk(report, talk, &mut said).is_ok() {
        Terminal::say(&String::from_utf8_lossy(&said));
    }
    if let Some(stats) = &report.outcome.summary.stats {
        Terminal::say(&table(stats));
        if let Some(trouble) = settings.cache.trouble() {
            terminal.note(&format!("cache not used in full: {trouble}"));
        }
    }
}

fn table(stats: &Stats) -> String {
    let mut table = String::new();
    for phase in &stats.phases {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{:>10.1} ms  {}", phase.wall.as_secs_f64() * 1e3, phase.name);
    }
    for counter in &stats.counters {
        let _ = writeln!(table, "{:>13}  {}", counter.value, counter.name);
    }
    table
}

/// The exit code says what was found before it says what could not be looked at: a finding is certain.
pub(super) fn verdict(outcome: &Outcome, settings: &Settings) -> Exit {
    let failing = match settings.fail_on {
        FailOn::Severity(severity) => outcome.count_at_least(severity),
        FailOn::Never => 0,
    };
    let complete = outcome.summary.complete() && (!settings.strict || outcome.summary.missing.is_empty());
    if failing > 0 {
        Exit::Findings
    } else if complete {
        Exit::Clean
    } else {
        Exit::Incomplete
    }
}

//! `residue baseline`: keep the list of known findings in step.

use std::path::PathBuf;
use std::time::Instant;

use residue_report::plural;

use super::check;
use crate::args::{BaselineArgs, BaselineCommand, CheckArgs, LookArgs};
use crate::baseline::{self, Baseline};
use crate::error::{Error, Exit};
use crate::gate::Gate;
use crate::paths;
use crate::settings::Settings;
use crate::terminal::Terminal;

pub(crate) fn run(args: BaselineArgs, terminal: &Terminal) -> Result<Exit, Error> {
    match args.command {
        BaselineCommand::Write(look) => write(*look, terminal),
        BaselineCommand::Check(look) => compare(*look, terminal),
        BaselineCommand::Prune(look) => prune(*look, terminal),
    }
}

fn settings(look: LookArgs) -> Result<(Settings, PathBuf), Error> {
    let settings = Settings::resolve(CheckArgs { look, ..CheckArgs::default() })?;
    let path = settings.baseline.clone().unwrap_or_else(|| settings.start_root.join(baseline::FILE_NAME));
    Ok((settings, path))
}

fn write(look: LookArgs, terminal: &Terminal) -> Result<Exit, Error> {
    let (settings, path) = settings(look)?;
    let gate = Gate { baseline: Some(Baseline::read_or_start(&path)?), change: None };
    let run = check::analyse(&settings, &gate, terminal)?;
    let mut baseline = gate.baseline.unwrap_or_default();
    let changes = baseline.rewrite(&run.outcome, &settings);
    baseline.write()?;
    let shown = paths::shown(&path, &settings.dir);
    let gone = if changes.dropped > 0 { format!(", {} gone", changes.dropped) } else { String::new() };
    let (total, added) = (changes.kept + changes.added, changes.added);
    terminal.note(&format!("{} in {shown}, {added} of them new{gone}", plural(total, "finding")));
    if settings.baseline.is_none() {
        terminal
            .hint(&format!("`residue check --baseline {shown}`, or `baseline = ` in .residue.toml, makes it count"));
    }
    Ok(incomplete(&run.outcome, terminal))
}

/// Where not everything was analysed the file is right as far as it goes, and the exit code says that it may not.
fn incomplete(outcome: &residue_finding::Outcome, terminal: &Terminal) -> Exit {
    if outcome.summary.complete() {
        return Exit::Clean;
    }
    terminal.note("not everything could be analysed, so nothing was dropped; `residue check` says what is wrong");
    Exit::Incomplete
}

fn compare(look: LookArgs, terminal: &Terminal) -> Result<Exit, Error> {
    let start = Instant::now();
    let (settings, path) = settings(look)?;
    let gate = Gate { baseline: Some(Baseline::read(&path)?), change: None };
    let run = check::analyse(&settings, &gate, terminal)?;
    check::report(&run, &settings, &settings.formats, start, terminal)?;
    let stale = run.outcome.summary.baseline.iter().flat_map(|used| &used.stale);
    for entry in stale.clone() {
        let (path, message) = (residue_report::shown(&entry.path), residue_report::shown(&entry.message));
        terminal.note(&format!("no longer found: {} {path}: {message}", entry.rule));
    }
    // Whatever its severity: the file is to say what there is.
    let in_step = run.outcome.findings.is_empty() && stale.count() == 0;
    Ok(if in_step { check::verdict(&run.outcome, &settings) } else { Exit::Findings })
}

fn prune(look: LookArgs, terminal: &Terminal) -> Result<Exit, Error> {
    let (settings, path) = settings(look)?;
    let gate = Gate { baseline: Some(Baseline::read(&path)?), change: None };
    let run = check::analyse(&settings, &gate, terminal)?;
    let mut baseline = gate.baseline.unwrap_or_default();
    let changes = baseline.prune(&run.outcome);
    if changes.dropped > 0 {
        baseline.write()?;
    }
    let shown = paths::shown(&path, &settings.dir);
    terminal.note(&format!("{} left in {shown}, {} dropped", plural(changes.kept, "finding"), changes.dropped));
    Ok(incomplete(&run.outcome, terminal))
}

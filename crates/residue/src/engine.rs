//! The one place that knows the analysis crates: load, type, check.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Instant;

use residue_check::Models;
use residue_finding::{Counter, Diagnostic, Missing, Outcome, Phase, Position, RuleMeta, Severity, Stats};
use residue_project::{Config, Env, LoadError, OsFileSystem, Problem, Project};
use residue_report::{Sources, Tool};
use residue_types::Program;

use crate::error::Error;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::suggest;

/// The rules there are, in order of their codes.
pub fn rules() -> &'static [&'static RuleMeta] {
    residue_check::rules::ALL
}

/// The rule of a code or name; or a hint what was meant.
pub(crate) fn find_rule(name: &str) -> Result<&'static RuleMeta, String> {
    let same = |rule: &&&RuleMeta| rule.code.as_str().eq_ignore_ascii_case(name) || rule.name == name;
    if let Some(rule) = rules().iter().find(same) {
        return Ok(rule);
    }
    let names = rules().iter().flat_map(|rule| [rule.code.as_str(), rule.name]);
    Err(match suggest::nearest(name, names) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "`residue rules` lists them".to_owned(),
    })
}

/// Who makes the reports.
pub(crate) fn tool() -> Tool<'static> {
    Tool { version: env!("CARGO_PKG_VERSION"), std_version: residue_project::std_version() }
}

/// What `--version` says.
pub(crate) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let Tool { version, std_version } = tool();
        format!("{version} (standard library of {std_version})")
    });
    &VERSION
}

/// A finished analysis.
pub(crate) struct Run {
    pub(crate) outcome: Outcome,
    pub(crate) sources: AnalysedSources,
}

/// Loads, types and checks what the settings name.
pub(crate) fn check(settings: &Settings, progress: &Progress) -> Result<Run, Error> {
    let mut clock = Clock::start();
    let models = models(settings)?;
    clock.phase("models");

    progress.phase("reading packages");
    let project =
        residue_project::load(&OsFileSystem, &config(settings, &models)).map_err(|error| load_error(&error))?;
    nothing_named(&project)?;
    let project = Arc::new(project);
    clock.phase("loading and parsing");

    progress.phase("typing declarations");
    let program = Program::new(Arc::clone(&project));
    clock.phase("types of declarations");

    progress.phase("checking");
    let mut outcome = residue_check::check(&program, &models, &settings.rules);
    clock.phase("types of bodies, rules");

    let summary = &mut outcome.summary;
    summary.disabled.clone_from(&settings.disabled);
    summary.diagnostics.extend(diagnostics(&project));
    summary.missing.extend(missing(&project));
    summary.stats = settings.stats.then(|| stats(&project, clock));
    outcome.finish();
    Ok(Run { outcome, sources: AnalysedSources::new(project) })
}

/// The embedded models and those the user adds.
fn models(settings: &Settings) -> Result<Models, Error> {
    let mut models = Models::embedded().map_err(|errors| {
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        Error::bug(&format!("an embedded model is malformed: {first}"))
    })?;
    let mut files = Vec::new();
    for path in &settings.models {
        let shown = shown(path, &settings.dir);
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::usage(format!("cannot read the model {shown}: {error}")))?;
        files.push((shown, text));
    }
    models.add_all(files.iter().map(|(path, text)| (path.as_str(), text.as_str()))).map_err(|errors| {
        let mut errors = errors.iter();
        let first = errors.next().map(ToString::to_string).unwrap_or_default();
        errors.fold(Error::usage(first), |error, next| error.hint(format!("also {next}")))
    })?;
    Ok(models)
}

fn config(settings: &Settings, models: &Models) -> Config {
    Config {
        patterns: settings.patterns.clone(),
        tests: settings.tests,
        include_vendor: settings.include_vendor,
        exclude: settings.exclude.clone(),
        tags: settings.tags.clone(),
        goos: settings.goos.clone(),
        goarch: settings.goarch.clone(),
        stubs: models.stubs(),
        env: Env::from_vars(std::env::vars_os().filter_map(|(name, value)| {
            // A variable that isn't text can't be one of those that matter.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        })),
        ..Config::new(&settings.dir)
    }
}

fn load_error(error: &LoadError) -> Error {
    match error {
        LoadError::Exclude { .. } => Error::usage(error.to_string()),
        LoadError::Directory { .. } => Error::failed(error.to_string()),
        LoadError::Std { .. } => Error::bug(&error.to_string()),
    }
}

/// Patterns that name nothing at all are a mistake of the command line, not of the code.
fn nothing_named(project: &Project) -> Result<(), Error> {
    let errors = || project.diagnostics.iter().filter(|d| d.severity == residue_project::Severity::Error);
    if project.roots().next().is_some() || errors().any(|d| d.problem != Problem::NoMatch) {
        return Ok(());
    }
    match errors().next() {
        Some(first) => Err(Error::usage(&*first.message).maybe_hint(first.hint.as_deref())),
        None => Ok(()),
    }
}

/// What loading complained about, and the first syntax error of each file.
fn diagnostics(project: &Project) -> Vec<Diagnostic> {
    let mut diagnostics: Vec<Diagnostic> = project.diagnostics.iter().map(diagnostic).collect();
    for (_, package) in project.roots() {
        for file in &package.files {
            let Some(first) = file.errors.first() else {
                continue;
            };
            let at = file.file.line_col(first.pos);
            let more = match file.errors.len() {
                1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                path: Some(file.path.to_string()),
                position: Some(Position { line: at.line, column: at.column }),
                message: format!("{}{more}", first.message),
                hint: None,
            });
        }
    }
    diagnostics
}

fn diagnostic(diagnostic: &residue_project::Diagnostic) -> Diagnostic {
    let place = diagnostic.place.as_ref();
    Diagnostic {
        severity: match diagnostic.severity {
            residue_project::Severity::Note => Severity::Note,
            residue_project::Severity::Warning => Severity::Warning,
            residue_project::Severity::Error => Severity::Error,
        },
        path: place.map(|place| place.path.to_string()),
        position: place.filter(|place| place.line > 0).map(|place| Position { line: place.line, column: place.column }),
        message: diagnostic.message.clone(),
        hint: diagnostic.hint.clone(),
    }
}

fn missing(project: &Project) -> impl Iterator<Item = Missing> {
    project.missing.iter().map(|missing| {
        let first = missing.import_paths.first().map(ToString::to_string).unwrap_or_default();
        Missing {
            path: missing.module.as_ref().map_or(first, |(path, _)| path.to_string()),
            version: missing.module.as_ref().map(|(_, version)| version.to_string()),
            packages: missing.import_paths.iter().map(ToString::to_string).collect(),
            importers: missing.importers,
            hint: Some(missing.hint.clone()),
        }
    })
}

fn stats(project: &Project, clock: Clock) -> Stats {
    let counter = |name, value| Counter { name, value };
    let mut counters = vec![
        counter("packages analysed", project.roots().count() as u64),
        counter("packages with their imports", project.packages.len() as u64),
        counter("files with bodies", project.stats.root_files as u64),
        counter("bytes of these", project.stats.root_bytes),
        counter("files in all", project.stats.files as u64),
        counter("bytes in all", project.stats.bytes),
    ];
    counters.extend(peak_memory().map(|bytes| counter("bytes of memory at the peak", bytes)));
    Stats { phases: clock.phases, counters }
}

/// What the kernel says was the most this process held at a time.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Times the parts of a run.
struct Clock {
    last: Instant,
    phases: Vec<Phase>,
}

impl Clock {
    fn start() -> Self {
        Self { last: Instant::now(), phases: Vec::new() }
    }

    /// Ends a part that began when the last one ended.
    fn phase(&mut self, name: &'static str) {
        let now = Instant::now();
        self.phases.push(Phase { name, wall: now - self.last });
        self.last = now;
    }
}

/// The files that were analysed, by the path they are shown under.
pub(crate) struct AnalysedSources {
    project: Arc<Project>,
    by_path: OnceLock<HashMap<Arc<str>, Arc<[u8]>>>,
}

impl AnalysedSources {
    fn new(project: Arc<Project>) -> Self {
        Self { project, by_path: OnceLock::new() }
    }
}

impl Sources for AnalysedSources {
    fn source(&self, path: &str) -> Option<Arc<[u8]>> {
        let index = || {
            let files = self.project.packages.iter().flat_map(|package| &package.files);
            files.map(|file| (Arc::clone(&file.path), Arc::clone(file.file.src()))).collect()
        };
        self.by_path.get_or_init(index).get(path).cloned()
    }
}

fn shown(path: &Path, dir: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).display().to_string()
}

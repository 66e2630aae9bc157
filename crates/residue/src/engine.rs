//! The one place that knows the analysis crates: load, type, check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use residue_check::{Models, Reuse, Reused};
use residue_finding::{Counter, Diagnostic, Missing, Outcome, Phase, Position, RuleMeta, Severity, Stats};
use residue_project::{Config, Env, FileSystem, LoadError, OsFileSystem, ParseCache, Problem, Project, Target};
use residue_report::{Sources, Tool};
use residue_types::Program;
use serde::{Deserialize, Serialize};

use crate::cache::{self, Cache, Recorder};
use crate::error::Error;
use crate::paths;
use crate::platforms::{self, Part, Platform};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::suggest;

/// The rules there are, of all lenses, in order of their codes.
pub fn rules() -> &'static [&'static RuleMeta] {
    static RULES: LazyLock<Vec<&'static RuleMeta>> = LazyLock::new(|| {
        let mut rules =
            [residue_check::rules::ALL, residue_fd::rules::ALL, crate::commands::inspect::rules::ALL].concat();
        rules.sort_by_key(|rule| rule.code);
        rules
    });
    &RULES
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
    pub(crate) looked_at: LookedAt,
}

/// What was analysed: where no finding means that there is none.
#[derive(Default)]
pub(crate) struct LookedAt {
    /// Files, as they are shown.
    pub(crate) files: BTreeSet<String>,
    /// Import paths of packages.
    pub(crate) packages: BTreeSet<String>,
}

impl LookedAt {
    /// Adds the root packages of a project.
    pub(crate) fn add(&mut self, project: &Project) {
        for (_, package) in project.roots() {
            self.files.extend(package.files.iter().map(|file| file.path.to_string()));
            self.packages.insert(package.import_path.to_string());
        }
    }
}

/// Loads, types and checks what the settings name, as far as that is not known from an earlier run.
pub(crate) fn check(settings: &Settings, cache: &Cache, progress: &Progress) -> Result<Run, Error> {
    let mut clock = Clock::start();
    let builds: Vec<(Option<&Platform>, Config)> = match settings.platforms.as_slice() {
        [] => vec![(None, config(settings, None))],
        platforms => platforms.iter().map(|platform| (Some(platform), config(settings, Some(platform)))).collect(),
    };
    let texts = model_texts(settings)?;
    let kept = cache.store().and_then(|store| {
        let base = cache::base(&texts, store)?;
        Some((store, base, cache::key(base, settings, builds.iter().map(|(_, config)| config))))
    });
    if let Some((store, _, key)) = kept
        && let Some(mut known) = cache::Kept::get(key, store, &settings.dir)
    {
        clock.phase("comparing with an earlier run");
        let reused = Reused { taken: known.totals.roots, ..Reused::default() };
        known.outcome.summary.stats = settings.stats.then(|| stats(&known.totals, reused, &known.outcome, clock));
        return Ok(Run { outcome: known.outcome, sources: known.sources, looked_at: known.looked_at });
    }
    let models = models(&texts)?;
    clock.phase("models");
    let recorder = Recorder::new();
    let mut build = Build {
        settings,
        models,
        progress,
        fs: if kept.is_some() { &recorder } else { &OsFileSystem },
        reuse: kept.map(|(store, base, _)| Reuse { store, base, memory: None, watch: None }),
        cache: (builds.len() > 1).then(ParseCache::default),
        clock,
        totals: Totals::default(),
        reused: Reused::default(),
        sources: AnalysedSources::default(),
        looked_at: LookedAt::default(),
    };
    let parts: Vec<Part> =
        builds.into_iter().map(|(platform, config)| build.check(platform, config)).collect::<Result<_, _>>()?;
    let mut outcome = platforms::merge(parts);
    outcome.summary.left_out.clone_from(&settings.left_out);
    let Build { mut clock, totals, reused, sources, looked_at, .. } = build;
    if let Some((store, _, key)) = kept
        && reused.failed == 0
    {
        let known = recorder
            .finish()
            .and_then(|trace| cache::Kept::new(trace, &outcome, &sources, &looked_at, totals, &settings.dir));
        if let Some(known) = known {
            known.put(key, store);
        }
        cache.finish();
        clock.phase("keeping what was found");
    }
    outcome.summary.stats = settings.stats.then(|| stats(&totals, reused, &outcome, clock));
    Ok(Run { outcome, sources, looked_at })
}

/// What builds share, and what they add to.
struct Build<'a> {
    settings: &'a Settings,
    models: Models,
    progress: &'a Progress,
    fs: &'a dyn FileSystem,
    reuse: Option<Reuse<'a>>,
    /// Where there are several builds.
    cache: Option<ParseCache>,
    clock: Clock,
    totals: Totals,
    reused: Reused,
    sources: AnalysedSources,
    looked_at: LookedAt,
}

impl Build<'_> {
    /// Loads, types and checks one build.
    fn check(&mut self, platform: Option<&Platform>, config: Config) -> Result<Part, Error> {
        self.progress.phase("reading packages");
        let config = Config { stubs: self.models.stubs(), ..config };
        let project = Arc::new(load(&config, self.fs, self.cache.as_ref())?);
        self.clock.phase("loading and parsing");

        let program = Program::undeclared(Arc::clone(&project));
        if self.reuse.is_none() {
            self.progress.phase("typing declarations");
            program.declare(project.packages().map(|(id, _)| id));
            self.clock.phase("types of declarations");
        }

        self.progress.phase("checking");
        let (outcome, reused) =
            residue_check::check_with(&program, &self.models, &self.settings.rules, self.reuse.as_ref());
        self.clock.phase(if self.reuse.is_none() { "types of bodies, rules" } else { "types, rules" });

        self.totals.add(&project);
        self.reused += reused;
        let part = part(platform, outcome, &project, self.settings);
        self.sources.add(&part.outcome, &project);
        self.looked_at.add(&project);
        Ok(part)
    }
}

/// Loads one build.
pub(crate) fn load(config: &Config, fs: &dyn FileSystem, cache: Option<&ParseCache>) -> Result<Project, Error> {
    let project = residue_project::load_with(fs, config, cache).map_err(|error| load_error(&error))?;
    nothing_named(&project)?;
    Ok(project)
}

/// What checking one build gave, with what loading it said.
pub(crate) fn part(platform: Option<&Platform>, mut outcome: Outcome, project: &Project, settings: &Settings) -> Part {
    let (left_out, diagnostics) = diagnostics(project);
    let summary = &mut outcome.summary;
    let Target { goos, goarch, tags, .. } = project.target.clone();
    summary.platforms.push(Platform { goos, goarch, tags }.to_string());
    summary.disabled.clone_from(&settings.disabled);
    summary.diagnostics.extend(diagnostics);
    summary.missing.extend(missing(project));
    outcome.finish();
    let files = project.roots().flat_map(|(_, package)| package.files.iter().map(|file| file.path.to_string()));
    Part {
        platform: platform.map(ToString::to_string).unwrap_or_default(),
        outcome,
        packages: project.roots().map(|(_, package)| package.to_string()).collect(),
        files: files.collect(),
        left_out,
    }
}

/// The models that the user adds: their paths as shown, and their texts.
pub(crate) fn model_texts(settings: &Settings) -> Result<Vec<(String, String)>, Error> {
    let read = |path: &PathBuf| {
        let shown = paths::shown(path, &settings.dir);
        match std::fs::read_to_string(path) {
            Ok(text) => Ok((shown, text)),
            Err(error) => Err(Error::usage(format!("cannot read the model {shown}: {error}"))),
        }
    };
    settings.models.iter().map(read).collect()
}

/// The embedded models and those the user adds.
pub(crate) fn models(texts: &[(String, String)]) -> Result<Models, Error> {
    let mut models = Models::embedded().map_err(|errors| {
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        Error::bug(&format!("an embedded model is malformed: {first}"))
    })?;
    models.add_all(texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))).map_err(|errors| {
        let mut errors = errors.iter();
        let first = errors.next().map(ToString::to_string).unwrap_or_default();
        errors.fold(Error::usage(first), |error, next| error.hint(format!("also {next}")))
    })?;
    Ok(models)
}

/// What to load for a build, without the declarations of models.
pub(crate) fn config(settings: &Settings, platform: Option<&Platform>) -> Config {
    let tags = platform.map(|platform| platform.tags.as_slice()).unwrap_or_default();
    Config {
        patterns: settings.patterns.clone(),
        trees: settings.trees,
        tests: settings.tests,
        include_vendor: settings.include_vendor,
        exclude: settings.exclude.clone(),
        allow_paths: settings.allow_paths.clone(),
        tags: settings.tags.iter().chain(tags).cloned().collect(),
        goos: platform.map_or_else(|| settings.goos.clone(), |platform| Some(platform.goos.clone())),
        goarch: platform.map_or_else(|| settings.goarch.clone(), |platform| Some(platform.goarch.clone())),
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

/// What loading said of named directories without files for this build, and what else it complained about, with the
/// first syntax error of each file.
fn diagnostics(project: &Project) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    // A dependency without files is a warning, and a defect of this build whatever the others have.
    let left_out = |d: &&residue_project::Diagnostic| {
        d.problem == Problem::AllExcluded && d.severity != residue_project::Severity::Warning
    };
    let (left_out, rest): (Vec<_>, Vec<_>) = project.diagnostics.iter().partition(left_out);
    let left_out = left_out.into_iter().map(diagnostic).collect();
    let mut diagnostics: Vec<Diagnostic> = rest.into_iter().map(diagnostic).collect();
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
    (left_out, diagnostics)
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

/// How much there was to do, in all builds.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Totals {
    builds: u64,
    /// Packages that are analysed.
    roots: u64,
    packages: u64,
    files: u64,
    bytes: u64,
    root_files: u64,
    root_bytes: u64,
}

impl Totals {
    fn add(&mut self, project: &Project) {
        self.builds += 1;
        self.roots += project.roots().count() as u64;
        self.packages += project.packages.len() as u64;
        self.files += project.stats.files as u64;
        self.bytes += project.stats.bytes;
        self.root_files += project.stats.root_files as u64;
        self.root_bytes += project.stats.root_bytes;
    }
}

fn stats(totals: &Totals, reused: Reused, outcome: &Outcome, clock: Clock) -> Stats {
    let counter = |name, value| Counter { name, value };
    let mut counters = vec![
        counter("packages analysed", reused.analysed),
        counter("packages taken from the cache", reused.taken),
        counter("function bodies lowered and summed up", outcome.summary.bodies as u64),
        counter("function bodies executed path by path", outcome.summary.executed as u64),
        counter("function bodies of imported packages summed up", outcome.summary.opened as u64),
        counter("packages with their imports", totals.packages),
        counter("files with bodies", totals.root_files),
        counter("bytes of these", totals.root_bytes),
        counter("files in all", totals.files),
        counter("bytes in all", totals.bytes),
    ];
    if totals.builds > 1 {
        counters.insert(0, counter("platforms, all counted in each", totals.builds));
    }
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

    /// Ends a part that began when the last one ended; parts of one name are added up.
    fn phase(&mut self, name: &'static str) {
        let now = Instant::now();
        let wall = now - self.last;
        match self.phases.iter_mut().find(|phase| phase.name == name) {
            Some(phase) => phase.wall += wall,
            None => self.phases.push(Phase { name, wall }),
        }
        self.last = now;
    }
}

/// The files that the outcome speaks of, by the path they are shown under.
#[derive(Default)]
pub(crate) struct AnalysedSources {
    pub(crate) by_path: BTreeMap<String, Arc<[u8]>>,
}

impl AnalysedSources {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        self.by_path.iter().map(|(path, text)| (path.as_str(), text))
    }

    pub(crate) fn insert(&mut self, path: String, text: Arc<[u8]>) {
        self.by_path.insert(path, text);
    }

    /// Keeps the files that an outcome speaks of; all others may be forgotten with their project.
    pub(crate) fn add(&mut self, outcome: &Outcome, project: &Project) {
        let held = outcome.suppressed.iter().map(|suppressed| &suppressed.finding);
        let paths = outcome.findings.iter().chain(held).flat_map(|finding| {
            let steps = finding.steps.iter().map(|step| &step.site.path);
            let edits = finding.help.iter().flat_map(|help| &help.edits).map(|edit| &edit.path);
            std::iter::once(&finding.site.path).chain(steps).chain(edits)
        });
        let wanted: BTreeSet<&str> = paths.map(String::as_str).collect();
        for file in project.packages.iter().flat_map(|package| &package.files) {
            if wanted.contains(&*file.path) {
                self.by_path.entry(file.path.to_string()).or_insert_with(|| Arc::clone(file.file.src()));
            }
        }
    }
}

impl Sources for AnalysedSources {
    fn source(&self, path: &str) -> Option<Arc<[u8]>> {
        self.by_path.get(path).cloned()
    }
}

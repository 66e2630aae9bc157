//! The analysis of one folder, again and again: what has not changed is not looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use residue_cache::{Digest, MemoryStore};
use residue_check::{Memory, Models, Reuse, Watch};
use residue_finding::{Finding, Outcome};
use residue_project::{Config, FileSystem as _, Package, PackageId, ParseCache, Project};
use residue_types::Program;

use super::folder::Changes;
use super::overlay::Overlay;
use crate::args::{CheckArgs, LookArgs};
use crate::baseline::Baseline;
use crate::engine::{self, AnalysedSources, LookedAt};
use crate::error::Error;
use crate::gate::Gate;
use crate::paths;
use crate::platforms::{self, Part, Platform};
use crate::settings::Settings;

/// What was found, as `check` would report it.
#[derive(Clone, Debug, Default)]
pub(super) struct Analysis {
    pub(super) findings: Vec<Finding>,
    /// The texts that findings speak of, by the paths that these give.
    pub(super) texts: BTreeMap<String, Arc<[u8]>>,
    /// The files that an early answer is about, by the same paths.
    pub(super) early: Vec<String>,
    /// Why the configuration in force is not the present one.
    pub(super) complaint: Option<String>,
}

/// How much of a folder is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// What `check` looks at in it.
    Tree,
    /// The package in it alone.
    Package,
}

/// A folder's state between two looks at it.
pub(super) struct Session {
    dir: PathBuf,
    reach: Reach,
    args: LookArgs,
    state: Option<State>,
    /// What has changed since the state was brought up to date.
    changes: Changes,
    /// Why the present configuration can't be used.
    complaint: Option<String>,
}

/// What is kept between two looks.
struct State {
    settings: Settings,
    /// What the settings and the models they name say, to see whether they changed.
    told: String,
    models: Models,
    gate: Gate,
    cache: ParseCache,
    builds: Vec<Build>,
    /// What was found in packages, by all that it depends on.
    store: MemoryStore,
    /// The digest of the models.
    base: Digest,
    /// What was said last about all of it.
    last: Analysis,
}

/// Bytes of findings and summaries that are kept: of a module of 300,000 lines, a few versions.
const STORE_BYTES_MAX: usize = 64 << 20;

/// Whether a look is for nothing by now.
pub(super) type Superseded<'a> = &'a (dyn Fn() -> bool + Sync);

/// Tells what is known before all is.
pub(super) type Tell<'a> = &'a (dyn Fn(Analysis) + Sync);

/// One of the builds that are looked at.
#[derive(Default)]
struct Build {
    platform: Option<Platform>,
    program: Option<Program>,
    memory: Memory,
    /// By package of the program, the digest of all that its importers see.
    seen: Arc<[Digest]>,
}

impl Session {
    pub(super) fn new(dir: PathBuf, reach: Reach, args: LookArgs) -> Self {
        Self { dir, reach, args, state: None, changes: Changes::default(), complaint: None }
    }

    /// Drops what is known.
    pub(super) fn forget(&mut self) {
        self.state = None;
    }

    /// Looks at the folder again; none where that was `superseded` before it was done.
    pub(super) fn analyse(
        &mut self,
        files: &Overlay,
        changes: Changes,
        superseded: Superseded<'_>,
        early: Tell<'_>,
    ) -> Result<Option<Analysis>, Error> {
        self.changes.add(changes);
        if self.changes.configuration || self.state.is_none() {
            self.complaint = match self.configure() {
                // What held before holds on.
                Err(error) if self.state.is_some() => Some(error.said()),
                result => result.map(|()| None)?,
            };
            self.changes.configuration = false;
        }
        let Some(state) = &mut self.state else { return Ok(None) };
        let paths = self.changes.buffers.iter().chain(&self.changes.files);
        let changed: BTreeSet<String> = paths.map(|path| paths::shown(path, &state.settings.dir)).collect();
        state.cache.distrust(|path| self.changes.anything || changed.contains(path));
        for build in &mut state.builds {
            // What is abandoned here begins again with the same changes.
            if superseded() {
                return Ok(None);
            }
            build.update(&state.settings, &state.models, &state.cache, files, &self.changes)?;
        }
        state.cache.sweep();
        self.changes = Changes::default();
        let complaint = &self.complaint;
        let early = |analysis| early(Analysis { complaint: complaint.clone(), ..analysis });
        let analysis = state.look(&changed, superseded, &early);
        Ok(analysis.map(|analysis| Analysis { complaint: complaint.clone(), ..analysis }))
    }

    /// Reads the configuration and what it names. What is known is kept where they say the same as before.
    fn configure(&mut self) -> Result<(), Error> {
        // Each letter that is typed would be kept on disk otherwise.
        let look = LookArgs { no_cache: true, ..self.args.clone() };
        let args = CheckArgs { look, ..CheckArgs::default() };
        let mut settings = Settings::resolve_in(args, self.dir.clone())?;
        if self.reach == Reach::Package {
            (settings.patterns, settings.trees) = (vec![".".to_owned()], false);
        }
        let gate = Gate { baseline: settings.baseline.as_deref().map(Baseline::read).transpose()?, change: None };
        let texts = engine::model_texts(&settings)?;
        let told = format!("{settings:?} {texts:?}");
        match &mut self.state {
            Some(state) if state.told == told => {
                (state.settings, state.gate) = (settings, gate);
            }
            state => {
                let builds: Vec<Option<Platform>> = match settings.platforms.as_slice() {
                    [] => vec![None],
                    platforms => platforms.iter().cloned().map(Some).collect(),
                };
                let builds = builds.into_iter().map(|platform| Build { platform, ..Build::default() }).collect();
                *state = Some(State {
                    models: engine::models(&texts)?,
                    settings,
                    told,
                    gate,
                    cache: ParseCache::default(),
                    builds,
                    store: MemoryStore::new(STORE_BYTES_MAX),
                    base: Digest::of(format!("{texts:?}").as_bytes()),
                    last: Analysis::default(),
                });
            }
        }
        Ok(())
    }
}

impl State {
    /// Looks at all packages, as far as something has changed for them; first at those with `changed` files.
    fn look(&mut self, changed: &BTreeSet<String>, superseded: Superseded<'_>, early: Tell<'_>) -> Option<Analysis> {
        let mut parts: Vec<Part> = Vec::new();
        let mut sources = AnalysedSources::default();
        let mut looked_at = LookedAt::default();
        // With several builds no single one has the last word.
        let alone = self.builds.len() == 1;
        for build in &self.builds {
            let Some(program) = &build.program else { continue };
            let project = program.project();
            let holds = |package: &Package| package.files.iter().any(|file| changed.contains(&*file.path));
            let first: Vec<PackageId> = project.roots().filter(|(_, it)| holds(it)).map(|(id, _)| id).collect();
            let tell = |outcome| {
                if alone && !superseded() {
                    early(self.early(outcome, project, &first));
                }
            };
            let watch = Watch { stop: superseded, first: &first, tell: &tell };
            let reuse = Reuse { store: &self.store, base: self.base, memory: Some(&build.memory), watch: Some(watch) };
            let (outcome, reused) =
                residue_check::check_with(program, &self.models, &self.settings.rules, Some(&reuse));
            if reused.stopped > 0 {
                return None;
            }
            let part = engine::part(build.platform.as_ref(), outcome, project, &self.settings);
            sources.add(&part.outcome, project);
            looked_at.add(project);
            parts.push(part);
        }
        let mut outcome = platforms::merge(parts);
        self.gate.apply(&mut outcome, &self.settings, &looked_at);
        let analysis = Analysis { findings: outcome.findings, texts: sources.by_path, ..Analysis::default() };
        self.last = analysis.clone();
        Some(analysis)
    }

    /// What is known when the packages that changed were looked at: of others, what was known before.
    fn early(&self, mut outcome: Outcome, project: &Project, first: &[PackageId]) -> Analysis {
        let mut sources = AnalysedSources::default();
        sources.add(&outcome, project);
        let mut looked_at = LookedAt::default();
        let files = first.iter().flat_map(|id| &project[*id].files);
        looked_at.files = files.map(|file| file.path.to_string()).collect();
        self.gate.apply(&mut outcome, &self.settings, &looked_at);
        let last = self.last.findings.iter().filter(|finding| !looked_at.files.contains(&finding.site.path));
        let findings = outcome.findings.into_iter().chain(last.cloned()).collect();
        let mut texts = self.last.texts.clone();
        texts.extend(sources.by_path);
        Analysis { findings, texts, early: looked_at.files.into_iter().collect(), complaint: None }
    }
}

impl Build {
    /// Brings the program up to date.
    fn update(
        &mut self,
        settings: &Settings,
        models: &Models,
        cache: &ParseCache,
        files: &Overlay,
        changes: &Changes,
    ) -> Result<(), Error> {
        let before = self.program.as_ref().filter(|_| !changes.anything);
        let project = match before.map_or(Edited::Otherwise, |it| edited(it.project(), settings, files, changes)) {
            Edited::Nothing => return Ok(()),
            Edited::Texts(project) => *project,
            Edited::Otherwise => {
                let config = engine::config(settings, self.platform.as_ref());
                engine::load(&Config { stubs: models.stubs(), ..config }, files, Some(cache))?
            }
        };
        let project = Arc::new(project);
        let seen = self.memory.take_in(&project);
        self.program = Some(match &self.program {
            Some(before) => before.next(&project, |new, old| seen.get(new.index()) == self.seen.get(old.index())),
            None => Program::undeclared(project),
        });
        self.seen = seen;
        Ok(())
    }
}

/// What changes make of a project.
enum Edited {
    /// It is as it was.
    Nothing,
    /// Only texts of its files are others.
    Texts(Box<Project>),
    /// It is to be loaded again.
    Otherwise,
}

/// The project after changes of single files, if there are no others.
fn edited(before: &Project, settings: &Settings, files: &Overlay, changes: &Changes) -> Edited {
    let mut project: Option<Project> = None;
    for path in changes.buffers.iter().chain(&changes.files) {
        let shown = paths::shown(path, &settings.dir);
        if !is_of_interest(path, settings) {
            // Of a directory that is removed as a whole, editors say nothing else.
            if before.roots().any(|(_, package)| Path::new(&*package.dir).starts_with(&shown)) {
                return Edited::Otherwise;
            }
            continue;
        }
        let now = project.as_ref().unwrap_or(before);
        let known = now.packages.iter().flat_map(|package| &package.files).find(|file| *file.path == *shown);
        let text: Arc<[u8]> = match files.buffers.get(path) {
            Some(text) => Arc::clone(text),
            // Looked at as loading does where it is not what it was.
            None => match files.read(path) {
                Ok(text) if known.is_some_and(|known| **known.file.src() == *text) => continue,
                _ => return Edited::Otherwise,
            },
        };
        if known.is_some_and(|known| **known.file.src() == *text) {
            continue;
        }
        if text.len() as u64 > residue_project::Config::MAX_FILE_BYTES {
            return Edited::Otherwise;
        }
        match now.with_text(&shown, &text) {
            Some(edited) => project = Some(edited),
            None => return Edited::Otherwise,
        }
    }
    project.map_or(Edited::Nothing, |project| Edited::Texts(Box::new(project)))
}

/// Whether a change of a file can make a difference.
fn is_of_interest(path: &Path, settings: &Settings) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match (name, name.strip_suffix(".go")) {
        ("go.mod" | "go.work" | "modules.txt", _) => true,
        (_, Some(stem)) => settings.tests || !stem.ends_with("_test"),
        (_, None) => false,
    }
}

//! The loader: reads root packages and, wave by wave, what they import.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use residue_syntax::Bodies;

use crate::build::BuildSet;
use crate::cache::ParseCache;
use crate::fs::FileSystem;
use crate::glob::Globs;
use crate::guard::Boundary;
use crate::link::{Graph, Linked, link};
use crate::missing::MissingSet;
use crate::modules::{BuildList, Found, Layout, ModuleInfo, NotFound, Setup, go_files, is_std_like};
use crate::paths::join;
use crate::report::Reporter;
use crate::source::{Content, Part, Reader, Request, Source};
use crate::stdlib::{Archive, embedded};
use crate::{Config, Diagnostic, GoVersion, LoadError, LoadStats, ModuleKind, Origin, Problem, Project, Severity};

/// Loads what a configuration asks for.
///
/// Problems with single files, directories, modules or patterns are [`Project::diagnostics`]; an error means that
/// nothing could be done at all.
pub fn load(fs: &dyn FileSystem, config: &Config) -> Result<Project, LoadError> {
    load_with(fs, config, None)
}

/// The same, with files that earlier runs over the same tree have parsed; adds those that it parses.
pub fn load_with(fs: &dyn FileSystem, config: &Config, cache: Option<&ParseCache>) -> Result<Project, LoadError> {
    let excludes = Globs::new(&config.exclude).map_err(|(glob, message)| LoadError::Exclude { glob, message })?;
    let std = embedded().map_err(|message| LoadError::Std { message })?;
    let dir_error = |error| LoadError::Directory { path: config.dir.clone(), error };
    fs.list(&config.dir).map_err(dir_error)?;
    let dir = if config.dir.is_absolute() {
        crate::paths::clean(&config.dir)
    } else {
        fs.canonicalize(&config.dir).map_err(dir_error)?
    };
    let config = Config { dir, env: config.env.with_go_env_files(fs), ..config.clone() };
    let reporter = Reporter::new(&config.dir);
    let setup = Setup {
        fs,
        reporter: &reporter,
        cache: config.env.module_cache(),
        gopath: config.env.gopath(),
        mod_flag: config.env.goflag("mod"),
        newest: std.go_version(),
    };
    for path in &config.allow_paths {
        let path = crate::paths::clean(&config.dir.join(path));
        if let Err(error) = fs.canonicalize(&path) {
            let message = format!("what `--allow-path` names cannot be read: {error}");
            reporter.file(Severity::Warning, Problem::Environment, &path, message, "");
        }
    }
    let roots = crate::tree::expand(&setup, &config, &excludes);
    let mut problems = Vec::new();
    let release = crate::toolchain::release(fs, &config.env, &roots.lists, std.go_version(), &mut problems);
    let set = BuildSet::new(&config, &config.env, release, &mut problems);
    for problem in problems {
        reporter.push(problem);
    }
    let std_set = set.for_std(std.go_version());
    let reader = |set| Reader {
        fs,
        reporter: &reporter,
        set,
        excludes: &excludes,
        max_file_bytes: config.max_file_bytes,
        cache,
    };
    let readers = Readers { tree: reader(&set), std: reader(&std_set) };
    let mut loader = Loader {
        config: &config,
        setup: &setup,
        std,
        goroot: config.env.goroot(fs),
        lists: roots.lists,
        std_lists: BTreeMap::new(),
        nodes: Vec::new(),
        by_path: HashMap::new(),
        resolved: HashMap::new(),
        not_found: BTreeMap::new(),
        stats: LoadStats::default(),
    };
    loader.open_std_lists();
    loader.add_roots(roots.packages);
    loader.run(&readers);
    loader.report_empty(&set);
    loader.report_internal();
    let missing = loader.missing();
    let Linked { packages, modules } = loader.link();
    let stats = loader.stats;
    let diagnostics = {
        drop(loader);
        reporter.finish()
    };
    Ok(Project {
        packages,
        modules,
        diagnostics,
        missing,
        target: set.target(),
        std_version: std.version().into(),
        stats,
    })
}

/// Index of a build list, or [`STD`].
pub(crate) type Scope = usize;

/// The scope of the embedded standard library's own imports.
pub(crate) const STD: Scope = usize::MAX;

/// A package directory on its way to become packages.
pub(crate) struct Node {
    pub(crate) import_path: Arc<str>,
    /// Where its imports are looked up.
    pub(crate) scope: Scope,
    pub(crate) module: Option<Arc<ModuleInfo>>,
    pub(crate) origin: Origin,
    pub(crate) go_version: GoVersion,
    /// Its directory as displayed.
    pub(crate) dir: Arc<str>,
    pub(crate) source: Source,
    pub(crate) content: Content,
}

impl Node {
    pub(crate) fn is_root(&self) -> bool {
        self.origin == Origin::Root
    }

    /// Whether there is anything to import.
    pub(crate) fn is_usable(&self) -> bool {
        self.content.files.iter().any(|files| !files.is_empty())
    }
}

/// What an import path leads to.
enum Target {
    Std(&'static str),
    Found(Scope, Found),
    Stub(usize),
    Nowhere(NotFound),
}

/// Readers for the two kinds of source, which differ in their build sets.
struct Readers<'a> {
    tree: Reader<'a>,
    std: Reader<'a>,
}

struct Loader<'a> {
    config: &'a Config,
    setup: &'a Setup<'a>,
    std: &'static Archive<'static>,
    goroot: Option<PathBuf>,
    lists: Vec<BuildList>,
    /// For a tree of the go command: the build list of the standard library beside it.
    std_lists: BTreeMap<Scope, Scope>,
    nodes: Vec<Node>,
    by_path: HashMap<(Scope, Arc<str>), usize>,
    resolved: HashMap<(Scope, Arc<str>), Option<usize>>,
    not_found: BTreeMap<(Scope, Arc<str>), NotFound>,
    stats: LoadStats,
}

impl Loader<'_> {
    /// The go command's tree takes the standard library from the tree beside it, not from the archive.
    fn open_std_lists(&mut self) {
        for scope in 0..self.lists.len() {
            let list = &self.lists[scope];
            if list.layout != Layout::Cmd {
                continue;
            }
            let Some(src) = list.mains.first().and_then(|main| main.info.dir.parent()).map(Path::to_path_buf) else {
                continue;
            };
            let known = self.lists.iter().position(|list| {
                list.layout == Layout::Std && list.mains.first().is_some_and(|main| main.info.dir == src)
            });
            let boundary = list.boundary.clone();
            let std = known.unwrap_or_else(|| {
                self.lists.push(BuildList::modules(self.setup, &[src], boundary, None));
                self.lists.len() - 1
            });
            self.std_lists.insert(scope, std);
        }
    }

    fn add_roots(&mut self, roots: Vec<(Scope, Found)>) {
        for (scope, found) in roots {
            self.add_found(scope, found, true);
        }
    }

    fn add(&mut self, node: Node) -> usize {
        let index = self.nodes.len();
        self.by_path.insert((node.scope, node.import_path.clone()), index);
        self.nodes.push(node);
        index
    }

    fn add_found(&mut self, scope: Scope, found: Found, root: bool) -> usize {
        if let Some(&known) = self.by_path.get(&(scope, found.import_path.clone())) {
            return known;
        }
        let goroot = matches!(self.lists[scope].layout, Layout::Std | Layout::Cmd);
        let origin = match found.module.kind {
            _ if root => Origin::Root,
            ModuleKind::Std => Origin::Std,
            _ if goroot => Origin::Std,
            ModuleKind::Main | ModuleKind::AdHoc => Origin::Local,
            ModuleKind::Dependency => Origin::Dependency,
        };
        let boundary = match origin {
            Origin::Dependency => Boundary::new([found.module.dir.clone()]),
            _ => self.lists[scope].boundary.clone(),
        };
        self.add(Node {
            import_path: found.import_path,
            scope,
            origin,
            go_version: found.module.go_version,
            module: Some(found.module),
            dir: self.setup.reporter.display(&found.dir),
            source: Source::Dir { dir: found.dir, files: found.files, boundary },
            content: Content::default(),
        })
    }

    fn add_std(&mut self, path: &'static str) -> usize {
        if let Some(&known) = self.by_path.get(&(STD, path.into())) {
            return known;
        }
        let dir: Arc<str> = format!("$GOROOT/src/{path}").into();
        let module = ModuleInfo {
            path: "std".into(),
            version: self.std.version().into(),
            kind: ModuleKind::Std,
            dir: PathBuf::from("$GOROOT/src"),
            go_version: self.std.go_version(),
        };
        self.add(Node {
            import_path: path.into(),
            scope: STD,
            module: Some(Arc::new(module)),
            origin: Origin::Std,
            go_version: self.std.go_version(),
            dir,
            source: Source::Std(path.into()),
            content: Content::default(),
        })
    }

    fn add_stub(&mut self, scope: Scope, stub: usize) -> usize {
        let package = &self.config.stubs[stub];
        let dir = package.path.rsplit_once('/').map_or(".", |(dir, _)| dir).into();
        self.add(Node {
            import_path: package.import_path.clone(),
            scope,
            module: None,
            origin: Origin::Model,
            go_version: self.std.go_version(),
            dir,
            source: Source::Stub(stub),
            content: Content::default(),
        })
    }

    /// Reads packages and what they import until nothing new comes up.
    fn run(&mut self, readers: &Readers<'_>) {
        let mut first = 0;
        while first < self.nodes.len() {
            let contents: Vec<Content> = self.nodes[first..].par_iter().map(|node| self.read(readers, node)).collect();
            let mut wanted: BTreeSet<(Scope, Arc<str>)> = BTreeSet::new();
            for (node, content) in self.nodes[first..].iter_mut().zip(contents) {
                let paths = content.imports.iter().flat_map(BTreeMap::keys);
                wanted.extend(paths.map(|path| (node.scope, path.clone())));
                self.stats.files += content.parsed_files;
                self.stats.bytes += content.parsed_bytes;
                if node.is_root() {
                    self.stats.root_files += content.parsed_files;
                    self.stats.root_bytes += content.parsed_bytes;
                }
                node.content = content;
            }
            first = self.nodes.len();
            wanted.retain(|key| !self.resolved.contains_key(key));
            let wanted: Vec<_> = wanted.into_iter().collect();
            let targets: Vec<Target> = wanted.par_iter().map(|(scope, path)| self.resolve(*scope, path)).collect();
            for (key, target) in wanted.into_iter().zip(targets) {
                let node = match target {
                    Target::Std(path) => Some(self.add_std(path)),
                    Target::Found(scope, found) => Some(self.add_found(scope, found, false)),
                    Target::Stub(stub) => Some(self.add_stub(key.0, stub)),
                    Target::Nowhere(why) => {
                        self.not_found.insert(key.clone(), why);
                        None
                    }
                };
                self.resolved.insert(key, node);
            }
        }
    }

    fn read(&self, readers: &Readers<'_>, node: &Node) -> Content {
        let root = node.is_root();
        let keep = root || self.config.all_bodies;
        let inside = Boundary::default();
        let mut request = Request {
            go_version: node.go_version,
            bodies: if keep { Bodies::Keep } else { Bodies::Skip },
            tests: root && self.config.tests,
            root,
            boundary: &inside,
        };
        match &node.source {
            Source::Dir { dir, files, boundary } => {
                request.boundary = boundary;
                readers.tree.directory(dir, files, &request)
            }
            Source::Std(path) => {
                let files = self.std.files(path).unwrap_or_default();
                let shown = |name: &str| format!("$GOROOT/src/{path}/{name}").into();
                readers.std.memory(files.into_iter().map(|(name, text)| (shown(&name), text)).collect(), &request)
            }
            Source::Stub(stub) => {
                let stub = &self.config.stubs[*stub];
                readers.tree.memory(vec![(stub.path.clone(), stub.source.clone())], &request)
            }
        }
    }

    /// Looks an import path up as a package of `scope` means it.
    fn resolve(&self, scope: Scope, path: &str) -> Target {
        if scope == STD {
            let vendored = || self.std.path(&format!("vendor/{path}"));
            return match self.std.path(path).or_else(vendored) {
                Some(path) => Target::Std(path),
                None => Target::Nowhere(NotFound::NotStd),
            };
        }
        let list = &self.lists[scope];
        let find = |scope: Scope| self.lists[scope].find(self.setup.fs, self.setup.reporter, path);
        match list.layout {
            Layout::Modules | Layout::AdHoc => {
                if is_std_like(path)
                    && let Some(path) = self.std.path(path)
                {
                    return Target::Std(path);
                }
            }
            Layout::Std => {}
            Layout::Cmd => {
                if is_std_like(path)
                    && crate::paths::below(path, "cmd").is_none()
                    && let Some(&std) = self.std_lists.get(&scope)
                    && let Ok(found) = find(std)
                {
                    return Target::Found(std, found);
                }
            }
        }
        match find(scope) {
            Ok(found) => Target::Found(scope, found),
            Err(why) => {
                if why == NotFound::NotStd
                    && let Some(found) = self.in_goroot(path)
                {
                    return Target::Found(scope, found);
                }
                match self.config.stubs.iter().position(|stub| &*stub.import_path == path) {
                    Some(stub) => Target::Stub(stub),
                    None => Target::Nowhere(why),
                }
            }
        }
    }

    /// A package of the installed Go that the embedded release does not have.
    fn in_goroot(&self, path: &str) -> Option<Found> {
        let src = self.goroot.as_ref()?.join("src");
        let dir = join(&src, path);
        let files = go_files(&self.setup.fs.list(&dir).ok()?);
        let module = ModuleInfo {
            path: "std".into(),
            version: "".into(),
            kind: ModuleKind::Std,
            dir: src,
            go_version: self.std.go_version(),
        };
        (!files.is_empty()).then(|| Found { import_path: path.into(), module: Arc::new(module), dir, files })
    }

    /// Says which directories that were asked for, or are imported, hold nothing for this build set.
    fn report_empty(&self, set: &BuildSet) {
        let nothing_left = !self.nodes.iter().any(|node| node.is_root() && node.is_usable());
        for node in self.nodes.iter().filter(|node| !node.is_usable() && node.content.constrained) {
            let Source::Dir { dir, .. } = &node.source else { continue };
            let severity = match node.origin {
                Origin::Root if nothing_left => Severity::Error,
                Origin::Root => Severity::Note,
                _ => Severity::Warning,
            };
            let message = format!("build constraints leave out all Go files for {}/{}", set.goos, set.goarch);
            let hint = "set GOOS, GOARCH, CGO_ENABLED or build tags to look at another build";
            self.setup.reporter.file(severity, Problem::AllExcluded, dir, message, hint);
        }
        if nothing_left {
            for node in self.nodes.iter().filter(|node| node.is_root() && !node.content.constrained) {
                let Source::Dir { dir, .. } = &node.source else { continue };
                if !node.content.incomplete {
                    let hint = "tests are left out; `--tests` analyses them";
                    self.setup.reporter.file(Severity::Error, Problem::NoGoFiles, dir, "no Go files but tests", hint);
                }
            }
        }
    }

    /// Says which imports of the analysed modules reach into `internal` directories of others.
    fn report_internal(&self) {
        for node in self.nodes.iter().filter(|node| matches!(node.origin, Origin::Root | Origin::Local)) {
            // Package `main` of a module's root has the module's path; one without any path is above everything.
            let importer = if &*node.import_path == "." { "" } else { &*node.import_path };
            for (path, place) in node.content.imports.iter().flatten() {
                let Some(&Some(target)) = self.resolved.get(&(node.scope, path.clone())) else { continue };
                let target = &self.nodes[target];
                let same_tree = (node.origin == Origin::Std) == (target.origin == Origin::Std)
                    || matches!(self.lists[node.scope].layout, Layout::Std | Layout::Cmd);
                if crate::internal::allows(importer, path, same_tree) {
                    continue;
                }
                let owner = match crate::internal::parent(path) {
                    Some("") | None => "the standard library".to_owned(),
                    Some(parent) => format!("`{parent}`"),
                };
                self.setup.reporter.push(Diagnostic {
                    place: Some(place.clone()),
                    severity: Severity::Note,
                    problem: Problem::Internal,
                    message: format!("`{path}` is internal to {owner}: Go refuses to import it here"),
                    hint: Some("it was read all the same".to_owned()),
                });
            }
        }
    }

    /// Imports that lead nowhere, a line a module.
    fn missing(&self) -> Vec<crate::Missing> {
        let mut set = MissingSet::new(self.std.version());
        for (importer, node) in self.nodes.iter().enumerate() {
            let mut paths: BTreeSet<&Arc<str>> = BTreeSet::new();
            for part in [Part::Plain, Part::Tests, Part::External] {
                paths.extend(node.content.imports[part as usize].keys());
            }
            for path in paths {
                if let Some(why) = self.not_found.get(&(node.scope, path.clone())) {
                    let modules = self.lists.get(node.scope).is_some_and(|list| list.layout == Layout::Modules);
                    set.add(importer, path, why, modules);
                }
            }
        }
        set.finish()
    }

    fn link(&mut self) -> Linked {
        let resolved = std::mem::take(&mut self.resolved);
        let nodes = std::mem::take(&mut self.nodes);
        let usable: Vec<bool> = nodes.iter().map(Node::is_usable).collect();
        let target = |scope: Scope, path: &Arc<str>| {
            resolved.get(&(scope, path.clone())).copied().flatten().filter(|&node| usable[node])
        };
        link(&Graph { nodes, target: &target, reporter: self.setup.reporter })
    }
}

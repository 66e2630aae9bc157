//! Build lists: the main modules of a run, the versions selected for them, and where an import path leads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::fs::{FileSystem, Kind};
use crate::guard::{Boundary, is_inside, read_inside, read_small};
use crate::modfile::{Dialect, ModFile, ModuleVersion, Replace};
use crate::modgraph::{self, Selection};
use crate::paths::{below, escape, is_import_path, is_version, join};
use crate::report::Reporter;
use crate::vendor::Vendor;
use crate::{Diagnostic, GoVersion, ModuleKind, Problem, Severity};

/// A module that is looked at.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ModuleInfo {
    pub(crate) path: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) kind: ModuleKind,
    pub(crate) dir: PathBuf,
    pub(crate) go_version: GoVersion,
}

/// A module under analysis.
#[derive(Debug)]
pub(crate) struct MainModule {
    pub(crate) info: Arc<ModuleInfo>,
    pub(crate) file: Arc<ModFile>,
}

/// How import paths lead to directories.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    /// By `go.mod`.
    Modules,
    /// The standard library's own tree, `GOROOT/src`.
    Std,
    /// The go command's own tree, `GOROOT/src/cmd`.
    Cmd,
    /// A directory without `go.mod`: relative to it, then by `GOPATH`.
    AdHoc,
}

/// What imports mean for one set of main modules.
#[derive(Debug)]
pub(crate) struct BuildList {
    pub(crate) layout: Layout,
    /// Analysed modules; one, unless a `go.work` names more.
    pub(crate) mains: Vec<MainModule>,
    /// Files outside are not read, whatever links and `replace` lines say.
    pub(crate) boundary: Boundary,
    pub(crate) vendor: Option<Vendor>,
    /// The `replace` lines in force, those of a `go.work` first, each with its file.
    replaces: Vec<(PathBuf, Replace)>,
    /// The greatest version of the `go` lines, of modules and of `go.work`.
    pub(crate) go: Option<GoVersion>,
    /// The greatest version of the `toolchain` lines; one of a `go.work` overrides those of modules.
    pub(crate) toolchain: Option<GoVersion>,
    excludes: BTreeSet<ModuleVersion>,
    cache: Option<PathBuf>,
    gopath: Option<PathBuf>,
    direct: Selection,
    full: OnceLock<Selection>,
    summaries: Mutex<HashMap<ModuleVersion, Option<Arc<ModFile>>>>,
    located: Mutex<HashMap<ModuleVersion, Option<Arc<ModuleInfo>>>>,
}

/// A package's directory.
#[derive(Debug)]
pub(crate) struct Found {
    /// The import path by which it is known, after `vendor` resolution.
    pub(crate) import_path: Arc<str>,
    pub(crate) module: Arc<ModuleInfo>,
    pub(crate) dir: PathBuf,
    /// Names of its `.go` files, sorted.
    pub(crate) files: Vec<GoFile>,
}

/// An entry of a directory whose name ends in `.go`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct GoFile {
    pub(crate) name: String,
    pub(crate) symlink: bool,
}

/// Why an import path leads nowhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NotFound {
    /// The module that should hold it is not in the cache.
    Module(ModuleVersion),
    /// The module that should hold it is there and has no such package.
    Package(ModuleVersion),
    /// No required module could hold it.
    NotRequired,
    /// Nothing of that name is in the standard library.
    NotStd,
    /// The vendor directory lacks it.
    NotVendored,
    /// The path is malformed or relative.
    Malformed,
}

/// What is needed to open a build list.
pub(crate) struct Setup<'a> {
    pub(crate) fs: &'a dyn FileSystem,
    pub(crate) reporter: &'a Reporter,
    pub(crate) cache: Option<PathBuf>,
    pub(crate) gopath: Option<PathBuf>,
    /// `-mod` of `GOFLAGS`.
    pub(crate) mod_flag: Option<String>,
    /// What code without any `go` line near speaks.
    pub(crate) newest: GoVersion,
}

impl BuildList {
    /// A directory without `go.mod`.
    pub(crate) fn ad_hoc(setup: &Setup<'_>, dir: &Path, boundary: Boundary) -> Self {
        let info = Arc::new(ModuleInfo {
            path: "".into(),
            version: "".into(),
            kind: ModuleKind::AdHoc,
            dir: dir.to_path_buf(),
            go_version: setup.newest,
        });
        let main = MainModule { info, file: Arc::default() };
        Self::new(setup, Layout::AdHoc, vec![main], boundary, Vec::new(), None)
    }

    /// The modules at `dirs`, each with a `go.mod`; `work` is the `go.work` that names them.
    pub(crate) fn modules(
        setup: &Setup<'_>,
        dirs: &[PathBuf],
        boundary: Boundary,
        work: Option<(&Path, &ModFile)>,
    ) -> Self {
        let mains: Vec<MainModule> = dirs.iter().map(|dir| main_module(setup, dir, &boundary)).collect();
        let layout = match mains.as_slice() {
            [only] if &*only.info.path == "std" => Layout::Std,
            [only] if &*only.info.path == "cmd" && is_goroot_cmd(setup.fs, &only.info.dir) => Layout::Cmd,
            _ => Layout::Modules,
        };
        let root = work.map_or_else(|| dirs.first().cloned(), |(path, _)| path.parent().map(Path::to_path_buf));
        let of_work = work.into_iter().map(|(path, file)| (path.to_path_buf(), file));
        let of_mains = mains.iter().map(|main| (main.info.dir.join("go.mod"), &*main.file));
        let mut replaces: Vec<(PathBuf, Replace)> = Vec::new();
        for (path, file) in of_work.chain(of_mains) {
            for replace in &file.replaces {
                if !replaces.iter().any(|(_, known)| known.old == replace.old) {
                    replaces.push((path.clone(), replace.clone()));
                }
            }
        }
        let vendor_dir = root.map(|dir| dir.join("vendor"));
        let go = work.map_or_else(|| mains.first().map(|main| main.info.go_version), |(_, file)| file.go);
        let vendor = vendor_dir
            .filter(|_| layout == Layout::Modules && uses_vendor(setup.mod_flag.as_deref(), go, work.is_some()))
            .and_then(|dir| Vendor::open(setup.fs, setup.reporter, &dir, &boundary, &mains));
        let work = work.map(|(_, file)| file);
        Self {
            go: mains.iter().map(|main| &*main.file).chain(work).filter_map(|file| file.go).max(),
            toolchain: match work {
                Some(work) => work.toolchain,
                None => mains.iter().filter_map(|main| main.file.toolchain).max(),
            },
            ..Self::new(setup, layout, mains, boundary, replaces, vendor)
        }
    }

    fn new(
        setup: &Setup<'_>,
        layout: Layout,
        mains: Vec<MainModule>,
        boundary: Boundary,
        replaces: Vec<(PathBuf, Replace)>,
        vendor: Option<Vendor>,
    ) -> Self {
        let excludes = mains.iter().flat_map(|main| main.file.excludes.iter().cloned()).collect();
        let files: Vec<_> = mains.iter().map(|main| main.file.clone()).collect();
        Self {
            layout,
            boundary,
            vendor,
            replaces,
            go: None,
            toolchain: None,
            direct: modgraph::direct(&files, &excludes),
            mains,
            excludes,
            cache: setup.cache.clone(),
            gopath: setup.gopath.clone(),
            full: OnceLock::new(),
            summaries: Mutex::default(),
            located: Mutex::default(),
        }
    }

    /// Finds the directory of an import path; the standard library has been asked before.
    pub(crate) fn find(&self, fs: &dyn FileSystem, reporter: &Reporter, path: &str) -> Result<Found, NotFound> {
        if !is_import_path(path) {
            return Err(NotFound::Malformed);
        }
        match self.layout {
            Layout::Modules => self.find_in_modules(fs, reporter, path),
            Layout::Std | Layout::Cmd => self.find_in_goroot(fs, reporter, path),
            Layout::AdHoc => self.find_ad_hoc(fs, reporter, path),
        }
    }

    fn find_in_modules(&self, fs: &dyn FileSystem, reporter: &Reporter, path: &str) -> Result<Found, NotFound> {
        let mut in_main = None;
        for prefix in prefixes(path) {
            if let Some(main) = self.mains.iter().find(|main| &*main.info.path == prefix) {
                let rest = below(path, prefix).unwrap_or_default();
                if !crosses_module(fs, &main.info.dir, rest)
                    && let Some(found) = self.look_inside(fs, reporter, path, &main.info, &join(&main.info.dir, rest))
                {
                    return Ok(found);
                }
                in_main.get_or_insert(ModuleVersion { path: prefix.to_owned(), version: String::new() });
            }
        }
        if let [MainModule { info, .. }] = self.mains.as_slice()
            && info.path.is_empty()
            && let Some(found) = self.look_inside(fs, reporter, path, info, &join(&info.dir, path))
        {
            return Ok(found);
        }
        if let Some(vendor) = &self.vendor
            && let Some(found) = self.look_inside(fs, reporter, path, &vendor.module_of(path), &join(&vendor.dir, path))
        {
            return Ok(found);
        }
        let files: Vec<_> = self.mains.iter().map(|main| main.file.clone()).collect();
        let mut missing = None;
        if modgraph::direct_suffices(&files)
            && let Some(found) = self.find_selected(fs, reporter, path, &self.direct, &mut missing)
        {
            return Ok(found);
        }
        let full = self
            .full
            .get_or_init(|| modgraph::select(&files, &self.excludes, &|module| self.summary(fs, reporter, module)));
        if let Some(found) = self.find_selected(fs, reporter, path, full, &mut missing) {
            return Ok(found);
        }
        Err(match (missing, in_main) {
            (Some(missing), _) => missing,
            (None, Some(main)) => NotFound::Package(main),
            (None, None) if self.vendor.is_some() => NotFound::NotVendored,
            (None, None) if is_std_like(path) => NotFound::NotStd,
            (None, None) => NotFound::NotRequired,
        })
    }

    fn find_selected(
        &self,
        fs: &dyn FileSystem,
        reporter: &Reporter,
        path: &str,
        selection: &Selection,
        missing: &mut Option<NotFound>,
    ) -> Option<Found> {
        for prefix in prefixes(path) {
            let Some(version) = selection.get(prefix) else { continue };
            let module = ModuleVersion { path: prefix.to_owned(), version: version.clone() };
            let Some(info) = self.locate(fs, reporter, &module) else {
                // A missing module says more than a present one that lacks the package.
                if !matches!(missing, Some(NotFound::Module(_))) {
                    *missing = Some(NotFound::Module(module));
                }
                continue;
            };
            let rest = below(path, prefix).unwrap_or_default();
            let dir = join(&info.dir, rest);
            let found = match info.kind {
                ModuleKind::Main => self.look_inside(fs, reporter, path, &info, &dir),
                _ => look(fs, path, &info, &dir),
            };
            if found.is_some() {
                return found;
            }
            missing.get_or_insert(NotFound::Package(module));
        }
        None
    }

    fn find_in_goroot(&self, fs: &dyn FileSystem, reporter: &Reporter, path: &str) -> Result<Found, NotFound> {
        let Some(main) = self.mains.first() else { return Err(NotFound::NotStd) };
        let info = &main.info;
        let own = if self.layout == Layout::Cmd { below(path, "cmd") } else { Some(path) };
        let own = own.and_then(|rest| self.look_inside(fs, reporter, path, info, &join(&info.dir, rest)));
        let vendored = || {
            let prefix = if self.layout == Layout::Cmd { "cmd/vendor/" } else { "vendor/" };
            let dir = join(&info.dir.join("vendor"), path);
            self.look_inside(fs, reporter, &format!("{prefix}{path}"), info, &dir)
        };
        own.or_else(vendored).ok_or(NotFound::NotStd)
    }

    fn find_ad_hoc(&self, fs: &dyn FileSystem, reporter: &Reporter, path: &str) -> Result<Found, NotFound> {
        let Some(main) = self.mains.first() else { return Err(NotFound::NotRequired) };
        if let Some(found) = self.look_inside(fs, reporter, path, &main.info, &join(&main.info.dir, path)) {
            return Ok(found);
        }
        if let Some(gopath) = &self.gopath {
            let dir = join(&gopath.join("src"), path);
            let info = ModuleInfo { kind: ModuleKind::Dependency, dir: dir.clone(), ..(*main.info).clone() };
            if let Some(found) = look(fs, path, &Arc::new(info), &dir) {
                return Ok(found);
            }
        }
        Err(if is_std_like(path) { NotFound::NotStd } else { NotFound::NotRequired })
    }

    /// A directory of the analysed tree, where it holds Go files; one reached by a link that leads out is reported.
    fn look_inside(
        &self,
        fs: &dyn FileSystem,
        reporter: &Reporter,
        import_path: &str,
        module: &Arc<ModuleInfo>,
        dir: &Path,
    ) -> Option<Found> {
        let found = look(fs, import_path, module, dir)?;
        if is_inside(fs, dir, &self.boundary).unwrap_or(false) {
            return Some(found);
        }
        let message = "a symbolic link on the way here leads out of the tree, not followed";
        let hint = "`--allow-path DIR` lets it be followed below DIR";
        reporter.file(Severity::Warning, Problem::Symlink, dir, message, hint);
        None
    }

    /// What a module version is replaced by.
    fn replacement(&self, module: &ModuleVersion) -> Option<&(PathBuf, Replace)> {
        let of = |version: &str| {
            self.replaces.iter().find(|(_, replace)| replace.old.path == module.path && replace.old.version == version)
        };
        of(&module.version).or_else(|| of(""))
    }

    /// The directory that a `replace` line names, where it may be read.
    fn replacement_dir(
        &self,
        fs: &dyn FileSystem,
        reporter: &Reporter,
        (file, replace): &(PathBuf, Replace),
    ) -> Option<PathBuf> {
        let dir = crate::paths::clean(&file.parent()?.join(&replace.new.path));
        let problem = |problem, message: String, hint: &str| {
            reporter.push(Diagnostic {
                place: Some(reporter.place(file, replace.line, 0)),
                severity: Severity::Warning,
                problem,
                message,
                hint: Some(hint.to_owned()),
            });
        };
        match fs.canonicalize(&dir) {
            Ok(real) if self.boundary.contains(&real) => Some(dir),
            Ok(_) => {
                let message = format!(
                    "`{}` is replaced by `{}`, which lies outside the repository",
                    replace.old.path, replace.new.path
                );
                let hint = "its packages count as missing; `--allow-path DIR` lets it be read below DIR";
                problem(Problem::OutsideTree, message, hint);
                None
            }
            Err(error) => {
                let message = format!(
                    "`{}` is replaced by `{}`, which cannot be read: {error}",
                    replace.old.path, replace.new.path
                );
                problem(Problem::Unreadable, message, "its packages count as missing");
                None
            }
        }
    }

    /// The `go.mod` of a module version, replacements applied.
    fn summary(&self, fs: &dyn FileSystem, reporter: &Reporter, module: &ModuleVersion) -> Option<Arc<ModFile>> {
        let lock = || self.summaries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(module) {
            return known.clone();
        }
        let read = || {
            let path = match self.replacement(module) {
                Some(by) if by.1.new.version.is_empty() => {
                    let path = self.replacement_dir(fs, reporter, by)?.join("go.mod");
                    let text = read_inside(fs, &path, &self.boundary).ok()?;
                    return Some(Arc::new(ModFile::parse(&text, Dialect::Dependency)));
                }
                Some((_, replace)) => self.cached_mod(&replace.new)?,
                None => self.cached_mod(module)?,
            };
            let text =
                read_small(fs, &path).or_else(|_| read_small(fs, &self.cached_dir(module)?.join("go.mod"))).ok()?;
            Some(Arc::new(ModFile::parse(&text, Dialect::Dependency)))
        };
        let file = read();
        lock().insert(module.clone(), file.clone());
        file
    }

    fn cached_mod(&self, module: &ModuleVersion) -> Option<PathBuf> {
        if !is_import_path(&module.path) || !is_version(&module.version) {
            return None;
        }
        let dir = join(&self.cache.as_ref()?.join("cache").join("download"), &escape(&module.path));
        Some(dir.join("@v").join(format!("{}.mod", escape(&module.version))))
    }

    fn cached_dir(&self, module: &ModuleVersion) -> std::io::Result<PathBuf> {
        let none = || std::io::Error::from(std::io::ErrorKind::NotFound);
        if !is_import_path(&module.path) || !is_version(&module.version) {
            return Err(none());
        }
        let cache = self.cache.as_ref().ok_or_else(none)?;
        Ok(join(cache, &format!("{}@{}", escape(&module.path), escape(&module.version))))
    }

    /// Where a selected module's source is, replacements applied.
    fn locate(&self, fs: &dyn FileSystem, reporter: &Reporter, module: &ModuleVersion) -> Option<Arc<ModuleInfo>> {
        let lock = || self.located.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(module) {
            return known.clone();
        }
        let open = || {
            let (dir, kind) = match self.replacement(module) {
                Some(by) if by.1.new.version.is_empty() => (self.replacement_dir(fs, reporter, by)?, ModuleKind::Main),
                Some((_, replace)) => (self.cached_dir(&replace.new).ok()?, ModuleKind::Dependency),
                None => (self.cached_dir(module).ok()?, ModuleKind::Dependency),
            };
            if fs.metadata(&dir).ok()?.kind != Kind::Dir {
                return None;
            }
            let go = self.summary(fs, reporter, module).and_then(|file| file.go);
            Some(Arc::new(ModuleInfo {
                path: module.path.as_str().into(),
                version: if kind == ModuleKind::Main { "".into() } else { module.version.as_str().into() },
                kind,
                dir,
                go_version: go.unwrap_or(GoVersion::WITHOUT_GO_LINE),
            }))
        };
        let info = open();
        lock().insert(module.clone(), info.clone());
        info
    }
}

/// Reads the `go.mod` of an analysed module.
fn main_module(setup: &Setup<'_>, dir: &Path, boundary: &Boundary) -> MainModule {
    let path = dir.join("go.mod");
    let file = match read_inside(setup.fs, &path, boundary) {
        Ok(text) => read_mod_file(setup.reporter, &path, &text, Dialect::GoMod),
        Err(error) => {
            setup.reporter.unreadable(Severity::Error, &path, &error);
            ModFile::default()
        }
    };
    let info = ModuleInfo {
        path: file.module.as_str().into(),
        version: "".into(),
        kind: ModuleKind::Main,
        dir: dir.to_path_buf(),
        go_version: file.go.unwrap_or(GoVersion::WITHOUT_GO_LINE),
    };
    MainModule { info: Arc::new(info), file: Arc::new(file) }
}

/// Reads a `go.mod` or `go.work` and reports its malformed lines.
pub(crate) fn read_mod_file(reporter: &Reporter, path: &Path, text: &[u8], dialect: Dialect) -> ModFile {
    let file = ModFile::parse(text, dialect);
    for error in &file.errors {
        reporter.push(Diagnostic {
            place: Some(reporter.place(path, error.line, error.column)),
            severity: Severity::Warning,
            problem: Problem::ModFile,
            message: error.message.clone(),
            hint: error.hint.clone(),
        });
    }
    file
}

/// Whether packages come from `vendor`, by `-mod` or by default.
fn uses_vendor(flag: Option<&str>, go: Option<GoVersion>, workspace: bool) -> bool {
    match flag {
        Some(flag) => flag == "vendor",
        None => go.unwrap_or(GoVersion::WITHOUT_GO_LINE) >= GoVersion::new(1, if workspace { 22 } else { 14 }),
    }
}

/// Whether `dir` is the `cmd` of a Go tree and not a user's module of that name.
fn is_goroot_cmd(fs: &dyn FileSystem, dir: &Path) -> bool {
    let Some(src) = dir.parent() else { return false };
    let std = read_small(fs, &src.join("go.mod")).map(|text| ModFile::parse(&text, Dialect::Dependency).module);
    std.is_ok_and(|module| module == "std")
}

/// Whether a path could be of the standard library: no dot in its first element.
pub(crate) fn is_std_like(path: &str) -> bool {
    !path.split('/').next().unwrap_or_default().contains('.')
}

/// A path and its parents, longest first.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(parent, _)| parent))
}

/// Whether a nested module lies between a module's root and a package.
fn crosses_module(fs: &dyn FileSystem, root: &Path, rest: &str) -> bool {
    let nested = |dir: &str| fs.metadata(&join(root, dir).join("go.mod")).is_ok_and(|meta| meta.kind == Kind::File);
    prefixes(rest).any(|dir| !dir.is_empty() && nested(dir))
}

/// A directory, where it holds Go files.
fn look(fs: &dyn FileSystem, import_path: &str, module: &Arc<ModuleInfo>, dir: &Path) -> Option<Found> {
    let files = go_files(&fs.list(dir).ok()?);
    if files.is_empty() {
        return None;
    }
    Some(Found { import_path: import_path.into(), module: module.clone(), dir: dir.to_path_buf(), files })
}

/// Whether a file of this name is Go source. Case matters: the go command passes over `X.GO`.
pub(crate) fn is_go_name(name: &str) -> bool {
    name.strip_suffix(".go").is_some()
}

/// The Go files among a directory's entries, sorted by name.
pub(crate) fn go_files(entries: &[crate::fs::Entry]) -> Vec<GoFile> {
    let mut files: Vec<GoFile> = entries
        .iter()
        .filter(|entry| matches!(entry.kind, Kind::File | Kind::Symlink))
        .filter_map(|entry| {
            let name = entry.name.to_string_lossy();
            let hidden = name.starts_with(['_', '.']);
            (is_go_name(&name) && !hidden)
                .then(|| GoFile { name: name.into_owned(), symlink: entry.kind == Kind::Symlink })
        })
        .collect();
    files.sort();
    files
}

/// Packages by import path, as `vendor/modules.txt` assigns them.
pub(crate) type PackageModules = BTreeMap<String, Arc<ModuleInfo>>;

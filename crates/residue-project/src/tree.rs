//! Patterns: from what the user names to package directories.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::fs::Kind;
use crate::glob::Globs;
use crate::guard::{Boundary, read_inside, read_small};
use crate::modfile::Dialect;
use crate::modules::{BuildList, Found, Layout, ModuleInfo, Setup, go_files, is_go_name, read_mod_file};
use crate::paths::{below, clean, join, join_import, slashed};
use crate::{Config, Problem, Severity};

/// Directories nested deeper than this are not entered.
const DEPTH_MAX: usize = 256;

/// The build lists of a run, and the root packages in each.
pub(crate) struct Roots {
    pub(crate) lists: Vec<BuildList>,
    /// Index of the build list, and the package; in order of directories.
    pub(crate) packages: Vec<(usize, Found)>,
}

/// Expands the patterns of a configuration.
pub(crate) fn expand(setup: &Setup<'_>, config: &Config, excludes: &Globs) -> Roots {
    let default = [".".to_owned()];
    let patterns = if config.patterns.is_empty() { &default[..] } else { &config.patterns };
    let mut finder =
        Finder { setup, config, excludes, lists: Vec::new(), by_dir: BTreeMap::new(), found: BTreeMap::new() };
    for pattern in patterns {
        finder.pattern(pattern);
    }
    let packages = finder.found.into_values().collect();
    Roots { lists: finder.lists, packages }
}

struct Finder<'a> {
    setup: &'a Setup<'a>,
    config: &'a Config,
    excludes: &'a Globs,
    lists: Vec<BuildList>,
    /// Index of the build list that each module's directory belongs to.
    by_dir: BTreeMap<PathBuf, usize>,
    found: BTreeMap<PathBuf, (usize, Found)>,
}

/// What a pattern selects below a directory.
#[derive(Clone, Debug)]
struct Selector {
    /// The text between the `...`s, for paths relative to the base; none selects the base alone.
    wildcard: Option<Vec<String>>,
}

impl Selector {
    /// Whether a path relative to the base, `/` between its elements, is selected.
    fn selects(&self, path: &str) -> bool {
        let Some(pieces) = &self.wildcard else { return path.is_empty() };
        let [first, middle @ .., last] = pieces.as_slice() else { return true };
        let matches = |path: &str| {
            let Some(mut rest) = path.strip_prefix(first.as_str()) else { return false };
            for piece in middle {
                let Some((_, after)) = rest.split_once(piece.as_str()) else { return false };
                rest = after;
            }
            rest.ends_with(last.as_str())
        };
        // `a/...` selects `a` too.
        matches(path)
            || (last.is_empty() && first.is_empty() && path.is_empty())
            || (last.is_empty() && middle.is_empty() && first.strip_suffix('/').is_some_and(|first| first == path))
    }
}

/// Splits a pattern into the directory before its first `...` and what it selects there.
fn split(pattern: &str) -> (&str, Selector) {
    let Some(dots) = pattern.find("...") else { return (pattern, Selector { wildcard: None }) };
    let (base, rest) = match pattern[..dots].rfind('/') {
        Some(slash) => (&pattern[..slash.max(1)], &pattern[slash + 1..]),
        None => ("", pattern),
    };
    let base = if pattern.starts_with('/') && base.is_empty() { "/" } else { base };
    (base, Selector { wildcard: Some(rest.split("...").map(str::to_owned).collect()) })
}

impl Finder<'_> {
    fn no_match(&self, message: String, hint: &str) {
        let place = Some(self.setup.reporter.place(&self.config.dir, 0, 0));
        self.setup.reporter.push(crate::Diagnostic {
            place,
            severity: Severity::Error,
            problem: Problem::NoMatch,
            message,
            hint: Some(hint.to_owned()),
        });
    }

    fn pattern(&mut self, pattern: &str) {
        let slashes = if cfg!(windows) { pattern.replace('\\', "/") } else { pattern.to_owned() };
        let (base, mut selector) = split(&slashes);
        let explicit = Path::new(base).is_absolute()
            || [".", ".."].iter().any(|dots| below(base, dots).is_some())
            || (base.is_empty() && selector.wildcard.is_some());
        let dir = clean(&self.config.dir.join(base));
        match self.setup.fs.metadata(&dir) {
            Ok(meta) if meta.kind == Kind::Dir => {
                if self.config.trees && selector.wildcard.is_none() {
                    selector.wildcard = Some(vec![String::new(), String::new()]);
                }
                self.directory(&dir, &selector, pattern);
            }
            Ok(_) if explicit || is_go_name(base) => {
                let message = format!("`{pattern}` is a file, not a directory");
                self.no_match(message, "name the directory that holds it");
            }
            Err(error) if explicit => {
                let message = format!("`{pattern}` cannot be read: {error}");
                self.no_match(message, "name a directory, `./...`, or an import path of the main module");
            }
            _ => self.import_path(base, &selector, pattern),
        }
    }

    /// An import path of a main module of the working directory.
    fn import_path(&mut self, base: &str, selector: &Selector, pattern: &str) {
        let list = self.list_of(&self.config.dir.clone());
        let dir = self.lists[list].mains.iter().find_map(|main| {
            let rest = match self.lists[list].layout {
                Layout::Std => Some(base),
                _ if main.info.path.is_empty() => None,
                _ => below(base, &main.info.path),
            };
            Some(join(&main.info.dir, rest?))
        });
        match dir.filter(|dir| self.setup.fs.metadata(dir).is_ok_and(|meta| meta.kind == Kind::Dir)) {
            Some(dir) => self.directory(&dir, selector, pattern),
            None => self.no_match(
                format!("`{pattern}` is neither a directory nor a package of the main module"),
                "name a directory, `./...`, or an import path of the main module",
            ),
        }
    }

    /// Walks a directory and keeps what the selector selects.
    fn directory(&mut self, base: &Path, selector: &Selector, pattern: &str) {
        let start = self.list_of(base);
        let before = self.found.len();
        let Some(module) = self.main_of(start, base) else { return };
        let rest = base.strip_prefix(&module.dir).map(slashed).unwrap_or_default();
        let start = Dir { path: base.to_path_buf(), list: start, module, rest, depth: 0, vendored: false };
        let mut wave = vec![start];
        let mut any_go = false;
        let mut nested_module = None;
        while !wave.is_empty() {
            let scanned: Vec<_> = wave.par_iter().map(|dir| self.scan(dir, selector.wildcard.is_some())).collect();
            let mut next = Vec::new();
            for (dir, scan) in wave.into_iter().zip(scanned) {
                let relative = dir.path.strip_prefix(base).map(slashed).unwrap_or_default();
                any_go |= !scan.files.is_empty();
                // Package builtin is documentation, not code.
                let is_builtin = self.lists[dir.list].layout == Layout::Std && dir.rest == "builtin";
                if !scan.files.is_empty() && selector.selects(&relative) && !is_builtin {
                    if self.lists[dir.list].layout == Layout::AdHoc {
                        self.no_module(&dir.module.dir);
                    }
                    let found = Found {
                        import_path: dir.import_path(&self.lists[dir.list]).into(),
                        module: dir.module_here(&self.lists[dir.list]),
                        dir: dir.path.clone(),
                        files: scan.files,
                    };
                    self.found.entry(dir.path.clone()).or_insert((dir.list, found));
                }
                for (path, nested) in scan.dirs {
                    match self.child(&dir, path.clone(), nested) {
                        Some(child) => next.push(child),
                        None if nested => nested_module = nested_module.or(Some(path)),
                        None => {}
                    }
                }
            }
            wave = next;
        }
        if self.found.len() == before && !any_go {
            let hint = match nested_module {
                Some(path) => format!(
                    "modules below it are not part of it: name them, as in `{}/...`",
                    self.setup.reporter.display(&path)
                ),
                None if selector.wildcard.is_some() => "nothing to analyse here".to_owned(),
                None => "`DIR/...` looks below it too".to_owned(),
            };
            let place = if pattern.is_empty() { &self.config.dir } else { base };
            self.setup.reporter.file(Severity::Error, Problem::NoGoFiles, place, "no Go files", hint);
        }
    }

    /// The directory below `dir`, unless it belongs to a module that is not analysed: as for the go command, one that
    /// lies in another and is in no workspace with it. Below a directory that is in no module, all modules are.
    fn child(&mut self, dir: &Dir, path: PathBuf, nested: bool) -> Option<Dir> {
        let name = path.file_name()?.to_string_lossy().into_owned();
        if nested {
            let in_module = self.lists[dir.list].layout != Layout::AdHoc;
            let list = if in_module { dir.list } else { self.list_of(&path) };
            if let Some(main) = self.lists[list].mains.iter().find(|main| main.info.dir == path) {
                let module = main.info.clone();
                return Some(Dir { path, list, module, rest: String::new(), depth: dir.depth + 1, vendored: false });
            }
            let hint = format!("analyse it with `{}/...`", self.setup.reporter.display(&path));
            let message = "another module, not analysed with the one above it";
            self.setup.reporter.file(Severity::Note, Problem::NestedModule, &path, message, hint);
            return None;
        }
        let list = &self.lists[dir.list];
        let rest = join_import(&dir.rest, &name);
        let vendored = dir.vendored || name == "vendor";
        if !vendored && is_ignored(&dir.module, &rest, &name, list) {
            return None;
        }
        Some(Dir { path, list: dir.list, module: dir.module.clone(), rest, depth: dir.depth + 1, vendored })
    }

    /// Lists a directory: its Go files, and the directories to enter with whether each is a module's root.
    fn scan(&self, dir: &Dir, recurse: bool) -> Scan {
        let reporter = self.setup.reporter;
        let mut entries = match self.setup.fs.list(&dir.path) {
            Ok(entries) => entries,
            Err(error) => {
                reporter.unreadable(Severity::Error, &dir.path, &error);
                return Scan::default();
            }
        };
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let mut scan = Scan { files: go_files(&entries), dirs: Vec::new() };
        if !recurse {
            return scan;
        }
        if dir.depth >= DEPTH_MAX {
            reporter.file(Severity::Warning, Problem::Unreadable, &dir.path, "nested too deeply, not entered", "");
            return scan;
        }
        for entry in &entries {
            let name = entry.name.to_string_lossy();
            let path = dir.path.join(&entry.name);
            let hidden = name.starts_with(['.', '_']) || name == "testdata";
            if hidden || (name == "vendor" && !self.config.include_vendor) {
                continue;
            }
            match entry.kind {
                Kind::Symlink => self.link(&path, &name),
                Kind::Dir if !self.excludes.excludes(&self.relative(&path), true) => {
                    scan.dirs.push((path.clone(), self.is_module_root(&path)));
                }
                _ => {}
            }
        }
        scan
    }

    fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.config.dir).map_or_else(|_| slashed(path), slashed)
    }

    fn is_module_root(&self, dir: &Path) -> bool {
        self.setup.fs.metadata(&dir.join("go.mod")).is_ok_and(|meta| meta.kind == Kind::File)
    }

    /// Says what is not entered: links to directories, as for the go command, and links that lead nowhere.
    fn link(&self, path: &Path, name: &str) {
        let reporter = self.setup.reporter;
        match self.setup.fs.metadata(path) {
            Ok(meta) if meta.kind == Kind::Dir => {
                let message = "symbolic link to a directory, not followed";
                let hint = "name the directory itself to analyse it";
                reporter.file(Severity::Note, Problem::Symlink, path, message, hint);
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound && !is_go_name(name) => {
                reporter.file(
                    Severity::Note,
                    Problem::Symlink,
                    path,
                    format!("symbolic link cannot be followed: {error}"),
                    "",
                );
            }
            _ => {}
        }
    }

    /// The main module that holds a directory.
    fn main_of(&self, list: usize, dir: &Path) -> Option<Arc<ModuleInfo>> {
        let mains = self.lists[list].mains.iter().filter(|main| dir.starts_with(&main.info.dir));
        mains.max_by_key(|main| main.info.dir.as_os_str().len()).map(|main| main.info.clone())
    }

    /// The build list of a directory, opened where needed.
    fn list_of(&mut self, dir: &Path) -> usize {
        let Some(root) = dir.ancestors().find(|dir| self.is_module_root(dir)).map(Path::to_path_buf) else {
            return self.ad_hoc(dir);
        };
        if let Some(&list) = self.by_dir.get(&root) {
            return list;
        }
        let (repository, real) = self.repository(&root);
        let boundary = self.allowed(real);
        let list = match self.workspace(&root, &repository, &boundary) {
            Some(list) => list,
            None => BuildList::modules(self.setup, std::slice::from_ref(&root), boundary, None),
        };
        self.lists.push(list);
        let index = self.lists.len() - 1;
        for main in &self.lists[index].mains {
            self.by_dir.insert(main.info.dir.clone(), index);
        }
        self.by_dir.insert(root, index);
        index
    }

    fn ad_hoc(&mut self, dir: &Path) -> usize {
        let base = if dir.starts_with(&self.config.dir) { &self.config.dir } else { dir };
        if let Some(&list) = self.by_dir.get(base) {
            return list;
        }
        let real = self.setup.fs.canonicalize(base).unwrap_or_else(|_| base.to_path_buf());
        self.lists.push(BuildList::ad_hoc(self.setup, base, self.allowed(real)));
        self.by_dir.insert(base.to_path_buf(), self.lists.len() - 1);
        self.lists.len() - 1
    }

    fn no_module(&self, base: &Path) {
        let message = "no go.mod here or above: import paths are taken relative to this directory";
        let hint = "`go mod init NAME` makes it a module";
        self.setup.reporter.file(Severity::Note, Problem::NoModule, base, message, hint);
    }

    /// A directory without links, and what the user allows beside it.
    fn allowed(&self, root: PathBuf) -> Boundary {
        let allowed = self.config.allow_paths.iter().filter_map(|path| {
            let path = clean(&self.config.dir.join(path));
            self.setup.fs.canonicalize(&path).ok()
        });
        Boundary::new(std::iter::once(root).chain(allowed))
    }

    /// The repository that holds a module, as reached and without links: what is outside is not read. It is the nearest
    /// directory upward under version control, else the one of the `go.work` in force, else the
    /// Go tree that it belongs to, else the module itself.
    fn repository(&self, module: &Path) -> (PathBuf, PathBuf) {
        let has = |dir: &Path, name: &str| self.setup.fs.metadata(&dir.join(name)).is_ok();
        let controlled = |dir: &&Path| [".git", ".hg", ".svn", ".jj"].iter().any(|name| has(dir, name));
        let workspace = || {
            let searched = self.config.env.get("GOWORK").is_none();
            module.ancestors().find(|dir| searched && has(dir, "go.work"))
        };
        let go_tree = || module.ancestors().find(|dir| has(dir, "src/go.mod") && has(dir, "src/cmd/go.mod"));
        let repository = module.ancestors().find(controlled).or_else(workspace).or_else(go_tree).unwrap_or(module);
        let real = |dir: &Path| self.setup.fs.canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf());
        // Whoever names a link to a directory means that directory.
        let (repository_real, module_real) = (real(repository), real(module));
        if !module_real.starts_with(&repository_real) {
            return (module.to_path_buf(), module_real);
        }
        (repository.to_path_buf(), repository_real)
    }

    /// The `go.work` that names a module, by `GOWORK` or upward inside the repository.
    fn workspace(&self, module: &Path, repository: &Path, boundary: &Boundary) -> Option<BuildList> {
        let fs = self.setup.fs;
        let path = match self.config.env.get("GOWORK") {
            Some("off") => return None,
            Some(path) => PathBuf::from(path),
            None => {
                let inside = module.ancestors().take_while(|dir| dir.starts_with(repository));
                inside
                    .map(|dir| dir.join("go.work"))
                    .find(|path| fs.metadata(path).is_ok_and(|meta| meta.kind == Kind::File))?
            }
        };
        let given = self.config.env.get("GOWORK").is_some();
        let read = if given { read_small(fs, &path) } else { read_inside(fs, &path, boundary) };
        let text = match read {
            Ok(text) => text,
            Err(error) => {
                self.setup.reporter.unreadable(Severity::Warning, &path, &error);
                return None;
            }
        };
        let file = read_mod_file(self.setup.reporter, &path, &text, Dialect::GoWork);
        let base = path.parent()?;
        let mut dirs = Vec::new();
        for (used, line) in &file.uses {
            let dir = clean(&base.join(used));
            let (problem, message, hint) = match fs.canonicalize(&dir) {
                Ok(real) if !boundary.contains(&real) => {
                    let hint = "the module is not analysed; `--allow-path DIR` lets it be read below DIR";
                    (Problem::OutsideTree, format!("`use {used}` lies outside the repository"), hint)
                }
                Ok(_) if self.is_module_root(&dir) => {
                    if !dirs.contains(&dir) {
                        dirs.push(dir);
                    }
                    continue;
                }
                _ => (Problem::ModFile, format!("`use {used}`: no go.mod there"), "the module is not analysed"),
            };
            self.setup.reporter.push(crate::Diagnostic {
                place: Some(self.setup.reporter.place(&path, *line, 0)),
                severity: Severity::Warning,
                problem,
                message,
                hint: Some(hint.to_owned()),
            });
        }
        if !dirs.iter().any(|dir| dir == module) {
            let message = "not named by the `use` lines of go.work, analysed by itself";
            self.setup.reporter.file(
                Severity::Note,
                Problem::NestedModule,
                module,
                message,
                "`go work use DIR` adds it",
            );
            return None;
        }
        Some(BuildList::modules(self.setup, &dirs, boundary.clone(), Some((&path, &file))))
    }
}

/// Whether an `ignore` line of the module's `go.mod` covers a directory.
fn is_ignored(module: &ModuleInfo, rest: &str, name: &str, list: &BuildList) -> bool {
    let main = list.mains.iter().find(|main| main.info.dir == module.dir);
    main.is_some_and(|main| {
        main.file.ignores.iter().any(|ignore| match ignore.strip_prefix("./") {
            Some(path) => path.trim_end_matches('/') == rest,
            None => ignore == name || rest.ends_with(&format!("/{ignore}")) || ignore == rest,
        })
    })
}

/// A directory on the way.
struct Dir {
    path: PathBuf,
    list: usize,
    module: Arc<ModuleInfo>,
    /// Path below the module's root.
    rest: String,
    depth: usize,
    /// Whether at or below a `vendor`.
    vendored: bool,
}

impl Dir {
    fn import_path(&self, list: &BuildList) -> String {
        if let Some(rest) = self.in_vendor(list) {
            return rest.to_owned();
        }
        let path = match list.layout {
            Layout::Std => self.rest.clone(),
            _ => join_import(&self.module.path, &self.rest),
        };
        if path.is_empty() { ".".to_owned() } else { path }
    }

    /// The path below the vendor directory in use.
    fn in_vendor(&self, list: &BuildList) -> Option<&str> {
        let vendor = list.vendor.as_ref().filter(|_| self.vendored)?;
        self.path.starts_with(&vendor.dir).then(|| below(&self.rest, "vendor"))?
    }

    fn module_here(&self, list: &BuildList) -> Arc<ModuleInfo> {
        match (self.in_vendor(list), &list.vendor) {
            (Some(path), Some(vendor)) => vendor.module_of(path),
            _ => self.module.clone(),
        }
    }
}

#[derive(Default)]
struct Scan {
    files: Vec<crate::modules::GoFile>,
    dirs: Vec<(PathBuf, bool)>,
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn selects_as_go_patterns_do() {
        for (pattern, base, yes, no) in [
            ("./...", ".", &["", "a", "a/b"][..], &[][..]),
            ("...", "", &["", "a/b"], &[]),
            ("/...", "/", &["", "a/b"], &[]),
            ("./a", "./a", &[""], &["b"]),
            ("./a/...", "./a", &["", "b"], &[]),
            ("./a...", ".", &["a", "ab/c", "a/b"], &["", "b"]),
            ("./.../x", ".", &["a/x", "a/b/x"], &["", "a", "ax"]),
            ("./a/.../b/...", "./a", &["x/b/c"], &["x/c"]),
        ] {
            let (got, selector) = split(pattern);
            assert_eq!(got, base, "{pattern}");
            for path in yes {
                assert!(selector.selects(path), "{pattern} selects {path}");
            }
            for path in no {
                assert!(!selector.selects(path), "{pattern} does not select {path}");
            }
        }
    }
}

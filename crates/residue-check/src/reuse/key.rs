//! Keys of packages: digests of what can be known of them without typing anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;
use residue_cache::{Digest, Digester};
use residue_finding::RuleCode;
use residue_project::{GoVersion, Origin, Package, PackageId, Project, SourceFile};
use residue_syntax::ast::{Decl, File};
use residue_types::{PkgId, Program};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Reuse;
use super::memory::{FileDigests, Files, Memory};

/// The digests that keys of packages are made of.
pub(crate) struct Keys<'a> {
    program: &'a Program,
    project: &'a Project,
    /// What all keys have in common.
    base: Digest,
    /// By package, the digest of what its importers see of it and of what it imports.
    seen: Arc<[Digest]>,
    /// Packages by their names with variants. Several have one where modules that are analysed at once import the same.
    by_name: FxHashMap<String, Vec<PackageId>>,
    memory: Option<&'a Memory>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(program: &'a Program, reuse: &Reuse<'a>, rules: &BTreeSet<RuleCode>) -> Self {
        let project = program.project();
        let residue_project::Target { goos, goarch, cgo, tags } = &project.target;
        let mut all = Digester::new("run");
        all.digest(reuse.base).texts(rules.iter().map(RuleCode::as_str));
        all.text(goos).text(goarch).flag(*cgo).texts(tags).text(&project.std_version);
        let seen = match reuse.memory.map(Memory::seen) {
            Some(known) if known.len() == project.packages.len() => known,
            _ => seen(project, &files(project, Files::default()), |_| None).into(),
        };
        let mut by_name: FxHashMap<String, Vec<PackageId>> = FxHashMap::default();
        for (id, package) in project.packages() {
            by_name.entry(package.to_string()).or_default().push(id);
        }
        Self { program, project, base: all.finish(), seen, by_name, memory: reuse.memory }
    }

    /// The name of a package as package `own` knows it.
    pub(super) fn name(&self, own: PackageId, id: PkgId) -> Option<String> {
        let name = self.program.package(id)?.to_string();
        (self.named(own, &name) == Some(id)).then_some(name)
    }

    /// The package that package `own` knows by a name: where several have it, the one that it imports.
    pub(super) fn named(&self, own: PackageId, name: &str) -> Option<PkgId> {
        let id = match self.by_name.get(name)?.as_slice() {
            [only] => *only,
            several => {
                let imports = self.imports(own);
                let mut known = several.iter().filter(|id| **id == own || imports.contains(id));
                known.next().filter(|_| known.next().is_none()).copied()?
            }
        };
        Some(self.program.id(id))
    }

    /// The digest of all declarations in packages that are analysed, under any name: where calls through interfaces
    /// lead is decided by them.
    pub(crate) fn analysed(&self) -> Digest {
        let analysed: FxHashSet<&str> = self.project.roots().map(|(_, package)| &*package.import_path).collect();
        let mut all = Digester::new("analysed");
        for (id, package) in self.project.packages().filter(|(_, package)| analysed.contains(&*package.import_path)) {
            all.number(u64::from(self.program.id(id).0)).digest(self.seen[id.index()]);
            all.numbers(package.files.iter().map(|file| u64::from(file.test)));
        }
        all.finish()
    }

    /// The key of a package whose bodies are looked at: all, or those that were asked for.
    pub(crate) fn of(&self, id: PackageId) -> Digest {
        let Some(memory) = self.memory else { return self.make(id) };
        let files = &self.project[id].files;
        memory.key(id, files).unwrap_or_else(|| {
            let key = self.make(id);
            memory.set_key(id, files, key);
            key
        })
    }

    fn make(&self, id: PackageId) -> Digest {
        let package = &self.project[id];
        let imports = self.imports(id);
        let number: FxHashMap<PackageId, u64> = imports.iter().copied().zip(0..).collect();
        let mut digester = Digester::new("package");
        digester.digest(self.base).text(&package.dir);
        describe(package, &mut digester);
        for file in &package.files {
            let SourceFile { path, file: tree, errors: _, generated, excluded, test, cgo, go_version } = &**file;
            let known = self.memory.and_then(|memory| memory.content(file));
            digester.text(path).digest(known.unwrap_or_else(|| Digest::of(tree.src())));
            digester.flag(*generated).flag(*excluded).flag(*test).flag(*cgo);
            version(*go_version, &mut digester);
            if !package.analyse {
                digester.numbers(bodies(tree));
            }
        }
        for (path, target) in &package.imports {
            digester.text(path).number(target.and_then(|target| number.get(&target).copied()).unwrap_or(u64::MAX));
        }
        for import in &imports {
            digester.digest(self.seen[import.index()]);
        }
        digester.finish()
    }

    /// What a package imports, directly or not: a walk in depth, with a stack of its own.
    fn imports(&self, id: PackageId) -> Vec<PackageId> {
        let mut known = vec![false; self.project.packages.len()];
        known[id.index()] = true;
        let mut all = Vec::new();
        let mut stack = vec![id];
        while let Some(at) = stack.pop() {
            if at != id {
                all.push(at);
            }
            for &import in self.project[at].imports.values().rev().flatten() {
                if !std::mem::replace(&mut known[import.index()], true) {
                    stack.push(import);
                }
            }
        }
        all
    }
}

/// Where the functions start whose bodies are in a tree.
fn bodies(tree: &File) -> impl Iterator<Item = u64> {
    tree.list(tree.top_decls()).filter_map(|decl| match tree.decl(decl) {
        Decl::Func(func) if func.body.is_some() => Some(u64::from(tree.decl_span(decl).start)),
        _ => None,
    })
}

/// What makes a file this one.
pub(super) fn address(file: &Arc<SourceFile>) -> usize {
    Arc::as_ptr(file).addr()
}

/// The digests of a project's files, those that are known already taken over.
pub(super) fn files(project: &Project, mut known: Files) -> Files {
    let mut files = Files::default();
    let mut new: Vec<(&Arc<SourceFile>, bool)> = Vec::new();
    for package in &project.packages {
        // Of other people's code nothing changes but all.
        let ours = matches!(package.origin, Origin::Root | Origin::Local);
        for file in &package.files {
            match known.remove(&address(file)) {
                Some(digests) => _ = files.insert(address(file), digests),
                None => new.push((file, ours)),
            }
        }
    }
    // Variants share files.
    new.retain(|(file, _)| !files.contains_key(&address(file)));
    new.sort_unstable_by_key(|(file, _)| address(file));
    new.dedup_by_key(|(file, _)| address(file));
    let digests = new.into_par_iter().map(|(file, ours)| {
        let content = Digest::of(file.file.src());
        let mut outline = Digester::new("file");
        outline.flag(file.cgo);
        version(file.go_version, &mut outline);
        // cgo reads a comment.
        if ours && !file.cgo && file.errors.is_empty() {
            outline.flag(true);
            residue_syntax::outline(&file.file, |token| _ = outline.bytes(token));
        } else {
            outline.flag(false).digest(content);
        }
        (address(file), (Arc::clone(file), FileDigests { content, outline: outline.finish() }))
    });
    let digests: Vec<_> = digests.collect();
    files.extend(digests);
    files
}

/// By package, the digest of what its importers see of it and of what it imports.
/// Those that are `known` are not made again.
pub(super) fn seen(project: &Project, files: &Files, known: impl Fn(usize) -> Option<Digest>) -> Vec<Digest> {
    let mut seen: Vec<Digest> = Vec::with_capacity(project.packages.len());
    for (i, package) in project.packages.iter().enumerate() {
        if let Some(known) = known(i) {
            seen.push(known);
            continue;
        }
        let mut digester = Digester::new("seen");
        describe(package, &mut digester);
        for file in &package.files {
            match files.get(&address(file)) {
                Some((_, digests)) => digester.flag(true).digest(digests.outline),
                None => digester.flag(false),
            };
        }
        for (path, target) in &package.imports {
            digester.text(path);
            // Imports come first; what isn't there yet isn't looked into.
            match target.and_then(|target| seen.get(target.index())) {
                Some(&target) => digester.flag(true).digest(target),
                None => digester.flag(false),
            };
        }
        let digest = digester.finish();
        seen.push(digest);
    }
    seen
}

fn describe(package: &Package, digester: &mut Digester) {
    let Package {
        import_path,
        name,
        variant: _,
        origin,
        // Says where it comes from, by which nothing is decided.
        module: _,
        dir: _,
        go_version,
        analyse,
        files,
        imports,
        incomplete,
    } = package;
    // The variant is part of how a package is shown.
    digester.text(&package.to_string()).text(import_path).text(name).number(*origin as u64);
    version(*go_version, digester);
    digester.flag(*analyse).flag(*incomplete).number(files.len() as u64).number(imports.len() as u64);
}

fn version(version: GoVersion, digester: &mut Digester) {
    digester.text(&version.to_string());
}

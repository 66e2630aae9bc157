//! Keys of packages: digests of what can be known of them without typing anything.

use std::collections::BTreeSet;

use rayon::prelude::*;
use residue_cache::{Digest, Digester};
use residue_finding::RuleCode;
use residue_project::{GoVersion, Origin, Package, PackageId, Project, SourceFile};
use residue_syntax::ast::{Decl, File};
use residue_types::PkgId;
use rustc_hash::FxHashMap;

/// The digests that keys of packages are made of.
pub(crate) struct Keys<'a> {
    project: &'a Project,
    /// What all keys have in common.
    base: Digest,
    /// By package, the digest of what its importers see of it and of what it imports.
    seen: Vec<Digest>,
    /// Packages by their names with variants. Several have one where modules that are analysed at once import the same.
    by_name: FxHashMap<String, Vec<PackageId>>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(project: &'a Project, base: Digest, rules: &BTreeSet<RuleCode>) -> Self {
        let residue_project::Target { goos, goarch, cgo, tags } = &project.target;
        let mut all = Digester::new("run");
        all.digest(base).texts(rules.iter().map(RuleCode::as_str));
        all.text(goos).text(goarch).flag(*cgo).texts(tags).text(&project.std_version);
        let own: Vec<Digest> = project.packages.par_iter().map(own_part).collect();
        let mut seen: Vec<Digest> = Vec::with_capacity(own.len());
        for (package, own) in project.packages.iter().zip(own) {
            let mut digester = Digester::new("seen");
            digester.digest(own);
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
        let mut by_name: FxHashMap<String, Vec<PackageId>> = FxHashMap::default();
        for (id, package) in project.packages() {
            by_name.entry(package.to_string()).or_default().push(id);
        }
        Self { project, base: all.finish(), seen, by_name }
    }

    /// The name of a package as package `own` knows it.
    pub(super) fn name(&self, own: PkgId, id: PkgId) -> Option<String> {
        let name = self.project.packages.get(id.index())?.to_string();
        (self.named(own, &name) == Some(id)).then_some(name)
    }

    /// The package that package `own` knows by a name: where several have it, the one that it imports.
    pub(super) fn named(&self, own: PkgId, name: &str) -> Option<PkgId> {
        let id = match self.by_name.get(name)?.as_slice() {
            [only] => *only,
            several => {
                let imports = self.imports(PackageId(own.0));
                let mut known = several.iter().filter(|id| **id == PackageId(own.0) || imports.contains(id));
                known.next().filter(|_| known.next().is_none()).copied()?
            }
        };
        Some(PkgId(id.0))
    }

    /// The key of a package whose bodies are looked at: all, or those that were asked for.
    pub(crate) fn of(&self, id: PackageId) -> Digest {
        let package = &self.project[id];
        let imports = self.imports(id);
        let number: FxHashMap<PackageId, u64> = imports.iter().copied().zip(0..).collect();
        let mut digester = Digester::new("package");
        digester.digest(self.base).text(&package.dir);
        describe(package, &mut digester);
        for file in &package.files {
            let SourceFile { path, file: tree, errors: _, generated, excluded, test, cgo, go_version } = &**file;
            digester.text(path).digest(Digest::of(tree.src()));
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

/// What a package's importers see of it, what it imports aside.
fn own_part(package: &Package) -> Digest {
    let mut digester = Digester::new("own");
    describe(package, &mut digester);
    // Of other people's code nothing changes but all.
    let ours = matches!(package.origin, Origin::Root | Origin::Local);
    for file in &package.files {
        digester.flag(file.cgo);
        version(file.go_version, &mut digester);
        // cgo reads a comment.
        if ours && !file.cgo && file.errors.is_empty() {
            digester.flag(true);
            residue_syntax::outline(&file.file, |token| _ = digester.bytes(token));
        } else {
            digester.flag(false).digest(Digest::of(file.file.src()));
        }
    }
    digester.finish()
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

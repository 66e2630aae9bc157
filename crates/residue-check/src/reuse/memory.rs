//! What a process that checks the same code again and again need not work out again. Of a package of which nothing has
//! changed, nor of what it imports, everything is at hand: the digests, the key, and what was found in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use residue_cache::Digest;
use residue_project::{Package, PackageId, Project, SourceFile};
use residue_types::PkgId;
use rustc_hash::FxHashMap;

use super::key;
use crate::demand::Opening;
use crate::engine::Look;
use crate::reach::Calls;
use crate::state::summary::{Extent, Learnt};

/// Kept from one check of a project to the check of its next version.
#[derive(Default)]
pub struct Memory {
    known: Mutex<Known>,
    opening: Mutex<Opening>,
}

#[derive(Default)]
struct Known {
    /// The version that was taken in last.
    project: Option<Arc<Project>>,
    files: Files,
    /// By package, the digest of what its importers see of it and of what it imports.
    seen: Arc<[Digest]>,
    /// By package, what is known of it.
    packages: Vec<Recalled>,
}

/// By its address, a file and its digests. The file is held, so that no other comes to lie there.
pub(super) type Files = FxHashMap<usize, (Arc<SourceFile>, FileDigests)>;

/// Digests of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileDigests {
    /// Of its text.
    pub(super) content: Digest,
    /// Of what importers see of it.
    pub(super) outline: Digest,
}

/// What is known of a package.
#[derive(Clone, Default)]
struct Recalled {
    /// The files that the next two are about, where some are read again with bodies.
    files: Vec<Arc<SourceFile>>,
    key: Option<Digest>,
    found: Option<Found>,
    /// What its functions called and what was known of them when it was looked at last, perhaps in an earlier version.
    last: Option<(Arc<Calls>, Arc<Learnt>)>,
}

/// What was found in a package.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) look: Arc<Look>,
    pub(crate) learnt: Arc<Learnt>,
    pub(crate) rests_on: RestsOn,
}

/// What was known of a package: how much, and what.
pub(crate) type Told = (PkgId, Extent, Option<Arc<Learnt>>);

/// What the look at a package was told of others.
#[derive(Clone)]
pub(crate) struct RestsOn {
    /// What was known of the packages that it asked about.
    pub(crate) packages: Arc<[Told]>,
    /// If it asked where calls through interfaces lead, the digest of all that decides that.
    pub(crate) methods: Option<Digest>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Memory {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a version of the project in. Gives for each package the digest of all that its importers can see of it, by
    /// itself or through what it imports: where that is as it was, so are the types of its declarations.
    pub fn take_in(&self, project: &Arc<Project>) -> Arc<[Digest]> {
        let mut known = self.known();
        let Known { project: last, files, seen, packages } = &mut *known;
        *files = key::files(project, std::mem::take(files));
        let mut untouched: Vec<bool> = Vec::with_capacity(project.packages.len());
        for (i, package) in project.packages.iter().enumerate() {
            let before = last.as_ref().and_then(|last| last.packages.get(i));
            let same = before.is_some_and(|before| is_same(package, before));
            // Imports come first; where they go round, nothing is taken for granted.
            let mut imports = package.imports.values().flatten();
            untouched.push(same && imports.all(|import| untouched.get(import.index()) == Some(&true)));
        }
        let known_before = |i: usize| untouched[i].then(|| seen.get(i).copied()).flatten();
        let new = key::seen(project, files, known_before);
        *seen = new.into();
        let recalled = untouched.iter().enumerate().map(|(i, &untouched)| {
            let same_name = last.as_ref().and_then(|last| last.packages.get(i)).is_some_and(|before| {
                before.import_path == project.packages[i].import_path && before.variant == project.packages[i].variant
            });
            let recalled = packages.get_mut(i).map(std::mem::take).unwrap_or_default();
            match (untouched, same_name) {
                (true, _) => recalled,
                (false, true) => Recalled { last: recalled.last, ..Recalled::default() },
                (false, false) => Recalled::default(),
            }
        });
        *packages = recalled.collect();
        *last = Some(Arc::clone(project));
        Arc::clone(seen)
    }

    /// What was taken in last.
    pub(super) fn seen(&self) -> Arc<[Digest]> {
        Arc::clone(&self.known().seen)
    }

    /// The digest of a file's text.
    pub(super) fn content(&self, file: &Arc<SourceFile>) -> Option<Digest> {
        self.known().files.get(&key::address(file)).map(|(_, digests)| digests.content)
    }

    /// What is known of which bodies to read.
    pub(crate) fn opening(&self) -> MutexGuard<'_, Opening> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of a package that is made of these files.
    pub(super) fn key(&self, package: PackageId, files: &[Arc<SourceFile>]) -> Option<Digest> {
        self.known().recalled(package, files)?.key
    }

    pub(super) fn set_key(&self, package: PackageId, files: &[Arc<SourceFile>], key: Digest) {
        if let Some(recalled) = self.known().packages.get_mut(package.index()) {
            recalled.be_about(files);
            recalled.key = Some(key);
        }
    }

    /// What was found in a package that is as it was, whatever its callees may have become.
    pub(crate) fn found(&self, package: PackageId, files: &[Arc<SourceFile>]) -> Option<Found> {
        self.known().recalled(package, files)?.found.clone()
    }

    pub(crate) fn set_found(&self, package: PackageId, files: &[Arc<SourceFile>], found: Found) {
        if let Some(recalled) = self.known().packages.get_mut(package.index()) {
            recalled.be_about(files);
            recalled.last = Some((Arc::clone(&found.look.calls), Arc::clone(&found.learnt)));
            recalled.found = Some(found);
        }
    }

    /// What a package's functions called, and what was known of them, when it was looked at last.
    pub(crate) fn last(&self, package: PackageId) -> Option<(Arc<Calls>, Arc<Learnt>)> {
        self.known().packages.get(package.index())?.last.clone()
    }
}

impl Known {
    fn recalled(&self, package: PackageId, files: &[Arc<SourceFile>]) -> Option<&Recalled> {
        self.packages.get(package.index()).filter(|recalled| same_files(&recalled.files, files))
    }
}

impl Recalled {
    /// Forgets what is about other files.
    fn be_about(&mut self, files: &[Arc<SourceFile>]) {
        if !same_files(&self.files, files) {
            *self = Self { files: files.to_vec(), key: None, found: None, last: self.last.take() };
        }
    }
}

fn same_files(one: &[Arc<SourceFile>], other: &[Arc<SourceFile>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| Arc::ptr_eq(a, b))
}

/// Whether a package is made of the same files as before, and imports packages of the same numbers.
pub(crate) fn is_same(new: &Package, old: &Package) -> bool {
    let Package { import_path, name, variant, origin, module: _, dir, go_version, analyse, files, imports, incomplete } =
        new;
    same_files(files, &old.files)
        && *import_path == old.import_path
        && *variant == old.variant
        && *name == old.name
        && *dir == old.dir
        && (*origin, *go_version, *analyse, *incomplete) == (old.origin, old.go_version, old.analyse, old.incomplete)
        && *imports == old.imports
}

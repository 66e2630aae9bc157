//! Which functions of packages that are only imported are looked into.
//!
//! Imports are read without bodies. What a call into one of them does is known from a model, or else not at all. Before
//! packages are analysed, [`Opening::open`] asks for the bodies of those functions whose summary could matter to a package that
//! imports theirs: functions it names that take or give something a model tracks, something that holds or could be such
//! a thing, or a function; and those whose text recovers or ends the process. What their bodies name is asked for in
//! turn, a few times. Nothing here runs rules: these functions are summed up, callees first, like all others.
//!
//! Names are compared, not uses: a little more is read than is called, and nothing has to be typed twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;
use residue_project::{Origin, Package, PackageId, Project};
use residue_syntax::ast::{Decl, File, IdentId, Span};
use residue_types::{Declarations, ObjId, Object, Objects, Program, Type};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::Models;
use crate::reuse::is_same;

/// How often what is read is asked what it calls in turn.
const ROUNDS_MAX: usize = 3;
/// Functions that are looked into at most.
const FUNCTIONS_MAX: usize = 20_000;
/// Bytes of source that these have at most.
const BYTES_MAX: u64 = 8 << 20;

/// Functions of a package that bear one name beyond which none of them is: generated clients have one for each of
/// hundreds of types, and which is meant would take types to tell.
const NAMESAKES_MAX: usize = 8;

/// A program with the bodies that were asked for.
pub(crate) struct Opened {
    pub(crate) program: Program,
    /// The packages that they belong to.
    pub(crate) packages: BTreeSet<PackageId>,
    /// Functions that were not looked into because there are too many.
    pub(crate) left: usize,
}

/// What of an opening is of use to the next one.
#[derive(Default)]
pub(crate) struct Opening {
    /// The declarations that decide what can be asked for.
    ground: Vec<(PackageId, Option<Arc<Declarations>>)>,
    candidates: Arc<Candidates>,
    /// The version of the project that asked last.
    project: Option<Arc<Project>>,
    /// By package that is analysed, what it asked for.
    asked: BTreeMap<PackageId, Arc<Asked>>,
    opened: Option<Arc<Opened>>,
}

/// What packages ask for, and the bytes that it has; in order, so that a limit is met at the same function each time.
type Asked = BTreeSet<(PackageId, ObjId, u64)>;

impl Opening {
    /// Reads the bodies that matter. None where there are none.
    pub(crate) fn open(&mut self, program: &Program, models: &Models) -> Option<Arc<Opened>> {
        let project = program.project();
        let search = Search::new(program, models);
        let reachable = reachable(project);
        let ground = search.packages.iter().chain(&reachable);
        let ground: Vec<_> = ground.map(|&id| (id, program.declared(program.id(id)).cloned())).collect();
        let address = |declared: &Option<Arc<Declarations>>| declared.as_ref().map(Arc::as_ptr);
        let same = self.project.is_some()
            && ground.len() == self.ground.len()
            && ground.iter().zip(&self.ground).all(|((a, x), (b, y))| a == b && address(x) == address(y));
        if !same {
            *self = Self { ground, candidates: Arc::new(search.all(reachable)), ..Self::default() };
        }
        let roots: Vec<(PackageId, &Package)> = project.roots().collect();
        let asked = roots.par_iter().map(|&(id, package)| {
            let before = self.project.as_ref().and_then(|before| before.packages.get(id.index()));
            let known = self.asked.get(&id);
            if let Some(known) = known.filter(|_| before.is_some_and(|before| is_same(package, before))) {
                return (id, Arc::clone(known));
            }
            let asked = self.candidates.asked_by(program, id);
            (id, known.filter(|known| ***known == asked).cloned().unwrap_or_else(|| Arc::new(asked)))
        });
        let asked: BTreeMap<PackageId, Arc<Asked>> = asked.collect();
        let all = |asked: &BTreeMap<PackageId, Arc<Asked>>| -> Asked {
            asked.values().flat_map(|asked| asked.iter().copied()).collect()
        };
        let very_same = asked.len() == self.asked.len()
            && asked.iter().zip(&self.asked).all(|((a, x), (b, y))| a == b && Arc::ptr_eq(x, y));
        let as_before = self.project.is_some() && (very_same || all(&asked) == all(&self.asked));
        let opened = if as_before {
            self.opened.as_ref().map(|known| Opened {
                program: program.with_packages_of(&known.program, known.packages.iter().copied()),
                packages: known.packages.clone(),
                left: known.left,
            })
        } else {
            open(program, &self.candidates, all(&asked))
        };
        (self.asked, self.project, self.opened) = (asked, Some(Arc::clone(project)), opened.map(Arc::new));
        self.opened.clone()
    }
}

/// Reads the bodies that are asked for, and those that these ask for in turn.
fn open(program: &Program, candidates: &Candidates, mut asked: Asked) -> Option<Opened> {
    let mut wanted: BTreeMap<PackageId, BTreeSet<ObjId>> = BTreeMap::new();
    let mut opened: Option<Program> = None;
    let (mut count, mut bytes, mut left) = (0, 0, 0);
    for round in 1..=ROUNDS_MAX {
        let now = opened.as_ref().unwrap_or(program);
        let mut grown = BTreeSet::new();
        for (id, function, size) in asked {
            if wanted.get(&id).is_some_and(|known| known.contains(&function)) {
                continue;
            }
            if count >= FUNCTIONS_MAX || bytes + size > BYTES_MAX {
                left += 1;
                continue;
            }
            (count, bytes) = (count + 1, bytes + size);
            wanted.entry(id).or_default().insert(function);
            grown.insert(id);
        }
        if grown.is_empty() {
            break;
        }
        let more = wanted.iter().filter(|(id, _)| grown.contains(id)).map(|(id, all)| (*id, all.clone())).collect();
        let next = now.with_bodies(&more);
        asked = Asked::new();
        if round < ROUNDS_MAX {
            let grown: Vec<PackageId> = grown.into_iter().collect();
            let more: Vec<Asked> = grown.par_iter().map(|&id| candidates.asked_by(&next, id)).collect();
            asked.extend(more.into_iter().flatten());
        }
        opened = Some(next);
    }
    Some(Opened { program: opened?, packages: wanted.into_keys().collect(), left })
}

/// Functions by their names, each with the bytes that it has.
type ByName = FxHashMap<&'static str, Vec<(ObjId, u64)>>;

/// What can be asked for: by package, the functions whose summary could matter, by name.
#[derive(Default)]
struct Candidates {
    by_package: FxHashMap<PackageId, ByName>,
}

/// Looks for what can be asked for.
struct Search<'a> {
    program: &'a Program,
    models: &'a Models,
    /// The declared types that models track, and the packages that models speak of.
    tracked: FxHashSet<ObjId>,
    packages: BTreeSet<PackageId>,
    /// One value of each, as it is held.
    samples: Vec<Type>,
}

impl<'a> Search<'a> {
    fn new(program: &'a Program, models: &'a Models) -> Self {
        let project = program.project();
        let mut by_path: FxHashMap<&str, PackageId> = FxHashMap::default();
        for (id, package) in project.packages() {
            by_path.entry(&*package.import_path).or_insert(id);
        }
        let mut this =
            Self { program, models, tracked: FxHashSet::default(), packages: BTreeSet::new(), samples: Vec::new() };
        for wanted in models.resources().flat_map(|(_, resource)| &resource.types) {
            let Some(&id) = by_path.get(&*wanted.package) else { continue };
            this.packages.insert(id);
            let name = residue_types::Symbol::new(&wanted.name);
            if let Some(id) = program.declarations(program.id(id)).and_then(|declared| declared.lookup(name))
                && this.tracked.insert(id)
            {
                let ty = Type::Named(id);
                this.samples.push(if wanted.pointer { Type::Pointer(ty.into()) } else { ty });
            }
        }
        this
    }

    /// All that these packages have.
    fn all(&self, packages: Vec<PackageId>) -> Candidates {
        let found = packages.into_par_iter().map(|id| (id, self.candidates(id)));
        Candidates { by_package: found.filter(|(_, found)| !found.is_empty()).collect() }
    }

    /// The functions of a package whose summary could matter.
    fn candidates(&self, id: PackageId) -> ByName {
        let mut found = ByName::default();
        let package = &self.program.project().packages[id.index()];
        let pkg = self.program.id(id);
        let Some(declared) = self.program.declarations(pkg) else { return found };
        let spans: Vec<FxHashMap<IdentId, Span>> = package.files.iter().map(|file| functions(&file.file)).collect();
        let mut known = FxHashMap::default();
        for (index, object) in declared.objects().enumerate() {
            let Some(site) = object.site.filter(|_| object.func().is_some()) else { continue };
            let Some(file) = package.files.get(site.file as usize) else { continue };
            let Some(&span) = spans.get(site.file as usize).and_then(|spans| spans.get(&site.ident)) else { continue };
            let name = object.name.as_str();
            // What a model speaks of is known, and what it doesn't say of a method of a resource leaves that open.
            let recv = object.func().and_then(residue_types::Func::recv);
            if recv.is_some_and(|recv| self.tracked.contains(&recv)) {
                continue;
            }
            let recv = recv.and_then(|recv| self.program.object(recv));
            let recv_name = recv.map_or("", |recv| recv.name.as_str());
            if self.models.roles(&package.import_path, recv_name, name).is_some() {
                continue;
            }
            let closes = recv.is_some() && self.models.is_release_name(name);
            if closes || self.signature_matters(object, &mut known) || ends(&file.file.text(span)) {
                let function = ObjId { pkg, index: index as u32 };
                found.entry(name).or_default().push((function, u64::from(span.end - span.start)));
            }
        }
        found.retain(|_, functions| functions.len() <= NAMESAKES_MAX);
        found
    }

    fn signature_matters(&self, object: &Object, known: &mut FxHashMap<Type, bool>) -> bool {
        let Type::Func(signature) = object.ty() else { return false };
        let all = signature.params.iter().chain(&signature.results);
        let takes_function = |ty: &Type| matches!(self.program.underlying(ty), Type::Func(_));
        signature.params.iter().any(takes_function) || all.into_iter().any(|ty| self.matters(ty, known, 0))
    }

    /// Whether a value of a type can be, or directly hold, what is tracked.
    fn matters(&self, ty: &Type, known: &mut FxHashMap<Type, bool>, depth: usize) -> bool {
        match ty {
            Type::Pointer(inner) | Type::Slice(inner) => return depth < 4 && self.matters(inner, known, depth + 1),
            Type::Named(_) | Type::Instance(_) | Type::Interface(_) => {}
            _ => return false,
        }
        if let Some(&known) = known.get(ty) {
            return known;
        }
        // A type that leads to itself does not matter for that.
        known.insert(ty.clone(), false);
        let matters = ty.origin().is_some_and(|origin| self.tracked.contains(&origin))
            || match self.program.underlying(ty) {
                Type::Interface(interface) => {
                    let reads_or_closes = |name: &str| {
                        self.models.is_release_name(name) || name.starts_with("Read") || name.starts_with("Write")
                    };
                    interface.methods.iter().any(|method| reads_or_closes(method.name.as_str()))
                        && self.samples.iter().any(|sample| self.program.implements(sample, &interface))
                }
                Type::Struct(fields) => {
                    depth < 2 && fields.fields.iter().any(|field| self.matters(&field.ty, known, depth + 1))
                }
                _ => false,
            };
        known.insert(ty.clone(), matters);
        matters
    }
}

impl Candidates {
    /// The candidates that a package names, of those that it imports; and of its own, where it was itself asked for.
    fn asked_by(&self, program: &Program, id: PackageId) -> Asked {
        let package = &program.project().packages[id.index()];
        let own = (!package.analyse).then_some(id);
        let imported = package.imports.values().flatten().copied().chain(own);
        let from: BTreeSet<PackageId> = imported.filter(|id| self.by_package.contains_key(id)).collect();
        let mut asked = Asked::new();
        if from.is_empty() {
            return asked;
        }
        let names = named(package);
        for id in from {
            let Some(candidates) = self.by_package.get(&id) else { continue };
            let functions = names.iter().filter_map(|name| candidates.get(name)).flatten();
            asked.extend(functions.map(|&(function, size)| (id, function, size)));
        }
        asked
    }
}

/// Packages whose source is there, without bodies, and that packages which are analysed lead to.
fn reachable(project: &Project) -> Vec<PackageId> {
    let analysed: FxHashSet<&str> = project.roots().map(|(_, package)| &*package.import_path).collect();
    let is_closed = |package: &Package| {
        matches!(package.origin, Origin::Dependency | Origin::Local)
            && !package.analyse
            && !analysed.contains(&*package.import_path)
    };
    let mut seen: BTreeSet<PackageId> = BTreeSet::new();
    let mut asking: Vec<PackageId> = project.roots().map(|(id, _)| id).collect();
    for _ in 0..ROUNDS_MAX {
        let imported = asking.iter().flat_map(|id| project[*id].imports.values().flatten().copied());
        let imported: BTreeSet<PackageId> = imported.filter(|id| is_closed(&project[*id])).collect();
        asking = imported.into_iter().filter(|id| seen.insert(*id)).collect();
    }
    seen.into_iter().collect()
}

/// The functions of a file by their names, with all of their text.
fn functions(file: &File) -> FxHashMap<IdentId, Span> {
    let decls = file.list(file.top_decls());
    let functions = decls.filter_map(|decl| match file.decl(decl) {
        Decl::Func(func) => Some((func.name, file.decl_span(decl))),
        _ => None,
    });
    functions.collect()
}

/// Whether a function's text recovers or ends the process, as it stands there.
fn ends(text: &str) -> bool {
    ["recover()", "os.Exit(", "runtime.Goexit("].iter().any(|word| text.contains(word))
}

/// The names that a package's bodies have in them; of one that is analysed, all its names.
fn named(package: &Package) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for file in &package.files {
        let tree = &file.file;
        if package.analyse {
            names.extend(tree.names());
            continue;
        }
        let mut bodies: Vec<Span> = Vec::new();
        for decl in tree.list(tree.top_decls()) {
            if let Decl::Func(func) = tree.decl(decl)
                && let Some(body) = func.body
            {
                bodies.push(tree.block(body).span);
            }
        }
        for i in 0..tree.ident_count() {
            let span = tree.ident_span(IdentId::new(i));
            let after = bodies.partition_point(|body| body.end <= span.start);
            if bodies.get(after).is_some_and(|body| body.contains(span)) {
                names.insert(tree.ident_text(IdentId::new(i)));
            }
        }
    }
    names
}

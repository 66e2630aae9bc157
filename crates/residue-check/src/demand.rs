//! Which functions of packages that are only imported are looked into.
//!
//! Imports are read without bodies. What a call into one of them does is known from a model, or else not at all. Before
//! packages are analysed, [`open`] asks for the bodies of those functions whose summary could matter to a package that
//! imports theirs: functions it names that take or give something a model tracks, something that holds or could be such
//! a thing, or a function; and those whose text recovers or ends the process. What their bodies name is asked for in
//! turn, a few times. Nothing here runs rules: these functions are summed up, callees first, like all others.
//!
//! Names are compared, not uses: a little more is read than is called, and nothing has to be typed twice.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use residue_project::{Origin, Package, PackageId, Project};
use residue_syntax::ast::{Decl, File, IdentId, Span};
use residue_types::{ObjId, Object, Objects, PkgId, Program, Type};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::Models;

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

/// Reads the bodies that matter. None where there are none.
pub(crate) fn open(program: &Program, models: &Models) -> Option<Opened> {
    let project = program.project();
    let candidates = Candidates::new(program, models);
    let mut wanted: BTreeMap<PackageId, BTreeSet<ObjId>> = BTreeMap::new();
    let mut opened: Option<Program> = None;
    let (mut count, mut bytes, mut left) = (0, 0, 0);
    let mut asking: Vec<PackageId> = project.roots().map(|(id, _)| id).collect();
    for _ in 0..ROUNDS_MAX {
        let now = opened.as_ref().unwrap_or(program);
        let asked: Vec<Vec<(ObjId, u64)>> = asking.par_iter().map(|&id| candidates.asked_by(now, id)).collect();
        // In order, so that a limit is met at the same function each time.
        let asked: BTreeSet<(ObjId, u64)> = asked.into_iter().flatten().collect();
        let mut grown = BTreeSet::new();
        for (function, size) in asked {
            let id = PackageId(function.pkg.0);
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
        opened = Some(now.with_bodies(&more));
        asking = grown.into_iter().collect();
    }
    Some(Opened { program: opened?, packages: wanted.into_keys().collect(), left })
}

/// Functions by their names, each with the bytes that it has.
type ByName<'a> = FxHashMap<&'a str, Vec<(ObjId, u64)>>;

/// What can be asked for.
struct Candidates<'a> {
    program: &'a Program,
    models: &'a Models,
    /// The declared types that models track.
    tracked: FxHashSet<ObjId>,
    /// One value of each, as it is held.
    samples: Vec<Type>,
    /// By package, the functions whose summary could matter, by name.
    by_package: FxHashMap<PackageId, ByName<'a>>,
}

impl<'a> Candidates<'a> {
    fn new(program: &'a Program, models: &'a Models) -> Self {
        let project = program.project();
        let mut by_path: FxHashMap<&str, PackageId> = FxHashMap::default();
        for (id, package) in project.packages() {
            by_path.entry(&*package.import_path).or_insert(id);
        }
        let mut this = Self {
            program,
            models,
            tracked: FxHashSet::default(),
            samples: Vec::new(),
            by_package: FxHashMap::default(),
        };
        for wanted in models.resources().flat_map(|(_, resource)| &resource.types) {
            let declared = by_path.get(&*wanted.package).and_then(|id| program.declarations(PkgId(id.0)));
            let name = residue_types::Symbol::new(&wanted.name);
            if let Some(id) = declared.and_then(|declared| declared.lookup(name))
                && this.tracked.insert(id)
            {
                let ty = Type::Named(id);
                this.samples.push(if wanted.pointer { Type::Pointer(ty.into()) } else { ty });
            }
        }
        let reachable = reachable(project);
        let found = reachable.into_par_iter().map(|id| (id, this.candidates(id)));
        let found = found.filter(|(_, found)| !found.is_empty()).collect();
        this.by_package = found;
        this
    }

    /// The functions of a package whose summary could matter.
    fn candidates(&self, id: PackageId) -> ByName<'a> {
        let mut found = ByName::default();
        let package = &self.program.project().packages[id.index()];
        let pkg = PkgId(id.0);
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

    /// The candidates that a package names, of those that it imports; and of its own, where it was itself asked for.
    fn asked_by(&self, program: &Program, id: PackageId) -> Vec<(ObjId, u64)> {
        let package = &program.project().packages[id.index()];
        let own = (!package.analyse).then_some(id);
        let imported = package.imports.values().flatten().copied().chain(own);
        let from: BTreeSet<PackageId> = imported.filter(|id| self.by_package.contains_key(id)).collect();
        if from.is_empty() {
            return Vec::new();
        }
        let names = named(package);
        let mut asked = Vec::new();
        for id in from {
            let Some(candidates) = self.by_package.get(&id) else { continue };
            asked.extend(names.iter().filter_map(|name| candidates.get(name)).flatten());
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

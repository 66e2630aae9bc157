//! Calls through interfaces: the methods that the types allow, where they are few and all were looked into.
//!
//! An interface of the code that is analysed is implemented by its own types, as far as can be seen. Where these are
//! few, a call does what all of their methods do, and may do what one of them may. Only interfaces that no other module
//! can speak of are asked: unexported ones, those of internal packages and of commands. Of others nobody can tell who
//! implements them, so what they get is taken to be kept.

use std::sync::Arc;

use residue_project::Variant;
use residue_types::{ObjId, ObjKind, Object, Objects, PkgId, Program, SelectionKind, Symbol, Type};
use rustc_hash::{FxHashMap, FxHashSet};

use super::summary::{Effect, Summary};

/// Types that implement an interface beyond which nothing is said of its methods.
const IMPLEMENTATIONS_MAX: usize = 4;
/// Types inside each other whose methods are listed for the one that embeds them.
const EMBEDDED_MAX: usize = 64;
/// Types with a method of one name beyond which nobody asks which of them implement an interface.
const NAMESAKES_MAX: usize = 64;

/// The declared types with methods, of all packages that are analysed.
#[derive(Debug, Default)]
pub(crate) struct Hierarchy {
    /// By a method's name, the types that declare it.
    by_method: FxHashMap<Symbol, Vec<ObjId>>,
    /// Types that embed something and can have methods of that, by the name of each method that they may have.
    embedding: FxHashMap<Symbol, Vec<ObjId>>,
    /// Those that embed so much that the names are not listed.
    embedding_much: Vec<ObjId>,
}

impl Hierarchy {
    pub(crate) fn new(program: &Program) -> Self {
        let mut this = Self::default();
        let project = program.project();
        let analysed: rustc_hash::FxHashSet<&str> = project.roots().map(|(_, package)| &*package.import_path).collect();
        for (id, package) in project.packages() {
            let is_seen =
                package.analyse || (package.variant == Variant::Plain && analysed.contains(&*package.import_path));
            let pkg = program.id(id);
            let Some(declared) = program.declarations(pkg).filter(|_| is_seen) else { continue };
            for (index, object) in declared.objects().enumerate() {
                let ObjKind::Type(name) = &object.kind else { continue };
                let ty = ObjId { pkg, index: index as u32 };
                if name.alias || matches!(object.underlying(), Some(Type::Interface(_))) {
                    continue;
                }
                for &(method, _) in object.methods() {
                    this.by_method.entry(method).or_default().push(ty);
                }
                if let Some(Type::Struct(fields)) = object.underlying()
                    && fields.fields.iter().any(|field| field.embedded)
                {
                    match method_names(program, object) {
                        Some(names) => {
                            for name in names {
                                this.embedding.entry(name).or_default().push(ty);
                            }
                        }
                        None => this.embedding_much.push(ty),
                    }
                }
            }
        }
        this
    }

    /// Whether nobody but the code that is analysed can implement an interface.
    pub(crate) fn is_closed(program: &Program, recv: &Type) -> bool {
        let Some(origin) = recv.origin() else { return false };
        let Some(declaring) = program.package(origin.pkg) else { return false };
        program.object(origin).is_some_and(|object| !object.name.is_exported())
            || &*declaring.name == "main"
            || declaring.import_path.split('/').any(|part| part == "internal")
    }

    /// The methods that a call of an interface's method can lead to, as package `from` sees them, in files of tests or
    /// in others, as far as the code itself implements it: others may do so too. None where that is not known.
    pub(crate) fn methods(
        &self,
        program: &Program,
        from: PkgId,
        in_test: bool,
        recv: &Type,
        name: Symbol,
    ) -> Option<Vec<ObjId>> {
        let (Type::Named(_), Type::Interface(interface)) = (recv, program.underlying(recv)) else { return None };
        let declaring_types = self.by_method.get(&name)?;
        if declaring_types.len() > NAMESAKES_MAX {
            return None;
        }
        let own_path = program.package_path(from);
        let mut methods = Vec::new();
        // Who has all methods of the interface has the one that fewest have.
        let embedding = interface.methods.iter().map(|m| self.embedding.get(&m.name).map_or(&[][..], Vec::as_slice));
        let embedding = embedding.min_by_key(|types| types.len()).unwrap_or_default();
        for &ty in declaring_types.iter().chain(embedding).chain(&self.embedding_much) {
            let package = program.package(ty.pkg)?;
            // Each type once: of this package as it is here, of others as they are imported.
            let is_here = ty.pkg == from;
            if !is_here && (package.variant != Variant::Plain || &*package.import_path == own_path) {
                continue;
            }
            let object = program.object(ty)?;
            let is_test =
                object.site.and_then(|site| package.files.get(site.file as usize)).is_some_and(|file| file.test);
            if is_test && !in_test {
                continue;
            }
            let pointer = Type::Pointer(Type::Named(ty).into());
            if !object.type_params().is_empty() {
                // Which of its instances do is not asked.
                if object.methods().iter().any(|&(method, _)| method == name) {
                    return None;
                }
                continue;
            }
            if !program.implements(&pointer, &interface) {
                continue;
            }
            match program.select(&pointer, name, from).map(|selection| selection.kind) {
                Some(SelectionKind::Method(id)) => methods.push(id),
                // An embedded interface: whatever is in it.
                _ => return None,
            }
            // As they come in the project: numbers of packages depend on what it was before.
            methods.sort_unstable_by_key(|method: &ObjId| (program.package_id(method.pkg), method.index));
            methods.dedup();
            if methods.len() > IMPLEMENTATIONS_MAX {
                return None;
            }
        }
        (!methods.is_empty()).then_some(methods)
    }
}

/// The names of the methods that a type has itself or may have of what it embeds. None where that is too much.
fn method_names(program: &Program, object: &Object) -> Option<FxHashSet<Symbol>> {
    let mut names = FxHashSet::default();
    let mut seen = Vec::new();
    let mut work = vec![object];
    while let Some(object) = work.pop() {
        names.extend(object.methods().iter().map(|&(name, _)| name));
        match object.underlying() {
            Some(Type::Interface(interface)) => names.extend(interface.methods.iter().map(|method| method.name)),
            Some(Type::Struct(fields)) => {
                for field in fields.fields.iter().filter(|field| field.embedded) {
                    let ty = field.ty.strip_pointer();
                    match ty.origin() {
                        Some(origin) if seen.contains(&origin) => {}
                        Some(origin) => {
                            seen.push(origin);
                            work.push(program.object(origin)?);
                        }
                        None if matches!(ty, Type::Unknown | Type::Basic(_)) => {}
                        // A type without a name of its own, behind an alias.
                        None => return None,
                    }
                }
            }
            _ => {}
        }
        if seen.len() > EMBEDDED_MAX {
            return None;
        }
    }
    Some(names)
}

/// What a call does that leads to one of several functions. What becomes of the receiver is not said.
pub(crate) fn joined(summaries: &[Arc<Summary>]) -> Option<Summary> {
    let (first, rest) = summaries.split_first()?;
    let mut joined = Summary::clone(first);
    for other in rest {
        for (i, effect) in joined.params.iter_mut().enumerate() {
            if other.effect(i) != *effect {
                *effect = Effect::Escaped;
            }
        }
        joined.releases.retain(|release| {
            other.releases.iter().any(|r| r.param == release.param && r.path == release.path && r.when == release.when)
        });
        joined.owned.retain(|owned| {
            other.owned.iter().any(|o| o.result == owned.result && o.path == owned.path && o.kind == owned.kind)
        });
        for pass in &other.passes {
            if !joined.passes.contains(pass) {
                joined.passes.push(*pass);
            }
        }
        joined.panics = joined.panics.or_else(|| other.panics.clone());
        joined.stops = joined.stops.filter(|_| joined.stops == other.stops);
        joined.called &= other.called;
        joined.repanics &= other.repanics;
        joined.makes_error &= other.makes_error;
        joined.outlives = joined.outlives.filter(|_| other.outlives.is_some());
    }
    // A parameter that only one of them releases may be released.
    for (i, effect) in joined.params.iter_mut().enumerate() {
        if *effect == Effect::Released && joined.releases.iter().all(|release| release.param != i) {
            *effect = Effect::Escaped;
        }
    }
    joined.releases.retain(|release| release.param != 0);
    if let Some(receiver) = joined.params.first_mut() {
        *receiver = Effect::Borrowed;
    }
    joined.recovers = false;
    joined.makes_recoverer = false;
    Some(joined)
}

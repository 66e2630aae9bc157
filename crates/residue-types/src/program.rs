//! The packages of a project, declared; bodies on demand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;
use residue_project::{Origin, Package, PackageId, Project, SourceFile, Variant};
use residue_syntax::ast::{Expr, ExprId, File};
use residue_syntax::{Bodies as Keep, parse};
use rustc_hash::FxHashMap;

use crate::check::Checker;
use crate::info::{FileInfo, Mode, Res, SelectionKind};
use crate::lookup::Objects;
use crate::object::{DeclSite, ObjId, Object, PkgId};
use crate::symbol::{Symbol, SymbolMap};
use crate::types::Type;
use crate::universe::{self, Builtin};

/// The declarations of one package; immutable.
#[derive(Debug, Default)]
pub struct Declarations {
    pub(crate) objects: Vec<Object>,
    pub(crate) scope: SymbolMap<ObjId>,
    /// Members of `C`, where the package imports it.
    pub(crate) cgo: SymbolMap<ObjId>,
    /// Symbols of each file's names.
    pub(crate) symbols: Vec<Vec<Symbol>>,
    /// Package-level objects and methods by where they are declared.
    pub(crate) by_site: FxHashMap<DeclSite, ObjId>,
}

impl Declarations {
    /// The package-level object of a name.
    pub fn lookup(&self, name: Symbol) -> Option<ObjId> {
        self.scope.get(&name).copied()
    }

    /// All objects with their indices, methods and type parameters included.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = &Object> {
        self.objects.iter()
    }
}

/// A project with its declarations typed: all of them, or those that were asked for.
///
/// A package keeps its number ([`PkgId`]) from one version of a project to the next, so that declarations can be kept
/// though packages come and go around them.
#[derive(Clone, Debug)]
pub struct Program {
    project: Arc<Project>,
    /// The packages' numbers.
    ids: Vec<PkgId>,
    /// By number, the package; none where it was one of an earlier version only.
    packages: Vec<Option<PackageId>>,
    /// By number.
    declared: Vec<OnceLock<Arc<Declarations>>>,
}

impl Program {
    /// Types the declarations of all packages, in parallel where imports allow.
    pub fn new(project: Arc<Project>) -> Self {
        let program = Self::undeclared(project);
        program.declare(program.project.packages().map(|(id, _)| id));
        program
    }

    /// A program of which nothing is typed yet.
    pub fn undeclared(project: Arc<Project>) -> Self {
        let count = project.packages.len() as u32;
        Self {
            ids: (0..count).map(PkgId).collect(),
            packages: (0..count).map(|i| Some(PackageId(i))).collect(),
            declared: (0..count).map(|_| OnceLock::new()).collect(),
            project,
        }
    }

    /// The program of the next version of a project: of packages of which nothing has changed, the declarations are kept.
    ///
    /// `same` says of a package, in this version and in the one before, whether everything is as it was that its importers
    /// can see of it: its declarations, and those of all that it imports.
    #[must_use]
    pub fn next(&self, project: &Arc<Project>, same: impl Fn(PackageId, PackageId) -> bool) -> Self {
        let mut before: FxHashMap<_, VecDeque<PackageId>> = FxHashMap::default();
        for (id, package) in self.project.packages() {
            before.entry(identity(&self.project, package)).or_default().push_back(id);
        }
        let mut next = Self {
            ids: Vec::with_capacity(project.packages.len()),
            packages: vec![None; self.packages.len()],
            declared: self.packages.iter().map(|_| OnceLock::new()).collect(),
            project: Arc::clone(project),
        };
        for (id, package) in project.packages() {
            let old = before.get_mut(&identity(project, package)).and_then(VecDeque::pop_front);
            let pkg = old.map_or(PkgId(next.packages.len() as u32), |old| self.ids[old.index()]);
            if old.is_none() {
                next.packages.push(None);
                next.declared.push(OnceLock::new());
            }
            next.ids.push(pkg);
            next.packages[pkg.index()] = Some(id);
            let declarations = self.declared.get(pkg.index()).and_then(OnceLock::get);
            let Some((old, declarations)) = old.zip(declarations) else { continue };
            if same(id, old) && next.is_as_it_was(package, self, &self.project[old]) {
                let _ = next.declared[pkg.index()].set(Arc::clone(declarations));
            }
        }
        next
    }

    /// Whether a package is made of the same files as in the version before, and imports the same packages.
    fn is_as_it_was(&self, package: &Package, before: &Self, old: &Package) -> bool {
        let files = package.files.len() == old.files.len()
            && package.files.iter().zip(&old.files).all(|(new, old)| Arc::ptr_eq(new, old));
        let imports = |program: &Self, package: &Package| -> Vec<Option<PkgId>> {
            package.imports.values().map(|import| import.and_then(|id| program.ids.get(id.index()).copied())).collect()
        };
        let paths = package.imports.keys().eq(old.imports.keys());
        files && paths && package.name == old.name && imports(self, package) == imports(before, old)
    }

    /// Types the declarations of packages and of all that they import, as far as that is not done yet.
    pub fn declare(&self, packages: impl IntoIterator<Item = PackageId>) {
        let count = self.project.packages.len();
        let todo = |i: usize| self.declared[self.ids[i].index()].get().is_none();
        let mut wanted = vec![false; count];
        for id in packages {
            wanted[id.index()] = true;
        }
        // Imports come first, so that they are reached after all that import them.
        for i in (0..count).rev().filter(|&i| todo(i)) {
            if wanted[i] {
                self.imports(i).for_each(|p| wanted[p] = true);
            }
        }
        let mut depth = vec![0usize; count];
        let mut levels: Vec<Vec<usize>> = Vec::new();
        for i in (0..count).filter(|&i| wanted[i] && todo(i)) {
            depth[i] = self.imports(i).map(|p| depth[p] + 1).max().unwrap_or(0);
            if levels.len() <= depth[i] {
                levels.resize_with(depth[i] + 1, Vec::new);
            }
            levels[depth[i]].push(i);
        }
        for level in levels {
            level.into_par_iter().with_max_len(1).for_each(|i| {
                let declared = Checker::declare(self, self.ids[i]);
                let _ = self.declared[self.ids[i].index()].set(Arc::new(declared));
            });
        }
    }

    /// The packages that one imports.
    fn imports(&self, i: usize) -> impl Iterator<Item = usize> {
        self.project.packages[i].imports.values().flatten().map(|p| p.index()).filter(move |&p| p < i)
    }

    /// The project.
    pub fn project(&self) -> &Arc<Project> {
        &self.project
    }

    /// The declarations of a package, where they have been typed.
    pub fn declarations(&self, pkg: PkgId) -> Option<&Declarations> {
        self.declared.get(pkg.index())?.get().map(|declared| &**declared)
    }

    /// The same, to be held. Where it is the very same one in two versions of a program, nothing has changed of what it
    /// was made of.
    pub fn declared(&self, pkg: PkgId) -> Option<&Arc<Declarations>> {
        self.declared.get(pkg.index())?.get()
    }

    /// The same program, with the bodies of some more functions: by package, the functions to read. What objects there
    /// are does not change, so that their ids mean the same in both. A package that reads differently with bodies, as
    /// one that ends inside of a function, stays as it was.
    #[must_use]
    pub fn with_bodies(&self, wanted: &BTreeMap<PackageId, BTreeSet<ObjId>>) -> Self {
        let mut project = Project::clone(&self.project);
        let read: Vec<(PackageId, Vec<Arc<SourceFile>>)> =
            wanted.par_iter().map(|(&id, functions)| (id, self.read_bodies(id, functions))).collect();
        for (id, files) in read {
            project.packages[id.index()].files = files;
        }
        let mut program = Self { project: Arc::new(project), ..self.clone() };
        let declared: Vec<(PackageId, Declarations)> =
            wanted.par_iter().map(|(&id, _)| (id, Checker::declare(&program, self.id(id)))).collect();
        for (id, declared) in declared {
            let before = self.declarations(self.id(id));
            let same = before.is_some_and(|before| {
                before.objects.len() == declared.objects.len()
                    && before.objects.iter().zip(&declared.objects).all(|(a, b)| a.name == b.name && a.ty() == b.ty())
            });
            if same {
                program.declared[self.id(id).index()] = OnceLock::from(Arc::new(declared));
            } else {
                let i = id.index();
                Arc::make_mut(&mut program.project).packages[i].files.clone_from(&self.project.packages[i].files);
            }
        }
        program
    }

    /// The same program, with some packages as they are in another one: one that [`Program::with_bodies`] made of an
    /// earlier version in which these, and what they import, were the same.
    #[must_use]
    pub fn with_packages_of(&self, other: &Self, packages: impl IntoIterator<Item = PackageId>) -> Self {
        let mut project = Project::clone(&self.project);
        let mut program = self.clone();
        for id in packages {
            project.packages[id.index()].files.clone_from(&other.project.packages[id.index()].files);
            program.declared[self.id(id).index()].clone_from(&other.declared[other.id(id).index()]);
        }
        Self { project: Arc::new(project), ..program }
    }

    /// The files of a package, read again with the bodies of some functions.
    fn read_bodies(&self, id: PackageId, functions: &BTreeSet<ObjId>) -> Vec<Arc<SourceFile>> {
        let files = &self.project.packages[id.index()].files;
        let mut at: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); files.len()];
        for site in functions.iter().filter_map(|&function| self.object(function)?.site) {
            if let (Some(file), Some(at)) = (files.get(site.file as usize), at.get_mut(site.file as usize)) {
                at.insert(file.file.ident(site.ident).pos);
            }
        }
        let read = |(file, at): (&Arc<SourceFile>, &BTreeSet<u32>)| {
            if at.is_empty() {
                return Arc::clone(file);
            }
            let parsed = parse(Arc::clone(file.file.src()), Keep::Of(at));
            Arc::new(SourceFile {
                path: Arc::clone(&file.path),
                file: parsed.file,
                errors: parsed.errors,
                generated: file.generated,
                excluded: file.excluded,
                test: file.test,
                cgo: file.cgo,
                go_version: file.go_version,
            })
        };
        files.iter().zip(&at).map(read).collect()
    }

    /// The number of a package.
    pub fn id(&self, package: PackageId) -> PkgId {
        self.ids[package.index()]
    }

    /// The package of a number; none for the special ones.
    pub fn package(&self, pkg: PkgId) -> Option<&Package> {
        Some(&self.project[self.package_id(pkg)?])
    }

    /// The package of a number, as the project knows it; none for the special ones.
    pub fn package_id(&self, pkg: PkgId) -> Option<PackageId> {
        *self.packages.get(pkg.index())?
    }

    /// Above the number of each package.
    pub fn ids_end(&self) -> usize {
        self.packages.len()
    }

    /// Types the bodies of a package. The result is not kept: the caller drops it when done with the package.
    pub fn bodies(&self, package: PackageId) -> Bodies<'_> {
        Checker::check_bodies(self, self.id(package))
    }

    /// The import path of a package; empty for predeclared things.
    pub fn package_path(&self, pkg: PkgId) -> &str {
        match pkg {
            PkgId::UNSAFE => "unsafe",
            PkgId::CGO => "C",
            _ => self.package(pkg).map_or("", |p| &p.import_path),
        }
    }

    /// Whether a package's declarations come from a model because the package itself was not found.
    pub fn is_model(&self, pkg: PkgId) -> bool {
        self.package(pkg).is_some_and(|p| p.origin == Origin::Model)
    }

    /// The package-level object `path.name`, the one importers see.
    pub fn lookup(&self, path: &str, name: &str) -> Option<ObjId> {
        let name = Symbol::new(name);
        let found = self.project.packages().find(|(_, p)| &*p.import_path == path)?;
        self.declarations(self.id(found.0))?.lookup(name)
    }
}

/// What makes a package the same one in two versions of a project.
fn identity<'a>(project: &'a Project, package: &'a Package) -> (&'a str, &'a Variant, &'a str, &'a str) {
    let version = package.module.map_or("", |module| &*project[module].version);
    (&package.import_path, &package.variant, &package.dir, version)
}

impl Objects for Program {
    fn object(&self, id: ObjId) -> Option<&Object> {
        let index = id.index as usize;
        match id.pkg {
            PkgId::UNIVERSE => universe::universe().objects.get(index),
            PkgId::UNSAFE => universe::package_unsafe().objects.get(index),
            pkg => self.declarations(pkg)?.objects.get(index),
        }
    }

    fn program(&self) -> &Program {
        self
    }
}

/// The typed bodies of one package.
#[derive(Debug)]
pub struct Bodies<'p> {
    pub(crate) program: &'p Program,
    pub(crate) pkg: PkgId,
    pub(crate) first_local: usize,
    pub(crate) locals: Vec<Object>,
    pub(crate) files: Vec<FileInfo>,
}

impl Objects for Bodies<'_> {
    fn object(&self, id: ObjId) -> Option<&Object> {
        match (id.index as usize).checked_sub(self.first_local) {
            Some(local) if id.pkg == self.pkg => self.locals.get(local),
            _ => self.program.object(id),
        }
    }

    fn program(&self) -> &Program {
        self.program
    }
}

/// What a call calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Callee {
    /// A declared function, or a declared method of a concrete receiver.
    Func(ObjId),
    /// A method through an interface or a type parameter.
    Interface {
        /// The interface or type parameter.
        recv: Type,
        /// The method's name.
        method: Symbol,
    },
    /// A predeclared function.
    Builtin(Builtin),
    /// Not a call: a conversion to this type.
    Conversion(Type),
    /// A function literal called where it stands.
    Literal(ExprId),
    /// A function value.
    Dynamic,
    /// Not known, for lack of a package.
    Unknown,
}

impl<'p> Bodies<'p> {
    /// The program.
    pub fn program(&self) -> &'p Program {
        self.program
    }

    /// The package.
    pub fn package(&self) -> PkgId {
        self.pkg
    }

    /// What is known of the package's `i`-th file.
    pub fn file(&self, i: usize) -> &FileInfo {
        &self.files[i]
    }

    /// The tree of the package's `i`-th file.
    pub fn syntax(&self, i: usize) -> &'p File {
        &self.sources()[i].file
    }

    /// The package's files.
    pub fn sources(&self) -> &'p [Arc<SourceFile>] {
        self.program.package(self.pkg).map_or(&[], |package| &package.files)
    }

    /// Number of files.
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// What the call expression `call` of the `i`-th file calls.
    pub fn callee(&self, i: usize, call: ExprId) -> Callee {
        let (tree, info) = (self.syntax(i), self.file(i));
        let Expr::Call { fun, .. } = tree.expr(call) else { return Callee::Unknown };
        let mut fun = fun;
        if info.expr(fun).mode == Mode::Type {
            return Callee::Conversion(info.type_of(fun).clone());
        }
        loop {
            match tree.expr(fun) {
                Expr::Paren(x) => fun = x,
                Expr::Index { x, .. } if matches!(info.type_of(x), Type::Func(_)) => fun = x,
                Expr::Ident(ident) => return self.callee_of_res(info.res(ident)),
                Expr::FuncLit { .. } => return Callee::Literal(fun),
                Expr::Selector { sel, .. } => {
                    let Some(selection) = info.selections.get(&fun) else {
                        return self.callee_of_res(info.res(sel));
                    };
                    return match &selection.kind {
                        SelectionKind::Field => Callee::Dynamic,
                        SelectionKind::Method(obj) => Callee::Func(*obj),
                        SelectionKind::InterfaceMethod { recv } => {
                            Callee::Interface { recv: recv.clone(), method: Symbol::new(tree.ident_text(sel)) }
                        }
                    };
                }
                _ if info.type_of(fun).is_unknown() => return Callee::Unknown,
                _ => return Callee::Dynamic,
            }
        }
    }

    fn callee_of_res(&self, res: Res) -> Callee {
        let (Res::Use(id) | Res::Def(id)) = res else { return Callee::Unknown };
        match self.object(id).map(|o| &o.kind) {
            Some(crate::ObjKind::Func(_)) => Callee::Func(id),
            Some(crate::ObjKind::Builtin(builtin)) => Callee::Builtin(*builtin),
            Some(crate::ObjKind::Var(_)) => Callee::Dynamic,
            _ => Callee::Unknown,
        }
    }
}

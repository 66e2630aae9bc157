//! The packages of a project, declared; bodies on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;
use residue_project::{Origin, PackageId, Project, SourceFile};
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
#[derive(Debug)]
pub struct Program {
    project: Arc<Project>,
    packages: Vec<OnceLock<Arc<Declarations>>>,
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
        let packages = project.packages.iter().map(|_| OnceLock::new()).collect();
        Self { project, packages }
    }

    /// Types the declarations of packages and of all that they import, as far as that is not done yet.
    pub fn declare(&self, packages: impl IntoIterator<Item = PackageId>) {
        let mut wanted = vec![false; self.packages.len()];
        for id in packages {
            wanted[id.index()] = true;
        }
        // Imports come first, so that they are reached after all that import them.
        for i in (0..wanted.len()).rev().filter(|&i| self.packages[i].get().is_none()) {
            if wanted[i] {
                self.imports(i).for_each(|p| wanted[p] = true);
            }
        }
        let mut depth = vec![0usize; wanted.len()];
        let mut levels: Vec<Vec<usize>> = Vec::new();
        for i in (0..wanted.len()).filter(|&i| wanted[i] && self.packages[i].get().is_none()) {
            depth[i] = self.imports(i).map(|p| depth[p] + 1).max().unwrap_or(0);
            if levels.len() <= depth[i] {
                levels.resize_with(depth[i] + 1, Vec::new);
            }
            levels[depth[i]].push(i);
        }
        for level in levels {
            level.into_par_iter().with_max_len(1).for_each(|i| {
                let declared = Checker::declare(self, PkgId(i as u32));
                let _ = self.packages[i].set(Arc::new(declared));
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
        self.packages.get(pkg.index())?.get().map(Arc::as_ref)
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
        let mut program = Self { project: Arc::new(project), packages: self.packages.clone() };
        let declared: Vec<(PackageId, Declarations)> =
            wanted.par_iter().map(|(&id, _)| (id, Checker::declare(&program, PkgId(id.0)))).collect();
        for (id, declared) in declared {
            let (i, before) = (id.index(), self.declarations(PkgId(id.0)));
            let same = before.is_some_and(|before| {
                before.objects.len() == declared.objects.len()
                    && before.objects.iter().zip(&declared.objects).all(|(a, b)| a.name == b.name && a.ty() == b.ty())
            });
            if same {
                program.packages[i] = OnceLock::from(Arc::new(declared));
            } else {
                Arc::make_mut(&mut program.project).packages[i].files.clone_from(&self.project.packages[i].files);
            }
        }
        program
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

    /// Types the bodies of a package. The result is not kept: the caller drops it when done with the package.
    pub fn bodies(&self, package: PackageId) -> Bodies<'_> {
        Checker::check_bodies(self, PkgId(package.0))
    }

    /// The import path of a package; empty for predeclared things.
    pub fn package_path(&self, pkg: PkgId) -> &str {
        match pkg {
            PkgId::UNSAFE => "unsafe",
            PkgId::CGO => "C",
            _ => self.project.packages.get(pkg.index()).map_or("", |p| &p.import_path),
        }
    }

    /// Whether a package's declarations come from a model because the package itself was not found.
    pub fn is_model(&self, pkg: PkgId) -> bool {
        self.project.packages.get(pkg.index()).is_some_and(|p| p.origin == Origin::Model)
    }

    /// The package-level object `path.name`, the one importers see.
    pub fn lookup(&self, path: &str, name: &str) -> Option<ObjId> {
        let name = Symbol::new(name);
        let found = self.project.packages().find(|(_, p)| &*p.import_path == path)?;
        self.declarations(PkgId(found.0.0))?.lookup(name)
    }
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
        &self.program.project.packages[self.pkg.index()].files[i].file
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

//! The checker of one package.
//!
//! It runs twice: [`Checker::declare`] types the package-level declarations, on demand in whatever order they refer to
//! each other, and records nothing; [`Checker::check_bodies`] walks the files of a declared package in order and
//! records what every expression and identifier is.

mod builtin;
mod call;
mod collect;
mod convert;
mod decl;
mod expr;
mod literal;
mod operand;
mod sizes;
mod stmt;
mod typexpr;

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::{Arc, LazyLock};

use elsa::FrozenVec;
use residue_project::Package;
use residue_syntax::ast::{Expr, ExprId, File, IdentId};
use residue_syntax::{Bodies as Keep, parse};
use rustc_hash::FxHashMap;

use self::collect::{DeclSource, FileScope};
use self::operand::Operand;
use crate::cgo;
use crate::constant::Const;
use crate::info::{Mode, Recorder, Res};
use crate::lookup::Objects;
use crate::object::{DeclSite, ObjId, ObjKind, Object, PkgId};
use crate::program::{Bodies, Declarations, Program};
use crate::subst::subst;
use crate::symbol::{Symbol, SymbolMap};
use crate::types::{Instance, Type};
use crate::universe;

/// Expressions and types nested deeper than this are unknown. The parser bounds nesting too; declarations that refer
/// to each other add up.
const DEPTH_MAX: u32 = 2_000;
/// Bytes that are enough for [`DEPTH_MAX`] levels, and then some.
const STACK_BYTES: usize = 64 << 20;

/// Where a declared object stands in its resolution.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Todo,
    Running,
    Done,
}

/// The checker of one package.
pub(crate) struct Checker<'p> {
    program: &'p Program,
    pkg: PkgId,
    package: &'p Package,
    symbols: Cow<'p, [Vec<Symbol>]>,
    /// The package's declarations, when checking bodies.
    declared: Option<&'p Declarations>,
    /// Index of the first object of `objects`.
    first: usize,
    objects: FrozenVec<Box<Object>>,
    scope: OnceCell<SymbolMap<ObjId>>,
    by_site: RefCell<FxHashMap<DeclSite, ObjId>>,
    file_scopes: Vec<FileScope>,
    /// What stands for the package "C": Go declarations made of the preambles. Its index is that of one file more.
    cgo: Option<&'p File>,
    cgo_scope: OnceCell<SymbolMap<ObjId>>,
    sources: RefCell<Vec<DeclSource>>,
    states: RefCell<Vec<State>>,
    instances: RefCell<FxHashMap<Arc<Instance>, Type>>,
    info: RefCell<Recorder>,
    depth: Cell<u32>,
    /// Types whose size may still be looked at in this question.
    sizes_left: Cell<u32>,
}

/// Where an expression stands.
struct Env {
    /// Index of the file.
    file: usize,
    /// Objects of the enclosing functions' scopes, innermost last.
    locals: Vec<(Symbol, ObjId)>,
    /// Where the innermost scope starts in `locals`.
    scope_start: usize,
    /// Result types of the enclosing function.
    results: Vec<Type>,
    /// Value of `iota`.
    iota: Option<i64>,
    /// Whether to record.
    record: bool,
    /// Whether inside a function body.
    in_body: bool,
}

impl Env {
    fn new(file: usize, record: bool) -> Self {
        Self { file, locals: Vec::new(), scope_start: 0, results: Vec::new(), iota: None, record, in_body: false }
    }
}

/// Stands for a file that the package does not have.
static NO_FILE: LazyLock<File> = LazyLock::new(|| parse(Arc::from(&b""[..]), Keep::Skip).file);

/// What a name means.
enum Entity {
    Object(ObjId),
    Package(PkgId),
    Nothing,
}

impl<'p> Checker<'p> {
    fn new(
        program: &'p Program,
        package: &'p Package,
        pkg: PkgId,
        declared: Option<&'p Declarations>,
        cgo: Option<&'p File>,
    ) -> Self {
        let symbols = match declared {
            Some(declared) if declared.symbols.len() == package.files.len() => Cow::Borrowed(&declared.symbols[..]),
            _ => {
                let trees = package.files.iter().map(|f| &f.file).chain(cgo);
                trees.map(|tree| tree.names().map(Symbol::new).collect()).collect()
            }
        };
        let mut checker = Self {
            program,
            pkg,
            package,
            symbols,
            declared,
            first: declared.map_or(0, |d| d.objects.len()),
            objects: FrozenVec::new(),
            scope: OnceCell::new(),
            by_site: RefCell::default(),
            file_scopes: Vec::new(),
            cgo,
            cgo_scope: OnceCell::new(),
            sources: RefCell::default(),
            states: RefCell::default(),
            instances: RefCell::default(),
            info: RefCell::default(),
            depth: Cell::new(0),
            sizes_left: Cell::new(0),
        };
        checker.file_scopes = (0..checker.tree_count()).map(|i| checker.file_scope(i)).collect();
        checker
    }

    /// Types the package-level declarations of `pkg`. Its imports must have been declared.
    pub(crate) fn declare(program: &'p Program, pkg: PkgId) -> Declarations {
        let Some(package) = program.package(pkg) else { return Declarations::default() };
        with_stack(|| {
            let preambles = package.files.iter().filter(|f| f.cgo).map(|f| &f.file);
            let stub = cgo::stub(preambles).map(|go| parse(Arc::from(go.into_bytes()), Keep::Skip).file);
            let checker = Checker::new(program, package, pkg, None, stub.as_ref());
            checker.collect();
            for index in 0..checker.sources.borrow().len() {
                checker.ensure(ObjId { pkg, index: index as u32 });
            }
            let objects = unboxed(checker.objects);
            // What a second pass needs, where there may be one.
            let keep = checker.package.analyse || objects.iter().any(|o| o.func().is_some_and(|f| f.has_body));
            Declarations {
                objects,
                scope: checker.scope.into_inner().unwrap_or_default(),
                cgo: checker.cgo_scope.into_inner().unwrap_or_default(),
                symbols: if keep { checker.symbols.into_owned() } else { Vec::new() },
                by_site: if keep { checker.by_site.into_inner() } else { FxHashMap::default() },
            }
        })
    }

    /// Types the bodies of a declared package.
    pub(crate) fn check_bodies(program: &'p Program, pkg: PkgId) -> Bodies<'p> {
        static EMPTY: std::sync::LazyLock<Declarations> = std::sync::LazyLock::new(Declarations::default);
        let Some(package) = program.package(pkg) else {
            return Bodies { program, pkg, first_local: 0, locals: Vec::new(), files: Vec::new() };
        };
        with_stack(|| {
            let declared = program.declarations(pkg).unwrap_or(&EMPTY);
            let checker = Self::new(program, package, pkg, Some(declared), None);
            let mut files = Vec::new();
            for (i, source) in checker.package.files.iter().enumerate() {
                checker.info.replace(Recorder::new(source.file.expr_count(), source.file.ident_count()));
                checker.check_file(i);
                files.push(checker.info.take().info);
            }
            Bodies { program, pkg, first_local: checker.first, locals: unboxed(checker.objects), files }
        })
    }

    /// Files to declare from: the package's, and what stands for "C".
    fn tree_count(&self) -> usize {
        self.package.files.len() + usize::from(self.cgo.is_some())
    }

    fn tree_at(&self, file: usize) -> &'p File {
        match (self.package.files.get(file), self.cgo) {
            (Some(source), _) => &source.file,
            (None, Some(cgo)) => cgo,
            (None, None) => &NO_FILE,
        }
    }

    fn tree(&self, env: &Env) -> &'p File {
        self.tree_at(env.file)
    }

    /// Whether in what stands for "C".
    fn in_cgo(&self, env: &Env) -> bool {
        env.file >= self.package.files.len()
    }

    fn symbol(&self, env: &Env, ident: IdentId) -> Symbol {
        // A file that the package does not have has no names.
        let known = self.symbols.get(env.file).and_then(|names| names.get(self.tree(env).ident(ident).name.index()));
        known.copied().unwrap_or_else(|| Symbol::new("_"))
    }

    /// Adds an object, declared at `ident` of the current file.
    fn add(&self, env: &Env, ident: IdentId, kind: ObjKind) -> ObjId {
        let name = self.symbol(env, ident);
        let mut object = if self.in_cgo(env) {
            Object::new(Symbol::new(&format!("{}{name}", cgo::prefix(&kind))), None, kind)
        } else {
            Object::new(name, Some(DeclSite { file: env.file as u32, ident }), kind)
        };
        object.local = self.declared.is_some();
        let id = ObjId { pkg: self.pkg, index: (self.first + self.objects.len()) as u32 };
        self.objects.push(Box::new(object));
        id
    }

    /// Adds an object whose type is known.
    fn add_typed(&self, env: &Env, ident: IdentId, kind: ObjKind, ty: Type) -> ObjId {
        let id = self.add(env, ident, kind);
        self.set_type(id, ty);
        id
    }

    fn set_type(&self, id: ObjId, ty: Type) {
        if let Some(object) = self.object(id) {
            let _ = object.ty.set(ty);
        }
    }

    /// Adds a local object to the innermost scope and records its definition.
    fn declare_local(&self, env: &mut Env, ident: IdentId, kind: ObjKind, ty: Type) -> ObjId {
        let id = self.add_typed(env, ident, kind, ty);
        self.bring_into_scope(env, ident, id);
        id
    }

    fn bring_into_scope(&self, env: &mut Env, ident: IdentId, id: ObjId) {
        let name = self.symbol(env, ident);
        if !name.is_blank() {
            env.locals.push((name, id));
        }
        self.record_ident(env, ident, Res::Def(id));
    }

    /// What `name` means here.
    fn lookup(&self, env: &Env, name: Symbol) -> Entity {
        if let Some((_, id)) = env.locals.iter().rev().find(|(n, _)| *n == name) {
            return Entity::Object(*id);
        }
        if self.in_cgo(env)
            && let Some(id) = self.package_member(PkgId::CGO, name)
        {
            return Entity::Object(id);
        }
        let scope = self.declared.map_or_else(|| self.scope.get(), |d| Some(&d.scope));
        if let Some(id) = scope.and_then(|s| s.get(&name)) {
            return Entity::Object(*id);
        }
        let Some(file) = self.file_scopes.get(env.file) else { return Entity::Nothing };
        if let Some(pkg) = file.imports.get(&name) {
            return Entity::Package(*pkg);
        }
        if name.is_exported()
            && let Some(id) = file.dots.iter().find_map(|p| self.package_member(*p, name))
        {
            return Entity::Object(id);
        }
        universe::universe().scope.get(&name).map_or(Entity::Nothing, |id| Entity::Object(*id))
    }

    /// The object `name` of an imported package.
    fn package_member(&self, pkg: PkgId, name: Symbol) -> Option<ObjId> {
        match pkg {
            PkgId::UNSAFE => universe::package_unsafe().scope.get(&name).copied(),
            PkgId::CGO => self.declared.map_or_else(|| self.cgo_scope.get(), |d| Some(&d.cgo))?.get(&name).copied(),
            _ => self.program.declarations(pkg)?.lookup(name),
        }
    }

    fn record_ident(&self, env: &Env, ident: IdentId, res: Res) {
        if env.record
            && let Some(slot) = self.info.borrow_mut().info.idents.get_mut(ident.index())
        {
            *slot = res;
        }
    }

    fn record(&self, env: &Env, e: ExprId, x: &Operand) {
        if env.record {
            self.info.borrow_mut().set(e, &x.ty, x.mode, x.value.as_ref());
        }
    }

    fn record_type(&self, env: &Env, e: ExprId, ty: &Type) {
        if env.record {
            self.info.borrow_mut().set(e, ty, Mode::Type, None);
        }
    }

    /// Runs `f` one level deeper; gives none where that is too deep.
    fn deeper<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        let depth = self.depth.get();
        if depth >= DEPTH_MAX {
            return None;
        }
        self.depth.set(depth + 1);
        let result = f();
        self.depth.set(depth);
        Some(result)
    }

    /// The expression inside parentheses.
    fn unparen(&self, env: &Env, mut e: ExprId) -> ExprId {
        while let Expr::Paren(x) = self.tree(env).expr(e) {
            e = x;
        }
        e
    }

    /// The object of a package-level declaration or of a method.
    fn declared_at(&self, file: usize, ident: IdentId) -> Option<ObjId> {
        let site = DeclSite { file: file as u32, ident };
        match self.declared {
            Some(declared) => declared.by_site.get(&site).copied(),
            None => self.by_site.borrow().get(&site).copied(),
        }
    }

    fn constant_of(&self, id: ObjId) -> Const {
        self.ensure(id);
        self.object(id).and_then(Object::constant).cloned().unwrap_or(Const::Unknown)
    }
}

impl Objects for Checker<'_> {
    fn object(&self, id: ObjId) -> Option<&Object> {
        if id.pkg != self.pkg {
            return self.program.object(id);
        }
        match (id.index as usize).checked_sub(self.first) {
            Some(own) => self.objects.get(own),
            None => self.declared?.objects.get(id.index as usize),
        }
    }

    fn program(&self) -> &Program {
        self.program
    }

    fn ensure(&self, id: ObjId) {
        if id.pkg == self.pkg && self.declared.is_none() {
            self.resolve(id);
        }
    }

    fn instance_underlying(&self, origin: ObjId, args: &[Type]) -> Type {
        self.ensure(origin);
        let Some(object) = self.object(origin) else { return Type::Unknown };
        let Some(generic) = object.underlying() else { return Type::Unknown };
        let key = Instance { origin, args: args.to_vec() };
        if let Some(known) = self.instances.borrow().get(&key) {
            return known.clone();
        }
        let mut ty = subst(generic, object.type_params(), args);
        if ty.is_too_big() {
            ty = Type::Unknown;
        }
        self.instances.borrow_mut().insert(Arc::new(key), ty.clone());
        ty
    }
}

fn unboxed(objects: FrozenVec<Box<Object>>) -> Vec<Object> {
    objects.into_vec().into_iter().map(|object| *object).collect()
}

/// Runs `f` on a thread whose stack is large enough for the deepest nesting that is followed.
fn with_stack<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    stacker::maybe_grow(STACK_BYTES / 2, STACK_BYTES, f)
}

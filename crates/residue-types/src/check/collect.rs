//! What a package declares, before any of it has a type.

use std::sync::OnceLock;

use residue_syntax::ast::{Decl, Expr, ExprId, FuncDecl, GenKind, IdentId, List, Spec, SpecId};
use rustc_hash::FxHashMap;

use residue_syntax::literal::string_value;

use super::{Checker, Env, State};
use crate::object::{DeclSite, Func, ObjId, ObjKind, PkgId, TypeName, VarKind};
use crate::symbol::{Symbol, SymbolMap};

/// What a file imports.
#[derive(Default)]
pub(super) struct FileScope {
    /// Imported packages by local name.
    pub(super) imports: SymbolMap<PkgId>,
    /// Packages imported with `.`.
    pub(super) dots: Vec<PkgId>,
}

/// The syntax that declares an object.
#[derive(Clone, Copy)]
pub(super) enum DeclSource {
    /// A constant: the type and value written for it or repeated from above.
    Const { file: usize, ty: Option<ExprId>, value: Option<ExprId>, iota: u32 },
    /// A variable.
    Var { file: usize, ty: Option<ExprId>, init: Option<ExprId>, index: usize, of: usize },
    /// A type.
    Type { file: usize, spec: SpecId },
    /// A function or method.
    Func { file: usize, decl: FuncDecl },
}

impl Checker<'_> {
    pub(super) fn file_scope(&self, file: usize) -> FileScope {
        let tree = self.tree_at(file);
        let mut scope = FileScope::default();
        for decl in tree.list(tree.top_decls()) {
            let Decl::Gen { kind: GenKind::Import, specs, .. } = tree.decl(decl) else { continue };
            for spec in tree.list(specs) {
                let Spec::Import { name, path } = tree.spec(spec) else { continue };
                let literal = tree.text(tree.expr_span(path));
                let Some(path) = string_value(&literal).and_then(|p| String::from_utf8(p.into_owned()).ok()) else {
                    continue;
                };
                let pkg = self.imported(&path);
                match name.map(|n| tree.ident_text(n)) {
                    Some("_") => {}
                    Some(".") => scope.dots.push(pkg),
                    Some(local) => drop(scope.imports.insert(Symbol::new(local), pkg)),
                    None => drop(scope.imports.insert(self.default_import_name(pkg, &path), pkg)),
                }
            }
        }
        scope
    }

    pub(super) fn imported(&self, path: &str) -> PkgId {
        match path {
            "unsafe" => PkgId::UNSAFE,
            "C" => PkgId::CGO,
            _ => self.package.import(path).map_or(PkgId::MISSING, |p| self.program.id(p)),
        }
    }

    /// The name of the package, or for a missing one what its path suggests.
    fn default_import_name(&self, pkg: PkgId, path: &str) -> Symbol {
        match pkg {
            PkgId::UNSAFE => return Symbol::new("unsafe"),
            PkgId::CGO => return Symbol::new("C"),
            _ => {
                if let Some(package) = self.program.package(pkg) {
                    return Symbol::new(&package.name);
                }
            }
        }
        let mut parts = path.rsplit('/');
        let last = parts.next().unwrap_or(path);
        let is_major = last.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        let base = if is_major { parts.next().unwrap_or(last) } else { last };
        let base = base.split(".v").next().unwrap_or(base);
        let base = base.strip_prefix("go-").unwrap_or(base);
        Symbol::new(base.strip_suffix("-go").unwrap_or(base).rsplit('-').next().unwrap_or(base))
    }

    /// Makes an object of every package-level declaration and method.
    pub(super) fn collect(&self) {
        let (mut own, mut cgo) = (SymbolMap::default(), SymbolMap::default());
        let mut methods: Vec<(Symbol, Symbol, ObjId)> = Vec::new();
        for file in 0..self.tree_count() {
            let env = Env::new(file, false);
            let tree = self.tree(&env);
            let scope = if self.in_cgo(&env) { &mut cgo } else { &mut own };
            for decl in tree.list(tree.top_decls()) {
                match tree.decl(decl) {
                    Decl::Gen { kind, specs, .. } => self.collect_specs(&env, kind, specs, scope),
                    Decl::Func(func) => self.collect_func(&env, func, scope, &mut methods),
                    Decl::Bad => {}
                }
            }
        }
        self.attach_methods(&own, methods);
        let count = self.objects.len();
        self.states.borrow_mut().resize(count, State::Todo);
        let _ = self.scope.set(own);
        let _ = self.cgo_scope.set(cgo);
    }

    fn add_declared(&self, env: &Env, name: IdentId, kind: ObjKind, source: DeclSource) -> ObjId {
        let id = self.add(env, name, kind);
        self.by_site.borrow_mut().insert(DeclSite { file: env.file as u32, ident: name }, id);
        self.sources.borrow_mut().push(source);
        id
    }

    fn collect_specs(&self, env: &Env, kind: GenKind, specs: List<SpecId>, scope: &mut SymbolMap<ObjId>) {
        let file = env.file;
        let tree = self.tree(env);
        let mut repeated: (Option<ExprId>, List<ExprId>) = (None, List::EMPTY);
        for spec in tree.list(specs) {
            match tree.spec(spec) {
                Spec::Value { names, ty, values, iota } if kind == GenKind::Const => {
                    if ty.is_some() || !values.is_empty() {
                        repeated = (ty, values);
                    }
                    for (i, name) in tree.list(names).enumerate() {
                        let value = tree.list_get(repeated.1, i);
                        let source = DeclSource::Const { file, ty: repeated.0, value, iota };
                        let id = self.add_declared(env, name, ObjKind::Const(OnceLock::new()), source);
                        insert(scope, self.symbol(env, name), id);
                    }
                }
                Spec::Value { names, ty, values, .. } => {
                    for (i, name) in tree.list(names).enumerate() {
                        let shared = values.len() == 1 && names.len() > 1;
                        let source = DeclSource::Var {
                            file,
                            ty,
                            init: tree.list_get(values, if shared { 0 } else { i }),
                            index: if shared { i } else { 0 },
                            of: if shared { names.len() } else { 1 },
                        };
                        let id = self.add_declared(env, name, ObjKind::Var(VarKind::Package), source);
                        insert(scope, self.symbol(env, name), id);
                    }
                }
                Spec::Type { name, alias, .. } => {
                    let data = TypeName { alias, ..TypeName::default() };
                    let id =
                        self.add_declared(env, name, ObjKind::Type(Box::new(data)), DeclSource::Type { file, spec });
                    insert(scope, self.symbol(env, name), id);
                }
                Spec::Import { .. } => {}
            }
        }
    }

    fn collect_func(
        &self,
        env: &Env,
        decl: FuncDecl,
        scope: &mut SymbolMap<ObjId>,
        methods: &mut Vec<(Symbol, Symbol, ObjId)>,
    ) {
        let tree = self.tree(env);
        let name = self.symbol(env, decl.name);
        let recv = tree.list(decl.recv).next().map(|field| self.receiver(env, tree.field(field).ty));
        let data = Func {
            pointer_recv: recv.as_ref().is_some_and(|r| r.pointer),
            has_body: decl.body.is_some(),
            ..Func::default()
        };
        let source = DeclSource::Func { file: env.file, decl };
        let id = self.add_declared(env, decl.name, ObjKind::Func(Box::new(data)), source);
        match recv.and_then(|r| r.base) {
            Some(base) => methods.push((self.symbol(env, base), name, id)),
            None if !decl.has_recv && name != "init" => insert(scope, name, id),
            None => {}
        }
    }

    /// Gives each type its methods. An alias of a type of this package stands for that type.
    fn attach_methods(&self, scope: &SymbolMap<ObjId>, methods: Vec<(Symbol, Symbol, ObjId)>) {
        let mut of_type: FxHashMap<ObjId, Vec<(Symbol, ObjId)>> = FxHashMap::default();
        for (base, name, method) in methods {
            let Some(ty) = self.method_base(scope, base) else { continue };
            if let Some(ObjKind::Func(func)) = self.objects.get(method.index as usize).map(|o| &o.kind) {
                let _ = func.recv.set(ty);
            }
            if !name.is_blank() {
                of_type.entry(ty).or_default().push((name, method));
            }
        }
        for (ty, mut list) in of_type {
            list.sort();
            list.dedup_by_key(|(name, _)| *name);
            if let Some(ObjKind::Type(data)) = self.objects.get(ty.index as usize).map(|o| &o.kind) {
                let _ = data.methods.set(list);
            }
        }
    }

    fn method_base(&self, scope: &SymbolMap<ObjId>, mut base: Symbol) -> Option<ObjId> {
        // Aliases of aliases end somewhere, unless they run in a circle.
        for _ in 0..16 {
            let id = *scope.get(&base)?;
            let DeclSource::Type { file, spec } = self.sources.borrow()[id.index as usize] else { return None };
            let env = Env::new(file, false);
            let tree = self.tree(&env);
            let Spec::Type { alias, ty, .. } = tree.spec(spec) else { return None };
            if !alias {
                return Some(id);
            }
            base = match tree.expr(self.unparen(&env, ty)) {
                Expr::Ident(ident) => self.symbol(&env, ident),
                Expr::Index { x, .. } => match tree.expr(x) {
                    Expr::Ident(ident) => self.symbol(&env, ident),
                    _ => return None,
                },
                _ => return None,
            };
        }
        None
    }

    /// Takes a receiver's type apart.
    pub(super) fn receiver(&self, env: &Env, ty: ExprId) -> Receiver {
        let tree = self.tree(env);
        let mut at = self.unparen(env, ty);
        let mut pointer = false;
        if let Expr::Star(x) = tree.expr(at) {
            pointer = true;
            at = self.unparen(env, x);
        }
        let mut params = List::EMPTY;
        if let Expr::Index { x, indices } = tree.expr(at) {
            params = indices;
            at = self.unparen(env, x);
        }
        let base = match tree.expr(at) {
            Expr::Ident(ident) => Some(ident),
            _ => None,
        };
        Receiver { base, pointer, params }
    }
}

/// A receiver's type, taken apart.
pub(super) struct Receiver {
    /// The type's name.
    pub(super) base: Option<IdentId>,
    /// Whether a pointer.
    pub(super) pointer: bool,
    /// Names of type parameters, as expressions.
    pub(super) params: List<ExprId>,
}

/// The first declaration of a name counts.
fn insert(scope: &mut SymbolMap<ObjId>, name: Symbol, id: ObjId) {
    if !name.is_blank() {
        scope.entry(name).or_insert(id);
    }
}

//! What rules ask about a package and its files: roles of calls, uses of variables, graphs of functions, places.

mod literals;
mod places;

use std::cell::{Cell, OnceCell, Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use residue_flow::ir::{self, Op};
use residue_flow::lower;
use residue_flow::{Cfg, Node, Oracle, Parent, Parents, Point, Stop, walk};
use residue_project::{Package, SourceFile};
use residue_syntax::ast::{BlockId, Decl, DeclId, Expr, ExprId, File, FuncTypeId, IdentId, List, Spec, Stmt, StmtId};
use residue_types::{
    Basic, Bodies, Builtin, Callee, DeclSite, FileInfo, ObjId, ObjKind, Objects, PkgId, Res, Signature, Symbol, Type,
    VarKind,
};
use rustc_hash::FxHashMap;

use self::literals::Literal;
use crate::model::{Models, Resource, ResourceId, Roles, TypeRef};
use crate::state::dispatch::{self, Hierarchy};
use crate::state::summary::{Effect, Extent, Learnt, Summaries, Summary};

/// A package that is being checked.
pub(crate) struct PackageCx<'a> {
    pub(crate) package: &'a Package,
    pub(crate) bodies: &'a Bodies<'a>,
    pub(crate) models: &'a Models,
    files: Vec<FileData>,
    /// What is known of the functions of packages that were analysed before.
    before: &'a Summaries,
    /// What was asked of that.
    asked: RefCell<Asked>,
    /// What is known of the functions of this package.
    summaries: RefCell<FxHashMap<ObjId, Arc<Summary>>>,
    /// Whether functions of this package never return, as far as known.
    never: RefCell<FxHashMap<ObjId, Option<Stop>>>,
    /// How many functions are being asked whether they return, each for the sake of the one before.
    depth: Cell<usize>,
    /// The digests of functions' full names.
    digests: RefCell<FxHashMap<ObjId, u64>>,
    hierarchy: &'a Hierarchy,
}

/// A method of an interface, by interface and name, called in a test or not.
type Dispatched = (Type, Symbol, bool);

/// What the analysis of a package asked about others.
#[derive(Default)]
pub(crate) struct Asked {
    /// Packages: how much is known of their functions.
    pub(crate) packages: BTreeMap<PkgId, Extent>,
    /// Functions of packages of which something is known.
    pub(crate) functions: BTreeSet<ObjId>,
    /// Methods of interfaces: what their calls lead to.
    pub(crate) methods: FxHashMap<Dispatched, Option<Rc<[ObjId]>>>,
}

/// Calls that are followed to find out whether a function never returns.
const CALLS_MAX: usize = 40;

#[derive(Default)]
struct FileData {
    parents: OnceCell<Parents>,
    /// Functions by their names.
    decls: OnceCell<FxHashMap<IdentId, DeclId>>,
    uses: OnceCell<FxHashMap<ObjId, Vec<ExprId>>>,
    flows: RefCell<FxHashMap<Parent, Option<Rc<Flow>>>>,
    irs: RefCell<FxHashMap<Parent, Option<Rc<ir::Body>>>>,
    literals: RefCell<FxHashMap<ExprId, Rc<Literal>>>,
    /// What is known of literals as functions of their own.
    literal_summaries: RefCell<FxHashMap<ExprId, Arc<Summary>>>,
}

/// The graph of a function, with the place of what it evaluates.
pub(crate) struct Flow {
    pub(crate) cfg: Cfg,
    /// Where calls, identifiers and function literals are evaluated; of `go` and `defer`, where the call is put off.
    points: FxHashMap<ExprId, Point>,
}

impl Flow {
    /// Where an expression is evaluated, if it can be at all.
    pub(crate) fn point(&self, expr: ExprId) -> Option<Point> {
        self.points.get(&expr).copied().filter(|at| self.cfg.block(at.block).live)
    }
}

impl<'a> PackageCx<'a> {
    pub(crate) fn new(
        package: &'a Package,
        bodies: &'a Bodies<'a>,
        models: &'a Models,
        before: &'a Summaries,
        hierarchy: &'a Hierarchy,
    ) -> Self {
        let files = package.files.iter().map(|_| FileData::default()).collect();
        Self {
            package,
            bodies,
            models,
            files,
            before,
            asked: RefCell::default(),
            summaries: RefCell::default(),
            never: RefCell::default(),
            depth: Cell::new(0),
            digests: RefCell::default(),
            hierarchy,
        }
    }

    /// A file of the package.
    pub(crate) fn file(&self, index: usize) -> FileCx<'_> {
        FileCx { pkg: self, index }
    }

    /// What is known of a function whose body was seen.
    pub(crate) fn summary(&self, function: ObjId) -> Option<Arc<Summary>> {
        if function.pkg == self.bodies.package() {
            return self.summaries.borrow().get(&function).cloned();
        }
        if self.extent(function.pkg) == Extent::Nothing {
            return None;
        }
        self.asked.borrow_mut().functions.insert(function);
        self.before.get(self.bodies.program(), function)
    }

    /// How much is known of the functions of another package.
    fn extent(&self, package: PkgId) -> Extent {
        *self.asked.borrow_mut().packages.entry(package).or_insert_with(|| self.before.extent(package))
    }

    /// What was asked about other packages so far.
    pub(crate) fn asked(&self) -> Ref<'_, Asked> {
        self.asked.borrow()
    }

    /// The digest of a function's full name.
    pub(crate) fn digest(&self, function: ObjId) -> u64 {
        let digest = || crate::state::digest(&self.bodies.func_name(function));
        *self.digests.borrow_mut().entry(function).or_insert_with(digest)
    }

    /// The methods that a call through an interface can lead to, where these are known and few.
    pub(crate) fn dispatched(&self, recv: &Type, method: Symbol, in_test: bool) -> Option<Rc<[ObjId]>> {
        Hierarchy::is_closed(self.bodies.program(), recv).then(|| self.implemented(recv, method, in_test)).flatten()
    }

    /// The same, of those that the code itself has.
    fn implemented(&self, recv: &Type, method: Symbol, in_test: bool) -> Option<Rc<[ObjId]>> {
        let key = (recv.clone(), method, in_test);
        if let Some(known) = self.asked.borrow().methods.get(&key) {
            return known.clone();
        }
        let (program, own) = (self.bodies.program(), self.bodies.package());
        let found = self.hierarchy.methods(program, own, in_test, recv, method).map(Rc::from);
        self.asked.borrow_mut().methods.insert(key, found.clone());
        found
    }

    /// Whether a method of that name that the code itself has for an interface releases something of its receiver.
    pub(crate) fn may_release(&self, recv: &Type, method: Symbol, in_test: bool) -> bool {
        let methods = self.implemented(recv, method, in_test);
        let mut summaries =
            methods.iter().flat_map(|methods| methods.iter()).filter_map(|&method| self.summary(method));
        // One that does so only the first time counts as keeping it.
        summaries.any(|summary| {
            summary.effect(0) == Effect::Escaped || summary.releases.iter().any(|release| release.param == 0)
        })
    }

    /// Files what is known of a function of this package.
    pub(crate) fn learn(&self, function: ObjId, summary: Summary) {
        self.summaries.borrow_mut().insert(function, Arc::new(summary));
    }

    /// All that was learnt, by the full names of the functions.
    pub(crate) fn learnt(&self) -> Learnt {
        let summaries = self.summaries.borrow();
        #[allow(clippy::disallowed_methods, reason = "sorted at once")]
        let mut ids: Vec<ObjId> = summaries.keys().copied().collect();
        // Of functions that share a name nobody can call any; the first one it is.
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.into_iter().map(|id| (self.bodies.func_name(id), Arc::clone(&summaries[&id]))).collect()
    }

    /// Whether a function's body is among what is analysed.
    pub(crate) fn is_analysed(&self, function: ObjId) -> bool {
        function.pkg == self.bodies.package() || self.extent(function.pkg) == Extent::All
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = FileCx<'_>> {
        (0..self.files.len()).map(|index| FileCx { pkg: self, index })
    }

    /// How a function of this package ends if it never returns.
    pub(crate) fn never_returns(&self, func: ObjId) -> Option<Stop> {
        if func.pkg != self.bodies.package() {
            return None;
        }
        if let Some(&known) = self.never.borrow().get(&func) {
            return known;
        }
        // A longer chain of calls is taken to return.
        if self.depth.get() >= CALLS_MAX {
            return None;
        }
        // A function that calls itself returns unless something else tells.
        self.never.borrow_mut().insert(func, None);
        self.depth.set(self.depth.get() + 1);
        let how = self.find_never_returns(func);
        self.depth.set(self.depth.get() - 1);
        self.never.borrow_mut().insert(func, how);
        how
    }

    fn find_never_returns(&self, func: ObjId) -> Option<Stop> {
        let object = self.bodies.object(func)?;
        let site = object.site.filter(|_| object.func().is_some_and(|f| f.has_body))?;
        let file = FileCx { pkg: self, index: site.file as usize };
        let tree = file.tree();
        let decls = file.data().decls.get_or_init(|| {
            let decls = tree.list(tree.top_decls());
            let functions = decls.filter_map(|decl| match tree.decl(decl) {
                Decl::Func(func) => Some((func.name, decl)),
                _ => None,
            });
            functions.collect()
        });
        let flow = file.flow(Parent::Decl(*decls.get(&site.ident)?))?;
        if flow.cfg.returns() {
            return None;
        }
        // Only an unconditional end is one: a server's endless loop is a different thing from `os.Exit`.
        flow.cfg.blocks().filter(|(_, block)| block.live).find_map(|(_, block)| match block.end {
            residue_flow::End::Stop(how, _) => Some(how),
            _ => None,
        })
    }
}

/// A file that is being checked.
#[derive(Clone, Copy)]
pub(crate) struct FileCx<'a> {
    pub(crate) pkg: &'a PackageCx<'a>,
    pub(crate) index: usize,
}

/// A function that holds a piece of code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Enclosing {
    /// The function declaration or literal.
    pub(crate) key: Parent,
    pub(crate) ty: FuncTypeId,
    pub(crate) body: BlockId,
}

impl<'a> FileCx<'a> {
    pub(crate) fn source(self) -> &'a SourceFile {
        &self.pkg.package.files[self.index]
    }

    pub(crate) fn tree(self) -> &'a File {
        &self.source().file
    }

    pub(crate) fn info(self) -> &'a FileInfo {
        self.pkg.bodies.file(self.index)
    }

    pub(crate) fn models(self) -> &'a Models {
        self.pkg.models
    }

    pub(crate) fn parents(self) -> &'a Parents {
        self.data().parents.get_or_init(|| Parents::new(self.tree()))
    }

    fn data(self) -> &'a FileData {
        &self.pkg.files[self.index]
    }

    pub(crate) fn text(self, expr: ExprId) -> std::borrow::Cow<'a, str> {
        self.tree().text(self.tree().expr_span(expr))
    }

    /// All expressions that name a variable, in the order of the source.
    pub(crate) fn uses(self, var: ObjId) -> &'a [ExprId] {
        let all = self.data().uses.get_or_init(|| {
            let (tree, info) = (self.tree(), self.info());
            let mut all: FxHashMap<ObjId, Vec<ExprId>> = FxHashMap::default();
            for i in 0..tree.expr_count() {
                let expr = ExprId::new(i);
                if let Expr::Ident(ident) = tree.expr(expr)
                    && let Some(obj) = info.object(ident)
                {
                    all.entry(obj).or_default().push(expr);
                }
            }
            for uses in all.values_mut() {
                uses.sort_by_key(|&use_| tree.expr_span(use_).start);
            }
            all
        });
        all.get(&var).map_or(&[], Vec::as_slice)
    }

    /// The variable that an expression is, parentheses aside.
    pub(crate) fn variable(self, expr: ExprId) -> Option<ObjId> {
        match self.tree().expr(walk::unparen(self.tree(), expr)) {
            Expr::Ident(ident) => self.variable_of(ident),
            _ => None,
        }
    }

    pub(crate) fn variable_of(self, ident: IdentId) -> Option<ObjId> {
        let obj = self.info().object(ident)?;
        self.pkg.bodies.object(obj)?.is_var().then_some(obj)
    }

    pub(crate) fn var_kind(self, var: ObjId) -> Option<VarKind> {
        match self.pkg.bodies.object(var)?.kind {
            ObjKind::Var(kind) => Some(kind),
            _ => None,
        }
    }

    /// Whether a variable is a package's error, as such are declared: nobody sets it to nil.
    pub(crate) fn is_declared_error(self, var: ObjId) -> bool {
        self.pkg.bodies.object(var).is_some_and(|object| {
            let name = object.name.as_str();
            matches!(object.kind, ObjKind::Var(VarKind::Package))
                && (name.starts_with("Err") || name.starts_with("err") || name == "EOF")
                && *object.ty() == residue_types::error_type()
        })
    }

    /// Whether an expression is `_`.
    pub(crate) fn is_blank(self, expr: ExprId) -> bool {
        matches!(self.tree().expr(expr), Expr::Ident(ident) if self.tree().ident_text(ident) == "_")
    }

    /// Whether an expression is the predeclared `nil`.
    pub(crate) fn is_nil(self, expr: ExprId) -> bool {
        self.info().expr(walk::unparen(self.tree(), expr)).mode == residue_types::Mode::Nil
            || matches!(self.tree().expr(walk::unparen(self.tree(), expr)),
                Expr::Ident(ident) if self.tree().ident_text(ident) == "nil" && self.variable_of(ident).is_none())
    }

    /// The value of a constant integer expression.
    pub(crate) fn constant_int(self, expr: ExprId) -> Option<i64> {
        self.info().value_of(expr)?.as_i64()
    }

    pub(crate) fn callee(self, call: ExprId) -> Callee {
        self.pkg.bodies.callee(self.index, call)
    }

    /// What a function does, if a model says.
    pub(crate) fn roles_of(self, function: ObjId) -> Option<&'a Roles> {
        let bodies = self.pkg.bodies;
        let object = bodies.object(function)?;
        let recv = match object.func()?.recv() {
            Some(recv) => bodies.object(recv)?.name.as_str(),
            None => "",
        };
        // cgo's own name for a C function that the preamble declares.
        if let Some(c) = object.name.as_str().strip_prefix("_Cfunc_") {
            return self.models().roles("C", "", c);
        }
        self.models().roles(bodies.program().package_path(function.pkg), recv, object.name.as_str())
    }

    /// What a call's function does, if a model says.
    pub(crate) fn roles(self, call: ExprId) -> Option<&'a Roles> {
        let bodies = self.pkg.bodies;
        match self.callee(call) {
            Callee::Func(id) => self.roles_of(id),
            Callee::Interface { recv, method } => {
                let (package, name) = bodies.type_name(&recv)?;
                self.models().roles(package, name.as_str(), method.as_str())
            }
            Callee::Unknown => self.models().roles("C", "", self.cgo_name(call)?),
            Callee::Dynamic => self.roles_of(self.function_value(call)?),
            _ => None,
        }
    }

    /// The function in a variable of this package that a call calls: the one that it is declared with, where nothing but
    /// tests sets another.
    pub(crate) fn function_value(self, call: ExprId) -> Option<ObjId> {
        let Expr::Call { fun, .. } = self.tree().expr(call) else { return None };
        let var = self.variable(fun)?;
        let object = self.pkg.bodies.object(var)?;
        let site = object.site.filter(|_| var.pkg == self.pkg.bodies.package() && !object.name.is_exported())?;
        if self.var_kind(var) != Some(VarKind::Package) {
            return None;
        }
        let is_set = |cx: FileCx<'_>| {
            let sets = |&use_: &ExprId| match cx.parents().of_expr(use_) {
                Some(Parent::Stmt(stmt)) => match cx.tree().stmt(stmt) {
                    Stmt::Assign { lhs, .. } => cx.tree().list(lhs).any(|target| target == use_),
                    _ => false,
                },
                Some(Parent::Expr(up)) => {
                    matches!(cx.tree().expr(up), Expr::Unary { op: residue_syntax::ast::UnaryOp::Addr, .. })
                }
                _ => false,
            };
            cx.uses(var).iter().any(sets)
        };
        if self.pkg.files().any(|cx| (self.source().test || !cx.source().test) && is_set(cx)) {
            return None;
        }
        let (tree, value) = self.package_value(site)?;
        let ident = match tree.expr(value) {
            Expr::Ident(ident) => ident,
            Expr::Selector { sel, .. } => sel,
            _ => return None,
        };
        let function = self.pkg.file(site.file as usize).info().object(ident)?;
        self.pkg.bodies.object(function)?.func().is_some_and(|func| func.recv().is_none()).then_some(function)
    }

    /// What is known of what a call calls, where no model speaks of it and all that it can lead to was looked into.
    pub(crate) fn summary_of(self, callee: &Callee) -> Option<Arc<Summary>> {
        match callee {
            &Callee::Func(id) => self.pkg.summary(id),
            Callee::Interface { recv, method } => {
                let methods = self.pkg.dispatched(recv, *method, self.source().test)?;
                let known: Option<Vec<_>> = methods.iter().map(|&id| self.pkg.summary(id)).collect();
                dispatch::joined(&known?).map(Arc::new)
            }
            _ => None,
        }
    }

    /// The arguments of a call.
    pub(crate) fn arguments(self, call: ExprId) -> impl Iterator<Item = ExprId> + 'a {
        let args = match self.tree().expr(call) {
            Expr::Call { args, .. } => args,
            _ => List::EMPTY,
        };
        self.tree().list(args)
    }

    /// What a package variable is declared with, in its file.
    pub(crate) fn package_value(self, site: DeclSite) -> Option<(&'a File, ExprId)> {
        let tree = &self.pkg.package.files.get(site.file as usize)?.file;
        let specs = tree.list(tree.top_decls()).filter_map(|decl| match tree.decl(decl) {
            Decl::Gen { specs, .. } => Some(specs),
            _ => None,
        });
        let value = specs.flat_map(|specs| tree.list(specs)).find_map(|spec| match tree.spec(spec) {
            Spec::Value { names, values, .. } => {
                let i = tree.list(names).position(|name| name == site.ident)?;
                tree.list_get(values, i)
            }
            _ => None,
        })?;
        Some((tree, walk::unparen(tree, value)))
    }

    /// What a variable is set to, where it is set once.
    pub(crate) fn only_value(self, expr: ExprId) -> Option<ExprId> {
        let var = self.variable(expr)?;
        let tree = self.tree();
        let mut values = self.uses(var).iter().filter_map(|&use_| {
            let Parent::Stmt(stmt) = self.parents().of_expr(use_)? else { return None };
            match tree.stmt(stmt) {
                Stmt::Assign { lhs, rhs, .. } => {
                    let i = tree.list(lhs).position(|target| target == use_)?;
                    Some(tree.list_get(rhs, if rhs.len() == 1 { 0 } else { i }))
                }
                Stmt::IncDec { .. } => Some(None),
                Stmt::Range { key, value, .. } if key == Some(use_) || value == Some(use_) => Some(None),
                _ => None,
            }
        });
        let first = values.next()??;
        values.next().is_none().then(|| walk::unparen(tree, first))
    }

    /// The call that a variable is set from, where it is set once.
    pub(crate) fn maker(self, expr: ExprId) -> Option<ExprId> {
        self.only_value(expr).filter(|&value| matches!(self.tree().expr(value), Expr::Call { .. }))
    }

    /// Whether a call's function belongs to the package that this file belongs to or tests.
    pub(crate) fn is_own(self, call: ExprId) -> bool {
        let Callee::Func(id) = self.callee(call) else { return false };
        let path = self.pkg.bodies.program().package_path(id.pkg);
        let own = &*self.pkg.package.import_path;
        own == path || own.strip_suffix("_test") == Some(path)
    }

    /// `f` of a call `C.f(…)`.
    pub(crate) fn cgo_name(self, call: ExprId) -> Option<&'a str> {
        let tree = self.tree();
        let Expr::Call { fun, .. } = tree.expr(call) else { return None };
        let Expr::Selector { x, sel } = tree.expr(fun) else { return None };
        let Expr::Ident(package) = tree.expr(x) else { return None };
        let is_c = self.info().res(package) == Res::Package(PkgId::CGO);
        (is_c && self.source().cgo).then(|| tree.ident_text(sel))
    }

    /// Whether a type is one that a model names.
    pub(crate) fn is_type(self, ty: &Type, want: &TypeRef) -> bool {
        let pointer = matches!(ty, Type::Pointer(_));
        if pointer != want.pointer {
            return false;
        }
        match ty.strip_pointer() {
            Type::Basic(basic) => want.package.is_empty() && basic.name() == want.name,
            named => self.pkg.bodies.is_named(named, &want.package, &want.name),
        }
    }

    /// The indices of the results of a call that are a resource.
    pub(crate) fn acquired(self, call: ExprId, resource: &Resource) -> Vec<usize> {
        if resource.types.is_empty() {
            return vec![0];
        }
        let is_it = |ty: &Type| resource.types.iter().any(|want| self.is_type(ty, want));
        // Of a system call made by hand, the second word is not another descriptor.
        let words = self.roles(call).is_some_and(|roles| !roles.acquire_if.is_empty());
        match self.info().type_of(call) {
            Type::Tuple(_) if words => vec![0],
            Type::Tuple(types) => types.iter().enumerate().filter(|(_, ty)| is_it(ty)).map(|(i, _)| i).collect(),
            ty if is_it(ty) => vec![0],
            _ => Vec::new(),
        }
    }

    /// What a call acquires, by its function alone or by its first arguments too.
    pub(crate) fn acquired_kind(self, call: ExprId, roles: &Roles) -> Option<ResourceId> {
        roles.acquire.or_else(|| {
            let given: Vec<Option<i64>> = self.arguments(call).map(|arg| self.constant_int(arg)).collect();
            let matches = |wanted: &[i64]| {
                wanted.len() <= given.len() && wanted.iter().zip(&given).all(|(&want, &got)| got == Some(want))
            };
            roles.acquire_if.iter().find(|(wanted, _)| matches(wanted)).map(|&(_, kind)| kind)
        })
    }

    /// The function around an expression.
    pub(crate) fn enclosing(self, expr: ExprId) -> Option<Enclosing> {
        let key = self.parents().function(self.tree(), Parent::Expr(expr))?;
        self.function(key)
    }

    /// The function that a literal or declaration is.
    pub(crate) fn function(self, key: Parent) -> Option<Enclosing> {
        let tree = self.tree();
        match key {
            Parent::Decl(decl) => match tree.decl(decl) {
                Decl::Func(func) => Some(Enclosing { key, ty: func.ty, body: func.body? }),
                _ => None,
            },
            Parent::Expr(lit) => match tree.expr(lit) {
                Expr::FuncLit { ty, body } => Some(Enclosing { key, ty, body }),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a function is `main.main`: where it returns, the process ends.
    pub(crate) fn is_main(self, function: Enclosing) -> bool {
        let Parent::Decl(decl) = function.key else { return false };
        let Decl::Func(func) = self.tree().decl(decl) else { return false };
        &*self.pkg.package.name == "main" && !func.has_recv && self.tree().ident_text(func.name) == "main"
    }

    /// The graph of a function.
    pub(crate) fn flow(self, key: Parent) -> Option<Rc<Flow>> {
        if let Some(known) = self.data().flows.borrow().get(&key) {
            return known.clone();
        }
        let flow = self.function(key).map(|function| {
            let cfg = residue_flow::build(self.tree(), function.body, &self);
            let points = self.points(&cfg);
            Rc::new(Flow { cfg, points })
        });
        self.data().flows.borrow_mut().insert(key, flow.clone());
        flow
    }

    /// The three-address code of a function.
    pub(crate) fn ir(self, key: Parent) -> Option<Rc<ir::Body>> {
        if let Some(known) = self.data().irs.borrow().get(&key) {
            return known.clone();
        }
        let body = lower::lower(self.pkg.bodies, self.index, key, &self).map(Rc::new);
        self.data().irs.borrow_mut().insert(key, body.clone());
        body
    }

    /// A function's full name with the package's last element only: `(*sql.Stmt).Exec`.
    pub(crate) fn short_name(self, function: ObjId) -> String {
        let name = self.pkg.bodies.func_name(function);
        let opening = ["(*", "("].iter().find(|opening| name.starts_with(**opening)).map_or("", |opening| opening);
        let rest = &name[opening.len()..];
        format!("{opening}{}", rest.rsplit('/').next().unwrap_or(rest))
    }

    /// Whether a function belongs to the standard library and not to the package that is looked at: that its invariants
    /// hold is not for callers to doubt.
    pub(crate) fn is_std_of_others(self, function: ObjId) -> bool {
        let path = self.pkg.bodies.program().package_path(function.pkg);
        path != &*self.pkg.package.import_path
            && residue_project::stdlib::embedded().is_ok_and(|std| std.contains(path))
    }

    /// Whether a call's function is such a one.
    pub(crate) fn is_foreign_std(self, call: &ir::Call) -> bool {
        matches!(call.callee, Callee::Func(id) if self.is_std_of_others(id))
    }

    /// Whether values of a type are mere data: nothing that has to be released can be had of them. Numbers that can be
    /// descriptors are not, errors are.
    pub(crate) fn is_plain(self, ty: &Type) -> bool {
        let bodies = self.pkg.bodies;
        if *ty == residue_types::error_type() {
            return true;
        }
        match bodies.underlying(ty) {
            Type::Basic(Basic::Int | Basic::Uintptr | Basic::UnsafePointer) => false,
            Type::Basic(_) => true,
            Type::Slice(elem) => bodies.basic(&elem).is_some(),
            Type::Array(array) => bodies.basic(&array.elem).is_some(),
            _ => false,
        }
    }

    /// Whether an argument of a call is not constant.
    pub(crate) fn has_variable_argument(self, call: ExprId) -> bool {
        self.arguments(call).any(|arg| self.info().value_of(arg).is_none())
    }

    /// Whether a call takes care that a release is made only once: it takes a finalizer or a cleanup away, goes through
    /// a `sync.Once`, or swaps an atomic value.
    pub(crate) fn guards(self, call: &ir::Call) -> bool {
        let Callee::Func(id) = call.callee else { return false };
        let bodies = self.pkg.bodies;
        let Some(object) = bodies.object(id) else { return false };
        let package = bodies.program().package_path(id.pkg);
        let is_method = object.func().is_some_and(|func| func.recv().is_some());
        match (package, object.name.as_str()) {
            ("runtime", "SetFinalizer") => self.arguments(call.expr).nth(1).is_some_and(|arg| self.is_nil(arg)),
            ("runtime", "Stop") | ("sync", "Do") => is_method,
            ("sync/atomic", name) => name.starts_with("Swap") || name.starts_with("CompareAndSwap"),
            _ => false,
        }
    }

    /// The functions of which a function's body, literals in it included, speaks.
    pub(crate) fn all_callees(self, key: Parent) -> Vec<ObjId> {
        let Some(ir) = self.ir(key) else { return Vec::new() };
        let mut all: Vec<ObjId> = crate::state::callees(&ir).collect();
        for call in ir.calls() {
            if let Callee::Interface { recv, method } = &call.callee {
                all.extend(self.pkg.dispatched(recv, *method, self.source().test).iter().flat_map(|ids| ids.iter()));
            }
        }
        for instr in ir.all() {
            if let Op::Closure(lit) = instr.op {
                all.extend(self.all_callees(Parent::Expr(lit)));
            }
        }
        all
    }

    /// The function that a declaration declares.
    pub(crate) fn declared(self, decl: DeclId) -> Option<ObjId> {
        match self.tree().decl(decl) {
            Decl::Func(func) => self.info().object(func.name),
            _ => None,
        }
    }

    /// The type of a function.
    pub(crate) fn signature(self, key: Parent) -> Option<Arc<Signature>> {
        let ty = match key {
            Parent::Decl(decl) => self.pkg.bodies.type_of(self.declared(decl)?),
            Parent::Expr(lit) => self.info().type_of(lit).clone(),
            _ => return None,
        };
        match ty {
            Type::Func(signature) => Some(signature),
            _ => None,
        }
    }

    /// The types of a function's results.
    pub(crate) fn result_types(self, key: Parent) -> Vec<Type> {
        self.signature(key).map_or_else(Vec::new, |signature| signature.results.clone())
    }

    /// The name of the method that a call calls; empty for a function.
    pub(crate) fn method_name(self, call: &ir::Call) -> &'static str {
        match call.callee {
            Callee::Interface { method, .. } => method.as_str(),
            Callee::Func(id) => self.pkg.bodies.object(id).map_or("", |object| object.name.as_str()),
            _ => "",
        }
    }

    fn points(self, cfg: &Cfg) -> FxHashMap<ExprId, Point> {
        let tree = self.tree();
        let mut points = FxHashMap::default();
        for (point, node) in cfg.nodes() {
            if let Node::Stmt(stmt) = node
                && let Stmt::Go(call) | Stmt::Defer(call) = tree.stmt(stmt)
            {
                points.insert(call, point);
            }
            walk::evaluated(tree, cfg, node, &mut |expr| {
                if matches!(tree.expr(expr), Expr::Call { .. } | Expr::Ident(_) | Expr::FuncLit { .. }) {
                    points.entry(expr).or_insert(point);
                }
                true
            });
        }
        points
    }

    /// The innermost loop around an expression, in the same function.
    pub(crate) fn loop_around(self, expr: ExprId) -> Option<StmtId> {
        let flow = self.flow(self.enclosing(expr)?.key)?;
        flow.cfg.block(flow.point(expr)?.block).in_loop
    }

    /// Whether a call of an acquiring function gives something to release: not where a constant argument says that
    /// there is none, nor where a context that this function cancels ends it.
    pub(crate) fn really_acquires(self, call: ExprId, kind: ResourceId) -> bool {
        let resource = self.models().resource(kind);
        let until_cancelled = self.roles(call).is_some_and(|roles| roles.until_cancelled);
        !(self.gives_none(call, resource) || until_cancelled && self.is_cancelled(call))
    }

    /// Whether a call of a function whose result holds a resource gives something to release, in the same sense.
    pub(crate) fn really_gives(self, call: ExprId, kind: ResourceId) -> bool {
        !(self.is_cancelled(call) && self.models().ends_when_cancelled(kind))
    }

    /// Whether a constant among the arguments, or among those of the call that made an argument, says that there is none.
    fn gives_none(self, call: ExprId, resource: &Resource) -> bool {
        let says_so = |call: ExprId| {
            self.arguments(call).any(|arg| {
                let text = self.info().value_of(arg).and_then(|value| value.as_str());
                text.is_some_and(|text| resource.without.iter().any(|word| word == text))
            })
        };
        let makers = || self.arguments(call).filter_map(|arg| self.maker(arg));
        !resource.without.is_empty() && (says_so(call) || makers().any(says_so))
    }

    /// Whether the context that is passed on is one that this function cancels: that releases what came of it.
    fn is_cancelled(self, call: ExprId) -> bool {
        let made = |arg: ExprId| {
            let arg = walk::unparen(self.tree(), arg);
            if matches!(self.tree().expr(arg), Expr::Call { .. }) { Some(arg) } else { self.maker(arg) }
        };
        let mut makers = self.arguments(call).filter_map(made);
        makers.any(|maker| self.roles(maker).is_some_and(|roles| roles.cancels || roles.ends))
    }

    /// The function values' type check: whether a type is a function, declared or not.
    pub(crate) fn is_func(self, ty: &Type) -> bool {
        matches!(self.pkg.bodies.underlying(ty), Type::Func(_))
    }
}

/// Gives `look` what decides the graphs of a file's functions as rules see them: types, and models of what never returns.
pub fn with_oracle<T>(
    package: &Package,
    bodies: &Bodies<'_>,
    models: &Models,
    file: usize,
    look: impl FnOnce(&dyn Oracle) -> T,
) -> T {
    let (before, hierarchy) = (Summaries::new(0), Hierarchy::default());
    let cx = PackageCx::new(package, bodies, models, &before, &hierarchy);
    look(&cx.file(file))
}

impl Oracle for FileCx<'_> {
    fn stops(&self, call: ExprId) -> Option<Stop> {
        match self.callee(call) {
            Callee::Builtin(Builtin::Panic) => Some(Stop::Panic),
            Callee::Func(id) => {
                let modelled = self.roles(call).and_then(|roles| roles.no_return);
                modelled.or_else(|| self.pkg.never_returns(id))
            }
            Callee::Interface { .. } => self.roles(call).and_then(|roles| roles.no_return),
            _ => None,
        }
    }

    fn constant_bool(&self, expr: ExprId) -> Option<bool> {
        self.info().value_of(expr)?.as_bool()
    }
}

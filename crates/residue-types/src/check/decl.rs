//! Package-level declarations: on demand while declaring, in order while checking bodies.

use residue_syntax::ast::{Decl, Expr, ExprId, FieldId, FuncDecl, GenKind, IdentId, List, Spec, SpecId};

use residue_syntax::literal::string_value;

use super::collect::DeclSource;
use super::{Checker, Env, State};
use crate::constant::Const;
use crate::info::{Mode, Res};
use crate::lookup::Objects;
use crate::object::{ObjId, ObjKind, Object, VarKind};
use crate::types::{Signature, Type};

impl Checker<'_> {
    /// Gives a declared object its type, and whatever else it has.
    pub(super) fn resolve(&self, id: ObjId) {
        let index = id.index as usize;
        match self.states.borrow().get(index) {
            Some(State::Todo) => {}
            _ => return,
        }
        let Some(&source) = self.sources.borrow().get(index) else { return };
        self.states.borrow_mut()[index] = State::Running;
        // A chain of declarations too long to follow stays unknown.
        let _ = self.deeper(|| match source {
            DeclSource::Const { file, ty, value, iota } => self.resolve_const(id, file, ty, value, iota),
            DeclSource::Var { file, ty, init, index, of } => {
                let mut env = Env::new(file, false);
                let ty = match ty {
                    Some(ty) => self.typ(&mut env, ty),
                    None => self.inferred_var_type(&mut env, init, index, of),
                };
                self.set_type(id, ty);
            }
            DeclSource::Type { file, spec } => self.resolve_type(id, &mut Env::new(file, false), spec),
            DeclSource::Func { file, decl } => {
                let mut env = Env::new(file, false);
                let signature = self.func_signature(&mut env, decl, Some(id));
                self.set_type(id, signature);
            }
        });
        self.states.borrow_mut()[index] = State::Done;
    }

    fn resolve_const(&self, id: ObjId, file: usize, ty: Option<ExprId>, value: Option<ExprId>, iota: u32) {
        let mut env = Env::new(file, false);
        let (ty, value) = self.constant_decl(&mut env, ty, value, iota);
        self.set_type(id, ty);
        self.set_constant(id, value);
    }

    fn set_constant(&self, id: ObjId, value: Const) {
        if let Some(ObjKind::Const(slot)) = self.object(id).map(|o| &o.kind) {
            let _ = slot.set(value);
        }
    }

    /// Type and value of a constant declared with this type and value.
    pub(super) fn constant_decl(
        &self,
        env: &mut Env,
        ty: Option<ExprId>,
        value: Option<ExprId>,
        iota: u32,
    ) -> (Type, Const) {
        let outer = env.iota.replace(i64::from(iota));
        let ty = ty.map(|ty| self.typ(env, ty));
        let mut x = match value {
            Some(value) => self.expr(env, value, ty.as_ref()),
            None => super::Operand::unknown(),
        };
        if let Some(ty) = &ty {
            self.assign_to(env, &mut x, Some(ty));
        }
        env.iota = outer;
        let value = if x.mode == Mode::Constant { x.value.unwrap_or(Const::Unknown) } else { Const::Unknown };
        (ty.unwrap_or(x.ty), value)
    }

    /// The type of a variable from its initial value: result `index` of `of` values.
    fn inferred_var_type(&self, env: &mut Env, init: Option<ExprId>, index: usize, of: usize) -> Type {
        let Some(init) = init else { return Type::Unknown };
        if of == 1 {
            let mut x = self.expr(env, init, None);
            self.assign_to(env, &mut x, None);
            return x.ty;
        }
        self.unpack(env, init, of).into_iter().nth(index).unwrap_or_default()
    }

    fn resolve_type(&self, id: ObjId, env: &mut Env, spec: SpecId) {
        let Spec::Type { type_params, alias, ty, .. } = self.tree(env).spec(spec) else { return };
        if !alias {
            self.set_type(id, Type::Named(id));
        }
        let params = self.declare_type_params(env, type_params);
        let Some(object) = self.object(id) else { return };
        let ObjKind::Type(data) = &object.kind else { return };
        let _ = data.type_params.set(params);
        let right = self.typ(env, ty);
        if alias {
            self.set_type(id, right);
        } else {
            let _ = data.underlying.set(match right {
                // A type parameter can't be an underlying type.
                Type::Param(_) => Type::Unknown,
                right => self.underlying(&right),
            });
        }
    }

    /// Makes objects of type parameters, in scope from here on, then gives them their constraints.
    pub(super) fn declare_type_params(&self, env: &mut Env, list: List<FieldId>) -> Vec<ObjId> {
        let tree = self.tree(env);
        let mut params = Vec::new();
        for field in tree.list(list) {
            for name in tree.list(tree.field(field).names) {
                let index = params.len() as u32;
                let kind = ObjKind::TypeParam { index, constraint: std::sync::OnceLock::new() };
                let id = self.add(env, name, kind);
                self.set_type(id, Type::Param(id));
                self.bring_into_scope(env, name, id);
                params.push(id);
            }
        }
        let mut at = 0;
        for field in tree.list(list) {
            let field = tree.field(field);
            let constraint = self.constraint_type(env, field.ty);
            for _ in 0..field.names.len() {
                if let Some(ObjKind::TypeParam { constraint: slot, .. }) = self.object(params[at]).map(|o| &o.kind) {
                    let _ = slot.set(constraint.clone());
                }
                at += 1;
            }
        }
        params
    }

    /// Brings type parameters that exist already into scope again, and records their constraints.
    fn redeclare_type_params(&self, env: &mut Env, list: List<FieldId>, params: &[ObjId]) {
        let tree = self.tree(env);
        let names = tree.list(list).flat_map(|field| tree.list(tree.field(field).names));
        for (name, &id) in names.zip(params) {
            self.bring_into_scope(env, name, id);
        }
        for field in tree.list(list) {
            self.constraint_type(env, tree.field(field).ty);
        }
    }

    /// The signature of a declared function; its type parameters and receiver's are left in scope. `id` where the
    /// objects are to be made, none where they exist.
    fn func_signature(&self, env: &mut Env, decl: FuncDecl, id: Option<ObjId>) -> Type {
        let tree = self.tree(env);
        if let (Some(id), Some(field)) = (id, tree.list(decl.recv).next()) {
            let params = self.declare_receiver_params(env, tree.field(field).ty, id);
            if let Some(func) = self.object(id).and_then(Object::func) {
                let _ = func.recv_params.set(params);
            }
        }
        let ty = tree.func_type(decl.ty);
        let type_params = match id {
            Some(_) => self.declare_type_params(env, ty.type_params),
            None => Vec::new(),
        };
        let Type::Func(signature) = self.signature(env, decl.ty) else { return Type::Unknown };
        Type::Func(std::sync::Arc::new(Signature { type_params, ..(*signature).clone() }))
    }

    /// Makes the receiver's own type parameters: `K` and `V` of `func (m *Map[K, V]) …`.
    fn declare_receiver_params(&self, env: &mut Env, ty: ExprId, method: ObjId) -> Vec<ObjId> {
        let tree = self.tree(env);
        let receiver = self.receiver(env, ty);
        let mut params = Vec::new();
        for (index, param) in tree.list(receiver.params).enumerate() {
            let Expr::Ident(name) = tree.expr(self.unparen(env, param)) else { continue };
            let kind = ObjKind::TypeParam { index: index as u32, constraint: std::sync::OnceLock::new() };
            let id = self.add(env, name, kind);
            self.set_type(id, Type::Param(id));
            self.bring_into_scope(env, name, id);
            params.push(id);
        }
        if params.is_empty() {
            return params;
        }
        // Their constraints are those of the type's parameters.
        let base = self.object(method).and_then(Object::func).and_then(crate::object::Func::recv);
        if let Some(base) = base {
            self.ensure(base);
            let generic = self.object(base).map(|o| o.type_params().to_vec()).unwrap_or_default();
            let args: Vec<Type> = params.iter().map(|&p| Type::Param(p)).collect();
            for (&own, &of_type) in params.iter().zip(&generic) {
                let (Some(own), Some(of_type)) = (self.object(own), self.object(of_type)) else { continue };
                if let (ObjKind::TypeParam { constraint: slot, .. }, ObjKind::TypeParam { constraint, .. }) =
                    (&own.kind, &of_type.kind)
                {
                    let constraint = constraint.get().unwrap_or(&Type::Unknown);
                    let _ = slot.set(crate::subst::subst(constraint, &generic, &args));
                }
            }
        }
        params
    }

    /// Walks a file, recording everything.
    pub(super) fn check_file(&self, file: usize) {
        let mut env = Env::new(file, true);
        let tree = self.tree(&env);
        for decl in tree.list(tree.top_decls()) {
            env.locals.clear();
            match tree.decl(decl) {
                Decl::Gen { kind, specs, .. } => self.check_specs(&mut env, kind, specs),
                Decl::Func(func) => self.check_func(&mut env, func),
                Decl::Bad => {}
            }
        }
    }

    fn check_specs(&self, env: &mut Env, kind: GenKind, specs: List<SpecId>) {
        let tree = self.tree(env);
        let mut repeated: (Option<ExprId>, List<ExprId>) = (None, List::EMPTY);
        for spec in tree.list(specs) {
            match tree.spec(spec) {
                Spec::Import { name, path } => self.record_import(env, name, path),
                Spec::Value { names, ty, values, iota } => {
                    for name in tree.list(names) {
                        self.record_declared(env, name);
                    }
                    if kind == GenKind::Const {
                        if ty.is_some() || !values.is_empty() {
                            repeated = (ty, values);
                        }
                        // What is repeated is recorded again: the last constant of a group counts, as in go/types.
                        for i in 0..names.len() {
                            self.constant_decl(env, repeated.0, tree.list_get(repeated.1, i), iota);
                        }
                    } else {
                        self.var_values(env, names.len(), ty, values);
                    }
                }
                Spec::Type { name, type_params, ty, .. } => {
                    let Some(id) = self.record_declared(env, name) else { continue };
                    let params = self.object(id).map(|o| o.type_params().to_vec()).unwrap_or_default();
                    let mark = env.locals.len();
                    self.redeclare_type_params(env, type_params, &params);
                    self.typ(env, ty);
                    env.locals.truncate(mark);
                }
            }
        }
    }

    fn record_declared(&self, env: &Env, name: IdentId) -> Option<ObjId> {
        let id = self.declared_at(env.file, name)?;
        self.record_ident(env, name, Res::Def(id));
        Some(id)
    }

    fn record_import(&self, env: &Env, name: Option<IdentId>, path: ExprId) {
        let tree = self.tree(env);
        let literal = tree.text(tree.expr_span(path));
        let Some(name) = name else { return };
        let path = string_value(&literal).and_then(|p| String::from_utf8(p.into_owned()).ok());
        if let Some(path) = path {
            self.record_ident(env, name, Res::Package(self.imported(&path)));
        }
    }

    /// Types the initial values of `count` variables of a declared type, if any. Returns the variables' types.
    pub(super) fn var_values(
        &self,
        env: &mut Env,
        count: usize,
        ty: Option<ExprId>,
        values: List<ExprId>,
    ) -> Vec<Type> {
        let tree = self.tree(env);
        let ty = ty.map(|ty| self.typ(env, ty));
        let types = if values.len() == 1 && count > 1 {
            match tree.list_get(values, 0) {
                Some(value) => self.unpack(env, value, count),
                None => Vec::new(),
            }
        } else {
            let mut types = Vec::with_capacity(count);
            for value in tree.list(values) {
                let mut x = self.expr(env, value, ty.as_ref());
                self.assign_to(env, &mut x, ty.as_ref());
                types.push(x.ty);
            }
            types
        };
        (0..count).map(|i| ty.clone().or_else(|| types.get(i).cloned()).unwrap_or_default()).collect()
    }

    fn check_func(&self, env: &mut Env, decl: FuncDecl) {
        let tree = self.tree(env);
        let Some(id) = self.record_declared(env, decl.name) else { return };
        let (recv_params, type_params) = match self.object(id) {
            Some(object) => {
                let recv = object.func().and_then(|f| f.recv_params.get()).cloned().unwrap_or_default();
                let own = match object.ty() {
                    Type::Func(s) => s.type_params.clone(),
                    _ => Vec::new(),
                };
                (recv, own)
            }
            None => return,
        };
        if let Some(field) = tree.list(decl.recv).next() {
            let field = tree.field(field);
            let receiver = self.receiver(env, field.ty);
            let names: Vec<IdentId> = tree
                .list(receiver.params)
                .filter_map(|e| match tree.expr(self.unparen(env, e)) {
                    Expr::Ident(name) => Some(name),
                    _ => None,
                })
                .collect();
            for (&name, &param) in names.iter().zip(&recv_params) {
                self.bring_into_scope(env, name, param);
            }
            let ty = self.typ(env, field.ty);
            for name in tree.list(field.names) {
                self.declare_local(env, name, ObjKind::Var(VarKind::Receiver), ty.clone());
            }
            // Typing the receiver recorded its parameters' names as uses.
            for (&name, &param) in names.iter().zip(&recv_params) {
                self.record_ident(env, name, Res::Def(param));
            }
        }
        self.redeclare_type_params(env, tree.func_type(decl.ty).type_params, &type_params);
        let Type::Func(signature) = self.func_signature(env, decl, None) else { return };
        self.declare_params(env, decl.ty, &signature);
        if let Some(body) = decl.body {
            self.func_body(env, &signature, body, 0);
        }
    }

    /// Declares the named parameters and results of a function.
    pub(super) fn declare_params(&self, env: &mut Env, ty: residue_syntax::ast::FuncTypeId, signature: &Signature) {
        let tree = self.tree(env);
        let ty = tree.func_type(ty);
        for (list, types, kind) in
            [(ty.params, &signature.params, VarKind::Param), (ty.results, &signature.results, VarKind::Result)]
        {
            let mut at = 0;
            for field in tree.list(list) {
                let names = tree.field(field).names;
                for name in tree.list(names) {
                    let ty = types.get(at).cloned().unwrap_or_default();
                    self.declare_local(env, name, ObjKind::Var(kind), ty);
                    at += 1;
                }
                at += usize::from(names.is_empty());
            }
        }
    }
}

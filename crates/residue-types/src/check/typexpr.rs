//! Type expressions.

use std::sync::Arc;

use residue_syntax::ast::{BinaryOp, Expr, ExprId, FieldId, FuncTypeId, IdentId, List, UnaryOp};

use residue_syntax::literal;

use super::{Checker, Entity, Env};
use crate::constant;
use crate::info::{InstanceInfo, Res};
use crate::lookup::Objects;
use crate::object::{ObjId, ObjKind};
use crate::subst::subst;
use crate::symbol::Symbol;
use crate::types::{Array, Chan, Field, Instance, Interface, Map, Method, Signature, Struct, Term, Type};

impl Checker<'_> {
    /// The type that an expression denotes, recorded; unknown where it denotes none.
    pub(super) fn typ(&self, env: &mut Env, e: ExprId) -> Type {
        let ty = self.deeper(|| self.typ_inner(env, e, false)).flatten().unwrap_or_default();
        let ty = if ty.is_too_big() { Type::Unknown } else { ty };
        self.record_type(env, e, &ty);
        ty
    }

    /// The type that an expression denotes, if it may denote one: for calls that may be conversions. Recorded where
    /// it does.
    pub(super) fn try_type(&self, env: &mut Env, e: ExprId) -> Option<Type> {
        let ty = self.deeper(|| self.typ_inner(env, e, true)).flatten()?;
        self.record_type(env, e, &ty);
        Some(ty)
    }

    /// A generic type without arguments where `generic` lets one through.
    fn typ_inner(&self, env: &mut Env, e: ExprId, tentative: bool) -> Option<Type> {
        let tree = self.tree(env);
        Some(match tree.expr(e) {
            Expr::Ident(ident) => self.type_name_ref(env, ident)?,
            Expr::Selector { x, sel } => self.qualified_type(env, x, sel)?,
            Expr::Index { x, indices } => self.instantiated(env, x, indices)?,
            Expr::Paren(x) if tentative => self.try_type(env, x)?,
            Expr::Paren(x) => self.typ(env, x),
            Expr::Star(x) if tentative => Type::pointer(self.try_type(env, x)?),
            Expr::Star(x) => Type::pointer(self.typ(env, x)),
            Expr::ArrayType { len: None, elem } => Type::slice(self.typ(env, elem)),
            Expr::ArrayType { len: Some(len), elem } => {
                let len = self.array_len(env, len);
                let elem = self.typ(env, elem);
                Type::Array(Arc::new(Array { len, elem }))
            }
            Expr::Ellipsis(Some(elem)) => Type::slice(self.typ(env, elem)),
            Expr::StructType { fields } => self.struct_type(env, fields),
            Expr::FuncType(ty) => {
                let signature = self.signature(env, ty);
                self.record_param_names(env, ty, &signature);
                signature
            }
            Expr::InterfaceType { elems } => Type::Interface(Arc::new(self.interface_type(env, elems))),
            Expr::MapType { key, value } => {
                let key = self.typ(env, key);
                Type::Map(Arc::new(Map { key, value: self.typ(env, value) }))
            }
            Expr::ChanType { dir, elem } => Type::Chan(Arc::new(Chan { dir, elem: self.typ(env, elem) })),
            _ => return None,
        })
    }

    fn type_name_ref(&self, env: &Env, ident: IdentId) -> Option<Type> {
        match self.lookup(env, self.symbol(env, ident)) {
            Entity::Object(id) => {
                let ty = self.type_of_name(id)?;
                self.record_ident(env, ident, Res::Use(id));
                Some(ty)
            }
            Entity::Package(_) | Entity::Nothing => None,
        }
    }

    /// The type a type name stands for; none for other objects. Declared types are not resolved for this.
    pub(super) fn type_of_name(&self, id: ObjId) -> Option<Type> {
        match &self.object(id)?.kind {
            ObjKind::Type(name) if !name.alias => Some(Type::Named(id)),
            ObjKind::Type(_) => Some(self.type_of(id)),
            ObjKind::TypeParam { .. } => Some(Type::Param(id)),
            _ => None,
        }
    }

    fn qualified_type(&self, env: &Env, x: ExprId, sel: IdentId) -> Option<Type> {
        let Expr::Ident(ident) = self.tree(env).expr(x) else { return None };
        let Entity::Package(pkg) = self.lookup(env, self.symbol(env, ident)) else { return None };
        self.record_ident(env, ident, Res::Package(pkg));
        let id = self.package_member(pkg, self.symbol(env, sel))?;
        let ty = self.type_of_name(id)?;
        self.record_ident(env, sel, Res::Use(id));
        Some(ty)
    }

    /// `x[args]` where `x` is a generic type.
    fn instantiated(&self, env: &mut Env, x: ExprId, indices: List<ExprId>) -> Option<Type> {
        let (generic, ident) = self.generic_type(env, x)?;
        let tree = self.tree(env);
        let args: Vec<Type> = tree.list(indices).map(|arg| self.typ(env, arg)).collect();
        let origin = self.type_of_name(generic).unwrap_or_default();
        self.record_ident(env, ident, Res::Use(generic));
        self.record_type(env, x, &origin);
        let ty = self.instantiate_type(generic, args.clone());
        if env.record {
            self.info.borrow_mut().info.instances.insert(ident, InstanceInfo { args, ty: ty.clone() });
        }
        Some(ty)
    }

    /// The generic type that `x` names, and the naming identifier.
    fn generic_type(&self, env: &Env, x: ExprId) -> Option<(ObjId, IdentId)> {
        let tree = self.tree(env);
        let (id, ident) = match tree.expr(self.unparen(env, x)) {
            Expr::Ident(ident) => match self.lookup(env, self.symbol(env, ident)) {
                Entity::Object(id) => (id, ident),
                _ => return None,
            },
            Expr::Selector { x, sel } => {
                let Expr::Ident(ident) = tree.expr(x) else { return None };
                let Entity::Package(pkg) = self.lookup(env, self.symbol(env, ident)) else { return None };
                let id = self.package_member(pkg, self.symbol(env, sel))?;
                self.record_ident(env, ident, Res::Package(pkg));
                (id, sel)
            }
            _ => return None,
        };
        matches!(self.object(id)?.kind, ObjKind::Type(_)).then_some((id, ident))
    }

    /// An instance of a generic type or alias.
    pub(super) fn instantiate_type(&self, generic: ObjId, args: Vec<Type>) -> Type {
        let Some(object) = self.object(generic) else { return Type::Unknown };
        match &object.kind {
            ObjKind::Type(name) if name.alias => {
                let right = self.type_of(generic);
                subst(&right, object.type_params(), &args)
            }
            _ => Type::Instance(Arc::new(Instance { origin: generic, args })),
        }
    }

    fn array_len(&self, env: &mut Env, len: ExprId) -> i64 {
        if matches!(self.tree(env).expr(len), Expr::Ellipsis(_)) {
            return -1;
        }
        let x = self.expr(env, len, None);
        x.value.as_ref().and_then(constant::Const::as_i64).unwrap_or(-1)
    }

    fn struct_type(&self, env: &mut Env, list: List<FieldId>) -> Type {
        let tree = self.tree(env);
        let mut fields = Vec::with_capacity(list.len());
        for field in tree.list(list) {
            let field = tree.field(field);
            let ty = self.typ(env, field.ty);
            let tag = field.tag.and_then(|tag| {
                let text = tree.text(tree.expr_span(tag));
                let tag = literal::string_value(&text)?;
                Some(Arc::<str>::from(String::from_utf8_lossy(&tag).as_ref()))
            });
            let mut add = |name: Symbol, embedded: bool| {
                let pkg = (!name.is_exported()).then_some(self.pkg);
                fields.push(Field { name, pkg, ty: ty.clone(), embedded, tag: tag.clone() });
            };
            if field.names.is_empty() {
                match self.embedded_name(env, field.ty) {
                    Some(ident) => add(self.symbol(env, ident), true),
                    None => add(Symbol::new("_"), true),
                }
            }
            for name in tree.list(field.names) {
                self.record_ident(env, name, Res::Field);
                add(self.symbol(env, name), false);
            }
        }
        Type::Struct(Arc::new(Struct { fields }))
    }

    /// The identifier that names an embedded field.
    fn embedded_name(&self, env: &Env, ty: ExprId) -> Option<IdentId> {
        let tree = self.tree(env);
        match tree.expr(ty) {
            Expr::Ident(ident) => Some(ident),
            Expr::Star(x) | Expr::Paren(x) | Expr::Index { x, .. } => self.embedded_name(env, x),
            Expr::Selector { sel, .. } => Some(sel),
            _ => None,
        }
    }

    /// A function type; type parameters are the caller's business.
    pub(super) fn signature(&self, env: &mut Env, ty: FuncTypeId) -> Type {
        let tree = self.tree(env);
        let ty = tree.func_type(ty);
        let mut variadic = false;
        let mut list = |env: &mut Env, fields: List<FieldId>, is_params: bool| {
            let mut types = Vec::with_capacity(fields.len());
            for field in tree.list(fields) {
                let field = tree.field(field);
                variadic |= is_params && matches!(tree.expr(field.ty), Expr::Ellipsis(_));
                let ty = self.typ(env, field.ty);
                types.extend(std::iter::repeat_n(ty, field.names.len().max(1)));
            }
            types
        };
        let params = list(env, ty.params, true);
        let results = list(env, ty.results, false);
        Type::Func(Arc::new(Signature { type_params: Vec::new(), params, results, variadic }))
    }

    /// Makes variables of the parameters that a function type without body names.
    fn record_param_names(&self, env: &mut Env, ty: FuncTypeId, signature: &Type) {
        if let Type::Func(signature) = signature
            && env.record
        {
            let mark = env.locals.len();
            self.declare_params(env, ty, signature);
            env.locals.truncate(mark);
        }
    }

    fn interface_type(&self, env: &mut Env, elems: List<FieldId>) -> Interface {
        let tree = self.tree(env);
        let mut out = Interface::default();
        for elem in tree.list(elems) {
            let elem = tree.field(elem);
            if elem.names.is_empty() {
                let embedded = self.type_element(env, elem.ty);
                intersect(&mut out, &embedded);
                continue;
            }
            for ident in tree.list(elem.names) {
                let name = self.symbol(env, ident);
                self.record_ident(env, ident, Res::InterfaceMethod);
                let Expr::FuncType(func) = tree.expr(elem.ty) else { continue };
                let mark = env.locals.len();
                let type_params = self.declare_type_params(env, tree.func_type(func).type_params);
                let ty = match self.signature(env, func) {
                    Type::Func(s) => Type::Func(Arc::new(Signature { type_params, ..(*s).clone() })),
                    other => other,
                };
                self.record_param_names(env, func, &ty);
                env.locals.truncate(mark);
                self.record_type(env, elem.ty, &ty);
                let pkg = (!name.is_exported()).then_some(self.pkg);
                add_method(&mut out, Method { name, pkg, ty });
            }
        }
        out
    }

    /// The constraint of a type parameter: an interface, or what stands for one.
    pub(super) fn constraint_type(&self, env: &mut Env, e: ExprId) -> Type {
        let tree = self.tree(env);
        if matches!(tree.expr(e), Expr::Unary { op: UnaryOp::Tilde, .. } | Expr::Binary { op: BinaryOp::Or, .. }) {
            return Type::Interface(Arc::new(self.type_element(env, e)));
        }
        self.typ(env, e)
    }

    /// An element of an interface, as an interface: an embedded one, a union, or a single type.
    fn type_element(&self, env: &mut Env, e: ExprId) -> Interface {
        let tree = self.tree(env);
        let single = |tilde: bool, ty: Type| match ty {
            Type::Unknown => Interface::default(),
            ty => Interface { terms: Some(vec![Term { tilde, ty }]), ..Interface::default() },
        };
        match tree.expr(e) {
            Expr::Paren(x) => self.type_element(env, x),
            Expr::Unary { op: UnaryOp::Tilde, x } => {
                let ty = self.typ(env, x);
                let element = single(true, ty);
                self.record_type(env, e, &Type::Interface(Arc::new(element.clone())));
                element
            }
            Expr::Binary { op: BinaryOp::Or, x, y, .. } => {
                let (left, right) =
                    self.deeper(|| (self.type_element(env, x), self.type_element(env, y))).unwrap_or_default();
                let terms = left.terms.zip(right.terms).map(|(mut a, b)| {
                    a.extend(b.into_iter().filter(|t| !a.contains(t)).collect::<Vec<_>>());
                    a
                });
                let element = Interface { terms, ..Interface::default() };
                self.record_type(env, e, &Type::Interface(Arc::new(element.clone())));
                element
            }
            _ => {
                let ty = self.typ(env, e);
                if matches!(ty, Type::Param(_)) {
                    return single(false, ty);
                }
                match self.underlying(&ty) {
                    Type::Interface(i) => (*i).clone(),
                    _ => single(false, ty),
                }
            }
        }
    }
}

/// Adds what an embedded element demands.
fn intersect(into: &mut Interface, element: &Interface) {
    for method in &element.methods {
        add_method(into, method.clone());
    }
    into.comparable |= element.comparable;
    if let Some(terms) = &element.terms {
        into.terms = Some(match into.terms.take() {
            None => terms.clone(),
            Some(old) => old
                .into_iter()
                .filter_map(|a| {
                    let other = terms.iter().find(|b| b.ty == a.ty)?;
                    Some(Term { tilde: a.tilde && other.tilde, ty: a.ty })
                })
                .collect(),
        });
    }
}

fn add_method(into: &mut Interface, method: Method) {
    let key = |m: &Method| (m.name, m.pkg);
    if let Err(at) = into.methods.binary_search_by(|m| key(m).cmp(&key(&method))) {
        into.methods.insert(at, method);
    }
}

//! Questions about types: underlying types, fields and methods, type sets, identity.

use std::sync::Arc;

use residue_syntax::ast::ChanDir;
use rustc_hash::FxHashSet;

use crate::info::{Selection, SelectionKind};
use crate::object::{ObjId, ObjKind, Object, PkgId};
use crate::print::Printed;
use crate::program::Program;
use crate::subst::subst;
use crate::symbol::Symbol;
use crate::types::{Basic, Interface, Signature, Term, Type};

/// Embedding deeper than this is given up; Go code has single digits.
const EMBEDDING_DEPTH_MAX: usize = 64;

/// Access to objects, and what can be asked of types with it.
pub trait Objects {
    /// An object.
    fn object(&self, id: ObjId) -> Option<&Object>;

    /// The program.
    fn program(&self) -> &Program;

    /// Makes sure that the object's type is known; for declarations that are still being typed.
    fn ensure(&self, _id: ObjId) {}

    /// The type an object has, or a type name stands for.
    fn type_of(&self, id: ObjId) -> Type {
        self.ensure(id);
        self.object(id).map_or(Type::Unknown, |o| o.ty().clone())
    }

    /// The underlying type of the instance's origin, with the arguments in place.
    fn instance_underlying(&self, origin: ObjId, args: &[Type]) -> Type {
        self.ensure(origin);
        let Some(object) = self.object(origin) else { return Type::Unknown };
        subst(object.underlying().unwrap_or(&Type::Unknown), object.type_params(), args)
    }

    /// The underlying type; that of a type parameter is its constraint.
    fn underlying(&self, ty: &Type) -> Type {
        match ty {
            Type::Named(id) => {
                self.ensure(*id);
                self.object(*id).and_then(Object::underlying).cloned().unwrap_or_default()
            }
            Type::Instance(inst) => self.instance_underlying(inst.origin, &inst.args),
            Type::Param(id) => Type::Interface(self.constraint(*id)),
            other => other.clone(),
        }
    }

    /// The constraint of a type parameter.
    fn constraint(&self, param: ObjId) -> Arc<Interface> {
        let Some(ObjKind::TypeParam { constraint, .. }) = self.object(param).map(|o| &o.kind) else {
            return Arc::default();
        };
        let constraint = constraint.get().unwrap_or(&Type::Unknown);
        match constraint {
            Type::Interface(i) => Arc::clone(i),
            Type::Named(_) | Type::Instance(_) => match self.underlying(constraint) {
                Type::Interface(i) => i,
                Type::Unknown => Arc::default(),
                other => Arc::new(single_term(other)),
            },
            Type::Unknown => Arc::default(),
            other => Arc::new(single_term(other.clone())),
        }
    }

    /// The basic type that a type's underlying type is.
    fn basic(&self, ty: &Type) -> Option<Basic> {
        match ty {
            Type::Basic(b) => Some(*b),
            Type::Named(_) | Type::Instance(_) => match self.underlying(ty) {
                Type::Basic(b) => Some(b),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether every type that `ty` can be is basic and satisfies `pred`; a type parameter can be each of its terms.
    fn all_basic(&self, ty: &Type, pred: &dyn Fn(Basic) -> bool) -> bool {
        match ty {
            Type::Param(id) => self
                .constraint(*id)
                .terms
                .as_ref()
                .is_some_and(|terms| !terms.is_empty() && terms.iter().all(|t| self.basic(&t.ty).is_some_and(pred))),
            _ => self.basic(ty).is_some_and(pred),
        }
    }

    /// Whether an interface that is no type parameter.
    fn is_interface(&self, ty: &Type) -> bool {
        match ty {
            Type::Interface(_) => true,
            Type::Named(_) | Type::Instance(_) => matches!(self.underlying(ty), Type::Interface(_)),
            _ => false,
        }
    }

    /// The underlying types a value can have: those of the terms for a type parameter, else the one underlying type.
    /// None where a type parameter is not limited to a list of types.
    fn type_set(&self, ty: &Type) -> Option<Vec<Type>> {
        let Type::Param(id) = ty else { return Some(vec![self.underlying(ty)]) };
        let constraint = self.constraint(*id);
        Some(constraint.terms.as_ref()?.iter().map(|t| self.underlying(&t.ty)).collect())
    }

    /// The one type that stands for all a value can have: the underlying type, or for a type parameter the underlying
    /// type all its terms share. Channels may differ in direction where compatible.
    fn core_type(&self, ty: &Type) -> Option<Type> {
        if !matches!(ty, Type::Param(_)) {
            return Some(self.underlying(ty));
        }
        let mut core: Option<Type> = None;
        for under in self.type_set(ty)? {
            core = Some(match core {
                None => under,
                Some(old) if old == under => old,
                Some(old) => narrower_channel(&old, &under)?,
            });
        }
        core
    }

    /// As [`Objects::core_type`], but `[]byte` and `string` together give `string`.
    fn core_string(&self, ty: &Type) -> Option<Type> {
        if let Some(core) = self.core_type(ty) {
            return Some(core);
        }
        let bytes = Type::slice(Type::Basic(Basic::Uint8));
        self.type_set(ty)?.iter().all(|t| *t == Type::STRING || *t == bytes).then_some(Type::STRING)
    }

    /// The field or method `name` of `ty`, through embedded fields and pointers, as seen from package `from`. None
    /// where there is none or it is ambiguous.
    fn select(&self, ty: &Type, name: Symbol, from: PkgId) -> Option<Selection> {
        if name.is_blank() {
            return None;
        }
        // Methods cannot be had through a declared pointer type, only fields.
        if matches!(ty, Type::Named(_) | Type::Instance(_))
            && let under @ Type::Pointer(_) = self.underlying(ty)
        {
            return search(self, &under, name, from).filter(|s| s.kind == SelectionKind::Field);
        }
        search(self, ty, name, from)
    }

    /// The declared method `name` of a declared type, and its signature with the type's arguments in place.
    fn declared_method(&self, ty: &Type, name: Symbol, from: PkgId) -> Option<(ObjId, Type)> {
        let origin = ty.origin()?;
        self.ensure(origin);
        let methods = self.object(origin)?.methods();
        let at = methods.binary_search_by(|(n, _)| n.cmp(&name)).ok()?;
        if !name.is_exported() && !self.same_package(origin.pkg, from) {
            return None;
        }
        let id = methods[at].1;
        self.ensure(id);
        let object = self.object(id)?;
        let params = object.func().and_then(|f| f.recv_params.get()).map_or(&[][..], Vec::as_slice);
        Some((id, subst(object.ty(), params, ty.args())))
    }

    /// Whether two packages are the same, variants of one package built for tests included.
    fn same_package(&self, a: PkgId, b: PkgId) -> bool {
        a == b || {
            let program = self.program();
            !program.package_path(a).is_empty() && program.package_path(a) == program.package_path(b)
        }
    }

    /// Whether `ty` has all methods of the interface `iface`, whatever its type set says.
    fn implements(&self, ty: &Type, iface: &Interface) -> bool {
        iface.methods.iter().all(|want| {
            let from = want.pkg.unwrap_or(PkgId::UNIVERSE);
            let Some(found) = self.select(ty, want.name, from) else { return false };
            let addressable = matches!(ty, Type::Pointer(_)) || self.is_interface(ty) || matches!(ty, Type::Param(_));
            match found.kind {
                SelectionKind::Field => false,
                SelectionKind::Method(id) if !addressable && !found.indirect => {
                    let by_pointer = self.object(id).and_then(Object::func).is_some_and(|f| f.pointer_recv);
                    !by_pointer && identical(&found.ty, &want.ty)
                }
                _ => identical(&found.ty, &want.ty),
            }
        })
    }

    /// Import path and name of a declared type or instance; predeclared `error` has an empty path.
    fn type_name(&self, ty: &Type) -> Option<(&str, Symbol)> {
        let origin = ty.origin()?;
        Some((self.program().package_path(origin.pkg), self.object(origin)?.name))
    }

    /// Whether `ty` is the declared type `path.name`, or an instance of it.
    fn is_named(&self, ty: &Type, path: &str, name: &str) -> bool {
        self.type_name(ty).is_some_and(|(p, n)| p == path && n == name)
    }

    /// The type in Go's notation, for people.
    fn show<'a>(&'a self, ty: &'a Type) -> Printed<'a, Self> {
        Printed::new(self, ty)
    }

    /// A function's full name: `net/http.Get`, `(*os.File).Close`, `(time.Time).String`.
    fn func_name(&self, id: ObjId) -> String {
        let Some(object) = self.object(id) else { return String::new() };
        let path = self.program().package_path(id.pkg);
        match object.func().and_then(|f| Some((f, self.object(f.recv()?)?))) {
            Some((func, recv)) => {
                let star = if func.pointer_recv { "*" } else { "" };
                format!("({star}{path}.{}).{}", recv.name, object.name)
            }
            None => format!("{path}.{}", object.name),
        }
    }
}

fn single_term(ty: Type) -> Interface {
    Interface { terms: Some(vec![Term { tilde: false, ty }]), ..Interface::default() }
}

fn narrower_channel(a: &Type, b: &Type) -> Option<Type> {
    let (Type::Chan(x), Type::Chan(y)) = (a, b) else { return None };
    if x.elem != y.elem {
        return None;
    }
    match (x.dir, y.dir) {
        (ChanDir::Both, _) => Some(b.clone()),
        (_, ChanDir::Both) => Some(a.clone()),
        (p, q) if p == q => Some(a.clone()),
        _ => None,
    }
}

struct Embedded {
    ty: Type,
    path: Vec<u32>,
    indirect: bool,
    /// The same type stands at this depth more than once: whatever it holds is ambiguous.
    multiple: bool,
}

/// Breadth-first through embedded fields, as `go/types` (lookup.go, `lookupFieldOrMethodImpl`).
fn search<O: Objects + ?Sized>(cx: &O, ty: &Type, name: Symbol, from: PkgId) -> Option<Selection> {
    let (start, pointer) = match ty {
        Type::Pointer(elem) => (&**elem, true),
        other => (other, false),
    };
    if pointer && (matches!(start, Type::Param(_)) || cx.is_interface(start)) {
        return None;
    }
    let visible = |pkg: Option<PkgId>| pkg.is_none_or(|p| cx.same_package(p, from));
    let mut seen: FxHashSet<Type> = FxHashSet::default();
    let mut level = vec![Embedded { ty: start.clone(), path: Vec::new(), indirect: pointer, multiple: false }];
    for _ in 0..EMBEDDING_DEPTH_MAX {
        let mut found: Option<Selection> = None;
        let mut ambiguous = false;
        let mut hit = |selection: Selection, multiple: bool| {
            ambiguous |= multiple || found.is_some();
            found = Some(selection);
        };
        let mut next: Vec<Embedded> = Vec::new();
        for at in &level {
            let named = matches!(at.ty, Type::Named(_) | Type::Instance(_));
            if named {
                if !seen.insert(at.ty.clone()) {
                    continue;
                }
                if let Some((method, ty)) = cx.declared_method(&at.ty, name, from) {
                    let kind = SelectionKind::Method(method);
                    hit(Selection { kind, path: at.path.clone(), indirect: at.indirect, ty }, at.multiple);
                    continue;
                }
            }
            match cx.underlying(&at.ty) {
                Type::Struct(s) => {
                    for (i, field) in s.fields.iter().enumerate() {
                        let path = || at.path.iter().copied().chain([i as u32]).collect::<Vec<_>>();
                        if field.name == name && visible(field.pkg) {
                            let (kind, ty) = (SelectionKind::Field, field.ty.clone());
                            hit(Selection { kind, path: path(), indirect: at.indirect, ty }, at.multiple);
                        } else if field.embedded {
                            let (ty, through) = match &field.ty {
                                Type::Pointer(elem) => (&**elem, true),
                                other => (other, false),
                            };
                            next.push(Embedded {
                                ty: ty.clone(),
                                path: path(),
                                indirect: at.indirect || through,
                                multiple: at.multiple,
                            });
                        }
                    }
                }
                Type::Interface(i) => {
                    if let Some(m) = i.methods.iter().find(|m| m.name == name && visible(m.pkg)) {
                        let recv = at.ty.clone();
                        let kind = SelectionKind::InterfaceMethod { recv };
                        let ty = m.ty.clone();
                        hit(Selection { kind, path: at.path.clone(), indirect: at.indirect, ty }, at.multiple);
                    } else if matches!(at.ty, Type::Param(_))
                        && let Some(under @ Type::Struct(_)) = cx.core_type(&at.ty)
                        && let Some(field) = search(cx, &under, name, from)
                    {
                        hit(field, at.multiple);
                    }
                }
                _ => {}
            }
        }
        if found.is_some() {
            return if ambiguous { None } else { found };
        }
        if next.is_empty() {
            return None;
        }
        level = consolidate(next);
    }
    None
}

/// Merges entries of the same type: what they hold at this depth is ambiguous.
fn consolidate(list: Vec<Embedded>) -> Vec<Embedded> {
    let mut out: Vec<Embedded> = Vec::with_capacity(list.len());
    for item in list {
        match out.iter_mut().find(|o| o.ty == item.ty && item.ty.origin().is_some()) {
            Some(same) => same.multiple = true,
            None => out.push(item),
        }
    }
    out
}

/// Whether two types are identical; type parameters of generic signatures may be named differently.
pub fn identical(a: &Type, b: &Type) -> bool {
    if a == b {
        return true;
    }
    let (Type::Func(x), Type::Func(y)) = (a, b) else { return false };
    if x.type_params.is_empty() || x.type_params.len() != y.type_params.len() {
        return false;
    }
    let args: Vec<Type> = x.type_params.iter().map(|&p| Type::Param(p)).collect();
    let plain = Signature { type_params: x.type_params.clone(), ..(**y).clone() };
    subst(&Type::Func(Arc::new(plain)), &y.type_params, &args) == *a
}

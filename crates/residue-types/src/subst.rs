//! Substitution of type parameters.

use std::sync::Arc;

use crate::object::ObjId;
use crate::types::{Array, Chan, Field, Instance, Interface, Map, Method, Signature, Struct, Term, Type};

/// Replaces type parameters by types.
pub(crate) struct Subst<'a> {
    /// Replaced parameters.
    pub(crate) params: &'a [ObjId],
    /// What replaces each.
    pub(crate) args: &'a [Type],
}

/// `ty` with each of `params` replaced by the type at its index in `args`.
pub(crate) fn subst(ty: &Type, params: &[ObjId], args: &[Type]) -> Type {
    if params.is_empty() {
        return ty.clone();
    }
    Subst { params, args }.ty(ty).unwrap_or_else(|| ty.clone())
}

impl Subst<'_> {
    /// The substituted type; none where nothing changes.
    pub(crate) fn ty(&self, ty: &Type) -> Option<Type> {
        Some(match ty {
            Type::Unknown | Type::Basic(_) | Type::Named(_) => return None,
            Type::Param(id) => {
                let at = self.params.iter().position(|p| p == id)?;
                self.args.get(at)?.clone()
            }
            Type::Instance(i) => {
                let args = self.list(&i.args)?;
                Type::Instance(Arc::new(Instance { origin: i.origin, args }))
            }
            Type::Pointer(t) => Type::Pointer(Arc::new(self.ty(t)?)),
            Type::Slice(t) => Type::Slice(Arc::new(self.ty(t)?)),
            Type::Array(a) => Type::Array(Arc::new(Array { len: a.len, elem: self.ty(&a.elem)? })),
            Type::Map(m) => {
                let (key, value) = self.pair(&m.key, &m.value)?;
                Type::Map(Arc::new(Map { key, value }))
            }
            Type::Chan(c) => Type::Chan(Arc::new(Chan { dir: c.dir, elem: self.ty(&c.elem)? })),
            Type::Struct(s) => {
                let types: Vec<Type> = s.fields.iter().map(|f| f.ty.clone()).collect();
                let types = self.list(&types)?;
                let fields = s.fields.iter().zip(types).map(|(f, ty)| Field { ty, ..f.clone() }).collect();
                Type::Struct(Arc::new(Struct { fields }))
            }
            Type::Func(s) => {
                let (params, results) = (self.list(&s.params), self.list(&s.results));
                if params.is_none() && results.is_none() {
                    return None;
                }
                Type::Func(Arc::new(Signature {
                    type_params: s.type_params.clone(),
                    params: params.unwrap_or_else(|| s.params.clone()),
                    results: results.unwrap_or_else(|| s.results.clone()),
                    variadic: s.variadic,
                }))
            }
            Type::Interface(i) => {
                let methods: Vec<Type> = i.methods.iter().map(|m| m.ty.clone()).collect();
                let terms: Vec<Type> = i.terms.iter().flatten().map(|t| t.ty.clone()).collect();
                let (new_methods, new_terms) = (self.list(&methods), self.list(&terms));
                if new_methods.is_none() && new_terms.is_none() {
                    return None;
                }
                let methods = i.methods.iter().zip(new_methods.unwrap_or(methods));
                let terms = i.terms.as_ref().map(|old| {
                    old.iter().zip(new_terms.unwrap_or(terms)).map(|(t, ty)| Term { tilde: t.tilde, ty }).collect()
                });
                Type::Interface(Arc::new(Interface {
                    methods: methods.map(|(m, ty)| Method { ty, ..m.clone() }).collect(),
                    terms,
                    comparable: i.comparable,
                }))
            }
            Type::Tuple(ts) => Type::Tuple(Arc::new(self.list(ts)?)),
        })
    }

    fn list(&self, types: &[Type]) -> Option<Vec<Type>> {
        let mut out: Option<Vec<Type>> = None;
        for (i, ty) in types.iter().enumerate() {
            if let Some(new) = self.ty(ty) {
                out.get_or_insert_with(|| types.to_vec())[i] = new;
            }
        }
        out
    }

    fn pair(&self, a: &Type, b: &Type) -> Option<(Type, Type)> {
        let (x, y) = (self.ty(a), self.ty(b));
        if x.is_none() && y.is_none() {
            return None;
        }
        Some((x.unwrap_or_else(|| a.clone()), y.unwrap_or_else(|| b.clone())))
    }
}

//! Composite literals.

use std::sync::Arc;

use residue_syntax::ast::{Expr, ExprId, List};

use super::operand::Operand;
use super::{Checker, Env};
use crate::constant::Const;
use crate::info::{Mode, Res};
use crate::lookup::Objects;
use crate::types::{Array, Struct, Type};

impl Checker<'_> {
    /// `ty{elts}`, or `{elts}` where an element of type `hint` stands.
    pub(super) fn composite(
        &self,
        env: &mut Env,
        ty: Option<ExprId>,
        elts: List<ExprId>,
        hint: Option<&Type>,
    ) -> Operand {
        let tree = self.tree(env);
        let mut open_array = None;
        let (ty, base) = match (ty, hint) {
            (Some(e), _) => {
                if let Expr::ArrayType { len: Some(len), elem } = tree.expr(e)
                    && matches!(tree.expr(len), Expr::Ellipsis(None))
                {
                    open_array = Some(e);
                    let elem = self.typ(env, elem);
                    let ty = Type::Array(Arc::new(Array { len: -1, elem }));
                    (ty.clone(), ty)
                } else {
                    let ty = self.typ(env, e);
                    let base = self.core_type(&ty).unwrap_or_default();
                    (ty, base)
                }
            }
            (None, Some(hint)) => {
                let base = match self.core_type(hint) {
                    Some(Type::Pointer(elem)) => self.core_type(&elem),
                    other => other,
                };
                (hint.clone(), base.unwrap_or_default())
            }
            (None, None) => (Type::Unknown, Type::Unknown),
        };
        let ty = match base {
            Type::Struct(fields) => {
                self.struct_elements(env, &fields, elts);
                ty
            }
            Type::Array(array) => {
                let len = self.indexed_elements(env, &array.elem, elts);
                match open_array {
                    Some(e) => {
                        let ty = Type::Array(Arc::new(Array { len, elem: array.elem.clone() }));
                        self.record_type(env, e, &ty);
                        ty
                    }
                    None => ty,
                }
            }
            Type::Slice(elem) => {
                self.indexed_elements(env, &elem, elts);
                ty
            }
            Type::Map(map) => {
                for elt in tree.list(elts) {
                    if let Expr::KeyValue { key, value } = tree.expr(elt) {
                        let mut key = self.expr(env, key, Some(&map.key));
                        self.assign_to(env, &mut key, Some(&map.key));
                        self.element(env, value, &map.value);
                    } else {
                        self.element(env, elt, &Type::Unknown);
                    }
                }
                ty
            }
            _ => {
                for elt in tree.list(elts) {
                    match tree.expr(elt) {
                        Expr::KeyValue { key, value } => {
                            // The key may name a field of the unknown type.
                            if !matches!(tree.expr(key), Expr::Ident(_)) {
                                self.element(env, key, &Type::Unknown);
                            }
                            self.element(env, value, &Type::Unknown);
                        }
                        _ => self.element(env, elt, &Type::Unknown),
                    }
                }
                ty
            }
        };
        Operand::of(Mode::Value, ty)
    }

    fn element(&self, env: &mut Env, e: ExprId, ty: &Type) {
        let mut x = self.expr(env, e, Some(ty));
        self.assign_to(env, &mut x, Some(ty));
    }

    fn struct_elements(&self, env: &mut Env, fields: &Struct, elts: List<ExprId>) {
        let tree = self.tree(env);
        for (i, elt) in tree.list(elts).enumerate() {
            let Expr::KeyValue { key, value } = tree.expr(elt) else {
                let ty = fields.fields.get(i).map_or(Type::Unknown, |f| f.ty.clone());
                self.element(env, elt, &ty);
                continue;
            };
            let mut ty = Type::Unknown;
            if let Expr::Ident(ident) = tree.expr(key) {
                let name = self.symbol(env, ident);
                // Since Go 1.27 the key may name a promoted field.
                let own = fields.fields.iter().find(|f| f.name == name).map(|f| f.ty.clone());
                let whole = || Type::Struct(Arc::new(fields.clone()));
                let found = own.or_else(|| self.select(&whole(), name, self.pkg).map(|s| s.ty));
                if let Some(found) = found {
                    self.record_ident(env, ident, Res::Field);
                    ty = found;
                }
            } else {
                self.expr(env, key, None);
            }
            self.element(env, value, &ty);
        }
    }

    /// Elements of an array or slice. Returns the length they need.
    fn indexed_elements(&self, env: &mut Env, elem: &Type, elts: List<ExprId>) -> i64 {
        let tree = self.tree(env);
        let (mut at, mut len) = (0i64, 0i64);
        for elt in tree.list(elts) {
            let value = match tree.expr(elt) {
                Expr::KeyValue { key, value } => {
                    let mut key = self.expr(env, key, None);
                    if let Some(i) = key.known().and_then(Const::as_i64) {
                        at = i;
                    }
                    self.convert_untyped(env, &mut key, &Type::INT);
                    value
                }
                _ => elt,
            };
            self.element(env, value, elem);
            at = at.saturating_add(1);
            len = len.max(at);
        }
        len
    }
}

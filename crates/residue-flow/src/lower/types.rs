//! What lowering asks of types: their shapes, conversions to interfaces, and what can panic because of them.

use residue_syntax::ast::{BinaryOp, Expr, ExprId};
use residue_types::{Basic, Builtin, Const, ObjKind, Objects, Res, Type};
use std::sync::Arc;

use super::Lower;
use crate::ir::{At, Op, Panic, Value};
use crate::walk;

/// Structs inside structs deeper than this are not looked into; only broken code has them.
const NESTED_STRUCTS_MAX: u32 = 16;

impl<'a> Lower<'a> {
    /// The underlying type; for a type parameter the one that all its types share.
    pub(super) fn core(&mut self, ty: &Type) -> Type {
        match ty {
            Type::Instance(instance) => {
                if let Some(known) = self.instances.get(instance) {
                    return known.clone();
                }
                let under = self.bodies.underlying(ty);
                self.instances.insert(Arc::clone(instance), under.clone());
                under
            }
            Type::Param(_) => self.bodies.core_type(ty).unwrap_or_default(),
            _ => self.bodies.underlying(ty),
        }
    }

    /// The underlying type as declared: with the names of type parameters, where generic. What kind of type it is does
    /// not depend on them.
    pub(super) fn shape(&self, ty: &'a Type) -> &'a Type {
        match ty.origin() {
            Some(origin) => {
                self.bodies.object(origin).and_then(residue_types::Object::underlying).unwrap_or(&Type::Unknown)
            }
            None => ty,
        }
    }

    pub(super) fn is_interface(&self, ty: &Type) -> bool {
        match ty {
            Type::Interface(_) => true,
            Type::Named(id) => self.is_interface_object(*id),
            Type::Instance(instance) => self.is_interface_object(instance.origin),
            _ => false,
        }
    }

    fn is_interface_object(&self, id: residue_types::ObjId) -> bool {
        matches!(self.bodies.object(id).and_then(residue_types::Object::underlying), Some(Type::Interface(_)))
    }

    /// The value as one of type `to`, where that is an interface and it is not of that type already.
    pub(super) fn converted(&mut self, value: Value, from: &Type, to: &Type, at: At) -> Value {
        let known = !matches!(from, Type::Unknown | Type::Basic(Basic::UntypedNil) | Type::Tuple(_));
        if known && self.is_interface(to) && from != to {
            return self.emit(Op::ToInterface(value), at);
        }
        value
    }

    pub(super) fn constant(&self, expr: ExprId) -> Option<i64> {
        self.info.value_of(expr)?.to_int().as_i64()
    }

    fn any_basic(&self, ty: &Type, pred: &dyn Fn(Basic) -> bool) -> bool {
        match ty {
            Type::Basic(basic) => pred(*basic),
            Type::Named(_) | Type::Instance(_) => self.bodies.basic(ty).is_some_and(pred),
            Type::Param(_) => {
                let set = self.bodies.type_set(ty).unwrap_or_default();
                set.iter().any(|ty| matches!(ty, Type::Basic(basic) if pred(*basic)))
            }
            _ => false,
        }
    }

    /// Why `x op y` can panic; `tx` is the type of `x`.
    pub(super) fn binary_panic(&self, op: BinaryOp, tx: &Type, y: ExprId) -> Option<Panic> {
        let constant = || self.info.value_of(y).is_some();
        match op {
            BinaryOp::Div | BinaryOp::Rem => {
                (!constant() && self.any_basic(tx, &Basic::is_integer)).then_some(Panic::Division)
            }
            BinaryOp::Shl | BinaryOp::Shr => {
                let signed = |b: Basic| b.is_integer() && !b.is_unsigned();
                (!constant() && self.any_basic(self.info.type_of(y), &signed)).then_some(Panic::Shift)
            }
            BinaryOp::Eq | BinaryOp::Ne => self.comparison_panic(tx, self.info.type_of(y)),
            _ => None,
        }
    }

    /// Why a comparison for equality of values of these types can panic.
    pub(super) fn comparison_panic(&self, x: &Type, y: &Type) -> Option<Panic> {
        let nil = |ty: &Type| matches!(ty, Type::Basic(Basic::UntypedNil));
        let may = match (self.is_interface(x), self.is_interface(y)) {
            _ if nil(x) || nil(y) => false,
            // Types that differ are unequal without a look at the values; one that is compared with an interface is
            // comparable, unless it holds an interface itself.
            (true, _) => self.holds_interface(y, 0),
            (false, _) => self.holds_interface(x, 0),
        };
        may.then_some(Panic::Uncomparable)
    }

    /// Whether comparing two values of the type can find values in interfaces that cannot be compared.
    pub(super) fn holds_interface(&self, ty: &Type, depth: u32) -> bool {
        match ty {
            Type::Interface(_) => true,
            Type::Param(_) => self.bodies.type_set(ty).is_none(),
            Type::Named(_) | Type::Instance(_) if depth < NESTED_STRUCTS_MAX => {
                self.is_interface(ty) || self.holds_interface(&self.bodies.underlying(ty), depth + 1)
            }
            Type::Array(array) => self.holds_interface(&array.elem, depth),
            Type::Struct(data) => data.fields.iter().any(|field| self.holds_interface(&field.ty, depth)),
            _ => false,
        }
    }

    /// Why using `key`, converted to the key type `to`, can panic.
    pub(super) fn key_panic(&self, key: ExprId, to: &Type) -> Option<Panic> {
        if matches!(to, Type::Basic(_)) {
            return None;
        }
        let from = self.info.type_of(key);
        let of = if self.is_interface(to) { from } else { to };
        (!from.is_unknown() && self.holds_interface(of, 0)).then_some(Panic::Uncomparable)
    }

    /// Whether a constant index or an index of a small type is below the length of the array or constant string.
    pub(super) fn index_fits(&self, x: ExprId, core: &Type, index: ExprId) -> bool {
        let len = match core {
            Type::Array(array) => array.len,
            _ => self.constant_len(x).unwrap_or(0),
        };
        if let Some(index) = self.constant(index) {
            return (0..len).contains(&index);
        }
        match self.bodies.basic(self.info.type_of(index)) {
            Some(Basic::Uint8) => len > i64::from(u8::MAX),
            Some(Basic::Uint16) => len > i64::from(u16::MAX),
            _ => false,
        }
    }

    /// Whether slicing with these bounds cannot fail; `len` is the length, where it is known.
    pub(super) fn bounds_fit(&self, bounds: [Option<ExprId>; 3], len: Option<i64>) -> bool {
        let [lo, hi, max] = bounds;
        match len {
            Some(len) => {
                let mut last = 0;
                let mut given = [lo, hi, max].into_iter().flatten();
                given
                    .all(|bound| self.constant(bound).is_some_and(|i| std::mem::replace(&mut last, i) <= i && i <= len))
            }
            // Zero is never too much.
            None => [lo, hi, max].into_iter().flatten().all(|bound| self.constant(bound) == Some(0)),
        }
    }

    /// Whether every size given to `make` is known not to be negative.
    pub(super) fn sizes_fit(&self, sizes: &[ExprId]) -> bool {
        let fits = |e: ExprId| self.info.value_of(e).is_some() || self.is_length(e);
        match *sizes {
            [] => true,
            [len] => fits(len),
            [len, cap, ..] => match self.constant(len) {
                Some(0) => fits(cap),
                Some(len) => self.constant(cap).is_some_and(|cap| len <= cap),
                None => false,
            },
        }
    }

    /// Whether an expression is `len(x)` or `cap(x)`.
    fn is_length(&self, expr: ExprId) -> bool {
        let Expr::Call { fun, .. } = self.tree.expr(walk::unparen(self.tree, expr)) else { return false };
        let Expr::Ident(ident) = self.tree.expr(fun) else { return false };
        let Res::Use(id) = self.info.res(ident) else { return false };
        let object = self.bodies.object(id);
        object.is_some_and(|o| matches!(o.kind, ObjKind::Builtin(Builtin::Len | Builtin::Cap)))
    }

    /// The length of a constant string.
    pub(super) fn constant_len(&self, expr: ExprId) -> Option<i64> {
        match self.info.value_of(expr)? {
            Const::Str(text) => Some(text.len() as i64),
            _ => None,
        }
    }
}

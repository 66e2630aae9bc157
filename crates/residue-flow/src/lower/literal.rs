//! Composite literals.

use residue_syntax::ast::{Expr, ExprId, List};
use residue_types::{Objects, SelectionKind, Struct, Symbol, Type};
use std::sync::Arc;

use super::Lower;
use crate::ir::{At, Op, Value, Values};

impl Lower<'_> {
    /// `T{…}`; where `T` is left out inside a literal of pointers, the pointer to it.
    pub(super) fn composite(&mut self, expr: ExprId, elts: List<ExprId>) -> Value {
        let at = At::Expr(expr);
        let (core, pointer) = match self.core(self.info.type_of(expr)) {
            Type::Pointer(elem) => (self.core(&elem), true),
            core => (core, false),
        };
        let (from, fields_from) = (self.pending.len(), self.pending_fields.len());
        let mut panic = None;
        match &core {
            Type::Struct(data) => self.struct_elements(data, elts),
            Type::Array(array) => self.elements(&array.elem, elts),
            Type::Slice(elem) => self.elements(elem, elts),
            Type::Map(types) => {
                for elt in self.tree.list(elts) {
                    if self.muted {
                        break;
                    }
                    let Expr::KeyValue { key, value } = self.tree.expr(elt) else { continue };
                    let reason = self.key_panic(key, &types.key);
                    panic = panic.or(reason);
                    let key = self.eval_as(key, &types.key);
                    self.pending.push(key);
                    let value = self.eval_as(value, &types.value);
                    self.pending.push(value);
                }
            }
            _ => return self.unknown_composite(elts, at),
        }
        let values = self.list(from);
        let fields = self.fields(fields_from);
        let map = matches!(core, Type::Map(_));
        let value = self.emit_panic(Op::Composite { values, fields, map }, at, panic);
        if pointer { self.emit(Op::New(value), at) } else { value }
    }

    fn unknown_composite(&mut self, elts: List<ExprId>, at: At) -> Value {
        let from = self.pending.len();
        for elt in self.tree.list(elts) {
            let parts = match self.tree.expr(elt) {
                // The key may name a field of the unknown type.
                Expr::KeyValue { key, value } if matches!(self.tree.expr(key), Expr::Ident(_)) => [None, Some(value)],
                Expr::KeyValue { key, value } => [Some(key), Some(value)],
                _ => [None, Some(elt)],
            };
            for part in parts.into_iter().flatten() {
                if self.muted {
                    break;
                }
                let value = self.value(part);
                self.pending.push(value);
            }
        }
        let values = self.list(from);
        self.emit(Op::Opaque(values), at)
    }

    fn struct_elements(&mut self, data: &Struct, elts: List<ExprId>) {
        let mut next = 0;
        for (i, elt) in self.tree.list(elts).enumerate() {
            if self.muted {
                return;
            }
            let Expr::KeyValue { key, value } = self.tree.expr(elt) else {
                let ty = data.fields.get(i).map_or(&Type::Unknown, |field| &field.ty);
                let value = self.eval_as(elt, ty);
                self.pending.push(value);
                self.pending_fields.push(i as u32);
                continue;
            };
            let name = match self.tree.expr(key) {
                Expr::Ident(ident) => self.tree.ident_text(ident),
                _ => "",
            };
            // Keys mostly come in the order of the fields.
            let found = (next..data.fields.len()).chain(0..next).find(|&i| data.fields[i].name == *name);
            if let Some(index) = found {
                next = index + 1;
                let value = self.eval_as(value, &data.fields[index].ty);
                self.pending.push(value);
                self.pending_fields.push(index as u32);
            } else if let Some((index, value)) = self.promoted(data, name, value) {
                self.pending.push(value);
                self.pending_fields.push(index);
            } else {
                // No such field: the value is not stored anywhere.
                self.value(value);
            }
        }
    }

    /// The value of a promoted field, which may be named since Go 1.27: in a literal of the embedded struct.
    fn promoted(&mut self, data: &Struct, name: &str, expr: ExprId) -> Option<(u32, Value)> {
        let whole = Type::Struct(Arc::new(data.clone()));
        let selection = self.bodies.select(&whole, Symbol::new(name), self.bodies.package())?;
        let (&first, rest) = selection.path.split_first()?;
        if selection.kind != SelectionKind::Field {
            return None;
        }
        let mut value = self.eval_as(expr, &selection.ty);
        for &index in rest.iter().rev() {
            let (from, fields_from) = (self.pending.len(), self.pending_fields.len());
            self.pending.push(value);
            self.pending_fields.push(index);
            let (values, fields) = (self.list(from), self.fields(fields_from));
            value = self.emit(Op::Composite { values, fields, map: false }, At::Expr(expr));
        }
        Some((first, value))
    }

    /// The list of what was pushed to `pending_fields` since it was `from` long.
    fn fields(&mut self, from: usize) -> Values {
        if self.muted || self.pending_fields.len() == from {
            self.pending_fields.truncate(from);
            return Values::default();
        }
        let start = self.field_indices.len() as u32;
        self.field_indices.extend(self.pending_fields.drain(from..));
        Values { start, len: self.field_indices.len() as u32 - start }
    }

    /// Elements of an array or slice.
    fn elements(&mut self, ty: &Type, elts: List<ExprId>) {
        let keyed = self.tree.list(elts).any(|elt| matches!(self.tree.expr(elt), Expr::KeyValue { .. }));
        let mut next = 0;
        for elt in self.tree.list(elts) {
            if self.muted {
                return;
            }
            let value = match self.tree.expr(elt) {
                Expr::KeyValue { key, value } => {
                    next = self.constant(key).and_then(|i| u32::try_from(i).ok()).unwrap_or(next);
                    value
                }
                _ => elt,
            };
            let value = self.eval_as(value, ty);
            self.pending.push(value);
            if keyed {
                self.pending_fields.push(next);
            }
            next = next.saturating_add(1);
        }
    }
}

//! Operands, and how untyped ones get a type.

use residue_syntax::ast::{Expr, ExprId};

use super::{Checker, Env};
use crate::constant::Const;
use crate::info::Mode;
use crate::lookup::Objects;
use crate::types::{Basic, Type};
use crate::universe::Builtin;

/// An evaluated expression.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) mode: Mode,
    pub(super) ty: Type,
    pub(super) value: Option<Const>,
    pub(super) expr: Option<ExprId>,
    pub(super) builtin: Option<Builtin>,
}

impl Operand {
    /// Of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self::value(Type::Unknown)
    }

    /// A value of a type.
    pub(super) fn value(ty: Type) -> Self {
        Self::of(Mode::Value, ty)
    }

    /// An operand of a mode and type.
    pub(super) fn of(mode: Mode, ty: Type) -> Self {
        Self { mode, ty, value: None, expr: None, builtin: None }
    }

    /// A constant.
    pub(super) fn constant(ty: Type, value: Const) -> Self {
        Self { value: Some(value), ..Self::of(Mode::Constant, ty) }
    }

    pub(super) fn is_nil(&self) -> bool {
        self.mode == Mode::Nil
    }

    /// The value, if a known constant.
    pub(super) fn known(&self) -> Option<&Const> {
        self.value.as_ref().filter(|v| !v.is_unknown())
    }

    fn untyped(&self) -> Option<Basic> {
        match self.ty {
            Type::Basic(b) if b.is_untyped() => Some(b),
            _ => None,
        }
    }
}

impl Checker<'_> {
    /// Gives an untyped operand the type it has where a value of type `target` is expected. Typed operands stay.
    pub(super) fn convert_untyped(&self, env: &Env, x: &mut Operand, target: &Type) {
        let Some(from) = x.untyped() else { return };
        let Some(ty) = self.implicit_type(x, from, target) else {
            x.ty = Type::Unknown;
            x.value = None;
            x.mode = Mode::Value;
            return;
        };
        if ty == x.ty {
            return;
        }
        if x.mode == Mode::Constant
            && let Some(basic) = self.basic(&ty)
        {
            x.value = x.value.as_ref().map(|v| v.represent(basic).unwrap_or(Const::Unknown));
        }
        self.update_type(env, x, ty);
        if let (Some(e), Some(value)) = (x.expr, &x.value)
            && env.record
        {
            self.info.borrow_mut().set_value(e, Some(value));
        }
    }

    /// Gives an untyped operand the type `ty`, in what is recorded too. Its value stays as it is.
    pub(super) fn update_type(&self, env: &Env, x: &mut Operand, ty: Type) {
        x.ty = ty;
        if let Some(e) = x.expr
            && env.record
        {
            self.update_recorded(env, e, &x.ty);
        }
    }

    /// The type an untyped operand gets from `target`; none where it can't be converted. As `go/types` (expr.go,
    /// `implicitTypeAndValue`, Go 1.27): values stored in interfaces get their default type, `nil` stays untyped.
    fn implicit_type(&self, x: &Operand, from: Basic, target: &Type) -> Option<Type> {
        if let Type::Basic(to) = target
            && to.is_untyped()
        {
            // Both untyped: the larger kind of number.
            return if from.is_numeric() && to.is_numeric() {
                Some(Type::Basic(from.max(*to)))
            } else {
                (from == *to).then(|| target.clone())
            };
        }
        if let Type::Param(_) = target {
            let set = self.type_set(target)?;
            let fits = !set.is_empty() && set.iter().all(|t| self.implicit_type(x, from, t).is_some());
            return (fits && from != Basic::UntypedNil).then(|| target.clone());
        }
        match self.underlying(target) {
            Type::Unknown => Some(match from {
                Basic::UntypedNil => Type::Basic(from),
                _ => Type::Basic(from.default_type()),
            }),
            Type::Basic(to) => {
                if let Some(value) = x.value.as_ref().filter(|_| x.mode == Mode::Constant) {
                    return value.represent(to).map(|_| target.clone());
                }
                let fits = match from {
                    Basic::UntypedBool => to.is_boolean(),
                    Basic::UntypedNil => return (to == Basic::UnsafePointer).then_some(Type::Basic(from)),
                    Basic::UntypedString => to.is_string(),
                    _ => to.is_numeric(),
                };
                fits.then(|| target.clone())
            }
            Type::Interface(_) => Some(match from {
                Basic::UntypedNil => Type::Basic(from),
                _ => Type::Basic(from.default_type()),
            }),
            Type::Pointer(_) | Type::Func(_) | Type::Slice(_) | Type::Map(_) | Type::Chan(_) => {
                (from == Basic::UntypedNil).then_some(Type::Basic(from))
            }
            _ => None,
        }
    }

    /// Gives the operand its default type if untyped.
    pub(super) fn default_type(&self, env: &Env, x: &mut Operand) {
        if let Some(basic) = x.untyped() {
            self.convert_untyped(env, x, &Type::Basic(basic.default_type()));
        }
    }

    /// The operand as it is assigned to a variable of type `target`, or to one whose type it decides.
    pub(super) fn assign_to(&self, env: &Env, x: &mut Operand, target: Option<&Type>) {
        if x.mode == Mode::Builtin || x.mode == Mode::Type || x.mode == Mode::NoValue {
            x.ty = Type::Unknown;
            x.mode = Mode::Value;
        }
        let Some(basic) = x.untyped() else {
            if let (Some(target), Some(e)) = (target, x.expr) {
                self.infer_from_target(env, x, e, target);
            }
            return;
        };
        match target {
            None if basic == Basic::UntypedNil => x.ty = Type::Unknown,
            None => self.default_type(env, x),
            Some(target) => self.convert_untyped(env, x, target),
        }
        if target.is_some_and(|t| !self.is_interface(t)) && x.ty.is_unknown() {
            // An ill-typed value does not make its variable ill-typed.
            x.mode = Mode::Value;
        }
    }

    /// Replaces the untyped type recorded for `e` and for the operands it got it from.
    fn update_recorded(&self, env: &Env, e: ExprId, ty: &Type) {
        let (old, constant) = {
            let recorder = self.info.borrow();
            let old = recorder.info.expr(e);
            (old.ty.clone(), old.value.is_some())
        };
        if !old.is_untyped() {
            return;
        }
        let tree = self.tree(env);
        let deeper = |x: ExprId| {
            let _ = self.deeper(|| self.update_recorded(env, x, ty));
        };
        match tree.expr(e) {
            Expr::Paren(x) => deeper(x),
            // The operands of constants never get a type of their own.
            Expr::Unary { x, .. } if !constant => deeper(x),
            Expr::Binary { op, x, y, .. } if !constant && !op.is_comparison() => {
                deeper(x);
                if !op.is_shift() {
                    deeper(y);
                }
            }
            _ => {}
        }
        self.info.borrow_mut().set_type(e, ty);
    }
}

//! Conversions `T(x)`.

use super::operand::Operand;
use super::{Checker, Env};
use crate::constant::Const;
use crate::info::Mode;
use crate::lookup::Objects;
use crate::types::{Basic, Type};

impl Checker<'_> {
    /// `target(x)`, as `go/types` (conversions.go, Go 1.27).
    pub(super) fn conversion(&self, env: &Env, mut x: Operand, target: &Type) -> Operand {
        let to = if matches!(target, Type::Param(_)) { None } else { self.basic(target) };
        let to = to.filter(|b| b.is_const_type());
        let from_integer = self.basic(&x.ty).is_some_and(Basic::is_integer);
        let code_point = x.mode == Mode::Constant && from_integer && to.is_some_and(Basic::is_string);
        let converted = match (&x.value, to) {
            (Some(value), Some(_)) if code_point => Some(value.int_to_string()),
            (Some(value), Some(to)) if x.mode == Mode::Constant => value.represent(to),
            _ => None,
        };
        if let Type::Basic(from) = x.ty
            && from.is_untyped()
            && !x.is_nil()
            && !code_point
        {
            let is_constant = x.mode == Mode::Constant;
            let by_default = self.is_interface(target) || target.is_unknown() || (is_constant && to.is_none());
            let own = if by_default { Type::Basic(from.default_type()) } else { target.clone() };
            self.update_type(env, &mut x, own);
        }
        match converted {
            Some(value) => Operand::constant(target.clone(), value),
            None if to.is_some() && x.mode == Mode::Constant && x.value.as_ref().is_some_and(Const::is_unknown) => {
                Operand::constant(target.clone(), Const::Unknown)
            }
            None => Operand::value(target.clone()),
        }
    }
}

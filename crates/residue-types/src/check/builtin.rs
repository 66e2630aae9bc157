//! Calls of predeclared functions and those of package `unsafe`.

use residue_syntax::ast::{Expr, ExprId, List};

use super::operand::Operand;
use super::{Checker, Env};
use crate::constant::Const;
use crate::info::{Mode, SelectionKind};
use crate::lookup::Objects;
use crate::types::{Basic, Type};
use crate::universe::{Builtin, empty_interface};
use residue_syntax::ast::BinaryOp;

impl Checker<'_> {
    pub(super) fn builtin_call(&self, env: &mut Env, builtin: Builtin, args: List<ExprId>, spread: bool) -> Operand {
        let tree = self.tree(env);
        let arg = |i: usize| tree.list_get(args, i);
        let no_value = Operand::of(Mode::NoValue, Type::Unknown);
        match builtin {
            Builtin::Append => self.append(env, args, spread),
            Builtin::Cap | Builtin::Len => self.length(env, builtin, arg(0)),
            Builtin::Clear | Builtin::Close => {
                self.typed_args(env, args);
                no_value
            }
            Builtin::Complex => self.complex(env, arg(0), arg(1)),
            Builtin::Real | Builtin::Imag => self.complex_part(env, builtin, arg(0)),
            Builtin::Copy => {
                // A string constant copied from keeps its untyped type.
                for e in tree.list(args) {
                    self.expr(env, e, None);
                }
                Operand::value(Type::INT)
            }
            Builtin::Delete => {
                let map = arg(0).map(|m| self.typed_expr(env, m));
                let key = map.and_then(|m| match self.core_type(&m.ty) {
                    Some(Type::Map(map)) => Some(map.key.clone()),
                    _ => None,
                });
                if let Some(e) = arg(1) {
                    let mut x = self.expr(env, e, key.as_ref());
                    self.assign_to(env, &mut x, Some(&key.unwrap_or_default()));
                }
                no_value
            }
            Builtin::Make => {
                let ty = arg(0).map(|t| self.typ(env, t)).unwrap_or_default();
                for size in tree.list(args).skip(1) {
                    let mut x = self.expr(env, size, None);
                    self.convert_untyped(env, &mut x, &Type::INT);
                }
                Operand::value(ty)
            }
            Builtin::Max | Builtin::Min => self.min_max(env, builtin, args),
            Builtin::New => match arg(0) {
                Some(e) => {
                    // Since Go 1.26 the argument may be a value.
                    let mut x = self.expr(env, e, None);
                    if x.mode == Mode::Type {
                        return Operand::value(Type::pointer(x.ty));
                    }
                    self.default_type(env, &mut x);
                    Operand::value(Type::pointer(x.ty))
                }
                None => Operand::unknown(),
            },
            Builtin::Panic => {
                for e in tree.list(args) {
                    let mut x = self.expr(env, e, None);
                    self.assign_to(env, &mut x, Some(&empty_interface()));
                }
                no_value
            }
            Builtin::Print | Builtin::Println => {
                self.typed_args(env, args);
                no_value
            }
            Builtin::Recover => Operand::value(empty_interface()),
            Builtin::UnsafeAdd => {
                self.typed_args(env, args);
                Operand::value(Type::Basic(Basic::UnsafePointer))
            }
            Builtin::UnsafeAlignof | Builtin::UnsafeSizeof => {
                let ty = arg(0).map(|e| self.typed_expr(env, e).ty).unwrap_or_default();
                let value = match builtin {
                    Builtin::UnsafeSizeof => self.sizeof(&ty),
                    _ if matches!(ty, Type::Param(_)) => None,
                    _ => self.alignof(&ty),
                };
                uintptr(value)
            }
            Builtin::UnsafeOffsetof => {
                let Some(e) = arg(0) else { return Operand::unknown() };
                self.expr(env, e, None);
                uintptr(self.offset_of_selector(env, e))
            }
            Builtin::UnsafeSlice => {
                let pointer = arg(0).map(|e| self.typed_expr(env, e).ty).unwrap_or_default();
                self.rest_as_int(env, args);
                match self.core_type(&pointer) {
                    Some(Type::Pointer(elem)) => Operand::value(Type::slice((*elem).clone())),
                    _ => Operand::unknown(),
                }
            }
            Builtin::UnsafeSliceData => {
                let slice = arg(0).map(|e| self.typed_expr(env, e).ty).unwrap_or_default();
                match self.core_type(&slice) {
                    Some(Type::Slice(elem)) => Operand::value(Type::pointer((*elem).clone())),
                    _ => Operand::unknown(),
                }
            }
            Builtin::UnsafeString => {
                if let Some(e) = arg(0) {
                    self.typed_expr(env, e);
                }
                self.rest_as_int(env, args);
                Operand::value(Type::STRING)
            }
            Builtin::UnsafeStringData => {
                self.typed_args(env, args);
                Operand::value(Type::pointer(Type::Basic(Basic::Uint8)))
            }
        }
    }

    fn typed_args(&self, env: &mut Env, args: List<ExprId>) {
        for e in self.tree(env).list(args) {
            let mut x = self.expr(env, e, None);
            if !x.is_nil() {
                self.default_type(env, &mut x);
            }
        }
    }

    fn rest_as_int(&self, env: &mut Env, args: List<ExprId>) {
        for e in self.tree(env).list(args).skip(1) {
            let mut x = self.expr(env, e, None);
            self.convert_untyped(env, &mut x, &Type::INT);
        }
    }

    fn append(&self, env: &mut Env, args: List<ExprId>, spread: bool) -> Operand {
        let tree = self.tree(env);
        let Some(first) = tree.list_get(args, 0) else { return Operand::unknown() };
        let slice = self.typed_expr(env, first);
        let elem = match self.core_string(&slice.ty) {
            Some(Type::Slice(elem)) => (*elem).clone(),
            _ => Type::Unknown,
        };
        for e in tree.list(args).skip(1) {
            if spread {
                // The text of append([]byte, "text"...) keeps its untyped type.
                self.expr(env, e, Some(&slice.ty));
            } else {
                let mut x = self.expr(env, e, Some(&elem));
                self.assign_to(env, &mut x, Some(&elem));
            }
        }
        Operand::value(slice.ty)
    }

    fn length(&self, env: &mut Env, builtin: Builtin, arg: Option<ExprId>) -> Operand {
        let Some(e) = arg else { return Operand::unknown() };
        let mut x = self.expr(env, e, None);
        if let (Mode::Constant, Some(Const::Str(s)), Builtin::Len) = (x.mode, &x.value, builtin) {
            let len = s.len() as i64;
            return Operand::constant(Type::INT, Const::Int(len));
        }
        self.default_type(env, &mut x);
        let under = match self.underlying(&x.ty) {
            Type::Pointer(elem) if !matches!(x.ty, Type::Param(_)) => match self.underlying(&elem) {
                array @ Type::Array(_) => array,
                _ => Type::Unknown,
            },
            other => other,
        };
        match under {
            // The length of an array is constant unless finding it calls or receives.
            Type::Array(a) if a.len >= 0 && !self.calls_or_receives(env, e) => {
                Operand::constant(Type::INT, Const::Int(a.len))
            }
            _ => Operand::value(Type::INT),
        }
    }

    /// Whether evaluating `e` calls a function or receives from a channel.
    fn calls_or_receives(&self, env: &Env, e: ExprId) -> bool {
        let tree = self.tree(env);
        let any = |list: List<ExprId>| tree.list(list).any(|x| self.calls_or_receives(env, x));
        match tree.expr(e) {
            Expr::Call { fun, args, .. } => {
                let (mode, constant) = {
                    let recorder = self.info.borrow();
                    (recorder.info.expr(fun).mode, recorder.info.value_of(e).is_some())
                };
                !(constant || mode == Mode::Type) || any(args)
            }
            Expr::Unary { op: residue_syntax::ast::UnaryOp::Recv, .. } => true,
            Expr::Unary { x, .. } | Expr::Paren(x) | Expr::Star(x) | Expr::Selector { x, .. } => {
                self.calls_or_receives(env, x)
            }
            Expr::Binary { x, y, .. } => self.calls_or_receives(env, x) || self.calls_or_receives(env, y),
            Expr::Index { x, indices } => self.calls_or_receives(env, x) || any(indices),
            Expr::Slice { x, lo, hi, max } => {
                self.calls_or_receives(env, x)
                    || [lo, hi, max].into_iter().flatten().any(|b| self.calls_or_receives(env, b))
            }
            Expr::TypeAssert { x, .. } => self.calls_or_receives(env, x),
            Expr::CompositeLit { elts, .. } => any(elts),
            Expr::KeyValue { key, value } => self.calls_or_receives(env, key) || self.calls_or_receives(env, value),
            _ => false,
        }
    }

    fn complex(&self, env: &mut Env, re: Option<ExprId>, im: Option<ExprId>) -> Operand {
        let (Some(re), Some(im)) = (re, im) else { return Operand::unknown() };
        let mut a = self.expr(env, re, None);
        let mut b = self.expr(env, im, None);
        match (a.ty.is_untyped(), b.ty.is_untyped()) {
            (true, false) => self.convert_untyped(env, &mut a, &b.ty.clone()),
            (false, true) => self.convert_untyped(env, &mut b, &a.ty.clone()),
            (true, true) if a.mode == Mode::Constant && b.mode == Mode::Constant => {
                if let (Some(x), Some(y)) = (&a.value, &b.value) {
                    let value = Const::make_complex(x, y);
                    return Operand::constant(Type::Basic(Basic::UntypedComplex), value);
                }
            }
            (true, true) => {
                let float = Type::Basic(Basic::Float64);
                self.convert_untyped(env, &mut a, &float);
                self.convert_untyped(env, &mut b, &float);
            }
            (false, false) => {}
        }
        let ty = match self.basic(&a.ty) {
            Some(Basic::Float32) => Type::Basic(Basic::Complex64),
            Some(Basic::Float64) => Type::Basic(Basic::Complex128),
            _ => Type::Unknown,
        };
        match (&a.value, &b.value) {
            (Some(x), Some(y)) if a.mode == Mode::Constant && b.mode == Mode::Constant => {
                Operand::constant(ty, Const::make_complex(x, y))
            }
            _ => Operand::value(ty),
        }
    }

    fn complex_part(&self, env: &mut Env, builtin: Builtin, arg: Option<ExprId>) -> Operand {
        let Some(e) = arg else { return Operand::unknown() };
        let mut x = self.expr(env, e, None);
        if x.ty.is_untyped() {
            if x.mode == Mode::Constant {
                let value = x.value.clone().unwrap_or(Const::Unknown);
                let part = if builtin == Builtin::Real { value.real() } else { value.imag() };
                return Operand::constant(Type::Basic(Basic::UntypedFloat), part.to_float());
            }
            self.convert_untyped(env, &mut x, &Type::Basic(Basic::Complex128));
        }
        let ty = match self.basic(&x.ty) {
            Some(Basic::Complex64) => Type::Basic(Basic::Float32),
            Some(Basic::Complex128) => Type::Basic(Basic::Float64),
            _ => Type::Unknown,
        };
        match &x.value {
            Some(value) if x.mode == Mode::Constant => {
                Operand::constant(ty, if builtin == Builtin::Real { value.real() } else { value.imag() })
            }
            _ => Operand::value(ty),
        }
    }

    fn min_max(&self, env: &mut Env, builtin: Builtin, args: List<ExprId>) -> Operand {
        let mut operands = self.arguments(env, args);
        let Some(mut result) = operands.first().cloned() else { return Operand::unknown() };
        let op = if builtin == Builtin::Min { BinaryOp::Lt } else { BinaryOp::Gt };
        for other in operands.iter().skip(1) {
            let ty = match (&result.ty, &other.ty) {
                (Type::Basic(a), Type::Basic(b)) if a.is_untyped() && b.is_untyped() => Type::Basic(*a.max(b)),
                (a, b) if a.is_untyped() => b.clone(),
                (a, _) => a.clone(),
            };
            let constant = result.mode == Mode::Constant && other.mode == Mode::Constant;
            result = match (&result.value, &other.value) {
                (Some(x), Some(y)) if constant => {
                    let keep = Const::compare(x, op, y).unwrap_or(true);
                    Operand::constant(ty, if keep { x.clone() } else { y.clone() })
                }
                _ => Operand::value(ty),
            };
        }
        if result.mode != Mode::Constant {
            self.default_type(env, &mut result);
        }
        if !result.ty.is_untyped() {
            for x in &mut operands {
                self.convert_untyped(env, x, &result.ty);
            }
        }
        if result.mode == Mode::Constant
            && let (Some(value), Some(basic)) = (&result.value, self.basic(&result.ty))
        {
            result.value = Some(value.represent(basic).unwrap_or(Const::Unknown));
        }
        if result.mode != Mode::Constant {
            result.mode = Mode::Value;
        }
        result.expr = None;
        result
    }

    fn offset_of_selector(&self, env: &Env, e: ExprId) -> Option<i64> {
        let tree = self.tree(env);
        let Expr::Selector { x, sel } = tree.expr(self.unparen(env, e)) else { return None };
        let mut ty = self.evaluated_type(env, x);
        if let Type::Pointer(elem) = self.underlying(&ty) {
            ty = (*elem).clone();
        }
        let selection = self.select(&ty, self.symbol(env, sel), self.pkg)?;
        if selection.kind != SelectionKind::Field || selection.indirect {
            return None;
        }
        let mut offset = 0;
        for &index in &selection.path {
            let Type::Struct(s) = self.underlying(&ty) else { return None };
            offset += self.offsetof(&s, index as usize)?;
            ty = s.fields.get(index as usize)?.ty.clone();
        }
        Some(offset)
    }

    /// The type of an operand that was evaluated before, or can be again without recording.
    fn evaluated_type(&self, env: &Env, e: ExprId) -> Type {
        if env.record {
            return self.info.borrow().info.type_of(e).clone();
        }
        let mut quiet = Env::new(env.file, false);
        quiet.locals.clone_from(&env.locals);
        quiet.iota = env.iota;
        self.expr(&mut quiet, e, None).ty
    }
}

fn uintptr(value: Option<i64>) -> Operand {
    let ty = Type::Basic(Basic::Uintptr);
    match value {
        Some(value) => Operand::constant(ty, Const::Int(value)),
        None => Operand::value(ty),
    }
}

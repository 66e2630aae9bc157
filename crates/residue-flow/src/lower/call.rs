//! Calls and conversions.

use residue_syntax::ast::{Expr, ExprId, List};
use residue_types::{Builtin, Callee, Mode, Objects, SelectionKind, Signature, Type};

use super::Lower;
use super::expr::Want;
use crate::ir::{At, Call, CallId, Op, Panic, Value};
use crate::walk;

impl<'a> Lower<'a> {
    /// What a call evaluates first: a receiver or a function value; none where its function is known by name.
    pub(super) fn call_operand(&self, fun: ExprId) -> Option<(ExprId, Want)> {
        if matches!(self.info.expr(fun).mode, Mode::Type | Mode::Builtin) {
            return None;
        }
        let fun = self.function_name(fun);
        let ident = match self.tree.expr(fun) {
            Expr::Ident(ident) => ident,
            Expr::Selector { x, sel } => match self.info.selections.get(&fun) {
                Some(_) if self.info.method_exprs.contains(&fun) => return None,
                Some(selection) if selection.kind != SelectionKind::Field => {
                    return Some((x, self.receiver_want(x, selection)));
                }
                Some(_) => return Some((fun, Want::Value)),
                None if self.is_package(x) => sel,
                None => return Some((fun, Want::Value)),
            },
            _ => return Some((fun, Want::Value)),
        };
        let object = self.info.object(ident).and_then(|id| self.bodies.object(id));
        object.is_some_and(residue_types::Object::is_var).then_some((fun, Want::Value))
    }

    /// A called function without parentheses and type arguments.
    fn function_name(&self, fun: ExprId) -> ExprId {
        let mut fun = fun;
        loop {
            match self.tree.expr(fun) {
                Expr::Paren(x) => fun = x,
                Expr::Index { x, .. } if matches!(self.info.type_of(x), Type::Func(_)) => fun = x,
                _ => return fun,
            }
        }
    }

    /// A call or conversion whose first operand is `first`.
    pub(super) fn call(&mut self, expr: ExprId, first: Option<Value>) -> Value {
        let at = At::Expr(expr);
        let Expr::Call { fun, args, .. } = self.tree.expr(expr) else { return self.opaque(&[], at) };
        let callee = self.bodies.callee(self.file, expr);
        match callee {
            Callee::Conversion(to) => return self.conversion(&to, args, at),
            Callee::Builtin(Builtin::New) => {
                // Since Go 1.26 the argument may be a value.
                if let Some(arg) = self.tree.list_get(args, 0)
                    && self.info.expr(arg).mode != Mode::Type
                {
                    let value = self.value(arg);
                    return self.emit(Op::New(value), at);
                }
            }
            _ => {}
        }
        let panic = self.call_panic(&callee, args);
        let call = self.make_call(expr, fun, args, callee, first);
        self.emit_panic(Op::Call(call), at, panic)
    }

    /// The call of a `go` or `defer` statement, its operands evaluated; none where there is no call.
    pub(super) fn put_off(&mut self, expr: ExprId) -> Option<(CallId, Option<Panic>)> {
        let Expr::Call { fun, args, .. } = self.tree.expr(expr) else { return None };
        let first = self.call_operand(fun).map(|(first, want)| self.eval(first, want));
        let callee = self.bodies.callee(self.file, expr);
        if matches!(callee, Callee::Conversion(_)) {
            return None;
        }
        // The method of an interface is looked up now, a function is called later.
        let panic = matches!(callee, Callee::Interface { .. }).then_some(Panic::NilDeref);
        Some((self.make_call(expr, fun, args, callee, first), panic))
    }

    fn conversion(&mut self, to: &Type, args: List<ExprId>, at: At) -> Value {
        let Some(arg) = self.tree.list_get(args, 0) else { return self.opaque(&[], at) };
        let x = self.value(arg);
        if self.is_interface(to) {
            return self.emit(Op::ToInterface(x), at);
        }
        let array = match self.core(to) {
            Type::Pointer(elem) => self.core(&elem),
            core => core,
        };
        // An array without elements can be had of any slice.
        let panics = matches!(array, Type::Array(array) if array.len != 0)
            && matches!(self.core(self.info.type_of(arg)), Type::Slice(_));
        self.emit_panic(Op::Convert(x), at, panics.then_some(Panic::Bounds))
    }

    fn call_panic(&self, callee: &Callee, args: List<ExprId>) -> Option<Panic> {
        match callee {
            Callee::Interface { .. } => Some(Panic::NilDeref),
            Callee::Dynamic => Some(Panic::NilFunc),
            Callee::Builtin(Builtin::Panic) => Some(Panic::Explicit),
            Callee::Builtin(Builtin::Close) => Some(Panic::CloseChannel),
            Callee::Builtin(Builtin::Make) => {
                let ty = self.info.type_of(self.tree.list_get(args, 0)?);
                let sizes: Vec<_> = self.tree.list(args).skip(1).collect();
                let map = matches!(self.shape(ty), Type::Map(_));
                (!map && !self.sizes_fit(&sizes)).then_some(Panic::MakeSize)
            }
            Callee::Builtin(Builtin::Delete) => match self.shape(self.info.type_of(self.tree.list_get(args, 0)?)) {
                Type::Map(map) => self.key_panic(self.tree.list_get(args, 1)?, &map.key),
                _ => None,
            },
            Callee::Builtin(Builtin::UnsafeSlice | Builtin::UnsafeString) => {
                let len = self.tree.list_get(args, 1)?;
                self.info.value_of(len).is_none().then_some(Panic::Bounds)
            }
            _ => None,
        }
    }

    fn make_call(
        &mut self,
        expr: ExprId,
        fun: ExprId,
        args: List<ExprId>,
        callee: Callee,
        first: Option<Value>,
    ) -> CallId {
        let name = self.function_name(fun);
        let spread = matches!(self.tree.expr(expr), Expr::Call { ellipsis, .. } if ellipsis != 0);
        let selection = self.info.selections.get(&name);
        let method_expr = selection.is_some() && self.info.method_exprs.contains(&name);
        let (mut call_fun, mut recv) = (None, None);
        match (&callee, selection, self.tree.expr(name), first) {
            (Callee::Func(_) | Callee::Interface { .. }, Some(selection), Expr::Selector { x, .. }, Some(first)) => {
                recv = Some(self.receiver(x, selection, first, At::Expr(name)));
            }
            _ => call_fun = first,
        }
        let from = self.pending.len();
        match &callee {
            Callee::Builtin(builtin) => self.builtin_args(*builtin, args, spread),
            _ => {
                let signature = match self.info.type_of(fun) {
                    Type::Func(signature) => Some(&**signature),
                    other => match self.shape(other) {
                        Type::Func(signature) => Some(&**signature),
                        _ => None,
                    },
                };
                self.args(signature, args, spread);
            }
        }
        if method_expr
            && let Some(selection) = selection
            && self.pending.len() > from
        {
            // `T.M(x, …)`: the first argument is the receiver.
            let first = self.pending.remove(from);
            let ty = match self.tree.expr(name) {
                Expr::Selector { x, .. } => self.info.type_of(x),
                _ => &Type::Unknown,
            };
            recv = Some(self.receiver_from(ty, false, selection, first, At::Expr(name)));
        }
        let args = self.list(from);
        self.add_call(Call { expr, callee, fun: call_fun, recv, args, spread })
    }

    /// The types of the values that a call gives, if several.
    fn several(&self, expr: ExprId) -> Option<&'a [Type]> {
        match (self.info.type_of(expr), self.tree.expr(walk::unparen(self.tree, expr))) {
            (Type::Tuple(types), Expr::Call { .. }) if types.len() > 1 => Some(types),
            _ => None,
        }
    }

    /// Pushes the arguments of a call as passed.
    fn args(&mut self, signature: Option<&Signature>, args: List<ExprId>, spread: bool) {
        let param = |i: usize| -> &Type {
            let Some(signature) = signature else { return &Type::Unknown };
            match (signature.params.get(i), signature.params.last()) {
                (_, Some(Type::Slice(elem))) if signature.variadic && !spread && i + 1 >= signature.params.len() => {
                    elem
                }
                (Some(param), _) => param,
                _ => &Type::Unknown,
            }
        };
        if let Some(arg) = self.tree.list_get(args, 0)
            && args.len() == 1
            && let Some(types) = self.several(arg)
        {
            let tuple = self.value(arg);
            for (i, ty) in types.iter().enumerate() {
                let value = self.emit(Op::Extract { tuple, index: i as u32 }, At::Expr(arg));
                let value = self.converted(value, ty, param(i), At::Expr(arg));
                self.pending.push(value);
            }
            return;
        }
        self.eval_each(args, param);
    }

    fn builtin_args(&mut self, builtin: Builtin, args: List<ExprId>, spread: bool) {
        let first = self.tree.list_get(args, 0);
        let skip = match builtin {
            Builtin::Make | Builtin::New => 1,
            // Only the type of the argument matters.
            Builtin::UnsafeSizeof | Builtin::UnsafeAlignof | Builtin::UnsafeOffsetof => return,
            _ => 0,
        };
        // What arguments from the second on are converted to.
        let rest = match (builtin, first.map(|first| self.info.type_of(first))) {
            (Builtin::Append, Some(slice)) if !spread => match self.core(slice) {
                Type::Slice(elem) => (*elem).clone(),
                _ => Type::Unknown,
            },
            (Builtin::Delete, Some(map)) => match self.core(map) {
                Type::Map(map) => map.key.clone(),
                _ => Type::Unknown,
            },
            (Builtin::Panic, _) => residue_types::empty_interface(),
            _ => Type::Unknown,
        };
        if args.len() == 1
            && let Some(arg) = first
            && let Some(types) = self.several(arg)
        {
            // `append(f())`
            let tuple = self.value(arg);
            for (i, ty) in types.iter().enumerate() {
                let value = self.emit(Op::Extract { tuple, index: i as u32 }, At::Expr(arg));
                let value = if i > 0 { self.converted(value, ty, &rest, At::Expr(arg)) } else { value };
                self.pending.push(value);
            }
            return;
        }
        for (i, arg) in self.tree.list(args).enumerate().skip(skip) {
            if self.muted {
                return;
            }
            let value = if i > 0 || builtin == Builtin::Panic { self.eval_as(arg, &rest) } else { self.value(arg) };
            self.pending.push(value);
        }
    }

    /// Evaluates the right side of an assignment of two values, or another expression that gives several.
    pub(super) fn tuple(&mut self, expr: ExprId, count: usize) -> Value {
        let expr = walk::unparen(self.tree, expr);
        let at = At::Expr(expr);
        if let Some(&known) = self.known.get(&expr) {
            return known;
        }
        let value = match self.tree.expr(expr) {
            Expr::TypeAssert { x, ty: Some(ty) } if count == 2 => {
                let x = self.value(x);
                self.emit(Op::Assert { x, ty, comma_ok: true }, at)
            }
            Expr::Unary { op: residue_syntax::ast::UnaryOp::Recv, x } if count == 2 => {
                let ch = self.value(x);
                self.emit(Op::Recv { ch, comma_ok: true }, at)
            }
            Expr::Index { x, indices } if count == 2 && indices.len() == 1 => {
                let Type::Map(types) = self.core(self.info.type_of(x)) else { return self.broken_tuple(expr) };
                let map = self.value(x);
                let Some(index) = self.tree.list_get(indices, 0) else { return self.broken_tuple(expr) };
                let key = self.eval_as(index, &types.key);
                let panic = self.key_panic(index, &types.key);
                self.emit_panic(Op::MapIndex { map, key, comma_ok: true }, at, panic)
            }
            // Several results, or a C function's result and errno.
            Expr::Call { fun, .. } if self.info.expr(fun).mode != Mode::Type => return self.value(expr),
            _ => return self.broken_tuple(expr),
        };
        self.remember(expr, Want::Value, value);
        value
    }

    fn broken_tuple(&mut self, expr: ExprId) -> Value {
        let value = self.value(expr);
        self.opaque(&[value], At::Expr(expr))
    }
}

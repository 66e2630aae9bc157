//! Expressions.
//!
//! Chains such as `a + b + c` and `a.b().c()` lean to the left and can be long: [`Lower::eval`] walks down their left
//! operands in a loop, noting a [`Step`] each, and comes back up applying them. It calls itself only for what is nested.

use residue_syntax::ast::{BinaryOp, Expr, ExprId, IdentId, List, UnaryOp};
use residue_types::{Mode, ObjKind, Objects, Res, Selection, SelectionKind, Symbol, Type};

use super::{Lower, MUTED};
use crate::ir::{At, FieldRef, Op, Panic, Value};
use crate::walk;

/// Nested expressions between two looks at how much stack is left.
const DEPTH_STEP: u32 = 32;
/// Stack that suffices for [`DEPTH_STEP`] nested expressions, also in a debug build.
const STACK_RED_ZONE_BYTES: usize = 256 * 1024;
/// Stack that is added where it does not.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// What is wanted of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    /// Its value.
    Value,
    /// Its address. What has none is put into a new variable.
    Addr,
}

/// What remains to be done with an expression once its first operand is there.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    /// Nothing: parentheses, the address of an address.
    Pass,
    /// `&T{…}`
    New,
    Unary(UnaryOp),
    Recv,
    /// `x op y`, also `&&` and `||` whose operands are evaluated here.
    Binary(BinaryOp, ExprId, ExprId),
    Deref,
    /// The address of `*x`, of which nothing is left but that `x` has to be set.
    Pointer,
    /// `x.f`
    Field(ExprId, &'a Selection),
    /// `x.M` as a value.
    Method(ExprId, &'a Selection),
    Index(ExprId, List<ExprId>),
    Slice(ExprId, [Option<ExprId>; 3]),
    Assert(ExprId),
    Call,
    /// Not understood.
    Opaque,
}

impl<'a> Lower<'a> {
    /// An operand that is a node of its own; its value is remembered for the node that uses it.
    pub(super) fn operand(&mut self, expr: ExprId) {
        let value = match self.ranges.get(&expr) {
            Some(&stmt) => self.range_operand(stmt, expr),
            None => self.eval(expr, Want::Value),
        };
        if !self.muted {
            self.known.insert(expr, value);
        }
    }

    /// Evaluates an expression, and converts it to the interface `to` if that is one.
    pub(super) fn eval_as(&mut self, expr: ExprId, to: &Type) -> Value {
        let value = self.eval(expr, Want::Value);
        self.converted(value, self.info.type_of(expr), to, At::Expr(expr))
    }

    /// Evaluates a list of operands, converted to what `to` says, and pushes their values to `pending`.
    ///
    /// Variables, fields and elements are read after the calls in the list, as Go's compiler does where the
    /// specification leaves it open: `return cfg, load(&cfg)` gives what was loaded.
    pub(super) fn eval_each<'t>(&mut self, list: List<ExprId>, to: impl Fn(usize) -> &'t Type) {
        let from = self.pending.len();
        let nth = |i| self.tree.list_get(list, i);
        let calls = (1..list.len()).rev().find(|&i| nth(i).is_some_and(|expr| self.may_call(expr))).unwrap_or(0);
        for (i, expr) in self.tree.list(list).enumerate() {
            if self.muted {
                return;
            }
            let late = i < calls && self.only_reads(expr);
            let value = if late { MUTED } else { self.eval_as(expr, to(i)) };
            self.pending.push(value);
        }
        for (i, expr) in self.tree.list(list).enumerate().take(calls) {
            if self.pending.get(from + i) == Some(&MUTED) {
                self.pending[from + i] = self.eval_as(expr, to(i));
            }
        }
    }

    /// Whether evaluating an expression calls or waits.
    pub(super) fn may_call(&self, expr: ExprId) -> bool {
        if let Expr::Ident(_) | Expr::BasicLit(_) = self.tree.expr(expr) {
            return false;
        }
        let mut found = false;
        walk::expressions(self.tree, expr, &mut |e| {
            found |= match self.tree.expr(e) {
                Expr::Call { fun, .. } => !matches!(self.info.expr(fun).mode, Mode::Type | Mode::Constant),
                Expr::Unary { op: UnaryOp::Recv, .. } => true,
                _ => self.cfg.is_split(e),
            };
            !found
        });
        found
    }

    /// Whether evaluating an expression reads what a call could change, and does nothing else.
    fn only_reads(&self, expr: ExprId) -> bool {
        let fixed = matches!(self.info.expr(expr).mode, Mode::Constant | Mode::Nil | Mode::Type)
            || matches!(
                self.tree.expr(walk::unparen(self.tree, expr)),
                Expr::FuncLit { .. } | Expr::CompositeLit { .. } | Expr::Unary { op: UnaryOp::Addr, .. }
            );
        !fixed && !self.may_call(expr)
    }

    pub(super) fn value(&mut self, expr: ExprId) -> Value {
        self.eval(expr, Want::Value)
    }

    pub(super) fn eval(&mut self, expr: ExprId, want: Want) -> Value {
        if self.muted {
            return MUTED;
        }
        self.depth += 1;
        let value = if self.depth.is_multiple_of(DEPTH_STEP) {
            stacker::maybe_grow(STACK_RED_ZONE_BYTES, STACK_BYTES, || self.eval_chain(expr, want))
        } else {
            self.eval_chain(expr, want)
        };
        self.depth -= 1;
        value
    }

    fn eval_chain(&mut self, expr: ExprId, want: Want) -> Value {
        let from = self.spine.len();
        let (mut expr, mut want) = (expr, want);
        let mut value = loop {
            if let Some(value) = self.known(expr, want) {
                break value;
            }
            match self.step(expr, want) {
                Some((step, first, first_want)) => {
                    self.spine.push((step, expr, want));
                    (expr, want) = (first, first_want);
                }
                None => {
                    let value = self.leaf(expr, want);
                    self.remember(expr, want, value);
                    break value;
                }
            }
        };
        while self.spine.len() > from
            && let Some((step, expr, want)) = self.spine.pop()
        {
            if self.muted {
                continue;
            }
            value = self.apply(step, expr, want, value);
            self.remember(expr, want, value);
        }
        value
    }

    /// The value of an expression that was evaluated before.
    fn known(&mut self, expr: ExprId, want: Want) -> Option<Value> {
        if self.detour == Some(expr) {
            self.muted = true;
            return Some(MUTED);
        }
        let known = if want == Want::Value { &self.known } else { &self.known_places };
        if let Some(&value) = known.get(&expr) {
            return Some(value);
        }
        if !self.cfg.is_split(expr) {
            return None;
        }
        let value = self.split(expr);
        self.remember(expr, want, value);
        Some(value)
    }

    /// Keeps what is evaluated before a detour.
    pub(super) fn remember(&mut self, expr: ExprId, want: Want, value: Value) {
        if self.detour.is_some() && !self.muted {
            let known = if want == Want::Value { &mut self.known } else { &mut self.known_places };
            known.insert(expr, value);
        }
    }

    /// The value of a short-circuit operator whose operands were branches.
    fn split(&mut self, expr: ExprId) -> Value {
        let mut ops = Vec::new();
        let mut left = expr;
        let mut value = loop {
            match self.tree.expr(left) {
                Expr::Paren(x) => left = x,
                Expr::Unary { op: UnaryOp::Not, x } => {
                    ops.push((left, None));
                    left = x;
                }
                Expr::Binary { op: op @ (BinaryOp::LogAnd | BinaryOp::LogOr), x, y, .. } => {
                    ops.push((left, Some((op, y))));
                    left = x;
                }
                _ => break self.decided(left),
            }
        };
        while let Some((expr, op)) = ops.pop() {
            let op = match op {
                None => Op::Unary { op: UnaryOp::Not, x: value },
                Some((op, y)) => {
                    let y = if is_branch(self.tree, y) { self.split(y) } else { self.decided(y) };
                    Op::Logic { and: op == BinaryOp::LogAnd, x: value, y }
                }
            };
            value = self.emit(op, At::Expr(expr));
        }
        value
    }

    /// The value of a condition; where none was computed it was found to be unreachable.
    fn decided(&mut self, cond: ExprId) -> Value {
        match self.known.get(&cond) {
            Some(&value) => value,
            None => self.opaque(&[], At::Expr(cond)),
        }
    }

    /// The operand of an expression that is evaluated first, and what to do then. None where there is no operand.
    pub(super) fn step(&self, expr: ExprId, want: Want) -> Option<(Step<'a>, ExprId, Want)> {
        if matches!(self.info.expr(expr).mode, Mode::Constant | Mode::Type | Mode::Nil) {
            return None;
        }
        let value = |step, x| Some((step, x, Want::Value));
        match self.tree.expr(expr) {
            Expr::Paren(x) => Some((Step::Pass, x, want)),
            Expr::Unary { op: UnaryOp::Addr, x } => {
                let composite = matches!(self.tree.expr(walk::unparen(self.tree, x)), Expr::CompositeLit { .. });
                if composite { value(Step::New, x) } else { Some((Step::Pass, x, Want::Addr)) }
            }
            Expr::Unary { op: UnaryOp::Recv, x } => value(Step::Recv, x),
            Expr::Unary { op: UnaryOp::Tilde, .. } => None,
            Expr::Unary { op, x } => value(Step::Unary(op), x),
            Expr::Binary { op, x, y, .. } => value(Step::Binary(op, x, y), x),
            Expr::Star(x) => value(if want == Want::Value { Step::Deref } else { Step::Pointer }, x),
            Expr::Selector { x, sel } => self.selector_step(expr, x, sel, want),
            Expr::Index { x, indices } => match self.shape(self.info.type_of(x)) {
                // An instance of a generic function.
                Type::Func(_) => Some((Step::Pass, x, want)),
                Type::Array(_) => Some((Step::Index(x, indices), x, want)),
                _ => value(Step::Index(x, indices), x),
            },
            Expr::Slice { x, lo, hi, max } => {
                let array = matches!(self.shape(self.info.type_of(x)), Type::Array(_));
                Some((Step::Slice(x, [lo, hi, max]), x, if array { Want::Addr } else { Want::Value }))
            }
            Expr::TypeAssert { x, ty: Some(ty) } => value(Step::Assert(ty), x),
            Expr::TypeAssert { x, ty: None } => value(Step::Opaque, x),
            Expr::Call { fun, .. } => {
                let (first, want) = self.call_operand(fun)?;
                Some((Step::Call, first, want))
            }
            _ => None,
        }
    }

    fn selector_step(&self, expr: ExprId, x: ExprId, sel: IdentId, want: Want) -> Option<(Step<'a>, ExprId, Want)> {
        let Some(selection) = self.info.selections.get(&expr) else {
            // `pkg.Name`, or a field or method that is not known.
            return (!self.is_package(x) && self.info.object(sel).is_none()).then_some((Step::Opaque, x, Want::Value));
        };
        if self.info.method_exprs.contains(&expr) {
            return None;
        }
        match selection.kind {
            SelectionKind::Field => {
                // What is behind a pointer has an address, wherever the pointer is.
                let by_value = want == Want::Value || selection.indirect;
                Some((Step::Field(x, selection), x, if by_value { Want::Value } else { Want::Addr }))
            }
            _ => Some((Step::Method(x, selection), x, self.receiver_want(x, selection))),
        }
    }

    /// Whether a method's receiver is needed by address.
    pub(super) fn receiver_want(&self, x: ExprId, selection: &Selection) -> Want {
        let SelectionKind::Method(method) = selection.kind else { return Want::Value };
        let pointer = self.bodies.object(method).and_then(|o| o.func()).is_some_and(|f| f.pointer_recv);
        let held = matches!(self.info.expr(x).mode, Mode::Variable) && !selection.indirect;
        if pointer && held { Want::Addr } else { Want::Value }
    }

    pub(super) fn is_package(&self, expr: ExprId) -> bool {
        match self.tree.expr(expr) {
            Expr::Ident(ident) => matches!(self.info.res(ident), Res::Package(_)),
            _ => false,
        }
    }

    /// An expression without operand to begin with.
    fn leaf(&mut self, expr: ExprId, want: Want) -> Value {
        let at = At::Expr(expr);
        let value = match self.info.expr(expr).mode {
            Mode::Constant => self.emit(Op::Const, at),
            Mode::Nil => self.emit(Op::Nil, at),
            _ => match self.tree.expr(expr) {
                Expr::Ident(ident) => return self.name(ident, expr, want),
                Expr::Selector { sel, .. } => match self.info.selections.get(&expr).map(|s| &s.kind) {
                    Some(&SelectionKind::Method(method)) => self.emit(Op::Func(method), at),
                    Some(_) => self.opaque(&[], at),
                    None => return self.name(sel, expr, want),
                },
                Expr::FuncLit { .. } => self.emit(Op::Closure(expr), at),
                Expr::CompositeLit { elts, .. } => self.composite(expr, elts),
                Expr::Call { .. } => self.call(expr, None),
                _ => self.opaque(&[], at),
            },
        };
        self.wanted(value, want, at)
    }

    /// A value, or the address of a new variable that holds it.
    fn wanted(&mut self, value: Value, want: Want, at: At) -> Value {
        match want {
            Want::Value => value,
            Want::Addr => self.emit(Op::New(value), at),
        }
    }

    fn name(&mut self, ident: IdentId, expr: ExprId, want: Want) -> Value {
        let at = At::Expr(expr);
        let object = self.info.object(ident).and_then(|id| Some((id, &self.bodies.object(id)?.kind)));
        let op = match (object, want) {
            (Some((var, ObjKind::Var(_))), Want::Value) => Op::Load(var),
            (Some((var, ObjKind::Var(_))), Want::Addr) => return self.emit(Op::Addr(var), at),
            (Some((func, ObjKind::Func(_))), _) => Op::Func(func),
            _ => {
                let value = self.opaque(&[], at);
                return self.wanted(value, want, at);
            }
        };
        let value = self.emit(op, at);
        self.wanted(value, want, at)
    }

    /// Does with an expression what is left to do once its first operand is there.
    fn apply(&mut self, step: Step<'a>, expr: ExprId, want: Want, x: Value) -> Value {
        let at = At::Expr(expr);
        let value = match step {
            Step::Pass => return x,
            Step::New => self.emit(Op::New(x), at),
            Step::Unary(op) => self.emit(Op::Unary { op, x }, at),
            Step::Recv => self.emit(Op::Recv { ch: x, comma_ok: false }, at),
            Step::Binary(op, left, right) => self.binary(op, left, x, right, at),
            Step::Deref => self.emit_panic(Op::Deref(x), at, self.nil_deref(x)),
            Step::Pointer => {
                if !self.is_set(x) {
                    // `&*x` is x, but panics where `*x` does.
                    self.emit_panic(Op::Deref(x), at, Some(Panic::NilDeref));
                }
                return x;
            }
            Step::Field(of, selection) => {
                let by_addr = want == Want::Addr && !selection.indirect;
                return self.path(of, x, by_addr, &selection.path, want, at);
            }
            Step::Method(of, selection) => self.method_value(expr, of, selection, x),
            Step::Index(of, indices) => return self.index(of, x, indices, want, at),
            Step::Slice(of, bounds) => self.slice(of, x, bounds, at),
            Step::Assert(ty) => self.emit_panic(Op::Assert { x, ty, comma_ok: false }, at, Some(Panic::Assertion)),
            Step::Call => self.call(expr, Some(x)),
            Step::Opaque => self.opaque(&[x], at),
        };
        self.wanted(value, want, at)
    }

    fn binary(&mut self, op: BinaryOp, left: ExprId, x: Value, right: ExprId, at: At) -> Value {
        if let BinaryOp::LogAnd | BinaryOp::LogOr = op {
            let y = self.value(right);
            return self.emit(Op::Logic { and: op == BinaryOp::LogAnd, x, y }, at);
        }
        let tx = self.info.type_of(left);
        if !op.is_comparison() {
            let y = self.value(right);
            return self.emit_panic(Op::Binary { op, x, y }, at, self.binary_panic(op, tx, right));
        }
        let ty = self.info.type_of(right);
        let y = self.eval_as(right, tx);
        let x = if self.is_interface(tx) { x } else { self.converted(x, tx, ty, At::Expr(left)) };
        self.emit_panic(Op::Binary { op, x, y }, at, self.binary_panic(op, tx, right))
    }

    fn method_value(&mut self, expr: ExprId, of: ExprId, selection: &'a Selection, x: Value) -> Value {
        let at = At::Expr(expr);
        let recv = self.receiver(of, selection, x, at);
        if let SelectionKind::Method(method) = selection.kind {
            return self.emit(Op::MethodValue { recv, method }, at);
        }
        let Expr::Selector { sel, .. } = self.tree.expr(expr) else { return self.opaque(&[recv], at) };
        let method = Symbol::new(self.tree.ident_text(sel));
        self.emit_panic(Op::InterfaceMethodValue { recv, method }, at, Some(Panic::NilDeref))
    }

    /// The receiver that a method takes, of the operand it was selected from.
    pub(super) fn receiver(&mut self, of: ExprId, selection: &'a Selection, x: Value, at: At) -> Value {
        let by_addr = self.receiver_want(of, selection) == Want::Addr;
        self.receiver_from(self.info.type_of(of), by_addr, selection, x, at)
    }

    /// Likewise, of an operand of type `ty`, or its address.
    pub(super) fn receiver_from(
        &mut self,
        ty: &Type,
        by_addr: bool,
        selection: &'a Selection,
        x: Value,
        at: At,
    ) -> Value {
        let pointer = match selection.kind {
            SelectionKind::Method(method) => {
                self.bodies.object(method).and_then(|o| o.func()).is_some_and(|f| f.pointer_recv)
            }
            _ => false,
        };
        let mut holder = self.holder(ty, x, by_addr);
        for &index in &selection.path {
            self.hop(&mut holder, index, if pointer { Want::Addr } else { Want::Value }, at);
        }
        match (holder.pointer, pointer) {
            (true, false) => {
                let x = holder.value;
                self.emit_panic(Op::Deref(x), at, self.nil_deref(x))
            }
            (false, true) => self.emit(Op::New(holder.value), at),
            _ => holder.value,
        }
    }

    /// `x.f`, or its address, through embedded fields; `x` is the address of `of` where `by_addr`.
    fn path(&mut self, of: ExprId, x: Value, by_addr: bool, path: &[u32], want: Want, at: At) -> Value {
        let mut holder = self.holder(self.info.type_of(of), x, by_addr);
        let Some((&last, hops)) = path.split_last() else { return x };
        for &index in hops {
            self.hop(&mut holder, index, Want::Addr, at);
        }
        let field = self.field(&holder.ty, last).0;
        let Holder { value: x, pointer, .. } = holder;
        match want {
            Want::Addr if pointer => self.emit_panic(Op::FieldAddr { x, field }, at, self.nil_deref(x)),
            _ => {
                let panic = if pointer { self.nil_deref(x) } else { None };
                let value = self.emit_panic(Op::Field { x, field, deref: pointer }, at, panic);
                self.wanted(value, want, at)
            }
        }
    }

    /// The pointer to the struct whose field is assigned to, and the field.
    pub(super) fn field_place(&mut self, x: ExprId, selection: &'a Selection, at: At) -> Option<(Value, FieldRef)> {
        let (&last, hops) = selection.path.split_last()?;
        let want = if selection.indirect { Want::Value } else { Want::Addr };
        let value = self.eval(x, want);
        let mut holder = self.holder(self.info.type_of(x), value, want == Want::Addr);
        for &index in hops {
            self.hop(&mut holder, index, Want::Addr, at);
        }
        let field = self.field(&holder.ty, last).0;
        let pointer = if holder.pointer { holder.value } else { self.emit(Op::New(holder.value), at) };
        Some((pointer, field))
    }

    fn holder(&mut self, ty: &Type, value: Value, by_addr: bool) -> Holder {
        if by_addr {
            return Holder { value, ty: ty.clone(), pointer: true };
        }
        match self.core(ty) {
            Type::Pointer(elem) => Holder { value, ty: (*elem).clone(), pointer: true },
            _ => Holder { value, ty: ty.clone(), pointer: false },
        }
    }

    /// Goes on to an embedded field. A struct behind a pointer is not copied on the way, but for the last value.
    fn hop(&mut self, holder: &mut Holder, index: u32, want: Want, at: At) {
        let (field, ty) = self.field(&holder.ty, index);
        let x = holder.value;
        let panic = if holder.pointer { self.nil_deref(x) } else { None };
        let elem = match &ty {
            Type::Pointer(elem) => Some((**elem).clone()),
            _ => None,
        };
        if elem.is_none() && holder.pointer && (want == Want::Addr || matches!(self.core(&ty), Type::Struct(_))) {
            holder.value = self.emit_panic(Op::FieldAddr { x, field }, at, panic);
            holder.ty = ty;
            return;
        }
        holder.value = self.emit_panic(Op::Field { x, field, deref: holder.pointer }, at, panic);
        holder.pointer = elem.is_some();
        holder.ty = elem.unwrap_or(ty);
    }

    /// A field of a struct type, and its type.
    pub(super) fn field(&mut self, of: &Type, index: u32) -> (FieldRef, Type) {
        match self.core(of) {
            Type::Struct(data) => match data.fields.get(index as usize) {
                Some(field) => (FieldRef { name: field.name, index }, field.ty.clone()),
                None => (FieldRef { name: Symbol::new("_"), index }, Type::Unknown),
            },
            _ => (FieldRef { name: Symbol::new("_"), index }, Type::Unknown),
        }
    }

    fn index(&mut self, of: ExprId, x: Value, indices: List<ExprId>, want: Want, at: At) -> Value {
        let core = self.core(self.info.type_of(of));
        let Some(key) = self.tree.list_get(indices, 0) else {
            let value = self.opaque(&[x], at);
            return self.wanted(value, want, at);
        };
        if let Type::Map(map) = &core {
            let index = self.eval_as(key, &map.key);
            let panic = self.key_panic(key, &map.key);
            let value = self.emit_panic(Op::MapIndex { map: x, key: index, comma_ok: false }, at, panic);
            return self.wanted(value, want, at);
        }
        if self.info.expr(key).mode == Mode::Type || (core.is_unknown() && self.info.type_of(of).is_unknown()) {
            // An instance of something unknown, or an element of it.
            let from = self.pending.len();
            self.pending.push(x);
            for index in self.tree.list(indices) {
                if self.info.expr(index).mode != Mode::Type {
                    let value = self.value(index);
                    self.pending.push(value);
                }
            }
            let values = self.list(from);
            let value = self.emit(Op::Opaque(values), at);
            return self.wanted(value, want, at);
        }
        let index = self.value(key);
        let panic = self.index_panic(of, &core, key, x);
        match (&core, want) {
            (Type::Slice(_) | Type::Pointer(_) | Type::Array(_), Want::Addr) => {
                self.emit_panic(Op::IndexAddr { x, index }, at, panic)
            }
            _ => {
                let value = self.emit_panic(Op::Index { x, index }, at, panic);
                self.wanted(value, want, at)
            }
        }
    }

    /// Why `x[index]` can panic, where `x` is no map.
    pub(super) fn index_panic(&mut self, of: ExprId, core: &Type, index: ExprId, x: Value) -> Option<Panic> {
        let array = match core {
            Type::Pointer(elem) => Some(self.core(elem)),
            _ => None,
        };
        if !self.index_fits(of, array.as_ref().unwrap_or(core), index) {
            return Some(Panic::Index);
        }
        if array.is_some() { self.nil_deref(x) } else { None }
    }

    fn slice(&mut self, of: ExprId, x: Value, bounds: [Option<ExprId>; 3], at: At) -> Value {
        let from = self.pending.len();
        for bound in bounds.into_iter().flatten() {
            let value = self.value(bound);
            self.pending.push(value);
        }
        let list = self.list(from);
        let core = self.core(self.info.type_of(of));
        let (len, pointer) = match &core {
            Type::Array(array) => (Some(array.len), true),
            Type::Pointer(elem) => match self.core(elem) {
                Type::Array(array) => (Some(array.len), true),
                _ => (None, true),
            },
            _ => (self.constant_len(of), false),
        };
        let panic = match self.bounds_fit(bounds, len) {
            false => Some(Panic::Bounds),
            true if pointer => self.nil_deref(x),
            true => None,
        };
        self.emit_panic(Op::Slice { x, bounds: list }, at, panic)
    }
}

/// A struct on the way along a path of fields: itself, or a pointer to it.
struct Holder {
    value: Value,
    /// The struct's type.
    ty: Type,
    pointer: bool,
}

/// Whether a condition consists of conditions.
fn is_branch(tree: &residue_syntax::ast::File, expr: ExprId) -> bool {
    match tree.expr(expr) {
        Expr::Paren(_) | Expr::Unary { op: UnaryOp::Not, .. } => true,
        Expr::Binary { op, .. } => matches!(op, BinaryOp::LogAnd | BinaryOp::LogOr),
        _ => false,
    }
}

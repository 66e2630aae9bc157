//! Statements.

use residue_syntax::ast::{
    AssignOp, BinaryOp, ClauseId, ClauseKind, Decl, Expr, ExprId, GenKind, IdentId, List, Spec, SpecId, Stmt, StmtId,
    UnaryOp,
};
use residue_types::{Mode, ObjId, Objects, SelectionKind, Type};

use super::expr::Want;
use super::{FuncResult, Lower};
use crate::ir::{At, FieldRef, Op, Panic, Value};
use crate::walk;

/// What is assigned to, with its operands evaluated.
#[derive(Clone, Copy)]
enum Place {
    /// `_`
    Blank,
    Var {
        var: ObjId,
        declares: bool,
    },
    Deref(Value),
    Field(Value, FieldRef),
    Index(Value, Value, Option<Panic>),
    Map(Value, Value, Option<Panic>),
    /// Not understood, with an operand.
    Unknown(Option<Value>),
}

impl<'a> Lower<'a> {
    pub(super) fn stmt(&mut self, stmt: StmtId) {
        let at = At::Stmt(stmt);
        match self.tree.stmt(stmt) {
            Stmt::Expr(x) => {
                self.value(x);
            }
            Stmt::Send { ch, value } => {
                let channel = self.value(ch);
                let value = self.sent(ch, value);
                self.emit_panic(Op::Send { ch: channel, value }, at, Some(Panic::Send));
            }
            Stmt::IncDec { x, inc } => {
                let place = self.place(x, false);
                let old = self.load(place, at);
                let one = self.emit(Op::Const, at);
                let op = if inc { BinaryOp::Add } else { BinaryOp::Sub };
                let value = self.emit(Op::Binary { op, x: old, y: one }, at);
                self.update(place, value, at);
            }
            Stmt::Assign { lhs, rhs, op: AssignOp::Op(op), .. } => {
                let (Some(x), Some(y)) = (self.tree.list_get(lhs, 0), self.tree.list_get(rhs, 0)) else { return };
                let place = self.place(x, false);
                let old = self.load(place, at);
                let operand = self.value(y);
                let panic = self.binary_panic(op, self.info.type_of(x), y);
                let value = self.emit_panic(Op::Binary { op, x: old, y: operand }, at, panic);
                self.update(place, value, at);
            }
            Stmt::Assign { lhs, rhs, op, .. } => self.assign(lhs, rhs, op == AssignOp::Define, at),
            Stmt::Decl(decl) => {
                if let Decl::Gen { kind: GenKind::Var, specs, .. } = self.tree.decl(decl) {
                    for spec in self.tree.list(specs) {
                        self.var_spec(spec, at);
                    }
                }
            }
            Stmt::Go(call) | Stmt::Defer(call) => {
                let call = walk::unparen(self.tree, call);
                match self.put_off(call) {
                    Some((id, panic)) => {
                        let go = matches!(self.tree.stmt(stmt), Stmt::Go(_));
                        self.emit_panic(if go { Op::Go(id) } else { Op::Defer(id) }, at, panic);
                    }
                    None => {
                        self.value(call);
                    }
                }
            }
            Stmt::Return(results) => self.return_stmt(results, at),
            // Statements with bodies are no nodes; those that only jump are edges.
            _ => {}
        }
    }

    /// The value that is sent on `ch`.
    fn sent(&mut self, ch: ExprId, value: ExprId) -> Value {
        match self.core(self.info.type_of(ch)) {
            Type::Chan(chan) => self.eval_as(value, &chan.elem),
            _ => self.value(value),
        }
    }

    fn assign(&mut self, lhs: List<ExprId>, rhs: List<ExprId>, define: bool, at: At) {
        if let (1, 1, Some(target), Some(value)) =
            (lhs.len(), rhs.len(), self.tree.list_get(lhs, 0), self.tree.list_get(rhs, 0))
        {
            // What is assigned to is found after the calls on the right, too, unless it calls itself.
            let named = matches!(self.tree.expr(target), Expr::Ident(_));
            let (place, value) = if !named && self.may_call(value) && !self.may_call(target) {
                let value = self.eval_as(value, self.target_type(target));
                (self.place(target, define), value)
            } else {
                (self.place(target, define), self.eval_as(value, self.target_type(target)))
            };
            self.store(place, value, at);
            return;
        }
        let mut places = Vec::with_capacity(lhs.len());
        for target in self.tree.list(lhs) {
            places.push((self.target_type(target), self.place(target, define)));
        }
        if rhs.len() == 1
            && lhs.len() > 1
            && let Some(value) = self.tree.list_get(rhs, 0)
        {
            let tuple = self.tuple(value, lhs.len());
            for (i, (ty, place)) in places.into_iter().enumerate() {
                if !matches!(place, Place::Blank) {
                    let element = self.emit(Op::Extract { tuple, index: i as u32 }, at);
                    let from = self.element_type(value, i);
                    let element = self.converted(element, &from, ty, at);
                    self.store(place, element, at);
                }
            }
            return;
        }
        let from = self.pending.len();
        self.eval_each(rhs, |i| places.get(i).map_or(&Type::Unknown, |&(ty, _)| ty));
        for (i, (_, place)) in places.into_iter().enumerate() {
            let value = match self.pending.get(from + i) {
                Some(&value) => value,
                None => self.opaque(&[], at),
            };
            self.store(place, value, at);
        }
        self.pending.truncate(from);
    }

    /// The type of what is assigned to.
    fn target_type(&self, target: ExprId) -> &'a Type {
        match self.tree.expr(target) {
            Expr::Ident(ident) => self.declared_type(ident),
            _ => self.info.type_of(target),
        }
    }

    fn declared_type(&self, ident: IdentId) -> &'a Type {
        match self.variable(ident).and_then(|var| self.bodies.object(var)) {
            Some(object) => object.ty(),
            None => &Type::Unknown,
        }
    }

    /// The type of the `i`-th value that an expression gives.
    fn element_type(&self, expr: ExprId, i: usize) -> Type {
        match (self.info.type_of(expr), i) {
            (Type::Tuple(types), _) => types.get(i).cloned().unwrap_or_default(),
            (ty, 0) => ty.clone(),
            // The boolean of `v, ok`, or the errno of a call to C.
            _ if matches!(self.tree.expr(walk::unparen(self.tree, expr)), Expr::Call { .. }) => Type::Unknown,
            _ => Type::BOOL,
        }
    }

    fn var_spec(&mut self, spec: SpecId, at: At) {
        if self.declared.contains(&spec) || self.muted {
            return;
        }
        let Spec::Value { names, values, .. } = self.tree.spec(spec) else { return };
        let from = self.pending.len();
        let single = self.tree.list_get(values, 0).filter(|_| values.len() == 1 && names.len() > 1);
        if let Some(value) = single {
            let tuple = self.tuple(value, names.len());
            for (i, name) in self.tree.list(names).enumerate() {
                let element = self.emit(Op::Extract { tuple, index: i as u32 }, at);
                let from = self.element_type(value, i);
                let element = self.converted(element, &from, self.declared_type(name), at);
                self.pending.push(element);
            }
        } else {
            let types: Vec<_> = self.tree.list(names).map(|name| self.declared_type(name)).collect();
            self.eval_each(values, |i| types.get(i).copied().unwrap_or(&Type::Unknown));
        }
        for (i, name) in self.tree.list(names).enumerate() {
            let value = self.pending.get(from + i).copied();
            if let Some(var) = self.variable(name) {
                let value = value.unwrap_or_else(|| self.emit(Op::Zero, at));
                self.emit(Op::Store { var, value, declares: true }, at);
            }
        }
        self.pending.truncate(from);
        if self.detour.is_some() && !self.muted {
            self.declared.insert(spec);
        }
    }

    fn return_stmt(&mut self, values: List<ExprId>, at: At) {
        if values.is_empty() {
            self.bare_return(at);
            return;
        }
        let from = self.pending.len();
        if let Some(call) = self.tree.list_get(values, 0).filter(|_| values.len() == 1 && self.results.len() > 1) {
            let tuple = self.tuple(call, self.results.len());
            for i in 0..self.results.len() {
                let value = self.emit(Op::Extract { tuple, index: i as u32 }, at);
                let from = self.element_type(call, i);
                let value = self.converted(value, &from, self.results[i].ty, at);
                self.pending.push(value);
            }
        } else {
            let results = std::mem::take(&mut self.results);
            self.eval_each(values, |i| results.get(i).map_or(&Type::Unknown, |result| result.ty));
            self.results = results;
        }
        let values = self.list(from);
        self.emit(Op::Return(values), at);
    }

    pub(super) fn bare_return(&mut self, at: At) {
        let from = self.pending.len();
        // Without names there is nothing to give, and the end of the body cannot be reached in valid code.
        if self.results.iter().any(|result| result.name.is_some()) {
            for i in 0..self.results.len() {
                let op = match self.results[i] {
                    FuncResult { var: Some(var), .. } => Op::Load(var),
                    _ => Op::Zero,
                };
                let value = self.emit(op, at);
                self.pending.push(value);
            }
        }
        let values = self.list(from);
        self.emit(Op::Return(values), at);
    }

    /// What is assigned to; its operands are evaluated.
    fn place(&mut self, target: ExprId, define: bool) -> Place {
        let target = walk::unparen(self.tree, target);
        let at = At::Expr(target);
        match self.tree.expr(target) {
            Expr::Ident(ident) if self.tree.ident_text(ident) == "_" => Place::Blank,
            Expr::Ident(ident) => match self.variable(ident) {
                Some(var) => {
                    let declares = define && matches!(self.info.res(ident), residue_types::Res::Def(_));
                    Place::Var { var, declares }
                }
                None => Place::Unknown(None),
            },
            Expr::Star(x) => Place::Deref(self.value(x)),
            Expr::Selector { x, sel } => match self.info.selections.get(&target) {
                Some(selection) if selection.kind == SelectionKind::Field => match self.field_place(x, selection, at) {
                    Some((pointer, field)) => Place::Field(pointer, field),
                    None => Place::Unknown(None),
                },
                Some(_) => Place::Unknown(Some(self.value(target))),
                None if self.is_package(x) => match self.variable(sel) {
                    Some(var) => Place::Var { var, declares: false },
                    None => Place::Unknown(None),
                },
                None => Place::Unknown(Some(self.value(x))),
            },
            Expr::Index { x, indices } => {
                let Some(index) = self.tree.list_get(indices, 0) else { return Place::Unknown(Some(self.value(x))) };
                let core = self.core(self.info.type_of(x));
                match &core {
                    Type::Map(map) => {
                        let holder = self.value(x);
                        let key = self.eval_as(index, &map.key);
                        Place::Map(holder, key, self.key_panic(index, &map.key))
                    }
                    Type::Slice(_) | Type::Pointer(_) | Type::Array(_) => {
                        let want = if matches!(core, Type::Array(_)) { Want::Addr } else { Want::Value };
                        let holder = self.eval(x, want);
                        let value = self.value(index);
                        Place::Index(holder, value, self.index_panic(x, &core, index, holder))
                    }
                    _ => {
                        let holder = self.value(x);
                        let index = self.value(index);
                        Place::Unknown(Some(self.opaque(&[holder, index], at)))
                    }
                }
            }
            _ => Place::Unknown(Some(self.value(target))),
        }
    }

    /// Reads what is about to be updated.
    fn load(&mut self, place: Place, at: At) -> Value {
        match place {
            Place::Blank | Place::Unknown(None) => self.opaque(&[], at),
            Place::Unknown(Some(x)) => self.opaque(&[x], at),
            Place::Var { var, .. } => self.emit(Op::Load(var), at),
            Place::Deref(x) => self.emit_panic(Op::Deref(x), at, self.nil_deref(x)),
            Place::Field(x, field) => self.emit_panic(Op::Field { x, field, deref: true }, at, self.nil_deref(x)),
            Place::Index(x, index, panic) => self.emit_panic(Op::Index { x, index }, at, panic),
            Place::Map(map, key, panic) => self.emit_panic(Op::MapIndex { map, key, comma_ok: false }, at, panic),
        }
    }

    /// Sets what was just read: what could panic about it has done so.
    fn update(&mut self, place: Place, value: Value, at: At) {
        match place {
            Place::Deref(ptr) => drop(self.emit(Op::StoreDeref { ptr, value }, at)),
            Place::Field(x, field) => drop(self.emit(Op::StoreField { x, field, value }, at)),
            Place::Index(x, index, _) => drop(self.emit(Op::StoreIndex { x, index, value }, at)),
            _ => self.store(place, value, at),
        }
    }

    fn store(&mut self, place: Place, value: Value, at: At) {
        match place {
            Place::Blank => {}
            Place::Var { var, declares } => drop(self.emit(Op::Store { var, value, declares }, at)),
            Place::Deref(ptr) => drop(self.emit_panic(Op::StoreDeref { ptr, value }, at, self.nil_deref(ptr))),
            Place::Field(x, field) => {
                self.emit_panic(Op::StoreField { x, field, value }, at, self.nil_deref(x));
            }
            Place::Index(x, index, panic) => drop(self.emit_panic(Op::StoreIndex { x, index, value }, at, panic)),
            Place::Map(map, key, _) => {
                self.emit_panic(Op::StoreMap { map, key, value }, at, Some(Panic::NilMap));
            }
            Place::Unknown(None) => drop(self.opaque(&[value], at)),
            Place::Unknown(Some(x)) => drop(self.opaque(&[x, value], at)),
        }
    }

    /// Compares the tag of a switch with a value of a case.
    pub(super) fn case(&mut self, switch: StmtId, value: ExprId) -> Value {
        let at = At::Expr(value);
        let Stmt::Switch { tag: Some(tag), .. } = self.tree.stmt(switch) else { return self.opaque(&[], at) };
        let Some(&x) = self.known.get(&tag) else { return self.opaque(&[], at) };
        let (tx, ty) = (self.info.type_of(tag), self.info.type_of(value));
        let y = self.eval_as(value, tx);
        let x = if self.is_interface(tx) { x } else { self.converted(x, tx, ty, at) };
        let panic = self.comparison_panic(tx, ty);
        self.emit_panic(Op::Binary { op: BinaryOp::Eq, x, y }, at, panic)
    }

    /// The operand of a type switch, evaluated before.
    pub(super) fn switch_operand(&mut self, switch: StmtId, at: At) -> Value {
        let operand = match self.tree.stmt(switch) {
            Stmt::TypeSwitch { guard, .. } => walk::guard_operand(self.tree, guard),
            _ => None,
        };
        match operand.and_then(|x| self.known.get(&x)) {
            Some(&value) => value,
            None => self.opaque(&[], at),
        }
    }

    pub(super) fn bind(&mut self, switch: StmtId, clause: ClauseId) {
        let at = At::Clause(clause);
        let Some(&var) = self.info.clause_vars.get(&clause) else { return };
        let mut value = self.switch_operand(switch, at);
        if let ClauseKind::Case(types) = self.tree.clause(clause).kind
            && types.len() == 1
            && let Some(ty) = self.tree.list_get(types, 0)
            && self.info.expr(ty).mode != Mode::Nil
        {
            // The case found the type; this only takes the value out.
            value = self.emit(Op::Assert { x: value, ty, comma_ok: false }, at);
        }
        self.emit(Op::Store { var, value, declares: true }, at);
    }

    /// The communication that a select chose.
    pub(super) fn comm(&mut self, stmt: StmtId) {
        let at = At::Stmt(stmt);
        let (lhs, received, define) = match self.tree.stmt(stmt) {
            Stmt::Send { ch, value } => {
                // Both were evaluated before the choice.
                let (Some(&channel), Some(&sent)) = (self.known.get(&ch), self.known.get(&value)) else { return };
                let sent = match self.core(self.info.type_of(ch)) {
                    Type::Chan(chan) => self.converted(sent, self.info.type_of(value), &chan.elem, At::Expr(value)),
                    _ => sent,
                };
                self.emit_panic(Op::Send { ch: channel, value: sent }, at, Some(Panic::Send));
                return;
            }
            Stmt::Expr(x) => (List::EMPTY, Some(x), false),
            Stmt::Assign { lhs, rhs, op, .. } => (lhs, self.tree.list_get(rhs, 0), op == AssignOp::Define),
            _ => return,
        };
        let Some(received) = received.map(|x| walk::unparen(self.tree, x)) else { return };
        let value = match self.tree.expr(received) {
            _ if self.known.contains_key(&received) => self.value(received),
            Expr::Unary { op: UnaryOp::Recv, x } => {
                let value = match self.known.get(&x) {
                    Some(&ch) => self.emit(Op::Recv { ch, comma_ok: lhs.len() > 1 }, At::Expr(received)),
                    None => self.opaque(&[], at),
                };
                self.remember(received, Want::Value, value);
                value
            }
            // No receive; it was evaluated all the same.
            _ => self.value(received),
        };
        self.spread(value, received, lhs, define, at);
    }

    /// Assigns one value or the elements of a tuple. The targets' operands are evaluated now.
    fn spread(&mut self, value: Value, of: ExprId, lhs: List<ExprId>, define: bool, at: At) {
        let mut places = Vec::with_capacity(lhs.len());
        for target in self.tree.list(lhs) {
            places.push((target, self.place(target, define)));
        }
        let single = places.len() == 1;
        for (i, (target, place)) in places.into_iter().enumerate() {
            if matches!(place, Place::Blank) {
                continue;
            }
            let element = if single { value } else { self.emit(Op::Extract { tuple: value, index: i as u32 }, at) };
            let from = self.element_type(of, i);
            let element = self.converted(element, &from, self.target_type(target), at);
            self.store(place, element, at);
        }
    }

    /// The operand of a range statement. Where the number of rounds is the length of an array and no element is asked
    /// for, it is not evaluated.
    pub(super) fn range_operand(&mut self, stmt: StmtId, x: ExprId) -> Value {
        let (targets, define) = self.range_targets(stmt);
        let core = self.core(self.info.type_of(x));
        let array = match &core {
            Type::Pointer(elem) => self.core(elem),
            _ => core,
        };
        let unread = targets[1].is_none_or(|target| self.is_blank(target));
        let value = if matches!(array, Type::Array(_)) && unread && !self.calls_or_receives(x) {
            self.opaque(&[], At::Expr(x))
        } else {
            self.value(x)
        };
        if define && !self.per_iteration {
            for target in targets.into_iter().flatten() {
                if let Expr::Ident(ident) = self.tree.expr(target)
                    && let Some(var) = self.variable(ident)
                {
                    let value = self.emit(Op::Zero, At::Stmt(stmt));
                    self.emit(Op::Store { var, value, declares: true }, At::Stmt(stmt));
                }
            }
        }
        value
    }

    fn range_targets(&self, stmt: StmtId) -> ([Option<ExprId>; 2], bool) {
        match self.tree.stmt(stmt) {
            Stmt::Range { key, value, define, .. } => ([key, value], define),
            _ => ([None, None], false),
        }
    }

    fn is_blank(&self, expr: ExprId) -> bool {
        matches!(self.tree.expr(expr), Expr::Ident(ident) if self.tree.ident_text(ident) == "_")
    }

    fn calls_or_receives(&self, expr: ExprId) -> bool {
        let mut found = false;
        walk::expressions(self.tree, expr, &mut |e| {
            found |= match self.tree.expr(e) {
                Expr::Call { fun, .. } => self.info.expr(fun).mode != Mode::Type,
                Expr::Unary { op: UnaryOp::Recv, .. } => true,
                _ => false,
            };
            !found
        });
        found
    }

    pub(super) fn range_next(&mut self, stmt: StmtId) {
        let at = At::Stmt(stmt);
        let Stmt::Range { value, x, .. } = self.tree.stmt(stmt) else { return };
        let operand = match self.known.get(&x) {
            Some(&operand) => operand,
            None => self.opaque(&[], at),
        };
        let panic = match self.core(self.info.type_of(x)) {
            Type::Func(_) => Some(Panic::NilFunc),
            Type::Pointer(_) if value.is_some_and(|value| !self.is_blank(value)) => self.nil_deref(operand),
            _ => None,
        };
        let round = self.emit_panic(Op::RangeNext(operand), at, panic);
        self.rounds.insert(stmt, round);
    }

    pub(super) fn range_bind(&mut self, stmt: StmtId) {
        let at = At::Stmt(stmt);
        let (targets, define) = self.range_targets(stmt);
        let Stmt::Range { x, .. } = self.tree.stmt(stmt) else { return };
        let tuple = match self.rounds.get(&stmt) {
            Some(&tuple) => tuple,
            None => self.opaque(&[], at),
        };
        let mut places = [Place::Blank; 2];
        for (place, target) in places.iter_mut().zip(targets) {
            if let Some(target) = target {
                *place = self.place(target, define);
            }
        }
        for (i, (place, target)) in places.into_iter().zip(targets).enumerate() {
            let (Some(target), false) = (target, matches!(place, Place::Blank)) else { continue };
            let mut element = self.emit(Op::Extract { tuple, index: i as u32 }, at);
            let place = match place {
                Place::Var { var, declares } => Place::Var { var, declares: declares && self.per_iteration },
                place => place,
            };
            if !define {
                let from = self.round_type(x, i);
                element = self.converted(element, &from, self.target_type(target), at);
            }
            self.store(place, element, at);
        }
    }

    /// The type of the `i`-th value that ranging over `x` gives.
    fn round_type(&mut self, x: ExprId, i: usize) -> Type {
        let core = self.core(self.info.type_of(x));
        let core = match &core {
            Type::Pointer(elem) => self.core(elem),
            _ => core,
        };
        match (core, i) {
            (Type::Map(map), 0) => map.key.clone(),
            (Type::Map(map), _) => map.value.clone(),
            (Type::Chan(chan), 0) => chan.elem.clone(),
            (Type::Slice(elem), 1) => (*elem).clone(),
            (Type::Array(array), 1) => array.elem.clone(),
            (Type::Func(signature), _) => match signature.params.first().map(|yielded| self.core(yielded)) {
                Some(Type::Func(yielded)) => yielded.params.get(i).cloned().unwrap_or_default(),
                _ => Type::Unknown,
            },
            (Type::Slice(_) | Type::Array(_), 0) => Type::INT,
            (Type::Basic(basic), 0) if basic.is_integer() => self.info.type_of(x).clone(),
            (Type::Basic(_), 0) => Type::INT,
            (Type::Basic(_), _) => Type::Basic(residue_types::Basic::Int32),
            _ => Type::Unknown,
        }
    }
}

//! Statements.

use residue_syntax::ast::{
    AssignOp, BlockId, ChanDir, ClauseId, ClauseKind, Decl, Expr, ExprId, GenKind, IdentId, List, Spec, SpecId, Stmt,
    StmtId,
};

use super::operand::Operand;
use super::{Checker, Env};
use crate::info::{Mode, Res};
use crate::lookup::Objects;
use crate::object::{ObjKind, TypeName, VarKind};
use crate::types::{Basic, Signature, Type};

impl Checker<'_> {
    /// The body of a function whose parameters are in scope, from `params_at` of the locals.
    pub(super) fn func_body(&self, env: &mut Env, signature: &Signature, body: BlockId, params_at: usize) {
        let results = std::mem::replace(&mut env.results, signature.results.clone());
        let in_body = std::mem::replace(&mut env.in_body, true);
        // Parameters and the body's own variables share a scope: `:=` at the top may assign to a result.
        let start = std::mem::replace(&mut env.scope_start, params_at);
        let mark = env.locals.len();
        self.stmts(env, self.tree(env).block(body).stmts);
        env.locals.truncate(mark);
        env.scope_start = start;
        env.results = results;
        env.in_body = in_body;
    }

    fn block(&self, env: &mut Env, block: BlockId) {
        self.scoped(env, |c, env| c.stmts(env, c.tree(env).block(block).stmts));
    }

    fn stmts(&self, env: &mut Env, list: List<StmtId>) {
        for stmt in self.tree(env).list(list) {
            self.stmt(env, stmt);
        }
    }

    fn stmt(&self, env: &mut Env, stmt: StmtId) {
        // Too deep: what is inside stays unknown.
        let _ = self.deeper(|| self.stmt_inner(env, stmt));
    }

    fn stmt_inner(&self, env: &mut Env, stmt: StmtId) {
        let tree = self.tree(env);
        match tree.stmt(stmt) {
            Stmt::Bad | Stmt::Empty => {}
            Stmt::Decl(decl) => {
                if let Decl::Gen { kind, specs, .. } = tree.decl(decl) {
                    self.local_specs(env, kind, specs);
                }
            }
            Stmt::Labeled { label, stmt } => {
                self.record_ident(env, label, Res::Label);
                self.stmt(env, stmt);
            }
            Stmt::Expr(e) | Stmt::Go(e) | Stmt::Defer(e) => {
                self.expr(env, e, None);
            }
            Stmt::Send { ch, value } => {
                let ch = self.typed_expr(env, ch);
                let elem = match self.core_type(&ch.ty) {
                    Some(Type::Chan(chan)) => chan.elem.clone(),
                    _ => Type::Unknown,
                };
                let mut value = self.expr(env, value, Some(&elem));
                self.assign_to(env, &mut value, Some(&elem));
            }
            Stmt::IncDec { x, .. } => {
                self.typed_expr(env, x);
            }
            Stmt::Assign { lhs, rhs, op, .. } => self.assign(env, lhs, rhs, op),
            Stmt::Return(values) => self.return_stmt(env, values),
            Stmt::Branch { label, .. } => {
                if let Some(label) = label {
                    self.record_ident(env, label, Res::Label);
                }
            }
            Stmt::Block(block) => self.block(env, block),
            Stmt::If { init, cond, then, els } => self.scoped(env, |c, env| {
                c.opt_stmt(env, init);
                c.expr(env, cond, None);
                c.block(env, then);
                c.opt_stmt(env, els);
            }),
            Stmt::Switch { init, tag, clauses, .. } => self.scoped(env, |c, env| {
                c.opt_stmt(env, init);
                c.switch(env, tag, clauses);
            }),
            Stmt::TypeSwitch { init, guard, clauses, .. } => self.scoped(env, |c, env| {
                c.opt_stmt(env, init);
                c.type_switch(env, guard, clauses);
            }),
            Stmt::Select { clauses, .. } => {
                for clause in tree.list(clauses) {
                    let clause = tree.clause(clause);
                    self.scoped(env, |c, env| {
                        if let ClauseKind::Comm(comm) = clause.kind {
                            c.stmt(env, comm);
                        }
                        c.stmts(env, clause.body);
                    });
                }
            }
            Stmt::For { init, cond, post, body } => self.scoped(env, |c, env| {
                c.opt_stmt(env, init);
                if let Some(cond) = cond {
                    c.expr(env, cond, None);
                }
                c.opt_stmt(env, post);
                c.block(env, body);
            }),
            Stmt::Range { key, value, define, x, body } => self.scoped(env, |c, env| {
                c.range(env, [key, value], define, x);
                c.block(env, body);
            }),
        }
    }

    fn scoped(&self, env: &mut Env, f: impl FnOnce(&Self, &mut Env)) {
        let mark = env.locals.len();
        let outer = std::mem::replace(&mut env.scope_start, mark);
        f(self, env);
        env.scope_start = outer;
        env.locals.truncate(mark);
    }

    fn opt_stmt(&self, env: &mut Env, stmt: Option<StmtId>) {
        if let Some(stmt) = stmt {
            self.stmt(env, stmt);
        }
    }

    fn local_specs(&self, env: &mut Env, kind: GenKind, specs: List<SpecId>) {
        let tree = self.tree(env);
        let mut repeated: (Option<ExprId>, List<ExprId>) = (None, List::EMPTY);
        for spec in tree.list(specs) {
            match tree.spec(spec) {
                Spec::Import { .. } => {}
                Spec::Value { names, ty, values, iota } if kind == GenKind::Const => {
                    if ty.is_some() || !values.is_empty() {
                        repeated = (ty, values);
                    }
                    let mut made = Vec::new();
                    for (i, name) in tree.list(names).enumerate() {
                        let (ty, value) = self.constant_decl(env, repeated.0, tree.list_get(repeated.1, i), iota);
                        let kind = ObjKind::Const(std::sync::OnceLock::from(value));
                        made.push((name, kind, ty));
                    }
                    for (name, kind, ty) in made {
                        self.declare_local(env, name, kind, ty);
                    }
                }
                Spec::Value { names, ty, values, .. } => {
                    let types = self.var_values(env, names.len(), ty, values);
                    for (name, ty) in tree.list(names).zip(types) {
                        self.declare_local(env, name, ObjKind::Var(VarKind::Local), ty);
                    }
                }
                Spec::Type { name, type_params, alias, ty } => {
                    let data = TypeName { alias, ..TypeName::default() };
                    let id = self.add(env, name, ObjKind::Type(Box::new(data)));
                    if alias {
                        let right = self.typ(env, ty);
                        self.set_type(id, right);
                        self.bring_into_scope(env, name, id);
                        continue;
                    }
                    self.set_type(id, Type::Named(id));
                    self.bring_into_scope(env, name, id);
                    let mark = env.locals.len();
                    let params = self.declare_type_params(env, type_params);
                    let right = self.typ(env, ty);
                    env.locals.truncate(mark);
                    if let Some(ObjKind::Type(data)) = self.object(id).map(|o| &o.kind) {
                        let _ = data.type_params.set(params);
                        let _ = data.underlying.set(self.underlying(&right));
                    }
                }
            }
        }
    }

    fn assign(&self, env: &mut Env, lhs: List<ExprId>, rhs: List<ExprId>, op: AssignOp) {
        let tree = self.tree(env);
        match op {
            AssignOp::Op(op) => {
                let (Some(x), Some(y)) = (tree.list_get(lhs, 0), tree.list_get(rhs, 0)) else { return };
                let mut a = self.expr(env, x, None);
                let mut b = self.expr(env, y, None);
                let target = a.ty.clone();
                // The left side is no operand to convert.
                a.expr = None;
                let mut result = if op.is_shift() {
                    self.shift_operands(env, op, a, b)
                } else {
                    self.binary_operands(env, op, &mut a, &mut b)
                };
                result.expr = None;
                self.assign_to(env, &mut result, Some(&target));
            }
            AssignOp::Assign => {
                let targets: Vec<Option<Type>> = tree.list(lhs).map(|e| self.target(env, e)).collect();
                if rhs.len() == 1 && lhs.len() > 1 {
                    if let Some(e) = tree.list_get(rhs, 0) {
                        self.unpack(env, e, lhs.len());
                    }
                    return;
                }
                for (i, e) in tree.list(rhs).enumerate() {
                    let target = targets.get(i).cloned().flatten();
                    let mut x = self.expr(env, e, target.as_ref());
                    self.assign_to(env, &mut x, target.as_ref());
                }
            }
            AssignOp::Define => {
                let known: Vec<Option<Type>> = tree.list(lhs).map(|e| self.redeclared(env, e)).collect();
                let types = if rhs.len() == 1 && lhs.len() > 1 {
                    tree.list_get(rhs, 0).map(|e| self.unpack(env, e, lhs.len())).unwrap_or_default()
                } else {
                    let mut types = Vec::new();
                    for (i, e) in tree.list(rhs).enumerate() {
                        let target = known.get(i).and_then(Option::as_ref);
                        let mut x = self.expr(env, e, target);
                        self.assign_to(env, &mut x, target);
                        types.push(x.ty);
                    }
                    types
                };
                self.define(env, tree.list(lhs).collect(), &types, &known);
            }
        }
    }

    /// The type of an assignment's target; none for `_`.
    fn target(&self, env: &mut Env, e: ExprId) -> Option<Type> {
        if let Expr::Ident(ident) = self.tree(env).expr(self.unparen(env, e))
            && self.symbol(env, ident).is_blank()
        {
            return None;
        }
        Some(self.expr(env, e, None).ty)
    }

    /// The type of a variable of the innermost scope that `:=` assigns to instead of declaring.
    fn redeclared(&self, env: &mut Env, e: ExprId) -> Option<Type> {
        let Expr::Ident(ident) = self.tree(env).expr(e) else { return None };
        let name = self.symbol(env, ident);
        let innermost = env.locals.get(env.scope_start..)?;
        let (_, id) = innermost.iter().rev().find(|(n, _)| *n == name)?;
        let object = self.object(*id)?;
        object.is_var().then(|| object.ty().clone())
    }

    /// Declares the new variables of `:=` and records the old ones.
    fn define(&self, env: &mut Env, lhs: Vec<ExprId>, types: &[Type], known: &[Option<Type>]) {
        for (i, e) in lhs.into_iter().enumerate() {
            let ty = types.get(i).cloned().unwrap_or_default();
            match self.tree(env).expr(e) {
                Expr::Ident(ident) if known.get(i).is_none_or(Option::is_none) => {
                    self.declare_local(env, ident, ObjKind::Var(VarKind::Local), ty);
                }
                _ => {
                    self.expr(env, e, None);
                }
            }
        }
    }

    fn return_stmt(&self, env: &mut Env, values: List<ExprId>) {
        let tree = self.tree(env);
        let results = env.results.clone();
        if values.len() == 1 && results.len() > 1 {
            if let Some(e) = tree.list_get(values, 0) {
                self.unpack(env, e, results.len());
            }
            return;
        }
        for (i, e) in tree.list(values).enumerate() {
            let target = results.get(i).unwrap_or(&Type::Unknown);
            let mut x = self.expr(env, e, Some(target));
            self.assign_to(env, &mut x, Some(target));
        }
    }

    fn switch(&self, env: &mut Env, tag: Option<ExprId>, clauses: List<ClauseId>) {
        let tree = self.tree(env);
        let tag = match tag {
            Some(tag) => {
                let mut x = self.expr(env, tag, None);
                self.assign_to(env, &mut x, None);
                Some(x)
            }
            None => None,
        };
        for clause in tree.list(clauses) {
            let clause = tree.clause(clause);
            if let ClauseKind::Case(values) = clause.kind {
                for e in tree.list(values) {
                    let mut x = self.expr(env, e, None);
                    let mut against = match &tag {
                        Some(tag) => Operand { expr: None, value: None, mode: Mode::Value, ..tag.clone() },
                        None => Operand::value(Type::BOOL),
                    };
                    self.binary_operands(env, residue_syntax::ast::BinaryOp::Eq, &mut x, &mut against);
                }
            }
            self.scoped(env, |c, env| c.stmts(env, clause.body));
        }
    }

    fn type_switch(&self, env: &mut Env, guard: StmtId, clauses: List<ClauseId>) {
        let tree = self.tree(env);
        let (bound, guarded): (Option<IdentId>, Option<ExprId>) = match tree.stmt(guard) {
            Stmt::Expr(e) => (None, Some(e)),
            Stmt::Assign { lhs, rhs, .. } => {
                let bound = tree.list_get(lhs, 0).and_then(|e| match tree.expr(e) {
                    Expr::Ident(ident) => Some(ident),
                    _ => None,
                });
                (bound, tree.list_get(rhs, 0))
            }
            _ => (None, None),
        };
        let operand = match guarded.map(|e| tree.expr(self.unparen(env, e))) {
            Some(Expr::TypeAssert { x, .. }) => self.typed_expr(env, x).ty,
            _ => Type::Unknown,
        };
        for clause_id in tree.list(clauses) {
            let clause = tree.clause(clause_id);
            let mut only: Option<Type> = None;
            if let ClauseKind::Case(types) = clause.kind {
                for e in tree.list(types) {
                    let ty = self.case_type(env, e);
                    if types.len() == 1 {
                        only = ty;
                    }
                }
            }
            self.scoped(env, |c, env| {
                if let Some(bound) = bound {
                    let ty = only.unwrap_or_else(|| operand.clone());
                    let id = c.add_typed(env, bound, ObjKind::Var(VarKind::Local), ty);
                    let name = c.symbol(env, bound);
                    if !name.is_blank() {
                        env.locals.push((name, id));
                    }
                    if env.record {
                        c.info.borrow_mut().info.clause_vars.insert(clause_id, id);
                    }
                }
                c.stmts(env, clause.body);
            });
        }
    }

    /// The type a case of a type switch names; none for `nil`.
    fn case_type(&self, env: &mut Env, e: ExprId) -> Option<Type> {
        if let Some(ty) = self.try_type(env, e) {
            return Some(ty);
        }
        let x = self.expr(env, e, None);
        match x.mode {
            Mode::Nil => None,
            Mode::Type => Some(x.ty),
            _ => Some(Type::Unknown),
        }
    }

    fn range(&self, env: &mut Env, vars: [Option<ExprId>; 2], define: bool, x: ExprId) {
        let mut operand = self.expr(env, x, None);
        // Ranging over an untyped constant: its type follows from the variable, or is int.
        let untyped_int = operand.ty.is_untyped() && self.all_basic(&operand.ty, &Basic::is_numeric);
        let mut known = [None, None];
        if !define {
            for (slot, var) in known.iter_mut().zip(vars) {
                *slot = var.and_then(|e| self.target(env, e));
            }
        }
        match (&known[0], untyped_int) {
            (Some(ty), true) if !define => {
                let ty = ty.clone();
                self.convert_untyped(env, &mut operand, &ty);
            }
            (_, true) => self.default_type(env, &mut operand),
            // A constant string ranged over keeps its untyped type.
            (_, false) => {}
        }
        let (key, value) = self.range_types(&operand.ty);
        if define {
            let types = [key, value];
            let lhs: Vec<ExprId> = vars.into_iter().flatten().collect();
            self.define(env, lhs, &types, &[]);
        }
    }

    /// The types of the iteration variables when ranging over a value of type `ty`.
    fn range_types(&self, ty: &Type) -> (Type, Type) {
        let unknown = (Type::Unknown, Type::Unknown);
        match self.core_string(ty) {
            Some(Type::Basic(b)) if b.is_string() => (Type::INT, Type::Basic(Basic::Int32)),
            Some(Type::Basic(b)) if b.is_integer() => (ty.clone(), Type::Unknown),
            Some(Type::Array(a)) => (Type::INT, a.elem.clone()),
            Some(Type::Slice(elem)) => (Type::INT, (*elem).clone()),
            Some(Type::Pointer(elem)) => match self.core_type(&elem) {
                Some(Type::Array(a)) => (Type::INT, a.elem.clone()),
                _ => unknown,
            },
            Some(Type::Map(m)) => (m.key.clone(), m.value.clone()),
            Some(Type::Chan(c)) if c.dir != ChanDir::Send => (c.elem.clone(), Type::Unknown),
            Some(Type::Func(s)) => match s.params.first().and_then(|y| self.core_type(y)) {
                Some(Type::Func(yielded)) => {
                    let param = |i: usize| yielded.params.get(i).cloned().unwrap_or_default();
                    (param(0), param(1))
                }
                _ => unknown,
            },
            _ => unknown,
        }
    }
}

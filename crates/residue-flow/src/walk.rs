//! What a node evaluates, and the expressions inside an expression.
//!
//! All walks are iterative: a chain of operators can be as deep as the file is long.

use residue_syntax::ast::{BinaryOp, Decl, Expr, ExprId, File, List, Spec, Stmt, StmtId, UnaryOp};
use rustc_hash::FxHashSet;

use crate::cfg::{Cfg, Node};

/// Lists the expressions that are evaluated at a node, outermost first, those that are set included.
///
/// The body of a function literal is not evaluated where the literal stands; operands of `&&` and `||` that are nodes
/// of their own are not evaluated here; of `go` and `defer`, the operands are, the call is not. `visit` says whether to
/// go into the expression it was given.
pub fn evaluated(file: &File, cfg: &Cfg, node: Node, visit: &mut dyn FnMut(ExprId) -> bool) {
    evaluated_with(file, &cfg.split, node, visit);
}

pub(crate) fn evaluated_with(
    file: &File,
    split: &FxHashSet<ExprId>,
    node: Node,
    visit: &mut dyn FnMut(ExprId) -> bool,
) {
    let mut walk = Walk { file, split, stack: Vec::new(), visit };
    match node {
        Node::Stmt(stmt) => walk.stmt(stmt),
        Node::Eval(x) | Node::Cond(x) | Node::Case { value: x, .. } => walk.expr(x),
        Node::TypeCase { .. } | Node::Bind { .. } | Node::RangeNext(_) | Node::ImplicitReturn(_) => {}
        Node::Comm(stmt) => walk.comm(stmt),
        Node::RangeBind(stmt) => {
            if let Stmt::Range { key, value, .. } = file.stmt(stmt) {
                for target in [key, value].into_iter().flatten() {
                    walk.expr(target);
                }
            }
        }
    }
}

struct Walk<'a> {
    file: &'a File,
    split: &'a FxHashSet<ExprId>,
    stack: Vec<ExprId>,
    visit: &'a mut dyn FnMut(ExprId) -> bool,
}

impl Walk<'_> {
    fn exprs(&mut self, list: List<ExprId>) {
        for expr in self.file.list(list) {
            self.expr(expr);
        }
    }

    /// Visits `root` and everything evaluated inside it.
    fn expr(&mut self, root: ExprId) {
        self.stack.push(root);
        while let Some(expr) = self.stack.pop() {
            if (self.visit)(expr) && !self.split.contains(&expr) {
                push_children(self.file, expr, &mut self.stack);
            }
        }
    }

    fn stmt(&mut self, stmt: StmtId) {
        match self.file.stmt(stmt) {
            Stmt::Expr(x) | Stmt::IncDec { x, .. } => self.expr(x),
            Stmt::Send { ch, value } => {
                self.expr(ch);
                self.expr(value);
            }
            Stmt::Assign { lhs, rhs, .. } => {
                self.exprs(rhs);
                self.exprs(lhs);
            }
            Stmt::Decl(decl) => {
                if let Decl::Gen { specs, .. } = self.file.decl(decl) {
                    for spec in self.file.list(specs) {
                        if let Spec::Value { values, .. } = self.file.spec(spec) {
                            self.exprs(values);
                        }
                    }
                }
            }
            Stmt::Go(call) | Stmt::Defer(call) => match self.file.expr(call) {
                Expr::Call { fun, args, .. } => {
                    self.expr(fun);
                    self.exprs(args);
                }
                _ => self.expr(call),
            },
            Stmt::Return(results) => self.exprs(results),
            _ => {}
        }
    }

    /// The receive's targets; the channel and a sent value were evaluated before the choice.
    fn comm(&mut self, stmt: StmtId) {
        if let Stmt::Assign { lhs, .. } = self.file.stmt(stmt) {
            self.exprs(lhs);
        }
    }
}

/// Visits an expression and all expressions inside it, types included, outermost first and left to right. The bodies of
/// function literals are left out. `visit` says whether to go into the expression it was given.
pub fn expressions(file: &File, root: ExprId, visit: &mut dyn FnMut(ExprId) -> bool) {
    let mut stack = vec![root];
    while let Some(expr) = stack.pop() {
        if visit(expr) {
            push_children(file, expr, &mut stack);
        }
    }
}

/// The expressions directly inside an expression, in source order. Bodies and signatures of function literals, fields
/// of struct types and elements of interface types are left out.
pub fn children(file: &File, expr: ExprId) -> Vec<ExprId> {
    let mut out = Vec::new();
    push_children(file, expr, &mut out);
    out.reverse();
    out
}

/// Pushes the children so that the first is popped first.
fn push_children(file: &File, expr: ExprId, stack: &mut Vec<ExprId>) {
    let push_list = |list: List<ExprId>, stack: &mut Vec<ExprId>| stack.extend(file.list(list).rev());
    match file.expr(expr) {
        Expr::Bad
        | Expr::Ident(_)
        | Expr::BasicLit(_)
        | Expr::FuncLit { .. }
        | Expr::StructType { .. }
        | Expr::FuncType(_)
        | Expr::InterfaceType { .. } => {}
        Expr::CompositeLit { ty, elts, .. } => {
            push_list(elts, stack);
            stack.extend(ty);
        }
        Expr::Paren(x) | Expr::Selector { x, .. } | Expr::Star(x) | Expr::Unary { x, .. } => stack.push(x),
        Expr::Index { x, indices } => {
            push_list(indices, stack);
            stack.push(x);
        }
        Expr::Slice { x, lo, hi, max } => {
            stack.extend([max, hi, lo].into_iter().flatten());
            stack.push(x);
        }
        Expr::TypeAssert { x, ty } => {
            stack.extend(ty);
            stack.push(x);
        }
        Expr::Call { fun, args, .. } => {
            push_list(args, stack);
            stack.push(fun);
        }
        Expr::Binary { x, y, .. } => {
            stack.push(y);
            stack.push(x);
        }
        Expr::KeyValue { key, value } | Expr::MapType { key, value } => {
            stack.push(value);
            stack.push(key);
        }
        Expr::ArrayType { len, elem } => {
            stack.push(elem);
            stack.extend(len);
        }
        Expr::Ellipsis(x) => stack.extend(x),
        Expr::ChanType { elem, .. } => stack.push(elem),
    }
}

/// `x` without parentheses around it.
pub fn unparen(file: &File, mut expr: ExprId) -> ExprId {
    while let Expr::Paren(x) = file.expr(expr) {
        expr = x;
    }
    expr
}

/// The operand `x` of a type switch's guard `v := x.(type)`.
pub(crate) fn guard_operand(file: &File, guard: StmtId) -> Option<ExprId> {
    let expr = match file.stmt(guard) {
        Stmt::Expr(expr) => expr,
        Stmt::Assign { rhs, .. } => file.list_get(rhs, 0)?,
        _ => return None,
    };
    match file.expr(unparen(file, expr)) {
        Expr::TypeAssert { x, .. } => Some(x),
        _ => Some(expr),
    }
}

/// What a select evaluates of a communication before it chooses: the channel, and the value to send.
pub(crate) fn comm_operands(file: &File, comm: StmtId) -> [Option<ExprId>; 2] {
    let received = match file.stmt(comm) {
        Stmt::Send { ch, value } => return [Some(ch), Some(value)],
        Stmt::Expr(x) => Some(x),
        Stmt::Assign { rhs, .. } => file.list_get(rhs, 0),
        _ => None,
    };
    let channel = received.map(|x| match file.expr(unparen(file, x)) {
        Expr::Unary { op: UnaryOp::Recv, x } => x,
        _ => x,
    });
    [channel, None]
}

/// Whether an operator compares for equality, so that neither operand goes anywhere.
pub fn is_equality(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Eq | BinaryOp::Ne)
}

//! What is known on the paths after a resource was acquired: the call succeeded, and the branches that led to it.

use residue_flow::cfg::{Edge, EdgeKind};
use residue_flow::paths::{Path, Step, search};
use residue_flow::{Cfg, Node, Point, walk};
use residue_syntax::ast::{BinaryOp, Expr, ExprId, Stmt};
use residue_types::{Callee, ObjId, Objects};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::context::{FileCx, Flow};

/// What is known after the node at `start`.
pub(crate) struct Assumptions<'a> {
    cx: FileCx<'a>,
    start: Point,
    /// The error of the call; nil.
    error: Option<ObjId>,
    /// The variable with the resource; not nil, not negative.
    value: Option<ObjId>,
    /// Conditions that held or did not hold on the way to the start, as written.
    held: FxHashMap<String, bool>,
    /// Where the error may be another call's.
    error_unknown: FxHashSet<Point>,
    /// Where the variable may hold something else.
    value_unknown: FxHashSet<Point>,
}

impl<'a> Assumptions<'a> {
    pub(crate) fn new(cx: FileCx<'a>, flow: &Flow, start: Point, error: Option<ObjId>, value: Option<ObjId>) -> Self {
        let mut this = Self {
            cx,
            start,
            error,
            value,
            held: FxHashMap::default(),
            error_unknown: FxHashSet::default(),
            value_unknown: FxHashSet::default(),
        };
        this.error_unknown = this.after_writes(flow, error);
        this.value_unknown = this.after_writes(flow, value);
        this.held = this.conditions_before(flow);
        this
    }

    /// Where `var` can hold something other than what the start gave it: what is reached from another assignment
    /// without passing the start.
    fn after_writes(&self, flow: &Flow, var: Option<ObjId>) -> FxHashSet<Point> {
        let cfg = &flow.cfg;
        let mut reached = FxHashSet::default();
        let Some(var) = var else { return reached };
        for &point in self.cx.writes(flow, var).iter().filter(|&&point| point != self.start) {
            let visit = |at, _| {
                // What follows a place that was reached before was reached with it.
                if at == self.start || !reached.insert(at) { Step::Stop } else { Step::Pass }
            };
            search(cfg, point, visit, |_, _| true);
        }
        reached
    }

    fn writes(&self, cfg: &Cfg, node: Node, var: ObjId) -> bool {
        let mut found = false;
        walk::evaluated(self.cx.tree(), cfg, node, &mut |expr, access| {
            found |= access != walk::Access::Read && self.cx.variable(expr) == Some(var);
            // A function literal that sets it counts where it stands.
            if matches!(self.cx.tree().expr(expr), Expr::FuncLit { .. }) {
                let span = self.cx.tree().expr_span(expr);
                found |= self.cx.uses(var).iter().any(|&use_| span.contains(self.cx.tree().expr_span(use_)));
            }
            true
        });
        found
    }

    /// The conditions on every path to the start, where what they speak of is not set again afterwards.
    fn conditions_before(&self, flow: &Flow) -> FxHashMap<String, bool> {
        let cfg = &flow.cfg;
        let mut held = FxHashMap::default();
        let dominators = flow.dominators();
        let mut after = FxHashSet::default();
        let visit = |at, _| {
            if at == self.start {
                return Step::Stop;
            }
            after.insert(at);
            Step::Pass
        };
        search(cfg, self.start, visit, |_, _| true);
        let mut asked: FxHashMap<ObjId, bool> = FxHashMap::default();
        let mut is_set = |var| {
            *asked
                .entry(var)
                .or_insert_with(|| self.cx.writes(flow, var).iter().any(|at| *at == self.start || after.contains(at)))
        };
        let mut at = self.start.block;
        while let Some(up) = dominators.immediate(at) {
            let block = cfg.block(up);
            if let (Some(&Node::Cond(cond)), [a, b]) = (block.nodes.last(), &block.succs[..])
                && a.to != b.to
                && self.is_stable(cond, &mut is_set)
            {
                // Only an edge into a block of its own says something about the condition there.
                let taken = [a, b].into_iter().find(|edge| edge.to == at && cfg.block(at).preds.len() == 1);
                if let Some(edge) = taken {
                    held.entry(self.cx.text(cond).into_owned()).or_insert(edge.kind == EdgeKind::True);
                }
            }
            at = up;
        }
        held
    }

    /// Whether a condition gives the same each time: made of variables that are set nowhere after the start.
    fn is_stable(&self, cond: ExprId, is_set: impl FnMut(ObjId) -> bool) -> bool {
        let tree = self.cx.tree();
        let mut vars = Vec::new();
        let mut pure = true;
        walk::expressions(tree, cond, &mut |expr| {
            match tree.expr(expr) {
                Expr::Ident(_) => vars.extend(self.cx.variable(expr)),
                Expr::Call { .. } | Expr::Unary { op: residue_syntax::ast::UnaryOp::Recv, .. } => {
                    pure &= matches!(self.cx.callee(expr), Callee::Builtin(residue_types::Builtin::Len));
                }
                _ => {}
            }
            true
        });
        pure && !vars.into_iter().any(is_set)
    }

    /// Looks for a path from the start on which what is assumed holds.
    pub(crate) fn search(&self, cfg: &Cfg, visit: impl FnMut(Point, Node) -> Step) -> Option<Path> {
        search(cfg, self.start, visit, |block, edge| self.possible(cfg, block, edge))
    }

    fn possible(&self, cfg: &Cfg, block: residue_flow::BlockId, edge: Edge) -> bool {
        let taken = match edge.kind {
            EdgeKind::True => true,
            EdgeKind::False => false,
            _ => return true,
        };
        let nodes = &cfg.block(block).nodes;
        let at = Point { block, index: nodes.len().saturating_sub(1) as u32 };
        let truth = match nodes.last() {
            Some(&Node::Cond(cond)) => self.truth(at, cond),
            Some(&Node::Case { switch, value }) => self.case_truth(at, switch, value),
            _ => None,
        };
        truth.is_none_or(|truth| truth == taken)
    }

    fn is_error(&self, at: Point, expr: ExprId) -> bool {
        self.error.is_some() && self.cx.variable(expr) == self.error && !self.error_unknown.contains(&at)
    }

    fn is_value(&self, at: Point, expr: ExprId) -> bool {
        self.value.is_some() && self.cx.variable(expr) == self.value && !self.value_unknown.contains(&at)
    }

    /// The value of a condition where it is known.
    fn truth(&self, at: Point, cond: ExprId) -> Option<bool> {
        let tree = self.cx.tree();
        if let Some(&held) = self.held.get(&*self.cx.text(cond)) {
            return Some(held);
        }
        match tree.expr(cond) {
            Expr::Binary { op, x, y, .. } => self.comparison(at, op, x, y),
            Expr::Call { args, .. } => {
                // `errors.Is(err, …)` and `os.IsNotExist(err)` of no error.
                let first = tree.list_get(args, 0)?;
                let Callee::Func(id) = self.cx.callee(cond) else { return None };
                let path = self.cx.pkg.bodies.program().package_path(id.pkg);
                let name = self.cx.pkg.bodies.object(id)?.name.as_str();
                let of_error = match path {
                    "errors" => matches!(name, "Is" | "As"),
                    "os" => name.starts_with("Is") || name == "SameFile",
                    _ => false,
                };
                (of_error && self.is_error(at, first)).then_some(false)
            }
            _ => None,
        }
    }

    fn comparison(&self, at: Point, op: BinaryOp, x: ExprId, y: ExprId) -> Option<bool> {
        if self.cx.is_nil(x) {
            return self.comparison_with(at, op, y, None);
        }
        if self.cx.is_nil(y) {
            return self.comparison_with(at, op, x, None);
        }
        let bound = self.cx.constant_int(y)?;
        self.comparison_with(at, op, x, Some(bound))
    }

    fn comparison_with(&self, at: Point, op: BinaryOp, x: ExprId, bound: Option<i64>) -> Option<bool> {
        match bound {
            None => {
                let equal = match op {
                    BinaryOp::Eq => true,
                    BinaryOp::Ne => false,
                    _ => return None,
                };
                if self.is_error(at, x) {
                    Some(equal)
                } else if self.is_value(at, x) {
                    Some(!equal)
                } else {
                    None
                }
            }
            Some(bound) if self.is_value(at, x) => match (op, bound) {
                (BinaryOp::Lt, 0) | (BinaryOp::Le | BinaryOp::Eq, -1) => Some(false),
                (BinaryOp::Ge, 0) | (BinaryOp::Gt | BinaryOp::Ne, -1) => Some(true),
                _ => None,
            },
            Some(_) => None,
        }
    }

    fn case_truth(&self, at: Point, switch: residue_syntax::ast::StmtId, value: ExprId) -> Option<bool> {
        let Stmt::Switch { tag: Some(tag), .. } = self.cx.tree().stmt(switch) else { return None };
        self.is_error(at, tag).then(|| self.cx.is_nil(value))
    }

    /// Whether the code after the start takes a failure of the call for a mistake: it demands that there is no error, or
    /// gives up where there is one.
    pub(crate) fn wants_success(&self, cfg: &Cfg) -> bool {
        let Some(error) = self.error else { return false };
        let asked = search(
            cfg,
            self.start,
            |at, node| {
                if self.demands_success(cfg, node, error) || self.gives_up(cfg, at, node, error) {
                    Step::Hit
                } else if self.writes(cfg, node, error) {
                    Step::Stop
                } else {
                    Step::Pass
                }
            },
            |_, _| true,
        );
        asked.is_some()
    }

    fn demands_success(&self, cfg: &Cfg, node: Node, error: ObjId) -> bool {
        let tree = self.cx.tree();
        let mut found = false;
        walk::evaluated(tree, cfg, node, &mut |expr, _| {
            found |= match tree.expr(expr) {
                Expr::Call { args, .. } => {
                    self.cx.roles(expr).is_some_and(|roles| roles.expects_success)
                        && tree.list(args).any(|arg| self.cx.variable(arg) == Some(error))
                }
                _ => false,
            };
            !found
        });
        found
    }

    /// Whether a node is the condition `err != nil` or `err == nil`, and where there is an error no path goes on but to a
    /// failure or a return of the error.
    fn gives_up(&self, cfg: &Cfg, at: Point, node: Node, error: ObjId) -> bool {
        let tree = self.cx.tree();
        let Node::Cond(cond) = node else { return false };
        let Expr::Binary { op, x, y, .. } = tree.expr(cond) else { return false };
        let is_error = |expr| self.cx.variable(expr) == Some(error);
        if !((is_error(x) && self.cx.is_nil(y)) || (is_error(y) && self.cx.is_nil(x))) {
            return false;
        }
        let failed = match op {
            BinaryOp::Ne => EdgeKind::True,
            BinaryOp::Eq => EdgeKind::False,
            _ => return false,
        };
        let goes_on = search(
            cfg,
            at,
            |point, node| {
                if point == self.start || self.fails_or_returns(cfg, node, error) {
                    Step::Stop
                } else if self.cx.is_return(node) {
                    Step::Hit
                } else {
                    Step::Pass
                }
            },
            |block, edge| block != at.block || edge.kind == failed,
        );
        goes_on.is_none()
    }

    fn fails_or_returns(&self, cfg: &Cfg, node: Node, error: ObjId) -> bool {
        let tree = self.cx.tree();
        let returns = self.cx.is_return(node);
        let mut found = false;
        walk::evaluated(tree, cfg, node, &mut |expr, _| {
            found |= match tree.expr(expr) {
                Expr::Call { .. } => self.cx.roles(expr).is_some_and(|roles| roles.test_fails),
                Expr::Ident(_) => returns && self.cx.variable(expr) == Some(error),
                _ => false,
            };
            !found
        });
        found
    }

    /// Whether a node shows that the call failed, or a test: no path goes on from there as if it had succeeded.
    pub(crate) fn contradicts(&self, cfg: &Cfg, at: Point, node: Node) -> bool {
        let tree = self.cx.tree();
        let mut found = false;
        walk::evaluated(tree, cfg, node, &mut |expr, _| {
            if let Expr::Call { fun, args, .. } = tree.expr(expr) {
                // `err.Error()` of no error would panic.
                if let Expr::Selector { x, sel } = tree.expr(fun) {
                    found |= tree.ident_text(sel) == "Error" && args.is_empty() && self.is_error(at, x);
                }
                if let Some(roles) = self.cx.roles(expr) {
                    found |= roles.test_fails;
                    found |= roles.expects_error && tree.list(args).any(|arg| self.is_error(at, arg));
                }
            }
            !found
        });
        found
    }
}

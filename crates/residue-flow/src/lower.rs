//! Lowers a function body to three-address code.
//!
//! The order of evaluation is that of the Go specification ("Order of evaluation", "Assignment statements", "For
//! statements", "Calls"): operands left to right, calls, receives and short-circuit operators as written, and
//! assignments in two phases. Where the specification leaves it open whether a variable is read before or after a call
//! that sets it, the operands of one list, and those of what is assigned to, are read after the calls, as Go's compiler
//! does, and all else from left to right.
//!
//! Everything is total: what is broken or untyped becomes [`Op::Opaque`], with the operands that it has.

mod call;
mod expr;
mod literal;
mod stmt;
mod types;

use residue_syntax::ast::{
    AssignOp, Decl, Expr, ExprId, FieldId, File, FuncTypeId, IdentId, List, SpecId, Stmt, StmtId,
};
use residue_syntax::walk::Node as Tree;
use residue_types::{Bodies, FileInfo, Instance, ObjId, Objects, Res, Type};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

use crate::build::{Oracle, build};
use crate::cfg::{BlockId, BlockKind, Cfg, EdgeKind, Node, Point};
use crate::graph;
use crate::ir::{At, Body, Call, CallId, Code, Instr, Op, Panic, Value, Values};
use crate::tree::Parent;

use expr::{Step, Want};

/// Lowers the body of a function declaration or literal of the package's `file`-th file.
///
/// None where `function` has no body. The bodies of literals inside it are lowered apart; they name captured variables
/// as it does ([`captured`]).
pub fn lower(bodies: &Bodies<'_>, file: usize, function: Parent, oracle: &dyn Oracle) -> Option<Body> {
    let tree = bodies.syntax(file);
    let (recv, ty, body) = match function {
        Parent::Decl(decl) => match tree.decl(decl) {
            Decl::Func(func) => (func.recv, func.ty, func.body?),
            _ => return None,
        },
        Parent::Expr(lit) => match tree.expr(lit) {
            Expr::FuncLit { ty, body } => (List::EMPTY, ty, body),
            _ => return None,
        },
        _ => return None,
    };
    let cfg = build(tree, body, oracle);
    let mut lower = Lower::new(bodies, file, &cfg);
    lower.signature(recv, ty);
    lower.blocks();
    let Lower { code, instrs, values, field_indices, calls, params, has_receiver, results, .. } = lower;
    let results = results.iter().map(|result| result.var).collect();
    Some(Body { function, cfg, code, instrs, values, field_indices, calls, params, has_receiver, results })
}

/// The variables of functions around a function literal that it uses, in the order in which it first names them; those
/// used only by literals inside it too.
pub fn captured(bodies: &Bodies<'_>, file: usize, lit: ExprId) -> Vec<ObjId> {
    let (tree, info) = (bodies.syntax(file), bodies.file(file));
    let span = tree.expr_span(lit);
    let mut seen = FxHashSet::default();
    let mut out = Vec::new();
    tree.walk_from(Tree::Expr(lit), |node| {
        if let Tree::Expr(expr) = node
            && let Expr::Ident(ident) = tree.expr(expr)
            && let Res::Use(obj) = info.res(ident)
            && let Some(object) = bodies.object(obj)
            && object.local
            && object.is_var()
            && object.site.is_some_and(|site| !span.contains(tree.ident_span(site.ident)))
            && seen.insert(obj)
        {
            out.push(obj);
        }
        true
    });
    out
}

/// A result of the function.
struct FuncResult<'a> {
    var: Option<ObjId>,
    name: Option<IdentId>,
    ty: &'a Type,
}

/// The state of lowering one body.
struct Lower<'a> {
    bodies: &'a Bodies<'a>,
    tree: &'a File,
    info: &'a FileInfo,
    file: usize,
    /// Whether each round of a loop has variables of its own: since Go 1.22.
    per_iteration: bool,
    cfg: &'a Cfg,
    code: Vec<Code>,
    instrs: Vec<Instr>,
    values: Vec<Value>,
    field_indices: Vec<u32>,
    calls: Vec<Call>,
    params: Vec<Option<ObjId>>,
    has_receiver: bool,
    results: Vec<FuncResult<'a>>,
    /// Values of expressions that are nodes of their own, or that were evaluated before a detour.
    known: FxHashMap<ExprId, Value>,
    /// Addresses of such expressions.
    known_places: FxHashMap<ExprId, Value>,
    /// What [`Node::RangeNext`] gave.
    rounds: FxHashMap<StmtId, Value>,
    /// The range statements by their operands.
    ranges: FxHashMap<ExprId, StmtId>,
    /// Specifications of a declaration that were lowered before a detour.
    declared: FxHashSet<SpecId>,
    /// The operator at which a detour leaves the node being lowered. What comes before it is remembered.
    detour: Option<ExprId>,
    /// Whether that operator was reached: what follows is lowered after the branches, and nothing is emitted now.
    muted: bool,
    /// Chains being walked down, of all expressions in progress.
    spine: Vec<(Step<'a>, ExprId, Want)>,
    /// Lists being put together, likewise.
    pending: Vec<Value>,
    /// The fields of composite literals being put together, likewise.
    pending_fields: Vec<u32>,
    /// How deep expressions in progress nest.
    depth: u32,
    instances: FxHashMap<Arc<Instance>, Type>,
}

/// What stands for a value where nothing is emitted.
const MUTED: Value = Value(u32::MAX);

impl<'a> Lower<'a> {
    fn new(bodies: &'a Bodies<'a>, file: usize, cfg: &'a Cfg) -> Self {
        let version = bodies.sources()[file].go_version;
        Self {
            bodies,
            tree: bodies.syntax(file),
            info: bodies.file(file),
            file,
            per_iteration: (version.major, version.minor) >= (1, 22),
            cfg,
            code: vec![Code::default(); cfg.len()],
            instrs: Vec::new(),
            values: Vec::new(),
            field_indices: Vec::new(),
            calls: Vec::new(),
            params: Vec::new(),
            has_receiver: false,
            results: Vec::new(),
            known: FxHashMap::default(),
            known_places: FxHashMap::default(),
            rounds: FxHashMap::default(),
            ranges: FxHashMap::default(),
            declared: FxHashSet::default(),
            detour: None,
            muted: false,
            spine: Vec::new(),
            pending: Vec::new(),
            pending_fields: Vec::new(),
            depth: 0,
            instances: FxHashMap::default(),
        }
    }

    fn blocks(&mut self) {
        for (_, node) in self.cfg.nodes() {
            if let Node::RangeNext(stmt) = node
                && let Stmt::Range { x, .. } = self.tree.stmt(stmt)
            {
                self.ranges.insert(x, stmt);
            }
        }
        for block in graph::topological(self.cfg) {
            self.block(block);
        }
    }

    fn signature(&mut self, recv: List<FieldId>, ty: FuncTypeId) {
        let ty = self.tree.func_type(ty);
        self.has_receiver = !recv.is_empty();
        for field in self.tree.list(recv).take(1).chain(self.tree.list(ty.params)) {
            let names = self.tree.field(field).names;
            if names.is_empty() {
                self.params.push(None);
            }
            for name in self.tree.list(names) {
                let var = self.variable(name);
                self.params.push(var);
            }
        }
        for field in self.tree.list(ty.results) {
            let field = self.tree.field(field);
            let ty = self.info.type_of(field.ty);
            if field.names.is_empty() {
                self.results.push(FuncResult { var: None, name: None, ty });
            }
            for name in self.tree.list(field.names) {
                self.results.push(FuncResult { var: self.variable(name), name: Some(name), ty });
            }
        }
    }

    /// The variable that an identifier declares or uses; none for `_`.
    fn variable(&self, ident: IdentId) -> Option<ObjId> {
        let id = self.info.object(ident)?;
        (self.tree.ident_text(ident) != "_" && self.bodies.object(id)?.is_var()).then_some(id)
    }

    fn block(&mut self, block: BlockId) {
        let first = self.instrs.len() as u32;
        let data = self.cfg.block(block);
        if block == self.cfg.entry() {
            self.zero_results();
        }
        if let (BlockKind::ForPost | BlockKind::ForHead, Some(stmt)) = (data.kind, data.in_loop) {
            self.next_iteration(stmt, data.kind);
        }
        let mut cond = None;
        for (index, &node) in data.nodes.iter().enumerate() {
            self.detours(Point { block, index: index as u32 });
            cond = self.node(node);
        }
        self.detours(Point { block, index: data.nodes.len() as u32 });
        let decides = data.succs.iter().any(|edge| matches!(edge.kind, EdgeKind::True | EdgeKind::False));
        let end = self.instrs.len() as u32;
        self.code[block.index()] = Code { first, end, cond: cond.filter(|_| decides) };
    }

    fn zero_results(&mut self) {
        for i in 0..self.results.len() {
            let FuncResult { var: Some(var), name: Some(name), .. } = self.results[i] else { continue };
            let at = At::Pos(self.tree.ident(name).pos);
            let value = self.emit(Op::Zero, at);
            self.emit(Op::Store { var, value, declares: true }, at);
        }
    }

    /// Gives the variables of a `for` statement to the next round, as new ones. In a loop without post statement there
    /// is no place of its own for that, and the first round has copies as well.
    fn next_iteration(&mut self, stmt: StmtId, kind: BlockKind) {
        let Stmt::For { init: Some(init), post, .. } = self.tree.stmt(stmt) else { return };
        if !self.per_iteration || post.is_some() != (kind == BlockKind::ForPost) {
            return;
        }
        let Stmt::Assign { lhs, op: AssignOp::Define, .. } = self.tree.stmt(init) else { return };
        for target in self.tree.list(lhs) {
            if let Expr::Ident(ident) = self.tree.expr(target)
                && let Some(var) = self.variable(ident)
            {
                let value = self.emit(Op::Load(var), At::Stmt(init));
                self.emit(Op::Store { var, value, declares: true }, At::Stmt(init));
            }
        }
    }

    /// Evaluates what stands before the operators that leave their nodes here.
    fn detours(&mut self, at: Point) {
        if self.cfg.detours.is_empty() {
            return;
        }
        for detour in self.cfg.detours_at(at) {
            let (instrs, values, fields) = (self.instrs.len(), self.values.len(), self.field_indices.len());
            let (calls, declared) = (self.calls.len(), self.declared.clone());
            self.detour = Some(detour.operator);
            self.node(detour.node);
            self.detour = None;
            if !std::mem::take(&mut self.muted) {
                // The operator stands where nothing is evaluated: this was the whole node, and its turn comes later.
                self.instrs.truncate(instrs);
                self.values.truncate(values);
                self.field_indices.truncate(fields);
                self.calls.truncate(calls);
                self.declared = declared;
                self.known.retain(|_, value| value.index() < instrs);
                self.known_places.retain(|_, value| value.index() < instrs);
            }
        }
    }

    /// Lowers a node; gives what it decides, if it does.
    fn node(&mut self, node: Node) -> Option<Value> {
        match node {
            Node::Stmt(stmt) => self.stmt(stmt),
            Node::Eval(expr) => self.operand(expr),
            Node::Cond(expr) => {
                let value = self.eval(expr, Want::Value);
                if !self.cfg.split.is_empty() && !self.muted {
                    self.known.insert(expr, value);
                }
                return Some(value);
            }
            Node::Case { switch, value } => return Some(self.case(switch, value)),
            Node::TypeCase { switch, ty } => {
                let x = self.switch_operand(switch, At::Expr(ty));
                return Some(self.emit(Op::TypeTest { x, ty }, At::Expr(ty)));
            }
            Node::Bind { switch, clause } => self.bind(switch, clause),
            Node::Comm(stmt) => self.comm(stmt),
            Node::RangeNext(stmt) => self.range_next(stmt),
            Node::RangeBind(stmt) => self.range_bind(stmt),
            Node::ImplicitReturn(pos) => self.bare_return(At::Pos(pos)),
        }
        None
    }

    fn emit(&mut self, op: Op, at: At) -> Value {
        self.emit_panic(op, at, None)
    }

    fn emit_panic(&mut self, op: Op, at: At, panic: Option<Panic>) -> Value {
        if self.muted {
            return MUTED;
        }
        self.instrs.push(Instr { op, at, panic });
        Value::new(self.instrs.len() - 1)
    }

    /// The value list of what was pushed to `pending` since it was `from` long.
    fn list(&mut self, from: usize) -> Values {
        if self.muted {
            self.pending.truncate(from);
            return Values::default();
        }
        let start = self.values.len() as u32;
        self.values.extend(self.pending.drain(from..));
        Values { start, len: self.values.len() as u32 - start }
    }

    fn add_call(&mut self, call: Call) -> CallId {
        if !self.muted {
            self.calls.push(call);
        }
        CallId(self.calls.len().wrapping_sub(1) as u32)
    }

    fn opaque(&mut self, operands: &[Value], at: At) -> Value {
        let from = self.pending.len();
        self.pending.extend_from_slice(operands);
        let values = self.list(from);
        self.emit(Op::Opaque(values), at)
    }

    /// Whether a pointer was just made, and so is not nil.
    fn is_set(&self, pointer: Value) -> bool {
        let instr = self.instrs.get(pointer.index());
        instr.is_some_and(|i| matches!(i.op, Op::Addr(_) | Op::FieldAddr { .. } | Op::IndexAddr { .. } | Op::New(_)))
    }

    fn nil_deref(&self, pointer: Value) -> Option<Panic> {
        (!self.is_set(pointer)).then_some(Panic::NilDeref)
    }
}

#[cfg(test)]
mod tests;

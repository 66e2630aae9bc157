//! Builds the control-flow graph of a function body from its syntax tree.

use residue_syntax::ast::{
    BinaryOp, BlockId as BodyId, BranchKind, ClauseId, ClauseKind, Expr, ExprId, File, List, Name, Stmt, StmtId,
    UnaryOp,
};
use residue_types::{Bodies, Builtin, Callee};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::cfg::{Block, BlockId, BlockKind, Cfg, Detour, Edge, EdgeKind, End, Node, Point};
use crate::{graph, walk};

/// How many operators of a node are told apart by what is evaluated before them. Each costs a look at the whole node;
/// the operands of further ones count as evaluated first.
const DETOURS_MAX: usize = 64;

/// How a call that never returns ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stop {
    /// It panics; deferred calls run, and one of them may recover.
    Panic,
    /// It ends the process; deferred calls do not run.
    Exit,
    /// It ends the goroutine, as `runtime.Goexit` and the failures of a test do; deferred calls run.
    Goexit,
    /// It goes on for ever or ends in a way not known.
    Never,
}

/// What only types and models can tell about a body.
pub trait Oracle {
    /// How a call ends if it never returns.
    fn stops(&self, call: ExprId) -> Option<Stop>;

    /// The value of a constant condition.
    fn constant_bool(&self, expr: ExprId) -> Option<bool>;
}

/// What types alone tell: calls of `panic` that is not shadowed, and constant conditions.
#[derive(Clone, Copy, Debug)]
pub struct Typed<'a> {
    /// The typed bodies of a package.
    pub bodies: &'a Bodies<'a>,
    /// The index of a file in it.
    pub file: usize,
}

impl Oracle for Typed<'_> {
    fn stops(&self, call: ExprId) -> Option<Stop> {
        match self.bodies.callee(self.file, call) {
            Callee::Builtin(Builtin::Panic) => Some(Stop::Panic),
            _ => None,
        }
    }

    fn constant_bool(&self, expr: ExprId) -> Option<bool> {
        self.bodies.file(self.file).value_of(expr)?.as_bool()
    }
}

/// Builds the control-flow graph of a body.
///
/// Function literals inside it are values here; each has a graph of its own.
pub fn build(file: &File, body: BodyId, oracle: &dyn Oracle) -> Cfg {
    let mut builder = Builder {
        file,
        oracle,
        blocks: Vec::new(),
        split: FxHashSet::default(),
        detours: Vec::new(),
        labels: FxHashMap::default(),
        targets: Vec::new(),
        loops: Vec::new(),
        label: None,
        current: None,
        exit: BlockId::new(1),
    };
    builder.current = Some(builder.block(BlockKind::Entry));
    builder.exit = builder.block(BlockKind::Exit);
    builder.blocks[builder.exit.index()].end = End::Exit;
    let data = file.block(body);
    builder.stmts(data.stmts);
    if builder.goes_on() {
        builder.add(Node::ImplicitReturn(data.span.end.saturating_sub(1)));
        builder.jump(builder.exit, EdgeKind::Return);
    }
    builder.finish()
}

/// Where the branch statements inside a statement lead.
struct Target {
    label: Option<Name>,
    brk: BlockId,
    /// Loops have one, switches and selects do not.
    cont: Option<BlockId>,
    /// Body of the next clause of a switch.
    fall: Option<BlockId>,
}

struct Builder<'a> {
    file: &'a File,
    oracle: &'a dyn Oracle,
    blocks: Vec<Block>,
    split: FxHashSet<ExprId>,
    detours: Vec<Detour>,
    labels: FxHashMap<Name, BlockId>,
    targets: Vec<Target>,
    loops: Vec<StmtId>,
    /// Label of the statement that comes next.
    label: Option<Name>,
    /// Where the next node goes; none after a statement that does not go on.
    current: Option<BlockId>,
    exit: BlockId,
}

impl Builder<'_> {
    fn finish(self) -> Cfg {
        let (mut blocks, mut detours) = (self.blocks, self.detours);
        detours.sort_by_key(|detour| detour.at);
        for i in 0..blocks.len() {
            for j in 0..blocks[i].succs.len() {
                let to = blocks[i].succs[j].to;
                blocks[to.index()].preds.push(BlockId::new(i));
            }
            // A label that nobody declares was made by a goto and never filled.
            if blocks[i].kind == BlockKind::Label && blocks[i].succs.is_empty() && blocks[i].end == End::Edges {
                blocks[i].end = End::Broken;
            }
        }
        let mut cfg = Cfg { blocks, exit: self.exit, split: self.split, detours, cyclic: Vec::new() };
        for block in graph::reverse_postorder(&cfg) {
            cfg.blocks[block.index()].live = true;
        }
        cfg.cyclic = graph::cyclic(&cfg);
        cfg
    }

    fn block(&mut self, kind: BlockKind) -> BlockId {
        self.blocks.push(Block {
            kind,
            nodes: Vec::new(),
            end: End::Edges,
            succs: Vec::new(),
            preds: Vec::new(),
            live: false,
            in_loop: self.loops.last().copied(),
        });
        BlockId::new(self.blocks.len() - 1)
    }

    fn edge(&mut self, from: BlockId, to: BlockId, kind: EdgeKind) {
        self.blocks[from.index()].succs.push(Edge { to, kind });
    }

    /// Adds an edge from the current block, if there is one.
    fn leave(&mut self, to: BlockId, kind: EdgeKind) {
        if let Some(from) = self.current {
            self.edge(from, to, kind);
        }
    }

    /// Ends the current block with an edge.
    fn jump(&mut self, to: BlockId, kind: EdgeKind) {
        self.leave(to, kind);
        self.current = None;
    }

    /// Ends the current block and goes on in `next`.
    fn flow_into(&mut self, next: BlockId) {
        self.leave(next, EdgeKind::Next);
        self.current = Some(next);
    }

    /// Ends the current block for good.
    fn end(&mut self, end: End) {
        let here = self.here();
        self.blocks[here.index()].end = end;
        self.current = None;
    }

    /// The current block; a new unreachable one after a statement that did not go on.
    fn here(&mut self) -> BlockId {
        if let Some(current) = self.current {
            return current;
        }
        let block = self.block(BlockKind::Unreachable);
        self.current = Some(block);
        block
    }

    /// Whether control can come to the current block, as far as the blocks made so far tell.
    fn goes_on(&self) -> bool {
        self.current.is_some_and(|at| {
            let block = &self.blocks[at.index()];
            block.kind == BlockKind::Entry
                || !block.nodes.is_empty()
                || self.blocks.iter().any(|b| b.succs.iter().any(|edge| edge.to == at))
        })
    }

    /// Adds a node after the branches inside its expressions, and ends the path if one of its calls does not return.
    fn add(&mut self, node: Node) {
        self.split_operands(node);
        self.push(node);
    }

    fn push(&mut self, node: Node) {
        let here = self.here();
        self.blocks[here.index()].nodes.push(node);
        let mut stop = None;
        let (file, oracle) = (self.file, self.oracle);
        walk::evaluated_with(file, &self.split, node, &mut |expr| {
            if stop.is_none() && matches!(file.expr(expr), Expr::Call { .. }) {
                stop = oracle.stops(expr).map(|how| End::Stop(how, expr));
            }
            true
        });
        if let Some(end) = stop {
            self.end(end);
        }
    }

    /// Makes branches of the `&&` and `||` inside a node whose right operand does something.
    fn split_operands(&mut self, node: Node) {
        let file = self.file;
        let mut found = Vec::new();
        walk::evaluated_with(file, &self.split, node, &mut |expr| {
            if !is_logic(file, expr) {
                return true;
            }
            let effect = has_effect(file, expr);
            if effect {
                found.push(expr);
            }
            false
        });
        // The operands of what is assigned to are evaluated first, too.
        found.sort_by_key(|&expr| file.expr_span(expr).start);
        for (i, expr) in found.into_iter().enumerate() {
            if i < DETOURS_MAX {
                let block = self.here();
                let index = self.blocks[block.index()].nodes.len() as u32;
                self.detours.push(Detour { at: Point { block, index }, node, operator: expr });
            }
            self.split.insert(expr);
            let done = self.block(BlockKind::Logic);
            self.cond(expr, done, done);
            self.current = Some(done);
        }
    }

    /// Evaluates a condition and goes to `yes` or `no`. The current block is ended.
    fn cond(&mut self, expr: ExprId, yes: BlockId, no: BlockId) {
        let (mut expr, mut yes, mut no) = (expr, yes, no);
        loop {
            match self.file.expr(expr) {
                Expr::Paren(x) => expr = x,
                Expr::Unary { op: UnaryOp::Not, x } => {
                    std::mem::swap(&mut yes, &mut no);
                    expr = x;
                }
                Expr::Binary { op: op @ (BinaryOp::LogAnd | BinaryOp::LogOr), .. } => {
                    // A chain of one operator leans left and can be long: flat, not recursive.
                    let mut operands = Vec::new();
                    let mut left = expr;
                    while let Expr::Binary { op: inner, x, y, .. } = self.file.expr(left) {
                        if inner != op {
                            break;
                        }
                        operands.push(y);
                        left = x;
                    }
                    operands.push(left);
                    while let Some(operand) = operands.pop() {
                        if operands.is_empty() {
                            expr = operand;
                            break;
                        }
                        let next = self.block(BlockKind::Logic);
                        if op == BinaryOp::LogAnd {
                            self.cond(operand, next, no);
                        } else {
                            self.cond(operand, yes, next);
                        }
                        self.current = Some(next);
                    }
                }
                _ => break,
            }
        }
        self.add(Node::Cond(expr));
        let constant = self.oracle.constant_bool(expr);
        if constant != Some(false) {
            self.leave(yes, EdgeKind::True);
        }
        if constant != Some(true) {
            self.leave(no, EdgeKind::False);
        }
        self.current = None;
    }

    fn stmts(&mut self, list: List<StmtId>) {
        for stmt in self.file.list(list) {
            self.stmt(stmt);
        }
    }

    fn body(&mut self, body: BodyId) {
        self.stmts(self.file.block(body).stmts);
    }

    fn stmt(&mut self, id: StmtId) {
        let label = self.label.take();
        match self.file.stmt(id) {
            Stmt::Empty => {}
            Stmt::Bad => self.end(End::Broken),
            Stmt::Labeled { label, stmt } => {
                let name = self.file.ident(label).name;
                let start = self.labelled(name);
                // A label used before its declaration was made outside of the loops around the declaration.
                self.blocks[start.index()].in_loop = self.loops.last().copied();
                self.flow_into(start);
                self.label = Some(name);
                self.stmt(stmt);
            }
            Stmt::Expr(_)
            | Stmt::Send { .. }
            | Stmt::IncDec { .. }
            | Stmt::Assign { .. }
            | Stmt::Decl(_)
            | Stmt::Go(_)
            | Stmt::Defer(_) => self.add(Node::Stmt(id)),
            Stmt::Return(_) => {
                self.add(Node::Stmt(id));
                self.jump(self.exit, EdgeKind::Return);
            }
            Stmt::Branch { kind, label } => self.branch(kind, label.map(|l| self.file.ident(l).name)),
            Stmt::Block(body) => {
                // Only `break` with a label leaves a labelled block; that is an error in Go, and broken here.
                self.body(body);
            }
            Stmt::If { .. } => self.if_stmt(id),
            Stmt::Switch { init, tag, clauses, .. } => self.switch(id, label, init, tag, clauses),
            Stmt::TypeSwitch { init, guard, clauses, .. } => self.type_switch(id, label, init, guard, clauses),
            Stmt::Select { clauses, .. } => self.select(label, clauses),
            Stmt::For { init, cond, post, body } => self.for_stmt(id, label, init, cond, post, body),
            Stmt::Range { x, body, .. } => self.range(id, label, x, body),
        }
    }

    fn labelled(&mut self, name: Name) -> BlockId {
        if let Some(&block) = self.labels.get(&name) {
            return block;
        }
        let block = self.block(BlockKind::Label);
        self.labels.insert(name, block);
        block
    }

    fn branch(&mut self, kind: BranchKind, label: Option<Name>) {
        let mut around = self.targets.iter().rev().filter(|t| label.is_none() || t.label == label);
        let to = match kind {
            BranchKind::Break => around.next().map(|t| t.brk),
            BranchKind::Continue => around.find_map(|t| t.cont),
            BranchKind::Fallthrough => self.targets.last().and_then(|t| t.fall),
            BranchKind::Goto => label.map(|name| self.labelled(name)),
        };
        match to {
            Some(to) => self.jump(to, EdgeKind::Next),
            None => self.end(End::Broken),
        }
    }

    fn init(&mut self, init: Option<StmtId>) {
        if let Some(init) = init {
            self.stmt(init);
        }
    }

    fn if_stmt(&mut self, id: StmtId) {
        let done = self.block(BlockKind::IfDone);
        // An else-if chain can be long: a loop, not recursion.
        let mut next = Some(id);
        while let Some(stmt) = next.take() {
            let Stmt::If { init, cond, then, els } = self.file.stmt(stmt) else {
                self.stmt(stmt);
                break;
            };
            self.init(init);
            let yes = self.block(BlockKind::Then);
            let no = if els.is_some() { self.block(BlockKind::Else) } else { done };
            self.cond(cond, yes, no);
            self.current = Some(yes);
            self.body(then);
            self.leave(done, EdgeKind::Next);
            self.current = Some(no);
            next = els;
            if next.is_none() {
                return;
            }
        }
        self.flow_into(done);
    }

    fn for_stmt(
        &mut self,
        id: StmtId,
        label: Option<Name>,
        init: Option<StmtId>,
        cond: Option<ExprId>,
        post: Option<StmtId>,
        body: BodyId,
    ) {
        self.init(init);
        let done = self.block(BlockKind::ForDone);
        self.loops.push(id);
        let head = self.block(BlockKind::ForHead);
        let start = self.block(BlockKind::ForBody);
        let again = if post.is_some() { self.block(BlockKind::ForPost) } else { head };
        self.flow_into(head);
        match cond {
            Some(cond) => self.cond(cond, start, done),
            None => self.edge(head, start, EdgeKind::Next),
        }
        self.targets.push(Target { label, brk: done, cont: Some(again), fall: None });
        self.current = Some(start);
        self.body(body);
        self.targets.pop();
        self.leave(again, EdgeKind::Next);
        if let Some(post) = post {
            self.current = Some(again);
            self.stmt(post);
            self.leave(head, EdgeKind::Next);
        }
        self.loops.pop();
        self.current = Some(done);
    }

    fn range(&mut self, id: StmtId, label: Option<Name>, x: ExprId, body: BodyId) {
        self.add(Node::Eval(x));
        let done = self.block(BlockKind::RangeDone);
        self.loops.push(id);
        let head = self.block(BlockKind::RangeHead);
        let start = self.block(BlockKind::RangeBody);
        self.flow_into(head);
        self.add(Node::RangeNext(id));
        self.edge(head, start, EdgeKind::Each);
        self.edge(head, done, EdgeKind::Done);
        self.targets.push(Target { label, brk: done, cont: Some(head), fall: None });
        self.current = Some(start);
        self.add(Node::RangeBind(id));
        self.body(body);
        self.targets.pop();
        self.leave(head, EdgeKind::Next);
        self.loops.pop();
        self.current = Some(done);
    }

    /// The bodies of a switch's clauses, entered from tests made before.
    fn clause_bodies(
        &mut self,
        label: Option<Name>,
        clauses: &[(ClauseId, BlockId)],
        done: BlockId,
        bind: Option<StmtId>,
    ) {
        for (i, &(clause, start)) in clauses.iter().enumerate() {
            let fall = clauses.get(i + 1).map(|&(_, next)| next);
            self.targets.push(Target { label, brk: done, cont: None, fall });
            self.current = Some(start);
            if let Some(switch) = bind {
                self.add(Node::Bind { switch, clause });
            }
            self.stmts(self.file.clause(clause).body);
            self.targets.pop();
            self.leave(done, EdgeKind::Next);
        }
        self.current = Some(done);
    }

    fn clause_starts(&mut self, clauses: List<ClauseId>, kind: BlockKind) -> Vec<(ClauseId, BlockId)> {
        self.file.list(clauses).map(|clause| (clause, self.block(kind))).collect()
    }

    fn switch(
        &mut self,
        id: StmtId,
        label: Option<Name>,
        init: Option<StmtId>,
        tag: Option<ExprId>,
        clauses: List<ClauseId>,
    ) {
        self.init(init);
        if let Some(tag) = tag {
            self.add(Node::Eval(tag));
        }
        let done = self.block(BlockKind::SwitchDone);
        let starts = self.clause_starts(clauses, BlockKind::CaseBody);
        let mut otherwise = done;
        for &(clause, start) in &starts {
            let ClauseKind::Case(values) = self.file.clause(clause).kind else {
                otherwise = start;
                continue;
            };
            for value in self.file.list(values) {
                let next = self.block(BlockKind::CaseTest);
                if tag.is_some() {
                    self.add(Node::Case { switch: id, value });
                    self.leave(start, EdgeKind::True);
                    self.leave(next, EdgeKind::False);
                } else {
                    self.cond(value, start, next);
                }
                self.current = Some(next);
            }
        }
        self.leave(otherwise, EdgeKind::Next);
        self.clause_bodies(label, &starts, done, None);
    }

    fn type_switch(
        &mut self,
        id: StmtId,
        label: Option<Name>,
        init: Option<StmtId>,
        guard: StmtId,
        clauses: List<ClauseId>,
    ) {
        self.init(init);
        if let Some(x) = walk::guard_operand(self.file, guard) {
            self.add(Node::Eval(x));
        }
        let binds = matches!(self.file.stmt(guard), Stmt::Assign { .. });
        let done = self.block(BlockKind::SwitchDone);
        let starts = self.clause_starts(clauses, BlockKind::CaseBody);
        let mut otherwise = done;
        for &(clause, start) in &starts {
            let ClauseKind::Case(types) = self.file.clause(clause).kind else {
                otherwise = start;
                continue;
            };
            for ty in self.file.list(types) {
                let next = self.block(BlockKind::CaseTest);
                self.push(Node::TypeCase { switch: id, ty });
                self.leave(start, EdgeKind::True);
                self.leave(next, EdgeKind::False);
                self.current = Some(next);
            }
        }
        self.leave(otherwise, EdgeKind::Next);
        self.clause_bodies(label, &starts, done, binds.then_some(id));
    }

    fn select(&mut self, label: Option<Name>, clauses: List<ClauseId>) {
        for clause in self.file.list(clauses) {
            if let ClauseKind::Comm(comm) = self.file.clause(clause).kind {
                for operand in walk::comm_operands(self.file, comm).into_iter().flatten() {
                    self.add(Node::Eval(operand));
                }
            }
        }
        if clauses.is_empty() {
            self.end(End::Blocked);
            return;
        }
        let done = self.block(BlockKind::SelectDone);
        let starts = self.clause_starts(clauses, BlockKind::CommBody);
        for &(clause, start) in &starts {
            self.leave(start, EdgeKind::Comm(clause));
        }
        for &(clause, start) in &starts {
            let data = self.file.clause(clause);
            self.targets.push(Target { label, brk: done, cont: None, fall: None });
            self.current = Some(start);
            if let ClauseKind::Comm(comm) = data.kind {
                self.add(Node::Comm(comm));
            }
            self.stmts(data.body);
            self.targets.pop();
            self.leave(done, EdgeKind::Next);
        }
        self.current = Some(done);
    }
}

fn is_logic(file: &File, expr: ExprId) -> bool {
    matches!(file.expr(expr), Expr::Binary { op: BinaryOp::LogAnd | BinaryOp::LogOr, .. })
}

/// Whether evaluating an expression can do more than give a value: call, wait, or panic.
fn has_effect(file: &File, expr: ExprId) -> bool {
    let mut effect = false;
    walk::expressions(file, expr, &mut |e| {
        effect |= match file.expr(e) {
            Expr::Call { .. }
            | Expr::FuncLit { .. }
            | Expr::Unary { op: UnaryOp::Recv, .. }
            | Expr::Selector { .. }
            | Expr::Star(_)
            | Expr::Index { .. }
            | Expr::Slice { .. }
            | Expr::TypeAssert { .. } => true,
            Expr::Binary { op, .. } => matches!(op, BinaryOp::Div | BinaryOp::Rem | BinaryOp::Shl | BinaryOp::Shr),
            _ => false,
        };
        !effect
    });
    effect
}

#[cfg(test)]
pub(crate) mod tests;

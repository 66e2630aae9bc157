//! The control-flow graph of one function body: blocks, nodes and edges.

use residue_syntax::ast::{ClauseId, ExprId, StmtId};
use rustc_hash::FxHashSet;

use crate::build::Stop;

/// A block of a [`Cfg`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockId(u32);

impl BlockId {
    /// Makes the id of the block at `index`.
    #[inline]
    pub fn new(index: usize) -> Self {
        Self(index as u32)
    }

    /// The block's index in its graph.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A node's place in a graph. The point past the last node of a block is the block's end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Point {
    /// The block.
    pub block: BlockId,
    /// Index among the block's nodes.
    pub index: u32,
}

/// What is evaluated at one step.
///
/// A statement with a body (if, for, switch, …) is not a node: its parts are. [`crate::walk`] lists the expressions
/// that a node evaluates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Node {
    /// A simple statement: expression, send, `++`, assignment, declaration, `go`, `defer`, `return`. Of `go` and
    /// `defer` only the operands of the call are evaluated here.
    Stmt(StmtId),
    /// An operand evaluated on its own: the tag of a switch, the operand of a range or of a type switch, channels and
    /// values of a select.
    Eval(ExprId),
    /// A condition; the block's edges are [`EdgeKind::True`] and [`EdgeKind::False`].
    Cond(ExprId),
    /// Compares a switch's tag with one value of a case.
    Case {
        /// The switch.
        switch: StmtId,
        /// The value.
        value: ExprId,
    },
    /// Tests the operand of a type switch for one type of a case.
    TypeCase {
        /// The type switch.
        switch: StmtId,
        /// The type, or `nil`.
        ty: ExprId,
    },
    /// Sets the variable of a type switch in the clause that was chosen.
    Bind {
        /// The type switch.
        switch: StmtId,
        /// The clause.
        clause: ClauseId,
    },
    /// The communication that a select chose; its operands were evaluated before.
    Comm(StmtId),
    /// Asks a range statement for its next element.
    RangeNext(StmtId),
    /// Sets the iteration variables of a range statement.
    RangeBind(StmtId),
    /// The implicit return at a body's closing brace, with its offset.
    ImplicitReturn(u32),
}

/// Why an edge is taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EdgeKind {
    /// Nothing to decide.
    Next,
    /// The block's condition or case holds.
    True,
    /// The block's condition or case does not hold.
    False,
    /// A range statement has another element.
    Each,
    /// A range statement is at its end.
    Done,
    /// A select chose this clause.
    Comm(ClauseId),
    /// The function returns.
    Return,
}

/// An edge to a successor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Edge {
    /// Where to.
    pub to: BlockId,
    /// Why.
    pub kind: EdgeKind,
}

/// How control leaves a block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum End {
    /// Over one of its edges.
    Edges,
    /// The function has returned; only [`Cfg::exit`] ends so.
    Exit,
    /// Never: its last node makes this call, which does not return.
    Stop(Stop, ExprId),
    /// Never: it waits for ever (`select {}`).
    Blocked,
    /// Unknown: the code is broken here (a `break` outside of a loop, an undefined label, a bad statement).
    Broken,
}

/// What part of a statement a block belongs to; for people reading a dump.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BlockKind {
    /// Start of the body.
    Entry,
    /// Where all returns meet.
    Exit,
    /// Taken branch of an if.
    Then,
    /// Other branch of an if.
    Else,
    /// After an if.
    IfDone,
    /// Head of a for: its condition.
    ForHead,
    /// Body of a for.
    ForBody,
    /// Post statement of a for.
    ForPost,
    /// After a for.
    ForDone,
    /// Head of a range.
    RangeHead,
    /// Body of a range.
    RangeBody,
    /// After a range.
    RangeDone,
    /// Test of a case.
    CaseTest,
    /// Body of a case.
    CaseBody,
    /// After a switch.
    SwitchDone,
    /// Body of a select's case.
    CommBody,
    /// After a select.
    SelectDone,
    /// Start of a labelled statement.
    Label,
    /// Right operand of `&&` or `||`, or what comes after the operator.
    Logic,
    /// After a statement that does not go on.
    Unreachable,
}

/// A run of nodes without branch.
#[derive(Clone, Debug)]
pub struct Block {
    /// What part of a statement it is.
    pub kind: BlockKind,
    /// What it evaluates, in order.
    pub nodes: Vec<Node>,
    /// How control leaves it.
    pub end: End,
    /// Where control goes.
    pub succs: Vec<Edge>,
    /// Where control comes from; a block with two edges here is listed twice.
    pub preds: Vec<BlockId>,
    /// Whether it can be reached from the entry.
    pub live: bool,
    /// The innermost `for` or `range` statement whose head, body or post statement it is part of.
    pub in_loop: Option<StmtId>,
}

/// The place where the branches of a short-circuit operator leave the node that it stands in: what the node evaluates
/// before the operator has to be evaluated there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detour {
    /// Before this node, or at the end of the block.
    pub(crate) at: Point,
    /// The node, evaluated after the branches have met.
    pub(crate) node: Node,
    /// The operator.
    pub(crate) operator: ExprId,
}

/// The control-flow graph of one function body.
#[derive(Clone, Debug)]
pub struct Cfg {
    pub(crate) blocks: Vec<Block>,
    pub(crate) exit: BlockId,
    /// Short-circuit operators in value position whose operands are nodes of their own.
    pub(crate) split: FxHashSet<ExprId>,
    /// Where these branch out of the node that they stand in, sorted by place; outer ones first.
    pub(crate) detours: Vec<Detour>,
    /// Per block, whether it lies on a cycle.
    pub(crate) cyclic: Vec<bool>,
}

impl Cfg {
    /// The block where the body starts.
    pub fn entry(&self) -> BlockId {
        BlockId::new(0)
    }

    /// The empty block where all returns meet.
    pub fn exit(&self) -> BlockId {
        self.exit
    }

    /// The branches that leave nodes at a place, outer ones first.
    pub(crate) fn detours_at(&self, at: Point) -> impl Iterator<Item = Detour> + '_ {
        let from = self.detours.partition_point(|detour| detour.at < at);
        self.detours[from..].iter().copied().take_while(move |detour| detour.at == at)
    }

    /// A block.
    #[inline]
    pub fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.index()]
    }

    /// Number of blocks; [`BlockId`]s index below it.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Never: a graph has an entry and an exit.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// All blocks, in the order of the source as far as there is one.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = (BlockId, &Block)> {
        self.blocks.iter().enumerate().map(|(i, block)| (BlockId::new(i), block))
    }

    /// All nodes with their places.
    pub fn nodes(&self) -> impl Iterator<Item = (Point, Node)> + '_ {
        self.blocks().flat_map(|(block, data)| {
            data.nodes.iter().enumerate().map(move |(i, &node)| (Point { block, index: i as u32 }, node))
        })
    }

    /// The node at a point; none at a block's end.
    pub fn node(&self, at: Point) -> Option<Node> {
        self.block(at.block).nodes.get(at.index as usize).copied()
    }

    /// Whether a path leads from a block back to itself, so that it can run more than once in one call.
    pub fn repeats(&self, block: BlockId) -> bool {
        self.cyclic[block.index()]
    }

    /// Whether the operands of a `&&` or `||` are nodes of their own, although it stands inside another expression.
    pub fn is_split(&self, expr: ExprId) -> bool {
        self.split.contains(&expr)
    }

    /// Whether the function can return at all: by `return` or at its end.
    pub fn returns(&self) -> bool {
        self.block(self.exit).live
    }
}

//! What is asked of a body again and again while it is executed: the order of its blocks, which values and variables
//! outlive the block that sets them.

use std::rc::Rc;

use residue_flow::ir::{self, Op};
use residue_flow::{BlockId, graph};
use residue_types::ObjId;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::context::FileCx;

/// A body that takes part.
pub(super) struct Prepared {
    pub(super) ir: Rc<ir::Body>,
    /// Rank of each block in reverse postorder.
    pub(super) rank: Vec<u32>,
    /// Whether a value is used outside of the block that computes it.
    pub(super) crosses: Vec<bool>,
    /// The variables of this body alone, each with its bit.
    own: FxHashMap<ObjId, usize>,
    /// By block, the bits of the variables that something reads after its start.
    live: Vec<Vec<u64>>,
}

impl Prepared {
    pub(super) fn new(cx: FileCx<'_>, ir: Rc<ir::Body>) -> Self {
        let mut rank = vec![u32::MAX; ir.cfg.len()];
        for (i, block) in graph::reverse_postorder(&ir.cfg).into_iter().enumerate() {
            rank[block.index()] = i as u32;
        }
        let crosses = crossing(&ir);
        let (own, bits) = own_variables(cx, &ir);
        let live = liveness(&ir, &own, bits);
        Self { ir, rank, crosses, own, live }
    }

    /// Whether nobody reads what a variable holds at a block's start.
    pub(super) fn is_dead(&self, block: BlockId, var: ObjId) -> bool {
        self.own.get(&var).is_some_and(|&bit| self.live[block.index()][bit / 64] & (1 << (bit % 64)) == 0)
    }

    /// Whether a variable is this body's alone.
    pub(super) fn is_own(&self, var: ObjId) -> bool {
        self.own.contains_key(&var)
    }
}

/// The variables that a body sets and that nothing else reads: no result, not captured, no address taken. And how many
/// bits are given out.
fn own_variables(cx: FileCx<'_>, ir: &ir::Body) -> (FxHashMap<ObjId, usize>, usize) {
    let mut own: FxHashMap<ObjId, usize> = FxHashMap::default();
    let mut seen = FxHashSet::default();
    for instr in ir.all() {
        match instr.op {
            Op::Store { var, declares: true, .. } => {
                let next = own.len();
                own.entry(var).or_insert(next);
            }
            Op::Addr(var) => _ = seen.insert(var),
            Op::Closure(lit) => seen.extend(cx.captured(lit).iter()),
            _ => {}
        }
    }
    seen.extend(ir.results.iter().flatten());
    let bits = own.len();
    own.retain(|var, _| !seen.contains(var));
    (own, bits)
}

/// Which variables are read after the start of each block before they are set: backwards to a fixed point.
fn liveness(ir: &ir::Body, own: &FxHashMap<ObjId, usize>, bits: usize) -> Vec<Vec<u64>> {
    let words = bits.div_ceil(64);
    let mut live = vec![vec![0u64; words]; ir.cfg.len()];
    if words == 0 {
        return live;
    }
    let order = graph::reverse_postorder(&ir.cfg);
    let mut changed = true;
    while changed {
        changed = false;
        for &block in order.iter().rev() {
            let mut after = vec![0u64; words];
            for edge in &ir.cfg.block(block).succs {
                for (word, next) in after.iter_mut().zip(&live[edge.to.index()]) {
                    *word |= next;
                }
            }
            for (_, instr) in ir.instrs(block).rev() {
                match instr.op {
                    Op::Store { var, .. } => {
                        if let Some(&bit) = own.get(&var) {
                            after[bit / 64] &= !(1 << (bit % 64));
                        }
                    }
                    Op::Load(var) => {
                        if let Some(&bit) = own.get(&var) {
                            after[bit / 64] |= 1 << (bit % 64);
                        }
                    }
                    _ => {}
                }
            }
            if after != live[block.index()] {
                live[block.index()] = after;
                changed = true;
            }
        }
    }
    live
}

/// Which values are used in another block than the one that computes them.
fn crossing(ir: &ir::Body) -> Vec<bool> {
    let mut crosses = vec![false; ir.len()];
    for (block, _) in ir.cfg.blocks() {
        let code = ir.code(block);
        let inside = code.first..code.end;
        let mut used = |value: ir::Value| {
            if !inside.contains(&(value.index() as u32)) {
                crosses[value.index()] = true;
            }
        };
        for (_, instr) in ir.instrs(block) {
            ir.operands(instr.op, &mut used);
        }
        if let Some(cond) = code.cond {
            used(cond);
        }
    }
    crosses
}

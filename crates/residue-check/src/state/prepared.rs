//! What is asked of a body again and again while it is executed: the order of its blocks, which values and variables
//! outlive the block that sets them.

use std::rc::Rc;

use residue_flow::ir::{self, Op};
use residue_flow::{BlockId, graph};
use residue_types::ObjId;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::context::FileCx;

/// Pairs of a block and a variable that lives there which are kept: a long body with many variables that live from one
/// end to the other has more of them than there is memory.
const LIVE_MAX: usize = 1 << 22;

/// A body that takes part.
pub(super) struct Prepared {
    pub(super) ir: Rc<ir::Body>,
    /// Rank of each block in reverse postorder.
    pub(super) rank: Vec<u32>,
    /// Whether a value is used outside of the block that computes it.
    pub(super) crosses: Vec<bool>,
    /// The variables of this body alone, each with its number; not all of a very long body.
    own: FxHashMap<ObjId, u32>,
    /// By block, the numbers of those that something reads after its start, in order.
    live: Vec<Vec<u32>>,
}

impl Prepared {
    pub(super) fn new(cx: FileCx<'_>, ir: Rc<ir::Body>) -> Self {
        let mut rank = vec![u32::MAX; ir.cfg.len()];
        for (i, block) in graph::reverse_postorder(&ir.cfg).into_iter().enumerate() {
            rank[block.index()] = i as u32;
        }
        let crosses = crossing(&ir);
        let mut own = own_variables(cx, &ir);
        let live = liveness(&ir, &mut own);
        Self { ir, rank, crosses, own, live }
    }

    /// Whether nobody reads what a variable holds at a block's start.
    pub(super) fn is_dead(&self, block: BlockId, var: ObjId) -> bool {
        self.own.get(&var).is_some_and(|number| self.live[block.index()].binary_search(number).is_err())
    }

    /// Whether a variable is this body's alone.
    pub(super) fn is_own(&self, var: ObjId) -> bool {
        self.own.contains_key(&var)
    }
}

/// The variables that a body sets and that nothing else reads, numbered: no result, not captured, no address taken.
fn own_variables(cx: FileCx<'_>, ir: &ir::Body) -> FxHashMap<ObjId, u32> {
    let mut declared = Vec::new();
    let mut seen: FxHashSet<ObjId> = ir.results.iter().flatten().copied().collect();
    for instr in ir.all() {
        match instr.op {
            Op::Store { var, declares: true, .. } => declared.push(var),
            Op::Addr(var) => _ = seen.insert(var),
            Op::Closure(lit) => seen.extend(cx.captured(lit).iter()),
            _ => {}
        }
    }
    let own = declared.into_iter().filter(|&var| seen.insert(var));
    own.zip(0..).collect()
}

/// By block, the variables that are read after its start before they are set, in order: found variable by variable,
/// backwards from the blocks that read it. Variables for which the answer would be too long are taken out of `own`, and
/// so are never dead.
fn liveness(ir: &ir::Body, own: &mut FxHashMap<ObjId, u32>) -> Vec<Vec<u32>> {
    let mut live = vec![Vec::new(); ir.cfg.len()];
    let (read, set) = first_uses(ir, own);
    // The last variable for which a block was found to be its end, backwards: it sets it, or was seen before.
    let mut ends = vec![u32::MAX; ir.cfg.len()];
    let mut known = 0;
    for (var, read) in read.iter().enumerate() {
        let var = var as u32;
        for block in read.iter().chain(&set[var as usize]) {
            ends[block.index()] = var;
        }
        let mut found = read.clone();
        let mut at = 0;
        while let Some(&block) = found.get(at).filter(|_| known + found.len() <= LIVE_MAX) {
            at += 1;
            for &before in &ir.cfg.block(block).preds {
                if ir.cfg.block(before).live && std::mem::replace(&mut ends[before.index()], var) != var {
                    found.push(before);
                }
            }
        }
        known += found.len();
        if known > LIVE_MAX {
            own.retain(|_, &mut own| own < var);
            break;
        }
        for block in found {
            live[block.index()].push(var);
        }
    }
    live
}

/// By variable, the blocks that read it before they set it, and those that set it first.
fn first_uses(ir: &ir::Body, own: &FxHashMap<ObjId, u32>) -> (Vec<Vec<BlockId>>, Vec<Vec<BlockId>>) {
    let (mut read, mut set) = (vec![Vec::new(); own.len()], vec![Vec::new(); own.len()]);
    let mut last = vec![None; own.len()];
    for (block, _) in ir.cfg.blocks().filter(|(_, data)| data.live) {
        for (_, instr) in ir.instrs(block) {
            let (var, uses) = match instr.op {
                Op::Load(var) => (var, &mut read),
                Op::Store { var, .. } => (var, &mut set),
                _ => continue,
            };
            if let Some(&var) = own.get(&var)
                && last[var as usize].replace(block) != Some(block)
            {
                uses[var as usize].push(block);
            }
        }
    }
    (read, set)
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

//! Questions to the shape of a graph: order, cycles, dominators.

use crate::cfg::{BlockId, Cfg};

/// The blocks that can be reached from the entry, each before its successors where there is no cycle.
pub fn reverse_postorder(cfg: &Cfg) -> Vec<BlockId> {
    let (mut seen, mut order) = (vec![false; cfg.len()], Vec::with_capacity(cfg.len()));
    postorder(cfg, cfg.entry(), false, &mut seen, &mut order);
    order.reverse();
    order
}

/// All blocks, each before its successors where there is no cycle: those that can be reached from the entry in reverse
/// postorder, with unreachable ones before what they lead to. What a condition leads to comes before what is skipped by
/// it, as in the source.
pub fn topological(cfg: &Cfg) -> Vec<BlockId> {
    let (mut seen, mut order) = (vec![false; cfg.len()], Vec::with_capacity(cfg.len()));
    postorder(cfg, cfg.entry(), true, &mut seen, &mut order);
    let starts = |block: &BlockId| cfg.block(*block).preds.is_empty();
    let all = || (0..cfg.len()).rev().map(BlockId::new);
    // What nothing leads to, then unreachable cycles.
    for block in all().filter(starts).chain(all()) {
        postorder(cfg, block, true, &mut seen, &mut order);
    }
    order.reverse();
    order
}

/// Appends the blocks that can be reached from `root` and were not seen before, over last edges first if `backwards`.
fn postorder(cfg: &Cfg, root: BlockId, backwards: bool, seen: &mut [bool], order: &mut Vec<BlockId>) {
    if std::mem::replace(&mut seen[root.index()], true) {
        return;
    }
    let mut stack = vec![(root, 0)];
    while let Some((block, next)) = stack.last_mut() {
        let succs = &cfg.block(*block).succs;
        if *next < succs.len() {
            let to = succs[if backwards { succs.len() - 1 - *next } else { *next }].to;
            *next += 1;
            if !std::mem::replace(&mut seen[to.index()], true) {
                stack.push((to, 0));
            }
        } else {
            order.push(*block);
            stack.pop();
        }
    }
}

/// Whether each path to a return goes through a block.
pub fn always(cfg: &Cfg, block: BlockId) -> bool {
    let mut seen = vec![false; cfg.len()];
    seen[block.index()] = true;
    postorder(cfg, cfg.entry(), false, &mut seen, &mut Vec::new());
    block == cfg.exit() || !seen[cfg.exit().index()]
}

/// Per block, whether a path leads from it back to itself. Unreachable code is looked at too.
pub(crate) fn cyclic(cfg: &Cfg) -> Vec<bool> {
    // Tarjan's strongly connected components, with an explicit stack.
    const NEW: u32 = u32::MAX;
    let n = cfg.len();
    let mut index = vec![NEW; n];
    let mut low = vec![0u32; n];
    let mut open = vec![false; n];
    let mut out = vec![false; n];
    let mut component = Vec::new();
    let mut count = 0;
    let mut stack = Vec::new();
    for root in 0..n {
        if index[root] != NEW {
            continue;
        }
        stack.push((root, 0));
        while let Some(&mut (v, ref mut next)) = stack.last_mut() {
            if *next == 0 {
                index[v] = count;
                low[v] = count;
                count += 1;
                component.push(v);
                open[v] = true;
            }
            if let Some(edge) = cfg.block(BlockId::new(v)).succs.get(*next) {
                *next += 1;
                let w = edge.to.index();
                if w == v {
                    out[v] = true;
                }
                if index[w] == NEW {
                    stack.push((w, 0));
                } else if open[w] {
                    low[v] = low[v].min(index[w]);
                }
                continue;
            }
            stack.pop();
            if let Some(&(parent, _)) = stack.last() {
                low[parent] = low[parent].min(low[v]);
            }
            if low[v] == index[v] {
                let start = component.iter().rposition(|&w| w == v).unwrap_or(0);
                let alone = component.len() - start == 1;
                for w in component.drain(start..) {
                    open[w] = false;
                    out[w] |= !alone;
                }
            }
        }
    }
    out
}

/// Whether a path leads from a block to another; from each to itself one does.
pub fn leads_to(cfg: &Cfg, from: BlockId, to: BlockId) -> bool {
    let mut entered = vec![false; cfg.len()];
    let mut work = vec![from];
    while let Some(block) = work.pop() {
        if block == to {
            return true;
        }
        if !std::mem::replace(&mut entered[block.index()], true) {
            work.extend(cfg.block(block).succs.iter().map(|edge| edge.to));
        }
    }
    false
}

/// The dominator tree of the reachable blocks.
#[derive(Clone, Debug)]
pub struct Dominators {
    /// Per block, its immediate dominator; none for the entry and for unreachable blocks.
    idom: Vec<Option<BlockId>>,
    /// Per block, its place in reverse postorder.
    order: Vec<u32>,
    /// Per block, its place in a walk of the tree, parents first, and that of the last block below it.
    walk: Vec<(u32, u32)>,
}

impl Dominators {
    /// Computes the dominators of a graph (Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm).
    pub fn new(cfg: &Cfg) -> Self {
        let rpo = reverse_postorder(cfg);
        let mut order = vec![u32::MAX; cfg.len()];
        for (i, block) in rpo.iter().enumerate() {
            order[block.index()] = i as u32;
        }
        let mut this = Self { idom: vec![None; cfg.len()], order, walk: vec![(u32::MAX, 0); cfg.len()] };
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for &block in rpo.iter().skip(1) {
                let mut idom = None;
                for &pred in &cfg.block(block).preds {
                    let known = pred == cfg.entry() || this.idom[pred.index()].is_some();
                    if known && cfg.block(pred).live {
                        idom = Some(idom.map_or(pred, |other| this.meet(other, pred)));
                    }
                }
                if idom != this.idom[block.index()] {
                    this.idom[block.index()] = idom;
                    changed = true;
                }
            }
        }
        this.number(&rpo);
        this
    }

    /// Numbers the tree, so that a block dominates a range of numbers.
    fn number(&mut self, rpo: &[BlockId]) {
        let mut sizes = vec![1; self.idom.len()];
        for &block in rpo.iter().rev() {
            if let Some(up) = self.idom[block.index()] {
                sizes[up.index()] += sizes[block.index()];
            }
        }
        // Where the next child of each block goes.
        let mut free = vec![0; self.idom.len()];
        for &block in rpo {
            let at = self.idom[block.index()].map_or(0, |up| free[up.index()]);
            let size = sizes[block.index()];
            self.walk[block.index()] = (at, at + size - 1);
            free[block.index()] = at + 1;
            if let Some(up) = self.idom[block.index()] {
                free[up.index()] += size;
            }
        }
    }

    fn meet(&self, a: BlockId, b: BlockId) -> BlockId {
        let (mut a, mut b) = (a, b);
        while a != b {
            let (ia, ib) = (self.order[a.index()], self.order[b.index()]);
            let later = if ia > ib { &mut a } else { &mut b };
            match self.idom[later.index()] {
                Some(up) => *later = up,
                None => return a.min(b),
            }
        }
        a
    }

    /// The immediate dominator; none for the entry and for unreachable blocks.
    pub fn immediate(&self, block: BlockId) -> Option<BlockId> {
        self.idom[block.index()]
    }

    /// Whether every path from the entry to `b` passes `a`. Every block dominates itself.
    pub fn dominates(&self, a: BlockId, b: BlockId) -> bool {
        let ((first, last), (at, _)) = (self.walk[a.index()], self.walk[b.index()]);
        a == b || (first..=last).contains(&at)
    }
}

#[cfg(test)]
mod tests;

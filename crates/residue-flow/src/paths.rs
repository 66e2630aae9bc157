//! Searches for a path through a graph.

use crate::cfg::{BlockId, Cfg, Edge, EdgeKind, Node, Point};

/// What a search does at a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Looks further.
    Pass,
    /// Gives this path up.
    Stop,
    /// Has found what it looks for.
    Hit,
}

/// A path that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// The blocks it passes with the edge that leaves each; the last one holds the hit and is not here.
    pub edges: Vec<(BlockId, EdgeKind)>,
    /// Where the search hit.
    pub hit: Point,
}

/// Looks for a shortest path, counted in blocks, from the node after `from` to a node where `visit` hits.
///
/// `follow` says whether an edge can be taken, so that edges known to be impossible on the path are left out. Each block
/// is entered at most once, so the search is linear; the block of `from` can be entered again from its top.
pub fn search(
    cfg: &Cfg,
    from: Point,
    mut visit: impl FnMut(Point, Node) -> Step,
    mut follow: impl FnMut(BlockId, Edge) -> bool,
) -> Option<Path> {
    let mut entered = vec![false; cfg.len()];
    let mut states = vec![State { block: from.block, first: from.index + 1, over: None }];
    let mut at = 0;
    while let Some(&State { block, first, .. }) = states.get(at) {
        let mut open = true;
        for (i, &node) in cfg.block(block).nodes.iter().enumerate().skip(first as usize) {
            let point = Point { block, index: i as u32 };
            match visit(point, node) {
                Step::Pass => {}
                Step::Stop => {
                    open = false;
                    break;
                }
                Step::Hit => return Some(trace(&states, at, point)),
            }
        }
        if open {
            for &edge in &cfg.block(block).succs {
                if !entered[edge.to.index()] && follow(block, edge) {
                    entered[edge.to.index()] = true;
                    states.push(State { block: edge.to, first: 0, over: Some((at, edge.kind)) });
                }
            }
        }
        at += 1;
    }
    None
}

/// A block to look at. The block of the start can be looked at twice.
struct State {
    block: BlockId,
    /// The first node to look at.
    first: u32,
    /// The state it was entered from, and over which edge.
    over: Option<(usize, EdgeKind)>,
}

fn trace(states: &[State], last: usize, hit: Point) -> Path {
    let mut edges = Vec::new();
    let mut at = states[last].over;
    while let Some((i, kind)) = at {
        edges.push((states[i].block, kind));
        at = states[i].over;
    }
    edges.reverse();
    Path { edges, hit }
}

#[cfg(test)]
mod tests;

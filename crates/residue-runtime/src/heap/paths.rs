//! Retained memory by the ways on which it is dominated: the tree of dominators, with equal types of equal parents as one.
//!
//! What a node of this tree has below it would be free without it, so that sums over stacks are what their frames retain:
//! the form that profilers draw.

use rustc_hash::FxHashMap;

use super::{Heap, holds_many};

/// Ways that are told apart; what comes when there are so many counts for what it is below.
const PATHS_MAX: usize = 200_000;
/// Types on a way; what is deeper counts for the last of them.
const DEPTH_MAX: u32 = 100;

/// What is retained, by ways.
#[derive(Clone, Debug, Default)]
pub struct RetainedPaths {
    /// Names of roots and types.
    pub names: Vec<String>,
    /// Ways with what lies at the end of each.
    pub paths: Vec<RetainedPath>,
    /// Objects that count for something above them, because ways were too many or too long.
    pub merged: u64,
}

/// Objects that are dominated in the same way.
#[derive(Clone, Debug)]
pub struct RetainedPath {
    /// Their type, the type of what dominates them, and so on up to the root, as places among the names.
    pub names: Vec<u32>,
    /// How many objects.
    pub objects: u64,
    /// Their own bytes.
    pub bytes: u64,
}

/// A node of the tree that is told.
struct Node {
    parent: u32,
    name: u32,
    depth: u32,
    objects: u64,
    bytes: u64,
}

/// Roots and types by number.
#[derive(Default)]
struct Names {
    all: Vec<String>,
    numbers: FxHashMap<String, u32>,
}

impl Names {
    fn number(&mut self, name: String) -> u32 {
        let next = self.all.len() as u32;
        *self.numbers.entry(name).or_insert_with_key(|name| {
            self.all.push(name.clone());
            next
        })
    }
}

impl Heap<'_> {
    /// What is retained by which way. Of objects of one type that dominate each other (lists, trees) the way has one.
    pub fn retained_paths(&self) -> RetainedPaths {
        let tree = self.dominated();
        let sizes = self.value_sizes();
        let mut names = Names::default();
        // By type, for one value and for several side by side.
        let mut kinds: FxHashMap<(u32, bool), u32> = FxHashMap::default();
        let empty = |name, depth| Node { parent: 0, name, depth, objects: 0, bytes: 0 };
        // Above all, and above what no root alone dominates.
        let mut nodes = vec![empty(0, 0), empty(names.number("(several roots)".to_owned()), 1)];
        let mut children: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        let mut merged = 0;
        // The node of each number that the walk is below.
        let mut above: Vec<u32> = Vec::new();
        tree.walk(&mut |number, enters| {
            if !enters {
                above.pop();
                return;
            }
            let span = tree.object(number).and_then(|object| Some((object, self.spans.span_of(object)?.0)));
            let parent = above.last().copied().unwrap_or(0);
            let parent = if parent == 0 && span.is_some() { 1 } else { parent };
            let name = match (span, tree.root(number)) {
                (Some((object, span)), _) => {
                    let kind = self.graph.kind(object);
                    let many = holds_many(&sizes, span, kind);
                    *kinds.entry((kind, many)).or_insert_with(|| {
                        let many = if many { "[]" } else { "" };
                        names.number(match kind {
                            0 => "(unknown)".to_owned(),
                            kind => format!("{many}{}", self.shape_name(self.graph.shapes()[kind as usize])),
                        })
                    })
                }
                (None, Some(root)) => names.number(self.root_class(root)),
                (None, None) => {
                    above.push(0);
                    return;
                }
            };
            let is_same = parent > 1 && nodes[parent as usize].name == name;
            let node = if is_same {
                parent
            } else if let Some(known) = children.get(&(parent, name)) {
                *known
            } else if nodes.len() > PATHS_MAX || nodes[parent as usize].depth >= DEPTH_MAX {
                merged += u64::from(span.is_some());
                parent
            } else {
                let node = nodes.len() as u32;
                let depth = nodes[parent as usize].depth + 1;
                nodes.push(Node { parent, name, depth, objects: 0, bytes: 0 });
                children.insert((parent, name), node);
                node
            };
            if let Some((_, span)) = span {
                nodes[node as usize].objects += 1;
                nodes[node as usize].bytes += span.element;
            }
            above.push(node);
        });
        let ends = nodes.iter().filter(|node| node.objects > 0 && node.depth > 0);
        let paths = ends.map(|end| {
            let mut path = vec![end.name];
            let mut at = end.parent;
            while at != 0 {
                path.push(nodes[at as usize].name);
                at = nodes[at as usize].parent;
            }
            RetainedPath { names: path, objects: end.objects, bytes: end.bytes }
        });
        let paths = paths.collect();
        RetainedPaths { names: names.all, paths, merged }
    }
}

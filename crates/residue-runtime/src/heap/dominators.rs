//! Dominators: what would be free if an object, a type or a root were gone.
//!
//! An object dominates another if every way from the roots to that one leads through it; what it dominates with itself is
//! what it retains. Immediate dominators are found by the Semi-NCA algorithm (Georgiadis, Tarjan and Werneck, "Finding
//! dominators in practice", Journal of Graph Algorithms and Applications 10, 2006), which takes semidominators from Lengauer
//! and Tarjan ("A fast algorithm for finding dominators in a flowgraph", TOPLAS 1, 1979). Roots of the same variable or
//! goroutine are one node of their own below the root of all.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::graph::Graph;
use super::roots::{From, Root};
use super::{Heap, holds_many};

/// Not visited.
const NOTHING: u32 = u32::MAX;
/// Roots and objects that are told.
const LISTED_MAX: usize = 20;

/// What is retained by what.
#[derive(Clone, Debug, Default)]
pub struct Retained {
    /// By twice the number of the type, and one more for objects that hold several values.
    pub(super) kinds: Vec<u64>,
    /// By root, the largest first: name and bytes.
    pub roots: Vec<(String, u64)>,
    /// By package of the variable, the largest first. What two variables of a package hold together doesn't count.
    pub packages: Vec<(String, u64)>,
    /// The objects that retain most: address, type, bytes.
    pub objects: Vec<(u64, Option<String>, u64)>,
    /// Bytes of all reachable objects.
    pub total: u64,
}

/// The flow graph: the root of all, a node for each group of roots, then objects.
struct Flow<'g> {
    graph: &'g Graph,
    /// Objects that each group of roots leads to.
    groups: Vec<Vec<u32>>,
}

/// Nodes by the order in which a walk in depth meets them.
struct Walk {
    /// The number of each object.
    number: Vec<u32>,
    /// The object or group of each number: groups come first.
    node: Vec<u32>,
    parent: Vec<u32>,
}

/// The tree of dominators: what is below a node would be free without it. Numbers are in the order of a walk in depth; 0 is
/// above all roots.
pub(super) struct Dominated {
    /// The root or object of each number: roots come first.
    node: Vec<u32>,
    /// The immediate dominator of each number.
    dominator: Vec<u32>,
    roots: Vec<From>,
}

impl Flow<'_> {
    /// Edges of a node: 0 is the root of all, then groups, then objects.
    fn group_count(&self) -> u32 {
        self.groups.len() as u32
    }

    fn walk(&self, objects: u32) -> Walk {
        let groups = self.group_count();
        let mut walk = Walk { number: vec![NOTHING; objects as usize], node: vec![0], parent: vec![0] };
        // A node's number, and how many of its edges have been looked at.
        let mut stack: Vec<(u32, u32)> = Vec::new();
        for (group, leads_to) in self.groups.iter().enumerate() {
            let own = walk.node.len() as u32;
            walk.node.push(1 + group as u32);
            walk.parent.push(0);
            for object in leads_to {
                if walk.number[*object as usize] != NOTHING {
                    continue;
                }
                walk.visit(*object, own, groups);
                stack.push((walk.node.len() as u32 - 1, 0));
                while let Some((number, edge)) = stack.last_mut() {
                    let object = walk.node[*number as usize] - 1 - groups;
                    let Some(target) = self.graph.edges(object).get(*edge as usize).copied() else {
                        stack.pop();
                        continue;
                    };
                    *edge += 1;
                    if walk.number[target as usize] == NOTHING {
                        let parent = *number;
                        walk.visit(target, parent, groups);
                        stack.push((walk.node.len() as u32 - 1, 0));
                    }
                }
            }
        }
        walk
    }

    /// Predecessors of each number: where they begin, and all of them.
    fn predecessors(&self, walk: &Walk) -> (Vec<u32>, Vec<u32>) {
        let count = walk.node.len();
        let mut starts = vec![0_u32; count + 1];
        self.each_edge(walk, &mut |_, to| starts[to as usize + 1] += 1);
        for index in 0..count {
            starts[index + 1] += starts[index];
        }
        let mut next = starts.clone();
        let mut all = vec![0_u32; starts[count] as usize];
        self.each_edge(walk, &mut |from, to| {
            let at = &mut next[to as usize];
            all[*at as usize] = from;
            *at += 1;
        });
        (starts, all)
    }

    fn each_edge(&self, walk: &Walk, f: &mut dyn FnMut(u32, u32)) {
        let groups = self.group_count();
        for (number, node) in walk.node.iter().enumerate().skip(1) {
            let targets = match node.checked_sub(1 + groups) {
                Some(object) => self.graph.edges(object),
                None => {
                    f(0, number as u32);
                    &self.groups[*node as usize - 1]
                }
            };
            for target in targets {
                f(number as u32, walk.number[*target as usize]);
            }
        }
    }
}

impl Walk {
    fn visit(&mut self, object: u32, parent: u32, groups: u32) {
        self.number[object as usize] = self.node.len() as u32;
        self.node.push(1 + groups + object);
        self.parent.push(parent);
    }
}

/// The immediate dominator of each number.
fn dominators(parent: &[u32], starts: &[u32], all: &[u32]) -> Vec<u32> {
    let count = parent.len();
    let mut semi: Vec<u32> = (0..count as u32).collect();
    let mut label = semi.clone();
    let mut ancestor = parent.to_vec();
    let mut path: Vec<u32> = Vec::new();
    for node in (1..count as u32).rev() {
        let mut best = parent[node as usize];
        for from in &all[starts[node as usize] as usize..starts[node as usize + 1] as usize] {
            let candidate = if *from <= node {
                *from
            } else {
                // Compress the path up to the nodes that aren't linked yet.
                path.clear();
                let mut at = *from;
                while ancestor[at as usize] > node {
                    path.push(at);
                    at = ancestor[at as usize];
                }
                let (mut least, top) = (label[at as usize], ancestor[at as usize]);
                for below in path.iter().rev() {
                    if semi[label[*below as usize] as usize] < semi[least as usize] {
                        least = label[*below as usize];
                    } else {
                        label[*below as usize] = least;
                    }
                    ancestor[*below as usize] = top;
                }
                semi[label[*from as usize] as usize]
            };
            best = best.min(candidate);
        }
        semi[node as usize] = best;
        label[node as usize] = node;
    }
    drop((label, ancestor));
    let mut dominator = parent.to_vec();
    for node in 1..count {
        let mut at = dominator[node];
        while at > semi[node] {
            at = dominator[at as usize];
        }
        dominator[node] = at;
    }
    dominator
}

impl Heap<'_> {
    /// The tree of dominators of all that roots lead to.
    pub(super) fn dominated(&self) -> Dominated {
        let (groups, roots) = self.groups();
        let flow = Flow { graph: &self.graph, groups };
        let walk = flow.walk(self.spans.objects);
        let (starts, all) = flow.predecessors(&walk);
        let dominator = dominators(&walk.parent, &starts, &all);
        Dominated { node: walk.node, dominator, roots }
    }

    /// What would be free without objects, types and roots.
    pub fn retained(&self) -> Retained {
        let tree = self.dominated();
        let object = |number: usize| tree.object(number);
        let mut bytes: Vec<u64> = (0..tree.node.len())
            .map(|number| {
                object(number).and_then(|object| self.spans.span_of(object)).map_or(0, |(span, _)| span.element)
            })
            .collect();
        for number in (1..bytes.len()).rev() {
            bytes[tree.dominator[number] as usize] += bytes[number];
        }
        let mut found = Retained { total: bytes[0], ..Retained::default() };
        self.by_kind(&tree, &bytes, &mut found);
        let mut packages: BTreeMap<String, u64> = BTreeMap::new();
        for (number, bytes) in bytes.iter().enumerate() {
            let Some(from) = tree.root(number) else { continue };
            found.roots.push((self.root_class(from), *bytes));
            if let Some(package) = self.package_of(from) {
                *packages.entry(package).or_default() += bytes;
            }
        }
        found.packages = packages.into_iter().collect();
        for list in [&mut found.roots, &mut found.packages] {
            list.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
            list.truncate(LISTED_MAX);
        }
        let mut largest: Vec<usize> = (1..bytes.len()).filter(|number| object(*number).is_some()).collect();
        let wanted = LISTED_MAX.min(largest.len());
        if wanted > 0 {
            largest.select_nth_unstable_by_key(wanted - 1, |number| std::cmp::Reverse(bytes[*number]));
            largest.truncate(wanted);
            largest.sort_by_key(|number| (std::cmp::Reverse(bytes[*number]), *number));
        }
        for number in largest {
            let Some(object) = object(number) else { continue };
            let address = self.spans.extent(object).map_or(0, |(start, _)| start);
            found.objects.push((address, self.object_name(object), bytes[number]));
        }
        found
    }

    /// Objects by the groups of roots that lead to them, and one root of each group.
    fn groups(&self) -> (Vec<Vec<u32>>, Vec<From>) {
        let mut numbers: FxHashMap<From, usize> = FxHashMap::default();
        let (mut groups, mut froms): (Vec<Vec<u32>>, Vec<From>) = (Vec::new(), Vec::new());
        for Root { object, from, .. } in &self.roots {
            let from = self.merged(*from);
            let number = *numbers.entry(from).or_insert_with(|| {
                groups.push(Vec::new());
                froms.push(from);
                groups.len() - 1
            });
            groups[number].push(*object);
        }
        (groups, froms)
    }

    /// Bytes retained by all objects of a type together: those below another of the type count once.
    fn by_kind(&self, tree: &Dominated, bytes: &[u64], found: &mut Retained) {
        let mut kinds = vec![0; 2 * self.graph.shapes().len()];
        let sizes = self.value_sizes();
        // How many nodes of each type lie above.
        let mut above = vec![0_u32; kinds.len()];
        let kind = |number: usize| {
            let object = tree.object(number)?;
            let kind = self.graph.kind(object);
            let many = self.spans.span_of(object).is_some_and(|(span, _)| holds_many(&sizes, span, kind));
            Some(2 * kind as usize + usize::from(many))
        };
        tree.walk(&mut |number, enters| match (kind(number), enters) {
            (Some(kind), true) => {
                if above[kind] == 0 {
                    kinds[kind] += bytes[number];
                }
                above[kind] += 1;
            }
            (Some(kind), false) => above[kind] -= 1,
            (None, _) => {}
        });
        found.kinds = kinds;
    }
}

impl Dominated {
    /// The object of a number; none for roots.
    pub(super) fn object(&self, number: usize) -> Option<u32> {
        self.node[number].checked_sub(1 + self.roots.len() as u32)
    }

    /// The root of a number; none for objects, and for what stands above all roots.
    pub(super) fn root(&self, number: usize) -> Option<From> {
        self.roots.get((self.node[number] as usize).checked_sub(1)?).copied()
    }

    /// Goes through the tree in depth: `visit` is told of each number before those below it, and after.
    pub(super) fn walk(&self, visit: &mut dyn FnMut(usize, bool)) {
        let count = self.dominator.len();
        // Children of each node, by the first one and the next of the same node.
        let (mut first, mut next) = (vec![NOTHING; count], vec![NOTHING; count]);
        for number in (1..count).rev() {
            next[number] = first[self.dominator[number] as usize];
            first[self.dominator[number] as usize] = number as u32;
        }
        let mut at = 0_usize;
        loop {
            visit(at, true);
            let mut step = first[at];
            while step == NOTHING {
                visit(at, false);
                if at == 0 {
                    return;
                }
                step = next[at];
                if step == NOTHING {
                    at = self.dominator[at] as usize;
                    // Its children are done: go on with what is beside it.
                    first[at] = NOTHING;
                }
            }
            at = step as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::dominators;

    /// Dominators by their definition: a node dominates what can't be reached without it.
    fn by_definition(edges: &[(u32, u32)], count: u32) -> Vec<Vec<bool>> {
        let reach = |without: u32| {
            let mut seen = vec![false; count as usize];
            let mut rest = if without == 0 { vec![] } else { vec![0] };
            while let Some(at) = rest.pop() {
                if !std::mem::replace(&mut seen[at as usize], true) {
                    rest.extend(edges.iter().filter(|(from, to)| *from == at && *to != without).map(|(_, to)| *to));
                }
            }
            seen
        };
        let all = reach(u32::MAX);
        (0..count)
            .map(|node| {
                let seen = reach(node);
                (0..count as usize).map(|other| all[other] && !seen[other]).collect()
            })
            .collect()
    }

    #[test]
    fn dominators_are_those_of_the_definition() {
        let mut state = 7_u64;
        let mut random = |below: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % u64::from(below)) as u32
        };
        for round in 0..300 {
            let count = 2 + random(14);
            let edges: Vec<(u32, u32)> =
                (0..count + random(2 * count)).map(|_| (random(count), 1 + random(count - 1))).collect();
            // Number by a walk in depth.
            let (mut number, mut parent, mut order) = (vec![u32::MAX; count as usize], Vec::new(), Vec::new());
            let mut stack = vec![(0_u32, 0_u32)];
            while let Some((node, from)) = stack.pop() {
                if number[node as usize] != u32::MAX {
                    continue;
                }
                number[node as usize] = order.len() as u32;
                parent.push(from);
                order.push(node);
                let own = number[node as usize];
                stack.extend(edges.iter().filter(|(from, _)| *from == node).map(|(_, to)| (*to, own)));
            }
            let (mut starts, mut all) = (vec![0], Vec::new());
            for node in &order {
                let from = edges.iter().filter(|(from, to)| to == node && number[*from as usize] != u32::MAX);
                all.extend(from.map(|(from, _)| number[*from as usize]));
                starts.push(all.len() as u32);
            }
            let found = dominators(&parent, &starts, &all);
            let expected = by_definition(&edges, count);
            for at in 1..order.len() {
                // All that dominate a node: itself, its immediate dominator, and on.
                let (mut chain, mut up) = (vec![at], at);
                while up != 0 {
                    up = found[up] as usize;
                    chain.push(up);
                }
                for other in 0..order.len() {
                    let dominates = expected[order[other] as usize][order[at] as usize];
                    assert_eq!(chain.contains(&other), dominates, "round {round}: {edges:?}");
                }
            }
        }
    }
}

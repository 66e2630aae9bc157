//! What is reachable from which root, by the shortest way.

use std::cell::OnceCell;

use super::graph::Graph;
use super::roots::Root;

const NOTHING: u32 = u32::MAX;
/// Stands for a root's number.
const ROOT: u32 = 1 << 31;
/// Steps towards a root that are gone for one object, before the roots of all are noted.
const STEPS: usize = 64;

/// How each object is reached.
pub(crate) struct Reach {
    /// The object before, or a root.
    parents: Vec<u32>,
    /// The objects that are reached, the nearest first.
    pub(crate) order: Vec<u32>,
    /// The root of each object: without them a long list, asked about whole, would be gone along once for each of its parts.
    roots: OnceCell<Vec<u32>>,
}

/// What leads to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    Root(u32),
    Object(u32),
}

impl Reach {
    pub(crate) fn new(objects: u32) -> Self {
        Self { parents: vec![NOTHING; objects as usize], order: Vec::new(), roots: OnceCell::new() }
    }

    /// Goes breadth first from `roots`, numbered from `first` on, to what isn't reached yet.
    pub(crate) fn from(&mut self, graph: &Graph, roots: &[Root], first: u32) {
        self.roots.take();
        let mut at = self.order.len();
        for (index, root) in roots.iter().enumerate() {
            let number = first.saturating_add(index as u32).min(ROOT - 2);
            self.reach(root.object, ROOT | number);
        }
        while let Some(object) = self.order.get(at).copied() {
            for target in graph.edges(object) {
                self.reach(*target, object);
            }
            at += 1;
        }
    }

    fn reach(&mut self, object: u32, parent: u32) {
        if let Some(known) = self.parents.get_mut(object as usize)
            && *known == NOTHING
        {
            *known = parent;
            self.order.push(object);
        }
    }

    /// What leads to an object; none when nothing does.
    pub(crate) fn parent(&self, object: u32) -> Option<Parent> {
        match *self.parents.get(object as usize)? {
            NOTHING => None,
            root if root & ROOT != 0 => Some(Parent::Root(root & !ROOT)),
            object => Some(Parent::Object(object)),
        }
    }

    /// The root that an object's way begins at.
    pub(crate) fn root(&self, object: u32) -> Option<u32> {
        if self.roots.get().is_none() {
            let mut at = object;
            for _ in 0..STEPS {
                match self.parent(at)? {
                    Parent::Root(root) => return Some(root),
                    Parent::Object(parent) => at = parent,
                }
            }
        }
        let root = *self.roots.get_or_init(|| self.all_roots()).get(object as usize)?;
        (root != NOTHING).then_some(root)
    }

    fn all_roots(&self) -> Vec<u32> {
        let mut roots = vec![NOTHING; self.parents.len()];
        // What leads to an object was reached before it.
        for object in &self.order {
            roots[*object as usize] = match self.parent(*object) {
                Some(Parent::Root(root)) => root,
                Some(Parent::Object(parent)) => roots[parent as usize],
                None => NOTHING,
            };
        }
        roots
    }

    /// The objects on the way to one, from the nearest to it on.
    pub(crate) fn above(&self, object: u32) -> impl Iterator<Item = u32> {
        let above = |object| match self.parent(object)? {
            Parent::Object(parent) => Some(parent),
            Parent::Root(_) => None,
        };
        std::iter::successors(above(object), move |object| above(*object))
    }

    /// The way to an object, itself first, and the root it begins at.
    pub(crate) fn path(&self, object: u32) -> Option<(Vec<u32>, u32)> {
        let path: Vec<u32> = std::iter::once(object).chain(self.above(object)).collect();
        match self.parent(*path.last()?)? {
            Parent::Root(root) => Some((path, root)),
            Parent::Object(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_long_list_have_the_root_of_its_head() {
        let count = 1_000_000;
        let mut reach = Reach::new(count + 1);
        reach.reach(0, ROOT | 3);
        for object in 1..count {
            reach.reach(object, object - 1);
        }
        // Going along it from each would take minutes.
        assert!((0..count).all(|object| reach.root(object) == Some(3)));
        assert_eq!((reach.root(count), reach.root(count + 1)), (None, None));
        assert_eq!(reach.above(2).collect::<Vec<_>>(), [1, 0]);
    }
}

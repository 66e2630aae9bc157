//! What is reachable from which root, by the shortest way.

use super::graph::Graph;
use super::roots::Root;

const NOTHING: u32 = u32::MAX;
/// Stands for a root's number.
const ROOT: u32 = 1 << 31;

/// How each object is reached.
pub(crate) struct Reach {
    /// The object before, or a root.
    parents: Vec<u32>,
    /// The objects that are reached, the nearest first.
    pub(crate) order: Vec<u32>,
}

/// What leads to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    Root(u32),
    Object(u32),
}

impl Reach {
    pub(crate) fn new(objects: u32) -> Self {
        Self { parents: vec![NOTHING; objects as usize], order: Vec::new() }
    }

    /// Goes breadth first from `roots`, numbered from `first` on, to what isn't reached yet.
    pub(crate) fn from(&mut self, graph: &Graph, roots: &[Root], first: u32) {
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
        let mut at = object;
        loop {
            match self.parent(at)? {
                Parent::Root(root) => return Some(root),
                Parent::Object(parent) => at = parent,
            }
        }
    }

    /// The way to an object, itself first, and the root it begins at.
    pub(crate) fn path(&self, object: u32) -> Option<(Vec<u32>, u32)> {
        let mut path = vec![object];
        loop {
            match self.parent(*path.last()?)? {
                Parent::Root(root) => return Some((path, root)),
                Parent::Object(parent) => path.push(parent),
            }
        }
    }
}

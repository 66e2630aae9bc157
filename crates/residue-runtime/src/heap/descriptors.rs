//! Objects that hold descriptors: by the fields that `internal/poll.FD` and cilium/ebpf's `internal/sys.FD` keep the number in.
//!
//! `os.file` and `net.netFD` contain a `poll.FD`; a `*ebpf.Map`, `*ebpf.Program` or link leads to a `sys.FD`. Such objects have
//! a finalizer or a cleanup, by which a stripped program tells their types.

use rustc_hash::FxHashMap;

use super::Heap;
use super::graph::Shape;
use super::rtypes::STRUCT;
use super::specials::Noted;
use crate::gather::gather;

/// Structs in structs that are looked into.
const DEPTH_MAX: usize = 4;
/// Types with the field that has the number.
const HOLDERS: [(&str, &str); 2] = [("poll.FD", "Sysfd"), ("sys.FD", "raw")];
/// Types above the holder that are told.
const ABOVE_MAX: usize = 3;
/// Objects above a holder that are looked at for those that are named.
const STEPS_MAX: usize = 256;
/// Descriptors have numbers below (`fs.nr_open` can't be more).
const NUMBER_MAX: u32 = 1 << 30;

/// An object that holds a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The descriptor's number.
    pub number: u32,
    /// The object's address.
    pub address: u64,
    /// Its type.
    pub kind: Option<String>,
    /// That it holds it is known from its type, not guessed from its first word.
    pub sure: bool,
    /// Types of what leads to it, nearest first.
    pub above: Vec<String>,
    /// The root of its way; none when nothing leads to it any more.
    pub root: Option<String>,
    /// What roots like that are called.
    pub root_class: Option<String>,
}

impl Heap<'_> {
    /// Numbers of descriptors with the objects that hold them.
    fn numbers(&mut self) -> Vec<(u32, u32, bool)> {
        let mut wanted: FxHashMap<u32, (u64, u64)> = FxHashMap::default();
        for (number, shape) in self.graph.shapes().to_vec().into_iter().enumerate() {
            if let Shape::Of(kind) = shape
                && let Some(found) = self.number_in(kind, DEPTH_MAX)
            {
                wanted.insert(number as u32, found);
            }
        }
        let mut objects: Vec<(u32, bool)> = Vec::new();
        let mut places: Vec<(u64, usize)> = Vec::new();
        for span in &self.spans.all {
            for object in self.spans.allocated(span).map(|index| span.first + index) {
                let Some((offset, size)) = wanted.get(&self.graph.kind(object)).filter(|_| !wanted.is_empty()) else {
                    continue;
                };
                let start = self.spans.extent(object).map_or(0, |(start, _)| start);
                objects.push((object, true));
                places.push((start + offset, *size as usize));
            }
        }
        // Where cleanups don't tell types, the first word is all there is to go by.
        for special in &self.specials {
            if matches!(special.noted, Noted::Cleanup { .. }) && self.graph.kind(special.object) == 0 {
                objects.push((special.object, false));
                places.push((self.spans.extent(special.object).map_or(0, |(start, _)| start), 8));
            }
        }
        let mut found = Vec::new();
        gather(self.target, &places, &mut |index, bytes| {
            if bytes.len() < places[index].1 {
                return;
            }
            let mut number = [0; 8];
            number[..bytes.len().min(8)].copy_from_slice(&bytes[..bytes.len().min(8)]);
            let number = i64::from_le_bytes(number);
            let (object, sure) = objects[index];
            let number = u32::try_from(number).ok().filter(|number| *number < NUMBER_MAX && (sure || *number > 0));
            found.extend(number.map(|number| (number, object, sure)));
        });
        found.sort_unstable();
        found
    }

    /// Where in a value the number is, and its bytes.
    fn number_in(&mut self, kind: u64, depth: usize) -> Option<(u64, u64)> {
        let depth = depth.checked_sub(1)?;
        if self.types.get(kind)?.kind != STRUCT {
            return None;
        }
        let name = self.types.name(kind).unwrap_or_default();
        let holder = HOLDERS.iter().find(|(holder, _)| *holder == name);
        let fields = self.types.fields(kind);
        if let Some((_, field)) = holder {
            let field = fields.iter().find(|found| found.name == *field)?;
            return Some((field.offset, self.types.size(field.kind)?.min(8)));
        }
        fields.iter().find_map(|field| {
            let (offset, size) = self.number_in(field.kind, depth)?;
            Some((field.offset.checked_add(offset)?, size))
        })
    }

    /// The objects that hold descriptors, by number.
    pub fn holders(&mut self) -> Vec<Holder> {
        let numbers = self.numbers();
        let holder = |(number, object, sure): (u32, u32, bool)| {
            let above = self.reach.above(object).take(STEPS_MAX).filter(|object| !self.is_internal(*object));
            let above: Vec<String> = above.filter_map(|object| self.object_name(object)).take(ABOVE_MAX).collect();
            let from = self.reach.root(object).map(|root| self.roots[root as usize].from);
            Holder {
                number,
                address: self.spans.extent(object).map_or(0, |(start, _)| start),
                kind: self.object_name(object),
                sure,
                above,
                root: from.map(|from| self.root_name(from)),
                root_class: from.map(|from| self.root_class(from)),
            }
        };
        numbers.into_iter().map(holder).collect()
    }

    /// The objects that hold one descriptor.
    pub fn objects_of_descriptor(&mut self, number: u32) -> Vec<u32> {
        let numbers = self.numbers();
        let sure = numbers.iter().any(|(found, _, sure)| *found == number && *sure);
        let objects = numbers.into_iter().filter(|(found, _, known)| *found == number && *known == sure);
        objects.map(|(_, object, _)| object).collect()
    }

    /// Parts of maps that the program doesn't see.
    pub(super) fn is_internal(&self, object: u32) -> bool {
        match self.graph.shape(object).map(|(shape, _)| shape) {
            Some(Shape::Directory(_) | Shape::Table(_)) => true,
            Some(Shape::Of(kind)) => self.types.is_cells(kind),
            _ => false,
        }
    }
}

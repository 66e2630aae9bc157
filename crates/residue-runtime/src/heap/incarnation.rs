//! Whether what lies at an address is still the same object.
//!
//! Nothing numbers objects. What is freed is freed by the sweep of its span (`sweepone`, `runtime/mgcsweep.go`), which takes the
//! marks of the collection for the bits of what is allocated and begins to hand out free places from the first one on. So an
//! object with its bit set was there at the last sweep, and one without it, but before the index of what is handed out next, has
//! been allocated since.

use super::Heap;
use super::graph::{Shape, Sure};
use super::spans::Marked;

/// An object, as far as it can be told from another at the same address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incarnation {
    /// Where it begins.
    pub address: u64,
    /// Its bytes, as they are rounded up.
    pub bytes: u64,
    /// The collector looks for pointers in it.
    pub pointers: bool,
    /// Its type, where the runtime itself notes that.
    pub kind: Option<String>,
    /// Sweeps of its span that there were, counted from the program's start.
    pub sweeps: u32,
    /// It was allocated after the last of them.
    pub young: bool,
}

/// What two looks at one address say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sameness {
    /// It is the same object.
    Same,
    /// Two or more sweeps came between: if the first freed it, another one of its type may have been there at the second.
    Maybe,
    /// It is another object; by what that is known.
    Other(&'static str),
}

impl Incarnation {
    /// Whether this is what another look, later, has found at the same address.
    pub fn is_still(&self, later: &Self) -> Sameness {
        if (self.address, self.bytes, self.pointers) != (later.address, later.bytes, later.pointers) {
            return Sameness::Other("size class");
        }
        if self.kind.is_some() && later.kind.is_some() && self.kind != later.kind {
            return Sameness::Other("type");
        }
        match later.sweeps.wrapping_sub(self.sweeps) {
            0 => Sameness::Same,
            _ if later.young => Sameness::Other("allocation bits"),
            1 => Sameness::Same,
            _ => Sameness::Maybe,
        }
    }
}

impl Heap<'_> {
    /// What tells the object that an address lies in from others; none where there is none.
    pub fn incarnation(&self, address: u64) -> Option<Incarnation> {
        let (object, _) = self.spans.object_at(address)?;
        let (span, index) = self.spans.span_of(object)?;
        let (start, bytes) = self.spans.extent(object)?;
        let noted =
            matches!(self.graph.shape(object), Some((shape, Sure::Header)) if !matches!(shape, Shape::Closure(_)));
        Some(Incarnation {
            address: start,
            bytes,
            pointers: span.marked != Marked::NoScan,
            kind: if noted { self.object_name(object) } else { None },
            // A span that is not swept yet was last swept in the cycle before.
            sweeps: (self.spans.sweepgen / 2).wrapping_sub(u32::from(span.unswept)),
            young: !self.spans.was_swept_over(span, index),
        })
    }

    /// Where objects begin.
    pub fn addresses_of(&self, objects: &[u32]) -> Vec<u64> {
        objects.iter().filter_map(|object| self.spans.extent(*object)).map(|(start, _)| start).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_object_at_an_address_is_told_where_it_can_be() {
        let first = Incarnation { address: 64, bytes: 32, pointers: true, kind: None, sweeps: 7, young: true };
        let later = |sweeps, young| Incarnation { sweeps, young, ..first.clone() };
        assert_eq!(first.is_still(&later(7, true)), Sameness::Same);
        // It was there at the only sweep that came between, or it is newer than that.
        assert_eq!(first.is_still(&later(8, false)), Sameness::Same);
        assert_eq!(first.is_still(&later(8, true)), Sameness::Other("allocation bits"));
        // The first of two may have freed it, the second found another one alive.
        assert_eq!(first.is_still(&later(9, false)), Sameness::Maybe);
        assert_eq!(first.is_still(&later(9, true)), Sameness::Other("allocation bits"));
        assert_eq!(first.is_still(&Incarnation { bytes: 48, ..first.clone() }), Sameness::Other("size class"));
        assert_eq!(first.is_still(&Incarnation { pointers: false, ..first.clone() }), Sameness::Other("size class"));
        let typed = |name: &str| Incarnation { kind: Some(name.to_owned()), ..first.clone() };
        assert_eq!(typed("main.T").is_still(&typed("main.U")), Sameness::Other("type"));
        assert_eq!(typed("main.T").is_still(&first), Sameness::Same);
    }
}

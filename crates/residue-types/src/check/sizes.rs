//! Sizes and alignments on a 64-bit machine, as the gc compiler lays types out (go/types gcsizes.go, Go 1.27).

use super::Checker;
use crate::constant::align_up;
use crate::lookup::Objects;
use crate::types::{Basic, Struct, Type};

const WORD: i64 = 8;
/// Types looked at for one size: structs that hold two of another, many times over, have more parts than that.
const SIZES_MAX: u32 = 50_000;

impl Checker<'_> {
    /// Size of a type in bytes, for `unsafe.Sizeof`; none where it depends on a type parameter or something unknown.
    pub(super) fn sizeof(&self, ty: &Type) -> Option<i64> {
        self.sizes_left.set(SIZES_MAX);
        self.size_of(ty)
    }

    /// Alignment of a type in bytes, for `unsafe.Alignof`.
    pub(super) fn alignof(&self, ty: &Type) -> Option<i64> {
        self.sizes_left.set(SIZES_MAX);
        let align = self.align_of(ty);
        (self.sizes_left.get() > 0).then_some(align)
    }

    /// Offset of the field at `index`, for `unsafe.Offsetof`.
    pub(super) fn offsetof(&self, s: &Struct, index: usize) -> Option<i64> {
        self.sizes_left.set(SIZES_MAX);
        self.offset_of(s, index)
    }

    /// Counts one more type looked at; false where that was too many.
    fn look(&self) -> bool {
        let left = self.sizes_left.get();
        self.sizes_left.set(left.saturating_sub(1));
        left > 0
    }

    fn align_of(&self, ty: &Type) -> i64 {
        if !self.look() {
            return 1;
        }
        match self.underlying(ty) {
            Type::Array(a) => self.align_of(&a.elem),
            Type::Struct(s) => {
                if s.fields.is_empty() && self.is_atomic_align64(ty) {
                    return 8;
                }
                s.fields.iter().map(|f| self.deeper(|| self.align_of(&f.ty)).unwrap_or(1)).max().unwrap_or(1).max(1)
            }
            Type::Basic(Basic::Complex64) => 4,
            Type::Basic(Basic::Complex128 | Basic::String) | Type::Slice(_) | Type::Interface(_) => WORD,
            _ => self.size_of(ty).unwrap_or(1).clamp(1, WORD),
        }
    }

    fn is_atomic_align64(&self, ty: &Type) -> bool {
        self.is_named(ty, "sync/atomic", "align64") || self.is_named(ty, "internal/runtime/atomic", "align64")
    }

    fn size_of(&self, ty: &Type) -> Option<i64> {
        if matches!(ty, Type::Param(_)) || !self.look() {
            return None;
        }
        Some(match self.underlying(ty) {
            Type::Basic(b) => match b {
                Basic::Bool | Basic::Int8 | Basic::Uint8 => 1,
                Basic::Int16 | Basic::Uint16 => 2,
                Basic::Int32 | Basic::Uint32 | Basic::Float32 => 4,
                Basic::Complex128 | Basic::String => 2 * WORD,
                _ => WORD,
            },
            Type::Array(a) if a.len >= 0 => self.deeper(|| self.size_of(&a.elem)).flatten()?.checked_mul(a.len)?,
            Type::Slice(_) => 3 * WORD,
            Type::Interface(_) => 2 * WORD,
            Type::Struct(s) => self.struct_size(&s)?,
            Type::Pointer(_) | Type::Func(_) | Type::Map(_) | Type::Chan(_) => WORD,
            _ => return None,
        })
    }

    fn struct_size(&self, s: &Struct) -> Option<i64> {
        let (mut offset, mut align, mut last) = (0i64, 1, 1);
        for field in &s.fields {
            let own = self.align_of(&field.ty);
            align = align.max(own);
            offset = align_up(offset, own);
            last = self.deeper(|| self.size_of(&field.ty)).flatten()?;
            offset = offset.checked_add(last)?;
        }
        // A trailing field of no size gets a byte, so that its address stays inside.
        if offset > 0 && last == 0 {
            offset += 1;
        }
        Some(align_up(offset, align))
    }

    fn offset_of(&self, s: &Struct, index: usize) -> Option<i64> {
        let mut offset = 0i64;
        for (i, field) in s.fields.iter().enumerate() {
            offset = align_up(offset, self.align_of(&field.ty));
            if i == index {
                return Some(offset);
            }
            offset = offset.checked_add(self.size_of(&field.ty)?)?;
        }
        None
    }
}

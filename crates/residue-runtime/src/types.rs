//! Names of types, from the descriptions that stripped programs have too.
//!
//! `internal/abi/type.go`: a type has the offset of its name; a name is a byte of flags, its length, its text.

use residue_gobin::Binary;

use crate::offsets::{Offsets, half};

/// The name has a star too many, so that it can be shared with the pointer's (`TFlagExtraStar`).
const EXTRA_STAR: u8 = 2;
const NAME_BYTES_MAX: u64 = 4096;

/// The name of a type by the address of its description; none when that isn't in the file of the program or a plugin.
pub(crate) fn name(binary: &Binary<'_>, slide: u64, offsets: &Offsets, address: u64) -> Option<String> {
    let address = address.wrapping_sub(slide);
    let (start, _) = binary.types_at(address)?;
    let description = binary.bytes_from(address)?.get(..offsets.type_name + 4)?;
    let at = start.checked_add(u64::from(half(description, offsets.type_name)))?;
    let name = binary.bytes_from(at)?;
    let (mut len, mut used) = (0_u64, 1);
    for shift in [0, 7, 14] {
        let byte = *name.get(used)?;
        used += 1;
        len |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    let text = name.get(used..used.checked_add(len.min(NAME_BYTES_MAX) as usize)?)?;
    let text = String::from_utf8_lossy(text);
    let star = description.get(offsets.type_flags)? & EXTRA_STAR != 0;
    Some(if star { text.strip_prefix('*').unwrap_or(&text).to_owned() } else { text.into_owned() })
}

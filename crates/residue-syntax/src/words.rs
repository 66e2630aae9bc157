//! Looking at eight bytes of source at once.
//!
//! Names and strings are short, and how short is hard for a processor to guess; these functions tell their length in
//! eight bytes without a branch. A word holds the bytes with the first one lowest.

/// Eight bytes.
pub(crate) type Word = u64;

/// The word of which all bytes are `b`.
const fn all(b: u8) -> Word {
    Word::from_le_bytes([b; 8])
}

const HIGH: Word = all(0x80);

/// How many bytes at the beginning of a word are ASCII letters, digits or underscores.
#[inline]
pub(crate) fn ident_len(word: Word) -> usize {
    // Without high bits, adding to each byte never carries into the next one, and the high bit of a sum tells whether
    // the byte was at least 0x80 minus what was added.
    let low = word & !HIGH;
    let at_least = |bytes: Word, bound: u8| bytes + all(0x80 - bound);
    let lower = low | all(0x20);
    let letter = at_least(lower, b'a') & !at_least(lower, b'z' + 1);
    let digit = at_least(low, b'0') & !at_least(low, b'9' + 1);
    let not_underscore = at_least(low ^ all(b'_'), 1);
    first((!(letter | digit) & not_underscore | word) & HIGH)
}

/// How many bytes at the beginning of a word are neither a double quote, a backslash nor a line end.
#[inline]
pub(crate) fn string_len(word: Word) -> usize {
    let low = word & !HIGH;
    let differs = |b: u8| (low ^ all(b)) + all(0x7f);
    // A byte with its high bit is none of them, whatever its other bits.
    first(!(differs(b'"') & differs(b'\\') & differs(b'\n') | word) & HIGH)
}

/// How many bytes at the beginning of a word are tabs.
#[inline]
pub(crate) fn tabs_len(word: Word) -> usize {
    (word ^ all(b'\t')).trailing_zeros() as usize / 8
}

/// Index of the first byte whose high bit is set, or 8.
#[inline]
fn first(marks: Word) -> usize {
    marks.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte, at every place, behind and before bytes that count and that do not.
    fn check(len: fn(Word) -> usize, counts: fn(u8) -> bool) {
        for b in 0..=255 {
            for place in 0..8 {
                for (before, after) in [(b'x', b'x'), (b'x', b'"'), (b'x', 0xff), (b'Z', 0x80), (b'1', 0)] {
                    let mut bytes = [after; 8];
                    bytes[..place].fill(before);
                    bytes[place] = b;
                    let expected = bytes.iter().take_while(|&&b| counts(b)).count();
                    assert_eq!(len(Word::from_le_bytes(bytes)), expected, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn names_end_at_the_first_other_byte() {
        check(ident_len, |b| b.is_ascii_alphanumeric() || b == b'_');
    }

    #[test]
    fn indentation_ends_at_the_first_other_byte() {
        check(tabs_len, |b| b == b'\t');
        assert_eq!(tabs_len(Word::from_le_bytes(*b"\t\t\tx\t\t\t\t")), 3);
    }

    #[test]
    fn strings_end_at_quotes_backslashes_and_line_ends() {
        check(string_len, |b| !matches!(b, b'"' | b'\\' | b'\n'));
    }
}

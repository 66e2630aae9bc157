//! Reading numbers, with all that Go forbids in them.

use crate::lexer::at;
use crate::token::Tok;

/// Reads the number at `start`, which begins with a digit, or a point and a digit. Gives its kind and where it ends;
/// reports problems with their places.
pub(crate) fn read(src: &[u8], start: usize, mut report: impl FnMut(usize, String)) -> (Tok, usize) {
    let mut i = start;
    let mut tok = Tok::Int;
    let mut base = 10;
    // 0 for decimal, '0' for an octal of the old form, else the letter of the prefix.
    let mut prefix = 0;
    let mut digits = Digits::default();
    if at(src, i) != b'.' {
        if at(src, i) == b'0' {
            i += 1;
            (base, prefix) = match at(src, i) | 0x20 {
                b'x' => (16, b'x'),
                b'o' => (8, b'o'),
                b'b' => (2, b'b'),
                _ => (8, b'0'),
            };
            if prefix == b'0' {
                digits.any = true;
            } else {
                i += 1;
            }
        }
        i = digits.read(src, i, base);
    }
    let kind = match prefix {
        b'x' => "hexadecimal literal",
        b'o' | b'0' => "octal literal",
        b'b' => "binary literal",
        _ => "decimal literal",
    };
    if at(src, i) == b'.' {
        tok = Tok::Float;
        if matches!(prefix, b'o' | b'b') {
            report(i, format!("invalid radix point in {kind}"));
        }
        i = digits.read(src, i + 1, base);
    }
    if !digits.any {
        report(i, format!("{kind} has no digits"));
    }
    let exponent = at(src, i) | 0x20;
    if matches!(exponent, b'e' | b'p') {
        if exponent == b'e' && !matches!(prefix, 0 | b'0') {
            report(i, "'e' exponent requires decimal mantissa".into());
        } else if exponent == b'p' && prefix != b'x' {
            report(i, "'p' exponent requires hexadecimal mantissa".into());
        }
        tok = Tok::Float;
        i += 1;
        if matches!(at(src, i), b'+' | b'-') {
            i += 1;
        }
        let mut power = Digits::default();
        i = power.read(src, i, 10);
        digits.separators |= power.separators;
        if !power.any {
            report(i, "exponent has no digits".into());
        }
    } else if prefix == b'x' && tok == Tok::Float {
        report(i, "hexadecimal mantissa requires a 'p' exponent".into());
    }
    if at(src, i) == b'i' {
        tok = Tok::Imag;
        i += 1;
    }
    if let (Tok::Int, Some(invalid)) = (tok, digits.invalid) {
        report(invalid, format!("invalid digit {:?} in {kind}", char::from(at(src, invalid))));
    }
    if digits.separators
        && let Some(n) = misplaced_separator(src.get(start..i).unwrap_or_default())
    {
        report(start + n, "'_' must separate successive digits".into());
    }
    (tok, i)
}

/// What has been seen of a number's digits.
#[derive(Default)]
struct Digits {
    any: bool,
    separators: bool,
    /// The first digit that is too large for the base.
    invalid: Option<usize>,
}

impl Digits {
    /// Reads digits and separators; returns where they end. A base up to ten takes any decimal digit.
    fn read(&mut self, src: &[u8], start: usize, base: u8) -> usize {
        let mut i = start;
        loop {
            match at(src, i) {
                b'_' => self.separators = true,
                b @ b'0'..=b'9' => {
                    self.any = true;
                    if b - b'0' >= base && self.invalid.is_none() {
                        self.invalid = Some(i);
                    }
                }
                b'a'..=b'f' | b'A'..=b'F' if base == 16 => self.any = true,
                _ => return i,
            }
            i += 1;
        }
    }
}

/// The first `_` of a number that does not stand between two digits; a prefix counts as a digit.
fn misplaced_separator(number: &[u8]) -> Option<usize> {
    let prefixed = number.first() == Some(&b'0') && matches!(at(number, 1) | 0x20, b'x' | b'o' | b'b');
    let hexadecimal = prefixed && at(number, 1) | 0x20 == b'x';
    let digit = |b: u8| b.is_ascii_digit() || hexadecimal && b.is_ascii_hexdigit();
    let first = if prefixed { 2 } else { 0 };
    (first..number.len()).find(|&i| {
        number[i] == b'_'
            && !((i == first && prefixed || i > first && digit(number[i - 1])) && digit(at(number, i + 1)))
    })
}

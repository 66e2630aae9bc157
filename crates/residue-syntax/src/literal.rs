//! Values of string and character literals.

use std::borrow::Cow;

/// The bytes a string literal stands for, quotes included in `literal`; none where it is not a valid one. Strings of
/// Go are bytes: an escape may make them invalid UTF-8.
pub fn string_value(literal: &str) -> Option<Cow<'_, [u8]>> {
    let quote = literal.chars().next()?;
    let inner = literal.strip_prefix(quote)?.strip_suffix(quote)?;
    match quote {
        // Carriage returns are not part of a raw string.
        '`' if inner.contains('\r') => Some(Cow::Owned(inner.bytes().filter(|&b| b != b'\r').collect())),
        '`' => Some(Cow::Borrowed(inner.as_bytes())),
        '"' if !inner.contains('\\') => Some(Cow::Borrowed(inner.as_bytes())),
        '"' => {
            let mut value = Vec::with_capacity(inner.len());
            let mut rest = inner;
            while let Some(backslash) = rest.find('\\') {
                value.extend_from_slice(&rest.as_bytes()[..backslash]);
                let (unit, after) = escape(&rest[backslash + 1..], '"')?;
                match unit {
                    Unit::Byte(b) => value.push(b),
                    Unit::Char(c) => value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                rest = after;
            }
            value.extend_from_slice(rest.as_bytes());
            Some(Cow::Owned(value))
        }
        _ => None,
    }
}

/// The number a character literal stands for, quotes included in `literal`; none where it is not a valid one.
pub fn char_value(literal: &str) -> Option<u32> {
    let inner = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    if let Some(escaped) = inner.strip_prefix('\\') {
        return match escape(escaped, '\'')? {
            (Unit::Byte(b), "") => Some(u32::from(b)),
            (Unit::Char(c), "") => Some(u32::from(c)),
            _ => None,
        };
    }
    let mut chars = inner.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c != '\'' && c != '\n' => Some(u32::from(c)),
        _ => None,
    }
}

/// What an escape sequence stands for.
enum Unit {
    Byte(u8),
    Char(char),
}

/// Reads the escape sequence after a backslash, and gives what follows it.
fn escape(text: &str, quote: char) -> Option<(Unit, &str)> {
    let first = text.chars().next()?;
    let rest = &text[first.len_utf8()..];
    let byte = match first {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        _ if first == quote => first as u8,
        '0'..='7' => {
            let value = number(text, 3, 8)?;
            return Some((Unit::Byte(u8::try_from(value).ok()?), &text[3..]));
        }
        'x' => {
            let value = number(rest, 2, 16)?;
            return Some((Unit::Byte(u8::try_from(value).ok()?), &rest[2..]));
        }
        'u' => return Some((Unit::Char(char::from_u32(number(rest, 4, 16)?)?), &rest[4..])),
        'U' => return Some((Unit::Char(char::from_u32(number(rest, 8, 16)?)?), &rest[8..])),
        _ => return None,
    };
    Some((Unit::Byte(byte), rest))
}

/// The number of the first `count` digits.
fn number(text: &str, count: usize, base: u32) -> Option<u32> {
    let digits = text.as_bytes().get(..count)?;
    digits.iter().try_fold(0u32, |value, &b| value.checked_mul(base)?.checked_add(char::from(b).to_digit(base)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_have_the_values_go_gives_them() {
        let cases: &[(&str, Option<&[u8]>)] = &[
            (r#""""#, Some(b"")),
            (r#""abc""#, Some(b"abc")),
            (r#""a\nb\t\"""#, Some(b"a\nb\t\"")),
            (r#""\x00\377\u00e9\U0001F600""#, Some(b"\x00\xff\xc3\xa9\xf0\x9f\x98\x80")),
            ("`raw\\n`", Some(b"raw\\n")),
            ("`a\r\nb`", Some(b"a\nb")),
            (r#""\'""#, None),
            (r#""\400""#, None),
            (r#""\ud800""#, None),
            (r#""\x1""#, None),
            (r#""open"#, None),
            ("\"", None),
            ("", None),
        ];
        for &(literal, value) in cases {
            assert_eq!(string_value(literal).as_deref(), value, "{literal}");
        }
    }

    #[test]
    fn characters_have_the_values_go_gives_them() {
        let cases = [
            ("'a'", Some(97)),
            ("'é'", Some(0xe9)),
            (r"'\''", Some(39)),
            (r"'\x7f'", Some(127)),
            (r"'\377'", Some(255)),
            (r"'\U0010FFFF'", Some(0x0010_ffff)),
            (r"'\U00110000'", None),
            (r#"'\"'"#, None),
            ("''", None),
            ("'ab'", None),
            ("'", None),
        ];
        for (literal, value) in cases {
            assert_eq!(char_value(literal), value, "{literal}");
        }
    }
}

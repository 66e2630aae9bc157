//! The lexer: one token ahead, no token list. Comments go to a list of their own; line ends become semicolons here.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::ast::{Comment, Span, SyntaxError};
use crate::names;
use crate::number;
use crate::token::{Tok, keyword};
use crate::unicode;
use crate::words::{Word, ident_len, string_len, tabs_len};

/// Reading stops after so many errors: what follows would say nothing new.
pub(crate) const MAX_ERRORS: usize = 100;

// What bytes can be. These are bits, tested one by one: a match over classes would become one jump through a table,
// which a processor cannot foresee.
const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const IDENT_PART: u8 = LETTER | DIGIT;
/// Space, tab, carriage return.
const BLANK: u8 = 4;
const LINE_END: u8 = 8;
/// A token by itself, whatever follows: see [`SINGLE`].
const ALONE: u8 = 16;
/// A digit of base 16.
const HEX_DIGIT: u8 = 32;

const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 128 {
        table[b] = match b as u8 {
            b'a'..=b'f' | b'A'..=b'F' => LETTER | HEX_DIGIT,
            b'g'..=b'z' | b'G'..=b'Z' | b'_' => LETTER,
            b'0'..=b'9' => DIGIT | HEX_DIGIT,
            b' ' | b'\t' | b'\r' => BLANK,
            b'(' | b')' | b'[' | b']' | b'{' | b'}' | b',' | b';' | b'~' => ALONE,
            b'\n' => LINE_END,
            _ => 0,
        };
        b += 1;
    }
    table
};

/// The tokens of bytes that are [`ALONE`].
const SINGLE: [Tok; 128] = {
    let mut table = [Tok::Illegal; 128];
    table[b'(' as usize] = Tok::LParen;
    table[b')' as usize] = Tok::RParen;
    table[b'[' as usize] = Tok::LBrack;
    table[b']' as usize] = Tok::RBrack;
    table[b'{' as usize] = Tok::LBrace;
    table[b'}' as usize] = Tok::RBrace;
    table[b',' as usize] = Tok::Comma;
    table[b';' as usize] = Tok::Semi;
    table[b'~' as usize] = Tok::Tilde;
    table
};

#[inline]
fn is(b: u8, class: u8) -> bool {
    CLASS[b as usize] & class != 0
}

/// The byte at `i`; 0 beyond the end. A NUL in the file has been reported before lexing starts.
#[inline]
pub(crate) fn at(src: &[u8], i: usize) -> u8 {
    src.get(i).copied().unwrap_or(0)
}

/// Reads tokens. The fields `tok`, `start` and `end` are the current one.
pub(crate) struct Lexer<'a> {
    /// The file.
    pub(crate) src: &'a [u8],
    /// What is still to be read ends where this ends; emptied to stop early.
    rest: &'a [u8],
    /// Whether that has happened; further errors would be of our making.
    stopped: bool,
    /// Where to read on.
    pos: usize,
    /// Kind of the current token.
    pub(crate) tok: Tok,
    /// Its first byte.
    pub(crate) start: u32,
    /// One past its last byte.
    pub(crate) end: u32,
    /// First eight bytes of the last name or keyword, the first one lowest.
    pub(crate) head: u64,
    /// Its last eight bytes if it has as many, or 0.
    pub(crate) tail: u64,
    /// Whether the current token is a semicolon made of a line end or the end of the file.
    pub(crate) line_end: bool,
    /// All comments met.
    pub(crate) comments: Vec<Comment>,
    /// All errors kept.
    pub(crate) errors: Vec<SyntaxError>,
    /// The line of the last error kept; further ones on it are likely consequences.
    error_line: Span,
}

impl<'a> Lexer<'a> {
    /// Starts before the first token of a file, which is valid UTF-8.
    pub(crate) fn new(src: &'a [u8]) -> Self {
        Self {
            src,
            rest: src,
            stopped: false,
            pos: if src.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 },
            tok: Tok::Eof,
            start: 0,
            end: 0,
            head: 0,
            tail: 0,
            line_end: false,
            comments: Vec::new(),
            errors: Vec::new(),
            error_line: Span::new(1, 0),
        }
    }

    /// Keeps an error, unless it stands on the line of the one before.
    #[cold]
    #[inline(never)]
    pub(crate) fn error(&mut self, pos: usize, message: impl Into<String>) {
        let pos = pos.min(self.src.len());
        if self.stopped || (self.error_line.start as usize..=self.error_line.end as usize).contains(&pos) {
            return;
        }
        let line_start = memchr::memrchr(b'\n', &self.src[..pos]).map_or(0, |i| i + 1);
        let line_end = memchr(b'\n', &self.src[pos..]).map_or(self.src.len(), |i| pos + i);
        self.error_line = Span::new(line_start as u32, line_end as u32);
        self.errors.push(SyntaxError { pos: pos as u32, message: message.into() });
        if self.errors.len() == MAX_ERRORS {
            self.stop();
        }
    }

    /// Makes the next token the end of the file.
    #[cold]
    pub(crate) fn stop(&mut self) {
        self.rest = &[];
        self.stopped = true;
    }

    /// Goes on after a closing brace that ends at `end`, and reads the token after it.
    pub(crate) fn resume_after_brace(&mut self, end: usize) {
        self.set(Tok::RBrace, end - 1, end);
        self.next();
    }

    /// The source of the current token.
    pub(crate) fn spelling(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.src.get(self.start as usize..self.end as usize).unwrap_or_default())
    }

    /// Whether the current token is the first of its line and not indented.
    pub(crate) fn at_line_start(&self) -> bool {
        self.start == 0 || at(self.src, self.start as usize - 1) == b'\n'
    }

    #[inline]
    fn set(&mut self, tok: Tok, start: usize, end: usize) {
        self.tok = tok;
        self.start = start as u32;
        self.end = end as u32;
        self.pos = end;
    }

    /// Makes the current token a semicolon for the line end at `start`, reading on at `pos`.
    #[inline]
    fn set_line_end(&mut self, start: usize, end: usize, pos: usize) {
        self.tok = Tok::Semi;
        self.line_end = true;
        self.start = start as u32;
        self.end = end as u32;
        self.pos = pos;
    }

    /// Reads the next token.
    pub(crate) fn next(&mut self) {
        // What most tokens begin with is told here, in a function that needs no stack frame, with as few branches as
        // can be: what comes next is hard to foresee.
        let src = self.rest;
        let mut i = self.pos;
        loop {
            i += usize::from(at(src, i) == b' ');
            let b = at(src, i);
            if is(b, LETTER) {
                return self.ident(src, i);
            } else if is(b, ALONE) {
                self.line_end = false;
                return self.set(SINGLE[(b & 0x7f) as usize], i, i + 1);
            } else if is(b, LINE_END) {
                let after = after_tabs(src, i + 1);
                if self.tok.ends_statement() {
                    return self.set_line_end(i, i + 1, after);
                }
                i = after;
            } else if b == b'.' && !matches!(at(src, i + 1), b'.' | b'0'..=b'9') {
                return self.set(Tok::Period, i, i + 1);
            } else {
                return self.any_token(src, i);
            }
        }
    }

    /// Reads the next token, whatever it is.
    #[inline(never)]
    fn any_token(&mut self, src: &'a [u8], from: usize) {
        let mut i = from;
        loop {
            let second = || at(src, i + 1);
            let third = || at(src, i + 2);
            let (tok, len) = match at(src, i) {
                b' ' | b'\t' | b'\r' => {
                    i += 1;
                    continue;
                }
                b'\n' => {
                    if self.tok.ends_statement() {
                        return self.set_line_end(i, i + 1, i + 1);
                    }
                    i += 1;
                    continue;
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => return self.ident(src, i),
                b'0'..=b'9' => return self.number(src, i),
                b'"' => return self.string(src, i),
                b'`' => return self.raw_string(src, i),
                b'\'' => return self.rune(src, i),
                b @ (b'(' | b')' | b'[' | b']' | b'{' | b'}' | b',' | b';' | b'~') => {
                    self.line_end = false;
                    (SINGLE[(b & 0x7f) as usize], 1)
                }
                b'.' => match second() {
                    b'0'..=b'9' => return self.any_number(src, i),
                    b'.' if third() == b'.' => (Tok::Ellipsis, 3),
                    _ => (Tok::Period, 1),
                },
                b':' => match second() {
                    b'=' => (Tok::Define, 2),
                    _ => (Tok::Colon, 1),
                },
                b'=' => match second() {
                    b'=' => (Tok::Eq, 2),
                    _ => (Tok::Assign, 1),
                },
                b'!' => match second() {
                    b'=' => (Tok::Ne, 2),
                    _ => (Tok::Not, 1),
                },
                b'+' => match second() {
                    b'+' => (Tok::Inc, 2),
                    b'=' => (Tok::AddAssign, 2),
                    _ => (Tok::Add, 1),
                },
                b'-' => match second() {
                    b'-' => (Tok::Dec, 2),
                    b'=' => (Tok::SubAssign, 2),
                    _ => (Tok::Sub, 1),
                },
                b'*' => match second() {
                    b'=' => (Tok::MulAssign, 2),
                    _ => (Tok::Mul, 1),
                },
                b'%' => match second() {
                    b'=' => (Tok::RemAssign, 2),
                    _ => (Tok::Rem, 1),
                },
                b'^' => match second() {
                    b'=' => (Tok::XorAssign, 2),
                    _ => (Tok::Xor, 1),
                },
                b'|' => match second() {
                    b'|' => (Tok::LogOr, 2),
                    b'=' => (Tok::OrAssign, 2),
                    _ => (Tok::Or, 1),
                },
                b'&' => match (second(), third()) {
                    (b'&', _) => (Tok::LogAnd, 2),
                    (b'=', _) => (Tok::AndAssign, 2),
                    (b'^', b'=') => (Tok::AndNotAssign, 3),
                    (b'^', _) => (Tok::AndNot, 2),
                    _ => (Tok::And, 1),
                },
                b'<' => match (second(), third()) {
                    (b'-', _) => (Tok::Arrow, 2),
                    (b'=', _) => (Tok::Le, 2),
                    (b'<', b'=') => (Tok::ShlAssign, 3),
                    (b'<', _) => (Tok::Shl, 2),
                    _ => (Tok::Lt, 1),
                },
                b'>' => match (second(), third()) {
                    (b'=', _) => (Tok::Ge, 2),
                    (b'>', b'=') => (Tok::ShrAssign, 3),
                    (b'>', _) => (Tok::Shr, 2),
                    _ => (Tok::Gt, 1),
                },
                b'/' => match second() {
                    b'/' => {
                        i = self.line_comment(src, i);
                        continue;
                    }
                    b'*' => match self.block_comment(src, i) {
                        (end, Some(newline)) if self.tok.ends_statement() => {
                            return self.set_line_end(newline, newline + 1, end);
                        }
                        (end, _) => {
                            i = end;
                            continue;
                        }
                    },
                    b'=' => (Tok::QuoAssign, 2),
                    _ => (Tok::Quo, 1),
                },
                0 if i >= src.len() => {
                    let end = self.src.len();
                    if self.tok.ends_statement() {
                        return self.set_line_end(end, end, end);
                    }
                    return self.set(Tok::Eof, end, end);
                }
                _ => match char_at(src, i) {
                    c if !c.is_ascii() && unicode::is_letter(c) => return self.ident_beyond_ascii(src, i),
                    c => return self.illegal(i, c),
                },
            };
            return self.set(tok, i, i + len);
        }
    }

    /// Reads a name or keyword.
    #[inline]
    fn ident(&mut self, src: &'a [u8], start: usize) {
        let Some(chunk) = src.get(start..).and_then(|rest| rest.first_chunk::<8>()) else {
            return self.long_ident(src, start, start);
        };
        let word = Word::from_le_bytes(*chunk);
        let len = ident_len(word);
        if len == 8 {
            return self.long_ident(src, start, start + 8);
        }
        if chunk[len & 7] >= 0x80 {
            return self.ident_beyond_ascii(src, start);
        }
        self.head = word & ((1 << (8 * len)) - 1);
        self.tail = 0;
        self.set(keyword(self.head, len), start, start + len);
    }

    /// Reads a name or keyword that is read up to `i`: it is long, or at the end of the file.
    #[inline(never)]
    fn long_ident(&mut self, src: &'a [u8], start: usize, mut i: usize) {
        while let Some(chunk) = src.get(i..).and_then(|rest| rest.first_chunk::<8>()) {
            let len = ident_len(Word::from_le_bytes(*chunk));
            i += len;
            if len < 8 {
                break;
            }
        }
        while is(at(src, i), IDENT_PART) {
            i += 1;
        }
        if at(src, i) >= 0x80 {
            return self.ident_beyond_ascii(src, start);
        }
        let spelling = src.get(start..i).unwrap_or_default();
        (self.head, self.tail) = names::ends(spelling);
        let tok = match spelling {
            b"interface" => Tok::Interface,
            b"fallthrough" => Tok::Fallthrough,
            _ => keyword(self.head, spelling.len()),
        };
        self.set(tok, start, i);
    }

    /// Reads a name with characters beyond ASCII.
    #[cold]
    fn ident_beyond_ascii(&mut self, src: &'a [u8], start: usize) {
        let mut end = start;
        loop {
            let c = char_at(src, end);
            let part = match c {
                '_' => true,
                c if c.is_ascii() => c.is_ascii_alphanumeric(),
                c => unicode::is_letter(c) || unicode::is_digit(c),
            };
            if !part {
                break;
            }
            end += c.len_utf8();
        }
        (self.head, self.tail) = names::ends(&src[start..end]);
        self.set(Tok::Ident, start, end);
    }

    #[cold]
    fn illegal(&mut self, start: usize, c: char) {
        match c {
            // Reported before lexing began.
            '\0' | '\u{feff}' => {}
            '\u{201c}' | '\u{201d}' => self.error(start, format!("curly quotation mark {c} (use neutral \")")),
            c => self.error(start, format!("illegal character {c:?} (U+{:04X})", u32::from(c))),
        }
        self.set(Tok::Illegal, start, start + c.len_utf8());
    }

    /// Reads a `//` comment; returns where it ends.
    #[inline]
    fn line_comment(&mut self, src: &'a [u8], start: usize) -> usize {
        let end = memchr(b'\n', &src[start..]).map_or(src.len(), |n| start + n);
        let text_end = end - usize::from(src[end - 1] == b'\r');
        self.comments.push(Comment { span: Span::new(start as u32, text_end as u32) });
        if src[start + 2..].starts_with(b"line ") && (start == 0 || src[start - 1] == b'\n') {
            self.line_directive(&src[start + 7..text_end.max(start + 7)], start + 7);
        }
        end
    }

    /// Reads a `/*` comment; returns where it ends and its first line end.
    fn block_comment(&mut self, src: &'a [u8], start: usize) -> (usize, Option<usize>) {
        let mut newline = None;
        let mut i = start + 2;
        // Line ends are looked for until the first.
        while let Some(n) = if newline.is_none() { memchr2(b'*', b'\n', &src[i..]) } else { memchr(b'*', &src[i..]) } {
            i += n + 1;
            if src[i - 1] == b'\n' {
                newline = Some(i - 1);
            } else if at(src, i) == b'/' {
                let end = i + 1;
                self.comments.push(Comment { span: Span::new(start as u32, end as u32) });
                if src[start + 2..].starts_with(b"line ") {
                    self.line_directive(&src[start + 7..end - 2], start + 7);
                }
                return (end, newline);
            }
        }
        self.comments.push(Comment { span: Span::new(start as u32, src.len() as u32) });
        self.error(start, "comment not terminated");
        (src.len(), newline)
    }

    /// Checks the numbers of a `line` directive: `file:line` or `file:line:column`.
    #[cold]
    fn line_directive(&mut self, text: &[u8], pos: usize) {
        // Go keeps the numbers in signed 64 bits, and takes those that wrap.
        let number = |digits: &[u8]| -> Option<i64> {
            let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            valid.then(|| str::from_utf8(digits).ok()?.parse::<u64>().ok()).flatten().map(u64::cast_signed)
        };
        let valid = |n: i64| n != 0 && n <= 1 << 30;
        let Some(last) = memchr::memrchr(b':', text) else { return };
        let Some(n) = number(&text[last + 1..]) else {
            return self.error(pos + last + 1, "invalid line number in a line directive");
        };
        let before = &text[..last];
        let column = memchr::memrchr(b':', before).and_then(|colon| Some((colon, number(&before[colon + 1..])?)));
        match column {
            Some(_) if !valid(n) => self.error(pos + last + 1, "invalid column number in a line directive"),
            Some((colon, line)) if !valid(line) => {
                self.error(pos + colon + 1, "invalid line number in a line directive");
            }
            None if !valid(n) => self.error(pos + last + 1, "invalid line number in a line directive"),
            _ => {}
        }
    }

    /// Reads an interpreted string.
    #[inline]
    fn string(&mut self, src: &'a [u8], start: usize) {
        let mut i = start + 1;
        loop {
            while let Some(chunk) = src.get(i..).and_then(|rest| rest.first_chunk::<8>()) {
                let len = string_len(Word::from_le_bytes(*chunk));
                i += len;
                if len < 8 {
                    break;
                }
            }
            match at(src, i) {
                b'"' => return self.set(Tok::String, start, i + 1),
                b'\\' => i = self.escape(src, i + 1, b'"').0,
                b'\n' => break,
                0 if i >= src.len() => break,
                _ => i += 1,
            }
        }
        self.error(start, "string literal not terminated");
        self.set(Tok::String, start, i);
    }

    fn raw_string(&mut self, src: &'a [u8], start: usize) {
        let end = if let Some(n) = memchr(b'`', &src[start + 1..]) {
            start + 1 + n + 1
        } else {
            self.error(start, "raw string literal not terminated");
            src.len()
        };
        self.set(Tok::String, start, end);
    }

    fn rune(&mut self, src: &'a [u8], start: usize) {
        let mut i = start + 1;
        let mut chars = 0;
        let mut valid = true;
        loop {
            match at(src, i) {
                b'\'' => {
                    i += 1;
                    break;
                }
                b'\\' => {
                    let (next, ok) = self.escape(src, i + 1, b'\'');
                    (i, valid) = (next, valid && ok);
                    chars += 1;
                }
                b if b == b'\n' || i >= src.len() => {
                    self.error(start, "rune literal not terminated");
                    valid = false;
                    break;
                }
                b => {
                    // Each character counts at its first byte.
                    chars += usize::from(b & 0xc0 != 0x80);
                    i += 1;
                }
            }
        }
        if valid && chars != 1 {
            self.error(start, "illegal rune literal");
        }
        self.set(Tok::Char, start, i);
    }

    /// Checks the escape sequence whose backslash stands before `start`; returns where to read on, and whether it is
    /// valid. An offending character is not part of it.
    #[inline]
    fn escape(&mut self, src: &'a [u8], start: usize, quote: u8) -> (usize, bool) {
        match at(src, start) {
            b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'\\' => (start + 1, true),
            b if b == quote => (start + 1, true),
            b'0'..=b'7' => self.numeric_escape(src, start, start, 3, 8, 255),
            b'x' => self.numeric_escape(src, start, start + 1, 2, 16, 255),
            b'u' => self.numeric_escape(src, start, start + 1, 4, 16, 0x10_ffff),
            b'U' => self.numeric_escape(src, start, start + 1, 8, 16, 0x10_ffff),
            _ => {
                let what =
                    if start >= src.len() { "escape sequence not terminated" } else { "unknown escape sequence" };
                self.error(start, what);
                (start, false)
            }
        }
    }

    fn numeric_escape(
        &mut self,
        src: &'a [u8],
        start: usize,
        digits: usize,
        count: usize,
        base: u32,
        max: u32,
    ) -> (usize, bool) {
        let mut value = 0u32;
        for i in digits..digits + count {
            let Some(digit) = char::from(at(src, i)).to_digit(base) else {
                let what = if i >= src.len() {
                    "escape sequence not terminated"
                } else {
                    "illegal character in escape sequence"
                };
                self.error(i, what);
                return (i, false);
            };
            value = value.wrapping_mul(base).wrapping_add(digit);
        }
        let end = digits + count;
        if value > max || (0xd800..0xe000).contains(&value) {
            self.error(start, "escape sequence is invalid Unicode code point");
            return (end, false);
        }
        (end, true)
    }

    /// Reads a number; the usual one is a few digits.
    #[inline]
    fn number(&mut self, src: &'a [u8], start: usize) {
        let hexadecimal = at(src, start) == b'0' && at(src, start + 1) == b'x';
        let (digit, first) = if hexadecimal { (HEX_DIGIT, start + 2) } else { (DIGIT, start) };
        let mut i = first;
        while is(at(src, i), digit) {
            i += 1;
        }
        let next = at(src, i);
        let old_octal = i - start > 1 && at(src, start) == b'0' && !hexadecimal;
        if is(next, IDENT_PART) || next == b'.' || old_octal || i == first {
            return self.any_number(src, start);
        }
        self.set(Tok::Int, start, i);
    }

    /// Reads a number of any form.
    #[inline(never)]
    fn any_number(&mut self, src: &'a [u8], start: usize) {
        let (tok, end) = number::read(src, start, |pos, message| self.error(pos, message));
        self.set(tok, start, end);
    }
}

/// Where the tabs end that begin at `i`, up to eight of them.
#[inline]
fn after_tabs(src: &[u8], i: usize) -> usize {
    match src.get(i..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(chunk) => i + tabs_len(Word::from_le_bytes(*chunk)),
        None => i,
    }
}

/// The character at `i`; NUL at the end.
#[cold]
fn char_at(src: &[u8], i: usize) -> char {
    let bytes = src.get(i..src.len().min(i + 4)).unwrap_or_default();
    bytes.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next()).unwrap_or('\0')
}

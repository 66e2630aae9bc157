//! What `import "C"` declares: Go source made of the C declarations in the preamble.
//!
//! The preamble is the comment right above `import "C"`. Of its C, function declarations, `typedef`, `struct`, `union`,
//! `enum` and `#define` of plain constants are understood; the names of included headers are not seen, and stay
//! unknown, except for what cgo itself provides. The Go types are those that cgo gives (cmd/cgo/gcc.go, Go 1.27) on a
//! 64-bit Unix machine; a struct's fields are not declared, so selecting one is unknown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::object::{ObjKind, VarKind};
use residue_syntax::ast::{Decl, Expr, File, GenKind, Spec};

/// Preambles beyond this are cut: declarations are at the front, generated data behind.
const PREAMBLE_BYTES_MAX: usize = 1 << 20;
/// Pointers to pointers to … beyond this are unknown.
const STARS_MAX: usize = 8;

/// A struct of nobody knows what: `_` is no type, so what depends on the fields, such as the size, is unknown.
const OPAQUE: &str = "struct { _ _ }";

/// What cgo declares in every file that imports "C".
const PROVIDED: &str = "package C
import \"unsafe\"
type (
	char int8; schar int8; uchar uint8; short int16; ushort uint16; int int32; uint uint32; long int64; ulong uint64
	longlong int64; ulonglong uint64; float float32; double float64; size_t ulong; ssize_t long; _Bool bool
	int8_t schar; int16_t short; int32_t int; int64_t long; uint8_t uchar; uint16_t ushort; uint32_t uint
	uint64_t ulong; intptr_t long; uintptr_t ulong
)
func CString(string) *char
func CBytes([]byte) unsafe.Pointer
func GoString(*char) string
func GoStringN(*char, int) string
func GoBytes(unsafe.Pointer, int) []byte
func malloc(size_t) unsafe.Pointer
func calloc(size_t, size_t) unsafe.Pointer
func realloc(unsafe.Pointer, size_t) unsafe.Pointer
func free(unsafe.Pointer)
";

/// The names that [`PROVIDED`] declares.
const PROVIDED_NAMES: &[&str] = &[
    "char",
    "schar",
    "uchar",
    "short",
    "ushort",
    "int",
    "uint",
    "long",
    "ulong",
    "longlong",
    "ulonglong",
    "float",
    "double",
    "size_t",
    "ssize_t",
    "_Bool",
    "int8_t",
    "int16_t",
    "int32_t",
    "int64_t",
    "uint8_t",
    "uint16_t",
    "uint32_t",
    "uint64_t",
    "intptr_t",
    "uintptr_t",
    "CString",
    "CBytes",
    "GoString",
    "GoStringN",
    "GoBytes",
    "malloc",
    "calloc",
    "realloc",
    "free",
    "unsafe",
    "string",
    "byte",
    "bool",
    "_",
];

/// Go source for the package "C" that these files import; none where none does.
pub(crate) fn stub<'a>(files: impl IntoIterator<Item = &'a File>) -> Option<String> {
    let mut imported = false;
    let mut out = Stub { go: PROVIDED.to_owned(), seen: PROVIDED_NAMES.iter().map(|n| (*n).to_owned()).collect() };
    for file in files {
        for preamble in preambles(file) {
            imported = true;
            let cut = preamble.floor_char_boundary(PREAMBLE_BYTES_MAX);
            out.defines(&preamble[..cut]);
            let tokens = tokens(&preamble[..cut]);
            out.declarations(&tokens);
        }
    }
    imported.then_some(out.go)
}

/// What cgo puts before the name of an object of this kind.
pub(crate) fn prefix(kind: &ObjKind) -> &'static str {
    match kind {
        ObjKind::Func(_) => "_Cfunc_",
        ObjKind::Const(_) => "_Cconst_",
        ObjKind::Var(VarKind::Package) => "_Cvar_",
        ObjKind::Type(_) => "_Ctype_",
        _ => "",
    }
}

/// The C above each `import "C"` of a file.
fn preambles(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for decl in file.list(file.top_decls()) {
        let Decl::Gen { kind: GenKind::Import, specs, paren } = file.decl(decl) else { continue };
        for spec in file.list(specs) {
            let Spec::Import { path, .. } = file.spec(spec) else { continue };
            if file.text(file.expr_span(path)) != "\"C\"" || !matches!(file.expr(path), Expr::BasicLit(_)) {
                continue;
            }
            let start = if paren { file.spec_span(spec).start } else { file.decl_span(decl).start };
            found.push(comment_above(file, start));
        }
    }
    found
}

/// The text of the comments that end on the line above `pos`, markers removed.
fn comment_above(file: &File, pos: u32) -> String {
    let comments = file.comments();
    let end = comments.partition_point(|c| c.span.end <= pos);
    let mut line = file.line_col(pos).line;
    let mut parts = Vec::new();
    for comment in comments[..end].iter().rev() {
        if file.line_col(comment.span.end.saturating_sub(1)).line + 1 != line {
            break;
        }
        line = file.line_col(comment.span.start).line;
        let text = file.text(comment.span).into_owned();
        parts.push(match text.strip_prefix("/*") {
            Some(block) => block.strip_suffix("*/").unwrap_or(block).to_owned(),
            None => text.trim_start_matches('/').to_owned(),
        });
    }
    parts.reverse();
    parts.join("\n")
}

#[derive(Clone, PartialEq, Debug)]
enum Token {
    Name(String),
    Number(String),
    Mark(u8),
}

/// The tokens of C source. Comments, strings and preprocessor lines are passed over.
fn tokens(source: &str) -> Vec<Token> {
    let bytes = source.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    let mut line_start = true;
    while at < bytes.len() {
        let byte = bytes[at];
        let start = at;
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        match byte {
            b'\n' => {
                line_start = true;
                at += 1;
                continue;
            }
            b' ' | b'\t' | b'\r' => {
                at += 1;
                continue;
            }
            b'#' if line_start => {
                // To the end of the line, continued lines included.
                while at < bytes.len() && (bytes[at] != b'\n' || bytes[at - 1] == b'\\') {
                    at += 1;
                }
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = source[at..].find('\n').map_or(bytes.len(), |n| at + n);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = source[at + 2..].find("*/").map_or(bytes.len(), |n| at + n + 4);
                continue;
            }
            b'"' | b'\'' => {
                at += 1;
                while at < bytes.len() && bytes[at] != byte && bytes[at] != b'\n' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
                out.push(Token::Mark(byte));
            }
            b if b.is_ascii_digit() => {
                while at < bytes.len() && (word(bytes[at]) || bytes[at] == b'.') {
                    at += 1;
                }
                out.push(Token::Number(source[start..at].to_owned()));
            }
            b if word(b) => {
                while at < bytes.len() && word(bytes[at]) {
                    at += 1;
                }
                out.push(Token::Name(source[start..at].to_owned()));
            }
            b => {
                at += 1;
                out.push(Token::Mark(b));
            }
        }
        line_start = false;
    }
    out
}

/// Go declarations in the making.
struct Stub {
    go: String,
    seen: BTreeSet<String>,
}

impl Stub {
    /// Whether the name is new; the first declaration counts.
    fn first(&mut self, name: &str) -> bool {
        self.seen.insert(name.to_owned())
    }

    fn defines(&mut self, source: &str) {
        for line in source.lines() {
            let Some(rest) = line.trim_start().strip_prefix('#') else { continue };
            let Some(rest) = rest.trim_start().strip_prefix("define") else { continue };
            let mut words = rest.split_whitespace();
            let (Some(name), Some(value), None) = (words.next(), words.next(), words.next()) else { continue };
            let number = value.trim_matches(['(', ')']).trim_end_matches(['u', 'U', 'l', 'L']);
            let plain = number.parse::<i64>().is_ok() || hexadecimal(number);
            if plain && is_name(name) && self.first(name) {
                let _ = writeln!(self.go, "const {name} = {number}");
            }
        }
    }

    fn declarations(&mut self, tokens: &[Token]) {
        let mut at = 0;
        while at < tokens.len() {
            let end = declaration_end(tokens, at);
            self.declaration(&tokens[at..end]);
            at = end;
        }
    }

    /// One declaration, up to its `;` or the end of its body.
    fn declaration(&mut self, tokens: &[Token]) {
        let braces = tokens.iter().position(|t| *t == Token::Mark(b'{'));
        let parens = tokens.iter().position(|t| *t == Token::Mark(b'('));
        let names = |list: &[Token]| -> Vec<String> {
            list.iter().filter_map(|t| if let Token::Name(n) = t { Some(n.clone()) } else { None }).collect()
        };
        let head = names(&tokens[..braces.or(parens).unwrap_or(tokens.len())]);
        let tagged = head.iter().position(|n| matches!(n.as_str(), "struct" | "union" | "enum"));
        // struct x {…}, also inside a typedef. The tag stands before the brace.
        let body_is_type = braces.is_some_and(|b| parens.is_none_or(|p| b < p));
        let mut tag = None;
        if let (Some(kind), true) = (tagged, body_is_type || parens.is_none()) {
            if let Some(name) = head.get(kind + 1) {
                let full = format!("{}_{name}", head[kind]);
                self.tag(&head[kind], &full);
                tag = Some(full);
            }
            if head[kind] == "enum"
                && let Some(open) = braces
            {
                self.enumerators(&tokens[open + 1..]);
            }
        }
        if head.first().is_some_and(|n| n == "typedef") {
            self.typedef(tokens, tag, body_is_type);
        } else if let Some(open) = parens.filter(|_| !body_is_type) {
            self.function(tokens, open);
        }
    }

    fn tag(&mut self, kind: &str, name: &str) {
        if self.first(name) {
            let under = if kind == "enum" { "uint32" } else { OPAQUE };
            let _ = writeln!(self.go, "type {name} {under}");
        }
    }

    fn enumerators(&mut self, tokens: &[Token]) {
        let mut expect = true;
        for token in tokens {
            match token {
                Token::Name(name) if expect => {
                    expect = false;
                    if self.first(name) {
                        // The value is not computed: an expression of C.
                        let _ = writeln!(self.go, "var {name} int");
                    }
                }
                Token::Mark(b',') => expect = true,
                Token::Mark(b'}') => return,
                _ => {}
            }
        }
    }

    fn typedef(&mut self, tokens: &[Token], tag: Option<String>, has_body: bool) {
        let last = tokens.iter().rposition(|t| matches!(t, Token::Name(_)));
        let Some((last, Token::Name(name))) = last.map(|i| (i, &tokens[i])) else { return };
        let (name, plain) = (name.clone(), !tokens.iter().any(|t| matches!(t, Token::Mark(b'(' | b'['))));
        let under = if has_body {
            Some(tag.unwrap_or_else(|| OPAQUE.to_owned()))
        } else if plain {
            match go_type(&tokens[1..last]) {
                Some(CType::Go(ty)) => Some(ty),
                Some(CType::Void) | None => Some("[0]byte".to_owned()),
            }
        } else {
            None
        };
        if let Some(under) = under
            && under != name
            && self.first(&name)
        {
            // Another name of a tagged struct or union is no type of its own (isStructUnionClass in cmd/cgo/gcc.go).
            let tagged = ["struct_", "union_"].iter().any(|kind| under.starts_with(kind));
            let _ = writeln!(self.go, "type {name} {}{under}", if tagged { "= " } else { "" });
        }
    }

    fn function(&mut self, tokens: &[Token], open: usize) {
        let Some(Token::Name(name)) = open.checked_sub(1).and_then(|i| tokens.get(i)) else { return };
        let Some(close) = matching(tokens, open) else { return };
        // A variadic function can't be called from Go.
        let inner = &tokens[open + 1..close];
        if inner.contains(&Token::Mark(b'.')) || !is_name(name) {
            return;
        }
        let Some(result) = go_type(&tokens[..open - 1]) else { return };
        let mut params = Vec::new();
        for param in split_commas(inner) {
            match parameter(param) {
                Some(CType::Go(ty)) => params.push(ty),
                Some(CType::Void) => {}
                None => return,
            }
        }
        if self.first(name) {
            let _ = writeln!(
                self.go,
                "func {name}({}) {}",
                params.join(", "),
                if let CType::Go(ty) = &result { ty } else { "" }
            );
        }
    }
}

/// Where the declaration that starts at `start` ends.
fn declaration_end(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    let mut function = false;
    while at < tokens.len() {
        match tokens[at] {
            Token::Mark(b';') => return at + 1,
            Token::Mark(b'(') => {
                function = true;
                at = matching(tokens, at).unwrap_or(tokens.len());
            }
            Token::Mark(b'{') => {
                at = matching(tokens, at).unwrap_or(tokens.len());
                if function {
                    return (at + 1).min(tokens.len());
                }
            }
            _ => {}
        }
        at += 1;
    }
    tokens.len()
}

/// The bracket that closes the one at `open`.
fn matching(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Mark(b'(' | b'{' | b'[') => depth += 1,
            Token::Mark(b')' | b'}' | b']') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn split_commas(tokens: &[Token]) -> Vec<&[Token]> {
    let mut out = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark(b'(' | b'[' | b'{') => depth += 1,
            Token::Mark(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            Token::Mark(b',') if depth == 0 => {
                out.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if start < tokens.len() {
        out.push(&tokens[start..]);
    }
    out
}

/// What C specifiers and stars mean.
enum CType {
    /// Nothing.
    Void,
    /// This Go type.
    Go(String),
}

/// A parameter's type; none where it isn't understood.
fn parameter(tokens: &[Token]) -> Option<CType> {
    if tokens.contains(&Token::Mark(b'(')) {
        // A function pointer.
        return Some(CType::Go("*[0]byte".to_owned()));
    }
    let array = tokens.iter().position(|t| *t == Token::Mark(b'['));
    let mut list = tokens[..array.unwrap_or(tokens.len())].to_vec();
    // The parameter's name, where there is a type before it.
    let names = list.iter().filter(|t| matches!(t, Token::Name(n) if !is_qualifier(n))).count();
    if names > 1
        && let Some(Token::Name(last)) = list.last()
        && !is_base(last)
        && !ends_with_tag(&list)
    {
        list.pop();
    }
    let ty = go_type(&list)?;
    Some(match (ty, array) {
        (CType::Go(elem), Some(_)) => CType::Go(format!("*{elem}")),
        (ty, _) => ty,
    })
}

/// Whether the last name is the tag of `struct x`.
fn ends_with_tag(list: &[Token]) -> bool {
    let before = list.len().checked_sub(2).and_then(|i| list.get(i));
    matches!(before, Some(Token::Name(n)) if matches!(n.as_str(), "struct" | "union" | "enum"))
}

fn is_qualifier(name: &str) -> bool {
    matches!(
        name,
        "const" | "volatile" | "restrict" | "static" | "extern" | "inline" | "register" | "__inline" | "__restrict"
    )
}

fn is_base(name: &str) -> bool {
    matches!(name, "char" | "short" | "int" | "long" | "float" | "double" | "void" | "signed" | "unsigned" | "_Bool")
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !GO_KEYWORDS.contains(&name)
}

/// A C name that is one of these is written with an underscore in Go, and not looked for here.
const GO_KEYWORDS: &[&str] = &[
    "break",
    "case",
    "chan",
    "const",
    "continue",
    "default",
    "defer",
    "else",
    "fallthrough",
    "for",
    "func",
    "go",
    "goto",
    "if",
    "import",
    "interface",
    "map",
    "package",
    "range",
    "return",
    "select",
    "struct",
    "switch",
    "type",
    "var",
];

fn hexadecimal(number: &str) -> bool {
    number
        .strip_prefix("0x")
        .is_some_and(|digits| !digits.is_empty() && digits.len() <= 16 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The type of C specifiers and stars; none where they aren't understood.
fn go_type(tokens: &[Token]) -> Option<CType> {
    let mut words = Vec::new();
    let mut stars = 0;
    for token in tokens {
        match token {
            Token::Name(name) if is_qualifier(name) => {}
            Token::Name(name) if stars == 0 => words.push(name.as_str()),
            Token::Mark(b'*') if stars < STARS_MAX => stars += 1,
            _ => return None,
        }
    }
    let unsigned = words.contains(&"unsigned");
    let longs = words.iter().filter(|w| **w == "long").count();
    let has = |word: &str| words.contains(&word);
    let base = match words.as_slice() {
        [] => return None,
        ["void"] if stars == 0 => return Some(CType::Void),
        ["void"] => {
            stars -= 1;
            "unsafe.Pointer".to_owned()
        }
        ["bool"] => "_Bool".to_owned(),
        [kind @ ("struct" | "union" | "enum"), tag] => format!("{kind}_{tag}"),
        _ if has("char") => if unsigned {
            "uchar"
        } else if has("signed") {
            "schar"
        } else {
            "char"
        }
        .to_owned(),
        _ if has("short") => if unsigned { "ushort" } else { "short" }.to_owned(),
        _ if has("double") && longs == 0 => "double".to_owned(),
        _ if longs > 1 => if unsigned { "ulonglong" } else { "longlong" }.to_owned(),
        _ if longs == 1 && !has("double") => if unsigned { "ulong" } else { "long" }.to_owned(),
        _ if unsigned => "uint".to_owned(),
        _ if has("int") || has("signed") => "int".to_owned(),
        [name] if is_name(name) => (*name).to_owned(),
        _ => return None,
    };
    Some(CType::Go("*".repeat(stars) + &base))
}

//! Hostile input: whatever the bytes, the parser comes back, soon, with a tree that is whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use residue_syntax::walk::Node;
use residue_syntax::{Bodies, MAX_CHAIN, MAX_DEPTH, Parsed, parse, parse_header};

fn read(src: &[u8], bodies: Bodies<'_>) -> Parsed {
    let parsed = parse(Arc::from(src), bodies);
    check(&parsed, src.len() as u32);
    parsed
}

/// Every node can be visited, and lies within the file; errors are in order, and few.
fn check(parsed: &Parsed, len: u32) {
    let file = &parsed.file;
    file.walk(|node| {
        let span = file.node_span(node);
        assert!(span.start <= span.end && span.end <= len, "{node:?} at {span:?} of {len}");
        if let Node::Expr(id) = node {
            let _ = file.text(file.expr_span(id));
        }
        true
    });
    assert!(parsed.errors.is_sorted_by_key(|error| error.pos));
    assert!(parsed.errors.len() <= 100);
    for error in &parsed.errors {
        assert!(error.pos <= len && !error.message.is_empty(), "{error:?}");
        assert!(file.line_col(error.pos).line >= 1);
    }
}

/// The nesting constructs: what opens, what stands inside, what closes.
const NESTS: [(&str, &str, &str, &str, &str); 17] = [
    ("parentheses", "var x = ", "(", "1", ")"),
    ("unary operators", "var x = ", "!", "1", ""),
    ("pointers", "var x ", "*", "T", ""),
    ("slices", "var x ", "[]", "T", ""),
    ("array lengths", "var x ", "[", "1", "]T"),
    ("maps", "var x ", "map[", "T", "]T"),
    ("channels", "var x ", "chan ", "T", ""),
    ("receives", "var x = ", "<-", "c", ""),
    ("functions' types", "var x ", "func(", "T", ")"),
    ("structs", "var x ", "struct{ a ", "T", "}"),
    ("interfaces", "var x ", "interface{ m(", "T", ") }"),
    ("type arguments", "var x ", "T[", "T", "]"),
    ("calls", "var x = ", "f(", "1", ")"),
    ("indices", "var x = ", "f[", "1", "]"),
    ("literals", "var x = T", "{", "1", "}"),
    ("function literals", "var x = ", "func() { x = ", "1", "}"),
    ("precedence", "var x = ", "a || b && c == d + e * (", "1", ")"),
];

#[test]
fn deep_nesting_is_an_error_not_an_overflow() {
    let depth = 50_000;
    for (what, start, open, middle, close) in NESTS {
        for closed in [depth, 0] {
            let src = format!("package p\n{start}{}{middle}{}\n", open.repeat(depth), close.repeat(closed));
            let parsed = read(src.as_bytes(), Bodies::Keep);
            assert!(
                parsed.errors.iter().any(|error| error.message == "nested too deeply"),
                "{what}: {:?}",
                parsed.errors.first()
            );
        }
    }
    for open in
        ["{", "if x {", "for {", "switch { case x:", "L: ", "if x {} else ", "go func() {", "select { default: "]
    {
        let src = format!("package p\nfunc f() {{ {}", open.repeat(depth));
        let parsed = read(src.as_bytes(), Bodies::Keep);
        assert!(parsed.errors.iter().any(|error| error.message == "nested too deeply"), "{open}: {:?}", parsed.errors);
        read(src.as_bytes(), Bodies::Skip);
    }
}

#[test]
fn what_real_code_nests_is_not_too_deep() {
    // Each level of these takes up to two of the parser's.
    let depth = MAX_DEPTH as usize / 2 - 10;
    for (what, start, open, middle, close) in NESTS {
        let src = format!("package p\n{start}{}{middle}{}\n", open.repeat(depth), close.repeat(depth));
        assert_eq!(read(src.as_bytes(), Bodies::Keep).errors, [], "{what}");
    }
}

#[test]
fn long_chains_are_read_without_recursion() {
    let links = MAX_CHAIN as usize - 10;
    for (start, link) in [("1", " + 1"), ("x", ".f"), ("x", "()"), ("x", "[0]"), ("x", ".(T)")] {
        let src = format!("package p\nvar x = {start}{}\n", link.repeat(links));
        assert_eq!(read(src.as_bytes(), Bodies::Keep).errors, [], "{link}");
        let src = format!("package p\nvar x = {start}{}\n", link.repeat(links + 20));
        assert_eq!(read(src.as_bytes(), Bodies::Keep).errors.len(), 1, "{link}");
    }
}

#[test]
fn time_is_linear_whatever_is_wrong() {
    let bytes = 60_000;
    let patterns = [
        "\n",
        ";",
        "}",
        "{",
        "(",
        ")",
        "[",
        "x ",
        "func ",
        "func f() {\n",
        "type T struct {\n",
        "import \"a\"\n",
        "/*",
        "//line :0\n",
        "\"",
        "'",
        "`",
        "0x",
        "\\",
        "\u{feff}",
        "é",
        "case x:\n",
        "x.",
        "if ",
        "a, ",
        "a b\n",
        "[P *T",
        "<-chan<- ",
        "...",
        "func (",
        "var x = {\n",
        "interface { m[",
        "else ",
        "\0",
        "go x\n",
        "x := y :=",
        "T{a b\n",
        "f(a b\n",
    ];
    for pattern in patterns {
        for start in ["", "package p\n", "package p\nfunc f() {\n", "package p\nvar x = f("] {
            let src = format!("{start}{}", pattern.repeat(bytes / pattern.len()));
            let begin = Instant::now();
            read(src.as_bytes(), Bodies::Keep);
            read(src.as_bytes(), Bodies::Skip);
            parse_header(Arc::from(src.as_bytes()));
            // A quadratic step would take minutes.
            assert!(begin.elapsed() < Duration::from_secs(10), "{start:?} {pattern:?}");
        }
    }
}

#[test]
fn bytes_that_are_not_text_are_errors() {
    let all: Vec<u8> = (0..=255).collect();
    let utf16: Vec<u8> = "\u{feff}package p".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let zeros = vec![0; 10_000];
    for src in [&all[..], &utf16, &zeros, b"\xff", b"package p // \xc3\n", b"package p; var s = \"\xed\xa0\x80\""] {
        for bodies in [Bodies::Keep, Bodies::Skip] {
            assert!(!read(src, bodies).errors.is_empty(), "{src:?}");
        }
    }
    let offset = "package p // ".len() as u32;
    assert_eq!(read(b"package p // \xc3\n", Bodies::Keep).errors[0].pos, offset, "where the bad byte is");
}

/// Go of all kinds, to be broken.
const SEEDS: [&str; 3] = [
    include_str!("seeds/declarations.go.txt"),
    include_str!("seeds/statements.go.txt"),
    include_str!("seeds/expressions.go.txt"),
];

/// A small deterministic generator (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound.max(1)
    }
}

#[test]
fn seeds_are_valid() {
    for seed in SEEDS {
        assert_eq!(read(seed.as_bytes(), Bodies::Keep).errors, []);
        assert_eq!(read(seed.as_bytes(), Bodies::Skip).errors, []);
    }
}

#[test]
fn every_beginning_of_a_file_is_read() {
    for seed in SEEDS {
        for end in 0..seed.len() {
            read(&seed.as_bytes()[..end], Bodies::Keep);
            read(&seed.as_bytes()[..end], Bodies::Skip);
        }
    }
}

#[test]
fn mutants_are_read() {
    const BYTES: &[u8] = b"(){}[],;.:=+*&<>\"'`/\n\\0ex";
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for round in 0..1500 {
        let mut src = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        for _ in 0..=random.below(8) {
            let at = random.below(src.len());
            let len = random.below(20).min(src.len() - at);
            match random.below(5) {
                0 => src.truncate(at),
                1 => drop(src.drain(at..at + len)),
                2 if !src.is_empty() => src[at] = random.below(256) as u8,
                3 => src.insert(at, BYTES[random.below(BYTES.len())]),
                _ => {
                    let other = SEEDS[random.below(SEEDS.len())].as_bytes();
                    let from = random.below(other.len());
                    let piece = other[from..].iter().take(len * 4).copied();
                    drop(src.splice(at..at + len, piece).collect::<Vec<_>>());
                }
            }
        }
        read(&src, Bodies::Keep);
        read(&src, Bodies::Skip);
        parse_header(Arc::from(&src[..]));
    }
}

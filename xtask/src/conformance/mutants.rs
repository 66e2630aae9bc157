//! Broken variants of Go files, to compare what is refused: most files of most trees are valid.

use std::path::{Path, PathBuf};

/// Tokens that replace others or come between them.
const TOKENS: [&str; 62] = [
    "x",
    "T",
    "0",
    "08",
    "1_0",
    "0x",
    "1e",
    "'a'",
    "''",
    "\"s\"",
    "`r`",
    "+",
    "-",
    "*",
    "/",
    "&",
    "|",
    "^",
    "~",
    "<-",
    "<<",
    "=",
    ":=",
    "+=",
    "++",
    "==",
    "!",
    "&&",
    "||",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ";",
    ":",
    ".",
    "...",
    "\n",
    "//\n",
    "/*\n*/",
    "break",
    "case",
    "chan",
    "const",
    "default",
    "defer",
    "else",
    "for",
    "func",
    "go",
    "goto",
    "if",
    "interface",
    "map",
    "range",
    "return",
    "select",
    "struct",
    "type",
];

/// Files larger than this make poor variants: an error is soon found, and the rest is never looked at.
const SIZE_MAX: usize = 64 << 10;

/// Writes `count` variants of each file into `dir`; returns their paths.
pub(super) fn write(files: &[PathBuf], count: usize, dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(dir)?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut written = Vec::new();
    for path in files {
        let src = std::fs::read(path)?;
        if src.len() > SIZE_MAX {
            continue;
        }
        let pieces = pieces(&src);
        for _ in 0..count {
            let mut pieces = pieces.clone();
            // One change is most telling; two find what hides behind recovery.
            for _ in 0..=random.below(2) {
                change(&mut pieces, &mut random);
            }
            let path = dir.join(format!("{}.go", written.len()));
            std::fs::write(&path, pieces.concat())?;
            written.push(path);
        }
    }
    Ok(written)
}

/// A small deterministic generator (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound.max(1)
    }
}

/// Words, blanks and single bytes.
fn pieces(src: &[u8]) -> Vec<&[u8]> {
    let kind = |b: u8| match b {
        b if b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80 => 0,
        b' ' | b'\t' => 1,
        other => other,
    };
    src.chunk_by(|&a, &b| kind(a) == kind(b) && kind(a) < 2).collect()
}

fn change(pieces: &mut Vec<&[u8]>, random: &mut Random) {
    if pieces.len() < 2 {
        return;
    }
    let at = random.below(pieces.len() - 1);
    let token = TOKENS[random.below(TOKENS.len())].as_bytes();
    match random.below(6) {
        0 => drop(pieces.remove(at)),
        1 => pieces.insert(at, token),
        2 => pieces[at] = token,
        3 => pieces.swap(at, at + 1),
        4 => pieces.insert(at, pieces[at]),
        _ => {
            let other = random.below(pieces.len());
            pieces[at] = pieces[other];
        }
    }
}

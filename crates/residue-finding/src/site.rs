//! Places in Go source, and the key that other lenses join them by.

use std::ops::Range;

/// A place in a file as people and compilers write it.
///
/// Both numbers start at 1. Columns count bytes, as the Go tool chain does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 1; 0 where the whole line is meant.
    pub column: u32,
}

/// A stretch of Go source that a finding speaks about.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// The file, as shown to the user: relative to the directory of the run
    /// when it lies below it, with `/` between components.
    pub path: String,
    /// First byte and the byte after the last one, in that file.
    pub span: Span,
    /// Where the span starts.
    pub start: Position,
    /// Where the span ends (the position after its last byte).
    pub end: Position,
    /// Import path of the package.
    pub import_path: String,
    /// The outermost declaration around the span: `Open`, `(*Server).attach`,
    /// or the name of a package variable. Empty between declarations.
    pub declaration: String,
}

/// A byte range that orders and hashes (unlike [`Range`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// The byte after the last one; never before `start`.
    pub end: u32,
}

impl From<Range<u32>> for Span {
    fn from(range: Range<u32>) -> Self {
        Self { start: range.start, end: range.end.max(range.start) }
    }
}

impl From<Span> for Range<usize> {
    fn from(range: Span) -> Self {
        range.start as usize..range.end as usize
    }
}

/// Where a resource is acquired, written as the Go runtime writes it.
///
/// A stack of a running program is matched frame by frame, from the leaf, on
/// import path, base file name and line; the declaration only breaks ties,
/// because runtime names differ from source names (`main.f.func2.1`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AcquireSite {
    /// Import path of the package, never `main`.
    pub import_path: String,
    /// Base name of the file: directories differ under `-trimpath`.
    pub file: String,
    /// The line the compiler records for the call: in a method chain that is
    /// the line of the selector, not of the expression's first token.
    pub line: u32,
    /// The outermost declaration around the call.
    pub declaration: String,
}

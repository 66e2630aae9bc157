//! Go lexer, parser and syntax tree.
//!
//! Bytes in, a [`ast::File`] and a list of [`SyntaxError`]s out; total on any input. No I/O.
//!
//! - [`parse`] reads a whole file, with or without function bodies.
//! - [`parse_header`] reads the package clause and the imports, and the comments up to there.
//! - [`outline`] gives a file's tokens without comments and bodies: what other packages see of it.
//! - [`walk`] visits every node of a tree.
//! - [`literal`] gives the values of string and character literals.
//!
//! A file has errors exactly where `go/parser` of Go 1.27 refuses it (with `ParseComments|SkipObjectResolution`),
//! but for three limits: [`MAX_DEPTH`], [`MAX_CHAIN`] and files of 4 GiB. Time and memory are linear in the length of
//! the file, whatever it holds.

pub mod ast;
mod lexer;
pub mod literal;
mod names;
mod number;
mod outline;
mod parser;
mod tables;
mod token;
mod unicode;
pub mod walk;
mod words;

pub use outline::outline;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use ast::{Comment, Decl, File, Span, Spec, SyntaxError};
use lexer::MAX_ERRORS;
use parser::Parser;

/// How deep types, expressions and statements may nest. Of 187,000 files looked at, a test of the compiler went
/// deepest, with 402 levels. A thread with a stack of 2 MB suffices for this many, also in a debug build.
pub const MAX_DEPTH: u32 = 1000;

/// How many links a chain such as `a + b + c` or `a.b().c()` may have. Its tree leans to the left and is as high as
/// the chain is long: walk down `x` in a loop, not by recursion. The longest one seen, in generated code, has 1009.
pub const MAX_CHAIN: u32 = 10_000;

/// What to do with the bodies of functions and methods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bodies<'a> {
    /// Read them.
    Keep,
    /// Read those of functions and methods whose names stand at these offsets, and pass over the others.
    Of(&'a BTreeSet<u32>),
    /// Pass over them, without looking for errors or comments in them. Bodies of function literals in declarations of
    /// variables are kept.
    Skip,
}

/// A file as read.
#[derive(Debug)]
pub struct Parsed {
    /// Its tree, complete where there are no errors.
    pub file: File,
    /// What is wrong with it, by place; at most one a line, and no more than a hundred.
    pub errors: Vec<SyntaxError>,
}

/// Reads a file.
pub fn parse(src: Arc<[u8]>, bodies: Bodies<'_>) -> Parsed {
    read(src, bodies, What::File)
}

/// The beginning of a file.
#[derive(Debug)]
pub struct Header {
    /// Its name in the package clause; none where the clause is broken.
    pub package: Option<Span>,
    /// Offset of the `package` keyword, or of what stands in its place.
    pub package_pos: u32,
    /// What it imports.
    pub imports: Vec<Import>,
    /// Comments up to the end of the imports. Those before `package_pos` may be build constraints.
    pub comments: Vec<Comment>,
    /// What is wrong so far.
    pub errors: Vec<SyntaxError>,
}

/// An import of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Import {
    /// Local name, `.` or `_`, if there is one.
    pub name: Option<Span>,
    /// Literal of the path, quotes included; see [`literal::string_value`].
    pub path: Span,
}

/// Reads the package clause and the imports of a file.
pub fn parse_header(src: Arc<[u8]>) -> Header {
    let Parsed { file, errors } = read(src, Bodies::Skip, What::Header);
    let mut imports = Vec::new();
    for decl in file.list(file.top_decls()) {
        let Decl::Gen { specs, .. } = file.decl(decl) else { continue };
        for spec in file.list(specs) {
            if let Spec::Import { name, path } = file.spec(spec)
                && matches!(file.expr(path), ast::Expr::BasicLit(_))
            {
                imports.push(Import { name: name.map(|name| file.ident_span(name)), path: file.expr_span(path) });
            }
        }
    }
    Header {
        package: file.package().map(|name| file.ident_span(name)),
        package_pos: file.package_pos(),
        imports,
        comments: file.comments,
        errors,
    }
}

/// What to read of a file.
#[derive(Clone, Copy)]
enum What {
    File,
    Header,
}

fn read(src: Arc<[u8]>, bodies: Bodies<'_>, what: What) -> Parsed {
    let mut errors = Vec::new();
    let whole = src.clone();
    let text = if u32::try_from(src.len()).is_ok_and(|len| len < u32::MAX) {
        valid_text(&whole, &mut errors)
    } else {
        errors.push(SyntaxError { pos: 0, message: "file is too large: 4 GiB or more".into() });
        Cow::Borrowed(&[][..])
    };
    let mut parser = Parser::new(src, &text, bodies);
    match what {
        What::File => parser.file(),
        What::Header => parser.header(),
    }
    let (file, syntax_errors) = parser.finish();
    errors.extend(syntax_errors);
    errors.sort_by_key(|error| error.pos);
    errors.dedup_by_key(|error| error.pos);
    errors.truncate(MAX_ERRORS);
    Parsed { file, errors }
}

/// The file without what is not UTF-8, which is replaced byte by byte, so that offsets stay. Reports that, and bytes no
/// Go file may have.
fn valid_text<'a>(src: &'a [u8], errors: &mut Vec<SyntaxError>) -> Cow<'a, [u8]> {
    /// Stands for invalid bytes. Not part of any token.
    const REPLACEMENT: u8 = 0x1a;

    // Nearly all files are plain ASCII.
    if src.iter().fold(true, |plain, &b| plain & (b.wrapping_sub(1) < 0x7f)) {
        return Cow::Borrowed(src);
    }
    let mut report = |pos: usize, message: &str| {
        if errors.len() < MAX_ERRORS {
            errors.push(SyntaxError { pos: pos as u32, message: message.into() });
        }
    };
    for nul in memchr::memchr_iter(0, src).take(MAX_ERRORS) {
        report(nul, "illegal character NUL");
    }
    for mark in memchr::memmem::find_iter(src, "\u{feff}").filter(|&i| i > 0).take(MAX_ERRORS) {
        report(mark, "illegal byte order mark");
    }
    if str::from_utf8(src).is_ok() {
        return Cow::Borrowed(src);
    }
    if matches!(src, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        report(0, "illegal UTF-8 encoding (got UTF-16)");
        return Cow::Borrowed(&[]);
    }
    let mut text = Vec::with_capacity(src.len());
    for chunk in src.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            report(text.len(), "illegal UTF-8 encoding");
            text.extend(chunk.invalid().iter().map(|_| REPLACEMENT));
        }
    }
    Cow::Owned(text)
}

//! Go lexer, parser and syntax tree.
//!
//! Bytes in, a [`ast::File`] and a list of [`SyntaxError`]s out; total on any input. No I/O.

pub mod ast;

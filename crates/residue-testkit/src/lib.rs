//! Harnesses for tests of other crates. Nothing here is part of the program.

pub mod go;
pub mod schema;
pub mod want;

//! Harnesses for tests of other crates. Nothing here is part of the program.

pub mod go;
pub mod schema;
pub mod want;

/// Says aloud that something can't be tested on this machine. The harness holds back what passing tests print; not this.
pub fn not_tested(why: &str) {
    use std::io::Write as _;
    // Whoever closed stderr doesn't want to know.
    let _ = writeln!(std::io::stderr(), "NOT TESTED: {why}");
}

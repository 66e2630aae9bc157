//! The source lens: rules over typed Go packages, and the models they rest on.
//!
//! [`check`] runs the rules over the root packages of a [`residue_types::Program`] and gives an
//! [`residue_finding::Outcome`]. What library functions do with resources comes from [`model::Models`]; [`rules::ALL`]
//! lists the rules. A rule is one file in `src/rules/`, its documentation the comment that opens the file.
//!
//! [`check_with`] takes what was found in unchanged packages from a store and leaves there what it finds.
//!
//! No I/O, no global state; the result does not depend on the number of threads.

mod context;
mod demand;
mod ends;
mod engine;
pub mod model;
mod reach;
mod reuse;
pub mod rules;
mod source;
mod state;
mod suppress;
mod value;

pub use context::with_oracle;
pub use engine::{check, check_with};
pub use model::{ModelError, Models};
pub use reuse::{Memory, Reuse, Reused, Watch};
pub use suppress::suppression;

//! The source lens: rules over typed Go packages, and the models they rest on.
//!
//! [`check`] runs the rules over the root packages of a [`residue_types::Program`] and gives an
//! [`residue_finding::Outcome`]. What library functions do with resources comes from [`model::Models`]; [`rules::ALL`]
//! lists the rules. A rule is one file in `src/rules/`, its documentation the comment that opens the file.
//!
//! No I/O, no global state; the result does not depend on the number of threads.

mod context;
mod demand;
mod engine;
pub mod model;
mod reach;
pub mod rules;
mod source;
mod state;
mod suppress;
mod value;

pub use context::with_oracle;
pub use engine::check;
pub use model::{ModelError, Models};

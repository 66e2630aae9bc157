//! The source lens: rules over typed Go packages, and the models they rest on.

pub mod model;

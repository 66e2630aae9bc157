//! Control flow of Go function bodies.
//!
//! [`build`] makes the control-flow graph of one function body from its syntax tree. Each block holds what is evaluated,
//! in order; each edge says why it is taken. Conditions with `&&`, `||` and `!` are branches of their own, calls that
//! never return end their path, unreachable code is kept and marked. The body of a function literal has a graph of its
//! own, built apart.
//!
//! Besides the graph there are questions to it: which blocks can run more than once ([`Cfg::repeats`]), what leads to
//! and dominates what ([`graph`]); and two views of a tree that rules need: what a node evaluates ([`walk`]) and what stands around an expression ([`tree::Parents`]).
//!
//! [`lower::lower`] goes on from the graph: over the same blocks and edges it gives three-address code ([`ir`]), in the
//! order of evaluation, with every implicit step an instruction of its own and the reasons for which each can panic.
//!
//! What only types and models can tell about a graph, the caller tells through an [`Oracle`]. Everything here is total
//! on broken trees and does no I/O.

pub mod build;
pub mod cfg;
pub mod dump;
pub mod graph;
pub mod ir;
pub mod lower;
pub mod tree;
pub mod walk;

pub use build::{Oracle, Stop, Typed, build};
pub use cfg::{Block, BlockId, BlockKind, Cfg, Edge, EdgeKind, End, Node, Point};
pub use tree::{Function, FunctionKind, Parent, Parents, functions, names};

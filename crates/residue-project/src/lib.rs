//! From a directory and package patterns to parsed Go packages, imports before importers.
//!
//! [`load`] reads `go.mod`, selects module versions, finds packages in the tree, in `vendor`, in the module cache and
//! in the embedded standard library, applies build constraints, and parses. It never runs the go command, never uses
//! the network, never reads the process environment, and sees files only through a [`FileSystem`].
//!
//! What is broken, unreadable or missing becomes a [`Diagnostic`] or a [`Missing`] entry; the rest is still loaded.

mod build;
mod cache;
mod config;
mod constraint;
mod diagnostic;
mod edit;
pub mod fs;
mod glob;
mod guard;
mod internal;
mod link;
mod load;
mod missing;
mod modfile;
mod modgraph;
mod modules;
mod paths;
mod project;
mod report;
mod semver;
mod source;
pub mod stdlib;
mod toolchain;
mod tree;
mod vendor;
mod version;

pub use cache::ParseCache;
pub use config::{Config, Env, StubPackage, Target};
pub use diagnostic::{Diagnostic, LoadError, Missing, Place, Problem, Severity};
pub use fs::{FileSystem, OsFileSystem};
pub use glob::Globs;
pub use load::{load, load_with};
pub use project::{LoadStats, Module, ModuleId, ModuleKind, Origin, Package, PackageId, Project, SourceFile, Variant};
pub use stdlib::std_version;
pub use version::GoVersion;

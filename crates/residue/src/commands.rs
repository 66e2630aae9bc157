//! One file a subcommand.

pub(crate) mod baseline;
pub(crate) mod bpf;
pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod debug;
pub(crate) mod explain;
pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod lsp;
pub(crate) mod rules;
#[cfg(target_os = "linux")]
pub(crate) mod trace;

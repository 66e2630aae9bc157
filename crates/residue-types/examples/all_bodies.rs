//! Types all bodies of a module and of everything it imports, keeps them, and prints how many packages, files and bytes
//! that were. The other half of `bench/types`.
//!
//!     all_bodies DIR

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "an example prints and asks the environment")]

use std::error::Error;
use std::sync::Arc;

use rayon::prelude::*;
use residue_project::{Config, Env, OsFileSystem, PackageId, load};
use residue_types::Program;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).ok_or("usage: all_bodies DIR")?;
    let config = Config {
        all_bodies: true,
        cgo: Some(false),
        max_file_bytes: u64::MAX,
        env: Env::from_vars(std::env::vars()),
        ..Config::new(std::path::absolute(dir)?)
    };
    let program = Program::new(Arc::new(load(&OsFileSystem, &config)?));
    let project = program.project();
    let ids: Vec<PackageId> = project.packages().map(|(id, _)| id).collect();
    let bodies: Vec<_> = ids.par_iter().with_max_len(1).map(|&id| program.bodies(id)).collect();
    let files: usize = bodies.iter().map(residue_types::Bodies::file_count).sum();
    let bytes: usize = project.packages.iter().flat_map(|p| &p.files).map(|f| f.file.src().len()).sum();
    println!("{} {files} {bytes}", project.packages.len());
    Ok(())
}

//! The `residue` program: everything is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    residue_cli::main()
}

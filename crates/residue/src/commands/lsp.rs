//! `residue lsp`: a language server.

use crate::args::LspArgs;
use crate::error::{Error, Exit};
use crate::lsp;

pub(crate) fn run(args: LspArgs) -> Result<Exit, Error> {
    lsp::serve(args.look)
}

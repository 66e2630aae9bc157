//! `residue completion`, `residue man`: made from the definition of the flags.

use crate::args::CompletionArgs;
use crate::error::{Error, Exit};
use crate::output;

pub(crate) fn completion(args: &CompletionArgs) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::command(), "residue", &mut script);
    output::stdout(|out| out.write_all(&script))?;
    Ok(Exit::Clean)
}

/// One page for the program, then one for each subcommand.
pub(crate) fn man() -> Result<Exit, Error> {
    output::stdout(|out| {
        let mut command = crate::command();
        command.build();
        clap_mangen::Man::new(command.clone()).render(out)?;
        for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
            clap_mangen::Man::new(subcommand.clone()).render(out)?;
        }
        Ok(())
    })?;
    Ok(Exit::Clean)
}

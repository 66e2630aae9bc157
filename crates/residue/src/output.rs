//! Where data goes: stdout or files.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::error::Error;

/// Writes data to stdout. A reader that has seen enough and closed the pipe is
/// no error: the exit code still says what was found.
pub(crate) fn stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) => {
            // What is still buffered has no reader; don't try again on drop.
            let _ = out.into_parts();
            if error.kind() == io::ErrorKind::BrokenPipe {
                return Ok(());
            }
            Err(Error::failed(format!("cannot write to stdout: {error}")))
        }
    }
}

/// Writes data to a file.
pub(crate) fn file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let run = || {
        let mut out = BufWriter::with_capacity(64 << 10, std::fs::File::create(path)?);
        write(&mut out)?;
        out.flush()
    };
    run().map_err(|error| Error::failed(format!("cannot write {}: {error}", path.display())))
}

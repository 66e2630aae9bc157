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

/// Writes a file of the user's so that it is there as before or as it is to be, never in between. A link is replaced, not
/// followed.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let run = || {
        let mut text = Vec::new();
        write(&mut text)?;
        let name = path.file_name().ok_or_else(|| io::Error::other("it is no file's name"))?;
        let mut beside = name.to_owned();
        beside.push(format!(".{}.new", std::process::id()));
        let beside = path.with_file_name(beside);
        let written = std::fs::OpenOptions::new().write(true).create_new(true).open(&beside).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        let renamed = written.and_then(|()| std::fs::rename(&beside, path));
        if renamed.is_err() {
            // What is half written is of no use; there is nothing to be done if that fails too.
            let _ = std::fs::remove_file(&beside);
        }
        renamed
    };
    run().map_err(|error| Error::failed(format!("cannot write {}: {error}", path.display())))
}

/// Writes data to a file. A link to a file is replaced: it may lie in the analysed tree and lead anywhere. Devices and pipes
/// are written to.
pub(crate) fn file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let run = || {
        let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        if is_link && path.metadata().map_or(true, |metadata| metadata.is_file()) {
            std::fs::remove_file(path)?;
        }
        let mut out = BufWriter::with_capacity(64 << 10, std::fs::File::create(path)?);
        write(&mut out)?;
        out.flush()
    };
    run().map_err(|error| Error::failed(format!("cannot write {}: {error}", path.display())))
}

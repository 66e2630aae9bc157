//! `--record` and `--replay`: what the kernel said, one event a line, to be looked at again without it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use residue_fd::Ledger;
use residue_fd::event::{Event, Site, VERSION, VERSION_MIN};

use super::stream::Stream;
use crate::error::Error;

/// A line is not longer: the deepest stack with long names has some 30 KB.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Where events go.
pub(super) struct Recorder {
    out: Option<BufWriter<File>>,
}

impl Recorder {
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let create = |path: &Path| {
            let failed = |error| Error::failed(format!("cannot write {}: {error}", path.display()));
            File::create(path).map(BufWriter::new).map_err(failed)
        };
        Ok(Self { out: path.map(create).transpose()? })
    }

    /// Writes events down.
    pub(super) fn write(&mut self, events: &[Event]) -> Result<(), Error> {
        let Some(out) = &mut self.out else { return Ok(()) };
        for event in events {
            let written = serde_json::to_writer(&mut *out, event).map_err(std::io::Error::from);
            written.and_then(|()| out.write_all(b"\n")).map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        self.out.map_or(Ok(()), |mut out| out.flush()).map_err(|error| failed(&error))
    }
}

fn failed(error: &std::io::Error) -> Error {
    Error::failed(format!("cannot write the recording: {error}"))
}

/// Enters a recording into the books. Streams tell of processes; how openers stood in between is not told again.
pub(super) fn replay(path: &Path, ledger: &mut Ledger, streams: &mut [Stream]) -> Result<(), Error> {
    let file = File::open(path).map_err(|error| Error::usage(format!("cannot read {}: {error}", path.display())))?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let wrong = |what: String| Error::failed(format!("{}:{number}: {what}", path.display()));
        let read = std::io::Read::take(&mut reader, LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.map_err(|error| wrong(error.to_string()))? == 0 {
            break;
        }
        let event: Event = serde_json::from_slice(&line).map_err(|error| wrong(format!("no event: {error}")))?;
        match &event {
            Event::Start(start) if !(VERSION_MIN..=VERSION).contains(&start.version) => {
                let version = start.version;
                return Err(wrong(format!("a recording of version {version}, this reads {VERSION_MIN} to {VERSION}")));
            }
            Event::Start(_) => {}
            Event::Site(site) if !is_plain(site) => {
                return Err(wrong("no event: a call or a kind that is no word".to_owned()));
            }
            _ if number == 1 => return Err(wrong("no recording: it begins with something else".to_owned())),
            _ => {}
        }
        for stream in &mut *streams {
            stream.events(std::slice::from_ref(&event))?;
        }
        ledger.apply(event);
    }
    Ok(())
}

/// Calls, commands and kinds are words of our own, and printed as they are.
fn is_plain(site: &Site) -> bool {
    let words = [&site.call, &site.command, &site.kind];
    words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')))
}

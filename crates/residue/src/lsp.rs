//! `residue lsp`: a language server on stdin and stdout.
//!
//! The server ([`server`]) talks to the client and does no work; each directory that the client has open is analysed on a
//! thread of its own ([`folder`], [`session`]), so that an answer never waits for an analysis that it doesn't need.

mod actions;
mod client;
mod convert;
mod document;
mod folder;
mod overlay;
mod server;
mod session;
mod text;
mod uri;
mod wire;

use std::io::{self, BufReader, BufWriter};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use serde_json::Value;

use crate::args::LookArgs;
use crate::commands::check;
use crate::error::{Error, Exit};
use server::{End, Event, Server};

/// How many events wait before whoever has more has to.
const EVENTS_MAX: usize = 64;

/// Serves one client until it ends or goes.
pub(crate) fn serve(args: LookArgs) -> Result<Exit, Error> {
    check::start_threads(args.jobs)?;
    let (events, waiting) = sync_channel(EVENTS_MAX);
    let (out, messages) = channel();
    let said = events.clone();
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        thread.map_err(|error| Error::failed(format!("cannot start a thread: {error}")))
    };
    // It ends with the program: nothing can be done about a client that neither says anything nor goes.
    spawn("reader", Box::new(move || read(&said)))?;
    let writer = spawn("writer", Box::new(move || write(&messages)))?;
    let end = Server::new(args, events, out).run(&waiting);
    // All that was said is written.
    let _ = writer.join();
    match end {
        End::Orderly => Ok(Exit::Clean),
        // The protocol's exit code 1.
        End::Abrupt => Ok(Exit::Findings),
        End::Broken(message) => Err(Error::failed(format!("cannot read the client's messages: {message}"))
            .hint("`residue lsp` is started by an editor and talks LSP on stdin and stdout")),
    }
}

fn read(events: &SyncSender<Event>) {
    let mut input = BufReader::new(io::stdin().lock());
    loop {
        let incoming = wire::read(&mut input);
        let last = matches!(incoming, wire::Incoming::Broken(_) | wire::Incoming::Closed);
        if events.send(Event::Said(incoming)).is_err() || last {
            return;
        }
    }
}

fn write(messages: &Receiver<Value>) {
    let mut output = BufWriter::new(io::stdout().lock());
    for message in messages {
        // A client that has closed its end is gone, which is read at the other.
        if wire::write(&mut output, &message).is_err() {
            return;
        }
    }
}

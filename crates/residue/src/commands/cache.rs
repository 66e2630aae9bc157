//! `residue cache`: what is kept between runs.

use std::path::{Path, PathBuf};

use residue_cache::{DiskStore, Usage};
use residue_report::plural;

use crate::args::{CacheArgs, CacheCommand, CacheDirArgs};
use crate::cache;
use crate::error::{Error, Exit};
use crate::output;
use crate::terminal::Terminal;

pub(crate) fn run(args: CacheArgs, terminal: &Terminal) -> Result<Exit, Error> {
    match args.command {
        CacheCommand::Clean(dir) => clean(dir, terminal),
        CacheCommand::Show(dir) => show(dir),
    }
}

fn store(args: CacheDirArgs) -> Result<DiskStore, Error> {
    let dir = args.cache_dir.or_else(cache::users_dir);
    let dir = dir.ok_or_else(|| {
        Error::usage("no directory is known to keep results in: HOME is not set").hint("name one with `--cache-dir`")
    })?;
    // As `check` has it.
    let dir = if dir.is_absolute() { dir } else { current_dir()?.join(dir) };
    Ok(DiskStore::new(dir, cache::BYTES_MAX))
}

fn current_dir() -> Result<PathBuf, Error> {
    std::env::current_dir().map_err(|error| Error::failed(format!("cannot tell the working directory: {error}")))
}

fn clean(args: CacheDirArgs, terminal: &Terminal) -> Result<Exit, Error> {
    let store = store(args)?;
    let cannot = |error| Error::failed(format!("cannot clean {}: {error}", store.dir().display()));
    let usage = store.clear().map_err(cannot)?;
    terminal.note(&format!("removed {} from {}", amount(usage), store.dir().display()));
    Ok(Exit::Clean)
}

fn show(args: CacheDirArgs) -> Result<Exit, Error> {
    let store = store(args)?;
    let cannot = |error| Error::failed(format!("cannot read {}: {error}", store.dir().display()));
    let usage = store.usage().map_err(cannot)?;
    let line = format!("{}: {}, {} MB at most\n", shown(store.dir()), amount(usage), cache::BYTES_MAX >> 20);
    output::stdout(|out| out.write_all(line.as_bytes())).map(|()| Exit::Clean)
}

fn shown(path: &Path) -> String {
    residue_report::shown(&path.display().to_string())
}

fn amount(usage: Usage) -> String {
    let entries = usize::try_from(usage.entries).unwrap_or(usize::MAX);
    format!("{} ({:.1} MB)", plural(entries, "entry"), usage.bytes as f64 / f64::from(1 << 20))
}

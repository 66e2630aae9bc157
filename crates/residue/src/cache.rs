//! What is kept between runs, and where.
//!
//! A whole run is kept as the questions that it asked of the file system, each with a digest of the answer, and what came
//! out of it ([`run`], [`trace`]). Where all answers are the same, so is what comes out: nothing is read but what is
//! asked. Else packages are taken one by one (`residue_check::Reuse`).
//!
//! Everything kept was put there by this program, run by this user: the directory never lies in what is analysed, and
//! files of other users are not believed.

mod run;
mod trace;

use std::path::{Path, PathBuf};

use residue_cache::{Digest, Digester, DiskStore, Store as _};

pub(crate) use run::{Kept, key};
pub(crate) use trace::Recorder;
use trace::Stamp;

use crate::error::Error;
use crate::paths;

/// What is used longest ago is dropped where there is more.
pub(crate) const BYTES_MAX: u64 = 512 << 20;

/// The directory of a run, or why there is none.
#[derive(Debug)]
pub(crate) struct Cache {
    store: Result<DiskStore, String>,
}

impl Cache {
    /// No cache was asked for.
    pub(crate) fn off() -> Self {
        Self { store: Err("it is switched off".to_owned()) }
    }

    /// The directory that was named, else the user's. `trees` are what is analysed: nothing of it is to be believed.
    pub(crate) fn find(named: Option<&Path>, trees: &[PathBuf], dir: &Path) -> Result<Self, Error> {
        let tree_around = |path: &Path| trees.iter().find(|tree| paths::is_inside(path, &dir.join(tree)));
        if let Some(named) = named {
            let path = dir.join(named);
            return match tree_around(&path) {
                Some(tree) => {
                    let (path, tree) = (paths::shown(&path, dir), tree.display());
                    Err(Error::usage(format!("the cache {path} lies in {tree}, which is analysed"))
                        .hint("what is analysed could bring its own results along; name a directory outside of it"))
                }
                None => Ok(Self { store: Ok(DiskStore::new(path, BYTES_MAX)) }),
            };
        }
        let store = match users_dir() {
            Some(path) => match tree_around(&path) {
                Some(tree) => Err(format!("{} lies in {}, which is analysed", path.display(), tree.display())),
                None => Ok(DiskStore::new(path, BYTES_MAX)),
            },
            None => Err("no directory is known to keep it in: HOME is not set".to_owned()),
        };
        Ok(Self { store })
    }

    /// Where results are kept, if anywhere.
    pub(crate) fn store(&self) -> Option<&DiskStore> {
        self.store.as_ref().ok()
    }

    /// Ends a run's use of it: drops what is too much.
    pub(crate) fn finish(&self) {
        if let Some(store) = self.store() {
            store.trim();
        }
    }

    /// What kept results from being used or kept.
    pub(crate) fn trouble(&self) -> Option<String> {
        match &self.store {
            Ok(store) => store.trouble(),
            Err(why) => Some(why.clone()),
        }
    }
}

/// Where programs keep what they can make again, for this user (XDG Base Directory Specification 0.8; elsewhere what is
/// usual there).
pub(crate) fn users_dir() -> Option<PathBuf> {
    // Relative ones are to be ignored, and would lie in whatever is analysed.
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join("Library/Caches")))
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
    };
    base.map(|base| base.join("residue"))
}

/// The digest of what all results rest on beside what is analysed: this program, as another build may find other things,
/// and models that the user adds, by path and text.
pub(crate) fn base(models: &[(String, String)], store: &DiskStore) -> Option<Digest> {
    let mut digester = Digester::new("base");
    digester.digest(program(store)?).texts(models.iter().flat_map(|(path, text)| [path, text]));
    Some(digester.finish())
}

/// The digest of this program. To read all of it takes longer than much of what is done by it, so that its digest is kept
/// as well.
fn program(store: &DiskStore) -> Option<Digest> {
    // What runs, also where the file has been replaced meanwhile.
    let path =
        if cfg!(target_os = "linux") { PathBuf::from("/proc/self/exe") } else { std::env::current_exe().ok()? };
    let key = Stamp::of(&std::fs::metadata(&path).ok()?, trace::now()).map(|stamp| {
        let mut digester = Digester::new("program");
        stamp.add(&mut digester);
        digester.finish()
    });
    if let Some(known) = key.and_then(|key| store.get(key)?.try_into().ok()) {
        return Some(Digest::from_bytes(known));
    }
    let digest = Digest::of(&std::fs::read(path).ok()?);
    if let Some(key) = key {
        store.put(key, digest.as_bytes());
    }
    Some(digest)
}

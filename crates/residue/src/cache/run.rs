//! A whole run, as it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use residue_cache::shape::OutcomeShape;
use residue_cache::{Digest, Digester, Store, decode, encode};
use residue_finding::Outcome;
use residue_project::{Config, Env};
use serde::{Deserialize, Serialize};

use super::trace::Trace;
use crate::engine::{AnalysedSources, LookedAt, Totals};
use crate::settings::Settings;

/// What of a run is kept.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    trace: Trace,
    outcome: OutcomeShape,
    /// Files and packages that were looked at.
    files: BTreeSet<String>,
    packages: BTreeSet<String>,
    /// Files that reports show parts of: as they are shown, and what they hold.
    sources: BTreeMap<String, Digest>,
    totals: Totals,
}

/// What a run gives, taken from the cache.
pub(crate) struct Opened {
    pub(crate) outcome: Outcome,
    pub(crate) sources: AnalysedSources,
    pub(crate) looked_at: LookedAt,
    pub(crate) totals: Totals,
}

impl Kept {
    /// What came of a run; none where it can't be kept.
    pub(crate) fn new(
        trace: Trace,
        outcome: &Outcome,
        sources: &AnalysedSources,
        looked_at: &LookedAt,
        totals: Totals,
        dir: &Path,
    ) -> Option<Self> {
        // What reports show is read again from where it was read.
        let read = trace.contents();
        let mut shown = BTreeMap::new();
        for (path, text) in sources.iter() {
            let digest = Digest::of(text);
            let known = read.get(dir.join(path).to_str()?)?;
            shown.insert(path.to_owned(), (*known == digest).then_some(digest)?);
        }
        Some(Self {
            trace,
            outcome: OutcomeShape::of(outcome),
            files: looked_at.files.clone(),
            packages: looked_at.packages.clone(),
            sources: shown,
            totals,
        })
    }

    pub(crate) fn put(&self, key: Digest, store: &dyn Store) {
        if let Some(bytes) = encode(self) {
            store.put(key, &bytes);
        }
    }

    /// What came of the run of a key, if it would be the same again.
    pub(crate) fn get(key: Digest, store: &dyn Store, dir: &Path) -> Option<Opened> {
        let mut kept: Self = decode(&store.get(key)?)?;
        if kept.trace.holds()? {
            kept.put(key, store);
        }
        let mut sources = AnalysedSources::default();
        for (path, digest) in kept.sources {
            let text: Arc<[u8]> = std::fs::read(dir.join(&path)).ok()?.into();
            if Digest::of(&text) != digest {
                return None;
            }
            sources.insert(path, text);
        }
        Some(Opened {
            outcome: kept.outcome.open()?,
            sources,
            looked_at: LookedAt { files: kept.files, packages: kept.packages },
            totals: kept.totals,
        })
    }
}

/// The key of a run: what it does, and by which program, apart from what it is told by the file system.
pub(crate) fn key<'a>(base: Digest, settings: &Settings, builds: impl Iterator<Item = &'a Config>) -> Digest {
    let mut digester = Digester::new("whole run");
    digester.digest(base).texts(settings.rules.iter().map(|rule| rule.code.to_string()));
    // What a configuration disables is part of what comes out.
    digester.text(&format!("{:?} {:?}", settings.disabled, settings.left_out));
    for config in builds {
        add(config, digester.flag(true));
    }
    digester.flag(false).finish()
}

fn add(config: &Config, digester: &mut Digester) {
    let Config {
        dir,
        patterns,
        trees,
        tests,
        include_vendor,
        exclude,
        allow_paths,
        tags,
        goos,
        goarch,
        cgo,
        all_bodies,
        // Made of the models, which are part of the base.
        stubs: _,
        max_file_bytes,
        env,
    } = config;
    digester.bytes(dir.as_os_str().as_encoded_bytes()).texts(patterns).texts(exclude).texts(tags);
    for path in allow_paths {
        digester.flag(true).bytes(path.as_os_str().as_encoded_bytes());
    }
    digester.flag(false).flag(*trees).flag(*tests).flag(*include_vendor).flag(*all_bodies);
    digester.maybe(goos.as_deref()).maybe(goarch.as_deref()).maybe(cgo.map(|cgo| if cgo { "1" } else { "0" }));
    digester.number(*max_file_bytes);
    for name in Env::NAMES {
        digester.maybe(env.get(name));
    }
}

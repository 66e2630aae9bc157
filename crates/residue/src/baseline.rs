//! A baseline: findings that are known, in a file, so that only others are reported.
//!
//! Entries are matched as a multiset of fingerprints. The file can only shrink unless somebody writes it anew: an entry
//! whose finding is gone is stale, and then hides the next equal leak until it is pruned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use residue_finding::{BaselineUse, Finding, Fingerprint, Outcome, RuleCode, StaleEntry, Suppressed, SuppressedBy};
use residue_report::shown_name;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::engine::LookedAt;
use crate::error::Error;
use crate::settings::Settings;
use crate::{output, paths};

/// The name where none is said, at the root of the repository.
pub(crate) const FILE_NAME: &str = ".residue-baseline.toml";

/// The version of the file's shape.
const VERSION: u32 = 1;

/// Larger files are no baseline: this is a hundred thousand entries.
const BYTES_MAX: u64 = 64 << 20;

const HEADER: &str = "\
# Findings that are known and not reported. Made by `residue baseline write`; `why` is for you to fill in, and is kept.
";

/// A baseline that was read, or is to be written.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    path: PathBuf,
    entries: Vec<Entry>,
}

/// A known finding. Only the fingerprint counts; the rest is for those who read the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// Relative to the directory of the baseline, as reports show it.
    path: String,
    rule: RuleCode,
    package: String,
    declaration: String,
    fingerprint: Fingerprint,
    message: String,
    why: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawFile<E> {
    version: u32,
    #[serde(default = "Vec::new", rename = "finding")]
    findings: Vec<E>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    fingerprint: String,
    rule: String,
    path: String,
    package: String,
    declaration: String,
    message: String,
    #[serde(default)]
    why: String,
}

/// What a run means for a baseline.
#[derive(Clone, Copy)]
pub(crate) struct Changes {
    /// Entries that stay.
    pub(crate) kept: usize,
    /// Entries that go.
    pub(crate) dropped: usize,
    /// Entries that come.
    pub(crate) added: usize,
}

impl Baseline {
    /// Reads a file that is there.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        let cannot = |error: std::io::Error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let hint = missing.then_some("`residue baseline write` makes one");
            Error::usage(format!("cannot read the baseline {shown}: {error}")).maybe_hint(hint)
        };
        let metadata = path.metadata().map_err(cannot)?;
        if !metadata.is_file() || metadata.len() > BYTES_MAX {
            return Err(Error::usage(format!("the baseline {shown} is no file of at most {} MiB", BYTES_MAX >> 20)));
        }
        let text = std::fs::read_to_string(path).map_err(cannot)?;
        let malformed = |(line, message)| Error::usage(format!("{shown}:{line}: {message}"));
        Ok(Self { path: path.to_owned(), entries: parse(&text).map_err(malformed)? })
    }

    /// Reads a file, or starts one.
    pub(crate) fn read_or_start(path: &Path) -> Result<Self, Error> {
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self { path: path.to_owned(), entries: Vec::new() })
            }
            _ => Self::read(path),
        }
    }

    /// Holds back the findings that are in the baseline, and says in the summary which entries are stale.
    pub(crate) fn apply(&self, outcome: &mut Outcome, settings: &Settings, looked_at: &LookedAt) {
        let mut known: BTreeMap<Fingerprint, Vec<&Entry>> = BTreeMap::new();
        for entry in self.entries.iter().rev() {
            known.entry(entry.fingerprint).or_default().push(entry);
        }
        outcome.hold_back(|finding| {
            let entry = known.get_mut(&finding.fingerprint)?.pop()?;
            Some(SuppressedBy::Baseline { why: entry.why.clone() })
        });
        // Where not everything was analysed, nothing is known to be gone. Nor is one of several equals: which of them was
        // matched is an accident of their order, and the one that is left may be one that was not looked at.
        let complete = outcome.summary.complete();
        let equals = |entry: &Entry| (entry.rule, entry.package.clone(), entry.declaration.clone());
        let unseen = self.entries.iter().filter(|entry| !self.is_seen(entry, settings, looked_at)).map(equals);
        let unseen: BTreeSet<_> = unseen.collect();
        let gone = known.into_values().flatten().filter(|entry| complete && !unseen.contains(&equals(entry)));
        let stale = gone.map(|entry| StaleEntry {
            fingerprint: entry.fingerprint,
            rule: entry.rule,
            path: entry.path.clone(),
            message: entry.message.clone(),
        });
        let mut stale: Vec<StaleEntry> = stale.collect();
        stale.sort_by(|a, b| (&a.path, a.rule, a.fingerprint).cmp(&(&b.path, b.rule, b.fingerprint)));
        outcome.summary.baseline = Some(BaselineUse { path: paths::shown(&self.path, &settings.dir), stale });
    }

    /// Whether a run would have found what an entry stands for, were it still there.
    fn is_seen(&self, entry: &Entry, settings: &Settings, looked_at: &LookedAt) -> bool {
        if !settings.rules.iter().any(|rule| rule.code == entry.rule) {
            return false;
        }
        let file = self.dir(settings).join(&entry.path);
        let analysed = || looked_at.files.contains(&paths::shown(&file, &settings.dir));
        // The file may be gone because its code moved: to another file of the package, if that was looked at.
        let moved = || looked_at.packages.contains(&entry.package) || !file.parent().is_some_and(Path::exists);
        analysed() || !file.exists() && moved()
    }

    /// Drops what is stale after [`Baseline::apply`].
    pub(crate) fn prune(&mut self, outcome: &Outcome) -> Changes {
        let dropped =
            self.drop_each(outcome.summary.baseline.iter().flat_map(|used| &used.stale).map(|it| it.fingerprint));
        Changes { kept: self.entries.len(), dropped, added: 0 }
    }

    /// Makes it hold the findings of a run to which it was applied, and of its own what that run did not look at.
    pub(crate) fn rewrite(&mut self, outcome: &Outcome, settings: &Settings) -> Changes {
        let changes = self.prune(outcome);
        // Messages and places are brought up to date, reasons kept.
        let held: Vec<(&Finding, &str)> = outcome
            .suppressed
            .iter()
            .filter_map(|Suppressed { finding, by }| match by {
                SuppressedBy::Baseline { why } => Some((finding, why.as_str())),
                _ => None,
            })
            .collect();
        self.drop_each(held.iter().map(|(finding, _)| finding.fingerprint));
        let new = outcome.findings.iter().map(|finding| (finding, ""));
        let entries: Vec<Entry> = held.into_iter().chain(new).map(|(it, why)| self.entry(it, why, settings)).collect();
        self.entries.extend(entries);
        Changes { added: outcome.findings.len(), ..changes }
    }

    /// Drops one entry for each fingerprint; says how many there were.
    fn drop_each(&mut self, fingerprints: impl Iterator<Item = Fingerprint>) -> usize {
        let mut wanted: BTreeMap<Fingerprint, usize> = BTreeMap::new();
        for fingerprint in fingerprints {
            *wanted.entry(fingerprint).or_default() += 1;
        }
        let before = self.entries.len();
        self.entries.retain(|entry| match wanted.get_mut(&entry.fingerprint) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        });
        before - self.entries.len()
    }

    fn entry(&self, finding: &Finding, why: &str, settings: &Settings) -> Entry {
        let file = settings.dir.join(&finding.site.path);
        Entry {
            path: shown_name(&paths::shown(&file, &self.dir(settings))),
            rule: finding.rule,
            package: finding.site.import_path.clone(),
            declaration: shown_name(&finding.site.declaration),
            fingerprint: finding.fingerprint,
            message: residue_report::shown(&finding.message),
            why: why.to_owned(),
        }
    }

    /// The directory of the file: its paths are relative to it, so that it means the same wherever it is used from.
    fn dir(&self, settings: &Settings) -> PathBuf {
        let file = settings.dir.join(&self.path);
        file.parent().unwrap_or(&settings.dir).to_owned()
    }

    /// Writes the file, all of it or nothing.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        self.entries.sort();
        let findings = self.entries.iter().map(|entry| RawEntry {
            fingerprint: entry.fingerprint.to_string(),
            rule: entry.rule.to_string(),
            path: entry.path.clone(),
            package: entry.package.clone(),
            declaration: entry.declaration.clone(),
            message: entry.message.clone(),
            why: entry.why.clone(),
        });
        let file = RawFile { version: VERSION, findings: findings.collect() };
        let text = toml::to_string(&file).map_err(|error| Error::bug(&error.to_string()))?;
        output::replace(&self.path, |out| write!(out, "{HEADER}\n{text}"))
    }
}

/// Reads the text of a file; a mistake comes with its line.
fn parse(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let line = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
    let file: RawFile<Spanned<RawEntry>> = toml::from_str(text).map_err(|error| {
        let message = error.message().lines().next().unwrap_or_default().to_owned();
        (line(error.span().map_or(0, |span| span.start)), message)
    })?;
    if file.version != VERSION {
        return Err((line(0), format!("version {} is not known here, only {VERSION}", file.version)));
    }
    let entry = |raw: Spanned<RawEntry>| {
        let at = raw.span().start;
        let raw = raw.into_inner();
        let wrong = |what: &str, text: &str, why: &dyn std::fmt::Display| (line(at), format!("{what} `{text}`: {why}"));
        Ok(Entry {
            rule: raw.rule.parse().map_err(|why| wrong("rule", &raw.rule, &why))?,
            fingerprint: raw.fingerprint.parse().map_err(|why| wrong("fingerprint", &raw.fingerprint, &why))?,
            path: raw.path,
            package: raw.package,
            declaration: raw.declaration,
            message: raw.message,
            why: raw.why,
        })
    };
    file.findings.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use residue_finding::Site;

    use super::*;
    use crate::args::CheckArgs;
    use crate::engine;

    const PRINT: &str = "12036e870be5acb2e5b8915800ee371b";

    fn file(more: &str) -> String {
        format!(
            "version = 1\n\n[[finding]]\nfingerprint = \"{PRINT}\"\nrule = \"R201\"\npath = \"a.go\"\n\
             package = \"p\"\ndeclaration = \"F\"\nmessage = \"left\"\n{more}"
        )
    }

    #[test]
    fn mistakes_name_their_line() {
        assert_eq!(parse(&file("why = 'x'")).map(|entries| entries.len()), Ok(1));
        assert_eq!(parse("version = 1\n"), Ok(Vec::new()));
        for (text, line, message) in [
            ("", 1, "missing field `version`"),
            ("version = 2\n", 1, "version 2 is not known here, only 1"),
            ("version = 1\n<<<<", 2, ""),
            (&file("hwy = 'x'\n"), 10, "unknown field `hwy`"),
            (&file("").replace("R201", "201"), 3, "rule `201`: expected a letter and three digits"),
            (&file("").replace("1203", "xyz"), 3, "fingerprint `xyz"),
        ] {
            let (at, said) = parse(text).expect_err(text);
            assert!(at == line && said.starts_with(message), "{at}: {said}");
        }
    }

    #[test]
    fn entries_are_a_multiset() {
        let rule = *engine::rules().iter().find(|rule| rule.default_on).expect("some rule is on");
        let finding = || Finding::new(rule, "left", Site { path: "a.go".to_owned(), ..Site::default() });
        let settings = Settings::resolve(CheckArgs::default()).expect("the defaults are fine");
        let looked_at = LookedAt { files: ["a.go".to_owned()].into(), ..LookedAt::default() };
        let mut outcome = Outcome { findings: vec![finding(), finding()], ..Outcome::default() };
        let mut baseline = Baseline { path: PathBuf::from("b.toml"), entries: Vec::new() };
        for entries in 0..5 {
            let mut run = outcome.clone();
            baseline.entries = (0..entries).map(|_| baseline.entry(&finding(), "known", &settings)).collect();
            baseline.apply(&mut run, &settings, &looked_at);
            assert_eq!(run.findings.len(), 2_usize.saturating_sub(entries));
            let stale = run.summary.baseline.as_ref().map_or(0, |used| used.stale.len());
            assert_eq!(stale, entries.saturating_sub(2));
            assert_eq!(baseline.prune(&run).kept, entries.min(2));
            baseline.rewrite(&run, &settings);
            assert_eq!(baseline.entries.len(), 2);
            assert_eq!(baseline.entries.iter().filter(|entry| entry.why == "known").count(), entries.min(2));
        }
        outcome.findings.clear();
        for (packages, dropped) in [(&[][..], 0), (&[String::new()], 2)] {
            let mut run = outcome.clone();
            // The file is not there; its code is nowhere only where its package was looked at.
            let looked_at = LookedAt { packages: packages.iter().cloned().collect(), ..LookedAt::default() };
            baseline.apply(&mut run, &settings, &looked_at);
            assert_eq!(run.summary.baseline.map_or(0, |used| used.stale.len()), dropped);
        }
    }
}

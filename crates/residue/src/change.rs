//! What a change touched, and which findings it causes: those on its lines, and those whose path crosses them.

mod git;
mod patch;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use residue_finding::{Diagnostic, Finding, Outcome, Severity, Site, SuppressedBy};

use crate::error::Error;
use crate::settings::Settings;
use patch::{Lines, Patch};

/// No change that somebody reviews is larger.
const BYTES_MAX: u64 = 1 << 30;

/// A change.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// What it was taken from, as it was asked for.
    from: String,
    /// By absolute path; none where there is nothing yet to compare with, and everything is part of it.
    files: Option<BTreeMap<PathBuf, Lines>>,
    /// What the user should know about how it was taken.
    warning: Option<(String, String)>,
}

impl Change {
    /// Takes a change from a patch (`-` or a name that ends in `.patch` or `.diff`), else from what git says has changed
    /// since a revision. Whether a file of some name exists plays no part: the tree that is analysed must not decide.
    pub(crate) fn take(from: &str, settings: &Settings) -> Result<Self, Error> {
        let path = Path::new(from);
        let is_patch = path.extension().is_some_and(|extension| extension == "patch" || extension == "diff");
        let mut change = if from == "-" {
            Self::of_patch("from stdin", &mut std::io::stdin().lock(), settings)?
        } else if is_patch {
            let cannot = |error| Error::usage(format!("cannot read the patch {from}: {error}"));
            Self::of_patch(from, &mut BufReader::new(File::open(path).map_err(cannot)?), settings)?
        } else {
            git::since(from, &settings.start_root)?
        };
        change.from = from.to_owned();
        Ok(change)
    }

    fn of_patch(name: &str, input: &mut dyn BufRead, settings: &Settings) -> Result<Self, Error> {
        let mut input = input.take(BYTES_MAX);
        let patch =
            patch::read(&mut input).map_err(|error| Error::usage(format!("cannot read the patch {name}: {error}")))?;
        if input.limit() == 0 {
            return Err(Error::usage(format!("the patch {name} is larger than {} GiB", BYTES_MAX >> 30)));
        }
        if !patch.has_files {
            return Err(Error::usage(format!("the patch {name} names no file"))
                .hint("a unified diff is expected, as `git diff` and `git format-patch` make them"));
        }
        Ok(Self { files: Some(below(&settings.start_root, patch)), ..Self::default() })
    }

    /// Holds back what the change does not cause.
    pub(crate) fn apply(&self, outcome: &mut Outcome, settings: &Settings) {
        outcome.summary.change = Some(self.from.clone());
        if let Some((message, hint)) = &self.warning {
            outcome.summary.diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                path: None,
                position: None,
                message: message.clone(),
                hint: Some(hint.clone()),
            });
        }
        let Some(files) = &self.files else { return };
        outcome.hold_back(|finding| {
            let caused =
                is_caused(finding, |site| lines_of(files, &settings.dir.join(&site.path), &settings.start_root));
            (!caused).then_some(SuppressedBy::OutsideChange)
        });
    }
}

/// What a change touched of a file. Behind a link it is what it touched of the file that is meant; a link that is new or
/// leads elsewhere than before is a new file, though git sees one line in it.
fn lines_of<'f>(files: &'f BTreeMap<PathBuf, Lines>, path: &Path, root: &Path) -> Option<&'f Lines> {
    static NEW: Lines = Lines::all();
    let Some(lines) = files.get(path) else {
        let (real, real_root) = (path.canonicalize().ok()?, root.canonicalize().ok()?);
        return files.get(&root.join(real.strip_prefix(real_root).ok()?));
    };
    let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    Some(if is_link { &NEW } else { lines })
}

/// The files of a patch by their absolute paths.
fn below(root: &Path, patch: Patch) -> BTreeMap<PathBuf, Lines> {
    patch.files.into_iter().map(|(path, lines)| (root.join(path), lines)).collect()
}

/// Whether a change touches a line of a finding, or the way between its lines within a function.
fn is_caused<'c>(finding: &Finding, lines_of: impl Fn(&Site) -> Option<&'c Lines>) -> bool {
    let sites = || std::iter::once(&finding.site).chain(finding.steps.iter().map(|step| &step.site));
    let touched = |site: &Site| {
        let last = site.end.line.max(site.start.line);
        lines_of(site).is_some_and(|lines| lines.touch(site.start.line, last))
    };
    if sites().any(touched) {
        return true;
    }
    let same = |site: &&Site| site.path == finding.site.path && site.declaration == finding.site.declaration;
    let first = sites().filter(same).map(|site| site.start.line).min().unwrap_or(0);
    let last = sites().filter(same).map(|site| site.end.line.max(site.start.line)).max().unwrap_or(0);
    lines_of(&finding.site).is_some_and(|lines| lines.touch(first, last))
}

#[cfg(test)]
mod tests {
    use residue_finding::{Position, StepRole};

    use super::*;
    use crate::engine;

    fn site(path: &str, line: u32) -> Site {
        let at = Position { line, column: 1 };
        Site { path: path.to_owned(), start: at, end: at, declaration: "F".to_owned(), ..Site::default() }
    }

    #[test]
    fn findings_are_caused_on_their_lines_and_on_their_way() {
        let mut finding = Finding::new(engine::rules()[0], "left", site("a.go", 10));
        finding.step(StepRole::Left, site("a.go", 20), "returns here");
        finding.step(StepRole::Note, site("b.go", 5), "called here");
        let caused = |patch: &str| {
            let patch = patch::read(&mut patch.as_bytes()).expect("it is a patch");
            is_caused(&finding, |site| patch.files.get(&site.path))
        };
        for (patch, want) in [
            ("--- a/a.go\n+++ b/a.go\n@@ -10 +10 @@\n-x\n+y\n", true),
            ("--- a/a.go\n+++ b/a.go\n@@ -15 +15 @@\n-x\n+y\n", true),
            ("--- a/a.go\n+++ b/a.go\n@@ -15 +14,0 @@\n-defer f.Close()\n", true),
            ("--- a/a.go\n+++ b/a.go\n@@ -10 +9,0 @@\n-// above\n", false),
            ("--- a/a.go\n+++ b/a.go\n@@ -9 +9 @@\n-x\n+y\n", false),
            ("--- a/a.go\n+++ b/a.go\n@@ -21 +21 @@\n-x\n+y\n", false),
            ("--- a/b.go\n+++ b/b.go\n@@ -5 +5 @@\n-x\n+y\n", true),
            ("--- a/b.go\n+++ b/b.go\n@@ -10 +10 @@\n-x\n+y\n", false),
            ("--- a/c.go\n+++ b/c.go\n@@ -10 +10 @@\n-x\n+y\n", false),
        ] {
            assert_eq!(caused(patch), want, "{patch}");
        }
    }
}

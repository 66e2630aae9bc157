//! `.residue.toml`: what a repository settles for everyone who checks it.

mod raw;

use std::path::{Path, PathBuf};

use residue_finding::{Date, RuleMeta, Severity};
use residue_project::Globs;
use toml::Spanned;

use crate::args::FailOn;
use crate::engine;
use crate::error::Error;
use crate::paths;
use crate::platforms::Platform;
use crate::suggest;
use raw::{Raw, RawIgnore};

/// The name that is looked for, from the first pattern upward.
pub(crate) const FILE_NAME: &str = ".residue.toml";

/// Larger files are no configuration.
const BYTES_MAX: u64 = 1 << 20;

/// A configuration that was read and makes sense.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Where it was read from, absolute; none without a file.
    pub(crate) path: Option<PathBuf>,
    pub(crate) enable: Vec<&'static RuleMeta>,
    /// With the line that says so.
    pub(crate) disable: Vec<(&'static RuleMeta, usize)>,
    /// With the line that says so.
    pub(crate) exclude: Vec<(String, usize)>,
    pub(crate) ignore: Vec<IgnoredPaths>,
    pub(crate) fail_on: Option<FailOn>,
    pub(crate) strict: bool,
    pub(crate) tests: bool,
    pub(crate) include_vendor: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) platforms: Vec<Platform>,
    /// Absolute.
    pub(crate) models: Vec<PathBuf>,
    /// Absolute.
    pub(crate) baseline: Option<PathBuf>,
}

/// Findings of some rules in some files that are accepted.
#[derive(Debug)]
pub(crate) struct IgnoredPaths {
    /// Relative to the directory of the file.
    pub(crate) paths: Globs,
    /// The same, as written.
    pub(crate) patterns: Vec<String>,
    /// None is all.
    pub(crate) rules: Vec<&'static RuleMeta>,
    pub(crate) until: Option<Date>,
    pub(crate) why: String,
    pub(crate) line: usize,
}

/// Where a configuration comes from decides what it may name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Named on the command line or by the environment.
    Given,
    /// Found in the tree that is analysed: whoever writes the code writes it.
    Found,
}

impl Config {
    /// The configuration for a tree: the nearest [`FILE_NAME`] at or above it, and not above its repository.
    pub(crate) fn find(start: &Path) -> Result<Self, Error> {
        let start = std::path::absolute(start).unwrap_or_else(|_| start.to_owned());
        let root = paths::controlled(&start);
        for dir in start.ancestors().take_while(|dir| root.as_ref().is_none_or(|root| dir.starts_with(root))) {
            let path = dir.join(FILE_NAME);
            // What isn't a file, a directory of that name say, is not ours.
            if path.metadata().is_ok_and(|metadata| metadata.is_file()) {
                return Self::read_from(&path, Origin::Found);
            }
        }
        Ok(Self::default())
    }

    /// Reads a configuration that was asked for; it must be there.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        Self::read_from(path, Origin::Given)
    }

    fn read_from(path: &Path, origin: Origin) -> Result<Self, Error> {
        let shown = path.display();
        let cannot = |error: std::io::Error| Error::usage(format!("cannot read the configuration {shown}: {error}"));
        if origin == Origin::Found && !paths::is_inside(path, &paths::repository(parent(path))) {
            return Err(Error::usage(format!("the configuration {shown} is a link that leads out of the repository"))
                .hint("name it by --config if it is meant"));
        }
        if path.metadata().map_err(cannot)?.len() > BYTES_MAX {
            return Err(Error::usage(format!("the configuration {shown} is larger than 1 MiB")));
        }
        let bytes = std::fs::read(path).map_err(cannot)?;
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(Error::usage(format!("the configuration {shown} is not UTF-8")));
        };
        Self::parse(path, &text, origin)
    }

    fn parse(path: &Path, text: &str, origin: Origin) -> Result<Self, Error> {
        let file = File { path, text, origin };
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let place = file.at(error.span().map_or(0, |span| span.start));
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            Error::usage(format!("{place}: {message}")).maybe_hint(unknown_key_hint(&message))
        })?;
        let enable = raw.rules.enable.iter().map(|code| file.rule(code));
        let disable = raw.rules.disable.iter().map(|code| Ok((file.rule(code)?, file.line(code))));
        let fail_on = raw.fail_on.map(|word| {
            word.get_ref().parse().map_err(|expected| {
                Error::usage(format!("{}: `{}` is no severity: {expected}", file.of(&word), word.get_ref()))
            })
        });
        let platform = |word: &Spanned<String>| {
            word.get_ref().parse().map_err(|expected| {
                Error::usage(format!("{}: `{}` is no platform: {expected}", file.of(word), word.get_ref()))
            })
        };
        let exclude = raw.exclude.iter().map(|glob| file.glob(glob).map(|_| (glob.get_ref().clone(), file.line(glob))));
        Ok(Self {
            enable: enable.collect::<Result<_, _>>()?,
            disable: disable.collect::<Result<_, _>>()?,
            exclude: exclude.collect::<Result<_, _>>()?,
            ignore: raw.ignore.into_iter().map(|ignore| file.ignored(ignore)).collect::<Result<_, _>>()?,
            fail_on: fail_on.transpose()?,
            strict: raw.strict,
            tests: raw.tests,
            include_vendor: raw.include_vendor,
            tags: raw.tags,
            platforms: raw.platforms.iter().map(platform).collect::<Result<_, _>>()?,
            models: raw.models.iter().map(|model| file.named(model)).collect::<Result<_, _>>()?,
            baseline: raw.baseline.as_ref().map(|baseline| file.named(baseline)).transpose()?,
            path: Some(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
        })
    }

    /// The directory that its patterns and files are relative to.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.path.as_deref().map(parent)
    }
}

/// A configuration while it is read: what turns a value into its place.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
    origin: Origin,
}

impl File<'_> {
    fn at(&self, offset: usize) -> String {
        format!("{}:{}", self.path.display(), line(self.text, offset))
    }

    fn of<T>(&self, value: &Spanned<T>) -> String {
        self.at(value.span().start)
    }

    fn line<T>(&self, value: &Spanned<T>) -> usize {
        line(self.text, value.span().start)
    }

    fn rule(&self, code: &Spanned<String>) -> Result<&'static RuleMeta, Error> {
        engine::find_rule(code.get_ref()).map_err(|hint| {
            Error::usage(format!("{}: there is no rule `{}`", self.of(code), code.get_ref())).hint(hint)
        })
    }

    fn glob(&self, glob: &Spanned<String>) -> Result<Globs, Error> {
        Globs::new(std::slice::from_ref(glob.get_ref())).map_err(|(pattern, message)| {
            Error::usage(format!("{}: bad pattern `{pattern}`: {message}", self.of(glob)))
        })
    }

    fn ignored(&self, ignore: Spanned<RawIgnore>) -> Result<IgnoredPaths, Error> {
        let line = self.line(&ignore);
        let place = self.of(&ignore);
        let ignore = ignore.into_inner();
        for glob in &ignore.paths {
            self.glob(glob)?;
        }
        let paths: Vec<String> = ignore.paths.into_iter().map(Spanned::into_inner).collect();
        if paths.is_empty() {
            return Err(Error::usage(format!("{place}: `[[ignore]]` without `paths` ignores nothing"))
                .hint("to switch a rule off everywhere, write `disable` under `[rules]`"));
        }
        let until = ignore.until.map(|day| {
            let text = day.get_ref().to_string();
            text.parse().map_err(|expected| {
                Error::usage(format!("{}: `until = {text}` ends nowhere: {expected}", self.of(&day)))
            })
        });
        Ok(IgnoredPaths {
            paths: Globs::new(&paths).unwrap_or_default(),
            patterns: paths,
            rules: ignore.rules.iter().map(|code| self.rule(code)).collect::<Result<_, _>>()?,
            until: until.transpose()?,
            why: ignore.why,
            line,
        })
    }

    /// A file that the configuration names, relative to itself. One found in the tree may not name what lies outside.
    fn named(&self, path: &Spanned<PathBuf>) -> Result<PathBuf, Error> {
        let dir = parent(self.path);
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let named = dir.join(path.get_ref());
        if self.origin == Origin::Found && !paths::is_inside(&named, &paths::repository(&dir)) {
            let text = path.get_ref().display();
            return Err(Error::usage(format!("{}: {text} lies outside the repository", self.of(path)))
                .hint("a configuration in the tree may name files of the tree only; give others by flags"));
        }
        Ok(named)
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// The line of a byte offset, from 1.
fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// ``unknown field `exlude`, expected one of …`` → what was meant.
fn unknown_key_hint(message: &str) -> Option<String> {
    let mut quoted = message.strip_prefix("unknown field `")?.split('`').step_by(2);
    let key = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    let nearest = suggest::nearest(key, known.iter().copied())?;
    Some(format!("did you mean `{nearest}`?"))
}

impl Default for FailOn {
    fn default() -> Self {
        Self::Severity(Severity::Warning)
    }
}

#[cfg(test)]
mod tests;

//! `.residue.toml`: what a repository settles for everyone who checks it.

use std::path::{Path, PathBuf};

use residue_finding::{RuleMeta, Severity};
use serde::Deserialize;
use toml::Spanned;

use crate::args::FailOn;
use crate::engine;
use crate::error::Error;
use crate::platforms::Platform;
use crate::suggest;

/// The name that is looked for, from the first pattern upward.
pub(crate) const FILE_NAME: &str = ".residue.toml";

/// Larger files are no configuration.
const BYTES_MAX: u64 = 1 << 20;

/// A configuration that was read and makes sense.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Where it was read from; none without a file.
    pub(crate) path: Option<PathBuf>,
    pub(crate) enable: Vec<&'static RuleMeta>,
    /// With the line that says so.
    pub(crate) disable: Vec<(&'static RuleMeta, usize)>,
    pub(crate) exclude: Vec<String>,
    pub(crate) fail_on: Option<FailOn>,
    pub(crate) strict: bool,
    pub(crate) tests: bool,
    pub(crate) include_vendor: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) platforms: Vec<Platform>,
    /// Relative to the directory of the file.
    pub(crate) models: Vec<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Raw {
    rules: RawRules,
    exclude: Vec<String>,
    fail_on: Option<Spanned<String>>,
    strict: bool,
    tests: bool,
    include_vendor: bool,
    tags: Vec<String>,
    platforms: Vec<Spanned<String>>,
    models: Vec<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct RawRules {
    enable: Vec<Spanned<String>>,
    disable: Vec<Spanned<String>>,
}

impl Config {
    /// The configuration for a tree: the nearest [`FILE_NAME`] at or above it.
    pub(crate) fn find(start: &Path) -> Result<Self, Error> {
        let start = std::path::absolute(start).unwrap_or_else(|_| start.to_owned());
        for dir in start.ancestors() {
            let path = dir.join(FILE_NAME);
            // What isn't a file, a directory of that name say, is not ours.
            if path.metadata().is_ok_and(|metadata| metadata.is_file()) {
                return Self::read(&path);
            }
        }
        Ok(Self::default())
    }

    /// Reads a configuration; one that was asked for must be there.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        let cannot = |error: std::io::Error| Error::usage(format!("cannot read the configuration {shown}: {error}"));
        if path.metadata().map_err(cannot)?.len() > BYTES_MAX {
            return Err(Error::usage(format!("the configuration {shown} is larger than 1 MiB")));
        }
        let bytes = std::fs::read(path).map_err(cannot)?;
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(Error::usage(format!("the configuration {shown} is not UTF-8")));
        };
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let at = |offset: usize| format!("{}:{}", path.display(), line(text, offset));
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let place = at(error.span().map_or(0, |span| span.start));
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            Error::usage(format!("{place}: {message}")).maybe_hint(unknown_key_hint(&message))
        })?;
        let rule = |code: &Spanned<String>| {
            engine::find_rule(code.get_ref())
                .map_err(|hint| {
                    let place = at(code.span().start);
                    Error::usage(format!("{place}: there is no rule `{}`", code.get_ref())).hint(hint)
                })
                .map(|rule| (rule, line(text, code.span().start)))
        };
        let enable = raw.rules.enable.iter().map(|code| rule(code).map(|(rule, _)| rule));
        let fail_on = raw.fail_on.map(|word| {
            word.get_ref().parse().map_err(|expected| {
                let place = at(word.span().start);
                Error::usage(format!("{place}: `{}` is no severity: {expected}", word.get_ref()))
            })
        });
        let platform = |word: &Spanned<String>| {
            word.get_ref().parse().map_err(|expected| {
                let place = at(word.span().start);
                Error::usage(format!("{place}: `{}` is no platform: {expected}", word.get_ref()))
            })
        };
        let dir = path.parent().unwrap_or(Path::new("."));
        Ok(Self {
            enable: enable.collect::<Result<_, _>>()?,
            disable: raw.rules.disable.iter().map(rule).collect::<Result<_, _>>()?,
            exclude: raw.exclude,
            fail_on: fail_on.transpose()?,
            strict: raw.strict,
            tests: raw.tests,
            include_vendor: raw.include_vendor,
            tags: raw.tags,
            platforms: raw.platforms.iter().map(platform).collect::<Result<_, _>>()?,
            models: raw.models.into_iter().map(|model| dir.join(model)).collect(),
            path: Some(path.to_owned()),
        })
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
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, Error> {
        Config::parse(Path::new("repo/.residue.toml"), text)
    }

    #[test]
    fn everything_can_be_said() {
        let config = parse(
            "exclude = ['gen/**']\nfail-on = 'error'\nstrict = true\ntests = true\ninclude-vendor = true\n\
             tags = ['linux']\nplatforms = ['linux/amd64', 'windows/arm64,x']\nmodels = ['models/ours.toml']\n[rules]\nenable = ['R201']\ndisable = ['R203',\n'R209']\n",
        )
        .expect("it is well-formed");
        assert_eq!(config.exclude, ["gen/**"]);
        assert_eq!(config.fail_on, Some(FailOn::Severity(Severity::Error)));
        assert!(config.strict && config.tests && config.include_vendor);
        assert_eq!(config.models, [Path::new("repo/models/ours.toml")]);
        let platforms: Vec<_> = config.platforms.iter().map(ToString::to_string).collect();
        assert_eq!(platforms, ["linux/amd64", "windows/arm64,x"]);
        let disabled: Vec<_> = config.disable.iter().map(|(rule, line)| (rule.code.as_str(), *line)).collect();
        assert_eq!(disabled, [("R203", 11), ("R209", 12)]);
        assert!(parse("").is_ok());
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, message, hint) in [
            ("tests = true\nexlude = []\n", "repo/.residue.toml:2: unknown field `exlude`", "did you mean `exclude`?"),
            (
                "\n[rules]\ndisable = ['R20l']\n",
                "repo/.residue.toml:3: there is no rule `R20l`",
                "did you mean `R201`?",
            ),
            ("fail-on = 'fatal'\n", "repo/.residue.toml:1: `fatal` is no severity", ""),
            ("\nplatforms = [\n'linux']\n", "repo/.residue.toml:3: `linux` is no platform: expected GOOS/GOARCH", ""),
            ("tests = 1\n", "repo/.residue.toml:1: invalid type", ""),
            ("x\ny = [\n", "repo/.residue.toml:1: ", ""),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.message().starts_with(message), "{}", error.message());
            assert_eq!(error.exit(), crate::error::Exit::Usage);
            assert!(error.hints().iter().any(|h| h == hint) || hint.is_empty(), "{:?}", error.hints());
        }
    }
}

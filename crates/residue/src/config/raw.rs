//! The shape of `.residue.toml`, before anything in it is looked up.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Raw {
    pub(super) rules: RawRules,
    pub(super) exclude: Vec<Spanned<String>>,
    pub(super) ignore: Vec<Spanned<RawIgnore>>,
    pub(super) fail_on: Option<Spanned<String>>,
    pub(super) strict: bool,
    pub(super) tests: bool,
    pub(super) include_vendor: bool,
    pub(super) tags: Vec<String>,
    pub(super) platforms: Vec<Spanned<String>>,
    pub(super) models: Vec<Spanned<PathBuf>>,
    pub(super) baseline: Option<Spanned<PathBuf>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawRules {
    pub(super) enable: Vec<Spanned<String>>,
    pub(super) disable: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawIgnore {
    pub(super) paths: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) rules: Vec<Spanned<String>>,
    pub(super) until: Option<Spanned<RawDay>>,
    #[serde(default)]
    pub(super) why: String,
}

/// A day, with or without quotes.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "invalid type: expected a day such as 2027-01-31")]
pub(super) enum RawDay {
    Day(toml::value::Datetime),
    Text(String),
}

impl fmt::Display for RawDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => fmt::Display::fmt(day, f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

//! What is written where: `--format KIND[=FILE]`.

use std::path::PathBuf;
use std::str::FromStr;

/// A kind of report and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) kind: Kind,
    /// None is stdout.
    pub(super) path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Json,
    JsonLines,
    Pprof,
    Svg,
}

const KINDS: [(&str, Kind); 5] = [
    ("text", Kind::Text),
    ("json", Kind::Json),
    ("jsonl", Kind::JsonLines),
    ("pprof", Kind::Pprof),
    ("svg", Kind::Svg),
];

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, path) = match text.split_once('=') {
            Some((_, "")) => return Err("no file after `=`".to_owned()),
            Some((kind, path)) => (kind, Some(PathBuf::from(path))),
            None => (text, None),
        };
        match KINDS.iter().find(|(name, _)| *name == kind) {
            Some((_, kind)) => Ok(Self { kind: *kind, path }),
            None => Err("expected text, json, jsonl, pprof or svg, and a file after `=` if you like".to_owned()),
        }
    }
}

//! A picture that was written as JSON, as far as it is compared with a later one.

use std::collections::BTreeMap;
use std::path::Path;

use residue_fd::objects::{Inventory, Kind, ObjectId, Summary};
use serde::Deserialize;

use super::json::SCHEMA;
use crate::error::Error;

/// Bytes of a file that is read.
const BYTES_MAX: u64 = 1 << 30;
/// Memory of an object is not more, whatever the file says: it is added up.
const MEMORY_BYTES_MAX: u64 = 1 << 40;

/// All objects at one time, in short.
pub(super) struct Picture {
    pub(super) taken_unix_ms: u64,
    pub(super) objects: BTreeMap<ObjectId, Summary>,
}

impl Picture {
    pub(super) fn of(inventory: &Inventory) -> Self {
        Self { taken_unix_ms: inventory.taken_unix_ms, objects: Summary::of(inventory) }
    }
}

#[derive(Deserialize)]
struct Saved {
    schema: u32,
    taken_unix_ms: u64,
    #[serde(default)]
    maps: Vec<Object>,
    #[serde(default)]
    programs: Vec<Object>,
    #[serde(default)]
    links: Vec<Object>,
    #[serde(default)]
    btf: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    id: u32,
    #[serde(default)]
    name: String,
    #[serde(default)]
    r#type: String,
    memory_bytes: Option<u64>,
    refs: Option<Refs>,
    #[serde(default)]
    kernel: bool,
    #[serde(default)]
    holders: Vec<HolderKind>,
}

#[derive(Deserialize)]
struct Refs {
    counted: Option<u64>,
}

#[derive(Deserialize)]
struct HolderKind {
    by: String,
}

/// Reads a picture.
pub(super) fn read(path: &Path) -> Result<Picture, Error> {
    use std::io::Read as _;
    let wrong = |why: String| {
        Error::usage(format!("cannot compare with {}: {why}", path.display()))
            .hint("`residue bpf --format json > FILE` writes one")
    };
    let mut text = String::new();
    let opened = std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
    opened.map_err(|error| wrong(error.to_string()))?;
    let saved: Saved = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if saved.schema != SCHEMA {
        return Err(wrong(format!("it has schema {}, not {SCHEMA}", saved.schema)));
    }
    let mut objects = BTreeMap::new();
    let kinds =
        [(Kind::Map, saved.maps), (Kind::Program, saved.programs), (Kind::Link, saved.links), (Kind::Btf, saved.btf)];
    for (kind, list) in kinds {
        for object in list.into_iter().filter(|object| !object.kernel) {
            let count = |by: &str| object.holders.iter().filter(|holder| holder.by == by).count() as u64;
            let summary = Summary {
                descriptors: count("descriptor"),
                pins: count("pin"),
                name: object.name,
                type_name: object.r#type,
                memory: object.memory_bytes.map(|bytes| bytes.min(MEMORY_BYTES_MAX)),
                refs: object.refs.and_then(|refs| refs.counted),
            };
            objects.insert(ObjectId { kind, id: object.id }, summary);
        }
    }
    Ok(Picture { taken_unix_ms: saved.taken_unix_ms, objects })
}

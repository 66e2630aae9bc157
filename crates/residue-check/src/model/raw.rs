//! Reading model files: their TOML shape, names, and errors with places.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use residue_finding::{Confidence, Severity};
use residue_flow::Stop;
use residue_project::StubPackage;
use residue_syntax::{Bodies, parse};
use serde::Deserialize;
use toml::Spanned;

use super::{
    Declared, ModelError, Models, PackageModel, Place, Resource, ResourceId, RoleName, Roles, TypeRef, Unchecked,
    Words, is_name,
};
use crate::state::sym::Affix;

/// Where the declarations of a package can't be checked: cgo has none.
const CGO: &str = "C";

type Names = Vec<Spanned<String>>;

/// A list of words.
type WordList = fn(&mut Words) -> &mut Vec<String>;

/// A role that a function has or has not.
type Flag = fn(&mut Roles) -> &mut bool;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    resource: Vec<RawResource>,
    #[serde(default)]
    package: Vec<RawPackage>,
    #[serde(default)]
    words: RawWords,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawWords {
    #[serde(default)]
    decides: Names,
    #[serde(default)]
    decides_modal: Names,
    #[serde(default)]
    decides_verb: Names,
    #[serde(default)]
    decides_about: Names,
    #[serde(default)]
    refuses: Names,
    #[serde(default)]
    passes_on: Names,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawResource {
    kind: Spanned<String>,
    name: String,
    types: Names,
    field: Option<Spanned<String>>,
    #[serde(default)]
    release: Names,
    #[serde(default)]
    exhaust: Names,
    verb: String,
    cost: Spanned<String>,
    drained: Option<String>,
    untouched: Option<String>,
    #[serde(default)]
    without: Vec<String>,
    #[serde(default)]
    settled: Names,
    #[serde(default)]
    nothing_if: Names,
    #[serde(default)]
    maker_release: Names,
    #[serde(default)]
    maker_fails: Names,
    twice: Option<String>,
    severity: Spanned<String>,
    confidence: Spanned<String>,
    cwe: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPackage {
    path: Spanned<String>,
    #[serde(default)]
    acquire: BTreeMap<Spanned<String>, Names>,
    #[serde(default)]
    acquire_if: BTreeMap<Spanned<String>, Names>,
    #[serde(default)]
    release: BTreeMap<Spanned<String>, Names>,
    #[serde(default)]
    until_cancelled: Names,
    #[serde(default)]
    drains: Names,
    #[serde(default)]
    makes_error: Names,
    #[serde(default)]
    never_fails: Names,
    #[serde(default)]
    ends: Names,
    #[serde(default)]
    panics: Names,
    #[serde(default)]
    outlives: Names,
    #[serde(default)]
    no_return: BTreeMap<Spanned<String>, Names>,
    #[serde(default)]
    borrows: Names,
    #[serde(default)]
    runs: Names,
    #[serde(default)]
    leaves: Names,
    #[serde(default)]
    keeps: Names,
    #[serde(default)]
    wraps: Names,
    #[serde(default)]
    owns: Names,
    #[serde(default)]
    cancels: Names,
    #[serde(default)]
    root_context: Names,
    #[serde(default)]
    tests_prefix: Names,
    #[serde(default)]
    tests_suffix: Names,
    #[serde(default)]
    test_fails: Names,
    #[serde(default)]
    expects_error: Names,
    #[serde(default)]
    expects_success: Names,
    #[serde(default)]
    options: Names,
    #[serde(default)]
    handlers: Names,
    #[serde(default)]
    commands: Names,
    #[serde(default)]
    command_fields: Names,
    declarations: Option<Spanned<String>>,
}

/// Adds files to `models` and returns what is wrong with them.
pub(super) fn add<'a>(models: &mut Models, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<ModelError> {
    let mut errors = Vec::new();
    let mut parsed = Vec::new();
    for (name, text) in files {
        match toml::from_str::<RawFile>(text) {
            Ok(raw) => parsed.push((Source { file: Arc::from(name), text }, raw)),
            Err(error) => {
                let source = Source { file: Arc::from(name), text };
                errors.push(source.at(error.span().unwrap_or(0..0)).error(one_line(error.message())));
            }
        }
    }
    let mut reader = Reader { models, errors, declared: BTreeMap::new(), roles: Vec::new() };
    for (source, raw) in &parsed {
        for resource in &raw.resource {
            reader.resource(source, resource);
        }
    }
    for (source, raw) in &parsed {
        for package in &raw.package {
            reader.package(source, package);
        }
        reader.words(source, &raw.words);
    }
    reader.finish()
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Source<'a> {
    file: Arc<str>,
    text: &'a str,
}

impl Source<'_> {
    fn at(&self, span: Range<usize>) -> Place {
        let start = span.start.min(self.text.len());
        let before = &self.text.as_bytes()[..start];
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
        Place {
            file: Arc::clone(&self.file),
            line: before.iter().filter(|&&b| b == b'\n').count() as u32 + 1,
            column: (start - line_start) as u32 + 1,
        }
    }

    /// The place of byte `pos` of a multi-line literal string whose quotes start at `span`.
    fn inside(&self, span: Range<usize>, pos: u32) -> Place {
        let mut start = span.start;
        for skipped in ["'''", "\"\"\"", "'", "\""] {
            if self.text[start.min(self.text.len())..].starts_with(skipped) {
                start += skipped.len();
                break;
            }
        }
        for newline in ["\r\n", "\n"] {
            if self.text[start.min(self.text.len())..].starts_with(newline) {
                start += newline.len();
                break;
            }
        }
        let at = start + pos as usize;
        self.at(at..at)
    }
}

struct Reader<'m> {
    models: &'m mut Models,
    errors: Vec<ModelError>,
    /// Declarations that the files bring, by package.
    declared: BTreeMap<String, Declared>,
    roles: Vec<Unchecked>,
}

impl Reader<'_> {
    fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.errors.push(place.error(message));
    }

    fn resource(&mut self, source: &Source<'_>, raw: &RawResource) {
        let place = source.at(raw.kind.span());
        let kind = raw.kind.get_ref();
        let is_kind =
            !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_kind {
            self.error(&place, format!("kind `{kind}` is not made of lower case letters, digits and hyphens"));
        }
        if self.models.resources.iter().any(|r| r.kind == *kind) {
            self.error(&place, format!("resource kind `{kind}` is defined twice"));
        }
        if raw.cost.get_ref().is_empty() || raw.cost.get_ref().ends_with('.') {
            self.error(&source.at(raw.cost.span()), "cost is a sentence without full stop");
        }
        let mut types = Vec::new();
        for name in &raw.types {
            match TypeRef::parse(name.get_ref()) {
                Some(ty) => {
                    if !ty.package.is_empty() {
                        self.roles.push(Unchecked {
                            package: ty.package.clone(),
                            name: RoleName::Type(ty.name.clone()),
                            place: source.at(name.span()),
                        });
                    }
                    types.push(ty);
                }
                None => self.error(
                    &source.at(name.span()),
                    format!("`{}` is not a type: write `*path.Name` or `path.Name`", name.get_ref()),
                ),
            }
        }
        for name in raw.release.iter().chain(&raw.exhaust).chain(&raw.field) {
            if !is_name(name.get_ref()) {
                self.error(&source.at(name.span()), format!("`{}` is not a name", name.get_ref()));
            }
        }
        let mut nothing_if = Vec::new();
        for name in &raw.nothing_if {
            let parts = name.get_ref().split_once(' ').map(|(field, number)| (field, number.parse()));
            match parts {
                Some((field, Ok(number))) if is_name(field) => nothing_if.push((field.to_owned(), number)),
                _ => {
                    let message = format!("`{}` is not a field and a number: write `Field 1`", name.get_ref());
                    self.error(&source.at(name.span()), message);
                }
            }
        }
        let severity = self.parse::<Severity>(source, &raw.severity).unwrap_or(Severity::Warning);
        let confidence = self.parse::<Confidence>(source, &raw.confidence).unwrap_or(Confidence::Medium);
        let text = |names: &Names| names.iter().map(|name| name.get_ref().clone()).collect();
        for name in raw.release.iter().chain(&raw.exhaust).chain(&raw.maker_release) {
            self.models.release_names.insert(name.get_ref().clone());
        }
        self.models.resources.push(Resource {
            kind: kind.clone(),
            name: raw.name.clone(),
            types,
            field: raw.field.as_ref().map(|field| field.get_ref().clone()),
            release: text(&raw.release),
            exhaust: text(&raw.exhaust),
            verb: raw.verb.clone(),
            cost: raw.cost.get_ref().clone(),
            drained: raw.drained.clone(),
            untouched: raw.untouched.clone(),
            without: raw.without.clone(),
            settled: text(&raw.settled),
            nothing_if,
            maker_release: text(&raw.maker_release),
            maker_fails: text(&raw.maker_fails),
            twice: raw.twice.clone(),
            severity,
            confidence,
            cwe: raw.cwe.clone(),
        });
    }

    fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        source: &Source<'_>,
        text: &Spanned<String>,
    ) -> Option<T> {
        match text.get_ref().parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(&source.at(text.span()), format!("`{}`: {error}", text.get_ref()));
                None
            }
        }
    }

    fn kind(&mut self, source: &Source<'_>, kind: &Spanned<String>) -> Option<ResourceId> {
        let found = self.models.resources.iter().position(|r| r.kind == *kind.get_ref());
        if found.is_none() {
            self.error(&source.at(kind.span()), format!("no resource has the kind `{}`", kind.get_ref()));
        }
        found.map(|i| ResourceId(i as u32))
    }

    fn package(&mut self, source: &Source<'_>, raw: &RawPackage) {
        let path = raw.path.get_ref().as_str();
        let bad = path.is_empty() || path.starts_with('/') || path.ends_with('/') || path.contains(char::is_whitespace);
        if bad {
            self.error(&source.at(raw.path.span()), format!("`{path}` is not an import path"));
            return;
        }
        self.models.packages.entry(path.to_owned()).or_default();
        if let Some(declarations) = &raw.declarations {
            self.declarations(source, path, declarations);
        }
        for (kind, names) in &raw.acquire {
            if let Some(id) = self.kind(source, kind) {
                self.model(path).kinds.push(id);
                let until = |name: &Spanned<String>| raw.until_cancelled.iter().any(|n| n.get_ref() == name.get_ref());
                if names.iter().any(until) {
                    self.model(path).ends_when_cancelled.push(id);
                }
                self.give(source, path, names, |roles| roles.acquire.replace(id).is_none_or(|old| old == id));
            }
        }
        for (kind, names) in &raw.release {
            if let Some(id) = self.kind(source, kind) {
                self.model(path).kinds.push(id);
                self.give(source, path, names, |roles| {
                    roles.release.push(id);
                    true
                });
            }
        }
        for (kind, names) in &raw.acquire_if {
            let Some(id) = self.kind(source, kind) else { continue };
            for name in names {
                let mut words = name.get_ref().split_whitespace();
                let function = words.next().unwrap_or_default().to_owned();
                let Ok(constants) = words.map(str::parse::<i64>).collect::<Result<Vec<_>, _>>() else {
                    let message = format!("`{}` is not a function and integers: write `Name 1 2`", name.get_ref());
                    self.error(&source.at(name.span()), message);
                    continue;
                };
                let name = Spanned::new(name.span(), function);
                self.give(source, path, std::slice::from_ref(&name), |roles| {
                    roles.acquire_if.push((constants.clone(), id));
                    true
                });
            }
        }
        for (kind, names) in &raw.no_return {
            let stop = match kind.get_ref().as_str() {
                "exit" => Stop::Exit,
                "panic" => Stop::Panic,
                "goexit" => Stop::Goexit,
                "never" => Stop::Never,
                other => {
                    let message = format!("`{other}` is no way to not return: write exit, panic, goexit or never");
                    self.error(&source.at(kind.span()), message);
                    continue;
                }
            };
            self.give(source, path, names, |roles| roles.no_return.replace(stop).is_none());
        }
        for (names, end) in [(&raw.tests_prefix, Affix::Prefix), (&raw.tests_suffix, Affix::Suffix)] {
            self.give(source, path, names, |roles| roles.tests_end.replace(end).is_none());
        }
        let flags: [(&Names, Flag); 18] = [
            (&raw.keeps, |roles| &mut roles.keeps),
            (&raw.commands, |roles| &mut roles.commands),
            (&raw.ends, |roles| &mut roles.ends),
            (&raw.panics, |roles| &mut roles.panics),
            (&raw.makes_error, |roles| &mut roles.makes_error),
            (&raw.never_fails, |roles| &mut roles.never_fails),
            (&raw.outlives, |roles| &mut roles.outlives),
            (&raw.until_cancelled, |roles| &mut roles.until_cancelled),
            (&raw.drains, |roles| &mut roles.drains),
            (&raw.borrows, |roles| &mut roles.borrows),
            (&raw.runs, |roles| &mut roles.runs),
            (&raw.wraps, |roles| &mut roles.wraps),
            (&raw.owns, |roles| &mut roles.owns),
            (&raw.cancels, |roles| &mut roles.cancels),
            (&raw.root_context, |roles| &mut roles.root_context),
            (&raw.test_fails, |roles| &mut roles.test_fails),
            (&raw.expects_error, |roles| &mut roles.expects_error),
            (&raw.expects_success, |roles| &mut roles.expects_success),
        ];
        for (names, flag) in flags {
            self.give(source, path, names, |roles| {
                *flag(roles) = true;
                true
            });
        }
        for kind in &raw.leaves {
            if let Some(id) = self.kind(source, kind) {
                self.model(path).leaves.push(id);
            }
        }
        for name in &raw.options {
            if self.type_name(source, path, name) {
                self.model(path).options.insert(name.get_ref().clone());
            }
        }
        for name in &raw.command_fields {
            let Some((ty, field)) = name.get_ref().split_once('.').filter(|(_, field)| is_name(field)) else {
                let message = format!("`{}` is not a field: write `Type.Field`", name.get_ref());
                self.error(&source.at(name.span()), message);
                continue;
            };
            if self.type_name(source, path, &Spanned::new(name.span(), ty.to_owned())) {
                self.model(path).commands.entry(ty.to_owned()).or_default().insert(field.to_owned());
            }
        }
        for name in &raw.handlers {
            if self.type_name(source, path, name) {
                self.model(path).handlers.insert(name.get_ref().clone());
            }
        }
    }

    /// Whether a name can be that of a type; that there is one is looked at when all is read.
    fn type_name(&mut self, source: &Source<'_>, path: &str, name: &Spanned<String>) -> bool {
        let place = source.at(name.span());
        let ok = is_name(name.get_ref());
        if ok {
            let role = RoleName::Type(name.get_ref().clone());
            self.roles.push(Unchecked { package: path.to_owned(), name: role, place });
        } else {
            self.error(&place, format!("`{}` is not a type's name", name.get_ref()));
        }
        ok
    }

    /// Adds words to those that are known.
    fn words(&mut self, source: &Source<'_>, raw: &RawWords) {
        let lists: [(&Names, WordList); 6] = [
            (&raw.decides, |words| &mut words.decides),
            (&raw.decides_modal, |words| &mut words.decides_modal),
            (&raw.decides_verb, |words| &mut words.decides_verb),
            (&raw.decides_about, |words| &mut words.decides_about),
            (&raw.refuses, |words| &mut words.refuses),
            (&raw.passes_on, |words| &mut words.passes_on),
        ];
        for (names, list) in lists {
            for name in names {
                let word = name.get_ref();
                if word.is_empty() || word.chars().any(|c| c.is_uppercase() || !(c.is_alphanumeric() || c == '_')) {
                    self.error(&source.at(name.span()), format!("`{word}` is not a word in lower case"));
                } else if !list(&mut self.models.words).contains(word) {
                    list(&mut self.models.words).push(word.clone());
                }
            }
        }
    }

    fn model(&mut self, path: &str) -> &mut PackageModel {
        self.models.packages.entry(path.to_owned()).or_default()
    }

    /// Gives functions a role; `set` says whether the role does not contradict one given before.
    fn give(&mut self, source: &Source<'_>, path: &str, names: &[Spanned<String>], set: impl Fn(&mut Roles) -> bool) {
        for name in names {
            let place = source.at(name.span());
            if name.get_ref() == "*" {
                set(&mut self.model(path).default);
                continue;
            }
            let Some((recv, function)) = parse_function(name.get_ref()) else {
                let message =
                    format!("`{}` is not a function: write `Name`, `(*Type).Name` or `Type.Name`", name.get_ref());
                self.error(&place, message);
                continue;
            };
            let functions = self.model(path).functions.entry(recv.clone()).or_default();
            let roles = functions.entry(function.clone()).or_default();
            if !set(roles) {
                self.error(&place, format!("`{}` is given two roles that exclude each other", name.get_ref()));
            }
            let name = RoleName::Function { recv, name: function };
            self.roles.push(Unchecked { package: path.to_owned(), name, place });
        }
    }

    fn declarations(&mut self, source: &Source<'_>, path: &str, text: &Spanned<String>) {
        let bytes: Arc<[u8]> = Arc::from(text.get_ref().as_bytes());
        let parsed = parse(Arc::clone(&bytes), Bodies::Skip);
        for error in &parsed.errors {
            self.error(&source.inside(text.span(), error.pos), error.message.clone());
        }
        if self.model(path).stub.is_some() {
            self.error(&source.at(text.span()), format!("package {path} is declared twice"));
        }
        self.declared.insert(path.to_owned(), Declared::new([&parsed.file]));
        let shown = format!("{}:{path}", source.file);
        self.model(path).stub =
            Some(StubPackage { import_path: Arc::from(path), source: bytes, path: Arc::from(shown) });
    }

    /// Checks what can be checked without the standard library, and leaves the rest to [`Models::check`].
    fn finish(mut self) -> Vec<ModelError> {
        for (path, package) in &self.models.packages {
            if let Some(stub) = &package.stub
                && !self.declared.contains_key(path)
            {
                let parsed = parse(Arc::clone(&stub.source), Bodies::Skip);
                self.declared.insert(path.clone(), Declared::new([&parsed.file]));
            }
        }
        // Functions that a listed role does not mention inherit the package's default borrowing.
        for package in self.models.packages.values_mut() {
            if package.default.borrows
                && let Some(functions) = package.functions.get_mut("")
            {
                for roles in functions.values_mut() {
                    roles.borrows = true;
                }
            }
        }
        for role in std::mem::take(&mut self.roles) {
            match self.declared.get(&role.package) {
                Some(declared) => {
                    if let Some(message) = declared.missing(&role.package, &role.name) {
                        self.error(&role.place, message);
                    }
                }
                None if role.package == CGO => {}
                // The first element of a path outside the standard library has a dot.
                None if role.package.split('/').next().is_some_and(|first| first.contains('.')) => {
                    let message = format!(
                        "package {} is not part of the standard library: give its `declarations`",
                        role.package
                    );
                    self.error(&role.place, message);
                }
                None => self.models.unchecked.0.push(role),
            }
        }
        self.errors.sort();
        self.errors.dedup();
        self.errors
    }
}

/// `Name`, `(*Type).Name`, `(Type).Name` or `Type.Name`, as receiver type and name.
fn parse_function(text: &str) -> Option<(String, String)> {
    let Some((recv, name)) = text.rsplit_once('.') else {
        return is_name(text).then(|| (String::new(), text.to_owned()));
    };
    let recv = match recv.strip_prefix('(') {
        Some(inner) => inner.strip_suffix(')')?.trim_start_matches('*'),
        None => recv,
    };
    (is_name(recv) && is_name(name)).then(|| (recv.to_owned(), name.to_owned()))
}

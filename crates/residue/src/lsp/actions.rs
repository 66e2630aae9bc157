//! What can be done about a finding, and what there is to read about it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use residue_finding::{Edit, Finding};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::convert::{SOURCE, Texts};
use super::document::Document;
use super::session::Analysis;
use super::text::{Position, Range};
use super::uri;
use crate::engine;

/// The only kind of action there is.
const QUICK_FIX: &str = "quickfix";

/// A question about a place.
#[derive(Debug)]
pub(super) enum Asked {
    /// What can be done; with the kinds that are wanted, where not all are.
    Actions(Option<Vec<String>>),
    /// What there is to know.
    Hover,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    text_document: Named,
    range: Option<Range>,
    position: Option<Position>,
    context: Option<Context>,
}

#[derive(Deserialize)]
struct Named {
    uri: String,
}

#[derive(Deserialize)]
struct Context {
    only: Option<Vec<String>>,
}

impl Asked {
    /// The text, the place and the question.
    pub(super) fn parse(method: &str, params: &Value) -> Result<(String, Range, Self), String> {
        let params = Params::deserialize(params).map_err(|error| error.to_string())?;
        let at = params.position.map(|at| Range { start: at, end: at });
        let hover = method == "textDocument/hover";
        let range = if hover { at } else { params.range };
        let range = range.ok_or_else(|| format!("missing field `{}`", if hover { "position" } else { "range" }))?;
        let asked = if hover { Self::Hover } else { Self::Actions(params.context.and_then(|context| context.only)) };
        Ok((params.text_document.uri, range, asked))
    }
}

/// What actions are made from.
pub(super) struct Place<'a> {
    pub(super) texts: &'a Texts<'a>,
    pub(super) known: &'a Analysis,
    pub(super) documents: &'a BTreeMap<PathBuf, Document>,
}

/// The code actions for a finding: the fix it carries, and a suppression.
pub(super) fn actions(finding: &Finding, only: Option<&[String]>, place: &Place<'_>, client: &Client) -> Vec<Value> {
    let wanted = |kind: &String| kind == QUICK_FIX || kind.is_empty();
    if only.is_some_and(|only| !only.iter().any(wanted)) {
        return Vec::new();
    }
    let Some(diagnostic) = place.texts.diagnostic(finding, client) else { return Vec::new() };
    let action = |title: String, edits: &[Edit], preferred: bool| {
        let edit = workspace_edit(edits, place, client)?;
        let mut action = json!({"title": title, "kind": QUICK_FIX, "diagnostics": [diagnostic], "edit": edit});
        if preferred {
            action["isPreferred"] = true.into();
        }
        Some(action)
    };
    let mut actions = Vec::new();
    if let Some(help) = finding.help.as_ref().filter(|help| !help.edits.is_empty()) {
        actions.extend(action(format!("{SOURCE}: {}", help.message), &help.edits, true));
    }
    let text = place.known.texts.get(&finding.site.path);
    if let Some(edit) = text.and_then(|text| residue_check::suppression(text, finding)) {
        let title = format!("{SOURCE}: ignore {} here (//residue:ignore)", finding.rule.as_str());
        actions.extend(action(title, &[edit], false));
    }
    actions
}

/// Edits as the protocol has them; none where one is to a text that isn't there.
fn workspace_edit(edits: &[Edit], place: &Place<'_>, client: &Client) -> Option<Value> {
    let mut by_file: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for edit in edits {
        let range = place.texts.span(&edit.path, edit.span)?;
        by_file.entry(&edit.path).or_default().push(json!({"range": range, "newText": edit.replacement}));
    }
    let mut changes = serde_json::Map::new();
    let mut document_changes = Vec::new();
    for (shown, edits) in by_file {
        let path = place.texts.path(shown);
        let document = place.documents.get(&path);
        let uri = document.map_or_else(|| uri::of(&path), |document| document.uri.clone());
        let version = document.map(|document| document.version);
        document_changes.push(json!({"textDocument": {"uri": uri, "version": version}, "edits": edits}));
        changes.insert(uri, edits.into());
    }
    Some(if client.document_changes {
        json!({"documentChanges": document_changes})
    } else {
        json!({"changes": changes})
    })
}

/// The page about a finding's rule.
pub(super) fn hover(finding: &Finding, range: Option<Range>, client: &Client) -> Value {
    let mut text = format!("**{}**: {}\n", finding.rule.as_str(), finding.message);
    if let Some(help) = &finding.help {
        text += &format!("\n*help: {}*\n", help.message);
    }
    if let Some(rule) = engine::rules().iter().find(|rule| rule.code == finding.rule) {
        text += &format!("\n---\n\n### {}\n\n{}", rule.summary, rule.page());
    }
    let kind = if client.markdown { "markdown" } else { "plaintext" };
    json!({"contents": {"kind": kind, "value": text}, "range": range})
}

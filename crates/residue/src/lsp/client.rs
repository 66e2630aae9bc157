//! What the client can do, of what makes a difference here, and what it is told that the server can.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::text::Encoding;
use super::uri;

/// A client, as it introduces itself.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent capabilities")]
pub(super) struct Client {
    pub(super) encoding: Encoding,
    /// Whether diagnostics may have places elsewhere.
    pub(super) related: bool,
    /// Whether diagnostics may name a page about their code.
    pub(super) code_description: bool,
    /// Whether diagnostics may have tags.
    pub(super) tags: bool,
    /// Whether diagnostics may say which version of the text they are about.
    pub(super) version: bool,
    /// Whether an edit may say which version of the text it is for.
    pub(super) document_changes: bool,
    /// Whether code actions may be more than commands.
    pub(super) code_actions: bool,
    /// Whether hovers may be Markdown.
    pub(super) markdown: bool,
    /// Whether it shows progress.
    pub(super) progress: bool,
    /// Whether it watches files for us.
    pub(super) watch: bool,
}

impl Client {
    /// Reads the parameters of `initialize`. Whatever is not as expected is a thing the client can't do.
    pub(super) fn new(params: &Value) -> Self {
        let capability = |path: &str| params.pointer(&format!("/capabilities/{path}")).filter(|value| !value.is_null());
        let can = |path: &str| capability(path).is_some_and(|value| value != &Value::Bool(false));
        let hover = capability("textDocument/hover/contentFormat").and_then(Value::as_array);
        Self {
            encoding: Encoding::negotiate(capability("general/positionEncodings")),
            related: can("textDocument/publishDiagnostics/relatedInformation"),
            code_description: can("textDocument/publishDiagnostics/codeDescriptionSupport"),
            tags: can("textDocument/publishDiagnostics/tagSupport"),
            version: can("textDocument/publishDiagnostics/versionSupport"),
            document_changes: can("workspace/workspaceEdit/documentChanges"),
            code_actions: can("textDocument/codeAction/codeActionLiteralSupport"),
            markdown: hover.is_some_and(|formats| formats.iter().any(|format| format == "markdown")),
            progress: can("window/workDoneProgress"),
            watch: can("workspace/didChangeWatchedFiles/dynamicRegistration"),
        }
    }

    /// The answer to `initialize`.
    pub(super) fn capabilities(&self, version: &str) -> Value {
        let folders = json!({"supported": true, "changeNotifications": true});
        let mut capabilities = json!({
            "positionEncoding": self.encoding.as_str(),
            "textDocumentSync": {"openClose": true, "change": 2, "save": {"includeText": false}},
            "hoverProvider": true,
            "workspace": {"workspaceFolders": folders},
        });
        if self.code_actions {
            capabilities["codeActionProvider"] = json!({"codeActionKinds": ["quickfix"]});
        }
        json!({"capabilities": capabilities, "serverInfo": {"name": "residue", "version": version}})
    }
}

/// The directories that a client has open.
pub(super) fn folders(params: &Value) -> Vec<PathBuf> {
    let named = params.get("workspaceFolders").and_then(Value::as_array).into_iter().flatten();
    let mut folders: Vec<PathBuf> = named.filter_map(folder).collect();
    if folders.is_empty() {
        let root = params.get("rootUri").and_then(Value::as_str).and_then(uri::to_path);
        let path = params.get("rootPath").and_then(Value::as_str).map(PathBuf::from);
        folders.extend(root.or(path).filter(|path| path.is_absolute()));
    }
    folders
}

/// The directory of a `WorkspaceFolder`.
pub(super) fn folder(value: &Value) -> Option<PathBuf> {
    uri::to_path(value.get("uri")?.as_str()?)
}

//! The server: what the client says, what folders answer, and what is said to the client about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender};

use lsp_server::{ErrorCode, Message, Notification, Request, RequestId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::actions::{self, Asked};
use super::client::{self, Client};
use super::convert::Texts;
use super::document::{Change, Document};
use super::folder::{Answer, Changes, Folder};
use super::overlay::Buffers;
use super::session::{Analysis, Reach};
use super::text::Range;
use super::{uri, wire};
use crate::args::LookArgs;
use crate::{config, engine};

/// What the server waits for.
pub(super) enum Event {
    /// The client said something.
    Said(wire::Incoming),
    /// A folder was looked at. The last answer to what was asked is about all of it.
    Analysed { folder: u64, generation: u64, answer: Answer, last: bool },
}

/// How far the conversation is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Running,
    ShutDown,
}

/// Why the server ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client said so, after `shutdown`.
    Orderly,
    /// The client said so without, or is gone.
    Abrupt,
    /// The client's messages can't be told apart.
    Broken(String),
}

/// What is known of a folder's code.
struct Known {
    folder: Folder,
    /// The number of the last answer that is about all of it, and of what was asked last.
    answered: u64,
    asked: u64,
    /// The files that an early answer to the last question was about.
    early: BTreeSet<PathBuf>,
    analysis: Arc<Analysis>,
    /// The diagnostics that the client was sent, by file.
    published: BTreeMap<PathBuf, Vec<Value>>,
    /// What the client was told last to be wrong with the folder as a whole.
    complaint: Option<String>,
    /// Whether the client is shown progress.
    progress: bool,
}

/// A question that waits until the text it is about was looked at.
struct Waiting {
    id: RequestId,
    path: PathBuf,
    range: Range,
    asked: Asked,
}

/// The server.
pub(super) struct Server {
    args: LookArgs,
    events: SyncSender<Event>,
    out: Sender<Value>,
    stage: Stage,
    client: Client,
    documents: BTreeMap<PathBuf, Document>,
    folders: Vec<Known>,
    /// Whether the client has no folders, so that modules of open files take their place.
    loose: bool,
    waiting: Vec<Waiting>,
    /// Counts folders and our own requests.
    count: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    text_document: Item,
}

#[derive(Deserialize)]
struct Item {
    uri: String,
    version: i64,
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    text_document: Versioned,
    content_changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Versioned {
    uri: String,
    version: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    text_document: Named,
}

#[derive(Deserialize)]
struct Named {
    uri: String,
}

#[derive(Deserialize)]
struct Watched {
    changes: Vec<Named>,
}

impl Server {
    pub(super) fn new(args: LookArgs, events: SyncSender<Event>, out: Sender<Value>) -> Self {
        Self {
            args,
            events,
            out,
            stage: Stage::New,
            client: Client::default(),
            documents: BTreeMap::new(),
            folders: Vec::new(),
            loose: false,
            waiting: Vec::new(),
            count: 0,
        }
    }

    /// Answers until the client ends it.
    pub(super) fn run(mut self, events: &Receiver<Event>) -> End {
        for event in events {
            let end = match event {
                Event::Said(wire::Incoming::Message(message)) => self.message(message),
                Event::Said(wire::Incoming::Malformed(answer)) => {
                    self.send(answer);
                    None
                }
                Event::Said(wire::Incoming::Broken(message)) => {
                    let error = json!({"code": ErrorCode::ParseError as i32, "message": message});
                    self.send(json!({"jsonrpc": "2.0", "id": null, "error": error}));
                    Some(End::Broken(message))
                }
                Event::Said(wire::Incoming::Closed) => Some(End::Abrupt),
                Event::Analysed { folder, generation, answer, last } => {
                    self.analysed(folder, generation, answer, last);
                    None
                }
            };
            if let Some(end) = end {
                return end;
            }
        }
        End::Abrupt
    }

    fn send(&self, message: Value) {
        // A client that doesn't listen any more will close its end, too.
        let _ = self.out.send(message);
    }

    fn notify(&self, method: &str, params: &Value) {
        self.send(json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Asks the client for something; its answer makes no difference.
    fn request(&mut self, method: &str, params: &Value) {
        self.count += 1;
        let id = format!("residue-{}", self.count);
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    }

    fn answer(&self, id: &RequestId, result: &Value) {
        self.send(json!({"jsonrpc": "2.0", "id": id, "result": result}));
    }

    fn refuse(&self, id: &RequestId, code: ErrorCode, message: &str) {
        self.send(json!({"jsonrpc": "2.0", "id": id, "error": {"code": code as i32, "message": message}}));
    }

    /// Writes into the client's log.
    fn log(&self, message: &str) {
        self.notify("window/logMessage", &json!({"type": 2, "message": format!("residue: {message}")}));
    }

    fn message(&mut self, message: Message) -> Option<End> {
        match message {
            Message::Request(request) => self.asked(request),
            Message::Notification(Notification { method, .. }) if method == "exit" => {
                return Some(if self.stage == Stage::ShutDown { End::Orderly } else { End::Abrupt });
            }
            Message::Notification(told) if self.stage == Stage::Running => self.told(told),
            // Nothing that a client that has not introduced itself says counts, and no answer to us says anything.
            Message::Notification(_) | Message::Response(_) => {}
        }
        None
    }

    fn asked(&mut self, request: Request) {
        let Request { id, method, params } = request;
        match (self.stage, method.as_str()) {
            (Stage::New, "initialize") => self.initialize(&id, &params),
            (Stage::New, _) => self.refuse(&id, ErrorCode::ServerNotInitialized, "`initialize` comes first"),
            (Stage::ShutDown, _) => self.refuse(&id, ErrorCode::InvalidRequest, "the server was shut down"),
            (Stage::Running, "initialize") => {
                self.refuse(&id, ErrorCode::InvalidRequest, "the server was initialized before");
            }
            (Stage::Running, "shutdown") => {
                self.stage = Stage::ShutDown;
                self.folders.clear();
                for waiting in std::mem::take(&mut self.waiting) {
                    self.refuse(&waiting.id, ErrorCode::RequestCanceled, "the server was shut down");
                }
                self.answer(&id, &Value::Null);
            }
            (Stage::Running, "textDocument/codeAction" | "textDocument/hover") => {
                match Asked::parse(&method, &params) {
                    Ok((uri, range, asked)) => self.question(id, &uri, range, asked),
                    Err(message) => self.refuse(&id, ErrorCode::InvalidParams, &message),
                }
            }
            (Stage::Running, _) => self.refuse(&id, ErrorCode::MethodNotFound, &format!("no such method: {method}")),
        }
    }

    fn initialize(&mut self, id: &RequestId, params: &Value) {
        self.client = Client::new(params);
        self.answer(id, &self.client.capabilities(engine::version()));
        self.stage = Stage::Running;
        for dir in client::folders(params) {
            self.open_folder(dir, Reach::Tree);
        }
        self.loose = self.folders.is_empty();
    }

    fn told(&mut self, told: Notification) {
        let Notification { method, params } = told;
        let result = match method.as_str() {
            "initialized" => {
                self.initialized();
                Ok(())
            }
            "textDocument/didOpen" => parse(params).map(|opened| self.opened(opened)),
            "textDocument/didChange" => parse(params).and_then(|changed| self.changed(&changed)),
            "textDocument/didClose" => parse(params).map(|about: About| self.closed(&about.text_document.uri)),
            "textDocument/didSave" => parse(params).map(|about: About| self.saved(&about.text_document.uri)),
            "workspace/didChangeWatchedFiles" => parse(params).map(|watched| self.watched(&watched)),
            "workspace/didChangeWorkspaceFolders" => {
                self.change_folders(&params);
                Ok(())
            }
            "workspace/didChangeConfiguration" => {
                self.ask_all(&Changes { configuration: true, ..Changes::default() });
                Ok(())
            }
            "$/cancelRequest" => {
                self.cancel(&params);
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(message) = result {
            self.log(&format!("cannot understand `{method}`: {message}"));
        }
    }

    fn initialized(&mut self) {
        if self.client.watch {
            let globs = ["**/*.go", "**/go.mod", "**/go.work", "**/vendor/modules.txt", "**/*.toml"];
            let mut watchers: Vec<Value> = globs.iter().map(|glob| json!({"globPattern": glob})).collect();
            // Removals of anything: of a directory that goes no glob of files tells.
            watchers.push(json!({"globPattern": "**", "kind": 4}));
            let method = "workspace/didChangeWatchedFiles";
            let registration =
                json!({"id": "residue-watch", "method": method, "registerOptions": {"watchers": watchers}});
            self.request("client/registerCapability", &json!({"registrations": [registration]}));
        }
    }

    fn open_folder(&mut self, dir: PathBuf, reach: Reach) {
        if self
            .folders
            .iter()
            .any(|known| known.folder.dir == dir && [reach, Reach::Tree].contains(&known.folder.reach))
        {
            return;
        }
        self.count += 1;
        let folder = match Folder::open(self.count, dir, reach, self.args.clone(), self.events.clone()) {
            Ok(folder) => folder,
            Err(error) => return self.log(error.message()),
        };
        let token = json!({"token": token(folder.id)});
        if self.client.progress {
            self.request("window/workDoneProgress/create", &token);
            let name = folder.dir.file_name().unwrap_or(folder.dir.as_os_str()).to_string_lossy().into_owned();
            let value = json!({"kind": "begin", "title": "residue", "message": format!("reading {name}")});
            self.notify("$/progress", &json!({"token": token["token"], "value": value}));
        }
        let asked = folder.ask(&self.buffers(), Changes { configuration: true, ..Changes::default() });
        self.folders.push(Known {
            folder,
            answered: 0,
            asked,
            early: BTreeSet::new(),
            analysis: Arc::default(),
            published: BTreeMap::new(),
            complaint: None,
            progress: self.client.progress,
        });
    }

    fn change_folders(&mut self, params: &Value) {
        let folders = |key: &str| -> Vec<PathBuf> {
            let all = params.pointer(&format!("/event/{key}")).and_then(Value::as_array);
            all.into_iter().flatten().filter_map(client::folder).collect()
        };
        for dir in folders("removed") {
            if let Some(at) = self.folders.iter().position(|known| known.folder.dir == dir) {
                self.end_progress(at);
                let gone = self.folders.remove(at);
                for path in gone.published.keys() {
                    self.publish(path);
                }
            }
        }
        for dir in folders("added") {
            self.loose = false;
            self.open_folder(dir, Reach::Tree);
        }
        self.settle();
    }

    /// The texts of all buffers, as folders see them.
    fn buffers(&self) -> Arc<Buffers> {
        Arc::new(self.documents.iter().map(|(path, document)| (path.clone(), Arc::clone(&document.text))).collect())
    }

    fn ask_all(&mut self, changes: &Changes) {
        let buffers = self.buffers();
        for known in &mut self.folders {
            known.asked = known.folder.ask(&buffers, changes.clone());
            known.early.clear();
        }
    }

    fn opened(&mut self, opened: Opened) {
        let Item { uri, version, text } = opened.text_document;
        let Some(path) = uri::to_path(&uri) else { return };
        if self.loose
            && let Some((dir, reach)) = around(&path)
        {
            self.open_folder(dir, reach);
        }
        let document = Document { uri, version, text: text.into_bytes().into() };
        self.documents.insert(path.clone(), document);
        self.ask_all(&Changes { buffers: [path].into(), ..Changes::default() });
    }

    fn changed(&mut self, changed: &Changed) -> Result<(), String> {
        let Some(path) = uri::to_path(&changed.text_document.uri) else { return Ok(()) };
        let encoding = self.client.encoding;
        let document = self.documents.get_mut(&path).ok_or_else(|| format!("{} is not open", path.display()))?;
        let version = changed.text_document.version.unwrap_or(document.version + 1);
        document.change(version, &changed.content_changes, encoding);
        let stale: Vec<Waiting> = self.waiting.extract_if(.., |waiting| waiting.path == path).collect();
        for waiting in stale {
            self.refuse(&waiting.id, ErrorCode::ContentModified, "the text was changed meanwhile");
        }
        self.ask_all(&Changes { buffers: [path].into(), ..Changes::default() });
        Ok(())
    }

    fn closed(&mut self, uri: &str) {
        let Some(path) = uri::to_path(uri) else { return };
        if self.documents.remove(&path).is_some() {
            // What is on disk may be anything.
            let path = BTreeSet::from([path]);
            self.ask_all(&Changes { buffers: path.clone(), files: path, ..Changes::default() });
        }
    }

    fn saved(&mut self, uri: &str) {
        let Some(path) = uri::to_path(uri) else { return };
        if !self.client.watch {
            // A save is the only sign that something on disk is going on.
            self.ask_all(&Changes { anything: true, configuration: is_configuration(&path), ..Changes::default() });
        }
    }

    fn watched(&mut self, watched: &Watched) {
        let paths: BTreeSet<PathBuf> = watched.changes.iter().filter_map(|change| uri::to_path(&change.uri)).collect();
        let configuration = paths.iter().any(|path| is_configuration(path));
        self.ask_all(&Changes { files: paths, configuration, ..Changes::default() });
    }

    fn cancel(&mut self, params: &Value) {
        let Some(id) = params.get("id").and_then(|id| serde_json::from_value::<RequestId>(id.clone()).ok()) else {
            return;
        };
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.id == id) {
            let waiting = self.waiting.remove(at);
            self.refuse(&waiting.id, ErrorCode::RequestCanceled, "cancelled");
        }
    }

    fn question(&mut self, id: RequestId, uri: &str, range: Range, asked: Asked) {
        match uri::to_path(uri) {
            Some(path) => {
                self.waiting.push(Waiting { id, path, range, asked });
                self.settle();
            }
            None => self.answer(&id, &Value::Null),
        }
    }

    /// Answers the questions about what was looked at.
    fn settle(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        for waiting in waiting {
            let looked_at = |known: &Known| {
                !waiting.path.starts_with(&known.folder.dir)
                    || known.answered == known.asked
                    || known.early.contains(&waiting.path)
            };
            if self.folders.iter().all(looked_at) {
                let result = self.respond(&waiting);
                self.answer(&waiting.id, &result);
            } else {
                self.waiting.push(waiting);
            }
        }
    }

    fn respond(&self, waiting: &Waiting) -> Value {
        let mut answers = Vec::new();
        for known in &self.folders {
            let texts = known.texts(&self.client);
            let here = known.analysis.findings.iter().filter(|finding| texts.path(&finding.site.path) == waiting.path);
            for finding in here {
                if texts.range(&finding.site).is_some_and(|range| range.touches(&waiting.range)) {
                    answers.extend(match &waiting.asked {
                        Asked::Actions(only) => {
                            let place =
                                actions::Place { texts: &texts, known: &known.analysis, documents: &self.documents };
                            actions::actions(finding, only.as_deref(), &place, &self.client)
                        }
                        Asked::Hover => vec![actions::hover(finding, texts.range(&finding.site), &self.client)],
                    });
                }
            }
        }
        match waiting.asked {
            Asked::Actions(_) => {
                let mut distinct: Vec<Value> = Vec::new();
                for answer in answers {
                    if !distinct.contains(&answer) {
                        distinct.push(answer);
                    }
                }
                distinct.into()
            }
            Asked::Hover => answers.into_iter().next().unwrap_or_default(),
        }
    }

    fn analysed(&mut self, folder: u64, generation: u64, answer: Answer, last: bool) {
        let Some(at) = self.folders.iter().position(|known| known.folder.id == folder) else { return };
        let known = &mut self.folders[at];
        if generation != known.asked {
            // About a text that is no more; the next answer is under way.
            return;
        }
        if last {
            known.answered = generation;
        }
        let complaint = match answer {
            Ok(analysis) => {
                known.early = analysis.early.iter().map(|path| known.folder.dir.join(path)).collect();
                known.analysis = analysis;
                known.analysis.complaint.clone()
            }
            Err(error) => Some(error.said()),
        };
        if complaint != known.complaint {
            known.complaint.clone_from(&complaint);
            if let Some(message) = complaint {
                self.notify("window/showMessage", &json!({"type": 1, "message": format!("residue: {message}")}));
            }
        }
        self.publish_all(at);
        if last {
            self.end_progress(at);
        }
        self.settle();
    }

    fn end_progress(&mut self, at: usize) {
        let known = &mut self.folders[at];
        if std::mem::take(&mut known.progress) {
            let token = token(known.folder.id);
            self.notify("$/progress", &json!({"token": token, "value": {"kind": "end"}}));
        }
    }

    /// Sends the diagnostics of the files whose diagnostics are others than before.
    fn publish_all(&mut self, at: usize) {
        let known = &self.folders[at];
        let texts = known.texts(&self.client);
        let mut by_file: BTreeMap<PathBuf, Vec<Value>> = BTreeMap::new();
        for finding in &known.analysis.findings {
            if let Some(diagnostic) = texts.diagnostic(finding, &self.client) {
                by_file.entry(texts.path(&finding.site.path)).or_default().push(diagnostic);
            }
        }
        let paths: BTreeSet<&PathBuf> = by_file.keys().chain(known.published.keys()).collect();
        let changed = paths.into_iter().filter(|path| by_file.get(*path) != known.published.get(*path));
        let changed: Vec<PathBuf> = changed.cloned().collect();
        self.folders[at].published = by_file;
        for path in changed {
            self.publish(&path);
        }
    }

    /// Sends what all folders say of a file.
    fn publish(&self, path: &Path) {
        let mut all: Vec<&Value> = Vec::new();
        for diagnostic in self.folders.iter().filter_map(|known| known.published.get(path)).flatten() {
            if !all.contains(&diagnostic) {
                all.push(diagnostic);
            }
        }
        let document = self.documents.get(path);
        let uri = document.map_or_else(|| uri::of(path), |document| document.uri.clone());
        let mut params = json!({"uri": uri, "diagnostics": all});
        if let Some(document) = document.filter(|_| self.client.version) {
            params["version"] = document.version.into();
        }
        self.notify("textDocument/publishDiagnostics", &params);
    }
}

impl Known {
    fn texts(&self, client: &Client) -> Texts<'_> {
        let texts = self.analysis.texts.iter().map(|(path, text)| (path.as_str(), &**text));
        Texts::new(&self.folder.dir, texts, client)
    }
}

fn parse<T: DeserializeOwned>(params: Value) -> Result<T, String> {
    serde_json::from_value(params).map_err(|error| error.to_string())
}

fn token(folder: u64) -> String {
    format!("residue-{folder}")
}

/// Whether a file may settle what is looked for, or what is known: the configuration, a baseline, a model.
fn is_configuration(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
        || path.file_name().is_some_and(|name| name == config::FILE_NAME)
}

/// What to look at for a file that lies in no folder: its module; without one its package and nothing below, which may
/// be all that there is on the machine.
fn around(path: &Path) -> Option<(PathBuf, Reach)> {
    let dir = path.parent()?;
    Some(match dir.ancestors().find(|dir| dir.join("go.mod").is_file()) {
        Some(module) => (module.to_owned(), Reach::Tree),
        None => (dir.to_owned(), Reach::Package),
    })
}

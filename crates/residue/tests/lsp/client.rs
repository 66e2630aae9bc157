//! A client that follows a script, and insists on what it waits for within a deadline.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common;

/// Longer than any answer takes, by far, also on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// An editor.
pub(crate) struct Client {
    server: Child,
    input: Option<ChildStdin>,
    said: Receiver<Value>,
    dir: PathBuf,
    requests: i64,
    versions: BTreeMap<String, i64>,
    /// Diagnostics by URI, as published last.
    pub(crate) diagnostics: BTreeMap<String, Vec<Value>>,
    /// What the server asked for and said besides.
    pub(crate) heard: Vec<Value>,
}

/// What a modern editor can do.
pub(crate) fn capabilities() -> Value {
    json!({
        "general": {"positionEncodings": ["utf-16"]},
        "textDocument": {
            "publishDiagnostics": {
                "relatedInformation": true,
                "codeDescriptionSupport": true,
                "versionSupport": true,
                "tagSupport": {"valueSet": [1, 2]},
            },
            "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["quickfix"]}}},
            "hover": {"contentFormat": ["markdown", "plaintext"]},
        },
        "window": {"workDoneProgress": true},
        "workspace": {
            "workspaceEdit": {"documentChanges": true},
            "didChangeWatchedFiles": {"dynamicRegistration": true},
        },
    })
}

impl Client {
    /// Starts a server in a directory, without a word.
    pub(crate) fn silent(dir: &Path) -> Self {
        let mut command = common::residue(dir);
        command.args(["lsp"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = command.spawn().expect("the program starts");
        let (input, output) = (server.stdin.take(), server.stdout.take().expect("it is piped"));
        let (tell, said) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(message) = read(&mut output) {
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        Self {
            server,
            input,
            said,
            dir: dir.to_owned(),
            requests: 0,
            versions: BTreeMap::new(),
            diagnostics: BTreeMap::new(),
            heard: Vec::new(),
        }
    }

    /// Starts a server for a directory, introduces itself and waits for the first diagnostics.
    pub(crate) fn start(dir: &Path, capabilities: Value) -> Self {
        let mut client = Self::silent(dir);
        let folder = json!({"uri": client.uri(""), "name": "m"});
        let answer = client.request("initialize", json!({"capabilities": capabilities, "workspaceFolders": [folder]}));
        assert_eq!(answer["result"]["serverInfo"]["name"], "residue", "{answer}");
        client.notify("initialized", json!({}));
        client
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        let path = self.dir.join(path);
        format!("file://{}", path.to_str().expect("the test's paths are text").trim_end_matches('/'))
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("it is open");
        input.write_all(bytes).and_then(|()| input.flush()).expect("the server reads");
    }

    pub(crate) fn send(&mut self, message: &Value) {
        let text = message.to_string();
        self.raw(format!("Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes());
    }

    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Asks without waiting for the answer.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> i64 {
        self.requests += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.requests, "method": method, "params": params}));
        self.requests
    }

    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        self.answer(&json!(id))
    }

    /// Waits for the answer to a request.
    pub(crate) fn answer(&mut self, id: &Value) -> Value {
        self.until("an answer", |_, message| {
            (message["id"] == *id && message.get("method").is_none()).then(|| message.clone())
        })
    }

    /// Waits for what a closure finds in a message; diagnostics are kept, and requests answered.
    pub(crate) fn until<T>(&mut self, what: &str, mut found: impl FnMut(&Self, &Value) -> Option<T>) -> T {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = match self.said.recv_timeout(left) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => panic!("no {what} in time; heard {:?}", self.heard),
                Err(RecvTimeoutError::Disconnected) => panic!("the server ended before {what}: {}", self.stderr()),
            };
            assert_eq!(message["jsonrpc"], "2.0", "{message}");
            match message["method"].as_str() {
                Some("textDocument/publishDiagnostics") => {
                    let params = &message["params"];
                    let uri = params["uri"].as_str().expect("a URI").to_owned();
                    if let (Some(version), Some(own)) = (params["version"].as_i64(), self.versions.get(&uri)) {
                        assert!(version <= *own, "{message}");
                    }
                    let all = params["diagnostics"].as_array().expect("a list").clone();
                    self.diagnostics.insert(uri, all);
                }
                Some(_) if message.get("id").is_some() => {
                    let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": null});
                    self.send(&answer);
                    self.heard.push(message.clone());
                }
                _ => self.heard.push(message.clone()),
            }
            if let Some(found) = found(self, &message) {
                return found;
            }
        }
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        if let Some(stderr) = self.server.stderr.as_mut() {
            let _ = stderr.read_to_string(&mut text);
        }
        text
    }

    pub(crate) fn open(&mut self, path: &str, text: &str) {
        let uri = self.uri(path);
        self.versions.insert(uri.clone(), 1);
        let document = json!({"uri": uri, "languageId": "go", "version": 1, "text": text});
        self.notify("textDocument/didOpen", json!({"textDocument": document}));
    }

    /// Changes an open document: a range and its text, or all of it.
    pub(crate) fn change(&mut self, path: &str, changes: Value) {
        let uri = self.uri(path);
        let version = self.versions.get_mut(&uri).expect("it is open");
        *version += 1;
        let document = json!({"uri": uri, "version": *version});
        self.notify("textDocument/didChange", json!({"textDocument": document, "contentChanges": changes}));
    }

    pub(crate) fn replace(&mut self, path: &str, text: &str) {
        self.change(path, json!([{"text": text}]));
    }

    pub(crate) fn watched(&mut self, path: &str) {
        let uri = self.uri(path);
        self.notify("workspace/didChangeWatchedFiles", json!({"changes": [{"uri": uri, "type": 2}]}));
    }

    /// Waits until everything that was said so far was looked at, and gives a file's diagnostics.
    pub(crate) fn settled(&mut self, path: &str) -> Vec<Value> {
        let uri = self.uri(path);
        // A question about a text is answered when it was looked at.
        let at = json!({"line": 0, "character": 0});
        self.request("textDocument/hover", json!({"textDocument": {"uri": uri}, "position": at}));
        self.diagnostics.get(&uri).cloned().unwrap_or_default()
    }

    /// The codes and first lines of a file's diagnostics.
    pub(crate) fn codes(&mut self, path: &str) -> Vec<(String, u64)> {
        let all = self.settled(path);
        let code = |it: &Value| it["code"].as_str().expect("a code").to_owned();
        all.iter().map(|it| (code(it), it["range"]["start"]["line"].as_u64().expect("a line"))).collect()
    }

    /// The actions for the first line of a diagnostic.
    pub(crate) fn actions(&mut self, path: &str, diagnostic: &Value) -> Vec<Value> {
        let uri = self.uri(path);
        let context = json!({"diagnostics": [diagnostic]});
        let params = json!({"textDocument": {"uri": uri}, "range": diagnostic["range"], "context": context});
        let answer = self.request("textDocument/codeAction", params);
        answer["result"].as_array().cloned().unwrap_or_else(|| panic!("no actions: {answer}"))
    }

    /// Closes the server's input and waits for its end; gives the exit code.
    pub(crate) fn hang_up(mut self) -> i32 {
        drop(self.input.take());
        self.wait()
    }

    fn wait(&mut self) -> i32 {
        let end = Instant::now() + DEADLINE;
        loop {
            match self.server.try_wait().expect("it is our child") {
                Some(status) => return status.code().unwrap_or(-1),
                None if Instant::now() > end => panic!("the server does not end"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Ends the server as the protocol has it.
    pub(crate) fn shut_down(mut self) -> i32 {
        let answer = self.request("shutdown", Value::Null);
        assert!(answer.get("error").is_none(), "{answer}");
        self.notify("exit", Value::Null);
        self.wait()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The next message; anything but a message on stdout fails the test.
fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).expect("it is text") == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            header => {
                let value = header.strip_prefix("Content-Length: ").unwrap_or_else(|| panic!("`{header}` on stdout"));
                length = Some(value.parse::<usize>().expect("a number"));
            }
        }
    }
    let mut body = vec![0; length.expect("a length")];
    output.read_exact(&mut body).expect("all of it");
    Some(serde_json::from_slice(&body).expect("JSON"))
}

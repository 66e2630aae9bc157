//! `residue lsp` as an editor meets it: scripted sessions.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a test that cannot set up fails")]
#![allow(clippy::needless_pass_by_value, reason = "`json!` reads better where it is used without a `&`")]

mod client;
#[path = "../common/mod.rs"]
mod common;
mod random;

use serde_json::{Value, json};

use client::{Client, capabilities};
use common::{leaks, module, read, write};

#[test]
fn a_leak_that_is_typed_and_fixed_comes_and_goes() {
    let clean = "package data\n\nimport \"os\"\n\nvar _ = os.Args\n";
    let dir = module(&[("a.go", clean), ("sub/b.go", &leaks(&["There"]))]);
    let mut client = Client::start(dir.path(), capabilities());
    client.open("a.go", clean);
    assert_eq!(client.codes("a.go"), []);
    assert_eq!(client.codes("sub/b.go"), [("R201".to_owned(), 5)], "what is not open is looked at too");
    let leak = leaks(&["Here"]);
    client.replace("a.go", &leak);
    assert_eq!(client.codes("a.go"), [("R201".to_owned(), 5)]);
    assert_eq!(read(dir.path(), "a.go"), clean, "nothing is written");

    let diagnostic = client.settled("a.go").remove(0);
    assert_eq!((&diagnostic["severity"], &diagnostic["source"]), (&json!(2), &json!("residue")), "{diagnostic}");
    assert_eq!(diagnostic["range"]["start"], json!({"line": 5, "character": 11}), "{diagnostic}");
    assert!(diagnostic["codeDescription"]["href"].as_str().expect("a page").starts_with("https://"), "{diagnostic}");
    let steps = diagnostic["relatedInformation"].as_array().expect("steps");
    assert!(steps.iter().all(|step| step["location"]["uri"] == client.uri("a.go")), "{diagnostic}");

    // As typed: a line below the check of the error, then what that does is undone.
    let at = |line: u32| json!({"line": line, "character": 0});
    client.change("a.go", json!([{"range": {"start": at(9), "end": at(9)}, "text": "\tdefer f.Close()\n"}]));
    assert_eq!(client.codes("a.go"), []);
    client.change("a.go", json!([{"range": {"start": at(9), "end": at(10)}, "text": ""}]));
    assert_eq!(client.codes("a.go"), [("R201".to_owned(), 5)]);
    let uri = client.uri("a.go");
    client.notify("textDocument/didClose", json!({"textDocument": {"uri": uri}}));
    assert_eq!(client.codes("a.go"), [], "what is on disk counts again");
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn an_ignore_is_a_code_action_that_holds() {
    let text = leaks(&["One", "Two"]);
    let dir = module(&[("a.go", &text)]);
    let mut client = Client::start(dir.path(), capabilities());
    client.open("a.go", &text);
    let diagnostic = client.settled("a.go").remove(1);
    let actions = client.actions("a.go", &diagnostic);
    let ignore = actions.iter().find(|it| it["title"].as_str().expect("a title").contains("ignore R201"));
    let change = &ignore.expect("there is one")["edit"]["documentChanges"][0];
    assert_eq!(
        (&change["textDocument"]["uri"], &change["textDocument"]["version"]),
        (&json!(client.uri("a.go")), &json!(1))
    );
    let edits: Vec<Value> = change["edits"].as_array().expect("edits").clone();
    assert_eq!(edits[0]["newText"], "\t//residue:ignore R201 -- why\n");
    client.change("a.go", json!([{"range": edits[0]["range"], "text": edits[0]["newText"]}]));
    assert_eq!(client.codes("a.go"), [("R201".to_owned(), 5)], "one is held back");
    // Nor is it offered where only other kinds of actions are wanted.
    let range = &diagnostic["range"];
    let context = json!({"diagnostics": [], "only": ["refactor"]});
    let params = json!({"textDocument": {"uri": client.uri("a.go")}, "range": range, "context": context});
    assert_eq!(client.request("textDocument/codeAction", params)["result"], json!([]));
}

#[test]
fn a_fix_is_a_code_action_that_settles_it() {
    let text = leaks(&["One"]);
    let dir = module(&[("a.go", &text)]);
    let mut client = Client::start(dir.path(), capabilities());
    client.open("a.go", &text);
    let diagnostic = client.settled("a.go").remove(0);
    let actions = client.actions("a.go", &diagnostic);
    let fix = actions.iter().find(|it| it["isPreferred"] == true).expect("there is one");
    for edit in fix["edit"]["documentChanges"][0]["edits"].as_array().expect("edits").iter().rev() {
        client.change("a.go", json!([{"range": edit["range"], "text": edit["newText"]}]));
    }
    assert_eq!(client.settled("a.go"), [] as [Value; 0], "{fix}");
}

#[test]
fn positions_are_in_the_units_agreed_on() {
    let text = "package data\n\nimport \"os\"\n\nfunc F() { s := \"𝒳ä日\"; f, _ := os.Open(s); f.Stat() }\n";
    let line = text.lines().nth(4).expect("a line");
    let before = &line[..line.find("os.Open").expect("it is there")];
    for (offered, agreed, want) in [
        (json!(["utf-16"]), "utf-16", before.encode_utf16().count()),
        (json!(["utf-16", "utf-8"]), "utf-8", before.len()),
        (Value::Null, "utf-16", before.encode_utf16().count()),
    ] {
        let dir = module(&[("a.go", text)]);
        let mut client = Client::silent(dir.path());
        let mut can = capabilities();
        can["general"] = json!({"positionEncodings": offered});
        let params = json!({"capabilities": can, "rootUri": client.uri("")});
        let answer = client.request("initialize", params);
        assert_eq!(answer["result"]["capabilities"]["positionEncoding"], agreed);
        client.notify("initialized", json!({}));
        client.open("a.go", text);
        let diagnostic = client.settled("a.go").remove(0);
        assert_eq!(diagnostic["range"]["start"], json!({"line": 4, "character": want}), "{diagnostic}");
        // An edit in front of it, in the same units.
        let at = json!({"line": 4, "character": want - "f, _ := ".len()});
        client.change("a.go", json!([{"range": {"start": at, "end": at}, "text": "/*ä*/ "}]));
        let longer = want + if agreed == "utf-8" { 7 } else { 6 };
        let diagnostic = client.settled("a.go").remove(0);
        assert_eq!(diagnostic["range"]["start"], json!({"line": 4, "character": longer}), "{diagnostic}");
    }
}

#[test]
fn hover_explains_the_rule() {
    let text = leaks(&["One"]);
    let dir = module(&[("a.go", &text)]);
    let mut client = Client::start(dir.path(), capabilities());
    client.open("a.go", &text);
    let at = json!({"line": 5, "character": 14});
    let uri = client.uri("a.go");
    let answer = client.request("textDocument/hover", json!({"textDocument": {"uri": uri}, "position": at}));
    let text = answer["result"]["contents"]["value"].as_str().expect("text");
    assert!(text.contains("R201") && text.contains("## Fix"), "{text}");
}

#[test]
fn malformed_messages_are_answered_and_the_next_is_heard() {
    let dir = module(&[("a.go", &leaks(&["One"]))]);
    let mut client = Client::silent(dir.path());
    let early = client.request("textDocument/hover", json!({}));
    assert_eq!(early["error"]["code"], -32002, "{early}");
    let answer = client.request(
        "initialize",
        json!({"capabilities": "none", "workspaceFolders": [{"uri": 1}], "rootUri": "file://%"}),
    );
    assert!(answer.get("result").is_some(), "{answer}");
    let null = Value::Null;
    for (body, id, code) in [
        ("{", null.clone(), -32700),
        ("\u{fffd}", null.clone(), -32700),
        ("[]", null.clone(), -32600),
        (r#"{"jsonrpc":"2.0","id":77}"#, json!(77), -32600),
        (r#"{"jsonrpc":"2.0","id":"x","method":"no/such"}"#, json!("x"), -32601),
        (r#"{"jsonrpc":"2.0","id":78,"method":"initialize","params":{}}"#, json!(78), -32600),
        (r#"{"jsonrpc":"2.0","id":79,"method":"textDocument/hover","params":{"textDocument":7}}"#, json!(79), -32602),
        (
            r#"{"jsonrpc":"2.0","id":80,"method":"textDocument/codeAction","params":{"textDocument":{"uri":"x"}}}"#,
            json!(80),
            -32602,
        ),
    ] {
        client.raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        let answer = client.until("a refusal", |_, message| (message["id"] == id).then(|| message.clone()));
        assert_eq!(answer["error"]["code"], code, "{body}: {answer}");
        assert!(!answer["error"]["message"].as_str().expect("a message").is_empty());
    }
    // Not UTF-8 at all.
    client.raw(b"Content-Length: 4\r\n\r\n\"\xff\xfe\"");
    client.until("a refusal", |_, message| (message["error"]["code"] == -32700).then_some(()));
    // Notifications that make no sense are logged, or passed over.
    for (method, params) in [
        ("textDocument/didOpen", json!({})),
        (
            "textDocument/didChange",
            json!({"textDocument": {"uri": "file:///no/such.go", "version": 2}, "contentChanges": []}),
        ),
        ("textDocument/didOpen", json!({"textDocument": {"uri": "untitled:1", "version": 1, "text": "x"}})),
        ("textDocument/didClose", json!({"textDocument": {"uri": "not a uri"}})),
        ("workspace/didChangeWorkspaceFolders", json!({"event": 1})),
        ("$/cancelRequest", json!({"id": 4711})),
        ("$/cancelRequest", json!([])),
        ("$/unheard/of", Value::Null),
    ] {
        client.notify(method, params);
    }
    let answer = client.request(
        "textDocument/hover",
        json!({"textDocument": {"uri": "ftp://x"}, "position": {"line": 0, "character": 0}}),
    );
    assert_eq!(answer["result"], Value::Null);
    assert!(client.heard.iter().any(|it| it["method"] == "window/logMessage"), "{:?}", client.heard);
    assert_eq!(client.hang_up(), 1);
}

#[test]
fn a_stream_that_is_no_protocol_ends_with_a_word() {
    let dir = module(&[]);
    let mut child = common::residue(dir.path());
    child
        .arg("lsp")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = child.spawn().expect("it starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("it is piped"), b"hello?\n").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(3));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(out.starts_with("Content-Length: ") && out.contains("-32700"), "{out}");
    assert!(err.contains("`hello?` is no header") && err.contains("hint:"), "{err}");
}

#[test]
fn configuration_and_files_on_disk_are_followed() {
    let text = leaks(&["One"]);
    let dir = module(&[("a.go", &text)]);
    let mut client = Client::start(dir.path(), capabilities());
    assert_eq!(client.codes("a.go").len(), 1);
    write(dir.path(), ".residue.toml", "[rules]\ndisable = [\"R201\"]\n");
    client.watched(".residue.toml");
    assert_eq!(client.codes("a.go"), []);
    // A broken one is said, and what held before holds on.
    write(dir.path(), ".residue.toml", "[rules]\ndisable = [\"R999\"]\n");
    client.watched(".residue.toml");
    let said = client.until("a word", |_, message| {
        (message["method"] == "window/showMessage").then(|| message["params"]["message"].to_string())
    });
    assert!(said.contains("R999") && said.contains(".residue.toml:2"), "{said}");
    std::fs::remove_file(dir.path().join(".residue.toml")).expect("it is there");
    client.watched(".residue.toml");
    assert_eq!(client.codes("a.go").len(), 1);

    write(dir.path(), "b.go", &leaks(&["Two"]).replace("package data", "package data // b"));
    client.watched("b.go");
    assert_eq!(client.codes("b.go").len(), 1);
    std::fs::remove_file(dir.path().join("b.go")).expect("it is there");
    client.watched("b.go");
    assert_eq!(client.codes("b.go"), []);
    write(dir.path(), "sub/deep/c.go", &leaks(&["Three"]));
    client.watched("sub/deep/c.go");
    assert_eq!(client.codes("sub/deep/c.go").len(), 1);
    std::fs::remove_dir_all(dir.path().join("sub")).expect("it is there");
    client.watched("sub");
    assert_eq!(client.codes("sub/deep/c.go"), [], "the directory is all that is said");
    let baseline = common::run(dir.path(), &["baseline", "write"]);
    assert_eq!(common::code(&baseline), 0, "{}", common::err(&baseline));
    write(dir.path(), ".residue.toml", "baseline = \".residue-baseline.toml\"\n");
    client.watched(".residue.toml");
    assert_eq!(client.codes("a.go"), []);
}

#[test]
fn broken_code_is_no_trouble() {
    let text = leaks(&["One"]);
    let dir = module(&[("a.go", &text), ("b.go", "package data\n")]);
    let mut client = Client::start(dir.path(), capabilities());
    client.open("a.go", &text);
    let cuts = (0..text.len()).step_by(7);
    for cut in cuts {
        client.replace("a.go", &text[..cut]);
    }
    client.replace("a.go", &format!("{text}\n}}}}}} func ((((\u{0} `"));
    client.codes("a.go");
    client.replace("a.go", "package other\n");
    client.codes("a.go");
    client.replace("a.go", &text);
    assert_eq!(client.codes("a.go").len(), 1);
    // Not UTF-8, on disk, and enormous.
    std::fs::write(dir.path().join("b.go"), b"package data\n\nvar \xff\xfe = `\xff`\n").expect("it is writable");
    client.watched("b.go");
    assert_eq!(client.codes("a.go").len(), 1);
    client.open("b.go", &format!("package data\n// {}\n", "x".repeat(20 << 20)));
    assert_eq!(client.codes("a.go").len(), 1);
    assert!(!client.heard.iter().any(|it| it["method"] == "window/showMessage"), "{:?}", client.heard);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn what_waits_can_be_cancelled_and_what_is_superseded_is_dropped() {
    let text = leaks(&["One"]);
    let dir = module(&[("a.go", &text)]);
    let mut client = Client::start(dir.path(), capabilities());
    client.open("a.go", &text);
    client.settled("a.go");
    let uri = client.uri("a.go");
    let hover = json!({"textDocument": {"uri": uri}, "position": {"line": 5, "character": 12}});
    // Enough to do that the question waits.
    let names: Vec<String> = (0..400).map(|i| format!("F{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    client.replace("a.go", &leaks(&names));
    let id = client.ask("textDocument/hover", hover.clone());
    client.notify("$/cancelRequest", json!({"id": id}));
    let answer = client.answer(&json!(id));
    assert_eq!(answer["error"]["code"], -32800, "{answer}");
    let id = client.ask("textDocument/hover", hover);
    client.replace("a.go", &text);
    let answer = client.answer(&json!(id));
    assert!(answer["error"]["code"] == -32801 || answer.get("result").is_some(), "{answer}");
    assert_eq!(client.codes("a.go").len(), 1);
}

#[test]
fn several_folders_come_and_go() {
    let one = module(&[("a.go", &leaks(&["One"]))]);
    let two = module(&[("a.go", &leaks(&["Two"]))]);
    let mut client = Client::start(one.path(), capabilities());
    assert_eq!(client.codes("a.go").len(), 1);
    let uri = format!("file://{}", two.path().display());
    let there = format!("{uri}/a.go");
    let folder = json!({"uri": uri, "name": "two"});
    let event = json!({"event": {"added": [folder], "removed": []}});
    client.notify("workspace/didChangeWorkspaceFolders", event);
    client
        .until("diagnostics of the other", |it, _| it.diagnostics.get(&there).filter(|all| all.len() == 1).map(|_| ()));
    let event = json!({"event": {"added": [], "removed": [folder]}});
    client.notify("workspace/didChangeWorkspaceFolders", event);
    client.until("their end", |it, _| it.diagnostics.get(&there).filter(|all| all.is_empty()).map(|_| ()));
    assert_eq!(client.codes("a.go").len(), 1);
    let progress: Vec<&Value> = client.heard.iter().filter(|it| it["method"] == "$/progress").collect();
    assert!(progress.len() >= 2, "{progress:?}");
}

#[test]
fn a_file_without_a_folder_brings_its_module() {
    let text = leaks(&["One"]);
    let dir = module(&[("sub/a.go", &text)]);
    let mut client = Client::silent(dir.path());
    client.request("initialize", json!({"capabilities": capabilities(), "workspaceFolders": null}));
    client.notify("initialized", json!({}));
    client.open("sub/a.go", &text);
    assert_eq!(client.codes("sub/a.go").len(), 1);
}

#[test]
fn a_file_in_no_module_brings_its_package_and_nothing_below() {
    let (top, below) = (leaks(&["Top"]), leaks(&["Below"]));
    let dir = module(&[("top.go", &top), ("below/b.go", &below), ("below/go.mod", "module example.com/below\n")]);
    std::fs::remove_file(dir.path().join("go.mod")).expect("it is there");
    let mut client = Client::silent(dir.path());
    client.request("initialize", json!({"capabilities": capabilities(), "workspaceFolders": null}));
    client.notify("initialized", json!({}));
    client.open("top.go", &top);
    assert_eq!(client.codes("top.go").len(), 1);
    let there = client.uri("below/b.go");
    assert_eq!(client.diagnostics.get(&there), None, "it may be all that is on the machine");
    // Asked for, it comes.
    client.notify(
        "workspace/didChangeWorkspaceFolders",
        json!({"event": {
            "added": [{"uri": client.uri(""), "name": "all"}], "removed": [],
        }}),
    );
    assert_eq!(client.codes("below/b.go").len(), 1);
}

//! After any series of edits the editor shows what `check` finds in the same text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::client::{Client, capabilities};
use crate::common::{self, module, write};

/// Files in several versions each. What one says of its functions makes a difference for those that import it: whether they
/// close, own, panic, recover; so do declarations that come and go, and imports.
/// A package that is only imported is asked for bodies, and calls through interfaces lead to methods of another package.
const FILES: &[(&str, &[&str])] = &[
    (
        "low/low.go",
        &[
            "package low\n\nimport \"os\"\n\nfunc Open(p string) (*os.File, error) { return os.Open(p) }\n\nfunc Done(f *os.File) { f.Close() }\n\nfunc Must(p string) {}\n",
            "package low\n\nimport \"os\"\n\nfunc Open(p string) (*os.File, error) { return nil, nil }\n\nfunc Done(f *os.File) {}\n\nfunc Must(p string) { panic(p) }\n",
            "package low\n\nimport \"os\"\n\n// A line more.\nfunc Must(p string) {\n\tif p == \"\" {\n\t\tpanic(p)\n\t}\n}\n\nfunc Other() {}\n\nfunc Done(f *os.File) { defer f.Close() }\n\nfunc Open(p string) (*os.File, error) { return os.Open(p) }\n",
            "package low\n\nimport \"os\"\n\nfunc Open(p string) (f *os.File, err error) { return os.Create(p) }\n\nfunc Done(f *os.File) { f.Close() ",
        ],
    ),
    (
        "low/more.go",
        &[
            "package low\n\nimport \"os\"\n\ntype Kind int\n\nfunc (k Kind) Name(p string) string {\n\tf, err := os.Open(p)\n\tif err != nil {\n\t\treturn \"\"\n\t}\n\treturn f.Name()\n}\n",
            "package low\n\nimport \"net/http\"\n\ntype Kind struct{ C *http.Client }\n\nfunc (k *Kind) Get(u string) { r, _ := k.C.Get(u); _ = r.Status }\n",
            "package other\n\nfunc F() {}\n",
            "//go:build ignore\n\npackage low\n",
        ],
    ),
    (
        "mid/mid.go",
        &[
            "package mid\n\nimport \"example.com/m/low\"\n\nfunc Use(p string) error {\n\tf, err := low.Open(p)\n\tif err != nil {\n\t\treturn err\n\t}\n\tlow.Must(p)\n\tlow.Done(f)\n\treturn nil\n}\n",
            "package mid\n\nimport (\n\t\"os\"\n\n\t\"example.com/m/low\"\n)\n\nfunc Use(p string) error {\n\tf, err := os.Open(p)\n\tif err != nil {\n\t\treturn err\n\t}\n\tlow.Must(p)\n\treturn f.Close()\n}\n",
            "package mid\n\nimport \"os\"\n\nfunc Use(p string) error {\n\tf, err := os.Open(p)\n\tif err != nil {\n\t\treturn err\n\t}\n\t_, err = f.Stat()\n\treturn err\n}\n",
            "package mid\n\nimport \"example.com/m/low\"\n\nfunc Use(p string) error {\n\t//residue:ignore R201 -- known\n\tf, err := low.Open(p)\n\tif err != nil {\n\t\treturn err\n\t}\n\t_, err = f.Stat()\n\treturn err\n}\n",
        ],
    ),
    (
        "top/top.go",
        &[
            "package main\n\nimport (\n\t\"net/http\"\n\n\t\"example.com/m/mid\"\n)\n\nfunc handle(w http.ResponseWriter, r *http.Request) {\n\tmid.Use(r.URL.Path)\n}\n\nfunc main() { http.HandleFunc(\"/\", handle) }\n",
            "package main\n\nimport \"example.com/m/mid\"\n\nfunc main() {\n\tdefer func() { recover() }()\n\tmid.Use(\"x\")\n}\n",
            "package main\n\nimport \"example.com/m/mid\"\n\nfunc main() { mid.Use(\"x\") }\n",
            "package main\n\nimport (\n\t\"example.com/m/low\"\n\t\"example.com/m/mid\"\n)\n\nfunc main() {\n\tmid.Use(\"x\")\n\tf, _ := low.Open(\"y\")\n\tdefer low.Done(f)\n\tlow.Must(\"z\")\n}\n",
        ],
    ),
    (
        "internal/sink/sink.go",
        &[
            "package sink\n\nimport (\n\t\"os\"\n\n\t\"example.com/m/impl\"\n)\n\nvar Default Sink = impl.A{}\n\ntype Sink interface{ Take(f *os.File) }\n\nfunc Run(s Sink, p string) error {\n\tf, err := os.Open(p)\n\tif err != nil {\n\t\treturn err\n\t}\n\ts.Take(f)\n\treturn nil\n}\n",
            "package sink\n\nimport (\n\t\"os\"\n\n\t\"example.com/m/impl\"\n)\n\nvar Default Sink = impl.A{}\n\ntype Sink interface {\n\tTake(f *os.File)\n\tName() string\n}\n\nfunc Run(s Sink, p string) error {\n\tf, err := os.Open(p)\n\tif err != nil {\n\t\treturn err\n\t}\n\ts.Take(f)\n\treturn nil\n}\n",
        ],
    ),
    (
        "impl/impl.go",
        &[
            "package impl\n\nimport \"os\"\n\ntype A struct{}\n\nfunc (A) Take(f *os.File) { f.Close() }\n",
            "package impl\n\nimport \"os\"\n\ntype A struct{}\n\nfunc (A) Take(f *os.File) { f.Stat() }\n",
            "package impl\n\nimport \"os\"\n\ntype A struct{}\n\nfunc (A) Take(f *os.File) { f.Stat() }\n\nfunc (A) Name() string { return \"a\" }\n\ntype B struct{ f *os.File }\n\nfunc (b *B) Take(f *os.File) { b.f = f }\n",
            "package impl\n\nfunc F() {}\n",
        ],
    ),
    (
        "uses/uses.go",
        &[
            "package uses\n\nimport (\n\t\"os\"\n\n\t\"example.com/dep\"\n)\n\nfunc Use(p string) error {\n\tf, err := os.Open(p)\n\tif err != nil {\n\t\treturn err\n\t}\n\tdep.Take(f)\n\treturn nil\n}\n",
            "package uses\n\nimport (\n\t\"os\"\n\n\t\"example.com/dep\"\n)\n\nfunc Use(p string) error {\n\tf, err := os.Open(p)\n\tif err != nil {\n\t\treturn err\n\t}\n\tdep.Keep(f)\n\treturn nil\n}\n\nfunc More(p string) { dep.Make(p) }\n",
            "package uses\n\nfunc Use(p string) error { return nil }\n",
        ],
    ),
    (
        "vendor/example.com/dep/dep.go",
        &[
            "package dep\n\nimport \"os\"\n\nfunc Take(f *os.File) { f.Close() }\n\nfunc Keep(f *os.File) { f.Stat() }\n\nfunc Make(p string) (*os.File, error) { return os.Open(p) }\n",
            "package dep\n\nimport \"os\"\n\nvar kept *os.File\n\nfunc Take(f *os.File) { f.Stat() }\n\nfunc Keep(f *os.File) { close(f) }\n\nfunc close(f *os.File) { f.Close() }\n\nfunc Make(p string) (*os.File, error) { return kept, nil }\n",
        ],
    ),
    ("vendor/modules.txt", &["# example.com/dep v1.0.0\n## explicit; go 1.21\nexample.com/dep\n"]),
    ("go.mod", &["module example.com/m\n\ngo 1.27\n\nrequire example.com/dep v1.0.0\n"]),
];

const ROUNDS: usize = 60;

/// The last of them stay as they are.
const FIXED: usize = 2;

/// A pseudo-random sequence (xorshift64; Marsaglia, 2003): the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// What is found, by file: line, column, rule, first line.
type Found = BTreeSet<(String, u64, String, String)>;

fn shown(client: &Client) -> Found {
    let root = client.uri("");
    let all = client.diagnostics.iter().flat_map(|(uri, all)| all.iter().map(move |it| (uri, it)));
    all.map(|(uri, it)| {
        let path = uri.strip_prefix(&root).expect("below the root").trim_start_matches('/').to_owned();
        let line = it["range"]["start"]["line"].as_u64().expect("a line") + 1;
        let text = |value: &Value| value.as_str().expect("text").lines().next().unwrap_or_default().to_owned();
        (path, line, text(&it["code"]), text(&it["message"]))
    })
    .collect()
}

fn checked(texts: &BTreeMap<&str, String>) -> Found {
    let files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let dir = module(&files);
    let output = common::run(dir.path(), &["check", "--no-cache", "--format", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let findings = report["findings"].as_array().expect("findings");
    let found = findings.iter().map(|it| {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text in {it}")).to_owned();
        let place = &it["site"];
        (
            text(&place["path"]),
            place["start"]["line"].as_u64().expect("a line"),
            text(&it["rule"]),
            text(&it["message"]),
        )
    });
    found.collect()
}

#[test]
fn what_is_shown_after_edits_is_what_check_finds() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut texts: BTreeMap<&str, String> = FILES.iter().map(|(path, all)| (*path, all[0].to_owned())).collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let dir = module(&files);
    let mut client = Client::start(dir.path(), capabilities());
    let mut open: BTreeSet<&str> = BTreeSet::new();
    let (mut seen, mut rounds_with) = (0, BTreeMap::new());
    for round in 0..ROUNDS {
        for _ in 0..=random.below(4) {
            let (path, versions) = FILES[random.below(FILES.len() - FIXED)];
            let mut text = versions[random.below(versions.len())].to_owned();
            match random.below(6) {
                // Something in the middle of being typed.
                0 => {
                    let at = random.below(text.len());
                    text.insert_str(at, ["x", "\n", "{", "// ", "\""][random.below(5)]);
                }
                1 => text.insert_str(text.find('\n').expect("a line") + 1, "\n// A line more.\n"),
                _ => {}
            }
            if open.contains(path) {
                if random.below(5) == 0 {
                    // What is on disk counts again once it is closed.
                    write(dir.path(), path, &text);
                    let uri = client.uri(path);
                    client.notify("textDocument/didClose", json!({"textDocument": {"uri": uri}}));
                    open.remove(path);
                } else {
                    client.replace(path, &text);
                }
            } else if random.below(2) == 0 {
                client.open(path, &text);
                open.insert(path);
            } else {
                write(dir.path(), path, &text);
                client.watched(path);
            }
            texts.insert(path, text);
            if random.below(3) == 0 {
                client.settled("no/such.go");
            }
        }
        client.settled("no/such.go");
        let want = checked(&texts);
        assert_eq!(shown(&client), want, "round {round}: {texts:#?}");
        seen += want.len();
        for path in want.iter().map(|(path, ..)| path.clone()).collect::<BTreeSet<_>>() {
            *rounds_with.entry(path).or_insert(0) += 1;
        }
    }
    for path in ["mid/mid.go", "internal/sink/sink.go", "uses/uses.go"] {
        assert!((1..ROUNDS).contains(&rounds_with[path]), "what others do makes a difference: {rounds_with:?}");
    }
    assert!(seen > 20, "the edits make a difference: {seen}");
    assert!(!client.heard.iter().any(|it| it["method"] == "window/showMessage"), "{:?}", client.heard);
}

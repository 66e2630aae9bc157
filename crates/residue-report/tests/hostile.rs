//! Source text, names and spans made to break a report, or a terminal.
#![allow(clippy::expect_used)]

mod common;

use common::{Files, RULE, outcome, report};
use residue_finding::{Edit, Finding, Help, Position, Site, Span, StepRole};
use residue_report::{
    Report, TextStyle, write_github, write_gitlab, write_json, write_json_lines, write_junit, write_sarif, write_text,
};

/// A small generator of numbers, so that a failure can be repeated.
struct Rng(u64);

impl Rng {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.next(from.len())]
    }

    fn bytes(&mut self, pieces: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..self.next(pieces) {
            out.extend_from_slice(self.pick::<[u8]>(&[
                b"package p\n",
                b"\t",
                b"\r\n",
                b"\n",
                b"\"",
                b"`",
                b"'",
                b"\\",
                b"/*",
                b"*/",
                b"//",
                b"password := ",
                b"\x1b[2J",
                b"\x1b]0;x\x07",
                b"\x00",
                b"\xff",
                b"\xc3",
                b"\xe2\x80",
                b"]]>",
                b"::error::",
                b"%0A",
                b"[a](1)",
                b"<&>",
                "\u{fffe}".as_bytes(),
                "\u{202e}".as_bytes(),
                "\u{200b}".as_bytes(),
                "\u{9b}".as_bytes(),
                "例え".as_bytes(),
                "🦀".as_bytes(),
                b"f(x)",
                b" ",
                b"token=abcdefgh",
                b"://u:p@h",
                b" AKIAIOSFODNN7EXAMPLE ",
                b"-----BEGIN PRIVATE KEY-----",
                b"a very long word that goes on",
                &[b'x'; 300],
                &[b'\t'; 90],
            ]));
        }
        out
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes(6)).into_owned()
    }

    fn span(&mut self, len: usize) -> Span {
        let start = self.next(len + 3);
        let end = if self.next(8) == 0 { self.next(usize::MAX) } else { start + self.next(40) };
        Span { start: start as u32, end: end as u32 }
    }

    fn site(&mut self, path: &str, len: usize) -> Site {
        Site {
            path: path.to_owned(),
            span: self.span(len),
            start: Position { line: self.next(9) as u32, column: self.next(99) as u32 },
            end: Position::default(),
            // Names are not masked: they would name something else.
            import_path: self.text().replace("AKIA", ""),
            declaration: self.text().replace("AKIA", ""),
        }
    }
}

const PATHS: [&str; 3] = ["a.go", "b\x1b[31m.go", "c\n\u{202e}.go"];

fn check(text: &str, what: &str) {
    for c in text.chars() {
        let shown = c == '\n' || !c.is_control() && !('\u{200b}'..='\u{200f}').contains(&c);
        assert!(shown && !('\u{202a}'..='\u{202e}').contains(&c), "{c:?} in {what}: {text:?}");
    }
    assert!(!text.contains("hunter2"), "a password in {what}: {text}");
    assert!(!text.contains("AKIAIOSF"), "a key in {what}: {text}");
}

#[test]
fn nothing_breaks_a_report() {
    for seed in 1..600_u64 {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let texts: Vec<Vec<u8>> = PATHS.iter().map(|_| rng.bytes(30)).collect();
        let mut files: Vec<(&'static str, &[u8])> =
            PATHS.iter().copied().zip(texts.iter().map(Vec::as_slice)).collect();
        if rng.next(4) == 0 {
            files.pop();
        }
        let path = rng.next(3);
        let site = rng.site(PATHS[path], texts[path].len());
        let mut finding = Finding::new(&RULE, format!("left: {}", rng.pick(&["a", "é\x1b[0m", ""])), site);
        finding.label = rng.text();
        for _ in 0..rng.next(5) {
            let path = rng.next(3);
            let site = rng.site(PATHS[path], texts[path].len());
            let message = rng.text();
            finding.step(StepRole::Note, site, message);
        }
        if rng.next(2) == 0 {
            let path = rng.next(3);
            let edits = (0..rng.next(4))
                .map(|_| Edit {
                    path: PATHS[path].to_owned(),
                    span: rng.span(texts[path].len()),
                    replacement: rng.text(),
                })
                .collect();
            finding.help = Some(Help { message: "do it".to_owned(), edits });
        }
        let outcome = outcome(vec![finding]);
        let files = Files::new(&files);
        let report = report(&outcome, &files);
        for (name, text) in every_format(&report) {
            check(&text, name);
            match name {
                "JSON lines" => {
                    for line in text.lines() {
                        serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON");
                    }
                }
                "JSON" | "SARIF" | "GitLab" => {
                    serde_json::from_str::<serde_json::Value>(&text).expect(name);
                }
                "GitHub" => check_commands(&text),
                "JUnit" => check_xml(&text),
                _ => {}
            }
        }
    }
}

/// A run in every format there is.
fn every_format(report: &Report<'_>) -> Vec<(&'static str, String)> {
    let write = |write: &dyn Fn(&mut Vec<u8>) -> std::io::Result<()>| {
        let mut out = Vec::new();
        write(&mut out).expect("a vector takes everything");
        String::from_utf8(out).expect("UTF-8")
    };
    vec![
        ("text", write(&|out| write_text(report, TextStyle { colour: false }, out))),
        ("JSON", write(&|out| write_json(report, out))),
        ("JSON lines", write(&|out| write_json_lines(report, out))),
        ("SARIF", write(&|out| write_sarif(report, out).map(drop))),
        ("GitHub", write(&|out| write_github(report, out))),
        ("GitLab", write(&|out| write_gitlab(report, out))),
        ("JUnit", write(&|out| write_junit(report, out))),
    ]
}

/// Every line is a command of ours: nothing a file is called or says starts one of its own.
fn check_commands(text: &str) {
    for line in text.lines() {
        let rest =
            ["::error file=", "::warning file=", "::notice file="].iter().find_map(|word| line.strip_prefix(word));
        let (properties, message) = rest.and_then(|rest| rest.split_once("::")).expect(line);
        for property in properties.split(',').skip(1) {
            let (name, value) = property.split_once('=').expect(line);
            assert!(["line", "endLine", "col", "endColumn", "title"].contains(&name), "{line}");
            assert!(name == "title" || value.parse::<u32>().is_ok(), "{line}");
        }
        for escape in properties.split('%').skip(1).chain(message.split('%').skip(1)) {
            assert!(["25", "0A", "3A", "2C"].iter().any(|code| escape.starts_with(code)), "{line}");
        }
    }
}

/// Tags are ours and closed, and text holds nothing that XML cannot say.
fn check_xml(text: &str) {
    let mut open = Vec::new();
    let body = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").expect("it is declared");
    for (at, part) in body.split('<').enumerate() {
        let content = if at == 0 { part } else { part.split_once('>').expect("tags are closed").1 };
        assert!(!content.contains('>'), "{content}");
        for entity in part.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|known| entity.starts_with(known)), "{part}");
        }
        assert!(!part.contains(['\u{fffe}', '\u{ffff}']));
        if at == 0 {
            continue;
        }
        let tag = part.split_once('>').expect("tags are closed").0;
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else {
            assert!(["testsuites", "testsuite", "testcase", "failure", "error"].contains(&name), "{tag}");
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty());
}

#[test]
fn names_cannot_end_what_they_stand_in() {
    for path in
        ["]]><failure>.go", "a\"b'&amp;.go", "x::warning::y,line=9.go", "%0A::error::.go", "\u{fffe}\u{202e}.go"]
    {
        let mut site = Site { path: path.to_owned(), import_path: path.to_owned(), ..Site::default() };
        site.start = Position { line: 1, column: 1 };
        let message = format!("left\n::error::{path}]]>");
        let outcome = outcome(vec![Finding::new(&RULE, message, site)]);
        let files = Files::new(&[]);
        for (name, text) in every_format(&report(&outcome, &files)) {
            check(&text, name);
            match name {
                "GitHub" => {
                    check_commands(&text);
                    assert_eq!(text.lines().count(), 1, "{text}");
                }
                "JUnit" => check_xml(&text),
                _ => {}
            }
        }
    }
}

#[test]
fn secrets_are_hidden_in_every_format() {
    let source =
        b"package p\n\nfunc f() {\n\tpassword := \"hunter2\"; open(password)\n\topen(\"AKIAIOSFODNN7EXAMPLE\")\n}\n";
    let files = Files::new(&[("a.go", source)]);
    let mut first = common::finding(&files, "a.go", "open(password)");
    first.message = "`password := \"hunter2\"` is left in AKIAIOSFODNN7EXAMPLE".to_owned();
    first.notes.push("token=hunter2".to_owned());
    let second = common::finding(&files, "a.go", "open(\"AKIAIOSFODNN7EXAMPLE\")");
    let outcome = outcome(vec![first, second]);
    let all = every_format(&report(&outcome, &files));
    for (name, text) in &all {
        check(text, name);
    }
    assert!(all[0].1.contains("password := \"***\"; open(password)"), "{}", all[0].1);
}

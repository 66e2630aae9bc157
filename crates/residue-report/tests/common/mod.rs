//! A small run to report on, built from source text and marks in it.
#![allow(dead_code, clippy::expect_used, reason = "each test uses a part of it")]

use std::sync::Arc;

use residue_finding::{
    AcquireSite, Confidence, Family, Finding, Join, Outcome, Position, RuleCode, RuleMeta, Severity, Site, Span,
};
use residue_report::{Place, Report, Sources, Tool};

pub(crate) static RULE: RuleMeta = RuleMeta {
    code: RuleCode::new("R201"),
    name: "resource-never-closed",
    summary: "a resource is never closed",
    family: Family::Resources,
    cwe: &[772],
    severity: Severity::Error,
    confidence: Confidence::High,
    default_on: true,
    joins: &[Join::AcquireSite],
    docs: "//! Text.\n",
};

pub(crate) const FETCH: &str = "\
package fetch

import \"net/http\"

func Fetch(client *http.Client, req *http.Request) (*Item, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errStatus
	}
	item := decode(resp)
	count(item)
	resp.Body.Close()
	return item, nil
}
";

pub(crate) const MAIN: &str = "\
package main

func main() {
	fetch.Fetch(client, request(\"https://app:hunter2@example.com/\"))
}
";

static RULES: [&RuleMeta; 1] = [&RULE];

/// Files by path.
pub(crate) struct Files(pub(crate) Vec<(&'static str, Arc<[u8]>)>);

impl Files {
    pub(crate) fn new(files: &[(&'static str, &[u8])]) -> Self {
        Self(files.iter().map(|(path, text)| (*path, Arc::from(*text))).collect())
    }

    /// The site of the first `needle` in a file.
    pub(crate) fn site(&self, path: &str, needle: &str) -> Site {
        let source = self.source(path).expect("a file of the test");
        let at =
            source.windows(needle.len()).position(|window| window == needle.as_bytes()).expect("a text of the file");
        let position = |offset: usize| {
            let before = &source[..offset];
            let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            Position { line: before.split(|b| *b == b'\n').count() as u32, column: (offset - line_start) as u32 + 1 }
        };
        Site {
            path: path.to_owned(),
            span: Span::from(at as u32..(at + needle.len()) as u32),
            start: position(at),
            end: position(at + needle.len()),
            import_path: "example.com/app/fetch".to_owned(),
            declaration: "Fetch".to_owned(),
        }
    }
}

impl Sources for Files {
    fn source(&self, path: &str) -> Option<Arc<[u8]>> {
        let file = self.0.iter().find(|(name, _)| *name == path);
        file.map(|(_, text)| text.clone())
    }
}

pub(crate) fn files() -> Files {
    Files::new(&[("fetch/fetch.go", FETCH.as_bytes()), ("main.go", MAIN.as_bytes())])
}

/// A finding at the first `needle`, with its acquire site.
pub(crate) fn finding(files: &Files, path: &str, needle: &str) -> Finding {
    let site = files.site(path, needle);
    let mut finding = Finding::new(&RULE, "the response body is never closed", site.clone());
    finding.label = "body acquired here".to_owned();
    finding.resource = "*http.Response".to_owned();
    finding.subject = needle.to_owned();
    finding.acquire = Some(AcquireSite {
        import_path: site.import_path.clone(),
        file: path.rsplit('/').next().expect("a name").to_owned(),
        line: site.start.line,
        declaration: site.declaration,
    });
    finding
}

pub(crate) fn outcome(findings: Vec<Finding>) -> Outcome {
    let mut outcome = Outcome { findings, ..Outcome::default() };
    outcome.summary.platforms = vec!["linux/amd64".to_owned(), "windows/arm64,embed".to_owned()];
    outcome.summary.packages = 2;
    outcome.summary.files = 2;
    outcome.finish();
    outcome
}

pub(crate) fn report<'a>(outcome: &'a Outcome, sources: &'a dyn Sources) -> Report<'a> {
    Report {
        outcome,
        rules: &RULES,
        tool: Tool { version: "0.1.0", std_version: "go1.27.3" },
        sources,
        place: Place { dir: "/src/app", root: "/src" },
        suppressed: true,
    }
}

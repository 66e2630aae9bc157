//! Runs the rules on the fixtures: each `tests/fixtures/*/*.go` is a package of its own, with its expectations in
//! `// want` comments. Only the embedded standard library and the models are there to import.

#![expect(clippy::disallowed_methods, reason = "fixtures are files")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use residue_check::{Models, check, rules};
use residue_finding::{Outcome, Severity};
use residue_project::fs::MemoryFileSystem;
use residue_project::{Config, load};
use residue_testkit::want::{Found, disagreements, read};
use residue_types::Program;

/// Checks a package of one file.
fn run(name: &str, source: &str) -> Outcome {
    let models = Models::embedded().expect("the embedded models are right");
    let fs = MemoryFileSystem::new([
        ("/fixture/go.mod", "module example.com/fixture\n\ngo 1.27\n".to_owned()),
        (&*format!("/fixture/{name}"), source.to_owned()),
    ]);
    let config = Config {
        tests: true,
        stubs: models.stubs(),
        cgo: Some(true),
        goos: Some("linux".to_owned()),
        goarch: Some("amd64".to_owned()),
        ..Config::new("/fixture")
    };
    let project = load(&fs, &config).expect("a fixture can be loaded");
    for package in &project.packages {
        for file in package.files.iter().filter(|_| package.analyse) {
            assert_eq!(file.errors, [], "{name} is Go");
        }
    }
    let missing: Vec<_> = project.missing.iter().flat_map(|missing| &missing.import_paths).collect();
    assert_eq!(missing, Vec::<&Arc<str>>::new(), "{name} imports only what is there");
    check(&Program::new(Arc::new(project)), &models, rules::ALL)
}

fn found(name: &str, outcome: &Outcome) -> Vec<Found> {
    let each = outcome.findings.iter().map(|finding| Found {
        path: name.to_owned(),
        line: finding.site.start.line,
        code: finding.rule.to_string(),
        text: finding.message.clone(),
    });
    each.collect()
}

#[test]
fn fixtures_agree_with_their_comments() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut wrong = String::new();
    let mut seen = std::collections::BTreeMap::<String, (usize, usize)>::new();
    for folder in sorted(&root) {
        for file in sorted(&folder) {
            let source = std::fs::read_to_string(&file).expect("a fixture is readable text");
            let short = file.strip_prefix(&root).expect("below the root").display().to_string();
            let name = file.file_name().and_then(|name| name.to_str()).expect("UTF-8");
            let wants = read(&short, &source).unwrap_or_else(|error| panic!("{error}"));
            let outcome = run(name, &source);
            for diagnostic in outcome.summary.diagnostics.iter().filter(|d| d.severity == Severity::Error) {
                let _ = writeln!(wrong, "{short}: {}", diagnostic.message);
            }
            wrong.push_str(&disagreements(&wants, &found(&short, &outcome)));
            for code in rules::ALL.iter().map(|rule| rule.code.to_string()) {
                let hits = wants.iter().filter(|want| want.code == code && !want.miss).count();
                let counts = seen.entry(code).or_default();
                counts.0 += usize::from(hits > 0);
                // A file of a rule's folder that wants nothing is a clean case.
                counts.1 += usize::from(hits == 0);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    for (code, (reported, clean)) in seen {
        assert!(reported > 0 && clean > 0, "{code} has a reported and a clean fixture");
    }
}

fn sorted(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

/// The Go code blocks below a heading of a rule's documentation, as a file that imports what it names.
fn documented(page: &str, heading: &str) -> String {
    let section = page.split("\n## ").find_map(|part| part.strip_prefix(heading)).expect("the heading is there");
    let code = section.split("```go\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it has Go code");
    let mut imports = String::new();
    for path in ["context", "net/http", "os", "time"] {
        let name = path.rsplit('/').next().unwrap_or(path);
        if code.contains(&format!("{name}.")) {
            let _ = writeln!(imports, "import \"{path}\"");
        }
    }
    format!("package p\n\n{imports}\n{code}")
}

#[test]
fn examples_in_the_documentation_are_found_and_their_fixes_are_not() {
    for rule in rules::ALL {
        let page = rule.page();
        let codes = |heading: &str| -> Vec<_> {
            let outcome = run("doc.go", &documented(&page, heading));
            outcome.findings.iter().map(|finding| finding.rule).collect()
        };
        assert_eq!(codes("Example"), [rule.code], "the example of {}", rule.code);
        assert_eq!(codes("Fix"), [], "the fix of {}", rule.code);
    }
}

#[test]
fn the_models_agree_with_the_standard_library() {
    use residue_check::model::Declared;
    use residue_syntax::{Bodies, parse};

    let std = residue_project::stdlib::embedded().expect("the archive is whole");
    let errors = Models::embedded().expect("the embedded models are right").check(|path| {
        let files = std.files(path)?;
        let parsed: Vec<_> = files.into_iter().map(|(_, text)| parse(text, Bodies::Skip).file).collect();
        Some(Declared::new(&parsed))
    });
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

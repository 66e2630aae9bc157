//! Runs the rules on the fixtures: each `tests/fixtures/*/*.go` is a package of its own, with its expectations in
//! `// want` comments. Only the embedded standard library and the models are there to import.

#![expect(clippy::disallowed_methods, reason = "fixtures are files")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use residue_check::{Models, check, rules};
use residue_finding::{Edit, Fingerprint, Outcome, Severity};
use residue_project::fs::MemoryFileSystem;
use residue_project::{Config, load};
use residue_testkit::want::{Found, disagreements, read};
use residue_types::Program;

/// Checks a package of one file. What follows a line `-- DIRECTORY/NAME --` is a file of a package that it imports,
/// which itself is not asked for.
fn run(name: &str, source: &str) -> Outcome {
    let models = Models::embedded().expect("the embedded models are right");
    let mut parts = source.split("\n-- ");
    let mut files = vec![
        ("/fixture/go.mod".to_owned(), "module example.com/fixture\n\ngo 1.27\n"),
        (format!("/fixture/{name}"), parts.next().unwrap_or_default()),
    ];
    files.extend(parts.map(|part| {
        let (path, text) = part.split_once(" --\n").expect("a line names the file");
        (format!("/fixture/{path}"), text)
    }));
    let fs = MemoryFileSystem::new(files.iter().map(|(path, text)| (&**path, (*text).to_owned())));
    let config = Config {
        patterns: vec![".".to_owned()],
        trees: false,
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
        text: format!("{}{}", finding.message, if finding.severity == Severity::Note { " (note)" } else { "" }),
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

/// A source with edits made.
fn edited(source: &str, edits: &[Edit]) -> String {
    let mut edits: Vec<_> = edits.iter().collect();
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.span));
    edits.iter().fold(source.to_owned(), |mut text, edit| {
        text.replace_range(edit.span.start as usize..edit.span.end as usize, &edit.replacement);
        text
    })
}

#[test]
fn an_edit_takes_its_finding_away_and_brings_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut made = std::collections::BTreeMap::<String, usize>::new();
    for file in sorted(&root).iter().flat_map(|folder| sorted(folder)) {
        let source = std::fs::read_to_string(&file).expect("a fixture is readable text");
        let name = file.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        let fingerprints = |outcome: &Outcome| -> Vec<_> { outcome.findings.iter().map(|f| f.fingerprint).collect() };
        let before = run(name, &source);
        for finding in &before.findings {
            let Some(help) = finding.help.as_ref().filter(|help| !help.edits.is_empty()) else { continue };
            let text = edited(&source, &help.edits);
            let after = fingerprints(&run(name, &text));
            assert_eq!(after.len() + 1, before.findings.len(), "{name}:{}: {text}", finding.site.start.line);
            let new: Vec<_> = after.iter().filter(|print| !fingerprints(&before).contains(print)).collect();
            assert_eq!(new, Vec::<&Fingerprint>::new(), "{name}:{}: {text}", finding.site.start.line);
            *made.entry(finding.rule.to_string()).or_default() += 1;
            *made.entry(name.to_owned()).or_default() += 1;
        }
    }
    // `kept` and what comes before it; not what may be read again once it is closed.
    assert_eq!(made.remove("edits.go"), Some(3));
    assert!(["R201", "R202", "X001"].iter().all(|code| made.contains_key(*code)), "{made:?}");
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
    for path in ["context", "errors", "fmt", "log", "net/http", "os", "syscall", "time"] {
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

/// Loads a module whose parts are broken, or import what is not there.
fn program(files: &[(&str, &str)]) -> Program {
    let mut all = vec![("/m/go.mod".to_owned(), "module example.com/m\n\ngo 1.27\n".to_owned())];
    all.extend(files.iter().map(|(name, text)| (format!("/m/{name}"), (*text).to_owned())));
    let project = load(&MemoryFileSystem::new(all), &Config::new("/m")).expect("the module loads");
    Program::new(Arc::new(project))
}

#[test]
fn what_is_missing_is_not_guessed_at() {
    let models = Models::embedded().expect("the embedded models are right");
    let source = "package p\n\nimport (\n\t\"os\"\n\n\t\"example.com/missing\"\n)\n\n\
                  func f() {\n\tf := missing.Open()\n\tf.Read(nil)\n\tg, _ := os.Open(\"x\")\n\
                  \tmissing.Use(g)\n\tfor {\n\t\th := missing.Open()\n\t\tdefer h.Close()\n\t}\n}\n";
    let outcome = check(&program(&[("p.go", source)]), &models, rules::ALL);
    assert_eq!(outcome.findings, []);
}

#[test]
fn broken_code_is_analysed_as_far_as_it_goes() {
    let models = Models::embedded().expect("the embedded models are right");
    let head = "package p\n\nimport (\n\t\"context\"\n\t\"net/http\"\n\t\"os\"\n)\n\n";
    let leak = "func whole() {\n\tresp, err := http.Get(\"x\")\n\tif err == nil {\n\t\tprintln(resp.Status)\n\t}\n}\n";
    for broken in [
        "func f() { for { f, err := os.Open(; defer f.Close() }",
        "func f() { ctx, cancel := context.WithCancel( }",
        "func f() { _, cancel := context.WithCancel(nil); goto nowhere; cancel() }",
        "func f() { if x := http.Get(\"u\"); { } else",
        "func f() { switch { case os.Open(): fallthrough } }",
        "func f() { os.Open(\"x\").Close.Close() }",
        "func f() { a, b, c := os.Open(\"x\"); var d, e = os.Create(\"x\"), 1 }",
        "var f, err = os.Open(\"x\")\nvar _ = func() { defer f.Close() }\ntype T struct { f = os.Open }",
    ] {
        let outcome = check(
            &program(&[("a.go", &format!("{head}{leak}")), ("b.go", &format!("{head}{broken}"))]),
            &models,
            rules::ALL,
        );
        assert!(outcome.findings.iter().any(|f| f.site.path == "a.go"), "{broken}: the whole file is analysed");
        let failed = outcome.summary.diagnostics.iter().find(|d| d.message.contains("residue failed"));
        assert_eq!(failed, None, "{broken}");
    }
}

#[test]
fn steps_speak_of_the_resource_that_is_left() {
    let said = |body: &str| -> (String, Vec<String>) {
        let head = "package p\n\nimport (\n\t\"context\"\n\t\"database/sql\"\n\t\"net\"\n\t\"os\"\n)\n\n\
                    var _ context.Context\nvar _ *sql.DB\nvar _ net.Conn\n\n";
        let outcome = run("p.go", &format!("{head}{body}"));
        let [finding] = &outcome.findings[..] else { panic!("one finding: {:?}", outcome.findings) };
        (finding.message.clone(), finding.steps.iter().map(|step| step.message.clone()).collect())
    };
    // Several are they.
    let rows = "func f(db *sql.DB) error {\n\trows, err := db.Query(\"q\")\n\tif err != nil {\n\t\treturn err\n\t}\n\
                \treturn rows.Err()\n}\n";
    let (message, steps) = said(rows);
    assert_eq!(message, "the rows are never closed");
    assert_eq!(steps.last().map(String::as_str), Some("returns here, and they are not closed"));
    // The loop never comes to an end, and each round but the last hands it on.
    let accept = "func f(ctx context.Context, l net.Listener) error {\n\tfor {\n\t\tc, err := l.Accept()\n\
                  \t\tif err != nil {\n\t\t\treturn err\n\t\t}\n\t\tif ctx.Err() != nil {\n\
                  \t\t\treturn ctx.Err()\n\t\t}\n\t\tgo serve(c)\n\t}\n}\n\n\
                  func serve(c net.Conn) {\n\tdefer c.Close()\n\tc.Write(nil)\n}\n";
    let (message, steps) = said(accept);
    assert_eq!(message, "the connection is not closed on every path");
    assert!(steps.iter().all(|step| !step.contains("used here")), "{steps:?}");
    // What the variable holds later is another file.
    let second = "func f(a, b string) error {\n\tf, err := os.Open(a)\n\tif err != nil {\n\t\treturn err\n\t}\n\
                  \tdefer func() { f.Close() }()\n\tif f, err = os.Open(b); err != nil {\n\t\treturn err\n\t}\n\
                  \t_, err = f.Stat()\n\treturn err\n}\n";
    let (message, steps) = said(second);
    assert_eq!(message, "the file is never closed");
    assert!(steps.iter().all(|step| !step.contains("used here")), "{steps:?}");
}

#[test]
fn variables_that_live_through_a_long_function_are_too_much_and_that_is_said() {
    let models = Models::embedded().expect("the embedded models are right");
    let mut source = "package p\n\nimport \"os\"\n\nfunc leaks() {\n\tg, _ := os.Open(\"x\")\n\tg.Stat()\n}\n\n\
                      func long(next func() int) (sum int) {\n\tdefer leaks()\n"
        .to_owned();
    // Each pair of a block and a variable would be more than is kept.
    let variables = 3000;
    for i in 0..variables {
        let _ = writeln!(source, "\tv{i} := next()\n\tif v{i} < 0 {{\n\t\treturn {i}\n\t}}");
    }
    for i in 0..variables {
        let _ = writeln!(source, "\tsum += v{i}");
    }
    source.push_str("\treturn sum\n}\n");
    let outcome = check(&program(&[("p.go", &source)]), &models, rules::ALL);
    let found: Vec<_> = outcome.findings.iter().map(|found| (found.rule.to_string(), found.site.start.line)).collect();
    assert_eq!(found, [("R201".to_owned(), 6)]);
    let said: Vec<_> = outcome.summary.diagnostics.iter().map(|said| &*said.message).collect();
    assert_eq!(said, ["`m.long` has more paths than are looked at: findings in it may be missing"]);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let models = Models::embedded().expect("the embedded models are right");
    let files: Vec<(String, String)> = (0..40)
        .map(|i| {
            let text = format!(
                "package p{i}\n\nimport (\n\t\"net/http\"\n\t\"os\"\n)\n\nfunc f() {{\n\thttp.Get(\"{i}\")\n\
                 \tf, _ := os.Open(\"{i}\")\n\tf.Stat()\n\thttp.Get(\"{i}\") //residue:ignore R201 -- {i}\n}}\n"
            );
            (format!("p{i}/p.go"), text)
        })
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let program = program(&files);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be made");
        pool.install(|| check(&program, &models, rules::ALL))
    };
    let one = run(1);
    assert_eq!((one.findings.len(), one.suppressed.len()), (80, 40));
    assert_eq!(one, run(4));
}

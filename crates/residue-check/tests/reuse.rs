//! What is taken from a store, and what is analysed again: counted, and compared with analysing everything.
#![allow(clippy::expect_used, reason = "a test that cannot set up fails")]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use residue_cache::{Digest, MemoryStore, Store};
use residue_check::{Models, Reuse, check, check_with, rules};
use residue_finding::{Outcome, RuleMeta};
use residue_project::fs::MemoryFileSystem;
use residue_project::{Config, Project, load};
use residue_types::Program;

/// A module: paths and texts.
#[derive(Clone)]
struct Tree(BTreeMap<String, String>);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let mut tree = Self(BTreeMap::new());
        tree.set("go.mod", "module example.com/m\n\ngo 1.25\n");
        for (path, text) in files {
            tree.set(path, text);
        }
        tree
    }

    fn set(&mut self, path: &str, text: &str) {
        self.0.insert(format!("/m/{path}"), text.to_owned());
    }

    fn replace(&mut self, path: &str, from: &str, to: &str) {
        let text = self.0.get_mut(&format!("/m/{path}")).expect("the file is there");
        assert!(text.contains(from), "{from} in {path}");
        *text = text.replacen(from, to, 1);
    }

    fn load(&self, config: &Config, models: &Models) -> Arc<Project> {
        let fs = MemoryFileSystem::new(self.0.iter().map(|(path, text)| (path.as_str(), text.clone())));
        let config = Config { stubs: models.stubs(), tests: true, ..config.clone() };
        Arc::new(load(&fs, &config).expect("the module loads"))
    }
}

fn models() -> &'static Models {
    static MODELS: LazyLock<Models> = LazyLock::new(|| Models::embedded().expect("the embedded models are right"));
    &MODELS
}

fn config() -> Config {
    Config { goos: Some("linux".to_owned()), goarch: Some("amd64".to_owned()), ..Config::new("/m") }
}

/// Runs with and without a store, compares, and gives the outcome and how many packages were analysed.
fn run_with(tree: &Tree, store: &dyn Store, config: &Config, rules: &[&RuleMeta]) -> (Outcome, u64) {
    let models = models();
    let project = tree.load(config, models);
    let roots = project.roots().count() as u64;
    let reuse = Reuse { store, base: Digest::of(b"this program"), memory: None, watch: None };
    let program = Program::undeclared(Arc::clone(&project));
    let (outcome, reused) = check_with(&program, models, rules, Some(&reuse));
    assert_eq!((reused.taken + reused.analysed, reused.failed), (roots, 0));
    let whole = check(&Program::new(project), models, rules);
    assert_eq!(outcome, whole);
    (outcome, reused.analysed)
}

fn run(tree: &Tree, store: &dyn Store) -> (Outcome, u64) {
    run_with(tree, store, &config(), rules::ALL)
}

fn store() -> MemoryStore {
    MemoryStore::new(64 << 20)
}

/// `a` is used by `b`, that by `c`; `d` uses another function of `a`; `e` is alone.
fn chain() -> Tree {
    Tree::new(&[
        (
            "a/a.go",
            "package a\n\nimport \"os\"\n\n// Shut closes.\nfunc Shut(f *os.File) {\n\tf.Close()\n}\n\n// Name names.\n\
             func Name(f *os.File) string {\n\treturn f.Name()\n}\n\nfunc helper() {}\n",
        ),
        (
            "b/b.go",
            "package b\n\nimport (\n\t\"os\"\n\n\t\"example.com/m/a\"\n)\n\nfunc Done(f *os.File) {\n\ta.Shut(f)\n}\n\n\
             func Number() int {\n\treturn 1\n}\n",
        ),
        (
            "c/c.go",
            "package c\n\nimport (\n\t\"os\"\n\n\t\"example.com/m/b\"\n)\n\nfunc Use() int {\n\tf, err := os.Open(\"x\")\n\
             \tif err != nil {\n\t\treturn 0\n\t}\n\tb.Done(f)\n\treturn b.Number()\n}\n",
        ),
        (
            "d/d.go",
            "package d\n\nimport (\n\t\"os\"\n\n\t\"example.com/m/a\"\n)\n\nfunc Use() string {\n\tf, err := os.Open(\"x\")\n\
             \tif err != nil {\n\t\treturn \"\"\n\t}\n\treturn a.Name(f)\n}\n",
        ),
        ("e/e.go", "package e\n\nfunc E() {}\n"),
    ])
}

#[test]
fn only_what_depends_on_a_change_is_analysed_again() {
    let (mut tree, store) = (chain(), store());
    let (outcome, analysed) = run(&tree, &store);
    assert_eq!((outcome.findings.len(), analysed), (1, 5), "d leaks");
    assert_eq!(run(&tree, &store).1, 0);
    tree.replace("a/a.go", "return f.Name()", "x := f.Name()\n\treturn x");
    assert_eq!(run(&tree, &store).1, 1, "a body by which nothing is known otherwise");
    tree.replace("a/a.go", "// Shut closes.", "// Shut closes it.\n// It does.");
    assert_eq!(run(&tree, &store).1, 1, "a comment");
    tree.replace("b/b.go", "return 1", "return 1 + 1");
    assert_eq!(run(&tree, &store).1, 1, "another body");
    tree.replace("a/a.go", "\tf.Close()\n", "\tprintln(f.Name())\n");
    let (outcome, analysed) = run(&tree, &store);
    assert_eq!((outcome.findings.len(), analysed), (2, 3), "a, b which asked, c for what is known of b; not d");
    tree.replace("a/a.go", "\tprintln(f.Name())\n", "\tf.Close()\n");
    assert_eq!(run(&tree, &store).1, 2, "a is as it was; what was asked of it before is forgotten");
    tree.set("e/more.go", "package e\n\nfunc F() {}\n");
    assert_eq!(run(&tree, &store).1, 1, "a file more");
    tree.0.remove("/m/e/more.go");
    assert_eq!(run(&tree, &store).1, 0, "as before");
    tree.replace("a/a.go", "func Name(f *os.File) string", "type T struct{}\n\nfunc Name(f *os.File) string");
    assert_eq!(run(&tree, &store).1, 4, "a declaration concerns all that import it, and not e");
    tree.replace("go.mod", "go 1.25", "go 1.21");
    assert_eq!(run(&tree, &store).1, 5, "the language version concerns all");
}

#[test]
fn other_rules_builds_and_models_have_results_of_their_own() {
    let (tree, store) = (chain(), store());
    run(&tree, &store);
    let one: Vec<&RuleMeta> = rules::ALL.iter().copied().filter(|rule| rule.code.as_str() == "R203").collect();
    assert_eq!(run_with(&tree, &store, &config(), &one), (run_with(&tree, &store, &config(), &one).0, 5));
    let windows = Config { goos: Some("windows".to_owned()), ..config() };
    assert_eq!(run_with(&tree, &store, &windows, rules::ALL).1, 5);
    let tags = Config { tags: vec!["x".to_owned()], ..config() };
    assert_eq!(run_with(&tree, &store, &tags, rules::ALL).1, 5);
    let some = Config { patterns: vec!["./c".to_owned()], ..config() };
    assert_eq!(run_with(&tree, &store, &some, rules::ALL).1, 1, "b isn't looked into");
    assert_eq!(run(&tree, &store).1, 0);
}

#[test]
fn who_recovers_is_settled_anew() {
    let handler = "package h\n\nimport (\n\t\"net/http\"\n\n\t\"example.com/m/p\"\n)\n\n\
                   func H(w http.ResponseWriter, r *http.Request) {\n\tp.Work()\n}\n";
    let work = "package p\n\nimport \"os\"\n\nfunc Work() {\n\tf, err := os.Open(\"x\")\n\tif err != nil {\n\t\treturn\n\t}\n\
                \tparse(f.Name())\n\tf.Close()\n}\n\nfunc parse(s string) {\n\tif s == \"\" {\n\t\tpanic(s)\n\t}\n}\n";
    let mut tree = Tree::new(&[("p/p.go", work), ("h/h.go", handler)]);
    let store = store();
    let codes = |outcome: &Outcome| outcome.findings.iter().map(|f| f.rule.to_string()).collect::<Vec<_>>();
    let (outcome, analysed) = run(&tree, &store);
    assert_eq!((codes(&outcome), analysed), (vec!["R202".to_owned()], 2));
    tree.replace("h/h.go", "func H(w http.ResponseWriter, r *http.Request)", "var _ http.Handler\n\nfunc H()");
    let (outcome, analysed) = run(&tree, &store);
    assert_eq!((codes(&outcome), analysed), (Vec::new(), 1), "p is taken as it was, and means something else now");
}

#[test]
fn whether_a_failure_ends_the_process_is_settled_anew() {
    let main = "package main\n\nimport (\n\t\"log\"\n\n\t\"example.com/m/internal/p\"\n)\n\n\
                func main() {\n\tif err := p.Work(); err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n";
    let work = "package p\n\nimport (\n\t\"errors\"\n\t\"os\"\n)\n\nfunc Work() error {\n\tf, err := os.Open(\"x\")\n\
                \tif err != nil {\n\t\treturn err\n\t}\n\tif f.Name() == \"\" {\n\t\treturn errors.New(\"none\")\n\t}\n\
                \treturn f.Close()\n}\n";
    let mut tree = Tree::new(&[("internal/p/p.go", work), ("main.go", main)]);
    let store = store();
    let (outcome, analysed) = run(&tree, &store);
    assert_eq!((outcome.findings.len(), analysed), (0, 2));
    tree.replace("main.go", "log.Fatal(err)", "log.Print(err)");
    tree.replace("main.go", "\t}\n}\n", "\t}\n\tselect {}\n}\n");
    let (outcome, analysed) = run(&tree, &store);
    assert_eq!((outcome.findings.len(), analysed), (1, 1), "p is taken as it was, and leaks now");
}

#[test]
fn suppressions_are_read_anew_and_tests_are_variants() {
    let mut tree = chain();
    tree.set("a/a_test.go", "package a\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { Shut(nil) }\n");
    tree.set(
        "a/x_test.go",
        "package a_test\n\nimport (\n\t\"testing\"\n\n\t\"example.com/m/a\"\n\t\"example.com/m/b\"\n)\n\n\
         func TestX(t *testing.T) { a.Shut(nil); b.Done(nil) }\n",
    );
    let store = store();
    assert_eq!(run(&tree, &store).1, 6);
    tree.replace("d/d.go", "os.Open(\"x\")", "os.Open(\"x\") //residue:ignore R201 -- so");
    let (outcome, analysed) = run(&tree, &store);
    assert_eq!((outcome.findings.len(), outcome.suppressed.len(), analysed), (0, 1, 1));
    tree.replace("a/a_test.go", "Shut(nil)", "Shut(nil) /* again */");
    assert_eq!(run(&tree, &store).1, 1, "of a test only its package depends");
}

/// A store that damages what it is given.
struct Damaging<'a>(&'a MemoryStore, usize);

impl Store for Damaging<'_> {
    fn get(&self, key: Digest) -> Option<Vec<u8>> {
        let mut value = self.0.get(key)?;
        let at = self.1 % value.len();
        value[at] ^= 0x55;
        Some(value)
    }

    fn put(&self, _: Digest, _: &[u8]) {}
}

#[test]
fn what_is_damaged_is_an_error_to_nobody() {
    let (tree, store) = (chain(), store());
    let models = models();
    run(&tree, &store);
    for at in 0..60 {
        // A store checks what it gives; were one not to, there would be other findings, but no panic.
        let program = Program::undeclared(tree.load(&config(), models));
        let reuse =
            Reuse { store: &Damaging(&store, at * 47), base: Digest::of(b"this program"), memory: None, watch: None };
        check_with(&program, models, rules::ALL, Some(&reuse));
    }
}

/// The same numbers each time (Marsaglia, Xorshift RNGs, 2003).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

/// Bodies of `func F(f *os.File) (g *os.File, err error)`; `NEXT` calls such a function of another package.
const BODIES: &[&str] = &[
    "return nil, f.Close()",
    "return f, nil",
    "return os.Open(\"x\")",
    "NEXT(f)\n\treturn nil, nil",
    "return NEXT(f)",
    "defer f.Close()\n\tg, err = NEXT(nil)\n\treturn g, err",
    "g, err = os.Open(\"y\")\n\tif err != nil {\n\t\treturn nil, err\n\t}\n\tNEXT(g)\n\treturn nil, nil",
    "g, err = os.Open(\"y\")\n\tif err != nil {\n\t\treturn nil, err\n\t}\n\tNEXT(nil)\n\treturn nil, g.Close()",
    "defer func() {\n\t\tif r := recover(); r != nil {\n\t\t\terr = nil\n\t\t}\n\t}()\n\treturn NEXT(f)",
    "if f == nil {\n\t\tpanic(\"no file\")\n\t}\n\treturn nil, nil",
    "go NEXT(f)\n\treturn nil, nil",
    "kept = append(kept, f)\n\treturn nil, nil",
    "os.Exit(1)\n\treturn nil, nil",
    "g, _ = NEXT(f) //residue:ignore R201 -- so\n\tg.Close()\n\tg.Close()\n\treturn nil, nil",
];

const PACKAGES: usize = 7;

/// Package `p3` with three functions; it imports packages of lower numbers only.
fn package(number: usize, numbers: &mut Numbers) -> String {
    let mut text = format!("package p{number}\n\nimport (\n\t\"os\"\n");
    let used = if number == 0 { None } else { Some(numbers.next(number)) };
    if let Some(used) = used {
        text.push_str(&format!("\n\t\"example.com/m/p{used}\"\n"));
    }
    text.push_str(")\n\nvar kept []*os.File\n");
    if let Some(used) = used {
        text.push_str(&format!("\nvar _ = p{used}.F0\n"));
    }
    for function in 0..3 {
        let next = match used {
            Some(used) if numbers.next(3) > 0 => format!("p{used}.F{}", numbers.next(3)),
            _ => format!("F{}", numbers.next(3)),
        };
        let body = BODIES[numbers.next(BODIES.len())].replace("NEXT", &next);
        text.push_str(&format!("\nfunc F{function}(f *os.File) (g *os.File, err error) {{\n\t{body}\n}}\n"));
    }
    text
}

#[test]
fn any_series_of_edits_gives_what_a_whole_analysis_gives() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut taken, mut found) = (0, 0);
    for _ in 0..3 {
        let mut tree = Tree::new(&[]);
        for number in 0..PACKAGES {
            tree.set(&format!("p{number}/p.go"), &package(number, &mut numbers));
        }
        let store = store();
        for step in 0..20 {
            let number = numbers.next(PACKAGES);
            let path = format!("p{number}/p.go");
            match numbers.next(7) {
                0 => tree.replace(&path, "import (", "// A comment.\nimport ("),
                1 => tree.replace(&path, "var kept", &format!("type T{step} int\n\nvar kept")),
                2 => tree.set(&format!("p{number}/more.go"), &format!("package p{number}\n\nfunc more() {{}}\n")),
                3 => _ = tree.0.remove(&format!("/m/p{number}/more.go")),
                // Text that is no Go.
                4 if step % 5 == 0 => tree.replace(&path, "func F1(", "func F1(("),
                _ => tree.set(&path, &package(number, &mut numbers)),
            }
            let (outcome, analysed) = run(&tree, &store);
            taken += PACKAGES as u64 - analysed;
            found += outcome.findings.len();
        }
    }
    assert!(taken > 200 && found > 100, "{taken} packages taken, {found} findings: the series tells something");
}

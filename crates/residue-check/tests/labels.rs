//! Scores the rules on test data of other tools, which is read where it lies and not part of this repository:
//!
//! ```sh
//! RESIDUE_X_TOOLS=$(go mod download -json golang.org/x/tools@v0.52.0 | jq -r .Dir) \
//!     cargo test -p residue-check --test labels -- --ignored
//! ```

#![expect(clippy::disallowed_methods, reason = "the test data is files, named by the environment")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use residue_check::{Models, check, rules};
use residue_project::fs::MemoryFileSystem;
use residue_project::{Config, load};
use residue_types::Program;

/// The lines of a file that carry a label, and those on which a place or step of a finding lies.
fn lines(source: &str, rule: &str) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let models = Models::embedded().expect("the embedded models are right");
    let fs = MemoryFileSystem::new([("/m/go.mod", "module example.com/m\n\ngo 1.27\n"), ("/m/a.go", source)]);
    let project = load(&fs, &Config::new("/m")).expect("the file loads");
    let outcome = check(&Program::new(Arc::new(project)), &models, rules::ALL);
    let findings = outcome.findings.iter().filter(|finding| finding.rule.as_str() == rule);
    let found = findings.flat_map(|finding| {
        [finding.site.start.line].into_iter().chain(finding.steps.iter().map(|step| step.site.start.line))
    });
    let labelled = source.lines().zip(1..).filter(|(text, _)| text.contains("// want ")).map(|(_, line)| line);
    (labelled.collect(), found.collect())
}

#[test]
#[ignore = "needs the source of golang.org/x/tools in RESIDUE_X_TOOLS"]
fn all_labels_of_lostcancel_are_found_and_none_invented() {
    let tools = PathBuf::from(std::env::var_os("RESIDUE_X_TOOLS").expect("RESIDUE_X_TOOLS names a directory"));
    let root = tools.join("go/analysis/passes/lostcancel/testdata/src");
    let mut labels = 0;
    for file in ["a/a.go", "b/b.go", "typeparams/typeparams.go"] {
        let source = std::fs::read_to_string(root.join(file)).expect("the test data is readable");
        let (labelled, found) = lines(&source, "R209");
        assert_eq!(labelled, found, "{file}: labelled lines, and lines found");
        labels += labelled.len();
    }
    assert_eq!(labels, 27);
}

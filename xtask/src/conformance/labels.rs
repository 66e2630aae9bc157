//! Scores rules on the test data of other tools, which is read where it lies and not part of this repository.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use residue_check::{Models, check, rules};
use residue_project::fs::MemoryFileSystem;
use residue_project::{Config, load};
use residue_types::Program;

use super::Go;

/// The module with the test data; `conformance/types` requires it, so its version is pinned there.
const TOOLS: &str = "golang.org/x/tools";

/// Files of go vet's `lostcancel`, whose labels R209 is to find.
const LOSTCANCEL: &[&str] = &["a/a.go", "b/b.go", "typeparams/typeparams.go"];

/// Arguments of `conformance labels`.
#[derive(clap::Args, Debug)]
pub(crate) struct LabelsArgs {
    /// Go command, which knows where the module cache is [default: `$RESIDUE_GO`, or go]
    #[arg(long)]
    go: Option<PathBuf>,
}

/// Runs R209 over each file and says whether its lines are those that carry a label.
pub(super) fn run(args: &LabelsArgs) -> Result<bool, Box<dyn Error>> {
    let go = Go::new(args.go.as_deref());
    let module = super::workspace().join("conformance/types");
    let module = module.to_str().ok_or("the path of the workspace is not UTF-8")?;
    let dir = go.output(&["-C", module, "list", "-m", "-f", "{{.Dir}}", TOOLS])?;
    if dir.is_empty() {
        return Err(format!("{TOOLS} is not in the module cache: `go -C {module} mod download`").into());
    }
    let mut out = std::io::stdout();
    writeln!(out, "R209 on the labels of lostcancel in {dir}")?;
    let (mut labels, mut wrong) = (0, 0);
    for file in LOSTCANCEL {
        let path = PathBuf::from(&dir).join("go/analysis/passes/lostcancel/testdata/src").join(file);
        let source = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let labelled = labelled(&source);
        let found = found(&source, "R209")?;
        for line in labelled.difference(&found) {
            writeln!(out, "  {file}:{line}: labelled, not found")?;
        }
        for line in found.difference(&labelled) {
            writeln!(out, "  {file}:{line}: found, not labelled")?;
        }
        labels += labelled.len();
        wrong += labelled.symmetric_difference(&found).count();
    }
    writeln!(out, "  {labels} labels, {wrong} differ")?;
    Ok(labels > 0 && wrong == 0)
}

fn labelled(source: &str) -> BTreeSet<u32> {
    (1..).zip(source.lines()).filter(|(_, text)| text.contains("// want ")).map(|(line, _)| line).collect()
}

/// The lines on which a place or a step of a finding lies.
fn found(source: &str, rule: &str) -> Result<BTreeSet<u32>, Box<dyn Error>> {
    let models = Models::embedded().map_err(|_| "the embedded models are malformed")?;
    let fs = MemoryFileSystem::new([("/m/go.mod", "module example.com/m\n\ngo 1.27\n"), ("/m/a.go", source)]);
    let project = load(&fs, &Config::new("/m"))?;
    let outcome = check(&Program::new(Arc::new(project)), &models, rules::ALL);
    let findings = outcome.findings.iter().filter(|finding| finding.rule.as_str() == rule);
    let sites = findings.flat_map(|f| std::iter::once(&f.site).chain(f.steps.iter().map(|step| &step.site)));
    Ok(sites.map(|site| site.start.line).collect())
}

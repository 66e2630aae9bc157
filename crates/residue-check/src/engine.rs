//! Runs the rules over all root packages, in parallel and with the same result whatever the number of threads.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::prelude::*;
use residue_finding::{Diagnostic, Finding, Outcome, RuleCode, RuleMeta, Severity, Suppressed, SuppressedBy};
use residue_project::{Package, PackageId};
use residue_types::Program;

use crate::context::{FileCx, PackageCx};
use crate::model::Models;
use crate::rules::{self, Rule};
use crate::suppress::{self, Directive};

/// Checks the root packages of a program, on the current thread pool.
///
/// The outcome is finished: sorted, without repetitions, with fingerprints. Its summary counts packages and files and
/// names the packages on which a rule failed; what the project says about itself is the caller's to add.
pub fn check(program: &Program, models: &Models, rules: &[&RuleMeta]) -> Outcome {
    let on: BTreeSet<RuleCode> = rules.iter().map(|rule| rule.code).collect();
    let rules = rules::RULES.iter().copied().filter(|rule| on.contains(&rule.meta().code)).collect();
    let run = Run { program, models, rules, on };
    run.all()
}

/// What one package gives.
#[derive(Default)]
struct Part {
    findings: Vec<Finding>,
    suppressed: Vec<Suppressed>,
    diagnostic: Option<Diagnostic>,
}

/// What all packages share.
struct Run<'a> {
    program: &'a Program,
    models: &'a Models,
    /// The rules that look at code.
    rules: Vec<&'a dyn Rule>,
    /// All that run.
    on: BTreeSet<RuleCode>,
}

impl Run<'_> {
    fn all(&self) -> Outcome {
        let roots: Vec<(PackageId, &Package)> = self.program.project().roots().collect();
        let parts: Vec<Part> = roots.par_iter().with_max_len(1).map(|&(id, package)| self.part(id, package)).collect();

        let mut outcome = Outcome::default();
        outcome.summary.packages = roots.len();
        let mut files = BTreeSet::new();
        for &(_, package) in &roots {
            files.extend(package.files.iter().map(|file| &*file.path));
        }
        outcome.summary.files = files.len();
        for part in parts {
            outcome.findings.extend(part.findings);
            outcome.suppressed.extend(part.suppressed);
            outcome.summary.diagnostics.extend(part.diagnostic);
        }
        outcome.finish();
        outcome
    }

    /// Checks a package. One on which a rule panics is reported as not analysed; the others are.
    fn part(&self, id: PackageId, package: &Package) -> Part {
        // Nothing but the result outlives the closure.
        let result = catch_unwind(AssertUnwindSafe(|| self.check(id, package)));
        result.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let what = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown cause");
            let diagnostic = Diagnostic {
                severity: Severity::Error,
                path: Some(package.dir.to_string()),
                position: None,
                message: format!("package {package} was not analysed: residue failed on it ({what})"),
                hint: Some("this is a bug of residue; please report it with the package".to_owned()),
            };
            Part { diagnostic: Some(diagnostic), ..Part::default() }
        })
    }

    fn check(&self, id: PackageId, package: &Package) -> Part {
        let bodies = self.program.bodies(id);
        let cx = PackageCx::new(package, &bodies, self.models);
        let mut part = Part::default();
        for file in cx.files() {
            let mut found = Vec::new();
            for rule in &self.rules {
                rule.check(file, &mut found);
            }
            self.hold_back(file, found, &mut part);
        }
        part
    }

    fn runs(&self, rule: RuleCode) -> bool {
        self.on.contains(&rule)
    }

    /// Sorts a file's findings into reported and suppressed ones, and looks at the suppressions themselves.
    fn hold_back(&self, cx: FileCx<'_>, found: Vec<Finding>, part: &mut Part) {
        let is_rule = |code| rules::ALL.iter().any(|rule| rule.code == code);
        let mut directives: Vec<Directive> = suppress::directives(cx.tree(), is_rule);
        let generated = cx.source().generated;
        for finding in found {
            let by = match suppress::applies(&mut directives, &finding) {
                Some(directive) => {
                    let (line, until) = (directive.line, directive.until);
                    SuppressedBy::Comment { line, until, why: directive.why.clone() }
                }
                None if generated => SuppressedBy::Generated,
                None => {
                    part.findings.push(finding);
                    continue;
                }
            };
            part.suppressed.push(Suppressed { finding, by });
        }
        if generated {
            return;
        }
        let mut about = Vec::new();
        for directive in &directives {
            rules::malformed(cx, directive, &mut about);
            rules::unused(cx, directive, |code| self.runs(code), &mut about);
        }
        about.retain(|finding| self.runs(finding.rule));
        part.findings.extend(about);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use residue_finding::{Confidence, Family};
    use residue_project::fs::MemoryFileSystem;
    use residue_project::{Config, load};

    use super::*;

    static META: RuleMeta = RuleMeta {
        code: RuleCode::new("R999"),
        name: "test",
        summary: "test",
        family: Family::Resources,
        cwe: &[],
        severity: Severity::Warning,
        confidence: Confidence::High,
        default_on: true,
        joins: &[],
        docs: "",
    };

    /// Fails on package `bad` and has a finding in each other one.
    struct Fails;

    impl Rule for Fails {
        fn meta(&self) -> &'static RuleMeta {
            &META
        }

        fn check(&self, cx: FileCx<'_>, out: &mut Vec<Finding>) {
            assert_ne!(&*cx.pkg.package.name, "bad", "a mistake in a rule");
            out.push(Finding::new(&META, "found", cx.site(residue_syntax::ast::Span::new(0, 7))));
        }
    }

    #[test]
    fn a_rule_that_fails_on_a_package_leaves_the_others() {
        let fs = MemoryFileSystem::new([
            ("/m/go.mod", "module example.com/m\n\ngo 1.27\n"),
            ("/m/bad/a.go", "package bad\n"),
            ("/m/good/a.go", "package good\n"),
        ]);
        let project = load(&fs, &Config::new("/m")).expect("the module loads");
        let program = Program::new(Arc::new(project));
        let models = Models::new();
        let run = Run { program: &program, models: &models, rules: vec![&Fails], on: BTreeSet::from([META.code]) };
        let outcome = run.all();
        assert_eq!(outcome.findings.len(), 1);
        assert_eq!(outcome.findings[0].site.import_path, "example.com/m/good");
        assert!(!outcome.summary.complete());
        let [diagnostic] = &outcome.summary.diagnostics[..] else { panic!("one package failed") };
        assert_eq!(diagnostic.path.as_deref(), Some("bad"));
        assert!(diagnostic.message.contains("a mistake in a rule"), "{}", diagnostic.message);
    }
}

//! Runs the rules over all root packages, in parallel and with the same result whatever the number of threads.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::prelude::*;
use residue_finding::{
    Diagnostic, Finding, Missing, Outcome, Position, RuleCode, RuleMeta, Severity, Suppressed, SuppressedBy,
};
use residue_project::{Package, PackageId, Project};
use residue_types::Program;

use crate::context::{FileCx, PackageCx};
use crate::model::Models;
use crate::rules;
use crate::suppress::{self, Directive};

/// Which rules a run uses.
#[derive(Clone, Debug)]
pub struct Settings {
    rules: BTreeSet<RuleCode>,
}

impl Default for Settings {
    /// The rules that are on by default.
    fn default() -> Self {
        Self::only(rules::ALL.iter().filter(|rule| rule.default_on).map(|rule| rule.code))
    }
}

impl Settings {
    /// These rules only.
    pub fn only(rules: impl IntoIterator<Item = RuleCode>) -> Self {
        Self { rules: rules.into_iter().collect() }
    }

    /// Adds or removes a rule.
    pub fn set(&mut self, rule: RuleCode, on: bool) {
        if on {
            self.rules.insert(rule);
        } else {
            self.rules.remove(&rule);
        }
    }

    /// Whether a rule runs.
    pub fn runs(&self, rule: RuleCode) -> bool {
        self.rules.contains(&rule)
    }
}

/// All rules, sorted by code.
pub fn all_rules() -> &'static [&'static RuleMeta] {
    rules::ALL
}

/// Checks the root packages of a program, on the current thread pool.
///
/// The outcome is finished: sorted, without repetitions, with fingerprints. Its summary holds what the project says
/// about itself. A package on which a rule panics is reported as not analysed; the others are.
pub fn check(program: &Program, models: &Models, settings: &Settings) -> Outcome {
    let project = program.project();
    let roots: Vec<(PackageId, &Package)> = project.roots().collect();
    let parts: Vec<Part> =
        roots.par_iter().with_max_len(1).map(|&(id, package)| part(program, id, package, models, settings)).collect();

    let mut outcome = Outcome::default();
    outcome.summary.packages = roots.len();
    let mut files = BTreeSet::new();
    for &(_, package) in &roots {
        files.extend(package.files.iter().map(|file| &*file.path));
        syntax_errors(package, &mut outcome.summary.diagnostics);
    }
    outcome.summary.files = files.len();
    about_project(project, &mut outcome);
    for part in parts {
        outcome.findings.extend(part.findings);
        outcome.suppressed.extend(part.suppressed);
        outcome.summary.diagnostics.extend(part.diagnostic);
    }
    outcome.finish();
    outcome
}

/// What one package gives.
#[derive(Default)]
struct Part {
    findings: Vec<Finding>,
    suppressed: Vec<Suppressed>,
    diagnostic: Option<Diagnostic>,
}

fn part(program: &Program, id: PackageId, package: &Package, models: &Models, settings: &Settings) -> Part {
    // Nothing outlives the closure but its result.
    let result = catch_unwind(AssertUnwindSafe(|| check_package(program, id, package, models, settings)));
    result.unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown cause");
        let diagnostic = Diagnostic {
            severity: Severity::Error,
            path: Some(package.dir.to_string()),
            position: None,
            message: format!("package {package} was not analysed, residue failed on it: {what}"),
            hint: Some("this is a bug of residue; please report it with the package".to_owned()),
        };
        Part { diagnostic: Some(diagnostic), ..Part::default() }
    })
}

fn check_package(program: &Program, id: PackageId, package: &Package, models: &Models, settings: &Settings) -> Part {
    let bodies = program.bodies(id);
    let cx = PackageCx::new(package, &bodies, models);
    let mut part = Part::default();
    for file in cx.files() {
        let mut found = Vec::new();
        for rule in rules::RULES.iter().filter(|rule| settings.runs(rule.meta().code)) {
            rule.check(file, &mut found);
        }
        hold_back(file, found, settings, &mut part);
    }
    part
}

/// Sorts a file's findings into reported and suppressed ones, and looks at the suppressions themselves.
fn hold_back(cx: FileCx<'_>, found: Vec<Finding>, settings: &Settings, part: &mut Part) {
    let is_rule = |code| rules::ALL.iter().any(|rule| rule.code == code);
    let mut directives: Vec<Directive> = suppress::directives(cx.tree(), is_rule);
    let generated = cx.source().generated;
    for finding in found {
        let by = match suppress::applies(&mut directives, &finding) {
            Some(directive) => SuppressedBy::Comment { line: directive.line, why: directive.why.clone() },
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
        rules::unused(cx, directive, |code| settings.runs(code), &mut about);
    }
    about.retain(|finding| settings.runs(finding.rule));
    part.findings.extend(about);
}

fn syntax_errors(package: &Package, out: &mut Vec<Diagnostic>) {
    for file in &package.files {
        let Some(error) = file.errors.first() else { continue };
        let at = file.file.line_col(error.pos);
        let more = file.errors.len() - 1;
        out.push(Diagnostic {
            severity: Severity::Error,
            path: Some(file.path.to_string()),
            position: Some(Position { line: at.line, column: at.column }),
            message: match more {
                0 => format!("syntax error: {}", error.message),
                _ => format!("syntax error: {} (and {more} more)", error.message),
            },
            hint: Some("what could be read of the file is analysed".to_owned()),
        });
    }
}

/// What a project says about itself.
fn about_project(project: &Project, outcome: &mut Outcome) {
    for diagnostic in &project.diagnostics {
        let place = diagnostic.place.as_ref();
        outcome.summary.diagnostics.push(Diagnostic {
            severity: match diagnostic.severity {
                residue_project::Severity::Note => Severity::Note,
                residue_project::Severity::Warning => Severity::Warning,
                residue_project::Severity::Error => Severity::Error,
            },
            path: place.map(|place| place.path.to_string()),
            position: place
                .filter(|place| place.line > 0)
                .map(|place| Position { line: place.line, column: place.column.max(1) }),
            message: diagnostic.message.clone(),
            hint: diagnostic.hint.clone(),
        });
    }
    for missing in &project.missing {
        let packages: Vec<String> = missing.import_paths.iter().map(ToString::to_string).collect();
        let (path, version) = match &missing.module {
            Some((path, version)) => (path.to_string(), Some(version.to_string()).filter(|v| !v.is_empty())),
            None => (packages.first().cloned().unwrap_or_default(), None),
        };
        outcome.summary.missing.push(Missing {
            path,
            version,
            packages,
            importers: missing.importers,
            hint: Some(missing.hint.clone()).filter(|hint| !hint.is_empty()),
        });
    }
}

//! Runs the rules over all root packages, in parallel and with the same result whatever the number of threads.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rayon::prelude::*;
use residue_finding::{Diagnostic, Finding, Outcome, Position, RuleCode, RuleMeta, Severity, Suppressed, SuppressedBy};
use residue_project::{Package, PackageId, Project};
use residue_types::{ObjId, Objects, PkgId, Program};
use rustc_hash::FxHashMap;

use crate::context::PackageCx;
use crate::demand::{self, Opened};
use crate::model::Models;
use crate::reach::{self, Calls, Shields};
use crate::rules::r202::Pending;
use crate::rules::{self, Rule};
use crate::source::SourceCx;
use crate::state::dispatch::Hierarchy;
use crate::state::summary::Summaries;
use crate::state::{self, Executed};
use crate::suppress::{self, Directive};

/// Checks the root packages of a program, on the current thread pool.
///
/// The outcome is finished: sorted, without repetitions, with fingerprints. Its summary counts packages and files and
/// names the packages on which a rule failed; what the project says about itself is the caller's to add.
pub fn check(program: &Program, models: &Models, rules: &[&RuleMeta]) -> Outcome {
    let on: BTreeSet<RuleCode> = rules.iter().map(|rule| rule.code).collect();
    let rules = rules::RULES.iter().copied().filter(|rule| on.contains(&rule.meta().code)).collect();
    let summaries = Summaries::new(program.project().packages.len());
    // On the pool's threads, whose stacks are made for it, also where there is but one package.
    rayon::scope(|_| {
        let opened = demand::open(program, models);
        let program = opened.as_ref().map_or(program, |opened| &opened.program);
        let hierarchy = Hierarchy::new(program);
        Run { program, models, rules, on, summaries, opened: opened.as_ref(), hierarchy }.all()
    })
}

/// What looking at one package gives, before it is known what is above its functions.
#[derive(Default)]
struct Look {
    /// By file, what was found there, and what is one only if something above recovers.
    files: Vec<(Vec<Finding>, Vec<Pending>)>,
    calls: Calls,
    bodies: usize,
    executed: usize,
    given_up: usize,
    diagnostics: Vec<Diagnostic>,
}

/// What one package gives.
#[derive(Default)]
struct Part {
    findings: Vec<Finding>,
    suppressed: Vec<Suppressed>,
}

/// What all packages share.
struct Run<'a> {
    program: &'a Program,
    models: &'a Models,
    /// The rules that look at code.
    rules: Vec<&'a dyn Rule>,
    /// All that run.
    on: BTreeSet<RuleCode>,
    /// What is known of the functions of packages that were looked at.
    summaries: Summaries,
    /// What is looked into besides.
    opened: Option<&'a Opened>,
    hierarchy: Hierarchy,
}

/// The packages that are wanted, by how many others they have to wait for, as indices among those wanted.
fn levels(project: &Project, wanted: &[PackageId]) -> Vec<Vec<usize>> {
    // Importers of a package see it without its tests, yet wait for the variant that is analysed.
    let mut analysed: FxHashMap<&str, usize> = FxHashMap::default();
    for (id, package) in project.roots() {
        analysed.entry(&*package.import_path).or_insert(id.index());
    }
    let stands_for = |i: usize| {
        let package = &project.packages[i];
        if package.analyse { i } else { analysed.get(&*package.import_path).copied().unwrap_or(i) }
    };
    let imports = |i: usize| -> Vec<usize> {
        project.packages[i].imports.values().flatten().map(|p| stands_for(p.index())).filter(|&p| p != i).collect()
    };
    let count = project.packages.len();
    let mut depth: Vec<Option<usize>> = vec![None; count];
    let mut open = vec![false; count];
    for start in 0..count {
        // A walk in depth with a stack of its own. Tests can make imports go round; such an edge is not waited for.
        let mut stack = vec![(start, imports(start), 0)];
        if depth[start].is_some() {
            continue;
        }
        open[start] = true;
        while let Some((at, left, deepest)) = stack.last_mut() {
            let at = *at;
            if let Some(next) = left.pop() {
                match depth[next] {
                    Some(known) => *deepest = (*deepest).max(known + 1),
                    None if open[next] => {}
                    None => {
                        open[next] = true;
                        stack.push((next, imports(next), 0));
                    }
                }
            } else {
                let own = *deepest;
                depth[at] = Some(own);
                open[at] = false;
                stack.pop();
                if let Some((_, _, deepest)) = stack.last_mut() {
                    *deepest = (*deepest).max(own + 1);
                }
            }
        }
    }
    let mut levels: Vec<Vec<usize>> = Vec::new();
    for (i, id) in wanted.iter().enumerate() {
        let depth = depth[id.index()].unwrap_or(0);
        if levels.len() <= depth {
            levels.resize_with(depth + 1, Vec::new);
        }
        levels[depth].push(i);
    }
    levels
}

/// What is said of a function with more paths than are looked at.
fn given_up(executed: &Executed<'_>) -> Diagnostic {
    let cx = executed.exec.cx;
    let name = rules::path::function_name(cx, executed.function);
    let what = executed.exec.events.gave_up.unwrap_or("paths");
    let start = cx.function(executed.function).map_or(0, |function| cx.tree().block(function.body).span.start);
    let at = cx.tree().line_col(start);
    Diagnostic {
        severity: Severity::Note,
        path: Some(cx.source().path.to_string()),
        position: Some(Position { line: at.line, column: at.column }),
        message: format!("{name} has more {what} than are looked at: findings in it may be missing"),
        hint: None,
    }
}

/// What is said where not all functions of imported packages are looked into that could matter.
fn left(opened: &Opened) -> Option<Diagnostic> {
    (opened.left > 0).then(|| Diagnostic {
        severity: Severity::Note,
        path: None,
        position: None,
        message: format!("{} functions of imported packages are not looked into: there are too many", opened.left),
        hint: Some("what they do with what they are given counts as unknown".to_owned()),
    })
}

impl Run<'_> {
    fn all(&self) -> Outcome {
        let project = self.program.project();
        let roots: Vec<(PackageId, &Package)> = project.roots().collect();
        let mut outcome = Outcome::default();
        // Callees before callers: what is learnt of a package is known to those that import it.
        let asked = self.opened.into_iter().flat_map(|opened| &opened.packages).map(|&id| (id, &project[id]));
        let all: Vec<(PackageId, &Package)> = roots.iter().copied().chain(asked).collect();
        let mut looks: Vec<Look> = all.iter().map(|_| Look::default()).collect();
        for level in levels(project, &all.iter().map(|(id, _)| *id).collect::<Vec<_>>()) {
            let done: Vec<(usize, Look)> =
                level.into_par_iter().with_max_len(1).map(|i| (i, self.guarded(all[i].0, all[i].1))).collect();
            for (i, look) in done {
                looks[i] = look;
            }
        }
        for look in looks.drain(roots.len()..) {
            outcome.summary.opened += look.bodies;
            outcome.summary.diagnostics.extend(look.diagnostics);
        }
        outcome.summary.diagnostics.extend(self.opened.and_then(left));
        let shields = Shields::new(&looks.iter().map(|look| &look.calls).collect::<Vec<_>>());
        for look in &mut looks {
            outcome.summary.bodies += look.bodies;
            outcome.summary.executed += look.executed;
            outcome.summary.given_up += look.given_up;
            outcome.summary.diagnostics.append(&mut look.diagnostics);
        }
        let parts: Vec<Part> =
            roots.iter().zip(looks).map(|(&(_, package), look)| self.settle(package, look, &shields)).collect();

        outcome.summary.packages = roots.len();
        let mut files = BTreeSet::new();
        for &(_, package) in &roots {
            files.extend(package.files.iter().map(|file| &*file.path));
        }
        outcome.summary.files = files.len();
        for part in parts {
            outcome.findings.extend(part.findings);
            outcome.suppressed.extend(part.suppressed);
        }
        outcome.finish();
        outcome
    }

    /// Looks at a package. One on which a rule panics is reported as not analysed; the others are.
    fn guarded(&self, id: PackageId, package: &Package) -> Look {
        // Nothing but the result outlives the closure.
        let result = catch_unwind(AssertUnwindSafe(|| self.look(id, package)));
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
            Look { diagnostics: vec![diagnostic], ..Look::default() }
        })
    }

    fn look(&self, id: PackageId, package: &Package) -> Look {
        let bodies = self.program.bodies(id);
        let cx = PackageCx::new(package, &bodies, self.models, &self.summaries, &self.hierarchy);
        let analysis = state::analyse(&cx);
        self.learn(id, &cx);
        if !package.analyse {
            // It is there to be known to its callers.
            return Look { bodies: analysis.bodies, ..Look::default() };
        }
        let mut look = Look {
            calls: reach::calls(&cx, &analysis),
            bodies: analysis.bodies,
            executed: analysis.executed.len(),
            given_up: analysis.executed.iter().filter(|executed| executed.exec.events.gave_up.is_some()).count(),
            ..Look::default()
        };
        look.diagnostics
            .extend(analysis.executed.iter().filter(|executed| executed.exec.events.gave_up.is_some()).map(given_up));
        for file in cx.files() {
            let mut found = Vec::new();
            for rule in &self.rules {
                rule.check(file, &analysis, &mut found);
            }
            let pending =
                if self.runs(rules::r202::META.code) { rules::r202::pending(file, &analysis) } else { Vec::new() };
            look.files.push((found, pending));
        }
        look
    }

    /// Decides what is pending, and sorts out suppressions.
    fn settle(&self, package: &Package, look: Look, shields: &Shields) -> Part {
        let mut part = Part::default();
        for (index, (mut found, pending)) in look.files.into_iter().enumerate() {
            found.extend(pending.into_iter().filter_map(|p| p.settle(|function| shields.above(function).cloned())));
            self.hold_back(SourceCx { package, index }, found, &mut part);
        }
        part
    }

    /// Files what is known of a package's functions, under all names that the package has: importers see it without the
    /// files of its tests.
    fn learn(&self, id: PackageId, cx: &PackageCx<'_>) {
        let learnt = cx.learnt();
        let project = self.program.project();
        let own = &project.packages[id.index()];
        let others = project
            .packages()
            .filter(|(other, package)| *other != id && !package.analyse && package.import_path == own.import_path);
        let mut by_name = None;
        for (other, _) in others {
            let other = PkgId(other.0);
            let by_name = by_name.get_or_insert_with(|| cx.by_name());
            let Some(declared) = self.program.declarations(other) else { continue };
            let same = declared.objects().enumerate().filter_map(|(index, _)| {
                let there = ObjId { pkg: other, index: index as u32 };
                let here = by_name.get(&self.program.func_name(there))?;
                Some((there, Arc::clone(learnt.get(here)?)))
            });
            self.summaries.set(other, same.collect(), own.analyse);
        }
        self.summaries.set(PkgId(id.0), learnt, own.analyse);
    }

    fn runs(&self, rule: RuleCode) -> bool {
        self.on.contains(&rule)
    }

    /// Sorts a file's findings into reported and suppressed ones, and looks at the suppressions themselves.
    fn hold_back(&self, cx: SourceCx<'_>, found: Vec<Finding>, part: &mut Part) {
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
    use crate::context::FileCx;
    use crate::state::Analysis;

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

        fn check(&self, cx: FileCx<'_>, _analysis: &Analysis<'_>, out: &mut Vec<Finding>) {
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
        let (on, summaries) = (BTreeSet::from([META.code]), Summaries::new(program.project().packages.len()));
        let run = Run {
            program: &program,
            models: &models,
            rules: vec![&Fails],
            on,
            summaries,
            opened: None,
            hierarchy: Hierarchy::default(),
        };
        let outcome = run.all();
        assert_eq!(outcome.findings.len(), 1);
        assert_eq!(outcome.findings[0].site.import_path, "example.com/m/good");
        assert!(!outcome.summary.complete());
        let [diagnostic] = &outcome.summary.diagnostics[..] else { panic!("one package failed") };
        assert_eq!(diagnostic.path.as_deref(), Some("bad"));
        assert!(diagnostic.message.contains("a mistake in a rule"), "{}", diagnostic.message);
    }
}

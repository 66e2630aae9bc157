//! Runs the rules over all root packages, in parallel and with the same result whatever the number of threads.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rayon::prelude::*;
use residue_cache::Digest;
use residue_finding::{Diagnostic, Finding, Outcome, Position, RuleCode, RuleMeta, Severity, Suppressed, SuppressedBy};
use residue_project::{Package, PackageId, Project};
use residue_types::{PkgId, Program};
use rustc_hash::FxHashMap;

use crate::context::{FileCx, PackageCx};
use crate::demand::{Opened, Opening};
use crate::ends::Ends;
use crate::model::Models;
use crate::reach::{self, Calls, Shields};
use crate::reuse::{AskedShape, Found, Kept, Keys, Memory, RestsOn, Reuse, Reused, Told};
use crate::rules::pending::Pending;
use crate::rules::{self, Rule};
use crate::source::SourceCx;
use crate::state::dispatch::Hierarchy;
use crate::state::summary::{Learnt, Summaries};
use crate::state::{self, Analysis, Executed};
use crate::suppress::{self, Directive};

/// Checks the root packages of a program, on the current thread pool.
///
/// The outcome is finished: sorted, without repetitions, with fingerprints. Its summary counts packages and files and
/// names the packages on which a rule failed; what the project says about itself is the caller's to add.
pub fn check(program: &Program, models: &Models, rules: &[&RuleMeta]) -> Outcome {
    check_with(program, models, rules, None).0
}

/// The same, with what earlier runs found in packages of which nothing has changed. What of the program is not declared
/// yet is.
pub fn check_with(
    program: &Program,
    models: &Models,
    rules: &[&RuleMeta],
    reuse: Option<&Reuse<'_>>,
) -> (Outcome, Reused) {
    let on: BTreeSet<RuleCode> = rules.iter().map(|rule| rule.code).collect();
    let rules = rules::RULES.iter().copied().filter(|rule| on.contains(&rule.meta().code)).collect();
    let summaries = Summaries::new(program.ids_end());
    // On the pool's threads, whose stacks are made for it, also where there is but one package.
    rayon::scope(|_| {
        program.declare(program.project().packages().map(|(id, _)| id));
        let opened = match reuse.and_then(|reuse| reuse.memory) {
            Some(memory) => memory.opening().open(program, models),
            None => Opening::default().open(program, models),
        };
        let program = opened.as_ref().map_or(program, |opened| &opened.program);
        let (hierarchy, imported) = (Hierarchy::new(program), imported(program.project()));
        Run { program, models, rules, on, summaries, opened: opened.as_deref(), hierarchy, imported }.all(reuse)
    })
}

/// What looking at one package gives, before it is known what is above its functions.
#[derive(Clone, Default)]
pub(crate) struct Look {
    /// By file, what was found there, and what is one only if the functions above are of a kind.
    pub(crate) files: Vec<(Vec<Finding>, Vec<Pending>)>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) bodies: usize,
    pub(crate) executed: usize,
    pub(crate) given_up: usize,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// What one package gives.
#[derive(Default)]
struct Part {
    findings: Vec<Finding>,
    suppressed: Vec<Suppressed>,
}

/// Where what is found in a package is kept.
struct Keep<'a> {
    reuse: &'a Reuse<'a>,
    keys: &'a Keys<'a>,
    key: Digest,
    /// The digest of what decides where calls through interfaces lead.
    methods: Digest,
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
    /// By import path, the packages that are not analysed.
    imported: FxHashMap<&'a str, Vec<PackageId>>,
}

/// What one package gave, and whether that was known.
struct Done {
    look: Arc<Look>,
    /// None where a rule failed.
    learnt: Option<Arc<Learnt>>,
    taken: bool,
}

/// By import path, the packages that are not analysed.
fn imported(project: &Project) -> FxHashMap<&str, Vec<PackageId>> {
    let mut imported: FxHashMap<&str, Vec<PackageId>> = FxHashMap::default();
    for (id, package) in project.packages().filter(|(_, package)| !package.analyse) {
        imported.entry(&*package.import_path).or_default().push(id);
    }
    imported
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

/// Has what was found in a package at hand for the next time. Where nothing else is known of its functions than
/// before, gives what was known before: those that rest on it know it again.
fn remember(
    id: PackageId,
    package: &Package,
    keep: Option<&Keep<'_>>,
    look: &Arc<Look>,
    learnt: Arc<Learnt>,
    rests_on: RestsOn,
) -> Arc<Learnt> {
    let Some(memory) = keep.and_then(|keep| keep.reuse.memory) else { return learnt };
    let before = memory.last(id).map(|(_, before)| before).filter(|before| **before == *learnt);
    let learnt = before.unwrap_or(learnt);
    memory.set_found(id, &package.files, Found { look: Arc::clone(look), learnt: Arc::clone(&learnt), rests_on });
    learnt
}

impl Run<'_> {
    fn all(&self, reuse: Option<&Reuse<'_>>) -> (Outcome, Reused) {
        let project = self.program.project();
        let roots: Vec<(PackageId, &Package)> = project.roots().collect();
        let keys = reuse.map(|reuse| (reuse, Keys::new(self.program, reuse, &self.on)));
        let methods = keys.as_ref().map(|(_, keys)| keys.analysed());
        let keys = keys.as_ref().zip(methods);
        let mut reused = Reused::default();
        let mut outcome = Outcome::default();
        // Callees before callers: what is learnt of a package is known to those that import it.
        let asked = self.opened.into_iter().flat_map(|opened| &opened.packages).map(|&id| (id, &project[id]));
        let all: Vec<(PackageId, &Package)> = roots.iter().copied().chain(asked).collect();
        let mut looks: Vec<Arc<Look>> = vec![Arc::default(); all.len()];
        let watch = reuse.and_then(|reuse| reuse.watch);
        let levels = levels(project, &all.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        // The level at which all that is waited for most was looked at.
        let first = |i: &usize| watch.is_some_and(|watch| watch.first.contains(&all[*i].0));
        let early = levels.iter().rposition(|level| level.iter().any(first));
        for (depth, level) in levels.iter().enumerate() {
            let look = |&i: &usize| {
                let (id, package) = all[i];
                let keep = keys.map(|((reuse, keys), methods)| Keep { reuse, keys, key: keys.of(id), methods });
                Some((i, self.one(id, package, keep.as_ref())?))
            };
            let done: Option<Vec<_>> = level.par_iter().with_max_len(1).map(look).collect();
            let Some(done) = done else { return (Outcome::default(), Reused { stopped: 1, ..reused }) };
            for (i, Done { look, learnt, taken }) in done {
                let is_root = i < roots.len();
                reused.taken += u64::from(is_root && taken);
                reused.analysed += u64::from(is_root && !taken);
                looks[i] = look;
                match learnt {
                    Some(learnt) => self.learn(all[i].0, &learnt),
                    None => reused.failed += 1,
                }
            }
            if let Some((watch, memory)) = watch.zip(reuse.and_then(|reuse| reuse.memory))
                && early == Some(depth)
                && depth + 1 < levels.len()
            {
                (watch.tell)(self.early(&roots, &looks, memory, first));
            }
        }
        for look in looks.drain(roots.len()..) {
            outcome.summary.opened += look.bodies;
            outcome.summary.diagnostics.extend(look.diagnostics.iter().cloned());
        }
        outcome.summary.diagnostics.extend(self.opened.and_then(left));
        let calls: Vec<&Calls> = looks.iter().map(|look| &*look.calls).collect();
        let (shields, ends) = (Shields::new(&calls), Ends::new(&calls));
        for look in &looks {
            outcome.summary.bodies += look.bodies;
            outcome.summary.executed += look.executed;
            outcome.summary.given_up += look.given_up;
            outcome.summary.diagnostics.extend(look.diagnostics.iter().cloned());
        }
        let parts: Vec<Part> =
            roots.iter().zip(&looks).map(|(&(_, package), look)| self.settle(package, look, &shields, &ends)).collect();

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
        (outcome, reused)
    }

    /// What is in the packages that are waited for most, when these were looked at and others were not.
    fn early(
        &self,
        roots: &[(PackageId, &Package)],
        looks: &[Arc<Look>],
        memory: &Memory,
        first: impl Fn(&usize) -> bool,
    ) -> Outcome {
        let calls = roots.iter().zip(looks).filter_map(|((id, package), look)| {
            // Of a package that was looked at, each file was.
            let looked = look.files.len() == package.files.len();
            if looked { Some(Arc::clone(&look.calls)) } else { memory.last(*id).map(|(calls, _)| calls) }
        });
        let calls: Vec<Arc<Calls>> = calls.collect();
        let calls: Vec<&Calls> = calls.iter().map(|calls| &**calls).collect();
        let (shields, ends) = (Shields::new(&calls), Ends::new(&calls));
        let mut outcome = Outcome::default();
        for i in (0..roots.len()).filter(first) {
            let part = self.settle(roots[i].1, &looks[i], &shields, &ends);
            outcome.findings.extend(part.findings);
            outcome.suppressed.extend(part.suppressed);
        }
        outcome.finish();
        outcome
    }

    /// What one package gives. None where nobody wants to know any more.
    fn one(&self, id: PackageId, package: &Package, keep: Option<&Keep<'_>>) -> Option<Done> {
        if let Some((look, learnt)) = keep.and_then(|keep| self.known(id, package, keep)) {
            return Some(Done { look, learnt: Some(learnt), taken: true });
        }
        if keep.and_then(|keep| keep.reuse.watch).is_some_and(|watch| (watch.stop)()) {
            return None;
        }
        let (look, learnt) = self.guarded(id, package, keep);
        let look = Arc::new(look);
        let learnt = learnt.map(|(learnt, rests_on)| remember(id, package, keep, &look, learnt, rests_on));
        Some(Done { look, learnt, taken: false })
    }

    /// What was found in a package before, if all that it depends on is as it was.
    fn known(&self, id: PackageId, package: &Package, keep: &Keep<'_>) -> Option<(Arc<Look>, Arc<Learnt>)> {
        let found = keep.reuse.memory.and_then(|memory| memory.found(id, &package.files));
        if let Some(found) = &found
            && self.holds(&found.rests_on, keep)
        {
            return Some((Arc::clone(&found.look), Arc::clone(&found.learnt)));
        }
        let kept = Kept::decode(&keep.reuse.store.get(keep.key)?)?;
        let asked = kept.asked.holds(keep.keys, self.program, id, &self.summaries, &self.hierarchy)?;
        let rests_on = || self.rests_on(asked, kept.asked.asked_methods().then_some(keep.methods));
        if let Some(Found { look, learnt, .. }) = found {
            // It was found in the same package, and what it asked has the same answers.
            let learnt = remember(id, package, Some(keep), &look, learnt, rests_on());
            return Some((look, learnt));
        }
        let rests_on = rests_on();
        let (look, learnt) = kept.open(self.models)?;
        let look = Arc::new(look);
        let learnt = remember(id, package, Some(keep), &look, Arc::new(learnt), rests_on);
        Some((look, learnt))
    }

    /// Whether all that was told of other packages would be told again.
    fn holds(&self, rests_on: &RestsOn, keep: &Keep<'_>) -> bool {
        let same = |(package, extent, known): &Told| {
            self.summaries.extent(*package) == *extent
                && self.summaries.of(*package).map(Arc::as_ptr) == known.as_ref().map(Arc::as_ptr)
        };
        rests_on.methods.is_none_or(|methods| methods == keep.methods) && rests_on.packages.iter().all(same)
    }

    /// What is known at present of packages that were asked about.
    fn rests_on(&self, packages: impl IntoIterator<Item = PkgId>, methods: Option<Digest>) -> RestsOn {
        let summaries = &self.summaries;
        let packages = packages.into_iter().map(|id| (id, summaries.extent(id), summaries.of(id).cloned()));
        RestsOn { packages: packages.collect(), methods }
    }

    /// Looks at a package. One on which a rule panics is reported as not analysed; the others are.
    fn guarded(
        &self,
        id: PackageId,
        package: &Package,
        keep: Option<&Keep<'_>>,
    ) -> (Look, Option<(Arc<Learnt>, RestsOn)>) {
        // Nothing but the result outlives the closure.
        let result = catch_unwind(AssertUnwindSafe(|| {
            let (look, learnt, rests_on) = self.look(id, package, keep);
            (look, Some((learnt, rests_on)))
        }));
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
            (Look { diagnostics: vec![diagnostic], ..Look::default() }, None)
        })
    }

    fn look(&self, id: PackageId, package: &Package, keep: Option<&Keep<'_>>) -> (Look, Arc<Learnt>, RestsOn) {
        let bodies = self.program.bodies(id);
        let cx = PackageCx::new(package, &bodies, self.models, &self.summaries, &self.hierarchy);
        let analysis = state::analyse(&cx);
        // One that is only imported is there to be known to its callers.
        let look = if package.analyse {
            self.look_at_files(&cx, &analysis)
        } else {
            Look { bodies: analysis.bodies, ..Look::default() }
        };
        let learnt = cx.learnt();
        let asked = cx.asked();
        if let Some(keep) = keep
            && let Some(asked) = AskedShape::of(&asked, keep.keys, self.program, id, &self.summaries)
            && let Some(bytes) = Kept::new(asked, &look, &learnt).encode()
        {
            keep.reuse.store.put(keep.key, &bytes);
        }
        let methods = keep.filter(|_| !asked.methods.is_empty()).map(|keep| keep.methods);
        let rests_on = self.rests_on(asked.packages.keys().copied(), methods);
        (look, Arc::new(learnt), rests_on)
    }

    fn look_at_files(&self, cx: &PackageCx<'_>, analysis: &Analysis<'_>) -> Look {
        let mut look = Look {
            calls: Arc::new(reach::calls(cx, analysis)),
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
                rule.check(file, analysis, &mut found);
            }
            let pending = |code, pending: fn(FileCx<'_>, &Analysis<'_>) -> Vec<Pending>| {
                if self.runs(code) { pending(file, analysis) } else { Vec::new() }
            };
            let mut open = pending(rules::r201::META.code, rules::r201::pending);
            open.extend(pending(rules::r202::META.code, rules::r202::pending));
            look.files.push((found, open));
        }
        look
    }

    /// Decides what is pending, and sorts out suppressions.
    fn settle(&self, package: &Package, look: &Look, shields: &Shields, ends: &Ends) -> Part {
        let mut part = Part::default();
        for (index, (found, pending)) in look.files.iter().enumerate() {
            let mut found = found.clone();
            found.extend(pending.iter().cloned().filter_map(|pending| pending.settle(shields, ends)));
            self.hold_back(SourceCx { package, index }, found, &mut part);
        }
        part
    }

    /// Files what is known of a package's functions, under all names that the package has: importers see it without the
    /// files of its tests.
    fn learn(&self, id: PackageId, learnt: &Arc<Learnt>) {
        let package = &self.program.project()[id];
        let variants = self.imported.get(&*package.import_path).into_iter().flatten().filter(|other| **other != id);
        for &other in variants {
            self.summaries.set(self.program.id(other), Arc::clone(learnt), package.analyse);
        }
        self.summaries.set(self.program.id(id), Arc::clone(learnt), package.analyse);
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
        let (on, summaries) = (BTreeSet::from([META.code]), Summaries::new(program.ids_end()));
        let run = Run {
            program: &program,
            models: &models,
            rules: vec![&Fails],
            on,
            summaries,
            opened: None,
            hierarchy: Hierarchy::default(),
            imported: imported(program.project()),
        };
        let (outcome, _) = run.all(None);
        assert_eq!(outcome.findings.len(), 1);
        assert_eq!(outcome.findings[0].site.import_path, "example.com/m/good");
        assert!(!outcome.summary.complete());
        let [diagnostic] = &outcome.summary.diagnostics[..] else { panic!("one package failed") };
        assert_eq!(diagnostic.path.as_deref(), Some("bad"));
        assert!(diagnostic.message.contains("a mistake in a rule"), "{}", diagnostic.message);
    }
}

//! What the functions of a package do with what they acquire and are given: summaries for callers, and for rules the
//! events of each path.
//!
//! [`analyse`] takes the functions of a package callees first. A cheap look ([`quick`]) tells what becomes of
//! parameters and whether a function is worth executing ([`exec`]): one that acquires or releases something, or that
//! defers a call that recovers. What it learns goes into a [`summary::Summary`], by which its callers know it.

mod acquire;
mod call;
mod callers;
mod conditions;
pub(crate) mod dispatch;
pub(crate) mod events;
pub(crate) mod exec;
mod leave;
mod objects;
mod prepared;
mod quick;
mod release;
mod started;
pub(crate) mod store;
pub(crate) mod summary;
pub(crate) mod sym;

use residue_flow::ir::{self, Op};
use residue_flow::{FunctionKind, Parent};
use residue_types::{Callee, ObjId, Symbol};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::OnceCell;

use crate::context::{FileCx, PackageCx};
use callers::Callers;
use events::{Exit, Origin};
use exec::Exec;
pub(crate) use quick::{Fates, look};
use store::{Escape, Field, SiteId, Status};
use summary::{Effect, Owned, Release, Summary, When};
use sym::{Def, Sym};

/// A function that was executed.
pub(crate) struct Executed<'a> {
    pub(crate) file: usize,
    /// The declaration or literal.
    pub(crate) function: Parent,
    pub(crate) exec: Exec<'a>,
}

/// What is known of a package's functions.
#[derive(Default)]
pub(crate) struct Analysis<'a> {
    /// Those that were worth executing.
    pub(crate) executed: Vec<Executed<'a>>,
    /// Bodies that were lowered, literals included.
    pub(crate) bodies: usize,
    /// Who calls whom, once a rule asks.
    callers: OnceCell<Callers>,
}

impl Analysis<'_> {
    /// Who calls the functions of the package that this is of.
    pub(crate) fn callers(&self, pkg: &PackageCx<'_>) -> &Callers {
        self.callers.get_or_init(|| Callers::new(pkg, &self.executed))
    }
}

/// A function body of the package.
struct Unit {
    file: usize,
    function: Parent,
    /// The declared function; none for a literal.
    id: Option<ObjId>,
}

/// Analyses all functions of a package, and tells the package their summaries.
pub(crate) fn analyse<'a>(pkg: &'a PackageCx<'a>) -> Analysis<'a> {
    let units = units(pkg);
    let mut analysis = Analysis::default();
    for i in order(pkg, &units) {
        let unit = &units[i];
        let cx = pkg.file(unit.file);
        let Some(ir) = cx.ir(unit.function) else { continue };
        analysis.bodies += 1;
        if let Some(exec) = function(cx, unit, &ir) {
            analysis.executed.push(Executed { file: unit.file, function: unit.function, exec });
        }
    }
    analysis
}

/// The function bodies of a package, literals after what they stand in.
fn units(pkg: &PackageCx<'_>) -> Vec<Unit> {
    let mut units = Vec::new();
    for (file, cx) in pkg.files().enumerate() {
        for function in residue_flow::functions(cx.tree()) {
            let id = match function.kind {
                FunctionKind::Decl(decl) => cx.declared(decl),
                FunctionKind::Lit(_) => None,
            };
            units.push(Unit { file, function: function.key(), id });
        }
    }
    units
}

/// Callees before callers, as far as calls do not go round: a walk in depth, with a stack of its own. Literals come last.
fn order(pkg: &PackageCx<'_>, units: &[Unit]) -> Vec<usize> {
    let by_id: FxHashMap<ObjId, usize> = units.iter().enumerate().filter_map(|(i, unit)| Some((unit.id?, i))).collect();
    let callees = |i: usize| -> Vec<usize> {
        let unit = &units[i];
        let cx = pkg.file(unit.file);
        cx.all_callees(unit.function).into_iter().filter_map(|id| by_id.get(&id).copied()).collect()
    };
    let mut done = vec![false; units.len()];
    let mut order = Vec::with_capacity(units.len());
    let mut stack: Vec<(usize, Vec<usize>)> = Vec::new();
    for start in (0..units.len()).filter(|&i| units[i].id.is_some()) {
        if std::mem::replace(&mut done[start], true) {
            continue;
        }
        stack.push((start, callees(start)));
        while let Some((unit, left)) = stack.last_mut() {
            match left.pop() {
                Some(next) if !std::mem::replace(&mut done[next], true) => {
                    let of_next = callees(next);
                    stack.push((next, of_next));
                }
                Some(_) => {}
                None => {
                    order.push(*unit);
                    stack.pop();
                }
            }
        }
    }
    order.extend((0..units.len()).filter(|&i| units[i].id.is_none()));
    order
}

/// Sums a function up, and executes it where it is worth it.
fn function<'a>(cx: FileCx<'a>, unit: &Unit, ir: &ir::Body) -> Option<Exec<'a>> {
    let quick = look(cx, ir, &ir.params);
    let effects = (0..ir.params.len()).map(|i| quick.fates.effect(i));
    let passes = quick.by_result.iter().enumerate().flat_map(|(result, &bits)| {
        (0..ir.params.len().min(64)).filter(move |&param| bits & (1 << param) != 0).map(move |param| (param, result))
    });
    let mut summary = Summary {
        passes: passes.collect(),
        params: effects.collect(),
        outlives: quick.outlives,
        makes_recoverer: quick.makes_recoverer,
        called: quick.called,
        drains: quick.drains,
        repanics: quick.repanics,
        makes_error: quick.makes_error,
        panics: quick.panics,
        stops: unit.id.and_then(|id| cx.pkg.never_returns(id)),
        ..Summary::default()
    };
    // That a dependency's invariants hold is not for callers to doubt, as with the standard library's.
    if !cx.pkg.package.analyse {
        summary.panics = None;
    }
    summary.recovers = quick.recovers && Exec::new(cx, unit.function).is_some_and(|mut exec| exec.recovers());
    let worth = quick.acquires || quick.releases || quick.defers || quick.exits;
    let exec = worth.then(|| Exec::new(cx, unit.function)).flatten().map(|mut exec| {
        let params = ir.params.iter().zip(&summary.params);
        let released = params.filter(|&(_, &effect)| effect == Effect::Released).filter_map(|(param, _)| *param);
        exec.run_root(&released.collect::<Vec<_>>());
        read(&exec, ir, (quick.sets_field, quick.guards), &mut summary);
        exec
    });
    match (unit.id, unit.function) {
        (Some(id), _) => cx.pkg.learn(id, summary),
        (None, Parent::Expr(lit)) => cx.learn_literal(lit, summary),
        _ => {}
    }
    exec
}

/// Reads what callers need to know off the ways in which a function returns.
fn read(exec: &Exec<'_>, ir: &ir::Body, (sets_field, guarded): (bool, bool), summary: &mut Summary) {
    let events = &exec.events;
    let exits = &events.exits;
    let error = exec.own_error(ir);
    // What it does with parameters, by what it returns.
    for (i, site) in events.sites.iter().enumerate() {
        let site_id = SiteId(i as u16);
        let (param, path) = match &site.origin {
            Origin::Param(param) => (*param, Vec::new()),
            Origin::ParamField(param, path) => (*param, path.clone()),
            _ => continue,
        };
        let Some(index) = ir.params.iter().position(|p| *p == Some(param)) else { continue };
        let fate = fate(exec, exits, site_id, error);
        match fate {
            Fate::Released(when) => {
                summary.releases.push(Release { param: index, path, when, kind: site.twice, sets_field, guarded });
            }
            Fate::Kept => {
                if summary.params[index] == Effect::Released && path.is_empty() {
                    summary.params[index] = Effect::Borrowed;
                }
            }
            Fate::Unknown => summary.params[index] = Effect::Escaped,
        }
    }
    if events.gave_up.is_some() {
        for effect in &mut summary.params {
            if *effect == Effect::Released {
                *effect = Effect::Escaped;
            }
        }
        summary.releases.clear();
        return;
    }
    for (i, effect) in summary.params.iter_mut().enumerate() {
        if *effect == Effect::Released && summary.releases.iter().all(|release| release.param != i) {
            *effect = Effect::Escaped;
        }
    }
    owned(exec, exits, error, summary);
    summary.makes_error |= !exits.is_empty()
        && error.is_some_and(|error| {
            let never_nil =
                |exit: &Exit| exit.results.get(error).is_some_and(|&sym| exec.is_nil(&exit.state, sym) == Some(false));
            exits.iter().all(never_nil)
        });
    if !events.recoveries.is_empty() {
        summary.panics = None;
    }
}

/// What becomes of a parameter.
enum Fate {
    Released(When),
    Kept,
    /// It gets to somebody else, or is released on some returns only, and it is not told which.
    Unknown,
}

/// What becomes of a parameter, by what the function returns.
fn fate(exec: &Exec<'_>, exits: &[Exit], site: SiteId, error: Option<usize>) -> Fate {
    let (mut success, mut failure) = ((0, 0), (0, 0));
    let data = &exec.events.sites[site.0 as usize];
    let of_elements = matches!(&data.origin, Origin::ParamField(_, path) if path.contains(&sym::element()));
    for exit in exits {
        // Elements that there are not need no release; nor does what is nil.
        let untouched = exit.state.status(site) == Status::Absent;
        if (untouched && of_elements) || exec.is_nil(&exit.state, data.sym) == Some(true) {
            continue;
        }
        let released = match exit.state.status(site) {
            Status::Released(_) => true,
            Status::Open | Status::Absent => false,
            // It is nil there: nothing to release.
            Status::Failed => continue,
            Status::Escaped(_) => return Fate::Unknown,
        };
        let nil = match error {
            Some(error) => exit.results.get(error).and_then(|&sym| exec.is_nil(&exit.state, sym)),
            None => Some(true),
        };
        for (counts, applies) in [(&mut success, nil != Some(false)), (&mut failure, nil != Some(true))] {
            if applies {
                if released {
                    counts.0 += 1;
                } else {
                    counts.1 += 1;
                }
            }
        }
    }
    match (success, failure) {
        ((0, _), (0, _)) => Fate::Kept,
        ((_, 0), (_, 0)) => Fate::Released(When::Always),
        ((_, 0), (0, _)) => Fate::Released(When::Success),
        ((0, _), (_, 0)) => Fate::Released(When::Failure),
        ((_, 0), _) => Fate::Released(When::SuccessPerhapsFailure),
        _ => Fate::Unknown,
    }
}

/// The resources that results are or hold on each successful return.
fn owned(exec: &Exec<'_>, exits: &[Exit], error: Option<usize>, summary: &mut Summary) {
    let mut candidates: Option<Vec<Owned>> = None;
    // By result, whether it is true on each return that gives something, and false on each that does not.
    let mut says_so: Vec<bool> = vec![true; exits.first().map_or(0, |exit| exit.results.len())];
    let mut says = |exit: &Exit, truth: Sym| {
        for (says, &sym) in says_so.iter_mut().zip(&exit.results) {
            *says &= sym == truth;
        }
    };
    for exit in exits {
        let failed = error.is_some_and(|error| {
            exit.results.get(error).is_some_and(|&sym| exec.is_nil(&exit.state, sym) == Some(false))
        });
        // Nothing but nil and booleans owes nothing.
        let is_nothing = |(i, &sym): (usize, &Sym)| {
            Some(i) == error || exec.is_nil(&exit.state, sym) == Some(true) || matches!(exec.def(sym), Def::Bool(_))
        };
        let nothing = !exit.results.is_empty() && error != Some(0) && exit.results.iter().enumerate().all(is_nothing);
        if failed || nothing {
            says(exit, Sym::FALSE);
            continue;
        }
        says(exit, Sym::TRUE);
        let here = held_by_results(exec, exit);
        candidates = Some(match candidates {
            None => here,
            Some(before) => before
                .into_iter()
                .filter(|owned| {
                    here.iter().any(|other| {
                        other.result == owned.result && other.path == owned.path && other.kind == owned.kind
                    })
                })
                .collect(),
        });
    }
    let ok = says_so.iter().position(|&says| says);
    let owned = candidates.unwrap_or_default().into_iter();
    summary.owned = owned.map(|owned| Owned { ok: owned.ok.or(ok), ..owned }).collect();
}

/// The resources that results are or hold where the function returns so.
fn held_by_results(exec: &Exec<'_>, exit: &Exit) -> Vec<Owned> {
    let mut found = Vec::new();
    for (result, &sym) in exit.results.iter().enumerate() {
        let mut seen = FxHashSet::default();
        let mut work: Vec<(Sym, Vec<Symbol>)> = vec![(sym, Vec::new())];
        while let Some((sym, path)) = work.pop() {
            if !seen.insert(sym) || path.len() > 3 {
                continue;
            }
            if let Some(site) = exec.site_of(sym) {
                let data = &exec.events.sites[site.0 as usize];
                let ours = exit.state.status(site) == Status::Escaped(Escape::Returned) && !exec.has_closer(exit, sym);
                if let Some(kind) = data.kind
                    && ours
                {
                    // The name under which a resource of a library's type is found is the model's to say.
                    let ok = exit.results.iter().position(|&sym| {
                        data.error.is_some_and(|error| {
                            exec.def(sym) == Def::Compare(residue_syntax::ast::BinaryOp::Eq, error, Sym::NIL)
                        })
                    });
                    found.push(Owned { result, path, kind, ok, made_by: exec.made_by(site) });
                    continue;
                }
            }
            for ((base, field), held) in exit.state.fields.iter() {
                if base == sym
                    && let Field::Named(name) = field
                {
                    let mut path = path.clone();
                    path.push(name);
                    work.push((held, path));
                }
            }
        }
    }
    found
}

impl Exec<'_> {
    /// The index of the error among the results of the function.
    fn own_error(&self, ir: &ir::Body) -> Option<usize> {
        let types = self.cx.result_types(ir.function);
        types.iter().rposition(|ty| *ty == residue_types::error_type())
    }

    /// Whether one of the results is a literal that releases a value: who calls it has released that.
    fn has_closer(&self, exit: &Exit, sym: Sym) -> bool {
        exit.results.iter().any(|&result| match self.syms.def(result) {
            Def::Closure(lit) => self.cx.captured(lit).iter().any(|&var| {
                exit.state.env.get(var) == Some(sym) && self.cx.capture_effect(lit, var) != Effect::Borrowed
            }),
            _ => false,
        })
    }

    /// Whether the function fails where it returns so: the error is not nil. One that gives no error does wherever it
    /// returns.
    pub(crate) fn fails(&self, exit: &Exit) -> bool {
        let error = self.own_error(self.ir(0)).and_then(|error| exit.results.get(error));
        error.is_none_or(|&error| self.is_nil(&exit.state, error) == Some(false))
    }

    /// The call that made a resource, as `os.Open`.
    pub(crate) fn made_by(&self, site: SiteId) -> String {
        match &self.events.sites[site.0 as usize].origin {
            Origin::Call { expr, .. } => self.cx.called_text(*expr),
            Origin::Made { owned, .. } => owned.made_by.clone(),
            _ => String::new(),
        }
    }

    /// What a symbol stands for.
    pub(crate) fn def(&self, sym: Sym) -> Def {
        self.syms.def(sym)
    }
}

/// The functions that a body calls by their names, puts off, starts or takes as values.
pub(crate) fn callees(ir: &ir::Body) -> impl Iterator<Item = ObjId> + '_ {
    let called = ir.calls().iter().filter_map(|call| match call.callee {
        Callee::Func(id) => Some(id),
        _ => None,
    });
    let values = ir.all().filter_map(|instr| match instr.op {
        Op::Func(id) | Op::MethodValue { method: id, .. } => Some(id),
        _ => None,
    });
    called.chain(values)
}

/// The digest of a text.
pub(crate) fn digest(text: &str) -> u64 {
    std::hash::BuildHasher::hash_one(&rustc_hash::FxBuildHasher, text)
}

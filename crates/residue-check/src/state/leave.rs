//! How a frame is left: by a return or a panic, with the calls that it put off.

use std::rc::Rc;

use residue_flow::ir::{self, At};
use residue_types::ObjId;

use super::events::{Events, Exit, Why};
use super::exec::{Exec, KINDS_MAX, is_recover};
use super::store::{Escape, SiteId, State, Status};
use super::sym::{Place, Sym};

impl Exec<'_> {
    /// The function returns: results are set, then deferred calls run.
    pub(super) fn return_(&mut self, ir: &ir::Body, at: At, mut state: State, results: &[Sym], exits: &mut Vec<Exit>) {
        for (&var, &sym) in ir.results.iter().zip(results) {
            if let Some(var) = var {
                state.env.set(var, sym);
            }
        }
        if Events::is_full(exits) {
            self.events.gave_up = Some("returns");
            return;
        }
        for mut state in self.run_defers(state, false) {
            let results = results_of(ir, &state, results);
            if self.frames.is_empty() && self.deferring == 0 {
                if let Some(failed) = self.beside_error(ir, &mut state, &results) {
                    exits.push(Exit { state: failed, results: results.clone(), at });
                }
                for &sym in &results {
                    self.escape(&mut state, sym, Escape::Returned);
                }
            }
            exits.push(Exit { state, results, at });
        }
    }

    /// A return of a resource beside an error that did not come with it. Where the error may be nil or not, the state
    /// goes on as if it were, and the other is given.
    fn beside_error(&mut self, ir: &ir::Body, state: &mut State, results: &[Sym]) -> Option<State> {
        let resources = results.iter().filter_map(|&sym| self.site_of(sym)).filter(|&site| self.kind(site).is_some());
        let resources: Vec<SiteId> = resources.collect();
        let error = *results.get(self.own_error(ir).filter(|_| !resources.is_empty())?)?;
        let (with_it, others): (Vec<SiteId>, Vec<SiteId>) =
            resources.into_iter().partition(|site| self.events.sites[site.0 as usize].error == Some(error));
        if self.is_nil(state, error).is_none() {
            self.events.used_failed.extend(with_it);
        }
        let others: Vec<SiteId> = others.into_iter().filter(|&site| state.status(site) == Status::Open).collect();
        let beside = |state: &mut State| {
            for &site in &others {
                state.resource_mut(site).status = Status::Escaped(Escape::Beside);
            }
        };
        match self.is_nil(state, error) {
            _ if others.is_empty() => None,
            Some(true) => None,
            Some(false) => {
                beside(state);
                None
            }
            None => {
                let mut failed = state.clone();
                self.set_nil(&mut failed, error, false);
                self.set_nil(state, error, true);
                beside(&mut failed);
                for &sym in results {
                    self.escape(&mut failed, sym, Escape::Returned);
                }
                Some(failed)
            }
        }
    }

    /// A panic in what a deferred call runs leaves a frame: its own deferred calls run, and may end it.
    pub(super) fn unwind(&mut self, ir: &ir::Body, at: At, state: State, exits: &mut Vec<Exit>) {
        for state in self.run_defers(state, true) {
            // How the function itself is left by a panic is seen where the panic begins.
            if !self.frames.is_empty() || self.deferring > 0 {
                let results = results_of(ir, &state, &[]);
                exits.push(Exit { state, results, at });
            }
        }
    }

    /// Runs the deferred calls of the current frame, which the newest panic leaves or which returns. Says of each state
    /// whether a panic leaves the frame in the end.
    fn run_defers(&mut self, state: State, unwinding: bool) -> Vec<State> {
        let mut done = Vec::new();
        // With each state, how many panics there are where its frame is being left by one.
        let level = unwinding.then_some(state.panics);
        let mut work = vec![(state, level)];
        let was_direct = self.directly_deferred;
        self.deferring += 1;
        while let Some((mut state, level)) = work.pop() {
            let unwinds = level.is_some_and(|level| state.panics >= level);
            let Some(deferred) = state.defers.take() else {
                state.unwinds = unwinds;
                done.push(state);
                continue;
            };
            state.defers.clone_from(&deferred.below);
            state.unwinds = false;
            let ir = Rc::clone(self.ir(deferred.body));
            let call = ir.call(deferred.call);
            let operands = super::call::Operands {
                place: Place { body: deferred.body, value: deferred.value },
                fun: deferred.fun,
                recv: deferred.recv,
                args: deferred.args.clone(),
                spread: call.spread,
            };
            // What a frame defers ends the panic that leaves this frame; where it returns, not that of one further up.
            // `defer recover()` recovers only in a function that is itself deferred.
            self.directly_deferred = if is_recover(call) { was_direct } else { unwinds };
            let (below, panics) = (state.defers.take(), state.panics);
            for mut state in self.apply(state, call, operands) {
                state.defers.clone_from(&below);
                let level = match state.unwinds {
                    false => level,
                    true if unwinds => {
                        // The new panic takes the place of the one before.
                        state.panics = panics;
                        level
                    }
                    true => Some(state.panics),
                };
                work.push((state, level));
            }
            if work.len() + done.len() > KINDS_MAX * 4 {
                self.events.gave_up = Some("deferred calls");
                break;
            }
        }
        self.deferring -= 1;
        self.directly_deferred = was_direct;
        done
    }

    /// What happens where an instruction panics, if anything here depends on it.
    pub(super) fn panic(&mut self, state: &State, place: Place, why: &Why) {
        if self.deferring > 0 || state.panics > 0 {
            return;
        }
        let has_open = state.open().any(|site| self.kind(site).is_some());
        if !has_open && state.defers.is_none() && self.frames.iter().all(|frame| frame.defers.is_none()) {
            return;
        }
        let mut hasher = rustc_hash::FxHasher::default();
        std::hash::Hash::hash(&(state.property_digest(), place, self.frames.len(), why.rank()), &mut hasher);
        if !self.unwound.insert(std::hash::Hasher::finish(&hasher)) {
            return;
        }
        // The frames of literals that are being executed unwind first.
        let waiting: Vec<_> = self.frames.iter().rev().map(|frame| frame.defers.clone()).collect();
        let mut states = vec![state.clone()];
        let mut frame = self.active.len();
        for defers in std::iter::once(state.defers.clone()).chain(waiting) {
            let mut next = Vec::new();
            frame = frame.saturating_sub(1);
            for mut state in states {
                state.defers.clone_from(&defers);
                state.panics = 1;
                for state in self.run_defers(state, true) {
                    if state.panics > 0 {
                        next.push(state);
                    } else if frame == 0 {
                        self.recovered(state, place, why);
                    } else {
                        // A literal that is called here recovers: what it was to release itself stays.
                        let body = self.active[frame];
                        self.events.recovered_inside(&state, place, why, body);
                    }
                }
            }
            states = next;
        }
        for state in states {
            self.events.unwound(&state, place, why);
        }
    }

    fn recovered(&mut self, mut state: State, place: Place, why: &Why) {
        let ir = Rc::clone(self.ir(0));
        // Results without a name are zero: as good as nil for what is asked of them.
        let results = results_of(&ir, &state, &[]);
        for &sym in &results {
            self.escape(&mut state, sym, Escape::Returned);
        }
        self.events.recovered(state, results, place, why);
    }
}

/// The results as they stand: named ones may have been set by deferred calls.
fn results_of(ir: &ir::Body, state: &State, given: &[Sym]) -> Vec<Sym> {
    let named = ir.results.iter().enumerate();
    let result = |(i, var): (usize, &Option<ObjId>)| match (var, given.get(i)) {
        (Some(var), _) => state.env.get(*var).unwrap_or(Sym::NIL),
        (None, Some(&sym)) => sym,
        (None, None) => Sym::NIL,
    };
    named.map(result).collect()
}

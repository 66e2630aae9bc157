//! Calls that give something to release.

use residue_flow::ir;
use residue_syntax::ast::ExprId;
use residue_types::{ObjId, Symbol, Type};

use super::call::{Function, Operands};
use super::events::Origin;
use super::exec::Exec;
use super::store::{Deferred, Escape, Field, SiteId, State, Status};
use super::summary::Summary;
use super::sym::{Def, Place, Sym};
use crate::model::ResourceId;

impl Exec<'_> {
    /// A call that a goroutine makes: its results are lost.
    pub(super) fn started(&mut self, state: &mut State, call: &ir::Call, place: Place) {
        let roles = self.cx.roles(call.expr);
        let function = Function { expr: call.expr, id: None, method: "", roles, summary: None };
        self.acquires(
            state,
            &function,
            None,
            &Operands { place, fun: None, recv: None, args: Vec::new(), spread: false },
        );
    }

    pub(super) fn acquires(
        &mut self,
        state: &mut State,
        function: &Function<'_>,
        summary: Option<&Summary>,
        ops: &Operands,
    ) {
        let place = ops.place;
        if self.deferring > 0 {
            return;
        }
        let expr = function.expr;
        let error = self.error_result(expr).map(|i| self.syms.of(Def::Out(place, i as u32)));
        if let Some(kind) = function.roles.and_then(|roles| self.cx.acquired_kind(expr, roles)) {
            if !self.cx.really_acquires(expr, kind) {
                return;
            }
            let resource = self.cx.models().resource(kind);
            for result in self.cx.acquired(expr, resource) {
                let value = self.syms.of(Def::Out(place, result as u32));
                let path: Vec<Symbol> = resource.field.iter().map(|name| Symbol::new(name)).collect();
                self.acquire(state, place, kind, error, value, &path, Origin::Call { expr, result });
                if let Some(recv) = ops.recv
                    && !resource.maker_release.is_empty()
                {
                    state.fields.set((recv, Field::Owns(place.value)), value);
                }
            }
        }
        if function.roles.is_some_and(|roles| roles.cancels)
            && let Type::Tuple(types) = self.cx.info().type_of(expr)
            && let Some(result) = types.iter().rposition(|ty| self.cx.is_func(ty))
        {
            self.makes_cancel(state, place, expr, result);
        }
        let Some(summary) = summary else { return };
        let cx = self.cx;
        for owned in summary.owned.iter().filter(|owned| cx.really_gives(expr, owned.kind)) {
            let value = self.syms.of(Def::Out(place, owned.result as u32));
            let origin = Origin::Made { expr, owned: owned.clone() };
            self.acquire(state, place, owned.kind, error, value, &owned.path, origin);
            if let Some(ok) = owned.ok {
                let ok = self.syms.of(Def::Out(place, ok as u32));
                let last = SiteId(self.events.sites.len().saturating_sub(1) as u16);
                let known = self.sites_by_ok.entry(ok).or_default();
                if !known.contains(&last) {
                    known.push(last);
                }
            }
        }
    }

    /// A call that makes a context and the function that cancels it.
    fn makes_cancel(&mut self, state: &mut State, place: Place, expr: ExprId, result: usize) {
        let cancel = self.syms.of(Def::Out(place, result as u32));
        let context = self.syms.of(Def::Out(place, 0));
        let Some(site) = self.add_site(Origin::Cancel { expr, result }, None, cancel, None) else { return };
        if state.status(site) == Status::Open {
            self.events.lost(state, site);
        }
        // The variable that held the one of an earlier round is set to this one next.
        let holders: Vec<ObjId> = state.env.iter().filter(|&(_, held)| held == cancel).map(|(var, _)| var).collect();
        for var in holders {
            state.env.set(var, self.syms.of(Def::Phi(place, var)));
        }
        self.cancels.insert(context, site);
        *state.resource_mut(site) = super::store::Resource { status: Status::Open, ..Default::default() };
    }

    /// Whether what is followed is a cancel function.
    pub(super) fn is_cancel(&self, site: SiteId) -> bool {
        matches!(self.events.sites[site.0 as usize].origin, Origin::Cancel { .. })
    }

    /// Whoever looks at a cancel function may call it: it is not followed to the place where that is done.
    pub(super) fn look_at_cancel(&self, state: &mut State, sym: Sym) {
        if let Some(site) = self.site_of(sym).filter(|&site| self.is_cancel(site))
            && state.status(site) == Status::Open
        {
            state.resource_mut(site).status = Status::Escaped(Escape::Passed);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one place calls it for each of two kinds of origins")]
    fn acquire(
        &mut self,
        state: &mut State,
        place: Place,
        kind: ResourceId,
        error: Option<Sym>,
        value: Sym,
        path: &[Symbol],
        origin: Origin,
    ) {
        let mut sym = value;
        for &name in path {
            let next = self.syms.of(Def::Field(sym, name));
            state.fields.set((sym, Field::Named(name)), next);
            sym = next;
        }
        if let Some(site) = self.site_of(sym)
            && state.status(site) == Status::Open
        {
            if !state.resource(site).drained {
                self.events.undrained.insert(site);
            }
            if !self.is_held_twice(state, value, sym, place) {
                self.events.lost(state, site);
            }
        }
        if self.site_of(sym).is_some() {
            // What holds the one of an earlier round does not hold this one.
            let syms = &mut self.syms;
            state.fields.retain(|(base, _), held| (held != sym && held != value) || syms.rests_on(base, place));
            let holders: Vec<ObjId> =
                state.env.iter().filter(|&(_, held)| held == sym || held == value).map(|(var, _)| var).collect();
            for var in holders {
                state.env.set(var, syms.of(Def::Phi(place, var)));
            }
        }
        let Some(site) = self.add_site(origin, Some(kind), sym, error.filter(|&error| error != value)) else { return };
        *state.resource_mut(site) = super::store::Resource { status: Status::Open, ..Default::default() };
    }

    /// Whether what an earlier round acquired is held by something that outlives the round.
    fn is_held_twice(&mut self, state: &State, value: Sym, resource: Sym, place: Place) -> bool {
        let syms = &self.syms;
        // Its method, as a value, has it too.
        let is_it = |sym: Sym| match syms.def(sym) {
            Def::Method(of, _) | Def::InterfaceMethod(of, _) => of == value || of == resource,
            _ => sym == value || sym == resource,
        };
        let variables = state.env.iter().filter(|&(_, sym)| is_it(sym)).count();
        let objects = state.fields.iter().any(|((base, _), held)| is_it(held) && !syms.rests_on(base, place));
        if variables > 1 || objects {
            return true;
        }
        // A literal that is called again acquires again: its caller has the first.
        if place.body != 0 {
            return true;
        }
        // A literal that is kept may have it.
        let kept = state.env.iter().map(|(_, sym)| sym).chain(state.fields.iter().map(|(_, sym)| sym));
        let mut literals = kept.filter_map(|sym| match self.syms.def(sym) {
            Def::Closure(lit) => Some(lit),
            _ => None,
        });
        if literals.any(|lit| self.cx.captured(lit).iter().any(|&var| state.env.get(var).is_some_and(is_it))) {
            return true;
        }
        let mut at = state.defers.as_ref();
        while let Some(deferred) = at {
            let Deferred { fun, recv, args, below, .. } = &**deferred;
            for &sym in fun.iter().chain(recv).chain(args) {
                if is_it(sym) || self.syms.rests_on(sym, place) {
                    return true;
                }
                if let Def::Closure(lit) = self.syms.def(sym)
                    && self.cx.captured(lit).iter().any(|&var| state.env.get(var).is_some_and(is_it))
                {
                    return true;
                }
            }
            at = below.as_ref();
        }
        false
    }
}

//! What a call releases, and what it uses after its release.

use std::rc::Rc;

use residue_flow::ir;
use residue_types::Type;

use super::call::{Function, Operands};
use super::events::{Again, Origin, Second};
use super::exec::Exec;
use super::store::{Escape, Fact, Field, SiteId, State, Status};
use super::summary::{Release, Summary, When};
use super::sym::{Def, Place, Sym};
use crate::model::ResourceId;

impl Exec<'_> {
    /// The resources that a method of `recv` releases: `recv` itself, and what releasing it releases.
    pub(super) fn released_by(&self, state: &State, recv: Sym, method: &str) -> Vec<SiteId> {
        let mut sites = Vec::new();
        let mut seen = vec![recv];
        let mut at = 0;
        while let Some(&object) = seen.get(at) {
            // Closing an owner closes what it owns, whatever that would be closed by itself.
            let by_owner = at > 0 && self.cx.models().is_release_name(method);
            at += 1;
            if let Some(site) = self.site_of(object)
                && (by_owner || self.is_release(site, method))
            {
                sites.push(site);
            }
            for (field, held) in state.held_by(object) {
                if matches!(field, Field::Owns(_)) && !seen.contains(&held) {
                    seen.push(held);
                }
            }
        }
        sites
    }

    /// A call on what something was acquired from that releases it where it fails: `cmd.Start()`.
    fn maker_fails(&mut self, state: &State, function: &Function<'_>, recv: Sym, place: Place) {
        // It may have come as a part of the same object.
        let whole = match self.syms.def(recv) {
            Def::Field(base, _) => Some(base),
            _ => None,
        };
        let held = state.fields.iter().filter(|&((base, field), _)| match field {
            Field::Owns(_) => base == recv,
            Field::Named(_) => Some(base) == whole,
            _ => false,
        });
        let sites: Vec<SiteId> = held.filter_map(|(_, held)| self.site_of(held)).collect();
        for site in sites {
            let Some(resource) = self.model(site) else { continue };
            if resource.maker_fails.iter().any(|name| name == function.method)
                && let Some(error) = self.error_result(function.expr)
            {
                let error = self.syms.of(Def::Out(place, error as u32));
                let known = self.sites_by_error.entry(error).or_default();
                if !known.contains(&site) {
                    known.push(site);
                }
            }
        }
    }

    fn is_release(&self, site: SiteId, method: &str) -> bool {
        match self.model(site) {
            Some(resource) => resource.release.iter().any(|name| name == method),
            None => self.cx.models().is_release_name(method),
        }
    }

    pub(super) fn release(&mut self, state: &mut State, site: SiteId, place: Place) {
        self.events.sites[site.0 as usize].released.get_or_insert(place);
        let status = state.status(site);
        if let Status::Released(first) = status {
            let trail = state.trail.clone();
            self.events.again(Again { site, first, second: place, kind: Second::Release, trail });
        } else if let Some(owner) = self.owner_of(state, site, place) {
            let trail = state.trail.clone();
            self.events.again(Again { site, first: owner, second: place, kind: Second::Owner, trail });
        }
        if let Some(finalizer) = state.finalized.get(site) {
            let trail = state.trail.clone();
            self.events.again(Again { site, first: place, second: finalizer, kind: Second::Finalizer, trail });
        }
        if matches!(status, Status::Open | Status::Escaped(_) | Status::Released(_)) {
            state.resource_mut(site).status = Status::Released(place);
        }
    }

    /// Files the kind as which something is released, where a second release of such harms.
    fn released_as(&mut self, site: SiteId, twice: Option<ResourceId>) {
        let known = &mut self.events.sites[site.0 as usize].twice;
        *known = known.or(twice);
    }

    /// The call that made an object which owns a resource, where something else than the object releases it.
    fn owner_of(&mut self, state: &State, site: SiteId, place: Place) -> Option<Place> {
        let sym = self.events.sites[site.0 as usize].sym;
        let owners = state.fields.iter().filter(|&((_, field), held)| held == sym && matches!(field, Field::Owns(_)));
        let owners: Vec<Sym> = owners.map(|((base, _), _)| base).collect();
        owners.into_iter().find_map(|base| match self.syms.def(base) {
            Def::Out(made, result) if made != place && !self.by_owner => {
                self.makes_owner(state, made, result).then_some(made)
            }
            _ => None,
        })
    }

    /// Whether a call made something that releases what it was given when nobody refers to it any more: of a function
    /// of which a model says so, or one that gives what a model knows, as an `os.File`. Where it failed it made nothing.
    fn makes_owner(&mut self, state: &State, made: Place, result: u32) -> bool {
        let ir = Rc::clone(self.ir(made.body));
        let ir::Op::Call(id) = ir.instr(ir::Value::new(made.value as usize)).op else { return false };
        let call = ir.call(id).expr;
        if let Some(error) = self.error_result(call) {
            let error = self.syms.of(Def::Out(made, error as u32));
            if self.is_nil(state, error) == Some(false) {
                return false;
            }
        }
        let ty = match self.cx.info().type_of(call) {
            Type::Tuple(types) => types.get(result as usize).cloned().unwrap_or_default(),
            ty => ty.clone(),
        };
        self.cx.roles(call).is_some_and(|roles| roles.owns)
            || self.cx.models().resources().any(|(_, resource)| {
                resource.types.iter().any(|want| !want.package.is_empty() && self.cx.is_type(&ty, want))
            })
    }

    pub(super) fn uses_after_release(&mut self, state: &State, function: &Function<'_>, ops: &Operands) {
        for &sym in ops.recv.iter().chain(&ops.args) {
            let Some(site) = self.site_of(sym) else { continue };
            if state.status(site) == Status::Failed {
                self.events.used_failed.insert(site);
            }
            let Status::Released(first) = state.status(site) else { continue };
            let releases =
                self.is_release(site, function.method) || function.roles.is_some_and(|r| !r.release.is_empty());
            let package = function.id.map_or("", |id| self.cx.pkg.bodies.program().package_path(id.pkg));
            let package = if self.cx.cgo_name(function.expr).is_some() { "C" } else { package };
            let kind = self.kind(site);
            // To print a number that was closed harms nobody.
            if !releases && kind.is_some_and(|kind| self.cx.models().deals_with(package, kind)) {
                let trail = state.trail.clone();
                self.events.again(Again { site, first, second: ops.place, kind: Second::Use, trail });
            }
        }
    }

    /// Makes the releases that a model or a method's name tells of. Where a method releases only at its end (`Next`),
    /// the path splits.
    pub(super) fn releases(&mut self, mut state: State, function: &Function<'_>, ops: &Operands) -> Vec<State> {
        let place = ops.place;
        let listed = function.roles.map_or(&[][..], |roles| &roles.release);
        self.part_of_parameter(&mut state, function, ops);
        for &sym in ops.recv.iter().chain(&ops.args) {
            for site in self.sites_at(&state, sym) {
                let is_listed = match self.kind(site) {
                    Some(kind) => listed.contains(&kind),
                    None => !listed.is_empty() && ops.recv != Some(sym),
                };
                if is_listed {
                    let twice = listed.iter().copied().find(|&kind| self.cx.models().resource(kind).twice.is_some());
                    self.released_as(site, twice);
                    self.release(&mut state, site, place);
                }
            }
        }
        let Some(recv) = ops.recv else { return vec![state] };
        let released = self.released_by(&state, recv, function.method);
        if !released.is_empty() {
            for site in released {
                self.by_owner = self.site_of(recv) != Some(site);
                self.release(&mut state, site, place);
            }
            self.by_owner = false;
            return vec![state];
        }
        if self.site_of(recv).is_none()
            && self.cx.models().is_release_name(function.method)
            && function.id.is_none_or(|id| self.cx.pkg.summary(id).is_none())
        {
            // Something that may hold a resource, or a part of it, is closed by a method that is not looked into.
            let mut whole = recv;
            while let Def::Field(base, _) = self.syms.def(whole) {
                self.escape(&mut state, whole, Escape::Passed);
                whole = base;
            }
            self.escape(&mut state, whole, Escape::Passed);
        }
        self.maker_fails(&state, function, recv, place);
        if let Some(site) = self.site_of(recv)
            && let Some(resource) = self.model(site)
            && resource.exhaust.iter().any(|name| name == function.method)
            && state.status(site) == Status::Open
        {
            let more = self.syms.of(Def::Out(place, 0));
            let mut done = state.clone();
            done.resource_mut(site).status = Status::Released(place);
            self.events.sites[site.0 as usize].released.get_or_insert(place);
            done.facts.set(more, Fact::False);
            state.facts.set(more, Fact::True);
            return vec![state, done];
        }
        vec![state]
    }

    /// A field of a parameter that is about to be released becomes a resource of the caller.
    fn part_of_parameter(&mut self, state: &mut State, function: &Function<'_>, ops: &Operands) {
        let by_name = self.cx.models().is_release_name(function.method);
        let by_model = function.roles.is_some_and(|roles| !roles.release.is_empty());
        let released = ops.recv.filter(|_| by_name).into_iter().chain(ops.args.iter().copied().filter(|_| by_model));
        for sym in released {
            self.field_of_parameter(state, sym);
        }
    }

    /// The resource of the caller that a field of a parameter is, from here on.
    fn field_of_parameter(&mut self, state: &mut State, sym: Sym) -> Option<SiteId> {
        if let Some(known) = self.site_of(sym) {
            // Another path met it first.
            let is_part = matches!(self.events.sites[known.0 as usize].origin, Origin::ParamField(..));
            if is_part && state.status(known) == Status::Absent {
                state.resource_mut(known).status = Status::Open;
            }
            return Some(known);
        }
        let mut path = Vec::new();
        let mut at = sym;
        while let Def::Field(base, name) = self.syms.def(at) {
            path.push(name);
            at = base;
        }
        path.reverse();
        let Def::Var(param) = self.syms.def(at) else { return None };
        if path.is_empty() || !self.is_parameter(param) {
            return None;
        }
        let site = self.add_site(Origin::ParamField(param, path), None, sym, None)?;
        state.resource_mut(site).status = Status::Open;
        Some(site)
    }

    /// What a function releases of what it was given, and on which returns.
    pub(super) fn released_parts(
        &mut self,
        state: &mut State,
        summary: &Summary,
        ops: &Operands,
    ) -> Vec<(SiteId, When)> {
        let mut released: Vec<(SiteId, When)> = Vec::new();
        for release in &summary.releases {
            if release.path.first() == Some(&super::sym::element()) {
                // Each argument of a variadic parameter, or what the slice holds.
                let first = release.param.saturating_sub(usize::from(ops.recv.is_some()));
                let mut unknown = Vec::new();
                for &arg in ops.args.iter().skip(first) {
                    let held = state.held_by(arg).map(|(_, held)| held);
                    for sym in std::iter::once(arg).chain(held) {
                        match self.site_of(sym) {
                            Some(site) => released.push((site, release.when)),
                            None => unknown.push(sym),
                        }
                    }
                }
                for sym in unknown {
                    self.escape(state, sym, Escape::Passed);
                }
            } else if let Some(sym) = self.part(state, release, ops) {
                match self.field_of_parameter(state, sym) {
                    Some(site) => {
                        self.released_as(site, release.kind);
                        released.push((site, release.when));
                    }
                    // What holds a resource is closed, or a part of it: that may release it.
                    None => {
                        self.escape(state, sym, Escape::Passed);
                        if let Some(whole) = ops.param(release.param) {
                            self.escape(state, whole, Escape::Passed);
                        }
                    }
                }
            }
        }
        released
    }

    /// The resource that a function releases of what it was given.
    pub(super) fn released_part(&mut self, state: &State, release: &Release, ops: &Operands) -> Option<SiteId> {
        let sym = self.part(state, release, ops)?;
        self.site_of(sym)
    }

    /// What a function releases of what it was given.
    pub(super) fn part(&mut self, state: &State, release: &Release, ops: &Operands) -> Option<Sym> {
        let mut sym = ops.param(release.param)?;
        for &name in &release.path {
            sym = self.field(state, sym, name);
        }
        Some(sym)
    }
}

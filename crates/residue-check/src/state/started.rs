//! Calls that `go` starts: what becomes of what a goroutine is given.

use residue_flow::Parent;
use residue_flow::ir;
use residue_syntax::ast::ExprId;
use residue_types::Callee;

use super::call::Operands;
use super::events::{Exit, Left};
use super::exec::{Exec, Frame};
use super::store::{Escape, SiteId, State, Status};
use super::summary::Effect;
use super::sym::{Def, Place};

impl Exec<'_> {
    /// `go f(…)`: what the goroutine may release or keep is somebody else's from here on; what it only uses stays.
    pub(super) fn go_statement(&mut self, state: &mut State, body: u16, ir: &ir::Body, id: ir::CallId, place: Place) {
        let call = ir.call(id);
        let args = self.temps(state, body, ir.values(call.args));
        let fun = call.fun.map(|fun| self.temp(state, body, fun));
        let recv = call.recv.map(|recv| self.temp(state, body, recv));
        let ops = Operands { place, fun, recv, args, spread: call.spread };
        let lit = match (&call.callee, fun.map(|fun| self.syms.def(fun))) {
            (&Callee::Literal(lit), _) | (Callee::Dynamic, Some(Def::Closure(lit))) => Some(lit),
            _ => None,
        };
        let stays = lit.map_or_else(Vec::new, |lit| self.goroutine(state, lit, &ops));
        let summary = match call.callee {
            Callee::Func(id) => self.cx.pkg.summary(id),
            _ => None,
        };
        for (param, sym) in recv.into_iter().chain(ops.args).enumerate() {
            let borrows = summary.as_ref().is_some_and(|summary| summary.params.get(param) == Some(&Effect::Borrowed));
            let stays = self.site_of(sym).is_some_and(|site| stays.contains(&site));
            if matches!(self.syms.def(sym), Def::Closure(_)) {
                self.escape(state, sym, Escape::Passed);
            } else if !borrows && !stays {
                self.escape(state, sym, Escape::Stored);
            }
        }
        if let Some(fun) = fun {
            let how = if matches!(self.syms.def(fun), Def::Closure(_)) { Escape::Passed } else { Escape::Stored };
            self.escape(state, fun, how);
        }
        self.started(state, call, place);
    }

    /// Follows a literal that runs as a goroutine along its paths, and files what it releases on some of them only.
    /// Gives the resources that it leaves as they are on all.
    fn goroutine(&mut self, state: &State, lit: ExprId, ops: &Operands) -> Vec<SiteId> {
        let open: Vec<SiteId> = state.open().filter(|&site| self.kind(site).is_some()).collect();
        if open.is_empty() {
            return Vec::new();
        }
        let Some(mut exits) = self.goroutine_exits(state.clone(), lit, ops) else { return Vec::new() };
        // A panic that leaves a goroutine ends the process.
        exits.retain(|exit| !exit.state.unwinds);
        let mut stays = Vec::new();
        for site in open {
            let left = exits.iter().find(|exit| exit.state.status(site) == Status::Open);
            let released = |exit: &Exit| matches!(exit.state.status(site), Status::Released(_));
            match left {
                None => {}
                Some(_) if exits.iter().all(|exit| exit.state.status(site) == Status::Open) => stays.push(site),
                // Handed on where it is not released: somebody has it.
                Some(_) if !exits.iter().all(|exit| released(exit) || exit.state.status(site) == Status::Open) => {}
                Some(exit) => {
                    self.events.left(Left { site, place: ops.place, at: exit.at, trail: exit.state.trail.clone() });
                }
            }
        }
        stays
    }

    /// The ways in which a goroutine ends. None where it cannot be followed.
    fn goroutine_exits(&mut self, mut state: State, lit: ExprId, ops: &Operands) -> Option<Vec<Exit>> {
        let body = self.loaded(Parent::Expr(lit))?;
        self.set_params(&mut state, lit, ops);
        state.defers = None;
        // Nothing of this frame runs when it panics, and what it acquires itself is seen to where it is executed.
        let frames = std::mem::take(&mut self.frames);
        let was_direct = std::mem::replace(&mut self.directly_deferred, false);
        let gave_up = self.events.gave_up.take();
        self.deferring += 1;
        self.frames.push(Frame { defers: None });
        let exits = self.run(body, state);
        self.deferring -= 1;
        self.frames = frames;
        self.directly_deferred = was_direct;
        let incomplete = std::mem::replace(&mut self.events.gave_up, gave_up).is_some();
        (!incomplete).then_some(exits)
    }
}

//! What a call does to what is followed.

use residue_flow::Stop;
use residue_flow::ir;
use residue_syntax::ast::ExprId;
use residue_types::{Builtin, Callee, ObjId, Objects, Type};
use std::sync::Arc;

use super::events::{Origin, Why};
use super::exec::Exec;
use super::store::{Escape, Fact, Field, SiteId, State, Status};
use super::summary::{Effect, Summary, When};
use super::sym::{Def, Place, Sym};
use crate::model::Roles;

/// A call's operands as symbols.
pub(super) struct Operands {
    /// The instruction.
    pub(super) place: Place,
    pub(super) fun: Option<Sym>,
    pub(super) recv: Option<Sym>,
    pub(super) args: Vec<Sym>,
    /// Whether the last argument is the slice of a variadic parameter, not an element of it.
    pub(super) spread: bool,
}

impl Operands {
    /// What a parameter gets; the receiver is the first.
    pub(super) fn param(&self, param: usize) -> Option<Sym> {
        self.recv.iter().chain(&self.args).nth(param).copied()
    }
}

/// A function that is called.
pub(super) struct Function<'a> {
    /// The call expression.
    pub(super) expr: ExprId,
    /// The function, where it is declared somewhere.
    pub(super) id: Option<ObjId>,
    /// The method's name; empty for a function.
    pub(super) method: &'static str,
    pub(super) roles: Option<&'a Roles>,
    /// What is known of it, where no model speaks of it.
    pub(super) summary: Option<Arc<Summary>>,
}

impl<'a> Exec<'a> {
    /// Makes a call. No state where it does not return.
    pub(super) fn apply(&mut self, mut state: State, call: &ir::Call, mut ops: Operands) -> Vec<State> {
        let callee = match (&call.callee, ops.fun.map(|fun| self.syms.def(fun))) {
            (&Callee::Literal(lit), _) => return self.literal(state, lit, &ops),
            (Callee::Dynamic | Callee::Unknown, Some(Def::Closure(lit))) => return self.literal(state, lit, &ops),
            (Callee::Dynamic | Callee::Unknown, Some(Def::Func(id))) => Callee::Func(id),
            (Callee::Dynamic | Callee::Unknown, Some(Def::Method(recv, id))) => {
                ops.recv = Some(recv);
                Callee::Func(id)
            }
            (Callee::Dynamic | Callee::Unknown, Some(Def::InterfaceMethod(recv, method))) => {
                ops.recv = Some(recv);
                Callee::Interface { recv: Type::Unknown, method }
            }
            (Callee::Dynamic, _) => self.cx.function_value(call.expr).map_or(Callee::Dynamic, Callee::Func),
            (callee, _) => callee.clone(),
        };
        match callee {
            Callee::Builtin(builtin) => self.builtin(state, builtin, call, &ops),
            Callee::Func(id) => {
                let roles = self.cx.roles_of(id);
                let object = self.cx.pkg.bodies.object(id);
                let is_method = object.and_then(|o| o.func()).is_some_and(|func| func.recv().is_some());
                let method = if is_method { object.map_or("", |o| o.name.as_str()) } else { "" };
                let summary = if roles.is_none() { self.cx.pkg.summary(id) } else { None };
                self.function(state, &Function { expr: call.expr, id: Some(id), method, roles, summary }, &ops)
            }
            Callee::Interface { method, .. } => {
                let roles = self.cx.roles(call.expr);
                let summary = if roles.is_none() { self.cx.summary_of(&callee) } else { None };
                let method = method.as_str();
                self.function(state, &Function { expr: call.expr, id: None, method, roles, summary }, &ops)
            }
            _ => {
                let roles = self.cx.roles(call.expr);
                let is_cancel = ops
                    .fun
                    .and_then(|fun| self.site_of(fun))
                    .is_some_and(|site| matches!(self.events.sites[site.0 as usize].origin, Origin::Cancel { .. }));
                if roles.is_none() && call.callee == Callee::Dynamic && !is_cancel {
                    // One that speaks of closing is a release, and none is skipped that panics itself.
                    let closes = self.cx.called_text(call.expr).to_ascii_lowercase().contains("close");
                    let mut without = state.clone();
                    for site in ops.args.iter().filter(|_| closes).filter_map(|&arg| self.site_of(arg)) {
                        without.resource_mut(site).status = Status::Escaped(Escape::Passed);
                    }
                    self.panic(&without, ops.place, &Why::Callback);
                }
                if let Some(fun) = ops.fun {
                    // What a function value does when called is not known; it may be what cancels or closes.
                    self.havoc(&mut state, fun, ops.place);
                }
                self.function(state, &Function { expr: call.expr, id: None, method: "", roles, summary: None }, &ops)
            }
        }
    }

    /// A call of a function literal.
    fn literal(&mut self, state: State, lit: ExprId, ops: &Operands) -> Vec<State> {
        self.inline(state, lit, ops).unwrap_or_else(|mut state| {
            if let Some(fun) = ops.fun {
                self.escape(&mut state, fun, Escape::Stored);
                self.havoc(&mut state, fun, ops.place);
            }
            self.unknown(*state, ops)
        })
    }

    /// A call of which nothing is known.
    fn unknown(&mut self, mut state: State, ops: &Operands) -> Vec<State> {
        for &arg in &ops.args {
            self.escape(&mut state, arg, Escape::Passed);
            self.havoc(&mut state, arg, ops.place);
        }
        self.new_results(&mut state, ops.place);
        vec![state]
    }

    fn new_results(&mut self, state: &mut State, place: Place) {
        state.temps.retain(|(at, _), _| at != place);
        let sym = self.new_value(state, place);
        state.temps.set((place, 0), sym);
    }

    fn builtin(&mut self, mut state: State, builtin: Builtin, call: &ir::Call, ops: &Operands) -> Vec<State> {
        let place = ops.place;
        let first = ops.args.first().copied();
        let result = match builtin {
            Builtin::Panic => {
                if self.deferring > 0 {
                    // A deferred call that panics, perhaps again: the ones below it still run.
                    state.panics = state.panics.saturating_add(1);
                    state.unwinds = true;
                    return vec![state];
                }
                self.panic(&state, place, &Why::Here("panic"));
                return Vec::new();
            }
            Builtin::Recover if state.panics > 0 && self.directly_deferred => {
                state.panics -= 1;
                let sym = self.new_value(&mut state, place);
                state.facts.set(sym, Fact::NotNil);
                self.recovered.insert(sym);
                sym
            }
            Builtin::Recover => Sym::NIL,
            Builtin::Append => {
                let mut held: Vec<Sym> = Vec::new();
                for (i, &arg) in ops.args.iter().enumerate() {
                    let is_slice = i == 0 || (call.spread && i + 1 == ops.args.len());
                    if is_slice {
                        held.extend(state.held_by(arg).map(|(_, sym)| sym));
                    } else if self.carries(&state, arg) {
                        held.push(arg);
                    }
                }
                let sym = self.syms.of(Def::Alloc(place));
                // What others see stays seen.
                let shared = state.shared.get(sym).is_some();
                self.refresh(&mut state, place);
                if shared {
                    state.shared.set(sym, ());
                }
                held.sort_unstable();
                held.dedup();
                for (i, value) in held.into_iter().enumerate() {
                    state.fields.set((sym, Field::Element(i as u32)), value);
                }
                sym
            }
            Builtin::Make | Builtin::New => {
                self.refresh(&mut state, place);
                self.syms.of(Def::Alloc(place))
            }
            Builtin::Len => match first {
                Some(first) => {
                    // Who counts the elements takes them one by one.
                    self.release_elements(&mut state, first);
                    self.syms.of(Def::Len(first))
                }
                None => self.new_value(&mut state, place),
            },
            Builtin::Copy => {
                for &arg in &ops.args {
                    let held: Vec<Sym> = state.held_by(arg).map(|(_, sym)| sym).collect();
                    for sym in held {
                        self.escape(&mut state, sym, Escape::Stored);
                    }
                }
                self.new_value(&mut state, place)
            }
            _ => self.new_value(&mut state, place),
        };
        state.temps.retain(|(at, _), _| at != place);
        state.temps.set((place, 0), result);
        vec![state]
    }

    /// A call of a declared function, of a method, or of something that a model speaks of.
    fn function(&mut self, mut state: State, function: &Function<'a>, ops: &Operands) -> Vec<State> {
        let place = ops.place;
        let roles = function.roles;
        let summary = function.summary.clone();
        match roles.and_then(|roles| roles.no_return).or_else(|| summary.as_ref().and_then(|s| s.stops)) {
            Some(Stop::Exit) => {
                self.events.ended(&state, place);
                return Vec::new();
            }
            Some(Stop::Panic) => {
                self.panic(&state, place, &Why::Here("a call that panics"));
                return Vec::new();
            }
            Some(Stop::Goexit | Stop::Never) => return Vec::new(),
            None => {}
        }
        if roles.is_some_and(|roles| roles.test_fails) {
            return Vec::new();
        }
        if self.deferring > 0 && summary.as_ref().is_some_and(|summary| self.panics_again(summary, ops)) {
            state.panics = state.panics.saturating_add(1);
            state.unwinds = true;
            return vec![state];
        }
        let panics = summary.as_ref().and_then(|summary| summary.panics.as_ref());
        // What is constant was tried when the code was written.
        let varies = ops.recv.is_some() || ops.args.is_empty() || self.cx.has_variable_argument(function.expr);
        let panics = panics.filter(|_| varies);
        if let Some(panics) = panics.filter(|_| !function.id.is_some_and(|id| self.cx.is_std_of_others(id))) {
            let name = self.name(function);
            // What the callee takes over, it may have deferred the release of.
            let mut without = state.clone();
            for release in summary.iter().flat_map(|summary| &summary.releases) {
                if let Some(site) = self.released_part(&state, release, ops) {
                    without.resource_mut(site).status = Status::Escaped(Escape::Passed);
                }
            }
            // Nor is a release skipped that panics itself.
            for site in ops.recv.map_or_else(Vec::new, |recv| self.released_by(&state, recv, function.method)) {
                without.resource_mut(site).status = Status::Escaped(Escape::Passed);
            }
            self.panic(&without, place, &Why::Callee { name, panics: panics.clone() });
        } else if roles.is_some_and(|roles| roles.panics) && self.cx.has_variable_argument(function.expr) {
            self.panic(&state, place, &Why::Here("an argument that is not right"));
        } else if self.wants_recovery && self.deferring == 0 {
            self.panic(&state, place, &Why::Any);
        }
        if !self.expectations(&mut state, function, ops) {
            return Vec::new();
        }
        if state.panics > 0 && self.directly_deferred && summary.as_ref().is_some_and(|summary| summary.recovers) {
            state.panics -= 1;
        }
        self.uses_after_release(&state, function, ops);
        self.finalizers(&mut state, function, ops);
        if let Some(text) = match roles {
            Some(roles) => roles.outlives.then(|| self.cx.called_text(function.expr)),
            None => summary.as_ref().and_then(|summary| summary.outlives.clone()),
        } {
            state.outlived.set(super::digest(&text), ());
        }
        self.answers(&mut state, function, ops);
        self.new_results(&mut state, place);
        if function.method == "Done"
            && let Some(&site) = ops.recv.and_then(|context| self.cancels.get(&context))
        {
            let done = self.syms.of(Def::Out(place, 0));
            self.cancels.insert(done, site);
        }
        let mut states = self.releases(state, function, ops);
        for state in &mut states {
            self.arguments(state, function, summary.as_deref(), ops);
        }
        if let Some(summary) = &summary {
            states = self.summarised(states, function, summary, ops);
        }
        for state in &mut states {
            self.acquires(state, function, summary.as_deref(), ops);
            self.error_tests(state, function, ops);
            self.text_tests(state, function, ops);
            self.settled(state, function, ops);
            let makes_error = roles.is_some_and(|roles| roles.makes_error)
                || summary.as_ref().is_some_and(|summary| summary.makes_error);
            let never_fails = roles.is_some_and(|roles| roles.never_fails);
            if !makes_error && !never_fails {
                self.wrapped_error(state, function, ops);
            } else if let Some(error) = self.error_result(function.expr) {
                let error = self.syms.of(Def::Out(place, error as u32));
                self.set_nil(state, error, never_fails);
            }
        }
        states
    }

    /// Whether a function panics again with what was recovered.
    fn panics_again(&self, summary: &Summary, ops: &Operands) -> bool {
        let mut operands = ops.recv.iter().chain(&ops.args).take(u64::BITS as usize).enumerate();
        operands.any(|(i, sym)| summary.repanics & (1 << i) != 0 && self.recovered.contains(sym))
    }

    fn name(&self, function: &Function<'_>) -> String {
        match function.id {
            Some(id) => self.cx.short_name(id),
            None => function.method.to_owned(),
        }
    }

    /// What a call says about errors: `require.NoError(t, err)`, `err.Error()`. False where the path can't be.
    fn expectations(&mut self, state: &mut State, function: &Function<'_>, ops: &Operands) -> bool {
        let wants = function.roles.map_or((false, false), |roles| (roles.expects_error, roles.expects_success));
        if wants != (false, false) {
            for &arg in &ops.args {
                if !self.is_error(arg) {
                    continue;
                }
                let nil = wants.1;
                match self.is_nil(state, arg) {
                    Some(known) if known != nil => return false,
                    Some(_) => {}
                    None => self.set_nil(state, arg, nil),
                }
            }
        }
        if function.method == "Error"
            && ops.args.is_empty()
            && let Some(recv) = ops.recv
            && self.is_error(recv)
        {
            if self.is_nil(state, recv) == Some(true) {
                return false;
            }
            self.set_nil(state, recv, false);
        }
        true
    }

    /// A call that is given an error and gives one: the second is the first with more to say, and nil where that is.
    fn wrapped_error(&mut self, state: &mut State, function: &Function<'_>, ops: &Operands) {
        let Some(result) = self.error_result(function.expr) else { return };
        let error = residue_types::error_type();
        let args: Vec<ExprId> = self.cx.arguments(function.expr).collect();
        if args.len() != ops.args.len() {
            return;
        }
        let mut errors = args.iter().zip(&ops.args).filter(|&(&arg, _)| *self.cx.info().type_of(arg) == error);
        // Of other errors, as far as the name says so: `errors.Wrapf(err, …)` is none only where `err` is.
        let name = self.cx.called_text(function.expr);
        let wraps = name.rsplit('.').next().is_some_and(|name| name.starts_with("Wrap"));
        if let (Some((_, &given)), None) = (errors.next(), errors.next())
            && (self.is_error(given) || wraps && self.is_nil(state, given) == Some(false))
        {
            let single = !matches!(self.cx.info().type_of(function.expr), Type::Tuple(_));
            state.temps.set((ops.place, result as u32 + 1), given);
            if single {
                state.temps.set((ops.place, 0), given);
            }
        }
    }

    /// A method that can't fail on what was acquired: the handshake of a connection that was dialled.
    fn settled(&mut self, state: &mut State, function: &Function<'_>, ops: &Operands) {
        let resource = ops.recv.and_then(|recv| self.site_of(recv)).and_then(|site| self.model(site));
        if let Some(resource) = resource
            && resource.settled.iter().any(|name| name == function.method)
            && let Some(error) = self.error_result(function.expr)
        {
            let error = self.syms.of(Def::Out(ops.place, error as u32));
            self.set_nil(state, error, true);
        }
    }

    /// Whether a symbol came with a resource as its error.
    fn is_error(&self, sym: Sym) -> bool {
        self.events.sites.iter().any(|site| site.error == Some(sym))
    }

    /// Questions that only an error answers with yes.
    fn error_tests(&mut self, state: &mut State, function: &Function<'_>, ops: &Operands) {
        let Type::Basic(basic) = self.cx.info().type_of(function.expr) else { return };
        if !basic.is_boolean() {
            return;
        }
        let args: Vec<ExprId> = self.cx.arguments(function.expr).collect();
        if args.len() != ops.args.len() {
            return;
        }
        if function.roles.is_some_and(|roles| roles.expects_error || roles.expects_success) {
            // The test goes on as it wants only.
            state.temps.set((ops.place, 0), Sym::TRUE);
            return;
        }
        let error = args.iter().position(|&arg| *self.cx.info().type_of(arg) == residue_types::error_type());
        if let Some(i) = error {
            let test = self.syms.of(Def::ErrorTest(ops.place, ops.args[i]));
            state.temps.set((ops.place, 0), test);
        }
    }

    /// Questions about the ends of a text.
    fn text_tests(&mut self, state: &mut State, function: &Function<'_>, ops: &Operands) {
        if let Some(end) = function.roles.and_then(|roles| roles.tests_end)
            && let &[text, part] = &ops.args[..]
        {
            let test = self.syms.of(Def::Affix(end, text, part));
            state.temps.set((ops.place, 0), test);
        }
    }

    /// A deferred call that gives an HTTP request a status. Writing a body alone, or setting headers, gives it a 200.
    fn answers(&mut self, state: &mut State, function: &Function<'_>, ops: &Operands) {
        let Some(writer) = self.writer.filter(|_| self.deferring > 0) else { return };
        let is_writer = |state: &State, sym: Sym| {
            sym == writer || state.fields.iter().any(|((base, _), held)| base == sym && held == writer)
        };
        if ops.recv.is_some_and(|recv| is_writer(state, recv)) {
            state.answered |= !matches!(function.method, "Write" | "WriteString" | "Header");
        }
        let only_writes = function.roles.is_some_and(|roles| roles.borrows || roles.wraps);
        // A literal that has the writer may answer when it is called.
        let has_writer = |state: &State, arg: Sym| match self.syms.def(arg) {
            Def::Closure(lit) => {
                let captured = self.cx.captured(lit);
                captured.iter().any(|&var| {
                    self.syms.def(writer) == Def::Var(var)
                        || state.env.get(var).is_some_and(|sym| is_writer(state, sym))
                })
            }
            _ => false,
        };
        state.answered |= !only_writes && ops.args.iter().any(|&arg| is_writer(state, arg) || has_writer(state, arg));
    }

    /// `runtime.SetFinalizer(x, release)`: what `release` releases of `x` has a second owner from here on.
    fn finalizers(&mut self, state: &mut State, function: &Function<'_>, ops: &Operands) {
        let Some(id) = function.id else { return };
        let bodies = self.cx.pkg.bodies;
        if bodies.program().package_path(id.pkg) != "runtime"
            || bodies.object(id).is_none_or(|object| object.name.as_str() != "SetFinalizer")
        {
            return;
        }
        let &[object, release] = &ops.args[..] else { return };
        if release == Sym::NIL {
            let (syms, sites) = (&self.syms, &self.events.sites);
            let is_part = |sym: Sym| {
                let mut at = sym;
                while let Def::Field(base, _) = syms.def(at) {
                    at = base;
                }
                at == object
            };
            let held: Vec<Sym> = state.held_by(object).map(|(_, held)| held).collect();
            state.finalized.retain(|site, _| {
                let sym = sites[site.0 as usize].sym;
                !is_part(sym) && !held.contains(&sym)
            });
            return;
        }
        let Def::Closure(lit) = self.syms.def(release) else { return };
        for path in self.cx.released_by_literal(lit) {
            let mut sym = object;
            for &name in &path {
                sym = self.field(state, sym, name);
            }
            if let Some(site) = self.site_of(sym) {
                state.finalized.set(site, ops.place);
            }
        }
    }

    /// The resources that a value is or, as the model has it, holds in one field.
    pub(super) fn sites_at(&self, state: &State, sym: Sym) -> Vec<SiteId> {
        let own = self.site_of(sym);
        let held = state.held_by(sym).filter(|(field, _)| matches!(field, Field::Named(_)));
        let held = held.filter_map(|(_, held)| self.site_of(held));
        let is_field = |&site: &SiteId| self.model(site).is_some_and(|resource| resource.field.is_some());
        own.into_iter().chain(held.filter(is_field)).collect()
    }

    // Arguments.

    fn arguments(&mut self, state: &mut State, function: &Function<'_>, summary: Option<&Summary>, ops: &Operands) {
        let place = ops.place;
        let out = self.syms.of(Def::Out(place, 0));
        let has_receiver = ops.recv.is_some();
        for (i, &arg) in ops.args.iter().enumerate() {
            let roles = function.roles;
            if roles.is_some_and(|roles| roles.keeps) {
                self.escape(state, arg, Escape::Stored);
            } else if roles.is_some_and(|roles| roles.owns || roles.wraps) {
                if self.carries(state, arg) {
                    let owns = roles.is_some_and(|roles| roles.owns);
                    let field = if owns { Field::Owns(i as u32) } else { Field::Wraps(i as u32) };
                    state.fields.set((out, field), arg);
                }
            } else if roles.is_some_and(|roles| roles.runs) && matches!(self.syms.def(arg), Def::Closure(_)) {
                self.escape(state, arg, Escape::Passed);
            } else if roles.is_some_and(|roles| roles.borrows) {
                if roles.is_some_and(|roles| roles.drains) {
                    for site in self.sites_at(state, arg) {
                        state.resource_mut(site).drained = true;
                    }
                }
            } else if let Some(summary) = summary {
                let last = summary.params.len().saturating_sub(1);
                let param = (i + usize::from(has_receiver)).min(last);
                let escapes = summary.effect(param) == Effect::Escaped;
                if param < 64 && summary.drains & (1 << param) != 0 {
                    for site in self.sites_at(state, arg) {
                        state.resource_mut(site).drained = true;
                    }
                }
                if escapes && self.writer == Some(arg) {
                    // What answers a request may go on through what is made of its writer.
                    state.fields.set((out, Field::Owns(i as u32)), arg);
                }
                match self.syms.def(arg) {
                    Def::Method(..) | Def::InterfaceMethod(..) if param < 64 && summary.called & (1 << param) != 0 => {
                        self.method_called(state, arg, place);
                    }
                    Def::Closure(_) if escapes => self.escape(state, arg, Escape::Stored),
                    // A literal that is called there does what it does.
                    Def::Closure(_) => self.escape(state, arg, Escape::Passed),
                    _ if escapes => self.escape(state, arg, Escape::Passed),
                    _ => {}
                }
            } else if matches!(self.syms.def(arg), Def::Closure(_)) {
                // It may be kept, and called when this function has returned.
                self.escape(state, arg, Escape::Stored);
            } else if !self.is_left(state, function, arg) {
                self.escape(state, arg, Escape::Passed);
            }
            self.havoc(state, arg, place);
        }
        if let Some(recv) = ops.recv
            && self.site_of(recv).is_none()
        {
            let escapes = match summary {
                Some(summary) => summary.effect(0) == Effect::Escaped,
                None => function.roles.is_none() && function.id.is_some_and(|id| self.cx.pkg.is_analysed(id)),
            } || self.may_release_receiver(state, function, recv);
            if escapes {
                self.escape(state, recv, Escape::Passed);
            }
        }
    }

    /// A method value that is handed to a function which calls it: `logged(f.Close)`.
    fn method_called(&mut self, state: &mut State, value: Sym, place: Place) {
        let (recv, method) = match self.syms.def(value) {
            Def::Method(recv, method) => {
                (recv, self.cx.pkg.bodies.object(method).map_or("", |method| method.name.as_str()))
            }
            Def::InterfaceMethod(recv, method) => (recv, method.as_str()),
            _ => return,
        };
        let released = self.released_by(state, recv, method);
        if released.is_empty() {
            self.escape(state, value, Escape::Passed);
        }
        for site in released {
            self.release(state, site, place);
        }
    }

    /// Whether a call through an interface may release what its receiver holds.
    fn may_release_receiver(&self, state: &State, function: &Function<'_>, recv: Sym) -> bool {
        let Callee::Interface { recv: ty, method } = self.cx.callee(function.expr) else { return false };
        self.carries(state, recv) && self.cx.pkg.may_release(&ty, method, self.cx.source().test)
    }

    /// Whether a call leaves an argument with its caller though no role says so.
    fn is_left(&self, state: &State, function: &Function<'_>, arg: Sym) -> bool {
        if let (Some(name), Some(site)) = (self.cx.cgo_name(function.expr), self.site_of(arg))
            && let Some(kind) = self.kind(site)
        {
            return self.cx.models().leaves("C", name, kind);
        }
        // A struct that only carries arguments.
        state.shared.get(arg).is_none() && self.is_options(arg)
    }

    fn is_options(&self, arg: Sym) -> bool {
        let Def::Alloc(place) = self.syms.def(arg) else { return false };
        let ir = self.ir(place.body);
        let ir::At::Expr(lit) = ir.instr(ir::Value::new(place.value as usize)).at else { return false };
        let ty = self.cx.info().type_of(lit);
        let named = self.cx.pkg.bodies.type_name(ty.strip_pointer());
        named.is_some_and(|(package, name)| self.cx.models().is_options(package, name.as_str()))
    }

    // Summaries.

    /// The index of the error among a call's results.
    pub(super) fn error_result(&self, expr: ExprId) -> Option<usize> {
        let bodies = self.cx.pkg.bodies;
        let is_error = |ty: &Type| {
            *ty == residue_types::error_type() || bodies.type_name(ty).is_some_and(|(_, name)| name.as_str() == "Errno")
        };
        match self.cx.info().type_of(expr) {
            Type::Tuple(types) => types.iter().rposition(is_error),
            ty => is_error(ty).then_some(0),
        }
    }

    fn summarised(
        &mut self,
        states: Vec<State>,
        function: &Function<'_>,
        summary: &Summary,
        ops: &Operands,
    ) -> Vec<State> {
        let place = ops.place;
        let mut out = Vec::new();
        for mut state in states {
            for &(param, result) in &summary.passes {
                if let Some(sym) = ops.param(param)
                    && (self.carries(&state, sym) || self.writer == Some(sym))
                {
                    let result = self.syms.of(Def::Out(place, result as u32));
                    state.fields.set((result, Field::Owns(param as u32)), sym);
                }
            }
            let released = self.released_parts(&mut state, summary, ops);
            let depends = released.iter().any(|&(_, when)| when != When::Always);
            let error = self.error_result(function.expr).filter(|_| depends);
            let Some(error) = error else {
                for &(site, _) in &released {
                    self.release(&mut state, site, place);
                }
                out.push(state);
                continue;
            };
            let error = self.syms.of(Def::Out(place, error as u32));
            for nil in [true, false] {
                let mut state = state.clone();
                self.set_nil(&mut state, error, nil);
                // Where it is not certain what a failure releases, one path has it and one has not.
                let perhaps = !nil && released.iter().any(|&(_, when)| when == When::SuccessPerhapsFailure);
                let mut not = perhaps.then(|| state.clone());
                for &(site, when) in &released {
                    let certain = match when {
                        When::Always => true,
                        When::Success | When::SuccessPerhapsFailure => nil,
                        When::Failure => !nil,
                    };
                    if certain || when == When::SuccessPerhapsFailure {
                        self.release(&mut state, site, place);
                    }
                    if certain && let Some(not) = &mut not {
                        self.release(not, site, place);
                    }
                }
                out.push(state);
                out.extend(not);
            }
        }
        out
    }
}

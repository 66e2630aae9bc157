//! Variables and objects: what they hold, and what gets to somebody else.

use residue_flow::Parent;
use residue_flow::ir::{self, At};
use residue_syntax::ast::Span;
use residue_types::{ObjId, ObjKind, Objects, Symbol, Type, VarKind};
use rustc_hash::FxHashSet;

use super::exec::Exec;
use super::store::{Escape, Field, State, Status};
use super::summary::Effect;
use super::sym::{Def, Place, Sym};

/// Values of a composite literal that are remembered one by one.
const FIELDS_MAX: usize = 32;

impl Exec<'_> {
    /// Whether a variable belongs to the function that is analysed, literals inside it included.
    pub(super) fn is_own(&mut self, var: ObjId) -> bool {
        if let Some(&known) = self.ownership.get(&var) {
            return known;
        }
        let tree = self.cx.tree();
        let span = match self.root {
            Parent::Decl(decl) => tree.decl_span(decl),
            Parent::Expr(lit) => tree.expr_span(lit),
            _ => Span::default(),
        };
        let object = self.cx.pkg.bodies.object(var);
        let own = object.is_some_and(|object| {
            !matches!(object.kind, ObjKind::Var(VarKind::Package))
                && object.site.is_some_and(|site| {
                    site.file as usize == self.cx.index && span.contains(tree.ident_span(site.ident))
                })
        });
        self.ownership.insert(var, own);
        own
    }

    pub(super) fn load_var(&mut self, state: &State, var: ObjId) -> Sym {
        state.env.get(var).unwrap_or_else(|| self.syms.of(Def::Var(var)))
    }

    /// What a variable of struct type is to its fields.
    pub(super) fn struct_var(&mut self, state: &State, var: ObjId) -> Sym {
        let addr = self.syms.of(Def::Addr(var));
        if state.fields.iter().any(|((base, _), _)| base == addr) { addr } else { self.load_var(state, var) }
    }

    /// The zero value of a variable's type.
    pub(super) fn zero(&mut self, var: ObjId) -> Sym {
        let bodies = self.cx.pkg.bodies;
        let ty = bodies.type_of(var);
        match bodies.underlying(&ty) {
            Type::Basic(basic) if basic.is_boolean() => Sym::FALSE,
            Type::Basic(basic) if basic.is_integer() => self.syms.of(Def::Int(0)),
            Type::Basic(_) | Type::Struct(_) | Type::Array(_) | Type::Unknown => {
                self.syms.of(Def::Phi(Place { body: u16::MAX, value: 0 }, var))
            }
            _ if matches!(ty, Type::Param(_)) => self.syms.of(Def::Phi(Place { body: u16::MAX, value: 0 }, var)),
            _ => Sym::NIL,
        }
    }

    pub(super) fn store_var(&mut self, state: &mut State, var: ObjId, sym: Sym, place: Place) {
        if !self.is_own(var) {
            self.escape(state, sym, Escape::Stored);
        }
        let addr = self.syms.of(Def::Addr(var));
        state.fields.retain(|(base, _), _| base != addr);
        if state.shared.get(addr).is_some() {
            // A literal or a pointer that somebody else has leads to it.
            self.escape(state, sym, Escape::Stored);
        }
        if let Some(old) = state.env.get(var).filter(|&old| old != sym) {
            self.overwritten(state, var, old, place);
        }
        state.env.set(var, sym);
    }

    /// Whether a symbol stands for what is in memory that others can set.
    pub(super) fn is_memory(&mut self, sym: Sym) -> bool {
        match self.syms.def(sym) {
            // What a variable of this function held at first, it held at first; a struct in it too.
            Def::Var(var) => !self.is_own(var),
            Def::Field(x, _) => match self.syms.def(x) {
                Def::Var(var) if self.is_struct(var) => !self.is_own(var),
                Def::Field(..) => self.is_memory(x),
                _ => true,
            },
            Def::Len(_) => true,
            Def::Not(x) | Def::ErrorTest(_, x) => self.is_memory(x),
            Def::Compare(_, x, y) | Def::And(x, y) | Def::Or(x, y) => self.is_memory(x) || self.is_memory(y),
            _ => false,
        }
    }

    fn is_struct(&self, var: ObjId) -> bool {
        let bodies = self.cx.pkg.bodies;
        matches!(bodies.underlying(&bodies.type_of(var)), Type::Struct(_))
    }

    /// A variable is set to something else: a resource that nothing else holds is out of reach.
    fn overwritten(&mut self, state: &mut State, var: ObjId, old: Sym, place: Place) {
        let Some(site) = self.site_of(old).filter(|&site| state.status(site) == Status::Open) else { return };
        if self.is_cancel(site) {
            self.events.replaced.push((site, place));
            state.resource_mut(site).status = Status::Released(place);
            return;
        }
        let held = state.env.iter().any(|(other, held)| other != var && held == old)
            || state.fields.iter().any(|(_, held)| held == old);
        if !held && state.defers.is_none() {
            state.resource_mut(site).overwritten = Some(place);
        }
    }

    /// What a field of an object holds.
    pub(super) fn field(&mut self, state: &State, base: Sym, name: Symbol) -> Sym {
        if let Some(sym) = state.fields.get((base, Field::Named(name))) {
            return sym;
        }
        let mut base = base;
        if let Def::Addr(var) = self.syms.def(base)
            && let Some(content) = state.env.get(var)
        {
            if let Some(sym) = state.fields.get((content, Field::Named(name))) {
                return sym;
            }
            base = content;
        }
        // The next of the next is as good as the next: a list is not followed to its end.
        if matches!(self.syms.def(base), Def::Field(_, of) if of == name) {
            return base;
        }
        self.syms.of(Def::Field(base, name))
    }

    pub(super) fn deref(&mut self, state: &State, ptr: Sym) -> Sym {
        match self.syms.def(ptr) {
            Def::Addr(var) => self.load_var(state, var),
            // A copy of an object is as good as the object.
            _ => state.fields.get((ptr, Field::Named(star()))).unwrap_or(ptr),
        }
    }

    /// Whether an object was made here and nobody else sees it.
    pub(super) fn is_local(&mut self, state: &State, object: Sym) -> bool {
        if state.shared.get(object).is_some() {
            return false;
        }
        match self.syms.def(object) {
            Def::Alloc(_) => true,
            Def::Addr(var) => self.is_own(var),
            Def::Field(base, _) => self.is_local(state, base),
            Def::Phi(place, _) => place.body == u16::MAX,
            _ => false,
        }
    }

    pub(super) fn store_field(&mut self, state: &mut State, base: Sym, name: Symbol, value: Sym) {
        let mut base = base;
        if let Def::Addr(var) = self.syms.def(base)
            && let Some(content) = state.env.get(var)
            && matches!(self.syms.def(content), Def::Alloc(_))
        {
            base = content;
        }
        if !self.is_local(state, base) {
            // An object that a call here gave is this function's while nobody else has it.
            let ours = self.is_fresh(state, base);
            if !ours {
                self.escape(state, value, Escape::Stored);
            }
        }
        state.fields.set((base, Field::Named(name)), value);
        // A struct inside a struct: what holds the outer one holds it.
        let mut inner = base;
        while let Def::Field(outer, name) = self.syms.def(inner) {
            state.fields.set((outer, Field::Named(name)), inner);
            inner = outer;
        }
    }

    /// Whether a call gave an object that nobody else sees: one with a resource in it that the call made.
    pub(super) fn is_fresh(&self, state: &State, object: Sym) -> bool {
        let Def::Out(place, _) = self.syms.def(object) else { return false };
        let made = |held: Sym| self.site_of(held).is_some() && self.syms.rests_on(held, place);
        state.shared.get(object).is_none() && state.fields.iter().any(|((base, _), held)| base == object && made(held))
    }

    pub(super) fn store_element(&mut self, state: &mut State, base: Sym, place: Place, value: Sym) {
        if self.is_local(state, base) {
            if self.carries(state, value) {
                state.fields.set((base, Field::Element(place.value)), value);
            }
        } else {
            self.escape(state, value, Escape::Stored);
        }
    }

    pub(super) fn composite(
        &mut self,
        state: &mut State,
        object: Sym,
        body: u16,
        ir: &ir::Body,
        (values, fields, map): (ir::Values, ir::Values, bool),
    ) {
        let given = ir.values(values);
        let indices = ir.field_indices(fields);
        let names = self.field_names(ir, object);
        for (i, &value) in given.iter().enumerate() {
            let sym = self.temp(state, body, value);
            if (given.len() > FIELDS_MAX || map || indices.is_empty()) && !self.carries(state, sym) {
                continue;
            }
            let name = indices.get(i).and_then(|&index| names.get(index as usize));
            let field = name.map_or(Field::Element(i as u32), |&name| Field::Named(name));
            state.fields.set((object, field), sym);
        }
    }

    /// The names of the fields of the struct that a composite literal makes.
    pub(super) fn field_names(&self, ir: &ir::Body, object: Sym) -> Vec<Symbol> {
        let Def::Alloc(place) = self.syms.def(object) else { return Vec::new() };
        let At::Expr(expr) = ir.instr(ir::Value::new(place.value as usize)).at else { return Vec::new() };
        let bodies = self.cx.pkg.bodies;
        let ty = self.cx.info().type_of(expr);
        match bodies.underlying(ty.strip_pointer()) {
            Type::Struct(fields) => fields.fields.iter().map(|field| field.name).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a value is, holds or can reach something that is followed.
    pub(super) fn carries(&self, state: &State, sym: Sym) -> bool {
        self.site_of(sym).is_some()
            || matches!(
                self.syms.def(sym),
                Def::Closure(_) | Def::Method(..) | Def::InterfaceMethod(..) | Def::Addr(_) | Def::Field(..)
            )
            || state.fields.iter().any(|((base, _), _)| base == sym)
    }

    /// An element of a collection: those of a parameter's slice are one.
    pub(super) fn element(&mut self, state: &mut State, base: Sym, place: Place) -> Sym {
        match self.syms.def(base) {
            Def::Var(var) if self.is_parameter(var) => self.syms.of(Def::Field(base, super::sym::element())),
            _ => self.new_value(state, place),
        }
    }

    /// Elements are not told apart: who takes one out of a collection may release it.
    pub(super) fn release_elements(&mut self, state: &mut State, collection: Sym) {
        let held = state.held_by(collection).filter(|(field, _)| matches!(field, Field::Element(_)));
        let held: Vec<Sym> = held.map(|(_, sym)| sym).collect();
        for sym in held {
            self.escape(state, sym, Escape::Stored);
        }
    }

    /// What is compared with something other than nil or a constant may be that: `resp.Body == http.NoBody`.
    pub(super) fn compared(&mut self, state: &mut State, x: Sym, y: Sym) {
        if self.syms.is_constant(x) || self.syms.is_constant(y) {
            return;
        }
        for sym in [x, y] {
            if let Some(site) = self.site_of(sym)
                && state.status(site) == Status::Open
            {
                state.resource_mut(site).status = Status::Escaped(Escape::Stored);
            }
        }
    }

    /// A value gets to somebody else, with everything that can be reached from it.
    pub(super) fn escape(&mut self, state: &mut State, sym: Sym, how: Escape) {
        let mut work = vec![sym];
        let mut seen = FxHashSet::default();
        while let Some(sym) = work.pop() {
            if !seen.insert(sym) {
                continue;
            }
            if let Some(site) = self.site_of(sym) {
                match state.status(site) {
                    Status::Open => {
                        state.resource_mut(site).status = Status::Escaped(how);
                        self.events.sites[site.0 as usize].handed_on |= how != Escape::Returned;
                    }
                    Status::Failed => _ = self.events.used_failed.insert(site),
                    _ => {}
                }
            }
            for ((base, field), held) in state.fields.iter() {
                // Who gets a reader to read from can't close what it reads from.
                if base == sym && !(matches!(field, Field::Wraps(_)) && how == Escape::Passed) {
                    work.push(held);
                }
            }
            match self.syms.def(sym) {
                Def::Alloc(_) | Def::Out(..) | Def::Phi(..) => state.shared.set(sym, ()),
                Def::Addr(var) => {
                    state.shared.set(sym, ());
                    work.extend(state.env.get(var));
                }
                Def::Field(base, _) | Def::Method(base, _) | Def::InterfaceMethod(base, _) => {
                    // A part of a resource may be all that is needed to release it; a number is not.
                    let is_resource = self.site_of(base).is_some();
                    if is_resource || !matches!(self.syms.def(sym), Def::Field(..)) {
                        work.push(base);
                    }
                }
                Def::Closure(lit) => {
                    for &var in &*self.cx.captured(lit) {
                        let effect = self.cx.capture_effect(lit, var);
                        if effect == Effect::Borrowed && how == Escape::Passed {
                            continue;
                        }
                        let addr = self.syms.of(Def::Addr(var));
                        work.extend(state.env.get(var));
                        work.push(addr);
                    }
                }
                _ => {}
            }
        }
    }

    /// Variables whose address, or a literal that sets them, was passed to a call can hold anything after it.
    pub(super) fn havoc(&mut self, state: &mut State, sym: Sym, place: Place) {
        match self.syms.def(sym) {
            Def::Addr(var) => {
                let fresh = self.syms.of(Def::Phi(place, var));
                if !self.is_struct(var) {
                    state.facts.retain(|known, _| known != fresh);
                    state.env.set(var, fresh);
                }
            }
            Def::Closure(lit) => {
                for var in self.cx.stored_captures(lit) {
                    let fresh = self.syms.of(Def::Phi(place, var));
                    state.facts.retain(|known, _| known != fresh);
                    state.env.set(var, fresh);
                }
            }
            _ => {}
        }
    }
}

/// The name under which what a pointer points to is filed.
pub(super) fn star() -> Symbol {
    Symbol::new("*")
}

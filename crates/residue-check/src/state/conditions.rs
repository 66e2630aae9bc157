//! What branches say: nil or not, equal or not, an error or none; and what follows for the resources that came with it.

use super::exec::Exec;
use super::store::{Fact, Field, SiteId, State, Status};
use super::sym::{Affix, Def, Sym};
use residue_syntax::ast::BinaryOp;

/// Conditions that are remembered at once. What is known of errors and resources is apart.
const FACTS_MAX: usize = 64;

impl Exec<'_> {
    /// Whether a symbol is nil, where that is known.
    pub(crate) fn is_nil(&self, state: &State, sym: Sym) -> Option<bool> {
        match state.facts.get(sym) {
            Some(Fact::Nil) => return Some(true),
            Some(Fact::NotNil) => return Some(false),
            _ => {}
        }
        match self.syms.def(sym) {
            Def::Nil => Some(true),
            // A declared error: `io.EOF`, `errNotFound`.
            Def::Var(var) if self.cx.is_declared_error(var) => Some(false),
            Def::Const(_)
            | Def::Int(_)
            | Def::Alloc(_)
            | Def::Addr(_)
            | Def::Func(_)
            | Def::Closure(_)
            | Def::Method(..) => Some(false),
            _ => None,
        }
    }

    /// The truth of a condition, where it is known.
    pub(crate) fn eval(&self, state: &State, sym: Sym) -> Option<bool> {
        match state.facts.get(sym) {
            Some(Fact::True) => return Some(true),
            Some(Fact::False) => return Some(false),
            _ => {}
        }
        match self.syms.def(sym) {
            Def::Bool(value) => Some(value),
            Def::Not(inner) => self.eval(state, inner).map(|value| !value),
            Def::And(x, y) => match (self.eval(state, x), self.eval(state, y)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), other) => other,
                _ => None,
            },
            Def::Or(x, y) => match (self.eval(state, x), self.eval(state, y)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), other) => other,
                _ => None,
            },
            Def::Compare(BinaryOp::Eq, x, y) => {
                if y == Sym::NIL {
                    return self.is_nil(state, x);
                }
                if let (Some(a), Some(b)) = (self.is_nil(state, x), self.is_nil(state, y))
                    && a != b
                {
                    return Some(false);
                }
                if !self.syms.is_constant(y) {
                    return None;
                }
                // Equal to another constant.
                let other = state.facts.iter().any(|(known, fact)| {
                    fact == Fact::True
                        && matches!(self.syms.def(known), Def::Compare(BinaryOp::Eq, a, b) if a == x && b != y && self.syms.is_constant(b))
                });
                if other {
                    Some(false)
                } else {
                    self.text(state, x, y).or_else(|| self.descriptor(state, BinaryOp::Eq, x, y))
                }
            }
            Def::Affix(end, x, y) => self.affix(state, end, x, y),
            Def::Compare(op, x, y) => self.descriptor(state, op, x, y),
            Def::ErrorTest(_, error) => (self.is_nil(state, error) == Some(true)).then_some(false),
            _ => None,
        }
    }

    /// Whether a text begins or ends with a constant, by what is known of it: that it is another constant, or begins or
    /// ends with one.
    fn affix(&self, state: &State, end: Affix, x: Sym, y: Sym) -> Option<bool> {
        let part = self.texts.get(&y)?;
        state.facts.iter().find_map(|(known, fact)| match (self.syms.def(known), fact) {
            (Def::Compare(BinaryOp::Eq, text, is), Fact::True) if text == x => {
                Some(end.is_of(self.texts.get(&is)?, part))
            }
            (Def::Affix(same, text, has), _) if same == end && text == x => {
                let has = self.texts.get(&has)?;
                match fact {
                    Fact::True if end.is_of(has, part) => Some(true),
                    Fact::True if !end.is_of(part, has) => Some(false),
                    Fact::False if end.is_of(part, has) => Some(false),
                    _ => None,
                }
            }
            _ => None,
        })
    }

    /// Whether a text is a constant, by what is known of its ends: only that it is not can be.
    fn text(&self, state: &State, x: Sym, y: Sym) -> Option<bool> {
        let is = self.texts.get(&y)?;
        let excluded = state.facts.iter().any(|(known, fact)| match self.syms.def(known) {
            Def::Affix(end, text, has) if text == x => {
                let has = self.texts.get(&has);
                has.is_some_and(|has| end.is_of(is, has) != (fact == Fact::True))
            }
            _ => false,
        });
        excluded.then_some(false)
    }

    /// A comparison of a descriptor that is open with a number: it is not negative.
    pub(super) fn descriptor(&self, state: &State, op: BinaryOp, x: Sym, y: Sym) -> Option<bool> {
        let site = self.site_of(x)?;
        let open = state.status(site) == Status::Open && state.facts.get(x) == Some(Fact::NotNil);
        match (op, self.syms.def(y)) {
            (BinaryOp::Lt, Def::Int(0)) | (BinaryOp::Le | BinaryOp::Eq, Def::Int(-1)) if open => Some(false),
            _ => None,
        }
    }

    /// Takes a branch: adds what follows from a condition's truth. False where the path is impossible.
    pub(super) fn assume(&mut self, state: &mut State, cond: Sym, truth: bool) -> bool {
        if let Some(known) = self.eval(state, cond) {
            return known == truth;
        }
        match self.syms.def(cond) {
            Def::Not(inner) => return self.assume(state, inner, !truth),
            Def::And(x, y) if truth => return self.assume(state, x, true) && self.assume(state, y, true),
            Def::Or(x, y) if !truth => return self.assume(state, x, false) && self.assume(state, y, false),
            Def::Compare(BinaryOp::Eq, x, Sym::NIL) => {
                self.set_nil(state, x, truth);
                return true;
            }
            Def::Compare(BinaryOp::Eq, x, y)
                if self.sites_by_error.contains_key(&x) && self.syms.def(y) == Def::Int(0) =>
            {
                // An error number.
                self.set_nil(state, x, truth);
            }
            Def::Compare(BinaryOp::Eq, x, y) if truth => {
                self.nothing_there(state, x, y);
                // Equal to an error that is declared: `err == io.EOF`.
                if matches!(self.syms.def(y), Def::Var(_)) || self.is_nil(state, y) == Some(false) {
                    self.set_nil(state, x, false);
                }
                if matches!(self.syms.def(x), Def::Var(_)) {
                    self.set_nil(state, y, false);
                }
                if let (Some(site), Def::Int(-1)) = (self.site_of(x), self.syms.def(y)) {
                    fail(state, site);
                }
            }
            Def::Compare(op @ (BinaryOp::Lt | BinaryOp::Le), x, y) => {
                if let Some(site) = self.site_of(x)
                    && matches!((op, self.syms.def(y)), (BinaryOp::Lt, Def::Int(0)) | (BinaryOp::Le, Def::Int(-1)))
                {
                    if truth {
                        fail(state, site);
                    } else {
                        state.facts.set(x, Fact::NotNil);
                    }
                }
            }
            Def::ErrorTest(_, error) if truth => self.set_nil(state, error, false),
            _ => {}
        }
        if !truth {
            for site in self.sites_by_ok.get(&cond).cloned().unwrap_or_default() {
                fail(state, site);
            }
        }
        if state.facts.len() < FACTS_MAX {
            state.facts.set(cond, if truth { Fact::True } else { Fact::False });
        }
        true
    }

    /// A field that says by its number that there is nothing to release: the status of a response without a body.
    fn nothing_there(&self, state: &mut State, x: Sym, y: Sym) {
        let (Def::Field(base, name), Def::Int(number)) = (self.syms.def(x), self.syms.def(y)) else { return };
        let says_so = |site: SiteId| {
            let resource = self.model(site);
            resource.is_some_and(|r| r.nothing_if.iter().any(|(field, n)| *n == number && name == **field))
        };
        for site in self.sites_at(state, base).into_iter().filter(|&site| says_so(site)) {
            fail(state, site);
        }
    }

    /// Learns whether something is nil, and what follows for the resources that came with it.
    pub(super) fn set_nil(&mut self, state: &mut State, sym: Sym, nil: bool) {
        if self.is_nil(state, sym).is_some() {
            return;
        }
        state.facts.set(sym, if nil { Fact::Nil } else { Fact::NotNil });
        let of_error = self.sites_by_error.get(&sym).cloned().unwrap_or_default();
        for site in of_error {
            if nil {
                let resource = self.events.sites[site.0 as usize].sym;
                if !state.facts.get(resource).is_some_and(|fact| fact == Fact::Nil) {
                    state.facts.set(resource, Fact::NotNil);
                }
            } else {
                fail(state, site);
            }
        }
        if nil && let Some(site) = self.site_of(sym) {
            fail(state, site);
        }
        if nil {
            // What is nil holds nothing.
            let held = state.held_by(sym).filter(|(field, _)| matches!(field, Field::Named(_)));
            let held: Vec<Sym> = held.map(|(_, held)| held).collect();
            for held in held {
                if let Some(site) = self.site_of(held) {
                    fail(state, site);
                }
            }
            state.fields.retain(|(base, _), _| base != sym);
        }
        if !nil
            && let Some(error) = self.site_of(sym).and_then(|site| self.events.sites[site.0 as usize].error)
            && self.is_nil(state, error).is_none()
        {
            state.facts.set(error, Fact::Nil);
        }
    }
}

/// The acquiring call failed: there is nothing to release.
fn fail(state: &mut State, site: SiteId) {
    let resource = state.resource_mut(site);
    if matches!(resource.status, Status::Open | Status::Escaped(_)) {
        resource.status = Status::Failed;
    }
}

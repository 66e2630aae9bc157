//! Type inference: unification of parameter types with argument types, then with constraints.
//!
//! The steps and the rules of inexact unification are those of `go/types` (infer.go and unify.go, Go 1.27). The type
//! parameters to infer are replaced by placeholders first, so that a generic function can call itself.

use std::sync::Arc;

use crate::lookup::{Objects, identical};
use crate::object::{ObjId, PkgId};
use crate::subst::subst;
use crate::types::{Basic, Interface, Type};

/// Package of placeholders.
const INFER: PkgId = PkgId(u32::MAX - 3);
/// As `unificationDepthLimit` of `go/types`.
const DEPTH_MAX: u32 = 50;
/// Rounds of unification with constraints, and of substituting results into each other.
const ROUNDS_MAX: usize = 32;

/// How strictly two types must match.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    /// Identical.
    Exact,
    /// Up to underlying types, and channel directions.
    Inexact,
    /// As an assignment: inexact at the top, exact inside.
    Assign,
}

impl Match {
    fn inner(self) -> Self {
        if self == Self::Assign { Self::Exact } else { self }
    }
}

/// The type parameters of one generic function that takes part in an inference: the called one, or one passed to it.
pub(crate) struct Group<'a> {
    /// Its type parameters.
    pub(crate) params: &'a [ObjId],
    /// Type arguments written for the first of them.
    pub(crate) given: &'a [Type],
}

/// A parameter of the called function, in terms of group 0, and what is passed for it.
pub(crate) struct Pair {
    /// The parameter's type.
    pub(crate) param: Type,
    /// The argument's type; untyped for untyped constants.
    pub(crate) arg: Type,
    /// The group whose type parameters the argument's type mentions, where it is a generic function.
    pub(crate) group: Option<usize>,
}

/// Finds type arguments for all groups: those given, then those that make each parameter accept its argument. Unknown
/// where nothing determines one.
pub(crate) fn infer<O: Objects + ?Sized>(cx: &O, groups: &[Group<'_>], pairs: &[Pair]) -> Vec<Vec<Type>> {
    let count = groups.iter().map(|g| g.params.len()).sum();
    let holders: Vec<Type> = (0..count).map(|i| Type::Param(ObjId { pkg: INFER, index: i as u32 })).collect();
    let mut u = Unifier { cx, slots: (0..count).collect(), types: vec![None; count], depth: 0 };
    let mut starts = Vec::with_capacity(groups.len());
    let mut constraints = Vec::with_capacity(count);
    for group in groups {
        let start = constraints.len();
        starts.push(start);
        let own = &holders[start..start + group.params.len()];
        for (&param, slot) in group.params.iter().zip(start..) {
            constraints.push(match subst(&Type::Interface(cx.constraint(param)), group.params, own) {
                Type::Interface(i) => (*i).clone(),
                _ => Interface::default(),
            });
            u.types[slot] = group.given.get(slot - start).cloned();
        }
    }
    let held = |ty: &Type, group: usize| {
        let params = groups[group].params;
        subst(ty, params, &holders[starts[group]..starts[group] + params.len()])
    };
    let pairs: Vec<(Type, Type)> = pairs
        .iter()
        .map(|p| (held(&p.param, 0), p.group.map_or_else(|| p.arg.clone(), |group| held(&p.arg, group))))
        .collect();
    for (param, arg) in &pairs {
        if !arg.is_untyped() && !arg.is_unknown() && (has_holder(param) || has_holder(arg)) {
            u.unify(param, arg, Match::Assign);
        }
    }
    u.constraints(&constraints);
    u.untyped(&pairs);
    let mut types = u.finish().into_iter();
    groups.iter().map(|g| types.by_ref().take(g.params.len()).collect()).collect()
}

fn has_holder(ty: &Type) -> bool {
    ty.any(&mut |t| matches!(t, Type::Param(id) if id.pkg == INFER))
}

struct Unifier<'a, O: Objects + ?Sized> {
    cx: &'a O,
    /// For each placeholder the slot that holds its type; joined placeholders share one.
    slots: Vec<usize>,
    types: Vec<Option<Type>>,
    depth: u32,
}

impl<O: Objects + ?Sized> Unifier<'_, O> {
    fn holder(&self, ty: &Type) -> Option<usize> {
        match ty {
            Type::Param(id) if id.pkg == INFER => self.slots.get(id.index as usize).copied(),
            _ => None,
        }
    }

    fn unknowns(&self) -> usize {
        self.slots.iter().filter(|&&s| self.types[s].is_none()).count()
    }

    fn unify(&mut self, x: &Type, y: &Type, mode: Match) -> bool {
        if x == y || x.is_unknown() || y.is_unknown() {
            return true;
        }
        if self.depth >= DEPTH_MAX {
            return false;
        }
        self.depth += 1;
        let result = self.step(x, y, mode);
        self.depth -= 1;
        result
    }

    fn step(&mut self, x: &Type, y: &Type, mode: Match) -> bool {
        let (mut x, mut y) = (x.clone(), y.clone());
        if x.origin().is_some() || self.holder(&y).is_some() {
            std::mem::swap(&mut x, &mut y);
        }
        if mode != Match::Exact && y.origin().is_some() && is_literal(&x) && !self.cx.is_interface(&x) {
            y = self.cx.underlying(&y);
            if x == y {
                return true;
            }
        }
        match (self.holder(&x), self.holder(&y)) {
            (Some(a), Some(b)) => {
                return match (self.types[a].clone(), self.types[b].clone()) {
                    (Some(p), Some(q)) => self.unify(&p, &q, mode),
                    (known, None) => {
                        self.join(b, a, known);
                        true
                    }
                    (None, known) => {
                        self.join(a, b, known);
                        true
                    }
                };
            }
            (Some(slot), None) => return self.bind(slot, &y, mode),
            (None, _) => {}
        }
        if mode != Match::Exact
            && let Some(result) = self.interfaces(&x, &y)
        {
            return result;
        }
        self.structure(&x, &y, mode)
    }

    fn join(&mut self, from: usize, into: usize, ty: Option<Type>) {
        for slot in &mut self.slots {
            if *slot == from {
                *slot = into;
            }
        }
        self.types[into] = ty;
    }

    /// Unifies a placeholder with a type.
    fn bind(&mut self, slot: usize, y: &Type, mode: Match) -> bool {
        let Some(x) = self.types[slot].clone() else {
            self.types[slot] = Some(y.clone());
            return true;
        };
        if !self.unify(&x, y, mode) {
            return false;
        }
        let (xi, yi) = (self.cx.is_interface(&x), self.cx.is_interface(y));
        let (xn, yn) = (x.origin().is_some(), y.origin().is_some());
        if xi && yi {
            if xn && yn {
                return identical(&x, y);
            }
        } else if xi || yi {
            return false;
        }
        if mode != Match::Exact && !xn {
            let directed = |t: &Type| matches!(self.cx.underlying(t), Type::Chan(c) if c.dir != residue_syntax::ast::ChanDir::Both);
            if yn || directed(y) {
                self.types[slot] = Some(y.clone());
            }
        }
        true
    }

    /// Interface inference: an interface matches a type with its methods.
    fn interfaces(&mut self, x: &Type, y: &Type) -> Option<bool> {
        let interface = |t: &Type| match self.cx.underlying(t) {
            Type::Interface(i) if !matches!(t, Type::Param(_)) => Some(i),
            _ => None,
        };
        let (xi, yi) = (interface(x), interface(y));
        match (xi, yi) {
            (Some(a), Some(b)) => {
                if a.comparable != b.comparable || a.terms != b.terms {
                    return Some(false);
                }
                let (few, many) = if a.methods.len() <= b.methods.len() { (a, b) } else { (b, a) };
                let mut all = true;
                for m in &few.methods {
                    let other = many.methods.iter().find(|o| o.name == m.name && o.pkg == m.pkg);
                    all &= other.is_some_and(|o| self.unify(&m.ty, &o.ty, Match::Exact));
                }
                Some(all)
            }
            (Some(i), None) => Some(self.methods(&i, y)),
            (None, Some(i)) => Some(self.methods(&i, x)),
            (None, None) => None,
        }
    }

    fn methods(&mut self, interface: &Arc<Interface>, ty: &Type) -> bool {
        interface.methods.iter().all(|m| {
            let from = m.pkg.unwrap_or(PkgId::UNIVERSE);
            let found = self.cx.select(ty, m.name, from);
            found.is_some_and(|s| self.unify(&m.ty, &s.ty, Match::Exact))
        })
    }

    fn structure(&mut self, x: &Type, y: &Type, mode: Match) -> bool {
        let inner = mode.inner();
        match (x, y) {
            (Type::Array(a), Type::Array(b)) => {
                (a.len < 0 || b.len < 0 || a.len == b.len) && self.unify(&a.elem, &b.elem, inner)
            }
            (Type::Slice(a), Type::Slice(b)) | (Type::Pointer(a), Type::Pointer(b)) => self.unify(a, b, inner),
            (Type::Map(a), Type::Map(b)) => self.unify(&a.key, &b.key, inner) && self.unify(&a.value, &b.value, inner),
            (Type::Chan(a), Type::Chan(b)) => {
                (mode != Match::Exact || a.dir == b.dir) && self.unify(&a.elem, &b.elem, inner)
            }
            (Type::Struct(a), Type::Struct(b)) => {
                a.fields.len() == b.fields.len()
                    && a.fields.iter().zip(&b.fields).all(|(f, g)| {
                        f.embedded == g.embedded
                            && f.tag == g.tag
                            && f.name == g.name
                            && self.unify(&f.ty, &g.ty, inner)
                    })
            }
            (Type::Func(a), Type::Func(b)) => {
                a.variadic == b.variadic
                    && self.lists(&a.params, &b.params, inner)
                    && self.lists(&a.results, &b.results, inner)
            }
            (Type::Tuple(a), Type::Tuple(b)) => self.lists(a, b, mode),
            (Type::Interface(a), Type::Interface(b)) => {
                a.comparable == b.comparable
                    && a.terms == b.terms
                    && a.methods.len() == b.methods.len()
                    && a.methods
                        .iter()
                        .zip(&b.methods)
                        .all(|(m, n)| m.name == n.name && m.pkg == n.pkg && self.unify(&m.ty, &n.ty, Match::Exact))
            }
            (Type::Instance(a), Type::Instance(b)) => a.origin == b.origin && self.lists(&a.args, &b.args, mode),
            // A type parameter that is not inferred here matches by its core type.
            (Type::Param(_), other) | (other, Type::Param(_)) => {
                let param = if matches!(x, Type::Param(_)) { x } else { y };
                self.cx.core_type(param).is_some_and(|core| self.unify(&core, other, Match::Assign))
            }
            _ => false,
        }
    }

    fn lists(&mut self, a: &[Type], b: &[Type], mode: Match) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(x, y)| self.unify(x, y, mode))
    }

    /// Unifies each placeholder with the core type and the methods of its constraint, as long as that helps.
    fn constraints(&mut self, constraints: &[Interface]) {
        for _ in 0..ROUNDS_MAX {
            let before = self.unknowns();
            for (i, constraint) in constraints.iter().enumerate() {
                let known = self.types[self.slots[i]].clone();
                if let Some((core, tilde, single)) = self.core_term(constraint) {
                    match &known {
                        Some(ty) => {
                            self.unify(ty, &core, Match::Inexact);
                        }
                        None if single && !tilde => {
                            let slot = self.slots[i];
                            self.types[slot] = Some(core);
                        }
                        None => {}
                    }
                }
                if let Some(ty) = known.filter(|t| !has_holder(t)) {
                    self.methods(&Arc::new(constraint.clone()), &ty);
                }
            }
            if self.unknowns() == before {
                return;
            }
        }
    }

    /// The core type of a constraint, whether with `~`, and whether its only term.
    fn core_term(&self, constraint: &Interface) -> Option<(Type, bool, bool)> {
        let terms = constraint.terms.as_ref()?;
        if let [term] = terms.as_slice() {
            let ty = if term.tilde { self.cx.underlying(&term.ty) } else { term.ty.clone() };
            return Some((ty, term.tilde, true));
        }
        let first = self.cx.underlying(&terms.first()?.ty);
        terms.iter().all(|t| self.cx.underlying(&t.ty) == first).then_some((first, true, false))
    }

    /// Gives placeholders that only untyped constants determine the default type of the largest kind.
    fn untyped(&mut self, pairs: &[(Type, Type)]) {
        let mut largest: Vec<Option<Basic>> = vec![None; self.types.len()];
        for (param, arg) in pairs {
            let (Some(slot), Type::Basic(kind)) = (self.holder(param), arg) else { continue };
            if kind.is_untyped() && *kind != Basic::UntypedNil && self.types[slot].is_none() {
                largest[slot] = Some(largest[slot].map_or(*kind, |old| old.max(*kind)));
            }
        }
        for (slot, kind) in largest.into_iter().enumerate() {
            if let Some(kind) = kind {
                self.types[slot] = Some(Type::Basic(kind.default_type()));
            }
        }
    }

    /// The inferred types, with placeholders inside them replaced by what was inferred for those.
    fn finish(&self) -> Vec<Type> {
        let holders: Vec<ObjId> = (0..self.slots.len()).map(|i| ObjId { pkg: INFER, index: i as u32 }).collect();
        let mut out: Vec<Type> = self.slots.iter().map(|&s| self.types[s].clone().unwrap_or_default()).collect();
        for _ in 0..out.len().min(ROUNDS_MAX) {
            if !out.iter().any(has_holder) {
                break;
            }
            let args = out.clone();
            for ty in &mut out {
                if has_holder(ty) {
                    *ty = subst(ty, &holders, &args);
                }
            }
        }
        for ty in &mut out {
            if has_holder(ty) {
                *ty = Type::Unknown;
            }
        }
        out
    }
}

fn is_literal(ty: &Type) -> bool {
    !matches!(ty, Type::Named(_) | Type::Instance(_) | Type::Param(_) | Type::Basic(_))
}

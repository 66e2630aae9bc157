//! Symbolic values: what an expression gives, as far as one function can tell.
//!
//! A [`Sym`] is the index of its definition in [`Syms`], where equal definitions are one: two reads of a variable that
//! nobody set between them give the same symbol, and so does a condition that is asked twice.

use residue_syntax::ast::{BinaryOp, ExprId};
use residue_types::{ObjId, Symbol};
use rustc_hash::FxHashMap;

/// A symbolic value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Sym(u32);

impl Sym {
    pub(crate) const NIL: Self = Self(0);
    pub(crate) const FALSE: Self = Self(1);
    pub(crate) const TRUE: Self = Self(2);
}

/// An instruction of one of the bodies that are executed together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Place {
    /// Index of the body.
    pub(crate) body: u16,
    /// Index of the instruction.
    pub(crate) value: u32,
}

/// What a symbol stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Def {
    Nil,
    Bool(bool),
    Int(i64),
    /// A constant that is neither boolean nor a small integer, by the hash of its value.
    Const(u64),
    /// What a variable held before anything here set it.
    Var(ObjId),
    /// A result of an instruction.
    Out(Place, u32),
    /// The address of a variable.
    Addr(ObjId),
    /// A new object.
    Alloc(Place),
    /// What a field, or the target of a pointer, holds before anything here set it.
    Field(Sym, Symbol),
    Func(ObjId),
    Closure(ExprId),
    Method(Sym, ObjId),
    InterfaceMethod(Sym, Symbol),
    Len(Sym),
    Not(Sym),
    /// `==`, or an order.
    Compare(BinaryOp, Sym, Sym),
    And(Sym, Sym),
    Or(Sym, Sym),
    /// A question about an error that only an error answers with yes: `errors.Is(err, …)`.
    ErrorTest(Place, Sym),
    /// What a variable holds where paths met.
    Phi(Place, ObjId),
}

/// All symbols of a function.
pub(crate) struct Syms {
    defs: Vec<Def>,
    known: FxHashMap<Def, Sym>,
}

impl Syms {
    pub(crate) fn new() -> Self {
        let mut this = Self { defs: Vec::new(), known: FxHashMap::default() };
        // The order of the constants of `Sym`.
        for def in [Def::Nil, Def::Bool(false), Def::Bool(true)] {
            this.of(def);
        }
        this
    }

    /// The symbol of a definition.
    pub(crate) fn of(&mut self, def: Def) -> Sym {
        let next = Sym(self.defs.len() as u32);
        let sym = *self.known.entry(def).or_insert(next);
        if sym == next {
            self.defs.push(def);
        }
        sym
    }

    pub(crate) fn def(&self, sym: Sym) -> Def {
        self.defs[sym.0 as usize]
    }

    pub(crate) fn bool(value: bool) -> Sym {
        if value { Sym::TRUE } else { Sym::FALSE }
    }

    pub(crate) fn not(&mut self, sym: Sym) -> Sym {
        match self.def(sym) {
            Def::Bool(value) => Self::bool(!value),
            Def::Not(inner) => inner,
            _ => self.of(Def::Not(sym)),
        }
    }

    /// A comparison, brought into one form: `!=` is a negated `==`, constants stand right.
    pub(crate) fn compare(&mut self, op: BinaryOp, x: Sym, y: Sym) -> Sym {
        use BinaryOp::{Eq, Ge, Gt, Le, Lt, Ne};
        let (op, x, y) = if self.is_constant(x) && !self.is_constant(y) {
            let turned = match op {
                Lt => Gt,
                Le => Ge,
                Gt => Lt,
                Ge => Le,
                same => same,
            };
            (turned, y, x)
        } else {
            (op, x, y)
        };
        match op {
            Ne => {
                let equal = self.compare(Eq, x, y);
                self.not(equal)
            }
            Ge => {
                let less = self.compare(Lt, x, y);
                self.not(less)
            }
            Gt => {
                let at_most = self.compare(Le, x, y);
                self.not(at_most)
            }
            Eq if x == y => Sym::TRUE,
            Eq => match (self.def(x), self.def(y)) {
                (Def::Int(a), Def::Int(b)) => Self::bool(a == b),
                (Def::Const(a), Def::Const(b)) => Self::bool(a == b),
                (other, Def::Bool(value)) | (Def::Bool(value), other) => {
                    let other = self.of(other);
                    if value { other } else { self.not(other) }
                }
                _ => self.of(Def::Compare(Eq, x, y)),
            },
            _ => match (self.def(x), self.def(y)) {
                (Def::Int(a), Def::Int(b)) => Self::bool(if op == Lt { a < b } else { a <= b }),
                _ => self.of(Def::Compare(op, x, y)),
            },
        }
    }

    pub(crate) fn is_constant(&self, sym: Sym) -> bool {
        matches!(self.def(sym), Def::Nil | Def::Bool(_) | Def::Int(_) | Def::Const(_))
    }

    /// Whether a symbol rests on a result of the instruction at `place`.
    pub(crate) fn rests_on(&self, sym: Sym, place: Place) -> bool {
        match self.def(sym) {
            Def::Out(at, _) | Def::Alloc(at) => at == place,
            Def::ErrorTest(at, of) => at == place || self.rests_on(of, place),
            Def::Field(x, _) | Def::Method(x, _) | Def::InterfaceMethod(x, _) | Def::Len(x) | Def::Not(x) => {
                self.rests_on(x, place)
            }
            Def::Compare(_, x, y) | Def::And(x, y) | Def::Or(x, y) => {
                self.rests_on(x, place) || self.rests_on(y, place)
            }
            _ => false,
        }
    }
}

/// The name under which the elements of a slice are filed, taken as one.
pub(crate) fn element() -> Symbol {
    Symbol::new("[]")
}

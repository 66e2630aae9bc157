//! Symbolic values: what an expression gives, as far as one function can tell.
//!
//! A [`Sym`] is the index of its definition in [`Syms`], where equal definitions are one: two reads of a variable that
//! nobody set between them give the same symbol, and so does a condition that is asked twice.

use residue_syntax::ast::{BinaryOp, ExprId};
use residue_types::{ObjId, Symbol};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;

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

/// An end of a text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Affix {
    Prefix,
    Suffix,
}

impl Affix {
    /// Whether `text` has the part at this end.
    pub(crate) fn is_of(self, text: &str, part: &str) -> bool {
        match self {
            Self::Prefix => text.starts_with(part),
            Self::Suffix => text.ends_with(part),
        }
    }
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
    /// Whether a text begins with another, or ends with it.
    Affix(Affix, Sym, Sym),
    /// What a variable holds where paths met.
    Phi(Place, ObjId),
    /// A condition of more parts than are looked at, by the digest of its definition.
    Big(u64),
}

/// Parts of a condition beyond which it is not taken apart: equal parts are stored once, so that a short text can have
/// more of them than can be counted.
const PARTS_MAX: u32 = 64;

/// All symbols of a function.
pub(crate) struct Syms {
    defs: Vec<Def>,
    /// How many parts each has, shared ones counted each time.
    parts: Vec<u32>,
    known: FxHashMap<Def, Sym>,
}

impl Syms {
    pub(crate) fn new() -> Self {
        let mut this = Self { defs: Vec::new(), parts: Vec::new(), known: FxHashMap::default() };
        // The order of the constants of `Sym`.
        for def in [Def::Nil, Def::Bool(false), Def::Bool(true)] {
            this.of(def);
        }
        this
    }

    /// The symbol of a definition.
    pub(crate) fn of(&mut self, def: Def) -> Sym {
        if let Some(&known) = self.known.get(&def) {
            return known;
        }
        let (x, y) = Self::operands(def);
        let of = |sym: Option<Sym>| sym.map_or(0, |sym| self.parts[sym.0 as usize]);
        let parts = 1 + of(x) + of(y);
        if parts > PARTS_MAX {
            return self.of(Def::Big(FxBuildHasher.hash_one(def)));
        }
        let sym = Sym(self.defs.len() as u32);
        self.defs.push(def);
        self.parts.push(parts);
        self.known.insert(def, sym);
        sym
    }

    /// The symbols that a definition is made of.
    pub(crate) fn operands(def: Def) -> (Option<Sym>, Option<Sym>) {
        match def {
            Def::Field(x, _)
            | Def::Method(x, _)
            | Def::InterfaceMethod(x, _)
            | Def::Len(x)
            | Def::Not(x)
            | Def::ErrorTest(_, x) => (Some(x), None),
            Def::Compare(_, x, y) | Def::And(x, y) | Def::Or(x, y) | Def::Affix(_, x, y) => (Some(x), Some(y)),
            _ => (None, None),
        }
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
            Def::Out(at, _) | Def::Alloc(at) if at == place => true,
            Def::ErrorTest(at, _) if at == place => true,
            // Of what it is made is not known any more.
            Def::Big(_) => true,
            def => {
                let (x, y) = Self::operands(def);
                x.into_iter().chain(y).any(|part| self.rests_on(part, place))
            }
        }
    }
}

/// The name under which the elements of a slice are filed, taken as one.
pub(crate) fn element() -> Symbol {
    Symbol::new("[]")
}

//! Declared things: constants, types, variables, functions, and who they belong to.

use std::sync::OnceLock;

use residue_syntax::ast::IdentId;

use crate::constant::Const;
use crate::symbol::Symbol;
use crate::types::Type;
use crate::universe::Builtin;

/// A package: its number in a [`crate::Program`], which is that of [`crate::Program::id`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct PkgId(pub u32);

impl PkgId {
    /// The predeclared identifiers.
    pub const UNIVERSE: Self = Self(u32::MAX);
    /// Package `unsafe`.
    pub const UNSAFE: Self = Self(u32::MAX - 1);
    /// A package that could not be found.
    pub const MISSING: Self = Self(u32::MAX - 2);
    /// cgo's `C`. Its members belong to the importing package, under the names that cgo gives them: `_Cfunc_CString`,
    /// `_Ctype_int`, `_Cconst_X`, `_Cvar_X`.
    pub const CGO: Self = Self(u32::MAX - 4);

    /// The number as an index; out of range for the special ones.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An object: its package and its index there.
///
/// Package-level objects come first and are visible to importers; those of function bodies follow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ObjId {
    /// Its package.
    pub pkg: PkgId,
    /// Its index there.
    pub index: u32,
}

/// Where an object is declared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DeclSite {
    /// Index of the file in its package.
    pub file: u32,
    /// The declaring identifier.
    pub ident: IdentId,
}

/// A declared thing.
#[derive(Debug)]
pub struct Object {
    /// Its name.
    pub name: Symbol,
    /// Where it is declared; none for predeclared ones.
    pub site: Option<DeclSite>,
    /// What it is.
    pub kind: ObjKind,
    /// Whether declared inside a function.
    pub local: bool,
    /// Its type, once known: for a type name, the type it stands for.
    pub(crate) ty: OnceLock<Type>,
}

/// What an object is.
#[derive(Debug)]
pub enum ObjKind {
    /// A constant and its value.
    Const(OnceLock<Const>),
    /// A type name.
    Type(Box<TypeName>),
    /// A type parameter and its constraint.
    TypeParam {
        /// Index in its list.
        index: u32,
        /// The constraint, an interface.
        constraint: OnceLock<Type>,
    },
    /// A variable, parameter or result.
    Var(VarKind),
    /// A function or method.
    Func(Box<Func>),
    /// A predeclared function.
    Builtin(Builtin),
    /// `nil`
    Nil,
}

/// What a variable is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VarKind {
    /// Of a package.
    Package,
    /// Of a function.
    Local,
    /// A parameter.
    Param,
    /// A result.
    Result,
    /// A receiver.
    Receiver,
}

/// A type name.
#[derive(Debug, Default)]
pub struct TypeName {
    /// Whether an alias; then [`Object::ty`] is the aliased type.
    pub alias: bool,
    /// Type parameters.
    pub(crate) type_params: OnceLock<Vec<ObjId>>,
    /// Underlying type.
    pub(crate) underlying: OnceLock<Type>,
    /// Declared methods, sorted by name.
    pub(crate) methods: OnceLock<Vec<(Symbol, ObjId)>>,
}

/// A function or method.
#[derive(Debug, Default)]
pub struct Func {
    /// The declared type a method belongs to.
    pub(crate) recv: OnceLock<ObjId>,
    /// Whether the receiver is a pointer.
    pub pointer_recv: bool,
    /// Whether it has a body.
    pub has_body: bool,
    /// The receiver's type parameters, as this method names them.
    pub(crate) recv_params: OnceLock<Vec<ObjId>>,
}

impl Func {
    /// The declared type a method belongs to.
    pub fn recv(&self) -> Option<ObjId> {
        self.recv.get().copied()
    }
}

impl Object {
    pub(crate) fn new(name: Symbol, site: Option<DeclSite>, kind: ObjKind) -> Self {
        Self { name, site, kind, local: false, ty: OnceLock::new() }
    }

    /// Its type: a signature for a function, the named or aliased type for a type name.
    pub fn ty(&self) -> &Type {
        self.ty.get().unwrap_or(&Type::Unknown)
    }

    /// Its underlying type, if a type name that isn't an alias. Type parameters are not substituted.
    pub fn underlying(&self) -> Option<&Type> {
        match &self.kind {
            ObjKind::Type(name) => name.underlying.get(),
            _ => None,
        }
    }

    /// Its type parameters, if a generic type.
    pub fn type_params(&self) -> &[ObjId] {
        match &self.kind {
            ObjKind::Type(name) => name.type_params.get().map_or(&[], Vec::as_slice),
            _ => &[],
        }
    }

    /// Its declared methods, sorted by name, if a type name.
    pub fn methods(&self) -> &[(Symbol, ObjId)] {
        match &self.kind {
            ObjKind::Type(name) => name.methods.get().map_or(&[], Vec::as_slice),
            _ => &[],
        }
    }

    /// Its value, if a constant.
    pub fn constant(&self) -> Option<&Const> {
        match &self.kind {
            ObjKind::Const(value) => value.get(),
            _ => None,
        }
    }

    /// The function data, if a function or method.
    pub fn func(&self) -> Option<&Func> {
        match &self.kind {
            ObjKind::Func(func) => Some(func),
            _ => None,
        }
    }

    /// Whether a variable of any kind.
    pub fn is_var(&self) -> bool {
        matches!(self.kind, ObjKind::Var(_))
    }
}

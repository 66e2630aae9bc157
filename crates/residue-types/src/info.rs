//! What the checker finds out about the expressions and identifiers of a file.

use residue_syntax::ast::{ClauseId, ExprId, IdentId};
use rustc_hash::FxHashMap;

use crate::constant::Const;
use crate::object::{ObjId, PkgId};
use crate::types::Type;

/// What an expression stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Mode {
    /// Not looked at, or ill-typed beyond use.
    #[default]
    None,
    /// A call without results.
    NoValue,
    /// A predeclared function.
    Builtin,
    /// A type.
    Type,
    /// A constant.
    Constant,
    /// `nil`
    Nil,
    /// A value without address.
    Value,
    /// A variable: addressable.
    Variable,
    /// A map element: assignable, not addressable; may give a second boolean.
    MapIndex,
    /// A value that may give a second boolean: receive, type assertion.
    CommaOk,
}

/// Type, mode and constant value of an expression.
#[derive(Clone, Debug, Default)]
pub struct ExprInfo {
    /// Its type; where a second boolean is asked for (`v, ok := …`), that of the first value.
    pub ty: Type,
    /// What it stands for.
    pub mode: Mode,
    /// Its value, if a constant.
    pub value: Option<Box<Const>>,
}

/// What an identifier means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Res {
    /// Not resolved.
    #[default]
    None,
    /// Declares an object.
    Def(ObjId),
    /// Uses an object.
    Use(ObjId),
    /// Names an imported package ([`PkgId::MISSING`] where it was not found).
    Package(PkgId),
    /// A struct field: in its declaration, a selector or a composite literal. See [`FileInfo::selections`].
    Field,
    /// A method that an interface declares.
    InterfaceMethod,
    /// A label.
    Label,
}

/// What `x.sel` selects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selection {
    /// Which kind.
    pub kind: SelectionKind,
    /// Field indices from the operand's type through embedded fields; for a field, its own index last.
    pub path: Vec<u32>,
    /// Whether a pointer was followed on the way.
    pub indirect: bool,
    /// Type of the field, or signature of the method without receiver, as seen from the operand's type.
    pub ty: Type,
}

/// Kinds of selections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SelectionKind {
    /// A struct field.
    Field,
    /// A declared method.
    Method(ObjId),
    /// A method of an interface or of a type parameter's constraint.
    InterfaceMethod {
        /// The interface, or type parameter, whose method it is.
        recv: Type,
    },
}

/// An instantiation of a generic function or type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstanceInfo {
    /// Type arguments, given or inferred.
    pub args: Vec<Type>,
    /// The instance's type.
    pub ty: Type,
}

/// What the checker found out about a file.
#[derive(Debug, Default)]
pub struct FileInfo {
    pub(crate) exprs: Vec<ExprInfo>,
    pub(crate) idents: Vec<Res>,
    /// Selector expressions that are not package-qualified names.
    pub selections: FxHashMap<ExprId, Selection>,
    /// Identifiers that denote generic functions or types, where they are instantiated.
    pub instances: FxHashMap<IdentId, InstanceInfo>,
    /// The variable that each clause of `switch x := y.(type)` declares.
    pub clause_vars: FxHashMap<ClauseId, ObjId>,
    /// Selector expressions that denote a method by its type, `T.Method`.
    pub method_exprs: rustc_hash::FxHashSet<ExprId>,
}

impl FileInfo {
    /// What is known of an expression.
    #[inline]
    pub fn expr(&self, id: ExprId) -> &ExprInfo {
        static NOTHING: ExprInfo = ExprInfo { ty: Type::Unknown, mode: Mode::None, value: None };
        self.exprs.get(id.index()).unwrap_or(&NOTHING)
    }

    /// The type of an expression.
    #[inline]
    pub fn type_of(&self, id: ExprId) -> &Type {
        &self.expr(id).ty
    }

    /// The value of a constant expression.
    pub fn value_of(&self, id: ExprId) -> Option<&Const> {
        self.expr(id).value.as_deref()
    }

    /// What an identifier means.
    #[inline]
    pub fn res(&self, id: IdentId) -> Res {
        self.idents.get(id.index()).copied().unwrap_or_default()
    }

    /// The object an identifier declares or uses.
    #[inline]
    pub fn object(&self, id: IdentId) -> Option<ObjId> {
        match self.res(id) {
            Res::Def(obj) | Res::Use(obj) => Some(obj),
            _ => None,
        }
    }
}

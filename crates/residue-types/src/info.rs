//! What the checker finds out about the expressions and identifiers of a file.

use residue_syntax::ast::{ClauseId, ExprId, IdentId};
use rustc_hash::FxHashMap;

use crate::constant::Const;
use crate::object::{ObjId, PkgId};
use crate::types::Type;

/// What an expression stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
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
#[derive(Clone, Copy, Debug)]
pub struct ExprInfo<'a> {
    /// Its type; where a second boolean is asked for (`v, ok := …`), that of the first value.
    pub ty: &'a Type,
    /// What it stands for.
    pub mode: Mode,
    /// Its value, if a constant.
    pub value: Option<&'a Const>,
}

/// What is kept of an expression: most files have few distinct types and constants, so both are numbered per file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    /// Index of the type.
    ty: u32,
    /// Index of the value plus one, above [`Mode`] in the low bits.
    value_mode: u32,
}

const MODE_BITS: u32 = 4;
const MODES: [Mode; 10] = [
    Mode::None,
    Mode::NoValue,
    Mode::Builtin,
    Mode::Type,
    Mode::Constant,
    Mode::Nil,
    Mode::Value,
    Mode::Variable,
    Mode::MapIndex,
    Mode::CommaOk,
];

impl Slot {
    fn mode(self) -> Mode {
        MODES.get((self.value_mode & ((1 << MODE_BITS) - 1)) as usize).copied().unwrap_or_default()
    }

    fn value(self) -> Option<usize> {
        (self.value_mode >> MODE_BITS).checked_sub(1).map(|i| i as usize)
    }
}

/// A [`FileInfo`] in the making.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) info: FileInfo,
    types: FxHashMap<Type, u32>,
    values: FxHashMap<Const, u32>,
}

impl Recorder {
    /// For a file of so many expressions and identifiers.
    pub(crate) fn new(exprs: usize, idents: usize) -> Self {
        let mut recorder = Self::default();
        // The first type is the one of what is never recorded.
        recorder.number(&Type::Unknown);
        recorder.info.slots.resize(exprs, Slot::default());
        recorder.info.idents.resize(idents, Res::None);
        recorder
    }

    fn number(&mut self, ty: &Type) -> u32 {
        if let Some(&known) = self.types.get(ty) {
            return known;
        }
        let next = self.info.types.len() as u32;
        self.info.types.push(ty.clone());
        self.types.insert(ty.clone(), next);
        next
    }

    /// Records an expression.
    pub(crate) fn set(&mut self, e: ExprId, ty: &Type, mode: Mode, value: Option<&Const>) {
        let ty = self.number(ty);
        if let Some(slot) = self.info.slots.get_mut(e.index()) {
            *slot = Slot { ty, value_mode: mode as u32 };
            self.set_value(e, value);
        }
    }

    /// Changes the type of a recorded expression.
    pub(crate) fn set_type(&mut self, e: ExprId, ty: &Type) {
        let ty = self.number(ty);
        if let Some(slot) = self.info.slots.get_mut(e.index()) {
            slot.ty = ty;
        }
    }

    /// Changes the value of a recorded expression.
    pub(crate) fn set_value(&mut self, e: ExprId, value: Option<&Const>) {
        let Some(slot) = self.info.slots.get_mut(e.index()) else { return };
        slot.value_mode &= (1 << MODE_BITS) - 1;
        let Some(value) = value else { return };
        let next = self.info.values.len() as u32;
        if matches!(value, Const::Str(text) if text.is_concatenation()) {
            // Not put together only to be compared.
            self.info.values.push(value.clone());
            slot.value_mode |= (next + 1) << MODE_BITS;
            return;
        }
        let index = *self.values.entry(value.clone()).or_insert_with(|| {
            self.info.values.push(value.clone());
            next
        });
        slot.value_mode |= (index + 1) << MODE_BITS;
    }
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
    slots: Vec<Slot>,
    types: Vec<Type>,
    values: Vec<Const>,
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
    pub fn expr(&self, id: ExprId) -> ExprInfo<'_> {
        let slot = self.slots.get(id.index()).copied().unwrap_or_default();
        ExprInfo {
            ty: self.types.get(slot.ty as usize).unwrap_or(&Type::Unknown),
            mode: slot.mode(),
            value: slot.value().and_then(|i| self.values.get(i)),
        }
    }

    /// The type of an expression.
    #[inline]
    pub fn type_of(&self, id: ExprId) -> &Type {
        self.expr(id).ty
    }

    /// The value of a constant expression.
    pub fn value_of(&self, id: ExprId) -> Option<&Const> {
        self.expr(id).value
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

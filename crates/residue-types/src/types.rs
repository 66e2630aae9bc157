//! Go types as plain, shareable data.
//!
//! A [`Type`] is structural: two identical types compare equal with `==`, wherever they were made. Declared types and
//! type parameters are referred to by [`ObjId`], so a type never contains itself and packages never share a table.
//! Interfaces are flattened when made: their method list is complete and sorted, their type set explicit.
//! The one exception to `==` is a pair of generic signatures, which [`crate::identical`] compares up to renaming.

use std::sync::Arc;

use crate::object::{ObjId, PkgId};
use crate::symbol::Symbol;

/// Types of more parts than this are unknown: comparing and hashing one looks at all of it.
const PARTS_MAX: usize = 20_000;

/// A type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Type {
    /// Not known: declared in a package that is missing, or ill-typed code.
    #[default]
    Unknown,
    /// A predeclared type without structure, typed or untyped.
    Basic(Basic),
    /// A declared type that is not generic.
    Named(ObjId),
    /// An instance of a declared generic type.
    Instance(Arc<Instance>),
    /// A type parameter.
    Param(ObjId),
    /// `*T`
    Pointer(Arc<Type>),
    /// `[]T`
    Slice(Arc<Type>),
    /// `[N]T`
    Array(Arc<Array>),
    /// `map[K]V`
    Map(Arc<Map>),
    /// `chan T`
    Chan(Arc<Chan>),
    /// `struct {…}`
    Struct(Arc<Struct>),
    /// `func(…) …`
    Func(Arc<Signature>),
    /// `interface {…}`
    Interface(Arc<Interface>),
    /// The results of a call that gives other than one value.
    Tuple(Arc<Vec<Type>>),
}

/// Predeclared types without structure.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Basic {
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int8`
    Int8,
    /// `int16`
    Int16,
    /// `int32`, `rune`
    Int32,
    /// `int64`
    Int64,
    /// `uint`
    Uint,
    /// `uint8`, `byte`
    Uint8,
    /// `uint16`
    Uint16,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
    /// `uintptr`
    Uintptr,
    /// `float32`
    Float32,
    /// `float64`
    Float64,
    /// `complex64`
    Complex64,
    /// `complex128`
    Complex128,
    /// `string`
    String,
    /// `unsafe.Pointer`
    UnsafePointer,
    /// An untyped boolean, such as a comparison.
    UntypedBool,
    /// An untyped integer constant.
    UntypedInt,
    /// An untyped rune constant.
    UntypedRune,
    /// An untyped floating-point constant.
    UntypedFloat,
    /// An untyped complex constant.
    UntypedComplex,
    /// An untyped string constant.
    UntypedString,
    /// `nil` before it gets a type.
    UntypedNil,
}

impl Basic {
    /// Whether untyped.
    pub fn is_untyped(self) -> bool {
        self >= Self::UntypedBool
    }

    /// Whether an integer, typed or untyped.
    pub fn is_integer(self) -> bool {
        matches!(self, Self::UntypedInt | Self::UntypedRune) || (Self::Int..=Self::Uintptr).contains(&self)
    }

    /// Whether an unsigned integer.
    pub fn is_unsigned(self) -> bool {
        (Self::Uint..=Self::Uintptr).contains(&self)
    }

    /// Whether a floating-point number, typed or untyped.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float32 | Self::Float64 | Self::UntypedFloat)
    }

    /// Whether a complex number, typed or untyped.
    pub fn is_complex(self) -> bool {
        matches!(self, Self::Complex64 | Self::Complex128 | Self::UntypedComplex)
    }

    /// Whether a number, typed or untyped.
    pub fn is_numeric(self) -> bool {
        self.is_integer() || self.is_float() || self.is_complex()
    }

    /// Whether a string, typed or untyped.
    pub fn is_string(self) -> bool {
        matches!(self, Self::String | Self::UntypedString)
    }

    /// Whether a boolean, typed or untyped.
    pub fn is_boolean(self) -> bool {
        matches!(self, Self::Bool | Self::UntypedBool)
    }

    /// Whether constants can have it.
    pub fn is_const_type(self) -> bool {
        self.is_numeric() || self.is_string() || self.is_boolean()
    }

    /// The type a value of an untyped type gets where nothing else gives one.
    #[must_use]
    pub fn default_type(self) -> Self {
        match self {
            Self::UntypedBool => Self::Bool,
            Self::UntypedInt => Self::Int,
            Self::UntypedRune => Self::Int32,
            Self::UntypedFloat => Self::Float64,
            Self::UntypedComplex => Self::Complex128,
            Self::UntypedString => Self::String,
            typed => typed,
        }
    }

    /// The name as `go/types` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint => "uint",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Uintptr => "uintptr",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Complex64 => "complex64",
            Self::Complex128 => "complex128",
            Self::String => "string",
            Self::UnsafePointer => "unsafe.Pointer",
            Self::UntypedBool => "untyped bool",
            Self::UntypedInt => "untyped int",
            Self::UntypedRune => "untyped rune",
            Self::UntypedFloat => "untyped float",
            Self::UntypedComplex => "untyped complex",
            Self::UntypedString => "untyped string",
            Self::UntypedNil => "untyped nil",
        }
    }
}

/// An instance of a declared generic type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Instance {
    /// The generic type.
    pub origin: ObjId,
    /// Its type arguments.
    pub args: Vec<Type>,
}

/// An array type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Array {
    /// Number of elements; -1 where it could not be determined.
    pub len: i64,
    /// Element type.
    pub elem: Type,
}

/// A map type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Map {
    /// Key type.
    pub key: Type,
    /// Element type.
    pub value: Type,
}

/// A channel type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Chan {
    /// Direction.
    pub dir: residue_syntax::ast::ChanDir,
    /// Element type.
    pub elem: Type,
}

/// A struct type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Struct {
    /// Its fields, in order.
    pub fields: Vec<Field>,
}

/// A struct field.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Field {
    /// Its name; that of the type where embedded.
    pub name: Symbol,
    /// The package an unexported name belongs to; none where exported.
    pub pkg: Option<PkgId>,
    /// Its type.
    pub ty: Type,
    /// Whether embedded.
    pub embedded: bool,
    /// Its tag.
    pub tag: Option<Arc<str>>,
}

/// A function type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Signature {
    /// Type parameters of a generic function.
    pub type_params: Vec<ObjId>,
    /// Parameter types; a variadic one is a slice.
    pub params: Vec<Type>,
    /// Result types.
    pub results: Vec<Type>,
    /// Whether the last parameter is variadic.
    pub variadic: bool,
}

/// An interface type, flattened.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Interface {
    /// All methods, embedded ones included, sorted by name and package.
    pub methods: Vec<Method>,
    /// The types it is limited to; none where it is not.
    pub terms: Option<Vec<Term>>,
    /// Whether limited to comparable types.
    pub comparable: bool,
}

/// A method of an interface.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Method {
    /// Its name.
    pub name: Symbol,
    /// The package an unexported name belongs to; none where exported.
    pub pkg: Option<PkgId>,
    /// Its type.
    pub ty: Type,
}

/// `T` or `~T` in a type set.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Term {
    /// Whether all types with this underlying type.
    pub tilde: bool,
    /// The type.
    pub ty: Type,
}

impl Type {
    /// `bool`
    pub const BOOL: Self = Self::Basic(Basic::Bool);
    /// `int`
    pub const INT: Self = Self::Basic(Basic::Int);
    /// `string`
    pub const STRING: Self = Self::Basic(Basic::String);

    /// `*elem`
    pub fn pointer(elem: Self) -> Self {
        Self::Pointer(Arc::new(elem))
    }

    /// `[]elem`
    pub fn slice(elem: Self) -> Self {
        Self::Slice(Arc::new(elem))
    }

    /// `[len]elem`
    pub fn array(len: i64, elem: Self) -> Self {
        Self::Array(Arc::new(Array { len, elem }))
    }

    /// `map[key]value`
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new(Map { key, value }))
    }

    /// The results of a call: the type itself where there is one.
    pub fn tuple(mut types: Vec<Self>) -> Self {
        if types.len() == 1 { types.remove(0) } else { Self::Tuple(Arc::new(types)) }
    }

    /// The declared type or instance this is, as its object.
    pub fn origin(&self) -> Option<ObjId> {
        match self {
            Self::Named(obj) => Some(*obj),
            Self::Instance(inst) => Some(inst.origin),
            _ => None,
        }
    }

    /// The pointed-to type of an unnamed pointer type, else the type itself.
    #[must_use]
    pub fn strip_pointer(&self) -> &Self {
        match self {
            Self::Pointer(elem) => elem,
            other => other,
        }
    }

    /// The type arguments of an instance.
    pub fn args(&self) -> &[Self] {
        match self {
            Self::Instance(inst) => &inst.args,
            _ => &[],
        }
    }

    /// Whether nothing is known about it.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Whether an untyped basic type.
    pub fn is_untyped(&self) -> bool {
        matches!(self, Self::Basic(b) if b.is_untyped())
    }

    /// Whether it has more parts than any sensible type: a chain of aliases or instances that doubles at each link.
    pub(crate) fn is_too_big(&self) -> bool {
        let mut parts = 0;
        self.any(&mut |_| {
            parts += 1;
            parts > PARTS_MAX
        })
    }

    /// Whether some part of it, declared types not opened, satisfies `pred`.
    pub fn any(&self, pred: &mut dyn FnMut(&Self) -> bool) -> bool {
        if pred(self) {
            return true;
        }
        match self {
            Self::Unknown | Self::Basic(_) | Self::Named(_) | Self::Param(_) => false,
            Self::Instance(i) => i.args.iter().any(|t| t.any(pred)),
            Self::Pointer(t) | Self::Slice(t) => t.any(pred),
            Self::Array(a) => a.elem.any(pred),
            Self::Map(m) => m.key.any(pred) || m.value.any(pred),
            Self::Chan(c) => c.elem.any(pred),
            Self::Struct(s) => s.fields.iter().any(|f| f.ty.any(pred)),
            Self::Func(s) => s.params.iter().chain(&s.results).any(|t| t.any(pred)),
            Self::Interface(i) => {
                i.methods.iter().any(|m| m.ty.any(pred)) || i.terms.iter().flatten().any(|t| t.ty.any(pred))
            }
            Self::Tuple(ts) => ts.iter().any(|t| t.any(pred)),
        }
    }
}

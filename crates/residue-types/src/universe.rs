//! Predeclared identifiers, and package `unsafe`.

use std::sync::{Arc, LazyLock, OnceLock};

use crate::constant::Const;
use crate::object::{ObjId, ObjKind, Object, PkgId, TypeName};
use crate::symbol::{Symbol, SymbolMap};
use crate::types::{Basic, Interface, Method, Signature, Type};

/// Predeclared functions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the variants are Go's names")]
pub enum Builtin {
    Append,
    Cap,
    Clear,
    Close,
    Complex,
    Copy,
    Delete,
    Imag,
    Len,
    Make,
    Max,
    Min,
    New,
    Panic,
    Print,
    Println,
    Real,
    Recover,
    // Package unsafe.
    UnsafeAdd,
    UnsafeAlignof,
    UnsafeOffsetof,
    UnsafeSizeof,
    UnsafeSlice,
    UnsafeSliceData,
    UnsafeString,
    UnsafeStringData,
}

const BUILTINS: &[(&str, Builtin)] = &[
    ("append", Builtin::Append),
    ("cap", Builtin::Cap),
    ("clear", Builtin::Clear),
    ("close", Builtin::Close),
    ("complex", Builtin::Complex),
    ("copy", Builtin::Copy),
    ("delete", Builtin::Delete),
    ("imag", Builtin::Imag),
    ("len", Builtin::Len),
    ("make", Builtin::Make),
    ("max", Builtin::Max),
    ("min", Builtin::Min),
    ("new", Builtin::New),
    ("panic", Builtin::Panic),
    ("print", Builtin::Print),
    ("println", Builtin::Println),
    ("real", Builtin::Real),
    ("recover", Builtin::Recover),
];

const UNSAFE_BUILTINS: &[(&str, Builtin)] = &[
    ("Add", Builtin::UnsafeAdd),
    ("Alignof", Builtin::UnsafeAlignof),
    ("Offsetof", Builtin::UnsafeOffsetof),
    ("Sizeof", Builtin::UnsafeSizeof),
    ("Slice", Builtin::UnsafeSlice),
    ("SliceData", Builtin::UnsafeSliceData),
    ("String", Builtin::UnsafeString),
    ("StringData", Builtin::UnsafeStringData),
];

const BASICS: &[(&str, Basic)] = &[
    ("bool", Basic::Bool),
    ("int", Basic::Int),
    ("int8", Basic::Int8),
    ("int16", Basic::Int16),
    ("int32", Basic::Int32),
    ("int64", Basic::Int64),
    ("uint", Basic::Uint),
    ("uint8", Basic::Uint8),
    ("uint16", Basic::Uint16),
    ("uint32", Basic::Uint32),
    ("uint64", Basic::Uint64),
    ("uintptr", Basic::Uintptr),
    ("float32", Basic::Float32),
    ("float64", Basic::Float64),
    ("complex64", Basic::Complex64),
    ("complex128", Basic::Complex128),
    ("string", Basic::String),
    ("byte", Basic::Uint8),
    ("rune", Basic::Int32),
];

/// The objects of a built-in package and its scope.
pub(crate) struct Predeclared {
    pub(crate) objects: Vec<Object>,
    pub(crate) scope: SymbolMap<ObjId>,
}

impl Predeclared {
    fn add(&mut self, pkg: PkgId, name: &str, kind: ObjKind, ty: Type) -> ObjId {
        let object = Object::new(Symbol::new(name), None, kind);
        let _ = object.ty.set(ty);
        let id = ObjId { pkg, index: self.objects.len() as u32 };
        self.scope.insert(object.name, id);
        self.objects.push(object);
        id
    }

    fn add_type(&mut self, pkg: PkgId, name: &str, alias: bool, underlying: Type) {
        let id = ObjId { pkg, index: self.objects.len() as u32 };
        let ty = if alias { underlying.clone() } else { Type::Named(id) };
        let data = TypeName {
            alias,
            type_params: OnceLock::from(Vec::new()),
            underlying: OnceLock::from(underlying),
            methods: OnceLock::from(Vec::new()),
        };
        self.add(pkg, name, ObjKind::Type(Box::new(data)), ty);
    }
}

static UNIVERSE: LazyLock<Predeclared> = LazyLock::new(|| {
    let pkg = PkgId::UNIVERSE;
    let mut u = Predeclared { objects: Vec::new(), scope: SymbolMap::default() };
    let error = Interface {
        methods: vec![Method {
            name: Symbol::new("Error"),
            pkg: None,
            ty: Type::Func(Arc::new(Signature { results: vec![Type::STRING], ..Signature::default() })),
        }],
        ..Interface::default()
    };
    u.add_type(pkg, "error", false, Type::Interface(Arc::new(error)));
    let comparable = Interface { comparable: true, ..Interface::default() };
    u.add_type(pkg, "comparable", false, Type::Interface(Arc::new(comparable)));
    u.add_type(pkg, "any", true, empty_interface());
    for &(name, basic) in BASICS {
        u.add_type(pkg, name, true, Type::Basic(basic));
    }
    for (name, value) in [("true", true), ("false", false)] {
        let value = OnceLock::from(Const::Bool(value));
        u.add(pkg, name, ObjKind::Const(value), Type::Basic(Basic::UntypedBool));
    }
    u.add(pkg, "iota", ObjKind::Const(OnceLock::from(Const::Int(0))), Type::Basic(Basic::UntypedInt));
    u.add(pkg, "nil", ObjKind::Nil, Type::Basic(Basic::UntypedNil));
    for &(name, builtin) in BUILTINS {
        u.add(pkg, name, ObjKind::Builtin(builtin), Type::Unknown);
    }
    u
});

static UNSAFE: LazyLock<Predeclared> = LazyLock::new(|| {
    let mut u = Predeclared { objects: Vec::new(), scope: SymbolMap::default() };
    u.add_type(PkgId::UNSAFE, "Pointer", true, Type::Basic(Basic::UnsafePointer));
    for &(name, builtin) in UNSAFE_BUILTINS {
        u.add(PkgId::UNSAFE, name, ObjKind::Builtin(builtin), Type::Unknown);
    }
    u
});

/// The predeclared identifiers.
pub(crate) fn universe() -> &'static Predeclared {
    &UNIVERSE
}

/// Package `unsafe`.
pub(crate) fn package_unsafe() -> &'static Predeclared {
    &UNSAFE
}

/// The type `error`.
pub fn error_type() -> Type {
    Type::Named(ObjId { pkg: PkgId::UNIVERSE, index: 0 })
}

/// The type `interface{}`.
pub fn empty_interface() -> Type {
    static EMPTY: LazyLock<Arc<Interface>> = LazyLock::new(Arc::default);
    Type::Interface(Arc::clone(&EMPTY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_the_first_object() {
        let error = &universe().objects[0];
        assert_eq!(error.name.as_str(), "error");
        assert_eq!(error.ty(), &error_type());
    }
}

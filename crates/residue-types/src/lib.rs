//! Type checker of Go packages.
//!
//! [`Program::new`] types the declarations of every package of a [`residue_project::Project`]; [`Program::bodies`]
//! types the function bodies of one package and gives a [`Bodies`]: per file a [`FileInfo`] with the type, mode and
//! value of each expression and the meaning of each identifier.
//!
//! The checker computes types, it does not report type errors: what is ill-typed, or depends on a package that is
//! missing, is [`Type::Unknown`], and anything made of it is unknown too. Code that compiles gets the types `go/types`
//! gives it.
//!
//! No I/O, no global table of types: a [`Type`] is plain data, and a package's declarations never change once made.

mod cgo;
mod check;
pub mod constant;
mod infer;
mod info;
mod init_order;
mod lookup;
mod object;
mod print;
mod program;
mod subst;
mod symbol;
mod text;
mod types;
mod universe;

pub use constant::Const;
pub use info::{ExprInfo, FileInfo, InstanceInfo, Mode, Res, Selection, SelectionKind};
pub use init_order::Initializer;
pub use lookup::{Objects, identical};
pub use object::{DeclSite, Func, ObjId, ObjKind, Object, PkgId, TypeName, VarKind};
pub use print::Printed;
pub use program::{Bodies, Callee, Declarations, Program};
pub use symbol::Symbol;
pub use text::Text;
pub use types::{Array, Basic, Chan, Field, Instance, Interface, Map, Method, Signature, Struct, Term, Type};
pub use universe::{Builtin, empty_interface, error_type};

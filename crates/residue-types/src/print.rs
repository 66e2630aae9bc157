//! Types in Go's notation, with full import paths.

use std::fmt::{self, Write};

use residue_syntax::ast::ChanDir;

use crate::lookup::Objects;
use crate::object::ObjId;
use crate::types::{Interface, Signature, Type};

/// A type with what is needed to print it. Parameter names are not kept, interfaces are printed flattened.
pub struct Printed<'a, O: Objects + ?Sized> {
    cx: &'a O,
    ty: &'a Type,
}

impl<'a, O: Objects + ?Sized> Printed<'a, O> {
    pub(crate) fn new(cx: &'a O, ty: &'a Type) -> Self {
        Self { cx, ty }
    }
}

impl<O: Objects + ?Sized> fmt::Display for Printed<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_type(self.cx, self.ty, f)
    }
}

fn write_type<O: Objects + ?Sized>(cx: &O, ty: &Type, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match ty {
        Type::Unknown => f.write_str("invalid type"),
        Type::Basic(b) => f.write_str(b.name()),
        Type::Named(id) => write_name(cx, *id, f),
        Type::Instance(i) => {
            write_name(cx, i.origin, f)?;
            f.write_char('[')?;
            write_list(cx, &i.args, ",", f)?;
            f.write_char(']')
        }
        Type::Param(id) => f.write_str(cx.object(*id).map_or("?", |o| o.name.as_str())),
        Type::Pointer(t) => {
            f.write_char('*')?;
            write_type(cx, t, f)
        }
        Type::Slice(t) => {
            f.write_str("[]")?;
            write_type(cx, t, f)
        }
        Type::Array(a) => {
            write!(f, "[{}]", a.len)?;
            write_type(cx, &a.elem, f)
        }
        Type::Map(m) => {
            f.write_str("map[")?;
            write_type(cx, &m.key, f)?;
            f.write_char(']')?;
            write_type(cx, &m.value, f)
        }
        Type::Chan(c) => {
            let parens = c.dir == ChanDir::Both && matches!(&c.elem, Type::Chan(e) if e.dir == ChanDir::Recv);
            f.write_str(match c.dir {
                ChanDir::Both => "chan ",
                ChanDir::Send => "chan<- ",
                ChanDir::Recv => "<-chan ",
            })?;
            if parens {
                f.write_char('(')?;
            }
            write_type(cx, &c.elem, f)?;
            if parens { f.write_char(')') } else { Ok(()) }
        }
        Type::Struct(s) => {
            f.write_str("struct{")?;
            for (i, field) in s.fields.iter().enumerate() {
                if i > 0 {
                    f.write_str("; ")?;
                }
                if !field.embedded {
                    write!(f, "{} ", field.name)?;
                }
                write_type(cx, &field.ty, f)?;
                if let Some(tag) = &field.tag {
                    write!(f, " {tag:?}")?;
                }
            }
            f.write_char('}')
        }
        Type::Func(s) => {
            f.write_str("func")?;
            write_signature(cx, s, f)
        }
        Type::Interface(i) => write_interface(cx, i, f),
        Type::Tuple(ts) => {
            f.write_char('(')?;
            write_list(cx, ts, ", ", f)?;
            f.write_char(')')
        }
    }
}

fn write_name<O: Objects + ?Sized>(cx: &O, id: ObjId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let path = cx.program().package_path(id.pkg);
    if !path.is_empty() {
        write!(f, "{path}.")?;
    }
    f.write_str(cx.object(id).map_or("?", |o| o.name.as_str()))
}

fn write_list<O: Objects + ?Sized>(cx: &O, list: &[Type], sep: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, ty) in list.iter().enumerate() {
        if i > 0 {
            f.write_str(sep)?;
        }
        write_type(cx, ty, f)?;
    }
    Ok(())
}

fn write_signature<O: Objects + ?Sized>(cx: &O, s: &Signature, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if !s.type_params.is_empty() {
        f.write_char('[')?;
        for (i, &param) in s.type_params.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write_type(cx, &Type::Param(param), f)?;
        }
        f.write_char(']')?;
    }
    f.write_char('(')?;
    for (i, param) in s.params.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        match param {
            Type::Slice(elem) if s.variadic && i + 1 == s.params.len() => {
                f.write_str("...")?;
                write_type(cx, elem, f)?;
            }
            other => write_type(cx, other, f)?,
        }
    }
    f.write_char(')')?;
    match s.results.as_slice() {
        [] => Ok(()),
        [one] => {
            f.write_char(' ')?;
            write_type(cx, one, f)
        }
        many => {
            f.write_str(" (")?;
            write_list(cx, many, ", ", f)?;
            f.write_char(')')
        }
    }
}

fn write_interface<O: Objects + ?Sized>(cx: &O, i: &Interface, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if i.methods.is_empty() && i.terms.is_none() && !i.comparable {
        return f.write_str("any");
    }
    f.write_str("interface{")?;
    let mut sep = "";
    for method in &i.methods {
        write!(f, "{sep}{}", method.name)?;
        if let Type::Func(s) = &method.ty {
            write_signature(cx, s, f)?;
        }
        sep = "; ";
    }
    if i.comparable {
        write!(f, "{sep}comparable")?;
        sep = "; ";
    }
    if let Some(terms) = &i.terms {
        f.write_str(sep)?;
        for (n, term) in terms.iter().enumerate() {
            write!(f, "{}{}", if n > 0 { " | " } else { "" }, if term.tilde { "~" } else { "" })?;
            write_type(cx, &term.ty, f)?;
        }
    }
    f.write_char('}')
}

//! Parameter lists, of values and of types.
//!
//! Whether `a, b` are two parameters' names or two types is known only when the whole list is read, so a list is
//! first collected as names and types, and fields are made of it at its end.

use super::Parser;
use crate::ast::{Expr, ExprId, FieldId, IdentId, List};
use crate::token::Tok;

/// A parameter as it was written: a name, a type, or both. A name alone may turn out to be a type.
#[derive(Clone, Copy)]
pub(super) struct Param {
    name: Option<IdentId>,
    ty: Option<ExprId>,
}

impl Parser<'_> {
    /// Reads a list in parentheses, and where it ends. A variadic parameter is allowed where `variadic`.
    pub(super) fn params(&mut self, variadic: bool) -> (List<FieldId>, u32) {
        self.expect(Tok::LParen);
        let params =
            if self.tok() == Tok::RParen { List::EMPTY } else { self.param_list(None, None, Tok::RParen, variadic) };
        (params, self.expect(Tok::RParen).end)
    }

    /// Reads type parameters in brackets.
    pub(super) fn type_params(&mut self) -> List<FieldId> {
        self.expect(Tok::LBrack);
        if self.tok() == Tok::RBrack {
            self.error("empty type parameter list");
            self.next();
            return List::EMPTY;
        }
        let params = self.param_list(None, None, Tok::RBrack, false);
        self.expect(Tok::RBrack);
        params
    }

    /// Reads parameters up to `closing`, which is `]` for type parameters. The first parameter's name, and also its
    /// type, may have been read already.
    pub(super) fn param_list(
        &mut self,
        name: Option<IdentId>,
        ty: Option<ExprId>,
        closing: Tok,
        variadic: bool,
    ) -> List<FieldId> {
        let generic = closing == Tok::RBrack;
        let start = match (name, ty) {
            (Some(name), _) => self.file.idents[name.index()].pos,
            _ => self.pos(),
        };
        // Types within the list may hold lists themselves, which use the same stack above `base`.
        let base = self.params.len();
        let mut first = Some((name, ty)).filter(|_| name.is_some());
        while first.is_some() || !matches!(self.tok(), Tok::Eof) && self.tok() != closing {
            let param = match first.take() {
                Some((name, Some(ty))) => {
                    let ty = if generic { self.embedded_elem(Some(ty)) } else { ty };
                    Param { name, ty: Some(ty) }
                }
                Some((name, None)) => self.param(name, generic),
                None => self.param(None, generic),
            };
            if param.name.is_some() || param.ty.is_some() {
                self.params.push(param);
            }
            if !self.list_goes_on(closing, if generic { "type parameter list" } else { "parameter list" }) {
                break;
            }
        }
        let fields = self.fields_of_params(base, start, generic, variadic);
        self.params.truncate(base);
        fields
    }

    /// Reads one parameter; `name` if it is read already.
    fn param(&mut self, name: Option<IdentId>, generic: bool) -> Param {
        let mut param = Param { name, ty: None };
        if name.is_some() || self.tok() == Tok::Ident {
            let name = match name {
                Some(name) => name,
                None => self.ident(),
            };
            param.name = Some(name);
            match self.tok() {
                Tok::Ident
                | Tok::Mul
                | Tok::Arrow
                | Tok::Func
                | Tok::Chan
                | Tok::Map
                | Tok::Struct
                | Tok::Interface
                | Tok::LParen => param.ty = Some(self.ty()),
                Tok::LBrack => {
                    let (name, ty) = self.array_or_instance(name);
                    param = Param { name, ty: Some(ty) };
                }
                Tok::Ellipsis => {
                    param.ty = Some(self.variadic_type());
                    return param;
                }
                Tok::Period => param = Param { name: None, ty: Some(self.qualified_type_from(name)) },
                Tok::Tilde if generic => {
                    param.ty = Some(self.embedded_elem(None));
                    return param;
                }
                Tok::Or if generic => {
                    let first = self.ident_expr(name);
                    return Param { name: None, ty: Some(self.embedded_elem(Some(first))) };
                }
                _ => {}
            }
        } else {
            match self.tok() {
                Tok::Tilde if generic => return Param { name: None, ty: Some(self.embedded_elem(None)) },
                Tok::Ellipsis => return Param { name: None, ty: Some(self.variadic_type()) },
                Tok::Mul
                | Tok::Arrow
                | Tok::Func
                | Tok::LBrack
                | Tok::Chan
                | Tok::Map
                | Tok::Struct
                | Tok::Interface
                | Tok::LParen => param.ty = Some(self.ty()),
                _ => {
                    self.error_expected("parameter");
                    self.skip_expression();
                }
            }
        }
        if generic
            && self.tok() == Tok::Or
            && let Some(first) = param.ty
        {
            param.ty = Some(self.embedded_elem(Some(first)));
        }
        param
    }

    fn variadic_type(&mut self) -> ExprId {
        let start = self.expect(Tok::Ellipsis).start;
        let elem = self.ty();
        let end = self.expr_span(elem).end;
        self.add_expr(Expr::Ellipsis(Some(elem)), start, end)
    }

    /// Makes the fields of the parameters above `base`.
    fn fields_of_params(&mut self, base: usize, start: u32, generic: bool, variadic: bool) -> List<FieldId> {
        let count = self.params.len() - base;
        if count == 0 {
            return List::EMPTY;
        }
        let named = self.params[base..].iter().filter(|p| p.name.is_some() && p.ty.is_some()).count();
        if named == 0 {
            // Names alone are types.
            for i in base..base + count {
                let param = self.params[i];
                if let Some(name) = param.name {
                    self.params[i] = Param { name: None, ty: Some(self.ident_expr(name)) };
                }
            }
            if generic {
                self.error_at(start, "expected type parameters with constraints: a name or a constraint is missing");
            }
        } else if named < count {
            self.share_types(base, start, generic);
        }
        self.check_ellipsis(base, variadic);

        let mark = self.mark();
        let mut i = base;
        while i < base + count {
            let ty = match self.params[i].ty {
                Some(ty) => ty,
                None => self.bad_here(),
            };
            let names = self.mark();
            // Names that share a type are one field.
            let mut same = i;
            while same < base + count && (same == i || named > 0 && self.params[same].ty == Some(ty)) {
                if let Some(name) = self.params[same].name {
                    self.push(name);
                }
                same += 1;
            }
            i = same;
            let names = self.finish_list(names);
            let field = self.add_field(names, ty, None);
            self.push(field);
        }
        self.finish_list(mark)
    }

    /// Gives each name alone the type of the next parameter that has one.
    fn share_types(&mut self, base: usize, start: u32, generic: bool) {
        let mut ty = None;
        let mut problem = None;
        for i in (base..self.params.len()).rev() {
            let param = self.params[i];
            match (param.name, param.ty) {
                (Some(_), Some(own)) => ty = Some(own),
                (None, Some(own)) => {
                    ty = Some(own);
                    let pos = self.expr_span(own).start;
                    problem =
                        Some((pos, if generic { "missing type parameter name" } else { "missing parameter name" }));
                    self.params[i].name = Some(self.add_made_up_ident("_", pos));
                }
                (Some(name), None) => {
                    if ty.is_none() {
                        let what = if generic { "missing type constraint" } else { "missing parameter type" };
                        problem = Some((self.file.idents[name.index()].pos, what));
                        ty = Some(self.bad_here());
                    }
                    self.params[i].ty = ty;
                }
                (None, None) => {}
            }
        }
        if let Some((pos, what)) = problem {
            self.error_at(pos.max(start), what);
        }
    }

    /// Reports `...` anywhere but at the last parameter of a list that may have it.
    #[inline]
    fn check_ellipsis(&mut self, base: usize, variadic: bool) {
        for i in base..self.params.len() {
            let last = i + 1 == self.params.len();
            if let Some(ty) = self.params[i].ty
                && let Expr::Ellipsis(_) = self.file.exprs[ty.index()]
                && !(variadic && last)
            {
                let what = if variadic { "can only use ... with the final parameter" } else { "invalid use of ..." };
                let pos = self.expr_span(ty).start;
                return self.error_at(pos, what);
            }
        }
    }
}

//! Types.

use super::{EXPRESSION_END, Parser};
use crate::ast::{
    BinaryOp, ChanDir, Expr, ExprId, FieldId, FuncType, FuncTypeId, IdentId, List, LitKind, Span, UnaryOp,
};
use crate::token::Tok;

impl Parser<'_> {
    /// Reads a type; reports where there is none.
    pub(super) fn ty(&mut self) -> ExprId {
        match self.try_type() {
            Some(ty) => ty,
            None => self.missing_type("type"),
        }
    }

    #[cold]
    #[inline(never)]
    fn missing_type(&mut self, what: &str) -> ExprId {
        let start = self.pos();
        self.error_expected(what);
        self.skip_expression();
        self.add_expr(Expr::Bad, start, self.pos().max(start))
    }

    /// Reads a type if there is one.
    pub(super) fn try_type(&mut self) -> Option<ExprId> {
        let start = self.pos();
        match self.tok() {
            Tok::Ident => {
                let name = self.type_name();
                return Some(if self.tok() == Tok::LBrack { self.type_instance(name) } else { name });
            }
            Tok::Func if self.at_declaration() => return None,
            Tok::LBrack
            | Tok::Struct
            | Tok::Mul
            | Tok::Func
            | Tok::Interface
            | Tok::Map
            | Tok::Chan
            | Tok::Arrow
            | Tok::LParen => {}
            _ => return None,
        }
        if !self.enter() {
            return Some(self.bad_here());
        }
        let ty = match self.tok() {
            Tok::LBrack => {
                self.next();
                self.array_type(start, None)
            }
            Tok::Struct => self.struct_type(),
            Tok::Mul => {
                self.next();
                let base = self.ty();
                let end = self.expr_span(base).end;
                self.add_expr(Expr::Star(base), start, end)
            }
            Tok::Func => {
                let ty = self.func_type();
                self.func_type_expr(ty)
            }
            Tok::Interface => self.interface_type(),
            Tok::Map => self.map_type(),
            Tok::LParen => {
                self.next();
                let inner = self.ty();
                let end = self.expect(Tok::RParen).end;
                self.add_expr(Expr::Paren(inner), start, end)
            }
            _ => self.chan_type(),
        };
        self.leave();
        Some(ty)
    }

    /// Reads `T` or `pkg.T`.
    fn type_name(&mut self) -> ExprId {
        let name = self.ident();
        self.type_name_from(name)
    }

    /// Reads on after the first name of `T` or `pkg.T`.
    fn type_name_from(&mut self, name: IdentId) -> ExprId {
        let x = self.ident_expr(name);
        if !self.eat(Tok::Period) {
            return x;
        }
        let start = self.expr_span(x).start;
        let sel = self.ident();
        let end = self.ident_end(sel);
        self.add_expr(Expr::Selector { x, sel }, start, end)
    }

    /// Reads on after the first name of `T`, `pkg.T` or `pkg.T[A, B]`.
    pub(super) fn qualified_type_from(&mut self, name: IdentId) -> ExprId {
        let ty = self.type_name_from(name);
        if self.tok() == Tok::LBrack { self.type_instance(ty) } else { ty }
    }

    fn qualified_type(&mut self) -> ExprId {
        let name = self.ident();
        self.qualified_type_from(name)
    }

    /// Reads the type arguments of `generic`.
    fn type_instance(&mut self, generic: ExprId) -> ExprId {
        if !self.enter() {
            return generic;
        }
        let lbrack = self.expect(Tok::LBrack);
        let outer = std::mem::replace(&mut self.no_composite, false);
        let mark = self.mark();
        while !matches!(self.tok(), Tok::RBrack | Tok::Eof) {
            let arg = self.ty();
            self.push(arg);
            if !self.list_goes_on(Tok::RBrack, "type argument list") {
                break;
            }
        }
        self.no_composite = outer;
        self.leave();
        if self.mark() == mark {
            self.error_expected("type argument list");
            let bad = self.add_expr(Expr::Bad, lbrack.end, self.pos().max(lbrack.end));
            self.push(bad);
        }
        let indices = self.finish_list(mark);
        let end = self.expect(Tok::RBrack).end;
        let start = self.expr_span(generic).start;
        self.add_expr(Expr::Index { x: generic, indices }, start, end)
    }

    /// Reads an array or slice type whose `[` at `start` and, if given, length are read.
    pub(super) fn array_type(&mut self, start: u32, len: Option<ExprId>) -> ExprId {
        let len = len.or_else(|| {
            let outer = std::mem::replace(&mut self.no_composite, false);
            let pos = self.lex.start;
            let len = match self.tok() {
                Tok::RBrack => None,
                Tok::Ellipsis => {
                    self.next();
                    Some(self.add_expr(Expr::Ellipsis(None), pos, pos + 3))
                }
                _ => Some(self.expr()),
            };
            self.no_composite = outer;
            len
        });
        if self.tok() == Tok::Comma {
            self.error("unexpected comma in array length, expected ']'");
            self.next();
        }
        self.expect(Tok::RBrack);
        let elem = self.ty();
        let end = self.expr_span(elem).end;
        self.add_expr(Expr::ArrayType { len, elem }, start, end)
    }

    /// Reads what follows a name in brackets: `name []E` and `name [N]E` give back the name beside the array type,
    /// `name[A, B]` gives an instantiation alone.
    pub(super) fn array_or_instance(&mut self, name: IdentId) -> (Option<IdentId>, ExprId) {
        let start = self.expect(Tok::LBrack).start;
        let mark = self.mark();
        let mut trailing_comma = None;
        if self.tok() != Tok::RBrack {
            let outer = std::mem::replace(&mut self.no_composite, false);
            loop {
                let arg = self.expr();
                self.push(arg);
                let comma = self.pos();
                if !self.eat(Tok::Comma) {
                    break;
                }
                if self.tok() == Tok::RBrack {
                    trailing_comma = Some(comma);
                    break;
                }
            }
            self.no_composite = outer;
        }
        let end = self.expect(Tok::RBrack).end;
        let args = self.finish_list(mark);
        let elem = match args.len() {
            0 => Some(self.ty()),
            1 => self.try_type(),
            _ => None,
        };
        if let Some(elem) = elem {
            if let Some(comma) = trailing_comma {
                self.error_at(comma, "unexpected comma in array length, expected ']'");
            }
            let len = self.file.list_get(args, 0);
            let end = self.expr_span(elem).end;
            return (Some(name), self.add_expr(Expr::ArrayType { len, elem }, start, end));
        }
        let x = self.ident_expr(name);
        let start = self.expr_span(x).start;
        (None, self.add_expr(Expr::Index { x, indices: args }, start, end))
    }

    fn struct_type(&mut self) -> ExprId {
        let start = self.expect(Tok::Struct).start;
        self.expect(Tok::LBrace);
        let mark = self.mark();
        while matches!(self.tok(), Tok::Ident | Tok::Mul | Tok::LParen) {
            let field = self.field_decl();
            self.push(field);
        }
        let fields = self.finish_list(mark);
        let end = self.expect(Tok::RBrace).end;
        self.add_expr(Expr::StructType { fields }, start, end)
    }

    fn field_decl(&mut self) -> FieldId {
        let start = self.pos();
        let (names, ty) = match self.tok() {
            Tok::Ident => {
                let name = self.ident();
                match self.tok() {
                    Tok::Period => (List::EMPTY, self.qualified_type_from(name)),
                    Tok::String | Tok::Semi | Tok::RBrace => (List::EMPTY, self.ident_expr(name)),
                    Tok::LBrack => match self.array_or_instance(name) {
                        (Some(name), ty) => (self.list_of(name), ty),
                        (None, ty) => (List::EMPTY, ty),
                    },
                    Tok::Comma => {
                        let mark = self.mark();
                        self.push(name);
                        while self.eat(Tok::Comma) {
                            let name = self.ident();
                            self.push(name);
                        }
                        let names = self.finish_list(mark);
                        (names, self.ty())
                    }
                    _ => (self.list_of(name), self.ty()),
                }
            }
            Tok::Mul => {
                self.next();
                (List::EMPTY, self.embedded_pointer(start))
            }
            _ => {
                self.error("cannot parenthesize embedded type");
                self.expect(Tok::LParen);
                let star = self.pos();
                let ty = if self.eat(Tok::Mul) { self.embedded_pointer(star) } else { self.qualified_type() };
                self.eat(Tok::RParen);
                (List::EMPTY, ty)
            }
        };
        let tag = (self.tok() == Tok::String).then(|| self.literal(LitKind::String));
        self.expect_semi("struct field");
        self.add_field(names, ty, tag)
    }

    /// Reads the type of an embedded field whose `*` at `star` is read.
    fn embedded_pointer(&mut self, star: u32) -> ExprId {
        let paren = self.tok() == Tok::LParen;
        if paren {
            self.error("cannot parenthesize embedded type");
            self.next();
        }
        let base = self.qualified_type();
        if paren {
            self.eat(Tok::RParen);
        }
        let end = self.expr_span(base).end;
        self.add_expr(Expr::Star(base), star, end)
    }

    /// Reads `func` and its parameters and results.
    pub(super) fn func_type(&mut self) -> FuncTypeId {
        let start = self.expect(Tok::Func).start;
        if self.tok() == Tok::LBrack {
            let pos = self.pos();
            self.type_params();
            self.error_at(pos, "function type must have no type parameters");
        }
        self.signature(start, List::EMPTY)
    }

    /// Reads the parameters and results of a function type that begins at `start`.
    pub(super) fn signature(&mut self, start: u32, type_params: List<FieldId>) -> FuncTypeId {
        let (params, mut end) = self.params(true);
        let results = if self.tok() == Tok::LParen {
            let (results, results_end) = self.params(false);
            end = results_end;
            results
        } else if let Some(ty) = self.try_type() {
            end = self.expr_span(ty).end;
            let field = self.add_field(List::EMPTY, ty, None);
            self.list_of(field)
        } else {
            List::EMPTY
        };
        self.add_func_type(FuncType { type_params, params, results, span: Span::new(start, end) })
    }

    pub(super) fn func_type_expr(&mut self, ty: FuncTypeId) -> ExprId {
        let span = self.file.func_types[ty.index()].span;
        self.add_expr(Expr::FuncType(ty), span.start, span.end)
    }

    fn interface_type(&mut self) -> ExprId {
        let start = self.expect(Tok::Interface).start;
        self.expect(Tok::LBrace);
        let mark = self.mark();
        loop {
            let elem = match self.tok() {
                Tok::Ident => self.method_or_embedded(),
                Tok::Tilde => {
                    let ty = self.embedded_elem(None);
                    self.add_field(List::EMPTY, ty, None)
                }
                _ => {
                    let Some(ty) = self.try_type() else { break };
                    let ty = self.embedded_elem(Some(ty));
                    self.add_field(List::EMPTY, ty, None)
                }
            };
            self.expect_semi("interface element");
            self.push(elem);
        }
        let elems = self.finish_list(mark);
        let end = self.expect(Tok::RBrace).end;
        self.add_expr(Expr::InterfaceType { elems }, start, end)
    }

    /// Reads an interface's element that begins with a name.
    fn method_or_embedded(&mut self) -> FieldId {
        let name = self.ident();
        let ty = match self.tok() {
            Tok::LParen => {
                let start = self.pos();
                return self.method(name, start);
            }
            Tok::LBrack => {
                let lbrack = self.pos();
                self.next();
                let outer = std::mem::replace(&mut self.no_composite, false);
                let first = self.expr();
                self.no_composite = outer;
                if let (Expr::Ident(param), false) =
                    (self.file.expr(first), matches!(self.tok(), Tok::Comma | Tok::RBrack))
                {
                    self.param_list(Some(param), None, Tok::RBrack, false);
                    self.expect(Tok::RBrack);
                    self.error_at(lbrack, "interface method must have no type parameters");
                    let start = self.pos();
                    return self.method(name, start);
                }
                let mark = self.mark();
                self.push(first);
                if self.list_goes_on(Tok::RBrack, "type argument list") {
                    let outer = std::mem::replace(&mut self.no_composite, false);
                    while !matches!(self.tok(), Tok::RBrack | Tok::Eof) {
                        let arg = self.ty();
                        self.push(arg);
                        if !self.list_goes_on(Tok::RBrack, "type argument list") {
                            break;
                        }
                    }
                    self.no_composite = outer;
                }
                let indices = self.finish_list(mark);
                let end = self.expect(Tok::RBrack).end;
                let x = self.ident_expr(name);
                let start = self.expr_span(x).start;
                self.add_expr(Expr::Index { x, indices }, start, end)
            }
            _ => self.qualified_type_from(name),
        };
        let ty = self.embedded_elem(Some(ty));
        self.add_field(List::EMPTY, ty, None)
    }

    fn method(&mut self, name: IdentId, start: u32) -> FieldId {
        let ty = self.signature(start, List::EMPTY);
        let ty = self.func_type_expr(ty);
        let names = self.list_of(name);
        self.add_field(names, ty, None)
    }

    /// Reads terms between `|`; the first one if it is not yet read.
    pub(super) fn embedded_elem(&mut self, first: Option<ExprId>) -> ExprId {
        let mut x = match first {
            Some(x) => x,
            None => self.embedded_term(),
        };
        let mut links = 0;
        while self.tok() == Tok::Or && self.chain(&mut links) {
            let op_pos = self.pos();
            self.next();
            let y = self.embedded_term();
            let (start, end) = (self.expr_span(x).start, self.expr_span(y).end);
            x = self.add_expr(Expr::Binary { op: BinaryOp::Or, x, y, op_pos }, start, end);
        }
        x
    }

    fn embedded_term(&mut self) -> ExprId {
        let start = self.pos();
        if self.eat(Tok::Tilde) {
            let x = self.ty();
            let end = self.expr_span(x).end;
            return self.add_expr(Expr::Unary { op: UnaryOp::Tilde, x }, start, end);
        }
        match self.try_type() {
            Some(ty) => ty,
            None => self.missing_type("~ term or type"),
        }
    }

    fn map_type(&mut self) -> ExprId {
        let start = self.expect(Tok::Map).start;
        self.expect(Tok::LBrack);
        let key = self.ty();
        self.expect(Tok::RBrack);
        let value = self.ty();
        let end = self.expr_span(value).end;
        self.add_expr(Expr::MapType { key, value }, start, end)
    }

    fn chan_type(&mut self) -> ExprId {
        let start = self.pos();
        let dir = if self.eat(Tok::Arrow) {
            self.expect(Tok::Chan);
            ChanDir::Recv
        } else {
            self.expect(Tok::Chan);
            let arrow = self.pos();
            if self.eat(Tok::Arrow) {
                self.send_arrows.push(arrow);
                ChanDir::Send
            } else {
                ChanDir::Both
            }
        };
        let elem = self.ty();
        let end = self.expr_span(elem).end;
        self.add_expr(Expr::ChanType { dir, elem }, start, end)
    }

    /// Gives the `<-` at `arrow`, read before the channel type `chan`, to that type: `<-chan T` is a type, and so is
    /// `<-chan<- T` if `T` is a channel type to take the second arrow.
    pub(super) fn receive_only(&mut self, arrow: u32, chan: ExprId) {
        let mut arrow = arrow;
        let mut chan = chan;
        loop {
            let Expr::ChanType { dir, elem } = self.file.exprs[chan.index()] else {
                return self.error_at(arrow, "expected channel type after '<-'");
            };
            let span = &mut self.file.expr_spans[chan.index()];
            let begin = std::mem::replace(&mut span.start, arrow);
            self.file.exprs[chan.index()] = Expr::ChanType { dir: ChanDir::Recv, elem };
            match dir {
                ChanDir::Both => return,
                ChanDir::Recv => return self.error_at(begin, "unexpected '<-', expected 'chan'"),
                ChanDir::Send => {
                    let i = self.send_arrows.partition_point(|&pos| pos <= begin);
                    arrow = self.send_arrows.get(i).copied().unwrap_or(begin);
                    chan = elem;
                }
            }
        }
    }

    /// Whether an expression, as a type parameter's possible constraint, can only be a type.
    pub(super) fn is_type_elem(&self, x: ExprId) -> bool {
        let mut x = x;
        loop {
            match self.file.exprs[x.index()] {
                Expr::ArrayType { .. }
                | Expr::StructType { .. }
                | Expr::FuncType(_)
                | Expr::InterfaceType { .. }
                | Expr::MapType { .. }
                | Expr::ChanType { .. } => return true,
                Expr::Binary { x: left, y, .. } => {
                    if self.is_type_elem(y) {
                        return true;
                    }
                    x = left;
                }
                Expr::Unary { op, .. } => return op == UnaryOp::Tilde,
                Expr::Paren(inner) => x = inner,
                _ => return false,
            }
        }
    }

    /// Where a list of elements ends early after an error.
    pub(super) fn at_expression_end(&self) -> bool {
        EXPRESSION_END.has(self.tok())
    }
}

//! Expressions. Types are expressions too: what stands where is for a type checker to say.

use super::Parser;
use crate::ast::{BinaryOp, Expr, ExprId, IdentId, List, LitKind, UnaryOp};
use crate::token::Tok;

impl Parser<'_> {
    /// Reads an expression or a type.
    #[inline]
    pub(super) fn expr(&mut self) -> ExprId {
        let x = self.unary();
        if self.tok().binary().is_some() { self.binary_from(x, 1) } else { x }
    }

    /// Reads expressions between commas.
    pub(super) fn expr_list(&mut self) -> List<ExprId> {
        let first = self.expr();
        if self.tok() != Tok::Comma {
            return self.list_of(first);
        }
        let mark = self.mark();
        self.push(first);
        while self.eat(Tok::Comma) {
            let x = self.expr();
            self.push(x);
        }
        self.finish_list(mark)
    }

    pub(super) fn ident_expr(&mut self, ident: IdentId) -> ExprId {
        let start = self.file.idents[ident.index()].pos;
        let end = self.ident_end(ident);
        self.add_expr(Expr::Ident(ident), start, end)
    }

    /// Reads the operators after `x` that bind at least as strongly as `min`.
    pub(super) fn binary_from(&mut self, x: ExprId, min: u8) -> ExprId {
        let mut x = x;
        let mut links = 0;
        while let Some((op, precedence)) = self.tok().binary() {
            if precedence < min || !self.chain(&mut links) {
                break;
            }
            let op_pos = self.pos();
            self.next();
            let y = self.unary();
            let y = match self.tok().binary() {
                Some((_, next)) if next > precedence => self.binary_from(y, precedence + 1),
                _ => y,
            };
            let (start, end) = (self.expr_span(x).start, self.expr_span(y).end);
            x = self.add_expr(Expr::Binary { op, x, y, op_pos }, start, end);
        }
        x
    }

    #[inline]
    fn unary(&mut self) -> ExprId {
        if self.tok() != Tok::Ident {
            return self.unary_other();
        }
        let x = self.ident_operand();
        if self.tok().goes_on_operand() { self.primary_from(x) } else { x }
    }

    /// Reads a unary expression that does not begin with a name.
    #[inline(never)]
    fn unary_other(&mut self) -> ExprId {
        let op = match self.tok() {
            Tok::Int | Tok::String => return self.primary(),
            Tok::Add => UnaryOp::Plus,
            Tok::Sub => UnaryOp::Minus,
            Tok::Not => UnaryOp::Not,
            Tok::Xor => UnaryOp::Xor,
            Tok::And => UnaryOp::Addr,
            Tok::Tilde => UnaryOp::Tilde,
            Tok::Arrow => UnaryOp::Recv,
            Tok::Mul => return self.star(),
            _ => return self.primary(),
        };
        let start = self.pos();
        if !self.enter() {
            return self.bad_here();
        }
        self.next();
        let x = self.unary();
        self.leave();
        if op == UnaryOp::Recv && matches!(self.file.exprs[x.index()], Expr::ChanType { .. }) {
            // Only now is it known that the arrow is part of a type.
            self.receive_only(start, x);
            return x;
        }
        let end = self.expr_span(x).end;
        self.add_expr(Expr::Unary { op, x }, start, end)
    }

    fn star(&mut self) -> ExprId {
        let start = self.pos();
        if !self.enter() {
            return self.bad_here();
        }
        self.next();
        let x = self.unary();
        self.leave();
        let end = self.expr_span(x).end;
        self.add_expr(Expr::Star(x), start, end)
    }

    #[inline]
    fn primary(&mut self) -> ExprId {
        let x = self.operand();
        self.primary_from(x)
    }

    /// Reads the selectors, indices, calls and literal values after `x`.
    pub(super) fn primary_from(&mut self, x: ExprId) -> ExprId {
        let mut x = x;
        let mut links = 0;
        loop {
            match self.tok() {
                Tok::Period => {
                    self.next();
                    x = match self.tok() {
                        Tok::LParen => self.type_assertion(x),
                        Tok::Ident => {
                            let start = self.expr_span(x).start;
                            let end = self.lex.end;
                            let sel = self.ident();
                            self.add_expr(Expr::Selector { x, sel }, start, end)
                        }
                        _ => self.missing_selector(x),
                    };
                }
                Tok::LParen => x = self.call(x),
                Tok::LBrack => x = self.index(x),
                Tok::LBrace if self.begins_literal_value(x) => x = self.composite(Some(x)),
                _ => return x,
            }
            if !self.chain(&mut links) {
                return x;
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn missing_selector(&mut self, x: ExprId) -> ExprId {
        self.error_expected("selector or type assertion");
        let span = self.expr_span(x);
        let sel = self.add_made_up_ident("_", self.pos());
        self.add_expr(Expr::Selector { x, sel }, span.start, self.pos().max(span.end))
    }

    #[inline]
    fn ident_operand(&mut self) -> ExprId {
        let (start, end) = (self.lex.start, self.lex.end);
        let ident = self.ident();
        self.add_expr(Expr::Ident(ident), start, end)
    }

    fn operand(&mut self) -> ExprId {
        let start = self.pos();
        match self.tok() {
            Tok::Ident => self.ident_operand(),
            Tok::String => self.literal(LitKind::String),
            Tok::Int => self.literal(LitKind::Int),
            Tok::Float => self.literal(LitKind::Float),
            Tok::Imag => self.literal(LitKind::Imag),
            Tok::Char => self.literal(LitKind::Char),
            Tok::LParen => {
                if !self.enter() {
                    return self.bad_here();
                }
                self.next();
                let outer = std::mem::replace(&mut self.no_composite, false);
                let x = self.expr();
                self.no_composite = outer;
                self.leave();
                let end = self.expect(Tok::RParen).end;
                self.add_expr(Expr::Paren(x), start, end)
            }
            Tok::Func if !self.at_declaration() => self.func_type_or_literal(),
            _ => match self.try_type() {
                Some(ty) => ty,
                None => self.missing_operand(),
            },
        }
    }

    #[cold]
    #[inline(never)]
    fn missing_operand(&mut self) -> ExprId {
        let start = self.pos();
        self.error_expected("operand");
        // A keyword that begins a statement, or what ends the expression, is left for whoever waits for it.
        if !self.at_expression_end() {
            self.skip_expression();
        }
        self.add_expr(Expr::Bad, start, self.pos().max(start))
    }

    /// Reads a literal.
    #[inline]
    pub(super) fn literal(&mut self, kind: LitKind) -> ExprId {
        let x = self.add_expr(Expr::BasicLit(kind), self.lex.start, self.lex.end);
        self.next();
        x
    }

    fn func_type_or_literal(&mut self) -> ExprId {
        let ty = self.func_type();
        if self.tok() != Tok::LBrace {
            return self.func_type_expr(ty);
        }
        if !self.enter() {
            return self.bad_here();
        }
        let outer = std::mem::replace(&mut self.no_composite, false);
        let body = self.block();
        self.no_composite = outer;
        self.leave();
        let start = self.file.func_types[ty.index()].span.start;
        let end = self.file.blocks[body.index()].span.end;
        self.add_expr(Expr::FuncLit { ty, body }, start, end)
    }

    fn type_assertion(&mut self, x: ExprId) -> ExprId {
        self.expect(Tok::LParen);
        let ty = if self.eat(Tok::Type) { None } else { Some(self.ty()) };
        let end = self.expect(Tok::RParen).end;
        let start = self.expr_span(x).start;
        self.add_expr(Expr::TypeAssert { x, ty }, start, end)
    }

    fn call(&mut self, fun: ExprId) -> ExprId {
        let start = self.expr_span(fun).start;
        if !self.enter() {
            return fun;
        }
        self.expect(Tok::LParen);
        let outer = std::mem::replace(&mut self.no_composite, false);
        let mark = self.mark();
        let mut ellipsis = 0;
        while ellipsis == 0 && !matches!(self.tok(), Tok::RParen | Tok::Eof) {
            let arg = self.expr();
            self.push(arg);
            if self.tok() == Tok::Ellipsis {
                ellipsis = self.pos();
                self.next();
            }
            if !self.list_goes_on(Tok::RParen, "argument list") {
                break;
            }
        }
        let args = self.finish_list(mark);
        self.no_composite = outer;
        self.leave();
        let end = self.expect(Tok::RParen).end;
        self.add_expr(Expr::Call { fun, args, ellipsis }, start, end)
    }

    /// Reads an index, a slice or type arguments.
    fn index(&mut self, x: ExprId) -> ExprId {
        let start = self.expr_span(x).start;
        if !self.enter() {
            return x;
        }
        let lbrack = self.expect(Tok::LBrack);
        let outer = std::mem::replace(&mut self.no_composite, false);
        let first = match self.tok() {
            Tok::Colon => None,
            Tok::RBrack => {
                self.error_expected("operand");
                Some(self.bad_here())
            }
            _ => Some(self.expr()),
        };
        let sliced = match first {
            Some(first) if self.tok() != Tok::Colon => {
                let indices = self.type_args_from(first);
                Expr::Index { x, indices }
            }
            lo => self.slice_bounds(x, lo, lbrack.end),
        };
        self.no_composite = outer;
        self.leave();
        let end = self.expect(Tok::RBrack).end;
        self.add_expr(sliced, start, end)
    }

    /// Reads the type arguments after the first one.
    fn type_args_from(&mut self, first: ExprId) -> List<ExprId> {
        if self.tok() != Tok::Comma {
            return self.list_of(first);
        }
        let mark = self.mark();
        self.push(first);
        while self.eat(Tok::Comma) {
            if !matches!(self.tok(), Tok::RBrack | Tok::Eof) {
                let arg = self.ty();
                self.push(arg);
            }
        }
        self.finish_list(mark)
    }

    /// Reads the bounds of a slice from the first colon on.
    fn slice_bounds(&mut self, x: ExprId, lo: Option<ExprId>, start: u32) -> Expr {
        let mut bounds = [None; 2];
        let mut colons = [start; 2];
        let mut count = 0;
        while count < 2 && self.tok() == Tok::Colon {
            colons[count] = self.pos();
            self.next();
            if !matches!(self.tok(), Tok::Colon | Tok::RBrack | Tok::Eof) {
                bounds[count] = Some(self.expr());
            }
            count += 1;
        }
        let [hi, max] = bounds;
        if count < 2 {
            return Expr::Slice { x, lo, hi, max: None };
        }
        let mut required = |bound: Option<ExprId>, colon: u32, which: &str| match bound {
            Some(bound) => bound,
            None => {
                self.error_at(colon, format!("{which} index required in 3-index slice"));
                self.add_expr(Expr::Bad, colon + 1, colon + 1)
            }
        };
        let hi = required(hi, colons[0], "middle");
        let max = required(max, colons[1], "final");
        Expr::Slice { x, lo, hi: Some(hi), max: Some(max) }
    }

    /// Whether the `{` after `x` begins a literal value, not a block.
    fn begins_literal_value(&mut self, x: ExprId) -> bool {
        let mut ty = x;
        while let Expr::Paren(inner) = self.file.exprs[ty.index()] {
            ty = inner;
        }
        let literal = match self.file.exprs[ty.index()] {
            Expr::Bad | Expr::Ident(_) | Expr::Selector { .. } | Expr::Index { .. } => !self.no_composite,
            Expr::ArrayType { .. } | Expr::StructType { .. } | Expr::MapType { .. } => true,
            _ => false,
        };
        if literal && ty != x {
            let pos = self.expr_span(ty).start;
            self.error_at(pos, "cannot parenthesize type in composite literal");
        }
        literal
    }

    /// Reads a literal value in braces, of type `ty` or the one its place implies.
    fn composite(&mut self, ty: Option<ExprId>) -> ExprId {
        let lbrace = self.pos();
        let start = ty.map_or(lbrace, |ty| self.expr_span(ty).start);
        if !self.enter() {
            return self.bad_here();
        }
        self.expect(Tok::LBrace);
        let outer = std::mem::replace(&mut self.no_composite, false);
        let mark = self.mark();
        while !matches!(self.tok(), Tok::RBrace | Tok::Eof) {
            let elt = self.element();
            self.push(elt);
            if !self.list_goes_on(Tok::RBrace, "composite literal") {
                break;
            }
        }
        let elts = self.finish_list(mark);
        self.no_composite = outer;
        self.leave();
        let end = self.expect(Tok::RBrace).end;
        self.add_expr(Expr::CompositeLit { ty, elts, lbrace }, start, end)
    }

    #[inline]
    fn element(&mut self) -> ExprId {
        let key = self.element_value();
        if !self.eat(Tok::Colon) {
            return key;
        }
        let value = self.element_value();
        let (start, end) = (self.expr_span(key).start, self.expr_span(value).end);
        self.add_expr(Expr::KeyValue { key, value }, start, end)
    }

    #[inline]
    fn element_value(&mut self) -> ExprId {
        if self.tok() == Tok::LBrace { self.composite(None) } else { self.expr() }
    }

    /// Splits `x`, read in the brackets after a type's name, into a type parameter's name and constraint: `P *C`,
    /// `P (C)` and `P *C|D` read as a product, a call and a sum. Splits only if the constraint can be nothing but a
    /// type, or if `certain`, since otherwise it is an array's length. A name alone has no constraint.
    pub(super) fn split_type_param(&mut self, x: ExprId, certain: bool) -> Option<(IdentId, Option<ExprId>)> {
        // Down the left side of a sum, whose right sides may tell.
        let mut certain = certain;
        let mut left = x;
        while let Expr::Binary { op: BinaryOp::Or, x, y, .. } = self.file.exprs[left.index()] {
            certain = certain || self.is_type_elem(y);
            left = x;
        }
        let (name, constraint) = match self.file.exprs[left.index()] {
            Expr::Ident(name) if left == x => return Some((name, None)),
            Expr::Binary { op: BinaryOp::Mul, x: name, y, op_pos } if certain || self.is_type_elem(y) => {
                (name, (Expr::Star(y), op_pos))
            }
            Expr::Call { fun, args, ellipsis: 0 } if args.len() == 1 => {
                let arg = self.file.list_get(args, 0)?;
                if !certain && !self.is_type_elem(arg) {
                    return None;
                }
                (fun, (Expr::Paren(arg), self.opening_paren(fun)))
            }
            _ => return None,
        };
        let Expr::Ident(name) = self.file.exprs[name.index()] else { return None };
        // The nodes change their kind in place, and what encloses them starts later.
        let (expr, start) = constraint;
        self.file.exprs[left.index()] = expr;
        let mut node = x;
        loop {
            self.file.expr_spans[node.index()].start = start;
            match self.file.exprs[node.index()] {
                Expr::Binary { op: BinaryOp::Or, x, .. } if node != left => node = x,
                _ => return Some((name, Some(x))),
            }
        }
    }

    /// Where the parenthesis stands that calls `fun`: the first one after it that is not within a comment.
    fn opening_paren(&self, fun: ExprId) -> u32 {
        let src = self.lex.src;
        let mut i = self.expr_span(fun).end as usize;
        let comments = &self.lex.comments;
        let mut next = comments.partition_point(|comment| (comment.span.start as usize) < i);
        while i < src.len() && src[i] != b'(' {
            match comments.get(next) {
                Some(comment) if comment.span.start as usize == i => {
                    i = comment.span.end as usize;
                    next += 1;
                }
                _ => i += 1,
            }
        }
        i as u32
    }
}

//! The package clause, imports and other declarations.

use super::{DECLARATION_START, Parser};
use crate::Bodies;
use crate::ast::{Decl, DeclId, ExprId, FuncDecl, GenKind, List, LitKind, Spec, SpecId};
use crate::token::Tok;

impl Parser<'_> {
    /// Reads the package clause. Returns false where there is none: the rest is unlikely to be Go.
    fn package_clause(&mut self) -> bool {
        self.file.package_pos = self.pos();
        if !self.eat(Tok::Package) {
            self.error_expected("'package'");
            return false;
        }
        if self.tok() != Tok::Ident {
            self.error_expected("package name");
            return false;
        }
        self.file.package = Some(self.ident());
        self.expect_semi("package clause");
        true
    }

    /// Reads the package clause and imports.
    pub(crate) fn header(&mut self) {
        if self.package_clause() {
            let mark = self.mark();
            while self.tok() == Tok::Import {
                let decl = self.decl();
                self.push(decl);
            }
            self.file.top = self.finish_list(mark);
        }
    }

    /// Reads the whole file.
    pub(crate) fn file(&mut self) {
        if !self.package_clause() {
            return;
        }
        let mark = self.mark();
        let mut imports_over = false;
        while self.tok() != Tok::Eof {
            if self.tok() != Tok::Import {
                imports_over = true;
            } else if imports_over {
                self.error("imports must appear before other declarations");
                imports_over = false;
            }
            let start = self.pos();
            let decl = self.decl();
            self.push(decl);
            if self.pos() == start {
                self.next();
            }
        }
        self.file.top = self.finish_list(mark);
    }

    /// Reads a declaration.
    pub(super) fn decl(&mut self) -> DeclId {
        let start = self.pos();
        match self.tok() {
            Tok::Func => self.func_decl(),
            Tok::Import => self.gen_decl(GenKind::Import),
            Tok::Const => self.gen_decl(GenKind::Const),
            Tok::Var => self.gen_decl(GenKind::Var),
            Tok::Type => self.gen_decl(GenKind::Type),
            _ => {
                self.error_expected("declaration");
                while self.tok() != Tok::Eof
                    && !(DECLARATION_START.has(self.tok()) && (self.tok() != Tok::Func || self.lex.at_line_start()))
                {
                    self.next();
                }
                self.add_decl(Decl::Bad, start, self.pos().max(start))
            }
        }
    }

    fn gen_decl(&mut self, kind: GenKind) -> DeclId {
        let start = self.pos();
        self.next();
        let paren = self.tok() == Tok::LParen;
        let (specs, end) = if paren {
            self.next();
            let mark = self.mark();
            let mut iota = 0;
            while !matches!(self.tok(), Tok::RParen | Tok::Eof) {
                let before = self.pos();
                let spec = self.spec(kind, iota);
                self.push(spec);
                iota += 1;
                if self.tok() == Tok::RBrace || DECLARATION_START.has(self.tok()) && self.lex.at_line_start() {
                    break;
                }
                if self.pos() == before {
                    self.next();
                }
            }
            let specs = self.finish_list(mark);
            let close = self.expect(Tok::RParen);
            self.expect_semi("declaration");
            (specs, close.end.max(start))
        } else {
            let spec = self.spec(kind, 0);
            (self.list_of(spec), self.file.spec_spans[spec.index()].end)
        };
        self.add_decl(Decl::Gen { kind, specs, paren }, start, end)
    }

    fn spec(&mut self, kind: GenKind, iota: u32) -> SpecId {
        match kind {
            GenKind::Import => self.import_spec(),
            GenKind::Type => self.type_spec(),
            GenKind::Const | GenKind::Var => self.value_spec(kind, iota),
        }
    }

    fn import_spec(&mut self) -> SpecId {
        let start = self.pos();
        let name = match self.tok() {
            Tok::Ident => Some(self.ident()),
            Tok::Period => {
                self.next();
                Some(self.add_made_up_ident(".", start))
            }
            _ => None,
        };
        let path = match self.tok() {
            Tok::String => self.literal(LitKind::String),
            Tok::Ident | Tok::Int | Tok::Float | Tok::Imag | Tok::Char => {
                self.error("import path must be a string");
                let bad = self.bad_here();
                self.next();
                bad
            }
            _ => {
                self.error_expected("import path");
                let bad = self.bad_here();
                self.skip_expression();
                bad
            }
        };
        let end = self.expr_span(path).end;
        self.expect_semi("import");
        self.add_spec(Spec::Import { name, path }, start, end)
    }

    fn value_spec(&mut self, kind: GenKind, iota: u32) -> SpecId {
        let start = self.pos();
        let names = self.ident_list();
        let ty = match (kind, self.tok()) {
            (_, Tok::Assign) => None,
            // A constant may be declared without a type or value.
            (GenKind::Const, _) => self.try_type(),
            _ => Some(self.ty()),
        };
        let values = if self.eat(Tok::Assign) { self.expr_list() } else { List::EMPTY };
        let end = match (self.file.list(values).next_back(), ty) {
            (Some(last), _) | (None, Some(last)) => self.expr_span(last).end,
            (None, None) => self.file.list(names).next_back().map_or(start, |last| self.ident_end(last)),
        };
        self.expect_semi("declaration");
        self.add_spec(Spec::Value { names, ty, values, iota }, start, end.max(start))
    }

    fn type_spec(&mut self) -> SpecId {
        let start = self.pos();
        let name = self.ident();
        let mut type_params = List::EMPTY;
        let mut alias = false;
        let mut array = None;
        if self.tok() == Tok::LBrack {
            let lbrack = self.pos();
            self.next();
            // A name begins a type parameter or an array's length.
            let mut length = None;
            if self.tok() == Tok::Ident {
                let first = self.ident();
                let x = self.ident_expr(first);
                // `P []C` is no expression; anything else is read as one and taken apart.
                let x = if self.tok() == Tok::LBrack { x } else { self.bracketed_from(x) };
                match self.split_type_param(x, self.tok() == Tok::Comma) {
                    Some((param, constraint)) if constraint.is_some() || self.tok() != Tok::RBrack => {
                        type_params = self.param_list(Some(param), constraint, Tok::RBrack, false);
                        self.expect(Tok::RBrack);
                    }
                    _ => length = Some(x),
                }
            }
            if type_params.is_empty() {
                array = Some(self.array_type(lbrack, length));
            }
        }
        let ty = match array {
            Some(array) => array,
            None => {
                alias = self.eat(Tok::Assign);
                self.ty()
            }
        };
        let end = self.expr_span(ty).end;
        self.expect_semi("type declaration");
        self.add_spec(Spec::Type { name, type_params, alias, ty }, start, end.max(start))
    }

    /// Reads on after the first name of an expression in brackets.
    fn bracketed_from(&mut self, x: ExprId) -> ExprId {
        let outer = std::mem::replace(&mut self.no_composite, false);
        let x = self.primary_from(x);
        let x = self.binary_from(x, 1);
        self.no_composite = outer;
        x
    }

    fn func_decl(&mut self) -> DeclId {
        let start = self.expect(Tok::Func).start;
        let has_recv = self.tok() == Tok::LParen;
        let recv = if has_recv { self.params(true).0 } else { List::EMPTY };
        let name = self.ident();
        let type_params = if self.tok() == Tok::LBrack { self.type_params() } else { List::EMPTY };
        let ty = self.signature(start, type_params);
        let mut end = self.file.func_types[ty.index()].span.end;
        if self.tok() == Tok::Semi {
            self.next();
            if self.tok() == Tok::LBrace {
                self.error("unexpected semicolon or line end before '{'");
            }
        } else if self.tok() != Tok::LBrace {
            self.expect_semi("function declaration");
        }
        let mut body = None;
        if self.tok() == Tok::LBrace {
            let keep = match self.bodies {
                Bodies::Keep => true,
                Bodies::Of(names) => names.contains(&self.file.idents[name.index()].pos),
                Bodies::Skip => false,
            };
            if keep {
                let block = self.block();
                end = self.file.blocks[block.index()].span.end;
                body = Some(block);
            } else {
                end = self.skip_body();
            }
            self.expect_semi("function declaration");
        }
        self.add_decl(Decl::Func(FuncDecl { recv, has_recv, name, ty, body }), start, end)
    }

    /// Passes over a function's body; returns where it ends.
    fn skip_body(&mut self) -> u32 {
        let lbrace = self.pos();
        match self.skip_braces(lbrace) {
            Some(end) => {
                self.lex.resume_after_brace(end);
                end as u32
            }
            None => {
                self.error_at(lbrace, "function body is not closed");
                self.lex.stop();
                self.next();
                self.pos()
            }
        }
    }
}

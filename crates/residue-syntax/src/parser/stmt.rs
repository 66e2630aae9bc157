//! Statements.

use super::Parser;
use crate::ast::{AssignOp, BlockId, BranchKind, Clause, ClauseId, ClauseKind, Expr, ExprId, List, Span, Stmt, StmtId};
use crate::token::Tok;

/// What a simple statement may be besides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Also {
    Nothing,
    /// A label and the statement it labels.
    Label,
    /// The header of a `for` with `range`.
    Range,
}

/// A simple statement as read.
enum Simple {
    Stmt(StmtId),
    /// `lhs = range x`
    Range {
        lhs: List<ExprId>,
        define: bool,
        x: ExprId,
    },
}

impl Parser<'_> {
    /// Reads statements in braces.
    pub(super) fn block(&mut self) -> BlockId {
        let open = self.expect(Tok::LBrace);
        let stmts = self.stmt_list();
        let end = self.closing_brace(open.end);
        self.add_block(stmts, open.start, end)
    }

    /// Reads the brace that closes a body.
    fn closing_brace(&mut self, least: u32) -> u32 {
        if self.tok() == Tok::RBrace {
            let end = self.lex.end;
            self.next();
            return end;
        }
        self.error_expected("'}'");
        self.pos().max(least)
    }

    fn stmt_list(&mut self) -> List<StmtId> {
        let mark = self.mark();
        while !matches!(self.tok(), Tok::Case | Tok::Default | Tok::RBrace | Tok::Eof) {
            let start = self.pos();
            let Some(stmt) = self.stmt() else { break };
            self.push(stmt);
            if self.pos() == start && !matches!(self.tok(), Tok::RBrace | Tok::Eof) {
                self.next();
            }
        }
        self.finish_list(mark)
    }

    /// Reads a statement; none where a declaration shows that a brace is missing.
    fn stmt(&mut self) -> Option<StmtId> {
        let start = self.pos();
        if !self.enter() {
            return None;
        }
        let stmt = match self.tok() {
            Tok::Func if self.at_declaration() => {
                self.leave();
                self.error("expected '}' before the next function");
                return None;
            }
            Tok::Ident
            | Tok::Int
            | Tok::Float
            | Tok::Imag
            | Tok::Char
            | Tok::String
            | Tok::Func
            | Tok::LParen
            | Tok::LBrack
            | Tok::Struct
            | Tok::Map
            | Tok::Chan
            | Tok::Interface
            | Tok::Add
            | Tok::Sub
            | Tok::Mul
            | Tok::And
            | Tok::Xor
            | Tok::Arrow
            | Tok::Not => {
                let stmt = self.simple_stmt(Also::Label);
                // The statement behind a label has read its semicolon.
                if !matches!(self.file.stmts[stmt.index()], Stmt::Labeled { .. }) {
                    self.expect_semi("statement");
                }
                stmt
            }
            Tok::Const | Tok::Type | Tok::Var => {
                let decl = self.decl();
                let span = self.file.decl_spans[decl.index()];
                self.add_stmt(Stmt::Decl(decl), span.start, span.end)
            }
            Tok::If => self.if_stmt(),
            Tok::For => self.for_stmt(),
            Tok::Return => {
                let mut end = self.lex.end;
                self.next();
                let mut results = List::EMPTY;
                if !matches!(self.tok(), Tok::Semi | Tok::RBrace) {
                    results = self.expr_list();
                    end = self.end_of_list(results);
                }
                self.expect_semi("return statement");
                self.add_stmt(Stmt::Return(results), start, end)
            }
            Tok::Switch => self.switch_stmt(),
            Tok::Select => self.select_stmt(),
            Tok::Go => self.call_stmt("go", Stmt::Go),
            Tok::Defer => self.call_stmt("defer", Stmt::Defer),
            Tok::Break => self.branch_stmt(BranchKind::Break),
            Tok::Continue => self.branch_stmt(BranchKind::Continue),
            Tok::Goto => self.branch_stmt(BranchKind::Goto),
            Tok::Fallthrough => self.branch_stmt(BranchKind::Fallthrough),
            Tok::LBrace => {
                let block = self.block();
                self.expect_semi("block");
                self.block_stmt(block)
            }
            Tok::Semi => {
                let end = if self.lex.line_end { start } else { start + 1 };
                self.next();
                self.add_stmt(Stmt::Empty, start, end)
            }
            // Behind a label.
            Tok::RBrace => self.add_stmt(Stmt::Empty, start, start),
            _ => {
                self.error_expected("statement");
                self.skip_statement();
                self.add_stmt(Stmt::Bad, start, self.pos().max(start))
            }
        };
        self.leave();
        Some(stmt)
    }

    fn block_stmt(&mut self, block: BlockId) -> StmtId {
        let span = self.file.blocks[block.index()].span;
        self.add_stmt(Stmt::Block(block), span.start, span.end)
    }

    fn end_of_list(&self, list: List<ExprId>) -> u32 {
        self.file.list(list).next_back().map_or(0, |last| self.expr_span(last).end)
    }

    /// Reads a statement that can stand in a header.
    fn simple_stmt(&mut self, also: Also) -> StmtId {
        match self.simple_or_range(also) {
            Simple::Stmt(stmt) => stmt,
            // Only asked for with `Also::Range`.
            Simple::Range { x, .. } => {
                let span = self.expr_span(x);
                self.add_stmt(Stmt::Bad, span.start, span.end)
            }
        }
    }

    fn simple_or_range(&mut self, also: Also) -> Simple {
        let lhs_start = self.pos();
        let first = self.expr();
        if self.tok() != Tok::Comma && self.tok().assignment().is_none() {
            return Simple::Stmt(self.simple_from(first, also));
        }
        let lhs = if self.tok() == Tok::Comma {
            let mark = self.mark();
            self.push(first);
            while self.eat(Tok::Comma) {
                let x = self.expr();
                self.push(x);
            }
            self.finish_list(mark)
        } else {
            self.list_of(first)
        };
        let Some(op) = self.tok().assignment() else {
            self.error_at(lhs_start, "expected 1 expression, found a list");
            return Simple::Stmt(self.simple_from(first, also));
        };
        let op_pos = self.pos();
        self.next();
        let start = self.expr_span(first).start;
        if also == Also::Range && self.tok() == Tok::Range && matches!(op, AssignOp::Assign | AssignOp::Define) {
            self.next();
            let x = self.expr();
            return Simple::Range { lhs, define: op == AssignOp::Define, x };
        }
        let rhs = self.expr_list();
        let end = self.end_of_list(rhs);
        Simple::Stmt(self.add_stmt(Stmt::Assign { lhs, rhs, op, op_pos }, start, end))
    }

    /// Reads on after the only expression before a statement's operator.
    fn simple_from(&mut self, x: ExprId, also: Also) -> StmtId {
        let Span { start, end } = self.expr_span(x);
        match self.tok() {
            Tok::Colon => self.labeled(x, also),
            Tok::Arrow => {
                self.next();
                let value = self.expr();
                let end = self.expr_span(value).end;
                self.add_stmt(Stmt::Send { ch: x, value }, start, end)
            }
            tok @ (Tok::Inc | Tok::Dec) => {
                let end = self.lex.end;
                self.next();
                self.add_stmt(Stmt::IncDec { x, inc: tok == Tok::Inc }, start, end)
            }
            _ => self.add_stmt(Stmt::Expr(x), start, end),
        }
    }

    fn labeled(&mut self, x: ExprId, also: Also) -> StmtId {
        let start = self.expr_span(x).start;
        let colon = self.expect(Tok::Colon);
        let (Expr::Ident(label), Also::Label) = (self.file.exprs[x.index()], also) else {
            self.error_at(colon.start, "illegal label declaration");
            return self.add_stmt(Stmt::Bad, start, colon.end);
        };
        let stmt = match self.stmt() {
            Some(stmt) => stmt,
            None => self.add_stmt(Stmt::Bad, colon.end, colon.end),
        };
        let end = self.stmt_span(stmt).end;
        self.add_stmt(Stmt::Labeled { label, stmt }, start, end)
    }

    /// Reads `go` or `defer` and its call.
    fn call_stmt(&mut self, keyword: &str, make: fn(ExprId) -> Stmt) -> StmtId {
        let Span { start, end: keyword_end } = Span::new(self.lex.start, self.lex.end);
        self.next();
        let mut x = self.expr();
        if let Expr::Paren(_) = self.file.exprs[x.index()] {
            let pos = self.expr_span(x).start;
            self.error_at(pos, format!("expression in {keyword} must not be parenthesized"));
        }
        while let Expr::Paren(inner) = self.file.exprs[x.index()] {
            x = inner;
        }
        let Span { end, .. } = self.expr_span(x);
        let call = match self.file.exprs[x.index()] {
            Expr::Call { .. } => true,
            Expr::Bad => false,
            _ => {
                self.error_at(end, format!("expression in {keyword} must be a function call"));
                false
            }
        };
        self.expect_semi("statement");
        if call { self.add_stmt(make(x), start, end) } else { self.add_stmt(Stmt::Bad, start, keyword_end) }
    }

    fn branch_stmt(&mut self, kind: BranchKind) -> StmtId {
        let Span { start, mut end } = Span::new(self.lex.start, self.lex.end);
        self.next();
        let labeled = match kind {
            BranchKind::Goto => true,
            BranchKind::Break | BranchKind::Continue => self.tok() == Tok::Ident,
            BranchKind::Fallthrough => false,
        };
        let label = labeled.then(|| self.ident());
        if let Some(label) = label {
            end = self.ident_end(label);
        }
        self.expect_semi("statement");
        self.add_stmt(Stmt::Branch { kind, label }, start, end)
    }

    /// The expression of a header's statement; anything else is reported.
    fn header_expr(&mut self, stmt: StmtId, what: &str) -> ExprId {
        let span = self.stmt_span(stmt);
        match self.file.stmts[stmt.index()] {
            Stmt::Expr(x) => x,
            Stmt::Bad => self.add_expr(Expr::Bad, span.start, span.end),
            other => {
                let found = if matches!(other, Stmt::Assign { .. }) { "assignment" } else { "simple statement" };
                self.error_at(
                    span.start,
                    format!("expected {what}, found {found} (missing parentheses around a composite literal?)"),
                );
                self.add_expr(Expr::Bad, span.start, span.end)
            }
        }
    }

    fn if_stmt(&mut self) -> StmtId {
        let start = self.expect(Tok::If).start;
        let outer = std::mem::replace(&mut self.no_composite, true);
        let (init, cond) = self.if_header();
        self.no_composite = outer;
        let then = self.block();
        let mut end = self.file.blocks[then.index()].span.end;
        let mut els = None;
        if self.eat(Tok::Else) {
            els = Some(match self.tok() {
                Tok::If => {
                    if self.enter() {
                        let stmt = self.if_stmt();
                        self.leave();
                        stmt
                    } else {
                        self.add_stmt(Stmt::Bad, end, end)
                    }
                }
                Tok::LBrace => {
                    let block = self.block();
                    self.expect_semi("else branch");
                    self.block_stmt(block)
                }
                _ => {
                    self.error_expected("if statement or block after 'else'");
                    let pos = self.pos().max(end);
                    self.add_stmt(Stmt::Bad, pos, pos)
                }
            });
            end = els.map_or(end, |els| self.stmt_span(els).end);
        } else {
            self.expect_semi("if statement");
        }
        self.add_stmt(Stmt::If { init, cond, then, els }, start, end)
    }

    fn if_header(&mut self) -> (Option<StmtId>, ExprId) {
        if self.tok() == Tok::LBrace {
            self.error("missing condition in if statement");
            return (None, self.bad_here());
        }
        let mut first = None;
        if self.tok() != Tok::Semi {
            if self.tok() == Tok::Var {
                self.error("var declaration not allowed in the header of an if statement");
                self.next();
            }
            first = Some(self.simple_stmt(Also::Nothing));
        }
        if let (Tok::LBrace, Some(stmt)) = (self.tok(), first) {
            return (None, self.header_expr(stmt, "boolean expression"));
        }
        let semi = self.pos();
        let line_end = self.tok() == Tok::Semi && self.lex.line_end;
        self.expect(Tok::Semi);
        if self.tok() != Tok::LBrace {
            let stmt = self.simple_stmt(Also::Nothing);
            return (first, self.header_expr(stmt, "boolean expression"));
        }
        let what = if line_end {
            "unexpected line end, expected '{' after if clause"
        } else {
            "missing condition in if statement"
        };
        self.error_at(semi, what);
        (first, self.bad_here())
    }

    fn switch_stmt(&mut self) -> StmtId {
        let start = self.expect(Tok::Switch).start;
        let outer = std::mem::replace(&mut self.no_composite, true);
        let mut init = None;
        let mut tag = None;
        if !matches!(self.tok(), Tok::LBrace | Tok::Semi) {
            tag = Some(self.simple_stmt(Also::Nothing));
        }
        if self.eat(Tok::Semi) {
            init = tag.take();
            if self.tok() != Tok::LBrace {
                tag = Some(self.simple_stmt(Also::Nothing));
            }
        }
        self.no_composite = outer;
        let guard = tag.filter(|&tag| self.is_type_switch_guard(tag));
        let (clauses, body) = self.clauses(Self::case_clause);
        self.expect_semi("switch statement");
        if let Some(guard) = guard {
            return self.add_stmt(Stmt::TypeSwitch { init, guard, clauses, body }, start, body.end);
        }
        let tag = tag.map(|tag| self.header_expr(tag, "switch expression"));
        self.add_stmt(Stmt::Switch { init, tag, clauses, body }, start, body.end)
    }

    /// Whether a statement is `x.(type)` or `v := x.(type)`.
    fn is_type_switch_guard(&mut self, stmt: StmtId) -> bool {
        let is_guard = |x: ExprId| matches!(self.file.exprs[x.index()], Expr::TypeAssert { ty: None, .. });
        match self.file.stmts[stmt.index()] {
            Stmt::Expr(x) => is_guard(x),
            Stmt::Assign { lhs, rhs, op, op_pos } if lhs.len() == 1 && rhs.len() == 1 => {
                let guard = self.file.list_get(rhs, 0).is_some_and(is_guard);
                if guard && op == AssignOp::Assign {
                    self.error_at(op_pos, "expected ':=', found '='");
                }
                guard && matches!(op, AssignOp::Assign | AssignOp::Define)
            }
            _ => false,
        }
    }

    /// Reads clauses in braces.
    fn clauses(&mut self, clause: fn(&mut Self) -> ClauseId) -> (List<ClauseId>, Span) {
        let open = self.expect(Tok::LBrace);
        let mark = self.mark();
        while matches!(self.tok(), Tok::Case | Tok::Default) {
            let clause = clause(self);
            self.push(clause);
        }
        let clauses = self.finish_list(mark);
        let end = self.closing_brace(open.end);
        (clauses, Span::new(open.start, end))
    }

    fn case_clause(&mut self) -> ClauseId {
        let start = self.pos();
        let kind = if self.eat(Tok::Case) {
            ClauseKind::Case(self.expr_list())
        } else {
            self.expect(Tok::Default);
            ClauseKind::Default
        };
        self.clause_body(kind, start)
    }

    fn comm_clause(&mut self) -> ClauseId {
        let start = self.pos();
        if !self.eat(Tok::Case) {
            self.expect(Tok::Default);
            return self.clause_body(ClauseKind::Default, start);
        }
        let first_pos = self.pos();
        let first = self.expr();
        let mark = self.mark();
        self.push(first);
        while self.eat(Tok::Comma) {
            let x = self.expr();
            self.push(x);
        }
        let lhs = self.finish_list(mark);
        let start_of_comm = self.expr_span(first).start;
        let comm = match self.tok().assignment() {
            Some(op @ (AssignOp::Assign | AssignOp::Define)) => {
                if lhs.len() > 2 {
                    self.error_at(first_pos, "expected 1 or 2 expressions");
                }
                let op_pos = self.pos();
                self.next();
                let x = self.expr();
                let end = self.expr_span(x).end;
                let rhs = self.list_of(x);
                self.add_stmt(Stmt::Assign { lhs, rhs, op, op_pos }, start_of_comm, end)
            }
            _ => {
                if lhs.len() > 1 {
                    self.error_at(first_pos, "expected 1 expression");
                }
                if self.eat(Tok::Arrow) {
                    let value = self.expr();
                    let end = self.expr_span(value).end;
                    self.add_stmt(Stmt::Send { ch: first, value }, start_of_comm, end)
                } else {
                    let end = self.expr_span(first).end;
                    self.add_stmt(Stmt::Expr(first), start_of_comm, end)
                }
            }
        };
        self.clause_body(ClauseKind::Comm(comm), start)
    }

    /// Reads the colon and statements of a clause.
    fn clause_body(&mut self, kind: ClauseKind, start: u32) -> ClauseId {
        let colon = self.expect(Tok::Colon);
        let body = self.stmt_list();
        let end = self.file.list(body).next_back().map_or(colon.end, |last| self.stmt_span(last).end);
        self.add_clause(Clause { kind, body, span: Span::new(start, end.max(start)), colon: colon.start })
    }

    fn select_stmt(&mut self) -> StmtId {
        let start = self.expect(Tok::Select).start;
        let (clauses, body) = self.clauses(Self::comm_clause);
        self.expect_semi("select statement");
        self.add_stmt(Stmt::Select { clauses, body }, start, body.end)
    }

    fn for_stmt(&mut self) -> StmtId {
        let start = self.expect(Tok::For).start;
        let outer = std::mem::replace(&mut self.no_composite, true);
        let mut range = None;
        let (mut init, mut cond, mut post) = (None, None, None);
        if self.tok() == Tok::Range {
            self.next();
            range = Some((List::EMPTY, false, self.expr()));
        } else if self.tok() != Tok::LBrace {
            if self.tok() != Tok::Semi {
                match self.simple_or_range(Also::Range) {
                    Simple::Stmt(stmt) => cond = Some(stmt),
                    Simple::Range { lhs, define, x } => range = Some((lhs, define, x)),
                }
            }
            if range.is_none() && self.eat(Tok::Semi) {
                init = cond.take();
                if self.tok() != Tok::Semi {
                    cond = Some(self.simple_stmt(Also::Nothing));
                }
                self.expect_semi("condition of for statement");
                if self.tok() != Tok::LBrace {
                    post = Some(self.simple_stmt(Also::Nothing));
                }
            }
        }
        self.no_composite = outer;
        let body = self.block();
        let end = self.file.blocks[body.index()].span.end;
        self.expect_semi("for statement");
        if let Some((lhs, define, x)) = range {
            if lhs.len() > 2 {
                let pos = self.file.list_get(lhs, 2).map_or(start, |third| self.expr_span(third).start);
                self.error_at(pos, "range clause permits at most two iteration variables");
            }
            let (key, value) = (self.file.list_get(lhs, 0), self.file.list_get(lhs, 1));
            return self.add_stmt(Stmt::Range { key, value, define, x, body }, start, end);
        }
        let cond = cond.map(|cond| self.header_expr(cond, "boolean or range expression"));
        self.add_stmt(Stmt::For { init, cond, post, body }, start, end)
    }
}

//! The parser: recursive descent over one token of lookahead, straight into the tables of a [`File`].
//!
//! It accepts what `go/parser` accepts, which is more than the language: who needs a stricter rule (one receiver,
//! names on the left of `:=`, `.(type)` in type switches only) checks it on the tree.
//!
//! Lists under construction are kept on one scratch stack, and are copied to the file's pool when complete. Node
//! functions return ids; where input is broken they report, return a bad node, and leave the offending token to be
//! read by somebody else. Every loop either reads a token or ends, which bounds the time.

mod decl;
mod expr;
mod params;
mod stmt;
mod types;

use std::sync::Arc;

use crate::ast::{
    Block, BlockId, Clause, ClauseId, Decl, DeclId, Expr, ExprId, Field, FieldId, File, FuncType, FuncTypeId, Id,
    Ident, IdentId, List, Span, Spec, SpecId, Stmt, StmtId, SyntaxError,
};
use crate::lexer::{Lexer, at};
use crate::names::{self, Interner};
use crate::tables::Tables;
use crate::token::{Tok, TokSet};
use crate::{Bodies, MAX_CHAIN, MAX_DEPTH};

/// Keywords that begin a statement, where reading can go on after an error.
const STATEMENT_START: TokSet = TokSet::of(&[
    Tok::Break,
    Tok::Const,
    Tok::Continue,
    Tok::Defer,
    Tok::Fallthrough,
    Tok::For,
    Tok::Go,
    Tok::Goto,
    Tok::If,
    Tok::Return,
    Tok::Select,
    Tok::Switch,
    Tok::Type,
    Tok::Var,
]);

/// Tokens that end an expression.
const EXPRESSION_END: TokSet =
    TokSet::of(&[Tok::Comma, Tok::Colon, Tok::Semi, Tok::RParen, Tok::RBrack, Tok::RBrace, Tok::Eof]);

/// Keywords that begin a declaration.
const DECLARATION_START: TokSet = TokSet::of(&[Tok::Import, Tok::Const, Tok::Type, Tok::Var, Tok::Func]);

/// Bytes that begin or end a block, comment, string or character.
const STANDS_OUT: [bool; 256] = {
    let mut table = [false; 256];
    let bytes = b"{}`\"'/";
    let mut i = 0;
    while i < bytes.len() {
        table[bytes[i] as usize] = true;
        i += 1;
    }
    table
};

/// Reads a file into its tables.
pub(crate) struct Parser<'a> {
    pub(crate) lex: Lexer<'a>,
    pub(crate) file: File,
    interner: Interner,
    /// Ids of lists under construction.
    scratch: Vec<u32>,
    /// Names and types of parameters under construction.
    params: Vec<params::Param>,
    /// Offsets of the arrows of `chan<-` types, ascending.
    send_arrows: Vec<u32>,
    bodies: Bodies<'a>,
    /// Whether `{` after a name begins a block, since a header of `if`, `for` or `switch` is being read and no
    /// bracket is open in it.
    no_composite: bool,
    depth: u32,
    /// Where a comma was missed last.
    stuck_at: u32,
}

impl<'a> Parser<'a> {
    /// Starts at the first token of `text`, which is `src` without what is no UTF-8.
    pub(crate) fn new(src: Arc<[u8]>, text: &'a [u8], bodies: Bodies<'a>) -> Self {
        let Tables { file, interner, scratch } = Tables::take(src);
        let mut parser = Self {
            lex: Lexer::new(text),
            file,
            interner,
            scratch,
            params: Vec::new(),
            send_arrows: Vec::new(),
            bodies,
            no_composite: false,
            depth: 0,
            stuck_at: u32::MAX,
        };
        parser.lex.comments = std::mem::take(&mut parser.file.comments);
        parser.lex.next();
        parser
    }

    /// The file, when all is read, and what is wrong with it.
    pub(crate) fn finish(self) -> (File, Vec<SyntaxError>) {
        let Self { lex, mut file, interner, scratch, .. } = self;
        file.comments = lex.comments;
        (Tables { file, interner, scratch }.finish(), lex.errors)
    }

    // Tokens.

    /// Kind of the current token.
    #[inline]
    fn tok(&self) -> Tok {
        self.lex.tok
    }

    /// Offset of the current token.
    #[inline]
    fn pos(&self) -> u32 {
        self.lex.start
    }

    /// Reads on.
    #[inline]
    fn next(&mut self) {
        self.lex.next();
    }

    /// Reads the token if it is `tok`.
    #[inline]
    fn eat(&mut self, tok: Tok) -> bool {
        let found = self.lex.tok == tok;
        if found {
            self.lex.next();
        }
        found
    }

    /// Reads a token that should be `tok`; returns where it is, or should be, and its end.
    #[inline]
    fn expect(&mut self, tok: Tok) -> Span {
        let span = Span::new(self.lex.start, self.lex.end);
        if self.lex.tok == tok {
            self.lex.next();
            return span;
        }
        self.error_expected(tok.describe());
        Span::new(span.start, span.start)
    }

    /// Reads the end of a statement or declaration: a semicolon, or nothing before a closing bracket.
    #[inline]
    fn expect_semi(&mut self, after: &str) {
        match self.lex.tok {
            Tok::Semi => self.lex.next(),
            Tok::RParen | Tok::RBrace => {}
            _ => self.missing_semi(after),
        }
    }

    #[cold]
    #[inline(never)]
    fn missing_semi(&mut self, after: &str) {
        let found = self.found();
        self.error(format!("unexpected {found} after {after}"));
        self.skip_statement();
    }

    // Errors.

    /// Reports a problem at the current token.
    #[cold]
    fn error(&mut self, message: impl Into<String>) {
        self.lex.error(self.lex.start as usize, message);
    }

    /// Reports a problem elsewhere.
    #[cold]
    fn error_at(&mut self, pos: u32, message: impl Into<String>) {
        self.lex.error(pos as usize, message);
    }

    /// Reports that the current token should be something else.
    #[cold]
    #[inline(never)]
    fn error_expected(&mut self, what: &str) {
        let found = self.found();
        self.error(format!("expected {what}, found {found}"));
    }

    /// How the current token is named in a message.
    fn found(&self) -> String {
        match self.lex.tok {
            Tok::Semi if self.lex.line_end && self.lex.start < self.lex.end => "line end".into(),
            Tok::Semi if self.lex.line_end => "end of file".into(),
            Tok::Ident | Tok::Int | Tok::Float | Tok::Imag | Tok::Char | Tok::String => {
                const SHOWN: usize = 40;
                let spelling = self.lex.spelling();
                match spelling.char_indices().nth(SHOWN) {
                    Some((i, _)) => format!("{}...", &spelling[..i]),
                    None => spelling.into_owned(),
                }
            }
            tok => tok.describe().into(),
        }
    }

    /// Whether another element may follow in a list that ends with `closing`; reads the comma. Reports anything else,
    /// and then goes on as after a comma, since that is the likeliest slip.
    #[inline]
    fn list_goes_on(&mut self, closing: Tok, context: &str) -> bool {
        match self.lex.tok {
            Tok::Comma => {
                self.lex.next();
                true
            }
            tok if tok == closing => false,
            _ => self.missing_comma(closing, context),
        }
    }

    #[cold]
    #[inline(never)]
    fn missing_comma(&mut self, closing: Tok, context: &str) -> bool {
        if self.lex.tok == Tok::Semi && self.lex.line_end {
            self.error(format!("missing ',' before the line end in {context}"));
            self.next();
        } else {
            let found = self.found();
            self.error(format!("expected ',' or {} in {context}, found {found}", closing.describe()));
        }
        if EXPRESSION_END.has(self.lex.tok) || STATEMENT_START.has(self.lex.tok) || self.at_declaration() {
            return false;
        }
        // An element that cannot begin here would meet the same token for ever.
        if self.stuck_at == self.lex.start {
            self.next();
        }
        self.stuck_at = self.lex.start;
        true
    }

    // Recovery.

    /// Reads to where the next statement or declaration likely begins: past a semicolon, before a closing brace, a
    /// clause or a keyword. Blocks on the way are skipped whole.
    #[cold]
    #[inline(never)]
    fn skip_statement(&mut self) {
        let mut open = 0u32;
        loop {
            match self.lex.tok {
                Tok::Eof => return,
                Tok::LBrace => open += 1,
                Tok::RBrace if open == 0 => return,
                Tok::RBrace => open -= 1,
                Tok::Semi if open == 0 => return self.next(),
                Tok::Case | Tok::Default if open == 0 => return,
                tok if open == 0 && STATEMENT_START.has(tok) => return,
                tok if DECLARATION_START.has(tok) && self.lex.at_line_start() => return,
                _ => {}
            }
            self.next();
        }
    }

    /// Reads to a token that ends an expression, or to the next statement.
    #[cold]
    #[inline(never)]
    fn skip_expression(&mut self) {
        while !(EXPRESSION_END.has(self.lex.tok)
            || STATEMENT_START.has(self.lex.tok)
            || DECLARATION_START.has(self.lex.tok) && self.lex.at_line_start())
        {
            self.next();
        }
    }

    /// Whether a declaration begins here that cannot be a statement: a brace is missing above.
    fn at_declaration(&self) -> bool {
        self.lex.tok == Tok::Func && self.lex.at_line_start() && {
            let name = self.lex.src[self.lex.end as usize..].iter().find(|&&b| !matches!(b, b' ' | b'\t'));
            name.is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        }
    }

    /// Goes one level deeper. Where that is too deep, reports it, ends the input and returns false; whoever asked
    /// returns at once.
    #[inline]
    fn enter(&mut self) -> bool {
        self.depth += 1;
        self.depth <= MAX_DEPTH || self.too_deep()
    }

    /// Comes back from [`Self::enter`].
    #[inline]
    fn leave(&mut self) {
        self.depth -= 1;
    }

    #[cold]
    #[inline(never)]
    fn too_deep(&mut self) -> bool {
        self.error("nested too deeply");
        self.lex.stop();
        self.next();
        false
    }

    /// Counts a link of a chain such as `a + b + c`, whose tree leans to the left.
    #[inline]
    fn chain(&mut self, links: &mut u32) -> bool {
        *links += 1;
        *links <= MAX_CHAIN || self.too_deep()
    }

    // Tables.

    #[inline]
    fn add_expr(&mut self, expr: Expr, start: u32, end: u32) -> ExprId {
        let id = ExprId::new(self.file.exprs.len());
        self.file.exprs.push(expr);
        self.file.expr_spans.push(Span::new(start, end));
        id
    }

    #[inline]
    fn add_stmt(&mut self, stmt: Stmt, start: u32, end: u32) -> StmtId {
        let id = StmtId::new(self.file.stmts.len());
        self.file.stmts.push(stmt);
        self.file.stmt_spans.push(Span::new(start, end));
        id
    }

    fn add_decl(&mut self, decl: Decl, start: u32, end: u32) -> DeclId {
        let id = DeclId::new(self.file.decls.len());
        self.file.decls.push(decl);
        self.file.decl_spans.push(Span::new(start, end));
        id
    }

    fn add_spec(&mut self, spec: Spec, start: u32, end: u32) -> SpecId {
        let id = SpecId::new(self.file.specs.len());
        self.file.specs.push(spec);
        self.file.spec_spans.push(Span::new(start, end));
        id
    }

    fn add_block(&mut self, stmts: List<StmtId>, start: u32, end: u32) -> BlockId {
        let id = BlockId::new(self.file.blocks.len());
        self.file.blocks.push(Block { stmts, span: Span::new(start, end) });
        id
    }

    fn add_clause(&mut self, clause: Clause) -> ClauseId {
        let id = ClauseId::new(self.file.clauses.len());
        self.file.clauses.push(clause);
        id
    }

    fn add_field(&mut self, names: List<IdentId>, ty: ExprId, tag: Option<ExprId>) -> FieldId {
        let id = FieldId::new(self.file.fields.len());
        self.file.fields.push(Field { names, ty, tag });
        id
    }

    fn add_func_type(&mut self, func_type: FuncType) -> FuncTypeId {
        let id = FuncTypeId::new(self.file.func_types.len());
        self.file.func_types.push(func_type);
        id
    }

    #[inline]
    fn add_ident(&mut self, (head, tail): (u64, u64), spelling: &[u8], pos: u32) -> IdentId {
        let id = IdentId::new(self.file.idents.len());
        let name = self.interner.intern(head, tail, spelling);
        self.file.idents.push(Ident { name, pos });
        id
    }

    /// An identifier that does not stand in the source as such.
    fn add_made_up_ident(&mut self, spelling: &str, pos: u32) -> IdentId {
        self.add_ident(names::ends(spelling.as_bytes()), spelling.as_bytes(), pos)
    }

    #[inline]
    fn expr_span(&self, id: ExprId) -> Span {
        self.file.expr_spans[id.index()]
    }

    #[inline]
    fn stmt_span(&self, id: StmtId) -> Span {
        self.file.stmt_spans[id.index()]
    }

    /// End of an identifier, which is as long as its spelling.
    fn ident_end(&self, id: IdentId) -> u32 {
        let ident = self.file.idents[id.index()];
        (ident.pos + self.interner.len(ident.name)).min(self.lex.src.len() as u32)
    }

    /// An expression in place of a missing one, at the current token.
    #[cold]
    fn bad_here(&mut self) -> ExprId {
        let pos = self.pos();
        self.add_expr(Expr::Bad, pos, pos)
    }

    // Lists.

    /// Begins a list; its elements are pushed with [`Self::push`].
    #[inline]
    fn mark(&self) -> usize {
        self.scratch.len()
    }

    #[inline]
    fn push<T: Id>(&mut self, id: T) {
        self.scratch.push(id.raw());
    }

    /// Ends the list begun at `mark`.
    #[inline]
    fn finish_list<T>(&mut self, mark: usize) -> List<T> {
        let len = self.scratch.len() - mark;
        if len == 0 {
            return List::EMPTY;
        }
        let start = self.file.lists.len();
        // A copy of so few is slower as such.
        for i in mark..self.scratch.len() {
            self.file.lists.push(self.scratch[i]);
        }
        self.scratch.truncate(mark);
        List::from_raw_parts(start, len)
    }

    /// A list of one element.
    #[inline]
    fn list_of<T: Id>(&mut self, id: T) -> List<T> {
        let start = self.file.lists.len();
        self.file.lists.push(id.raw());
        List::from_raw_parts(start, 1)
    }

    // Names.

    /// Reads a name. Where there is none, reports it and makes a blank one.
    #[inline]
    fn ident(&mut self) -> IdentId {
        let pos = self.lex.start;
        if self.lex.tok == Tok::Ident {
            let spelling = self.lex.src.get(pos as usize..self.lex.end as usize).unwrap_or_default();
            let id = self.add_ident((self.lex.head, self.lex.tail), spelling, pos);
            self.lex.next();
            return id;
        }
        self.missing_ident()
    }

    #[cold]
    #[inline(never)]
    fn missing_ident(&mut self) -> IdentId {
        self.error_expected("name");
        let id = self.add_made_up_ident("_", self.lex.start);
        // A keyword in place of a name is the likeliest slip, unless it begins a line.
        let keyword = self.lex.spelling().bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if keyword && !self.lex.at_line_start() && !STATEMENT_START.has(self.lex.tok) {
            self.next();
        }
        id
    }

    /// Reads names between commas.
    fn ident_list(&mut self) -> List<IdentId> {
        let first = self.ident();
        if self.lex.tok != Tok::Comma {
            return self.list_of(first);
        }
        let mark = self.mark();
        self.push(first);
        while self.eat(Tok::Comma) {
            let name = self.ident();
            self.push(name);
        }
        self.finish_list(mark)
    }

    /// End of the braces of a body that starts at `{`, found by looking at bytes alone; the end of the file where they
    /// are not balanced.
    fn skip_braces(&self, lbrace: u32) -> Option<usize> {
        let src = self.lex.src;
        let mut open = 0u32;
        let mut i = lbrace as usize;
        loop {
            // Most bytes say nothing.
            i += src.get(i..)?.iter().position(|&b| STANDS_OUT[b as usize])?;
            match src[i] {
                b'{' => open += 1,
                b'}' => {
                    open -= 1;
                    if open == 0 {
                        return Some(i + 1);
                    }
                }
                b'`' => i = memchr::memchr(b'`', &src[i + 1..]).map_or(src.len(), |n| i + 1 + n),
                quote @ (b'"' | b'\'') => {
                    i += 1;
                    while !matches!(at(src, i), b'\n') && at(src, i) != quote && i < src.len() {
                        i += if src[i] == b'\\' && at(src, i + 1) != b'\n' { 2 } else { 1 };
                    }
                }
                b'/' if at(src, i + 1) == b'/' => {
                    i = memchr::memchr(b'\n', &src[i..]).map_or(src.len(), |n| i + n);
                }
                b'/' if at(src, i + 1) == b'*' => {
                    i = memchr::memmem::find(&src[i + 2..], b"*/").map_or(src.len(), |n| i + 2 + n + 1);
                }
                _ => {}
            }
            i += 1;
        }
    }
}

//! The syntax tree of one Go file.
//!
//! A [`File`] owns everything: the source bytes, one flat table a node kind, and one pool of id lists. Nodes refer to
//! each other by 32-bit ids that are only meaningful inside their file. Spans follow `go/ast`: `start` is `Pos()`,
//! `end` is `End()`, both byte offsets from the start of the file.
//!
//! Every occurrence of an identifier has its own [`IdentId`], so that a type checker can keep definitions and uses in
//! plain vectors; the spelling is a [`Name`], interned per file.

use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// Makes the id of the node at `index` of its table.
            #[inline]
            pub fn new(index: usize) -> Self {
                Self(NonZeroU32::new(index as u32 + 1).unwrap_or(NonZeroU32::MIN))
            }

            /// The node's index in its table.
            #[inline]
            pub fn index(self) -> usize {
                self.0.get() as usize - 1
            }
        }

        impl Id for $name {
            #[inline]
            fn raw(self) -> u32 {
                self.0.get()
            }
            #[inline]
            fn from_raw(raw: u32) -> Self {
                Self(NonZeroU32::new(raw).unwrap_or(NonZeroU32::MIN))
            }
        }
    )*};
}

/// An id that can stand in the list pool.
pub trait Id: Copy {
    /// The stored form; never zero.
    fn raw(self) -> u32;
    /// The id of a stored form.
    fn from_raw(raw: u32) -> Self;
}

ids! {
    /// A spelling, interned per file.
    Name;
    /// One occurrence of an identifier.
    IdentId;
    /// An expression or a type.
    ExprId;
    /// A statement.
    StmtId;
    /// A block in braces.
    BlockId;
    /// A case of a switch or select.
    ClauseId;
    /// A declaration.
    DeclId;
    /// An import, constant, variable or type specification.
    SpecId;
    /// A parameter, result, receiver, type parameter, struct field or interface element.
    FieldId;
    /// The parameters and results of a function.
    FuncTypeId;
}

/// Bytes `start..end` of the file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// Makes a span.
    #[inline]
    pub fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// Whether `other` lies inside this span.
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// A run of ids in the file's list pool.
pub struct List<T> {
    start: u32,
    len: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for List<T> {}
impl<T> std::fmt::Debug for List<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "List({}+{})", self.start, self.len)
    }
}
impl<T> Default for List<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T> List<T> {
    /// No ids.
    pub const EMPTY: Self = Self { start: 0, len: 0, kind: PhantomData };

    /// The list at `start..start + len` of the pool.
    #[inline]
    pub(crate) fn from_raw_parts(start: usize, len: usize) -> Self {
        Self { start: start as u32, len: len as u32, kind: PhantomData }
    }

    /// How many ids.
    #[inline]
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// One occurrence of an identifier.
#[derive(Clone, Copy, Debug)]
pub struct Ident {
    /// Its spelling.
    pub name: Name,
    /// Offset of its first byte.
    pub pos: u32,
}

/// Kinds of basic literals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LitKind {
    /// `42`, `0x2a`, `1_000`
    Int,
    /// `1.5`, `1e9`, `0x1p-2`
    Float,
    /// `2i`
    Imag,
    /// `'x'`
    Char,
    /// `"x"` or a raw string
    String,
}

/// Unary operators. Dereference is [`Expr::Star`], receive is here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UnaryOp {
    /// `+x`
    Plus,
    /// `-x`
    Minus,
    /// `!x`
    Not,
    /// `^x`
    Xor,
    /// `&x`
    Addr,
    /// `<-x`
    Recv,
    /// `~T` in a constraint
    Tilde,
}

/// Binary operators, also of `op=` assignments.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinaryOp {
    /// `||`
    LogOr,
    /// `&&`
    LogAnd,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `&`
    And,
    /// `&^`
    AndNot,
}

impl BinaryOp {
    /// Whether it compares, giving a boolean.
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge)
    }

    /// Whether it is `<<` or `>>`.
    pub fn is_shift(self) -> bool {
        matches!(self, Self::Shl | Self::Shr)
    }

    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LogOr => "||",
            Self::LogAnd => "&&",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Or => "|",
            Self::Xor => "^",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Rem => "%",
            Self::Shl => "<<",
            Self::Shr => ">>",
            Self::And => "&",
            Self::AndNot => "&^",
        }
    }
}

/// Direction of a channel type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChanDir {
    /// `chan T`
    Both,
    /// `chan<- T`
    Send,
    /// `<-chan T`
    Recv,
}

/// An expression or a type.
#[derive(Clone, Copy, Debug)]
pub enum Expr {
    /// Could not be parsed; its span covers what was skipped.
    Bad,
    /// `x`
    Ident(IdentId),
    /// A literal; its text is [`File::text`] of its span.
    BasicLit(LitKind),
    /// `T{…}` or `{…}` inside another composite literal.
    CompositeLit {
        /// `T`
        ty: Option<ExprId>,
        /// Elements, [`Expr::KeyValue`] where keyed.
        elts: List<ExprId>,
        /// Offset of `{`.
        lbrace: u32,
    },
    /// `func(…) … {…}`
    FuncLit {
        /// Its type.
        ty: FuncTypeId,
        /// Its body.
        body: BlockId,
    },
    /// `(x)`
    Paren(ExprId),
    /// `x.sel`
    Selector {
        /// Operand.
        x: ExprId,
        /// Selected name.
        sel: IdentId,
    },
    /// `x[i]`, or an instantiation `x[T, U]`.
    Index {
        /// Operand.
        x: ExprId,
        /// One index, or type arguments.
        indices: List<ExprId>,
    },
    /// `x[lo:hi:max]`
    Slice {
        /// Operand.
        x: ExprId,
        /// Low bound.
        lo: Option<ExprId>,
        /// High bound.
        hi: Option<ExprId>,
        /// Capacity bound.
        max: Option<ExprId>,
    },
    /// `x.(T)`; `x.(type)` has no type and stands only in a type switch.
    TypeAssert {
        /// Operand.
        x: ExprId,
        /// `T`
        ty: Option<ExprId>,
    },
    /// `f(a, b...)`
    Call {
        /// Callee or converted-to type.
        fun: ExprId,
        /// Arguments.
        args: List<ExprId>,
        /// Offset of `...` after the last argument, or 0.
        ellipsis: u32,
    },
    /// `*x`: dereference or pointer type.
    Star(ExprId),
    /// `op x`
    Unary {
        /// Operator.
        op: UnaryOp,
        /// Operand.
        x: ExprId,
    },
    /// `x op y`
    Binary {
        /// Operator.
        op: BinaryOp,
        /// Left operand.
        x: ExprId,
        /// Right operand.
        y: ExprId,
        /// Offset of the operator.
        op_pos: u32,
    },
    /// `key: value` in a composite literal.
    KeyValue {
        /// Key.
        key: ExprId,
        /// Value.
        value: ExprId,
    },
    /// `[]T`, `[N]T`, or `[...]T` (then `len` is [`Expr::Ellipsis`]).
    ArrayType {
        /// Length; a slice type has none.
        len: Option<ExprId>,
        /// Element type.
        elem: ExprId,
    },
    /// `...T` as the last parameter's type, or `...` as an array's length.
    Ellipsis(Option<ExprId>),
    /// `struct {…}`
    StructType {
        /// Fields; an embedded one has no names.
        fields: List<FieldId>,
    },
    /// `func(…) …`
    FuncType(FuncTypeId),
    /// `interface {…}`: methods have one name and an [`Expr::FuncType`], embedded elements no name.
    InterfaceType {
        /// Methods and embedded elements.
        elems: List<FieldId>,
    },
    /// `map[K]V`
    MapType {
        /// Key type.
        key: ExprId,
        /// Value type.
        value: ExprId,
    },
    /// `chan T`
    ChanType {
        /// Direction.
        dir: ChanDir,
        /// Element type.
        elem: ExprId,
    },
}

/// `names type "tag"`: a parameter, result, receiver, type parameter, struct field or interface element.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Declared names; empty where unnamed or embedded.
    pub names: List<IdentId>,
    /// Its type; [`Expr::Bad`] where missing.
    pub ty: ExprId,
    /// A struct field's tag literal.
    pub tag: Option<ExprId>,
}

/// The parameters and results of a function.
#[derive(Clone, Copy, Debug)]
pub struct FuncType {
    /// Type parameters of a generic function or method.
    pub type_params: List<FieldId>,
    /// Parameters.
    pub params: List<FieldId>,
    /// Results.
    pub results: List<FieldId>,
    /// From `func` (from `(` for an interface's method) to the end of the results.
    pub span: Span,
}

/// Statements in braces.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Its statements.
    pub stmts: List<StmtId>,
    /// Braces included.
    pub span: Span,
}

/// How an assignment assigns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AssignOp {
    /// `=`
    Assign,
    /// `:=`
    Define,
    /// `+=` and its like
    Op(BinaryOp),
}

/// Keywords of branch statements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BranchKind {
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `goto`
    Goto,
    /// `fallthrough`
    Fallthrough,
}

/// A statement.
#[derive(Clone, Copy, Debug)]
pub enum Stmt {
    /// Could not be parsed.
    Bad,
    /// `;`
    Empty,
    /// `const`, `type` or `var` inside a function.
    Decl(DeclId),
    /// `label: stmt`
    Labeled {
        /// Label.
        label: IdentId,
        /// Labelled statement.
        stmt: StmtId,
    },
    /// `x`
    Expr(ExprId),
    /// `ch <- value`
    Send {
        /// Channel.
        ch: ExprId,
        /// Value.
        value: ExprId,
    },
    /// `x++` or `x--`
    IncDec {
        /// Operand.
        x: ExprId,
        /// Whether `++`.
        inc: bool,
    },
    /// `lhs op rhs`
    Assign {
        /// Left side.
        lhs: List<ExprId>,
        /// Right side.
        rhs: List<ExprId>,
        /// `=`, `:=`, `+=`, …
        op: AssignOp,
        /// Offset of the operator.
        op_pos: u32,
    },
    /// `go call`
    Go(ExprId),
    /// `defer call`
    Defer(ExprId),
    /// `return results`
    Return(List<ExprId>),
    /// `break`, `continue`, `goto`, `fallthrough`
    Branch {
        /// Which.
        kind: BranchKind,
        /// Label.
        label: Option<IdentId>,
    },
    /// `{…}`
    Block(BlockId),
    /// `if init; cond {…} else …`
    If {
        /// Statement before the condition.
        init: Option<StmtId>,
        /// Condition.
        cond: ExprId,
        /// Taken branch.
        then: BlockId,
        /// Block or If statement.
        els: Option<StmtId>,
    },
    /// `switch init; tag {…}`
    Switch {
        /// Statement before the tag.
        init: Option<StmtId>,
        /// Tag; `true` where missing.
        tag: Option<ExprId>,
        /// Cases.
        clauses: List<ClauseId>,
        /// Braces included.
        body: Span,
    },
    /// `switch init; bind := x.(type) {…}`
    TypeSwitch {
        /// Statement before the guard.
        init: Option<StmtId>,
        /// The guard: an [`Stmt::Expr`] or a one-name [`Stmt::Assign`] of a [`Expr::TypeAssert`] without type.
        guard: StmtId,
        /// Cases.
        clauses: List<ClauseId>,
        /// Braces included.
        body: Span,
    },
    /// `select {…}`
    Select {
        /// Cases.
        clauses: List<ClauseId>,
        /// Braces included.
        body: Span,
    },
    /// `for init; cond; post {…}`
    For {
        /// Run once before.
        init: Option<StmtId>,
        /// Condition; `true` where missing.
        cond: Option<ExprId>,
        /// Run after each round.
        post: Option<StmtId>,
        /// Body.
        body: BlockId,
    },
    /// `for key, value := range x {…}`
    Range {
        /// First iteration variable.
        key: Option<ExprId>,
        /// Second iteration variable.
        value: Option<ExprId>,
        /// Whether `:=`.
        define: bool,
        /// Ranged-over operand.
        x: ExprId,
        /// Body.
        body: BlockId,
    },
}

/// What selects a clause.
#[derive(Clone, Copy, Debug)]
pub enum ClauseKind {
    /// `default`
    Default,
    /// `case a, b` of a switch or type switch.
    Case(List<ExprId>),
    /// `case v := <-ch` or `case ch <- v` of a select.
    Comm(StmtId),
}

/// A case of a switch or select.
#[derive(Clone, Copy, Debug)]
pub struct Clause {
    /// What selects it.
    pub kind: ClauseKind,
    /// Its statements.
    pub body: List<StmtId>,
    /// From `case` to the end of its last statement.
    pub span: Span,
    /// Offset of the colon.
    pub colon: u32,
}

/// Keywords of general declarations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GenKind {
    /// `import`
    Import,
    /// `const`
    Const,
    /// `type`
    Type,
    /// `var`
    Var,
}

/// A function or method declaration.
#[derive(Clone, Copy, Debug)]
pub struct FuncDecl {
    /// Receiver: one field in valid code.
    pub recv: List<FieldId>,
    /// Whether a receiver list was written, even an empty one.
    pub has_recv: bool,
    /// Name.
    pub name: IdentId,
    /// Parameters and results.
    pub ty: FuncTypeId,
    /// Body; none for functions implemented elsewhere, or where bodies were skipped.
    pub body: Option<BlockId>,
}

/// A declaration.
#[derive(Clone, Copy, Debug)]
pub enum Decl {
    /// Could not be parsed.
    Bad,
    /// `import`, `const`, `type`, `var`
    Gen {
        /// Which.
        kind: GenKind,
        /// Its specifications.
        specs: List<SpecId>,
        /// Whether in parentheses.
        paren: bool,
    },
    /// `func`
    Func(FuncDecl),
}

/// An import, constant, variable or type specification.
#[derive(Clone, Copy, Debug)]
pub enum Spec {
    /// `name "path"`
    Import {
        /// Local name, `.` or `_`.
        name: Option<IdentId>,
        /// Path literal.
        path: ExprId,
    },
    /// `names type = values` of a `const` or `var`.
    Value {
        /// Declared names.
        names: List<IdentId>,
        /// Type.
        ty: Option<ExprId>,
        /// Values; a constant without any repeats the last written ones of its group.
        values: List<ExprId>,
        /// Index in its group.
        iota: u32,
    },
    /// `name[params] type` or `name[params] = type`
    Type {
        /// Declared name.
        name: IdentId,
        /// Type parameters.
        type_params: List<FieldId>,
        /// Whether an alias.
        alias: bool,
        /// Right side.
        ty: ExprId,
    },
}

/// A comment, markers included.
#[derive(Clone, Copy, Debug)]
pub struct Comment {
    /// `//…` without the line end, or `/*…*/`.
    pub span: Span,
}

/// A problem found while reading a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// Byte offset.
    pub pos: u32,
    /// What is wrong, without place.
    pub message: String,
}

/// The syntax tree of one Go file.
#[derive(Debug)]
pub struct File {
    pub(crate) src: Arc<[u8]>,
    pub(crate) package: Option<IdentId>,
    pub(crate) package_pos: u32,
    pub(crate) top: List<DeclId>,
    pub(crate) names: Names,
    pub(crate) idents: Vec<Ident>,
    pub(crate) exprs: Vec<Expr>,
    pub(crate) expr_spans: Vec<Span>,
    pub(crate) stmts: Vec<Stmt>,
    pub(crate) stmt_spans: Vec<Span>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) clauses: Vec<Clause>,
    pub(crate) decls: Vec<Decl>,
    pub(crate) decl_spans: Vec<Span>,
    pub(crate) specs: Vec<Spec>,
    pub(crate) spec_spans: Vec<Span>,
    pub(crate) fields: Vec<Field>,
    pub(crate) func_types: Vec<FuncType>,
    pub(crate) lists: Vec<u32>,
    pub(crate) comments: Vec<Comment>,
    /// Where lines start; found when first asked for.
    pub(crate) line_starts: OnceLock<Vec<u32>>,
}

/// A 1-based line and a 1-based column counted in bytes, as Go tools print them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LineCol {
    /// Line.
    pub line: u32,
    /// Column in bytes.
    pub column: u32,
}

macro_rules! tables {
    ($($(#[$doc:meta])* $get:ident, $id:ident, $table:ident, $node:ty;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $get(&self, id: $id) -> $node {
            self.$table[id.index()]
        }
    )*};
}

impl File {
    tables! {
        /// An identifier.
        ident, IdentId, idents, Ident;
        /// An expression.
        expr, ExprId, exprs, Expr;
        /// An expression's span.
        expr_span, ExprId, expr_spans, Span;
        /// A statement.
        stmt, StmtId, stmts, Stmt;
        /// A statement's span.
        stmt_span, StmtId, stmt_spans, Span;
        /// A block.
        block, BlockId, blocks, Block;
        /// A clause.
        clause, ClauseId, clauses, Clause;
        /// A declaration.
        decl, DeclId, decls, Decl;
        /// A declaration's span.
        decl_span, DeclId, decl_spans, Span;
        /// A specification.
        spec, SpecId, specs, Spec;
        /// A specification's span.
        spec_span, SpecId, spec_spans, Span;
        /// A field.
        field, FieldId, fields, Field;
        /// A function type.
        func_type, FuncTypeId, func_types, FuncType;
    }

    /// The ids of a list, in source order.
    #[inline]
    pub fn list<T: Id>(&self, list: List<T>) -> impl DoubleEndedIterator<Item = T> + ExactSizeIterator + Clone + '_ {
        self.lists[list.start as usize..(list.start + list.len) as usize].iter().map(|&raw| T::from_raw(raw))
    }

    /// The `i`-th id of a list.
    #[inline]
    pub fn list_get<T: Id>(&self, list: List<T>, i: usize) -> Option<T> {
        (i < list.len()).then(|| T::from_raw(self.lists[list.start as usize + i]))
    }

    /// Top-level declarations, in source order.
    pub fn top_decls(&self) -> List<DeclId> {
        self.top
    }

    /// The name in the package clause; none where the clause is broken.
    pub fn package(&self) -> Option<IdentId> {
        self.package
    }

    /// Offset of the `package` keyword.
    pub fn package_pos(&self) -> u32 {
        self.package_pos
    }

    /// The spelling of an identifier.
    #[inline]
    pub fn ident_text(&self, id: IdentId) -> &str {
        self.names.get(self.idents[id.index()].name)
    }

    /// The span of an identifier.
    #[inline]
    pub fn ident_span(&self, id: IdentId) -> Span {
        let Ident { name, pos } = self.idents[id.index()];
        // One made up at the end of a broken file is longer than what is there.
        Span::new(pos, (pos + self.names.get(name).len() as u32).min(self.src.len() as u32))
    }

    /// A spelling.
    pub fn name(&self, name: Name) -> &str {
        self.names.get(name)
    }

    /// All distinct spellings, in order of their [`Name`]s.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.names.ends.len()).map(|i| self.names.get(Name::new(i)))
    }

    /// The source.
    pub fn src(&self) -> &Arc<[u8]> {
        &self.src
    }

    /// The source of a span; invalid UTF-8 is replaced.
    pub fn text(&self, span: Span) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.src.get(span.start as usize..span.end as usize).unwrap_or_default())
    }

    /// All comments, in source order.
    pub fn comments(&self) -> &[Comment] {
        &self.comments
    }

    /// Number of identifiers; [`IdentId`]s index below it.
    pub fn ident_count(&self) -> usize {
        self.idents.len()
    }

    /// Number of expressions; [`ExprId`]s index below it.
    pub fn expr_count(&self) -> usize {
        self.exprs.len()
    }

    /// Number of statements; [`StmtId`]s index below it.
    pub fn stmt_count(&self) -> usize {
        self.stmts.len()
    }

    /// Where lines start. As in Go, a line end that ends the file begins no line.
    fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let mut starts = Vec::with_capacity(self.src.len() / 24 + 1);
            starts.push(0);
            starts.extend(memchr::memchr_iter(b'\n', &self.src).map(|i| i as u32 + 1));
            if starts.len() > 1 && starts.last() == Some(&(self.src.len() as u32)) {
                starts.pop();
            }
            starts
        })
    }

    /// Number of lines.
    pub fn line_count(&self) -> usize {
        self.line_starts().len()
    }

    /// The place of a byte offset. `//line` directives are not applied.
    pub fn line_col(&self, pos: u32) -> LineCol {
        let starts = self.line_starts();
        let line = starts.partition_point(|&start| start <= pos).max(1);
        LineCol { line: line as u32, column: pos - starts.get(line - 1).copied().unwrap_or(0) + 1 }
    }

    /// The span of a 1-based line, without its line end.
    pub fn line_span(&self, line: u32) -> Option<Span> {
        let i = (line as usize).checked_sub(1)?;
        let start = *self.line_starts().get(i)?;
        let mut end = self.line_starts().get(i + 1).copied().unwrap_or(self.src.len() as u32);
        while end > start && matches!(self.src[end as usize - 1], b'\n' | b'\r') {
            end -= 1;
        }
        Some(Span::new(start, end))
    }
}

/// The distinct spellings of a file.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// All spellings, one after the other.
    pub(crate) text: String,
    /// Where each ends in `text`.
    pub(crate) ends: Vec<u32>,
}

impl Names {
    #[inline]
    pub(crate) fn get(&self, name: Name) -> &str {
        let i = name.index();
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.text[start..self.ends[i] as usize]
    }
}

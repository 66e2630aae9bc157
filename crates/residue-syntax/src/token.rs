//! Tokens: their kinds, sets of them, operator tables, and keywords.

use crate::ast::{AssignOp, BinaryOp};

/// The kind of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Tok {
    Eof,
    Illegal,
    // Binary operators, in the order of `BINARY`.
    LogOr,
    LogAnd,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Add,
    Sub,
    Or,
    Xor,
    Mul,
    Quo,
    Rem,
    Shl,
    Shr,
    And,
    AndNot,
    // Operators that assign, in the order of `ASSIGNMENT`.
    AddAssign,
    SubAssign,
    OrAssign,
    XorAssign,
    MulAssign,
    QuoAssign,
    RemAssign,
    ShlAssign,
    ShrAssign,
    AndAssign,
    AndNotAssign,
    Assign,
    Define,
    Arrow,
    Not,
    Tilde,
    Ellipsis,
    Comma,
    Semi,
    Colon,
    // What can follow an operand as part of it.
    Period,
    LParen,
    LBrack,
    LBrace,
    // Tokens after which a line end is a semicolon.
    RParen,
    RBrack,
    RBrace,
    Inc,
    Dec,
    Ident,
    Int,
    Float,
    Imag,
    Char,
    String,
    Break,
    Continue,
    Fallthrough,
    Return,
    // The other keywords.
    Case,
    Chan,
    Const,
    Default,
    Defer,
    Else,
    For,
    Func,
    Go,
    Goto,
    If,
    Import,
    Interface,
    Map,
    Package,
    Range,
    Select,
    Struct,
    Switch,
    Type,
    Var,
}

/// Binary operators and their precedences, from [`Tok::LogOr`] on.
const BINARY: [(BinaryOp, u8); 19] = [
    (BinaryOp::LogOr, 1),
    (BinaryOp::LogAnd, 2),
    (BinaryOp::Eq, 3),
    (BinaryOp::Ne, 3),
    (BinaryOp::Lt, 3),
    (BinaryOp::Le, 3),
    (BinaryOp::Gt, 3),
    (BinaryOp::Ge, 3),
    (BinaryOp::Add, 4),
    (BinaryOp::Sub, 4),
    (BinaryOp::Or, 4),
    (BinaryOp::Xor, 4),
    (BinaryOp::Mul, 5),
    (BinaryOp::Div, 5),
    (BinaryOp::Rem, 5),
    (BinaryOp::Shl, 5),
    (BinaryOp::Shr, 5),
    (BinaryOp::And, 5),
    (BinaryOp::AndNot, 5),
];

/// Assignments, from [`Tok::AddAssign`] on.
const ASSIGNMENT: [AssignOp; 13] = [
    AssignOp::Op(BinaryOp::Add),
    AssignOp::Op(BinaryOp::Sub),
    AssignOp::Op(BinaryOp::Or),
    AssignOp::Op(BinaryOp::Xor),
    AssignOp::Op(BinaryOp::Mul),
    AssignOp::Op(BinaryOp::Div),
    AssignOp::Op(BinaryOp::Rem),
    AssignOp::Op(BinaryOp::Shl),
    AssignOp::Op(BinaryOp::Shr),
    AssignOp::Op(BinaryOp::And),
    AssignOp::Op(BinaryOp::AndNot),
    AssignOp::Assign,
    AssignOp::Define,
];

impl Tok {
    /// The operator and its precedence, where the token is a binary operator.
    #[inline]
    pub(crate) fn binary(self) -> Option<(BinaryOp, u8)> {
        BINARY.get((self as usize).wrapping_sub(Self::LogOr as usize)).copied()
    }

    /// How the token assigns, where it is an assignment operator.
    #[inline]
    pub(crate) fn assignment(self) -> Option<AssignOp> {
        ASSIGNMENT.get((self as usize).wrapping_sub(Self::AddAssign as usize)).copied()
    }

    /// Whether a line end after the token is a semicolon.
    #[inline]
    pub(crate) fn ends_statement(self) -> bool {
        (Self::RParen as u8..=Self::Return as u8).contains(&(self as u8))
    }

    /// Whether the token can follow an operand as part of it: a selector, call, index or literal value.
    #[inline]
    pub(crate) fn goes_on_operand(self) -> bool {
        (Self::Period as u8..=Self::LBrace as u8).contains(&(self as u8))
    }

    /// How messages name the token.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Eof => "end of file",
            Self::Illegal => "illegal character",
            Self::Ident => "name",
            Self::Int | Self::Float | Self::Imag | Self::Char | Self::String => "literal",
            Self::LogOr => "'||'",
            Self::LogAnd => "'&&'",
            Self::Eq => "'=='",
            Self::Ne => "'!='",
            Self::Lt => "'<'",
            Self::Le => "'<='",
            Self::Gt => "'>'",
            Self::Ge => "'>='",
            Self::Add => "'+'",
            Self::Sub => "'-'",
            Self::Or => "'|'",
            Self::Xor => "'^'",
            Self::Mul => "'*'",
            Self::Quo => "'/'",
            Self::Rem => "'%'",
            Self::Shl => "'<<'",
            Self::Shr => "'>>'",
            Self::And => "'&'",
            Self::AndNot => "'&^'",
            Self::AddAssign => "'+='",
            Self::SubAssign => "'-='",
            Self::OrAssign => "'|='",
            Self::XorAssign => "'^='",
            Self::MulAssign => "'*='",
            Self::QuoAssign => "'/='",
            Self::RemAssign => "'%='",
            Self::ShlAssign => "'<<='",
            Self::ShrAssign => "'>>='",
            Self::AndAssign => "'&='",
            Self::AndNotAssign => "'&^='",
            Self::Assign => "'='",
            Self::Define => "':='",
            Self::Arrow => "'<-'",
            Self::Inc => "'++'",
            Self::Dec => "'--'",
            Self::Not => "'!'",
            Self::Tilde => "'~'",
            Self::Ellipsis => "'...'",
            Self::LParen => "'('",
            Self::LBrack => "'['",
            Self::LBrace => "'{'",
            Self::Comma => "','",
            Self::Period => "'.'",
            Self::RParen => "')'",
            Self::RBrack => "']'",
            Self::RBrace => "'}'",
            Self::Semi => "';'",
            Self::Colon => "':'",
            Self::Break => "'break'",
            Self::Case => "'case'",
            Self::Chan => "'chan'",
            Self::Const => "'const'",
            Self::Continue => "'continue'",
            Self::Default => "'default'",
            Self::Defer => "'defer'",
            Self::Else => "'else'",
            Self::Fallthrough => "'fallthrough'",
            Self::For => "'for'",
            Self::Func => "'func'",
            Self::Go => "'go'",
            Self::Goto => "'goto'",
            Self::If => "'if'",
            Self::Import => "'import'",
            Self::Interface => "'interface'",
            Self::Map => "'map'",
            Self::Package => "'package'",
            Self::Range => "'range'",
            Self::Return => "'return'",
            Self::Select => "'select'",
            Self::Struct => "'struct'",
            Self::Switch => "'switch'",
            Self::Type => "'type'",
            Self::Var => "'var'",
        }
    }
}

/// A set of token kinds.
#[derive(Clone, Copy)]
pub(crate) struct TokSet(u128);

impl TokSet {
    /// The set of `toks`.
    pub(crate) const fn of(toks: &[Tok]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < toks.len() {
            bits |= 1 << toks[i] as u32;
            i += 1;
        }
        Self(bits)
    }

    /// Whether `tok` is in the set.
    #[inline]
    pub(crate) fn has(self, tok: Tok) -> bool {
        self.0 >> tok as u32 & 1 != 0
    }
}

const KEYWORDS: [(&str, Tok); 25] = [
    ("break", Tok::Break),
    ("case", Tok::Case),
    ("chan", Tok::Chan),
    ("const", Tok::Const),
    ("continue", Tok::Continue),
    ("default", Tok::Default),
    ("defer", Tok::Defer),
    ("else", Tok::Else),
    ("fallthrough", Tok::Fallthrough),
    ("for", Tok::For),
    ("func", Tok::Func),
    ("go", Tok::Go),
    ("goto", Tok::Goto),
    ("if", Tok::If),
    ("import", Tok::Import),
    ("interface", Tok::Interface),
    ("map", Tok::Map),
    ("package", Tok::Package),
    ("range", Tok::Range),
    ("return", Tok::Return),
    ("select", Tok::Select),
    ("struct", Tok::Struct),
    ("switch", Tok::Switch),
    ("type", Tok::Type),
    ("var", Tok::Var),
];

/// Where a spelling stands in the keyword table. The table is filled at compile time, which fails where two keywords
/// share a slot.
#[inline]
const fn keyword_slot(head: u64, len: usize) -> usize {
    ((head & 0xff) as usize * 6 + (head >> 8 & 0xff) as usize * 23 + len) & 63
}

/// Bytes, length and token of each keyword of up to eight bytes, by its slot.
const KEYWORD_TABLE: [(u64, usize, Tok); 64] = {
    let mut table = [(0, 0, Tok::Ident); 64];
    let mut i = 0;
    while i < KEYWORDS.len() {
        let (spelling, tok) = KEYWORDS[i];
        let head = head(spelling.as_bytes());
        let slot = keyword_slot(head, spelling.len());
        assert!(table[slot].1 == 0, "two keywords share a slot");
        if spelling.len() <= 8 {
            table[slot] = (head, spelling.len(), tok);
        }
        i += 1;
    }
    table
};

/// The first eight bytes of a spelling, the first one lowest.
const fn head(spelling: &[u8]) -> u64 {
    let mut head = 0;
    let mut i = 0;
    while i < spelling.len() && i < 8 {
        head |= (spelling[i] as u64) << (8 * i);
        i += 1;
    }
    head
}

/// The keyword of such a length that begins with `head`, or [`Tok::Ident`]. `head` is the first eight bytes, the first
/// one lowest, and zero beyond the end. The two keywords of more than eight bytes are not told.
#[inline]
pub(crate) fn keyword(head: u64, len: usize) -> Tok {
    let (keyword, keyword_len, tok) = KEYWORD_TABLE[keyword_slot(head, len)];
    // One test, which needs no branch.
    let differs = (head ^ keyword) | (len ^ keyword_len) as u64;
    if differs == 0 { tok } else { Tok::Ident }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyword_of(spelling: &str) -> Tok {
        keyword(head(spelling.as_bytes()), spelling.len())
    }

    #[test]
    fn every_keyword_is_found_and_near_misses_are_not() {
        for (spelling, tok) in KEYWORDS {
            let expected = if spelling.len() > 8 { Tok::Ident } else { tok };
            assert_eq!(keyword_of(spelling), expected, "{spelling}");
            assert_eq!(keyword_of(&spelling[1..]), Tok::Ident, "{spelling} without its first letter");
            assert_eq!(keyword_of(&format!("{spelling}s")), Tok::Ident, "{spelling}s");
            assert_eq!(keyword_of(&spelling.to_uppercase()), Tok::Ident, "{spelling} in capitals");
        }
        for other in ["", "x", "interfacf", "fallthrougi", "falltharrow"] {
            assert_eq!(keyword_of(other), Tok::Ident, "{other}");
        }
    }

    #[test]
    fn operators_are_those_of_their_tokens() {
        assert_eq!(Tok::LogOr.binary(), Some((BinaryOp::LogOr, 1)));
        assert_eq!(Tok::Rem.binary(), Some((BinaryOp::Rem, 5)));
        assert_eq!(Tok::AndNot.binary(), Some((BinaryOp::AndNot, 5)));
        assert_eq!(Tok::AddAssign.assignment(), Some(AssignOp::Op(BinaryOp::Add)));
        assert_eq!(Tok::AndNotAssign.assignment(), Some(AssignOp::Op(BinaryOp::AndNot)));
        assert_eq!(Tok::Define.assignment(), Some(AssignOp::Define));
        for tok in [Tok::Illegal, Tok::AddAssign, Tok::Arrow, Tok::Var] {
            assert_eq!(tok.binary(), None, "{tok:?}");
        }
        for tok in [Tok::Eof, Tok::AndNot, Tok::Arrow, Tok::Var] {
            assert_eq!(tok.assignment(), None, "{tok:?}");
        }
    }
}

//! Tokens: their kinds, sets of them, operator tables, and keywords.

use crate::ast::{AssignOp, BinaryOp};
use crate::names::Spelling;

/// The kind of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Tok {
    Eof,
    Illegal,
    Ident,
    Int,
    Float,
    Imag,
    Char,
    String,
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
    Inc,
    Dec,
    Not,
    Tilde,
    Ellipsis,
    LParen,
    LBrack,
    LBrace,
    Comma,
    Period,
    RParen,
    RBrack,
    RBrace,
    Semi,
    Colon,
    Break,
    Case,
    Chan,
    Const,
    Continue,
    Default,
    Defer,
    Else,
    Fallthrough,
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
    Return,
    Select,
    Struct,
    Switch,
    Type,
    Var,
}

impl Tok {
    /// The operator and its precedence, where the token is a binary operator.
    #[inline]
    pub(crate) fn binary(self) -> Option<(BinaryOp, u8)> {
        Some(match self {
            Self::LogOr => (BinaryOp::LogOr, 1),
            Self::LogAnd => (BinaryOp::LogAnd, 2),
            Self::Eq => (BinaryOp::Eq, 3),
            Self::Ne => (BinaryOp::Ne, 3),
            Self::Lt => (BinaryOp::Lt, 3),
            Self::Le => (BinaryOp::Le, 3),
            Self::Gt => (BinaryOp::Gt, 3),
            Self::Ge => (BinaryOp::Ge, 3),
            Self::Add => (BinaryOp::Add, 4),
            Self::Sub => (BinaryOp::Sub, 4),
            Self::Or => (BinaryOp::Or, 4),
            Self::Xor => (BinaryOp::Xor, 4),
            Self::Mul => (BinaryOp::Mul, 5),
            Self::Quo => (BinaryOp::Div, 5),
            Self::Rem => (BinaryOp::Rem, 5),
            Self::Shl => (BinaryOp::Shl, 5),
            Self::Shr => (BinaryOp::Shr, 5),
            Self::And => (BinaryOp::And, 5),
            Self::AndNot => (BinaryOp::AndNot, 5),
            _ => return None,
        })
    }

    /// How the token assigns, where it is an assignment operator.
    #[inline]
    pub(crate) fn assignment(self) -> Option<AssignOp> {
        Some(match self {
            Self::Assign => AssignOp::Assign,
            Self::Define => AssignOp::Define,
            Self::AddAssign => AssignOp::Op(BinaryOp::Add),
            Self::SubAssign => AssignOp::Op(BinaryOp::Sub),
            Self::OrAssign => AssignOp::Op(BinaryOp::Or),
            Self::XorAssign => AssignOp::Op(BinaryOp::Xor),
            Self::MulAssign => AssignOp::Op(BinaryOp::Mul),
            Self::QuoAssign => AssignOp::Op(BinaryOp::Div),
            Self::RemAssign => AssignOp::Op(BinaryOp::Rem),
            Self::ShlAssign => AssignOp::Op(BinaryOp::Shl),
            Self::ShrAssign => AssignOp::Op(BinaryOp::Shr),
            Self::AndAssign => AssignOp::Op(BinaryOp::And),
            Self::AndNotAssign => AssignOp::Op(BinaryOp::AndNot),
            _ => return None,
        })
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

/// Tokens after which a line end is a semicolon.
pub(crate) const ENDS_STATEMENT: TokSet = TokSet::of(&[
    Tok::Ident,
    Tok::Int,
    Tok::Float,
    Tok::Imag,
    Tok::Char,
    Tok::String,
    Tok::Break,
    Tok::Continue,
    Tok::Fallthrough,
    Tok::Return,
    Tok::Inc,
    Tok::Dec,
    Tok::RParen,
    Tok::RBrack,
    Tok::RBrace,
]);

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

/// First eight bytes, length and token of each keyword, by its slot.
const KEYWORD_TABLE: [(u64, usize, Tok); 64] = {
    let mut table = [(0, 0, Tok::Ident); 64];
    let mut i = 0;
    while i < KEYWORDS.len() {
        let (spelling, tok) = KEYWORDS[i];
        let head = head(spelling.as_bytes());
        let slot = keyword_slot(head, spelling.len());
        assert!(table[slot].1 == 0, "two keywords share a slot");
        table[slot] = (head, spelling.len(), tok);
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

/// The keyword spelled so, or [`Tok::Ident`].
#[inline]
pub(crate) fn keyword(spelling: Spelling<'_>) -> Tok {
    let (head, len, tok) = KEYWORD_TABLE[keyword_slot(spelling.head, spelling.bytes.len())];
    if head != spelling.head || len != spelling.bytes.len() {
        return Tok::Ident;
    }
    match tok {
        // These are longer than what has been compared.
        Tok::Fallthrough if spelling.bytes != b"fallthrough" => Tok::Ident,
        Tok::Interface if spelling.bytes != b"interface" => Tok::Ident,
        tok => tok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyword_of(spelling: &str) -> Tok {
        keyword(Spelling::of(spelling.as_bytes(), 0, spelling.len()))
    }

    #[test]
    fn every_keyword_is_found_and_near_misses_are_not() {
        for (spelling, tok) in KEYWORDS {
            assert_eq!(keyword_of(spelling), tok, "{spelling}");
            assert_eq!(keyword_of(&spelling[1..]), Tok::Ident, "{spelling} without its first letter");
            assert_eq!(keyword_of(&format!("{spelling}s")), Tok::Ident, "{spelling}s");
            assert_eq!(keyword_of(&spelling.to_uppercase()), Tok::Ident, "{spelling} in capitals");
        }
        for other in ["", "x", "interfacf", "fallthrougi", "falltharrow"] {
            assert_eq!(keyword_of(other), Tok::Ident, "{other}");
        }
    }
}

//! Constant values with exact arithmetic, as the Go specification asks for.
//!
//! The operations follow package `go/constant` (Go 1.27): a result that can't be computed, or would be too large to be
//! legal Go, is [`Const::Unknown`], and unknown operands give unknown results.

use std::cmp::Ordering;
use std::sync::Arc;

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive, Zero};
use residue_syntax::ast::{BinaryOp, LitKind, UnaryOp};
use residue_syntax::literal;

use crate::text::Text;
use crate::types::Basic;

/// Integers beyond this many bits are errors in Go.
const INT_BITS_MAX: u64 = 512;
/// Rationals whose parts are longer are given up; `go/constant` would round them.
const RATIONAL_BITS_MAX: u64 = 16 * 1024;
/// Decimal exponents beyond are given up.
const EXPONENT_MAX: i64 = 4_000;
/// Strings beyond are given up.
const STRING_BYTES_MAX: usize = 64 << 20;
/// The largest constant shift count, as in go/types (`shiftBound`).
const SHIFT_MAX: u32 = 1023 - 1 + 52;

/// A constant value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Const {
    /// Not known.
    Unknown,
    /// A boolean.
    Bool(bool),
    /// A string; any bytes.
    Str(Text),
    /// An integer that fits.
    Int(i64),
    /// An integer that doesn't fit in [`Const::Int`].
    Big(Arc<BigInt>),
    /// A number written or computed as floating point; may be integral.
    Float(Arc<BigRational>),
    /// Real and imaginary part.
    Complex(Arc<(BigRational, BigRational)>),
}

impl Const {
    /// The constant of an integer; unknown beyond what Go allows.
    pub fn from_big(value: BigInt) -> Self {
        match value.to_i64() {
            Some(small) => Self::Int(small),
            None if value.bits() > INT_BITS_MAX => Self::Unknown,
            None => Self::Big(Arc::new(value)),
        }
    }

    fn from_rational(value: BigRational) -> Self {
        if value.numer().bits() > RATIONAL_BITS_MAX || value.denom().bits() > RATIONAL_BITS_MAX {
            return Self::Unknown;
        }
        Self::Float(Arc::new(value))
    }

    fn from_complex(re: BigRational, im: BigRational) -> Self {
        let too_long = |r: &BigRational| r.numer().bits().max(r.denom().bits()) > RATIONAL_BITS_MAX;
        if too_long(&re) || too_long(&im) { Self::Unknown } else { Self::Complex(Arc::new((re, im))) }
    }

    /// The constant of a string.
    pub fn string(text: &str) -> Self {
        Self::Str(Text::new(text.as_bytes()))
    }

    /// Whether not known.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// The value as a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The value as a string; invalid UTF-8 gives none.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => std::str::from_utf8(s.bytes()).ok(),
            _ => None,
        }
    }

    /// The value as a 64-bit integer, if it is an integer of whatever kind and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self.to_int() {
            Self::Int(i) => Some(i),
            _ => None,
        }
    }

    fn big(&self) -> Option<BigInt> {
        match self {
            Self::Int(i) => Some(BigInt::from(*i)),
            Self::Big(b) => Some((**b).clone()),
            _ => None,
        }
    }

    fn rational(&self) -> Option<BigRational> {
        match self {
            Self::Float(r) => Some((**r).clone()),
            Self::Complex(c) if c.1.is_zero() => Some(c.0.clone()),
            other => other.big().map(BigRational::from_integer),
        }
    }

    fn complex(&self) -> Option<(BigRational, BigRational)> {
        match self {
            Self::Complex(c) => Some((**c).clone()),
            other => other.rational().map(|r| (r, BigRational::zero())),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Bool(_) | Self::Str(_) => 1,
            Self::Int(_) | Self::Big(_) => 2,
            Self::Float(_) => 3,
            Self::Complex(_) => 4,
        }
    }

    /// The value as an integer if it is integral, else unknown.
    #[must_use]
    pub fn to_int(&self) -> Self {
        match self {
            Self::Int(_) | Self::Big(_) => self.clone(),
            Self::Float(_) | Self::Complex(_) => match self.rational() {
                Some(r) if r.is_integer() => Self::from_big(r.to_integer()),
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    /// The value as a floating-point constant, else unknown.
    #[must_use]
    pub fn to_float(&self) -> Self {
        self.rational().map_or(Self::Unknown, Self::from_rational)
    }

    /// The value as a complex constant, else unknown.
    #[must_use]
    pub fn to_complex(&self) -> Self {
        self.complex().map_or(Self::Unknown, |(re, im)| Self::from_complex(re, im))
    }

    /// The real part.
    #[must_use]
    pub fn real(&self) -> Self {
        match self {
            Self::Complex(c) => Self::from_rational(c.0.clone()),
            Self::Int(_) | Self::Big(_) | Self::Float(_) => self.clone(),
            _ => Self::Unknown,
        }
    }

    /// The imaginary part.
    #[must_use]
    pub fn imag(&self) -> Self {
        match self {
            Self::Complex(c) => Self::from_rational(c.1.clone()),
            Self::Int(_) | Self::Big(_) | Self::Float(_) => Self::Int(0),
            _ => Self::Unknown,
        }
    }

    /// `re + im·i`
    pub fn make_complex(re: &Self, im: &Self) -> Self {
        match (re.rational(), im.rational()) {
            (Some(re), Some(im)) => Self::from_complex(re, im),
            _ => Self::Unknown,
        }
    }

    /// The value of a literal's text; unknown where it is malformed.
    pub fn literal(kind: LitKind, text: &str) -> Self {
        match kind {
            LitKind::Int => int_literal(text).map_or(Self::Unknown, Self::from_big),
            LitKind::Float => float_literal(text).map_or(Self::Unknown, Self::from_rational),
            LitKind::Imag => {
                imaginary_literal(text).map_or(Self::Unknown, |im| Self::from_complex(BigRational::zero(), im))
            }
            LitKind::Char => literal::char_value(text).map_or(Self::Unknown, |c| Self::Int(i64::from(c))),
            LitKind::String => literal::string_value(text).map_or(Self::Unknown, |s| Self::Str(Text::new(&*s))),
        }
    }

    /// `op x`; `bits` is the size of an unsigned operand, for `^`.
    #[must_use]
    pub fn unary(&self, op: UnaryOp, unsigned_bits: Option<u32>) -> Self {
        match (op, self) {
            (UnaryOp::Plus, Self::Int(_) | Self::Big(_) | Self::Float(_) | Self::Complex(_)) => self.clone(),
            (UnaryOp::Minus, Self::Int(_) | Self::Big(_)) => self.big().map_or(Self::Unknown, |b| Self::from_big(-b)),
            (UnaryOp::Minus, Self::Float(r)) => Self::from_rational(-(**r).clone()),
            (UnaryOp::Minus, Self::Complex(c)) => Self::from_complex(-c.0.clone(), -c.1.clone()),
            (UnaryOp::Xor, _) => match (self.to_int().big(), unsigned_bits) {
                (Some(b), None) => Self::from_big(!b),
                (Some(b), Some(bits)) => Self::from_big(((BigInt::one() << bits) - 1u8) ^ b),
                (None, _) => Self::Unknown,
            },
            (UnaryOp::Not, Self::Bool(b)) => Self::Bool(!b),
            _ => Self::Unknown,
        }
    }

    /// `x op y` for arithmetic, string and boolean operators; integer division where `integer`.
    pub fn binary(x: &Self, op: BinaryOp, y: &Self, integer: bool) -> Self {
        match (x, y) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Bool(a), Self::Bool(b)) => match op {
                BinaryOp::LogAnd => Self::Bool(*a && *b),
                BinaryOp::LogOr => Self::Bool(*a || *b),
                _ => Self::Unknown,
            },
            (Self::Str(a), Self::Str(b)) if op == BinaryOp::Add && a.len() + b.len() <= STRING_BYTES_MAX => {
                Self::Str(a.concat(b))
            }
            _ => match x.rank().max(y.rank()) {
                2 => int_op(x, op, y, integer),
                3 => match (x.rational(), y.rational()) {
                    (Some(a), Some(b)) => rational_op(&a, op, &b).map_or(Self::Unknown, Self::from_rational),
                    _ => Self::Unknown,
                },
                4 => match (x.complex(), y.complex()) {
                    (Some(a), Some(b)) => complex_op(&a, op, &b),
                    _ => Self::Unknown,
                },
                _ => Self::Unknown,
            },
        }
    }

    /// `x op y` for `<<` and `>>`.
    pub fn shift(x: &Self, op: BinaryOp, count: &Self) -> Self {
        let (Some(x), Some(count)) = (x.to_int().big(), count.as_i64().and_then(|c| u32::try_from(c).ok())) else {
            return Self::Unknown;
        };
        match op {
            BinaryOp::Shl if count < SHIFT_MAX => Self::from_big(x << count),
            BinaryOp::Shr => Self::from_big(x >> count.min(4 * INT_BITS_MAX as u32)),
            _ => Self::Unknown,
        }
    }

    /// `x op y` for comparisons.
    pub fn compare(x: &Self, op: BinaryOp, y: &Self) -> Option<bool> {
        let by_order = |o: Ordering| match op {
            BinaryOp::Eq => Some(o.is_eq()),
            BinaryOp::Ne => Some(o.is_ne()),
            BinaryOp::Lt => Some(o.is_lt()),
            BinaryOp::Le => Some(o.is_le()),
            BinaryOp::Gt => Some(o.is_gt()),
            BinaryOp::Ge => Some(o.is_ge()),
            _ => None,
        };
        match (x, y) {
            (Self::Unknown, _) | (_, Self::Unknown) => None,
            (Self::Bool(a), Self::Bool(b)) => match op {
                BinaryOp::Eq => Some(a == b),
                BinaryOp::Ne => Some(a != b),
                _ => None,
            },
            (Self::Str(a), Self::Str(b)) => by_order(a.bytes().cmp(b.bytes())),
            _ => {
                if let (Some(a), Some(b)) = (x.rational(), y.rational()) {
                    by_order(a.cmp(&b))
                } else {
                    let equal = x.complex()? == y.complex()?;
                    match op {
                        BinaryOp::Eq => Some(equal),
                        BinaryOp::Ne => Some(!equal),
                        _ => None,
                    }
                }
            }
        }
    }

    /// The value as it stands in a variable of type `ty` on a 64-bit machine: rounded for floating point, none where
    /// it can't be represented. Unknown values fit anything.
    pub fn represent(&self, ty: Basic) -> Option<Self> {
        if self.is_unknown() {
            return Some(Self::Unknown);
        }
        if ty.is_integer() {
            let int = self.to_int();
            let value = int.big()?;
            let fits = match int_bits(ty) {
                None => true,
                Some((bits, true)) => value.sign() != Sign::Minus && value.bits() <= u64::from(bits),
                Some((bits, false)) => {
                    let limit = BigInt::one() << (bits - 1);
                    value >= -limit.clone() && value < limit
                }
            };
            return fits.then_some(int);
        }
        match ty {
            Basic::Float32 | Basic::Float64 => round(&self.rational()?, ty),
            // Untyped constants keep the form they were computed in.
            Basic::UntypedFloat => self.rational().map(|_| self.clone()),
            Basic::Complex64 | Basic::Complex128 => {
                let part = if ty == Basic::Complex64 { Basic::Float32 } else { Basic::Float64 };
                let (re, im) = self.complex()?;
                Some(Self::make_complex(&round(&re, part)?, &round(&im, part)?))
            }
            Basic::UntypedComplex => self.complex().map(|_| self.clone()),
            _ if ty.is_string() => matches!(self, Self::Str(_)).then(|| self.clone()),
            _ if ty.is_boolean() => matches!(self, Self::Bool(_)).then(|| self.clone()),
            _ => None,
        }
    }

    /// The string a conversion `string(x)` of an integer gives.
    #[must_use]
    pub fn int_to_string(&self) -> Self {
        let code = self.as_i64().and_then(|i| u32::try_from(i).ok()).and_then(char::from_u32);
        Self::string(code.unwrap_or('\u{fffd}').encode_utf8(&mut [0; 4]))
    }
}

/// The value in full, as `go/constant`'s `ExactString` writes it: rationals as `a/b`.
impl std::fmt::Display for Const {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Str(s) => write!(f, "{:?}", String::from_utf8_lossy(s.bytes())),
            Self::Int(i) => write!(f, "{i}"),
            Self::Big(b) => write!(f, "{b}"),
            Self::Float(r) => write!(f, "{r}"),
            Self::Complex(c) => write!(f, "({} + {}i)", c.0, c.1),
        }
    }
}

/// Size in bits and whether unsigned; none for untyped integers.
fn int_bits(ty: Basic) -> Option<(u32, bool)> {
    Some(match ty {
        Basic::Int8 => (8, false),
        Basic::Int16 => (16, false),
        Basic::Int32 => (32, false),
        Basic::Int | Basic::Int64 => (64, false),
        Basic::Uint8 => (8, true),
        Basic::Uint16 => (16, true),
        Basic::Uint32 => (32, true),
        Basic::Uint | Basic::Uint64 | Basic::Uintptr => (64, true),
        _ => return None,
    })
}

/// Bits of an unsigned type, for `^x`.
pub(crate) fn unsigned_bits(ty: Basic) -> Option<u32> {
    int_bits(ty).filter(|b| b.1).map(|b| b.0)
}

/// The nearest value of a floating-point type, ties to even; none where it overflows.
fn round(value: &BigRational, ty: Basic) -> Option<Const> {
    let (precision, exponent_min, exponent_max) =
        if ty == Basic::Float32 { (24i64, -126i64, 127i64) } else { (53, -1022, 1023) };
    if value.is_zero() {
        return Some(Const::Float(Arc::new(BigRational::zero())));
    }
    let (numer, denom) = (value.numer().magnitude(), value.denom().magnitude());
    // 2^exponent ≤ |value| < 2^(exponent + 1), give or take one, which the comparison settles.
    let mut exponent = numer.bits() as i64 - denom.bits() as i64;
    let scaled = |shift: i64| {
        let bits = shift.unsigned_abs();
        if shift >= 0 { (numer << bits, denom.clone()) } else { (numer.clone(), denom << bits) }
    };
    let (n, d) = scaled(-exponent);
    if n < d {
        exponent -= 1;
    }
    // The unit in the last place, that of subnormal numbers at the least.
    let unit = exponent.max(exponent_min) - (precision - 1);
    let (n, d) = scaled(-unit);
    let (mut quotient, rest) = n.div_rem(&d);
    let twice = rest << 1u8;
    if twice > d || (twice == d && quotient.is_odd()) {
        quotient += 1u8;
    }
    if quotient.bits() as i64 + unit > exponent_max + 1 {
        return None;
    }
    let mantissa = BigInt::from_biguint(value.numer().sign(), quotient);
    let power = BigInt::one() << unit.unsigned_abs();
    let rounded =
        if unit >= 0 { BigRational::from_integer(mantissa * power) } else { BigRational::new(mantissa, power) };
    Some(Const::from_rational(rounded))
}

fn int_op(x: &Const, op: BinaryOp, y: &Const, integer: bool) -> Const {
    if let (Const::Int(a), Const::Int(b)) = (x, y) {
        let quick = match op {
            BinaryOp::Add => a.checked_add(*b),
            BinaryOp::Sub => a.checked_sub(*b),
            BinaryOp::Mul => a.checked_mul(*b),
            BinaryOp::Div if integer => a.checked_div(*b),
            BinaryOp::Rem => a.checked_rem(*b),
            BinaryOp::And => Some(a & b),
            BinaryOp::Or => Some(a | b),
            BinaryOp::Xor => Some(a ^ b),
            BinaryOp::AndNot => Some(a & !b),
            _ => None,
        };
        if let Some(value) = quick {
            return Const::Int(value);
        }
    }
    let (Some(a), Some(b)) = (x.big(), y.big()) else { return Const::Unknown };
    Const::from_big(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div | BinaryOp::Rem if b.is_zero() => return Const::Unknown,
        BinaryOp::Div if integer => a / b,
        BinaryOp::Div => {
            // Untyped integers divide as integers only where both operands are; go/constant makes a rational here.
            let exact = BigRational::new(a, b);
            return if exact.is_integer() { Const::from_big(exact.to_integer()) } else { Const::from_rational(exact) };
        }
        BinaryOp::Rem => a % b,
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::AndNot => &a & !b,
        _ => return Const::Unknown,
    })
}

fn rational_op(a: &BigRational, op: BinaryOp, b: &BigRational) -> Option<BigRational> {
    Some(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div if !b.is_zero() => a / b,
        _ => return None,
    })
}

fn complex_op(a: &(BigRational, BigRational), op: BinaryOp, b: &(BigRational, BigRational)) -> Const {
    match op {
        BinaryOp::Add => Const::from_complex(&a.0 + &b.0, &a.1 + &b.1),
        BinaryOp::Sub => Const::from_complex(&a.0 - &b.0, &a.1 - &b.1),
        BinaryOp::Mul => Const::from_complex(&a.0 * &b.0 - &a.1 * &b.1, &a.0 * &b.1 + &a.1 * &b.0),
        BinaryOp::Div => {
            let norm = &b.0 * &b.0 + &b.1 * &b.1;
            if norm.is_zero() {
                return Const::Unknown;
            }
            let re = (&a.0 * &b.0 + &a.1 * &b.1) / &norm;
            let im = (&a.1 * &b.0 - &a.0 * &b.1) / &norm;
            Const::from_complex(re, im)
        }
        _ => Const::Unknown,
    }
}

fn radix(digits: &str) -> (u32, &str) {
    let bytes = digits.as_bytes();
    match bytes {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    }
}

fn int_literal(text: &str) -> Option<BigInt> {
    let clean = text.replace('_', "");
    let (radix, digits) = radix(&clean);
    // Longer than any legal constant, and not worth the quadratic conversion.
    if digits.len() > INT_BITS_MAX as usize + 8 {
        return None;
    }
    BigInt::parse_bytes(digits.as_bytes(), radix)
}

fn float_literal(text: &str) -> Option<BigRational> {
    let clean = text.replace('_', "");
    if clean.len() > EXPONENT_MAX as usize {
        return None;
    }
    let hex = clean.starts_with("0x") || clean.starts_with("0X");
    let body = if hex { &clean[2..] } else { clean.as_str() };
    let (mantissa, exponent) = match body.find(if hex { ['p', 'P'] } else { ['e', 'E'] }) {
        Some(at) => (&body[..at], body[at + 1..].parse::<i64>().ok()?),
        None => (body, 0),
    };
    if exponent.abs() > EXPONENT_MAX {
        return None;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let value = BigInt::parse_bytes(digits.as_bytes(), if hex { 16 } else { 10 })?;
    let (base, scale) = if hex {
        (BigInt::from(2), exponent - 4 * fraction.len() as i64)
    } else {
        (BigInt::from(10), exponent - fraction.len() as i64)
    };
    let power = base.pow(u32::try_from(scale.unsigned_abs()).ok()?);
    Some(if scale < 0 { BigRational::new(value, power) } else { BigRational::from_integer(value * power) })
}

fn imaginary_literal(text: &str) -> Option<BigRational> {
    let digits = text.strip_suffix('i')?;
    let prefixed = matches!(digits.as_bytes(), [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..]);
    if prefixed && !digits.contains(['.', 'p', 'P']) {
        return int_literal(digits).map(BigRational::from_integer);
    }
    // A leading zero does not make an imaginary literal octal.
    float_literal(digits)
}

/// `size` rounded up to a multiple of `align`.
pub(crate) fn align_up(size: i64, align: i64) -> i64 {
    Integer::next_multiple_of(&size, &align.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lit(kind: LitKind, text: &str) -> String {
        Const::literal(kind, text).to_string()
    }

    #[test]
    fn literals() {
        for (kind, text, want) in [
            (LitKind::Int, "1_000", "1000"),
            (LitKind::Int, "0x_ff", "255"),
            (LitKind::Int, "0b11", "3"),
            (LitKind::Int, "0755", "493"),
            (LitKind::Int, "18446744073709551616", "18446744073709551616"),
            (LitKind::Float, "1.5e3", "1500"),
            (LitKind::Float, ".25", "1/4"),
            (LitKind::Float, "0x1p-2", "1/4"),
            (LitKind::Float, "1e999999999", "unknown"),
            (LitKind::Imag, "0123i", "(0 + 123i)"),
            (LitKind::Char, r"'\n'", "10"),
            (LitKind::Char, "'世'", "19990"),
            (LitKind::Char, r"'\''", "39"),
            (LitKind::String, r#""a\x41\u00e9\"""#, r#""aAé\"""#),
            (LitKind::String, "`a\r\n\\n`", r#""a\n\\n""#),
            (LitKind::String, r#""\q""#, "unknown"),
        ] {
            assert_eq!(lit(kind, text), want, "{text}");
        }
    }

    #[test]
    fn arithmetic_is_exact_and_bounded() {
        let one = Const::Int(1);
        let big = Const::shift(&one, BinaryOp::Shl, &Const::Int(100));
        assert_eq!(Const::shift(&big, BinaryOp::Shr, &Const::Int(98)), Const::Int(4));
        assert!(Const::shift(&one, BinaryOp::Shl, &Const::Int(600)).is_unknown());
        assert_eq!(Const::binary(&Const::Int(7), BinaryOp::Div, &Const::Int(2), true), Const::Int(3));
        assert!(Const::binary(&one, BinaryOp::Div, &Const::Int(0), true).is_unknown());
        assert_eq!(Const::binary(&Const::Int(i64::MIN), BinaryOp::Sub, &one, true).to_string(), "-9223372036854775809");
        assert_eq!(Const::Int(5).unary(UnaryOp::Xor, Some(8)), Const::Int(250));
    }

    #[test]
    fn representable() {
        assert_eq!(Const::Int(256).represent(Basic::Uint8), None);
        assert_eq!(Const::Int(-1).represent(Basic::Uint), None);
        assert_eq!(Const::literal(LitKind::Float, "2.0").represent(Basic::Int), Some(Const::Int(2)));
        assert_eq!(Const::literal(LitKind::Float, "2.5").represent(Basic::Int), None);
        assert!(Const::literal(LitKind::Float, "0.1").represent(Basic::Float32).is_some());
        assert_eq!(Const::literal(LitKind::Float, "1e39").represent(Basic::Float32), None);
    }

    #[test]
    fn rounding_is_that_of_the_machine() {
        for text in ["0.1", "1e-45", "7.038531e-26", "3.4028234e38", "16777217", "1e-50", "0.5", "1.1754942e-38"] {
            let exact = Const::literal(LitKind::Float, text);
            let rounded = |ty| exact.represent(ty).and_then(|c| c.rational()).map(|r| r.to_string());
            let of = |f: f64| BigRational::from_float(f).map(|r| r.to_string());
            let (single, double): (f32, f64) = (text.parse().expect("a float"), text.parse().expect("a float"));
            assert_eq!(rounded(Basic::Float32), of(f64::from(single)), "{text}");
            assert_eq!(rounded(Basic::Float64), of(double), "{text}");
        }
    }
}

//! Build constraint expressions: `//go:build` and the older `// +build`.

use crate::GoVersion;

/// A parsed constraint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Expr {
    /// A tag.
    Tag(String),
    /// `!x`
    Not(Box<Expr>),
    /// `x && y`
    And(Box<Expr>, Box<Expr>),
    /// `x || y`
    Or(Box<Expr>, Box<Expr>),
}

/// More tags than this are refused, as the go command does; it also bounds recursion.
const TAGS_MAX: usize = 1000;
/// Deeper nesting of parentheses and `!` is refused.
const DEPTH_MAX: usize = 200;

impl Expr {
    /// Parses what follows `//go:build`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text, tags: 0, depth: 0 };
        let expr = parser.or()?;
        parser.skip_space();
        match parser.rest.chars().next() {
            None => Ok(expr),
            Some(c) => Err(format!("unexpected `{c}`")),
        }
    }

    /// Parses what follows `// +build`: blanks are "or", commas are "and", `!` is "not".
    pub(crate) fn parse_plus_build(text: &str) -> Result<Self, String> {
        let mut tags = 0;
        let mut any: Option<Self> = None;
        for option in text.split_ascii_whitespace() {
            let mut all: Option<Self> = None;
            for literal in option.split(',') {
                tags += 1;
                if tags > TAGS_MAX {
                    return Err("too many tags".to_owned());
                }
                let tag = literal.strip_prefix('!').unwrap_or(literal);
                // The go command reads what it does not understand as a tag that is never set.
                let tag = if is_tag(tag) { tag } else { "ignore" };
                let term = Self::Tag(tag.to_owned());
                let term = if literal.starts_with('!') { Self::Not(Box::new(term)) } else { term };
                all = Some(match all {
                    None => term,
                    Some(x) => Self::And(Box::new(x), Box::new(term)),
                });
            }
            any = match (any, all) {
                (None, all) => all,
                (Some(x), Some(y)) => Some(Self::Or(Box::new(x), Box::new(y))),
                (any, None) => any,
            };
        }
        any.ok_or_else(|| "no tags".to_owned())
    }

    /// Whether it holds where `tag` says which tags are set.
    pub(crate) fn eval(&self, tag: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Tag(name) => tag(name),
            Self::Not(x) => !x.eval(tag),
            Self::And(x, y) => x.eval(tag) && y.eval(tag),
            Self::Or(x, y) => x.eval(tag) || y.eval(tag),
        }
    }

    /// Whether it holds for some setting of the tags for which `tag` answers none.
    pub(crate) fn satisfiable(&self, tag: &dyn Fn(&str) -> Option<bool>) -> bool {
        self.possible(tag).1
    }

    /// Whether it can be false, and whether it can be true, taking undecided tags as independent.
    fn possible(&self, tag: &dyn Fn(&str) -> Option<bool>) -> (bool, bool) {
        match self {
            Self::Tag(name) => tag(name).map_or((true, true), |set| (!set, set)),
            Self::Not(x) => {
                let (no, yes) = x.possible(tag);
                (yes, no)
            }
            Self::And(x, y) => {
                let ((x_no, x_yes), (y_no, y_yes)) = (x.possible(tag), y.possible(tag));
                (x_no || y_no, x_yes && y_yes)
            }
            Self::Or(x, y) => {
                let ((x_no, x_yes), (y_no, y_yes)) = (x.possible(tag), y.possible(tag));
                (x_no && y_no, x_yes || y_yes)
            }
        }
    }

    /// The least Go version that the constraint implies: the file's language version.
    pub(crate) fn go_version(&self) -> Option<GoVersion> {
        self.min_minor(true).map(|minor| GoVersion::new(1, minor))
    }

    /// The least `go1.N` implied by the constraint (or by its negation, where not `positive`).
    fn min_minor(&self, positive: bool) -> Option<u16> {
        let both = |x: &Self, y: &Self, conjunction: bool| {
            let (x, y) = (x.min_minor(positive), y.min_minor(positive));
            // `None` stands below every version: "or" weakens to it, "and" ignores it.
            if conjunction { x.max(y) } else { x.min(y) }
        };
        match self {
            Self::Tag(name) if positive => {
                if name == "go1" {
                    Some(0)
                } else {
                    name.strip_prefix("go1.")?.parse().ok()
                }
            }
            Self::Tag(_) => None,
            Self::Not(x) => x.min_minor(!positive),
            Self::And(x, y) => both(x, y, positive),
            Self::Or(x, y) => both(x, y, !positive),
        }
    }
}

/// Letters, digits, `_` and `.`, at least one.
fn is_tag(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
}

struct Parser<'a> {
    rest: &'a str,
    tags: usize,
    depth: usize,
}

impl Parser<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn or(&mut self) -> Result<Expr, String> {
        let mut x = self.and()?;
        while self.eat("||") {
            x = Expr::Or(Box::new(x), Box::new(self.and()?));
        }
        Ok(x)
    }

    fn and(&mut self) -> Result<Expr, String> {
        let mut x = self.unary()?;
        while self.eat("&&") {
            x = Expr::And(Box::new(x), Box::new(self.unary()?));
        }
        Ok(x)
    }

    fn unary(&mut self) -> Result<Expr, String> {
        if self.depth >= DEPTH_MAX {
            return Err("nested too deeply".to_owned());
        }
        self.depth += 1;
        let x = if self.eat("!") {
            if self.eat("!") {
                return Err("double negation".to_owned());
            }
            Expr::Not(Box::new(self.unary()?))
        } else if self.eat("(") {
            let x = self.or()?;
            if !self.eat(")") {
                return Err("missing `)`".to_owned());
            }
            x
        } else {
            self.tag()?
        };
        self.depth -= 1;
        Ok(x)
    }

    fn tag(&mut self) -> Result<Expr, String> {
        self.skip_space();
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(self.rest.len());
        let (tag, rest) = self.rest.split_at(end);
        if tag.is_empty() {
            return Err(rest
                .chars()
                .next()
                .map_or_else(|| "unexpected end".to_owned(), |c| format!("unexpected `{c}`")));
        }
        self.tags += 1;
        if self.tags > TAGS_MAX {
            return Err("too many tags".to_owned());
        }
        self.rest = rest;
        Ok(Expr::Tag(tag.to_owned()))
    }
}

/// The constraints of one file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Constraints {
    /// The `//go:build` line, or the `// +build` lines joined by "and".
    pub(crate) expr: Option<Expr>,
    /// Whether `expr` is a `//go:build` line, which alone sets a file's language version.
    pub(crate) go_build: bool,
    /// A malformed or repeated `//go:build` line: what is wrong with it, and its 1-based line. The go command refuses
    /// such a file.
    pub(crate) error: Option<(String, u32)>,
}

impl Constraints {
    /// Reads the constraints that stand before the package clause.
    pub(crate) fn of(src: &[u8]) -> Self {
        let header = Header::scan(src);
        if let Some((line, number)) = header.go_build {
            if let Some(number) = header.repeated {
                return Self { error: Some(("multiple `//go:build` lines".to_owned(), number)), ..Self::default() };
            }
            let text = String::from_utf8_lossy(&line["//go:build".len()..]);
            return match Expr::parse(&text) {
                Ok(expr) => Self { expr: Some(expr), go_build: true, error: None },
                Err(message) => {
                    Self { error: Some((format!("malformed `//go:build` line: {message}"), number)), ..Self::default() }
                }
            };
        }
        let lines = src[..header.plus_build_end].split(|&b| b == b'\n');
        let expr = lines
            .filter_map(|line| {
                let rest = line.trim_ascii().strip_prefix(b"//")?.trim_ascii().strip_prefix(b"+build")?;
                let separated = rest.first().is_none_or(u8::is_ascii_whitespace);
                separated.then(|| Expr::parse_plus_build(&String::from_utf8_lossy(rest)).ok())?
            })
            .reduce(|x, y| Expr::And(Box::new(x), Box::new(y)));
        Self { expr, go_build: false, error: None }
    }

    /// The language version that the file asks for.
    pub(crate) fn go_version(&self) -> Option<GoVersion> {
        if self.go_build { self.expr.as_ref()?.go_version() } else { None }
    }
}

/// The part of a file before its first token.
struct Header<'a> {
    /// The `//go:build` line and its number.
    go_build: Option<(&'a [u8], u32)>,
    /// The number of a second one.
    repeated: Option<u32>,
    /// `// +build` lines count before this offset: they must be followed by a blank line.
    plus_build_end: usize,
}

impl<'a> Header<'a> {
    fn scan(src: &'a [u8]) -> Self {
        let mut header = Self { go_build: None, repeated: None, plus_build_end: 0 };
        let src = src.strip_prefix(b"\xef\xbb\xbf").map_or(src, |_| src);
        let mut only_line_comments = true;
        let mut in_block_comment = false;
        let mut offset = 0;
        for (number, raw) in (1..).zip(src.split_inclusive(|&b| b == b'\n')) {
            offset += raw.len();
            let mut line = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw).trim_ascii();
            if line.is_empty() && only_line_comments {
                header.plus_build_end = offset;
                continue;
            }
            only_line_comments &= line.starts_with(b"//");
            if !in_block_comment && is_go_build(line) {
                if header.go_build.is_some() {
                    header.repeated.get_or_insert(number);
                } else {
                    header.go_build = Some((line, number));
                }
            }
            while !line.is_empty() {
                if in_block_comment {
                    let Some(end) = find(line, b"*/") else { break };
                    in_block_comment = false;
                    line = line[end + 2..].trim_ascii();
                } else if line.starts_with(b"//") {
                    break;
                } else if let Some(rest) = line.strip_prefix(b"/*") {
                    in_block_comment = true;
                    line = rest.trim_ascii();
                } else {
                    return header;
                }
            }
        }
        header
    }
}

fn is_go_build(line: &[u8]) -> bool {
    line.strip_prefix(b"//go:build").is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::{Constraints, Expr};
    use crate::GoVersion;

    fn holds(expr: &Expr) -> bool {
        expr.eval(&|tag| ["linux", "amd64", "go1.1", "yes"].contains(&tag))
    }

    #[test]
    fn evaluates_go_build_lines() {
        for (text, want) in [
            (" linux", true),
            (" !linux", false),
            (" linux && amd64", true),
            (" linux && arm64", false),
            (" windows || (linux && !cgo)", true),
            (" !(windows||darwin)&&yes", true),
            ("\tlinux\t&& yes", true),
            (" a.b_c1", false),
        ] {
            assert_eq!(holds(&Expr::parse(text).expect(text)), want, "{text}");
        }
    }

    #[test]
    fn refuses_malformed_lines() {
        let deep = "(".repeat(100_000);
        let nots = "!(".repeat(100_000);
        let many = vec!["a"; 2000].join("||");
        for text in ["", " ", "a b", "a &", "a &&", "(a", "a)", "!!a", "a-b", "a,b", &deep, &nots, &many] {
            assert!(Expr::parse(text).is_err(), "{}", &text[..text.len().min(20)]);
        }
    }

    #[test]
    fn evaluates_plus_build_lines() {
        for (text, want) in [
            (" linux darwin", true),
            (" linux,arm64 darwin", false),
            (" linux,!arm64", true),
            (" !linux", false),
            (" a-b", false),
            (" !!linux", true),
        ] {
            assert_eq!(holds(&Expr::parse_plus_build(text).expect(text)), want, "{text}");
        }
    }

    #[test]
    fn implies_a_language_version() {
        let version = |text: &str| Expr::parse(text).expect(text).go_version();
        let v = |minor| Some(GoVersion::new(1, minor));
        assert_eq!(version("go1.22"), v(22));
        assert_eq!(version("linux && go1.22"), v(22));
        assert_eq!(version("linux || go1.22"), None);
        assert_eq!(version("go1.21 || go1.22"), v(21));
        assert_eq!(version("go1.21 && go1.22"), v(22));
        assert_eq!(version("!go1.22"), None);
        assert_eq!(version("!(!go1.22 || linux)"), v(22));
        assert_eq!(version("go1"), v(0));
        assert_eq!(version("go1.x"), None);
    }

    #[test]
    fn finds_the_line_where_go_looks_for_it() {
        let no = |src: &str| {
            let constraints = Constraints::of(src.as_bytes());
            assert_eq!(constraints.error, None, "{src}");
            constraints.expr.is_some_and(|expr| !holds(&expr))
        };
        assert!(no("//go:build ignore\n\npackage p\n"));
        assert!(no("// Copyright\n\n//go:build ignore\npackage p\n"));
        assert!(no("/* Copyright */\n//go:build ignore\npackage p\n"));
        assert!(no("\u{feff}//go:build ignore\n\npackage p\n"));
        assert!(no("//go:build ignore\r\n\r\npackage p\r\n"));
        assert!(!no("package p\n//go:build ignore\n"));
        assert!(!no("/*\n//go:build ignore\n*/\npackage p\n"));
        assert!(!no("// see //go:build ignore\n\npackage p\n"));
        assert!(!no("//go:builder ignore\n\npackage p\n"));
        // The older form needs a blank line after it, and yields to the newer.
        assert!(no("// +build ignore\n\npackage p\n"));
        assert!(no("//+build ignore\n\npackage p\n"));
        assert!(no("// +build linux\n// +build ignore\n\npackage p\n"));
        assert!(!no("// +build ignore\npackage p\n"));
        assert!(!no("/* x */\n// +build ignore\n\npackage p\n"));
        assert!(!no("//go:build linux\n// +build ignore\n\npackage p\n"));
    }

    #[test]
    fn reports_what_go_refuses() {
        let error = |src: &str| Constraints::of(src.as_bytes()).error.map(|(_, line)| line);
        assert_eq!(error("// x\n//go:build linux &&\npackage p\n"), Some(2));
        assert_eq!(error("//go:build linux\n//go:build amd64\npackage p\n"), Some(2));
        assert_eq!(error("//go:build\npackage p\n"), Some(1));
    }

    #[test]
    fn decides_what_can_hold_at_all() {
        let can = |text: &str| {
            Expr::parse(text).expect(text).satisfiable(&|tag| match tag {
                "linux" => Some(true),
                "windows" => Some(false),
                _ => None,
            })
        };
        assert!(can("linux && race"));
        assert!(can("linux && !race"));
        assert!(!can("!linux && race"));
        assert!(!can("windows"));
        assert!(can("windows || !race"));
    }
}

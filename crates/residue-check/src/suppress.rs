//! `//residue:ignore CODE[,CODE] -- why`: findings that the code's authors accept. `-- why` may be left out.
//! `//residue:ignore CODE until=2027-01-31 -- why` holds up to that day; who reports knows what day it is.
//!
//! A comment at the end of a line speaks of that line. One on a line of its own speaks of the next line that is not a
//! comment; where that line starts a top-level declaration, of all of the declaration. As for `//go:` directives, there
//! is no blank after `//`. A finding is held back when its place, not one of its steps, lies there.
//!
//! Suppressions written for another linter are honoured where that linter looks for the same defect: `//nolint:bodyclose`,
//! `//nolint:sqlclosecheck`, `//nolint:govet` and `//nolint:lostcancel`, `#nosec G118`. They speak of the same lines, and
//! are never reported as unused. `//nolint` alone and other linters' names hold nothing back.

use std::cell::OnceCell;
use std::sync::Arc;

use residue_finding::{Date, Edit, Finding, RuleCode, Span};
use residue_syntax::ast::{self, File};

/// What opens a directive.
const MARKER: &str = "//residue:";

/// A directive of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directive {
    /// Its bytes.
    pub(crate) span: Span,
    /// Its line.
    pub(crate) line: u32,
    /// The lines it speaks of, the last one included.
    lines: (u32, u32),
    /// What it says, or what is wrong with it.
    pub(crate) ignores: Result<Vec<Ignored>, String>,
    /// The last day on which it holds; none where it always does.
    pub(crate) until: Option<Date>,
    /// The text after `--`.
    pub(crate) why: String,
}

/// A code of a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ignored {
    pub(crate) code: RuleCode,
    /// The Go types of the resources it is about; none where about all.
    types: &'static [&'static str],
    /// Whether it held a finding back, or need not.
    pub(crate) used: bool,
}

impl Ignored {
    fn holds(&self, finding: &Finding) -> bool {
        self.code == finding.rule && (self.types.is_empty() || self.types.contains(&finding.resource.as_str()))
    }
}

/// What suppressions of other linters are about: the linter or its rule, our rule, Go types of the resources.
const PEERS: &[(&str, &str, &[&str])] = &[
    ("bodyclose", "R201", &["net/http.Response.Body"]),
    ("sqlclosecheck", "R201", &["*database/sql.Rows", "*database/sql.Stmt"]),
    ("govet", "R209", &[]),
    ("lostcancel", "R209", &[]),
    ("G118", "R209", &[]),
];

/// What a comment of another linter's holds back, and why; none where it is no such comment, or about other defects.
fn of_peer(text: &str) -> Option<(Vec<Ignored>, String)> {
    let text = text.strip_prefix("//")?.trim_start();
    let (names, why) = if let Some(rest) = text.strip_prefix("nolint:") {
        rest.split_once("//").unwrap_or((rest, ""))
    } else {
        let rest = text.strip_prefix("#nosec")?;
        rest.split_once("--").unwrap_or((rest, ""))
    };
    let named = |peer: &str| names.split([',', ' ', '\t']).any(|name| name == peer);
    let ignored: Vec<Ignored> = PEERS
        .iter()
        .filter(|(peer, ..)| named(peer))
        .filter_map(|&(_, code, types)| Some(Ignored { code: code.parse().ok()?, types, used: true }))
        .collect();
    (!ignored.is_empty()).then(|| (ignored, why.trim().to_owned()))
}

/// The directives of a file, in source order.
pub(crate) fn directives(tree: &File, known: impl Fn(RuleCode) -> bool) -> Vec<Directive> {
    let src = tree.src();
    let comments = tree.comments();
    let mut spoken_of = SpokenOf { tree, decls: OnceCell::new(), last: None };
    let mut out = Vec::new();
    for comment in comments {
        let (start, end) = (comment.span.start as usize, comment.span.end as usize);
        let Some(bytes) = src.get(start..end) else { continue };
        let (ignores, until, why) = if bytes.starts_with(MARKER.as_bytes()) {
            let text = tree.text(comment.span);
            let (head, why) = text.split_once("--").unwrap_or((&text, ""));
            match parse(head.strip_prefix(MARKER).unwrap_or_default(), &known) {
                Ok((ignores, until)) => (Ok(ignores), until, why.trim().to_owned()),
                Err(message) => (Err(message), None, why.trim().to_owned()),
            }
        } else if bytes.starts_with(b"//")
            && let Some((ignores, why)) = of_peer(&tree.text(comment.span))
        {
            (Ok(ignores), None, why)
        } else {
            continue;
        };
        let line = tree.line_col(comment.span.start).line;
        let span = Span { start: comment.span.start, end: comment.span.end };
        let lines = spoken_of.lines(comment.span.start, line);
        out.push(Directive { span, line, lines, ignores, until, why });
    }
    out
}

/// What a directive says between its marker and the reason, or what is wrong with that.
fn parse(head: &str, known: &impl Fn(RuleCode) -> bool) -> Result<(Vec<Ignored>, Option<Date>), String> {
    let verb = head.split_whitespace().next().unwrap_or_default();
    let Some(codes) = head.strip_prefix("ignore").filter(|_| verb == "ignore") else {
        return Err(format!("`residue:{verb}` is no directive: write `//residue:ignore CODE -- why`"));
    };
    let (codes, until) = match codes.split_once("until=") {
        Some((codes, day)) => (codes, Some(day.trim())),
        None => (codes, None),
    };
    let parse = |day: &str| day.parse().map_err(|expected| format!("`until={day}` ends nowhere: {expected}"));
    let until = until.map(parse).transpose()?;
    let mut ignores = Vec::new();
    for code in codes.split(',').map(str::trim) {
        let Ok(code) = code.parse::<RuleCode>() else {
            return Err(if code.is_empty() {
                "no rule is named: write `//residue:ignore CODE -- why`".to_owned()
            } else {
                format!("`{code}` is no rule's code: write `//residue:ignore CODE[,CODE] -- why`")
            });
        };
        if !known(code) {
            return Err(format!("there is no rule {code}"));
        }
        ignores.push(Ignored { code, types: &[], used: false });
    }
    Ok((ignores, until))
}

/// Finds the lines that comments speak of, which come in source order: many in a row are looked through once.
struct SpokenOf<'t> {
    tree: &'t File,
    /// Where the declarations of the file are, in order.
    decls: OnceCell<Vec<ast::Span>>,
    /// The lines that the last comment on a line of its own speaks of.
    last: Option<(u32, u32)>,
}

impl SpokenOf<'_> {
    /// The lines that a comment at `pos` on `line` speaks of.
    fn lines(&mut self, pos: u32, line: u32) -> (u32, u32) {
        let alone = self.text_of(line).is_some_and(|(span, _)| {
            let before = self.tree.src().get(span.start as usize..pos as usize);
            before.is_some_and(|before| before.trim_ascii().is_empty())
        });
        if !alone {
            return (line, line);
        }
        // Between the last comment and what it speaks of there are only others.
        let lines = self.last.filter(|&(first, _)| first > line).unwrap_or_else(|| self.after(line));
        *self.last.insert(lines)
    }

    /// The next line that is more than a comment, or the whole declaration that begins there.
    fn after(&self, line: u32) -> (u32, u32) {
        let last = self.tree.line_count() as u32;
        let is_comment = |text: &[u8]| text.is_empty() || text.starts_with(b"//");
        let mut next = line + 1;
        while next <= last && self.text_of(next).is_some_and(|(_, text)| is_comment(text)) {
            next += 1;
        }
        let Some((span, _)) = self.text_of(next) else { return (next, next) };
        let decls = self
            .decls
            .get_or_init(|| self.tree.list(self.tree.top_decls()).map(|decl| self.tree.decl_span(decl)).collect());
        let decl = decls.get(decls.partition_point(|decl| decl.start < span.start)).filter(|d| d.start <= span.end);
        let end = decl.map_or(next, |decl| self.tree.line_col(decl.end.saturating_sub(1).max(decl.start)).line);
        (next, end)
    }

    fn text_of(&self, line: u32) -> Option<(ast::Span, &[u8])> {
        let span = self.tree.line_span(line)?;
        let bytes = self.tree.src().get(span.start as usize..span.end as usize)?;
        Some((span, bytes.trim_ascii()))
    }
}

/// The directive that holds a finding back, marked as used.
pub(crate) fn applies<'d>(directives: &'d mut [Directive], finding: &Finding) -> Option<&'d Directive> {
    let (first, last) = (finding.site.start.line, finding.site.end.line.max(finding.site.start.line));
    for directive in directives {
        if directive.lines.1 < first || last < directive.lines.0 {
            continue;
        }
        if let Ok(ignores) = &mut directive.ignores
            && let Some(ignored) = ignores.iter_mut().find(|ignored| ignored.holds(finding))
        {
            ignored.used = true;
            return Some(directive);
        }
    }
    None
}

/// The comment that holds a finding back, as an edit of its file's text: on a line of its own above, else at the end of the
/// line. None where neither would be read as one that is about this finding: inside a literal that goes over lines.
pub fn suppression(text: &Arc<[u8]>, finding: &Finding) -> Option<Edit> {
    let at = finding.site.span.start as usize;
    let start = text.get(..at)?.iter().rposition(|&byte| byte == b'\n').map_or(0, |before| before + 1);
    let rest = text.get(at..)?;
    let end = at + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    let end = if text.get(..end)?.ends_with(b"\r") { end - 1 } else { end };
    let indent: String =
        text.get(start..at)?.iter().map_while(|&b| matches!(b, b' ' | b'\t').then_some(char::from(b))).collect();
    let newline = if text.get(end) == Some(&b'\r') { "\r\n" } else { "\n" };
    let comment = format!("{MARKER}ignore {} -- why", finding.rule);
    // Above a declaration it would speak of all of it.
    let above = (start, format!("{indent}{comment}{newline}"), 1);
    let behind = (end, format!(" {comment}"), 0);
    let candidates = if indent.is_empty() { [behind, above] } else { [above, behind] };
    candidates.into_iter().find_map(|(offset, replacement, lines)| {
        let changed = [text.get(..offset)?, replacement.as_bytes(), text.get(offset..)?].concat();
        let mut moved = finding.clone();
        moved.site.start.line += lines;
        moved.site.end.line += lines;
        let tree = residue_syntax::parse(changed.into(), residue_syntax::Bodies::Keep).file;
        let mut directives = directives(&tree, |_| true);
        // The new one, not another that is there already.
        directives.retain(|directive| {
            let inserted = offset as u32..=(offset + replacement.len()) as u32;
            inserted.contains(&directive.span.start) && directive.until.is_none()
        });
        applies(&mut directives, &moved)?;
        let span = Span { start: offset as u32, end: offset as u32 };
        Some(Edit { path: finding.site.path.clone(), span, replacement })
    })
}

#[cfg(test)]
mod tests {
    use residue_finding::{Confidence, Family, Position, RuleMeta, Severity, Site};
    use residue_syntax::{Bodies, parse};

    use super::*;

    fn all(src: &str) -> Vec<Directive> {
        let file = parse(Arc::from(src.as_bytes()), Bodies::Keep).file;
        directives(&file, |code| code.as_str() != "R999")
    }

    fn lines_of(src: &str) -> Vec<(u32, u32)> {
        all(src).iter().map(|d| d.lines).collect()
    }

    #[test]
    fn a_comment_speaks_of_its_line_or_the_next() {
        let src = "package p\n\nfunc f() {\n\ta() //residue:ignore R201 -- same line\n\
                   \t//residue:ignore R201 -- next line\n\t// and a remark\n\tb()\n}\n";
        assert_eq!(lines_of(src), [(4, 4), (7, 7)]);
    }

    #[test]
    fn above_a_declaration_it_speaks_of_all_of_it() {
        let src = "package p\n\n// f does.\n//residue:ignore R201 -- all of f\nfunc f() {\n\ta()\n}\n\nvar x = 1\n";
        assert_eq!(lines_of(src), [(5, 7)]);
        assert_eq!(lines_of("package p\n//residue:ignore R201"), [(3, 3)], "nothing comes after");
        let several = "package p\n\n//residue:ignore R201\n// f does.\n\n//residue:ignore R202\nfunc f() {\n\ta()\n}\n\n\
                       //residue:ignore R203\nvar x = 1 //residue:ignore R205\n//residue:ignore R209\nvar y = 1\n";
        assert_eq!(lines_of(several), [(7, 9), (7, 9), (12, 12), (12, 12), (14, 14)]);
    }

    #[test]
    fn codes_and_reasons_are_read() {
        let found = all("package p\n\n//residue:ignore R201, R209 -- on purpose -- really\nvar x = 1\n");
        assert_eq!(found[0].why, "on purpose -- really");
        let codes: Vec<_> = found[0].ignores.iter().flatten().map(|i| i.code.to_string()).collect();
        assert_eq!(codes, ["R201", "R209"]);
    }

    #[test]
    fn a_last_day_is_read() {
        let found = all(
            "package p\n//residue:ignore R201,R209 until=2027-01-31 -- until=now\n//residue:ignore R201\nvar x = 1\n",
        );
        assert_eq!(found[0].until.map(|day| day.to_string()).as_deref(), Some("2027-01-31"));
        assert_eq!((found[0].ignores.as_ref().map(Vec::len), found[0].why.as_str()), (Ok(2), "until=now"));
        assert_eq!(found[1].until, None);
    }

    #[test]
    fn what_is_malformed_is_said() {
        let src = "package p\n//residue:ignore\n//residue:ignore R2 -- x\n//residue:ignore R999\n//residue:skip R201\n\
                   //residue:ignoreR201 -- x\n//residue:ignored R201\n\
                   //residue:ignore R201 until=2027-02-30\n//residue:ignore R201 until=\n\
                   // residue:ignore R201 is no directive\n/*residue:ignore R201*/\n";
        let messages: Vec<_> = all(src).into_iter().map(|d| d.ignores.expect_err("malformed")).collect();
        assert_eq!(
            messages,
            [
                "no rule is named: write `//residue:ignore CODE -- why`",
                "`R2` is no rule's code: write `//residue:ignore CODE[,CODE] -- why`",
                "there is no rule R999",
                "`residue:skip` is no directive: write `//residue:ignore CODE -- why`",
                "`residue:ignoreR201` is no directive: write `//residue:ignore CODE -- why`",
                "`residue:ignored` is no directive: write `//residue:ignore CODE -- why`",
                "`until=2027-02-30` ends nowhere: expected a day such as 2027-01-31",
                "`until=` ends nowhere: expected a day such as 2027-01-31",
            ]
        );
    }

    #[test]
    fn a_suppression_can_be_made_for_a_place() {
        static META: RuleMeta = RuleMeta {
            code: RuleCode::new("R201"),
            name: "test",
            summary: "test",
            family: Family::Resources,
            cwe: &[],
            severity: Severity::Warning,
            confidence: Confidence::High,
            default_on: true,
            joins: &[],
            docs: "",
        };
        let suppressed = |src: &str| {
            let at = src.find("open").expect("it is there") as u32;
            let line = src[..at as usize].matches('\n').count() as u32 + 1;
            let start = Position { line, column: 1 };
            let site = Site { span: Span { start: at, end: at + 4 }, start, end: start, ..Site::default() };
            let edit = suppression(&Arc::from(src.as_bytes()), &Finding::new(&META, "left", site))?;
            let mut text = src.to_owned();
            text.replace_range(std::ops::Range::<usize>::from(edit.span), &edit.replacement);
            Some(text)
        };
        let comment = "//residue:ignore R201 -- why";
        for (src, want) in [
            (
                "package p\nfunc f() {\n\tx := open()\n}\n",
                format!("package p\nfunc f() {{\n\t{comment}\n\tx := open()\n}}\n"),
            ),
            (
                "package p\r\nfunc f() {\r\n\topen()\r\n}",
                format!("package p\r\nfunc f() {{\r\n\t{comment}\r\n\topen()\r\n}}"),
            ),
            ("package p\nvar x = open()", format!("package p\nvar x = open() {comment}")),
            // A line of its own would be part of the literal, and so would what comes after the call.
            ("package p\nvar x = f(`\n  `, open())\n", format!("package p\nvar x = f(`\n  `, open()) {comment}\n")),
        ] {
            assert_eq!(suppressed(src).as_deref(), Some(&*want), "{src}");
        }
        assert_eq!(suppressed("package p\nvar x = f(`\n  `, open(), `\n`)\n"), None);
        assert_eq!(
            suppressed("package p\nfunc f() {\n\topen() // but why\n}\n").map(|it| it.contains("//residue")),
            Some(true)
        );
    }
}

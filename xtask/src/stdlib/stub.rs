//! One file of the standard library, cut down to declarations.

use std::collections::BTreeSet;

use residue_syntax::ast::{
    Decl, DeclId, Expr, ExprId, FieldId, File, FuncDecl, GenKind, LitKind, Span, Spec, SpecId, UnaryOp,
};
use residue_syntax::{Bodies, literal, parse};

/// String literals longer than this give their variable its type as well when empty.
const STRING_MAX: usize = 8;

/// A file's declarations, each as short as it can be.
pub(super) struct Stub {
    pub(super) package: String,
    /// The `//go:build` line.
    constraint: Option<String>,
    pub(super) imports: Vec<Import>,
    pub(super) units: Vec<Unit>,
}

/// An import declaration.
pub(super) struct Import {
    pub(super) name: Option<String>,
    pub(super) path: String,
    pub(super) text: String,
}

/// A declaration that is kept or dropped as a whole.
pub(super) struct Unit {
    pub(super) text: String,
    /// What it declares.
    names: Vec<String>,
    /// The type that a method belongs to.
    receiver: Option<String>,
    /// Every name in it.
    mentions: BTreeSet<String>,
}

impl Unit {
    fn new(text: String, names: Vec<String>, receiver: Option<String>) -> Self {
        let mentions = identifiers(&text);
        Self { text, names, receiver, mentions }
    }

    pub(super) fn mentions(&self) -> impl Iterator<Item = &str> {
        self.mentions.iter().map(String::as_str)
    }

    /// Whether it is exported, or one of its names is wanted. A method needs its receiver to be wanted as well.
    pub(super) fn is_needed(&self, wanted: &BTreeSet<&str>) -> bool {
        let receiver = |name: &String| is_exported(name) || wanted.contains(name.as_str());
        self.names.iter().any(|name| is_exported(name) || wanted.contains(name.as_str()))
            && self.receiver.as_ref().is_none_or(receiver)
    }
}

fn is_exported(name: &str) -> bool {
    name.chars().next().is_some_and(char::is_uppercase)
}

impl Stub {
    /// Reads a file.
    pub(super) fn new(src: Vec<u8>) -> Result<Self, String> {
        let parsed = parse(src.into(), Bodies::Skip);
        if let Some(error) = parsed.errors.first() {
            return Err(format!("{}: {}", parsed.file.line_col(error.pos).line, error.message));
        }
        let file = &parsed.file;
        let package = file.package().map(|name| file.ident_text(name).to_owned()).ok_or("no package clause")?;
        let before = file.comments().iter().take_while(|comment| comment.span.start < file.package_pos());
        let constraint =
            before.map(|comment| file.text(comment.span).into_owned()).find(|text| text.starts_with("//go:build "));
        let mut stub = Self { package, constraint, imports: Vec::new(), units: Vec::new() };
        for decl in file.list(file.top_decls()) {
            stub.declaration(file, decl);
        }
        Ok(stub)
    }

    /// What stands before the imports.
    pub(super) fn header(&self) -> String {
        let constraint = self.constraint.as_ref().map(|line| format!("{line}\n\n")).unwrap_or_default();
        format!("{constraint}package {}\n", self.package)
    }

    /// Whether neither a constraint nor the name of its file can leave it out.
    pub(super) fn is_always_built(&self, name: &str) -> bool {
        self.constraint.is_none() && !name.contains('_') && !self.imports.iter().any(|import| import.path == "C")
    }

    fn declaration(&mut self, file: &File, decl: DeclId) {
        match file.decl(decl) {
            Decl::Bad => {}
            Decl::Func(func) => self.function(file, decl, func),
            Decl::Gen { kind: GenKind::Import, specs, .. } => {
                for spec in file.list(specs) {
                    let Spec::Import { name, path } = file.spec(spec) else { continue };
                    let value = literal::string_value(&file.text(file.expr_span(path)))
                        .map(|v| String::from_utf8_lossy(&v).into_owned());
                    self.imports.push(Import {
                        name: name.map(|name| file.ident_text(name).to_owned()),
                        path: value.unwrap_or_default(),
                        text: format!("import {}\n", clean(file, file.spec_span(spec))),
                    });
                }
            }
            // Members of a constant group depend on their places in it.
            Decl::Gen { kind: GenKind::Const, specs, .. } => {
                let names = file.list(specs).flat_map(|spec| names(file, spec)).collect();
                let text = clean(file, file.decl_span(decl));
                self.units.push(Unit::new(text + "\n", names, None));
            }
            Decl::Gen { kind: GenKind::Type, specs, .. } => {
                for spec in file.list(specs) {
                    let text = format!("type {}\n", clean(file, file.spec_span(spec)));
                    self.units.push(Unit::new(text, names(file, spec), None));
                }
            }
            Decl::Gen { kind: GenKind::Var, specs, .. } => {
                for spec in file.list(specs) {
                    self.units.push(Unit::new(variable(file, spec), names(file, spec), None));
                }
            }
        }
    }

    fn function(&mut self, file: &File, decl: DeclId, func: FuncDecl) {
        let name = file.ident_text(func.name).to_owned();
        if !func.has_recv && (name == "init" || name == "main") {
            return;
        }
        let span = Span::new(file.decl_span(decl).start, file.func_type(func.ty).span.end);
        let receiver = file.list(func.recv).next().map(|field| receiver_type(file, field));
        self.units.push(Unit::new(clean(file, span) + "\n", vec![name], receiver));
    }
}

/// The names that a specification declares.
fn names(file: &File, spec: SpecId) -> Vec<String> {
    match file.spec(spec) {
        Spec::Import { .. } => Vec::new(),
        Spec::Value { names, .. } => file.list(names).map(|name| file.ident_text(name).to_owned()).collect(),
        Spec::Type { name, .. } => vec![file.ident_text(name).to_owned()],
    }
}

/// The name of a method's type.
fn receiver_type(file: &File, field: FieldId) -> String {
    let mut ty = file.field(field).ty;
    loop {
        ty = match file.expr(ty) {
            Expr::Paren(x) | Expr::Star(x) | Expr::Index { x, .. } => x,
            Expr::Ident(name) => return file.ident_text(name).to_owned(),
            _ => return String::new(),
        };
    }
}

/// A variable with what gives it its type.
fn variable(file: &File, spec: SpecId) -> String {
    let Spec::Value { ty, values, .. } = file.spec(spec) else { return String::new() };
    let names = names(file, spec).join(",");
    if let Some(ty) = ty {
        return format!("var {names} {}\n", clean(file, file.expr_span(ty)));
    }
    let values: Vec<String> = file.list(values).map(|value| shorten(file, value)).collect();
    format!("var {names}={}\n", values.join(","))
}

/// A shorter expression of the same type.
fn shorten(file: &File, expr: ExprId) -> String {
    let list =
        |ids: residue_syntax::ast::List<ExprId>| file.list(ids).map(|x| shorten(file, x)).collect::<Vec<_>>().join(",");
    match file.expr(expr) {
        Expr::CompositeLit { ty: Some(ty), elts, .. } => {
            let written = clean(file, file.expr_span(ty));
            match file.expr(ty) {
                Expr::ArrayType { len: Some(len), elem } if matches!(file.expr(len), Expr::Ellipsis(None)) => {
                    if file.list(elts).any(|elt| matches!(file.expr(elt), Expr::KeyValue { .. })) {
                        return clean(file, file.expr_span(expr));
                    }
                    format!("[{}]{}{{}}", elts.len(), clean(file, file.expr_span(elem)))
                }
                _ => format!("{written}{{}}"),
            }
        }
        Expr::Paren(x) => format!("({})", shorten(file, x)),
        Expr::Unary { op: UnaryOp::Addr, x } => format!("&{}", shorten(file, x)),
        Expr::FuncLit { ty, .. } => format!("({})(nil)", clean(file, file.func_type(ty).span)),
        Expr::Call { fun, args, ellipsis: 0 } => format!("{}({})", shorten(file, fun), list(args)),
        Expr::BasicLit(LitKind::String) if file.text(file.expr_span(expr)).len() > STRING_MAX => "\"\"".to_owned(),
        _ => clean(file, file.expr_span(expr)),
    }
}

/// The source of a span without comments, blank lines and runs of blanks.
fn clean(file: &File, span: Span) -> String {
    let text = file.text(span);
    let mut out = String::with_capacity(text.len());
    let mut rest: &str = &text;
    // A pending separator: a line end weighs more than a blank.
    let mut gap: Option<char> = None;
    while let Some(c) = rest.chars().next() {
        let len = match c {
            ' ' | '\t' | '\r' => {
                gap = gap.or(Some(' '));
                1
            }
            '\n' => {
                gap = Some('\n');
                1
            }
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => {
                let len = rest.find("*/").map_or(rest.len(), |end| end + 2);
                gap = if rest[..len].contains('\n') { Some('\n') } else { gap.or(Some(' ')) };
                len
            }
            _ => {
                let len = token(rest);
                if let Some(gap) = gap.take()
                    && needs_gap(&out, gap, c)
                {
                    out.push(gap);
                }
                out.push_str(&rest[..len]);
                len
            }
        };
        rest = &rest[len..];
    }
    out
}

/// The length of a literal in quotes, of a word, or of one other character.
fn token(text: &str) -> usize {
    let quote = text.chars().next().unwrap_or_default();
    match quote {
        '`' => text[1..].find('`').map_or(text.len(), |end| end + 2),
        '"' | '\'' => {
            let mut chars = text.char_indices().skip(1);
            while let Some((i, c)) = chars.next() {
                if c == quote {
                    return i + 1;
                }
                if c == '\\' {
                    chars.next();
                }
            }
            text.len()
        }
        c if is_word(c) => text.find(|c| !is_word(c)).unwrap_or(text.len()),
        c => c.len_utf8(),
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Whether blanks or a line end between what is written and `next` matter.
fn needs_gap(before: &str, gap: char, next: char) -> bool {
    let Some(last) = before.chars().next_back() else { return false };
    // After these no semicolon is inserted at a line end.
    if gap == '\n' && !matches!(last, '(' | '{' | '[' | ',' | ';') {
        return true;
    }
    // Words could grow together, and so could operators.
    let wordy = |c: char| is_word(c) || matches!(c, '"' | '`' | '\'' | '.');
    let bracket = |c: char| matches!(c, '(' | ')' | '{' | '}' | '[' | ']' | ',' | ';');
    !bracket(last) && !bracket(next) && wordy(last) == wordy(next)
}

/// Every word outside literals.
fn identifiers(text: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = token(rest);
        if first == '_' || first.is_alphabetic() {
            words.insert(rest[..len].to_owned());
        }
        rest = &rest[len..];
    }
    words
}

#[cfg(test)]
mod tests {
    use super::Stub;

    /// The declarations of a file, as they are kept.
    fn stub(src: &str) -> String {
        let stub = Stub::new(src.as_bytes().to_vec()).expect("valid Go");
        stub.header() + &stub.units.iter().map(|unit| unit.text.as_str()).collect::<String>()
    }

    #[test]
    fn keeps_declarations_and_drops_the_rest() {
        assert_eq!(
            stub(
                "// Copyright\n\n//go:build unix && !aix\n\npackage p\n\n// F does.\nfunc F(a int, /* b */ c ...string) (n int, err error) {\n\tpanic(1)\n}\n"
            ),
            "//go:build unix && !aix\n\npackage p\nfunc F(a int,c ...string)(n int,err error)\n",
        );
    }

    #[test]
    fn variables_keep_what_gives_them_their_type() {
        for (src, want) in [
            ("var A int = 5", "var A int\n"),
            ("var A, B = 1, f(\"a long string\", []int{1, 2})", "var A,B=1,f(\"\",[]int{})\n"),
            ("var A = &T{\n\tx: 1, // one\n}", "var A=&T{}\n"),
            ("var A = [...]string{\"a\", \"b\"}", "var A=[2]string{}\n"),
            ("var A = [...]string{1: \"a\"}", "var A=[...]string{1:\"a\"}\n"),
            ("var A = func() (int, error) {\n\treturn g()\n}", "var A=(func()(int,error))(nil)\n"),
            ("var A = func() T { return t }()", "var A=(func()T)(nil)()\n"),
            ("var A = <-c - -d", "var A=<-c- -d\n"),
        ] {
            assert_eq!(stub(&format!("package p\n{src}\n")), format!("package p\n{want}"), "{src}");
        }
    }
}

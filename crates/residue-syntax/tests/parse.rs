//! What is accepted, what is refused and where, and what the tree says.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use residue_syntax::ast::{Decl, Expr, File, Spec, Stmt};
use residue_syntax::walk::Node;
use residue_syntax::{Bodies, Parsed, parse, parse_header};

fn read(src: &str) -> Parsed {
    parse(Arc::from(src.as_bytes()), Bodies::Keep)
}

/// The tree of a valid file.
fn file(src: &str) -> File {
    let parsed = read(src);
    assert_eq!(parsed.errors, [], "{src}");
    parsed.file
}

/// A file in which `stmt` is a statement.
fn in_func(stmt: &str) -> String {
    format!("package p\nfunc f() {{\n{stmt}\n}}\n")
}

/// A file in which `expr` is a value.
fn in_var(expr: &str) -> String {
    format!("package p\nvar _ = {expr}\n")
}

/// The source of all nodes that `wanted` picks, in order.
fn sources(file: &File, wanted: impl Fn(Node) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    file.walk(|node| {
        if wanted(node) {
            found.push(file.text(file.node_span(node)).into_owned());
        }
        true
    });
    found
}

#[test]
fn valid_statements() {
    for stmt in [
        "",
        ";;",
        "x := 1; _ = x",
        "a.b := 1",
        "x = y.(type)",
        "L: for { break L }",
        "L: }; func g() {",
        "if x := f(); x {}",
        "if ; x {}",
        "switch x\n{\n}",
        "switch x := y.(type) {}",
        "for ;; {}",
        "for x := range y {}",
        "for range 10 {}",
        "for i := 0; i < 10; i := 1 {}",
        "select { case a, b = c: }",
        "if (T{}) == x {}",
        "if f(T{}) {}",
        "for _, x := range []T{{}} {}",
        "if x == [2]int{1, 2} {}",
        "go f()",
        "defer (func() {})()",
        "return",
        "a, b = b, a",
        "goto L",
    ] {
        file(&in_func(stmt));
    }
}

#[test]
fn invalid_statements() {
    // The offset is within the statement.
    for (stmt, at, message) in [
        ("x y", 2, "unexpected y after statement"),
        ("if {}", 3, "missing condition in if statement"),
        ("if x; {}", 4, "missing condition in if statement"),
        ("if x\n{}", 4, "unexpected line end, expected '{' after if clause"),
        (
            "if x = 1 {}",
            3,
            "expected boolean expression, found assignment (missing parentheses around a composite literal?)",
        ),
        ("if var x = 1; x {}", 3, "var declaration not allowed in the header of an if statement"),
        ("if x {} else y()", 13, "expected if statement or block after 'else', found y"),
        ("for i := 0; i < 10 {}", 19, "unexpected '{' after condition of for statement"),
        ("for a, b, c := range x {}", 10, "range clause permits at most two iteration variables"),
        ("switch x = y.(type) {}", 9, "expected ':=', found '='"),
        ("select { case a, b: }", 14, "expected 1 expression"),
        ("a, b", 0, "expected 1 expression, found a list"),
        ("1: x()", 1, "illegal label declaration"),
        ("go x", 4, "expression in go must be a function call"),
        ("defer (f())", 6, "expression in defer must not be parenthesized"),
        ("goto;", 4, "expected name, found ';'"),
        ("~x", 0, "expected statement, found '~'"),
        ("import \"x\"", 0, "expected statement, found 'import'"),
        ("x = T{a b}", 8, "expected ',' or '}' in composite literal, found b"),
        ("f(a\n)", 3, "missing ',' before the line end in argument list"),
        ("f(a..., b)", 8, "expected ')', found b"),
    ] {
        let src = in_func(stmt);
        let start = src.len() - stmt.len() - "\n}\n".len();
        let errors = read(&src).errors;
        let first = errors.first().unwrap_or_else(|| panic!("{stmt}: accepted"));
        assert_eq!((first.pos as usize - start, first.message.as_str()), (at, message), "{stmt}");
    }
}

#[test]
fn expressions() {
    for expr in [
        "0b101",
        "0o17",
        "017",
        "0x_ff",
        "1_000.5e-1_0",
        "0x1p-2",
        "089i",
        "089.5",
        ".5",
        "'\\''",
        "'\\x41'",
        "\"\\\"\"",
        "x.(T)",
        "x[:]",
        "x[1:2:3]",
        "x[T,]",
        "f(x...)",
        "f(x...,)",
        "[...]int{}",
        "(<-chan int)(x)",
        "<-chan<- chan int(x)",
        "func() {}",
        "func() func()",
        "T{a: {b: c}}",
        "[]T{{}, {}}",
        "map[K]V{}",
        "struct{}{}",
        "interface{}(x)",
        "new(1+2)",
        "~x",
        "T[int]{}",
        "T{A.B: 1}",
        "x /* a\nb */ + y",
    ] {
        if expr.contains("/*") {
            // The line end in the comment ends the statement.
            assert!(!read(&in_var(expr)).errors.is_empty(), "{expr}");
        } else {
            file(&in_var(expr));
        }
    }
    for (expr, at, message) in [
        ("089", 1, "invalid digit '8' in octal literal"),
        ("0b12", 3, "invalid digit '2' in binary literal"),
        ("0x", 2, "hexadecimal literal has no digits"),
        ("1__0", 1, "'_' must separate successive digits"),
        ("1_", 1, "'_' must separate successive digits"),
        ("1e", 2, "exponent has no digits"),
        ("0x1.5", 5, "hexadecimal mantissa requires a 'p' exponent"),
        ("0b1e5", 3, "'e' exponent requires decimal mantissa"),
        ("1p5", 1, "'p' exponent requires hexadecimal mantissa"),
        ("''", 0, "illegal rune literal"),
        ("'ab'", 0, "illegal rune literal"),
        ("'a", 0, "rune literal not terminated"),
        ("\"a", 0, "string literal not terminated"),
        ("`a", 0, "raw string literal not terminated"),
        ("/* a", 0, "comment not terminated"),
        ("\"\\q\"", 2, "unknown escape sequence"),
        ("\"\\xg\"", 3, "illegal character in escape sequence"),
        ("\"\\ud800\"", 2, "escape sequence is invalid Unicode code point"),
        ("\"\\400\"", 2, "escape sequence is invalid Unicode code point"),
        ("#", 0, "illegal character '#' (U+0023)"),
        ("\u{201c}a\u{201d}", 0, "curly quotation mark \u{201c} (use neutral \")"),
        ("x[]", 2, "expected operand, found ']'"),
        ("x[::]", 2, "middle index required in 3-index slice"),
        ("x[1:2:]", 5, "final index required in 3-index slice"),
        ("(T){}", 1, "cannot parenthesize type in composite literal"),
        ("<-<-chan int", 2, "unexpected '<-', expected 'chan'"),
        ("x.;", 2, "expected selector or type assertion, found ';'"),
        ("f(...)", 2, "expected operand, found '...'"),
    ] {
        let src = in_var(expr);
        let start = src.len() - expr.len() - 1;
        let errors = read(&src).errors;
        let first = errors.first().unwrap_or_else(|| panic!("{expr}: accepted"));
        assert_eq!((first.pos as usize - start, first.message.as_str()), (at, message), "{expr}");
    }
}

#[test]
fn declarations() {
    for src in [
        "package p",
        "\u{feff}package p\n",
        "package p; import \"a\"; import ( . \"b\"; _ `c`; d \"\" )",
        "package p; const x int; const ( y, z )",
        "package p; var x, y = 1",
        "package p; func (a, b T, c ...int) f()",
        "package p; func (T) _[A, B any](a A) B",
        "package p; type T[P any] = Q",
        "package p; type T[P *Q] int",
        "package p; type T[P *Q,] int",
        "package p; type T[P (Q)] int",
        "package p; type T interface { ~int | m.T; T[int]; m(); *T }",
        "package p; type T struct { a, b int `x`; *p.T; T[int]; c [N]T[int] }",
        "package p; //line x:1\n",
        "package p; /*line x:1:2*/",
    ] {
        file(src);
    }
    for (src, at, message) in [
        ("", 0, "expected 'package', found end of file"),
        ("func f()", 0, "expected 'package', found 'func'"),
        ("package func", 8, "expected package name, found 'func'"),
        ("package p;;", 10, "expected declaration, found ';'"),
        ("package p; import 1", 18, "import path must be a string"),
        ("package p; var x int; import \"x\"", 22, "imports must appear before other declarations"),
        ("package p; var x", 16, "expected type, found end of file"),
        ("package p; func f(a int, b)", 25, "missing parameter type"),
        ("package p; func f(a int, []T)", 25, "missing parameter name"),
        ("package p; func f(a ...int, b int)", 20, "can only use ... with the final parameter"),
        ("package p; func f() (a ...int)", 23, "invalid use of ..."),
        ("package p; func f[]()", 18, "empty type parameter list"),
        ("package p; func f[T]()", 18, "expected type parameters with constraints: a name or a constraint is missing"),
        ("package p; func f()\n{}", 20, "unexpected semicolon or line end before '{'"),
        ("package p; type T struct { (U) }", 27, "cannot parenthesize embedded type"),
        ("package p; type T interface { m[P any]() }", 31, "interface method must have no type parameters"),
        ("package p; type T func[P any]()", 22, "function type must have no type parameters"),
        ("package p; type T [1,]int", 20, "unexpected comma in array length, expected ']'"),
        ("package p\n//line x:0\n", 19, "invalid line number in a line directive"),
        ("package p; /*line x:1:0*/", 22, "invalid column number in a line directive"),
    ] {
        let errors = read(src).errors;
        let first = errors.first().unwrap_or_else(|| panic!("{src}: accepted"));
        assert_eq!((first.pos, first.message.as_str()), (at, message), "{src}");
    }
}

#[test]
fn a_type_parameter_is_told_from_an_array_length() {
    for (decl, generic) in [
        ("T[P any] int", true),
        ("T[P *C] int", false),
        ("T[P *C,] int", true),
        ("T[P *C, Q any] int", true),
        ("T[P *[]int] int", true),
        ("T[P (C),] int", true),
        ("T[P (C)] int", false),
        ("T[P *C|D] int", false),
        ("T[P *C|~D] int", true),
        ("T[P interface{}] int", true),
        ("T[P []C] int", true),
        ("T[N] int", false),
        ("T[N + 1] int", false),
        ("T[] int", false),
    ] {
        let file = file(&format!("package p; type {decl}"));
        let mut found = None;
        file.walk(|node| {
            if let Node::Spec(id) = node
                && let Spec::Type { type_params, .. } = file.spec(id)
            {
                found = Some(!type_params.is_empty());
            }
            true
        });
        assert_eq!(found, Some(generic), "{decl}");
    }
    let file = file("package p; type T[P /* ( */ (C) | *D, Q any] int");
    let fields = sources(&file, |node| matches!(node, Node::Field(_)));
    assert_eq!(fields, ["P /* ( */ (C) | *D", "Q any"], "and what was read as a call has the spans of a constraint");
}

#[test]
fn spans_cover_exactly_the_source_of_a_node() {
    let file = file(&in_func("x, y := (a.b[1](c, d...)), -*e << T{1}.f // end\n"));
    let exprs = sources(&file, |node| matches!(node, Node::Expr(_)));
    assert_eq!(
        exprs,
        [
            "x",
            "y",
            "(a.b[1](c, d...))",
            "a.b[1](c, d...)",
            "a.b[1]",
            "a.b",
            "a",
            "1",
            "c",
            "d",
            "-*e << T{1}.f",
            "-*e",
            "*e",
            "e",
            "T{1}.f",
            "T{1}",
            "T",
            "1"
        ]
    );
    let stmts = sources(&file, |node| matches!(node, Node::Stmt(_)));
    assert_eq!(stmts, ["x, y := (a.b[1](c, d...)), -*e << T{1}.f"]);
}

#[test]
fn an_arrow_before_a_channel_type_is_part_of_it() {
    let file = file("package p; var _ = (<-chan<- chan int)(nil)");
    assert_eq!(
        sources(&file, |node| matches!(node, Node::Expr(id) if matches!(file.expr(id), Expr::ChanType { .. }))),
        ["<-chan<- chan int", "<- chan int"]
    );
}

#[test]
fn line_ends_are_semicolons_where_a_statement_can_end() {
    let count = |body: &str| {
        let file = file(&in_func(body));
        sources(&file, |node| matches!(node, Node::Stmt(id) if !matches!(file.stmt(id), Stmt::Empty))).len()
    };
    for (body, statements) in [
        ("f()\ng()", 2),
        ("f(\n)", 1),
        ("a +\nb", 1),
        ("x++\ny--", 2),
        ("f() // one\ng()", 2),
        ("f() /* one\n*/ g()", 2),
        ("f() /* one */ ; g()", 2),
        ("x.\ny()", 1),
        ("return\nx()", 2),
        ("return x(),\ny()", 1),
    ] {
        assert_eq!(count(body), statements, "{body:?}");
    }
    assert!(!read(&in_func("x\n.y()")).errors.is_empty());
}

#[test]
fn comments_are_kept_in_order_with_their_markers() {
    let file = file("//go:build linux\r\n\npackage p /* a\nb */ // c\nvar x = 1 // d");
    let comments: Vec<_> = file.comments().iter().map(|comment| file.text(comment.span)).collect();
    assert_eq!(comments, ["//go:build linux", "/* a\nb */", "// c", "// d"]);
}

#[test]
fn places_are_counted_in_lines_and_bytes_from_one() {
    let file = file("package p\n\nvar é, x int\n");
    let place = |pos| {
        let place = file.line_col(pos);
        (place.line, place.column)
    };
    assert_eq!(place(0), (1, 1));
    assert_eq!(place(9), (1, 10));
    assert_eq!(place(10), (2, 1));
    assert_eq!(place(file.text(file.line_span(1).unwrap()).len() as u32 + 2 + "var é, ".len() as u32), (3, 9));
    assert_eq!(file.line_count(), 3, "the last line end begins none");
    assert_eq!(file.text(file.line_span(3).unwrap()), "var é, x int");
    assert_eq!(file.line_span(4), None);
}

#[test]
fn what_is_around_an_error_is_kept() {
    let names = |src: &str| {
        let parsed = read(src);
        assert!(!parsed.errors.is_empty(), "{src}");
        let file = parsed.file;
        let mut names = Vec::new();
        for decl in file.list(file.top_decls()) {
            match file.decl(decl) {
                Decl::Func(func) => names.push(file.ident_text(func.name).to_owned()),
                Decl::Gen { specs, .. } => {
                    for spec in file.list(specs) {
                        if let Spec::Type { name, .. } = file.spec(spec) {
                            names.push(file.ident_text(name).to_owned());
                        }
                    }
                }
                Decl::Bad => {}
            }
        }
        names.join(" ")
    };
    for body in [
        "x y z",
        "if {",
        "f(",
        "x := T{",
        "}",
        "}}}",
        "switch x {",
        "case 1:",
        "a b {\nc\n}",
        "return 1 2",
        "\"",
        "go",
        "x.",
    ] {
        let src = format!("package p\nfunc a() {{\n\t{body}\n}}\n\nfunc b() {{}}\ntype c int\n");
        assert_eq!(names(&src), "a b c", "{body}");
    }
    for decl in ["type x struct { a b c }", "type x interface { 1 }", "type x [", "type x func("] {
        let src = format!("package p\nfunc a() {{}}\n{decl}\nfunc b() {{}}\n");
        assert_eq!(names(&src), "a x b", "{decl}");
    }
    for decl in ["var = 1", "func", "func (", "x := 1", "import", "const ("] {
        let src = format!("package p\nfunc a() {{}}\n{decl}\n\nfunc b() {{}}\n");
        assert!(names(&src).contains('b'), "{decl}");
    }
}

#[test]
fn a_header_has_the_imports_and_the_comments_before_them() {
    let src = "// +build x\n\n/* doc */ package p // name\nimport \"a\"\n// #include <x.h>\nimport \"C\"\nimport (\n\tb `c`\n\t. \"d\"\n)\nfunc f( { broken\n";
    let header = parse_header(Arc::from(src.as_bytes()));
    assert_eq!(header.errors, []);
    let text = |span: residue_syntax::ast::Span| &src[span.start as usize..span.end as usize];
    assert_eq!(header.package.map(text), Some("p"));
    assert_eq!(text(residue_syntax::ast::Span::new(header.package_pos, header.package_pos + 7)), "package");
    let imports: Vec<_> = header.imports.iter().map(|import| (import.name.map(text), text(import.path))).collect();
    assert_eq!(imports, [(None, "\"a\""), (None, "\"C\""), (Some("b"), "`c`"), (Some("."), "\"d\"")]);
    let comments: Vec<_> = header.comments.iter().map(|comment| text(comment.span)).collect();
    assert_eq!(comments, ["// +build x", "/* doc */", "// name", "// #include <x.h>"]);
}

#[test]
fn broken_imports_are_left_out_of_the_header() {
    let header = parse_header(Arc::from(&b"package p; import 1; import \"ok\""[..]));
    assert_eq!((header.imports.len(), header.errors.len()), (1, 1));
    let header = parse_header(Arc::from(&b"packag p"[..]));
    assert_eq!((header.package, header.imports.len(), header.errors.len()), (None, 0, 1));
}

/// What a file declares, bodies of functions left out.
fn outline(file: &File) -> Vec<String> {
    let mut lines = Vec::new();
    for decl in file.list(file.top_decls()) {
        let body = match file.decl(decl) {
            Decl::Func(func) => func.body.map(Node::Block),
            _ => None,
        };
        file.walk_from(Node::Decl(decl), |node| {
            if Some(node) == body {
                return false;
            }
            let span = file.node_span(node);
            // Ids differ between the two, but not kinds and places.
            let kind = format!("{node:?}");
            lines.push(format!("{} {span:?}", kind.split('(').next().unwrap_or_default()));
            true
        });
    }
    lines
}

fn assert_outline_is_the_same(src: &[u8], what: &str) {
    let keep = parse(Arc::from(src), Bodies::Keep);
    let skip = parse(Arc::from(src), Bodies::Skip);
    assert!(keep.errors.is_empty() && skip.errors.is_empty(), "{what}: {:?} {:?}", keep.errors, skip.errors);
    assert!(outline(&keep.file) == outline(&skip.file), "{what}");
}

#[test]
fn declarations_are_the_same_with_bodies_skipped() {
    for body in [
        "",
        "x := `}`",
        "x := \"}\"",
        "x := \"\\\"}\"",
        "x := '}'",
        "x := '\\''; y := '{'",
        "// }",
        "/* } */",
        "/* \n } */",
        "{{}}",
        "x := T{}",
        "'\"'; \"'\"; `\\`",
        "/**/",
        "x / y /* / */ // /* ",
        "switch { case '{': }",
        "\"//\"; \"/*\"",
        "`\n//`",
    ] {
        let src = format!(
            "package p\nfunc f() {{ {body}\n}}\nvar g = func() {{ {body}\n}}\nfunc h() {{}}\ntype T struct {{}}\n"
        );
        let body_is_go = read(&src).errors.is_empty();
        assert!(!parse(Arc::from(src.as_bytes()), Bodies::Skip).file.top_decls().is_empty());
        if body_is_go {
            assert_outline_is_the_same(src.as_bytes(), body);
        } else {
            let names =
                sources(&parse(Arc::from(src.as_bytes()), Bodies::Skip).file, |node| matches!(node, Node::Ident(_)));
            assert!(names.iter().any(|name| name == "T"), "{body}");
        }
    }
    for seed in ["declarations", "statements", "expressions"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/seeds/{seed}.go.txt"));
        assert_outline_is_the_same(&std::fs::read(path).unwrap(), seed);
    }
}

#[test]
fn declarations_of_the_go_tree_are_the_same_with_bodies_skipped() {
    // Where there is one.
    let root = std::env::var_os("GOROOT").unwrap_or_else(|| "/usr/local/go".into());
    for dir in ["src/fmt", "src/net/http", "src/go/parser", "src/text/template", "src/strconv"] {
        let Ok(entries) = Path::new(&root).join(dir).read_dir() else { continue };
        for path in
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|ext| ext == "go"))
        {
            assert_outline_is_the_same(&std::fs::read(&path).unwrap(), &path.display().to_string());
        }
    }
}

//! A file as other packages see it: its tokens, without comments and without the bodies of functions.

use crate::ast::{Decl, File};
use crate::lexer::Lexer;
use crate::token::Tok;

/// Stands for a function's body.
const BODY: &[u8] = b"{}";

/// Gives the tokens of a file without errors, in order. Of a function's body it gives `{}` only, whether the tree has it
/// or not; bodies of function literals in declarations of variables are given. A line end that ends a statement is given as `;`.
pub fn outline(file: &File, mut token: impl FnMut(&[u8])) {
    let src = &**file.src();
    let mut from = 0;
    for decl in file.list(file.top_decls()) {
        let Decl::Func(func) = file.decl(decl) else { continue };
        let body = (file.func_type(func.ty).span.end as usize, file.decl_span(decl).end as usize);
        if body.0 < body.1 {
            tokens(src.get(from..body.0).unwrap_or_default(), &mut token);
            token(BODY);
            from = body.1;
        }
    }
    tokens(src.get(from..).unwrap_or_default(), &mut token);
}

fn tokens(src: &[u8], token: &mut impl FnMut(&[u8])) {
    let mut lexer = Lexer::new(src);
    loop {
        lexer.next();
        match lexer.tok {
            Tok::Eof => return,
            // The end of what is read ends a statement too.
            Tok::Semi if lexer.start as usize >= src.len() => {}
            Tok::Semi => token(b";"),
            _ => token(src.get(lexer.start as usize..lexer.end as usize).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Bodies, outline, parse};

    fn of(src: &str, bodies: Bodies<'_>) -> String {
        let parsed = parse(src.as_bytes().into(), bodies);
        assert_eq!(parsed.errors, [], "{src}");
        let mut text = String::new();
        outline(&parsed.file, |token| text.extend([&String::from_utf8_lossy(token), " "]));
        text
    }

    #[test]
    fn bodies_and_comments_are_left_out() {
        let src = "// Package p.\npackage p\n\nimport \"os\"\n\n/* f */ func (t *T) f(x struct{ a int }) (y interface{ m() }) {\n\
                   \treturn func() { os.Exit(1) }\n}\n\nvar v = func() string { return `a  // b` } // v\n\nfunc ext(int) bool\nfunc last() {}\n";
        let want = "package p ; import \"os\" ; func ( t * T ) f ( x struct { a int } ) ( y interface { m ( ) ; } ) {} \
                    var v = func ( ) string { return `a  // b` ; } ; func ext ( int ) bool ; func last ( ) {} ";
        let want = want.replace("m ( ) ; }", "m ( ) }").replace("b` ; }", "b` }");
        assert_eq!(of(src, Bodies::Keep), want);
        assert_eq!(of(src, Bodies::Skip), want);
    }

    #[test]
    fn what_is_written_differently_and_means_the_same_is_the_same() {
        let one = of("package p\n\nfunc f() { a() }\n\n\n// c\nvar x int\n", Bodies::Keep);
        assert_eq!(one, of("package p\nfunc  f ( ) {\n\tb() // c\n}\nvar x int\n", Bodies::Keep));
        assert_ne!(one, of("package p\nfunc f()\nvar x int\n", Bodies::Keep));
        assert_ne!(of("package p\nvar x = `a  b`\n", Bodies::Keep), of("package p\nvar x = `a b`\n", Bodies::Keep));
    }
}

//! A file of a package as text and tree: places, and the declarations around them.

use residue_finding::{Position, Site};
use residue_project::{Package, SourceFile};
use residue_syntax::ast::{Decl, DeclId, Expr, ExprId, File, Span, Spec};

/// A file of a package, without types.
#[derive(Clone, Copy)]
pub(crate) struct SourceCx<'a> {
    pub(crate) package: &'a Package,
    pub(crate) index: usize,
}

impl<'a> SourceCx<'a> {
    pub(crate) fn source(self) -> &'a SourceFile {
        &self.package.files[self.index]
    }

    pub(crate) fn tree(self) -> &'a File {
        &self.source().file
    }

    /// Where a span stands, as findings say it.
    pub(crate) fn site(self, span: Span) -> Site {
        let tree = self.tree();
        let position = |offset: u32| {
            let at = tree.line_col(offset);
            Position { line: at.line, column: at.column }
        };
        Site {
            path: self.source().path.to_string(),
            span: residue_finding::Span { start: span.start, end: span.end },
            start: position(span.start),
            end: position(span.end),
            import_path: self.package.import_path.to_string(),
            declaration: self.declaration(span),
        }
    }

    /// The name of the top-level declaration around a span.
    pub(crate) fn declaration(self, span: Span) -> String {
        let tree = self.tree();
        let around = tree.list(tree.top_decls()).find(|&decl| tree.decl_span(decl).contains(span));
        around.map_or_else(String::new, |decl| self.declaration_name(decl, span))
    }

    fn declaration_name(self, decl: DeclId, span: Span) -> String {
        let tree = self.tree();
        match tree.decl(decl) {
            Decl::Bad => String::new(),
            Decl::Func(func) => {
                let name = tree.ident_text(func.name);
                let recv = tree.list_get(func.recv, 0).map(|field| tree.field(field).ty);
                match recv.map(|ty| receiver(tree, ty)) {
                    Some((true, recv)) => format!("(*{recv}).{name}"),
                    Some((false, recv)) => format!("{recv}.{name}"),
                    None => name.to_owned(),
                }
            }
            Decl::Gen { specs, .. } => {
                let spec = tree.list(specs).find(|&spec| tree.spec_span(spec).contains(span));
                let name = spec.and_then(|spec| match tree.spec(spec) {
                    Spec::Value { names, .. } => tree.list_get(names, 0),
                    Spec::Type { name, .. } => Some(name),
                    Spec::Import { .. } => None,
                });
                name.map_or_else(String::new, |name| tree.ident_text(name).to_owned())
            }
        }
    }
}

fn receiver(tree: &File, ty: ExprId) -> (bool, &str) {
    let (mut ty, mut pointer) = (ty, false);
    loop {
        ty = match tree.expr(ty) {
            Expr::Star(x) => {
                pointer = true;
                x
            }
            Expr::Paren(x) | Expr::Index { x, .. } => x,
            Expr::Ident(name) => return (pointer, tree.ident_text(name)),
            _ => return (pointer, "?"),
        }
    }
}

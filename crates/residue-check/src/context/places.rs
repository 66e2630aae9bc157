//! Where things stand, for people and for other lenses.

use residue_finding::{AcquireSite, Site};
use residue_flow::ir;
use residue_syntax::ast::{Expr, ExprId, Span, Stmt, StmtId};

use super::FileCx;
use crate::source::SourceCx;

impl<'a> FileCx<'a> {
    /// A place for people: `parse.go:12`.
    pub(crate) fn place(self, at: ir::At) -> String {
        let path = &self.source().path;
        let line = self.tree().line_col(self.span_of(at).start).line;
        format!("{}:{line}", path.rsplit('/').next().unwrap_or(path))
    }

    /// Where an instruction stands.
    pub(crate) fn span_of(self, at: ir::At) -> Span {
        let tree = self.tree();
        match at {
            ir::At::Expr(expr) => tree.expr_span(expr),
            ir::At::Stmt(stmt) => tree.stmt_span(stmt),
            ir::At::Clause(clause) => tree.clause(clause).span,
            ir::At::Pos(pos) => Span::new(pos, pos + 1),
        }
    }

    /// What a call calls, as written: `os.Open`.
    pub(crate) fn called_text(self, call: ExprId) -> String {
        match self.tree().expr(call) {
            Expr::Call { fun, .. } => residue_finding::normalise_expression(&self.text(fun)),
            _ => String::new(),
        }
    }

    /// The file as text and tree, without types.
    pub(crate) fn text_of(self) -> SourceCx<'a> {
        SourceCx { package: self.pkg.package, index: self.index }
    }

    /// Where a span stands, as findings say it.
    pub(crate) fn site(self, span: Span) -> Site {
        self.text_of().site(span)
    }

    pub(crate) fn site_of(self, expr: ExprId) -> Site {
        self.site(self.tree().expr_span(expr))
    }

    /// The key by which other lenses know a call.
    pub(crate) fn acquire_site(self, call: ExprId) -> AcquireSite {
        let tree = self.tree();
        let mut fun = match tree.expr(call) {
            Expr::Call { fun, .. } => fun,
            _ => call,
        };
        while let Expr::Index { x, .. } | Expr::Paren(x) = tree.expr(fun) {
            fun = x;
        }
        // The compiler gives a call in a method chain the line of its selector.
        let pos = match tree.expr(fun) {
            Expr::Selector { sel, .. } => tree.ident(sel).pos,
            _ => tree.expr_span(fun).start,
        };
        let path = &self.source().path;
        AcquireSite {
            import_path: self.pkg.package.import_path.to_string(),
            file: path.rsplit('/').next().unwrap_or(path).to_owned(),
            line: tree.line_col(pos).line,
            declaration: self.text_of().declaration(tree.expr_span(call)),
        }
    }

    /// The first line of a loop, without its body.
    pub(crate) fn loop_head(self, stmt: StmtId) -> Span {
        let tree = self.tree();
        let span = tree.stmt_span(stmt);
        let body = match tree.stmt(stmt) {
            Stmt::For { body, .. } | Stmt::Range { body, .. } => tree.block(body).span.start,
            _ => span.end,
        };
        let text = tree.text(Span::new(span.start, body));
        Span::new(span.start, span.start + text.trim_end().len() as u32)
    }
}

//! Walking a tree: every node once, parents first, in source order, without recursion.

use crate::ast::{
    BlockId, ClauseId, ClauseKind, Decl, DeclId, Expr, ExprId, FieldId, File, FuncTypeId, Id, IdentId, List, Span,
    Spec, SpecId, Stmt, StmtId,
};

/// A node of any kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Node {
    /// A declaration.
    Decl(DeclId),
    /// A specification of a declaration.
    Spec(SpecId),
    /// A statement. [`Stmt::Block`] stands for its block, too.
    Stmt(StmtId),
    /// A block that is part of a statement, function literal or declaration.
    Block(BlockId),
    /// A case of a switch or select.
    Clause(ClauseId),
    /// An expression. [`Expr::Ident`] stands for its identifier, and [`Expr::FuncType`] for its type, too.
    Expr(ExprId),
    /// The type of a function literal or declaration.
    FuncType(FuncTypeId),
    /// A parameter, result, receiver, type parameter, struct field or interface element.
    Field(FieldId),
    /// An identifier that is not an expression: a declared name, a selected one, or a label.
    Ident(IdentId),
}

impl File {
    /// Calls `visit` for every node of the file.
    pub fn walk(&self, visit: impl FnMut(Node) -> bool) {
        let mut nodes = Vec::new();
        push(self, &mut nodes, self.top_decls(), Node::Decl);
        self.walk_stack(nodes, visit);
    }

    /// Calls `visit` for `root` and every node in it. Where it returns false, the node's children are left out.
    pub fn walk_from(&self, root: Node, visit: impl FnMut(Node) -> bool) {
        self.walk_stack(vec![root], visit);
    }

    fn walk_stack(&self, mut nodes: Vec<Node>, mut visit: impl FnMut(Node) -> bool) {
        nodes.reverse();
        while let Some(node) = nodes.pop() {
            if visit(node) {
                let first = nodes.len();
                self.push_children(node, &mut nodes);
                nodes[first..].reverse();
            }
        }
    }

    /// The span of a node.
    pub fn node_span(&self, node: Node) -> Span {
        match node {
            Node::Decl(id) => self.decl_span(id),
            Node::Spec(id) => self.spec_span(id),
            Node::Stmt(id) => self.stmt_span(id),
            Node::Block(id) => self.block(id).span,
            Node::Clause(id) => self.clause(id).span,
            Node::Expr(id) => self.expr_span(id),
            Node::FuncType(id) => self.func_type(id).span,
            Node::Field(id) => self.field_span(id),
            Node::Ident(id) => self.ident_span(id),
        }
    }

    /// The span of a field: names, type and tag.
    pub fn field_span(&self, id: FieldId) -> Span {
        let field = self.field(id);
        let ty = self.expr_span(field.ty);
        Span {
            start: self.list_get(field.names, 0).map_or(ty.start, |name| self.ident_span(name).start),
            end: field.tag.map_or(ty.end, |tag| self.expr_span(tag).end),
        }
    }

    /// Appends the children of a node to `nodes`, in source order.
    pub fn push_children(&self, node: Node, nodes: &mut Vec<Node>) {
        match node {
            Node::Decl(id) => match self.decl(id) {
                Decl::Bad => {}
                Decl::Gen { specs, .. } => push(self, nodes, specs, Node::Spec),
                Decl::Func(func) => {
                    push(self, nodes, func.recv, Node::Field);
                    nodes.push(Node::Ident(func.name));
                    nodes.push(Node::FuncType(func.ty));
                    nodes.extend(func.body.map(Node::Block));
                }
            },
            Node::Spec(id) => match self.spec(id) {
                Spec::Import { name, path } => {
                    nodes.extend(name.map(Node::Ident));
                    nodes.push(Node::Expr(path));
                }
                Spec::Value { names, ty, values, .. } => {
                    push(self, nodes, names, Node::Ident);
                    nodes.extend(ty.map(Node::Expr));
                    push(self, nodes, values, Node::Expr);
                }
                Spec::Type { name, type_params, ty, .. } => {
                    nodes.push(Node::Ident(name));
                    push(self, nodes, type_params, Node::Field);
                    nodes.push(Node::Expr(ty));
                }
            },
            Node::Stmt(id) => self.push_stmt_children(self.stmt(id), nodes),
            Node::Block(id) => push(self, nodes, self.block(id).stmts, Node::Stmt),
            Node::Clause(id) => {
                let clause = self.clause(id);
                match clause.kind {
                    ClauseKind::Default => {}
                    ClauseKind::Case(exprs) => push(self, nodes, exprs, Node::Expr),
                    ClauseKind::Comm(stmt) => nodes.push(Node::Stmt(stmt)),
                }
                push(self, nodes, clause.body, Node::Stmt);
            }
            Node::Expr(id) => self.push_expr_children(self.expr(id), nodes),
            Node::FuncType(id) => self.push_func_type_children(id, nodes),
            Node::Field(id) => {
                let field = self.field(id);
                push(self, nodes, field.names, Node::Ident);
                nodes.push(Node::Expr(field.ty));
                nodes.extend(field.tag.map(Node::Expr));
            }
            Node::Ident(_) => {}
        }
    }

    fn push_func_type_children(&self, id: FuncTypeId, nodes: &mut Vec<Node>) {
        let ty = self.func_type(id);
        for fields in [ty.type_params, ty.params, ty.results] {
            push(self, nodes, fields, Node::Field);
        }
    }

    fn push_expr_children(&self, expr: Expr, nodes: &mut Vec<Node>) {
        match expr {
            Expr::Bad | Expr::Ident(_) | Expr::BasicLit(_) | Expr::Ellipsis(None) => {}
            Expr::CompositeLit { ty, elts, .. } => {
                nodes.extend(ty.map(Node::Expr));
                push(self, nodes, elts, Node::Expr);
            }
            Expr::FuncLit { ty, body } => nodes.extend([Node::FuncType(ty), Node::Block(body)]),
            Expr::Paren(x) | Expr::Star(x) | Expr::Unary { x, .. } | Expr::Ellipsis(Some(x)) => {
                nodes.push(Node::Expr(x));
            }
            Expr::Selector { x, sel } => nodes.extend([Node::Expr(x), Node::Ident(sel)]),
            Expr::Index { x, indices } => {
                nodes.push(Node::Expr(x));
                push(self, nodes, indices, Node::Expr);
            }
            Expr::Slice { x, lo, hi, max } => {
                nodes.push(Node::Expr(x));
                nodes.extend([lo, hi, max].into_iter().flatten().map(Node::Expr));
            }
            Expr::TypeAssert { x, ty } => {
                nodes.push(Node::Expr(x));
                nodes.extend(ty.map(Node::Expr));
            }
            Expr::Call { fun, args, .. } => {
                nodes.push(Node::Expr(fun));
                push(self, nodes, args, Node::Expr);
            }
            Expr::Binary { x, y, .. } => nodes.extend([Node::Expr(x), Node::Expr(y)]),
            Expr::KeyValue { key, value } | Expr::MapType { key, value } => {
                nodes.extend([Node::Expr(key), Node::Expr(value)]);
            }
            Expr::ArrayType { len, elem } => {
                nodes.extend(len.map(Node::Expr));
                nodes.push(Node::Expr(elem));
            }
            Expr::StructType { fields } => push(self, nodes, fields, Node::Field),
            Expr::FuncType(ty) => self.push_func_type_children(ty, nodes),
            Expr::InterfaceType { elems } => push(self, nodes, elems, Node::Field),
            Expr::ChanType { elem, .. } => nodes.push(Node::Expr(elem)),
        }
    }

    fn push_stmt_children(&self, stmt: Stmt, nodes: &mut Vec<Node>) {
        match stmt {
            Stmt::Bad | Stmt::Empty => {}
            Stmt::Decl(decl) => nodes.push(Node::Decl(decl)),
            Stmt::Labeled { label, stmt } => nodes.extend([Node::Ident(label), Node::Stmt(stmt)]),
            Stmt::Expr(x) | Stmt::IncDec { x, .. } | Stmt::Go(x) | Stmt::Defer(x) => nodes.push(Node::Expr(x)),
            Stmt::Send { ch, value } => nodes.extend([Node::Expr(ch), Node::Expr(value)]),
            Stmt::Assign { lhs, rhs, .. } => {
                push(self, nodes, lhs, Node::Expr);
                push(self, nodes, rhs, Node::Expr);
            }
            Stmt::Return(results) => push(self, nodes, results, Node::Expr),
            Stmt::Branch { label, .. } => nodes.extend(label.map(Node::Ident)),
            Stmt::Block(block) => push(self, nodes, self.block(block).stmts, Node::Stmt),
            Stmt::If { init, cond, then, els } => {
                nodes.extend(init.map(Node::Stmt));
                nodes.extend([Node::Expr(cond), Node::Block(then)]);
                nodes.extend(els.map(Node::Stmt));
            }
            Stmt::Switch { init, tag, clauses, .. } => {
                nodes.extend(init.map(Node::Stmt));
                nodes.extend(tag.map(Node::Expr));
                push(self, nodes, clauses, Node::Clause);
            }
            Stmt::TypeSwitch { init, guard, clauses, .. } => {
                nodes.extend(init.map(Node::Stmt));
                nodes.push(Node::Stmt(guard));
                push(self, nodes, clauses, Node::Clause);
            }
            Stmt::Select { clauses, .. } => push(self, nodes, clauses, Node::Clause),
            Stmt::For { init, cond, post, body } => {
                nodes.extend(init.map(Node::Stmt));
                nodes.extend(cond.map(Node::Expr));
                nodes.extend(post.map(Node::Stmt));
                nodes.push(Node::Block(body));
            }
            Stmt::Range { key, value, x, body, .. } => {
                nodes.extend([key, value, Some(x)].into_iter().flatten().map(Node::Expr));
                nodes.push(Node::Block(body));
            }
        }
    }
}

fn push<T: Id>(file: &File, nodes: &mut Vec<Node>, list: List<T>, node: fn(T) -> Node) {
    nodes.extend(file.list(list).map(node));
}

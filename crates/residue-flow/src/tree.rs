//! What stands around an expression or statement, and the function bodies of a file.

use residue_syntax::ast::{
    BlockId, ClauseKind, Decl, DeclId, Expr, ExprId, FieldId, File, FuncTypeId, List, Spec, SpecId, Stmt, StmtId,
};

use crate::walk;

/// What directly contains a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Parent {
    /// An expression; for a statement, the function literal whose body it is directly in.
    Expr(ExprId),
    /// A statement; for the statements of a case, its switch or select.
    Stmt(StmtId),
    /// A constant or variable specification.
    Spec(SpecId),
    /// A function declaration.
    Decl(DeclId),
}

/// The parents of all expressions and statements of a file.
///
/// Types inside signatures, struct types and interface types have no parent here; nothing is evaluated there.
#[derive(Clone, Debug)]
pub struct Parents {
    exprs: Vec<Option<Parent>>,
    stmts: Vec<Option<Parent>>,
    specs: Vec<Option<StmtId>>,
}

impl Parents {
    /// Finds the parents in one pass over the file's tables.
    pub fn new(file: &File) -> Self {
        let mut this =
            Self { exprs: vec![None; file.expr_count()], stmts: vec![None; file.stmt_count()], specs: Vec::new() };
        for decl in file.list(file.top_decls()) {
            match file.decl(decl) {
                Decl::Bad => {}
                Decl::Gen { specs, .. } => this.specs(file, specs, None),
                Decl::Func(func) => {
                    if let Some(body) = func.body {
                        this.body(file, body, Parent::Decl(decl));
                    }
                }
            }
        }
        for i in 0..file.expr_count() {
            let expr = ExprId::new(i);
            if let Expr::FuncLit { body, .. } = file.expr(expr) {
                this.body(file, body, Parent::Expr(expr));
            }
            for child in walk::children(file, expr) {
                this.exprs[child.index()] = Some(Parent::Expr(expr));
            }
        }
        // A header that the parser first read as a statement of its own stands before the statement it belongs to in
        // the table; the later parent is the right one.
        for i in 0..file.stmt_count() {
            this.stmt(file, StmtId::new(i));
        }
        this
    }

    /// What contains an expression.
    pub fn of_expr(&self, expr: ExprId) -> Option<Parent> {
        self.exprs[expr.index()]
    }

    /// What contains a statement.
    pub fn of_stmt(&self, stmt: StmtId) -> Option<Parent> {
        self.stmts[stmt.index()]
    }

    /// The statement that a specification inside a function is part of.
    pub fn of_spec(&self, spec: SpecId) -> Option<StmtId> {
        self.specs.get(spec.index()).copied().flatten()
    }

    /// The first thing around an expression that is not a pair of parentheses, and the outermost of these.
    pub fn through_parens(&self, file: &File, expr: ExprId) -> (ExprId, Option<Parent>) {
        let mut expr = expr;
        loop {
            match self.of_expr(expr) {
                Some(Parent::Expr(up)) if matches!(file.expr(up), Expr::Paren(_)) => expr = up,
                parent => return (expr, parent),
            }
        }
    }

    /// The statement that an expression is directly part of; none in a declaration at the top of the file.
    pub fn statement(&self, expr: ExprId) -> Option<StmtId> {
        let mut at = self.of_expr(expr)?;
        loop {
            at = match at {
                Parent::Expr(up) => self.of_expr(up)?,
                Parent::Stmt(stmt) => return Some(stmt),
                Parent::Spec(spec) => return self.of_spec(spec),
                Parent::Decl(_) => return None,
            }
        }
    }

    /// The function literal or declaration whose body an expression or statement is in.
    pub fn function(&self, file: &File, of: Parent) -> Option<Parent> {
        let mut at = of;
        loop {
            at = match at {
                Parent::Expr(expr) => {
                    let up = self.of_expr(expr)?;
                    match up {
                        Parent::Expr(lit) if matches!(file.expr(lit), Expr::FuncLit { .. }) => return Some(up),
                        _ => up,
                    }
                }
                Parent::Stmt(stmt) => {
                    let up = self.of_stmt(stmt)?;
                    match up {
                        // Only the body of a function literal makes an expression a statement's parent.
                        Parent::Expr(_) | Parent::Decl(_) => return Some(up),
                        _ => up,
                    }
                }
                Parent::Spec(spec) => Parent::Stmt(self.of_spec(spec)?),
                Parent::Decl(_) => return None,
            }
        }
    }

    fn body(&mut self, file: &File, body: BlockId, parent: Parent) {
        self.children(file, file.block(body).stmts, parent);
    }

    fn children(&mut self, file: &File, list: List<StmtId>, parent: Parent) {
        for stmt in file.list(list) {
            self.stmts[stmt.index()] = Some(parent);
        }
    }

    fn exprs(&mut self, list: impl IntoIterator<Item = ExprId>, parent: Parent) {
        for expr in list {
            self.exprs[expr.index()] = Some(parent);
        }
    }

    fn specs(&mut self, file: &File, specs: List<SpecId>, stmt: Option<StmtId>) {
        for spec in file.list(specs) {
            if self.specs.len() <= spec.index() {
                self.specs.resize(spec.index() + 1, None);
            }
            self.specs[spec.index()] = stmt;
            if let Spec::Value { ty, values, .. } = file.spec(spec) {
                self.exprs(ty, Parent::Spec(spec));
                self.exprs(file.list(values), Parent::Spec(spec));
            }
        }
    }

    fn stmt(&mut self, file: &File, id: StmtId) {
        let parent = Parent::Stmt(id);
        match file.stmt(id) {
            Stmt::Bad | Stmt::Empty | Stmt::Branch { .. } => {}
            Stmt::Decl(decl) => {
                if let Decl::Gen { specs, .. } = file.decl(decl) {
                    self.specs(file, specs, Some(id));
                }
            }
            Stmt::Labeled { stmt, .. } => self.stmts[stmt.index()] = Some(parent),
            Stmt::Expr(x) | Stmt::IncDec { x, .. } | Stmt::Go(x) | Stmt::Defer(x) => self.exprs([x], parent),
            Stmt::Send { ch, value } => self.exprs([ch, value], parent),
            Stmt::Assign { lhs, rhs, .. } => {
                self.exprs(file.list(lhs), parent);
                self.exprs(file.list(rhs), parent);
            }
            Stmt::Return(results) => self.exprs(file.list(results), parent),
            Stmt::Block(body) => self.body(file, body, parent),
            Stmt::If { init, cond, then, els } => {
                self.stmt_parts([init, els], parent);
                self.exprs([cond], parent);
                self.body(file, then, parent);
            }
            Stmt::Switch { init, tag, clauses, .. } => {
                self.stmt_parts([init, None], parent);
                self.exprs(tag, parent);
                self.clauses(file, clauses, parent);
            }
            Stmt::TypeSwitch { init, guard, clauses, .. } => {
                self.stmt_parts([init, Some(guard)], parent);
                self.clauses(file, clauses, parent);
            }
            Stmt::Select { clauses, .. } => self.clauses(file, clauses, parent),
            Stmt::For { init, cond, post, body } => {
                self.stmt_parts([init, post], parent);
                self.exprs(cond, parent);
                self.body(file, body, parent);
            }
            Stmt::Range { key, value, x, body, .. } => {
                self.exprs([key, value, Some(x)].into_iter().flatten(), parent);
                self.body(file, body, parent);
            }
        }
    }

    fn stmt_parts(&mut self, parts: [Option<StmtId>; 2], parent: Parent) {
        for stmt in parts.into_iter().flatten() {
            self.stmts[stmt.index()] = Some(parent);
        }
    }

    fn clauses(&mut self, file: &File, clauses: List<residue_syntax::ast::ClauseId>, parent: Parent) {
        for clause in file.list(clauses) {
            let data = file.clause(clause);
            match data.kind {
                ClauseKind::Default => {}
                ClauseKind::Case(values) => self.exprs(file.list(values), parent),
                ClauseKind::Comm(comm) => self.stmts[comm.index()] = Some(parent),
            }
            self.children(file, data.body, parent);
        }
    }
}

/// What a function body belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FunctionKind {
    /// A function or method declaration.
    Decl(DeclId),
    /// A function literal.
    Lit(ExprId),
}

/// A function with a body.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// What it is.
    pub kind: FunctionKind,
    /// Its parameters and results.
    pub ty: FuncTypeId,
    /// Its receiver's field.
    pub recv: Option<FieldId>,
    /// Its body.
    pub body: BlockId,
}

impl Function {
    /// The declaration or literal.
    pub fn key(&self) -> Parent {
        match self.kind {
            FunctionKind::Decl(decl) => Parent::Decl(decl),
            FunctionKind::Lit(lit) => Parent::Expr(lit),
        }
    }
}

/// All functions of a file that have a body: declarations first, then literals, each in the order of their table.
pub fn functions(file: &File) -> Vec<Function> {
    let mut out = Vec::new();
    for decl in file.list(file.top_decls()) {
        if let Decl::Func(func) = file.decl(decl)
            && let Some(body) = func.body
        {
            let recv = file.list_get(func.recv, 0);
            out.push(Function { kind: FunctionKind::Decl(decl), ty: func.ty, recv, body });
        }
    }
    for i in 0..file.expr_count() {
        let expr = ExprId::new(i);
        if let Expr::FuncLit { ty, body } = file.expr(expr) {
            out.push(Function { kind: FunctionKind::Lit(expr), ty, recv: None, body });
        }
    }
    out
}

/// The names of the functions that [`functions`] lists, in its order, as a running program has them without its package:
/// `F`, `T.M`, `(*T).M`; `F.func1` for the first literal in `F`, `F.func1.2` for the second in that; `init.func1` for one
/// in the declaration of a variable of the package. Functions called `init` are `init.0`, `init.1`, ….
pub fn names(file: &File) -> Vec<(String, Function)> {
    let functions = functions(file);
    let mut inits = 0;
    let mut names: Vec<String> = (functions.iter())
        .map(|function| match function.kind {
            FunctionKind::Decl(decl) => declared_name(file, decl, &mut inits),
            FunctionKind::Lit(_) => String::new(),
        })
        .collect();
    // From outer to inner ones, as they stand in the file.
    let mut order: Vec<usize> = (0..functions.len()).collect();
    order.sort_by_key(|&i| file.block(functions[i].body).span.start);
    // Those around the next one: where each ends, which it is, and how many literals it has so far.
    let mut around: Vec<(u32, usize, u32)> = Vec::new();
    let mut of_variables = 0;
    for i in order {
        let span = file.block(functions[i].body).span;
        while around.last().is_some_and(|&(end, ..)| end < span.end) {
            around.pop();
        }
        if let FunctionKind::Lit(_) = functions[i].kind {
            names[i] = match around.last_mut() {
                Some((_, outer, count)) => {
                    *count += 1;
                    let func = if matches!(functions[*outer].kind, FunctionKind::Lit(_)) { "" } else { "func" };
                    format!("{}.{func}{count}", names[*outer])
                }
                None => {
                    of_variables += 1;
                    format!("init.func{of_variables}")
                }
            };
        }
        around.push((span.end, i, 0));
    }
    names.into_iter().zip(functions).collect()
}

fn declared_name(file: &File, decl: DeclId, inits: &mut u32) -> String {
    let Decl::Func(func) = file.decl(decl) else { return String::new() };
    let name = file.ident_text(func.name);
    let Some(recv) = file.list_get(func.recv, 0) else {
        if name == "init" {
            *inits += 1;
            return format!("init.{}", *inits - 1);
        }
        return name.to_owned();
    };
    let (mut ty, mut pointer) = (file.field(recv).ty, false);
    loop {
        match file.expr(ty) {
            Expr::Star(x) => (ty, pointer) = (x, true),
            Expr::Paren(x) | Expr::Index { x, .. } => ty = x,
            Expr::Ident(of) if pointer => return format!("(*{}).{name}", file.ident_text(of)),
            Expr::Ident(of) => return format!("{}.{name}", file.ident_text(of)),
            _ => return format!("?.{name}"),
        }
    }
}

#[cfg(test)]
mod tests;

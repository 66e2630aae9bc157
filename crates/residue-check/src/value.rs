//! What becomes of a resource's value inside a function: released, moved to somebody else, or neither.
//!
//! The tracker follows the value from the call that acquires it through variables, conversions, type assertions and
//! the objects that wrap it, and looks at everything that is done with it. It does not look at the order: one release
//! anywhere is a release. What it does not understand counts as moved, so that rules stay silent about it.

use residue_flow::{Parent, walk};
use residue_syntax::ast::{AssignOp, BinaryOp, Expr, ExprId, Spec, Stmt, StmtId, UnaryOp};
use residue_types::{Builtin, Callee, ObjId, Objects, SelectionKind, Type, VarKind};
use rustc_hash::FxHashSet;

use crate::context::FileCx;
use crate::model::{Resource, ResourceId};

/// What becomes of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It is released here.
    Released(ExprId),
    /// Somebody else has it from here on.
    Moved(ExprId, Move),
    /// It is used, and stays with this function.
    Kept,
}

/// How a value gets to somebody else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Move {
    /// As an argument of a call.
    Argument,
    /// By a return statement.
    Returned,
    /// Into a variable of a package, a result, a field, an element, a channel; or in a way not understood.
    Stored,
}

/// What a value has to do with the resource.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Mode {
    /// It is the resource.
    Value,
    /// The resource is a field of it.
    Holder,
    /// It uses the resource and cannot release it: a buffered reader, a decoder.
    Wrapper,
    /// Releasing it releases the resource.
    Owner,
}

/// Follows one resource.
pub(crate) struct Tracker<'a> {
    cx: FileCx<'a>,
    kind: ResourceId,
    resource: &'a Resource,
    seen: FxHashSet<(ObjId, Mode)>,
    work: Vec<(ObjId, Mode)>,
    /// Uses that leave the resource with this function, in the order they were met.
    pub(crate) kept: Vec<ExprId>,
    /// Whether one of these reads it to its end.
    pub(crate) drained: bool,
    /// Whether the field that it is was looked at, where it is one.
    pub(crate) touched: bool,
}

impl<'a> Tracker<'a> {
    pub(crate) fn new(cx: FileCx<'a>, kind: ResourceId) -> Self {
        let resource = cx.models().resource(kind);
        Self {
            cx,
            kind,
            resource,
            seen: FxHashSet::default(),
            work: Vec::new(),
            kept: Vec::new(),
            drained: false,
            touched: false,
        }
    }

    /// What becomes of a variable's value in one of its uses, without following it into other variables.
    pub(crate) fn of_single_use(&mut self, use_: ExprId, mode: Mode) -> Fate {
        let fate = self.climb(use_, mode, 0);
        if self.work.is_empty() { fate } else { Fate::Moved(use_, Move::Stored) }
    }

    fn follow(&mut self, var: ObjId, mode: Mode) {
        if self.seen.insert((var, mode)) {
            self.work.push((var, mode));
        }
    }

    fn keep(&mut self, expr: ExprId) -> Fate {
        self.kept.push(expr);
        Fate::Kept
    }

    /// What is done with the value of an expression. `result` says which value where it gives several.
    fn climb(&mut self, expr: ExprId, mode: Mode, result: usize) -> Fate {
        let (mut expr, mut mode, mut result) = (expr, mode, result);
        loop {
            let tree = self.cx.tree();
            let (outer, parent) = self.cx.parents().through_parens(tree, expr);
            let up = match parent {
                None | Some(Parent::Decl(_)) => return Fate::Moved(outer, Move::Stored),
                Some(Parent::Spec(spec)) => {
                    let Spec::Value { names, values, .. } = tree.spec(spec) else {
                        return Fate::Moved(outer, Move::Stored);
                    };
                    let index = place(tree.list(values), outer, names.len(), result);
                    let Some(name) = index.and_then(|i| tree.list_get(names, i)) else { return Fate::Kept };
                    return match self.cx.variable_of(name) {
                        Some(var) => self.bind(var, mode, outer),
                        None => Fate::Kept,
                    };
                }
                Some(Parent::Stmt(stmt)) => return self.statement(stmt, outer, mode, result),
                Some(Parent::Expr(up)) => up,
            };
            match tree.expr(up) {
                Expr::Selector { .. } => match self.selector(up, mode) {
                    Ok(fate) => return fate,
                    Err(next) => (expr, mode) = (up, next),
                },
                Expr::Call { fun, .. } if fun != outer => match self.argument(up, outer, mode) {
                    Ok(fate) => return fate,
                    Err(next) => (expr, mode) = (up, next),
                },
                Expr::TypeAssert { ty: Some(_), .. } => expr = up,
                Expr::KeyValue { value, .. } if value == outer => expr = up,
                Expr::CompositeLit { .. } if self.carries_arguments(up) => return self.keep(up),
                Expr::Binary { op, x, y, .. } => return self.compared(up, op, if x == outer { y } else { x }),
                Expr::Unary { op, .. } if op != UnaryOp::Addr => return Fate::Kept,
                _ => return Fate::Moved(up, Move::Stored),
            }
            result = 0;
        }
    }

    /// A value as an operand. What is compared with something other than nil may be that: `resp.Body == http.NoBody`.
    fn compared(&self, at: ExprId, op: BinaryOp, other: ExprId) -> Fate {
        let other_type = self.cx.info().type_of(other);
        let plain = self.cx.is_nil(other) || self.cx.pkg.bodies.basic(other_type).is_some();
        if walk::is_equality(op) && !plain { Fate::Moved(at, Move::Stored) } else { Fate::Kept }
    }

    fn statement(&mut self, stmt: StmtId, outer: ExprId, mode: Mode, result: usize) -> Fate {
        let tree = self.cx.tree();
        match tree.stmt(stmt) {
            Stmt::Assign { lhs, rhs, op, .. } => {
                if tree.list(lhs).any(|target| target == outer) || matches!(op, AssignOp::Op(_)) {
                    return Fate::Kept;
                }
                let index = place(tree.list(rhs), outer, lhs.len(), result);
                let Some(target) = index.and_then(|i| tree.list_get(lhs, i)) else { return Fate::Kept };
                if self.cx.is_blank(target) {
                    return Fate::Kept;
                }
                match self.cx.variable(target) {
                    Some(var) => self.bind(var, mode, outer),
                    None => Fate::Moved(outer, Move::Stored),
                }
            }
            Stmt::Send { ch, .. } if ch == outer => Fate::Kept,
            Stmt::Return(_) => Fate::Moved(outer, Move::Returned),
            Stmt::Send { .. } => Fate::Moved(outer, Move::Stored),
            Stmt::Range { x, .. } if x == outer => Fate::Moved(outer, Move::Stored),
            _ => Fate::Kept,
        }
    }

    /// The value goes into a variable.
    fn bind(&mut self, var: ObjId, mode: Mode, at: ExprId) -> Fate {
        match self.cx.var_kind(var) {
            Some(VarKind::Local | VarKind::Param | VarKind::Receiver) => {
                self.follow(var, mode);
                Fate::Kept
            }
            _ => Fate::Moved(at, Move::Stored),
        }
    }

    /// `x.sel` of a value `x`. An error is the mode of the selected value, to be followed further.
    fn selector(&mut self, selector: ExprId, mode: Mode) -> Result<Fate, Mode> {
        let tree = self.cx.tree();
        let Expr::Selector { sel, .. } = tree.expr(selector) else { return Ok(Fate::Moved(selector, Move::Stored)) };
        let name = tree.ident_text(sel);
        let Some(selection) = self.cx.info().selections.get(&selector) else {
            return Ok(Fate::Moved(selector, Move::Stored));
        };
        if selection.kind == SelectionKind::Field {
            return match mode {
                Mode::Holder if self.resource.field.as_deref() == Some(name) => {
                    self.touched = true;
                    Err(Mode::Value)
                }
                Mode::Holder | Mode::Wrapper => Ok(self.keep(selector)),
                Mode::Value | Mode::Owner if self.cx.pkg.bodies.basic(&selection.ty).is_some() => {
                    Ok(self.keep(selector))
                }
                Mode::Value | Mode::Owner => Ok(Fate::Moved(selector, Move::Stored)),
            };
        }
        let is_release = self.resource.release.iter().chain(&self.resource.exhaust).any(|release| release == name);
        if is_release && matches!(mode, Mode::Value | Mode::Owner) {
            return Ok(Fate::Released(selector));
        }
        let Some(call) = self.called(selector) else {
            // A method value keeps its receiver.
            return Ok(if mode == Mode::Wrapper { self.keep(selector) } else { Fate::Moved(selector, Move::Stored) });
        };
        let releases = self.cx.roles(call).is_some_and(|roles| roles.release.contains(&self.kind));
        Ok(if releases { Fate::Released(call) } else { self.keep(call) })
    }

    /// The call that an expression is the function of.
    fn called(&self, fun: ExprId) -> Option<ExprId> {
        let tree = self.cx.tree();
        match self.cx.parents().through_parens(tree, fun) {
            (outer, Some(Parent::Expr(call))) => {
                matches!(tree.expr(call), Expr::Call { fun, .. } if fun == outer).then_some(call)
            }
            _ => None,
        }
    }

    /// A value as an argument. An error is the mode of the call's value, to be followed further.
    fn argument(&mut self, call: ExprId, arg: ExprId, mode: Mode) -> Result<Fate, Mode> {
        match self.cx.callee(call) {
            Callee::Conversion(_) => return Err(mode),
            Callee::Builtin(Builtin::Len | Builtin::Cap | Builtin::Print | Builtin::Println) => {
                return Ok(self.keep(call));
            }
            Callee::Builtin(_) => return Ok(Fate::Moved(arg, Move::Stored)),
            _ => {}
        }
        if let Some(roles) = self.cx.roles(call) {
            if roles.release.contains(&self.kind) {
                return Ok(Fate::Released(call));
            }
            if roles.owns {
                return Err(if mode == Mode::Wrapper { Mode::Wrapper } else { Mode::Owner });
            }
            if roles.wraps {
                return Err(Mode::Wrapper);
            }
            if roles.borrows {
                self.drained |= roles.drains && matches!(mode, Mode::Value | Mode::Holder);
                return Ok(self.keep(call));
            }
        }
        if mode == Mode::Wrapper {
            // Nobody can release the resource through it.
            return Ok(self.keep(call));
        }
        let left = self.cx.cgo_name(call).is_some_and(|name| self.cx.models().leaves("C", name, self.kind));
        Ok(if left { self.keep(call) } else { Fate::Moved(arg, Move::Argument) })
    }

    /// Whether a composite literal only carries arguments into the call it is written in.
    fn carries_arguments(&self, lit: ExprId) -> bool {
        let (tree, parents) = (self.cx.tree(), self.cx.parents());
        let ty = self.cx.info().type_of(lit);
        let Some((package, name)) = self.cx.pkg.bodies.type_name(ty.strip_pointer()) else { return false };
        if !self.cx.models().is_options(package, name.as_str()) {
            return false;
        }
        let (mut arg, mut parent) = parents.through_parens(tree, lit);
        if let Some(Parent::Expr(up)) = parent
            && matches!(tree.expr(up), Expr::Unary { op: UnaryOp::Addr, .. })
        {
            (arg, parent) = parents.through_parens(tree, up);
        }
        matches!(parent, Some(Parent::Expr(up)) if matches!(tree.expr(up), Expr::Call { fun, .. } if fun != arg))
    }
}

/// Which of `targets` a value goes to: its own index, or `result` where one expression gives all values.
fn place(
    mut values: impl ExactSizeIterator<Item = ExprId>,
    value: ExprId,
    targets: usize,
    result: usize,
) -> Option<usize> {
    let single = values.len() == 1 && targets > 1;
    let index = values.position(|v| v == value)?;
    Some(if single { result } else { index })
}

/// The variable or blank that the `result`-th result of a call goes to, and the one an error goes to.
pub(crate) struct Targets {
    /// Where the result goes.
    pub(crate) value: Target,
    /// The variable the error goes to.
    pub(crate) error: Option<ObjId>,
}

/// Where a result goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// Nowhere.
    Dropped,
    /// Into a variable, written here.
    Variable(ObjId),
    /// Somewhere else: an argument, a field, a chain of calls.
    Other,
}

impl Targets {
    pub(crate) fn of(cx: FileCx<'_>, call: ExprId, result: usize) -> Self {
        let tree = cx.tree();
        let none = Self { value: Target::Other, error: None };
        let (outer, parent) = cx.parents().through_parens(tree, call);
        let (names, values): (Vec<Target>, _) = match parent {
            Some(Parent::Stmt(stmt)) => match tree.stmt(stmt) {
                Stmt::Expr(_) | Stmt::Go(_) | Stmt::Defer(_) => return Self { value: Target::Dropped, error: None },
                Stmt::Assign { lhs, rhs, op: AssignOp::Assign | AssignOp::Define, .. } => {
                    let target = |expr| match cx.variable(expr) {
                        _ if cx.is_blank(expr) => Target::Dropped,
                        Some(var) => Target::Variable(var),
                        None => Target::Other,
                    };
                    (tree.list(lhs).map(target).collect(), rhs)
                }
                _ => return none,
            },
            Some(Parent::Spec(spec)) => match tree.spec(spec) {
                Spec::Value { names, values, .. } => {
                    let target = |ident| match cx.variable_of(ident) {
                        _ if tree.ident_text(ident) == "_" => Target::Dropped,
                        Some(var) => Target::Variable(var),
                        None => Target::Other,
                    };
                    (tree.list(names).map(target).collect(), values)
                }
                _ => return none,
            },
            _ => return none,
        };
        let Some(index) = place(tree.list(values), outer, names.len(), result) else { return none };
        let error = match cx.info().type_of(call) {
            Type::Tuple(types) if values.len() == 1 => {
                let at = types.iter().rposition(|ty| *ty == residue_types::error_type());
                at.and_then(|i| names.get(i)).and_then(|target| match target {
                    Target::Variable(var) => Some(*var),
                    _ => None,
                })
            }
            _ => None,
        };
        Self { value: names.get(index).copied().unwrap_or(Target::Other), error }
    }
}

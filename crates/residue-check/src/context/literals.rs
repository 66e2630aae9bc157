//! What function literals do with what they capture, and what is known of them as functions of their own.

use std::rc::Rc;
use std::sync::Arc;

use residue_flow::ir::Op;
use residue_flow::{Parent, lower};
use residue_syntax::ast::ExprId;
use residue_types::{ObjId, Symbol};

use super::FileCx;
use crate::state::summary::{Effect, Summary};
use crate::state::{Fates, look};

/// What a function literal does with what it captures.
pub(super) struct Literal {
    /// The variables of functions around it that it names.
    captured: Rc<[ObjId]>,
    /// What becomes of each.
    fates: Fates,
    /// Those that it, or a literal inside it, sets.
    stored: Vec<ObjId>,
    recovers: bool,
    /// The call in it that undoes or writes something that the end of the process does not.
    outlives: Option<String>,
}

impl FileCx<'_> {
    fn literal(self, lit: ExprId) -> Rc<Literal> {
        if let Some(known) = self.data().literals.borrow().get(&lit) {
            return Rc::clone(known);
        }
        let captured: Rc<[ObjId]> = lower::captured(self.pkg.bodies, self.index, lit).into();
        let mut literal =
            Literal { captured, fates: Fates::default(), stored: Vec::new(), recovers: false, outlives: None };
        match self.ir(Parent::Expr(lit)) {
            Some(ir) => {
                let roots: Vec<Option<ObjId>> = literal.captured.iter().copied().map(Some).collect();
                let quick = look(self, &ir, &roots);
                (literal.fates, literal.recovers, literal.outlives) = (quick.fates, quick.recovers, quick.outlives);
                for instr in ir.all() {
                    match instr.op {
                        Op::Store { var, .. } | Op::Addr(var) => literal.stored.push(var),
                        Op::Closure(inner) => literal.stored.extend(&self.literal(inner).stored),
                        _ => {}
                    }
                }
                literal.stored.retain(|var| literal.captured.contains(var));
                literal.stored.sort_unstable();
                literal.stored.dedup();
            }
            None => literal.fates.escaped = u64::MAX,
        }
        let literal = Rc::new(literal);
        self.data().literals.borrow_mut().insert(lit, Rc::clone(&literal));
        literal
    }

    /// The paths from a literal's first parameter to what it releases and must not be released twice, as far as it is
    /// plain to see: a call that a model says releases such a thing.
    pub(crate) fn released_by_literal(self, lit: ExprId) -> Vec<Vec<Symbol>> {
        let Some(ir) = self.ir(Parent::Expr(lit)) else { return Vec::new() };
        let mut found = Vec::new();
        for call in ir.calls() {
            let releases = self
                .roles(call.expr)
                .is_some_and(|roles| roles.release.iter().any(|&kind| self.models().resource(kind).twice.is_some()));
            let Some(&arg) = ir.values(call.args).first().filter(|_| releases) else { continue };
            let mut path = Vec::new();
            let mut at = arg;
            loop {
                match ir.instr(at).op {
                    Op::Field { x, field, .. } => {
                        path.push(field.name);
                        at = x;
                    }
                    Op::Convert(x) => at = x,
                    Op::Load(var) if ir.params.first() == Some(&Some(var)) => {
                        path.reverse();
                        found.push(path);
                        break;
                    }
                    _ => break,
                }
            }
        }
        found
    }

    /// Files what is known of a literal as a function of its own.
    pub(crate) fn learn_literal(self, lit: ExprId, summary: Summary) {
        self.data().literal_summaries.borrow_mut().insert(lit, Arc::new(summary));
    }

    /// What is known of a literal as a function of its own.
    pub(crate) fn literal_summary(self, lit: ExprId) -> Option<Arc<Summary>> {
        self.data().literal_summaries.borrow().get(&lit).cloned()
    }

    /// The variables of functions around a literal that it names.
    pub(crate) fn captured(self, lit: ExprId) -> Rc<[ObjId]> {
        Rc::clone(&self.literal(lit).captured)
    }

    /// What a literal does with a variable that it captures.
    pub(crate) fn capture_effect(self, lit: ExprId, var: ObjId) -> Effect {
        let literal = self.literal(lit);
        let index = literal.captured.iter().position(|&captured| captured == var);
        index.map_or(Effect::Borrowed, |i| literal.fates.effect_of_captured(i))
    }

    /// The captured variables that a literal sets.
    pub(crate) fn stored_captures(self, lit: ExprId) -> Vec<ObjId> {
        self.literal(lit).stored.clone()
    }

    /// Whether a literal calls `recover` itself.
    pub(crate) fn calls_recover(self, lit: ExprId) -> bool {
        self.literal(lit).recovers
    }

    /// The call in a literal that undoes or writes something that the end of the process does not.
    pub(crate) fn literal_outlives(self, lit: ExprId) -> Option<String> {
        self.literal(lit).outlives.clone()
    }
}

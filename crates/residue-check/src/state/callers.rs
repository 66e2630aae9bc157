//! Who calls the functions of a package: for rules that ask whether all callers do something.

use residue_flow::ir::Op;
use residue_syntax::ast::ExprId;
use residue_types::{Callee, ObjId};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Executed;
use super::events::Origin;
use super::store::SiteId;
use crate::context::PackageCx;

/// The calls of a package's functions in the package.
pub(crate) struct Callers {
    calls: FxHashMap<ObjId, Vec<(usize, ExprId)>>,
    /// Functions that are taken as values somewhere: anybody may call them.
    values: FxHashSet<ObjId>,
    /// Calls, by file, and which of their results nobody looks at where the call gives an error.
    ignoring: FxHashSet<(usize, ExprId, usize)>,
}

impl Callers {
    /// Reads all bodies of the package once.
    pub(super) fn new(pkg: &PackageCx<'_>, executed: &[Executed<'_>]) -> Self {
        let mut this =
            Self { calls: FxHashMap::default(), values: FxHashSet::default(), ignoring: FxHashSet::default() };
        for executed in executed {
            let events = &executed.exec.events;
            for (i, site) in events.sites.iter().enumerate() {
                if let Origin::Made { expr, owned } = &site.origin
                    && !events.used_failed.contains(&SiteId(i as u16))
                {
                    this.ignoring.insert((executed.file, *expr, owned.result));
                }
            }
        }
        for cx in pkg.files() {
            for function in residue_flow::functions(cx.tree()) {
                let Some(ir) = cx.ir(function.key()) else { continue };
                for instr in ir.all() {
                    if let Op::Func(id) | Op::MethodValue { method: id, .. } = instr.op {
                        this.values.insert(id);
                    }
                }
                for call in ir.calls() {
                    if let Callee::Func(id) = call.callee {
                        this.calls.entry(id).or_default().push((cx.index, call.expr));
                    }
                }
            }
        }
        this
    }

    /// Whether a function is called, only called, and no caller looks at a result where there is an error.
    pub(crate) fn ignore_failures(&self, function: ObjId, result: usize) -> bool {
        let ignores = |&(file, call): &(usize, ExprId)| self.ignoring.contains(&(file, call, result));
        !self.values.contains(&function) && self.calls.get(&function).is_some_and(|calls| calls.iter().all(ignores))
    }
}

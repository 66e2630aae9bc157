//! Checks that a body is well-formed.

use residue_syntax::ast::UnaryOp;

use super::{Body, Code, Op, Value, Values};
use crate::cfg::{BlockId, EdgeKind};
use crate::graph::Dominators;

impl Body {
    /// Checks what holds of every body: each operand was computed before on every path (but for what the right side of
    /// [`Op::Logic`] is made of), lists and calls are in range, and blocks have what decides between their edges.
    ///
    /// # Errors
    ///
    /// Says what is wrong, for people.
    pub fn validate(&self) -> Result<(), String> {
        let dominators = Dominators::new(&self.cfg);
        let mut block_of = vec![None; self.len()];
        for (id, _) in self.cfg.blocks() {
            let Code { first, end, cond } = self.code(id);
            let range =
                block_of.get_mut(first as usize..end as usize).ok_or(format!("b{}: no such code", id.index()))?;
            for slot in range {
                if slot.replace(id).is_some() {
                    return Err(format!("b{}: instructions of another block", id.index()));
                }
            }
            self.validate_end(id, cond)?;
        }
        if let Some(i) = block_of.iter().position(Option::is_none) {
            return Err(format!("v{i}: in no block"));
        }
        // Values whose operands were not computed on every path.
        let mut partial = vec![false; self.len()];
        for (id, _) in self.cfg.blocks() {
            for (value, instr) in self.instrs(id) {
                let wrong = |what: &str| Err(format!("v{}: {what}: {instr:?}", value.index()));
                if !self.in_range(&instr.op) {
                    return wrong("list out of range");
                }
                let mut operands = Vec::new();
                self.operands(instr.op, &mut |operand| operands.push(operand));
                for (i, &operand) in operands.iter().enumerate() {
                    let Some(Some(from)) = block_of.get(operand.index()) else { return wrong("no such operand") };
                    if !self.instr(operand).op.has_value() {
                        return wrong("operand without value");
                    }
                    let before = if *from == id { operand < value } else { dominators.dominates(*from, id) };
                    if (before && !partial[operand.index()]) || !self.cfg.block(id).live {
                        continue;
                    }
                    match instr.op {
                        Op::Logic { .. } if i == 1 => {}
                        Op::Logic { .. } | Op::Unary { op: UnaryOp::Not, .. } => partial[value.index()] = true,
                        _ => return wrong("operand not computed before"),
                    }
                }
                if let Op::Extract { tuple, .. } = instr.op
                    && !self.gives_tuple(tuple)
                {
                    return wrong("operand is no tuple");
                }
            }
        }
        Ok(())
    }

    fn validate_end(&self, id: BlockId, cond: Option<Value>) -> Result<(), String> {
        let Code { first, end, .. } = self.code(id);
        let block = self.cfg.block(id);
        let any = |kinds: &[EdgeKind]| block.succs.iter().any(|edge| kinds.contains(&edge.kind));
        match cond {
            Some(value) if !self.instrs.get(value.index()).is_some_and(|instr| instr.op.has_value()) => {
                return Err(format!("b{}: no such condition", id.index()));
            }
            None if any(&[EdgeKind::True, EdgeKind::False]) => return Err(format!("b{}: no condition", id.index())),
            _ => {}
        }
        let last = end.checked_sub(1).filter(|&last| last >= first).map(|last| self.instrs[last as usize].op);
        if any(&[EdgeKind::Each, EdgeKind::Done]) && !matches!(last, Some(Op::RangeNext(_))) {
            return Err(format!("b{}: nothing to range over", id.index()));
        }
        if any(&[EdgeKind::Return]) && !matches!(last, Some(Op::Return(_))) {
            return Err(format!("b{}: returns without results", id.index()));
        }
        Ok(())
    }

    fn in_range(&self, op: &Op) -> bool {
        let values = |list: Values| list.start as usize + list.len as usize <= self.values.len();
        match *op {
            Op::Opaque(list) | Op::Return(list) | Op::Slice { bounds: list, .. } => values(list),
            Op::Composite { values: list, fields, .. } => {
                let known = fields.start as usize + fields.len as usize <= self.field_indices.len();
                values(list) && known && (fields.len == 0 || fields.len == list.len)
            }
            Op::Call(id) | Op::Go(id) | Op::Defer(id) => {
                self.calls.get(id.0 as usize).is_some_and(|call| values(call.args))
            }
            _ => true,
        }
    }

    fn gives_tuple(&self, value: Value) -> bool {
        match self.instr(value).op {
            Op::Call(_) | Op::RangeNext(_) | Op::Opaque(_) => true,
            Op::MapIndex { comma_ok, .. } | Op::Assert { comma_ok, .. } | Op::Recv { comma_ok, .. } => comma_ok,
            _ => false,
        }
    }
}

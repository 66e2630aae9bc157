//! What becomes of parameters and captured variables, whatever the order: a cheap look at a body that tells which of
//! them need the expensive one.
//!
//! Each variable asked for is a bit; values and local variables have the bits of what they may be, hold or come from.
//! The answer holds for every path and is the worst of all.

use residue_flow::ir::{self, At, Op};
use residue_flow::{BlockId, Parent, Stop, graph};
use residue_types::{Builtin, Callee, ObjId, ObjKind, Objects, VarKind};
use rustc_hash::FxHashMap;

use super::events::strong;
use super::summary::{Effect, Panics, Summary};
use crate::context::FileCx;
use crate::model::Roles;

/// Rounds until nothing changes; code that needs more is not understood.
const ROUNDS_MAX: usize = 6;
/// Variables asked for at once: one bit each.
const ROOTS_MAX: usize = 64;

/// What may become of variables, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fates {
    pub(crate) released: u64,
    pub(crate) escaped: u64,
    pub(crate) returned: u64,
}

impl Fates {
    /// The effect on the `i`-th variable of a literal, whose results nobody follows.
    pub(crate) fn effect_of_captured(self, i: usize) -> Effect {
        let returned = i < ROOTS_MAX && self.returned & (1 << i) != 0;
        if returned { Effect::Escaped } else { self.effect(i) }
    }

    /// The effect on the `i`-th variable, as far as this look can tell: released means that it may be.
    pub(crate) fn effect(self, i: usize) -> Effect {
        let bit = if i < ROOTS_MAX { 1 << i } else { return Effect::Escaped };
        if self.escaped & bit != 0 || (self.returned & self.released) & bit != 0 {
            Effect::Escaped
        } else if self.released & bit != 0 {
            Effect::Released
        } else {
            Effect::Borrowed
        }
    }
}

/// What a look at a body finds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quick {
    pub(crate) fates: Fates,
    /// Which variables each result may be, hold or come from.
    pub(crate) by_result: Vec<u64>,
    /// Whether it acquires something, by a model or by the summary of what it calls.
    pub(crate) acquires: bool,
    /// Whether it releases something, whatever that is.
    pub(crate) releases: bool,
    /// Whether it calls `recover` itself.
    pub(crate) recovers: bool,
    /// Whether it returns a literal that calls `recover`.
    pub(crate) makes_recoverer: bool,
    /// Which variables are function values that it calls, and only calls: not deferred, not passed on.
    pub(crate) called: u64,
    /// Whether each error that it returns is made there and so is not nil.
    pub(crate) makes_error: bool,
    /// Which it reads to their end before it returns, however it does.
    pub(crate) drains: u64,
    /// Which interfaces it panics with as they are, or hands to what does.
    pub(crate) repanics: u64,
    /// Which are deferred or started.
    called_elsewhere: u64,
    /// Whether it defers anything.
    pub(crate) defers: bool,
    /// Whether a call ends the process.
    pub(crate) exits: bool,
    /// The call that undoes or writes something that the end of the process does not.
    pub(crate) outlives: Option<String>,
    /// Whether it sets a field.
    pub(crate) sets_field: bool,
    /// Whether it takes care that a release is made once: it swaps, goes through a `sync.Once`, or takes a finalizer away.
    pub(crate) guards: bool,
    /// Why it can panic by what it does itself or calls.
    pub(crate) panics: Option<Panics>,
}

/// Looks at a body. `roots` are the variables asked for.
pub(crate) fn look(cx: FileCx<'_>, ir: &ir::Body, roots: &[Option<ObjId>]) -> Quick {
    let outer = match ir.function {
        Parent::Expr(lit) => residue_flow::lower::captured(cx.pkg.bodies, cx.index, lit),
        _ => Vec::new(),
    };
    let values = vec![0; ir.len()];
    let (vars, out) = (FxHashMap::default(), Quick::default());
    let mut look = Look { cx, ir, outer, block: ir.cfg.entry(), vars, values, set: 0, out };
    for (i, root) in roots.iter().enumerate() {
        match root {
            Some(root) if i < ROOTS_MAX => _ = look.vars.insert(*root, 1 << i),
            _ => {}
        }
    }
    let mut settled = false;
    for _ in 0..ROUNDS_MAX {
        if !look.round() {
            settled = true;
            break;
        }
    }
    if !settled {
        look.out.fates.escaped = u64::MAX;
    }
    look.out.makes_error = look.makes_error();
    look.out.called &= !(look.out.called_elsewhere | look.out.fates.escaped | look.out.fates.returned);
    look.out
}

struct Look<'a, 'b> {
    cx: FileCx<'a>,
    ir: &'b ir::Body,
    /// The variables of functions around it that it names.
    outer: Vec<ObjId>,
    vars: FxHashMap<ObjId, u64>,
    values: Vec<u64>,
    /// How many bits variables have been given.
    set: u32,
    /// The block that is being looked at.
    block: BlockId,
    out: Quick,
}

impl Look<'_, '_> {
    /// Whether each return gives an error that is plainly not nil.
    fn makes_error(&self) -> bool {
        let results = self.cx.result_types(self.ir.function);
        let Some(error) = results.iter().rposition(|ty| *ty == residue_types::error_type()) else { return false };
        let returns = self.ir.cfg.blocks().filter(|(_, data)| data.live);
        let mut returns =
            returns.flat_map(|(block, _)| self.ir.instrs(block)).filter_map(|(_, instr)| match instr.op {
                Op::Return(values) => Some(self.ir.values(values).get(error).copied()),
                _ => None,
            });
        let first = returns.next();
        first.into_iter().chain(returns).all(|value| value.is_some_and(|value| self.is_error(value))) && first.is_some()
    }

    /// Whether a value is an error: made here, or one that a package declares.
    fn is_error(&self, mut value: ir::Value) -> bool {
        while let Op::ToInterface(x) | Op::Convert(x) = self.ir.instr(value).op {
            value = x;
        }
        match self.ir.instr(value).op {
            Op::New(_) | Op::Composite { .. } => true,
            Op::Load(var) => self.cx.is_declared_error(var),
            Op::Call(id) => {
                let call = self.ir.call(id);
                let summary = || self.cx.summary_of(&call.callee).is_some_and(|summary| summary.makes_error);
                self.cx.roles(call.expr).map_or_else(summary, |roles| roles.makes_error)
            }
            _ => false,
        }
    }

    /// Looks at everything once. Whether something changed.
    fn round(&mut self) -> bool {
        let before = (self.out.fates, self.set);
        let mut changed = false;
        for (block, data) in self.ir.cfg.blocks() {
            if !data.live {
                continue;
            }
            self.block = block;
            for (value, instr) in self.ir.instrs(block) {
                let bits = self.instr(instr);
                let drained = self.drained(instr.op) & !self.out.drains;
                if drained != 0 && graph::always(&self.ir.cfg, block) {
                    self.out.drains |= drained;
                }
                let slot = &mut self.values[value.index()];
                changed |= *slot | bits != *slot;
                *slot |= bits;
            }
        }
        changed || before != (self.out.fates, self.set)
    }

    fn of(&self, value: ir::Value) -> u64 {
        self.values[value.index()]
    }

    fn all(&self, values: ir::Values) -> u64 {
        self.ir.values(values).iter().fold(0, |bits, &value| bits | self.of(value))
    }

    /// The bits of a part of something, or of what is made of it: numbers that can be descriptors, and what is no plain
    /// value.
    fn part(&self, instr: ir::Instr, bits: u64) -> u64 {
        if bits == 0 {
            return 0;
        }
        let At::Expr(expr) = instr.at else { return bits };
        if self.cx.is_plain(self.cx.info().type_of(expr)) { 0 } else { bits }
    }

    /// A variable may hold, be or come from what these bits stand for.
    fn give(&mut self, var: ObjId, bits: u64) {
        let known = self.vars.entry(var).or_default();
        self.set += (bits & !*known).count_ones();
        *known |= bits;
    }

    /// What a variable may hold, be or come from.
    fn held(&self, var: ObjId) -> u64 {
        self.vars.get(&var).copied().unwrap_or(0)
    }

    fn escape(&mut self, bits: u64) {
        self.out.fates.escaped |= bits;
    }

    /// What a function does to what it gets happens to it.
    fn suffer(&mut self, effect: Effect, bits: u64) {
        match effect {
            Effect::Borrowed => {}
            Effect::Released => self.out.fates.released |= bits,
            Effect::Escaped => self.escape(bits),
        }
    }

    fn instr(&mut self, instr: ir::Instr) -> u64 {
        if let Some(what) = instr.panic.and_then(strong)
            && !matches!(instr.op, Op::Call(_))
        {
            self.panics(what, instr.at);
        }
        match instr.op {
            Op::Const | Op::Nil | Op::Zero | Op::Func(_) | Op::Recv { .. } | Op::Unary { .. } | Op::Binary { .. } => 0,
            Op::Logic { .. } | Op::TypeTest { .. } => 0,
            Op::Load(var) | Op::Addr(var) => self.held(var),
            Op::Closure(lit) => self.cx.captured(lit).iter().fold(0, |bits, &var| bits | self.held(var)),
            Op::MethodValue { recv, .. } | Op::InterfaceMethodValue { recv, .. } => self.of(recv),
            Op::Opaque(values) => {
                let bits = self.all(values);
                self.escape(bits);
                0
            }
            Op::Field { x, .. } | Op::FieldAddr { x, .. } | Op::Deref(x) | Op::Index { x, .. } => {
                self.part(instr, self.of(x))
            }
            Op::IndexAddr { x, .. } | Op::MapIndex { map: x, .. } | Op::RangeNext(x) => self.part(instr, self.of(x)),
            Op::Extract { tuple, .. } => self.part(instr, self.of(tuple)),
            Op::Convert(x) => self.part(instr, self.of(x)),
            Op::Slice { x, .. } | Op::ToInterface(x) | Op::Assert { x, .. } | Op::New(x) => self.of(x),
            Op::Composite { values, .. } => self.all(values),
            Op::Store { var, value, .. } => {
                let bits = self.of(value);
                if bits != 0 {
                    if self.is_local(var) {
                        self.give(var, bits);
                    } else {
                        self.escape(bits);
                    }
                }
                0
            }
            Op::StoreDeref { ptr, value } => self.stored(ptr, value),
            Op::StoreField { x, value, .. } => {
                self.out.sets_field = true;
                self.stored(x, value)
            }
            Op::StoreIndex { x, value, .. } => self.stored(x, value),
            Op::StoreMap { map, key, value } => self.stored(map, key) | self.stored(map, value),
            Op::Send { value, .. } => {
                self.escape(self.of(value));
                0
            }
            Op::Go(call) => {
                let call = self.ir.call(call);
                let bits = self.operands(call);
                self.escape(bits);
                self.out.acquires |= self.cx.roles(call.expr).is_some_and(|roles| roles.acquire.is_some());
                self.out.called_elsewhere |= bits;
                0
            }
            Op::Defer(id) => {
                self.out.defers = true;
                self.call(id, instr, true);
                0
            }
            Op::Call(id) => {
                let bits = self.call(id, instr, false);
                self.part(instr, bits)
            }
            Op::Return(values) => {
                self.out.fates.returned |= self.all(values);
                for (i, &value) in self.ir.values(values).iter().enumerate() {
                    let bits = self.of(value);
                    if bits != 0 && self.is_function(value) {
                        // What it does with what it captures is seen by nobody.
                        self.escape(bits);
                    } else if bits != 0 {
                        if self.out.by_result.len() <= i {
                            self.out.by_result.resize(i + 1, 0);
                        }
                        self.out.by_result[i] |= bits;
                    }
                    if let Op::Closure(lit) = self.ir.instr(value).op {
                        self.out.makes_recoverer |= self.cx.calls_recover(lit);
                    }
                }
                0
            }
        }
    }

    fn is_function(&self, value: ir::Value) -> bool {
        match self.ir.instr(value).at {
            At::Expr(expr) => self.cx.is_func(self.cx.info().type_of(expr)),
            _ => true,
        }
    }

    fn stored(&mut self, into: ir::Value, value: ir::Value) -> u64 {
        let bits = self.of(value);
        if bits != 0 {
            match self.ir.instr(into).op {
                Op::Addr(var) if self.is_local(var) => self.give(var, bits),
                // A part of something that is stored in it stays with it.
                _ => self.escape(bits & !self.of(into)),
            }
        }
        0
    }

    fn is_local(&self, var: ObjId) -> bool {
        let object = self.cx.pkg.bodies.object(var);
        object.is_some_and(|object| !matches!(object.kind, ObjKind::Var(VarKind::Package)))
            && !self.outer.contains(&var)
    }

    fn operands(&self, call: &ir::Call) -> u64 {
        let operands = call.fun.iter().chain(&call.recv).chain(self.ir.values(call.args));
        operands.fold(0, |bits, &value| bits | self.of(value))
    }

    fn panics(&mut self, what: &'static str, at: At) {
        if self.out.panics.is_none() {
            let place = self.cx.place(at);
            self.out.panics = Some(Panics { what, place, through: Vec::new() });
        }
    }

    /// A call that is made or put off. Gives the bits of its results.
    fn call(&mut self, id: ir::CallId, instr: ir::Instr, deferred: bool) -> u64 {
        let call = self.ir.call(id);
        if let Some(lit) = self.ir.literal(call) {
            for &var in &*self.cx.captured(lit) {
                let bits = self.held(var);
                if bits != 0 {
                    self.suffer(self.cx.capture_effect(lit, var), bits);
                }
            }
            self.outlives(|cx| cx.literal_outlives(lit));
            self.escape(self.all(call.args));
            self.out.releases = true;
            return 0;
        }
        if let Callee::Builtin(builtin) = call.callee {
            return self.builtin(builtin, call, instr);
        }
        self.out.guards |= self.cx.guards(call);
        if let (Callee::Dynamic, Some(fun)) = (&call.callee, call.fun) {
            if deferred {
                self.out.called_elsewhere |= self.of(fun);
            } else {
                self.out.called |= self.of(fun);
            }
        }
        let roles = self.cx.roles(call.expr);
        let value = matches!(call.callee, Callee::Dynamic).then(|| self.cx.function_value(call.expr)).flatten();
        let callee = value.map_or_else(|| call.callee.clone(), Callee::Func);
        let summary = if roles.is_none() { self.cx.summary_of(&callee) } else { None };
        self.out.repanics |=
            summary.as_ref().map_or(0, |summary| self.given(call, summary.repanics, |value| self.handed(value)));
        let by_name = matches!(call.callee, Callee::Interface { .. });
        if let Some(roles) = roles {
            self.out.acquires |= roles.cancels || self.cx.acquired_kind(call.expr, roles).is_some();
            if roles.panics && self.cx.has_variable_argument(call.expr) {
                self.panics("an argument that is not right", instr.at);
            }
            self.out.exits |= roles.no_return == Some(Stop::Exit);
            if roles.outlives {
                self.outlives(|cx| Some(cx.called_text(call.expr)));
            }
        }
        if let Some(summary) = &summary {
            self.out.acquires |= !summary.owned.is_empty();
            self.out.releases |= !summary.releases.is_empty();
            self.out.exits |= summary.stops == Some(Stop::Exit);
            self.outlives(|_| summary.outlives.clone());
            if let Some(panics) = &summary.panics
                && !self.cx.is_foreign_std(call)
                && self.out.panics.is_none()
                && !deferred
                && panics.through.len() < 4
                && let Callee::Func(id) = call.callee
            {
                let mut through = vec![self.cx.short_name(id)];
                through.extend(panics.through.iter().cloned());
                self.out.panics = Some(Panics { through, ..panics.clone() });
            }
        }
        let mut result = 0;
        if let Some(recv) = call.recv {
            let bits = self.of(recv);
            let name = self.cx.method_name(call);
            if self.cx.models().is_release_name(name) {
                self.out.releases = true;
                // A method that is looked into says what it releases itself; that of a library's or an interface's does by name.
                let summary = summary.as_ref().filter(|_| !by_name);
                let effect = summary.map_or(Effect::Released, |summary| summary.effect(0));
                self.suffer(effect, bits);
            } else {
                match (&summary, &call.callee) {
                    (Some(summary), _) => self.suffer(summary.effect(0), bits),
                    (None, &Callee::Func(id)) if roles.is_none() && self.cx.pkg.is_analysed(id) => self.escape(bits),
                    _ => {}
                }
            }
        }
        if let Some(summary) = &summary {
            for release in &summary.releases {
                let value = self.ir.operand(call, release.param);
                self.out.fates.released |= value.map_or(0, |value| self.of(value));
            }
            for &(param, _) in &summary.passes {
                let value = self.ir.operand(call, param);
                result |= value.map_or(0, |value| self.of(value));
            }
        }
        result | self.arguments(call, roles, summary.as_deref())
    }

    /// A call that matters beyond the end of the process. Of a function, what it does on some of its paths only says
    /// little about a call of it.
    fn outlives(&mut self, what: impl FnOnce(FileCx<'_>) -> Option<String>) {
        if self.out.outlives.is_none()
            && let Some(what) = what(self.cx)
            && (matches!(self.ir.function, Parent::Expr(_)) || graph::always(&self.ir.cfg, self.block))
        {
            self.out.outlives = Some(what);
        }
    }

    /// The bits of what a call reads to its end.
    fn drained(&self, op: Op) -> u64 {
        let Op::Call(id) = op else { return 0 };
        let call = self.ir.call(id);
        if let Some(roles) = self.cx.roles(call.expr) {
            return if roles.drains { self.all(call.args) } else { 0 };
        }
        let Some(summary) = self.cx.summary_of(&call.callee).filter(|summary| summary.drains != 0) else { return 0 };
        self.given(call, summary.drains, |value| self.of(value))
    }

    /// The bits of the operands that some parameters get, the receiver first; a bit each.
    fn given(&self, call: &ir::Call, params: u64, bits_of: impl Fn(ir::Value) -> u64) -> u64 {
        let operands = call.recv.iter().chain(self.ir.values(call.args)).take(ROOTS_MAX).enumerate();
        operands.filter(|(i, _)| params & (1 << i) != 0).fold(0, |bits, (_, &value)| bits | bits_of(value))
    }

    /// The bit of the parameter that a value is, where that is an interface: what has been recovered, as it is.
    fn handed(&self, value: ir::Value) -> u64 {
        let mut at = value;
        loop {
            match self.ir.instr(at).op {
                Op::Convert(x) => at = x,
                Op::Load(var) => {
                    let param = self.ir.params.iter().take(ROOTS_MAX).position(|&param| param == Some(var));
                    let bodies = self.cx.pkg.bodies;
                    let is_interface =
                        matches!(bodies.underlying(&bodies.type_of(var)), residue_types::Type::Interface(_));
                    return param.filter(|_| is_interface).map_or(0, |param| 1 << param);
                }
                _ => return 0,
            }
        }
    }

    /// What becomes of a call's arguments. Gives the bits of its results.
    fn arguments(&mut self, call: &ir::Call, roles: Option<&Roles>, summary: Option<&Summary>) -> u64 {
        let mut result = 0;
        let last = summary.map_or(0, |summary| summary.params.len().saturating_sub(1));
        for (i, &arg) in self.ir.values(call.args).iter().enumerate() {
            let bits = self.of(arg);
            let is_closure = matches!(self.ir.instr(arg).op, Op::Closure(_));
            if let Some(roles) = roles {
                if !roles.release.is_empty() {
                    self.out.releases = true;
                    self.out.fates.released |= bits;
                } else if roles.owns || roles.wraps {
                    result |= bits;
                } else if roles.runs && is_closure {
                    self.passed_closure(arg);
                } else if !roles.borrows {
                    self.escape(bits);
                }
            } else if let Some(summary) = summary {
                let param = (i + usize::from(call.recv.is_some())).min(last);
                self.suffer(summary.effect(param), bits);
            } else if is_closure && bits != 0 {
                self.passed_closure(arg);
            } else {
                self.escape(bits);
            }
        }
        result
    }

    /// A literal that is handed to a call may be called there: what it only uses stays.
    fn passed_closure(&mut self, value: ir::Value) {
        let Op::Closure(lit) = self.ir.instr(value).op else { return };
        for &var in &*self.cx.captured(lit) {
            let bits = self.held(var);
            if bits != 0 && self.cx.capture_effect(lit, var) != Effect::Borrowed {
                self.escape(bits);
            }
        }
    }

    fn builtin(&mut self, builtin: Builtin, call: &ir::Call, instr: ir::Instr) -> u64 {
        let args = self.ir.values(call.args);
        let bits = self.all(call.args);
        match builtin {
            Builtin::Append => bits,
            Builtin::Panic => {
                self.panics("panic", instr.at);
                self.out.repanics |= args.first().map_or(0, |&arg| self.handed(arg));
                self.escape(bits);
                0
            }
            Builtin::Recover => {
                self.out.recovers = true;
                0
            }
            Builtin::Copy => {
                self.escape(args.get(1).map_or(0, |&from| self.of(from)));
                0
            }
            Builtin::Close => {
                if let Some(what) = instr.panic.and_then(strong) {
                    self.panics(what, instr.at);
                }
                0
            }
            _ => 0,
        }
    }
}

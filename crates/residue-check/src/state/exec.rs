//! Executes a function body symbolically, along all its paths.
//!
//! The states at a block's start are kept apart as long as they are few, so that conditions that belong together stay
//! together (an error and the resource that came with it, a flag and what it guards); where they become many, those in
//! which the same has become of every resource are joined, and keep what they agree on (ESP: Das, Lerner and Seigle,
//! "Path-sensitive program verification in polynomial time", PLDI 2002). Function literals that are called here, also
//! those deferred, are executed in place: they name captured variables as this body does. When a function returns, or
//! a panic unwinds it, the calls that this path deferred run, the last one first; `recover` ends a panic where the
//! language says it does.

use std::collections::BTreeMap;
use std::rc::Rc;

use residue_flow::ir::{self, At, Op};
use residue_flow::{BlockId, EdgeKind, Parent};
use residue_syntax::ast::{BinaryOp, ExprId, UnaryOp};
use residue_types::{Builtin, Callee, ObjId, Objects, Type};
use rustc_hash::{FxHashMap, FxHashSet};

use super::call::Operands;
use super::events::{Events, Exit, Origin, Site, Why};
use super::objects::star;
use super::prepared::Prepared;
use super::store::{Deferred, Escape, Field, SiteId, State, Status, Trail};
use super::sym::{Def, Place, Sym, Syms};
use crate::context::FileCx;
use crate::model::{Resource, ResourceId};
use crate::reach;

/// States kept apart at the start of a block, of those in which the same has become of each resource.
const STATES_MAX: usize = 12;
/// The same, inside a function literal that is called.
const INLINED_MAX: usize = 4;
/// The same, where no resource is open: little hangs on what is known.
const IDLE_MAX: usize = 3;
/// Kinds of states kept apart at the start of a block, however they differ.
pub(super) const KINDS_MAX: usize = 48;
/// Visits of one block after which its states are joined with all that came before.
const WIDEN_AFTER: usize = 30;
/// States that wait at the start of a block before they are joined.
const WAITING_MAX: usize = 64;
/// Visits of one block before the function is given up.
const VISITS_MAX: usize = 400;
/// Work done before the function is given up: instructions, and what states that are copied weigh.
const STEPS_MAX: u32 = 600_000;
/// Function literals called inside each other.
const DEPTH_MAX: usize = 4;
/// Deferred calls that wait at once.
const DEFERS_MAX: usize = 200;
/// Resources of one function.
const SITES_MAX: usize = 400;

/// How an instruction goes on.
pub(super) enum Flow {
    Next,
    Fork(Vec<State>),
    Stop,
    Return(Vec<Sym>),
    /// What a deferred call runs panics.
    Unwind,
}

/// A frame that waits for a function literal it called.
pub(super) struct Frame {
    pub(super) defers: Option<Rc<Deferred>>,
}

pub(crate) struct Exec<'a> {
    pub(crate) cx: FileCx<'a>,
    pub(super) root: Parent,
    pub(super) syms: Syms,
    bodies: Vec<Rc<Prepared>>,
    body_of: FxHashMap<Parent, u16>,
    pub(super) site_by_sym: FxHashMap<Sym, SiteId>,
    pub(super) sites_by_error: FxHashMap<Sym, Vec<SiteId>>,
    /// Resources by the boolean that came with them.
    pub(super) sites_by_ok: FxHashMap<Sym, Vec<SiteId>>,
    /// Cancel functions by the context that they cancel, and by the channel that says that it is done.
    pub(super) cancels: FxHashMap<Sym, SiteId>,
    pub(super) ownership: FxHashMap<ObjId, bool>,
    /// The texts that constants are.
    pub(super) texts: FxHashMap<Sym, Rc<str>>,
    /// The types of values that were made interfaces.
    pub(super) dynamic: FxHashMap<Sym, Type>,
    pub(super) frames: Vec<Frame>,
    pub(super) active: Vec<u16>,
    /// How many frames' deferred calls are being run.
    pub(super) deferring: usize,
    /// Whether the body being executed was called by the deferring frame itself, so that `recover` works in it.
    pub(super) directly_deferred: bool,
    /// Whether a deferred call of this function may recover, so that every call matters that may panic.
    pub(super) wants_recovery: bool,
    /// The response writer, where the function handles HTTP requests.
    pub(super) writer: Option<Sym>,
    /// Whether what is being released is released by what owns it.
    pub(super) by_owner: bool,
    /// What calls of `recover` gave.
    pub(super) recovered: FxHashSet<Sym>,
    pub(super) unwound: FxHashSet<u64>,
    steps: u32,
    pub(crate) events: Events,
}

impl<'a> Exec<'a> {
    pub(crate) fn new(cx: FileCx<'a>, root: Parent) -> Option<Self> {
        let mut this = Self {
            cx,
            root,
            syms: Syms::new(),
            bodies: Vec::new(),
            body_of: FxHashMap::default(),
            site_by_sym: FxHashMap::default(),
            sites_by_error: FxHashMap::default(),
            sites_by_ok: FxHashMap::default(),
            cancels: FxHashMap::default(),
            ownership: FxHashMap::default(),
            texts: FxHashMap::default(),
            dynamic: FxHashMap::default(),
            frames: Vec::new(),
            active: Vec::new(),
            deferring: 0,
            directly_deferred: false,
            wants_recovery: false,
            writer: None,
            by_owner: false,
            recovered: FxHashSet::default(),
            unwound: FxHashSet::default(),
            steps: 0,
            events: Events::default(),
        };
        this.load(root)?;
        this.wants_recovery = reach::deferred_call(cx, root).is_some();
        if this.wants_recovery && reach::is_handler(cx, root) {
            let ir = this.ir(0);
            let writer = ir.params.get(usize::from(ir.has_receiver)).copied().flatten();
            this.writer = writer.map(|writer| this.syms.of(Def::Var(writer)));
        }
        Some(this)
    }

    pub(crate) fn ir(&self, body: u16) -> &Rc<ir::Body> {
        &self.bodies[body as usize].ir
    }

    fn load(&mut self, function: Parent) -> Option<u16> {
        if let Some(&known) = self.body_of.get(&function) {
            return Some(known);
        }
        let ir = self.cx.ir(function)?;
        let index = u16::try_from(self.bodies.len()).ok()?;
        self.bodies.push(Rc::new(Prepared::new(self.cx, ir)));
        self.body_of.insert(function, index);
        Some(index)
    }

    /// Whether the function, deferred, ends a panic: some way through it after `recover` returns, and doesn't panic again.
    pub(crate) fn recovers(&mut self) -> bool {
        self.deferring = 1;
        self.directly_deferred = true;
        let mut state = State::default();
        state.panics = 1;
        let exits = self.run(0, state);
        exits.iter().any(|exit| exit.state.panics == 0)
    }

    /// Executes the whole function. Parameters that `tracked` names are resources of the caller.
    pub(crate) fn run_root(&mut self, tracked: &[ObjId]) {
        let mut state = State::default();
        for &param in tracked {
            let sym = self.syms.of(Def::Var(param));
            let site = self.add_site(Origin::Param(param), None, sym, None);
            if let Some(site) = site {
                state.resource_mut(site).status = Status::Open;
            }
        }
        let exits = self.run(0, state);
        self.events.exits.extend(exits);
    }

    /// Whether a variable is a parameter of the function, or its receiver.
    pub(super) fn is_parameter(&self, var: ObjId) -> bool {
        self.ir(0).params.contains(&Some(var))
    }

    /// Follows a resource from here on; the one known, where the symbol is one already.
    pub(super) fn add_site(
        &mut self,
        origin: Origin,
        kind: Option<ResourceId>,
        sym: Sym,
        error: Option<Sym>,
    ) -> Option<SiteId> {
        if let Some(&known) = self.site_by_sym.get(&sym) {
            return Some(known);
        }
        if self.events.sites.len() >= SITES_MAX {
            self.events.gave_up = Some("resources");
            return None;
        }
        let site = SiteId(self.events.sites.len() as u16);
        self.events.sites.push(Site { origin, kind, sym, error, released: None, handed_on: false, twice: None });
        self.site_by_sym.insert(sym, site);
        if let Some(error) = error {
            self.sites_by_error.entry(error).or_default().push(site);
        }
        Some(site)
    }

    pub(super) fn site_of(&self, sym: Sym) -> Option<SiteId> {
        self.site_by_sym.get(&sym).copied()
    }

    /// What kind of resource is followed; none for what a caller may hand in.
    pub(super) fn kind(&self, site: SiteId) -> Option<ResourceId> {
        self.events.sites[site.0 as usize].kind
    }

    /// What the model says of a resource that is followed.
    pub(super) fn model(&self, site: SiteId) -> Option<&'a Resource> {
        Some(self.cx.models().resource(self.kind(site)?))
    }

    /// Executes a body from its start. Gives where and how it returns, its deferred calls made.
    pub(super) fn run(&mut self, body: u16, entry: State) -> Vec<Exit> {
        let prepared = Rc::clone(&self.bodies[body as usize]);
        let Prepared { ir, rank, crosses, .. } = &*prepared;
        let mut pending: BTreeMap<u32, (BlockId, Vec<State>)> = BTreeMap::new();
        let mut seen: Vec<FxHashSet<u64>> = vec![FxHashSet::default(); ir.cfg.len()];
        let mut widened: Vec<Vec<(u64, State)>> = vec![Vec::new(); ir.cfg.len()];
        let mut exits = Vec::new();
        self.active.push(body);
        pending.insert(0, (ir.cfg.entry(), vec![entry]));
        while let Some((_, (block, states))) = pending.pop_first() {
            for mut state in self.joined(body, block, states) {
                self.prune(&prepared, block, &mut state);
                let seen = &mut seen[block.index()];
                if !seen.insert(state.digest()) {
                    continue;
                }
                if seen.len() > WIDEN_AFTER && !self.widen(body, block, &mut widened[block.index()], &mut state) {
                    continue;
                }
                if seen.len() > VISITS_MAX {
                    self.events.gave_up = Some("ways into one place");
                    continue;
                }
                if self.steps > STEPS_MAX {
                    self.events.gave_up = Some("paths");
                    continue;
                }
                for (to, mut state) in self.block(body, ir, block, state, &mut exits) {
                    if rank[to.index()] <= rank[block.index()] {
                        // A new round: what a field or a variable of others held may have changed.
                        state.facts.retain(|sym, _| self.site_of(sym).is_some() || !self.is_memory(sym));
                    }
                    state.temps.retain(|(place, _), _| place.body != body || crosses[place.value as usize]);
                    let (_, waiting) = pending.entry(rank[to.index()]).or_insert_with(|| (to, Vec::new()));
                    waiting.push(state);
                    if waiting.len() > WAITING_MAX {
                        let states = std::mem::take(waiting);
                        *waiting = self.joined(body, to, states);
                    }
                }
            }
        }
        self.active.pop();
        for exit in &mut exits {
            exit.state.temps.retain(|(place, _), _| place.body != body);
            if body != 0 {
                exit.state.env.retain(|var, _| !prepared.is_own(var));
            }
        }
        exits
    }

    /// Joins a state with all that came to a block before in which the same has become of each resource. False where
    /// that says nothing new.
    fn widen(&mut self, body: u16, block: BlockId, known: &mut Vec<(u64, State)>, state: &mut State) -> bool {
        let kind = state.property_digest();
        let Some((_, before)) = known.iter_mut().find(|(known, _)| *known == kind) else {
            known.push((kind, state.clone()));
            return true;
        };
        let mut joined = before.clone();
        joined.trail.clone_from(&state.trail);
        self.join(body, block, &mut joined, state);
        if joined.digest() == before.digest() {
            return false;
        }
        before.clone_from(&joined);
        *state = joined;
        true
    }

    /// Joins a state with another that came to the same block.
    fn join(&mut self, body: u16, block: BlockId, into: &mut State, state: &State) {
        let place = Place { body, value: u32::MAX - block.index() as u32 };
        let syms = &mut self.syms;
        let lost = into.join(state, |var| syms.of(Def::Phi(place, var)));
        for sym in lost {
            self.escape(into, sym, Escape::Stored);
        }
    }

    /// Drops what nothing on the way from a block can ask for, so that states that go on alike are alike.
    fn prune(&self, prepared: &Prepared, block: BlockId, state: &mut State) {
        // Who holds a resource is kept: where it is overwritten is worth saying.
        state.env.retain(|var, sym| !prepared.is_dead(block, var) || self.site_of(sym).is_some());
        let held: FxHashSet<Sym> = (state.env.iter().map(|(_, sym)| sym))
            .chain(state.temps.iter().map(|(_, sym)| sym))
            .chain(state.fields.iter().flat_map(|((base, _), sym)| [base, sym]))
            .collect();
        let mut facts = std::mem::take(&mut state.facts);
        facts.retain(|sym, _| self.is_askable(&held, sym));
        state.facts = facts;
    }

    /// Whether a condition can come up again: it is held, or can be made again of what is.
    fn is_askable(&self, held: &FxHashSet<Sym>, sym: Sym) -> bool {
        if held.contains(&sym) || self.site_of(sym).is_some() || self.is_known_error(sym) {
            return true;
        }
        match self.syms.def(sym) {
            Def::Out(..) | Def::Alloc(_) | Def::Phi(..) | Def::Big(_) => false,
            def => {
                let (x, y) = Syms::operands(def);
                x.into_iter().chain(y).all(|part| self.is_askable(held, part))
            }
        }
    }

    fn is_known_error(&self, sym: Sym) -> bool {
        self.sites_by_error.contains_key(&sym) || self.sites_by_ok.contains_key(&sym)
    }

    /// The states to execute a block with: joined where they are too many.
    fn joined(&mut self, body: u16, block: BlockId, states: Vec<State>) -> Vec<State> {
        if states.len() <= IDLE_MAX {
            return states;
        }
        let mut kinds: Vec<(u64, Vec<State>)> = Vec::new();
        for state in states {
            let kind = state.property_digest();
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, alike)) => alike.push(state),
                None => kinds.push((kind, vec![state])),
            }
        }
        if kinds.len() > KINDS_MAX {
            self.events.gave_up = Some("outcomes of its resources");
            kinds.truncate(KINDS_MAX);
        }
        let most = if self.frames.is_empty() { STATES_MAX } else { INLINED_MAX };
        let mut joined = Vec::new();
        for (_, mut alike) in kinds {
            let idle = alike[0].open().next().is_none();
            if alike.len() > if idle { IDLE_MAX } else { most } {
                let rest = alike.split_off(1);
                let Some(mut into) = alike.pop() else { continue };
                for state in rest {
                    self.join(body, block, &mut into, &state);
                }
                joined.push(into);
            } else {
                joined.append(&mut alike);
            }
        }
        joined
    }

    /// Executes a block. Gives the states with which others are entered.
    fn block(
        &mut self,
        body: u16,
        ir: &ir::Body,
        block: BlockId,
        state: State,
        exits: &mut Vec<Exit>,
    ) -> Vec<(BlockId, State)> {
        let code = ir.code(block);
        let mut work = vec![(state, code.first)];
        let mut out = Vec::new();
        while let Some((mut state, mut at)) = work.pop() {
            loop {
                if at == code.end {
                    self.leave(body, ir, block, &state, &mut out);
                    break;
                }
                self.steps += 1 + state.weight() / 32;
                if self.steps > STEPS_MAX {
                    self.events.gave_up = Some("paths");
                    return out;
                }
                let value = ir::Value::new(at as usize);
                at += 1;
                match self.step(body, ir, value, &mut state) {
                    Flow::Next => {}
                    Flow::Fork(states) => {
                        let (unwinding, going_on): (Vec<State>, Vec<State>) =
                            states.into_iter().partition(|state| state.unwinds);
                        for state in unwinding {
                            self.unwind(ir, ir.instr(value).at, state, exits);
                        }
                        work.extend(going_on.into_iter().rev().map(|state| (state, at)));
                        break;
                    }
                    Flow::Stop => break,
                    Flow::Return(results) => {
                        self.return_(ir, ir.instr(value).at, state, &results, exits);
                        break;
                    }
                    Flow::Unwind => {
                        self.unwind(ir, ir.instr(value).at, state, exits);
                        break;
                    }
                }
            }
        }
        out
    }

    /// Takes the edges out of a block that what is known allows.
    fn leave(&mut self, body: u16, ir: &ir::Body, block: BlockId, state: &State, out: &mut Vec<(BlockId, State)>) {
        let cond = ir.code(block).cond.map(|cond| self.temp(state, body, cond));
        let succs = &ir.cfg.block(block).succs;
        for edge in succs {
            self.steps += state.weight() / 8;
            let mut next = state.clone();
            let possible = match (edge.kind, cond) {
                (EdgeKind::True, Some(cond)) => self.assume(&mut next, cond, true),
                (EdgeKind::False, Some(cond)) => self.assume(&mut next, cond, false),
                _ => true,
            };
            if !possible {
                continue;
            }
            if succs.len() > 1 {
                let before = next.trail.take();
                next.trail = Some(Rc::new(Trail { body, block, edge: edge.kind, before }));
            }
            out.push((edge.to, next));
        }
    }

    /// The body of a literal, where it is not being executed.
    pub(super) fn loaded(&mut self, function: Parent) -> Option<u16> {
        let body = self.load(function)?;
        (self.frames.len() < DEPTH_MAX && !self.active.contains(&body)).then_some(body)
    }

    /// Executes a function literal that is called here. The state back where that is not done: too deep, or recursive.
    pub(super) fn inline(&mut self, mut state: State, lit: ExprId, ops: &Operands) -> Result<Vec<State>, Box<State>> {
        let Some(body) = self.loaded(Parent::Expr(lit)) else { return Err(Box::new(state)) };
        self.set_params(&mut state, lit, ops);
        let ir = Rc::clone(self.ir(body));
        self.frames.push(Frame { defers: state.defers.take() });
        let exits = self.run(body, state);
        let frame = self.frames.pop();
        let mut states = Vec::new();
        for exit in exits {
            let mut state = exit.state;
            state.defers = frame.as_ref().and_then(|frame| frame.defers.clone());
            Self::set_results(&mut state, ops.place, &exit.results);
            states.push(state);
        }
        Ok(self.joined(body, ir.cfg.exit(), states))
    }

    /// Gives the parameters of a function literal what it is called with.
    pub(super) fn set_params(&mut self, state: &mut State, lit: ExprId, ops: &Operands) {
        let Some(body) = self.load(Parent::Expr(lit)) else { return };
        let ir = Rc::clone(self.ir(body));
        let variadic = !ops.spread && self.cx.signature(Parent::Expr(lit)).is_some_and(|of| of.variadic);
        for (i, param) in ir.params.iter().enumerate() {
            let Some(param) = *param else { continue };
            let arg = match ops.args.get(i) {
                _ if variadic && i + 1 == ir.params.len() => self.packed(state, ops, i),
                Some(&arg) => arg,
                None => self.syms.of(Def::Var(param)),
            };
            state.env.set(param, arg);
        }
    }

    /// The slice that a variadic parameter gets, of the arguments from `first` on.
    fn packed(&mut self, state: &mut State, ops: &Operands, first: usize) -> Sym {
        let slice = self.syms.of(Def::Alloc(ops.place));
        self.refresh(state, ops.place);
        for (i, &arg) in ops.args.iter().enumerate().skip(first) {
            if self.carries(state, arg) {
                state.fields.set((slice, Field::Element(i as u32)), arg);
            }
        }
        slice
    }

    /// Files the results of a call.
    fn set_results(state: &mut State, place: Place, results: &[Sym]) {
        if let [only] = results {
            state.temps.set((place, 0), *only);
        }
        for (i, &sym) in results.iter().enumerate() {
            state.temps.set((place, i as u32 + 1), sym);
        }
    }

    /// Makes an expression's constant a symbol.
    fn constant(&mut self, expr: ExprId) -> Sym {
        use std::hash::{Hash, Hasher};
        let Some(value) = self.cx.info().value_of(expr) else {
            return self.syms.of(Def::Const(u64::from(u32::MAX) + expr.index() as u64));
        };
        if let Some(value) = value.as_bool() {
            return Syms::bool(value);
        }
        if let Some(value) = value.as_i64() {
            return self.syms.of(Def::Int(value));
        }
        let mut hasher = rustc_hash::FxHasher::default();
        value.hash(&mut hasher);
        let sym = self.syms.of(Def::Const(hasher.finish()));
        if let Some(text) = value.as_str() {
            self.texts.entry(sym).or_insert_with(|| Rc::from(text));
        }
        sym
    }

    /// What a value is on this path.
    pub(super) fn temp(&mut self, state: &State, body: u16, value: ir::Value) -> Sym {
        let place = Place { body, value: value.index() as u32 };
        match state.temps.get((place, 0)) {
            Some(sym) => sym,
            None => self.syms.of(Def::Out(place, 0)),
        }
    }

    pub(super) fn temps(&mut self, state: &State, body: u16, values: &[ir::Value]) -> Vec<Sym> {
        values.iter().map(|&value| self.temp(state, body, value)).collect()
    }

    /// The results of an instruction are new: what was known of those of an earlier round is not of these.
    pub(super) fn refresh(&mut self, state: &mut State, place: Place) {
        let syms = &self.syms;
        state.facts.retain(|sym, _| !syms.rests_on(sym, place));
        state.fields.retain(|(base, _), _| !syms.rests_on(base, place));
        state.shared.retain(|sym, ()| !syms.rests_on(sym, place));
    }

    /// Executes one instruction.
    fn step(&mut self, body: u16, ir: &ir::Body, value: ir::Value, state: &mut State) -> Flow {
        let instr = ir.instr(value);
        let place = Place { body, value: value.index() as u32 };
        if self.wants_recovery && instr.panic.is_some() && self.deferring == 0 {
            self.panic(state, place, &Why::Any);
        }
        if let Some(reason) = instr.panic
            && let Some(what) = super::events::strong(reason)
            && !matches!(instr.op, Op::Call(_))
            && !self.is_ruled_out(state, body, instr.op, place)
        {
            self.panic(state, place, &Why::Here(what));
        }
        if let Op::Recv { ch, .. } | Op::Send { ch, .. } = instr.op
            && self.temp(state, body, ch) == Sym::NIL
        {
            // A nil channel blocks for ever, and switches its case of a select off.
            return Flow::Stop;
        }
        if let Some(sym) = self.value(body, ir, value, state) {
            state.temps.set((place, 0), sym);
            return Flow::Next;
        }
        match instr.op {
            Op::Store { var, value: from, .. } => {
                let sym = match ir.instr(from).op {
                    Op::Zero => self.zero(var),
                    _ => self.temp(state, body, from),
                };
                self.store_var(state, var, sym, place);
            }
            Op::StoreDeref { ptr, value } => {
                let (ptr, value) = (self.temp(state, body, ptr), self.temp(state, body, value));
                match self.syms.def(ptr) {
                    Def::Addr(var) => self.store_var(state, var, value, place),
                    _ => self.store_field(state, ptr, star(), value),
                }
            }
            Op::StoreField { x, field, value } => {
                let (x, value) = (self.temp(state, body, x), self.temp(state, body, value));
                self.store_field(state, x, field.name, value);
            }
            Op::StoreIndex { x, value, .. } | Op::StoreMap { map: x, value, .. } => {
                let (x, value) = (self.temp(state, body, x), self.temp(state, body, value));
                self.store_element(state, x, place, value);
            }
            Op::Send { value, .. } => {
                let value = self.temp(state, body, value);
                self.escape(state, value, Escape::Stored);
            }
            Op::Go(id) => {
                self.go_statement(state, body, ir, id, place);
            }
            Op::Defer(id) => {
                let call = ir.call(id);
                let fun = call.fun.map(|fun| self.temp(state, body, fun));
                let recv = call.recv.map(|recv| self.temp(state, body, recv));
                let args = self.temps(state, body, ir.values(call.args));
                if Deferred::depth(state.defers.as_ref()) >= DEFERS_MAX {
                    self.events.gave_up = Some("deferred calls");
                } else if !Deferred::has(state.defers.as_ref(), place, (fun, recv, &args)) {
                    let below = state.defers.take();
                    state.defers = Some(Rc::new(Deferred::new(place, id, (fun, recv, args), below)));
                }
            }
            Op::Return(values) => return Flow::Return(self.temps(state, body, ir.values(values))),
            Op::Call(id) => return self.call(state, body, ir, id, place),
            _ => {}
        }
        Flow::Next
    }

    /// Makes a call.
    fn call(&mut self, state: &mut State, body: u16, ir: &ir::Body, id: ir::CallId, place: Place) -> Flow {
        let call = ir.call(id);
        let fun = call.fun.map(|fun| self.temp(state, body, fun));
        let recv = call.recv.map(|recv| self.temp(state, body, recv));
        let args = self.temps(state, body, ir.values(call.args));
        let operands = Operands { place, fun, recv, args, spread: call.spread };
        let was_direct = std::mem::replace(&mut self.directly_deferred, false);
        let direct = was_direct && is_recover(call);
        self.directly_deferred = direct;
        let mut states = self.apply(std::mem::take(state), call, operands);
        self.directly_deferred = was_direct;
        match states.len() {
            0 => Flow::Stop,
            1 => {
                *state = states.remove(0);
                if state.unwinds { Flow::Unwind } else { Flow::Next }
            }
            _ => Flow::Fork(states),
        }
    }

    /// What an instruction gives. None where it does something instead.
    fn value(&mut self, body: u16, ir: &ir::Body, value: ir::Value, state: &mut State) -> Option<Sym> {
        let instr = ir.instr(value);
        let place = Place { body, value: value.index() as u32 };
        let sym = match instr.op {
            Op::Const => match instr.at {
                At::Expr(expr) => self.constant(expr),
                _ => self.new_value(state, place),
            },
            Op::Nil | Op::Zero => Sym::NIL,
            Op::Func(func) => self.syms.of(Def::Func(func)),
            Op::Closure(lit) => {
                for &var in &*self.cx.captured(lit) {
                    if let Some(held) = state.env.get(var) {
                        self.look_at_cancel(state, held);
                    }
                }
                self.syms.of(Def::Closure(lit))
            }
            Op::MethodValue { recv, method } => {
                let recv = self.temp(state, body, recv);
                self.syms.of(Def::Method(recv, method))
            }
            Op::InterfaceMethodValue { recv, method } => {
                let recv = self.temp(state, body, recv);
                self.syms.of(Def::InterfaceMethod(recv, method))
            }
            Op::Opaque(operands) => {
                for sym in self.temps(state, body, ir.values(operands)) {
                    self.escape(state, sym, Escape::Stored);
                }
                self.new_value(state, place)
            }
            Op::Load(var) => {
                let sym = self.struct_var(state, var);
                self.look_at_cancel(state, sym);
                sym
            }
            Op::Addr(var) => self.syms.of(Def::Addr(var)),
            Op::Field { x, field, .. } => {
                let base = self.temp(state, body, x);
                let sym = self.field(state, base, field.name);
                if let Some(site) = self.site_of(sym) {
                    state.resource_mut(site).touched = true;
                }
                sym
            }
            Op::FieldAddr { x, field } => {
                let base = self.temp(state, body, x);
                self.field(state, base, field.name)
            }
            Op::Deref(x) => {
                let ptr = self.temp(state, body, x);
                self.deref(state, ptr)
            }
            Op::Index { x, .. } | Op::IndexAddr { x, .. } | Op::MapIndex { map: x, .. } => {
                let base = self.temp(state, body, x);
                if instr.panic == Some(ir::Panic::Index) && matches!(ir.instr(x).op, Op::Call(_)) {
                    // What a call returned is as long as what it was given makes it.
                    self.panic(state, place, &Why::Here("an index into what a call returned"));
                }
                self.release_elements(state, base);
                self.element(state, base, place)
            }
            Op::ToInterface(x) => {
                let sym = self.temp(state, body, x);
                if let Some(ty) = self.static_type(ir, x) {
                    self.dynamic.entry(sym).or_insert(ty);
                }
                sym
            }
            Op::Slice { x, .. } | Op::Convert(x) | Op::Assert { x, .. } => self.temp(state, body, x),
            Op::Unary { op: UnaryOp::Not, x } => {
                let x = self.temp(state, body, x);
                self.syms.not(x)
            }
            Op::Unary { x, op } => match (op, self.temp(state, body, x)) {
                (UnaryOp::Plus, sym) => sym,
                _ => self.new_value(state, place),
            },
            Op::Binary { op, x, y } if op.is_comparison() => {
                let (x, y) = (self.temp(state, body, x), self.temp(state, body, y));
                self.compared(state, x, y);
                self.syms.compare(op, x, y)
            }
            Op::Logic { and, x, y } => self.logic(state, body, and, x, y),
            Op::TypeTest { x, ty } => {
                let x = self.temp(state, body, x);
                if self.cx.is_nil(ty) {
                    self.syms.compare(BinaryOp::Eq, x, Sym::NIL)
                } else {
                    self.refresh(state, place);
                    self.type_test(place, x, ty)
                }
            }
            Op::Recv { ch, .. } => {
                let ch = self.temp(state, body, ch);
                if let Some(&site) = self.cancels.get(&ch) {
                    // The context is done: there is nothing left to cancel.
                    state.resource_mut(site).status = Status::Released(place);
                }
                self.new_value(state, place)
            }
            Op::Binary { .. } => self.new_value(state, place),
            Op::RangeNext(x) => {
                let base = self.temp(state, body, x);
                self.release_elements(state, base);
                let element = self.element(state, base, place);
                state.temps.set((place, 2), element);
                self.new_value(state, place)
            }
            Op::Extract { tuple, index } => self.extract(state, body, ir, tuple, index),
            Op::Composite { values, fields, map } => {
                let sym = self.syms.of(Def::Alloc(place));
                self.refresh(state, place);
                self.composite(state, sym, body, ir, (values, fields, map));
                sym
            }
            Op::New(x) => {
                let inner = self.temp(state, body, x);
                if matches!(self.syms.def(inner), Def::Alloc(_)) {
                    inner
                } else {
                    let sym = self.syms.of(Def::Alloc(place));
                    self.refresh(state, place);
                    state.fields.set((sym, Field::Named(star())), inner);
                    sym
                }
            }
            Op::Store { .. }
            | Op::StoreDeref { .. }
            | Op::StoreField { .. }
            | Op::StoreIndex { .. }
            | Op::StoreMap { .. }
            | Op::Send { .. }
            | Op::Go(_)
            | Op::Defer(_)
            | Op::Return(_)
            | Op::Call(_) => return None,
        };
        Some(sym)
    }

    /// A value that nothing is known of.
    pub(super) fn new_value(&mut self, state: &mut State, place: Place) -> Sym {
        self.refresh(state, place);
        self.syms.of(Def::Out(place, 0))
    }

    fn extract(&mut self, state: &mut State, body: u16, ir: &ir::Body, tuple: ir::Value, index: u32) -> Sym {
        let place = Place { body, value: tuple.index() as u32 };
        if let Some(sym) = state.temps.get((place, index + 1)) {
            return sym;
        }
        match ir.instr(tuple).op {
            Op::Assert { x, .. } if index == 0 => self.temp(state, body, x),
            Op::Assert { x, ty, .. } => {
                let x = self.temp(state, body, x);
                self.type_test(place, x, ty)
            }
            _ => self.syms.of(Def::Out(place, index)),
        }
    }

    /// Whether what is known rules a panic out: the divisor is not zero, the value has the type.
    fn is_ruled_out(&mut self, state: &State, body: u16, op: Op, place: Place) -> bool {
        match op {
            Op::Binary { y, .. } => {
                let divisor = self.temp(state, body, y);
                let zero = self.syms.of(Def::Int(0));
                let is_zero = self.syms.compare(BinaryOp::Eq, divisor, zero);
                let is_at_most_zero = self.syms.compare(BinaryOp::Le, divisor, zero);
                self.eval(state, is_zero) == Some(false) || self.eval(state, is_at_most_zero) == Some(false)
            }
            Op::Assert { x, ty, .. } => {
                let x = self.temp(state, body, x);
                self.type_test(place, x, ty) == Sym::TRUE
            }
            _ => false,
        }
    }

    /// The type of a value as the code has it.
    fn static_type(&self, ir: &ir::Body, value: ir::Value) -> Option<Type> {
        let (from, index) = match ir.instr(value).op {
            Op::Extract { tuple, index } => (tuple, Some(index as usize)),
            _ => (value, None),
        };
        let At::Expr(expr) = ir.instr(from).at else { return None };
        match (self.cx.info().type_of(expr), index) {
            (Type::Tuple(types), Some(index)) => types.get(index).cloned(),
            (_, Some(_)) => None,
            (ty, None) => Some(ty.clone()),
        }
    }

    /// Whether a value has a type. What has one is not nil, and what was made an interface here has the one it had.
    fn type_test(&mut self, place: Place, x: Sym, ty: ExprId) -> Sym {
        let bodies = self.cx.pkg.bodies;
        let wanted = self.cx.info().type_of(ty);
        let known = self
            .dynamic
            .get(&x)
            .filter(|known| !known.is_unknown() && !bodies.is_interface(known) && !matches!(known, Type::Param(_)));
        if let Some(known) = known
            && !wanted.is_unknown()
            && !matches!(wanted, Type::Param(_))
        {
            let has = match bodies.underlying(wanted) {
                Type::Interface(interface) => bodies.implements(known, &interface),
                _ => known == wanted,
            };
            return Syms::bool(has);
        }
        self.syms.of(Def::ErrorTest(place, x))
    }

    fn logic(&mut self, state: &State, body: u16, and: bool, x: ir::Value, y: ir::Value) -> Sym {
        let left = self.temp(state, body, x);
        match self.eval(state, left) {
            Some(true) if !and => return Sym::TRUE,
            Some(false) if and => return Sym::FALSE,
            Some(_) => return self.temp(state, body, y),
            None => {}
        }
        let right = self.temp(state, body, y);
        self.syms.of(if and { Def::And(left, right) } else { Def::Or(left, right) })
    }
}

pub(super) fn is_recover(call: &ir::Call) -> bool {
    call.callee == Callee::Builtin(Builtin::Recover)
}

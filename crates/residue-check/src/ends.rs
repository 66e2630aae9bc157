//! Which functions end the process where they fail.
//!
//! What is left open by a program that is about to end is no leak: the kernel takes it back. Where a function fails
//! and its error goes up to `os.Exit`, `log.Fatal` or the end of `main`, that is so, but the function alone does not
//! tell. Each package tells what follows each call where that fails ([`After`]); when all have, [`Ends`] walks up.
//! A function is asked about only if all its callers are in sight: those of one that other modules can call, that an
//! interface can name or that somebody keeps as a value are not, unless a model says that the value is a command of a
//! command line library, whose error ends the process.
//!
//! A failure of which the caller does anything else than pass it on or end, such as to log it and to go on, or to try
//! again, leaves the process alive.

use residue_flow::ir::{self, Op, Value};
use residue_flow::{BlockId, EdgeKind, End, Parent, Stop};
use residue_syntax::ast::BinaryOp;
use residue_types::{Callee, ObjId, Object, Objects, Symbol, Type};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::context::{FileCx, PackageCx};
use crate::reach::{self, Calls, Key};

/// Blocks that are looked at after one call.
const BLOCKS_MAX: usize = 48;

/// What follows a call that fails; of a function that gives no error, what follows its return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    /// The process ends.
    Ends,
    /// The caller fails, too.
    Passed(Key),
    /// Something else.
    LivesOn,
}

/// What follows each call of the package where it fails, by the function that is called.
pub(crate) fn failures(pkg: &PackageCx<'_>) -> Vec<(Key, After)> {
    let mut out = Vec::new();
    let mut through: FxHashSet<Symbol> = FxHashSet::default();
    for cx in pkg.files().filter(|cx| !cx.source().test) {
        for function in residue_flow::functions(cx.tree()) {
            let Some(ir) = cx.ir(function.key()) else { continue };
            one(cx, &ir, &mut out);
            let named = ir.all().filter_map(|instr| match instr.op {
                Op::InterfaceMethodValue { method, .. } => Some(method),
                Op::Call(call) | Op::Go(call) | Op::Defer(call) => match ir.call(call).callee {
                    Callee::Interface { method, .. } => Some(method),
                    _ => None,
                },
                _ => None,
            });
            through.extend(named.filter(|name| !name.is_exported()));
        }
    }
    let objects = pkg.bodies.program().declarations(pkg.bodies.package());
    for (index, object) in objects.into_iter().flat_map(residue_types::Declarations::objects).enumerate() {
        if object.func().is_some_and(|func| func.recv().is_some()) && through.contains(&object.name) {
            let id = ObjId { pkg: pkg.bodies.package(), index: index as u32 };
            out.push((reach::declared(pkg, id), After::LivesOn));
        }
    }
    out
}

fn one(cx: FileCx<'_>, ir: &ir::Body, out: &mut Vec<(Key, After)>) {
    let walk = Walk::new(cx, ir);
    let mut commands: Vec<Value> = Vec::new();
    for (block, data) in ir.cfg.blocks() {
        if !data.live {
            continue;
        }
        for (value, instr) in ir.instrs(block) {
            commands_of(cx, ir, instr, &mut commands);
            match instr.op {
                Op::Call(id) => {
                    if let Callee::Func(callee) = ir.call(id).callee
                        && is_closed(cx, callee)
                    {
                        out.push((reach::declared(cx.pkg, callee), walk.after(block, value, callee)));
                    }
                }
                Op::Go(id) | Op::Defer(id) => {
                    if let Callee::Func(callee) = ir.call(id).callee {
                        out.push((reach::declared(cx.pkg, callee), After::LivesOn));
                    }
                }
                _ => {}
            }
        }
    }
    for (block, _) in ir.cfg.blocks() {
        for (value, instr) in ir.instrs(block) {
            let is_command = commands.contains(&value);
            let after = if is_command { After::Ends } else { After::LivesOn };
            match instr.op {
                Op::Func(id) | Op::MethodValue { method: id, .. } => out.push((reach::declared(cx.pkg, id), after)),
                Op::Closure(lit) if is_command => out.push((reach::key(cx, Parent::Expr(lit)), after)),
                _ => {}
            }
        }
    }
}

/// Adds the functions that an instruction makes commands of, as a model says: it sets a field of a command to them, or
/// hands them to a function that does.
fn commands_of(cx: FileCx<'_>, ir: &ir::Body, instr: ir::Instr, out: &mut Vec<Value>) {
    let command = |ty: &Type| {
        let (package, name) = cx.pkg.bodies.type_name(ty.strip_pointer())?;
        cx.models().commands(package, name.as_str())
    };
    let of_value = |value: Value| match ir.instr(value).at {
        ir::At::Expr(expr) => command(cx.info().type_of(expr)),
        _ => None,
    };
    match instr.op {
        Op::Composite { values, fields, .. } => {
            let ir::At::Expr(expr) = instr.at else { return };
            let ty = cx.info().type_of(expr).strip_pointer();
            let Some(names) = command(ty) else { return };
            let Type::Struct(data) = cx.pkg.bodies.underlying(ty) else { return };
            for (&value, &field) in ir.values(values).iter().zip(ir.field_indices(fields)) {
                if data.fields.get(field as usize).is_some_and(|field| names.contains(field.name.as_str())) {
                    out.push(function_of(ir, value));
                }
            }
        }
        Op::StoreField { x, field, value } if of_value(x).is_some_and(|names| names.contains(field.name.as_str())) => {
            out.push(function_of(ir, value));
        }
        Op::Call(id) => {
            let call = ir.call(id);
            if cx.roles(call.expr).is_some_and(|roles| roles.commands) {
                out.extend(ir.values(call.args).iter().map(|&arg| function_of(ir, arg)));
            }
        }
        _ => {}
    }
}

/// What a value is before it was converted.
fn function_of(ir: &ir::Body, mut value: Value) -> Value {
    while let Op::Convert(x) | Op::ToInterface(x) = ir.instr(value).op {
        value = x;
    }
    value
}

/// Whether only code of this module calls a function: it is not exported, or its package is a program or one that says
/// by its path that it is not for others. An exported method may be called through an interface.
fn is_closed(cx: FileCx<'_>, function: ObjId) -> bool {
    let bodies = cx.pkg.bodies;
    let Some(object) = bodies.object(function) else { return false };
    if !object.name.is_exported() {
        return true;
    }
    let program = bodies.program();
    let is_method = object.func().is_some_and(|func| func.recv().is_some());
    let path = program.package_path(function.pkg);
    let is_program = function.pkg == bodies.package() && &*cx.pkg.package.name == "main";
    !is_method
        && (is_program || path.split('/').any(|part| part == "internal" || part == "cmd"))
        && !cx.is_std_of_others(function)
}

/// The index of the error among a function's results.
fn error_of(object: &Object) -> Option<usize> {
    match object.ty() {
        Type::Func(signature) => error_among(&signature.results),
        _ => None,
    }
}

fn error_among(results: &[Type]) -> Option<usize> {
    results.iter().rposition(|ty| *ty == residue_types::error_type())
}

/// A look at what follows calls in one body.
struct Walk<'a, 'b> {
    cx: FileCx<'a>,
    ir: &'b ir::Body,
    own: Key,
    own_error: Option<usize>,
    is_main: bool,
}

/// One way on from a call.
#[derive(Clone)]
struct Way {
    block: BlockId,
    /// The blocks it has been in.
    been: Vec<BlockId>,
    /// The values and variables that are the error, or made of it.
    values: Vec<Value>,
    vars: Vec<ObjId>,
    /// Whether nothing was called in between that may go on for long.
    quiet: bool,
}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(cx: FileCx<'a>, ir: &'b ir::Body) -> Self {
        let function = cx.function(ir.function);
        Self {
            cx,
            ir,
            own: reach::key(cx, ir.function),
            own_error: error_among(&cx.result_types(ir.function)),
            is_main: function.is_some_and(|function| cx.is_main(function)),
        }
    }

    /// What follows a call of `callee` where that fails.
    fn after(&self, block: BlockId, call: Value, callee: ObjId) -> After {
        let Some(object) = self.cx.pkg.bodies.object(callee) else { return After::LivesOn };
        let error = error_of(object);
        let single = matches!(object.ty(), Type::Func(signature) if signature.results.len() == 1);
        let values = if error.is_some() && single { vec![call] } else { Vec::new() };
        let start = Way { block, been: vec![block], values, vars: Vec::new(), quiet: true };
        let mut after = None;
        let mut ways = vec![(start, call.index() as u32 + 1)];
        let mut blocks = 0;
        while let Some((mut way, from)) = ways.pop() {
            blocks += 1;
            let end =
                if blocks > BLOCKS_MAX { Some(After::LivesOn) } else { self.block(&mut way, from, (call, error)) };
            match end {
                Some(After::LivesOn) => return After::LivesOn,
                Some(end) => {
                    // Of ways that end and ways that pass it on, the latter decide.
                    after = after.filter(|&known| known != After::Ends).or(Some(end));
                }
                None => {
                    let failed = self.failed_edge(&way);
                    for edge in &self.ir.cfg.block(way.block).succs {
                        if failed.is_some_and(|failed| failed != edge.kind) {
                            continue;
                        }
                        if way.been.contains(&edge.to) {
                            // Another round.
                            return After::LivesOn;
                        }
                        let mut next = Way { block: edge.to, ..way.clone() };
                        next.been.push(edge.to);
                        ways.push((next, self.ir.code(edge.to).first));
                    }
                }
            }
        }
        after.unwrap_or(After::LivesOn)
    }

    fn passed(&self) -> After {
        After::Passed(self.own)
    }

    /// Follows a way to the end of its block. Gives how it ends there, if it does.
    fn block(&self, way: &mut Way, from: u32, (call, error): (Value, Option<usize>)) -> Option<After> {
        for index in from..self.ir.code(way.block).end {
            let value = Value::new(index as usize);
            let instr = self.ir.instr(value);
            match instr.op {
                Op::Extract { tuple, index } if tuple == call && Some(index as usize) == error => {
                    way.values.push(value);
                }
                Op::Load(var) if way.vars.contains(&var) => way.values.push(value),
                Op::Store { var, value: from, .. } => {
                    way.vars.retain(|&known| known != var);
                    if way.values.contains(&from) {
                        way.vars.push(var);
                    }
                }
                Op::Return(values) => return Some(self.returned(way, self.ir.values(values), error.is_some())),
                Op::Call(id) => {
                    let made = self.ir.call(id);
                    if self.ends(made) {
                        return Some(if way.quiet { After::Ends } else { After::LivesOn });
                    }
                    if self.is_of(way, instr.op) {
                        way.values.push(value);
                    } else {
                        way.quiet &= self.is_short(made);
                        // Without an error only what comes at once counts.
                        if !way.quiet && error.is_none() {
                            return Some(After::LivesOn);
                        }
                    }
                }
                op if self.is_of(way, op) => way.values.push(value),
                _ => {}
            }
        }
        match self.ir.cfg.block(way.block).end {
            End::Edges => None,
            End::Exit if self.is_main && way.quiet => Some(After::Ends),
            End::Stop(Stop::Exit, _) if way.quiet => Some(After::Ends),
            End::Stop(..) | End::Blocked | End::Broken | End::Exit => Some(After::LivesOn),
        }
    }

    /// What it means that the caller returns.
    fn returned(&self, way: &Way, values: &[Value], fails: bool) -> After {
        if self.is_main {
            return if way.quiet { After::Ends } else { After::LivesOn };
        }
        match self.own_error {
            Some(error) if fails => match values.get(error) {
                Some(value) if way.values.contains(value) || self.is_new_error(*value) => self.passed(),
                _ => After::LivesOn,
            },
            None if way.quiet => self.passed(),
            _ => After::LivesOn,
        }
    }

    /// Whether a value is an error that was made here, and so is not nil.
    fn is_new_error(&self, value: Value) -> bool {
        let Op::Call(id) = self.ir.instr(function_of(self.ir, value)).op else { return false };
        let call = self.ir.call(id);
        let summary = || self.cx.summary_of(&call.callee).is_some_and(|summary| summary.makes_error);
        self.cx.roles(call.expr).map_or_else(summary, |roles| roles.makes_error)
    }

    /// Whether a call ends the process.
    fn ends(&self, call: &ir::Call) -> bool {
        match self.cx.roles(call.expr) {
            Some(roles) => roles.no_return == Some(Stop::Exit),
            None => self.cx.summary_of(&call.callee).is_some_and(|summary| summary.stops == Some(Stop::Exit)),
        }
    }

    /// Whether what an instruction gives is made of the error.
    fn is_of(&self, way: &Way, op: Op) -> bool {
        let mut is_of = false;
        if op.has_value() && !matches!(op, Op::Binary { .. } | Op::Unary { .. }) {
            self.ir.operands(op, &mut |operand| is_of |= way.values.contains(&operand));
        }
        is_of
    }

    /// Whether a call is over soon, and not what the program is there for: of a function that a model speaks of, of the
    /// standard library but for its servers, or a release.
    fn is_short(&self, call: &ir::Call) -> bool {
        let by_package = |id: ObjId| {
            let path = self.cx.pkg.bodies.program().package_path(id.pkg);
            self.cx.is_std_of_others(id) && path != "net" && !path.starts_with("net/")
        };
        match call.callee {
            Callee::Builtin(_) => true,
            _ if self.cx.roles(call.expr).is_some() => true,
            _ if self.cx.models().is_release_name(self.cx.method_name(call)) => true,
            Callee::Func(id) => by_package(id),
            _ => false,
        }
    }

    /// The edge that is taken where there is an error, if the block asks for it.
    fn failed_edge(&self, way: &Way) -> Option<EdgeKind> {
        let Op::Binary { op, x, y } = self.ir.instr(self.ir.code(way.block).cond?).op else { return None };
        let is_nil = |value: Value| matches!(self.ir.instr(function_of(self.ir, value)).op, Op::Nil);
        let asks = way.values.contains(&x) && is_nil(y) || way.values.contains(&y) && is_nil(x);
        match op {
            BinaryOp::Ne if asks => Some(EdgeKind::True),
            BinaryOp::Eq if asks => Some(EdgeKind::False),
            _ => None,
        }
    }
}

/// Which functions end the process where they fail.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    after: FxHashMap<Key, Vec<After>>,
}

impl Ends {
    pub(crate) fn new(packages: &[&Calls]) -> Self {
        let mut after: FxHashMap<Key, Vec<After>> = FxHashMap::default();
        for &(function, then) in packages.iter().flat_map(|calls| &calls.failures) {
            let known = after.entry(function).or_default();
            if !known.contains(&then) {
                known.push(then);
            }
        }
        Self { after }
    }

    /// Whether the process ends whenever a function fails. One that nobody calls is called by somebody who is not seen.
    pub(crate) fn ends(&self, function: Key) -> bool {
        let mut seen: FxHashSet<Key> = FxHashSet::from_iter([function]);
        let mut work = vec![function];
        while let Some(at) = work.pop() {
            let Some(after) = self.after.get(&at) else { return false };
            for &then in after {
                match then {
                    After::Ends => {}
                    After::LivesOn => return false,
                    After::Passed(caller) => {
                        if seen.insert(caller) {
                            work.push(caller);
                        }
                    }
                }
            }
        }
        true
    }
}

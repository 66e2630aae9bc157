//! Which functions run below a `recover` that lets the process live.
//!
//! Each package tells what its functions call and which of them recover; when all have, [`Shields::new`] walks the calls
//! from those that recover. Calls through interfaces lead to methods of that name, where the code has few. What
//! net/http and gRPC call is below the recovers that these have or that the code's own interceptors have.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use residue_finding::Site;
use residue_flow::Parent;
use residue_flow::ir::{self, Op};
use residue_syntax::ast::{Decl, ExprId, Span};
use residue_types::{Callee, ObjId, Objects, Symbol, Type};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use crate::context::{FileCx, PackageCx};
use crate::ends::{self, After};
use crate::state::Analysis;
use crate::state::summary::Effect;

/// Methods of one name beyond which a call through an interface is not followed.
const IMPLEMENTATIONS_MAX: usize = 3;

/// A function or literal, by the digest of its name: the same for all variants of a package.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key(pub(crate) u64);

/// Something that recovers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Shield {
    /// Who recovers, for people.
    pub(crate) who: String,
    /// Where, in the code that is analysed.
    pub(crate) site: Option<Site>,
}

/// What a package tells of its functions.
#[derive(Default, Debug)]
pub(crate) struct Calls {
    /// Caller and callee.
    pub(crate) edges: Vec<(Key, Key)>,
    /// Caller and the method it calls through an interface.
    pub(crate) through: Vec<(Key, Symbol)>,
    pub(crate) methods: Vec<(Symbol, Key)>,
    /// Functions that recover from panics of what they call, and return.
    pub(crate) shields: Vec<(Key, Shield)>,
    /// Functions that a library calls below a recover of its own.
    pub(crate) shielded: Vec<(Key, Shield)>,
    /// Methods of the shape that a gRPC server calls.
    pub(crate) services: Vec<(Symbol, Key)>,
    /// Methods of the interfaces that are generated for services: `FilesServer`.
    pub(crate) of_servers: Vec<Symbol>,
    /// An interceptor that recovers.
    pub(crate) interceptor: Option<Shield>,
    /// What follows each call where it fails.
    pub(crate) failures: Vec<(Key, After)>,
}

/// The key of a declared function.
pub(crate) fn declared(cx: &PackageCx<'_>, function: ObjId) -> Key {
    Key(cx.digest(function))
}

/// The key of a function or literal.
pub(crate) fn key(cx: FileCx<'_>, function: Parent) -> Key {
    match function {
        Parent::Decl(decl) => match cx.declared(decl) {
            Some(id) => declared(cx.pkg, id),
            None => Key(0),
        },
        Parent::Expr(lit) => {
            let mut hasher = FxHasher::default();
            (&*cx.source().path, cx.tree().expr_span(lit).start).hash(&mut hasher);
            Key(hasher.finish())
        }
        _ => Key(0),
    }
}

/// What the functions of a package call, and which recover.
pub(crate) fn calls(pkg: &PackageCx<'_>, analysis: &Analysis<'_>) -> Calls {
    let mut calls = Calls { failures: ends::failures(pkg), ..Calls::default() };
    for cx in pkg.files() {
        for function in residue_flow::functions(cx.tree()) {
            one(cx, function.key(), &mut calls);
        }
    }
    let declared = pkg.bodies.program().declarations(pkg.bodies.package());
    for object in declared.into_iter().flat_map(residue_types::Declarations::objects) {
        if object.name.as_str().ends_with("Server")
            && let Some(Type::Interface(interface)) = object.underlying()
        {
            calls.of_servers.extend(interface.methods.iter().map(|method| method.name));
        }
    }
    for executed in &analysis.executed {
        if executed.exec.events.recoveries.is_empty() {
            continue;
        }
        let cx = executed.exec.cx;
        let who = format!("{} recovers", crate::rules::path::function_name(cx, executed.function));
        let shield = Shield { who, site: deferred_recover(cx, executed.function) };
        if is_interceptor(cx, executed.function) && calls.interceptor.as_ref().is_none_or(|known| shield < *known) {
            calls.interceptor = Some(shield.clone());
        }
        calls.shields.push((key(cx, executed.function), shield));
    }
    calls
}

fn one(cx: FileCx<'_>, function: Parent, calls: &mut Calls) {
    let Some(ir) = cx.ir(function) else { return };
    let own = key(cx, function);
    // A goroutine's panic is below nobody's recover but its own; what somebody keeps is called by others.
    let mut elsewhere: Vec<ExprId> = Vec::new();
    for instr in ir.all() {
        match instr.op {
            Op::Go(call) => elsewhere.extend(ir.literal(ir.call(call))),
            Op::Call(call) | Op::Defer(call) => elsewhere.extend(kept_literals(cx, &ir, ir.call(call))),
            _ => {}
        }
    }
    for instr in ir.all() {
        match instr.op {
            Op::Call(call) | Op::Defer(call) => match ir.call(call).callee {
                Callee::Func(id) => calls.edges.push((own, declared(cx.pkg, id))),
                Callee::Interface { method, .. } => calls.through.push((own, method)),
                _ => {}
            },
            Op::Func(id) | Op::MethodValue { method: id, .. } => calls.edges.push((own, declared(cx.pkg, id))),
            Op::Closure(lit) if !elsewhere.contains(&lit) => calls.edges.push((own, key(cx, Parent::Expr(lit)))),
            _ => {}
        }
    }
    if let Parent::Decl(decl) = function
        && let Some(id) = cx.declared(decl)
        && let Some(object) = cx.pkg.bodies.object(id)
        && let Some(func) = object.func()
        && func.recv().is_some()
    {
        calls.methods.push((object.name, own));
        if object.name.is_exported() && is_service(cx, function) {
            calls.services.push((object.name, own));
        }
    }
    if is_handler(cx, function) {
        let shield = Shield { who: "net/http recovers from panics of handlers".to_owned(), site: None };
        calls.shielded.push((own, shield));
    }
}

/// The literals among the arguments of a call that the function called keeps or starts, and doesn't call itself.
fn kept_literals<'a>(cx: FileCx<'a>, ir: &'a ir::Body, call: &'a ir::Call) -> impl Iterator<Item = ExprId> + 'a {
    let summary = match call.callee {
        Callee::Func(id) => cx.pkg.summary(id),
        _ => None,
    };
    summary.into_iter().flat_map(move |summary| {
        let kept = (0..summary.params.len()).filter(move |&param| summary.effect(param) == Effect::Escaped);
        kept.filter_map(|param| match ir.instr(ir.operand(call, param)?).op {
            Op::Closure(lit) => Some(lit),
            _ => None,
        })
    })
}

fn parameters(cx: FileCx<'_>, function: Parent) -> Vec<Type> {
    cx.signature(function).map_or_else(Vec::new, |signature| signature.params.clone())
}

/// Whether a function is an HTTP handler: `func(http.ResponseWriter, *http.Request)`.
pub(crate) fn is_handler(cx: FileCx<'_>, function: Parent) -> bool {
    let bodies = cx.pkg.bodies;
    match &parameters(cx, function)[..] {
        [writer, Type::Pointer(request)] => {
            bodies.is_named(writer, "net/http", "ResponseWriter") && bodies.is_named(request, "net/http", "Request")
        }
        _ => false,
    }
}

/// Whether a function has the shape of an interceptor: its last parameter is the handler, as a model says.
pub(crate) fn is_interceptor(cx: FileCx<'_>, function: Parent) -> bool {
    let last = parameters(cx, function).pop();
    let named = last.as_ref().and_then(|ty| cx.pkg.bodies.type_name(ty));
    named.is_some_and(|(package, name)| cx.models().is_handler(package, name.as_str()))
}

/// Whether a method has the shape of a gRPC service's: `(context.Context, *Request) (*Reply, error)`, or `(…, stream) error`.
fn is_service(cx: FileCx<'_>, function: Parent) -> bool {
    let bodies = cx.pkg.bodies;
    let params = parameters(cx, function);
    let results = cx.result_types(function);
    let error = residue_types::error_type();
    match (&params[..], &results[..]) {
        ([context, Type::Pointer(_)], [Type::Pointer(_), last]) => {
            *last == error && bodies.is_named(context, "context", "Context")
        }
        ([.., stream], [last]) => *last == error && bodies.is_interface(stream),
        _ => false,
    }
}

/// The deferred call that may recover, and the literal with `recover` in it that it calls.
pub(crate) fn deferred_call(cx: FileCx<'_>, function: Parent) -> Option<(ExprId, Option<ExprId>)> {
    let ir = cx.ir(function)?;
    ir.all().find_map(|instr| {
        let Op::Defer(call) = instr.op else { return None };
        let call = ir.call(call);
        match (ir.literal(call), &call.callee) {
            (Some(lit), _) => cx.calls_recover(lit).then_some((call.expr, Some(lit))),
            (None, &Callee::Func(id)) => cx.pkg.summary(id)?.recovers.then_some((call.expr, None)),
            _ => None,
        }
    })
}

/// Where a function defers what recovers: the first line of the deferred call.
pub(crate) fn deferred_recover(cx: FileCx<'_>, function: Parent) -> Option<Site> {
    let tree = cx.tree();
    let span = match (deferred_call(cx, function), function) {
        (Some((call, _)), _) => {
            let span = tree.expr_span(call);
            let line = tree.line_span(tree.line_col(span.start).line);
            Span::new(span.start, line.map_or(span.end, |line| line.end.min(span.end)))
        }
        (None, Parent::Decl(decl)) => match tree.decl(decl) {
            Decl::Func(func) => tree.ident_span(func.name),
            _ => return None,
        },
        _ => return None,
    };
    Some(cx.site(span))
}

/// Where a function recovers: the call of `recover` in a deferred literal, or the deferred call of a helper.
pub(crate) fn recover_call(cx: FileCx<'_>, function: Parent) -> Option<Site> {
    if let Some((_, Some(lit))) = deferred_call(cx, function)
        && let Some(ir) = cx.ir(Parent::Expr(lit))
    {
        let recover = ir.calls().iter().find(|call| call.callee == Callee::Builtin(residue_types::Builtin::Recover));
        return recover.map(|call| cx.site_of(call.expr));
    }
    deferred_recover(cx, function)
}

/// The functions that run below a recover, each with the nearest.
#[derive(Debug, Default)]
pub(crate) struct Shields {
    by: FxHashMap<Key, Shield>,
}

impl Shields {
    pub(crate) fn new(packages: &[&Calls]) -> Self {
        let mut edges: FxHashMap<Key, Vec<Key>> = FxHashMap::default();
        let mut methods: FxHashMap<Symbol, Vec<Key>> = FxHashMap::default();
        for calls in packages {
            for &(name, key) in &calls.methods {
                methods.entry(name).or_default().push(key);
            }
        }
        for keys in methods.values_mut() {
            keys.sort_unstable();
            keys.dedup();
        }
        for calls in packages {
            for &(from, to) in &calls.edges {
                edges.entry(from).or_default().push(to);
            }
            for (from, name) in &calls.through {
                if let Some(keys) = methods.get(name).filter(|keys| keys.len() <= IMPLEMENTATIONS_MAX) {
                    edges.entry(*from).or_default().extend(keys);
                }
            }
        }
        let mut starts: Vec<(Shield, Key)> = Vec::new();
        let of_servers: FxHashSet<Symbol> =
            packages.iter().flat_map(|calls| calls.of_servers.iter().copied()).collect();
        let interceptor = packages.iter().filter_map(|calls| calls.interceptor.as_ref()).min();
        for calls in packages {
            starts.extend(calls.shielded.iter().map(|(key, shield)| (shield.clone(), *key)));
            for (key, shield) in &calls.shields {
                // The frame that recovers is seen to where it is executed; here it is about what it calls.
                let called = edges.get(key).map_or(&[][..], Vec::as_slice);
                starts.extend(called.iter().map(|&callee| (shield.clone(), callee)));
            }
            if let Some(interceptor) = interceptor {
                let served = calls.services.iter().filter(|(name, _)| of_servers.contains(name));
                starts.extend(served.map(|&(_, key)| (interceptor.clone(), key)));
            }
        }
        starts.sort();
        let mut by: FxHashMap<Key, Shield> = FxHashMap::default();
        let mut queue = VecDeque::new();
        for (shield, key) in starts {
            if let std::collections::hash_map::Entry::Vacant(slot) = by.entry(key) {
                slot.insert(shield.clone());
                queue.push_back((key, shield));
            }
        }
        while let Some((key, shield)) = queue.pop_front() {
            for &next in edges.get(&key).map_or(&[][..], Vec::as_slice) {
                if let std::collections::hash_map::Entry::Vacant(slot) = by.entry(next) {
                    slot.insert(shield.clone());
                    queue.push_back((next, shield.clone()));
                }
            }
        }
        Self { by }
    }

    /// The recover above a function.
    pub(crate) fn above(&self, function: Key) -> Option<&Shield> {
        self.by.get(&function)
    }
}

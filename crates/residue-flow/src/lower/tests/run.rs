//! Runs the code of a program and compares what it prints with what Go printed.
//!
//! `run.txt` is what `go run run.go` of Go 1.27 writes to stderr. What panics here has to be an instruction that says
//! that it can.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use residue_project::PackageId;
use residue_syntax::ast::{BinaryOp, ExprId, UnaryOp};
use residue_types::{Bodies, Builtin, Callee, Const, ObjId, Objects, SelectionKind, Symbol, Type};

use super::{captured, lower, program};
use crate::build::Typed;
use crate::cfg::{EdgeKind, End};
use crate::ir::{At, Body, CallId, Instr, Op, Panic, Value, Values};
use crate::tree::{FunctionKind, Parent, functions};

type Cell = Rc<RefCell<V>>;

/// A value. Structs and arrays are copied as values, variables are cells.
#[derive(Clone, Debug)]
enum V {
    Nil,
    Int(i64),
    Bool(bool),
    Str(Rc<str>),
    Parts(Vec<V>),
    Tuple(Vec<V>),
    Pointer(Cell, Vec<usize>),
    Slice { of: Cell, from: usize, len: usize, cap: usize },
    Map(Rc<RefCell<Vec<(V, V)>>>),
    Boxed(Box<V>, Type),
    Func(Rc<Func>),
}

#[derive(Debug)]
enum Func {
    Declared(ObjId, Option<V>),
    Literal(ExprId, HashMap<ObjId, Cell>),
}

impl PartialEq for V {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::Parts(a), Self::Parts(b)) => a == b,
            (Self::Pointer(a, i), Self::Pointer(b, j)) => Rc::ptr_eq(a, b) && i == j,
            (Self::Boxed(a, s), Self::Boxed(b, t)) => s == t && a == b,
            _ => false,
        }
    }
}

impl V {
    fn int(&self) -> i64 {
        match self {
            Self::Int(i) => *i,
            other => panic!("{other:?} is no integer"),
        }
    }

    fn bool(&self) -> bool {
        *self == Self::Bool(true)
    }

    fn parts(&mut self) -> &mut Vec<V> {
        match self {
            Self::Parts(parts) => parts,
            other => panic!("{other:?} has no parts"),
        }
    }
}

/// A panic of the program: its value.
struct Unwind(V);

struct Frame<'a> {
    body: &'a Body,
    vars: HashMap<ObjId, Cell>,
    values: Vec<V>,
    /// What each range statement still has to give, with the operand's turn it belongs to.
    ranges: HashMap<Value, (u64, std::vec::IntoIter<V>)>,
    turns: HashMap<Value, u64>,
    turn: u64,
    deferred: Vec<CallId>,
    operands: Vec<(Option<V>, Option<V>, Vec<V>)>,
}

struct Machine<'a> {
    bodies: &'a Bodies<'a>,
    codes: HashMap<Parent, Body>,
    by_name: BTreeMap<ObjId, Parent>,
    globals: RefCell<HashMap<ObjId, Cell>>,
    panicking: RefCell<Option<V>>,
    out: RefCell<String>,
}

impl<'a> Machine<'a> {
    fn new(bodies: &'a Bodies<'a>) -> Self {
        let tree = bodies.syntax(0);
        let (mut codes, mut by_name) = (HashMap::new(), BTreeMap::new());
        for function in functions(tree) {
            let parent = match function.kind {
                FunctionKind::Decl(decl) => {
                    let residue_syntax::ast::Decl::Func(func) = tree.decl(decl) else { continue };
                    let object = bodies.file(0).object(func.name).expect("it is declared");
                    by_name.insert(object, Parent::Decl(decl));
                    Parent::Decl(decl)
                }
                FunctionKind::Lit(lit) => Parent::Expr(lit),
            };
            let body = lower(bodies, 0, parent, &Typed { bodies, file: 0 }).expect("it has a body");
            assert_eq!(body.validate(), Ok(()));
            codes.insert(parent, body);
        }
        let (globals, panicking, out) = Default::default();
        Self { bodies, codes, by_name, globals, panicking, out }
    }

    fn zero(&self, ty: &Type) -> V {
        match self.bodies.underlying(ty) {
            Type::Basic(basic) if basic.is_integer() => V::Int(0),
            Type::Basic(basic) if basic.is_string() => V::Str("".into()),
            Type::Basic(basic) if basic.is_boolean() => V::Bool(false),
            Type::Struct(data) => V::Parts(data.fields.iter().map(|field| self.zero(&field.ty)).collect()),
            Type::Array(array) => V::Parts(vec![self.zero(&array.elem); index(array.len)]),
            _ => V::Nil,
        }
    }

    fn ty(&self, at: At) -> &'a Type {
        match at {
            At::Expr(expr) => self.bodies.file(0).type_of(expr),
            _ => panic!("no type"),
        }
    }

    fn call_function(&self, function: Parent, env: &HashMap<ObjId, Cell>, args: Vec<V>) -> Result<V, Unwind> {
        let body = &self.codes[&function];
        let mut frame = Frame {
            body,
            vars: env.clone(),
            values: vec![V::Nil; body.len()],
            ranges: HashMap::new(),
            turns: HashMap::new(),
            turn: 0,
            deferred: Vec::new(),
            operands: Vec::new(),
        };
        for (param, arg) in body.params.iter().zip(args) {
            if let Some(var) = param {
                frame.vars.insert(*var, Rc::new(RefCell::new(arg)));
            }
        }
        let mut results = self.run(&mut frame);
        // The results' variables are set before deferred calls run, and read after.
        if let Ok(values) = &results {
            for (result, value) in body.results.iter().zip(values) {
                if let Some(var) = result {
                    *frame.vars[var].borrow_mut() = value.clone();
                }
            }
        }
        while let Some(id) = frame.deferred.pop() {
            let (fun, recv, args) = frame.operands.pop().expect("as many as calls");
            let outer = self.panicking.replace(results.as_ref().err().map(|unwind| unwind.0.clone()));
            let before = results.is_err();
            if let Err(unwind) = self.call(&frame, id, fun, recv, args) {
                results = Err(unwind);
            } else if before && self.panicking.borrow().is_none() {
                results = Ok(vec![V::Nil; body.results.len()]);
            }
            self.panicking.replace(outer);
        }
        let mut values = results?;
        for (result, value) in body.results.iter().zip(&mut values) {
            if let Some(var) = result {
                *value = frame.vars[var].borrow().clone();
            }
        }
        Ok(if values.len() == 1 { values.remove(0) } else { V::Tuple(values) })
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<Vec<V>, Unwind> {
        let mut block = frame.body.cfg.entry();
        loop {
            let mut next = None;
            for (value, instr) in frame.body.instrs(block) {
                if let Op::Return(values) = instr.op {
                    return Ok(self.results(frame, values));
                }
                frame.turn += 1;
                frame.turns.insert(value, frame.turn);
                let done = self.step(frame, value, instr).map_err(|reason| match reason {
                    Ok(panic) => {
                        assert_eq!(instr.panic, Some(panic), "{instr:?}");
                        Unwind(V::Str(format!("{panic:?}").into()))
                    }
                    Err(unwind) => unwind,
                })?;
                if let Op::RangeNext(_) = instr.op {
                    next = Some(if matches!(done, V::Nil) { EdgeKind::Done } else { EdgeKind::Each });
                }
                frame.values[value.index()] = done;
            }
            let cond = frame.body.code(block).cond.map(|cond| frame.values[cond.index()].bool());
            let kind = next.or(cond.map(|yes| if yes { EdgeKind::True } else { EdgeKind::False }));
            let data = frame.body.cfg.block(block);
            assert_eq!(data.end, End::Edges);
            let edge = data.succs.iter().find(|edge| kind.is_none_or(|kind| edge.kind == kind));
            block = edge.expect("an edge for what was decided").to;
        }
    }

    fn results(&self, frame: &Frame<'_>, values: Values) -> Vec<V> {
        let signature = match frame.body.function {
            Parent::Expr(lit) => self.bodies.file(0).type_of(lit).clone(),
            function => {
                let (id, _) = self.by_name.iter().find(|(_, known)| **known == function).expect("it is declared");
                self.bodies.type_of(*id)
            }
        };
        let Type::Func(signature) = signature else { panic!("no function") };
        let value = |(&v, ty): (&Value, &Type)| match frame.body.instr(v).op {
            Op::Zero => self.zero(ty),
            _ => frame.values[v.index()].clone(),
        };
        frame.body.values(values).iter().zip(&signature.results).map(value).collect()
    }

    fn var(&self, frame: &Frame<'_>, var: ObjId) -> Cell {
        if let Some(cell) = frame.vars.get(&var) {
            return Rc::clone(cell);
        }
        let ty = self.bodies.type_of(var);
        let zero = self.zero(&ty);
        Rc::clone(self.globals.borrow_mut().entry(var).or_insert_with(|| Rc::new(RefCell::new(zero))))
    }

    /// Does one step. A panic is one of the instruction, or comes out of a call.
    fn step(&self, frame: &mut Frame<'_>, at: Value, instr: Instr) -> Result<V, Result<Panic, Unwind>> {
        let get = |v: Value| frame.values[v.index()].clone();
        Ok(match instr.op {
            Op::Const => match instr.at {
                At::Expr(expr) => constant(self.bodies.file(0).value_of(expr).expect("it is constant")),
                _ => V::Int(1),
            },
            // Given its type by what it is stored to.
            Op::Nil | Op::Zero => V::Nil,
            Op::Func(func) => V::Func(Rc::new(Func::Declared(func, None))),
            Op::Closure(lit) => {
                let env = captured(self.bodies, 0, lit).into_iter().map(|var| (var, self.var(frame, var)));
                V::Func(Rc::new(Func::Literal(lit, env.collect())))
            }
            Op::MethodValue { recv, method } => V::Func(Rc::new(Func::Declared(method, Some(get(recv))))),
            Op::InterfaceMethodValue { recv, method } => {
                let (func, recv) = self.find_method(get(recv), method).ok_or(Ok(Panic::NilDeref))?;
                V::Func(Rc::new(Func::Declared(func, Some(recv))))
            }
            Op::Load(var) => self.var(frame, var).borrow().clone(),
            Op::Store { var, value, declares } => {
                let zero = matches!(frame.body.instr(value).op, Op::Zero);
                let new = if zero { self.zero(&self.bodies.type_of(var)) } else { get(value) };
                if declares {
                    frame.vars.insert(var, Rc::new(RefCell::new(new)));
                } else {
                    *self.var(frame, var).borrow_mut() = new;
                }
                V::Nil
            }
            Op::Addr(var) => V::Pointer(self.var(frame, var), Vec::new()),
            Op::Field { x, field, deref } => {
                let mut holder = if deref { read(&get(x))? } else { get(x) };
                holder.parts().swap_remove(field.index as usize)
            }
            Op::FieldAddr { x, field } => inside(&get(x), field.index as usize)?,
            Op::Deref(x) => read(&get(x))?,
            Op::Index { x, index } => match (get(x), get(index).int()) {
                (V::Parts(parts), i) => nth(&parts, i)?,
                (V::Pointer(..), i) => nth(read(&get(x))?.parts(), i)?,
                (slice, i) => read(&element(&slice, i)?)?,
            },
            Op::IndexAddr { x, index } => element(&get(x), get(index).int())?,
            Op::MapIndex { map, key, comma_ok } => {
                let found = match get(map) {
                    V::Map(entries) => entries.borrow().iter().find(|(k, _)| *k == get(key)).map(|(_, v)| v.clone()),
                    _ => None,
                };
                let ok = V::Bool(found.is_some());
                let value = found.unwrap_or_else(|| match instr.at {
                    At::Expr(expr) => self.zero(self.bodies.file(0).type_of(expr)),
                    _ => V::Int(0),
                });
                if comma_ok { V::Tuple(vec![value, ok]) } else { value }
            }
            Op::Slice { x, bounds } => {
                let (of, from, len, cap) = match get(x) {
                    V::Slice { of, from, len, cap } => (of, from, len, cap),
                    V::Nil => (Rc::new(RefCell::new(V::Parts(Vec::new()))), 0, 0, 0),
                    other => panic!("slice of {other:?}"),
                };
                let At::Expr(expr) = instr.at else { panic!("no expression") };
                let residue_syntax::ast::Expr::Slice { lo, hi, .. } = self.bodies.syntax(0).expr(expr) else {
                    panic!("no slice")
                };
                let mut given = frame.body.values(bounds).iter().map(|&v| index(get(v).int()));
                let lo = if lo.is_some() { given.next().expect("a bound") } else { 0 };
                let hi = if hi.is_some() { given.next().expect("a bound") } else { len };
                if lo > hi || hi > cap {
                    return Err(Ok(Panic::Bounds));
                }
                V::Slice { of, from: from + lo, len: hi - lo, cap: cap - lo }
            }
            Op::Unary { op, x } => match (op, get(x)) {
                (UnaryOp::Not, x) => V::Bool(!x.bool()),
                (UnaryOp::Minus, x) => V::Int(-x.int()),
                other => panic!("{other:?}"),
            },
            Op::Binary { op, x, y } => binary(op, &get(x), &get(y))?,
            Op::Logic { and, x, y } => V::Bool(if get(x).bool() == and { get(y).bool() } else { !and }),
            Op::Convert(x) => get(x),
            Op::ToInterface(x) => match (get(x), self.ty(instr.at)) {
                // From one interface to another, the value stays what it is.
                (x @ (V::Boxed(..) | V::Nil), _) => x,
                (x, ty) => V::Boxed(Box::new(x), self.boxed_type(frame, instr, ty)),
            },
            Op::Assert { x, ty, comma_ok } => {
                let ty = self.bodies.file(0).type_of(ty);
                let (x, ok) = match get(x) {
                    x if !self.has_type(&x, ty) => (self.zero(ty), false),
                    V::Boxed(x, _) if !self.bodies.is_interface(ty) => (*x, true),
                    x => (x, true),
                };
                match (comma_ok, ok) {
                    (true, _) => V::Tuple(vec![x, V::Bool(ok)]),
                    (false, true) => x,
                    (false, false) => return Err(Ok(Panic::Assertion)),
                }
            }
            Op::TypeTest { x, ty } => match self.bodies.file(0).expr(ty).mode {
                residue_types::Mode::Nil => V::Bool(matches!(get(x), V::Nil)),
                _ => V::Bool(self.has_type(&get(x), self.bodies.file(0).type_of(ty))),
            },
            Op::Call(id) => {
                let (fun, recv, args) = operands(frame, id);
                return self.call(frame, id, fun, recv, args).map_err(|unwind| match instr.panic {
                    Some(panic) if unwind.0 == V::Nil => Ok(panic),
                    _ => Err(unwind),
                });
            }
            Op::Defer(id) => {
                frame.operands.push(operands(frame, id));
                frame.deferred.push(id);
                V::Nil
            }
            Op::Extract { tuple, index } => match get(tuple) {
                V::Tuple(mut values) => values.swap_remove(index as usize),
                other => panic!("{other:?} is no tuple"),
            },
            Op::Composite { values, fields, map } => {
                let given: Vec<V> = frame.body.values(values).iter().map(|&v| get(v)).collect();
                let ty = self.bodies.underlying(self.ty(instr.at).strip_pointer());
                if map {
                    let pairs = given.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
                    return Ok(V::Map(Rc::new(RefCell::new(pairs))));
                }
                let places: Vec<usize> = match frame.body.field_indices(fields) {
                    [] => (0..given.len()).collect(),
                    indices => indices.iter().map(|&i| i as usize).collect(),
                };
                let mut whole = match &ty {
                    Type::Slice(elem) => {
                        let len = places.iter().map(|&i| i + 1).max().unwrap_or(0);
                        V::Parts(vec![self.zero(elem); len])
                    }
                    other => self.zero(other),
                };
                for (value, place) in given.into_iter().zip(places) {
                    whole.parts()[place] = value;
                }
                let len = whole.parts().len();
                match ty {
                    Type::Slice(_) => V::Slice { of: Rc::new(RefCell::new(whole)), from: 0, len, cap: len },
                    _ => whole,
                }
            }
            Op::New(x) => V::Pointer(Rc::new(RefCell::new(get(x))), Vec::new()),
            Op::StoreDeref { ptr, value } => write(&get(ptr), get(value))?,
            Op::StoreField { x, field, value } => write(&inside(&get(x), field.index as usize)?, get(value))?,
            Op::StoreIndex { x, index, value } => write(&element(&get(x), get(index).int())?, get(value))?,
            Op::StoreMap { map, key, value } => {
                let V::Map(entries) = get(map) else { return Err(Ok(Panic::NilMap)) };
                let (key, value) = (get(key), get(value));
                let mut entries = entries.borrow_mut();
                match entries.iter_mut().find(|(k, _)| *k == key) {
                    Some((_, old)) => *old = value,
                    None => entries.push((key, value)),
                }
                V::Nil
            }
            Op::RangeNext(x) => {
                let turn = frame.turns[&x];
                let unread = matches!(frame.body.instr(x).op, Op::Opaque(_));
                if frame.ranges.get(&at).is_none_or(|(known, _)| *known != turn) {
                    let items = if unread { (0..3).map(V::Int).collect() } else { rounds(&get(x)) };
                    frame.ranges.insert(at, (turn, items.into_iter()));
                }
                let key = frame.ranges.get_mut(&at).and_then(|(_, rest)| rest.next());
                match (key, get(x)) {
                    (None, _) => V::Nil,
                    (Some(V::Tuple(pair)), _) => V::Tuple(pair),
                    (Some(i), V::Parts(parts)) => V::Tuple(vec![i.clone(), nth(&parts, i.int())?]),
                    (Some(i), x @ (V::Slice { .. } | V::Pointer(..))) => {
                        V::Tuple(vec![i.clone(), read(&element(&x, i.int())?)?])
                    }
                    (Some(i), _) => V::Tuple(vec![i]),
                }
            }
            Op::Opaque(_) => V::Nil,
            Op::Recv { .. } | Op::Send { .. } | Op::Go(_) | Op::Return(_) => panic!("{instr:?}"),
        })
    }

    /// The type of a value that becomes an interface: that of the expression, but of one result of a call.
    fn boxed_type(&self, frame: &Frame<'_>, instr: Instr, ty: &Type) -> Type {
        let Op::ToInterface(x) = instr.op else { return ty.clone() };
        let from = frame.body.instr(x);
        match (from.op, ty, self.bodies.is_interface(ty)) {
            (Op::Extract { index, .. }, Type::Tuple(types), _) => types[index as usize].clone(),
            // An explicit conversion: the operand's own expression says what it is.
            (_, _, true) => self.ty(from.at).clone(),
            _ => ty.clone(),
        }
    }

    fn has_type(&self, x: &V, ty: &Type) -> bool {
        let V::Boxed(_, own) = x else { return false };
        match self.bodies.underlying(ty) {
            Type::Interface(iface) => self.bodies.implements(own, &iface),
            _ => own == ty,
        }
    }

    /// The method of the value in an interface, and its receiver.
    fn find_method(&self, x: V, name: Symbol) -> Option<(ObjId, V)> {
        let V::Boxed(mut x, ty) = x else { return None };
        let selection = self.bodies.select(&ty, name, self.bodies.package())?;
        let SelectionKind::Method(method) = selection.kind else { return None };
        for &index in &selection.path {
            *x = match *x {
                V::Pointer(..) => inside(&x, index as usize).ok()?,
                mut parts => parts.parts().swap_remove(index as usize),
            };
        }
        let pointer = self.bodies.object(method)?.func()?.pointer_recv;
        Some((method, if pointer || !matches!(*x, V::Pointer(..)) { *x } else { read(&x).ok()? }))
    }

    /// Makes a call. One that panics by itself gives nothing as the value of its panic.
    fn call(
        &self,
        frame: &Frame<'_>,
        id: CallId,
        fun: Option<V>,
        recv: Option<V>,
        mut args: Vec<V>,
    ) -> Result<V, Unwind> {
        let call = frame.body.call(id);
        match &call.callee {
            Callee::Func(func) => {
                let params = pack(self.bodies.type_of(*func), args, call.spread);
                let all = recv.into_iter().chain(params).collect();
                self.call_function(self.by_name[func], &HashMap::new(), all)
            }
            Callee::Interface { method, .. } => {
                let Some((func, recv)) = recv.and_then(|recv| self.find_method(recv, *method)) else {
                    return Err(Unwind(V::Nil));
                };
                self.call_function(self.by_name[&func], &HashMap::new(), [recv].into_iter().chain(args).collect())
            }
            Callee::Dynamic | Callee::Literal(_) => match fun {
                Some(V::Func(func)) => match &*func {
                    Func::Declared(func, recv) => {
                        let all = recv.iter().cloned().chain(args).collect();
                        self.call_function(self.by_name[func], &HashMap::new(), all)
                    }
                    Func::Literal(lit, env) => self.call_function(Parent::Expr(*lit), env, args),
                },
                _ => Err(Unwind(V::Nil)),
            },
            Callee::Builtin(builtin) => self.builtin(*builtin, call.expr, &mut args, call.spread),
            other => panic!("{other:?}"),
        }
    }

    fn builtin(&self, builtin: Builtin, expr: ExprId, args: &mut [V], spread: bool) -> Result<V, Unwind> {
        Ok(match (builtin, args) {
            (Builtin::Println, args) => {
                let words: Vec<String> = args.iter().map(show).collect();
                self.out.borrow_mut().push_str(&format!("{}\n", words.join(" ")));
                V::Nil
            }
            (Builtin::Panic, [x]) => return Err(Unwind(x.clone())),
            (Builtin::Recover, _) => self.panicking.take().unwrap_or(V::Nil),
            (Builtin::Len, [V::Str(text)]) => V::Int(text.len() as i64),
            (Builtin::Len, [V::Slice { len, .. }]) => V::Int(*len as i64),
            (Builtin::Len, [V::Map(entries)]) => V::Int(entries.borrow().len() as i64),
            (Builtin::Len | Builtin::Cap, [V::Nil]) => V::Int(0),
            (Builtin::Cap, [V::Slice { cap, .. }]) => V::Int(*cap as i64),
            (Builtin::Min, args) => V::Int(args.iter().map(V::int).min().expect("an argument")),
            (Builtin::Max, args) => V::Int(args.iter().map(V::int).max().expect("an argument")),
            (Builtin::Delete, [V::Map(entries), key]) => {
                entries.borrow_mut().retain(|(k, _)| k != key);
                V::Nil
            }
            (Builtin::Copy, [to, from]) => {
                let items = items(from);
                let count = items.len().min(rounds(to).len());
                for (i, item) in items.into_iter().take(count).enumerate() {
                    let _ = element(to, i as i64).map(|place| write(&place, item));
                }
                V::Int(count as i64)
            }
            (Builtin::Append, [to, added @ ..]) => {
                let added = if spread { items(&added[0]) } else { added.to_vec() };
                if let V::Slice { of, from, len, cap } = to
                    && *len + added.len() <= *cap
                {
                    for (i, item) in added.iter().enumerate() {
                        of.borrow_mut().parts()[*from + *len + i] = item.clone();
                    }
                    return Ok(V::Slice { of: Rc::clone(of), from: *from, len: *len + added.len(), cap: *cap });
                }
                slice(items(to).into_iter().chain(added).collect())
            }
            (Builtin::New, []) => {
                let ty = self.bodies.file(0).type_of(expr).strip_pointer();
                V::Pointer(Rc::new(RefCell::new(self.zero(ty))), Vec::new())
            }
            other => panic!("{other:?}"),
        })
    }
}

/// Arguments of a variadic parameter as a slice.
fn pack(ty: Type, mut args: Vec<V>, spread: bool) -> Vec<V> {
    if let Type::Func(signature) = ty
        && signature.variadic
        && !spread
    {
        let rest = args.split_off(signature.params.len() - 1);
        args.push(slice(rest));
    }
    args
}

fn operands(frame: &Frame<'_>, id: CallId) -> (Option<V>, Option<V>, Vec<V>) {
    let call = frame.body.call(id);
    let get = |v: Value| frame.values[v.index()].clone();
    (call.fun.map(get), call.recv.map(get), frame.body.values(call.args).iter().map(|&v| get(v)).collect())
}

fn constant(value: &Const) -> V {
    match value {
        Const::Bool(b) => V::Bool(*b),
        Const::Str(_) => V::Str(value.as_str().expect("text").into()),
        _ => V::Int(value.as_i64().expect("an integer")),
    }
}

fn show(value: &V) -> String {
    match value {
        V::Int(i) => i.to_string(),
        V::Bool(b) => b.to_string(),
        V::Str(text) => text.to_string(),
        other => panic!("{other:?} is not printed"),
    }
}

fn binary(op: BinaryOp, x: &V, y: &V) -> Result<V, Result<Panic, Unwind>> {
    match (op, x, y) {
        (BinaryOp::Eq, ..) => return Ok(V::Bool(x == y)),
        (BinaryOp::Ne, ..) => return Ok(V::Bool(x != y)),
        (BinaryOp::Add, V::Str(x), V::Str(y)) => return Ok(V::Str(format!("{x}{y}").into())),
        _ => {}
    }
    let (x, y) = (x.int(), y.int());
    Ok(V::Int(match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        BinaryOp::Div | BinaryOp::Rem if y == 0 => return Err(Ok(Panic::Division)),
        BinaryOp::Div => x / y,
        BinaryOp::Rem => x % y,
        BinaryOp::Shl => x << y,
        BinaryOp::Shr => x >> y,
        BinaryOp::And => x & y,
        BinaryOp::AndNot => x & !y,
        BinaryOp::Or => x | y,
        BinaryOp::Lt => return Ok(V::Bool(x < y)),
        BinaryOp::Le => return Ok(V::Bool(x <= y)),
        BinaryOp::Gt => return Ok(V::Bool(x > y)),
        BinaryOp::Ge => return Ok(V::Bool(x >= y)),
        other => panic!("{other:?}"),
    }))
}

fn index(i: i64) -> usize {
    usize::try_from(i).expect("it was found to fit")
}

fn slice(items: Vec<V>) -> V {
    let len = items.len();
    V::Slice { of: Rc::new(RefCell::new(V::Parts(items))), from: 0, len, cap: len }
}

fn nth(parts: &[V], i: i64) -> Result<V, Result<Panic, Unwind>> {
    usize::try_from(i).ok().and_then(|i| parts.get(i).cloned()).ok_or(Ok(Panic::Index))
}

/// Does something with what a pointer points to.
fn with<T>(pointer: &V, f: impl FnOnce(&mut V) -> T) -> Result<T, Result<Panic, Unwind>> {
    let V::Pointer(cell, path) = pointer else { return Err(Ok(Panic::NilDeref)) };
    let mut whole = cell.borrow_mut();
    Ok(f(path.iter().fold(&mut *whole, |at, &i| &mut at.parts()[i])))
}

fn read(pointer: &V) -> Result<V, Result<Panic, Unwind>> {
    with(pointer, |at| at.clone())
}

fn write(pointer: &V, value: V) -> Result<V, Result<Panic, Unwind>> {
    with(pointer, |at| *at = value).map(|()| V::Nil)
}

/// A pointer to a part of what a pointer points to.
fn inside(pointer: &V, index: usize) -> Result<V, Result<Panic, Unwind>> {
    let V::Pointer(cell, path) = pointer else { return Err(Ok(Panic::NilDeref)) };
    Ok(V::Pointer(Rc::clone(cell), path.iter().copied().chain([index]).collect()))
}

/// A pointer to an element of a slice, or of the array that a pointer points to.
fn element(of: &V, i: i64) -> Result<V, Result<Panic, Unwind>> {
    match of {
        V::Slice { of, from, len, .. } if (0..*len as i64).contains(&i) => {
            Ok(V::Pointer(Rc::clone(of), vec![from + index(i)]))
        }
        V::Pointer(..) if (0..with(of, |at| at.parts().len())? as i64).contains(&i) => inside(of, index(i)),
        V::Pointer(..) | V::Slice { .. } | V::Nil => Err(Ok(Panic::Index)),
        other => panic!("element of {other:?}"),
    }
}

/// What ranging over a value gives: indices, or pairs of a map.
fn rounds(x: &V) -> Vec<V> {
    let len = match x {
        V::Int(n) => *n,
        V::Parts(parts) => parts.len() as i64,
        V::Slice { len, .. } => *len as i64,
        V::Pointer(..) => with(x, |at| at.parts().len() as i64).unwrap_or_else(|_| panic!("nil")),
        V::Map(entries) => {
            return entries.borrow().iter().map(|(k, v)| V::Tuple(vec![k.clone(), v.clone()])).collect();
        }
        _ => 0,
    };
    (0..len).map(V::Int).collect()
}

fn items(x: &V) -> Vec<V> {
    let get = |i: V| element(x, i.int()).and_then(|place| read(&place)).unwrap_or_else(|_| panic!("no element"));
    rounds(x).into_iter().map(get).collect()
}

#[test]
fn the_code_of_a_program_does_what_go_does() {
    let program = program(include_str!("run.go"), 27);
    assert_eq!(program.project().packages[0].files[0].errors, []);
    let bodies = program.bodies(PackageId(0));
    let machine = Machine::new(&bodies);
    let main = machine.by_name.iter().find(|(id, _)| bodies.object(**id).is_some_and(|object| object.name == "main"));
    let done = machine.call_function(*main.expect("there is a main").1, &HashMap::new(), Vec::new());
    let out = machine.out.take();
    let first = out.lines().zip(include_str!("run.txt").lines()).position(|(ours, go)| ours != go);
    assert_eq!(out, include_str!("run.txt"), "line {first:?} differs");
    assert!(done.is_ok());
}

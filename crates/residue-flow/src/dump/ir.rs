//! Three-address code as text and as Graphviz input.

use std::fmt::{Display, Write as _};

use residue_syntax::ast::{Expr, File, UnaryOp};
use residue_types::{Bodies, Builtin, Callee, ObjId, Objects, Type};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{ending, escape, excerpt, title};
use crate::cfg::{Block, BlockId, EdgeKind};
use crate::graph;
use crate::ir::{At, Body, Call, CallId, Instr, Op, Panic, Value, Values};

/// The code as text: a paragraph for each block, with the source line of each instruction, the reason for which it can
/// panic, and the block's edges. Values are `v0`, `v1`, …, variables have their names.
pub fn ir_text(bodies: &Bodies<'_>, file: usize, body: &Body) -> String {
    let mut dump = Dump::new(bodies, file, body);
    let mut out = String::new();
    for id in blocks(body) {
        let block = body.cfg.block(id);
        let _ = writeln!(out, "b{} {}:", id.index(), title(&body.cfg, id, block));
        for (value, instr) in body.instrs(id) {
            let _ = writeln!(out, "{:>5}  {}", dump.line(instr.at), dump.instr(value, instr));
        }
        if let Some(end) = ending(block) {
            let _ = writeln!(out, "       {end}");
        }
        for edge in &block.succs {
            let _ = writeln!(out, "       -> b{}{}", edge.to.index(), dump.label(id, block, edge.kind));
        }
    }
    out
}

/// The code in Graphviz' language.
pub fn ir_graphviz(bodies: &Bodies<'_>, file: usize, body: &Body, name: &str) -> String {
    let mut dump = Dump::new(bodies, file, body);
    let mut out = String::new();
    let _ = writeln!(out, "digraph \"{}\" {{", escape(name));
    out.push_str("  node [shape=box, fontname=monospace];\n");
    for id in blocks(body) {
        let block = body.cfg.block(id);
        let mut lines = format!("b{} {}\\l", id.index(), title(&body.cfg, id, block));
        for (value, instr) in body.instrs(id) {
            let _ = write!(lines, "{:>5}  {}\\l", dump.line(instr.at), escape(&dump.instr(value, instr)));
        }
        if let Some(end) = ending(block) {
            let _ = write!(lines, "{end}\\l");
        }
        let style = if block.live { "" } else { ", style=dashed" };
        let _ = writeln!(out, "  b{} [label=\"{lines}\"{style}];", id.index());
        for edge in &block.succs {
            let label = dump.label(id, block, edge.kind);
            let _ = writeln!(out, "  b{} -> b{} [label=\"{}\"];", id.index(), edge.to.index(), escape(label.trim()));
        }
    }
    out.push_str("}\n");
    out
}

/// The blocks in the order of their code, unreachable ones last, and then the exit, which has none.
fn blocks(body: &Body) -> Vec<BlockId> {
    let mut blocks = graph::topological(&body.cfg);
    blocks.sort_by_key(|&id| (id == body.cfg.exit(), !body.cfg.block(id).live));
    blocks
}

struct Dump<'a> {
    bodies: &'a Bodies<'a>,
    file: usize,
    tree: &'a File,
    body: &'a Body,
    /// Names of variables, made different where variables share one.
    names: FxHashMap<ObjId, String>,
    taken: FxHashSet<String>,
}

impl<'a> Dump<'a> {
    fn new(bodies: &'a Bodies<'a>, file: usize, body: &'a Body) -> Self {
        let tree = bodies.syntax(file);
        let mut this = Self { bodies, file, tree, body, names: FxHashMap::default(), taken: FxHashSet::default() };
        for &var in body.params.iter().chain(&body.results).flatten() {
            this.var(var);
        }
        this
    }

    fn line(&self, at: At) -> u32 {
        let pos = match at {
            At::Expr(expr) => self.tree.expr_span(expr).start,
            At::Stmt(stmt) => self.tree.stmt_span(stmt).start,
            At::Clause(clause) => self.tree.clause(clause).span.start,
            At::Pos(pos) => pos,
        };
        self.tree.line_col(pos).line
    }

    fn label(&self, id: BlockId, block: &Block, kind: EdgeKind) -> String {
        match (kind, self.body.code(id).cond) {
            (EdgeKind::True, Some(cond)) => format!(" if {}", v(cond)),
            (EdgeKind::False, Some(cond)) => format!(" if not {}", v(cond)),
            _ if block.succs.is_empty() => String::new(),
            _ => super::label(self.tree, kind),
        }
    }

    fn var(&mut self, id: ObjId) -> String {
        if let Some(known) = self.names.get(&id) {
            return known.clone();
        }
        let Some(object) = self.bodies.object(id) else { return "?".to_owned() };
        let plain = if object.local || id.pkg == self.bodies.package() {
            object.name.to_string()
        } else {
            self.bodies.func_name(id)
        };
        let mut name = plain.clone();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{plain}.{number}");
            number += 1;
        }
        self.names.insert(id, name.clone());
        name
    }

    fn func(&self, id: ObjId) -> String {
        let own = id.pkg == self.bodies.package();
        match self.bodies.object(id).filter(|_| own) {
            Some(object) => match object.func().and_then(|func| Some((func, self.bodies.object(func.recv()?)?))) {
                Some((func, recv)) if func.pointer_recv => format!("(*{}).{}", recv.name, object.name),
                Some((_, recv)) => format!("{}.{}", recv.name, object.name),
                None => object.name.to_string(),
            },
            None => self.bodies.func_name(id),
        }
    }

    fn text(&self, at: At) -> String {
        let span = match at {
            At::Expr(expr) => self.tree.expr_span(expr),
            At::Stmt(stmt) => self.tree.stmt_span(stmt),
            At::Clause(_) | At::Pos(_) => return String::new(),
        };
        excerpt(self.tree, span)
    }

    fn values(&self, values: Values) -> String {
        join(self.body.values(values))
    }

    fn call(&self, id: CallId) -> String {
        let Call { expr, callee, fun, recv, args, spread } = self.body.call(id);
        if let Callee::Builtin(builtin @ (Builtin::Make | Builtin::New)) = callee {
            let ty = self.bodies.file(self.file).type_of(*expr);
            let ty = self.show(if *builtin == Builtin::New { ty.strip_pointer() } else { ty });
            return format!("{} {ty} ({})", builtin_name(*builtin), self.values(*args));
        }
        let mut out = match (callee, fun) {
            (Callee::Func(func), _) => self.func(*func),
            (Callee::Interface { method, .. }, _) => method.to_string(),
            (Callee::Builtin(builtin), _) => builtin_name(*builtin),
            (_, Some(fun)) => v(*fun),
            _ => "unknown".to_owned(),
        };
        if let Some(recv) = recv {
            out = format!("{}.{}", v(*recv), out);
        }
        let _ = write!(out, "({}{})", self.values(*args), if *spread { "..." } else { "" });
        out
    }

    fn instr(&mut self, value: Value, instr: Instr) -> String {
        let mut out = String::new();
        if instr.op.has_value() {
            let _ = write!(out, "{} = ", v(value));
        }
        out.push_str(&self.op(instr));
        if let Some(panic) = instr.panic {
            let _ = write!(out, "  !{}", reason(panic));
        }
        out
    }

    fn op(&mut self, instr: Instr) -> String {
        let at = instr.at;
        let ok = |comma_ok: bool| if comma_ok { ", ok" } else { "" };
        let through = |deref: bool| if deref { "->" } else { "." };
        match instr.op {
            Op::Const if matches!(at, At::Stmt(_)) => "const 1".to_owned(),
            Op::Const => format!("const {}", self.text(at)),
            Op::Nil => "nil".to_owned(),
            Op::Zero => "zero".to_owned(),
            Op::Func(func) => format!("func {}", self.func(func)),
            Op::Closure(lit) => format!("closure at line {}", self.line(At::Expr(lit))),
            Op::MethodValue { recv, method } => format!("method {}.{}", v(recv), self.func(method)),
            Op::InterfaceMethodValue { recv, method } => format!("method {}.{method}", v(recv)),
            Op::Opaque(values) => format!("unknown({})", self.values(values)),
            Op::Load(var) => self.var(var),
            Op::Store { var, value, declares } => {
                format!("{} {} {}", self.var(var), if declares { ":=" } else { "=" }, v(value))
            }
            Op::Addr(var) => format!("&{}", self.var(var)),
            Op::Field { x, field, deref } => format!("{}{}{}", v(x), through(deref), field.name),
            Op::FieldAddr { x, field } => format!("&{}->{}", v(x), field.name),
            Op::Deref(x) => format!("*{}", v(x)),
            Op::Index { x, index } => format!("{}[{}]", v(x), v(index)),
            Op::IndexAddr { x, index } => format!("&{}[{}]", v(x), v(index)),
            Op::MapIndex { map, key, comma_ok } => format!("map {}[{}]{}", v(map), v(key), ok(comma_ok)),
            Op::Slice { x, bounds } => format!("slice {} ({})", v(x), self.values(bounds)),
            Op::Unary { op, x } => format!("{}{}", unary(op), v(x)),
            Op::Binary { op, x, y } => format!("{} {} {}", v(x), op.as_str(), v(y)),
            Op::Logic { and, x, y } => format!("{} {} {}", v(x), if and { "&&" } else { "||" }, v(y)),
            Op::Convert(x) => format!("convert {} to {}", v(x), self.ty(at)),
            Op::ToInterface(x) => format!("interface {}", v(x)),
            Op::Assert { x, ty, comma_ok } => format!("{}.({}){}", v(x), self.text(At::Expr(ty)), ok(comma_ok)),
            Op::TypeTest { x, ty } => format!("{} is {}", v(x), self.text(At::Expr(ty))),
            Op::Recv { ch, comma_ok } => format!("<-{}{}", v(ch), ok(comma_ok)),
            Op::Call(call) => format!("call {}", self.call(call)),
            Op::Extract { tuple, index } => format!("{}#{index}", v(tuple)),
            Op::Composite { values, fields, map } => self.composite(at, values, fields, map),
            Op::New(x) => format!("new {}", v(x)),
            Op::StoreDeref { ptr, value } => format!("*{} = {}", v(ptr), v(value)),
            Op::StoreField { x, field, value } => format!("{}->{} = {}", v(x), field.name, v(value)),
            Op::StoreIndex { x, index, value } => format!("{}[{}] = {}", v(x), v(index), v(value)),
            Op::StoreMap { map, key, value } => format!("map {}[{}] = {}", v(map), v(key), v(value)),
            Op::Send { ch, value } => format!("{} <- {}", v(ch), v(value)),
            Op::Go(call) => format!("go {}", self.call(call)),
            Op::Defer(call) => format!("defer {}", self.call(call)),
            Op::RangeNext(x) => format!("next {}", v(x)),
            Op::Return(values) if values.len == 0 => "return".to_owned(),
            Op::Return(values) => format!("return {}", self.values(values)),
        }
    }

    fn ty(&self, at: At) -> String {
        match at {
            At::Expr(expr) => self.show(self.bodies.file(self.file).type_of(expr)),
            _ => "?".to_owned(),
        }
    }

    fn show(&self, ty: &Type) -> String {
        self.bodies.show(ty).to_string()
    }

    fn composite(&self, at: At, values: Values, fields: Values, map: bool) -> String {
        let values = self.body.values(values);
        let mut parts: Vec<String> = values.iter().map(|&value| v(value)).collect();
        if map {
            parts = values.chunks(2).map(|pair| pair.iter().map(|&x| v(x)).collect::<Vec<_>>().join(": ")).collect();
        }
        let At::Expr(expr) = at else { return format!("{{{}}}", parts.join(", ")) };
        // A promoted field is set in a literal of the embedded struct, which is not written.
        let ty = match self.tree.expr(expr) {
            Expr::CompositeLit { .. } => self.bodies.file(self.file).type_of(expr).strip_pointer(),
            _ => &Type::Unknown,
        };
        let under = self.bodies.core_type(ty).unwrap_or_default();
        for (part, &index) in parts.iter_mut().zip(self.body.field_indices(fields)) {
            let name = match &under {
                Type::Struct(data) => data.fields.get(index as usize).map(|field| field.name.to_string()),
                _ => None,
            };
            *part = format!("{}: {part}", name.unwrap_or_else(|| index.to_string()));
        }
        let name = if ty.is_unknown() { "embedded".to_owned() } else { self.show(ty) };
        format!("{name}{{{}}}", parts.join(", "))
    }
}

fn v(value: Value) -> String {
    format!("v{}", value.index())
}

fn join(values: &[Value]) -> String {
    values.iter().map(|&value| v(value)).collect::<Vec<_>>().join(", ")
}

fn builtin_name(builtin: Builtin) -> String {
    let name = format!("{builtin:?}");
    match name.strip_prefix("Unsafe") {
        Some(name) => format!("unsafe.{name}"),
        None => name.to_lowercase(),
    }
}

fn unary(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Plus => "+",
        UnaryOp::Minus => "-",
        UnaryOp::Not => "!",
        UnaryOp::Xor => "^",
        UnaryOp::Addr => "&",
        UnaryOp::Recv => "<-",
        UnaryOp::Tilde => "~",
    }
}

/// Why an instruction can panic, in a few words.
fn reason(panic: Panic) -> impl Display {
    match panic {
        Panic::Explicit => "panic",
        Panic::Index => "index",
        Panic::Bounds => "bounds",
        Panic::NilDeref => "nil pointer",
        Panic::NilMap => "nil map",
        Panic::Assertion => "other type",
        Panic::Division => "division by zero",
        Panic::CloseChannel => "closed or nil channel",
        Panic::Send => "closed channel",
        Panic::Shift => "negative shift",
        Panic::MakeSize => "size",
        Panic::Uncomparable => "uncomparable",
        Panic::NilFunc => "nil function",
    }
}

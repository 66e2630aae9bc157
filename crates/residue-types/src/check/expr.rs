//! Expressions.

use residue_syntax::ast::{BinaryOp, BlockId, ChanDir, Expr, ExprId, FuncTypeId, IdentId, List, UnaryOp};

use super::operand::Operand;
use super::{Checker, Entity, Env};
use crate::constant::{self, Const};
use crate::info::{Mode, Res, SelectionKind};
use crate::lookup::Objects;
use crate::object::{ObjId, ObjKind, PkgId};
use crate::types::{Basic, Type};
use crate::universe;

impl Checker<'_> {
    /// Evaluates an expression and records it. `hint` is the type wanted of it, for literals and generic functions.
    pub(super) fn expr(&self, env: &mut Env, e: ExprId, hint: Option<&Type>) -> Operand {
        let mut x = self.deeper(|| self.expr_inner(env, e, hint)).unwrap_or_else(Operand::unknown);
        x.expr = Some(e);
        self.record(env, e, &x);
        x
    }

    /// A value that must have a type: untyped ones get their default.
    pub(super) fn typed_expr(&self, env: &mut Env, e: ExprId) -> Operand {
        let mut x = self.expr(env, e, None);
        self.default_type(env, &mut x);
        x
    }

    fn expr_inner(&self, env: &mut Env, e: ExprId, hint: Option<&Type>) -> Operand {
        let tree = self.tree(env);
        match tree.expr(e) {
            Expr::Bad | Expr::KeyValue { .. } | Expr::Ellipsis(None) => Operand::unknown(),
            Expr::Ident(ident) => self.ident(env, ident),
            Expr::BasicLit(kind) => {
                let value = Const::literal(kind, &tree.text(tree.expr_span(e)));
                let basic = match kind {
                    residue_syntax::ast::LitKind::Int => Basic::UntypedInt,
                    residue_syntax::ast::LitKind::Float => Basic::UntypedFloat,
                    residue_syntax::ast::LitKind::Imag => Basic::UntypedComplex,
                    residue_syntax::ast::LitKind::Char => Basic::UntypedRune,
                    residue_syntax::ast::LitKind::String => Basic::UntypedString,
                };
                Operand::constant(Type::Basic(basic), value)
            }
            Expr::CompositeLit { ty, elts, .. } => self.composite(env, ty, elts, hint),
            Expr::FuncLit { ty, body } => self.func_lit(env, ty, body),
            Expr::Paren(x) => {
                let mut x = self.expr(env, x, hint);
                x.expr = Some(e);
                x
            }
            Expr::Selector { x, sel } => self.selector(env, e, x, sel),
            Expr::Index { x, indices } => self.index(env, e, x, indices),
            Expr::Slice { x, lo, hi, max } => self.slice_expr(env, x, [lo, hi, max]),
            Expr::TypeAssert { x, ty } => {
                self.typed_expr(env, x);
                match ty {
                    Some(ty) => {
                        let ty = self.typ(env, ty);
                        Operand::of(Mode::CommaOk, ty)
                    }
                    None => Operand::unknown(),
                }
            }
            Expr::Call { fun, args, ellipsis } => self.call(env, fun, args, ellipsis != 0),
            Expr::Star(x) => self.star(env, x),
            Expr::Unary { op, x } => self.unary(env, op, x, hint),
            Expr::Binary { op, x, y, .. } => self.binary(env, op, x, y),
            Expr::ArrayType { .. }
            | Expr::Ellipsis(Some(_))
            | Expr::StructType { .. }
            | Expr::FuncType(_)
            | Expr::InterfaceType { .. }
            | Expr::MapType { .. }
            | Expr::ChanType { .. } => Operand::of(Mode::Type, self.typ(env, e)),
        }
    }

    fn ident(&self, env: &mut Env, ident: IdentId) -> Operand {
        let name = self.symbol(env, ident);
        match self.lookup(env, name) {
            Entity::Object(id) => self.object_operand(env, ident, id),
            Entity::Package(pkg) => {
                self.record_ident(env, ident, Res::Package(pkg));
                Operand::of(Mode::None, Type::Unknown)
            }
            Entity::Nothing => Operand::unknown(),
        }
    }

    /// The operand that naming an object gives.
    fn object_operand(&self, env: &Env, ident: IdentId, id: ObjId) -> Operand {
        self.record_ident(env, ident, Res::Use(id));
        let Some(object) = self.object(id) else { return Operand::unknown() };
        match &object.kind {
            ObjKind::Const(_) if id.pkg == PkgId::UNIVERSE && object.name == "iota" => match env.iota {
                Some(iota) => Operand::constant(Type::Basic(Basic::UntypedInt), Const::Int(iota)),
                None => Operand::unknown(),
            },
            ObjKind::Const(_) => {
                let value = self.constant_of(id);
                Operand::constant(self.type_of(id), value)
            }
            ObjKind::Type(_) | ObjKind::TypeParam { .. } => {
                Operand::of(Mode::Type, self.type_of_name(id).unwrap_or_default())
            }
            ObjKind::Var(_) => Operand::of(Mode::Variable, self.type_of(id)),
            ObjKind::Func(_) => Operand::value(self.type_of(id)),
            ObjKind::Builtin(builtin) => {
                Operand { builtin: Some(*builtin), ..Operand::of(Mode::Builtin, Type::Unknown) }
            }
            ObjKind::Nil => Operand::of(Mode::Nil, Type::Basic(Basic::UntypedNil)),
        }
    }

    fn func_lit(&self, env: &mut Env, ty: FuncTypeId, body: BlockId) -> Operand {
        let signature = self.signature(env, ty);
        if env.record
            && let Type::Func(signature) = &signature
        {
            let mark = env.locals.len();
            let iota = env.iota.take();
            self.declare_params(env, ty, signature);
            self.func_body(env, signature, body, mark);
            env.iota = iota;
            env.locals.truncate(mark);
        }
        Operand::value(signature)
    }

    fn selector(&self, env: &mut Env, e: ExprId, x: ExprId, sel: IdentId) -> Operand {
        let name = self.symbol(env, sel);
        if let Expr::Ident(ident) = self.tree(env).expr(x)
            && let Entity::Package(pkg) = self.lookup(env, self.symbol(env, ident))
        {
            self.record_ident(env, ident, Res::Package(pkg));
            return match self.package_member(pkg, name) {
                Some(id) => self.object_operand(env, sel, id),
                None => Operand::unknown(),
            };
        }
        let mut operand = self.expr(env, x, None);
        if operand.mode != Mode::Type {
            self.default_type(env, &mut operand);
        }
        let Some(selection) = self.select(&operand.ty, name, self.pkg) else { return Operand::unknown() };
        let method_expr = operand.mode == Mode::Type;
        let result = match &selection.kind {
            SelectionKind::Field if method_expr => Operand::unknown(),
            SelectionKind::Field => {
                self.record_ident(env, sel, Res::Field);
                let addressable = operand.mode == Mode::Variable || selection.indirect;
                let mode = if addressable { Mode::Variable } else { Mode::Value };
                Operand::of(mode, selection.ty.clone())
            }
            kind => {
                match kind {
                    SelectionKind::Method(id) => self.record_ident(env, sel, Res::Use(*id)),
                    _ => self.record_ident(env, sel, Res::InterfaceMethod),
                }
                let ty =
                    if method_expr { with_receiver(&selection.ty, operand.ty.clone()) } else { selection.ty.clone() };
                Operand::value(ty)
            }
        };
        if env.record {
            let info = &mut self.info.borrow_mut().info;
            info.selections.insert(e, selection);
            if method_expr {
                info.method_exprs.insert(e);
            }
        }
        result
    }

    fn index(&self, env: &mut Env, e: ExprId, x: ExprId, indices: List<ExprId>) -> Operand {
        let tree = self.tree(env);
        let mut operand = self.expr(env, x, None);
        match operand.mode {
            Mode::Type => {
                let ty = self.try_type(env, e).unwrap_or_default();
                return Operand::of(Mode::Type, ty);
            }
            Mode::Value if matches!(&operand.ty, Type::Func(s) if !s.type_params.is_empty()) => {
                return self.explicit_instance(env, e, operand, indices);
            }
            _ => {}
        }
        let string_constant = operand.mode == Mode::Constant;
        if !string_constant {
            self.default_type(env, &mut operand);
        }
        let index_value = |env: &mut Env| -> Option<Const> {
            let mut constant = None;
            for index in tree.list(indices) {
                let mut i = self.expr(env, index, None);
                constant = i.known().cloned();
                self.convert_untyped(env, &mut i, &Type::INT);
            }
            constant
        };
        let core = match &operand.ty {
            Type::Param(_) => match self.element_of_all(&operand.ty) {
                Some((key, elem, mode)) => {
                    match key {
                        Some(key) => self.map_key(env, indices, &key),
                        None => drop(index_value(env)),
                    }
                    return Operand::of(mode, elem);
                }
                None => Type::Unknown,
            },
            ty => self.underlying(ty),
        };
        match core {
            Type::Map(map) => {
                self.map_key(env, indices, &map.key);
                Operand::of(Mode::MapIndex, map.value.clone())
            }
            Type::Basic(b) if b.is_string() => {
                let at = index_value(env);
                let byte = Type::Basic(Basic::Uint8);
                match (string_constant, &operand.value, at.as_ref().and_then(Const::as_i64)) {
                    (true, Some(Const::Str(text)), Some(i)) => {
                        match usize::try_from(i).ok().filter(|&i| i < text.len()) {
                            // A constant string indexed by a constant gives a byte value, not a constant.
                            Some(_) => Operand::value(byte),
                            None => Operand::unknown(),
                        }
                    }
                    _ => Operand::value(byte),
                }
            }
            Type::Array(array) => {
                index_value(env);
                let mode = if operand.mode == Mode::Variable { Mode::Variable } else { Mode::Value };
                Operand::of(mode, array.elem.clone())
            }
            Type::Slice(elem) => {
                index_value(env);
                Operand::of(Mode::Variable, (*elem).clone())
            }
            Type::Pointer(elem) => {
                index_value(env);
                match self.core_type(&elem) {
                    Some(Type::Array(array)) => Operand::of(Mode::Variable, array.elem.clone()),
                    _ => Operand::unknown(),
                }
            }
            _ => {
                for index in tree.list(indices) {
                    // It may be a type argument of something unknown.
                    let mut i = self.expr(env, index, None);
                    self.default_type(env, &mut i);
                }
                Operand::unknown()
            }
        }
    }

    fn map_key(&self, env: &mut Env, indices: List<ExprId>, key: &Type) {
        for index in self.tree(env).list(indices) {
            let mut i = self.expr(env, index, Some(key));
            self.assign_to(env, &mut i, Some(key));
        }
    }

    /// Key, element and mode of indexing a value whose type is a type parameter: the same for all its types.
    fn element_of_all(&self, ty: &Type) -> Option<(Option<Type>, Type, Mode)> {
        let mut out: Option<(Option<Type>, Type, Mode)> = None;
        for under in self.type_set(ty)? {
            let next = match &under {
                Type::Basic(b) if b.is_string() => (None, Type::Basic(Basic::Uint8), Mode::Value),
                Type::Array(a) => (None, a.elem.clone(), Mode::Variable),
                Type::Slice(elem) => (None, (**elem).clone(), Mode::Variable),
                Type::Map(m) => (Some(m.key.clone()), m.value.clone(), Mode::MapIndex),
                Type::Pointer(elem) => match self.underlying(elem) {
                    Type::Array(a) => (None, a.elem.clone(), Mode::Variable),
                    _ => return None,
                },
                _ => return None,
            };
            match &mut out {
                None => out = Some(next),
                Some(old) if old.0 == next.0 && old.1 == next.1 => {
                    if next.2 == Mode::Value {
                        old.2 = Mode::Value;
                    }
                }
                Some(_) => return None,
            }
        }
        out
    }

    fn slice_expr(&self, env: &mut Env, x: ExprId, bounds: [Option<ExprId>; 3]) -> Operand {
        let mut operand = self.expr(env, x, None);
        for bound in bounds.into_iter().flatten() {
            let mut i = self.expr(env, bound, None);
            self.convert_untyped(env, &mut i, &Type::INT);
        }
        if operand.mode != Mode::Constant {
            self.default_type(env, &mut operand);
        }
        match self.core_string(&operand.ty) {
            Some(Type::Basic(b)) if b.is_string() => {
                // Slicing a constant or a value of type string keeps its type.
                let ty = if operand.ty.is_untyped() { Type::STRING } else { operand.ty };
                Operand::value(ty)
            }
            Some(Type::Slice(_)) => Operand::value(operand.ty),
            Some(Type::Array(array)) => Operand::value(Type::slice(array.elem.clone())),
            Some(Type::Pointer(elem)) => match self.core_type(&elem) {
                Some(Type::Array(array)) => Operand::value(Type::slice(array.elem.clone())),
                _ => Operand::unknown(),
            },
            _ => Operand::unknown(),
        }
    }

    fn star(&self, env: &mut Env, x: ExprId) -> Operand {
        let x = self.expr(env, x, None);
        if x.mode == Mode::Type {
            return Operand::of(Mode::Type, Type::pointer(x.ty));
        }
        match self.core_type(&x.ty) {
            Some(Type::Pointer(elem)) => Operand::of(Mode::Variable, (*elem).clone()),
            _ => Operand::unknown(),
        }
    }

    fn unary(&self, env: &mut Env, op: UnaryOp, x: ExprId, hint: Option<&Type>) -> Operand {
        match op {
            UnaryOp::Addr => {
                let pointee = hint.and_then(|t| match self.core_type(t) {
                    Some(Type::Pointer(elem)) => Some((*elem).clone()),
                    _ => None,
                });
                let x = self.expr(env, x, pointee.as_ref());
                if x.mode == Mode::Type || x.ty.is_untyped() {
                    return Operand::unknown();
                }
                return if x.ty.is_unknown() { Operand::unknown() } else { Operand::value(Type::pointer(x.ty)) };
            }
            UnaryOp::Recv => {
                let x = self.typed_expr(env, x);
                return match self.core_type(&x.ty) {
                    Some(Type::Chan(chan)) if chan.dir != ChanDir::Send => {
                        Operand::of(Mode::CommaOk, chan.elem.clone())
                    }
                    _ => Operand::of(Mode::CommaOk, Type::Unknown),
                };
            }
            UnaryOp::Tilde => {
                self.typ(env, x);
                return Operand::unknown();
            }
            UnaryOp::Plus | UnaryOp::Minus | UnaryOp::Not | UnaryOp::Xor => {}
        }
        let mut x = self.expr(env, x, None);
        if x.mode == Mode::Constant {
            let basic = self.basic(&x.ty);
            let value = x.value.as_ref().map(|v| {
                let result = v.unary(op, basic.and_then(constant::unsigned_bits));
                match basic {
                    Some(b) if !b.is_untyped() => result.represent(b).unwrap_or(Const::Unknown),
                    _ => result,
                }
            });
            x.value = value;
            return x;
        }
        if x.mode == Mode::Type || x.mode == Mode::NoValue {
            return Operand::unknown();
        }
        x.mode = Mode::Value;
        x
    }

    fn binary(&self, env: &mut Env, op: BinaryOp, x: ExprId, y: ExprId) -> Operand {
        if op.is_shift() {
            return self.shift(env, op, x, y);
        }
        let mut a = self.expr(env, x, None);
        let mut b = self.expr(env, y, None);
        self.binary_operands(env, op, &mut a, &mut b)
    }

    /// `a op b` for evaluated operands.
    pub(super) fn binary_operands(&self, env: &Env, op: BinaryOp, a: &mut Operand, b: &mut Operand) -> Operand {
        self.match_operands(env, a, b);
        if op.is_comparison() {
            if let (Some(x), Some(y)) = (&a.value, &b.value)
                && a.mode == Mode::Constant
                && b.mode == Mode::Constant
            {
                let value = Const::compare(x, op, y).map_or(Const::Unknown, Const::Bool);
                return Operand::constant(Type::Basic(Basic::UntypedBool), value);
            }
            // The operands have their final types now.
            self.default_type(env, a);
            self.default_type(env, b);
            return Operand::value(Type::Basic(Basic::UntypedBool));
        }
        let ty = if a.ty.is_unknown() { b.ty.clone() } else { a.ty.clone() };
        if let (Mode::Constant, Mode::Constant, Some(x), Some(y)) = (a.mode, b.mode, &a.value, &b.value) {
            let basic = self.basic(&ty);
            let integer = op == BinaryOp::Div && basic.is_some_and(Basic::is_integer);
            let value = Const::binary(x, op, y, integer);
            let value = match basic {
                Some(basic) if !basic.is_untyped() => value.represent(basic).unwrap_or(Const::Unknown),
                _ => value,
            };
            return Operand::constant(ty, value);
        }
        if a.mode == Mode::Type || b.mode == Mode::Type {
            return Operand::unknown();
        }
        Operand::value(ty)
    }

    /// Gives untyped operands the type of the other, as `go/types` (expr.go, `matchBinaryOperands`).
    fn match_operands(&self, env: &Env, a: &mut Operand, b: &mut Operand) {
        let may_convert = |x: &Operand, y: &Operand| {
            if !x.ty.is_untyped() && !y.ty.is_untyped() {
                return false;
            }
            if self.is_interface(&x.ty) || self.is_interface(&y.ty) {
                return true;
            }
            let boolean = |t: &Type| self.all_basic(t, &Basic::is_boolean);
            let string = |t: &Type| self.all_basic(t, &Basic::is_string);
            if boolean(&x.ty) != boolean(&y.ty) || string(&x.ty) != string(&y.ty) {
                return false;
            }
            if x.is_nil() {
                return self.has_nil(&y.ty);
            }
            if y.is_nil() {
                return self.has_nil(&x.ty);
            }
            !matches!(self.underlying(&x.ty), Type::Pointer(_)) && !matches!(self.underlying(&y.ty), Type::Pointer(_))
        };
        if a.ty.is_unknown() || b.ty.is_unknown() {
            self.default_type(env, a);
            self.default_type(env, b);
            return;
        }
        if may_convert(a, b) {
            let (ta, tb) = (a.ty.clone(), b.ty.clone());
            self.convert_untyped(env, a, &tb);
            self.convert_untyped(env, b, &ta);
        }
    }

    fn has_nil(&self, ty: &Type) -> bool {
        match self.underlying(ty) {
            Type::Basic(b) => matches!(b, Basic::UnsafePointer | Basic::UntypedNil),
            Type::Slice(_) | Type::Pointer(_) | Type::Func(_) | Type::Map(_) | Type::Chan(_) => true,
            Type::Interface(_) => {
                !matches!(ty, Type::Param(_)) || self.type_set(ty).is_some_and(|s| s.iter().all(|t| self.has_nil(t)))
            }
            _ => false,
        }
    }

    fn shift(&self, env: &mut Env, op: BinaryOp, x: ExprId, y: ExprId) -> Operand {
        let a = self.expr(env, x, None);
        let b = self.expr(env, y, None);
        self.shift_operands(env, op, a, b)
    }

    /// `a << b` or `a >> b`, as `go/types` (expr.go, `shift`).
    pub(super) fn shift_operands(&self, env: &Env, op: BinaryOp, a: Operand, mut b: Operand) -> Operand {
        let untyped = a.ty.is_untyped();
        // A constant count keeps its untyped type.
        if b.mode != Mode::Constant && b.ty.is_untyped() {
            self.convert_untyped(env, &mut b, &Type::Basic(Basic::Uint));
        }
        if a.mode == Mode::Constant {
            if let (Mode::Constant, Some(x), Some(count)) = (b.mode, &a.value, &b.value) {
                let mut value = Const::shift(x, op, count);
                let ty = match a.ty {
                    Type::Basic(basic) if untyped && !basic.is_integer() => Type::Basic(Basic::UntypedInt),
                    ref ty => {
                        if let Some(basic) = self.basic(ty).filter(|b| !b.is_untyped()) {
                            value = value.represent(basic).unwrap_or(Const::Unknown);
                        }
                        a.ty.clone()
                    }
                };
                return Operand::constant(ty, value);
            }
            if untyped {
                // A non-constant shift of an untyped constant: its type comes from the context.
                return Operand::value(a.ty);
            }
        }
        Operand::value(a.ty)
    }

    /// A comma-ok form: the types of both values.
    pub(super) fn unpack(&self, env: &mut Env, e: ExprId, count: usize) -> Vec<Type> {
        let mut x = self.expr(env, e, None);
        if count == 1 {
            self.assign_to(env, &mut x, None);
            return vec![x.ty];
        }
        match (&x.ty, x.mode) {
            (Type::Tuple(types), _) => types.to_vec(),
            (_, Mode::CommaOk | Mode::MapIndex) if count == 2 => vec![x.ty, Type::BOOL],
            // A C function's result and errno.
            _ if count == 2 && self.is_cgo_call(env, e) => vec![x.ty, universe::error_type()],
            _ => Vec::new(),
        }
    }
}

impl Checker<'_> {
    fn is_cgo_call(&self, env: &Env, e: ExprId) -> bool {
        let tree = self.tree(env);
        let Expr::Call { fun, .. } = tree.expr(self.unparen(env, e)) else { return false };
        let Expr::Selector { x, .. } = tree.expr(fun) else { return false };
        let Expr::Ident(ident) = tree.expr(x) else { return false };
        matches!(self.lookup(env, self.symbol(env, ident)), Entity::Package(PkgId::CGO))
    }
}

/// The type of the method expression `recv.m`: the receiver becomes the first parameter.
fn with_receiver(method: &Type, recv: Type) -> Type {
    let Type::Func(signature) = method else { return Type::Unknown };
    let mut signature = (**signature).clone();
    signature.params.insert(0, recv);
    Type::Func(std::sync::Arc::new(signature))
}

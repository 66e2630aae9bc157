//! Calls, and instances of generic functions.

use std::sync::Arc;

use residue_syntax::ast::{Expr, ExprId, IdentId, List};

use super::operand::Operand;
use super::{Checker, Env};
use crate::infer::{Group, Pair, infer};
use crate::info::{InstanceInfo, Mode};
use crate::lookup::Objects;
use crate::subst::subst;
use crate::types::{Signature, Type};

impl Checker<'_> {
    /// `fun(args)`: a call, a conversion, or a predeclared function.
    pub(super) fn call(&self, env: &mut Env, fun: ExprId, args: List<ExprId>, spread: bool) -> Operand {
        let tree = self.tree(env);
        // f[T](…) may leave type arguments to be inferred from the arguments.
        let mut given = Vec::new();
        let inner = self.unparen(env, fun);
        let callee = match tree.expr(inner) {
            Expr::Index { x, indices } => {
                let mut generic = self.expr(env, x, None);
                if is_generic(&generic.ty) && generic.mode == Mode::Value {
                    given = tree.list(indices).map(|t| self.typ(env, t)).collect();
                    generic.expr = Some(x);
                    generic
                } else {
                    self.expr(env, fun, None)
                }
            }
            _ => self.expr(env, fun, None),
        };
        match callee.mode {
            Mode::Type => return self.convert_call(env, &callee.ty, args),
            Mode::Builtin => {
                if let Some(builtin) = callee.builtin {
                    return self.builtin_call(env, builtin, args, spread);
                }
            }
            _ => {}
        }
        let Some(Type::Func(signature)) = self.core_type(&callee.ty) else {
            self.unknown_args(env, args);
            return Operand::unknown();
        };
        let mut operands = self.arguments(env, args);
        let params = parameters(&signature, operands.len(), spread);
        let signature = if signature.type_params.is_empty() {
            self.pass(env, operands, &params);
            signature
        } else {
            let (inferred, passed) = self.infer_call(env, &signature, &given, &params, &operands);
            let params: Vec<Type> = params.iter().map(|p| subst(p, &signature.type_params, &inferred)).collect();
            let instance = self.instance_of(env, fun, &signature, inferred);
            for (i, args) in passed {
                if let (Type::Func(generic), Some(e)) = (&operands[i].ty, operands[i].expr) {
                    operands[i].ty = Type::Func(self.instance_of(env, e, generic, args));
                }
            }
            self.pass(env, operands, &params);
            instance
        };
        match signature.results.as_slice() {
            [] => Operand::of(Mode::NoValue, Type::Tuple(Arc::default())),
            results => Operand::value(Type::tuple(results.to_vec())),
        }
    }

    /// The type arguments of a call, and those of each generic function passed to it, by argument.
    fn infer_call(
        &self,
        env: &Env,
        signature: &Signature,
        given: &[Type],
        params: &[Type],
        operands: &[Operand],
    ) -> (Vec<Type>, Vec<(usize, Vec<Type>)>) {
        let mut groups = vec![Group { params: &signature.type_params, given }];
        let mut pairs = Vec::with_capacity(operands.len());
        let mut generic = Vec::new();
        let written: Vec<Vec<Type>> =
            operands.iter().map(|x| x.expr.map(|e| self.given_args(env, e)).unwrap_or_default()).collect();
        for (i, (param, x)) in params.iter().zip(operands).enumerate() {
            if x.is_nil() {
                continue;
            }
            let (mut arg, mut group) = (x.ty.clone(), None);
            if let Type::Func(passed) = &x.ty
                && !passed.type_params.is_empty()
            {
                arg = Type::Func(Arc::new(Signature { type_params: Vec::new(), ..(**passed).clone() }));
                group = Some(groups.len());
                groups.push(Group { params: &passed.type_params, given: &written[i] });
                generic.push(i);
            }
            pairs.push(Pair { param: param.clone(), arg, group });
        }
        let mut inferred = infer(self, &groups, &pairs).into_iter();
        let own = inferred.next().unwrap_or_default();
        (own, generic.into_iter().zip(inferred).collect())
    }

    fn convert_call(&self, env: &mut Env, target: &Type, args: List<ExprId>) -> Operand {
        let mut result = Operand::value(target.clone());
        for arg in self.tree(env).list(args) {
            let x = self.expr(env, arg, Some(target));
            result = self.conversion(env, x, target);
        }
        result
    }

    /// Evaluates arguments; a single call that gives several values gives as many operands.
    pub(super) fn arguments(&self, env: &mut Env, args: List<ExprId>) -> Vec<Operand> {
        let tree = self.tree(env);
        if args.len() == 1
            && let Some(arg) = tree.list_get(args, 0)
        {
            let x = self.expr(env, arg, None);
            return match &x.ty {
                Type::Tuple(types) if x.mode == Mode::Value => types.iter().cloned().map(Operand::value).collect(),
                _ => vec![x],
            };
        }
        tree.list(args).map(|arg| self.expr(env, arg, None)).collect()
    }

    fn pass(&self, env: &Env, operands: Vec<Operand>, params: &[Type]) {
        for (i, mut x) in operands.into_iter().enumerate() {
            self.assign_to(env, &mut x, Some(params.get(i).unwrap_or(&Type::Unknown)));
        }
    }

    fn unknown_args(&self, env: &mut Env, args: List<ExprId>) {
        let operands = self.arguments(env, args);
        self.pass(env, operands, &[]);
    }

    /// `x[args]` of a generic function outside a call.
    pub(super) fn explicit_instance(
        &self,
        env: &mut Env,
        e: ExprId,
        generic: Operand,
        indices: List<ExprId>,
    ) -> Operand {
        let given: Vec<Type> = self.tree(env).list(indices).map(|t| self.typ(env, t)).collect();
        let Type::Func(signature) = &generic.ty else { return Operand::unknown() };
        let args = self.infer_one(signature, &given, None);
        if args.iter().any(Type::is_unknown) && given.len() < args.len() {
            // The rest may follow from where the value is assigned.
            return Operand { ty: generic.ty, ..Operand::value(Type::Unknown) };
        }
        let instance = self.instance_of(env, e, signature, args);
        Operand::value(Type::Func(instance))
    }

    /// A generic function assigned to a variable of type `target`: its type arguments follow from that.
    pub(super) fn infer_from_target(&self, env: &Env, x: &mut Operand, e: ExprId, target: &Type) {
        let Type::Func(signature) = &x.ty else { return };
        if signature.type_params.is_empty() || x.mode != Mode::Value {
            return;
        }
        let Some(target @ Type::Func(_)) = self.core_type(target) else { return };
        let given = self.given_args(env, e);
        let args = self.infer_one(signature, &given, Some(target));
        let instance = self.instance_of(env, e, signature, args);
        x.ty = Type::Func(instance);
        self.record(env, e, x);
    }

    /// The type arguments of a generic function value: those written, the rest from the type it is assigned to.
    fn infer_one(&self, signature: &Signature, given: &[Type], target: Option<Type>) -> Vec<Type> {
        let plain = || Type::Func(Arc::new(Signature { type_params: Vec::new(), ..signature.clone() }));
        let pairs: Vec<Pair> = target.map(|arg| Pair { param: plain(), arg, group: None }).into_iter().collect();
        infer(self, &[Group { params: &signature.type_params, given }], &pairs).pop().unwrap_or_default()
    }

    /// Type arguments already written for the generic function value `e`.
    fn given_args(&self, env: &Env, e: ExprId) -> Vec<Type> {
        match self.tree(env).expr(self.unparen(env, e)) {
            Expr::Index { indices, .. } if env.record => {
                let recorder = self.info.borrow();
                self.tree(env).list(indices).map(|i| recorder.info.type_of(i).clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The instance of a generic function's signature, recorded at the identifier that names it.
    fn instance_of(&self, env: &Env, fun: ExprId, signature: &Signature, args: Vec<Type>) -> Arc<Signature> {
        let plain = Signature { type_params: Vec::new(), ..signature.clone() };
        let mut ty = subst(&Type::Func(Arc::new(plain)), &signature.type_params, &args);
        if ty.is_too_big() {
            ty = Type::Func(Arc::default());
        }
        if env.record {
            let named = self.naming_ident(env, fun);
            let mut recorder = self.info.borrow_mut();
            let mut at = Some(fun);
            while let Some(e) = at {
                recorder.set(e, &ty, Mode::Value, None);
                at = match self.tree(env).expr(e) {
                    Expr::Paren(x) => Some(x),
                    _ => None,
                };
            }
            if let Some(ident) = named {
                recorder.info.instances.insert(ident, InstanceInfo { args, ty: ty.clone() });
            }
        }
        match ty {
            Type::Func(signature) => signature,
            _ => Arc::default(),
        }
    }

    fn naming_ident(&self, env: &Env, fun: ExprId) -> Option<IdentId> {
        match self.tree(env).expr(fun) {
            Expr::Ident(ident) => Some(ident),
            Expr::Selector { sel, .. } => Some(sel),
            Expr::Paren(x) | Expr::Index { x, .. } => self.naming_ident(env, x),
            _ => None,
        }
    }
}

fn is_generic(ty: &Type) -> bool {
    matches!(ty, Type::Func(s) if !s.type_params.is_empty())
}

/// The parameter type of each of `count` arguments.
fn parameters(signature: &Signature, count: usize, spread: bool) -> Vec<Type> {
    if !signature.variadic || spread {
        return signature.params.clone();
    }
    let Some((last, fixed)) = signature.params.split_last() else { return Vec::new() };
    let elem = match last {
        Type::Slice(elem) => (**elem).clone(),
        // `append`-like: a variadic string parameter has no Go source form but the spread one.
        other => other.clone(),
    };
    let mut params = fixed.to_vec();
    params.resize(count.max(fixed.len()), elem);
    params
}

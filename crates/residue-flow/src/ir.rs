//! Three-address code of one function body.
//!
//! A [`Body`] has the blocks and edges of the function's [`Cfg`]; each block holds [`Instr`]s in the order of
//! evaluation that the Go specification gives (operands left to right, calls and receives in lexical order; see
//! [`crate::lower`] for what it leaves open). An instruction computes at most one [`Value`], which is the instruction's
//! own index, and each value is computed by one instruction. Variables are not values: they are read and written by
//! [`Op::Load`] and [`Op::Store`], wherever they live, so that a function literal and the function around it name a
//! captured variable alike.
//!
//! Nothing is hidden in an instruction: copies, dereferences, conversions to interfaces, the receivers of methods found
//! through embedded fields are instructions of their own. What may panic says why ([`Panic`]); that a callee may panic
//! is the callee's to say.

use residue_syntax::ast::{BinaryOp, ClauseId, ExprId, StmtId, UnaryOp};
use residue_types::{Callee, ObjId, Symbol};

mod validate;

use crate::cfg::{BlockId, Cfg};
use crate::tree::Parent;

/// The result of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Value(pub(crate) u32);

impl Value {
    /// Makes the value that the instruction at `index` computes.
    #[inline]
    pub fn new(index: usize) -> Self {
        Self(index as u32)
    }

    /// The index of the instruction that computes it.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A run of values in [`Body::values`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Values {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// A call that is made, put off or started: an index into [`Body::calls`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CallId(pub(crate) u32);

/// Where an instruction comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum At {
    /// An expression: its value, or what is done for it without being written: a step through an embedded field, its
    /// address for a method, its conversion to an interface.
    Expr(ExprId),
    /// A statement.
    Stmt(StmtId),
    /// A clause of a type switch.
    Clause(ClauseId),
    /// A byte offset: the closing brace of a body, or the name of a result.
    Pos(u32),
}

/// Why an instruction can panic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Panic {
    /// `panic(…)`
    Explicit,
    /// An index that is not constant, or not below a constant length.
    Index,
    /// A slice bound, or a slice converted to an array.
    Bounds,
    /// A dereference of a pointer not known to be set; also an implicit one.
    NilDeref,
    /// An element set in a map; nil maps cannot have any.
    NilMap,
    /// A type assertion without a second result.
    Assertion,
    /// An integer division by something not constant.
    Division,
    /// `close` of a channel that may be closed or nil.
    CloseChannel,
    /// A send on a channel that may be closed.
    Send,
    /// A shift by a signed count.
    Shift,
    /// `make` with a size that is not constant.
    MakeSize,
    /// A comparison of interfaces, or a map key of interface type, whose value may not be comparable.
    Uncomparable,
    /// A call of a function value that may be nil.
    NilFunc,
}

/// A struct field, or what a tuple-like field path ends in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FieldRef {
    /// Its name.
    pub name: Symbol,
    /// Its index in the struct.
    pub index: u32,
}

/// What an instruction does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// A constant; its value is that of the expression the instruction comes from. Of `x++` and `x--`, one.
    Const,
    /// `nil`
    Nil,
    /// The zero value of a variable declared without one, or of a result before the body starts.
    Zero,
    /// A declared function or method expression as a value.
    Func(ObjId),
    /// A function literal; see [`crate::lower::captured`] for what it captures.
    Closure(ExprId),
    /// A method value `x.M` of a concrete receiver.
    MethodValue {
        /// The receiver, ready to be passed.
        recv: Value,
        /// The method.
        method: ObjId,
    },
    /// A method value `x.M` of an interface.
    InterfaceMethodValue {
        /// The interface.
        recv: Value,
        /// The method's name.
        method: Symbol,
    },
    /// Something that is not understood, or broken code. Its operands are evaluated before and given here; of an
    /// assignment to something not understood, the value too. Without operands also the operand of a range that is not
    /// evaluated, for only the length of its type matters.
    Opaque(Values),

    /// Reads a variable: of the function, of one around it, or of a package.
    Load(ObjId),
    /// Sets a variable.
    Store {
        /// The variable.
        var: ObjId,
        /// What to.
        value: Value,
        /// Whether this declares it: a new variable each time (`:=`, `var`, parameters of a clause).
        declares: bool,
    },
    /// `&x` of a variable, also implicit for a method with a pointer receiver.
    Addr(ObjId),
    /// `x.f` of a struct value, or through the pointer `x` where `deref`.
    Field {
        /// The struct or the pointer to it.
        x: Value,
        /// The field.
        field: FieldRef,
        /// Whether `x` is a pointer.
        deref: bool,
    },
    /// `&x.f`; `x` is a pointer to the struct.
    FieldAddr {
        /// The pointer to the struct.
        x: Value,
        /// The field.
        field: FieldRef,
    },
    /// `*x`
    Deref(Value),
    /// `x[i]` of an array, slice, string or pointer to an array.
    Index {
        /// The operand.
        x: Value,
        /// The index.
        index: Value,
    },
    /// `&x[i]`
    IndexAddr {
        /// The slice or pointer to an array.
        x: Value,
        /// The index.
        index: Value,
    },
    /// `m[k]`; with `comma_ok`, a tuple of the element and whether there is one.
    MapIndex {
        /// The map.
        map: Value,
        /// The key.
        key: Value,
        /// Whether the second result is asked for.
        comma_ok: bool,
    },
    /// `x[lo:hi:max]`
    Slice {
        /// The operand; of an array, its address.
        x: Value,
        /// Bounds that are given, in order.
        bounds: Values,
    },
    /// `+x`, `-x`, `!x`, `^x`
    Unary {
        /// Operator.
        op: UnaryOp,
        /// Operand.
        x: Value,
    },
    /// `x op y`, without `&&` and `||`.
    Binary {
        /// Operator.
        op: BinaryOp,
        /// Left operand.
        x: Value,
        /// Right operand.
        y: Value,
    },
    /// The value of `x && y` or `x || y`, computed where both paths meet: `y` was not evaluated where `x` decides. Where
    /// `y` is itself made of conditions, the [`Op::Logic`] and `!` that put it together stand before, at the same place,
    /// and on such a path have operands that were not evaluated.
    Logic {
        /// Whether `&&`.
        and: bool,
        /// Left operand.
        x: Value,
        /// Right operand.
        y: Value,
    },
    /// A conversion to a type that is no interface, or between types of one underlying type.
    Convert(Value),
    /// A conversion to an interface, also the implicit ones of assignments, arguments, results and sends.
    ToInterface(Value),
    /// `x.(T)`; with `comma_ok`, a tuple of the value and whether it is one.
    Assert {
        /// The interface.
        x: Value,
        /// The type, an expression.
        ty: ExprId,
        /// Whether the second result is asked for.
        comma_ok: bool,
    },
    /// Whether the operand of a type switch has a case's type; `ty` may be `nil`.
    TypeTest {
        /// The operand.
        x: Value,
        /// The type, an expression.
        ty: ExprId,
    },
    /// `<-ch`; with `comma_ok`, a tuple of the value and whether it was sent.
    Recv {
        /// The channel.
        ch: Value,
        /// Whether the second result is asked for.
        comma_ok: bool,
    },
    /// A call; its results as one value or a tuple. Conversions are not calls; `panic` and `recover` are.
    Call(CallId),
    /// One value of a tuple: of a call, of a comma-ok form, of [`Op::RangeNext`].
    Extract {
        /// The tuple.
        tuple: Value,
        /// Which.
        index: u32,
    },
    /// A composite literal of struct, array or slice type: keys and values were evaluated before.
    Composite {
        /// Values given, in order; of a map, keys and values by turns.
        values: Values,
        /// Of a struct, the index of each value's field; of an array or slice with keys, the index of each value; else
        /// empty. In [`Body::field_indices`].
        fields: Values,
        /// Whether the literal is of a map.
        map: bool,
    },
    /// `&x` of a composite literal, or `new(x)`: a new variable that holds a value.
    New(Value),

    /// `*p = v`
    StoreDeref {
        /// The pointer.
        ptr: Value,
        /// The value.
        value: Value,
    },
    /// `x.f = v` where `x` is a pointer to the struct.
    StoreField {
        /// The pointer to the struct.
        x: Value,
        /// The field.
        field: FieldRef,
        /// The value.
        value: Value,
    },
    /// `x[i] = v` of a slice or a pointer to an array.
    StoreIndex {
        /// The slice or pointer.
        x: Value,
        /// The index.
        index: Value,
        /// The value.
        value: Value,
    },
    /// `m[k] = v`
    StoreMap {
        /// The map.
        map: Value,
        /// The key.
        key: Value,
        /// The value.
        value: Value,
    },
    /// `ch <- v`
    Send {
        /// The channel.
        ch: Value,
        /// The value.
        value: Value,
    },
    /// `go f(…)`: the call's operands were evaluated before.
    Go(CallId),
    /// `defer f(…)`: the call's operands were evaluated before; the call is made when the function ends. What can panic
    /// here is only that an interface is nil whose method is put off; what the call itself can panic for is as for any
    /// call of its callee.
    Defer(CallId),
    /// Asks a range over `x` for its next element: a tuple of key and value. The block's edges are `Each` and `Done`.
    RangeNext(Value),
    /// Sets the results. A bare `return` gives the named results, read before.
    Return(Values),
}

impl Op {
    /// Whether it computes something that others can use.
    pub fn has_value(&self) -> bool {
        !matches!(
            self,
            Self::Store { .. }
                | Self::StoreDeref { .. }
                | Self::StoreField { .. }
                | Self::StoreIndex { .. }
                | Self::StoreMap { .. }
                | Self::Send { .. }
                | Self::Go(_)
                | Self::Defer(_)
                | Self::Return(_)
        )
    }
}

/// One step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instr {
    /// What it does.
    pub op: Op,
    /// Where it comes from.
    pub at: At,
    /// Why it can panic, if it can. A call's own reasons only: what the callee does is not here.
    pub panic: Option<Panic>,
}

/// A call with its operands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The call expression.
    pub expr: ExprId,
    /// What is called. Never a conversion.
    pub callee: Callee,
    /// The function value, where the callee is [`Callee::Dynamic`], [`Callee::Literal`] or unknown.
    pub fun: Option<Value>,
    /// The receiver of a method: the pointer or value it takes, or the interface.
    pub recv: Option<Value>,
    /// The arguments as passed; those of a variadic parameter are not packed. Where one call gives all arguments, its
    /// extracted results. Arguments that are types (of `make`, `new`) are left out.
    pub args: Values,
    /// Whether the last argument is passed as `x...`.
    pub spread: bool,
}

/// The instructions of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Code {
    /// Its instructions: the index of the first, and of the one after the last.
    pub first: u32,
    /// One past the last.
    pub end: u32,
    /// What decides between the block's `True` and `False` edges.
    pub cond: Option<Value>,
}

/// The three-address code of one function body.
#[derive(Clone, Debug)]
pub struct Body {
    /// The function declaration or literal.
    pub function: Parent,
    /// Its blocks and edges.
    pub cfg: Cfg,
    pub(crate) code: Vec<Code>,
    pub(crate) instrs: Vec<Instr>,
    pub(crate) values: Vec<Value>,
    pub(crate) field_indices: Vec<u32>,
    pub(crate) calls: Vec<Call>,
    /// The receiver, then the parameters, in order; none for one without name or with the name `_`.
    pub params: Vec<Option<ObjId>>,
    /// Whether the first of [`Body::params`] is a receiver.
    pub has_receiver: bool,
    /// The results' variables; none for one without name or with the name `_`.
    pub results: Vec<Option<ObjId>>,
}

impl Body {
    /// The code of a block.
    #[inline]
    pub fn code(&self, block: BlockId) -> Code {
        self.code[block.index()]
    }

    /// The instructions of a block with the values they compute.
    pub fn instrs(&self, block: BlockId) -> impl DoubleEndedIterator<Item = (Value, Instr)> + '_ {
        let Code { first, end, .. } = self.code(block);
        (first..end).map(|i| (Value(i), self.instrs[i as usize]))
    }

    /// All instructions, block by block.
    pub fn all(&self) -> impl Iterator<Item = Instr> + '_ {
        self.cfg.blocks().flat_map(|(block, _)| self.instrs(block)).map(|(_, instr)| instr)
    }

    /// The function literal that a call calls, where it stands in the call or is evaluated for it.
    pub fn literal(&self, call: &Call) -> Option<ExprId> {
        match (&call.callee, call.fun.map(|fun| self.instr(fun).op)) {
            (&Callee::Literal(lit), _) | (_, Some(Op::Closure(lit))) => Some(lit),
            _ => None,
        }
    }

    /// What a call gives to its function's `param`-th parameter, as [`Body::params`] counts them: the receiver first.
    pub fn operand(&self, call: &Call, param: usize) -> Option<Value> {
        let mut given = call.recv.iter().chain(self.values(call.args));
        given.nth(param).copied()
    }

    /// The instruction that computes a value.
    #[inline]
    pub fn instr(&self, value: Value) -> Instr {
        self.instrs[value.index()]
    }

    /// Number of instructions; [`Value`]s index below it.
    pub fn len(&self) -> usize {
        self.instrs.len()
    }

    /// Whether there are none: the body is empty and does not even return.
    pub fn is_empty(&self) -> bool {
        self.instrs.is_empty()
    }

    /// The values of a list.
    #[inline]
    pub fn values(&self, list: Values) -> &[Value] {
        &self.values[list.start as usize..(list.start + list.len) as usize]
    }

    /// The field of each value of a struct's composite literal.
    #[inline]
    pub fn field_indices(&self, list: Values) -> &[u32] {
        &self.field_indices[list.start as usize..(list.start + list.len) as usize]
    }

    /// A call.
    #[inline]
    pub fn call(&self, id: CallId) -> &Call {
        &self.calls[id.0 as usize]
    }

    /// All calls, made, put off or started.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Names the values that an instruction uses, in order.
    pub fn operands(&self, op: Op, use_: &mut dyn FnMut(Value)) {
        match op {
            Op::Const | Op::Nil | Op::Zero | Op::Func(_) | Op::Closure(_) | Op::Load(_) | Op::Addr(_) => {}
            Op::MethodValue { recv: x, .. }
            | Op::InterfaceMethodValue { recv: x, .. }
            | Op::Store { value: x, .. }
            | Op::Field { x, .. }
            | Op::FieldAddr { x, .. }
            | Op::Deref(x)
            | Op::Unary { x, .. }
            | Op::Convert(x)
            | Op::ToInterface(x)
            | Op::Assert { x, .. }
            | Op::TypeTest { x, .. }
            | Op::Recv { ch: x, .. }
            | Op::Extract { tuple: x, .. }
            | Op::New(x)
            | Op::RangeNext(x) => use_(x),
            Op::Index { x, index: y }
            | Op::IndexAddr { x, index: y }
            | Op::MapIndex { map: x, key: y, .. }
            | Op::Binary { x, y, .. }
            | Op::Logic { x, y, .. }
            | Op::StoreDeref { ptr: x, value: y }
            | Op::StoreField { x, value: y, .. }
            | Op::Send { ch: x, value: y } => {
                use_(x);
                use_(y);
            }
            Op::StoreIndex { x, index: y, value: z } | Op::StoreMap { map: x, key: y, value: z } => {
                use_(x);
                use_(y);
                use_(z);
            }
            Op::Slice { x, bounds } => {
                use_(x);
                self.values(bounds).iter().copied().for_each(use_);
            }
            Op::Opaque(values) | Op::Composite { values, .. } | Op::Return(values) => {
                self.values(values).iter().copied().for_each(use_);
            }
            Op::Call(call) | Op::Go(call) | Op::Defer(call) => {
                let call = self.call(call);
                call.fun.iter().chain(&call.recv).chain(self.values(call.args)).copied().for_each(use_);
            }
        }
    }
}

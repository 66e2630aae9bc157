//! Calls.

use super::check;

#[test]
fn receivers() {
    check(
        "
        type T struct{}
        func (T) v()  {}
        func (*T) p() {}
        type I interface{ m() }
        type S struct{ T; *U; I }
        type U struct{}
        func (U) u() {}
        func f(t T, p *T, s *S) {
            t.v()
            t.p()
            p.v()
            s.p()
            s.u()
            s.m()
        }
        ",
        "
        b0 Entry:
          v0 = t
          v1 = call v0.T.v()
          v2 = &t
          v3 = call v2.(*T).p()
          v4 = p
          v5 = *v4  !nil pointer
          v6 = call v5.T.v()
          v7 = s
          v8 = &v7->T  !nil pointer
          v9 = call v8.(*T).p()
          v10 = s
          v11 = v10->U  !nil pointer
          v12 = *v11  !nil pointer
          v13 = call v12.U.u()
          v14 = s
          v15 = v14->I  !nil pointer
          v16 = call v15.m()  !nil pointer
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn method_expressions_take_the_receiver_first() {
    check(
        "
        type T struct{ n int }
        func (T) v(int)  {}
        func (*T) p(int) {}
        type I interface{ m(int) }
        type S struct{ *T }
        func f(t T, i I, s S) {
            T.v(t, 1)
            (*T).p(&t, 2)
            (*T).v(&t, 3)
            I.m(i, 4)
            S.p(s, 5)
        }
        ",
        "
        b0 Entry:
          v0 = t
          v1 = const 1
          v2 = call v0.T.v(v1)
          v3 = &t
          v4 = const 2
          v5 = call v3.(*T).p(v4)
          v6 = &t
          v7 = const 3
          v8 = *v6
          v9 = call v8.T.v(v7)
          v10 = i
          v11 = const 4
          v12 = call v10.m(v11)  !nil pointer
          v13 = s
          v14 = const 5
          v15 = v13.T
          v16 = call v15.(*T).p(v14)
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn arguments_are_converted_one_by_one() {
    check(
        "
        func v(a any, b ...error)
        func f(e *E, s []error) {
            v(e, e, nil)
            v(nil, s...)
            v(1)
        }
        type E struct{ error }
        ",
        "
        b0 Entry:
          v0 = e
          v1 = interface v0
          v2 = e
          v3 = interface v2
          v4 = nil
          v5 = call v(v1, v3, v4)
          v6 = nil
          v7 = s
          v8 = call v(v6, v7...)
          v9 = const 1
          v10 = interface v9
          v11 = call v(v10)
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn one_call_gives_all_arguments() {
    check(
        "
        func g() (int, *E)
        func v(int, ...error)
        func f() {
            v(g())
        }
        type E struct{ error }
        ",
        "
        b0 Entry:
          v0 = call g()
          v1 = v0#0
          v2 = v0#1
          v3 = interface v2
          v4 = call v(v1, v3)
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn calls_of_function_values() {
    check(
        "
        type T struct{ f func(int) func() }
        var hook func()
        func f(t *T) {
            t.f(1)()
            hook()
            func(x any) { _ = x }(2)
        }
        ",
        "
        b0 Entry:
          v0 = t
          v1 = v0->f  !nil pointer
          v2 = const 1
          v3 = call v1(v2)  !nil function
          v4 = call v3()  !nil function
          v5 = hook
          v6 = call v5()  !nil function
          v7 = closure at line 7
          v8 = const 2
          v9 = interface v8
          v10 = call v7(v9)
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn go_and_defer_evaluate_operands_now() {
    check(
        "
        type T struct{}
        func (T) v(any) {}
        type I interface{ m(any) }
        func g() *T
        func f(i I, fs []func(int)) {
            go g().v(1)
            defer i.m(2)
            defer fs[0](3)
            defer func() { recover() }()
            defer close(make(chan int))
        }
        ",
        "
        b0 Entry:
          v0 = call g()
          v1 = *v0  !nil pointer
          v2 = const 1
          v3 = interface v2
          go v1.T.v(v3)
          v5 = i
          v6 = const 2
          v7 = interface v6
          defer v5.m(v7)  !nil pointer
          v9 = fs
          v10 = const 0
          v11 = v9[v10]  !index
          v12 = const 3
          defer v11(v12)
          v14 = closure at line 10
          defer v14()
          v16 = call make chan int ()
          defer close(v16)
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn predeclared_functions() {
    check(
        "
        func g() (map[any]int, error)
        func f(s []any, m map[any]int, x int, ch chan int) {
            s = append(s, 1, m)
            s = append(s, s...)
            delete(m, x)
            x = min(x, 1) + len(s)
            clear(m)
            close(ch)
            copy(s, s)
            panic(x)
        }
        ",
        "
        b0 Entry:
          v0 = s
          v1 = const 1
          v2 = interface v1
          v3 = m
          v4 = interface v3
          v5 = call append(v0, v2, v4)
          s = v5
          v7 = s
          v8 = s
          v9 = call append(v7, v8...)
          s = v9
          v11 = m
          v12 = x
          v13 = interface v12
          v14 = call delete(v11, v13)
          v15 = x
          v16 = const 1
          v17 = call min(v15, v16)
          v18 = s
          v19 = call len(v18)
          v20 = v17 + v19
          x = v20
          v22 = m
          v23 = call clear(v22)
          v24 = ch
          v25 = call close(v24)  !closed or nil channel
          v26 = s
          v27 = s
          v28 = call copy(v26, v27)
          v29 = x
          v30 = interface v29
          v31 = call panic(v30)  !panic
          stops: Panic
        b1 Exit, unreachable:",
    );
}

#[test]
fn sizes_of_make() {
    check(
        "
        func f(n int, s []int) {
            _ = make([]int, n)
            _ = make([]int, 0, len(s))
            _ = make([]int, 2, n)
            _ = make(map[string]int, n)
            _ = make(chan int, 1)
        }
        ",
        "
        b0 Entry:
          v0 = n
          v1 = call make []int (v0)  !size
          v2 = const 0
          v3 = s
          v4 = call len(v3)
          v5 = call make []int (v2, v4)
          v6 = const 2
          v7 = n
          v8 = call make []int (v6, v7)  !size
          v9 = n
          v10 = call make map[string]int (v9)
          v11 = const 1
          v12 = call make chan int (v11)
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn calls_of_closures_name_captured_variables() {
    check(
        "
        func f() (n int) {
            x := 1
            func() { n = x }()
            return n
        }
        ",
        "
        b0 Entry:
          v0 = zero
          n := v0
          v2 = const 1
          x := v2
          v4 = closure at line 4
          v5 = call v4()
          v6 = n
          return v6
          -> b1 return
        b1 Exit:",
    );
}

//! Expressions without calls.

use super::check;

#[test]
fn fields_through_embedded_structs_and_pointers() {
    check(
        "
        type B struct{ n int }
        type A struct{ *B; in struct{ B } }
        func f(a A, p *A) {
            _ = a.n
            _ = p.n
            _ = p.in.n
        }
        ",
        "
        b0 Entry:
          v0 = a
          v1 = v0.B
          v2 = v1->n  !nil pointer
          v3 = p
          v4 = v3->B  !nil pointer
          v5 = v4->n  !nil pointer
          v6 = p
          v7 = v6->in  !nil pointer
          v8 = v7.B
          v9 = v8.n
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn addresses_of_fields_and_elements() {
    check(
        "
        type T struct{ in struct{ n int }; a [4]int }
        func f(t T, p *T, s []int, i int) {
            _ = &t.in.n
            _ = &p.in.n
            _ = &t.a[1]
            _ = &s[i]
            _ = &*p
        }
        ",
        "
        b0 Entry:
          v0 = &t
          v1 = &v0->in
          v2 = &v1->n
          v3 = p
          v4 = &v3->in  !nil pointer
          v5 = &v4->n
          v6 = &t
          v7 = &v6->a
          v8 = const 1
          v9 = &v7[v8]
          v10 = s
          v11 = i
          v12 = &v10[v11]  !index
          v13 = p
          v14 = *v13  !nil pointer
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn indices_and_slices() {
    check(
        r#"
        func f(s []int, a [4]int, p *[4]int, m map[string]int, t string, i int) {
            _ = s[0]
            _ = a[1]
            _ = p[i]
            _ = m["k"]
            _ = t[i]
            _ = a[1:3]
            _ = s[:i]
            _ = p[:]
        }
        "#,
        r#"
        b0 Entry:
          v0 = s
          v1 = const 0
          v2 = v0[v1]  !index
          v3 = a
          v4 = const 1
          v5 = v3[v4]
          v6 = p
          v7 = i
          v8 = v6[v7]  !index
          v9 = m
          v10 = const "k"
          v11 = map v9[v10]
          v12 = t
          v13 = i
          v14 = v12[v13]  !index
          v15 = &a
          v16 = const 1
          v17 = const 3
          v18 = slice v15 (v16, v17)
          v19 = s
          v20 = i
          v21 = slice v19 (v20)  !bounds
          v22 = p
          v23 = slice v22 ()  !nil pointer
          return
          -> b1 return
        b1 Exit:"#,
    );
}

#[test]
fn constants_are_one_instruction() {
    check(
        r#"
        const c = iota + len("abc")
        func f(a [3]int) (int, bool) {
            const d = c * 2
            _ = nil == any(nil)
            return len(a) + d<<1, c > 1 && true
        }
        "#,
        "
        b0 Entry:
          v0 = nil
          v1 = nil
          v2 = interface v1
          v3 = v0 == v2
          v4 = const len(a) + d<<1
          v5 = const c > 1 && true
          return v4, v5
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn conversions_to_interfaces() {
    check(
        r#"
        type E struct{}
        func (*E) Error() string { return "" }
        func f(e *E, err error, ch chan any, m map[any]error) error {
            var a any = err
            a = 1
            ch <- e
            m[e] = nil
            _ = err == e
            a = a
            _ = error(e)
            return e
        }
        "#,
        "
        b0 Entry:
          v0 = err
          v1 = interface v0
          a := v1
          v3 = const 1
          v4 = interface v3
          a = v4
          v6 = ch
          v7 = e
          v8 = interface v7
          v6 <- v8  !closed channel
          v10 = m
          v11 = e
          v12 = interface v11
          v13 = nil
          map v10[v12] = v13  !nil map
          v15 = err
          v16 = e
          v17 = interface v16
          v18 = v15 == v17
          v19 = a
          a = v19
          v21 = e
          v22 = interface v21
          v23 = e
          v24 = interface v23
          return v24
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn conversions() {
    check(
        "
        func f(s string, b []byte, i int) {
            _ = []byte(s)
            _ = float64(i)
            _ = [2]byte(b)
            _ = (*[2]byte)(b)
        }
        ",
        "
        b0 Entry:
          v0 = s
          v1 = convert v0 to []uint8
          v2 = i
          v3 = convert v2 to float64
          v4 = b
          v5 = convert v4 to [2]uint8  !bounds
          v6 = b
          v7 = convert v6 to *[2]uint8  !bounds
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn assertions_and_receives() {
    check(
        r#"
        func f(x any, ch <-chan int, m map[string]int) {
            _ = x.(int)
            a, ok := x.(int)
            b, ok := <-ch
            c, ok := m["k"]
            _, ok = <-ch
            _, _, _ = a, b, c
        }
        "#,
        r#"
        b0 Entry:
          v0 = x
          v1 = v0.(int)  !other type
          v2 = x
          v3 = v2.(int), ok
          v4 = v3#0
          a := v4
          v6 = v3#1
          ok := v6
          v8 = ch
          v9 = <-v8, ok
          v10 = v9#0
          b := v10
          v12 = v9#1
          ok = v12
          v14 = m
          v15 = const "k"
          v16 = map v14[v15], ok
          v17 = v16#0
          c := v17
          v19 = v16#1
          ok = v19
          v21 = ch
          v22 = <-v21, ok
          v23 = v22#1
          ok = v23
          v25 = a
          v26 = b
          v27 = c
          return
          -> b1 return
        b1 Exit:"#,
    );
}

#[test]
fn composite_literals() {
    check(
        r#"
        type T struct{ a, b int; in *T; s []T }
        func f(x int) {
            _ = T{1, x, nil, nil}
            _ = &T{b: x, in: &T{}, s: []T{{a: 1}}}
            _ = []*T{{}, {a: x}}
            _ = [...]int{2: x, 3}
            _ = map[string]*T{"k": {a: x}}
        }
        "#,
        r#"
        b0 Entry:
          v0 = const 1
          v1 = x
          v2 = nil
          v3 = nil
          v4 = p.T{a: v0, b: v1, in: v2, s: v3}
          v5 = x
          v6 = p.T{}
          v7 = new v6
          v8 = const 1
          v9 = p.T{a: v8}
          v10 = []p.T{v9}
          v11 = p.T{b: v5, in: v7, s: v10}
          v12 = new v11
          v13 = p.T{}
          v14 = new v13
          v15 = x
          v16 = p.T{a: v15}
          v17 = new v16
          v18 = []*p.T{v14, v17}
          v19 = x
          v20 = const 3
          v21 = [4]int{2: v19, 3: v20}
          v22 = const "k"
          v23 = x
          v24 = p.T{a: v23}
          v25 = new v24
          v26 = map[string]*p.T{v22: v25}
          return
          -> b1 return
        b1 Exit:"#,
    );
}

#[test]
fn promoted_fields_in_literals() {
    check(
        "
        type In struct{ a, b int }
        type T struct{ In; c int }
        func f() {
            _ = T{b: 1, c: 2}
        }
        ",
        "
        b0 Entry:
          v0 = const 1
          v1 = embedded{1: v0}
          v2 = const 2
          v3 = p.T{In: v1, c: v2}
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn new_variables() {
    check(
        "
        type T struct{}
        func f(x int) {
            _ = new(T)
            _ = new(x)
            _ = &T{}
            _ = &x
        }
        ",
        "
        b0 Entry:
          v0 = call new p.T ()
          v1 = x
          v2 = new v1
          v3 = p.T{}
          v4 = new v3
          v5 = &x
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn function_values() {
    check(
        "
        type T struct{}
        func (T) v()  {}
        func (*T) p() {}
        type I interface{ v() }
        func g[X any](X) {}
        func f(t T, p *T, i I) {
            _ = f
            _ = g[int]
            _ = t.v
            _ = t.p
            _ = p.v
            _ = i.v
            _ = T.v
            _ = func() { _ = t }
        }
        ",
        "
        b0 Entry:
          v0 = func f
          v1 = func g
          v2 = t
          v3 = method v2.T.v
          v4 = &t
          v5 = method v4.(*T).p
          v6 = p
          v7 = *v6  !nil pointer
          v8 = method v7.T.v
          v9 = i
          v10 = method v9.v  !nil pointer
          v11 = func T.v
          v12 = closure at line 15
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn generic_code_is_lowered_as_written() {
    check(
        "
        type L[T any] struct{ next *L[T]; item T }
        func (l *L[T]) put(x T) { l.item = x }
        func f[T comparable](l *L[error], e *E, x T) {
            l.put(e)
            _ = l.next.item
            _ = x == x
            var a any = x
            _ = a
        }
        type E struct{ error }
        ",
        "
        b0 Entry:
          v0 = l
          v1 = e
          v2 = interface v1
          v3 = call v0.(*L).put(v2)
          v4 = l
          v5 = v4->next  !nil pointer
          v6 = v5->item  !nil pointer
          v7 = x
          v8 = x
          v9 = v7 == v8  !uncomparable
          v10 = x
          v11 = interface v10
          a := v11
          v13 = a
          return
          -> b1 return
        b1 Exit:",
    );
}

//! Statements.

use super::check;

#[test]
fn assignments_have_two_phases() {
    check(
        "
        func f(s []int, i, j int) {
            i, s[i] = 1, 2
            i, j = j, i
        }
        ",
        "
        b0 Entry:
          v0 = s
          v1 = i
          v2 = const 1
          v3 = const 2
          i = v2
          v0[v1] = v3  !index
          v6 = j
          v7 = i
          i = v6
          j = v7
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn places_that_are_assigned_to() {
    check(
        r#"
        type T struct{ x int; p *T; a [3]int }
        var v T
        func f(p *T, m map[string]int, s []T) {
            v.x = 1
            p.p.x = 2
            p.a[1] = 3
            *p = v
            m["k"] = 4
            s[0].a[2] = 5
            _ = 6
        }
        "#,
        r#"
        b0 Entry:
          v0 = &v
          v1 = const 1
          v0->x = v1
          v3 = p
          v4 = v3->p  !nil pointer
          v5 = const 2
          v4->x = v5  !nil pointer
          v7 = p
          v8 = &v7->a  !nil pointer
          v9 = const 1
          v10 = const 3
          v8[v9] = v10
          v12 = p
          v13 = v
          *v12 = v13  !nil pointer
          v15 = m
          v16 = const "k"
          v17 = const 4
          map v15[v16] = v17  !nil map
          v19 = s
          v20 = const 0
          v21 = &v19[v20]  !index
          v22 = &v21->a
          v23 = const 2
          v24 = const 5
          v22[v23] = v24
          v26 = const 6
          return
          -> b1 return
        b1 Exit:"#,
    );
}

#[test]
fn updates_read_and_write_one_place() {
    check(
        r#"
        func g() []int
        func f(x int, m map[string]int, p *int) {
            x += 2
            m["k"]++
            *p <<= x
            g()[x]--
        }
        "#,
        r#"
        b0 Entry:
          v0 = x
          v1 = const 2
          v2 = v0 + v1
          x = v2
          v4 = m
          v5 = const "k"
          v6 = map v4[v5]
          v7 = const 1
          v8 = v6 + v7
          map v4[v5] = v8  !nil map
          v10 = p
          v11 = *v10  !nil pointer
          v12 = x
          v13 = v11 << v12  !negative shift
          *v10 = v13
          v15 = call g()
          v16 = x
          v17 = v15[v16]  !index
          v18 = const 1
          v19 = v17 - v18
          v15[v16] = v19
          return
          -> b1 return
        b1 Exit:"#,
    );
}

#[test]
fn declarations() {
    check(
        "
        func g() (int, error)
        func f() {
            var a, b = g()
            var c, d int
            e, err := g()
            g, err := g()
            _, _, _, _, _, _ = a, b, c, d, e, g
        }
        ",
        "
        b0 Entry:
          v0 = call g()
          v1 = v0#0
          v2 = v0#1
          a := v1
          b := v2
          v5 = zero
          c := v5
          v7 = zero
          d := v7
          v9 = call g()
          v10 = v9#0
          e := v10
          v12 = v9#1
          err := v12
          v14 = call g()
          v15 = v14#0
          g := v15
          v17 = v14#1
          err = v17
          v19 = a
          v20 = b
          v21 = c
          v22 = d
          v23 = e
          v24 = g
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn results_with_names() {
    check(
        r#"
        func f(b bool) (n int, _ string, err error) {
            if b {
                return 1, "", nil
            }
            n = 2
            return
        }
        "#,
        r#"
        b0 Entry:
          v0 = zero
          n := v0
          v2 = zero
          err := v2
          v4 = b
          -> b3 if v4
          -> b2 if not v4
        b3 Then:
          v5 = const 1
          v6 = const ""
          v7 = nil
          return v5, v6, v7
          -> b1 return
        b2 IfDone:
          v9 = const 2
          n = v9
          v11 = n
          v12 = zero
          v13 = err
          return v11, v12, v13
          -> b1 return
        b1 Exit:"#,
    );
}

#[test]
fn results_of_one_call() {
    check(
        r#"
        type E struct{}
        func (*E) Error() string { return "" }
        func g() (int, *E)
        func f() (int, error) { return g() }
        "#,
        "
        b0 Entry:
          v0 = call g()
          v1 = v0#0
          v2 = v0#1
          v3 = interface v2
          return v1, v3
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn switch_compares_case_after_case() {
    check(
        "
        func g() int
        func f(i int, x any) {
            switch i {
            case 1, g():
                fallthrough
            default:
                i = 3
            }
            switch x {
            case i:
            }
        }
        ",
        "
        b0 Entry:
          v0 = i
          v1 = const 1
          v2 = v0 == v1
          -> b3 if v2
          -> b5 if not v2
        b5 CaseTest:
          v3 = call g()
          v4 = v0 == v3
          -> b3 if v4
          -> b6 if not v4
        b3 CaseBody:
          -> b4
        b6 CaseTest:
          -> b4
        b4 CaseBody:
          v5 = const 3
          i = v5
          -> b2
        b2 SwitchDone:
          v7 = x
          v8 = i
          v9 = interface v8
          v10 = v7 == v9
          -> b8 if v10
          -> b9 if not v10
        b8 CaseBody:
          -> b7
        b9 CaseTest:
          -> b7
        b7 SwitchDone:
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn type_switch() {
    check(
        "
        func f(x any) {
            switch y := x.(type) {
            case int:
                _ = y
            case nil, error:
                _ = y
            }
        }
        ",
        "
        b0 Entry:
          v0 = x
          v1 = v0 is int
          -> b3 if v1
          -> b5 if not v1
        b3 CaseBody:
          v2 = v0.(int)
          y := v2
          v4 = y
          -> b2
        b5 CaseTest:
          v5 = v0 is nil
          -> b4 if v5
          -> b6 if not v5
        b6 CaseTest:
          v6 = v0 is error
          -> b4 if v6
          -> b7 if not v6
        b4 CaseBody:
          y.2 := v0
          v8 = y.2
          -> b2
        b7 CaseTest:
          -> b2
        b2 SwitchDone:
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn select_evaluates_operands_first() {
    check(
        "
        func g() int
        func f(in <-chan int, out chan<- any) {
            select {
            case v, ok := <-in:
                _, _ = v, ok
            case out <- g():
            }
        }
        ",
        "
        b0 Entry:
          v0 = in
          v1 = out
          v2 = call g()
          -> b3 case v, ok := <-in
          -> b4 case out <- g()
        b3 CommBody:
          v3 = <-v0, ok
          v4 = v3#0
          v := v4
          v6 = v3#1
          ok := v6
          v8 = v
          v9 = ok
          -> b2
        b4 CommBody:
          v10 = interface v2
          v1 <- v10  !closed channel
          -> b2
        b2 SelectDone:
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn sends() {
    check(
        "
        func f(ch chan error, e error) { ch <- e }
        ",
        "
        b0 Entry:
          v0 = ch
          v1 = e
          v0 <- v1  !closed channel
          return
          -> b1 return
        b1 Exit:",
    );
}

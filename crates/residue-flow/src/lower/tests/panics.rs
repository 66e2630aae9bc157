//! Why instructions can panic.

use super::check;

#[test]
fn indices_that_fit_do_not() {
    check(
        r#"
        func f(a [4]int, p *[4]int, w *[256]int, i int, b byte) {
            _ = a[3]
            _ = a[i]
            _ = p[3]
            _ = w[b]
            _ = "abc"[1]
        }
        "#,
        r#"
        b0 Entry:
          v0 = a
          v1 = const 3
          v2 = v0[v1]
          v3 = a
          v4 = i
          v5 = v3[v4]  !index
          v6 = p
          v7 = const 3
          v8 = v6[v7]  !nil pointer
          v9 = w
          v10 = b
          v11 = v9[v10]  !nil pointer
          v12 = const "abc"
          v13 = const 1
          v14 = v12[v13]
          return
          -> b1 return
        b1 Exit:"#,
    );
}

#[test]
fn bounds_that_fit_do_not() {
    check(
        r#"
        func f(s []int, a [4]int, i int) {
            _ = s[:]
            _ = s[0:]
            _ = s[:0]
            _ = a[1:4]
            _ = a[i:]
            _ = "abc"[1:2]
        }
        "#,
        r#"
        b0 Entry:
          v0 = s
          v1 = slice v0 ()
          v2 = s
          v3 = const 0
          v4 = slice v2 (v3)
          v5 = s
          v6 = const 0
          v7 = slice v5 (v6)
          v8 = &a
          v9 = const 1
          v10 = const 4
          v11 = slice v8 (v9, v10)
          v12 = &a
          v13 = i
          v14 = slice v12 (v13)  !bounds
          v15 = const "abc"
          v16 = const 1
          v17 = const 2
          v18 = slice v15 (v16, v17)
          return
          -> b1 return
        b1 Exit:"#,
    );
}

#[test]
fn addresses_are_not_nil() {
    check(
        "
        type T struct{ n int; in struct{ n int } }
        func f(t T, p *T) {
            _ = (&t).n
            _ = &(&T{}).in.n
            _ = *&t
            p.in.n = 1
        }
        ",
        "
        b0 Entry:
          v0 = &t
          v1 = v0->n
          v2 = p.T{}
          v3 = new v2
          v4 = &v3->in
          v5 = &v4->n
          v6 = &t
          v7 = *v6
          v8 = p
          v9 = &v8->in  !nil pointer
          v10 = const 1
          v9->n = v10
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn divisions_and_shifts() {
    check(
        "
        func f(i int, u uint, x float64) {
            _ = i / 2
            _ = i % i
            _ = x / x
            _ = i << u
            _ = i << i
            i /= i
        }
        ",
        "
        b0 Entry:
          v0 = i
          v1 = const 2
          v2 = v0 / v1
          v3 = i
          v4 = i
          v5 = v3 % v4  !division by zero
          v6 = x
          v7 = x
          v8 = v6 / v7
          v9 = i
          v10 = u
          v11 = v9 << v10
          v12 = i
          v13 = i
          v14 = v12 << v13  !negative shift
          v15 = i
          v16 = i
          v17 = v15 / v16  !division by zero
          i = v17
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn comparisons_of_what_may_not_be_comparable() {
    check(
        "
        type S struct{ x any }
        func f(a any, e error, s S, n int) {
            _ = a == e
            _ = a == nil
            _ = a == n
            _ = a == s
            _ = s == s
            _ = n == n
        }
        ",
        "
        b0 Entry:
          v0 = a
          v1 = e
          v2 = interface v1
          v3 = v0 == v2  !uncomparable
          v4 = a
          v5 = nil
          v6 = v4 == v5
          v7 = a
          v8 = n
          v9 = interface v8
          v10 = v7 == v9
          v11 = a
          v12 = s
          v13 = interface v12
          v14 = v11 == v13  !uncomparable
          v15 = s
          v16 = s
          v17 = v15 == v16  !uncomparable
          v18 = n
          v19 = n
          v20 = v18 == v19
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn keys_that_may_not_be_comparable() {
    check(
        "
        func f(m map[any]int, k map[string]int, a any, s string) {
            _ = m[a]
            _ = m[s]
            _ = k[s]
            _ = map[any]int{a: 1}
            m[a] = 1
        }
        ",
        "
        b0 Entry:
          v0 = m
          v1 = a
          v2 = map v0[v1]  !uncomparable
          v3 = m
          v4 = s
          v5 = interface v4
          v6 = map v3[v5]
          v7 = k
          v8 = s
          v9 = map v7[v8]
          v10 = a
          v11 = const 1
          v12 = map[any]int{v10: v11}  !uncomparable
          v13 = m
          v14 = a
          v15 = const 1
          map v13[v14] = v15  !nil map
          return
          -> b1 return
        b1 Exit:",
    );
}

//! Conditions and short-circuit operators.

use super::check;

#[test]
fn what_only_reads_variables_is_no_branch() {
    check(
        "
        func f(a, b bool) {
            x := a && !b || b
            _ = x
        }
        ",
        "
        b0 Entry:
          v0 = a
          v1 = b
          v2 = !v1
          v3 = v0 && v2
          v4 = b
          v5 = v3 || v4
          x := v5
          v7 = x
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn what_can_do_more_is_a_branch() {
    check(
        "
        func g() bool
        func f(a bool) {
            x := a || g()
            _ = x
        }
        ",
        "
        b0 Entry:
          v0 = a
          -> b2 if v0
          -> b3 if not v0
        b3 Logic:
          v1 = call g()
          -> b2 if v1
          -> b2 if not v1
        b2 Logic:
          v2 = v0 || v1
          x := v2
          v4 = x
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn what_can_panic_is_a_branch() {
    check(
        "
        func f(p *struct{ ok bool }) bool {
            return p != nil && p.ok
        }
        ",
        "
        b0 Entry:
          v0 = p
          v1 = nil
          v2 = v0 != v1
          -> b3 if v2
          -> b2 if not v2
        b3 Logic:
          v3 = p
          v4 = v3->ok  !nil pointer
          -> b2 if v4
          -> b2 if not v4
        b2 Logic:
          v5 = v2 && v4
          return v5
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn nested_operators_are_put_together_where_paths_meet() {
    check(
        "
        func g() bool
        func f(a, b bool) bool {
            return a && !(b || g())
        }
        ",
        "
        b0 Entry:
          v0 = a
          -> b3 if v0
          -> b2 if not v0
        b3 Logic:
          v1 = b
          -> b2 if v1
          -> b4 if not v1
        b4 Logic:
          v2 = call g()
          -> b2 if v2
          -> b2 if not v2
        b2 Logic:
          v3 = v1 || v2
          v4 = !v3
          v5 = v0 && v4
          return v5
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn what_stands_before_an_operator_is_evaluated_before_its_branches() {
    check(
        "
        func n() int
        func c() bool
        func v(int, bool, int)
        func f() {
            v(n(), c() && c(), n())
        }
        ",
        "
        b0 Entry:
          v0 = call n()
          v1 = call c()
          -> b3 if v1
          -> b2 if not v1
        b3 Logic:
          v2 = call c()
          -> b2 if v2
          -> b2 if not v2
        b2 Logic:
          v3 = v1 && v2
          v4 = call n()
          v5 = call v(v0, v3, v4)
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn in_a_condition_they_are_edges() {
    check(
        "
        func g() bool
        func f(a bool) int {
            if a && !g() {
                return 1
            }
            return 2
        }
        ",
        "
        b0 Entry:
          v0 = a
          -> b4 if v0
          -> b2 if not v0
        b4 Logic:
          v1 = call g()
          -> b2 if v1
          -> b3 if not v1
        b3 Then:
          v2 = const 1
          return v2
          -> b1 return
        b2 IfDone:
          v4 = const 2
          return v4
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn constants_decide() {
    check(
        "
        const debug = false
        func g() bool
        func f() bool {
            if debug {
                return true
            }
            return debug || g()
        }
        ",
        "
        b0 Entry:
          v2 = const debug
          -> b2 if not v2
        b2 IfDone:
          v3 = const debug
          -> b5 if not v3
        b5 Logic:
          v4 = call g()
          -> b4 if v4
          -> b4 if not v4
        b4 Logic:
          v5 = v3 || v4
          return v5
          -> b1 return
        b3 Then, unreachable:
          v0 = const true
          return v0
          -> b1 return
        b1 Exit:",
    );
}

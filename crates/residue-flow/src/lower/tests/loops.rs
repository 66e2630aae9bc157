//! Loops, labels and goto.

use super::{check, check_minor};

#[test]
fn range_over_a_slice() {
    check(
        "
        func f(s []string) {
            for i, x := range s {
                _, _ = i, x
            }
        }
        ",
        "
        b0 Entry:
          v0 = s
          -> b3
        b3 RangeHead, repeats:
          v1 = next v0
          -> b4 each
          -> b2 done
        b4 RangeBody, repeats:
          v2 = v1#0
          i := v2
          v4 = v1#1
          x := v4
          v6 = i
          v7 = x
          -> b3
        b2 RangeDone:
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn range_over_an_array_reads_it_only_for_elements() {
    check(
        "
        func f(a [3]int, p *[3]int) {
            for i := range p {
                _ = i
            }
            for _, x := range a {
                _ = x
            }
        }
        ",
        "
        b0 Entry:
          v0 = unknown()
          -> b3
        b3 RangeHead, repeats:
          v1 = next v0
          -> b4 each
          -> b2 done
        b4 RangeBody, repeats:
          v2 = v1#0
          i := v2
          v4 = i
          -> b3
        b2 RangeDone:
          v5 = a
          -> b6
        b6 RangeHead, repeats:
          v6 = next v5
          -> b7 each
          -> b5 done
        b7 RangeBody, repeats:
          v7 = v6#1
          x := v7
          v9 = x
          -> b6
        b5 RangeDone:
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn range_over_numbers_functions_and_channels() {
    check(
        "
        func f(n int, seq func(func(int) bool), ch chan int) {
            for range n {
            }
            for x := range seq {
                _ = x
            }
            for x := range ch {
                _ = x
            }
        }
        ",
        "
        b0 Entry:
          v0 = n
          -> b3
        b3 RangeHead, repeats:
          v1 = next v0
          -> b4 each
          -> b2 done
        b4 RangeBody, repeats:
          -> b3
        b2 RangeDone:
          v2 = seq
          -> b6
        b6 RangeHead, repeats:
          v3 = next v2  !nil function
          -> b7 each
          -> b5 done
        b7 RangeBody, repeats:
          v4 = v3#0
          x := v4
          v6 = x
          -> b6
        b5 RangeDone:
          v7 = ch
          -> b9
        b9 RangeHead, repeats:
          v8 = next v7
          -> b10 each
          -> b8 done
        b10 RangeBody, repeats:
          v9 = v8#0
          x.2 := v9
          v11 = x.2
          -> b9
        b8 RangeDone:
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn range_assigns_to_any_place() {
    check(
        "
        func f(s []any, m map[string]int) {
            for s[0], s[1] = range m {
            }
        }
        ",
        "
        b0 Entry:
          v0 = m
          -> b3
        b3 RangeHead, repeats:
          v1 = next v0
          -> b4 each
          -> b2 done
        b4 RangeBody, repeats:
          v2 = s
          v3 = const 0
          v4 = s
          v5 = const 1
          v6 = v1#0
          v7 = interface v6
          v2[v3] = v7  !index
          v9 = v1#1
          v10 = interface v9
          v4[v5] = v10  !index
          -> b3
        b2 RangeDone:
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn each_round_has_its_own_variables() {
    check(
        "
        func f() {
            for i := 0; i < 3; i++ {
                _ = func() { _ = i }
            }
        }
        ",
        "
        b0 Entry:
          v0 = const 0
          i := v0
          -> b3
        b3 ForHead, repeats:
          v2 = i
          v3 = const 3
          v4 = v2 < v3
          -> b4 if v4
          -> b2 if not v4
        b4 ForBody, repeats:
          v5 = closure at line 4
          -> b5
        b5 ForPost, repeats:
          v6 = i
          i := v6
          v8 = i
          v9 = const 1
          v10 = v8 + v9
          i = v10
          -> b3
        b2 ForDone:
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn without_a_post_statement_too() {
    check(
        "
        func f() {
            for i := 0; ; {
                _ = &i
            }
        }
        ",
        "
        b0 Entry:
          v0 = const 0
          i := v0
          -> b3
        b3 ForHead, repeats:
          v2 = i
          i := v2
          -> b4
        b4 ForBody, repeats:
          v4 = &i
          -> b3
        b2 ForDone, unreachable:
        b1 Exit, unreachable:",
    );
}

#[test]
fn before_go_1_22_all_rounds_share_variables() {
    check_minor(
        "
        func f(s []int) {
            for _, x := range s {
                _ = &x
            }
            for i := 0; i < 3; i++ {
                _ = &i
            }
        }
        ",
        21,
        "
        b0 Entry:
          v0 = s
          v1 = zero
          x := v1
          -> b3
        b3 RangeHead, repeats:
          v3 = next v0
          -> b4 each
          -> b2 done
        b4 RangeBody, repeats:
          v4 = v3#1
          x = v4
          v6 = &x
          -> b3
        b2 RangeDone:
          v7 = const 0
          i := v7
          -> b6
        b6 ForHead, repeats:
          v9 = i
          v10 = const 3
          v11 = v9 < v10
          -> b7 if v11
          -> b5 if not v11
        b7 ForBody, repeats:
          v12 = &i
          -> b8
        b8 ForPost, repeats:
          v13 = i
          v14 = const 1
          v15 = v13 + v14
          i = v15
          -> b6
        b5 ForDone:
          return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn labels_and_goto() {
    check(
        "
        func f(i int) {
        again:
            for {
                if i == 0 {
                    continue again
                }
                goto out
            }
        out:
            i = 1
        }
        ",
        "
        b0 Entry:
          -> b2
        b2 Label:
          -> b4
        b4 ForHead, repeats:
          -> b5
        b5 ForBody, repeats:
          v0 = i
          v1 = const 0
          v2 = v0 == v1
          -> b7 if v2
          -> b6 if not v2
        b7 Then, repeats:
          -> b4
        b6 IfDone:
          -> b8
        b8 Label:
          v3 = const 1
          i = v3
          return
          -> b1 return
        b3 ForDone, unreachable:
          -> b8
        b1 Exit:",
    );
}

//! Broken and extreme code.

use residue_project::PackageId;

use super::{check, code_of_f, lower, lower_f, program};
use crate::build::Typed;
use crate::tree::functions;

/// Lowers `f` on a thread with the stack of a default one, and gives the number of its instructions.
fn lowered(source: String) -> usize {
    let lower = move || {
        let program = program(&source, 27);
        let bodies = program.bodies(PackageId(0));
        // Finding dominators takes quadratic time where thousands of edges meet.
        if source.len() > 50_000 { lower_f(&bodies).len() } else { code_of_f(&bodies).len() }
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(lower).expect("a thread starts");
    thread.join().expect("no panic")
}

#[test]
fn long_chains_do_not_recurse() {
    let sum = format!("package p\nfunc f(x int) int {{ return x{} }}", " + x".repeat(9_990));
    assert_eq!(lowered(sum), 2 * 9_990 + 2);
    let calls = format!(
        "package p\ntype T struct{{ t *T }}\nfunc (t *T) m() *T\nfunc f(t *T) {{ t{} }}",
        ".m().t".repeat(4_990)
    );
    assert!(lowered(calls) > 2 * 4_990);
    let indices = format!("package p\ntype S []S\nfunc f(s S) {{ s{} = nil }}", "[0]".repeat(9_990));
    assert!(lowered(indices) > 2 * 9_990);
    let logic = format!("package p\nfunc g() bool\nfunc f(a bool) bool {{ return a{} }}", " && g()".repeat(9_990));
    assert!(lowered(logic) > 2 * 9_990);
}

#[test]
fn deep_nesting_has_the_stack_it_needs() {
    let nested = |open: &str, close: &str, n: usize| format!("{}x{}", open.repeat(n), close.repeat(n));
    for (open, close) in [("g(", ")"), ("(", ")"), ("-", ""), ("[]any{", "}[0].(int)"), ("s[", "]"), ("t(g2(", "))")] {
        let x = nested(open, close, 300);
        let source = format!(
            "package p\nfunc g(int) int\nfunc g2(int) bool\nfunc t(bool) int\nfunc f(x int, s []int) {{ _ = {x} }}"
        );
        assert!(lowered(source) > 0);
    }
    let logic = nested("(a || g(", ") && a)", 200).replace('x', "a");
    assert!(lowered(format!("package p\nfunc g(bool) bool\nfunc f(a bool) {{ _ = {logic} }}")) > 200);
    let blocks = format!("package p\nfunc f(x bool) {{ {} {} }}", "for { if x {".repeat(400), "}}".repeat(400));
    assert!(lowered(blocks) >= 400);
}

#[test]
fn many_operators_in_one_node_take_linear_time() {
    let elements = "a || g(), ".repeat(20_000);
    let source = format!("package p\nfunc g() bool\nfunc f(a bool) {{ _ = []bool{{ {elements} }} }}");
    assert!(lowered(source) > 3 * 20_000);
}

#[test]
fn what_is_unknown_keeps_its_operands() {
    check(
        "
        func g() int
        func f(x T, n int) {
            x.m(n).f = g()
            x[n].a()
            y := x.b
            y = missing.F(n)
            undefined++
            *x, n = g()
            a, b := n
            return x, y
        }
        ",
        "
        b0 Entry:
          v0 = x
          v1 = unknown(v0)
          v2 = n
          v3 = call v1(v2)
          v4 = call g()
          v5 = unknown(v3, v4)
          v6 = x
          v7 = n
          v8 = unknown(v6, v7)
          v9 = unknown(v8)
          v10 = call v9()
          v11 = x
          v12 = unknown(v11)
          y := v12
          v14 = unknown()
          v15 = unknown(v14)
          v16 = n
          v17 = call v15(v16)
          y = v17
          v19 = unknown()
          v20 = const 1
          v21 = v19 + v20
          v22 = unknown(v21)
          v23 = x
          v24 = call g()
          v25 = v24#0
          *v23 = v25  !nil pointer
          v27 = v24#1
          n = v27
          v29 = n
          v30 = unknown(v29)
          v31 = v30#0
          a := v31
          v33 = v30#1
          b := v33
          v35 = x
          v36 = y
          return v35, v36
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn broken_code_is_lowered_as_far_as_it_goes() {
    for body in [
        "x.",
        "f(",
        "a, b, c = 1, 2",
        "var x, y = 1",
        "go f",
        "defer (int)(3)",
        "switch x := y.(type) { case",
        "select { case x: case <-y, z: }",
        "for a, b, c := range d {",
        "return 1, 2, 3",
        "_ = T{a: 1, 2, [3]: 4}",
        "_ = []int{5: 1, -1: 2, 1 << 70: 3}",
        "if x := 1; {",
        "_ = x.(type)",
        "L: goto M",
        "_ = &1 + &f()",
        "append(); new(); make(); len(); panic(); close(); delete()",
        "_ = 1[2][3:4:5]",
        "func() { return 1 }()",
        "a.b.c.d().e[f](g)...",
        "x++ = 3",
        "<-x = 4",
        "_ = map[int]int{1, 2: 3}",
        "_ = f[int][string]()",
        "unsafe.Sizeof(a && f())",
        "_ = [1]int{}[a && f()] == 2",
    ] {
        assert!(lowered(format!("package p\nimport \"unsafe\"\nfunc f(a bool) bool {{ {body}\n}}")) < 100, "{body}");
    }
}

/// Lowers all functions of a source; their code has to be well-formed.
fn lower_all(source: &str) {
    let program = program(source, 27);
    let bodies = program.bodies(PackageId(0));
    for function in functions(bodies.syntax(0)) {
        let parent = function.key();
        let body = lower(&bodies, 0, parent, &Typed { bodies: &bodies, file: 0 }).expect("it has a body");
        assert_eq!(body.validate(), Ok(()), "{source}");
    }
}

#[test]
fn any_piece_may_be_missing() {
    let source = include_str!("order.go");
    for start in (0..source.len()).step_by(53) {
        for len in [1, 2, 7, 23] {
            let rest = source.get(start + len..).unwrap_or_default();
            lower_all(&format!("{}{rest}", &source[..start]));
        }
        lower_all(&source[..start]);
    }
}

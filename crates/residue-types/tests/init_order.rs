//! The order of initialisation, as the compiler has it: each expectation is what `go/types` says of the same source.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use residue_project::fs::MemoryFileSystem;
use residue_project::{Config, load};
use residue_types::{Objects, Program};

/// The initialisers of a package, `a, b = f()`, in order.
fn order(files: &[(&str, &str)]) -> Vec<String> {
    let mut all = vec![("/m/go.mod".to_owned(), "module m\n\ngo 1.27\n".to_owned())];
    all.extend(files.iter().map(|(name, text)| (format!("/m/{name}"), format!("package m\n{text}"))));
    let config = Config { tests: true, cgo: Some(true), ..Config::new("/m") };
    let project = load(&MemoryFileSystem::new(all), &config).expect("the module loads");
    let (id, _) = project.roots().next().expect("a package");
    let program = Program::new(Arc::new(project));
    let bodies = program.bodies(id);
    let shown = bodies.init_order().into_iter().map(|init| {
        let names: Vec<&str> =
            init.vars.iter().filter_map(|&var| bodies.object(var)).map(|object| object.name.as_str()).collect();
        let tree = bodies.syntax(init.file);
        format!("{} = {}", names.join(", "), tree.text(tree.expr_span(init.value)))
    });
    shown.collect()
}

#[track_caller]
fn check(source: &str, want: &[&str]) {
    assert_eq!(order(&[("a.go", source)]), want, "{source}");
}

#[test]
fn the_example_of_the_specification() {
    check(
        "var (\n\ta = c + b\n\tb = f()\n\tc = f()\n\td = 3\n)\nfunc f() int { d++; return d }\n",
        &["d = 3", "b = f()", "c = f()", "a = c + b"],
    );
}

#[test]
fn the_first_that_is_ready_comes_next() {
    // Not depth first: d is ready before what a needs first, c, is.
    check("var a = c + d\nvar c = e\nvar d = 1\nvar e = 2\n", &["d = 1", "e = 2", "c = e", "a = c + d"]);
    // A variable without a value takes its turn too.
    check("var x = p\nvar z = 1\nvar p int\n", &["z = 1", "x = p"]);
    check(
        "var y = b\nvar x = a\nvar a, b = f()\nfunc f() (int, int) { return 1, 2 }\n",
        &["a, b = f()", "x = a", "y = b"],
    );
}

#[test]
fn files_follow_each_other() {
    assert_eq!(order(&[("b.go", "var x = 1\n"), ("a.go", "var y, z = 1, x\n")]), ["y = 1", "x = 1", "z = x"]);
}

#[test]
fn tests_and_then_users_of_c_come_last() {
    let files =
        [("a.go", "import \"C\"\nvar a = 1\n"), ("b_test.go", "var b = 1\n"), ("c.go", "var c = 1\nvar d = a\n")];
    assert_eq!(order(&files), ["c = 1", "b = 1", "a = 1", "d = a"]);
}

#[test]
fn functions_methods_and_literals_are_followed() {
    let tail = "var z = 1\n";
    for (source, first) in [
        ("var x = f\nfunc f() int { return z }\n", "x = f"),
        ("var x = func() int { return z }\n", "x = func() int { return z }"),
        ("var x = T.m\ntype T int\nfunc (T) m() int { return z }\n", "x = T.m"),
        ("var x = T(0).m()\ntype T int\nfunc (T) m() int { return z }\n", "x = T(0).m()"),
        ("var x = f[int]()\nfunc f[P any]() int { return z }\n", "x = f[int]()"),
        (
            "var x = even(4)\nfunc even(n int) bool { return odd(n) }\nfunc odd(n int) bool { z++; return even(n) }\n",
            "x = even(4)",
        ),
        ("var x = E{}.m()\ntype E struct{ T }\ntype T int\nfunc (T) m() int { return z }\n", "x = E{}.m()"),
    ] {
        check(&format!("{source}{tail}"), &["z = 1", first]);
    }
    for (source, first) in [
        // What an interface's method does is not known.
        (
            "var x = I(T(0)).m()\ntype I interface{ m() int }\ntype T int\nfunc (T) m() int { return z }\n",
            "x = I(T(0)).m()",
        ),
        // Methods of generic types are left out, by the compiler too.
        ("var x = g.m()\nvar g G[int]\ntype G[P any] struct{}\nfunc (G[P]) m() int { return z }\n", "x = g.m()"),
        // A type of its own refers to nothing.
        ("var x = len(T{})\ntype T [len(z2)]int\nvar z2 = [1]int{z}\n", "x = len(T{})"),
        ("var x = f()\nfunc f() int { z := 2; return z }\n", "x = f()"),
    ] {
        let order = order(&[("a.go", &format!("{source}{tail}"))]);
        assert_eq!(order[0], first, "{source}");
    }
}

#[test]
fn cycles_are_broken_where_least_is_missing() {
    check("var a = b + c\nvar b = c\nvar c = b\nvar d = 1\n", &["d = 1", "b = c", "c = b", "a = b + c"]);
    check("var x = f()\nfunc f() int { return x }\nvar y = x\n", &["x = f()", "y = x"]);
}

#[test]
fn broken_code_has_an_order() {
    for source in [
        "var a, b = 1\n",
        "var = a\n",
        "var a = \n",
        "var a, b, c = d, e\nvar d = a\n",
        "var a a = a\n",
        "func () f() { x }\nvar x = f\nvar x = x\n",
    ] {
        order(&[("a.go", source)]);
    }
}

#[test]
fn long_chains_and_many_cycles_take_no_longer_than_their_text() {
    let count = 20_000;
    let mut chain = String::new();
    let mut cycles = String::new();
    for i in 0..count {
        let _ = writeln!(chain, "var v{i} = f0()\nfunc f{i}() int {{ return f{}() }}", (i + 1) % count);
        let _ = writeln!(
            cycles,
            "var v{i} = v{} + f{i}()\nfunc f{i}() int {{ return v{i} + f{}() }}",
            (i + 1) % count,
            (i + 7) % count
        );
    }
    let start = Instant::now();
    assert_eq!(order(&[("a.go", &chain)]).len(), count);
    assert_eq!(order(&[("a.go", &cycles)]).len(), count);
    // Quadratic work would be a hundred times as long.
    assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
}

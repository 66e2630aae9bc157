//! Types of expressions: each `_ = x // T` in a source is checked to have type `T`.

use std::collections::BTreeMap;
use std::sync::Arc;

use residue_project::{GoVersion, LoadStats, Origin, Package, PackageId, Project, SourceFile, Target, Variant};
use residue_syntax::ast::{AssignOp, Decl, Stmt};
use residue_syntax::{Bodies, parse};
use residue_types::{Objects, Program};

fn project(source: &str) -> Project {
    let parsed = parse(Arc::from(source.as_bytes()), Bodies::Keep);
    assert_eq!(parsed.errors, [], "{source}");
    let go_version = GoVersion { major: 1, minor: 27 };
    let file = SourceFile {
        path: "p.go".into(),
        file: parsed.file,
        errors: Vec::new(),
        generated: false,
        test: false,
        excluded: false,
        cgo: source.contains("import \"C\""),
        go_version,
    };
    let package = Package {
        import_path: "p".into(),
        name: "p".into(),
        variant: Variant::Plain,
        origin: Origin::Root,
        module: None,
        dir: ".".into(),
        go_version,
        analyse: true,
        files: vec![Arc::new(file)],
        imports: BTreeMap::new(),
        incomplete: false,
    };
    Project {
        packages: vec![package],
        modules: Vec::new(),
        diagnostics: Vec::new(),
        missing: Vec::new(),
        target: Target { goos: "linux".into(), goarch: "amd64".into(), cgo: false, tags: Vec::new() },
        std_version: "".into(),
        stats: LoadStats::default(),
    }
}

/// Checks every `_ = x // T` at the top level of a function of `source`.
#[track_caller]
fn check(source: &str) {
    let program = Program::new(Arc::new(project(source)));
    let bodies = program.bodies(PackageId(0));
    let (tree, info) = (bodies.syntax(0), bodies.file(0));
    let mut seen = 0;
    for decl in tree.list(tree.top_decls()) {
        let Decl::Func(func) = tree.decl(decl) else { continue };
        let Some(body) = func.body else { continue };
        for stmt in tree.list(tree.block(body).stmts) {
            let Stmt::Assign { rhs, op: AssignOp::Assign, .. } = tree.stmt(stmt) else { continue };
            let line = tree.line_col(tree.stmt_span(stmt).start).line;
            let text = tree.line_span(line).map(|s| tree.text(s).into_owned()).unwrap_or_default();
            let Some((_, want)) = text.split_once("// ") else { continue };
            let value = tree.list_get(rhs, 0).expect("a value");
            let what = info.expr(value);
            let shown = bodies.show(what.ty).to_string();
            let got = match what.value {
                Some(v) => format!("{shown} = {v}"),
                None => shown,
            };
            assert_eq!(got, want, "{text}");
            seen += 1;
        }
    }
    assert_eq!(seen, source.matches(" // ").count(), "each expectation is looked at");
}

#[test]
fn constants() {
    check(
        r#"package p
const big = 1 << 100
const (
	a = iota
	b
	_
	d float32 = iota / 2
)
type Weekday uint8
const (
	Sunday Weekday = iota
	Monday
)
func f() {
	_ = 1 // int = 1
	_ = big >> 98 // int = 4
	_ = b // int = 1
	_ = d // float32 = 1
	_ = Monday // p.Weekday = 1
	_ = ^Monday // p.Weekday = 254
	_ = 'x' // int32 = 120
	_ = 1.5 // float64 = 3/2
	_ = 7 / 2 // int = 3
	_ = 7 / 2.0 // float64 = 7/2
	_ = "a" + "b" // string = "ab"
	_ = len("hello") // int = 5
	_ = 1 == 1.0 // bool = true
	_ = float32(0.1) * 1 // float32 = 13421773/134217728
	_ = uint8(255) // uint8 = 255
	_ = string('é') // string = "é"
	_ = len([3]int{}) // int = 3
	_ = min(1, 2.5) // float64 = 1
	_ = real(2i) // float64 = 0
	_ = Weekday(3) + 1 // p.Weekday = 4
}
"#,
    );
}

#[test]
fn one_call_gives_all_arguments_of_a_predeclared_function() {
    check(
        "package p
func pair() (n, m uint8)
func f() {
	_ = min(pair()) // uint8
	_ = max(pair()) // uint8
}
",
    );
}

#[test]
fn untyped_values_take_the_type_of_their_context() {
    check(
        r#"package p
func f(n uint, s []byte, e error, x float32) {
	var i int8
	_ = i + 1 // int8
	_ = 1 << n // int
	_ = x + 1<<3 // float32
	_ = e == nil // bool
	_ = s[0] == 'a' // bool
	_ = i << 3 // int8
	_ = x * 2 // float32
	_ = append(s, "text"...) // []uint8
	_ = !(i > 0) && true // bool
	_ = any(1) // any
	_ = []any{1, "x"} // []any
}
"#,
    );
}

#[test]
fn fields_and_methods_through_embedding() {
    check(
        r"package p
type Inner struct{ n int; deep *Deep }
type Deep struct{ Name string }
func (d *Deep) Get(i int) (string, error) { return d.Name, nil }
func (i Inner) Len() int { return i.n }
type Outer struct {
	Inner
	*Deep
	Closer
}
type Closer interface{ Close() error }
func f(o Outer, p *Outer) {
	_ = o.n // int
	_ = p.Len() // int
	_ = o.Name // string
	_ = p.deep.Name // string
	_ = o.Close // func() error
	_ = p.Close() // error
	_ = (*Deep).Get // func(*p.Deep, int) (string, error)
	_ = o.Get // func(int) (string, error)
	_ = &o.Inner.n // *int
	_ = Closer.Close // func(p.Closer) error
}
",
    );
}

#[test]
fn composite_literals_and_ranges() {
    check(
        r#"package p
type T struct{ a, b int; c []string }
func f(m map[string]*T, ch <-chan error, seq func(yield func(int, string) bool)) {
	_ = T{1, 2, nil} // p.T
	_ = &T{a: 1} // *p.T
	_ = [...]int{5: 1, 2} // [7]int
	_ = []*T{{a: 1}, nil} // []*p.T
	_ = map[string][]T{"x": {{a: 1}}} // map[string][]p.T
	_ = m["k"] // *p.T
	_ = <-ch // error
	_ = m["k"].c[1:2] // []string
	_ = struct{ x int "tag" }{1} // struct{x int "tag"}
	for i, v := range seq { _, _ = i, v; use(i, v) }
	_ = func(a int, b ...string) (n int, err error) { return } // func(int, ...string) (int, error)
}
func use(int, string) {}
"#,
    );
}

#[test]
fn generics() {
    check(
        r#"package p
type Number interface{ ~int | ~int64 | ~float64 }
type Pair[K comparable, V any] struct { Key K; Val V }
type List[T any] struct { next *List[T]; val T }
func (l *List[E]) Push(v E) *List[E] { return &List[E]{l, v} }
func (l *List[E]) All() func(func(E) bool) { return nil }
func Map[T, U any](s []T, f func(T) U) []U { return nil }
func Sum[S ~[]E, E Number](s S) E { var t E; return t }
func Ptr[T any](v T) *T { return &v }
func Keys[M ~map[K]V, K comparable, V any](m M) []K { return nil }
func New[T any, P interface{ *T; Set(string) }](s string) P { return nil }
type Conf struct{}
func (c *Conf) Set(string) {}
type Ints []int
type Set[T comparable] = map[T]struct{}
func itoa(int) string { return "" }
func Id[T any](x T) T { return x }
func Do[T any](x T, f func(T) T) T { return f(x) }
func f(l *List[string], xs Ints, m map[string]bool) {
	_ = Map([]int{1}, func(i int) string { return "" }) // []string
	_ = Map(xs, itoa) // []string
	_ = Sum(xs) // int
	_ = Ptr(1) // *int
	_ = Ptr("x") // *string
	_ = Keys(m) // []string
	_ = New[Conf]("x") // *p.Conf
	_ = l.Push("x").val // string
	_ = l.next.next // *p.List[string]
	_ = Pair[string, int]{"a", 1}.Val // int
	_ = Set[string]{} // map[string]struct{}
	_ = Map[int, bool] // func([]int, func(int) bool) []bool
	_ = l.All() // func(func(string) bool)
	_ = Do(1.5, Id) // float64
	_ = Id[func(int)] // func(func(int)) func(int)
}
func g[T Number](a, b T) T {
	_ = a + b // T
	_ = a < b // bool
	_ = a * 2 // T
	_ = []T{a}[0] // T
	_ = T(1) // T
	_ = g(a, b) // T
	return a
}
"#,
    );
}

#[test]
fn generic_methods_have_type_parameters_of_their_own() {
    check(
        r#"package p
type Box[T any] struct{ v T }
func (b Box[T]) Map[U any](f func(T) U) Box[U] { return Box[U]{f(b.v)} }
func f(b Box[int]) {
	_ = b.Map(func(i int) string { return "" }) // p.Box[string]
	_ = b.Map[bool] // func(func(int) bool) p.Box[bool]
}
"#,
    );
}

#[test]
fn declarations_in_any_order_and_in_circles() {
    check(
        r#"package p
var x = y + len(table)
var y int8 = 3
var table = [...]string{"a", "b"}
type A struct{ b *B; f func(A) B }
type B struct{ a []A; m map[string]A; I }
type I interface{ M(I) A; J }
type J interface{ N() [size]B }
const size = len(table)
var first, second = two()
func two() (A, error) { return A{}, nil }
func f(b B) {
	_ = y // int8
	_ = b.N()[0].a // []p.A
	_ = b.M(b) // p.A
	_ = b.N() // [2]p.B
	_ = first.f // func(p.A) p.B
	_ = second // error
}
"#,
    );
}

#[test]
fn names_of_the_cgo_preamble() {
    check(
        r#"package p

/*
#include <stdlib.h>
#define LIMIT 0x10
#define SHOUT(x) x
typedef unsigned long long handle_t;
typedef struct node { struct node *next; } node;
struct pair { int a, b; };
enum color { RED, GREEN = 2 };
static inline int add(int a, const char *name) { return a + name[0]; }
extern void *open_it(struct pair *p, size_t n, unsigned char buf[16]);
void nothing(void);
int printf(const char *fmt, ...);
*/
import "C"
import "unsafe"

func f(p *C.struct_pair) {
	_ = C.CString("x") // *p._Ctype_char
	_ = C.LIMIT // int = 16
	_ = C.add(1, nil) // p._Ctype_int
	_ = C.open_it(p, 3, nil) // unsafe.Pointer
	_ = C.handle_t(1) // p._Ctype_handle_t = 1
	_ = C.GoBytes(nil, 4) // []uint8
	_ = C.int(2) + 3 // p._Ctype_int = 5
	_ = new(C.node) // *p._Ctype_struct_node
	_ = C.printf // invalid type
	_ = C.strlen(nil) // invalid type
	_ = int(C.size_t(1)) // int = 1
	_ = C.nothing // func()
	_ = unsafe.Sizeof(*p) // uintptr
	_ = unsafe.Sizeof(p) // uintptr = 8
}
"#,
    );
}

#[test]
fn errno_is_the_second_value_of_a_c_call() {
    check(
        r#"package p

// int open_it(void);
import "C"

func f() {
	n, err := C.open_it()
	_ = n // p._Ctype_int
	_ = err // error
}
"#,
    );
}

#[test]
fn ill_typed_code_is_unknown_and_ends() {
    for source in [
        "package p\ntype T T\nvar x T\n",
        "package p\ntype (A B; B A)\nvar a A\n",
        "package p\ntype I interface{ I }\nvar i I\n",
        "package p\nvar x = x\n",
        "package p\nvar a, b = b, a\n",
        "package p\nconst c = c + 1\n",
        "package p\ntype T [len(v)]int\nvar v T\n",
        "package p\ntype A = A\nfunc (A) m() {}\n",
        "package p\ntype G[T G[T]] struct{}\nvar g G[int]\n",
        "package p\ntype G[T any] struct{ x *G[G[T]] }\nvar g = G[int]{}.x.x.x\n",
        "package p\nfunc f[P interface{ *P }](p P) {}\nfunc g() { f(nil); f(1) }\n",
        "package p\nfunc f() { x := f(); y := undefined.Thing(x); y.Z() }\n",
        "package p\nfunc f() { var a [1<<62]int; _ = a; _ = 1 << 1e9; _ = 1 / 0 }\n",
        "package p\ntype E struct{ E }\nfunc f(e E) { e.x() }\n",
        "package p\ntype S struct{ *S; n int }\nfunc f(s S) { _ = s.missing }\n",
    ] {
        let program = Program::new(Arc::new(project(source)));
        let bodies = program.bodies(PackageId(0));
        assert_eq!(bodies.file_count(), 1, "{source}");
    }
}

/// A program of few lines whose types or values double with each: what is too big is unknown, and soon so.
#[test]
fn what_doubles_is_cut() {
    let chain = |first: &str, link: &dyn Fn(usize) -> String| {
        let links: String = (1..64).map(link).collect();
        format!("package p\nimport \"unsafe\"\n{first}\n{links}\n")
    };
    let double = "type P[A, B any] struct { a A; b B }\nfunc d[T any](x T) P[T, T] { return P[T, T]{x, x} }";
    for source in [
        chain("type A0 = struct{ x int }", &|i| format!("type A{i} = struct{{ x, y A{} }}\n", i - 1))
            + "var x A63\nfunc f() { _ = x; _ = x.x.y; g(x) }\nfunc g(any) {}\n",
        chain("type T0 struct{ x int }", &|i| format!("type T{i} struct{{ x, y T{} }}\n", i - 1))
            + "const s = unsafe.Sizeof(T63{})\nconst a = unsafe.Alignof(T63{})\nconst o = unsafe.Offsetof(T63{}.y)\n",
        chain(double, &|i| {
            if i == 1 { "var v1 = d(1)\n".to_owned() } else { format!("var v{i} = d(v{})\n", i - 1) }
        }) + "func f() { _ = v63; _ = v63.a.b.a }\n",
        chain("const c0 = \"x\"", &|i| format!("const c{i} = c{0} + c{0}\n", i - 1))
            + "func f() { _ = c63; _ = len(c20) }\n",
        chain("const n0 = 2", &|i| format!("const n{i} = n{0} * n{0}\n", i - 1)) + "func f() { _ = n63 }\n",
        chain("const r0 = 1.1", &|i| format!("const r{i} = r{0} * r{0}\n", i - 1)) + "func f() { _ = r63 }\n",
    ] {
        let program = Program::new(Arc::new(project(&source)));
        assert_eq!(program.bodies(PackageId(0)).file_count(), 1);
    }
}

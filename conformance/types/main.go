// Command types prints what go/types finds out about the packages of a directory, one fact a line, for comparison with
// residue-types.
//
//	types [-tests] [-cgo] PATTERN...
//
// With -cgo it is about the packages that import "C", and only those. Their files are typed as they stand, with what is
// selected from C opaque (types.Config.FakeImportC). What depends on it has no type, and is not printed; nor are untyped
// constants, whose type depends on the other operand.
//
// Lines, fields separated by tabs:
//
//	P	import path			a package follows
//	F	absolute path			a file of it follows
//	T	start	end	kind	mode	type	value	an expression
//	D	pos	object			a definition
//	U	pos	object			a use
//	S	start	end	kind	indirect	path	type	a selection
//	I	pos	type arguments	type	an instance
//	C	start	end	callee		a call
//	O	file	pos	variables	an initialiser of the package, in order; "end" after the last
//
// Types are printed flat: aliases resolved, no parameter names, interfaces with all their methods.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/types/typeutil"
)

var (
	out = bufio.NewWriterSize(os.Stdout, 1<<20)
	cgo = flag.Bool("cgo", false, "packages that import C, instead of the others")
)

func main() {
	tests := flag.Bool("tests", false, "type test files too")
	flag.Parse()
	defer out.Flush()
	env := append(os.Environ(), "CGO_ENABLED=0")
	if *cgo {
		env = append(env, "CGO_ENABLED=1")
	}
	config := &packages.Config{Mode: packages.LoadAllSyntax | packages.NeedModule, Tests: *tests, Env: env}
	loaded, err := packages.Load(config, flag.Args()...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Of a package and its test variant, the one with more files tells more.
	richest := map[string]*packages.Package{}
	for _, p := range loaded {
		if strings.HasSuffix(p.ID, ".test") || len(p.CompiledGoFiles) == 0 && !*cgo {
			continue
		}
		if old := richest[p.PkgPath]; old == nil || len(p.GoFiles) > len(old.GoFiles) {
			richest[p.PkgPath] = p
		}
	}
	var paths []string
	for path := range richest {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	for _, path := range paths {
		p := richest[path]
		if *cgo {
			if !fake(p) {
				continue
			}
		} else if p.TypesInfo == nil || p.IllTyped {
			fmt.Fprintf(os.Stderr, "%s: ill-typed, left out: %v\n", path, p.Errors)
			continue
		}
		fmt.Fprintf(out, "P\t%s\n", path)
		perFile(p)
		initOrder(p)
	}
}

// fake types a package's own files, C opaque, in place of those that cgo makes of them. It is false for a package that
// does not import C.
func fake(p *packages.Package) bool {
	importsC := false
	var files []*ast.File
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(p.Fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: left out: %v\n", p.PkgPath, err)
			return false
		}
		for _, spec := range file.Imports {
			importsC = importsC || spec.Path.Value == `"C"`
		}
		files = append(files, file)
	}
	if !importsC {
		return false
	}
	config := types.Config{
		FakeImportC: true,
		Sizes:       p.TypesSizes,
		Importer:    imports(p.Imports),
		Error:       func(err error) { fmt.Fprintf(os.Stderr, "%s: %v\n", p.PkgPath, err) },
	}
	if p.Module != nil && p.Module.GoVersion != "" {
		config.GoVersion = "go" + p.Module.GoVersion
	}
	info := &types.Info{
		Types:      map[ast.Expr]types.TypeAndValue{},
		Defs:       map[*ast.Ident]types.Object{},
		Uses:       map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
		Instances:  map[*ast.Ident]types.Instance{},
	}
	// Errors were printed.
	p.Types, _ = config.Check(p.PkgPath, p.Fset, files, info)
	p.Syntax, p.TypesInfo = files, info
	return true
}

// imports gives packages by the paths by which one imports them.
type imports map[string]*packages.Package

func (m imports) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	if p := m[path]; p != nil && p.Types != nil {
		return p.Types, nil
	}
	return nil, fmt.Errorf("%s is not loaded", path)
}

// opaque is the type of what depends on C. No other fact has this text in it.
const opaque = "\x00"

// line prints a fact, unless it depends on what is opaque.
func line(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !strings.Contains(text, opaque) {
		out.WriteString(text)
	}
}

func initOrder(p *packages.Package) {
	for _, init := range p.TypesInfo.InitOrder {
		var names []string
		for _, v := range init.Lhs {
			names = append(names, v.Name())
		}
		at := p.Fset.File(init.Rhs.Pos())
		line("O\t%s\t%d\t%s\n", filepath.Base(at.Name()), at.Offset(init.Rhs.Pos()), strings.Join(names, ","))
	}
	line("O\tend\n")
}

func perFile(p *packages.Package) {
	info := p.TypesInfo
	for _, file := range p.Syntax {
		tf := p.Fset.File(file.FileStart)
		fmt.Fprintf(out, "F\t%s\n", tf.Name())
		offset := func(pos token.Pos) int { return tf.Offset(pos) }
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if obj := info.Defs[n]; obj != nil {
					line("D\t%d\t%s\n", offset(n.Pos()), object(obj))
				}
				if obj := info.Uses[n]; obj != nil {
					line("U\t%d\t%s\n", offset(n.Pos()), object(obj))
				}
				if inst, ok := info.Instances[n]; ok {
					var args []string
					for i := 0; i < inst.TypeArgs.Len(); i++ {
						args = append(args, show(inst.TypeArgs.At(i)))
					}
					line("I\t%d\t%s\t%s\n", offset(n.Pos()), strings.Join(args, ","), show(inst.Type))
				}
			case *ast.SelectorExpr:
				if sel := info.Selections[n]; sel != nil {
					selection(offset, n, sel)
				}
			case *ast.CallExpr:
				if obj := typeutil.Callee(info, n); obj != nil {
					line("C\t%d\t%d\t%s\n", offset(n.Pos()), offset(n.End()), callee(obj))
				}
			}
			if e, ok := n.(ast.Expr); ok {
				if tv, ok := info.Types[e]; ok {
					expression(offset, e, tv)
				}
			}
			return true
		})
	}
}

func expression(offset func(token.Pos) int, e ast.Expr, tv types.TypeAndValue) {
	kind := strings.TrimPrefix(fmt.Sprintf("%T", e), "*ast.")
	mode := "value"
	typ := ""
	if basic, ok := tv.Type.(*types.Basic); ok && *cgo && tv.Value != nil && basic.Info()&types.IsUntyped != 0 {
		return
	}
	switch {
	case tv.IsVoid():
		mode = "novalue"
	case tv.IsType():
		mode = "type"
	case tv.IsBuiltin():
		mode = "builtin"
	case tv.IsNil():
		mode = "nil"
	case tv.Value != nil:
		mode = "constant"
	case tv.Addressable():
		mode = "variable"
	}
	if mode != "builtin" && mode != "novalue" {
		typ = show(tv.Type)
	}
	if tuple, ok := tv.Type.(*types.Tuple); ok && tuple.Len() == 2 {
		switch ast.Unparen(e).(type) {
		case *ast.CallExpr:
		default:
			// v, ok := …: the first value's type is compared.
			typ = show(tuple.At(0).Type())
		}
	}
	value := ""
	if tv.Value != nil {
		value = tv.Value.ExactString()
		if tv.Value.Kind() == constant.String {
			value = strconv.QuoteToASCII(constant.StringVal(tv.Value))
		}
		if len(value) > 200 {
			value = "long"
		}
	}
	line("T\t%d\t%d\t%s\t%s\t%s\t%s\n", offset(e.Pos()), offset(e.End()), kind, mode, typ, value)
}

func selection(offset func(token.Pos) int, n *ast.SelectorExpr, sel *types.Selection) {
	kind := [...]string{"field", "method", "methodexpr"}[sel.Kind()]
	index := sel.Index()
	if sel.Kind() != types.FieldVal {
		index = index[:len(index)-1]
	}
	line("S\t%d\t%d\t%s\t%t\t%v\t%s\n", offset(n.Pos()), offset(n.End()), kind, sel.Indirect(), index, show(sel.Type()))
}

func object(obj types.Object) string {
	pkg := ""
	if obj.Pkg() != nil {
		pkg = obj.Pkg().Path()
	}
	switch obj := obj.(type) {
	case *types.PkgName:
		return "package " + obj.Imported().Path()
	case *types.Const:
		return "const " + pkg + "." + obj.Name() + " " + show(obj.Type())
	case *types.TypeName:
		return "type " + pkg + "." + obj.Name() + " " + show(obj.Type())
	case *types.Var:
		if obj.IsField() {
			return "field " + obj.Name()
		}
		return "var " + pkg + "." + obj.Name() + " " + show(obj.Type())
	case *types.Func:
		return "func " + callee(obj) + " " + show(obj.Type())
	case *types.Label:
		return "label " + obj.Name()
	case *types.Builtin:
		return "builtin " + obj.Name()
	case *types.Nil:
		return "nil"
	}
	return "?"
}

func callee(obj types.Object) string {
	f, ok := obj.(*types.Func)
	if !ok {
		switch obj.(type) {
		case *types.Builtin:
			return "builtin " + obj.Name()
		case *types.TypeName:
			return "conversion"
		}
		return "dynamic"
	}
	f = f.Origin()
	pkg := ""
	if f.Pkg() != nil {
		pkg = f.Pkg().Path()
	}
	recv := f.Signature().Recv()
	if recv == nil {
		return pkg + "." + f.Name()
	}
	star := ""
	t := types.Unalias(recv.Type())
	if p, ok := t.(*types.Pointer); ok {
		star, t = "*", types.Unalias(p.Elem())
	}
	if _, ok := t.Underlying().(*types.Interface); ok {
		return "interface " + f.Name()
	}
	if named, ok := t.(*types.Named); ok {
		return "(" + star + pkg + "." + named.Obj().Name() + ")." + f.Name()
	}
	return "interface " + f.Name()
}

func show(t types.Type) string {
	var b strings.Builder
	write(&b, t)
	return b.String()
}

func list(b *strings.Builder, n int, at func(int) types.Type, sep string) {
	for i := 0; i < n; i++ {
		if i > 0 {
			b.WriteString(sep)
		}
		write(b, at(i))
	}
}

func write(b *strings.Builder, t types.Type) {
	switch t := types.Unalias(t).(type) {
	case nil:
		b.WriteString("nil")
	case *types.Basic:
		switch t.Kind() {
		case types.Invalid:
			b.WriteString(opaque)
		case types.UnsafePointer:
			b.WriteString("unsafe.Pointer")
		case types.Byte:
			b.WriteString("uint8")
		case types.Rune:
			b.WriteString("int32")
		default:
			b.WriteString(t.Name())
		}
	case *types.Named:
		if pkg := t.Obj().Pkg(); pkg != nil {
			b.WriteString(pkg.Path() + ".")
		}
		b.WriteString(t.Obj().Name())
		if args := t.TypeArgs(); args.Len() > 0 {
			b.WriteString("[")
			list(b, args.Len(), args.At, ",")
			b.WriteString("]")
		}
	case *types.TypeParam:
		b.WriteString(t.Obj().Name())
	case *types.Pointer:
		b.WriteString("*")
		write(b, t.Elem())
	case *types.Slice:
		b.WriteString("[]")
		write(b, t.Elem())
	case *types.Array:
		fmt.Fprintf(b, "[%d]", t.Len())
		write(b, t.Elem())
	case *types.Map:
		b.WriteString("map[")
		write(b, t.Key())
		b.WriteString("]")
		write(b, t.Elem())
	case *types.Chan:
		b.WriteString([...]string{"chan ", "chan<- ", "<-chan "}[t.Dir()])
		inner, ok := types.Unalias(t.Elem()).(*types.Chan)
		parens := t.Dir() == types.SendRecv && ok && inner.Dir() == types.RecvOnly
		if parens {
			b.WriteString("(")
		}
		write(b, t.Elem())
		if parens {
			b.WriteString(")")
		}
	case *types.Struct:
		b.WriteString("struct{")
		for i := 0; i < t.NumFields(); i++ {
			if i > 0 {
				b.WriteString("; ")
			}
			if f := t.Field(i); !f.Embedded() {
				b.WriteString(f.Name() + " ")
			}
			write(b, t.Field(i).Type())
			if tag := t.Tag(i); tag != "" {
				fmt.Fprintf(b, " %q", tag)
			}
		}
		b.WriteString("}")
	case *types.Signature:
		b.WriteString("func")
		signature(b, t)
	case *types.Interface:
		iface(b, t)
	case *types.Union:
		union(b, t)
	case *types.Tuple:
		b.WriteString("(")
		list(b, t.Len(), func(i int) types.Type { return t.At(i).Type() }, ", ")
		b.WriteString(")")
	default:
		fmt.Fprintf(b, "%T", t)
	}
}

func signature(b *strings.Builder, s *types.Signature) {
	if n := s.TypeParams().Len(); n > 0 {
		b.WriteString("[")
		list(b, n, func(i int) types.Type { return s.TypeParams().At(i) }, ", ")
		b.WriteString("]")
	}
	b.WriteString("(")
	for i := 0; i < s.Params().Len(); i++ {
		if i > 0 {
			b.WriteString(", ")
		}
		t := s.Params().At(i).Type()
		if slice, ok := t.(*types.Slice); ok && s.Variadic() && i == s.Params().Len()-1 {
			b.WriteString("...")
			t = slice.Elem()
		}
		write(b, t)
	}
	b.WriteString(")")
	switch s.Results().Len() {
	case 0:
	case 1:
		b.WriteString(" ")
		write(b, s.Results().At(0).Type())
	default:
		b.WriteString(" ")
		write(b, s.Results())
	}
}

// iface prints all methods and the type set as written in the embedded elements.
func iface(b *strings.Builder, t *types.Interface) {
	terms, limited := termsOf(t)
	comparable := hasComparable(t)
	if t.NumMethods() == 0 && !limited && !comparable {
		b.WriteString("any")
		return
	}
	b.WriteString("interface{")
	sep := ""
	methods := make([]*types.Func, t.NumMethods())
	for i := range methods {
		methods[i] = t.Method(i)
	}
	sort.Slice(methods, func(i, j int) bool { return methods[i].Name() < methods[j].Name() })
	for _, m := range methods {
		b.WriteString(sep + m.Name())
		signature(b, m.Signature())
		sep = "; "
	}
	if comparable {
		b.WriteString(sep + "comparable")
		sep = "; "
	}
	if limited {
		b.WriteString(sep + strings.Join(terms, " | "))
	}
	b.WriteString("}")
}

func union(b *strings.Builder, u *types.Union) {
	terms, _ := unionTerms(u)
	b.WriteString("interface{" + strings.Join(terms, " | ") + "}")
}

func hasComparable(t *types.Interface) bool {
	for i := 0; i < t.NumEmbeddeds(); i++ {
		e := types.Unalias(t.EmbeddedType(i))
		if named, ok := e.(*types.Named); ok && named.Obj().Pkg() == nil && named.Obj().Name() == "comparable" {
			return true
		}
		if under, ok := e.Underlying().(*types.Interface); ok && hasComparable(under) {
			return true
		}
	}
	return false
}

// termsOf flattens the type set: the terms, and whether there is a limit at all.
func termsOf(t *types.Interface) ([]string, bool) {
	var terms []string
	limited := false
	for i := 0; i < t.NumEmbeddeds(); i++ {
		more, ok := elementTerms(types.Unalias(t.EmbeddedType(i)))
		if !ok {
			continue
		}
		if !limited {
			terms, limited = more, true
			continue
		}
		var both []string
		for _, term := range terms {
			for _, other := range more {
				if term == other {
					both = append(both, term)
				}
			}
		}
		terms = both
	}
	return terms, limited
}

func elementTerms(e types.Type) ([]string, bool) {
	switch e := e.(type) {
	case *types.Union:
		return unionTerms(e)
	case *types.TypeParam:
		return []string{show(e)}, true
	}
	if under, ok := e.Underlying().(*types.Interface); ok {
		return termsOf(under)
	}
	return []string{show(e)}, true
}

func unionTerms(u *types.Union) ([]string, bool) {
	var terms []string
	seen := map[string]bool{}
	for i := 0; i < u.Len(); i++ {
		term := u.Term(i)
		if term.Tilde() {
			add(&terms, seen, "~"+show(term.Type()))
			continue
		}
		more, ok := elementTerms(types.Unalias(term.Type()))
		if !ok {
			return nil, false
		}
		for _, t := range more {
			add(&terms, seen, t)
		}
	}
	return terms, true
}

func add(terms *[]string, seen map[string]bool, term string) {
	if !seen[term] {
		seen[term] = true
		*terms = append(*terms, term)
	}
}

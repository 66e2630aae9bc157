// Command stdlib compares the exported API of two trees of the standard library for one target: a Go tree, and one that
// holds declarations alone. It prints what differs, then a line of counts, and fails where anything does.
package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

const shownMax = 20

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: stdlib GOROOT DECLARATIONS GOOS GOARCH CGO")
		os.Exit(2)
	}
	whole := newTree(os.Args[1], os.Args[3:])
	cut := newTree(os.Args[2], os.Args[3:])
	var differ []string
	packages, objects := 0, 0
	var pairs []pair
	for _, path := range publicPackages(os.Args[1]) {
		want, err := whole.Import(path)
		if err != nil || want.Name() == "main" {
			continue
		}
		packages++
		got, err := cut.Import(path)
		if err != nil {
			differ = append(differ, fmt.Sprintf("%s: %v", path, err))
			continue
		}
		pairs = append(pairs, pair{want, got})
		wants, gots := describe(want), describe(got)
		objects += len(wants)
		for name, text := range wants {
			if gots[name] != text {
				differ = append(differ, fmt.Sprintf("%s.%s:\n    %s\n    %s", path, name, text, gots[name]))
			}
		}
		for name := range gots {
			if _, ok := wants[name]; !ok {
				differ = append(differ, fmt.Sprintf("%s.%s is not exported", path, name))
			}
		}
	}
	implementing, wrong := compareImplementations(pairs)
	differ = append(differ, wrong...)
	differ = append(differ, cut.errors...)
	sort.Strings(differ)
	for _, line := range differ[:min(len(differ), shownMax)] {
		fmt.Println("  " + line)
	}
	fmt.Printf("%s/%s cgo=%s: %d packages, %d objects, %d pairs of type and interface, %d differ\n",
		os.Args[3], os.Args[4], os.Args[5], packages, objects, implementing, len(differ))
	if len(differ) > 0 || packages == 0 {
		os.Exit(1)
	}
}

// A pair is one package as read from both trees.
type pair struct{ want, got *types.Package }

// compareImplementations compares which exported types implement which interfaces with unexported methods: methods that
// no user can name still decide that. It returns how many pairs it looked at.
func compareImplementations(pairs []pair) (int, []string) {
	count := 0
	var differ []string
	for _, p := range pairs {
		for _, iface := range p.want.Scope().Names() {
			want, got := namedType(p.want, iface), namedType(p.got, iface)
			if want == nil || got == nil || !types.IsInterface(want) {
				continue
			}
			for _, name := range p.want.Scope().Names() {
				a, b := namedType(p.want, name), namedType(p.got, name)
				if a == nil || b == nil {
					continue
				}
				count++
				if implements(a, want) != implements(b, got) {
					differ = append(differ, fmt.Sprintf("%s: whether %s implements %s", p.want.Path(), name, iface))
				}
			}
		}
	}
	return count, differ
}

func namedType(p *types.Package, name string) types.Type {
	object, ok := p.Scope().Lookup(name).(*types.TypeName)
	if !ok || !object.Exported() {
		return nil
	}
	if named, ok := object.Type().(*types.Named); ok && named.TypeParams().Len() > 0 {
		return nil
	}
	return object.Type()
}

func implements(t, iface types.Type) bool {
	i := iface.Underlying().(*types.Interface)
	return types.Implements(t, i) || types.Implements(types.NewPointer(t), i)
}

// describe gives each exported object's declaration, value, underlying type and method set.
func describe(p *types.Package) map[string]string {
	qualify := func(p *types.Package) string { return p.Path() }
	out := map[string]string{}
	for _, name := range p.Scope().Names() {
		if !ast.IsExported(name) {
			continue
		}
		object := p.Scope().Lookup(name)
		text := types.ObjectString(object, qualify)
		switch object := object.(type) {
		case *types.Const:
			text += " = " + object.Val().ExactString()
		case *types.TypeName:
			t := object.Type()
			text += " is " + types.TypeString(t.Underlying(), qualify)
			receiver := t
			if !types.IsInterface(t) {
				receiver = types.NewPointer(t)
			}
			methods := types.NewMethodSet(receiver)
			for i := range methods.Len() {
				if methods.At(i).Obj().Exported() {
					text += "\n      " + types.SelectionString(methods.At(i), qualify)
				}
			}
			text += fmt.Sprint(" comparable=", types.Comparable(t))
		}
		out[name] = text
	}
	return out
}

// publicPackages lists the packages that programs may import.
func publicPackages(root string) []string {
	src := filepath.Join(root, "src")
	var paths []string
	filepath.WalkDir(src, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || path == src {
			return err
		}
		relative, _ := filepath.Rel(src, path)
		switch name := entry.Name(); {
		case name == "internal", name == "testdata", name[0] == '_', name[0] == '.',
			relative == "cmd", relative == "vendor", relative == "builtin", relative == "unsafe":
			return filepath.SkipDir
		}
		paths = append(paths, filepath.ToSlash(relative))
		return nil
	})
	return paths
}

// A tree type-checks the declarations of packages below a directory.
type tree struct {
	context  build.Context
	packages map[string]*types.Package
	files    *token.FileSet
	errors   []string
}

func newTree(root string, target []string) *tree {
	context := build.Default
	context.GOROOT, context.GOOS, context.GOARCH = root, target[0], target[1]
	context.CgoEnabled = target[2] == "1"
	return &tree{context: context, packages: map[string]*types.Package{}, files: token.NewFileSet()}
}

func (t *tree) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	dir := filepath.Join(t.context.GOROOT, "src", path)
	if _, err := os.Stat(dir); err != nil {
		path = "vendor/" + path
		dir = filepath.Join(t.context.GOROOT, "src", path)
	}
	if p, ok := t.packages[path]; ok {
		if p == nil {
			return nil, errors.New("import cycle")
		}
		return p, nil
	}
	t.packages[path] = nil
	listed, err := t.context.ImportDir(dir, 0)
	if err != nil {
		return nil, err
	}
	var parsed []*ast.File
	for _, name := range append(listed.GoFiles, listed.CgoFiles...) {
		file, err := parser.ParseFile(t.files, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.errors = append(t.errors, err.Error())
			continue
		}
		parsed = append(parsed, file)
	}
	config := types.Config{
		Importer:         t,
		IgnoreFuncBodies: true,
		FakeImportC:      true,
		Sizes:            types.SizesFor("gc", t.context.GOARCH),
		Error: func(err error) {
			if !strings.Contains(err.Error(), "missing function body") {
				t.errors = append(t.errors, err.Error())
			}
		},
		DisableUnusedImportCheck: true,
	}
	p, _ := config.Check(path, t.files, parsed, nil)
	t.packages[path] = p
	return p, nil
}

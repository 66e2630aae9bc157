// Command parse tells how go/parser reads Go files, to compare another parser with it.
//
// It reads paths from standard input, one a line, and prints a line for each: 1 or 0 for accepted or refused, the
// number of nodes, and a hash of them. With -dump it prints, instead, the nodes of the file that is its argument, one
// a line, or the error.
//
// A node is its kind, the offsets of its first byte and the one after its last, and what else distinguishes it. Nodes
// come in the order of ast.Inspect; lists of fields, comments, and bodies of switches and selects are not nodes.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/fnv"
	"log"
	"os"
	"strconv"
)

const mode = parser.ParseComments | parser.SkipObjectResolution

func main() {
	log.SetFlags(0)
	dump := flag.String("dump", "", "print the nodes of this `file`")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	if *dump != "" {
		lines, err := nodes(*dump)
		if err != nil {
			fmt.Fprintln(out, "refused:", err)
		}
		for _, line := range lines {
			fmt.Fprintln(out, line)
		}
		return
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		lines, err := nodes(in.Text())
		if err != nil {
			fmt.Fprintln(out, "0 0 0")
			continue
		}
		hash := fnv.New64a()
		for _, line := range lines {
			hash.Write([]byte(line))
			hash.Write([]byte{'\n'})
		}
		fmt.Fprintf(out, "1 %d %x\n", len(lines), hash.Sum64())
	}
	if err := in.Err(); err != nil {
		log.Fatal(err)
	}
}

// nodes gives the nodes of a file, each as a line of text, or why it is refused.
func nodes(path string) (lines []string, err error) {
	src, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, src, mode)
	if err != nil {
		return nil, err
	}
	d := dumper{base: fset.File(file.FileStart).Base()}
	d.add("Package", file.Package, file.Name.End(), file.Name.Name)
	for _, group := range file.Comments {
		for _, comment := range group.List {
			// A comment's text, and so its end, lacks carriage returns.
			d.add("Comment", comment.Pos(), comment.Pos()+2, comment.Text[:2])
		}
	}
	for _, decl := range file.Decls {
		ast.Inspect(decl, d.visit)
	}
	return d.lines, nil
}

type dumper struct {
	base  int
	lines []string
	skip  map[ast.Node]bool
}

func (d *dumper) offset(pos token.Pos) string {
	if !pos.IsValid() {
		return "0"
	}
	return strconv.Itoa(int(pos) - d.base)
}

func (d *dumper) add(kind string, pos, end token.Pos, detail string) {
	d.lines = append(d.lines, kind+" "+d.offset(pos)+" "+d.offset(end)+" "+detail)
}

func (d *dumper) visit(n ast.Node) bool {
	var kind, detail string
	switch n := n.(type) {
	case nil, *ast.FieldList:
		return true
	case *ast.Comment, *ast.CommentGroup:
		return false

	case *ast.Ident:
		kind, detail = "Ident", n.Name
	case *ast.BasicLit:
		kind, detail = "BasicLit", n.Kind.String()
	case *ast.CompositeLit:
		kind, detail = "CompositeLit", d.offset(n.Lbrace)
	case *ast.FuncLit:
		kind = "FuncLit"
	case *ast.ParenExpr:
		kind = "Paren"
	case *ast.SelectorExpr:
		kind = "Selector"
	case *ast.IndexExpr, *ast.IndexListExpr:
		kind = "Index"
	case *ast.SliceExpr:
		kind, detail = "Slice", fmt.Sprint(n.Low != nil, n.High != nil, n.Max != nil)
	case *ast.TypeAssertExpr:
		kind, detail = "TypeAssert", fmt.Sprint(n.Type != nil)
	case *ast.CallExpr:
		kind, detail = "Call", d.offset(n.Ellipsis)
	case *ast.StarExpr:
		kind = "Star"
	case *ast.UnaryExpr:
		kind, detail = "Unary", n.Op.String()
	case *ast.BinaryExpr:
		kind, detail = "Binary", n.Op.String()+" "+d.offset(n.OpPos)
	case *ast.KeyValueExpr:
		kind = "KeyValue"
	case *ast.ArrayType:
		kind, detail = "ArrayType", fmt.Sprint(n.Len != nil)
	case *ast.Ellipsis:
		kind = "Ellipsis"
	case *ast.StructType:
		kind = "StructType"
	case *ast.FuncType:
		kind = "FuncType"
	case *ast.InterfaceType:
		kind = "InterfaceType"
	case *ast.MapType:
		kind = "MapType"
	case *ast.ChanType:
		kind, detail = "ChanType", [...]string{ast.SEND: "send", ast.RECV: "recv", ast.SEND | ast.RECV: "both"}[n.Dir]

	case *ast.Field:
		kind, detail = "Field", fmt.Sprint(len(n.Names), n.Tag != nil)
	case *ast.ImportSpec:
		kind, detail = "Import", fmt.Sprint(n.Name != nil)
	case *ast.ValueSpec:
		kind, detail = "Value", fmt.Sprint(len(n.Names), n.Type != nil, len(n.Values))
	case *ast.TypeSpec:
		kind, detail = "Type", fmt.Sprint(n.Assign.IsValid())
	case *ast.GenDecl:
		kind, detail = "Gen", n.Tok.String()+" "+fmt.Sprint(n.Lparen.IsValid())
	case *ast.FuncDecl:
		kind, detail = "Func", fmt.Sprint(n.Recv != nil, n.Body != nil)

	case *ast.DeclStmt:
		kind = "DeclStmt"
	case *ast.EmptyStmt:
		kind = "Empty"
	case *ast.LabeledStmt:
		kind = "Labeled"
	case *ast.ExprStmt:
		kind = "ExprStmt"
	case *ast.SendStmt:
		kind = "Send"
	case *ast.IncDecStmt:
		kind, detail = "IncDec", n.Tok.String()
	case *ast.AssignStmt:
		kind, detail = "Assign", n.Tok.String()+" "+d.offset(n.TokPos)+" "+strconv.Itoa(len(n.Lhs))
	case *ast.GoStmt:
		kind = "Go"
	case *ast.DeferStmt:
		kind = "Defer"
	case *ast.ReturnStmt:
		kind, detail = "Return", strconv.Itoa(len(n.Results))
	case *ast.BranchStmt:
		kind, detail = "Branch", n.Tok.String()
	case *ast.BlockStmt:
		if d.skip[n] {
			return true
		}
		kind = "Block"
	case *ast.IfStmt:
		kind, detail = "If", fmt.Sprint(n.Init != nil, n.Else != nil)
	case *ast.SwitchStmt:
		kind, detail = "Switch", fmt.Sprint(n.Init != nil, n.Tag != nil, " ")+d.body(n.Body)
	case *ast.TypeSwitchStmt:
		kind, detail = "TypeSwitch", fmt.Sprint(n.Init != nil, " ")+d.body(n.Body)
	case *ast.SelectStmt:
		kind, detail = "Select", d.body(n.Body)
	case *ast.CaseClause:
		kind, detail = "Case", d.offset(n.Colon)+" "+fmt.Sprint(n.List != nil, len(n.Body))
		if n.List == nil {
			kind = "Default"
		}
	case *ast.CommClause:
		kind, detail = "Comm", d.offset(n.Colon)+" "+fmt.Sprint(n.Comm != nil, len(n.Body))
		if n.Comm == nil {
			kind = "Default"
		}
	case *ast.ForStmt:
		kind, detail = "For", fmt.Sprint(n.Init != nil, n.Cond != nil, n.Post != nil)
	case *ast.RangeStmt:
		kind, detail = "Range", fmt.Sprint(n.Key != nil, n.Value != nil, n.Tok == token.DEFINE)
	default:
		log.Fatalf("a file without errors has a %T", n)
	}
	d.add(kind, n.Pos(), n.End(), detail)
	return true
}

// body gives the place of a switch's or select's body, which is no node.
func (d *dumper) body(block *ast.BlockStmt) string {
	if d.skip == nil {
		d.skip = make(map[ast.Node]bool)
	}
	d.skip[block] = true
	return d.offset(block.Pos()) + " " + d.offset(block.End())
}

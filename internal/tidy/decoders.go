package tidy

import (
	"go/ast"
	"path"
	"strings"
)

// decoding names what takes bytes apart, by import path: a function that calls one of them is a decoder.
var decoding = map[string][]string{
	"codec":                                {"Unmarshal"},
	"encoding/json":                        {"Unmarshal", "NewDecoder"},
	"google.golang.org/protobuf/proto":     {"Unmarshal"},
	"github.com/pelletier/go-toml/v2":      {"Unmarshal", "NewDecoder"},
	"github.com/fxamacker/cbor/v2":         {"Unmarshal", "NewDecoder"},
	"google.golang.org/protobuf/protowire": {"ConsumeTag", "ConsumeVarint", "ConsumeBytes", "ConsumeField"},
}

// function is one function or method of the repository.
type function struct {
	pkg  *pkg
	file *file
	decl *ast.FuncDecl
}

// checkDecoders finds functions that take bytes apart, by a decoder of a library or by their name, and that no fuzz target reaches.
func checkDecoders(r *Repo) []Finding {
	g := newGraph(r)
	reached := g.fromFuzz()
	var out []Finding
	for _, f := range g.functions {
		if f.file.test || reached[f] || !g.decodes(f) || exempt(decoderExemptions, f.pkg.dir, f.decl.Name.Name) || exempt(decoderExemptions, f.pkg.dir, "*") {
			continue
		}
		out = append(out, Finding{Path: f.file.path, Line: r.line(f.decl.Pos()), Rule: "decoders", Text: f.decl.Name.Name +
			" takes bytes apart and no fuzz target reaches it: write one with seeds (exceptions, each with a reason: decoderExemptions in internal/tidy/exempt.go)"})
	}
	return out
}

// graph finds functions by folder and name. Methods of all types of a package are one name: it errs on the side of reaching.
type graph struct {
	module    string
	functions []*function
	named     map[string][]*function // folder + "." + name
}

func newGraph(r *Repo) *graph {
	g := &graph{module: r.module, named: map[string][]*function{}}
	for _, p := range r.packages {
		for _, f := range p.files {
			for _, d := range f.ast.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				one := &function{p, f, fn}
				g.functions = append(g.functions, one)
				g.named[p.dir+"."+fn.Name.Name] = append(g.named[p.dir+"."+fn.Name.Name], one)
			}
		}
	}
	return g
}

// fromFuzz returns the functions that fuzz targets reach.
func (g *graph) fromFuzz() map[*function]bool {
	reached := map[*function]bool{}
	var queue []*function
	for _, f := range g.functions {
		if f.file.test && f.decl.Recv == nil && strings.HasPrefix(f.decl.Name.Name, "Fuzz") {
			reached[f] = true
			queue = append(queue, f)
		}
	}
	for len(queue) > 0 {
		f := queue[0]
		queue = queue[1:]
		for _, next := range g.mentioned(f) {
			if !reached[next] {
				reached[next] = true
				queue = append(queue, next)
			}
		}
	}
	return reached
}

// mentioned returns the functions whose names a function's body mentions.
func (g *graph) mentioned(f *function) []*function {
	imports := f.file.names()
	var out []*function
	ast.Inspect(f.decl.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && imports[id.Name] != "" {
				out = append(out, g.named[g.dir(imports[id.Name])+"."+n.Sel.Name]...)
				return false
			}
			out = append(out, g.named[f.pkg.dir+"."+n.Sel.Name]...)
			for _, p := range imports {
				out = append(out, methods(g.named[g.dir(p)+"."+n.Sel.Name])...)
			}
		case *ast.Ident:
			out = append(out, g.named[f.pkg.dir+"."+n.Name]...)
		}
		return true
	})
	return out
}

func methods(all []*function) (out []*function) {
	for _, f := range all {
		if f.decl.Recv != nil {
			out = append(out, f)
		}
	}
	return out
}

// dir returns the folder of a package of this module; other packages have none.
func (g *graph) dir(importPath string) string {
	if dir, ok := strings.CutPrefix(importPath, g.module+"/"); ok {
		return dir
	}
	return "\x00" + importPath
}

// decodes reports whether a function takes bytes apart.
func (g *graph) decodes(f *function) bool {
	name := f.decl.Name.Name
	if (strings.HasPrefix(name, "Decode") || strings.HasPrefix(name, "decode")) && takesBytes(f.decl.Type) {
		return true
	}
	imports := f.file.names()
	found := false
	ast.Inspect(f.decl.Body, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		if !ok || imports[id.Name] == "" {
			return true
		}
		for _, what := range decoding[strings.TrimPrefix(imports[id.Name], g.module+"/")] {
			found = found || sel.Sel.Name == what
		}
		return true
	})
	return found
}

// takesBytes reports whether a parameter is a slice of bytes, a pointer to an array of bytes, or a string.
func takesBytes(t *ast.FuncType) bool {
	for _, p := range t.Params.List {
		typ := p.Type
		if star, ok := typ.(*ast.StarExpr); ok {
			typ = star.X
		}
		if array, ok := typ.(*ast.ArrayType); ok {
			typ = array.Elt
			if id, ok := typ.(*ast.Ident); ok && id.Name == "byte" {
				return true
			}
		}
	}
	return false
}

// names returns the import paths of a file by the names that it uses for them.
func (f *file) names() map[string]string {
	out := map[string]string{}
	f.imports(func(p string, spec *ast.ImportSpec) {
		switch base := path.Base(p); {
		case spec.Name != nil:
			out[spec.Name.Name] = p
		case strings.HasPrefix(base, "v") && len(base) == 2: // a major version
			out[strings.TrimPrefix(path.Base(path.Dir(p)), "go-")] = p
		default:
			out[base] = p
		}
	})
	return out
}

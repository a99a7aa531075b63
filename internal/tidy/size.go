package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// How long things may grow, in lines.
const (
	funcLinesMax = 70
	fileLinesMax = 500
	mainLinesMax = 39
)

// checkSize finds functions, files and main packages that have grown too long. Generated code and tests are free.
func checkSize(r *Repo) []Finding {
	var out []Finding
	for _, p := range r.packages {
		for _, f := range p.files {
			if f.test || f.generated {
				continue
			}
			if f.lines > fileLinesMax {
				out = append(out, Finding{Path: f.path, Rule: "size",
					Text: fmt.Sprintf("%d lines; a file has at most %d", f.lines, fileLinesMax)})
			}
			if f.ast.Name.Name == "main" && f.lines > mainLinesMax {
				out = append(out, Finding{Path: f.path, Rule: "size",
					Text: fmt.Sprintf("%d lines; a main has at most %d, the rest belongs in a package", f.lines, mainLinesMax)})
			}
			out = append(out, longFuncs(r, f)...)
		}
	}
	return out
}

// longFuncs finds long functions of one file, and long literals that are in no function.
func longFuncs(r *Repo, f *file) []Finding {
	var out []Finding
	measure := func(n ast.Node, name string, pos, end token.Pos) {
		if lines := r.line(end) - r.line(pos) + 1; lines > funcLinesMax {
			out = append(out, Finding{Path: f.path, Line: r.line(n.Pos()), Rule: "size",
				Text: fmt.Sprintf("%s has %d lines; a function has at most %d", name, lines, funcLinesMax)})
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			measure(n, n.Name.Name, n.Type.Pos(), n.End())
			return false
		case *ast.FuncLit:
			measure(n, "function literal", n.Pos(), n.End())
			return false
		}
		return true
	})
	return out
}

// vague are package names that say nothing of what the package provides.
var vague = []string{"util", "utils", "common", "manager", "managers", "helper", "helpers", "misc", "shared"}

// checkNames finds vague package names and packages that do not introduce themselves in doc.go.
func checkNames(r *Repo) []Finding {
	var out []Finding
	for _, p := range r.packages {
		if slices.Contains(vague, p.name()) || slices.Contains(vague, path.Base(p.dir)) {
			out = append(out, Finding{Path: p.dir, Rule: "names",
				Text: fmt.Sprintf("package %s: name it for what it provides", p.name())})
		}
		if text := introduction(p); text != "" {
			out = append(out, Finding{Path: p.dir, Rule: "names", Text: text})
		}
	}
	return out
}

// introduction says what is missing from the doc.go of a package; a main package may introduce itself in main.go.
func introduction(p *pkg) string {
	if !p.hasCode() {
		return ""
	}
	name, opening, home := p.name(), "Package "+p.name()+" ", "doc.go"
	if name == "main" {
		opening = "Command " + path.Base(p.dir) + " "
	}
	for _, f := range p.files {
		base := path.Base(f.path)
		if base == home || name == "main" && base == "main.go" {
			if strings.HasPrefix(f.ast.Doc.Text(), opening) {
				return ""
			}
		}
	}
	return fmt.Sprintf("%s is missing or its comment does not begin %q", home, opening)
}

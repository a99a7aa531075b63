package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strings"
)

// checkTests finds tests that sleep or skip.
func checkTests(r *Repo) []Finding {
	var out []Finding
	for _, p := range r.packages {
		for _, f := range p.files {
			if f.test {
				out = append(out, sleeps(r, f)...)
				out = append(out, skips(r, p, f)...)
			}
		}
	}
	return out
}

// sleeps finds calls of time.Sleep and testing.Short, under whatever name the package was imported.
func sleeps(r *Repo, f *file) []Finding {
	advice := map[string]string{
		"time.Sleep":    "a test waits for an event, or for the fake clock (testing/synctest, internal/clock)",
		"testing.Short": "the whole suite runs everywhere",
	}
	names := map[string]string{}
	f.imports(func(p string, spec *ast.ImportSpec) {
		if spec.Name != nil {
			names[spec.Name.Name] = p
		} else {
			names[path.Base(p)] = p
		}
	})
	var out []Finding
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok {
			what := names[id.Name] + "." + sel.Sel.Name
			if why, bad := advice[what]; bad {
				out = append(out, Finding{Path: f.path, Line: r.line(n.Pos()), Rule: "tests", Text: what + ": " + why})
			}
		}
		return true
	})
	return out
}

// skips finds calls of Skip, Skipf and SkipNow on a value of package testing. (The Skip of a property-testing library discards a
// generated case and is none of this rule's business.)
func skips(r *Repo, p *pkg, f *file) []Finding {
	var out []Finding
	for _, d := range f.ast.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || exempt(skipExemptions, p.dir, fn.Name.Name) {
			continue
		}
		for _, pos := range skipCalls(fn.Type, fn.Body, map[string]bool{}) {
			out = append(out, Finding{Path: f.path, Line: r.line(pos), Rule: "tests", Text: fmt.Sprintf(
				"%s skips (exceptions, each with a reason: skipExemptions in internal/tidy/exempt.go)", fn.Name.Name)})
		}
	}
	return out
}

// skipCalls returns where a function body skips. outer tells which names in scope are values of package testing.
func skipCalls(typ *ast.FuncType, body *ast.BlockStmt, outer map[string]bool) []token.Pos {
	scope := map[string]bool{}
	for name, is := range outer {
		scope[name] = is
	}
	for _, field := range typ.Params.List {
		for _, name := range field.Names {
			scope[name.Name] = isTesting(field.Type)
		}
	}
	var out []token.Pos
	if body == nil {
		return nil
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			out = append(out, skipCalls(n.Type, n.Body, scope)...)
			return false
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !strings.HasPrefix(sel.Sel.Name, "Skip") || sel.Sel.Name == "Skipped" {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && scope[id.Name] {
				out = append(out, n.Pos())
			}
		}
		return true
	})
	return out
}

// isTesting reports whether a type is written testing.X or *testing.X.
func isTesting(t ast.Expr) bool {
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	sel, ok := t.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == "testing"
}

// unfinished matches the marks of unfinished work; they are put together here so that this file does not match itself.
var unfinished = regexp.MustCompile(`\b(` + "TO" + `DO|FIX` + `ME|HA` + `CK|XX` + `X)\b`)

// checkWords finds marks of unfinished work in comments and strings.
func checkWords(r *Repo) []Finding {
	var out []Finding
	for _, p := range r.packages {
		for _, f := range p.files {
			report := func(pos token.Pos, body string) {
				if word := unfinished.FindString(body); word != "" {
					out = append(out, Finding{Path: f.path, Line: r.line(pos), Rule: "words",
						Text: fmt.Sprintf("%q: finish it, or file an issue and say nothing here", word)})
				}
			}
			for _, group := range f.ast.Comments {
				for _, c := range group.List {
					report(c.Pos(), c.Text)
				}
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					report(lit.Pos(), lit.Value)
				}
				return true
			})
		}
	}
	return out
}

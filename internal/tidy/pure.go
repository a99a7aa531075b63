package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// impure are the packages through which the machine leaks into execution. A pattern that ends in a slash covers what is below.
var impure = []string{"time", "os", "os/", "net", "net/", "crypto/rand", "math/rand", "math/rand/"}

// checkPure finds clocks, files, sockets, randomness, goroutines and floats below the chain, tests aside.
func checkPure(r *Repo) []Finding {
	var out []Finding
	ceiling, _ := find(chainDir)
	for _, p := range r.packages {
		at, ok := find(p.dir)
		if !ok || at.rank >= ceiling.rank || at.suite {
			continue
		}
		report := func(f *file, pos token.Pos, what, text string) {
			if exempt(pureExemptions, at.owner, what) || exempt(pureExemptions, p.dir, what) {
				return
			}
			out = append(out, Finding{Path: f.path, Line: r.line(pos), Rule: "pure", Text: fmt.Sprintf(
				"%s below %s (exceptions, each with a reason: pureExemptions in internal/tidy/exempt.go)", text, chainDir)})
		}
		for _, f := range p.files {
			if !f.test {
				pureFile(f, report)
			}
		}
	}
	return out
}

// pureFile reports every impure import, goroutine and float of one file.
func pureFile(f *file, report func(f *file, pos token.Pos, what, text string)) {
	f.imports(func(path string, spec *ast.ImportSpec) {
		for _, bad := range impure {
			if path == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(path, bad) {
				report(f, spec.Pos(), path, "import of "+path)
			}
		}
	})
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(f, n.Pos(), "go", "goroutine")
		case *ast.Ident:
			if n.Name == "float64" || n.Name == "float32" {
				report(f, n.Pos(), "float", n.Name)
			}
		case *ast.BasicLit:
			if n.Kind == token.FLOAT {
				report(f, n.Pos(), "float", "floating-point constant "+n.Value)
			}
		}
		return true
	})
}

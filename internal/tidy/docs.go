package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// checkDocs finds exported names without a doc comment, or with one that is no sentence about the name.
func checkDocs(r *Repo) []Finding {
	var out []Finding
	for _, p := range r.packages {
		for _, f := range p.files {
			if f.test || f.generated {
				continue
			}
			report := func(pos token.Pos, format string, args ...any) {
				out = append(out, Finding{Path: f.path, Line: r.line(pos), Rule: "docs", Text: fmt.Sprintf(format, args...)})
			}
			for _, d := range f.ast.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					docFunc(d, report)
				case *ast.GenDecl:
					docDecl(d, report)
				}
			}
		}
	}
	return out
}

type reporter func(pos token.Pos, format string, args ...any)

// docFunc checks functions, and methods of exported types.
func docFunc(d *ast.FuncDecl, report reporter) {
	if !d.Name.IsExported() || d.Recv != nil && !ast.IsExported(receiver(d.Recv)) {
		return
	}
	sentence(d.Pos(), d.Name.Name, d.Doc, report)
}

// receiver returns the type name of a method's receiver.
func receiver(recv *ast.FieldList) string {
	name := ""
	ast.Inspect(recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return name == ""
	})
	return name
}

// docDecl checks types one by one; constants and variables of a group may share the comment of the group.
func docDecl(d *ast.GenDecl, report reporter) {
	group := d.Lparen.IsValid()
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			doc := s.Doc
			if doc == nil && (!group || len(d.Specs) == 1) {
				doc = d.Doc
			}
			if s.Name.IsExported() {
				sentence(s.Pos(), s.Name.Name, doc, report)
			}
		case *ast.ValueSpec:
			docValue(d, s, group, report)
		}
	}
}

// docValue checks one line of constants or variables.
func docValue(d *ast.GenDecl, s *ast.ValueSpec, group bool, report reporter) {
	for _, name := range s.Names {
		if !name.IsExported() {
			continue
		}
		if !group {
			sentence(s.Pos(), name.Name, d.Doc, report)
		} else if d.Doc == nil && s.Doc == nil && s.Comment == nil {
			report(s.Pos(), "exported %s has no doc comment, and its group has none either", name.Name)
		}
		return
	}
}

// sentence checks that a doc comment is a sentence whose subject is the name.
func sentence(pos token.Pos, name string, doc *ast.CommentGroup, report reporter) {
	body := strings.TrimSpace(doc.Text())
	if body == "" {
		report(pos, "exported %s has no doc comment", name)
		return
	}
	words := strings.Fields(body)
	if len(words) > 1 && (words[0] == "A" || words[0] == "An" || words[0] == "The") {
		words = words[1:]
	}
	if subject := strings.TrimSuffix(strings.TrimRight(words[0], ",:;."), "'s"); subject != name {
		report(pos, "the doc comment of %s does not begin with its name", name)
	}
	first, _, _ := strings.Cut(body, "\n\n")
	if !strings.ContainsAny(first[len(first)-1:], ".:!?)") {
		report(pos, "the doc comment of %s is not a sentence: its first paragraph has no full stop", name)
	}
}

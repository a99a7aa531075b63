package tidy

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// register is the document that names every dependency.
const register = "docs/adr/0002-dependencies.md"

// registerLine matches one line of it: module, licence, reason, and what else was weighed.
var registerLine = regexp.MustCompile("(?m)^- `([^`]+)` \\([^)]+\\): .+ Weighed: .+$")

// toolLine matches the tools that tools/go.mod pins.
var toolLine = regexp.MustCompile(`(?m)^\s*(?:tool )?([a-z0-9.]+\.[a-z]+/\S+)$`)

// checkDependencies finds modules that code or tests import, and tools that are run, which the register does not name.
func checkDependencies(r *Repo) []Finding {
	named := map[string]bool{}
	for _, m := range registerLine.FindAllStringSubmatch(r.text(register), -1) {
		named[m[1]] = true
	}
	var out []Finding
	want := func(p string, line int, module string) {
		if module != "" && !named[module] {
			named[module] = true // say it once
			out = append(out, Finding{Path: p, Line: line, Rule: "dependencies", Text: fmt.Sprintf(
				"%s is not in %s; add \"- `%s` (licence): why. Weighed: what else.\"", module, register, module)})
		}
	}
	for _, p := range r.packages {
		for _, f := range p.files {
			f.imports(func(imported string, spec *ast.ImportSpec) {
				host, _, _ := strings.Cut(imported, "/")
				if strings.Contains(host, ".") {
					want(f.path, r.line(spec.Pos()), r.moduleOf(imported))
				}
			})
		}
	}
	for _, m := range toolLine.FindAllStringSubmatch(r.text("tools/go.mod"), -1) {
		want("tools/go.mod", 0, m[1])
	}
	return out
}

// moduleOf returns the required module that provides a package, or the package itself if go.mod requires none.
func (r *Repo) moduleOf(imported string) string {
	best := ""
	for _, m := range r.requires {
		if (imported == m || strings.HasPrefix(imported, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	if best == "" {
		return imported
	}
	return best
}

// text returns the body of a file, "" if there is none.
func (r *Repo) text(name string) string {
	i := slices.IndexFunc(r.texts, func(t text) bool { return t.path == name })
	if i < 0 {
		return ""
	}
	return r.texts[i].body
}

// outside are mentions of things that a clone does not contain. They are put together here so that this file does not match
// itself.
var outside = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`\.\./` + `shared`), "a folder outside the repository"},
	{regexp.MustCompile(`(^|[\s"'(=` + "`" + `])/` + `work/`), "a path of one machine"},
	{regexp.MustCompile(`\bbash` + `_jobs\b|\.` + `library/`), "a path of one machine"},
	{regexp.MustCompile(`(?i)\bissue ` + `#\d+`), "an issue number; say what it says"},
	{regexp.MustCompile(`\b(proxy\.` + `golang\.org|registry\.` + `npmjs\.org|deb\.` + `debian\.org)\b`), "the host of a registry"},
}

// locks are files that programs write and that may name hosts.
var locks = []string{"go.sum", "package-lock.json", "LICENSE"}

// checkTexts finds mentions of things outside the repository in every file that people read.
func checkTexts(r *Repo) []Finding {
	var out []Finding
	for _, t := range r.texts {
		if slices.Contains(locks, path.Base(t.path)) {
			continue
		}
		number := 0
		for line := range strings.Lines(t.body) {
			number++
			for _, o := range outside {
				if o.pattern.MatchString(line) {
					out = append(out, Finding{Path: t.path, Line: number, Rule: "texts", Text: "mentions " + o.text})
				}
			}
		}
	}
	return out
}

package tidy

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// textBytesMax bounds the files whose text is read, in bytes; larger ones are data.
const textBytesMax = 2 << 20

// Finding is one place that breaks one rule.
type Finding struct {
	Path string // slash-separated, relative to the root of the repository
	Line int    // from 1; 0 if the finding concerns the whole file or folder
	Rule string // short name of the rule, such as "layers"
	Text string // what is wrong and what to do about it
}

// String renders the finding as editors and compilers do: path:line: [rule] text.
func (f Finding) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: [%s] %s", f.Path, f.Rule, f.Text)
	}
	return fmt.Sprintf("%s:%d: [%s] %s", f.Path, f.Line, f.Rule, f.Text)
}

// Repo is the parsed source of one repository.
type Repo struct {
	module   string // import path of the module, from go.mod
	requires []string
	packages []*pkg
	texts    []text
	fset     *token.FileSet
}

// pkg is one folder of Go files, tests included.
type pkg struct {
	dir   string // "" is the root
	files []*file
}

// file is one parsed Go file.
type file struct {
	path      string
	test      bool
	generated bool
	lines     int
	ast       *ast.File
}

// text is one file that people read: code, documents, configuration.
type text struct {
	path string
	body string
}

// skipDirs are folders that hold nothing written by hand.
var skipDirs = []string{".git", ".cache", "bin", "node_modules", "dist", "vendor"}

// Load reads and parses every file below the root of fsys. A file that does not parse is an error.
func Load(fsys fs.FS) (*Repo, error) {
	r := &Repo{fset: token.NewFileSet()}
	byDir := map[string]*pkg{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skipDirs, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		return r.add(fsys, name, d, byDir)
	})
	if err != nil {
		return nil, fmt.Errorf("load repository: %w", err)
	}
	if r.module == "" {
		return nil, fmt.Errorf("load repository: no go.mod with a module line at the root")
	}
	for _, p := range byDir {
		r.packages = append(r.packages, p)
	}
	slices.SortFunc(r.packages, func(a, b *pkg) int { return cmp.Compare(a.dir, b.dir) })
	return r, nil
}

// add reads one file into the repository.
func (r *Repo) add(fsys fs.FS, name string, d fs.DirEntry, byDir map[string]*pkg) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > textBytesMax {
		return nil
	}
	body, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	if !utf8.Valid(body) {
		return nil
	}
	r.texts = append(r.texts, text{path: name, body: string(body)})
	if name == "go.mod" {
		r.module, r.requires = parseMod(string(body))
	}
	if path.Ext(name) != ".go" || inTestdata(name) {
		return nil
	}
	f, err := parser.ParseFile(r.fset, name, body, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := strings.TrimSuffix(strings.TrimSuffix(name, path.Base(name)), "/")
	if byDir[dir] == nil {
		byDir[dir] = &pkg{dir: dir}
	}
	byDir[dir].files = append(byDir[dir].files, &file{
		path:      name,
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(f),
		lines:     lineCount(string(body)),
		ast:       f,
	})
	return nil
}

// inTestdata reports whether the go command ignores the file as test data.
func inTestdata(name string) bool {
	return slices.Contains(strings.Split(name, "/"), "testdata")
}

// lineCount counts lines; a last line without a newline counts too.
func lineCount(s string) int {
	n := strings.Count(s, "\n")
	if s != "" && !strings.HasSuffix(s, "\n") {
		n++
	}
	return n
}

// parseMod returns the module path and the required modules of a go.mod file.
func parseMod(body string) (module string, requires []string) {
	block := ""
	for line := range strings.Lines(body) {
		line, _, _ = strings.Cut(line, "//")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == ")":
			block = ""
		case len(words) == 2 && words[1] == "(":
			block = words[0]
		case words[0] == "module" && len(words) == 2:
			module = words[1]
		case words[0] == "require" && len(words) == 3:
			requires = append(requires, words[1])
		case block == "require":
			requires = append(requires, words[0])
		}
	}
	return module, requires
}

// Check runs every rule and returns what it found, sorted by place.
func (r *Repo) Check() []Finding {
	var all []Finding
	for _, rule := range Rules {
		all = append(all, rule.Check(r)...)
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	return all
}

// Rule is one rule of the house.
type Rule struct {
	Name  string
	Why   string // one sentence for the person whose change was refused
	Check func(*Repo) []Finding
}

// Rules lists every rule; the tests run each as a subtest.
var Rules = []Rule{
	{"layers", "a package that knows only what lies below it can be read, tested and replaced alone", checkLayers},
	{"pure", "two nodes that execute the same block must agree, so nothing below chain may ask the machine", checkPure},
	{"docs", "people read the documentation before the code", checkDocs},
	{"size", "a function fits a screen and a file fits a head", checkSize},
	{"names", "a package is named for what it provides", checkNames},
	{"tests", "a test that sleeps or skips proves nothing on a slow machine", checkTests},
	{"decoders", "what comes from outside is hostile, and only a fuzz target tries what nobody thought of", checkDecoders},
	{"words", "work is finished or it is an issue, never a remark in the code", checkWords},
	{"dependencies", "every dependency is a decision, and decisions are written down", checkDependencies},
	{"texts", "a clone must be understandable without anything outside it", checkTexts},
}

// line returns the line number of a position.
func (r *Repo) line(p token.Pos) int { return r.fset.Position(p).Line }

// name returns the package name, without the suffix of external tests.
func (p *pkg) name() string {
	for _, f := range p.files {
		if !f.test {
			return f.ast.Name.Name
		}
	}
	return strings.TrimSuffix(p.files[0].ast.Name.Name, "_test")
}

// hasCode reports whether the folder holds anything but tests.
func (p *pkg) hasCode() bool {
	return slices.ContainsFunc(p.files, func(f *file) bool { return !f.test })
}

// imports calls yield for every import of the file with its path unquoted.
func (f *file) imports(yield func(path string, spec *ast.ImportSpec)) {
	for _, spec := range f.ast.Imports {
		yield(strings.Trim(spec.Path.Value, "`\""), spec)
	}
}

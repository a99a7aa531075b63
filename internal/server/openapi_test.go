package server_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"aval/api"
)

// golden is the OpenAPI document as clients know it; every change of the interface shows there.
const golden = "testdata/openapi.json"

// rewriting reports whether golden files are to be written anew; the flag is datadriven's own.
// go test ./internal/server -run TestOpenAPIDocument -rewrite
func rewriting() bool { return flag.Lookup("rewrite").Value.String() == "true" }

func TestOpenAPIDocument(t *testing.T) {
	n := start(t, options{})
	a := n.get(api.PathOpenAPI)
	var indented bytes.Buffer
	if err := json.Indent(&indented, a.body, "", " "); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d, %v: %s", a.status, err, a.body)
	}
	indented.WriteByte('\n')
	if rewriting() {
		if err := os.WriteFile(golden, indented.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, indented.Bytes()) {
		t.Errorf("the OpenAPI document has changed; look at the difference after: go test ./internal/server -run TestOpenAPIDocument -rewrite")
	}
	var document struct {
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal(a.body, &document); err != nil {
		t.Fatal(err)
	}
	for name, path := range pathsOfAPI(t) {
		operations := document.Paths[path]
		if len(operations) != 1 {
			t.Errorf("%s: %s has %d operations in the document", name, path, len(operations))
		}
	}
	for name, s := range document.Components.Schemas {
		checkSchema(t, name, &s)
	}
	if document.Components.Schemas["ErrorModel"].Type != nil {
		t.Error("the framework's own errors are documented, which are never sent")
	}
}

// schema is what is looked at of a JSON schema.
type schema struct {
	Type       any
	Format     string
	Items      *schema
	Properties map[string]schema
}

// checkSchema finds numbers that do not fit into the 53 bits that every reader of JSON keeps.
func checkSchema(t *testing.T, where string, s *schema) {
	t.Helper()
	for name, p := range s.Properties {
		checkSchema(t, where+"."+name, &p)
	}
	if s.Items != nil {
		checkSchema(t, where+"[]", s.Items)
	}
	if where == "Problem.status" || where == "Engine.pending" { // an int of Go, and small
		return
	}
	if s.Type == "number" || strings.HasSuffix(s.Format, "64") {
		t.Errorf("%s is a %v of format %s", where, s.Type, s.Format)
	}
}

// pathsOfAPI returns the constants of package api that begin with Path.
func pathsOfAPI(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "api", "paths.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Path") {
			if path, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value); err == nil {
				out[spec.Names[0].Name] = path
			}
		}
		return true
	})
	if len(out) < 30 {
		t.Fatalf("only %d paths are found", len(out))
	}
	return out
}

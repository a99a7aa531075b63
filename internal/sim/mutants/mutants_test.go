package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	plant = flag.Bool("plant", false, "plant the mutants and see that each is caught; takes minutes")
	only  = flag.String("only", "", "plant only the mutants whose names match this regular expression")
)

// root is the repository's folder, seen from this one.
const root = "../../.."

// mutated returns the file of m with the bug in it.
func (m *mutant) mutated(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte(m.from)); n != 1 {
		t.Fatalf("%s: the text to replace occurs %d times in %s, not once; say where the code went:\n%s", m.name, n, m.file, m.from)
	}
	return bytes.Replace(b, []byte(m.from), []byte(m.to), 1)
}

// TestMutantsFit checks that every bug can still be planted.
func TestMutantsFit(t *testing.T) {
	seen := map[string]bool{}
	for i := range mutants {
		m := &mutants[i]
		if m.from == m.to || len(m.nets) == 0 || seen[m.name] {
			t.Errorf("%s changes nothing, has no net or comes twice", m.name)
		}
		seen[m.name] = true
		m.mutated(t)
	}
	if len(mutants) < 10 {
		t.Errorf("there are %d mutants", len(mutants))
	}
}

// netTimeout bounds one run of a net. A mutant that makes it hang is caught as well.
const netTimeout = 8 * time.Minute

// cast runs a net with an overlay, or without.
func (n *net) cast(t *testing.T, overlay string) (output []byte, passed bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), netTimeout)
	defer cancel()
	binary := filepath.Join(t.TempDir(), "net")
	build := []string{"test", "-c", "-o", binary}
	if n.run == "" {
		build = []string{"build", "-o", binary}
	}
	if overlay != "" {
		build = append(build, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(build, n.pkg)...)
	cmd.Dir = root
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(build, " "), err, output)
	}
	args := n.args
	if n.run != "" {
		args = append([]string{"-test.run", n.run, "-test.failfast", "-test.v"}, n.args...)
	}
	cmd = exec.CommandContext(ctx, binary, args...)
	cmd.Dir = filepath.Join(root, n.pkg)
	output, err := cmd.CombinedOutput()
	if bytes.Contains(output, []byte("no tests to run")) {
		t.Fatalf("%s has no test %s", n.pkg, n.run)
	}
	return output, err == nil
}

// overlay writes the files that make go build m, and returns the one for -overlay.
func (m *mutant) overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(dir, filepath.Base(m.file))
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{file: source}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	for name, content := range map[string][]byte{source: m.mutated(t), path: b} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// reason finds in a net's output what it caught.
var reason = regexp.MustCompile(`(?m)^\s+\w+_test\.go:\d+: .*|^panic: .*|^fatal error: .*|^seed \d+: .*`)

// TestMutantsAreCaught plants every bug and casts its nets.
func TestMutantsAreCaught(t *testing.T) {
	if !*plant {
		t.Log("not asked for: make mutants plants the bugs")
		return
	}
	chosen := regexp.MustCompile(*only)
	whole := map[string]bool{}
	for i := range mutants {
		m := &mutants[i]
		if !chosen.MatchString(m.name) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			overlay := m.overlay(t)
			for _, n := range m.nets {
				if key := n.String(); !whole[key] {
					if output, passed := n.cast(t, ""); !passed {
						t.Fatalf("%s fails without a mutant:\n%s", key, output)
					}
					whole[key] = true
				}
				began := time.Now()
				output, passed := n.cast(t, overlay)
				if !passed {
					t.Logf("%s: caught by %s after %v: %s", m.what, &n, time.Since(began).Round(time.Second),
						strings.TrimSpace(string(reason.Find(output))))
					return
				}
				t.Logf("not caught by %s", &n)
			}
			t.Errorf("%s: no net catches it", m.what)
		})
	}
}

package bft

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aval/internal/consensus/conformance"
)

// TestInspectSaysWhatTheEngineWillDo damages the folder of a stopped validator in every way and compares what Inspect says with
// what the engine then does.
func TestInspectSaysWhatTheEngineWillDo(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(n *conformance.Node) error
		want   string // part of why it will observe; empty: it will not
	}{
		"untouched":  {func(*conformance.Node) error { return nil }, ""},
		"log lost":   {func(n *conformance.Node) error { return os.RemoveAll(journalDir(n.Dir, 0)) }, "the log was lost"},
		"votes lost": {func(n *conformance.Node) error { return os.Remove(filepath.Join(n.Dir, "votes")) }, "votes is lost"},
		"votes damaged": {func(n *conformance.Node) error {
			return os.WriteFile(filepath.Join(n.Dir, "votes"), []byte("junk"), 0o600)
		}, "votes is damaged"},
		"all lost":        {func(n *conformance.Node) error { return os.RemoveAll(n.Dir) }, "votes was lost"},
		"ledger restored": {func(n *conformance.Node) error { n.Ledger.Truncate(1); return nil }, "does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, factory(4, nil), func(cl *conformance.Cluster) {
				cl.Start()
				for range 3 {
					cl.AwaitOrdered(conformance.CommitMax, cl.Submit(1))
				}
				cl.Stop(3)
				n := cl.Nodes[3]
				if err := c.damage(n); err != nil {
					t.Fatal(err)
				}
				head := n.Ledger.Head().Header.Height
				for range 2 { // it changes nothing, so it says the same again
					got, err := Inspect(cl.Suite, n.Dir, 0, head)
					if err != nil || (c.want == "") != (got.Observe == "") || !strings.Contains(got.Observe, c.want) {
						t.Fatalf("%+v, %v; want %q", got, err, c.want)
					}
				}
				cl.Start(3)
				if observes := n.Engine.Status().Observing; observes != (c.want != "") {
					t.Errorf("it observes: %v", observes)
				}
			})
		})
	}
}

func TestInspectOfNothing(t *testing.T) {
	got, err := Inspect(nil, filepath.Join(t.TempDir(), "none"), 0, 0)
	if err != nil || !got.Fresh || got.Observe != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

package bft

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aval/internal/consensus/conformance"
)

// gathered reads all metrics of a registry.
func gathered(t testing.TB, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		out[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return out
}

// TestMetricsTellOfAViewChange stops the leader: the others count the change, name the new leader and go on.
func TestMetricsTellOfAViewChange(t *testing.T) {
	registries := map[string]*prometheus.Registry{}
	inCluster(t, factory(4, func(c *Config) {
		r := prometheus.NewRegistry()
		registries[c.Dir], c.Registerer = r, r
	}), func(c *conformance.Cluster) {
		c.Start()
		c.AwaitOrdered(conformance.CommitMax, c.Submit(3))
		of := func(i int) map[string]float64 { return gathered(t, registries[c.Nodes[i].Dir]) }
		before := of(0)
		if before["aval_bft_leader"] != 0 || before["aval_bft_leads"] != 1 || before["aval_bft_view"] != 0 || before["aval_bft_height"] == 0 ||
			before["aval_bft_runs_total"] != 1 || before["aval_bft_observing"] != 0 {
			t.Errorf("the leader says %v", before)
		}
		c.Stop(0)
		if after := gathered(t, registries[c.Nodes[0].Dir]); len(after) != 0 {
			t.Errorf("an engine that was stopped still reports %v", after)
		}
		c.AwaitOrdered(2*conformance.CommitMax, c.Submit(3))
		c.Await(time.Second, "the view change is counted", func() bool { return of(1)["aval_bft_view_changes_total"] > 0 })
		after := of(1)
		if after["aval_bft_view"] == 0 || after["aval_bft_leader"] == 0 ||
			after["aval_bft_height"] <= before["aval_bft_height"] {
			t.Errorf("after a view change a validator says %v", after)
		}
	})
}

// TestAwaitedVotesAreNamed withholds the votes of two validators whose links are up: the others name them, and nobody else.
func TestAwaitedVotesAreNamed(t *testing.T) {
	inCluster(t, factory(4, nil), func(c *conformance.Cluster) {
		c.Start()
		c.AwaitOrdered(conformance.CommitMax, c.Submit(1))
		if got := c.Nodes[0].Engine.Status(); len(got.Awaited) != 0 || got.QuorumLost {
			t.Fatalf("while all is well: %+v", got)
		}
		c.Net.Tap(func(from, _ int, request bool, message []byte) []byte {
			if m := open(message); from >= 2 && !request && m != nil && (m.GetPrepare() != nil || m.GetCommit() != nil) {
				return nil
			}
			return message
		})
		ids := c.Submit(1)
		c.Await(4*time.Second, "missing votes are named", func() bool {
			return fmt.Sprint(c.Nodes[1].Engine.Status().Awaited) == "[2 3]"
		})
		if got := c.Nodes[1].Engine.Status(); got.QuorumLost || slices.Contains(got.Awaited, 0) {
			t.Errorf("links are up, and %+v", got)
		}
		c.Net.Tap(nil)
		c.AwaitOrdered(3*conformance.CommitMax, ids)
		if got := c.Nodes[1].Engine.Status(); len(got.Awaited) != 0 {
			t.Errorf("after all voted: %+v", got)
		}
	})
}

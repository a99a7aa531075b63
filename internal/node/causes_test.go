package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"aval/api"
	"aval/internal/clock"
	"aval/ledger"
)

// shifted is the machine's clock, put forward.
type shifted struct {
	clock.Clock
	by time.Duration
}

func (s shifted) Now() time.Time { return s.Clock.Now().Add(s.by) }

// awaitCode waits until status of node i names a cause with words that contain all of want.
func (c *cluster) awaitCode(i int, code api.CauseCode, want ...string) {
	c.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		status := c.nodes[i].Status()
		for _, cause := range status.Causes {
			found := cause.Code == code && cause.Next != ""
			for _, w := range want {
				found = found && strings.Contains(cause.Text, w)
			}
			if found {
				return
			}
		}
		select {
		case <-deadline:
			c.t.Fatalf("%s never named %s with %q: %+v", c.configs[i].Name, code, want, status.Causes)
		case <-tick.C:
		}
	}
}

// TestWrongClockIsNamed puts the clock of one validator forward beyond what voters accept while another is down: no quorum votes,
// and both the others and it say why.
func TestWrongClockIsNamed(t *testing.T) {
	c := foundCluster(t, "intl", 4, 0)
	c.configs[2].Clock = shifted{clock.Real(), 700 * time.Millisecond}
	c.startBut(3)
	c.awaitCode(0, api.CauseClockSkew, "the clock of validator-2 differs from this node's by")
	c.awaitCode(2, api.CauseClockSkew, "this node's clock is about", "ahead of that of 2 of its 2 peers")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.openScope(ctx, c.client(0)) // it cannot succeed
	}()
	c.awaitCode(0, api.CauseVotesMissing, "block 1 is proposed and not decided: votes are missing from validator-2 (its clock differs by", "validator-3 (no link")
	cancel()
	<-done
}

func TestDiskCauses(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name string
		disk api.Disk
		slow bool
		want string
	}{
		{"not measured yet", api.Disk{}, false, ""},
		{"plenty", api.Disk{FreeBytes: 50 * gib, TotalBytes: 4000 * gib, SyncMs: 2}, false, ""},
		{"little of much", api.Disk{FreeBytes: 15 * gib, TotalBytes: 4000 * gib}, false, "disk_nearly_full"},
		{"little", api.Disk{FreeBytes: gib / 2, TotalBytes: 4 * gib}, false, "disk_nearly_full"},
		{"half of little", api.Disk{FreeBytes: 2 * gib, TotalBytes: 4 * gib}, false, ""},
		{"next to nothing", api.Disk{FreeBytes: 1 << 20, TotalBytes: 4 * gib}, false, "disk_full!"},
		{"a full quota", api.Disk{FreeBytes: 50 * gib, TotalBytes: 400 * gib, Error: "write x: disk quota exceeded"}, false, "disk_full!"},
		{"no room", api.Disk{TotalBytes: 4 * gib, Error: "write x: no space left on device"}, false, "disk_full!"},
		{"read only", api.Disk{FreeBytes: gib * 9, TotalBytes: 10 * gib, Error: "open x: read-only file system"}, false, "disk_read_only!"},
		{"not ours", api.Disk{FreeBytes: gib * 9, TotalBytes: 10 * gib, Error: "open x: permission denied"}, false, "disk_read_only!"},
		{"slow and low", api.Disk{FreeBytes: gib / 2, TotalBytes: 10 * gib, SyncMs: 900}, true, "disk_nearly_full disk_slow"},
	} {
		var got []string
		for _, cause := range DiskCauses(c.disk, c.slow) {
			word := string(cause.Code)
			if cause.Fails {
				word += "!"
			}
			if cause.Text == "" || cause.Next == "" {
				t.Errorf("%s: %s says nothing", c.name, cause.Code)
			}
			got = append(got, word)
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
}

func TestBehindSaysHowFarAndWhy(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		name                string
		committed, executed ledger.Height
		network             ledger.Height
		before              func(tr *trail)
		want                string
	}{
		{"level", 100, 100, 100, nil, ""},
		{"a few under way", 95, 95, 100, nil, ""},
		{"catching up", 1000, 1000, 5000, func(tr *trail) { tr.note(900, 900, now.Add(-2*time.Second)) },
			"4000 blocks behind its peers and is catching up at 50 blocks/s, about 80 s more"},
		{"nothing comes", 1000, 1000, 5000, func(tr *trail) { tr.note(1000, 1000, now.Add(-2*time.Second)) }, "no block came in the last seconds"},
		{"executing", 100, 99, 100, func(tr *trail) { tr.note(100, 99, now.Add(-time.Second)) }, ""},
		{"a batch is missing", 102, 100, 102, func(tr *trail) { tr.note(102, 100, now.Add(-9*time.Second)) },
			"block 101 is ordered and not executed for 9 s: this node waits for a batch"},
	} {
		n := &Node{cfg: Config{Clock: clock.NewFake(now)}, started: now.Add(-time.Hour)}
		if c.before != nil {
			c.before(&n.probes.trail)
		}
		n.probes.trail.note(c.committed, c.executed, now)
		got := n.behindCauses(&api.Status{Heights: api.Heights{Committed: c.committed, Executed: c.executed, Network: c.network}})
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || got[0].Code != api.CauseBehind || !strings.Contains(got[0].Text, c.want)) {
			t.Errorf("%s: %+v, want %q", c.name, got, c.want)
		}
	}
}

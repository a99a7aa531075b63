package bft

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"aval/internal/consensus/conformance"
)

// faults runs every case of the damage tests on whole networks: make faults
var faults = flag.Bool("faults", false, "run the damage tests in their long form")

// lastRecords brings validator 3 to a stop right after its log was written last: with a proposal, a vote or the leaving of a view.
var lastRecords = map[string]func(c *conformance.Cluster){
	"proposal": func(c *conformance.Cluster) {
		hears(c, 0)
		c.Submit(2)
		c.Quiet(10 * time.Millisecond)
	},
	"vote": func(c *conformance.Cluster) {
		hears(c, 0, 1)
		c.Submit(2)
		c.Quiet(10 * time.Millisecond)
	},
	"leaving a view": func(c *conformance.Cluster) {
		c.Net.Isolate(3, true)
		c.Net.Cut(1, 3, false)
		c.Net.Cut(2, 3, false)
		c.Stop(0)
		c.Submit(1)
		c.Await(5*time.Second, "the log ends in a view change", func() bool {
			inst := c.Nodes[3].Engine.(*Engine).snapshot().inst
			return inst != nil && inst.changing()
		})
	},
}

// hears cuts validator 3 off, but for what comes from these.
func hears(c *conformance.Cluster, from ...int) {
	c.Net.Isolate(3, true)
	for _, i := range from {
		c.Net.Cut(i, 3, false)
	}
}

// stopsAfter runs a network until validator 3 has stopped as told, with its links whole again.
func stopsAfter(c *conformance.Cluster, last func(*conformance.Cluster)) {
	c.Start()
	c.AwaitOrdered(time.Second, c.Submit(3))
	last(c)
	c.Stop(3)
	c.Net.Isolate(3, false)
	c.Start(0)
}

// goesOn starts validator 3 again and has the network, which loses another one later, order more. What the validators voted is audited
// when the network ends.
func goesOn(c *conformance.Cluster) {
	c.Start(3)
	for range 6 {
		c.AwaitOrdered(2*conformance.CommitMax, c.Submit(1))
		c.Quiet(time.Second)
	}
	c.Stop(1)
	c.AwaitOrdered(2*conformance.CommitMax, c.Submit(1))
}

// newestLog returns the file of validator 3's log that was begun last, and where its last record begins and ends.
func newestLog(t *testing.T, dir string) (path string, begin, end int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(journalDir(dir, 0), "*.wal"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no log: %v", err)
	}
	path = slices.Max(names)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(0); at+8 <= int64(len(b)); { // each record: its length, a checksum, and the record filled up to 8 bytes
		length := int64(binary.LittleEndian.Uint32(b[at:]))
		if length == 0 {
			break
		}
		begin, end = at, at+8+(length+7)/8*8
		at = end
	}
	return path, begin, end
}

// TestLogCutAtEveryByte cuts the log at every byte of its last record. The validator knows what it voted, or observes.
func TestLogCutAtEveryByte(t *testing.T) {
	for name, last := range lastRecords {
		t.Run(name, func(t *testing.T) {
			size := int64(0)
			inCluster(t, factory(4, nil), func(c *conformance.Cluster) {
				stopsAfter(c, last)
				path, begin, end := newestLog(t, c.Nodes[3].Dir)
				size = end - begin
				whole, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				known, observes := 0, 0
				for cut := begin; cut <= end; cut++ {
					dir := filepath.Join(t.TempDir(), "cut")
					if err := os.CopyFS(dir, os.DirFS(c.Nodes[3].Dir)); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(journalDir(dir, 0), filepath.Base(path)), whole[:cut], 0o600); err != nil {
						t.Fatal(err)
					}
					if knowsVotes(t, c, 3, dir) {
						known++
					} else {
						observes++
					}
				}
				t.Logf("a record of %d bytes: cut so that the votes are known at %d places, so that it observes at %d", size, known, observes)
				goesOn(c)
			})
			step := max(1, size/8)
			if *faults {
				step = 1
			}
			for cut := int64(0); cut < size; cut += step {
				inCluster(t, factory(4, nil), func(c *conformance.Cluster) {
					stopsAfter(c, last)
					path, begin, end := newestLog(t, c.Nodes[3].Dir)
					if err := os.Truncate(path, min(begin+cut, end)); err != nil {
						t.Fatal(err)
					}
					goesOn(c)
				})
			}
		})
	}
}

// knowsVotes opens the files of a validator in dir as its engine does. It returns false if the validator would observe; if
// not, what the log says must agree with the votes that are on record.
func knowsVotes(t *testing.T, c *conformance.Cluster, node int, dir string) bool {
	t.Helper()
	g, _, err := openGuard(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	}()
	jr, entries, _, err := openJournal(journalDir(dir, 0), &kernelLog{log: slog.New(slog.DiscardHandler), failed: func(string) {}})
	if errors.Is(err, errLogDamaged) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := jr.close(); err != nil {
			t.Error(err)
		}
	}()
	head := c.Nodes[node].Ledger.Height()
	st, err := readLog(c.Suite, entries)
	if err == nil {
		err = st.check(head, 0, g.current())
	}
	if errors.Is(err, errLogDamaged) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	votes := g.current()
	if votes.Height != head+1 || len(votes.Votes) == 0 {
		return true
	}
	vote := votes.Votes[len(votes.Votes)-1]
	if f := st.flight; st.view <= vote.View && (f == nil || !f.prepared || f.header != vote.Header) {
		t.Errorf("voted for %s in view %d at height %d, the log says %+v", vote.Header, vote.View, votes.Height, f)
	}
	return true
}

// TestDamagedEngineFiles flips bits in the record of votes and in the log of a validator that stopped in the middle of a height, or
// cuts them short, at random. It goes on, or observes first; it never votes twice in one place.
func TestDamagedEngineFiles(t *testing.T) {
	cases := 24
	if *faults {
		cases = 2000
	}
	names := slices.Sorted(maps.Keys(lastRecords))
	for n := range cases {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			last := lastRecords[names[random.IntN(len(names))]]
			inCluster(t, factory(4, nil), func(c *conformance.Cluster) {
				stopsAfter(c, last)
				path, used := filepath.Join(c.Nodes[3].Dir, "votes"), []int{0, 256, guardSlotBytes, guardSlotBytes + 256}
				if random.IntN(2) == 0 {
					log, _, end := newestLog(t, c.Nodes[3].Dir)
					path, used = log, []int{0, int(end)}
				}
				t.Logf("%s: %s", filepath.Base(path), damage(t, path, used, random))
				goesOn(c)
			})
		})
	}
}

// damage flips one to eight bits of a file within the ranges that are used, or cuts it short there, and says what it did.
func damage(t *testing.T, path string, used []int, random *rand.Rand) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	did := ""
	place := func() int {
		r := 2 * random.IntN(len(used)/2)
		return min(len(b)-1, used[r]+random.IntN(used[r+1]-used[r]))
	}
	if random.IntN(4) == 0 {
		b = b[:place()]
		did = fmt.Sprintf("cut to %d bytes", len(b))
	} else {
		for range 1 + random.IntN(8) {
			at, bit := place(), random.IntN(8)
			b[at] ^= 1 << bit
			did += fmt.Sprintf("bit %d of byte %d flipped ", bit, at)
		}
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return did
}

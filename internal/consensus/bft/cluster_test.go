package bft

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"aval/codec"
	"aval/internal/consensus"
	"aval/internal/consensus/conformance"
	"aval/ledger"
	"aval/suite"
)

func factory(validators int, change func(*Config)) conformance.Factory {
	return conformance.Factory{
		Validators: validators,
		New: func(e conformance.Env) (consensus.Engine, error) {
			cfg := Config{Suite: e.Suite, Network: e.Network, Signer: e.Signer, Ledger: e.Ledger, Links: e.Links,
				Syncer: e.Syncer, Dir: e.Dir, PendingMax: e.PendingMax, Logger: e.Logger}
			if change != nil {
				change(&cfg)
			}
			return New(cfg)
		},
		View: viewIn,
	}
}

func viewIn(metadata []byte) (uint64, error) {
	md, err := metadataOf(metadata)
	return md.GetViewId(), err
}

func TestConformance(t *testing.T) { conformance.Run(t, factory(4, nil)) }

// inCluster runs a scenario in a bubble, on four validators of the intl suite.
func inCluster(t *testing.T, f conformance.Factory, scenario func(c *conformance.Cluster)) {
	t.Helper()
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c := conformance.NewCluster(t, f, s)
		defer c.Close()
		scenario(c)
	})
}

// open decodes a message on its way, nil if it is none of the kernel's.
func open(message []byte) *smartbftprotos.Message {
	e, err := decodeEnvelope(message)
	if err != nil || e.Kind == kindPulse {
		return nil
	}
	m, err := e.kernelMessage(64)
	if err != nil {
		return nil
	}
	return m
}

// observesAndReturns checks that node 3 observes, votes for nothing meanwhile, and counts again after enough blocks.
func observesAndReturns(c *conformance.Cluster) {
	c.T.Helper()
	votes := c.Audit.Votes(3)
	c.Start(3)
	c.Quiet(3 * time.Second)
	status := c.Nodes[3].Engine.Status()
	if !status.Observing || status.Cause == "" {
		c.T.Fatalf("it does not observe: %+v", status)
	}
	raw, id := c.Batch()
	if err := c.Nodes[3].Engine.Submit(c.T.Context(), raw); err != nil {
		c.T.Fatalf("an observer refuses a request: %v", err)
	}
	c.AwaitOrdered(conformance.CommitMax, []consensus.RequestID{id})
	if now := c.Audit.Votes(3); now != votes {
		c.T.Errorf("it voted %d times while observing", now-votes)
	}
	for range 5 {
		c.AwaitOrdered(conformance.CommitMax, c.Submit(1))
		c.Quiet(1500 * time.Millisecond)
	}
	if status := c.Nodes[3].Engine.Status(); status.Observing {
		c.T.Fatalf("it still observes after six blocks: %+v", status)
	}
	c.Stop(1)
	c.AwaitOrdered(2*conformance.CommitMax, c.Submit(2))
	if c.Audit.Votes(3) == votes {
		c.T.Error("it never voted again")
	}
}

func TestObserves(t *testing.T) {
	for name, damage := range map[string]func(c *conformance.Cluster) error{
		"log lost":   func(c *conformance.Cluster) error { return os.RemoveAll(journalDir(c.Nodes[3].Dir, 0)) },
		"votes lost": func(c *conformance.Cluster) error { return os.Remove(filepath.Join(c.Nodes[3].Dir, "votes")) },
		"all lost":   func(c *conformance.Cluster) error { return os.RemoveAll(c.Nodes[3].Dir) },
		"votes damaged": func(c *conformance.Cluster) error {
			return os.WriteFile(filepath.Join(c.Nodes[3].Dir, "votes"), []byte("junk"), 0o600)
		},
		"log of another": func(c *conformance.Cluster) error {
			return errors.Join(os.RemoveAll(journalDir(c.Nodes[3].Dir, 0)),
				os.CopyFS(journalDir(c.Nodes[3].Dir, 0), os.DirFS(journalDir(c.Nodes[2].Dir, 0))),
				os.Remove(filepath.Join(c.Nodes[3].Dir, "votes")))
		},
		"ledger restored": func(c *conformance.Cluster) error { c.Nodes[3].Ledger.Truncate(2); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, factory(4, nil), func(c *conformance.Cluster) {
				c.Start()
				for range 4 {
					c.AwaitOrdered(time.Second, c.Submit(1))
				}
				c.Stop(3)
				if err := damage(c); err != nil {
					t.Fatal(err)
				}
				observesAndReturns(c)
			})
		})
	}
}

func TestObservesWhenToldThatItWasRestored(t *testing.T) {
	var restored atomic.Bool
	f := factory(4, func(cfg *Config) { cfg.Restored = restored.Load() })
	inCluster(t, f, func(c *conformance.Cluster) {
		c.Start()
		c.AwaitOrdered(time.Second, c.Submit(3))
		c.Stop(3)
		restored.Store(true)
		observesAndReturns(c)
	})
}

// TestObservingSurvivesRestart stops an observer and starts it again: it must not forget.
func TestObservingSurvivesRestart(t *testing.T) {
	inCluster(t, factory(4, nil), func(c *conformance.Cluster) {
		c.Start()
		c.AwaitOrdered(time.Second, c.Submit(3))
		c.Stop(3)
		if err := os.RemoveAll(journalDir(c.Nodes[3].Dir, 0)); err != nil {
			t.Fatal(err)
		}
		c.Start(3)
		c.Quiet(2 * time.Second)
		c.Stop(3)
		observesAndReturns(c)
	})
}

// TestCutLog cuts the log of a stopped validator at many places. It starts or observes; it never fails, and the audit
// knows whether it voted twice.
func TestCutLog(t *testing.T) {
	for cut := range int64(14) {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			inCluster(t, factory(4, nil), func(c *conformance.Cluster) {
				c.Start()
				c.AwaitOrdered(time.Second, c.Submit(3))
				c.Net.Isolate(3, true) // so that it stops in the middle of a height
				c.Net.Cut(0, 3, false)
				c.Net.Cut(1, 3, false)
				c.Submit(2)
				c.Quiet(10 * time.Millisecond)
				c.Stop(3)
				c.Net.Isolate(3, false)
				cutLog(t, journalDir(c.Nodes[3].Dir, 0), cut)
				c.Start(3)
				for range 6 {
					c.AwaitOrdered(2*conformance.CommitMax, c.Submit(1))
					c.Quiet(time.Second)
				}
				c.Stop(0)
				c.AwaitOrdered(2*conformance.CommitMax, c.Submit(1))
			})
		})
	}
}

// cutLog cuts the newest file with records to cut/12 of its length; beyond that it removes the file, or flips a bit.
func cutLog(t *testing.T, dir string, cut int64) {
	names, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(names) == 0 {
		t.Fatal(err)
	}
	slices.Sort(names)
	last := names[len(names)-1]
	info, err := os.Stat(last)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case cut < 12:
		err = os.Truncate(last, info.Size()*cut/12)
	case cut == 12:
		err = os.Remove(last)
	default:
		var b []byte
		if b, err = os.ReadFile(last); err == nil {
			b[len(b)/2] ^= 1
			err = os.WriteFile(last, b, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestEquivocatingLeader has the leader send another proposal to half of the others. Nobody votes twice, nobody forks,
// and the next leader goes on.
func TestEquivocatingLeader(t *testing.T) {
	inCluster(t, factory(4, nil), func(c *conformance.Cluster) {
		c.Start()
		c.AwaitOrdered(time.Second, c.Submit(2))
		c.Net.Tap(func(from, to int, request bool, message []byte) []byte {
			m := open(message)
			if request || from != 0 || to < 2 || m.GetPrePrepare() == nil {
				return message
			}
			p := m.GetPrePrepare().GetProposal()
			b, err := blockOf(fromProto(p))
			if err != nil {
				t.Error(err)
				return nil
			}
			b.Header.Wall, b.Header.Time = b.Header.Wall+1, b.Header.Time+1
			p.Header = codec.MustMarshal(&b.Header)
			body, err := proto.Marshal(m)
			if err != nil {
				t.Error(err)
				return nil
			}
			return encodeEnvelope(0, kindKernel, body)
		})
		c.AwaitOrdered(3*conformance.CommitMax, c.Submit(2))
		if leader := c.Nodes[1].Engine.Status().Leader; leader == 0 {
			t.Error("the equivocating leader still leads")
		}
	})
}

// TestInFlight lets a proposal be prepared and nobody's votes through; then the leader is lost. The view change must
// decide that very proposal, even if a validator crashes between its vote in the view change and the decision.
func TestInFlight(t *testing.T) {
	for name, crash := range map[string][]int{"no crash": nil, "one crash": {2}, "all crash": {1, 2, 3}} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, factory(4, nil), func(c *conformance.Cluster) {
				c.Start()
				c.AwaitOrdered(time.Second, c.Submit(2))
				height := c.Nodes[1].Ledger.Height() + 1
				var proposed atomic.Pointer[suite.Hash]
				var blocked atomic.Bool
				blocked.Store(true)
				c.Net.Tap(func(_, _ int, _ bool, message []byte) []byte {
					m := open(message)
					if pp := m.GetPrePrepare(); pp != nil && pp.GetSeq() == uint64(height) && proposed.Load() == nil {
						if b, err := blockOf(fromProto(pp.GetProposal())); err == nil {
							h := b.Header.Hash(c.Suite)
							proposed.Store(&h)
						}
					}
					if m.GetCommit() != nil && blocked.Load() {
						return nil
					}
					return message
				})
				c.Submit(1)
				c.Quiet(100 * time.Millisecond)
				c.Stop(0)
				c.Quiet(2500 * time.Millisecond) // the view change has begun and has everybody vote again, in vain
				if crash != nil {
					c.Stop(crash...)
					c.Start(crash...)
					c.Quiet(3 * time.Second)
				}
				blocked.Store(false)
				c.Await(6*conformance.CommitMax, "the height decided", func() bool {
					return c.Nodes[1].Ledger.Height() >= height && c.Nodes[2].Ledger.Height() >= height
				})
				b, err := c.Nodes[1].Ledger.Block(height)
				if err != nil {
					t.Fatal(err)
				}
				if got := b.Header.Hash(c.Suite); proposed.Load() == nil || got != *proposed.Load() {
					t.Errorf("height %d: decided %s, everybody had voted for %v", height, got, proposed.Load())
				}
				c.AwaitOrdered(3*conformance.CommitMax, c.Submit(2))
			})
		})
	}
}

// TestEpochChange removes a validator: the others go on without it, and it follows.
func TestEpochChange(t *testing.T) {
	f := factory(5, nil)
	f.Epochs = func(set ledger.ValidatorSet) []conformance.Epoch {
		return []conformance.Epoch{{From: 1, Set: set}, {From: 6, Set: set[:4]}}
	}
	inCluster(t, f, func(c *conformance.Cluster) {
		c.Start()
		for range 10 {
			c.AwaitOrdered(2*conformance.CommitMax, c.Submit(1))
		}
		for i, n := range c.Nodes {
			s := n.Engine.Status()
			if s.Epoch != 1 || (i == 4) != (s.Cause == "this node is not a validator of epoch 1") {
				t.Errorf("node %d: %+v", i, s)
			}
		}
		c.Stop(2) // four remain, of whom three are a quorum
		c.AwaitOrdered(2*conformance.CommitMax, c.Submit(2))
		c.Start(2)
		c.AwaitOrdered(2*conformance.CommitMax, c.Submit(2))
		if _, err := os.Stat(journalDir(c.Nodes[0].Dir, 0)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the log of the old epoch is kept: %v", err)
		}
	})
}

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := New(Config{PendingMax: -1, Timing: Timing{Tick: time.Minute, Resend: time.Hour}})
	if err == nil {
		t.Fatal("an empty configuration is accepted")
	}
	if n := len(err.(interface{ Unwrap() []error }).Unwrap()); n < 6 {
		t.Errorf("%d problems are reported: %v", n, err)
	}
}

// TestFetchedWhilePreparing lays the kernel's two steps between a vote and its record beside a synchronisation, which
// would otherwise race: the second must find the first done, or the run ends.
func TestFetchedWhilePreparing(t *testing.T) {
	inCluster(t, factory(4, nil), func(c *conformance.Cluster) {
		c.Start()
		c.AwaitOrdered(time.Second, c.Submit(1))
		node := c.Nodes[3]
		engine := node.Engine.(*Engine)

		in := engine.snapshot().inst
		returned, done := false, make(chan struct{})
		go func() {
			defer close(done)
			in.SignProposal(proposalOf(node.Ledger.Head()), []byte{})
			returned = true
		}()
		<-done
		if returned || !in.dead.Load() {
			t.Fatalf("a vote for a block that is here: returned %v, ended %v", returned, in.dead.Load())
		}
		c.AwaitOrdered(conformance.CommitMax, c.Submit(1))
		c.Quiet(2 * time.Second)

		if in = engine.snapshot().inst; in == nil {
			t.Fatal("no new run began")
		}
		md := metadataFor(t, 0, node.Ledger.Head().Header.Height+1)
		b, err := node.Ledger.Assemble(t.Context(), md, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if sig := in.SignProposal(proposalOf(b), []byte{}); len(sig.Value) == 0 {
			t.Fatal("no vote for the next block")
		}
		if in.preparing.TryLock() {
			t.Fatal("a synchronisation can come between a vote and its record")
		}
		record, err := proto.Marshal(&smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_Commit{Commit: &smartbftprotos.Message{}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Append(record, false); err != nil {
			t.Fatal(err)
		}
		if head := in.Sync(); len(head.Latest.Proposal.Header) == 0 {
			t.Error("synchronised to nothing")
		}
	})
}

func metadataFor(t *testing.T, view uint64, height ledger.Height) []byte {
	t.Helper()
	b, err := proto.Marshal(&smartbftprotos.ViewMetadata{ViewId: view, LatestSequence: uint64(height)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVoidProposal lets a leader be cut off with a proposal of its own. The others begin the next view and vote for another one,
// which nobody decides; then one of them is lost and the old leader returns. It must not go on telling its proposal, which the
// next view made void, or no quorum could ever agree on a view.
func TestVoidProposal(t *testing.T) {
	inCluster(t, factory(4, nil), func(c *conformance.Cluster) {
		c.Start()
		c.AwaitOrdered(time.Second, c.Submit(2))
		var undecided atomic.Bool
		undecided.Store(true)
		c.Net.Tap(func(from, _ int, _ bool, message []byte) []byte {
			if undecided.Load() && (from == 0 || open(message).GetCommit() != nil) {
				return nil
			}
			return message
		})
		ids := c.Submit(1)
		c.Quiet(100 * time.Millisecond) // it has proposed
		c.Net.Isolate(0, true)
		c.Await(2*conformance.CommitMax, "the others in the next view", func() bool {
			return c.Nodes[1].Engine.Status().View == 1 && c.Nodes[2].Engine.Status().View == 1
		})
		c.Quiet(time.Second) // and they have voted
		c.Stop(3)
		c.Net.Isolate(0, false)
		undecided.Store(false)
		took := c.AwaitOrdered(3*conformance.CommitMax, ids)
		t.Logf("ordered %s after the old leader returned", took)
	})
}

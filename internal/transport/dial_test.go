package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aval/suite"
)

// TestBackoff counts the attempts to reach a peer that is down, in a minute of false time.
func TestBackoff(t *testing.T) {
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	self, other := newSigner(t, s), newSigner(t, s)
	synctest.Test(t, func(t *testing.T) {
		var attempts []time.Time
		tr, err := New(Config{
			Suite: s, Self: self, Network: suite.Hash{1}, Logger: slog.New(slog.DiscardHandler),
			Peers: []Peer{{Key: other.Public(), Name: "down", Address: "192.0.2.1:1"}},
			Dial: func(_ context.Context, address string) (net.Conn, error) {
				attempts = append(attempts, time.Now())
				return nil, errors.New("nobody at " + address)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		tr.ordered[0].preferOurs = true
		began := time.Now()
		if err := tr.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		if n := len(attempts); n < 30 || n > 70 {
			t.Errorf("%d attempts in a minute", n)
		}
		if wait := attempts[0].Sub(began); wait != 0 {
			t.Errorf("the first attempt came after %v", wait)
		}
		for i := 1; i < len(attempts); i++ {
			gap := attempts[i].Sub(attempts[i-1])
			want := min(100*time.Millisecond<<min(i-1, 10), 2*time.Second)
			if gap < want/2 || gap > want {
				t.Errorf("pause %d is %v, not between %v and %v", i, gap, want/2, want)
			}
		}
		if st := tr.Status()[0]; !strings.Contains(st.LastError, "nobody at 192.0.2.1:1") || st.LastErrorAt.Before(began.Add(50*time.Second)) {
			t.Errorf("status %+v", st)
		}
	})
}

// TestMesh starts four validators one after another and expects every link, and every message on it.
func TestMesh(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		n := newTestNet(t, s, "a", "b", "c", "d")
		got := map[string]*collector{}
		for _, node := range n.nodes {
			got[node.name] = newCollector()
			n.build(node).Handle(Consensus, got[node.name].handle)
		}
		n.run()
		for _, from := range n.nodes {
			for _, to := range n.nodes {
				if from == to {
					continue
				}
				// A link may still give way to the one that the other side dialed, and lose what was on it.
				poll(t, from.name+" reaches "+to.name, func() bool {
					if err := from.Send(to.signer.Public(), Consensus, []byte("vote")); err != nil && !errors.Is(err, ErrNotConnected) {
						t.Fatal(err)
					}
					return slices.Contains(got[to.name].list(), from.name+": vote")
				})
			}
		}
	})
}

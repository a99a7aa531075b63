package client

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"aval/codec"
	"aval/ledger"
	"aval/merkle"
)

// stateProof proves the clock's record, the only entry of the state, by a header of height.
func (n *net1) stateProof(t testing.TB, height ledger.Height) []byte {
	t.Helper()
	key, value := ledger.ClockKey(), codec.MustMarshal(&ledger.ClockRecord{})
	hasher := merkle.NewHasher(n.s)
	leaf := merkle.Leaf{Key: hasher.Key(key), Height: 1, Previous: merkle.HeightNone, Value: hasher.Value(value)}
	set := n.genesis.Validators.Hash(n.s)
	h := ledger.Header{Version: 1, Suite: n.s.ID(), Network: n.genesis.NetworkID(n.s), Height: height, Wall: 5000,
		Validators: set, NextValidators: set, StateRoot: hasher.Leaf(&leaf)}
	sig, err := n.validator.Sign(ledger.DomainVote, h.VoteBytes(n.s))
	if err != nil {
		t.Fatal(err)
	}
	path := &merkle.StateProof{Version: 1, End: merkle.EndValue, Height: 1, Previous: merkle.HeightNone, Value: value}
	p, err := ledger.NewStateProof([]ledger.ProofStep{}, h, ledger.Certificate{Votes: []ledger.Vote{{Sig: sig}}}, key, path)
	if err != nil {
		t.Fatal(err)
	}
	return codec.MustMarshal(p)
}

// TestStateProofDoesNotGoBack: a node that proves an older state than was proven before is asked again, and the other one too.
func TestStateProofDoesNotGoBack(t *testing.T) {
	n := newNet(t, ledger.ClockReal)
	serve := func(heights ...ledger.Height) string {
		var handlers []http.HandlerFunc
		for _, h := range heights {
			handlers = append(handlers, func(w http.ResponseWriter, _ *http.Request) {
				if _, err := w.Write(n.stateProof(t, h)); err != nil {
					t.Error(err)
				}
			})
		}
		return node(t, times(handlers...))
	}
	c, pauses := n.clientFor(t, serve(20, 10, 19, 21), serve(5, 6))
	for i, want := range []ledger.Height{20, 21, 21} {
		p, err := c.StateProof(t.Context(), ledger.ClockKey())
		if err != nil || p.Verdict.Header.Height != want {
			t.Fatalf("proof %d: %+v, %v, want height %d", i, p, err, want)
		}
	}
	if len(*pauses) != 4 { // 10, 5, 19 and 6 were behind
		t.Errorf("%d pauses", len(*pauses))
	}
	ctx, cancel := context.WithCancel(t.Context())
	behind, _ := n.clientFor(t, serve(9))
	behind.cfg.Pins = c.cfg.Pins
	behind.sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	if p, err := behind.StateProof(ctx, ledger.ClockKey()); !errors.Is(err, errBehind) {
		t.Errorf("a node that stays behind gives %+v, %v", p, err)
	}
}

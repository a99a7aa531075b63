package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aval/api"
	"aval/internal/config"
	"aval/internal/genesis"
	"aval/ledger"
)

// TestReplayAfterCatchUp submits the same bytes again at a node that lost everything and fetched it from its peers, at a gateway, and,
// changed, for another network: the same receipt, and a refusal. So it is with a transaction whose window is over.
func TestReplayAfterCatchUp(t *testing.T) {
	w := newWorld(t, "sm")
	c := w.client(0)
	authority := w.net.Genesis.Authority.ID
	signed := func(path ledger.Scope, until ledger.Time) *ledger.SignedTx {
		tx, err := c.NewTx(ledger.NewOp(authority, &ledger.ScopeOpen{Path: path, Authority: authority}))
		w.must(err)
		tx.Tx.ValidUntil = ledger.Time(time.Now().UnixMilli()) + until
		w.must(c.Sign(tx, w.net.Keys[genesis.KeyAuthorityAdmin]))
		return tx
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	short := signed("/short", 3*ledger.Second)
	first, err := c.Submit(ctx, short, api.WaitCommitted)
	w.must(err)
	for range 5 {
		w.mustOpenScope(c)
	}
	w.end(3, os.Interrupt)
	w.must(os.RemoveAll(filepath.Join(w.nodes[3].Home, config.DataName)))
	w.start(3)
	w.awaitUp(3)
	w.agree(w.mustOpenScope(c).Height, 3, 4)
	w.poll("the window of the first is over", func() error {
		if ledger.Time(time.Now().UnixMilli()) <= short.Tx.ValidUntil {
			return errors.New("not yet")
		}
		return nil
	})
	for _, i := range []int{3, 4, 0} {
		again, err := w.client(i).Submit(ctx, short, api.WaitCommitted)
		if err != nil || again.Height != first.Height || again.Receipt.Index != first.Receipt.Index {
			t.Errorf("the same bytes at %s: %+v, %v; at first %+v", w.nodes[i].Name, again, err, first)
		}
	}
	late := signed("/late", -ledger.Second)
	foreign := signed("/foreign", ledger.Minute)
	foreign.Tx.Network[0] ^= 1
	for name, tx := range map[string]*ledger.SignedTx{"OUTSIDE_WINDOW": late, "WRONG_NETWORK": foreign} {
		_, err := w.client(3).Submit(ctx, tx, api.WaitCommitted)
		var problem *api.Problem
		if !errors.As(err, &problem) || problem.Name != name {
			t.Errorf("want %s: %v", name, err)
		}
	}
}

package server_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"aval/api"
	"aval/internal/chain"
	"aval/ledger"
	"aval/suite"
)

// TestEveryLiveLotIsProvenAfterAPrune drops the blocks in which vouchers came about: all of them, their lots and their transfers can
// still be proven, and what is gone is said to be.
func TestEveryLiveLotIsProvenAfterAPrune(t *testing.T) {
	w := newTrade(t)
	traded := w.chain.Head().Header.Height
	for i := range 40 {
		w.n.Clock.Advance(time.Minute)
		w.run([]string{"authority.a"}, w.n.OpenScope(fmt.Sprintf("/later%d", i)))
	}
	out, err := w.chain.Prune(t.Context(), chain.Retention{Heights: 10})
	if err != nil || out.First <= traded {
		t.Fatalf("pruned %+v, %v; the trade ended at height %d", out, err, traded)
	}
	proven := map[ledger.Table]int{}
	for _, key := range w.liveKeys() {
		v := w.verdict(w.get(strings.ReplaceAll(api.PathStateProof, "{key}", hex.EncodeToString(key))))
		if !v.Present {
			t.Errorf("key %x is live and proven to be absent", key)
		}
		proven[ledger.TableOf(key)]++
	}
	for _, table := range []ledger.Table{ledger.TableVoucher, ledger.TableLot, ledger.TableTransfer, ledger.TableOffer, ledger.TableRequest} {
		if proven[table] == 0 {
			t.Errorf("no record of table %d was proven: the test shows nothing", table)
		}
	}
	w.problem("a block that was pruned", w.get(strings.ReplaceAll(api.PathBlock, "{height}", "1")), http.StatusGone, api.NamePruned)
	gone := w.problem("a transaction that was pruned", w.get(strings.ReplaceAll(api.PathTransaction, "{id}", w.tx.ID.String())), http.StatusNotFound, api.NameNotFound)
	if !strings.Contains(gone.Detail, fmt.Sprintf("from height %d on", out.First)) {
		t.Errorf("it is not said from where on transactions are kept: %s", gone.Detail)
	}
}

// liveKeys returns the keys of everything that the state holds.
func (n *node) liveKeys() (keys [][]byte) {
	n.Helper()
	f, err := n.chain.Freeze()
	if err != nil {
		n.Fatal(err)
	}
	defer f.Release()
	for from, done := (suite.Hash{}), false; !done; done = from.IsZero() {
		r, err := f.Range(from, 1<<20)
		if err != nil {
			n.Fatal(err)
		}
		for i := range r.Entries {
			if !r.Entries[i].Deleted {
				keys = append(keys, r.Entries[i].Key)
			}
		}
		from = r.To
	}
	return keys
}

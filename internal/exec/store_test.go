package exec_test

import (
	"errors"
	"testing"

	"aval/internal/exec"
	"aval/ledger"
)

// brokenView fails at the n-th read.
type brokenView struct {
	*town
	left int
}

var errStore = errors.New("the store failed")

func (v *brokenView) Get(key []byte) ([]byte, bool, error) {
	if v.left--; v.left < 0 {
		return nil, false, errStore
	}
	return v.town.Get(key)
}

// TestStoreFailure: wherever a read fails, Apply returns that error and nothing else.
func TestStoreFailure(t *testing.T) {
	w := newTown(t)
	tx := w.tx([]string{"ann", "east"}, ledger.NewOp(w.Party("ann"), &ledger.MoneyTransfer{
		Bank: w.Party("east"), To: w.Party("bo"), ToBank: w.Party("west"), Amount: 7,
	}))
	in := &exec.Input{Header: w.Header(ledger.Second), Txs: []exec.Tx{tx}}
	for n := 0; ; n++ {
		v := &brokenView{w, n}
		r, err := w.Executor.Apply(v, in, w)
		if v.left >= 0 {
			if err != nil || r.Receipts[0].Code != ledger.CodeOK || n < 10 {
				t.Fatalf("without a failure after %d reads: %v, %+v", n, err, r)
			}
			return
		}
		if !errors.Is(err, errStore) || r != nil {
			t.Fatalf("failure at read %d: %v, %+v", n, err, r)
		}
	}
}

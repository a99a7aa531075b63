package exec_test

import (
	"testing"

	"aval/internal/exec"
	"aval/ledger"
)

// BenchmarkTransfer executes blocks of 1,000 payments within one bank, signed by a maker and a checker; ns/op is per payment.
func BenchmarkTransfer(b *testing.B) {
	w := newTown(b)
	const size = 1000
	txs := make([]exec.Tx, size)
	for i := range txs {
		from, to := w.people[i%3], w.people[(i+1)%3]
		tx := w.NewTx(ledger.NewOp(w.Party(from), &ledger.MoneyTransfer{
			Bank: w.Party("east"), To: w.Party(to), ToBank: w.Party("east"), Amount: 1, Ref: "bench",
		}))
		for _, m := range w.keys[from][:2] {
			tx.AddSignature(ledger.TxSignature{Key: m.Signer.Public()})
		}
		txs[i] = w.seal(tx, nil)
	}
	in := &exec.Input{Header: w.Header(ledger.Second), Txs: txs}
	b.ReportAllocs()
	for n := 0; n < b.N; n += size {
		r, err := w.Executor.Apply(w, in, w)
		if err != nil || r.Receipts[0].Code != ledger.CodeOK {
			b.Fatalf("%v, %+v", err, r)
		}
	}
}

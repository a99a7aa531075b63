package snapshot_test

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"aval/internal/chain"
	"aval/internal/chain/chaintest"
	"aval/internal/kv"
	"aval/internal/snapshot"
	"aval/ledger"
)

// disk returns stores on disk, as nodes have them.
func disk(b *testing.B) stores {
	b.Helper()
	dir := b.TempDir()
	blocks, err := kv.OpenPebble(kv.PebbleConfig{Dir: filepath.Join(dir, "blocks"), CacheBytes: 8 << 20})
	if err != nil {
		b.Fatal(err)
	}
	log, err := kv.OpenLog(kv.LogConfig{Dir: filepath.Join(dir, "state")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		for _, s := range []kv.Store{blocks, log} {
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		}
	})
	return stores{blocks, log}
}

// cpu returns the processor time of this process so far, which other processes do not change.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkCatchUp compares how much processor time an empty node takes to the head with a snapshot, and without one, with how much one node
// took to make the blocks of transfers: judge, verify, store and execute, without signing transactions, batches or votes. The blocks lie 20 s apart, so that a
// fifth of them is in the windows that a snapshot carries; a twentieth of the blocks comes after the snapshot.
func BenchmarkCatchUp(b *testing.B) {
	const blocks, txs, firms = 160, 250, 100
	for b.Loop() {
		w := &world{TB: b, n: chaintest.New(b, chaintest.Options{Suite: "sm", Validators: 4})}
		w.source = w.open(disk(b))
		w.firms(firms)
		var made, written time.Duration
		var path string
		for i := range blocks {
			made += w.timedStep(txs, firms)
			if i == blocks*19/20 {
				begin := cpu(w)
				f, err := w.source.Freeze()
				if err != nil {
					b.Fatal(err)
				}
				if err := f.Settle(context.Background()); err != nil {
					b.Fatal(err)
				}
				path = filepath.Join(b.TempDir(), "s")
				if _, err := snapshot.WriteFile(context.Background(), w.n.Suite, f, path); err != nil {
					b.Fatal(err)
				}
				f.Release()
				written = cpu(w) - begin
			}
		}
		with, without := w.catchUp(path), w.catchUp("")
		b.ReportMetric(made.Seconds()/with.Seconds(), "times-the-rate")
		b.ReportMetric(made.Seconds()/without.Seconds(), "times-without")
		b.ReportMetric(written.Seconds(), "cpu-s-to-write")
		b.ReportMetric(with.Seconds(), "cpu-s-to-catch-up")
	}
}

// firms sets up a bank and so many firms with accounts and money.
func (w *world) firms(count int) {
	w.Helper()
	year := func(name string, roles ledger.Role) []byte {
		op, signers := w.n.Onboard(w, name, roles)
		return w.n.Tx(w, signers, op)
	}
	w.commit(year("bank", ledger.RoleBank))
	bank := w.n.Party("bank")
	for i := range count {
		name := firm(i)
		w.commit(year(name, ledger.RoleSupplier))
		holder := w.n.Party(name)
		w.commit(w.n.Tx(w, []string{"bank.m", "bank.c", name + ".m", name + ".c"}, ledger.NewOp(bank, &ledger.AccountOpen{Holder: holder})),
			w.n.Tx(w, []string{"bank.m", "bank.c"}, ledger.NewOp(bank, &ledger.MoneyMint{Holder: holder, Amount: 1 << 30, Ref: "opening"})))
	}
}

func firm(i int) string { return fmt.Sprintf("firm%d", i) }

func (w *world) commit(txs ...[]byte) {
	w.Helper()
	w.blocks = append(w.blocks, w.n.Commit(w, w.source, w.n.BatchRequest(txs...)))
}

// timedStep makes a block of transfers, each signed by a maker and a checker, and returns what it cost the node.
func (w *world) timedStep(txs, firms int) time.Duration {
	w.Helper()
	w.n.Clock.Advance(20 * time.Second)
	var all [][]byte
	for range txs {
		w.salt++
		from := firm(w.salt % firms)
		op := ledger.NewOp(w.n.Party(from), &ledger.MoneyTransfer{Bank: w.n.Party("bank"), To: w.n.Party(firm((w.salt*7 + 1) % firms)), ToBank: w.n.Party("bank"), Amount: 1})
		all = append(all, w.n.Tx(w, []string{from + ".m", from + ".c"}, op))
	}
	request := w.n.BatchRequest(all...)
	begin := cpu(w)
	b := w.n.Assemble(w, w.source, request)
	assembled := cpu(w) - begin
	w.n.Hold(w, w.source, b)
	begin = cpu(w)
	if err := w.source.VerifyHeld(w.digest(b)); err != nil {
		w.Fatal(err)
	}
	if err := w.source.Commit(b); err != nil {
		w.Fatal(err)
	}
	w.n.Wait(w, w.source, b.Header.Height)
	w.blocks = append(w.blocks, b)
	return assembled + cpu(w) - begin
}

// catchUp brings an empty node to the head, from a snapshot if there is one.
func (w *world) catchUp(path string) time.Duration {
	w.Helper()
	s := disk(w.TB.(*testing.B))
	begin := cpu(w)
	if path != "" {
		f, err := snapshot.OpenFile(path)
		if err != nil {
			w.Fatal(err)
		}
		if err := snapshot.Restore(context.Background(), w.n.Config(w, s.blocks, s.state), f); err != nil {
			w.Fatal(err)
		}
		if err := f.Close(); err != nil {
			w.Fatal(err)
		}
	}
	c, err := chain.Open(w.n.Config(w, s.blocks, s.state))
	if err != nil {
		w.Fatal(err)
	}
	w.follow(c)
	took := cpu(w) - begin
	if err := c.Close(); err != nil {
		w.Fatal(err)
	}
	return took
}

func (w *world) digest(b *ledger.Block) (d [32]byte) {
	w.Helper()
	p, err := ledger.DecodePayload(b.Payload)
	if err != nil {
		w.Fatal(err)
	}
	return p.Entries[0].Digest
}

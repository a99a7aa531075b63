package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"aval/client"
	"aval/ledger"
	"aval/suite"
)

const (
	// partsPerCut is into how many lots an offer cuts one, cutsPerVoucher how many offers cut a voucher.
	partsPerCut    = ledger.OfferPartsMax
	cutsPerVoucher = (ledger.VoucherSplitsMax - 1) / (partsPerCut - 1)
	lotsPerVoucher = 1 + cutsPerVoucher*(partsPerCut-1)
	// issuesPerTx is how many vouchers one transaction issues, cutters how many transactions are under way.
	issuesPerTx = 16
	cutters     = 16
)

// TestFiguresRestart puts lots on the ledger, kills a validator and measures how long it needs, from its start, to be healthy and
// within two blocks of the others: 5 s with a million lots.
func TestFiguresRestart(t *testing.T) {
	count, times := 5_000, 1
	if *figures || *faults {
		count, times = 1_000_000, 5
	}
	w := newWorld(t, "sm")
	c := w.client(0, 1, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	m := w.newMarket(ctx, c)
	began := time.Now()
	made := m.cutLots(ctx, c, count)
	t.Logf("%d lots made in %v", made, time.Since(began).Round(time.Millisecond))
	top := w.mustOpenScope(c).Height
	w.poll("all are at rest", func() error { return w.near(3, top) })
	var took spans
	for range times {
		w.kill(3)
		start := time.Now()
		w.start(3)
		w.awaitUp(3)
		up := time.Since(start)
		w.poll("it is within two blocks of the others", func() error { return w.near(3, top-2) })
		took.add(time.Since(start))
		t.Logf("it answers after %v and is with the others after %v, which took %v of processor time", up, took.all[len(took.all)-1],
			cpuTime(t, w.processes[3].cmd.Process.Pid))
		top = w.mustOpenScope(c).Height
		w.poll("it executes again", func() error { return w.near(3, top) })
	}
	t.Logf("restart with %d lots: %s", made, &took)
	judge(t, took.max() <= 5*time.Second, fmt.Sprintf("with %d lots a node is healthy 5 s after its start", made))
}

// near returns nil if node i has executed as far as height.
func (w *world) near(i int, height ledger.Height) error {
	s, err := w.status(i)
	if err == nil && s.Heights.Executed < height {
		err = fmt.Errorf("it is at %+v: %s", s.Heights, s.Cause)
	}
	return err
}

// cutLots issues vouchers to holder 0, who accepts them and cuts them into at least count lots, and returns how many.
func (m *market) cutLots(ctx context.Context, c *client.Client, count int) int {
	m.w.t.Helper()
	vouchers := (count + lotsPerVoucher - 1) / lotsPerVoucher
	ids := make(chan suite.Hash, vouchers+issuesPerTx)
	made := 0
	for ; made < vouchers; made += issuesPerTx {
		start := m.w.net.Genesis.Start
		issue := &ledger.VoucherIssue{Payee: m.holders[0].id, Face: partsPerCut * partsPerCut * 100, Due: start.Date() + 180, Bank: m.bank.id,
			AcceptBy: start + 7*ledger.Day, Evidence: []ledger.EvidenceUse{{Invoice: m.issued, Amount: partsPerCut * partsPerCut * 100}}}
		ops := make([]ledger.Op, issuesPerTx)
		for k := range ops {
			ops[k] = ledger.NewOp(m.core.id, issue)
		}
		o := m.do(ctx, c, ops, m.core.key)
		for k := range ops {
			ids <- ledger.DerivedID(m.w.net.Suite, o.ID, k, 0)
		}
	}
	close(ids)
	var wg sync.WaitGroup
	for range cutters {
		wg.Go(func() {
			for id := range ids {
				if _, err := c.Do(ctx, m.cuts(id), m.holders[0].key); err != nil {
					m.w.t.Errorf("cut voucher %s: %v", id, err)
				}
			}
		})
	}
	wg.Wait()
	return made * lotsPerVoucher
}

// cuts accepts a voucher and cuts it: first into parts, then most of these again. The last part of each cut is offered to holder 1.
func (m *market) cuts(id suite.Hash) []ledger.Op {
	holder := m.holders[0].id
	ops := []ledger.Op{ledger.NewOp(holder, &ledger.VoucherAccept{Voucher: id})}
	for k := range cutsPerVoucher {
		op := &ledger.VoucherOffer{Voucher: id, AcceptBy: m.w.net.Genesis.Start + 7*ledger.Day, Parts: make([]ledger.OfferPart, partsPerCut)}
		size := ledger.Fen(100)
		if k == 0 {
			size *= partsPerCut
		} else {
			op.Lot = ledger.Fen(k-1) * size * partsPerCut
		}
		for i := range op.Parts {
			op.Parts[i] = ledger.OfferPart{Amount: size, Evidence: []ledger.EvidenceUse{}}
		}
		last := &op.Parts[partsPerCut-1]
		last.To, last.Discharge = m.holders[1].id, ledger.DischargeAtPayment
		last.Evidence = []ledger.EvidenceUse{{Invoice: m.sales[1][0], Amount: size}}
		ops = append(ops, ledger.NewOp(holder, op))
	}
	return ops
}

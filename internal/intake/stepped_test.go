package intake_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"aval/internal/chain/chaintest"
	"aval/internal/clock"
	"aval/internal/intake"
	"aval/ledger"
)

// TestStepped drives an intake on one thread: it offers each batch to all, asks another when one refuses or keeps silent, hands in
// the certificate that they make, and does it again when the batch stays unordered.
func TestStepped(t *testing.T) {
	n := chaintest.New(t, chaintest.Options{Validators: 4})
	fake := clock.NewFake(time.Now())
	var ordered []*ledger.BatchCertificate
	asked := map[uint16]int{} // to verify
	attestors := map[uint16]*intake.Attestor{}
	refuses, silent := uint16(9), uint16(9)
	cfg := intake.Config{Chain: newFakeChain(n), Signer: n.Signer("validator-0"), Stepped: true, Clock: fake, Logger: slog.New(slog.DiscardHandler),
		Offer: func(to uint16, push []byte, answer func([]byte, error)) {
			p, err := intake.DecodePush(push)
			if err != nil {
				t.Fatal(err)
			}
			if p.Verify {
				asked[to]++
			}
			switch {
			case p.Verify && (to == silent || refuses == 9 && len(asked) == 1 && silent == 9):
				if silent == 9 { // the first that is asked to verify keeps silent
					silent = to
				}
			case p.Verify && (refuses == 9 || to == refuses): // the second refuses
				refuses = to
				fake.AfterFunc(time.Millisecond, func() { answer(nil, errors.New("not now")) })
			default:
				ack, err := attestors[to].Serve(t.Context(), n.Genesis.Validators[0].Key, push)
				fake.AfterFunc(time.Millisecond, func() { answer(ack, err) })
			}
		},
		Order: func(_ context.Context, request []byte) error {
			r, err := ledger.DecodeOrderingRequest(request)
			if err != nil {
				return err
			}
			c, err := ledger.DecodeBatchCertificate(r.Body)
			ordered = append(ordered, c)
			return err
		}}
	for i := range uint16(4) {
		attestors[i] = intake.NewAttestor(newFakeChain(n), n.Signer(n.Genesis.Validators[i].Name))
	}
	in, err := intake.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}()
	// Guarded, so that a quorum of four must verify it: this validator and two others.
	if _, err := in.Admit(n.Scope(t, "/a")); err != nil {
		t.Fatal(err)
	}
	pass := func(d time.Duration) {
		for ; d > 0; d -= 10 * time.Millisecond {
			in.Step()
			fake.Advance(10 * time.Millisecond)
		}
	}
	pass(100 * time.Millisecond)
	if len(ordered) != 0 || silent == 9 || refuses == 9 {
		t.Fatalf("%d certificates while one keeps silent (%d) and one refuses (%d)", len(ordered), silent, refuses)
	}
	refuses = 8 // it verifies when it is asked again
	pass(600 * time.Millisecond)
	if len(ordered) != 1 || asked[silent] != 1 {
		t.Fatalf("%d certificates; asked to verify: %v", len(ordered), asked)
	}
	if err := ordered[0].Verify(n.Suite, n.ID, n.Genesis.Validators, n.Genesis.Params.VerifyQuorum); err != nil {
		t.Fatal(err)
	}
	pass(1500 * time.Millisecond)
	if len(ordered) != 2 || ordered[1].Head.TxRoot != ordered[0].Head.TxRoot {
		t.Fatalf("handed in %d times although nobody ordered it", len(ordered))
	}
}

package solo_test

import (
	"testing"

	"aval/internal/consensus"
	"aval/internal/consensus/conformance"
	"aval/internal/consensus/solo"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Factory{
		Validators: 1,
		New: func(e conformance.Env) (consensus.Engine, error) {
			return solo.New(solo.Config{Suite: e.Suite, Signer: e.Signer, Ledger: e.Ledger, PendingMax: e.PendingMax, Logger: e.Logger})
		},
		View: func([]byte) (uint64, error) { return 0, nil },
	})
}

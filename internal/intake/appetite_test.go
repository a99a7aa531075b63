package intake_test

import (
	"testing"

	"aval/codec"
	"aval/internal/appetite"
	"aval/internal/intake"
	"aval/ledger"
)

// TestAppetite gives the decoder of pushes what is worst for it, and for the batch inside.
func TestAppetite(t *testing.T) {
	inputs := append(appetite.Worst(&intake.Push{}, codec.Marshal, 1<<18), appetite.Malformed(1<<18)...)
	for _, b := range appetite.Worst(&ledger.Batch{}, codec.Marshal, 1<<18) {
		inputs = append(inputs, codec.MustMarshal(&intake.Push{Body: b}))
	}
	appetite.CheckAll(t, inputs, func(b []byte) {
		if p, err := intake.DecodePush(b); err == nil {
			_, _ = ledger.DecodeBatch(p.Body)
		}
	})
}

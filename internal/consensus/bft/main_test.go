package bft

import (
	"os"
	"strconv"
	"testing"

	"aval/internal/consensus/conformance"
)

// TestMain lets AVAL_CHAOS=n run the chaos case with the ten seeds 10n to 10n+9.
func TestMain(m *testing.M) {
	if n, err := strconv.ParseUint(os.Getenv("AVAL_CHAOS"), 10, 64); err == nil {
		conformance.ChaosSeeds = nil
		for i := range uint64(10) {
			conformance.ChaosSeeds = append(conformance.ChaosSeeds, 10*n+i)
		}
	}
	os.Exit(m.Run())
}

package bft

import (
	"os"
	"strconv"
	"testing"

	"aval/internal/consensus/conformance"
)

func TestMain(m *testing.M) {
	if n, err := strconv.Atoi(os.Getenv("SEED")); err == nil {
		conformance.ChaosSeeds = nil
		for i := range 10 {
			conformance.ChaosSeeds = append(conformance.ChaosSeeds, uint64(n*10+i))
		}
	}
	os.Exit(m.Run())
}

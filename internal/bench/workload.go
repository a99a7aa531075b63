package bench

import (
	"context"

	"aval/internal/vm"
	"aval/ledger"
)

// workload is what is submitted.
type workload interface {
	// setUp brings the ledger to where the load can begin.
	setUp(ctx context.Context, s *setup) error
	// lane makes and signs lane i. It is safe for concurrent use.
	lane(i int, validUntil ledger.Time) ([][]byte, error)
	// steps is how many transactions a lane has on average.
	steps() float64
	// signatures is how many signatures one transaction has on average.
	signatures() float64
	// count checks the books of one validator at the end and returns lines that say what was counted.
	count(j *vm.Journal) ([]string, error)
}

package suite

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// inParallel calls do(low, high) for consecutive ranges of at most size items that cover [0, n), on at most
// GOMAXPROCS goroutines, and returns when all are done. Ranges do not overlap, so do may write to its own part
// of a shared slice. The result must not depend on order or timing.
func inParallel(n, size int, do func(low, high int)) {
	ranges := (n + size - 1) / size
	workers := min(runtime.GOMAXPROCS(0), ranges)
	if workers <= 1 {
		for low := 0; low < n; low += size {
			do(low, min(low+size, n))
		}
		return
	}
	var next atomic.Int64
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			for {
				low := int(next.Add(1)-1) * size
				if low >= n {
					return
				}
				do(low, min(low+size, n))
			}
		})
	}
	done.Wait()
}

// Package nodes runs whole nodes (intake, the real engine, catch-up, execution, storage) in one process against simulated links,
// disks and clocks, in the virtual time of testing/synctest. A seed fixes what goes wrong and when; the order in which goroutines
// run is the machine's, so a seed repeats its faults exactly and its outcome almost always. Everything is in its tests:
//
//	go test ./internal/sim/nodes -run TestSeeds -seed 17        one seed
//	go test ./internal/sim/nodes -run TestSeeds -seed 17 -v     with what happened
package nodes

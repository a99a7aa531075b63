//go:build !race

package nodes

// The seeds of every test run.
const (
	seedsInCI          = 20
	byzantineSeedsInCI = 10
)

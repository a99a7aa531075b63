//go:build race

package nodes

// The seeds of every test run with the race detector, under which one takes ten times as long.
const (
	seedsInCI          = 2
	byzantineSeedsInCI = 1
)

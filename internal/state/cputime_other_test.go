//go:build !linux

package state

import "time"

var started = time.Now()

// cpuTime returns the time since the start: the process's own is not to be had everywhere.
func cpuTime() time.Duration { return time.Since(started) }

// threadTime is cpuTime.
func threadTime() time.Duration { return cpuTime() }

//go:build !linux

package sm3lanes

import "time"

var started = time.Now()

// now returns the time since the start: the thread's own is not to be had everywhere.
func now() time.Duration { return time.Since(started) }

package invariant

import "fmt"

// Violation is what Check panics with.
type Violation struct {
	// Message names the invariant and the values that break it.
	Message string
}

// Error returns the message.
func (v *Violation) Error() string { return "invariant broken: " + v.Message }

// Check panics with a *Violation unless cond holds.
func Check(cond bool, format string, args ...any) {
	if !cond {
		panic(&Violation{Message: fmt.Sprintf(format, args...)})
	}
}

package invariant

import "fmt"

// Violation is what Check panics with. A node that recovers one logs it, writes nothing more and stops.
type Violation struct {
	// Message names the invariant and the values that broke it.
	Message string
	// Cause is the error that Expensive's check returned, or nil.
	Cause error
}

// Error implements error.
func (v *Violation) Error() string { return "invariant violated: " + v.Message }

// Unwrap returns the cause.
func (v *Violation) Unwrap() error { return v.Cause }

// Check panics with a *Violation unless cond holds. The format and its arguments (as in fmt.Sprintf) name the
// invariant and the values; the arguments are evaluated even when cond holds, so they should be cheap.
func Check(cond bool, format string, args ...any) {
	if !cond {
		panic(&Violation{Message: fmt.Sprintf(format, args...)})
	}
}

// Expensive panics with a *Violation if check returns an error, in programs built with the tag invariants
// (see Enabled); in all others it does nothing and check does not run. Tests and the simulator use the tag.
func Expensive(check func() error) {
	if !Enabled {
		return
	}
	if err := check(); err != nil {
		panic(&Violation{Message: err.Error(), Cause: err})
	}
}

// Recover turns a panic with a *Violation into *err; it is to be deferred where a node's loops start. Other
// panics go on.
func Recover(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Violation:
		*err = r
	default:
		panic(r)
	}
}

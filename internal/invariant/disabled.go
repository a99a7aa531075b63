//go:build !invariants

package invariant

// Enabled reports whether expensive checks run: the build tag invariants is not set.
const Enabled = false

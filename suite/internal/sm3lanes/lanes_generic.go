//go:build !amd64 || purego

package sm3lanes

// best is the only engine there is.
const best = library

// compress is never called: the library hashes whole messages.
func (engine) compress(*state, *[laneCount]*byte, int) { panic("sm3lanes: no lanes on this processor") }

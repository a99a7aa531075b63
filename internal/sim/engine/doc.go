// Package engine is the reference engine of the simulator: a small state machine in the manner of Tendermint that orders requests
// into blocks on one thread. It does nothing by itself: whoever owns it hands in messages, calls Tick as time passes and Poke when the
// ledger has moved.
//
// At every height there are views, each with one leader. The leader proposes a block; validators that find it valid prepare its value;
// a validator that has a quorum of prepares locks the value, durably, and votes for the header; a quorum of votes is the certificate.
// A view that takes too long is left for the next one, in which a validator prepares no other value than the one it is locked on,
// unless it is shown a quorum of prepares for that from a later view than its lock's. A vote signs the header alone, and every
// header names its view, so that votes of different views cannot be counted together: a value that is proposed again gets a new
// header. What was signed is on disk before the signature exists.
package engine

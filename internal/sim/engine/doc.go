// Package engine is the reference engine of the simulator: a small state machine in the manner of Tendermint that orders requests
// into blocks on one thread. It does nothing by itself: whoever owns it hands in messages, calls Tick as time passes and Poke when the
// ledger has moved.
//
// At every height there are views, each with one leader. The leader proposes a block; validators that find it valid prepare it; one
// that has a quorum of prepares of its view locks the block, durably, and commits to it; a quorum of commits of one view decides. A view
// that takes too long is left for the next one, in which a validator prepares no other block than the one it is locked on, unless it is
// shown a quorum of prepares for that from a later view than its lock's.
//
// A vote, which the ledger's certificates are made of, signs a header and names no view, so that votes of several views could be
// counted together. Therefore only who knows that a block is decided votes for it, and shows why: no honest validator ever votes
// for two headers at one height. What is signed is on disk before the signature exists.
package engine

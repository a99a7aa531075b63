// Package state holds the authenticated state: every value that execution reads and writes, under one root per height.
//
// The tree that makes the root (package merkle defines it) lives in memory and is nothing but an index of a log. The log
// has a kv.Store of its own, whose rows are keyed L ‖ seq. A block appends one atomic batch: its writes sorted by hashed
// key, then copies of old rows, then one marker with the height, the roots and where the log begins. The copies let
// the beginning of the log advance a little with every block, over rows that were overwritten since, so that the log
// stays in proportion to the state without ever being rewritten at once. A block without writes appends nothing.
//
// Open reads the log from its beginning, builds the tree and compares its root with the marker's; what it returns is
// the state of the last height with writes, and the chain replays the rest. So a crash leaves the old height or
// the new one.
//
// A log may also begin with the state of some height that was imported, in rows and a marker of its own kind; Frozen is where such
// states come from.
//
// Inner nodes and leaves are never changed once a height is published: a block copies the nodes on the paths it touches.
// The trees of the last heights therefore stand side by side in the arenas, proofs of any of them are served while the
// next block is being applied, and dropping the oldest gives back what the next one replaced.
package state

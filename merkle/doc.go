// Package merkle proves that something is, or is not, under a root: transactions, receipts and batch digests under
// the root of a list, values under the state root of a height, and writes under the write-set root of a height. It
// has the mathematics of trees, proofs and their verification, and no storage.
//
// Two trees share one hash, the suite's, told apart by the first byte of what is hashed:
//
//	0 ‖ data                    a leaf; of the state tree: 0 ‖ key ‖ height ‖ previous height ‖ H(value)
//	1 ‖ left ‖ right            a node of a list's binary tree (RFC 6962 section 2.1)
//	2 ‖ c0 ‖ c1 ‖ c2 ‖ c3       an inner node of the state tree; an absent child is 32 zero bytes
//	3 ‖ size ‖ top              the root of a list
//
// Integers are eight bytes, big endian.
//
// # Lists
//
// A list's tree is that of RFC 6962: a leaf is H(0 ‖ data), a list longer than one is split at the largest power of
// two below its length, no leaves hash to H(""). The root adds what RFC 6962 leaves to the signed tree head: the
// size. Without it a proof's index and size could be altered and still verify.
//
// # State
//
// The state tree is a trie over 32-byte keys, each the suite's hash of the raw key under DomainStateKey. A key is read
// as 128 digits of two bits, most significant first. A set of no leaves is 32 zero bytes; a set of one leaf, at any
// depth, is that leaf; a larger set is an inner node over the four subsets by the digit at its depth. So a leaf sits at
// the shallowest depth at which it is alone, inner nodes are never compressed, and the shape depends on the set of keys
// alone. A deleted key stays as a leaf whose H(value) is zero, a tombstone, and leaves the tree later, by the rule
// of TombstonesLeaving.
//
// The leaves of a write set are the state leaves that the block wrote, in order of their keys, as a list.
//
// Scheme numbers all of this. It changes only with a new protocol.
package merkle

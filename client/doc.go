// Package client is the Go SDK of Aval: it makes and signs transactions, submits them to any node of a network and to
// another if that one fails, waits until they are final, queries, and verifies proofs itself.
//
// Trust begins with the genesis, which a user obtains from the network's operators once, and never with a node: answers to
// queries are one node's word, proofs are not. Each verified proof moves the pinned epoch forward.
//
// Submitting the same bytes again is safe, wherever and however often: a transaction takes effect at most once and every
// submission of it yields the same receipt. So an error after which the outcome is unknown is answered by submitting again,
// which Submit does by itself until its context ends or the transaction can no longer be included.
package client

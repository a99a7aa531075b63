// Package chain turns what an engine decides into the ledger: it builds and judges proposals, stores decided blocks
// durably, executes them in order, commits their state, and proves any of it. It implements consensus.Ledger.
//
// A block is durable before it executes. Execution runs behind on a goroutine of its own, at most ledger.Lag blocks,
// and everything it makes can be made again from blocks, so that a crash at any moment loses nothing.
package chain

// Package consensus is the border between the ledger and the engine that orders it. An Engine decides in which order
// requests stand; a Ledger builds, judges and commits blocks. The engines are internal/consensus/bft (SmartBFT) and
// internal/consensus/solo (one node, no votes but its own).
package consensus

// Package bft orders blocks among validators of whom fewer than a third may fail or lie, with SmartBFT as the kernel.
// SmartBFT decides what the next block is; header, vote, certificate, transport, synchronisation and storage are the
// ledger's own.
//
// The package stands between the two and holds what was learnt about the kernel:
//
//   - Nothing from a peer reaches the kernel unchecked: messages are bounded, decoded strictly and judged by form
//     (wire.go, filter.go), since the kernel trusts lists, nils and repeats that a liar can choose.
//   - A vote is written to a small file of its own before it is signed (guard.go): never two headers for one epoch,
//     view and height, whatever the kernel, a crash or a lost log may say.
//   - What the kernel restores from its log is worked out here (restore.go). A log that was lost or does not fit the
//     votes makes the validator observe: it follows certified blocks until two have passed what it could have voted on.
//   - Whatever cannot go on (the kernel's own panics, a vote withheld, a change of epoch) ends the running kernel and
//     starts another from the ledger and the log, exactly as after a crash (supervise.go).
package bft

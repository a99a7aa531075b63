// Package check judges a network by what can be observed of it: blocks, batches, receipts, signatures, proofs, and what clients
// were told. It shares no code with what it judges but the encodings and hashes of package ledger: it counts votes, books money
// and follows every fen of every voucher by itself. Simulators and tests of whole networks feed a Judge and ask it in the end.
package check

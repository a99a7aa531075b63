// Package ledger defines what the participants agree on: transactions and their operations, blocks, headers,
// votes and certificates, receipts, the records kept in state and the keys they are kept under, and the limits of
// all of them. It holds shapes and pure functions of them; it executes nothing and stores nothing.
package ledger

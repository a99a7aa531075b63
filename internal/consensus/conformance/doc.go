// Package conformance is the suite of tests that every ordering engine must pass, with what they need: a ledger in
// memory with real headers, votes and certificates, links that can be cut and lose messages, a syncer, and signers that
// remember every vote they made.
package conformance

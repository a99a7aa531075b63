// Package cli is the command line: it turns words into operations, signs them with keys kept encrypted at rest, submits them
// through package client, and prints what came of it in plain words, or as JSON with --json.
//
// Every operation command does the same: build the operation's body from flags, put it into a new or a drafted transaction,
// sign with the named keys, then submit it or write the draft. A command declares its flags and which field each fills
// (binder.go); the rest is in operation.go.
//
// Exit codes: 0 done, 1 failed or invalid, 2 wrong usage, 3 a proof that is right but too old.
package cli

package tidy

import "slices"

// exemption lets one package do one thing that a rule forbids.
type exemption struct {
	pkg    string // folder of the package
	what   string // an import path, or "go" for goroutines, or "float"
	reason string
}

// pureExemptions are the places below internal/chain that may ask the machine for something. None of it may influence what a
// block does to the state.
var pureExemptions = []exemption{
	{"internal/clock", "time", "it is the clock that everything above is given"},
	{"internal/kv", "os", "opens and syncs the files of the store"},
	{"internal/kv", "time", "measures the store and bounds its waits; no value depends on it"},
	{"internal/kv", "go", "closes and compacts in the background; reads see committed batches only"},
	{"internal/kv", "float", "tells the store of blocks how much garbage its files may hold"},
	{"suite", "crypto/rand", "keys, signing nonces and the random coefficients of batch checks"},
	{"suite", "go", "verifies signatures on several cores; the accepted set does not depend on the order"},
	{"merkle", "go", "hashes subtrees on several cores; the root does not depend on the order"},
	{"internal/state", "go", "hashes subtrees on several cores; the root does not depend on the order"},
}

// skipExemptions are the tests that may skip: the function, by folder and name, and why.
var skipExemptions = []exemption{}

// decoderExemptions are the functions, or with "*" the packages, that decode what no stranger wrote.
var decoderExemptions = []exemption{
	{"internal/vm", "*", "state values, which execution itself has encoded; that they decode is an invariant"},
	{"internal/native/voucher", "*", "state values, which execution itself has encoded; that they decode is an invariant"},
	{"internal/exec/exectest", "*", "shows state values in tests"},
	{"internal/consensus/conformance", "*", "part of a test suite"},
	{"internal/sim", "*", "reads what its own simulated nodes wrote"},
	{"internal/sim/engine", "*", "reads what its own simulated nodes wrote"},
	{"internal/sim/check", "*", "judges what simulated nodes wrote"},
	{"internal/chain", "receiptAmong", "a row of this node's own store, under its checksums"},
	{"internal/chain", "pruneHeaders", "a row of this node's own store, under its checksums"},
	{"internal/server", "pageOf", "state values, which execution has encoded"},
	{"internal/demo", "*", "reads what it asked a node of its own for"},
	{"internal/bench", "*", "reads what its own child processes and earlier runs wrote"},
}

// exempt reports whether the list names the package and the thing.
func exempt(list []exemption, pkg, what string) bool {
	return slices.ContainsFunc(list, func(e exemption) bool { return e.pkg == pkg && e.what == what })
}

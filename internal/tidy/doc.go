// Package tidy holds the rules of the house as tests: who may import whom, what the deterministic core may touch, what is
// documented, and how long things may grow. It reads the source with go/parser and needs no build.
//
// A rule that matters is written here, so that nobody has to remember it. Exceptions are named in exempt.go, each with its reason.
package tidy

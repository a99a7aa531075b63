// Package kvtest is the conformance suite that every kv.Store passes.
package kvtest

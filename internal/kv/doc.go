// Package kv stores ordered rows of bytes. A Store has three implementations: Pebble on disk, Memory, and Faulty, which
// loses power, unsynced writes and patience on command. All pass one conformance suite.
//
// A batch is the unit of atomicity: after a crash it is there as a whole or not at all, and if it is there, so is every
// batch applied before it. A batch applied with sync survives a crash once Apply has returned.
package kv

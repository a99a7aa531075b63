// Package kv stores ordered rows of bytes. A Store has four implementations: Pebble on disk; Log, also on disk, for rows that are
// only appended; Memory; and Faulty, which loses power, unsynced writes and patience on command. All but Log, which accepts less,
// pass one conformance suite.
//
// A batch is the unit of atomicity: after a crash it is there as a whole or not at all, and if it is there, so is every
// batch applied before it. A batch applied with sync survives a crash once Apply has returned.
package kv

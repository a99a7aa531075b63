// Package chaintest makes small networks for tests: a genesis with known keys, transactions signed by them, a clock that
// stands still until it is moved, and a driver in place of an engine, which assembles, judges, signs and commits one block
// at a time.
package chaintest

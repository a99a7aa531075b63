// Package appetite measures what a decoder allocates, relative to what it is given, and makes inputs that are worst for it: deep
// nesting, huge declared lengths, many empty elements. It is for tests.
package appetite

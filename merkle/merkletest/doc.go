// Package merkletest has the twin of the state tree: slow, obvious, recursive, without any shortcut. Tests of the
// real thing compare with it, and golden vectors are made by it.
package merkletest

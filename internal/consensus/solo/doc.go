// Package solo orders blocks on one validator that needs nobody's agreement: for development, and as the plain twin of
// the engine that does. Its certificates follow the same rule as all others: a quorum of one.
package solo

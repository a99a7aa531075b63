// Package invariant says that the program itself is wrong. A broken invariant stops the node: to diverge from
// the other nodes, or to write a wrong balance, is worse than to stand still. It is never used for input.
package invariant

// Package invariant states what must be true in every run. A broken invariant means that this program is wrong, never
// that its input is: the node stops rather than diverge.
package invariant

// Package exec executes blocks: one pure function from a view of state and a block to receipts and changes. Same
// view, same block, same result, on any machine and any number of threads.
package exec

// Package sim runs a whole faulty network in one thread: validators with stores, chains, intakes and engines on a fake clock, over
// links and disks that fail, used by clients who live through the life of vouchers. One seed decides everything that happens, so that a
// run repeats exactly; package check judges it.
//
// Admission, batches, acknowledgements, certificates, storage, execution, state, recovery and the verification of what peers send are
// the product's own code, driven step by step. Ordering is the reference engine of package engine, and whom to ask for what is missing
// is decided here. Links, disks and clocks are simulated; see faults.go for what befalls them, liar.go for what liars do.
package sim

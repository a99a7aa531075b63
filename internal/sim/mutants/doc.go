// Package mutants plants known safety bugs in the product, one at a time, and checks that the simulators catch each: a net that
// catches nothing proves nothing. The product's sources hold no trace of it: a bug is a piece of text put in the place of another
// while a test is built (go test -overlay).
//
// That every text is still there is checked in every test run; make mutants plants them, which takes minutes.
package mutants

// Package e2e tests whole networks of real processes on loopback: the program as it is built, killed without warning,
// started again, cut to less than a quorum, asked over HTTP and by its own command line. It holds tests only.
package e2e

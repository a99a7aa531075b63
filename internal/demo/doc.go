// Package demo plays the life of one payable voucher on a network of its own, and keeps a sandbox for newcomers.
//
// Run starts four validators and a gateway as child processes on loopback, in a lab network whose clock it moves, and plays the demo case
// through the public HTTP interface: a car maker's promise of 12,000,000.00 passes through four tiers of suppliers, is
// financed three times, and is paid to ten holders in two banks' money. Every party has its own keys. It also tries what the ledger
// must refuse. With Check it verifies every figure on every node, and kills and restarts a validator in the middle.
//
// Dev runs one node that orders alone, with five sandbox parties whose keys it puts where the command line looks for them.
//
// Where to look:
//
//	cast.go      who takes part: fictional organisations with valid codes
//	people.go    their staff, keys and credentials
//	network.go   genesis and the homes of nodes
//	desk.go      making, signing and submitting transactions
//	setup.go     onboarding, accounts, mandate, limit
//	story.go     the demo case, day by day
//	planted.go   what must be refused
//	books.go     reading what stands on a node
//	check.go     the figures, the books and the nodes, verified
//	report.go    what is printed
//	dev.go       the sandbox
package demo

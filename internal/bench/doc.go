// Package bench measures what a network costs per transaction: it starts validators as processes of their own, loads them
// from another process with transactions that were signed before the clock started, each once and for itself, and counts on
// the validators' ledgers what came of it.
//
// Where to look:
//
//	bench.go      the order of a run
//	network.go    the network under test
//	workload.go   what is submitted: transfer.go, voucher.go
//	sign.go       signing ahead into files; lanes.go their form
//	generator.go  the load process; load.go how it is driven
//	system.go     processor time, memory, disk
//	profile.go    which stage the processor time goes to
//	count.go      counting on the ledger
//	report.go     the table, the JSON file; plot.go the picture
package bench

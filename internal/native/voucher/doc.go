// Package voucher keeps payable vouchers: promises of a core enterprise to pay on a day, as exact ranges of fen.
//
// A voucher of face F is the range [0, F). A lot is a sub-range with one holder, one state and its encumbrances; the lots of a
// voucher form a chain from 0 to F. Nothing is ever minted anew: a lot is cut, changes hands, is paid. Where to look:
//
//	lots.go          the chain of lots: how a lot is found, cut and handed over
//	issue.go         issue, accept, reject, expire, cancel
//	offer.go         split and offer; accept, reject, expire, withdraw
//	lock.go          what locks a lot, and what happens when the lock ends
//	pledge.go        pledge, record, release
//	freeze.go        court orders
//	fund.go          money set aside, per voucher and per day
//	queue.go         the days on which work waits, and the work of one day
//	settle.go        due-date work at a block boundary
//	pay.go           paying one voucher's lots, in full or in proportion
//	ladder.go        what an issuer owes by day; overdue, default, the bar
//	incoming.go      what waits for a party's answer
//	conservation.go  the invariant checked at every commit
//	audit.go         the slow check of one voucher, or of one issuer
//
// Due, lapsed, overdue and barred are computed from records and time, never stored.
package voucher

// Package exectest runs transcripts against execution: files in testdata that set up parties with deterministic keys, submit
// transactions, and print receipts and records. A World is one network in memory, with blocks, time, the replay window and
// the lag of the clock as the chain has them, and without consensus.
//
// # Transcripts
//
// A transcript is a datadriven file; `go test ./internal/exec -run TestTranscripts/NAME -rewrite` writes its outputs. Names
// stand for everything: parties (ruida), member keys (ruida.m), and hashes that were bound ($V0).
//
//	new [suite=sm] [clock=real]           a fresh network; the default is intl with a lab clock at 2026-09-15 09:00
//	onboard NAME [roles=..] [size=N] [scope=/..] [by=authority] [id=..]
//	                                      declares NAME with the keys NAME.m (maker), NAME.c (checker), NAME.a (admin), each
//	                                      another person's, and onboards it
//	bank NAME [holders=(a,b)] [amount=..] onboards a bank; opens accounts and mints amount for each holder
//	party NAME [id=..]                    declares a party without onboarding it
//	member NAME.key caps=maker+checker [person=OTHER.key] [from=TIME] [until=TIME] [cred-until=TIME]
//	       [cred-issuer=rogue|second] [cred-party=NAME] [cred-key=NAME.key] [cred-network=other] [cred-tampered]
//	                                      declares a key, for use in member.add and its kin
//	tx [as=T] [signers=(..)] [also=(..)] [valid=+5m] [network=other] [tampered]
//	[X =] KIND PARTY field=value ...      one operation a line; X is bound to the id that the operation makes ($X), and
//	                                      $X.N to the N-th
//	queue ...                             like tx, but waits for the next block
//	block [n=1] [wall=+1s]                makes blocks with what is queued and prints their receipts
//	resend T [also=(..)] [queue]          submits a kept transaction again, with more signatures
//	raw zeros=N | hex=..                  submits bytes
//	propose P by=KEY parties=(..) [expires=+10d] [note=..] [also=(..)]
//	approve P by=KEY..                    withdraw P by=KEY
//	holds X                               prints the holds that due-date work made last and binds them to $X.0, $X.1, ...
//	advance to=TIME                       moves the lab clock and makes blocks until it is there
//	show RECORD ARGS                      prints a record: party, member, scope, account, accounts, supply, hold, mandate, limit,
//	                                      invoice, voucher, lots, held (lots of a party), waiting, offer, transfers, order,
//	                                      request, quote, ladder, pool, due, proposal, clock
//
// Without signers, a transaction is signed by what the default policies ask for: NAME.a for admin operations, NAME.m and
// NAME.c for others; also adds keys, or a party's maker and checker by the party's name.
//
// Values: amounts in yuan (12,000,000.00) or fen (7fen); dates 2027-01-13 or +120d from today; times 2026-10-12, 2026-10-12T09:00
// or +3d, +2h, +5m, +1s from now; hashes $X, $X.1, #text (the hash of a document), @ruida/INV-1 (an invoice's fingerprint);
// (the twin of evidence.register, left out, is the right one, and so are the terms of finance.accept, if the quote stands); lists [a b], structures {field=value}; text with spaces in "quotes"; bits maker+checker.
package exectest

package intake

import (
	"aval/ledger"
)

// strangersShare is the part of what may wait that strangers may take, as one in so many: transactions of which no signature is by a
// key on the ledger. They can take no effect alone, cost their sender nothing, and nobody can be held to account for them;
// so they must not keep out those who are known.
const strangersShare = 8

// strange reports whether no key that signs a transaction is known on the ledger.
func (in *Intake) strange(tx *ledger.SignedTx) bool {
	if in.cfg.Known == nil {
		return false
	}
	for i := range tx.Sigs {
		if in.cfg.Known(tx.Sigs[i].Key) {
			return false
		}
	}
	return true
}

// letIn counts a stranger, or refuses it if enough others wait.
func (in *Intake) letIn(p *pending) error {
	if !in.strange(p.tx.Body) {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.strangers >= in.pace.limit(in.cfg.PendingMax)/strangersShare {
		in.busy, in.busyAt = in.busy+1, in.cfg.Clock.Now()
		return ledger.Failf(ledger.CodeBusy, "%d transactions signed by keys that nobody registered wait already; try again in a second, or at another node", in.strangers)
	}
	p.strange = true
	in.strangers++
	return nil
}

// leave ends the count of a stranger that was let in. The caller holds mu.
func (in *Intake) leave(p *pending) {
	if p.strange {
		p.strange = false
		in.strangers--
	}
}

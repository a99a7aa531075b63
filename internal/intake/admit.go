package intake

import (
	"bytes"

	"aval/internal/exec"
	"aval/ledger"
	"aval/suite"
)

// Admit checks an encoded ledger.SignedTx and queues a copy of it. Admitting the same bytes again returns the same outcome:
// the receipt if the id is spent, the ticket under way otherwise. While too much
// waits, what is not under way is refused with CodeBusy, whatever it is. Refusals are *ledger.Failure.
func (in *Intake) Admit(raw []byte) (*Ticket, error) {
	a := in.AdmitAll([][]byte{raw})[0]
	return a.Ticket, a.Err
}

// Admission is what became of one transaction that was to be admitted: a ticket, or why not.
type Admission struct {
	Ticket *Ticket
	Err    error
}

// AdmitAll is Admit for several transactions. Their signatures are verified together, which costs less.
func (in *Intake) AdmitAll(raws [][]byte) []Admission {
	out, fresh := make([]Admission, len(raws)), make([]*pending, 0, len(raws))
	at := make([]int, 0, len(raws)) // of fresh, in raws
	var items []suite.Signed
	busy := in.checkRoom()
	examined := 0
	for ; examined < len(raws) && busy == nil; examined++ {
		a := &out[examined]
		var p *pending
		if p, a.Ticket, a.Err = in.examine(raws[examined]); p != nil {
			if a.Err = in.letIn(p); a.Err != nil {
				continue
			}
			if busy = in.reserve(p); busy != nil {
				break // this one is looked up again below, and so are the rest
			}
			items = p.tx.Body.Signed(p.tx.ID, items)
			fresh, at = append(fresh, p), append(at, examined)
		}
	}
	if busy != nil {
		in.turnAway(raws[examined:], out[examined:], busy)
	}
	valid := in.verifier.verify(items)
	for i, p := range fresh {
		sigs := p.tx.Body.Sigs
		out[at[i]] = in.settleSignatures(p, valid[:len(sigs)])
		valid = valid[len(sigs):]
	}
	for i := range examined {
		in.metrics.admission(out[i].Err)
	}
	return out
}

// turnAway refuses what comes while too much waits, but for what is under way already, and spends hardly more than one hash on
// each: a node that is busy must not become busier by saying so.
func (in *Intake) turnAway(raws [][]byte, out []Admission, busy error) {
	signed := make([]suite.Hash, len(raws))
	suite.HashMany(in.cfg.Chain.Suite(), ledger.DomainSignedTx, raws, signed)
	refused := 0
	in.mu.Lock()
	for i := range raws {
		if p := in.bySigned[signed[i]]; p != nil {
			out[i].Ticket = p.ticket
		} else {
			out[i].Err = busy
			refused++
		}
	}
	if refused > 0 {
		in.busy, in.busyAt = in.busy+uint64(refused), in.cfg.Clock.Now()
	}
	in.mu.Unlock()
	in.metrics.turnedAway(refused, len(raws)-refused)
}

// settleSignatures queues p if all its signatures are valid.
func (in *Intake) settleSignatures(p *pending, valid []bool) (a Admission) {
	for i, ok := range valid {
		if !ok {
			in.mu.Lock()
			in.release(p)
			in.leave(p)
			in.mu.Unlock()
			a.Err = ledger.InvalidSignature(p.tx.Body.Sigs[i].Key, p.ticket.ID)
			return a
		}
	}
	a.Ticket, a.Err = in.enqueue(p)
	return a
}

// examine checks everything of a transaction but its signatures. It returns what is to be queued once they are verified, or a
// ticket for what is under way or done, or why it is refused.
func (in *Intake) examine(raw []byte) (*pending, *Ticket, error) {
	tx, err := ledger.DecodeSignedTx(raw)
	if err != nil {
		return nil, nil, err
	}
	if err := tx.CheckForm(in.cfg.Chain.Network()); err != nil {
		return nil, nil, err
	}
	s := in.cfg.Chain.Suite()
	t := &Ticket{ID: tx.Tx.ID(s), Signed: s.Hash(ledger.DomainSignedTx, raw), done: make(chan struct{})}
	if known, err := in.known(t, tx.Tx.ValidUntil); known != nil || err != nil {
		return nil, known, err
	}
	if err := in.checkWindow(tx.Tx.ValidUntil); err != nil {
		return nil, nil, err
	}
	return &pending{ticket: t, raw: bytes.Clone(raw), tx: exec.Tx{ID: t.ID, Signed: t.Signed, Body: tx}, validUntil: tx.Tx.ValidUntil}, nil, nil
}

// checkWindow refuses what could no longer, or not yet, be included. It speaks of these bytes as submitted now: an earlier
// submission may stand in a block that is still being decided.
func (in *Intake) checkWindow(validUntil ledger.Time) error {
	now := in.cfg.Chain.Now()
	in.mu.Lock()
	over := in.wall > validUntil
	in.mu.Unlock()
	switch {
	case validUntil < now && over:
		return ledger.Failf(ledger.CodeWindow, "valid_until %s has passed and the transaction can never take effect", validUntil)
	case validUntil < now:
		return ledger.Failf(ledger.CodeWindow, "valid_until %s has passed, it is %s; if the same bytes were submitted before they may still "+
			"take effect until a later block stands: ask for the id before signing anew", validUntil, now)
	case validUntil > now+ledger.TxWindowMax:
		return ledger.Failf(ledger.CodeWindow, "valid_until %s is more than %d minutes from now, %s: check this machine's clock",
			validUntil, ledger.TxWindowMax/ledger.Minute, now)
	}
	return nil
}

// known returns a ticket for a transaction that is under way or done, or nil.
func (in *Intake) known(t *Ticket, validUntil ledger.Time) (*Ticket, error) {
	in.mu.Lock()
	p := in.bySigned[t.Signed]
	in.mu.Unlock()
	if p != nil {
		return p.ticket, nil
	}
	if validUntil >= in.cfg.Chain.Now() && !in.cfg.Chain.Spent(t.ID) {
		return nil, nil
	}
	receipt, err := in.cfg.Chain.SpentBy(t.ID)
	if err != nil || receipt == nil {
		return nil, err
	}
	t.receipt = receipt
	close(t.done)
	return t, nil
}

// enqueue queues p, for which there is room.
func (in *Intake) enqueue(p *pending) (*Ticket, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.release(p)
	if in.closed {
		in.leave(p)
		return nil, ErrClosed
	}
	if other := in.bySigned[p.ticket.Signed]; other != nil {
		in.leave(p)
		return other.ticket, nil
	}
	in.bySigned[p.ticket.Signed] = p
	in.pendingBytes += len(p.raw)
	in.push(p)
	in.poke()
	return p.ticket, nil
}

func (in *Intake) checkRoom() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.room(0)
}

// reserve keeps room for a transaction while its signatures are verified, so that a full node spends no
// verification on what it refuses. release gives it back.
func (in *Intake) reserve(p *pending) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	err := in.room(len(p.raw))
	if err == nil {
		in.reserved++
		in.reservedBytes += len(p.raw)
	} else {
		in.leave(p)
	}
	return err
}

// release ends a reservation. The caller holds mu.
func (in *Intake) release(p *pending) {
	in.reserved--
	in.reservedBytes -= len(p.raw)
}

// room refuses a transaction of so many bytes if too much waits. The caller holds mu.
func (in *Intake) room(bytes int) error {
	waiting := len(in.bySigned) + in.reserved
	if waiting >= in.pace.limit(in.cfg.PendingMax) || in.pendingBytes+in.reservedBytes+bytes > in.cfg.PendingBytesMax {
		return ledger.Failf(ledger.CodeBusy, "%d transactions wait to be ordered; try again in a second, or at another node", waiting)
	}
	return nil
}

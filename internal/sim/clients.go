package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"time"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/intake"
	"aval/internal/sim/check"
	"aval/ledger"
	"aval/suite"
)

// pollEvery is how often a client looks for answers.
const pollEvery = 40 * time.Millisecond

// step makes the operations of one transaction and says who signs it. now is ledger time.
type step func(l *lane, now ledger.Time) ([]ledger.Op, []suite.Signer)

// lane is one client who does one step after another, each until it is known to have taken effect, as an honest client does: it
// submits the same bytes again wherever it likes, and signs anew only when the old bytes can never take effect.
type lane struct {
	c     *clients
	name  string
	steps []step
	// ids are those of the transactions that took effect, by step.
	ids []suite.Hash
	// careless clients sign anew as soon as a transaction has expired, though it may have taken effect.
	careless bool
	// finished is called once after the last step.
	finished func()
	// at is the one node that is used; nil: any.
	at *node

	raw        []byte
	id, signed suite.Hash
	validUntil ledger.Time
	asked      []asked
	patience   time.Time
	// nudged says that another transaction was made so that a later block comes.
	nudged bool
}

// asked is a transaction that was submitted to a node.
type asked struct {
	node   *node
	life   int
	ticket *intake.Ticket
}

// clients are all who use the network.
type clients struct {
	w     *world
	salt  uint64
	lanes []*lane
	// ready says that all parties have their accounts.
	ready bool
	// stop ends lanes that would go on for ever.
	stop bool
}

func newClients(w *world) *clients { return &clients{w: w} }

// add starts a lane.
func (c *clients) add(l *lane) *lane {
	l.c = c
	c.lanes = append(c.lanes, l)
	c.w.after(pollEvery, l.poll)
	return l
}

// done reports whether all lanes came to their ends.
func (c *clients) done() bool {
	for _, l := range c.lanes {
		if len(l.ids) < len(l.steps) {
			return false
		}
	}
	return c.ready
}

// time returns the newest ledger time that any running node knows.
func (c *clients) time() ledger.Time {
	at := start
	for _, n := range c.w.nodes {
		if n.up {
			at = max(at, n.chain.Head().Header.Time)
		}
	}
	return at
}

// wall returns the true wall time.
func (c *clients) wall() ledger.Time { return start + ledger.Time(c.w.now().Milliseconds()) }

// sign makes a transaction.
func (c *clients) sign(ops []ledger.Op, signers []suite.Signer, validUntil ledger.Time) (*ledger.SignedTx, []byte) {
	c.salt++
	tx := &ledger.SignedTx{Tx: ledger.Tx{Version: ledger.TxVersion, Network: c.w.cast.network, ValidUntil: validUntil, Ops: ops}}
	binary.BigEndian.PutUint64(tx.Tx.Salt[8:], c.salt)
	for _, s := range signers {
		if err := tx.Sign(c.w.suite, s); err != nil {
			c.w.judge.Report(check.Progress, "a client cannot sign: %v", err)
		}
	}
	return tx, codec.MustMarshal(tx)
}

// window returns how long the next transaction is valid.
func (c *clients) window() ledger.Time {
	if !c.w.healed && oneIn(c.w.story, 4) {
		return ledger.Time(spread(c.w.story, 800*time.Millisecond, 6*time.Second).Milliseconds())
	}
	return 5 * ledger.Minute
}

// poll looks for answers and submits.
func (l *lane) poll() {
	if len(l.ids) == len(l.steps) {
		return
	}
	if l.raw == nil {
		l.next()
	}
	l.listen()
	if l.raw != nil {
		l.insist()
	}
	if len(l.ids) < len(l.steps) {
		l.c.w.after(pollEvery, l.poll)
	} else if l.finished != nil {
		l.finished()
	}
}

// next makes the transaction of the present step.
func (l *lane) next() {
	ops, signers := l.steps[len(l.ids)](l, l.c.time())
	l.validUntil = l.c.wall() + l.c.window()
	var tx *ledger.SignedTx
	tx, l.raw = l.c.sign(ops, signers, l.validUntil)
	l.id, l.signed = tx.Tx.ID(l.c.w.suite), l.c.w.suite.Hash(ledger.DomainSignedTx, l.raw)
	l.asked, l.patience = nil, time.Time{}
	l.nudged = false
}

// over is a context that has ended: to look without waiting.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// listen takes what nodes answered. Those that may lie are not believed.
func (l *lane) listen() {
	for i := 0; i < len(l.asked) && l.raw != nil; i++ {
		a := &l.asked[i]
		receipt, err := a.ticket.Wait(over)
		switch {
		case errors.Is(err, context.Canceled): // no answer yet
		case a.node.life != a.life || a.node.doubtful() || errors.Is(err, intake.ErrClosed):
			l.asked = append(l.asked[:i], l.asked[i+1:]...)
			i--
		case errors.Is(err, intake.ErrNotIncluded):
			l.c.w.judge.ToldNever(a.node.index, l.id)
			l.c.w.counts["told never"]++
			l.raw = nil
		case err != nil:
			l.asked = append(l.asked[:i], l.asked[i+1:]...)
			i--
		default:
			l.c.w.judge.Answered(a.node.index, l.signed, receipt)
			l.answered(receipt)
		}
	}
}

// answered goes on after a receipt.
func (l *lane) answered(r *ledger.Receipt) {
	w := l.c.w
	w.note("answered", len(l.ids), int(r.Code), l.id[:])
	l.raw = nil
	switch r.Code {
	case ledger.CodeOK:
		w.counts["transactions"]++
		l.ids = append(l.ids, l.id)
	case ledger.CodeExpired, ledger.CodeClockAdvance: // it can be signed anew
	default:
		w.judge.Report(check.Acknowledged, "step %d of %s failed: %s: %s", len(l.ids), l.name, r.Code, r.Message)
		l.steps = l.steps[:len(l.ids)]
	}
}

// insist submits the transaction, and again elsewhere when an answer takes long. When it has expired for good it is given up.
func (l *lane) insist() {
	w := l.c.w
	now := w.clock.Now()
	if now.Before(l.patience) {
		return
	}
	if l.c.wall() > l.validUntil && (l.careless || l.expired()) {
		l.raw = nil
		return
	}
	if !l.nudged && l.c.wall() > l.validUntil+2*ledger.Second { // a later block must stand before one can be sure, and a quiet network makes none
		l.nudged = true
		l.c.add(l.c.nudge())
	}
	n := l.at
	if n == nil {
		n = w.nodes[w.story.IntN(len(w.nodes))]
	}
	l.patience = now.Add(spread(w.story, 400*time.Millisecond, 2*time.Second))
	if n.up && len(l.asked) < 8 {
		l.submit(n)
	}
}

// submit hands the transaction to a node.
func (l *lane) submit(n *node) {
	raw, life := l.raw, n.life
	n.do(func() {
		ticket, err := n.intake.Admit(raw)
		if err != nil {
			n.log.Debug("not admitted", slog.String("lane", l.name), slog.Any("error", err))
			return
		}
		if l.raw != nil && string(l.raw) == string(raw) {
			l.asked = append(l.asked, asked{n, life, ticket})
		}
	})
}

// expired reports whether the transaction can never take effect: a sound node has executed a later block and does not have it.
func (l *lane) expired() bool {
	for _, n := range l.c.w.nodes {
		if !n.up || n.excused() {
			continue
		}
		progress, _ := n.chain.Progress()
		if progress.Executed != progress.Committed || progress.Wall <= l.validUntil {
			continue
		}
		if _, err := n.chain.FindTx(l.id); errors.Is(err, chain.ErrNotFound) {
			l.c.w.judge.ToldNever(n.index, l.id)
			return true
		}
	}
	return false
}

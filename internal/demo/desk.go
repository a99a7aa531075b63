package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"aval/api"
	"aval/client"
	"aval/ledger"
	"aval/suite"
)

// desk makes, signs and submits transactions for the parties of one network.
type desk struct {
	net *network
	// front speaks to the gateway and, should that fail, to the validators; nodes speak to one node each, validators first.
	front *client.Client
	nodes []*client.Client
	// count counts submissions.
	mu    sync.Mutex
	count int
}

// newDesk returns the desk for nodes at these URLs, the last of which serves the public.
func newDesk(n *network, urls []string) (*desk, error) {
	d := &desk{net: n}
	config := client.Config{Genesis: n.file, AcceptLab: n.genesis.Clock == ledger.ClockLab, UserAgent: "aval-demo", BackoffMin: 20 * time.Millisecond}
	for _, u := range urls {
		config.Endpoints = []string{u}
		c, err := client.New(config)
		if err != nil {
			return nil, err
		}
		d.nodes = append(d.nodes, c)
	}
	config.Endpoints = append([]string{urls[len(urls)-1]}, urls[:len(urls)-1]...)
	var err error
	d.front, err = client.New(config)
	return d, err
}

// p returns a party by its alias.
func (d *desk) p(alias string) *party { return d.net.parties[alias] }

// act is one operation in a party's name.
type act struct {
	by   *party
	body ledger.Body
}

// as returns the operation body in the name of the party alias.
func (d *desk) as(alias string, body ledger.Body) act { return act{d.p(alias), body} }

// deal is a transaction in the making.
type deal struct {
	desk    *desk
	ops     []ledger.Op
	signers []suite.Signer
	seen    map[string]bool
	// via is the client to submit with; nil means the desk's front.
	via *client.Client
}

// deal makes a transaction of acts, signed by those who act: an admin where the party manages itself, else maker and checker.
func (d *desk) deal(acts ...act) *deal {
	t := d.unsigned(acts...)
	for _, a := range acts {
		info, _ := a.body.Kind().Info()
		if info.Class == ledger.ClassAdmin {
			t.sign(a.by.admin.signer)
		} else {
			t.cosign(a.by)
		}
	}
	return t
}

// unsigned makes a transaction of acts that nobody has signed.
func (d *desk) unsigned(acts ...act) *deal {
	t := &deal{desk: d, seen: map[string]bool{}}
	for _, a := range acts {
		t.ops = append(t.ops, ledger.NewOp(a.by.id, a.body))
	}
	return t
}

// sign adds signatures; a key signs once.
func (t *deal) sign(signers ...suite.Signer) *deal {
	for _, s := range signers {
		if k := string(s.Public()); !t.seen[k] {
			t.seen[k] = true
			t.signers = append(t.signers, s)
		}
	}
	return t
}

// cosign adds the signatures of maker and checker of parties.
func (t *deal) cosign(parties ...*party) *deal {
	for _, p := range parties {
		t.sign(p.maker.signer, p.checker.signer)
	}
	return t
}

// allKeys adds the signatures of every key of parties, which proves that somebody holds them.
func (t *deal) allKeys(parties ...*party) *deal {
	for _, p := range parties {
		for _, k := range p.keys() {
			t.sign(k.signer)
		}
	}
	return t
}

// at submits the transaction at one node only.
func (t *deal) at(c *client.Client) *deal {
	t.via = c
	return t
}

// done is a transaction that took effect, or was refused with a receipt.
type done struct {
	id     suite.Hash
	height ledger.Height
	suite  suite.Suite
}

// made returns the id of the n-th thing that operation op made.
func (d *done) made(op, n int) suite.Hash { return ledger.DerivedID(d.suite, d.id, op, n) }

// submitTimeout bounds one submission, a change of leader included.
const submitTimeout = 30 * time.Second

// submit signs and submits the transaction and waits for its receipt.
func (t *deal) submit(ctx context.Context) (*done, error) {
	c := t.via
	if c == nil {
		c = t.desk.front
	}
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	for {
		tx, err := c.NewTx(t.ops...)
		if err != nil {
			return nil, err
		}
		if err := c.Sign(tx, t.signers...); err != nil {
			return nil, err
		}
		out, err := t.desk.send(ctx, c, tx)
		if code, ok := client.CodeOf(err); ok && code == ledger.CodeClockAdvance && ctx.Err() == nil {
			continue // the clock is still moving; what is refused meanwhile leaves no trace
		}
		if out == nil {
			return nil, err
		}
		return &done{id: out.ID, height: out.Height, suite: t.desk.net.suite}, err
	}
}

func (d *desk) send(ctx context.Context, c *client.Client, tx *ledger.SignedTx) (*api.Outcome, error) {
	d.mu.Lock()
	d.count++
	d.mu.Unlock()
	return c.Submit(ctx, tx, api.WaitCommitted)
}

// sent returns how many transactions have been submitted.
func (d *desk) sent() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// together submits transactions at the same time and returns what became of them in their order.
func together(ctx context.Context, deals ...*deal) ([]*done, error) {
	out, errs := race(ctx, deals...)
	return out, errors.Join(errs...)
}

// race is together with an error for each.
func race(ctx context.Context, deals ...*deal) ([]*done, []error) {
	out, errs := make([]*done, len(deals)), make([]error, len(deals))
	var wg sync.WaitGroup
	for i, t := range deals {
		wg.Go(func() { out[i], errs[i] = t.submit(ctx) })
	}
	wg.Wait()
	return out, errs
}

// advance moves the lab clock to the given moment and waits until the gateway has seen it arrive, the work of all days on
// the way done.
func (d *desk) advance(ctx context.Context, to ledger.Time) error {
	t := &deal{desk: d, ops: []ledger.Op{ledger.NewOp("", &ledger.ClockAdvance{To: to})}, seen: map[string]bool{}}
	if _, err := t.sign(d.net.clock).submit(ctx); err != nil {
		return fmt.Errorf("advance the clock to %s: %w", to, err)
	}
	return poll(ctx, awaitTimeout, fmt.Sprintf("ledger time %s", to), func(ctx context.Context) (bool, error) {
		p, err := d.front.Party(ctx, d.p(authority).id)
		return err == nil && p.AsOf.Time >= to, err
	})
}

// awaitPoll is how often a condition is looked at, awaitTimeout how long.
const (
	awaitPoll    = 25 * time.Millisecond
	awaitTimeout = 30 * time.Second
)

// poll asks until the answer is true. The last error is reported if it never is.
func poll(ctx context.Context, timeout time.Duration, what string, ask func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(awaitPoll)
	defer tick.Stop()
	for {
		ok, err := ask(ctx)
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waited for %s: %w", what, ctx.Err()), err)
		case <-tick.C:
		}
	}
}

package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"aval/client"
	"aval/ledger"
)

// outageMax is how long the next commit may take after a validator was killed.
const outageMax = 4 * time.Second

// kill ends the leading validator as a power failure would, while transactions are under way, and measures how long the network
// needs to commit the next one.
func (p *play) kill(ctx context.Context) error {
	status, err := p.front.Status(ctx, 1)
	if err != nil {
		return err
	}
	p.victim = 0
	for i := range p.net.genesis.Validators {
		if p.net.nodeName(i) == status.Engine.Leader {
			p.victim = i
		}
	}
	name := p.net.nodeName(p.victim)
	extra := func(i int) *deal {
		return p.deal(p.as(baoli, p.register(sale{fmt.Sprintf("BL-2026-01%02d", i), baoli, hengxin, ledger.Fen(1000_00 + i)})))
	}
	var underWay []*deal
	for i := range p.nodes {
		if i != p.victim {
			underWay = append(underWay, extra(i).at(p.nodes[i]))
		}
	}
	var wg sync.WaitGroup
	errs := make([]error, 1)
	wg.Go(func() { _, errs[0] = together(ctx, underWay...) })
	if err := p.cluster.Nodes[p.victim].Kill(); err != nil {
		return err
	}
	began := time.Now()
	_, err = extra(50).submit(ctx)
	outage := time.Since(began)
	wg.Wait()
	if err := firstOf(err, errs[0]); err != nil {
		return fmt.Errorf("after %s was killed: %w", name, err)
	}
	p.outage = fmt.Sprintf("%s led and was killed; the next commit came after %s", name, outage.Round(10*time.Millisecond))
	if outage > outageMax {
		err = fmt.Errorf("%s, more than %s", p.outage, outageMax)
	}
	p.result.check("a killed validator does not stop the network", p.outage, err)
	p.out.say(dayFinance1, "%s, which led, is killed (kill -9); the next commit comes after %s", name, outage.Round(10*time.Millisecond))
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// revive starts the killed validator again and waits until it has caught up with what the gateway has now.
func (p *play) revive(ctx context.Context) error {
	before, err := p.front.NetworkInfo(ctx)
	if err != nil {
		return err
	}
	if err := p.cluster.Nodes[p.victim].Start(); err != nil {
		return err
	}
	began := time.Now()
	name := p.net.nodeName(p.victim)
	err = poll(ctx, awaitTimeout, name+" to catch up", func(ctx context.Context) (bool, error) {
		n, err := p.nodes[p.victim].NetworkInfo(ctx)
		return err == nil && n.Height >= before.Height, err
	})
	took := time.Since(began).Round(10 * time.Millisecond)
	p.result.check("a killed validator catches up", fmt.Sprintf("%s reached height %d within %s of its restart", name, before.Height, took), err)
	p.out.say(dayFinance2, "%s is started again and has caught up after %s", name, took)
	return nil
}

// settle waits until all nodes stand at one height with everything executed, and returns it.
func (d *desk) settle(ctx context.Context) (ledger.Height, error) {
	var height ledger.Height
	err := poll(ctx, awaitTimeout, "all nodes to stand at one height", func(ctx context.Context) (bool, error) {
		heights := make([]ledger.Height, len(d.nodes))
		err := d.everyNode(func(i int, c *client.Client) error {
			s, err := c.Status(ctx, 0)
			if err == nil {
				heights[i] = min(s.Heights.Committed, s.Heights.Executed)
			}
			return err
		})
		if err != nil {
			return false, err
		}
		for _, h := range heights {
			if h != heights[0] {
				return false, fmt.Errorf("heights are %v", heights)
			}
		}
		height = heights[0]
		return true, nil
	})
	return height, err
}

// everyNode runs fn for all nodes at the same time and names the node in an error.
func (d *desk) everyNode(fn func(i int, c *client.Client) error) error {
	errs := make([]error, len(d.nodes))
	var wg sync.WaitGroup
	for i, c := range d.nodes {
		wg.Go(func() {
			if err := fn(i, c); err != nil {
				errs[i] = fmt.Errorf("%s: %w", d.net.nodeName(i), err)
			}
		})
	}
	wg.Wait()
	return firstOf(errs...)
}

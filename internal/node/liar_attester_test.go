package node

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"aval/codec"
	"aval/internal/intake"
	"aval/internal/transport"
	"aval/ledger"
	"aval/suite"
)

// The liar here is a validator that is pushed batches and asked for them.

const liar = 3

// lie acknowledges a pushed batch as forge says, without looking at it.
func lie(c *cluster, push []byte, forge func(digest *suite.Hash, a *ledger.BatchAck)) ([]byte, error) {
	p, err := intake.DecodePush(push)
	if err != nil {
		return nil, err
	}
	head, _, err := ledger.ReadBatch(c.net.Suite, p.Body)
	if err != nil {
		return nil, err
	}
	digest := head.Digest(c.net.Suite)
	var changed ledger.BatchAck
	forge(&digest, &changed)
	a, err := acknowledge(c, liar, digest, true)
	if err != nil {
		return nil, err
	}
	if changed.Sig != nil {
		a.Sig = changed.Sig
	}
	if changed.Validator != 0 {
		a.Validator = changed.Validator
	}
	return codec.MustMarshal(a), nil
}

func hang(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A liar says of everything that it verified it, stores nothing, and when asked for a batch is silent, refuses, or sends
// another. Its word counts in certificates, and honest nodes that missed a batch get it from an honest holder.
func TestLiarAttesterWithholds(t *testing.T) {
	c := foundCluster(t, "intl", 4, 2)
	other, _ := c.scopeTx()
	rubbish := codec.MustMarshal(&ledger.Batch{Origin: c.net.Validators[liar].Public(), Txs: [][]byte{codec.MustMarshal(other)}})
	answers := []transport.CallHandler{
		hang,
		func(context.Context, transport.Peer, []byte) ([]byte, error) { return nil, errors.New("gone") },
		func(context.Context, transport.Peer, []byte) ([]byte, error) { return rubbish, nil },
		func(context.Context, transport.Peer, []byte) ([]byte, error) { return nil, nil },
	}
	var now atomic.Pointer[transport.CallHandler]
	var asked atomic.Int64
	now.Store(&answers[0])
	newPuppet(c, liar, ends{
		push: func(_ context.Context, _ transport.Peer, push []byte) ([]byte, error) {
			return lie(c, push, func(*suite.Hash, *ledger.BatchAck) {})
		},
		fetch: func(ctx context.Context, from transport.Peer, request []byte) ([]byte, error) {
			asked.Add(1)
			return (*now.Load())(ctx, from, request)
		},
	})
	origin := newPuppet(c, 5, ends{})
	c.startBut(liar, 5)
	c.meshed()
	origin.connect()
	c.until("the origin has a link to the liar", func() bool { return origin.links.Connected(origin.key(liar)) })
	end := c.traffic(0, 1, 2, 4)
	for k := range answers {
		now.Store(&answers[k])
		asked.Store(0)
		for count := 0; asked.Load() == 0 && count < 60; count++ { // whom a node asks first is up to chance
			tx, path := c.scopeTx()
			body, _ := origin.batch(codec.MustMarshal(tx))
			acks := origin.mustPush(body, true, 0, 2, liar) // validator 1 misses it
			origin.order(origin.certificate(body, acks...))
			c.awaitScope(1, path)
			c.tookEffect(1, tx)
		}
		if asked.Load() == 0 {
			t.Errorf("answer %d: the liar was never asked for a batch", k)
		}
	}
	end()
}

// A liar answers pushes with rubbish, with acknowledgements of something else or in another's name, or never. Nobody takes
// them for acknowledgements, nor waits for it longer than patience allows.
func TestLiarAttesterAnswersFalsely(t *testing.T) {
	c := foundCluster(t, "intl", 4, 1)
	forged := func(forge func(digest *suite.Hash, a *ledger.BatchAck)) transport.CallHandler {
		return func(_ context.Context, _ transport.Peer, push []byte) ([]byte, error) { return lie(c, push, forge) }
	}
	answers := []transport.CallHandler{
		hang,
		func(context.Context, transport.Peer, []byte) ([]byte, error) { return []byte("rubbish"), nil },
		func(context.Context, transport.Peer, []byte) ([]byte, error) { return make([]byte, 1<<20), nil },
		forged(func(digest *suite.Hash, _ *ledger.BatchAck) { digest[0] ^= 1 }),
		forged(func(_ *suite.Hash, a *ledger.BatchAck) { a.Sig = make([]byte, 64) }),
		forged(func(_ *suite.Hash, a *ledger.BatchAck) { a.Validator = 1 }),
	}
	var count atomic.Int64
	p := newPuppet(c, liar, ends{push: func(ctx context.Context, from transport.Peer, push []byte) ([]byte, error) {
		return answers[int(count.Add(1))%len(answers)](ctx, from, push)
	}})
	c.startBut(liar)
	c.meshed()
	p.connect()
	end := c.traffic(0, 1, 2, 4)
	c.until("every answer was given thrice", func() bool { return count.Load() >= int64(3*len(answers)) })
	end()
}

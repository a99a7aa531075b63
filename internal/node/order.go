package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"aval/codec"
	"aval/internal/consensus"
	"aval/internal/transport"
	"aval/ledger"
)

// links sends to validators by index.
type links struct{ n *Node }

// Send implements consensus.Links.
func (l links) Send(to uint16, message []byte) { l.n.sendTo(to, transport.Consensus, message) }

// SendRequest implements consensus.Links.
func (l links) SendRequest(to uint16, request []byte) { l.n.sendTo(to, transport.Request, request) }

func (n *Node) sendTo(to uint16, c transport.Channel, message []byte) {
	if int(to) >= len(n.cfg.Genesis.Validators) || int(to) == n.index {
		return
	}
	if err := n.links.Send(n.cfg.Genesis.Validators[to].Key, c, message); err != nil {
		n.log.Debug("message not sent", slog.String("to", n.cfg.Genesis.Validators[to].Name), slog.Any("channel", c), slog.Any("error", err))
	}
}

// order hands a batch to every validator: only the holder of a request complains when the leader lets it lie, so all of
// them must hold it.
func (n *Node) order(ctx context.Context, batch []byte, attempt int) error {
	if attempt == 0 && n.index >= 0 {
		if err := n.chain.Vouch(batch); err != nil {
			return err
		}
	}
	request := codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestBatch, Body: batch})
	sent := 0
	for i := range n.cfg.Genesis.Validators {
		if i == n.index {
			continue
		}
		if n.links != nil && n.links.Send(n.cfg.Genesis.Validators[i].Key, transport.Intake, request) == nil {
			sent++
		}
	}
	if n.index < 0 {
		if sent == 0 {
			return errors.New("no validator can be reached")
		}
		return nil
	}
	return n.submit(ctx, request)
}

// submit hands a request to this validator's engine; one that is ordered or pending already is no error.
func (n *Node) submit(ctx context.Context, request []byte) error {
	if err := n.engine.Submit(ctx, request); err != nil && !errors.Is(err, consensus.ErrDuplicate) {
		return err
	}
	return nil
}

// receiveBatch queues a batch from a peer. When too many wait it is dropped: its origin will send it again.
func (n *Node) receiveBatch(_ context.Context, from transport.Peer, request []byte) {
	select {
	case n.batches <- request:
	default:
		n.log.Warn("batch dropped, too many wait", slog.String("from", from.Name))
	}
}

// batchLoop verifies the batches that peers sent and submits them.
func (n *Node) batchLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case request := <-n.batches:
			id, err := n.chain.RequestID(request)
			if err == nil && !n.chain.Ordered(id) {
				err = n.submit(ctx, request)
			}
			if err != nil && ctx.Err() == nil {
				n.log.WarnContext(ctx, "batch from a peer not submitted", slog.Any("error", err))
			}
		}
	}
}

const (
	// tickDelay is how long after a block a validator waits for transactions before it asks for a block without any.
	tickDelay = 10 * time.Millisecond
	// tickPoll is how often due-date work is looked for in a quiet network, and a tick that got lost is sent again.
	tickPoll = time.Second
)

// tickLoop submits ticks while results stand uncertified or time-driven work is due. While blocks keep coming it waits:
// they certify what came before.
func (n *Node) tickLoop(ctx context.Context) error {
	timer := n.cfg.Clock.NewTimer(tickPoll)
	defer timer.Stop()
	for {
		_, changed := n.chain.Progress()
		tick, need, err := n.chain.NeedTick()
		if err != nil {
			return fmt.Errorf("node: %w", err)
		}
		if need && n.intake.Load().Pending() == 0 {
			if err := n.sendTick(ctx, tick); err != nil && ctx.Err() == nil {
				n.log.DebugContext(ctx, "tick not submitted", slog.Uint64("height", uint64(tick.Height)), slog.Any("error", err))
			}
		}
		timer.Reset(tickPoll)
		for quiet := false; !quiet; {
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C():
				quiet = true
			case <-changed:
				_, changed = n.chain.Progress()
				timer.Reset(tickDelay)
			}
		}
	}
}

func (n *Node) sendTick(ctx context.Context, tick ledger.Tick) error {
	request := codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestTick, Body: codec.MustMarshal(&tick)})
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return n.submit(ctx, request)
}

// followLoop keeps a gateway at the head of the network.
func (n *Node) followLoop(ctx context.Context) error {
	if err := n.catchup.Follow(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

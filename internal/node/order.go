package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"aval/codec"
	"aval/internal/consensus"
	"aval/internal/transport"
	"aval/ledger"
	"aval/suite"
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

// order hands an ordering request to every validator: only the holder of a request complains when the leader lets it lie, so
// all of them must hold it.
func (n *Node) order(ctx context.Context, request []byte) error {
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

// push hands a batch to another validator and returns its acknowledgement.
func (n *Node) push(ctx context.Context, validator uint16, push []byte) ([]byte, error) {
	if n.links == nil {
		return nil, errors.New("node: no links")
	}
	return n.links.Call(ctx, n.cfg.Genesis.Validators[validator].Key, transport.Push, push)
}

// serveBatch answers the digest of a batch with its bytes.
func (n *Node) serveBatch(_ context.Context, _ transport.Peer, request []byte) ([]byte, error) {
	var digest suite.Hash
	if len(request) != len(digest) {
		return nil, fmt.Errorf("node: a request for a batch of %d bytes", len(request))
	}
	copy(digest[:], request)
	return n.chain.BatchBytes(digest)
}

// fetchPatience is how long one peer is waited for before the next is asked too, so that one that is silent holds up nothing
// and one that is slow is not given up.
const fetchPatience = 400 * time.Millisecond

// fetchBatch asks the validators for a batch, first those that acknowledged it, until one sends what take accepts. It begins
// with a random one each time: whoever withholds batches cannot arrange to be the first.
func (n *Node) fetchBatch(ctx context.Context, digest suite.Hash, holders []uint16, take func(body []byte) error) error {
	order := n.askOrder(holders)
	if len(order) == 0 || n.links == nil {
		return errors.New("node: no validator could be asked")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		from uint16
		body []byte
		err  error
	}
	answers := make(chan answer, len(order)) // room for all: nobody who answers late is held up
	asked, open := 0, 0
	ask := func() {
		if asked == len(order) {
			return
		}
		i := order[asked]
		asked, open = asked+1, open+1
		go func() {
			body, err := n.links.Call(ctx, n.cfg.Genesis.Validators[i].Key, transport.Fetch, digest[:])
			answers <- answer{i, body, err}
		}()
	}
	var errs []error
	for ask(); open > 0; {
		select {
		case a := <-answers:
			open--
			if a.err == nil {
				a.err = take(a.body)
			}
			if a.err == nil {
				return nil
			}
			errs = append(errs, fmt.Errorf("%s: %w", n.cfg.Genesis.Validators[a.from].Name, a.err))
			ask()
		case <-n.cfg.Clock.After(fetchPatience):
			ask()
		}
	}
	return errors.Join(errs...)
}

// askOrder returns the validators beside this node in random order, those that hold a batch before the others.
func (n *Node) askOrder(holders []uint16) []uint16 {
	others := make([]uint16, len(n.cfg.Genesis.Validators))
	for i := range others {
		others[i] = uint16(i)
	}
	holders = slices.Clone(holders)
	for _, list := range [][]uint16{holders, others} {
		rand.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
	}
	var order []uint16
	for _, i := range slices.Concat(holders, others) {
		if int(i) < len(others) && int(i) != n.index && !slices.Contains(order, i) {
			order = append(order, i)
		}
	}
	return order
}

// submit hands a request to this validator's engine; one that is ordered or pending already is no error.
func (n *Node) submit(ctx context.Context, request []byte) error {
	if err := n.engine.Submit(ctx, request); err != nil && !errors.Is(err, consensus.ErrDuplicate) {
		return err
	}
	return nil
}

// refusedPause is how long a peer's next certificate waits after one that is not valid. Certificates of one peer are handled one
// after another, so that a flood of false ones costs this node little and other peers nothing.
const refusedPause = 50 * time.Millisecond

// receiveCertificate verifies a batch certificate of a peer and submits it. What finds no room its origin will send again.
func (n *Node) receiveCertificate(ctx context.Context, from transport.Peer, request []byte) {
	id, err := n.chain.RequestID(request)
	if err != nil {
		n.log.WarnContext(ctx, "batch certificate refused", slog.String("from", from.Name), slog.Any("error", err))
		select {
		case <-n.cfg.Clock.After(refusedPause):
		case <-ctx.Done():
		}
		return
	}
	if n.chain.Ordered(id) {
		return
	}
	if err := n.submit(ctx, request); err != nil && ctx.Err() == nil {
		n.log.WarnContext(ctx, "batch certificate of a peer not submitted", slog.String("from", from.Name), slog.Any("error", err))
	}
}

const (
	// tickDelay is how long after a block a validator waits for transactions before it asks for a block without any.
	tickDelay = 10 * time.Millisecond
	// tickPoll is how often due-date work is looked for in a quiet network, and a tick that got lost is sent again.
	tickPoll = time.Second
	// tickOverdue is how long after the newest block a tick is sent even if transactions wait.
	tickOverdue = ledger.Minute
)

// tickLoop submits ticks while results stand uncertified or time-driven work is due. While blocks keep coming, or transactions
// wait that will make one, it leaves it to those; but not if none came for tickOverdue.
func (n *Node) tickLoop(ctx context.Context) error {
	timer := n.cfg.Clock.NewTimer(tickPoll)
	defer timer.Stop()
	for {
		progress, changed := n.chain.Progress()
		tick, need, err := n.chain.NeedTick()
		if err != nil {
			return fmt.Errorf("node: %w", err)
		}
		if need && (n.intake.Load().Pending() == 0 || n.chain.Now()-progress.Wall > tickOverdue) {
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

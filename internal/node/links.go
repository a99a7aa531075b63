package node

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"aval/internal/catchup"
	"aval/internal/chain"
	"aval/internal/consensus"
	"aval/internal/consensus/bft"
	"aval/internal/consensus/solo"
	"aval/internal/intake"
	"aval/internal/transport"
	"aval/suite"
)

// openLinks opens the peer links and catch-up over them. A validator alone has none.
func (n *Node) openLinks() (err error) {
	var all, observers []transport.Peer
	for _, p := range n.cfg.Peers {
		all = append(all, transport.Peer{Key: p.Key, Name: p.Name, Address: p.Address})
	}
	for _, o := range n.cfg.Genesis.Observers {
		observers = append(observers, transport.Peer{Key: o.Key, Name: o.Name})
	}
	var sources []catchup.Peer
	for _, p := range n.cfg.Peers {
		if string(p.Key) == string(n.cfg.Self.Public()) {
			continue
		}
		n.peers = append(n.peers, p)
		sources = append(sources, catchup.Peer{Name: p.Name, Call: func(ctx context.Context, request []byte) ([]byte, error) {
			return n.links.Call(ctx, p.Key, transport.Catchup, request)
		}})
	}
	n.catchup, err = catchup.New(catchup.Config{Chain: n.chain, Snapshots: n.snapshots, Peers: sources, Clock: n.cfg.Clock, Logger: n.log})
	if err != nil {
		return err
	}
	if len(sources) == 0 && n.cfg.PeerListen == "" {
		return nil
	}
	cfg := transport.Config{Suite: n.cfg.Suite, Network: n.chain.Network(), Genesis: n.chain.Network(), Self: n.cfg.Self,
		Listen: n.cfg.PeerListen, Peers: all, Observers: observers, Clock: n.cfg.Clock, Logger: n.log, Registerer: n.registry}
	n.links, err = n.cfg.OpenLinks(cfg)
	if err != nil {
		return err
	}
	n.links.HandleCall(transport.Catchup, func(ctx context.Context, _ transport.Peer, request []byte) ([]byte, error) {
		return n.catchup.Serve(ctx, request)
	})
	n.links.HandleCall(transport.Fetch, n.serveBatch)
	if n.index >= 0 {
		attestor, door := intake.NewAttestor(n.chain, n.cfg.Self), newTurnstile(n.cfg.Clock)
		n.links.HandleCall(transport.Push, func(ctx context.Context, from transport.Peer, push []byte) ([]byte, error) {
			if !door.enter(from.Key) {
				return nil, errPushes
			}
			ack, err := attestor.Serve(ctx, from.Key, push)
			door.leave(from.Key, err != nil)
			return ack, err
		})
		n.links.Handle(transport.Consensus, n.receiveConsensus)
		n.links.Handle(transport.Request, n.receiveRequest)
		n.links.Handle(transport.Intake, n.receiveCertificate)
	}
	return nil
}

// openEngine starts ordering. Links open after the engine exists, so that no message finds none.
func (n *Node) openEngine() (err error) {
	switch {
	case n.index < 0:
	case len(n.cfg.Genesis.Validators) == 1:
		n.engine, err = solo.New(solo.Config{Suite: n.cfg.Suite, Signer: n.cfg.Self, Ledger: n.chain, Logger: n.log})
	default:
		n.engine, err = bft.New(bft.Config{Suite: n.cfg.Suite, Network: n.chain.Network(), Signer: n.cfg.Self, Ledger: n.chain,
			Links: links{n}, Syncer: n.catchup, Dir: n.cfg.path("engine"), Restored: n.cfg.Restored, Logger: n.log, Registerer: n.registry})
	}
	if err != nil {
		return fmt.Errorf("node: engine: %w", err)
	}
	if n.links != nil {
		err := n.links.Start(n.ctx)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("node: link.listen: another program listens on %s; stop it, or choose another address: %w", n.cfg.PeerListen, err)
		}
		if err != nil {
			return err
		}
	}
	if n.engine == nil {
		return nil
	}
	return n.engine.Start(n.ctx)
}

var (
	_ consensus.Ledger = (*chain.Chain)(nil)
	_ consensus.Links  = links{}
	_ consensus.Syncer = (*catchup.Catchup)(nil)
)

// receiveConsensus passes a message of the engine on.
func (n *Node) receiveConsensus(_ context.Context, from transport.Peer, message []byte) {
	if i, ok := n.validator(from.Key); ok {
		n.engine.Receive(i, message)
	}
}

// receiveRequest passes a forwarded request on.
func (n *Node) receiveRequest(_ context.Context, from transport.Peer, request []byte) {
	if i, ok := n.validator(from.Key); ok {
		n.engine.ReceiveRequest(i, request)
	}
}

func (n *Node) validator(key suite.PublicKey) (uint16, bool) {
	i, ok := indexOf(n.cfg.Genesis.Validators, key)
	return uint16(i), ok
}

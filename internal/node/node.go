package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"aval/internal/catchup"
	"aval/internal/chain"
	"aval/internal/consensus"
	"aval/internal/intake"
	"aval/internal/kv"
	"aval/internal/server"
	"aval/internal/snapshot"
	"aval/ledger"
)

// Node is one running node. Its methods are safe for concurrent use.
type Node struct {
	cfg      Config
	log      *slog.Logger
	index    int // among the validators; −1 on a gateway
	registry *prometheus.Registry
	started  time.Time

	blocks, state kv.Store
	chain         *chain.Chain
	links         Links
	catchup       *catchup.Catchup
	snapshots     *snapshot.Dir
	control       *control
	peers         []Peer // in the order of catchup's peers
	engine        consensus.Engine
	intake        atomic.Pointer[intake.Intake]
	server        *server.Server
	listener      net.Listener
	runs          bool   // it started; written before Start returns
	debug         string // address of runtime profiles, empty if there are none

	probes probes
	disk   disk
	// accusations says what proofs of false attestations were written, newest last.
	accusations atomic.Pointer[string]
	// tasks are the goroutines that end with ctx.
	ctx    context.Context
	cancel context.CancelCauseFunc
	tasks  sync.WaitGroup
	closed sync.Once
}

// Run starts a node, serves until ctx ends or the node breaks, and shuts it down in order. It returns nil after an
// orderly end that ctx asked for.
func Run(ctx context.Context, cfg Config) error {
	n, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	err = n.Wait()
	if errors.Is(err, errBehind) {
		if err := errors.Join(n.Close(), beginAgain(ctx, cfg)); err != nil {
			return err
		}
		return Run(ctx, cfg)
	}
	return errors.Join(err, n.Close())
}

// beginAgain replaces the data of a node that was left behind by a peer's snapshot.
func beginAgain(ctx context.Context, cfg Config) error {
	cfg.setDefaults()
	f, err := FetchSnapshot(ctx, cfg, "")
	if err != nil {
		return fmt.Errorf("%w: %w", errBehind, err)
	}
	_, err = RestoreSnapshot(ctx, cfg, f, true)
	return err
}

// Start starts a node. Whoever starts it closes it.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	if err := cfg.Suite.SelfTest(); err != nil {
		return nil, fmt.Errorf("node: the crypto self-test failed, this machine must not run a node: %w", err)
	}
	n := &Node{cfg: cfg, log: cfg.Logger, registry: prometheus.NewRegistry(), started: cfg.Clock.Now()}
	n.index = -1
	if i, ok := indexOf(cfg.Genesis.Validators, cfg.Self.Public()); ok {
		n.index = i
	}
	n.ctx, n.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { n.cancel(context.Canceled) })
	if err := n.start(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) start() error {
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := os.MkdirAll(n.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("node: data directory: %w", err)
	}
	for _, step := range []func() error{n.prepareData, n.openStores, n.listen, n.openChain, n.openSnapshots, n.openLinks, n.openEngine, n.settleRestored,
		n.openIntake, n.openServer, n.openDebug, n.openControl} {
		if err := step(); err != nil {
			return err
		}
	}
	n.task(n.probeLoop)
	n.task(n.diskLoop)
	if n.index >= 0 {
		n.task(n.tickLoop)
	} else {
		n.task(n.followLoop)
	}
	if n.cfg.SnapshotEvery > 0 {
		n.task(n.snapshotLoop)
	}
	if n.cfg.KeepHeights > 0 {
		n.task(n.pruneLoop)
	}
	if n.cfg.FetchSnapshot {
		n.task(n.behindLoop)
	}
	n.runs = true
	progress, _ := n.chain.Progress()
	n.log.Info("node runs", slog.String("name", n.cfg.Name), slog.String("role", string(n.cfg.Role)), slog.Any("network", n.chain.Network()),
		slog.Uint64("height", uint64(progress.Committed)), slog.String("http", n.HTTPAddr()), slog.Bool("lab", n.cfg.Genesis.Clock == ledger.ClockLab))
	return nil
}

// task runs fn until ctx ends; an error of fn stops the node.
func (n *Node) task(fn func(ctx context.Context) error) {
	n.tasks.Add(1)
	go func() {
		defer n.tasks.Done()
		if err := fn(n.ctx); err != nil && n.ctx.Err() == nil {
			n.cancel(err)
		}
	}()
}

func (n *Node) openStores() (err error) {
	blocks, state := n.cfg.path("blocks"), n.cfg.path("state")
	n.blocks, err = n.cfg.OpenStore(kv.PebbleConfig{Dir: blocks, CacheBytes: n.cfg.CacheBytes, MemTableBytes: 8 << 20,
		OnDamage: func(err error) { n.cancel(fmt.Errorf("node: stopped so as to serve nothing that is damaged: %w", err)) }})
	if err == nil {
		n.state, err = n.cfg.OpenLog(kv.LogConfig{Dir: state})
	}
	if errors.Is(err, kv.ErrInUse) {
		return fmt.Errorf("node: another process uses %s; stop it, or give this node a data directory of its own: %w", n.cfg.DataDir, err)
	}
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	return nil
}

func (n *Node) openChain() (err error) {
	n.chain, err = chain.Open(chain.Config{
		Genesis: n.cfg.Genesis, Suite: n.cfg.Suite, Blocks: n.blocks, State: n.state, Clock: n.cfg.Clock,
		Logger: n.log, Registerer: n.registry, Fetch: n.fetchBatch,
		Audit: n.cfg.Audit, OnFalseAttestation: n.keepAccusation,
		OnBroken: func(err error) { n.cancel(fmt.Errorf("node: stopped so as not to diverge: %w", err)) },
		OnExecuted: func(h *ledger.Header, receipts []ledger.Receipt) {
			if in := n.intake.Load(); in != nil {
				in.Executed(h, receipts)
			}
		},
	})
	return err
}

func (n *Node) openIntake() error {
	in, err := intake.New(intake.Config{Chain: n.chain, Signer: n.cfg.Self, Push: n.push, Order: n.order, Known: newKnown(n.chain).is, Clock: n.cfg.Clock,
		Logger: n.log, BatchAge: n.cfg.BatchAge, PendingMax: n.cfg.PendingMax, Registerer: n.registry})
	if err != nil {
		return err
	}
	n.intake.Store(in)
	return nil
}

func (n *Node) openServer() (err error) {
	n.server, err = server.New(server.Config{Chain: n.chain, Intake: n.intake.Load(), Status: n.Status, Registry: n.registry,
		Logger: n.log, Version: n.cfg.Version})
	if err != nil {
		return err
	}
	if n.listener != nil {
		n.task(func(context.Context) error { return n.server.Serve(n.listener) })
	}
	return nil
}

// listen takes the address of the HTTP server early, so that a node which cannot have it disturbs no peer.
func (n *Node) listen() (err error) {
	n.listener = n.cfg.HTTPListener
	if n.listener == nil && n.cfg.HTTPListen != "" {
		n.listener, err = new(net.ListenConfig).Listen(n.ctx, "tcp", n.cfg.HTTPListen)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("node: http.listen: another program listens on %s; stop it, or choose another address: %w", n.cfg.HTTPListen, err)
	}
	if err != nil {
		return fmt.Errorf("node: http.listen: %w", err)
	}
	return nil
}

// HTTPAddr returns the address of the HTTP server, empty if there is none.
func (n *Node) HTTPAddr() string {
	if n.listener == nil {
		return ""
	}
	return n.listener.Addr().String()
}

// Chain returns the node's copy of the ledger, which ends with the node.
func (n *Node) Chain() *chain.Chain { return n.chain }

// Intake returns what admits transactions on this node, which ends with the node.
func (n *Node) Intake() *intake.Intake { return n.intake.Load() }

// Wait returns when the node has been asked to stop, with nil, or has broken, with the reason.
func (n *Node) Wait() error {
	<-n.ctx.Done()
	if cause := context.Cause(n.ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// shutdownTimeout bounds how long open HTTP requests may take to end.
const shutdownTimeout = 10 * time.Second

// Close stops the node in the reverse order of its start. It is idempotent.
func (n *Node) Close() (err error) {
	n.closed.Do(func() { err = n.close() })
	return err
}

func (n *Node) close() error {
	var errs []error
	n.cancel(context.Canceled)
	if n.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		errs = append(errs, n.server.Shutdown(ctx))
		cancel()
	} else if n.listener != nil {
		errs = append(errs, n.listener.Close())
	}
	errs = append(errs, n.control.close())
	if in := n.intake.Load(); in != nil {
		errs = append(errs, in.Close())
	}
	if n.engine != nil {
		n.engine.Stop()
	}
	if n.links != nil {
		errs = append(errs, n.links.Close())
	}
	n.tasks.Wait()
	if n.snapshots != nil {
		errs = append(errs, n.snapshots.Close())
	}
	if n.chain != nil {
		errs = append(errs, n.chain.Close())
	}
	for _, s := range []kv.Store{n.state, n.blocks} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if n.runs {
		n.log.Info("node stopped", slog.String("name", n.cfg.Name))
	}
	return errors.Join(errs...)
}

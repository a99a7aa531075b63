package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aval/internal/chain"
	"aval/internal/kv"
	"aval/internal/snapshot"
	"aval/internal/state"
	"aval/ledger"
)

// Snapshot is one that a node made.
type Snapshot struct {
	Path   string        `json:"path"`
	Height ledger.Height `json:"height"`
	Root   string        `json:"root"`
	Leaves uint64        `json:"leaves,string"`
	Chunks int           `json:"chunks"`
	Bytes  uint64        `json:"bytes,string"`
}

// ErrBusy reports that a snapshot, a backup or a prune is under way already.
var ErrBusy = errors.New("node: a snapshot, a backup or a prune is under way; try again when it has ended")

// Offline opens the stores of a node that is not running, does fn, and closes them. The node has no links, engine or server. cfg needs
// no key.
func Offline(ctx context.Context, cfg Config, fn func(n *Node) error) (err error) {
	cfg.setDefaults()
	n := &Node{cfg: cfg, log: cfg.Logger, index: -1, registry: prometheus.NewRegistry()}
	if cfg.Role != RoleGateway {
		n.index = 0 // of whichever validator: what it may prune depends on it
	}
	n.ctx, n.cancel = context.WithCancelCause(ctx)
	defer func() { err = errors.Join(err, n.close()) }()
	for _, step := range []func() error{n.openStores, n.openChain, n.openSnapshots} {
		if err := step(); err != nil {
			if errors.Is(err, kv.ErrInUse) {
				return ErrRunning
			}
			return err
		}
	}
	return fn(n)
}

func (n *Node) openSnapshots() (err error) {
	n.snapshots, err = snapshot.OpenDir(n.cfg.path(SnapshotsDir))
	return err
}

// CreateSnapshot makes a snapshot of the newest certified height with writes, to be offered to peers, and removes older ones.
func (n *Node) CreateSnapshot(ctx context.Context) (*Snapshot, error) {
	f, err := n.chain.Freeze()
	if err != nil {
		return nil, busy(err)
	}
	return n.writeSnapshot(ctx, f)
}

func busy(err error) error {
	if errors.Is(err, state.ErrFrozen) {
		return ErrBusy
	}
	return err
}

func (n *Node) writeSnapshot(ctx context.Context, f *chain.Frozen) (*Snapshot, error) {
	defer f.Release()
	begin := n.cfg.Clock.Now()
	if err := f.Settle(ctx); err != nil {
		return nil, err
	}
	path, m, err := n.snapshots.Create(ctx, n.cfg.Suite, f)
	if err != nil {
		return nil, err
	}
	n.log.InfoContext(ctx, "snapshot made", slog.Uint64("height", uint64(m.Height)), slog.Uint64("bytes", m.Bytes()),
		slog.Duration("took", n.cfg.Clock.Now().Sub(begin)))
	return describe(path, m), n.snapshots.Keep(n.cfg.KeepSnapshots)
}

func describe(path string, m *snapshot.Manifest) *Snapshot {
	return &Snapshot{Path: path, Height: m.Height, Root: m.Header.StateRoot.String(), Leaves: m.Leaves, Chunks: len(m.Chunks), Bytes: m.Bytes()}
}

// Snapshots lists the snapshots in a data directory, oldest first.
func Snapshots(dataDir string) ([]Snapshot, error) {
	d := snapshot.At(filepath.Join(dataDir, SnapshotsDir))
	heights, err := d.Heights()
	if err != nil {
		return nil, err
	}
	out := []Snapshot{}
	for _, h := range heights {
		f, err := snapshot.OpenFile(d.Path(h))
		if err != nil {
			return nil, err
		}
		out = append(out, *describe(d.Path(h), f.Manifest()))
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// snapshotLoop makes a snapshot of the first height with writes after every multiple of so many heights. All nodes with the same
// setting choose the same heights, so that their peers may take chunks from any of them.
func (n *Node) snapshotLoop(ctx context.Context) error {
	every := ledger.Height(n.cfg.SnapshotEvery)
	p, _ := n.chain.Progress()
	at := (p.Proven/every + 1) * every
	for {
		p, changed := n.chain.Progress()
		if p.Proven >= at {
			f, err := n.chain.FreezeFrom(at)
			switch {
			case err == nil:
				at = (f.Height()/every + 1) * every
				if _, err := n.writeSnapshot(ctx, f); err != nil && ctx.Err() == nil {
					n.log.WarnContext(ctx, "no snapshot made", slog.Uint64("height", uint64(f.Height())), slog.Any("error", err))
				}
				continue
			case !errors.Is(err, chain.ErrNotProven) && !errors.Is(err, state.ErrFrozen):
				return fmt.Errorf("node: snapshot: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// ErrRetained reports a validator of a network whose genesis has validators keep every payload.
var ErrRetained = errors.New("node: the genesis has validators keep every block (retain_heights 0); prune gateways, or make this node one")

// Prune drops old blocks with their batches and receipts, see chain.Prune. A validator keeps as many heights as the genesis asks
// for at least, and every node those above its oldest snapshot, so that whoever begins from that can go on.
func (n *Node) Prune(ctx context.Context, keepHeights uint64) (*chain.Pruned, error) {
	r := chain.Retention{Heights: max(keepHeights, 1)}
	if n.index >= 0 {
		retain := n.cfg.Genesis.Params.RetainHeights
		if retain == 0 {
			return nil, ErrRetained
		}
		r.Heights = max(r.Heights, retain)
	}
	heights, err := n.snapshots.Heights()
	if err != nil {
		return nil, err
	}
	if len(heights) > 0 {
		r.From = heights[0] + 1
	}
	out, err := n.chain.Prune(ctx, r)
	if err != nil {
		return nil, busy(err)
	}
	return &out, nil
}

// pruneEvery is how often a node that keeps so many heights looks what it may drop.
const pruneEvery = time.Minute

// pruneLoop keeps the number of heights that the configuration asks for.
func (n *Node) pruneLoop(ctx context.Context) error {
	timer := n.cfg.Clock.NewTimer(pruneEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		}
		_, err := n.Prune(ctx, n.cfg.KeepHeights)
		switch {
		case errors.Is(err, ErrRetained):
			n.log.WarnContext(ctx, "keep_heights has no effect", slog.Any("error", err))
			return nil
		case err != nil && !errors.Is(err, ErrBusy) && ctx.Err() == nil:
			return fmt.Errorf("node: prune: %w", err)
		}
		timer.Reset(pruneEvery)
	}
}

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"aval/internal/catchup"
	"aval/internal/chain"
	"aval/internal/kv"
	"aval/internal/snapshot"
	"aval/internal/state"
	"aval/internal/transport"
	"aval/ledger"
)

// What stands in a data directory beside the engine's log.
const (
	blocksDir = "blocks"
	stateDir  = "state"
	// SnapshotsDir holds the snapshots that the node made and offers to its peers.
	SnapshotsDir = "snapshots"
	// restoringDir holds what a restore has so far; restoredDir is a complete one that only has to be moved into place.
	restoringDir = "restoring"
	restoredDir  = "restored"
	// restoredMark says that the data came from elsewhere: a validator that starts with it observes before it votes.
	restoredMark = "restored.mark"
)

// ErrHasData reports a data directory that is not empty, so that a restore would lose what is in it.
var ErrHasData = errors.New("node: the data directory has blocks already")

// Restored says where a node begins.
type Restored struct {
	// Height is the newest height whose state was restored, Root its state root; Committed is the newest block, up to which
	// everything was executed.
	Height    ledger.Height `json:"height"`
	Root      string        `json:"root"`
	Committed ledger.Height `json:"committed"`
}

// RestoreSnapshot restores a node that is not running from a snapshot, which it verifies first. cfg needs no key. With replace, what
// is in its data directory is lost, the engine's log aside.
func RestoreSnapshot(ctx context.Context, cfg Config, src snapshot.Source, replace bool) (*Restored, error) {
	cfg.setDefaults()
	return cfg.restore(ctx, replace, func(dir string) error {
		return cfg.withStores(dir, func(c chain.Config) error { return snapshot.Restore(ctx, c, src) })
	})
}

// FetchSnapshot fetches and verifies the newest snapshot that a peer has, or the named peer alone. Chunks that were fetched before
// are used again. The node must not be running.
func FetchSnapshot(ctx context.Context, cfg Config, peer string) (*catchup.Fetched, error) {
	cfg.setDefaults()
	network := cfg.Genesis.NetworkID(cfg.Suite)
	tc := transport.Config{Suite: cfg.Suite, Network: network, Genesis: network, Self: cfg.Self, Clock: cfg.Clock, Logger: cfg.Logger}
	var links Links
	var sources []catchup.Peer
	for _, p := range cfg.Peers {
		tc.Peers = append(tc.Peers, transport.Peer{Key: p.Key, Name: p.Name, Address: p.Address})
		if string(p.Key) == string(cfg.Self.Public()) || peer != "" && p.Name != peer {
			continue
		}
		sources = append(sources, catchup.Peer{Name: p.Name, Call: func(ctx context.Context, request []byte) ([]byte, error) {
			return links.Call(ctx, p.Key, transport.Catchup, request)
		}})
	}
	if peer != "" && len(sources) == 0 {
		return nil, fmt.Errorf("node: the configuration has no peer %q", peer)
	}
	links, err := cfg.OpenLinks(tc)
	if err != nil {
		return nil, err
	}
	if err := links.Start(ctx); err != nil {
		return nil, errors.Join(err, links.Close())
	}
	cfg.awaitLinks(ctx, links, peer)
	f, err := catchup.FetchSnapshot(ctx, catchup.SnapshotConfig{Genesis: cfg.Genesis, Suite: cfg.Suite, Peers: sources,
		Dir: cfg.path(restoringDir), Clock: cfg.Clock, Logger: cfg.Logger})
	if cerr := links.Close(); cerr != nil {
		return nil, errors.Join(err, cerr)
	}
	return f, err
}

// How long links to the peers are waited for before those that stand are asked alone: linksPatience, or stragglersPatience from when
// two thirds stand.
const (
	linksPatience      = 3 * time.Second
	stragglersPatience = time.Second
)

func (c *Config) awaitLinks(ctx context.Context, links Links, peer string) {
	deadline, tick := c.Clock.After(linksPatience), c.Clock.NewTimer(0)
	defer tick.Stop()
	var stragglers <-chan time.Time
	for {
		wanted, linked := 0, 0
		for _, p := range c.Peers {
			if string(p.Key) == string(c.Self.Public()) || peer != "" && p.Name != peer {
				continue
			}
			if wanted++; links.Connected(p.Key) {
				linked++
			}
		}
		if linked == wanted {
			return
		}
		if stragglers == nil && linked >= wanted-wanted/3 {
			stragglers = c.Clock.After(stragglersPatience)
		}
		select {
		case <-deadline:
			return
		case <-stragglers:
			return
		case <-ctx.Done():
			return
		case <-tick.C():
			tick.Reset(10 * time.Millisecond)
		}
	}
}

// withStores opens the stores below dir, which are made, and closes them after fn.
func (c *Config) withStores(dir string, fn func(chain.Config) error) (err error) {
	blocks, err := c.OpenStore(kv.PebbleConfig{Dir: filepath.Join(dir, blocksDir), CacheBytes: c.CacheBytes, MemTableBytes: 8 << 20})
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	defer func() { err = errors.Join(err, blocks.Close()) }()
	log, err := c.OpenLog(kv.LogConfig{Dir: filepath.Join(dir, stateDir)})
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return fn(chain.Config{Genesis: c.Genesis, Suite: c.Suite, Blocks: blocks, State: log, Clock: c.Clock, Logger: c.Logger})
}

// restore has fill make stores in a folder, opens them as a node would, and puts them in the place of what is there. A crash leaves
// the old data, or the new; a restore that a crash interrupted is finished by the next start.
func (c *Config) restore(ctx context.Context, replace bool, fill func(dir string) error) (*Restored, error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if err := completeRestore(c.DataDir); err != nil {
		return nil, err
	}
	if err := c.checkReplaced(replace); err != nil {
		return nil, err
	}
	dir := c.path(restoringDir)
	for _, name := range []string{blocksDir, stateDir} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("node: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if err := fill(dir); err != nil {
		return nil, err
	}
	out, err := c.checkRestored(ctx, dir)
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.RemoveAll(filepath.Join(dir, chunksDir)), syncDir(dir))
	if err == nil {
		err = os.Rename(dir, c.path(restoredDir))
	}
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return out, completeRestore(c.DataDir)
}

// chunksDir is where catch-up keeps the chunks of a snapshot, below restoringDir.
const chunksDir = "chunks"

// checkReplaced refuses to replace the data of a node that runs, or any without being told to.
func (c *Config) checkReplaced(replace bool) error {
	_, err := os.Stat(c.path(blocksDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	err = c.withStores(c.DataDir, func(chain.Config) error { return nil })
	if errors.Is(err, kv.ErrInUse) {
		return ErrRunning
	}
	if !replace {
		return fmt.Errorf("%w: %s", ErrHasData, c.DataDir)
	}
	return nil // damaged or not, it goes
}

// checkRestored opens restored stores as a node would: that compares the state with its root and executes what follows.
func (c *Config) checkRestored(ctx context.Context, dir string) (out *Restored, err error) {
	err = c.withStores(dir, func(cc chain.Config) (err error) {
		s, err := state.Open(state.Config{Store: cc.State, Suite: cc.Suite})
		if err != nil {
			return err
		}
		root, err := s.Root(s.Height())
		if err != nil {
			return err
		}
		out = &Restored{Height: ledger.Height(s.Height()), Root: root.String()}
		ch, err := chain.Open(cc)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ch.Close()) }()
		p, _ := ch.Progress()
		out.Committed = p.Committed
		return errors.Join(ch.Broken(), ctx.Err())
	})
	return out, err
}

// completeRestore moves a complete restore into place, if there is one. It may be repeated after a crash anywhere.
func completeRestore(dataDir string) error {
	from := filepath.Join(dataDir, restoredDir)
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	err := os.WriteFile(filepath.Join(dataDir, restoredMark), []byte("This data was restored. The node's next start takes note and removes this file.\n"), 0o600)
	for _, name := range []string{blocksDir, stateDir} {
		if _, serr := os.Stat(filepath.Join(from, name)); err != nil || errors.Is(serr, fs.ErrNotExist) {
			continue // moved before a crash
		}
		to := filepath.Join(dataDir, name)
		if err = os.RemoveAll(to); err == nil {
			err = os.Rename(filepath.Join(from, name), to)
		}
	}
	if err == nil {
		err = syncDir(dataDir)
	}
	if err == nil {
		err = errors.Join(os.RemoveAll(from), syncDir(dataDir))
	}
	if err != nil {
		return fmt.Errorf("node: restore: %w", err)
	}
	return nil
}

// syncDir makes the names in a folder durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// prepareData finishes a restore that was interrupted, begins from a peer's snapshot where the operator allows it and there is no
// block yet, and finds out whether the data came from elsewhere.
func (n *Node) prepareData() error {
	if err := completeRestore(n.cfg.DataDir); err != nil {
		return err
	}
	if _, err := os.Stat(n.cfg.path(blocksDir)); errors.Is(err, fs.ErrNotExist) && n.cfg.FetchSnapshot && len(n.cfg.Peers) > 0 {
		if err := n.beginFromPeers(); err != nil {
			return err
		}
	}
	if _, err := os.Stat(n.cfg.path(restoredMark)); err == nil {
		n.cfg.Restored = true
	}
	return nil
}

// beginFromPeers restores the newest snapshot of a peer. If none has one the node begins with the genesis.
func (n *Node) beginFromPeers() error {
	f, err := FetchSnapshot(n.ctx, n.cfg, "")
	if errors.Is(err, catchup.ErrNoSnapshot) && n.ctx.Err() == nil {
		n.log.Info("no snapshot to begin from", slog.Any("error", err))
		return os.RemoveAll(n.cfg.path(restoringDir))
	}
	if err != nil {
		return err
	}
	out, err := RestoreSnapshot(n.ctx, n.cfg, f, false)
	if err != nil {
		return err
	}
	n.log.Info("restored from a peer's snapshot", slog.Uint64("height", uint64(out.Height)), slog.String("root", out.Root))
	return nil
}

// settleRestored forgets that the data was restored, once the engine has it on its own record.
func (n *Node) settleRestored() error {
	if !n.cfg.Restored {
		return nil
	}
	if err := os.Remove(n.cfg.path(restoredMark)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("node: %w", err)
	}
	return nil
}

// errBehind reports that the blocks this node needs can be had from nobody, and that it may begin from a snapshot instead.
var errBehind = errors.New("node: the peers have pruned the blocks that this node needs; it begins from a snapshot")

// behindEvery is how often a node looks whether it was left behind, behindTimes how many times in a row it must be so.
const (
	behindEvery = 2 * time.Second
	behindTimes = 3
)

// behindLoop ends the node if it was left behind and may begin from a snapshot.
func (n *Node) behindLoop(ctx context.Context) error {
	timer := n.cfg.Clock.NewTimer(behindEvery)
	defer timer.Stop()
	for times := 0; times < behindTimes; times++ {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		}
		if n.catchup.Pruned() == 0 {
			times = -1
		}
		timer.Reset(behindEvery)
	}
	return errBehind
}

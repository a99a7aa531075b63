package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"aval/internal/consensus/bft"
	"aval/internal/kv"
	"aval/ledger"
	"aval/suite"
)

// Inspection is what the data directory of a node that is not running holds.
type Inspection struct {
	// Empty says that the node has not run yet.
	Empty     bool          `json:"empty"`
	Committed ledger.Height `json:"committed"`
	Executed  ledger.Height `json:"executed"`
	// Wall is the wall time of the newest block.
	Wall ledger.Time `json:"wall"`
	// Engine is what the engine's folder holds; nil on a node without that engine.
	Engine *bft.Inspection `json:"engine"`
}

// ErrRunning reports a data directory that a running node uses.
var ErrRunning = errors.New("node: a running node uses this data directory")

// Inspect opens the stores of a node that is not running as its start would, executes what was committed and not executed, and
// closes them. cfg needs no key: Self may be nil.
func Inspect(ctx context.Context, cfg Config) (out *Inspection, err error) {
	if _, err := os.Stat(cfg.path("blocks")); errors.Is(err, fs.ErrNotExist) {
		return &Inspection{Empty: true}, nil
	}
	cfg.setDefaults()
	cfg.Logger = slog.New(slog.DiscardHandler)
	n := &Node{cfg: cfg, log: cfg.Logger, index: -1, registry: prometheus.NewRegistry()}
	n.ctx, n.cancel = context.WithCancelCause(ctx)
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.openStores(); err != nil {
		if errors.Is(err, kv.ErrInUse) {
			return nil, ErrRunning
		}
		return nil, err
	}
	if err := n.openChain(); err != nil {
		return nil, err
	}
	progress, _ := n.chain.Progress()
	out = &Inspection{Committed: progress.Committed, Executed: progress.Executed, Wall: progress.Wall}
	if cfg.Role == RoleValidator {
		epoch, _ := n.chain.Epoch()
		if out.Engine, err = bft.Inspect(cfg.Suite, cfg.path("engine"), epoch, progress.Committed); err != nil {
			return nil, fmt.Errorf("node: %w", err)
		}
	}
	return out, n.chain.Broken()
}

// LoadGenesis reads a genesis file and returns what it holds with its crypto suite.
func LoadGenesis(path string) (*ledger.Genesis, suite.Suite, error) { return loadGenesis(path) }

package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"aval/internal/clock"
	"aval/internal/kv"
	"aval/internal/transport"
	"aval/ledger"
	"aval/suite"
)

// Role says what a node does.
type Role string

// The roles.
const (
	// RoleValidator orders, verifies and executes.
	RoleValidator Role = "validator"
	// RoleGateway follows, verifies every certificate, executes and serves.
	RoleGateway Role = "gateway"
	// RoleDev is a validator alone in its network, with the solo engine.
	RoleDev Role = "dev"
)

// Peer is another node's place.
type Peer struct {
	Name    string
	Key     suite.PublicKey
	Address string // host:port
}

// Config is what a node needs.
type Config struct {
	// Name is for people: logs, status.
	Name    string
	Role    Role
	Genesis *ledger.Genesis
	Suite   suite.Suite
	// Self is the node key; the genesis names it among the validators or the observers, by Role.
	Self suite.Signer
	// DataDir holds the stores and the engine's log.
	DataDir string
	// PeerListen is the address of the peer link; empty for a gateway that only dials.
	PeerListen string
	// HTTPListen is the address of the HTTP server; empty for none.
	HTTPListen string
	// HTTPListener is used instead of HTTPListen if it is set.
	HTTPListener net.Listener
	// DebugListen is the address of runtime profiles, on loopback; empty for none.
	DebugListen string
	// Audit verifies every signature of every block again and keeps proofs of false attestations in DataDir.
	Audit bool
	// Peers are the addresses of the validators.
	Peers []Peer
	// Version is shown in status.
	Version string
	// BatchAge closes a batch while others are under way. Default: the intake's.
	BatchAge time.Duration
	// PendingMax bounds the transactions admitted and not yet executed. Default: the intake's.
	PendingMax int
	// Clock defaults to the machine's, Logger to slog.Default().
	Clock  clock.Clock
	Logger *slog.Logger
	// CacheBytes is the cache of the store of blocks. Default 8 MiB.
	CacheBytes int64
	// Restored says that the data came from elsewhere, a snapshot or a backup: a validator observes before it votes. A restore leaves
	// word of it, so that this is needed only if the data was restored by other means.
	Restored bool
	// FetchSnapshot lets the node begin from a snapshot of a peer: when it has no block yet, and when its peers have pruned the blocks
	// that it needs. It is verified like blocks, but the node will not have what happened before.
	FetchSnapshot bool
	// SnapshotEvery makes a snapshot every so many heights, 0: only when asked. KeepSnapshots is how many are kept. Default 2.
	SnapshotEvery uint64
	KeepSnapshots int
	// KeepHeights is how many heights of blocks are kept, 0: all. See Prune.
	KeepHeights uint64
	// Control serves the node's operator on loopback, see controlFile.
	Control bool
	// OpenLinks makes the links to peers. Default: transport.New.
	OpenLinks func(transport.Config) (Links, error)
	// OpenStore opens the store of blocks, in a folder. Default: kv.OpenPebble.
	OpenStore func(kv.PebbleConfig) (kv.Store, error)
	// OpenLog opens the store of the state's log, in a folder. Default: kv.OpenLog.
	OpenLog func(kv.LogConfig) (kv.Store, error)
}

// Links are a node's links to its peers, with the promises of the methods of *transport.Transport, which implements it.
type Links interface {
	Handle(c transport.Channel, fn transport.MessageHandler)
	HandleCall(c transport.Channel, fn transport.CallHandler)
	Start(ctx context.Context) error
	Close() error
	Send(to suite.PublicKey, c transport.Channel, message []byte) error
	Call(ctx context.Context, to suite.PublicKey, c transport.Channel, request []byte) ([]byte, error)
	Connected(key suite.PublicKey) bool
	Status() []transport.PeerStatus
}

var _ Links = (*transport.Transport)(nil)

func openTransport(cfg transport.Config) (Links, error) {
	t, err := transport.New(cfg)
	if err != nil {
		return nil, err // not t: a nil *Transport in the interface would not be nil
	}
	return t, nil
}

func openPebble(cfg kv.PebbleConfig) (kv.Store, error) {
	p, err := kv.OpenPebble(cfg)
	if err != nil {
		return nil, err // likewise
	}
	return p, nil
}

func openLog(cfg kv.LogConfig) (kv.Store, error) {
	l, err := kv.OpenLog(cfg)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Validate reports every problem of c at once.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("node: "+format, args...)) }
	if c.Genesis == nil || c.Suite == nil || c.Self == nil {
		bad("Genesis, Suite and Self are required")
		return errors.Join(errs...)
	}
	if c.DataDir == "" {
		bad("DataDir is required")
	}
	index, validator := indexOf(c.Genesis.Validators, c.Self.Public())
	_, observer := indexOf(c.Genesis.Observers, c.Self.Public())
	switch c.Role {
	case RoleValidator, RoleDev:
		if !validator {
			bad("the genesis does not name this node's key %s among its validators", c.Self.Public())
		}
		if n := len(c.Genesis.Validators); c.Role == RoleDev && n != 1 || c.Role == RoleValidator && n > 1 && n < ledger.ValidatorsMin {
			bad("%d validators cannot run as %s: one alone, or at least %d", n, c.Role, ledger.ValidatorsMin)
		}
		if len(c.Genesis.Validators) > 1 && c.PeerListen == "" {
			bad("validator %d needs an address for peer links", index)
		}
	case RoleGateway:
		if !observer {
			bad("the genesis does not name this node's key %s among its observers", c.Self.Public())
		}
	default:
		bad("role %q is none of validator, gateway, dev", c.Role)
	}
	for _, p := range c.Peers {
		if _, _, err := net.SplitHostPort(p.Address); err != nil {
			bad("peer %s: address %q is not host:port", p.Name, p.Address)
		}
		if _, ok := indexOf(c.Genesis.Validators, p.Key); !ok {
			bad("peer %s: the genesis does not name its key among the validators", p.Name)
		}
	}
	return errors.Join(errs...)
}

func (c *Config) setDefaults() {
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 8 << 20
	}
	if c.OpenLinks == nil {
		c.OpenLinks = openTransport
	}
	if c.KeepSnapshots == 0 {
		c.KeepSnapshots = 2
	}
	if c.OpenLog == nil {
		c.OpenLog = openLog
	}
	if c.OpenStore == nil {
		c.OpenStore = openPebble
	}
}

func (c *Config) path(name string) string { return filepath.Join(c.DataDir, name) }

// indexOf returns the position of key in set.
func indexOf(set []ledger.Validator, key suite.PublicKey) (int, bool) {
	for i := range set {
		if string(set[i].Key) == string(key) {
			return i, true
		}
	}
	return 0, false
}

package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"aval/ledger"
	"aval/suite"
)

// Config says which network a client speaks to and how patient it is.
type Config struct {
	// Endpoints are the base URLs of nodes, such as http://127.0.0.1:8080. At least one is required. They are tried in
	// order, beginning with the one that answered last.
	Endpoints []string
	// Genesis is the network's genesis file. Without it the client can query but neither make transactions nor verify.
	Genesis []byte
	// AcceptLab accepts proofs from a lab network, whose clock can be moved. Default: they are refused.
	AcceptLab bool
	// Pins keeps the newest verified epoch. Default: in memory.
	Pins Pins
	// HTTP sends requests. Default: a client of its own that reuses connections and bounds dialing by 3 s.
	HTTP *http.Client
	// AttemptTimeout bounds one attempt at one node. Default 10 s.
	AttemptTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause after all nodes have failed; it doubles. A node's Retry-After counts
	// too, up to BackoffMax. Default 100 ms and 3 s.
	BackoffMin, BackoffMax time.Duration
	// Validity is how long a new transaction may be included, at most ledger.TxWindowMax. Default 5 min, which leaves as
	// much room for a clock that is wrong.
	Validity time.Duration
	// Now is the wall clock. Default time.Now.
	Now func() time.Time
	// UserAgent names the program to the nodes. Default "aval-client".
	UserAgent string
}

// Client speaks to one network. Its methods are safe for concurrent use.
type Client struct {
	cfg       Config
	endpoints []*url.URL
	genesis   *ledger.Genesis
	suite     suite.Suite
	network   suite.Hash
	// preferred is the index of the endpoint that answered last.
	preferred atomic.Uint32
	// pinning serialises reading, verifying and moving the pin.
	pinning sync.Mutex
	// sleep waits, and returns early with ctx's error.
	sleep func(ctx context.Context, d time.Duration) error
}

// New returns a client, or every problem of cfg at once.
func New(cfg Config) (*Client, error) {
	c := &Client{sleep: sleep}
	var errs []error
	if len(cfg.Endpoints) == 0 {
		errs = append(errs, errors.New("client: name at least one node's URL"))
	}
	for _, e := range cfg.Endpoints {
		u, err := url.Parse(strings.TrimRight(e, "/"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			errs = append(errs, fmt.Errorf("client: %q is not a URL such as http://127.0.0.1:8080", e))
			continue
		}
		c.endpoints = append(c.endpoints, u)
	}
	if len(cfg.Genesis) > 0 {
		var err error
		if c.genesis, c.suite, err = ledger.DecodeGenesis(cfg.Genesis); err != nil {
			errs = append(errs, fmt.Errorf("client: %w", err))
		} else {
			c.network = c.genesis.NetworkID(c.suite)
		}
	}
	if cfg.Validity < 0 || cfg.Validity.Milliseconds() > int64(ledger.TxWindowMax) {
		errs = append(errs, fmt.Errorf("client: Validity must be at most %d ms", int64(ledger.TxWindowMax)))
	}
	c.cfg = withDefaults(cfg)
	return c, errors.Join(errs...)
}

func withDefaults(cfg Config) Config {
	setDefault(&cfg.AttemptTimeout, 10*time.Second)
	setDefault(&cfg.BackoffMin, 100*time.Millisecond)
	setDefault(&cfg.BackoffMax, 3*time.Second)
	setDefault(&cfg.Validity, 5*time.Minute)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "aval-client"
	}
	if cfg.Pins == nil {
		cfg.Pins = new(MemoryPins)
	}
	if cfg.HTTP == nil {
		cfg.HTTP = defaultHTTP()
	}
	return cfg
}

func setDefault(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Genesis returns the network's genesis, nil if the client was made without one.
func (c *Client) Genesis() *ledger.Genesis { return c.genesis }

// Suite returns the network's crypto suite, nil without a genesis.
func (c *Client) Suite() suite.Suite { return c.suite }

// Network returns the network id, zero without a genesis.
func (c *Client) Network() suite.Hash { return c.network }

// ErrNoGenesis reports an operation for which the client needs the network's genesis.
var ErrNoGenesis = errors.New("the network's genesis file is needed")

// NewTx returns an unsigned transaction of ops for this network, which may be included for Config.Validity from now.
func (c *Client) NewTx(ops ...ledger.Op) (*ledger.SignedTx, error) {
	if c.genesis == nil {
		return nil, ErrNoGenesis
	}
	return NewTx(c.network, ledger.Time(c.cfg.Now().Add(c.cfg.Validity).UnixMilli()), ops...), nil
}

// NewTx returns an unsigned transaction of ops that may be included until validUntil, wall time.
func NewTx(network suite.Hash, validUntil ledger.Time, ops ...ledger.Op) *ledger.SignedTx {
	tx := &ledger.SignedTx{Tx: ledger.Tx{Version: ledger.TxVersion, Network: network, ValidUntil: validUntil, Ops: ops}}
	rand.Read(tx.Tx.Salt[:]) // never fails: the runtime stops the program if the system has no randomness
	return tx
}

// Sign adds the signatures of signers to tx.
func (c *Client) Sign(tx *ledger.SignedTx, signers ...suite.Signer) error {
	if c.suite == nil {
		return ErrNoGenesis
	}
	for _, s := range signers {
		if err := tx.Sign(c.suite, s); err != nil {
			return err
		}
	}
	return nil
}

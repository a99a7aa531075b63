package bft

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/prometheus/client_golang/prometheus"

	"aval/internal/consensus"
	"aval/ledger"
	"aval/suite"
)

// Limits that every validator of a network shares.
const (
	// RequestBytesMax bounds one ordering request, in bytes: a batch certificate and its frame.
	RequestBytesMax = ledger.BatchCertificateBytesMax + 64
	// PayloadBytesMax bounds the payload of a block that this engine proposes or votes for, in bytes. A view change, which
	// carries two payloads of each validator, must fit a frame of any transport.
	PayloadBytesMax = ledger.PayloadBytesMax
	// headerBytesMax bounds an encoded ledger.Header.
	headerBytesMax = 4 << 10
	// restInterval is how long the kernel waits for the first request before it looks again.
	restInterval = time.Second
	// autoRemove is how long a request may wait; pruned and removed requests count as processed, so it is long.
	autoRemove = 24 * time.Hour
	// submitTimeout bounds the wait for room in the pool. The kernel holds a lock meanwhile.
	submitTimeout = 50 * time.Millisecond
	// kernelQueue is how many messages wait inside the kernel.
	kernelQueue = 400
)

// Config is what an engine needs.
type Config struct {
	// Suite is the network's crypto suite, Network its id.
	Suite   suite.Suite
	Network suite.Hash
	// Signer holds this validator's key; its place in the validator set is found by it.
	Signer suite.Signer
	Ledger consensus.Ledger
	Links  consensus.Links
	Syncer consensus.Syncer
	// Dir holds the kernel's log and the record of votes. Only one engine may use it.
	Dir string
	// Restored says that Dir or the ledger came from a backup: the validator observes before it votes. It has effect
	// once per Start.
	Restored bool
	// PendingMax bounds the requests that wait to be ordered. Default 256.
	PendingMax int
	// Timing sets how fast failures are noticed. Zero fields take their defaults.
	Timing Timing
	// Ticker makes the tickers that drive the kernel. Default: one clock that ticks for all at the same moment.
	Ticker func(d time.Duration) (ticks <-chan time.Time, stop func())
	// Logger defaults to slog.Default(). What the kernel says in passing is logged at debug level.
	Logger *slog.Logger
	// Registerer takes the engine's metrics. Default: none.
	Registerer prometheus.Registerer
	// metrics are the engine's; New makes them.
	metrics *metrics
}

// Timing sets how fast failures are noticed. The defaults bring the next commit within 4 s of the loss of any one
// validator: a silent leader is noticed after Heartbeat, and a view change takes well under a second.
type Timing struct {
	// Tick is how often timeouts are checked. Default 100 ms.
	Tick time.Duration
	// Heartbeat is how long a leader may be silent. Default 1.5 s; a fifth of it is the time between heartbeats.
	Heartbeat time.Duration
	// Forward is how long a request waits before it is sent to the leader. Default 0.5 s.
	Forward time.Duration
	// Slow is how long a request may be the oldest that waits before the leader is complained about. Default 2.5 s.
	Slow time.Duration
	// ViewChange is how long a view change may take before the next begins, each attempt longer than the one before;
	// Resend is how often its first message is sent again. Defaults 2 s and 1 s.
	ViewChange time.Duration
	Resend     time.Duration
	// Sync bounds one attempt to fetch blocks that makes no progress. Default 3 s.
	Sync time.Duration
	// Pulse is how often validators tell each other their heads. Default 1 s.
	Pulse time.Duration
	// Silent is after how long without a message a validator counts as missing. Default 5 s.
	Silent time.Duration
}

func (t Timing) withDefaults() Timing {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Tick, 100 * time.Millisecond}, {&t.Heartbeat, 1500 * time.Millisecond},
		{&t.Forward, 500 * time.Millisecond}, {&t.Slow, 2500 * time.Millisecond},
		{&t.ViewChange, 2 * time.Second}, {&t.Resend, time.Second},
		{&t.Sync, 3 * time.Second}, {&t.Pulse, time.Second}, {&t.Silent, 5 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

// Validate reports every problem of c at once.
func (c *Config) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("bft: "+format, args...))
		}
	}
	need(c.Suite != nil && c.Signer != nil, "Suite and Signer are required")
	need(!c.Network.IsZero(), "Network is required")
	need(c.Ledger != nil && c.Links != nil && c.Syncer != nil, "Ledger, Links and Syncer are required")
	need(c.Dir != "", "Dir is required")
	need(c.PendingMax >= 0, "PendingMax is negative")
	t := c.Timing.withDefaults()
	need(t.Tick > 0 && t.Tick <= t.Heartbeat/5, "timing: Tick %s must be positive and at most a fifth of Heartbeat %s", t.Tick, t.Heartbeat)
	need(t.Forward <= t.Slow, "timing: Forward %s exceeds Slow %s", t.Forward, t.Slow)
	need(t.Resend <= t.ViewChange, "timing: Resend %s exceeds ViewChange %s", t.Resend, t.ViewChange)
	need(t.Pulse < t.Silent, "timing: Pulse %s must be below Silent %s", t.Pulse, t.Silent)
	return errors.Join(errs...)
}

func (c *Config) setDefaults() {
	c.Timing = c.Timing.withDefaults()
	if c.PendingMax == 0 {
		c.PendingMax = 256
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Ticker == nil {
		c.Ticker = new(metronome).subscribe
	}
}

// kernelConfig returns the kernel's configuration for validator self (an index).
func (c *Config) kernelConfig(self uint16) types.Configuration {
	return types.Configuration{
		SelfID: nodeID(self),
		// One request is a batch, so that the kernel proposes at once and sleeps while there is none; the assembler
		// adds the other pending requests. (A short interval instead would wake a resting leader 200 times a second.)
		RequestBatchMaxCount:      1,
		RequestBatchMaxBytes:      RequestBytesMax,
		RequestBatchMaxInterval:   restInterval,
		IncomingMessageBufferSize: kernelQueue,
		RequestPoolSize:           uint64(c.PendingMax),
		RequestForwardTimeout:     c.Timing.Forward,
		// The kernel's own complaint about a request leaves the view at once, though nobody else may see a fault: a lone
		// complainer would be missing from every quorum. The watcher complains instead (see lookSlow).
		RequestComplainTimeout:        autoRemove,
		RequestAutoRemoveTimeout:      autoRemove,
		ViewChangeResendInterval:      c.Timing.Resend,
		ViewChangeTimeout:             c.Timing.ViewChange,
		LeaderHeartbeatTimeout:        c.Timing.Heartbeat,
		LeaderHeartbeatCount:          5,
		NumOfTicksBehindBeforeSyncing: 10,
		CollectTimeout:                time.Second, // never waited for, see answerState
		RequestMaxBytes:               RequestBytesMax,
		RequestPoolSubmitTimeout:      submitTimeout,
		// A rotating leader stalled under saturation; with rotation off no decision count applies.
		LeaderRotation:     false,
		DecisionsPerLeader: 0,
	}
}

// nodeID returns the kernel's id of a validator, which must not be 0.
func nodeID(index uint16) uint64 { return uint64(index) + 1 }

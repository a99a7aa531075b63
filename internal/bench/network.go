package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"aval/client"
	"aval/codec"
	"aval/internal/fleet"
	"aval/internal/genesis"
	"aval/ledger"
	"aval/suite"
)

// network is the validators under test, and the empty node that catches up with them in the end.
type network struct {
	founded *genesis.Network
	id      suite.Hash
	dir     string
	fleet   *fleet.Fleet
	clients []*client.Client // one per validator
	// debug are the addresses of the validators' profiles.
	debug []string
	// nodeCPUs and loadCPUs are the processors of validators and load; none means all.
	nodeCPUs, loadCPUs []int
}

// debugEnv is the environment variable that names the address of a node's profiles.
const debugEnv = "AVAL_NODE_DEBUG_LISTEN"

// auditEnv is the one that lets a gateway verify every signature again: a validator that catches up does not.
const auditEnv = "AVAL_NODE_AUDIT"

// found makes a network with a real clock.
func found(s suite.Suite, validators, observers int, dir string) (*network, error) {
	authority, err := ledger.CompleteUSCC("11990000BENCH0000")
	if err != nil {
		return nil, err
	}
	f, err := genesis.Found(genesis.Spec{Name: "bench", Suite: s, Clock: ledger.ClockReal, Wall: ledger.Time(time.Now().UnixMilli()),
		AuthorityID: authority, AuthorityName: "Authority", Validators: validators, Observers: observers, Params: ledger.DefaultParams(validators)})
	if err != nil {
		return nil, err
	}
	return &network{founded: f, id: f.Genesis.NetworkID(s), dir: dir}, nil
}

// pin keeps the load to the last processor and the validators to the others.
func (n *network) pin(processors int) error {
	if processors < 2 {
		return errors.New("keeping the load to a processor of its own needs two")
	}
	for i := range processors - 1 {
		n.nodeCPUs = append(n.nodeCPUs, i)
	}
	n.loadCPUs = []int{processors - 1}
	return nil
}

// start starts the validators and waits until they answer.
func (n *network) start(ctx context.Context, program string) error {
	validators := len(n.founded.Genesis.Validators)
	n.debug = make([]string, validators)
	var err error
	n.fleet, err = fleet.Start(ctx, fleet.Config{Network: n.founded, Dir: filepath.Join(n.dir, "net"), Program: program, CPUs: n.nodeCPUs, Ports: 1,
		Held: len(n.founded.Genesis.Observers),
		Env: func(i int, ports []int) []string {
			debug := "127.0.0.1:" + strconv.Itoa(ports[0])
			env := []string{debugEnv + "=" + debug, "AVAL_NODE_LOG_LEVEL=warn"}
			if i >= validators {
				return append(env, auditEnv+"=false")
			}
			n.debug[i] = debug
			return env
		}})
	if err != nil {
		return err
	}
	for _, node := range n.validators() {
		c, err := n.client(node)
		if err != nil {
			return err
		}
		n.clients = append(n.clients, c)
		if err := n.await(ctx, node.Name+" to answer", func() (bool, error) {
			_, err := c.NetworkInfo(ctx)
			return err == nil, err
		}); err != nil {
			return err
		}
	}
	return nil
}

// client returns a client of one node.
func (n *network) client(node *fleet.Node) (*client.Client, error) {
	return client.New(client.Config{Endpoints: []string{node.URL}, Genesis: codec.MustMarshal(n.founded.Genesis), UserAgent: "aval-bench",
		AttemptTimeout: 30 * time.Second})
}

// validators returns the nodes that run from the beginning.
func (n *network) validators() []*fleet.Node {
	return n.fleet.Nodes[:len(n.founded.Genesis.Validators)]
}

// awaitTimeout bounds every wait for the network.
const awaitTimeout = 30 * time.Second

// await asks until the answer is true.
func (n *network) await(ctx context.Context, what string, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, awaitTimeout)
	defer cancel()
	for {
		ok, err := ask()
		if ok {
			return nil
		}
		if dead := n.fleet.Dead(); dead != nil {
			return dead
		}
		pause(ctx, 50*time.Millisecond)
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("waited for %s: %w", what, ctx.Err()), err)
		}
	}
}

// cpu returns the processor time of all validators so far.
func (n *network) cpu() (sum time.Duration, err error) {
	for _, node := range n.validators() {
		d, err := processCPU(node.PID())
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// rss returns the resident memory of the validator that has most, in bytes.
func (n *network) rss() (most int64, err error) {
	for _, node := range n.validators() {
		b, err := processRSS(node.PID())
		if err != nil {
			return 0, err
		}
		most = max(most, b)
	}
	return most, nil
}

// disk returns what the data of all validators takes.
func (n *network) disk() (sum int64, err error) {
	for _, node := range n.validators() {
		b, err := diskUsage(filepath.Join(node.Home, "data"))
		if err != nil {
			return 0, err
		}
		sum += b
	}
	return sum, nil
}

const (
	// idleShare is how much of one processor all validators together may use at rest.
	idleShare = 0.10
	// idleSpan is over how long it is measured, idleMax how long is waited at most.
	idleSpan = time.Second
	idleMax  = 45 * time.Second
)

// idle waits until the validators have nothing left to do: blocks, ticks and compactions are done.
func (n *network) idle(ctx context.Context) error {
	deadline := time.Now().Add(idleMax)
	before, err := n.cpu()
	for err == nil && time.Now().Before(deadline) && ctx.Err() == nil {
		pause(ctx, idleSpan)
		var after time.Duration
		if after, err = n.cpu(); err == nil && float64(after-before) < idleShare*float64(idleSpan) {
			return nil
		}
		before = after
	}
	return err
}

// stop ends the validators.
func (n *network) stop() error {
	if n.fleet == nil {
		return nil
	}
	err := errors.Join(n.fleet.Dead(), n.fleet.Stop())
	n.fleet = nil
	return err
}

// workDir makes the directory of a run and returns what removes it, if it is temporary.
func workDir(dir string) (string, func() error, error) {
	if dir != "" {
		if err := genesis.CheckEmpty(dir); err != nil {
			return "", nil, err
		}
		return dir, func() error { return nil }, os.MkdirAll(dir, 0o700)
	}
	dir, err := os.MkdirTemp("", "aval-bench-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

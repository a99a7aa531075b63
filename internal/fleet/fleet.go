package fleet

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"aval/internal/genesis"
)

// Config says which network to run, and how.
type Config struct {
	Network *genesis.Network
	// Dir is where the network is written; it must not exist, or be empty.
	Dir string
	// Program is the binary of this program. Default: the one that runs.
	Program string
	// Env returns what node i is given beside this program's own environment. ports are those that Ports asked for.
	Env func(i int, ports []int) []string
	// Ports is how many free ports each node needs beside those for HTTP and links.
	Ports int
	// Held is how many of the last nodes Start leaves for whoever wants them to call Node.Start.
	Held int
	// CPUs are the processors that nodes may run on, from 0; none means all.
	CPUs []int
	// SealIterations is the cost of opening key files. The passphrase is random: stretching protects nothing more.
	// Default 1000.
	SealIterations uint32
}

// Fleet is the nodes of one network.
type Fleet struct {
	// Nodes are validators first, then gateways.
	Nodes []*Node
	// Passphrase opens every key file of the network.
	Passphrase []byte

	cfg      Config
	launcher *Launcher
}

// Start writes the network to cfg.Dir and starts every node. Whoever starts it stops it: nodes do not stop when ctx ends.
func Start(ctx context.Context, cfg Config) (*Fleet, error) {
	if cfg.SealIterations == 0 {
		cfg.SealIterations = 1000
	}
	if cfg.Program == "" {
		program, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cfg.Program = program
	}
	count := len(cfg.Network.Genesis.Validators) + len(cfg.Network.Genesis.Observers)
	base, err := FreePorts(ctx, count*(1+cfg.Ports))
	if err != nil {
		return nil, err
	}
	f := &Fleet{Passphrase: NewPassphrase(), cfg: cfg, launcher: NewLauncher()}
	nodes, err := cfg.Network.Write(genesis.Layout{Dir: cfg.Dir, BasePort: base, Passphrase: f.Passphrase, Iterations: cfg.SealIterations})
	if err != nil {
		return nil, errors.Join(err, f.Stop())
	}
	for i, g := range nodes {
		n := &Node{Name: g.Name, Home: g.Home, URL: "http://" + g.HTTP, LogPath: filepath.Join(cfg.Dir, g.Name+".log"), fleet: f}
		if cfg.Env != nil {
			ports := make([]int, cfg.Ports)
			for k := range ports {
				ports[k] = base + count + i*cfg.Ports + k
			}
			n.env = cfg.Env(i, ports)
		}
		f.Nodes = append(f.Nodes, n)
	}
	for _, n := range f.Nodes[:max(0, len(f.Nodes)-cfg.Held)] {
		if err := n.Start(); err != nil {
			return nil, errors.Join(err, f.Stop())
		}
	}
	return f, nil
}

// Launch starts another process that dies with this program; see Launcher.Start.
func (f *Fleet) Launch(cmd *exec.Cmd, cpus ...int) error { return f.launcher.Start(cmd, cpus...) }

// Program is the binary that nodes run.
func (f *Fleet) Program() string { return f.cfg.Program }

// Stop ends every node at the same time, and the fleet. It must be called once.
func (f *Fleet) Stop() error {
	errs := make([]error, len(f.Nodes))
	var wg sync.WaitGroup
	for i, n := range f.Nodes {
		wg.Go(func() { errs[i] = n.Stop() })
	}
	wg.Wait()
	f.launcher.Close()
	return errors.Join(errs...)
}

// Dead returns an error if a node has ended by itself.
func (f *Fleet) Dead() error {
	for _, n := range f.Nodes {
		if err := n.Dead(); err != nil {
			return err
		}
	}
	return nil
}

// NewPassphrase returns 192 random bits in letters, digits, '-' and '_'.
func NewPassphrase() []byte {
	raw := make([]byte, 24)
	rand.Read(raw) // never fails: the runtime stops the program if the system has no randomness
	return []byte(base64.RawURLEncoding.EncodeToString(raw))
}

// FreePorts returns a port from which n ports, and n more above by genesis.LinkPortOffset, are free on loopback. They lie below the
// ports that the system gives to outgoing connections, one of which could otherwise take the address of a node that is just
// restarting.
func FreePorts(ctx context.Context, n int) (int, error) {
	const low, high, tries = 20_000, 31_000, 1000
	if n > genesis.LinkPortOffset {
		return 0, fmt.Errorf("%d ports in a row: the most is %d", n, genesis.LinkPortOffset)
	}
	for range tries {
		base := low + mathrand.IntN(high-low-n)
		free := true
		for i := 0; i < n && free; i++ {
			free = portFree(ctx, base+i) && portFree(ctx, base+i+genesis.LinkPortOffset)
		}
		if free {
			return base, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports found between %d and %d on 127.0.0.1", 2*n, low, high+genesis.LinkPortOffset)
}

func portFree(ctx context.Context, port int) bool {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	return err == nil && l.Close() == nil
}

package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"aval/internal/config"
	"aval/internal/fleet"
	"aval/internal/genesis"
	"aval/internal/keyfile"
	"aval/internal/kv"
	"aval/internal/node"
	"aval/ledger"
	"aval/suite"
)

// DevConfig says how to keep a sandbox.
type DevConfig struct {
	// Home is the sandbox's directory: the command line's home and, below it, the node's. It is made if it does not exist.
	Home string
	// Suite and Clock of a new sandbox. Defaults: sm, the real clock. An old one keeps its own, and others are refused.
	Suite suite.Suite
	Clock ledger.ClockMode
	// Listen is the address of the HTTP interface. Default: as configured, 127.0.0.1:8080 at first.
	Listen string
	// Program is how the reader calls this program, for the commands that are printed. Default: aval.
	Program string
	// Version is shown in the node's status.
	Version string
	// Env looks up the environment. Default: os.LookupEnv.
	Env func(string) (string, bool)
	// Stdout receives what a newcomer may do.
	Stdout io.Writer
}

// What stands in a sandbox's home beside profile, keys and genesis.
const (
	devNode    = "node"
	devLog     = "node.log"
	devPapers  = "papers"
	contractAs = "contract.txt"
	receiptAs  = "receipt.txt"
)

// Sums with which the sandbox begins.
const (
	devLimit   ledger.Fen = 10_000_000_00
	devDeposit ledger.Fen = 10_000_000_00
)

// Dev runs one node that orders alone in its own network, with sandbox parties that are ready to trade, until ctx ends. What it finds in
// the home it goes on with.
func Dev(ctx context.Context, cfg DevConfig) (err error) {
	if err := cfg.setDefaults(); err != nil {
		return err
	}
	s, err := openSandbox(&cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.log.Close()) }()
	running, err := s.start(ctx, &cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.Close()) }()
	url := "http://" + running.HTTPAddr()
	if err := s.point(url); err != nil {
		return err
	}
	fresh, err := s.provision(ctx, url)
	if err != nil {
		if ctx.Err() != nil {
			return nil // interrupted
		}
		return fmt.Errorf("set up the sandbox: %w", err)
	}
	if err := s.guide(&cfg, url, fresh); err != nil {
		return err
	}
	return running.Wait()
}

func (c *DevConfig) setDefaults() error {
	if c.Program == "" {
		c.Program = "aval"
	}
	if c.Env == nil {
		c.Env = os.LookupEnv
	}
	home, err := filepath.Abs(c.Home)
	c.Home = home
	return err
}

// sandbox is an opened home.
type sandbox struct {
	*network
	home       string
	passphrase []byte
	log        *os.File
}

// openSandbox opens the sandbox at cfg.Home, after making it if there is none.
func openSandbox(cfg *DevConfig) (*sandbox, error) {
	if info, err := os.Stat(cfg.Home); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory; choose another --home", cfg.Home)
	}
	_, err := os.Stat(filepath.Join(cfg.Home, passphraseName))
	if errors.Is(err, fs.ErrNotExist) {
		if genesis.CheckEmpty(cfg.Home) != nil {
			return nil, fmt.Errorf("%s is not empty and not the home of a sandbox; choose another --home: nothing is ever overwritten", cfg.Home)
		}
		err = makeSandbox(cfg)
	}
	if err != nil {
		return nil, err
	}
	s := &sandbox{home: cfg.Home, network: &network{}}
	if s.passphrase, err = (keyfile.Source{File: filepath.Join(cfg.Home, passphraseName)}).Get("the sandbox"); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(cfg.Home, config.GenesisName))
	if err != nil {
		return nil, err
	}
	g, gs, err := ledger.DecodeGenesis(raw)
	if err != nil {
		return nil, err
	}
	if cfg.Suite != nil && cfg.Suite.ID() != gs.ID() {
		return nil, fmt.Errorf("the sandbox in %s runs on suite %s; give another --home for one on %s, or delete it", cfg.Home, gs.Name(), cfg.Suite.Name())
	}
	if cfg.Clock != 0 && cfg.Clock != g.Clock {
		return nil, fmt.Errorf("the sandbox in %s has a %s clock; give another --home for one with a %s clock, or delete it", cfg.Home, clockWord(g.Clock), clockWord(cfg.Clock))
	}
	if err := s.setGenesis(gs, g); err != nil {
		return nil, err
	}
	keys := keyfile.Dir(filepath.Join(cfg.Home, config.KeysName))
	err = s.setStaff(devCast, func(name string) (suite.Signer, error) {
		f, err := keys.Load(name)
		if err != nil {
			return nil, err
		}
		return f.Open(s.passphrase)
	})
	if err != nil {
		return nil, fmt.Errorf("the sandbox in %s: %w", cfg.Home, err)
	}
	s.log, err = os.OpenFile(filepath.Join(cfg.Home, devNode, devLog), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	return s, err
}

func clockWord(m ledger.ClockMode) string {
	if m == ledger.ClockLab {
		return "lab"
	}
	return "real"
}

// makeSandbox writes a whole home beside cfg.Home and then gives it its name, so that there is all of it or none.
func makeSandbox(cfg *DevConfig) (err error) {
	p := plan{name: "aval-dev", suite: cfg.Suite, clock: cfg.Clock, validators: 1, cast: devCast}
	if p.suite == nil {
		if p.suite, err = suite.ByID(suite.SM); err != nil {
			return err
		}
	}
	if p.clock == 0 {
		p.clock = ledger.ClockReal
	}
	n, err := newNetwork(p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Home), 0o750); err != nil {
		return err
	}
	home, err := os.MkdirTemp(filepath.Dir(cfg.Home), ".aval-dev-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(home))
		}
	}()
	passphrase := fleet.NewPassphrase()
	for name, text := range map[string][]byte{
		passphraseName:                       append(passphrase, '\n'),
		config.GenesisName:                   n.file,
		filepath.Join(devPapers, contractAs): []byte("Contract 1 between Sandbox Drives and Sandbox Motors: 100 drives at 1,000.00.\n"),
		filepath.Join(devPapers, receiptAs):  []byte("Goods receipt 1: Sandbox Motors has received 100 drives.\n"),
	} {
		if err := writeNew(filepath.Join(home, name), text); err != nil {
			return err
		}
	}
	if err := n.seal(keyfile.Dir(filepath.Join(home, config.KeysName)), passphrase); err != nil {
		return err
	}
	profile := config.Profile{Nodes: []string{}, Genesis: config.GenesisName, Parties: map[string]string{}}
	for alias, member := range n.parties {
		profile.Parties[alias] = string(member.id)
	}
	if err := profile.Save(home); err != nil {
		return err
	}
	if err := n.writeNode(filepath.Join(home, devNode), passphrase); err != nil {
		return err
	}
	return os.Rename(home, cfg.Home)
}

// writeNode writes the home of the only node.
func (n *network) writeNode(home string, passphrase []byte) error {
	c := config.Default()
	c.Name, c.Link.Listen = "dev", "" // nobody to link to
	c.Genesis, c.PassphraseFile = filepath.Join("..", config.GenesisName), filepath.Join("..", passphraseName)
	text, err := c.Encode()
	if err != nil {
		return err
	}
	if err := writeNew(filepath.Join(home, config.FileName), text); err != nil {
		return err
	}
	f, err := keyfile.Seal(n.suite, n.founded.Validators[0], keyfile.Config{Label: "dev node", Passphrase: passphrase, Iterations: sealIterations})
	if err != nil {
		return err
	}
	_, err = keyfile.Dir(filepath.Join(home, config.KeysName)).Create(config.NodeKeyName, f)
	return err
}

// writeNew writes a new file that its owner only may read.
func writeNew(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(b))
	return errors.Join(err, f.Sync(), f.Close())
}

// start starts the node, which writes its log to a file.
func (s *sandbox) start(ctx context.Context, cfg *DevConfig) (*node.Node, error) {
	flags := map[string]string{}
	if cfg.Listen != "" {
		flags["http.listen"] = cfg.Listen
	}
	c, err := config.Load(filepath.Join(s.home, devNode), cfg.Env, flags)
	if err != nil {
		return nil, err
	}
	nc, err := node.Load(c, s.passphrase)
	if err != nil {
		return nil, err
	}
	nc.Version = cfg.Version
	if nc.Logger, err = c.Log.Logger(s.log); err != nil {
		return nil, err
	}
	running, err := node.Start(ctx, nc)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%w\nChoose another address with --listen, such as 127.0.0.1:0 for any that is free", err)
	case errors.Is(err, kv.ErrInUse):
		return nil, fmt.Errorf("%w\nThis sandbox runs already; for a second one give --home and --listen", err)
	case err != nil:
		return nil, fmt.Errorf("%w\nThe log is in %s", err, s.log.Name())
	}
	return running, nil
}

// point makes the profile name the node's URL.
func (s *sandbox) point(url string) error {
	profile, err := config.LoadProfile(s.home)
	if err != nil {
		return err
	}
	if len(profile.Nodes) == 1 && profile.Nodes[0] == url {
		return nil
	}
	profile.Nodes = []string{url}
	return profile.Save(s.home)
}

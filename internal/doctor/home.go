package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"aval/api"
	"aval/internal/clock"
	"aval/internal/config"
	"aval/internal/keyfile"
	"aval/internal/node"
	"aval/ledger"
	"aval/suite"
)

// Home says which node's home to examine, and with what.
type Home struct {
	// Dir is the home.
	Dir string
	// Env and Environ are the environment: os.LookupEnv and os.Environ.
	Env     func(string) (string, bool)
	Environ []string
	// Flags are settings from the command line, by key.
	Flags map[string]string
	// Passphrase opens the node's key; nil: it is not tried.
	Passphrase []byte
	// Ask asks the node at a URL for its status.
	Ask func(ctx context.Context, url string) (*api.Status, error)
	// Now is the clock of this machine.
	Now func() time.Time
}

// dialTimeout bounds one attempt to reach a peer.
const dialTimeout = time.Second

// examination is one examination of a home, with what was found so far.
type examination struct {
	Home
	*Report
	cfg     *config.Node
	genesis *ledger.Genesis
	suite   suite.Suite
	key     suite.PublicKey
	running bool
}

// Examine examines the home of a node, whether it runs or not. If it does, what it says of itself is added.
func (h Home) Examine(ctx context.Context) *Report {
	x := &examination{Home: h, Report: &Report{Subject: h.Dir}}
	if !x.configuration() {
		return x.Report
	}
	x.permissions()
	x.readGenesis()
	x.readKey()
	x.peers()
	if x.askItself(ctx) {
		return x.Report
	}
	x.measure(x.dataDir())
	if !x.running {
		x.ports(ctx)
		x.reach(ctx)
		x.stores(ctx)
	}
	x.clocks()
	return x.Report
}

func (x *examination) configuration() bool {
	cfg, err := config.Load(x.Dir, x.Env, x.Flags)
	if err := errors.Join(err, config.CheckEnviron(x.Environ)); err != nil {
		x.add("configuration", Fail, "mend "+filepath.Join(x.Dir, config.FileName)+", or the environment; `aval config show --help` lists the settings", "%v", err)
	}
	if err != nil {
		return false
	}
	x.cfg = cfg
	if len(x.Checks) == 0 {
		x.ok("configuration", "%s, a %s: HTTP on %s, links on %s, %d peers", cfg.Name, cfg.Role, or(cfg.HTTP.Listen, "nothing"), or(cfg.Link.Listen, "nothing"), len(cfg.Peers))
	}
	return true
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// dataDir returns the data directory, or if there is none yet the directory in which it will be made.
func (x *examination) dataDir() string {
	dir := x.cfg.Path(x.cfg.DataDir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return filepath.Dir(dir)
	}
	return dir
}

// permissions looks at who may read the keys.
func (x *examination) permissions() {
	bad := false
	for _, path := range []string{x.cfg.Path(x.cfg.Key), x.cfg.Path(x.cfg.DataDir)} {
		info, err := os.Stat(path)
		if err != nil {
			continue // what is missing is told by the check of what it is for
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			bad = true
			x.add("permissions", Warn, fmt.Sprintf("chmod go= %s", path), "others than its owner may enter or read %s (mode %o)", path, mode)
		}
	}
	if !bad {
		x.ok("permissions", "key and data are their owner's alone")
	}
}

func (x *examination) readGenesis() {
	path := x.cfg.Path(x.cfg.Genesis)
	g, s, err := node.LoadGenesis(path)
	if err != nil {
		x.add("genesis", Fail, "get genesis.cbor from whoever founded the network, and compare its network id with theirs", "%s: %v", path, err)
		return
	}
	x.genesis, x.suite = g, s
	x.ok("genesis", "network %s, id %s, suite %s, %d validators", g.Name, g.NetworkID(s), s.Name(), len(g.Validators))
	x.lab(g.Clock == ledger.ClockLab, g.Start-g.Wall)
}

// readKey checks that the key is that of the role in this network.
func (x *examination) readKey() {
	path := x.cfg.Path(x.cfg.Key)
	f, err := keyfile.Read(path)
	if err != nil {
		x.add("key", Fail, "put the node's key file there; a lost key cannot be made again", "%v", err)
		return
	}
	x.key = f.Public
	if x.Passphrase != nil {
		if _, err := f.Open(x.Passphrase); err != nil {
			x.add("key", Fail, "set the right passphrase; a passphrase that is lost cannot be found again", "%s: %v", path, err)
			return
		}
	}
	if x.genesis == nil {
		return
	}
	set, role := x.genesis.Validators, "validators"
	if x.cfg.Role != "validator" {
		set, role = x.genesis.Observers, "observers"
	}
	switch {
	case f.Suite != x.suite.ID():
		x.add("key", Fail, "put the node's key of this network there", "%s is of crypto suite %d, the network's is %s", path, f.Suite, x.suite.Name())
	case !named(set, f.Public):
		x.add("key", Fail, "this key is of another node, or the genesis of another network: compare with whoever founded the network",
			"wrong key: the genesis does not name %s among its %s", f.Public, role)
	case x.Passphrase == nil:
		x.add("key", Warn, "set $"+keyfile.EnvPassphrase+" or give --passphrase-file to try it", "the genesis names it; whether a passphrase opens it was not tried")
	default:
		x.ok("key", "the genesis names it among its %s, and the passphrase opens it; node keys have no end", role)
	}
}

func named(set []ledger.Validator, key suite.PublicKey) bool {
	for i := range set {
		if string(set[i].Key) == string(key) {
			return true
		}
	}
	return false
}

// peers compares the peers of the configuration with the validators of the genesis.
func (x *examination) peers() {
	if x.genesis == nil {
		return
	}
	bad := false
	for _, p := range x.cfg.Peers {
		if !named(x.genesis.Validators, p.Key) {
			bad = true
			x.add("peers", Fail, "correct its key in config.toml, or take it out", "wrong key: the genesis names no validator with the key of %s", p.Name)
		}
	}
	for _, v := range x.genesis.Validators {
		known := string(v.Key) == string(x.key)
		for _, p := range x.cfg.Peers {
			known = known || string(p.Key) == string(v.Key)
		}
		if !known {
			bad = true
			x.add("peers", Warn, "add it to [[peers]] in config.toml, or let it dial this node", "no address of validator %s is configured", v.Name)
		}
	}
	if !bad {
		x.ok("peers", "every other validator of the genesis has an address")
	}
}

// askItself adds what the node says of itself if it runs, and reports whether it does.
func (x *examination) askItself(ctx context.Context) bool {
	host, port, err := net.SplitHostPort(x.cfg.HTTP.Listen)
	if err != nil || x.Ask == nil {
		return false
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := x.Ask(ctx, "http://"+net.JoinHostPort(host, port))
	if err != nil {
		return false
	}
	if x.key != nil && string(s.Node.Key) != string(x.key) {
		x.running = true
		x.add("ports", Fail, "stop that node, or choose another http.listen", "another node, %s, answers at %s", s.Node.Name, x.cfg.HTTP.Listen)
		return false
	}
	x.Live(s, x.Now())
	return true
}

// ports tries to listen where the node will.
func (x *examination) ports(ctx context.Context) {
	free := true
	for _, p := range []struct{ key, address string }{{"http.listen", x.cfg.HTTP.Listen}, {"link.listen", x.cfg.Link.Listen}, {"debug.listen", x.cfg.Debug.Listen}} {
		if p.address == "" {
			continue
		}
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", p.address)
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			free = false
			next := "choose an address of this machine"
			if errors.Is(err, syscall.EADDRINUSE) {
				next = "stop the program that listens there, or choose another address"
			}
			x.add("ports", Fail, next, "%s: %v", p.key, err)
		}
	}
	if free {
		x.ok("ports", "the node does not run, and the addresses on which it will listen are free")
	}
}

// reach dials the peers.
func (x *examination) reach(ctx context.Context) {
	reached := 0
	for _, p := range x.cfg.Peers {
		d := net.Dialer{Timeout: dialTimeout}
		conn, err := d.DialContext(ctx, "tcp", p.Address)
		if err == nil {
			err = conn.Close()
		}
		if err != nil {
			x.add("links", Warn, "see that it runs, that its link.listen is this address, and that no firewall is between", "unreachable: %s: %v", p.Name, err)
			continue
		}
		reached++
	}
	if reached == len(x.cfg.Peers) {
		x.ok("links", "something listens at the address of each of %d peers", reached)
	}
}

// stores opens what the node has written, as its start would.
func (x *examination) stores(ctx context.Context) {
	if x.genesis == nil {
		return
	}
	in, err := node.Inspect(ctx, node.Config{Role: node.Role(x.cfg.Role), Genesis: x.genesis, Suite: x.suite, DataDir: x.cfg.Path(x.cfg.DataDir),
		CacheBytes: x.cfg.Store.CacheBytes, Clock: clock.Real()})
	switch {
	case errors.Is(err, node.ErrRunning):
		x.add("stores", Warn, "ask the node itself: `aval doctor --node URL`", "a running node uses them")
		return
	case err != nil:
		x.add("stores", Fail, "keep a copy of the data directory; then restore it from a backup, or remove it whole and let the node fetch everything from its peers",
			"they do not open: %v", err)
		return
	case in.Empty:
		x.ok("stores", "there are none yet: the node will begin with the genesis and fetch what its peers have")
		return
	}
	x.ok("stores", "they open; block %d of %s is committed, %d is executed", in.Committed, in.Wall, in.Executed)
	if ahead := in.Wall - ledger.Time(x.Now().UnixMilli()); ahead > ledger.WallDriftMax {
		x.add("clock", Fail, "set this machine's clock, with NTP", "clock_skew: it is %.1f s behind the newest block", float64(ahead)/1000)
	}
	x.engine(in)
}

// engine says what the log of the engine means for the next start.
func (x *examination) engine(in *node.Inspection) {
	e := in.Engine
	switch {
	case e == nil:
	case e.Observe != "" && e.Until != 0:
		x.add("engine log", Warn, "start it and wait", "the validator will observe until block %d before it votes: %s", e.Until, e.Observe)
	case e.Observe != "":
		x.add("engine log", Warn, "start it and wait: it votes again once certified blocks have passed what it could have voted on",
			"the validator will observe before it votes: %s", e.Observe)
	default:
		x.ok("engine log", "it fits the ledger; the newest height voted for is %d", e.Voted)
	}
}

// clocks asks the system whether its clock is kept.
func (x *examination) clocks() {
	if kept, known := clockKept(); known && !kept {
		x.add("clock", Warn, "run chrony or another NTP client; voters refuse blocks from clocks that differ by "+fmt.Sprint(int64(ledger.WallDriftMax))+" ms",
			"the system says that nothing keeps its clock")
	} else if known {
		x.ok("clock", "the system says that its clock is kept")
	}
}

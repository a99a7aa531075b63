package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"

	"aval/ledger"
	"aval/suite"
)

// What stands in a home.
const (
	FileName    = "config.toml"
	GenesisName = "genesis.cbor"
	KeysName    = "keys"
	NodeKeyName = "node"
	DataName    = "data"
)

// fileBytesMax bounds config.toml.
const fileBytesMax = 1 << 20

// Node is how one node runs. Relative paths are relative to Home.
type Node struct {
	// Home is where the file was found; it is not in the file.
	Home string `json:"home" toml:"-"`

	Name           string `json:"name" toml:"name" comment:"Name of this node, for logs and status."`
	Role           string `json:"role" toml:"role" comment:"validator orders and executes; gateway follows, verifies and serves."`
	Genesis        string `json:"genesis" toml:"genesis" comment:"The network's genesis file. Relative paths start at this directory."`
	Key            string `json:"key" toml:"key" comment:"The node's private key, encrypted."`
	PassphraseFile string `json:"passphrase_file" toml:"passphrase_file" comment:"File with the key's passphrase; empty: $AVAL_PASSPHRASE, else the terminal."`
	DataDir        string `json:"data_dir" toml:"data_dir" comment:"Blocks, state and the engine's log."`

	Audit bool `json:"audit" toml:"audit" comment:"Verify every signature of every block again, and keep proof of false attestations in the data directory."`

	HTTP     HTTP     `json:"http" toml:"http"`
	Link     Link     `json:"link" toml:"link"`
	Log      Log      `json:"log" toml:"log"`
	Intake   Intake   `json:"intake" toml:"intake"`
	Store    Store    `json:"store" toml:"store"`
	Snapshot Snapshot `json:"snapshot" toml:"snapshot"`
	Crypto   Crypto   `json:"crypto" toml:"crypto"`
	Debug    Debug    `json:"debug" toml:"debug"`
	Peers    []Peer   `json:"peers" toml:"peers" comment:"The validators, wherever they are."`
}

// HTTP is the public interface.
type HTTP struct {
	Listen string `json:"listen" toml:"listen" comment:"Address of the HTTP interface; empty: none."`
}

// Link is the interface to other nodes.
type Link struct {
	Listen string `json:"listen" toml:"listen" comment:"Address on which other nodes reach this one; a gateway may leave it empty."`
}

// Log says what is logged and how.
type Log struct {
	Level  string `json:"level" toml:"level" comment:"debug, info, warn or error."`
	Format string `json:"format" toml:"format" comment:"text or json."`
}

// Intake bounds what the node takes in.
type Intake struct {
	BatchAgeMs int `json:"batch_age_ms" toml:"batch_age_ms" comment:"How long a batch waits for company while others are under way, ms."`
	PendingMax int `json:"pending_max" toml:"pending_max" comment:"Transactions admitted and not yet executed, at most; what is over two seconds of work is refused before that."`
}

// Store bounds what the node keeps in memory.
type Store struct {
	CacheBytes  int64 `json:"cache_bytes,string" toml:"cache_bytes" comment:"Cache of the store of blocks."`
	KeepHeights int64 `json:"keep_heights,string" toml:"keep_heights" comment:"How many of the newest heights keep their blocks and receipts; 0: all. A validator keeps at least what the genesis asks for."`
}

// Snapshot says which snapshots the node makes, and whether it may begin from another's.
type Snapshot struct {
	EveryHeights int64 `json:"every_heights,string" toml:"every_heights" comment:"Make a snapshot every so many heights, and offer it to peers; 0: only when asked. The same at every node, so that peers may take parts from any."`
	Keep         int   `json:"keep" toml:"keep" comment:"How many of the newest snapshots are kept."`
	Fetch        bool  `json:"fetch" toml:"fetch" comment:"Begin from a peer's snapshot, verified, where there is no block yet or the peers no longer keep those that are needed; what happened before is then not here."`
}

// Crypto says how signatures are verified and messages hashed; the results are the same.
type Crypto struct {
	SM2 string `json:"sm2" toml:"sm2" comment:"fast: many at once, samples rechecked by the library; library: all by the library, several times slower."`
	SM3 string `json:"sm3" toml:"sm3" comment:"fast: several messages at once, samples rechecked by the library; library: one by one."`
}

// Debug is what developers look into.
type Debug struct {
	Listen string `json:"listen" toml:"listen" comment:"Address of runtime profiles (net/http/pprof), on loopback only; empty: none."`
}

// Peer is one validator's place.
type Peer struct {
	Name    string          `json:"name" toml:"name"`
	Key     suite.PublicKey `json:"key" toml:"key"`
	Address string          `json:"address" toml:"address"`
}

// Default returns the configuration from which a file departs.
func Default() Node {
	return Node{
		Role: "validator", Genesis: GenesisName, Key: filepath.Join(KeysName, NodeKeyName+".key"), DataDir: DataName,
		HTTP: HTTP{Listen: "127.0.0.1:8080"}, Link: Link{Listen: "127.0.0.1:7080"},
		Log:    Log{Level: "info", Format: "text"},
		Intake: Intake{BatchAgeMs: 10, PendingMax: 20_000}, Snapshot: Snapshot{Keep: 2}, Store: Store{CacheBytes: 8 << 20}, Crypto: Crypto{SM2: "fast", SM3: "fast"},
		Peers: []Peer{},
	}
}

// Load reads the configuration of the node at home: defaults, then config.toml, then the environment, then flags, whose
// names are those of Settings. env is os.LookupEnv but in tests. All problems are reported together.
func Load(home string, env func(string) (string, bool), flags map[string]string) (*Node, error) {
	n := Default()
	if err := n.readFile(filepath.Join(home, FileName)); err != nil {
		return nil, err
	}
	n.Home = home
	var errs []error
	for _, s := range Settings() {
		if v, ok := env(s.Env()); ok {
			errs = append(errs, s.apply(&n, v, "$"+s.Env()))
		}
		if v, ok := flags[s.Key]; ok {
			errs = append(errs, s.apply(&n, v, "--"+s.Flag()))
		}
	}
	errs = append(errs, n.Validate())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &n, nil
}

func (n *Node) readFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("node configuration: %w; make a network with `aval network init`, or name a node's directory with --home", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("node configuration: %w", err)
	}
	if len(b) > fileBytesMax {
		return fmt.Errorf("%s has more than %d bytes", path, fileBytesMax)
	}
	return n.decode(path, b)
}

func (n *Node) decode(path string, b []byte) error { return decodeTOML(path, b, n) }

// decodeTOML reads TOML strictly and names every unknown key with its line.
func decodeTOML(path string, b []byte, v any) error {
	d := toml.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var errs []error
		for i := range unknown.Errors {
			e := &unknown.Errors[i]
			row, _ := e.Position()
			key := dotted(e.Key())
			errs = append(errs, fmt.Errorf("%s:%d: unknown key %q%s", path, row, key, meant(key, keysOfFile(), "")))
		}
		return errors.Join(errs...)
	}
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		row, column := wrong.Position()
		return fmt.Errorf("%s:%d:%d: %w", path, row, column, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Encode returns the configuration as TOML with a comment on every key.
func (n *Node) Encode() ([]byte, error) {
	var out bytes.Buffer
	if err := toml.NewEncoder(&out).Encode(n); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Validate reports every problem of n at once.
func (n *Node) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("configuration: "+format, args...)) }
	if n.Name == "" || len(n.Name) > ledger.NameBytesMax {
		bad("name must have 1 to %d bytes", ledger.NameBytesMax)
	}
	if n.Role != "validator" && n.Role != "gateway" {
		bad("role %q is neither validator nor gateway", n.Role)
	}
	for _, p := range []struct{ key, value string }{{"genesis", n.Genesis}, {"key", n.Key}, {"data_dir", n.DataDir}} {
		if p.value == "" {
			bad("%s must name a path", p.key)
		}
	}
	checkAddress(bad, "http.listen", n.HTTP.Listen)
	checkAddress(bad, "link.listen", n.Link.Listen)
	if _, err := n.Log.level(); err != nil {
		bad("log.level %q is none of debug, info, warn, error", n.Log.Level)
	}
	if n.Log.Format != "text" && n.Log.Format != "json" {
		bad("log.format %q is neither text nor json", n.Log.Format)
	}
	if n.Intake.BatchAgeMs < 1 || n.Intake.BatchAgeMs > 10_000 {
		bad("intake.batch_age_ms must be 1 to 10000, not %d", n.Intake.BatchAgeMs)
	}
	if n.Intake.PendingMax < 1 || n.Intake.PendingMax > 1_000_000 {
		bad("intake.pending_max must be 1 to 1000000, not %d", n.Intake.PendingMax)
	}
	checkAddress(bad, "debug.listen", n.Debug.Listen)
	if host, _, err := net.SplitHostPort(n.Debug.Listen); err == nil && !net.ParseIP(host).IsLoopback() {
		bad("debug.listen %q is not an address of loopback such as 127.0.0.1:6060; profiles show what a node has in memory", n.Debug.Listen)
	}
	if n.Crypto.SM2 != "fast" && n.Crypto.SM2 != "library" {
		bad("crypto.sm2 must be fast or library, not %q", n.Crypto.SM2)
	}
	if n.Crypto.SM3 != "fast" && n.Crypto.SM3 != "library" {
		bad("crypto.sm3 must be fast or library, not %q", n.Crypto.SM3)
	}
	if n.Store.CacheBytes < 1<<20 {
		bad("store.cache_bytes must be at least %d, not %d", 1<<20, n.Store.CacheBytes)
	}
	if n.Store.KeepHeights < 0 || n.Snapshot.EveryHeights < 0 {
		bad("store.keep_heights and snapshot.every_heights must not be negative, as are %d and %d", n.Store.KeepHeights, n.Snapshot.EveryHeights)
	}
	if n.Snapshot.Keep < 1 || n.Snapshot.Keep > 100 {
		bad("snapshot.keep must be 1 to 100, not %d", n.Snapshot.Keep)
	}
	n.checkPeers(bad)
	return errors.Join(errs...)
}

func (n *Node) checkPeers(bad func(string, ...any)) {
	if len(n.Peers) > ledger.ValidatorsMax {
		bad("at most %d peers are allowed, not %d", ledger.ValidatorsMax, len(n.Peers))
	}
	seen := map[string]bool{}
	for i, p := range n.Peers {
		if len(p.Key) == 0 {
			bad("peers[%d] (%s) has no key", i, p.Name)
		} else if seen[string(p.Key)] {
			bad("peers[%d] (%s) repeats the key of another peer", i, p.Name)
		}
		seen[string(p.Key)] = true
		if p.Address == "" {
			bad("peers[%d] (%s) has no address", i, p.Name)
		}
		checkAddress(bad, fmt.Sprintf("peers[%d].address", i), p.Address)
	}
}

func checkAddress(bad func(string, ...any), key, address string) {
	if address == "" {
		return
	}
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		bad("%s %q is not host:port", key, address)
	}
}

// Path returns p, a path of the configuration, relative to the working directory.
func (n *Node) Path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(n.Home, p)
}

// Logger returns a logger as configured that writes to w.
func (l Log) Logger(w io.Writer) (*slog.Logger, error) {
	level, err := l.level()
	if err != nil {
		return nil, err
	}
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return slog.New(slog.NewTextHandler(w, options)), nil
}

func (l Log) level() (level slog.Level, err error) {
	switch l.Level {
	case "debug", "info", "warn", "error":
		err = level.UnmarshalText([]byte(l.Level))
	default:
		err = fmt.Errorf("unknown level %q", l.Level)
	}
	return level, err
}

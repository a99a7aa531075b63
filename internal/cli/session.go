package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aval/api"
	"aval/client"
	"aval/internal/config"
	"aval/internal/keyfile"
	"aval/ledger"
	"aval/suite"
)

// session is one run of the program: global flags, and what was loaded so far.
type session struct {
	sys            System
	json           bool
	home           string
	nodes          []string
	genesisPath    string
	passphraseFile string
	timeout        time.Duration

	profile *config.Profile
	genesis *ledger.Genesis
	raw     []byte // encoded genesis
	suite   suite.Suite
	client  *client.Client
	network *api.Network
	secret  []byte // the passphrase that opened a key last
	// invoices are the numbers that stand for fingerprints in this run.
	invoices map[suite.Hash]string
}

// loadProfile reads client.toml once.
func (s *session) loadProfile() (*config.Profile, error) {
	if err := s.homeless(); err != nil {
		return nil, err
	}
	if s.profile == nil {
		p, err := config.LoadProfile(s.home)
		if err != nil {
			return nil, err
		}
		s.profile = p
	}
	return s.profile, nil
}

// inHome makes a path of the profile relative to the working directory.
func (s *session) inHome(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.home, path)
}

// loadGenesis reads the genesis that --genesis or the profile names.
func (s *session) loadGenesis() error {
	if s.genesis != nil {
		return nil
	}
	path := s.genesisPath
	if path == "" || s.home != "" {
		p, err := s.loadProfile()
		if err != nil {
			return err
		}
		if path == "" && p.Genesis != "" {
			path = s.inHome(p.Genesis)
		}
	}
	if path == "" {
		return client.ErrNoGenesis
	}
	raw, err := readFile(path, ledger.GenesisBytesMax)
	if err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	g, st, err := ledger.DecodeGenesis(raw)
	if err != nil {
		return fmt.Errorf("%s is no genesis file: %w", path, err)
	}
	s.genesis, s.suite, s.raw = g, st, raw
	return nil
}

// connect returns a client for the network of the profile and flags. A missing genesis is no error here: commands that need
// it load it first.
func (s *session) connect() (*client.Client, error) {
	if s.client != nil {
		return s.client, nil
	}
	nodes, err := s.endpoints()
	if err != nil {
		return nil, err
	}
	cfg := client.Config{Endpoints: nodes, Now: s.sys.Now, UserAgent: "aval/" + programVersion()}
	if s.home != "" {
		cfg.Pins = client.PinDir(s.inHome("pins"))
	}
	err = s.loadGenesis()
	if err != nil && !errors.Is(err, client.ErrNoGenesis) {
		return nil, err
	}
	if s.genesis != nil {
		cfg.Genesis, cfg.AcceptLab = s.raw, s.genesis.Clock == ledger.ClockLab
	}
	if s.client, err = client.New(cfg); err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	return s.client, nil
}

// endpoints returns the URLs of nodes: flags, else the environment, else the profile.
func (s *session) endpoints() ([]string, error) {
	if len(s.nodes) > 0 {
		return s.nodes, nil
	}
	if v, ok := s.sys.Env("AVAL_NODES"); ok && v != "" {
		return strings.Split(v, ","), nil
	}
	p, err := s.loadProfile()
	if err != nil {
		return nil, err
	}
	if len(p.Nodes) == 0 {
		return nil, usage("no node is known: give --node URL, set $AVAL_NODES, or make a profile with `aval profile init`")
	}
	return p.Nodes, nil
}

// within bounds ctx by --timeout.
func (s *session) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.timeout)
}

// networkInfo asks a node once which network it serves.
func (s *session) networkInfo(ctx context.Context) (*api.Network, error) {
	if s.network != nil {
		return s.network, nil
	}
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	s.network, err = c.NetworkInfo(ctx)
	return s.network, err
}

// ledgerNow returns the ledger's time now, as a node's word.
func (s *session) ledgerNow(ctx context.Context) (ledger.Time, error) {
	info, err := s.networkInfo(ctx)
	if err != nil {
		return 0, fmt.Errorf("the ledger's time is needed to count from: %w; or give a date or time", err)
	}
	return max(info.Time, s.wall()+info.Offset), nil
}

func (s *session) wall() ledger.Time { return ledger.Time(s.sys.Now().UnixMilli()) }

// party resolves a legal id or a short name of the profile.
func (s *session) party(text string) (ledger.PartyID, error) {
	p, err := s.loadProfile()
	if err != nil {
		return "", err
	}
	if id, ok := p.Parties[text]; ok {
		return ledger.PartyID(id), nil
	}
	id := ledger.PartyID(text)
	if err := id.Check(); err != nil {
		return "", usage("party %q is no short name of your profile, and %w; add one with `aval profile party NAME ID`", text, err)
	}
	return id, nil
}

// partyName returns the short name of id, else id.
func (s *session) partyName(id ledger.PartyID) string {
	if s.profile != nil {
		best := ""
		for name, v := range s.profile.Parties {
			if v == string(id) && (best == "" || name < best) {
				best = name
			}
		}
		if best != "" {
			return best
		}
	}
	if id == "" {
		return "–"
	}
	return string(id)
}

// keys returns the directory of the user's keys.
func (s *session) keys() (keyfile.Dir, error) {
	p, err := s.loadProfile()
	if err != nil {
		return "", err
	}
	if p.Keys != "" {
		return keyfile.Dir(s.inHome(p.Keys)), nil
	}
	return keyfile.Dir(filepath.Join(s.home, config.KeysName)), nil
}

// keyFile reads a key by its name or, if it ends in .key or has a slash, by its path.
func (s *session) keyFile(name string) (*keyfile.File, error) {
	if strings.HasSuffix(name, keyfile.Ext) || strings.ContainsRune(name, filepath.Separator) {
		return keyfile.Read(name)
	}
	dir, err := s.keys()
	if err != nil {
		return nil, err
	}
	f, err := dir.Load(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no key %q in %s; `aval key list` shows what there is, `aval key new %s` makes one", name, dir, name)
	}
	return f, err
}

func (s *session) passphrases() keyfile.Source {
	return keyfile.Source{File: s.passphraseFile, Env: s.sys.Env, Terminal: s.sys.Stdin, Prompts: s.sys.Stderr}
}

// signer opens a key, first with the passphrase that opened the last one.
func (s *session) signer(name string) (suite.Signer, error) {
	f, err := s.keyFile(name)
	if err != nil {
		return nil, err
	}
	if s.secret != nil {
		if signer, err := f.Open(s.secret); err == nil {
			return signer, nil
		}
	}
	secret, err := s.passphrases().Get("key " + name)
	if err != nil {
		return nil, err
	}
	signer, err := f.Open(secret)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	s.secret = secret
	return signer, nil
}

// publicKey returns the public key of a key file by name, or reads hexadecimal digits.
func (s *session) publicKey(text string) (suite.PublicKey, error) {
	if err := s.loadGenesis(); err == nil && len(text) == 2*s.suite.PublicKeySize() {
		var k suite.PublicKey
		if k.UnmarshalText([]byte(text)) == nil {
			return k, s.suite.CheckPublicKey(k)
		}
	}
	f, err := s.keyFile(text)
	if err != nil {
		return nil, err
	}
	return f.Public, nil
}

// readFile reads a file of at most max bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return b, nil
}

// writeFile writes b to path atomically, over what stands there only if replace.
func writeFile(path string, b []byte, replace bool) error {
	if _, err := os.Stat(path); err == nil && !replace {
		return fmt.Errorf("%s exists; nothing was written", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".aval-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if replace {
		return os.Rename(f.Name(), path)
	}
	return errors.Join(os.Link(f.Name(), path), os.Remove(f.Name()))
}
